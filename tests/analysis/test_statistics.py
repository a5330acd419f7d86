"""Estimates over launches: known answers, invariances, coverage, and what is refused."""

import math

import numpy as np
import pytest

from gaugenn.analysis.statistics import (
    BOOTSTRAP_LAUNCHES,
    Interval,
    estimate,
    estimate_percentile,
    is_bimodal,
    proportion,
    summarise_launch,
)
from gaugenn.errors import UsageError


@pytest.mark.parametrize("n", [5, 20])
def test_constant_launches_have_an_interval_of_nothing(n: int) -> None:
    found = estimate([2.0] * n)
    assert found.value == pytest.approx(2.0)
    assert found.low == pytest.approx(2.0)
    assert found.high == pytest.approx(2.0)
    assert found.variation == pytest.approx(0.0, abs=1e-12)


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


@pytest.mark.parametrize("n", [9, 20])
def test_units_scale_through(n: int) -> None:
    values = np.random.default_rng(1).lognormal(0, 0.05, n).tolist()
    seconds, milliseconds = estimate(values), estimate([1000 * v for v in values])
    assert milliseconds.value == pytest.approx(1000 * seconds.value)
    assert milliseconds.half_width == pytest.approx(seconds.half_width)


@pytest.mark.parametrize("n", [9, 20])
def test_the_order_of_launches_does_not_matter(n: int) -> None:
    values = np.random.default_rng(2).lognormal(0, 0.05, n).tolist()
    forward, backward = estimate(values), estimate(values[::-1])
    assert forward.low == pytest.approx(backward.low, rel=1e-12)
    assert forward.high == pytest.approx(backward.high, rel=1e-12)


def test_many_launches_are_resampled_and_agree_with_t_where_they_are_normal() -> None:
    values = np.exp(0.03 * np.sqrt(2) * ndtri_grid(BOOTSTRAP_LAUNCHES)).tolist()
    few, many = estimate(values[:-1]), estimate(values)
    assert few.interval is Interval.STUDENT
    assert many.interval is Interval.BOOTSTRAP
    assert many.variation is not None
    expected = 2.144787 * many.variation / math.sqrt(BOOTSTRAP_LAUNCHES)
    assert many.half_width == pytest.approx(expected, rel=0.08)


def ndtri_grid(n: int) -> np.ndarray:
    from scipy.special import ndtri

    return np.asarray(ndtri((np.arange(n) + 0.5) / n))


def test_a_skewed_spread_has_a_skewed_interval() -> None:
    values = np.exp(0.05 * np.random.default_rng(5).exponential(1, 20)).tolist()
    found = estimate(values)
    assert found.low is not None
    assert found.high is not None
    assert found.high / found.value > 1.1 * (found.value / found.low - 1) + 1


@pytest.mark.parametrize("launches", [3, 5, 10, 15, 25])
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


def test_a_percentile_is_found_in_each_launch_and_then_summed_up() -> None:
    launches = [[level * k for k in range(1, 102)] for level in (1.0, 2.0, 4.0)]
    assert estimate_percentile(launches, 95).value == pytest.approx(96 * 2.0)
    assert estimate_percentile(launches, 50) == estimate([51.0, 102.0, 204.0])
    with pytest.raises(UsageError, match="percentile 101"):
        estimate_percentile(launches, 101)
    with pytest.raises(UsageError, match="no sample"):
        estimate_percentile([[1.0], []], 50)


def test_neighbours_that_are_alike_show_in_the_autocorrelation() -> None:
    random = np.random.default_rng(3)
    noise = random.normal(0, 1, 2000)
    alike = np.zeros(2000)
    for n in range(1, 2000):
        alike[n] = 0.8 * alike[n - 1] + noise[n]
    independent = summarise_launch((10 + 0.1 * noise).tolist()).autocorrelation
    assert independent == pytest.approx(0.0, abs=0.06)
    assert summarise_launch((10 + 0.1 * alike).tolist()).autocorrelation == pytest.approx(
        0.8, abs=0.06
    )
    assert summarise_launch([1.0, 2.0] * 50).autocorrelation == pytest.approx(-0.99)
    assert summarise_launch([1.0] * 9).autocorrelation is None


@pytest.mark.parametrize("n", [50, 200, 5000])
def test_a_trend_is_the_relative_change_over_the_launch_whatever_outliers_do(n: int) -> None:
    rising = np.linspace(0.95, 1.05, n)
    rising[:: n // 5] *= 3
    assert summarise_launch(rising.tolist()).trend == pytest.approx(0.1, rel=0.05)
    assert summarise_launch(rising[::-1].tolist()).trend == pytest.approx(-0.1, rel=0.05)


def test_two_launches_of_few_samples_have_no_trend() -> None:
    found = summarise_launch([1.0, 2.0])
    assert (found.trend, found.autocorrelation, found.bimodal) == (None, None, False)


def test_two_modes_are_seen_and_one_is_not_taken_for_two() -> None:
    random = np.random.default_rng(4)

    def share(two: bool) -> float:
        found = 0
        for _ in range(200):
            fast = random.lognormal(0, 0.02, 100)
            found += is_bimodal(
                fast * np.where(random.random(100) < 0.3, 1.18, 1.0) if two else fast
            )
        return found / 200

    assert share(two=True) >= 0.98
    assert share(two=False) <= 0.01
    assert not is_bimodal(random.uniform(1, 1.5, 300))
    assert not is_bimodal([1.0] * 95 + [9.0] * 5)
    assert summarise_launch([1.0, 1.001] * 40 + [2.0, 2.001] * 20).bimodal


@pytest.mark.parametrize(
    ("part", "whole", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_a_share_has_wilsons_interval(part: int, whole: int, low: float, high: float) -> None:
    """The values of method 3 in table I of https://doi.org/10.1002/(SICI)1097-0258(19980430)17:8."""
    found = proportion(part, whole)
    assert (found.part, found.whole, found.value) == (part, whole, part / whole)
    assert found.low == pytest.approx(low, abs=5e-5)
    assert found.high == pytest.approx(high, abs=5e-5)
    mirrored = proportion(whole - part, whole)
    assert (mirrored.low, mirrored.high) == pytest.approx((1 - found.high, 1 - found.low))


@pytest.mark.parametrize(("part", "whole"), [(0, 0), (2, 1), (-1, 3)])
def test_what_is_no_share_is_refused(part: int, whole: int) -> None:
    with pytest.raises(UsageError, match="is no share"):
        proportion(part, whole)
