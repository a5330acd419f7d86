"""Which way to run a model to recommend, and what staying with another one costs."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from gaugenn.analysis.changes import Measured
from gaugenn.analysis.ranking import Place, rank


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A way to run a model that was measured.

    Attributes:
        experiment: the measurement.
        place: its latency and how it compares with the fastest.
    """

    experiment: Measured
    place: Place

    @property
    def given_up(self) -> tuple[float, float | None, float | None]:
        """Share of the fastest's speed that is lost here, with its 95 % interval: 1 - 1 / ratio."""
        over = self.place.over_best
        if over is None:
            return 0.0, 0.0, 0.0
        ends = (None if end is None else 1 - 1 / end for end in (over.low, over.high))
        low, high = ends
        return 1 - 1 / over.ratio, low, high


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """Ways to run one network on one device, one sample at a time, the fastest first.

    Attributes:
        network: which.
        device: where.
        ways: all that were measured and are valid.
    """

    network: str
    device: str
    ways: tuple[Way, ...]

    @property
    def best(self) -> Way:
        """The fastest by its geometric mean."""
        return self.ways[0]

    @property
    def ties(self) -> tuple[Way, ...]:
        """Those that launches do not tell from it: any of them may be taken."""
        return tuple(way for way in self.ways[1:] if way.place.ties)

    @property
    def slower(self) -> tuple[Way, ...]:
        """Those that give something up for certain."""
        return tuple(way for way in self.ways[1:] if not way.place.ties)


def recommend(valid: Iterable[Measured]) -> list[Recommendation]:
    """Ranks the ways to run each network on each device by latency.

    Only inferences on one sample are ranked, in every shape and state of the page cache apart
    from each other,
    of which the most measured one is taken. Accuracy is not part of it: a quantised variant is
    named as such.

    Args:
        valid: experiments whose verdict is valid.
    """
    groups: dict[tuple[str, str], dict[str, dict[str, Measured]]] = defaultdict(
        lambda: defaultdict(dict)
    )
    for one in valid:
        if one.batch == 1 and one.launches:
            groups[one.network, one.device][one.rest][one.job_sha256] = one
    found = []
    for (network, device), rests in sorted(groups.items()):
        _, members = max(rests.items(), key=lambda pair: (len(pair[1]), pair[0]))
        ranking = rank({name: one.launches for name, one in members.items()})
        ways = tuple(Way(experiment=members[p.name], place=p) for p in ranking.places)
        found.append(Recommendation(network=network, device=device, ways=ways))
    return found
