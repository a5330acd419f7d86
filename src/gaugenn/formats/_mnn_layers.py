"""MNN operators that hold their own weights, as nodes with the weights as inputs.

Convolution weights are (output channels, input channels of a group, height, width), those of transposed
ones (input channels, output channels of a group, height, width). The int8 forms with requantisation
have a further input `scale`: input scale times weight scale over output scale, one a channel, from
which the weight's own scale cannot be told.

**Source:** https://github.com/alibaba/MNN/tree/master/source/shape and
https://github.com/alibaba/MNN/blob/master/source/core/ConvolutionCommon.cpp
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from gaugenn.errors import FormatError
from gaugenn.formats import _mnn_schema as schema
from gaugenn.formats._flatbuffers import Table, Value
from gaugenn.formats._mnn_operators import padded, padding, window
from gaugenn.formats._mnn_schema import CompressionField, ConvolutionField, SymmetricField
from gaugenn.formats._mnn_weights import WeightSource
from gaugenn.formats._operator_call import Call
from gaugenn.graph import (
    AttributeValue,
    DataType,
    Quantization,
    Shape,
    Tensor,
)

_DEPTHWISE = frozenset(
    {
        *("ConvolutionDepthwise", "DeconvolutionDepthwise", "DepthwiseConvInt8"),
        "QuantizedDepthwiseConv2D",
    }
)
_TRANSPOSED = frozenset({"Deconvolution", "DeconvolutionDepthwise", "ConvTranspose3D"})
_CONVOLUTIONS = frozenset(
    {
        *("Convolution", "ConvolutionDepthwise", "ConvInt8", "DepthwiseConvInt8", "Convolution3D"),
        *("TfQuantizedConv2D", "QuantizedDepthwiseConv2D"),
        *_TRANSPOSED,
    }
)
_HALF_COMPRESSION = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """An operator with its weights.

    Attributes:
        operator: the ONNX operator, or "".
        attributes: in its terms.
        weights: become inputs behind the operator's first input; None is an omitted one.
        further: tensors of the graph that are no inputs (scales that are too many to copy).
        first: how many of the operator's own inputs stand before the weights.
    """

    operator: str
    attributes: dict[str, AttributeValue] = field(default_factory=dict)
    weights: tuple[Tensor | None, ...] = ()
    further: tuple[Tensor, ...] = ()
    first: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where a layer stands: its call, parameter table, weights, and the names for its tensors."""

    call: Call
    parameter: str
    table: Table
    source: WeightSource
    name_of: Callable[[str], str]


def layer(site: Site) -> Layer | None:
    """The layer that an operator with this parameter is; None for operators without weights."""
    if site.parameter in ("Convolution2D", "Convolution3D", "TfQuantizedConv2D"):
        return _convolution(site)
    if site.parameter == "InnerProduct":
        return _inner_product(site)
    if site.parameter in schema.BLOBS:
        return _with_blobs(site)
    if site.parameter in schema.VECTORS:
        return _with_vectors(site)
    if site.parameter == "FusedLinearParam":
        return _fused_linear(site)
    return None


