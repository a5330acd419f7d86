"""What a Linux system's files say about its state, for any device whose files can be read.

A device collects the files that `PATTERNS` names, however it reaches them, and `readings` turns their
texts into readings of the registry. Nothing here runs a command or needs to be root.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from gaugenn.records import Reading
from gaugenn.records._environment import Scope

_CORE = "sys/devices/system/cpu/cpu[0-9]*"
PATTERNS: Mapping[Scope, tuple[str, ...]] = {
    Scope.DEVICE: (
        "proc/sys/kernel/version",
        "proc/cpuinfo",
        f"{_CORE}/cpufreq/cpuinfo_max_freq",
        f"{_CORE}/cpufreq/scaling_governor",
        f"{_CORE}/cpufreq/scaling_min_freq",
        f"{_CORE}/cpu_capacity",
        f"{_CORE}/topology/thread_siblings_list",
    ),
    Scope.LAUNCH: (
        "proc/sys/kernel/random/boot_id",
        "proc/uptime",
        "proc/loadavg",
        "proc/stat",
        "proc/pressure/cpu",
        "proc/meminfo",
        f"{_CORE}/cpufreq/scaling_max_freq",
        f"{_CORE}/cpufreq/scaling_cur_freq",
        "sys/class/thermal/thermal_zone*/type",
        "sys/class/thermal/thermal_zone*/temp",
        "sys/class/thermal/cooling_device*/type",
        "sys/class/thermal/cooling_device*/cur_state",
        "sys/class/power_supply/*/type",
        "sys/class/power_supply/*/capacity",
        "sys/class/power_supply/*/status",
        "sys/class/power_supply/*/temp",
        "sys/class/backlight/*/bl_power",
    ),
}
"""Files by when they are read, as patterns below the root."""

LONGEST_FILE_BYTES = 1 << 20
TICKS_PER_S = 100
"""Unit of /proc/stat: `USER_HZ`, which is 100 on every architecture that phones and boards have.

Source: https://man7.org/linux/man-pages/man7/time.7.html
"""

_CORE_FILES: Mapping[str, tuple[str, float]] = {
    "cpufreq/cpuinfo_max_freq": ("core_maximum_frequency_hz", 1000),
    "cpufreq/scaling_min_freq": ("core_frequency_lower_limit_hz", 1000),
    "cpufreq/scaling_max_freq": ("core_frequency_upper_limit_hz", 1000),
    "cpufreq/scaling_cur_freq": ("core_frequency_hz", 1000),
    "cpu_capacity": ("core_capacity", 1),
}
"""Key and factor of the numbers of a core; frequencies stand in kHz."""
_CORE_TEXTS: Mapping[str, str] = {
    "cpufreq/scaling_governor": "core_governor",
    "topology/thread_siblings_list": "core_siblings",
}
INSTRUCTION_SETS = frozenset(
    {
        *("fphp", "asimdhp", "asimdfhm", "asimddp", "i8mm", "bf16", "sve", "sve2", "sme"),
        *("fma", "f16c", "avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16"),
        *("avx_vnni", "avx_vnni_int8", "amx_tile", "amx_int8", "amx_bf16", "amx_fp16"),
    }
)
"""Names, of Arm's and Intel's processors, that decide which kernels an inference library takes.

