"""Planted laws are found again, copies do not leak, and too few models are refused."""

import math

import numpy as np
import pytest

from gaugenn.analysis import prediction
from gaugenn.analysis.prediction import FEWEST_ARCHITECTURES, Example, Predictor, Work, fit
from gaugenn.errors import MissingToolError, UsageError
from gaugenn.records import LayerClass

CONVOLUTION, DEPTHWISE = LayerClass.CONVOLUTION, LayerClass.DEPTHWISE_CONVOLUTION
PRICES = {CONVOLUTION: 2e-11, DEPTHWISE: 4e-10}
"""Seconds a MAC."""
NODE_S = 3e-6


def works(count: int, seed: int = 1) -> list[Work]:
    """Networks of all sizes and mixes of two kinds of layers."""
    random = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        macs = float(np.exp(random.uniform(np.log(1e6), np.log(3e9))))
        share = float(random.uniform(0.01, 0.6))
        nodes = float(random.integers(5, 100))
        made.append(
            Work(
                macs={CONVOLUTION: macs * (1 - share), DEPTHWISE: macs * share},
                nodes={CONVOLUTION: nodes / 2, DEPTHWISE: nodes / 2},
                bytes_=macs / 10,
            )
        )
    return made


def parts_s(work: Work) -> float:
    return sum(PRICES[k] * m for k, m in work.macs.items()) + NODE_S * work.total_nodes


def examples(count: int, law: object, noise: float = 0.01, seed: int = 2) -> list[Example]:
    random = np.random.default_rng(seed)
    return [
        Example(
            model=f"model {place:03d}",
            architecture=f"architecture {place:03d}",
            work=work,
            latency_s=law(work) * math.exp(random.normal(0, noise)),  # type: ignore[operator]
        )
        for place, work in enumerate(works(count))
    ]


@pytest.fixture(scope="module")
def of_parts() -> Predictor:
    return fit(examples(30, parts_s))


def test_a_planted_sum_over_parts_is_found_and_beats_the_operations(of_parts: Predictor) -> None:
    assert of_parts.law == "parts"
    assert of_parts.accuracy.factor < 1.03
    assert of_parts.baseline.factor > 1.3
    assert (of_parts.examples, of_parts.architectures) == (30, 30)
    for work in works(20, seed=9):
        found = of_parts.predict(work)
        assert found.latency_s == pytest.approx(parts_s(work), rel=0.05)


def test_the_interval_holds_nearly_all_of_the_models_that_were_left_out(
    of_parts: Predictor,
) -> None:
    measured = {e.model: e.latency_s for e in examples(30, parts_s)}
    held = [p.low_s <= measured[m] <= p.high_s for m, p in of_parts.held_out.items()]
    assert len(held) == 30
    assert sum(held) >= 27
    fresh = examples(60, parts_s, seed=11)
    held = [
        p.low_s <= e.latency_s <= p.high_s
        for e, p in ((e, of_parts.predict(e.work)) for e in fresh)
    ]
    assert sum(held) >= 45


def test_where_operations_tell_all_the_baseline_is_taken() -> None:
    found = fit(examples(30, lambda work: 1e-11 * work.total_macs**1.02, noise=0.1))
    assert found.law == "operations"
    assert found.accuracy.factor == pytest.approx(found.baseline.factor, rel=0.02)


def test_many_models_with_a_bent_law_are_given_to_trees() -> None:
    def bent(work: Work) -> float:
        return 1e-11 * work.total_macs * (4.0 if work.total_nodes > 50 else 1.0)

    found = fit(examples(80, bent))
    assert found.law == "trees"
    assert found.accuracy.factor < 0.75 * found.baseline.factor


def test_a_copy_of_an_architecture_does_not_give_the_latency_away() -> None:
    # Latencies without any law: only a copy could tell them.
    random = np.random.default_rng(5)
    alone = [
        Example(
            model=f"model {n}",
            architecture=f"architecture {n}",
            work=work,
            latency_s=float(np.exp(random.normal(-5, 1.5))),
        )
        for n, work in enumerate(works(25))
    ]
    copies = [
        Example(
            model=f"{e.model} again",
            architecture=e.architecture,
            work=e.work,
            latency_s=e.latency_s,
        )
        for e in alone
    ]
    found = fit([*alone, *copies])
    assert found.architectures == 25
    assert found.accuracy.factor > 2, "as wrong as without the copies"
    leaking = [
        Example(model=e.model, architecture=e.model, work=e.work, latency_s=e.latency_s)
        for e in (*alone, *copies)
    ]
    assert fit(leaking).accuracy.factor < found.accuracy.factor


def test_times_of_operators_are_more_equations_for_the_same_prices() -> None:
    # Every model has the same mix, so latencies alone cannot tell what a kind costs.
    mixed = [
        Work(
            macs={CONVOLUTION: m / 2, DEPTHWISE: m / 2},
            nodes={CONVOLUTION: 0.0, DEPTHWISE: 0.0},
            bytes_=0.0,
        )
        for m in np.geomspace(1e7, 1e9, FEWEST_ARCHITECTURES)
    ]

    def part(work: Work, kind: LayerClass) -> tuple[Work, float]:
        alone = Work(macs={kind: work.macs[kind]}, nodes={}, bytes_=0.0)
        return alone, 1.5 * PRICES[kind] * work.macs[kind]

    made = [
        Example(
            model=f"m{n}",
            architecture=f"a{n}",
            work=work,
            latency_s=parts_s(work),
            operators=(part(work, CONVOLUTION), part(work, DEPTHWISE)),
        )
        for n, work in enumerate(mixed)
    ]
    law = prediction._parts(made)
    only = Work(macs={DEPTHWISE: 1e8}, nodes={}, bytes_=0.0)
    assert law([only]) == pytest.approx([PRICES[DEPTHWISE] * 1e8], rel=0.01)


def test_the_order_of_examples_changes_nothing(of_parts: Predictor) -> None:
    again = fit(examples(30, parts_s)[::-1])
    work = works(1, seed=4)[0]
    assert again.predict(work) == of_parts.predict(work)
    assert again.accuracy == of_parts.accuracy


def test_a_model_beyond_those_that_were_measured_is_marked(of_parts: Predictor) -> None:
    huge = Work(macs={CONVOLUTION: 1e12}, nodes={CONVOLUTION: 10.0}, bytes_=1e9)
    assert of_parts.predict(huge).outside
    assert not of_parts.predict(works(1)[0]).outside


def test_too_few_architectures_are_refused_with_how_many_are_needed() -> None:
    few = examples(FEWEST_ARCHITECTURES - 3, parts_s)
    with pytest.raises(UsageError, match=r"7 measured architectures .* 10 are needed.* 3 more"):
        fit(few)


def test_models_without_work_or_latency_are_refused() -> None:
    made = examples(FEWEST_ARCHITECTURES, parts_s)
    empty = Work(macs={}, nodes={}, bytes_=1.0)
    with pytest.raises(UsageError, match="without a known MAC"):
        fit([*made, Example(model="m", architecture="a", work=empty, latency_s=1.0)])
    with pytest.raises(UsageError, match="a latency of 0"):
        fit([*made, Example(model="m", architecture="a", work=works(1)[0], latency_s=0.0)])


def test_without_scikit_learn_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(MissingToolError, match=r"gaugenn\[predict\]"):
        fit(examples(FEWEST_ARCHITECTURES, parts_s))
