"""Paddle's operators as ONNX operators.

**Source:** https://www.paddlepaddle.org.cn/documentation/docs/en/api/index_en.html (meaning), and the
operators' definitions in https://github.com/PaddlePaddle/Paddle/tree/develop/paddle/phi/ops/yaml
(`op_compat.yaml` has the names of their parameters in programs).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gaugenn.formats._attributes import Attributes
from gaugenn.formats._draft import Mapped
from gaugenn.formats._paddle_program import TYPES, Operator
from gaugenn.formats._windows import convolution, window
from gaugenn.graph import AttributeValue, DataType, Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """An operator with the shapes of its inputs.

    Attributes:
        operator: as the program has it.
        shape_of: the shape of a variable, or None.
    """

    operator: Operator
    shape_of: Callable[[str], Shape | None]

    @property
    def given(self) -> Attributes:
        """The operator's attributes."""
        return Attributes(self.operator.attributes)

    def name(self, parameter: str) -> str:
        """The first variable of a parameter, or ""."""
        found = self.operator.inputs.get(parameter, ())
        return found[0] if found else ""

    def names(self, *parameters: str) -> tuple[str, ...]:
        """The first variables of parameters, in this order."""
        return tuple(self.name(each) for each in parameters)

    def result(self) -> tuple[str, ...]:
        """The first result, whatever the parameter is called."""
        for parameter in ("Output", "Out", "Y"):
            if self.operator.outputs.get(parameter):
                return self.operator.outputs[parameter][:1]
        return ()

    def shape(self, parameter: str) -> Shape | None:
        """The shape of a parameter's first variable."""
        name = self.name(parameter)
        return self.shape_of(name) if name else None

    def sizes(self, parameter: str) -> tuple[int, ...] | None:
        """The shape, where all sizes are known."""
        shape = self.shape(parameter)
        known = tuple(size for size in shape or () if isinstance(size, int))
        return known if shape is not None and len(known) == len(shape) else None

    def rank(self, parameter: str) -> int | None:
        """The number of dimensions."""
        shape = self.shape(parameter)
        return None if shape is None else len(shape)

    def mapped(
        self,
        operator: str,
        attributes: Mapping[str, AttributeValue] | None = None,
        *parameters: str,
    ) -> Mapped:
        """A node with the first variables of these parameters as inputs, `X` by default."""
        last = {"channels_last": 1} if self.given.text("data_format") in ("NHWC", "NDHWC") else {}
        return Mapped(
            operator=operator,
            attributes={**(attributes or {}), **last},
            inputs=self.names(*(parameters or ("X",))),
            outputs=self.result(),
        )


Rule = Callable[[Call], Mapped | None]


_FUSED = {
    "relu": ("Relu", {}),
    "relu6": ("Clip", {"fused_min": 0.0, "fused_max": 6.0}),
    "leaky_relu": ("LeakyRelu", {}),
    "sigmoid": ("Sigmoid", {}),
    "tanh": ("Tanh", {}),
    "swish": ("Swish", {}),
    "hard_swish": ("HardSwish", {}),
    "hard_sigmoid": ("HardSigmoid", {}),
}


def _fused(given: Attributes) -> dict[str, AttributeValue]:
    """An activation that Paddle-Lite's optimiser put into an operator."""
    kind = given.text("act_type") if given.flag("with_act") else ""
    kind = kind or given.text("activation_type") or ("relu" if given.flag("fuse_relu") else "")
    if kind not in _FUSED:
        return {}
    operator, bounds = _FUSED[kind]
    return {"fused_activation": operator, **bounds}


def _window(
    given: Attributes, kernel: tuple[int, ...], dilations: tuple[int, ...] = ()
) -> dict[str, AttributeValue] | None:
    strides = given.wholes("strides")
    algorithm = {"SAME": "SAME_UPPER", "VALID": "VALID"}.get(given.text("padding_algorithm"), "")
    pads = () if algorithm else given.wholes("paddings")
    if len(pads) == 2 * len(kernel):  # begin and end of each dimension in turn
        pads = pads[0::2] + pads[1::2]
    return window(
        kernel=kernel, strides=strides, dilations=dilations, pads=pads, auto_pad=algorithm
    )


