"""TensorFlow's operators as ONNX operators.

**Source:** https://www.tensorflow.org/api_docs/python/tf/raw_ops (meaning),
https://onnx.ai/onnx/operators/ (counterparts)
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gaugenn.graph import AttributeValue, Shape, Tensor

OMITTED = -1
"""Stands in for an optional input that is not there."""

_SMALL = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """What a node becomes.

    Attributes:
        operator: the ONNX operator.
        attributes: ONNX's.
        inputs: positions of the node's inputs in ONNX order; None for as they are.
    """

    operator: str
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    inputs: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A node as its translation sees it.

    Attributes:
        op: TensorFlow's name of the operator.
        given: the node's attributes.
        constants: of each input the constant it comes from unchanged in shape, or None.
        values: of each input the constant that it is, or None.
        outputs: number of results that are used.
    """

    op: str
    given: Mapping[str, AttributeValue]
    constants: tuple[Tensor | None, ...]
    values: tuple[Tensor | None, ...]
    outputs: int

    @property
    def channels_last(self) -> bool:
        """Whether channels come last, as by default."""
        return not self.text("data_format", "NHWC").startswith("NC")

    def text(self, name: str, default: str) -> str:
        """A text attribute."""
        value = self.given.get(name, default)
        return value if isinstance(value, str) else default

    def real(self, name: str, default: float) -> float:
        """A number."""
        value = self.given.get(name, default)
        return float(value) if isinstance(value, int | float) else default

    def whole(self, name: str, default: int = 0) -> int:
        """A whole number or a flag."""
        value = self.given.get(name, default)
        return int(value) if isinstance(value, bool | int) else default

    def wholes(self, name: str) -> tuple[int, ...]:
        """Whole numbers; () where the attribute is missing."""
        value = self.given.get(name, ())
        if not isinstance(value, tuple):
            return ()
        return tuple(v for v in value if isinstance(v, int))

    def sizes(self, position: int, rank: int) -> tuple[int, ...] | None:
        """The shape of a weight of that rank."""
        tensor = self.constants[position] if position < len(self.constants) else None
        shape: Shape | None = None if tensor is None else tensor.shape
        if shape is None or len(shape) != rank:
            return None
        known = tuple(size for size in shape if isinstance(size, int) and size > 0)
        return known if len(known) == rank else None

    def integers(self, position: int) -> tuple[int, ...] | None:
        """The numbers in a small constant input."""
        tensor = self.values[position] if position < len(self.values) else None
        if tensor is None or tensor.data is None or not tensor.dtype.value.startswith("int"):
            return None
        if tensor.elements is None or tensor.elements > _SMALL:
            return None
        return tuple(int(x) for x in tensor.array().reshape(-1).tolist())

    def integer(self, position: int) -> int | None:
        """The number that a constant input is."""
        found = self.integers(position)
        return found[0] if found is not None and len(found) == 1 else None


Rule = Callable[[Call], Translation | None]


def _named(operator: str, **attributes: AttributeValue) -> Rule:
    return lambda _call: Translation(operator=operator, attributes=attributes)


def _spatial(call: Call, name: str) -> tuple[int, ...]:
    """Of a list over all dimensions those of the spatial ones."""
    values = call.wholes(name)
    if len(values) < 3:
        return ()
    return values[1:-1] if call.channels_last else values[2:]


def _padding(call: Call) -> dict[str, AttributeValue] | None:
    match call.text("padding", "VALID"):
        case "SAME":
            return {"auto_pad": "SAME_UPPER"}
        case "VALID":
            return {"auto_pad": "VALID"}
        case "EXPLICIT":
            pairs = call.wholes("explicit_paddings")
            if len(pairs) < 6 or len(pairs) % 2:
                return None
            kept = pairs[2:-2] if call.channels_last else pairs[4:]
            return {"pads": kept[0::2] + kept[1::2]}
    return None


def _window(call: Call, rank: int) -> dict[str, AttributeValue] | None:
    padding = _padding(call)
    strides = _spatial(call, "strides")
    if padding is None or len(strides) != rank:
        return None
    dilations = _spatial(call, "dilations")
    named: dict[str, AttributeValue] = {"strides": strides, **padding}
    if len(dilations) == rank:
        named["dilations"] = dilations
    return named


def _convolution(rank: int) -> Rule:
    """Filters are (spatial..., input channels of a group, output channels)."""

    def rule(call: Call) -> Translation | None:
        sizes, window = call.sizes(1, rank + 2), _window(call, rank)
        if sizes is None or window is None:
            return None
        window |= {"kernel_shape": sizes[:rank], "output_channels": sizes[-1]}
        return Translation(operator="Conv", attributes=window)

    return rule


