"""The estimate that stands for an experiment. Stand-in until the analysis package has it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

_T = (
    *(12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281),
    *(2.2010, 2.1788, 2.1604, 2.1448, 2.1314, 2.1199, 2.1098, 2.1009, 2.0930, 2.0860),
    *(2.0796, 2.0739, 2.0687, 2.0639, 2.0595, 2.0555, 2.0518, 2.0484, 2.0452, 2.0423),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A geometric mean with its 95 % interval; no interval for one value."""

    value: float
    low: float | None
    high: float | None
    n: int


def estimate(values: Sequence[float]) -> Estimate | None:
    """The estimate of positive values; None where there is none."""
    logs = [math.log(value) for value in values if value > 0 and math.isfinite(value)]
    n = len(logs)
    if n == 0:
        return None
    mean = math.fsum(logs) / n
    if n == 1:
        return Estimate(value=math.exp(mean), low=None, high=None, n=n)
    deviation = math.sqrt(math.fsum((log - mean) ** 2 for log in logs) / (n - 1))
    t = _T[n - 2] if n - 2 < len(_T) else 1.959964 + 2.3723 / (n - 1) + 2.8225 / (n - 1) ** 2
    half = t * deviation / math.sqrt(n)
    return Estimate(
        value=math.exp(mean), low=math.exp(mean - half), high=math.exp(mean + half), n=n
    )
