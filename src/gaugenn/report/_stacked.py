"""Bars of counts, one a name, split into a few series that colours can tell apart."""

from collections import defaultdict
from collections.abc import Iterable

import altair as alt
import pyarrow as pa

from gaugenn.report._charts import count_axis, height, sized
from gaugenn.report._contract import Chart

BARS = 30
"""Names that are drawn; the table has the others."""
SERIES = 6
"""Series that have a colour of their own; the others are drawn as one."""
OTHERS = "others"


def stacked_bars(
    counts: Iterable[tuple[str, str, float]], unit: str, series: str, order: list[str] | None = None
) -> Chart:
    """Bars of the names with most, those first; counts below zero go to the left.

    Args:
        counts: name, series and count; repeated ones are added up.
        unit: title of the axis.
        series: title of the colours.
        order: all series, in the order of their colours; those with most otherwise.
    """
    cells: defaultdict[tuple[str, str], float] = defaultdict(float)
    names: defaultdict[str, float] = defaultdict(float)
    sizes: defaultdict[str, float] = defaultdict(float)
    listed = list(counts)
    for name, part, number in listed:
        names[name] += abs(number)
        sizes[part] += abs(number)
    shown = [name for name, _ in sorted(names.items(), key=lambda n: (-n[1], n[0]))[:BARS]]
    kept = order or [part for part, _ in sorted(sizes.items(), key=lambda n: (-n[1], n[0]))]
    kept = [part for part in kept if sizes[part]]
    if len(kept) > SERIES:
        kept = [*kept[:SERIES], OTHERS]
    for name, part, number in listed:
        if name in shown and number:
            cells[name, part if part in kept else OTHERS] += number
    rows = pa.table(
        {
            "name": [name for name, _ in cells],
            "series": [part for _, part in cells],
            "place": [kept.index(part) for _, part in cells],
            "number": pa.array(list(cells.values()), pa.float64()),
        }
    )
    return sized(
        alt.Chart(rows)
        .mark_bar()
        .encode(
            x=alt.X("sum(number):Q", title=unit, axis=count_axis()),
            y=alt.Y("name:N", title=None, sort=shown),
            color=alt.Color("series:N", title=series, sort=kept),
            order=alt.Order("place:Q"),
            tooltip=["name:N", "series:N", alt.Tooltip("sum(number):Q", format=",d", title=unit)],
        ),
        height(shown),
    )


def note(names: int) -> str:
    """What a caption says where not every name is drawn."""
    return f" The chart shows the {BARS} with most." if names > BARS else ""
