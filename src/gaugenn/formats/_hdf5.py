"""HDF5, as far as Keras writes it: groups, attributes and plain arrays, over a file's bytes.

The library that everybody uses is not made for hostile files and ends the process on some of them;
this reads what h5py writes by default. Dense groups and attributes are refused. Compressed and chunked
arrays have shapes, without their data.

**Source:** https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html
"""

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from gaugenn.errors import FormatError, UnsupportedFormatError
from gaugenn.graph import DataType

MAGIC = b"\x89HDF\r\n\x1a\n"
_UNDEFINED = (1 << 64) - 1
_STEP_LIMIT = 400_000
"""Tables and records that one file may have; a large network has some ten for each weight."""
_DEPTH_LIMIT = 32
_RANK_LIMIT = 32
_TEXT_LIMIT = 1 << 26
_SPACE, _LINKS, _TYPE, _LINK, _LAYOUT, _ATTRIBUTE = 1, 2, 3, 6, 8, 12
_CONTINUATION, _SYMBOLS, _ATTRIBUTES = 16, 17, 21
_SHARED = 2
_INTEGERS = {
    (size, signed): DataType(f"{'' if signed else 'u'}int{8 * size}")
    for size in (1, 2, 4, 8)
    for signed in (True, False)
}
_FLOATS = {2: DataType.FLOAT16, 4: DataType.FLOAT32, 8: DataType.FLOAT64}


@dataclass(frozen=True, slots=True, kw_only=True)
class Array:
    """A dataset; `data` is None where it is compressed, in pieces, or was never written."""

    dtype: DataType
    shape: tuple[int, ...]
    data: memoryview | None = field(repr=False)


@dataclass(slots=True, kw_only=True)
class Group:
    """A group: text attributes, arrays and groups by name, in the file's order."""

    attributes: dict[str, str] = field(default_factory=dict)
    arrays: dict[str, Array] = field(default_factory=dict)
    groups: dict[str, "Group"] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Type:
    """An element type: class 3 is a text, 9 a text of variable length where `base` is text."""

    kind: int
    size: int
    dtype: DataType


@dataclass(frozen=True, slots=True)
class _Message:
    type: int
    flags: int
    data: memoryview


def read(data: memoryview, where: str) -> Group:
    """Reads a file's groups.

    Raises:
        FormatError: cut off, or offsets that lead nowhere.
        UnsupportedFormatError: what h5py does not write by default.
    """
    try:
        return _Reader(data, where).root()
    except (struct.error, IndexError, OverflowError) as error:
        raise FormatError(f"{where}: a table of the HDF5 file is cut off: {error}") from None


