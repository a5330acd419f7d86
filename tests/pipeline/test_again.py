"""Experiments launched anew, taking turns, beside the launches that they have."""

import dataclasses
from pathlib import Path

import pytest
from tests.pipeline import packages

from gaugenn import api
from gaugenn.pipeline import Silent
from gaugenn.pipeline.again import launch_again
from gaugenn.records import JobRecord, Run
from gaugenn.store import Study


@pytest.fixture
def studies(tmp_path: Path) -> tuple[Study, Study]:
    """Two studies of one model; the second has been launched once more."""
    (tmp_path / "one.onnx").write_bytes(packages.onnx_model())
    found = []
    for launches in (1, 2):
        folder = api.scan([tmp_path / "one.onnx"], tmp_path / f"s{launches}", workers=1).study
        settings = api.BenchSettings(
            engines=("null",), preset="smoke", launches=launches, threads=("1", "2")
        )
        api.bench(folder, settings)
        found.append(Study(folder))
    return found[0], found[1]


def record(study: Study, threads: int = 1) -> JobRecord:
    return next(r for r in study.rows(JobRecord) if r.job.threads == threads)


def launches(study: Study, threads: int = 1) -> list[int]:
    name = record(study, threads).job_sha256
    return sorted(run.launch for run in study.rows(Run) if run.job_sha256 == name)


def test_new_launches_have_the_same_numbers_in_both_studies_and_old_ones_stay(
    studies: tuple[Study, Study],
) -> None:
    one, two = studies
    assert launch_again([(one, record(one)), (two, record(two))], Silent())
    assert launches(one) == [0, 2, 3]
    assert launches(two) == [0, 1, 2, 3]
    assert launches(one, threads=2) == [0]


def test_two_experiments_of_one_study_take_turns(studies: tuple[Study, Study]) -> None:
    _, study = studies
    assert launch_again([(study, record(study, n)) for n in (1, 2)], Silent())
    assert launches(study, 1) == launches(study, 2) == [0, 1, 2, 3]
    new = sorted((r for r in study.rows(Run) if r.launch >= 2), key=lambda run: run.started_at)
    assert [run.launch for run in new] == [2, 2, 3, 3]
    assert [run.position for run in new] == [0, 1, 0, 1]


def test_what_cannot_be_repeated_alike_is_not_launched(
    studies: tuple[Study, Study], monkeypatch: pytest.MonkeyPatch
) -> None:
    study, _ = studies
    usual = record(study)

    def changed(**fields: object) -> JobRecord:
        job = dataclasses.replace(usual.job, **fields)  # type: ignore[arg-type]
        return dataclasses.replace(usual, job=job)

    beside = changed(companion=f"{'b' * 64}@null==1")
    elsewhere = changed(device="simulated")
    missing = changed(engine="litert", engine_version="0.0.1")
    for wanted in ([beside], [usual, elsewhere], [missing]):
        assert not launch_again([(study, r) for r in wanted], Silent())
    monkeypatch.setattr("gaugenn.devices.host.__version__", "another")
    assert not launch_again([(study, usual)], Silent())
    assert launches(study) == [0]
