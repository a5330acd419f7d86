"""Servers, a clock and a repository for all tests of sources."""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipeline import packages
from tests.sources.servers import FakeClock, FaultyServer, Repository, build_app


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FaultyServer]:
    folder = tmp_path / "served"
    folder.mkdir()
    running = FaultyServer(folder)
    yield running
    running.close()


@pytest.fixture(scope="session")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same repository before and after: its folders `repo` are in the two given ones.

    Before: scanner 1 (an ONNX model), painter 1 (an ncnn model). After: scanner 2 (its model is an
    ncnn graph now), writer 1 (an ONNX model); painter is gone.
    """
    folder = tmp_path_factory.mktemp("fdroid")
    repository = Repository(folder / "work")
    ncnn = {"det.param": packages.PARAM.encode(), "det.bin": packages.ncnn_weights()}
    scanner = {"det.onnx": packages.onnx_model(1), "noise.dat": os.urandom(600_000)}
    repository.put(
        build_app(folder, "org.example.scanner", 1, scanner), "org.example.scanner_1", "Tools"
    )
    painter = build_app(folder, "org.example.painter", 1, ncnn)
    repository.put(painter, "org.example.painter_1", "Graphics")
    repository.update()
    before = folder / "before"
    shutil.copytree(repository.served, before / "repo")
    repository.put(
        build_app(folder, "org.example.scanner", 2, ncnn), "org.example.scanner_2", "Tools"
    )
    writer = build_app(folder, "org.example.writer", 1, {"w.onnx": packages.onnx_model(2)})
    repository.put(writer, "org.example.writer_1", "Writing")
    (repository.served / "org.example.painter_1.apk").unlink()
    (repository.folder / "metadata/org.example.painter.yml").unlink()
    time.sleep(1.1)  # the index's date is in seconds
    repository.update()
    after = folder / "after"
    shutil.copytree(repository.served, after / "repo")
    return (before, after)


@pytest.fixture
def before(repositories: tuple[Path, Path]) -> Iterator[FaultyServer]:
    running = FaultyServer(repositories[0])
    yield running
    running.close()
