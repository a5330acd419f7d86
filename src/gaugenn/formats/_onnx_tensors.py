"""Tensors and types of ONNX messages.

Strings have no fixed size: the bytes of a STRING tensor are its elements one after another, each
preceded by its length in bytes as an unsigned 32-bit little-endian number.

**Source:** https://github.com/onnx/onnx/blob/main/docs/IR.md and
https://github.com/onnx/onnx/blob/main/docs/ExternalData.md
"""

import math
import posixpath
import struct
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache, partial

import numpy as np

from gaugenn.content import Content
from gaugenn.errors import FormatError, UnsupportedFormatError
from gaugenn.formats._protobuf import LENGTH, Message, Schema, Varints, read_message
from gaugenn.graph import (
    ONNX_ELEMENT_TYPES,
    DataType,
    LazyBytes,
    Shape,
    Tensor,
    TensorData,
    TensorKind,
)

ValueType = tuple[DataType, Shape | None]

ENTRY = Schema("StringStringEntryProto", key=1, value=2)
TENSOR = Schema(
    "TensorProto",
    dims=1,
    data_type=2,
    segment=3,
    float_data=4,
    int32_data=5,
    string_data=6,
    int64_data=7,
    name=8,
    raw_data=9,
    double_data=10,
    uint64_data=11,
    external_data=13,
    data_location=14,
)
SPARSE_TENSOR = Schema("SparseTensorProto", values=1, indices=2, dims=3)
TYPE = Schema(
    "TypeProto",
    tensor_type=1,
    sequence_type=4,
    map_type=5,
    opaque_type=7,
    sparse_tensor_type=8,
    optional_type=9,
)
_DIMENSION_TAG, _PACKED_TAG = TENSOR.numbers["dims"] << 3, TENSOR.numbers["dims"] << 3 | LENGTH
_TYPE_TAG = TENSOR.numbers["data_type"] << 3
_NAME_TAG = TENSOR.numbers["name"] << 3 | LENGTH
_DESCRIPTION_TAG = 12 << 3 | LENGTH
_DATA_TAGS = {
    TENSOR.numbers["raw_data"] << 3 | LENGTH: None,
    TENSOR.numbers["float_data"] << 3 | LENGTH: DataType.FLOAT32,
    TENSOR.numbers["double_data"] << 3 | LENGTH: DataType.FLOAT64,
}
"""Fields of data in one piece, by the element type that they are for."""
TENSOR_KIND = 4
"""The `type` of an attribute that is a tensor."""

_ATTRIBUTE_NAME, _ATTRIBUTE_TENSOR, _ATTRIBUTE_DESCRIPTION = (n << 3 | LENGTH for n in (1, 5, 13))
_ATTRIBUTE_KIND = 20 << 3
"""Tags of an `AttributeProto`."""

_TENSOR_TYPE = Schema("TypeProto.Tensor", elem_type=1, shape=2)
_SHAPE = Schema("TensorShapeProto", dim=1)
_DIMENSION = Schema("TensorShapeProto.Dimension", dim_value=1, dim_param=2)
_ELEMENT_TYPE = Schema("TypeProto.Sequence", elem_type=1)
_MAP_TYPE = Schema("TypeProto.Map", key_type=1, value_type=2)
_OPAQUE_TYPE = Schema("TypeProto.Opaque", domain=1, name=2)

EXTERNAL = 1
"""`data_location` of tensors whose bytes are in another file."""

_FIXED_FIELDS = {
    DataType.FLOAT32: ("float_data", 4),
    DataType.COMPLEX64: ("float_data", 4),
    DataType.FLOAT64: ("double_data", 8),
    DataType.COMPLEX128: ("double_data", 8),
}
_VARINT_FIELDS = {
    DataType.INT64: "int64_data",
    DataType.UINT32: "uint64_data",
    DataType.UINT64: "uint64_data",
}
"""Typed fields by element type; all other numbers are in `int32_data`."""

_RANK_LIMIT = 64
"""Dimensions of a numpy array; no operator has more than a handful."""

_DENSE_FREE_BYTES = 32 << 20
_DENSE_RATIO = 1000
"""A sparse tensor may unfold to that much, or that many times what is stored of it."""


CACHED = 4096
CACHED_BYTES = 256
"""Types, and attributes, of all files together whose decoded form is kept, and the longest of them."""


