"""The main job on good and bad packages, with processes that die."""

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import duckdb
import numpy as np
import pytest
from tests.pipeline import packages

from gaugenn import api
from gaugenn.analysis.snapshots import Change
from gaugenn.content import path_of
from gaugenn.errors import LimitError, StorageFullError, StoreError
from gaugenn.execute import Outcome
from gaugenn.execute.local import LocalPool
from gaugenn.pipeline import inspect as inspecting
from gaugenn.pipeline._failures import as_failure
from gaugenn.records import ModelRecord
from gaugenn.store import Study

T = TypeVar("T")
R = TypeVar("R")

# What a run measures differs from run to run; what it finds must not.
TABLES = {
    "apps": "* EXCLUDE (modified_ns)",
    "files": "*",
    "evidence": "*",
    "model_files": "DISTINCT *",
    "models": "*",
    "layers": "*",
    "jobs": "job_sha256, launches",
    "runs": "job_sha256, launch, status",
    "failures": "*",
}


def _command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "gaugenn", *(str(a) for a in arguments)]


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}


def _run(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # type: ignore[call-overload,no-any-return]
        _command(*arguments),
        capture_output=True,
        text=True,
        check=False,
        env=_environment(),
        **options,
    )


def _files(folder: Path) -> int:
    """Files written so far. Walks without failing on folders that vanish meanwhile."""
    return sum(len(files) for _, _, files in os.walk(folder))


def _contents(folder: Path) -> dict[str, list[tuple[object, ...]]]:
    with Study(folder).connect() as connection:
        return {
            table: sorted(connection.execute(f"SELECT {columns} FROM {table}").fetchall(), key=repr)
            for table, columns in TABLES.items()
        }


@pytest.fixture(scope="module")
def apps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packages")
    packages.hostile_folder(folder)
    return folder


