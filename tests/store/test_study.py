"""A study holds whole batches, whatever happens to the process that writes them."""

import json
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gaugenn.errors import StorageFullError, StoreError, UsageError
from gaugenn.records import (
    App,
    AppFile,
    Failure,
    FileKind,
    Job,
    JobRecord,
    ModelRecord,
    PackageKind,
    Run,
    RunStatus,
    Timings,
)
from gaugenn.store import Study


def _app(number: int, **changes: object) -> App:
    row = App(
        path=f"apps/{number}.apk",
        app_sha256=f"{number:064x}",
        size_bytes=number,
        modified_ns=0,
        kind=PackageKind.APK,
        permissions=("android.permission.CAMERA",),
    )
    return row if not changes else App(**{**_fields(row), **changes})  # type: ignore[arg-type]


def _fields(row: App) -> dict[str, object]:
    return {name: getattr(row, name) for name in row.__slots__}


def _file(number: int, member: str = "assets/m.tflite") -> AppFile:
    return AppFile(
        app_sha256=f"{number:064x}",
        member=member,
        size_bytes=1,
        sha256=None,
        kind=FileKind.UNKNOWN,
    )


def _run(launch: int) -> Run:
    timings = Timings(
        load_s=0.1,
        prepare_s=None,
        first_s=0.2,
        warmup_s=(),
        steady_s=(0.01, 0.03, 0.02),
        phases="load, prepare",
        peak_memory_bytes=1,
        load_memory_bytes=1,
        process_cpu_s=0.1,
        timer_resolution_s=1e-9,
        outputs=(),
        input_sha256=None,
        engine_version="1",
        observed_processor=None,
        observed_precision=None,
        observed_threads=None,
    )
    return Run(
        job_sha256=JOB.job_sha256,
        launch=launch,
        status=RunStatus.OK,
        reason=None,
        timings=timings,
        started_at="2026-01-01T00:00:00+00:00",
        wall_s=1.0,
        load_average=None,
        environment_sha256="e",
        argv=("engine",),
        log_tail="",
    )


JOB = Job(model_sha256="m" * 64, format="tflite", engine="null", engine_version="1", device="host")


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    study = Study.create(tmp_path / "s")
    study.write([_app(1), _app(2), _file(1)])
    with study.connect() as connection:
        rows = connection.execute("SELECT path, permissions, package FROM apps ORDER BY 1")
        assert rows.fetchall() == [
            ("apps/1.apk", ["android.permission.CAMERA"], None),
            ("apps/2.apk", ["android.permission.CAMERA"], None),
        ]
        assert connection.execute("SELECT count(*) FROM files").fetchone() == (1,)


def test_every_view_answers_on_an_empty_study(tmp_path: Path) -> None:
    study = Study.create(tmp_path / "s")
    with study.connect() as connection:
        names = [
            n
            for (n,) in connection.execute(
                "SELECT view_name FROM duckdb_views() WHERE NOT internal"
            ).fetchall()
        ]
        assert {"apps", "models", "instances", "samples", "failures"} <= set(names)
        for name in names:
            assert connection.execute(f'SELECT count(*) FROM "{name}"').fetchone() == (0,)


def test_samples_and_launches_unfold_nested_rows(tmp_path: Path) -> None:
    study = Study.create(tmp_path / "s")
    study.write([JobRecord(job_sha256=JOB.job_sha256, job=JOB, launches=2), _run(0), _run(1)])
    with study.connect() as connection:
        samples = connection.execute(
            "SELECT launch, position, latency_s FROM samples ORDER BY 1, 2"
        )
        assert samples.fetchall()[:3] == [(0, 0, 0.01), (0, 1, 0.03), (0, 2, 0.02)]
        medians = connection.execute("SELECT engine, launch, median_s FROM launches ORDER BY 2")
        assert medians.fetchall() == [("null", 0, 0.02), ("null", 1, 0.02)]


def test_a_folder_with_quotes_and_brackets_in_its_name_works(tmp_path: Path) -> None:
    study = Study.create(tmp_path / "a'b [x] *?{1}")
    study.write([_app(1)])
    with study.connect() as connection:
        assert connection.execute("SELECT count(*) FROM apps").fetchone() == (1,)


def test_names_that_are_no_unicode_are_written_with_escapes(tmp_path: Path) -> None:
    study = Study.create(tmp_path / "s")
    study.write([_file(1, member="assets/\udce4\u00e4\0.bin")])
    with study.connect() as connection:
        member = connection.execute("SELECT member FROM files").fetchone()
        assert member == ("assets/\\udce4\u00e4\0.bin",)


def test_a_value_beyond_its_column_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    study = Study.create(tmp_path / "s")
    with pytest.raises(StoreError, match="does not fit"):
        study.write([_app(1), _app(2, size_bytes=2**63)])
    with study.connect() as connection:
        assert connection.execute("SELECT count(*) FROM apps").fetchone() == (0,)


