"""Operators of measured models are timed once, and the best library for each part is computed."""

from pathlib import Path

import pytest
from tests.pipeline import packages

from gaugenn import api
from gaugenn.engines import _wheel
from gaugenn.errors import UsageError
from gaugenn.records import Failure, OperatorTiming
from gaugenn.store import Study


@pytest.fixture
def measured(tmp_path: Path) -> Path:
    """A study of two models that the null engine ran."""
    for name, data in (("a.onnx", packages.onnx_model(1)), ("b.onnx", packages.onnx_model(2))):
        (tmp_path / name).write_bytes(data)
    folder = tmp_path / "study"
    api.scan([tmp_path / "a.onnx", tmp_path / "b.onnx"], folder)
    api.bench(folder, api.BenchSettings(engines=("null",), launches=1))
    return folder


def test_each_measured_job_is_profiled_once(measured: Path) -> None:
    api.profile(measured)
    api.profile(measured)
    rows = Study(measured).rows(OperatorTiming)
    assert len({row.job_sha256 for row in rows}) == len(list(rows)) == 2
    for row in Study(measured).rows(OperatorTiming):
        assert (row.position, row.operator, row.method) == (0, "MatMul", "callback")
        assert len(row.durations_s) == 10


def test_a_profile_is_no_launch(measured: Path) -> None:
    before = api.query(measured, "SELECT * FROM launches").num_rows
    api.profile(measured)
    assert api.query(measured, "SELECT * FROM launches").num_rows == before == 2


def test_what_cannot_be_profiled_is_a_failure_that_is_not_tried_again(
    measured: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def garbage(*arguments: object) -> list[str]:
        tried.append(arguments)
        return ["echo", "gaugenn-result nonsense"]

    monkeypatch.setattr(_wheel.WheelEngine, "profile_command", garbage)
    api.profile(measured)
    api.profile(measured)
    assert len(tried) == 2
    failures = [f for f in Study(measured).rows(Failure) if f.stage == "profile"]
    assert {f.error for f in failures} == {"FormatError"}
    assert len({f.subject for f in failures}) == 2
    assert not list(Study(measured).rows(OperatorTiming))


def test_the_oracle_joins_models_that_are_one_in_several_formats(measured: Path) -> None:
    with pytest.raises(UsageError, match="gaugenn profile"):
        api.oracle(measured)
    api.profile(measured)
    apart = api.oracle(measured)
    assert sorted(item.model for item in apart) == ["a.onnx", "b.onnx"]
    assert all(item.oracle.gain == 1 for item in apart)
    (joined,) = api.oracle(measured, together=[("a.onnx", "b.onnx")])
    assert sorted(joined.model.split(" + ")) == ["a.onnx", "b.onnx"]
    with pytest.raises(UsageError, match="no profile of a model 'c'"):
        api.oracle(measured, together=[("c",)])
    with pytest.raises(UsageError, match="leave the conversion out"):
        api.oracle(measured, conversion_gb_per_s=1.0, together=[("a.onnx", "b.onnx")])
