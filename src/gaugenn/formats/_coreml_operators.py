"""Operations of Core ML programs as ONNX operators. Tensors are (batch, channels, spatial...).

**Source:** https://apple.github.io/coremltools/source/coremltools.converters.mil.mil.ops.defs.html
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from gaugenn.formats._coreml_values import Literal, ValueType
from gaugenn.formats._operator_call import ONNX_TYPES
from gaugenn.graph import AttributeValue, DataType, Tensor

_TO_THE_END = (1 << 63) - 1
_TYPE_NAMES = {
    "fp16": DataType.FLOAT16,
    "fp32": DataType.FLOAT32,
    "fp64": DataType.FLOAT64,
    "bf16": DataType.BFLOAT16,
    "bool": DataType.BOOL,
    "string": DataType.STRING,
    **{
        f"{sign}int{bits}": DataType(f"{sign}int{bits}")
        for sign in ("", "u")
        for bits in (8, 16, 32, 64, 4, 2)
        if (sign, bits) != ("", 2)
    },
}
"""Element types by their names in the text form and in `cast`."""


def element_type(name: str) -> DataType:
    """An element type by its name in a program; UNKNOWN for those that have no counterpart."""
    return _TYPE_NAMES.get(name, DataType.UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """An argument and what is known about it.

    Attributes:
        name: of a value of the program; "" for one that is spelled out.
        value: of a constant.
        type: the declared type.
    """

    name: str
    value: Literal | Tensor | None
    type: ValueType


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """An operation as the program has it."""

    kind: str
    arguments: Mapping[str, tuple[Given, ...]]
    outputs: tuple[tuple[str, ValueType], ...]

    def given(self, parameter: str) -> Given | None:
        """The first argument of a parameter, or None."""
        found = self.arguments.get(parameter)
        return found[0] if found else None

    def literal(self, parameter: str) -> Literal | None:
        """The constant of a parameter, or None."""
        given = self.given(parameter)
        return given.value if given is not None and isinstance(given.value, Literal) else None

    def integers(self, parameter: str) -> tuple[int, ...] | None:
        """The integers of a constant parameter, or None."""
        held = self.literal(parameter)
        return None if held is None else held.integers()

    def integer(self, parameter: str, default: int = 0) -> int:
        """A single integer or truth value."""
        found = self.integers(parameter)
        return found[0] if found and len(found) == 1 else default

    def real(self, parameter: str, default: float = 0.0) -> float:
        """A single number."""
        held = self.literal(parameter)
        found = None if held is None else held.numbers()
        return float(found[0]) if found and len(found) == 1 else default

    def text(self, parameter: str) -> str:
        """A single text, or ""."""
        held = self.literal(parameter)
        return "" if held is None else held.text()

    def shape(self, parameter: str) -> tuple[int, ...] | None:
        """The shape of an argument where every size is known."""
        given = self.given(parameter)
        if given is None or given.type.shape is None:
            return None
        sizes = tuple(size for size in given.type.shape if isinstance(size, int))
        return sizes if len(sizes) == len(given.type.shape) else None

    def rank(self, parameter: str) -> int | None:
        """Number of dimensions of an argument."""
        given = self.given(parameter)
        return None if given is None or given.type.shape is None else len(given.type.shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """What an operation becomes.

    Attributes:
        operator: the ONNX operator, or "".
        attributes: ONNX's, and those of the operation that ONNX does not know.
        inputs: in ONNX order; None for an omitted one.
    """

    operator: str
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    inputs: tuple[Given | None, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """A rule's answer: which parameters are inputs, in ONNX order, and which are told by attributes."""

    operator: str
    inputs: tuple[str, ...]
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    told: tuple[str, ...] = ()


_Rule = Callable[[Call], _Plan | None]


def mapped(call: Call) -> Mapped:
    """An operation in ONNX terms; parameters that ONNX does not know follow or keep their names."""
    rule = _RULES.get(call.kind)
    plan = None if rule is None else rule(call)
    if plan is None:
        plan = _Plan(operator="", inputs=())
    inputs: list[Given | None] = []
    for parameter in plan.inputs:
        found = call.arguments.get(parameter, ())
        inputs += found or (None,)
    attributes = dict(plan.attributes)
    for parameter, found in call.arguments.items():
        if parameter in plan.inputs or parameter in plan.told:
            continue
        plain = _plain(found)
        if plain is None:
            inputs += found
        else:
            attributes.setdefault(parameter, plain)
    while inputs and inputs[-1] is None:
        inputs.pop()
    return Mapped(operator=plan.operator, attributes=attributes, inputs=tuple(inputs))


