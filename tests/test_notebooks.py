"""A study in notebooks: frames, objects that show themselves, and the examples, which run."""

import sys
from pathlib import Path

import nbformat
import pandas as pd
import polars as pl
import pytest
from nbclient import NotebookClient

import gaugenn
from gaugenn.errors import StoreError, UsageError

sys.path.insert(0, str(Path(__file__).parent / "report"))

import synthetic

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.ipynb"))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> gaugenn.Study:
    path = tmp_path_factory.mktemp("notebooks") / "planted"
    synthetic.study(path)
    return gaugenn.Study.open(path)


def test_tables_are_frames_of_each_library(study: gaugenn.Study) -> None:
    assert study.arrow("models").num_rows == len(synthetic.MODELS)
    assert len(study.polars("models")) == len(synthetic.MODELS)
    assert isinstance(study.polars("models"), pl.DataFrame)
    frame = study.models()
    assert isinstance(frame, pd.DataFrame)
    first = frame.iloc[0]
    assert (first["name"], first["apps"], first["places"]) == ("mobilenet_v2.tflite", 3, 3)
    assert len(study.instances()) == sum(len(model.places) for model in synthetic.MODELS)
    assert len(study.apps()) == len(synthetic.APPS) + 3
    good = sum(len(medians) for medians in synthetic.LATENCIES_MS.values())
    assert len(study.launches()) == good
    assert len(study.runs()) == good + len(synthetic.FAILED_JOBS)
    assert len(study.samples()) == 21 * good
    assert len(study.failures()) == len(synthetic.FAILURES)
    with pytest.raises(UsageError):
        study.pandas("no_such_table")


def test_results_have_intervals_and_verdicts(study: gaugenn.Study) -> None:
    results = study.results().set_index(["model", "engine", "threads"])
    liveness = results.loc[("liveness.param", "ncnn", 1)]
    assert liveness["latency_s"] == pytest.approx(7.0799e-3, rel=1e-4)
    assert liveness["low_s"] < liveness["latency_s"] < liveness["high_s"]
    assert liveness["validity"] == "valid"
    single = results.loc[("keyword.onnx", "onnxruntime", 1)]
    assert single["latency_s"] == pytest.approx(0.31e-3)
    assert pd.isna(single["low_s"]), "one launch gives no interval"


def test_layers_are_those_of_one_model(study: gaugenn.Study) -> None:
    model = synthetic.model("keyword.onnx")
    frame = study.layers(model.sha256[:10])
    assert len(frame) == sum(number for _, _, number in model.operators)
    assert set(frame["model_sha256"]) == {model.sha256}
    with pytest.raises(UsageError):
        study.layers("' OR 1=1 --")


def test_selections_are_compared(study: gaugenn.Study) -> None:
    found = study.compare("litert,threads=1", "litert,threads=2")
    assert len(found) == 1
    row = found.iloc[0]
    assert row["model"] == "mobilenet_v2.tflite"
    assert row["ratio"] == pytest.approx(14.12 / 25.0, abs=0.005)
    assert row["low"] < row["ratio"] < row["high"]
    assert row["outcome"] == "faster"


def test_objects_show_themselves(study: gaugenn.Study) -> None:
    shown = study._repr_html_()
    assert "instances" in shown
    assert f"<td>{sum(len(m.places) for m in synthetic.MODELS)}</td>" in shown
    drawn = study.figure("latency")
    assert "<svg" in drawn._repr_html_()
    assert drawn.png().startswith(b"\x89PNG")
    assert drawn.vega()["data"] or drawn.vega()["datasets"]
    assert len(drawn.rows()) == len(synthetic.LATENCIES_MS)
    table = study.figure("failures")._repr_html_()
    assert "<table>" in table
    assert "no engine reads format 7" in table
    assert "latency" in study.figures()
    with pytest.raises(UsageError, match="there is no figure"):
        study.figure("nonsense")


def test_what_packages_say_is_escaped(tmp_path: Path) -> None:
    from gaugenn.records import Failure
    from gaugenn.store import Study

    Study.create(tmp_path / "s").write(
        [
            Failure(
                stage="scan",
                subject="<script>alert(1)</script>\u202e",
                error="PackageError",
                message="<img src=x>",
                transient=False,
            )
        ]
    )
    shown = gaugenn.Study.open(tmp_path / "s").figure("failures")._repr_html_()
    assert "<script>" not in shown
    assert "<img" not in shown
    assert "\u202e" not in shown
    assert "&lt;script&gt;" in shown


def test_a_folder_that_is_no_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        gaugenn.Study.open(tmp_path)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_run_and_are_stored_without_output(
    path: Path, study: gaugenn.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    monkeypatch.setenv("GAUGENN_STUDY", str(study.path))
    done = NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    outputs = [output for cell in done.cells for output in cell.get("outputs", ())]
    assert not [output for output in outputs if output.output_type == "error"]
    assert [output for output in outputs if "svg" in str(output.get("data", {}))]


def test_there_are_three_examples() -> None:
    assert {path.stem for path in EXAMPLES} == {"bench", "census", "model_audit"}
