"""Field numbers, enumerations and operator tables of MindSpore Lite files.

**Source:** https://github.com/mindspore-ai/mindspore-lite/tree/master/mindspore-lite/schema and, for
element types, mindspore-lite/java/src/main/java/com/mindspore/config/DataType.java of that repository.
"""

from gaugenn.formats._flatbuffers import Field, fields
from gaugenn.graph import DataType


class GraphField:
    """Field numbers of the root table."""

    NAME = 0
    VERSION = 1
    SOURCE = 2
    INPUTS = 3
    OUTPUTS = 4
    NODES = 6
    TENSORS = 7
    SUBGRAPHS = 8
    OBFUSCATED = 9


class SubgraphField:
    """Field numbers of a sub-graph."""

    NAME = 0
    INPUTS = 1
    OUTPUTS = 2
    NODES = 3


class NodeField:
    """Field numbers of a node; its primitive is a table with nothing but a union."""

    NAME = 0
    PRIMITIVE = 2
    INPUTS = 3
    OUTPUTS = 4


class TensorField:
    """Field numbers of a tensor."""

    TYPE = 1
    DIMENSIONS = 2
    DATA = 6
    QUANTIZATION = 7
    NAME = 9
    HUFFMAN = 10
    COMPRESSION = 11
    EXTERNAL = 12


DATA_TYPES: dict[int, DataType] = {
    12: DataType.STRING,
    30: DataType.BOOL,
    31: DataType.INT32,
    32: DataType.INT8,
    33: DataType.INT16,
    34: DataType.INT32,
    35: DataType.INT64,
    36: DataType.UINT32,
    37: DataType.UINT8,
    38: DataType.UINT16,
    39: DataType.UINT32,
    40: DataType.UINT64,
    41: DataType.FLOAT32,
    42: DataType.FLOAT16,
    43: DataType.FLOAT32,
    44: DataType.FLOAT64,
    45: DataType.BFLOAT16,
    48: DataType.COMPLEX64,
    49: DataType.COMPLEX128,
    50: DataType.INT4,
}
"""Element types by their number."""

SOURCES = ("tensorflow", "caffe", "onnx", "mindir", "tflite", "pytorch")
"""The framework that a model was converted from."""

QUANTIZATION = fields("scale:f64=1 zeroPoint:i32 - - - numBits:i32=8 inited:bool")
EXTERNAL = fields("- location:str offset:i64 length:i64=-1")

ACTIVATIONS = {
    1: "Relu",
    2: "Sigmoid",
    3: "Clip",
    4: "Elu",
    5: "LeakyRelu",
    6: "Abs",
    7: "Clip",
    8: "Softsign",
    9: "Softplus",
    10: "Tanh",
    11: "Selu",
    12: "HardSwish",
    13: "HardSigmoid",
    14: "ThresholdedRelu",
    15: "Identity",
    16: "Clip",
    17: "Sign",
    18: "Swish",
    19: "Gelu",
}
"""ONNX operators of the activations by their number."""

ACTIVATION_LIMITS = {3: (0.0, 6.0), 7: (0.0, 1.0), 16: (-1.0, 1.0)}
"""Limits of the activations that are a `Clip`."""

