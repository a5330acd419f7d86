"""AndroZoo: an archive of apps from many stores, for researchers with a key."""

import csv
import os
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from gaugenn.errors import SourceError, UsageError
from gaugenn.records import AppRef
from gaugenn.sources._contract import AppQuery, AppSource, Known, Origin, SourceOptions
from gaugenn.sources._http import HttpClient, checked_address, is_local
from gaugenn.sources._names import file_name, is_package_name

KEY_VARIABLE = "ANDROZOO_API_KEY"
"""Environment variable that holds the key. It goes to the archive's host and nowhere else."""

_LIST = "/static/lists/latest.csv.gz"
_DOWNLOAD = "/api/download"
_LIST_BYTES = 64 << 30
_LONGEST_LINE_BYTES = 64 << 10
_CHUNK_BYTES = 1 << 20
_GZIP = zlib.MAX_WBITS | 16
_SHA256 = re.compile(r"[0-9A-Fa-f]{64}")
_NUMBER = re.compile(r"[0-9]{1,18}")


class AndroZooSource(AppSource):
    """Lists apps from AndroZoo's CSV, as it comes, and gets them by their digest.

    The list has a row a file, millions of them; it is read from the server without being kept, or from
    a copy that `SourceOptions.metadata` names, plain or compressed.
    """

    title = "AndroZoo"
    spec = "https://androzoo.uni.lu/api_doc"
    default_address = "https://androzoo.uni.lu"

    def __init__(self, address: str, options: SourceOptions) -> None:
        """See `AppSource`."""
        super().__init__(checked_address(address), options)
        if not self.address.startswith("https:") and not is_local(self.address):
            raise UsageError(f"{self.address}: a key is sent over https only")
        if options.metadata is not None and not options.metadata.is_file():
            raise UsageError(f"{options.metadata} is no file")
        self._http = HttpClient(clock=options.clock, requests_per_s=options.requests_per_s)

    def open(self, known: Known) -> Origin:  # noqa: ARG002
        """Looks for the key."""
        self._key()
        return Origin()

    def search(self, query: AppQuery) -> Iterator[AppRef]:
        """The rows of the list that are wanted, in its order; every row is a version of its own."""
        if query.top is not None or query.categories:
            raise UsageError("AndroZoo's list has neither charts nor categories; use --market")
        for row in csv.DictReader(_lines(self._bytes())):
            sha256, package = row.get("sha256") or "", row.get("pkg_name") or ""
            if not _SHA256.fullmatch(sha256) or not is_package_name(package):
                continue
            ref = self._listed(
                reference=sha256.lower(),
                package=package,
                version_code=_number(row.get("vercode")),
                markets=tuple(m for m in (row.get("markets") or "").split("|") if m),
                updated_at=row.get("dex_date") or None,
                sha256=sha256.lower(),
                size_bytes=_number(row.get("apk_size")),
            )
            if query.wants(ref):
                yield ref

    def fetch(self, ref: AppRef, into: Path) -> Path:
        """Downloads a package and checks its digest."""
        if ref.sha256 is None or ref.size_bytes is None:
            raise SourceError(f"{ref.reference} is listed without size and SHA-256")
        to = into / file_name(ref.package, ref.version_code, ref.sha256, ".apk")
        self._http.download(
            self.address + _DOWNLOAD,
            to,
            sha256=ref.sha256,
            size_bytes=ref.size_bytes,
            secrets={"apikey": self._key(), "sha256": ref.sha256.upper()},
        )
        return to

    def _key(self) -> str:
        key = os.environ.get(KEY_VARIABLE, "").strip()
        if not key.isalnum() or not key.isascii():
            raise UsageError(
                f"AndroZoo needs a key in the environment variable {KEY_VARIABLE}; ask for one at "
                "https://androzoo.uni.lu/access"
            )
        return key

    def _bytes(self) -> Iterator[bytes]:
        """The list's bytes as they lie there, each once."""
        if self.options.metadata is not None:
            with self.options.metadata.open("rb") as file:
                while chunk := file.read(_CHUNK_BYTES):
                    yield chunk
            return
        had = 0
        for offset, chunk in self._http.stream(self.address + _LIST, most_bytes=_LIST_BYTES):
            new = chunk[max(0, had - offset) :]
            if new:
                had = offset + len(chunk)
                yield new


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Lines of a text, inflated where it is gzip. Holds one chunk and one line at a time."""
    rest = b""
    for piece in _inflated(chunks):
        *whole, rest = (rest + piece).split(b"\n")
        if max(map(len, (*whole, rest))) > _LONGEST_LINE_BYTES:
            raise SourceError("AndroZoo's list has a line longer than 64 KiB")
        for line in whole:
            yield line.decode("utf-8", "replace").replace("\0", "")
    if rest:
        yield rest.decode("utf-8", "replace").replace("\0", "")


def _inflated(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The text of gzip members in a row, or of what is no gzip, at most a chunk at a time."""
    inflater = None
    compressed: bool | None = None
    for chunk in chunks:
        if compressed is None:
            compressed = chunk[:1] == b"\x1f"
        if not compressed:
            yield chunk
            continue
        pending = chunk
        while pending:
            inflater = inflater or zlib.decompressobj(_GZIP)
            try:
                yield inflater.decompress(pending, _CHUNK_BYTES)
            except zlib.error as error:
                raise SourceError(f"AndroZoo's list is no whole gzip: {error}") from error
            pending = inflater.unconsumed_tail
            if inflater.eof:
                pending, inflater = inflater.unused_data, None
    if inflater is not None:
        yield inflater.flush()
        if not inflater.eof:
            raise SourceError("AndroZoo's list is no whole gzip: its end is missing")


def _number(text: str | None) -> int | None:
    return int(text) if text and _NUMBER.fullmatch(text) else None
