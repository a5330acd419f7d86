"""Rows of many items joined into batches: a batch costs some milliseconds however small it is."""

import time
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from gaugenn.store._schema import Record
from gaugenn.store._study import Study

ROWS = 20_000
"""Rows that are held at most; a layer's row takes about 1 kB of memory."""
SECONDS = 2.0
"""How long a row waits at most while items go on coming: what a kill costs at most."""


class Buffer:
    """Holds rows until there are enough of them. A context manager: leaving writes what it holds.

    The rows of one call of `add` become visible together, and all those of a batch, or none. What a
    killed process held is missing as if its items had not been worked on.
    """

    def __init__(self, study: Study, *, rows: int = ROWS, seconds: float = SECONDS) -> None:
        self._study = study
        self._limit = rows
        self._seconds = seconds
        self._rows: list[Record] = []
        self._since = 0.0

    def add(self, rows: Iterable[Record]) -> None:
        """Takes the rows of an item.

        Raises:
            StorageFullError: no room for what was held; it is still held.
        """
        if not self._rows:
            self._since = time.monotonic()
        self._rows += rows
        if len(self._rows) >= self._limit or time.monotonic() - self._since >= self._seconds:
            self.flush()

    def flush(self) -> None:
        """Writes what is held.

        Raises:
            StorageFullError: no room; it is still held.
        """
        self._study.write(self._rows)
        self._rows = []

    def __enter__(self) -> Self:
        """Holds nothing yet."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Writes what is held, also after an interrupt or an error.

        Raises:
            StorageFullError: no room.
        """
        self.flush()
