"""What TensorFlow Lite's operators mean in ONNX.

Where a meaning depends on constants (axes, paddings) and these are computed at run time, or ONNX
would need several operators, `operator` stays empty and the options keep the schema's names.

Four places where the two differ, and what a reader of the graph finds:

- `FULLY_CONNECTED` is `Gemm` with `transB` = 1 where input and output have two dimensions. Otherwise it
  is `MatMul` with the attribute `transB` = 1, the bias as third input, and `keep_num_dims`, which tells
  whether the output keeps the leading dimensions or flattens them into one.
- `BATCH_MATMUL` is `MatMul` with `transA` and `transB` (1 where an operand's last two dimensions are
  swapped first).
- Sequence LSTM and RNN are `LSTM` and `RNN` with `hidden_size`, `direction` and `layout`; the weights
  of each gate are separate inputs, so `W`, `R` and `B` are omitted and the gates' weights and biases
  follow the ONNX inputs in the schema's order. Shapes have no `num_directions` dimension. Variants
  that ONNX lacks (projection, layer normalisation, single steps) have no operator but the same
  attributes.
- `WHILE` is `Loop` without trip count and condition inputs; the attribute `cond` is the graph that
  computes the condition, and neither graph has an iteration counter.

**Source:** https://github.com/google-ai-edge/LiteRT/tree/main/tflite/kernels (meaning),
https://onnx.ai/onnx/operators/ (counterparts)
"""

import struct
from collections.abc import Sequence

from gaugenn.errors import FormatError
from gaugenn.formats._operator_call import (
    OMITTED,
    ONNX_TYPES,
    Call,
    Rule,
    Translation,
    renamed,
)
from gaugenn.graph import AttributeValue, DataType

_INT_MAX = (1 << 63) - 1
"""What ONNX `Slice` takes for "to the end"."""

_UNSIGNED = (DataType.UINT8, DataType.UINT16, DataType.UINT32, DataType.UINT64)


def activation(code: int) -> dict[str, AttributeValue]:
    """The attributes of a fused activation by the schema's number; empty for none."""
    if code in (0, 1, 4):
        name = {1: "Relu", 4: "Tanh"}.get(code)
        return {"fused_activation": name} if name else {}
    if code in (2, 3):
        low, high = (-1.0, 1.0) if code == 2 else (0.0, 6.0)
        return {"fused_activation": "Clip", "fused_min": low, "fused_max": high}
    return {"fused_activation_function": "SIGN_BIT" if code == 5 else code}


def _clip(low: float, high: float) -> Rule:
    attributes: dict[str, AttributeValue] = {"min": low, "max": high}
    return lambda _call: Translation(operator="Clip", attributes=attributes)


def _fixed(operator: str, **attributes: AttributeValue) -> Rule:
    return lambda call: Translation(operator=operator, attributes={**call.options, **attributes})


def _auto_pad(call: Call) -> str:
    code = call.whole("padding")
    if code not in (0, 1):
        raise FormatError(f"{call.source} has padding {code}; expected 0 (same) or 1 (valid)")
    return "VALID" if code else "SAME_UPPER"


def _window(call: Call, axes: Sequence[str], option: str, default: int = 0) -> tuple[int, ...]:
    sizes = tuple(call.whole(option.format(axis), default) for axis in axes)
    if min(sizes) < 1:
        raise FormatError(f"{call.source} has {option.format('*')} {sizes}; expected 1 or more")
    return sizes


def _convolution_attributes(
    call: Call, axes: str, kernel: tuple[int, ...], output_channels: int, group: int
) -> dict[str, AttributeValue]:
    used = [f"stride_{axis}" for axis in axes] + [f"dilation_{axis}_factor" for axis in axes]
    return {
        "kernel_shape": kernel,
        "output_channels": output_channels,
        "strides": _window(call, axes, "stride_{}"),
        "dilations": _window(call, axes, "dilation_{}_factor", 1),
        "group": group,
        "auto_pad": _auto_pad(call),
        **call.other_options("padding", *used),
    }


