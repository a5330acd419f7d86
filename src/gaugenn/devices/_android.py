"""What Android's own commands print, as readings and facts.

One call to the device prints the sections of `SCRIPT`; `readings` reads them. On a Linux board
without these commands the sections are empty.
"""

import re
from collections.abc import Iterator, Mapping

from gaugenn.records import Reading

SECTIONS: Mapping[str, str] = {"battery": "dumpsys battery", "thermal": "dumpsys thermalservice"}
"""Commands whose output tells the state of a launch, by the name of their section."""

PROPERTIES = (
    *("ro.product.manufacturer", "ro.product.model", "ro.soc.manufacturer", "ro.soc.model"),
    *("ro.board.platform", "ro.build.fingerprint", "ro.build.version.release"),
    *("ro.product.cpu.abi", "ro.serialno"),
)
"""Properties that say what a device is.

**Source:** https://source.android.com/docs/core/architecture/configuration/add-system-properties
"""

_BATTERY_STATES = {
    2: "charging",
    3: "discharging",
    4: "not charging",
    5: "full",
}
"""**Source:** https://developer.android.com/reference/android/os/BatteryManager"""
_TEMPERATURE = re.compile(
    r"Temperature\{mValue=(-?[0-9.]+), mType=(-?\d+), mName=([^,}]+), mStatus=(\d+)\}"
)
_PROPERTY = re.compile(r"^\[([^\]]+)\]: \[(.*)\]\s*$", re.MULTILINE)


def properties(text: str) -> dict[str, str]:
    """What `getprop` lists, of the properties that matter here."""
    found = dict(_PROPERTY.findall(text))
    return {name: found[name].strip() for name in PROPERTIES if found.get(name, "").strip()}


def readings(sections: Mapping[str, str]) -> Iterator[Reading]:
    """Readings of sections; they are not checked yet."""
    yield from _battery(sections.get("battery", ""))
    yield from _thermal(sections.get("thermal", ""))


def battery_fields(text: str) -> dict[str, str]:
    """The lines `name: value` of `dumpsys battery`."""
    pairs = (line.split(":", 1) for line in text.splitlines() if ":" in line)
    return {name.strip().lower(): value.strip() for name, value in pairs}


def is_powered(text: str) -> bool | None:
    """Whether `dumpsys battery` says that power comes from outside; None where it does not say."""
    fields = battery_fields(text)
    told = [
        fields[f"{kind} powered"]
        for kind in ("ac", "usb", "wireless")
        if f"{kind} powered" in fields
    ]
    if not told:
        return None
    return "true" in told


def _battery(text: str) -> Iterator[Reading]:
    """Level out of `scale`, state as a code, temperature in tenths of a degree."""
    fields = battery_fields(text)
    level, scale = _number(fields.get("level")), _number(fields.get("scale")) or 100.0
    if level is not None:
        yield Reading(key="battery_level", number=level / scale)
    temperature = _number(fields.get("temperature"))
    if temperature is not None:
        yield Reading(key="battery_temperature_c", number=temperature / 10)
    state = _BATTERY_STATES.get(int(_number(fields.get("status")) or 0))
    if state is not None:
        yield Reading(key="battery_state", text=state)


def _thermal(text: str) -> Iterator[Reading]:
    """The thermal status, and temperatures as the hardware tells them now; cached ones may be old."""
    status = re.search(r"^\s*Thermal Status: (\d)\s*$", text, re.MULTILINE)
    if status is not None:
        yield Reading(key="thermal_status", number=float(status.group(1)))
    block = text.partition("Current temperatures from HAL:")[2]
    for value, _, name, _ in _TEMPERATURE.findall(block.partition("Current cooling")[0]):
        number = _number(value)
        if number is not None:
            yield Reading(key="temperature_c", instance=name.strip(), number=number)


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
