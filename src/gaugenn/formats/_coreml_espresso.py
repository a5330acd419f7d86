"""The networks of compiled Core ML models: layers and shapes as JSON, weights as numbered blobs.

The format has no public description; what is read is what public converters of it and real files show.
Layers that nobody has described have no ONNX operator. Blobs of values are (n, k, h, w).

**Source:** https://github.com/freedomtan/coreml_to_ane_hwx (files and their use)
"""

import json
import math
import struct
from collections.abc import Callable, Mapping

from gaugenn.content import Content
from gaugenn.errors import FormatError
from gaugenn.formats._names import TensorNames
from gaugenn.graph import (
    AttributeValue,
    DataType,
    Graph,
    Node,
    Quantization,
    Shape,
    Tensor,
    TensorKind,
)

_MOST_JSON_BYTES = 64 << 20
_MOST_BLOBS = 1 << 20
_LARGEST = 1 << 31
_Layer = Mapping[str, object]


def parse_json(content: Content, what: str) -> dict[str, object]:
    """An object of a JSON file.

    Raises:
        FormatError: not JSON, no object, or too large.
    """
    if content.size_bytes > _MOST_JSON_BYTES:
        raise FormatError(f"{what} of {content.size_bytes} bytes, at most {_MOST_JSON_BYTES}")
    try:
        found = json.loads(bytes(content.data))
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{what} is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise FormatError(f"{what} holds no object")
    return found


