"""What a long run shows: how fast at first, when it slowed down, where it settled.

Everything is computed from samples and the times at which they began. A window is 30 s long; its level
is the median of its samples.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gaugenn.errors import UsageError

MINUTE_S = 60.0
WINDOW_S = 30.0
THROTTLED = 0.10
"""A window this much above the level of minute 1 is throttled."""
PERSISTENT = 0.8
"""Share of the windows from one on that have to be throttled for it to count as the beginning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Half a minute of a run.

    Attributes:
        begin_s: since the first sample.
        level_s: median latency.
        n: samples.
    """

    begin_s: float
    level_s: float
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sustained:
    """A long run, summed up.

    Attributes:
        duration_s: from the first sample's begin to the last one's end.
        first_minute_s: median latency of the samples that began in the first minute.
        steady_s: median latency of those that began in the last third.
        degradation: steady level over that of the first minute, minus 1.
        throttled_after_s: begin of the first window whose level, and that of nearly all after it, is
            more than 10 % above the first minute's; None where there is none.
        windows: the curve, one point each 30 s; a window without a sample has none.
    """

    duration_s: float
    first_minute_s: float
    steady_s: float
    degradation: float
    throttled_after_s: float | None
    windows: tuple[Window, ...]


def sustained(starts_s: Sequence[float], latencies_s: Sequence[float]) -> Sustained:
    """Sums up a run.

    Args:
        starts_s: when each sample began, in order, on any clock.
        latencies_s: of each sample.

    Raises:
        UsageError: less than two minutes, which is no sustained run, or lists that do not fit.
    """
    if len(starts_s) != len(latencies_s) or not starts_s:
        raise UsageError(f"{len(starts_s)} times for {len(latencies_s)} samples; expected one each")
    begins = np.asarray(starts_s, dtype=np.float64)
    latencies = np.asarray(latencies_s, dtype=np.float64)
    begins = begins - begins[0]
    if np.any(np.diff(begins) < 0) or not np.all(np.isfinite(latencies) & (latencies > 0)):
        raise UsageError("samples of a sustained run are positive and in the order of time")
    duration_s = float(begins[-1] + latencies[-1])
    if duration_s < 2 * MINUTE_S:
        raise UsageError(f"a run of {duration_s:.0f} s; a sustained one has at least two minutes")
    first_s = float(np.median(latencies[begins < MINUTE_S]))
    steady_s = float(np.median(latencies[begins >= min(duration_s * 2 / 3, begins[-1])]))
    windows = _windows(begins, latencies)
    return Sustained(
        duration_s=duration_s,
        first_minute_s=first_s,
        steady_s=steady_s,
        degradation=steady_s / first_s - 1,
        throttled_after_s=_throttled_after_s(windows, first_s),
        windows=windows,
    )


def _windows(
    begins: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]",
    latencies: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]",
) -> tuple[Window, ...]:
    numbers = (begins // WINDOW_S).astype(np.int64)
    return tuple(
        Window(
            begin_s=float(number) * WINDOW_S,
            level_s=float(np.median(latencies[numbers == number])),
            n=int(np.count_nonzero(numbers == number)),
        )
        for number in np.unique(numbers)
    )


def _throttled_after_s(windows: Sequence[Window], first_s: float) -> float | None:
    slow = [window.level_s > (1 + THROTTLED) * first_s for window in windows]
    for position, window in enumerate(windows):
        rest = slow[position:]
        if slow[position] and sum(rest) >= PERSISTENT * len(rest):
            return window.begin_s
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rank:
    """Where a variant stood; 1 is the fastest.

    Attributes:
        first_minute: by the level of the first minute.
        end: by the steady level.
    """

    first_minute: int
    end: int


def rank_change(runs: Mapping[str, Sustained]) -> dict[str, Rank]:
    """The order of variants in their first minute and at their end.

    Equal levels have equal ranks.

    Args:
        runs: a run of each variant.
    """
    firsts = sorted(run.first_minute_s for run in runs.values())
    ends = sorted(run.steady_s for run in runs.values())
    return {
        name: Rank(
            first_minute=firsts.index(run.first_minute_s) + 1, end=ends.index(run.steady_s) + 1
        )
        for name, run in runs.items()
    }
