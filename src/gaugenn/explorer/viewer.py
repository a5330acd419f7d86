"""The graph of a model, drawn by the viewer of the `netron` package in a frame without an origin.

The viewer is a large program that reads hostile files, so it gets nothing but the model: its frame is
sandboxed (scripts, and no origin of its own), may load from its own folder only, and that folder has a
secret in its path, since a frame without an origin can be given nothing by cookie or by Origin header.
Files come out of the study's blobs by digest; a name is only ever looked up in the model's rows.

**Source:** https://html.spec.whatwg.org/multipage/browsers.html#sandboxing,
https://pypi.org/project/netron/
"""

import html
import importlib.util
import re
import secrets
from importlib import resources
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route

from gaugenn.errors import StoreError
from gaugenn.explorer._assets import Assets
from gaugenn.explorer._contract import Pages, address
from gaugenn.explorer._database import Database
from gaugenn.explorer._guard import VIEWER_PATH
from gaugenn.explorer._rendering import Templates
from gaugenn.report._text import visible

_TYPES = {
    ".js": "text/javascript",
    ".json": "application/json",
    ".css": "text/css",
    ".png": "image/png",
    ".ico": "image/x-icon",
}
_SHIM = "gaugenn-frame.js"
_USUAL = {
    "tflite": ".tflite",
    "onnx": ".onnx",
    "ort": ".ort",
    "ncnn": ".param",
    "mnn": ".mnn",
    "gguf": ".gguf",
    "pytorch": ".pt",
    "executorch": ".pte",
    "keras": ".keras",
    "snpe": ".dlc",
    "tengine": ".tmfile",
    "tensorflow": ".pb",
    "caffe": ".prototxt",
    "caffe2": ".pb",
    "mindspore": ".ms",
    "paddle": ".pdmodel",
    "coreml": ".mlmodel",
    "openvino": ".xml",
    "tnn": ".tnnproto",
    "circle": ".circle",
}
"""The ending by which the viewer looks at a format first. A model in an app may have any name."""


def viewer_folder() -> Path | None:
    """Where the viewer's files are; None where it is not installed."""
    found = importlib.util.find_spec("netron")
    if found is None or found.origin is None:
        return None
    return Path(found.origin).parent


