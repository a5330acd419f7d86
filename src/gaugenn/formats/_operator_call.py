"""One operator application of a file, and what becomes of it in ONNX terms.

For formats with tables of options over numbered tensors: TensorFlow Lite, MNN, MindSpore.
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gaugenn.graph import ONNX_ELEMENT_TYPES, AttributeValue, DataType, Shape, Tensor

OMITTED = -1
"""Stands for an optional input or output that is not there."""

ONNX_TYPES: dict[DataType, int] = {dtype: number for number, dtype in ONNX_ELEMENT_TYPES.items()}
"""ONNX's numbers for element types, for the attribute `to` of `Cast`."""

_MOST_INTEGERS = 256
"""Axes, sizes and paddings have one or two values a dimension; longer constants are data."""

_INTEGERS = {DataType.INT32: "i", DataType.INT64: "q", DataType.INT16: "h", DataType.INT8: "b"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """An operator application as the file has it.

    Attributes:
        source: the schema's name of the operator, or the custom code.
        options: the options table by the schema's names, enumerations spelled out.
        inputs: None for an omitted one.
        outputs: None for an omitted one.
    """

    source: str
    options: Mapping[str, AttributeValue]
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor | None, ...]

    def input(self, index: int) -> Tensor | None:
        """An input, None when omitted or not listed."""
        return self.inputs[index] if 0 <= index < len(self.inputs) else None

    def present(self, index: int) -> int:
        """The index itself where that input is there, else `OMITTED`."""
        return OMITTED if self.input(index) is None else index

    def shape(self, index: int) -> Shape | None:
        """Shape of an input, None when unknown or omitted."""
        tensor = self.input(index)
        return None if tensor is None else tensor.shape

    def sizes(self, index: int, rank: int) -> tuple[int, ...] | None:
        """Shape of an input where it has that rank and every size is known."""
        return _fixed(self.shape(index), rank)

    def output_shape(self) -> Shape | None:
        """Shape of the first output."""
        first = self.outputs[0] if self.outputs else None
        return None if first is None else first.shape

    def dtype(self, index: int) -> DataType:
        """Element type of an input; UNKNOWN when omitted."""
        tensor = self.input(index)
        return DataType.UNKNOWN if tensor is None else tensor.dtype

    def output_dtype(self) -> DataType:
        """Element type of the first output."""
        first = self.outputs[0] if self.outputs else None
        return DataType.UNKNOWN if first is None else first.dtype

    def constant(self, index: int) -> tuple[int, ...] | None:
        """The integers of a constant input in row-major order; None when not a short constant."""
        tensor = self.input(index)
        if tensor is None or not isinstance(tensor.data, memoryview):
            return None
        code, count = _INTEGERS.get(tensor.dtype), tensor.elements
        if code is None or count is None or count > _MOST_INTEGERS:
            return None
        return struct.unpack(f"<{count}{code}", tensor.data)

    def whole(self, name: str, default: int = 0) -> int:
        """An integer or boolean option."""
        value = self.options.get(name, default)
        return int(value) if isinstance(value, int) else default

    def wholes(self, name: str) -> tuple[int, ...]:
        """An option that lists integers; empty when absent."""
        value = self.options.get(name, ())
        return tuple(int(v) for v in value) if isinstance(value, tuple) else ()

    def real(self, name: str, default: float = 0.0) -> float:
        """A floating-point option."""
        value = self.options.get(name, default)
        return float(value) if isinstance(value, int | float) else default

    def other_options(self, *used: str) -> dict[str, AttributeValue]:
        """The options without those that a rule has translated."""
        return {name: value for name, value in self.options.items() if name not in used}


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """An operator application in ONNX terms.

    Attributes:
        operator: the ONNX operator, or "".
        attributes: by ONNX names; options that ONNX does not know keep theirs.
        inputs: which of the source's inputs stands at each ONNX position, or `OMITTED`; None keeps
            the source's order. Inputs that are not mentioned follow after these.
        outputs: the same for outputs.
    """

    operator: str
    attributes: dict[str, AttributeValue] = field(default_factory=dict)
    inputs: tuple[int, ...] | None = None
    outputs: tuple[int, ...] | None = None


Rule = Callable[[Call], Translation | None]
"""How one operator is translated; None where this application has no ONNX counterpart."""


def renamed(operator: str) -> Rule:
    """A rule for operators that differ from ONNX only in name."""
    return lambda call: Translation(operator=operator, attributes=dict(call.options))


def _fixed(shape: Shape | None, rank: int) -> tuple[int, ...] | None:
    if shape is None or len(shape) != rank:
        return None
    sizes = tuple(size for size in shape if isinstance(size, int))
    return sizes if len(sizes) == rank else None
