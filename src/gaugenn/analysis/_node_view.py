"""A node together with what is known about its inputs: what shape and cost rules are written over."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gaugenn.graph import DataType, Layout, Node, Tensor

MICROSOFT_DOMAIN = "com.microsoft"

Shape = tuple[int, ...]
"""Concrete sizes."""

Value = npt.NDArray[np.generic]
"""The elements of a tensor that is small enough to be followed by value."""

Rule = Callable[["NodeView"], "Sequence[Shape | None]"]
"""Gives the shapes of a node's outputs in order; None, or a missing entry, where one is unknown."""

MAXIMUM_RANK = 32
"""Tensors of more dimensions are taken for damage: no format or engine here goes beyond 8."""


def kind_of(node: Node) -> str:
    """The name under which rules know a node: its ONNX operator, or ONNX Runtime's own; "" if none."""
    if node.operator or node.domain != MICROSOFT_DOMAIN:
        return node.operator
    return node.source_operator


_TENSORFLOW_NAMES = {
    "All": "REDUCE_ALL",
    "Any": "REDUCE_ANY",
    "BatchToSpaceND": "BATCH_TO_SPACE_ND",
    "Bucketize": "BUCKETIZE",
    "FakeQuantWithMinMaxArgs": "FAKE_QUANT",
    "FakeQuantWithMinMaxVars": "FAKE_QUANT",
    "FakeQuantWithMinMaxVarsPerChannel": "FAKE_QUANT",
    "FloorDiv": "FLOOR_DIV",
    "FloorMod": "FLOOR_MOD",
    "NotEqual": "NOT_EQUAL",
    "OneHot": "ONE_HOT",
    "OnesLike": "ZEROS_LIKE",
    "Pack": "PACK",
    "QuantizeV2": "QUANTIZE",
    "Rank": "RANK",
    "ReverseSequence": "REVERSE_SEQUENCE",
    "ReverseV2": "REVERSE_V2",
    "Rsqrt": "RSQRT",
    "SegmentSum": "SEGMENT_SUM",
    "Select": "SELECT",
    "SelectV2": "SELECT",
    "SpaceToBatchND": "SPACE_TO_BATCH_ND",
    "Square": "SQUARE",
    "SquaredDifference": "SQUARED_DIFFERENCE",
    "StridedSlice": "STRIDED_SLICE",
    "Unpack": "UNPACK",
    "ZerosLike": "ZEROS_LIKE",
}
"""TensorFlow's operators by the names that TensorFlow Lite gives to the same.

**Source:** https://github.com/tensorflow/tensorflow/blob/master/tensorflow/compiler/mlir/lite/ir/
tfl_ops.td (what each is converted from)
"""


def source_kind(node: Node) -> str:
    """The name under which rules know a node without an ONNX operator: what its file says, or the
    name that TensorFlow Lite has for it.
    """
    return _TENSORFLOW_NAMES.get(node.source_operator, node.source_operator)


