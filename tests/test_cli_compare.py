"""`gaugenn compare` and `gaugenn export` as programs: what they print and how they exit."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from gaugenn import api
from gaugenn.cli import main

MODEL = Path(__file__).parent / "formats" / "mnn" / "int8.mnn"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with versions that are equal, 1.5 times as slow, and different in threads."""
    path = tmp_path_factory.mktemp("compare") / "study"
    api.scan([MODEL], path, workers=1)
    settings = api.BenchSettings(
        engines=("simulated==1", "simulated==1.0", "simulated==1.5"),
        devices=("simulated:launch_variation=0.002",),
        launches=5,
    )
    api.bench(path, settings)
    api.bench(path, replace(settings, engines=("simulated==1.7", "simulated==1.8"), launches=2))
    return path


def test_a_regression_is_confirmed_by_new_launches_and_exits_with_1(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = api.query(study, "SELECT count(*) AS n FROM runs")["n"][0].as_py()
    code = main(["compare", f"{study}:simulated==1", ":simulated==1.5", "--fail-above", "5%"])
    printed = capsys.readouterr()
    assert code == 1, printed.err
    assert "slower" in printed.out
    assert "regression confirmed" in printed.out
    after = api.query(study, "SELECT count(*) AS n FROM runs")["n"][0].as_py()
    assert after == before + 10


def test_without_a_limit_a_slower_side_is_no_failure(study: Path) -> None:
    assert main(["compare", f"{study}:simulated==1", ":simulated==1.5"]) == 0


def test_no_difference_exits_with_0_and_prints_json(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sides = (f"{study}:simulated==1", ":simulated==1.0")
    assert main(["compare", *sides, "--fail-above", "20%", "--no-rerun", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["regressions"], found["undecided"], found["fail_above"]) == (0, 0, 0.2)
    assert found["models"][0]["difference"]["ratio"] == pytest.approx(1, abs=0.05)
    assert found["models"][0]["difference"]["pairs"] == 5


def test_what_cannot_be_excluded_exits_with_4(study: Path) -> None:
    sides = (f"{study}:simulated==1.7", ":simulated==1.8")
    assert main(["compare", *sides, "--fail-above", "5%"]) == 4
    assert main(["compare", *sides]) == 0


def test_what_is_no_study_exits_with_5_and_nonsense_with_2(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", str(tmp_path / "nothing"), str(study)]) == 5
    assert "gaugenn:" in capsys.readouterr().err
    assert main(["compare", str(study), ":colour=red"]) == 2
    assert main(["compare", str(study), ":litert", "--fail-above", "much"]) == 2


def test_an_export_goes_to_a_file_or_to_standard_output(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(study), "--format", "mlperf"]) == 0
    assert capsys.readouterr().out.startswith(":::MLLOG ")
    target = tmp_path / "out.json"
    assert main(["export", str(study), "--format", "pyperf", "--to", str(target)]) == 0
    assert capsys.readouterr().out == f"{target}\n"
    assert json.loads(target.read_text())["version"] == "1.0"


def test_a_precision_does_not_stop_before_the_eighth_launch_unless_told(study: Path) -> None:
    settings = api.BenchSettings(
        engines=("simulated==1.9",), devices=("simulated:launch_variation=0.002",), precision=0.5
    )
    counted = "SELECT count(*) AS n FROM runs JOIN jobs USING (job_sha256) WHERE {}"
    api.bench(study, settings)
    only = counted.format("job.engine_version = '1.9'")
    assert api.query(study, only)["n"][0].as_py() == 8
    few = replace(settings, engines=("simulated==2.1",), launches_minimum=3)
    api.bench(study, few)
    only = counted.format("job.engine_version = '2.1'")
    assert api.query(study, only)["n"][0].as_py() == 3
