"""Switches of USB power: what they are called with, and that their failures are told."""

import os
from pathlib import Path

import pytest

from gaugenn.devices._usb import usb_power
from gaugenn.errors import DeviceError, MissingToolError, UsageError

RECORDER = """#!/bin/sh
echo "${0##*/} $*" >>"$CALLS"
if [ -e "$CALLS.fail" ]; then echo broken >&2; exit 3; fi
"""


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("uhubctl", "ykushcmd", "mine"):
        (folder / name).write_text(RECORDER)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    return tmp_path / "calls"


@pytest.mark.parametrize(
    ("name", "off", "on"),
    [
        ("uhubctl:1-1.4:2", "uhubctl -l 1-1.4 -p 2 -a off", "uhubctl -l 1-1.4 -p 2 -a on"),
        ("ykush:YK25946:3", "ykushcmd -s YK25946 -d 3", "ykushcmd -s YK25946 -u 3"),
        ("ykush3:Y3N1:1", "ykushcmd ykush3 -s Y3N1 -d 1", "ykushcmd ykush3 -s Y3N1 -u 1"),
    ],
)
def test_each_switch_is_called_as_it_wants(calls: Path, name: str, off: str, on: str) -> None:
    power = usb_power(name)
    assert power.cuts
    power.cut()
    power.give()
    assert calls.read_text().splitlines() == [off, on]


def test_a_program_of_the_users_gets_on_or_off(calls: Path, tmp_path: Path) -> None:
    power = usb_power(f"command:{tmp_path}/bin/mine")
    power.cut()
    power.give()
    assert calls.read_text().splitlines() == ["mine off", "mine on"]


def test_none_switches_nothing() -> None:
    power = usb_power("none")
    assert not power.cuts
    power.cut()
    power.give()


def test_a_switch_that_fails_or_is_not_there_is_told(
    calls: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls.with_name("calls.fail").touch()
    with pytest.raises(DeviceError, match=r"uhubctl -l 1-1 -p 2 -a off ended with 3: broken"):
        usb_power("uhubctl:1-1:2").cut()
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(MissingToolError, match="apt-get install uhubctl"):
        usb_power("uhubctl:1-1:2").cut()


@pytest.mark.parametrize(
    "name", ["", "hub", "uhubctl", "uhubctl:1-1", "uhubctl:-a:2", "ykush:a b:1"]
)
def test_what_is_no_switch_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="is no switch of USB power"):
        usb_power(name)
