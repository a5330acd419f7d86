"""How far the number of operations tells the latency."""

import altair as alt

from gaugenn.report import _text
from gaugenn.report._charts import SCATTER_HEIGHT, log_axis, log_scale, sized
from gaugenn.report._contract import Chart, Figure, Section
from gaugenn.report._frame import Frame
from gaugenn.report._results import INTERVAL, MEASURED, NOT_MEASURED, with_latency
from gaugenn.report._summary import Summary


class LatencyAgainstMacs(Figure):
    """One point an experiment on a model of known cost."""

    section = Section.SPEED
    order = 440
    title = "Latency against operations"
    question = "How far does the number of operations tell the latency?"
    query = f"SELECT * FROM ({MEASURED}) WHERE macs > 0 ORDER BY job_sha256"  # noqa: S608
    empty = f"No model of known cost was measured. {NOT_MEASURED}"
    limit = 1_000

    def derive(self, frame: Frame) -> Frame:
        """Latency with its interval."""
        return with_latency(frame)

    def chart(self, frame: Frame) -> Chart:
        """Both axes are logarithmic."""
        columns = ["label", "setting", "engine", "macs", "verdict", "marks"]
        ends = ["latency_ms", "latency_ms_low", "latency_ms_high", "latency_ms_n"]
        macs = frame.reals("macs")
        latencies = [value for name in ends[:3] for value in frame.reals(name)]
        base = alt.Chart(frame.rows.select([*columns, *ends])).encode(
            x=alt.X(
                "macs:Q",
                title="MACs of one inference",
                scale=log_scale(macs),
                axis=log_axis(macs, metric=True),
            ),
            color=alt.Color("engine:N", title="engine"),
        )
        axis, scale = log_axis(latencies), log_scale(latencies)
        bars = base.mark_rule().encode(
            y=alt.Y("latency_ms_low:Q", title="latency (ms)", scale=scale, axis=axis),
            y2="latency_ms_high:Q",
        )
        points = base.mark_point().encode(
            y=alt.Y("latency_ms:Q", scale=scale, axis=axis),
            shape=alt.Shape(
                "verdict:N",
                title="verdict",
                scale=alt.Scale(
                    domain=["valid", "semivalid", "invalid"],
                    range=["circle", "triangle-up", "cross"],
                ),
            ),
            tooltip=[
                "label:N",
                "setting:N",
                alt.Tooltip("macs:Q", format=",d", title="MACs"),
                alt.Tooltip("latency_ms:Q", format=".4~r", title="latency, ms"),
                alt.Tooltip("latency_ms_n:Q", format="d", title="launches"),
                alt.Tooltip("marks:N", title="remarks"),
            ],
        )
        return sized(alt.layer(bars, points), SCATTER_HEIGHT)

    def caption(self, frame: Frame, summary: Summary) -> str:
        """Who is missing."""
        drawn = (
            f" Drawn are {len(frame):,}, chosen by digest, which is as good as by chance."
            if len(frame) < frame.total
            else ""
        )
        return (
            f"n = {frame.total:,} of {_text.plural(summary.jobs_measured, 'measured experiment')}: "
            "those whose model has a known number of MACs (a lower bound where a node's "
            "cost is unknown). "
            f"Latency in ms, bars are 95 % intervals; both axes are logarithmic. {INTERVAL}{drawn}"
        )
