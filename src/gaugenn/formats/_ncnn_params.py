"""The three forms of an ncnn graph file as layers: text, the text of before 2017-10, binary.

**Source:** https://github.com/Tencent/ncnn/wiki/param-and-model-file-structure, `src/paramdict.cpp` and
`src/net.cpp` of https://github.com/Tencent/ncnn; for the old text, these files at revision b7db8be4.
"""

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gaugenn.errors import FormatError
from gaugenn.formats._ncnn_layers import (
    CUSTOM_BIT,
    LAYER_TYPES,
    MAXIMUM_PARAMETERS,
    Field,
    Kind,
    Layer,
    Value,
    fields,
)
from gaugenn.graph import check_nodes

MAGIC = 7767517
BINARY_MAGIC = struct.pack("<i", MAGIC)
_ARRAY = -23300
_TEXT = -23400
_END = -233
_LONGEST_TEXT = 255
_LONGEST_NUMBER = 40

_INTEGER = re.compile(r"[+-]?\d+")
_REAL = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_ENTRY = re.compile(r'\s*(-?\d{1,6})=("[^"]*"|\S*)')
_SNIFFED = re.compile(rb"\s*7767517\s+\d{1,9}\s+\d{1,9}\s")
_SNIFFED_OLD = re.compile(
    rb"\s*\d{1,7}[ \t]+\d{1,7}[ \t]*\r?\n[ \t]*(\w{3,40})[ \t]+\S+[ \t]+\d{1,4}[ \t]+\d{1,4}[ \t]"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """A graph file's layers.

    Attributes:
        layers: in the file's order.
        version: `7767517`, or `headerless` for the old text.
        trailing: whether the file goes on after the last layer it announces.
    """

    layers: tuple[Layer, ...]
    version: str
    trailing: bool


def looks_like_text(head: bytes) -> bool:
    """Whether a file starts like an ncnn or PNNX graph in text."""
    if _SNIFFED.match(head):
        return True
    found = _SNIFFED_OLD.match(head)
    return found is not None and found[1].decode("ascii", "replace") in LAYER_TYPES


def looks_like_binary(head: bytes) -> bool:
    """Whether a file starts like an ncnn graph in binary."""
    if not head.startswith(BINARY_MAGIC) or len(head) < 24:
        return False
    words: tuple[int, ...] = struct.unpack_from("<5i", head, 4)
    layers, blobs, kind, inputs, outputs = words
    known = 0 <= kind < len(LAYER_TYPES) or CUSTOM_BIT <= kind < 2 * CUSTOM_BIT
    return known and layers > 0 and blobs > 0 and 0 <= inputs <= blobs and 0 <= outputs <= blobs


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A layer's line, split.

    Attributes:
        number: of the line, from 1.
        type: the layer's type.
        name: the layer's name.
        inputs: blob names.
        outputs: blob names.
        rest: what follows: parameters.
    """

    number: int
    type: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    rest: str


def split_text(data: memoryview) -> tuple[str, tuple[Line, ...], bool]:
    """The lines of a graph in text: version, layers, and whether more follows.

    Raises:
        FormatError: a broken line, too few of them, or a last one without an end.
    """
    text = bytes(data).decode("utf-8", "backslashreplace")
    if not text.endswith("\n"):
        raise FormatError("ncnn text: the last line has no end: the file is cut off")
    lines = [(n, line) for n, line in enumerate(text.split("\n"), 1) if line.strip()]
    version = "headerless"
    if lines and lines[0][1].strip() == str(MAGIC):
        version = str(MAGIC)
        del lines[0]
    if not lines:
        raise FormatError("ncnn text: no line with the numbers of layers and blobs")
    number, counts = lines[0]
    parts = counts.split()
    if len(parts) != 2 or not all(_INTEGER.fullmatch(p) and len(p) < 10 for p in parts):
        raise FormatError(f"ncnn text, line {number}: expected the numbers of layers and blobs")
    layers, blobs = map(int, parts)
    if layers <= 0 or blobs <= 0:
        raise FormatError(f"ncnn text, line {number}: {layers} layers and {blobs} blobs")
    check_nodes(layers)
    if layers > len(lines) - 1:
        raise FormatError(
            f"ncnn text: {layers} layers announced, {len(lines) - 1} are there: the file is cut off"
        )
    split = tuple(_split(n, line) for n, line in lines[1 : layers + 1])
    made = sum(len(line.outputs) for line in split)
    if made > blobs:
        raise FormatError(f"ncnn text: {blobs} blobs announced, the layers make {made}")
    return version, split, len(lines) - 1 > layers


def _split(number: int, line: str) -> Line:
    first = line.split(None, 4)
    if len(first) < 4 or not all(p.isascii() and p.isdigit() and len(p) < 7 for p in first[2:4]):
        raise FormatError(f"ncnn text, line {number}: expected type, name and two numbers")
    inputs, outputs = int(first[2]), int(first[3])
    parts = line.split(None, 4 + inputs + outputs)
    if len(parts) < 4 + inputs + outputs:
        raise FormatError(
            f"ncnn text, line {number}: layer {first[1]!r} announces {inputs} inputs and {outputs} "
            f"outputs, the line names {len(parts) - 4}"
        )
    names = parts[4 : 4 + inputs + outputs]
    return Line(
        number=number,
        type=first[0],
        name=first[1],
        inputs=tuple(names[:inputs]),
        outputs=tuple(names[inputs:]),
        rest=parts[-1] if len(parts) > 4 + inputs + outputs else "",
    )


def parse_text(version: str, lines: tuple[Line, ...], *, trailing: bool) -> Parsed:
    """Layers from the lines of a graph in text.

    Raises:
        FormatError: parameters that cannot be understood.
    """
    layers = tuple(
        Layer(
            type=line.type,
            name=line.name,
            inputs=line.inputs,
            outputs=line.outputs,
            values=_positional(line) if version == "headerless" else _named(line),
        )
        for line in lines
    )
    return Parsed(layers=layers, version=version, trailing=trailing)


def _named(line: Line) -> dict[int, Value]:
    known = fields(line.type)
    values: dict[int, Value] = {}
    position = 0
    rest = line.rest.rstrip()
    while position < len(rest):
        entry = _ENTRY.match(rest, position)
        if entry is None:
            raise _refused(line, rest[position:])
        position = entry.end()
        number, text = int(entry[1]), entry[2]
        array = number <= _ARRAY
        number = _ARRAY - number if array else number
        if not 0 <= number < MAXIMUM_PARAMETERS or not text:
            raise _refused(line, entry[0])
        values[number] = _value(line, text, known.get(number), counted=array)
    return values


def _value(line: Line, text: str, field: Field | None, *, counted: bool) -> Value:
    if not counted and (text[0] == '"' or text[0].isalpha()):
        return text.strip('"')[:_LONGEST_TEXT]
    if not counted and "," not in text:
        return _number(line, text, real=field is not None and field.kind is Kind.REAL)
    parts = text.split(",")
    if counted:
        count = parts.pop(0)
        if not _INTEGER.fullmatch(count) or len(count) > 9 or int(count) != len(parts):
            raise _refused(line, text)
    elif parts[-1] == "":
        parts.pop()
    real = field is not None and field.kind is Kind.REALS
    numbers = [_number(line, part, real=real) for part in parts]
    if all(isinstance(n, int) for n in numbers):
        return tuple(int(n) for n in numbers)
    return tuple(float(n) for n in numbers)


def _number(line: Line, text: str, *, real: bool) -> int | float:
    if len(text) > _LONGEST_NUMBER or not _REAL.fullmatch(text):
        raise _refused(line, text)
    if real or not _INTEGER.fullmatch(text):
        return float(text)
    value = int(text)
    if not -(1 << 31) <= value < 1 << 31:
        raise _refused(line, text)
    return value


_OLD_ORDERS = {"MemoryData": [2, 0, 1], "Input": [2, 1, 0]}
"""Ids in the order of the old text where it is not ascending: channels stood first."""


def _positional(line: Line) -> dict[int, Value]:
    """The old text gives values alone, in the order of their ids; arrays start with their length."""
    tokens = iter(line.rest.split())
    values: dict[int, Value] = {}
    known = fields(line.type)
    order = _OLD_ORDERS.get(line.type, sorted(known))
    for number in order:
        token = next(tokens, None)
        if token is None:
            return values
        kind = known[number].kind
        if kind in (Kind.INTEGERS, Kind.REALS):
            count = _number(line, token, real=False)
            taken = [t for t, _ in zip(tokens, range(int(count)), strict=False)]
            if len(taken) != count:
                raise _refused(line, token)
            values[number] = _value(line, ",".join(taken) + ",", known[number], counted=False)
        else:
            values[number] = _number(line, token, real=kind is Kind.REAL)
    left = next(tokens, None)
    if left is not None and known:
        raise _refused(line, left)
    return values


def _refused(line: Line, text: str) -> FormatError:
    return FormatError(
        f"ncnn text, line {line.number}: layer {line.name!r} ({line.type}) has a parameter that "
        f"cannot be understood: {text[:60]!r}"
    )


class _Words:
    """Takes 32-bit words from a binary graph."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._position = 0

    @property
    def left(self) -> int:
        return (self._data.nbytes - self._position) // 4

    @property
    def at_end(self) -> bool:
        return self._position == self._data.nbytes

    def bytes(self, count: int) -> memoryview:
        padded = (count + 3) & ~3
        if count < 0 or padded > self._data.nbytes - self._position:
            raise FormatError(
                f"ncnn binary: {count} bytes wanted at {self._position}, the file has "
                f"{self._data.nbytes}: cut off"
            )
        start = self._position
        self._position += padded
        return self._data[start : start + count]

    def integer(self) -> int:
        value: int = struct.unpack("<i", self.bytes(4))[0]
        return value

    def count(self, what: str) -> int:
        """A number of words that must still follow."""
        value = self.integer()
        if not 0 <= value <= self.left:
            raise FormatError(f"ncnn binary: {value} {what}, the file has {self.left} words left")
        return value


def parse_binary(data: memoryview) -> Parsed:
    """Layers from a graph in binary; layers and blobs are named by their numbers.

    Raises:
        FormatError: cut off, or counts that cannot be true.
    """
    words = _Words(data)
    if words.integer() != MAGIC:
        raise FormatError(f"ncnn binary: the file does not start with {MAGIC}")
    count, blobs = words.integer(), words.integer()
    if not 0 < 3 * count <= words.left or blobs <= 0:
        raise FormatError(f"ncnn binary: {count} layers and {blobs} blobs in {data.nbytes} bytes")
    layers = tuple(_binary_layer(words, index, blobs) for index in range(count))
    return Parsed(layers=layers, version=str(MAGIC), trailing=not words.at_end)


def _binary_layer(words: _Words, index: int, blobs: int) -> Layer:
    kind = words.integer()
    inputs, outputs = words.count("inputs"), words.count("outputs")
    names = [words.integer() for _ in range(inputs + outputs)]
    if names and not 0 <= min(names) <= max(names) < blobs:
        raise FormatError(f"ncnn binary: layer {index} uses a blob beyond the {blobs} announced")
    named = _type_name(kind, index)
    return Layer(
        type=named,
        name=str(index),
        inputs=tuple(map(str, names[:inputs])),
        outputs=tuple(map(str, names[inputs:])),
        values=dict(_binary_values(words, fields(named), index)),
    )


def _type_name(kind: int, index: int) -> str:
    if 0 <= kind < len(LAYER_TYPES):
        return LAYER_TYPES[kind]
    if CUSTOM_BIT <= kind < 2 * CUSTOM_BIT:
        return f"custom {kind & ~CUSTOM_BIT}"
    if len(LAYER_TYPES) <= kind < CUSTOM_BIT:
        return f"type {kind}"
    raise FormatError(f"ncnn binary: layer {index} is of type {kind}, there is no such number")


def _binary_values(
    words: _Words, known: Mapping[int, Field], index: int
) -> Iterator[tuple[int, Value]]:
    while (key := words.integer()) != _END:
        base = _TEXT if key <= _TEXT else _ARRAY if key <= _ARRAY else 0
        number = base - key if base else key
        if not 0 <= number < MAXIMUM_PARAMETERS:
            raise FormatError(f"ncnn binary: layer {index} has a parameter with the key {key}")
        field = known.get(number)
        if base == _TEXT:
            size = words.integer()
            if size > _LONGEST_TEXT:
                raise FormatError(f"ncnn binary: layer {index} has a text of {size} bytes")
            raw = bytes(words.bytes(size)).rstrip(b"\0")
            yield number, raw.decode("utf-8", "backslashreplace")
        elif base == _ARRAY:
            size = words.count("values")
            letter = "f" if field is not None and field.kind is Kind.REALS else "i"
            yield number, struct.unpack(f"<{size}{letter}", words.bytes(4 * size))
        else:
            letter = "f" if field is not None and field.kind is Kind.REAL else "i"
            yield number, struct.unpack(f"<{letter}", words.bytes(4))[0]
