"""Energy of each phase of a launch, on each rail that was measured meanwhile."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from gaugenn.analysis.energy import IDLE_MINIMUM_S, Energy, energy
from gaugenn.errors import GaugennError
from gaugenn.records import Clock, Run, RunStatus, Timings, Trace, TraceRecord, Window

PHASES = ("load", "load+prepare", "prepare", "first", "warmup", "steady")


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseEnergy:
    """A phase of a launch on one rail.

    Attributes:
        job_sha256: the launch's job.
        launch: its number.
        source: the meter.
        rail: what it measured.
        phase: `load`, `prepare`, `first`, `warmup` or `steady`; `load+prepare` where both are one.
        duration_s: of the phase.
        inferences: of the steady phase; 1 for `first`, 0 for phases without one or with a number that
            is not told.
        energy: gross and net; None where it cannot be told.
        reason: why it is None, or why the gross energy is not to be used; None where it is.
    """

    job_sha256: str
    launch: int
    source: str
    rail: str
    phase: str
    duration_s: float
    inferences: int
    energy: Energy | None
    reason: str | None


def launch_energy(
    run: Run, record: TraceRecord, trace: Trace, idle_minimum_s: float = IDLE_MINIMUM_S
) -> list[PhaseEnergy]:
    """Energy of each phase of a launch that ran to its end; none where there are no stamps.

    A phase that the trace does not cover, or whose clock cannot be joined, is there with its reason.
    """
    timings = run.timings
    if timings is None:
        return []
    found = []
    for stamp in timings.stamps:
        if stamp.name not in PHASES or not stamp.end_s > stamp.begin_s:
            continue
        duration_s = stamp.end_s - stamp.begin_s
        measured, reason = None, None
        zero_s = _zero_s(run, timings, record.clock)
        if zero_s is None:
            reason = "no_sync"
        else:
            window = Window(begin_s=zero_s + stamp.begin_s, end_s=zero_s + stamp.end_s)
            try:
                measured = energy(trace, window, *_idle(record), idle_minimum_s=idle_minimum_s)
                reason = measured.reason
            except GaugennError as error:
                reason = f"not_covered: {error}"
        found.append(
            PhaseEnergy(
                job_sha256=run.job_sha256,
                launch=run.launch,
                source=record.source,
                rail=record.rail,
                phase=stamp.name,
                duration_s=duration_s,
                inferences=_inferences(timings, stamp.name),
                energy=measured,
                reason=reason,
            )
        )
    return found


def phase_energies(
    runs: Iterable[Run],
    records: Iterable[TraceRecord],
    read: Callable[[TraceRecord], Trace],
) -> list[PhaseEnergy]:
    """Energy of every phase of every launch that was measured and ran to its end.

    Args:
        runs: launches.
        records: their traces.
        read: a trace out of its row.
    """
    of_launch: dict[tuple[str, int], list[TraceRecord]] = defaultdict(list)
    for record in records:
        of_launch[record.job_sha256, record.launch].append(record)
    return [
        phase
        for run in runs
        if run.status is RunStatus.OK
        for record in of_launch.get((run.job_sha256, run.launch), ())
        for phase in launch_energy(run, record, read(record))
    ]


def _zero_s(run: Run, timings: Timings, clock: Clock) -> float | None:
    """The zero of the launch's clock on the trace's."""
    if clock is Clock.HOST and timings.clock_monotonic_s is not None:
        return timings.clock_monotonic_s - (run.clock_offset_s or 0.0)
    if clock is Clock.DEVICE_BOOT:
        return timings.clock_boottime_s
    return None


def _idle(record: TraceRecord) -> tuple[Window | None, Window | None]:
    ends = (
        (record.idle_before_begin_s, record.idle_before_end_s),
        (record.idle_after_begin_s, record.idle_after_end_s),
    )
    before, after = (
        None if begin is None or end is None or end <= begin else Window(begin_s=begin, end_s=end)
        for begin, end in ends
    )
    return before, after


def _inferences(timings: Timings, phase: str) -> int:
    if phase == "first":
        return 1
    return len(timings.steady_s) * timings.inferences_per_sample if phase == "steady" else 0
