"""What figures of ratios share: a row with a point and its interval on a logarithmic axis around 1."""

from collections.abc import Sequence

import altair as alt

from gaugenn.analysis.comparison import Difference
from gaugenn.report import _text
from gaugenn.report._charts import TALL_STEP, height, log_axis, log_scale, sized, two_lines
from gaugenn.report._contract import Chart
from gaugenn.report._frame import Frame
from gaugenn.report._table import Column, prepared


def ends(found: Sequence[Difference | None], name: str) -> dict[str, list[float | None]]:
    """The columns `NAME`, `NAME_low` and `NAME_high` of ratios; nothing where there is none."""
    return {
        name: [None if d is None else d.ratio for d in found],
        f"{name}_low": [None if d is None else d.low for d in found],
        f"{name}_high": [None if d is None else d.high for d in found],
    }


def ratio_text(ratio: float | None, low: float | None, high: float | None) -> str:
    """`1.25 [1.20, 1.31]`."""
    if ratio is None:
        return _text.NOTHING
    if low is None or high is None:
        return f"{ratio:.2f} [no interval]"
    return f"{ratio:.2f} [{low:.2f}, {high:.2f}]"


def ratio_column(title: str, frame: Frame, name: str) -> Column:
    """Ratios with their intervals, sorted by the ratio."""
    columns = [frame.reals(name + end) for end in ("", "_low", "_high")]
    texts = [ratio_text(*row) for row in zip(*columns, strict=True)]
    return prepared(title, texts, columns[0])


def ratio_chart(frame: Frame, name: str, title: str, color: str, color_title: str | None) -> Chart:
    """A point with its interval for each row; 1 is no difference.

    Args:
        frame: with the columns `row`, `NAME`, `NAME_low`, `NAME_high` and that of the colour.
        name: of the ratio.
        title: of the axis.
        color: column that colours and shapes points.
        color_title: of the legend.
    """
    columns = ["row", color, name, f"{name}_low", f"{name}_high"]
    rows = frame.rows.select(list(dict.fromkeys(columns)))
    values = [1.0, *(value for end in ("", "_low", "_high") for value in frame.reals(name + end))]
    axis, scale = log_axis(values), log_scale(values)
    kinds = alt.Scale(domain=sorted(set(frame.labels(color))))
    legend = alt.Legend(columns=1)
    base = (
        alt.Chart(rows)
        .transform_filter(f"isValid(datum['{name}'])")
        .encode(
            y=alt.Y("row:N", title=None, sort=frame.labels("row"), axis=two_lines()),
            color=alt.Color(f"{color}:N", title=color_title, scale=kinds, legend=legend),
        )
    )
    bars = base.mark_rule().encode(
        x=alt.X(f"{name}_low:Q", title=title, scale=scale, axis=axis), x2=f"{name}_high:Q"
    )
    points = base.mark_point().encode(
        x=alt.X(f"{name}:Q", scale=scale, axis=axis),
        shape=alt.Shape(f"{color}:N", title=color_title, scale=kinds, legend=legend),
        tooltip=[
            alt.Tooltip("row:N", title="experiment"),
            alt.Tooltip(f"{name}:Q", format=".3~r", title="ratio"),
            alt.Tooltip(f"{name}_low:Q", format=".3~r", title="interval from"),
            alt.Tooltip(f"{name}_high:Q", format=".3~r", title="interval to"),
        ],
    )
    none = (
        alt.Chart(rows)
        .mark_rule(strokeDash=[4, 4], opacity=0.6)
        .encode(x=alt.X(datum=1.0, scale=scale, axis=axis))
    )
    return sized(alt.layer(none, bars, points), height(frame.labels("row"), TALL_STEP))
