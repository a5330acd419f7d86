"""Multiply-accumulates of the operators that have any.

The formulas need no layout: a convolution's MACs are output positions times weights, a transposed one's
input positions times weights.
"""

import math
from collections.abc import Callable, Sequence

from gaugenn.analysis._node_view import (
    MICROSOFT_DOMAIN,
    NodeView,
    Shape,
    UnknownShapeError,
    check,
    elements,
    floor_div,
    wrap,
)
from gaugenn.analysis._shapes_matrix import (
    BLOCKWISE,
    GATES,
    PRODUCTS,
    einsum_terms,
    factors,
    linear_attention_sizes,
)
from gaugenn.analysis._shapes_spatial import CONVOLUTION_WEIGHTS, TRANSPOSED
from gaugenn.graph import Tensor

Formula = Callable[[NodeView, Sequence[Shape | None]], int]
"""MACs of a node, given the shapes of its outputs; leaves by UnknownShapeError."""


def _known(outputs: Sequence[Shape | None]) -> Shape:
    if not outputs or outputs[0] is None:
        raise UnknownShapeError("the output's shape is unknown")
    return outputs[0]


def _convolution(view: NodeView, outputs: Sequence[Shape | None]) -> int:
    """Batch x output positions x weights; a weight matrix of a wrong size is not counted."""
    result, weights = _known(outputs), view.shape(CONVOLUTION_WEIGHTS[view.kind])
    channels = result[view.channel_axis(len(result))]
    _check_weights(view, channels, weights)
    return floor_div(elements(result), channels) * elements(weights) if elements(result) else 0


