"""Which operators models are built from."""

import altair as alt

from gaugenn.report import _text
from gaugenn.report._charts import height, sized
from gaugenn.report._contract import Chart, Figure, Section
from gaugenn.report._frame import Frame
from gaugenn.report._summary import Summary
from gaugenn.report._table import Table, lists, names, numbers


class Operators(Figure):
    """One row an operator."""

    section = Section.BUILT
    order = 220
    title = "Operators"
    question = "Which operators are the models built from, and where do the operations go?"
    query = """
        SELECT CASE WHEN operator = '' THEN '(no ONNX counterpart)' ELSE operator END AS name,
               count(DISTINCT model_sha256) AS models, CAST(sum(nodes) AS BIGINT) AS nodes,
               CAST(sum(macs) AS BIGINT) AS macs,
               CAST(sum(sum(nodes)) OVER () AS BIGINT) AS all_nodes,
               CAST(sum(sum(macs)) OVER () AS BIGINT) AS all_macs,
               list_sort(list(DISTINCT source_operator)) AS sources
        FROM operators JOIN (SELECT DISTINCT model_sha256 FROM models WHERE kind = 'model')
            USING (model_sha256)
        GROUP BY operator ORDER BY nodes DESC, name
    """
    empty = "No model was read yet, so there is no operator to count."
    _drawn = 25

    def chart(self, frame: Frame) -> Chart:
        """A bar an operator, the most frequent first."""
        drawn = frame.first(self._drawn)
        return sized(
            alt.Chart(drawn.rows.select(["name", "nodes", "models"]))
            .mark_bar()
            .encode(
                x=alt.X(
                    "nodes:Q",
                    title="nodes in distinct models",
                    axis=alt.Axis(format="~s", tickCount=6),
                ),
                y=alt.Y("name:N", title=None, sort=None),
                tooltip=[
                    "name:N",
                    alt.Tooltip("nodes:Q", format=",d"),
                    alt.Tooltip("models:Q", format=",d"),
                ],
            ),
            height(drawn.texts("name")),
        )

    def table(self, frame: Frame) -> Table:
        """One row an operator, with the names that files give it."""
        return Table(
            columns=(
                names("Operator", frame.texts("name")),
                numbers("Nodes", frame.integers("nodes")),
                numbers("Of nodes, %", _percent(frame, "nodes", "all_nodes"), _tenths),
                numbers("Models", frame.integers("models")),
                numbers("MACs", frame.integers("macs"), _text.metric),
                numbers("Of MACs, %", _percent(frame, "macs", "all_macs"), _tenths),
                lists("As files name it", frame.text_lists("sources"), 2),
            )
        )

    def caption(self, frame: Frame, summary: Summary) -> str:
        """What a node is, and how names were made equal."""
        nodes = frame.integers("all_nodes")[0] or 0
        note = (
            f" The chart shows the {self._drawn} most frequent of {frame.total:,}."
            if frame.total > self._drawn
            else ""
        )
        return (
            f"n = {_text.plural(nodes, 'node')} of {_text.plural(summary.models, 'distinct model')}, "
            "sub-graphs included; each model counts once. Names are ONNX operator names; operators "
            f"without a counterpart are counted together. MACs: multiply-accumulates.{note}"
        )


def _percent(frame: Frame, part: str, whole: str) -> list[float | None]:
    return [
        None if p is None or not w else 100 * p / w
        for p, w in zip(frame.integers(part), frame.integers(whole), strict=True)
    ]


def _tenths(value: float | None) -> str:
    return _text.NOTHING if value is None else f"{value:.1f}"
