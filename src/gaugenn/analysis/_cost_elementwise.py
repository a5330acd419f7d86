"""Operations that are not multiply-accumulates: activations, arithmetic, normalisation, pooling.

What counts as one operation: an addition, subtraction, multiplication, division, comparison, or one
evaluation of a function such as exp, log, tanh, erf, sqrt or a power. A sigmoid is thus 4 (negate,
exp, add, divide). Moving, indexing, converting and (de)quantising elements counts nothing; what it
costs is the bytes moved. Sorting counts one comparison an element, a lower bound.
"""

import math
from collections.abc import Callable, Container, Sequence

from gaugenn.analysis._node_view import (
    NodeView,
    Shape,
    UnknownShapeError,
    elements,
    kind_of,
    source_kind,
)
from gaugenn.analysis._operation_counts import (
    FREE,
    PER_INPUT,
    PER_OUTPUT,
    SOURCE_FREE,
    SOURCE_PER_INPUT,
    SOURCE_PER_OUTPUT,
    WINDOWED,
)
from gaugenn.analysis._shapes_matrix import BLOCKWISE, GATES, PRODUCTS, recurrent_sizes
from gaugenn.analysis._shapes_spatial import CONVOLUTION_WEIGHTS, kernel_of
from gaugenn.analysis._trees import tree_operations
from gaugenn.graph import Node

_BIAS: dict[str, int] = {
    **dict.fromkeys(CONVOLUTION_WEIGHTS, 2),
    **dict.fromkeys(("QLinearConv", "QLinearConvTranspose"), 8),
    "DeformConv": 3,
    **dict.fromkeys(("Gemm", "FusedGemm", "MatMul"), 2),
    "QGemm": 6,
    **dict.fromkeys(BLOCKWISE, 5),
    "DynamicQuantizeMatMul": 4,
    "MatMulIntegerToFloat": 6,
}
"""Where the operators that add a bias to every output element have it."""

_PER_UNIT = {"LSTM": 26, "DynamicQuantizeLSTM": 26, "GRU": 19, "RNN": 3}
"""Operations per hidden unit and step: LSTM 4 gates with 2 additions each, 3 sigmoids and 2 tanh, then
3 products and 1 sum; GRU 3 gates, 2 sigmoids, 1 tanh, 4 to mix; RNN 2 additions and a tanh."""

Count = Callable[[NodeView, Sequence[Shape | None]], int]


def elementwise_operations(view: NodeView, outputs: Sequence[Shape | None]) -> int | None:
    """Operations of a node beside its MACs, or None where they are unknown.

    Args:
        view: the node.
        outputs: the shapes of its outputs.
    """
    try:
        own = _own(view, outputs) if view.kind else _own_source(view, outputs)
        return None if own is None else own + _fused(view, outputs)
    except UnknownShapeError:
        return None


def is_known(node: Node) -> bool:
    """Whether it is known what a node does beside MACs."""
    kind = kind_of(node)
    tables: tuple[Container[str], ...] = (FREE, _SPECIAL, PER_OUTPUT, PER_INPUT, WINDOWED, _BIAS)
    if kind:
        return any(kind in table for table in (*tables, PRODUCTS, CONVOLUTION_WEIGHTS))
    tables = (SOURCE_FREE, SOURCE_PER_OUTPUT, SOURCE_PER_INPUT, _SOURCE_SPECIAL)
    name = source_kind(node)
    return not node.domain and any(name in table for table in tables)


def _first(outputs: Sequence[Shape | None]) -> int:
    if not outputs or outputs[0] is None:
        raise UnknownShapeError("the output's shape is unknown")
    return elements(outputs[0])


def _fused(view: NodeView, outputs: Sequence[Shape | None]) -> int:
    activation = view.text("fused_activation") or view.text("activation")
    if not activation:
        return 0
    return PER_OUTPUT.get(activation, 1) * _first(outputs)


