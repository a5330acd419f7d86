"""Apps: a list to search, and one app with its evidence, models and history."""

from collections.abc import Mapping, Sequence

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gaugenn.explorer._contract import Pages, address
from gaugenn.explorer._database import Reader
from gaugenn.explorer._listing import Listing, find, of_list, of_value
from gaugenn.report import _text
from gaugenn.report._frame import Frame
from gaugenn.report._table import Table, digests, links, lists, names, numbers

_MOST = 500
"""Rows of a table about one app."""

_LIST = Listing(
    table="page_apps",
    key="app_sha256",
    filters=(
        of_list("format", "Format", "formats", "page_apps"),
        of_list("task", "Task", "tasks", "page_apps"),
        of_value("category", "Category", "category", "page_apps"),
        of_list("refused", "Has files that are", "refused_kinds", "page_apps"),
        of_list("runtime", "Library", "runtimes", "page_apps"),
        of_value("kind", "Package", "kind", "page_apps"),
        of_list("snapshot", "Snapshot", "snapshots", "page_apps"),
    ),
    sorts={
        "label": "lower(coalesce(label, package, path))",
        "package": "package",
        "models": "models",
        "refused": "refused",
        "size": "size_bytes",
        "category": "category",
    },
    usual="-models",
)


class Apps(Pages):
    """`/apps` and `/apps/SHA256`."""

    menu = "Apps"
    order = 1
    path = "/apps"

    def routes(self) -> list[Route]:
        """The list, and one app."""
        return [Route("/apps", self._list), Route("/apps/{digest}", self._one)]

    def _list(self, request: Request) -> Response:
        with self.database.read() as reader:
            found = find(reader, _LIST, request.query_params)
        return self.page(
            "apps.html.j2",
            "Apps",
            found=found,
            table=_table(found.frame),
            keys=("label", "package", "models", None, None, "refused", "size", "category", None),
        )

    def _one(self, request: Request) -> Response:
        digest = request.path_params["digest"]
        with self.database.read() as reader:
            found = reader.frame("SELECT * FROM page_apps WHERE app_sha256 = ?", [digest])
            if not len(found):
                raise HTTPException(404, "The study has no app with that digest.")
            package = reader.value("SELECT package FROM page_apps WHERE app_sha256 = ?", [digest])
            manifest = reader.frame(
                "SELECT * FROM page_packages WHERE app_sha256 = ? ORDER BY path", [digest]
            )
            return self.page(
                "app.html.j2",
                found.labels("label")[0] or found.labels("package")[0] or "An app",
                facts=_facts(found, manifest),
                permissions=manifest.text_lists("permissions")[0],
                features=manifest.text_lists("features")[0],
                notes=manifest.text_lists("notes")[0],
                models=_models(reader, digest),
                refused=_refused(reader, digest),
                findings=_findings(reader, digest),
                evidence=_evidence(reader, digest),
                history=_history(reader, package, digest),
            )


def _addresses(values: Sequence[str], folder: str) -> list[str | None]:
    return [address(folder, value) if value else None for value in values]


def _table(frame: Frame) -> Table | None:
    if not len(frame):
        return None
    shown = [
        label or package or path
        for label, package, path in zip(
            frame.texts("label"), frame.texts("package"), frame.texts("path"), strict=True
        )
    ]
    return Table(
        columns=(
            links(names("App", shown), _addresses(frame.labels("app_sha256"), "apps")),
            names("Package", frame.texts("package")),
            numbers("Models", frame.integers("models")),
            lists("Formats", frame.text_lists("formats")),
            lists("Libraries", frame.text_lists("runtimes")),
            numbers("Not read", frame.integers("refused")),
            numbers("Size", frame.integers("size_bytes"), _text.size),
            names("Category", frame.texts("category")),
            names("Version", frame.texts("version_name")),
        )
    )


def _facts(found: Frame, manifest: Frame) -> list[tuple[str, str]]:
    def text(frame: Frame, column: str) -> str:
        return frame.labels(column)[0] or _text.NOTHING

    minimum, target = (
        _text.count(manifest.integers(name)[0]) for name in ("minimum_sdk", "target_sdk")
    )
    return [
        ("Package", text(found, "package")),
        (
            "Version",
            f"{text(found, 'version_name')} ({manifest.integers('version_code')[0] or '?'})",
        ),
        ("Kind", text(found, "kind")),
        ("Size", _text.size(found.integers("size_bytes")[0])),
        ("Members", _text.count(manifest.integers("members")[0])),
        ("Category", text(found, "category")),
        ("Libraries", ", ".join(found.text_lists("runtimes")[0]) or _text.NOTHING),
        ("Processor kinds (ABIs)", ", ".join(manifest.text_lists("abis")[0]) or _text.NOTHING),
        ("Android API level, least and target", f"{minimum}, {target}"),
        ("Snapshots", ", ".join(found.text_lists("snapshots")[0]) or _text.NOTHING),
        ("Signed with", text(manifest, "certificate_sha256")),
        ("SHA-256", text(found, "app_sha256")),
        ("Lies at", "; ".join(manifest.labels("path"))),
        ("Error", text(manifest, "error")),
    ]


