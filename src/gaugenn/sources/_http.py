"""A polite HTTP client: one request at a time, resumed, repeated with back-off, bounded.

**Source:** RFC 9110 (sections 10.2.3 Retry-After, 14 Range requests, 15 status codes).
"""

import contextlib
import email.utils
import ipaddress
import os
import re
import shutil
import ssl
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path

import urllib3

from gaugenn import __version__
from gaugenn.content import open_file
from gaugenn.errors import (
    LimitError,
    SourceError,
    StorageFullError,
    TransientError,
    UsageError,
    is_storage_full,
)
from gaugenn.sources._contract import Clock

ATTEMPTS = 6
"""Tries in a row without progress before a request is given up."""
PROGRESS_BYTES = 256 << 10
"""A try that brought so much was one with progress."""
LONGEST_WAIT_S = 900.0
"""A server that asks for more patience than this is left alone until the next crawl."""
_CHUNK_BYTES = 256 << 10
_TIMEOUT = urllib3.Timeout(connect=20.0, read=60.0)
_SLOWEST_BYTES_PER_S = 512
_SLOW_WINDOW_S = 60.0
_REDIRECTS = 5
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_MOVED = frozenset({301, 302, 303, 307, 308})
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-\d{1,18}/(?:\d{1,18}|\*)")
_MINIMUM_FREE_BYTES = 16 << 20


