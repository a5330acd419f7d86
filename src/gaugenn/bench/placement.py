"""Which cores a job's threads may use: `4a2` is four threads on the two biggest cores.

What the biggest cores are depends on the device, so the notation is resolved with the device's map of
cores when a campaign is planned, and a job holds the numbers of its cores.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gaugenn.errors import UsageError
from gaugenn.records import Environment, Reading
from gaugenn.records._environment import number, text

_NOTATION = re.compile(r"([1-9][0-9]{0,3})(?:a([1-9][0-9]{0,3}))?")
MAXIMUM_CORES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """A number of threads and where they run.

    Attributes:
        threads: at least 1.
        cores: how many of the biggest cores they share; None for all cores, unpinned.
    """

    threads: int
    cores: int | None = None


def parse_placement(notation: str) -> Placement:
    """Reads `4` (four threads anywhere) or `4a2` (four threads on the two biggest cores).

    Raises:
        UsageError: it is neither.
    """
    found = _NOTATION.fullmatch(notation.strip())
    if found is None:
        raise UsageError(
            f"threads {notation!r}: give a number, like 4, or with cores, like 4a2: four threads on "
            "the two biggest cores"
        )
    threads, cores = found.groups()
    return Placement(threads=int(threads), cores=None if cores is None else int(cores))


def affinity(placement: Placement, environment: Environment) -> str:
    """The CPUs of a placement on a device, as `records.Job.affinity` has them: `4,6-7`.

    Raises:
        UsageError: the device has fewer cores than asked for.
    """
    wanted = placement.cores
    if wanted is None:
        return ""
    biggest = cores_by_size(environment)
    if wanted > len(biggest):
        raise UsageError(
            f"{placement.threads}a{wanted}: {environment.device} has {len(biggest)} cores"
        )
    return ",".join(str(core) for core in sorted(biggest[:wanted]))


def cores_by_size(environment: Environment) -> tuple[int, ...]:
    """The device's CPUs, the biggest first.

    Bigger is what has the higher capacity, where the device tells, else the higher maximum frequency.
    Of a physical core that shows as several CPUs the second one comes after every other core's first;
    among equals the lower number is first.
    """
    readings = environment.readings
    cpus = range(min(environment.logical_cores, MAXIMUM_CORES))
    return tuple(sorted(cpus, key=lambda cpu: (_turn(readings, cpu), -_size(readings, cpu), cpu)))


def _size(readings: Sequence[Reading], cpu: int) -> float:
    capacity = number(readings, "core_capacity", f"cpu{cpu}")
    frequency = number(readings, "core_maximum_frequency_hz", f"cpu{cpu}")
    return capacity or frequency or 0.0


def _turn(readings: Sequence[Reading], cpu: int) -> int:
    """Which of its physical core's CPUs it is, from 0."""
    siblings = text(readings, "core_siblings", f"cpu{cpu}") or str(cpu)
    if not re.fullmatch(r"[0-9]{1,5}(-[0-9]{1,5})?(,[0-9]{1,5}(-[0-9]{1,5})?)*", siblings):
        return 0
    before = 0
    for part in siblings.split(","):
        first, _, last = part.partition("-")
        before += max(0, min(cpu, int(last or first) + 1) - int(first))
    return before
