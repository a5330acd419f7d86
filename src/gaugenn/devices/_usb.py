"""Power of a phone's USB port, switched by a hub or board that can.

That a switch says it has cut the power proves nothing: many hubs cut the data lines only. Whoever
switches has to look at the device's charging state.
"""

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gaugenn import _processes
from gaugenn.errors import DeviceError, MissingToolError, UsageError

UHUBCTL_INSTALL = "apt-get install uhubctl"
SWITCH_S = 60.0
KINDS = "uhubctl:HUB:PORT, ykush:SERIAL:PORT, ykush3:SERIAL:PORT, command:FILE or none"
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class UsbPower:
    """How a port is switched.

    Attributes:
        name: as the user gave it.
        on: command that gives power; empty where nothing is switched.
        off: command that cuts it.
        install: what brings the program.
    """

    name: str
    on: tuple[str, ...] = ()
    off: tuple[str, ...] = ()
    install: str = ""

    @property
    def cuts(self) -> bool:
        """Whether anything is switched at all."""
        return bool(self.off)

    def give(self) -> None:
        """Gives power.

        Raises:
            DeviceError: the switch failed.
            MissingToolError: its program is not installed.
        """
        self._switch(self.on)

    def cut(self) -> None:
        """Cuts power, as far as the switch says.

        Raises:
            DeviceError: the switch failed.
            MissingToolError: its program is not installed.
        """
        self._switch(self.off)

    def _switch(self, argv: Sequence[str]) -> None:
        if not argv:
            return
        if shutil.which(argv[0]) is None:
            raise MissingToolError(f"--untethered {self.name}", argv[0], self.install)
        try:
            ended = _processes.run(argv, timeout_s=SWITCH_S)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            raise DeviceError(f"{argv[0]} cannot be run: {error}") from error
        if ended.exit_code != 0:
            said = (ended.stderr + ended.stdout).decode(errors="replace").strip()[-200:]
            raise DeviceError(f"{' '.join(argv)} ended with {ended.exit_code}: {said}")


def usb_power(text: str) -> UsbPower:
    """A switch by the name that a user gives.

    Args:
        text: `uhubctl:1-1:2` (hub and port as uhubctl lists them), `ykush:YK12345:1`,
            `ykush3:Y3N10001:1`, `command:FILE` for a program of the user's that gets `on` or `off`,
            or `none`.

    Raises:
        UsageError: it is none of these.

    **Source:** https://github.com/mvp/uhubctl#usage,
    https://github.com/Yepkit/ykush/blob/master/doc/general_help.txt
    """
    kind, _, rest = text.partition(":")
    if text == "none":
        return UsbPower(name=text)
    if kind == "command" and rest:
        program = str(Path(rest).expanduser().absolute())
        install = f"chmod +x {program}"
        return UsbPower(name=text, on=(program, "on"), off=(program, "off"), install=install)
    hub, _, port = rest.rpartition(":")
    if not _WORD.fullmatch(hub) or not port.isdecimal():
        raise UsageError(f"{text!r} is no switch of USB power; give {KINDS}")
    if kind == "uhubctl":
        base = ("uhubctl", "-l", hub, "-p", port, "-a")
        return UsbPower(name=text, on=(*base, "on"), off=(*base, "off"), install=UHUBCTL_INSTALL)
    if kind in ("ykush", "ykush3"):
        base = ("ykushcmd", *(("ykush3",) if kind == "ykush3" else ()), "-s", hub)
        return UsbPower(
            name=text,
            on=(*base, "-u", port),
            off=(*base, "-d", port),
            install="see https://github.com/Yepkit/ykush",
        )
    raise UsageError(f"{text!r} is no switch of USB power; give {KINDS}")