def _own(view: NodeView, outputs: Sequence[Shape | None]) -> int | None:
    name = view.kind
    if name in FREE:
        return 0
    if name in _SPECIAL:
        return _SPECIAL[name](view, outputs)
    if name in PER_OUTPUT:
        return PER_OUTPUT[name] * _first(outputs)
    if name in PER_INPUT:
        return PER_INPUT[name] * elements(view.shape(0))
    if name in WINDOWED:
        return WINDOWED[name] * elements(kernel_of(view)) * _first(outputs)
    if name in _BIAS:
        return _first(outputs) if view.has(_BIAS[name]) else 0
    return 0 if name in PRODUCTS or name in CONVOLUTION_WEIGHTS else None


def _own_source(view: NodeView, outputs: Sequence[Shape | None]) -> int | None:
    name = source_kind(view.node)
    if view.node.domain:
        return None
    if name in SOURCE_FREE:
        return 0
    if name in _SOURCE_SPECIAL:
        return _SOURCE_SPECIAL[name](view, outputs)
    if name in SOURCE_PER_OUTPUT:
        return SOURCE_PER_OUTPUT[name] * _first(outputs)
    if name in SOURCE_PER_INPUT:
        return SOURCE_PER_INPUT[name] * elements(view.shape(0))
    return None


def _variadic(view: NodeView, outputs: Sequence[Shape | None]) -> int:
    return max(1, sum(map(view.has, range(len(view.node.inputs)))) - 1) * _first(outputs)


def _mean(view: NodeView, outputs: Sequence[Shape | None]) -> int:
    return sum(map(view.has, range(len(view.node.inputs)))) * _first(outputs)


def _local_response(view: NodeView, outputs: Sequence[Shape | None]) -> int:
    return (view.integer("size", 5) + 5) * _first(outputs)


def _resize(view: NodeView, outputs: Sequence[Shape | None]) -> int:
    """Per output element 2 points a resized dimension (4 for cubic): a product each, and the sum."""
    mode = view.text("mode", "nearest")
    points = {"linear": 2, "bilinear": 2, "cubic": 4}.get(mode)
    result = outputs[0] if outputs else None
    if points is None or result is None:
        return 0
    resized = sum(a != b for a, b in zip(view.shape(0), result, strict=True))
    return (2 * points**resized - 1) * elements(result) if resized else 0


def _sampled(view: NodeView, outputs: Sequence[Shape | None]) -> int:
    """Bilinear sampling at given places: 4 products and 3 sums."""
    del view
    return 7 * _first(outputs)


def _transform(view: NodeView, outputs: Sequence[Shape | None]) -> int:
    """A Fourier transform of n points counts 5 n log2 n, of real ones half.

    **Source:** http://www.fftw.org/speed/method.html
    """
    result = outputs[0] if outputs else None
    if result is None or len(result) < 2:
        raise UnknownShapeError("the output's shape is unknown")
    is_complex = result[-1] == 2 and view.kind not in ("", "Irfft")
    bins = result[-2] if is_complex else result[-1]
    points = max(2, 2 * (bins - 1) if view.flag("onesided") else bins)
    transforms = elements(result[:-2]) if is_complex else elements(result[:-1])
    return math.ceil(2.5 * points * math.log2(points)) * transforms


def _recurrent(view: NodeView, outputs: Sequence[Shape | None]) -> int:
    del outputs
    per_unit = _PER_UNIT[view.kind]
    if not view.has(1):
        return _gatewise(view, per_unit)
    steps, batch, directions, hidden = recurrent_sizes(view)
    return per_unit * steps * batch * directions * hidden


def _gatewise(view: NodeView, per_unit: int) -> int:
    data = view.shape(0)
    directions = 2 if view.text("direction") == "bidirectional" else 1
    return per_unit * directions * elements(data[:-1]) * view.required("hidden_size")[0]


