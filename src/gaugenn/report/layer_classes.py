"""What kinds of layers the models of each modality are made of."""

import altair as alt

from gaugenn.report import _text
from gaugenn.report._charts import height, number_axis, sized
from gaugenn.report._contract import Chart, Figure, Section
from gaugenn.report._frame import Frame
from gaugenn.report._summary import Summary
from gaugenn.report._table import Table, names, numbers


class LayerClasses(Figure):
    """One row a modality and class of layer."""

    section = Section.BUILT
    order = 225
    title = "Kinds of layers"
    question = "What kinds of layers are models made of, by what they take in?"
    query = """
        SELECT m.modality, l.layer_class, count(*) AS nodes,
               count(DISTINCT l.model_sha256) AS models, CAST(sum(l.macs) AS BIGINT) AS macs,
               100.0 * count(*) / sum(count(*)) OVER (PARTITION BY m.modality) AS nodes_percent,
               100.0 * sum(l.macs) / sum(sum(l.macs)) OVER (PARTITION BY m.modality)
                   AS macs_percent,
               CAST(sum(count(*)) OVER () AS BIGINT) AS all_nodes
        FROM (
            SELECT DISTINCT ON (model_sha256, graph, position)
                   model_sha256, macs, coalesce(layer_class, 'other') AS layer_class
            FROM layers ORDER BY model_sha256, graph, position
        ) l
        JOIN (
            SELECT DISTINCT ON (model_sha256) model_sha256, kind,
                   coalesce(modality, 'unknown') AS modality
            FROM models ORDER BY model_sha256
        ) m ON m.model_sha256 = l.model_sha256 AND m.kind = 'model'
        GROUP BY m.modality, l.layer_class ORDER BY m.modality, nodes DESC, l.layer_class
    """
    empty = "No model was read yet, so there is no layer to count."

    def chart(self, frame: Frame) -> Chart:
        """A point a modality on the line of each class."""
        drawn = frame.rows.select(["modality", "layer_class", "nodes_percent", "models"])
        return sized(
            alt.Chart(drawn)
            .mark_point()
            .encode(
                x=alt.X("nodes_percent:Q", title="% of the modality's nodes", axis=number_axis()),
                y=alt.Y("layer_class:N", title=None, sort="-x"),
                color=alt.Color("modality:N", title="modality"),
                shape=alt.Shape("modality:N", title="modality"),
                tooltip=[
                    "modality:N",
                    "layer_class:N",
                    alt.Tooltip("nodes_percent:Q", format=".1f"),
                    alt.Tooltip("models:Q", format=",d"),
                ],
            ),
            height(frame.texts("layer_class")),
        )

    def table(self, frame: Frame) -> Table:
        """One row a modality and class."""
        return Table(
            columns=(
                names("Modality", frame.texts("modality")),
                names("Kind of layer", frame.texts("layer_class")),
                numbers("Nodes", frame.integers("nodes")),
                numbers("Of nodes, %", frame.reals("nodes_percent"), _text.tenths),
                numbers("Models", frame.integers("models")),
                numbers("MACs", frame.integers("macs"), _text.metric),
                numbers("Of MACs, %", frame.reals("macs_percent"), _text.tenths),
            )
        )

    def caption(self, frame: Frame, summary: Summary) -> str:
        """What the shares are of."""
        nodes = frame.integers("all_nodes")[0] or 0
        return (
            f"n = {_text.plural(nodes, 'node')} of {_text.plural(summary.models, 'distinct model')}, "
            "sub-graphs included; each model counts once. Percentages are of the nodes, and of the "
            "multiply-accumulates, of all models of a modality, so that large models weigh more."
        )
