"""How much models slow each other down when they run at the same time."""

import altair as alt

from gaugenn.report import _text
from gaugenn.report._charts import TALL_STEP, height, number_axis, sized, two_lines
from gaugenn.report._contract import Chart, Figure, Section
from gaugenn.report._frame import Frame
from gaugenn.report._results import LABEL, SETTING
from gaugenn.report._summary import Summary
from gaugenn.report._table import Table, names, prepared

_LABEL = 320


class SideBySideFigure(Figure):
    """One row a model that ran beside another one."""

    section = Section.SPEED
    order = 436
    title = "Side by side"
    question = "How much slower is a model while another one runs beside it?"
    query = f"""
        SELECT {LABEL} AS label, {SETTING} AS setting, b.*
        FROM side_by_side b
        JOIN experiments r USING (job_sha256)
        LEFT JOIN model_names n USING (model_sha256)
        ORDER BY label, setting, b.beside, b.job_sha256
    """  # noqa: S608 - our own text
    empty = (
        "No model ran beside another one. "
        "Do that with: gaugenn bench STUDY --model NAME --with OTHER"
    )
    _drawn = 40

    def derive(self, frame: Frame) -> Frame:
        """A name for each row: the model with its setting, and what ran beside it."""
        columns = (frame.labels(name) for name in ("label", "setting", "beside", "beside_engine"))
        return frame.with_columns(
            {
                "row": [
                    f"{label}, {setting}\nbeside {beside}, {engine}"
                    for label, setting, beside, engine in zip(*columns, strict=True)
                ]
            },
            like=str,
        )

    def chart(self, frame: Frame) -> Chart:
        """A point with its interval for each model; 1 is as fast as alone."""
        drawn = frame.first(self._drawn)
        ends = ["slowdown", "slowdown_low", "slowdown_high"]
        base = alt.Chart(drawn.rows.select(["row", *ends])).encode(
            y=alt.Y("row:N", title=None, sort=drawn.labels("row"), axis=two_lines(_LABEL))
        )
        shown = base.transform_filter("isValid(datum.slowdown)")
        x = alt.X(
            "slowdown:Q",
            title="latency side by side over latency alone",
            axis=number_axis(),
            scale=alt.Scale(zero=False),
        )
        bars = shown.mark_rule().encode(x=alt.X("slowdown_low:Q"), x2="slowdown_high:Q")
        points = shown.mark_point().encode(
            x=x,
            tooltip=[
                alt.Tooltip("row:N", title="experiment"),
                alt.Tooltip("slowdown:Q", format=".3~r", title="over alone"),
                alt.Tooltip("slowdown_low:Q", format=".3~r", title="interval from"),
                alt.Tooltip("slowdown_high:Q", format=".3~r", title="interval to"),
            ],
        )
        alone = alt.Chart(drawn.rows.select(["row"])).mark_rule(strokeDash=[4, 4])
        return sized(
            alt.layer(alone.encode(x=alt.datum(1.0)), bars, points),
            height(drawn.labels("row"), TALL_STEP),
        )

    def table(self, frame: Frame) -> Table:
        """One row a model beside another."""
        slowdowns = frame.reals("slowdown")
        lows, highs = frame.reals("slowdown_low"), frame.reals("slowdown_high")
        texts = [
            _text.NOTHING
            if ratio is None
            else f"{ratio:.2f} [no interval]"
            if low is None or high is None
            else f"{ratio:.2f} [{low:.2f}, {high:.2f}]"
            for ratio, low, high in zip(slowdowns, lows, highs, strict=True)
        ]
        counts = zip(
            frame.integers("pairs"),
            frame.integers("launches"),
            frame.integers("launches_alone"),
            strict=True,
        )
        return Table(
            columns=(
                names("Model", frame.texts("label")),
                names("Engine", frame.texts("setting"), 60),
                names("Beside", frame.texts("beside")),
                names("Its engine", frame.texts("beside_engine")),
                prepared("Over alone [95 % interval]", texts, slowdowns),
                names(
                    "Launches",
                    [
                        f"{both} with none alone"
                        if alone is None
                        else f"{pairs} in turns"
                        if pairs
                        else f"{both}, {alone} alone"
                        for pairs, both, alone in counts
                    ],
                ),
            )
        )

    def caption(self, frame: Frame, summary: Summary) -> str:
        """What is compared with what."""
        del summary
        drawn = f" The chart shows the first {self._drawn}." if frame.total > self._drawn else ""
        return (
            f"n = {_text.plural(frame.total, 'model')} beside another one, each in a process of its "
            "own. The ratio of the geometric means of launch medians, side by side over alone, with "
            "its 95 % interval: of the pairs where launches took turns (both experiments in one plan), "
            "else Welch's. A model that was not measured alone has none; run it without --with. The "
            f"companion is a row too.{drawn}"
        )
