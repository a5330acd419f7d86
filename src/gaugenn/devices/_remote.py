"""Devices that are reached through a shell at the end of a link: what `adb` and `ssh` have in common.

A command runs in a session of its own on the device, so that all of it can be ended; its output ends
with a random mark and its exit code, so that a lost link is never taken for an end. Files are compared
by the digest that the device itself computes.
"""

import hashlib
import math
import re
import secrets
import shlex
import subprocess
import threading
import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from gaugenn import __version__
from gaugenn.adb import Answer, new_mark
from gaugenn.devices import ClockOffset, Device, Output, _android, _linux, working_name
from gaugenn.devices._keeping import Keeping
from gaugenn.devices._settings import restore_open
from gaugenn.errors import DeviceError, StorageFullError, UsageError, is_storage_full
from gaugenn.records import Environment, Reading, digest
from gaugenn.records._environment import Scope, passing

SHORT_S = 60.0
"""Limit of a command that only asks."""
DIGEST_S = 1800.0
"""Limit of a digest; slow cards read some 10 MB a second."""
RECONNECT_S = 120.0
"""How long a device may take to come back, also from a reboot."""
POLL_S = 0.5
CLOCK_LOOKS = 12
"""At the device's clock, to compare it with this host's."""
UPTIME_STEP_S = 0.01
_TIMES = re.compile(r"(\d+)m(\d+(?:\.\d+)?)s")
_SHA256 = re.compile(r"\\?([0-9a-f]{64})[ \t]")
_FULL = re.compile(r"No space left on device|Disk quota exceeded")


