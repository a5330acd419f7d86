"""How much of what apps ship is reused, and in which ways."""

from gaugenn.analysis.lineage import Lineage
from gaugenn.report import _text
from gaugenn.report._census import NO_MODEL
from gaugenn.report._contract import Section
from gaugenn.report._frame import Frame
from gaugenn.report._lineage import MODELS_WITH_LAYERS, MOST_MODELS, traced
from gaugenn.report._model_pairs import cut_note
from gaugenn.report._shares import SHARE_INTERVAL
from gaugenn.report._statements import Statements
from gaugenn.report._summary import Summary


class Reuse(Statements):
    """One row a way of reuse, with what it is a share of."""

    section = Section.BUILT
    order = 228
    title = "Reuse of models"
    question = "How much of what apps ship is a model that is elsewhere, too, or was made from one?"
    query = MODELS_WITH_LAYERS
    empty = NO_MODEL
    limit = MOST_MODELS

    def derive(self, frame: Frame) -> Frame:
        """Counts the models of each relation."""
        found = traced(frame)
        lineage, models = found.lineage, found.models
        places = [int(value or 0) for value in frame.reals("instances")]
        apps = [int(value or 0) for value in frame.reals("apps")]
        held = sum(number > 0 for number in places)
        other_format = {
            model
            for pair in lineage.copies
            if models[pair.first].format != models[pair.second].format
            for model in (pair.first, pair.second)
        }
        fine_tuned = {m for pair in lineage.siblings for m in (pair.first, pair.second)}
        twins = {model for group in lineage.twins for model in group.models}
        with_layers = sum(bool(number) for number in frame.reals("weighted_layers"))
        with_values = sum(bool(number) for number in frame.reals("valued_layers"))
        with_graph = sum(m.architecture_sha256 is not None for m in models.values())
        with_both = sum(
            m.architecture_sha256 is not None and m.weights_sha256 is not None
            for m in models.values()
        )
        with_scheme = sum(
            m.architecture_sha256 is not None and m.quantization is not None
            for m in models.values()
        )
        rows = (
            (
                "exact: a further place of a model",
                sum(places) - held,
                sum(places),
                "model instances in apps",
            ),
            (
                "exact: a model that another app has, too",
                sum(number for number, of in zip(places, apps, strict=True) if of > 1),
                sum(places),
                "model instances in apps",
            ),
            (
                "exact: in more than one app",
                sum(number > 1 for number in apps),
                held,
                "distinct models in apps",
            ),
            (
                "same network and weights in another file",
                len({model for group in lineage.duplicates for model in group.models}),
                with_both,
                "distinct models with known weights",
            ),
            (
                "same architecture as another model",
                len({model for group in lineage.architectures for model in group.models}),
                with_graph,
                "distinct models with a known graph",
            ),
            (
                "fine-tuned: trained layers in common",
                len(_with_duplicates(fine_tuned, lineage)),
                with_layers,
                "distinct models with trained layers",
            ),
            (
                "cross-framework: same values in another format",
                len(_with_duplicates(other_format, lineage)),
                with_values,
                "distinct models with known values",
            ),
            (
                "same architecture, quantised otherwise",
                len(_with_duplicates(twins, lineage)),
                with_scheme,
                "distinct models with a known graph and weights",
            ),
        )
        kept = [row for row in rows if row[2]]
        made = Frame.made(
            {"statement": [row[0] for row in kept], "denominator": [row[3] for row in kept]},
            {
                "part": [row[1] for row in kept],
                "whole": [row[2] for row in kept],
                "cut": [float(len(frame) < frame.total) for _ in kept],
            },
        )
        return super().derive(made)

    def caption(self, frame: Frame, summary: Summary) -> str:
        """What each kind of reuse means."""
        return (
            f"n = {_text.plural(summary.models, 'distinct model')}; each share names its own "
            "denominator. Exact: the same bytes; a further place is every place of a model but its "
            "first. The figures below list the models: shared between packages, one architecture, "
            "fine-tuned siblings, copies in another format, quantised twins, and draw them as a graph. "
            f"{SHARE_INTERVAL}{cut_note(frame)}"
        )


def _with_duplicates(models: set[str], lineage: Lineage) -> set[str]:
    """Models and those that hold the same network: of these a lineage names the first only."""
    same = (group.models for group in lineage.duplicates if not models.isdisjoint(group.models))
    return models.union(*same)
