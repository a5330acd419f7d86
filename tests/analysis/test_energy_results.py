"""Phases on whatever clock a meter has, two meters compared, energy of an inference over launches."""

import numpy as np
import pytest

from gaugenn.analysis.energy_results import inference_energies, meter_checks
from gaugenn.analysis.launch_energy import PhaseEnergy, launch_energy
from gaugenn.records import (
    Clock,
    FileKind,
    Job,
    JobRecord,
    ModelRecord,
    Moment,
    PhaseStamp,
    Run,
    RunStatus,
    Timings,
    Trace,
    TraceRecord,
)

BOOT_S = 5000.0
"""Of the launch's zero on the device; its monotonic clock stood at 4000."""
BURSTS = ((0.297, 0.204), (0.446, 0.254), (0.195, 0.3))
JOB = Job(
    model_sha256="a" * 64,
    format="onnx",
    engine="null",
    engine_version="1",
    device="phone",
    batch=2,
)


def marker(name: str, at_s: float) -> list[Moment]:
    moments = []
    for on_s, off_s in BURSTS:
        moments.append(Moment(name=name, begin_s=at_s, end_s=at_s + on_s))
        at_s += on_s + off_s
    return moments


MOMENTS = (
    *marker("marker_before", BOOT_S - 40),
    Moment(name="idle_before", begin_s=BOOT_S - 35, end_s=BOOT_S - 3),
    Moment(name="idle_after", begin_s=BOOT_S + 44, end_s=BOOT_S + 76),
    *marker("marker_after", BOOT_S + 80),
)


def run(launch: int = 0, **changes: object) -> Run:
    timings = Timings(
        load_s=1.0,
        prepare_s=1.0,
        first_s=0.1,
        warmup_s=(),
        steady_s=(0.5,) * 60,
        phases="load, prepare",
        peak_memory_bytes=None,
        load_memory_bytes=None,
        process_cpu_s=None,
        timer_resolution_s=None,
        outputs=(),
        input_sha256=None,
        engine_version="1",
        observed_processor=None,
        observed_precision=None,
        observed_threads=None,
        stamps=(
            PhaseStamp(name="load", begin_s=1.0, end_s=2.0, cpu_s=1.0),
            PhaseStamp(name="steady", begin_s=10.0, end_s=40.0, cpu_s=30.0),
        ),
        clock_monotonic_s=4000.0,
        clock_boottime_s=BOOT_S,
    )
    fields: dict[str, object] = {
        "job_sha256": JOB.job_sha256,
        "launch": launch,
        "status": RunStatus.OK,
        "reason": None,
        "timings": timings,
        "started_at": "2026-11-25T00:00:00+00:00",
        "wall_s": 50.0,
        "load_average": None,
        "environment_sha256": "e" * 64,
        "argv": (),
        "log_tail": "",
        "moments": MOMENTS,
        **changes,
    }
    return Run(**fields)  # type: ignore[arg-type]


def metered(
    clock: Clock,
    ahead_s: float,
    *,
    rate: float = 0.0,
    rate_hz: float = 1000.0,
    source: str = "monsoon 1",
    scale: float = 1.0,
    markers: tuple[float, ...] = (BOOT_S - 40, BOOT_S + 80),
) -> tuple[TraceRecord, Trace]:
    """1 W of idle, 2 W more in bursts and 3 W more from 1 s before the work's zero to 41 s after."""
    t_s = np.arange(0, 140, 1 / rate_hz)
    boot_s = BOOT_S - 50 + t_s / (1 + rate)
    watts = np.where((boot_s > BOOT_S - 1) & (boot_s < BOOT_S + 41), 4.0, 1.0)
    for at_s in markers:
        for on_s, off_s in BURSTS:
            watts = np.where((boot_s >= at_s) & (boot_s < at_s + on_s), 3.0, watts)
            at_s += on_s + off_s
    trace = Trace(
        rail="main",
        t_s=t_s + ahead_s,
        watts=scale * watts,
        source=source,
        rate_hz=rate_hz,
        clock=clock,
    )
    record = TraceRecord(
        job_sha256=JOB.job_sha256,
        launch=0,
        source=source,
        rail="main",
        is_counter=False,
        clock=clock,
        rate_hz=rate_hz,
        samples=t_s.size,
        begin_s=None,
        end_s=None,
        blob_sha256="b" * 64,
        lost_samples=0,
        restarts=0,
    )
    return record, trace


def steady(launch: Run, record: TraceRecord, trace: Trace) -> PhaseEnergy:
    return next(p for p in launch_energy(launch, record, trace) if p.phase == "steady")


def require_truth(found: PhaseEnergy) -> None:
    assert found.reason is None
    assert found.energy is not None
    assert found.energy.gross_j.value == pytest.approx(120.0, rel=1e-3)
    assert found.energy.net_j is not None, found.energy.net_reason
    assert found.energy.net_j.value == pytest.approx(90.0, rel=1e-3)


