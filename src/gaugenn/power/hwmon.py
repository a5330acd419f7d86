"""Power monitor chips (INA2xx, INA3221) of boards and hats, as Linux shows them.

Source: https://docs.kernel.org/hwmon/sysfs-interface.html (names and units: power in
    microwatts, voltage in millivolts, current in milliamperes)
Source: https://docs.kernel.org/hwmon/ina3221.html (labels of channels)
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from gaugenn.devices import Device
from gaugenn.devices.host import HostDevice
from gaugenn.errors import DeviceError, UsageError
from gaugenn.power import MeterOptions, _device_text, _sysfs
from gaugenn.power._polling import PollingMeter, Sample

FOLDER = "sys/class/hwmon"
_FILES = ("name", "*_label", "power*_input", "curr*_input", "in*_input")
_CHANNEL = re.compile(r"(hwmon[0-9]+)/(power|curr)([0-9]+)_input")
_MICRO = 1e-6


class Hwmon(PollingMeter):
    """Every channel that tells power, or current and voltage of the same number.

    The chips are those of the device that is measured; of this machine where none is named. A board's
    are read through its shell. Options: `chip`, `root`.
    """

    _default_rate_hz = 20.0

    def __init__(self, options: MeterOptions, device: Device | None) -> None:
        super().__init__(options, device)
        self._device = None if isinstance(device, HostDevice) else device
        if self._device is not None:
            self._rate_hz = options.number("rate", 2.0, low=0.01, high=10.0)
        self._root = f"{options.text('root', '/').rstrip('/')}/{FOLDER}"
        self._chip = options.text("chip", "")
        self._channels: dict[str, tuple[str, ...]] = {}

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
        wanted = sorted({name for names in self._channels.values() for name in names})
        texts = self._texts(wanted)
        samples = []
        for rail, names in self._channels.items():
            watts = _MICRO
            for name in names:
                value = _integer(texts.get(name))
                if value is None:
                    raise DeviceError(f"{self._root}/{name} cannot be read any more")
                watts *= value
            samples.append(Sample(rail=rail, value=watts))
        return samples

    def _texts(self, patterns: Sequence[str]) -> dict[str, str]:
        """Files below the folder by their name there; those that cannot be read are left out."""
        if self._device is None:
            root = Path(self._root)
            found = {
                path.relative_to(root).as_posix(): _sysfs.text(path)
                for pattern in patterns
                for path in (root.glob(pattern) if "*" in pattern else (root / pattern,))
            }
            return {name: text for name, text in found.items() if text is not None}
        paths = tuple(f"{self._root}/{pattern}" for pattern in patterns)
        listed = _device_text.lines(self._device, paths, self.source)
        return {path.removeprefix(f"{self._root}/"): text for path, text in listed}

    def _find(self) -> None:
        texts = self._texts([f"hwmon*/{name}" for name in _FILES])
        chips = {
            folder: texts.get(f"{folder}/name") or folder
            for folder in sorted({name.partition("/")[0] for name in texts})
        }
        self._channels = {}
        for folder, chip in chips.items():
            if self._chip and chip != self._chip:
                continue
            for label, names in _channels(folder, texts).items():
                rail = f"{chip} {label}"
                self._channels[rail if rail not in self._channels else f"{rail} {folder}"] = names
        if not self._channels:
            there = ", ".join(chips.values()) or "none"
            raise UsageError(
                f"no chip in {self._root} tells power, or current and voltage; chips there: {there}"
            )


def _channels(folder: str, texts: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """The files whose product is the power of each channel, by its label or number."""
    found: dict[str, tuple[str, ...]] = {}
    # Power last: where a channel has both, the chip's own product stands.
    for name in sorted(texts):
        match = _CHANNEL.fullmatch(name)
        if match is None or match[1] != folder:
            continue
        kind, number = match[2], match[3]
        voltage = f"{folder}/in{number}_input"
        labels = (texts.get(f"{folder}/{k}{number}_label") for k in (kind, "in"))
        label = next(filter(None, labels), number)
        if kind == "power":
            found = {k: v for k, v in found.items() if v[0] != f"{folder}/curr{number}_input"}
            found[label] = (name,)
        elif _integer(texts.get(voltage)) is not None:
            found.setdefault(label, (name, voltage))
    return found


def _integer(text: str | None) -> int | None:
    try:
        return None if text is None else int(text)
    except ValueError:
        return None
