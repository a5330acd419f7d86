"""How parameters and operations relate over the models."""

import altair as alt

from gaugenn.report import _text
from gaugenn.report._charts import SCATTER_HEIGHT, log_axis, log_scale, sized
from gaugenn.report._contract import Chart, Figure, Section
from gaugenn.report._frame import Frame
from gaugenn.report._summary import Summary


class Costs(Figure):
    """One point a distinct model."""

    section = Section.COSTS
    order = 310
    title = "Parameters and operations"
    question = "How large and how costly are the models?"
    query = """
        SELECT left(coalesce(n.name, ''), 32) || ' ' || left(m.model_sha256, 6) AS label,
               m.format, m.parameters, m.macs, m.size_bytes,
               CASE WHEN m.uncounted_nodes > 0 THEN 'lower bound' ELSE 'complete' END AS cost,
               count(*) OVER () AS drawable
        FROM (SELECT DISTINCT ON (model_sha256) * FROM models ORDER BY model_sha256) m
            LEFT JOIN model_names n USING (model_sha256)
        WHERE m.kind = 'model' AND m.parameters > 0 AND m.macs > 0
        ORDER BY m.model_sha256
    """
    empty = "No model with known parameters and operations was read yet."
    limit = 2_000

    def chart(self, frame: Frame) -> Chart:
        """Both axes are logarithmic."""
        return sized(
            alt.Chart(frame.rows.drop_columns(["drawable"]))
            .mark_point()
            .encode(
                x=alt.X(
                    "parameters:Q",
                    title="parameters",
                    scale=log_scale(frame.reals("parameters")),
                    axis=log_axis(frame.reals("parameters"), metric=True),
                ),
                y=alt.Y(
                    "macs:Q",
                    title="MACs of one inference",
                    scale=log_scale(frame.reals("macs")),
                    axis=log_axis(frame.reals("macs"), metric=True),
                ),
                color=alt.Color("format:N", title="format"),
                shape=alt.Shape(
                    "cost:N",
                    title="cost",
                    scale=alt.Scale(
                        domain=["complete", "lower bound"], range=["circle", "triangle-up"]
                    ),
                ),
                tooltip=[
                    "label:N",
                    "format:N",
                    alt.Tooltip("parameters:Q", format=",d"),
                    alt.Tooltip("macs:Q", format=",d", title="MACs"),
                    alt.Tooltip("size_bytes:Q", format=",d", title="bytes"),
                    "cost:N",
                ],
            ),
            SCATTER_HEIGHT,
        )

    def caption(self, frame: Frame, summary: Summary) -> str:
        """Who is missing, and what a lower bound is."""
        drawn = (
            f" Drawn are {len(frame):,}, chosen by digest, which is as good as by chance."
            if len(frame) < frame.total
            else ""
        )
        return (
            f"n = {frame.total:,} of {_text.plural(summary.models, 'distinct model')} with both "
            "numbers above zero; logarithmic axes. One MAC is one multiply-accumulate, two FLOPs; "
            "dynamic dimensions are taken as 1. A triangle marks a lower bound: some node's cost or "
            f"shape is unknown.{drawn}"
        )
