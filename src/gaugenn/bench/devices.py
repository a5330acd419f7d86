"""Devices by name, and how engines are started on them: the place where both are known."""

from collections.abc import Sequence
from pathlib import Path

from gaugenn.bench.campaign import host_programs
from gaugenn.bench.launch import Programs
from gaugenn.devices import Device
from gaugenn.devices.host import HostDevice
from gaugenn.devices.simulated import SimulatedDevice
from gaugenn.engines import _binaries, simulated
from gaugenn.engines._native import NativeEngine
from gaugenn.errors import DeviceError, UsageError
from gaugenn.records import Environment, JobRecord

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


def pushed_program(
    device: Device, environment: Environment, engine: NativeEngine, version: str
) -> tuple[str, ...]:
    """How a program that a user supplied is started on a device: its files are put there first.

    Args:
        device: where; its link is open.
        environment: what it is.
        engine: whose program.
        version: of it.

    Raises:
        MissingToolError: there is no program for the device's ABI.
        DeviceError: the files cannot be put there, or not be made programs.
        StorageFullError: the device has no room.
    """
    abi = _binaries.abi(environment)
    binary = _binaries.find(engine, version, abi)
    if binary is None:
        raise _binaries.missing(engine, version, abi)
    folder = f"{engine.name}-{binary.sha256[:16]}"
    paths = [device.push(path, f"{folder}/{path.name}") for path in binary.files]
    ended = device.run(["chmod", "755", *paths], timeout_s=60)
    if ended.exit_code != 0:
        raise DeviceError(f"{environment.device}: chmod: {ended.stderr.strip()[:300]}")
    return engine.program(paths[0])


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