def _depthwise(call: Call) -> Translation | None:
    """Filters are (height, width, input channels, filters a channel)."""
    sizes, window = call.sizes(1, 4), _window(call, 2)
    if sizes is None or window is None:
        return None
    window |= {
        "kernel_shape": sizes[:2],
        "group": sizes[2],
        "output_channels": sizes[2] * sizes[3],
    }
    return Translation(operator="Conv", attributes=window)


def _transposed(rank: int) -> Rule:
    """(output sizes, filters, data); filters are (spatial..., output channels, input channels)."""

    def rule(call: Call) -> Translation | None:
        sizes, window = call.sizes(1, rank + 2), _window(call, rank)
        if sizes is None or window is None:
            return None
        window |= {"kernel_shape": sizes[:rank], "output_channels": sizes[-2]}
        wanted = call.integers(0)
        if wanted is not None and len(wanted) == rank + 2:
            spatial = wanted[1:-1] if call.channels_last else wanted[2:]
            if min(spatial) > 0:
                window["output_shape"] = spatial
        return Translation(operator="ConvTranspose", attributes=window, inputs=(2, 1))

    return rule


def _pool(operator: str, rank: int) -> Rule:
    def rule(call: Call) -> Translation | None:
        window, kernel = _window(call, rank), _spatial(call, "ksize")
        outer = call.wholes("ksize")
        if window is None or len(kernel) != rank or outer[0] != 1:
            return None
        if outer[-1 if call.channels_last else 1] != 1:
            return None
        window["kernel_shape"] = kernel
        return Translation(operator=operator, attributes=window)

    return rule


def _batch_norm(call: Call) -> Translation:
    attributes: dict[str, AttributeValue] = {"epsilon": call.real("epsilon", 1e-4)}
    if call.whole("is_training", 1):
        attributes["training_mode"] = 1
    return Translation(operator="BatchNormalization", attributes=attributes)


_FUSED = frozenset("Relu Elu LeakyRelu Sigmoid Tanh HardSwish".split())  # noqa: SIM905


def _fused(rule: Rule) -> Rule:
    """Of an operator with a bias and an activation in it, as the graph optimiser makes them."""

    def fused(call: Call) -> Translation | None:
        found = rule(call)
        steps = call.given.get("fused_ops", ())
        if found is None or not isinstance(steps, tuple) or steps[:1] not in ((), ("BiasAdd",)):
            return None
        attributes: dict[str, AttributeValue] = dict(found.attributes)
        for step in steps[1:]:
            if step == "Relu6":
                attributes |= {"fused_activation": "Clip", "fused_min": 0.0, "fused_max": 6.0}
            elif step == "Prelu":
                attributes["fused_activation"] = "PRelu"
            elif step in _FUSED:
                attributes["fused_activation"] = step
            else:
                return None
        return Translation(operator=found.operator, attributes=attributes, inputs=found.inputs)

    return fused


def _old_batch_norm(call: Call) -> Translation:
    """(data, mean, variance, beta, gamma)."""
    attributes: dict[str, AttributeValue] = {"epsilon": call.real("variance_epsilon", 0.0)}
    return Translation(operator="BatchNormalization", attributes=attributes, inputs=(0, 4, 3, 1, 2))


def _bias(call: Call) -> Translation:
    if call.channels_last:
        return Translation(operator="Add")
    return Translation(operator="Add", attributes={"broadcast": 1, "axis": 1})


def _matmul(call: Call) -> Translation:
    return Translation(
        operator="Gemm",
        attributes={"transA": call.whole("transpose_a"), "transB": call.whole("transpose_b")},
    )


def _batch_matmul(call: Call) -> Translation:
    """With `transA` and `transB` where an operand's last two dimensions are swapped first."""
    found: dict[str, AttributeValue] = {}
    for name, given in (("transA", "adj_x"), ("transB", "adj_y")):
        if call.whole(given):
            found[name] = 1
    return Translation(operator="MatMul", attributes=found)


def _local_response(call: Call) -> Translation:
    size = 2 * call.whole("depth_radius", 5) + 1
    return Translation(
        operator="LRN",
        attributes={
            "size": size,
            "alpha": call.real("alpha", 1.0) * size,
            "beta": call.real("beta", 0.5),
            "bias": call.real("bias", 1.0),
        },
    )


def _concat(call: Call) -> Translation | None:
    count = len(call.values)
    first = call.op == "Concat"
    axis = call.integer(0 if first else count - 1)
    if axis is None:
        return None
    inputs = tuple(range(1, count)) if first else tuple(range(count - 1))
    return Translation(operator="Concat", attributes={"axis": axis}, inputs=inputs)


