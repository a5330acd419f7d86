"""Steps in an ordered series of experiments, such as one model on a library's releases.

The logarithms of launch medians are cut into segments with constant means: the cut with the least sum
of squares inside the segments plus a penalty for each segment (Potts' functional, solved exactly).
Launches are the observations, so a release with more of them weighs more.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gaugenn.analysis.comparison import THRESHOLD
from gaugenn.analysis.statistics import estimate
from gaugenn.errors import UsageError

PENALTY = 5.0
"""Of a step, in variances times the logarithm of the observations. A pure step in known noise needs
about 2 (Schwarz' criterion counts the mean and the place); 5 allows for a noise that is estimated.
`tests/analysis/test_change_points.py` measures false alarms and detections.

Source: https://doi.org/10.1016/0167-7152(88)90118-6
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A change between two neighbours of the series.

    Attributes:
        position: index of the first experiment after the change.
        ratio: level after it over level before; above 1 it became slower.
        before: experiments in the segment before.
        after: experiments in the segment after.
    """

    position: int
    ratio: float
    before: int
    after: int


def change_points(
    series: Sequence[Sequence[float]],
    *,
    penalty: float = PENALTY,
    threshold: float = THRESHOLD,
) -> tuple[Step, ...]:
    """Finds the steps.

    Args:
        series: launch medians of each experiment, in the series' order.
        penalty: see `PENALTY`.
        threshold: smallest relative change that is a step; smaller ones are joined.

    Raises:
        UsageError: an experiment without launches, a median that is no positive number, or a penalty
            or threshold below 0.
    """
    if penalty < 0 or threshold < 0:
        raise UsageError(f"penalty {penalty} and threshold {threshold} cannot be negative")
    for medians in series:
        estimate(medians)
    if len(series) < 2:
        return ()
    logs = [np.log(np.asarray(medians, dtype=np.float64)) for medians in series]
    counts = np.asarray([values.size for values in logs], dtype=np.float64)
    sums = np.asarray([values.sum() for values in logs])
    variance = _noise(logs)
    ends = _segments(sums, counts, penalty * variance * float(np.log(counts.sum())))
    ends = _joined(ends, sums, counts, float(np.log1p(threshold)))
    levels = _levels(ends, sums, counts)
    bounds = [0, *ends]
    return tuple(
        Step(
            position=end,
            ratio=float(np.exp(levels[i + 1] - levels[i])),
            before=end - bounds[i],
            after=bounds[i + 2] - end,
        )
        for i, end in enumerate(ends[:-1])
    )


def _noise(logs: Sequence[npt.NDArray[np.float64]]) -> float:
    """Variance of a launch: inside experiments, or where neighbours differ by more, between them.

    The median over pairs of neighbours ignores the few pairs that hold a step.
    """
    degrees = sum(values.size - 1 for values in logs)
    within = sum(float(((values - values.mean()) ** 2).sum()) for values in logs)
    inside = within / degrees if degrees else 0.0
    means = np.asarray([values.mean() for values in logs])
    weights = np.asarray([1 / values.size for values in logs])
    scaled = np.abs(np.diff(means)) / np.sqrt(weights[1:] + weights[:-1])
    # The median of an absolute standard normal is 0.6745.
    between = float(np.median(scaled) / 0.6745) ** 2 if scaled.size >= 4 else 0.0
    return max(inside, between, 1e-12)


def _segments(
    sums: npt.NDArray[np.float64], counts: npt.NDArray[np.float64], penalty: float
) -> list[int]:
    """Ends (exclusive) of the segments of the best cut."""
    total = np.concatenate(([0.0], np.cumsum(sums)))
    weight = np.concatenate(([0.0], np.cumsum(counts)))
    best = np.zeros(sums.size + 1)
    previous = np.zeros(sums.size + 1, dtype=np.int64)
    best[0] = -penalty
    for end in range(1, sums.size + 1):
        starts = np.arange(end)
        # The sum of squares is the same for every cut: only what the means take off counts.
        gains = (total[end] - total[starts]) ** 2 / (weight[end] - weight[starts])
        costs = best[starts] - gains + penalty
        previous[end] = int(np.argmin(costs))
        best[end] = costs[previous[end]]
    ends = [sums.size]
    while previous[ends[-1]] > 0:
        ends.append(int(previous[ends[-1]]))
    return ends[::-1]


def _joined(
    ends: list[int],
    sums: npt.NDArray[np.float64],
    counts: npt.NDArray[np.float64],
    smallest: float,
) -> list[int]:
    """Segments joined over the smallest step until every step is large enough."""
    ends = list(ends)
    while len(ends) > 1:
        steps = np.abs(np.diff(_levels(ends, sums, counts)))
        least = int(np.argmin(steps))
        if steps[least] > smallest:
            break
        del ends[least]
    return ends


def _levels(
    ends: Sequence[int], sums: npt.NDArray[np.float64], counts: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    starts = [0, *ends[:-1]]
    return np.add.reduceat(sums, starts) / np.add.reduceat(counts, starts)
