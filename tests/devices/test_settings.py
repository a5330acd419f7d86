"""What is set for a measurement is set back: after it, after a crash, at the next contact."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from gaugenn.devices import _settings
from gaugenn.devices._keeping import STRIKES, Keeping
from gaugenn.devices._settings import (
    Setting,
    android_settings,
    governor_settings,
    prepared,
    read_journal,
)
from gaugenn.devices.adb import AdbDevice
from gaugenn.errors import DeviceError
from tests.devices.box import Box


def killed_at(step: int, serial: str) -> bool:
    """A campaign in a process of its own, which is killed before so many commands or journal lines.

    Returns whether it came to its end before that.
    """
    child = os.fork()
    if child:
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert status in (0, -signal.SIGKILL)
        return status == 0
    try:
        left = step

        def dying(function: Callable[..., object]) -> Callable[..., object]:
            def counted(*arguments: object, **options: object) -> object:
                nonlocal left
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return function(*arguments, **options)

            return counted

        with AdbDevice(serial) as device:
            assert device.keeping is not None
            chosen = (*android_settings(over_network=False)[1:3], governor_settings(device)[1])
            device.shell = dying(device.shell)  # type: ignore[method-assign, assignment]
            _settings._append = dying(_settings._append)  # type: ignore[assignment]
            with prepared(device, device.keeping, chosen):
                pass
        os._exit(0)
    finally:
        os._exit(1)


def all_settings(device: AdbDevice) -> tuple[Setting, ...]:
    return (*android_settings(over_network=False), *governor_settings(device))


def test_a_phone_is_made_quiet_and_then_as_it_was(box: Box) -> None:
    before = box.state()
    with AdbDevice(box.serial) as device:
        assert device.keeping is not None
        with prepared(device, device.keeping, all_settings(device)) as refused:
            assert refused == ()
            during = box.state()
            assert during["shared/settings/global.airplane_mode_on"] == "1"
            assert during["shared/settings/global.animator_duration_scale"] == "0"  # was absent
            governor = "sys/devices/system/cpu/cpufreq/policy2/scaling_governor"
            assert during[governor] == "performance"
            assert len(read_journal(device.keeping.journal)) == 10
        assert not device.keeping.journal.exists()
    assert box.state() == before


def test_airplane_mode_is_left_alone_where_the_link_needs_the_radio() -> None:
    names = {s.name for s in android_settings(over_network=True)}
    assert {s.name for s in android_settings(over_network=False)} - names == {"airplane_mode"}


def test_a_campaign_that_is_killed_at_any_step_leaves_the_device_as_it_was(box: Box) -> None:
    before = box.state()
    changed = 0
    step = 1
    while not killed_at(step, box.serial):
        changed += box.state() != before
        with AdbDevice(box.serial) as device:  # the next contact
            assert device.keeping is not None
            assert not device.keeping.journal.exists()
        assert box.state() == before, f"killed at step {step}"
        step += 1
    assert step > 15
    assert changed > 8
    assert box.state() == before


def test_a_setting_that_the_device_refuses_is_told_and_the_others_are_made(box: Box) -> None:
    (box.shared / "refuse.screen_brightness").touch()
    with AdbDevice(box.serial) as device:
        assert device.keeping is not None
        with prepared(device, device.keeping, all_settings(device)) as refused:
            assert refused == (
                "screen_brightness: the device does not take it: "
                "Permission denial: screen_brightness",
            )


def test_a_needed_setting_that_is_refused_ends_the_campaign_and_all_is_set_back(box: Box) -> None:
    needed = Setting(
        name="governor", read="echo slow", write="exit 1", wanted="performance", needed=True
    )
    before = box.state()
    with AdbDevice(box.serial) as device:
        assert device.keeping is not None
        context = prepared(device, device.keeping, (*all_settings(device), needed))
        with pytest.raises(DeviceError, match="governor cannot be set"), context:
            pytest.fail("begun")
    assert box.state() == before


def test_a_value_that_cannot_be_read_is_not_changed(box: Box) -> None:
    blind = Setting(name="x", read="exit 3", write="echo {value} >/shared/settings/x", wanted="1")
    with AdbDevice(box.serial) as device:
        assert device.keeping is not None
        with prepared(device, device.keeping, (blind,)) as refused:
            assert refused == ("x: its value cannot be read",)
    assert not (box.shared / "settings/x").exists()


def test_a_value_that_is_not_taken_back_is_told_and_kept_for_the_next_contact(box: Box) -> None:
    before = box.state()
    with AdbDevice(box.serial) as device:
        assert device.keeping is not None
        context = prepared(device, device.keeping, all_settings(device))
        context.__enter__()
        (box.shared / "refuse.screen_brightness").touch()
        with pytest.raises(DeviceError, match="cannot set back screen_brightness to 102"):
            context.__exit__(None, None, None)
    with pytest.raises(DeviceError, match="cannot set back"):
        AdbDevice(box.serial).__enter__()
    (box.shared / "refuse.screen_brightness").unlink()
    with AdbDevice(box.serial):
        assert box.state() == before


def test_a_journal_whose_last_line_was_cut_is_one_of_the_lines_before(tmp_path: Path) -> None:
    path = tmp_path / "settings.jsonl"
    line = '{"name":"a","read":"r","write":"w","clear":"","old":"1","new":"2","at":"t"}'
    path.write_text(f"{line}\n{line[:30]}")
    assert [entry.name for entry in read_journal(path)] == ["a"]
    path.write_text(f"{line[:30]}\n{line}\n")
    with pytest.raises(DeviceError, match="line 1 is damaged"):
        read_journal(path)


def test_failures_in_a_row_put_a_device_into_quarantine_until_it_is_released(box: Box) -> None:
    keeping = Keeping("adb W5A")
    assert [keeping.strike("link lost") for _ in range(STRIKES - 1)] == [1, 2]
    keeping.well()
    for number in range(1, STRIKES + 1):
        assert keeping.quarantine() is None
        assert keeping.strike("link lost again") == number
    with pytest.raises(DeviceError, match=r"in quarantine since 20.*link lost again.*--release"):
        AdbDevice(box.serial).__enter__()
    assert keeping.release()
    assert not keeping.release()
    with AdbDevice(box.serial) as device:
        assert device.run(["true"]).exit_code == 0
