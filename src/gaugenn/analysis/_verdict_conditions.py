"""Rules over what the device was like: before, during and after the launches of a job."""

import math
from collections.abc import Iterator

from gaugenn.analysis._verdict_case import Case
from gaugenn.records import Processor, Reading, Run, ThermalStart
from gaugenn.records._environment import number, text

CPU_SHARE_WANTED = 0.9
"""Processor time over wall time that one thread gets on an idle core."""
OTHERS_CORES = 0.5
"""Cores that other programs may have during a launch, on average."""
STOLEN_SHARE = 0.02
"""Of a launch's time, that a virtual machine's cores may wait for the real ones."""
WAITING_SHARE = 0.2
"""Of a launch's time, in which some task may wait for a core while ours leaves cores free."""
FREQUENCY_LOSS = 0.05
"""Of the highest frequency that the governor may choose, the share that is throttling."""
FREQUENCY_SPREAD = 0.10
"""By which the fastest core's frequency after a launch may differ between launches."""
HOTTER_C = 15.0
"""By which a launch may begin hotter than the coolest one."""
BATTERY_WANTED = 0.2
"""Below it many devices save power."""


def background_load(case: Case) -> bool:
    """Other programs had the processor; a companion is meant to."""
    if case.job.companion or case.job.companion_of:
        return False
    cores = math.inf if case.environment is None else float(case.environment.logical_cores)
    return any(_is_loaded(run, cores, case.job.threads) for run in case.runs) or _starved(case)


def throttled(case: Case) -> bool:
    """The device said that it is too hot, or lowered what its governor may choose."""
    statuses = _numbers(case, "thermal_status")
    if any(status >= 1 for status in statuses):
        return True
    limits: dict[str, list[float]] = {}
    for reading in _readings(case):
        if reading.key == "core_frequency_upper_limit_hz" and reading.number is not None:
            limits.setdefault(reading.instance, []).append(reading.number)
    return any(min(seen) < (1 - FREQUENCY_LOSS) * max(seen) for seen in limits.values())


def frequency_changed(case: Case) -> bool:
    """The fastest core after one launch was slower than after another."""
    fastest = [
        max(found)
        for run in case.runs
        if (found := [r.number for r in run.after if r.key == "core_frequency_hz" and r.number])
    ]
    return bool(fastest) and min(fastest) < (1 - FREQUENCY_SPREAD) * max(fastest)


def hot_start(case: Case) -> bool:
    """A launch did not get cool, or some zone was much hotter before it than before another."""
    if any(run.thermal_start is ThermalStart.HOT for run in case.runs):
        return True
    zones: dict[str, list[float]] = {}
    for run in case.runs:
        for reading in run.before:
            if (
                reading.key in ("temperature_c", "battery_temperature_c")
                and reading.number is not None
            ):
                zones.setdefault(reading.key + reading.instance, []).append(reading.number)
    return any(max(seen) > min(seen) + HOTTER_C for seen in zones.values())


def battery_low(case: Case) -> bool:
    """The charge was low at some time."""
    return any(level < BATTERY_WANTED for level in _numbers(case, "battery_level"))


def charging(case: Case) -> bool:
    """The battery was charged at some time."""
    return any(r.key == "battery_state" and r.text == "charging" for r in _readings(case))


def rebooted(case: Case) -> bool:
    """The boot's identity changed during a launch."""
    return any(
        len({text(run.before, "boot_id"), text(run.after, "boot_id")} - {None}) > 1
        for run in case.runs
    )


def _is_loaded(run: Run, cores: float, threads: int) -> bool:
    load = number(run.before, "load_average")
    load = run.load_average if load is None else load
    if load is not None and load > cores:
        return True
    if run.wall_s <= 0:
        return False
    busy_s = _passed(run, "cpu_busy_s")
    others_s = None if busy_s is None or run.cpu_s is None else busy_s - run.cpu_s
    if others_s is not None and others_s > OTHERS_CORES * run.wall_s:
        return True
    stolen_s = _passed(run, "cpu_steal_s")
    if stolen_s is not None and stolen_s > STOLEN_SHARE * run.wall_s:
        return True
    waiting_s = _passed(run, "cpu_pressure_s")
    return waiting_s is not None and threads < cores and waiting_s > WAITING_SHARE * run.wall_s


def _starved(case: Case) -> bool:
    """One thread did not get its core, of all the time that its inferences took."""
    if case.job.threads != 1 or case.job.processor is not Processor.CPU:
        return False
    return any(
        timings.process_cpu_s is not None
        and timings.process_cpu_s
        < CPU_SHARE_WANTED * timings.inferences_per_sample * sum(timings.steady_s)
        for timings in case.measured
    )


def _passed(run: Run, counter: str) -> float | None:
    """What a counter grew by during a launch; None where it was not read or began anew."""
    begin, end = number(run.before, counter), number(run.after, counter)
    if begin is None or end is None or end < begin:
        return None
    return end - begin


def _readings(case: Case) -> Iterator[Reading]:
    for run in case.runs:
        yield from run.before
        yield from run.after


def _numbers(case: Case, key: str) -> list[float]:
    return [r.number for r in _readings(case) if r.key == key and r.number is not None]
