"""Devices by name, and how engines are started on them: the place where both are known."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from gaugenn import adb
from gaugenn.bench.campaign import host_libraries, host_programs
from gaugenn.bench.launch import Programs
from gaugenn.bench.provision import provisioned, remote_library_digest
from gaugenn.devices import Device
from gaugenn.devices._keeping import STRIKES
from gaugenn.devices._remote import RemoteDevice
from gaugenn.devices._settings import (
    Setting,
    State,
    android_settings,
    governor_settings,
    prepared,
    set_again,
)
from gaugenn.devices._untethered import UntetheredDevice, drop_open, finish_open
from gaugenn.devices._usb import usb_power
from gaugenn.devices.adb import AdbDevice
from gaugenn.devices.host import HostDevice
from gaugenn.devices.simulated import SimulatedDevice
from gaugenn.devices.ssh import CONFIG_VARIABLE, SshDevice, is_ssh_name
from gaugenn.engines import load_engine, simulated
from gaugenn.errors import DeviceError, MissingToolError, UsageError
from gaugenn.records import JobRecord

_SIMULATED_PROGRAM = "simulated-engine"

Libraries = dict[tuple[str, str], str | None]
"""Digest of the installed files of each (engine, version), where known."""


def is_remote(name: str) -> bool:
    """Whether a device's name stands for a phone or board, which has its own engines."""
    return name != "host" and name.partition(":")[0] != "simulated"


def open_device(name: str, folder: Path | None = None, seed: int | None = None) -> Device:
    """A device by the name that a user gives; enter it to open its link.

    Args:
        name: `host`; `simulated`, with conditions as in `simulated:throttle=0.3`; a board as
            `USER@HOST[:PORT]` or `ssh:ALIAS`; else the serial of an Android device.
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
    if is_ssh_name(name):
        config = os.environ.get(CONFIG_VARIABLE)
        return SshDevice(name, Path(config) if config else None)
    there = connected()
    try:
        device = AdbDevice(name)
    except UsageError:
        device = None
    if device is None or not (device.over_network or device.serial in there):
        listed = ", ".join(["host", "simulated", "USER@HOST", "ssh:ALIAS", *there])
        raise UsageError(f"there is no device {name!r}; there are: {listed}")
    return device


def connected() -> list[str]:
    """Android devices in whatever state; none where there is no adb."""
    try:
        return [listed.serial for listed in adb.listed()]
    except (DeviceError, MissingToolError):
        return []


@contextmanager
def campaign_device(
    name: str, folder: Path, prepare: State, untethered: str = ""
) -> Iterator[tuple[Device, tuple[str, ...]]]:
    """A device that is open and set for a campaign; all is set back at the end.

    Args:
        name: see `open_device`.
        folder: see `open_device`.
        prepare: what is set on a phone or board.
        untethered: see `BenchSettings`; only phones and boards have power that can be cut.

    Yields:
        The device, and what could not be set, each with why.

    Raises:
        UsageError: there is no such device.
        DeviceError: it cannot be reached or set.
    """
    power = usb_power(untethered or "none")
    if untethered and is_remote(name):
        finish_open(name, power)  # without power a phone is not even listed
    with open_device(name, folder) as device:
        if not isinstance(device, RemoteDevice):
            yield device, ()
            return
        if device.keeping is None:
            raise DeviceError(f"{name}: not open")
        with prepared(device, device.keeping, _settings(device, prepare)) as refused:
            if untethered:
                yield UntetheredDevice(device, power), refused
                drop_open(device)
            else:
                yield device, refused


def remote_of(device: Device) -> RemoteDevice | None:
    """The phone or board behind a device; None where it is none."""
    if isinstance(device, UntetheredDevice):
        return device.remote
    return device if isinstance(device, RemoteDevice) else None


def recover(device: RemoteDevice, prepare: State, error: DeviceError) -> None:
    """Brings a device back that failed: waits for it, then reboots it, then gives it up.

    Each failure in a row is a strike. What a reboot set back is set again.

    Raises:
        DeviceError: it is in quarantine now.
    """
    reason = str(error)
    while True:
        strikes = device.keeping.strike(reason) if device.keeping is not None else STRIKES
        if strikes >= STRIKES:
            raise DeviceError(f"{device.name} goes into quarantine: {reason}") from error
        try:
            if strikes == 1:
                device.reconnect()
            else:
                device.reboot()
            if device.keeping is not None:
                set_again(device, device.keeping, _settings(device, prepare))
        except DeviceError as again:
            reason = str(again)
        else:
            return


def _settings(device: RemoteDevice, prepare: State) -> tuple[Setting, ...]:
    if prepare is State.AS_IS:
        return ()
    found: tuple[Setting, ...] = ()
    if isinstance(device, AdbDevice):
        found = android_settings(over_network=device.over_network)
    return found + (governor_settings(device) if prepare is State.PINNED else ())


def device_programs(
    device: Device, name: str, jobs: Sequence[JobRecord]
) -> tuple[Programs, Libraries, dict[tuple[str, str], Exception]]:
    """How the engines of jobs are started on a device, which files they are, and which cannot be.

    Raises:
        MissingToolError: an engine's version is not installed on this machine.
        UsageError: a simulated device can run none of the engines.
        DeviceError: the link was lost.
    """
    if name == "host":
        return host_programs(jobs), host_libraries(jobs), {}
    remote = remote_of(device)
    if remote is not None:
        programs, refused = provisioned(remote, jobs)
        libraries = {
            (engine, version): remote_library_digest(remote, load_engine(engine), version)
            for engine, version in programs
        }
        return programs, libraries, refused
    pairs = {(record.job.engine, record.job.engine_version) for record in jobs}
    refusals: dict[tuple[str, str], Exception] = {
        (engine, version): UsageError(
            f"{engine}=={version} does not run on {name}; --engine simulated does"
        )
        for engine, version in sorted(pairs)
        if engine != "simulated"
    }
    programs = dict.fromkeys(pairs - refusals.keys(), (_SIMULATED_PROGRAM,))
    if refusals and not programs:
        raise next(iter(refusals.values()))
    return programs, host_libraries([r for r in jobs if r.job.engine == "simulated"]), refusals
