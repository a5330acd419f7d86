"""Protocol Buffers messages, read in place from untrusted bytes.

A reader writes down the fields it needs, by name and number, and asks for them by name::

    NODE = Schema("NodeProto", input=1, output=2, name=3, attribute=5)
    GRAPH = Schema("GraphProto", node=1, name=2)

    graph = read_message(content.data, GRAPH)
    for node in graph.messages("node", NODE):
        node.text("name"), node.texts("input")

A message is scanned once, when it is reached; fields that the schema does not name are stepped over.
Length-delimited fields are kept as offsets, so weights cost nothing until they are asked for, and
come back as views into the given bytes. As in every protobuf implementation, a field that arrives
with another wire type than the one asked for counts as absent, the last of repeated singular fields
wins, and the parts of a repeated singular message are merged.

**Source:** https://protobuf.dev/programming-guides/encoding/
"""

import struct
from array import array
from collections.abc import Iterator, MutableSequence, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gaugenn.content import RELEASED_BYTES, release
from gaugenn.errors import FormatError

VARINT, FIXED64, LENGTH, GROUP, GROUP_END, FIXED32 = range(6)
"""Wire types: the low three bits of a field's tag."""

DEPTH_LIMIT = 100
"""Messages inside messages, as in the official libraries."""

FIELD_LIMIT = 1 << 24
"""Fields read from one file. A graph of 100,000 nodes has about 3 million."""

_LIST_BYTES = 1 << 16
"""Up to this size of a message its places are in lists, beyond in arrays: a list takes 36 bytes for a
place, an array 4, which is what counts where a large message is full of empty fields."""

VARINT_BYTES = 10
"""The longest encoding of 64 bits, 7 at a time."""

_COPIED_BYTES = 4096
"""Up to this size a message is copied, with all inside it: bytes are read faster than views of them."""

_SHORT_RUN = 64
"""Below this many bytes a Python loop over packed varints beats setting up numpy."""

_COUNT_CHUNK = 1 << 24

_NOTHING = memoryview(b"")


class Schema:
    """The names and numbers of the fields that a reader needs of a message type.

    Args:
        name: the message type's name, for error messages.
        fields: field numbers by field name.
    """

    __slots__ = ("name", "numbers", "tags")

    def __init__(self, name: str, /, **fields: int) -> None:
        self.name = name
        self.numbers = fields
        wires = (VARINT, FIXED64, LENGTH, FIXED32)
        self.tags = frozenset(number << 3 | wire for number in fields.values() for wire in wires)


def read_message(data: memoryview, schema: Schema) -> "Message":
    """The message that fills the given bytes.

    Args:
        data: the whole file, format "B", contiguous.
        schema: the outermost message's type.

    Raises:
        FormatError: the bytes are no message, or are cut short; so may any later step into a
            message inside this one.
    """
    return Message(_Document(data), schema, None, "", None, (0, data.nbytes))


class _Document:
    """The bytes that all messages of a file share, and how many fields may still be read."""

    __slots__ = ("data", "fields_left")

    def __init__(self, data: memoryview) -> None:
        self.data = data
        self.fields_left = FIELD_LIMIT

    def allows(self, fields: int) -> bool:
        """Whether so many fields more may be read; counts them."""
        self.fields_left -= fields
        return self.fields_left >= 0


class Varints:
    """A repeated integer field: its count is known at once, its values when they are asked for."""

    __slots__ = ("_data", "_values", "count")

    def __init__(self, data: memoryview, values: Sequence[int]) -> None:
        self._data = data
        self._values = values
        self.count = len(values) or _count_varints(data)

    def array(self) -> npt.NDArray[np.uint64]:
        """The values as unsigned 64-bit integers; view them as `int64` for signed fields.

        Raises:
            FormatError: an encoding that is too long.
        """
        if self._values:
            return np.array(self._values, dtype=np.uint64)
        return decode_varints(self._data)

    def integers(self) -> tuple[int, ...]:
        """The values as signed 64-bit integers.

        Raises:
            FormatError: an encoding that is too long.
        """
        values = self._values or _decode_few(self._data)
        if values is None:
            return tuple(self.array().view(np.int64).tolist())
        if values and max(values) >= 1 << 63:
            return tuple(_signed(value) for value in values)
        return tuple(values)


