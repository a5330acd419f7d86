"""MACE's operators as ONNX operators.

**Source:** https://github.com/XiaoMi/mace/tree/master/mace/ops and the words and numbers of
https://github.com/XiaoMi/mace/blob/master/tools/python/transform/base_converter.py
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gaugenn.formats._attributes import Attributes
from gaugenn.formats._draft import Mapped
from gaugenn.formats._windows import convolution, window
from gaugenn.graph import AttributeValue

_PADDINGS = {0: "VALID", 1: "SAME_UPPER", 3: "SAME_LOWER"}
HWIO = 100
"""Filters are stored as (height, width, inputs, outputs); else as (outputs, inputs, height, width)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """An operator with the shapes of its constant inputs.

    Attributes:
        type: MACE's name.
        given: the operator's arguments.
        inputs: tensor names.
        shapes: of each input the shape of the constant that it is, or None.
        last: whether channels come last.
        filters: how the net stores filters; see `HWIO`.
    """

    type: str
    given: Attributes
    inputs: tuple[str, ...]
    shapes: tuple[tuple[int, ...] | None, ...]
    last: bool
    filters: int

    def mapped(
        self,
        operator: str,
        attributes: Mapping[str, AttributeValue] | None = None,
        inputs: Sequence[str] | None = None,
    ) -> Mapped:
        """A node that takes these inputs, all of them by default."""
        taken = self.inputs if inputs is None else tuple(inputs)
        return Mapped(operator=operator, attributes=attributes or {}, inputs=taken)

    def filter(self) -> tuple[int, ...] | None:
        """The filter as (outputs, inputs, height, width)."""
        shape = self.shapes[1] if len(self.shapes) > 1 else None
        if shape is None or len(shape) != 4:
            return None
        return (shape[3], shape[2], shape[0], shape[1]) if self.filters == HWIO else shape


Rule = Callable[[Call], Mapped | None]


def _activation(given: Attributes) -> tuple[str, dict[str, AttributeValue]] | None:
    """The operator of an activation; "" for none, and None for one that ONNX does not have."""
    kind = given.text("activation", "NOOP")
    if kind == "RELUX":
        return "Clip", {"min": 0.0, "max": given.real("max_limit", 0.0)}
    if kind in ("LEAKYRELU", "ELU"):
        alpha = given.real("activation_coefficient", 0.0)
        return ("LeakyRelu" if kind == "LEAKYRELU" else "Elu"), {"alpha": alpha}
    if kind == "HARDSIGMOID":
        names = {"alpha": "hardsigmoid_alpha", "beta": "hardsigmoid_beta"}
        return "HardSigmoid", {onnx: given.real(name, 0.0) for onnx, name in names.items()}
    plain = {"NOOP": "", "RELU": "Relu", "PRELU": "PRelu", "TANH": "Tanh", "SIGMOID": "Sigmoid"}
    return (plain[kind], {}) if kind in plain else None


def _fused(given: Attributes) -> dict[str, AttributeValue]:
    found = _activation(given)
    if found is None or not found[0]:
        return {}
    operator, bounds = found
    if operator == "Clip":
        return {"fused_activation": "Clip", "fused_min": 0.0, "fused_max": bounds["max"]}
    return {"fused_activation": operator}