def _recurrent_source(view: NodeView, outputs: Sequence[Shape | None]) -> int:
    del outputs
    return _gatewise(view, 26 if "LSTM" in view.node.source_operator else 3)


def _attention(view: NodeView, outputs: Sequence[Shape | None]) -> int:
    """Scaling and softmax of the scores: 6 per pair of positions, at least the output's elements."""
    query = view.shape(0)
    heads = view.integer("num_heads", view.integer("q_num_heads", 1))
    lengths = [query[-2]]
    key = view.optional_shape(1)
    present = outputs[1] if len(outputs) > 1 else None
    lengths.append(present[-2] if present and len(present) > 2 else key[-2] if key else query[-2])
    groups = elements(query[:-2]) if len(query) == 4 else query[0] * heads
    return 6 * groups * math.prod(lengths)


def _filter(view: NodeView, outputs: Sequence[Shape | None]) -> int:
    """SVDF adds its bias."""
    return _first(outputs) if view.has(3) else 0


def _add_all(view: NodeView, outputs: Sequence[Shape | None]) -> int:
    del outputs
    return elements(view.shape(0))


def _determinant(view: NodeView, outputs: Sequence[Shape | None]) -> int:
    """An LU decomposition: 2/3 n^3 operations."""
    data = view.shape(0)
    del outputs
    return elements(data[:-2]) * -(-2 * data[-1] ** 3 // 3)


def _square_pool(view: NodeView, outputs: Sequence[Shape | None]) -> int:
    window = view.integer("filter_height", 1) * view.integer("filter_width", 1)
    return 2 * window * _first(outputs)


def _none(view: NodeView, outputs: Sequence[Shape | None]) -> int:
    del view, outputs
    return 0


def _trees(view: NodeView, outputs: Sequence[Shape | None]) -> int:
    """A comparison a level of every tree, and a sum a tree; per row."""
    data = view.shape(0)
    rows = data[0] if len(data) > 1 else 1
    del outputs
    return rows * tree_operations(view.node)


_SPECIAL: dict[str, Count] = {
    **dict.fromkeys(("Sum", "Max", "Min"), _variadic),
    "Mean": _mean,
    "LRN": _local_response,
    **dict.fromkeys(("Resize", "Upsample"), _resize),
    **dict.fromkeys(("GridSample", "RoiAlign", "CropAndResize"), _sampled),
    **dict.fromkeys(("MaxRoiPool", "Col2Im"), _add_all),
    **dict.fromkeys(("DFT", "STFT", "Rfft", "Irfft"), _transform),
    **dict.fromkeys(GATES, _recurrent),
    **dict.fromkeys(
        (
            *("Attention", "FlexAttention", "QAttention", "MultiHeadAttention"),
            *("DecoderMaskedMultiHeadAttention", "GroupQueryAttention"),
        ),
        _attention,
    ),
    "Det": _determinant,
    **dict.fromkeys(("TreeEnsembleClassifier", "TreeEnsembleRegressor", "TreeEnsemble"), _trees),
    **dict.fromkeys(
        (
            *("Einsum", "LinearClassifier", "LinearRegressor", "SVMClassifier", "SVMRegressor"),
            *("CausalConvWithState", "LinearAttention"),
        ),
        _none,
    ),
}

_SOURCE_SPECIAL: dict[str, Count] = {
    **dict.fromkeys(
        (
            *("LSTM", "UNIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_LSTM"),
            *("RNN", "UNIDIRECTIONAL_SEQUENCE_RNN", "BIDIRECTIONAL_SEQUENCE_RNN"),
        ),
        _recurrent_source,
    ),
    "RFFT2D": _transform,
    "Spectrogram": _transform,
    "SVDF": _filter,
    "L2_POOL_2D": _square_pool,
    "MultiHeadAttention": _attention,
    "GridSample": _sampled,
    **dict.fromkeys(("STABLEHLO_DOT_GENERAL", "STABLEHLO_CONVOLUTION"), _none),
}
