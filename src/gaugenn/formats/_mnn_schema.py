"""Field numbers, enumerations and parameter tables of MNN files.

**Source:** https://github.com/alibaba/MNN/tree/master/schema/default
"""

from gaugenn.formats._flatbuffers import Field, fields
from gaugenn.graph import DataType


class NetField:
    """Field numbers of the root table."""

    BUSINESS_CODE = 0
    DESCRIPTIONS = 1
    EXTRA_INFO = 2
    OPERATORS = 3
    OUTPUT_NAMES = 4
    FORWARD_TYPE = 5
    SOURCE = 6
    TENSOR_NAMES = 7
    TENSOR_COUNT = 8
    USAGE = 9
    SUBGRAPHS = 10
    UUID = 11


class SubgraphField:
    """Field numbers of a sub-graph."""

    NAME = 0
    INPUTS = 1
    OUTPUTS = 2
    TENSOR_NAMES = 3
    OPERATORS = 4
    DESCRIPTIONS = 5


class OperatorField:
    """Field numbers of an operator; the parameter union takes two."""

    INPUTS = 0
    PARAMETER = 1
    NAME = 3
    OUTPUTS = 4
    TYPE = 5


class DescriptionField:
    """Field numbers of a tensor's description."""

    BLOB = 0
    INDEX = 1
    QUANTIZATION = 4


class BlobField:
    """Field numbers of a constant."""

    DIMENSIONS = 0
    TYPE = 2
    STRINGS = 8
    EXTERNAL = 9


class ConvolutionField:
    """Field numbers of convolutions; those over volumes have no quantisation."""

    COMMON = 0
    WEIGHT = 1
    BIAS = 2
    COMPRESSION = 3
    SYMMETRIC = 4
    EXTERNAL = 6

    VOLUME_EXTERNAL = 3


class SymmetricField:
    """Field numbers of the int8 form with requantisation (`ConvInt8` and its like)."""

    WEIGHT = 0
    BIAS = 1
    SCALE = 2
    TENSOR_SCALE = 3


class CompressionField:
    """Field numbers of compressed weights."""

    BUFFER = 0
    ALPHA = 1
    INDEX = 13
    HALF_ALPHA = 14


BLOB_VECTORS: dict[DataType, tuple[int, str]] = {
    DataType.UINT8: (3, "u8"),
    DataType.INT8: (4, "i8"),
    DataType.INT32: (5, "i32"),
    DataType.INT64: (6, "i64"),
    DataType.FLOAT32: (7, "f32"),
    DataType.FLOAT16: (3, "u8"),
    DataType.BFLOAT16: (3, "u8"),
}
"""Field and element kind of the vector that holds a constant's elements, by their type."""

DATA_TYPES = (
    *(DataType.UNKNOWN, DataType.FLOAT32, DataType.FLOAT64, DataType.INT32, DataType.UINT8),
    *(DataType.INT16, DataType.INT8, DataType.STRING, DataType.COMPLEX64, DataType.INT64),
    *(DataType.BOOL, DataType.INT8, DataType.UINT8, DataType.INT32, DataType.BFLOAT16),
    *(DataType.INT16, DataType.UINT16, DataType.UINT16, DataType.COMPLEX128, DataType.FLOAT16),
    *(DataType.RESOURCE, DataType.VARIANT),
)
"""Element types by their number; 11 to 16 are the quantised types of TensorFlow."""

SOURCES = ("caffe", "tensorflow", "tflite", "onnx", "torch")
"""The framework that a model was converted from."""

TRAINING = 1
"""`usage` of a graph that trains."""

NHWC = 1
"""The one data format in which the channels stand last."""

DESCRIBED_QUANTIZATION = fields("scale:f32 zero:f32 min:f32=-128 max:f32=127 type:i32")


def _numbered(text: str) -> dict[int, str]:
    """Names by number: each is one more than the one before unless it says otherwise."""
    found: dict[int, str] = {}
    number = -1
    for word in text.split():
        name, _, given = word.partition("=")
        number = int(given) if given else number + 1
        found[number] = name
    return found