def _window(given: Attributes, kernel: Sequence[int]) -> dict[str, AttributeValue] | None:
    """Paddings are given as a word, or as the sum of both sides of each dimension."""
    amounts = given.wholes("padding_values")
    pads: tuple[int, ...] = ()
    if len(amounts) == 2:
        begin = tuple(amount // 2 for amount in amounts)
        pads = begin + tuple(a - b for a, b in zip(amounts, begin, strict=True))
    word = "" if pads else _PADDINGS.get(given.whole("padding", 1), "")
    if not pads and not word:
        return None
    return window(
        kernel=kernel,
        strides=given.wholes("strides"),
        dilations=given.wholes("dilations"),
        pads=pads,
        auto_pad=word,
    )


def _convolution(call: Call) -> Mapped | None:
    filters, given = call.filter(), call.given
    if filters is None:
        return None
    upward, depthwise = "Deconv" in call.type, "Depthwise" in call.type
    group = filters[1] if depthwise else given.whole("group", 1)
    outputs = filters[0] * filters[1] if depthwise else filters[0]
    attributes = convolution(_window(given, filters[2:]), output_channels=outputs, group=group)
    if attributes is None:
        return None
    attributes |= _fused(given)
    if not upward:
        return call.mapped("Conv", attributes)
    attributes.pop("dilations", None)
    return call.mapped("ConvTranspose", attributes)


def _pool(call: Call) -> Mapped | None:
    given = call.given
    kind = {1: "Average", 2: "Max"}.get(given.whole("pooling_type"))
    if kind is None:
        return None
    if given.flag("global_pooling"):
        return call.mapped(f"Global{kind}Pool")
    attributes = _window(given, given.wholes("kernels"))
    if attributes is None:
        return None
    attributes["ceil_mode"] = int(given.whole("round_mode") == 1)
    return call.mapped(f"{kind}Pool", attributes)


def _fully_connected(call: Call) -> Mapped:
    return call.mapped("Gemm", {"transB": 1, "keep_num_dims": 0, **_fused(call.given)})


def _batch_norm(call: Call) -> Mapped:
    """With two inputs behind the data it is a scale and an offset, which ONNX does not have."""
    if len(call.inputs) < 5:
        return call.mapped("", call.given.values)
    epsilon = call.given.real("epsilon", 1e-5)
    return call.mapped("BatchNormalization", {"epsilon": epsilon, **_fused(call.given)})


def _active(call: Call) -> Mapped | None:
    found = _activation(call.given)
    return None if found is None else call.mapped(found[0] or "Identity", found[1])


_PAIRS = {0: "Add", 1: "Sub", 2: "Mul", 3: "Div", 4: "Min", 5: "Max", 9: "Pow", 10: "Equal"}
_SINGLE = {6: "Neg", 7: "Abs", 13: "Sign"}


def _elementwise(call: Call) -> Mapped | None:
    """With one input the other is a number in the arguments; the node then has no ONNX operator."""
    kind = call.given.whole("type", -1)
    if kind in _SINGLE:
        return call.mapped(_SINGLE[kind])
    coefficients = set(call.given.reals("coeff"))
    if len(call.inputs) < 2 or coefficients - {1.0}:
        return None
    return call.mapped(_PAIRS[kind]) if kind in _PAIRS else None


def _plain(operator: str, **attributes: AttributeValue) -> Rule:
    return lambda call: call.mapped(operator, attributes)


def _axis(operator: str, default: int) -> Rule:
    return lambda call: call.mapped(operator, {"axis": call.given.whole("axis", default)})


def _split(call: Call) -> Mapped:
    given = call.given
    attributes: dict[str, AttributeValue] = {"axis": given.whole("axis", 3)}
    sizes = given.wholes("size_splits")
    if sizes:
        attributes["split"] = sizes
    else:
        attributes["num_outputs"] = given.whole("num_split", 1)
    return call.mapped("Split", attributes, call.inputs[:1])


def _reduce(call: Call) -> Mapped | None:
    given = call.given
    kinds = {0: "Mean", 1: "Min", 2: "Max", 3: "Prod", 4: "Sum"}
    kind = kinds.get(given.whole("reduce_type", -1))
    if kind is None:
        return None
    attributes: dict[str, AttributeValue] = {"keepdims": int(given.flag("keepdims"))}
    axes = given.wholes("axis")
    return call.mapped(f"Reduce{kind}", attributes | ({"axes": axes} if axes else {}))


def _resize(mode: str) -> Rule:
    def rule(call: Call) -> Mapped | None:
        given = call.given
        corners = given.flag("align_corners")
        half = given.whole("coordinate_transformation_mode") == 1
        attributes: dict[str, AttributeValue] = {
            "mode": mode,
            "coordinate_transformation_mode": (
                "align_corners" if corners else "half_pixel" if half else "asymmetric"
            ),
            "axes": (1, 2) if call.last else (2, 3),
        }
        sizes = given.wholes("size")
        scales = (given.real("height_scale", 0.0), given.real("width_scale", 0.0))
        if len(sizes) == 2 and min(sizes) > 0:
            return call.mapped("Resize", {**attributes, "sizes": sizes}, call.inputs[:1])
        if all(0 < scale < 1 << 16 for scale in scales):
            return call.mapped("Resize", {**attributes, "scales": scales}, call.inputs[:1])
        return None

    return rule


def _pad(call: Call) -> Mapped | None:
    amounts = call.given.wholes("paddings")
    mode = {0: "constant", 1: "reflect"}.get(call.given.whole("pad_type"))
    if mode is None or not amounts or len(amounts) % 2:
        return None
    return call.mapped(
        "Pad", {"pads": amounts[0::2] + amounts[1::2], "mode": mode}, call.inputs[:1]
    )


def _matmul(call: Call) -> Mapped:
    given = call.given
    pairs = (("transA", "transpose_a"), ("transB", "transpose_b"))
    return call.mapped("MatMul", {onnx: 1 for onnx, name in pairs if given.flag(name)})


def _axes(operator: str) -> Rule:
    def rule(call: Call) -> Mapped:
        axes = call.given.wholes("axis")
        return call.mapped(operator, {"axes": axes} if axes else {})

    return rule


def _reshape(call: Call) -> Mapped | None:
    dim = call.given.wholes("dim")
    if dim:
        return call.mapped("Reshape", {"shape": dim}, call.inputs[:1])
    return call.mapped("Reshape") if len(call.inputs) > 1 else None


def _blocks(operator: str) -> Rule:
    def rule(call: Call) -> Mapped:
        attributes: dict[str, AttributeValue] = {"blocksize": call.given.whole("block_size", 1)}
        if operator == "DepthToSpace":
            attributes["mode"] = call.given.text("mode", "DCR")
        return call.mapped(operator, attributes)

    return rule


def _softmax(call: Call) -> Mapped:
    log = call.given.flag("use_log")
    return call.mapped("LogSoftmax" if log else "Softmax", {"axis": -1 if call.last else 1})


RULES: Mapping[str, Rule] = {
    **dict.fromkeys(("Conv2D", "DepthwiseConv2d", "Deconv2D", "DepthwiseDeconv2d"), _convolution),
    "Activation": _active,
    "AddN": _plain("Sum"),
    "BatchNorm": _batch_norm,
    "Cast": _plain("Cast"),
    "Concat": _axis("Concat", 3),
    "DepthToSpace": _blocks("DepthToSpace"),
    "Dequantize": _plain("DequantizeLinear"),
    "Eltwise": _elementwise,
    "ExpandDims": lambda call: call.mapped("Unsqueeze", {"axes": (call.given.whole("axis"),)}),
    "FullyConnected": _fully_connected,
    "Gather": lambda call: call.mapped("Gather", {"axis": call.given.whole("axis")}),
    "Identity": _plain("Identity"),
    "MatMul": _matmul,
    "Pad": _pad,
    "Pooling": _pool,
    "Quantize": _plain("QuantizeLinear"),
    "Reduce": _reduce,
    "Reshape": _reshape,
    "ResizeBilinear": _resize("linear"),
    "ResizeNearestNeighbor": _resize("nearest"),
    "Shape": _plain("Shape"),
    "Softmax": _softmax,
    "SpaceToDepth": _blocks("SpaceToDepth"),
    "Split": _split,
    "Squeeze": _axes("Squeeze"),
    "Transpose": lambda call: call.mapped("Transpose", {"perm": call.given.wholes("dims")}),
    "Unsqueeze": _axes("Unsqueeze"),
    "Where": _plain("Where"),
}

KNOWN = frozenset(RULES) | frozenset(
    """
    ArgMax BatchToSpaceND BiasAdd ChannelShuffle Crop Cumsum DetectionOutput DynamicLSTM
    ExtractImagePatches ExtractPooling Fill GroupNorm IfDefined InferConv2dShape InstanceNorm
    KaldiBatchNorm LocalResponseNorm LpNorm LSTMCell LstmNonlinear MVNorm Moments NonlocalReshape OneHot
    PNorm PadContext PriorBox Proposal ReplaceIndex ResizeBicubic Reverse ScalarMath Select Slice
    SpaceToBatchND Splice SqrDiffMean Stack StridedSlice Subsample SumGroup TargetRMSNorm Tile Unstack
    """.split()  # noqa: SIM905
)
"""Operators of MACE; one of them must stand at the beginning of a file."""


def translate(call: Call) -> Mapped | None:
    """The ONNX operator, or None where there is none."""
    rule = RULES.get(call.type)
    return None if rule is None else rule(call)
