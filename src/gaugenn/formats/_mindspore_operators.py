"""What MindSpore Lite's operators mean in ONNX.

Most take axes, shapes and paddings as constant inputs, as TensorFlow Lite's do. `FullConnection` and
`MatMulFusion` are `MatMul` with `transA`, `transB` and the bias as third input, `Gemm` where both
operands are matrices. Operators of training (`...Grad`, optimisers) have no ONNX counterpart.

**Source:** https://github.com/mindspore-ai/mindspore-lite/tree/master/mindspore-lite/src/litert/kernel/cpu
(meaning), https://onnx.ai/onnx/operators/ (counterparts)
"""

from gaugenn.errors import FormatError
from gaugenn.formats import _mindspore_schema as schema
from gaugenn.formats._operator_call import (
    OMITTED,
    ONNX_TYPES,
    Call,
    Rule,
    Translation,
    renamed,
)
from gaugenn.graph import AttributeValue

_INT_MAX = (1 << 63) - 1
_CEIL = 1


def activation(call: Call) -> dict[str, AttributeValue]:
    """The attributes of a fused activation; empty for none."""
    code = call.whole("activation_type")
    if not code:
        return {}
    name = schema.ACTIVATIONS.get(code)
    if name is None:
        return {"activation_type": code}
    found: dict[str, AttributeValue] = {"fused_activation": name}
    if code in schema.ACTIVATION_LIMITS:
        found["fused_min"], found["fused_max"] = schema.ACTIVATION_LIMITS[code]
    return found


def _fused(operator: str) -> Rule:
    return lambda call: Translation(operator=operator, attributes=activation(call))


def _fixed(operator: str, **attributes: AttributeValue) -> Rule:
    return lambda _call: Translation(operator=operator, attributes=dict(attributes))


def _activation(call: Call) -> Translation | None:
    code = call.whole("activation_type")
    if not code:
        return Translation(operator="Identity")
    name = schema.ACTIVATIONS.get(code)
    if name is None:
        return None
    attributes: dict[str, AttributeValue] = {}
    if code in schema.ACTIVATION_LIMITS:
        attributes["min"], attributes["max"] = schema.ACTIVATION_LIMITS[code]
    elif name in ("LeakyRelu", "Elu", "ThresholdedRelu"):
        attributes["alpha"] = call.real("alpha")
    elif name == "Gelu":
        attributes["approximate"] = "tanh" if call.whole("approximate") else "none"
    return Translation(operator=name, attributes=attributes)


def _window(call: Call, name: str, rank: int = 2) -> tuple[int, ...]:
    sizes = call.wholes(name) or (1,) * rank
    if min(sizes) < 1:
        raise FormatError(f"{call.source} has {name} {sizes}; expected 1 or more")
    return sizes


def _padding(call: Call, name: str) -> dict[str, AttributeValue]:
    """Padding in the order up, down, left, right as ONNX has it."""
    mode = call.whole("pad_mode")
    if mode in (1, 2):
        return {"auto_pad": "SAME_UPPER" if mode == 1 else "VALID"}
    pads = call.wholes(name)
    if len(pads) % 2 or not pads:
        return {}
    return {"pads": pads[0::2] + pads[1::2]}


def _convolution(operator: str) -> Rule:
    def rule(call: Call) -> Translation | None:
        weights = call.sizes(1, 4)
        kernel = call.wholes("kernel_size")
        outputs = call.whole("out_channel")
        if weights is not None:
            kernel = weights[1:3]
            outputs = outputs or weights[0 if operator == "Conv" else 3]
        if not kernel or min(kernel) < 1 or outputs < 1:
            return None
        attributes: dict[str, AttributeValue] = {
            "kernel_shape": kernel,
            "output_channels": outputs,
            "strides": _window(call, "stride"),
            "dilations": _window(call, "dilation"),
            "group": max(1, call.whole("group", 1)),
            **_padding(call, "pad_list"),
            **activation(call),
        }
        extra = call.wholes("output_paddings")
        if any(extra):
            attributes["output_padding"] = extra
        return Translation(operator=operator, attributes=attributes)

    return rule


def _pool(operator: str) -> Rule:
    def rule(call: Call) -> Translation:
        fused = activation(call)
        if call.whole("global"):
            return Translation(operator=f"Global{operator}", attributes=fused)
        attributes: dict[str, AttributeValue] = {
            "kernel_shape": _window(call, "kernel_size"),
            "strides": _window(call, "strides"),
            **_padding(call, "pad"),
            **fused,
        }
        if call.whole("round_mode") == _CEIL:
            attributes["ceil_mode"] = 1
        return Translation(operator=operator, attributes=attributes)

    return rule


