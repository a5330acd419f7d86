"""Following small integer tensors by value: the Shape, Gather, Concat, Reshape chains of exporters.

Only results whose shape is already known and small are computed, so a hostile graph cannot make this
allocate.
"""

from collections.abc import Callable

import numpy as np

from gaugenn.analysis._node_view import (
    NodeView,
    Shape,
    UnknownShapeError,
    Value,
    elements,
    source_kind,
    wrap,
)
from gaugenn.analysis._shapes_movement import (
    padding_of,
    permutation,
    range_length,
    slice_ranges,
    split_sizes,
)
from gaugenn.analysis._shapes_reduction import reduced_axes
from gaugenn.graph import DataType, Tensor

MAXIMUM_ELEMENTS = 4096
"""Larger tensors are not followed by value."""


def _positive_part(value: Value) -> Value:
    return np.maximum(value, np.zeros_like(value))


_UNARY: dict[str, Callable[[Value], Value]] = {
    "Abs": np.abs,
    "Ceil": np.ceil,
    "Floor": np.floor,
    "Neg": np.negative,
    "Not": np.logical_not,
    "Round": np.rint,
    "Sign": np.sign,
    "Sqrt": np.sqrt,
    "Exp": np.exp,
    "Log": np.log,
    "Reciprocal": np.reciprocal,
    "Relu": _positive_part,
}

_BINARY: dict[str, Callable[[Value, Value], Value]] = {
    "Add": np.add,
    "And": np.logical_and,
    "Equal": np.equal,
    "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal,
    "Less": np.less,
    "LessOrEqual": np.less_equal,
    "Max": np.maximum,
    "Min": np.minimum,
    "Mul": np.multiply,
    "Or": np.logical_or,
    "Pow": np.power,
    "Sub": np.subtract,
    "Sum": np.add,
    "Xor": np.logical_xor,
}

_REDUCE: dict[str, Callable[..., Value]] = {
    "ReduceMax": np.max,
    "ReduceMean": np.mean,
    "ReduceMin": np.min,
    "ReduceProd": np.prod,
    "ReduceSum": np.sum,
}

_SAME_ELEMENTS = frozenset({"Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity", "ExpandDims"})


def constant_value(tensor: Tensor) -> Value | None:
    """A constant's elements, where they are few, present and numeric."""
    count = tensor.elements
    if tensor.data is None or count is None or count > MAXIMUM_ELEMENTS:
        return None
    if tensor.dtype.bits is None or tensor.dtype.bits < 8 or tensor.dtype in _OPAQUE:
        return None
    if tensor.quantization is not None and tensor.quantization.scales:
        return None
    return tensor.array()


_OPAQUE = frozenset(
    {
        DataType.FLOAT8_E4M3FN,
        DataType.FLOAT8_E4M3FNUZ,
        DataType.FLOAT8_E5M2,
        DataType.FLOAT8_E5M2FNUZ,
        DataType.FLOAT8_E8M0FNU,
    }
)


def fold(view: NodeView, shapes: tuple[Shape | None, ...]) -> tuple[Value | None, ...]:
    """The values of a node's outputs, where they follow from known values and shapes.

    Args:
        view: the node.
        shapes: of its outputs, as inferred.
    """
    if not shapes or any(s is not None and elements(s) > MAXIMUM_ELEMENTS for s in shapes):
        return (None,) * len(shapes)
    name = view.kind or _SOURCE_NAMES.get(source_kind(view.node), "")
    try:
        if name == "Split":
            axis, sizes = split_sizes(view)
            cuts = np.cumsum(sizes[:-1]).tolist()
            return tuple(np.split(view.value(0), cuts, axis=axis))
        value = _fold_one(name, view, shapes[0])
    except (UnknownShapeError, ArithmeticError, IndexError, TypeError, ValueError):
        value = None
    if value is not None and value.shape != shapes[0]:
        value = None
    return (value, *(None for _ in shapes[1:]))


_SOURCE_NAMES = {"PACK": "Stack"}


def _fold_one(name: str, view: NodeView, shape: Shape | None) -> Value | None:
    if name == "Shape":
        data = view.shape(0)
        start, end = view.integer("start", 0), view.integer("end", len(data))
        return np.array(data[start:end], dtype=np.int64)
    if name == "Size":
        return np.array(elements(view.shape(0)), dtype=np.int64)
    if name == "Constant":
        return _constant(view)
    if shape is None:
        return None
    with np.errstate(all="ignore"):
        for group in (_arithmetic, _movement):
            value = group(name, view, shape)
            if value is not None:
                return value
    return None


