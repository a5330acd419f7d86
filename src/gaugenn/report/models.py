"""The distinct models, with what goes in and out and what they cost."""

from gaugenn.report import _text
from gaugenn.report._contract import Figure, Section
from gaugenn.report._frame import Frame
from gaugenn.report._summary import Summary
from gaugenn.report._table import Table, digests, lists, marks, names, numbers

_INTERFACE = """list_transform({0}, lambda t:
                   t.name || ': ' || t.dtype || '[' || coalesce(array_to_string(t.shape, ', '), '?')
                   || ']')"""


class Models(Figure):
    """One row a distinct model."""

    section = Section.COSTS
    order = 330
    title = "Distinct models"
    question = "What is each model, what goes in and out, and what does it cost?"
    query = f"""
        SELECT n.name, m.model_sha256, m.format, coalesce(p.packages, 0) AS packages, m.size_bytes,
               m.parameters, m.macs, m.activation_peak_bytes, m.weights_dtype, m.nodes,
               {_INTERFACE.format("m.inputs")} AS inputs,
               {_INTERFACE.format("m.outputs")} AS outputs,
               m.producer, m.uncounted_nodes, m.unmapped_nodes, m.assumed_dimensions, m.notes
        FROM (SELECT DISTINCT ON (model_sha256) * FROM models ORDER BY model_sha256) m
        LEFT JOIN model_names n USING (model_sha256)
        LEFT JOIN (
            SELECT model_sha256, count(DISTINCT app_sha256) AS packages
            FROM instances GROUP BY model_sha256
        ) p USING (model_sha256)
        WHERE m.kind = 'model'
        ORDER BY packages DESC, m.macs DESC NULLS LAST, m.model_sha256
    """  # noqa: S608
    empty = "No model was read yet. Find models with: gaugenn scan PATH... --out STUDY"

    def table(self, frame: Frame) -> Table:
        """One row a model, those in most packages first."""
        return Table(
            columns=(
                names("Model", frame.texts("name")),
                digests("SHA-256", frame.texts("model_sha256")),
                names("Format", frame.texts("format")),
                numbers("Packages", frame.integers("packages")),
                numbers("Size", frame.integers("size_bytes"), _text.size),
                numbers("Parameters", frame.integers("parameters"), _text.metric),
                numbers("MACs", frame.integers("macs"), _text.metric),
                numbers("Peak activations", frame.integers("activation_peak_bytes"), _text.size),
                names("Weights", frame.texts("weights_dtype")),
                numbers("Nodes", frame.integers("nodes")),
                lists("Inputs", frame.text_lists("inputs"), 1),
                lists("Outputs", frame.text_lists("outputs"), 1),
                names("Producer", frame.texts("producer"), 24),
                marks("Remarks", _remarks(frame)),
            )
        )

    def caption(self, frame: Frame, summary: Summary) -> str:
        """Which numbers are bounds."""
        return (
            f"n = {_text.plural(frame.total, 'distinct model')}; the cost of "
            f"{summary.models_counted:,} is complete, of the others it is a lower bound and "
            "marked. MACs are those of one inference at batch size 1. Peak activations: the most bytes "
            "of intermediate tensors alive at once, in the order of the file."
        )


def _remarks(frame: Frame) -> list[list[str]]:
    found = []
    for uncounted, unmapped, assumed, notes in zip(
        frame.integers("uncounted_nodes"),
        frame.integers("unmapped_nodes"),
        frame.integers("assumed_dimensions"),
        frame.text_lists("notes"),
        strict=True,
    ):
        row = []
        if uncounted:
            row.append(f"lower bound ({_text.plural(uncounted, 'node')} not counted)")
        if unmapped:
            row.append(f"{_text.plural(unmapped, 'node')} without ONNX counterpart")
        if assumed:
            row.append("dynamic sizes taken as 1")
        found.append([*row, *notes])
    return found
