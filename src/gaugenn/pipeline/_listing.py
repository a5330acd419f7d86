"""What a crawl listed, a part at a time: a store's list may have millions of rows."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gaugenn.records import AppRef, Crawl
from gaugenn.store import Study

_ROWS_AT_ONCE = 4096
_RECENT = 1 << 16

_OF_CRAWL = "(snapshot, source, address) = (?, ?, ?)"
_HAD = f"SELECT reference FROM downloads WHERE {_OF_CRAWL}"  # noqa: S608


class References:
    """References met so far, by eight bytes of their digest each.

    Of twenty-five million, the chance that any two are taken for one is 0.00002 (n squared / 2 ** 65).
    """

    def __init__(self) -> None:
        self._sorted = np.zeros(0, dtype=np.uint64)
        self._recent: set[int] = set()

    def add(self, reference: str) -> bool:
        """Remembers a reference; False where it was met before."""
        data = reference.encode("utf-8", "backslashreplace")
        key = int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")
        if key in self._recent or self._is_old(key):
            return False
        self._recent.add(key)
        if len(self._recent) >= _RECENT:
            recent = np.fromiter(self._recent, dtype=np.uint64, count=len(self._recent))
            self._sorted = np.sort(np.concatenate([self._sorted, recent]))
            self._recent.clear()
        return True

    def _is_old(self, key: int) -> bool:
        place = int(self._sorted.searchsorted(np.uint64(key)))
        return place < len(self._sorted) and int(self._sorted[place]) == key


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a crawl is: apps that it listed, and of those how many are here, and how many failed."""

    listed: int
    fetched: int
    failed: int


def _key(current: Crawl) -> list[str]:
    return [current.snapshot, current.source, current.address]


def listed(study: Study, current: Crawl) -> References:
    """What the crawl has written of its list."""
    found = References()
    with study.connect() as connection:
        rows = connection.sql(
            f"SELECT reference FROM listings WHERE {_OF_CRAWL}",  # noqa: S608
            params=_key(current),
        )
        for batch in rows.to_arrow_reader(_ROWS_AT_ONCE):
            for reference in batch.column(0).to_pylist():
                found.add(str(reference))
    return found


def missing(study: Study, current: Crawl) -> Iterator[AppRef]:
    """What was listed and is not here, in the order of the list."""
    with study.connect() as connection:
        had = {row[0] for row in connection.execute(_HAD, _key(current)).fetchall()}
    met = References()
    for ref in study.each(AppRef, _OF_CRAWL, _key(current)):
        if ref.reference not in had and met.add(ref.reference):
            yield ref


def progress(study: Study, current: Crawl) -> Progress:
    """Counts what the crawl has listed, has here, and could not get."""
    key = _key(current)
    with study.connect() as connection:
        (fetched,) = connection.execute(
            f"SELECT count(DISTINCT reference) FROM ({_HAD})",  # noqa: S608
            key,
        ).fetchall()[0]
        absent, failed = connection.execute(
            f"""SELECT count(*), count(*) FILTER (? || reference IN (
                    SELECT subject FROM all_failures WHERE stage = 'crawl'))
                FROM (SELECT DISTINCT reference FROM listings WHERE {_OF_CRAWL}
                      AND reference NOT IN ({_HAD}))""",  # noqa: S608
            [f"{current.source} {current.address} ", *key, *key],
        ).fetchall()[0]
    return Progress(listed=fetched + absent, fetched=fetched, failed=failed)