OPERATORS = tuple(
    """
    Abs Activation ActivationGrad Adam AddFusion AdderFusion AddGrad AddN All ApplyMomentum
    ArgMaxFusion ArgMinFusion Assert Assign AssignAdd AudioSpectrogram AvgPoolFusion AvgPoolGrad
    BatchNorm BatchNormGrad BatchToSpace BatchToSpaceND BiasAdd BinaryCrossEntropy
    BinaryCrossEntropyGrad BiasAddGrad BroadcastTo Cast Ceil Clip Concat Attention
    Conv2DBackpropFilterFusion Conv2DBackpropInputFusion Conv2DFusion Conv2dTransposeFusion Cos
    ConstantOfShape Crop CustomExtractFeatures CustomNormalize CustomPredict DeConv2DGradFilter
    Depend DepthToSpace DetectionPostProcess DivFusion DivGrad Dropout DropoutGrad Elu Eltwise
    Equal EmbeddingLookupFusion ExpFusion ExpandDims FakeQuantWithMinMaxVars
    FakeQuantWithMinMaxVarsPerChannel FftReal FftImag Flatten FlattenGrad Floor FloorDiv
    FloorMod Fill FullConnection FusedBatchNorm Gather GatherNd Greater GreaterEqual
    HashtableLookup InstanceNorm LayerNormFusion LeakyRelu Less LessEqual Log LogGrad LogicalAnd
    LogicalNot LogicalOr LpNormalization LRN LshProjection LSTM L2NormalizeFusion MatMulFusion
    Maximum MaximumGrad MaxPoolFusion MaxPoolGrad SwitchLayer Mfcc Minimum MinimumGrad Mod
    MulFusion MulGrad Neg NegGrad NotEqual NonMaxSuppression OneHot OnesLike PadFusion
    PartialFusion PowerGrad PowFusion PriorBox PReLUFusion QuantDTypeCast Rank Range Reciprocal
    RealDiv ReduceFusion Reshape Resize ReverseSequence ReverseV2 Rfft ROIPooling Round Rsqrt
    ScaleFusion ScatterNd SGD Shape SigmoidCrossEntropyWithLogits
    SigmoidCrossEntropyWithLogitsGrad Sin SkipGram SliceFusion SmoothL1Loss SmoothL1LossGrad
    Softmax SoftmaxCrossEntropyWithLogits SpaceToBatch SpaceToBatchND SpaceToDepth
    SparseSoftmaxCrossEntropyWithLogits SparseToDense Split Sqrt Squeeze Square
    SquaredDifference Stack StridedSlice SubFusion SubGrad Switch TensorListFromTensor
    TensorListGetItem TensorListReserve TensorListSetItem TensorListStack TileFusion TopKFusion
    Transpose Unique UnsortedSegmentSum Unsqueeze Unstack LSTMGrad Where ZerosLike Select
    ScatterNdUpdate GRU NonZero InvertPermutation Size RandomStandardNormal CropAndResize Erf
    StridedSliceGrad IsFinite LinSpace UniformReal AbsGrad RsqrtGrad SqrtGrad LayerNormGrad
    ResizeGrad Splice LogSoftmax Call Custom CumSum SplitWithOverlap GenOP RaggedRange GLU
    TensorArray TensorArrayRead TensorArrayWrite Affine AllGather ReduceScatter DynamicQuant
    LSTMGradData LSTMGradWeight RandomNormal NLLLoss NLLLossGrad FormatTranspose GatherD
    GroupNormFusion Log1p TensorScatterAdd SparseFillEmptyRows SparseReshape SparseSegmentSum
    ScatterElements Triu Tril AdamWeightDecay FillV2
    """.split()  # noqa: SIM905
)
"""Operators by their number, from 1."""

