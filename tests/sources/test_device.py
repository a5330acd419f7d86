"""Installed packages, through a program that stands in for adb and loses links on demand."""

import hashlib
import json
import os
import sys
from pathlib import Path

import pytest

from gaugenn.errors import DeviceError, MissingToolError, SourceError, UsageError
from gaugenn.sources import AppQuery, Known, SourceOptions
from gaugenn.sources.device import DeviceSource

PROGRAM = """#!{python}
import json, os, pathlib, shutil, subprocess, sys
state = json.loads(pathlib.Path(os.environ["PHONE"], "state.json").read_text())
arguments = sys.argv[1:]
if arguments == ["devices", "-l"]:
    print("List of devices attached")
    for serial, kind in state["devices"].items():
        print(serial.ljust(22), kind, "transport_id:1")
    sys.exit(0)
assert arguments[0] == "-s"
if arguments[1] not in state["devices"]:
    print("error: device '" + arguments[1] + "' not found", file=sys.stderr)
    sys.exit(1)
if arguments[2] == "shell":
    if any(word in arguments[3] for word in state["lost"]):
        print("package:/data/half")  # the client ends well when the link drops
        sys.exit(0)
    path = os.environ["PHONE"] + "/bin:" + os.environ["PATH"]
    sys.exit(subprocess.run(["sh", "-c", arguments[3]], env=os.environ | {{"PATH": path}}).returncode)
remote, local = arguments[3:]
source = pathlib.Path(os.environ["PHONE"]) / "files" / pathlib.Path(remote).name
data = source.read_bytes()
pathlib.Path(local).write_bytes(data + b"x" if state["corrupt"] else data)
"""

PM = """#!/bin/sh
case "$1 $2" in
"list packages")
    [ "$*" = "list packages -f -i -3 --show-versioncode" ] || exit 3
    echo "package:/data/app/~~k==/org.single-x==/base.apk=org.single versionCode:7  installer=null"
    echo "package:/data/app/org.split-1/base.apk=org.split versionCode:8  installer=com.android.vending"
    echo "package:../evil=org.evil"
    ;;
"path org.single") echo "package:/data/app/org.single/single.apk" ;;
"path org.split")
    echo "package:/data/app/org.split-1/base.apk"
    echo "package:/data/app/org.split-1/split_config.arm64_v8a.apk"
    ;;
*) exit 1 ;;
esac
"""

GETPROP = """#!/bin/sh
case "$1" in
ro.product.manufacturer) echo Maker ;;
ro.product.model) echo "Phone 5" ;;
*) echo 14 ;;
esac
"""

SHA256SUM = """#!/bin/sh
for path; do
    printf '%s  %s\\n' "$(command /usr/bin/sha256sum "$PHONE/files/${path##*/}" | cut -c 1-64)" "$path"
done
"""


class Phone:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.set()
        for name, text in (("pm", PM), ("getprop", GETPROP), ("sha256sum", SHA256SUM)):
            path = folder / "bin" / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
            path.chmod(0o755)
        (folder / "files").mkdir()
        for name in ("single.apk", "base.apk", "split_config.arm64_v8a.apk"):
            (folder / "files" / name).write_bytes(b"PK\x03\x04" + name.encode() * 100)

    def set(
        self,
        *,
        lost: tuple[str, ...] = (),
        corrupt: bool = False,
        devices: tuple[str, ...] = ("S1",),
    ) -> None:
        listed = dict.fromkeys(devices, "device") | {"S9": "unauthorized"}
        state = {"devices": listed, "lost": lost, "corrupt": corrupt}
        (self.folder / "state.json").write_text(json.dumps(state))


@pytest.fixture
def phone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Phone:
    folder = tmp_path / "phone"
    folder.mkdir()
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "adb").write_text(PROGRAM.format(python=sys.executable))
    (tools / "adb").chmod(0o755)
    monkeypatch.setenv("PHONE", str(folder))
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    return Phone(folder)


def _source(tmp_path: Path, serial: str = "") -> DeviceSource:
    return DeviceSource(serial, SourceOptions(cache=tmp_path))


def test_installed_apps_are_listed_with_version_installer_and_device(
    phone: Phone, tmp_path: Path
) -> None:
    del phone
    source = _source(tmp_path)
    assert source.address == "S1"
    assert source.open(Known()).device_profile == "Maker Phone 5, Android 14"
    single, split = source.search(AppQuery())
    assert (single.package, single.version_code, single.markets) == ("org.single", 7, ())
    assert single.location == "/data/app/~~k==/org.single-x==/base.apk"
    assert (split.reference, split.markets) == ("org.split@8", ("com.android.vending",))
    assert split.device_profile == "Maker Phone 5, Android 14"


def test_every_part_of_a_split_app_is_copied_and_checked(phone: Phone, tmp_path: Path) -> None:
    source = _source(tmp_path, "S1")
    single, split = source.search(AppQuery())
    into = tmp_path / "into"
    into.mkdir()
    file = source.fetch(single, into)
    assert file.read_bytes() == (phone.folder / "files/single.apk").read_bytes()
    assert file.name.startswith("org.single-7-")
    folder = source.fetch(split, into)
    digests = {hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}
    sent = (phone.folder / "files" / n for n in ("base.apk", "split_config.arm64_v8a.apk"))
    assert digests == {hashlib.sha256(p.read_bytes()).hexdigest() for p in sent}
    phone.set(corrupt=True)
    assert source.fetch(split, into) == folder


def test_a_link_that_drops_is_no_short_list(phone: Phone, tmp_path: Path) -> None:
    source = _source(tmp_path)
    phone.set(lost=("pm list",))
    with pytest.raises(DeviceError, match="the link was lost"):
        list(source.search(AppQuery()))
    phone.set(lost=("pm path",))
    with pytest.raises(DeviceError, match="the link was lost"):
        source.fetch(next(iter(source.search(AppQuery()))), tmp_path)
    phone.set(devices=("S2",))
    with pytest.raises(DeviceError, match="not found"):
        source.open(Known())


def test_a_file_that_arrives_changed_is_not_kept(phone: Phone, tmp_path: Path) -> None:
    source = _source(tmp_path)
    single, _ = source.search(AppQuery())
    phone.set(corrupt=True)
    with pytest.raises(DeviceError, match="arrived changed"):
        source.fetch(single, tmp_path)
    assert list(tmp_path.glob("org.single*")) == []


def test_a_command_that_fails_there_is_told_from_a_lost_link(phone: Phone, tmp_path: Path) -> None:
    (phone.folder / "bin/pm").write_text("#!/bin/sh\nexit 20\n")
    with pytest.raises(SourceError, match="pm ended with 20"):
        list(_source(tmp_path).search(AppQuery()))


def test_a_serial_is_needed_where_there_are_several_or_none(phone: Phone, tmp_path: Path) -> None:
    for devices in ((), ("S1", "S2")):
        phone.set(devices=devices)
        with pytest.raises(UsageError, match=r"serial; connected: (none|S1, S2)"):
            _source(tmp_path)
    with pytest.raises(UsageError, match="no device's serial"):
        _source(tmp_path, "-e")
    with pytest.raises(UsageError, match="neither charts"):
        list(_source(tmp_path, "S1").search(AppQuery(top=3)))


def test_without_adb_it_is_said_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingToolError, match="apt-get install adb"):
        _source(tmp_path)
