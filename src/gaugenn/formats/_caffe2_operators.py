"""Caffe2's operators as ONNX operators.

**Source:** https://caffe2.ai/docs/operators-catalogue.html
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gaugenn.formats._attributes import Attributes
from gaugenn.formats._draft import Mapped
from gaugenn.formats._windows import convolution, window
from gaugenn.graph import AttributeValue, Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """An operator: the names of its inputs, and the shapes that are known of them."""

    type: str
    given: Attributes
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    shapes: tuple[Shape | None, ...]

    @property
    def channels_last(self) -> bool:
        """Whether channels come last; by default they do not."""
        return self.given.text("order", "NCHW") == "NHWC"

    def sizes(self, position: int) -> tuple[int, ...] | None:
        """The shape of an input, where all of it is known."""
        shape = self.shapes[position] if position < len(self.shapes) else None
        known = tuple(size for size in shape or () if isinstance(size, int))
        return known if shape is not None and len(known) == len(shape) else None

    def mapped(
        self,
        operator: str,
        attributes: Mapping[str, AttributeValue] | None = None,
        *,
        results: int = 1,
        inputs: Sequence[str] | None = None,
    ) -> Mapped:
        """A node of which only the first results are of use to an inference."""
        last = {"channels_last": 1} if self.channels_last else {}
        return Mapped(
            operator=operator,
            attributes={**(attributes or {}), **last},
            inputs=self.inputs if inputs is None else tuple(inputs),
            outputs=self.outputs[:results],
        )


Rule = Callable[[Call], Mapped | None]


def _spatial(given: Attributes, name: str, rank: int, default: int) -> tuple[int, ...]:
    """Given for each dimension, for all, or for height and width by themselves."""
    listed = given.wholes(f"{name}s")
    if listed:
        return listed
    if f"{name}_h" in given.values or f"{name}_w" in given.values:
        return (given.whole(f"{name}_h", default), given.whole(f"{name}_w", default))
    return (given.whole(name, default),) * rank


def _pads(given: Attributes, rank: int) -> tuple[int, ...]:
    listed = given.wholes("pads")
    if listed:
        return listed
    if any(f"pad_{side}" in given.values for side in "tlbr"):
        return tuple(given.whole(f"pad_{side}") for side in "tlbr")
    return (given.whole("pad"),) * (2 * rank)


def _window(call: Call, rank: int) -> dict[str, AttributeValue] | None:
    given = call.given
    return window(
        kernel=_spatial(given, "kernel", rank, 0),
        strides=_spatial(given, "stride", rank, 1),
        dilations=_spatial(given, "dilation", rank, 1),
        pads=_pads(given, rank),
    )


def _convolution(call: Call) -> Mapped | None:
    """Filters are (outputs, inputs of a group, spatial...), or with the inputs last."""
    filters = call.sizes(1)
    if filters is None or len(filters) < 3:
        return None
    upward = call.type == "ConvTranspose"
    group = call.given.whole("group", 1)
    outputs = filters[0]
    if upward:
        outputs = (filters[-1] if call.channels_last else filters[1]) * group
    found = _window(call, len(filters) - 2)
    attributes = convolution(found, output_channels=outputs, group=group)
    if attributes is None:
        return None
    if call.type.endswith("Relu"):
        attributes["fused_activation"] = "Relu"
    return call.mapped("ConvTranspose" if upward else "Conv", attributes)


def _pool(call: Call) -> Mapped | None:
    kind = "Max" if "Max" in call.type else "Average"
    if call.given.flag("global_pooling"):
        return call.mapped(f"Global{kind}Pool")
    rank = len(call.given.wholes("kernels")) or 2
    attributes = _window(call, rank)
    if attributes is None:
        return None
    if kind == "Average":
        attributes.pop("dilations", None)
        attributes["count_include_pad"] = int(call.given.flag("count_include_pad"))
    return call.mapped(f"{kind}Pool", attributes)


def _fully_connected(call: Call) -> Mapped:
    attributes: dict[str, AttributeValue] = {"transB": 1, "keep_num_dims": 0}
    if call.type == "FCTransposed":
        attributes["transB"] = 0
    if call.type.endswith("Relu"):
        attributes["fused_activation"] = "Relu"
    return call.mapped("Gemm", attributes)


def _plain(operator: str, **attributes: AttributeValue) -> Rule:
    return lambda call: call.mapped(operator, attributes)


def _real(operator: str, **names: tuple[str, float]) -> Rule:
    def rule(call: Call) -> Mapped:
        return call.mapped(operator, {o: call.given.real(n, d) for o, (n, d) in names.items()})

    return rule


def _pairwise(operator: str) -> Rule:
    def rule(call: Call) -> Mapped:
        given = call.given
        if given.flag("broadcast") and "axis" in given.values:
            return call.mapped(operator, {"broadcast": 1, "axis": given.whole("axis")})
        return call.mapped(operator)

    return rule


def _concat(call: Call) -> Mapped | None:
    if call.given.flag("add_axis"):
        return None
    axis = call.given.whole("axis", 3 if call.channels_last else 1)
    return call.mapped("Concat", {"axis": axis})


def _split(call: Call) -> Mapped:
    axis = call.given.whole("axis", 3 if call.channels_last else 1)
    attributes: dict[str, AttributeValue] = {"axis": axis}
    sizes = call.given.wholes("split")
    if sizes:
        attributes["split"] = sizes
    else:
        attributes["num_outputs"] = len(call.outputs)
    return call.mapped("Split", attributes, results=len(call.outputs), inputs=call.inputs[:1])


def _reshape(call: Call) -> Mapped:
    shape = call.given.wholes("shape")
    if shape:
        return call.mapped("Reshape", {"shape": shape}, inputs=call.inputs[:1])
    return call.mapped("Reshape")


def _axes(operator: str, name: str, onnx: str) -> Rule:
    def rule(call: Call) -> Mapped:
        values = call.given.wholes(name)
        return call.mapped(operator, {onnx: values} if values else {})

    return rule


def _reduce(operator: str) -> Rule:
    def rule(call: Call) -> Mapped:
        given = call.given
        axes = given.wholes("axes")
        attributes: dict[str, AttributeValue] = {"axes": axes} if axes else {}
        attributes["keepdims"] = given.whole("keepdims", 1)
        return call.mapped(operator, attributes)

    return rule


def _matmul(call: Call) -> Mapped:
    given = call.given
    pairs = (("transA", "trans_a"), ("transB", "trans_b"))
    return call.mapped("MatMul", {onnx: 1 for onnx, name in pairs if given.flag(name)})


def _resize(mode: str) -> Rule:
    def rule(call: Call) -> Mapped | None:
        scales = tuple(call.given.real(f"{side}_scale", 1.0) for side in ("height", "width"))
        if not all(0 < scale < 1 << 16 for scale in scales):
            return None
        axes = (1, 2) if call.channels_last else (2, 3)
        attributes: dict[str, AttributeValue] = {
            "mode": mode,
            "coordinate_transformation_mode": "asymmetric"
            if mode == "nearest"
            else "align_corners",
            "axes": axes,
            "scales": scales,
        }
        return call.mapped("Resize", attributes, inputs=call.inputs[:1])

    return rule


def _pad_image(call: Call) -> Mapped | None:
    pads = _pads(call.given, 2)
    modes = {"constant": "constant", "reflect": "reflect", "edge": "edge"}
    mode = modes.get(call.given.text("mode", "constant"))
    if mode is None or len(pads) != 4 or call.channels_last:
        return None
    top, left, bottom, right = pads
    return call.mapped("Pad", {"pads": (0, 0, top, left, 0, 0, bottom, right), "mode": mode})


def _local_response(call: Call) -> Mapped:
    given = call.given
    attributes: dict[str, AttributeValue] = {
        "size": given.whole("size", 5),
        "alpha": given.real("alpha", 1e-4),
        "beta": given.real("beta", 0.75),
        "bias": given.real("bias", 1.0),
    }
    return call.mapped("LRN", attributes)


_SAME_NAME = """
    Abs Add And Ceil Cos Div Exp Floor Log Max Min Mul Neg Not Or PRelu Relu Selu Sigmoid Sign Sin
    Softplus Softsign Sqrt Sub Sum Swish Tan Tanh Where
