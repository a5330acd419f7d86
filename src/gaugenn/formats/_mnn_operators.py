"""What MNN's operators mean in ONNX.

Convolutions, fully connected layers and everything else with weights are in `_mnn_layers`. Tensors of
MNN have the order of dimensions that their place in the graph gives them; a `ConvertTensor` between
channels-first and channels-last is a `Transpose`, all others change only how elements lie in memory.

**Source:** https://github.com/alibaba/MNN/tree/master/source/shape (meaning),
https://onnx.ai/onnx/operators/ (counterparts)
"""

from collections.abc import Sequence

from gaugenn.errors import FormatError
from gaugenn.formats import _mnn_schema as schema
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
_FROM_TENSORFLOW = 0
_CAFFE_SOURCE, _TORCH_SOURCE = 0, 4

_BINARY: dict[str, tuple[str, dict[str, AttributeValue]]] = {
    **{
        name: (operator, {})
        for name, operator in {
            "ADD": "Add",
            "SUB": "Sub",
            "MUL": "Mul",
            "DIV": "Div",
            "REALDIV": "Div",
            "POW": "Pow",
            "MAX_TEMP": "Max",
            "MIN_TEMP": "Min",
            "MAXIMUM": "Max",
            "MINIMUM": "Min",
            "GREATER": "Greater",
            "GREATER_EQUAL": "GreaterOrEqual",
            "LESS": "Less",
            "LESS_EQUAL": "LessOrEqual",
            "EQUAL": "Equal",
            "LOGICALOR": "Or",
            "LOGICALXOR": "Xor",
            "BITWISE_AND": "BitwiseAnd",
            "BITWISE_OR": "BitwiseOr",
            "BITWISE_XOR": "BitwiseXor",
        }.items()
    },
    "MOD": ("Mod", {"fmod": 1}),
    "FLOORMOD": ("Mod", {"fmod": 0}),
}

_UNARY: dict[str, tuple[str, dict[str, AttributeValue]]] = {
    **{
        name: (name.capitalize(), {})
        for name in (
            *("ABS", "NEG", "FLOOR", "CEIL", "SQRT", "EXP", "LOG", "SIN", "COS", "TAN", "ASIN"),
            *("ACOS", "ATAN", "RECIPROCAL", "ACOSH", "SINH", "ASINH", "ATANH", "SIGN", "ROUND"),
            *("COSH", "ERF", "SIGMOID", "TANH"),
        )
    },
    "BNLL": ("Softplus", {}),
    "HARDSWISH": ("HardSwish", {}),
    "GELU": ("Gelu", {"approximate": "tanh"}),
    "GELU_STANDARD": ("Gelu", {"approximate": "none"}),
    "SILU": ("Swish", {}),
}

_REDUCTIONS = {
    "SUM": "ReduceSum",
    "ASUM": "ReduceL1",
    "SUMSQ": "ReduceSumSquare",
    "MEAN": "ReduceMean",
    "MAXIMUM": "ReduceMax",
    "MINIMUM": "ReduceMin",
    "PROD": "ReduceProd",
}


def _fixed(operator: str, **attributes: AttributeValue) -> Rule:
    return lambda _call: Translation(operator=operator, attributes=dict(attributes))


def _binary(call: Call) -> Translation | None:
    operator, attributes = _BINARY.get(str(call.options.get("opType")), ("", {}))
    if not operator:
        return None
    fused: dict[str, AttributeValue] = (
        {"fused_activation": "Relu"} if call.whole("activationType") == 1 else {}
    )
    return Translation(operator=operator, attributes={**attributes, **fused})


def _unary(call: Call) -> Translation | None:
    operator, attributes = _UNARY.get(str(call.options.get("opType")), ("", {}))
    return Translation(operator=operator, attributes=dict(attributes)) if operator else None


def _eltwise(call: Call) -> Translation | None:
    kind = call.options.get("type")
    coefficients = call.options.get("coeff", ())
    weighted = isinstance(coefficients, tuple) and any(c != 1 for c in coefficients)
    if weighted or (kind in ("SUB", "PROD") and len(call.inputs) > 2):
        return None
    operator = {"PROD": "Mul", "SUM": "Add", "MAXIMUM": "Max", "SUB": "Sub"}.get(str(kind), "")
    if operator == "Add" and len(call.inputs) != 2:
        operator = "Sum"
    return Translation(operator=operator) if operator else None


