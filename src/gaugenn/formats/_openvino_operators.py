"""OpenVINO's operators as ONNX operators.

**Source:** https://docs.openvino.ai/2026/documentation/openvino-ir-format/operation-sets/operation-specs.html
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gaugenn.formats._attributes import LARGEST, Attributes
from gaugenn.formats._draft import Mapped
from gaugenn.formats._openvino_layers import TYPES, Layer
from gaugenn.formats._windows import convolution, window
from gaugenn.graph import AttributeValue, DataType, Tensor

_MOST_VALUES = 64
_END = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A layer with what it takes.

    Attributes:
        layer: as in the file.
        names: of its inputs.
        tensors: the same.
    """

    layer: Layer
    names: tuple[str, ...]
    tensors: tuple[Tensor | None, ...]

    @property
    def given(self) -> Attributes:
        """The layer's settings."""
        return Attributes(self.layer.data)

    def sizes(self, position: int) -> tuple[int, ...] | None:
        """The shape of an input, where all of it is known."""
        tensor = self.tensors[position] if position < len(self.tensors) else None
        shape = None if tensor is None else tensor.shape
        known = tuple(size for size in shape or () if isinstance(size, int))
        return known if shape is not None and len(known) == len(shape) else None

    def rank(self, position: int) -> int | None:
        """How many dimensions an input has."""
        tensor = self.tensors[position] if position < len(self.tensors) else None
        return None if tensor is None or tensor.shape is None else len(tensor.shape)

    def values(self, position: int) -> tuple[int, ...] | None:
        """The numbers of a small constant input."""
        tensor = self.tensors[position] if position < len(self.tensors) else None
        if tensor is None or tensor.data is None or tensor.elements is None:
            return None
        if tensor.elements > _MOST_VALUES or "int" not in tensor.dtype.value:
            return None
        found = tuple(int(each) for each in tensor.array().reshape(-1).tolist())
        return found if all(abs(each) < LARGEST or each >= _END for each in found) else None

    def reals(self, position: int) -> tuple[float, ...] | None:
        """The same, of real numbers."""
        tensor = self.tensors[position] if position < len(self.tensors) else None
        if tensor is None or tensor.data is None or tensor.elements is None:
            return None
        if tensor.elements > _MOST_VALUES or not tensor.dtype.is_floating:
            return None
        return tuple(np.asarray(tensor.array(), dtype=float).reshape(-1).tolist())

    def mapped(
        self,
        operator: str,
        attributes: Mapping[str, AttributeValue] | None = None,
        positions: Sequence[int] | None = None,
    ) -> Mapped:
        """A node that takes these inputs, all of them by default."""
        kept = range(len(self.names)) if positions is None else positions
        names = (self.names[i] if 0 <= i < len(self.names) else "" for i in kept)
        return Mapped(operator=operator, attributes=attributes or {}, inputs=tuple(names))


Rule = Callable[[Call], Mapped | None]


def _window(
    call: Call, kernel: Sequence[int], dilations: bool = True
) -> dict[str, AttributeValue] | None:
    given, rank = call.given, len(kernel)
    word = given.text("auto_pad", "explicit").lower()
    automatic = {"same_upper": "SAME_UPPER", "same_lower": "SAME_LOWER", "valid": "VALID"}
    begin, end = given.wholes("pads_begin"), given.wholes("pads_end")
    if rank == 1:  # a single number is no list
        begin, end = given.pair("pads_begin", 0, 1), given.pair("pads_end", 0, 1)
    return window(
        kernel=kernel,
        strides=given.pair("strides", 1, rank),
        dilations=given.pair("dilations", 1, rank) if dilations else (),
        pads=(*begin, *end),
        auto_pad=automatic.get(word, ""),
    )


def _convolution(call: Call) -> Mapped | None:
    """Filters are (group,) outputs, inputs; of the backward kind (group,) inputs, outputs."""
    if "kernel" in call.layer.data:  # versions up to 9 have their weights in the layer
        return _old_convolution(call)
    filters = call.sizes(1)
    if filters is None:
        return None
    kind = call.layer.type
    grouped, upward = kind.startswith("Group"), "Backprop" in kind
    group = filters[0] if grouped else 1
    rest = filters[1:] if grouped else filters
    if len(rest) < 3:
        return None
    outputs = rest[1 if upward else 0] * group
    attributes = convolution(_window(call, rest[2:]), output_channels=outputs, group=group)
    if attributes is None:
        return None
    if upward:
        wanted = call.values(2)
        if wanted is not None and min(wanted, default=0) > 0:
            attributes["output_shape"] = wanted
        extra = call.given.pair("output_padding", 0, len(rest) - 2)
        if any(extra):
            attributes["output_padding"] = extra
        return call.mapped("ConvTranspose", attributes, (0, 1))
    return call.mapped("Conv", attributes)


