"""Arm NN's layers as ONNX operators.

**Source:** https://github.com/ARM-software/armnn/blob/main/src/armnnSerializer/ArmnnSchema.fbs for
fields and numbers, https://github.com/ARM-software/armnn/blob/main/include/armnn/Descriptors.hpp for
what they mean.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gaugenn.formats._draft import Mapped
from gaugenn.formats._flatbuffers import Table
from gaugenn.formats._windows import convolution, window
from gaugenn.graph import AttributeValue, Tensor

LAYERS = """
    None Activation Addition BatchToSpaceNd BatchNormalization Constant Convolution2d
    DepthwiseConvolution2d FullyConnected Input Multiplication Output Permute Pooling2d Reshape
    Softmax SpaceToBatchNd Division Minimum Equal Maximum Normalization Pad Rsqrt Floor Greater
    ResizeBilinear Subtraction StridedSlice Gather Mean Merger L2Normalization Splitter
    DetectionPostProcess Lstm QuantizedLstm Quantize Dequantize Merge Switch Concat SpaceToDepth
    Prelu TransposeConvolution2d Resize Stack Abs ArgMinMax Slice DepthToSpace
    InstanceNormalization LogSoftmax Comparison StandIn ElementwiseUnary Transpose QLstm Fill
    Rank LogicalBinary Reduce Cast Shape UnidirectionalSequenceLstm ChannelShuffle Convolution3d
    Pooling3d GatherNd BatchMatMul ElementwiseBinary ReverseV2 Tile ScatterNd
""".split()  # noqa: SIM905
"""Names of layers by their number in a file."""

WEIGHTS: Mapping[str, tuple[int, ...]] = {
    **dict.fromkeys(
        ("Convolution2d", "DepthwiseConvolution2d", "FullyConnected", "TransposeConvolution2d"),
        (2, 3),
    ),
    "BatchNormalization": (5, 4, 2, 3),
    "DetectionPostProcess": (2,),
}
"""Fields with a layer's constants, in ONNX order; newer files connect them as inputs instead."""

