"""How charts look: colours, fonts and sizes for light and dark pages, and the specification's text.

Colours are those of Okabe and Ito, which people with any common colour vision deficiency can tell
apart; the dark set is lightened where the original would not stand out. Series differ by shape or
position too, never by colour alone.

**Source:** Okabe, Ito, Color Universal Design, https://jfly.uni-koeln.de/color/
"""

import json
import math
from collections.abc import Mapping, Sequence

import altair as alt

from gaugenn.report._contract import Chart

PALETTE_LIGHT = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#A87900", "#3A9BDC", "#6B6B6B")
PALETTE_DARK = ("#56B4E9", "#F08C3A", "#2BC79A", "#E39BC4", "#E6B422", "#9AD1F5", "#B4B4B4")
STEP = 22
"""Pixels of height for each row of a chart with one row a name."""
TALL_STEP = 36
"""The same where a name has two lines."""
EXPORT_WIDTH = 720
SCATTER_HEIGHT = 360

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"

Json = Mapping[str, "Json | str | int | float | bool | list[str] | None"]


def theme(dark: bool) -> Json:
    """Vega-Lite's `config` for a light or a dark page."""
    text = "#e8ebf0" if dark else "#1c2530"
    quiet = "#a9b4c2" if dark else "#55616f"
    grid = "#2c3643" if dark else "#e4e8ed"
    palette = list(PALETTE_DARK if dark else PALETTE_LIGHT)
    return {
        "background": "transparent",
        "font": FONT,
        "view": {"stroke": "transparent"},
        "axis": {
            "domainColor": quiet,
            "gridColor": grid,
            "labelColor": text,
            "labelFontSize": 12,
            "labelOverlap": "greedy",
            "labelSeparation": 8,
            "tickColor": grid,
            "titleColor": quiet,
            "titleFontSize": 12,
            "titleFontWeight": 500,
            "titlePadding": 10,
        },
        "axisY": {"labelLimit": 230},
        "legend": {
            "orient": "top",
            "labelColor": text,
            "labelFontSize": 12,
            "labelLimit": 260,
            "titleColor": quiet,
            "titleFontSize": 12,
            "titleFontWeight": 500,
            "symbolBaseFillColor": quiet,
            "symbolBaseStrokeColor": quiet,
        },
        "bar": {"color": palette[0], "cornerRadiusEnd": 2},
        "point": {"color": palette[0], "filled": True, "size": 64, "opacity": 0.9},
        "rule": {"color": palette[0], "strokeWidth": 2},
        "text": {"color": quiet, "fontSize": 11},
        "range": {"category": palette},
    }


def specification(chart: Chart, description: str, width: int | None = None) -> dict[str, object]:
    """A chart as Vega-Lite, without a theme.

    Args:
        chart: as its figure made it.
        description: what a screen reader says of the chart.
        width: of the plot in pixels; None takes the width of what the chart stands in.
    """
    with alt.theme.enable("none"), alt.data_transformers.enable("default", max_rows=None):
        sized = chart.properties(
            width="container" if width is None else width,
            description=description,
            autosize=alt.AutoSizeParams(type="fit-x", contains="padding"),
        )
        found: dict[str, object] = sized.to_dict()
    found.pop("config", None)
    found.pop("$schema", None)
    return found


def height(names: Sequence[object], step: float = STEP) -> float:
    """Pixels for a chart with one row for each distinct name."""
    return step * len(set(names)) + step / 2


def sized(chart: Chart | alt.FacetChart, pixels: float) -> Chart:
    """A chart with the height of its plot.

    Raises:
        TypeError: a faceted chart, whose width cannot follow the page's.
    """
    if isinstance(chart, alt.FacetChart):
        raise TypeError("a faceted chart cannot take the width of its container")
    found: Chart = chart.properties(height=pixels)
    return found


def count_axis() -> alt.Axis:
    """An axis of whole numbers."""
    whole = "datum.value % 1 === 0 ? datum.label : ''"
    return alt.Axis(format=",d", tickMinStep=1, tickCount=6, labelExpr=whole)


def number_axis() -> alt.Axis:
    """An axis of numbers without exponents."""
    return alt.Axis(format=",~r", tickCount=6)


def two_lines(longest: int = 230) -> alt.Axis:
    """An axis of names that have a line break.

    Args:
        longest: pixels of a line, beyond which it is cut.
    """
    return alt.Axis(
        labelExpr="split(datum.label, '\\n')",
        labelLimit=longest,
        ticks=False,
        domain=False,
        labelPadding=8,
    )


def log_scale(values: Sequence[float | None]) -> alt.Scale:
    """A logarithmic scale from the tick below the least value to the one above the largest."""
    ticks = _log_ticks(values)
    return alt.Scale(type="log", domain=[ticks[0], ticks[-1]], nice=False)


def log_axis(values: Sequence[float | None], metric: bool = False) -> alt.Axis:
    """A logarithmic axis with lines at powers of ten, or at 1, 2 and 5 where these are few.

    Args:
        values: what is drawn along the axis.
        metric: write 1,000,000 as `1M`.
    """
    return alt.Axis(format="~s" if metric else ",~r", values=_log_ticks(values))


def _log_ticks(values: Sequence[float | None]) -> list[float]:
    known = [value for value in values if value is not None and value > 0] or [1.0, 10.0]
    first, last = math.floor(math.log10(min(known))), math.ceil(math.log10(max(known)))
    steps = (1,) if last - first > 3 else (1, 2, 5)
    ticks = [step * 10.0**power for power in range(first, last + 1) for step in steps]
    low = max((tick for tick in ticks if tick <= min(known)), default=ticks[0])
    high = min((tick for tick in ticks if tick >= max(known)), default=ticks[-1])
    if low == high:
        high = min((tick for tick in ticks if tick > low), default=10 * low)
    return sorted({tick for tick in [*ticks, high] if low <= tick <= high})


def embeddable(value: object) -> str:
    """JSON that can stand inside a `<script>` of an HTML page, whatever texts it holds."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"), sort_keys=True)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
