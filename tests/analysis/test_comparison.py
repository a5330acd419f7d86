"""Comparisons: known answers, symmetry, error rates, and what may be compared."""

import math

import numpy as np
import pytest

from gaugenn.analysis.comparison import (
    Design,
    Outcome,
    compare_groups,
    compare_pairs,
    differing,
    holm,
    over_models,
    took_turns,
)
from gaugenn.errors import UsageError


def drifting(seed: int, ratio: float, n: int = 8) -> tuple[list[float], list[float]]:
    """Two experiments on a machine whose blocks differ by 20 %, launches inside one by 1 %."""
    random = np.random.default_rng(seed)
    block = random.lognormal(0, 0.2, n)
    first = block * random.lognormal(0, 0.01, n)
    return first.tolist(), (ratio * block * random.lognormal(0, 0.01, n)).tolist()


def test_pairs_use_student_t_on_the_logarithms_of_their_ratios() -> None:
    ratios = [math.exp(i / 100) for i in range(5)]
    found = compare_pairs([2.0] * 5, [2.0 * r for r in ratios])
    deviation = math.sqrt(5 * 6 / 12) / 100
    assert found.ratio == pytest.approx(math.exp(0.02))
    assert found.low == pytest.approx(
        math.exp(0.02 - 2.776445 * deviation / math.sqrt(5)), rel=1e-6
    )
    # t = 0.02 / (deviation / sqrt(5)) = 2.828427 with 4 degrees of freedom.
    assert found.p_value == pytest.approx(0.047421, abs=1e-5)
    assert (found.design, found.pairs) == (Design.PAIRED, 5)


def test_groups_use_ranks_and_welch() -> None:
    found = compare_groups([1.0, 1.1, 1.2, 1.3, 1.4], [2.0, 2.1, 2.2, 2.3, 2.4])
    assert found.p_value == pytest.approx(2 / 252)
    assert found.design is Design.RANKS
    assert found.outcome() is Outcome.SLOWER
    assert found.low is not None
    assert 1.0 < found.low < found.ratio


def test_exchanging_the_sides_inverts_the_answer() -> None:
    first, second = drifting(1, 1.1)
    for compare in (compare_pairs, compare_groups):
        there, back = compare(first, second), compare(second, first)
        assert there.ratio == pytest.approx(1 / back.ratio)
        assert there.low == pytest.approx(1 / (back.high or math.nan))
        assert there.p_value == pytest.approx(back.p_value)


def test_units_do_not_matter() -> None:
    first, second = drifting(1, 1.1)
    for compare in (compare_pairs, compare_groups):
        one = compare(first, second)
        other = compare([1000 * v for v in first], [1000 * v for v in second])
        assert one.ratio == pytest.approx(other.ratio)
        assert one.p_value == pytest.approx(other.p_value)


def test_pairing_sees_what_drift_hides_from_ranks() -> None:
    pairs = [compare_pairs(*drifting(seed, 1.05)).outcome() for seed in range(200)]
    groups = [compare_groups(*drifting(seed, 1.05)).outcome() for seed in range(200)]
    assert pairs.count(Outcome.SLOWER) >= 190
    assert groups.count(Outcome.SLOWER) <= 20


def test_false_alarms_are_as_rare_as_they_say() -> None:
    for compare in (compare_pairs, compare_groups):
        significant = [
            (compare(*drifting(seed, 1.0)).p_value or 0.0) <= 0.05 for seed in range(1000)
        ]
        assert sum(significant) <= 70


def test_a_significant_difference_below_the_threshold_does_not_count() -> None:
    first = [1.0, 1.001, 0.999, 1.0, 1.0005, 0.9995]
    second = [1.01 * value for value in first]
    found = compare_groups(first, second)
    assert found.p_value is not None
    assert found.p_value < 0.01
    assert found.outcome(0.02) is Outcome.EQUIVALENT
    assert found.outcome(0.005) is Outcome.SLOWER
    assert compare_groups(second, first).outcome(0.005) is Outcome.FASTER


def test_a_wide_interval_is_undecided() -> None:
    found = compare_pairs([1.0, 1.2, 0.8, 1.1], [1.1, 1.0, 1.0, 1.0])
    assert found.outcome(0.02) is Outcome.UNDECIDED
    assert found.outcome(1.0) is Outcome.EQUIVALENT


def test_a_corrected_p_takes_the_place_of_the_differences_own() -> None:
    found = compare_groups([1.0, 1.1, 1.2, 1.3, 1.4], [2.0, 2.1, 2.2, 2.3, 2.4])
    assert found.outcome(p_value=0.06) is Outcome.UNDECIDED
    assert found.outcome(p_value=0.06, level=0.1) is Outcome.SLOWER


@pytest.mark.parametrize("n", [1, 2])
def test_one_or_two_launches_decide_nothing(n: int) -> None:
    for compare in (compare_pairs, compare_groups):
        found = compare([1.0, 1.1][:n], [5.0, 5.5][:n])
        assert (found.low, found.high, found.p_value) == (None, None, None)
        assert found.outcome() is Outcome.UNDECIDED
        assert found.ratio == pytest.approx(5.0)


def test_equal_launches_are_equivalent() -> None:
    for compare in (compare_pairs, compare_groups):
        found = compare([3.0] * 5, [3.0] * 5)
        assert found.ratio == 1.0
        assert found.outcome() is Outcome.EQUIVALENT


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(UsageError, match="paired"):
        compare_pairs([1.0], [1.0, 1.0])
    for compare in (compare_pairs, compare_groups):
        with pytest.raises(UsageError, match="positive"):
            compare([1.0, math.nan, 1.0], [1.0, 1.0, 1.0])


def test_holm_corrects_in_order_and_skips_what_is_unknown() -> None:
    assert holm([0.01, None, 0.04, 0.03]) == pytest.approx((0.03, None, 0.06, 0.06))
    assert holm([0.6, 0.9]) == (1.0, 1.0)
    assert holm([]) == ()


def test_holm_keeps_the_chance_of_any_false_alarm() -> None:
    alarms = 0
    for trial in range(300):
        found = [compare_pairs(*drifting(20 * trial + k, 1.0)).p_value for k in range(20)]
        alarms += any(p is not None and p <= 0.05 for p in holm(found))
    assert alarms <= 27


def test_models_are_summed_up_by_their_geometric_mean() -> None:
    found = over_models([0.5, 2.0, 1.0])
    assert found.value == pytest.approx(1.0)
    assert found.n == 3
    assert found.low is not None
    assert over_models([2.0]).low is None


def stamps(*minutes: int) -> list[tuple[int, str]]:
    return [(n, f"2026-01-01T00:{m:02}:00.000+00:00") for n, m in enumerate(minutes)]


def test_launches_that_took_turns_are_paired_and_others_are_not() -> None:
    assert took_turns(stamps(0, 3, 4), stamps(1, 2, 5)) == [0, 1, 2]
    assert took_turns(stamps(0, 3, 4, 9), stamps(1, 2, 5)) == [0, 1, 2]
    assert took_turns(stamps(0, 1, 2), stamps(3, 4, 5)) == []
    assert took_turns(stamps(0, 3), stamps(1, 2)) == []


def test_conditions_that_differ_are_named_unless_they_are_the_question() -> None:
    one = {"threads": "1", "engine": "a", "governor": "schedutil"}
    two = {"threads": "2", "engine": "b"}
    assert differing(one, two, frozenset({"engine"})) == {
        "governor": ("schedutil", "unknown"),
        "threads": ("1", "2"),
    }
    assert differing(one, one) == {}
