"""How far one quantity follows a power of another, and how far it does not."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gaugenn.analysis.statistics import CONFIDENCE
from gaugenn.errors import UsageError

FEWEST_POINTS = 4
"""Two numbers are fitted; with fewer points than this the residuals say next to nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerLaw:
    """A least-squares line through the logarithms: `y = factor * x ** exponent`.

    Attributes:
        factor: y at x = 1.
        exponent: of x; 1 where y is proportional to it.
        exponent_low: lower end of its 95 % interval (Student's t).
        exponent_high: upper end.
        r_squared: share of the variance of log y that the line explains.
        spread: standard deviation of the residuals as a factor: 1.5 says that a typical y is 1.5 times
            the line's, or less by as much.
        farthest: largest residual as a factor, up or down.
        n: points.
    """

    factor: float
    exponent: float
    exponent_low: float
    exponent_high: float
    r_squared: float
    spread: float
    farthest: float
    n: int

    def at(self, x: float) -> float:
        """The line's y."""
        return float(self.factor * x**self.exponent)


def fit_power_law(x: Sequence[float], y: Sequence[float]) -> PowerLaw | None:
    """Fits a power law.

    Args:
        x: positive numbers.
        y: as many.

    Returns:
        None with fewer than `FEWEST_POINTS` points, or where all x are equal.

    Raises:
        UsageError: not as many, or a number that is not positive.
    """
    if len(x) != len(y):
        raise UsageError(f"{len(x)} x for {len(y)} y; expected one each")
    if any(not value > 0 for value in (*x, *y)):
        raise UsageError("a power law is fitted to numbers above 0")
    n = len(x)
    log_x, log_y = np.log(np.asarray(x, dtype=float)), np.log(np.asarray(y, dtype=float))
    if n < FEWEST_POINTS or float(np.ptp(log_x)) < 1e-9:
        return None
    from scipy.special import stdtrit

    centred = log_x - log_x.mean()
    variance_x = float(centred @ centred)
    exponent = float(centred @ log_y) / variance_x
    residuals = log_y - log_y.mean() - exponent * centred
    left = float(residuals @ residuals)
    total = float(((log_y - log_y.mean()) ** 2).sum())
    deviation = float(np.sqrt(left / (n - 2)))
    half = float(stdtrit(n - 2, 0.5 + CONFIDENCE / 2)) * deviation / float(np.sqrt(variance_x))
    return PowerLaw(
        factor=float(np.exp(log_y.mean() - exponent * log_x.mean())),
        exponent=exponent,
        exponent_low=exponent - half,
        exponent_high=exponent + half,
        r_squared=1.0 if total <= 0 else max(0.0, 1 - left / total),
        spread=float(np.exp(deviation)),
        farthest=float(np.exp(np.abs(residuals).max())),
        n=n,
    )
