"""Field numbers, enumerations and option tables of TensorFlow Lite files.

**Source:** https://github.com/google-ai-edge/LiteRT/blob/main/tflite/converter/schema/schema.fbs
"""

from gaugenn.formats._flatbuffers import Field, fields
from gaugenn.graph import DataType


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


IDENTIFIER = b"TFL3"
VERSION = 3
"""The one schema version in use; 3a, 3b, 3c and 3d only add fields. Versions 0 to 2 were never
released with an identifier."""

CUSTOM = 32
"""Operator code of custom operators, which are named by `custom_code`."""


class ModelField:
    """Field numbers of the root table."""

    VERSION = 0
    OPERATOR_CODES = 1
    SUBGRAPHS = 2
    DESCRIPTION = 3
    BUFFERS = 4
    METADATA = 6
    SIGNATURES = 7
    EXTERNAL_GROUPS = 8
    EXTERNAL_BUFFERS = 9


class SubgraphField:
    """Field numbers of a sub-graph."""

    TENSORS = 0
    INPUTS = 1
    OUTPUTS = 2
    OPERATORS = 3
    NAME = 4


class TensorField:
    """Field numbers of a tensor."""

    SHAPE = 0
    TYPE = 1
    BUFFER = 2
    NAME = 3
    QUANTIZATION = 4
    IS_VARIABLE = 5
    SPARSITY = 6
    SHAPE_SIGNATURE = 7
    HAS_RANK = 8
    EXTERNAL_BUFFER = 10


class QuantizationField:
    """Field numbers of a tensor's quantisation, and the members of its `DETAILS` union."""

    SCALE = 2
    ZERO_POINT = 3
    DETAILS = 4
    DIMENSION = 6

    BLOCKWISE = 2
    MULTI_AXIS = 3


BLOCKWISE = fields("scales:i32 zero_points:i32 block_size:i32 dimensions:[i32]")
"""Blockwise and multi-axis quantisation; only the latter has `dimensions`."""


class SparsityField:
    """Field numbers of a sparse tensor's index, and of each of its dimensions."""

    TRAVERSAL_ORDER = 0
    BLOCK_MAP = 1
    DIMENSIONS = 2

    FORMAT = 0
    DENSE_SIZE = 1
    SEGMENTS = 2
    INDICES = 4


SPARSE_INDEX_KINDS = {1: "i32", 2: "u16", 3: "u8"}
"""Members of the union of sparse index vectors: the kind of their elements."""


class OperatorField:
    """Field numbers of an operator."""

    CODE_INDEX = 0
    INPUTS = 1
    OUTPUTS = 2
    OPTIONS = 3
    CUSTOM_OPTIONS = 5
    LARGE_OPTIONS_OFFSET = 9
    LARGE_OPTIONS_SIZE = 10
    OPTIONS_2 = 11


OPERATOR_CODE = fields("deprecated:i8 custom:str version:i32=1 builtin:i32")
"""The code is the larger of `deprecated` (a byte, 127 for newer operators) and `builtin`."""

BUFFER = fields("- offset:u64 size:u64")
"""Where a buffer's bytes lie when they are not inside the FlatBuffer; offsets above 1 count."""

EXTERNAL_BUFFER = fields("id:u32 group:u32 offset:u64 length:u64 packing:str")

TENSOR_TYPES = (
    *(DataType.FLOAT32, DataType.FLOAT16, DataType.INT32, DataType.UINT8, DataType.INT64),
    *(DataType.STRING, DataType.BOOL, DataType.INT16, DataType.COMPLEX64, DataType.INT8),
    *(DataType.FLOAT64, DataType.COMPLEX128, DataType.UINT64, DataType.RESOURCE),
    *(DataType.VARIANT, DataType.UINT32, DataType.UINT16, DataType.INT4, DataType.BFLOAT16),
    *(DataType.INT2, DataType.UINT4, DataType.FLOAT8_E4M3FN, DataType.FLOAT8_E5M2),
)
"""Element types by their number."""

