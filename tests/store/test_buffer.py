"""Batches of many items: what is held, when it is written, and what survives."""

from pathlib import Path

import pytest

from gaugenn.errors import StorageFullError
from gaugenn.records import App, PackageKind
from gaugenn.store import Buffer, Study


def _app(number: int) -> App:
    return App(
        path=f"/apps/{number}.apk",
        app_sha256=f"{number:064x}",
        size_bytes=1,
        modified_ns=number,
        kind=PackageKind.APK,
    )


def _parts(study: Study) -> int:
    return len(list((study.path / "tables/apps").glob("*.parquet")))


def test_rows_wait_for_company_and_are_written_at_the_end(tmp_path: Path) -> None:
    study = Study.create(tmp_path / "s")
    with Buffer(study, seconds=1e9) as buffer:
        for number in range(5):
            buffer.add([_app(number)])
        assert _parts(study) == 0
    assert _parts(study) == 1
    assert [row.path for row in study.rows(App)] == [f"/apps/{n}.apk" for n in range(5)]


def test_enough_rows_or_enough_time_make_a_batch(tmp_path: Path) -> None:
    study = Study.create(tmp_path / "s")
    with Buffer(study, rows=3, seconds=1e9) as buffer:
        for number in range(7):
            buffer.add([_app(number)])
    assert _parts(study) == 3
    with Buffer(study, seconds=0) as buffer:
        for number in range(2):
            buffer.add([_app(number)])
    assert _parts(study) == 5


def test_an_interrupt_loses_nothing_that_was_added(tmp_path: Path) -> None:
    study = Study.create(tmp_path / "s")

    def interrupted() -> None:
        with Buffer(study, seconds=1e9) as buffer:
            buffer.add([_app(1), _app(2)])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(study.rows(App)) == 2


def test_a_full_disk_ends_the_work_and_the_rows_are_still_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = Study.create(tmp_path / "s")
    buffer = Buffer(study, rows=1)

    def full(_study: Study, _rows: object) -> None:
        raise StorageFullError("no room")

    with monkeypatch.context() as patch:
        patch.setattr(Study, "write", full)
        with pytest.raises(StorageFullError):
            buffer.add([_app(1)])
    buffer.flush()
    assert len(study.rows(App)) == 1


def test_compaction_leaves_large_parts_alone_and_keeps_the_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = Study.create(tmp_path / "s")
    for number in range(6):
        study.write([_app(number)])
    size = next((study.path / "tables/apps").glob("*.parquet")).stat().st_size
    monkeypatch.setattr("gaugenn.store._study.PART_BYTES", 3 * size + 100)
    study.compact()
    assert _parts(study) == 2
    assert [row.path for row in study.rows(App)] == [f"/apps/{n}.apk" for n in range(6)]
    study.write([_app(6)])
    study.compact()
    assert [row.path for row in study.rows(App)] == [f"/apps/{n}.apk" for n in range(7)]