def _reduction(call: Call) -> Translation | None:
    operator = _REDUCTIONS.get(str(call.options.get("operation")))
    if operator is None:
        return None
    attributes: dict[str, AttributeValue] = {"keepdims": call.whole("keepDims")}
    axes = call.wholes("dim")
    if axes:
        return Translation(operator=operator, attributes={**attributes, "axes": axes}, inputs=(0,))
    return Translation(operator=operator, attributes=attributes)


def _relu(call: Call) -> Translation:
    slope = call.real("slope")
    if slope:
        return Translation(operator="LeakyRelu", attributes={"alpha": slope})
    return Translation(operator="Relu")


def _clip(call: Call) -> Translation:
    limits: dict[str, AttributeValue] = {
        "min": call.real("minValue"),
        "max": call.real("maxValue", 6.0),
    }
    return Translation(operator="Clip", attributes=limits)


def _selu(call: Call) -> Translation:
    return Translation(
        operator="Selu", attributes={"gamma": call.real("scale"), "alpha": call.real("alpha")}
    )


def _local_response_normalization(call: Call) -> Translation | None:
    if call.whole("regionType"):
        return None  # within a channel, which ONNX does not have
    return Translation(
        operator="LRN",
        attributes={
            "size": call.whole("localSize"),
            "alpha": call.real("alpha"),
            "beta": call.real("beta"),
            "bias": call.real("bias", 1.0),
        },
    )


def _with_axis(operator: str) -> Rule:
    return lambda call: Translation(operator=operator, attributes={"axis": call.whole("axis")})


def _cast(call: Call) -> Translation | None:
    code = call.whole("dstT")
    dtype = schema.DATA_TYPES[code] if 0 <= code < len(schema.DATA_TYPES) else DataType.UNKNOWN
    target = ONNX_TYPES.get(dtype)
    return None if target is None else Translation(operator="Cast", attributes={"to": target})


def _arg(operator: str) -> Rule:
    def rule(call: Call) -> Translation | None:
        if call.whole("topK") > 1 or call.whole("outMaxVal"):
            return None
        attributes: dict[str, AttributeValue] = {"axis": call.whole("axis"), "keepdims": 0}
        return Translation(operator=operator, attributes=attributes)

    return rule


def _expand_dims(call: Call) -> Translation:
    if call.input(1) is not None:
        return Translation(operator="Unsqueeze")
    return Translation(operator="Unsqueeze", attributes={"axes": (call.whole("axis"),)})


def _squeeze(operator: str) -> Rule:
    def rule(call: Call) -> Translation:
        axes = call.wholes("squeezeDims")
        attributes: dict[str, AttributeValue] = {"axes": axes} if axes else {}
        return Translation(operator=operator, attributes=attributes)

    return rule


def _flatten(call: Call) -> Translation | None:
    if call.whole("endAxis"):
        return None  # keeps the dimensions behind it, which ONNX's does not
    return Translation(operator="Flatten", attributes={"axis": call.whole("axis")})


def _gather(call: Call) -> Translation | None:
    axis = call.constant(2)
    if call.input(1) is None or (call.input(2) is not None and (axis is None or len(axis) != 1)):
        return None
    chosen = axis[0] if axis is not None else call.whole("axis")
    return Translation(operator="Gather", attributes={"axis": chosen}, inputs=(0, 1))


def _with_axis_input(operator: str) -> Rule:
    """Operators of (data, indices, ...) whose last input is an axis."""

    def rule(call: Call) -> Translation | None:
        count = 3 if operator == "ScatterElements" else 2
        axis = call.constant(count)
        if call.input(count) is None:
            axis = (call.whole("axis"),)
        if axis is None or len(axis) != 1:
            return None
        return Translation(
            operator=operator, attributes={"axis": axis[0]}, inputs=tuple(range(count))
        )

    return rule


def _matmul(call: Call) -> Translation:
    attributes: dict[str, AttributeValue] = {}
    for source, target in (("transposeA", "transA"), ("transposeB", "transB")):
        if call.whole(source):
            attributes[target] = 1
    for source, target in (("adjX", "transA"), ("adjY", "transB")):
        if call.whole(source):
            attributes[target] = 1
    return Translation(operator="MatMul", attributes=attributes)


