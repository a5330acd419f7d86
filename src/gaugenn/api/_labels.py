"""Groups of devices: `label_device`, `device_labels`."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from gaugenn.api._study import PathLike
from gaugenn.errors import UsageError
from gaugenn.records import DeviceLabel
from gaugenn.store import Study

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_LONGEST_VALUE = 64


def label_device(folder: PathLike, device: str, labels: Mapping[str, str]) -> None:
    """Says which groups a device of a study belongs to, such as its tier and its generation.

    Args:
        folder: the study.
        device: as the study's jobs name it.
        labels: grouping -> group; an empty group takes the label away.

    Raises:
        UsageError: the study has no such device, or a name or group is none.
        StoreError: the folder is no study.
    """
    study = Study(Path(folder))
    known = device_labels(folder)
    if device not in known:
        raise UsageError(
            f"the study has no device {device!r}; there are: {', '.join(known) or 'none'}"
        )
    for name, value in labels.items():
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"label {name!r}: expected a name like tier, in lower case, up to 32 letters"
            )
        if len(value) > _LONGEST_VALUE or not (value.isprintable() or not value):
            raise UsageError(f"label {name}: expected up to {_LONGEST_VALUE} printable letters")
    given_at = datetime.now(UTC).isoformat()
    with study.exclusive():
        study.write(
            DeviceLabel(device=device, name=name, value=value, given_at=given_at)
            for name, value in labels.items()
        )


def device_labels(folder: PathLike) -> dict[str, dict[str, str]]:
    """The devices of a study's jobs, each with its labels.

    Raises:
        StoreError: the folder is no study.
    """
    with Study(Path(folder)).connect() as connection:
        devices = connection.execute("SELECT DISTINCT job.device FROM jobs ORDER BY ALL").fetchall()
        rows = connection.execute(
            "SELECT device, name, value FROM device_labels ORDER BY ALL"
        ).fetchall()
    found: dict[str, dict[str, str]] = {device: {} for (device,) in devices}
    for device, name, value in rows:
        found.setdefault(device, {})[name] = value
    return found