class RemoteDevice(Device):
    """A device at the end of a link.

    Entering it connects, takes the device for this process alone, restores settings that a crashed
    campaign left changed, and makes a fresh working folder.

    Args:
        name: as the user gave it.
    """

    kind: str
    """Of device, as `Environment.device_kind` has it."""
    title: str
    """What stands before its messages."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.keeping: Keeping | None = None
        self.cache = ""
        self._work = ""
        self._pushed: dict[str, tuple[Path, int, int]] = {}
        self._facts: dict[str, str] | None = None
        self._running: set[subprocess.Popen[bytes]] = set()
        self._guard = threading.Lock()
        self._closed = False

    @abstractmethod
    def connect(self) -> None:
        """Opens the link, or sees that it is open.

        Raises:
            DeviceError: there is no such device, it is off, or it does not let us in.
            MissingToolError: the link's program is not installed.
        """

    @abstractmethod
    def shell(self, script: str, timeout_s: float = SHORT_S) -> Answer:
        """Runs a script in the device's shell. Output comes with the script's own exit code.

        Raises:
            DeviceError: the link was lost.
        """

    @abstractmethod
    def send(self, local: Path, remote: str) -> None:
        """Copies a file to the device.

        Raises:
            StorageFullError: the device has no room.
            DeviceError: the link was lost.
        """

    @abstractmethod
    def receive(self, remote: str, local: Path) -> None:
        """Copies a file from the device.

        Raises:
            StorageFullError: there is no room here.
            DeviceError: the link was lost, or there is no such file.
        """

    @abstractmethod
    def cache_script(self) -> str:
        """A script that prints the folder on the device for what outlives a campaign."""

    def host(self) -> str | None:
        """The device's address on a network, where the link has one."""
        return None

    @abstractmethod
    def disconnect(self) -> None:
        """Closes the link."""

    def __enter__(self) -> Self:
        """Connects and takes the device; see the class.

        Raises:
            DeviceError: it cannot be reached, another process uses it, or it is in quarantine.
        """
        self._closed = False
        self.connect()
        keeping = Keeping(self.identity())
        keeping.refuse_quarantined(self.name)
        keeping.take(self.name)
        self.keeping = keeping
        try:
            restore_open(self, keeping)
            self._open_folder()
        except BaseException:
            keeping.give_back()
            self.keeping = None
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Removes the working folder, closes the link, gives the device back."""
        self.stop()
        with suppress(DeviceError):
            if self._work:
                self._closed = False
                self.shell(f"rm -rf {shlex.quote(self._work)}")
        self._work = ""
        self._pushed.clear()
        self._facts = None
        try:
            self.disconnect()
        finally:
            if self.keeping is not None:
                self.keeping.give_back()
                self.keeping = None

    def stop(self) -> None:
        """Ends what runs over the link, from another thread: its caller gets a `DeviceError`."""
        with self._guard:
            self._closed = True
            for process in self._running:
                with suppress(ProcessLookupError):
                    process.kill()

    def go_on(self) -> None:
        """Lets commands be run again after `stop`."""
        self._closed = False

    def identity(self) -> str:
        """What names the device whatever link it is reached by."""
        facts = self.facts()
        found = facts.get("ro.serialno") or facts.get("machine-id")
        return f"{self.kind} {found or self.name}"

    def facts(self) -> dict[str, str]:
        """Properties, kernel, architecture, memory, CPU and tools of the device; asked once.

        Raises:
            DeviceError: the link is down.
        """
        if self._facts is None:
            answer = self.shell(_FACTS)
            self._facts = _android.properties(answer.stdout) | _stated(answer.stdout)
        return self._facts

    def info(self) -> Environment:
        """What the device is; see `Device.info`."""
        self._facts = None
        facts = self.facts()
        readings = self._readings(Scope.DEVICE)
        image = facts.get("ro.build.fingerprint")
        if image is not None:
            others = [r for r in readings if r.key != "build"]
            readings = passing([*others, Reading(key="build", text=image)], Scope.DEVICE)
        fastest = [r.number for r in readings if r.key == "core_maximum_frequency_hz" and r.number]
        governors = [r.text for r in readings if r.key == "core_governor"]
        with_blank_name = Environment(
            environment_sha256="",
            device=self.name,
            device_kind=self.kind,
            operating_system=_system(facts),
            kernel=facts.get("kernel", "unknown"),
            architecture=facts.get("architecture", "unknown"),
            processor_model=_processor(facts),
            logical_cores=max(1, _integer(facts.get("cores")) or 1),
            memory_bytes=(_integer(facts.get("memory_kb")) or 0) * 1024 or None,
            maximum_frequency_hz=int(max(fastest)) if fastest else None,
            governor=governors[0] if governors else None,
            gaugenn_version=__version__,
            readings=readings,
        )
        fields = asdict(with_blank_name)
        del fields["environment_sha256"]
        return replace(with_blank_name, environment_sha256=digest(fields))

    def conditions(self) -> tuple[Reading, ...]:
        """What the device's files and, on Android, its services say; see `Device.conditions`."""
        return self._readings(Scope.LAUNCH)

    def run(
        self,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        timeout_s: float = 600.0,
    ) -> Output:
        """Runs a command in the working folder; see `Device.run`.

        A command that the device does not have ends with code 127, as its shell says it.
        """
        work = self.working_folder()
        variables = {"HOME": work, **(environment or {})}
        mark = new_mark()
        pid_file = f"{work}/.run-{mark}"
        script = (
            f"cd {shlex.quote(work)} || exit\n"
            f"setsid {command_line(argv, variables)} </dev/null &\n"
            f"p=$!; echo $p >{pid_file}; wait $p; r=$?\n"
            f"kill -KILL -$p 2>/dev/null; rm -f {pid_file}; echo {mark}; times\n"
            "exit $r"
        )
        try:
            answer = self.shell(script, timeout_s)
        except DeviceError:
            raise  # the next contact ends what may still run there
        except BaseException:
            with suppress(DeviceError):
                self._end(pid_file)
            raise
        if answer.exit_code is None:
            self._end(pid_file)
        stdout, cpu_s = answer.stdout, None
        if answer.exit_code is not None:
            stdout, _, times = stdout.rpartition(mark)
            cpu_s = _processor_time(times)
        return Output(
            exit_code=answer.exit_code,
            stdout=stdout,
            stderr=answer.stderr,
            wall_s=answer.wall_s,
            timed_out=answer.exit_code is None,
            cpu_s=cpu_s,
            variables=variables,
        )

    def push(self, local: Path, name: str) -> str:
        """Copies a file into the working folder and compares digests; see `Device.push`."""
        return self.put(local, f"{self.working_folder()}/{working_name(name)}")

    def put(self, local: Path, target: str) -> str:
        """Copies a file to a path on the device, unless the same is there already.

        Raises: as `Device.push`.
        """
        if not local.is_file():
            raise UsageError(f"{local}: no such file to put onto {self.name}")
        state = local.stat()
        identity = (local, state.st_mtime_ns, state.st_size)
        if self._pushed.get(target) == identity:
            return target
        wanted = _sha256(local)
        if self.digest_of(target) != wanted:
            self._replace(local, target, wanted, executable=bool(state.st_mode & 0o100))
        self._pushed[target] = identity
        return target

    def pull(self, remote: str, local: Path) -> None:
        """Copies a file here and compares digests; see `Device.pull`."""
        if "/" not in remote:
            remote = f"{self.working_folder()}/{remote}"
        wanted = self.digest_of(remote)
        if wanted is None:
            raise DeviceError(f"{self.title}: there is no file {remote}")
        part = local.with_name(f"{local.name}.part")
        try:
            self.receive(remote, part)
            if _sha256(part) != wanted:
                raise DeviceError(f"{self.title}: the copy of {remote} differs; try again")
            part.replace(local)
        except OSError as error:
            if is_storage_full(error):
                raise StorageFullError(f"{local}: {error}; free some room and try again") from error
            raise DeviceError(f"{self.title}: cannot write {local}: {error}") from error
        finally:
            part.unlink(missing_ok=True)

    def digest_of(self, remote: str) -> str | None:
        """SHA-256 of a file, as the device computes it; None where there is no such file.

        Raises:
            DeviceError: the link was lost, or the device computes no digests.
        """
        path = shlex.quote(remote)
        answer = self.shell(f"[ -f {path} ] || exit 44\nsha256sum {path}", DIGEST_S)
        if answer.exit_code == 44:
            return None
        found = _SHA256.match(answer.stdout)
        if answer.exit_code != 0 or found is None:
            said = (answer.stderr or answer.stdout).strip()[-200:]
            raise DeviceError(f"{self.title}: no digest of {remote}: {said}")
        return found.group(1)

    def boottime_offset(self) -> ClockOffset | None:
        """Looks at the device's uptime again and again; see `Device.boottime_offset`.

        Its steps are a hundredth of a second, and each look takes its way: what all looks allow is
        narrower than what one does.

        **Source:** https://man7.org/linux/man-pages/man5/proc_uptime.5.html
        """
        low, high = -math.inf, math.inf
        for _ in range(CLOCK_LOOKS):
            before = time.monotonic()
            told = self.shell("cat /proc/uptime").stdout.split()
            after = time.monotonic()
            try:
                uptime_s = float(told[0])
            except (IndexError, ValueError):
                return None
            low = max(low, uptime_s - after)
            high = min(high, uptime_s + UPTIME_STEP_S - before)
        if high < low:  # the clock was not the same throughout
            return None
        return ClockOffset(offset_s=(low + high) / 2, uncertainty_s=(high - low) / 2)

    def drop_page_cache(self) -> None:
        """Asks the device's kernel, which lets root only; see `Device.drop_page_cache`."""
        if self.shell("sync; echo 3 >/proc/sys/vm/drop_caches").exit_code != 0:
            raise UsageError(
                f"{self.title}: the page cache cannot be dropped without root; leave out --cold"
            )

    def reconnect(self, limit_s: float = RECONNECT_S) -> None:
        """Waits until the device answers again, also after a reboot.

        Raises:
            DeviceError: it does not within the limit.
        """
        deadline = time.monotonic() + limit_s
        while True:
            try:
                self.connect()
                if self.shell("true", 10.0).exit_code == 0:
                    break
            except DeviceError:
                if time.monotonic() >= deadline or self._closed:
                    raise
            time.sleep(POLL_S)
        self._pushed.clear()
        self._facts = None
        if self._work:
            self._must(_END_COMMANDS.format(folders=shlex.quote(self._work)))
            self._make_folder()

    def reboot(self, limit_s: float = 2 * RECONNECT_S) -> None:
        """Restarts the device and waits for it.

        Raises:
            DeviceError: it does not come back, or did not go.
        """
        deadline = time.monotonic() + limit_s
        self.reconnect(limit_s)
        before = self.boot_id()
        with suppress(DeviceError):
            self.shell("sync; reboot", 30.0)
        while True:
            self.reconnect(max(1.0, deadline - time.monotonic()))
            if self.boot_id() != before:
                return
            if time.monotonic() >= deadline:
                raise DeviceError(f"{self.title}: it was told to reboot and did not")
            time.sleep(POLL_S)

    def boot_id(self) -> str:
        """What changes with every start of the device.

        Raises:
            DeviceError: the link is down.
        """
        return self._must("cat /proc/sys/kernel/random/boot_id").stdout.strip()

    def working_folder(self) -> str:
        """The campaign's folder on the device.

        Raises:
            DeviceError: the device is not open.
        """
        if not self._work:
            raise DeviceError(f"{self.title}: not open; use it as a context manager")
        return self._work

    def note(self, process: "subprocess.Popen[bytes]") -> None:
        """Is told of each process of the link that just started."""
        with self._guard:
            self._running = {p for p in self._running if p.returncode is None} | {process}
            if self._closed:
                process.kill()

    def _must(self, script: str, timeout_s: float = SHORT_S) -> Answer:
        answer = self.shell(script, timeout_s)
        if answer.exit_code != 0:
            said = (answer.stderr or answer.stdout).strip()[-200:]
            if _FULL.search(said):
                raise StorageFullError(f"{self.title}: {said}; free some room there")
            raise DeviceError(
                f"{self.title}: {script[:60]!r} ended with {answer.exit_code}: {said}"
            )
        return answer

    def _open_folder(self) -> None:
        """Makes a working folder, and sweeps those of campaigns that were killed."""
        self.cache = self._must(self.cache_script()).stdout.strip()
        work = f"{self.cache}/work-{secrets.token_hex(6)}"
        old = f"{shlex.quote(self.cache)}/work-*"
        self._must(f"{_END_COMMANDS.format(folders=old)}; rm -rf {old}")
        self._work = work
        self._make_folder()

    def _make_folder(self) -> None:
        folder = shlex.quote(self._work)
        self._must(f"mkdir -p {folder} && cat /proc/sys/kernel/random/boot_id >{folder}/.boot")

    def _replace(self, local: Path, target: str, wanted: str, *, executable: bool) -> None:
        folder, path, part = (
            shlex.quote(p) for p in (target.rpartition("/")[0], target, f"{target}.part")
        )
        self._must(f"mkdir -p {folder}; rm -f {path} {part}")
        try:
            self.send(local, f"{target}.part")
            if self.digest_of(f"{target}.part") != wanted:
                raise DeviceError(f"{self.title}: {local.name} arrived changed; try again")
        except (DeviceError, StorageFullError):
            with suppress(DeviceError):
                self.shell(f"rm -f {part}")
            raise
        self._must(f"chmod {755 if executable else 644} {part} && mv {part} {path}")

    def _end(self, pid_file: str) -> None:
        """Ends a command's whole session. If the link is gone that has to be known."""
        self._must(
            f"p=$(cat {pid_file} 2>/dev/null) && kill -KILL -$p 2>/dev/null; rm -f {pid_file}"
        )

    def _readings(self, scope: Scope) -> tuple[Reading, ...]:
        sections = _android.SECTIONS if scope is Scope.LAUNCH else {}
        mark = new_mark()
        paths = " ".join(f"/{pattern}" for pattern in _linux.PATTERNS[scope])
        asked = [f"grep -sH '' {paths}"]
        asked += [
            f"echo {mark} {name}; {command} 2>/dev/null" for name, command in sections.items()
        ]
        answer = self.shell("\n".join([*asked, "true"]))
        files, *parts = answer.stdout.split(f"{mark} ")
        told = dict(part.split("\n", 1) for part in parts if "\n" in part)
        android = list(_android.readings(told))
        own = {(r.key, r.instance) for r in android}
        linux = [r for r in _linux.readings(_listed_files(files)) if (r.key, r.instance) not in own]
        return passing([*android, *linux], scope)


