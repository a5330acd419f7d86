"""Names in a dex file: types, classes, methods, strings, from its tables alone. No code is decoded.

Tables are looked at through numpy, and a search for a prefix costs a binary search, so that a scan
of a package need not decode its (often 100,000) strings.

**Source:** https://source.android.com/docs/core/runtime/dex-format (header_item, *_id_item,
class_def_item, string_data_item); integers are little-endian, strings are MUTF-8.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gaugenn.errors import FormatError

DEX_MAGIC = b"dex\n"
_HEADER_BYTES = 0x70
_STRINGS, _TYPES, _METHODS, _CLASSES = 0x38, 0x40, 0x58, 0x60
_MOST_ROWS = 1 << 16  # of types, methods and classes, whose numbers have 16 bits
_MOST_STRINGS = 1 << 22
_METHOD_BYTES, _CLASS_BYTES = 8, 32
_NO_TEXT = 1 << 40
_WINDOW = 96  # bytes looked at together; longer texts are looked at one by one

_Words = npt.NDArray[np.int64]
_Keys = npt.NDArray[np.uint64]


def is_dex(head: bytes) -> bool:
    """Whether the bytes start a dex file of any version."""
    return head[:4] == DEX_MAGIC and head[4:7].isdigit() and head[7:8] == b"\0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A method that the code calls or defines: descriptor of its class, and its name."""

    owner: str
    name: str


class Prefixes:
    """Prefixes to search for together, arranged as a tree of blocks of eight bytes.

    Attributes:
        lows, highs: smallest and largest eight bytes that a block stands for, big-endian.
        ends: for each block the prefixes that end with it.
        below: for each block the prefixes that go on behind it; None where there are none.
    """

    __slots__ = ("below", "ends", "highs", "lows")

    def __init__(self, prefixes: Iterable[bytes], *, at: int = 0) -> None:
        blocks: dict[bytes, list[bytes]] = {}
        for prefix in prefixes:
            blocks.setdefault(prefix[at : at + 8], []).append(prefix)
        self.lows = _numbers(block.ljust(8, b"\0") for block in blocks)
        self.highs = _numbers(block.ljust(8, b"\xff") for block in blocks)
        self.ends = [[p for p in some if len(p) <= at + 8] for some in blocks.values()]
        longer = [[p for p in some if len(p) > at + 8] for some in blocks.values()]
        self.below = [Prefixes(some, at=at + 8) if some else None for some in longer]


def _numbers(blocks: Iterable[bytes]) -> _Keys:
    return np.array([int.from_bytes(block, "big") for block in blocks], dtype=np.uint64)


class Names:
    """Texts of a dex by index, with a search by prefix.

    Args:
        data: the dex file.
        starts: offset of each text's first byte; an offset outside the file is an empty text.
    """

    __slots__ = ("_data", "_keys", "_order", "_starts")

    def __init__(self, data: memoryview, starts: _Words) -> None:
        self._data = data
        self._starts = starts
        self._order: _Words = starts
        self._keys: _Keys | None = None

    def __len__(self) -> int:
        return len(self._starts)

    def get(self, index: int) -> str:
        """The text of that index; empty where there is none."""
        if not 0 <= index < len(self._starts):
            return ""
        return self.raw(index).decode(errors="replace")

    def raw(self, index: int) -> bytes:
        """The text's MUTF-8 bytes, up to its NUL or the end of the file."""
        start, length = int(self._starts[index]), 128
        while True:
            piece = bytes(self._data[start : start + length])
            end = piece.find(b"\0")
            if end >= 0:
                return piece[:end]
            if len(piece) < length:
                return piece
            length *= 8

    def count_short_last_parts(self, rows: _Words, longest: int) -> int:
        """How many of the texts have at most so many bytes behind their last `/`.

        Args:
            rows: indices of texts.
            longest: bytes.
        """
        size = self._data.nbytes
        starts = self._starts[rows]
        inside = starts <= size - _WINDOW
        shape = (max(0, size - _WINDOW + 1), _WINDOW)
        buffer = self._data if shape[0] else np.zeros(0, dtype=np.uint8)
        every = np.ndarray(shape, dtype=np.uint8, buffer=buffer, strides=(1, 1))
        windows = every[starts[inside]]
        nul = windows == 0
        ends = nul.argmax(axis=1)
        before = ends[:, None] - np.arange(1, longest + 2)
        slashes = np.take_along_axis(windows, np.maximum(before, 0), axis=1) == ord("/")
        short = (slashes & (before >= 0)).any(axis=1) | (ends <= longest)
        ended = nul.any(axis=1)
        others = np.concatenate([rows[inside][~ended], rows[~inside]])
        texts = (self.raw(row) for row in others.tolist())
        return int(np.count_nonzero(short & ended)) + sum(
            len(text.rpartition(b"/")[2]) <= longest for text in texts
        )

    def with_prefix(self, prefix: bytes) -> list[int]:
        """Indices of the texts that start with the prefix."""
        return self.with_prefixes(Prefixes([prefix])).get(prefix, [])

    def with_prefixes(self, prefixes: "Prefixes") -> dict[bytes, list[int]]:
        """For each prefix that occurs, the indices of the texts that start with it.

        The tables are sorted by specification; where one is not, it is sorted first.
        """
        if self._keys is None:
            keys = self._eight_bytes(self._starts)
            self._order = np.arange(len(keys), dtype=np.int64)
            if not _sorted(keys):
                self._order = np.argsort(keys, kind="stable")
                keys = keys[self._order]
            self._keys = keys
        found: dict[bytes, list[int]] = {}
        pending = [(prefixes, self._keys, self._order, 0)]
        while pending:
            node, keys, rows, at = pending.pop()
            left = keys.searchsorted(node.lows, side="left")
            right = keys.searchsorted(node.highs, side="right")
            for index in np.flatnonzero(left < right).tolist():
                part = slice(left[index], right[index])
                for whole in node.ends[index]:
                    found[whole] = rows[part].tolist()
                below = node.below[index]
                if below is not None:
                    inner = rows[part]
                    inner_keys = self._eight_bytes(self._starts[inner] + at + 8)
                    if not _sorted(inner_keys):
                        order = np.argsort(inner_keys, kind="stable")
                        inner_keys, inner = inner_keys[order], inner[order]
                    pending.append((below, inner_keys, inner, at + 8))
        return found

    def _eight_bytes(self, starts: _Words) -> _Keys:
        """The eight bytes at each offset as big-endian numbers, so that they sort like the texts."""
        size = self._data.nbytes
        if size < 8:
            return np.zeros(len(starts), dtype=np.uint64)
        every = np.ndarray((size - 7,), dtype=">u8", buffer=self._data, strides=(1,))
        inside = starts <= size - 8
        keys = every[np.where(inside, starts, 0)].astype(np.uint64)
        if not inside.all():
            for row in np.flatnonzero(~inside).tolist():
                start = int(starts[row])
                tail = bytes(self._data[start : start + 8]) if start < size else b""
                keys[row] = int.from_bytes(tail.ljust(8, b"\0"), "big")
        return keys