def test_a_meters_own_clock_is_joined_by_the_markers_and_the_idle_stretches_with_it() -> None:
    found = steady(run(), *metered(Clock.METER, 123.4, rate=40e-6))
    require_truth(found)
    assert found.sync is not None
    assert found.sync.residual_s == pytest.approx(120 * 40e-6, abs=1.5e-3)
    assert found.sync.uncertainty_s == pytest.approx(1e-3)
    # The launch's zero is 50 s after the trace's begin.
    assert found.sync.zero_s == pytest.approx(123.4 + 50 * (1 + 40e-6), abs=2e-3)


@pytest.mark.parametrize(
    ("changes", "markers", "reason"),
    [
        ({"moments": ()}, (BOOT_S - 40, BOOT_S + 80), "no_sync: the device made no markers"),
        ({}, (BOOT_S - 40,), "no_sync: end: "),
    ],
)
def test_without_both_markers_there_is_no_energy(
    changes: dict[str, object], markers: tuple[float, ...], reason: str
) -> None:
    found = steady(run(**changes), *metered(Clock.METER, 1.0, markers=markers))
    assert found.energy is None
    assert str(found.reason).startswith(reason)


def test_a_trace_on_the_devices_clock_needs_nothing() -> None:
    require_truth(steady(run(), *metered(Clock.DEVICE_BOOT, BOOT_S - 50)))


def test_a_trace_on_this_hosts_clock_needs_the_comparison_of_clocks() -> None:
    record, trace = metered(Clock.HOST, 100.0)
    # The trace begins 50 s before the launch's zero, at 100 s of the host.
    known = run(boottime_offset_s=BOOT_S - 150.0, boottime_uncertainty_s=0.004)
    found = steady(known, record, trace)
    require_truth(found)
    assert found.sync is not None
    assert found.sync.uncertainty_s == 0.004
    missing = steady(run(), record, trace)
    assert (missing.energy, str(missing.reason).partition(":")[0]) == (None, "no_sync")
    # A launch on the host itself: its monotonic clock is the trace's.
    require_truth(steady(run(clock_offset_s=3850.0), record, trace))


def phases(*meters: tuple[str, float, Clock]) -> list[PhaseEnergy]:
    found = []
    for source, scale, clock in meters:
        ahead_s = BOOT_S - 50 if clock is Clock.DEVICE_BOOT else 0.0
        record, trace = metered(clock, ahead_s, source=source, scale=scale)
        found += launch_energy(run(), record, trace)
    return found


def test_two_meters_on_a_launch_are_compared_in_every_phase() -> None:
    meter, device = Clock.METER, Clock.DEVICE_BOOT
    checks = meter_checks(phases(("monsoon 1", 1.0, meter), ("replay x", 0.97, meter)))
    assert [(c.phase, c.agrees, c.reason) for c in checks] == [
        ("load", True, None),
        ("steady", True, None),
    ]
    assert checks[0].ratio == pytest.approx(1 / 0.97, rel=1e-3)
    checks = meter_checks(phases(("monsoon 1", 1.0, meter), ("replay x", 0.9, meter)))
    assert {(c.agrees, c.reason) for c in checks} == {(False, "meters_disagree")}
    # A gauge is coarser; rails are parts and may be less, but not more.
    (_, check) = meter_checks(phases(("monsoon 1", 1.0, meter), ("fuel_gauge b", 0.9, device)))
    assert check.agrees
    (_, check) = meter_checks(phases(("monsoon 1", 1.0, meter), ("odpm", 0.3, device)))
    assert (check.first, check.agrees) == ("odpm", True)
    (_, check) = meter_checks(phases(("monsoon 1", 1.0, meter), ("odpm", 1.3, device)))
    assert (check.reason, check.ratio) == ("meters_disagree", pytest.approx(1.3, rel=1e-3))
    assert meter_checks(phases(("odpm", 1.0, device), ("hwmon", 1.0, device))) == []


def test_energy_of_an_inference_is_that_of_one_input_over_launches() -> None:
    found = []
    for launch, scale in enumerate((0.98, 1.0, 1.02)):
        record, trace = metered(Clock.DEVICE_BOOT, BOOT_S - 50, source="odpm", scale=scale)
        found += launch_energy(run(launch), record, trace)
    model = ModelRecord(
        model_sha256="a" * 64, kind=FileKind.MODEL, format="onnx", size_bytes=1, flops=10**9
    )
    job = JobRecord(job_sha256=JOB.job_sha256, job=JOB, launches=3)
    (row,) = inference_energies(found, [job], [model])
    assert (row.source, row.rail, row.launches) == ("odpm", "main", 3)
    # 120 J, 60 inferences of two inputs each.
    assert row.gross_j.value == pytest.approx(1.0, rel=1e-3)
    assert row.gross_j.low is not None
    assert row.gross_j.high is not None
    assert row.gross_j.low < 1.0 < row.gross_j.high
    assert row.net_j is not None
    assert row.net_j.value == pytest.approx(0.75, rel=1e-3)
    assert row.power_w.value == pytest.approx(4.0, rel=1e-3)
    assert row.mflop_per_j is not None
    assert row.mflop_per_j.value == pytest.approx(1000.0, rel=1e-3)
    assert row.mflop_per_j.low == pytest.approx(1000.0 / row.gross_j.high, rel=1e-3)
    (uncounted,) = inference_energies(found, [job], [])
    assert uncounted.mflop_per_j is None
