"""The battery's own gauge, read through the device: coarse, and only for long phases.

Source: https://docs.kernel.org/power/power_supply_class.html (microamperes,
    microvolts, microampere-hours)
Source: https://developer.android.com/reference/android/os/BatteryManager (current into the battery is
    positive)
"""

from collections.abc import Sequence

from gaugenn.devices import Device
from gaugenn.errors import DeviceError, UsageError
from gaugenn.power import MeterOptions, _device_text
from gaugenn.power._polling import PollingMeter, Sample

_AMPERES = {"uA": 1e-6, "mA": 1e-3}
_COULOMB_PER_MICROAMPERE_HOUR = 3.6e-3
POWER = "battery"
CHARGE = "battery charge"


class FuelGauge(PollingMeter):
    """Power out of the battery from current and voltage, and from its counter of charge.

    Vendors differ in sign and unit of the current; `unit` (uA or mA) and `discharge` (`negative` or
    `positive`) say what a model does. Joules of the charge counter are charge times the voltage at
    each reading. Options: `supply`, the folder's name; `root`.
    """

    needs_device = True
    _default_rate_hz = 1.0
    _highest_rate_hz = 10.0

    def __init__(self, options: MeterOptions, device: Device | None) -> None:
        super().__init__(options, device)
        self._device = device
        unit = options.text("unit", "uA")
        sign = options.text("discharge", "negative")
        if unit not in _AMPERES or sign not in ("negative", "positive"):
            raise UsageError(
                f"fuel_gauge has unit={unit} and discharge={sign}; expected uA or mA, and negative or "
                "positive"
            )
        self._factor = _AMPERES[unit] * (-1.0 if sign == "negative" else 1.0)
        root = options.text("root", "/").rstrip("/")
        self._folder = f"{root}/sys/class/power_supply/{options.text('supply', 'battery')}"
        self._charge_uah: float | None = None
        self._drawn_j = 0.0

    @property
    def source(self) -> str:
        """The meter with its supply."""
        return f"fuel_gauge {self._folder.rpartition('/')[2]}"

    def start(self) -> None:
        self._charge_uah, self._drawn_j = None, 0.0
        super().start()

    def read(self) -> Sequence[Sample]:
        """Power now, and energy drawn since the start where there is a counter of charge."""
        assert self._device is not None  # noqa: S101 - `needs_device`
        names = ("current_now", "voltage_now", "charge_counter", "status")
        paths = tuple(f"{self._folder}/{name}" for name in names)
        found = {
            path.rpartition("/")[2]: text
            for path, text in _device_text.lines(self._device, paths, self.source)
        }
        if found.get("status", "").lower() in ("charging", "full"):
            raise DeviceError(f"{self.source}: the battery is {found['status'].lower()}; cut power")
        volts = _number(found.get("voltage_now"), 1e-6)
        amperes = _number(found.get("current_now"), self._factor)
        if volts is None:
            raise UsageError(f"{self._folder} tells no voltage_now: no battery, or not readable")
        samples = []
        if amperes is not None:
            samples.append(Sample(rail=POWER, value=amperes * volts))
        charge = _number(found.get("charge_counter"), 1.0)
        if charge is not None:
            before = charge if self._charge_uah is None else self._charge_uah
            if charge > before:
                raise DeviceError(f"{self.source}: the charge rose while it was measured")
            self._drawn_j += (before - charge) * _COULOMB_PER_MICROAMPERE_HOUR * volts
            self._charge_uah = charge
            samples.append(Sample(rail=CHARGE, value=self._drawn_j, is_counter=True))
        return samples


def _number(text: str | None, factor: float) -> float | None:
    try:
        return None if text is None else int(text) * factor
    except ValueError:
        return None