OPERATORS = _numbered(
    """
    AbsVal QuantizedAdd ArgMax AsString InstanceNorm BatchToSpaceND Copy BinaryOp Bnll Cast Concat
    Const Convolution ConvolutionDepthwise Crop CropAndResize ImageProcess Deconvolution
    DeconvolutionDepthwise Dequantize DetectionOutput Dropout Eltwise ELU Unique Exp ExpandDims Fill
    Flatten Im2Col Gather GatherV2 Im2Seq InnerProduct Input Interp Log LRN LSTM MatMul MoE
    NonMaxSuppression NonMaxSuppressionV2 Normalize Pack Padding Permute Pooling Power PReLU PriorBox
    Proposal QuantizedAvgPool QuantizedBiasAdd QuantizedConcat QuantizedDepthwiseConv2D
    QuantizedLogistic RasterAndInterpolate QuantizedMaxPool Texture RasterDiff QuantizedReshape
    QuantizedSoftmax QuantizeMaxMin QuantizeV2 Range Rank ReduceJoin Reduction ReLU ReLU6
    RequantizationRange Requantize Reshape Resize RNN ROIPooling Scale Selu Seq2Out Shape Sigmoid Size
    Slice SliceTf Softmax SpaceToBatchND SpatialProduct Col2Im Segment Squeeze StridedSlice CastLike
    StringSplit StringToNumber TanH TfQuantizedConv2D Threshold Tile TopKV2 Transpose UnaryOp Unpack
    Where Moments RNNSequenceGRU BatchMatMul Unsqueeze CosineSimilarity DepthToSpace SpaceToDepth
    ReverseSequence Pooling3D Convolution3D MatrixBandPart GatherND DetectionPostProcess UnravelIndex
    ScatterNd OneHot BroadcastTo Dilation2D Interp3D
    Raster=128 ConvertTensor ArgMin LinSpace RandomUniform TensorArray TensorArraySize
    TensorArrayRead TensorArrayWrite TensorArrayGather TensorArrayScatter TensorArraySplit
    TensorArrayConcat LSTMBlockCell Reverse ROIAlign RandomNormal TensorArrayInsert TensorArrayErase
    EyeLike CumSum Det CumProd ScatterElements GatherElements Svd Histogram DynamicQuant Stft
    Plugin=256 Select ZerosLike Broastcast SetDiff1D ReluGrad Identity PoolGrad SoftmaxGrad
    Conv2DBackPropFilter TrainableParam BatchNorm ConvTranspose3D ZeroGrad
    Attention=299 FmhaV2 Fmhca SeqLen2Spatial SplitGeLU GroupNorm LinearAttention RoPE FusedLinear
    GatedRMSNorm
    Extra=512 ConvInt8 Int8ToFloat DepthwiseConvInt8 FloatToInt8=517 EltwiseInt8
    While=600 If LayerNorm=603 GridSample
    """
)
"""Names of the operators by their number. `Broastcast` is the schema's spelling."""

LARGEST_OPERATOR = 4096
"""No operator of any version has a number near it; what lies above is no operator."""

CONVOLUTION = fields(
    "padX:i32 padY:i32 kernelX:i32=1 kernelY:i32=1 strideX:i32=1 strideY:i32=1 dilateX:i32=1 "
    "dilateY:i32=1 padMode:i8 group:i32=1 outputCount:i32 inputCount:i32 relu:bool relu6:bool "
    "pads:[i32] outPads:[i32] hasOutputShape:bool"
)
CONVOLUTION_3D = fields(
    "dilates:[i32] strides:[i32] kernels:[i32] pads:[i32] padMode:i8 inputCount:i32 "
    "outputCount:i32 relu:bool relu6:bool group:i32=1 outPads:[i32] hasOutputShape:bool"
)
COMPRESSION = fields(
    "- - type:i32 useInt32:bool quantScale:f32 scaleIn:f32 scaleOut:f32 aMaxOrBits:i32 aMin:i32 "
    "readType:i32 has_scaleInt:bool shapeInt32:bool weightSize:u32 - - scaleStorage:i8"
)
SYMMETRIC = fields(
    "- - - - method:i8 nbits:i32=8 zeroPoint:i8 outputZeroPoint:i8 clampMin:i8=-128 clampMax:i8=127 "
    "- outputDataType:i32=6"
)

