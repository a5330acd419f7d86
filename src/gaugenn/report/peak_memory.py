"""How much memory a model takes while it runs."""

import altair as alt

from gaugenn.report import _text
from gaugenn.report._charts import TALL_STEP, height, number_axis, sized, two_lines
from gaugenn.report._contract import Chart, Figure, Section
from gaugenn.report._frame import Frame
from gaugenn.report._results import (
    INTERVAL,
    MEASURED,
    NOT_MEASURED,
    estimate_column,
    with_estimate,
    with_rows,
)
from gaugenn.report._summary import Summary
from gaugenn.report._table import Table, names

_MIB = 2.0**20


class PeakMemory(Figure):
    """One row an experiment with known memory."""

    section = Section.SPEED
    order = 430
    title = "Peak memory"
    question = "How much memory does the process need at most?"
    query = f"SELECT * FROM ({MEASURED}) WHERE len(peak_memory_bytes) > 0"  # noqa: S608
    empty = f"No launch reported its memory. {NOT_MEASURED}"
    _drawn = 30

    def derive(self, frame: Frame) -> Frame:
        """Peak and baseline with intervals, in bytes and, for the chart, in MiB."""
        frame = with_rows(frame)
        for name, column in (("peak", "peak_memory_bytes"), ("baseline", "load_memory_bytes")):
            frame = with_estimate(frame, name, frame.real_lists(column))
        scaled = {
            f"{name}_mib": [None if v is None else v / _MIB for v in frame.reals(name)]
            for name in ("peak", "peak_low", "peak_high", "baseline")
        }
        return frame.with_columns(scaled, like=float)

    def chart(self, frame: Frame) -> Chart:
        """A bar to the peak, its interval, and a tick at the baseline."""
        columns = ["row", "peak_mib", "peak_low_mib", "peak_high_mib", "baseline_mib", "peak_n"]
        drawn = frame.first(self._drawn)
        base = alt.Chart(drawn.rows.select(columns)).encode(
            y=alt.Y("row:N", title=None, sort=drawn.labels("row"), axis=two_lines())
        )
        bars = base.mark_bar(height=alt.RelativeBandSize(band=0.6)).encode(
            x=alt.X("peak_mib:Q", title="resident memory (MiB)", axis=number_axis()),
            tooltip=[
                "row:N",
                alt.Tooltip("peak_mib:Q", format=".4~r", title="peak, MiB"),
                alt.Tooltip("baseline_mib:Q", format=".4~r", title="before the model, MiB"),
                alt.Tooltip("peak_n:Q", format="d", title="launches"),
            ],
        )
        interval = base.mark_rule(strokeWidth=3).encode(x="peak_low_mib:Q", x2="peak_high_mib:Q")
        before = base.mark_tick(thickness=3, size=TALL_STEP - 8).encode(x="baseline_mib:Q")
        order = ["peak", "interval", "before the model"]
        parts = [
            part.transform_calculate(part=f"'{name}'").encode(
                color=alt.Color("part:N", title=None, scale=alt.Scale(domain=order))
            )
            for name, part in zip(order, (bars, interval, before), strict=True)
        ]
        return sized(alt.layer(*parts), height(drawn.labels("row"), TALL_STEP))

    def table(self, frame: Frame) -> Table:
        """One row an experiment."""
        return Table(
            columns=(
                names("Model", frame.texts("label")),
                names("Engine", frame.texts("setting"), 60),
                estimate_column("Peak [95 % interval]", frame, "peak", _text.BINARY),
                estimate_column("Before the model", frame, "baseline", _text.BINARY),
            )
        )

    def caption(self, frame: Frame, summary: Summary) -> str:
        """What memory is meant."""
        drawn = f" The chart shows the first {self._drawn}." if frame.total > self._drawn else ""
        return (
            f"n = {frame.total:,} of {_text.plural(summary.jobs_measured, 'measured experiment')}. "
            "Peak resident memory of the whole process, in MiB (1,048,576 bytes); the tick is what "
            f"interpreter and library took before the model was touched. {INTERVAL}{drawn}"
        )
