"""FlatBuffers, read straight from the mapped file with every offset checked before it is followed.

A file is a root table; a table is found through its vtable; fields are known by number. Nothing is
decoded before it is asked for. Vectors of scalars come back as views of the file.

    root = FlatBuffer(content.data, content.name).root(b"TFL3")
    for graph in root.tables(2):
        name = graph.string(4)

Small tables of scalars are read in one go, by a field table in a short notation:

    POOLING = fields("padding:i8 stride_w:i32 stride_h:i32 scale:f32=1.0")
    options = table.read(POOLING)  # {"padding": 0, "stride_w": 2, ...}

**Source:** https://flatbuffers.dev/internals/
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar, overload

import numpy as np
import numpy.typing as npt

from gaugenn.content import RELEASED_BYTES, release
from gaugenn.errors import FormatError

Value = bool | int | float | str | tuple[int, ...] | tuple[float, ...] | tuple[str, ...]
"""What a field of a field table may hold."""

S = TypeVar("S", bound=np.generic)

MAXIMUM_DEPTH = 128
"""Tables inside tables. Real schemas stay below 20; the rest is room for nested sub-graphs."""

# Work that one buffer may cause. A file whose parts share each other a million times over would
# otherwise grow without bound when read. Honest files need two or three units a byte; the ceiling is
# enough for graphs of some 400,000 operators.
_WORK_PER_BYTE = 16
_WORK_FLOOR = 1 << 20
_WORK_CEILING = 1 << 27
_TABLE_WORK = 64
_ITEM_WORK = 8

_Unpack = Callable[[memoryview, int], tuple[int, ...]]

_U16: _Unpack = struct.Struct("<H").unpack_from
_U16_PAIR: _Unpack = struct.Struct("<HH").unpack_from
_U32: _Unpack = struct.Struct("<I").unpack_from
_I32: _Unpack = struct.Struct("<i").unpack_from

_SCALARS = {
    "bool": struct.Struct("<?"),
    "i8": struct.Struct("<b"),
    "u8": struct.Struct("<B"),
    "i16": struct.Struct("<h"),
    "u16": struct.Struct("<H"),
    "i32": struct.Struct("<i"),
    "u32": struct.Struct("<I"),
    "i64": struct.Struct("<q"),
    "u64": struct.Struct("<Q"),
    "f32": struct.Struct("<f"),
    "f64": struct.Struct("<d"),
}
_DTYPES = {
    name: np.dtype("?" if name == "bool" else f"<{name[0]}{int(name[1:]) // 8}")
    for name in _SCALARS
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of a table.

    Attributes:
        name: our name for it.
        number: its place in the schema, from 0; a union takes two (type, then value).
        kind: `bool`, `i8` .. `u64`, `f32`, `f64`, `str`, or one of these in brackets for a vector.
        default: what an absent field means.
        optional: an absent field is left out instead of taking its default.
    """

    name: str
    number: int
    kind: str
    default: Value
    optional: bool


def fields(notation: str) -> tuple[Field, ...]:
    """A field table from `name:kind` items in schema order, separated by blanks.

    `name:kind=3` gives another default than zero, `name?:kind` leaves an absent field out, `-` passes
    over a field number, `[kind]` is a vector, `str` and `[str]` are text.
    """
    found: list[Field] = []
    for number, item in enumerate(notation.split()):
        if item == "-":
            continue
        name, _, kind = item.partition(":")
        kind, _, text = kind.partition("=")
        default: Value = () if kind.startswith("[") else ""
        if kind in _SCALARS:
            number_value = float(text or 0) if kind.startswith("f") else int(text or 0)
            default = bool(number_value) if kind == "bool" else number_value
        elif kind.strip("[]") not in (*_SCALARS, "str"):
            raise ValueError(f"field {item!r}: {kind!r} is no kind of field")
        found.append(
            Field(
                name=name.removesuffix("?"),
                number=number,
                kind=kind,
                default=default,
                optional=name.endswith("?"),
            )
        )
    return tuple(found)


