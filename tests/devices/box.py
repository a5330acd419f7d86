"""A real adbd in a box, and a gate before it that loses links, asks for keys and slows down."""

import base64
import os
import secrets
import shutil
import socket
import struct
import subprocess
import threading
import time
import uuid
from contextlib import suppress
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ADBD = HERE.parents[1] / ".adbd"
"""Where `scripts/test` unpacks Debian's adbd."""

_HEADER = struct.Struct("<6I")
_AUTH, _CNXN = 0x48545541, 0x4E584E43
_TOKEN, _SIGNATURE, _KEY = 1, 2, 3
_SHA1_PREFIX = bytes.fromhex("3021300906052b0e03021a05000414")


def why_not() -> str | None:
    """What is missing for a box, or None."""
    if not (ADBD / "usr/lib/android-sdk/platform-tools/adbd").exists():
        return "Debian's adbd is not unpacked; scripts/test does it"
    missing = [name for name in ("adb", "mksh", "toybox", "unshare") if not shutil.which(name)]
    if missing:
        return f"not installed: {', '.join(missing)}; scripts/test installs them"
    trial = subprocess.run([*_unshare(), "true"], capture_output=True, check=False)
    return None if trial.returncode == 0 else "this system allows no namespaces"


def _unshare() -> list[str]:
    own = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return ["unshare", *own, "--mount", "--pid", "--fork", "--kill-child"]


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


class Box:
    """A device. Its folder `shared` is what the stand-ins read and write."""

    def __init__(self, folder: Path, serial: str, system: Path | None = None) -> None:
        self.folder, self.port = folder, free_port()
        self.shared = folder / "shared"
        (self.shared / "settings").mkdir(parents=True)
        (self.shared / "serial").write_text(serial)
        (self.shared / "online").write_text("1")
        (self.shared / "boot_id").write_text(f"{uuid.uuid4()}\n")
        self._write_sys()
        self.reset()
        script = [
            str(HERE / "box.sh"),
            str(system or ADBD),
            str(folder),
            str(self.port),
            str(HERE / "android"),
            *([] if system is None else [str(system)]),
        ]
        self._log = (folder / "log").open("wb")
        self._process = subprocess.Popen(
            [*_unshare(), "bash", *script], stdout=self._log, stderr=self._log
        )
        for _ in range(200 if system is None else 2000):
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.05)
        pytest.fail((folder / "log").read_text()[-2000:])

    @property
    def serial(self) -> str:
        return f"localhost:{self.port}"

    def reset(self) -> None:
        for path in self.shared.glob("refuse.*"):
            path.unlink()
        for path in (self.shared / "settings").iterdir():
            path.unlink()
        settings = {
            "global.stay_on_while_plugged_in": "0",
            "global.heads_up_notifications_enabled": "1",
            "global.window_animation_scale": "1.0",
            "global.airplane_mode_on": "0",
            "system.screen_brightness_mode": "1",
            "system.screen_brightness": "102",
        }
        for name, value in settings.items():
            (self.shared / "settings" / name).write_text(f"{value}\n")
        for policy in (0, 2):
            path = self.folder / f"sys/devices/system/cpu/cpufreq/policy{policy}/scaling_governor"
            path.write_text("schedutil\n")
        (self.shared / "online").write_text("1")

    def state(self) -> dict[str, str]:
        """All that a measurement may change."""
        files = [*(self.shared / "settings").iterdir(), *self.folder.glob("sys/**/policy*/*")]
        return {str(path.relative_to(self.folder)): path.read_text().strip() for path in files}

    def kill_adbd(self) -> None:
        """The device's daemon dies, and its init starts another one."""
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                words = path.read_bytes().split(b"\0")
                environment = (path.parent / "environ").read_bytes()
                ours = f"ADBD_PORT={self.port}\0".encode() in environment
                if ours and any(word.endswith(b"/adbd") for word in words):
                    os.kill(int(path.parent.name), 9)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._log.close()

    def _write_sys(self) -> None:
        cpu = self.folder / "sys/devices/system/cpu"
        for core in range(4):
            big = core >= 2
            files = {
                "cpufreq/cpuinfo_max_freq": "2802000" if big else "1803000",
                "cpufreq/scaling_max_freq": "2802000" if big else "1803000",
                "cpufreq/scaling_governor": "schedutil",
                "cpu_capacity": "1024" if big else "250",
            }
            for name, text in files.items():
                path = cpu / f"cpu{core}" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(f"{text}\n")
        for policy in (0, 2):
            (cpu / f"cpufreq/policy{policy}").mkdir(parents=True)
        zone = self.folder / "sys/class/thermal/thermal_zone0"
        zone.mkdir(parents=True)
        (zone / "type").write_text("cpu-big\n")
        (zone / "temp").write_text("41250\n")


