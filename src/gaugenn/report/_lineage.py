"""The relations between a study's models: one query for all figures about them, and its tracing."""

from collections.abc import Mapping
from dataclasses import dataclass

from gaugenn.analysis.lineage import SMALLEST_LAYER, Lineage, trace
from gaugenn.records import FileKind, LayerRecord, ModelRecord, QuantizationScheme
from gaugenn.report._census import APPS, MODELS
from gaugenn.report._frame import Frame

MODELS_WITH_LAYERS = f"""
    WITH weighted AS (
        SELECT DISTINCT ON (model_sha256, graph, position)
               model_sha256, graph, position, weights_sha256, weights_values_sha256
        FROM layers WHERE parameters >= {SMALLEST_LAYER}
        ORDER BY model_sha256, graph, position
    ),
    shared AS (
        SELECT digest FROM (
            SELECT model_sha256, weights_sha256 AS digest FROM weighted
            UNION ALL SELECT model_sha256, weights_values_sha256 FROM weighted
        ) WHERE digest IS NOT NULL GROUP BY digest HAVING count(DISTINCT model_sha256) > 1
    ),
    layer AS (
        SELECT model_sha256, count(weights_sha256) AS weighted_layers,
               count(weights_values_sha256) AS valued_layers,
               bool_or(weights_sha256 IN (SELECT digest FROM shared)
                       OR weights_values_sha256 IN (SELECT digest FROM shared)) AS shares,
               list(weights_sha256 ORDER BY graph, position)
                   FILTER (weights_sha256 IS NOT NULL) AS weights,
               list(weights_values_sha256 ORDER BY graph, position)
                   FILTER (weights_values_sha256 IS NOT NULL) AS weights_values
        FROM weighted GROUP BY model_sha256
    ),
    place AS (
        SELECT model_sha256, count(*) AS instances, count(DISTINCT app_sha256) AS apps
        FROM instances JOIN {APPS} USING (app_sha256) GROUP BY model_sha256
    )
    SELECT m.model_sha256, coalesce(n.name, '') AS name, m.format, m.quantization,
           m.architecture_sha256, m.weights_sha256, coalesce(p.instances, 0) AS instances,
           coalesce(p.apps, 0) AS apps, coalesce(l.weighted_layers, 0) AS weighted_layers,
           coalesce(l.valued_layers, 0) AS valued_layers,
           CASE WHEN l.shares THEN l.weights END AS weights,
           CASE WHEN l.shares THEN l.weights_values END AS weights_values
    FROM {MODELS} m
    LEFT JOIN model_names n USING (model_sha256) LEFT JOIN layer l USING (model_sha256)
    LEFT JOIN place p USING (model_sha256)
    ORDER BY apps DESC, m.model_sha256
"""  # noqa: S608 - our own text
"""One row a distinct model, those in most apps first; the digests of its layers where another model has
one of them, too."""

MOST_MODELS = 20_000
"""Models that are traced; a study with more is traced in part, and the captions say so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """A study's models and how they hang together.

    Attributes:
        models: by digest, as far as tracing needs them.
        names: of each model.
        apps: app packages that hold each model.
        lineage: what was found.
    """

    models: Mapping[str, ModelRecord]
    names: Mapping[str, str]
    apps: Mapping[str, int]
    lineage: Lineage


def traced(frame: Frame) -> Traced:
    """Traces the rows of `MODELS_WITH_LAYERS`."""
    rows = zip(
        frame.labels("model_sha256"),
        frame.labels("name"),
        frame.texts("format"),
        frame.texts("quantization"),
        frame.texts("architecture_sha256"),
        frame.texts("weights_sha256"),
        frame.integers("apps"),
        frame.text_lists("weights"),
        frame.text_lists("weights_values"),
        strict=True,
    )
    models: dict[str, ModelRecord] = {}
    names: dict[str, str] = {}
    apps: dict[str, int] = {}
    layers: list[LayerRecord] = []
    for model, name, form, scheme, architecture, weights, places, digests, values in rows:
        names[model], apps[model] = name, places or 0
        models[model] = ModelRecord(
            model_sha256=model,
            kind=FileKind.MODEL,
            format=form,
            size_bytes=0,
            architecture_sha256=architecture,
            weights_sha256=weights,
            quantization=None if scheme is None else QuantizationScheme(scheme),
        )
        layers += (_layer(model, weights_sha256=digest) for digest in digests)
        layers += (_layer(model, weights_values_sha256=digest) for digest in values)
    lineage = trace(models.values(), layers)
    return Traced(models=models, names=names, apps=apps, lineage=lineage)


def _layer(
    model: str, *, weights_sha256: str | None = None, weights_values_sha256: str | None = None
) -> LayerRecord:
    return LayerRecord(
        model_sha256=model,
        graph=0,
        position=0,
        name="",
        operator="",
        source_operator="",
        macs=None,
        flops=None,
        elementwise_operations=None,
        parameters=SMALLEST_LAYER,
        weights_bytes=0,
        output_shape=None,
        output_bytes=None,
        weights_sha256=weights_sha256,
        weights_values_sha256=weights_values_sha256,
    )