_FACTS = """getprop 2>/dev/null
echo "architecture=$(uname -m)"
echo "kernel=$(uname -sr)"
echo "cores=$(grep -c ^processor /proc/cpuinfo)"
sed -n 's/^MemTotal: *\\([0-9]*\\) kB/memory_kb=\\1/p' /proc/meminfo
sed -n 's/^PRETTY_NAME="*\\([^"]*\\)"*/system=\\1/p' /etc/os-release 2>/dev/null
sed -n 's/^model name[^:]*: */processor=/p;s/^Hardware[^:]*: */processor=/p' /proc/cpuinfo | head -n 1
echo "board=$(tr -d '\\000' </proc/device-tree/model 2>/dev/null)"
echo "machine-id=$(cat /etc/machine-id 2>/dev/null)"
echo "user=$(id -u)"
echo "python=$(python3 -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null)"
echo "pip=$(python3 -c 'import venv, ensurepip; print("venv")' 2>/dev/null)"
"""


_END_COMMANDS = """b=$(cat /proc/sys/kernel/random/boot_id)
for d in {folders}; do
    if [ "$(cat $d/.boot 2>/dev/null)" = "$b" ]; then
        for f in $d/.run-*; do
            [ -e $f ] && kill -KILL -$(cat $f) 2>/dev/null
            rm -f $f
        done
    fi
done
true"""
"""Ends commands that outlived their link. After a reboot their numbers are other processes'."""


