"""Boxes that are devices, each started once; a cache and an adb server of the tests' own."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.devices.board import Board
from tests.devices.box import Box, Gate, free_port, why_not


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GAUGENN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def adb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANDROID_ADB_SERVER_PORT", str(free_port()))
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        yield patch
        subprocess.run(["adb", "kill-server"], capture_output=True, check=False)


@pytest.fixture(scope="session")
def boxes(
    adb_server: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Box, Box]]:
    del adb_server
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    both = tuple(Box(tmp_path_factory.mktemp("box"), serial) for serial in ("W5A", "W5B"))
    yield (both[0], both[1])
    for box in both:
        box.close()


@pytest.fixture
def box(boxes: tuple[Box, Box]) -> Box:
    boxes[0].reset()
    return boxes[0]


@pytest.fixture
def gate(box: Box) -> Iterator[Gate]:
    made = Gate(box.port)
    yield made
    subprocess.run(["adb", "disconnect", made.serial], capture_output=True, check=False)
    made.close()


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    reason = Board.why_not()
    if reason is not None:
        pytest.skip(reason)
    made = Board(tmp_path_factory.mktemp("sshd"))
    yield made
    made.close()