def _interpolation(call: Call) -> Translation | None:
    modes = {1: "nearest", 2: "linear", 3: "cubic", 4: "nearest"}
    mode = modes.get(call.whole("resizeType"))
    if mode is None:
        return None
    attributes: dict[str, AttributeValue] = {
        "mode": mode,
        "coordinate_transformation_mode": _coordinates(call),
    }
    if mode == "nearest":
        nearest = "floor" if call.whole("resizeType") == 1 else "round_prefer_floor"
        attributes["nearest_mode"] = nearest
    if mode == "cubic":
        attributes["cubic_coeff_a"] = call.real("cubicCoeffA", -0.75)
    second = call.input(1)
    if second is not None:
        if second.shape == (2,) or (second.shape is None and call.whole("from_tensorflow")):
            attributes["axes"] = (2, 3)
        at = (0, OMITTED, 1) if second.dtype.is_floating else (0, OMITTED, OMITTED, 1)
        return Translation(operator="Resize", attributes=attributes, inputs=at)
    depth = (call.whole("outputDepth"),) if call.source == "Interp3D" else ()
    sizes = (*depth, call.whole("outputHeight"), call.whole("outputWidth"))
    attributes["axes"] = tuple(range(2, 2 + len(sizes)))
    if min(sizes) > 0:
        attributes["sizes"] = sizes
    else:
        depth_scale = (call.real("depthScale"),) if depth else ()
        attributes["scales"] = (*depth_scale, call.real("heightScale"), call.real("widthScale"))
    return Translation(operator="Resize", attributes=attributes)


def _coordinates(call: Call) -> str:
    named = {
        1: "align_corners",
        2: "half_pixel",
        3: "pytorch_half_pixel",
        4: "asymmetric",
        5: "tf_half_pixel_for_nn",
        6: "tf_crop_and_resize",
    }.get(call.whole("ctm"))
    if named is not None:
        return named
    if call.whole("alignCorners"):
        return "align_corners"
    return "half_pixel" if call.whole("halfPixelCenters") else "asymmetric"


def _resize(call: Call) -> Translation:
    return Translation(
        operator="Resize",
        attributes={
            "mode": "linear",
            "coordinate_transformation_mode": "asymmetric",
            "axes": (2, 3),
            "scales": (call.real("yScale"), call.real("xScale")),
        },
    )


def _pool(call: Call) -> Translation | None:
    kind = {"MAX": "MaxPool", "AVERAGE": "AveragePool"}.get(str(call.options.get("type")))
    if kind is None:
        return None
    if call.whole("isGlobal"):
        return Translation(operator=f"Global{kind}")
    is_volume = call.source == "Pooling3D"
    if is_volume:
        kernel, strides, pads = (call.wholes(name) for name in ("kernels", "strides", "pads"))
        pads = pads * 2 if len(pads) == 3 else pads
    else:
        kernel = (call.whole("kernelY"), call.whole("kernelX"))
        strides = (call.whole("strideY"), call.whole("strideX"))
        pads = padding(call)
    attributes: dict[str, AttributeValue] = {
        "kernel_shape": window(call, kernel),
        "strides": window(call, strides),
        **_padded(call.whole("padType"), pads),
    }
    if call.whole("ceilModel", 0 if is_volume else 1) and not call.whole("padType"):
        attributes["ceil_mode"] = 1
    if kind == "AveragePool":
        attributes["count_include_pad"] = int(call.whole("countType") != 2)
    return Translation(operator=kind, attributes=attributes)


def window(call: Call, sizes: tuple[int, ...]) -> tuple[int, ...]:
    """The sizes, which must all be at least 1."""
    if not sizes or min(sizes) < 1:
        raise FormatError(f"{call.source} has a window, stride or dilation of {sizes}")
    return sizes


def padding(call: Call) -> tuple[int, ...]:
    """Padding before and after height and width: one value a side, or one a dimension."""
    pads = call.wholes("pads")
    if len(pads) == 4:
        return pads
    if len(pads) == 2:
        return (pads[0], 0, pads[1], 0) if call.source == "Pooling" else pads * 2
    return (call.whole("padY"), call.whole("padX")) * 2


def _padded(mode: int, pads: tuple[int, ...]) -> dict[str, AttributeValue]:
    if mode == 1:
        return {"auto_pad": "VALID"}
    return {"auto_pad": "SAME_UPPER"} if mode == 2 else {"pads": pads}


