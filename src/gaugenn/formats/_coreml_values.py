"""Types and spelled-out values of Core ML programs.

**Source:** https://github.com/apple/coremltools/blob/main/mlmodel/format/MIL.proto
"""

from dataclasses import dataclass, field

import numpy as np

from gaugenn.errors import FormatError
from gaugenn.graph import DataType, LazyBytes, Shape, TensorData

_MOST_NUMBERS = 4096
"""Numbers of a constant that may set a parameter: strides, axes, shapes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueType:
    """What a value is; UNKNOWN and None for lists, tuples and dictionaries."""

    dtype: DataType
    shape: Shape | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """Where in which file the entry of a weight begins; `@model_path/` is the program's folder."""

    file_name: str
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Literal:
    """A value that the program has, or points to.

    Attributes:
        type: element type and shape.
        data: packed little-endian elements; None for text and for what lies in another file.
        texts: the elements of a tensor of text.
        blob: where the elements lie, if not here.
    """

    type: ValueType
    data: TensorData | None = field(default=None, repr=False)
    texts: tuple[str, ...] = ()
    blob: Blob | None = None

    def text(self) -> str:
        """The only text, or ""."""
        return self.texts[0] if len(self.texts) == 1 else ""

    def numbers(self) -> tuple[int, ...] | tuple[float, ...] | None:
        """The elements as numbers, row by row; None for text, weights and long lists."""
        if self.data is None or self.type.shape is None:
            return None
        size = self.data.nbytes if isinstance(self.data, memoryview) else self.data.size_bytes
        bits = self.type.dtype.bits
        if not bits or bits % 8 or size > _MOST_NUMBERS * bits // 8:
            return None
        raw = self.data.load() if isinstance(self.data, LazyBytes) else self.data
        if self.type.dtype is DataType.BFLOAT16:
            return None
        try:
            values = np.frombuffer(raw, np.dtype(self.type.dtype.value).newbyteorder("<"))
        except (TypeError, ValueError):
            return None
        return tuple(values.tolist())

    def integers(self) -> tuple[int, ...] | None:
        """The elements as integers (truth values as 0 and 1), or None."""
        found = self.numbers()
        if found is None or not all(isinstance(each, int) for each in found):
            return None
        return tuple(int(each) for each in found)


def checked(type_: ValueType, size_bytes: int, what: str) -> None:
    """Refuses data that do not fill their type.

    Raises:
        FormatError: more or fewer bytes than the type needs.
    """
    if type_.shape is None or type_.dtype.bits is None:
        return
    elements = 1
    for size in type_.shape:
        if isinstance(size, str):
            raise FormatError(f"{what}: a constant of the open shape {type_.shape}")
        elements *= size
    needed = type_.dtype.size_bytes(elements)
    if needed != size_bytes:
        raise FormatError(
            f"{what}: {type_.dtype} {type_.shape} needs {needed} bytes, there are {size_bytes}"
        )
