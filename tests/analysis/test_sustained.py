"""Long runs with a known curve."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from gaugenn.analysis.sustained import Rank, Sustained, rank_change, sustained
from gaugenn.errors import UsageError


def run(level_s: Callable[[float], float], duration_s: float = 600.0) -> Sustained:
    """A run whose inferences take what a function of time says."""
    starts, latencies, now = [], [], 5.0
    while now - 5.0 < duration_s:
        starts.append(now)
        latencies.append(level_s(now - 5.0))
        now += latencies[-1]
    return sustained(starts, latencies)


def test_a_level_run_does_not_throttle() -> None:
    found = run(lambda _: 0.05)
    assert found.first_minute_s == found.steady_s == 0.05
    assert (found.degradation, found.throttled_after_s) == (0, None)
    assert [w.begin_s for w in found.windows[:20]] == [30.0 * n for n in range(20)]
    assert found.windows[0].n == 600


def test_a_step_is_found_where_it_is() -> None:
    found = run(lambda t: 0.05 if t < 240 else 0.075)
    assert found.throttled_after_s == 240
    assert found.degradation == pytest.approx(0.5)
    assert found.first_minute_s == 0.05


def test_a_short_disturbance_is_no_throttling() -> None:
    assert run(lambda t: 0.1 if 120 <= t < 180 else 0.05).throttled_after_s is None


def test_throttling_persists_even_if_it_lets_go_for_a_moment() -> None:
    found = run(lambda t: 0.05 if t < 120 or 300 <= t < 330 else 0.075)
    assert found.throttled_after_s == 120


def test_less_than_a_tenth_is_no_throttling() -> None:
    found = run(lambda t: 0.05 if t < 120 else 0.0549)
    assert found.throttled_after_s is None
    assert found.degradation == pytest.approx(0.098)


def test_a_slow_approach_is_found_when_it_has_passed_a_tenth() -> None:
    found = run(lambda t: 0.05 * (1 + 0.5 * (1 - math.exp(-t / 300))))
    assert found.throttled_after_s is not None
    assert 60 <= found.throttled_after_s <= 150


def test_outliers_do_not_move_the_levels() -> None:
    draw = np.random.default_rng(0)
    calm = run(lambda _: 0.05)
    odd = run(lambda _: 0.05 if draw.random() > 0.05 else 0.5)
    assert odd.first_minute_s == calm.first_minute_s
    assert odd.throttled_after_s is None


def test_units_do_not_matter_to_shares() -> None:
    starts = [0.5 * n for n in range(1000)]
    latencies = [0.1 if s < 200 else 0.15 for s in starts]
    one = sustained(starts, latencies)
    other = sustained(starts, [1000 * value for value in latencies])
    assert other.degradation == pytest.approx(one.degradation)
    assert other.throttled_after_s == one.throttled_after_s == 210


def test_an_inference_longer_than_the_last_third_is_its_level() -> None:
    found = sustained([0.0, 10.0, 61.0], [10.0, 51.0, 200.0])
    assert found.steady_s == 200.0


def test_the_order_of_variants_may_turn() -> None:
    runs = {
        "sprinter": run(lambda t: 0.04 if t < 120 else 0.08),
        "walker": run(lambda _: 0.05),
        "twin": run(lambda _: 0.05),
    }
    assert rank_change(runs) == {
        "sprinter": Rank(first_minute=1, end=3),
        "walker": Rank(first_minute=2, end=1),
        "twin": Rank(first_minute=2, end=1),
    }


@pytest.mark.parametrize(
    ("starts", "latencies"),
    [
        ([], []),
        ([0.0], [0.1, 0.1]),
        ([0.0, 119.0], [0.1, 0.1]),
        ([0.0, 200.0, 100.0], [0.1, 0.1, 100.0]),
        ([0.0, 200.0], [0.1, math.nan]),
        ([0.0, 200.0], [0.0, 0.1]),
    ],
)
def test_what_is_no_sustained_run_is_a_usage_error(
    starts: list[float], latencies: list[float]
) -> None:
    with pytest.raises(UsageError):
        sustained(starts, latencies)
