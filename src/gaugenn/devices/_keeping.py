"""What this machine keeps about a device between campaigns: who has it, its strikes, open journals.

A folder a device below `devices/` in gaugenn's cache folder, named by the device itself and not by the
link that it is reached by, so that a phone on a cable and over Wi-Fi is one phone.
"""

import fcntl
import hashlib
import json
import os
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from gaugenn._cache import cache_folder
from gaugenn.errors import DeviceError

STRIKES = 3
"""Failures in a row after which a device is left alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantine:
    """Why a device is left alone.

    Attributes:
        reason: what failed last.
        since: UTC, ISO 8601.
    """

    reason: str
    since: str


class Keeping:
    """The folder of a device.

    Args:
        identity: of the device, the same whatever link it is reached by.
    """

    def __init__(self, identity: str) -> None:
        plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", identity)[:60].strip("-.")
        unique = hashlib.sha256(identity.encode()).hexdigest()[:12]
        self.folder = cache_folder() / "devices" / f"{plain}-{unique}"
        self._held: IO[str] | None = None

    @property
    def journal(self) -> Path:
        """Settings that are changed on the device now."""
        return self.folder / "settings.jsonl"

    def take(self, name: str) -> None:
        """Takes the device for this process; the lock dies with it.

        Raises:
            DeviceError: another process has it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        file = (self.folder / "lock").open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            holder = file.read(200).strip() or "another process"
            file.close()
            raise DeviceError(f"{name} is in use by {holder}; wait for it, or end it") from error
        file.seek(0)
        file.truncate()
        file.write(f"process {os.getpid()}\n")
        file.flush()
        self._held = file
        (self.folder / "name").write_text(f"{name}\n")

    def holder(self) -> str | None:
        """Who has the device, as a state; None where nobody has."""
        try:
            with (self.folder / "lock").open() as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except OSError:
                    return f"in use by {file.read(200).strip() or 'another process'}"
        except OSError:
            return None
        return None

    def give_back(self) -> None:
        """Lets others have the device."""
        if self._held is not None:
            self._held.close()
            self._held = None

    def quarantine(self) -> Quarantine | None:
        """Why the device is left alone, or None."""
        found = self._read("quarantine.json")
        if found is None:
            return None
        return Quarantine(reason=str(found.get("reason")), since=str(found.get("since")))

    def refuse_quarantined(self, name: str) -> None:
        """Sees that the device is not in quarantine.

        Raises:
            DeviceError: it is.
        """
        found = self.quarantine()
        if found is not None:
            raise DeviceError(
                f"{name} is in quarantine since {found.since}: {found.reason}; see to it, then: "
                f"gaugenn devices --release {name}"
            )

    def strike(self, reason: str) -> int:
        """Counts a failure; at `STRIKES` of them in a row the device goes into quarantine.

        Returns:
            Failures in a row, this one included.
        """
        found = self._read("strikes.json") or {}
        before = found.get("count")
        count = (before if isinstance(before, int) else 0) + 1
        self._write("strikes.json", {"count": count, "reason": reason})
        if count >= STRIKES:
            since = datetime.now(UTC).isoformat(timespec="seconds")
            self._write("quarantine.json", asdict(Quarantine(reason=reason, since=since)))
        return count

    def well(self) -> None:
        """Forgets failures: the device works."""
        (self.folder / "strikes.json").unlink(missing_ok=True)

    def release(self) -> bool:
        """Ends a quarantine.

        Returns:
            Whether there was one.
        """
        there = (self.folder / "quarantine.json").exists()
        (self.folder / "quarantine.json").unlink(missing_ok=True)
        self.well()
        return there

    def _read(self, name: str) -> dict[str, object] | None:
        try:
            found = json.loads((self.folder / name).read_text())
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def _write(self, name: str, value: object) -> None:
        write_whole(self.folder / name, json.dumps(value) + "\n")


def boards_met() -> tuple[str, ...]:
    """Names of boards that were used before; unlike phones they are not listed by anybody."""
    names = [path.read_text().strip() for path in cache_folder().glob("devices/ssh-*/name")]
    return tuple(sorted(set(names)))


def write_whole(path: Path, text: str) -> None:
    """Replaces a file by one that is on the disk whole, or leaves the old one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    with part.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