_AXIS = fields("axis:i32")
_TYPE = fields("T:i32")
_QUANTIZED_POOL = fields(
    "kernelX:i32 kernelY:i32 modelFormat:i8 outputActivationMax:i32 outputActivationMin:i32 "
    "padType:i8 padX:i32 padY:i32 strideX:i32 strideY:i32 type:i32"
)
_EMPTY: tuple[Field, ...] = ()

PARAMETERS: dict[int, tuple[str, tuple[Field, ...]]] = {
    1: ("QuantizedAdd", fields("activationType:i8")),
    2: ("ArgMax", fields("outMaxVal:i32 topK:i32 axis:i32 softmaxThreshold:i32")),
    3: (
        "AsString",
        fields("T:i32 precision:i32 scientific:bool shortest:bool width:i32 fillString:str"),
    ),
    4: ("Axis", _AXIS),
    5: ("BatchNorm", fields("channels:i32 - - - - - - epsilon:f32=0.001")),
    6: ("BinaryOp", fields("opType:i32 T:i32=1 activationType:i32")),
    7: ("Blob", _EMPTY),
    8: ("CastParam", fields("srcT:i32 dstT:i32")),
    9: ("Convolution2D", _EMPTY),
    10: ("Crop", fields("axis:i32=2 offset:[i32]")),
    11: ("CropAndResize", fields("extrapolationValue:f32 method:i8")),
    12: ("Dequantize", fields("- mode:i8 modelFormat:i8 type:i32")),
    13: (
        "DetectionOutput",
        fields(
            "classCount:i32 nmsThresholdold:f32 nmsTopK:i32 keepTopK:i32 confidenceThreshold:f32 "
            "shareLocation:i32 backgroundLable:i32 varianceEncodedTarget:i32 codeType:i32 "
            "objectnessScore:f32=0.01"
        ),
    ),
    14: ("Eltwise", fields("type:i8 coeff:[f32]")),
    15: ("ExpandDims", fields("T:i32 Tdim:i32 axis:i32")),
    16: ("Fill", _EMPTY),
    17: ("Flatten", fields("axis:i32 endAxis:i32")),
    18: ("Gather", fields("Tindices:i32 Tparams:i32 validateIndices:bool axis:i32")),
    19: ("GatherV2", fields("Taxis:i32 Tindices:i32 Tparams:i32")),
    20: (
        "InnerProduct",
        fields("outputCount:i32 biasTerm:i32 weightSize:i32 - - axis:i32 transpose:bool"),
    ),
    21: ("Input", fields("dims:[i32] dtype:i32=1 dformat:i8=2")),
    22: (
        "Interp",
        fields(
            "widthScale:f32 heightScale:f32 outputWidth:i32 outputHeight:i32 resizeType:i32 "
            "alignCorners:bool halfPixelCenters:bool widthOffset:f32 heightOffset:f32 "
            "cubicCoeffA:f32=-0.75 ctm:i8 depthScale:f32 outputDepth:i32 depthOffset:f32"
        ),
    ),
    23: ("LRN", fields("regionType:i32 localSize:i32 alpha:f32 beta:f32 bias:f32=1.0")),
    24: ("LSTM", fields("outputCount:i32 weightSize:i32 clippingThreshold:f32 - - - - - q:f32")),
    25: ("MatMul", fields("T:i32 transposeA:bool transposeB:bool")),
    26: ("NonMaxSuppressionV2", _EMPTY),
    27: ("Normalize", fields("acrossSpatial:i32 channelShared:i32 eps:f32")),
    28: ("PackParam", fields("dataType:i32 axis:i32")),
    29: ("Permute", fields("dims:[i32]")),
    30: ("Plugin", fields("type:str")),
    31: (
        "Pool",
        fields(
            "padX:i32 padY:i32 isGlobal:bool kernelX:i32 kernelY:i32 strideX:i32 strideY:i32 "
            "type:i8 padType:i8 dataType:i32=1 ceilModel:bool=1 pads:[i32] countType:i8"
        ),
    ),
    32: ("PRelu", fields("slopeCount:i32")),
    33: (
        "PriorBox",
        fields(
            "minSizes:[f32] maxSizes:[f32] aspectRatios:[f32] variances:[f32] flip:bool clip:bool "
            "imageWidth:i32 imageHeight:i32 stepWidth:i32 stepHeight:i32 offset:f32"
        ),
    ),
    34: (
        "Proposal",
        fields(
            "featStride:i32 baseSize:i32 preNmsTopN:i32 afterNmsTopN:i32 nmsThreshold:f32 "
            "minSize:i32"
        ),
    ),
    35: ("QuantizedAvgPool", _QUANTIZED_POOL),
    36: ("QuantizedBiasAdd", fields("- inputType:i32 max:i32 min:i32 outputType:i32")),
    37: ("QuantizedConcat", fields("activationType:i8 axis:i32 inputScale:[f32]")),
    38: ("QuantizedLogistic", _EMPTY),
    39: ("QuantizedMatMul", fields("transposeA:bool transposeB:bool")),
    40: ("QuantizedMaxPool", _QUANTIZED_POOL),
    41: ("QuantizedRelu", fields("type:i32")),
    42: ("QuantizedRelu6", fields("type:i32")),
    43: ("QuantizedReshape", fields("dims:[i32] modelFormat:i8")),
    44: ("QuantizedSoftmax", fields("beta:f32 inputScale:f32")),
    45: ("QuantizeMaxMin", _TYPE),
    46: ("QuantizeV2", fields("type:i32 mode:i8 roundMode:i8")),
    47: ("Range", fields("Tidx:i32")),
    48: ("Rank", _EMPTY),
    49: ("ReduceJoin", fields("keepDims:bool separator:str")),
    50: (
        "ReductionParam",
        fields("operation:i8 dim:[i32] coeff:f32 keepDims:bool dType:i32=1"),
    ),
    51: ("Relu", fields("slope:f32")),
    52: ("Relu6", fields("minValue:f32 maxValue:f32=6.0")),
    53: ("RequantizationRange", _EMPTY),
    54: ("Requantize", _EMPTY),
    55: ("Reshape", fields("dims:[i32] dimType:i8")),
    56: ("Resize", fields("xScale:f32 yScale:f32")),
    57: (
        "RoiParameters",
        fields(
            "pooledWidth:i32 pooledHeight:i32 spatialScale:f32 samplingRatio:i32=-1 aligned:bool "
            "poolType:i8=1 outputGrad:bool"
        ),
    ),
    58: ("Scale", fields("channels:i32")),
    59: ("Selu", fields("scale:f32 alpha:f32")),
    60: ("Size", fields("outputDataType:i32")),
    61: ("Slice", fields("axis:i32 slicePoints:[i32] sourceType:i8")),
    62: ("SliceTf", _TYPE),
    63: ("SpaceBatch", _EMPTY),
    64: ("SqueezeParam", fields("squeezeDims:[i32]")),
    65: (
        "StridedSliceParam",
        fields(
            "Index:i32 T:i32 beginMask:i32 endMask:i32 ellipsisMask:i32 newAxisMask:i32 "
            "shrinkAxisMask:i32 fromType:i32"
        ),
    ),
    66: ("TensorConvertInfo", fields("source:i8 dest:i8")),
    67: (
        "TfQuantizedConv2D",
        fields(
            "- biasflag:bool - - activationType:i8 multiplier:i32 outMax:i32 outMin:i32 shift:i32 - "
            "depthMultiplier:i32 - - modelFormat:i8"
        ),
    ),
    68: ("TopKV2", fields("T:i32=1 sorted:bool largest:bool=1")),
    69: ("Transpose", fields("Tperm:i32")),
    70: ("UnaryOp", fields("opType:i32 T:i32")),
    71: ("MomentsParam", fields("dim:[i32] keepDims:bool=1 dType:i32=1")),
    72: (
        "RNNParam",
        fields("numUnits:i32 isBidirectionalRNN:bool linearBeforeReset:bool keepAllOutputs:bool"),
    ),
    73: ("BatchMatMulParam", fields("adjX:bool adjY:bool")),
    74: ("QuantizedFloatParam", SYMMETRIC),
    75: ("DepthSpaceParam", fields("blockSize:i32 mode:i8")),
    76: ("EltwiseInt8", fields("type:i8")),
    77: ("ReverseSequenceParam", fields("batchDim:i32 seqDim:i32")),
    78: ("Extra", fields("type:str engine:str - - vector:bool")),
    79: (
        "Pool3D",
        fields("strides:[i32] kernels:[i32] pads:[i32] type:i8 padType:i8 isGlobal:bool"),
    ),
    80: ("Convolution3D", _EMPTY),
    81: ("ELU", fields("alpha:f32")),
    82: (
        "DetectionPostProcessParam",
        fields(
            "maxDetections:i32 maxClassesPerDetection:i32 detectionsPerClass:i32 "
            "nmsScoreThreshold:f32 iouThreshold:f32 numClasses:i32 useRegularNMS:bool "
            "centerSizeEncoding:[f32]"
        ),
    ),
    83: ("OneHotParam", fields("dType:i32=1 axis:i32=-1")),
    84: ("PadParam", fields("mode:i8")),
    85: ("WhileParam", fields("cond_graph:str body_graph:str")),
    86: ("IfParam", fields("then_graph:str else_graph:str")),
    87: ("RandomUniform", fields("seed:i32 seed2:i32 type:i32=1 low:f32 high:f32=1.0")),
    88: ("LayerNorm", fields("axis:[i32] epsilon:f32 - - group:i32=1 - useRMSNorm:bool")),
    89: (
        "TensorArray",
        fields(
            "dynamic_size:bool identical_element_shapes:bool element_shape:[i32] T:i32=1 axis:i32 "
            "keepdims:bool=1 new_axis:bool"
        ),
    ),
    90: ("LSTMBlockCell", fields("cell_clip:f32=3.0 forget_bias:f32=1.0 use_peephole:bool")),
    91: ("GridSample", fields("mode:i8 paddingMode:i8 alignCorners:bool backward:bool")),
    92: (
        "LoopParam",
        fields("tensorNumber:i32 outputIndexes:[i32] inputIndexes:[i32] - parallel:bool=1 n:i32"),
    ),
    93: (
        "ImageProcessParam",
        fields(
            "filterType:i8 sourceFormat:i32 destFormat:i32 wrap:i8 mean:[f32] normal:[f32] "
            "transform:[f32] paddingValue:i8 shape:[i32] outputType:i32 draw:bool"
        ),
    ),
    94: ("CumSum", fields("exclusive:bool reverse:bool")),
    95: ("GroupNorm", fields("axis:i32 epsilon:f32 - - group:i32=1 bSwish:i32")),
    96: ("FmhaV2Param", fields("heads:i32")),
    97: ("FmhcaParam", fields("heads:i32")),
    98: (
        "AttentionParam",
        fields(
            "kv_cache:bool=1 kv_shared_layer:str layer_index:i32=-1 kv_shared_layer_index:i32=-1 - "
            "output_c4:bool attnScale:f32"
        ),
    ),
    99: ("StftParam", fields("n_fft:i32 hop_length:i32 abs:bool=1")),
    100: (
        "LinearAttentionParam",
        fields(
            "attn_type:str num_k_heads:i32 num_v_heads:i32 head_k_dim:i32 head_v_dim:i32 "
            "use_qk_l2norm:bool gate_fold:bool gate_coef:[f32] gate_bias:[f32]"
        ),
    ),
    101: ("ShapeParam", fields("hasStart:bool start:i32 hasEnd:bool end:i32")),
    102: (
        "RoPEParam",
        fields("rope_cut_head_dim:i32 num_head:i32 kv_num_head:i32 head_dim:i32"),
    ),
    103: ("FusedLinearParam", fields("- act_silu_mul:bool has_ln:bool - ln_fold:bool")),
}
"""Members of the parameter union: name, and the fields that are numbers, text or short lists."""