Source: https://docs.kernel.org/arch/arm64/elf_hwcaps.html and
https://docs.kernel.org/arch/x86/cpuinfo.html
"""
_FEATURES = re.compile(r"^(?:Features|flags)[ \t]*:[ \t]*(.*)$", re.MULTILINE)
_PATH_OF_CORE = re.compile(r"sys/devices/system/cpu/(cpu[0-9]+)/(.+)")
_PATH_OF_THERMAL = re.compile(r"sys/class/thermal/([a-z_]+[0-9]+)/(temp|cur_state)")
_PATH_OF_SUPPLY = re.compile(r"sys/class/power_supply/([^/]+)/type")


def collect(root: Path, scope: Scope) -> dict[str, str]:
    """Texts of the files of a scope by path below the root; those that cannot be read are left out."""
    found = {}
    for pattern in PATTERNS[scope]:
        for path in root.glob(pattern) if "*" in pattern else (root / pattern,):
            try:
                with path.open("rb") as file:
                    data = file.read(LONGEST_FILE_BYTES)
            except OSError:
                continue
            found[path.relative_to(root).as_posix()] = data.decode("utf-8", "replace")
    return found


def readings(files: Mapping[str, str]) -> Iterator[Reading]:
    """Readings of files, by path below the root. They are not checked yet; see `passing`."""
    yield from _texts(files)
    yield from _numbers(files)
    yield from _processor_times(files.get("proc/stat", ""))
    for path, text in files.items():
        core = _PATH_OF_CORE.fullmatch(path)
        if core is not None:
            yield from _core(core.group(1), core.group(2), text)
        thermal = _PATH_OF_THERMAL.fullmatch(path)
        if thermal is not None:
            yield from _thermal(files, thermal.group(1), thermal.group(2), text)
    yield from _battery(files)
    lit = [_number(text) == 0 for path, text in files.items() if path.endswith("/bl_power")]
    if lit:
        yield Reading(key="screen", text="on" if any(lit) else "off")


def _texts(files: Mapping[str, str]) -> Iterator[Reading]:
    for path, key in (
        ("proc/sys/kernel/version", "build"),
        ("proc/sys/kernel/random/boot_id", "boot_id"),
    ):
        if files.get(path, "").strip():
            yield Reading(key=key, text=files[path].strip()[:500])
    cores = [set(line.split()) for line in _FEATURES.findall(files.get("proc/cpuinfo", ""))]
    if cores:
        common = INSTRUCTION_SETS.intersection(*cores)
        yield Reading(key="instruction_sets", text=" ".join(sorted(common)) or "none")


def _numbers(files: Mapping[str, str]) -> Iterator[Reading]:
    for path, pattern, key, factor in (
        ("proc/uptime", r"([0-9.]+)\s", "uptime_s", 1.0),
        ("proc/loadavg", r"([0-9.]+)\s", "load_average", 1.0),
        ("proc/pressure/cpu", r"some .*total=([0-9]+)", "cpu_pressure_s", 1e-6),
        ("proc/meminfo", r"(?s:.*)^MemAvailable:\s+([0-9]+) kB", "memory_available_bytes", 1024),
    ):
        found = re.match(pattern, files.get(path, ""), re.MULTILINE)
        value = None if found is None else _number(found.group(1))
        if value is not None:
            yield Reading(key=key, number=value * factor)


def _processor_times(text: str) -> Iterator[Reading]:
    """Busy and stolen time out of the line of all cores.

    Its fields are user, nice, system, idle, iowait, irq, softirq, steal, guest, guest_nice; the last
    two are parts of the first two.
    """
    words = text.partition("\n")[0].split()
    if len(words) < 9 or words[0] != "cpu" or not all(word.isdecimal() for word in words[1:9]):
        return
    user, nice, system, _, _, irq, softirq, steal = (int(word) for word in words[1:9])
    busy = user + nice + system + irq + softirq
    yield Reading(key="cpu_busy_s", number=busy / TICKS_PER_S)
    yield Reading(key="cpu_steal_s", number=steal / TICKS_PER_S)


def _core(core: str, name: str, text: str) -> Iterator[Reading]:
    if name in _CORE_TEXTS:
        yield Reading(key=_CORE_TEXTS[name], instance=core, text=text.strip())
    value = _number(text)
    if name in _CORE_FILES and value is not None:
        key, factor = _CORE_FILES[name]
        yield Reading(key=key, instance=core, number=value * factor)


def _thermal(files: Mapping[str, str], folder: str, name: str, text: str) -> Iterator[Reading]:
    """A zone's temperature (in thousandths of a degree) or a cooling device's state."""
    value = _number(text)
    kind = files.get(f"sys/class/thermal/{folder}/type", "").strip()
    instance = f"{folder} {kind}".strip()
    if value is not None and name == "temp":
        yield Reading(key="temperature_c", instance=instance, number=value / 1000)
    elif value is not None:
        yield Reading(key="cooling_state", instance=instance, number=value)


def _battery(files: Mapping[str, str]) -> Iterator[Reading]:
    """The first battery's charge (in per cent), state and temperature (in tenths of a degree)."""
    for name in _batteries(files):
        folder = f"sys/class/power_supply/{name}"
        level, temperature = (_number(files.get(f"{folder}/{n}", "")) for n in ("capacity", "temp"))
        if level is not None:
            yield Reading(key="battery_level", number=level / 100)
        if temperature is not None:
            yield Reading(key="battery_temperature_c", number=temperature / 10)
        yield Reading(key="battery_state", text=files.get(f"{folder}/status", "").strip().lower())
        return


def _batteries(files: Mapping[str, str]) -> Iterable[str]:
    found = ((_PATH_OF_SUPPLY.fullmatch(path), text) for path, text in sorted(files.items()))
    return [m.group(1) for m, text in found if m is not None and text.strip() == "Battery"]


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
