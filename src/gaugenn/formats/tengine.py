"""Tengine: offsets, tables and vectors of 32-bit words, with the root table at the end."""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gaugenn.content import Content
from gaugenn.errors import FormatError, UnsupportedFormatError
from gaugenn.formats import _tengine_operators
from gaugenn.formats._assembly import unique
from gaugenn.formats._contract import FormatReader
from gaugenn.graph import (
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

_VERSION = b"\x02\0\0\0\0\0"
"""Version 2.0, compiled as 0; two bytes of padding follow that the writer never sets."""
_HEADER_BYTES = 12
_RANK_LIMIT = 8
_NAME_LIMIT = 4096
_TYPES: Mapping[int, DataType] = {
    0: DataType.FLOAT32,
    1: DataType.FLOAT16,
    2: DataType.INT8,
    3: DataType.UINT8,
    4: DataType.INT32,
    5: DataType.INT16,
}
_CONSTANT = 2
"""The type of a tensor that the file holds.

**Source:** https://github.com/OAID/Tengine/blob/tengine-lite/include/tengine/c_api.h
"""
_PRODUCERS: Mapping[int, str] = {
    1: "Tengine",
    2: "Caffe",
    3: "ONNX",
    4: "MXNet",
    5: "TensorFlow",
    6: "TensorFlow Lite",
    7: "Darknet",
}


class TengineReader(FormatReader):
    """Reads the graph and its weights; benchmark files have none, and the remark `weights-absent`.

    Tensors that came from TensorFlow keep their channels last, as the file has them. `source_format`
    in the metadata is what the model was converted from.
    """

    title = "Tengine"
    spec = "https://github.com/OAID/Tengine/blob/tengine-lite/source/serializer/tmfile/tm2_format.h"
    suffixes = (".tmfile",)
    magics = ((0, b"\x02\0\0"),)  # the version, 2.0

    def sniff(self, name: str, head: bytes) -> bool:
        """By the version, and the name that every writer puts first, with the record behind it."""
        del name
        if not head.startswith(_VERSION) or len(head) < _HEADER_BYTES + 12:
            return False
        root = int.from_bytes(head[8:12], "little")
        return root % 4 == 0 and root > _HEADER_BYTES and _begins_with_name(head)

    def read(self, content: Content) -> Model:
        """Reads the graph.

        Raises:
            FormatError: an offset, index or size beyond the end of the file.
            UnsupportedFormatError: another version, or a graph that was cut for several devices.
        """
        if content.head(len(_VERSION)) != _VERSION:
            raise UnsupportedFormatError(f"{content.name}: Tengine's version 2.0 is expected")
        return _Reader(content).model()


def _begins_with_name(head: bytes) -> bool:
    for at in range(_HEADER_BYTES + 4, min(len(head) - 7, _NAME_LIMIT), 4):
        size, offset = struct.unpack_from("<2I", head, at)
        room = at - _HEADER_BYTES
        if offset == _HEADER_BYTES and room - 4 < size <= room:
            text = head[_HEADER_BYTES : _HEADER_BYTES + size].rstrip(b"\0")
            return bool(text) and not any(byte < 0x20 for byte in text)
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Applied:
    """A node as the file has it."""

    name: str
    operator: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    parameters: _tengine_operators.Parameters


class _Reader:
    """Follows offsets."""

    def __init__(self, content: Content) -> None:
        self._data = content.data
        self._where = content.name
        self._words_left = content.size_bytes
        """Each word is used about once, so a file cannot claim more words than it has bytes."""

    def model(self) -> Model:
        (root,) = self._unpack(8, "<I")
        origin, _, graphs, name = self._unpack(root, "<2i2I")
        offsets = self._vector(graphs, "I")
        if len(offsets) != 1:
            raise UnsupportedFormatError(
                f"{self._where}: {len(offsets)} sub-graphs; files cut for several devices are not "
                "read, only whole graphs"
            )
        graph, absent = self._graph(offsets[0], self._text(name))
        source = _PRODUCERS.get(origin)
        return Model(
            format="tengine",
            format_version="2.0",
            producer="",
            graphs=(graph,),
            metadata={} if source is None else {"source_format": source},
            notes=("weights-absent",) if absent else (),
        )

    def _unpack(self, offset: int, code: str) -> tuple[int, ...]:
        size = struct.calcsize(code)
        self._words_left -= size // 4
        if offset + size > self._data.nbytes or self._words_left < 0:
            raise FormatError(
                f"{self._where}: {size} bytes are expected at {offset}, the file has "
                f"{self._data.nbytes}: cut off or damaged"
            )
        return struct.unpack_from(code, self._data, offset)

    def _vector(self, offset: int, code: str) -> tuple[int, ...]:
        if not offset:
            return ()
        (count,) = self._unpack(offset, "<I")
        if count > (self._data.nbytes - offset) // 4:
            raise FormatError(f"{self._where}: a list of {count} at {offset} cannot follow")
        return self._unpack(offset + 4, f"<{count}{code}")

    def _text(self, offset: int) -> str:
        if not offset:
            return ""
        size, start = self._unpack(offset, "<2I")
        if size > _NAME_LIMIT or start + size > self._data.nbytes:
            raise FormatError(f"{self._where}: a name of {size} bytes at {start} is no name")
        held = bytes(self._data[start : start + size])
        return held.rstrip(b"\0").decode("utf-8", "replace")

    def _graph(self, offset: int, name: str) -> tuple[Graph, bool]:
        found = self._unpack(offset, "<I2i7I")
        channels_first = found[2] == 0
        buffers = self._vector(found[7], "I")
        records = [self._unpack(each, "<5I3i") for each in self._vector(found[6], "I")]
        names = unique(self._text(record[3]) for record in records)
        tensors = [self._tensor(n, r, buffers) for n, r in zip(names, records, strict=True)]
        applied = [self._applied(each) for each in self._vector(found[5], "I")]

        def named(indices: tuple[int, ...]) -> tuple[str, ...]:
            if any(index >= len(names) for index in indices):
                raise FormatError(f"{self._where}: a node takes or makes a tensor beyond the last")
            return tuple(names[index] for index in indices)

        def interface(offset: int) -> tuple[str, ...]:
            indices = self._vector(offset, "I")
            if any(index >= len(applied) for index in indices):
                raise FormatError(f"{self._where}: the interface names a node beyond the last")
            ends = (applied[index] for index in indices)
            return tuple(dict.fromkeys(n for end in ends for n in named(end.outputs)))

        inputs, outputs = interface(found[3]), interface(found[4])
        nodes = _nodes(applied, named, channels_first=channels_first)
        made = [n for node in nodes for n in node.outputs]
        if len(set(made)) != len(made):
            raise FormatError(f"{self._where}: two nodes make the same tensor")
        if not nodes:
            raise FormatError(f"{self._where}: a graph without operators")
        absent = any(t.kind is TensorKind.CONSTANT and t.data is None for t in tensors)
        graph = Graph(
            name=self._text(found[8]) or name,
            tensors={tensor.name: tensor for tensor in tensors},
            nodes=nodes,
            inputs=inputs,
            outputs=outputs,
            layout=Layout.CHANNELS_FIRST if channels_first else Layout.CHANNELS_LAST,
        )
        return graph, absent

    def _tensor(self, name: str, record: tuple[int, ...], buffers: tuple[int, ...]) -> Tensor:
        _, buffer, sizes, _, scales, _, kind, type_ = record
        dims = self._vector(sizes, "i")
        if len(dims) > _RANK_LIMIT:
            raise FormatError(f"{self._where}: tensor {name!r} has {len(dims)} dimensions")
        constant = kind == _CONSTANT
        shape: Shape | None = tuple(size if size > 0 else "?" for size in dims)
        if not sizes:
            shape = () if constant else None
        if constant and any(isinstance(size, str) for size in shape or ()):
            raise FormatError(f"{self._where}: weight {name!r} has the sizes {dims}")
        plain = Tensor(
            name=name,
            dtype=_TYPES.get(type_, DataType.UNKNOWN),
            shape=shape,
            kind=TensorKind.CONSTANT if constant else TensorKind.ACTIVATION,
            quantization=self._quantization(scales, dims),
        )
        if not constant:
            return plain
        if buffer >= len(buffers):
            raise FormatError(f"{self._where}: weight {name!r} lies in a buffer beyond the last")
        held, start = self._unpack(buffers[buffer], "<2I")
        if not start:
            return plain
        size = plain.size_bytes if plain.dtype is not DataType.UNKNOWN else held
        if size is None or size > held or start + size > self._data.nbytes:
            raise FormatError(
                f"{self._where}: weight {name!r} of {plain.dtype} {shape} takes {size} bytes, its "
                f"buffer at {start} has {held}"
            )
        return Tensor(
            name=name,
            dtype=plain.dtype,
            shape=shape,
            data=self._data[start : start + size],
            kind=plain.kind,
            quantization=plain.quantization,
        )

    def _quantization(self, offset: int, dims: tuple[int, ...]) -> Quantization | None:
        found = [self._unpack(each, "<ifi") for each in self._vector(offset, "I")]
        if not found:
            return None
        return Quantization(
            scales=tuple(float(scale) for _, scale, _ in found),
            zero_points=tuple(zero for zero, _, _ in found),
            axis=0 if len(found) > 1 and dims else None,
        )

    def _applied(self, offset: int) -> _Applied:
        _, inputs, outputs, operator, name, _ = self._unpack(offset, "<6I")
        _, number, parameters = self._unpack(operator, "<3I")
        if number >= len(_tengine_operators.NAMES):
            label = f"operator_{number}"
        else:
            label = _tengine_operators.NAMES[number]
        return _Applied(
            name=self._text(name),
            operator=label,
            inputs=self._vector(inputs, "I"),
            outputs=self._vector(outputs, "I"),
            parameters=self._parameters(label, parameters),
        )

    def _parameters(self, operator: str, offset: int) -> dict[str, _tengine_operators.Parameter]:
        names = _tengine_operators.PARAMETERS.get(operator)
        if names is None or not offset:
            return {}
        found: dict[str, _tengine_operators.Parameter] = {}
        for index, entry in enumerate(names.split()):
            name, _, kind = entry.partition(":")
            at = offset + 4 * index
            if kind == "v":
                found[name] = self._vector(self._unpack(at, "<I")[0], "i")[: 2 * _RANK_LIMIT]
            else:
                found[name] = self._unpack(at, "<f" if kind == "f" else "<i")[0]
        return found


def _nodes(
    applied: list[_Applied],
    named: Callable[[tuple[int, ...]], tuple[str, ...]],
    *,
    channels_first: bool,
) -> tuple[Node, ...]:
    """The nodes that compute something: weights and inputs are nodes, too, in the file."""
    nodes: list[Node] = []
    for each in applied:
        if each.operator in (_tengine_operators.CONST, _tengine_operators.INPUT):
            continue
        inputs = named(each.inputs)
        mapped = _tengine_operators.mapped(
            each.operator, each.parameters, len(inputs), channels_first=channels_first
        )
        nodes.append(
            Node(
                name=each.name,
                operator=mapped.operator,
                source_operator=each.operator,
                inputs=inputs,
                outputs=named(each.outputs),
                attributes=mapped.attributes,
            )
        )
    return tuple(nodes)