def test_compaction_keeps_the_rows_and_leaves_one_part(tmp_path: Path) -> None:
    study = Study.create(tmp_path / "s")
    for number in range(5):
        study.write([_app(number), _file(number)])
    study.compact()
    assert len(list((tmp_path / "s/tables/apps").iterdir())) == 1
    with study.connect() as connection:
        assert connection.execute("SELECT count(DISTINCT path) FROM apps").fetchone() == (5,)
    assert not list((tmp_path / "s/journal").iterdir())


def test_a_complete_batch_in_the_journal_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = Study.create(tmp_path / "s")
    with monkeypatch.context() as patch:
        patch.setattr(Study, "_apply", lambda _self, _batch: None)
        study.write([_app(1), _file(1)])
    with study.connect() as connection:
        assert connection.execute("SELECT count(*) FROM apps").fetchone() == (0,)
    with study.exclusive():
        pass
    with study.connect() as connection:
        assert connection.execute("SELECT count(*) FROM apps").fetchone() == (1,)


def test_an_incomplete_batch_in_the_journal_is_dropped(tmp_path: Path) -> None:
    study = Study.create(tmp_path / "s")
    half = tmp_path / "s/journal/batch"
    half.mkdir()
    (half / "apps.parquet").write_bytes(b"PAR1")
    with study.exclusive():
        pass
    assert not half.exists()
    with study.connect() as connection:
        assert connection.execute("SELECT count(*) FROM apps").fetchone() == (0,)


_WRITE_FOR_EVER = """
import itertools, sys
from pathlib import Path
from gaugenn.records import App, AppFile, FileKind, PackageKind
from gaugenn.store import Study
study = Study(Path(sys.argv[1]))
for number in itertools.count():
    name = f"{number:064x}"
    app = App(path=name, app_sha256=name, size_bytes=1, modified_ns=1, kind=PackageKind.APK)
    files = [
        AppFile(app_sha256=name, member=member, size_bytes=1, sha256=None, kind=FileKind.UNKNOWN)
        for member in "ab"
    ]
    study.write([app, *files])
"""