def block_names(kind: str, count: int) -> tuple[str, ...]:
    """Attribute names of an operation's blocks."""
    known = {"cond": ("then_branch", "else_branch"), "while_loop": ("cond", "body")}.get(kind, ())
    return known if len(known) == count else tuple(f"block_{i}" for i in range(count))


def _plain(found: Sequence[Given]) -> AttributeValue | None:
    """A constant parameter as an attribute; None for tensors."""
    if len(found) != 1 or not isinstance(found[0].value, Literal):
        return None
    value = found[0].value
    if value.texts:
        return value.texts[0] if len(value.texts) == 1 else value.texts
    numbers = value.numbers()
    if numbers is None or len(numbers) > 64:
        return None
    if value.type.shape == () and numbers:
        return numbers[0]
    return numbers


def _named(operator: str, *inputs: str) -> _Rule:
    return lambda _call: _Plan(operator=operator, inputs=inputs or ("x",))


def _with(operator: str, inputs: tuple[str, ...], **names: str) -> _Rule:
    """ONNX attributes from single numbers, by the parameters' names."""

    def rule(call: Call) -> _Plan:
        attributes: dict[str, AttributeValue] = {
            name: call.real(parameter) for name, parameter in names.items() if call.given(parameter)
        }
        return _Plan(
            operator=operator, inputs=inputs, attributes=attributes, told=tuple(names.values())
        )

    return rule


def _padding(call: Call) -> dict[str, AttributeValue]:
    """`pad` has begin and end of one dimension after the other."""
    kind = call.text("pad_type") or "valid"
    if kind == "valid":
        return {"auto_pad": "VALID"}
    if kind in ("same", "same_lower"):
        return {"auto_pad": "SAME_UPPER" if kind == "same" else "SAME_LOWER"}
    amounts = call.integers("pad") or ()
    return {"pads": amounts[0::2] + amounts[1::2]}


def _convolution(call: Call) -> _Plan | None:
    """Weights are (outputs, channels of a group, ...); transposed (channels, outputs of a group...)."""
    weight = call.shape("weight")
    if weight is None or len(weight) < 3 or min(weight) < 1:
        return None
    spatial = len(weight) - 2
    groups = max(1, call.integer("groups", 1))
    transposed = call.kind == "conv_transpose"
    attributes: dict[str, AttributeValue] = {
        "kernel_shape": weight[2:],
        "output_channels": weight[1] * groups if transposed else weight[0],
        "strides": call.integers("strides") or (1,) * spatial,
        "dilations": call.integers("dilations") or (1,) * spatial,
        "group": groups,
        **_padding(call),
    }
    wanted = call.integers("output_shape")
    if transposed and wanted is not None and len(wanted) == spatial + 2:
        attributes["output_shape"] = wanted[2:]
    return _Plan(
        operator="ConvTranspose" if transposed else "Conv",
        inputs=("x", "weight", "bias"),
        attributes=attributes,
        told=("strides", "dilations", "groups", "pad_type", "pad", "output_shape"),
    )


def _pool(operator: str) -> _Rule:
    def rule(call: Call) -> _Plan | None:
        kernel = call.integers("kernel_sizes")
        if not kernel:
            return None
        attributes: dict[str, AttributeValue] = {
            "kernel_shape": kernel,
            "strides": call.integers("strides") or (1,) * len(kernel),
            "ceil_mode": call.integer("ceil_mode"),
            **_padding(call),
        }
        if operator == "AveragePool":
            excluded = call.integer("exclude_padding_from_average")
            attributes["count_include_pad"] = int(not excluded)
        told = ("kernel_sizes", "strides", "ceil_mode", "pad_type", "pad")
        return _Plan(
            operator=operator,
            inputs=("x",),
            attributes=attributes,
            told=(*told, "exclude_padding_from_average"),
        )

    return rule


def _linear(call: Call) -> _Plan:
    plain = call.rank("x") == 2
    return _Plan(
        operator="Gemm" if plain else "MatMul",
        inputs=("x", "weight", "bias"),
        attributes={"transB": 1} if plain else {"transB": 1, "keep_num_dims": 1},
    )


def _matmul(call: Call) -> _Plan:
    attributes: dict[str, AttributeValue] = {}
    for name, parameter in (("transA", "transpose_x"), ("transB", "transpose_y")):
        if call.integer(parameter):
            attributes[name] = 1
    return _Plan(
        operator="MatMul",
        inputs=("x", "y"),
        attributes=attributes,
        told=("transpose_x", "transpose_y"),
    )


