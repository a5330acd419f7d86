"""Qualcomm SNPE models (`.dlc`, version 3): a zip with the graph and the weights as FlatBuffers.

The format has no public description; what is read here is what Netron's authors found out and what real
files show. Layers whose attributes nobody has described have no ONNX operator. Results of quantised
models are 8- or 16-bit integers with the encoding that the file gives them.

Notes: `weights-absent`.
"""

import struct
from collections.abc import Mapping, Sequence
from typing import ClassVar

from gaugenn.content import Content
from gaugenn.errors import FormatError, UnsupportedFormatError
from gaugenn.formats import _zip
from gaugenn.formats._contract import FormatReader
from gaugenn.formats._flatbuffers import FlatBuffer, Table
from gaugenn.formats._names import TensorNames
from gaugenn.graph import (
    AttributeValue,
    DataType,
    Graph,
    Layout,
    Model,
    Node,
    Quantization,
    Shape,
    Tensor,
    TensorKind,
)

_GRAPH, _WEIGHTS, _METADATA = "model", "model.params", "dlc.metadata"
_PREFIX = struct.Struct("<2sHHH")
_MAGIC = b"\xd5\x0a"
_MAJOR = 3
_LOCAL_BYTES = 30
_METADATA_BYTES = 1 << 20
_INFLATED_BYTES = 32 << 20
_HIGHEST_RANK = 16
_NESTED = 11
_WEIGHT_TYPES = {6: DataType.UINT8, 9: DataType.FLOAT32}
_ENCODED_TYPES = {8: DataType.UINT8, 16: DataType.UINT16}
_ACTIVATIONS = {1: "Relu", 3: "Sigmoid"}
_BINARY = {0: "Add"}
_WEIGHT_ORDER = {"weights": 0, "weights_0": 0, "bias": 1}

_Value = AttributeValue | Mapping[str, "_Value"]


class SnpeReader(FormatReader):
    """Reads deep learning containers of the Snapdragon Neural Processing Engine."""

    title: ClassVar[str] = "Qualcomm SNPE (DLC)"
    spec: ClassVar[str] = "https://github.com/lutzroeder/netron/blob/main/tools/dlc.fbs"
    suffixes: ClassVar[tuple[str, ...]] = (".dlc",)

    def sniff(self, name: str, head: bytes) -> bool:
        """A zip that begins with a member of this format."""
        del name
        first = _zip.first_name(head)
        if first == _GRAPH:
            extra = int.from_bytes(head[_LOCAL_BYTES - 2 : _LOCAL_BYTES], "little")
            return head.startswith(_MAGIC, _LOCAL_BYTES + len(first) + extra)
        return first in (_WEIGHTS, _METADATA)

    def read(self, content: Content) -> Model:
        """Reads the graph; stored weights stay in the mapped file.

        Raises:
            FormatError: not a whole, consistent container.
            UnsupportedFormatError: another version, or weights without a graph.
        """
        try:
            return _Container(content).model()
        except FormatError as error:
            if str(error).startswith(content.name):
                raise
            raise type(error)(f"{content.name}: {error}") from error


