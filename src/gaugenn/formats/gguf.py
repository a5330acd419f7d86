"""GGUF: named tensors, most of them in quantised blocks, behind a table of facts about the model."""

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gaugenn.content import Content
from gaugenn.errors import FormatError, UnsupportedFormatError
from gaugenn.formats._contract import FormatReader
from gaugenn.formats._weights_only import weights_model
from gaugenn.graph import DataType, LazyBytes, Model, Quantization, Tensor, TensorKind

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_DEFAULT_ALIGNMENT = 32
_LARGEST_ALIGNMENT = 1 << 16
_LONGEST_VALUE = 200
_RANK_LIMIT = 8
_TEXT, _ARRAY = 8, 9
_SCALARS: Mapping[int, str] = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
"""Value types by number, as struct codes."""

_PLAIN: Mapping[int, DataType] = {
    0: DataType.FLOAT32,
    1: DataType.FLOAT16,
    24: DataType.INT8,
    25: DataType.INT16,
    26: DataType.INT32,
    27: DataType.INT64,
    28: DataType.FLOAT64,
    30: DataType.BFLOAT16,
}


@dataclass(frozen=True, slots=True)
class _Blocks:
    """A quantised type.

    Attributes:
        name: as GGUF spells it.
        elements: that share a block.
        size_bytes: of a block.
    """

    name: str
    elements: int
    size_bytes: int


_BLOCKS: Mapping[int, _Blocks] = {
    2: _Blocks("Q4_0", 32, 18),
    3: _Blocks("Q4_1", 32, 20),
    6: _Blocks("Q5_0", 32, 22),
    7: _Blocks("Q5_1", 32, 24),
    8: _Blocks("Q8_0", 32, 34),
    10: _Blocks("Q2_K", 256, 84),
    11: _Blocks("Q3_K", 256, 110),
    12: _Blocks("Q4_K", 256, 144),
    13: _Blocks("Q5_K", 256, 176),
    14: _Blocks("Q6_K", 256, 210),
    15: _Blocks("Q8_K", 256, 292),
    16: _Blocks("IQ2_XXS", 256, 66),
    17: _Blocks("IQ2_XS", 256, 74),
    18: _Blocks("IQ3_XXS", 256, 98),
    19: _Blocks("IQ1_S", 256, 50),
    20: _Blocks("IQ4_NL", 32, 18),
    21: _Blocks("IQ3_S", 256, 110),
    22: _Blocks("IQ2_S", 256, 82),
    23: _Blocks("IQ4_XS", 256, 136),
    29: _Blocks("IQ1_M", 256, 56),
    34: _Blocks("TQ1_0", 256, 54),
    35: _Blocks("TQ2_0", 256, 66),
    39: _Blocks("MXFP4", 32, 17),
}
"""**Source:** https://github.com/ggml-org/llama.cpp/blob/master/gguf-py/gguf/constants.py"""


class GgufReader(FormatReader):
    """Reads the tensors. There is no graph: the remark is `weights-only`.

    `Q4_0` and `Q8_0` are blocks of integers with a scale each, and are given so, the scales in a tensor
    of their own. Other block types (with minima, or scales of scales) have no such form: their bytes
    are given as they stand, under the true shape, with an unknown element type and the remark
    `weights-packed`; digests and counts hold for them, statistics of values do not. In the metadata
    `tensor_type.<TYPE>` counts the tensors of each type. A file without tensors has the remark
    `vocabulary-only`.
    """

    title = "GGUF"
    spec = "https://github.com/ggml-org/ggml/blob/master/docs/gguf.md"
    suffixes = (".gguf",)
    magics = ((0, _MAGIC),)

    def sniff(self, name: str, head: bytes) -> bool:
        """By the magic text and a version in one of the two byte orders."""
        del name
        return head.startswith(_MAGIC) and len(head) >= 24 and (0 in head[4:8])

    def read(self, content: Content) -> Model:
        """Reads facts and tensors.

        Raises:
            FormatError: cut off, or tensors that lie beyond the end.
            UnsupportedFormatError: another version, byte order or tensor type.
        """
        return _Reader(content).model()


