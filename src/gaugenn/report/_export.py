"""One figure by itself: as a picture, a table, or a chart's source."""

import io
import json
from enum import StrEnum

import pyarrow as pa
import pyarrow.csv
import vl_convert

from gaugenn.errors import UsageError
from gaugenn.report._charts import EXPORT_WIDTH, specification, theme
from gaugenn.report._connection import connect
from gaugenn.report._contract import Figure
from gaugenn.report._frame import Frame, load
from gaugenn.report._page import figures
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
    frame = _frame(study, figure, everything=form is ExportFormat.CSV)
    if form is ExportFormat.CSV:
        return _csv(frame)
    if frame.total == 0:
        raise UsageError(f"figure {name} has nothing to draw. {figure.empty}")
    chart = figure.chart(frame)
    if chart is None:
        raise UsageError(f"figure {name} is a table; write it as {ExportFormat.CSV}")
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


def _joined(value: object) -> str:
    return "; ".join(str(item) for item in value) if isinstance(value, list) else ""
