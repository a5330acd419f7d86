"""The thermal gate in campaigns: on a simulated device that heats up, and with planted sensors."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from gaugenn.analysis.thermal_gate import ThermalRule
from gaugenn.analysis.verdict import verdicts
from gaugenn.bench.campaign import LocalFile, campaign, host_programs
from gaugenn.bench.devices import device_programs, open_device
from gaugenn.bench.plan_file import parse_plan
from gaugenn.bench.settings import BenchSettings
from gaugenn.bench.thermal import Gate
from gaugenn.devices import host as host_module
from gaugenn.devices._around import Around
from gaugenn.devices.host import HostDevice
from gaugenn.devices.simulated import AMBIENT_C, SimulatedDevice
from gaugenn.errors import DeviceError, UsageError
from gaugenn.records import DeviceSample, Job, JobRecord, Run, RunStatus, ThermalStart
from gaugenn.records._environment import number

HEATS = "simulated:throttle=0.3,heating_s=60,launch_variation=0,sample_variation=0,outliers=0"


def record(engine: str, device: str, launches: int, **changes: object) -> JobRecord:
    job = Job(
        model_sha256="a" * 64,
        format="onnx",
        engine=engine,
        engine_version="1",
        device=device,
        warmup_minimum_count=1,
        warmup_minimum_s=0.0,
        **changes,  # type: ignore[arg-type]
    )
    return JobRecord(job_sha256=job.job_sha256, job=job, launches=launches)


@pytest.fixture
def files(tmp_path: Path) -> Callable[[str], Sequence[LocalFile]]:
    path = tmp_path / "model"
    path.write_text("gaugenn-null\n")
    return lambda _: [LocalFile(name="model.null", path=path)]


@pytest.fixture
def heated(
    files: Callable[[str], Sequence[LocalFile]], tmp_path: Path
) -> Callable[[ThermalRule | None], list[Run]]:
    """Five launches of 40 s on a device that heats up."""
    wanted = record("simulated", "simulated", 5, steady_minimum_s=40.0, launch_maximum_s=120.0)

    def run(rule: ThermalRule | None) -> list[Run]:
        with open_device(HEATS, tmp_path, seed=1) as device:
            launches = campaign(
                [wanted],
                device=device,
                environment=device.info(),
                programs=device_programs(device, "simulated", [wanted])[0],
                files=files,
                gate=None if rule is None else Gate(rule),
            )
            return [run for runs in launches for run in runs]

    return run


def starts_c(runs: Sequence[Run]) -> list[float]:
    return [number(run.before, "temperature_c", "die") or 0.0 for run in runs]


def test_each_launch_begins_as_cool_as_the_first(
    heated: Callable[[ThermalRule | None], list[Run]],
) -> None:
    assert max(starts_c(heated(None))) > AMBIENT_C + 20
    runs = heated(ThermalRule())
    assert {run.thermal_start for run in runs} == {ThermalStart.COOL}
    assert max(starts_c(runs)) <= AMBIENT_C + ThermalRule().margin_c
    assert all(run.cool_down_s is not None and run.cool_down_s >= 20 for run in runs)
    assert runs[1].cool_down_s > runs[0].cool_down_s  # type: ignore[operator]


def test_a_launch_that_does_not_get_cool_in_time_is_made_and_marked(
    heated: Callable[[ThermalRule | None], list[Run]],
) -> None:
    runs = heated(ThermalRule(patience_s=30.0))
    assert [run.status for run in runs] == [RunStatus.OK] * 5
    assert runs[0].thermal_start is ThermalStart.COOL
    assert {run.thermal_start for run in runs[1:]} == {ThermalStart.HOT}
    assert "die is" in str(runs[1].thermal_reason)
    wanted = record("simulated", "simulated", 5, steady_minimum_s=40.0, launch_maximum_s=120.0)
    (verdict,) = verdicts([wanted], runs, [], []).values()
    assert "hot_start" in verdict.reasons


def test_nothing_is_launched_above_the_limit(
    heated: Callable[[ThermalRule | None], list[Run]],
) -> None:
    with pytest.raises(DeviceError, match=r"too hot to launch anything: die is at 25.0 C"):
        heated(ThermalRule(kill_c=AMBIENT_C - 1, patience_s=60.0))


def test_above_the_limit_it_waits_until_that_is_over() -> None:
    device = SimulatedDevice("simulated:throttle=0.3,heating_s=60", seed=1)
    gate = Gate(ThermalRule(kill_c=40.0))
    assert gate.wait(device).start is ThermalStart.COOL
    device.machine.pass_time(60.0, 1.0)
    assert device.machine.temperature_c > 40
    passed = gate.wait(device)
    assert (passed.start, passed.waited_s > 60) == (ThermalStart.COOL, True)


def test_where_no_sensor_tells_nothing_is_waited_for(
    files: Callable[[str], Sequence[LocalFile]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_module, "ROOT", tmp_path)
    wanted = record("null", "host", 1, steady_minimum_count=1, steady_minimum_s=0.0)
    with HostDevice() as device:
        ((run,),) = campaign(
            [wanted],
            device=device,
            environment=device.info(),
            programs=host_programs([wanted]),
            files=files,
            gate=Gate(ThermalRule()),
        )
    assert (run.thermal_start, run.status) == (ThermalStart.NO_SENSOR, RunStatus.OK)
    assert run.cool_down_s is not None
    assert run.cool_down_s < 5


def test_a_launch_during_which_a_sensor_passes_the_limit_is_ended_and_tried_once_more(
    files: Callable[[str], Sequence[LocalFile]], tmp_path: Path
) -> None:
    zone = tmp_path / "sys/class/thermal/thermal_zone0"
    zone.mkdir(parents=True)
    (zone / "type").write_text("cpu-big\n")
    (zone / "temp").write_text("41000\n")
    wanted = record("null", "host", 4, steady_minimum_s=60.0, rate_per_s=50.0)
    samples: list[DeviceSample] = []
    over = threading.Event()

    def heat() -> None:
        while not over.wait(1.5):
            (zone / "temp").write_text("96500\n")

    threading.Thread(target=heat, daemon=True).start()
    with HostDevice() as device:
        launches = campaign(
            [wanted],
            device=device,
            environment=device.info(),
            programs=host_programs([wanted]),
            files=files,
            around=Around(sample_every_s=0.2, limit_c=95.0, root=str(tmp_path)),
            samples=samples.extend,
        )
        runs = [run for runs in launches for run in runs]
    over.set()
    assert [run.status for run in runs] == [RunStatus.OVERHEATED] * 2
    assert runs[0].reason == "ended by us: cpu-big was at 96.5 C during steady"
    first = [s for s in samples if s.launch == 0]
    assert number(first[0].readings, "temperature_c", "thermal_zone0 cpu-big") == 41.0
    assert number(first[-1].readings, "temperature_c", "thermal_zone0 cpu-big") == 96.5


def test_a_plan_says_how_long_is_waited_and_what_is_too_hot() -> None:
    plan = parse_plan(
        'sample_every = "2s"\n[thermal]\ngate = "10m"\nmargin_c = 3\nlimit_c = 80.5\n[[experiment]]\n'
    )
    assert plan.thermal_rule() == ThermalRule(patience_s=600, margin_c=3, kill_c=80.5)
    assert plan.around() == Around(sample_every_s=2.0, limit_c=80.5)
    assert BenchSettings().thermal_rule() is None
    for text, message in (
        ("[thermal]\nlimit_c = 80\n", "needs the thermal gate"),
        ('[thermal]\ngate = "10m"\nlimit_c = "80"\n', "expected degrees Celsius"),
        ('[thermal]\ngate = "10m"\nmargin_c = -1\n', "expected more than 0"),
        ('[thermal]\ngate = "10m"\nlimit_c = 1000\n', "at most 200"),
        ('[thermal]\nfan = "10m"\n', "unknown key 'fan'"),
        ('sample_every = "10ms"\n', "expected 0.1 s"),
    ):
        with pytest.raises(UsageError, match=message):
            parse_plan(f"{text}[[experiment]]\n")


def test_a_simulated_device_is_not_said_to_be_sampled(
    files: Callable[[str], Sequence[LocalFile]],
    tmp_path: Path,
) -> None:
    wanted = record("simulated", "simulated", 1)
    with open_device("simulated", tmp_path, seed=1) as device:
        ((run,),) = campaign(
            [wanted],
            device=device,
            environment=device.info(),
            programs=device_programs(device, "simulated", [wanted])[0],
            files=files,
            around=Around(sample_every_s=1.0),
        )
    assert (run.status, run.sampled_every_s) == (RunStatus.OK, None)
