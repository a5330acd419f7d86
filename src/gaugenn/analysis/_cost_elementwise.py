"""Operations that are not multiply-accumulates: activations, arithmetic, normalisation, pooling.

What counts as one operation: an addition, subtraction, multiplication, division, comparison, or one
evaluation of a function such as exp, log, tanh, erf, sqrt or a power. A sigmoid is thus 4 (negate,
exp, add, divide). Moving, indexing, converting and (de)quantising elements counts nothing; what it
costs is the bytes moved. Sorting counts one comparison an element, a lower bound.
"""

import math
from collections.abc import Callable, Collection, Sequence

from gaugenn.analysis._node_view import NodeView, Shape, UnknownShapeError, elements
from gaugenn.analysis._shapes_matrix import BLOCKWISE, GATES, PRODUCTS, recurrent_sizes
from gaugenn.analysis._shapes_spatial import CONVOLUTION_WEIGHTS, kernel_of
from gaugenn.analysis._trees import tree_operations

PER_OUTPUT: dict[str, int] = {
    **dict.fromkeys(
        """
        Abs Acos Acosh Add And Asin Asinh Atan Atanh BiasAdd BitShift BitwiseAnd BitwiseNot BitwiseOr
        BitwiseXor Ceil Cos Cosh CumProd CumSum Div Equal Erf Exp Floor Greater GreaterOrEqual IsInf
        IsNaN Less LessOrEqual Log Mod Mul Neg Not Or Pow Reciprocal Relu Round Sign Sin Sinh Sqrt
        Sub Tan Tanh ThresholdedRelu Where Xor
        ATAN2 BITWISE_XOR COMPLEX_ABS FAKE_QUANT NOT_EQUAL RIGHT_SHIFT SELECT SELECT_V2 SQUARE ROUND
        SIGN STABLEHLO_CBRT STABLEHLO_REMAINDER STABLEHLO_SELECT STABLEHLO_SHIFT_LEFT Threshold
        STABLEHLO_SCATTER BUCKETIZE
        """.split(),  # noqa: SIM905
        1,
    ),
    **dict.fromkeys(
        """
        BatchNormalization Binarizer Clip Imputer LeakyRelu PRelu QLinearLeakyRelu Scaler Shrink
        FLOOR_DIV FLOOR_MOD RELU_0_TO_1 RSQRT SQUARED_DIFFERENCE STABLEHLO_RSQRT STABLEHLO_CLAMP
        RANDOM_UNIFORM Affine Power BNLL
        """.split(),  # noqa: SIM905
        2,
    ),
    **dict.fromkeys(
        "Elu L2_NORMALIZATION LpNormalization Normalize Softplus Softsign MVN".split(),  # noqa: SIM905
        3,
    ),
    **dict.fromkeys(
        """
        Celu HardSigmoid Normalizer RMSNormalization Selu Sigmoid QLinearSigmoid RotaryEmbedding
        RotaryEmbed SimplifiedLayerNormalization
        """.split(),  # noqa: SIM905
        4,
    ),
    **dict.fromkeys(
        """
        Gelu HardSwish Hardmax LOG_SOFTMAX LogSoftmax MeanVarianceNormalization Mish QLinearSoftmax
        QuickGelu SkipSimplifiedLayerNormalization Softmax Swish BiasSoftmax SwiGLU GLU
        """.split(),  # noqa: SIM905
        5,
    ),
    **dict.fromkeys(("BiasGelu", "BiasSplitGelu"), 6),
    **dict.fromkeys(("GroupNorm", "GroupNormalization", "InstanceNormalization"), 7),
    **dict.fromkeys(("FastGelu", "LayerNormalization"), 7),
    **dict.fromkeys(("SkipGroupNorm", "SkipLayerNormalization"), 8),
    "EmbedLayerNormalization": 9,
    **dict.fromkeys(("QLinearAdd", "QLinearMul"), 1),
}
"""Operations per element of the first output.

Normalisations: mean 1, subtract 1, square 1, variance 1, scale by the deviation 1, gamma 1, beta 1.
Batch normalisation is a multiplication and an addition, because its statistics are constants. Softmax:
maximum, subtract, exp, sum, divide. Skip variants add their second input, embeddings add three.
"""

