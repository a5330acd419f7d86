"""How many samples a second, by the number of samples in an inference."""

import altair as alt

from gaugenn.report import _text
from gaugenn.report._charts import SCATTER_HEIGHT, log_axis, log_scale, sized
from gaugenn.report._contract import Chart, Figure, Section
from gaugenn.report._frame import Frame
from gaugenn.report._results import INTERVAL, MEASURED, with_estimate
from gaugenn.report._summary import Summary
from gaugenn.report._table import Table, names, numbers, prepared

_DRAWN = 7
"""As many as there are colours that can be told apart."""
_LEGEND_WIDTH = 420

# The setting's own mention of the batch would make a line of each.
_LINE = """label || ', ' || regexp_replace(usual, ', batch [0-9]+', '')"""


class Batches(Figure):
    """One row a model, its settings and a batch."""

    section = Section.SPEED
    order = 414
    title = "Batches"
    question = "How many samples a second does a model do, by how many it takes at once?"
    query = f"""
        SELECT * FROM (
            SELECT *, {_LINE} AS line,
                   count(DISTINCT batch) OVER (PARTITION BY {_LINE}) AS batches
            FROM ({MEASURED}) WHERE validity != 'invalid'
        ) WHERE batches > 1 ORDER BY line, batch, launches_ok DESC, job_sha256
    """  # noqa: S608 - our own text
    empty = (
        "No model was run with several batches. "
        "Do that with: gaugenn bench STUDY --batch 1,2,5,10,25"
    )
    limit = 10_000

    def derive(self, frame: Frame) -> Frame:
        """Samples a second with the interval, and over those of the smallest batch of the line."""
        batches = [batch or 1.0 for batch in frame.reals("batch")]
        rates = [
            [batch / median for median in medians]
            for batch, medians in zip(batches, frame.real_lists("medians_s"), strict=True)
        ]
        frame = with_estimate(frame, "samples_per_s", rates)
        first: dict[str, float] = {}
        values = frame.reals("samples_per_s")
        for line, value in zip(frame.labels("line"), values, strict=True):
            if value is not None:
                first.setdefault(line, value)
        gains = [
            None if value is None else value / first[line]
            for line, value in zip(frame.labels("line"), values, strict=True)
        ]
        return frame.with_columns({"gain": gains}, like=float)

    def chart(self, frame: Frame) -> Chart:
        """A line a model and its settings; logarithmic on both axes."""
        shown = list(dict.fromkeys(frame.labels("line")))[:_DRAWN]
        ends = ["samples_per_s", "samples_per_s_low", "samples_per_s_high", "samples_per_s_n"]
        rows = frame.rows.select(["line", "batch", "gain", *ends])
        values = [value for name in ends[:3] for value in frame.reals(name)]
        axis, scale = log_axis(values, metric=True), log_scale(values)
        batches = sorted({batch or 1.0 for batch in frame.reals("batch")})
        base = (
            alt.Chart(rows)
            .transform_filter(alt.FieldOneOfPredicate(field="line", oneOf=shown))
            .encode(
                x=alt.X(
                    "batch:Q",
                    title="samples in an inference",
                    scale=alt.Scale(type="log", domain=[batches[0], batches[-1]], nice=False),
                    axis=alt.Axis(values=batches, format="d"),
                ),
                color=alt.Color(
                    "line:N",
                    title=None,
                    sort=shown,
                    legend=alt.Legend(columns=1, labelLimit=_LEGEND_WIDTH),
                ),
            )
        )
        bars = base.mark_rule().encode(
            y=alt.Y("samples_per_s_low:Q", title="samples a second", scale=scale, axis=axis),
            y2="samples_per_s_high:Q",
        )
        lines = base.mark_line(point=True).encode(
            y=alt.Y("samples_per_s:Q", scale=scale, axis=axis),
            tooltip=[
                alt.Tooltip("line:N", title="experiment"),
                alt.Tooltip("batch:Q", format="d", title="samples in an inference"),
                alt.Tooltip("samples_per_s:Q", format=".4~r", title="samples a second"),
                alt.Tooltip("gain:Q", format=".3~r", title="over the smallest batch"),
                alt.Tooltip("samples_per_s_n:Q", format="d", title="launches"),
            ],
        )
        return sized(alt.layer(bars, lines), SCATTER_HEIGHT)

    def table(self, frame: Frame) -> Table:
        """One row a batch."""
        ends = [frame.reals(f"samples_per_s{end}") for end in ("", "_low", "_high", "_n")]
        texts = [_rate(*row) for row in zip(*ends, strict=True)]
        return Table(
            columns=(
                names("Experiment", frame.texts("line"), 70),
                numbers("Samples in an inference", frame.reals("batch")),
                prepared("Samples a second [95 % interval]", texts, ends[0]),
                numbers("Over the smallest batch, times", frame.reals("gain"), _two),
            )
        )

    def caption(self, frame: Frame, summary: Summary) -> str:
        """How to read it."""
        del summary
        lines = len(set(frame.labels("line")))
        drawn = f" The chart shows the first {_DRAWN}." if lines > _DRAWN else ""
        return (
            f"n = {_text.plural(frame.total, 'experiment')} on {_text.plural(lines, 'model')} "
            "with their "
            "settings, run with several batches; invalid results are left out. Samples a second: the "
            "batch over the latency of its inference. A line that stays flat gains nothing from "
            f"a larger batch; a batch that failed has no point. {INTERVAL}{drawn}"
        )


def _rate(value: float | None, low: float | None, high: float | None, n: float | None) -> str:
    return _text.interval(value, low, high, int(n or 0), ((1.0, ""),))


def _two(value: float | None) -> str:
    return _text.NOTHING if value is None else f"{value:.2f}"
