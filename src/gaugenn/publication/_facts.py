"""What a citation and a dataset card say of a study."""

import re
from dataclasses import dataclass

from gaugenn.errors import UsageError
from gaugenn.publication._privacy import Redaction
from gaugenn.report import Summary, connect, summary
from gaugenn.store import TABLES, Study

_SPDX = re.compile(r"[A-Za-z0-9.+-]+(?: (?:AND|OR|WITH) [A-Za-z0-9.+-]+)*")
"""**Source:** https://spdx.github.io/spdx-spec/v3.0.1/annexes/spdx-license-expressions/"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """What only the makers of a study know.

    Attributes:
        title: of the dataset; None takes the name of the study's folder.
        authors: names as they are written, `Ada Lovelace` or an organisation.
        licence: SPDX identifier of the licence that the makers give; None where they give none.
    """

    title: str | None = None
    authors: tuple[str, ...] = ()
    licence: str | None = None

    def __post_init__(self) -> None:
        """Refuses what cannot be cited.

        Raises:
            UsageError: an author without a name, or a licence that is no SPDX expression.
        """
        if not all(author.strip() for author in self.authors):
            raise UsageError("an author needs a name")
        if self.licence is not None and not _SPDX.fullmatch(self.licence):
            raise UsageError(f"{self.licence!r} is no SPDX expression such as CC-BY-4.0")


@dataclass(frozen=True, slots=True, kw_only=True)
class CrawlFacts:
    """A pass over a source, in words and numbers that can be shown to anybody."""

    snapshot: str
    source: str
    address: str
    query: str
    started_at: str
    finished_at: str | None
    listed: int
    files: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a study itself tells.

    Attributes:
        title: of the dataset.
        counted: the headline numbers.
        crawls: where its packages came from, oldest first.
        tables: rows of each table that has any, by name.
        formats: distinct models of each format, most frequent first.
        versions: releases of gaugenn that wrote to it, sorted.
        released_on: the day of its newest crawl or launch, ISO 8601; None where it has neither.
        first_at: of the oldest of those.
    """

    title: str
    counted: Summary
    crawls: tuple[CrawlFacts, ...]
    tables: tuple[tuple[str, int], ...]
    formats: tuple[tuple[str, int], ...]
    versions: tuple[str, ...]
    released_on: str | None
    first_at: str | None


_CRAWLS = """
    SELECT c.snapshot, c.source, c.address, c.query, c.started_at, c.finished_at,
           (SELECT count(*) FROM listings l WHERE l.snapshot = c.snapshot
                AND l.source = c.source AND l.address = c.address),
           (SELECT count(*) FROM downloads d WHERE d.snapshot = c.snapshot
                AND d.source = c.source AND d.address = c.address)
    FROM crawls c ORDER BY c.started_at, c.snapshot, c.source, c.address
"""
_VERSIONS = """
    SELECT DISTINCT v FROM (SELECT gaugenn_version AS v FROM crawls
                            UNION SELECT gaugenn_version FROM environments) ORDER BY v
"""
_MOMENTS = """
    SELECT min(t), max(t) FROM (SELECT started_at AS t FROM crawls
        UNION ALL SELECT finished_at FROM crawls UNION ALL SELECT started_at FROM runs)
    WHERE t != ''
"""


def facts(study: Study, about: Publication, redaction: Redaction) -> Facts:
    """Reads a study; text that may name a place or a person goes through the redaction."""
    with connect(study) as connection:
        crawls = connection.execute(_CRAWLS).fetchall()
        tables = [
            (name, connection.execute(f'SELECT count(*) FROM "{name}"').fetchall()[0][0])  # noqa: S608
            for name in TABLES.values()
        ]
        formats = connection.execute(
            "SELECT format, count(DISTINCT model_sha256) AS n FROM models WHERE kind = 'model' "
            "GROUP BY format ORDER BY n DESC, format"
        ).fetchall()
        versions = [str(row[0]) for row in connection.execute(_VERSIONS).fetchall()]
        first, last = connection.execute(_MOMENTS).fetchall()[0]
    return Facts(
        title=about.title or study.path.resolve().name,
        counted=summary(study),
        crawls=tuple(
            CrawlFacts(
                snapshot=redaction.text(row[0]),
                source=row[1],
                address=redaction.text(row[2]),
                query=redaction.text(row[3]),
                started_at=row[4],
                finished_at=row[5],
                listed=row[6],
                files=row[7],
            )
            for row in crawls
        ),
        tables=tuple((name, int(number)) for name, number in tables if number),
        formats=tuple((str(name), int(number)) for name, number in formats),
        versions=tuple(versions),
        released_on=str(last)[:10] if last else None,
        first_at=str(first)[:10] if first else None,
    )
