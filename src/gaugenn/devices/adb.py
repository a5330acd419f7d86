"""Android devices, through the `adb` client."""

import re
import time
from pathlib import Path

from gaugenn import adb
from gaugenn.adb import Answer
from gaugenn.devices import _remote
from gaugenn.errors import DeviceError

FOLDER = "/data/local/tmp/gaugenn"
"""Where the shell's user may write and start programs."""
CONNECT_S = 20.0
"""How long a device may stay in a state other than `device` after it was asked for."""
_ADDRESS = re.compile(r".+:[0-9]{1,5}")
_ADVICE = {
    "unauthorized": "unlock it and allow debugging from this computer",
    "authorizing": "unlock it and allow debugging from this computer",
    "offline": "plug it in again, or restart it",
    "no permissions": "this user may not use the USB device; see android-sdk-platform-tools-common",
}


class AdbDevice(_remote.RemoteDevice):
    """A device by its serial, or one on the network by `HOST:PORT`."""

    kind = "adb"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.serial = adb.checked_serial(name.removeprefix("adb:"))
        self.title = f"device {self.serial}"

    @property
    def over_network(self) -> bool:
        """Whether the link needs the device's radio or network."""
        return _ADDRESS.fullmatch(self.serial) is not None

    def connect(self) -> None:
        """Waits until the device is there and lets us in; see `RemoteDevice.connect`."""
        deadline = time.monotonic() + CONNECT_S
        while True:
            state = self._state()
            if state == "device":
                return
            if self.over_network and state in ("absent", "offline"):
                if state == "offline":
                    adb.disconnect(self.serial)
                adb.connect(self.serial)
            if time.monotonic() >= deadline or self._closed:
                advice = _ADVICE.get(state, "see: adb devices -l")
                raise DeviceError(f"{self.title} is {state}; {advice}")
            if state == "absent" and not self.over_network:
                advice = f"connected: {', '.join(adb.serials()) or 'none'}"
                raise DeviceError(f"{self.title} is not connected; {advice}")
            time.sleep(_remote.POLL_S)

    def shell(self, script: str, timeout_s: float = _remote.SHORT_S) -> Answer:
        """See `RemoteDevice.shell`."""
        return adb.shell(self.serial, script, timeout_s, self.note)

    def send(self, local: Path, remote: str) -> None:
        """See `RemoteDevice.send`."""
        adb.push(self.serial, local, remote, self.note)

    def receive(self, remote: str, local: Path) -> None:
        """See `RemoteDevice.receive`."""
        adb.pull(self.serial, remote, local, self.note)

    def cache_script(self) -> str:
        """See `RemoteDevice.cache_script`."""
        return f"mkdir -p {FOLDER} && echo {FOLDER}"

    def host(self) -> str | None:
        """See `RemoteDevice.host`."""
        return self.serial.rpartition(":")[0] if self.over_network else None

    def disconnect(self) -> None:
        """The server keeps the link, for whoever else uses it."""

    def _state(self) -> str:
        return next((d.state for d in adb.listed() if d.serial == self.serial), "absent")
