"""Shapes of operators that move, cut, join and index elements. A sequence has its elements' shape."""

import math
from collections.abc import Sequence

import numpy as np

from gaugenn.analysis._node_view import (
    MAXIMUM_RANK,
    NodeView,
    Rule,
    Shape,
    UnknownShapeError,
    broadcast,
    ceil_div,
    check,
    elements,
    replaced,
    without,
    wrap,
)
from gaugenn.graph import Tensor


def reshaped(data: Shape, wanted: Sequence[int], *, zero_copies: bool = True) -> Shape:
    """A shape after Reshape: 0 keeps the size at its place, one -1 takes what is left.

    **Source:** https://onnx.ai/onnx/operators/onnx__Reshape.html
    """
    result = list(wanted)
    if len(result) > MAXIMUM_RANK:
        raise UnknownShapeError(f"a shape of {len(result)} dimensions")
    for i, size in enumerate(result):
        if size == 0 and zero_copies:
            if i >= len(data):
                raise UnknownShapeError(f"0 at place {i} of a shape for a tensor of {data}")
            result[i] = data[i]
    if result.count(-1) > 1:
        raise UnknownShapeError("two sizes of -1")
    total = elements(data)
    if -1 in result:
        place = result.index(-1)
        rest = elements((*result[:place], *result[place + 1 :]))
        result[place] = total // rest if rest > 0 else 0
    shape = check(result)
    if elements(shape) != total:
        raise UnknownShapeError(f"{data} cannot become {tuple(wanted)}")
    return shape


def sliced(size: int, start: int, end: int, step: int) -> range:
    """The positions that a slice takes from a dimension; Python's rules for negative numbers."""
    if step == 0:
        raise UnknownShapeError("a slice with step 0")
    return range(*slice(start, end, step).indices(size))


def slice_ranges(view: NodeView) -> list[range]:
    """The positions that a Slice node takes, per dimension of its input."""
    data = view.shape(0)
    starts, ends = view.required("starts", 1), view.required("ends", 2)
    axes = view.ints("axes", 3)
    steps = view.ints("steps", 4)
    if axes is None:
        axes = tuple(range(len(starts)))
    if steps is None:
        steps = (1,) * len(starts)
    if not len(starts) == len(ends) == len(axes) == len(steps):
        raise UnknownShapeError("starts, ends, axes and steps differ in length")
    result = [range(size) for size in data]
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        place = wrap(axis, len(data))
        result[place] = sliced(data[place], start, _clamped_end(end, step), step)
    return result


def _clamped_end(end: int, step: int) -> int:
    """With a negative step, ends far below zero mean "through the first element"."""
    return -(2**31) if step < 0 and end < -(2**30) else end


def split_sizes(view: NodeView) -> tuple[int, list[int]]:
    """The axis of a Split node and the size of each part."""
    data = view.shape(0)
    axis = wrap(view.integer("axis", 0), len(data))
    given = view.ints("split", 1)
    if given is not None and len(given) == view.outputs:
        if given.count(-1) == 1:
            rest = data[axis] - sum(given) - 1
            given = tuple(rest if size == -1 else size for size in given)
        return axis, list(given)
    count = view.integer("num_outputs", view.outputs)
    part = ceil_div(data[axis], count)
    return axis, [max(0, min(part, data[axis] - i * part)) for i in range(count)]


def unsqueezed(data: Shape, axes: Sequence[int]) -> Shape:
    """A shape with dimensions of size 1 inserted; axes count the result's dimensions."""
    rank = len(data) + len(axes)
    places = {wrap(axis, rank) for axis in axes}
    sizes = iter(data)
    return check([1 if i in places else next(sizes, 1) for i in range(rank)])


def permutation(view: NodeView) -> tuple[int, ...]:
    """The order of dimensions of a Transpose node; by default reversed."""
    rank = len(view.shape(0))
    order = view.ints("perm", 1)
    if order is None:
        return tuple(reversed(range(rank)))
    order = tuple(wrap(axis, rank) for axis in order)
    if sorted(order) != list(range(rank)):
        raise UnknownShapeError(f"{order} is no permutation of {rank} dimensions")
    return order


def padding_of(view: NodeView) -> list[tuple[int, int]]:
    """How much a Pad node adds before and after each dimension."""
    rank = len(view.shape(0))
    pads = view.ints("pads") or view.ints("paddings")
    if pads is None:
        value = view.value(1)
        if value.ndim == 2:  # one row of (before, after) per dimension
            pairs = [(int(row[0]), int(row[1])) for row in value.tolist()]
            return [(0, 0)] * (rank - len(pairs)) + pairs
        pads = view.required("pads", 1)
    axes = view.ints("axes", 3) or tuple(range(rank))
    if len(pads) != 2 * len(axes):
        raise UnknownShapeError(f"{len(pads)} pads for {len(axes)} dimensions")
    result = [(0, 0)] * rank
    for i, axis in enumerate(axes):
        result[wrap(axis, rank)] = (pads[i], pads[i + len(axes)])
    return result


