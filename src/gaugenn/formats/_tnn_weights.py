"""The weights of a TNN model: buffers by layer, each with its type and length before it.

Integers are little-endian and of 32 bits; a text is its length and its bytes. The file is a magic
number (absent in early files), the number of layers, and for each a number that is not used, its type,
its name and its resource; then, in newer files, constants by name. A buffer is a magic number, an
element type, a length in bytes and, unless that is 0, in the second version a rank and sizes, then the
bytes. A resource is the layer's name and whether there is a bias, as far as its type has them, then
buffers.

**Source:** https://github.com/Tencent/TNN/tree/master/source/tnn/interpreter/tnn (objseri.h,
model_interpreter.h, model_packer.cc, layer_interpreter)
"""

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass

from gaugenn.errors import FormatError, UnsupportedFormatError
from gaugenn.graph import DataType

_PLAIN_BUFFER = 0xFABC0002
_SHAPED_BUFFERS = frozenset({0xFABC0003, 0xFABC0004})
"""Magic numbers of buffers, and of files; those of the second version have sizes."""

_MAGICS = {_PLAIN_BUFFER, *_SHAPED_BUFFERS}

ELEMENT_TYPES: Mapping[int, DataType] = {
    0: DataType.FLOAT32,
    1: DataType.FLOAT16,
    2: DataType.INT8,
    3: DataType.INT32,
    4: DataType.BFLOAT16,
}
"""**Source:** https://github.com/Tencent/TNN/blob/master/include/tnn/core/common.h"""

_LAYERS_LIMIT = 10_000
_TEXT_LIMIT = 4096
_RANK_LIMIT = 8
_COUNT_MASK = 0x1FFF_FFFF
"""Bits of the number of layers that count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Buffer:
    """Numbers of a layer.

    Attributes:
        dtype: of the elements.
        shape: as stored; one dimension where the file gives none.
        data: shared with the file.
    """

    dtype: DataType
    shape: tuple[int, ...]
    data: memoryview


@dataclass(frozen=True, slots=True, kw_only=True)
class _Resource:
    """What a layer type keeps: its name again, a flag for the bias, and its buffers at least."""

    named: bool = False
    flagged: bool = False
    labels: tuple[str, ...] = ("weight",)


_CONVOLUTION = _Resource(named=True, flagged=True)
_AFFINE = _Resource(labels=("scale", "bias"))
_RESOURCES: Mapping[str, _Resource] = {
    **dict.fromkeys(
        ("Convolution", "Deconvolution", "Convolution1D", "Convolution3D"), _CONVOLUTION
    ),
    "InnerProduct": _Resource(named=True, labels=("weight", "bias")),
    "Scale": _Resource(named=True, flagged=True, labels=("scale",)),
    "PReLU": _Resource(named=True, labels=("slope",)),
    **dict.fromkeys(("BatchNormCxx", "InstBatchNormCxx", "BlobScale"), _AFFINE),
    **dict.fromkeys(("Add", "Sub", "Mul", "Div", "Maximum", "Minimum", "MatMul"), _Resource()),
}
_QUANTIZED = frozenset({*(name for name, kind in _RESOURCES.items() if kind is _CONVOLUTION)}) | {
    "InnerProduct",
    "MatMul",
}
"""Types whose 8-bit weights are followed by scales, or by zero points and scales."""


def read_weights(data: memoryview) -> dict[str, dict[str, Buffer]]:
    """The buffers of each layer by label: `weight`, `bias`, `scale`, `slope`, `zero_point`.

    Raises:
        FormatError: cut off, or sizes that contradict each other.
        UnsupportedFormatError: a layer type whose resource has another form.
    """
    return _Reader(data).layers()


class _Reader:
    """Takes values one after the other."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._at = 4 if self._next_is_magic() else 0

    _at: int = 0

    def layers(self) -> dict[str, dict[str, Buffer]]:
        count = self._integer() & _COUNT_MASK
        if not 0 < count < _LAYERS_LIMIT:
            raise FormatError(f"{count} layers are said to have weights")
        found: dict[str, dict[str, Buffer]] = {}
        for index in range(count):
            self._integer()
            kind, name = self._text(), self._text()
            found[name] = self._resource(kind.removeprefix("Quantized"), last=index == count - 1)
        return found

    def _resource(self, kind: str, *, last: bool) -> dict[str, Buffer]:
        known = _RESOURCES.get(kind)
        if known is None:
            raise UnsupportedFormatError(f"weights of a layer of type {kind[:40]!r}")
        if known.named:
            self._text()
        has_bias = bool(self._integer()) if known.flagged else False
        found: dict[str, Buffer] = {}
        for label in (*known.labels, *(("bias",) if has_bias else ())):
            self._add(found, label, self._buffer())
        weight = found.get("weight")
        if kind in _QUANTIZED and weight is not None and weight.dtype is DataType.INT8:
            buffer = self._buffer()
            if buffer is not None and buffer.dtype is DataType.INT8:
                self._add(found, "zero_point", buffer)
                buffer = self._buffer()
            self._add(found, "scale", buffer)
        while not last and self._next_is_magic():
            self._buffer()  # what later versions added
        return found

    @staticmethod
    def _add(found: dict[str, Buffer], label: str, buffer: Buffer | None) -> None:
        if buffer is not None:
            found[label] = buffer

    def _buffer(self) -> Buffer | None:
        magic = self._integer() & 0xFFFF_FFFF
        if magic not in _MAGICS:
            raise FormatError(f"no buffer begins at byte {self._at - 4}")
        kind, length = self._integer(), self._integer()
        if length <= 0:
            return None
        dtype = ELEMENT_TYPES.get(kind)
        if dtype is None or dtype.bits is None:
            raise UnsupportedFormatError(f"a buffer of element type {kind}")
        elements = length * 8 // dtype.bits
        shape: tuple[int, ...] = ()
        if magic in _SHAPED_BUFFERS:
            rank = self._integer()
            if not 0 <= rank <= _RANK_LIMIT:
                raise FormatError(f"a buffer of {rank} dimensions at byte {self._at}")
            shape = tuple(self._integer() for _ in range(rank))
        if min(shape, default=1) < 0 or (shape and math.prod(shape) != elements):
            raise FormatError(f"a buffer of {length} bytes and sizes {shape} at byte {self._at}")
        return Buffer(dtype=dtype, shape=shape or (elements,), data=self._take(length))

    def _next_is_magic(self) -> bool:
        here = self._data[self._at : self._at + 4]
        return int.from_bytes(here, "little") in _MAGICS

    def _integer(self) -> int:
        found: int = struct.unpack("<i", self._take(4))[0]
        return found

    def _text(self) -> str:
        length = self._integer()
        if not 0 <= length <= _TEXT_LIMIT:
            raise FormatError(f"a name of {length} bytes at byte {self._at - 4}")
        return bytes(self._take(length)).decode("utf-8", "backslashreplace")

    def _take(self, count: int) -> memoryview:
        if count > self._data.nbytes - self._at:
            raise FormatError(
                f"{count} bytes are expected at byte {self._at}, the file has {self._data.nbytes}: "
                "cut off"
            )
        self._at += count
        return self._data[self._at - count : self._at]