def _groups(call: Call, index: int, channels_per_group: int) -> int:
    """Groups of a convolution: input channels by input channels of one filter."""
    shape = call.shape(index)
    channels = shape[-1] if shape else None
    if not isinstance(channels, int) or channels_per_group < 1 or channels % channels_per_group:
        return 1
    return max(1, channels // channels_per_group)


def _conv_2d(call: Call) -> Translation | None:
    weights = call.sizes(1, 4)  # output channels, height, width, input channels of a group
    if weights is None:
        return None
    group = _groups(call, 0, weights[3])
    attributes = _convolution_attributes(call, "hw", weights[1:3], weights[0], group)
    return Translation(operator="Conv", attributes=attributes)


def _depthwise_conv_2d(call: Call) -> Translation | None:
    weights = call.sizes(1, 4)  # 1, height, width, output channels
    if weights is None:
        return None
    shape, multiplier = call.shape(0), call.whole("depth_multiplier")
    channels = shape[-1] if shape else None
    if not isinstance(channels, int):
        channels = weights[3] // multiplier if multiplier > 0 else weights[3]
    attributes = _convolution_attributes(call, "hw", weights[1:3], weights[3], channels)
    return Translation(operator="Conv", attributes=attributes)


def _conv_3d(call: Call) -> Translation | None:
    weights = call.sizes(1, 5)  # depth, height, width, input channels of a group, output channels
    if weights is None:
        return None
    group = _groups(call, 0, weights[3])
    attributes = _convolution_attributes(call, "dhw", weights[:3], weights[4], group)
    return Translation(operator="Conv", attributes=attributes)


def _conv_transpose(
    call: Call, axes: str, kernel: tuple[int, ...], output_channels: int
) -> Translation:
    """Transposed convolution with inputs (output shape, weights, input, bias)."""
    attributes = _convolution_attributes(call, axes, kernel, output_channels, 1)
    shape = call.constant(0)
    if shape is not None and len(shape) == len(axes) + 2:
        attributes["output_shape"] = shape[1:-1]
    return Translation(
        operator="ConvTranspose", attributes=attributes, inputs=(2, 1, call.present(3))
    )


def _transpose_conv(call: Call) -> Translation | None:
    weights = call.sizes(1, 4)  # output channels, height, width, input channels
    return None if weights is None else _conv_transpose(call, "hw", weights[1:3], weights[0])


def _conv_3d_transpose(call: Call) -> Translation | None:
    weights = call.sizes(1, 5)  # depth, height, width, output channels, input channels
    return None if weights is None else _conv_transpose(call, "dhw", weights[:3], weights[3])


def _pool(operator: str) -> Rule:
    def rule(call: Call) -> Translation:
        attributes: dict[str, AttributeValue] = {
            "kernel_shape": _window(call, ("height", "width"), "filter_{}"),
            "strides": _window(call, "hw", "stride_{}"),
            "auto_pad": _auto_pad(call),
            **call.other_options(
                "padding", "stride_w", "stride_h", "filter_width", "filter_height"
            ),
        }
        return Translation(operator=operator, attributes=attributes)

    return rule


def _fully_connected(call: Call) -> Translation:
    shape, output = call.shape(0), call.output_shape()
    is_plain = shape is not None and output is not None and len(shape) == len(output) == 2
    attributes: dict[str, AttributeValue] = {"transB": 1}
    if is_plain:
        return Translation(
            operator="Gemm", attributes=attributes | call.other_options("keep_num_dims")
        )
    return Translation(operator="MatMul", attributes=attributes | call.other_options())


def _batch_matmul(call: Call) -> Translation:
    attributes = call.other_options("adj_x", "adj_y")
    if call.whole("adj_x"):
        attributes["transA"] = 1
    if call.whole("adj_y"):
        attributes["transB"] = 1
    return Translation(operator="MatMul", attributes=attributes)


def _softmax(call: Call) -> Translation:
    beta = call.real("beta", 1.0)
    attributes: dict[str, AttributeValue] = {"axis": -1}
    if beta != 1.0:
        attributes["beta"] = beta
    return Translation(operator="Softmax", attributes=attributes)


def _local_response_normalization(call: Call) -> Translation:
    size = 2 * call.whole("radius") + 1
    return Translation(
        operator="LRN",
        attributes={
            "size": size,
            "alpha": call.real("alpha") * size,
            "beta": call.real("beta"),
            "bias": call.real("bias"),
        },
    )


def _reshape(call: Call) -> Translation:
    if call.input(1) is not None:
        return Translation(operator="Reshape")
    return Translation(operator="Reshape", attributes={"shape": call.wholes("new_shape")})


def _squeeze(call: Call) -> Translation:
    axes = call.wholes("squeeze_dims")
    return Translation(operator="Squeeze", attributes={"axes": axes} if axes else {})


def _transpose(call: Call) -> Translation | None:
    order = call.constant(1)
    if order is None:
        return None
    return Translation(operator="Transpose", attributes={"perm": order}, inputs=(0,))


def _pad(call: Call) -> Translation | None:
    amounts = call.constant(1)
    mode = "constant"
    if call.source == "MIRROR_PAD":
        mode = "reflect" if call.options.get("mode", "REFLECT") == "REFLECT" else ""
    if amounts is None or not mode:
        return None
    return Translation(
        operator="Pad",
        attributes={"pads": amounts[0::2] + amounts[1::2], "mode": mode},
        inputs=(0, OMITTED, call.present(2), OMITTED),
    )


def _reduce(operator: str) -> Rule:
    return lambda call: Translation(
        operator=operator, attributes={"keepdims": call.whole("keep_dims")}
    )


def _arg(operator: str) -> Rule:
    def rule(call: Call) -> Translation | None:
        axis = call.constant(1)
        if axis is None or len(axis) != 1:
            return None
        return Translation(
            operator=operator, attributes={"axis": axis[0], "keepdims": 0}, inputs=(0,)
        )

    return rule


def _gather(call: Call) -> Translation | None:
    if call.whole("batch_dims"):
        return None
    return Translation(operator="Gather", attributes={"axis": call.whole("axis")})


def _split(call: Call) -> Translation | None:
    axis = call.constant(0)
    if axis is None or len(axis) != 1:
        return None
    attributes: dict[str, AttributeValue] = {"axis": axis[0], "num_outputs": len(call.outputs)}
    return Translation(operator="Split", attributes=attributes, inputs=(1, OMITTED))


def _split_v(call: Call) -> Translation | None:
    axis, sizes, shape = call.constant(2), call.constant(1), call.shape(0)
    if axis is None or len(axis) != 1:
        return None
    if sizes is None or min(sizes, default=0) >= 0:
        return Translation(operator="Split", attributes={"axis": axis[0]}, inputs=(0, 1))
    whole = shape[axis[0]] if shape and -len(shape) <= axis[0] < len(shape) else None
    rest = whole - sum(s for s in sizes if s >= 0) if isinstance(whole, int) else -1
    if rest < 0 or sum(s < 0 for s in sizes) != 1:
        return None
    split = tuple(rest if s < 0 else s for s in sizes)
    return Translation(
        operator="Split", attributes={"axis": axis[0], "split": split}, inputs=(0, OMITTED)
    )


def _slice(call: Call) -> Translation | None:
    starts, sizes = call.constant(1), call.constant(2)
    if starts is None or sizes is None or len(starts) != len(sizes):
        return None
    pairs = zip(starts, sizes, strict=True)
    ends = tuple(_INT_MAX if size < 0 else start + size for start, size in pairs)
    return Translation(
        operator="Slice", attributes={"starts": starts, "ends": ends}, inputs=(0, *[OMITTED] * 4)
    )


def _strided_slice(call: Call) -> Translation | None:
    if any(call.whole(f"{part}_mask") for part in ("ellipsis", "new_axis", "shrink_axis")):
        return None
    begin_mask, end_mask = call.whole("begin_mask"), call.whole("end_mask")
    starts, ends, steps = call.constant(1), call.constant(2), call.constant(3)
    if starts is None or ends is None or steps is None:
        is_plain = not (begin_mask or end_mask or call.whole("offset"))
        return Translation(operator="Slice", inputs=(0, 1, 2, OMITTED, 3)) if is_plain else None
    if not len(starts) == len(ends) == len(steps) or 0 in steps:
        raise FormatError(f"{call.source} has begin {starts}, end {ends} and strides {steps}")
    if call.whole("offset"):
        ends = tuple(start + end for start, end in zip(starts, ends, strict=True))
    first = tuple(
        (0 if step > 0 else _INT_MAX) if begin_mask >> i & 1 else start
        for i, (start, step) in enumerate(zip(starts, steps, strict=True))
    )
    last = tuple(
        (_INT_MAX if step > 0 else -_INT_MAX) if end_mask >> i & 1 else end
        for i, (end, step) in enumerate(zip(ends, steps, strict=True))
    )
    return Translation(
        operator="Slice",
        attributes={"starts": first, "ends": last, "steps": steps},
        inputs=(0, *[OMITTED] * 4),
    )


def _resize(mode: str) -> Rule:
    def rule(call: Call) -> Translation:
        corners, half = call.whole("align_corners"), call.whole("half_pixel_centers")
        coordinates = "align_corners" if corners else "half_pixel" if half else "asymmetric"
        attributes: dict[str, AttributeValue] = {
            "mode": mode,
            "coordinate_transformation_mode": coordinates,
            "axes": (1, 2),
        }
        if mode == "nearest":
            attributes["nearest_mode"] = "round_prefer_ceil" if corners or half else "floor"
        return Translation(
            operator="Resize", attributes=attributes, inputs=(0, OMITTED, OMITTED, 1)
        )

    return rule


def _cast(call: Call) -> Translation | None:
    target = ONNX_TYPES.get(call.output_dtype())
    return None if target is None else Translation(operator="Cast", attributes={"to": target})


def _dequantize(call: Call) -> Translation | None:
    return _cast(call) if call.dtype(0).is_floating else Translation(operator="DequantizeLinear")


def _quantize(call: Call) -> Translation | None:
    return Translation(operator="QuantizeLinear") if call.dtype(0).is_floating else None


def _floor_mod(call: Call) -> Translation | None:
    if call.dtype(0).is_floating:
        return None
    return Translation(operator="Mod", attributes={"fmod": 0})


def bit_shift(direction: str) -> Rule:
    """A rule for shifts, which ONNX has for unsigned integers only."""

    def rule(call: Call) -> Translation | None:
        if call.dtype(0) not in _UNSIGNED:
            return None
        return Translation(operator="BitShift", attributes={"direction": direction})

    return rule


def _select(call: Call) -> Translation | None:
    same = call.shape(0) is not None and call.shape(0) == call.shape(1)
    return Translation(operator="Where") if same else None


def _reverse_sequence(call: Call) -> Translation | None:
    time, batch = call.whole("seq_dim"), call.whole("batch_dim")
    if {time, batch} != {0, 1}:
        return None
    return Translation(
        operator="ReverseSequence", attributes={"time_axis": time, "batch_axis": batch}
    )


def _gelu(call: Call) -> Translation:
    how = "tanh" if call.whole("approximate") else "none"
    return Translation(operator="Gelu", attributes={"approximate": how})


def _block(operator: str) -> Rule:
    def rule(call: Call) -> Translation:
        attributes: dict[str, AttributeValue] = {"blocksize": call.whole("block_size")}
        if operator == "DepthToSpace":
            attributes["mode"] = "DCR"
        return Translation(operator=operator, attributes=attributes)

    return rule


def _cumsum(call: Call) -> Translation:
    return Translation(
        operator="CumSum",
        attributes={"exclusive": call.whole("exclusive"), "reverse": call.whole("reverse")},
    )


def _unique(_call: Call) -> Translation:
    return Translation(operator="Unique", attributes={"sorted": 0}, outputs=(0, OMITTED, 1))


def loop(call: Call) -> Translation:
    """The rule for `while` loops: ONNX `Loop` with neither trip count nor initial condition."""
    inputs = (OMITTED, OMITTED, *range(len(call.inputs)))
    return Translation(operator="Loop", attributes=dict(call.options), inputs=inputs)


# Parameters of a transposed convolution with bias: padding (1 same, 2 valid), stride width and height.
# Source: https://github.com/google-ai-edge/mediapipe (mediapipe/util/tflite/operations)
_TRANSPOSE_CONV_BIAS = struct.Struct("<iii")


def transpose_conv_bias(call: Call, custom_options: memoryview) -> Translation | None:
    """MediaPipe's custom operator of the inputs (input, weights, bias), weights as `CONV_2D`."""
    weights = call.sizes(1, 4)
    if weights is None or custom_options.nbytes < _TRANSPOSE_CONV_BIAS.size:
        return None
    padding, stride_w, stride_h = _TRANSPOSE_CONV_BIAS.unpack_from(custom_options)
    if padding not in (1, 2) or min(stride_w, stride_h) < 1:
        return None
    return Translation(
        operator="ConvTranspose",
        attributes={
            "kernel_shape": weights[1:3],
            "output_channels": weights[0],
            "strides": (stride_h, stride_w),
            "dilations": (1, 1),
            "group": 1,
            "auto_pad": "SAME_UPPER" if padding == 1 else "VALID",
        },
    )


RULES: dict[str, Rule] = {
    "CONV_2D": _conv_2d,
    "DEPTHWISE_CONV_2D": _depthwise_conv_2d,
    "CONV_3D": _conv_3d,
    "TRANSPOSE_CONV": _transpose_conv,
    "CONV_3D_TRANSPOSE": _conv_3d_transpose,
    "AVERAGE_POOL_2D": _pool("AveragePool"),
    "MAX_POOL_2D": _pool("MaxPool"),
    "FULLY_CONNECTED": _fully_connected,
    "BATCH_MATMUL": _batch_matmul,
    "SOFTMAX": _softmax,
    "LOG_SOFTMAX": _fixed("LogSoftmax", axis=-1),
    "L2_NORMALIZATION": _fixed("LpNormalization", axis=-1, p=2),
    "LOCAL_RESPONSE_NORMALIZATION": _local_response_normalization,
    "RELU6": _clip(0.0, 6.0),
    "RELU_N1_TO_1": _clip(-1.0, 1.0),
    "RELU_0_TO_1": _clip(0.0, 1.0),
    "ELU": _fixed("Elu", alpha=1.0),
    "GELU": _gelu,
    "RESHAPE": _reshape,
    "SQUEEZE": _squeeze,
    "EXPAND_DIMS": renamed("Unsqueeze"),
    "TRANSPOSE": _transpose,
    "PAD": _pad,
    "PADV2": _pad,
    "MIRROR_PAD": _pad,
    "MEAN": _reduce("ReduceMean"),
    "SUM": _reduce("ReduceSum"),
    "REDUCE_PROD": _reduce("ReduceProd"),
    "REDUCE_MAX": _reduce("ReduceMax"),
    "REDUCE_MIN": _reduce("ReduceMin"),
    "ARG_MAX": _arg("ArgMax"),
    "ARG_MIN": _arg("ArgMin"),
    "TOPK_V2": _fixed("TopK", axis=-1, largest=1, sorted=1),
    "GATHER": _gather,
    "GATHER_ND": _fixed("GatherND", batch_dims=0),
    "EMBEDDING_LOOKUP": lambda _call: Translation(
        operator="Gather", attributes={"axis": 0}, inputs=(1, 0)
    ),
    "SPLIT": _split,
    "SPLIT_V": _split_v,
    "SLICE": _slice,
    "STRIDED_SLICE": _strided_slice,
    "FILL": lambda _call: Translation(operator="Expand", inputs=(1, 0)),
    "RESIZE_BILINEAR": _resize("linear"),
    "RESIZE_NEAREST_NEIGHBOR": _resize("nearest"),
    "CAST": _cast,
    "DEQUANTIZE": _dequantize,
    "QUANTIZE": _quantize,
    "FLOOR_MOD": _floor_mod,
    "RIGHT_SHIFT": bit_shift("RIGHT"),
    "SELECT": _select,
    "REVERSE_SEQUENCE": _reverse_sequence,
    "SPACE_TO_DEPTH": _block("SpaceToDepth"),
    "DEPTH_TO_SPACE": _block("DepthToSpace"),
    "CUMSUM": _cumsum,
    "UNIQUE": _unique,
    "WHILE": loop,
    **{
        source: renamed(operator)
        for source, operator in {
            "ADD": "Add",
            "ADD_N": "Sum",
            "SUB": "Sub",
            "MUL": "Mul",
            "DIV": "Div",
            "POW": "Pow",
            "MAXIMUM": "Max",
            "MINIMUM": "Min",
            "ABS": "Abs",
            "CEIL": "Ceil",
            "COS": "Cos",
            "EXP": "Exp",
            "FLOOR": "Floor",
            "LOG": "Log",
            "NEG": "Neg",
            "ROUND": "Round",
            "SIGN": "Sign",
            "SIN": "Sin",
            "SQRT": "Sqrt",
            "EQUAL": "Equal",
            "GREATER": "Greater",
            "GREATER_EQUAL": "GreaterOrEqual",
            "LESS": "Less",
            "LESS_EQUAL": "LessOrEqual",
            "LOGICAL_AND": "And",
            "LOGICAL_NOT": "Not",
            "LOGICAL_OR": "Or",
            "BITWISE_XOR": "BitwiseXor",
            "RELU": "Relu",
            "LEAKY_RELU": "LeakyRelu",
            "PRELU": "PRelu",
            "LOGISTIC": "Sigmoid",
            "TANH": "Tanh",
            "HARD_SWISH": "HardSwish",
            "CONCATENATION": "Concat",
            "TILE": "Tile",
            "BROADCAST_TO": "Expand",
            "RANGE": "Range",
            "SHAPE": "Shape",
            "SELECT_V2": "Where",
            "IF": "If",
        }.items()
    },
}
"""Rules by the schema's operator name; operators that are not here have no ONNX counterpart."""
