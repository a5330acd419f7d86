"""What repeated measurements say. The launch is the unit: inferences inside one are not independent.

A launch is a fresh process; its inferences share clocks, caches and memory layout, so pooling them
gives intervals that are far too narrow. A launch is summarised by its median, and an experiment by the
geometric mean of its launches' medians with an interval on the logarithms: Student's t, and from
`BOOTSTRAP_LAUNCHES` on a bootstrap over launches, which also suits launches that are not normal.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from gaugenn.errors import UsageError

CONFIDENCE = 0.95

MINIMUM_LAUNCHES = 3
"""With fewer launches there is no interval: the t quantile of one degree of freedom is 12.7."""

BOOTSTRAP_LAUNCHES = 15
"""From here on the interval is a bootstrap's. With fewer values resampling says less than t does."""
RESAMPLES = 2000
"""Of the bootstrap; an end of the interval then moves by about a twentieth of the width at most."""

_NORMAL_MAD = 1.4826
"""Makes a median absolute deviation a standard deviation of a normal."""
_OUTLIER_MADS = 5 * _NORMAL_MAD
_TREND_POINTS = 200
"""Longer launches are thinned to medians of this many blocks: the slopes of all pairs are counted."""
_MODES_SAMPLES = 50
"""Fewer samples show two modes too often where there is one."""
_MODES_SHARE = 0.1
"""Of the samples, that the smaller mode holds at least."""
_MODES_DISTANCE = 4.5
"""Between two modes, in standard deviations inside them (Ashman's D). Split in two at its middle, a
normal distribution has 2.6 and a uniform one 3.5.

Source: https://doi.org/10.1086/117248
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchSummary:
    """The inferences of one launch, in the unit of the samples.

    Attributes:
        n: inferences.
        median: of them.
        mad: median absolute deviation from the median, not scaled.
        p5: fifth percentile; percentiles are interpolated linearly.
        p90: ninetieth.
        p95: ninety-fifth.
        p99: ninety-ninth.
        minimum: the smallest; never the result.
        maximum: the largest.
        mean: arithmetic; beside the median, for comparison with other tools.
        outlier_share: of inferences further than five standard deviations, as the MAD estimates
            them, from the median. They are not dropped.
        autocorrelation: of neighbours (lag 1), from -1 to 1; None where all are equal or there are
            fewer than three. Near 1 the launch holds far fewer independent inferences than n.
        trend: relative change from the first to the last inference along the Theil-Sen line, over the
            median; None for fewer than three.
        bimodal: the inferences form two groups with a gap between them.
    """

    n: int
    median: float
    mad: float
    p5: float
    p90: float
    p95: float
    p99: float
    minimum: float
    maximum: float
    mean: float
    outlier_share: float
    autocorrelation: float | None
    trend: float | None
    bimodal: bool


class Interval(StrEnum):
    """How an interval was found."""

    STUDENT = "student"
    BOOTSTRAP = "bootstrap"


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What stands for an experiment, in the unit of the values.

    Attributes:
        value: geometric mean.
        low: lower end of the interval; None with fewer than `MINIMUM_LAUNCHES` values.
        high: upper end.
        n: values.
        variation: standard deviation of the logarithms, about the coefficient of variation; None for
            a single value.
        interval: how `low` and `high` were found; None without them.
    """

    value: float
    low: float | None
    high: float | None
    n: int
    variation: float | None
    interval: Interval | None = None

    @property
    def half_width(self) -> float | None:
        """Half the interval on the logarithms: about the relative uncertainty."""
        if self.low is None or self.high is None:
            return None
        return float(np.log(self.high / self.low)) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Proportion:
    """A share of a sample, with the interval of the share that it is a sample of, from 0 to 1."""

    part: int
    whole: int
    value: float
    low: float
    high: float