PER_INPUT: dict[str, int] = {
    **dict.fromkeys(
        """
        ArgMax ArgMin GlobalAveragePool GlobalMaxPool QLinearGlobalAveragePool QLinearReduceMean
        ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumInteger TopK NonMaxSuppression
        Unique REDUCE_ANY REDUCE_ALL NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 SEGMENT_SUM
        UNSORTED_SEGMENT_MAX UNSORTED_SEGMENT_MIN UNSORTED_SEGMENT_PROD UNSORTED_SEGMENT_SUM
        STABLEHLO_REDUCE STABLEHLO_SORT STABLEHLO_REDUCE_WINDOW REDUCE_WINDOW DILATE
        DynamicQuantizeLinear UNIQUE Reduction StatisticsPooling
        DetectionOutput Proposal YoloDetectionOutput Yolov3DetectionOutput
        """.split(),  # noqa: SIM905
        1,
    ),
    **dict.fromkeys(("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceSumSquare"), 2),
    **dict.fromkeys(("GlobalLpPool", "ReduceLogSumExp"), 2),
    **dict.fromkeys(("SoftmaxCrossEntropyLoss",), 6),
    **dict.fromkeys(("NegativeLogLikelihoodLoss",), 1),
}
"""Operations per element of the first input."""

WINDOWED: dict[str, int] = {
    **dict.fromkeys(("AveragePool", "MaxPool", "QLinearAveragePool", "NhwcMaxPool"), 1),
    "LpPool": 2,
}
"""Operations per element of the window, per element of the first output."""

FREE = frozenset(
    """
    AffineGrid ArrayFeatureExtractor Bernoulli BiasDropout BitCast BlackmanWindow Cast CastLike CastMap
    CategoryMapper CenterCropPad Compress Concat ConcatFromSequence Constant ConstantOfShape
    DepthToSpace DequantizeLinear DictVectorizer Dropout Expand ExpandDims EyeLike FeatureVectorizer
    Flatten Gather GatherElements GatherND HammingWindow HannWindow Identity ImageDecoder LabelEncoder
    MaxUnpool MelWeightMatrix Multinomial NonZero OneHot OneHotEncoder Optional OptionalGetElement
    OptionalHasElement Pad QLinearConcat QLinearWhere QuantizeLinear RandomNormal RandomNormalLike
    RandomUniform RandomUniformLike Range RegexFullMatch Reshape ReverseSequence Scatter
    ScatterElements ScatterND SequenceAt SequenceConstruct SequenceEmpty SequenceErase SequenceInsert
    SequenceLength Shape Size Slice SpaceToDepth Split SplitToSequence Squeeze StringConcat
    StringNormalizer StringSplit TensorScatter TfIdfVectorizer Tile Transpose Trilu Unsqueeze ZipMap
    ASSIGN_VARIABLE BATCH_TO_SPACE_ND BITCAST BROADCAST_ARGS BROADCAST_TO CALL_ONCE CAST CONCATENATION
    DENSIFY DYNAMIC_UPDATE_SLICE EMBEDDING_LOOKUP EXPAND_DIMS FILL GATHER GATHER_ND HASHTABLE
    HASHTABLE_FIND HASHTABLE_IMPORT HASHTABLE_LOOKUP HASHTABLE_SIZE IMAG MATRIX_DIAG MATRIX_SET_DIAG
    MIRROR_PAD ONE_HOT PACK PAD PADV2 QUANTIZE DEQUANTIZE RANGE RANK READ_VARIABLE REAL RESHAPE
    REVERSE_SEQUENCE REVERSE_V2 SCATTER_ND SHAPE SLICE SPACE_TO_BATCH_ND SPARSE_TO_DENSE SPLIT SPLIT_V
    SQUEEZE STRIDED_SLICE TILE TRANSPOSE UNPACK VAR_HANDLE WHERE ZEROS_LIKE RANDOM_STANDARD_NORMAL
    MULTINOMIAL
    STABLEHLO_BROADCAST_IN_DIM STABLEHLO_CONCATENATE STABLEHLO_CONVERT STABLEHLO_DYNAMIC_SLICE
    STABLEHLO_DYNAMIC_UPDATE_SLICE STABLEHLO_GATHER STABLEHLO_IOTA STABLEHLO_PAD STABLEHLO_RESHAPE
    STABLEHLO_RNG_BIT_GENERATOR STABLEHLO_SLICE STABLEHLO_TRANSPOSE
    CopyTo Crop DeepCopy Diag Embed Flip Fold Input MemoryData Noop Packing Padding PixelShuffle
    PriorBox Quantize Dequantize Requantize Reorg ShuffleChannel Unfold Col2Im
    """.split()  # noqa: SIM905
)
"""Operators that only make, move, index or convert elements."""

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
    name = view.kind or view.node.source_operator
    try:
        own = _own(name, view, outputs)
        return None if own is None else own + _fused(view, outputs)
    except UnknownShapeError:
        return None


