"""How models keep up with inputs that come at a fixed rate."""

import altair as alt

from gaugenn.report import _text
from gaugenn.report._charts import TALL_STEP, height, log_axis, log_scale, sized, two_lines
from gaugenn.report._contract import Chart, Figure, Section
from gaugenn.report._frame import Frame
from gaugenn.report._results import (
    INTERVAL,
    LABEL,
    SETTING,
    milliseconds_column,
    with_estimate,
    with_rows,
)
from gaugenn.report._summary import Summary
from gaugenn.report._table import Table, names, numbers, prepared

_PARTS = {
    "service": "inference alone, median",
    "response": "due to over, median",
    "response_p95": "due to over, 95th percentile",
}
_DEADLINE = "deadline"


class FixedRate(Figure):
    """One row an experiment under a rate."""

    section = Section.SPEED
    order = 434
    title = "Fixed rate"
    question = "Does a model keep up with inputs at a fixed rate, and how long do they wait?"
    query = f"""
        SELECT {LABEL} AS label,
               {SETTING} || ', ' || printf('%g', r.rate_per_s) || '/s' AS setting, q.*
        FROM (
            SELECT job_sha256, rate_per_s, sum(due)::BIGINT AS due, sum(missed)::BIGINT AS missed,
                   count(*) AS launches, count(*) FILTER (keeps_up) AS launches_keeping_up,
                   list(service_s ORDER BY launch) AS service_s,
                   list(response_s ORDER BY launch) AS response_s,
                   list(response_p95_s ORDER BY launch) AS response_p95_s
            FROM rate_launches GROUP BY job_sha256, rate_per_s
        ) q
        JOIN experiments r USING (job_sha256)
        LEFT JOIN model_names n USING (model_sha256)
        ORDER BY label, setting, q.job_sha256
    """  # noqa: S608 - our own text
    empty = (
        "Nothing ran at a fixed rate. Do that with: gaugenn bench STUDY --model NAME --rate 15/s"
    )
    _drawn = 30

    def derive(self, frame: Frame) -> Frame:
        """Each time with its interval, and the deadline, in milliseconds."""
        frame = with_rows(frame)
        for part in _PARTS:
            samples = [[1e3 * s for s in values] for values in frame.real_lists(f"{part}_s")]
            frame = with_estimate(frame, f"{part}_ms", samples)
        deadlines = [1e3 / rate if rate else None for rate in frame.reals("rate_per_s")]
        return frame.with_columns({"deadline_ms": deadlines}, like=float)

    def chart(self, frame: Frame) -> Chart:
        """Service, response and tail of each experiment before its deadline; logarithmic."""
        drawn = frame.first(self._drawn)
        times = {part: drawn.reals(f"{part}_ms") for part in _PARTS}
        deadlines = drawn.reals("deadline_ms")
        values = [value for column in (*times.values(), deadlines) for value in column]
        axis, scale = log_axis(values), log_scale(values)
        rows = drawn.labels("row")
        known = [
            (row, _PARTS[part], value)
            for part, column in times.items()
            for row, value in zip(rows, column, strict=True)
            if value is not None
        ]
        made = Frame.made(
            {"row": [row for row, _, _ in known], "part": [part for _, part, _ in known]},
            {"time_ms": [value for _, _, value in known]},
        )
        y = alt.Y("row:N", title=None, sort=rows, axis=two_lines())
        shown = alt.Scale(domain=[*_PARTS.values(), _DEADLINE])
        points = (
            alt.Chart(made.rows)
            .mark_point()
            .encode(
                x=alt.X("time_ms:Q", title="time (ms)", axis=axis, scale=scale),
                y=y,
                color=alt.Color("part:N", title=None, scale=shown),
                shape=alt.Shape("part:N", title=None, scale=shown),
                tooltip=[
                    alt.Tooltip("row:N", title="experiment"),
                    alt.Tooltip("part:N", title="time"),
                    alt.Tooltip("time_ms:Q", format=".4~r", title="ms"),
                ],
            )
        )
        deadline = (
            alt.Chart(drawn.rows.select(["row", "deadline_ms"]))
            .transform_calculate(part=f"'{_DEADLINE}'")
            .mark_tick(thickness=3, size=TALL_STEP - 8)
            .encode(
                x=alt.X("deadline_ms:Q", axis=axis, scale=scale),
                y=y,
                color=alt.Color("part:N", title=None, scale=shown),
            )
        )
        return sized(alt.layer(deadline, points), height(rows, TALL_STEP))

    def table(self, frame: Frame) -> Table:
        """One row an experiment."""
        missed, due = frame.integers("missed"), frame.integers("due")
        texts = [
            f"{m or 0:,} of {d or 0:,} ({_text.share(m, d)})"
            for m, d in zip(missed, due, strict=True)
        ]
        shares = [(m or 0) / d if d else None for m, d in zip(missed, due, strict=True)]
        keeping = zip(
            frame.integers("launches_keeping_up"), frame.integers("launches"), strict=True
        )
        return Table(
            columns=(
                names("Model", frame.texts("label")),
                names("Engine", frame.texts("setting"), 60),
                numbers("Rate, 1/s", frame.reals("rate_per_s"), lambda v: f"{v or 0:g}"),
                prepared("Deadlines missed", texts, shares),
                milliseconds_column("Response [95 % interval]", frame, "response_ms"),
                milliseconds_column("Response, p95", frame, "response_p95_ms"),
                milliseconds_column("Inference alone", frame, "service_ms"),
                names("Launches that keep up", [f"{kept} of {all_}" for kept, all_ in keeping]),
            )
        )

    def caption(self, frame: Frame, summary: Summary) -> str:
        """What the times are."""
        del summary
        drawn = f" The chart shows the first {self._drawn}." if frame.total > self._drawn else ""
        return (
            f"n = {_text.plural(frame.total, 'experiment')} at a fixed rate. Inferences are due on a "
            "schedule that does not wait; a response lasts from due to over, waiting included. A "
            "deadline is missed when the next inference is due before; those that a launch never "
            "began are missed too. A launch keeps up when all were begun and the waiting does not "
            f"grow. {INTERVAL}{drawn}"
        )