class TensorReader:
    """Turns tensor messages of one file into tensors.

    Attributes:
        notes: remarks for `Model.notes` that the tensors gave rise to.
        companions: names of the other files that hold tensor data.
    """

    def __init__(self, content: Content) -> None:
        self.notes: set[str] = set()
        self.companions: set[str] = set()
        self._content = content
        self._files: dict[str, Content | None] = {}

    def dense(self, message: Message, name: str) -> Tensor:
        """The tensor of a `TensorProto`, under the given name.

        Raises:
            FormatError: contradictory sizes, or data outside its file.
        """
        if message.has("segment"):
            raise UnsupportedFormatError(f"{message.path}: tensors in segments are not supported")
        shape = _checked_dims(message)
        elements = math.prod(shape)
        dtype = ONNX_ELEMENT_TYPES.get(message.integer("data_type"), DataType.UNKNOWN)
        if dtype is DataType.UNKNOWN:
            self.notes.add("unknown-element-type")
        if message.integer("data_location") == EXTERNAL:
            data: TensorData | None = self._external(message, dtype.size_bytes(elements))
        else:
            data = _internal(message, dtype, elements)
        if data is None:
            self.notes.add("weights-absent")
        try:
            return Tensor(name=name, dtype=dtype, shape=shape, data=data, kind=TensorKind.CONSTANT)
        except FormatError as error:
            raise message.error(str(error)) from None

    def weights(self, graph: Message, field: str) -> Iterator[Tensor]:
        """The tensors of a repeated field of `TensorProto`, under their own names.

        Most have their data in one piece of bytes, which takes a fraction of the time of `dense`.

        Raises:
            FormatError: see `dense`.
        """
        for position, outline in enumerate(graph.outlines(field)):
            tensor = None if outline is None else _plain_tensor(graph, outline)
            if tensor is None:
                message = graph.message_at(field, TENSOR, position)
                tensor = self.dense(message, message.text("name"))
            yield tensor

    def sparse(self, message: Message, name: str) -> Tensor:
        """The tensor of a `SparseTensorProto`, whose data is the dense form.

        Raises:
            FormatError: contradictory sizes, or data outside its file.
        """
        stored, places = message.message("values", TENSOR), message.message("indices", TENSOR)
        if stored is None or places is None:
            raise message.error("a sparse tensor without values or indices")
        values = self.dense(stored, name)
        indices = self.dense(places, name)
        try:
            return unfolded(name, values, indices, _checked_dims(message))
        except FormatError as error:
            raise message.error(str(error)) from None

    def companion(self, location: str) -> Content | None:
        """Another file of the model, by the name that the file gives it; None if not there."""
        if location not in self._files:
            self._files[location] = found = self._content.beside(location)
            if found is not None:
                self.companions.add(relative_name(location))
        return self._files[location]

    def _external(self, message: Message, needed: int | None) -> memoryview | None:
        entries = external_entries(message)
        location = entries.get("location", "")
        file = self.companion(location)
        if file is None:
            return None
        offset = _natural(message, entries.get("offset", "0"))
        length = needed if needed is not None else max(file.size_bytes - offset, 0)
        if "length" in entries:
            length = _natural(message, entries["length"])
        if offset + length > file.size_bytes:
            raise message.error(
                f"its data is at bytes {offset} to {offset + length} of {location!r}, which has "
                f"{file.size_bytes} bytes: {offset + length - file.size_bytes} are missing"
            )
        return file.data[offset : offset + length]


def external_entries(message: Message) -> dict[str, str]:
    """Where a `TensorProto` says that its data is: `location`, `offset`, `length`."""
    entries = message.messages("external_data", ENTRY)
    return {entry.text("key"): entry.text("value") for entry in entries}


def relative_name(location: str) -> str:
    """The name of another file in the form that `Content.beside` hands on."""
    return posixpath.normpath(location.replace("\\", "/"))


def join_strings(strings: Sequence[bytes | memoryview]) -> memoryview:
    """The data of a STRING tensor: each string after its length."""
    return memoryview(b"".join(struct.pack("<I", len(each)) + bytes(each) for each in strings))


def plain_type(data: bytes) -> ValueType | None:
    """Element type and shape that a `TypeProto` gives, by its bytes; None where it is damaged.

    Types repeat, in other files as well, so short ones are decoded once.
    """
    return _cached_type(data) if len(data) <= CACHED_BYTES else _plain_type(data)


def _plain_type(data: bytes) -> ValueType | None:
    try:
        return value_type(read_message(memoryview(data), TYPE) if data else None)
    except FormatError:
        return None


