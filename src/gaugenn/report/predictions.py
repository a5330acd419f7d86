"""Latencies of models that nobody measured, marked as such."""

import altair as alt

from gaugenn.report import _text
from gaugenn.report._charts import TALL_STEP, height, log_axis, log_scale, sized, two_lines
from gaugenn.report._contract import Chart, Figure, Section
from gaugenn.report._frame import Frame
from gaugenn.report._predicted import NOT_PREDICTED, PREDICTED
from gaugenn.report._summary import Summary
from gaugenn.report._table import Table, digests, marks, names, numbers, prepared

_DRAWN = 40


class Predictions(Figure):
    """One row a model and setting without a measurement."""

    section = Section.SPEED
    order = 443
    title = "Predicted latency (not measured)"
    question = "How long would an inference of a model take that was not measured?"
    query = f"""
        SELECT * FROM ({PREDICTED}) WHERE measured_ms IS NULL
        ORDER BY model, setting, model_sha256
    """  # noqa: S608 - our own text
    empty = NOT_PREDICTED
    limit = 10_000

    def derive(self, frame: Frame) -> Frame:
        """A name for each row, and a warning where a model is beyond those that were measured."""
        pairs = zip(frame.labels("model"), frame.labels("setting"), strict=True)
        outside = ["beyond what was measured" if o else "" for o in frame.integers("outside")]
        return frame.with_columns(
            {
                "row": [f"{model}\n{setting}" for model, setting in pairs],
                "warning": outside,
                "kind": ["predicted, " + text if text else "predicted" for text in outside],
            },
            like=str,
        )

    def chart(self, frame: Frame) -> Chart:
        """An open diamond with its interval for each prediction; no measurement looks like it."""
        drawn = frame.first(_DRAWN)
        ends = ["predicted_ms", "predicted_ms_low", "predicted_ms_high"]
        values = [value for name in ends for value in drawn.reals(name)]
        axis, scale = log_axis(values), log_scale(values)
        base = alt.Chart(drawn.rows.select(["row", "kind", *ends])).encode(
            y=alt.Y("row:N", title=None, sort=drawn.labels("row"), axis=two_lines()),
            color=alt.Color("kind:N", title=None),
        )
        bars = base.mark_rule(strokeDash=[4, 3]).encode(
            x=alt.X(f"{ends[1]}:Q", title="predicted latency (ms)", axis=axis, scale=scale),
            x2=f"{ends[2]}:Q",
        )
        points = base.mark_point(shape="diamond", filled=False, strokeWidth=2).encode(
            x=alt.X(f"{ends[0]}:Q", axis=axis, scale=scale),
            tooltip=[
                alt.Tooltip("row:N", title="model"),
                alt.Tooltip("kind:N", title="kind"),
                alt.Tooltip(f"{ends[0]}:Q", format=".3~r", title="predicted, ms"),
                alt.Tooltip(f"{ends[1]}:Q", format=".3~r", title="interval from"),
                alt.Tooltip(f"{ends[2]}:Q", format=".3~r", title="interval to"),
            ],
        )
        return sized(alt.layer(bars, points), height(drawn.labels("row"), TALL_STEP))

    def table(self, frame: Frame) -> Table:
        """One row a prediction."""
        ends = [frame.reals(f"predicted_ms{end}") for end in ("", "_low", "_high")]
        texts = [
            f"{value or 0.0:.3g} ms [{low or 0.0:.3g}, {high or 0.0:.3g}]"
            for value, low, high in zip(*ends, strict=True)
        ]
        return Table(
            columns=(
                names("Model", frame.texts("model")),
                names("Library, settings, device", frame.texts("setting"), 60),
                prepared("Predicted [90 % interval]", texts, ends[0]),
                names("Law", frame.texts("law")),
                numbers("Typical error, times", frame.reals("error_factor"), _two),
                numbers("Operations alone, times", frame.reals("baseline_factor"), _two),
                numbers("From models", frame.integers("examples")),
                marks("Remarks", [[text] if text else [] for text in frame.labels("warning")]),
                digests("Model SHA-256", frame.texts("model_sha256")),
            )
        )

    def caption(self, frame: Frame, summary: Summary) -> str:
        """That it is no measurement."""
        del summary
        drawn = f" The chart shows the first {_DRAWN}." if frame.total > _DRAWN else ""
        return (
            f"n = {_text.plural(frame.total, 'prediction')}, none of which was measured. Each "
            "is for an "
            "inference on one sample, in ms, with an interval of 90 % from the errors on "
            "architectures that "
            "were left out of the fit. Typical error: predicted over measured, or the inverse, on such "
            "architectures; beside it that of a law of operations alone. Beyond what was "
            "measured: more, or "
            f"fewer, MACs than any model that it was fitted to; the interval may not hold.{drawn}"
        )


def _two(value: float | None) -> str:
    return _text.NOTHING if value is None else f"{value:.2f}"