def _transpose(call: Call) -> Translation | None:
    order = call.integers(1)
    if order is None:
        return None
    return Translation(operator="Transpose", attributes={"perm": order}, inputs=(0,))


def _squeeze(call: Call) -> Translation:
    axes = call.wholes("squeeze_dims") or call.wholes("axis")
    return Translation(operator="Squeeze", attributes={"axes": axes} if axes else {})


def _pad(call: Call) -> Translation | None:
    amounts = call.integers(1)
    mode = "constant"
    if call.op == "MirrorPad":
        mode = "reflect" if call.text("mode", "") == "REFLECT" else ""
    if amounts is None or not mode:
        return None
    return Translation(
        operator="Pad",
        attributes={"pads": amounts[0::2] + amounts[1::2], "mode": mode},
        inputs=(0, OMITTED, 2) if call.op == "PadV2" else (0,),
    )


def _slice(call: Call) -> Translation | None:
    begin, size = call.integers(1), call.integers(2)
    if begin is None or size is None or len(begin) != len(size):
        return None
    ends = tuple(2**31 - 1 if s < 0 else b + s for b, s in zip(begin, size, strict=True))
    return Translation(operator="Slice", attributes={"starts": begin, "ends": ends}, inputs=(0,))


def _strided_slice(call: Call) -> Translation | None:
    begin, end, steps = (call.integers(i) for i in (1, 2, 3))
    masks = {n: call.whole(f"{n}_mask") for n in ("begin", "end", "ellipsis", "new_axis")}
    if begin is None or end is None or steps is None or not len(begin) == len(end) == len(steps):
        return None
    if masks["ellipsis"] or masks["new_axis"] or call.whole("shrink_axis_mask"):
        return None
    starts, ends = [], []
    for i, step in enumerate(steps):
        low, high = (0, 2**31 - 1) if step > 0 else (2**31 - 1, -(2**31))
        starts.append(low if masks["begin"] >> i & 1 else begin[i])
        ends.append(high if masks["end"] >> i & 1 else end[i])
    return Translation(
        operator="Slice",
        attributes={
            "starts": tuple(starts),
            "ends": tuple(ends),
            "axes": tuple(range(len(begin))),
            "steps": steps,
        },
        inputs=(0,),
    )


def _split(call: Call) -> Translation | None:
    """Split is (axis, data), SplitV (data, sizes, axis)."""
    axis = call.integer(0 if call.op == "Split" else 2)
    if axis is None:
        return None
    if call.op == "Split":
        count = call.whole("num_split", call.outputs)
        return Translation(
            operator="Split", attributes={"axis": axis, "num_outputs": count}, inputs=(1,)
        )
    sizes = call.integers(1)
    named: dict[str, AttributeValue] = (
        {"axis": axis}
        if sizes is None
        else {
            "axis": axis,
            "split": sizes,
        }
    )
    return Translation(operator="Split", attributes=named, inputs=(0, 1) if sizes is None else (0,))


def _reduce(operator: str) -> Rule:
    def rule(call: Call) -> Translation | None:
        axes = call.integers(1)
        if axes is None:
            return None
        keep = call.whole("keep_dims", call.whole("keepdims"))
        return (
            Translation(operator=operator, attributes={"axes": axes, "keepdims": keep}, inputs=(0,))
            if axes
            else Translation(operator="Identity", inputs=(0,))
        )

    return rule


def _arg(operator: str) -> Rule:
    def rule(call: Call) -> Translation | None:
        axis = call.integer(1)
        if axis is None:
            return None
        return Translation(operator=operator, attributes={"axis": axis, "keepdims": 0}, inputs=(0,))

    return rule


def _gather(call: Call) -> Translation | None:
    if call.op == "Gather":
        return Translation(operator="Gather", attributes={"axis": 0})
    axis = call.integer(2)
    if axis is None or call.whole("batch_dims"):
        return None
    return Translation(operator="Gather", attributes={"axis": axis}, inputs=(0, 1))


def _resize(mode: str) -> Rule:
    def rule(call: Call) -> Translation | None:
        sizes = call.integers(1)
        corners, half = call.whole("align_corners"), call.whole("half_pixel_centers")
        coordinates = "align_corners" if corners else "half_pixel" if half else "asymmetric"
        attributes: dict[str, AttributeValue] = {
            "mode": mode,
            "coordinate_transformation_mode": coordinates,
            "axes": (1, 2),
        }
        if sizes is None:
            return Translation(
                operator="Resize", attributes=attributes, inputs=(0, OMITTED, OMITTED, 1)
            )
        return Translation(
            operator="Resize", attributes={**attributes, "sizes": sizes}, inputs=(0,)
        )

    return rule


