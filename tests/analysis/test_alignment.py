"""Two markers join two clocks to 2 ms, or the run is invalid."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gaugenn.analysis.alignment import BURSTS_S, Alignment, align
from gaugenn.analysis.energy import integrate
from gaugenn.errors import UsageError
from gaugenn.records import Clock, Trace, Window

FIRST_S, SECOND_S = 1000.0, 1070.0
"""When the device makes its markers, on its clock."""
WORK = Window(begin_s=1010.0, end_s=1060.0)


def power(device_s: np.ndarray, markers: tuple[float, ...]) -> np.ndarray:
    """Idle, markers of 2 W above it, and inferences of 30 ms every 50 ms in between."""
    watts = np.full(device_s.shape, 1.0)
    working = (device_s >= WORK.begin_s) & (device_s < WORK.end_s)
    watts += np.where(working & ((device_s - WORK.begin_s) % 0.05 < 0.03), 2.0, 0.0)
    for begin_s in markers:
        at = begin_s
        for on, off in BURSTS_S:
            watts += np.where((device_s >= at) & (device_s < at + on), 2.0, 0.0)
            at += on + off
    return watts


TRUE_J = 50.0 + 2.0 * 0.6 * 50


def metered(
    *,
    offset_s: float = 0.0,
    drift: float = 0.0,
    noise: float = 0.0,
    rate_hz: float = 5000.0,
    lost: float = 0.0,
    markers: tuple[float, ...] = (FIRST_S, SECOND_S),
    seed: int = 0,
) -> Trace:
    """What a meter sees whose clock is `offset_s` ahead at the first marker and `drift` too fast."""
    random = np.random.default_rng(seed)
    t_s = np.arange(int(90 * rate_hz)) / rate_hz + FIRST_S - 8 + offset_s
    device_s = (t_s - offset_s - FIRST_S) / (1 + drift) + FIRST_S
    watts = power(device_s, markers) + random.normal(0, noise, t_s.size)
    # Whole packets of three samples get lost.
    keep = np.repeat(random.random(t_s.size // 3 + 1) >= lost, 3)[: t_s.size]
    return Trace(
        rail="main",
        t_s=t_s[keep],
        watts=watts[keep],
        source="test",
        rate_hz=rate_hz,
        clock=Clock.METER,
    )


def error_s(found: Alignment, offset_s: float, drift: float) -> float:
    """Of the worst moment from one marker to the other."""
    moments = np.linspace(FIRST_S, SECOND_S, 11)
    true = moments + offset_s + drift * (moments - FIRST_S)
    return max(abs(found.to_meter_s(float(m)) - t) for m, t in zip(moments, true, strict=True))


@given(
    offset_s=st.floats(-5000, 5000),
    drift=st.floats(-100e-6, 100e-6),
    noise=st.sampled_from([0.0, 0.3, 1.0]),
    rate_hz=st.sampled_from([1000.0, 5000.0]),
    lost=st.sampled_from([0.0, 0.0005]),
    seed=st.integers(0, 1000),
)
@settings(max_examples=25, deadline=None)
def test_offset_and_drift_are_found_to_two_milliseconds_or_not_at_all(
    offset_s: float, drift: float, noise: float, rate_hz: float, lost: float, seed: int
) -> None:
    trace = metered(
        offset_s=offset_s, drift=drift, noise=noise, rate_hz=rate_hz, lost=lost, seed=seed
    )
    found, reason = align(trace, (FIRST_S, SECOND_S))
    if noise == 1.0 and found is None:
        # Noise of half the marker's height may hide it; then there is no alignment, not a bad one.
        assert (reason or "").startswith("no_sync")
        return
    assert reason is None
    assert found is not None
    assert error_s(found, offset_s, drift) < 0.002


def test_energy_of_aligned_work_is_within_a_thousandth() -> None:
    trace = metered(offset_s=-321.5, drift=50e-6, noise=0.2, lost=0.0005)
    found, _ = align(trace, (FIRST_S, SECOND_S))
    assert found is not None
    assert found.rate == pytest.approx(50e-6, abs=15e-6)
    energy = integrate(trace, found.window(WORK))
    # The meter's second is 50 ppm shorter than the device's.
    assert energy.energy_j == pytest.approx(TRUE_J, rel=1e-3)
    assert energy.reason is None


def test_a_slow_meter_is_aligned_to_two_milliseconds_too() -> None:
    found, reason = align(metered(offset_s=3.2, rate_hz=100.0), (FIRST_S, SECOND_S))
    assert reason is None
    assert found is not None
    assert error_s(found, 3.2, 0.0) < 0.002


@pytest.mark.parametrize(
    ("markers", "reason"),
    [
        ((), "no_sync: start: no_marker"),
        ((SECOND_S,), "no_sync: start"),
        ((FIRST_S,), "no_sync: end: no_marker"),
        ((FIRST_S - 4, FIRST_S, SECOND_S), "no_sync: start: marker_not_unique"),
        ((FIRST_S, SECOND_S + 0.4), "no_sync: the markers are"),
    ],
)
def test_a_marker_that_is_missing_double_or_late_makes_the_run_invalid(
    markers: tuple[float, ...], reason: str
) -> None:
    found, why = align(metered(markers=markers, noise=0.2), (FIRST_S, SECOND_S))
    assert found is None
    assert (why or "").startswith(reason)


def test_noise_that_drowns_the_marker_makes_the_run_invalid() -> None:
    found, why = align(metered(noise=30.0), (FIRST_S, SECOND_S))
    assert found is None
    assert (why or "").startswith("no_sync: start")


def test_a_marker_within_a_gap_is_not_used() -> None:
    trace = metered()
    keep = (trace.t_s < FIRST_S + 0.1) | (trace.t_s > FIRST_S + 0.25)
    found, why = align(
        replace(trace, t_s=trace.t_s[keep], watts=trace.watts[keep]), (FIRST_S, SECOND_S)
    )
    assert found is None
    assert (why or "").startswith("no_sync: start: marker_in_gap")


def test_what_is_known_of_the_offset_narrows_the_search() -> None:
    trace = metered(offset_s=12.0, markers=(FIRST_S - 4, FIRST_S, SECOND_S))
    found, why = align(trace, (FIRST_S, SECOND_S), expected_offset_s=12.1, slack_s=1.0)
    assert why is None
    assert found is not None
    assert error_s(found, 12.0, 0.0) < 0.002
    lost, why = align(trace, (FIRST_S, SECOND_S), expected_offset_s=20.0, slack_s=1.0)
    assert lost is None
    assert (why or "").startswith("no_sync")


def test_a_meter_that_is_too_slow_for_the_marker_says_so() -> None:
    found, why = align(metered(rate_hz=10.0), (FIRST_S, SECOND_S))
    assert found is None
    assert "meter_too_slow" in (why or "")


def test_stamps_that_do_not_rise_are_refused() -> None:
    with pytest.raises(UsageError, match="more than a marker's length"):
        align(metered(), (SECOND_S, FIRST_S))


def test_a_trace_shorter_than_the_run_is_invalid() -> None:
    trace = metered()
    short = replace(trace, t_s=trace.t_s[:50_000], watts=trace.watts[:50_000])
    found, why = align(short, (FIRST_S, SECOND_S))
    assert (found, why) == (None, "no_sync: the trace is shorter than the run")
