"""What is done around a launch on its device: in every shell, untethered, under hostile text."""

import random
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from gaugenn.devices import _around
from gaugenn.devices._around import Around
from gaugenn.devices.adb import AdbDevice
from gaugenn.devices.host import HostDevice
from gaugenn.devices.ssh import CONFIG_VARIABLE
from gaugenn.errors import UsageError
from gaugenn.records._environment import number
from tests.devices.board import Board
from tests.devices.box import Box

SHELLS = {"dash": ["dash"], "mksh": ["mksh"], "bash": ["bash", "--posix"]}


def run(shell: str, folder: Path, around: Around, command: str) -> subprocess.CompletedProcess[str]:
    if shutil.which(SHELLS[shell][0]) is None:
        pytest.skip(f"{shell} is not installed; scripts/test installs it")
    argv = around.command(str(_around.SCRIPT), "k1", ["sh", "-c", command])
    return subprocess.run(
        [*SHELLS[shell], *argv[1:]], cwd=folder, capture_output=True, text=True, check=False
    )


def plant(root: Path) -> None:
    files = {
        "thermal/thermal_zone0/type": "cpu big",
        "thermal/thermal_zone0/temp": "41250",
        "thermal/thermal_zone1/type": "dead",
        "thermal/thermal_zone1/temp": "-274000",
        "thermal/cooling_device0/type": "fan",
        "thermal/cooling_device0/cur_state": "2",
    }
    for name, text in files.items():
        path = root / "sys/class" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    for core in (0, 1):
        path = root / f"sys/devices/system/cpu/cpu{core}/cpufreq"
        path.mkdir(parents=True)
        (path / "scaling_cur_freq").write_text("1803000\n")


@pytest.mark.parametrize("shell", SHELLS)
def test_samples_idle_stretches_and_markers_are_told_and_the_command_is_as_without_them(
    shell: str, tmp_path: Path
) -> None:
    root, folder = tmp_path / "root", tmp_path / "work"
    folder.mkdir()
    plant(root)
    around = Around(sample_every_s=0.1, idle_s=0.3, marked=True, root=str(root))
    ended = run(shell, folder, around, "echo out; echo err >&2; exit 7")
    assert (ended.returncode, ended.stdout, ended.stderr) == (7, "out\n", "err\n")
    assert [path.name for path in folder.iterdir()] == ["around"]
    found = _around.read(folder / "around", "k1", str(root))
    names = [moment.name for moment in found.moments]
    assert names == [*["marker_before"] * 3, "idle_before", "idle_after", *["marker_after"] * 3]
    assert all(a.end_s <= b.begin_s for a, b in zip(found.moments, found.moments[1:], strict=False))
    for moment, asked_s in zip(found.moments[:3], (0.30, 0.45, 0.20), strict=True):
        # A machine under load makes a burst longer, never much shorter than its last tick.
        assert moment.end_s - moment.begin_s > asked_s - 0.015
    uptime_s = float(Path("/proc/uptime").read_text().split()[0])
    assert uptime_s - 60 < found.moments[0].begin_s < uptime_s
    assert found.cpu_s is not None
    assert found.cpu_s < 0.5  # without the markers' own
    assert len(found.samples) > 5
    at_s, readings = found.samples[1]
    assert found.samples[0][0] < at_s < uptime_s
    assert number(readings, "temperature_c", "thermal_zone0 cpu big") == 41.25
    assert {r.instance for r in readings if r.key == "temperature_c"} == {"thermal_zone0 cpu big"}
    assert number(readings, "cooling_state", "cooling_device0 fan") == 2
    assert number(readings, "core_frequency_hz", "cpu1") == 1_803_000_000
    assert number(readings, "load_average") is not None
    assert number(readings, "cpu_busy_s") is not None
    assert (number(readings, "memory_available_bytes") or 0) > 1 << 20


@pytest.mark.parametrize("shell", SHELLS)
def test_without_idle_and_markers_the_command_takes_the_scripts_place(
    shell: str, tmp_path: Path
) -> None:
    ended = run(shell, tmp_path, Around(sample_every_s=0.1), "echo $$; sleep 0.6; exit 3")
    assert ended.returncode == 3
    found = _around.read(tmp_path / "around", "k1")
    assert (found.moments, found.cpu_s) == ((), None)
    process = [number(r, "process_memory_bytes") for _, r in found.samples]
    assert any(size is not None and size > 1 << 16 for size in process)
    assert int(ended.stdout) == int((tmp_path / "around.pid").read_text())


