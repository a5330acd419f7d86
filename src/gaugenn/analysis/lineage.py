"""Which models are the same network, and which were trained from another.

Thresholds of this tool after the 2021 study "Smart at what cost? Characterising mobile deep neural
networks in the wild": layers are compared by the digests of their weights; two models are fine-tuned
siblings when they share at least 20 % of their weighted layers, or differ in at most three.

Two relations look past the bytes. **Twins** are one architecture with another quantisation: the
digest of an architecture leaves element types and (de)quantise nodes out, so a float network and its
quantised form share it, but so do two networks of that architecture that were trained apart.
**Copies** have the values of their layers in common although their files do not: another format,
another layout, 16 instead of 32 bits; see `weight_values` for what that digest cannot see, first of
all batch normalisation that only one converter folded into the weights.

**Source:** https://arxiv.org/abs/2109.13963
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from gaugenn.records import LayerRecord, ModelRecord, QuantizationScheme

SHARED_LAYERS = 0.20
"""Share of weighted layers (of the model that has more) that makes two models siblings."""

DIFFERENT_LAYERS = 3
"""Models that differ in no more weighted layers are siblings, too."""

COPIED_LAYERS = 0.80
"""Share of weighted layers (of the model that has more) with equal values that makes two models copies.
Less than all, because one converter merges or drops layers that another keeps."""

SMALLEST_LAYER = 16
"""Layers with fewer parameters (a scale, a mean) are alike by chance and are not compared."""

MAXIMUM_HOLDERS = 64
"""A layer is compared with the first models that have it. Keeps the work near linear in the number of
layers: a layer that thousands share links each of them to some of the first, hence to one family."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Models that have a digest in common.

    Attributes:
        digest: what they share.
        models: `model_sha256` of each, sorted; at least two.
    """

    digest: str
    models: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Twins:
    """Models of one architecture that are quantised in different ways.

    Attributes:
        digest: the architecture's.
        models: `model_sha256` of each, sorted.
        schemes: their quantisation schemes, sorted; at least two.
    """

    digest: str
    models: tuple[str, ...]
    schemes: tuple[QuantizationScheme, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sibling:
    """Two models with trained layers in common.

    Attributes:
        first: `model_sha256`, smaller than `second`.
        second: the other's.
        shared_layers: weighted layers that both have.
        first_layers: weighted layers of the first.
        second_layers: weighted layers of the second.
    """

    first: str
    second: str
    shared_layers: int
    first_layers: int
    second_layers: int

    @property
    def share(self) -> float:
        """Shared layers, of the model that has more."""
        return self.shared_layers / max(self.first_layers, self.second_layers)

    @property
    def different_layers(self) -> int:
        """Layers of the model that has more that the other lacks."""
        return max(self.first_layers, self.second_layers) - self.shared_layers


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """How a set of models hangs together.

    Attributes:
        duplicates: same architecture and same weights in different files.
        architectures: same architecture, whatever the weights.
        siblings: fine-tuned pairs among models that are no duplicates, strongest first; of duplicates
            only the first model appears. Not every pair of a large family is listed.
        families: models that siblings, duplicates and copies connect, largest first.
        twins: same architecture, different quantisation.
        copies: pairs with the same values in other files: of two formats, or of two widths of floats;
            strongest first. Their layers are counted as those of siblings are.
    """

    duplicates: tuple[Group, ...]
    architectures: tuple[Group, ...]
    siblings: tuple[Sibling, ...]
    families: tuple[tuple[str, ...], ...]
    twins: tuple[Twins, ...] = ()
    copies: tuple[Sibling, ...] = ()


def trace(models: Iterable[ModelRecord], layers: Iterable[LayerRecord]) -> Lineage:
    """Finds duplicates, shared architectures and fine-tuned siblings.

    Args:
        models: the models' rows, in any order.
        layers: the rows of their layers, in any order; those of other models are ignored.
    """
    known = sorted(
        {model.model_sha256: model for model in models}.values(), key=lambda m: m.model_sha256
    )
    duplicates = _groups(
        (f"{m.architecture_sha256}/{m.weights_sha256}", m.model_sha256)
        for m in known
        if m.architecture_sha256 and m.weights_sha256
    )
    architectures = _groups(
        (m.architecture_sha256, m.model_sha256) for m in known if m.architecture_sha256
    )
    layers = tuple(layers)
    repeated = {model for group in duplicates for model in group.models[1:]}
    distinct = {m.model_sha256: m for m in known if m.model_sha256 not in repeated}
    siblings = _pairs(_layer_digests(distinct, layers, _weights_digest), are_siblings)
    copies = _pairs(
        _layer_digests(distinct, layers, _values_digest),
        lambda pair: are_copies(
            pair,
            elsewhere=_form(distinct[pair.first]) != _form(distinct[pair.second]),
        ),
    )
    return Lineage(
        duplicates=duplicates,
        architectures=architectures,
        siblings=siblings,
        families=_families((*siblings, *copies), duplicates),
        twins=_twins(architectures, distinct),
        copies=copies,
    )


def _weights_digest(layer: LayerRecord) -> str | None:
    return layer.weights_sha256


def _values_digest(layer: LayerRecord) -> str | None:
    return layer.weights_values_sha256


def are_siblings(pair: Sibling) -> bool:
    """Whether two models with layers of equal weights were trained one from the other."""
    return pair.share >= SHARED_LAYERS or pair.different_layers <= DIFFERENT_LAYERS


def are_copies(pair: Sibling, *, elsewhere: bool) -> bool:
    """Whether two models with layers of equal values are one network.

    Args:
        pair: with layers counted by their values.
        elsewhere: whether they are of two formats or of two quantisation schemes.
    """
    return elsewhere and pair.share >= COPIED_LAYERS


def _form(model: ModelRecord) -> tuple[str | None, QuantizationScheme | None]:
    return model.format, model.quantization


def _twins(architectures: Iterable[Group], models: Mapping[str, ModelRecord]) -> tuple[Twins, ...]:
    found: list[Twins] = []
    for group in architectures:
        scheme_of = {
            name: scheme
            for name in group.models
            if name in models and (scheme := models[name].quantization) is not None
        }
        schemes = tuple(sorted(set(scheme_of.values())))
        if len(schemes) > 1:
            found.append(Twins(digest=group.digest, models=tuple(scheme_of), schemes=schemes))
    return tuple(found)


def _groups(pairs: Iterable[tuple[str, str]]) -> tuple[Group, ...]:
    members: defaultdict[str, list[str]] = defaultdict(list)
    for key, model in pairs:
        members[key].append(model)
    groups = [Group(digest=k, models=tuple(sorted(m))) for k, m in members.items() if len(m) > 1]
    return tuple(sorted(groups, key=lambda group: (-len(group.models), group.digest)))


def _layer_digests(
    models: Iterable[str],
    layers: Iterable[LayerRecord],
    digest_of: Callable[[LayerRecord], str | None],
) -> Mapping[str, Counter[str]]:
    """How often each model has a layer with the same digest."""
    found: dict[str, Counter[str]] = {model: Counter() for model in sorted(models)}
    for layer in layers:
        digest = digest_of(layer)
        counts = found.get(layer.model_sha256)
        if digest and counts is not None and layer.parameters >= SMALLEST_LAYER:
            counts[digest] += 1
    return found


def _pairs(
    digests: Mapping[str, Counter[str]], is_wanted: Callable[[Sibling], bool]
) -> tuple[Sibling, ...]:
    holders: defaultdict[str, list[str]] = defaultdict(list)
    found: list[Sibling] = []
    for model, counts in digests.items():
        shared: Counter[str] = Counter()
        for layer, times in counts.items():
            for other in holders[layer]:
                shared[other] += min(times, digests[other][layer])
            if len(holders[layer]) < MAXIMUM_HOLDERS:
                holders[layer].append(model)
        for other, common in shared.items():
            first, second = sorted((model, other))
            pair = Sibling(
                first=first,
                second=second,
                shared_layers=common,
                first_layers=digests[first].total(),
                second_layers=digests[second].total(),
            )
            if is_wanted(pair):
                found.append(pair)
    return tuple(sorted(found, key=lambda pair: (-pair.share, pair.first, pair.second)))


def _families(
    siblings: Sequence[Sibling], duplicates: Sequence[Group]
) -> tuple[tuple[str, ...], ...]:
    leader: dict[str, str] = {}

    def find(model: str) -> str:
        leader.setdefault(model, model)
        while leader[model] != model:
            leader[model] = leader[leader[model]]
            model = leader[model]
        return model

    for pair in siblings:
        leader[find(pair.second)] = find(pair.first)
    for group in duplicates:
        for model in group.models[1:]:
            leader[find(model)] = find(group.models[0])
    members: defaultdict[str, list[str]] = defaultdict(list)
    for model in list(leader):
        members[find(model)].append(model)
    families = [tuple(sorted(family)) for family in members.values() if len(family) > 1]
    return tuple(sorted(families, key=lambda family: (-len(family), family)))
