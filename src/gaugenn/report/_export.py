"""One figure by itself: as a picture, a table, or a chart's source."""

import io
import json
from enum import StrEnum

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import vl_convert

from gaugenn.errors import UsageError
from gaugenn.report import _text
from gaugenn.report._charts import EXPORT_WIDTH, specification, theme
from gaugenn.report._connection import connect
from gaugenn.report._contract import Figure
from gaugenn.report._frame import Frame, load
from gaugenn.report._latex import latex
from gaugenn.report._page import figures
from gaugenn.report._summary import summary
from gaugenn.report._table import TABLE_ROWS, Table, names, numbers
from gaugenn.store import Study

_PIXEL_RATIO = 2.0


class ExportFormat(StrEnum):
    """What a figure can be written as."""

    SVG = "svg"
    PNG = "png"
    CSV = "csv"
    """All rows of the figure, with derived columns; lists are joined by `; `."""
    VEGA = "vega"
    """The Vega-Lite specification with its data."""
    PARQUET = "parquet"
    """All rows of the figure, with derived columns; question and query in the file's metadata."""
    LATEX = "latex"
    """The figure's table for the `booktabs` package, with the rows that the page shows."""

    @property
    def suffix(self) -> str:
        """What a file's name ends in."""
        return "tex" if self is ExportFormat.LATEX else self.value


def render_figure(study: Study, name: str, form: ExportFormat) -> bytes:
    """A figure of a study.

    Args:
        study: to read.
        name: of the figure's module.
        form: what to write.

    Raises:
        UsageError: no such figure, no chart to draw, or no rows.
    """
    figure = _figure(name)
    rows_only = form in (ExportFormat.CSV, ExportFormat.PARQUET)
    frame = _frame(study, figure, everything=rows_only)
    if form is ExportFormat.CSV:
        return _csv(frame)
    if form is ExportFormat.PARQUET:
        return _parquet(name, figure, frame)
    if frame.total == 0:
        raise UsageError(f"figure {name} has nothing to draw. {figure.empty}")
    if form is ExportFormat.LATEX:
        return _latex(study, name, figure, frame).encode()
    chart = figure.chart(frame)
    if chart is None:
        rows = f"{ExportFormat.CSV}, {ExportFormat.PARQUET} or {ExportFormat.LATEX}"
        raise UsageError(f"figure {name} is a table; write it as {rows}")
    source = {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        **specification(chart, figure.question, EXPORT_WIDTH),
        "config": {**theme(dark=False), "background": "white"},
    }
    if form is ExportFormat.VEGA:
        return json.dumps(source, allow_nan=False, indent=1).encode()
    if form is ExportFormat.PNG:
        return vl_convert.vegalite_to_png(source, scale=_PIXEL_RATIO, allowed_base_urls=[])
    return vl_convert.vegalite_to_svg(source, allowed_base_urls=[]).encode()


def figure_rows(study: Study, name: str) -> list[dict[str, object]]:
    """All rows of a figure, with derived columns.

    Raises:
        UsageError: no such figure.
    """
    found: list[dict[str, object]] = _frame(study, _figure(name), everything=True).rows.to_pylist()
    return found


def _figure(name: str) -> Figure:
    known = figures()
    if name not in known:
        raise UsageError(f"there is no figure {name!r}; there are: {', '.join(known)}")
    return known[name]


def _frame(study: Study, figure: Figure, everything: bool) -> Frame:
    with connect(study) as connection:
        frame = load(connection, figure.query, None if everything else figure.limit)
    return figure.derive(frame) if frame.total else frame


def _csv(frame: Frame) -> bytes:
    columns = {}
    for field in frame.rows.schema:
        values: list[object] = frame.rows.column(field.name).to_pylist()
        if pa.types.is_list(field.type):
            columns[field.name] = pa.array([_joined(value) for value in values], pa.string())
        else:
            columns[field.name] = pa.array(values, field.type)
    text = io.BytesIO()
    pyarrow.csv.write_csv(pa.table(columns), text)
    return text.getvalue()


def _parquet(name: str, figure: Figure, frame: Frame) -> bytes:
    about = {"figure": name, "question": figure.question, "query": figure.query}
    data = io.BytesIO()
    pyarrow.parquet.write_table(
        frame.rows.replace_schema_metadata({f"gaugenn.{k}": v for k, v in about.items()}), data
    )
    return data.getvalue()


def _latex(study: Study, name: str, figure: Figure, frame: Frame) -> str:
    shown = frame.first(TABLE_ROWS)
    table = figure.table(shown) or _plain(shown)
    cut = f" The first {len(shown):,} of {frame.total:,} rows." if len(shown) < frame.total else ""
    return latex(table, name, f"{figure.title}. {figure.caption(frame, summary(study))}{cut}")


def _plain(frame: Frame) -> Table:
    """The columns of a frame as they are, for figures that have no table."""
    columns = []
    for field in frame.rows.schema:
        if pa.types.is_string(field.type):
            columns.append(names(field.name, frame.texts(field.name)))
        elif pa.types.is_integer(field.type) or pa.types.is_boolean(field.type):
            columns.append(numbers(field.name, frame.integers(field.name)))
        elif pa.types.is_floating(field.type):
            columns.append(numbers(field.name, frame.reals(field.name), _text.four_digits))
    return Table(columns=tuple(columns))


def _joined(value: object) -> str:
    return "; ".join(str(item) for item in value) if isinstance(value, list) else ""