def _sorted(keys: _Keys) -> bool:
    return bool((keys[:-1] <= keys[1:]).all())


class Dex:
    """The tables of a dex file.

    Attributes:
        strings: every string constant and name.
        types: descriptors of every type that is mentioned (`Lorg/example/Name;`, `[I`, ...).

    Raises:
        FormatError: no dex magic, or a header that does not fit the file.
    """

    __slots__ = ("_data", "_string_of_type", "strings", "types")

    def __init__(self, data: memoryview) -> None:
        if not is_dex(bytes(data[:8])):
            raise FormatError("dex: expected the bytes 'dex\\n', a version and NUL at the start")
        if data.nbytes < _HEADER_BYTES:
            raise FormatError(f"dex: {data.nbytes} bytes, the header alone has {_HEADER_BYTES}")
        self._data = data
        offsets = self._table(_STRINGS, 4)[:, 0]
        starts = self._text_starts(offsets)
        self.strings = Names(data, starts)
        self._string_of_type = self._table(_TYPES, 4)[:, 0]
        self.types = Names(data, _take(starts, self._string_of_type))

    def _table(self, field: int, width: int) -> _Words:
        """A table as rows of 32-bit words; rows past the end of the file are left out."""
        count, offset = struct.unpack_from("<II", self._data, field)
        inside = max(0, self._data.nbytes - offset) // width
        count = min(count, inside, _MOST_STRINGS if field == _STRINGS else _MOST_ROWS)
        if not count or not offset:
            return np.zeros((0, width // 4), dtype=np.int64)
        words = np.frombuffer(self._data, dtype="<u4", count=count * width // 4, offset=offset)
        return words.reshape(count, width // 4).astype(np.int64)

    def _text_starts(self, offsets: _Words) -> _Words:
        """Skips the variable-length count before each text."""
        raw = np.frombuffer(self._data, dtype=np.uint8)
        if not len(offsets):
            return offsets
        inside = offsets < len(raw)
        starts = offsets + inside
        open_rows = np.flatnonzero(inside & (raw[np.minimum(offsets, len(raw) - 1)] >= 0x80))
        for _ in range(4):
            open_rows = open_rows[starts[open_rows] < len(raw)]
            if not len(open_rows):
                break
            more = raw[starts[open_rows]] >= 0x80
            starts[open_rows] += 1
            open_rows = open_rows[more]
        return starts

    def defined_types(self) -> npt.NDArray[np.bool_]:
        """For each type whether this dex defines it (has its class), rather than only uses it."""
        defined = np.zeros(len(self.types), dtype=np.bool_)
        rows = self._table(_CLASSES, _CLASS_BYTES)[:, 0]
        defined[rows[rows < len(defined)]] = True
        return defined

    def classes(self) -> list[str]:
        """Descriptors of the classes that this dex defines."""
        rows = self._table(_CLASSES, _CLASS_BYTES)[:, 0].tolist()
        return [self.types.get(row) for row in rows]

    def methods(self) -> Iterator[Method]:
        """Every method that is mentioned."""
        for low, name in self._table(_METHODS, _METHOD_BYTES).tolist():
            yield Method(owner=self.types.get(low & 0xFFFF), name=self.strings.get(name))

    def owners(self, names: list[int]) -> set[str]:
        """Descriptors of the classes of which a method with one of these names is mentioned.

        Args:
            names: indices into `strings`.
        """
        table = self._table(_METHODS, _METHOD_BYTES)
        rows = np.isin(table[:, 1], names)
        return {self.types.get(low & 0xFFFF) for low in table[rows, 0].tolist()}


def _take(starts: _Words, rows: _Words) -> _Words:
    """`starts[rows]`, with rows out of range giving no text."""
    if not len(starts):
        return np.full(len(rows), _NO_TEXT, dtype=np.int64)
    return np.where(rows < len(starts), starts[np.minimum(rows, len(starts) - 1)], _NO_TEXT)
