"""Figures over pairs of models that have layers in common: the query, the tracing, the columns."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from gaugenn.analysis.lineage import SMALLEST_LAYER, Lineage, Sibling, trace
from gaugenn.records import FileKind, LayerRecord, ModelRecord, QuantizationScheme
from gaugenn.report import _text
from gaugenn.report._contract import Figure, Section
from gaugenn.report._frame import Frame
from gaugenn.report._table import Table, digests, names, numbers


def layers_in_common(column: str) -> str:
    """The layers of every model that shares the digest of one with another model.

    Args:
        column: of `layers`, the digest that is compared.
    """
    return f"""
        WITH weighted AS (
            SELECT DISTINCT ON (model_sha256, graph, position)
                   model_sha256, graph, position, {column} AS digest, parameters
            FROM layers WHERE {column} IS NOT NULL AND parameters >= {SMALLEST_LAYER}
            ORDER BY model_sha256, graph, position
        ),
        shared AS (
            SELECT digest FROM weighted GROUP BY digest HAVING count(DISTINCT model_sha256) > 1
        )
        SELECT w.model_sha256, w.digest, w.parameters, m.format, m.quantization,
               m.architecture_sha256, m.weights_sha256 AS model_weights_sha256,
               coalesce(n.name, '') AS name
        FROM weighted w
        JOIN (SELECT DISTINCT ON (model_sha256) * FROM models ORDER BY model_sha256) m
            ON m.model_sha256 = w.model_sha256 AND m.kind = 'model'
        LEFT JOIN model_names n ON n.model_sha256 = w.model_sha256
        WHERE w.model_sha256 IN (SELECT model_sha256 FROM weighted JOIN shared USING (digest))
        ORDER BY w.model_sha256, w.graph, w.position
    """  # noqa: S608


class ModelPairs(Figure):
    """One row a pair of models. What a pair is, the subclass says."""

    section = Section.BUILT
    limit = 1_000_000
    """Layers of models that share any; a study with more is traced in part, and the caption says so."""
    by_values: ClassVar[bool]
    """Whether layers are compared by the values of their weights, not by their bytes."""
    other: ClassVar[str]
    """What the second model of a pair is called."""

    @abstractmethod
    def pairs(self, lineage: Lineage) -> Sequence[Sibling]:
        """The pairs to show."""

    def derive(self, frame: Frame) -> Frame:
        """Pairs, from the layers that models share."""
        rows = zip(
            frame.labels("model_sha256"),
            frame.texts("digest"),
            frame.integers("parameters"),
            frame.texts("format"),
            frame.texts("quantization"),
            frame.texts("architecture_sha256"),
            frame.texts("model_weights_sha256"),
            frame.labels("name"),
            strict=True,
        )
        models: dict[str, ModelRecord] = {}
        layers: list[LayerRecord] = []
        called: dict[str, str] = {}
        for position, row in enumerate(rows):
            model, digest, parameters, form, scheme, architecture, weights, name = row
            called[model] = name
            if model not in models:
                models[model] = ModelRecord(
                    model_sha256=model,
                    kind=FileKind.MODEL,
                    format=form,
                    size_bytes=0,
                    architecture_sha256=architecture,
                    weights_sha256=weights,
                    quantization=None if scheme is None else QuantizationScheme(scheme),
                )
            layers.append(self._layer(model, position, digest, parameters or 0))
        found = self.pairs(trace(models.values(), layers))
        return Frame.made(
            {
                "first": [pair.first for pair in found],
                "first_name": [called[pair.first] for pair in found],
                "first_format": [models[pair.first].format or "" for pair in found],
                "second": [pair.second for pair in found],
                "second_name": [called[pair.second] for pair in found],
                "second_format": [models[pair.second].format or "" for pair in found],
            },
            {
                "shared_layers": [pair.shared_layers for pair in found],
                "first_layers": [pair.first_layers for pair in found],
                "second_layers": [pair.second_layers for pair in found],
                "share_percent": [100 * pair.share for pair in found],
                "cut": [float(len(frame) < frame.total) for _ in found],
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
                numbers("Shared, %", frame.reals("share_percent"), _percent),
            )
        )

    def compared(self, frame: Frame) -> str:
        """What was left out of the comparison, for the caption."""
        cut = (
            " Not all layers of this large study were compared." if any(frame.reals("cut")) else ""
        )
        return (
            f"Layers with fewer than {SMALLEST_LAYER} parameters do not count. Of large families not "
            f"every pair is listed.{cut}"
        )

    def _layer(self, model: str, position: int, digest: str | None, parameters: int) -> LayerRecord:
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
            weights_sha256=None if self.by_values else digest,
            weights_values_sha256=digest if self.by_values else None,
        )


def models_of(frame: Frame) -> str:
    """How many pairs of how many models, for the caption."""
    models = len({*frame.texts("first"), *frame.texts("second")})
    return f"n = {_text.plural(frame.total, 'pair')} of {models:,} among "


def _percent(value: float | None) -> str:
    return _text.NOTHING if value is None else f"{value:.1f}"