def is_known(name: str) -> bool:
    """Whether it is known what an operator does beside MACs, by ONNX or source name."""
    tables: tuple[Collection[str], ...] = (FREE, _SPECIAL, PER_OUTPUT, PER_INPUT, WINDOWED, _BIAS)
    return any(name in table for table in (*tables, PRODUCTS, CONVOLUTION_WEIGHTS))


def _first(outputs: Sequence[Shape | None]) -> int:
    if not outputs or outputs[0] is None:
        raise UnknownShapeError("the output's shape is unknown")
    return elements(outputs[0])


def _fused(view: NodeView, outputs: Sequence[Shape | None]) -> int:
    activation = view.text("fused_activation") or view.text("activation")
    if not activation:
        return 0
    return PER_OUTPUT.get(activation, 1) * _first(outputs)


def _own(name: str, view: NodeView, outputs: Sequence[Shape | None]) -> int | None:
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
    if name in PRODUCTS or name in CONVOLUTION_WEIGHTS:
        return 0
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
    **dict.fromkeys(("Sum", "Max", "Min", "Eltwise", "BinaryOp"), _variadic),
    "Mean": _mean,
    "LRN": _local_response,
    **dict.fromkeys(("Resize", "Upsample"), _resize),
    **dict.fromkeys(("GridSample", "RoiAlign", "CropAndResize", "ROIAlign"), _sampled),
    **dict.fromkeys(("MaxRoiPool", "Col2Im"), _add_all),
    **dict.fromkeys(("DFT", "STFT", "Rfft", "Irfft", "RFFT2D"), _transform),
    **dict.fromkeys(GATES, _recurrent),
    **dict.fromkeys(
        (
            *("UNIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_LSTM"),
            *("UNIDIRECTIONAL_SEQUENCE_RNN", "BIDIRECTIONAL_SEQUENCE_RNN"),
        ),
        _recurrent_source,
    ),
    **dict.fromkeys(
        (
            *("Attention", "FlexAttention", "QAttention", "MultiHeadAttention", "SDPA"),
            *("DecoderMaskedMultiHeadAttention", "GroupQueryAttention"),
        ),
        _attention,
    ),
    "SVDF": _filter,
    "Det": _determinant,
    **dict.fromkeys(("TreeEnsembleClassifier", "TreeEnsembleRegressor", "TreeEnsemble"), _trees),
    **dict.fromkeys(
        (
            *("Einsum", "LinearClassifier", "LinearRegressor", "SVMClassifier", "SVMRegressor"),
            *(
                "CausalConvWithState",
                "LinearAttention",
                "STABLEHLO_DOT_GENERAL",
                "STABLEHLO_CONVOLUTION",
            ),
        ),
        _none,
    ),
    "L2_POOL_2D": lambda view, outputs: (
        2 * view.integer("filter_height", 1) * view.integer("filter_width", 1) * _first(outputs)
    ),
}