VECTORS: dict[str, tuple[tuple[str, int, str, int], ...]] = {
    "BatchNorm": (
        *(("slope", 1, "f32", 0), ("bias", 4, "f32", 0), ("mean", 2, "f32", 0)),
        ("variance", 3, "f32", 0),
    ),
    "MatMul": (("weight", 3, "f32", 0), ("bias", 4, "f32", 0)),
    "Normalize": (("scale", 3, "f32", 0),),
    "PRelu": (("slope", 1, "f32", 0),),
    "QuantizedBiasAdd": (("bias", 0, "i32", 0),),
    "Scale": (("scale", 1, "f32", 3), ("bias", 2, "f32", 3)),
    "LayerNorm": (("gamma", 2, "f32", 5), ("beta", 3, "f32", 5)),
    "GroupNorm": (("gamma", 2, "f32", 6), ("beta", 3, "f32", 6)),
}
"""Weights of parameters: name, field, element kind, and the field that tells where in the weights file
the parameter's vectors lie one after another (0 for none)."""

BLOBS: dict[str, tuple[tuple[str, int], ...]] = {
    "LSTM": (("weightI", 3), ("weightH", 4), ("bias", 5), ("weightIQ", 6), ("weightIA", 7)),
    "Proposal": (("ratios", 7), ("scales", 8), ("anchors", 9)),
    "SpaceBatch": (("blockShape", 0), ("padding", 1)),
    "RNNParam": (
        *(("fwGateWeight", 4), ("fwGateBias", 5), ("fwCandidateWeight", 6)),
        *(("fwCandidateBias", 7), ("fwRecurrentBias", 8), ("bwGateWeight", 9)),
        *(("bwGateBias", 10), ("bwCandidateWeight", 11), ("bwCandidateBias", 12)),
        ("bwRecurrentBias", 13),
    ),
}
"""Weights of parameters that are constants with a shape of their own: name and field."""

