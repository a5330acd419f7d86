"""MXNet's files of arrays (`.params`).

u64 0x112, u64 0, u64 count, the arrays; u64 count, the names, each a u64 size and its bytes. An array
is: a u32 magic for its version, from version 2 on an i32 kind of storage (0 is dense), u32 rank and
sizes of 64 bits, i32 kind and number of a device, i32 element type, the elements. In the oldest form
the rank stands first, and sizes have 32 bits.

**Source:** https://github.com/apache/mxnet/blob/master/src/ndarray/ndarray.cc (NDArray::Load)
"""

import struct
from collections.abc import Mapping

from gaugenn.errors import FormatError, UnsupportedFormatError
from gaugenn.formats._attributes import LARGEST
from gaugenn.graph import DataType, Tensor, TensorKind

MAGIC = struct.pack("<QQ", 0x112, 0)
_FIRST, _SECOND, _THIRD = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
_MOST = 1 << 20
_HIGHEST_RANK = 32

TYPES: Mapping[int, DataType] = {
    0: DataType.FLOAT32,
    1: DataType.FLOAT64,
    2: DataType.FLOAT16,
    3: DataType.UINT8,
    4: DataType.INT32,
    5: DataType.INT8,
    6: DataType.INT64,
    7: DataType.BOOL,
    8: DataType.INT16,
    9: DataType.UINT16,
    10: DataType.UINT32,
    11: DataType.UINT64,
    12: DataType.BFLOAT16,
}


class _Cursor:
    """Numbers in turn, and where they are."""

    def __init__(self, data: memoryview) -> None:
        self.data = data
        self.at = 0

    def take(self, size: int) -> memoryview:
        part = self.data[self.at : self.at + size]
        if size < 0 or part.nbytes < size:
            raise FormatError(f"{size} bytes are missing at byte {self.at} of {self.data.nbytes}")
        self.at += size
        return part

    def u64(self) -> int:
        return int.from_bytes(self.take(8), "little")

    def u32(self) -> int:
        return int.from_bytes(self.take(4), "little")


def read_arrays(data: memoryview) -> dict[str, Tensor]:
    """The arrays by name, without `arg:` and `aux:`; by number where the file has no names.

    Raises:
        FormatError: cut off, or something else.
        UnsupportedFormatError: sparse arrays.
    """
    cursor = _Cursor(data)
    if bytes(cursor.take(len(MAGIC))) != MAGIC:
        raise FormatError("no MXNet arrays: they begin with 0x112")
    count = cursor.u64()
    if count > _MOST:
        raise FormatError(f"{count} arrays; {_MOST} are the most")
    arrays = [_array(cursor) for _ in range(count)]
    names = [f"{number}" for number in range(count)]
    named = cursor.u64()
    if named not in (0, count):
        raise FormatError(f"{named} names for {count} arrays")
    for number in range(named):
        text = str(cursor.take(cursor.u64()), "utf-8", "backslashreplace")
        names[number] = text.removeprefix("arg:").removeprefix("aux:")
    if len(set(names)) != len(names):
        raise FormatError("two MXNet arrays of one name")
    return {
        name: Tensor(name=name, dtype=dtype, shape=shape, data=held, kind=TensorKind.CONSTANT)
        for name, (dtype, shape, held) in zip(names, arrays, strict=True)
    }


def _array(cursor: _Cursor) -> tuple[DataType, tuple[int, ...], memoryview]:
    magic = cursor.u32()
    width = 8
    if magic in (_SECOND, _THIRD):
        if cursor.u32():
            raise UnsupportedFormatError("a sparse MXNet array; only dense ones are read")
        rank = cursor.u32()
    elif magic == _FIRST:
        rank = cursor.u32()
    else:
        rank, width = magic, 4
    if rank > _HIGHEST_RANK:
        raise FormatError(f"an MXNet array of {rank} dimensions at byte {cursor.at}")
    shape = tuple(int.from_bytes(cursor.take(width), "little") for _ in range(rank))
    if not rank and magic != _THIRD:
        return DataType.FLOAT32, (0,), memoryview(b"")  # an array that was never filled
    if any(size >= LARGEST for size in shape):
        raise FormatError(f"an MXNet array of the sizes {shape[:8]}")
    cursor.take(8)
    kind = cursor.u32()
    dtype = TYPES.get(kind)
    if dtype is None:
        raise FormatError(f"MXNet elements of the unknown type {kind}")
    elements = 1
    for size in shape:
        elements *= size
    return dtype, shape, cursor.take(dtype.size_bytes(elements) or 0)