def _blocks(operator: str) -> Rule:
    def rule(call: Call) -> Translation | None:
        block = call.whole("block_size")
        if call.text("data_format", "NHWC") == "NCHW_VECT_C" or block < 1:
            return None
        return Translation(operator=operator, attributes={"blocksize": block})

    return rule


def _cast(call: Call) -> Translation:
    return Translation(operator="Cast", attributes={"to": call.text("DstT", "")})


def _fill(call: Call) -> Translation:
    """(sizes, value)."""
    del call
    return Translation(operator="ConstantOfShape")


def _if(call: Call) -> Translation:
    del call
    return Translation(operator="If")


def _while(call: Call) -> Translation:
    """ONNX's loop without trip count and condition; `cond` is the graph of the condition."""
    return Translation(operator="Loop", inputs=(OMITTED, OMITTED, *range(len(call.values))))


_SAME_NAME = """
    Abs Acos Acosh Asin Asinh Atan Atanh Add Ceil Cos Cosh Div Elu Equal Erf Exp Floor Greater Identity
    Less Log LogSoftmax MatrixInverse Max Mul Neg Pow Range Relu Reshape Round Selu Shape Sigmoid Sign
    Sin Sinh Size Softplus Softsign Sqrt Sub Tan Tanh Tile Where
"""

_RENAMED = {
    "AddN": "Sum",
    "AddV2": "Add",
    "BroadcastTo": "Expand",
    "ExpandDims": "Unsqueeze",
    "GatherNd": "GatherND",
    "GreaterEqual": "GreaterOrEqual",
    "Inv": "Reciprocal",
    "LessEqual": "LessOrEqual",
    "LogicalAnd": "And",
    "LogicalNot": "Not",
    "LogicalOr": "Or",
    "Maximum": "Max",
    "Minimum": "Min",
    "Prelu": "PRelu",
    "RealDiv": "Div",
    "Reciprocal": "Reciprocal",
    "Select": "Where",
    "SelectV2": "Where",
    **dict.fromkeys(
        "ReadVariableOp StopGradient PreventGradient Snapshot IdentityN EnsureShape".split(),  # noqa: SIM905
        "Identity",
    ),
    "PlaceholderWithDefault": "Identity",
}

_RULES: Mapping[str, Rule] = {
    **{name: _named(name) for name in _SAME_NAME.split() if name not in ("Max", "Where")},
    **{name: _named(operator) for name, operator in _RENAMED.items()},
    "ArgMax": _arg("ArgMax"),
    "ArgMin": _arg("ArgMin"),
    "AvgPool": _pool("AveragePool", 2),
    "AvgPool3D": _pool("AveragePool", 3),
    "BatchMatMul": _batch_matmul,
    "BatchMatMulV2": _batch_matmul,
    "BatchMatMulV3": _batch_matmul,
    "BatchNormWithGlobalNormalization": _old_batch_norm,
    "BiasAdd": _bias,
    "BiasAddV1": _named("Add"),
    "Cast": _cast,
    "Concat": _concat,
    "ConcatV2": _concat,
    "Conv2D": _convolution(2),
    "Conv2DBackpropInput": _transposed(2),
    "Conv3D": _convolution(3),
    "Conv3DBackpropInputV2": _transposed(3),
    "DepthToSpace": _blocks("DepthToSpace"),
    "DepthwiseConv2dNative": _depthwise,
    "Fill": _fill,
    "FusedDepthwiseConv2dNative": _fused(_depthwise),
    "_FusedConv2D": _fused(_convolution(2)),
    "_FusedMatMul": _fused(_matmul),
    "FusedBatchNorm": _batch_norm,
    "FusedBatchNormV2": _batch_norm,
    "FusedBatchNormV3": _batch_norm,
    "Gather": _gather,
    "GatherV2": _gather,
    "If": _if,
    "LRN": _local_response,
    "LeakyRelu": lambda c: Translation(
        operator="LeakyRelu", attributes={"alpha": c.real("alpha", 0.2)}
    ),
    "MatMul": _matmul,
    "Max": _reduce("ReduceMax"),
    "MaxPool": _pool("MaxPool", 2),
    "MaxPool3D": _pool("MaxPool", 3),
    "Mean": _reduce("ReduceMean"),
    "Min": _reduce("ReduceMin"),
    "MirrorPad": _pad,
    "Pad": _pad,
    "PadV2": _pad,
    "Prod": _reduce("ReduceProd"),
    "Relu6": _named("Clip", min=0.0, max=6.0),
    "ResizeBilinear": _resize("linear"),
    "ResizeNearestNeighbor": _resize("nearest"),
    "Slice": _slice,
    "Softmax": _named("Softmax", axis=-1),
    "SpaceToDepth": _blocks("SpaceToDepth"),
    "Split": _split,
    "SplitV": _split,
    "Squeeze": _squeeze,
    "StatelessIf": _if,
    "StatelessWhile": _while,
    "StridedSlice": _strided_slice,
    "Sum": _reduce("ReduceSum"),
    "TopKV2": lambda _: Translation(operator="TopK", attributes={"axis": -1}, inputs=(0, 1)),
    "Transpose": _transpose,
    "While": _while,
}

