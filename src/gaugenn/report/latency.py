"""How long one inference takes, for each model and engine."""

import altair as alt

from gaugenn.report import _text
from gaugenn.report._charts import TALL_STEP, height, log_axis, log_scale, sized, two_lines
from gaugenn.report._contract import Chart, Figure, Section
from gaugenn.report._frame import Frame
from gaugenn.report._results import (
    INTERVAL,
    MEASURED,
    NOT_MEASURED,
    milliseconds_column,
    with_latency,
    with_rows,
)
from gaugenn.report._summary import Summary
from gaugenn.report._table import Table, digests, marks, names, numbers


class Latency(Figure):
    """One row an experiment."""

    section = Section.SPEED
    order = 410
    title = "Latency"
    question = "How long does one inference take, for each model and engine?"
    query = MEASURED
    empty = NOT_MEASURED
    _drawn = 40

    def derive(self, frame: Frame) -> Frame:
        """Latency with its interval."""
        return with_rows(with_latency(frame))

    def chart(self, frame: Frame) -> Chart:
        """A point with its interval for each experiment; logarithmic."""
        drawn = frame.first(self._drawn)
        ends = ["latency_ms", "latency_ms_low", "latency_ms_high", "latency_ms_n"]
        base = alt.Chart(drawn.rows.select(["row", "engine", "verdict", "marks", *ends])).encode(
            y=alt.Y("row:N", title=None, sort=drawn.labels("row"), axis=two_lines()),
            color=alt.Color("engine:N", title="engine"),
        )
        values = [value for name in ends[:3] for value in drawn.reals(name)]
        axis, scale = log_axis(values), log_scale(values)
        bars = base.mark_rule().encode(
            x=alt.X("latency_ms_low:Q", title="latency (ms)", scale=scale, axis=axis),
            x2="latency_ms_high:Q",
        )
        points = base.mark_point().encode(
            x=alt.X("latency_ms:Q", scale=scale, axis=axis),
            shape=alt.Shape(
                "verdict:N",
                title="verdict",
                scale=alt.Scale(
                    domain=["valid", "semivalid", "invalid"],
                    range=["circle", "triangle-up", "cross"],
                ),
            ),
            tooltip=[
                alt.Tooltip("row:N", title="experiment"),
                alt.Tooltip("latency_ms:Q", format=".4~r", title="latency, ms"),
                alt.Tooltip("latency_ms_low:Q", format=".4~r", title="interval from"),
                alt.Tooltip("latency_ms_high:Q", format=".4~r", title="interval to"),
                alt.Tooltip("latency_ms_n:Q", format="d", title="launches"),
                alt.Tooltip("marks:N", title="remarks"),
            ],
        )
        rows = height(drawn.labels("row"), TALL_STEP)
        return sized(alt.layer(bars, points), rows)

    def table(self, frame: Frame) -> Table:
        """One row an experiment."""
        remarks = [text.split("; ") if text else [] for text in frame.texts("marks")]
        return Table(
            columns=(
                names("Model", frame.texts("name")),
                names("Engine", frame.texts("setting"), 60),
                milliseconds_column("Latency [95 % interval]", frame, "latency_ms"),
                numbers("Samples", frame.integers("samples")),
                numbers("MACs", frame.integers("macs"), _text.metric),
                names("Verdict", frame.texts("verdict")),
                marks("Reasons", remarks),
                digests("Model SHA-256", frame.texts("model_sha256")),
                digests("Experiment", frame.texts("job_sha256")),
            )
        )

    def caption(self, frame: Frame, summary: Summary) -> str:
        """The unit of replication and the denominators."""
        drawn = f" The chart shows the first {self._drawn}." if frame.total > self._drawn else ""
        return (
            f"n = {summary.jobs_measured:,} of {_text.plural(summary.jobs, 'planned experiment')}, "
            f"{summary.launches_ok:,} good launches of {summary.launches:,}. Latency of a launch: the "
            f"median of its steady inferences. {INTERVAL} Bars are the intervals. A "
            "triangle is semivalid: usable, with the reasons that the table names; a cross is invalid "
            f"and must not be compared.{drawn}"
        )
