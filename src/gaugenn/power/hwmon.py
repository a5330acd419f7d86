"""Power monitor chips (INA2xx, INA3221) of boards and hats, as Linux shows them.

Source: https://www.kernel.org/doc/html/latest/hwmon/sysfs-interface.html (names and units: power in
    microwatts, voltage in millivolts, current in milliamperes)
Source: https://www.kernel.org/doc/html/latest/hwmon/ina3221.html (labels of channels)
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from gaugenn.devices import Device
from gaugenn.errors import DeviceError, UsageError
from gaugenn.power import MeterOptions, _sysfs
from gaugenn.power._polling import PollingMeter, Sample

FOLDER = "sys/class/hwmon"
_CHANNEL = re.compile(r"(power|curr)([0-9]+)_input")


class Hwmon(PollingMeter):
    """Every channel that tells power, or current and voltage of the same number."""

    _default_rate_hz = 20.0

    def __init__(self, options: MeterOptions, device: Device | None) -> None:
        super().__init__(options, device)
        self._root = Path(options.text("root", "/")) / FOLDER
        self._chip = options.text("chip", "")
        self._channels: dict[str, Callable[[], float]] = {}

    @property
    def source(self) -> str:
        """The meter, with the chip where one was chosen."""
        return f"hwmon {self._chip}".strip()

    def __enter__(self) -> "Hwmon":
        self._find()
        super().__enter__()
        return self

    def read(self) -> Sequence[Sample]:
        """Power of each channel."""
        return [Sample(rail=rail, value=read()) for rail, read in self._channels.items()]

    def _find(self) -> None:
        seen = []
        for folder in sorted(self._root.glob("hwmon*")):
            chip = _sysfs.text(folder / "name") or folder.name
            seen.append(chip)
            if self._chip and chip != self._chip:
                continue
            for rail, read in _channels(folder, chip):
                self._channels[rail if rail not in self._channels else f"{rail} {folder.name}"] = (
                    read
                )
        if not self._channels:
            there = ", ".join(seen) or "none"
            raise UsageError(
                f"no chip in {self._root} tells power, or current and voltage; chips there: {there}"
            )


def _channels(folder: Path, chip: str) -> list[tuple[str, Callable[[], float]]]:
    found: dict[str, tuple[str, Callable[[], float]]] = {}
    # Power last: where a channel has both, the chip's own product stands.
    for path in sorted(folder.glob("*_input")):
        match = _CHANNEL.fullmatch(path.name)
        if match is None:
            continue
        kind, number = match.groups()
        voltage = folder / f"in{number}_input"
        names = (f"{kind}{number}_label", f"in{number}_label")
        label = next(filter(None, (_sysfs.text(folder / name) for name in names)), number)
        if kind == "power":
            found[number] = (f"{chip} {label}", _times(path, None, 1e-6))
        elif _sysfs.integer(voltage) is not None:
            found.setdefault(number, (f"{chip} {label}", _times(path, voltage, 1e-6)))
    return list(found.values())


def _times(first: Path, second: Path | None, factor: float) -> Callable[[], float]:
    def read() -> float:
        values = [_sysfs.integer(path) for path in (first, second) if path is not None]
        product = factor
        for value in values:
            if value is None:
                raise DeviceError(f"{first} cannot be read any more")
            product *= value
        return product

    return read
