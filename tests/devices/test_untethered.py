"""Launches without power on a real adbd: each step fails once, nothing is lost or measured wrongly."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gaugenn.devices import Output, _untethered
from gaugenn.devices._untethered import (
    Launch,
    Listener,
    State,
    UntetheredDevice,
    drop_open,
    finish_open,
    is_powered,
    launches_folder,
    open_launches,
    read_launch,
    save,
)
from gaugenn.devices._usb import UsbPower, usb_power
from gaugenn.devices.adb import AdbDevice
from gaugenn.devices.ssh import SshDevice
from gaugenn.errors import DeviceError
from tests.devices.board import Board
from tests.devices.box import Box, Gate

# Counts how often it ran, in a file that outlives every launch.
COMMAND = ["sh", "-c", "echo ran >>/shared/ran; echo out; echo err >&2; exit 5"]


@pytest.fixture(autouse=True)
def _brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_untethered, "CUT_S", 3.0)
    monkeypatch.setattr(_untethered, "POLL_S", 0.3)
    monkeypatch.setattr(_untethered, "MARGIN_S", 1.0)


@pytest.fixture
def hub(box: Box, tmp_path: Path) -> UsbPower:
    """A hub whose power is the phone's file `online`; it lies where `hub-lies` is there."""
    (box.shared / "ran").unlink(missing_ok=True)
    program = tmp_path / "hub"
    program.write_text(
        f"""#!/bin/sh
echo "$1" >>{tmp_path}/switched
if [ -e {tmp_path}/hub-breaks.$1 ]; then exit 1; fi
if [ -e {tmp_path}/hub-lies ]; then exit 0; fi
if [ "$1" = on ]; then echo 1 >{box.shared}/online; else echo 0 >{box.shared}/online; fi
"""
    )
    program.chmod(0o755)
    return usb_power(f"command:{program}")


@pytest.fixture
def phone(box: Box, hub: UsbPower) -> Iterator[UntetheredDevice]:
    with AdbDevice(box.serial) as device:
        yield UntetheredDevice(device, hub)


def is_on(box: Box) -> bool:
    return (box.shared / "online").read_text().strip() == "1"


def runs(box: Box) -> int:
    path = box.shared / "ran"
    return len(path.read_text().split()) if path.exists() else 0


def place_of(phone: UntetheredDevice) -> Path:
    (place,) = open_launches(launches_folder(phone.remote.name))
    return place


def run_to_end(phone: UntetheredDevice) -> Output:
    """As a campaign does: a launch that had power again is made anew."""
    for _ in range(3):
        try:
            return phone.run(COMMAND, timeout_s=20)
        except DeviceError as error:
            assert "had power" in str(error)  # noqa: PT017
    pytest.fail("three times with power")


UNSETTLED = (State.PUSHED, State.STARTED, State.CUT)
"""States in which giving power back can spoil the launch, so that it is made anew."""


def test_a_launch_runs_without_power_and_leaves_nothing(
    phone: UntetheredDevice, box: Box, tmp_path: Path
) -> None:
    code = "cat /shared/online; cat $F; echo e >&2; exit 5"
    phone.expect("job 1")
    output = phone.run(["sh", "-c", code], environment={"F": "/shared/serial"}, timeout_s=20)
    assert (output.exit_code, output.stdout, output.stderr) == (5, "0\nW5A", "e\n")
    assert output.variables["F"] == "/shared/serial"
    assert (tmp_path / "switched").read_text().split() == ["off", "on"]
    assert is_on(box)
    assert phone.remote.shell(f"ls -d {phone.remote.cache}/untethered-*").exit_code != 0


def test_each_launch_is_one_of_its_own(phone: UntetheredDevice, box: Box) -> None:
    for number in (1, 2):
        phone.expect(f"job {number}")
        assert phone.run(COMMAND, timeout_s=20).exit_code == 5
    assert runs(box) == 2
    assert len(open_launches(launches_folder(phone.remote.name))) == 1
    drop_open(phone.remote)
    assert open_launches(launches_folder(phone.remote.name)) == []


def test_a_command_that_is_too_long_is_ended_on_the_device(phone: UntetheredDevice) -> None:
    output = phone.run(["sh", "-c", "echo begun; sleep 4714 & wait"], timeout_s=1)
    assert (output.timed_out, output.exit_code, output.stdout) == (True, None, "begun\n")
    listed = phone.remote.shell("for f in /proc/[0-9]*/cmdline; do cat $f; done").stdout
    assert "sleep\x004714" not in listed