def range_length(start: float, limit: float, step: float) -> int:
    """Number of elements from `start` to before `limit`."""
    if step == 0 or not all(map(math.isfinite, (start, limit, step))):
        raise UnknownShapeError(f"a range from {start} to {limit} in steps of {step}")
    return max(0, math.ceil((limit - start) / step))


def _reshape(view: NodeView) -> list[Shape | None]:
    wanted = view.required("shape", 1)
    return [reshaped(view.shape(0), wanted, zero_copies=not view.flag("allowzero"))]


def _flatten(view: NodeView) -> list[Shape | None]:
    data = view.shape(0)
    axis = view.integer("axis", 1)
    axis = len(data) if axis == len(data) else wrap(axis, max(len(data), 1))
    return [(elements(data[:axis]), elements(data[axis:]))]


def _squeeze(view: NodeView) -> list[Shape | None]:
    data = view.shape(0)
    axes = view.ints("axes", 1)
    if not axes:
        return [tuple(size for size in data if size != 1)]
    dropped = {wrap(axis, len(data)) for axis in axes}
    return [tuple(size for i, size in enumerate(data) if i not in dropped or size != 1)]


def _unsqueeze(view: NodeView) -> list[Shape | None]:
    return [unsqueezed(view.shape(0), view.required("axes", 1))]


def _transpose(view: NodeView) -> list[Shape | None]:
    data = view.shape(0)
    return [tuple(data[axis] for axis in permutation(view))]


def _concat(view: NodeView) -> list[Shape | None]:
    return [joined(view.present_shapes(), view.integer("axis", 1))]


def joined(shapes: Sequence[Shape], axis: int) -> Shape:
    """The shape of tensors laid end to end."""
    if not shapes:
        raise UnknownShapeError("nothing to join")
    if any(len(shape) != len(shapes[0]) for shape in shapes):
        raise UnknownShapeError("tensors of different rank are joined")
    place = wrap(axis, len(shapes[0]))
    return replaced(shapes[0], place, sum(shape[place] for shape in shapes))


def _quantised_concat(view: NodeView) -> list[Shape | None]:
    """QLinearConcat: (y_scale, y_zero_point, then tensor, scale, zero point of each part)."""
    parts = [view.shape(i) for i in range(2, len(view.node.inputs), 3)]
    return [joined(parts, view.integer("axis", 1))]


def _split(view: NodeView) -> list[Shape | None]:
    axis, sizes = split_sizes(view)
    return [check(replaced(view.shape(0), axis, size)) for size in sizes]


def _slice(view: NodeView) -> list[Shape | None]:
    return [tuple(len(positions) for positions in slice_ranges(view))]


def gather(view: NodeView) -> list[Shape | None]:
    """Indices take the place of the axis; `batch_dims` leading dimensions go in step."""
    data, indices = view.shape(0), view.shape(1)
    axis = wrap(view.integer("axis", 0), len(data))
    return [data[:axis] + indices[view.integer("batch_dims", 0) :] + data[axis + 1 :]]


def _gather_elements(view: NodeView) -> list[Shape | None]:
    return [view.shape(1)]


def _gather_nd(view: NodeView) -> list[Shape | None]:
    data, indices = view.shape(0), view.shape(1)
    if not indices:
        raise UnknownShapeError("GatherND with a scalar index")
    return [indices[:-1] + data[view.integer("batch_dims", 0) + indices[-1] :]]


def _array_feature_extractor(view: NodeView) -> list[Shape | None]:
    data = view.shape(0) or (1,)
    return [(*(data[:-1] or (1,)), elements(view.shape(1)))]


def _expand(view: NodeView) -> list[Shape | None]:
    return [broadcast([view.shape(0), check(view.required("shape", 1))])]


def _tile(view: NodeView) -> list[Shape | None]:
    data = view.shape(0)
    repeats = view.required("repeats", 1)
    if len(view.node.inputs) == 3:  # the first version: how often, and along which axis
        axis = wrap(view.integer("axis", 0, 2), len(data))
        return [replaced(data, axis, data[axis] * repeats[0])]
    rank = max(len(data), len(repeats))
    data = (1,) * (rank - len(data)) + data
    repeats = (1,) * (rank - len(repeats)) + repeats
    return [check([size * times for size, times in zip(data, repeats, strict=True)])]


def _pad(view: NodeView) -> list[Shape | None]:
    pads = padding_of(view)
    return [check([s + b + a for s, (b, a) in zip(view.shape(0), pads, strict=True)])]


