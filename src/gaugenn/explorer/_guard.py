"""What every request must be, and what every answer carries: the site's safety in one place.

- **Host.** A name that resolves to loopback (DNS rebinding) would make another site's script the same
  origin as ours; so only names of this machine are answered. Where the site is bound to another
  address, literal addresses are answered, too, since no name is involved in them.
- **Method.** Nothing is changed by a request, and only GET and HEAD are answered.
- **Where from.** Other sites may link to a page, but not load one into theirs or run a query.
- **Answers** may run and load only what this site serves.

**Source:** https://www.w3.org/TR/CSP3/, https://www.w3.org/TR/fetch-metadata/
"""

import ipaddress
import re
from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "frame-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
"""Content-Security-Policy of every page but the graph viewer's, which brings its own."""

_ALWAYS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
_OURS = ("none", "same-origin")
"""Asked for by the user, or by a page of this site. Another port of this machine is another site."""
_QUERY_PATH = "/sql"
VIEWER_PATH = "/viewer/"
"""Below it lies what the graph viewer loads; it has an origin of its own, and its paths a secret."""


class Guard:
    """Middleware that refuses what the site must not answer, and adds headers to what it does.

    Args:
        app: what answers.
        names: further names of this machine.
        literal: also answer to literal addresses, as one that is bound to more than loopback must.
    """

    def __init__(self, app: ASGIApp, names: Collection[str] = (), literal: bool = False) -> None:
        self._app = app
        self._names = LOOPBACK_NAMES | {name.lower() for name in names}
        self._literal = literal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, _with_headers(send))
            return
        await self._app(scope, receive, _with_headers(send))

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        headers = Headers(scope=scope)
        if not self._is_ours(headers.get("host", "")):
            return PlainTextResponse("This site is not known by that name.\n", 421)
        if scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse("Pages are only read.\n", 405, {"allow": "GET, HEAD"})
        path = str(scope["path"])
        if headers.get("sec-fetch-site", "none") not in _OURS and not path.startswith(VIEWER_PATH):
            linked = headers.get("sec-fetch-mode") == "navigate"
            whole = headers.get("sec-fetch-dest", "document") == "document"
            if not (linked and whole) or path.startswith(_QUERY_PATH):
                return PlainTextResponse("Other sites may not ask for this.\n", 403)
        return None

    def _is_ours(self, host: str) -> bool:
        name = _name(host)
        return name in self._names or (self._literal and _is_address(name))


_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([0-9a-z._-]+))(?::[0-9]{1,5})?")


def _name(host: str) -> str:
    """A Host header without its port; "" where it is none."""
    found = _HOST.fullmatch(host.lower())
    return "" if found is None else found[1] or found[2]


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _with_headers(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _ALWAYS.items():
                headers[name] = value
            headers.setdefault("content-security-policy", POLICY)
            headers.setdefault("cross-origin-resource-policy", "same-origin")
            headers.setdefault("cache-control", "no-store")
        await send(message)

    return sent
