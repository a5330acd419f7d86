"""Estimates over launches: known answers, invariances, coverage, and what is refused."""

import math

import numpy as np
import pytest

from gaugenn.analysis.statistics import estimate, summarise_launch
from gaugenn.errors import UsageError


def test_constant_launches_have_an_interval_of_nothing() -> None:
    found = estimate([2.0] * 5)
    assert found.value == pytest.approx(2.0)
    assert found.low == pytest.approx(2.0)
    assert found.high == pytest.approx(2.0)
    assert found.variation == 0.0


@pytest.mark.parametrize(("n", "quantile"), [(3, 4.302653), (5, 2.776445), (8, 2.364624)])
def test_the_interval_uses_student_t(n: int, quantile: float) -> None:
    values = [math.exp(i) for i in range(n)]
    found = estimate(values)
    deviation = math.sqrt(n * (n + 1) / 12)
    half = quantile * deviation / math.sqrt(n)
    assert found.value == pytest.approx(math.exp((n - 1) / 2))
    assert found.half_width == pytest.approx(half, rel=1e-6)
    assert found.low == pytest.approx(found.value * math.exp(-half), rel=1e-6)


def test_a_wider_confidence_gives_a_wider_interval() -> None:
    values = [1.0, 1.1, 1.2, 1.05]
    widths = [estimate(values, level).half_width or 0.0 for level in (0.5, 0.9, 0.99)]
    assert widths == sorted(widths)
    assert len(set(widths)) == 3


@pytest.mark.parametrize("n", [1, 2])
def test_one_or_two_launches_give_no_interval(n: int) -> None:
    found = estimate([4.0, 9.0][:n])
    assert found.value == pytest.approx(4.0 if n == 1 else 6.0)
    assert (found.low, found.high, found.half_width, found.n) == (None, None, None, n)


def test_units_scale_through() -> None:
    values = np.random.default_rng(1).lognormal(0, 0.05, 9).tolist()
    seconds, milliseconds = estimate(values), estimate([1000 * v for v in values])
    assert milliseconds.value == pytest.approx(1000 * seconds.value)
    assert milliseconds.half_width == pytest.approx(seconds.half_width)


def test_the_order_of_launches_does_not_matter() -> None:
    values = np.random.default_rng(2).lognormal(0, 0.05, 9).tolist()
    forward, backward = estimate(values), estimate(values[::-1])
    assert forward.low == pytest.approx(backward.low, rel=1e-12)
    assert forward.high == pytest.approx(backward.high, rel=1e-12)


@pytest.mark.parametrize("launches", [3, 5, 10])
def test_the_interval_covers_the_truth_as_often_as_it_says(launches: int) -> None:
    random = np.random.default_rng(launches)
    runs, hits = 1500, 0
    for _ in range(runs):
        found = estimate((10.0 * random.lognormal(0, 0.03, launches)).tolist())
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= 10.0 <= found.high
    assert 0.93 <= hits / runs <= 0.97


@pytest.mark.parametrize("bad", [math.nan, math.inf, 0.0, -1.0])
def test_what_no_clock_can_measure_is_refused(bad: float) -> None:
    for summarise in (estimate, summarise_launch):
        with pytest.raises(UsageError, match=r"sample 1 is .*positive, finite"):
            summarise([1.0, bad])


def test_nothing_cannot_be_summarised() -> None:
    for summarise in (estimate, summarise_launch):
        with pytest.raises(UsageError, match="no sample"):
            summarise([])


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0])
def test_a_confidence_is_between_nothing_and_certainty(confidence: float) -> None:
    with pytest.raises(UsageError, match="confidence"):
        estimate([1.0, 2.0, 3.0], confidence)


def test_a_launch_keeps_its_outliers_and_says_how_many() -> None:
    found = summarise_launch([*range(1, 100), 10_000])
    assert found.n == 100
    assert found.median == 50.5
    assert found.mad == 25.0
    assert found.maximum == 10_000
    assert found.outlier_share == 0.01
    assert found.p5 < found.median < found.p90 < found.p95 < found.p99
    assert found.mean > found.median
