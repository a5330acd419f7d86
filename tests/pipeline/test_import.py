"""Measurements of others in a study: marked, beside our own, and never mixed with what is unlike."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from gaugenn import api
from gaugenn.cli import cli
from gaugenn.errors import UsageError
from gaugenn.pipeline import Silent
from gaugenn.pipeline.again import launch_again
from gaugenn.pipeline.experiments import experiments
from gaugenn.records import JobRecord, Processor, Run
from gaugenn.store import Study

MPERF = Path(__file__).parents[1] / "imports" / "files" / "mlperf_log_detail.txt"
LINES = "          squeezenet  min =   {0}.10  max =   {0}.90  avg =   {0}.50\n"
HEAD = "loop_count = 4\nnum_threads = {threads}\npowersave = 0\ngpu_device = -1\n"


def log(folder: Path, name: str, *milliseconds: int, threads: int = 2) -> list[Path]:
    """One file a launch, as who repeats a program has them."""
    made = []
    for number, value in enumerate(milliseconds):
        path = folder / f"{name}{number}.log"
        path.write_text(HEAD.format(threads=threads) + LINES.format(value) + f"# {number}\n")
        made.append(path)
    return made


def test_files_of_one_experiment_are_its_launches(tmp_path: Path) -> None:
    done = api.import_logs(log(tmp_path, "a", 11, 12, 13), tmp_path / "s", device="pixel")
    assert [(d.form, d.launches, d.known, d.reason) for d in done] == [
        ("benchncnn", 1, 0, None)
    ] * 3
    study = Study(tmp_path / "s")
    (found,) = experiments(study)
    assert [t.latency_s for _, t in found.launches] == pytest.approx([0.0115, 0.0125, 0.0135])
    assert [run.launch for run in found.runs] == [0, 1, 2]
    job, imported = found.record.job, found.record.imported
    assert (job.model_sha256, job.device, job.threads) == ("name:squeezenet", "pixel", 2)
    assert (job.engine, job.engine_version, job.processor) == ("benchncnn", "", Processor.CPU)
    assert imported is not None
    assert (imported.tool, imported.form, imported.model) == (
        "benchncnn",
        "benchncnn",
        "squeezenet",
    )
    assert found.record.timing_semantics is not None
    assert not found.record.timing_semantics.real_weights
    assert {"imported", "aggregate_only", "weights_fake"} <= set(found.verdict.reasons)
    assert "launches_missing" not in found.verdict.reasons
    origin = found.runs[0].imported_from
    assert origin is not None
    assert (origin.name, origin.entry, len(origin.sha256)) == ("a0.log", 0, 64)
    assert found.runs[0].load_average is None
    assert found.environments == ()


def test_what_is_stored_already_is_passed_over_and_more_files_are_more_launches(
    tmp_path: Path,
) -> None:
    files = log(tmp_path, "a", 11, 12)
    api.import_logs(files, tmp_path / "s")
    before = Study(tmp_path / "s").rows(Run)
    (again, _) = api.import_logs(files, tmp_path / "s")
    assert (again.launches, again.known) == (0, 1)
    assert Study(tmp_path / "s").rows(Run) == before
    api.import_logs(log(tmp_path, "b", 14), tmp_path / "s")
    (record,) = Study(tmp_path / "s").rows(JobRecord)
    assert record.launches == 3


def test_what_is_not_known_is_not_made_up(tmp_path: Path) -> None:
    api.import_logs([MPERF], tmp_path / "s")
    (found,) = experiments(Study(tmp_path / "s"))
    job = found.record.job
    assert (job.threads, job.batch, job.processor) == (0, 0, Processor.UNKNOWN)
    assert (job.device, job.model_sha256) == ("unknown", "name:unknown")
    assert found.record.timing_semantics is None
    (run,) = found.runs
    assert run.timings is not None
    assert run.timings.steady_s == ()
    assert run.timings.observed_processor is None
    assert run.started_at == "2026-11-25T21:24:58Z"


def test_a_file_that_is_none_is_a_failure_and_the_others_are_stored(tmp_path: Path) -> None:
    bad = tmp_path / "bad.log"
    bad.write_bytes(b"\x00\xff not a log")
    missing = tmp_path / "missing.log"
    done = api.import_logs([bad, missing, *log(tmp_path, "a", 11)], tmp_path / "s")
    assert [d.launches for d in done] == [0, 0, 1]
    assert "none of the forms" in str(done[0].reason)
    failures = api.query(tmp_path / "s", "SELECT subject, stage FROM failures ORDER BY subject")
    assert failures.to_pylist() == [
        {"subject": "bad.log", "stage": "import"},
        {"subject": "missing.log", "stage": "import"},
    ]
    bad.write_text(HEAD.format(threads=1) + LINES.format(5))
    api.import_logs([bad], tmp_path / "s")
    left = api.query(tmp_path / "s", "SELECT subject FROM failures").to_pylist()
    assert left == [{"subject": "missing.log"}]


def test_imported_rows_show_in_queries_the_report_and_no_export_of_samples(tmp_path: Path) -> None:
    study = tmp_path / "s"
    api.import_logs(log(tmp_path, "a", 11, 12, 13), study)
    rows = api.query(
        study, "SELECT imported, medians_s, name FROM results JOIN model_names USING (model_sha256)"
    ).to_pylist()
    assert rows[0]["imported"] == "benchncnn"
    assert rows[0]["medians_s"] == pytest.approx([0.0115, 0.0125, 0.0135])
    assert rows[0]["name"] == "squeezenet"
    launches = api.query(
        study, "SELECT statistic, imported_from FROM launches ORDER BY launch"
    ).to_pylist()
    assert launches[0] == {"statistic": "mean", "imported_from": "a0.log"}
    page = api.report(study).read_text()
    assert "squeezenet" in page
    assert ", imported" in page
    assert "aggregate only" in page
    with pytest.raises(UsageError, match="no valid measurement"):
        api.export(study, "pyperf")


def test_like_is_compared_with_like_only(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    api.import_logs(log(tmp_path, "a", *range(20, 26)), old, device="pixel")
    api.import_logs(log(tmp_path, "b", *range(40, 46)), new, device="pixel")
    (row,) = api.compare(str(old), str(new)).models
    assert row.refused is None
    assert row.difference is not None
    assert row.difference.ratio == pytest.approx(2, rel=0.15)
    other = tmp_path / "other"
    path = tmp_path / "c.json"
    path.write_text(
        json.dumps(
            [{"name": "squeezenet", "latency_metrics": {"median_ms": 20.0 + n}} for n in range(5)]
        )
    )
    api.import_logs([path], other, device="pixel")
    with pytest.raises(UsageError, match="no experiment on the same model in common"):
        api.compare(str(old), str(other))
    pair = (f"{old}:engine=benchncnn,threads=2,batch=1,processor=cpu", f"{other}:benchmark_model")
    (mixed,) = api.compare(f"{pair[0]}", f"{pair[1]},threads=0,batch=0,processor=unknown").models
    assert mixed.refused is not None
    assert mixed.refused.startswith("unlike conditions: ")
    assert {"measured_by", "statistic", "real_weights"} <= mixed.differing.keys()


def test_a_suspected_regression_among_imports_is_not_launched_again(tmp_path: Path) -> None:
    api.import_logs(log(tmp_path, "a", 11), tmp_path / "s", device="host")
    study = Study(tmp_path / "s")
    assert not launch_again([(study, record) for record in study.rows(JobRecord)], Silent())


def test_the_command_prints_what_became_of_each_file(tmp_path: Path) -> None:
    bad = tmp_path / "bad.log"
    bad.write_text("nothing\n")
    good = log(tmp_path, "a", 11)[0]
    asked = ["import", str(good), "--out", str(tmp_path / "s"), "--as", "benchncnn", "--json"]
    ended = CliRunner().invoke(cli, asked)
    assert ended.exit_code == 0
    (row,) = json.loads(ended.stdout)
    assert (row["form"], row["launches"]) == ("benchncnn", 1)
    ended = CliRunner().invoke(cli, ["import", str(bad), "--out", str(tmp_path / "s"), "-q"])
    assert ended.exit_code == 1
    assert "none of the forms" in ended.stdout


def test_a_model_of_the_study_can_be_named(tmp_path: Path) -> None:
    samples = Path(__file__).parents[2] / "samples"
    api.scan([samples / "camera.apk"], tmp_path / "s", workers=1)
    rows = api.query(tmp_path / "s", "SELECT model_sha256 FROM models WHERE kind = 'model'")
    digest = rows.to_pylist()[0]["model_sha256"]
    api.import_logs(log(tmp_path, "a", 11), tmp_path / "s", model=digest[:12])
    (found,) = experiments(Study(tmp_path / "s"))
    assert found.record.job.model_sha256 == digest
    with pytest.raises(UsageError, match="must name one model"):
        api.import_logs(log(tmp_path, "b", 11), tmp_path / "s", model="nothing")