def _convolution(call: Call) -> Mapped | None:
    """Filters are (outputs, inputs of a group, spatial...); transposed ones (inputs, outputs, ...)."""
    given = call.given
    filters = call.sizes("Filter")
    if filters is None or len(filters) < 3:
        return None
    transposed = "transpose" in call.operator.type
    rank = len(filters) - 2
    group = given.whole("groups", 1)
    found = _window(given, filters[2:], given.wholes("dilations"))
    outputs = filters[1] * group if transposed else filters[0]
    attributes = convolution(found, output_channels=outputs, group=group)
    if attributes is None:
        return None
    extra = given.wholes("output_padding")
    if transposed and len(extra) == rank:
        attributes["output_padding"] = extra
    operator = "ConvTranspose" if transposed else "Conv"
    attributes |= _fused(given)
    return call.mapped(operator, attributes, "Input", "Filter", "Bias", "ResidualData")


def _pool(call: Call) -> Mapped | None:
    given = call.given
    kind = {"max": "Max", "avg": "Average"}.get(given.text("pooling_type"))
    if kind is None:
        return None
    kernel = given.wholes("ksize")
    adaptive = given.flag("adaptive")
    if given.flag("global_pooling") or (adaptive and set(kernel) == {1}):
        return call.mapped(f"Global{kind}Pool")
    if adaptive:
        return None
    attributes = _window(given, kernel)
    if attributes is None:
        return None
    attributes["ceil_mode"] = int(given.flag("ceil_mode"))
    if kind == "Average":
        attributes["count_include_pad"] = int(not given.flag("exclusive", default=True))
    return call.mapped(f"{kind}Pool", attributes)


def _plain(operator: str, *parameters: str, **attributes: AttributeValue) -> Rule:
    return lambda call: call.mapped(operator, attributes, *parameters)


def _real(operator: str, **names: tuple[str, float]) -> Rule:
    """Attributes that are numbers: ONNX's name, Paddle's name, what it is by default."""

    def rule(call: Call) -> Mapped:
        given = call.given
        found = {onnx: given.real(name, default) for onnx, (name, default) in names.items()}
        return call.mapped(operator, found)

    return rule


def _pairwise(operator: str) -> Rule:
    """The second operand is aligned at an axis, or at the last dimension."""

    def rule(call: Call) -> Mapped:
        given = call.given
        attributes: dict[str, AttributeValue] = dict(_fused(given))
        axis, first, second = given.whole("axis", -1), call.rank("X"), call.rank("Y")
        if axis >= 0 and first is not None and second is not None and axis + second < first:
            attributes |= {"broadcast": 1, "axis": axis}
        return call.mapped(operator, attributes, "X", "Y")

    return rule


def _product(call: Call) -> Mapped:
    """Matrix product with operands that may be transposed (three generations of the operator)."""
    given = call.given
    attributes: dict[str, AttributeValue] = {}
    for onnx, names in (
        ("transA", ("trans_x", "transpose_X")),
        ("transB", ("trans_y", "transpose_Y")),
    ):
        if any(given.flag(name) for name in names):
            attributes[onnx] = 1
    return call.mapped("MatMul", attributes, "X", "Y")


def _flattening(data: str, weights: str, columns: str) -> Rule:
    """A product whose first operand is flattened to a matrix before a dimension."""

    def rule(call: Call) -> Mapped | None:
        given = call.given
        split, rank = given.whole(columns, 1), call.rank(data)
        if given.whole("y_num_col_dims", 1) != 1:
            return None
        attributes: dict[str, AttributeValue] = dict(_fused(given))
        if rank is not None and split == rank - 1:
            return call.mapped("MatMul", attributes, data, weights, "Bias")
        if split != 1:
            return None
        return call.mapped("Gemm", {**attributes, "keep_num_dims": 0}, data, weights, "Bias")

    return rule


def _batch_norm(call: Call) -> Mapped:
    attributes: dict[str, AttributeValue] = {"epsilon": call.given.real("epsilon", 1e-5)}
    attributes |= _fused(call.given)
    if call.given.text("data_layout") == "NHWC":
        attributes["channels_last"] = 1
    return call.mapped("BatchNormalization", attributes, "X", "Scale", "Bias", "Mean", "Variance")


def _layer_norm(call: Call) -> Mapped:
    given = call.given
    return call.mapped(
        "LayerNormalization",
        {"axis": given.whole("begin_norm_axis", 1), "epsilon": given.real("epsilon", 1e-5)},
        *("X", "Scale", "Bias"),
    )


def _group_norm(call: Call) -> Mapped:
    given = call.given
    return call.mapped(
        "GroupNormalization",
        {"num_groups": given.whole("groups", 1), "epsilon": given.real("epsilon", 1e-5)},
        *("X", "Scale", "Bias"),
    )


