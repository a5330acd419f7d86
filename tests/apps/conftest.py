"""Builders of packages and their parts, and the corpus."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.apps.builders import Part, build_dex, build_elf, build_macho, build_zip
from tests.apps.workshop import Workshop, missing_tools


@pytest.fixture(scope="session")
def part() -> type[Part]:
    return Part


@pytest.fixture(scope="session")
def make_zip() -> Callable[..., bytes]:
    return build_zip


@pytest.fixture(scope="session")
def corpus() -> Path:
    folder = os.environ.get("GAUGENN_CORPUS")
    if not folder:
        pytest.skip("GAUGENN_CORPUS is not set; it names a folder of real packages")
    return Path(folder)


@pytest.fixture(scope="session")
def make_dex() -> Callable[..., bytes]:
    return build_dex


@pytest.fixture(scope="session")
def make_elf() -> Callable[..., bytes]:
    return build_elf


@pytest.fixture(scope="session")
def make_macho() -> Callable[..., bytes]:
    return build_macho


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    missing = missing_tools()
    if missing:
        pytest.skip(
            f"Android tools are missing ({', '.join(missing)}); install them with: apt-get install "
            "aapt zipalign apksigner libsmali-java android-framework-res gcc-aarch64-linux-gnu"
        )
    return Workshop(tmp_path_factory.mktemp("workshop"))
