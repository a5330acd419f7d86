"""Packages that lie in a folder, and what a file of metadata says of them."""

import json
import os
from pathlib import Path

import pytest

from gaugenn.errors import SourceError, UsageError
from gaugenn.sources import AppQuery, SourceOptions, _metadata
from gaugenn.sources.folder import FolderSource

CHART = (
    "package,title,category,installs,rating,ratings,price,currency,chart,rank,country,version_code\n"
    'org.a,App A,Tools|Games,"1,000,000+",4.5,120,0,EUR,top-free,2,GB,7\n'
    "org.b,,Tools,,,,,,top-free,1,GB,\n"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "apps"
    (place / "deep").mkdir(parents=True)
    (place / "org.a.apk").write_bytes(b"PK\x03\x04a")
    (place / "deep/zip-by-content").write_bytes(b"PK\x03\x04b")
    (place / "notes.txt").write_text("no package")
    return place


def _options(tmp_path: Path, text: str = "", name: str = "m.csv") -> SourceOptions:
    if text:
        (tmp_path / name).write_text(text)
    return SourceOptions(cache=tmp_path, metadata=tmp_path / name if text else None)


def test_packages_are_listed_by_name_and_content_with_what_a_store_says(
    folder: Path, tmp_path: Path
) -> None:
    source = FolderSource(f"{folder}/", _options(tmp_path, CHART))
    a, deep = source.search(AppQuery())
    assert (deep.reference, deep.package) == ("deep/zip-by-content", None)
    assert (a.package, a.title, a.categories) == ("org.a", "App A", ("Tools", "Games"))
    assert (a.installs, a.rating, a.ratings, a.price) == (1_000_000, 4.5, 120, 0.0)
    assert (a.rank, a.chart, a.country, a.version_code) == (2, "top-free", "GB", 7)
    assert source.fetch(a, tmp_path) == folder / "org.a.apk"
    assert [r.package for r in source.search(AppQuery(categories=("games",), top=2))] == ["org.a"]
    assert list(source.search(AppQuery(top=1))) == []
    (folder / "org.a.apk").unlink()
    with pytest.raises(SourceError, match="not there any more"):
        source.fetch(a, tmp_path)


def test_metadata_may_be_json_and_name_files(folder: Path, tmp_path: Path) -> None:
    row = {"file": "deep/zip-by-content", "package": "org.z", "category": ["X"], "rating": 3}
    for name, text in (("m.json", json.dumps([row])), ("m.jsonl", json.dumps(row) + "\n\n")):
        source = FolderSource(str(folder), _options(tmp_path, text, name))
        _, deep = source.search(AppQuery())
        assert (deep.package, deep.categories, deep.rating) == ("org.z", ("X",), 3.0)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("m.csv", "package,installs\norg.a,many\n"),
        ("m.csv", "package,rating\norg.a,nan\n"),
        ("m.csv", "package,rank\norg.a,-1\n"),
        ("m.json", "[1]"),
        ("m.json", '{"a": '),
        ("m.json", "7"),
        ("m.jsonl", "{}\nx\n"),
    ],
)
def test_metadata_that_cannot_be_read_says_where(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=name):
        list(_metadata.rows(tmp_path / name))
    with pytest.raises(UsageError, match="cannot be read"):
        list(_metadata.rows(tmp_path / "missing.csv"))


def test_what_is_no_folder_is_a_usage_error(tmp_path: Path) -> None:
    for address in ("", str(tmp_path / "none")):
        with pytest.raises(UsageError, match="no folder"):
            FolderSource(address, _options(tmp_path))


def test_names_that_are_no_unicode_can_be_kept_and_are_found_again(tmp_path: Path) -> None:
    odd = tmp_path / "odd"
    odd.mkdir()
    path = odd / os.fsdecode(b"\xff.apk")
    path.write_bytes(b"PK\x03\x04")
    source = FolderSource(str(odd), _options(tmp_path))
    (ref,) = source.search(AppQuery())
    assert ref.reference == "\\udcff.apk"
    assert source.fetch(ref, tmp_path) == path