class Gate:
    """A listener before a device's port.

    Attributes:
        mode: `open`; `ask` lets those in whose key was shown once; `never` lets nobody in; `mute`
            takes connections and says nothing.
        bytes_per_s: what the device may send; 0 for no limit.
        cut_after: bytes from the device after which the link is lost; 0 for never.
    """

    def __init__(self, port: int) -> None:
        self.mode, self.bytes_per_s, self.cut_after = "open", 0, 0
        self.keys: list[int] = []
        self._upstream = port
        self._sockets: list[socket.socket] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def serial(self) -> str:
        return f"localhost:{self.port}"

    def cut(self) -> None:
        """All links are lost at once."""
        sockets, self._sockets = self._sockets, []
        for each in sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def close(self) -> None:
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            self._sockets.append(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError, EOFError):
            hello = _message(client)
            if self.mode == "mute":
                return
            if self.mode != "open" and not self._is_let_in(client):
                return
            device = socket.create_connection(("127.0.0.1", self._upstream))
            self._sockets.append(device)
            device.sendall(hello)
            threading.Thread(target=self._copy, args=(client, device, False), daemon=True).start()
            self._copy(device, client, True)

    def _is_let_in(self, client: socket.socket) -> bool:
        while True:
            token = secrets.token_bytes(20)
            _say(client, _AUTH, _TOKEN, token)
            kind, data = _auth(_message(client))
            if kind == _SIGNATURE and any(_signed(data, token, key) for key in self.keys):
                return True
            if kind == _KEY:
                if self.mode == "never":
                    _message(client)  # until the client goes
                self.keys.append(_modulus(data))
                return True

    def _copy(self, source: socket.socket, to: socket.socket, from_device: bool) -> None:
        passed = 0
        with suppress(OSError):
            while data := source.recv(1 << 14):
                if from_device and self.bytes_per_s:
                    time.sleep(len(data) / self.bytes_per_s)
                passed += len(data)
                if from_device and self.cut_after and passed >= self.cut_after:
                    self.cut_after = 0
                    break
                to.sendall(data)
        for each in (source, to):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


def _message(client: socket.socket) -> bytes:
    head = _exactly(client, _HEADER.size)
    return head + _exactly(client, _HEADER.unpack(head)[3])


def _exactly(client: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = client.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def _say(client: socket.socket, command: int, kind: int, data: bytes) -> None:
    head = _HEADER.pack(command, kind, 0, len(data), sum(data), command ^ 0xFFFFFFFF)
    client.sendall(head + data)


def _auth(message: bytes) -> tuple[int, bytes]:
    command, kind, *_ = _HEADER.unpack(message[: _HEADER.size])
    assert command == _AUTH
    return kind, message[_HEADER.size :]


def _modulus(data: bytes) -> int:
    """Of an adb public key: word count, inverse, modulus from its lowest byte on."""
    blob = base64.b64decode(data.partition(b" ")[0].rstrip(b"\0"))
    return int.from_bytes(blob[8 : 8 + 256], "little")


def _signed(signature: bytes, token: bytes, modulus: int) -> bool:
    """Whether a signature is PKCS #1 v1.5 over the token, as a SHA-1 digest, for exponent 65537."""
    plain = pow(int.from_bytes(signature, "big"), 65537, modulus).to_bytes(256, "big")
    tail = b"\0" + _SHA1_PREFIX + token
    return plain == b"\0\1" + b"\xff" * (256 - 2 - len(tail)) + tail