class _AgainError(Exception):
    """A try that failed in a way that may pass.

    Attributes:
        wait_s: how long the server asked to wait.
    """

    def __init__(self, reason: str, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


def shown(url: str) -> str:
    """An address without what could be a credential: no user, no query."""
    parts = urllib.parse.urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def checked_address(address: str) -> str:
    """An address of a source, without a closing slash.

    Raises:
        UsageError: not HTTP, no host, or with a user, a query or a fragment: the study keeps the
            address, so nothing secret may be in it.
    """
    try:
        parts = urllib.parse.urlsplit(address)
        port = parts.port
    except ValueError:
        raise UsageError("the address cannot be read; give one like https://host/repo") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise UsageError(f"{shown(address)}: give an address like https://host/repo")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise UsageError(f"{shown(address)}: give the address without user, password and query")
    if not address.isascii() or not address.isprintable() or " " in address:
        raise UsageError(f"{shown(address)}: write other characters in the address as %XX")
    return address.rstrip("/")


def is_local(url: str) -> bool:
    """Whether the host is this machine, by its name or number."""
    host = urllib.parse.urlsplit(url).hostname or ""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def _is_inside(url: str) -> bool:
    """Whether the host is this machine or an address of a private network."""
    host = urllib.parse.urlsplit(url).hostname or ""
    with contextlib.suppress(ValueError):
        return not ipaddress.ip_address(host).is_global
    return is_local(url)


@dataclass(slots=True)
class HttpClient:
    """Gets files from HTTP servers.

    Attributes:
        clock: what tells the time and waits.
        requests_per_s: at most so many requests a second to one host; 0 for no limit.
    """

    clock: Clock
    requests_per_s: float = 1.0
    _pools: dict[str, urllib3.PoolManager] = field(default_factory=dict)
    _last_s: dict[str, float] = field(default_factory=dict)

    def small(self, url: str, *, most_bytes: int, elsewhere: bool = False) -> bytes:
        """The whole of a small file.

        Args:
            url: of the file.
            most_bytes: more than this is refused.
            elsewhere: the bytes are verified by the caller, so that other hosts may deliver them.

        Raises:
            TransientError: did not work in `ATTEMPTS` tries.
            SourceError: refused, or sent somewhere that is not to be followed.
            LimitError: too large.
        """
        data = bytearray()
        for offset, chunk in self.stream(url, most_bytes=most_bytes, elsewhere=elsewhere):
            del data[offset:]
            data += chunk
        return bytes(data)

    def download(
        self,
        url: str,
        to: Path,
        *,
        sha256: str,
        size_bytes: int,
        secrets: Mapping[str, str] | None = None,
    ) -> None:
        """Puts a file whose digest is known into its place, whole and verified.

        What a killed process left under the name with `.part` is gone on with. A file that went on
        and turns out wrong is fetched once more from its start.

        Args:
            url: of the file.
            to: its place.
            sha256: lower-case hex.
            size_bytes: more than this is not taken.
            secrets: parameters for the query that no message may show; sent to this host only.

        Raises:
            SourceError: what came has another digest, or see `small`.
            StorageFullError: no room; the part stays.
        """
        if to.is_file() and open_file(to).sha256() == sha256:
            return
        part = to.with_name(to.name + ".part")
        if part.exists() and part.stat().st_size > size_bytes:
            part.unlink()
        while True:
            start = part.stat().st_size if part.exists() else 0
            if start < size_bytes:
                _require_room(part.parent, size_bytes - start)
                try:
                    self._fill(url, part, start, size_bytes, secrets)
                except LimitError:
                    part.unlink(missing_ok=True)
                    raise SourceError(
                        f"{shown(url)} is longer than the listed {size_bytes:,} bytes"
                    ) from None
            found = open_file(part).sha256()
            if found == sha256:
                part.replace(to)
                return
            part.unlink()
            if start == 0:
                raise SourceError(
                    f"{shown(url)} has SHA-256 {found[:12]}..., listed is {sha256[:12]}..."
                )

    def _fill(
        self,
        url: str,
        part: Path,
        start: int,
        size_bytes: int,
        secrets: Mapping[str, str] | None,
    ) -> None:
        try:
            with part.open("ab") as file:
                for offset, chunk in self.stream(
                    url, start=start, most_bytes=size_bytes, elsewhere=True, secrets=secrets
                ):
                    if offset != file.tell():
                        file.truncate(offset)
                        file.seek(offset)
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            if is_storage_full(error):
                raise StorageFullError(
                    f"no room left for {part}: free some and run the same command again"
                ) from error
            raise

    def stream(
        self,
        url: str,
        *,
        start: int = 0,
        most_bytes: int,
        elsewhere: bool = False,
        secrets: Mapping[str, str] | None = None,
    ) -> Iterator[tuple[int, bytes]]:
        """A file's bytes from `start` on, each piece with its offset. See `small` and `download`.

        A connection that is cut is taken up where it broke. Where the server cannot do that, or the
        file has changed meanwhile, pieces begin again at offset 0.
        """
        at, fruitless, validator = start, 0, ""
        while True:
            begun = at
            try:
                with self._answer(url, at, validator, elsewhere, secrets) as response:
                    if response.status != 206:
                        at = begun = 0
                    tag = response.headers.get("ETag", "")
                    validator = tag if tag.startswith('"') and tag.isascii() else ""
                    for chunk in self._body(response, url):
                        if at + len(chunk) > most_bytes:
                            raise LimitError(f"{shown(url)} is larger than {most_bytes:,} bytes")
                        yield (at, chunk)
                        at += len(chunk)
                return
            except _AgainError as error:
                fruitless = 1 if at - begun >= PROGRESS_BYTES else fruitless + 1
                if fruitless >= ATTEMPTS:
                    raise TransientError(f"{shown(url)}: {error}, {ATTEMPTS} times") from None
                self._back_off(url, error, fruitless)

    def _back_off(self, url: str, error: _AgainError, fruitless: int) -> None:
        """Waits 1, 2, 4, ... s, more or less, or as long as the server asks."""
        wait_s = 2.0 ** (fruitless - 1) * (0.5 + self.clock.jitter())
        if error.wait_s is not None:
            wait_s = error.wait_s + self.clock.jitter()
        if wait_s > LONGEST_WAIT_S:
            raise TransientError(
                f"{shown(url)}: the server asks to wait {wait_s:,.0f} s; run the same command then"
            ) from None
        self.clock.sleep(wait_s)

    @contextlib.contextmanager
    def _answer(
        self,
        url: str,
        at: int,
        validator: str,
        elsewhere: bool,
        secrets: Mapping[str, str] | None,
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        """The answer after redirects, with a status of 200 or 206."""
        headers = {"User-Agent": user_agent(), "Accept-Encoding": "identity"}
        if at:
            headers["Range"] = f"bytes={at}-"
            if validator:
                headers["If-Range"] = validator
        target = url
        if secrets:
            target += "?" + urllib.parse.urlencode(secrets)
        for _ in range(_REDIRECTS + 1):
            response = self._request(target, headers)
            try:
                if response.status not in _MOVED:
                    self._require_good(response, url, at)
                    yield response
                    return
                target = _redirected(url, target, response.headers.get("Location"), elsewhere)
            finally:
                response.close()
                response.release_conn()
        raise SourceError(f"{shown(url)} is redirected more than {_REDIRECTS} times")

    def _request(self, url: str, headers: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
        host = urllib.parse.urlsplit(url).netloc
        self._take_turns(host)
        try:
            return self._pool(url).request(
                "GET",
                url,
                headers=headers,
                preload_content=False,
                decode_content=False,
                redirect=False,
                retries=False,
                timeout=_TIMEOUT,
            )
        except urllib3.exceptions.SSLError as error:
            if isinstance(error.args[0], ssl.SSLCertVerificationError):
                reason = error.args[0].verify_message
                raise SourceError(
                    f"{shown(url)}: its certificate is not trusted: {reason}"
                ) from None
            raise _AgainError("the encrypted connection broke") from None
        except urllib3.exceptions.LocationValueError:
            raise SourceError(f"{shown(url)} is no address") from None
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise _AgainError(_reason(error)) from None

    def _take_turns(self, host: str) -> None:
        now_s = self.clock.now_s()
        if self.requests_per_s > 0 and host in self._last_s:
            wait_s = self._last_s[host] + 1 / self.requests_per_s - now_s
            if wait_s > 0:
                self.clock.sleep(wait_s)
        self._last_s[host] = self.clock.now_s()

    def _pool(self, url: str) -> urllib3.PoolManager:
        """One connection a host; through the proxy that the environment names, if it does."""
        parts = urllib.parse.urlsplit(url)
        proxy = ""
        if not urllib.request.proxy_bypass(parts.hostname or ""):
            proxy = urllib.request.getproxies().get(parts.scheme, "")
        if proxy not in self._pools:
            self._pools[proxy] = (
                urllib3.ProxyManager(proxy, maxsize=1) if proxy else urllib3.PoolManager(maxsize=1)
            )
        return self._pools[proxy]

    def _require_good(self, response: urllib3.BaseHTTPResponse, url: str, at: int) -> None:
        status = response.status
        if status in _AGAIN:
            wait_s = _retry_after_s(response.headers.get("Retry-After"), self.clock)
            raise _AgainError(f"the server answers {status}", wait_s)
        if status == 416 and at:
            raise SourceError(f"{shown(url)} is shorter than the {at:,} bytes that were had of it")
        if status not in (200, 206) or (status == 206 and not at):
            raise SourceError(f"{shown(url)}: the server answers {status}")
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise SourceError(f"{shown(url)} came compressed, which was not asked for")
        if status == 206:
            found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
            if found is None or int(found[1]) != at:
                raise SourceError(f"{shown(url)}: the server sent another part than asked for")

    def _body(self, response: urllib3.BaseHTTPResponse, url: str) -> Iterator[bytes]:
        window_s, window_bytes = self.clock.now_s(), 0
        try:
            while chunk := response.read1(_CHUNK_BYTES):
                yield chunk
                window_bytes += len(chunk)
                passed_s = self.clock.now_s() - window_s
                if passed_s >= _SLOW_WINDOW_S:
                    if window_bytes < _SLOWEST_BYTES_PER_S * passed_s:
                        raise _AgainError("the link has come to a standstill")
                    window_s, window_bytes = self.clock.now_s(), 0
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise _AgainError(_reason(error)) from None
        missing = response.length_remaining
        if missing:
            raise _AgainError(f"the connection to {shown(url)} was cut")


def user_agent() -> str:
    """What servers see: the program, and whom to ask, from GAUGENN_CONTACT."""
    contact = os.environ.get("GAUGENN_CONTACT", "")
    usable = contact.isascii() and contact.isprintable() and len(contact) <= 200
    who = f"; {contact}" if contact and usable else ""
    return f"gaugenn/{__version__} (census of neural networks in apps{who})"


def _redirected(url: str, target: str, location: str | None, elsewhere: bool) -> str:
    """Where a redirect leads, when it may be followed."""
    to = urllib.parse.urljoin(target, location or "")
    old, new = urllib.parse.urlsplit(target), urllib.parse.urlsplit(to)
    where = f"{shown(url)} is redirected to {shown(to)}"
    if not location or new.scheme not in ("http", "https") or not new.hostname:
        raise SourceError(f"{where}, which is no web address")
    if old.scheme == "https" and new.scheme != "https":
        raise SourceError(f"{where}, which is not encrypted any more")
    if new.netloc != old.netloc and not elsewhere:
        raise SourceError(f"{where}, another host, and nothing proves what that sends")
    if _is_inside(to) and not _is_inside(url):
        raise SourceError(f"{where}, which is in a private network")
    return to


def _retry_after_s(value: str | None, clock: Clock) -> float | None:
    if value is None:
        return None
    if value.strip().isascii() and value.strip().isdigit():
        return float(value.strip()[:9])
    try:
        date = email.utils.parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):
        return None
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, (date - clock.utc()).total_seconds())


def _reason(error: Exception) -> str:
    """Says what happened without the error's own text, which may hold an address with a key."""
    reasons: tuple[tuple[type[Exception], str], ...] = (
        (urllib3.exceptions.NameResolutionError, "no such host"),
        (urllib3.exceptions.NewConnectionError, "no connection"),
        (urllib3.exceptions.TimeoutError, "no answer in time"),
        (urllib3.exceptions.IncompleteRead, "the connection was cut"),
        (urllib3.exceptions.ProtocolError, "the connection was cut"),
        (urllib3.exceptions.ProxyError, "no way through the proxy"),
    )
    return next((text for kind, text in reasons if isinstance(error, kind)), type(error).__name__)


def _require_room(folder: Path, wanted_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < wanted_bytes + _MINIMUM_FREE_BYTES:
        raise StorageFullError(
            f"{folder} has {free:,} bytes free and {wanted_bytes:,} are to come: free some and run "
            "the same command again"
        )
