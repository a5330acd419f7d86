"""An app is one row, however many files it is."""

import io
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from tests.apps.axml import manifest
from tests.pipeline import packages

from gaugenn import api
from gaugenn.store import Study


def _apk(
    path: Path, members: dict[str, bytes], *, version: int = 7, split: str | None = None
) -> Path:
    identity = manifest("org.example.app", version, split)
    packages.package({"AndroidManifest.xml": identity, **members}, path)
    return path


BASE = {"assets/net.onnx": packages.onnx_model(), "assets/own.onnx": packages.onnx_model(1)}
SPLIT = {"lib/arm64-v8a/libncnn.so": b"\x7fELF", "assets/net.onnx": packages.onnx_model()}


def _ask(study: Path, sql: str) -> list[tuple[object, ...]]:
    with Study(study).connect() as connection:
        return connection.execute(sql).fetchall()


def _set(folder: Path) -> Path:
    """Names say nothing, so that the manifests have to."""
    _apk(folder / "m.apk", BASE)
    _apk(folder / "a.apk", SPLIT, split="config.arm64_v8a")
    _apk(folder / "z.apk", {"assets/pack.onnx": packages.onnx_model(2)}, split="pack")
    return folder


APP = """SELECT parse_filename(path), kind, package, version_code, abis,
         list_transform(splits, lambda s: s.name) FROM apps ORDER BY 1"""


def test_base_and_splits_given_as_files_are_one_app(tmp_path: Path) -> None:
    folder = _set(tmp_path / "apps")
    api.scan([folder], tmp_path / "s")
    assert _ask(tmp_path / "s", APP) == [
        ("m.apk", "split-set", "org.example.app", 7, ["arm64-v8a"], ["config.arm64_v8a", "pack"]),
    ]
    assert _ask(tmp_path / "s", "SELECT member FROM files ORDER BY 1") == [
        ("a.apk!/assets/net.onnx",),
        ("m.apk!/assets/net.onnx",),
        ("m.apk!/assets/own.onnx",),
        ("z.apk!/assets/pack.onnx",),
    ]
    owners = "SELECT count(DISTINCT app_sha256), count(*) FROM evidence WHERE name = 'ncnn'"
    assert _ask(tmp_path / "s", owners) == [(1, 1)]
    api.scan([folder], tmp_path / "s")
    assert _ask(tmp_path / "s", "SELECT count(*) FROM apps") == [(1,)]


def test_the_order_of_the_files_and_where_they_lie_do_not_change_the_identity(
    tmp_path: Path,
) -> None:
    one, two = _set(tmp_path / "one"), _set(tmp_path / "two")
    api.scan([one], tmp_path / "s")
    api.scan(sorted(two.iterdir(), reverse=True), tmp_path / "s")
    assert _ask(tmp_path / "s", "SELECT count(*), count(DISTINCT app_sha256) FROM apps") == [(2, 1)]


@pytest.mark.parametrize("later", ["a.apk", "m.apk"])
def test_a_part_that_comes_later_joins_the_app(tmp_path: Path, later: str) -> None:
    folder = _set(tmp_path / "apps")
    part = folder / later
    data = part.read_bytes()
    part.unlink()
    api.scan([folder], tmp_path / "s")
    part.write_bytes(data)
    api.scan([folder], tmp_path / "s")
    names = _ask(tmp_path / "s", "SELECT len(splits) FROM packages WHERE path LIKE '%m.apk'")
    assert names == [(2,)]


def test_other_versions_second_bases_and_lone_splits_stay_rows_of_their_own(tmp_path: Path) -> None:
    folder = tmp_path / "apps"
    _set(folder)
    _apk(folder / "n.apk", BASE)
    _apk(folder / "old.apk", BASE, version=6)
    _apk(folder / "lone.apk", SPLIT, version=5, split="config.arm64_v8a")
    api.scan([folder], tmp_path / "s")
    rows = _ask(tmp_path / "s", "SELECT parse_filename(path), kind FROM apps ORDER BY 1")
    assert rows == [
        *(("lone.apk", "split-apk"), ("m.apk", "split-set"), ("n.apk", "apk")),
        ("old.apk", "apk"),
    ]


def test_splits_without_a_base_are_one_app_and_say_so(tmp_path: Path) -> None:
    _apk(tmp_path / "apps/a.apk", SPLIT, split="config.arm64_v8a")
    _apk(tmp_path / "apps/b.apk", {}, split="config.de")
    api.scan([tmp_path / "apps"], tmp_path / "s")
    rows = _ask(tmp_path / "s", "SELECT kind, package, notes FROM apps")
    assert rows == [("split-set", "org.example.app", ["splits-without-base"])]


def _bundle(members: Iterable[Path]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("manifest.json", b'{"package_name": "other"}')
        for path in members:
            archive.write(path, path.name)
    return buffer.getvalue()


def test_a_bundle_records_the_same_splits_as_its_files_would(tmp_path: Path) -> None:
    folder = _set(tmp_path / "apps")
    (tmp_path / "b.xapk").write_bytes(_bundle(sorted(folder.iterdir())))
    api.scan([folder, tmp_path / "b.xapk"], tmp_path / "s")
    rows = _ask(tmp_path / "s", "SELECT splits, package, version_code, permissions FROM apps")
    assert len(rows) == 2
    assert rows[0] == rows[1]


def test_a_folder_with_an_unpacked_app_is_one_app(tmp_path: Path) -> None:
    folder = tmp_path / "apps" / "thing"
    with zipfile.ZipFile(_apk(tmp_path / "x.apk", BASE | SPLIT)) as archive:
        archive.extractall(folder)
    packages.package(BASE, tmp_path / "apps" / "other.zip")
    api.scan([tmp_path / "apps"], tmp_path / "s")
    rows = _ask(tmp_path / "s", "SELECT parse_filename(path), kind, package, abis, error FROM apps")
    assert sorted(rows, key=repr) == [
        ("other.zip", "archive", None, [], None),
        ("thing", "unpacked", "org.example.app", ["arm64-v8a"], None),
    ]
    where = "WHERE app_sha256 = (SELECT app_sha256 FROM apps WHERE kind = 'unpacked')"
    assert _ask(tmp_path / "s", f"SELECT member FROM files {where} ORDER BY 1") == [
        ("assets/net.onnx",),
        ("assets/own.onnx",),
    ]
    api.scan([tmp_path / "apps"], tmp_path / "s")
    assert _ask(tmp_path / "s", "SELECT count(*) FROM apps") == [(2,)]


def test_a_folder_of_sources_is_no_unpacked_app(tmp_path: Path) -> None:
    folder = tmp_path / "apps"
    folder.mkdir()
    (folder / "AndroidManifest.xml").write_text("<manifest/>")
    (folder / "m.onnx").write_bytes(packages.onnx_model())
    api.scan([folder], tmp_path / "s")
    assert _ask(tmp_path / "s", "SELECT parse_filename(path), kind FROM apps") == [
        ("m.onnx", "file")
    ]
