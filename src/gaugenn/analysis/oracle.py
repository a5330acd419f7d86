"""The best of several libraries for every part of a model: what a perfect choice would give.

Libraries fuse, split, rename and reorder operators, so their profiles are not alike row by row. What
every one of them keeps are the products with weights: convolutions, dense layers, recurrent cells. A
profile is cut before each of them; the n-th stretch of one library, a product with all that follows it,
stands against the n-th stretch of the others. A library with another number of products is left out,
with that reason. Branches that run in another order swap their stretches, which the totals bear.

The oracle takes each stretch from the library that is fastest there. Handing over from one library to
another may cost the conversion of a tensor's layout; the cheapest way through all stretches is then
found exactly, by dynamic programming.

Source: https://arxiv.org/abs/2202.06512 (the study whose oracle this computes for any model)
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gaugenn.errors import UsageError

_PRODUCT = re.compile(
    r"conv(?!ert)|gemm|matmul|mat_mul|fully.?connected|inner.?product|linear(?!_?clamp)|addmm|lstm|gru"
    r"|rnn(?!t)",
    re.IGNORECASE,
)
_NO_PRODUCT = re.compile(r"bilinear|nonlinear|resize|interp|pad", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedOperator:
    """An operator of a profile.

    Attributes:
        name: the node, as the library names it.
        operator: its type, as the library says it.
        duration_s: its time in one inference; a difference of two measurements may be negative.
    """

    name: str
    operator: str
    duration_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A product with weights and all that follows it up to the next.

    Attributes:
        name: of the product's node, in the first library.
        operator: its type there.
        durations_s: by library; never negative.
    """

    name: str
    operator: str
    durations_s: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """Profiles side by side.

    Attributes:
        stretches: in the order of the graph; the first begins with what comes before any product.
        left_out: libraries that cannot be compared, and why.
    """

    stretches: tuple[Stretch, ...]
    left_out: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Oracle:
    """The best choice for every stretch.

    Attributes:
        total_s: of the stretches and conversions.
        choices: the library of each stretch.
        conversions_s: of which for conversions.
        single: the best library for the whole model.
        single_s: its total.
    """

    total_s: float
    choices: tuple[str, ...]
    conversions_s: float
    single: str
    single_s: float

    @property
    def gain(self) -> float:
        """How many times as fast as the best single library."""
        return self.single_s / self.total_s if self.total_s > 0 else 1.0


def is_product(operator: str) -> bool:
    """Whether an operator's type, in any library's words, is a product with weights."""
    return bool(_PRODUCT.search(operator)) and not _NO_PRODUCT.search(operator)


def align(profiles: Mapping[str, Sequence[TimedOperator]]) -> Alignment:
    """Cuts profiles of one model into stretches that stand for the same part of its graph.

    Args:
        profiles: by library, each in the order in which operators ran.

    Raises:
        UsageError: there is no profile.
    """
    if not profiles:
        raise UsageError("no profile to align")
    products = {
        library: [i for i, item in enumerate(rows) if is_product(item.operator)]
        for library, rows in profiles.items()
    }
    counts = Counter(len(places) for places in products.values())
    most = max(counts, key=lambda count: (counts[count], count))
    left_out = {
        library: f"it ran {len(places)} products with weights, most others {most}"
        for library, places in products.items()
        if len(places) != most
    }
    kept = [library for library in profiles if library not in left_out]
    first = profiles[kept[0]]
    stretches = []
    for number in range(max(most, 1)):
        durations = {}
        for library in kept:
            places = products[library]
            begin = places[number] if number else 0
            end = places[number + 1] if number + 1 < most else len(profiles[library])
            spent = sum(item.duration_s for item in profiles[library][begin:end])
            durations[library] = max(0.0, spent)
        head = first[products[kept[0]][number]] if most else first[0]
        stretches.append(Stretch(name=head.name, operator=head.operator, durations_s=durations))
    return Alignment(stretches=tuple(stretches), left_out=left_out)


def oracle(stretches: Sequence[Stretch], conversions_s: Sequence[float] | None = None) -> Oracle:
    """The cheapest choice of a library for each stretch.

    Args:
        stretches: see `align`; all of the same libraries.
        conversions_s: what it costs to change the library between each stretch and the next; nothing
            by default.

    Raises:
        UsageError: no stretch, a wrong number of conversions, or a negative one.
    """
    if not stretches or not stretches[0].durations_s:
        raise UsageError("no stretch to choose for")
    costs = [0.0] * (len(stretches) - 1) if conversions_s is None else list(conversions_s)
    if len(costs) != len(stretches) - 1 or min(costs, default=0.0) < 0:
        raise UsageError(
            f"{len(stretches)} stretches have {len(stretches) - 1} places to change the library, each "
            f"with a cost of at least 0; not {costs}"
        )
    libraries = list(stretches[0].durations_s)
    best = dict(stretches[0].durations_s)
    came_from: list[dict[str, str]] = []
    for stretch, cost in zip(stretches[1:], costs, strict=True):
        cheapest = min(libraries, key=lambda library: best[library])
        previous = {
            library: library if best[library] <= best[cheapest] + cost else cheapest
            for library in libraries
        }
        came_from.append(previous)
        best = {
            library: best[previous[library]]
            + (cost if previous[library] != library else 0.0)
            + stretch.durations_s[library]
            for library in libraries
        }
    choices = [min(libraries, key=lambda library: best[library])]
    for previous in reversed(came_from):
        choices.append(previous[choices[-1]])
    choices.reverse()
    changes = sum(
        cost for cost, one, two in zip(costs, choices[:-1], choices[1:], strict=True) if one != two
    )
    totals = {n: sum(stretch.durations_s[n] for stretch in stretches) for n in libraries}
    single = min(libraries, key=lambda library: totals[library])
    return Oracle(
        total_s=best[choices[-1]],
        choices=tuple(choices),
        conversions_s=changes,
        single=single,
        single_s=totals[single],
    )