def _arithmetic(name: str, view: NodeView, _shape: Shape) -> Value | None:
    if name in _UNARY:
        return _UNARY[name](view.value(0))
    if name in _BINARY:
        result = view.value(0)
        for i in range(1, len(view.node.inputs)):
            result = _BINARY[name](result, view.value(i))
        return result
    if name == "Div":
        return _divide(view.value(0), view.value(1))
    if name == "Mod":
        remainder = np.fmod if view.flag("fmod") else np.mod
        return _same_type(remainder(view.value(0), view.value(1)), view.value(0))
    if name == "Cast":
        return _cast(view)
    if name == "CastLike":
        return _cast_to(view.value(0), view.dtypes[1].value)
    if name == "Where":
        return np.where(view.value(0), view.value(1), view.value(2))
    if name in _REDUCE:
        keep = view.flag("keepdims", True)
        return np.asarray(_REDUCE[name](view.value(0), axis=reduced_axes(view), keepdims=keep))
    if name == "Clip":
        low, high = view.numbers("min", 1), view.numbers("max", 2)
        data = view.value(0)
        limited = np.clip(data, low[0] if low else None, high[0] if high else None)
        return _same_type(limited, data)
    if name == "CumSum":
        axis = int(view.value(1).item())
        return None if view.flag("exclusive") else np.cumsum(view.value(0), axis=axis)
    return None


def _movement(name: str, view: NodeView, shape: Shape) -> Value | None:
    if name in _SAME_ELEMENTS:
        return view.value(0).reshape(shape)
    if name == "Concat":
        parts = [view.value(i) for i in range(len(view.node.inputs)) if view.has(i)]
        return np.concatenate(parts, axis=view.integer("axis", 1))
    if name == "Stack":
        return np.stack(
            [view.value(i) for i in range(len(view.node.inputs))], view.integer("axis", 0)
        )
    if name == "Gather":
        axis = wrap(view.integer("axis", 0), len(view.shape(0)))
        return np.take(view.value(0), view.value(1).astype(np.int64), axis=axis)
    if name == "Slice":
        data = view.value(0)
        for axis, positions in enumerate(slice_ranges(view)):
            data = np.take(data, np.array(positions, dtype=np.int64), axis=axis)
        return data
    if name == "Transpose":
        return np.transpose(view.value(0), permutation(view))
    if name == "Expand":
        return np.broadcast_to(view.value(0), shape)
    if name == "Tile":
        return np.tile(view.value(0), view.required("repeats", 1))
    if name == "Pad" and view.text("mode", "constant") == "constant":
        fill = view.value(2).item() if view.has(2) else 0
        return np.pad(view.value(0), padding_of(view), constant_values=fill)
    if name == "ConstantOfShape":
        given = view.node.attributes.get("value")
        fill = given.array().reshape(-1)[0] if isinstance(given, Tensor) else np.float32(0)
        return np.full(shape, fill)
    if name == "Range":
        return _range(view)
    if name == "NonZero":
        return np.array(np.nonzero(view.value(0)), dtype=np.int64)
    if name == "ScatterND":
        result = view.value(0).copy()
        places = view.value(1).astype(np.int64)
        result[tuple(np.moveaxis(places, -1, 0))] = view.value(2)
        return result
    return None


def _constant(view: NodeView) -> Value | None:
    for key, given in view.node.attributes.items():
        if isinstance(given, Tensor):
            return constant_value(given)
        if isinstance(given, int | float) or (
            isinstance(given, tuple) and not any(isinstance(x, str) for x in given)
        ):
            if isinstance(given, tuple) and len(given) > MAXIMUM_ELEMENTS:
                return None
            return np.array(given, dtype=np.float32 if "float" in key else np.int64)
    return None


def _divide(left: Value, right: Value) -> Value:
    if np.issubdtype(left.dtype, np.integer) and np.issubdtype(right.dtype, np.integer):
        if not np.all(right):
            raise UnknownShapeError("a division by zero")
        quotient = np.trunc(np.true_divide(left, right))
        return _same_type(quotient, left)
    return np.asarray(np.true_divide(left, right))


def _same_type(value: Value, like: Value) -> Value:
    return np.asarray(value).astype(like.dtype)


def _cast(view: NodeView) -> Value | None:
    target = view.node.attributes.get("to")
    name = _CASTS.get(target) if isinstance(target, int) else None
    return _cast_to(view.value(0), name or "")


def _cast_to(data: Value, name: str) -> Value:
    """The value in another type; as it is where numpy lacks the type."""
    return data.astype(np.dtype(name)) if name in _CASTS.values() else data


_CASTS: dict[int, str] = {
    1: "float32",
    2: "uint8",
    3: "int8",
    4: "uint16",
    5: "int16",
    6: "int32",
    7: "int64",
    9: "bool",
    10: "float16",
    11: "float64",
    12: "uint32",
    13: "uint64",
}
"""Numbers of ONNX element types. **Source:** TensorProto.DataType of
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto"""


def _range(view: NodeView) -> Value:
    ends = [view.value(i) for i in range(3)]
    start, limit, delta = (end.item() for end in ends)
    count = range_length(float(start), float(limit), float(delta))
    if count > MAXIMUM_ELEMENTS:
        raise UnknownShapeError(f"a range of {count} elements")
    return np.asarray(start + np.arange(count) * delta).astype(ends[0].dtype)
