"""Devices by name, and how engines are started on them: the place where both are known."""

from collections.abc import Sequence
from pathlib import Path

from gaugenn.bench.campaign import host_programs
from gaugenn.bench.launch import Programs
from gaugenn.devices import Device
from gaugenn.devices.host import HostDevice
from gaugenn.devices.simulated import SimulatedDevice
from gaugenn.engines import simulated
from gaugenn.errors import UsageError
from gaugenn.records import JobRecord

_SIMULATED_PROGRAM = "simulated-engine"


def open_device(name: str, folder: Path | None = None, seed: int | None = None) -> Device:
    """A device by the name that a user gives; enter it to open its link.

    Args:
        name: `host`, or `simulated` with conditions as in `simulated:throttle=0.3`.
        folder: where a device on this machine makes its working folder.
        seed: of a simulated device.

    Raises:
        UsageError: there is no such device.
    """
    kind = name.partition(":")[0]
    if name == "host":
        return HostDevice(folder=folder)
    if kind == "simulated":
        return SimulatedDevice(name, {_SIMULATED_PROGRAM: simulated.main}, seed)
    raise UsageError(f"there is no device {name!r}; there are: host, simulated")


def device_programs(name: str, jobs: Sequence[JobRecord]) -> Programs:
    """How the engines of jobs are started on a device.

    Raises:
        MissingToolError: an engine's version is not installed.
        UsageError: the device cannot run an engine.
    """
    if name == "host":
        return host_programs(jobs)
    pairs = {(record.job.engine, record.job.engine_version) for record in jobs}
    for engine, version in sorted(pairs):
        if engine != "simulated":
            raise UsageError(f"{engine}=={version} does not run on {name}; --engine simulated does")
    return dict.fromkeys(pairs, (_SIMULATED_PROGRAM,))
