"""Commands on an Android device through the `adb` client.

A client exits 0 when the link drops in the middle of a command, so every command ends by printing a
random mark with its own exit code; output without the mark is worth nothing.
"""

import re
import secrets
import shutil
import subprocess
from pathlib import Path

from gaugenn.errors import DeviceError, MissingToolError, SourceError, StorageFullError

INSTALL = "apt-get install adb"
_SHELL_S = 120
_PULL_S = 3600


def adb_path() -> str:
    """The client.

    Raises:
        MissingToolError: not installed.
    """
    found = shutil.which("adb")
    if found is None:
        raise MissingToolError("the source device", "adb", INSTALL)
    return found


def serials() -> tuple[str, ...]:
    """Devices that are connected and let us in."""
    listed = _client(["devices"], _SHELL_S).stdout
    pairs = (line.split("\t") for line in listed.splitlines()[1:])
    return tuple(pair[0] for pair in pairs if len(pair) == 2 and pair[1].strip() == "device")


def shell(serial: str, command: str) -> str:
    """What a command line prints on the device. Quote its arguments for the device's shell.

    Raises:
        DeviceError: the link was lost, or the device is not there.
        SourceError: the command failed there.
    """
    mark = secrets.token_hex(8)
    done = _client(["-s", serial, "shell", f"{command}; echo {mark}-$?-"], _SHELL_S)
    found = re.search(rf"{mark}-(\d{{1,3}})-\s*\Z", done.stdout)
    if found is None:
        reason = done.stderr.strip().splitlines()[-1:] or ["the link was lost"]
        raise DeviceError(f"device {serial}: {reason[0][:200]}")
    if int(found[1]) != 0:
        raise SourceError(
            f"device {serial}: {command.partition(' ')[0]} ended with {int(found[1])}"
        )
    return done.stdout[: found.start()].replace("\r\n", "\n")


def pull(serial: str, remote: str, to: Path) -> None:
    """Copies a file from the device; the caller verifies it.

    Raises:
        DeviceError: it did not arrive.
        StorageFullError: no room here.
    """
    done = _client(["-s", serial, "pull", remote, str(to)], _PULL_S)
    if done.returncode != 0 or not to.is_file():
        text = (done.stderr + done.stdout).strip()
        if "No space left" in text:
            raise StorageFullError(f"no room left for {to}: free some and run again")
        raise DeviceError(f"device {serial}: {remote} did not arrive whole: {text[-200:]}")


def _client(arguments: list[str], timeout_s: float) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            [adb_path(), *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            check=False,
            timeout=timeout_s,
        )
    except subprocess.TimeoutExpired:
        raise DeviceError(f"adb {arguments[-1][:60]!r} did not end in {timeout_s:,.0f} s") from None
    except OSError as error:
        raise DeviceError(f"adb cannot be run: {error.strerror}") from error