def command_line(argv: Sequence[str], variables: Mapping[str, str]) -> str:
    """A command with its variables for a device's shell."""
    given = [f"{name}={value}" for name, value in variables.items()]
    return shlex.join(["env", *given, *argv])


def _stated(text: str) -> dict[str, str]:
    pairs = (line.split("=", 1) for line in text.splitlines() if not line.startswith("["))
    return {p[0]: p[1].strip() for p in pairs if len(p) == 2 and p[1].strip()}


def _listed_files(text: str) -> dict[str, str]:
    """Files from the lines `/path:line` that grep prints."""
    files: dict[str, list[str]] = {}
    for line in text.splitlines():
        path, colon, content = line.partition(":")
        if colon and path.startswith("/"):
            files.setdefault(path[1:], []).append(content)
    return {path: "\n".join(lines) + "\n" for path, lines in files.items()}


def _processor_time(times: str) -> float | None:
    """Processor time of the children that a shell waited for: the second line of `times`.

    **Source:** https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html
    """
    children = _TIMES.findall(times)[2:]
    if len(children) != 2:
        return None
    return sum(60 * int(minutes) + float(seconds) for minutes, seconds in children)


def _system(facts: Mapping[str, str]) -> str:
    release = facts.get("ro.build.version.release")
    return f"Android {release}" if release else facts.get("system", "unknown")


def _processor(facts: Mapping[str, str]) -> str:
    maker, model = facts.get("ro.soc.manufacturer", ""), facts.get("ro.soc.model", "")
    soc = f"{maker} {model}".strip() or facts.get("ro.board.platform", "")
    return (
        soc or facts.get("board") or facts.get("processor") or facts.get("architecture", "unknown")
    )


def _integer(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
