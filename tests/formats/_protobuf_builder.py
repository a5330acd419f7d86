"""Protocol Buffers messages, written field by field."""


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
