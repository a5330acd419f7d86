"""TensorFlow checkpoints: a sorted table of names (`.index`) over files of values (`.data-...`).

The table is LevelDB's: a footer names the block that lists the others, a block has entries whose keys
share their beginnings, and a trailer says how it is compressed. Under the empty key stands how many
files of values there are; under `_CHECKPOINTABLE_OBJECT_GRAPH` which variable of a program an entry is.

**Source:** https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/protobuf/
tensor_bundle.proto, https://github.com/google/leveldb/blob/main/doc/table_format.md,
`trackable_object_graph.proto` (there, too)
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gaugenn.content import Content
from gaugenn.errors import FormatError, UnsupportedFormatError
from gaugenn.formats import _tensorflow_schema as schema
from gaugenn.formats._protobuf import LENGTH, VARINT, HeadField, Schema, head_fields, read_message
from gaugenn.graph import DataType, Shape

_FOOTER_BYTES = 48
_MAGIC = 0xDB4775248B80FB57
_TRAILER_BYTES = 5
_PLAIN, _SNAPPY = 0, 1
_MOST_ENTRIES = 1 << 20
_MOST_SHARDS = 4096
_LONGEST_KEY = 4096
_OBJECTS = "_CHECKPOINTABLE_OBJECT_GRAPH"

_HEADER = Schema("BundleHeaderProto", shards=1, endianness=2)
_ENTRY = Schema("BundleEntryProto", dtype=1, shape=2, shard=3, offset=4, size=5, slices=7)
_OBJECT_GRAPH = Schema("TrackableObjectGraph", nodes=1)
_OBJECT = Schema("TrackableObject", attributes=2)
_ATTRIBUTE = Schema("SerializedTensor", name=1, full_name=2, key=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A value and where it lies.

    Attributes:
        dtype: element type.
        shape: sizes.
        shard: number of the file.
        offset: in the file, in bytes.
        size_bytes: in the file.
        sliced: it is stored in parts, under names of their own.
    """

    dtype: DataType
    shape: Shape
    shard: int
    offset: int
    size_bytes: int
    sliced: bool


def looks_like_index(head: bytes) -> bool:
    """Whether a table begins with the empty key and a header of a checkpoint."""
    if len(head) < 5 or head[0] or head[1] or not 2 <= head[2] < 64 or len(head) < 3 + head[2]:
        return False
    try:
        fields = list(head_fields(head[3 : 3 + head[2]], whole=True))
    except FormatError:
        return False
    kinds: Mapping[int, int] = {1: VARINT, 2: VARINT, 3: LENGTH}
    return (
        bool(fields)
        and all(kinds.get(field.number) == field.wire for field in fields)
        and _shards(fields) > 0
    )


def _shards(fields: list[HeadField]) -> int:
    found = [field.value for field in fields if field.number == 1]
    return found[0] if found and found[0] <= _MOST_SHARDS else 0


class Bundle:
    """A checkpoint.

    Args:
        index: the table.

    Attributes:
        entries: by name; what is not a tensor is left out.
        shards: number of the files with values.

    Raises:
        FormatError: no whole table, or entries that are none.
        UnsupportedFormatError: a compressed table, or values in the other byte order.
    """

    def __init__(self, index: Content) -> None:
        self._index = index
        self._files: dict[int, Content | None] = {}
        self.entries: dict[str, Entry] = {}
        self.shards = 0
        for key, value in _table(index):
            if not key:
                self._read_header(value)
            elif key in self.entries:
                raise FormatError(f"{index.name}: two entries are called {key[:80]!r}")
            else:
                self.entries[key] = _entry(value)
        if not self.shards:
            raise FormatError(f"{index.name}: a checkpoint without a header")

    def _read_header(self, value: memoryview) -> None:
        header = read_message(value, _HEADER)
        if header.integer("endianness"):
            raise UnsupportedFormatError(f"{self._index.name}: values of the other byte order")
        self.shards = header.integer("shards")
        if not 0 < self.shards <= _MOST_SHARDS:
            raise FormatError(f"{self._index.name}: {self.shards} files of values")

    @property
    def used(self) -> tuple[str, ...]:
        """Names of the files of values that were asked for and are there."""
        found = (file for file in self._files.values() if file is not None)
        return tuple(sorted(file.file_name for file in found))

    def files(self) -> tuple[Content, ...]:
        """Every file of values that is there."""
        found = (self._file(number) for number in range(self.shards))
        return tuple(file for file in found if file is not None)

    def bytes_of(self, entry: Entry) -> memoryview | None:
        """The bytes of a value, or None where its file is not there.

        Raises:
            FormatError: beyond the end of the file.
        """
        if not 0 <= entry.shard < self.shards:
            raise FormatError(f"{self._index.name}: file {entry.shard} of {self.shards}")
        file = self._file(entry.shard)
        if file is None:
            return None
        if not 0 <= entry.offset <= entry.offset + entry.size_bytes <= file.size_bytes:
            raise FormatError(
                f"{file.name}: {entry.size_bytes} bytes at {entry.offset} of {file.size_bytes}"
            )
        return file.data[entry.offset : entry.offset + entry.size_bytes]

    def aliases(self) -> dict[str, str]:
        """Names of entries by the names of the variables, where the checkpoint has both."""
        entry = self.entries.get(_OBJECTS)
        held = None if entry is None else self.bytes_of(entry)
        if held is None:
            return {}
        try:
            length, at = _varint(held, 0)
            graph = read_message(held[at + 4 : at + 4 + length], _OBJECT_GRAPH)
            return {
                attribute.text("full_name"): attribute.text("key")
                for node in graph.messages("nodes", _OBJECT)
                for attribute in node.messages("attributes", _ATTRIBUTE)
                if attribute.text("full_name")
            }
        except FormatError:
            return {}

    def _file(self, number: int) -> Content | None:
        if number not in self._files:
            suffix = f".data-{number:05d}-of-{self.shards:05d}"
            self._files[number] = self._index.sibling(suffix, replacing=".index")
        return self._files[number]


