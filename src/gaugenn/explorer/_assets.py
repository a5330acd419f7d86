"""Scripts, styles and pictures of the site; each under an address that changes with its bytes."""

import hashlib
from dataclasses import dataclass
from importlib import resources

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gaugenn.report import page_library

_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_FOREVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asset:
    data: bytes
    digest: str


class Assets:
    """The files that pages load, made once.

    The report's own style and script come first, so that a study looks alike in both.
    """

    def __init__(self) -> None:
        self._known: dict[str, _Asset] = {}
        for name, text in (
            ("report.css", _text("gaugenn.report", "_page.css")),
            ("report.js", _text("gaugenn.report", "_page.js")),
            ("charts.js", page_library()),
            ("explorer.css", _text("gaugenn.explorer", "_explorer.css")),
            ("icon.svg", _text("gaugenn.explorer", "_icon.svg")),
        ):
            data = text.encode()
            self._known[name] = _Asset(data=data, digest=hashlib.sha256(data).hexdigest()[:16])

    def address(self, name: str) -> str:
        """Where a file is."""
        return f"/assets/{self._known[name].digest}/{name}"

    def route(self) -> Route:
        """What serves them."""
        return Route("/assets/{digest}/{name}", self._serve)

    def _serve(self, request: Request) -> Response:
        found = self._known.get(request.path_params["name"])
        if found is None or found.digest != request.path_params["digest"]:
            raise HTTPException(404, "There is no such file.")
        kind = _TYPES[request.path_params["name"].rpartition(".")[2]]
        return Response(found.data, media_type=kind, headers={"cache-control": _FOREVER})


def _text(package: str, name: str) -> str:
    return resources.files(package).joinpath(name).read_text(encoding="utf-8")