def proportion(part: int, whole: int, confidence: float = CONFIDENCE) -> Proportion:
    """A share with Wilson's score interval, which stays within 0 and 1 and suits small samples.

    Args:
        part: how many have the property.
        whole: of how many.
        confidence: of the interval, between 0 and 1.

    Raises:
        UsageError: nothing to take a share of, a part that is no part, or a confidence out of range.

    **Source:** https://doi.org/10.1080/01621459.1927.10502953
    """
    if not 0 < confidence < 1:
        raise UsageError(f"a confidence of {confidence}; expected more than 0 and less than 1")
    if whole < 1 or not 0 <= part <= whole:
        raise UsageError(f"{part} of {whole} is no share; expected 0 <= part <= whole, whole > 0")
    z2 = NormalDist().inv_cdf(0.5 + confidence / 2) ** 2
    value = part / whole
    centre = (value + z2 / (2 * whole)) / (1 + z2 / whole)
    half = (z2 * (value * (1 - value) + z2 / (4 * whole)) / whole) ** 0.5 / (1 + z2 / whole)
    # Rounding must not move the ends of 0 and of 1 off them.
    low = 0.0 if part == 0 else max(0.0, centre - half)
    high = 1.0 if part == whole else min(1.0, centre + half)
    return Proportion(part=part, whole=whole, value=value, low=low, high=high)


def summarise_launch(samples: Sequence[float]) -> LaunchSummary:
    """Summarises the inferences of one launch.

    Raises:
        UsageError: no sample, or one that is no positive number.
    """
    array = _checked(samples)
    median = float(np.median(array))
    deviations = np.abs(array - median)
    mad = float(np.median(deviations))
    p5, p90, p95, p99 = (float(p) for p in np.percentile(array, (5, 90, 95, 99)))
    return LaunchSummary(
        n=array.size,
        median=median,
        mad=mad,
        p5=p5,
        p90=p90,
        p95=p95,
        p99=p99,
        minimum=float(array.min()),
        maximum=float(array.max()),
        mean=float(array.mean()),
        outlier_share=float(np.mean(deviations > _OUTLIER_MADS * mad)),
        autocorrelation=_autocorrelation(array),
        trend=_trend(array, median),
        bimodal=is_bimodal(array),
    )


def estimate(values: Sequence[float], confidence: float = CONFIDENCE) -> Estimate:
    """Geometric mean of one value a launch, with a two-sided interval on the logarithms.

    The result does not depend on the order of the values: the bootstrap's seed is fixed and it draws
    from the sorted ones.

    Args:
        values: one per launch: medians or other percentiles of latencies, load times, peaks of memory.
        confidence: of the interval, between 0 and 1.

    Raises:
        UsageError: no value, one that is no positive number, or a confidence out of range.
    """
    if not 0 < confidence < 1:
        raise UsageError(f"a confidence of {confidence}; expected more than 0 and less than 1")
    logs = np.log(_checked(values))
    n = logs.size
    centre = float(logs.mean())
    variation = float(logs.std(ddof=1)) if n > 1 else None
    low = high = interval = None
    if variation is not None and n >= MINIMUM_LAUNCHES:
        # Logarithms of equal values can differ from their mean by rounding alone.
        interval = Interval.STUDENT
        if n >= BOOTSTRAP_LAUNCHES and variation > 1e-12:
            interval = Interval.BOOTSTRAP
            low, high = (float(end) for end in np.exp(_bootstrap(logs, confidence)))
        else:
            half = _student(n - 1, confidence) * variation / float(np.sqrt(n))
            low, high = float(np.exp(centre - half)), float(np.exp(centre + half))
    return Estimate(
        value=float(np.exp(centre)),
        low=low,
        high=high,
        n=n,
        variation=variation,
        interval=interval,
    )


def estimate_percentile(
    launches: Sequence[Sequence[float]], percentile: float, confidence: float = CONFIDENCE
) -> Estimate:
    """A percentile of the inferences: found in each launch, then summed up like the median.

    Args:
        launches: the samples of each launch.
        percentile: from 0 to 100.
        confidence: of the interval.

    Raises:
        UsageError: no launch, one without samples, a sample that is no positive number, or a
            percentile out of range.
    """
    if not 0 <= percentile <= 100:
        raise UsageError(f"percentile {percentile}; expected 0 to 100")
    return estimate(
        [float(np.percentile(_checked(samples), percentile)) for samples in launches], confidence
    )


