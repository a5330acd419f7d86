"""Which models are one architecture under several quantisation schemes."""

from gaugenn.report import _text
from gaugenn.report._contract import Figure, Section
from gaugenn.report._frame import Frame
from gaugenn.report._summary import Summary
from gaugenn.report._table import Table, digests, lists, numbers


class QuantisedTwins(Figure):
    """One row an architecture."""

    section = Section.BUILT
    order = 254
    title = "Quantised twins"
    question = "Which architectures occur under more than one quantisation scheme?"
    query = """
        WITH distinct_models AS (
            SELECT DISTINCT ON (architecture_sha256, coalesce(weights_sha256, model_sha256))
                   model_sha256, architecture_sha256, quantization
            FROM models
            WHERE kind = 'model' AND architecture_sha256 IS NOT NULL AND quantization IS NOT NULL
            ORDER BY architecture_sha256, coalesce(weights_sha256, model_sha256), model_sha256
        )
        SELECT m.architecture_sha256, count(*) AS models,
               list_sort(list(DISTINCT m.quantization)) AS schemes,
               list_sort(list(DISTINCT coalesce(n.name, left(m.model_sha256, 6)))) AS called
        FROM distinct_models m LEFT JOIN model_names n USING (model_sha256)
        GROUP BY m.architecture_sha256 HAVING count(DISTINCT m.quantization) > 1
        ORDER BY models DESC, m.architecture_sha256
    """
    empty = (
        "No architecture of this study occurs under two quantisation schemes, or no model was read "
        "yet."
    )

    def table(self, frame: Frame) -> Table:
        """One row an architecture, the most frequent first."""
        return Table(
            columns=(
                digests("Architecture", frame.texts("architecture_sha256")),
                numbers("Models", frame.integers("models")),
                lists("Schemes", frame.text_lists("schemes")),
                lists("Called", frame.text_lists("called")),
            )
        )

    def caption(self, frame: Frame, summary: Summary) -> str:
        """What a twin is and is not."""
        models = sum(number or 0 for number in frame.integers("models"))
        return (
            f"n = {_text.plural(frame.total, 'architecture')} with {models:,} of "
            f"{_text.plural(summary.models, 'distinct model')}. An architecture leaves element types "
            "and (de)quantising nodes out, so a float network and its quantised form have one in "
            "common; so have networks of that architecture that were trained apart. Files with the "
            "same network and weights count once."
        )
