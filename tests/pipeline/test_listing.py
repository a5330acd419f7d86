"""A list of very many apps is written and worked through a part at a time."""

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from gaugenn.pipeline._listing import References, listed, missing, progress
from gaugenn.pipeline.crawl import CrawlSettings, _list
from gaugenn.records import AppRef, Crawl, Download, Failure
from gaugenn.sources import SourceOptions
from gaugenn.sources.folder import FolderSource
from gaugenn.store import Study

CRAWL = Crawl(
    snapshot="s",
    source="folder",
    address="a",
    query="",
    started_at="2026-01-01T00:00:00+00:00",
    gaugenn_version="1",
)


def _refs(count: int) -> Iterator[AppRef]:
    for number in range(count):
        yield AppRef(
            snapshot="",
            source="folder",
            address="a",
            reference=f"{number:064x}",
            listed_at="2026-01-01T00:00:00+00:00",
            package=f"org.example.number{number}",
        )


class _Store(FolderSource):
    count = 0

    def search(self, query: object) -> Iterator[AppRef]:  # noqa: ARG002
        yield from _refs(self.count)
        yield from _refs(min(self.count, 3))  # some come twice


@pytest.fixture
def source(tmp_path: Path) -> _Store:
    (tmp_path / "a").mkdir()
    return _Store(str(tmp_path / "a"), SourceOptions(cache=tmp_path))


def _peak(study: Study, source: _Store, count: int) -> int:
    source.count = count
    tracemalloc.start()
    try:
        _list(study, source, CrawlSettings(), CRAWL)
        assert sum(1 for _ in missing(study, CRAWL)) == count
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_list(source: _Store, tmp_path: Path) -> None:
    few = _peak(Study.create(tmp_path / "few"), source, 12_000)
    many = _peak(Study.create(tmp_path / "many"), source, 24_000)
    assert many - few < 4 << 20  # 12,000 rows held as records take three times that


def test_a_list_that_was_interrupted_is_gone_on_with_in_its_order(
    source: _Store, tmp_path: Path
) -> None:
    study = Study.create(tmp_path / "s")
    source.count = 10
    _list(study, source, CrawlSettings(limit=4), CRAWL)
    _list(study, source, CrawlSettings(), CRAWL)
    _list(study, source, CrawlSettings(), CRAWL)
    assert [ref.reference for ref in study.rows(AppRef)] == [r.reference for r in _refs(10)]
    assert not listed(study, CRAWL).add(f"{9:064x}")
    assert listed(study, CRAWL).add(f"{10:064x}")
    here = Download(
        snapshot="s",
        source="folder",
        address="a",
        reference=f"{2:064x}",
        path="p",
        sha256="0" * 64,
        size_bytes=1,
        fetched_at="2026-01-01T00:00:00+00:00",
    )
    failure = Failure(
        stage="crawl", subject=f"folder a {3:064x}", error="E", message="m", transient=True
    )
    study.write([here, failure])
    assert [int(ref.reference, 16) for ref in missing(study, CRAWL)] == [0, 1, *range(3, 10)]
    counted = progress(study, CRAWL)
    assert (counted.listed, counted.fetched, counted.failed) == (10, 1, 1)


def test_references_are_met_once_however_many_there_are() -> None:
    met = References()
    assert all(met.add(str(number)) for number in range(70_000))
    assert not any(met.add(str(number)) for number in range(0, 70_000, 7))
    assert met.add("\ud800")
