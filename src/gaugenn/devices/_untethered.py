"""Commands on a phone while its USB power is cut: nothing charges, nothing listens in.

A launch goes through the states of `State`, each written to this machine's disk before the next is
begun, and each step can be done again: what was started is not started twice, what was finished is not
lost. If the link, the switch or this machine fails, the next attempt at the same launch goes on where
the last one stopped; power is given back in any case.

The device's script waits until it is without power, runs the command, writes its results with their
digests, and says so over the network with a token that only it knows, again and again until somebody
acknowledges it. Where no message comes, results are looked for over the link, and at the launch's time
limit with the power back on. A launch that had power is no result.
"""

import hmac
import json
import re
import secrets
import shlex
import shutil
import socket
import socketserver
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from hashlib import sha256
from pathlib import Path

from gaugenn._cache import cache_folder
from gaugenn.devices import ClockOffset, Device, Output, _android, _around
from gaugenn.devices._keeping import write_whole
from gaugenn.devices._remote import RemoteDevice, command_line
from gaugenn.devices._usb import UsbPower
from gaugenn.errors import DeviceError, GaugennError
from gaugenn.records import Environment, Reading

CUT_S = 60.0
"""How long the device may take to notice that power is gone."""
POLL_S = 5.0
"""How often results are looked for over a link that still works."""
MESSAGES = 17280
"""How often the device says that it is done before it gives up, every 5 s: for a day."""
MARGIN_S = 60.0
"""Beyond the command's own limit, before power is given back and results are looked for."""
_RESULTS = ("stdout", "stderr", "outcome")
_LEFT_BEHIND = (_around.FILE,)
"""Files that a command may leave in its folder, which are results then."""
_MESSAGE = "message"
_LINE = re.compile(rb"([0-9a-f]{32}) ([0-9a-f]{64})\n?")


class State(StrEnum):
    """How far a launch is."""

    QUEUED = "queued"
    PUSHED = "pushed"
    """Its script is on the device, with the digest it should have."""
    STARTED = "started"
    """The script runs there and waits for the loss of power."""
    CUT = "cut"
    """Power is cut, or about to be."""
    FINISHED = "finished"
    """The device said so, or its time is over."""
    POWERED = "powered"
    """Power is back and the link too."""
    COLLECTED = "collected"
    """Results are here, with the digests that the device gave them."""
    DONE = "done"
    """Nothing of it is left on the device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What is on disk of a launch.

    Attributes:
        key: which launch it is.
        token: of its message; also names its folder.
        state: how far it is.
        folder: on the device.
        limit_s: of the command.
        port: where this machine listens.
        begun_at: Unix time at which it was started there.
        boot_id: of the device then.
        message: digest out of the message, or "".
    """

    key: str
    token: str
    state: State
    folder: str
    limit_s: float
    port: int = 0
    begun_at: float = 0.0
    boot_id: str = ""
    message: str = ""


class UntetheredDevice(Device):
    """Another device, whose commands run while its power is cut.

    Args:
        remote: the device, opened by the caller.
        power: of its USB port.
    """

    def __init__(self, remote: RemoteDevice, power: UsbPower) -> None:
        self.remote = remote
        self._power = power
        self._key = ""
        self._handed_over: set[str] = set()
        self._last: Path | None = None

    def info(self) -> Environment:
        """See `Device.info`."""
        return self.remote.info()

    def push(self, local: Path, name: str) -> str:
        """See `Device.push`."""
        return self.remote.push(local, name)

    def pull(self, remote: str, local: Path) -> None:
        """See `Device.pull`; what a launch left behind came with its results."""
        kept = None if self._last is None else self._last / remote
        if "/" in remote:
            self.remote.pull(remote, local)
        elif kept is None or not kept.exists():
            raise DeviceError(f"{self.remote.name}: the launch left no file {remote}")
        else:
            shutil.copyfile(kept, local)

    def conditions(self) -> tuple[Reading, ...]:
        """See `Device.conditions`; read while power is on."""
        return self.remote.conditions()

    def boottime_offset(self) -> ClockOffset | None:
        """See `Device.boottime_offset`; asked while power is on."""
        return self.remote.boottime_offset()

    def drop_page_cache(self) -> None:
        """See `Device.drop_page_cache`."""
        self.remote.drop_page_cache()

    def expect(self, launch: str) -> None:
        """See `Device.expect`."""
        self._key = launch

    def run(
        self,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        timeout_s: float = 600.0,
    ) -> Output:
        """Runs a command without power; see `Device.run`.

        Raises:
            DeviceError: a step failed; the same launch goes on there when it is tried again. Or the
                device had power, or was restarted: then it begins anew.
        """
        folder = launches_folder(self.remote.name)
        for old in [path for path in open_launches(folder) if path.name in self._handed_over]:
            _forget(old)
        variables = {"HOME": self.remote.working_folder(), **(environment or {})}
        key = self._key or secrets.token_hex(8)
        place = folder / sha256(key.encode()).hexdigest()[:24]
        launch = read_launch(place)
        if launch is None:
            token = secrets.token_hex(16)
            launch = Launch(
                key=key,
                token=token,
                state=State.QUEUED,
                folder=f"{self.remote.cache}/untethered-{sha256(token.encode()).hexdigest()[:16]}",
                limit_s=timeout_s,
            )
            save(place, launch)
        course = _Course(self.remote, self._power, place, command_line(argv, variables))
        course.go(launch)
        self._handed_over.add(place.name)
        self._last = place
        return _output(place, variables)


