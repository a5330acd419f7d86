"""Core ML's network layers as ONNX operators. Blobs are (batch, channels, height, width).

**Source:** https://github.com/apple/coremltools/blob/main/mlmodel/format/NeuralNetwork.proto
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from gaugenn.errors import FormatError
from gaugenn.formats import _coreml_schema as schema
from gaugenn.formats._names import TensorNames
from gaugenn.formats._protobuf import Message, Schema
from gaugenn.graph import AttributeValue, DataType, Quantization, Tensor, TensorKind

_LARGEST = 1 << 31


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """What a layer becomes: operator, ONNX's attributes, and the constants after its inputs."""

    operator: str
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    weights: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class Site:
    """A layer while it is mapped.

    Attributes:
        name: of the layer.
        message: the layer's parameters are a field of it.
        number: of that field.
        inputs: number of blobs that it takes.
        names: tensor names of the graph.
        constants: the weights that were asked for.
        notes: remarks about the model.
    """

    name: str
    message: Message
    number: int
    inputs: int
    names: TensorNames
    constants: dict[str, Tensor] = field(default_factory=dict)
    notes: set[str] = field(default_factory=set)

    def parameters(self, fields: Schema) -> Message:
        """The layer's own parameters."""
        found = self.message.message(f"layer_{self.number}", fields)
        if found is None:
            raise self.message.error("the layer has no parameters")
        return found

    def weight(self, owner: Message, name: str, shape: Sequence[int]) -> str:
        """The tensor name of a weight, or "" where the file has none.

        Raises:
            FormatError: it does not have that shape.
        """
        held = owner.message(name, schema.WEIGHTS)
        if held is None:
            return ""
        if any(not 0 <= size < _LARGEST for size in shape):
            raise owner.error(f"a weight of shape {tuple(shape)}")
        made = self.names.unique(f"{self.name}.{name}")
        self.constants[made] = self._tensor(held, made, tuple(shape))
        return made

    def _tensor(self, held: Message, name: str, shape: tuple[int, ...]) -> Tensor:
        floats = held.fixed("floats", 4)
        halves, raw, signed = (held.view(each) for each in ("halves", "raw", "signed"))
        data: memoryview | None = floats if floats.nbytes else None
        dtype = DataType.FLOAT32
        quantization: Quantization | None = None
        if halves is not None and halves.nbytes:
            data, dtype = halves, DataType.FLOAT16
        elif signed is not None and signed.nbytes:
            data, dtype = signed, DataType.INT8
        elif raw is not None and raw.nbytes:
            data = raw
            dtype, quantization = self._quantized(held)
        if data is None:
            self.notes.add("weights-absent")
        return Tensor(
            name=name,
            dtype=dtype,
            shape=shape,
            data=data,
            kind=TensorKind.CONSTANT,
            quantization=quantization,
        )

    def _quantized(self, held: Message) -> tuple[DataType, Quantization | None]:
        """Stored integers; their real value is scale * q + bias, or the q-th of a table."""
        how = held.message("quantization", schema.QUANTIZATION)
        if how is None:
            raise held.error("raw weights without a quantisation")
        widths = {8: DataType.UINT8, 4: DataType.UINT4, 2: DataType.UINT2}
        dtype = widths.get(how.integer("bits"), DataType.UNKNOWN)
        linear = how.message("linear", schema.LINEAR)
        if linear is None:
            self.notes.add("lookup-tables")
            return dtype, None
        scales, biases = linear.float32s("scale"), linear.float32s("bias")
        pairs = zip(scales, biases, strict=False)
        zeros = [-bias / scale if scale else math.nan for scale, bias in pairs]
        exact = all(math.isfinite(zero) and abs(zero - round(zero)) < 1e-3 for zero in zeros)
        if not exact:
            self.notes.add("quantization-bias")
        fits = exact and len(zeros) == len(scales)
        points = tuple(round(zero) for zero in zeros) if fits else ()
        axis = 0 if len(scales) > 1 else None
        return dtype, Quantization(scales=scales, zero_points=points, axis=axis)


