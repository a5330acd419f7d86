"""What a number was measured on: a registry of keys, each with a type, a unit and a check.

A `Reading` is the value of one key. What stays the same between launches (settings and hardware)
belongs to an `Environment`; what changes (temperatures, frequencies, load) is read before and after
every launch. A value that cannot be read, or fails its check, has no reading: unknown is never
guessed.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Scope(StrEnum):
    """When a key is read."""

    DEVICE = "device"
    """Once a campaign; it is part of the environment's digest."""
    LAUNCH = "launch"
    """Before and after every launch, and some of them by the sampler meanwhile."""
    SAMPLE = "sample"
    """By the sampler only: they are about the launch's own process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The value of a registered key: a number or a text."""

    key: str
    instance: str = ""
    """Which one, where a device has several: `cpu0`, or a thermal zone's name."""
    number: float | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A registered key.

    Attributes:
        name: of the key, with its unit.
        scope: when it is read.
        unit: SI, or "" for a text or a pure number.
        meaning: one phrase.
        source: where its value comes from on Linux and where that is documented.
        lowest: the smallest number that passes the check; None for a text.
        highest: the largest.
        choices: the texts that pass the check; empty for any.
        instances: whether a device has several.
    """

    name: str
    scope: Scope
    unit: str
    meaning: str
    source: str
    lowest: float | None = None
    highest: float | None = None
    choices: tuple[str, ...] = ()
    instances: bool = False

    @property
    def is_number(self) -> bool:
        """Whether its value is a number."""
        return self.lowest is not None

    def passes(self, reading: Reading) -> bool:
        """Whether a reading has this key's type and a possible value."""
        if bool(reading.instance) != self.instances:
            return False
        if self.lowest is None or self.highest is None:
            text = reading.text
            return reading.number is None and bool(text) and text in (self.choices or (text,))
        number = reading.number
        if number is None or reading.text is not None or not math.isfinite(number):
            return False
        return self.lowest <= number <= self.highest


_CPUFREQ = "https://docs.kernel.org/admin-guide/pm/cpufreq.html"
_THERMAL = "https://docs.kernel.org/driver-api/thermal/sysfs-api.html"
_POWER = "https://docs.kernel.org/power/power_supply_class.html"
_PROC = "https://docs.kernel.org/filesystems/proc.html"
_PRESSURE = "https://docs.kernel.org/accounting/psi.html"
_TOPOLOGY = "https://docs.kernel.org/admin-guide/cputopology.html"
_CAPACITY = "https://docs.kernel.org/scheduler/sched-capacity.html"
_HWCAPS = "https://docs.kernel.org/arch/arm64/elf_hwcaps.html"
_HERTZ = 1e11
_SECONDS = 1e12