def _product(call: Call, *, left: int, right: int) -> Translation:
    shapes = call.shape(0), call.shape(1)
    is_plain = all(shape is not None and len(shape) == 2 for shape in shapes)
    attributes: dict[str, AttributeValue] = activation(call)
    if left:
        attributes["transA"] = 1
    if right:
        attributes["transB"] = 1
    return Translation(operator="Gemm" if is_plain else "MatMul", attributes=attributes)


def _matmul(call: Call) -> Translation:
    return _product(call, left=call.whole("transpose_a"), right=call.whole("transpose_b"))


def _fully_connected(call: Call) -> Translation:
    made = _product(call, left=0, right=1)
    attributes = dict(made.attributes)
    if made.operator == "MatMul":
        attributes["keep_num_dims"] = call.whole("use_axis")
    return Translation(operator=made.operator, attributes=attributes)


def _power(call: Call) -> Translation | None:
    is_plain = call.real("scale", 1.0) == 1.0 and call.real("shift") == 0.0
    return Translation(operator="Pow") if is_plain else None


def _exponential(call: Call) -> Translation | None:
    plain = (call.real("base", -1.0), call.real("scale", 1.0), call.real("shift"))
    return Translation(operator="Exp") if plain == (-1.0, 1.0, 0.0) else None


_REDUCTIONS = (
    *("ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare"),
    *("ReduceL1", "", "ReduceL2"),
)


def _reduce(call: Call) -> Translation | None:
    mode = call.whole("mode")
    operator = _REDUCTIONS[mode] if 0 <= mode < len(_REDUCTIONS) else ""
    if not operator or call.whole("reduce_to_end") or call.real("coeff", 1.0) not in (0.0, 1.0):
        return None
    return Translation(operator=operator, attributes={"keepdims": call.whole("keep_dims")})


def _transpose(call: Call) -> Translation | None:
    order = call.constant(1)
    if order is None:
        return None
    return Translation(operator="Transpose", attributes={"perm": order}, inputs=(0,))


def _softmax(operator: str) -> Rule:
    def rule(call: Call) -> Translation:
        axes = call.wholes("axis") or (call.whole("axis", -1),)
        return Translation(operator=operator, attributes={"axis": axes[0]})

    return rule


def _with_axis(operator: str) -> Rule:
    return lambda call: Translation(operator=operator, attributes={"axis": call.whole("axis")})


def _with_axes(operator: str) -> Rule:
    def rule(call: Call) -> Translation:
        axes = call.wholes("axis")
        return Translation(operator=operator, attributes={"axes": axes} if axes else {})

    return rule


def _gather(call: Call) -> Translation | None:
    axis = call.constant(2)
    if call.input(2) is None:
        axis = (0,)
    if axis is None or len(axis) != 1:
        return None
    return Translation(operator="Gather", attributes={"axis": axis[0]}, inputs=(0, 1))


def _split(call: Call) -> Translation:
    sizes, count = call.wholes("size_splits"), len(call.outputs)
    attributes: dict[str, AttributeValue] = {"axis": call.whole("axis")}
    if len(sizes) == count and min(sizes, default=-1) >= 0:
        attributes["split"] = sizes
    else:
        attributes["num_outputs"] = count
    return Translation(operator="Split", attributes=attributes)


def _slice(call: Call) -> Translation | None:
    starts, sizes, axes = call.constant(1), call.constant(2), call.wholes("axes")
    if starts is None or sizes is None or len(starts) != len(sizes):
        return None
    pairs = zip(starts, sizes, strict=True)
    ends = tuple(_INT_MAX if size < 0 else start + size for start, size in pairs)
    attributes: dict[str, AttributeValue] = {"starts": starts, "ends": ends}
    if len(axes) == len(starts):
        attributes["axes"] = axes
    return Translation(operator="Slice", attributes=attributes, inputs=(0, *[OMITTED] * 4))


