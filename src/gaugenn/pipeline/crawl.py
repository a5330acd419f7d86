"""Packages come from a source into a folder, with rows on when, from where, and what a store said."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import count, islice
from pathlib import Path

from gaugenn import __version__, plugins
from gaugenn.content import open_file, path_of
from gaugenn.errors import GaugennError, StorageFullError, TransientError, UsageError
from gaugenn.pipeline import Watcher
from gaugenn.pipeline._failures import as_failure
from gaugenn.pipeline._listing import References, listed, missing, progress
from gaugenn.records import AppRef, Crawl, Download
from gaugenn.sources import AppQuery, AppSource, Clock, Known, SourceOptions
from gaugenn.store import Buffer, Study

IN_A_ROW = 5
"""Apps that fail one after the other, each in a way that may pass, before a crawl is left for later."""
_LISTED_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CrawlSettings:
    """What to get, and how.

    Attributes:
        query: which apps.
        limit: at most so many, the first that the source lists.
        snapshot: name of the state of the world that this records; by default the source and the time.
        packages: folder for the files; `packages` in the study by default.
        daily_limit: files to get from this source and address on one day (UTC).
        fingerprint: see `SourceOptions`, as for the rest.
    """

    query: AppQuery = field(default_factory=AppQuery)
    limit: int | None = None
    snapshot: str | None = None
    packages: Path | None = None
    daily_limit: int | None = None
    fingerprint: str | None = None
    metadata: Path | None = None
    device_profile: str | None = None
    locale: str | None = None
    requests_per_s: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CrawlResult:
    """What a crawl came to.

    Attributes:
        snapshot: its name.
        source: the source's name.
        address: without credentials.
        signer_sha256: who signed the source's index, where it signs one.
        listed: apps that the source listed for the query.
        fetched: of those, how many are here.
        failed: of those, how many are not, for a reason that is a row of `failures`.
        files: packages of this snapshot that are on this disk.
        finished: nothing is left to do; else the same command goes on.
        stopped: why it was left, if it was.
    """

    snapshot: str
    source: str
    address: str
    signer_sha256: str | None
    listed: int
    fetched: int
    failed: int
    files: tuple[Path, ...]
    finished: bool
    stopped: str | None = None


def sources() -> dict[str, type[AppSource]]:
    """Every source by name."""
    return plugins.load_all("gaugenn.sources", AppSource)  # type: ignore[type-abstract]


def open_source(
    name: str, address: str | None, study: Path, settings: CrawlSettings, clock: Clock
) -> AppSource:
    """A source, ready to be opened; reaches for nothing.

    Raises:
        UsageError: no such source, or an address or option that it cannot use.
    """
    kind = plugins.load("gaugenn.sources", name, AppSource)  # type: ignore[type-abstract]
    where = kind.default_address if address is None else address
    if where is None:
        raise UsageError(f"the source {name} needs an address")
    options = SourceOptions(
        cache=study / "cache",
        fingerprint=settings.fingerprint,
        metadata=settings.metadata,
        device_profile=settings.device_profile,
        locale=settings.locale,
        requests_per_s=settings.requests_per_s,
        clock=clock,
    )
    return kind(where, options)


def crawl(
    study: Study, source: AppSource, settings: CrawlSettings, watcher: Watcher, clock: Clock
) -> CrawlResult:
    """Lists a source's apps and gets each; goes on with the unfinished crawl of the same query.

    Raises:
        SourceError: the source is not the one it was, or cannot be read.
        TransientError: the source cannot be reached.
        StorageFullError: no room; what is there stays.
    """
    into = settings.packages or study.path / "packages"
    for folder in (into, source.options.cache):
        folder.mkdir(parents=True, exist_ok=True)
    mine = _same_source(study.rows(Crawl), source)
    origin = source.open(_known(mine))
    wanted = _query_text(settings)
    current = _unfinished(mine, wanted, settings.snapshot)
    if current is None:
        stamp = clock.stamp()
        current = Crawl(
            snapshot=settings.snapshot or _new_name(source, stamp, mine),
            source=source.name,
            address=source.address,
            query=wanted,
            started_at=stamp,
            gaugenn_version=__version__,
            signer_sha256=origin.signer_sha256,
            published_at=origin.published_at,
            device_profile=origin.device_profile,
        )
        study.write([current])
    if current.listed_at is None:
        _list(study, source, settings, current)
        current = replace(current, listed_at=clock.stamp())
        study.write([current])
    stopped, pending = _fetch_all(study, source, settings, current, into, watcher, clock)
    if stopped is None and not pending:
        current = replace(current, finished_at=clock.stamp())
        study.write([current])
    return _result(study, current, stopped)


def _new_name(source: AppSource, stamp: str, mine: list[Crawl]) -> str:
    """The source and the time, with a number where that is taken."""
    name = f"{source.name}-{stamp[:19].replace(':', '')}Z"
    taken = {crawl.snapshot for crawl in mine}
    return next(n for i in count() if (n := f"{name}-{i}" if i else name) not in taken)


def _same_source(crawls: list[Crawl], source: AppSource) -> list[Crawl]:
    return [c for c in crawls if (c.source, c.address) == (source.name, source.address)]


def _known(crawls: list[Crawl]) -> Known:
    newest = max(crawls, key=lambda c: c.started_at, default=None)
    dates = [c.published_at for c in crawls if c.published_at]
    return Known(
        signer_sha256=newest.signer_sha256 if newest else None,
        published_at=max(dates, default=None),
    )


def _query_text(settings: CrawlSettings) -> str:
    """What decides which apps are listed, as text that equal queries share."""
    query = settings.query
    parts = {
        "text": query.text,
        "categories": ",".join(query.categories),
        "markets": ",".join(query.markets),
        "top": query.top,
        "all-versions": query.all_versions or None,
        "limit": settings.limit,
        "metadata": _metadata_digest(settings.metadata),
        "device": settings.device_profile,
        "locale": settings.locale,
    }
    return "; ".join(f"{key}={value}" for key, value in parts.items() if value not in (None, ""))


def _metadata_digest(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return open_file(path).sha256()[:16]
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error


def _unfinished(crawls: list[Crawl], wanted: str, snapshot: str | None) -> Crawl | None:
    """The crawl to go on with: the one of this name, else the newest that was left."""
    named = [c for c in crawls if c.snapshot == snapshot]
    if snapshot is not None:
        if named and named[0].query != wanted:
            raise UsageError(
                f"snapshot {snapshot} was asked for {named[0].query or 'everything'!r}; "
                "give another name for another query"
            )
        return named[0] if named else None
    left = [c for c in crawls if c.finished_at is None and c.query == wanted]
    return max(left, key=lambda c: c.started_at, default=None)


def _list(study: Study, source: AppSource, settings: CrawlSettings, current: Crawl) -> None:
    """Writes the listing; rows of an interrupted listing are not written again."""
    seen = listed(study, current)
    batch: list[AppRef] = []
    for ref in islice(_distinct(source.search(settings.query)), settings.limit):
        if seen.add(ref.reference):
            batch.append(replace(ref, snapshot=current.snapshot))
        if len(batch) >= _LISTED_AT_ONCE:
            study.write(batch)
            batch.clear()
    study.write(batch)


def _distinct(refs: Iterator[AppRef]) -> Iterator[AppRef]:
    seen = References()
    return (ref for ref in refs if seen.add(ref.reference))


def _fetch_all(
    study: Study,
    source: AppSource,
    settings: CrawlSettings,
    current: Crawl,
    into: Path,
    watcher: Watcher,
    clock: Clock,
) -> tuple[str | None, int]:
    """Gets what is not there; says why it stopped, and how many apps may come another time."""
    before = progress(study, current)
    known = _known_failures(study)
    left = _left_today(study, source, settings, clock)
    watcher.begin("crawl", before.listed, before.fetched)
    row = transient = 0
    stopped = None
    with Buffer(study) as rows:
        for ref in missing(study, current):
            if left is not None and left <= 0:
                stopped = f"the daily limit of {settings.daily_limit:,} is reached; go on tomorrow"
                break
            subject, name = _subject(current, ref.reference), ref.package or ref.reference
            try:
                rows.add([_download(ref, path, clock) for path in _files(source.fetch(ref, into))])
            except StorageFullError:
                raise
            except (GaugennError, OSError) as error:
                failure = as_failure("crawl", subject, error)
                if subject not in known:
                    rows.add([failure])
                watcher.step("crawl", name, failure.message)
                transient += failure.transient
                row = row + 1 if isinstance(error, TransientError) else 0
                if row >= IN_A_ROW:
                    stopped = f"{IN_A_ROW} apps in a row failed: {failure.message}"
                    break
                continue
            row = 0
            left = None if left is None else left - 1
            watcher.step("crawl", name)
    watcher.end("crawl")
    return (stopped, transient)


def _subject(current: Crawl, reference: str) -> str:
    """Of a failure; the view `failures` puts the same together out of `downloads`."""
    return f"{current.source} {current.address} {reference}"


def _known_failures(study: Study) -> set[str]:
    with study.connect() as connection:
        rows = connection.execute(
            "SELECT subject FROM all_failures WHERE stage = 'crawl'"
        ).fetchall()
    return {str(row[0]) for row in rows}


def _left_today(
    study: Study, source: AppSource, settings: CrawlSettings, clock: Clock
) -> int | None:
    if settings.daily_limit is None:
        return None
    today = clock.utc().date()
    used = {
        (d.snapshot, d.reference)
        for d in study.rows(Download)
        if (d.source, d.address) == (source.name, source.address)
        and datetime.fromisoformat(d.fetched_at).date() == today
    }
    return settings.daily_limit - len(used)


def _files(path: Path) -> list[Path]:
    return sorted(p for p in path.iterdir() if p.is_file()) if path.is_dir() else [path]


def _download(ref: AppRef, path: Path, clock: Clock) -> Download:
    content = open_file(path)
    return Download(
        snapshot=ref.snapshot,
        source=ref.source,
        address=ref.address,
        reference=ref.reference,
        path=os.path.normpath(path),
        sha256=content.sha256(),
        size_bytes=content.size_bytes,
        fetched_at=clock.stamp(),
        package=ref.package,
    )


def _result(study: Study, current: Crawl, stopped: str | None) -> CrawlResult:
    key = (current.snapshot, current.source, current.address)
    had = [d for d in study.rows(Download) if (d.snapshot, d.source, d.address) == key]
    counted = progress(study, current)
    return CrawlResult(
        snapshot=current.snapshot,
        source=current.source,
        address=current.address,
        signer_sha256=current.signer_sha256,
        listed=counted.listed,
        fetched=counted.fetched,
        failed=counted.failed,
        files=tuple(path for d in had if (path := path_of(d.path)).is_file()),
        finished=current.finished_at is not None,
        stopped=stopped,
    )