@pytest.fixture(scope="module")
def study(apps: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study") / "s"
    done = _run("study", apps, "--out", folder, "--no-bench", "--json")
    assert done.returncode == 0, done.stderr
    return folder


def _ask(study: Path, sql: str) -> list[tuple[object, ...]]:
    with Study(study).connect() as connection:
        return connection.execute(sql).fetchall()


def test_every_package_has_a_row(study: Path, apps: Path) -> None:
    rows = dict(_ask(study, "SELECT path, kind FROM apps"))
    names = {Path(str(path)).relative_to(apps).as_posix(): kind for path, kind in rows.items()}
    assert names == {
        "good.apk": "apk",
        "same.apk": "apk",
        "flags.apk": "apk",
        "truncated.apk": "apk",
        "inner/other.apk": "archive",
        "traversal.apk": "archive",
        "bomb.apk": "archive",
        "empty.apk": "none",
        "notes.apk": "none",
        "words.tflite": "file",
        "cut.onnx": "file",
        "lone.onnx": "file",
    }


def test_a_package_that_is_none_says_what_it_is(study: Path) -> None:
    rows = dict(_ask(study, "SELECT parse_filename(path), error FROM apps WHERE kind = 'none'"))
    assert "empty" in str(rows["empty.apk"])
    assert "expected a zip archive" in str(rows["notes.apk"])


def test_every_model_is_found_once_and_every_place_of_it(study: Path) -> None:
    distinct = _ask(
        study, "SELECT format, count(*) FROM models WHERE kind = 'model' GROUP BY 1 ORDER BY 1"
    )
    assert distinct == [("ncnn", 1), ("onnx", 4)]
    places = _ask(
        study,
        "SELECT parse_filename(path), member FROM instances WHERE format = 'onnx' ORDER BY 1, 2",
    )
    assert [(a, m) for a, m in places if a != "truncated.apk"] == [
        ("flags.apk", "assets/net.onnx"),
        ("good.apk", "assets/net.onnx"),
        ("lone.onnx", "lone.onnx"),
        ("other.apk", "res/raw/other"),
        ("same.apk", "assets/again.dat"),
        ("same.apk", "assets/net.onnx"),
        ("traversal.apk", "../../../tmp/evil.onnx"),
    ]


def test_a_model_in_two_files_is_one_model(study: Path) -> None:
    rows = _ask(study, "SELECT position, name FROM model_files WHERE format = 'ncnn' GROUP BY ALL")
    assert sorted(rows) == [(0, "model.param"), (1, "model.bin")]
    kinds = _ask(
        study,
        "SELECT DISTINCT f.kind, f.model_sha256 = m.model_sha256 FROM files f, model_files m"
        " WHERE f.member = 'assets/net.bin' AND m.format = 'ncnn' AND f.kind = 'weights'",
    )
    assert kinds == [("weights", True)]


def test_costs_are_those_of_the_network(study: Path) -> None:
    rows = _ask(
        study,
        "SELECT DISTINCT macs, flops, parameters FROM models WHERE format = 'onnx'"
        " AND kind = 'model'",
    )
    assert rows == [(8 * 8 * 8 * 27, 2 * 8 * 8 * 8 * 27, 216)]


def test_what_is_no_model_has_a_row_with_the_reason(study: Path) -> None:
    rows = {
        member: (kind, error)
        for member, kind, error in _ask(
            study, "SELECT member, kind, error FROM files WHERE kind NOT IN ('model', 'weights')"
        )
    }
    assert "text" in str(rows["words.tflite"][1])
    assert "over 200 to 1: a bomb" in str(rows["assets/bomb.onnx"][1])


def test_a_cut_model_is_an_invalid_model_with_the_reason(study: Path) -> None:
    rows = _ask(study, "SELECT kind, error FROM models WHERE kind <> 'model'")
    assert [(kind, bool(error)) for kind, error in rows] == [("invalid", True)]


def test_no_member_name_became_a_path(study: Path) -> None:
    assert not Path("/tmp/evil.onnx").exists()
    assert {p.suffix for p in study.rglob("*") if p.is_file()} == {".json", ".parquet", ".html", ""}


def test_a_second_run_adds_nothing(study: Path, apps: Path) -> None:
    before = _contents(study)
    done = _run("study", apps, "--out", study, "--no-bench", "--quiet")
    assert done.returncode == 0, done.stderr
    assert _contents(study) == before
    assert done.stdout.strip() == str(study / "report.html")


@pytest.mark.parametrize("seed", range(3))
def test_a_study_killed_again_and_again_ends_like_an_undisturbed_one(
    study: Path, apps: Path, tmp_path: Path, seed: int
) -> None:
    generator = random.Random(seed)
    folder = tmp_path / "s"
    command = _command("study", apps, "--out", folder, "--no-bench", "--quiet", "--workers", 1)
    kills = 0
    for _ in range(6):
        with subprocess.Popen(
            command,
            env=_environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            deadline = time.monotonic() + generator.uniform(0.8, 3)
            more = generator.randint(1, 8)
            already = _files(folder)
            while process.poll() is None and time.monotonic() < deadline:
                if _files(folder) >= already + more:
                    break
                time.sleep(generator.uniform(0, 0.004))
            kills += process.poll() is None
            process.send_signal(signal.SIGKILL)
    assert kills >= 2
    done = subprocess.run(command, env=_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert _contents(folder) == _contents(study)
    assert not list((folder / "journal").iterdir())


def test_a_bench_killed_again_and_again_has_every_launch_once(apps: Path, tmp_path: Path) -> None:
    folder, undisturbed = tmp_path / "s", tmp_path / "u"
    options = ("--engine", "null", "--launches", 3, "--quiet", "--workers", 1)
    command = _command("study", apps / "good.apk", "--out", folder, *options)
    generator = random.Random(0)
    for _ in range(3):
        with subprocess.Popen(
            command, env=_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            wanted = _runs(folder) + generator.randint(1, 2)
            while process.poll() is None and _runs(folder) < wanted:
                time.sleep(generator.uniform(0, 0.01))
            process.send_signal(signal.SIGKILL)
    done = subprocess.run(command, env=_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    done = _run("study", apps / "good.apk", "--out", undisturbed, *options)
    assert done.returncode == 0, done.stderr
    found = _contents(folder)
    assert found == _contents(undisturbed)
    assert [row[2] for row in found["runs"]] == ["ok"] * 6
    assert not list((folder / "journal").iterdir())


def _runs(folder: Path) -> int:
    return len(list((folder / "tables/runs").glob("*.parquet")))


def _small_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def test_a_full_disk_ends_with_a_message_and_the_study_goes_on_later(
    study: Path, apps: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "s"
    arguments = ("study", apps, "--out", folder, "--no-bench", "--quiet")
    done = _run(*arguments, preexec_fn=_small_files)
    assert done.returncode == 3, done.stderr
    assert "no room left" in done.stderr
    assert "Traceback" not in done.stderr
    done = _run(*arguments)
    assert done.returncode == 0, done.stderr
    assert _contents(folder) == _contents(study)


# What a shell starts in the background ignores interrupts, and so would its children.
INTERRUPTIBLE = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from gaugenn.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_an_interrupted_study_says_how_to_go_on(apps: Path, tmp_path: Path) -> None:
    folder = tmp_path / "s"
    options = ("--no-bench", "--workers", "1")
    with subprocess.Popen(
        [
            sys.executable,
            "-c",
            INTERRUPTIBLE,
            *_command("study", apps, "--out", folder)[3:],
            *options,
        ],
        env=_environment(),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while not list(folder.glob("tables/*/*.parquet")) and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
    assert process.returncode == 130, errors
    assert "same command goes on" in errors


def test_the_api_has_the_verbs(apps: Path, tmp_path: Path) -> None:
    result = api.scan([apps / "good.apk"], tmp_path / "s", workers=1)
    assert result.study == tmp_path / "s"
    table = api.query(tmp_path / "s", "SELECT format, kind FROM models ORDER BY 1")
    assert table.to_pylist() == [
        {"format": "ncnn", "kind": "model"},
        {"format": "onnx", "kind": "model"},
    ]
    assert api.report(tmp_path / "s").read_text().startswith("<!DOCTYPE html>")


def test_models_run_in_a_study_with_a_relative_path(apps: Path, tmp_path: Path) -> None:
    arguments = ("study", apps / "good.apk", "--out", "s", "--engine", "null", "--launches", 1)
    done = _run(*arguments, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["launches_ok"], summary["jobs_measured"]) == (2, 2)


def test_an_engine_that_was_named_but_is_not_there_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(packages.onnx_model())
    done = _run("study", tmp_path / "a.onnx", "--out", tmp_path / "s", "--engine", "litert==0.0.1")
    assert done.returncode == 1
    assert "gaugenn engines install litert==0.0.1" in done.stderr
    done = _run("study", tmp_path / "a.onnx", "--out", tmp_path / "s", "--engine", "nosuch")
    assert done.returncode == 2
    assert "there is no engine 'nosuch'; there are: " in done.stderr
    assert "litert, " in done.stderr
    assert not (tmp_path / "s").exists()


def test_a_size_that_fits_no_open_input_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(packages.onnx_model())
    options = ("--out", tmp_path / "s", "--engine", "null", "--input-shape", "x=1,2")
    done = _run("study", tmp_path / "a.onnx", *options)
    assert done.returncode == 2
    assert "no model leaves the size of an input 'x' open" in done.stderr


def test_lists_are_json_in_a_csv(study: Path) -> None:
    sql = (
        "SELECT list(format ORDER BY format) AS formats, 1 AS one FROM models WHERE kind = 'model'"
    )
    done = _run("query", study, sql, "--format", "csv")
    assert done.stdout.splitlines()[1].startswith('"[""ncnn"", ""onnx""')


def test_a_file_that_the_user_named_has_a_row_whatever_it_is(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("neither this nor that")
    result = api.scan([tmp_path / "notes.txt"], tmp_path / "s", workers=1)
    rows = api.query(result.study, "SELECT kind, error FROM apps").to_pylist()
    assert rows == [{"kind": "none", "error": "neither a package nor a model"}]
    result = api.scan([tmp_path], tmp_path / "t", workers=1)
    assert api.query(result.study, "SELECT * FROM apps").num_rows == 0


def test_users_can_open_the_tables_without_gaugenn(study: Path) -> None:
    rows = duckdb.sql(f"SELECT count(*) FROM '{study}/tables/apps/*.parquet'").fetchall()
    assert rows == [(12,)]


def test_inspect_prints_one_object_a_file_in_order(apps: Path) -> None:
    files = [apps / n for n in ("lone.onnx", "gone.onnx", "good.apk", "words.tflite", "cut.onnx")]
    done = _run("inspect", "--json", *files)
    assert done.returncode == 2
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [o["path"] for o in found] == [str(f) for f in files]
    assert [o["kind"] for o in found] == ["model", "unknown", "package", "unknown", "invalid"]
    model, gone, package, words, cut = found
    assert model["operators"] == {"Conv": 1, "Relu": 1, "GlobalAveragePool": 1}
    assert (model["graphs"], model["nodes"], model["parameters"]) == (1, 3, 216)
    assert model["inputs"] == [{"name": "x", "dtype": "float32", "shape": [1, 3, 8, 8]}]
    assert model["flops"] == 2 * model["macs"] == 2 * 8 * 8 * 8 * 27
    assert "no such file" in gone["error"].lower()
    assert [(m["path"], m["kind"], m["format"]) for m in package["models"]] == [
        ("assets/net.param", "model", "ncnn"),
        ("assets/net.bin", "weights", "ncnn"),
        ("assets/net.onnx", "model", "onnx"),
    ]
    assert words["format"] is None
    assert cut["format"] == "onnx"
    assert cut["error"]


def test_inspect_tells_composition_precision_values_and_every_layer(apps: Path) -> None:
    done = _run("inspect", "--json", "--layers", apps / "lone.onnx", apps / "good.apk")
    lone, package = map(json.loads, done.stdout.splitlines())
    assert lone["layer_classes"] == {"convolution": 1, "activation": 1, "pooling": 1}
    assert lone["weight_elements"] == {"float32": 216}
    assert (lone["quantization"], lone["weights_examined"]) == ("none", 216)
    assert len(lone["weights_sha256"]) == len(lone["architecture_sha256"]) == 64
    assert [layer["operator"] for layer in lone["layers"]] == ["Conv", "Relu", "GlobalAveragePool"]
    assert lone["layers"][0]["output_shape"] == [1, 8, 8, 8]
    assert sum(layer["macs"] for layer in lone["layers"]) == lone["macs"]
    assert [bool(model["layers"]) for model in package["models"]] == [True, False, True]
    printed = _run("inspect", "--layers", apps / "lone.onnx", apps / "good.apk").stdout
    assert printed.count("node") > 3
    assert f"{apps / 'good.apk'}!/assets/net.param" in printed


def test_a_study_of_the_version_before_has_its_models_read_again(
    apps: Path, tmp_path: Path
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    for folder in (old, new):
        api.scan([apps / "lone.onnx"], folder, workers=1)
    before = Study(old).rows(ModelRecord)
    marker = old / "study.json"
    marker.write_text(json.dumps(json.loads(marker.read_text()) | {"schema_version": 1}))
    with pytest.raises(StoreError, match=r"schema version 1.*makes them anew"):
        api.diff(old, new)
    api.scan([apps / "lone.onnx"], old, workers=1)
    assert Study(old).rows(ModelRecord) == before
    assert not any(each.change is not Change.KEPT for each in api.diff(old, new).models)


def test_a_line_break_in_a_name_does_not_break_a_row(tmp_path: Path) -> None:
    (tmp_path / "two\nlines.onnx").write_bytes(b"?")
    lines = _run("inspect", tmp_path / "two\nlines.onnx").stdout.splitlines()
    assert len(lines) == 2
    assert "two\\nlines.onnx" in lines[1]


def test_inspect_names_what_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "photo").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(90))
    (found,) = api.inspect(tmp_path / "photo")
    assert (found.kind, found.error) == ("unknown", "a PNG image")


def test_weights_without_a_graph_are_no_model(tmp_path: Path) -> None:
    np.save(tmp_path / "table.npy", np.arange(12, dtype=np.float32))
    (found,) = api.inspect(tmp_path / "table.npy")
    assert (found.kind, found.format, found.error) == ("weights", "numpy", None)
    result = api.scan([tmp_path / "table.npy"], tmp_path / "s", workers=1)
    assert (result.summary.models, result.summary.weights_files) == (0, 1)


def test_inspect_exits_0_when_every_file_was_looked_at(apps: Path) -> None:
    assert _run("inspect", apps / "words.tflite", apps / "empty.apk").returncode == 0


def test_inspect_says_that_a_pipe_is_no_file_instead_of_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.onnx")
    done = _run("inspect", "--json", tmp_path / "pipe.onnx", "/dev/zero", timeout=30)
    assert done.returncode == 2
    errors = [json.loads(line)["error"] for line in done.stdout.splitlines()]
    assert errors == ["cannot be read: not a regular file"] * 2


def test_a_reader_that_breaks_costs_inspect_one_file_only(
    apps: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_content: object) -> object:
        raise KeyError("broken reader")

    monkeypatch.setattr(inspecting, "lone_candidate", broken)
    first, second = api.inspect([apps / "lone.onnx", apps / "good.apk"])
    assert "KeyError('broken reader')" in str(first.error)
    assert second.kind == "package"


def test_a_study_inside_the_scanned_folder_does_not_find_itself(apps: Path, tmp_path: Path) -> None:
    folder = tmp_path / "apps"
    folder.mkdir()
    shutil.copy(apps / "good.apk", folder)
    first = api.scan([folder], folder / "study", workers=1)
    second = api.scan([folder], folder / "study", workers=1)
    assert second.summary == first.summary
    assert _ask(folder / "study", "SELECT parse_filename(path) FROM apps") == [("good.apk",)]


def test_a_changed_model_file_is_not_measured_and_its_failure_has_one_row(
    apps: Path, tmp_path: Path
) -> None:
    folder = api.scan([apps / "lone.onnx"], tmp_path / "s", workers=1).study
    (blob,) = (folder / "blobs").glob("??/*")
    blob.write_bytes(blob.read_bytes() + b"!")
    api.bench(folder, api.BenchSettings(engines=("null",), launches=2))
    ((status, reason),) = _ask(folder, "SELECT status, reason FROM runs")
    assert status == "refused"
    assert "was changed" in str(reason)
    shutil.rmtree(folder / "tables" / "models")
    for _ in range(2):
        api.scan([apps / "lone.onnx"], folder, workers=1)
    assert _ask(folder, "SELECT stage, error FROM all_failures") == [("analyse", "StoreError")]


def test_damaged_tables_and_journals_are_store_errors(apps: Path, tmp_path: Path) -> None:
    folder = api.scan([apps / "good.apk"], tmp_path / "s", workers=1).study
    batch = folder / "journal" / "batch"
    batch.mkdir()
    (batch / "COMMIT.json").write_text("{")
    done = _run("scan", apps / "good.apk", "--out", folder)
    assert done.returncode == 1
    assert "COMMIT.json cannot be read" in done.stderr
    assert "Traceback" not in done.stderr
    shutil.rmtree(batch)
    held = _ask(folder, "SELECT model_sha256, macs FROM models ORDER BY 1")
    parts = list((folder / "tables" / "models").iterdir())
    for part in parts:
        os.truncate(part, 100)
    for command in (("scan", apps, "--out", folder), ("query", folder, "SELECT 1 FROM models")):
        done = _run(*command)
        assert done.returncode == 1
        assert f"{parts[0].name}'. Move that file away" in done.stderr
        assert "LINE" not in done.stderr
        assert "Traceback" not in done.stderr
    for part in parts:
        part.rename(tmp_path / part.name)
    assert _run("scan", apps / "good.apk", "--out", folder).returncode == 0
    assert _ask(folder, "SELECT model_sha256, macs FROM models ORDER BY 1") == held


def test_a_blob_without_room_ends_the_scan_and_is_no_failure_of_its_package(
    apps: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class FullPool(LocalPool):
        def map(self, _function: Callable[[T], R], items: Iterable[T]) -> Iterator[Outcome[T, R]]:
            for item in items:
                yield Outcome(item=item, value=None, error=StorageFullError("no room"))

    folder = tmp_path / "s"
    with monkeypatch.context() as patch:
        patch.setattr("gaugenn.api._study.LocalPool", FullPool)
        with pytest.raises(StorageFullError):
            api.scan([apps / "good.apk"], folder, workers=1)
    assert _ask(folder, "SELECT * FROM all_failures") == []
    assert as_failure("scan", "x", StorageFullError("no room")).transient
    assert not as_failure("scan", "x", LimitError("bomb")).transient


def test_names_that_are_no_unicode_are_scanned_and_fail_once(apps: Path, tmp_path: Path) -> None:
    odd = tmp_path / "odd"
    odd.mkdir()
    name = os.fsdecode(b"caf\xe9-\xff.apk")
    shutil.copy(apps / "good.apk", odd / name)
    (odd / f"gone-{name}").symlink_to(tmp_path / "nothing")
    for _ in range(2):
        api.scan([odd], tmp_path / "s", workers=1)
    with Study(tmp_path / "s").connect() as connection:
        paths = connection.execute("SELECT path FROM apps").fetchall()
        failures = connection.execute("SELECT subject FROM all_failures").fetchall()
    assert paths == [(f"{odd}/caf\\udce9-\\udcff.apk",)]
    assert failures == [(f"{odd}/gone-caf\\udce9-\\udcff.apk",)]
    assert path_of(paths[0][0]) == odd / name


def test_a_study_that_cannot_be_held_is_an_error_with_a_message(apps: Path, tmp_path: Path) -> None:
    folder = api.scan([apps / "good.apk"], tmp_path / "s", workers=1).study
    (folder / ".lock").unlink()
    (folder / ".lock").mkdir()
    done = _run("scan", apps, "--out", folder)
    assert done.returncode == 1
    assert done.stderr.strip() == f"gaugenn: {folder} cannot be written: Is a directory"
