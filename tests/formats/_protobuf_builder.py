"""Protocol Buffers messages, written field by field."""

import struct


def varint(value: int) -> bytes:
    """A number, 7 bits to the byte; negative ones as 64-bit two's complement."""
    value &= 2**64 - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out + bytes([value]))


def number(field: int, value: int) -> bytes:
    """A field of wire type 0."""
    return varint(field << 3) + varint(value)


def block(field: int, data: bytes) -> bytes:
    """A field of wire type 2: text, bytes, packed numbers or a message."""
    return varint(field << 3 | 2) + varint(len(data)) + data


def fixed32(field: int, value: float) -> bytes:
    """A field of wire type 5: a `float`."""
    return varint(field << 3 | 5) + struct.pack("<f", value)


def boundaries(data: bytes) -> set[int]:
    """The offsets between the outermost fields of a message."""
    found = {0}
    position = 0
    while position < len(data):
        tag, position = _varint_at(data, position)
        if tag & 7 == 2:
            size, position = _varint_at(data, position)
            position += size
        elif tag & 7 == 0:
            _, position = _varint_at(data, position)
        else:
            position += 8 if tag & 7 == 1 else 4
        found.add(position)
    return found


def _varint_at(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, position
