"""Which of several ways to run a model is the fastest, by how much, and where that cannot be told.

A way ties with the fastest one where the interval of their ratio reaches 1 or below: the
launches do not
tell them apart. Two ways without an interval (too few launches) are not told apart either.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gaugenn.analysis.comparison import Difference, compare_launches
from gaugenn.analysis.statistics import CONFIDENCE, MINIMUM_LAUNCHES, estimate
from gaugenn.errors import UsageError

Launches = Mapping[int, tuple[str, float]]
"""Block -> (start as ISO 8601 in UTC, median latency in seconds) of each launch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A way to run a model, among others.

    Attributes:
        name: of the way.
        latency_s: geometric mean over launches.
        over_best: its latency over that of the fastest; None for the fastest itself.
        ties: whether the launches do not tell it from the fastest.
    """

    name: str
    latency_s: float
    over_best: Difference | None
    ties: bool

    @property
    def undecided(self) -> bool:
        """Whether it ties for want of an interval: there are too few launches."""
        return self.over_best is not None and self.over_best.low is None

    @property
    def ratio(self) -> float:
        """Its latency over that of the fastest."""
        return 1.0 if self.over_best is None else self.over_best.ratio


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """Ways to run a model, the fastest first.

    Attributes:
        places: in order; the first is the fastest by its geometric mean.
    """

    places: tuple[Place, ...]

    @property
    def best(self) -> Place:
        """The fastest, tied or not."""
        return self.places[0]

    @property
    def tied(self) -> tuple[Place, ...]:
        """Those that are not told from the fastest."""
        return tuple(place for place in self.places[1:] if place.ties)

    @property
    def next_best(self) -> Place | None:
        """The fastest of those that are slower for certain; None where there is none."""
        return next((place for place in self.places[1:] if not place.ties), None)

    @property
    def winner(self) -> str | None:
        """The fastest, if it ties with none."""
        return None if self.tied else self.best.name


def rank(ways: Mapping[str, Launches]) -> Ranking:
    """Orders ways to run one model on one device.

    Args:
        ways: launches of each, by its name.

    Raises:
        UsageError: no way, or one without a launch.
    """
    if not ways or not all(ways.values()):
        raise UsageError("a ranking needs ways to run a model, each with a launch")
    levels = {
        name: estimate([median for _, median in launches.values()]).value
        for name, launches in ways.items()
    }
    order = sorted(levels, key=lambda name: (levels[name], name))
    first = order[0]
    places = [Place(name=first, latency_s=levels[first], over_best=None, ties=False)]
    for name in order[1:]:
        found = compare_launches(ways[first], ways[name])
        places.append(
            Place(
                name=name,
                latency_s=levels[name],
                over_best=found,
                ties=found.low is None or found.low <= 1,
            )
        )
    return Ranking(places=tuple(places))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stability:
    """How far two devices put libraries in the same order.

    Attributes:
        tau: mean over models of Kendall's tau-b, from -1 (reversed) to 1 (the same order).
        low: lower end of the 95 % interval over models; None with fewer than three models.
        high: upper end.
        models: that ran with two libraries or more on both devices.
        same_best: of these, with the same fastest library.
    """

    tau: float
    low: float | None
    high: float | None
    models: int
    same_best: int


def stability(
    first: Mapping[str, Mapping[str, float]], second: Mapping[str, Mapping[str, float]]
) -> Stability | None:
    """Compares the order of libraries on two devices, model by model.

    Source: https://doi.org/10.1093/biomet/33.3.239 (tau-b, which allows for ties)

    Args:
        first: model -> library -> latency on one device.
        second: on the other.

    Returns:
        None where no model ran with two libraries on both.
    """
    from scipy.stats import kendalltau

    found: list[float] = []
    same = 0
    for model in sorted(first.keys() & second.keys()):
        common = sorted(first[model].keys() & second[model].keys())
        if len(common) < 2:
            continue
        one = [first[model][library] for library in common]
        two = [second[model][library] for library in common]
        tau = float(kendalltau(one, two).statistic)
        if np.isnan(tau):  # all latencies of a device are equal
            continue
        found.append(tau)
        same += int(np.argmin(one) == np.argmin(two))
    if not found:
        return None
    low, high = mean_interval(found, (-1.0, 1.0))
    return Stability(
        tau=float(np.mean(found)), low=low, high=high, models=len(found), same_best=same
    )


def mean_interval(
    values: Sequence[float], bounds: tuple[float, float] = (-np.inf, np.inf)
) -> tuple[float | None, float | None]:
    """Student's 95 % interval of a mean, cut at the bounds of what the values can be.

    Returns:
        Both ends; None with fewer than `MINIMUM_LAUNCHES` values.
    """
    from scipy.special import stdtrit

    n = len(values)
    if n < MINIMUM_LAUNCHES:
        return None, None
    deviation = float(np.std(values, ddof=1)) / float(np.sqrt(n))
    half = float(stdtrit(n - 1, 0.5 + CONFIDENCE / 2)) * deviation
    centre = float(np.mean(values))
    return max(bounds[0], centre - half), min(bounds[1], centre + half)