"""
_CONVOLUTIONS = ("Conv", "ConvTranspose", "ConvRelu", "Int8Conv", "Int8ConvRelu")

_RULES: Mapping[str, Rule] = {
    **{name: _plain(name) for name in _SAME_NAME.split()},
    **{name: _pairwise(name) for name in ("Add", "Sub", "Mul", "Div")},
    **dict.fromkeys(_CONVOLUTIONS, _convolution),
    **dict.fromkeys(("FC", "FCTransposed", "Int8FC", "Int8FCRelu"), _fully_connected),
    **dict.fromkeys(("MaxPool", "AveragePool", "Int8MaxPool", "Int8AveragePool"), _pool),
    **dict.fromkeys(("MatMul", "BatchMatMul"), _matmul),
    **dict.fromkeys(
        ("Alias", "Copy", "CopyCPUToGPU", "CopyGPUToCPU", "StopGradient", "EnsureCPUOutput"),
        _plain("Identity"),
    ),
    **{f"Int8{name}": _plain(name) for name in ("Relu", "Sigmoid", "Add")},
    **{f"Reduce{name}": _reduce(f"Reduce{name}") for name in ("Mean", "Sum", "Max", "Min")},
    "Clip": _real("Clip", min=("min", -3.4e38), max=("max", 3.4e38)),
    "Concat": _concat,
    "Dropout": _plain("Dropout"),
    "EQ": _plain("Equal"),
    "Elu": _real("Elu", alpha=("alpha", 1.0)),
    "ExpandDims": _axes("Unsqueeze", "dims", "axes"),
    "Flatten": lambda call: call.mapped("Flatten", {"axis": call.given.whole("axis", 1)}),
    "Gather": _plain("Gather", axis=0),
    "GT": _plain("Greater"),
    "InstanceNorm": _real("InstanceNormalization", epsilon=("epsilon", 1e-5)),
    "Int8Dequantize": _plain("DequantizeLinear"),
    "Int8Quantize": _plain("QuantizeLinear"),
    "Int8Softmax": _plain("Softmax", axis=1),
    "LRN": _local_response,
    "LT": _plain("Less"),
    "LeakyRelu": _real("LeakyRelu", alpha=("alpha", 0.01)),
    "PadImage": _pad_image,
    "Reshape": _reshape,
    "ResizeNearest": _resize("nearest"),
    "Shape": _plain("Shape"),
    "Softmax": lambda call: call.mapped("Softmax", {"axis": call.given.whole("axis", 1)}),
    "SpatialBN": _real("BatchNormalization", epsilon=("epsilon", 1e-5)),
    "Split": _split,
    "Squeeze": _axes("Squeeze", "dims", "axes"),
    "Transpose": _axes("Transpose", "axes", "perm"),
    "UpsampleBilinear": _resize("linear"),
}


def translate(call: Call) -> Mapped | None:
    """The ONNX operator, or None where there is none or a shape that decides is unknown."""
    rule = _RULES.get(call.type)
    return None if rule is None else rule(call)