class _Reader:
    def __init__(self, data: memoryview, where: str) -> None:
        self._data = data
        self._where = where
        self._steps = _STEP_LIMIT
        self._open: set[int] = set()

    def root(self) -> Group:
        version = self._data[8]
        if version in (0, 1):
            sizes = bytes(self._data[13:15])
            at = 24 + (4 if version else 0)
            base, _, end, _, _, header = struct.unpack_from("<6Q", self._data, at)
        elif version in (2, 3):
            sizes = bytes(self._data[9:11])
            base, _, end, header = struct.unpack_from("<4Q", self._data, 12)
        else:
            raise UnsupportedFormatError(f"{self._where}: HDF5 superblock of version {version}")
        if sizes != b"\x08\x08" or base:
            raise UnsupportedFormatError(f"{self._where}: HDF5 with offsets that are not 64 bit")
        if end > self._data.nbytes:
            raise FormatError(
                f"{self._where}: HDF5 says {end} bytes, the file has {self._data.nbytes}: cut off"
            )
        found = self._object(header)
        if not isinstance(found, Group):
            raise FormatError(f"{self._where}: the root of the HDF5 file is no group")
        return found

    def _step(self) -> None:
        self._steps -= 1
        if self._steps < 0:
            raise FormatError(f"{self._where}: more than {_STEP_LIMIT} records in an HDF5 file")

    def _bytes(self, offset: int, count: int) -> memoryview:
        self._step()
        if count < 0 or offset < 0 or offset + count > self._data.nbytes:
            raise FormatError(
                f"{self._where}: {count} bytes are expected at {offset}, the file has "
                f"{self._data.nbytes}: cut off or damaged"
            )
        return self._data[offset : offset + count]

    def _signed(self, offset: int, signature: bytes, count: int) -> memoryview:
        found = self._bytes(offset, count)
        if found[:4] != signature:
            raise FormatError(
                f"{self._where}: {signature.decode()} is expected at {offset}: damaged"
            )
        return found

    def _messages(self, address: int) -> Iterator[_Message]:
        """The messages of an object header, of all its blocks."""
        if bytes(self._bytes(address, 4)) == b"OHDR":
            yield from self._newer(address)
            return
        version, _, count, _, size = struct.unpack("<BBHII", self._bytes(address, 12))
        if version != 1:
            raise FormatError(f"{self._where}: no object header at {address}: damaged")
        blocks = [(address + 16, size)]
        while blocks and count:
            start, length = blocks.pop(0)
            block, at = self._bytes(start, length), 0
            while at + 8 <= length and count:
                self._step()
                type_, size, flags = struct.unpack_from("<HHB", block, at)
                body = block[at + 8 : at + 8 + size]
                if body.nbytes != size:
                    raise FormatError(f"{self._where}: a message at {start + at} is cut off")
                if type_ == _CONTINUATION:
                    blocks.append(struct.unpack_from("<2Q", body))
                else:
                    yield _Message(type_, flags, body)
                at += 8 + size
                count -= 1

    def _newer(self, address: int) -> Iterator[_Message]:
        version, flags = self._bytes(address + 4, 2)
        if version != 2:
            raise UnsupportedFormatError(f"{self._where}: object header of version {version}")
        at = address + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        width = 1 << (flags & 3)
        size = int.from_bytes(self._bytes(at, width), "little")
        blocks = [(at + width, size)]
        head = 6 if flags & 4 else 4
        while blocks:
            start, length = blocks.pop(0)
            block, at = self._bytes(start, length), 0
            while at + head <= length:
                self._step()
                type_, size, message_flags = struct.unpack_from("<BHB", block, at)
                body = block[at + head : at + head + size]
                if body.nbytes != size:
                    raise FormatError(f"{self._where}: a message at {start + at} is cut off")
                if type_ == _CONTINUATION:
                    offset, more = struct.unpack_from("<2Q", body)
                    self._signed(offset, b"OCHK", 4)
                    blocks.append((offset + 4, more - 8))
                else:
                    yield _Message(type_, message_flags, body)
                at += head + size

    def _object(self, address: int) -> Group | Array:
        if address in self._open or len(self._open) >= _DEPTH_LIMIT:
            raise FormatError(f"{self._where}: groups lie in each other, or too deep")
        self._open.add(address)
        messages = list(self._messages(address))
        by_type = {message.type: message for message in messages}
        if _LAYOUT in by_type:
            found: Group | Array = self._array(by_type)
        else:
            group = found = Group()
            for message in messages:
                self._add(group, message)
        self._open.remove(address)
        return found

    def _add(self, group: Group, message: _Message) -> None:
        if message.type == _SYMBOLS:
            tree, heap = struct.unpack_from("<2Q", message.data)
            names = self._heap(heap)
            for name, header in self._symbols(tree, names, _DEPTH_LIMIT):
                self._put(group, name, header)
        elif message.type == _LINK:
            self._link(group, message.data)
        elif message.type == _ATTRIBUTE and not message.flags & _SHARED:
            self._attribute(group, message.data)
        elif message.type in (_LINKS, _ATTRIBUTES):
            flags = message.data[1]
            wide = (8 if message.type == _LINKS else 2) if flags & 1 else 0
            if struct.unpack_from("<Q", message.data, 2 + wide)[0] != _UNDEFINED:
                raise UnsupportedFormatError(
                    f"{self._where}: groups or attributes in HDF5's dense storage are not read"
                )

    def _put(self, group: Group, name: str, header: int) -> None:
        found = self._object(header)
        if name in group.groups or name in group.arrays:
            raise FormatError(f"{self._where}: two members of a group are called {name[:80]!r}")
        if isinstance(found, Group):
            group.groups[name] = found
        else:
            group.arrays[name] = found

    def _heap(self, address: int) -> memoryview:
        """The names of a group."""
        _, _, size, _, start = struct.unpack("<4sIQQQ", self._signed(address, b"HEAP", 32))
        return self._bytes(start, size)

    def _symbols(self, address: int, names: memoryview, depth: int) -> Iterator[tuple[str, int]]:
        """Names and header addresses of a group's members."""
        if bytes(self._bytes(address, 4)) == b"SNOD":
            (count,) = struct.unpack("<H", self._bytes(address + 6, 2))
            for index in range(count):
                entry = self._bytes(address + 8 + 40 * index, 40)
                name, header, kind = struct.unpack_from("<QQI", entry)
                if kind != 2:  # a symbolic link leads to what has a name of its own
                    yield _name(names[name:], self._where), header
            return
        _, type_, _, count = struct.unpack("<4sBBH", self._signed(address, b"TREE", 8))
        if type_ or not depth:
            raise FormatError(f"{self._where}: a group's tree at {address} is none: damaged")
        for index in range(count):
            (child,) = struct.unpack("<Q", self._bytes(address + 32 + 16 * index, 8))
            yield from self._symbols(child, names, depth - 1)

    def _link(self, group: Group, body: memoryview) -> None:
        flags, at, kind = body[1], 2, 0
        if flags & 8:
            kind, at = body[at], at + 1
        at += (8 if flags & 4 else 0) + (1 if flags & 16 else 0)
        width = 1 << (flags & 3)
        size = int.from_bytes(body[at : at + width], "little")
        at += width
        name = bytes(body[at : at + size]).decode("utf-8", "replace")
        if not kind:
            self._put(group, name, struct.unpack_from("<Q", body, at + size)[0])

    def _attribute(self, group: Group, body: memoryview) -> None:
        """Keeps attributes that are one text."""
        version = body[0]
        name_size, type_size, space_size = struct.unpack_from("<3H", body, 2)
        at = 9 if version == 3 else 8
        step = 8 if version == 1 else 1
        parts: list[memoryview] = []
        for size in (name_size, type_size, space_size):
            parts.append(body[at : at + size])
            at += -(-size // step) * step
        if version not in (1, 2, 3) or (version > 1 and body[1] & 3) or not name_size:
            return
        type_ = _type(parts[1], self._where)
        if type_.kind not in (3, 9) or _shape(parts[2], self._where) != ():
            return
        held = body[at : at + type_.size]
        if type_.kind == 9:
            size, collection, index = struct.unpack_from("<IQI", held)
            held = self._shared_text(collection, index, size)
        text = bytes(held).rstrip(b"\0").decode("utf-8", "replace")
        group.attributes[_name(parts[0], self._where)] = text

    def _shared_text(self, address: int, index: int, size: int) -> memoryview:
        (length,) = struct.unpack("<8xQ", self._signed(address, b"GCOL", 16))
        block, at = self._bytes(address, length), 16
        while at + 16 <= length:
            self._step()
            number, _, _, held = struct.unpack_from("<HHIQ", block, at)
            if number == index and size <= min(held, _TEXT_LIMIT):
                return block[at + 16 : at + 16 + size]
            if not number:
                break
            at += 16 + -(-held // 8) * 8
        raise FormatError(f"{self._where}: a text of {size} bytes is not where it should be")

    def _array(self, messages: dict[int, _Message]) -> Array:
        if _SPACE not in messages or _TYPE not in messages or messages[_TYPE].flags & _SHARED:
            raise UnsupportedFormatError(f"{self._where}: an array without a type of its own")
        type_ = _type(messages[_TYPE].data, self._where)
        shape = _shape(messages[_SPACE].data, self._where)
        if type_.dtype is DataType.STRING:
            return Array(dtype=DataType.STRING, shape=shape, data=None)
        size = math.prod(shape) * type_.size
        layout = messages[_LAYOUT].data
        data: memoryview | None = None
        if layout[0] in (3, 4) and layout[1] == 1:
            address, held = struct.unpack_from("<2Q", layout, 2)
            if address != _UNDEFINED:
                data = self._bytes(address, size)
                if held < size:
                    raise FormatError(f"{self._where}: an array of {size} bytes has {held}")
        elif layout[0] in (3, 4) and layout[1] == 0:
            data = layout[4 : 4 + size]
        elif layout[0] not in (1, 2, 3, 4):
            raise FormatError(f"{self._where}: an array's layout of version {layout[0]}")
        if data is not None and (data.nbytes != size or type_.dtype is DataType.UNKNOWN):
            data = None
        return Array(dtype=type_.dtype, shape=shape, data=data)


def _name(data: memoryview, where: str) -> str:
    found, end, _ = bytes(data[:4096]).partition(b"\0")
    if not end:
        raise FormatError(f"{where}: a name in the HDF5 file does not end")
    return found.decode("utf-8", "replace")


def _shape(body: memoryview, where: str) -> tuple[int, ...]:
    version, rank = body[0], body[1]
    if version not in (1, 2) or rank > _RANK_LIMIT:
        raise FormatError(f"{where}: an array of {rank} dimensions, version {version}")
    if version == 2 and body[3] == 2:
        return (0,)
    found: tuple[int, ...] = struct.unpack_from(f"<{rank}Q", body, 8 if version == 1 else 4)
    if math.prod(found) >= 1 << 48:
        raise FormatError(f"{where}: an array of {found} is larger than any file")
    return found


def _type(body: memoryview, where: str) -> _Type:
    kind, (size,) = body[0] & 15, struct.unpack_from("<I", body, 4)
    bits = body[1]
    dtype = DataType.UNKNOWN
    if kind == 0 and not bits & 1:
        dtype = _INTEGERS.get((size, bool(bits & 8)), DataType.UNKNOWN)
    elif kind == 1 and not bits & 1:
        dtype = _FLOATS.get(size, DataType.UNKNOWN)
    elif kind == 3 or (kind == 9 and bits & 15 == 1):
        dtype = DataType.STRING
    elif kind == 8 and size == 1:
        dtype = DataType.BOOL
    elif kind == 9:
        kind = -1
    if not size:
        raise FormatError(f"{where}: an element type of no size")
    return _Type(kind, size, dtype)