@pytest.mark.parametrize("seed", range(6))
def test_a_killed_writer_leaves_only_whole_batches(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "s"
    Study.create(path)
    # A process of its own, no fork: Arrow's threads do not survive one.
    with subprocess.Popen([sys.executable, "-c", _WRITE_FOR_EVER, str(path)]) as process:
        while process.poll() is None and not list(path.glob("tables/apps/*.parquet")):
            time.sleep(0.001)
        time.sleep(0.031 * seed)
        process.kill()
    study = Study(path)
    with study.exclusive(), study.connect() as connection:
        row = connection.execute(
            "SELECT (SELECT count(*) FROM apps), (SELECT count(*) FROM files)"
        ).fetchone()
    assert row is not None
    apps, files = row
    assert apps > 0
    assert files == 2 * apps


def _fill(path: Path) -> int:
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    study = Study(path)
    study.write([_app(1)])
    failures = 0
    for attempt in (
        lambda: study.write([_app(n, label=os.urandom(40).hex()) for n in range(5_000)]),
        lambda: study.blobs.put(memoryview(bytes(100_000)), "0" * 64),
    ):
        try:
            attempt()
        except StorageFullError:
            failures += 1
    study.write([_app(2)])
    return failures


def test_a_full_disk_is_an_error_that_loses_nothing_already_written(tmp_path: Path) -> None:
    path = tmp_path / "s"
    Study.create(path)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply(_fill, (path,)) == 2
    study = Study(path)
    with study.exclusive(), study.connect() as connection:
        rows = connection.execute("SELECT path FROM apps ORDER BY 1").fetchall()
    assert rows == [("apps/1.apk",), ("apps/2.apk",)]
    assert [p for p in path.rglob("*") if p.is_file() and p.name.endswith(".part")] == []


def test_a_study_of_a_newer_version_is_a_clear_error(tmp_path: Path) -> None:
    study = Study.create(tmp_path)
    (study.path / "study.json").write_text('{"schema_version": 99}')
    with pytest.raises(StoreError, match=r"schema version 99.*upgrade gaugenn"):
        Study(tmp_path)


def test_what_an_older_version_concluded_from_models_is_dropped_and_nothing_else(
    tmp_path: Path,
) -> None:
    study = Study.create(tmp_path)
    model = ModelRecord(model_sha256="a" * 64, kind=FileKind.MODEL, format="onnx", size_bytes=1)
    study.write([_app(1), model])
    study.renew()
    assert study.rows(ModelRecord) == [model]
    told = json.loads((tmp_path / "study.json").read_text())
    (tmp_path / "study.json").write_text(json.dumps(told | {"schema_version": 1}))
    older = Study(tmp_path)
    assert (older.schema_version, len(older.rows(ModelRecord))) == (1, 1)
    older.renew()
    assert (len(older.rows(ModelRecord)), len(older.rows(App))) == (0, 1)
    assert json.loads((tmp_path / "study.json").read_text()) == told


def test_a_folder_that_is_no_study_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is no study"):
        Study(tmp_path)


def test_a_folder_with_other_files_is_not_taken_over(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(UsageError, match="holds other files"):
        Study.create(tmp_path)


def test_two_commands_cannot_write_one_study_at_once(tmp_path: Path) -> None:
    study = Study.create(tmp_path / "s")
    with study.exclusive(), pytest.raises(UsageError, match="another gaugenn"), study.exclusive():
        pass


def test_a_blob_is_stored_once_and_checked(tmp_path: Path) -> None:
    blobs = Study.create(tmp_path / "s").blobs
    digest = "d3751d33f9cd5049c4af2b462735457e4d3baf130bcbb87f389e349fbaeb20b9"
    path = blobs.put(memoryview(b"hello, world"), "0" * 64)
    with pytest.raises(StoreError, match="was changed"):
        blobs.verify("0" * 64)
    assert path.read_bytes() == b"hello, world"
    with pytest.raises(StoreError, match="is missing"):
        blobs.verify(digest)
    with pytest.raises(StoreError, match="no SHA-256"):
        blobs.path("../../etc/passwd")


def test_a_failure_that_was_overcome_is_not_listed(tmp_path: Path) -> None:
    study = Study.create(tmp_path / "s")
    failure = Failure(
        stage="scan", subject="apps/1.apk", error="StorageFullError", message="m", transient=True
    )
    study.write([failure])
    with study.connect() as connection:
        assert connection.execute("SELECT count(*) FROM failures").fetchone() == (1,)
    study.write([_app(1)])
    with study.connect() as connection:
        assert connection.execute("SELECT count(*) FROM failures").fetchone() == (0,)


def test_a_statement_reaches_no_file_outside_the_study(tmp_path: Path) -> None:
    study = Study.create(tmp_path / "s")
    study.write([_app(1)])
    (tmp_path / "secret.csv").write_text("a\n1\n")
    for statement in (
        f"SELECT * FROM read_csv('{tmp_path}/secret.csv')",
        f"COPY (SELECT 1) TO '{tmp_path}/out.csv'",
        f"ATTACH '{tmp_path}/new.db'",
        "SET enable_external_access = true",
    ):
        with pytest.raises(StoreError), study.connect() as connection:
            connection.execute(statement)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["s", "secret.csv"]


def test_rows_that_lack_a_later_column_are_read_with_its_default(tmp_path: Path) -> None:
    study = Study.create(tmp_path / "s")
    study.write([_app(1), _app(2)])
    (part,) = (tmp_path / "s/tables/apps").iterdir()
    older = pq.read_table(part).drop_columns(["permissions", "members", "label"])
    pq.write_table(older, part)
    study.write([_app(3, members=7)])
    rows = {row.path: row for row in study.rows(App)}
    assert rows["apps/1.apk"].permissions == ()
    assert (rows["apps/2.apk"].members, rows["apps/2.apk"].label) == (0, None)
    assert rows["apps/3.apk"].members == 7


def test_a_record_inside_a_row_that_lacks_a_later_field_is_read_with_its_default(
    tmp_path: Path,
) -> None:
    study = Study.create(tmp_path / "s")
    study.write([_run(0)])
    (part,) = (tmp_path / "s/tables/runs").iterdir()
    later = ("steady_start_s", "stamps", "inferences_per_sample", "timer_cost_s")
    rows = pq.read_table(part).drop_columns(["before", "variables"]).to_pylist()
    for row in rows:
        for name in later:
            del row["timings"][name]
    pq.write_table(pa.Table.from_pylist(rows), part)
    study.write([_run(1)])
    for compacted in (False, True):
        if compacted:
            study.compact()
        old, new = sorted(study.rows(Run), key=lambda run: run.launch)
        assert old.timings == new.timings
        assert (old.before, old.variables) == ((), ())


def test_a_folder_in_which_a_study_was_about_to_be_made_becomes_one(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    folder.mkdir()
    (folder / ".study.json.4711").write_text('{"schema_ver')
    assert Study.create(folder).rows(App) == []


def test_a_place_that_could_not_be_entered_is_no_failure_once_its_packages_are_there(
    tmp_path: Path,
) -> None:
    study = Study.create(tmp_path / "s")
    study.write(
        Failure(stage="discover", subject=subject, error="E", message="m", transient=True)
        for subject in ("folder", "other", "a.apk")
    )
    study.write(_app(1, path=path) for path in ("folder/deep/x.apk", "a.apk", "otherwise.apk"))
    with study.connect() as connection:
        left = connection.execute("SELECT subject FROM failures").fetchall()
    assert left == [("other",)]
