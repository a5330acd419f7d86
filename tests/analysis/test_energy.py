"""Known waveforms give their integral; what cannot be told is refused with a reason."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaugenn.analysis import energy as e
from gaugenn.errors import UsageError
from gaugenn.records import Trace, Window


def window(begin_s: float, end_s: float) -> Window:
    return Window(begin_s=begin_s, end_s=end_s)


def trace(
    t_s: object, watts: object = (), *, joules: object = (), rate_hz: float = 1000.0, **more: object
) -> Trace:
    arrays = [np.asarray(a, dtype=np.float64) for a in (t_s, watts, joules)]
    return Trace(
        rail="r",
        source="test",
        t_s=arrays[0],
        watts=arrays[1],
        joules=arrays[2],
        rate_hz=rate_hz,
        **more,  # type: ignore[arg-type]
    )


def sampled(power: object, seconds: float, rate_hz: float = 1000.0) -> Trace:
    t_s = np.arange(int(seconds * rate_hz) + 1) / rate_hz
    return trace(t_s, power(t_s), rate_hz=rate_hz)  # type: ignore[operator]


@given(
    begin=st.floats(0, 4),
    length=st.floats(0.01, 5),
    offset=st.floats(0, 5),
    slope=st.floats(-1, 1),
)
def test_a_straight_line_is_integrated_exactly_between_any_ends(
    begin: float, length: float, offset: float, slope: float
) -> None:
    end = begin + length
    found = e.integrate(sampled(lambda t: offset + slope * t, 10.0), window(begin, end))
    true = offset * length + slope * (end**2 - begin**2) / 2
    assert found.energy_j == pytest.approx(true, abs=1e-8)
    assert found.reason is None
    assert found.gaps == 0


def test_a_sine_of_fifty_samples_a_turn_is_within_a_thousandth() -> None:
    turn = 0.05
    found = e.integrate(
        sampled(lambda t: 2 + np.sin(2 * np.pi * t / turn), 10.0), window(0.5, 0.5 + 100.25 * turn)
    )
    true = 2 * 100.25 * turn + turn / (2 * np.pi)
    assert found.energy_j == pytest.approx(true, rel=1e-3)


def test_a_square_wave_that_is_slow_against_the_meter_is_within_a_thousandth() -> None:
    found = e.integrate(
        sampled(lambda t: np.where(t % 0.5 < 0.25, 3.0, 1.0), 40.0), window(1.0, 31.0)
    )
    assert found.energy_j == pytest.approx(60.0, rel=1e-3)


def test_a_window_between_two_samples_takes_their_line() -> None:
    found = e.integrate(trace([0, 1], [0, 10], rate_hz=1.0), window(0.25, 0.75))
    assert found.energy_j == pytest.approx(5 * 0.5)


def test_a_trace_that_does_not_cover_its_window_is_an_error() -> None:
    one = sampled(np.ones_like, 10.0)
    for begin, end in ((-1, 5), (5, 11), (20, 30)):
        with pytest.raises(UsageError, match="does not cover the window"):
            e.integrate(one, window(begin, end))
    with pytest.raises(UsageError, match="0 samples"):
        e.integrate(trace([], []), window(0, 1))


def test_a_long_gap_is_not_bridged_but_counted_and_refused() -> None:
    whole = sampled(lambda t: np.where((t > 4) & (t < 6), 100.0, 1.0), 10.0)
    keep = (whole.t_s <= 3.9) | (whole.t_s >= 6.1)
    found = e.integrate(trace(whole.t_s[keep], whole.watts[keep]), window(0, 10))
    assert found.reason == "meter_gaps"
    assert (found.gaps, round(found.gap_s, 6)) == (1, 2.2)
    assert found.energy_j == pytest.approx(7.8)


def test_a_short_gap_stands_for_itself_in_proportion() -> None:
    whole = sampled(lambda t: np.full_like(t, 2.0), 10.0)
    keep = np.ones(whole.t_s.size, dtype=bool)
    keep[5000:5004] = False
    found = e.integrate(trace(whole.t_s[keep], whole.watts[keep]), window(0, 10))
    assert found.reason is None
    assert (found.gaps, found.gap_s) == (1, pytest.approx(0.005))
    assert found.energy_j == pytest.approx(20.0)


def test_one_missing_sample_is_no_gap() -> None:
    whole = sampled(lambda t: 1 + t, 10.0)
    keep = np.arange(whole.t_s.size) != 500
    found = e.integrate(trace(whole.t_s[keep], whole.watts[keep]), window(0, 10))
    assert (found.gaps, found.energy_j) == (0, pytest.approx(60.0))


def test_a_gap_outside_the_window_does_not_matter() -> None:
    t_s = np.concatenate([np.arange(1000) / 1000, 5 + np.arange(1001) / 1000])
    found = e.integrate(trace(t_s, np.ones_like(t_s)), window(5.1, 5.9))
    assert (found.gaps, found.reason) == (0, None)


def test_a_meter_that_began_anew_gives_no_energy() -> None:
    t_s = np.arange(1001) / 1000
    assert e.integrate(trace(t_s, t_s, restarts=1), window(0, 1)).reason == "meter_restart"


def test_a_counter_is_read_by_difference_with_an_update_of_doubt_at_each_end() -> None:
    t_s = np.arange(0, 61.0)
    found = e.integrate(trace(t_s, joules=2 * t_s, rate_hz=1.0), window(10.5, 40.25))
    assert found.energy_j == pytest.approx(2 * 29.75)
    assert found.edge_j == pytest.approx(2.0)
    assert found.reason is None


def test_a_counter_is_too_coarse_for_a_short_phase() -> None:
    t_s = np.arange(0, 61.0)
    found = e.integrate(trace(t_s, joules=2 * t_s, rate_hz=1.0), window(10, 25))
    assert found.reason == "counter_too_coarse"
    # Read ten times as often as it changes, it is as coarse as before.
    often = np.arange(0, 61.0, 0.1)
    read = trace(often, joules=2 * np.floor(often + 1e-9), rate_hz=10.0)
    assert e.integrate(read, window(10, 25)).reason == "counter_too_coarse"


def busy(noise: float = 0.02, idle_after: float = 1.0, seed: int = 0) -> Trace:
    """Idle for 40 s, 3 W for 60 s, idle for 40 s."""
    random = np.random.default_rng(seed)

    def power(t_s: np.ndarray) -> np.ndarray:
        clean = np.where(t_s < 40, 1.0, np.where(t_s < 100, 3.0, idle_after))
        return clean + random.normal(0, noise, t_s.size)

    return sampled(power, 140.0, rate_hz=100.0)


def net(one: Trace, **more: float) -> e.Energy:
    return e.energy(one, window(41, 99), window(2, 38), window(102, 138), **more)


def test_gross_and_net_energy_hold_the_truth_in_their_intervals() -> None:
    held = 0
    for seed in range(40):
        found = net(busy(noise=0.5, seed=seed))
        assert found.net_j is not None
        assert found.net_j.low is not None
        assert found.net_j.high is not None
        held += found.net_j.low <= 2.0 * 58 <= found.net_j.high
        assert found.gross_j.value == pytest.approx(3.0 * 58, rel=0.02)
    assert held >= 35


def test_idle_power_that_drifts_is_taken_away_as_a_line() -> None:
    def power(t_s: np.ndarray) -> np.ndarray:
        return 1.0 + 0.0005 * t_s + np.where((t_s >= 40) & (t_s < 100), 2.0, 0.0)

    found = net(sampled(power, 140.0, rate_hz=100.0))
    assert found.net_j is not None
    assert found.net_j.value == pytest.approx(2.0 * 58, rel=1e-6)


@pytest.mark.parametrize(
    ("one", "more", "reason"),
    [
        (busy(idle_after=1.5), {}, "idles_differ"),
        (busy(), {"idle_minimum_s": 37.0}, "idle_too_short"),
        (sampled(lambda t: np.full_like(t, 2.0), 140.0, 100.0), {}, "net_not_positive"),
        (
            sampled(
                lambda t: np.where((t < 40) | (t > 100), 1 + (t % 4 > 2), 4.0), 140.0, rate_hz=100.0
            ),
            {},
            "idle_unsteady",
        ),
    ],
)
def test_net_energy_is_refused_with_a_reason(
    one: Trace, more: dict[str, float], reason: str
) -> None:
    found = net(one, **more)
    assert (found.net_j, found.net_reason) == (None, reason)
    assert found.gross_j.value > 0


def test_without_idle_there_is_gross_energy_only() -> None:
    found = e.energy(busy(), window(41, 99))
    assert found.net_reason == "idle_not_measured"
    assert found.gross_j.low is not None


def test_idle_that_reaches_into_the_work_is_refused() -> None:
    found = e.energy(busy(), window(41, 99), window(2, 50), window(102, 138))
    assert found.net_reason == "idle_overlaps"


def test_a_short_phase_has_no_interval() -> None:
    assert e.energy(busy(), window(50, 52)).gross_j.low is None


def test_derived_figures() -> None:
    one = e.per_inference_j(e.Quantity(value=10.0, low=9.0, high=11.0), 100)
    assert (one.value, one.low, one.high) == pytest.approx((0.1, 0.09, 0.11))
    assert e.efficiency_mflop_per_j(300e6, 0.5) == pytest.approx(600)
    # 54,000 inferences of 0.27 J out of a battery of 3.85 V.
    assert e.charge_mah(54_000 * 0.27, 3.85) == pytest.approx(1051.9, abs=0.1)
    for call in (
        lambda: e.per_inference_j(e.Quantity(value=1.0), 0),
        lambda: e.efficiency_mflop_per_j(1, 0),
        lambda: e.charge_mah(1, 0),
    ):
        with pytest.raises(UsageError):
            call()


def integral(energy_j: float, duration_s: float = 10.0, reason: str | None = None) -> e.Integral:
    return e.Integral(
        energy_j=energy_j, duration_s=duration_s, gap_s=0, gaps=0, samples=100, reason=reason
    )


def test_two_meters_are_compared_and_neither_is_chosen() -> None:
    assert e.cross_check(integral(10), integral(11), tolerance=0.15).agrees
    assert e.cross_check(integral(8), integral(11), tolerance=0.15).reason == "meters_disagree"
    assert e.cross_check(integral(8), integral(11), tolerance=0.15, part_of=True).agrees
    assert not e.cross_check(integral(13), integral(11), tolerance=0.15, part_of=True).agrees
    lossy = integral(10, reason="meter_gaps")
    assert e.cross_check(lossy, integral(10), tolerance=0.15).reason == "meter_gaps"
    other = integral(10, duration_s=20.0)
    assert e.cross_check(integral(10), other, tolerance=0.15).reason == "windows_differ"
    assert e.cross_check(integral(1), integral(0), tolerance=0.15).reason == "no_energy"
