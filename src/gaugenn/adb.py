"""Android devices through the `adb` client: commands with an end mark, copies, who is connected.

A client exits with 0 when the link drops in the middle of a command, so every command ends by
printing a random mark with its own exit code; output without the mark is worth nothing.

**Source:** https://developer.android.com/tools/adb
"""

import re
import secrets
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gaugenn import _processes
from gaugenn._processes import Finished
from gaugenn.errors import DeviceError, MissingToolError, StorageFullError, UsageError

INSTALL = "apt-get install adb"
SHELL_S = 120.0
COPY_S = 3600.0
_FULL = re.compile(r"No space left on device|Disk quota exceeded")
_LONGEST_SERIAL = 255

Started = Callable[["subprocess.Popen[bytes]"], None]
"""Is told of each client process, so that somebody else can end it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A device that the adb server knows.

    Attributes:
        serial: its name there: a serial number, or `HOST:PORT`.
        state: `device`, `offline`, `unauthorized` and others; only with the first can one work.
        details: what the server tells about it, as `model`.
    """

    serial: str
    state: str
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a command on a device printed.

    Attributes:
        exit_code: of the command itself; None where it was ended here at its time limit.
        stdout: up to the mark.
        stderr: of the device's command and of the client.
        wall_s: seen from here.
    """

    exit_code: int | None
    stdout: str
    stderr: str
    wall_s: float


def adb_path() -> str:
    """The client.

    Raises:
        MissingToolError: not installed.
    """
    found = shutil.which("adb")
    if found is None:
        raise MissingToolError("an Android device", "adb", INSTALL)
    return found


def checked_serial(serial: str) -> str:
    """A serial as it may stand in a command.

    Raises:
        UsageError: it cannot be one.
    """
    if not serial or serial.startswith("-") or not serial.isprintable() or " " in serial:
        raise UsageError(f"{serial[:60]!r} is no device's serial")
    if len(serial) > _LONGEST_SERIAL:
        raise UsageError(f"{serial[:60]!r}... is no device's serial")
    return serial


def listed() -> tuple[Listed, ...]:
    """Every device that the server knows, in whatever state.

    Raises:
        DeviceError: the server does not answer.
        MissingToolError: adb is not installed.
    """
    found = []
    for line in client(["devices", "-l"], SHELL_S).stdout.decode(errors="replace").splitlines():
        words = line.split()
        if len(words) < 2 or line.startswith(("*", "List of devices")):
            continue
        details = dict(word.split(":", 1) for word in words[2:] if ":" in word)
        found.append(Listed(serial=words[0], state=words[1], details=details))
    return tuple(found)


def serials() -> tuple[str, ...]:
    """Devices that are connected and let us in."""
    return tuple(device.serial for device in listed() if device.state == "device")


def connect(address: str) -> str:
    """Asks the server to reach `HOST:PORT`, and returns what it says.

    Whether a device is there then, only `listed` tells: the client calls a device failed that is
    there a moment later.
    """
    ended = client(["connect", address], SHELL_S)
    return (ended.stdout + ended.stderr).decode(errors="replace").strip()


def disconnect(address: str) -> None:
    """Makes the server forget `HOST:PORT`."""
    client(["disconnect", address], SHELL_S)


def shell(
    serial: str, script: str, timeout_s: float = SHELL_S, started: Started | None = None
) -> Answer:
    """Runs a shell script on a device. Quote its arguments for the device's shell.

    Raises:
        DeviceError: the link was lost, or the device is not there.
    """
    mark = new_mark()
    ended = client(["-s", serial, "shell", marked(script, mark)], timeout_s, started)
    return answer(mark, ended, f"device {serial}")


def pull(serial: str, remote: str, to: Path, started: Started | None = None) -> None:
    """Copies a file from the device; the caller verifies it.

    Raises:
        DeviceError: it did not arrive.
        StorageFullError: no room here.
    """
    ended = client(["-s", serial, "pull", remote, str(to)], COPY_S, started)
    if ended.exit_code != 0 or not to.is_file():
        text = (ended.stderr + ended.stdout).decode(errors="replace").strip()
        if _FULL.search(text):
            raise StorageFullError(f"no room left for {to}: free some and run again")
        raise DeviceError(f"device {serial}: {remote} did not arrive whole: {text[-200:]}")


def push(serial: str, local: Path, remote: str, started: Started | None = None) -> None:
    """Copies a file to the device; the caller verifies it.

    Raises:
        DeviceError: it did not arrive.
        StorageFullError: no room there.
    """
    ended = client(["-s", serial, "push", str(local), remote], COPY_S, started)
    if ended.exit_code != 0:
        text = (ended.stderr + ended.stdout).decode(errors="replace").strip()
        if _FULL.search(text):
            raise StorageFullError(
                f"device {serial}: no room left for {local.name}; free some there and run again"
            )
        raise DeviceError(f"device {serial}: {local.name} did not arrive whole: {text[-200:]}")


def client(arguments: list[str], timeout_s: float, started: Started | None = None) -> Finished:
    """Runs the client.

    Raises:
        DeviceError: it cannot be started, or a command other than `shell` did not end in time.
        MissingToolError: it is not installed.
    """
    try:
        ended = _processes.run([adb_path(), *arguments], timeout_s=timeout_s, started=started)
    except (OSError, ValueError) as error:
        raise DeviceError(f"adb cannot be run: {error}") from error
    if ended.timed_out and "shell" not in arguments[:3]:
        raise DeviceError(f"adb {arguments[-1][:60]!r} did not end in {timeout_s:,.0f} s")
    return ended


def new_mark() -> str:
    """A mark that no output holds by chance."""
    return secrets.token_hex(8)


def marked(script: str, mark: str) -> str:
    """A script in a subshell, and after it the mark with its exit code."""
    return f"(\n{script}\n)\necho {mark}-$?-"


def answer(mark: str, ended: Finished, where: str) -> Answer:
    """Splits what a marked script printed.

    Raises:
        DeviceError: the mark is not there: the link was lost.
    """
    stdout = ended.stdout.decode("utf-8", "replace")
    stderr = ended.stderr.decode("utf-8", "replace")
    if ended.timed_out:
        return Answer(exit_code=None, stdout=stdout, stderr=stderr, wall_s=ended.wall_s)
    before, found, after = stdout.rpartition(f"{mark}-")
    code, _, _ = after.partition("-")
    if not found or not re.fullmatch(r"[0-9]{1,3}", code):
        reason = stderr.strip().splitlines()[-1:] or ["the link was lost"]
        raise DeviceError(f"{where}: {reason[0][:200]}")
    return Answer(exit_code=int(code), stdout=before, stderr=stderr, wall_s=ended.wall_s)
