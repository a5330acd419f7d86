"""How latency changes while a model runs for minutes."""

import altair as alt

from gaugenn.analysis.sustained import THROTTLED, WINDOW_S
from gaugenn.report import _text
from gaugenn.report._charts import number_axis, sized
from gaugenn.report._contract import Chart, Figure, Section
from gaugenn.report._frame import Frame
from gaugenn.report._results import LABEL, SETTING
from gaugenn.report._summary import Summary
from gaugenn.report._table import Table, names, numbers

_HEIGHT = 280
_DRAWN = 12


class SustainedRuns(Figure):
    """One row a long launch."""

    section = Section.SPEED
    order = 432
    title = "Long runs"
    question = "How far does a model slow down when it runs for minutes, and when?"
    query = f"""
        SELECT {LABEL} AS label, {SETTING} AS setting, s.*
        FROM sustained_launches s
        JOIN experiments r USING (job_sha256)
        LEFT JOIN model_names n USING (model_sha256)
        ORDER BY label, s.launch, s.first_minute_s, setting, s.job_sha256
    """  # noqa: S608 - our own text
    empty = (
        "No launch lasted two minutes. Do that with: gaugenn bench STUDY --model NAME --sustain 20m"
    )
    limit = 100

    def derive(self, frame: Frame) -> Frame:
        """A name for each line of the chart."""
        rows = zip(
            frame.labels("label"), frame.labels("setting"), frame.integers("launch"), strict=True
        )
        return frame.with_columns(
            {"line": [f"{label}, {setting}, launch {n}" for label, setting, n in rows]}, like=str
        )

    def chart(self, frame: Frame) -> Chart:
        """A line a launch: the level of each half minute over that of the first minute."""
        drawn = frame.first(_DRAWN)
        first = drawn.reals("first_minute_s")
        curves = zip(
            drawn.labels("line"),
            first,
            drawn.real_lists("windows_begin_s"),
            drawn.real_lists("windows_level_s"),
            strict=True,
        )
        points = [
            (line, (begin + WINDOW_S / 2) / 60, level / level_0, 1e3 * level)
            for line, level_0, begins, levels in curves
            if level_0
            for begin, level in zip(begins, levels, strict=True)
        ]
        made = Frame.made(
            {"line": [point[0] for point in points]},
            {
                "minutes": [point[1] for point in points],
                "relative": [point[2] for point in points],
                "latency_ms": [point[3] for point in points],
            },
        )
        levels = [point[2] for point in points]
        base = alt.Chart(made.rows)
        lines = base.mark_line(point=True).encode(
            x=alt.X("minutes:Q", title="time (minutes)", axis=number_axis()),
            y=alt.Y(
                "relative:Q",
                title="latency over that of minute 1",
                axis=number_axis(),
                # Noise of a thousandth shall not look like a cliff.
                scale=alt.Scale(domain=[min([0.95, *levels]), max([1.15, *levels])]),
            ),
            color=alt.Color("line:N", title=None, legend=alt.Legend(columns=1, labelLimit=600)),
            tooltip=[
                alt.Tooltip("line:N", title="launch"),
                alt.Tooltip("minutes:Q", format=".3~r", title="minutes"),
                alt.Tooltip("latency_ms:Q", format=".4~r", title="latency, ms"),
                alt.Tooltip("relative:Q", format=".3~r", title="over minute 1"),
            ],
        )
        rule = base.mark_rule(strokeDash=[4, 4]).encode(y=alt.datum(1.0))
        return sized(alt.layer(rule, lines), _HEIGHT)

    def table(self, frame: Frame) -> Table:
        """One row a launch."""
        ranks = zip(frame.integers("rank_first_minute"), frame.integers("rank_end"), strict=True)
        return Table(
            columns=(
                names("Model", frame.texts("label")),
                names("Engine", frame.texts("setting"), 60),
                numbers("Launch", frame.integers("launch")),
                numbers("Duration", frame.reals("duration_s"), _text.seconds),
                numbers("Minute 1", frame.reals("first_minute_s"), _text.seconds),
                numbers("Last third", frame.reals("steady_s"), _text.seconds),
                numbers("Change", frame.reals("degradation"), _percent),
                numbers("Throttled after", frame.reals("throttled_after_s"), _text.seconds),
                names("Rank in minute 1, at the end", [f"{a}, {b}" for a, b in ranks]),
            )
        )

    def caption(self, frame: Frame, summary: Summary) -> str:
        """What the levels are."""
        del summary
        drawn = f" The chart shows the first {_DRAWN}." if frame.total > _DRAWN else ""
        return (
            f"n = {_text.plural(frame.total, 'launch', 'launches')} of two minutes or more, back to "
            f"back, without a warm-up. Each point is the median of {WINDOW_S:.0f} s. Throttled after: "
            f"begin of the first of them that is more than {THROTTLED:.0%} above minute 1 and after "
            "which nearly all are. Rank: among the experiments on the same model that ran in the same "
            f"round; 1 is the fastest. One launch has no interval.{drawn}"
        )


def _percent(value: float | None) -> str:
    return _text.NOTHING if value is None else f"{100 * value:+.1f}\N{NO-BREAK SPACE}%"
