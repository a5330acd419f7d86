"""On-device power monitor of Pixel phones: a counter of energy for each rail.

The kernel shows, for each of two chips, a stamp and then lines `CH3(T=349894)[S2M_VDD_CPUCL2],
30203502`: milliseconds since boot, the rail's name, and microwatt-seconds since boot.

Source: https://android.googlesource.com/platform/hardware/google/pixel/+/refs/heads/main/powerstats/
    (IioEnergyMeterDataProvider: where the file lies, and its lines)
Source: https://developer.android.com/reference/android/os/PowerMonitor (names differ by device)
Source: https://perfetto.dev/docs/data-sources/battery-counters (rails as counters of energy)
"""

import re
from collections.abc import Sequence

from gaugenn.devices import Device
from gaugenn.errors import DeviceError, UsageError
from gaugenn.power import MeterOptions, _device_text
from gaugenn.power._polling import PollingMeter, Sample
from gaugenn.records import Clock

_LINE = re.compile(r"CH([0-9]{1,3})\(T=([0-9]{1,15})\)\[([^\]]{1,64})\], ([0-9]{1,18})")


class Odpm(PollingMeter):
    """All rails, stamped by the phone itself. Option: `root`."""

    needs_device = True
    clock = Clock.DEVICE_BOOT
    _default_rate_hz = 4.0
    _highest_rate_hz = 20.0

    def __init__(self, options: MeterOptions, device: Device | None) -> None:
        super().__init__(options, device)
        self._device = device
        root = options.text("root", "/").rstrip("/")
        self._pattern = f"{root}/sys/bus/iio/devices/iio:device*/energy_value"

    @property
    def source(self) -> str:
        """The meter's name."""
        return "odpm"

    def read(self) -> Sequence[Sample]:
        """Each rail's counter."""
        assert self._device is not None  # noqa: S101 - `needs_device`
        found = list(_device_text.lines(self._device, (self._pattern,), self.source))
        samples = [
            Sample(
                rail=match.group(3),
                value=int(match.group(4)) * 1e-6,
                t_s=int(match.group(2)) * 1e-3,
                is_counter=True,
            )
            for _, text in found
            if (match := _LINE.fullmatch(text)) is not None
        ]
        if not samples and not self.rails:
            raise UsageError(
                f"{self._pattern} tells no rail: this phone has no power monitor, or its shell may "
                "not read it (root, or a trace by Perfetto, can)"
            )
        if {sample.rail for sample in samples} < set(self.rails):
            raise DeviceError("odpm: a rail is not told any more")
        return samples
