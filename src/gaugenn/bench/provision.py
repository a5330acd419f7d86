"""Engines on a phone or board: an environment that the device itself builds, and the worker.

The device's own Python makes the environment, so its pip chooses the wheels for its architecture. It is
built under a temporary name, tried by importing the library, marked, and renamed, like those on this
machine; it stays there for the next campaign.
"""

import re
import shlex
from collections.abc import Sequence

from gaugenn.devices import Device
from gaugenn.devices._remote import RemoteDevice
from gaugenn.engines import Engine, _binaries, _environments, load_engine
from gaugenn.engines._native import NativeEngine
from gaugenn.errors import (
    DeviceError,
    EngineError,
    MissingToolError,
    StorageFullError,
    UsageError,
)
from gaugenn.records import Environment, JobRecord

_NO_ROOM = re.compile(r"No space left on device|Disk quota exceeded")
_REFUSED = 43
"""Exit code of the script where the library cannot be imported."""


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


def is_provisioned(engine: Engine) -> bool:
    """Whether a phone or board installs an engine itself; a user's programs are put there."""
    return not isinstance(engine, NativeEngine)


def provision(device: RemoteDevice, engine: Engine, version: str) -> tuple[str, ...]:
    """Sees that an engine's version is on a device, and says how it is started there.

    Args:
        device: that is open.
        engine: a Python wheel, one that needs none, or a program that a user supplied.
        version: of it.

    Raises:
        UsageError: the engine is neither.
        MissingToolError: the device has no Python that makes environments.
        EngineError: the wheel is not to be had there, or cannot be imported.
        StorageFullError: the device has no room.
        DeviceError: the link was lost.
    """
    if isinstance(engine, NativeEngine):
        return pushed_program(device, device.info(), engine, version)
    text = engine.worker()
    if text is None:
        raise UsageError(f"{engine.name} has no program for {device.name}")
    facts = device.facts()
    if "python" not in facts or "pip" not in facts:
        raise MissingToolError(
            f"{engine.name} on {device.name}", "Python with venv", "apt-get install python3-venv"
        )
    folder = _folder(device, engine, version)
    if device.shell(f"[ -e {shlex.quote(f'{folder}/{_environments.MARKER}')} ]").exit_code != 0:
        _build(device, engine, version, folder)
    path = _environments.worker_file(engine.name, text)
    worker = device.put(path, f"{device.cache}/workers/{path.name}")
    return (f"{folder}/bin/python", "-I", worker)


def provisioned(
    device: RemoteDevice, jobs: Sequence[JobRecord]
) -> tuple[dict[tuple[str, str], tuple[str, ...]], dict[tuple[str, str], Exception]]:
    """How the engines of jobs are started on a device, and why some cannot be.

    Raises:
        DeviceError: the link was lost.
    """
    programs: dict[tuple[str, str], tuple[str, ...]] = {}
    refused: dict[tuple[str, str], Exception] = {}
    for name, version in sorted({(r.job.engine, r.job.engine_version) for r in jobs}):
        try:
            programs[name, version] = provision(device, load_engine(name), version)
        except (EngineError, MissingToolError, StorageFullError, UsageError) as error:
            refused[name, version] = error
    return programs, refused


def remote_library_digest(device: RemoteDevice, engine: Engine, version: str) -> str | None:
    """Digest of a library's files on a device, the same as `library_digest` gives for them here.

    Raises:
        DeviceError: the link was lost.
    """
    if isinstance(engine, NativeEngine):
        binary = _binaries.find(engine, version, _binaries.abi(device.info()))
        return None if binary is None else binary.sha256
    if engine.distribution is None:
        return None
    stem = re.sub(r"[-_.]+", "_", engine.distribution)
    folder = shlex.quote(_folder(device, engine, version))
    found = device.shell(f"cat {folder}/lib/python*/site-packages/{stem}-[0-9]*.dist-info/RECORD")
    return _environments.record_digest(found.stdout) if found.exit_code == 0 else None


def engines_on(device: RemoteDevice) -> tuple[str, ...]:
    """Engines and versions that are installed on a device already.

    Raises:
        DeviceError: the link was lost.
    """
    pattern = f"engines/*/{_environments.MARKER}"
    listed = device.shell(f"cd {shlex.quote(device.cache)} && ls -d {pattern} 2>/dev/null; true")
    names = [line.split("/")[1] for line in listed.stdout.split() if line.count("/") == 2]
    return tuple("==".join(name.rsplit("-", 1)) for name in sorted(names))


def _folder(device: RemoteDevice, engine: Engine, version: str) -> str:
    return f"{device.cache}/engines/{engine.name}-{version}"


def _build(device: RemoteDevice, engine: Engine, version: str, folder: str) -> None:
    wanted = shlex.join(engine.requirements(version) or ("numpy",))
    quoted, building = shlex.quote(folder), shlex.quote(f"{folder}.building")
    trial = f"import {engine.module}" if engine.module is not None else "import numpy"
    script = f"""set -e
rm -rf {building}
mkdir -p {building}
python3 -m venv {building}
{building}/bin/python -I -m pip install --quiet --disable-pip-version-check --no-cache-dir \
    {shlex.join(_environments.pip_kinds(engine))} {wanted}
{building}/bin/python -I -c {shlex.quote(trial)} || exit {_REFUSED}
echo '{{"engine": "{engine.name}", "version": "{version}"}}' >{building}/{_environments.MARKER}
rm -rf {quoted}
mv {building} {quoted}"""
    ended = device.shell(script, _environments.INSTALL_LIMIT_S)
    if ended.exit_code == 0:
        return
    said = (ended.stderr + ended.stdout).strip()
    last = said.splitlines()[-1][:300] if said else "it printed nothing"
    named = f"{engine.name}=={version} on {device.name}"
    if _NO_ROOM.search(said):
        raise StorageFullError(f"{named}: no room; free some there and try again")
    if ended.exit_code is None:
        raise EngineError(f"{named}: was not installed within {_environments.INSTALL_LIMIT_S} s")
    what = "cannot be imported" if ended.exit_code == _REFUSED else "cannot be installed"
    raise EngineError(f"{named} {what}: {last}")