def _strided_slice(call: Call) -> Translation | None:
    if any(call.whole(f"{part}_mask") for part in ("ellipsis", "new_axis", "shrink_axis")):
        return None
    starts, ends = call.constant(1), call.constant(2)
    last = call.constant(len(call.inputs) - 1)
    steps = last if len(call.inputs) in (4, 5) else None
    axes = call.constant(3) if len(call.inputs) == 5 else None
    if starts is None or ends is None or steps is None or 0 in steps:
        return None
    if len(call.inputs) == 5 and axes is None:
        return None
    if not len(starts) == len(ends) == len(steps):
        raise FormatError(f"{call.source} has begin {starts}, end {ends} and strides {steps}")
    begin_mask, end_mask = call.whole("begin_mask"), call.whole("end_mask")
    first = tuple(
        (0 if step > 0 else _INT_MAX) if begin_mask >> i & 1 else start
        for i, (start, step) in enumerate(zip(starts, steps, strict=True))
    )
    final = tuple(
        (_INT_MAX if step > 0 else -_INT_MAX) if end_mask >> i & 1 else end
        for i, (end, step) in enumerate(zip(ends, steps, strict=True))
    )
    attributes: dict[str, AttributeValue] = {"starts": first, "ends": final, "steps": steps}
    if axes is not None:
        attributes["axes"] = axes
    return Translation(operator="Slice", attributes=attributes, inputs=(0, *[OMITTED] * 4))


def _resize(call: Call) -> Translation | None:
    mode = {0: "linear", 1: "nearest", 2: "cubic"}.get(call.whole("method"))
    coordinates = ("asymmetric", "align_corners", "half_pixel")
    code = call.whole("coordinate_transform_mode")
    if mode is None or not 0 <= code < len(coordinates):
        return None
    attributes: dict[str, AttributeValue] = {
        "mode": mode,
        "coordinate_transformation_mode": coordinates[code],
        "axes": (1, 2),
    }
    second = call.input(1)
    if second is not None:
        if second.shape == (4,):
            del attributes["axes"]
        at = (0, OMITTED, 1) if second.dtype.is_floating else (0, OMITTED, OMITTED, 1)
        return Translation(operator="Resize", attributes=attributes, inputs=at)
    attributes["sizes"] = (call.whole("new_height"), call.whole("new_width"))
    return Translation(operator="Resize", attributes=attributes)


def _pad(call: Call) -> Translation | None:
    amounts = call.constant(1)
    mode = {0: "constant", 1: "reflect"}.get(call.whole("padding_mode"))
    if amounts is None or mode is None or len(amounts) % 2:
        return None
    return Translation(
        operator="Pad",
        attributes={"pads": amounts[0::2] + amounts[1::2], "mode": mode},
        inputs=(0, OMITTED, OMITTED, OMITTED),
    )


def _cast(call: Call) -> Translation | None:
    target = ONNX_TYPES.get(call.output_dtype())
    if target is None:
        return None
    return Translation(operator="Cast", attributes={"to": target}, inputs=(0,))


def _quantise_cast(call: Call) -> Translation | None:
    source, target = call.dtype(0), call.output_dtype()
    if source.is_floating and target.value.startswith(("int", "uint")):
        return Translation(operator="QuantizeLinear")
    if target.is_floating and source.value.startswith(("int", "uint")):
        return Translation(operator="DequantizeLinear")
    return None


def _clip(call: Call) -> Translation:
    limits: dict[str, AttributeValue] = {"min": call.real("min"), "max": call.real("max")}
    return Translation(operator="Clip", attributes=limits if limits["min"] != limits["max"] else {})


def _block(operator: str) -> Rule:
    def rule(call: Call) -> Translation:
        attributes: dict[str, AttributeValue] = {"blocksize": call.whole("block_size")}
        if operator == "DepthToSpace":
            attributes["mode"] = str(call.options.get("mode") or "DCR")
        return Translation(operator=operator, attributes=attributes)

    return rule


def _normalisation(call: Call) -> Translation:
    return Translation(
        operator="BatchNormalization", attributes={"epsilon": call.real("epsilon", 1e-4)}
    )


def _layer_norm(call: Call) -> Translation:
    return Translation(
        operator="LayerNormalization",
        attributes={
            "axis": call.whole("begin_norm_axis"),
            "epsilon": call.real("epsilon", 1e-5),
        },
    )


def _arg(operator: str) -> Rule:
    def rule(call: Call) -> Translation | None:
        if call.whole("top_k", 1) > 1 or call.whole("out_max_value"):
            return None
        return Translation(
            operator=operator,
            attributes={"axis": call.whole("axis"), "keepdims": call.whole("keep_dims")},
        )

    return rule


def _eltwise(call: Call) -> Translation | None:
    operator = {0: "Mul", 1: "Add", 2: "Max"}.get(call.whole("mode"))
    return Translation(operator=operator) if operator else None


def _scale(call: Call) -> Translation | None:
    if call.input(2) is not None:
        return None
    attributes: dict[str, AttributeValue] = {"axis": call.whole("axis"), "broadcast": 1}
    return Translation(operator="Mul", attributes={**attributes, **activation(call)})


