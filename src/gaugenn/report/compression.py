"""How many models are quantised, clustered or sparse."""

from gaugenn.report import _text
from gaugenn.report._contract import Section
from gaugenn.report._frame import Frame
from gaugenn.report._shares import SHARE_INTERVAL
from gaugenn.report._statements import Statements
from gaugenn.report._summary import Summary


class Compression(Statements):
    """One row a statement, with what it is a share of."""

    section = Section.COSTS
    order = 325
    title = "Compression"
    question = "How many models are quantised, clustered or sparse?"
    query = """
        WITH m AS (
            SELECT DISTINCT ON (model_sha256) * FROM models
            WHERE kind = 'model' ORDER BY model_sha256
        ),
        shares AS (
            SELECT 1 AS place, 'quantised: ' || scheme AS statement,
                   count(*) FILTER (quantization = scheme) AS part, count(quantization) AS whole,
                   'models with weights' AS denominator
            FROM m, (SELECT unnest(['float16', 'weight-only', 'dynamic-range', 'qdq',
                                    'full-integer']) AS scheme)
            GROUP BY scheme
            UNION ALL SELECT 2, 'weights quantised ' || replace(grain, '_', ' '),
                   count(*) FILTER (list_contains(quantization_granularities, grain)),
                   count(quantization), 'models with weights'
            FROM m, (SELECT unnest(['per_tensor', 'per_axis', 'per_block']) AS grain)
            GROUP BY grain
            UNION ALL SELECT 3, 'weights of 4 bits or fewer',
                   count(*) FILTER (len(list_filter(weight_elements, lambda e:
                       e.dtype IN ('int4', 'uint4', 'int2', 'uint2', 'float4_e2m1fn'))) > 0),
                   count(quantization), 'models with weights' FROM m
            UNION ALL SELECT 4, 'dequantise operators', count(*) FILTER (dequantize_nodes > 0),
                   count(dequantize_nodes), 'models' FROM m
            UNION ALL SELECT 5, 'clustered weights', count(*) FILTER (clustered_tensors > 0),
                   count(*) FILTER (tensors_examined > 0), 'models with large float weights' FROM m
            UNION ALL SELECT 6, 'names left by ' || tool,
                   count(*) FILTER (list_contains(compression_traces, trace)),
                   count(compression_traces), 'models'
            FROM m, (SELECT unnest(['clustering', 'pruning']) AS tool,
                            unnest(['cluster_', 'prune_']) AS trace) GROUP BY tool
            UNION ALL SELECT 7, 'at least half of the weights zero',
                   count(*) FILTER (2 * zero_weights >= weights_examined AND weights_examined > 0),
                   count(*) FILTER (weights_examined > 0), 'models with values of weights' FROM m
            UNION ALL SELECT 8, 'weights that are exactly zero', coalesce(sum(zero_weights), 0),
                   coalesce(sum(weights_examined), 0), 'weights with values' FROM m
            UNION ALL SELECT 9, 'weights of at most 1e-9', coalesce(sum(near_zero_weights), 0),
                   coalesce(sum(weights_examined), 0), 'weights with values' FROM m
        )
        SELECT statement, CAST(part AS BIGINT) AS part, CAST(whole AS BIGINT) AS whole,
               denominator
        FROM shares WHERE whole > 0 ORDER BY place, statement
    """
    empty = "No model with weights was read yet, so nothing is known of their compression."

    def caption(self, frame: Frame, summary: Summary) -> str:  # noqa: ARG002
        """What the words mean."""
        return (
            f"n = {_text.plural(summary.models, 'distinct model')}; each share names its own "
            "denominator. Clustered: a tensor of at least 4,096 floats in a convolution or product "
            "with 2 to 256 distinct values, which floats that were integers before have, too. "
            "Zeros of quantised weights are those at the zero point. Models without the values of "
            "their weights, and those stored by a version that did not look, are left out. "
            f"{SHARE_INTERVAL} Single weights are no sample of their own: the intervals of the "
            "last two rows are too narrow."
        )
