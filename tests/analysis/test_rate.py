"""Fixed rates: waiting counts, whoever caused it."""

import pytest

from gaugenn.analysis.rate import UnderRate, under_rate
from gaugenn.errors import UsageError


def served(latencies_s: list[float], rate_per_s: float, planned: int | None = None) -> UnderRate:
    """One inference after the other, each when it is due or when the one before is over."""
    dues, starts, now = [], [], 0.0
    for number, latency in enumerate(latencies_s):
        dues.append(number / rate_per_s)
        starts.append(max(now, dues[-1]))
        now = starts[-1] + latency
    return under_rate(dues, starts, latencies_s, rate_per_s=rate_per_s, planned=planned)


def test_a_device_that_keeps_up_misses_nothing() -> None:
    found = served([0.02] * 100, 10.0)
    assert (found.due, found.served, found.missed, found.miss_share) == (100, 100, 0, 0.0)
    assert found.service_s == found.response_s == pytest.approx(0.02)
    assert found.lateness_s == pytest.approx(0.0)
    assert found.keeps_up


def test_one_stall_spoils_those_that_wait_behind_it() -> None:
    found = served([0.05] * 10 + [1.0] + [0.05] * 89, 10.0)
    assert found.missed == 18  # itself, and those that begin 0.95 s to 0.15 s late
    assert found.service_s == pytest.approx(0.05)
    assert found.response_p99_s > 0.9
    assert found.keeps_up


def test_a_rate_above_what_a_device_can_do_makes_the_waiting_grow() -> None:
    found = served([0.2] * 100, 10.0)
    assert found.missed == 100
    assert found.response_s == pytest.approx(0.2 + 0.1 * 49.5)
    assert found.service_s == pytest.approx(0.2)
    assert not found.keeps_up


def test_inferences_that_were_never_begun_are_missed() -> None:
    found = served([0.02] * 40, 10.0, planned=50)
    assert (found.due, found.served, found.missed) == (50, 40, 10)
    assert not found.keeps_up


@pytest.mark.parametrize(
    ("due", "start", "latency", "rate"),
    [([], [], [], 1.0), ([0.0], [], [0.1], 1.0), ([0.0], [0.0], [0.1], 0.0)],
)
def test_what_is_no_run_under_a_rate_is_a_usage_error(
    due: list[float], start: list[float], latency: list[float], rate: float
) -> None:
    with pytest.raises(UsageError):
        under_rate(due, start, latency, rate_per_s=rate)