def _local_response_normalization(call: Call) -> Translation:
    size = 2 * call.whole("depth_radius") + 1
    return Translation(
        operator="LRN",
        attributes={
            "size": size,
            "alpha": call.real("alpha") * size,
            "beta": call.real("beta"),
            "bias": call.real("bias"),
        },
    )


RULES: dict[str, Rule] = {
    "Activation": _activation,
    "Conv2DFusion": _convolution("Conv"),
    "Conv2dTransposeFusion": _convolution("ConvTranspose"),
    "AvgPoolFusion": _pool("AveragePool"),
    "MaxPoolFusion": _pool("MaxPool"),
    "FullConnection": _fully_connected,
    "MatMulFusion": _matmul,
    "AddFusion": _fused("Add"),
    "SubFusion": _fused("Sub"),
    "MulFusion": _fused("Mul"),
    "DivFusion": _fused("Div"),
    "PowFusion": _power,
    "ExpFusion": _exponential,
    "ReduceFusion": _reduce,
    "Transpose": _transpose,
    "Softmax": _softmax("Softmax"),
    "LogSoftmax": _softmax("LogSoftmax"),
    "Concat": _with_axis("Concat"),
    "Flatten": _with_axis("Flatten"),
    "ScatterElements": _with_axis("ScatterElements"),
    "Squeeze": _with_axes("Squeeze"),
    "Unsqueeze": _with_axes("Unsqueeze"),
    "Gather": _gather,
    "Split": _split,
    "SliceFusion": _slice,
    "StridedSlice": _strided_slice,
    "Resize": _resize,
    "PadFusion": _pad,
    "Cast": _cast,
    "QuantDTypeCast": _quantise_cast,
    "Clip": _clip,
    "DepthToSpace": _block("DepthToSpace"),
    "SpaceToDepth": _block("SpaceToDepth"),
    "BatchNorm": _normalisation,
    "FusedBatchNorm": _normalisation,
    "LayerNormFusion": _layer_norm,
    "InstanceNorm": lambda call: Translation(
        operator="InstanceNormalization", attributes={"epsilon": call.real("epsilon")}
    ),
    "ArgMaxFusion": _arg("ArgMax"),
    "ArgMinFusion": _arg("ArgMin"),
    "Eltwise": _eltwise,
    "ScaleFusion": _scale,
    "LRN": _local_response_normalization,
    "LeakyRelu": lambda call: Translation(
        operator="LeakyRelu", attributes={"alpha": call.real("negative_slope")}
    ),
    "Elu": lambda call: Translation(operator="Elu", attributes={"alpha": call.real("alpha")}),
    "TopKFusion": lambda call: Translation(
        operator="TopK",
        attributes={"axis": call.whole("axis"), "largest": call.whole("largest")},
    ),
    "CumSum": lambda call: Translation(
        operator="CumSum",
        attributes={"exclusive": call.whole("exclusive"), "reverse": call.whole("reverse")},
    ),
    "GatherNd": _fixed("GatherND", batch_dims=0),
    "Fill": lambda _call: Translation(operator="Expand", inputs=(1, 0)),
    "Mod": _fixed("Mod", fmod=1),
    "FloorMod": _fixed("Mod", fmod=0),
    "Dropout": _fixed("Identity"),
    **{
        source: renamed(operator)
        for source, operator in {
            "Abs": "Abs",
            "AddN": "Sum",
            "BiasAdd": "Add",
            "Ceil": "Ceil",
            "Cos": "Cos",
            "Equal": "Equal",
            "Erf": "Erf",
            "ExpandDims": "Unsqueeze",
            "Floor": "Floor",
            "GatherD": "GatherElements",
            "Greater": "Greater",
            "GreaterEqual": "GreaterOrEqual",
            "Less": "Less",
            "LessEqual": "LessOrEqual",
            "Log": "Log",
            "LogicalAnd": "And",
            "LogicalNot": "Not",
            "LogicalOr": "Or",
            "Maximum": "Max",
            "Minimum": "Min",
            "Neg": "Neg",
            "NonZero": "NonZero",
            "PReLUFusion": "PRelu",
            "RealDiv": "Div",
            "Reciprocal": "Reciprocal",
            "Reshape": "Reshape",
            "Round": "Round",
            "Shape": "Shape",
            "Sin": "Sin",
            "Size": "Size",
            "Sqrt": "Sqrt",
            "TileFusion": "Tile",
        }.items()
    },
}
"""Rules by the schema's operator name; operators that are not here have no ONNX counterpart."""