def is_bimodal(samples: Sequence[float] | npt.NDArray[np.float64]) -> bool:
    """Whether samples form two groups, each of a tenth of them or more, with a gap between.

    The cut is the one that leaves the least variance inside the groups (Otsu's), of the logarithms.

    Source: https://doi.org/10.1109/TSMC.1979.4310076
    """
    logs = np.sort(np.log(_checked(samples)))
    n = logs.size
    if n < _MODES_SAMPLES or logs[-1] - logs[0] < 1e-9:
        return False
    least = max(2, int(np.ceil(_MODES_SHARE * n)))
    below = np.arange(least, n - least + 1)
    sums, squares = np.cumsum(logs), np.cumsum(logs * logs)
    inside = (
        squares[-1] - sums[below - 1] ** 2 / below - (sums[-1] - sums[below - 1]) ** 2 / (n - below)
    )
    cut = int(below[np.argmin(inside)])
    low, high = logs[:cut], logs[cut:]
    within = float(np.sqrt((low.var() + high.var()) / 2))
    return float(high.mean() - low.mean()) > _MODES_DISTANCE * within


def _autocorrelation(array: npt.NDArray[np.float64]) -> float | None:
    centred = array - array.mean()
    total = float(centred @ centred)
    if array.size < 3 or total <= 0:
        return None
    return float(centred[1:] @ centred[:-1]) / total


def _trend(array: npt.NDArray[np.float64], median: float) -> float | None:
    """Source: https://doi.org/10.1080/01621459.1968.10480934 (the median of all pairs' slopes)."""
    if array.size < 3:
        return None
    points = array
    if array.size > _TREND_POINTS:
        points = np.asarray([np.median(p) for p in np.array_split(array, _TREND_POINTS)])
    first, second = np.triu_indices(points.size, 1)
    slope = float(np.median((points[second] - points[first]) / (second - first)))
    return slope * (points.size - 1) / median


def _student(degrees: int, confidence: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(degrees, 0.5 + confidence / 2))


def _bootstrap(logs: npt.NDArray[np.float64], confidence: float) -> npt.NDArray[np.float64]:
    """Ends of the bias-corrected and accelerated interval of the mean, corrected for few values.

    Plain, it is too narrow for a few dozen values: it knows neither t nor n - 1. The levels are
    therefore widened so that on normal values it agrees with t.

    Source: https://doi.org/10.1080/01621459.1987.10478410 (the interval)
    Source: https://arxiv.org/abs/1411.5279 (the widened levels, "expanded percentile")
    """
    from scipy.special import ndtr, ndtri

    values = np.sort(logs)
    n = values.size
    random = np.random.default_rng(n)
    means = np.sort(values[random.integers(0, n, (RESAMPLES, n))].mean(axis=1))
    centre = values.mean()
    # Means that equal the centre count half, so that symmetric values have no bias.
    share = (np.mean(means < centre) + np.mean(means <= centre)) / 2
    bias = float(ndtri(np.clip(share, 0.5 / RESAMPLES, 1 - 0.5 / RESAMPLES)))
    deviations = centre - values
    # The jackknife's influence values of a mean, up to a factor that cancels.
    acceleration = -float((deviations**3).sum() / (6 * (deviations**2).sum() ** 1.5))
    reach = _student(n - 1, confidence) * float(np.sqrt(n / (n - 1)))
    ends = np.asarray((bias - reach, bias + reach))
    levels = ndtr(bias + ends / (1 - acceleration * ends))
    return np.asarray(np.quantile(means, np.clip(levels, 0.0, 1.0)), dtype=np.float64)


def _checked(values: Sequence[float] | npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64).reshape(-1)
    if array.size == 0:
        raise UsageError("no sample to summarise; at least one is needed")
    bad = np.flatnonzero(~(np.isfinite(array) & (array > 0)))
    if bad.size:
        first = int(bad[0])
        raise UsageError(
            f"sample {first} is {array[first]}; a measured quantity is a positive, finite number"
        )
    return array
