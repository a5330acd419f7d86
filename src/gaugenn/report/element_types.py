"""Which element types weights and activations have."""

import altair as alt

from gaugenn.report import _text
from gaugenn.report._charts import count_axis, height, sized
from gaugenn.report._contract import Chart, Figure, Section
from gaugenn.report._frame import Frame
from gaugenn.report._summary import Summary
from gaugenn.report._table import Table, names, numbers


class ElementTypes(Figure):
    """One row a pair of element types."""

    section = Section.COSTS
    order = 320
    title = "Precision"
    question = "With which element types are the models stored?"
    query = """
        SELECT coalesce(weights_dtype, 'unknown') AS weights,
               coalesce(activations_dtype, 'unknown') AS activations, count(*) AS models,
               CAST(sum(parameters) AS BIGINT) AS parameters,
               CAST(sum(weights_bytes) AS BIGINT) AS weights_bytes
        FROM (SELECT DISTINCT ON (model_sha256) * FROM models ORDER BY model_sha256)
        WHERE kind = 'model' GROUP BY ALL ORDER BY models DESC, weights, activations
    """
    empty = "No model was read yet, so no precision is known."

    def chart(self, frame: Frame) -> Chart:
        """A bar a weights type, split by the type of activations."""
        return sized(
            alt.Chart(frame.rows.select(["weights", "activations", "models"]))
            .mark_bar()
            .encode(
                x=alt.X("models:Q", title="distinct models", axis=count_axis()),
                y=alt.Y("weights:N", title="weights", sort="-x"),
                color=alt.Color("activations:N", title="activations"),
                tooltip=["weights:N", "activations:N", alt.Tooltip("models:Q", format=",d")],
            ),
            height(frame.texts("weights")),
        )

    def table(self, frame: Frame) -> Table:
        """One row a pair."""
        return Table(
            columns=(
                names("Weights", frame.texts("weights")),
                names("Activations", frame.texts("activations")),
                numbers("Distinct models", frame.integers("models")),
                numbers("Parameters", frame.integers("parameters"), _text.metric),
                numbers("Weights, bytes", frame.integers("weights_bytes"), _text.size),
            )
        )

    def caption(self, frame: Frame, summary: Summary) -> str:  # noqa: ARG002
        """What decides a model's type."""
        return (
            f"n = {_text.plural(summary.models, 'distinct model')}. A model counts under the type that "
            "most of its weights have; a model without weights is unknown."
        )