def _convolution(site: Site) -> Layer:
    common_at = 2 if site.parameter == "TfQuantizedConv2D" else ConvolutionField.COMMON
    common = site.table.table(common_at)
    if common is None:
        raise site.source.error(f"{site.call.source} without sizes")
    is_volume = site.parameter == "Convolution3D"
    values = common.read(schema.CONVOLUTION_3D if is_volume else schema.CONVOLUTION)
    call = replace(site.call, options={**site.call.options, **values})
    geometry = _geometry(call, is_volume=is_volume)
    weights, further = _convolution_weights(replace(site, call=call), geometry, values)
    operator = "ConvTranspose" if call.source in _TRANSPOSED else "Conv"
    if call.source not in _CONVOLUTIONS or not geometry.kernel:
        operator = ""
    attributes: dict[str, AttributeValue] = {
        "kernel_shape": geometry.kernel,
        "strides": window(call, geometry.strides),
        "dilations": window(call, geometry.dilations),
        "group": geometry.group,
        **padded(call, geometry.pads),
        **_activation(values),
    }
    if geometry.outputs:
        attributes["output_channels"] = geometry.outputs
    elif operator:
        # Weights that arrive at run time: their shape tells, if it is known.
        shape = call.shape(1)
        channels = shape[0] if shape else None
        if isinstance(channels, int) and shape is not None and len(shape) > 2:
            attributes["output_channels"] = channels
            kernel = tuple(size for size in shape[2:] if isinstance(size, int))
            attributes["kernel_shape"] = kernel or geometry.kernel
        else:
            operator = ""
    if operator == "ConvTranspose":
        extra = call.wholes("outPads")
        if any(extra):
            attributes["output_padding"] = extra
        given = call.constant(len(call.inputs) - 1) if call.whole("hasOutputShape") else None
        if given is not None and len(given) == 4:
            attributes["output_shape"] = given[1:3]
    return Layer(operator=operator, attributes=attributes, weights=weights, further=further)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Geometry:
    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[int, ...]
    group: int
    outputs: int
    inputs: int


def _geometry(call: Call, *, is_volume: bool) -> _Geometry:
    if is_volume:
        pads = call.wholes("pads")
        kernel, strides, dilations = (
            call.wholes(name) for name in ("kernels", "strides", "dilates")
        )
        pads = pads * 2 if len(pads) == len(kernel) else pads
    else:
        pads = padding(call)
        kernel, strides, dilations = (
            (call.whole(f"{name}Y", 1), call.whole(f"{name}X", 1))
            for name in ("kernel", "stride", "dilate")
        )
    outputs, inputs = call.whole("outputCount"), call.whole("inputCount")
    group = max(1, call.whole("group", 1))
    if outputs < 0 or inputs < 0 or (outputs and outputs % group and not _is_deep(call)):
        raise FormatError(
            f"{call.source} has {inputs} input and {outputs} output channels in {group} groups"
        )
    if _is_deep(call) and outputs:
        group = outputs
    return _Geometry(
        kernel=window(call, kernel),
        strides=strides,
        dilations=dilations,
        pads=pads,
        group=group,
        outputs=outputs,
        inputs=inputs,
    )


def _is_deep(call: Call) -> bool:
    return call.source in _DEPTHWISE


