"""The machine that gaugenn runs on."""

import hashlib
import os
import platform
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from gaugenn import __version__, _processes
from gaugenn.devices import ClockOffset, Device, Output, _linux, working_name
from gaugenn.errors import DeviceError, StorageFullError, UsageError, is_storage_full
from gaugenn.records import Environment, Reading, digest
from gaugenn.records._environment import Scope, passing, text

KEPT_VARIABLES = ("PATH", "TMPDIR", "LANG", "LC_ALL")
"""What a command inherits; all else could change its speed: thread counts, allocators, preloads.
Its home is the working folder, where libraries may leave what they like."""

ROOT = Path("/")
"""Where the system's files are."""


class HostDevice(Device):
    """Runs commands here, each in a process group and a limit of memory of its own.

    Pushed files are hard links where the working folder lies on the file's own disk, else copies.

    Args:
        folder: where the working folder is made; the system's temporary folder by default.
        memory_limit_bytes: of private memory for each process; nine tenths of the machine's by
            default, so that a greedy model fails instead of the machine.
    """

    def __init__(self, folder: Path | None = None, memory_limit_bytes: int | None = None) -> None:
        total = _memory_bytes()
        self._folder = folder
        self._limit = memory_limit_bytes or (None if total is None else total * 9 // 10)
        self._work: Path | None = None
        self._pushed: dict[Path, tuple[Path, int, int]] = {}

    def __enter__(self) -> Self:
        """Makes the working folder."""
        try:
            if self._folder is not None:
                self._folder.mkdir(parents=True, exist_ok=True)
            # Absolute, since commands get these paths and run in the working folder itself.
            folder = self._folder.absolute() if self._folder is not None else None
            self._work = Path(tempfile.mkdtemp(prefix="gaugenn-", dir=folder)).absolute()
        except OSError as error:
            raise _broken(error, "cannot make a working folder") from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Removes the working folder."""
        if self._work is not None:
            shutil.rmtree(self._work, ignore_errors=True)
            self._work = None
            self._pushed.clear()

    def info(self) -> Environment:
        """What this machine is."""
        readings = _readings(Scope.DEVICE)
        with_blank_name = Environment(
            environment_sha256="",
            device="host",
            device_kind="host",
            operating_system=_operating_system(),
            kernel=f"{platform.system()} {platform.release()}",
            architecture=platform.machine(),
            processor_model=_processor_model(),
            logical_cores=os.cpu_count() or 1,
            memory_bytes=_memory_bytes(),
            maximum_frequency_hz=_maximum_frequency_hz(readings),
            governor=text(readings, "core_governor", "cpu0"),
            gaugenn_version=__version__,
            readings=readings,
        )
        fields = asdict(with_blank_name)
        del fields["environment_sha256"]
        return replace(with_blank_name, environment_sha256=digest(fields))

    def run(
        self,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        timeout_s: float = 600.0,
    ) -> Output:
        """Runs a command in the working folder; see `Device.run`."""
        kept = {k: os.environ[k] for k in KEPT_VARIABLES if k in os.environ}
        variables = {**kept, "HOME": str(self._working_folder()), **(environment or {})}
        try:
            ended = _processes.run(
                argv,
                timeout_s=timeout_s,
                environment=variables,
                folder=self._working_folder(),
                started=self._confine,
            )
        except (OSError, ValueError) as error:
            raise DeviceError(f"host: cannot start {argv[0]}: {error}") from error
        return Output(
            exit_code=ended.exit_code,
            stdout=ended.stdout.decode("utf-8", "replace"),
            stderr=ended.stderr.decode("utf-8", "replace"),
            wall_s=ended.wall_s,
            timed_out=ended.timed_out,
            cpu_s=ended.cpu_s,
            variables=variables,
        )

    def push(self, local: Path, name: str) -> str:
        """Links or copies a file into the working folder; see `Device.push`."""
        target = self._working_folder() / working_name(name)
        if not local.is_file():
            raise UsageError(f"{local}: no such file to put into the working folder")
        try:
            state = local.stat()
            identity = (local, state.st_mtime_ns, state.st_size)
            if self._pushed.get(target) != identity:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.unlink(missing_ok=True)
                _link_or_copy(local, target)
                self._pushed[target] = identity
        except OSError as error:
            raise _broken(error, f"cannot put {local} into the working folder") from error
        return str(target)

    def pull(self, remote: str, local: Path) -> None:
        """Copies a file out of the working folder; see `Device.pull`."""
        source = self._working_folder() / remote
        try:
            shutil.copyfile(source, local)
            same = _same(source, local)
        except OSError as error:
            raise _broken(error, f"cannot copy {remote} to {local}") from error
        if not same:
            raise DeviceError(f"host: the copy of {remote} differs; try again")

    def conditions(self) -> tuple[Reading, ...]:
        """What Linux's files say; see `Device.conditions`."""
        return _readings(Scope.LAUNCH)

    def clock_offset_s(self) -> float:
        """The device is the host."""
        return 0.0

    def boottime_offset(self) -> ClockOffset | None:
        """Both clocks are this machine's."""
        if not hasattr(time, "CLOCK_BOOTTIME"):
            return None
        offset_s = time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()
        return ClockOffset(offset_s=offset_s, uncertainty_s=0.0)

    def drop_page_cache(self) -> None:
        """Asks Linux, which lets root only; see `Device.drop_page_cache`.

        Source: https://docs.kernel.org/admin-guide/sysctl/vm.html#drop-caches
        """
        os.sync()
        try:
            (ROOT / "proc/sys/vm/drop_caches").write_text("3\n")
        except OSError as error:
            raise UsageError(
                f"host: the page cache cannot be dropped: {error.strerror}; it needs Linux and root, "
                "or leave out --cold"
            ) from error

    def _working_folder(self) -> Path:
        if self._work is None:
            raise DeviceError("host: not open; use it as a context manager")
        return self._work

    def _confine(self, process: "subprocess.Popen[bytes]") -> None:
        """Limits the private memory of the process and forbids core dumps, where Linux allows."""
        try:
            import resource

            resource.prlimit(process.pid, resource.RLIMIT_CORE, (0, 0))
            if self._limit is not None:
                resource.prlimit(process.pid, resource.RLIMIT_DATA, (self._limit, self._limit))
        except (ImportError, AttributeError, OSError, ValueError):
            return


def _link_or_copy(local: Path, target: Path) -> None:
    try:
        os.link(local.resolve(), target)
    except OSError:
        shutil.copyfile(local, target)
        if not _same(local, target):
            raise DeviceError(f"host: the copy of {local} differs; try again") from None


def _same(first: Path, second: Path) -> bool:
    one, other = first.stat(), second.stat()
    if os.path.samestat(one, other):
        return True
    return one.st_size == other.st_size and _sha256(first) == _sha256(second)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _broken(error: OSError, what: str) -> StorageFullError | DeviceError:
    if is_storage_full(error):
        return StorageFullError(f"host: {what}: {error}; free some room and try again")
    return DeviceError(f"host: {what}: {error}")


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None


def _operating_system() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    except OSError:
        return platform.platform()


def _processor_model() -> str:
    """The CPU's name: x86 and some arm64 kernels print it, boards have it in the device tree.

    Source: https://docs.kernel.org/filesystems/proc.html
    """
    try:
        text = Path("/proc/cpuinfo").read_text(errors="replace")
    except OSError:
        text = ""
    found = re.search(r"^(?:model name|Hardware|Model)\s*:\s*(.+)$", text, re.MULTILINE)
    tree = _first_line("/proc/device-tree/model")
    return found.group(1).strip() if found else tree or platform.processor() or platform.machine()


def _maximum_frequency_hz(readings: Sequence[Reading]) -> int | None:
    """The fastest core's limit; virtual machines state none."""
    found = [r.number for r in readings if r.key == "core_maximum_frequency_hz" and r.number]
    return int(max(found)) if found else None


def _readings(scope: Scope) -> tuple[Reading, ...]:
    return passing(_linux.readings(_linux.collect(ROOT, scope)), scope)


def _first_line(path: str) -> str | None:
    try:
        return Path(path).read_text(errors="replace").split("\n")[0].strip("\0 ") or None
    except OSError:
        return None