def _old_convolution(call: Call) -> Mapped | None:
    given = call.given
    kernel = given.wholes("kernel")
    outputs, group = given.whole("output"), given.whole("group", 1)
    attributes = convolution(_window(call, kernel), output_channels=outputs, group=group)
    if attributes is None:
        return None
    return call.mapped(
        "ConvTranspose" if call.layer.type == "Deconvolution" else "Conv", attributes
    )


def _pool(call: Call) -> Mapped | None:
    given = call.given
    kind = call.layer.type
    if kind == "Pooling":
        kind = {"max": "MaxPool", "avg": "AvgPool"}.get(given.text("pool-method", "max"), "")
    kernel = given.wholes("kernel") or given.pair("kernel", 0, 1)
    attributes = _window(call, kernel, dilations=kind == "MaxPool")
    if attributes is None or not kind:
        return None
    attributes["ceil_mode"] = int(given.text("rounding_type", "floor").startswith("ceil"))
    if kind == "AvgPool":
        attributes["count_include_pad"] = int(not given.flag("exclude-pad", default=True))
        return call.mapped("AveragePool", attributes)
    return call.mapped("MaxPool", attributes)


def _plain(operator: str, **attributes: AttributeValue) -> Rule:
    return lambda call: call.mapped(operator, attributes)


def _axis(operator: str, default: int) -> Rule:
    return lambda call: call.mapped(operator, {"axis": call.given.whole("axis", default)})


def _real(operator: str, **names: tuple[str, float]) -> Rule:
    def rule(call: Call) -> Mapped:
        given = call.given
        return call.mapped(operator, {o: given.real(n, d) for o, (n, d) in names.items()})

    return rule


def _matmul(call: Call) -> Mapped:
    given = call.given
    pairs = (("transA", "transpose_a"), ("transB", "transpose_b"))
    return call.mapped("MatMul", {onnx: 1 for onnx, name in pairs if given.flag(name)})


def _fully_connected(call: Call) -> Mapped | None:
    """(outputs, inputs), and a bias; both in the layer."""
    return call.mapped("Gemm", {"transB": 1}) if len(call.names) > 1 else None


def _batch_norm(call: Call) -> Mapped:
    given = call.given
    epsilon = given.real("epsilon", given.real("eps", 1e-5))
    attributes: dict[str, AttributeValue] = {"epsilon": epsilon}
    first = call.layer.version == "opset1"  # (gamma, beta, data, mean, variance)
    return call.mapped(
        "BatchNormalization", attributes, (2, 0, 1, 3, 4) if first else (0, 1, 2, 3, 4)
    )


def _reduce(operator: str) -> Rule:
    def rule(call: Call) -> Mapped | None:
        axes = call.values(1)
        keep = int(call.given.flag("keep_dims"))
        if axes is None:
            return None
        if not axes:
            return call.mapped("Identity", {}, (0,))
        return call.mapped(operator, {"axes": axes, "keepdims": keep}, (0,))

    return rule


def _with_axes(operator: str) -> Rule:
    def rule(call: Call) -> Mapped | None:
        axes = call.values(1)
        if axes is None:
            return call.mapped(operator) if len(call.names) == 1 else None
        return call.mapped(operator, {"axes": axes}, (0,))

    return rule


def _reshape(call: Call) -> Mapped:
    given = call.given
    if len(call.names) < 2:
        return call.mapped("Reshape", {"shape": given.wholes("dim")})
    return call.mapped("Reshape", {"allowzero": int(not given.flag("special_zero"))})


def _transpose(call: Call) -> Mapped | None:
    order = call.values(1) if len(call.names) > 1 else call.given.wholes("order")
    return None if not order else call.mapped("Transpose", {"perm": order}, (0,))


def _gather(call: Call) -> Mapped | None:
    axis = call.values(2)
    if axis is None or len(axis) != 1 or call.given.whole("batch_dims"):
        return None
    return call.mapped("Gather", {"axis": axis[0]}, (0, 1))