def _shape(view: NodeView) -> list[Shape | None]:
    rank = len(view.shape(0))
    start, end = view.integer("start", 0), view.integer("end", rank)
    return [(len(range(*slice(start, end).indices(rank))),)]


def _scalar(_view: NodeView) -> list[Shape | None]:
    return [()]


def _constant_of_shape(view: NodeView) -> list[Shape | None]:
    return [check(view.required("shape", 0))]


def _constant(view: NodeView) -> list[Shape | None]:
    for value in view.node.attributes.values():
        if isinstance(value, Tensor) and value.elements is not None:
            return [tuple(size for size in value.shape or () if isinstance(size, int))]
        if isinstance(value, tuple):
            return [(len(value),)]
        if isinstance(value, int | float | str):
            return [()]
    raise UnknownShapeError("a constant without a value")


def _range(view: NodeView) -> list[Shape | None]:
    ends = []
    for name, index in (("start", 0), ("limit", 1), ("delta", 2)):
        found = view.numbers(name, index)
        if not found:
            raise UnknownShapeError(f"the range's {name} is unknown")
        ends.append(found[0])
    return [(range_length(*ends),)]


def _random(view: NodeView) -> list[Shape | None]:
    return [check(view.required("shape", 0))]


def _non_zero(view: NodeView) -> list[Shape | None]:
    rank = max(len(view.shape(0)), 1)
    value = view.value_at(0)
    if value is not None:
        return [(rank, int(np.count_nonzero(value)))]
    view.assume("NonZero finds one element")
    return [(rank, 1)]


def _compress(view: NodeView) -> list[Shape | None]:
    data = view.shape(0)
    kept = view.value_at(1)
    if kept is None:
        view.assume("Compress keeps one element")
    count = 1 if kept is None else int(np.count_nonzero(kept))
    axis = view.ints("axis")
    return [(count,)] if axis is None else [replaced(data, axis[0], count)]


def _unique(view: NodeView) -> list[Shape | None]:
    data = view.shape(0)
    view.assume("Unique finds one value")
    axis = view.ints("axis")
    values = (1,) if axis is None else replaced(data, axis[0], 1)
    total = elements(data) if axis is None else data[wrap(axis[0], len(data))]
    return [values, (1,), (total,), (1,)]


def one_hot(view: NodeView) -> list[Shape | None]:
    """A new dimension as long as the second input says."""
    indices = view.shape(0)
    depth = view.integer("depth", 1, 1)
    axis = view.integer("axis", -1)
    place = wrap(axis, len(indices) + 1)
    return [check((*indices[:place], depth, *indices[place:]))]


def _sequence(view: NodeView) -> list[Shape | None]:
    return [view.shape(0)]


def _split_to_sequence(view: NodeView) -> list[Shape | None]:
    data = view.shape(0)
    axis = wrap(view.integer("axis", 0), len(data))
    if not view.has(1):
        part = replaced(data, axis, 1)
        return [part if view.flag("keepdims", True) else without(data, axis)]
    sizes = set(view.required("split", 1))
    if len(sizes) != 1:
        raise UnknownShapeError("parts of different sizes")
    return [check(replaced(data, axis, sizes.pop()))]


def _concat_from_sequence(view: NodeView) -> list[Shape | None]:
    raise UnknownShapeError(f"{view.kind}: the sequence's length is unknown")


RULES: dict[str, Rule] = {
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "ExpandDims": _unsqueeze,
    "Transpose": _transpose,
    "Concat": _concat,
    "QLinearConcat": _quantised_concat,
    "Split": _split,
    "Slice": _slice,
    "Gather": gather,
    "GatherElements": _gather_elements,
    "GatherND": _gather_nd,
    "ArrayFeatureExtractor": _array_feature_extractor,
    "Expand": _expand,
    "Tile": _tile,
    "Pad": _pad,
    "Shape": _shape,
    **dict.fromkeys(("Size", "SequenceLength", "OptionalHasElement"), _scalar),
    "ConstantOfShape": _constant_of_shape,
    "Constant": _constant,
    "Range": _range,
    "RandomNormal": _random,
    "RandomUniform": _random,
    "NonZero": _non_zero,
    "Compress": _compress,
    "Unique": _unique,
    "OneHot": one_hot,
    **dict.fromkeys(
        (
            *("SequenceConstruct", "SequenceAt", "SequenceInsert", "SequenceErase"),
            *("Optional", "OptionalGetElement"),
        ),
        _sequence,
    ),
    "SplitToSequence": _split_to_sequence,
    "ConcatFromSequence": _concat_from_sequence,
}
"""Rules by ONNX operator name.

**Source:** https://onnx.ai/onnx/operators/
"""
