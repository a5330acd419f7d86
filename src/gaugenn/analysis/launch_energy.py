"""Energy of each phase of a launch, on each rail that was measured meanwhile."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from gaugenn.analysis.alignment import LEAD_S, align
from gaugenn.analysis.energy import IDLE_MINIMUM_S, Energy, energy
from gaugenn.errors import GaugennError
from gaugenn.records import Clock, Run, RunStatus, Timings, Trace, TraceRecord, Window

PHASES = ("load", "load+prepare", "prepare", "first", "warmup", "steady")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sync:
    """Between the clock of a trace and those of a device and a launch on it.

    Attributes:
        zero_s: the trace's time of the launch's zero.
        boot_zero_s: the trace's time of the zero of the device's clock that also counts sleep; None
            where that is not known.
        rate: of the trace's clock over the device's, less 1.
        uncertainty_s: of a moment of the launch, where clocks had to be compared.
        residual_s: what two markers in the power did not agree on; None where none were needed.
    """

    zero_s: float
    boot_zero_s: float | None
    rate: float = 0.0
    uncertainty_s: float = 0.0
    residual_s: float | None = None

    def window(self, begin_s: float, end_s: float) -> Window:
        """The trace's window of a stretch of the launch."""
        return Window(
            begin_s=self.zero_s + begin_s * (1 + self.rate),
            end_s=self.zero_s + end_s * (1 + self.rate),
        )

    def of_boot_s(self, moment_s: float) -> float | None:
        """The trace's time of a moment of the device."""
        if self.boot_zero_s is None:
            return None
        return self.boot_zero_s + moment_s * (1 + self.rate)


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
        sync: how the device's clock and the trace's were joined; None where they could not be.
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
    sync: Sync | None = None


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
    sync, no_sync = synchronised(run, timings, record, trace)
    before, after = _idle(run, record, sync)
    for stamp in timings.stamps:
        if stamp.name not in PHASES or not stamp.end_s > stamp.begin_s:
            continue
        duration_s = stamp.end_s - stamp.begin_s
        measured, reason = None, None
        if sync is None:
            reason = no_sync
        else:
            window = sync.window(stamp.begin_s, stamp.end_s)
            try:
                measured = energy(trace, window, before, after, idle_minimum_s=idle_minimum_s)
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
                sync=sync,
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


def synchronised(
    run: Run, timings: Timings, record: TraceRecord, trace: Trace
) -> tuple[Sync | None, str | None]:
    """How the launch's clock lies on the trace's, or why nobody knows."""
    monotonic_s, boottime_s = timings.clock_monotonic_s, timings.clock_boottime_s
    if record.clock is Clock.HOST and monotonic_s is not None and run.clock_offset_s is not None:
        to_boot_s = None if boottime_s is None else monotonic_s - run.clock_offset_s - boottime_s
        return Sync(zero_s=monotonic_s - run.clock_offset_s, boot_zero_s=to_boot_s), None
    if boottime_s is None:
        return None, "no_sync: the launch does not tell when it began"
    if record.clock is Clock.DEVICE_BOOT:
        return Sync(zero_s=boottime_s, boot_zero_s=0.0), None
    if record.clock is Clock.HOST:
        if run.boottime_offset_s is None:
            return None, "no_sync: the device's clock was not compared with the host's"
        return (
            Sync(
                zero_s=boottime_s - run.boottime_offset_s,
                boot_zero_s=-run.boottime_offset_s,
                uncertainty_s=run.boottime_uncertainty_s or 0.0,
            ),
            None,
        )
    first, last = (_marker(run, name) for name in ("marker_before", "marker_after"))
    if first is None or last is None:
        return None, "no_sync: the device made no markers"
    try:
        found, reason = align(trace, (first[0], last[0]), bursts_s=first[1], last_bursts_s=last[1])
    except GaugennError as error:
        return None, f"no_sync: {error}"
    if found is None:
        return None, reason
    return (
        Sync(
            zero_s=found.to_meter_s(boottime_s),
            boot_zero_s=found.to_meter_s(boottime_s) - boottime_s * (1 + found.rate),
            rate=found.rate,
            uncertainty_s=found.uncertainty_s,
            residual_s=found.residual_s,
        ),
        None,
    )


def _marker(run: Run, name: str) -> tuple[float, tuple[tuple[float, float], ...]] | None:
    """When a marker began on the device, and its bursts as they were: seconds on and off."""
    bursts = [moment for moment in run.moments if moment.name == name]
    if len(bursts) < 2:
        return None
    ends = [*(later.begin_s for later in bursts[1:]), bursts[-1].end_s + LEAD_S]
    return bursts[0].begin_s, tuple(
        (burst.end_s - burst.begin_s, next_s - burst.end_s)
        for burst, next_s in zip(bursts, ends, strict=True)
    )


def _idle(run: Run, record: TraceRecord, sync: Sync | None) -> tuple[Window | None, Window | None]:
    """Idle stretches on the trace's clock: stamped there, or by the device."""
    ends = [
        (record.idle_before_begin_s, record.idle_before_end_s),
        (record.idle_after_begin_s, record.idle_after_end_s),
    ]
    own = {moment.name: moment for moment in run.moments}
    for index, name in enumerate(("idle_before", "idle_after")):
        if ends[index][0] is None and name in own and sync is not None:
            ends[index] = (sync.of_boot_s(own[name].begin_s), sync.of_boot_s(own[name].end_s))
    before, after = (
        None if begin is None or end is None or end <= begin else Window(begin_s=begin, end_s=end)
        for begin, end in ends
    )
    return before, after


def _inferences(timings: Timings, phase: str) -> int:
    if phase == "first":
        return 1
    return len(timings.steady_s) * timings.inferences_per_sample if phase == "steady" else 0