class Message:
    """A message whose fields were found; their contents are read when they are asked for.

    Attributes:
        depth: how many messages it is inside of.
        start: offset of the message's first byte in the file.
        raw: the bytes that its fields are places in: the file's, or a copy of some of them.
        base: offset of these in the file.
    """

    __slots__ = (
        *("_document", "_fields", "_index", "_label", "_parent", "_schema"),
        *("base", "depth", "raw", "start"),
    )

    def __init__(
        self,
        document: _Document,
        schema: Schema,
        parent: "Message | None",
        label: str,
        index: int | None,
        spans: Sequence[int],
    ) -> None:
        self._document = document
        self._schema = schema
        self._parent = parent
        self._label = label
        self._index = index
        raw: bytes | memoryview
        if parent is None:
            self.depth: int = 0
            raw, base = document.data, 0
        else:
            self.depth = parent.depth + 1
            raw, base = parent.raw, parent.base
        start, end = spans[0], spans[1]
        self.start: int = base + start
        if end - start <= _COPIED_BYTES and not isinstance(raw, bytes) and len(spans) == 2:
            raw, base = bytes(raw[start:end]), base + start
            start, end = 0, end - start
        # What the fields hold are places in `raw`, which begins at `base` of the file.
        self.raw: bytes | memoryview = raw
        self.base: int = base
        self._fields: dict[int, MutableSequence[int]] = {}
        if self.depth > DEPTH_LIMIT:
            raise FormatError(f"{self.path}: messages nest deeper than {DEPTH_LIMIT}")
        self._scan(start, end)
        for position in range(2, len(spans), 2):
            self._scan(spans[position], spans[position + 1])

    @property
    def path(self) -> str:
        """Where the message is: `ModelProto.graph.node[3]`."""
        if self._parent is None:
            return self._schema.name
        step = "" if self._index is None else f"[{self._index}]"
        return f"{self._parent.path}.{self._label}{step}"

    def error(self, text: str) -> FormatError:
        """An error about this message, to be raised: where it is, then the text."""
        return FormatError(f"{self.path} at byte {self.start}: {text}")

    def has(self, name: str) -> bool:
        """Whether the field is there, with any wire type."""
        tag = self._schema.numbers[name] << 3
        fields = self._fields
        return (
            tag | LENGTH in fields
            or tag | VARINT in fields
            or tag | FIXED32 in fields
            or tag | FIXED64 in fields
        )

    def numbers(self) -> frozenset[int]:
        """Numbers of the schema's fields that are there, for messages that are one of many kinds."""
        return frozenset(tag >> 3 for tag in self._fields)

    @property
    def fields(self) -> frozenset[str]:
        """Names of the schema's fields, whether they are there or not."""
        return frozenset(self._schema.numbers)

    def count(self, name: str) -> int:
        """How many length-delimited values the field has."""
        return len(self._spans(name)) // 2

    def text(self, name: str) -> str:
        """A string, or "". Bytes that are not UTF-8 are spelled as escapes, so nothing is lost."""
        spans = self._fields.get(self._schema.numbers[name] << 3 | LENGTH)
        if spans is None:
            return ""
        return str(self.raw[spans[-2] : spans[-1]], "utf-8", "backslashreplace")

    def texts(self, name: str) -> tuple[str, ...]:
        """Every string of a repeated field."""
        spans = self._spans(name)
        data = self.raw
        return tuple(
            [
                str(data[spans[at] : spans[at + 1]], "utf-8", "backslashreplace")
                for at in range(0, len(spans), 2)
            ]
        )

    def view(self, name: str) -> memoryview | None:
        """The bytes of a length-delimited field, shared with the file; None when it is absent."""
        spans = self._spans(name)
        if not spans:
            return None
        found = self._document.data[self.base + spans[-2] : self.base + spans[-1]]
        if found.nbytes >= RELEASED_BYTES:
            release(found)  # the fields around it were read, and its bytes came along
        return found

    def views(self, name: str) -> list[memoryview]:
        """The bytes of each value of a repeated length-delimited field, shared with the file."""
        spans, base = self._spans(name), self.base
        data = self._document.data
        return [data[base + spans[at] : base + spans[at + 1]] for at in range(0, len(spans), 2)]

    def pieces(self, name: str) -> list[bytes | memoryview]:
        """The same as `views`, but bytes where those were copied already, to look things up by."""
        spans, raw = self._spans(name), self.raw
        return [raw[spans[at] : spans[at + 1]] for at in range(0, len(spans), 2)]

    def message(self, name: str, schema: Schema) -> "Message | None":
        """The message in a singular field, or None."""
        spans = self._spans(name)
        if not spans:
            return None
        return Message(self._document, schema, self, name, None, spans)

    def messages(self, name: str, schema: Schema) -> Iterator["Message"]:
        """The messages of a repeated field, each scanned when it is reached."""
        spans = self._spans(name)
        document = self._document
        for index in range(len(spans) // 2):
            span = (spans[2 * index], spans[2 * index + 1])
            yield Message(document, schema, self, name, index, span)

    def message_at(self, name: str, schema: Schema, index: int) -> "Message":
        """One of the messages of a repeated field."""
        spans = self._spans(name)[2 * index : 2 * index + 2]
        return Message(self._document, schema, self, name, index, spans)

    def short_messages(self, name: str) -> "Iterator[list[tuple[int, bytes, int]] | None]":
        """The messages of a repeated field that hold texts and small messages only, undecoded.

        A list of each one's fields takes a fraction of the time that a `Message` does. It is None for
        a message that is large, holds anything else, or is damaged: `message_at` reads it, or says why
        it cannot be read.

        Yields:
            Number and bytes of each field in the file's order, and where in the file they begin.
        """
        spans, raw, base = self._spans(name), self.raw, self.base
        for at in range(0, len(spans), 2):
            start, end = spans[at], spans[at + 1]
            found = None
            if end - start <= _COPIED_BYTES and self.depth < DEPTH_LIMIT:
                found = _short_fields(bytes(raw[start:end]), base + start)
            yield None if found is None or not self._document.allows(len(found)) else found

    def outlines(self, name: str) -> "Iterator[list[tuple[int, int, int]] | None]":
        """The messages of a repeated field as tags and places, for those that hold little but one blob.

        Yields:
            See `outline`.
        """
        spans, base = self._spans(name), self.base
        for at in range(0, len(spans), 2):
            yield self.outline(base + spans[at], base + spans[at + 1])

    def outline(self, start: int, end: int) -> list[tuple[int, int, int]] | None:
        """A message inside this one as tags and places.

        Args:
            start: where in the file it begins.
            end: where it ends.

        Returns:
            Of each field in the file's order its tag, and the value of a number and 0, or where in the
            file its bytes begin and end. None for a message with other kinds of fields than numbers and
            length-delimited ones, with long tags, or damaged: `message_at` reads it, or says why not.
        """
        data: bytes | memoryview = self._document.data[start:end]
        if end - start <= _COPIED_BYTES:
            data = bytes(data)
        found = _outline(data, start) if self.depth < DEPTH_LIMIT else None
        return None if found is None or not self._document.allows(len(found)) else found

    def slice(self, start: int, end: int) -> memoryview:
        """Bytes of the file between two places that `outline` gave."""
        found = self._document.data[start:end]
        if found.nbytes >= RELEASED_BYTES:
            release(found)
        return found

    def integer(self, name: str, default: int = 0) -> int:
        """An integer or enum field as a signed 64-bit value."""
        values = self._fields.get(self._schema.numbers[name] << 3 | VARINT)
        if not values:
            return default
        value = values[-1]
        return value if value < 1 << 63 else value - (1 << 64)

    def integers(self, name: str) -> tuple[int, ...]:
        """A repeated integer field, packed or not, as signed 64-bit values."""
        return self.varints(name).integers()

    def varints(self, name: str) -> Varints:
        """A repeated integer field, packed or not, undecoded.

        Raises:
            FormatError: its last value is cut off.
        """
        tag = self._schema.numbers[name] << 3
        unpacked = self._fields.get(tag | VARINT, [])
        packed = self._packed(name) if tag | LENGTH in self._fields else _NOTHING
        if not packed.nbytes:
            return Varints(packed, unpacked)
        if unpacked:
            raise FormatError(f"{self.path}.{name} mixes packed and single values")
        if packed[-1] > 127:
            raise FormatError(f"{self.path}.{name} ends inside a number")
        return Varints(packed, unpacked)

    def float32(self, name: str, default: float = 0.0) -> float:
        """A `float` field."""
        places = self._fields.get(self._schema.numbers[name] << 3 | FIXED32)
        if not places:
            return default
        value: float = struct.unpack_from("<f", self.raw, places[-1])[0]
        return value

    def float64(self, name: str, default: float = 0.0) -> float:
        """A `double` field."""
        places = self._fields.get(self._schema.numbers[name] << 3 | FIXED64)
        if not places:
            return default
        value: float = struct.unpack_from("<d", self.raw, places[-1])[0]
        return value

    def fixed(self, name: str, width: int) -> memoryview:
        """A repeated fixed-size field, packed or not, as its little-endian elements back to back.

        A field packed in one piece is shared with the file; any other is copied together.

        Args:
            name: the field.
            width: bytes of an element: 4 or 8.

        Raises:
            FormatError: the packed bytes are no whole number of elements.
        """
        packed = self._packed(name)
        wire = FIXED32 if width == 4 else FIXED64
        places = self._fields.get(self._schema.numbers[name] << 3 | wire)
        if places:
            if packed.nbytes:
                raise FormatError(f"{self.path}.{name} mixes packed and single values")
            every = np.array(places)[:, None] + np.arange(width)
            packed = memoryview(np.frombuffer(self.raw, np.uint8)[every].tobytes())
        if packed.nbytes % width:
            raise FormatError(
                f"{self.path}.{name} holds {packed.nbytes} bytes, not a multiple of {width}"
            )
        return packed

    def float32s(self, name: str) -> tuple[float, ...]:
        """A repeated `float` field, packed or not."""
        return tuple(np.frombuffer(self.fixed(name, 4), dtype="<f4").tolist())

    def _spans(self, name: str) -> MutableSequence[int]:
        """Start and end of each value of a length-delimited field, in turn."""
        return self._fields.get(self._schema.numbers[name] << 3 | LENGTH, [])

    def _packed(self, name: str) -> memoryview:
        spans = self._spans(name)
        if len(spans) == 2:
            return self.view(name) or _NOTHING
        return memoryview(b"".join(self.views(name)))

    def _scan(self, position: int, end: int) -> None:
        """Finds every field between two offsets. Almost all reading time is spent here."""
        document = self._document
        data = self.raw
        fields = self._fields
        wanted = self._schema.tags
        left = document.fields_left
        is_large = end - position > _LIST_BYTES
        place = "I" if document.data.nbytes < 1 << 32 else "Q"
        while position < end:
            left -= 1
            if left < 0:
                raise FormatError(f"{self.path}: the file has more than {FIELD_LIMIT} fields")
            tag = data[position]
            begin = position
            position += 1
            if tag > 127:
                tag, position = self._varint(begin, end)
            values = fields.get(tag)
            if values is None:
                if tag < 8:
                    raise FormatError(
                        f"{self.path}: byte {self.base + begin} starts no field (number 0)"
                    )
                values = array("Q" if tag & 7 == VARINT else place) if is_large else []
                if tag in wanted:
                    fields[tag] = values
            wire = tag & 7
            if wire == LENGTH:
                if position >= end:
                    raise self._cut(begin, tag, 1, end)
                size = data[position]
                position += 1
                if size > 127:
                    size, position = self._varint(position - 1, end)
                values.append(position)
                position += size
                if position > end:
                    raise self._cut(begin, tag, position - end, end)
                values.append(position)
                if size >= RELEASED_BYTES:
                    release(document.data[position - size : position])  # nothing so large is copied
            elif wire == VARINT:
                if position >= end:
                    raise self._cut(begin, tag, 1, end)
                value = data[position]
                position += 1
                if value > 127:
                    value, position = self._varint(position - 1, end)
                values.append(value)
            elif wire in (FIXED32, FIXED64):
                values.append(position)
                position += 4 if wire == FIXED32 else 8
                if position > end:
                    raise self._cut(begin, tag, position - end, end)
                if tag < 128 and position < end and data[position] == tag:
                    size = position - begin
                    more = min(_run(data, position, end, size), left)
                    values.extend(range(position + 1, position + more * size, size))
                    left -= more
                    position += more * size
            elif wire == GROUP:
                position = self._after_group(position, end, tag >> 3)
            else:
                raise FormatError(
                    f"{self.path}: byte {self.base + begin} starts a field of wire type {wire}, "
                    "which does not belong here"
                )
        document.fields_left = left

    def _varint(self, position: int, end: int) -> tuple[int, int]:
        """A varint's value, modulo 2**64, and the offset after it."""
        data = self.raw
        value = 0
        begin = position
        for shift in range(0, 7 * VARINT_BYTES, 7):
            if position >= end:
                raise self._cut(begin, None, 1, end)
            byte = data[position]
            position += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value & 0xFFFF_FFFF_FFFF_FFFF, position
        raise FormatError(
            f"{self.path}: the number at byte {self.base + begin} has more than 10 bytes"
        )

    def _after_group(self, position: int, end: int, number: int) -> int:
        """The offset after a group (a retired encoding of messages), whose contents are skipped."""
        document = self._document
        open_groups = [number]
        while open_groups:
            document.fields_left -= 1
            if len(open_groups) > DEPTH_LIMIT or document.fields_left < 0:
                raise FormatError(f"{self.path}: groups nest too deep, or hold too many fields")
            begin = position
            tag, position = self._varint(position, end)
            wire = tag & 7
            if wire == GROUP:
                open_groups.append(tag >> 3)
            elif wire == GROUP_END:
                if open_groups.pop() != tag >> 3:
                    raise FormatError(
                        f"{self.path}: byte {self.base + begin} ends a group that is not open"
                    )
            elif wire == VARINT:
                _, position = self._varint(position, end)
            elif wire == LENGTH:
                size, position = self._varint(position, end)
                position += size
            elif wire in (FIXED32, FIXED64):
                position += 4 if wire == FIXED32 else 8
            else:
                raise FormatError(
                    f"{self.path}: byte {self.base + begin} has the unknown wire type {wire}"
                )
            if position > end:
                raise self._cut(begin, tag, position - end, end)
        return position

    def _cut(self, begin: int, tag: int | None, missing: int, end: int) -> FormatError:
        """The error for a field that runs past the end of its message, or of the file."""
        names = {number: name for name, number in self._schema.numbers.items()}
        what = "number" if tag is None else f"field {names.get(tag >> 3, tag >> 3)}"
        begin, end = self.base + begin, self.base + end
        if end == self._document.data.nbytes:
            outcome = f"runs past the end of the file: {missing} bytes or more are missing"
        else:
            outcome = f"runs {missing} bytes past the end of its message at byte {end}"
        return FormatError(f"{self.path}: the {what} at byte {begin} {outcome}")


def _run(data: bytes | memoryview, position: int, end: int, step: int) -> int:
    """How many whole fields with the same one-byte tag follow each other, `step` bytes apart."""
    whole = (end - position) // step
    tags = np.frombuffer(data, np.uint8, whole * step, position)[::step]
    other = np.flatnonzero(tags != data[position])
    return int(other[0]) if other.size else whole


def _short_fields(data: bytes, base: int) -> list[tuple[int, bytes, int]] | None:
    """The fields of a message if all are length-delimited and below number 16, else None."""
    found: list[tuple[int, bytes, int]] = []
    position, end = 0, len(data)
    try:
        while position < end:
            tag = data[position]
            size = data[position + 1]
            position += 2
            if size > 127:
                high = data[position]
                position += 1
                if high > 127:
                    return None
                size += (high - 1) << 7
            if tag & 7 != LENGTH or not 8 < tag < 128:
                return None
            found.append((tag >> 3, data[position : position + size], base + position))
            position += size
    except IndexError:
        return None
    return found if position == end else None


def _outline(data: bytes | memoryview, base: int) -> list[tuple[int, int, int]] | None:
    """Tags and places of a message's fields, see `Message.outline`."""
    found: list[tuple[int, int, int]] = []
    position, end = 0, len(data)
    try:
        while position < end:
            tag = data[position]
            position += 1
            if tag > 127:
                high = data[position]
                position += 1
                if high > 127:
                    return None
                tag += (high - 1) << 7
            value = data[position]
            position += 1
            if value > 127:
                shift = 7
                value &= 127
                while True:
                    byte = data[position]
                    position += 1
                    value |= (byte & 127) << shift
                    if byte < 128:
                        break
                    shift += 7
                    if shift > 56:
                        return None
            if tag < 8:
                return None
            if tag & 7 == VARINT:
                found.append((tag, value, 0))
            elif tag & 7 == LENGTH:
                start = base + position
                position += value
                found.append((tag, start, start + value))
            else:
                return None
    except IndexError:
        return None
    return found if position == end else None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadField:
    """A field seen at the start of a file.

    Attributes:
        number: the field's number.
        wire: its wire type.
        value: the number in a varint field, else 0.
        data: the bytes of any other field, as far as they were seen.
        whole: whether all of the field was seen.
    """

    number: int
    wire: int
    value: int = 0
    data: bytes = b""
    whole: bool = True


def head_fields(head: bytes, *, whole: bool = False) -> Iterator[HeadField]:
    """The outermost fields of a message of which only the start is known.

    The last field may be incomplete; a field whose tag or length is cut off is left out.

    Args:
        head: the message, as far as it was seen.
        whole: all of the message was seen, so no field may reach beyond it.

    Raises:
        FormatError: a field number or wire type that no message has, or a field that is cut off in a
            whole message. Groups count as such: none of the formats read here has any.
    """
    position = 0
    while position < len(head):
        tag, position = _head_varint(head, position)
        if tag is None:
            return
        number, wire = tag >> 3, tag & 7
        if number == 0 or number >= 1 << 29:
            raise FormatError(f"byte {position} follows the impossible field number {number}")
        if wire == VARINT:
            value, position = _head_varint(head, position)
            if value is None:
                return
            yield HeadField(number=number, wire=wire, value=value)
            continue
        if wire == LENGTH:
            size, position = _head_varint(head, position)
            if size is None:
                return
        elif wire in (FIXED32, FIXED64):
            size = 4 if wire == FIXED32 else 8
        else:
            raise FormatError(f"byte {position} follows the unexpected wire type {wire}")
        data = head[position : position + size]
        if whole and len(data) < size:
            raise FormatError(f"a field of {size} bytes at byte {position} of {len(head)}")
        yield HeadField(number=number, wire=wire, data=data, whole=len(data) == size)
        position += size


def _head_varint(head: bytes, position: int) -> tuple[int | None, int]:
    value = 0
    for shift in range(0, 7 * VARINT_BYTES, 7):
        if position >= len(head):
            return None, position
        byte = head[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
    raise FormatError(f"the number before byte {position} has more than 10 bytes")


def decode_varints(data: memoryview) -> npt.NDArray[np.uint64]:
    """The values of packed varints, modulo 2**64.

    Raises:
        FormatError: an encoding that is too long, or that is cut off at the end.
    """
    few = _decode_few(data)
    if few is not None:
        return np.array(few, dtype=np.uint64)
    raw = np.frombuffer(data, dtype=np.uint8)
    last = np.flatnonzero(raw < 128)
    if raw[-1] > 127:
        raise FormatError("packed numbers end inside a number")
    first = np.concatenate((np.zeros(1, dtype=last.dtype), last[:-1] + 1))
    sizes = last - first + 1
    longest = int(sizes.max())
    if longest > VARINT_BYTES:
        raise FormatError(f"a packed number has {longest} bytes, 10 are the most")
    values = (raw[first] & 127).astype(np.uint64)
    for byte in range(1, longest):
        longer = np.flatnonzero(sizes > byte)
        part = (raw[first[longer] + byte] & 127).astype(np.uint64)
        values[longer] |= part << np.uint64(7 * byte)
    return values


def _decode_few(data: memoryview) -> list[int] | None:
    """The values of a short run, for which numpy does not pay; None for a long one."""
    if data.nbytes > _SHORT_RUN:
        return None
    values: list[int] = []
    value = shift = 0
    for byte in data:
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            values.append(value & 0xFFFF_FFFF_FFFF_FFFF)
            value = shift = 0
        elif shift >= 7 * VARINT_BYTES:
            raise FormatError("a packed number has more than 10 bytes")
    if shift:
        raise FormatError("packed numbers end inside a number")
    return values


def _count_varints(data: memoryview) -> int:
    """How many varints are packed in the bytes: those below 128 end one."""
    if data.nbytes <= _SHORT_RUN:
        return sum(byte < 128 for byte in data)
    raw = np.frombuffer(data, dtype=np.uint8)
    chunks = (raw[at : at + _COUNT_CHUNK] for at in range(0, raw.size, _COUNT_CHUNK))
    return sum(int(np.count_nonzero(chunk < 128)) for chunk in chunks)


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value
