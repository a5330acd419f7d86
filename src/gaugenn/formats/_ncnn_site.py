"""Where an ncnn layer stands in its graph: what its inputs look like, and what it becomes."""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gaugenn.errors import FormatError
from gaugenn.formats._ncnn_layers import SHAPE_HINTS, Layer
from gaugenn.graph import AttributeValue, DataType, Tensor, TensorKind

Sizes = tuple[int | None, ...] | None
"""Sizes of a blob without the batch, outermost first; None for what the file does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """What a layer becomes.

    Attributes:
        operator: the ONNX operator, or "".
        inputs: tensor names in ONNX order.
        attributes: ONNX attributes, and ncnn's own under ncnn's names.
        sizes: of each output, as far as they follow from the layer; missing ones are unknown.
    """

    operator: str
    inputs: tuple[str, ...]
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    sizes: tuple[Sizes, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A layer with its surroundings.

    Attributes:
        layer: the layer itself.
        sizes: of its inputs.
        weights: names of its weight tensors by ncnn's name of the weight.
        shapes: shapes of the weight tensors, likewise.
        constants: tensors that the mapping adds, by name.
        taken: tensor names that the graph has already.
    """

    layer: Layer
    sizes: tuple[Sizes, ...]
    weights: Mapping[str, str]
    shapes: Mapping[str, tuple[int, ...]]
    constants: dict[str, Tensor]
    taken: set[str]

    @property
    def first(self) -> Sizes:
        """Sizes of the first input."""
        return self.sizes[0] if self.sizes else None

    @property
    def rank(self) -> int | None:
        """Rank of the first input without the batch, where known."""
        return None if self.first is None else len(self.first)

    def weight(self, name: str) -> str:
        """Tensor name of a weight, or "" where the layer has none of that name."""
        return self.weights.get(name, "")

    def scalar(self, name: str, value: float) -> str:
        """Adds a constant that stands in the parameters; gives its tensor name."""
        named = unique(f"{self.layer.name}.{name}", self.taken)
        data = memoryview(struct.pack("<f", _float32(value)))
        self.constants[named] = Tensor(
            name=named, dtype=DataType.FLOAT32, shape=(), data=data, kind=TensorKind.CONSTANT
        )
        return named

    def mapped(
        self,
        operator: str,
        attributes: Mapping[str, AttributeValue] | None = None,
        *,
        inputs: Sequence[str] | None = None,
        sizes: Sequence[Sizes] | None = None,
    ) -> Mapped:
        """A node with the layer's blobs and weights as inputs and outputs as large as the input.

        Raises:
            FormatError: the layer has no input at all.
        """
        given = (*self.layer.inputs, *self.weights.values()) if inputs is None else tuple(inputs)
        return Mapped(
            operator=operator,
            inputs=given,
            attributes=attributes or {},
            sizes=(self.first,) * len(self.layer.outputs) if sizes is None else tuple(sizes),
        )

    def unmapped(self, sizes: Sequence[Sizes] = ()) -> Mapped:
        """A node that ONNX has no operator for, with everything the file says about it."""
        return self.mapped("", self.layer.attributes(), sizes=sizes)

    def hints(self) -> tuple[Sizes, ...]:
        """The output sizes that the file itself states, where it does."""
        values = self.layer.integers(SHAPE_HINTS)
        count = len(self.layer.outputs)
        step = len(values) // count if count else 0
        if step < 4:
            return ()
        found: list[Sizes] = []
        for start in range(0, step * count, step):
            rank, width, height, *rest = values[start : start + step]
            last = rest[-1]
            by_rank = {
                1: (width,),
                2: (height, width),
                3: (last, height, width),
                4: (last, rest[0], height, width),
            }
            sizes = by_rank.get(rank)
            found.append(sizes if sizes and min(sizes) > 0 else None)
        return tuple(found)

    def require(self, count: int) -> None:
        """Refuses a layer that has fewer inputs than its type takes.

        Raises:
            FormatError: it has.
        """
        if len(self.layer.inputs) < count:
            raise FormatError(
                f"ncnn layer {self.layer.name!r} ({self.layer.type}) has "
                f"{len(self.layer.inputs)} inputs, expected at least {count}"
            )


def unique(name: str, taken: set[str]) -> str:
    """The name, or the name with a number where it is taken; it is then taken, too."""
    named, number = name, 1
    while named in taken:
        number += 1
        named = f"{name}.{number}"
    taken.add(named)
    return named


def product(sizes: Sizes) -> int | None:
    """Number of elements, where every size is known."""
    if sizes is None:
        return None
    total = 1
    for size in sizes:
        if size is None:
            return None
        total *= size
    return total


def _float32(value: float) -> float:
    limit = 3.4028234663852886e38
    return value if value != value else min(max(value, -limit), limit)
