"""Repositories in the layout of F-Droid, index version 2."""

import hashlib
import json
import re
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gaugenn.errors import SourceError, UsageError
from gaugenn.records import AppRef
from gaugenn.sources._contract import AppQuery, AppSource, Known, Origin, SourceOptions
from gaugenn.sources._http import HttpClient, checked_address
from gaugenn.sources._jar import signed_member
from gaugenn.sources._names import file_name, is_package_name

F_DROID = "https://f-droid.org/repo"
F_DROID_FINGERPRINT = "43238d512c1e5eb2d6569f4a3afbf5523418b82e0a3ed1552770abb9a9c9ccab"
"""SHA-256 of the certificate of F-Droid's own repository.

**Source:** https://f-droid.org/docs/Release_Channels_and_Signing_Keys/
"""

_ENTRY_BYTES = 1 << 20
_INDEX_BYTES = 512 << 20
_PACKAGE_BYTES = 8 << 30
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MAJOR = 2
_LANGUAGES = ("en-US", "en", "en-GB")

Json = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class _Document:
    """A file of the repository, as the signed entry states it."""

    name: str
    sha256: str
    size_bytes: int


class FDroidSource(AppSource):
    """Lists the newest version of each app that its preferred signer signed.

    The entry is signed; it has the digest of the index, which has the digest of each package. Without
    a fingerprint the first crawl takes the signer that it finds, and later crawls of the address insist
    on it. An index that is older than one seen before, or than its repository allows, is refused.
    """

    title = "F-Droid repository"
    spec = "https://f-droid.org/docs/All_our_APIs/"
    default_address = F_DROID

    def __init__(self, address: str, options: SourceOptions) -> None:
        """See `AppSource`. The address may end in `?fingerprint=HEX`, as repositories are announced."""
        bare, _, query = address.partition("?")
        given = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        stated = given.pop("fingerprint", None) or given.pop("FINGERPRINT", None)
        if given:
            raise UsageError(f"{bare}: of a query only ?fingerprint= is understood")
        super().__init__(checked_address(bare), options)
        self._pinned = _fingerprint(options.fingerprint) or _fingerprint(stated)
        if self.address == F_DROID:
            self._pinned = self._pinned or F_DROID_FINGERPRINT
        self._http = HttpClient(clock=options.clock, requests_per_s=options.requests_per_s)
        self._entry: Json = {}
        self._timestamp_ms = 0

    def open(self, known: Known) -> Origin:
        """Gets and checks the signed entry."""
        jar = self._http.small(f"{self.address}/entry.jar", most_bytes=_ENTRY_BYTES, elsewhere=True)
        signed = signed_member(jar, "entry.json")
        wanted = self._pinned or known.signer_sha256
        if wanted and signed.signer_sha256 != wanted:
            raise SourceError(
                f"{self.address} is signed by {signed.signer_sha256}, expected {wanted}; "
                "if the repository really changed its key, give the new one with --fingerprint"
            )
        self._entry = _object(_parsed(signed.data, "entry.json"), "entry.json")
        version = _whole(self._entry, "version")
        if version // 10_000 != _MAJOR:
            raise SourceError(f"{self.address} has an index of version {version}; 2xxxx is read")
        self._timestamp_ms = _whole(self._entry, "timestamp")
        published = _iso(self._timestamp_ms)
        if published is None:
            raise SourceError(f"{self.address}: the entry has no usable date")
        if known.published_at and published < known.published_at:
            raise SourceError(
                f"{self.address} shows an index of {published}, older than the one of "
                f"{known.published_at} that was seen before"
            )
        self._require_fresh(datetime.fromisoformat(published))
        return Origin(signer_sha256=signed.signer_sha256, published_at=published)

    def search(self, query: AppQuery) -> Iterator[AppRef]:
        """The apps of the index, in its order."""
        for package, item in _object(self._index().get("packages"), "packages").items():
            entry = _object(item, package)
            metadata = _object(entry.get("metadata"), package)
            found = [
                self._ref(package, metadata, _object(version, package))
                for version in _object(entry.get("versions"), package).values()
            ]
            if not query.all_versions:
                found = _newest(found, metadata.get("preferredSigner"))
            yield from (ref for ref, _, _ in found if query.wants(ref))

    def fetch(self, ref: AppRef, into: Path) -> Path:
        """Downloads a package and checks its digest."""
        if ref.sha256 is None or ref.size_bytes is None:
            raise SourceError(f"{ref.reference} is listed without size and SHA-256")
        to = into / file_name(ref.package, ref.version_code, ref.sha256, ".apk")
        url = self.address + urllib.parse.quote(ref.location)
        self._http.download(url, to, sha256=ref.sha256, size_bytes=ref.size_bytes)
        return to

    def _require_fresh(self, published: datetime) -> None:
        if self._entry.get("maxAge") is None:
            return
        days = _whole(self._entry, "maxAge")
        if 0 < days < 36_500 and self.options.clock.utc() > published + timedelta(days=days):
            raise SourceError(
                f"{self.address} has expired: its index is of {published.isoformat()} and good for "
                f"{days} days"
            )

    def _index(self) -> Json:
        """The index that the entry names: the one in the cache, brought up to date where it is old."""
        document = _document(_object(self._entry.get("index"), "index"))
        key = hashlib.sha256(self.address.encode()).hexdigest()[:16]
        cached = self.options.cache / f"fdroid-{key}.json"
        patched = self._patched(cached)
        if patched is not None:
            return patched
        fresh = self.options.cache / f"fdroid-{key}-{document.sha256[:16]}.json"
        self._get(document, fresh)
        index = _object(_parsed(fresh.read_bytes(), document.name), document.name)
        fresh.replace(cached)
        for left in self.options.cache.glob(f"fdroid-{key}-*"):
            left.unlink()  # of an older index whose download was interrupted
        return index

    def _patched(self, cached: Path) -> Json | None:
        """The cached index with the difference to now applied, where the entry has one for it."""
        diffs = self._entry.get("diffs")
        if not cached.is_file() or not isinstance(diffs, dict):
            return None
        try:
            index = _object(_parsed(cached.read_bytes(), "index"), "index")
            timestamp = _whole(_object(index.get("repo"), "repo"), "timestamp")
        except SourceError:
            return None
        if timestamp == self._timestamp_ms:
            return index
        if not isinstance(diffs.get(str(timestamp)), dict):
            return None
        document = _document(diffs[str(timestamp)])
        path = cached.with_suffix(".diff.json")
        self._get(document, path)
        merged = _merged(index, _parsed(path.read_bytes(), document.name))
        path.unlink()
        temporary = cached.with_suffix(".json.new")
        temporary.write_text(json.dumps(merged))
        temporary.replace(cached)
        return _object(merged, "index")

    def _get(self, document: _Document, to: Path) -> None:
        if document.size_bytes > _INDEX_BYTES:
            raise SourceError(f"{self.address} has an index of {document.size_bytes:,} bytes")
        url = self.address + urllib.parse.quote(document.name)
        self._http.download(url, to, sha256=document.sha256, size_bytes=document.size_bytes)

    def _ref(
        self, package: str, metadata: Json, version: Json
    ) -> tuple[AppRef, tuple[str, ...], bool]:
        """A version, its signers, and whether it is offered to everybody."""
        file = _document(_object(version.get("file"), package), _PACKAGE_BYTES)
        manifest = _object(version.get("manifest"), package)
        signer = manifest.get("signer")
        signers = _texts(signer.get("sha256")) if isinstance(signer, dict) else ()
        code = manifest.get("versionCode")
        name = manifest.get("versionName")
        updated = metadata.get("lastUpdated")
        ref = self._listed(
            reference=file.sha256,
            location=file.name,
            package=package if is_package_name(package) else None,
            version_code=code if type(code) is int and 0 <= code < 2**63 else None,
            version_name=name if isinstance(name, str) else None,
            title=_localised(metadata.get("name")),
            categories=_texts(metadata.get("categories")),
            updated_at=_iso(updated) if type(updated) is int else None,
            sha256=file.sha256,
            size_bytes=file.size_bytes,
        )
        return (ref, signers, not version.get("releaseChannels"))


