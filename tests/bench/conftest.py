"""A host with little memory and a cache of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gaugenn.devices.host import HostDevice


@pytest.fixture
def host(tmp_path: Path) -> Iterator[HostDevice]:
    with HostDevice(tmp_path / "work", memory_limit_bytes=1 << 30) as device:
        yield device


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAUGENN_CACHE", str(tmp_path / "cache"))
