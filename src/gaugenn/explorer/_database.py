"""The study as pages read it: opened once, and anew when it has other parts."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TypeVar

import duckdb

from gaugenn import report
from gaugenn.errors import StoreError
from gaugenn.explorer._tables import TABLES
from gaugenn.report._frame import Frame, load
from gaugenn.report._summary import Summary
from gaugenn.store import Study

T = TypeVar("T")

_SETTINGS = {"threads": "1"}
"""A page asks for little: sharing the work out would take longer than doing it."""


class Reader:
    """What a page reads: one state of the study.

    Attributes:
        connection: with the study's views and the tables of `_tables.py`.
    """

    def __init__(self, study: Study, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection
        self._study = study
        self._kept: dict[str, object] = {}

    def frame(
        self, query: str, parameters: Sequence[object] = (), limit: int | None = None
    ) -> Frame:
        """Rows of a query, fit to be shown; with a limit, the first and how many there are."""
        return load(self.connection, query, limit, parameters)

    def value(self, query: str, parameters: Sequence[object] = ()) -> object:
        """The one value that a query gives; None where it gives no row."""
        rows = self.connection.execute(query, list(parameters)).fetchall()
        return rows[0][0] if rows else None

    def texts(self, query: str, parameters: Sequence[object] = ()) -> list[str]:
        """A query's first column, as the study has it: to look things up, not to show them."""
        rows = self.connection.execute(query, list(parameters)).fetchall()
        return [str(row[0]) for row in rows if row[0] is not None]

    def summary(self) -> Summary:
        """Headline numbers."""
        return self.once("summary", lambda: report.summary(self._study))

    def once(self, name: str, make: Callable[[], T]) -> T:
        """What is dear and the same for every page of this state; made when it is first asked for."""
        if name not in self._kept:
            self._kept[name] = make()
        found: T = self._kept[name]  # type: ignore[assignment]
        return found


class Database:
    """The study of a site. Pages take turns."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self._lock = threading.Lock()
        self._open: ExitStack | None = None
        self._parts: tuple[str, ...] = ()
        self._reader: Reader | None = None

    @contextmanager
    def read(self) -> Iterator[Reader]:
        """The study as it is now.

        Raises:
            StoreError: it cannot be read.
        """
        with self._lock:
            parts = self.study.part_names()
            if self._reader is None or parts != self._parts:
                self._reader, self._parts = self._reopened(), parts
            try:
                yield self._reader
            except duckdb.Error as error:
                # Another command may have merged parts meanwhile: the next page opens the study anew.
                self._reader = None
                raise StoreError(f"{self.study.path} cannot be read: {error}") from error

    def close(self) -> None:
        """Lets go of the study."""
        with self._lock:
            if self._open is not None:
                self._open.close()
            self._open = self._reader = None

    def _reopened(self) -> Reader:
        if self._open is not None:
            self._open.close()
        self._open, self._reader = None, None
        with ExitStack() as stack:
            connection = stack.enter_context(report.connect(self.study, _SETTINGS))
            for statement in TABLES:
                connection.execute(statement)
            self._open = stack.pop_all()
        return Reader(self.study, connection)