OPERATORS = _words(
    """
    ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE
    EMBEDDING_LOOKUP FLOOR FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D
    LOCAL_RESPONSE_NORMALIZATION LOGISTIC LSH_PROJECTION LSTM MAX_POOL_2D MUL RELU RELU_N1_TO_1 RELU6
    RESHAPE RESIZE_BILINEAR RNN SOFTMAX SPACE_TO_DEPTH SVDF TANH CONCAT_EMBEDDINGS SKIP_GRAM CALL
    CUSTOM EMBEDDING_LOOKUP_SPARSE PAD UNIDIRECTIONAL_SEQUENCE_RNN GATHER BATCH_TO_SPACE_ND
    SPACE_TO_BATCH_ND TRANSPOSE MEAN SUB DIV SQUEEZE UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE
    BIDIRECTIONAL_SEQUENCE_RNN EXP TOPK_V2 SPLIT LOG_SOFTMAX DELEGATE BIDIRECTIONAL_SEQUENCE_LSTM CAST
    PRELU MAXIMUM ARG_MAX MINIMUM LESS NEG PADV2 GREATER GREATER_EQUAL LESS_EQUAL SELECT SLICE SIN
    TRANSPOSE_CONV SPARSE_TO_DENSE TILE EXPAND_DIMS EQUAL NOT_EQUAL LOG SUM SQRT RSQRT SHAPE POW
    ARG_MIN FAKE_QUANT REDUCE_PROD REDUCE_MAX PACK LOGICAL_OR ONE_HOT LOGICAL_AND LOGICAL_NOT UNPACK
    REDUCE_MIN FLOOR_DIV REDUCE_ANY SQUARE ZEROS_LIKE FILL FLOOR_MOD RANGE RESIZE_NEAREST_NEIGHBOR
    LEAKY_RELU SQUARED_DIFFERENCE MIRROR_PAD ABS SPLIT_V UNIQUE CEIL REVERSE_V2 ADD_N GATHER_ND COS
    WHERE RANK ELU REVERSE_SEQUENCE MATRIX_DIAG QUANTIZE MATRIX_SET_DIAG ROUND HARD_SWISH IF WHILE
    NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 SCATTER_ND SELECT_V2 DENSIFY SEGMENT_SUM
    BATCH_MATMUL PLACEHOLDER_FOR_GREATER_OP_CODES CUMSUM CALL_ONCE BROADCAST_TO RFFT2D CONV_3D IMAG
    REAL COMPLEX_ABS HASHTABLE HASHTABLE_FIND HASHTABLE_IMPORT HASHTABLE_SIZE REDUCE_ALL
    CONV_3D_TRANSPOSE VAR_HANDLE READ_VARIABLE ASSIGN_VARIABLE BROADCAST_ARGS RANDOM_STANDARD_NORMAL
    BUCKETIZE RANDOM_UNIFORM MULTINOMIAL GELU DYNAMIC_UPDATE_SLICE RELU_0_TO_1 UNSORTED_SEGMENT_PROD
    UNSORTED_SEGMENT_MAX UNSORTED_SEGMENT_SUM ATAN2 UNSORTED_SEGMENT_MIN SIGN BITCAST BITWISE_XOR
    RIGHT_SHIFT STABLEHLO_LOGISTIC STABLEHLO_ADD STABLEHLO_DIVIDE STABLEHLO_MULTIPLY
    STABLEHLO_MAXIMUM STABLEHLO_RESHAPE STABLEHLO_CLAMP STABLEHLO_CONCATENATE
    STABLEHLO_BROADCAST_IN_DIM STABLEHLO_CONVOLUTION STABLEHLO_SLICE STABLEHLO_CUSTOM_CALL
    STABLEHLO_REDUCE STABLEHLO_ABS STABLEHLO_AND STABLEHLO_COSINE STABLEHLO_EXPONENTIAL
    STABLEHLO_FLOOR STABLEHLO_LOG STABLEHLO_MINIMUM STABLEHLO_NEGATE STABLEHLO_OR STABLEHLO_POWER
    STABLEHLO_REMAINDER STABLEHLO_RSQRT STABLEHLO_SELECT STABLEHLO_SUBTRACT STABLEHLO_TANH
    STABLEHLO_SCATTER STABLEHLO_COMPARE STABLEHLO_CONVERT STABLEHLO_DYNAMIC_SLICE
    STABLEHLO_DYNAMIC_UPDATE_SLICE STABLEHLO_PAD STABLEHLO_IOTA STABLEHLO_DOT_GENERAL
    STABLEHLO_REDUCE_WINDOW STABLEHLO_SORT STABLEHLO_WHILE STABLEHLO_GATHER STABLEHLO_TRANSPOSE
    DILATE STABLEHLO_RNG_BIT_GENERATOR REDUCE_WINDOW STABLEHLO_COMPOSITE STABLEHLO_SHIFT_LEFT
    STABLEHLO_CBRT STABLEHLO_CASE
    """
)
"""Names of the built-in operators by their code."""

_ACTIVATION = "fused_activation_function:i8"
_REDUCED_INPUT = "asymmetric_quantize_inputs?:bool"
_ONLY_ACTIVATION = fields(_ACTIVATION)
_RESIZE = fields("align_corners:bool half_pixel_centers:bool")
_EXACT_SUM = fields(f"{_ACTIVATION} pot_scale_int16?:bool")
_BRANCHES = fields("cond_subgraph_index:i32 body_subgraph_index:i32")