def _newest(
    found: list[tuple[AppRef, tuple[str, ...], bool]], preferred: object
) -> list[tuple[AppRef, tuple[str, ...], bool]]:
    right = [item for item in found if preferred in item[1]] or found
    stable = [item for item in right if item[2]] or right
    return sorted(stable, key=lambda item: item[0].version_code or 0)[-1:]


def _fingerprint(text: str | None) -> str | None:
    if text is None:
        return None
    clean = re.sub(r"[\s:]", "", text).lower()
    if not _SHA256.fullmatch(clean):
        raise UsageError("a fingerprint is 64 hexadecimal digits: the SHA-256 of a certificate")
    return clean


def _parsed(data: bytes, name: str) -> object:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{name} is no JSON: {type(error).__name__}") from error


def _object(value: object, where: str) -> Json:
    if not isinstance(value, dict):
        raise SourceError(f"the index is odd at {where[:100]!r}: expected an object")
    return value


def _whole(values: Json, key: str) -> int:
    value = values.get(key)
    if type(value) is not int or not 0 <= value < 2**63:
        raise SourceError(f"the index has no usable {key}")
    return value


def _document(values: Json, most_bytes: int = 2**63) -> _Document:
    """A name, digest and size. The name is a path below the repository that climbs nowhere."""
    name, sha256, size = values.get("name"), values.get("sha256"), values.get("size")
    parts = name.split("/") if isinstance(name, str) else []
    plain = all(part not in ("", ".", "..") and part.isprintable() for part in parts[1:])
    if not isinstance(name, str) or len(parts) < 2 or parts[0] or not plain or "\\" in name:
        raise SourceError(f"the index names a file {str(name)[:100]!r}, which is no path below it")
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        raise SourceError(f"the index has no SHA-256 for {name[:100]!r}")
    if type(size) is not int or not 0 < size < most_bytes:
        raise SourceError(f"the index has no usable size for {name[:100]!r}")
    return _Document(name, sha256, size)


def _texts(value: object) -> tuple[str, ...]:
    return tuple(v for v in value if isinstance(v, str)) if isinstance(value, list) else ()


def _localised(value: object) -> str | None:
    """The English text of a map from languages, else the first."""
    if not isinstance(value, dict):
        return None
    known = [value[language] for language in _LANGUAGES if language in value]
    return next((v for v in (*known, *value.values()) if isinstance(v, str)), None)


def _iso(milliseconds: int) -> str | None:
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds")
    except (OverflowError, ValueError, OSError):
        return None


def _merged(target: object, patch: object, depth: int = 0) -> object:
    """A JSON merge patch applied. **Source:** RFC 7396, section 2."""
    if not isinstance(patch, dict) or depth > 64:
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _merged(result.get(key), value, depth + 1)
    return result
