"""Which models were trained from one another."""

from gaugenn.analysis.lineage import DIFFERENT_LAYERS, SHARED_LAYERS, SMALLEST_LAYER, trace
from gaugenn.records import FileKind, LayerRecord, ModelRecord
from gaugenn.report import _text
from gaugenn.report._contract import Figure, Section
from gaugenn.report._frame import Frame
from gaugenn.report._summary import Summary
from gaugenn.report._table import Table, digests, names, numbers


class FineTuned(Figure):
    """One row a pair of models with trained layers in common."""

    section = Section.BUILT
    order = 250
    title = "Fine-tuned siblings"
    question = "Which models share trained layers, so that one was likely made from the other?"
    query = f"""
        WITH weighted AS (
            SELECT DISTINCT ON (model_sha256, graph, position)
                   model_sha256, graph, position, weights_sha256, parameters
            FROM layers WHERE weights_sha256 IS NOT NULL AND parameters >= {SMALLEST_LAYER}
            ORDER BY model_sha256, graph, position
        ),
        shared AS (
            SELECT weights_sha256 FROM weighted
            GROUP BY weights_sha256 HAVING count(DISTINCT model_sha256) > 1
        )
        SELECT w.model_sha256, w.weights_sha256, w.parameters, m.format, m.architecture_sha256,
               m.weights_sha256 AS model_weights_sha256, coalesce(n.name, '') AS name
        FROM weighted w
        JOIN (SELECT DISTINCT ON (model_sha256) * FROM models ORDER BY model_sha256) m
            ON m.model_sha256 = w.model_sha256 AND m.kind = 'model'
        LEFT JOIN model_names n ON n.model_sha256 = w.model_sha256
        WHERE w.model_sha256 IN (
            SELECT model_sha256 FROM weighted JOIN shared USING (weights_sha256)
        )
        ORDER BY w.model_sha256, w.graph, w.position
    """  # noqa: S608
    empty = (
        "No two models of this study share trained layers, or no model was read yet. Files that hold "
        "the same network and weights are not siblings."
    )
    limit = 1_000_000
    """Layers of models that share any; a study with more is traced in part, and the caption says so."""

    def derive(self, frame: Frame) -> Frame:
        """Pairs, from the layers that models share."""
        rows = zip(
            frame.labels("model_sha256"),
            frame.texts("weights_sha256"),
            frame.integers("parameters"),
            frame.texts("format"),
            frame.texts("architecture_sha256"),
            frame.texts("model_weights_sha256"),
            frame.labels("name"),
            strict=True,
        )
        models: dict[str, ModelRecord] = {}
        layers: list[LayerRecord] = []
        called: dict[str, str] = {}
        for position, row in enumerate(rows):
            model, digest, parameters, form, architecture, weights, name = row
            called[model] = name
            if model not in models:
                models[model] = _model(model, form, architecture, weights)
            layers.append(_layer(model, position, digest, parameters or 0))
        siblings = trace(models.values(), layers).siblings
        return Frame.made(
            {
                "first": [pair.first for pair in siblings],
                "first_name": [called[pair.first] for pair in siblings],
                "second": [pair.second for pair in siblings],
                "second_name": [called[pair.second] for pair in siblings],
            },
            {
                "shared_layers": [pair.shared_layers for pair in siblings],
                "first_layers": [pair.first_layers for pair in siblings],
                "second_layers": [pair.second_layers for pair in siblings],
                "share_percent": [100 * pair.share for pair in siblings],
                "cut": [float(len(frame) < frame.total) for _ in siblings],
            },
        )

    def table(self, frame: Frame) -> Table:
        """One row a pair, the closest first."""
        return Table(
            columns=(
                names("Model", frame.texts("first_name")),
                digests("SHA-256", frame.texts("first")),
                names("Sibling", frame.texts("second_name")),
                digests("Sibling's SHA-256", frame.texts("second")),
                numbers("Shared layers", frame.reals("shared_layers")),
                numbers("Model's layers", frame.reals("first_layers")),
                numbers("Sibling's layers", frame.reals("second_layers")),
                numbers("Shared, %", frame.reals("share_percent"), _percent),
            )
        )

    def caption(self, frame: Frame, summary: Summary) -> str:
        """The rule, after whom."""
        models = len({*frame.texts("first"), *frame.texts("second")})
        cut = (
            " Not all layers of this large study were compared." if any(frame.reals("cut")) else ""
        )
        return (
            f"n = {_text.plural(frame.total, 'pair')} of {models:,} among "
            f"{_text.plural(summary.models, 'distinct model')}. Layers are equal when their weights "
            f"are, byte for byte; layers with fewer than {SMALLEST_LAYER} parameters do not count. "
            f"Siblings share at least {100 * SHARED_LAYERS:.0f} % of the layers of the model that has "
            f"more, or differ in at most {DIFFERENT_LAYERS}. Of large families not every pair is "
            f"listed.{cut}"
        )


def _model(
    sha256: str, form: str | None, architecture: str | None, weights: str | None
) -> ModelRecord:
    return ModelRecord(
        model_sha256=sha256,
        kind=FileKind.MODEL,
        format=form,
        size_bytes=0,
        architecture_sha256=architecture,
        weights_sha256=weights,
    )


def _layer(model: str, position: int, weights: str | None, parameters: int) -> LayerRecord:
    return LayerRecord(
        model_sha256=model,
        graph=0,
        position=position,
        name="",
        operator="",
        source_operator="",
        macs=None,
        flops=None,
        elementwise_operations=None,
        parameters=parameters,
        weights_bytes=0,
        output_shape=None,
        output_bytes=None,
        weights_sha256=weights,
    )


def _percent(value: float | None) -> str:
    return _text.NOTHING if value is None else f"{value:.1f}"
