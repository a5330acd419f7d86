"""What is set on a device for a measurement, and how all of it is set back.

Before a setting is changed its old value goes into a journal on this machine's disk. It is set back,
last first, after the campaign, or at the next contact with the device if the campaign was killed: a
journal that is there is one that is not finished. A value is only taken for set when the device gives
it back; one that cannot be read is not changed.

**Source:** https://developer.android.com/reference/android/provider/Settings.Global
"""

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from gaugenn.adb import Answer
from gaugenn.devices._keeping import Keeping
from gaugenn.errors import DeviceError

ABSENT = "null"
"""What Android's `settings get` prints for a value that was never set."""
_VALUE = re.compile(r"[A-Za-z0-9_.+-]{1,64}")


class State(StrEnum):
    """How much is set for a campaign."""

    AS_IS = "as-is"
    """Nothing."""
    QUIET = "quiet"
    """Android: awake, dim fixed screen, no animations, no pop-ups, no radio but the link's own."""
    PINNED = "pinned"
    """That, and the fastest governor on every core, which needs root."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Something that can be read and set.

    Attributes:
        name: what it is.
        read: a script that prints its value.
        write: a script that sets it to `{value}`.
        clear: a script that removes it, where it can be absent.
        wanted: the value for a measurement.
        needed: a measurement is not begun without it.
    """

    name: str
    read: str
    write: str
    wanted: str
    clear: str = ""
    needed: bool = False


class Shell(Protocol):
    """A device as far as settings go."""

    name: str

    def shell(self, script: str, timeout_s: float = ...) -> Answer:
        """Runs a script."""
        ...


def android_settings(*, over_network: bool) -> tuple[Setting, ...]:
    """Those of `State.QUIET`.

    Args:
        over_network: the link needs the radio, so airplane mode is left alone.
    """
    pairs = [
        ("global", "stay_on_while_plugged_in", "7"),
        ("global", "heads_up_notifications_enabled", "0"),
        ("global", "window_animation_scale", "0"),
        ("global", "transition_animation_scale", "0"),
        ("global", "animator_duration_scale", "0"),
        ("system", "screen_brightness_mode", "0"),
        ("system", "screen_brightness", "1"),
    ]
    made = [
        Setting(
            name=name,
            read=f"settings get {table} {name}",
            write=f"settings put {table} {name} {{value}}",
            clear=f"settings delete {table} {name}",
            wanted=value,
        )
        for table, name, value in pairs
    ]
    if not over_network:
        made.append(
            Setting(
                name="airplane_mode",
                read="settings get global airplane_mode_on",
                write="if [ {value} = 1 ]; then cmd connectivity airplane-mode enable; "
                "else cmd connectivity airplane-mode disable; fi",
                wanted="1",
            )
        )
    return tuple(made)


def governor_settings(device: Shell) -> tuple[Setting, ...]:
    """The governor of each frequency domain of a Linux device.

    Raises:
        DeviceError: the link is down.

    **Source:** https://docs.kernel.org/admin-guide/pm/cpufreq.html
    """
    found = device.shell("ls -d /sys/devices/system/cpu/cpufreq/policy[0-9]* 2>/dev/null; true")
    folders = [line for line in found.stdout.split() if re.fullmatch(r"/sys/[a-z0-9/]+", line)]
    return tuple(
        Setting(
            name=f"governor of {folder.rpartition('/')[2]}",
            read=f"cat {folder}/scaling_governor",
            write=f"echo {{value}} >{folder}/scaling_governor",
            wanted="performance",
            needed=True,
        )
        for folder in folders
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """A line of the journal."""

    name: str
    read: str
    write: str
    clear: str
    old: str
    new: str
    at: str


@contextmanager
def prepared(
    device: Shell, keeping: Keeping, settings: Sequence[Setting]
) -> Iterator[tuple[str, ...]]:
    """Changes settings, and sets them back at the end.

    Args:
        device: that is open and held by this process.
        keeping: of the device.
        settings: to change, in order.

    Yields:
        What could not be set, each with why.

    Raises:
        DeviceError: the link was lost, a needed setting could not be set, or one not set back; the
            journal then stays for the next contact.
    """
    restore_open(device, keeping)
    try:
        yield set_again(device, keeping, settings)
    except BaseException:
        # What ended the campaign matters more; the journal stays for the next contact.
        with suppress(DeviceError):
            restore_open(device, keeping)
        raise
    restore_open(device, keeping)


def set_again(device: Shell, keeping: Keeping, settings: Sequence[Setting]) -> tuple[str, ...]:
    """Changes settings that are not as wanted (yet, or any more, after a reboot); see `prepared`."""
    refused = []
    for setting in settings:
        reason = _change(device, keeping.journal, setting)
        if reason is not None and setting.needed:
            raise DeviceError(f"{device.name}: {setting.name} cannot be set: {reason}")
        if reason is not None:
            refused.append(f"{setting.name}: {reason}")
    return tuple(refused)


def restore_open(device: Shell, keeping: Keeping) -> tuple[str, ...]:
    """Sets back what a journal says, the last change first, and removes it when all is as it was.

    Returns:
        Names of the settings that were set back.

    Raises:
        DeviceError: the link was lost, or the device does not take a value back; the journal stays.
    """
    restored, broken = [], []
    for entry in reversed(read_journal(keeping.journal)):
        if _read(device, entry.read) == entry.old:
            continue
        script = entry.clear if entry.old == ABSENT and entry.clear else entry.write
        said = device.shell(script.replace("{value}", entry.old))
        if _read(device, entry.read) != entry.old:
            broken.append(f"{entry.name} to {entry.old}: {_said(said)}")
        else:
            restored.append(entry.name)
    if broken:
        raise DeviceError(f"{device.name}: cannot set back {'; '.join(broken)}")
    keeping.journal.unlink(missing_ok=True)
    return tuple(restored)


def read_journal(path: Path) -> list[_Entry]:
    """Entries of a journal; a last line that was cut belongs to a change that was not made."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return []
    entries = []
    for number, line in enumerate(lines):
        try:
            fields = json.loads(line)
            entries.append(_Entry(**fields))
        except (ValueError, TypeError) as error:
            if number == len(lines) - 1:
                break
            raise DeviceError(f"{path}: line {number + 1} is damaged: {error}") from error
    return entries


def _change(device: Shell, journal: Path, setting: Setting) -> str | None:
    """Changes a setting, journal first. Returns why it could not, or None."""
    old = _read(device, setting.read)
    if old is None:
        return "its value cannot be read"
    if old == setting.wanted:
        return None
    _append(
        journal,
        _Entry(
            name=setting.name,
            read=setting.read,
            write=setting.write,
            clear=setting.clear,
            old=old,
            new=setting.wanted,
            at=datetime.now(UTC).isoformat(timespec="seconds"),
        ),
    )
    said = device.shell(setting.write.replace("{value}", setting.wanted))
    if _read(device, setting.read) != setting.wanted:
        return f"the device does not take it: {_said(said)}"
    return None


def _append(journal: Path, entry: _Entry) -> None:
    journal.parent.mkdir(parents=True, exist_ok=True)
    with journal.open("a") as file:
        file.write(json.dumps(asdict(entry)) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _read(device: Shell, script: str) -> str | None:
    answer = device.shell(script)
    value = answer.stdout.strip()
    if answer.exit_code != 0 or not _VALUE.fullmatch(value):
        return None
    return value


def _said(answer: Answer) -> str:
    return (answer.stderr or answer.stdout).strip()[-100:] or f"code {answer.exit_code}"
