"""What changing one thing does to a latency: the library, the quantisation, the processor, the device.

Two experiments make a pair for a kind of change where they are alike in everything else. So the
effect of
a library is never mixed with that of a thread more.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations

import numpy as np

from gaugenn.analysis.comparison import Difference, compare_groups, compare_launches
from gaugenn.analysis.ranking import Launches, mean_interval
from gaugenn.records import version_key


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """An experiment as comparisons need it.

    Attributes:
        job_sha256: its name.
        network: what is computed, whatever its weights' type and the file's format: the reference
            model's name, or the digest of the architecture.
        weights: the network with its values: the reference model and variant, or the file's digest.
        scheme: how the weights are quantised.
        format: of the file.
        engine: library.
        version: its release.
        device: where it ran.
        processor: what was asked to compute.
        precision: what was asked to be computed with.
        observed: what computed says it used; "" where it does not tell.
        threads: asked for.
        affinity: cores.
        batch: samples in an inference.
        rest: other settings that have to be equal: input shapes, page cache.
        launches: those that ended well.
    """

    job_sha256: str
    network: str
    weights: str
    scheme: str
    format: str
    engine: str
    version: str
    device: str
    processor: str
    precision: str
    observed: str
    threads: int
    affinity: str
    batch: int
    rest: str
    launches: Launches

    @property
    def library(self) -> str:
        """Engine and version."""
        return f"{self.engine} {self.version}"

    @property
    def latency_s(self) -> float:
        """Geometric mean over launches."""
        return float(np.exp(np.mean([np.log(median) for _, median in self.launches.values()])))


class Kind(StrEnum):
    """What is changed."""

    LIBRARY = "library"
    """Another library, each in its newest release here, that computes in the same precision."""
    RELEASE = "release of a library"
    QUANTISATION = "quantisation of the weights"
    PRECISION = "precision of the engine"
    PROCESSOR = "processor"
    THREADS = "number of threads"
    DEVICE = "device"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Two experiments that differ in one thing.

    Attributes:
        kind: in what.
        network: whose.
        before: value of that thing in the first.
        after: in the second.
        first: the first experiment.
        second: the other.
        difference: the second over the first.
    """

    kind: Kind
    network: str
    before: str
    after: str
    first: Measured
    second: Measured
    difference: Difference

    @property
    def factor(self) -> float:
        """The slower over the faster: 1 or more."""
        return max(self.difference.ratio, 1 / self.difference.ratio)


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """How much a kind of change matters.

    Attributes:
        kind: of change.
        factor: slower over faster, geometric mean over networks (of each network's geometric mean).
        low: lower end of the 95 % interval over networks, at least 1; None with fewer than three.
        high: upper end.
        largest: the largest single factor.
        networks: the unit.
        pairs: that they have.
    """

    kind: Kind
    factor: float
    low: float | None
    high: float | None
    largest: float
    networks: int
    pairs: int


def changes(measured: Iterable[Measured]) -> list[Change]:
    """Every pair of experiments that differ in one thing, by kind, network and values.

    Files of one network in several formats count as the same weights only where they are known
    to be: those
    of a reference model. Networks are compared under several quantisations in one format.
    """
    every = sorted(measured, key=lambda m: (m.network, m.weights, m.job_sha256))
    newest = _newest(every)
    found: list[Change] = []
    for kind, (value, key) in _KINDS.items():
        groups: dict[tuple[object, ...], list[Measured]] = defaultdict(list)
        for one in every:
            if kind is Kind.LIBRARY and newest[one.device, one.engine] != one.version:
                continue
            groups[key(one)].append(one)
        for group in groups.values():
            for pair in combinations(group, 2):
                first, second = sorted(pair, key=lambda m: _order(kind, m))
                if value(first) == value(second) or not _alike(kind, first, second):
                    continue
                found.append(
                    Change(
                        kind=kind,
                        network=first.network,
                        before=value(first),
                        after=value(second),
                        first=first,
                        second=second,
                        difference=_difference(kind, first, second),
                    )
                )
    return found


def effects(found: Iterable[Change]) -> list[Effect]:
    """How much each kind of change matters, in the order of `Kind`."""
    of_kind: Mapping[Kind, dict[str, list[float]]] = {kind: defaultdict(list) for kind in Kind}
    for change in found:
        of_kind[change.kind][change.network].append(float(np.log(change.factor)))
    made = []
    for kind, networks in of_kind.items():
        if not networks:
            continue
        means = [float(np.mean(logs)) for logs in networks.values()]
        low, high = mean_interval(means, (0.0, np.inf))
        made.append(
            Effect(
                kind=kind,
                factor=float(np.exp(np.mean(means))),
                low=None if low is None else float(np.exp(low)),
                high=None if high is None else float(np.exp(high)),
                largest=float(np.exp(max(max(logs) for logs in networks.values()))),
                networks=len(networks),
                pairs=sum(len(logs) for logs in networks.values()),
            )
        )
    return made


def _newest(measured: Iterable[Measured]) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for one in measured:
        key = (one.device, one.engine)
        known = found.get(key)
        if known is None or version_key(known) < version_key(one.version):
            found[key] = one.version
    return found


Key = Callable[[Measured], tuple[object, ...]]


def _key(*left_out: str) -> Key:
    """All that has to be equal, but for some fields."""
    names = (
        *("weights", "engine", "version", "device", "processor", "precision", "threads"),
        *("affinity", "batch", "rest"),
    )
    kept = [name for name in names if name not in left_out]
    return lambda one: tuple(getattr(one, name) for name in kept)


def _network_key(one: Measured) -> tuple[object, ...]:
    return (one.network, one.format, *_key("weights")(one))


_KINDS: dict[Kind, tuple[Callable[[Measured], str], Key]] = {
    Kind.LIBRARY: (lambda m: m.engine, _key("engine", "version")),
    Kind.RELEASE: (lambda m: m.version, _key("version")),
    Kind.QUANTISATION: (lambda m: m.scheme, _network_key),
    Kind.PRECISION: (lambda m: m.precision, _key("precision")),
    Kind.PROCESSOR: (lambda m: m.processor, _key("processor")),
    Kind.THREADS: (lambda m: str(m.threads), _key("threads")),
    Kind.DEVICE: (lambda m: m.device, _key("device", "affinity")),
}
"""How the changed thing reads, and what must be equal. Cores have other numbers on other devices."""


def _alike(kind: Kind, first: Measured, second: Measured) -> bool:
    if kind is Kind.DEVICE and bool(first.affinity) != bool(second.affinity):
        return False
    if kind is not Kind.LIBRARY:
        return True
    return not first.observed or not second.observed or first.observed == second.observed


def _order(kind: Kind, one: Measured) -> tuple[object, ...]:
    """The usual thing first: the CPU, floats, what is stored, fewer threads, the older release."""
    if kind is Kind.RELEASE:
        return (version_key(one.version),)
    if kind is Kind.THREADS:
        return (one.threads,)
    usual = {
        Kind.QUANTISATION: one.scheme in {"none", "fp32"},
        Kind.PRECISION: one.precision == "as-stored",
        Kind.PROCESSOR: one.processor == "cpu",
    }.get(kind, False)
    return (not usual, _KINDS[kind][0](one), one.job_sha256)


def _difference(kind: Kind, first: Measured, second: Measured) -> Difference:
    if kind is Kind.DEVICE:  # launches on two devices never took turns
        sides = ([median for _, median in m.launches.values()] for m in (first, second))
        return compare_groups(*sides)
    return compare_launches(first.launches, second.launches)
