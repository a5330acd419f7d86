"""A latency that nobody measured, told from what was measured, with how wrong such a number is.

For one library with its settings on one device, several laws are fitted to the models that ran there:

- `operations`: a power of the MACs, nothing else. The baseline that has to be beaten.
- `parts`: a sum over the kinds of layers, each with a price for its MACs and its nodes, and a
price for the
  bytes that move. No price is negative. Times of single operators, where a profile has them, are more
  equations for the same prices.
- `trees`: what the baseline leaves over, by an ensemble of trees; only with `FEWEST_FOR_TREES` models.

Which law is taken is decided by cross-validation inside the examples, and the whole of it, the choice
included, is judged by cross-validation around them. An architecture is never on both sides, so that a
fine-tuned copy does not give its original's latency away. The interval is that of the errors on
architectures that were left out (split conformal prediction on cross-validated residuals).

Source: https://doi.org/10.1214/20-AOS1965 (intervals from residuals of models that were left out)
"""

import importlib.util
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from gaugenn.analysis.power_law import fit_power_law
from gaugenn.analysis.ranking import mean_interval
from gaugenn.errors import MissingToolError, UsageError
from gaugenn.records import LayerClass

LEVEL = 0.9
"""Of the interval. One of 95 % would need 19 architectures at least, and this one needs 9."""
FEWEST_ARCHITECTURES = 10
"""One more than the interval needs: each law is then judged on what was fitted to nine or more."""
FEWEST_FOR_TREES = 40
SEED = 0
_FOLDS = 10
_INNER_FOLDS = 5
_TREES = 60
_LEAF = 3
BASELINE = "operations"

