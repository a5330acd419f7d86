"""An arm64 device under emulation: its shell, its digests, the sampler. See scripts/arm64-device."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from gaugenn.devices import _around
from gaugenn.devices._around import Around
from gaugenn.devices.adb import AdbDevice
from gaugenn.records._environment import number
from tests.devices.box import HERE, Box

SYSTEM = HERE.parents[1] / ".adbd-arm64"

pytestmark = pytest.mark.arm64


@pytest.fixture(scope="module")
def arm(adb_server: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    del adb_server
    if not SYSTEM.exists():
        pytest.skip("no arm64 system is unpacked; scripts/arm64-device does it")
    made = Box(tmp_path_factory.mktemp("arm"), "A64", SYSTEM)
    yield made
    made.close()


def test_it_says_what_it_is_and_copies_arrive_whole(arm: Box, tmp_path: Path) -> None:
    data = bytes(range(256)) * 4096
    (tmp_path / "sent").write_bytes(data)
    with AdbDevice(arm.serial) as device:
        assert device.info().architecture == "aarch64"
        remote = device.push(tmp_path / "sent", "files/sent")
        assert device.digest_of(remote) == hashlib.sha256(data).hexdigest()
        device.pull(remote, tmp_path / "back")
        assert device.run(["sh", "-c", "exit 7"]).exit_code == 7
    assert (tmp_path / "back").read_bytes() == data


def test_its_shell_samples_rests_and_makes_markers(arm: Box, tmp_path: Path) -> None:
    around = Around(sample_every_s=0.5, idle_s=1.0, marked=True)
    with AdbDevice(arm.serial) as device:
        script = device.push(_around.SCRIPT, "around.sh")
        output = device.run(around.command(script, "k", ["uname", "-m"]))
        device.pull(_around.FILE, tmp_path / "around")
    assert output.stdout == "aarch64\n"
    found = _around.read(tmp_path / "around", "k")
    names = [moment.name for moment in found.moments]
    assert names == [*["marker_before"] * 3, "idle_before", "idle_after", *["marker_after"] * 3]
    assert number(found.samples[0][1], "temperature_c", "thermal_zone0 cpu-big") == 41.25
