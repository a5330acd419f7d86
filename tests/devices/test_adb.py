"""A real adbd as a device, and each way in which its link or the device can fail."""

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gaugenn import adb
from gaugenn.devices import _remote
from gaugenn.devices import adb as adb_module
from gaugenn.devices.adb import AdbDevice
from gaugenn.errors import DeviceError, MissingToolError, StorageFullError, UsageError
from gaugenn.records._environment import number, text
from tests.devices.box import Box, Gate, free_port


@pytest.fixture
def device(box: Box) -> Iterator[AdbDevice]:
    with AdbDevice(box.serial) as opened:
        yield opened


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adb_module, "CONNECT_S", 1.0)


def big_file(tmp_path: Path, megabytes: int) -> Path:
    path = tmp_path / "big.bin"
    path.write_bytes(os.urandom(1 << 20) * megabytes)
    return path


def test_a_command_returns_its_streams_apart_with_its_code_and_processor_time(
    device: AdbDevice,
) -> None:
    code = "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done; printf '12\\n3'; echo e >&2; exit 7"
    output = device.run(["sh", "-c", code])
    assert (output.exit_code, output.stdout, output.stderr) == (7, "12\n3", "e\n")
    assert output.cpu_s is not None
    assert output.cpu_s > 0
    assert device.run(["sh", "-c", "kill -SEGV $$"]).exit_code == 139
    assert device.run(["nothing-of-that-name"]).exit_code == 127


def test_arguments_and_variables_arrive_as_they_are(device: AdbDevice) -> None:
    odd = ["a b", "$HOME", "'q'", '"', "\\", "new\nline", "", "é", "*"]
    output = device.run(["printf", "[%s]", *odd], environment={"X": "1 2"})
    assert output.stdout == "".join(f"[{word}]" for word in odd)
    assert device.run(["sh", "-c", "echo $X"], environment={"X": "1 2"}).stdout == "1 2\n"
    assert device.run(["pwd"]).stdout.strip() == device.working_folder()


def test_the_whole_group_dies_at_the_time_limit(device: AdbDevice) -> None:
    output = device.run(["sh", "-c", "sleep 4711 & echo begun; wait"], timeout_s=1.0)
    assert (output.timed_out, output.exit_code, output.stdout) == (True, None, "begun\n")
    assert (
        "sleep\0004711" not in device.shell("for f in /proc/[0-9]*/cmdline; do cat $f; done").stdout
    )


def test_children_of_a_command_that_ended_do_not_survive(device: AdbDevice) -> None:
    assert device.run(["sh", "-c", "sleep 4712 & exit 3"]).exit_code == 3
    assert (
        "sleep\0004712" not in device.shell("for f in /proc/[0-9]*/cmdline; do cat $f; done").stdout
    )


def test_what_the_device_is_comes_from_android(device: AdbDevice) -> None:
    info = device.info()
    assert (info.device_kind, info.operating_system) == ("adb", "Android 14")
    assert info.processor_model == "Acme W5000"
    assert info.maximum_frequency_hz == 2_802_000_000
    assert (
        text(info.readings, "build") == "acme/walnut/walnut:14/UP1A.231005.007/1:user/release-keys"
    )
    assert number(info.readings, "core_capacity", "cpu3") == 1024
    assert info.environment_sha256 == device.info().environment_sha256


def test_conditions_join_files_and_services(device: AdbDevice, box: Box) -> None:
    before = device.conditions()
    assert number(before, "battery_level") == 0.67
    assert text(before, "battery_state") == "charging"
    assert number(before, "battery_temperature_c") == 28.1
    assert number(before, "thermal_status") == 1
    assert number(before, "temperature_c", "SKIN") == 35.8  # not the cached one
    assert number(before, "temperature_c", "thermal_zone0 cpu-big") == 41.25
    assert number(before, "load_average") is not None
    (box.shared / "online").write_text("0")
    assert text(device.conditions(), "battery_state") == "discharging"


def test_pushed_files_are_compared_kept_replaced_and_removed(box: Box, tmp_path: Path) -> None:
    source = tmp_path / "model.bin"
    source.write_bytes(os.urandom(100_000))
    with AdbDevice(box.serial) as device:
        there = device.push(source, "net/model.bin")
        assert there == f"{device.working_folder()}/net/model.bin"
        device.shell(f"echo changed >{there}")
        device.reconnect()  # after which nothing is taken for granted
        assert device.push(source, "net/model.bin") == there
        device.pull(there, tmp_path / "back.bin")
        assert (tmp_path / "back.bin").read_bytes() == source.read_bytes()
        source.write_bytes(b"newer")
        device.push(source, "net/model.bin")
        assert device.shell(f"cat {there}").stdout == "newer"
        folder = device.working_folder()
    with AdbDevice(box.serial) as device:
        assert device.shell(f"ls -d {folder}").exit_code != 0
        with pytest.raises(DeviceError, match="there is no file"):
            device.pull(there, tmp_path / "none")
        for name in ("../x", "/etc/x"):
            with pytest.raises(UsageError, match="working folder"):
                device.push(source, name)


