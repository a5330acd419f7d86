"""What kind of work each node does.

A table by operator decides; three operators need a look at their surroundings: a convolution is
depthwise by its group, a gather is an embedding by its table, and a matrix product belongs to attention
by the softmax next to it.

**Source:** https://onnx.ai/onnx/operators/ for what the operators do.
"""

from collections import defaultdict
from collections.abc import Iterator

from gaugenn.analysis._node_view import kind_of, source_kind
from gaugenn.analysis.shapes import Frame, InferredShapes
from gaugenn.graph import Graph, Layout, Model, Node
from gaugenn.records import LayerClass

_TABLE: dict[LayerClass, str] = {
    LayerClass.CONVOLUTION: """
        Conv ConvInteger QLinearConv FusedConv NhwcConv NhwcFusedConv ConvTranspose
        FusedConvTranspose QLinearConvTranspose ConvTransposeWithDynamicPads DeformConv
        CausalConvWithState
    """,
    LayerClass.DENSE: """
        Gemm QGemm FusedGemm GemmFloat8 MatMul MatMulInteger MatMulInteger16 QLinearMatMul
        FusedMatMul TransposeMatMul FusedMatMulActivation MatMulIntegerToFloat
        DynamicQuantizeMatMul MatMulNBits MatMulBnb4 MatMulFpQ4 SparseToDenseMatMul Einsum
        LinearClassifier LinearRegressor
    """,
    LayerClass.ACTIVATION: """
        Relu LeakyRelu PRelu Elu Celu Selu Gelu FastGelu QuickGelu BiasGelu BiasSplitGelu
        ThresholdedRelu Sigmoid QLinearSigmoid HardSigmoid QLinearLeakyRelu Tanh ScaledTanh
        Softplus ParametricSoftplus Softsign Mish Swish HardSwish SwiGLU Softmax LogSoftmax
        QLinearSoftmax BiasSoftmax Hardmax Shrink Clip
    """,
    LayerClass.POOLING: """
        AveragePool MaxPool LpPool GlobalAveragePool GlobalMaxPool GlobalLpPool QLinearAveragePool
        QLinearGlobalAveragePool NhwcMaxPool MaxRoiPool RoiAlign MaxUnpool ReduceL1 ReduceL2
        ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum
        ReduceSumInteger ReduceSumSquare QLinearReduceMean
    """,
    LayerClass.NORMALISATION: """
        BatchNormalization InstanceNormalization LayerNormalization GroupNormalization GroupNorm
        RMSNormalization SimplifiedLayerNormalization SkipLayerNormalization SkipGroupNorm
        SkipSimplifiedLayerNormalization LRN LpNormalization MeanVarianceNormalization Normalizer
    """,
    LayerClass.ATTENTION: """
        Attention QAttention MultiHeadAttention GroupQueryAttention
        DecoderMaskedMultiHeadAttention LinearAttention FlexAttention RotaryEmbedding
        PackedAttention PackedMultiHeadAttention SparseAttention LongformerAttention
        PagedAttention
    """,
    LayerClass.RECURRENT: "LSTM GRU RNN DynamicQuantizeLSTM",
    LayerClass.EMBEDDING: "EmbedLayerNormalization GatherBlockQuantized",
    LayerClass.ELEMENTWISE: """
        Abs Acos Acosh Add Affine And Asin Asinh Atan Atanh BiasAdd BiasDropout BitShift
        BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Ceil Cos Cosh CumProd CumSum Div Equal Erf Exp
        Floor Greater GreaterOrEqual ImageScaler Imputer IsInf IsNaN Less LessOrEqual Log Max Mean
        Min Mod Mul Neg Not Or Pow QLinearAdd QLinearMul QLinearWhere Reciprocal Round Scaler Sign
        Sin Sinh Sqrt Sub Sum Tan Where Xor
    """,
    LayerClass.QUANTISATION: "QuantizeLinear DequantizeLinear DynamicQuantizeLinear",
    LayerClass.DATA_MOVEMENT: """
        AffineGrid ArrayFeatureExtractor BitCast Cast CastLike CastMap CenterCropPad Col2Im
        Compress Concat ConcatFromSequence Constant ConstantOfShape CropAndResize DepthToSpace
        Dropout Expand ExpandDims EyeLike FeatureVectorizer Flatten Gather GatherElements GatherND
        GridSample Identity Optional OptionalGetElement OptionalHasElement Pad QLinearConcat Range
        Reshape Resize ReverseSequence Scatter ScatterElements ScatterND SequenceAt
        SequenceConstruct SequenceEmpty SequenceErase SequenceInsert SequenceLength Shape Size
        Slice SpaceToDepth Split SplitToSequence Squeeze TensorScatter Tile Transpose Trilu
        Unsqueeze Upsample
    """,
    LayerClass.CONTROL_FLOW: "If Loop Scan SequenceMap",
    LayerClass.POST_PROCESSING: """
        NonMaxSuppression TopK ArgMax ArgMin NonZero Unique BeamSearch GreedySearch Sampling
        Multinomial OneHot ZipMap LabelEncoder
    """,
}

