"""What the first inference costs."""

import altair as alt

from gaugenn.report import _text
from gaugenn.report._charts import TALL_STEP, height, number_axis, sized, two_lines
from gaugenn.report._contract import Chart, Figure, Section
from gaugenn.report._frame import Frame
from gaugenn.report._results import (
    INTERVAL,
    MEASURED,
    NOT_MEASURED,
    milliseconds_column,
    with_estimate,
    with_latency,
    with_rows,
)
from gaugenn.report._summary import Summary
from gaugenn.report._table import Table, names

_PHASES = ("load", "prepare", "first")
_STEADY = "steady latency"


class ColdStart(Figure):
    """One row an experiment."""

    section = Section.SPEED
    order = 420
    title = "Cold start"
    question = "Where does the time go from a fresh process to the first result?"
    query = MEASURED
    empty = NOT_MEASURED
    _drawn = 30

    def derive(self, frame: Frame) -> Frame:
        """Each phase with its interval, in milliseconds."""
        frame = with_rows(with_latency(frame))
        for phase in _PHASES:
            samples = [[1e3 * s for s in values] for values in frame.real_lists(f"{phase}_s")]
            frame = with_estimate(frame, f"{phase}_ms", samples)
        return frame

    def chart(self, frame: Frame) -> Chart:
        """A stacked bar an experiment, and the steady latency for comparison."""
        drawn = frame.first(self._drawn)
        fields = [f"{phase}_ms" for phase in _PHASES]
        rows = drawn.rows.select(["row", "latency_ms", *fields])
        y = alt.Y("row:N", title=None, sort=drawn.labels("row"), axis=two_lines())
        color = alt.Color("part:N", title=None, scale=alt.Scale(domain=[*_PHASES, _STEADY]))
        bars = (
            alt.Chart(rows)
            .transform_fold([*fields], as_=["field", "time_ms"])
            .transform_filter("isValid(datum.time_ms)")
            .transform_calculate(
                part="replace(datum.field, '_ms', '')",
                place="indexof(['load_ms', 'prepare_ms', 'first_ms'], datum.field)",
            )
            .mark_bar(cornerRadiusEnd=0, height=alt.RelativeBandSize(band=0.6))
            .encode(
                x=alt.X("time_ms:Q", title="time (ms)", stack="zero", axis=number_axis()),
                y=y,
                color=color,
                order=alt.Order("place:Q"),
                tooltip=[
                    alt.Tooltip("row:N", title="experiment"),
                    alt.Tooltip("part:N", title="phase"),
                    alt.Tooltip("time_ms:Q", format=".4~r", title="ms"),
                ],
            )
        )
        steady = (
            alt.Chart(rows)
            .transform_calculate(part=f"'{_STEADY}'")
            .mark_tick(thickness=3, size=TALL_STEP - 8)
            .encode(
                x=alt.X("latency_ms:Q"),
                y=y,
                color=color,
                tooltip=[alt.Tooltip("latency_ms:Q", format=".4~r", title="steady latency, ms")],
            )
        )
        rows_height = height(drawn.labels("row"), TALL_STEP)
        return sized(alt.layer(bars, steady), rows_height)

    def table(self, frame: Frame) -> Table:
        """One row an experiment."""
        return Table(
            columns=(
                names("Model", frame.texts("label")),
                names("Engine", frame.texts("setting"), 60),
                *(
                    milliseconds_column(phase.capitalize(), frame, f"{phase}_ms")
                    for phase in _PHASES
                ),
                milliseconds_column("Steady", frame, "latency_ms"),
                names("Phases the engine splits", frame.texts("phases")),
            )
        )

    def caption(self, frame: Frame, summary: Summary) -> str:  # noqa: ARG002
        """What the phases are."""
        drawn = f" The chart shows the first {self._drawn}." if frame.total > self._drawn else ""
        return (
            f"n = {_text.plural(frame.total, 'experiment')}; times in ms. Load: from file to engine; "
            "prepare: allocation and compilation; first: the first inference; the tick is the steady "
            "latency. Where an engine cannot split load and prepare, load holds both. Starting the "
            "process and importing the library are not in it, and the file may be in the page cache. "
            f"{INTERVAL}{drawn}"
        )