class UnknownShapeError(Exception):
    """A rule lacks something it needs. Never leaves the package."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeView:
    """What a rule sees of a node.

    Attributes:
        node: the node itself.
        layout: where spatial operators of this node have their channels.
        shapes: of the inputs, None where unknown or omitted.
        dtypes: of the inputs, UNKNOWN where unknown or omitted.
        declared: shapes that the file gives the outputs; None where it gives none or a partial one.
        tensors: the constant tensors among the inputs, by position; None for the others.
        fixed: whether an input does not depend on the model's inputs, by position.
        value_at: the elements of an input where they are few and known.
        assume: called with a reason where a data-dependent size is taken as 1.
    """

    node: Node
    layout: Layout
    shapes: tuple[Shape | None, ...]
    dtypes: tuple[DataType, ...]
    declared: tuple[Shape | None, ...]
    tensors: tuple[Tensor | None, ...]
    fixed: tuple[bool, ...]
    value_at: Callable[[int], Value | None]
    assume: Callable[[str], None]

    @property
    def kind(self) -> str:
        """See `kind_of`."""
        return kind_of(self.node)

    @property
    def outputs(self) -> int:
        """How many outputs the node has."""
        return len(self.node.outputs)

    @property
    def channels_first(self) -> bool:
        """Whether channels stand before the spatial dimensions."""
        return self.layout is Layout.CHANNELS_FIRST

    def has(self, index: int) -> bool:
        """Whether an input is connected."""
        return index < len(self.node.inputs) and self.node.inputs[index] != ""

    def shape(self, index: int = 0) -> Shape:
        """An input's shape; leaves the rule where it is unknown."""
        shape = self.shapes[index] if index < len(self.shapes) else None
        if shape is None:
            raise UnknownShapeError(f"input {index} has no known shape")
        return shape

    def optional_shape(self, index: int) -> Shape | None:
        """An input's shape, or None where it is omitted or unknown."""
        return self.shapes[index] if index < len(self.shapes) else None

    def present_shapes(self) -> list[Shape]:
        """Shapes of all connected inputs; leaves the rule where one is unknown."""
        return [self.shape(i) for i in range(len(self.node.inputs)) if self.has(i)]

    def value(self, index: int) -> Value:
        """An input's elements; leaves the rule where they are unknown."""
        value = self.value_at(index) if self.has(index) else None
        if value is None:
            raise UnknownShapeError(f"input {index} has no known value")
        return value

    def ints(self, name: str, index: int | None = None) -> tuple[int, ...] | None:
        """Integers given as an attribute or, in newer operator sets, as an input.

        Returns:
            None where the node has neither; leaves the rule where the input's value is unknown.
        """
        given = self.node.attributes.get(name)
        if isinstance(given, bool | int):
            return (int(given),)
        if isinstance(given, tuple):
            return tuple(_integer(x, name) for x in given)
        if isinstance(given, Tensor):
            return tuple(_integer(x.item(), name) for x in given.array().reshape(-1))
        if index is None or not self.has(index):
            return None
        return tuple(_integer(x.item(), name) for x in self.value(index).reshape(-1))

    def numbers(self, name: str, index: int | None = None) -> tuple[float, ...] | None:
        """Like `ints`, for real numbers."""
        given = self.node.attributes.get(name)
        if isinstance(given, bool | int | float):
            return (float(given),)
        if isinstance(given, tuple):
            return tuple(_real(x, name) for x in given)
        if index is None or not self.has(index):
            return None
        return tuple(_real(x.item(), name) for x in self.value(index).reshape(-1))

    def integer(self, name: str, default: int, index: int | None = None) -> int:
        """One integer, from an attribute or an input."""
        found = self.ints(name, index)
        if found is None:
            return default
        if len(found) != 1:
            raise UnknownShapeError(f"{name} should be one integer")
        return found[0]

    def required(self, name: str, index: int | None = None) -> tuple[int, ...]:
        """Integers without which the rule cannot go on."""
        found = self.ints(name, index)
        if found is None:
            raise UnknownShapeError(f"{name} is missing")
        return found

    def flag(self, name: str, default: bool = False) -> bool:
        """A yes-or-no attribute, however it is spelled."""
        given = self.node.attributes.get(name, default)
        return bool(given) if isinstance(given, bool | int | float) else default

    def text(self, name: str, default: str = "") -> str:
        """A text attribute."""
        given = self.node.attributes.get(name, default)
        if isinstance(given, bytes):
            return given.decode("utf-8", "replace")
        return given if isinstance(given, str) else default

    def channel_axis(self, rank: int) -> int:
        """The dimension that holds the channels of a spatial tensor."""
        return 1 if self.channels_first and rank > 1 else rank - 1

    def spatial_axes(self, rank: int) -> range:
        """The dimensions between batch and channels."""
        return range(2, rank) if self.channels_first else range(1, rank - 1)

    def spatial(self, batch: int, channels: int, sizes: Sequence[int]) -> Shape:
        """A spatial tensor's shape in this node's layout."""
        if self.channels_first:
            return (batch, channels, *sizes)
        return (batch, *sizes, channels)


def _integer(value: object, name: str) -> int:
    if isinstance(value, bool | int):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    raise UnknownShapeError(f"{name} holds {value!r}, not an integer")


def _real(value: object, name: str) -> float:
    if isinstance(value, bool | int | float):
        return float(value)
    raise UnknownShapeError(f"{name} holds {value!r}, not a number")


def wrap(axis: int, rank: int) -> int:
    """An axis counted from the front, given one that may count from the back."""
    if not -rank <= axis < rank:
        raise UnknownShapeError(f"axis {axis} is outside a tensor of rank {rank}")
    return axis + rank if axis < 0 else axis


def broadcast(shapes: Sequence[Shape]) -> Shape:
    """Numpy's broadcasting of several shapes.

    **Source:** https://github.com/onnx/onnx/blob/main/docs/Broadcasting.md
    """
    rank = max((len(shape) for shape in shapes), default=0)
    result = [1] * rank
    for shape in shapes:
        for position, size in enumerate(shape, start=rank - len(shape)):
            if size != 1 and result[position] not in (1, size):
                raise UnknownShapeError(f"shapes {list(shapes)} do not broadcast")
            if size != 1:
                result[position] = size
    return tuple(result)


def check(shape: Sequence[int]) -> Shape:
    """The shape, if it can be one."""
    if len(shape) > MAXIMUM_RANK or any(size < 0 for size in shape):
        raise UnknownShapeError(f"{tuple(shape)} is not a shape")
    return tuple(int(size) for size in shape)


def replaced(shape: Shape, axis: int, size: int) -> Shape:
    """The shape with another size at one axis."""
    axis = wrap(axis, len(shape))
    return (*shape[:axis], size, *shape[axis + 1 :])


def without(shape: Shape, axis: int) -> Shape:
    """The shape with one axis removed."""
    axis = wrap(axis, len(shape))
    return shape[:axis] + shape[axis + 1 :]


def elements(shape: Shape) -> int:
    """Number of elements; a scalar has one."""
    return math.prod(shape)


def ceil_div(numerator: int, denominator: int) -> int:
    """Division rounded up; leaves the rule on a divisor that is not positive."""
    if denominator <= 0:
        raise UnknownShapeError(f"division by {denominator}")
    return -(-numerator // denominator)


def floor_div(numerator: int, denominator: int) -> int:
    """Division rounded down; leaves the rule on a divisor that is not positive."""
    if denominator <= 0:
        raise UnknownShapeError(f"division by {denominator}")
    return numerator // denominator