def _axis(operator: str, default: int, *parameters: str) -> Rule:
    def rule(call: Call) -> Mapped:
        return call.mapped(operator, {"axis": call.given.whole("axis", default)}, *parameters)

    return rule


def _concat(call: Call) -> Mapped | None:
    if call.name("AxisTensor"):
        return None
    return Mapped(
        operator="Concat",
        attributes={"axis": call.given.whole("axis")},
        inputs=call.operator.inputs.get("X", ()),
        outputs=call.result(),
    )


def _split(call: Call) -> Mapped | None:
    given = call.given
    results = call.operator.outputs.get("Out", ())
    if call.name("AxisTensor") or call.name("SectionsTensorList") or not results:
        return None
    attributes: dict[str, AttributeValue] = {"axis": given.whole("axis")}
    sections = given.wholes("sections")
    if sections and min(sections) >= 0:
        attributes["split"] = sections
    else:
        attributes["num_outputs"] = len(results)
    return Mapped(operator="Split", attributes=attributes, inputs=call.names("X"), outputs=results)


def _reshape(call: Call) -> Mapped | None:
    shape = call.given.wholes("shape")
    if call.name("ShapeTensor") or (not shape and not call.name("Shape")):
        return None
    if call.name("Shape"):
        return call.mapped("Reshape", {}, "X", "Shape")
    return call.mapped("Reshape", {"shape": shape})


def _flatten(call: Call) -> Mapped | None:
    given = call.given
    if call.operator.type != "flatten_contiguous_range":
        return call.mapped("Flatten", {"axis": given.whole("axis", 1)})
    rank = call.rank("X")
    first, last = given.whole("start_axis", 1), given.whole("stop_axis", -1)
    if rank is None:
        return None
    first, last = first % max(rank, 1), last % max(rank, 1)
    if first == 1 and last == rank - 1:
        return call.mapped("Flatten", {"axis": 1})
    return call.mapped("Reshape", {"shape": (0,) * first + (-1,)}) if last == rank - 1 else None


def _axes(operator: str) -> Rule:
    def rule(call: Call) -> Mapped | None:
        if call.name("AxesTensor") or call.name("AxesTensorList"):
            return None
        axes = call.given.wholes("axes")
        return call.mapped(operator, {"axes": axes} if axes else {})

    return rule


def _slice(call: Call) -> Mapped | None:
    given = call.given
    tensors = ("StartsTensor", "EndsTensor", "StartsTensorList", "EndsTensorList", "StridesTensor")
    if any(call.name(each) for each in tensors) or given.wholes("decrease_axis"):
        return None
    attributes: dict[str, AttributeValue] = {
        "axes": given.wholes("axes"),
        "starts": given.wholes("starts"),
        "ends": given.wholes("ends"),
    }
    if call.operator.type == "strided_slice":
        attributes["steps"] = given.wholes("strides")
    return call.mapped("Slice", attributes, "Input")


def _resize(mode: str) -> Rule:
    def rule(call: Call) -> Mapped | None:
        given = call.given
        if any(call.name(each) for each in ("OutSize", "SizeTensor", "Scale")):
            return None
        corners = given.flag("align_corners", default=True)
        coordinates = "align_corners" if corners else "half_pixel"
        if not corners and (given.whole("align_mode", 1) == 1 or mode == "nearest"):
            coordinates = "asymmetric"
        attributes: dict[str, AttributeValue] = {
            "mode": mode,
            "coordinate_transformation_mode": coordinates,
            "axes": (1, 2) if given.text("data_layout") == "NHWC" else (2, 3),
        }
        sizes = (given.whole("out_h", -1), given.whole("out_w", -1))
        scales = given.reals("scale") or (given.real("scale", 0.0),)
        scales = scales * 2 if len(scales) == 1 else scales
        if min(sizes) > 0 and not (len(scales) == 2 and min(scales) > 0):
            return call.mapped("Resize", {**attributes, "sizes": sizes})
        if len(scales) != 2 or not all(0 < scale < 1 << 16 for scale in scales):
            return None
        return call.mapped("Resize", {**attributes, "scales": scales})

    return rule