def _entry(value: memoryview) -> Entry:
    message = read_message(value, _ENTRY)
    shape = schema.shape_of(message.message("shape", schema.SHAPE))
    sizes = shape or ()
    if any(isinstance(size, str) for size in sizes):
        raise message.error("a value without a definite shape")
    return Entry(
        dtype=schema.data_type(message.integer("dtype")),
        shape=sizes,
        shard=message.integer("shard"),
        offset=message.integer("offset"),
        size_bytes=message.integer("size"),
        sliced=message.has("slices"),
    )


def _table(index: Content) -> Iterator[tuple[str, memoryview]]:
    """Keys and values in their order."""
    data, where = index.data, index.name
    if data.nbytes < _FOOTER_BYTES:
        raise FormatError(f"{where}: {data.nbytes} bytes, a table has {_FOOTER_BYTES} at least")
    (magic,) = struct.unpack_from("<Q", data, data.nbytes - 8)
    if magic != _MAGIC:
        raise FormatError(f"{where}: no footer of a table at the end; the file is cut off")
    footer = data[data.nbytes - _FOOTER_BYTES :]
    at = 0
    for _ in range(2):
        _, at = _varint(footer, at)
    offset, at = _varint(footer, at)
    size, _ = _varint(footer, at)
    left = _MOST_ENTRIES
    spent = 0
    for _, handle in _block(data, offset, size, where):
        start, at = _varint(handle, 0)
        length, _ = _varint(handle, at)
        spent += length
        if spent > data.nbytes:
            raise FormatError(f"{where}: blocks overlap")
        for key, value in _block(data, start, length, where):
            left -= 1
            if left < 0:
                raise FormatError(f"{where}: more than {_MOST_ENTRIES} entries")
            yield key.decode("utf-8", "backslashreplace"), value


def _block(
    data: memoryview, offset: int, size: int, where: str
) -> Iterator[tuple[bytes, memoryview]]:
    """Entries as (length shared with the last key, rest of the key, value), then restart points."""
    if offset + size + _TRAILER_BYTES > data.nbytes or size < 4:
        raise FormatError(f"{where}: a block of {size} bytes at {offset} of {data.nbytes}")
    if data[offset + size] == _SNAPPY:
        raise UnsupportedFormatError(f"{where}: a table that is compressed with Snappy")
    if data[offset + size] != _PLAIN:
        raise FormatError(f"{where}: a block of the kind {data[offset + size]}")
    block = data[offset : offset + size]
    (restarts,) = struct.unpack_from("<I", block, size - 4)
    end = size - 4 - 4 * restarts
    if end < 0:
        raise FormatError(f"{where}: a block with {restarts} restart points in {size} bytes")
    key, at = b"", 0
    while at < end:
        shared, at = _varint(block, at)
        rest, at = _varint(block, at)
        length, at = _varint(block, at)
        if shared > len(key) or shared + rest > _LONGEST_KEY or at + rest + length > end:
            raise FormatError(f"{where}: an entry leaves its block at {offset}")
        key = key[:shared] + bytes(block[at : at + rest])
        yield key, block[at + rest : at + rest + length]
        at += rest + length


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= data.nbytes:
            raise FormatError("a table's number is cut off")
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise FormatError("a table's number has more than 10 bytes")
