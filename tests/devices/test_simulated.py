"""The simulated device and engine: their truth is found, and each trouble shows as it should."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from gaugenn.analysis.statistics import estimate, summarise_launch
from gaugenn.analysis.verdict import Case, verdict
from gaugenn.bench.campaign import LocalFile, campaign
from gaugenn.bench.devices import device_programs, open_device
from gaugenn.devices.host import HostDevice
from gaugenn.devices.simulated import SimulatedDevice
from gaugenn.engines.simulated import FASTEST_S, SLOWEST_S, true_latency_s
from gaugenn.errors import DeviceError, UsageError
from gaugenn.records import Job, JobRecord, Run, RunStatus

MODEL = "a" * 64
CALM = "launch_variation=0,sample_variation=0,outliers=0"


def record(launches: int = 5, version: str = "1", **changes: object) -> JobRecord:
    fields = {
        "model_sha256": MODEL,
        "format": "onnx",
        "engine": "simulated",
        "engine_version": version,
        "device": "simulated",
        "warmup_maximum_s": 10.0,
        "steady_minimum_count": 50,
        "steady_minimum_s": 0.0,
        **changes,
    }
    job = Job(**fields)  # type: ignore[arg-type]
    return JobRecord(job_sha256=job.job_sha256, job=job, launches=launches)


@pytest.fixture
def launch(tmp_path: Path) -> Callable[..., list[Run]]:
    """Runs jobs on a simulated device through the campaign."""
    file = tmp_path / "m.onnx"
    file.write_bytes(b"")

    def run(name: str, *records: JobRecord, seed: int = 0) -> list[Run]:
        with open_device(name, tmp_path, seed) as device:
            launches = campaign(
                records,
                device=device,
                environment=device.info(),
                programs=device_programs(device, name, records)[0],
                files=lambda _: [LocalFile(name="m.onnx", path=file)],
            )
            return [run for runs in launches for run in runs]

    return run


def steady(run: Run) -> Sequence[float]:
    assert run.timings is not None, run.reason
    return run.timings.steady_s


def medians(runs: Sequence[Run]) -> list[float]:
    return [float(np.median(steady(run))) for run in runs]


def test_without_any_disturbance_the_truth_is_measured(launch: Callable[..., list[Run]]) -> None:
    truth = true_latency_s(MODEL[:16])
    assert FASTEST_S <= truth <= SLOWEST_S
    runs = launch(f"simulated:{CALM}", record(2))
    assert medians(runs) == pytest.approx([truth, truth])
    first = runs[0].timings
    assert first is not None
    assert first.first_s == pytest.approx(1.5 * truth)
    assert first.warmup_s[0] > 1.2 * truth
    assert first.warmup_s[-1] == pytest.approx(truth, rel=0.01)
    assert first.notes == ()
    assert first.steady_start_s[1] == pytest.approx(first.steady_start_s[0] + truth)


def test_versions_threads_and_batches_have_their_truth(launch: Callable[..., list[Run]]) -> None:
    jobs = [record(1), record(1, "1.05"), record(1, threads=2), record(1, batch=3)]
    found = {run.job_sha256: medians([run])[0] for run in launch(f"simulated:{CALM}", *jobs)}
    base, slower, threaded, batched = (found[job.job_sha256] for job in jobs)
    assert slower / base == pytest.approx(1.05, rel=1e-3)
    assert threaded / base == pytest.approx(2**-0.8, rel=1e-3)
    assert batched / base == pytest.approx(3, rel=1e-3)


def test_launches_and_inferences_vary_as_they_are_told(launch: Callable[..., list[Run]]) -> None:
    name = "simulated:outliers=0,launch_variation=0.05,sample_variation=0.01,autocorrelation=0.9"
    runs = launch(name, record(60, steady_minimum_count=400))
    found = estimate(medians(runs))
    assert found.variation == pytest.approx(0.05, rel=0.25)
    assert found.low is not None
    assert found.low < true_latency_s(MODEL[:16]) < (found.high or 0)
    inside = [summarise_launch(steady(run)) for run in runs]
    assert np.mean([s.autocorrelation for s in inside]) == pytest.approx(0.9, abs=0.05)
    assert np.mean([1.4826 * s.mad / s.median for s in inside]) == pytest.approx(0.01, rel=0.15)


def test_disturbed_inferences_are_outliers(launch: Callable[..., list[Run]]) -> None:
    name = "simulated:outliers=0.1,sample_variation=0.005,outlier_excess=1"
    (run,) = launch(name, record(1, steady_minimum_count=2000))
    assert summarise_launch(steady(run)).outlier_share == pytest.approx(0.1, abs=0.02)


def test_modes_show_inside_a_launch_or_between_launches(launch: Callable[..., list[Run]]) -> None:
    calm = "simulated:launch_variation=0,outliers=0,sample_variation=0.01"
    (run,) = launch(f"{calm},modes=0.3", record(1, steady_minimum_count=200))
    assert summarise_launch(steady(run)).bimodal
    runs = launch(f"{calm},launch_modes=0.3,launch_mode_share=0.5", record(30))
    assert not any(summarise_launch(steady(run)).bimodal for run in runs)
    slow = [median > 1.15 * true_latency_s(MODEL[:16]) for median in medians(runs)]
    assert 5 < sum(slow) < 25


def test_drift_and_wandering_are_shared_by_launches_close_in_time(
    launch: Callable[..., list[Run]],
) -> None:
    one, two = record(40, seed=1), record(40, seed=2)
    for extra in ("drift_per_hour=20", "wander=0.1"):
        runs = launch(f"simulated:{CALM},{extra}", one, two)
        series = [
            np.log(medians([run for run in runs if run.job_sha256 == job.job_sha256]))
            for job in (one, two)
        ]
        assert np.corrcoef(*series)[0, 1] > 0.7
        assert np.std(series[0]) > 5 * np.std(series[0] - series[1]) / math.sqrt(2) / 2


def test_heat_lowers_the_clock_and_the_device_says_so(launch: Callable[..., list[Run]]) -> None:
    long = record(
        1,
        steady_minimum_s=200.0,
        steady_maximum_s=600.0,
        launch_maximum_s=900.0,
        maximum_samples=200_000,
    )
    name = f"simulated:{CALM},throttle=0.3"
    (run,) = launch(name, long)
    samples = steady(run)
    assert samples[-1] / samples[0] == pytest.approx(1 / 0.7, rel=0.01)
    device = open_device(name, seed=0)
    assert isinstance(device, SimulatedDevice)
    before = {(r.key, r.instance): r.number for r in device.conditions()}
    device.machine.pass_time(600, 1.0)
    after = {(r.key, r.instance): r.number for r in device.conditions()}
    assert (before["thermal_status", ""], after["thermal_status", ""]) == (0, 1)
    assert after["core_frequency_hz", "cpu0"] == pytest.approx(
        0.7 * (before["core_frequency_hz", "cpu0"] or 0)
    )
    assert (after["temperature_c", "die"] or 0) > 60
    device.machine.pass_time(600, 0.0)
    assert not device.machine.throttled


def test_another_program_slows_launches_and_shows_in_load_and_processor_time(
    launch: Callable[..., list[Run]],
) -> None:
    name = f"simulated:{CALM},busy=0.5,busy_share=0.5,busy_period_s=40"
    runs = launch(name, record(40))
    levels = np.asarray(medians(runs)) / true_latency_s(MODEL[:16])
    assert set(np.round(levels, 1)) == {1.0, 1.5}
    shares = [run.timings.process_cpu_s / sum(steady(run)) for run in runs if run.timings]
    assert min(shares) < 0.7
    assert max(shares) > 0.95
    found = verdict(
        Case(job=record().job, runs=runs, semantics=None, environment=None, launches=40)
    )
    assert {"background_load", "repeats_differ"} <= set(found.reasons)


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ("crash=1", RunStatus.CRASHED),
        ("hang=1", RunStatus.TIMEOUT),
        ("garble=1", RunStatus.GARBLED),
    ],
)
def test_planted_faults_are_rows(
    fault: str, status: RunStatus, launch: Callable[..., list[Run]]
) -> None:
    runs = launch(f"simulated:{fault}", record(5))
    assert [run.status for run in runs] == [status] * 2
    assert all(run.reason for run in runs)


def test_a_lost_link_is_a_row_and_ends_the_campaign(launch: Callable[..., list[Run]]) -> None:
    with pytest.raises(DeviceError, match="the link was lost"):
        launch("simulated:lose=1", record(5))


def test_equal_seeds_repeat_and_others_do_not(launch: Callable[..., list[Run]]) -> None:
    first, again = (medians(launch("simulated", record(3), seed=4)) for _ in range(2))
    assert first == again
    assert first != medians(launch("simulated", record(3), seed=5))


def test_a_fixed_rate_has_due_times(launch: Callable[..., list[Run]]) -> None:
    (run,) = launch(f"simulated:{CALM}", record(1, rate_per_s=4.0))
    assert run.timings is not None
    assert np.diff(run.timings.steady_due_s) == pytest.approx(0.25)
    assert run.timings.steady_start_s == pytest.approx(run.timings.steady_due_s)


def test_limits_end_a_launch_and_are_noted(launch: Callable[..., list[Run]]) -> None:
    (run,) = launch("simulated", record(1, maximum_samples=9))
    assert (len(steady(run)), run.timings and run.timings.notes) == (9, ("sample-limit",))
    (run,) = launch("simulated", record(1, launch_maximum_s=0.2))
    assert run.timings is not None
    assert run.timings.notes == ("time-limit",)


@pytest.mark.parametrize(
    "name",
    [
        *("nothing", "host:x=1", "simulated:x=1", "simulated:crash", "simulated:crash=many"),
        *("simulated:crash=2", "simulated:busy=-1", "simulated:drift_per_hour=nan"),
        *("simulated:autocorrelation=1", "simulated:heating_s=0", "simulated:throttle=1"),
    ],
)
def test_a_device_that_makes_no_sense_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        open_device(name)


def test_only_its_own_engine_runs_on_it() -> None:
    other = record(engine="litert", engine_version="2.3.0")
    with (
        open_device("simulated") as device,
        pytest.raises(UsageError, match="--engine simulated"),
    ):
        device_programs(device, "simulated", [other])
    with (
        open_device("simulated") as device,
        pytest.raises(DeviceError, match="no program python"),
    ):
        device.run(["python"])


def test_a_version_that_is_no_number_is_refused(launch: Callable[..., list[Run]]) -> None:
    (run,) = launch("simulated", record(3, "fast"))
    assert run.status is RunStatus.REFUSED
    assert "numbers" in str(run.reason)


def test_devices_are_opened_by_name(tmp_path: Path) -> None:
    assert isinstance(open_device("host", tmp_path), HostDevice)
    assert open_device("simulated:crash=0.1").info().device == "simulated:crash=0.1"
