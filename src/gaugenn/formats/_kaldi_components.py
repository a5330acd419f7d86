"""Kaldi's components: tokens in pointed brackets, each before a value in binary.

A number is a byte that says its width, then itself. A matrix is `FM ` (or `DM ` of 64 bits), rows and
columns as such numbers, the elements by rows; a vector is `FV `, its size, the elements.

**Source:** https://github.com/kaldi-asr/kaldi/blob/master/src/nnet3/nnet-nnet.cc (order of the parts),
https://github.com/kaldi-asr/kaldi/blob/master/src/matrix/kaldi-matrix.cc (matrices)
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from gaugenn.errors import FormatError, UnsupportedFormatError
from gaugenn.graph import DataType, Tensor, TensorKind

_NAME = re.compile(rb"<ComponentName> ([^\s<>]{1,200}) <([A-Za-z]\w{1,80})> ")
_KINDS = {
    b"FM": (2, DataType.FLOAT32),
    b"DM": (2, DataType.FLOAT64),
    b"FV": (1, DataType.FLOAT32),
    b"DV": (1, DataType.FLOAT64),
}
_MOST_OFFSETS = 1 << 10


@dataclass(frozen=True, slots=True)
class Component:
    """A component: its values lie between two offsets of the file."""

    name: str
    type: str
    data: memoryview
    start: int
    end: int

    def _behind(self, token: str, start: int) -> int | None:
        found = re.compile(f"<{token}> ".encode()).search(self.data, start, self.end)
        return None if found is None else found.end()

    def integer(self, token: str) -> int | None:
        """The 32-bit number behind a token, or None."""
        at = self._behind(token, self.start)
        return None if at is None else _number(self.data, at, self.end)

    def integers(self, token: str) -> tuple[int, ...]:
        """The 32-bit numbers behind a token; () where it is missing."""
        at = self._behind(token, self.start)
        if at is None:
            return ()
        count = _number(self.data, at, self.end)
        at += 5
        if not 0 <= count <= _MOST_OFFSETS or at + 4 * count > self.end:
            raise FormatError(f"Kaldi component {self.name!r} has {count} numbers as {token}")
        return tuple(memoryview(bytes(self.data[at : at + 4 * count])).cast("i"))

    def arrays(self, *tokens: str) -> Iterator[Tensor]:
        """The matrices and vectors behind tokens, which come in this order.

        Raises:
            FormatError: elements beyond the component.
            UnsupportedFormatError: a compressed matrix.
        """
        start = self.start
        for token in tokens:
            at = self._behind(token, start)
            if at is None:
                continue
            tensor, start = _array(self.data, at, self.end, f"{self.name}/{token}")
            yield tensor


def read_components(data: memoryview, start: int, end: int) -> dict[str, Component]:
    """The components between two offsets, by name.

    Raises:
        FormatError: two of one name.
    """
    heads = list(_NAME.finditer(data, start, end))
    found: dict[str, Component] = {}
    for place, head in enumerate(heads):
        name = head[1].decode("utf-8", "backslashreplace")
        stop = heads[place + 1].start() if place + 1 < len(heads) else end
        if name in found:
            raise FormatError(f"two Kaldi components are called {name[:80]!r}")
        kind = head[2].decode("ascii").removesuffix("Component")
        found[name] = Component(name, kind, data, head.end(), stop)
    return found


def _number(data: memoryview, at: int, end: int) -> int:
    if at + 5 > end or data[at] != 4:
        raise FormatError(f"no 32-bit number at byte {at} of a Kaldi component")
    return int.from_bytes(data[at + 1 : at + 5], "little", signed=True)


def _array(data: memoryview, at: int, end: int, name: str) -> tuple[Tensor, int]:
    kind = bytes(data[at : at + 2])
    if kind == b"CM":
        raise UnsupportedFormatError(f"the Kaldi matrix {name!r} is compressed")
    if kind not in _KINDS or bytes(data[at + 2 : at + 3]) != b" ":
        raise FormatError(f"no matrix or vector at byte {at}, where {name!r} should be")
    rank, dtype = _KINDS[kind]
    at += 3
    shape = tuple(_number(data, at + 5 * axis, end) for axis in range(rank))
    at += 5 * rank
    if min(shape) < 0:
        raise FormatError(f"the Kaldi matrix {name!r} has the sizes {shape}")
    elements = 1
    for size in shape:
        elements *= size
    size_bytes = dtype.size_bytes(elements) or 0
    if at + size_bytes > end:
        raise FormatError(f"the Kaldi matrix {name!r} ends at byte {at + size_bytes} of {end}")
    held = data[at : at + size_bytes]
    tensor = Tensor(name=name, dtype=dtype, shape=shape, data=held, kind=TensorKind.CONSTANT)
    return tensor, at + size_bytes