def _pad(call: Call) -> Mapped | None:
    """`pad` has begin and end of each dimension in turn; others those of the last ones, reversed."""
    given = call.given
    kind = call.operator.type
    amounts, rank = given.wholes("paddings"), call.rank("X")
    mode = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "edge": "edge"}.get(
        given.text("mode", "constant")
    )
    if mode is None or rank is None or call.name("Paddings"):
        return None
    if kind == "pad" and len(amounts) == 2 * rank:
        pads = amounts[0::2] + amounts[1::2]
    elif kind == "pad2d" and len(amounts) == 4 and rank == 4:
        pads = (0, 0, amounts[0], amounts[2], 0, 0, amounts[1], amounts[3])
    elif kind == "pad3d" and len(amounts) == 6 and rank == 5:
        left, right, top, bottom, front, back = amounts
        pads = (0, 0, front, top, left, 0, 0, back, bottom, right)
    else:
        return None
    if given.text("data_format", "NCHW").endswith("C"):
        return None
    return call.mapped("Pad", {"pads": pads, "mode": mode})


def _reduce(operator: str) -> Rule:
    def rule(call: Call) -> Mapped:
        given = call.given
        attributes: dict[str, AttributeValue] = {"keepdims": int(given.flag("keep_dim"))}
        axes = given.wholes("dim")
        if axes and not given.flag("reduce_all"):
            attributes["axes"] = axes
        return call.mapped(operator, attributes)

    return rule


def _arg(operator: str) -> Rule:
    def rule(call: Call) -> Mapped | None:
        given = call.given
        if given.flag("flatten"):
            return None
        keep = int(given.flag("keepdims"))
        return call.mapped(operator, {"axis": given.whole("axis", -1), "keepdims": keep})

    return rule


def _cast(call: Call) -> Mapped:
    dtype = TYPES.get(call.given.whole("out_dtype", -1), DataType.UNKNOWN)
    return call.mapped("Cast", {"to": dtype.value})


def _relu6(call: Call) -> Mapped:
    return call.mapped("Clip", {"min": 0.0, "max": call.given.real("threshold", 6.0)})


def _clip(call: Call) -> Mapped | None:
    given = call.given
    if call.name("Min") or call.name("Max"):
        return None
    return call.mapped("Clip", {"min": given.real("min", 0.0), "max": given.real("max", 0.0)})


def _top_k(call: Call) -> Mapped | None:
    if call.name("K"):
        return None
    given = call.given
    results = tuple(
        name for each in ("Out", "Indices") for name in call.operator.outputs.get(each, ())[:1]
    )
    attributes: dict[str, AttributeValue] = {
        "k": given.whole("k", 1),
        "axis": given.whole("axis", -1),
    }
    return Mapped(operator="TopK", attributes=attributes, inputs=call.names("X"), outputs=results)


def _shuffle(call: Call) -> Mapped:
    factor = call.given.whole("upscale_factor", 1)
    return call.mapped("DepthToSpace", {"blocksize": factor, "mode": "CRD"})


def _gather(call: Call) -> Mapped | None:
    if call.name("Axis"):
        return None
    return call.mapped("Gather", {"axis": call.given.whole("axis")}, "X", "Index")


def _quantize(operator: str) -> Rule:
    def rule(call: Call) -> Mapped:
        axis = call.given.whole("quant_axis", -1)
        attributes: dict[str, AttributeValue] = {"axis": axis} if axis >= 0 else {}
        return call.mapped(operator, attributes, "X", "Scale", "ZeroPoint")

    return rule


def _sub_block(operator: str, name: str) -> Rule:
    """The block is the attribute's graph; what it takes stays in the source's order."""

    def rule(call: Call) -> Mapped | None:
        block = call.operator.attributes.get("sub_block")
        return None if block is None else Mapped(operator=operator, attributes={name: block})

    return rule


_UNARY = {
    "abs": "Abs",
    "acos": "Acos",
    "asin": "Asin",
    "atan": "Atan",
    "ceil": "Ceil",
    "cos": "Cos",
    "erf": "Erf",
    "exp": "Exp",
    "floor": "Floor",
    "hard_swish": "HardSwish",
    "log": "Log",
    "logical_not": "Not",
    "mish": "Mish",
    "reciprocal": "Reciprocal",
    "relu": "Relu",
    "round": "Round",
    "selu": "Selu",
    "sigmoid": "Sigmoid",
    "sign": "Sign",
    "silu": "Swish",
    "sin": "Sin",
    "softplus": "Softplus",
    "softsign": "Softsign",
    "sqrt": "Sqrt",
    "swish": "Swish",
    "tanh": "Tanh",
    "gelu": "Gelu",
}
_PAIRS = {
    "add": "Add",
    "sub": "Sub",
    "mul": "Mul",
    "div": "Div",
    "max": "Max",
    "min": "Min",
    "pow": "Pow",
    "mod": "Mod",
}
_COMPARISONS = {
    "equal": "Equal",
    "greater_equal": "GreaterOrEqual",
    "greater_than": "Greater",
    "less_equal": "LessOrEqual",
    "less_than": "Less",
    "logical_and": "And",
    "logical_or": "Or",
    "logical_xor": "Xor",
}