def _weight_shape(call: Call, geometry: _Geometry) -> Shape:
    """The weight's shape, with "?" where only the number of its elements can tell."""
    group, inputs = geometry.group, geometry.inputs
    if call.source in _TRANSPOSED:
        first = group if _is_deep(call) else "?"
        return (first, max(1, geometry.outputs // group), *geometry.kernel)
    if _is_deep(call):
        return (geometry.outputs, 1, *geometry.kernel)
    del inputs
    return (geometry.outputs, "?", *geometry.kernel)


def _absent_shape(call: Call, geometry: _Geometry) -> Shape:
    """The weight's shape by the channel counts, for weights that are not in the file."""
    shape, inputs, group = _weight_shape(call, geometry), geometry.inputs, geometry.group
    if "?" not in shape or not inputs:
        return shape
    if call.source not in _TRANSPOSED and inputs % group == 0:
        inputs //= group
    return tuple(inputs if size == "?" else size for size in shape)


def _convolution_weights(
    site: Site, geometry: _Geometry, values: Mapping[str, Value]
) -> tuple[tuple[Tensor | None, ...], tuple[Tensor, ...]]:
    """Weight, bias and requantisation scale, as far as the operator has them; further tensors."""
    del values
    if site.parameter == "TfQuantizedConv2D":
        return _tensorflow_weights(site, geometry), ()
    shape = _weight_shape(site.call, geometry)
    name = site.name_of("weight")
    symmetric = compression = None
    if site.parameter == "Convolution2D":
        symmetric = site.table.table(ConvolutionField.SYMMETRIC)
        compression = site.table.table(ConvolutionField.COMPRESSION)
    external_at = (
        ConvolutionField.VOLUME_EXTERNAL
        if site.parameter == "Convolution3D"
        else ConvolutionField.EXTERNAL
    )
    place = site.table.integers(external_at, "i64")
    source = site.source
    stored: tuple[Tensor, ...] = ()
    bias_part = 1
    if symmetric is not None:
        data = source.vector(symmetric, SymmetricField.WEIGHT, "i8")
        if data is not None:
            sizes = source.completed(name, shape, data.nbytes)
            stored = (source.constant(name, DataType.INT8, sizes, data),)
    if not stored and compression is not None:
        bias_part = 2
        stored = compressed_weight(source, compression, name, shape, place)
    if not stored and compression is None:
        data = source.vector(site.table, ConvolutionField.WEIGHT, "f32", source.external(place, 0))
        if data is not None:
            sizes = source.completed(name, shape, data.nbytes // 4)
            stored = (source.constant(name, DataType.FLOAT32, sizes, data),)
    is_given = len(site.call.inputs) > 1 and not site.call.whole("hasOutputShape")
    if not stored and is_given:
        return (), ()
    is_absent = not stored
    if not stored:
        dtype = DataType.FLOAT32
        if symmetric is not None or compression is not None:
            half = compression is not None and compression.integer(2) == _HALF_COMPRESSION
            dtype = DataType.FLOAT16 if half else DataType.INT8
        stored = (source.constant(name, dtype, _absent_shape(site.call, geometry), None),)
    bias = _bias(site, symmetric, source.external(place, bias_part), geometry, absent=is_absent)
    scale = None
    if symmetric is not None:
        scale = source.vector(symmetric, SymmetricField.SCALE, "f32")
    weights = [stored[0], bias]
    if scale is not None:
        weights.append(source.typed_vector(site.name_of("scale"), "f32", scale, 0))
    while weights[-1] is None:
        weights.pop()
    return tuple(weights), stored[1:]


def compressed_weight(
    source: WeightSource, table: Table, name: str, shape: Shape, place: tuple[int, ...]
) -> tuple[Tensor, ...]:
    """A compressed weight, inside the file or in the weights file; nothing where it is absent."""
    alpha = source.external(place, 1)
    if table.has(CompressionField.INDEX):
        stored = source.vector(table, CompressionField.ALPHA, "f32", alpha)
        if stored is not None:
            return (source.sparse_floats(table, name, shape, stored),)
    buffer = source.vector(table, CompressionField.BUFFER, "i8", source.external(place, 0))
    if buffer is None:
        return ()
    return source.compressed(table, name, shape, buffer, alpha)


def _bias(
    site: Site,
    symmetric: Table | None,
    outside: memoryview | None,
    geometry: _Geometry,
    *,
    absent: bool,
) -> Tensor | None:
    """The bias; one of zeros is stored, so a file without weights lacks it."""
    name = site.name_of("bias")
    if symmetric is not None:
        data = site.source.vector(symmetric, SymmetricField.BIAS, "i32")
        if data is not None:
            return site.source.typed_vector(name, "i32", data, 0)
    data = site.source.vector(site.table, ConvolutionField.BIAS, "f32", outside)
    if data is None and not absent:
        return None
    return site.source.typed_vector(name, "f32", data, geometry.outputs)


def _tensorflow_weights(site: Site, geometry: _Geometry) -> tuple[Tensor | None, ...]:
    """Weights of the first quantised form, uint8 with one scale."""
    name = site.name_of("weight")
    data = site.source.vector(site.table, 3, "u8")
    if data is None:
        shape = _absent_shape(site.call, geometry)
        weight = site.source.constant(name, DataType.UINT8, shape, None)
    else:
        shape = site.source.completed(name, _weight_shape(site.call, geometry), data.nbytes)
        weight = site.source.constant(name, DataType.UINT8, shape, data)
    given = site.table.table(11)
    if given is not None:
        quantization = Quantization(scales=(given.real(1),), zero_points=(given.integer(0),))
        weight = replace(weight, quantization=quantization)
    bias = site.source.vector(site.table, 0, "i32")
    if bias is None:
        return (weight,)
    return (weight, site.source.typed_vector(site.name_of("bias"), "i32", bias, 0))


def _activation(values: Mapping[str, Value]) -> dict[str, AttributeValue]:
    if values["relu6"]:
        return {"fused_activation": "Clip", "fused_min": 0.0, "fused_max": 6.0}
    return {"fused_activation": "Relu"} if values["relu"] else {}


def _inner_product(site: Site) -> Layer:
    call, source = site.call, site.source
    outputs, size = call.whole("outputCount"), call.whole("weightSize")
    if outputs < 1:
        raise source.error(f"{call.source} has {outputs} outputs")
    is_transposed = call.whole("transpose")
    shape: Shape = ("?", outputs) if is_transposed else (outputs, "?")
    name = site.name_of("weight")
    compression = site.table.table(7)
    stored: tuple[Tensor, ...] = ()
    if compression is not None:
        stored = compressed_weight(source, compression, name, shape, ())
    if not stored:
        data = source.vector(site.table, 3, "f32")
        if data is None and size > 0 and size % outputs == 0:
            shape = source.completed(name, shape, size)
        elif data is not None:
            shape = source.completed(name, shape, data.nbytes // 4)
        stored = (source.constant(name, DataType.FLOAT32, shape, data),)
    bias = source.vector(site.table, 4, "f32")
    weights: tuple[Tensor | None, ...] = (stored[0],)
    if bias is not None:
        weights = (stored[0], source.typed_vector(site.name_of("bias"), "f32", bias, 0))
    attributes: dict[str, AttributeValue] = {} if is_transposed else {"transB": 1}
    return Layer(operator="Gemm", attributes=attributes, weights=weights, further=stored[1:])


def _fused_linear(site: Site) -> Layer:
    """Several 1x1 convolutions of one input; each one's weight and bias follow the inputs."""
    weights: list[Tensor | None] = []
    further: list[Tensor] = []
    for number, table in enumerate(site.table.tables(0)):

        def name_of(role: str, number: int = number) -> str:
            return site.name_of(f"{number}/{role}")

        call = replace(site.call, source="Convolution", inputs=site.call.inputs[:1])
        inner = replace(site, call=call, table=table, parameter="Convolution2D", name_of=name_of)
        made = _convolution(inner)
        weights += made.weights
        further += made.further
    return Layer(
        operator="",
        attributes=dict(site.call.options),
        weights=tuple(weights),
        further=tuple(further),
        first=len(site.call.inputs),
    )


def _with_blobs(site: Site) -> Layer:
    weights: list[Tensor | None] = []
    for name, number in schema.BLOBS[site.parameter]:
        table = site.table.table(number)
        if table is not None:
            weights.append(site.source.blob(table, site.name_of(name)))
    call = site.call
    attributes: dict[str, AttributeValue] = dict(call.options)
    operator, first = "", len(call.inputs)
    if call.source == "LSTM" and not weights and len(call.inputs) >= 3:
        operator = "LSTM"
        attributes = {"hidden_size": call.whole("outputCount")}
    elif call.source == "RNNSequenceGRU":
        operator, first = "GRU", 1
        both = call.whole("isBidirectionalRNN")
        attributes = {
            **call.other_options("numUnits", "isBidirectionalRNN", "linearBeforeReset"),
            "hidden_size": call.whole("numUnits"),
            "direction": "bidirectional" if both else "forward",
            "linear_before_reset": call.whole("linearBeforeReset"),
        }
        weights[:0] = [None] * 5  # W, R, B, sequence_lens, initial_h
    return Layer(operator=operator, attributes=attributes, weights=tuple(weights), first=first)


def _with_vectors(site: Site) -> Layer | None:
    call = site.call
    tensors: dict[str, Tensor] = {}
    part = 0
    count = call.whole("slopeCount") or call.whole("channels")
    for name, number, kind, external in schema.VECTORS[site.parameter]:
        outside = None
        if external:
            place = site.table.integers(external, "i64")
            outside = site.source.external(place, part)
            part += 1
        data = site.source.vector(site.table, number, kind, outside)
        if data is not None or count:
            named = site.name_of(name)
            tensors[name] = site.source.typed_vector(named, kind, data, count)
    rule = _VECTOR_RULES.get(call.source)
    if rule is not None:
        return rule(call, tensors)
    if not tensors and call.source != "Normalize":
        return None  # a plain product of two inputs
    return Layer(
        operator="",
        attributes=dict(call.options),
        weights=tuple(tensors.values()),
        first=len(call.inputs),
    )


def _batch_norm(call: Call, tensors: Mapping[str, Tensor]) -> Layer:
    order = ("slope", "bias", "mean", "variance")
    weights = tuple(tensors.get(name) for name in order)
    operator = "BatchNormalization"
    if call.source == "InstanceNorm":
        operator, weights = "InstanceNormalization", weights[:2]
    return Layer(
        operator=operator if len(tensors) >= len(weights) else "",
        attributes={"epsilon": call.real("epsilon", 0.001)},
        weights=weights,
    )


def _scale(_call: Call, tensors: Mapping[str, Tensor]) -> Layer:
    """A product, or with a bias a batch normalisation whose mean is 0 and variance 1."""
    scale, bias = tensors.get("scale"), tensors.get("bias")
    if scale is None:
        return Layer(operator="", weights=(bias,) if bias is not None else ())
    if bias is None:
        return Layer(operator="Mul", attributes={"broadcast": 1, "axis": 1}, weights=(scale,))
    return Layer(operator="BatchNormalization", weights=(scale, bias))


def _prelu(_call: Call, tensors: Mapping[str, Tensor]) -> Layer:
    slope = tensors.get("slope")
    if slope is None:
        return Layer(operator="PRelu")
    if slope.elements != 1:  # one a channel, in front of height and width
        slope = replace(slope, shape=(*(slope.shape or ()), 1, 1))
    return Layer(operator="PRelu", weights=(slope,))


def _layer_norm(call: Call, tensors: Mapping[str, Tensor]) -> Layer:
    axes = call.wholes("axis")
    is_rms = call.whole("useRMSNorm")
    operator = "RMSNormalization" if is_rms else "LayerNormalization"
    gamma, beta = tensors.get("gamma"), tensors.get("beta")
    attributes: dict[str, AttributeValue] = {"epsilon": call.real("epsilon")}
    if axes:
        attributes["axis"] = min(axes)
    if call.whole("group", 1) > 1 or len(call.inputs) > 1:
        operator, attributes = "", dict(call.options)
    weights = (gamma,) if is_rms or beta is None else (gamma, beta)
    return Layer(
        operator=operator,
        attributes=attributes,
        weights=weights if gamma is not None else (),
        first=len(call.inputs),
    )


def _group_norm(call: Call, tensors: Mapping[str, Tensor]) -> Layer:
    gamma, beta = tensors.get("gamma"), tensors.get("beta")
    is_plain = len(call.inputs) == 1 and gamma is not None and beta is not None
    attributes: dict[str, AttributeValue] = {
        "epsilon": call.real("epsilon"),
        "num_groups": call.whole("group", 1),
    }
    if call.whole("bSwish"):
        attributes["fused_activation"] = "Swish"
    return Layer(
        operator="GroupNormalization" if is_plain else "",
        attributes=attributes,
        weights=tuple(tensor for tensor in (gamma, beta) if tensor is not None),
        first=len(call.inputs),
    )


_VECTOR_RULES: dict[str, Callable[[Call, Mapping[str, Tensor]], Layer]] = {
    "BatchNorm": _batch_norm,
    "InstanceNorm": _batch_norm,
    "Scale": _scale,
    "PReLU": _prelu,
    "LayerNorm": _layer_norm,
    "GroupNorm": _group_norm,
}


def float_scales(table: Table) -> tuple[tuple[float, ...], int]:
    """Scales and zero point of a node between floats and int8."""
    scales = table.reals(SymmetricField.TENSOR_SCALE)
    return scales, table.integer(6, "i8")