def test_when_whoever_started_it_dies_the_command_does_too(tmp_path: Path) -> None:
    argv = Around(sample_every_s=0.1).command(str(_around.SCRIPT), "k1", ["sleep", "100"])
    pid_file = tmp_path / "around.pid"
    parent = subprocess.Popen(
        ["sh", "-c", '"$@" & sleep 100', "sh", *argv], cwd=tmp_path, start_new_session=True
    )
    while not (pid_file.exists() and pid_file.read_text().strip()):
        time.sleep(0.02)
    child = int(pid_file.read_text())
    parent.kill()
    parent.wait()
    while Path(f"/proc/{child}").exists() and "Z" not in Path(f"/proc/{child}/stat").read_text():
        time.sleep(0.05)
    assert b"sleep" not in (Path(f"/proc/{child}/cmdline").read_bytes() if _lives(child) else b"")


def _lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_what_another_launch_left_is_not_taken_and_a_cut_line_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "around"
    path.write_text("k2\n@ 5.00\n1.7\n")
    assert _around.read(path, "k1") == _around.Surroundings()
    path.write_text("k1\n1 /proc/loadavg\n@ 5.00\n1.0.25 0 0 1/2 3\n@ 6.00\n1.0.75 0 0")
    found = _around.read(path, "k1")
    assert [(at_s, number(r, "load_average")) for at_s, r in found.samples] == [
        (5, 0.25),
        (6, None),
    ]


def test_a_date_without_fractions_gives_no_marker(tmp_path: Path) -> None:
    path = tmp_path / "around"
    path.write_text("k\ntick marker_before 100 1795650099.N\nburst marker_before 17.N 18.N\n")
    assert _around.read(path, "k").moments == ()


def test_no_text_makes_reading_fail(tmp_path: Path) -> None:
    path, draw = tmp_path / "around", random.Random(1)
    words = [
        "@",
        "hot",
        "tick",
        "burst",
        "times",
        "page",
        "type",
        ">",
        "1",
        "1.",
        "stat.",
        "pstat.",
    ]
    words += ["idle_before", "pstatm.", "meminfo.", "0m1.5s", "nan", "1e999", "-5", "", "\x00", "é"]
    for _ in range(300):
        lines = [" ".join(draw.choices(words, k=draw.randint(0, 5))) for _ in range(30)]
        path.write_text("k\n" + "\n".join(lines) + "\n")
        found = _around.read(path, "k")
        assert all(moment.end_s >= moment.begin_s or moment.name for moment in found.moments)


def test_a_period_that_would_disturb_is_refused() -> None:
    for wrong in (
        {"sample_every_s": 0.01},
        {"limit_c": 0.0},
        {"sample_every_s": 0.0, "limit_c": 90.0},
    ):
        with pytest.raises(UsageError):
            Around(**wrong)


def test_an_untethered_launch_brings_its_samples_and_idle_stretches_home(
    box: Box, tmp_path: Path
) -> None:
    from gaugenn.devices._untethered import UntetheredDevice
    from gaugenn.devices._usb import usb_power

    around = Around(sample_every_s=0.2, idle_s=0.3)
    with AdbDevice(box.serial) as remote:
        device = UntetheredDevice(remote, usb_power("none"))
        device.expect("job 1")
        script = device.push(_around.SCRIPT, "around.sh")
        output = device.run(around.command(script, "k", ["echo", "hello"]), timeout_s=60)
        assert (output.exit_code, output.stdout) == (0, "hello\n")
        device.pull("around", tmp_path / "around")
        offset = device.boottime_offset()
    found = _around.read(tmp_path / "around", "k")
    assert [moment.name for moment in found.moments] == ["idle_before", "idle_after"]
    assert len(found.samples) > 2
    assert offset is not None
    true_s = time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()
    assert abs(offset.offset_s - true_s) <= offset.uncertainty_s + 1e-3


def test_the_clock_of_a_board_is_compared_within_its_step(
    sshd: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CONFIG_VARIABLE, str(sshd.config()))
    from gaugenn.bench.devices import open_device

    true_s = time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()
    with open_device(sshd.name) as board, HostDevice() as host:
        found, same = board.boottime_offset(), host.boottime_offset()
    assert found is not None
    assert abs(found.offset_s - true_s) <= found.uncertainty_s + 1e-3
    assert same is not None
    assert same.offset_s == pytest.approx(true_s, abs=1e-3)
