"""This machine as a device: groups die whole, output and memory are bounded, little is inherited."""

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gaugenn import _processes
from gaugenn.devices import host as host_module
from gaugenn.devices import working_name
from gaugenn.devices.host import HostDevice
from gaugenn.errors import DeviceError, UsageError


@pytest.fixture
def host(tmp_path: Path) -> Iterator[HostDevice]:
    with HostDevice(tmp_path / "work") as device:
        yield device


def python(code: str) -> list[str]:
    return [sys.executable, "-I", "-c", code]


def alive(pid: int) -> bool:
    """Whether a process runs; one that was killed has a moment to go."""
    for _ in range(250):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return False
        if state == "Z":
            return False
        time.sleep(0.02)
    return True


def test_a_command_returns_its_output_and_exit_code(host: HostDevice) -> None:
    code = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    output = host.run(python(code))
    assert (output.exit_code, output.stdout, output.stderr) == (3, "out\n", "err\n")
    assert output.wall_s > 0
    assert not output.timed_out


def test_a_pushed_file_is_found_by_a_command_wherever_the_folder_was_named_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model = Path("model.bin")
    model.write_bytes(b"weights")
    with HostDevice(Path("work")) as device:
        remote = device.push(model, "net/model.bin")
        output = device.run(python(f"print(open({remote!r}).read())"))
    assert (output.exit_code, output.stdout) == (0, "weights\n")


def test_a_signal_is_128_and_its_number(host: HostDevice) -> None:
    for number in (9, 11):
        output = host.run(python(f"import os; os.kill(os.getpid(), {number})"))
        assert output.exit_code == 128 + number


def test_a_command_that_cannot_start_is_a_device_error(host: HostDevice) -> None:
    with pytest.raises(DeviceError, match="cannot start /nothing/here"):
        host.run(["/nothing/here"])
    with pytest.raises(DeviceError, match="cannot start"):
        host.run(["a\0b"])


def test_a_device_that_is_not_open_runs_nothing() -> None:
    with pytest.raises(DeviceError, match="not open"):
        HostDevice().run(["true"])


def test_the_whole_group_dies_at_the_time_limit(host: HostDevice, tmp_path: Path) -> None:
    noted = tmp_path / "pid"
    code = (
        "import os, time\n"
        "child = os.fork()\n"
        f"if child: open({str(noted)!r}, 'w').write(str(child))\n"
        "print('begun', flush=True)\n"
        "time.sleep(1000)"
    )
    begin = time.monotonic()
    output = host.run(python(code), timeout_s=1.0)
    assert time.monotonic() - begin < 30
    assert output.timed_out
    assert output.exit_code is None
    assert "begun" in output.stdout
    assert not alive(int(noted.read_text()))


def test_children_of_a_command_that_ended_do_not_hold_it_and_do_not_survive(
    host: HostDevice,
) -> None:
    code = (
        "import os, time\n"
        "child = os.fork()\n"
        "if child: print(child, flush=True); os._exit(0)\n"
        "time.sleep(1000)"
    )
    output = host.run(python(code), timeout_s=60)
    assert output.exit_code == 0
    assert not alive(int(output.stdout))


