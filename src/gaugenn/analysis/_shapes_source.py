"""Shapes of operators without an ONNX counterpart, by the name that the file's format gives them."""

from gaugenn.analysis._node_view import (
    NodeView,
    Rule,
    Shape,
    UnknownShapeError,
    broadcast,
    ceil_div,
    check,
    replaced,
    without,
    wrap,
)
from gaugenn.analysis._shapes_movement import gather, one_hot

_SAME = """
    ASSIGN_VARIABLE BUCKETIZE COMPLEX_ABS DENSIFY DYNAMIC_UPDATE_SLICE FAKE_QUANT IMAG L2_NORMALIZATION
    LOG_SOFTMAX MATRIX_SET_DIAG QUANTIZE REAL RELU_0_TO_1 REVERSE_SEQUENCE REVERSE_V2
    ROUND RSQRT SIGN SQUARE ZEROS_LIKE
    STABLEHLO_CBRT STABLEHLO_CONVERT STABLEHLO_RSQRT STABLEHLO_SCATTER STABLEHLO_DYNAMIC_UPDATE_SLICE
    STABLEHLO_SORT STABLEHLO_CLAMP
    Cast CopyTo Dequantize Exp Flip LRN Log MVN Noop Normalize Power Quantize Requantize ShuffleChannel
    Threshold UnaryOp XNNConvert XNNReciprocalSquareRoot
    ChannelShuffle FakeQuantize L2Normalization NormalizeL2 Rsqrt Scale Sqr
    pow rsqrt scale shuffle_channel square
    _div_scalar _maximum_scalar _minimum_scalar _minus_scalar _mul_scalar _plus_scalar _power_scalar
    _rdiv_scalar _rminus_scalar rcbrt
"""

_BROADCAST = """
    ATAN2 BITWISE_XOR FLOOR_DIV FLOOR_MOD NOT_EQUAL RIGHT_SHIFT SELECT SQUARED_DIFFERENCE
    STABLEHLO_REMAINDER STABLEHLO_SELECT STABLEHLO_SHIFT_LEFT BinaryOp Eltwise SquaredDifference
"""


def _same(view: NodeView) -> list[Shape | None]:
    return [view.shape(0)] * view.outputs


def _broadcast(view: NodeView) -> list[Shape | None]:
    return [broadcast(view.present_shapes())]


def _pack(view: NodeView) -> list[Shape | None]:
    data = view.shape(0)
    place = wrap(view.integer("axis", 0), len(data) + 1)
    return [(*data[:place], len(view.node.inputs), *data[place:])]


def _unpack(view: NodeView) -> list[Shape | None]:
    return [without(view.shape(0), view.integer("axis", 0))] * view.outputs


def _scalar(_view: NodeView) -> list[Shape | None]:
    return [()]


def _strided_slice(view: NodeView) -> list[Shape | None]:
    """**Source:** https://www.tensorflow.org/api_docs/python/tf/strided_slice, without ellipsis."""
    data = view.shape(0)
    starts, ends, steps = (view.required(f"input {i}", i) for i in (1, 2, 3))
    masks = {
        name: view.integer(f"{name}_mask", 0)
        for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")
    }
    if masks["ellipsis"] or masks["new_axis"] or len(starts) > len(data):
        raise UnknownShapeError("a strided slice with an ellipsis or new axes")
    result: list[int] = []
    for axis, size in enumerate(data):
        if axis >= len(starts):
            result.append(size)
            continue
        if masks["shrink_axis"] >> axis & 1:
            continue
        step = steps[axis]
        if step == 0:
            raise UnknownShapeError("a slice with step 0")
        start = None if masks["begin"] >> axis & 1 else starts[axis]
        end = None if masks["end"] >> axis & 1 else ends[axis]
        if view.flag("offset") and end is not None:
            end += starts[axis]
        result.append(len(range(*slice(start, end, step).indices(size))))
    return [tuple(result)]


def _slice(view: NodeView) -> list[Shape | None]:
    starts, sizes = view.required("begin", 1), view.required("size", 2)
    data = view.shape(0)
    triples = zip(data, starts, sizes, strict=True)
    return [check([whole - start if size < 0 else size for whole, start, size in triples])]


def _where(view: NodeView) -> list[Shape | None]:
    view.assume("WHERE finds one element")
    return [(1, len(view.shape(0)))]