OPTIONS: dict[str, tuple[Field, ...]] = {
    "Activation": fields("activation_type:i8 alpha:f32 min_val:f32 max_val:f32 approximate:bool"),
    "ActivationGrad": fields("activation_type:i8 alpha:f32"),
    "Adam": fields("use_locking:bool use_nesterov:bool"),
    "AddFusion": fields("activation_type:i8"),
    "AdderFusion": fields(
        "format:i32 kernel_size:[i64] stride:[i64] dilation:[i64] pad_mode:i8 pad_list:[i64] "
        "group:i64 in_channel:i64 out_channel:i64 activation_type:i8"
    ),
    "All": fields("keep_dims:i64"),
    "ApplyMomentum": fields("use_nesterov:bool use_locking:bool gradient_scale:f32"),
    "ArgMaxFusion": fields("axis:i64 top_k:i64=1 keep_dims:bool out_max_value:bool"),
    "ArgMinFusion": fields("axis:i64 top_k:i64 keep_dims:bool out_max_value:bool"),
    "Assert": fields("summarize:i64"),
    "AudioSpectrogram": fields("window_size:i64 stride:i64 mag_square:bool"),
    "AvgPoolFusion": fields(
        "kernel_size:[i64] strides:[i64] pad:[i64] pad_mode:i8 round_mode:i8 format:i32 "
        "global:bool activation_type:i8"
    ),
    "AvgPoolGrad": fields("kernel_size:[i64] strides:[i64] pad_mode:i8 format:i32"),
    "BatchNorm": fields("epsilon:f32 format:i32 is_training:bool"),
    "BatchNormGrad": fields("epsilon:f32 is_training:bool"),
    "BatchToSpace": fields("block_size:[i64]"),
    "BatchToSpaceND": fields("block_shape:[i64]"),
    "BiasAdd": fields("format:i32"),
    "BinaryCrossEntropy": fields("reduction:i8"),
    "BinaryCrossEntropyGrad": fields("reduction:i8=1"),
    "BroadcastTo": fields("shape:[i64]"),
    "Clip": fields("max:f32 min:f32"),
    "Concat": fields("axis:i64"),
    "Attention": fields("head_num:i64 head_size:i64 cross:bool scale:f32"),
    "Conv2DBackpropFilterFusion": fields(
        "format:i32 kernel_size:[i64] stride:[i64] dilation:[i64] pad_mode:i8 pad_list:[i64] "
        "mode:i64 group:i64 in_channel:i64 out_channel:i64 activation_type:i8"
    ),
    "Conv2DBackpropInputFusion": fields(
        "format:i32 kernel_size:[i64] stride:[i64] dilation:[i64] pad_mode:i8 pad:[i64] "
        "pad_list:[i64] mode:i64 group:i64 in_channel:i64 out_channel:i64 activation_type:i8"
    ),
    "Conv2DFusion": fields(
        "format:i32 kernel_size:[i64] stride:[i64] dilation:[i64] pad_mode:i8 pad_list:[i64] "
        "mode:i64 group:i64 in_channel:i64 out_channel:i64 activation_type:i8"
    ),
    "Conv2dTransposeFusion": fields(
        "format:i32 kernel_size:[i64] stride:[i64] dilation:[i64] pad_mode:i8 pad:[i64] "
        "pad_list:[i64] mode:i64 group:i64 in_channel:i64 out_channel:i64 activation_type:i8 "
        "output_paddings:[i64]"
    ),
    "ConstantOfShape": fields("data_type:i64 value:[f32]"),
    "Crop": fields("axis:i64 offsets:[i64]"),
    "CustomPredict": fields("output_num:i64 weight_threshold:f32"),
    "DeConv2DGradFilter": fields(
        "in_channel:i64 out_channel:i64 kernel_size:[i64] pad_mode:i8 pad_list:[i64] "
        "stride:[i64] dilation:[i64] group:i64 format:i32 activation_type:i8"
    ),
    "DepthToSpace": fields("block_size:i64 format:i32 mode:str"),
    "DetectionPostProcess": fields(
        "format:i32 input_size:i64 scale:[f32] nms_iou_threshold:f32 nms_score_threshold:f32 "
        "max_detections:i64 detections_per_class:i64 max_classes_per_detection:i64 "
        "num_classes:i64 use_regular_nms:bool out_quantized:bool"
    ),
    "DivFusion": fields("activation_type:i8"),
    "Dropout": fields("keep_prob:f32=0.5"),
    "DropoutGrad": fields("keep_prob:f32"),
    "Elu": fields("alpha:f32"),
    "Eltwise": fields("mode:i8"),
    "EmbeddingLookupFusion": fields("max_norm:f32"),
    "ExpFusion": fields("base:f32=-1 scale:f32=1.0 shift:f32"),
    "FakeQuantWithMinMaxVars": fields("num_bits:i64 narrow_range:bool"),
    "FakeQuantWithMinMaxVarsPerChannel": fields("num_bits:i64 narrow_range:bool"),
    "Flatten": fields("axis:i64=1"),
    "FullConnection": fields("has_bias:bool use_axis:bool axis:i64 activation_type:i8"),
    "FusedBatchNorm": fields("epsilon:f32=0.0001 momentum:f32=0.9 mode:i64"),
    "InstanceNorm": fields("epsilon:f32"),
    "LayerNormFusion": fields(
        "begin_norm_axis:i64 epsilon:f32=0.00001 elementwise_affine:bool begin_params_axis:i64"
    ),
    "LeakyRelu": fields("negative_slope:f32"),
    "LpNormalization": fields("axis:i64 p:i64"),
    "LRN": fields("depth_radius:i64 bias:f32 alpha:f32 beta:f32 norm_region:str"),
    "LshProjection": fields("type:i8"),
    "LSTM": fields(
        "bidirectional:bool has_bias:bool input_size:i64 hidden_size:i64 num_layers:i64 "
        "num_directions:i64 dropout:f32 zoneout_cell:f32 zoneout_hidden:f32 proj_size:i64"
    ),
    "L2NormalizeFusion": fields("axis:[i64] epsilon:f32 activation_type:i8"),
    "MatMulFusion": fields("transpose_a:bool transpose_b:bool activation_type:i8"),
    "MaximumGrad": fields("grad_x:bool grad_y:bool"),
    "MaxPoolFusion": fields(
        "kernel_size:[i64] strides:[i64] pad:[i64] pad_mode:i8 round_mode:i8 format:i32 "
        "global:bool activation_type:i8"
    ),
    "MaxPoolGrad": fields("kernel_size:[i64] strides:[i64] pad_mode:i8 format:i32"),
    "Mfcc": fields(
        "freq_upper_limit:f32 freq_lower_limit:f32 filter_bank_channel_num:i64 dct_coeff_num:i64"
    ),
    "MinimumGrad": fields("grad_x:bool grad_y:bool"),
    "MulFusion": fields("activation_type:i8"),
    "NonMaxSuppression": fields("center_point_box:i64"),
    "OneHot": fields("axis:i64"),
    "PadFusion": fields("- padding_mode:i8 constant_value:f32"),
    "PartialFusion": fields("sub_graph_index:i64"),
    "PowerGrad": fields("power:f32 scale:f32 shift:f32"),
    "PowFusion": fields("scale:f32=1 shift:f32"),
    "PriorBox": fields(
        "min_sizes:[i64] max_sizes:[i64] aspect_ratios:[f32] variances:[f32] image_size_w:i64 "
        "image_size_h:i64 step_w:f32 step_h:f32 clip:bool flip:bool offset:f32"
    ),
    "PReLUFusion": fields("channel_shared:bool"),
    "QuantDTypeCast": fields("src_t:i64 dst_t:i64 axis:i64"),
    "Range": fields("d_type:i64 start:i64 limit:i64 delta:i64=1"),
    "ReduceFusion": fields("keep_dims:bool mode:i8 reduce_to_end:bool coeff:f32"),
    "Resize": fields(
        "format:i32 method:i8 new_height:i64 new_width:i64 preserve_aspect_ratio:bool "
        "coordinate_transform_mode:i8 cubic_coeff:f32 exclude_outside:i64 "
        "extrapolation_value:f32 nearest_mode:i8"
    ),
    "ReverseSequence": fields("seq_dim:i64 batch_dim:i64"),
    "ReverseV2": fields("axis:[i64]"),
    "Rfft": fields("fft_length:i64"),
    "ROIPooling": fields("pooled_h:i64 pooled_w:i64 scale:f32"),
    "ScaleFusion": fields("axis:i64 activation_type:i8"),
    "SGD": fields("nesterov:bool dampening:f32 weight_decay:f32"),
    "SkipGram": fields("include_all_grams:bool max_skip_size:i64 ngram_size:i64"),
    "SliceFusion": fields("axes:[i64]"),
    "SmoothL1Loss": fields("beta:f32"),
    "SmoothL1LossGrad": fields("beta:f32"),
    "Softmax": fields("axis:[i64]"),
    "SpaceToBatch": fields("block_size:[i64]"),
    "SpaceToBatchND": fields("block_shape:[i64]"),
    "SpaceToDepth": fields("block_size:i64 format:i32"),
    "SparseSoftmaxCrossEntropyWithLogits": fields("is_grad:bool"),
    "Split": fields("output_num:i64 size_splits:[i64] axis:i64"),
    "Squeeze": fields("axis:[i64]"),
    "Stack": fields("axis:i64"),
    "StridedSlice": fields(
        "begin_mask:i64 end_mask:i64 ellipsis_mask:i64 new_axis_mask:i64 shrink_axis_mask:i64"
    ),
    "SubFusion": fields("activation_type:i8"),
    "TensorListFromTensor": fields("element_dtype:i64 shape_type:i64"),
    "TensorListGetItem": fields("element_dtype:i64"),
    "TensorListReserve": fields("element_dtype:i64 shape_type:i64"),
    "TensorListSetItem": fields("element_dtype:i64"),
    "TensorListStack": fields("num_elements:i64 element_dtype:i64"),
    "TileFusion": fields("dims:[i64]"),
    "TopKFusion": fields("sorted:bool=1 axis:i64 largest:i64"),
    "Unsqueeze": fields("axis:[i64]"),
    "Unstack": fields("axis:i64"),
    "LSTMGrad": fields(
        "bidirectional:bool has_bias:bool input_size:i64 hidden_size:i64 num_layers:i64 "
        "num_directions:i64 dropout:f32 zoneout_cell:f32 zoneout_hidden:f32"
    ),
    "GRU": fields("bidirectional:bool"),
    "RandomStandardNormal": fields("seed:i64 seed2:i64"),
    "CropAndResize": fields("method:i8 extrapolation_value:f32"),
    "StridedSliceGrad": fields(
        "begin_mask:i64 end_mask:i64 ellipsis_mask:i64 new_axis_mask:i64 shrink_axis_mask:i64"
    ),
    "UniformReal": fields("seed:i64 seed2:i64"),
    "LayerNormGrad": fields("begin_norm_axis:i64 begin_params_axis:i64"),
    "ResizeGrad": fields("method:i8 align_corners:bool"),
    "Splice": fields("context:[i64] forward_indexes:[i64] output_dim:i64"),
    "LogSoftmax": fields("axis:i64"),
    "Call": fields("is_tail_call:bool=1"),
    "Custom": fields("type:str"),
    "CumSum": fields("exclusive:bool reverse:bool"),
    "SplitWithOverlap": fields(
        "split_dim:i64 number_split:i64 ratio:[i64] extend_top:[i64] extend_bottom:[i64]"
    ),
    "GenOP": fields(
        "activation_type:i8 alpha:f32 min_val:f32 max_val:f32 is_training:bool format:i32 "
        "kernel_size:[i64] stride:[i64] dilation:[i64] pad_mode:i8 pad_list:[i64] mode:i64 "
        "group:i64 in_channel:i64 out_channel:i64 eltwise_mode:i8 has_bias:bool use_axis:bool "
        "axis:i64 epsilon:f32=0.0001 momentum:f32=0.9 transpose_a:bool transpose_b:bool "
        "pad:[i64] round_mode:i8 global:bool channel_shared:bool axes:[i64] keep_dims:bool "
        "reduce_mode:i8 reduce_to_end:bool coeff:f32"
    ),
    "GLU": fields("axis:i64=-1"),
    "TensorArray": fields(
        "dynamic_size:bool identical_element_shapes:bool element_shape:[i32] data_type:i32"
    ),
    "Affine": fields(
        "context:[i64] output_dim:i64 activation_type:i8 transpose_a:bool transpose_b:bool"
    ),
    "AllGather": fields("group:str rank_size:i32"),
    "ReduceScatter": fields("group:str mode:i8 rank_size:i32"),
    "DynamicQuant": fields(
        "symmetric:bool dst_type:i64=32 activation_channel:bool prefer_axis:i64 "
        "transpose:bool prefer_axes:[i32]"
    ),
    "LSTMGradData": fields(
        "bidirectional:bool has_bias:bool input_size:i64 hidden_size:i64 num_layers:i64 "
        "num_directions:i64 dropout:f32 zoneout_cell:f32 zoneout_hidden:f32"
    ),
    "LSTMGradWeight": fields(
        "bidirectional:bool has_bias:bool input_size:i64 hidden_size:i64 num_layers:i64 "
        "num_directions:i64 dropout:f32 zoneout_cell:f32 zoneout_hidden:f32"
    ),
    "RandomNormal": fields("seed:f32 mean:f32 scale:f32"),
    "NLLLoss": fields("reduction:i8"),
    "NLLLossGrad": fields("reduction:i8"),
    "FormatTranspose": fields("src_format:i32=1 dst_format:i32=1"),
    "GroupNormFusion": fields("num_groups:i64 epsilon:f32=1e-5 affine:bool=1"),
    "ScatterElements": fields("axis:i64"),
    "AdamWeightDecay": fields("use_locking:bool"),
}
"""Options of the operators that have any, without nested lists."""