def _einsum(call: Call) -> _Plan:
    return _Plan(
        operator="Einsum",
        inputs=("values",),
        attributes={"equation": call.text("equation")},
        told=("equation",),
    )


def _layer_norm(call: Call) -> _Plan | None:
    axes, rank = call.integers("axes"), call.rank("x")
    if not axes or rank is None:
        return None
    places = sorted(axis % rank for axis in axes)
    if places != list(range(places[0], rank)):
        return None
    return _Plan(
        operator="LayerNormalization",
        inputs=("x", "gamma", "beta"),
        attributes={"axis": places[0], "epsilon": call.real("epsilon", 1e-5)},
        told=("axes", "epsilon"),
    )


def _along(operator: str, default: int = -1, *inputs: str) -> _Rule:
    return lambda call: _Plan(
        operator=operator,
        inputs=inputs or ("x",),
        attributes={"axis": call.integer("axis", default)},
        told=("axis",),
    )


def _clip(low: float, high: float) -> _Rule:
    attributes: dict[str, AttributeValue] = {"min": low, "max": high}
    return lambda _call: _Plan(operator="Clip", inputs=("x",), attributes=attributes)


def _cast(call: Call) -> _Plan:
    number = ONNX_TYPES.get(element_type(call.text("dtype")))
    attributes: dict[str, AttributeValue] = {} if number is None else {"to": number}
    return _Plan(
        operator="Cast", inputs=("x",), attributes=attributes, told=("dtype",) if number else ()
    )


def _concat(call: Call) -> _Plan | None:
    if call.integer("interleave"):
        return None
    return _Plan(
        operator="Concat",
        inputs=("values",),
        attributes={"axis": call.integer("axis")},
        told=("axis", "interleave"),
    )


def _split(call: Call) -> _Plan:
    attributes: dict[str, AttributeValue] = {"axis": call.integer("axis")}
    sizes = call.integers("split_sizes")
    if sizes:
        attributes["split"] = sizes
    return _Plan(
        operator="Split",
        inputs=("x",),
        attributes=attributes,
        told=("axis", "num_splits", "split_sizes"),
    )


def _constant(operator: str, parameter: str, attribute: str) -> _Rule:
    """An operator whose integers must be known: an attribute in ONNX's older operator sets."""

    def rule(call: Call) -> _Plan | None:
        values = call.integers(parameter)
        if values is None:
            return None
        return _Plan(
            operator=operator, inputs=("x",), attributes={attribute: values}, told=(parameter,)
        )

    return rule


def _squeeze(call: Call) -> _Plan:
    axes = call.integers("axes")
    return _Plan(
        operator="Squeeze", inputs=("x",), attributes={"axes": axes} if axes else {}, told=("axes",)
    )


def _reshape(call: Call) -> _Plan:
    sizes = call.integers("shape")
    if sizes is None:
        return _Plan(operator="Reshape", inputs=("x", "shape"))
    return _Plan(operator="Reshape", inputs=("x",), attributes={"shape": sizes}, told=("shape",))


def _slice_by_index(call: Call) -> _Plan | None:
    begin, end = call.integers("begin"), call.integers("end")
    if begin is None or end is None or any(call.integers("squeeze_mask") or ()):
        return None
    count = len(begin)
    steps = call.integers("stride") or (1,) * count
    starts = call.integers("begin_mask") or (0,) * count
    ends = call.integers("end_mask") or (0,) * count
    if {len(end), len(steps), len(starts), len(ends)} != {count}:
        return None
    back = [step < 0 for step in steps]
    attributes: dict[str, AttributeValue] = {
        "starts": tuple(
            (_TO_THE_END if down else 0) if open_ else at
            for at, open_, down in zip(begin, starts, back, strict=True)
        ),
        "ends": tuple(
            (-_TO_THE_END if down else _TO_THE_END) if open_ else at
            for at, open_, down in zip(end, ends, back, strict=True)
        ),
        "axes": tuple(range(count)),
        "steps": steps,
    }
    told = ("begin", "end", "stride", "begin_mask", "end_mask", "squeeze_mask")
    return _Plan(operator="Slice", inputs=("x",), attributes=attributes, told=told)


def _slice_by_size(call: Call) -> _Plan | None:
    begin, size = call.integers("begin"), call.integers("size")
    if begin is None or size is None or len(begin) != len(size):
        return None
    ends = (_TO_THE_END if n == -1 else at + n for at, n in zip(begin, size, strict=True))
    attributes: dict[str, AttributeValue] = {
        "starts": begin,
        "ends": tuple(ends),
        "axes": tuple(range(len(begin))),
    }
    return _Plan(operator="Slice", inputs=("x",), attributes=attributes, told=("begin", "size"))