_NCHW = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A layer with what it takes and makes.

    Attributes:
        kind: the layer's name.
        descriptor: its settings, or None.
        inputs: tensors that it takes, constants included.
        outputs: tensors that it makes.
        depthwise_last: depthwise filters are (1, height, width, outputs), since Arm NN 21.02.
    """

    kind: str
    descriptor: Table | None
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    depthwise_last: bool

    def whole(self, number: int, default: int = 0, kind: str = "u32") -> int:
        """A number of the descriptor."""
        return (
            default if self.descriptor is None else self.descriptor.integer(number, kind, default)
        )

    def flag(self, number: int, *, default: bool = False) -> bool:
        """A flag of the descriptor."""
        if self.descriptor is None:
            return default
        return self.descriptor.boolean(number, default=default)

    def real(self, number: int, default: float = 0.0) -> float:
        """A real number of the descriptor."""
        return default if self.descriptor is None else self.descriptor.real(number, default=default)

    def wholes(self, number: int, kind: str = "u32") -> tuple[int, ...]:
        """Numbers of the descriptor."""
        return () if self.descriptor is None else self.descriptor.integers(number, kind)

    def sizes(self, tensors: Sequence[Tensor], position: int) -> tuple[int, ...]:
        """The shape of one of the tensors; () where it is unknown."""
        shape = tensors[position].shape if position < len(tensors) else None
        known = tuple(size for size in shape or () if isinstance(size, int))
        return known if shape is not None and len(known) == len(shape) else ()

    def mapped(
        self,
        operator: str,
        attributes: Mapping[str, AttributeValue] | None = None,
        *,
        layout: int | None = None,
        inputs: int | None = None,
    ) -> Mapped:
        """A node; `layout` is the number of the field that says where the channels are."""
        last: dict[str, AttributeValue] = {}
        if layout is not None:
            last = {"channels_last": int(self.whole(layout, kind="i8") != _NCHW)}
        names = tuple(tensor.name for tensor in self.inputs[:inputs])
        return Mapped(operator=operator, attributes={**(attributes or {}), **last}, inputs=names)


Rule = Callable[[Call], Mapped | None]


def _window(
    call: Call, kernel: tuple[int, ...], *, at: int, dilated: bool
) -> dict[str, AttributeValue] | None:
    """Left, right, top, bottom, then strides and dilations, each x before y."""
    left, right, top, bottom = (call.whole(number) for number in range(at, at + 4))
    first = at + 4 if at == 0 else at + 6
    strides = (call.whole(first + 1), call.whole(first))
    dilations = (call.whole(first + 3, 1), call.whole(first + 2, 1)) if dilated else ()
    return window(
        kernel=kernel, strides=strides, dilations=dilations, pads=(top, left, bottom, right)
    )


def _convolution(call: Call) -> Mapped | None:
    """Filters are (outputs, height, width, inputs), or (outputs, inputs, height, width)."""
    filters, made, taken = (
        call.sizes(call.inputs, 1),
        call.sizes(call.outputs, 0),
        call.sizes(call.inputs, 0),
    )
    if len(filters) != 4 or len(made) != 4 or len(taken) != 4:
        return None
    upward, depthwise = call.kind.startswith("Transpose"), call.kind.startswith("Depthwise")
    layout = 7 if upward else 9
    first = call.whole(layout, _NCHW, "i8") == _NCHW
    channels = 1 if first else 3
    if depthwise:
        kernel = filters[1:3] if call.depthwise_last else filters[2:]
    else:
        kernel = filters[2:] if first else filters[1:3]
    attributes = convolution(
        _window(call, kernel, at=0, dilated=not upward),
        output_channels=made[channels],
        group=taken[channels] if depthwise else 1,
    )
    if attributes is None:
        return None
    attributes["channels_last"] = int(not first)
    return call.mapped("ConvTranspose" if upward else "Conv", attributes)


def _pool(call: Call) -> Mapped | None:
    """(algorithm, paddings, width, height, strides, rounding, method, layout)."""
    kind = {0: "MaxPool", 1: "AveragePool"}.get(call.whole(0, kind="i8"))
    attributes = _window(call, (call.whole(6), call.whole(5)), at=1, dilated=False)
    if kind is None or attributes is None:
        return None
    attributes["ceil_mode"] = int(call.whole(9, kind="i8") == 1)
    if kind == "AveragePool":
        attributes["count_include_pad"] = int(call.whole(10, kind="i8") == 0)
    return call.mapped(kind, attributes, layout=11)


def _fully_connected(call: Call) -> Mapped:
    attributes: dict[str, AttributeValue] = {"transB": int(call.flag(1)), "keep_num_dims": 0}
    return call.mapped("Gemm", attributes)


_ACTIVATIONS = {
    0: "Sigmoid",
    1: "Tanh",
    3: "Relu",
    5: "Softplus",
    7: "Abs",
    8: "Sqrt",
    11: "HardSwish",
    12: "Gelu",
}


def _activation(call: Call) -> Mapped | None:
    kind, a, b = call.whole(0, kind="i8"), call.real(1), call.real(2)
    if kind == 4:
        return call.mapped("Clip", {"min": b, "max": a})
    if kind in (6, 10):
        return call.mapped("LeakyRelu" if kind == 6 else "Elu", {"alpha": a})
    return call.mapped(_ACTIVATIONS[kind]) if kind in _ACTIVATIONS else None


def _coded(table: Mapping[int, str], field: int = 0) -> Rule:
    def rule(call: Call) -> Mapped | None:
        operator = table.get(call.whole(field, kind="i8"))
        return None if operator is None else call.mapped(operator)

    return rule


def _plain(operator: str, **attributes: AttributeValue) -> Rule:
    return lambda call: call.mapped(operator, attributes)


def _transpose(call: Call) -> Mapped:
    """`Permute` says where each dimension goes, `Transpose` where each comes from."""
    order = call.wholes(0)
    if call.kind == "Permute" and sorted(order) == list(range(len(order))):
        order = tuple(order.index(place) for place in range(len(order)))
    return call.mapped("Transpose", {"perm": order})


def _reshape(call: Call) -> Mapped:
    return call.mapped("Reshape", {"shape": call.wholes(0)}, inputs=1)


def _concat(call: Call) -> Mapped:
    return call.mapped("Concat", {"axis": call.whole(0)})


def _split(call: Call) -> Mapped | None:
    """The dimension in which the results differ from what is split."""
    whole = call.sizes(call.inputs, 0)
    parts = [call.sizes(call.outputs, place) for place in range(len(call.outputs))]
    axes = [
        axis
        for axis, size in enumerate(whole)
        if all(len(part) == len(whole) and part[axis] != size for part in parts)
    ]
    if len(axes) != 1:
        return None
    axis = axes[0]
    return call.mapped("Split", {"axis": axis, "split": tuple(part[axis] for part in parts)})


def _pad(call: Call) -> Mapped | None:
    amounts = call.wholes(0)
    mode = {0: "constant", 1: "reflect"}.get(call.whole(2, kind="i8"))
    if mode is None or len(amounts) % 2:
        return None
    return call.mapped("Pad", {"pads": amounts[0::2] + amounts[1::2], "mode": mode})


def _reduce(call: Call) -> Mapped | None:
    mean = call.kind == "Mean"
    kinds = {0: "Sum", 1: "Max", 2: "Mean", 3: "Min", 4: "Prod"}
    kind = "Mean" if mean else kinds.get(call.whole(2, kind="i8"))
    axes, keep = call.wholes(0 if mean else 1), call.flag(1 if mean else 0)
    if kind is None:
        return None
    attributes: dict[str, AttributeValue] = {"keepdims": int(keep)}
    return call.mapped(f"Reduce{kind}", attributes | ({"axes": axes} if axes else {}))


def _resize(call: Call) -> Mapped | None:
    old = call.kind == "ResizeBilinear"  # (width, height, layout, corners, half)
    sizes = (call.whole(1), call.whole(0)) if old else (call.whole(0), call.whole(1))
    if min(sizes) < 1:
        return None
    linear = old or call.whole(2, kind="i8") == 1
    layout, corners, half = (2, 3, 4) if old else (3, 4, 5)
    coordinates = "half_pixel" if call.flag(half) else "asymmetric"
    first = call.whole(layout, kind="i8") == _NCHW
    attributes: dict[str, AttributeValue] = {
        "mode": "linear" if linear else "nearest",
        "coordinate_transformation_mode": "align_corners" if call.flag(corners) else coordinates,
        "axes": (2, 3) if first else (1, 2),
        "sizes": sizes,
    }
    return call.mapped("Resize", attributes)


def _softmax(call: Call) -> Mapped:
    operator = "LogSoftmax" if call.kind == "LogSoftmax" else "Softmax"
    return call.mapped(operator, {"axis": call.whole(1, -1, "i32")})


def _batch_norm(call: Call) -> Mapped:
    return call.mapped("BatchNormalization", {"epsilon": call.real(0)}, layout=1)


def _blocks(operator: str) -> Rule:
    return lambda call: call.mapped(operator, {"blocksize": call.whole(0)}, layout=1)


def _slice(call: Call) -> Mapped | None:
    begin, sizes = call.wholes(0), call.wholes(1)
    if len(begin) != len(sizes):
        return None
    ends = tuple(first + size for first, size in zip(begin, sizes, strict=True))
    return call.mapped("Slice", {"starts": begin, "ends": ends})


def _local_response(call: Call) -> Mapped | None:
    """Across channels, by the local brightness."""
    if call.whole(0, kind="i8") or call.whole(1, kind="i8"):
        return None
    attributes: dict[str, AttributeValue] = {
        "size": call.whole(2),
        "alpha": call.real(3),
        "beta": call.real(4),
        "bias": call.real(5),
    }
    return call.mapped("LRN", attributes, layout=6)


def _arg(call: Call) -> Mapped:
    operator = "ArgMax" if call.whole(0, kind="i8") else "ArgMin"
    return call.mapped(operator, {"axis": call.whole(1, 0, "i32"), "keepdims": 0})


def _product(call: Call) -> Mapped:
    attributes: dict[str, AttributeValue] = {}
    for onnx, number in (("transA", 0), ("transB", 1)):
        if call.flag(number):
            attributes[onnx] = 1
    return call.mapped("MatMul", attributes)


_RULES: Mapping[str, Rule] = {
    **dict.fromkeys(
        ("Convolution2d", "DepthwiseConvolution2d", "TransposeConvolution2d"), _convolution
    ),
    **dict.fromkeys(("Permute", "Transpose"), _transpose),
    **dict.fromkeys(("Concat", "Merger"), _concat),
    **dict.fromkeys(("Mean", "Reduce"), _reduce),
    **dict.fromkeys(("Resize", "ResizeBilinear"), _resize),
    **dict.fromkeys(("Softmax", "LogSoftmax"), _softmax),
    "Abs": _plain("Abs"),
    "Activation": _activation,
    "Addition": _plain("Add"),
    "ArgMinMax": _arg,
    "BatchMatMul": _product,
    "BatchNormalization": _batch_norm,
    "Cast": _plain("Cast"),
    "Comparison": _coded(
        {0: "Equal", 1: "Greater", 2: "GreaterOrEqual", 3: "Less", 4: "LessOrEqual"}
    ),
    "DepthToSpace": _blocks("DepthToSpace"),
    "Dequantize": _plain("DequantizeLinear"),
    "Division": _plain("Div"),
    "ElementwiseBinary": _coded(
        {0: "Add", 1: "Div", 2: "Max", 3: "Min", 4: "Mul", 5: "Sub", 7: "Pow"}
    ),
    "ElementwiseUnary": _coded(
        {0: "Abs", 2: "Sqrt", 3: "Exp", 4: "Neg", 5: "Not", 6: "Log", 7: "Sin", 8: "Ceil"}
    ),
    "Equal": _plain("Equal"),
    "Floor": _plain("Floor"),
    "FullyConnected": _fully_connected,
    "Gather": lambda call: call.mapped("Gather", {"axis": call.whole(0, 0, "i32")}),
    "GatherNd": _plain("GatherND"),
    "Greater": _plain("Greater"),
    "InstanceNormalization": lambda call: call.mapped(
        "InstanceNormalization", {"epsilon": call.real(2)}
    ),
    "LogicalBinary": _coded({0: "And", 1: "Or"}),
    "Maximum": _plain("Max"),
    "Minimum": _plain("Min"),
    "Multiplication": _plain("Mul"),
    "Normalization": _local_response,
    "Pad": _pad,
    "Pooling2d": _pool,
    "Prelu": _plain("PRelu"),
    "Quantize": _plain("QuantizeLinear"),
    "Reshape": _reshape,
    "Shape": _plain("Shape"),
    "Slice": _slice,
    "SpaceToDepth": _blocks("SpaceToDepth"),
    "Splitter": _split,
    "Subtraction": _plain("Sub"),
    "Tile": lambda call: call.mapped("Tile", {"repeats": call.wholes(0)}),
}


def translate(call: Call) -> Mapped | None:
    """The ONNX operator, or None where there is none."""
    rule = _RULES.get(call.kind)
    return None if rule is None else rule(call)