_SOURCE_TABLE: dict[LayerClass, str] = {
    LayerClass.CONVOLUTION: """
        STABLEHLO_CONVOLUTION CONV_3D CONV_3D_TRANSPOSE Convolution Deconvolution Convolution3D
        Convolution2DTransposeBias
    """,
    LayerClass.DENSE: "STABLEHLO_DOT_GENERAL BATCH_MATMUL FULLY_CONNECTED InnerProduct",
    LayerClass.ACTIVATION: """
        RELU_0_TO_1 RELU_N1_TO_1 LOG_SOFTMAX GLU Threshold STABLEHLO_CLAMP STABLEHLO_LOGISTIC
        STABLEHLO_TANH
    """,
    LayerClass.POOLING: """
        L2_POOL_2D REDUCE_ALL REDUCE_ANY STABLEHLO_REDUCE STABLEHLO_REDUCE_WINDOW SPP
        StatisticsPooling ROIPooling PSROIPooling ROIAlign MaxPoolingWithArgmax2D MaxUnpooling2D
    """,
    LayerClass.NORMALISATION: "L2_NORMALIZATION LRN MVN Normalize L2Normalization NormalizeL2",
    LayerClass.ATTENTION: "MultiHeadAttention SDPA RotaryEmbed",
    LayerClass.RECURRENT: """
        BIDIRECTIONAL_SEQUENCE_LSTM BIDIRECTIONAL_SEQUENCE_RNN UNIDIRECTIONAL_SEQUENCE_LSTM
        UNIDIRECTIONAL_SEQUENCE_RNN LSTM RNN GRU SVDF
    """,
    LayerClass.EMBEDDING: """
        EMBEDDING_LOOKUP EMBEDDING_LOOKUP_SPARSE HASHTABLE_LOOKUP LSH_PROJECTION Embed
    """,
    LayerClass.ELEMENTWISE: """
        ATAN2 BinaryOp BITWISE_XOR COMPLEX_ABS Eltwise Exp FLOOR_DIV FLOOR_MOD Log NOT_EQUAL Power
        RIGHT_SHIFT ROUND RSQRT SELECT SELECT_V2 SIGN SQUARE SQUARED_DIFFERENCE STABLEHLO_CBRT
        STABLEHLO_REMAINDER STABLEHLO_RSQRT STABLEHLO_SELECT STABLEHLO_SHIFT_LEFT UnaryOp
        Scale Sqr XNNReciprocalSquareRoot pow rcbrt rsqrt scale square _div_scalar _maximum_scalar
        _minimum_scalar _minus_scalar _mul_scalar _plus_scalar _power_scalar _rdiv_scalar
        _rminus_scalar
    """,
    LayerClass.QUANTISATION: """
        QUANTIZE DEQUANTIZE FAKE_QUANT FakeQuantize Quantize Dequantize Requantize BUCKETIZE
    """,
    LayerClass.DATA_MOVEMENT: """
        ASSIGN_VARIABLE READ_VARIABLE VAR_HANDLE BATCH_TO_SPACE_ND SPACE_TO_BATCH_ND Cast CopyTo
        DENSIFY DYNAMIC_UPDATE_SLICE Flip GATHER HASHTABLE HASHTABLE_SIZE HASHTABLE_FIND
        HASHTABLE_IMPORT IMAG MATRIX_SET_DIAG MATRIX_DIAG Noop PACK RANK REAL REVERSE_SEQUENCE
        REVERSE_V2 SLICE STRIDED_SLICE STABLEHLO_CONVERT STABLEHLO_DYNAMIC_UPDATE_SLICE
        STABLEHLO_SCATTER STABLEHLO_GATHER UNPACK ZEROS_LIKE ShuffleChannel Crop CropAndResize
        Input Split Packing Reorg ConvertTensor SPARSE_TO_DENSE FlexRaggedTensorToTensor
        ChannelShuffle shuffle_channel XNNConvert
    """,
    LayerClass.CONTROL_FLOW: "WHILE IF CALL CALL_ONCE STABLEHLO_WHILE STABLEHLO_CASE",
    LayerClass.POST_PROCESSING: """
        ONE_HOT WHERE STABLEHLO_SORT TFLite_Detection_PostProcess NON_MAX_SUPPRESSION_V4
        NON_MAX_SUPPRESSION_V5 DetectionOutput PriorBox Proposal YoloDetectionOutput
        Yolov3DetectionOutput DetectionPostProcess ArgMax MULTINOMIAL
    """,
}