def _pad(call: Call) -> _Plan | None:
    """Amounts of the last dimensions, begin and end in turn."""
    amounts, rank = call.integers("pad"), call.rank("x")
    modes = {"constant": "constant", "reflect": "reflect", "replicate": "edge"}
    mode = modes.get(call.text("mode") or "constant")
    if amounts is None or rank is None or mode is None or len(amounts) > 2 * rank:
        return None
    before = (0,) * (rank - len(amounts) // 2)
    return _Plan(
        operator="Pad",
        inputs=("x",),
        attributes={"pads": before + amounts[0::2] + before + amounts[1::2], "mode": mode},
        told=("pad", "mode"),
    )


def _reduce(operator: str) -> _Rule:
    def rule(call: Call) -> _Plan:
        axes = call.integers("axes")
        attributes: dict[str, AttributeValue] = {"keepdims": call.integer("keep_dims")}
        if axes:
            attributes["axes"] = axes
        return _Plan(
            operator=operator, inputs=("x",), attributes=attributes, told=("axes", "keep_dims")
        )

    return rule


def _arg(operator: str) -> _Rule:
    return lambda call: _Plan(
        operator=operator,
        inputs=("x",),
        attributes={"axis": call.integer("axis", -1), "keepdims": call.integer("keep_dims")},
        told=("axis", "keep_dims"),
    )


def _upsample(mode: str) -> _Rule:
    def rule(call: Call) -> _Plan:
        factors = (call.real("scale_factor_height", 1.0), call.real("scale_factor_width", 1.0))
        return _Plan(
            operator="Resize",
            inputs=("x",),
            attributes={"mode": mode, "scales": (1.0, 1.0, *factors)},
            told=("scale_factor_height", "scale_factor_width"),
        )

    return rule


def _resize(mode: str) -> _Rule:
    def rule(call: Call) -> _Plan | None:
        shape = call.outputs[0][1].shape if call.outputs else None
        sizes = tuple(n for n in shape or () if isinstance(n, int))
        if shape is None or len(sizes) != len(shape):
            return None
        return _Plan(
            operator="Resize",
            inputs=("x",),
            attributes={"mode": mode, "sizes": sizes},
            told=("target_size_height", "target_size_width"),
        )

    return rule


def _blocks(operator: str, parameter: str, mode: str = "") -> _Rule:
    def rule(call: Call) -> _Plan:
        attributes: dict[str, AttributeValue] = {"blocksize": call.integer(parameter, 1)}
        if mode:
            attributes["mode"] = mode
        return _Plan(operator=operator, inputs=("x",), attributes=attributes, told=(parameter,))

    return rule


def _cumulated(call: Call) -> _Plan:
    return _Plan(
        operator="CumSum",
        inputs=("x",),
        attributes={
            "axis": call.integer("axis"),
            "exclusive": call.integer("exclusive"),
            "reverse": call.integer("reverse"),
        },
        told=("axis", "exclusive", "reverse"),
    )


def _gelu(call: Call) -> _Plan | None:
    kinds = {"EXACT": "none", "TANH_APPROXIMATION": "tanh"}
    approximate = kinds.get(call.text("mode") or "EXACT")
    if approximate is None:
        return None
    return _Plan(
        operator="Gelu", inputs=("x",), attributes={"approximate": approximate}, told=("mode",)
    )


def _scaled_attention(call: Call) -> _Plan | None:
    if call.rank("query") != 4:
        return None
    return _Plan(operator="Attention", inputs=("query", "key", "value", "attn_mask"))


def _quantized(operator: str) -> _Rule:
    def rule(call: Call) -> _Plan:
        axis = call.integers("axis")
        return _Plan(
            operator=operator,
            inputs=("input", "scale", "zero_point"),
            attributes={"axis": axis[0]} if axis else {},
            told=("axis", "output_dtype"),
        )

    return rule


_RULES: dict[str, _Rule] = {
    **{
        kind: _named(operator)
        for kind, operator in (
            *(("abs", "Abs"), ("acos", "Acos"), ("asin", "Asin"), ("atan", "Atan")),
            *(("atanh", "Atanh"), ("ceil", "Ceil"), ("cos", "Cos"), ("cosh", "Cosh")),
            *(("erf", "Erf"), ("exp", "Exp"), ("floor", "Floor"), ("identity", "Identity")),
            *(("logical_not", "Not"), ("non_zero", "NonZero"), ("relu", "Relu")),
            *(("round", "Round"), ("shape", "Shape"), ("sigmoid", "Sigmoid"), ("sign", "Sign")),
            *(("sin", "Sin"), ("sinh", "Sinh"), ("softplus", "Softplus")),
            *(("softsign", "Softsign"), ("sqrt", "Sqrt"), ("tan", "Tan"), ("tanh", "Tanh")),
        )
    },
    **{
        kind: _named(operator, "x", "y")
        for kind, operator in (
            *(("add", "Add"), ("sub", "Sub"), ("mul", "Mul"), ("real_div", "Div")),
            *(("maximum", "Max"), ("minimum", "Min"), ("mod", "Mod"), ("pow", "Pow")),
            *(("equal", "Equal"), ("greater", "Greater"), ("less", "Less")),
            *(("greater_equal", "GreaterOrEqual"), ("less_equal", "LessOrEqual")),
            *(("logical_and", "And"), ("logical_or", "Or"), ("logical_xor", "Xor")),
        )
    },
    **{
        kind: _reduce(operator)
        for kind, operator in (
            *(("reduce_sum", "ReduceSum"), ("reduce_mean", "ReduceMean")),
            *(("reduce_max", "ReduceMax"), ("reduce_min", "ReduceMin")),
            *(("reduce_prod", "ReduceProd"), ("reduce_l1_norm", "ReduceL1")),
            *(("reduce_l2_norm", "ReduceL2"), ("reduce_log_sum", "ReduceLogSum")),
            *(("reduce_log_sum_exp", "ReduceLogSumExp"), ("reduce_sum_square", "ReduceSumSquare")),
        )
    },
    "avg_pool": _pool("AveragePool"),
    "batch_norm": _with(
        "BatchNormalization", ("x", "gamma", "beta", "mean", "variance"), epsilon="epsilon"
    ),
    "cast": _cast,
    "clip": _with("Clip", ("x",), min="alpha", max="beta"),
    "concat": _concat,
    "cond": _named("If", "pred"),
    "conv": _convolution,
    "conv_transpose": _convolution,
    "cumsum": _cumulated,
    "depth_to_space": _blocks("DepthToSpace", "block_size"),
    "dequantize": _quantized("DequantizeLinear"),
    "einsum": _einsum,
    "elu": _with("Elu", ("x",), alpha="alpha"),
    "expand_dims": _constant("Unsqueeze", "axes", "axes"),
    "gather": _along("Gather", 0, "x", "indices"),
    "gather_along_axis": _along("GatherElements", 0, "x", "indices"),
    "gather_nd": _named("GatherND", "x", "indices"),
    "gelu": _gelu,
    "instance_norm": _with("InstanceNormalization", ("x", "gamma", "beta"), epsilon="epsilon"),
    "layer_norm": _layer_norm,
    "leaky_relu": _with("LeakyRelu", ("x",), alpha="alpha"),
    "linear": _linear,
    "log": lambda _call: _Plan(operator="Log", inputs=("x",), told=("epsilon",)),
    "matmul": _matmul,
    "max_pool": _pool("MaxPool"),
    "pad": _pad,
    "pixel_shuffle": _blocks("DepthToSpace", "upscale_factor", "CRD"),
    "prelu": _named("PRelu", "x", "alpha"),
    "quantize": _quantized("QuantizeLinear"),
    "range_1d": _named("Range", "start", "end", "step"),
    "reduce_argmax": _arg("ArgMax"),
    "reduce_argmin": _arg("ArgMin"),
    "relu6": _clip(0.0, 6.0),
    "reshape": _reshape,
    "resize_bilinear": _resize("linear"),
    "resize_nearest_neighbor": _resize("nearest"),
    "scaled_dot_product_attention": _scaled_attention,
    "select": _named("Where", "cond", "a", "b"),
    "sigmoid_hard": _with("HardSigmoid", ("x",), alpha="alpha", beta="beta"),
    "slice_by_index": _slice_by_index,
    "slice_by_size": _slice_by_size,
    "softmax": _along("Softmax"),
    "space_to_depth": _blocks("SpaceToDepth", "block_size"),
    "split": _split,
    "squeeze": _squeeze,
    "thresholded_relu": _with("ThresholdedRelu", ("x",), alpha="alpha"),
    "tile": _constant("Tile", "reps", "repeats"),
    "transpose": _constant("Transpose", "perm", "perm"),
    "upsample_bilinear": _upsample("linear"),
    "upsample_nearest_neighbor": _upsample("nearest"),
    "while_loop": _named("Loop", "loop_vars"),
}
"""Rules by operation. Those that are missing, recurrent layers among them, have no operator."""
