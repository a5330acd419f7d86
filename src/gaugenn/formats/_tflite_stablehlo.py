"""StableHLO operators inside TensorFlow Lite files, in ONNX terms.

**Source:** https://openxla.org/stablehlo/spec
"""

from gaugenn.formats._operator_call import (
    OMITTED,
    ONNX_TYPES,
    Call,
    Rule,
    Translation,
    renamed,
)
from gaugenn.formats._tflite_operators import bit_shift, loop
from gaugenn.graph import AttributeValue, DataType

_COMPARISONS = {"EQ": "Equal", "GE": "GreaterOrEqual", "GT": "Greater"} | {
    "LE": "LessOrEqual",
    "LT": "Less",
}


def _on_booleans(logical: str, bitwise: str) -> Rule:
    return lambda call: Translation(operator=logical if call.dtype(0) is DataType.BOOL else bitwise)


def _convolution(call: Call) -> Translation | None:
    """ONNX has it where batch comes first, channels last, and nothing is dilated or reversed."""
    spatial = call.wholes("input_spatial_dimensions")
    weights = call.shape(1)
    kernel_axes = call.wholes("kernel_spatial_dimensions")
    out_axis = call.whole("kernel_output_feature_dimension")
    rank = len(spatial) + 2
    if weights is None or not all(0 <= a < len(weights) for a in (*kernel_axes, out_axis)):
        return None
    kernel = tuple(size for a in kernel_axes if isinstance(size := weights[a], int))
    channels = weights[out_axis]
    if len(kernel) != len(spatial) or not isinstance(channels, int):
        return None
    is_channels_last = all(
        call.whole(f"{side}_batch_dimension") == 0
        and call.whole(f"{side}_feature_dimension") == rank - 1
        and call.wholes(f"{side}_spatial_dimensions") == tuple(range(1, rank - 1))
        for side in ("input", "output")
    )
    is_plain = (
        set(call.wholes("lhs_dilation")) <= {1}
        and not any(call.wholes("window_reversal"))
        and call.whole("batch_group_count") <= 1
    )
    if not (is_channels_last and is_plain):
        return None
    amounts = call.wholes("padding") or (0,) * (2 * len(spatial))
    attributes: dict[str, AttributeValue] = {
        "kernel_shape": kernel,
        "output_channels": channels,
        "strides": call.wholes("window_strides") or (1,) * len(spatial),
        "dilations": call.wholes("rhs_dilation") or (1,) * len(spatial),
        "pads": amounts[0::2] + amounts[1::2],
        "group": max(1, call.whole("feature_group_count")),
    }
    return Translation(operator="Conv", attributes=attributes)


def _dot_general(call: Call) -> Translation | None:
    """ONNX has it where the batch dimensions lead and one other dimension is contracted."""
    left, right = call.shape(0), call.shape(1)
    batch = call.wholes("lhs_batching_dimensions")
    count = len(batch)
    if left is None or right is None or not len(left) == len(right) == count + 2:
        return None
    if not batch == call.wholes("rhs_batching_dimensions") == tuple(range(count)):
        return None
    contracted = (
        call.wholes("lhs_contracting_dimensions"),
        call.wholes("rhs_contracting_dimensions"),
    )
    ends = ((count,), (count + 1,))
    if contracted[0] not in ends or contracted[1] not in ends:
        return None
    attributes: dict[str, AttributeValue] = {}
    if contracted[0] == ends[0]:
        attributes["transA"] = 1
    if contracted[1] == ends[1]:
        attributes["transB"] = 1
    return Translation(operator="MatMul", attributes=attributes)


def _pad(call: Call) -> Translation | None:
    if any(call.wholes("interior_padding")):
        return None
    amounts = call.wholes("edge_padding_low") + call.wholes("edge_padding_high")
    return Translation(
        operator="Pad",
        attributes={"pads": amounts, "mode": "constant"},
        inputs=(0, OMITTED, call.present(1)),
    )


def _slice(call: Call) -> Translation:
    return Translation(
        operator="Slice",
        attributes={
            "starts": call.wholes("start_indices"),
            "ends": call.wholes("limit_indices"),
            "steps": call.wholes("strides"),
        },
    )


def _reshape(call: Call) -> Translation | None:
    shape = call.output_shape()
    sizes = tuple(size for size in shape or () if isinstance(size, int))
    if shape is None or len(sizes) != len(shape):
        return None
    return Translation(operator="Reshape", attributes={"shape": sizes})


def _convert(call: Call) -> Translation | None:
    target = ONNX_TYPES.get(call.output_dtype())
    return None if target is None else Translation(operator="Cast", attributes={"to": target})


def _compare(call: Call) -> Translation | None:
    operator = _COMPARISONS.get(str(call.options.get("comparison_direction", "EQ")))
    return Translation(operator=operator) if operator else None


RULES: dict[str, Rule] = {
    "STABLEHLO_CONVOLUTION": _convolution,
    "STABLEHLO_DOT_GENERAL": _dot_general,
    "STABLEHLO_PAD": _pad,
    "STABLEHLO_SLICE": _slice,
    "STABLEHLO_RESHAPE": _reshape,
    "STABLEHLO_CONVERT": _convert,
    "STABLEHLO_COMPARE": _compare,
    "STABLEHLO_CLAMP": lambda _call: Translation(operator="Clip", inputs=(1, 0, 2)),
    "STABLEHLO_CONCATENATE": lambda call: Translation(
        operator="Concat", attributes={"axis": call.whole("dimension")}
    ),
    "STABLEHLO_TRANSPOSE": lambda call: Translation(
        operator="Transpose", attributes={"perm": call.wholes("permutation")}
    ),
    "STABLEHLO_REMAINDER": lambda _call: Translation(operator="Mod", attributes={"fmod": 1}),
    "STABLEHLO_AND": _on_booleans("And", "BitwiseAnd"),
    "STABLEHLO_OR": _on_booleans("Or", "BitwiseOr"),
    "STABLEHLO_SHIFT_LEFT": bit_shift("LEFT"),
    "STABLEHLO_WHILE": loop,
    **{
        f"STABLEHLO_{source}": renamed(operator)
        for source, operator in {
            "LOGISTIC": "Sigmoid",
            "ADD": "Add",
            "SUBTRACT": "Sub",
            "MULTIPLY": "Mul",
            "DIVIDE": "Div",
            "POWER": "Pow",
            "MAXIMUM": "Max",
            "MINIMUM": "Min",
            "ABS": "Abs",
            "COSINE": "Cos",
            "EXPONENTIAL": "Exp",
            "FLOOR": "Floor",
            "LOG": "Log",
            "NEGATE": "Neg",
            "TANH": "Tanh",
            "SELECT": "Where",
        }.items()
    },
}
"""Rules by operator name; StableHLO operators that are not here have no ONNX counterpart."""