def padded(call: Call, pads: tuple[int, ...]) -> dict[str, AttributeValue]:
    """Padding of a convolution as ONNX attributes."""
    return _padded(call.whole("padMode"), pads)


def _permute(call: Call) -> Translation:
    return Translation(operator="Transpose", attributes={"perm": call.wholes("dims")})


def _transpose(call: Call) -> Translation | None:
    order = call.constant(1)
    if order is None:
        return None
    return Translation(operator="Transpose", attributes={"perm": order}, inputs=(0,))


def _reshape(call: Call) -> Translation:
    if call.input(1) is not None:
        return Translation(operator="Reshape")
    return Translation(operator="Reshape", attributes={"shape": call.wholes("dims")})


def _slice_points(call: Call) -> Translation | None:
    points, axis = call.wholes("slicePoints"), call.whole("axis")
    source, count = call.whole("sourceType"), len(call.outputs)
    attributes: dict[str, AttributeValue] = {"axis": axis}
    if source == _CAFFE_SOURCE and points:
        return None  # says where to cut; the size of the last part depends on the input
    if call.input(1) is not None:
        return Translation(operator="Split", attributes=attributes, inputs=(0, 1))
    if len(points) > 1:
        if len(points) != count or min(points) < 0:
            return None
        return Translation(operator="Split", attributes={**attributes, "split": points})
    if source == _TORCH_SOURCE and points:
        return Translation(operator="Split", attributes={**attributes, "split": points * count})
    return Translation(operator="Split", attributes={**attributes, "num_outputs": count})


def _slice_tensorflow(call: Call) -> Translation | None:
    starts, sizes = call.constant(1), call.constant(2)
    if starts is None or sizes is None or len(starts) != len(sizes):
        return None
    pairs = zip(starts, sizes, strict=True)
    ends = tuple(_INT_MAX if size < 0 else start + size for start, size in pairs)
    return Translation(
        operator="Slice", attributes={"starts": starts, "ends": ends}, inputs=(0, *[OMITTED] * 4)
    )


def _strided_slice(call: Call) -> Translation | None:
    if call.whole("fromType") != _FROM_TENSORFLOW:
        return Translation(operator="Slice")
    if any(call.whole(f"{part}Mask") for part in ("ellipsis", "newAxis", "shrinkAxis")):
        return None
    starts, ends, steps = call.constant(1), call.constant(2), call.constant(3)
    if starts is None or ends is None or steps is None or len(call.inputs) > 4:
        return None
    if not len(starts) == len(ends) == len(steps) or 0 in steps:
        raise FormatError(f"{call.source} has begin {starts}, end {ends} and strides {steps}")
    begin_mask, end_mask = call.whole("beginMask"), call.whole("endMask")
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


def _pad(call: Call) -> Translation | None:
    amounts = call.constant(1)
    mode = {"CONSTANT": "constant", "REFLECT": "reflect", "EDGE": "edge"}.get(
        str(call.options.get("mode", "CONSTANT"))
    )
    if amounts is None or mode is None or len(amounts) % 2:
        return None
    return Translation(
        operator="Pad",
        attributes={"pads": amounts[0::2] + amounts[1::2], "mode": mode},
        inputs=(0, OMITTED, call.present(2), OMITTED),
    )


def _convert(call: Call) -> Translation | None:
    to_last = call.whole("dest") == schema.NHWC
    if (call.whole("source") == schema.NHWC) == to_last:
        return Translation(operator="Identity")
    rank = call.whole("rank")
    if rank in (1, 2):
        return Translation(operator="Identity")
    if rank < 1:
        return None
    middle = range(2, rank) if to_last else range(1, rank - 1)
    order: Sequence[int] = (0, *middle, 1) if to_last else (0, rank - 1, *middle)
    return Translation(operator="Transpose", attributes={"perm": tuple(order)})


def _block(operator: str) -> Rule:
    def rule(call: Call) -> Translation:
        attributes: dict[str, AttributeValue] = {"blocksize": call.whole("blockSize")}
        if operator == "DepthToSpace":
            attributes["mode"] = str(call.options.get("mode", "DCR"))
        return Translation(operator=operator, attributes=attributes)

    return rule


def _cumulative(operator: str) -> Rule:
    return lambda call: Translation(
        operator=operator,
        attributes={"exclusive": call.whole("exclusive"), "reverse": call.whole("reverse")},
    )