class FlatBuffer:
    """Bytes that claim to be a FlatBuffer.

    Args:
        data: the buffer; offsets count from its first byte.
        name: where the bytes come from, for messages.
    """

    __slots__ = ("_work_left", "data", "name", "size")

    def __init__(self, data: memoryview, name: str) -> None:
        self.data = data
        self.name = name
        self.size = data.nbytes
        self._work_left = min(_WORK_FLOOR + _WORK_PER_BYTE * self.size, _WORK_CEILING)

    def root(self, identifier: bytes | None = None) -> "Table":
        """The root table.

        Args:
            identifier: the four bytes that must stand at byte 4; None for formats without.

        Raises:
            FormatError: too short, another identifier, or a root that is not a table.
        """
        if self.size < 8:
            raise self.error(0, f"{self.size} bytes are too few; expected at least 8")
        if identifier is not None and bytes(self.data[4:8]) != identifier:
            raise self.error(4, f"identifier {bytes(self.data[4:8])!r}; expected {identifier!r}")
        return Table(self, self.follow(0), 0)

    def error(self, position: int, problem: str) -> FormatError:
        """An error that says where in which file."""
        return FormatError(f"{self.name}: FlatBuffer, byte {position}: {problem}")

    def spend(self, work: int, position: int) -> None:
        """Accounts for work caused by the file.

        Raises:
            FormatError: more than an honest file of this size can cause.
        """
        self._work_left -= work
        if self._work_left < 0:
            raise self.error(
                position, "the parts refer to each other more often than a file of this size may"
            )

    def follow(self, position: int) -> int:
        """Where the forward offset at a position points."""
        (offset,) = _U32(self.data, position)
        target = position + offset
        if offset < 4 or target + 4 > self.size:
            raise self.error(position, f"offset {offset} leaves the file of {self.size} bytes")
        return target

    def vector(self, position: int, width: int) -> tuple[int, int]:
        """First byte and element count of the vector whose count is at a position."""
        (count,) = _U32(self.data, position)
        if position + 4 + count * width > self.size:
            raise self.error(
                position,
                f"a vector of {count} elements of {width} bytes ends after the file's {self.size}",
            )
        if count * width >= RELEASED_BYTES:
            release(self.data[position + 4 : position + 4 + count * width])
        return position + 4, count

    def text(self, position: int) -> str:
        start, count = self.vector(position, 1)
        self.spend(count, position)
        return bytes(self.data[start : start + count]).decode("utf-8", "backslashreplace")


