"""How wrong predictions are, on models that were measured and left out."""

import altair as alt

from gaugenn.report import _text
from gaugenn.report._charts import SCATTER_HEIGHT, log_axis, log_scale, sized
from gaugenn.report._contract import Chart, Figure, Section
from gaugenn.report._frame import Frame
from gaugenn.report._predicted import NOT_PREDICTED, PREDICTED
from gaugenn.report._ratios import ratio_text
from gaugenn.report._summary import Summary
from gaugenn.report._table import Table, names, numbers, prepared


class PredictionError(Figure):
    """One row a measured model that was left out."""

    section = Section.SPEED
    order = 442
    title = "How wrong predictions are"
    question = "How far off is a prediction, and is it better than counting operations?"
    query = f"""
        SELECT * FROM ({PREDICTED}) WHERE measured_ms > 0
        ORDER BY setting, measured_ms, model_sha256
    """  # noqa: S608 - our own text
    empty = NOT_PREDICTED
    limit = 10_000

    def chart(self, frame: Frame) -> Chart:
        """Predicted over measured latencies, and the line where they are equal."""
        ends = ["predicted_ms", "predicted_ms_low", "predicted_ms_high"]
        measured = frame.reals("measured_ms")
        values = [*measured, *(value for name in ends for value in frame.reals(name))]
        axis, scale = log_axis(values), log_scale(values)
        base = alt.Chart(
            frame.rows.select(["model", "setting", "engine", "measured_ms", *ends])
        ).encode(
            x=alt.X("measured_ms:Q", title="measured latency (ms)", axis=axis, scale=scale),
            color=alt.Color("engine:N", title="engine"),
        )
        bars = base.mark_rule(opacity=0.5, strokeDash=[4, 3]).encode(
            y=alt.Y(f"{ends[1]}:Q", title="predicted latency (ms)", axis=axis, scale=scale),
            y2=f"{ends[2]}:Q",
        )
        points = base.mark_point(shape="diamond", filled=False, strokeWidth=2).encode(
            y=alt.Y(f"{ends[0]}:Q", axis=axis, scale=scale),
            tooltip=[
                alt.Tooltip("model:N", title="model"),
                alt.Tooltip("setting:N", title="setting"),
                alt.Tooltip("measured_ms:Q", format=".3~r", title="measured, ms"),
                alt.Tooltip(f"{ends[0]}:Q", format=".3~r", title="predicted, ms"),
            ],
        )
        equal = (
            alt.Chart(frame.rows.select(["measured_ms"]))
            .mark_line(strokeDash=[2, 2], opacity=0.7)
            .encode(
                x=alt.X("measured_ms:Q", axis=axis, scale=scale),
                y=alt.Y("measured_ms:Q", axis=axis, scale=scale),
            )
        )
        return sized(alt.layer(equal, bars, points), SCATTER_HEIGHT)

    def table(self, frame: Frame) -> Table:
        """One row a library with its settings and device."""
        settings = list(dict.fromkeys(frame.labels("setting")))
        columns = {
            name: dict(zip(frame.labels("setting"), frame.reals(name), strict=True))
            for name in (
                *("error_factor", "error_low", "error_high", "baseline_factor"),
                *("examples", "architectures"),
            )
        }
        laws = dict(zip(frame.labels("setting"), frame.labels("law"), strict=True))
        errors = [columns["error_factor"][s] for s in settings]
        texts = [
            ratio_text(
                columns["error_factor"][s], columns["error_low"][s], columns["error_high"][s]
            )
            for s in settings
        ]
        return Table(
            columns=(
                names("Library, settings, device", settings, 60),
                names("Law", [laws[s] for s in settings]),
                prepared("Typical error, times [95 % interval]", texts, errors),
                numbers(
                    "Operations alone, times",
                    [columns["baseline_factor"][s] for s in settings],
                    _two,
                ),
                names("Measured inside the interval", [_inside(frame, s) for s in settings]),
                numbers("Models", [columns["examples"][s] for s in settings]),
                numbers("Architectures", [columns["architectures"][s] for s in settings]),
            )
        )

    def caption(self, frame: Frame, summary: Summary) -> str:
        """How errors were found."""
        del summary
        return (
            f"n = {_text.plural(frame.total, 'measured model')} by settings, each predicted "
            "while all models "
            "of its architecture were left out, in ms. On the dotted line predicted and "
            "measured are equal. "
            "Typical error: the geometric mean, over architectures, of predicted over measured or its "
            "inverse, with Student's 95 % interval over architectures; 1.2 is 20 % off. It is "
            "that of the "
            "whole procedure, the choice of the law included. Bars are the predictions' "
            "intervals of 90 %, "
            "which follow from these very errors, so that they hold about so many here by construction."
        )


def _inside(frame: Frame, setting: str) -> str:
    rows = zip(
        frame.labels("setting"),
        *(frame.reals(c) for c in ("measured_ms", "predicted_ms_low", "predicted_ms_high")),
        strict=True,
    )
    found = [
        (low or 0.0) <= (measured or 0.0) <= (high or 0.0)
        for name, measured, low, high in rows
        if name == setting
    ]
    return f"{sum(found)} of {len(found)}"


def _two(value: float | None) -> str:
    return _text.NOTHING if value is None else f"{value:.2f}"
