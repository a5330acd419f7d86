"""Paddle-Lite's optimised models (`.nb`): a program and its values in one file.

**Layout** of version 2: u16 version, 16 bytes that name the optimiser's version (text, ended by a
NUL), u64 size of the program, the program; u16 version, u16 size of what describes the values, u16
size of the following head, u16 count of values, u32 size of the largest, further bytes of the head;
each value: u32 size, u32 offset, a FlatBuffer of size - offset bytes.
"""

import struct

from gaugenn.content import Content
from gaugenn.errors import FormatError, UnsupportedFormatError
from gaugenn.formats._attributes import LARGEST
from gaugenn.formats._contract import FormatReader
from gaugenn.formats._flatbuffers import FlatBuffer
from gaugenn.formats._paddle_graph import program_graphs
from gaugenn.formats._paddle_program import TYPES, read_lite_program
from gaugenn.graph import DataType, Model, Tensor, TensorKind

_HEAD = struct.Struct("<H16sQ")
_VALUES = struct.Struct("<HHHHI")
_VALUE = struct.Struct("<II")
_VERSION = 2
_DENSE = 1


class PaddleLiteReader(FormatReader):
    """Reads version 2 (since Paddle-Lite 2.6); older ones are recognised by their version's text."""

    title = "Paddle-Lite"
    spec = (
        "https://github.com/PaddlePaddle/Paddle-Lite/blob/develop/lite/model_parser/flatbuffers/"
        "framework.fbs"
    )
    suffixes = (".nb",)
    magics = ((0, b"\2\0v"),)  # the version, and the text that names the optimiser's

    def sniff(self, name: str, head: bytes) -> bool:
        """By the version's text and what follows from the sizes behind it."""
        del name
        if len(head) < _HEAD.size + 4:
            return False
        version, label, size = _HEAD.unpack_from(head)
        text = label.partition(b"\0")[0]
        if version > _VERSION or not text.isascii() or not text.decode("ascii").isprintable():
            return False
        if version < _VERSION:
            return text[:1] == b"v" and text[1:2].isdigit() and b"." in text
        root = int.from_bytes(head[_HEAD.size : _HEAD.size + 4], "little")
        return bool(text) and 16 <= size < LARGEST and root % 4 == 0 and 4 <= root < size

    def read(self, content: Content) -> Model:
        """Reads the program and its values.

        Raises:
            FormatError: cut off, or values that the program does not know.
            UnsupportedFormatError: an older version.
        """
        try:
            return _model(content)
        except FormatError as error:
            if str(error).startswith(content.name):
                raise
            raise type(error)(f"{content.name}: {error}") from error


def _model(content: Content) -> Model:
    data = content.data
    if data.nbytes < _HEAD.size:
        raise FormatError(f"a Paddle-Lite model of {data.nbytes} bytes")
    version, label, size = _HEAD.unpack_from(data)
    text = label.partition(b"\0")[0].decode("ascii", "replace")
    if version != _VERSION:
        raise UnsupportedFormatError(
            f"a Paddle-Lite model of version {version}; only version {_VERSION} is known. Look at the "
            "Paddle model that it was made from"
        )
    end = _HEAD.size + size
    if end > data.nbytes:
        raise FormatError(f"the program ends at byte {end} of {data.nbytes}")
    program = read_lite_program(FlatBuffer(data[_HEAD.size : end], "program").root())
    values = _values(data, end)
    held = program.held()
    unknown = set(values) - set(held)
    if unknown:
        raise FormatError(f"a value {min(unknown)[:80]!r} that the program does not declare")
    return Model(
        format="paddle_lite",
        format_version=str(version),
        producer=f"Paddle-Lite {text}",
        graphs=program_graphs(program, values),
        notes=("weights-absent",) if set(held) - set(values) else (),
    )


def _values(data: memoryview, position: int) -> dict[str, Tensor]:
    if data.nbytes - position < _VALUES.size:
        raise FormatError(f"no values behind the program at byte {position} of {data.nbytes}")
    _, _, head_bytes, count, _ = _VALUES.unpack_from(data, position)
    position += _VALUES.size + max(0, head_bytes - 6)
    found: dict[str, Tensor] = {}
    for number in range(count):
        if data.nbytes - position < _VALUE.size:
            raise FormatError(f"value {number} of {count} is missing")
        total, offset = _VALUE.unpack_from(data, position)
        position += _VALUE.size
        size = total - offset
        if size < 0 or size > data.nbytes - position:
            raise FormatError(
                f"value {number} has {size} bytes at byte {position} of {data.nbytes}"
            )
        tensor = _value(data[position : position + size], number)
        if tensor.name in found:
            raise FormatError(f"two values are called {tensor.name[:80]!r}")
        found[tensor.name] = tensor
        position += size
    return found


def _value(data: memoryview, number: int) -> Tensor:
    root = FlatBuffer(data, f"value {number}").root()
    kind, table = root.union(2)
    if kind != _DENSE or table is None:
        raise UnsupportedFormatError(f"value {number} is of kind {kind}, which is no dense tensor")
    dtype = TYPES.get(table.integer(3), DataType.UNKNOWN)
    shape = table.integers(2, "i64")
    if len(shape) > 16 or any(not 0 <= size < LARGEST for size in shape):
        raise FormatError(f"value {number} has the sizes {shape[:8]}")
    return Tensor(
        name=root.string(1),
        dtype=dtype,
        shape=shape,
        data=None if dtype is DataType.UNKNOWN else (table.blob(4) or memoryview(b"")),
        kind=TensorKind.CONSTANT,
    )