def _split(call: Call) -> Mapped | None:
    axis = call.values(1) if len(call.names) > 1 else (call.given.whole("axis", 1),)
    if axis is None or len(axis) != 1:
        return None
    attributes: dict[str, AttributeValue] = {"axis": axis[0]}
    if call.layer.type == "VariadicSplit":
        lengths = call.values(2)
        if lengths is None or min(lengths, default=-1) < 0:
            return None
        attributes["split"] = lengths
    else:
        attributes["num_outputs"] = len(call.layer.outputs)
    return call.mapped("Split", attributes, (0,))


def _slice(call: Call) -> Mapped:
    """(data, start, stop, step, axes)."""
    return call.mapped("Slice", {}, (0, 1, 2, 4, 3))


def _strided_slice(call: Call) -> Mapped | None:
    given = call.given
    begin, end = call.values(1), call.values(2)
    steps = call.values(3) if len(call.names) > 3 else (1,) * len(begin or ())
    if begin is None or end is None or steps is None or not len(begin) == len(end) == len(steps):
        return None
    rank = len(begin)
    masks = {n: given.pair(f"{n}_mask", 0, rank) for n in ("begin", "end")}
    others = ("new_axis_mask", "shrink_axis_mask", "ellipsis_mask")
    if any(any(given.wholes(name) or (given.whole(name),)) for name in others):
        return None
    starts = tuple(
        at if used else (0 if step > 0 else _END)
        for at, used, step in zip(begin, masks["begin"], steps, strict=True)
    )
    ends = tuple(
        at if used else (_END if step > 0 else -_END)
        for at, used, step in zip(end, masks["end"], steps, strict=True)
    )
    attributes: dict[str, AttributeValue] = {
        "starts": starts,
        "ends": ends,
        "steps": steps,
        "axes": tuple(range(rank)),
    }
    return call.mapped("Slice", attributes, (0,))


def _pad(call: Call) -> Mapped | None:
    begin, end = call.values(1), call.values(2)
    modes = {"constant": "constant", "reflect": "reflect", "edge": "edge"}
    mode = modes.get(call.given.text("pad_mode", "constant"))
    if begin is None or end is None or mode is None:
        return None
    return call.mapped("Pad", {"pads": begin + end, "mode": mode}, (0,))


def _interpolate(call: Call) -> Mapped | None:
    """Version 4 is (data, sizes, scales, axes), version 11 (data, sizes or scales, axes)."""
    given = call.given
    modes = {"nearest": "nearest", "linear": "linear", "linear_onnx": "linear", "cubic": "cubic"}
    mode = modes.get(given.text("mode"))
    if mode is None:
        return None
    newer = call.layer.version == "opset11"
    by_sizes = given.text("shape_calculation_mode", "sizes") == "sizes"
    axes = call.values(2 if newer else 3)
    if len(call.names) < 3:  # of the first version, over all spatial dimensions
        by_sizes, axes = True, given.wholes("axes") or (2, 3)
    coordinates = given.text("coordinate_transformation_mode", "half_pixel")
    attributes: dict[str, AttributeValue] = {
        "mode": mode,
        "coordinate_transformation_mode": {"tf_half_pixel_for_nn": "tf_half_pixel"}.get(
            coordinates, coordinates
        ),
    }
    if axes is None:
        return None
    attributes["axes"] = axes
    if by_sizes:
        sizes = call.values(1)
        return (
            None if sizes is None else call.mapped("Resize", {**attributes, "sizes": sizes}, (0,))
        )
    scales = call.reals(1 if newer else 2)
    return None if scales is None else call.mapped("Resize", {**attributes, "scales": scales}, (0,))


def _convert(call: Call) -> Mapped:
    kind = TYPES.get(call.given.text("destination_type").lower(), DataType.UNKNOWN)
    return call.mapped("Cast", {"to": kind.value})


def _top_k(call: Call) -> Mapped:
    given = call.given
    largest = int(given.text("mode", "max") == "max")
    return call.mapped("TopK", {"axis": given.whole("axis", -1), "largest": largest}, (0, 1))


def _blocks(operator: str) -> Rule:
    def rule(call: Call) -> Mapped:
        given = call.given
        mode = "CRD" if given.text("mode") == "depth_first" else "DCR"
        size = given.whole("block_size", 1)
        attributes: dict[str, AttributeValue] = {"blocksize": size}
        if operator == "DepthToSpace":
            attributes["mode"] = mode
        return call.mapped(operator, attributes)

    return rule