def _reduce_flags(view: NodeView) -> list[Shape | None]:
    data = view.shape(0)
    axes = {wrap(axis, len(data)) for axis in view.required("axes", 1)}
    if view.flag("keep_dims"):
        return [tuple(1 if i in axes else size for i, size in enumerate(data))]
    return [tuple(size for i, size in enumerate(data) if i not in axes)]


def _pool(view: NodeView) -> list[Shape | None]:
    """L2_POOL_2D; `padding` is SAME (0) or VALID (1)."""
    batch, height, width, channels = view.shape(0)
    valid = view.integer("padding", 0) == 1
    sizes = []
    for axis, size in (("height", height), ("width", width)):
        stride = view.integer(f"stride_{axis[0]}", 1)
        window = view.integer(f"filter_{axis}", 1)
        sizes.append(ceil_div(size - window + 1 if valid else size, stride))
    return [check((batch, *sizes, channels))]


def _space_to_batch(view: NodeView) -> list[Shape | None]:
    data, block = view.shape(0), view.required("block", 1)
    pads = view.required("paddings", 2)
    result, factor = list(data), 1
    for i, size in enumerate(block):
        result[i + 1] = ceil_div(data[i + 1] + pads[2 * i] + pads[2 * i + 1], size)
        factor *= size
    result[0] *= factor
    return [check(result)]


def _batch_to_space(view: NodeView) -> list[Shape | None]:
    data, block = view.shape(0), view.required("block", 1)
    crops = view.required("crops", 2)
    result, factor = list(data), 1
    for i, size in enumerate(block):
        result[i + 1] = data[i + 1] * size - crops[2 * i] - crops[2 * i + 1]
        factor *= size
    result[0] = ceil_div(data[0], factor)
    return [check(result)]


def _svdf(view: NodeView) -> list[Shape | None]:
    data, weights = view.shape(0), view.shape(1)
    return [(data[0], weights[0] // max(1, view.integer("rank", 1)))]


def _recurrent(view: NodeView) -> list[Shape | None]:
    """LSTM and RNN steps and sequences; with a projection its size is the output's."""
    data = view.shape(0)
    size = view.ints("projection_size") or view.required("hidden_size")
    return [(*data[:-1], size[0])] * view.outputs


def _real_fourier(view: NodeView) -> list[Shape | None]:
    length = view.required("fft_length", 1)
    return [check((*view.shape(0)[:-2], length[0], length[1] // 2 + 1))]


def _halved(view: NodeView) -> list[Shape | None]:
    """GLU: one half gates the other; ncnn's axes do not count the batch."""
    data = view.shape(0)
    axis = view.integer("axis", 0)
    place = axis + 1 if axis >= 0 else wrap(axis, len(data))
    return [replaced(data, place, data[wrap(place, len(data))] // 2)]


def _multi_head(view: NodeView) -> list[Shape | None]:
    return [view.shape(0)]


RULES: dict[str, Rule] = {
    **dict.fromkeys(_SAME.split(), _same),
    **dict.fromkeys(_BROADCAST.split(), _broadcast),
    "PACK": _pack,
    "UNPACK": _unpack,
    "GATHER": gather,
    "RANK": _scalar,
    "HASHTABLE_SIZE": _scalar,
    "STRIDED_SLICE": _strided_slice,
    "SLICE": _slice,
    "ONE_HOT": one_hot,
    "WHERE": _where,
    "REDUCE_ANY": _reduce_flags,
    "REDUCE_ALL": _reduce_flags,
    "L2_POOL_2D": _pool,
    "SPACE_TO_BATCH_ND": _space_to_batch,
    "BATCH_TO_SPACE_ND": _batch_to_space,
    "SVDF": _svdf,
    **dict.fromkeys(
        (
            *("LSTM", "UNIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_LSTM"),
            *("RNN", "UNIDIRECTIONAL_SEQUENCE_RNN", "BIDIRECTIONAL_SEQUENCE_RNN"),
        ),
        _recurrent,
    ),
    "RFFT2D": _real_fourier,
    "GLU": _halved,
    "MultiHeadAttention": _multi_head,
}
"""Rules by source operator: TensorFlow Lite's in capitals (TensorFlow's under the same names, see
`_node_view.source_kind`), ncnn's, OpenVINO's, Caffe2's and Arm NN's in camel case, Paddle's and MXNet's
in small letters.

**Source:** https://github.com/google-ai-edge/LiteRT/tree/main/tflite/kernels and
https://github.com/Tencent/ncnn/blob/master/docs/developer-guide/operators.md
"""
