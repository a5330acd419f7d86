"""One study for all tests of the explorer: planted facts, and the real models of the samples."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from gaugenn import api
from gaugenn.explorer import application
from gaugenn.store import Study
from tests.explorer.pages import ADDRESS

sys.path.insert(0, str(Path(__file__).parents[1] / "report"))

import synthetic

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    path = tmp_path_factory.mktemp("explorer") / "planted"
    api.scan([ROOT / "samples" / name for name in ("camera.apk", "cloud.apk")], path, workers=1)
    return synthetic.plant(Study(path))


@pytest.fixture(scope="session")
def client(study: Study) -> Iterator[TestClient]:
    with TestClient(application(study), base_url=ADDRESS) as found:
        yield found
