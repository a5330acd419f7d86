"""A recorded trace, out of a CSV file."""

import csv
import math
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

import numpy as np

from gaugenn.devices import Device
from gaugenn.errors import FormatError, UsageError
from gaugenn.power import MeterOptions, PowerMeter
from gaugenn.records import Trace
from gaugenn.records._energy import MAXIMUM_SAMPLES, Reals

MAXIMUM_BYTES = 4 << 30
MAXIMUM_RAILS = 64


class ReplayMeter(PowerMeter):
    """Plays a file: its first moment is the moment of `start`.

    The first line names the columns: `t_s`, and for each rail `NAME` or `NAME_w`, in watts. Options:
    `file`; `rate` in Hz, the median step of the file by default. The trace ends where the file ends,
    even if sampling went on: then it does not cover what came later.
    """

    def __init__(self, options: MeterOptions, device: Device | None) -> None:
        del device
        self._path = Path(options.text("file"))
        self._asked_hz = options.number("rate", 0.0, low=0, high=1e6)
        self._columns: dict[str, Reals] = {}
        self._t_s: Reals = np.empty(0, dtype=np.float64)
        self._begin_s: float | None = None

    @property
    def rails(self) -> tuple[str, ...]:
        """The columns of the file."""
        return tuple(self._columns)

    @property
    def rate_hz(self) -> float:
        """As asked for, or that of the file."""
        if self._asked_hz:
            return self._asked_hz
        return float(1 / np.median(np.diff(self._t_s)))

    def __enter__(self) -> "ReplayMeter":
        try:
            if self._path.stat().st_size > MAXIMUM_BYTES:
                raise UsageError(f"{self._path} is larger than {MAXIMUM_BYTES} bytes")
            with self._path.open(newline="", encoding="utf-8", errors="replace") as file:
                self._t_s, self._columns = _columns(file, str(self._path))
        except OSError as error:
            raise UsageError(f"{self._path} cannot be read: {error.strerror}") from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._begin_s = None

    def start(self) -> None:
        if self._begin_s is not None:
            raise UsageError("the replay runs already")
        self._begin_s = time.monotonic()

    def stop(self) -> tuple[Trace, ...]:
        if self._begin_s is None:
            raise UsageError("the replay was not started")
        begin_s, self._begin_s = self._begin_s, None
        return self.traces(begin_s)

    def traces(self, begin_s: float) -> tuple[Trace, ...]:
        """The file's traces as if it had begun at a moment of the host's monotonic clock."""
        return tuple(
            Trace(
                rail=rail,
                t_s=begin_s + (self._t_s - self._t_s[0]),
                watts=watts,
                source=f"replay {self._path.name}",
                rate_hz=self.rate_hz,
            )
            for rail, watts in self._columns.items()
        )


def _columns(lines: Iterable[str], where: str) -> tuple[Reals, dict[str, Reals]]:
    rows = csv.reader(lines)
    try:
        header = [name.strip() for name in next(rows, [])]
        names = [name.removesuffix("_w") for name in header if name != "t_s"]
        if header.count("t_s") != 1 or not names or len(set(names)) != len(names):
            raise FormatError(f"{where}: the first line must name t_s and each rail once")
        if len(names) > MAXIMUM_RAILS:
            raise FormatError(f"{where}: {len(names)} rails; at most {MAXIMUM_RAILS}")
        table: list[list[float]] = []
        for row in rows:
            if not row:
                continue
            if len(table) >= MAXIMUM_SAMPLES:
                raise FormatError(f"{where}: more than {MAXIMUM_SAMPLES} samples")
            table.append(_numbers(row, len(header), f"{where}: line {rows.line_num}"))
    except csv.Error as error:
        raise FormatError(f"{where}: line {rows.line_num}: {error}") from error
    if len(table) < 2:
        raise FormatError(f"{where}: {len(table)} samples; expected two or more")
    array = np.asarray(table, dtype=np.float64)
    time_column = header.index("t_s")
    t_s = array[:, time_column].copy()
    values = {
        name.removesuffix("_w"): array[:, i].copy()
        for i, name in enumerate(header)
        if i != time_column
    }
    if np.any(np.diff(t_s) <= 0):
        at = int(np.argmax(np.diff(t_s) <= 0)) + 1
        raise FormatError(f"{where}: time does not rise at sample {at}")
    return t_s, values


def _numbers(row: list[str], count: int, where: str) -> list[float]:
    try:
        values = [float(cell) for cell in row]
    except ValueError as error:
        raise FormatError(f"{where}: {error}") from error
    if len(values) != count or not all(map(math.isfinite, values)):
        raise FormatError(f"{where}: expected {count} finite numbers")
    return values