OPTIONS: dict[int, tuple[Field, ...]] = {
    1: fields(
        f"padding:i8 stride_w:i32 stride_h:i32 {_ACTIVATION} dilation_w_factor:i32=1 "
        "dilation_h_factor:i32=1 quantized_bias_type?:i8"
    ),
    2: fields(
        f"padding:i8 stride_w:i32 stride_h:i32 depth_multiplier:i32 {_ACTIVATION} "
        "dilation_w_factor:i32=1 dilation_h_factor:i32=1"
    ),
    3: fields("num_channels:i32 num_columns_per_channel:[i32] embedding_dim_per_channel:[i32]"),
    4: fields("type:i8"),
    5: fields(
        f"padding:i8 stride_w:i32 stride_h:i32 filter_width:i32 filter_height:i32 {_ACTIVATION}"
    ),
    6: fields(f"rank:i32 {_ACTIVATION} {_REDUCED_INPUT}"),
    7: fields(f"{_ACTIVATION} {_REDUCED_INPUT}"),
    8: fields(
        f"{_ACTIVATION} weights_format?:i8 keep_num_dims:bool {_REDUCED_INPUT} "
        "quantized_bias_type?:i8"
    ),
    9: fields("beta:f32"),
    10: fields(f"axis:i32 {_ACTIVATION}"),
    11: _EXACT_SUM,
    12: _ONLY_ACTIVATION,
    13: fields("radius:i32 bias:f32 alpha:f32 beta:f32"),
    14: fields(f"{_ACTIVATION} cell_clip:f32 proj_clip:f32 kernel_type:i8 {_REDUCED_INPUT}"),
    15: fields("- - align_corners:bool half_pixel_centers:bool"),
    16: fields("subgraph:u32"),
    17: fields("new_shape:[i32]"),
    18: fields("ngram_size:i32 max_skip_size:i32 include_all_ngrams:bool"),
    19: fields("block_size:i32"),
    20: fields("combiner:i8"),
    21: _ONLY_ACTIVATION,
    23: fields("axis:i32 batch_dims:i32"),
    27: fields("keep_dims:bool"),
    28: _EXACT_SUM,
    29: _ONLY_ACTIVATION,
    30: fields("squeeze_dims:[i32]"),
    31: fields(f"time_major:bool {_ACTIVATION} {_REDUCED_INPUT}"),
    32: fields(
        "begin_mask:i32 end_mask:i32 ellipsis_mask:i32 new_axis_mask:i32 shrink_axis_mask:i32 "
        "offset:bool"
    ),
    35: fields("num_splits:i32"),
    37: fields("in_data_type:i8 out_data_type:i8"),
    40: fields("output_type:i8"),
    49: fields(f"padding:i8 stride_w:i32 stride_h:i32 {_ACTIVATION} quantized_bias_type?:i8"),
    50: fields("validate_indices:bool"),
    55: fields("out_type:i8"),
    57: fields("output_type:i8"),
    58: fields("min:f32 max:f32 num_bits:i32 narrow_range:bool"),
    59: fields("values_count:i32 axis:i32"),
    61: fields("axis:i32"),
    64: fields("num:i32 axis:i32"),
    69: fields(
        f"{_ACTIVATION} cell_clip:f32 proj_clip:f32 merge_outputs:bool time_major:bool=1 "
        f"{_REDUCED_INPUT}"
    ),
    70: fields(f"time_major:bool {_ACTIVATION} merge_outputs:bool {_REDUCED_INPUT}"),
    71: fields(
        f"{_ACTIVATION} cell_clip:f32 proj_clip:f32 time_major:bool {_REDUCED_INPUT} "
        "diagonal_recurrent_tensors?:bool"
    ),
    74: _RESIZE,
    75: fields("alpha:f32"),
    77: fields("mode:i8"),
    79: fields("num_splits:i32"),
    80: fields("idx_out_type:i8=2"),
    87: fields("seq_dim:i32 batch_dim:i32"),
    92: fields("then_subgraph_index:i32 else_subgraph_index:i32"),
    93: _BRANCHES,
    94: fields("block_size:i32"),
    101: fields(f"adj_x:bool adj_y:bool {_REDUCED_INPUT}"),
    102: fields("exclusive:bool reverse:bool"),
    103: fields("init_subgraph_index:i32"),
    106: fields(
        f"padding:i8 stride_d:i32 stride_w:i32 stride_h:i32 {_ACTIVATION} dilation_d_factor:i32=1 "
        "dilation_w_factor:i32=1 dilation_h_factor:i32=1"
    ),
    107: fields("table_id:i32 key_dtype:i8 value_dtype:i8"),
    111: fields("container:str shared_name:str"),
    114: fields("seed:i64 seed2:i64"),
    115: fields("boundaries:[f32]"),
    116: fields("approximate:bool"),
}
"""Options tables by their number in the first options union; numbers that are left out are empty."""

