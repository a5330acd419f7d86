"""What repeated measurements say. The launch is the unit: inferences inside one are not independent.

A launch is a fresh process; its inferences share clocks, caches and memory layout, so pooling them
gives intervals that are far too narrow. A launch is summarised by its median, and an experiment by the
geometric mean of its launches' medians with Student's t interval on the logarithms.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gaugenn.errors import UsageError

CONFIDENCE = 0.95

MINIMUM_LAUNCHES = 3
"""With fewer launches there is no interval: the t quantile of one degree of freedom is 12.7."""

_OUTLIER_MADS = 5 * 1.4826
"""Median absolute deviations from the median; 1.4826 makes one a standard deviation of a normal."""


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
    """

    value: float
    low: float | None
    high: float | None
    n: int
    variation: float | None

    @property
    def half_width(self) -> float | None:
        """Half the interval on the logarithms: about the relative uncertainty."""
        if self.low is None or self.high is None:
            return None
        return float(np.log(self.high / self.low)) / 2


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
    )


def estimate(values: Sequence[float], confidence: float = CONFIDENCE) -> Estimate:
    """Geometric mean of one value a launch, with a two-sided t interval on the logarithms.

    Args:
        values: one per launch: medians of latencies, load times, peaks of memory.
        confidence: of the interval, between 0 and 1.

    Raises:
        UsageError: no value, one that is no positive number, or a confidence out of range.
    """
    from scipy.special import stdtrit

    if not 0 < confidence < 1:
        raise UsageError(f"a confidence of {confidence}; expected more than 0 and less than 1")
    logs = np.log(_checked(values))
    n = logs.size
    centre = float(logs.mean())
    variation = float(logs.std(ddof=1)) if n > 1 else None
    low = high = None
    if variation is not None and n >= MINIMUM_LAUNCHES:
        half = float(stdtrit(n - 1, 0.5 + confidence / 2)) * variation / float(np.sqrt(n))
        low, high = float(np.exp(centre - half)), float(np.exp(centre + half))
    return Estimate(value=float(np.exp(centre)), low=low, high=high, n=n, variation=variation)


def _checked(values: Sequence[float]) -> npt.NDArray[np.float64]:
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