class _Reader:
    """Takes values one after the other."""

    def __init__(self, content: Content) -> None:
        self._data = content.data
        self._where = content.name
        self._at = len(_MAGIC)
        self._metadata: dict[str, str] = {}
        self._notes: set[str] = set()
        self._alignment = _DEFAULT_ALIGNMENT

    def model(self) -> Model:
        version = self._number("I")
        if version not in _VERSIONS:
            what = "of the other byte order" if version > 0xFFFF else f"of version {version}"
            raise UnsupportedFormatError(f"{self._where}: GGUF {what}; versions 2 and 3 are read")
        tensors, facts = self._number("Q"), self._number("Q")
        for _ in range(self._checked(facts, 13)):
            self._fact()
        described = [self._described() for _ in range(self._checked(tensors, 24))]
        start = -(-self._at // self._alignment) * self._alignment
        held: list[Tensor] = []
        counted: dict[str, int] = {}
        for name, shape, kind, offset in described:
            held += self._tensor(name, shape, kind, start + offset)
            label = _PLAIN[kind].value if kind in _PLAIN else _BLOCKS[kind].name
            counted[label] = counted.get(label, 0) + 1
        for label, number in counted.items():
            self._metadata[f"tensor_type.{label}"] = str(number)
        return weights_model(
            "gguf",
            str(version),
            held,
            metadata=self._metadata,
            notes=self._notes if held else ("vocabulary-only",),
        )

    def _take(self, count: int) -> memoryview:
        if count > self._data.nbytes - self._at:
            raise FormatError(
                f"{self._where}: {count} bytes are expected at {self._at}, the file has "
                f"{self._data.nbytes}: cut off"
            )
        self._at += count
        return self._data[self._at - count : self._at]

    def _number(self, code: str) -> int:
        found: int = struct.unpack("<" + code, self._take(struct.calcsize("<" + code)))[0]
        return found

    def _checked(self, count: int, least_bytes: int) -> int:
        """A count whose parts can still follow."""
        if count > (self._data.nbytes - self._at) // least_bytes:
            raise FormatError(f"{self._where}: {count} parts cannot follow: cut off")
        return count

    def _text(self) -> str:
        return bytes(self._take(self._number("Q"))).decode("utf-8", "replace")

    def _fact(self) -> None:
        key = self._text()
        kind = self._number("I")
        if kind == _TEXT:
            value = self._text()
        elif kind == _ARRAY:
            value = self._array()
        elif kind in _SCALARS:
            number = self._scalar(kind)
            value = str(number)
            if key == "general.alignment":
                self._set_alignment(number)
        else:
            raise UnsupportedFormatError(f"{self._where}: {key!r} has a value of type {kind}")
        self._metadata[key] = value[:_LONGEST_VALUE]

    def _scalar(self, kind: int) -> float:
        code = "<" + _SCALARS[kind]
        found: float = struct.unpack(code, self._take(struct.calcsize(code)))[0]
        return found

    def _set_alignment(self, number: float) -> None:
        if number not in [float(1 << i) for i in range(_LARGEST_ALIGNMENT.bit_length())]:
            raise FormatError(f"{self._where}: an alignment of {number} is no power of two")
        self._alignment = int(number)

    def _array(self) -> str:
        """Passes over a list; lists within lists are not in use."""
        kind, count = self._number("I"), self._number("Q")
        if kind == _TEXT:
            for _ in range(self._checked(count, 8)):
                self._take(self._number("Q"))
        elif kind in _SCALARS:
            self._take(self._checked(count, 1) * struct.calcsize("<" + _SCALARS[kind]))
        else:
            raise UnsupportedFormatError(f"{self._where}: a list of values of type {kind}")
        return f"{count} values"

    def _described(self) -> tuple[str, tuple[int, ...], int, int]:
        """Name, shape (outermost first), type and offset of a tensor."""
        name, rank = self._text(), self._number("I")
        if rank > _RANK_LIMIT:
            raise FormatError(f"{self._where}: tensor {name[:60]!r} has {rank} dimensions")
        sizes = tuple(self._number("Q") for _ in range(rank))
        kind, offset = self._number("I"), self._number("Q")
        if kind not in _PLAIN and kind not in _BLOCKS:
            raise UnsupportedFormatError(f"{self._where}: {name[:60]!r} is of unknown type {kind}")
        return name, sizes[::-1], kind, offset

    def _tensor(self, name: str, shape: tuple[int, ...], kind: int, start: int) -> list[Tensor]:
        """The tensor, and its scales where it has any."""
        elements = math.prod(shape)
        blocks = _BLOCKS.get(kind)
        if blocks is None:
            dtype = _PLAIN[kind]
            size = elements * ((dtype.bits or 8) // 8)
        else:
            dtype = DataType.UNKNOWN
            if not shape or shape[-1] % blocks.elements:
                raise FormatError(
                    f"{self._where}: {name[:60]!r} of {shape} has rows that blocks of "
                    f"{blocks.elements} do not fill"
                )
            size = elements // blocks.elements * blocks.size_bytes
        if start + size > self._data.nbytes:
            raise FormatError(
                f"{self._where}: {name[:60]!r} takes {size} bytes at {start}, the file has "
                f"{self._data.nbytes}: cut off"
            )
        data = self._data[start : start + size]
        constant = TensorKind.CONSTANT
        if blocks is None or blocks.name not in ("Q4_0", "Q8_0"):
            if blocks is not None:
                self._notes.add("weights-packed")
            return [Tensor(name=name, dtype=dtype, shape=shape, data=data, kind=constant)]
        nibbles = blocks.name == "Q4_0"
        count = elements // blocks.elements
        scales = Tensor(
            name=f"{name}.scales",
            dtype=DataType.FLOAT16,
            shape=(*shape[:-1], shape[-1] // blocks.elements),
            data=LazyBytes(size_bytes=count * 2, load=lambda: _scales(data, blocks)),
            kind=constant,
        )
        values = Tensor(
            name=name,
            dtype=DataType.INT4 if nibbles else DataType.INT8,
            shape=shape,
            data=LazyBytes(
                size_bytes=elements // 2 if nibbles else elements,
                load=lambda: _nibbles(data, blocks) if nibbles else _bytes(data, blocks),
            ),
            kind=constant,
            quantization=Quantization(
                scales=(),
                axis=len(shape) - 1,
                block_size=blocks.elements,
                scales_tensor=scales.name,
            ),
        )
        return [values, scales]


def _rows(data: memoryview, blocks: _Blocks) -> npt.NDArray[np.uint8]:
    return np.frombuffer(data, dtype=np.uint8).reshape(-1, blocks.size_bytes)


def _flat(array: npt.NDArray[np.integer]) -> memoryview:
    return memoryview(np.ascontiguousarray(array).reshape(-1).data).cast("B")


def _scales(data: memoryview, blocks: _Blocks) -> memoryview:
    """The half-precision number that begins each block."""
    return _flat(_rows(data, blocks)[:, :2])


def _bytes(data: memoryview, blocks: _Blocks) -> memoryview:
    return _flat(_rows(data, blocks)[:, 2:])


def _nibbles(data: memoryview, blocks: _Blocks) -> memoryview:
    """Low halves are the first 16 elements, high halves the last; 8 stands for zero."""
    stored = _rows(data, blocks)[:, 2:]
    values = np.concatenate([stored & 15, stored >> 4], axis=1) ^ np.uint8(8)
    values = values.astype(np.uint8, copy=False)
    return _flat(values[:, ::2] | (values[:, 1::2] << 4))