def _top_k(call: Call) -> Translation:
    return Translation(
        operator="TopK",
        attributes={"largest": call.whole("largest", 1), "axis": -1},
        inputs=(0, 1),
    )


def _grid_sample(call: Call) -> Translation | None:
    if call.whole("backward") or call.whole("paddingMode") > 2:
        return None
    return Translation(
        operator="GridSample",
        attributes={
            "mode": "nearest" if call.whole("mode") else "linear",
            "padding_mode": ("zeros", "border", "reflection")[max(0, call.whole("paddingMode"))],
            "align_corners": call.whole("alignCorners"),
        },
    )


def _reverse_sequence(call: Call) -> Translation | None:
    time, batch = call.whole("seqDim"), call.whole("batchDim")
    if {time, batch} != {0, 1}:
        return None
    return Translation(
        operator="ReverseSequence", attributes={"time_axis": time, "batch_axis": batch}
    )


def _if(call: Call) -> Translation:
    return Translation(operator="If", attributes=dict(call.options))


def _while(call: Call) -> Translation | None:
    if "body" not in call.options:
        return None  # the other kind, which runs a list of commands
    inputs = (OMITTED, OMITTED, *range(len(call.inputs)))
    return Translation(operator="Loop", attributes=dict(call.options), inputs=inputs)


RULES: dict[str, Rule] = {
    "BinaryOp": _binary,
    "UnaryOp": _unary,
    "Eltwise": _eltwise,
    "EltwiseInt8": _eltwise,
    "Reduction": _reduction,
    "ReLU": _relu,
    "ReLU6": _clip,
    "Selu": _selu,
    "ELU": lambda call: Translation(operator="Elu", attributes={"alpha": call.real("alpha")}),
    "LRN": _local_response_normalization,
    "Softmax": _with_axis("Softmax"),
    "Concat": _with_axis("Concat"),
    "Cast": _cast,
    "ArgMax": _arg("ArgMax"),
    "ArgMin": _arg("ArgMin"),
    "ExpandDims": _expand_dims,
    "Squeeze": _squeeze("Squeeze"),
    "Unsqueeze": _squeeze("Unsqueeze"),
    "Flatten": _flatten,
    "Gather": _gather,
    "GatherV2": _gather,
    "GatherND": _fixed("GatherND", batch_dims=0),
    "GatherElements": _with_axis_input("GatherElements"),
    "ScatterElements": _with_axis_input("ScatterElements"),
    "MatMul": _matmul,
    "BatchMatMul": _matmul,
    "Interp": _interpolation,
    "Interp3D": _interpolation,
    "Resize": _resize,
    "Pooling": _pool,
    "Pooling3D": _pool,
    "Permute": _permute,
    "Transpose": _transpose,
    "Reshape": _reshape,
    "Slice": _slice_points,
    "SliceTf": _slice_tensorflow,
    "StridedSlice": _strided_slice,
    "Padding": _pad,
    "ConvertTensor": _convert,
    "DepthToSpace": _block("DepthToSpace"),
    "SpaceToDepth": _block("SpaceToDepth"),
    "CumSum": _cumulative("CumSum"),
    "CumProd": _cumulative("CumProd"),
    "TopKV2": _top_k,
    "GridSample": _grid_sample,
    "ReverseSequence": _reverse_sequence,
    "Fill": lambda _call: Translation(operator="Expand", inputs=(1, 0)),
    "If": _if,
    "While": _while,
    "Int8ToFloat": _fixed("DequantizeLinear"),
    "FloatToInt8": _fixed("QuantizeLinear"),
    "Dropout": _fixed("Identity"),
    "Bnll": _fixed("Softplus"),
    **{
        source: renamed(operator)
        for source, operator in {
            "AbsVal": "Abs",
            "BroadcastTo": "Expand",
            "CastLike": "CastLike",
            "Det": "Det",
            "Exp": "Exp",
            "Identity": "Identity",
            "Copy": "Identity",
            "Log": "Log",
            "Range": "Range",
            "Select": "Where",
            "Shape": "Shape",
            "Sigmoid": "Sigmoid",
            "Size": "Size",
            "TanH": "Tanh",
            "Tile": "Tile",
        }.items()
    },
}
"""Rules by the schema's operator name; operators that are not here have no ONNX counterpart."""