class _Container:
    """One read of one file."""

    def __init__(self, content: Content) -> None:
        self._members = _zip.open_zip(content.data, content.name)
        self._limit = 2 * content.size_bytes + _INFLATED_BYTES
        self._where = content.name
        self._version = ""
        self._notes: set[str] = set()
        self._tensors: dict[str, Tensor] = {}
        self._names = TensorNames()
        self._nodes: list[Node] = []
        self._inputs: list[str] = []

    def model(self) -> Model:
        """The whole model."""
        if _GRAPH not in self._members.entries:
            raise UnsupportedFormatError("a DLC without a graph; it must have a member 'model'")
        graph = self._part(_GRAPH, b"NETD")
        weights: dict[str, Table] = {}
        if _WEIGHTS in self._members.entries:
            parts = self._part(_WEIGHTS, b"NETP").tables(0)
            weights = {part.string(0): part for part in parts}
        else:
            self._notes.add("weights-absent")
        layers = graph.tables(1)
        if not len(layers):
            raise FormatError("a DLC without layers")
        for layer in layers:
            for name in (*layer.strings(3), *layer.strings(4)):
                self._names.take(name)
        for layer in layers:
            self._layer(layer, weights.get(layer.string(1)))
        used = {name for node in self._nodes for name in node.inputs}
        made = [name for node in self._nodes for name in node.outputs]
        metadata = self._metadata()
        return Model(
            format="snpe",
            format_version=self._version,
            producer=" ".join(
                filter(None, (_command(metadata), metadata.get("converter-version", "")))
            ),
            graphs=(
                Graph(
                    name="",
                    tensors=self._tensors,
                    nodes=tuple(self._nodes),
                    inputs=tuple(self._inputs),
                    outputs=tuple(dict.fromkeys(name for name in made if name not in used)),
                    layout=Layout.CHANNELS_LAST,
                ),
            ),
            metadata=metadata,
            notes=tuple(sorted(self._notes)),
        )

    def _part(self, name: str, identifier: bytes) -> Table:
        data = self._members.read(name, self._limit)
        if data.nbytes < _PREFIX.size:
            raise FormatError(f"member {name!r} has only {data.nbytes} bytes")
        magic, major, minor, _ = _PREFIX.unpack_from(data)
        if magic != _MAGIC:
            raise FormatError(f"member {name!r} begins with {magic!r}; expected {_MAGIC!r}")
        if major != _MAJOR:
            raise UnsupportedFormatError(
                f"a DLC of version {major}; only version {_MAJOR} (SNPE 1.x) is known. Convert the "
                "model anew, or look at the model that it was made from"
            )
        self._version = f"{major}.{minor}"
        return FlatBuffer(data[_PREFIX.size :], f"{self._where}: {name}").root(identifier)

    def _metadata(self) -> dict[str, str]:
        if _METADATA not in self._members.entries:
            return {}
        text = bytes(self._members.read(_METADATA, _METADATA_BYTES)).decode("utf-8", "replace")
        pairs = (line.partition("=") for line in text.splitlines())
        return {key: value for key, equals, value in pairs if equals}

    def _layer(self, layer: Table, weights: Table | None) -> None:
        name, kind = layer.string(1), layer.string(2)
        if not kind:
            raise FormatError(f"layer {name!r} has no type")
        values = _attributes(layer, 5)
        inputs, outputs = layer.strings(3), layer.strings(4)
        shapes, encodings = values.pop("OutputDims", {}), values.pop("DataEncoding", {})
        for index, output in enumerate(outputs):
            self._result(output, _member(shapes, index), _member(encodings, index))
        for each in inputs:
            if each not in self._tensors:
                self._tensors[each] = Tensor(name=each, dtype=DataType.UNKNOWN, shape=None)
        if kind == "Input":
            self._inputs += outputs
            return
        held = self._held(name, weights)
        shape = self._tensors[outputs[0]].shape if outputs else None
        operator, attributes = _translated(kind, values, held, shape)
        source = self._tensors.get(inputs[0]) if inputs else None
        if operator == "Conv":
            attributes = _padded(
                attributes, values, None if source is None else source.shape, shape
            )
        constant = [tensor for tensor in held if kind == "Const"]
        if constant and outputs:
            operator, attributes = "Constant", {**attributes, "value": constant[0]}
        own = () if kind == "Const" else tuple(tensor.name for tensor in held)
        self._nodes.append(
            Node(
                name=name,
                operator=operator,
                source_operator=kind,
                inputs=(*inputs, *own),
                outputs=outputs,
                attributes=attributes,
            )
        )

    def _result(self, name: str, sizes: "_Value | None", encoding: "_Value | None") -> None:
        shape = _shape(name, sizes) if isinstance(sizes, tuple) else None
        quantization, dtype = _encoding(encoding)
        self._tensors[name] = Tensor(
            name=name, dtype=dtype or DataType.FLOAT32, shape=shape, quantization=quantization
        )

    def _held(self, layer: str, weights: Table | None) -> list[Tensor]:
        """A layer's weights, first the weights, then the bias, then what else there is."""
        tables = [] if weights is None else list(weights.tables(1))
        tables.sort(key=lambda table: _WEIGHT_ORDER.get(table.string(0), len(_WEIGHT_ORDER)))
        found = []
        for table in tables:
            name = self._names.unique(f"{layer}/{table.string(0)}")
            data = table.table(2)
            if data is None:
                raise FormatError(f"weights {name!r} have no contents")
            code = data.integer(0, "u8")
            dtype = _WEIGHT_TYPES.get(code)
            if dtype is None:
                raise UnsupportedFormatError(
                    f"weights {name!r} have elements of unknown type {code}"
                )
            is_real = dtype is DataType.FLOAT32
            values = data.array(2, "f32")
            held = values.data.cast("B") if is_real and values.size else data.blob(1)
            quantization, _ = _encoding(_attributes(table, 3).get("DataEncoding", {}), first=True)
            tensor = Tensor(
                name=name,
                dtype=dtype,
                shape=_shape(name, table.integers(1)),
                data=memoryview(b"") if held is None else held,
                kind=TensorKind.CONSTANT,
                quantization=None if is_real else quantization,
            )
            self._tensors[name] = tensor
            found.append(tensor)
        return found


def _attributes(table: Table, number: int) -> dict[str, _Value]:
    return {each.string(0): _value(each) for each in table.tables(number)}


def _value(table: Table) -> _Value:
    """An attribute; a list of attributes is a mapping, with numbers as names for a plain list."""
    kind = table.integer(1, "u8")
    if kind == 1:
        return table.boolean(2)
    if kind == 2:
        return table.integer(3)
    if kind == 3:
        return table.integer(4, "u32")
    if kind == 4:
        return table.real(5)
    if kind == 5:
        return table.string(6)
    if kind == 7:
        return table.integers(8, "i8")
    if kind == 8:
        return table.integers(9)
    if kind == 9:
        return table.reals(10)
    if kind == _NESTED:
        return _attributes(table, 12)
    raise UnsupportedFormatError(f"attribute {table.string(0)!r} is of unknown kind {kind}")


