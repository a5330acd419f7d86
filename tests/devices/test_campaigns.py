"""Campaigns on a phone and a board: side by side, through lost links, reboots and kills."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from gaugenn import api
from gaugenn.bench import devices as bench_devices
from gaugenn.devices._keeping import Keeping
from gaugenn.devices._settings import State
from gaugenn.devices.adb import AdbDevice
from gaugenn.devices.ssh import CONFIG_VARIABLE
from gaugenn.engines import load_engine
from gaugenn.errors import DeviceError
from gaugenn.store import Study
from tests.devices.board import Board
from tests.devices.box import Box, Gate
from tests.pipeline import packages

SETTINGS = api.BenchSettings(engines=("null",), preset="smoke", launches=3)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    for name, seed in (("one.onnx", 1), ("two.onnx", 2)):
        (tmp_path / name).write_bytes(packages.onnx_model(seed))
    return api.scan(sorted(tmp_path.glob("*.onnx")), tmp_path / "s", workers=1).study


@pytest.fixture
def board(sshd: Board, monkeypatch: pytest.MonkeyPatch) -> Board:
    monkeypatch.setenv(CONFIG_VARIABLE, str(sshd.config()))
    return sshd


def asked(*devices: str, **changes: object) -> api.BenchSettings:
    values = {"engines": ("null",), "preset": "smoke", "launches": 3, "devices": devices}
    return api.BenchSettings(**(values | changes))  # type: ignore[arg-type]


def launches(study: Path, status: str = "ok") -> list[tuple[object, ...]]:
    sql = (
        "SELECT job.device AS device, job_sha256, launch, count(*) "
        "FROM runs JOIN jobs USING (job_sha256) "
        f"WHERE status = '{status}' GROUP BY ALL ORDER BY 1, 2, 3"
    )
    with Study(study).connect() as connection:
        return connection.execute(sql).fetchall()


def test_a_phone_a_board_and_this_machine_give_the_same_table_and_are_as_before(
    study: Path, box: Box, board: Board
) -> None:
    before = box.state()
    api.bench(study, asked(box.serial, board.name, "host", control=True))
    found = launches(study)
    assert {row[0] for row in found} == {box.serial, board.name, "host"}
    assert len(found) == 3 * 3 * 3
    assert all(row[3] == 1 for row in found)
    assert box.state() == before
    with Study(study).connect() as connection:
        kinds = connection.execute("SELECT DISTINCT device_kind FROM environments").fetchall()
        states = connection.execute(
            "SELECT DISTINCT r.text FROM (SELECT unnest(before) AS r FROM runs JOIN jobs "
            f"USING (job_sha256) WHERE job.device = '{box.serial}') WHERE r.key = 'battery_state'"
        ).fetchall()
    assert {kind for (kind,) in kinds} == {"adb", "ssh", "host"}
    assert states == [("charging",)]
    api.bench(study, asked(box.serial, board.name, "host", control=True))
    assert launches(study) == found


def test_links_that_are_cut_and_a_phone_that_reboots_lose_no_launch(
    study: Path, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = AdbDevice.run
    count = 0

    def disturbed(self: AdbDevice, *arguments: object, **options: object) -> object:
        nonlocal count
        count += 1
        if count in (2, 7):
            gate.cut()
        if count == 4:
            with pytest.raises(DeviceError):
                self.shell("reboot")
        return run(self, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(AdbDevice, "run", disturbed)
    api.bench(study, asked(gate.serial))
    found = launches(study)
    assert len(found) == 6
    assert all(row[3] == 1 for row in found)
    assert len(launches(study, "lost")) >= 1
    assert Keeping("adb W5A").quarantine() is None


def test_a_phone_that_fails_again_and_again_is_rebooted_and_then_left_alone(
    study: Path, box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    boots = []
    reboot = AdbDevice.reboot

    def noted(self: AdbDevice, limit_s: float = 30.0) -> None:
        reboot(self, limit_s)
        boots.append(self.boot_id())

    def broken(*_: object, **__: object) -> object:
        raise DeviceError("the flash is worn out")

    before = box.state()
    monkeypatch.setattr(AdbDevice, "reboot", noted)
    monkeypatch.setattr(AdbDevice, "run", broken)
    with pytest.raises(DeviceError, match=r"goes into quarantine: .*flash is worn out"):
        api.bench(study, asked(box.serial))
    assert len(boots) == 1
    assert box.state() == before
    (listed,) = api.devices_list([box.serial])
    assert "in quarantine since" in listed.state
    assert api.device_release(box.serial)
    monkeypatch.undo()


def test_what_a_reboot_set_back_is_set_again(box: Box) -> None:
    governor = box.folder / "sys/devices/system/cpu/cpufreq/policy0/scaling_governor"
    with bench_devices.campaign_device(box.serial, box.folder, State.PINNED) as (device, refused):
        assert refused == ()
        assert governor.read_text().strip() == "performance"
        governor.write_text("powersave\n")  # the boot's default
        remote = bench_devices.remote_of(device)
        assert remote is not None
        bench_devices.recover(remote, State.PINNED, DeviceError("gone"))
        assert governor.read_text().strip() == "performance"
    assert governor.read_text().strip() == "schedutil"


def test_a_campaign_that_is_killed_goes_on_and_the_phone_is_as_before(
    study: Path, box: Box, board: Board
) -> None:
    before = box.state()
    command = [sys.executable, "-m", "gaugenn", "bench", str(study), "--engine", "null"]
    command += ["--preset", "smoke", "--launches", "3", "--device", box.serial]
    command += ["--device", board.name, "--quiet"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    for wanted in (1, 4):
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        while process.poll() is None and len(launches(study)) < wanted:
            time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
        process.wait()
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    found = launches(study)
    assert len(found) == 2 * 2 * 3
    assert all(row[3] == 1 for row in found)
    assert box.state() == before


def test_an_interrupt_ends_campaigns_on_several_devices_at_once(
    study: Path, box: Box, board: Board
) -> None:
    command = [sys.executable, "-m", "gaugenn", "bench", str(study), "--engine", "null"]
    command += ["--preset", "sustained", "--device", box.serial, "--device", board.name, "-q"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    before = box.state()
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not _is_measuring() and time.monotonic() < deadline:
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert box.state() == before
    assert launches(study, "ok") == []


def _is_measuring() -> bool:
    """Whether two workers of sustained launches run."""
    found = 0
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found += b'"steady_minimum_s":600' in path.read_bytes()
        except OSError:
            continue
    return found >= 2


def test_untethered_launches_are_rows_like_others(study: Path, box: Box, tmp_path: Path) -> None:
    hub = tmp_path / "hub"
    hub.write_text(f"#!/bin/sh\n[ $1 = on ] && o=1 || o=0\necho $o >{box.shared}/online\n")
    hub.chmod(0o755)
    api.bench(study, asked(box.serial, launches=1, untethered=f"command:{hub}"))
    assert len(launches(study)) == 2
    assert (box.shared / "online").read_text().strip() == "1"


def test_an_engine_that_cannot_be_had_on_a_board_is_a_row_and_the_others_run(
    study: Path, board: Board
) -> None:
    api.bench(study, asked(board.name, engines=("null", "onnxruntime==0.0.1"), launches=1))
    assert len(launches(study)) == 2
    with Study(study).connect() as connection:
        (row,) = connection.execute(
            "SELECT subject, message FROM failures WHERE stage = 'provision'"
        ).fetchall()
    assert row[0] == f"onnxruntime==0.0.1 on {board.name}"
    assert "cannot be installed" in row[1]


def test_devices_are_listed_with_what_they_are_and_what_runs_there(
    box: Box, board: Board, boxes: tuple[Box, Box]
) -> None:
    with AdbDevice(box.serial), AdbDevice(boxes[1].serial):
        pass
    with AdbDevice(box.serial):
        command = [sys.executable, "-m", "gaugenn", "devices", "--json"]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
        listed = subprocess.run(
            [*command, box.serial, boxes[1].serial, board.name, "gone@127.0.0.1:1"],
            env=environment,
            capture_output=True,
            check=True,
        )
    phone, other, linux, gone = json.loads(listed.stdout)
    assert phone["state"] == f"in use by process {os.getpid()}"
    assert other["state"] == "ready"
    assert (phone["model"], phone["soc"]) == ("Acme Walnut 5", "Acme W5000")
    assert phone["operating_system"] == "Android 14"
    assert phone["battery_level"] == 0.67
    assert phone["temperature_c"] == 41.25
    assert "GHz" in phone["clusters"]
    assert any(engine.partition("==")[0] == "litert" for engine in linux["engines"])
    assert "Connection refused" in gone["state"]


def test_a_device_without_python_says_what_is_missing(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gaugenn.bench.provision import provision
    from gaugenn.errors import MissingToolError

    with AdbDevice(box.serial) as device:
        monkeypatch.setattr(device, "facts", lambda: {"architecture": "aarch64"})
        with pytest.raises(MissingToolError, match="Python with venv"):
            provision(device, load_engine("null"), "1")


def test_two_campaigns_do_not_share_a_device(study: Path, box: Box) -> None:
    with AdbDevice(box.serial), pytest.raises(DeviceError, match="in use by process"):
        api.bench(study, asked(box.serial))
    assert threading.active_count() < 50


def test_phone_board_and_this_machine_are_sampled_and_the_rows_are_on_the_launchs_clock(
    study: Path, box: Box, board: Board
) -> None:
    devices = (box.serial, board.name, "host")
    changes = {"models": ("one.onnx",), "launches": 1, "sustain_s": 2.5, "rate_per_s": 20.0}
    api.bench(study, asked(*devices, **changes, sample_every_s=0.2))
    rows = api.query(
        study,
        "SELECT job.device AS device, key, count(*) AS n, min(since_start_s) AS first,"
        " max(since_start_s) AS last FROM device_states JOIN jobs USING (job_sha256)"
        " GROUP BY ALL",
    ).to_pylist()
    for device in devices:
        found = {row["key"]: row for row in rows if row["device"] == device}
        wanted = {"load_average", "cpu_busy_s", "memory_available_bytes", "process_cpu_s"}
        assert wanted <= found.keys(), device
        assert found["load_average"]["n"] >= 3
        assert -5 < found["load_average"]["first"] < 1 < found["load_average"]["last"] < 30
    phone = {row["key"] for row in rows if row["device"] == box.serial}
    # The thermal service's own words, once every ten seconds, and the kernel's zone in each sample.
    assert {"temperature_c", "thermal_status", "core_frequency_upper_limit_hz"} <= phone
    (periods,) = api.query(study, "SELECT DISTINCT sampled_every_s AS s FROM runs").to_pylist()
    assert periods == {"s": 0.2}