def test_a_hub_that_cuts_only_data_is_found_out(
    phone: UntetheredDevice, box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_untethered, "CUT_S", 1.0)
    (tmp_path / "hub-lies").touch()
    with pytest.raises(DeviceError, match="did not cut the power: it still charges"):
        phone.run(COMMAND, timeout_s=20)
    assert open_launches(launches_folder(phone.remote.name)) == []
    assert runs(box) == 0


def test_power_that_comes_back_during_the_launch_makes_it_no_result(
    phone: UntetheredDevice, box: Box
) -> None:
    with pytest.raises(DeviceError, match="had power while it measured"):
        phone.run(["sh", "-c", "echo 1 >/shared/online"], timeout_s=20)
    assert open_launches(launches_folder(phone.remote.name)) == []
    assert is_on(box)


def test_a_hub_that_fails_leaves_the_launch_where_it_was(
    phone: UntetheredDevice, box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone.expect("job 1")
    monkeypatch.setattr(_untethered, "CUT_S", 30.0)
    (tmp_path / "hub-breaks.off").touch()
    with pytest.raises(DeviceError, match="hub off ended with 1"):
        phone.run(COMMAND, timeout_s=20)
    assert is_on(box)
    found = read_launch(place_of(phone))
    assert found is not None
    assert found.state is State.STARTED
    (tmp_path / "hub-breaks.off").unlink()
    assert phone.run(COMMAND, timeout_s=20).exit_code == 5
    assert runs(box) == 1


def test_a_message_that_is_lost_is_replaced_by_looking(
    phone: UntetheredDevice, box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Listener, "take", lambda *_: False)
    assert phone.run(COMMAND, timeout_s=20).exit_code == 5
    assert runs(box) == 1


def test_without_link_and_message_results_are_looked_for_when_the_time_is_over(
    box: Box, gate: Gate, hub: UsbPower, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a phone on a cable: the link goes with the power."""
    monkeypatch.setattr(Listener, "take", lambda *_: False)
    cut, give = UsbPower.cut, UsbPower.give

    def cut_both(power: UsbPower) -> None:
        cut(power)
        gate.mode = "mute"
        gate.cut()

    def give_both(power: UsbPower) -> None:
        give(power)
        gate.mode = "open"
        gate.cut()

    monkeypatch.setattr(UsbPower, "cut", cut_both)
    monkeypatch.setattr(UsbPower, "give", give_both)
    with AdbDevice(gate.serial) as device:
        assert UntetheredDevice(device, hub).run(COMMAND, timeout_s=2).exit_code == 5
    assert runs(box) == 1
    assert is_on(box)


def test_messages_with_a_wrong_token_or_none_are_refused_and_doubled_ones_are_one(
    tmp_path: Path,
) -> None:
    digest = "ab" * 32
    with Listener("0" * 32, tmp_path / "note") as listener:

        def say(data: bytes) -> bytes:
            with socket.create_connection(("127.0.0.1", listener.port), 5) as client:
                client.sendall(data)
                return client.recv(10)

        assert say(f"{'1' * 32} {digest}\n".encode()) == b"no\n"
        assert say(b"GET / HTTP/1.1\r\n") == b"no\n"
        assert say(b"x" * 300) == b"no\n"
        assert listener.refused == 3
        assert listener.wait(0) == ""
        for _ in range(2):
            assert say(f"{'0' * 32} {digest}\n".encode()) == b"ok\n"
        assert listener.wait(0) == digest
    # What was acknowledged is there after a restart.
    with Listener("0" * 32, tmp_path / "note") as listener:
        assert listener.wait(0) == digest


def test_a_message_about_other_results_makes_it_no_result(
    phone: UntetheredDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Listener, "wait", lambda *_: "ab" * 32 if time.sleep(2) is None else "")
    with pytest.raises(DeviceError, match="not those that the message was about"):
        phone.run(COMMAND, timeout_s=20)


def test_results_that_change_on_their_way_are_no_results(
    phone: UntetheredDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    pull = AdbDevice.pull

    def changed(device: AdbDevice, remote: str, local: Path) -> None:
        device.shell(f"echo more >>{remote}")
        pull(device, remote, local)

    monkeypatch.setattr(AdbDevice, "pull", changed)
    with pytest.raises(DeviceError, match="stdout changed after it was written"):
        phone.run(COMMAND, timeout_s=20)


def test_a_restart_during_the_launch_makes_it_no_result(phone: UntetheredDevice, box: Box) -> None:
    with pytest.raises(DeviceError, match="was restarted during the launch"):
        phone.run(["sh", "-c", "cat /proc/sys/kernel/random/uuid >/shared/boot_id"], timeout_s=20)
    assert is_on(box)


@pytest.mark.parametrize("state", [s for s in State if s is not State.DONE])
def test_after_a_link_that_is_lost_at_any_step_the_launch_goes_on_from_there(
    phone: UntetheredDevice, box: Box, monkeypatch: pytest.MonkeyPatch, state: State
) -> None:
    course = _untethered._Course
    made = course.__init__
    lost = False

    def losing(self: object, *arguments: object) -> None:
        made(self, *arguments)  # type: ignore[misc, arg-type]
        steps = self._steps  # type: ignore[attr-defined]
        step = steps[state]

        def after(launch: Launch) -> Launch:
            """The step is done, and what it says is lost."""
            nonlocal lost
            done: Launch = step(launch)
            if not lost:
                lost = True
                raise DeviceError("the link was lost")
            return done

        steps[state] = after

    monkeypatch.setattr(course, "__init__", losing)
    phone.expect("job 1")
    with pytest.raises(DeviceError, match="link was lost"):
        phone.run(COMMAND, timeout_s=20)
    assert is_on(box)
    output = run_to_end(phone)
    assert (output.exit_code, output.stdout) == (5, "out\n")
    assert runs(box) == 1 or (state in UNSETTLED and runs(box) == 2)
    assert is_on(box)


def killed_in(state: State, box: Box, hub: UsbPower) -> None:
    """A process that is killed as soon as a launch has reached a state."""
    child = os.fork()
    if child:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        return
    try:
        written: Callable[[Path, Launch], None] = save

        def dying(place: Path, launch: Launch) -> None:
            written(place, launch)
            if launch.state is state:
                os.kill(os.getpid(), signal.SIGKILL)

        _untethered.save = dying
        with AdbDevice(box.serial) as device:
            phone = UntetheredDevice(device, hub)
            phone.expect("job 1")
            phone.run(COMMAND, timeout_s=20)
    finally:
        os._exit(1)


@pytest.mark.parametrize("state", list(State))
def test_after_a_restart_of_this_machine_at_any_step_the_launch_goes_on_from_there(
    box: Box, hub: UsbPower, state: State
) -> None:
    killed_in(state, box, hub)
    finish_open(box.serial, hub)  # what a campaign does before it connects
    assert is_on(box)
    with AdbDevice(box.serial) as device:
        phone = UntetheredDevice(device, hub)
        phone.expect("job 1")
        output = run_to_end(phone)
        assert (output.exit_code, output.stdout) == (5, "out\n")
        before = runs(box)
        assert before == 1 or (state in UNSETTLED and before == 2)
        phone.expect("job 2")
        run_to_end(phone)
        drop_open(device)
        assert device.shell(f"ls -d {device.cache}/untethered-*").exit_code != 0
    assert runs(box) > before
    assert is_on(box)


def test_a_device_that_is_gone_for_good_keeps_its_launch_and_gives_power_back(
    box: Box, gate: Gate, hub: UsbPower, monkeypatch: pytest.MonkeyPatch
) -> None:
    with AdbDevice(gate.serial) as device:
        phone = UntetheredDevice(device, hub)
        phone.expect("job 1")
        monkeypatch.setattr(device, "reconnect", lambda: device.shell("true", 5))
        threading.Timer(0.5, gate.close).start()
        with pytest.raises(DeviceError):
            phone.run(["sh", "-c", "sleep 1"], timeout_s=2)
        assert is_on(box)
        assert len(open_launches(launches_folder(gate.serial))) == 1


def test_nobody_switches_with_none_and_a_board_runs_the_same_script(
    sshd: Board, tmp_path: Path
) -> None:
    with SshDevice(sshd.name, sshd.config()) as device:
        phone = UntetheredDevice(device, usb_power("none"))
        output = phone.run(["sh", "-c", "echo $HOME"], timeout_s=20)
        assert output.stdout == f"{device.working_folder()}\n"
        del tmp_path


def test_charging_is_read_from_android_and_from_linux(phone: UntetheredDevice, box: Box) -> None:
    assert is_powered(phone.remote) is True
    (box.shared / "online").write_text("0")
    assert is_powered(phone.remote) is False


def test_a_state_that_is_damaged_is_none(tmp_path: Path) -> None:
    launch = Launch(key="k", token="0" * 32, state=State.CUT, folder="/f", limit_s=1.0)
    save(tmp_path, launch)
    assert read_launch(tmp_path) == launch
    save(tmp_path, replace(launch, state=State.DONE))
    (tmp_path / "launch.json").write_text("{")
    assert read_launch(tmp_path) is None