class Viewer(Pages):
    """`/models/SHA256/graph`, and what its frame loads below `/viewer/SECRET/SHA256/`."""

    path = "/models"

    def __init__(self, database: Database, templates: Templates, assets: Assets) -> None:
        super().__init__(database, templates, assets)
        self._secret = secrets.token_urlsafe(24)
        self._folder = viewer_folder()
        self._files = {
            path.name: path
            for path in (self._folder.iterdir() if self._folder else ())
            if path.suffix in _TYPES
        }

    def routes(self) -> list[Route]:
        """The page, its frame, the viewer's files, the model's files."""
        frame = VIEWER_PATH + "{secret}/{digest}/"
        return [
            Route("/models/{digest}/graph", self._show),
            Route(frame, self._frame),
            Route(frame + "data/{name:path}", self._data),
            Route(frame + "{name}", self._file),
        ]

    def _show(self, request: Request) -> Response:
        digest = request.path_params["digest"]
        with self.database.read() as reader:
            name = reader.value("SELECT name FROM page_models WHERE model_sha256 = ?", [digest])
        graph = self._graph(digest)
        missing = ""
        if self._folder is None:
            missing = (
                "The viewer is not installed; install it with: pip install 'gaugenn[explorer]'"
            )
        elif graph is None or not self._blob(graph[1]).is_file():
            missing = "The study has no file of this model, so its graph cannot be drawn."
        if name is None:
            raise HTTPException(404, "The study has no model with that digest.")
        return self.page(
            "viewer.html.j2",
            f"Graph of {visible(str(name), 80)}",
            digest=digest,
            missing=missing,
            frame=VIEWER_PATH + self._secret + address(digest) + "/",
        )

    def _graph(self, digest: str) -> tuple[str, str, str] | None:
        """Name, digest and format of the file that holds the graph."""
        with self.database.read() as reader:
            rows = reader.connection.execute(
                """SELECT name, sha256, format FROM page_model_files WHERE model_sha256 = ?
                   ORDER BY position, name LIMIT 1""",
                [digest],
            ).fetchall()
        return (str(rows[0][0]), str(rows[0][1]), str(rows[0][2])) if rows else None

    def _blob(self, sha256: str) -> Path:
        try:
            return self.database.study.blobs.path(sha256)
        except StoreError as error:
            raise HTTPException(404, "The study has no such file.") from error

    def _frame(self, request: Request) -> Response:
        self._require_secret(request)
        graph = self._graph(request.path_params["digest"])
        if graph is None or self._folder is None:
            raise HTTPException(404, "The study has no such model.")
        text = (self._folder / "index.html").read_text(encoding="utf-8")
        # Without a version the viewer takes itself for one under development: it sends no statistics
        # and does not ask to be renewed.
        text = re.sub(r'<meta (?:name="(?:version|date)"|http-equiv)[^>]*>', "", text)
        file = html.escape("data" + address(_shown_name(graph)))
        head = f'<meta name="version" content="0.0.0">\n<meta name="file" content="{file}">\n'
        text = text.replace("<title>", head + "<title>", 1)
        text = text.replace("<script", f'<script src="{_SHIM}"></script>\n<script', 1)
        return HTMLResponse(
            text, headers={**self._headers(), "content-security-policy": _policy(request)}
        )

    def _file(self, request: Request) -> Response:
        self._require_secret(request)
        name = request.path_params["name"]
        if name == _SHIM:
            shim = resources.files("gaugenn.explorer").joinpath("_viewer.js").read_bytes()
            return Response(shim, media_type=_TYPES[".js"], headers=self._headers())
        path = self._files.get(name)
        if path is None:
            raise HTTPException(404, "The viewer has no such file.")
        return FileResponse(path, media_type=_TYPES[path.suffix], headers=self._headers())

    def _data(self, request: Request) -> Response:
        self._require_secret(request)
        digest, name = request.path_params["digest"], request.path_params["name"]
        graph = self._graph(digest)
        if graph is not None and name == _shown_name(graph):
            sha256: object = graph[1]
        else:
            with self.database.read() as reader:
                sha256 = reader.value(
                    "SELECT sha256 FROM page_model_files WHERE model_sha256 = ? AND name = ? LIMIT 1",
                    [digest, name],
                )
        path = None if sha256 is None else self._blob(str(sha256))
        if path is None or not path.is_file():
            raise HTTPException(404, "The study has no such file.")
        return FileResponse(path, media_type="application/octet-stream", headers=self._headers())

    def _require_secret(self, request: Request) -> None:
        given = request.path_params["secret"].encode()
        if not secrets.compare_digest(given, self._secret.encode()):
            raise HTTPException(404, "There is no such page.")

    def _headers(self) -> dict[str, str]:
        """What lets a frame without an origin load a file."""
        return {
            "access-control-allow-origin": "*",
            "cross-origin-resource-policy": "cross-origin",
        }


def _shown_name(graph: tuple[str, str, str]) -> str:
    """The graph file's name with an ending that its format is known by."""
    name, _, form = graph
    ending = _USUAL.get(form, "")
    return name if name.lower().endswith(ending) else name + ending


def _policy(request: Request) -> str:
    """The frame's policy: a sandbox, and its own folder."""
    folder = f"{request.url.scheme}://{request.headers['host']}{request.url.path}"
    return "; ".join(
        (
            "sandbox allow-scripts",
            "default-src 'none'",
            f"script-src {folder} blob:",
            "worker-src blob:",
            f"connect-src {folder}",
            f"img-src {folder} data: blob:",
            f"style-src {folder} 'unsafe-inline'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'self'",
        )
    )
