"""Which models have one architecture and different weights."""

from gaugenn.report import _text
from gaugenn.report._contract import Figure, Section
from gaugenn.report._frame import Frame
from gaugenn.report._summary import Summary
from gaugenn.report._table import Table, digests, lists, numbers


class Architectures(Figure):
    """One row an architecture that several distinct models have."""

    section = Section.BUILT
    order = 240
    title = "One architecture, several models"
    question = "Which distinct models are the same network with other weights or another encoding?"
    query = """
        SELECT architecture_sha256, count(*) AS models, count(DISTINCT weights_sha256) AS weights,
               min(nodes) AS nodes, max(macs) AS macs, list_sort(list(DISTINCT format)) AS formats,
               list_sort(list(coalesce(left(name, 32), '') || ' ' || left(model_sha256, 12)))
                   AS members
        FROM (SELECT DISTINCT ON (model_sha256) * FROM models ORDER BY model_sha256)
            LEFT JOIN model_names USING (model_sha256)
        WHERE kind = 'model' AND architecture_sha256 IS NOT NULL
        GROUP BY architecture_sha256 HAVING count(*) > 1
        ORDER BY models DESC, architecture_sha256
    """
    empty = "No two distinct models of this study have the same architecture."

    def table(self, frame: Frame) -> Table:
        """One row an architecture."""
        return Table(
            columns=(
                digests("Architecture", frame.texts("architecture_sha256")),
                numbers("Models", frame.integers("models")),
                numbers("Different weights", frame.integers("weights")),
                numbers("Nodes", frame.integers("nodes")),
                numbers("MACs", frame.integers("macs"), _text.metric),
                lists("Formats", frame.text_lists("formats")),
                lists("Models with digests", frame.text_lists("members"), 2),
            )
        )

    def caption(self, frame: Frame, summary: Summary) -> str:
        """What is compared."""
        models = sum(n or 0 for n in frame.integers("models"))
        return (
            f"n = {_text.plural(frame.total, 'architecture')} with {models:,} of "
            f"{_text.plural(summary.models, 'distinct model')} in the rows shown. An architecture is "
            "the graph of operators with their kernels, strides and sizes; names, weights, element "
            "types and nodes that only copy or convert are left out, as far as a converter kept its "
            "operators. One kind of weights: the same trained network in different files."
        )
