"""The page: figures in order, one HTML file that loads nothing."""

import base64
import hashlib
import os
import tempfile
import textwrap
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from pathlib import Path

import duckdb
import jinja2
import markupsafe
import vl_convert

from gaugenn import __version__, plugins
from gaugenn.errors import StorageFullError, UsageError, is_storage_full
from gaugenn.report._charts import embeddable, specification, theme
from gaugenn.report._connection import connect
from gaugenn.report._contract import Figure, Section
from gaugenn.report._frame import load
from gaugenn.report._reference import beside
from gaugenn.report._summary import Summary, study_name, summary
from gaugenn.report._table import TABLE_ROWS, Table
from gaugenn.store import Study, is_own_file

_PACKAGE = "gaugenn.report"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Item:
    """A figure as the template needs it."""

    name: str
    title: str
    question: str
    query: str
    empty: str
    caption: str
    total: int
    shown: int
    table: Table | None
    chart: dict[str, object] | None
    reported: tuple[str, ...] = ()

    @property
    def has_chart(self) -> bool:
        return self.chart is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """A section of the page."""

    title: str
    anchor: str
    items: tuple[_Item, ...]


def figures() -> dict[str, Figure]:
    """Every figure by name, in the page's order."""
    found = {
        name: figure()
        for name, figure in plugins.load_all(_PACKAGE, Figure).items()  # type: ignore[type-abstract]
    }
    return dict(sorted(found.items(), key=lambda pair: pair[1].order))


def write(study: Study, path: Path, reference: bool = False) -> Path:
    """Writes the report of a study as one HTML file; an older one is replaced whole, or kept.

    Args:
        study: to read.
        path: where to.
        reference: show what the papers reported beside the study's own numbers.

    Returns:
        The path.

    Raises:
        StorageFullError: no room; no partial file is left.
        UsageError: the path cannot be written.
    """
    _require_folder(path)
    return write_whole(path, render(study, reference).encode())


def write_whole(path: Path, data: bytes) -> Path:
    """Writes a file so that it is there whole or not at all.

    Raises:
        StorageFullError: no room; no partial file is left.
        UsageError: the path cannot be written.
    """
    _require_folder(path)
    try:
        _replace(path, data)
    except OSError as error:
        if is_storage_full(error):
            raise StorageFullError(
                f"no room for {path}: free {len(data):,} bytes and run again"
            ) from error
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error
    return path


def _require_folder(path: Path) -> None:
    if is_own_file(path):
        raise UsageError(f"{path} is where the study keeps its own files; give another name")
    if not path.parent.is_dir():
        raise UsageError(f"{path} cannot be written: {path.parent} is no folder")


def render(study: Study, reference: bool = False) -> str:
    """The page's text; with what the papers reported where `reference` asks for it."""
    headline = summary(study)
    with connect(study) as connection:
        known = beside(connection) if reference else {}
        items = [
            (figure.section, _item(name, figure, connection, headline, known.get(name, ())))
            for name, figure in figures().items()
        ]
    parts = [
        _Part(
            title=section.value,
            anchor=f"part-{section.name.lower()}",
            items=tuple(item for place, item in items if place is section),
        )
        for section in Section
    ]
    charts = {item.name: item.chart for _, item in items if item.chart is not None}
    themes = {"light": theme(dark=False), "dark": theme(dark=True)}
    library, script, style = page_library(), _resource("_page.js"), _resource("_page.css")
    return _template().render(
        name=study_name(study),
        version=__version__,
        written_at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        tiles=headline.tiles(),
        parts=[part for part in parts if part.items],
        charts=embeddable({"charts": charts, "themes": themes}) if charts else "",
        library=library,
        script=script,
        style=markupsafe.Markup(style),  # noqa: S704
        licences=_resource("_licences.txt"),
        policy=_policy(style, library, script),
    )


def _item(
    name: str,
    figure: Figure,
    connection: duckdb.DuckDBPyConnection,
    headline: Summary,
    reported: tuple[str, ...],
) -> _Item:
    frame = load(connection, figure.query, figure.limit)
    frame = figure.derive(frame) if frame.total else frame
    some = frame.total > 0
    chart = figure.chart(frame) if some else None
    return _Item(
        name=name,
        title=figure.title,
        question=figure.question,
        query=textwrap.dedent(figure.query).strip(),
        empty=figure.empty,
        caption=figure.caption(frame, headline) if some else "",
        total=frame.total,
        shown=min(frame.total, TABLE_ROWS),
        table=figure.table(frame.first(TABLE_ROWS)) if some else None,
        chart=None if chart is None else specification(chart, figure.question),
        reported=reported,
    )


@cache
def page_library() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, from the vl-convert package; about 0.9 MB."""
    bundle = vl_convert.javascript_bundle("globalThis.vegaEmbed = vegaEmbed;")
    return f"(() => {{{bundle}\n}})();".replace("</script", "<\\/script")


def _policy(style: str, *scripts: str) -> str:
    """Only the scripts and the style of this very page, and nothing from anywhere."""
    allowed = " ".join(_source(script) for script in scripts)
    return (
        f"default-src 'none'; script-src {allowed}; style-src {_source(style)}; "
        "base-uri 'none'; form-action 'none'"
    )


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_resource),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("_page.html.j2")


def _resource(name: str) -> str:
    return resources.files(_PACKAGE).joinpath(name).read_text(encoding="utf-8")


def _replace(path: Path, data: bytes) -> None:
    handle, name = tempfile.mkstemp(prefix=".report-", suffix=".part", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