def test_an_interrupt_leaves_no_process(host: HostDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []

    def interrupted(process: object, deadline: float) -> None:
        del deadline
        started.append(process.pid)  # type: ignore[attr-defined]
        raise KeyboardInterrupt

    monkeypatch.setattr(_processes, "drain", interrupted)
    with pytest.raises(KeyboardInterrupt):
        host.run(python("import time; time.sleep(1000)"))
    assert not alive(started[0])


def test_of_endless_output_only_the_end_is_kept(
    host: HostDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_processes, "STDOUT_LIMIT_BYTES", 1000)
    code = "import sys\nfor i in range(300000): sys.stdout.write('%d\\n' % i)"
    output = host.run(python(code))
    assert output.stdout.endswith("299999\n")
    assert len(output.stdout) <= 2000


def test_bytes_that_are_no_text_are_replaced(host: HostDevice) -> None:
    output = host.run(python("import os; os.write(1, b'a\\xff\\x00b')"))
    assert output.stdout == "a\ufffd\x00b"


def test_a_closed_output_does_not_end_the_wait(host: HostDevice) -> None:
    code = "import os, time; os.close(1); os.close(2); time.sleep(0.3); os._exit(4)"
    output = host.run(python(code))
    assert output.exit_code == 4


def test_settings_that_change_speed_are_not_inherited(
    host: HostDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "PYTHONHOME", "LD_PRELOAD", "SECRET"):
        monkeypatch.setenv(name, "")
    code = "import json, os; print(json.dumps([dict(os.environ), os.getcwd()]))"
    output = host.run(python(code), environment={"GIVEN": "yes"})
    found, folder = json.loads(output.stdout)
    assert set(found) <= {*host_module.KEPT_VARIABLES, "HOME", "GIVEN", "LC_CTYPE"}
    assert {"PATH", "GIVEN"} <= set(found)
    assert found["HOME"] == folder


def test_a_greedy_process_fails_and_not_the_machine(tmp_path: Path) -> None:
    with HostDevice(tmp_path, memory_limit_bytes=1 << 28) as device:
        output = device.run(python("x = b'a' * (1 << 30)"))
        assert output.exit_code == 1
        assert "MemoryError" in output.stderr
        assert device.run(python("x = b'a' * (1 << 20)")).exit_code == 0


def test_nothing_is_read_from_the_terminal(host: HostDevice) -> None:
    assert host.run(python("print(repr(input()))")).exit_code == 1


def test_pushed_files_arrive_whole_and_vanish_at_the_end(tmp_path: Path) -> None:
    source = tmp_path / "model.bin"
    source.write_bytes(os.urandom(5000))
    with HostDevice(tmp_path / "work") as device:
        there = Path(device.push(source, "ab/model.bin"))
        assert there.read_bytes() == source.read_bytes()
        assert there.name == "model.bin"
        assert device.push(source, "ab/model.bin") == str(there)
        device.pull(str(there), tmp_path / "back.bin")
        assert (tmp_path / "back.bin").read_bytes() == source.read_bytes()
    assert not there.exists()
    assert source.exists()


def test_a_changed_file_replaces_the_one_that_was_pushed(host: HostDevice, tmp_path: Path) -> None:
    source = tmp_path / "m"
    source.write_bytes(b"old")
    host.push(source, "m")
    source.unlink()
    source.write_bytes(b"newer")
    assert Path(host.push(source, "m")).read_bytes() == b"newer"


def test_a_file_is_copied_where_it_cannot_be_linked(
    host: HostDevice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_link(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", no_link)
    source = tmp_path / "m"
    source.write_bytes(b"data")
    there = Path(host.push(source, "m"))
    assert there.read_bytes() == b"data"
    assert not there.samefile(source)


@pytest.mark.parametrize(
    "name", ["../m", "/etc/m", "a/../../m", "", ".", "a\0b", "..\\m", "x" * 256, "\udcff"]
)
def test_a_name_outside_the_working_folder_is_refused(
    host: HostDevice, tmp_path: Path, name: str
) -> None:
    source = tmp_path / "m"
    source.write_bytes(b"")
    with pytest.raises(UsageError, match="working folder"):
        host.push(source, name)


def test_a_working_name_is_cleaned() -> None:
    assert working_name("a\\b//./c") == "a/b/c"


def test_a_file_that_is_not_there_is_no_device_loss(host: HostDevice, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        host.push(tmp_path / "nothing", "m")
    with pytest.raises(DeviceError, match="cannot copy"):
        host.pull(str(tmp_path / "nothing"), tmp_path / "back")


def test_the_machine_describes_itself_the_same_twice(host: HostDevice) -> None:
    info = host.info()
    assert info == host.info()
    assert info.logical_cores >= 1
    assert info.processor_model
    assert info.memory_bytes is None or info.memory_bytes > 1 << 26
    assert len(info.environment_sha256) == 64


def test_another_governor_is_another_environment(
    host: HostDevice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    governor = tmp_path / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"
    governor.parent.mkdir(parents=True)
    monkeypatch.setattr(host_module, "ROOT", tmp_path)
    governor.write_text("schedutil\n")
    before = host.info()
    governor.write_text("powersave\n")
    after = host.info()
    assert (before.governor, after.governor) == ("schedutil", "powersave")
    assert after.environment_sha256 != before.environment_sha256


def test_the_state_of_the_machine_is_no_part_of_what_it_is(host: HostDevice) -> None:
    stated = {reading.key for reading in host.info().readings}
    state = {reading.key for reading in host.conditions()}
    assert not stated & state
    assert {"uptime_s", "load_average", "cpu_busy_s"} <= state
    assert host.clock_offset_s() == 0


def test_the_processor_time_and_the_variables_of_a_command_are_reported(host: HostDevice) -> None:
    code = "import time\nend = time.process_time() + 0.2\nwhile time.process_time() < end: pass"
    output = host.run(python(code), environment={"GIVEN": "yes"})
    assert output.cpu_s is not None
    assert output.cpu_s >= 0.2
    assert output.variables["GIVEN"] == "yes"
    assert set(output.variables) <= {*host_module.KEPT_VARIABLES, "HOME", "GIVEN"}


def test_the_page_cache_is_dropped_by_telling_the_kernel(
    host: HostDevice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_module, "ROOT", tmp_path)
    with pytest.raises(UsageError, match="needs Linux and root"):
        host.drop_page_cache()
    told = tmp_path / "proc/sys/vm/drop_caches"
    told.parent.mkdir(parents=True)
    host.drop_page_cache()
    assert told.read_text() == "3\n"