class Network:
    """A network and the files that belong to it.

    Args:
        net: `model.espresso.net`.
        shapes: `model.espresso.shape`, if it is there.
        weights: `model.espresso.weights`, if it is there.

    Attributes:
        notes: remarks about the model.
        version: of the format, as the file has it.
    """

    def __init__(self, net: Content, shapes: Content | None, weights: Content | None) -> None:
        self.notes: set[str] = set()
        found = parse_json(net, "the network")
        layers = found.get("layers")
        if (
            not isinstance(layers, list)
            or not layers
            or not all(isinstance(n, dict) for n in layers)
        ):
            raise FormatError("a network without layers")
        self.version = str(found.get("format_version", ""))
        self._layers: list[_Layer] = layers
        self._shapes = {} if shapes is None else _shapes(parse_json(shapes, "the shapes"))
        self._blobs = None if weights is None else _blobs(weights)
        self._names = TensorNames()
        self._tensors: dict[str, Tensor] = {}

    def graph(self) -> Graph:
        """The network as a graph.

        Raises:
            FormatError: a layer without a kind or with impossible sizes, or weights of another size.
        """
        for layer in self._layers:
            for name in (*_listed(layer, "bottom"), *_listed(layer, "top")):
                self._names.take(name)
        nodes: list[Node] = []
        inputs: list[str] = []
        current: dict[str, str] = {}
        for layer in self._layers:
            kind = layer.get("type")
            if not isinstance(kind, str) or not kind:
                raise FormatError("a layer without a kind")
            takes: list[str] = []
            for name in _listed(layer, "bottom"):
                if name not in current:
                    current[name] = name
                    inputs.append(name)
                    self._tensors[name] = self._value(name, name)
                takes.append(current[name])
            operator, attributes, weights = self._mapped(kind, layer, len(takes))
            gives: list[str] = []
            for name in _listed(layer, "top"):
                made = name if name not in self._tensors else self._names.unique(name)
                current[name] = made
                self._tensors[made] = self._value(made, name)
                gives.append(made)
            nodes.append(
                Node(
                    name=str(layer.get("name", "")),
                    operator=operator,
                    source_operator=kind,
                    inputs=(*takes, *weights),
                    outputs=tuple(gives),
                    attributes={**attributes, **_fused(layer)},
                )
            )
        used = {name for node in nodes for name in node.inputs}
        outputs = tuple(name for node in nodes for name in node.outputs if name not in used)
        return Graph(
            name="",
            tensors=self._tensors,
            nodes=tuple(nodes),
            inputs=tuple(inputs),
            outputs=outputs,
        )

    def _value(self, name: str, shape_of: str) -> Tensor:
        return Tensor(name=name, dtype=DataType.FLOAT32, shape=self._shapes.get(shape_of))

    def _mapped(
        self, kind: str, layer: _Layer, count: int
    ) -> tuple[str, dict[str, AttributeValue], list[str]]:
        if kind in ("convolution", "deconvolution"):
            return self._convolution(kind, layer)
        if kind == "inner_product":
            shape = (_size(layer, "nC"), _size(layer, "nB"))
            held = self._weights(layer, shape)
            return "Gemm", {"transB": 1, "keep_num_dims": 0}, held
        if kind == "load_constant":
            sizes = tuple(_size(layer, each) for each in "nkhw")
            blob = layer.get("constant_blob")
            held = [self._blob(layer, "constant", blob, sizes, DataType.FLOAT32)]
            return "Identity", {}, held
        rule = _RULES.get(kind)
        operator, attributes = ("", {}) if rule is None else rule(layer, count)
        return operator, attributes if operator else _plain(layer), []

    def _convolution(
        self, kind: str, layer: _Layer
    ) -> tuple[str, dict[str, AttributeValue], list[str]]:
        """`K` channels come in and `C` go out."""
        channels, outputs = _size(layer, "K"), _size(layer, "C")
        kernel = (_size(layer, "Ny"), _size(layer, "Nx"))
        groups = _size(layer, "n_groups", 1)
        if channels % groups or outputs % groups:
            raise FormatError(f"{groups} groups of {channels} channels for {outputs} outputs")
        attributes: dict[str, AttributeValue] = {
            "kernel_shape": kernel,
            "output_channels": outputs,
            "group": groups,
            "strides": (_size(layer, "stride_y", 1), _size(layer, "stride_x", 1)),
            "dilations": (_size(layer, "dilation_y", 1), _size(layer, "dilation_x", 1)),
            **_padding(layer),
        }
        if kind == "deconvolution":
            wanted = (_whole(layer, "deconv_out_height"), _whole(layer, "deconv_out_width"))
            if all(0 < size < _LARGEST for size in wanted):
                attributes["output_shape"] = wanted
            held = self._weights(layer, (channels, outputs // groups, *kernel))
            return "ConvTranspose", attributes, held
        return "Conv", attributes, self._weights(layer, (outputs, channels // groups, *kernel))

    def _weights(self, layer: _Layer, shape: tuple[int, ...]) -> list[str]:
        """Weights and biases in whichever of their forms the file has."""
        stored = layer.get("weights")
        parts: _Layer = stored if isinstance(stored, dict) else {}
        if "blob_weights_f16" in layer:
            blob, dtype = layer["blob_weights_f16"], DataType.FLOAT16
        elif "W_U8" in parts:
            blob, dtype = parts["W_U8"], DataType.UINT8
        else:
            blob, dtype = layer.get("blob_weights"), DataType.FLOAT32
        if blob is None and self._blobs is not None:
            self.notes.add("weights-packed")
        names = [self._blob(layer, "weights", blob, shape, dtype)]
        if _whole(layer, "has_biases"):
            outputs = _size(layer, "nC" if "nC" in layer else "C")
            names.append(
                self._blob(layer, "biases", layer.get("blob_biases"), (outputs,), DataType.FLOAT32)
            )
        if dtype is DataType.UINT8:
            self._add_scales(names[0], parts, shape)
        return names

    def _add_scales(self, name: str, parts: _Layer, shape: tuple[int, ...]) -> None:
        """Real = scale * stored + bias for each output; the bias is a zero point only if it divides."""
        sides: list[memoryview] = []
        for key in ("per_ch_qscale", "per_ch_qbias"):
            number = parts.get(key)
            held = None
            if isinstance(number, int) and self._blobs is not None:
                held = self._blobs.get(number)
            if held is None or held.nbytes != 4 * shape[0] or shape[0] > 1 << 16:
                return
            sides.append(held)
        scales, biases = (struct.unpack(f"<{shape[0]}f", side) for side in sides)
        if not all(math.isfinite(n) for n in (*scales, *biases)) or not all(scales):
            return
        points = tuple(round(-bias / scale) for scale, bias in zip(scales, biases, strict=True))
        if any(abs(point) > _LARGEST for point in points):
            return
        held_tensor = self._tensors[name]
        self._tensors[name] = Tensor(
            name=name,
            dtype=held_tensor.dtype,
            shape=held_tensor.shape,
            data=held_tensor.data,
            kind=TensorKind.CONSTANT,
            quantization=Quantization(scales=scales, zero_points=points, axis=0),
        )

    def _blob(
        self, layer: _Layer, part: str, number: object, shape: tuple[int, ...], dtype: DataType
    ) -> str:
        name = self._names.unique(f"{layer.get('name', '')}/{part}")
        data = None
        if self._blobs is None:
            self.notes.add("weights-absent")
        elif isinstance(number, int):
            data = self._blobs.get(number)
            if data is None:
                raise FormatError(f"{name}: blob {number} is not in the weights file")
        self._tensors[name] = Tensor(
            name=name, dtype=dtype, shape=shape, data=data, kind=TensorKind.CONSTANT
        )
        return name


def _blobs(weights: Content) -> dict[int, memoryview]:
    """A count, a number and a size for each blob, then the blobs in the same order."""
    data = weights.data
    if data.nbytes < 8:
        raise FormatError(f"{weights.file_name}: {data.nbytes} bytes, at least 8 are needed")
    (count,) = struct.unpack_from("<Q", data)
    at = 8 + 16 * count
    if count > _MOST_BLOBS or at > data.nbytes:
        raise FormatError(f"{weights.file_name}: {count} blobs in {data.nbytes} bytes")
    found: dict[int, memoryview] = {}
    for index in range(count):
        number, size = struct.unpack_from("<2Q", data, 8 + 16 * index)
        if at + size > data.nbytes:
            raise FormatError(f"{weights.file_name}: blob {number} of {size} bytes is cut off")
        found[number] = data[at : at + size]
        at += size
    return found


def _shapes(found: dict[str, object]) -> dict[str, Shape]:
    listed = found.get("layer_shapes")
    shapes: dict[str, Shape] = {}
    for name, sizes in (listed if isinstance(listed, dict) else {}).items():
        if isinstance(sizes, dict):
            values = [sizes.get(each, 1) for each in "nkhw"]
            if all(isinstance(n, int) and 0 < n < _LARGEST for n in values):
                shapes[str(name)] = tuple(int(n) for n in values)
    return shapes


def _listed(layer: _Layer, side: str) -> list[str]:
    names = layer.get(side)
    return [each for each in names.split(",") if each] if isinstance(names, str) else []


def _whole(layer: _Layer, name: str, default: int = 0) -> int:
    value = layer.get(name, default)
    return value if isinstance(value, int) else default


def _size(layer: _Layer, name: str, default: int | None = None) -> int:
    value = layer.get(name, default)
    if not isinstance(value, int) or not 0 < value < _LARGEST:
        raise FormatError(f"layer {layer.get('name', '')!r}: {name} is {value!r}, expected a size")
    return value


def _padding(layer: _Layer) -> dict[str, AttributeValue]:
    """Amounts at the four edges, or mode 1 for as much as keeps the size."""
    mode = _whole(layer, "pad_mode")
    if mode:
        return {"auto_pad": "SAME_UPPER"} if mode == 1 else {"pad_mode": mode}
    edges = tuple(_whole(layer, f"pad_{each}") for each in "tlbr")
    if any(not 0 <= edge < _LARGEST for edge in edges):
        raise FormatError(f"layer {layer.get('name', '')!r} has the padding {edges}")
    return {"pads": edges}


def _fused(layer: _Layer) -> dict[str, AttributeValue]:
    for name in ("relu", "tanh"):
        if _whole(layer, f"fused_{name}") or _whole(layer, f"has_{name}"):
            return {"fused_activation": name.capitalize()}
    return {}


def _plain(layer: _Layer) -> dict[str, AttributeValue]:
    """What a layer without a counterpart says of itself."""
    return {
        name: value
        for name, value in layer.items()
        if isinstance(value, int | float | str) and name not in ("name", "type", "bottom", "top")
    }


def _pool(layer: _Layer, _count: int) -> tuple[str, dict[str, AttributeValue]]:
    maximum = _whole(layer, "avg_or_max") == 1
    if _whole(layer, "is_global"):
        return f"Global{'Max' if maximum else 'Average'}Pool", {}
    attributes: dict[str, AttributeValue] = {
        "kernel_shape": (_size(layer, "size_y"), _size(layer, "size_x")),
        "strides": (_size(layer, "stride_y", 1), _size(layer, "stride_x", 1)),
        "ceil_mode": int(_whole(layer, "top_shape_style") == 2),
        **_padding(layer),
    }
    if not maximum:
        excluded = _whole(layer, "average_count_exclude_padding")
        attributes["count_include_pad"] = int(not excluded)
    return "MaxPool" if maximum else "AveragePool", attributes


def _activation(layer: _Layer, _count: int) -> tuple[str, dict[str, AttributeValue]]:
    operator = {0: "Relu", 3: "Sigmoid"}.get(_whole(layer, "mode", -1), "")
    return operator, {}


def _elementwise(layer: _Layer, count: int) -> tuple[str, dict[str, AttributeValue]]:
    operator = {0: "Add"}.get(_whole(layer, "operation", -1), "")  # sources differ about 1
    return operator if count == 2 else "", {}


def _upsample(layer: _Layer, _count: int) -> tuple[str, dict[str, AttributeValue]]:
    factors = [layer.get(f"scaling_factor_{axis}") for axis in "yx"]
    if not all(isinstance(n, int | float) and 0 < n < _LARGEST for n in factors):
        return "", {}
    if _whole(layer, "use_fractional_scale_factors"):
        return "", {}
    scales = tuple(float(n) for n in factors if isinstance(n, int | float))
    mode = "linear" if _whole(layer, "mode") == 1 else "nearest"
    return "Resize", {"mode": mode, "scales": (1.0, 1.0, *scales)}


_RULES: dict[str, Callable[[_Layer, int], tuple[str, dict[str, AttributeValue]]]] = {
    "activation": _activation,
    "concat": lambda layer, _: ("Concat", {"axis": _whole(layer, "axis", 1)}),
    "elementwise": _elementwise,
    "pool": _pool,
    "softmax": lambda _layer, _: ("Softmax", {"axis": 1}),
    "upsample": _upsample,
}
"""Layers whose meaning is known, beside those with weights."""