def _named(operator: str) -> Callable[[Site], Mapped]:
    return lambda _site: Mapped(operator=operator)


def _pair(message: Message, name: str, default: int) -> tuple[int, ...]:
    values = message.integers(name) or (default, default)
    if any(not 0 < value < _LARGEST for value in values) or len(values) != 2:
        raise message.error(f"{name} is {values}, expected two positive numbers")
    return values


def _padding(message: Message) -> dict[str, AttributeValue]:
    same = message.message("same", schema.SAME)
    if same is not None:
        return {"auto_pad": "SAME_LOWER" if same.integer("mode") else "SAME_UPPER"}
    valid = message.message("valid", schema.VALID)
    borders = None if valid is None else valid.message("amounts", schema.BORDERS)
    return {"pads": (0, 0, 0, 0) if borders is None else _amounts(borders)}


def _amounts(borders: Message) -> tuple[int, ...]:
    """(top, left, bottom, right)."""
    edges = [
        (e.integer("start"), e.integer("end")) for e in borders.messages("amounts", schema.EDGES)
    ]
    if not edges:
        return (0, 0, 0, 0)
    if len(edges) != 2 or any(not 0 <= n < _LARGEST for edge in edges for n in edge):
        raise borders.error(f"padding {edges}, expected two pairs")
    return (edges[0][0], edges[1][0], edges[0][1], edges[1][1])


