"""Two planted snapshots: the command, the API and the report give the same, known answer."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest
import synthetic

from gaugenn import api
from gaugenn.records import (
    App,
    AppFile,
    AppRef,
    Crawl,
    Download,
    FileKind,
    ModelFile,
    ModelRecord,
    PackageKind,
)
from gaugenn.store import Record, Study

ADDRESS = "https://store.example/repo"


def _crawl(name: str, day: int) -> Crawl:
    stamp = f"2024-01-{day:02}T00:00:00+00:00"
    return Crawl(
        snapshot=name,
        source="fdroid",
        address=ADDRESS,
        query="",
        started_at=stamp,
        listed_at=stamp,
        finished_at=stamp,
        gaugenn_version="0",
    )


def _app(
    snapshot: str,
    package: str,
    category: str,
    code: int,
    models: dict[str, str],
    *,
    here: bool = True,
) -> list[Record]:
    """Rows of an app that a snapshot lists; `models` maps members to `format:identity`."""
    sha = synthetic.sha(f"{package}-{code}")
    ref = AppRef(
        source="fdroid",
        address=ADDRESS,
        reference=f"{package}-{code}",
        listed_at="2024-01-01T00:00:00+00:00",
        snapshot=snapshot,
        package=package,
        categories=(category, "Second"),
    )
    if not here:
        return [ref]
    rows: list[Record] = [
        ref,
        Download(
            snapshot=snapshot,
            source="fdroid",
            address=ADDRESS,
            reference=ref.reference,
            path=f"{package}-{code}.apk",
            sha256=sha,
            size_bytes=1,
            fetched_at=ref.listed_at,
        ),
        App(
            path=f"{package}-{code}.apk",
            app_sha256=sha,
            size_bytes=1,
            modified_ns=code,
            kind=PackageKind.APK,
            package=package,
            version_code=code,
        ),
    ]
    for member, named in models.items():
        form, _, name = named.partition(":")
        model = synthetic.sha(name)
        rows += [
            AppFile(
                app_sha256=sha,
                member=member,
                size_bytes=1,
                sha256=model,
                kind=FileKind.MODEL,
                format=form,
                model_sha256=model,
            ),
            ModelFile(
                model_sha256=model,
                position=0,
                name="model",
                sha256=model,
                size_bytes=1,
                format=form,
            ),
            ModelRecord(model_sha256=model, kind=FileKind.MODEL, format=form, size_bytes=1),
        ]
    return rows


OLD = [
    _crawl("old", 1),
    *_app("old", "org.stays", "Tools", 1, {"a.tflite": "tflite:A"}),
    *_app("old", "org.goes", "Games", 1, {"b.tflite": "tflite:B", "c.tflite": "tflite:C"}),
    *_app("old", "org.turns", "Tools", 1, {"d.tflite": "tflite:D"}),
    *_app("old", "org.missed", "Games", 1, {"e.tflite": "tflite:E"}),
]
NEW = [
    _crawl("new", 2),
    *_app("new", "org.stays", "Tools", 1, {"a.tflite": "tflite:A"}),
    *_app("new", "org.turns", "Tools", 2, {"d.onnx": "onnx:D2"}),
    *_app("new", "org.missed", "Games", 2, {}, here=False),
    *_app("new", "org.comes", "Games", 1, {"f.tflite": "tflite:F"}),
]


@pytest.fixture
def both(tmp_path: Path) -> Path:
    study = Study.create(tmp_path / "both")
    study.write(OLD)
    study.write(NEW)
    return study.path


def _numbers(found: api.SnapshotDiff) -> dict[tuple[str | None, str, str], int]:
    return {
        (row.category, what, change.value): number
        for row in found.categories
        for what, counted in (("apps", row.apps), ("models", row.models))
        for change, number in counted.items()
        if number
    }


KNOWN = {
    ("Games", "apps", "added"): 1,
    ("Games", "apps", "removed"): 1,
    ("Games", "apps", "unknown"): 1,
    ("Games", "models", "added"): 1,
    ("Games", "models", "removed"): 2,
    ("Tools", "apps", "kept"): 1,
    ("Tools", "apps", "moved"): 1,
    ("Tools", "models", "kept"): 1,
    ("Tools", "models", "moved"): 1,
}


def test_two_snapshots_of_one_study_give_the_known_answer(both: Path) -> None:
    assert _numbers(api.diff(f"{both}@old", f"{both}@new")) == KNOWN


def test_two_studies_give_the_same_but_for_what_no_store_can_tell(tmp_path: Path) -> None:
    unlisted = [row for row in NEW if not isinstance(row, AppRef)]
    for name, rows in (("x@old", OLD), ("new", NEW), ("unlisted", unlisted)):
        Study.create(tmp_path / name).write(rows)
    assert _numbers(api.diff(tmp_path / "x@old", tmp_path / "new")) == KNOWN
    found = _numbers(api.diff(tmp_path / "x@old", tmp_path / "unlisted"))
    # Without a list of the store an app that was not scanned is an app that is not there.
    assert found[("Games", "apps", "removed")] == 2
    assert found[("Games", "models", "removed")] == 3
    assert not any(change == "unknown" for _, _, change in found)


def test_an_app_of_an_older_list_that_was_never_fetched_is_no_part_of_a_study(
    tmp_path: Path,
) -> None:
    study = Study.create(tmp_path / "both")
    study.write([*OLD, *_app("old", "org.past", "Games", 1, {}, here=False), *NEW])
    apps = {change.app for change in api.diff(study.path, study.path).apps}
    assert "org.missed" in apps
    assert "org.past" not in apps


def test_the_report_compares_the_last_two_snapshots(both: Path, tmp_path: Path) -> None:
    oldest = replace(_crawl("oldest", 1), started_at="2023-01-01T00:00:00+00:00")
    Study(both).write([oldest, *_app("oldest", "org.x", "Tools", 1, {})])
    path = api.report_figure(both, "snapshots", "csv", tmp_path / "f.csv")
    rows = list(csv.DictReader(path.read_text().splitlines()))
    found = {
        (row["category"], *column.split("_", 1)): int(float(value))
        for row in rows
        for column, value in row.items()
        if column.startswith(("apps_", "models_")) and float(value)
    }
    assert found == KNOWN
    assert {(row["old"], row["new"]) for row in rows} == {("old", "new")}
    page = api.report(both).read_text()
    assert "snapshot new against old" in page


def test_a_study_of_one_snapshot_has_nothing_to_compare(tmp_path: Path) -> None:
    study = Study.create(tmp_path / "one")
    study.write(OLD)
    assert "fewer than two snapshots" in api.report(study.path).read_text()
