"""Devices that run benchmark commands: one file a kind."""

import posixpath
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from gaugenn.errors import UsageError
from gaugenn.records import Environment, Reading

LONGEST_NAME_BYTES = 255
"""Of one part of a path, on every file system in use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What a finished command left.

    Attributes:
        exit_code: as the remote shell has it: 128 + n for signal n. None when it was ended by us.
        stdout: decoded as UTF-8, errors replaced; of a long one only the end.
        stderr: the same.
        wall_s: from start to end on the device's host clock.
        timed_out: ended because it ran past its limit.
        cpu_s: processor time of the command and of its children that it waited for, if known.
        variables: environment variables that it was started with, if known.
    """

    exit_code: int | None
    stdout: str
    stderr: str
    wall_s: float
    timed_out: bool = False
    cpu_s: float | None = None
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockOffset:
    """Between a device's clock that also counts sleep and this host's monotonic clock.

    Attributes:
        offset_s: the device's minus the host's.
        uncertainty_s: how far that may be off, either way.
    """

    offset_s: float
    uncertainty_s: float


class Device(ABC):
    """Runs commands and holds files. A context manager: entering opens the link.

    Attributes:
        has_shell: its commands may be scripts for `sh`, and its time is that of the world.
    """

    has_shell: ClassVar[bool] = True

    @abstractmethod
    def info(self) -> Environment:
        """What the device is, asked afresh.

        Raises:
            DeviceError: the link is down.
        """

    @abstractmethod
    def run(
        self,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        timeout_s: float = 600.0,
    ) -> Output:
        """Runs a command to its end. The whole process group dies at the time limit.

        Raises:
            DeviceError: the command could not be started or the link was lost.
        """

    @abstractmethod
    def push(self, local: Path, name: str) -> str:
        """Puts a file into the device's working folder and verifies it.

        A file that is there under this name already is kept if it is the same, else replaced.

        Args:
            local: the file here.
            name: its path inside the working folder; see `working_name`.

        Returns:
            The path on the device, for use in `run`.

        Raises:
            UsageError: no such file, or the name is absolute or leaves the working folder.
            StorageFullError: the device has no room.
            DeviceError: the copy failed or differs.
        """

    @abstractmethod
    def pull(self, remote: str, local: Path) -> None:
        """Copies a file from the device and verifies it.

        Args:
            remote: its path there; a name without a folder is a file that the last command left in
                the folder where it ran.
            local: where it is put.

        Raises:
            StorageFullError: there is no room here.
            DeviceError: the copy failed or differs.
        """

    def conditions(self) -> tuple[Reading, ...]:
        """The device's state at this moment: keys of scope `launch`, those that it tells.

        Raises:
            DeviceError: the link is down.
        """
        return ()

    def clock_offset_s(self) -> float | None:
        """The device's monotonic clock minus that of this host, where it is known.

        Raises:
            DeviceError: the link is down.
        """
        return None

    def boottime_offset(self) -> ClockOffset | None:
        """The clocks of device and host, where they can be compared.

        Raises:
            DeviceError: the link is down.
        """
        return None

    def now_s(self) -> float:
        """A clock that goes on while the device rests; its zero means nothing."""
        return time.monotonic()

    def rest(self, duration_s: float) -> None:
        """Lets time go by on the device."""
        time.sleep(duration_s)

    def expect(self, launch: str) -> None:
        """Is told a name for the next command, the same when that is tried again."""
        del launch

    def drop_page_cache(self) -> None:
        """Makes the system forget what it holds of files, so that the next read comes from storage.

        Raises:
            UsageError: the device cannot, or not without rights that it does not give.
            DeviceError: the link is down.
        """
        raise UsageError("this device cannot drop its page cache; leave out --cold")

    def __enter__(self) -> Self:
        """Opens the link."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes the link and removes what was pushed."""


def working_name(name: str) -> str:
    """A path inside a working folder, cleaned: `/` separators, no `..`, not absolute.

    Raises:
        UsageError: the name leaves the folder, or no file system takes it.
    """
    clean = posixpath.normpath(name.replace("\\", "/"))
    try:
        longest = max(len(part.encode()) for part in clean.split("/"))
    except UnicodeEncodeError:
        longest = LONGEST_NAME_BYTES + 1
    leaves = not name or "\0" in name or clean.startswith(("/", "..")) or clean == "."
    if leaves or longest > LONGEST_NAME_BYTES:
        raise UsageError(f"{name[:300]!r} is no path inside a device's working folder")
    return clean
