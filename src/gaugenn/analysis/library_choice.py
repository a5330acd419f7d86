"""How good several ways are to choose a library without measuring the model with it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from gaugenn.analysis.statistics import Estimate, estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """A network in a library, measured, and predicted while it was left out.

    Attributes:
        device: where.
        threads: how many.
        network: which; the same in the formats of all libraries.
        library: engine and version.
        measured: latency, in any unit.
        predicted: latency in the same unit.
    """

    device: str
    threads: int
    network: str
    library: str
    measured: float
    predicted: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """A way to choose, judged on one device.

    Attributes:
        name: of the way.
        kind: `by prediction`, `always` or `as on other devices`.
        device: where.
        threads: how many.
        networks: that it was judged on.
        right: of these, where it takes the best library.
        cost: measured latency of its choice over that of the best; over networks.
    """

    name: str
    kind: str
    device: str
    threads: int
    networks: int
    right: int
    cost: Estimate


Cells = Mapping[str, Mapping[str, Measurement]]
"""Network -> library -> measurement."""


def selectors(measured: Iterable[Measurement]) -> list[Selector]:
    """Judges every way to choose, by device and number of threads; the least costly first.

    Only networks count that all libraries of a device ran. A device with one library has no choice.
    """
    places: dict[tuple[str, int], dict[str, dict[str, Measurement]]] = defaultdict(
        lambda: defaultdict(dict)
    )
    for one in measured:
        places[one.device, one.threads][one.network][one.library] = one
    found: list[Selector] = []
    for (device, threads), networks in sorted(places.items()):
        libraries = sorted({library for cells in networks.values() for library in cells})
        whole = {n: c for n, c in networks.items() if len(c) == len(libraries)}
        if len(libraries) < 2 or not whole:
            continue
        choices: list[tuple[str, str, Mapping[str, str]]] = [
            ("by prediction", "by prediction", {n: _least(cells) for n, cells in whole.items()}),
            *(
                (f"always {library}", "always", dict.fromkeys(whole, library))
                for library in libraries
            ),
            ("as on other devices", "as on other devices", _elsewhere(places, device, threads)),
        ]
        judged = [_judged(name, kind, device, threads, whole, made) for name, kind, made in choices]
        found += sorted(
            (one for one in judged if one is not None), key=lambda s: (s.cost.value, s.name)
        )
    return found


def _judged(
    name: str,
    kind: str,
    device: str,
    threads: int,
    cells: Cells,
    choice: Mapping[str, str],
) -> Selector | None:
    costs = []
    right = 0
    for network, libraries in sorted(cells.items()):
        library = choice.get(network)
        if library is None or library not in libraries:
            continue
        best = min(libraries.values(), key=lambda m: (m.measured, m.library))
        right += best.library == library
        costs.append(libraries[library].measured / best.measured)
    if not costs:
        return None
    cost = estimate(costs)
    return Selector(
        name=name,
        kind=kind,
        device=device,
        threads=threads,
        networks=len(costs),
        right=right,
        # No choice costs less than the best one.
        cost=replace(cost, low=None if cost.low is None else max(1.0, cost.low)),
    )


def _least(libraries: Mapping[str, Measurement]) -> str:
    return min(libraries.values(), key=lambda m: (m.predicted, m.library)).library


def _elsewhere(
    places: Mapping[tuple[str, int], Cells], device: str, threads: int
) -> dict[str, str]:
    """The library with the least latency on the other devices, geometric mean, by network.

    Only libraries count that ran on all the other devices that have the network.
    """
    logs: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    devices: dict[str, int] = defaultdict(int)
    for (other, count), networks in places.items():
        if other == device or count != threads:
            continue
        for network, libraries in networks.items():
            devices[network] += 1
            for library, one in libraries.items():
                logs[network][library].append(float(np.log(one.measured)))
    found = {}
    for network, libraries_ in logs.items():
        means = {
            library: float(np.mean(values))
            for library, values in libraries_.items()
            if len(values) == devices[network]
        }
        if means:
            found[network] = min(means, key=lambda library: (means[library], library))
    return found