def _member(values: _Value | None, index: int) -> _Value | None:
    return values.get(str(index)) if isinstance(values, Mapping) else None


def _shape(name: str, sizes: Sequence[object]) -> Shape:
    found = tuple(size for size in sizes if isinstance(size, int))
    if len(found) != len(sizes) or len(found) > _HIGHEST_RANK:
        raise FormatError(f"tensor {name!r} cannot have the sizes {tuple(sizes)[:_HIGHEST_RANK]}")
    return found


def _encoding(
    encoding: _Value | None, *, first: bool = False
) -> tuple[Quantization | None, DataType | None]:
    """How integers map to real numbers: real = delta * (stored + offset)."""
    if first:
        encoding = _member(encoding, 0)
    if not isinstance(encoding, Mapping):
        return None, None
    parts = encoding.get("DataEncodingElement")
    axis = encoding.get("axis", -1)
    scales: list[float] = []
    zeros: list[int] = []
    bits = 0
    for part in parts.values() if isinstance(parts, Mapping) else ():
        if not isinstance(part, Mapping):
            return None, None
        delta, offset, precision = (part.get(key) for key in ("delta", "offset", "precision"))
        if not isinstance(delta, float) or not isinstance(offset, float) or not abs(offset) < 1e9:
            return None, None
        scales.append(delta)
        zeros.append(-int(offset))
        bits = precision & 0xFF if isinstance(precision, int) else 0
    if not any(scales):
        return None, None
    along = axis if isinstance(axis, int) and axis >= 0 and len(scales) > 1 else None
    if len(scales) > 1 and along is None:
        return None, None
    found = Quantization(scales=tuple(scales), zero_points=tuple(zeros), axis=along)
    return found, _ENCODED_TYPES.get(bits)


def _translated(
    kind: str, values: Mapping[str, _Value], held: Sequence[Tensor], shape: Shape | None
) -> tuple[str, dict[str, AttributeValue]]:
    """A layer's ONNX operator, or "", and its attributes."""
    rest = {name: value for name, value in values.items() if not isinstance(value, Mapping)}
    weight = held[0].shape if held else None
    if kind == "Convolutional" and weight is not None and len(weight) == 4 and shape:
        kernel = _sizes(weight[:2])
        channels, group = shape[-1], rest.pop("groups", 1)
        windows = [
            tuple(rest.pop(name, 1) for name in names)
            for names in (("stride_y", "stride"), ("dilation_y", "dilation_x"))
        ]
        numbers = [v for window in windows for v in window] + [group, channels]
        if kernel and all(isinstance(v, int) and v > 0 for v in numbers):
            for name in ("kernel_size", "kernel_size_y"):
                rest.pop(name, None)
            rest |= {
                "kernel_shape": kernel,
                "output_channels": channels,
                "strides": _sizes(windows[0]),
                "dilations": _sizes(windows[1]),
                "group": group,
            }
            return "Conv", rest
        return "", {name: v for name, v in values.items() if not isinstance(v, Mapping)}
    if kind == "FullyConnected" and weight is not None and len(weight) == 2:
        return "Gemm", {**rest, "transB": 1}
    if kind == "Neuron":
        return _ACTIVATIONS.get(_whole(rest.get("type")), ""), rest
    if kind == "ElementwiseBinaryOp":
        return _BINARY.get(_whole(rest.get("op")), ""), rest
    if kind == "Permute" and isinstance(rest.get("order"), tuple):
        return "Transpose", {"perm": rest.pop("order"), **rest}
    if kind == "Concat" and "axis" in rest:
        return "Concat", rest
    if kind == "Reshape" and shape is not None and 0 not in shape:
        return "Reshape", {**rest, "shape": _sizes(shape)}
    return "", rest


def _padded(
    attributes: dict[str, AttributeValue],
    values: Mapping[str, _Value],
    before: Shape | None,
    after: Shape | None,
) -> dict[str, AttributeValue]:
    """Adds the padding where it explains the sizes of the result; its strategies are not described."""
    edge = _whole(values.get("padding_y")), _whole(values.get("padding"))
    kernel, strides, dilations = (attributes[n] for n in ("kernel_shape", "strides", "dilations"))
    if before is None or after is None or len(before) != 4 or len(after) != 4 or min(edge) < 0:
        return attributes
    windows = zip(_sizes(kernel), _sizes(strides), _sizes(dilations), strict=True)
    for pad, (size, stride, dilation), old, new in zip(
        edge, windows, _sizes(before[1:3]), _sizes(after[1:3]), strict=True
    ):
        if (old + 2 * pad - dilation * (size - 1) - 1) // stride + 1 != new:
            return attributes
    kept = {n: v for n, v in attributes.items() if n not in ("padding", "padding_y")}
    return {**kept, "pads": edge * 2}


def _sizes(values: object) -> tuple[int, ...]:
    return tuple(v for v in values if isinstance(v, int)) if isinstance(values, tuple) else ()


def _whole(value: object) -> int:
    """A whole number, or -1."""
    return value if isinstance(value, int) else -1


def _command(metadata: Mapping[str, str]) -> str:
    return metadata.get("converter-command", "").partition(" ")[0]
