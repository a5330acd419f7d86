"""Devices that run benchmark commands: one file a kind."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from gaugenn.records import Environment


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What a finished command left.

    Attributes:
        exit_code: as the remote shell has it: 128 + n for signal n. None when it was ended by us.
        stdout: decoded as UTF-8, errors replaced, capped.
        stderr: the same.
        wall_s: from start to end on the device's host clock.
        timed_out: ended because it ran past its limit.
    """

    exit_code: int | None
    stdout: str
    stderr: str
    wall_s: float
    timed_out: bool = False


class Device(ABC):
    """Runs commands and holds files. A context manager: entering opens the link."""

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

        Args:
            local: the file here.
            name: a plain file name there.

        Returns:
            The path on the device, for use in `run`.

        Raises:
            StorageFullError: the device has no room.
            DeviceError: the copy failed or differs.
        """

    @abstractmethod
    def pull(self, remote: str, local: Path) -> None:
        """Copies a file from the device and verifies it."""

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