OPTIONS_2: dict[int, tuple[Field, ...]] = {
    1: fields("dimension:i64"),
    2: fields("broadcast_dimensions:[i64]"),
    3: fields("start_indices:[i64] limit_indices:[i64] strides:[i64]"),
    4: fields(
        "window_strides:[i64] padding:[i64] lhs_dilation:[i64] rhs_dilation:[i64] "
        "window_reversal:[u8] input_batch_dimension:i64 input_feature_dimension:i64 "
        "input_spatial_dimensions:[i64] kernel_input_feature_dimension:i64 "
        "kernel_output_feature_dimension:i64 kernel_spatial_dimensions:[i64] "
        "output_batch_dimension:i64 output_feature_dimension:i64 output_spatial_dimensions:[i64] "
        "feature_group_count:i64 batch_group_count:i64"
    ),
    5: fields(
        "call_target_name:str has_side_effect:bool - api_version:i32 called_computations:[i32]"
    ),
    6: fields("dimensions:[i64] body_subgraph_index:i32"),
    7: fields(
        "indices_are_sorted:bool update_window_dims:[i64] inserted_window_dims:[i64] "
        "scatter_dims_to_operand_dims:[i64] index_vector_dim:i64 unique_indices:bool "
        "update_computation_subgraph_index:i32"
    ),
    8: fields("comparison_direction:u32 compare_type:u32"),
    9: fields("slice_sizes:[i64]"),
    10: fields("edge_padding_low:[i64] edge_padding_high:[i64] interior_padding:[i64]"),
    11: fields("iota_dimension:i64"),
    12: fields(
        "lhs_batching_dimensions:[i64] rhs_batching_dimensions:[i64] "
        "lhs_contracting_dimensions:[i64] rhs_contracting_dimensions:[i64]"
    ),
    13: fields(
        "window_dimensions:[i64] window_strides:[i64] base_dilations:[i64] window_dilations:[i64] "
        "padding:[i64] body_subgraph_index:i32"
    ),
    14: fields("dimension:i64 is_stable:bool comparator_subgraph_index:i32"),
    15: _BRANCHES,
    16: fields(
        "offset_dims:[i64] collapsed_slice_dims:[i64] start_index_map:[i64] index_vector_dim:i64 "
        "slice_sizes:[i64] indices_are_sorted:bool"
    ),
    17: fields("permutation:[i64]"),
    19: fields("algorithm:i8"),
    20: fields("reduce_function:i32"),
    21: fields("name:str decomposition_subgraph_index?:i32 - - version:i32"),
    23: fields("branch_subgraph_indices:[i32]"),
}
"""Options tables by their number in the second options union."""

ENUMERATIONS: dict[str, tuple[str, ...]] = {
    "weights_format": ("DEFAULT", "SHUFFLED4x16INT8"),
    "kernel_type": ("FULL", "BASIC"),
    "combiner": ("SUM", "MEAN", "SQRTN"),
    "type": ("UNKNOWN", "SPARSE", "DENSE"),
    "mode": ("REFLECT", "SYMMETRIC"),
    "comparison_direction": ("EQ", "NE", "GE", "GT", "LE", "LT"),
    "compare_type": ("NOTYPE", "FLOAT", "FLOAT_TOTAL_ORDER", "SIGNED", "UNSIGNED"),
    "algorithm": ("DEFAULT", "PHILOX", "THREEFRY"),
    "reduce_function": ("UNSUPPORTED", "ADD", "MUL", "MINIMUM", "MAXIMUM", "ALL", "ANY"),
    **dict.fromkeys(
        ("quantized_bias_type", "in_data_type", "out_data_type", "output_type", "out_type"),
        tuple(TENSOR_TYPES),
    ),
    **dict.fromkeys(("idx_out_type", "key_dtype", "value_dtype"), tuple(TENSOR_TYPES)),
}
"""Options that are enumerations, as the names of their values."""

SUBGRAPH_OPTIONS: dict[str, str] = {
    "subgraph": "subgraph",
    "then_subgraph_index": "then_branch",
    "else_subgraph_index": "else_branch",
    "cond_subgraph_index": "cond",
    "body_subgraph_index": "body",
    "init_subgraph_index": "init",
    "comparator_subgraph_index": "comparator",
    "update_computation_subgraph_index": "update_computation",
    "decomposition_subgraph_index": "decomposition",
    "branch_subgraph_indices": "branch",
    "called_computations": "called_computation",
}
"""Options that name sub-graphs, and the attribute that each becomes (numbered where several)."""