def test_the_same_file_is_not_sent_twice(
    device: AdbDevice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = big_file(tmp_path, 1)
    device.push(source, "m")
    device.reconnect()

    def no_copy(*_: object) -> None:
        pytest.fail("sent again")

    monkeypatch.setattr(AdbDevice, "send", no_copy)
    device.push(source, "m")


def test_a_copy_that_arrives_changed_is_not_kept(
    device: AdbDevice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = big_file(tmp_path, 1)
    there = device.push(source, "m")
    sent, received = adb.push, adb.pull

    def spoiled(serial: str, local: Path, remote: str, started: adb.Started | None) -> None:
        sent(serial, local, remote, started)
        device.shell(f"echo x >>{remote}")

    def spoiled_here(serial: str, remote: str, to: Path, started: adb.Started | None) -> None:
        received(serial, remote, to, started)
        to.write_bytes(to.read_bytes()[:-1])

    monkeypatch.setattr(adb, "push", spoiled)
    monkeypatch.setattr(adb, "pull", spoiled_here)
    with pytest.raises(DeviceError, match="arrived changed"):
        device.push(source, "other")
    assert device.shell("ls other*").exit_code != 0
    with pytest.raises(DeviceError, match="differs"):
        device.pull(there, tmp_path / "back")
    assert list(tmp_path.glob("back*")) == []


@pytest.mark.parametrize("how", ["daemon dies", "link is cut"])
def test_a_link_that_is_lost_in_the_middle_of_a_command_is_no_end(
    box: Box, gate: Gate, how: str
) -> None:
    with AdbDevice(gate.serial) as device:
        lost = box.kill_adbd if how == "daemon dies" else gate.cut
        threading.Timer(0.4, lost).start()
        with pytest.raises(DeviceError, match=r"link was lost|offline|closed"):
            device.run(["sh", "-c", "echo half; sleep 4715; echo whole"])
        device.reconnect()
        assert device.run(["echo", "back"]).stdout == "back\n"
        listed = device.shell("for f in /proc/[0-9]*/cmdline; do cat $f; done").stdout
        assert "sleep\0004715" not in listed  # it was ended at the next contact


def test_a_link_that_is_lost_in_the_middle_of_a_copy_leaves_no_half_of_it(
    gate: Gate, tmp_path: Path
) -> None:
    with AdbDevice(gate.serial) as device:
        there = device.push(big_file(tmp_path, 8), "m")
        gate.cut_after = 1 << 20
        with pytest.raises(DeviceError):
            device.pull(there, tmp_path / "back")
        assert list(tmp_path.glob("back*")) == []
        device.reconnect()
        device.pull(there, tmp_path / "back")
        assert (tmp_path / "back").stat().st_size == 8 << 20


def test_a_slow_link_costs_time_only(gate: Gate, tmp_path: Path) -> None:
    source = tmp_path / "m"
    source.write_bytes(os.urandom(300_000))
    with AdbDevice(gate.serial) as device:
        there = device.push(source, "m")
        gate.bytes_per_s = 400_000
        device.pull(there, tmp_path / "back")
        assert (tmp_path / "back").read_bytes() == source.read_bytes()
        assert device.run(["echo", "slow"]).stdout == "slow\n"


def test_a_full_device_says_so_and_goes_on(device: AdbDevice, tmp_path: Path) -> None:
    filler = "/data/local/tmp/filler"
    device.shell(f"dd if=/dev/zero of={filler} bs=1M 2>/dev/null")
    try:
        with pytest.raises(StorageFullError, match="no room"):
            device.push(big_file(tmp_path, 2), "m")
    finally:
        device.shell(f"rm -f {filler}")
    assert device.shell("ls m*").exit_code != 0
    device.push(tmp_path / "big.bin", "m")


def test_a_disk_that_is_full_here_says_so(
    device: AdbDevice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = device.push(big_file(tmp_path, 1), "m")
    with pytest.raises(DeviceError):
        device.pull(there, tmp_path / "no-such-folder/back")

    def no_room(*_: object, **__: object) -> object:
        return adb.Finished(
            exit_code=1,
            stdout=b"",
            stderr=b"cannot write: No space left on device",
            wall_s=0,
            cpu_s=0,
        )

    monkeypatch.setattr(adb, "client", no_room)
    with pytest.raises(StorageFullError, match="no room left for"):
        adb.pull(device.serial, there, tmp_path / "back")


def test_a_key_that_was_allowed_lets_us_in(gate: Gate) -> None:
    gate.mode = "ask"
    with AdbDevice(gate.serial) as device:
        assert device.run(["echo", "in"]).stdout == "in\n"
    assert len(gate.keys) == 1
    gate.cut()
    with AdbDevice(gate.serial) as device:  # by its signature now
        assert device.run(["echo", "in"]).stdout == "in\n"
    assert len(gate.keys) == 1


@pytest.mark.usefixtures("_impatient")
def test_a_device_that_does_not_let_us_in_says_what_to_do(gate: Gate) -> None:
    gate.mode = "never"
    with pytest.raises(DeviceError, match=r"is unauthorized; unlock it"), AdbDevice(gate.serial):
        pass


@pytest.mark.usefixtures("_impatient")
def test_a_device_that_does_not_answer_is_named_with_its_state(gate: Gate) -> None:
    gate.mode = "mute"
    with (
        pytest.raises(DeviceError, match=r"is (offline|absent|connecting)"),
        AdbDevice(gate.serial),
    ):
        pass
    with pytest.raises(DeviceError, match=r"NO-SUCH is not connected; connected: "):
        AdbDevice("NO-SUCH").connect()


def test_a_reboot_is_waited_for_and_seen_by_the_boot_id(device: AdbDevice, tmp_path: Path) -> None:
    source = big_file(tmp_path, 1)
    device.push(source, "m")
    before = device.boot_id()
    device.reboot()
    assert device.boot_id() != before
    assert device.run(["echo", "back"]).stdout == "back\n"
    assert device.digest_of(device.push(source, "m")) is not None


def test_a_device_that_does_not_reboot_is_not_taken_for_one_that_did(
    device: AdbDevice, box: Box
) -> None:
    (box.shared / "refuse.reboot").touch()
    with pytest.raises(DeviceError, match="told to reboot and did not"):
        device.reboot(limit_s=1.5)


def test_two_devices_at_once_do_not_meet(boxes: tuple[Box, Box], tmp_path: Path) -> None:
    names = [box.serial for box in boxes]
    outputs: dict[str, list[str]] = {name: [] for name in names}

    def work(name: str) -> None:
        with AdbDevice(name) as device:
            source = tmp_path / name
            source.write_text(name)
            for _ in range(5):
                there = device.push(source, "who")
                outputs[name].append(device.run(["sh", "-c", f"cat {there}; getprop"]).stdout)

    threads = [threading.Thread(target=work, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for name, serial in zip(names, ("W5A", "W5B"), strict=True):
        assert len(outputs[name]) == 5
        assert all(o.startswith(name) and f"[{serial}]" in o for o in outputs[name])


def test_another_adb_server_does_not_disturb_and_a_server_that_dies_comes_back(
    device: AdbDevice, box: Box
) -> None:
    other = os.environ | {"ANDROID_ADB_SERVER_PORT": str(free_port())}
    try:
        subprocess.run(["adb", "connect", box.serial], env=other, capture_output=True, check=True)
        run = ["adb", "-s", box.serial, "shell", "echo $(( 6 * 7 ))"]
        for _ in range(40):
            answer = subprocess.run(run, env=other, capture_output=True, check=False)
            if answer.returncode == 0:
                break
            time.sleep(0.1)
        assert answer.stdout.strip() == b"42"
        assert device.run(["echo", "ours"]).stdout == "ours\n"
    finally:
        subprocess.run(["adb", "kill-server"], env=other, capture_output=True, check=False)
    assert device.run(["echo", "ours"]).stdout == "ours\n"
    subprocess.run(["adb", "kill-server"], capture_output=True, check=True)
    device.reconnect()
    assert device.run(["echo", "again"]).stdout == "again\n"


def test_a_device_is_one_whatever_way_it_is_reached_and_one_process_has_it(
    box: Box, gate: Gate
) -> None:
    with AdbDevice(box.serial) as device:
        assert device.identity() == "adb W5A"
        with pytest.raises(DeviceError, match=r"in use by process \d+"):
            AdbDevice(gate.serial).__enter__()
    with AdbDevice(gate.serial) as device:
        assert device.identity() == "adb W5A"


def test_a_command_is_ended_from_another_thread(box: Box) -> None:
    with AdbDevice(box.serial) as device:
        threading.Timer(0.3, device.stop).start()
        begin = time.monotonic()
        with pytest.raises(DeviceError):
            device.run(["sleep", "60"])
        assert time.monotonic() - begin < 30


def test_what_a_killed_campaign_left_on_the_device_is_swept(box: Box) -> None:
    with AdbDevice(box.serial) as device:
        device.shell(f"mkdir -p {adb_module.FOLDER}/work-dead/x")
    with AdbDevice(box.serial) as device:
        listed = device.shell(f"ls {adb_module.FOLDER}").stdout.split()
    assert len([name for name in listed if name.startswith("work-")]) == 1


def test_a_page_cache_that_cannot_be_dropped_is_said(device: AdbDevice, box: Box) -> None:
    tried = device.shell
    scripts: list[str] = []

    def without_root(script: str, timeout_s: float = _remote.SHORT_S) -> adb.Answer:
        scripts.append(script)
        return tried("exit 1", timeout_s)

    device.shell = without_root  # type: ignore[method-assign]
    with pytest.raises(UsageError, match="without root"):
        device.drop_page_cache()
    assert "drop_caches" in scripts[0]
    device.shell = tried  # type: ignore[method-assign]
    del box


def test_odd_serials_are_refused() -> None:
    for name in ("-e", "", "a b", "x" * 300, "a\n"):
        with pytest.raises(UsageError, match="no device's serial"):
            AdbDevice(name)


def test_without_adb_it_is_said_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingToolError, match="apt-get install adb"):
        AdbDevice("S1").connect()
