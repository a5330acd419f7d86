"""RAPL: counters of energy inside x86 processors, as Linux shows them.

Source: https://docs.kernel.org/power/powercap/powercap.html
"""

from collections.abc import Sequence
from pathlib import Path

from gaugenn.devices import Device
from gaugenn.errors import DeviceError, UsageError
from gaugenn.power import MeterOptions, _sysfs
from gaugenn.power._polling import PollingMeter, Sample

FOLDER = "sys/class/powercap"
_MICRO = 1e-6


class Rapl(PollingMeter):
    """Counters of this machine's processor packages, cores and memory.

    A counter goes back to 0 at `max_energy_range_uj`; that is made good as long as it is read at least
    once in each turn, which takes a minute at 1 kW.
    """

    host_only = True

    def __init__(self, options: MeterOptions, device: Device | None) -> None:
        super().__init__(options, device)
        self._root = Path(options.text("root", "/")) / FOLDER
        self._zones: dict[str, tuple[Path, int]] = {}
        self._turns: dict[str, int] = {}
        self._last: dict[str, int] = {}

    @property
    def source(self) -> str:
        """The meter's name."""
        return "rapl"

    def __enter__(self) -> "Rapl":
        self._find()
        super().__enter__()
        return self

    def read(self) -> Sequence[Sample]:
        """Each zone's counter, in joules since the meter was entered."""
        samples = []
        for rail, (path, limit) in self._zones.items():
            value = _sysfs.integer(path / "energy_uj")
            if value is None:
                raise DeviceError(f"{path / 'energy_uj'} cannot be read any more")
            if value < self._last.get(rail, value):
                self._turns[rail] = self._turns.get(rail, 0) + 1
            self._last[rail] = value
            total = value + self._turns.get(rail, 0) * limit
            samples.append(Sample(rail=rail, value=total * _MICRO, is_counter=True))
        return samples

    def _find(self) -> None:
        zones = sorted(self._root.glob("intel-rapl:*")) if self._root.is_dir() else []
        if not zones:
            raise UsageError(
                f"there are no energy counters in {self._root}: no x86 processor with RAPL, a virtual "
                "machine that hides it, or the kernel module intel_rapl_common is not loaded"
            )
        denied = []
        for path in zones:
            name = _sysfs.text(path / "name") or path.name
            limit = _sysfs.integer(path / "max_energy_range_uj")
            if _sysfs.integer(path / "energy_uj") is None or limit is None or limit <= 0:
                denied.append(path.name)
                continue
            self._zones[f"{path.name.removeprefix('intel-rapl:')} {name}"] = (path, limit)
        if not self._zones:
            raise UsageError(
                f"{self._root}: {', '.join(denied)} cannot be read; the kernel shows these counters "
                "to root only: run as root, or let root do chmod a+r on their energy_uj"
            )
