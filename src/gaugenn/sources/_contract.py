"""What a source of packages must provide."""

import random
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

from gaugenn.records import AppRef


class Clock:
    """Time as sources see it, so that tests need not wait."""

    def now_s(self) -> float:
        """Seconds on a clock that only goes forward."""
        return time.monotonic()

    def utc(self) -> datetime:
        """The date."""
        return datetime.now(UTC)

    def sleep(self, duration_s: float) -> None:
        """Waits."""
        time.sleep(duration_s)

    def jitter(self) -> float:
        """A number from [0, 1) that differs between processes that were started together."""
        return random.random()  # noqa: S311

    def stamp(self) -> str:
        """The date in ISO 8601, to the second."""
        return self.utc().isoformat(timespec="seconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOptions:
    """How to talk to a source. Each source uses what concerns it.

    Attributes:
        cache: a folder for what may be kept between crawls, such as an index.
        fingerprint: SHA-256 of the certificate that must have signed the source's index, hex.
        metadata: a CSV or JSON file with what a store says of apps (see `_metadata`), or with the
            source's list, where that lies here.
        device_profile: the device that a store shall be asked as.
        locale: the language and country that a store shall be asked in: `en_GB`.
        requests_per_s: at most so many requests a second to one host.
        clock: what tells the time.
    """

    cache: Path
    fingerprint: str | None = None
    metadata: Path | None = None
    device_profile: str | None = None
    locale: str | None = None
    requests_per_s: float = 1.0
    clock: Clock = field(default_factory=Clock)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What earlier crawls saw of the same address.

    Attributes:
        signer_sha256: who signed its index.
        published_at: the newest date that an index of it had, ISO 8601.
    """

    signer_sha256: str | None = None
    published_at: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What a source says of itself; see the fields of `Crawl`."""

    signer_sha256: str | None = None
    published_at: str | None = None
    device_profile: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AppQuery:
    """Which of a source's apps are wanted.

    Attributes:
        text: part of the package or the title, whatever the case.
        categories: one of these, whatever the case; all where empty.
        markets: one of these stores, for archives of several; all where empty.
        top: only apps that a chart has among its first so many.
        all_versions: every version that the source has, not the newest of each app only.
    """

    text: str | None = None
    categories: tuple[str, ...] = ()
    markets: tuple[str, ...] = ()
    top: int | None = None
    all_versions: bool = False

    def wants(self, app: AppRef) -> bool:
        """Whether an app is asked for."""
        needle = (self.text or "").casefold()
        inside = any(needle in (text or "").casefold() for text in (app.package, app.title))
        return (
            (not needle or inside)
            and _meets(self.categories, app.categories)
            and _meets(self.markets, app.markets)
            and (self.top is None or (app.rank is not None and app.rank <= self.top))
        )


def _meets(wanted: tuple[str, ...], there: tuple[str, ...]) -> bool:
    return not wanted or bool({w.casefold() for w in wanted} & {t.casefold() for t in there})


class AppSource(ABC):
    """Lists apps and gets their packages.

    Every method may raise `TransientError` (what may pass: a link that stays down, a server that asks
    to wait longer than is sensible), `SourceError` (what will not: refused, badly signed, a wrong
    checksum), `LimitError` and `StorageFullError`. No message carries a credential.
    """

    title: ClassVar[str]
    """The source's own name, for people."""
    spec: ClassVar[str]
    """Address of the document that the source was written from."""
    default_address: ClassVar[str | None] = None
    """Where it is when nobody says."""

    def __init__(self, address: str, options: SourceOptions) -> None:
        """Takes an address; reaches for nothing yet.

        Raises:
            UsageError: the address or an option cannot be used.
        """
        self.name = type(self).__module__.rpartition(".")[2]
        self.address = address
        self.options = options

    def open(self, known: Known) -> Origin:  # noqa: ARG002
        """Reaches the source and makes sure that it is the one it was.

        Args:
            known: what earlier crawls saw.
        """
        return Origin()

    @abstractmethod
    def search(self, query: AppQuery) -> Iterator[AppRef]:
        """The apps that are wanted, each with a `reference` of its own. Only after `open`."""

    @abstractmethod
    def fetch(self, ref: AppRef, into: Path) -> Path:
        """Gets an app's package. What an interrupted call left in the folder is gone on with.

        Args:
            ref: out of `search`, of this or an earlier process.
            into: an existing folder. No name out of the source becomes a path in it as it is.

        Returns:
            The file, or the folder that holds the parts of a split app. It need not be in `into` where
            the source's files lie on this machine anyway.
        """

    def _listed(self, **fields: object) -> AppRef:
        """An app of this source, listed now."""
        stamp = self.options.clock.stamp()
        return AppRef(source=self.name, address=self.address, listed_at=stamp, **fields)  # type: ignore[arg-type]
