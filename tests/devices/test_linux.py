"""What is read from the files of a Linux system: a phone's, a virtual machine's, and nonsense."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from gaugenn.devices import _linux
from gaugenn.records import Reading
from gaugenn.records._environment import KEYS, Scope, number, passing, text

CPU = "sys/devices/system/cpu"
PHONE = {
    "proc/sys/kernel/version": "#1 SMP PREEMPT Tue Jan 2 2026\n",
    "proc/cpuinfo": "processor\t: 0\nFeatures\t: fp asimd asimdhp asimddp\n\n"
    "processor\t: 7\nFeatures\t: fp asimd asimdhp asimddp i8mm\n",
    "proc/sys/kernel/random/boot_id": "0d9f1c6e-0000-4000-8000-000000000000\n",
    "proc/uptime": "1234.56 4321.00\n",
    "proc/loadavg": "1.25 0.80 0.40 2/700 4242\n",
    "proc/stat": "cpu  100 10 50 900 5 3 2 7 1 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n",
    "proc/pressure/cpu": "some avg10=1.00 avg60=2.00 avg300=3.00 total=2500000\n"
    "full avg10=0.00 avg60=0.00 avg300=0.00 total=9\n",
    "proc/meminfo": "MemTotal:  8000000 kB\nMemFree: 1 kB\nMemAvailable:   4000000 kB\n",
    "sys/class/thermal/thermal_zone0/type": "skin\n",
    "sys/class/thermal/thermal_zone0/temp": "38250\n",
    "sys/class/thermal/thermal_zone1/type": "broken\n",
    "sys/class/thermal/thermal_zone1/temp": "-274000\n",
    "sys/class/thermal/cooling_device0/type": "cpufreq-cpu7\n",
    "sys/class/thermal/cooling_device0/cur_state": "2\n",
    "sys/class/power_supply/usb/type": "USB\n",
    "sys/class/power_supply/battery/type": "Battery\n",
    "sys/class/power_supply/battery/capacity": "81\n",
    "sys/class/power_supply/battery/status": "Not charging\n",
    "sys/class/power_supply/battery/temp": "305\n",
    "sys/class/backlight/panel0/bl_power": "0\n",
    **{
        f"{CPU}/cpu{core}/{name}": value
        for core, big in ((0, False), (7, True))
        for name, value in {
            "cpufreq/cpuinfo_max_freq": "2900000\n" if big else "1800000\n",
            "cpufreq/scaling_max_freq": "2400000\n" if big else "1800000\n",
            "cpufreq/scaling_min_freq": "300000\n",
            "cpufreq/scaling_cur_freq": "1200000\n",
            "cpufreq/scaling_governor": "schedutil\n",
            "cpu_capacity": "1024\n" if big else "350\n",
            "topology/thread_siblings_list": f"{core}\n",
        }.items()
    },
}


def write(root: Path, files: Mapping[str, str]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def read(root: Path, scope: Scope) -> tuple[Reading, ...]:
    return passing(_linux.readings(_linux.collect(root, scope)), scope)


def test_what_a_phone_is_and_what_limits_it(tmp_path: Path) -> None:
    found = read(write(tmp_path, PHONE), Scope.DEVICE)
    assert text(found, "build") == "#1 SMP PREEMPT Tue Jan 2 2026"
    assert number(found, "core_maximum_frequency_hz", "cpu7") == 2.9e9
    assert number(found, "core_frequency_lower_limit_hz", "cpu0") == 3e8
    assert number(found, "core_capacity", "cpu0") == 350
    assert text(found, "core_governor", "cpu7") == "schedutil"
    assert text(found, "instruction_sets") == "asimddp asimdhp", "those that every core has"
    assert text(found, "core_siblings", "cpu7") == "7"


def test_what_state_a_phone_is_in(tmp_path: Path) -> None:
    found = read(write(tmp_path, PHONE), Scope.LAUNCH)
    assert {(r.key, r.instance): r.number if r.text is None else r.text for r in found} == {
        ("battery_level", ""): 0.81,
        ("battery_state", ""): "not charging",
        ("battery_temperature_c", ""): 30.5,
        ("boot_id", ""): "0d9f1c6e-0000-4000-8000-000000000000",
        ("cooling_state", "cooling_device0 cpufreq-cpu7"): 2,
        ("core_frequency_hz", "cpu0"): 1.2e9,
        ("core_frequency_hz", "cpu7"): 1.2e9,
        ("core_frequency_upper_limit_hz", "cpu0"): 1.8e9,
        ("core_frequency_upper_limit_hz", "cpu7"): 2.4e9,
        ("cpu_busy_s", ""): 1.65,
        ("cpu_pressure_s", ""): 2.5,
        ("cpu_steal_s", ""): 0.07,
        ("load_average", ""): 1.25,
        ("memory_available_bytes", ""): 4_096_000_000,
        ("screen", ""): "on",
        ("temperature_c", "thermal_zone0 skin"): 38.25,
        ("uptime_s", ""): 1234.56,
    }


def test_a_machine_without_these_files_has_no_readings(tmp_path: Path) -> None:
    assert read(tmp_path, Scope.DEVICE) == ()
    assert read(tmp_path, Scope.LAUNCH) == ()


@pytest.mark.parametrize("content", ["", "\n", "nonsense", "-1", "nan", "inf", "1e999", "\0" * 99])
def test_files_with_nonsense_give_no_reading_of_a_number(tmp_path: Path, content: str) -> None:
    write(tmp_path, dict.fromkeys(PHONE, content))
    found = [*read(tmp_path, Scope.DEVICE), *read(tmp_path, Scope.LAUNCH)]
    # One degree below zero is cold, not nonsense.
    numbers = {r.key for r in found if r.number is not None} - {"temperature_c"}
    assert numbers == set()
    assert "battery_state" not in {r.key for r in found}


def test_a_processor_without_any_of_the_instructions_says_so(tmp_path: Path) -> None:
    for name, lines in (("plain", "flags\t\t: fpu sse2\n"), ("silent", "processor\t: 0\n")):
        write(tmp_path / name, {"proc/cpuinfo": lines})
    assert text(read(tmp_path / "plain", Scope.DEVICE), "instruction_sets") == "none"
    assert text(read(tmp_path / "silent", Scope.DEVICE), "instruction_sets") is None


def test_a_dark_screen_is_off(tmp_path: Path) -> None:
    found = read(write(tmp_path, {"sys/class/backlight/panel0/bl_power": "4\n"}), Scope.LAUNCH)
    assert text(found, "screen") == "off"


def test_every_file_that_is_read_belongs_to_a_key_of_its_scope(tmp_path: Path) -> None:
    write(tmp_path, PHONE)
    for scope in (Scope.DEVICE, Scope.LAUNCH):
        found = list(_linux.readings(_linux.collect(tmp_path, scope)))
        assert {KEYS[reading.key].scope for reading in found} == {scope}
