"""Packages from a store, an archive or a device: `crawl`, `sources_list`."""

from dataclasses import dataclass
from pathlib import Path

from gaugenn.api._study import PathLike, census
from gaugenn.execute.local import LocalPool
from gaugenn.pipeline import Silent, Watcher
from gaugenn.pipeline.crawl import CrawlResult, CrawlSettings, open_source, sources
from gaugenn.pipeline.crawl import crawl as crawl_source
from gaugenn.sources import Clock
from gaugenn.store import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceInfo:
    """A source of packages."""

    name: str
    title: str
    spec: str
    default_address: str | None


def sources_list() -> tuple[SourceInfo, ...]:
    """Every source that packages can come from."""
    return tuple(
        SourceInfo(
            name=name, title=kind.title, spec=kind.spec, default_address=kind.default_address
        )
        for name, kind in sources().items()
    )


def crawl(
    source: str,
    address: str | None,
    out: PathLike,
    *,
    settings: CrawlSettings | None = None,
    scan: bool = False,
    workers: int | None = None,
    watcher: Watcher | None = None,
    clock: Clock | None = None,
) -> CrawlResult:
    """Gets packages into a study, with rows about when and from where each came.

    An interrupted crawl goes on with the same call. What could not be had is in `failures`, and is
    tried again by the same call where that may help.

    Args:
        source: name of the source: `fdroid`, `androzoo`, `play`, `device`, `folder`.
        address: where it is; the source's usual place where None.
        out: the study's folder; made where it does not exist.
        settings: which apps, and how.
        scan: then find and read the models in what was fetched.
        workers: processes for scanning; all cores by default.
        watcher: is told how it goes.
        clock: what tells the time and waits.

    Raises:
        UsageError: no such source, or an argument it cannot use.
        MissingToolError: the source needs a program that is not installed.
        SourceError: the source is not the one it was, or cannot be read.
        TransientError: the source cannot be reached.
        StorageFullError: the disk is full; the same call goes on later.
    """
    settings = settings or CrawlSettings()
    watcher = watcher or Silent()
    clock = clock or Clock()
    opened_source = open_source(source, address, Path(out), settings, clock)
    opened = Study.create(Path(out))
    with opened.exclusive():
        result = crawl_source(opened, opened_source, settings, watcher, clock)
        if scan and result.files:
            with LocalPool(workers) as pool:
                census(opened, result.files, pool, watcher)
        opened.compact()
    return result