Reals = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a model's inference on one sample has to do.

    Attributes:
        macs: multiply-accumulates, by kind of layer.
        nodes: operators, by kind of layer.
        bytes_: that move: weights, and outputs of all operators.
    """

    macs: Mapping[LayerClass, float]
    nodes: Mapping[LayerClass, float]
    bytes_: float

    @property
    def total_macs(self) -> float:
        """Of all layers."""
        return sum(self.macs.values())

    @property
    def total_nodes(self) -> float:
        """Of all kinds."""
        return sum(self.nodes.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A model that was measured.

    Attributes:
        model: its digest.
        architecture: what must not be on both sides of a validation.
        work: what it does.
        latency_s: of an inference on one sample.
        operators: time of all operators of a kind in a profile, with the work of these layers.
    """

    model: str
    architecture: str
    work: Work
    latency_s: float
    operators: tuple[tuple[Work, float], ...] = field(default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """How wrong a law is on architectures that it has not seen.

    Attributes:
        factor: typical error: geometric mean over architectures of predicted over measured, or the
            inverse, whichever is above 1.
        low: lower end of its 95 % interval over architectures.
        high: upper end.
    """

    factor: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """A latency that was not measured.

    Attributes:
        latency_s: the most likely one.
        low_s: lower end of the interval.
        high_s: upper end.
        outside: the model does more, or less, than any that was measured, so the interval may not hold.
    """

    latency_s: float
    low_s: float
    high_s: float
    outside: bool


Law = Callable[[Sequence[Work]], Reals]
"""Latencies of models, in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictor:
    """A law with what is known of its errors.

    Attributes:
        law: name of the law that was chosen from all examples.
        accuracy: of the whole procedure, choice included, on architectures left out.
        baseline: of `operations` alone, on the same.
        held_out: what was predicted for each example while its architecture was left out.
        examples: models.
        architectures: different ones.
    """

    law: str
    accuracy: Accuracy
    baseline: Accuracy
    held_out: Mapping[str, Prediction]
    examples: int
    architectures: int
    _at: Law
    _reach: float
    _macs: tuple[float, float]

    def predict(self, work: Work) -> Prediction:
        """The latency of a model.

        Raises:
            UsageError: a model without a MAC.
        """
        _require_macs(work)
        return _prediction(float(self._at([work])[0]), self._reach, work, self._macs)


def fit(examples: Sequence[Example]) -> Predictor:
    """Fits a predictor to what was measured with one library and its settings on one device.

    Equal examples give an equal predictor, in whatever order.

    Raises:
        UsageError: fewer than `FEWEST_ARCHITECTURES` architectures, or an example without MACs
        or with a
            latency that is not above 0.
        MissingToolError: scikit-learn is not installed.
    """
    examples = sorted(examples, key=lambda e: (e.architecture, e.model))
    architectures = sorted({e.architecture for e in examples})
    if len(architectures) < FEWEST_ARCHITECTURES:
        raise UsageError(
            f"{len(architectures)} measured architectures are too few to predict from; "
            f"{FEWEST_ARCHITECTURES} are needed, so measure {FEWEST_ARCHITECTURES - len(architectures)}"
            " more with the same settings"
        )
    for example in examples:
        _require_macs(example.work)
        if not example.latency_s > 0:
            raise UsageError(f"model {example.model[:12]}: a latency of {example.latency_s} s")
    _require_library()
    ours: dict[str, float] = {}
    plain: dict[str, float] = {}
    for left_out in _folds(architectures, _FOLDS if len(architectures) > 2 * _FOLDS else None):
        known = [e for e in examples if e.architecture not in left_out]
        ours |= _made(_fitted(_choose(known), known), examples, left_out)
        plain |= _made(_fitted(BASELINE, known), examples, left_out)
    errors = _errors(examples, ours)
    reach = _quantile([max(values) for values in errors.values()])
    macs = [e.work.total_macs for e in examples]
    bounds = min(macs), max(macs)
    chosen = _choose(examples)
    return Predictor(
        law=chosen,
        accuracy=_accuracy(errors),
        baseline=_accuracy(_errors(examples, plain)),
        held_out={e.model: _prediction(ours[e.model], reach, e.work, bounds) for e in examples},
        examples=len(examples),
        architectures=len(architectures),
        _at=_fitted(chosen, examples),
        _reach=reach,
        _macs=bounds,
    )


def _choose(examples: Sequence[Example]) -> str:
    """The baseline, or the law that beats it in cross-validation by more than a standard error."""
    architectures = sorted({e.architecture for e in examples})
    laws = [BASELINE, "parts"] + (["trees"] if len(examples) >= FEWEST_FOR_TREES else [])
    found: dict[str, dict[str, float]] = {law: {} for law in laws}
    for left_out in _folds(architectures, _INNER_FOLDS):
        known = [e for e in examples if e.architecture not in left_out]
        for law in laws:
            found[law] |= _made(_fitted(law, known), examples, left_out)
    means = {
        law: np.asarray([np.mean(v) for v in _errors(examples, made).values()])
        for law, made in found.items()
    }
    best = BASELINE
    for law in laws[1:]:
        gain = means[BASELINE] - means[law]
        error = float(gain.std(ddof=1)) / math.sqrt(gain.size)
        if float(gain.mean()) > error and means[law].mean() < means[best].mean():
            best = law
    return best


def _made(law: Law, examples: Sequence[Example], left_out: frozenset[str]) -> dict[str, float]:
    """What a law says of the examples that it was not fitted to."""
    new = [e for e in examples if e.architecture in left_out]
    latencies = law([e.work for e in new])
    return {e.model: float(s) for e, s in zip(new, latencies, strict=True)}


def _fitted(law: str, examples: Sequence[Example]) -> Law:
    return {BASELINE: _operations, "parts": _parts, "trees": _trees}[law](examples)


def _operations(examples: Sequence[Example]) -> Law:
    macs = [e.work.total_macs for e in examples]
    latencies = [e.latency_s for e in examples]
    found = fit_power_law(macs, latencies)
    if found is None:  # all have the same number of MACs
        level = float(np.exp(np.mean(np.log(latencies))))
        return lambda works: np.full(len(works), level)
    return lambda works: np.asarray([found.at(work.total_macs) for work in works])


def _parts(examples: Sequence[Example]) -> Law:
    """Relative errors count: each equation is divided by its latency, and has the weight of a model."""
    from sklearn.linear_model import LinearRegression

    kinds = sorted({kind for e in examples for kind in (*e.work.macs, *e.work.nodes)})
    rows: list[Reals] = []
    weights: list[float] = []
    for example in examples:
        rows.append(_prices(example.work, kinds, 1.0) / example.latency_s)
        weights.append(1.0)
        total_s = sum(seconds for _, seconds in example.operators)
        for work, seconds in example.operators:
            # A profile perturbs: its times are scaled to the latency that was measured without.
            scaled_s = seconds * example.latency_s / total_s
            rows.append(_prices(work, kinds, 0.0) / scaled_s)
            weights.append(scaled_s / example.latency_s)
    table = np.asarray(rows)
    scale = np.where(table.max(axis=0) > 0, table.max(axis=0), 1.0)
    model = LinearRegression(positive=True, fit_intercept=False)
    model.fit(table / scale, np.ones(len(rows)), sample_weight=np.asarray(weights))
    prices: Reals = np.asarray(model.coef_, dtype=np.float64) / scale
    least = min(e.latency_s for e in examples) / 100

    def at(works: Sequence[Work]) -> Reals:
        table = np.asarray([_prices(work, kinds, 1.0) for work in works])
        return np.maximum(least, table @ prices)

    return at


def _prices(work: Work, kinds: Sequence[LayerClass], start: float) -> Reals:
    """What has a price: starting an inference, MACs and nodes of each kind, bytes."""
    return np.asarray(
        [
            start,
            *(work.macs.get(kind, 0.0) for kind in kinds),
            *(work.nodes.get(kind, 0.0) for kind in kinds),
            work.bytes_,
        ],
        dtype=np.float64,
    )


def _trees(examples: Sequence[Example]) -> Law:
    from sklearn.ensemble import ExtraTreesRegressor

    base = _operations(examples)
    kinds = sorted({kind for e in examples for kind in e.work.nodes})
    left = np.log([e.latency_s for e in examples]) - np.log(base([e.work for e in examples]))
    model = ExtraTreesRegressor(
        n_estimators=_TREES, min_samples_leaf=_LEAF, random_state=SEED, n_jobs=1
    )
    model.fit(np.asarray([_described(e.work, kinds) for e in examples]), left)

    def at(works: Sequence[Work]) -> Reals:
        more = model.predict(np.asarray([_described(work, kinds) for work in works]))
        return np.asarray(base(works) * np.exp(more), dtype=np.float64)

    return at


def _described(work: Work, kinds: Sequence[LayerClass]) -> Reals:
    macs, nodes = work.total_macs, max(work.total_nodes, 1.0)
    return np.asarray(
        [
            math.log(macs),
            math.log(nodes),
            math.log(max(work.bytes_, 1.0)),
            math.log(macs / max(work.bytes_, 1.0)),
            *(work.macs.get(kind, 0.0) / macs for kind in kinds),
            *(work.nodes.get(kind, 0.0) / nodes for kind in kinds),
        ],
        dtype=np.float64,
    )


def _folds(architectures: Sequence[str], count: int | None) -> list[frozenset[str]]:
    """Each architecture by itself, or in so many folds."""
    if count is None:
        return [frozenset({name}) for name in architectures]
    return [frozenset(architectures[start::count]) for start in range(count)]


def _errors(examples: Sequence[Example], made: Mapping[str, float]) -> dict[str, list[float]]:
    """Absolute errors of the logarithms, by architecture."""
    found: dict[str, list[float]] = defaultdict(list)
    for example in examples:
        error = abs(math.log(made[example.model] / example.latency_s))
        found[example.architecture].append(error)
    return found


def _accuracy(errors: Mapping[str, Sequence[float]]) -> Accuracy:
    means = [float(np.mean(values)) for values in errors.values()]
    low, high = mean_interval(means, (0.0, math.inf))
    return Accuracy(
        factor=math.exp(float(np.mean(means))),
        low=math.exp(low or 0.0),
        high=math.exp(high or 0.0),
    )


def _quantile(errors: Sequence[float]) -> float:
    """The error that a new architecture stays within, in `LEVEL` of all cases."""
    place = math.ceil(LEVEL * (len(errors) + 1))
    return sorted(errors)[min(place, len(errors)) - 1]


def _prediction(
    latency_s: float, reach: float, work: Work, bounds: tuple[float, float]
) -> Prediction:
    return Prediction(
        latency_s=latency_s,
        low_s=latency_s * math.exp(-reach),
        high_s=latency_s * math.exp(reach),
        outside=not bounds[0] <= work.total_macs <= bounds[1],
    )


def _require_macs(work: Work) -> None:
    if not work.total_macs > 0:
        raise UsageError("a model without a known MAC has no work to predict from")


def _require_library() -> None:
    if importlib.util.find_spec("sklearn") is None:
        raise MissingToolError("A prediction", "scikit-learn", "pip install 'gaugenn[predict]'")