SPATIAL = frozenset(
    """
    AvgPool AvgPool3D BiasAdd Conv2D Conv2DBackpropInput Conv3D Conv3DBackpropInputV2 DepthToSpace
    DepthwiseConv2dNative FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3 MaxPool MaxPool3D
    SpaceToDepth FusedDepthwiseConv2dNative _FusedConv2D
    """.split()  # noqa: SIM905
)
"""Operators with an attribute `data_format`."""

VARIABLES = frozenset("Variable VariableV2 VarHandleOp AutoReloadVariable".split())  # noqa: SIM905
"""Operators that stand for stored weights."""

KNOWN = (
    frozenset(_RULES)
    | SPATIAL
    | VARIABLES
    | frozenset(
        """
    All Any ApplyAdam ApplyGradientDescent ApplyMomentum Assert Assign AssignAdd AssignAddVariableOp
    AssignSub AssignVariableOp AudioSpectrogram BatchToSpaceND Bucketize CheckNumerics
    CombinedNonMaxSuppression Const ControlTrigger CropAndResize CTCBeamSearchDecoder
    CTCGreedyDecoder Cumsum DecodeBmp DecodeGif
    DecodeJpeg DecodePng DecodeRaw DecodeWav Dequantize DynamicPartition DynamicStitch EncodeJpeg
    EncodePng Enter Exit ExtractImagePatches FakeQuantWithMinMaxArgs FakeQuantWithMinMaxVars
    FakeQuantWithMinMaxVarsPerChannel Fill FloorDiv FloorMod HashTable HashTableV2 InTopK
    InitializeTableFromTextFile InitializeTableFromTextFileV2 InitializeTableV2 Invert L2Loss
    LinSpace ListDiff LogicalXor LookupTableFind LookupTableFindV2 LoopCond LSTMBlockCell Merge
    MergeV2Checkpoints Mfcc Mod Multinomial NextIteration NoOp NonMaxSuppression
    NonMaxSuppressionV2 NonMaxSuppressionV3 NonMaxSuppressionV4 NonMaxSuppressionV5 NotEqual OneHot
    OnesLike Pack ParallelConcat ParseExample ParseExampleV2 ParseSingleExample PartitionedCall
    Placeholder PlaceholderV2 Print QuantizeV2 QuantizedConv2D QuantizedMatMul RandomStandardNormal
    RandomUniform RandomUniformInt Rank ReadFile RefSwitch RequantizationRange Requantize
    ResizeBicubic RestoreV2 Restore ReverseSequence ReverseV2 Rsqrt Save SaveSlices SaveV2
    ScatterNd Scatter ScatterUpdate SegmentSum ShapeN ShardedFilename SpaceToBatchND SparseToDense
    SquaredDifference Square StatefulPartitionedCall StringJoin StringSplit Switch
    TemporaryVariable TensorArrayGatherV3 TensorArrayReadV3 TensorArrayScatterV3 TensorArraySizeV3
    TensorArrayV3 TensorArrayWriteV3 TensorListFromTensor TensorListGetItem TensorListReserve
    TensorListSetItem TensorListStack TopK TruncatedNormal Unique Unpack VarIsInitializedOp
    ZerosLike _Arg _Retval ReduceJoin RegexReplace SparseReorder Xdivy Xlogy _FusedConv2D
    _FusedMatMul LookupTableSizeV2 MutableHashTableV2 StatelessRandomUniform
    """.split()  # noqa: SIM905
    )
)
"""Operators of TensorFlow; one of them must stand at the beginning of a file."""


def translate(call: Call) -> Translation | None:
    """The ONNX operator of a node, or None where there is none or what decides is not constant."""
    rule = _RULES.get(call.op)
    return None if rule is None else rule(call)
