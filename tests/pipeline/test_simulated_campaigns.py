"""`bench` over simulated devices: pairs that cannot run, links that break, files that stay."""

from pathlib import Path
from typing import Any

import pytest
from tests.pipeline import packages

from gaugenn import api
from gaugenn.devices import Output
from gaugenn.devices.simulated import SimulatedDevice
from gaugenn.errors import DeviceError, UsageError


@pytest.fixture
def study(tmp_path: Path) -> Path:
    (tmp_path / "one.onnx").write_bytes(packages.onnx_model())
    return api.scan([tmp_path / "one.onnx"], tmp_path / "s", workers=1).study


def ended(study: Path) -> list[tuple[object, ...]]:
    rows = api.query(
        study,
        "SELECT j.job.engine, j.job.device, r.status, count(*) FROM all_jobs j JOIN runs r "
        "USING (job_sha256) GROUP BY ALL ORDER BY ALL",
    )
    return [tuple(row.values()) for row in rows.to_pylist()]


def test_a_pair_that_cannot_run_is_a_failure_and_the_others_run(study: Path) -> None:
    settings = api.BenchSettings(
        engines=("null", "simulated"), devices=("host", "simulated"), preset="smoke", launches=1
    )
    api.bench(study, settings)
    made = {(engine, device): status for engine, device, status, _ in ended(study)}
    assert made["null", "host"] == made["simulated", "simulated"] == "ok"
    assert ("null", "simulated") not in made
    (failure,) = api.query(study, "SELECT subject, message FROM failures").to_pylist()
    assert failure["subject"] == "null==1 on simulated"
    assert "does not run on simulated" in failure["message"]


def test_a_device_that_runs_no_engine_ends_with_its_reason_after_the_others(study: Path) -> None:
    settings = api.BenchSettings(
        engines=("null",), devices=("host", "simulated"), preset="smoke", launches=1
    )
    with pytest.raises(UsageError, match="does not run on simulated"):
        api.bench(study, settings)
    assert ended(study) == [("null", "host", "ok", 1)]


def test_a_launch_whose_link_was_lost_is_made_again(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, calls = SimulatedDevice.run, list[int]()

    def losing(*arguments: Any, **options: Any) -> Output:
        calls.append(1)
        if len(calls) in (2, 3, 6):
            raise DeviceError("the link was lost")
        return run(*arguments, **options)

    monkeypatch.setattr(SimulatedDevice, "run", losing)
    settings = api.BenchSettings(engines=("simulated",), devices=("simulated",), launches=6)
    api.bench(study, settings)
    assert {status: count for _, _, status, count in ended(study)} == {"ok": 6, "lost": 3}


def test_a_study_is_not_overwritten_by_what_is_made_of_it(study: Path) -> None:
    api.bench(study, api.BenchSettings(engines=("null",), preset="smoke", launches=1))
    for own in ("study.json", "tables/x.json", "blobs/ab/y"):
        to = study / own
        to.parent.mkdir(exist_ok=True, parents=True)
        with pytest.raises(UsageError, match="keeps its own files"):
            api.export(study, "pyperf", to)
    assert api.query(study, "SELECT count(*) AS n FROM models").to_pylist() == [{"n": 1}]
    assert api.export(study, "pyperf", study / "mine.json")


def test_a_marker_that_is_no_text_is_told_in_a_line(study: Path) -> None:
    (study / "study.json").write_bytes(bytes(range(128, 256)) * 10_000)
    with pytest.raises(Exception, match="cannot be read: UnicodeDecodeError") as raised:
        api.query(study, "SELECT 1")
    assert len(str(raised.value)) < 500
