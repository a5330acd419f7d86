"""The course of a launch, phase by phase, inside this process."""

import threading
import time
from array import array
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.engines.test_worker import order

from gaugenn.engines import _launch
from gaugenn.engines._launch import Limits, Samples
from gaugenn.engines._worker import Adapter, Refusal


class Counting(Adapter):
    """Takes as long as it is told, one pause after the other; the last one stays."""

    def __init__(self, *pauses_s: float) -> None:
        super().__init__(order())
        self.pauses_s = list(pauses_s)
        self.invocations = 0

    def invoke(self) -> None:
        self.invocations += 1
        if self.pauses_s:
            time.sleep(self.pauses_s.pop(0) if len(self.pauses_s) > 1 else self.pauses_s[0])


class Staging(Counting):
    def stage(self) -> None:
        time.sleep(0.02)


class Clock:
    """A clock that moves only when somebody sleeps or infers, so that a schedule can be foretold."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_ns = 1_000_000_000
        monkeypatch.setattr(time, "perf_counter_ns", lambda: self.now_ns)
        monkeypatch.setattr(time, "sleep", self.sleep)

    def sleep(self, seconds: float) -> None:
        self.now_ns += round(seconds * 1e9)


def far() -> int:
    return time.perf_counter_ns() + 10**12


def limits(**changes: object) -> Limits:
    return Limits(order(**changes), far(), 1000.0)


def steady(adapter: Adapter, inferences: int = 1, **changes: object) -> Samples:
    return _launch.back_to_back(adapter, order(**changes), limits(**changes), inferences)


def test_inferences_repeat_until_the_count_is_reached() -> None:
    adapter = Counting()
    found = steady(adapter, steady_minimum_count=5)
    assert (len(found.latency_ns), found.ended) == (5, "")
    assert adapter.invocations == 5


def test_inferences_repeat_until_the_time_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch)
    found = steady(Counting(0.002), steady_minimum_count=1, steady_minimum_s=0.02)
    assert (len(found.latency_ns), found.ended) == (10, "")


def test_every_sample_has_its_start(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    begin = clock.now_ns
    found = steady(Counting(0.01, 0.02, 0.03), steady_minimum_count=3)
    assert list(found.latency_ns) == [10_000_000, 20_000_000, 30_000_000]
    assert [start - begin for start in found.start_ns] == [0, 10_000_000, 30_000_000]


@pytest.mark.parametrize(
    ("deadline_s", "maximum_s", "samples", "count", "ended"),
    [
        (0.05, 1000.0, 1000, 5, "time-limit"),
        (1000.0, 0.03, 1000, 3, "time-limit"),
        (1000.0, 1000.0, 7, 7, "sample-limit"),
        (0.0, 1000.0, 1000, 0, "time-limit"),
    ],
)
def test_a_limit_ends_the_phase_before_its_minimum(
    deadline_s: float,
    maximum_s: float,
    samples: int,
    count: int,
    ended: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch)
    asked = order(steady_minimum_count=500, maximum_samples=samples)
    deadline = clock.now_ns + int(deadline_s * 1e9)
    found = _launch.back_to_back(Counting(0.01), asked, Limits(asked, deadline, maximum_s))
    assert (len(found.latency_ns), found.ended) == (count, ended)


def test_the_staging_of_an_inference_is_not_in_its_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch)
    assert set(steady(Staging(0.001), steady_minimum_count=3).latency_ns) == {1_000_000}


def warm(adapter: Adapter, deadline_s: float = 1000.0, **changes: object) -> Samples:
    deadline = time.perf_counter_ns() + int(deadline_s * 1e9)
    return _launch.warm_up(adapter, order(**changes), deadline)


def test_a_warm_up_goes_on_until_latencies_are_flat(monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch)
    slow_at_first = Counting(*[0.2] * 10, 0.05)
    found = warm(slow_at_first, warmup_maximum_s=100.0)
    assert found.ended == ""
    assert list(found.latency_ns[-15:]) == [50_000_000] * 15
    assert found.latency_ns[-16] == 200_000_000


@pytest.mark.parametrize(
    ("pauses", "maximum_s", "deadline_s", "ended"),
    [
        ([0.05 * 1.05**n for n in range(100)], 5.0, 1000.0, "not_flat"),
        ([3.0], 10.0, 1000.0, "warmup-unjudged"),
        ([3.0], 100.0, 10.0, "time-limit"),
        ([0.05], 0.0, 1000.0, ""),
    ],
)
def test_a_warm_up_that_does_not_become_flat_says_why_it_ended(
    pauses: Sequence[float],
    maximum_s: float,
    deadline_s: float,
    ended: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Clock(monkeypatch)
    assert warm(Counting(*pauses), deadline_s, warmup_maximum_s=maximum_s).ended == ended


def test_a_warm_up_that_does_not_wait_has_its_minimum(monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch)
    found = warm(Counting(0.01), warmup_minimum_count=3, warmup_minimum_s=0.055)
    assert len(found.latency_ns) == 6


def test_of_a_long_warm_up_the_first_inferences_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch)
    adapter = Counting(0.01)
    found = warm(adapter, warmup_minimum_count=30, maximum_samples=10)
    assert (len(found.latency_ns), adapter.invocations, found.ended) == (10, 30, "")


def test_an_inference_of_few_clock_steps_is_timed_in_batches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Clock(monkeypatch)
    adapter = Counting(5e-6)
    inferences = _launch.batch_size(adapter, array("q", [5000] * 20), 1e-7)
    assert inferences == 2
    found = steady(adapter, inferences, steady_minimum_count=4)
    assert adapter.invocations == 8
    assert found.inferences == 2
    assert set(found.latency_ns) == {10_000}


@pytest.mark.parametrize(
    ("adapter", "latencies", "expected"),
    [
        (Counting(), [10_000], 1),
        (Counting(), [9_999], 2),
        (Counting(), [0], 10_000),
        (Counting(), [], 1),
        (Staging(), [1], 1),
    ],
)
def test_the_size_of_a_batch_follows_the_clock(
    adapter: Adapter, latencies: list[int], expected: int
) -> None:
    assert _launch.batch_size(adapter, array("q", latencies), 1e-7) == expected


def test_a_fixed_rate_does_not_wait_for_a_slow_inference(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    begin = clock.now_ns
    asked = order(rate_per_s=10.0, steady_minimum_count=5)
    found = _launch.at_rate(Counting(0.02, 0.25, 0.02), asked, Limits(asked, far(), 100.0), 10.0)
    dues = [(due - begin) / 1e6 for due in found.due_ns]
    starts = [(start - begin) / 1e6 for start in found.start_ns]
    assert dues == [0, 100, 200, 300, 400]
    assert starts == [0, 100, 350, 370, 400]
    assert [ns / 1e6 for ns in found.latency_ns] == [20, 250, 20, 20, 20]


def test_a_fixed_rate_lasts_as_long_as_asked_and_ends_at_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Clock(monkeypatch)
    asked = order(steady_minimum_count=1, steady_minimum_s=2.0)
    found = _launch.at_rate(Counting(0.001), asked, Limits(asked, far(), 100.0), 15.0)
    assert (len(found.due_ns), found.ended) == (30, "")
    found = _launch.at_rate(Counting(1.0), asked, Limits(asked, far(), 3.5), 15.0)
    assert (len(found.due_ns), found.ended) == (4, "time-limit")


def test_what_runs_beside_another_goes_on_until_it_is_stopped(tmp_path: Path) -> None:
    stop = tmp_path / "stop"
    threading.Timer(0.2, stop.touch).start()
    adapter = Counting(0.002)
    found = _launch.until_stopped(adapter, order(maximum_samples=3), far(), str(stop))
    assert stop.exists()
    assert adapter.invocations > 3
    assert (len(found.latency_ns), found.ended) == (3, "sample-limit")


def test_what_runs_beside_another_ends_at_its_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    deadline = clock.now_ns + 10**9
    found = _launch.until_stopped(Counting(0.1), order(), deadline, "/nowhere/stop")
    assert (len(found.latency_ns), found.ended) == (10, "time-limit")


def test_a_launch_waits_for_what_runs_beside_it(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    threading.Timer(0.1, ready.touch).start()
    _launch.wait_for(str(ready), 60.0)
    ready.write_text("killed by SIGSEGV")
    with pytest.raises(Refusal, match="beside it does not: killed by SIGSEGV"):
        _launch.wait_for(str(ready), 60.0)
    with pytest.raises(Refusal, match="not ready within 0 s"):
        _launch.wait_for(str(tmp_path / "never"), 0.0)


def test_phases_are_stamped_on_the_clock_of_the_launch(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    watch = _launch.Stopwatch()
    clock.sleep(1.0)
    assert watch.run("load", lambda: time.sleep(0.5)) == 500_000_000
    (stamp,) = watch.stamps
    assert (stamp["name"], stamp["begin_s"], stamp["end_s"]) == ("load", 1.0, 1.5)
    assert isinstance(stamp["cpu_s"], float)
    assert watch.all_since_s(array("q", [clock.now_ns])) == [1.5]


def test_the_clock_has_a_resolution_and_a_cost() -> None:
    assert 0 < _launch.timer_resolution_s() < 0.1
    assert 0 <= _launch.timer_cost_s() < 0.1
