"""How many operations, beside MACs, an element costs; see `_cost_elementwise` for what counts as one.

Names in `SOURCE_...` are TensorFlow Lite's and ncnn's own, for nodes without an ONNX operator.
"""

PER_OUTPUT: dict[str, int] = {
    **dict.fromkeys(
        """
        Abs Acos Acosh Add And Asin Asinh Atan Atanh BiasAdd BitShift BitwiseAnd BitwiseNot BitwiseOr
        BitwiseXor Ceil Cos Cosh CumProd CumSum Div Equal Erf Exp Floor Greater GreaterOrEqual IsInf
        IsNaN Less LessOrEqual Log Mod Mul Neg Not Or Pow QLinearAdd QLinearMul Reciprocal Relu Round
        Sign Sin Sinh Sqrt Sub Tan Tanh ThresholdedRelu Where Xor
        """.split(),  # noqa: SIM905
        1,
    ),
    **dict.fromkeys(
        """
        Affine BatchNormalization Binarizer Clip Imputer LeakyRelu PRelu QLinearLeakyRelu Scaler Shrink
        """.split(),  # noqa: SIM905
        2,
    ),
    **dict.fromkeys(("Elu", "LpNormalization", "Softplus", "Softsign"), 3),
    **dict.fromkeys(
        """
        Celu HardSigmoid Normalizer QLinearSigmoid RMSNormalization RotaryEmbedding Selu Sigmoid
        SimplifiedLayerNormalization
        """.split(),  # noqa: SIM905
        4,
    ),
    **dict.fromkeys(
        """
        BiasSoftmax Gelu HardSwish Hardmax LogSoftmax MeanVarianceNormalization Mish QLinearSoftmax
        QuickGelu SkipSimplifiedLayerNormalization Softmax SwiGLU Swish
        """.split(),  # noqa: SIM905
        5,
    ),
    **dict.fromkeys(("BiasGelu", "BiasSplitGelu"), 6),
    **dict.fromkeys(
        """
        FastGelu GroupNorm GroupNormalization InstanceNormalization LayerNormalization
        """.split(),  # noqa: SIM905
        7,
    ),
    **dict.fromkeys(("SkipGroupNorm", "SkipLayerNormalization"), 8),
    "EmbedLayerNormalization": 9,
}
"""Operations per element of the first output.

Normalisations: mean 1, subtract 1, square 1, variance 1, scale by the deviation 1, gamma 1, beta 1.
Batch normalisation is a multiplication and an addition, because its statistics are constants. Softmax:
maximum, subtract, exp, sum, divide. Skip variants add their second input, embeddings two more.
"""