BINARY = _numbered(
    """
    ADD SUB MUL DIV MAX_TEMP MIN_TEMP POW REALDIV MINIMUM MAXIMUM GREATER GREATER_EQUAL LESS FLOORDIV
    SquaredDifference EQUAL LESS_EQUAL FLOORMOD MOD=19 ATAN2 LOGICALOR NOTEQUAL BITWISE_AND BITWISE_OR
    BITWISE_XOR LOGICALXOR LEFTSHIFT RIGHTSHIFT MUL_SILU
    """
)
UNARY = _numbered(
    """
    ABS NEG FLOOR CEIL SQUARE SQRT RSQRT EXP LOG SIN COS TAN ASIN ACOS ATAN RECIPROCAL LOG1P BNLL ACOSH
    SINH ASINH ATANH SIGN ROUND COSH ERF ERFC ERFINV EXPM1 SIGMOID TANH HARDSWISH GELU GELU_STANDARD
    SILU
    """
)
REDUCTIONS = ("SUM", "ASUM", "SUMSQ", "MEAN", "MAXIMUM", "MINIMUM", "PROD", "ANY", "ALL")
ELTWISE = ("PROD", "SUM", "MAXIMUM", "SUB")

ENUMERATIONS: dict[tuple[str, str], dict[int, str]] = {
    ("BinaryOp", "opType"): BINARY,
    ("UnaryOp", "opType"): UNARY,
    ("ReductionParam", "operation"): dict(enumerate(REDUCTIONS)),
    ("Eltwise", "type"): dict(enumerate(ELTWISE)),
    ("EltwiseInt8", "type"): dict(enumerate(ELTWISE)),
    ("Pool", "type"): {0: "MAX", 1: "AVERAGE"},
    ("Pool3D", "type"): {0: "MAX", 1: "AVERAGE"},
    ("PadParam", "mode"): {0: "CONSTANT", 1: "REFLECT", 2: "SYMMETRIC", 3: "EDGE"},
    ("DepthSpaceParam", "mode"): {0: "DCR", 1: "CRD"},
}
"""Fields that are enumerations, as the names of their values."""
