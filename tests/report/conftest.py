"""One planted study for all tests of the report."""

import sys
from pathlib import Path

import pytest

from gaugenn import report
from gaugenn.store import Study

sys.path.insert(0, str(Path(__file__).parent))

import planted_bench
import planted_census
import synthetic


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return synthetic.study(tmp_path_factory.mktemp("study") / "planted")


@pytest.fixture(scope="session")
def bench_study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return planted_bench.study(tmp_path_factory.mktemp("study") / "bench")


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return Study.create(tmp_path_factory.mktemp("study") / "empty")


@pytest.fixture(scope="session")
def bench_page(bench_study: Study) -> Path:
    return report.write(bench_study, bench_study.path / "report.html")


@pytest.fixture(scope="session")
def page(study: Study) -> Path:
    return report.write(study, study.path / "report.html")


@pytest.fixture(scope="session")
def census(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return planted_census.study(tmp_path_factory.mktemp("study") / "census")