def _convolution(site: Site) -> Mapped:
    """Weights are (outputs, channels of a group, height, width); transposed (channels, outputs...)."""
    own = site.parameters(schema.CONVOLUTION)
    outputs, channels = own.integer("outputs"), own.integer("channels")
    groups = own.integer("groups") or 1
    kernel = _pair(own, "kernel", 3)
    if min(outputs, channels, groups) < 1 or outputs % groups or max(outputs, channels) >= _LARGEST:
        raise own.error(f"{groups} groups of {channels} channels for {outputs} outputs")
    attributes: dict[str, AttributeValue] = {
        "kernel_shape": kernel,
        "strides": _pair(own, "stride", 1),
        "dilations": _pair(own, "dilation", 1),
        "group": groups,
        "output_channels": outputs,
        **_padding(own),
    }
    transposed = bool(own.integer("transposed"))
    shape = (channels, outputs // groups) if transposed else (outputs, channels)
    weight = site.weight(own, "weights", (*shape, *kernel))
    bias = site.weight(own, "bias", (outputs,)) if own.integer("biased") else ""
    wanted = own.integers("output_shape")
    if transposed and len(wanted) == 2:
        attributes["output_shape"] = wanted
    operator = "ConvTranspose" if transposed else "Conv"
    if not weight and site.inputs < 2:
        raise own.error("a convolution without weights")
    return Mapped(operator=operator, attributes=attributes, weights=_given(weight, bias))


def _given(*names: str) -> tuple[str, ...]:
    """Without omitted names at the end."""
    kept = list(names)
    while kept and not kept[-1]:
        kept.pop()
    return tuple(kept)


def _pooling(site: Site) -> Mapped:
    own = site.parameters(schema.POOLING)
    kind = {0: "Max", 1: "Average", 2: "Lp"}.get(own.integer("type"))
    if kind is None:
        return Mapped(operator="")
    if own.integer("whole"):
        return Mapped(operator=f"Global{kind}Pool")
    attributes: dict[str, AttributeValue] = {
        "kernel_shape": _pair(own, "kernel", 3),
        "strides": _pair(own, "stride", 1),
    }
    complete = own.message("complete", schema.COMPLETE)
    if complete is not None:
        amounts = complete.integers("amounts") or (0, 0)
        if len(amounts) != 2 or any(not 0 <= n < _LARGEST for n in amounts):
            raise own.error(f"padding {amounts}, expected two numbers")
        attributes |= {"pads": amounts * 2, "ceil_mode": 1}
    else:
        attributes |= _padding(own)
    if kind == "Average":
        attributes["count_include_pad"] = int(not own.integer("exclude_padding"))
    return Mapped(operator=f"{kind}Pool", attributes=attributes)


def _inner_product(site: Site) -> Mapped:
    own = site.parameters(schema.PRODUCT)
    outputs, inputs = own.integer("outputs"), own.integer("inputs")
    weight = site.weight(own, "weights", (outputs, inputs))
    bias = site.weight(own, "bias", (outputs,)) if own.integer("biased") else ""
    attributes: dict[str, AttributeValue] = {"transB": 1, "keep_num_dims": 0}
    if not weight:
        raise own.error("an inner product without weights")
    return Mapped(operator="Gemm", attributes=attributes, weights=_given(weight, bias))


def _embedding(site: Site) -> Mapped:
    """The table is (outputs, inputs), which ONNX's Gather does not know."""
    own = site.parameters(schema.PRODUCT)
    outputs, inputs = own.integer("outputs"), own.integer("inputs")
    weight = site.weight(own, "weights", (outputs, inputs))
    bias = site.weight(own, "bias", (outputs,)) if own.integer("biased") else ""
    return Mapped(operator="", weights=_given(weight, bias))


def _batch_norm(site: Site) -> Mapped:
    own = site.parameters(schema.NORMALISATION)
    shape = (own.integer("channels"),)
    names = tuple(site.weight(own, each, shape) for each in ("gamma", "beta", "mean", "variance"))
    attributes: dict[str, AttributeValue] = {"epsilon": own.float32("epsilon", 1e-5)}
    if own.integer("instance"):
        return Mapped(
            operator="InstanceNormalization", attributes=attributes, weights=_given(*names[:2])
        )
    if own.integer("computed"):
        attributes["training_mode"] = 1
    return Mapped(operator="BatchNormalization", attributes=attributes, weights=_given(*names))


def _activation(site: Site) -> Mapped:
    own = site.parameters(schema.ACTIVATION)
    kinds = [name for name in schema.ACTIVATION.numbers if own.count(name)]
    if len(kinds) != 1:
        raise own.error(f"{len(kinds)} activations, expected one")
    kind = kinds[0]
    if kind == "PRelu":
        slopes = own.message(kind, Schema("ActivationPReLU", alpha=1))
        held = None if slopes is None else slopes.message("alpha", schema.WEIGHTS)
        if slopes is None or held is None:
            raise own.error("slopes are missing")
        count = held.fixed("floats", 4).nbytes // 4 or len(held.view("halves") or b"") // 2
        return Mapped(operator="PRelu", weights=(site.weight(slopes, "alpha", (count, 1, 1)),))
    numbers = own.message(kind, schema.SLOPES)
    attributes: dict[str, AttributeValue] = {}
    for name in ("alpha", "beta"):
        if numbers is not None and kind not in ("Relu", "Tanh", "Sigmoid", "Softsign", "Softplus"):
            attributes[name] = numbers.float32(name)
    if kind in ("LeakyRelu", "Elu", "ThresholdedRelu"):
        attributes.pop("beta", None)
    operator = kind if kind[0].isupper() else ""
    return Mapped(operator=operator, attributes={**attributes, "activation": kind})


def _softmax(site: Site) -> Mapped:
    return Mapped(operator="Softmax", attributes={"axis": 1 if site.number == 175 else _axis(site)})


def _axis(site: Site) -> int:
    return site.parameters(schema.AXIS).integer("axis")


def _local_response(site: Site) -> Mapped:
    own = site.parameters(schema.LOCAL)
    return Mapped(
        operator="LRN",
        attributes={
            "size": own.integer("size"),
            "alpha": own.float32("alpha"),
            "beta": own.float32("beta"),
            "bias": own.float32("k", 1.0),
        },
    )


def _upsample(site: Site) -> Mapped:
    own = site.parameters(schema.UPSAMPLE)
    factors = own.integers("factor")
    if len(factors) != 2:
        return Mapped(operator="")
    return Mapped(
        operator="Resize",
        attributes={
            "mode": "linear" if own.integer("mode") else "nearest",
            "scales": (1.0, 1.0, float(factors[0]), float(factors[1])),
        },
    )


def _merged(several: str) -> Callable[[Site], Mapped]:
    """Layers over two or more blobs; over one they add or multiply a number."""
    return lambda site: Mapped(operator=several if site.inputs > 1 else "")


def _scale(site: Site) -> Mapped:
    """A product, or with a bias a batch normalisation whose mean is 0 and variance 1."""
    own = site.parameters(schema.SCALE)
    shape = own.integers("shape")
    if not own.integer("biased"):
        return Mapped(operator="Mul", weights=_given(site.weight(own, "scale", shape)))
    channelwise = len(shape) == 1 or (len(shape) == 3 and shape[1:] == (1, 1))
    sizes = shape[:1] if channelwise else shape
    bias_shape = sizes if channelwise else own.integers("bias_shape")
    names = (site.weight(own, "scale", sizes), site.weight(own, "bias", bias_shape))
    return Mapped(operator="BatchNormalization" if channelwise else "", weights=_given(*names))


def _bias(site: Site) -> Mapped:
    own = site.parameters(schema.BIAS)
    return Mapped(operator="Add", weights=_given(site.weight(own, "bias", own.integers("shape"))))


def _unary(site: Site) -> Mapped:
    own = site.parameters(schema.UNARY)
    plain = not own.float32("shift") and own.float32("scale", 1.0) == 1.0
    names = {0: "Sqrt", 2: "Reciprocal", 4: "Exp", 5: "Log", 6: "Abs"}
    return Mapped(operator=names.get(own.integer("type"), "") if plain else "")


def _reshape(site: Site) -> Mapped:
    """Sizes are (channels, height, width) or with a sequence first, which is the batch here."""
    own = site.parameters(schema.INTEGERS)
    sizes = own.integers("values")
    if own.integer("mode") or len(sizes) not in (3, 4):
        return Mapped(operator="")
    wanted = (1, *sizes) if len(sizes) == 3 else sizes
    return Mapped(operator="Reshape", attributes={"shape": wanted})


def _static_reshape(site: Site) -> Mapped:
    return Mapped(
        operator="Reshape",
        attributes={"shape": site.parameters(schema.INTEGERS).integers("values")},
    )


def _flatten(site: Site) -> Mapped:
    plain = not site.parameters(schema.INTEGERS).integer("values")
    return Mapped(operator="Flatten" if plain else "", attributes={"axis": 1} if plain else {})


def _axes(operator: str, attribute: str) -> Callable[[Site], Mapped]:
    def mapped(site: Site) -> Mapped:
        values = site.parameters(schema.INTEGERS).integers("values")
        return Mapped(operator=operator, attributes={attribute: values})

    return mapped


def _joined(site: Site) -> Mapped:
    along = site.number == 320
    if along and site.parameters(Schema("ConcatLayerParams", sequence=100)).integer("sequence"):
        return Mapped(operator="Concat", attributes={"axis": 0})
    return Mapped(operator="Concat", attributes={"axis": 1 if along else _axis(site)})


def _reduction(operator: str) -> Callable[[Site], Mapped]:
    def mapped(site: Site) -> Mapped:
        own = site.parameters(schema.REDUCTION)
        attributes: dict[str, AttributeValue] = {"keepdims": own.integer("keep")}
        if not own.integer("all"):
            attributes["axes"] = own.integers("axes")
        return Mapped(operator=operator, attributes=attributes)

    return mapped


def _matmul(site: Site) -> Mapped:
    own = site.parameters(schema.MATRICES)
    attributes: dict[str, AttributeValue] = {}
    for name, given in (("transA", "transpose_a"), ("transB", "transpose_b")):
        if own.integer(given):
            attributes[name] = 1
    if site.inputs > 1:
        return Mapped(operator="MatMul", attributes=attributes)
    shape = (own.integer("rows"), own.integer("columns"))
    weight = site.weight(own, "weights", shape)
    bias = site.weight(own, "bias", shape[1:]) if own.integer("biased") else ""
    return Mapped(operator="MatMul" if weight else "", weights=_given(weight, bias))


def _constant(site: Site) -> Mapped:
    own = site.parameters(schema.CONSTANT)
    shape = own.integers("shape")
    if site.number == 290:
        shape = (1, *shape)
    return Mapped(operator="Constant", weights=_given(site.weight(own, "data", shape)))


def _blocks(site: Site) -> Mapped:
    own = site.parameters(Schema("ReorganizeDataLayerParams", mode=1, block=2))
    operator = {0: "SpaceToDepth", 1: "DepthToSpace", 2: "DepthToSpace"}.get(
        own.integer("mode"), ""
    )
    mode: dict[str, AttributeValue] = {"mode": "CRD"} if own.integer("mode") == 2 else {}
    return Mapped(operator=operator, attributes={"blocksize": own.integer("block"), **mode})


_MAPPINGS: Mapping[str, Callable[[Site], Mapped]] = {
    **{
        name: _named(name.capitalize())
        for name in (
            *"ceil floor sign round sin cos tan asin acos atan sinh cosh tanh asinh acosh".split(),  # noqa: SIM905
            *("atanh", "erf", "gelu", "equal"),
        )
    },
    **{
        name: _reduction(f"R{name[1:]}")
        for name in schema.LAYERS.values()
        if name.startswith("reduce") and name != "reduce"
    },
    "activation": _activation,
    "add": _merged("Sum"),
    "addBroadcastable": _named("Add"),
    "average": _merged("Mean"),
    "batchedMatmul": _matmul,
    "batchnorm": _batch_norm,
    "bias": _bias,
    "concat": _joined,
    "concatND": _joined,
    "convolution": _convolution,
    "copy": _named("Identity"),
    "divideBroadcastable": _named("Div"),
    "embedding": _embedding,
    "embeddingND": _embedding,
    "expandDims": _axes("Unsqueeze", "axes"),
    "flatten": _flatten,
    "greaterEqual": _merged("GreaterOrEqual"),
    "greaterThan": _merged("Greater"),
    "innerProduct": _inner_product,
    "lessEqual": _merged("LessOrEqual"),
    "lessThan": _merged("Less"),
    "loadConstant": _constant,
    "loadConstantND": _constant,
    "logicalAnd": _named("And"),
    "logicalNot": _named("Not"),
    "logicalOr": _named("Or"),
    "logicalXor": _named("Xor"),
    "lrn": _local_response,
    "max": _merged("Max"),
    "maxBroadcastable": _named("Max"),
    "min": _merged("Min"),
    "minBroadcastable": _named("Min"),
    "multiply": lambda site: Mapped(operator="Mul" if site.inputs == 2 else ""),
    "multiplyBroadcastable": _named("Mul"),
    "permute": _axes("Transpose", "perm"),
    "pooling": _pooling,
    "powBroadcastable": _named("Pow"),
    "reorganizeData": _blocks,
    "reshape": _reshape,
    "reshapeStatic": _static_reshape,
    "scale": _scale,
    "softmax": _softmax,
    "softmaxND": _softmax,
    "split": lambda _: Mapped(operator="Split", attributes={"axis": 1}),
    "subtractBroadcastable": _named("Sub"),
    "transpose": _axes("Transpose", "perm"),
    "unary": _unary,
    "upsample": _upsample,
    "whereBroadcastable": _named("Where"),
}


def map_layer(site: Site) -> Mapped:
    """What a layer becomes.

    Raises:
        FormatError: its parameters contradict each other or its weights.
    """
    make = _MAPPINGS.get(schema.LAYERS[site.number])
    if make is None:
        return Mapped(operator="")
    try:
        return make(site)
    except OverflowError as error:
        raise FormatError(f"Core ML layer {site.name!r}: {error}") from None