class _Course:
    """One launch on its way."""

    def __init__(self, remote: RemoteDevice, power: UsbPower, place: Path, command: str) -> None:
        self._remote, self._power = remote, power
        self._place, self._command = place, command
        self._steps = {
            State.QUEUED: self._push,
            State.PUSHED: self._start,
            State.STARTED: self._cut,
            State.CUT: self._wait,
            State.FINISHED: self._give_power,
            State.POWERED: self._collect,
            State.COLLECTED: self._clean,
        }

    def go(self, launch: Launch) -> None:
        """Takes the steps that are left.

        Raises:
            DeviceError: one failed; power is back, and the state is on disk.
        """
        with Listener(launch.token, self._place / _MESSAGE, launch.port) as listener:
            self._listener = listener
            try:
                while launch.state is not State.DONE:
                    launch = self._steps[launch.state](launch)
                    save(self._place, launch)
            except BaseException:
                with suppress(GaugennError):
                    self._power.give()
                raise

    def _push(self, launch: Launch) -> Launch:
        launch = replace(launch, port=self._listener.port)
        script = self._place / "job.sh"
        script.write_text(_script(launch, self._command, _own_address(self._remote), self._power))
        self._remote.put(script, f"{launch.folder}/job.sh")
        return replace(launch, state=State.PUSHED)

    def _start(self, launch: Launch) -> Launch:
        folder = shlex.quote(launch.folder)
        started = self._remote.shell(
            f"cd {folder} || exit\n"
            # The folder is made by one caller only: what was started is not started again.
            "if mkdir started 2>/dev/null; then setsid sh job.sh </dev/null >log 2>&1 & fi\n"
            "n=0; while [ ! -s pid ] && [ $n -lt 100 ]; do sleep 0.1; n=$((n+1)); done\n"
            "[ -s pid ]"
        )
        if started.exit_code != 0:
            raise self._failed("the script did not start")
        boot_id = launch.boot_id or self._remote.boot_id()
        return replace(launch, state=State.STARTED, begun_at=time.time(), boot_id=boot_id)

    def _cut(self, launch: Launch) -> Launch:
        # On disk before it is done: whoever finds this waits for what may be running without power.
        save(self._place, replace(launch, state=State.CUT))
        try:
            self._power.cut()
        except GaugennError:
            save(self._place, launch)
            raise
        deadline = time.monotonic() + CUT_S
        while self._power.cuts:
            try:
                powered = is_powered(self._remote)
            except DeviceError:
                break  # the link went with the power; the device's own record tells the rest
            if powered is False:
                break
            if time.monotonic() >= deadline:
                told = "the device does not tell" if powered is None else "it still charges"
                raise self._failed(f"{self._power.name} did not cut the power: {told}")
            time.sleep(min(1.0, POLL_S))
        return replace(launch, state=State.CUT)

    def _wait(self, launch: Launch) -> Launch:
        """For the message; and looks for results where the link still works."""
        while True:
            message = self._listener.wait(POLL_S)
            if message or time.time() >= _deadline(launch):
                return replace(launch, state=State.FINISHED, message=message)
            with suppress(DeviceError):
                if self._remote.digest_of(f"{launch.folder}/digests") is not None:
                    return replace(launch, state=State.FINISHED)

    def _give_power(self, launch: Launch) -> Launch:
        self._power.give()
        self._remote.reconnect()
        return replace(launch, state=State.POWERED)

    def _collect(self, launch: Launch) -> Launch:
        if self._remote.boot_id() != launch.boot_id:
            raise self._failed("the device was restarted during the launch")
        folder = shlex.quote(launch.folder)
        found = self._remote.shell(f"cat {folder}/digests")
        if found.exit_code != 0:
            self._remote.shell(
                f"kill -KILL -$(cat {folder}/pid); kill -KILL -$(cat {folder}/child)"
            )
            raise self._failed("it did not end within its time")
        if launch.message and sha256(found.stdout.encode()).hexdigest() != launch.message:
            raise self._failed("the results are not those that the message was about")
        told = {line[66:]: line[:64] for line in found.stdout.splitlines()}
        for name in (*_RESULTS, *(name for name in _LEFT_BEHIND if name in told)):
            local = self._place / name
            self._remote.pull(f"{launch.folder}/{name}", local)
            if sha256(local.read_bytes()).hexdigest() != told.get(name):
                raise self._failed(f"{name} changed after it was written")
        return replace(launch, state=State.COLLECTED)

    def _clean(self, launch: Launch) -> Launch:
        outcome = _outcome(self._place)
        self._remote.shell(f"rm -rf {shlex.quote(launch.folder)}")
        if self._power.cuts and not outcome.unpowered:
            raise self._failed("the device had power while it measured")
        return replace(launch, state=State.DONE)

    def _failed(self, reason: str) -> DeviceError:
        """A launch that has to begin anew: nothing of it is gone on with."""
        launch = read_launch(self._place)
        if launch is not None:
            with suppress(DeviceError):
                folder = shlex.quote(launch.folder)
                self._remote.shell(
                    f"kill -KILL -$(cat {folder}/pid) -$(cat {folder}/child); rm -rf {folder}"
                )
        _forget(self._place)
        return DeviceError(f"{self._remote.name}: {reason}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """What the device's script wrote about the command."""

    code: int
    timed_out: bool
    unpowered: bool
    wall_s: float


class Listener:
    """Takes the message of a launch on a port of this machine.

    Args:
        token: that the message must have.
        note: a file that the message is written to before it is acknowledged: a message that was
            acknowledged is not sent again, so it must survive this process.
        port: that was taken before this machine or process was restarted; 0 for any. Where it cannot
            be had no message comes, and results are looked for.
    """

    def __init__(self, token: str, note: Path, port: int = 0) -> None:
        self._token, self._note = token.encode(), note
        self._come = threading.Event()
        self._message = note.read_text().strip() if note.exists() else ""
        if self._message:
            self._come.set()
        self.refused = 0
        listener = self

        class Handler(socketserver.StreamRequestHandler):
            timeout = 10.0

            def handle(self) -> None:
                with suppress(OSError):
                    self.wfile.write(
                        b"ok\n" if listener.take(self.rfile.readline(200)) else b"no\n"
                    )

        self._server: socketserver.ThreadingTCPServer | None = None
        with suppress(OSError):
            socketserver.ThreadingTCPServer.allow_reuse_address = True
            self._server = socketserver.ThreadingTCPServer(("", port), Handler)
            self._server.daemon_threads = True
        self.port = port if self._server is None else int(self._server.server_address[1])

    def take(self, line: bytes) -> bool:
        """Whether a line is the message. A second one is acknowledged like the first."""
        found = _LINE.fullmatch(line)
        if found is None or not hmac.compare_digest(found.group(1), self._token):
            self.refused += 1
            return False
        self._message = found.group(2).decode()
        write_whole(self._note, self._message)
        self._come.set()
        return True

    def wait(self, limit_s: float) -> str:
        """The digest in the message, or "" where none came within the limit."""
        return self._message if self._come.wait(limit_s) else ""

    def __enter__(self) -> "Listener":
        """Listens."""
        if self._server is not None:
            threading.Thread(
                target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
            ).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stops listening."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()


def launches_folder(name: str) -> Path:
    """Where the launches of a device are kept, by the name that it is reached by."""
    return cache_folder() / "devices" / "untethered" / sha256(name.encode()).hexdigest()[:24]


def open_launches(folder: Path) -> list[Path]:
    """Launches that are not forgotten yet."""
    return sorted(path.parent for path in folder.glob("*/launch.json"))


def finish_open(name: str, power: UsbPower) -> None:
    """Before a device is connected: waits for launches that an ended process left without power.

    Then gives power back, since without it there is no link. Their results are collected when the
    same launch is tried again.
    """
    for place in open_launches(launches_folder(name)):
        launch = read_launch(place)
        if launch is None or launch.state is not State.CUT:
            continue
        with Listener(launch.token, place / _MESSAGE, launch.port) as listener:
            message = listener.wait(max(0.0, _deadline(launch) - time.time()))
        save(place, replace(launch, state=State.FINISHED, message=message))
    power.give()


def drop_open(remote: RemoteDevice) -> None:
    """At a campaign's end: removes what nobody came back for, here and on the device.

    Raises:
        DeviceError: the link was lost.
    """
    for place in open_launches(launches_folder(remote.name)):
        _forget(place)
    remote.shell(f"rm -rf {shlex.quote(remote.cache)}/untethered-*")


def is_powered(remote: RemoteDevice) -> bool | None:
    """Whether a device says that power comes from outside; None where it does not say.

    Raises:
        DeviceError: the link was lost.

    **Source:** https://docs.kernel.org/power/power_supply_class.html
    """
    answer = remote.shell(
        "dumpsys battery 2>/dev/null; echo; cat /sys/class/power_supply/*/online 2>/dev/null; true"
    )
    told = _android.is_powered(answer.stdout)
    lines = [line for line in answer.stdout.splitlines() if line in ("0", "1")]
    if told is None and lines:
        return "1" in lines
    return told


def read_launch(place: Path) -> Launch | None:
    """What is on disk of a launch; None where there is none."""
    try:
        fields = json.loads((place / "launch.json").read_text())
        return Launch(**{**fields, "state": State(fields["state"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def save(place: Path, launch: Launch) -> None:
    """Writes a launch to disk, whole or not at all."""
    write_whole(place / "launch.json", json.dumps(asdict(launch)))


def _forget(place: Path) -> None:
    # The state goes first: without it the rest is nothing.
    (place / "launch.json").unlink(missing_ok=True)
    for path in place.glob("*"):
        path.unlink()
    with suppress(OSError):
        place.rmdir()


def _deadline(launch: Launch) -> float:
    return launch.begun_at + CUT_S + launch.limit_s + MARGIN_S


def _script(launch: Launch, command: str, address: str, power: UsbPower) -> str:
    """What runs on the device, in whatever shell it has."""
    limit = max(1, round(launch.limit_s))
    waiting = f"""n=0
while powered; do
    if [ $n -ge {round(5 * CUT_S)} ]; then finish 1 0 0 0 0; fi
    sleep 0.2
    n=$((n+1))
done
"""
    return f"""cd {shlex.quote(launch.folder)} || exit 1
echo $$ >pid
: >stdout
: >stderr
powered() {{
    if dumpsys battery 2>/dev/null | grep -q 'powered: true'; then return 0; fi
    grep -qs 1 /sys/class/power_supply/*/online
}}
uptime_s() {{ cut -d ' ' -f 1 /proc/uptime; }}
finish() {{
    echo "$*" >outcome
    sha256sum {" ".join(_RESULTS)} $(ls {" ".join(_LEFT_BEHIND)} 2>/dev/null) >digests.part
    sync
    mv digests.part digests
    d=$(sha256sum digests | cut -c 1-64)
    n=0
    while [ $n -lt {MESSAGES} ]; do
        if echo "{launch.token} $d" | nc -w 5 {address} {launch.port} 2>/dev/null | grep -q ok; then
            break
        fi
        sleep 5
        n=$((n+1))
    done
    exit 0
}}
{waiting if power.cuts else ""}unpowered=1
if powered; then unpowered=0; fi
begin=$(uptime_s)
setsid {command} </dev/null >stdout 2>stderr &
p=$!
echo $p >child
setsid sh -c "sleep {limit}; touch timed_out; kill -KILL -$p" </dev/null >/dev/null 2>&1 &
w=$!
wait $p
r=$?
end=$(uptime_s)
kill -KILL -$w -$p 2>/dev/null
if powered; then unpowered=0; fi
late=0
if [ -e timed_out ]; then late=1; fi
finish "$r" $late $unpowered "$begin" "$end"
"""


def _own_address(remote: RemoteDevice) -> str:
    """Address of this machine as the device may reach it."""
    host = remote.host()
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        # Nothing is sent. Where the device has no address here, that of the default route is taken.
        probe.connect((host or "192.0.2.1", 9))
        return str(probe.getsockname()[0])
    return "127.0.0.1"


def _outcome(place: Path) -> _Outcome:
    words = (place / "outcome").read_text().split()
    try:
        code, late, unpowered = (int(word) for word in words[:3])
        begin, end = (float(word) for word in words[3:5])
    except ValueError as error:
        raise DeviceError(f"{place}: the device's record is damaged: {words}") from error
    return _Outcome(
        code=code, timed_out=bool(late), unpowered=bool(unpowered), wall_s=max(0.0, end - begin)
    )


def _output(place: Path, variables: Mapping[str, str]) -> Output:
    outcome = _outcome(place)
    return Output(
        exit_code=None if outcome.timed_out else outcome.code,
        stdout=(place / "stdout").read_text("utf-8", "replace"),
        stderr=(place / "stderr").read_text("utf-8", "replace"),
        wall_s=outcome.wall_s,
        timed_out=outcome.timed_out,
        variables=variables,
    )
