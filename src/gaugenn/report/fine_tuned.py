"""Which models were trained from one another."""

from collections.abc import Sequence

from gaugenn.analysis.lineage import DIFFERENT_LAYERS, SHARED_LAYERS, Lineage, Sibling
from gaugenn.report import _text
from gaugenn.report._frame import Frame
from gaugenn.report._model_pairs import ModelPairs, models_of
from gaugenn.report._summary import Summary


class FineTuned(ModelPairs):
    """One row a pair of models with trained layers in common."""

    order = 250
    title = "Fine-tuned siblings"
    question = "Which models share trained layers, so that one was likely made from the other?"
    empty = (
        "No two models of this study share trained layers, or no model was read yet. Files that hold "
        "the same network and weights are not siblings."
    )
    other = "Sibling"

    def pairs(self, lineage: Lineage) -> Sequence[Sibling]:
        """Fine-tuned pairs."""
        return lineage.siblings

    def caption(self, frame: Frame, summary: Summary) -> str:
        """The rule, after whom."""
        return (
            f"{models_of(frame)}{_text.plural(summary.models, 'distinct model')}. Layers are equal "
            "when their weights are, byte for byte. Siblings share at least "
            f"{100 * SHARED_LAYERS:.0f} % of the layers of the model that has more, or differ in at "
            f"most {DIFFERENT_LAYERS}. {self.compared(frame)}"
        )