KEYS: dict[str, Key] = {
    key.name: key
    for key in (
        Key(
            name="build",
            scope=Scope.DEVICE,
            unit="",
            meaning="build of the operating system's image or kernel",
            source=f"/proc/sys/kernel/version; {_PROC}",
        ),
        Key(
            name="instruction_sets",
            scope=Scope.DEVICE,
            unit="",
            meaning="instructions for 16-bit floats, dot products and matrices that every core has",
            source=f"Features or flags of /proc/cpuinfo; {_HWCAPS}",
        ),
        Key(
            name="core_maximum_frequency_hz",
            scope=Scope.DEVICE,
            unit="Hz",
            meaning="highest frequency that the core's hardware has",
            source=f"cpufreq/cpuinfo_max_freq; {_CPUFREQ}",
            lowest=1e6,
            highest=_HERTZ,
            instances=True,
        ),
        Key(
            name="core_capacity",
            scope=Scope.DEVICE,
            unit="",
            meaning="computing power of the core relative to the strongest, which has 1024",
            source=f"cpu_capacity; {_CAPACITY}",
            lowest=1,
            highest=1024,
            instances=True,
        ),
        Key(
            name="core_siblings",
            scope=Scope.DEVICE,
            unit="",
            meaning="logical CPUs of the same physical core, as `0-1,4`",
            source=f"topology/thread_siblings_list; {_TOPOLOGY}",
            instances=True,
        ),
        Key(
            name="core_governor",
            scope=Scope.DEVICE,
            unit="",
            meaning="what chooses the core's frequency",
            source=f"cpufreq/scaling_governor; {_CPUFREQ}",
            instances=True,
        ),
        Key(
            name="core_frequency_lower_limit_hz",
            scope=Scope.DEVICE,
            unit="Hz",
            meaning="lowest frequency that the governor may choose",
            source=f"cpufreq/scaling_min_freq; {_CPUFREQ}",
            lowest=1e6,
            highest=_HERTZ,
            instances=True,
        ),
        Key(
            name="core_frequency_upper_limit_hz",
            scope=Scope.LAUNCH,
            unit="Hz",
            meaning="highest frequency that the governor may choose; falls when the device throttles",
            source=f"cpufreq/scaling_max_freq; {_CPUFREQ}",
            lowest=1e6,
            highest=_HERTZ,
            instances=True,
        ),
        Key(
            name="core_frequency_hz",
            scope=Scope.LAUNCH,
            unit="Hz",
            meaning="frequency of the core at that moment",
            source=f"cpufreq/scaling_cur_freq; {_CPUFREQ}",
            lowest=1e6,
            highest=_HERTZ,
            instances=True,
        ),
        Key(
            name="boot_id",
            scope=Scope.LAUNCH,
            unit="",
            meaning="changes with every start of the device",
            source=f"/proc/sys/kernel/random/boot_id; {_PROC}",
        ),
        Key(
            name="uptime_s",
            scope=Scope.LAUNCH,
            unit="s",
            meaning="since the device was started",
            source=f"/proc/uptime; {_PROC}",
            lowest=0,
            highest=_SECONDS,
        ),
        Key(
            name="load_average",
            scope=Scope.LAUNCH,
            unit="",
            meaning="tasks that ran or waited to run, mean of the last minute",
            source=f"/proc/loadavg; {_PROC}",
            lowest=0,
            highest=1e6,
        ),
        Key(
            name="cpu_busy_s",
            scope=Scope.LAUNCH,
            unit="s",
            meaning="counter: processor time of all tasks on all cores since the start",
            source=f"/proc/stat: user, nice, system, irq, softirq; {_PROC}",
            lowest=0,
            highest=_SECONDS,
        ),
        Key(
            name="cpu_steal_s",
            scope=Scope.LAUNCH,
            unit="s",
            meaning="counter: time that a virtual machine's cores waited for the real ones",
            source=f"/proc/stat: steal; {_PROC}",
            lowest=0,
            highest=_SECONDS,
        ),
        Key(
            name="cpu_pressure_s",
            scope=Scope.LAUNCH,
            unit="s",
            meaning="counter: time in which some task waited for a core",
            source=f"/proc/pressure/cpu: some, total; {_PRESSURE}",
            lowest=0,
            highest=_SECONDS,
        ),
        Key(
            name="memory_available_bytes",
            scope=Scope.LAUNCH,
            unit="B",
            meaning="memory that new processes can have without swapping",
            source=f"/proc/meminfo: MemAvailable; {_PROC}",
            lowest=0,
            highest=1 << 50,
        ),
        Key(
            name="temperature_c",
            scope=Scope.LAUNCH,
            unit="degree Celsius",
            meaning="of a thermal zone",
            source=f"/sys/class/thermal/thermal_zone*/temp; {_THERMAL}",
            lowest=-60,
            highest=200,
            instances=True,
        ),
        Key(
            name="cooling_state",
            scope=Scope.LAUNCH,
            unit="",
            meaning="how far a cooling device is engaged; above 0 it acts",
            source=f"/sys/class/thermal/cooling_device*/cur_state; {_THERMAL}",
            lowest=0,
            highest=1e6,
            instances=True,
        ),
        Key(
            name="thermal_status",
            scope=Scope.LAUNCH,
            unit="",
            meaning="Android's thermal status, 0 (none) to 6 (shutdown)",
            source="https://developer.android.com/reference/android/os/PowerManager",
            lowest=0,
            highest=6,
        ),
        Key(
            name="battery_level",
            scope=Scope.LAUNCH,
            unit="",
            meaning="charge of the battery, 0 to 1",
            source=f"/sys/class/power_supply/*/capacity; {_POWER}",
            lowest=0,
            highest=1,
        ),
        Key(
            name="battery_state",
            scope=Scope.LAUNCH,
            unit="",
            meaning="what the battery does",
            source=f"/sys/class/power_supply/*/status; {_POWER}",
            choices=("charging", "discharging", "not charging", "full"),
        ),
        Key(
            name="battery_temperature_c",
            scope=Scope.LAUNCH,
            unit="degree Celsius",
            meaning="of the battery",
            source=f"/sys/class/power_supply/*/temp; {_POWER}",
            lowest=-60,
            highest=200,
        ),
        Key(
            name="screen",
            scope=Scope.LAUNCH,
            unit="",
            meaning="whether the device's own screen is lit",
            source="/sys/class/backlight/*/bl_power; "
            "https://docs.kernel.org/admin-guide/abi-stable.html",
            choices=("on", "off"),
        ),
        Key(
            name="process_cpu_s",
            scope=Scope.SAMPLE,
            unit="s",
            meaning="counter: processor time of the launch's process, all threads",
            source=f"/proc/PID/stat: utime, stime; {_PROC}",
            lowest=0,
            highest=_SECONDS,
        ),
        Key(
            name="process_memory_bytes",
            scope=Scope.SAMPLE,
            unit="B",
            meaning="resident memory of the launch's process",
            source=f"/proc/PID/statm: resident; {_PROC}",
            lowest=0,
            highest=1 << 50,
        ),
    )
}
"""Every key, by name."""


def passing(readings: Iterable[Reading], scope: Scope) -> tuple[Reading, ...]:
    """The readings of a scope that pass their key's check, in the order of key and instance.

    What does not pass is left out: a sensor that answers nonsense is one that does not answer.
    """
    kept = (
        reading
        for reading in readings
        if reading.key in KEYS
        and KEYS[reading.key].scope is scope
        and KEYS[reading.key].passes(reading)
    )
    return tuple(sorted(kept, key=lambda r: (r.key, len(r.instance), r.instance)))


def number(readings: Sequence[Reading], key: str, instance: str = "") -> float | None:
    """The number that a key was read as, or None where it was not read."""
    return next((r.number for r in readings if (r.key, r.instance) == (key, instance)), None)


def text(readings: Sequence[Reading], key: str, instance: str = "") -> str | None:
    """The text that a key was read as, or None where it was not read."""
    return next((r.text for r in readings if (r.key, r.instance) == (key, instance)), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceLabel:
    """What a user calls a group of a device's. Key: `device`, `name`; the last one counts."""

    device: str
    name: str
    """Which grouping: `tier`, `generation`, or the user's own."""
    value: str
    """The group; "" takes the label away."""
    given_at: str
    """UTC, ISO 8601."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What a run ran on. Key: `environment_sha256`."""

    environment_sha256: str
    device: str
    device_kind: str
    operating_system: str
    kernel: str
    architecture: str
    processor_model: str
    logical_cores: int
    memory_bytes: int | None
    maximum_frequency_hz: int | None
    governor: str | None
    gaugenn_version: str
    readings: tuple[Reading, ...] = ()
    """Keys of scope `device`."""
