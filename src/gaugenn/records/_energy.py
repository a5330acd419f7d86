"""Power over time: what a meter gives, and the row that a study keeps of it."""

import math
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from gaugenn.errors import FormatError

Reals = npt.NDArray[np.float64]
MAXIMUM_SAMPLES = 200_000_000
"""Of one trace: eleven hours at 5 kHz."""


class Clock(StrEnum):
    """Which clock a trace is stamped by."""

    HOST = "host-monotonic"
    """Monotonic clock of the machine that reads the meter."""
    DEVICE_BOOT = "device-boottime"
    """The device's clock that also counts sleep (`CLOCK_BOOTTIME`)."""
    METER = "meter"
    """The meter's own, from the number of the sample; it has to be aligned by markers."""


def _none() -> Reals:
    return np.empty(0, dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Window:
    """A stretch of time on the clock of a trace."""

    begin_s: float
    end_s: float

    def __post_init__(self) -> None:
        """Refuses what is no stretch.

        Raises:
            FormatError: an end is not finite, or it does not end after it begins.
        """
        if not (math.isfinite(self.begin_s) and math.isfinite(self.end_s)):
            raise FormatError(f"a window from {self.begin_s} to {self.end_s} s; expected numbers")
        if not self.end_s > self.begin_s:
            raise FormatError(f"a window from {self.begin_s} to {self.end_s} s has no length")

    @property
    def duration_s(self) -> float:
        """Its length."""
        return self.end_s - self.begin_s


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trace:
    """What a meter saw of one rail: either power at moments, or a counter of energy at its updates.

    Attributes:
        rail: what is measured, as the meter names it.
        t_s: moments, strictly rising, (samples,).
        watts: power at each moment, (samples,); empty for a counter.
        source: meter and its settings.
        rate_hz: nominal samples or updates in a second.
        joules: a counter's value at each moment, never falling, (samples,); empty for power.
        clock: what stamped it.
        lost_samples: those that the meter says it dropped.
        restarts: how often the meter began anew within the trace; such a trace gives no energy.
        notes: what else is to be known, such as `supply-voltage`: power is current times the set
            voltage.
    """

    rail: str
    t_s: Reals
    watts: Reals = field(default_factory=_none)
    source: str
    rate_hz: float
    joules: Reals = field(default_factory=_none)
    clock: Clock = Clock.HOST
    lost_samples: int = 0
    restarts: int = 0
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Checks that it can be integrated.

        Raises:
            FormatError: what is wrong, and where.
        """
        where = f"trace {self.rail!r} of {self.source}"
        if not (math.isfinite(self.rate_hz) and self.rate_hz > 0):
            raise FormatError(f"{where}: a rate of {self.rate_hz}/s; expected more than 0")
        if self.watts.size and self.joules.size:
            raise FormatError(f"{where}: both power and a counter; expected one of them")
        values = self.joules if self.joules.size else self.watts
        if self.t_s.ndim != 1 or values.shape != self.t_s.shape:
            raise FormatError(f"{where}: {self.t_s.size} moments and {values.size} values")
        if self.t_s.size > MAXIMUM_SAMPLES:
            raise FormatError(f"{where}: {self.t_s.size} samples; at most {MAXIMUM_SAMPLES}")
        if not (np.isfinite(self.t_s).all() and np.isfinite(values).all()):
            raise FormatError(f"{where}: a time or value is not finite")
        if np.any(np.diff(self.t_s) <= 0):
            at = int(np.argmax(np.diff(self.t_s) <= 0)) + 1
            raise FormatError(f"{where}: time does not rise at sample {at}")
        if np.any(np.diff(self.joules) < 0):
            at = int(np.argmax(np.diff(self.joules) < 0)) + 1
            raise FormatError(f"{where}: the counter falls at update {at}")

    @property
    def is_counter(self) -> bool:
        """Whether it counts energy."""
        return bool(self.joules.size)


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceRecord:
    """A trace of one launch. Key: `job_sha256`, `launch`, `source`, `rail`."""

    job_sha256: str
    launch: int
    source: str
    rail: str
    is_counter: bool
    clock: Clock
    rate_hz: float
    samples: int
    begin_s: float | None
    """Moment of the first sample; None where there is none."""
    end_s: float | None
    blob_sha256: str
    """A Parquet file with the columns `t_s` and `watts` or `joules` (float64)."""
    lost_samples: int
    restarts: int
    idle_before_begin_s: float | None = None
    """Nothing of ours ran from here, on the trace's clock, ..."""
    idle_before_end_s: float | None = None
    """... to here; None where idle power was not measured."""
    idle_after_begin_s: float | None = None
    idle_after_end_s: float | None = None
    notes: tuple[str, ...] = ()