def _models(reader: Reader, digest: str) -> Table | None:
    frame = reader.frame(
        """SELECT m.*, p.member FROM page_places p JOIN page_models m USING (model_sha256)
           WHERE p.app_sha256 = ? ORDER BY p.member, m.model_sha256""",
        [digest],
        _MOST,
    )
    if not len(frame):
        return None
    return Table(
        columns=(
            links(
                names("File", frame.texts("member")),
                _addresses(frame.labels("model_sha256"), "models"),
            ),
            names("Format", frame.texts("format")),
            names("Task", frame.texts("task")),
            names("Family", frame.texts("family")),
            numbers("Parameters", frame.integers("parameters"), _text.metric),
            numbers("MACs", frame.integers("macs"), _text.metric),
            numbers("Size", frame.integers("size_bytes"), _text.size),
            numbers("Apps with it", frame.integers("apps")),
            digests("SHA-256", frame.texts("model_sha256")),
        )
    )


def _refused(reader: Reader, digest: str) -> Table | None:
    frame = reader.frame(
        """SELECT * FROM page_refused WHERE app_sha256 = ? ORDER BY kind, member""",
        [digest],
        _MOST,
    )
    if not len(frame):
        return None
    return Table(
        columns=(
            names("File", frame.texts("member")),
            names("Kind", frame.texts("kind")),
            names("Why", frame.texts("error"), 80),
            names("Format it claims", frame.texts("format")),
            numbers("Size", frame.integers("size_bytes"), _text.size),
            numbers("Entropy, bits per byte", frame.reals("entropy_bits"), _two_digits),
        )
    )


def _two_digits(value: float | None) -> str:
    return _text.NOTHING if value is None else f"{value:.2f}"


def _findings(reader: Reader, digest: str) -> Table | None:
    frame = reader.frame(
        """SELECT *, CASE WHEN confirmed THEN 'confirmed' ELSE 'one weak token only' END AS standing
           FROM page_findings WHERE app_sha256 = ? ORDER BY confirmed DESC, category, name""",
        [digest],
        _MOST,
    )
    if not len(frame):
        return None
    return Table(
        columns=(
            names("Uses", frame.texts("name")),
            names("What it is", frame.texts("category")),
            names("Vendor", frame.texts("vendor")),
            names("Standing", frame.texts("standing")),
            numbers("Tokens", frame.integers("tokens")),
        )
    )


def _evidence(reader: Reader, digest: str) -> Table | None:
    frame = reader.frame(
        """SELECT *, CASE WHEN strong THEN 'strong' ELSE 'weak' END AS strength,
                  CASE defined WHEN true THEN 'shipped' WHEN false THEN 'called only' END AS held
           FROM page_evidence WHERE app_sha256 = ? ORDER BY category, name, source, token, member""",
        [digest],
        _MOST,
    )
    if not len(frame):
        return None
    return Table(
        columns=(
            names("Token", frame.texts("token"), 60),
            names("Speaks for", frame.texts("name")),
            names("Category", frame.texts("category")),
            names("Seen as", frame.texts("source")),
            names("In", frame.texts("member"), 60),
            names("Strength", frame.texts("strength")),
            names("Class is", frame.texts("held")),
        )
    )


def _history(reader: Reader, package: object, digest: str) -> Table | None:
    """Every version of the app in the study, with what each changed in its models."""
    if not package:
        return None
    frame = reader.frame(
        """SELECT a.app_sha256, a.version_name, a.version_code, a.size_bytes, s.snapshot,
                  s.source, s.fetched_at, a.models
           FROM page_apps a LEFT JOIN page_provenance s USING (app_sha256)
           WHERE a.package = ?
           ORDER BY s.fetched_at NULLS FIRST, s.snapshot, a.version_code, a.app_sha256""",
        [package],
        _MOST,
    )
    held = _held(reader, package)
    added, removed = [], []
    before: frozenset[str] | None = None
    for app in frame.labels("app_sha256"):
        now = held.get(app, frozenset())
        added.append(None if before is None else len(now - before))
        removed.append(None if before is None else len(before - now))
        before = now
    apps = frame.labels("app_sha256")
    mine = [f"{app[:12]} (this one)" if app == digest else app[:12] for app in apps]
    return Table(
        columns=(
            links(names("Package file", mine), _addresses(apps, "apps")),
            names("Snapshot", frame.texts("snapshot")),
            names("Source", frame.texts("source")),
            names("Fetched (UTC)", frame.texts("fetched_at")),
            names("Version", frame.texts("version_name")),
            numbers("Version code", frame.integers("version_code")),
            numbers("Size", frame.integers("size_bytes"), _text.size),
            numbers("Models", frame.integers("models")),
            numbers("New models", added),
            numbers("Models gone", removed),
        )
    )


def _held(reader: Reader, package: object) -> Mapping[str, frozenset[str]]:
    rows = reader.connection.execute(
        """SELECT a.app_sha256, list(p.model_sha256) FROM page_apps a
           JOIN page_places p USING (app_sha256) WHERE a.package = ? GROUP BY a.app_sha256""",
        [package],
    ).fetchall()
    return {str(app): frozenset(models) for app, models in rows}
