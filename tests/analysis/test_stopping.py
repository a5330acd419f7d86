"""When a job has been launched often enough, and when a launch is warm."""

import math

import numpy as np
import pytest

from gaugenn.analysis.stopping import LaunchRule, Stop
from gaugenn.errors import UsageError


def spread(n: int, half_width: float) -> list[float]:
    """Medians whose interval has this half-width: half of them above 1, half below."""
    from scipy.special import stdtrit

    assert n % 2 == 0
    deviation = half_width / float(stdtrit(n - 1, 0.975)) * math.sqrt(n) * math.sqrt((n - 1) / n)
    return [math.exp(deviation), math.exp(-deviation)] * (n // 2)


def test_a_job_ends_once_its_interval_is_as_narrow_as_asked() -> None:
    rule = LaunchRule(precision=0.02)
    wide, narrow = rule.decide(spread(8, 0.021)), rule.decide(spread(8, 0.019))
    assert wide.stop is None
    assert wide.half_width == pytest.approx(0.021)
    assert narrow.stop is Stop.PRECISE
    assert narrow.half_width == pytest.approx(0.019)


def test_luck_does_not_end_a_job_before_its_minimum() -> None:
    assert LaunchRule(precision=0.02).decide([1.0] * 7).stop is None
    assert LaunchRule(precision=0.02).decide([1.0] * 8).stop is Stop.PRECISE
    assert LaunchRule(precision=0.02, minimum=3).decide([1.0] * 3).stop is Stop.PRECISE


def test_no_interval_is_never_precise() -> None:
    rule = LaunchRule(precision=0.5, minimum=1)
    for medians in ([], [1.0], [1.0, 1.0]):
        assert rule.decide(medians) == LaunchRule(precision=0.5).decide(medians)
        assert rule.decide(medians).half_width is None
        assert rule.decide(medians).stop is None


def test_the_most_launches_end_a_job_that_is_still_wide() -> None:
    rule = LaunchRule(precision=0.01, maximum=10)
    assert rule.decide(spread(8, 0.05)).stop is None
    assert rule.decide(spread(10, 0.05)).stop is Stop.CI_WIDE
    assert rule.decide(spread(8, 0.05), launches=10).stop is Stop.CI_WIDE
    assert rule.decide(spread(10, 0.005)).stop is Stop.PRECISE


def test_without_a_precision_the_number_of_launches_decides() -> None:
    rule = LaunchRule(minimum=1, maximum=5)
    assert rule.decide([1.0] * 4).stop is None
    assert rule.decide([1.0] * 5).stop is Stop.LAUNCHES


def test_a_launch_that_would_overrun_the_budget_is_not_begun() -> None:
    rule = LaunchRule(precision=0.02, budget_s=100)
    assert rule.decide([1.0], spent_s=80, next_s=15).stop is None
    assert rule.decide([1.0], spent_s=80, next_s=25).stop is Stop.BUDGET
    assert rule.decide(spread(8, 0.01), spent_s=200).stop is Stop.PRECISE


@pytest.mark.parametrize(
    "bad",
    [
        {"precision": 0.0},
        {"precision": 2.0},
        {"minimum": 0},
        {"minimum": 9, "maximum": 8},
        {"budget_s": 0.0},
        {"budget_s": math.nan},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(bad: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        LaunchRule(**bad)  # type: ignore[arg-type]


def test_stopping_early_by_luck_costs_coverage_and_the_minimum_bounds_it() -> None:
    """The medians of 1,500 seeded jobs; their truth is 1."""

    def coverage(minimum: int) -> float:
        random = np.random.default_rng(7)
        rule = LaunchRule(precision=0.02, minimum=minimum)
        hits = 0
        for _ in range(1500):
            series = random.lognormal(0, 0.03, rule.maximum).tolist()
            n = minimum
            while rule.decide(series[:n]).stop is None:
                n += 1
            medians = np.log(series[:n])
            half = rule.decide(series[:n]).half_width or 0.0
            hits += abs(float(medians.mean())) <= half
        return hits / 1500

    three, eight = coverage(3), coverage(8)
    assert three < eight
    assert eight >= 0.92