def _check_weights(view: NodeView, channels: int, weights: Shape) -> None:
    data, kernel = view.optional_shape(0), view.ints("kernel_shape")
    if data is None or kernel is None or len(data) < 3:
        return
    group = max(1, view.integer("group", 1))
    expected = channels * (data[view.channel_axis(len(data))] // group) * elements(check(kernel))
    if elements(weights) != expected:
        raise UnknownShapeError(f"{elements(weights)} weights where {expected} are needed")


def _transposed_convolution(view: NodeView, outputs: Sequence[Shape | None]) -> int:
    data, weights = view.shape(0), view.shape(CONVOLUTION_WEIGHTS[view.kind])
    channels = data[view.channel_axis(len(data))]
    del outputs
    return floor_div(elements(data), channels) * elements(weights) if elements(data) else 0


def _product(view: NodeView, outputs: Sequence[Shape | None]) -> int:
    _, right = factors(view)
    depth = right[-2] if len(right) > 1 else elements(right)
    return elements(_known(outputs)) * depth


def _blockwise(view: NodeView, outputs: Sequence[Shape | None]) -> int:
    del outputs
    return elements(view.shape(0)) * view.required("N")[0]


def _einsum(view: NodeView, outputs: Sequence[Shape | None]) -> int:
    terms, result, sizes = einsum_terms(view)
    labels = {label for term in terms for label in term}
    if labels <= set(result) or len(terms) < 2:
        return 0  # nothing is summed over, or nothing multiplied
    del outputs
    return math.prod(elements(sizes[label]) for label in labels) * (len(terms) - 1)


def _recurrent(view: NodeView, outputs: Sequence[Shape | None]) -> int:
    """Steps x batch x weights; the weights hold every gate and direction."""
    data = view.shape(0)
    if not data or not view.has(1):
        return _gatewise(view, outputs)
    matrices = [view.shape(1), view.shape(2)]
    if view.has(8) and len(view.shape(8)) == 3:
        matrices.append(view.shape(8))  # ncnn's projection, after ONNX's own inputs
    return floor_div(elements(data), data[-1]) * sum(map(elements, matrices))


def _gatewise(view: NodeView, outputs: Sequence[Shape | None]) -> int:
    """Recurrent layers whose every gate has its own matrices; vectors are biases and peepholes."""
    data = view.shape(0)
    matrices = [
        shape
        for shape, fixed in zip(view.shapes[1:], view.fixed[1:], strict=True)
        if fixed and shape is not None and len(shape) == 2
    ]
    if not matrices or not data:
        raise UnknownShapeError("no weight matrix")
    del outputs
    return floor_div(elements(data), data[-1]) * sum(map(elements, matrices))


def _low_rank_filter(view: NodeView, outputs: Sequence[Shape | None]) -> int:
    """SVDF: a filter over features, then one over time, per step."""
    del outputs
    return view.shape(0)[0] * (elements(view.shape(1)) + elements(view.shape(2)))


def scores(batch_heads: int, queries: int, keys: int, width: int, value_width: int) -> int:
    """Dense attention: every query with every key, then the weighted sum of values."""
    return batch_heads * queries * keys * (width + value_width)


def _attention(view: NodeView, outputs: Sequence[Shape | None]) -> int:
    if view.node.domain == MICROSOFT_DOMAIN:
        return _projected_attention(view, outputs)
    query, key, value = view.shape(0), view.shape(1), view.shape(2)
    past = view.optional_shape(4)
    length = past[-2] if past else 0
    if len(query) == 4:
        return scores(query[0] * query[1], query[2], key[2] + length, query[3], value[3])
    heads = view.integer("q_num_heads", 1)
    width = floor_div(value[2], view.integer("kv_num_heads", heads))
    return scores(query[0] * heads, query[1], key[1] + length, floor_div(query[2], heads), width)


def _projected_attention(view: NodeView, outputs: Sequence[Shape | None]) -> int:
    data, weights = view.shape(0), view.shape(1)
    projections = floor_div(elements(data), data[-1]) * elements(weights)
    present = outputs[1] if len(outputs) > 1 and outputs[1] is not None else None
    past = view.optional_shape(8 if view.kind == "QAttention" else 4)
    length = present[3] if present else data[1] + (past[3] if past and len(past) == 5 else 0)
    return projections + data[0] * data[1] * length * floor_div(2 * weights[-1], 3)


def _multi_head_attention(view: NodeView, outputs: Sequence[Shape | None]) -> int:
    query, key = view.shape(0), view.optional_shape(1)
    result = _known(outputs)
    past = view.optional_shape(6)
    length = past[2] if past and len(past) == 4 else 0
    if len(query) == 5:
        width, length = query[2] * query[4], length + query[1]
    else:
        source = key or query
        width = query[-1]
        length += source[2] if len(source) == 4 else source[1]
    return query[0] * query[1] * length * (width + result[-1])


def _group_query_attention(view: NodeView, outputs: Sequence[Shape | None]) -> int:
    result, query = _known(outputs), view.shape(0)
    past = view.optional_shape(3)
    length = query[1] + (past[2] if past and len(past) == 4 else 0)
    return result[0] * result[1] * length * 2 * result[2]


def _linear_model(view: NodeView, outputs: Sequence[Shape | None]) -> int:
    """Linear models multiply with coefficients, support-vector machines with their vectors."""
    data = view.shape(0)
    rows = data[0] if len(data) > 1 else 1
    for name in ("support_vectors", "coefficients"):
        value = view.node.attributes.get(name)
        if isinstance(value, tuple) and value:
            return rows * len(value)
        if isinstance(value, Tensor) and value.elements:
            return rows * value.elements
    del outputs
    raise UnknownShapeError("no coefficients")


def _causal_convolution(view: NodeView, outputs: Sequence[Shape | None]) -> int:
    return elements(_known(outputs)) * view.shape(1)[-1]


def _linear_attention(view: NodeView, outputs: Sequence[Shape | None]) -> int:
    """Per position and head: the state gains an outer product and is read; delta rules read twice."""
    heads, key_heads, width, value_width = linear_attention_sizes(view)
    reads = 2 if "delta" in view.text("update_rule", "gated_delta") else 1
    del outputs
    return elements(view.shape(0)[:-1]) * (key_heads * reads + heads) * width * value_width


def _general_product(view: NodeView, outputs: Sequence[Shape | None]) -> int:
    left = view.shape(0)
    axes = [wrap(axis, len(left)) for axis in view.ints("lhs_contracting_dimensions") or ()]
    return elements(_known(outputs)) * math.prod(left[axis] for axis in axes)


def _general_convolution(view: NodeView, outputs: Sequence[Shape | None]) -> int:
    result = _known(outputs)
    channels = result[wrap(view.integer("output_feature_dimension", 0), len(result))]
    return floor_div(elements(result), channels) * elements(view.shape(1))


def _whole_attention(view: NodeView, outputs: Sequence[Shape | None]) -> int:
    """Ncnn's MultiHeadAttention: blobs, then weights and biases of query, key, value and output."""
    blobs = [s for s, fixed in zip(view.shapes, view.fixed, strict=True) if s and not fixed]
    matrices = [
        s for s, fixed in zip(view.shapes, view.fixed, strict=True) if s and fixed and len(s) == 2
    ]
    if not blobs or len(matrices) < 4:
        raise UnknownShapeError("attention without its four weight matrices")
    query = blobs[0]
    key = blobs[1] if len(blobs) > 1 else query
    value = blobs[2] if len(blobs) > 2 else key
    rows = [math.prod(shape[:-1]) for shape in (query, key, value, query)]
    projections = sum(r * elements(m) for r, m in zip(rows, matrices[:4], strict=True))
    del outputs
    return projections + rows[0] * rows[1] * (matrices[0][0] + matrices[2][0])


FORMULAS: dict[str, Formula] = {
    **{
        name: _transposed_convolution if name in TRANSPOSED else _convolution
        for name in CONVOLUTION_WEIGHTS
    },
    **dict.fromkeys(PRODUCTS, _product),
    **dict.fromkeys(BLOCKWISE, _blockwise),
    "Einsum": _einsum,
    **dict.fromkeys(GATES, _recurrent),
    "Attention": _attention,
    "FlexAttention": _attention,
    "QAttention": _projected_attention,
    "MultiHeadAttention": _multi_head_attention,
    "DecoderMaskedMultiHeadAttention": _multi_head_attention,
    "GroupQueryAttention": _group_query_attention,
    "LinearAttention": _linear_attention,
    "CausalConvWithState": _causal_convolution,
    **dict.fromkeys(
        ("LinearClassifier", "LinearRegressor", "SVMClassifier", "SVMRegressor"), _linear_model
    ),
}
"""Formulas by ONNX operator name, ONNX Runtime's own operators included."""

SOURCE_FORMULAS: dict[str, Formula] = {
    **dict.fromkeys(
        (
            *("LSTM", "UNIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_LSTM"),
            *("RNN", "UNIDIRECTIONAL_SEQUENCE_RNN", "BIDIRECTIONAL_SEQUENCE_RNN"),
        ),
        _gatewise,
    ),
    "SVDF": _low_rank_filter,
    "STABLEHLO_DOT_GENERAL": _general_product,
    "STABLEHLO_CONVOLUTION": _general_convolution,
    "MultiHeadAttention": _whole_attention,
}
"""Formulas by source operator, for operators without an ONNX counterpart."""