def _broadcast(call: Call) -> Mapped | None:
    same = call.given.text("mode", "numpy") in ("numpy", "bidirectional")
    return call.mapped("Expand", {}, (0, 1)) if same else None


def _old_eltwise(call: Call) -> Mapped | None:
    operators = {"sum": "Sum", "mul": "Mul", "max": "Max", "sub": "Sub", "div": "Div"}
    operator = operators.get(call.given.text("operation", "sum"))
    return None if operator is None else call.mapped(operator)


def _relu(call: Call) -> Mapped:
    slope = call.given.real("negative_slope", 0.0)
    return call.mapped("LeakyRelu", {"alpha": slope}) if slope else call.mapped("Relu")


def _mean_variance(call: Call) -> Mapped | None:
    axes = call.values(1)
    return None if axes is None else call.mapped("MeanVarianceNormalization", {"axes": axes}, (0,))


_SAME_NAME = """
    Abs Acos Acosh Add Asin Asinh Atan Atanh Cos Cosh Equal Erf Exp Floor Gelu Greater Less Log
    Mish Mod Round Sigmoid Sign Sin Sinh Sqrt Tan Tanh Tile GatherND Selu Swish
"""
_RENAMED = {
    "Ceiling": "Ceil",
    "Divide": "Div",
    "FloorMod": "Mod",
    "GreaterEqual": "GreaterOrEqual",
    "HSwish": "HardSwish",
    "LessEqual": "LessOrEqual",
    "LogicalAnd": "And",
    "LogicalNot": "Not",
    "LogicalOr": "Or",
    "LogicalXor": "Xor",
    "Maximum": "Max",
    "Minimum": "Min",
    "Multiply": "Mul",
    "Negative": "Neg",
    "NonZero": "NonZero",
    "PReLU": "PRelu",
    "Power": "Pow",
    "Range": "Range",
    "Select": "Where",
    "ShapeOf": "Shape",
    "SoftPlus": "Softplus",
    "SoftSign": "Softsign",
    "Subtract": "Sub",
}

_RULES: Mapping[str, Rule] = {
    **{name: _plain(name) for name in _SAME_NAME.split()},
    **{name: _plain(operator) for name, operator in _RENAMED.items()},
    **dict.fromkeys(
        (
            *("Convolution", "GroupConvolution", "ConvolutionBackpropData"),
            *("GroupConvolutionBackpropData", "Deconvolution"),
        ),
        _convolution,
    ),
    **dict.fromkeys(("MaxPool", "AvgPool", "Pooling"), _pool),
    **dict.fromkeys(("BatchNormInference", "BatchNormalization"), _batch_norm),
    **{f"Reduce{name}": _reduce(f"Reduce{name}") for name in ("Mean", "Sum", "Max", "Min", "Prod")},
    **{f"Reduce{name}": _reduce(f"Reduce{name}") for name in ("L1", "L2")},
    **dict.fromkeys(("SoftMax", "Softmax"), _axis("Softmax", 1)),
    **dict.fromkeys(("Transpose", "Permute"), _transpose),
    **dict.fromkeys(("Split", "VariadicSplit"), _split),
    "Broadcast": _broadcast,
    "Clamp": _real("Clip", min=("min", 0.0), max=("max", 0.0)),
    "Concat": _axis("Concat", 1),
    "Convert": _convert,
    "DepthToSpace": _blocks("DepthToSpace"),
    "Eltwise": _old_eltwise,
    "Elu": _real("Elu", alpha=("alpha", 1.0)),
    "FullyConnected": _fully_connected,
    "Gather": _gather,
    "HSigmoid": _plain("HardSigmoid", alpha=1 / 6, beta=0.5),
    "Interpolate": _interpolate,
    "LogSoftmax": _axis("LogSoftmax", -1),
    "MVN": _mean_variance,
    "MatMul": _matmul,
    "Pad": _pad,
    "ReLU": _relu,
    "Reshape": _reshape,
    "Slice": _slice,
    "SpaceToDepth": _blocks("SpaceToDepth"),
    "Squeeze": _with_axes("Squeeze"),
    "StridedSlice": _strided_slice,
    "TopK": _top_k,
    "Unsqueeze": _with_axes("Unsqueeze"),
}


def translate(call: Call) -> Mapped | None:
    """The ONNX operator, or None where there is none or what decides is not constant."""
    rule = _RULES.get(call.layer.type)
    return None if rule is None else rule(call)
