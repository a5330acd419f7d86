"""Assembles FlatBuffers for tests, front to back, from the documented layout.

A table is a dict from field number to value: `("i32", 3)` is a scalar, `("[i32]", (1, 2))` a vector of
scalars, text a string, bytes a vector of bytes, a dict a table, a list a vector of tables or texts.
A union is its type, `("u8", 1)`, at one number and its table at the next.

**Source:** https://flatbuffers.dev/internals/
"""

import struct
from collections.abc import Mapping, Sequence

Value = (
    str | bytes | tuple[str, int | float | Sequence[int] | Sequence[float]] | Mapping[int, "Value"]
) | list["Value"]
Fields = Mapping[int, Value]

CODES = {"bool": "?", "i8": "b", "u8": "B", "i16": "h", "u16": "H", "i32": "i", "u32": "I"} | {
    "i64": "q",
    "u64": "Q",
    "f32": "f",
    "f64": "d",
}


def build(root: Fields, identifier: bytes = b"") -> bytes:
    """The bytes of a FlatBuffer with this root table."""
    out = bytearray(4) + bytearray(identifier)
    at = _table(out, root)
    struct.pack_into("<I", out, 0, at)
    return bytes(out)


def _align(out: bytearray, size: int, offset: int = 0) -> None:
    out += bytes(-(len(out) + offset) % size)


def _table(out: bytearray, fields: Fields) -> int:
    places: dict[int, int] = {}
    size = 4
    for number, value in fields.items():
        width = struct.calcsize(CODES[value[0]]) if _is_scalar(value) else 4
        size += -size % width
        places[number] = size
        size += width
    count = max(fields, default=-1) + 1
    vtable_size = 4 + 2 * count
    _align(out, 8, vtable_size)
    vtable = len(out)
    out += struct.pack(
        f"<HH{count}H", vtable_size, size, *(places.get(number, 0) for number in range(count))
    )
    at = len(out)
    out += bytes(size)
    struct.pack_into("<i", out, at, at - vtable)
    for number, value in fields.items():
        position = at + places[number]
        if _is_scalar(value):
            struct.pack_into(f"<{CODES[value[0]]}", out, position, value[1])
        else:
            struct.pack_into("<I", out, position, _child(out, value) - position)
    return at


def _is_scalar(value: Value) -> bool:
    return isinstance(value, tuple) and not value[0].startswith("[")


def _child(out: bytearray, value: Value) -> int:
    if isinstance(value, str):
        return _vector(out, "u8", value.encode(), b"\0")
    if isinstance(value, bytes):
        return _vector(out, "u8", value)
    if isinstance(value, Mapping):
        return _table(out, value)
    if isinstance(value, tuple):
        return _vector(out, value[0].strip("[]"), value[1])
    _align(out, 4)
    at = len(out)
    out += struct.pack("<I", len(value)) + bytes(4 * len(value))
    for index, item in enumerate(value):
        position = at + 4 + 4 * index
        struct.pack_into("<I", out, position, _child(out, item) - position)
    return at


def _vector(out: bytearray, kind: str, values: Sequence[float] | bytes, end: bytes = b"") -> int:
    width = 16 if isinstance(values, bytes) else max(4, struct.calcsize(CODES[kind]))
    _align(out, width, 4)
    at = len(out)
    out += struct.pack("<I", len(values))
    out += (
        values
        if isinstance(values, bytes)
        else struct.pack(f"<{len(values)}{CODES[kind]}", *values)
    )
    out += end
    return at