_cached_type = lru_cache(CACHED)(_plain_type)


def value_type(message: Message | None) -> ValueType:
    """Element type and shape that a `TypeProto` gives; VARIANT without a shape for no tensor."""
    if message is None:
        return DataType.UNKNOWN, None
    for kind in ("tensor_type", "sparse_tensor_type"):
        tensor = message.message(kind, _TENSOR_TYPE)
        if tensor is not None:
            dtype = ONNX_ELEMENT_TYPES.get(tensor.integer("elem_type"), DataType.UNKNOWN)
            shape = tensor.message("shape", _SHAPE)
            return dtype, None if shape is None else _symbolic_shape(shape)
    others = ("sequence_type", "map_type", "opaque_type", "optional_type")
    named = any(message.has(kind) for kind in others)
    return (DataType.VARIANT if named else DataType.UNKNOWN), None


def type_text(message: Message) -> str:
    """A type as text: `float32[1, n]`, `sequence(int64)`, `map(int64, float32)`."""
    for kind, word in (("sequence_type", "sequence"), ("optional_type", "optional")):
        outer = message.message(kind, _ELEMENT_TYPE)
        if outer is not None:
            inner = outer.message("elem_type", TYPE)
            return f"{word}({'' if inner is None else type_text(inner)})"
    mapping = message.message("map_type", _MAP_TYPE)
    if mapping is not None:
        key = ONNX_ELEMENT_TYPES.get(mapping.integer("key_type"), DataType.UNKNOWN)
        value = mapping.message("value_type", TYPE)
        return f"map({key}, {'' if value is None else type_text(value)})"
    opaque = message.message("opaque_type", _OPAQUE_TYPE)
    if opaque is not None:
        return f"opaque({opaque.text('domain')}, {opaque.text('name')})"
    dtype, shape = value_type(message)
    return str(dtype) if shape is None else f"{dtype}[{', '.join(str(size) for size in shape)}]"


def _symbolic_shape(message: Message) -> Shape:
    return tuple(_dimension(dim) for dim in message.messages("dim", _DIMENSION))


def _dimension(message: Message) -> int | str:
    if message.has("dim_value"):
        size = message.integer("dim_value")
        return size if size >= 0 else "?"  # exporters write -1 for a size that is not known
    return message.text("dim_param") or "?"


def _plain_tensor(graph: Message, outline: list[tuple[int, int, int]]) -> Tensor | None:
    """A tensor with its data in one piece; None for any other, and for a damaged one."""
    sizes: list[int] = []
    dtype = DataType.UNKNOWN
    name, data = "", None
    for tag, start, end in outline:
        if tag == _DIMENSION_TAG:
            sizes.append(start)
        elif tag == _PACKED_TAG:
            packed = graph.slice(start, end)
            if packed and max(packed) > 127:
                return None
            sizes += packed
        elif tag == _TYPE_TAG:
            dtype = ONNX_ELEMENT_TYPES.get(start, DataType.UNKNOWN)
        elif tag == _NAME_TAG:
            name = str(graph.slice(start, end), "utf-8", "backslashreplace")
        elif tag in _DATA_TAGS:
            if data is not None or _DATA_TAGS[tag] not in (None, dtype):
                return None
            data = graph.slice(start, end)
        elif tag != _DESCRIPTION_TAG:
            return None
    if data is None or not data.nbytes or len(sizes) > _RANK_LIMIT:
        return None
    if dtype.size_bytes(math.prod(sizes)) != data.nbytes:
        return None
    return Tensor(name=name, dtype=dtype, shape=tuple(sizes), data=data, kind=TensorKind.CONSTANT)


def attribute_tensor(graph: Message, start: int, end: int) -> tuple[str, Tensor] | None:
    """Name and value of an attribute that is a tensor with its data in one piece; None for any other.

    Args:
        graph: holds the node.
        start: where in the file the attribute begins.
        end: where it ends.
    """
    name, kind = "", 0
    place: tuple[int, int] | None = None
    for tag, first, second in graph.outline(start, end) or ():
        if tag == _ATTRIBUTE_NAME:
            name = str(graph.slice(first, second), "utf-8", "backslashreplace")
        elif tag == _ATTRIBUTE_KIND:
            kind = first
        elif tag == _ATTRIBUTE_TENSOR and place is None:
            place = first, second
        elif tag != _ATTRIBUTE_DESCRIPTION:
            return None
    outline = graph.outline(*place) if place is not None and kind == TENSOR_KIND else None
    tensor = None if outline is None else _plain_tensor(graph, outline)
    if tensor is None:
        return None
    return name, tensor if tensor.name else replace(tensor, name=name)