_CLASSES = {name: found for found, names in _TABLE.items() for name in names.split()}
_SOURCE_CLASSES = {name: found for found, names in _SOURCE_TABLE.items() for name in names.split()}

_PRODUCTS = frozenset("MatMul FusedMatMul TransposeMatMul Einsum BATCH_MATMUL Gemm".split())  # noqa: SIM905
_SOFTMAX = frozenset({"Softmax", "BiasSoftmax", "LogSoftmax"})
_BETWEEN = frozenset({LayerClass.ELEMENTWISE, LayerClass.DATA_MOVEMENT, LayerClass.QUANTISATION})
"""What may stand between a softmax and the products of its attention: scale, mask, transpose."""
_REACH = 64
"""Nodes that are followed from a product in search of a softmax."""


def layer_classes(model: Model, shapes: InferredShapes) -> tuple[tuple[LayerClass, ...], ...]:
    """The class of every node, per graph of the model.

    Args:
        model: as read.
        shapes: of the same model.
    """
    return tuple(
        _of_graph(graph, frame) for graph, frame in zip(model.graphs, shapes.frames, strict=True)
    )


def _of_graph(graph: Graph, frame: Frame) -> tuple[LayerClass, ...]:
    plain = [_plain(node) for node in graph.nodes]
    neighbours = _Neighbours(graph, plain)
    return tuple(
        _refined(graph, frame, position, plain[position], neighbours)
        for position in range(len(graph.nodes))
    )


def _plain(node: Node) -> LayerClass:
    """The class by the operator's name alone."""
    kind = kind_of(node)
    if kind:
        return _CLASSES.get(kind, LayerClass.OTHER)
    return _SOURCE_CLASSES.get(source_kind(node), LayerClass.OTHER)


def _refined(
    graph: Graph, frame: Frame, position: int, plain: LayerClass, neighbours: "_Neighbours"
) -> LayerClass:
    node = graph.nodes[position]
    if plain is LayerClass.CONVOLUTION and is_depthwise(graph, frame, node):
        return LayerClass.DEPTHWISE_CONVOLUTION
    if kind_of(node) == "Gather" and _looks_up(frame, node):
        return LayerClass.EMBEDDING
    of_activations = not any(frame.is_fixed(name) for name in node.inputs[:2])
    if kind_of(node) in _PRODUCTS and of_activations and neighbours.meets_softmax(position):
        return LayerClass.ATTENTION
    return plain


def is_depthwise(graph: Graph, frame: Frame, node: Node) -> bool:
    """Whether a convolution has as many groups as input channels, and more than one."""
    group = node.attributes.get("group")
    shape = frame.shape(node.inputs[0]) if node.inputs else None
    if not isinstance(group, int) or group < 2 or not shape or len(shape) < 3:
        return False
    first = graph.layout is Layout.CHANNELS_FIRST and not kind_of(node).startswith("Nhwc")
    return shape[1 if first else -1] == group


def _looks_up(frame: Frame, node: Node) -> bool:
    """Whether a gather takes rows of a constant table of real numbers by an input's indices."""
    if len(node.inputs) < 2 or frame.is_fixed(node.inputs[1]) or not frame.is_fixed(node.inputs[0]):
        return False
    table = frame.shape(node.inputs[0])
    wide = ("int64", "int32", "bool", "string")
    return table is not None and len(table) >= 2 and frame.dtype(node.inputs[0]) not in wide


class _Neighbours:
    """Which nodes feed which, inside one graph."""

    def __init__(self, graph: Graph, classes: list[LayerClass]) -> None:
        self._graph = graph
        self._classes = classes
        self._producer: dict[str, int] = {}
        self._users: defaultdict[str, list[int]] = defaultdict(list)
        for position, node in enumerate(graph.nodes):
            self._producer.update(dict.fromkeys(node.outputs, position))
            for name in node.inputs:
                self._users[name].append(position)

    def meets_softmax(self, position: int) -> bool:
        """Whether a softmax lies before or after a node, with nothing but passage between them."""
        return self._finds(position, forward=True) or self._finds(position, forward=False)

    def _finds(self, position: int, *, forward: bool) -> bool:
        pending, seen = [position], {position}
        while pending and len(seen) <= _REACH:
            for other in self._next(pending.pop(), forward=forward):
                if other in seen:
                    continue
                seen.add(other)
                if kind_of(self._graph.nodes[other]) in _SOFTMAX:
                    return True
                if self._classes[other] in _BETWEEN:
                    pending.append(other)
        return False

    def _next(self, position: int, *, forward: bool) -> Iterator[int]:
        node = self._graph.nodes[position]
        if forward:
            for name in node.outputs:
                yield from self._users.get(name, ())
            return
        for name in node.inputs:
            if name in self._producer:
                yield self._producer[name]
