"""Where packages came from: crawls, what a store says of an app, and the files that were fetched."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Crawl:
    """A pass over a source. Key: `snapshot`, `source`, `address`; the newest row of a key counts.

    Times are UTC in ISO 8601.
    """

    snapshot: str
    """Name of the state of the world that the pass records; several sources may share one."""
    source: str
    address: str
    """Without credentials."""
    query: str
    """What was asked for, as text; an unfinished crawl goes on only with the same query."""
    started_at: str
    gaugenn_version: str
    listed_at: str | None = None
    """When the list of apps was complete."""
    finished_at: str | None = None
    """When every listed app was fetched or had failed for good."""
    signer_sha256: str | None = None
    """Digest of the certificate that signed the source's index, where it signs one."""
    published_at: str | None = None
    """When the source says that its index was made."""
    device_profile: str | None = None
    """The device that the source was, or was asked as: model, version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppRef:
    """An app as a source lists it. Key: `snapshot`, `source`, `address`, `reference`.

    What a source does not tell is None. `fetch` gets the app from `reference` and `location`.
    """

    source: str
    address: str
    reference: str
    """The source's own key: a digest, a package, a path below the address."""
    listed_at: str
    snapshot: str = ""
    """Filled in by the crawl."""
    location: str = ""
    """Where the file lies within the source."""
    package: str | None = None
    version_code: int | None = None
    version_name: str | None = None
    title: str | None = None
    categories: tuple[str, ...] = ()
    """As the store orders them."""
    markets: tuple[str, ...] = ()
    """Stores that an archive has the app from; the installer on a device."""
    installs: int | None = None
    """The lower bound that stores publish: 1000000 for "1,000,000+"."""
    rating: float | None = None
    """Mean of users' ratings, on the store's scale."""
    ratings: int | None = None
    """How many users rated."""
    price: float | None = None
    currency: str | None = None
    chart: str | None = None
    """Name of the chart that `rank` is a place in."""
    rank: int | None = None
    """From 1."""
    country: str | None = None
    device_profile: str | None = None
    updated_at: str | None = None
    """When the store last changed the app."""
    sha256: str | None = None
    """Of the file, where the source tells before the file is fetched."""
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """A file that a crawl has. Key: `snapshot`, `source`, `address`, `reference`, `path`."""

    snapshot: str
    source: str
    address: str
    reference: str
    path: str
    """Where the file was put, or lay already."""
    sha256: str
    """Of the file; `apps.app_sha256` once it was scanned."""
    size_bytes: int
    fetched_at: str
    package: str | None = None