class Table:
    """One table of a FlatBuffer. Fields are asked for by number; absent ones give the default."""

    __slots__ = ("_depth", "_object_size", "_vtable", "_vtable_size", "buffer", "position")

    def __init__(self, buffer: FlatBuffer, position: int, depth: int) -> None:
        """Checks the table's frame; use `FlatBuffer.root` and `table` to get one."""
        buffer.spend(_TABLE_WORK, position)
        if depth > MAXIMUM_DEPTH:
            raise buffer.error(position, f"tables are nested more than {MAXIMUM_DEPTH} deep")
        data, size = buffer.data, buffer.size
        vtable = position - _I32(data, position)[0]
        if not 0 <= vtable <= size - 4:
            raise buffer.error(position, f"the table's field index at {vtable} is not in the file")
        vtable_size, object_size = _U16_PAIR(data, vtable)
        if vtable_size < 4 or vtable_size % 2 or vtable + vtable_size > size:
            raise buffer.error(vtable, f"a field index of {vtable_size} bytes is not possible here")
        if object_size < 4 or position + object_size > size:
            raise buffer.error(vtable, f"a table of {object_size} bytes is not possible here")
        self.buffer = buffer
        self.position = position
        self._depth = depth
        self._vtable = vtable
        self._vtable_size = vtable_size
        self._object_size = object_size

    def _at(self, number: int, width: int) -> int:
        """Where a field's inline part is, or 0 when absent."""
        entry = 4 + 2 * number
        if entry + 2 > self._vtable_size:
            return 0
        (offset,) = _U16(self.buffer.data, self._vtable + entry)
        if offset == 0:
            return 0
        # The Python builder shares a field index between tables that differ in nothing but the width
        # of their last scalar, and the table's size in it is then that of the first one.
        is_inside = offset >= 4 and offset + min(width, 4) <= self._object_size
        if not is_inside or self.position + offset + width > self.buffer.size:
            raise self.buffer.error(
                self.position, f"field {number} lies at {offset} of {self._object_size} bytes"
            )
        return self.position + offset

    def has(self, number: int) -> bool:
        """Whether the file stores the field."""
        return self._at(number, 1) != 0

    def integer(self, number: int, kind: str = "i32", default: int = 0) -> int:
        """An integer field; `kind` is `i8` .. `u64`."""
        scalar = _SCALARS[kind]
        at = self._at(number, scalar.size)
        return int(scalar.unpack_from(self.buffer.data, at)[0]) if at else default

    def numbers(self, number: int, count: int, kind: str = "u32") -> tuple[int, ...] | None:
        """A struct of `count` equal integers, which lies in the table itself; None when absent."""
        scalar = _SCALARS[kind]
        at = self._at(number, scalar.size * count)
        if not at:
            return None
        data = self.buffer.data
        return tuple(int(scalar.unpack_from(data, at + scalar.size * i)[0]) for i in range(count))

    def boolean(self, number: int, *, default: bool = False) -> bool:
        """A truth value; any non-zero byte is true."""
        return bool(self.integer(number, "u8", default=default))

    def real(self, number: int, kind: str = "f32", default: float = 0.0) -> float:
        """A floating-point field; `kind` is `f32` or `f64`."""
        scalar = _SCALARS[kind]
        at = self._at(number, scalar.size)
        return float(scalar.unpack_from(self.buffer.data, at)[0]) if at else default

    def string(self, number: int, default: str = "") -> str:
        """Text. Bytes that are not UTF-8 are escaped, never refused."""
        at = self._at(number, 4)
        return self.buffer.text(self.buffer.follow(at)) if at else default

    def strings(self, number: int) -> tuple[str, ...]:
        """A vector of texts."""
        start, count = self._offsets(number)
        buffer = self.buffer
        return tuple(buffer.text(buffer.follow(start + 4 * i)) for i in range(count))

    def blob(self, number: int) -> memoryview | None:
        """A vector of bytes as a view of the file; None when absent."""
        at = self._at(number, 4)
        if not at:
            return None
        start, count = self.buffer.vector(self.buffer.follow(at), 1)
        return self.buffer.data[start : start + count]

    def array(self, number: int, kind: str = "i32") -> npt.NDArray[np.generic]:
        """A vector of scalars as a read-only view of the file; empty when absent."""
        dtype = _DTYPES[kind]
        at = self._at(number, 4)
        if not at:
            return np.empty(0, dtype)
        start, count = self.buffer.vector(self.buffer.follow(at), dtype.itemsize)
        return np.frombuffer(self.buffer.data, dtype, count, start)

    def integers(self, number: int, kind: str = "i32") -> tuple[int, ...]:
        """A vector of integers as Python integers, for short ones; empty when absent."""
        return tuple(self._items(number, kind))

    def reals(self, number: int, kind: str = "f32") -> tuple[float, ...]:
        """A vector of floating-point numbers as Python ones; empty when absent."""
        return tuple(self._items(number, kind))

    def _items(self, number: int, kind: str) -> list[int]:
        view = self.array(number, kind)
        self.buffer.spend(_ITEM_WORK * view.size, self.position)
        items: list[int] = view.tolist()
        return items

    def table(self, number: int) -> "Table | None":
        """A table; None when absent."""
        at = self._at(number, 4)
        return Table(self.buffer, self.buffer.follow(at), self._depth + 1) if at else None

    def tables(self, number: int) -> "Tables":
        """A vector of tables, opened one by one as they are asked for; empty when absent."""
        start, count = self._offsets(number)
        return Tables(self.buffer, start, count, self._depth + 1)

    def union(self, number: int) -> tuple[int, "Table | None"]:
        """A union whose type is at `number` and whose table is the field after; 0 is no member."""
        member = self.integer(number, "u8")
        return member, self.table(number + 1) if member else None

    def read(self, wanted: Sequence[Field]) -> dict[str, Value]:
        """The fields of a field table, by name."""
        found: dict[str, Value] = {}
        for field in wanted:
            if self.has(field.number):
                found[field.name] = self._read(field)
            elif not field.optional:
                found[field.name] = field.default
        return found

    def _read(self, field: Field) -> Value:
        if field.kind == "str":
            return self.string(field.number)
        if field.kind == "[str]":
            return self.strings(field.number)
        if field.kind == "bool":
            return self.boolean(field.number)
        kind = field.kind.strip("[]")
        if field.kind.startswith("["):
            is_real = kind.startswith("f")
            return self.reals(field.number, kind) if is_real else self.integers(field.number, kind)
        if kind.startswith("f"):
            return self.real(field.number, kind)
        return self.integer(field.number, kind)

    def _offsets(self, number: int) -> tuple[int, int]:
        at = self._at(number, 4)
        return self.buffer.vector(self.buffer.follow(at), 4) if at else (0, 0)


class Tables(Sequence[Table]):
    """A vector of tables. Its length is known to fit the file; its items are checked when opened."""

    __slots__ = ("_buffer", "_count", "_depth", "_start")

    def __init__(self, buffer: FlatBuffer, start: int, count: int, depth: int) -> None:
        self._buffer = buffer
        self._start = start
        self._count = count
        self._depth = depth

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Table: ...
    @overload
    def __getitem__(self, index: slice) -> list[Table]: ...
    def __getitem__(self, index: int | slice) -> Table | list[Table]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self._count))]
        if not 0 <= index < self._count:
            raise IndexError(f"table {index} of {self._count}")
        buffer = self._buffer
        return Table(buffer, buffer.follow(self._start + 4 * index), self._depth)

    def __iter__(self) -> Iterator[Table]:
        for index in range(self._count):
            yield self[index]