PER_INPUT: dict[str, int] = {
    **dict.fromkeys(
        """
        ArgMax ArgMin DynamicQuantizeLinear GlobalAveragePool GlobalMaxPool NegativeLogLikelihoodLoss
        NonMaxSuppression QLinearGlobalAveragePool QLinearReduceMean ReduceMax ReduceMean ReduceMin
        ReduceProd ReduceSum ReduceSumInteger TopK Unique
        """.split(),  # noqa: SIM905
        1,
    ),
    **dict.fromkeys(
        """
        GlobalLpPool ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceSumSquare
        """.split(),  # noqa: SIM905
        2,
    ),
    "SoftmaxCrossEntropyLoss": 6,
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
    """.split()  # noqa: SIM905
)
"""Operators that only make, move, index or convert elements."""

SOURCE_PER_OUTPUT: dict[str, int] = {
    **dict.fromkeys(
        """
        ATAN2 BITWISE_XOR BUCKETIZE FAKE_QUANT NOT_EQUAL RIGHT_SHIFT ROUND SELECT SELECT_V2 SIGN SQUARE
        STABLEHLO_CBRT STABLEHLO_REMAINDER STABLEHLO_SCATTER STABLEHLO_SELECT
        STABLEHLO_SHIFT_LEFT
        BinaryOp Eltwise Threshold UnaryOp
        Scale Sqr square _div_scalar _maximum_scalar _minimum_scalar _minus_scalar _mul_scalar
        _plus_scalar _rdiv_scalar _rminus_scalar
        """.split(),  # noqa: SIM905
        1,
    ),
    **dict.fromkeys(
        """
        FLOOR_DIV FLOOR_MOD RELU_0_TO_1 RSQRT SQUARED_DIFFERENCE STABLEHLO_CLAMP STABLEHLO_RSQRT
        Rsqrt SquaredDifference rcbrt rsqrt scale
        XNNReciprocalSquareRoot
        """.split(),  # noqa: SIM905
        2,
    ),
    **dict.fromkeys(
        """
        COMPLEX_ABS L2Normalization L2_NORMALIZATION MVN Normalize NormalizeL2 Power Exp Log
        _power_scalar pow
        """.split(),  # noqa: SIM905
        3,
    ),
    **dict.fromkeys(("FakeQuantize", "GLU", "LOG_SOFTMAX"), 5),
    "LRN": 10,
}
"""Operations per element of the first output; a window of five for LRN."""

SOURCE_PER_INPUT: dict[str, int] = dict.fromkeys(
    """
    DILATE NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 REDUCE_ALL REDUCE_ANY REDUCE_WINDOW
    SEGMENT_SUM STABLEHLO_REDUCE STABLEHLO_REDUCE_WINDOW STABLEHLO_SORT UNIQUE UNSORTED_SEGMENT_MAX
    UNSORTED_SEGMENT_MIN UNSORTED_SEGMENT_PROD UNSORTED_SEGMENT_SUM
    DetectionOutput PSROIPooling Pooling Proposal Reduction SPP StatisticsPooling YoloDetectionOutput
    Yolov3DetectionOutput
    """.split(),  # noqa: SIM905
    1,
)
"""Operations per element of the first input; for detections, a lower bound."""

SOURCE_FREE = frozenset(
    """
    ASSIGN_VARIABLE BATCH_TO_SPACE_ND BITCAST BROADCAST_ARGS CALL_ONCE CAST DENSIFY DEQUANTIZE
    DYNAMIC_UPDATE_SLICE EMBEDDING_LOOKUP FILL GATHER GATHER_ND HASHTABLE HASHTABLE_FIND
    HASHTABLE_IMPORT HASHTABLE_LOOKUP HASHTABLE_SIZE IMAG MATRIX_DIAG MATRIX_SET_DIAG MIRROR_PAD
    MULTINOMIAL ONE_HOT PACK PAD PADV2 QUANTIZE RANDOM_STANDARD_NORMAL RANDOM_UNIFORM RANK
    READ_VARIABLE REAL RESHAPE REVERSE_SEQUENCE REVERSE_V2 SCATTER_ND SLICE SPACE_TO_BATCH_ND
    SPARSE_TO_DENSE SPLIT SPLIT_V STRIDED_SLICE TRANSPOSE UNPACK VAR_HANDLE WHERE ZEROS_LIKE
    STABLEHLO_BROADCAST_IN_DIM STABLEHLO_CONVERT STABLEHLO_DYNAMIC_SLICE
    STABLEHLO_DYNAMIC_UPDATE_SLICE STABLEHLO_GATHER STABLEHLO_IOTA STABLEHLO_PAD STABLEHLO_RESHAPE
    STABLEHLO_RNG_BIT_GENERATOR STABLEHLO_SLICE STABLEHLO_TRANSPOSE
    Cast CopyTo Crop Dequantize Diag Flip Fold Noop Padding Permute PriorBox Quantize Reorg Requantize
    ShuffleChannel Slice Tile Unfold XNNConvert
    ChannelShuffle shuffle_channel
    """.split()  # noqa: SIM905
)
"""Like `FREE`."""
