"""Which models are the same network in another file format or precision."""

from collections.abc import Sequence

from gaugenn.analysis.lineage import COPIED_LAYERS, Lineage, Sibling
from gaugenn.report import _text
from gaugenn.report._frame import Frame
from gaugenn.report._model_pairs import ModelPairs, models_of
from gaugenn.report._summary import Summary


class Copies(ModelPairs):
    """One row a pair of models with the same values in different files."""

    order = 252
    title = "Copies in another format"
    question = "Which models hold the same trained values in another file format or precision?"
    empty = (
        "No two models of this study hold the same values in two formats or precisions, or no model "
        "was read yet."
    )
    other = "Copy"

    def pairs(self, lineage: Lineage) -> Sequence[Sibling]:
        """Copies."""
        return lineage.copies

    def caption(self, frame: Frame, summary: Summary) -> str:
        """The rule, and what it cannot see."""
        return (
            f"{models_of(frame)}{_text.plural(summary.models, 'distinct model')}. Layers are equal "
            "when the values of their weights are, whatever their order in the file and to the "
            f"precision of 16 bits. Copies share at least {100 * COPIED_LAYERS:.0f} % of the layers of "
            "the model that has more. Copies in which only one converter folded batch normalisation "
            f"into the weights are missed. {self.compared(frame)}"
        )
