"""Figures over pairs of models that have layers in common: the pairs and the columns."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from gaugenn.analysis.lineage import SMALLEST_LAYER, Lineage, Sibling
from gaugenn.report import _text
from gaugenn.report._contract import Figure, Section
from gaugenn.report._frame import Frame
from gaugenn.report._lineage import MODELS_WITH_LAYERS, MOST_MODELS, traced
from gaugenn.report._table import Table, digests, names, numbers


class ModelPairs(Figure):
    """One row a pair of models. What a pair is, the subclass says."""

    section = Section.BUILT
    query = MODELS_WITH_LAYERS
    limit = MOST_MODELS
    other: ClassVar[str]
    """What the second model of a pair is called."""

    @abstractmethod
    def pairs(self, lineage: Lineage) -> Sequence[Sibling]:
        """The pairs to show."""

    def derive(self, frame: Frame) -> Frame:
        """Pairs, from the layers that models share."""
        found = traced(frame)
        pairs = self.pairs(found.lineage)
        return Frame.made(
            {
                "first": [pair.first for pair in pairs],
                "first_name": [found.names[pair.first] for pair in pairs],
                "first_format": [found.models[pair.first].format or "" for pair in pairs],
                "second": [pair.second for pair in pairs],
                "second_name": [found.names[pair.second] for pair in pairs],
                "second_format": [found.models[pair.second].format or "" for pair in pairs],
            },
            {
                "shared_layers": [pair.shared_layers for pair in pairs],
                "first_layers": [pair.first_layers for pair in pairs],
                "second_layers": [pair.second_layers for pair in pairs],
                "share_percent": [100 * pair.share for pair in pairs],
                "cut": [float(len(frame) < frame.total) for _ in pairs],
            },
        )

    def table(self, frame: Frame) -> Table:
        """One row a pair, the closest first."""
        return Table(
            columns=(
                names("Model", frame.texts("first_name")),
                digests("SHA-256", frame.texts("first")),
                names("Format", frame.texts("first_format")),
                names(self.other, frame.texts("second_name")),
                digests(f"{self.other}'s SHA-256", frame.texts("second")),
                names(f"{self.other}'s format", frame.texts("second_format")),
                numbers("Shared layers", frame.reals("shared_layers")),
                numbers("Model's layers", frame.reals("first_layers")),
                numbers(f"{self.other}'s layers", frame.reals("second_layers")),
                numbers("Shared, %", frame.reals("share_percent"), _text.tenths),
            )
        )

    def compared(self, frame: Frame) -> str:
        """What was left out of the comparison, for the caption."""
        return (
            f"Layers with fewer than {SMALLEST_LAYER} parameters do not count. Of large families not "
            f"every pair is listed.{cut_note(frame)}"
        )


def cut_note(frame: Frame) -> str:
    """What a caption says where not every model was compared."""
    if not any(frame.reals("cut")):
        return ""
    return f" Only the {MOST_MODELS:,} models in most apps were compared."


def models_of(frame: Frame) -> str:
    """How many pairs of how many models, for the caption."""
    models = len({*frame.texts("first"), *frame.texts("second")})
    return f"n = {_text.plural(frame.total, 'pair')} of {models:,} among "
