"""Shares with their intervals: the columns that figures add, show and draw."""

import textwrap
from collections.abc import Sequence

import altair as alt

from gaugenn.analysis.statistics import proportion
from gaugenn.report import _text
from gaugenn.report._charts import STEP, TALL_STEP, height, number_axis, sized, two_lines
from gaugenn.report._contract import Chart
from gaugenn.report._frame import Frame
from gaugenn.report._table import Column, prepared

SHARE_INTERVAL = (
    "Brackets and bars are Wilson's 95 % intervals of a share, for packages that are a random sample "
    "of more; where they are all that there is, the share has no error."
)
_LINE = 24
"""Characters of a line of a row's name."""


def with_share(frame: Frame, part: str, whole: str, name: str = "share") -> Frame:
    """Adds `NAME_percent`, `NAME_percent_low` and `NAME_percent_high`; null where there is no whole.

    Args:
        frame: with the two columns of integers.
        part: column of those that count.
        whole: column of what they are a share of.
        name: start of the new columns' names.
    """
    pairs = zip(frame.reals(part), frame.reals(whole), strict=True)
    found = [proportion(int(n), int(of)) if n is not None and of else None for n, of in pairs]
    return frame.with_columns(
        {
            f"{name}_percent": [None if p is None else 100 * p.value for p in found],
            f"{name}_percent_low": [None if p is None else 100 * p.low for p in found],
            f"{name}_percent_high": [None if p is None else 100 * p.high for p in found],
        },
        like=float,
    )


def share_column(title: str, frame: Frame, name: str = "share") -> Column:
    """Shares as `50.0 % [18.8, 81.2]`, sorted by the share.

    Args:
        title: of the column, with what the share is of.
        frame: with the columns that `with_share` added.
        name: start of their names.
    """
    percents = frame.reals(f"{name}_percent")
    ends = zip(
        percents,
        frame.reals(f"{name}_percent_low"),
        frame.reals(f"{name}_percent_high"),
        strict=True,
    )
    return prepared(title, [_interval(*row) for row in ends], percents)


def _interval(percent: float | None, low: float | None, high: float | None) -> str:
    if percent is None or low is None or high is None:
        return _text.NOTHING
    return f"{percent:.1f}\N{NO-BREAK SPACE}% [{low:.1f}, {high:.1f}]"


def share_chart(
    frame: Frame, rows: str, title: str, tooltip: Sequence[str], series: str | None = None
) -> Chart:
    """A point with its interval for each row.

    Args:
        frame: with the columns that `with_share` added under its usual name.
        rows: column that names the rows, in their order.
        title: of the axis, with what the shares are of.
        tooltip: further columns to show, as Vega-Lite's shorthand.
        series: column of points that share a row, told apart by colour and shape.
    """
    names = [_wrapped(name) for name in frame.labels(rows)]
    order = list(dict.fromkeys(names))
    y = alt.Y("share_row:N", title=None, sort=order, axis=two_lines())
    base = alt.Chart(frame.with_columns({"share_row": names}, like=str).rows).encode(y=y)
    offset = alt.YOffset(f"{series}:N") if series else alt.Undefined
    colour = alt.Color(f"{series}:N", title=None) if series else alt.Undefined
    bars = base.mark_rule().encode(
        x=alt.X("share_percent_low:Q", title=title, axis=number_axis(), scale=_percents(frame)),
        x2="share_percent_high:Q",
        yOffset=offset,
        color=colour,
    )
    points = base.mark_point().encode(
        x=alt.X("share_percent:Q"),
        yOffset=offset,
        color=colour,
        shape=alt.Shape(f"{series}:N", legend=None) if series else alt.Undefined,
        tooltip=[
            *tooltip,
            alt.Tooltip("share_percent:Q", format=".1f", title="%"),
            alt.Tooltip("share_percent_low:Q", format=".1f", title="from, %"),
            alt.Tooltip("share_percent_high:Q", format=".1f", title="to, %"),
        ],
    )
    lines = max((name.count("\n") + 1 for name in names), default=1)
    step = max(TALL_STEP if series else STEP, 15 * lines + 6)
    return sized(alt.layer(bars, points), height(names, step))


def _wrapped(name: str) -> str:
    """A name in up to three lines that a phone has room for."""
    return textwrap.fill(name, _LINE, max_lines=3, placeholder="\N{HORIZONTAL ELLIPSIS}")


def _percents(frame: Frame) -> alt.Scale:
    """From 0 to the largest interval's end, so that charts of small shares can be read."""
    highest = max((v for v in frame.reals("share_percent_high") if v is not None), default=100.0)
    return alt.Scale(domain=[0, min(100.0, max(1.0, highest))], nice=True, zero=True)