def _checked_dims(message: Message) -> tuple[int, ...]:
    shape = message.integers("dims")
    if len(shape) > _RANK_LIMIT or any(size < 0 for size in shape):
        raise message.error(f"a tensor with the impossible dimensions {shape[:_RANK_LIMIT]}")
    return shape


def _natural(message: Message, text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        raise message.error(f"external data at {text[:40]!r}, which is no count of bytes")
    return int(text)


def _internal(message: Message, dtype: DataType, elements: int) -> TensorData | None:
    """The data inside the file; None where elements are due and there are none."""
    raw = message.view("raw_data")
    if raw is None or not raw.nbytes:
        raw = None
        data = _typed(message, dtype, elements)
    else:
        data = raw
    held = data.nbytes if isinstance(data, memoryview) else data.size_bytes
    return data if held or not elements else None


def _typed(message: Message, dtype: DataType, elements: int) -> TensorData:
    """The data of the field that belongs to the element type."""
    if dtype is DataType.STRING:
        strings = message.views("string_data")
        if strings and len(strings) != elements:
            raise message.error(f"{elements} strings are due, {len(strings)} are there")
        size = sum(4 + string.nbytes for string in strings)
        return LazyBytes(size_bytes=size, load=partial(_read_strings, message))
    if dtype in _FIXED_FIELDS:
        return message.fixed(*_FIXED_FIELDS[dtype])
    bits = dtype.bits
    if bits is None:
        return memoryview(b"")
    width = max(bits // 8, 1)
    run = message.varints(_VARINT_FIELDS.get(dtype, "int32_data"))
    return LazyBytes(size_bytes=run.count * width, load=partial(_pack, run, width))


def _pack(run: Varints, width: int) -> memoryview:
    """Integers as little-endian elements of `width` bytes, cut to their low bytes."""
    return memoryview(run.array().astype(f"<u{width}").tobytes())


def _read_strings(message: Message) -> memoryview:
    return join_strings(message.views("string_data"))


def unfolded(name: str, values: Tensor, indices: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The dense form of a sparse tensor, made when its data is read.

    Raises:
        FormatError: indices that do not fit, or far more zeros than are worth unfolding.
    """
    size = values.dtype.size_bytes(math.prod(shape))
    stored_bytes = (values.size_bytes or 0) + (indices.size_bytes or 0)
    if size is not None and size > max(_DENSE_FREE_BYTES, _DENSE_RATIO * stored_bytes):
        raise FormatError(
            f"a sparse tensor of {stored_bytes} bytes that would unfold to {size} bytes"
        )
    count = values.elements
    if indices.dtype is not DataType.INT64 or indices.shape not in (
        (count,),
        (count, len(shape)),
    ):
        raise FormatError(
            f"a sparse tensor of {count} values with {indices.dtype} indices {indices.shape}"
        )
    data = None
    bits = values.dtype.bits
    is_whole = bits is not None and bits >= 8 and None not in (values.data, indices.data)
    if size is not None and is_whole:
        data = LazyBytes(size_bytes=size, load=partial(_unfold, values, indices, shape, size))
    return Tensor(
        name=name,
        dtype=values.dtype,
        shape=shape,
        data=data,
        kind=TensorKind.CONSTANT,
        sparse=True,
    )


def _unfold(values: Tensor, indices: Tensor, shape: tuple[int, ...], size: int) -> memoryview:
    """The dense form of a sparse tensor: zeros, and the values where the indices say."""
    places = np.frombuffer(indices.read(), dtype="<i8")
    elements = math.prod(shape)
    if indices.shape is not None and len(indices.shape) == 2:
        grid = places.reshape(-1, len(shape))
        if np.any(grid < 0) or np.any(grid >= np.array(shape, dtype=np.int64)):
            raise FormatError(f"sparse tensor {values.name!r} has an index outside {shape}")
        strides = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
        places = grid @ np.array(strides, dtype=np.int64)
    if places.size and (places.min() < 0 or places.max() >= elements):
        raise FormatError(f"sparse tensor {values.name!r} has an index outside {shape}")
    width = size // elements if elements else 1
    dense = np.zeros((elements, width), dtype=np.uint8)
    dense[places] = np.frombuffer(values.read(), dtype=np.uint8).reshape(-1, width)
    return memoryview(dense.tobytes())