_RULES: Mapping[str, Rule] = {
    **{name: _plain(operator) for name, operator in _UNARY.items()},
    **{f"elementwise_{name}": _pairwise(operator) for name, operator in _PAIRS.items()},
    **{name: _pairwise(operator) for name, operator in _COMPARISONS.items()},
    **{
        f"fusion_elementwise_{name}_activation": _pairwise(operator)
        for name, operator in _PAIRS.items()
    },
    **dict.fromkeys(
        ("conv2d", "depthwise_conv2d", "conv3d", "conv2d_transpose", "depthwise_conv2d_transpose"),
        _convolution,
    ),
    **dict.fromkeys(("conv3d_transpose", "conv2d_fusion"), _convolution),
    **dict.fromkeys(("pool2d", "pool3d"), _pool),
    **dict.fromkeys(("matmul", "matmul_v2", "bmm"), _product),
    **dict.fromkeys(("nearest_interp", "nearest_interp_v2"), _resize("nearest")),
    **dict.fromkeys(("bilinear_interp", "bilinear_interp_v2"), _resize("linear")),
    **dict.fromkeys(("bicubic_interp", "bicubic_interp_v2"), _resize("cubic")),
    **dict.fromkeys(("reshape", "reshape2"), _reshape),
    **dict.fromkeys(("flatten", "flatten2", "flatten_contiguous_range"), _flatten),
    **dict.fromkeys(("squeeze", "squeeze2"), _axes("Squeeze")),
    **dict.fromkeys(("unsqueeze", "unsqueeze2"), _axes("Unsqueeze")),
    **dict.fromkeys(
        ("transpose", "transpose2"),
        lambda call: call.mapped("Transpose", {"perm": call.given.wholes("axis")}),
    ),
    **dict.fromkeys(("slice", "strided_slice"), _slice),
    **dict.fromkeys(("pad", "pad2d", "pad3d"), _pad),
    **dict.fromkeys(("top_k", "top_k_v2"), _top_k),
    **dict.fromkeys(("assign", "share_data", "memcpy", "io_copy", "layout"), _plain("Identity")),
    "arg_max": _arg("ArgMax"),
    "arg_min": _arg("ArgMin"),
    "batch_norm": _batch_norm,
    "cast": _cast,
    "clip": _clip,
    "concat": _concat,
    "conditional_block": _sub_block("If", "then_branch"),
    "dequantize_linear": _quantize("DequantizeLinear"),
    "dropout": _plain("Dropout"),
    "elu": _real("Elu", alpha=("alpha", 1.0)),
    "fc": _flattening("Input", "W", "in_num_col_dims"),
    "gather": _gather,
    "group_norm": _group_norm,
    "hard_sigmoid": _real("HardSigmoid", alpha=("slope", 0.2), beta=("offset", 0.5)),
    "instance_norm": lambda call: call.mapped(
        "InstanceNormalization",
        {"epsilon": call.given.real("epsilon", 1e-5)},
        *("X", "Scale", "Bias"),
    ),
    "layer_norm": _layer_norm,
    "leaky_relu": _real("LeakyRelu", alpha=("alpha", 0.02)),
    "log_softmax": _axis("LogSoftmax", -1),
    "lookup_table_v2": _plain("Gather", "W", "Ids", axis=0),
    "mean": _plain("ReduceMean", keepdims=0),
    "mul": _flattening("X", "Y", "x_num_col_dims"),
    "pixel_shuffle": _shuffle,
    "prelu": _plain("PRelu", "X", "Alpha"),
    "quantize_linear": _quantize("QuantizeLinear"),
    "reduce_max": _reduce("ReduceMax"),
    "reduce_mean": _reduce("ReduceMean"),
    "reduce_min": _reduce("ReduceMin"),
    "reduce_prod": _reduce("ReduceProd"),
    "reduce_sum": _reduce("ReduceSum"),
    "relu6": _relu6,
    "shape": _plain("Shape", "Input"),
    "softmax": _axis("Softmax", -1),
    "split": _split,
    "where": _plain("Where", "Condition", "X", "Y"),
    "while": _sub_block("Loop", "body"),
}


def translate(call: Call) -> Mapped | None:
    """The ONNX operator, or None where there is none or what decides is not constant."""
    rule = _RULES.get(call.operator.type)
    return None if rule is None else rule(call)
