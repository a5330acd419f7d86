"""Networks inside ExecuTorch programs that XNNPACK runs, a library for CPUs: graphs, not machine code.

Tensors are (batch, height, width, channels); weights (outputs, height, width, channels of a group).

**Source:** https://github.com/pytorch/executorch/tree/main/backends/xnnpack/serialization
(`runtime_schema.fbs`, `xnnpack_graph_serialize.py`)
"""

import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gaugenn.errors import FormatError
from gaugenn.formats._flatbuffers import FlatBuffer, Table
from gaugenn.graph import (
    AttributeValue,
    DataType,
    Graph,
    Layout,
    Node,
    Quantization,
    Tensor,
    TensorKind,
)

DELEGATE = "XnnpackBackend"
_HEADER = struct.Struct("<4x4sH3IQ")
"""Magic, own size, where the graph begins and its size, where constants begin and theirs."""
_HEADER_MAGIC = b"XH00"
_IDENTIFIERS = (b"XN00", b"XN01")
_NONE = 0xFFFFFFFF
_ELSEWHERE = (1 << 64) - 1
_TRANSPOSED = 1
_HIGHEST_RANK = 16
_MOST_ELEMENTS = 1 << 48
_SIMPLE, _QUANTIZED = 1, 2
_PER_CHANNEL, _PER_TENSOR = 1, 2

_DTYPES: Mapping[int, DataType] = {
    1: DataType.FLOAT32,
    2: DataType.FLOAT16,
    3: DataType.INT8,
    4: DataType.UINT8,
    5: DataType.INT32,
    6: DataType.INT8,
    7: DataType.INT32,
    8: DataType.INT4,
    9: DataType.INT8,
    10: DataType.INT4,
    11: DataType.INT8,
    12: DataType.INT32,
    13: DataType.FLOAT32,
    14: DataType.BFLOAT16,
}
"""Element types by their numbers; quantised ones as the integers that they are."""

_UNARY: Mapping[str, str] = {
    "Sigmoid": "Sigmoid",
    "Floor": "Floor",
    "SquareRoot": "Sqrt",
    "Ceiling": "Ceil",
    "Hardswish": "HardSwish",
    "Negate": "Neg",
    "Abs": "Abs",
    "Log": "Log",
    "Gelu": "Gelu",
    "Tanh": "Tanh",
    "Exp": "Exp",
    "Sin": "Sin",
}
_BINARY: Mapping[str, str] = {
    "Add": "Add",
    "Div": "Div",
    "Minimum": "Min",
    "Multiply": "Mul",
    "Subtract": "Sub",
    "Maximum": "Max",
    "PReLU": "PRelu",
    "BatchMatrixMultiply": "MatMul",
}
_KINDS: tuple[str, ...] = (
    *("", "Add", "FullyConnected", "Softmax", "Sigmoid", "StaticTranspose", "Clamp", "Conv2d"),
    *("Div", "StaticResizeBilinear2D", "StaticConstantPad", "AvgPooling2d", "Minimum"),
    *("DepthwiseConv2d", "MaxPooling2d", "Multiply", "Subtract", "Floor", "Convert"),
    *("GlobalAvgPooling2d", "StaticReshape", "ArgMaxPooling2d", "SquareRoot", "Ceiling"),
    *("Hardswish", "LeakyReLU", "Maximum", "Negate", "Square", "ELU", "Abs", "PReLU"),
    *("Concatenate2", "Concatenate3", "Concatenate4", "StaticSlice"),
    *("ScaledDotProductAttention", "BatchMatrixMultiply", "Concatenate5", "ConvTranspose2d"),
    *("ReciprocalSquareRoot", "Log", "Gelu", "Tanh", "Exp", "Sin"),
)
"""Kinds of nodes by their numbers in the union."""

Named = Callable[[str], memoryview | None]
"""Gives the data that the program keeps under a name."""


def is_graph(data: memoryview) -> bool:
    """Whether a delegate's data are a graph of a version that is read."""
    return bytes(data[4:8]) in (_HEADER_MAGIC, *_IDENTIFIERS)


def read_graph(data: memoryview, where: str, named: Named, notes: set[str]) -> Graph:
    """The network.

    Args:
        data: of the delegate.
        where: for messages.
        named: looks data up that lie outside.
        notes: `weights-absent`, `weights-packed` and `newer-operators` are added.

    Raises:
        FormatError: cut off, or a graph that contradicts itself.
    """
    graph, constants = data, memoryview(b"")
    if bytes(data[4:8]) == _HEADER_MAGIC:
        if data.nbytes < _HEADER.size:
            raise FormatError(f"{where}: XNNPACK's data end inside their header")
        _, _, start, size, base, held = _HEADER.unpack_from(data)
        if start + size > data.nbytes or base + held > data.nbytes:
            raise FormatError(
                f"{where}: XNNPACK's graph or constants leave their {data.nbytes} bytes"
            )
        graph, constants = data[start : start + size], data[base : base + held]
    if bytes(graph[4:8]) not in _IDENTIFIERS:
        raise FormatError(f"{where}: a graph of XNNPACK with the identifier {bytes(graph[4:8])!r}")
    return _Reading(FlatBuffer(graph, where).root(), constants, named, notes).graph()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mapped:
    operator: str
    inputs: tuple[int, ...]
    attributes: Mapping[str, AttributeValue]
    outputs: tuple[int, ...]


class _Reading:
    def __init__(self, root: Table, constants: memoryview, named: Named, notes: set[str]) -> None:
        self._root = root
        self._constants = constants
        self._named = named
        self._notes = notes
        self._buffers = root.tables(6)
        self._places = root.tables(8)
        self._tensors: dict[int, Tensor] = {}

    def graph(self) -> Graph:
        for value in self._root.tables(2):
            number, tensor = self._tensor(*value.union(0))
            if number in self._tensors:
                raise FormatError(f"XNNPACK's value {number} is there twice")
            self._tensors[number] = tensor
        nodes = tuple(self._node(table) for table in self._root.tables(1))
        return Graph(
            name=DELEGATE,
            tensors={tensor.name: tensor for tensor in self._tensors.values()},
            nodes=nodes,
            inputs=self._names(self._root.integers(4, "u32")),
            outputs=self._names(self._root.integers(5, "u32")),
            layout=Layout.CHANNELS_LAST,
        )

    def _names(self, numbers: tuple[int, ...]) -> tuple[str, ...]:
        return tuple(self._name(number) for number in numbers)

    def _name(self, number: int) -> str:
        if number == _NONE:
            return ""
        if number not in self._tensors:
            raise FormatError(f"XNNPACK's value {number} is used and is not there")
        return self._tensors[number].name

    def _shape(self, number: int) -> tuple[int, ...]:
        tensor = self._tensors.get(number)
        shape = () if tensor is None else tensor.shape or ()
        return tuple(size for size in shape if isinstance(size, int))

    # --- values ---------------------------------------------------------------------------------

    def _tensor(self, member: int, table: Table | None) -> tuple[int, Tensor]:
        details: Table | None = None
        kind = 0
        if member == _QUANTIZED and table is not None:
            kind, details = table.union(1)
            table = table.table(0)
        if table is None or member not in (_SIMPLE, _QUANTIZED):
            raise FormatError(f"a value of XNNPACK of the kind {member}")
        sizes = table.integers(2, "u32")
        if len(sizes) > _HIGHEST_RANK or math.prod(sizes) > _MOST_ELEMENTS:
            raise FormatError(f"a value of XNNPACK of the sizes {sizes[:_HIGHEST_RANK]}")
        dtype = _DTYPES.get(table.integer(0, "i16"), DataType.UNKNOWN)
        if dtype is DataType.UNKNOWN:
            self._notes.add("newer-types")
        number, constant = table.integer(6, "u32"), table.integer(3, "u32")
        data = self._constant(constant, dtype, sizes) if constant else None
        return number, Tensor(
            name=f"value_{number}",
            dtype=dtype,
            shape=sizes,
            data=data,
            kind=TensorKind.CONSTANT if constant else TensorKind.ACTIVATION,
            quantization=None if details is None else _quantization(kind, details, sizes),
        )

    def _constant(self, index: int, dtype: DataType, sizes: tuple[int, ...]) -> memoryview | None:
        held: memoryview | None = None
        if len(self._places):
            if index >= len(self._places):
                raise FormatError(f"XNNPACK's constant {index} of {len(self._places)}")
            place = self._places[index]
            start, size = place.integer(0, "u64", _ELSEWHERE), place.integer(1, "u64")
            if start == _ELSEWHERE:
                held = self._named(place.string(2))
            elif start + size > self._constants.nbytes:
                raise FormatError(
                    f"XNNPACK's constant {index} takes {size} bytes at {start} of "
                    f"{self._constants.nbytes}"
                )
            else:
                held = self._constants[start : start + size]
        elif index < len(self._buffers):
            held = self._buffers[index].blob(0)
        else:
            raise FormatError(f"XNNPACK's constant {index} of {len(self._buffers)}")
        if held is None:
            self._notes.add("weights-absent")
            return None
        wanted = dtype.size_bytes(math.prod(sizes))
        if wanted is None or (dtype is DataType.INT4 and held.nbytes != wanted):
            self._notes.add("weights-packed")  # rows of an odd number of halves have padding
            return None
        if held.nbytes < wanted:
            raise FormatError(f"XNNPACK's constant {index} has {held.nbytes} of {wanted} bytes")
        return held[:wanted]

    # --- nodes ----------------------------------------------------------------------------------

    def _node(self, table: Table) -> Node:
        member, own = table.union(0)
        limits = table.table(3)
        if own is None or not member:
            raise FormatError("a node of XNNPACK without contents")
        if member >= len(_KINDS):
            self._notes.add("newer-operators")
            return Node(name="", operator="", source_operator=f"XNN{member}", inputs=(), outputs=())
        kind = _KINDS[member]
        mapped = self._mapped(kind, own, limits)
        fused = {} if limits is None or kind == "Clamp" else _activation(limits)
        inputs = list(mapped.inputs)
        while inputs and inputs[-1] == _NONE:
            inputs.pop()
        return Node(
            name="",
            operator=mapped.operator,
            source_operator=f"XNN{kind}",
            inputs=self._names(tuple(inputs)),
            outputs=self._names(mapped.outputs),
            attributes={**mapped.attributes, **fused},
        )

    def _mapped(self, kind: str, own: Table, limits: Table | None) -> _Mapped:
        if kind in ("Conv2d", "DepthwiseConv2d", "ConvTranspose2d"):
            return self._convolution(kind, own)
        if kind in ("AvgPooling2d", "MaxPooling2d", "ArgMaxPooling2d"):
            return _pooling(kind, own)
        if kind == "FullyConnected":
            return self._fully_connected(own)
        if kind.startswith("Concatenate"):
            fields = (1, 2, 3, 4, 7)[: int(kind[-1])]
            axis: dict[str, AttributeValue] = {"axis": own.integer(0, "u32")}
            return _Mapped(
                operator="Concat",
                inputs=tuple(own.integer(field, "u32") for field in fields),
                attributes=axis,
                outputs=(own.integer(5, "u32"),),
            )
        if kind == "ScaledDotProductAttention":
            query, key, value, scale, mask, output = (own.integer(i, "u32") for i in range(6))
            return _Mapped(
                operator="Attention" if len(self._shape(query)) == 4 else "",
                inputs=(query, key, value, mask, scale),
                attributes={},
                outputs=(output,),
            )
        if kind in _BINARY:
            first, second, output = (own.integer(i, "u32") for i in range(3))
            return _Mapped(
                operator=_BINARY[kind], inputs=(first, second), attributes={}, outputs=(output,)
            )
        return self._single(kind, own, limits)

    def _single(self, kind: str, own: Table, limits: Table | None) -> _Mapped:
        """One input and one output, behind the fields that say more."""
        first = {
            "StaticTranspose": 2,
            "StaticResizeBilinear2D": 2,
            "StaticConstantPad": 3,
            "StaticReshape": 2,
            "StaticSlice": 3,
            "ELU": 1,
            "LeakyReLU": 1,
        }.get(kind, 0)
        source, output = own.integer(first, "u32"), own.integer(first + 1, "u32")
        operator = _UNARY.get(kind, "")
        attributes: dict[str, AttributeValue] = {}
        inputs = [source]
        if kind == "Softmax":
            operator, attributes = "Softmax", {"axis": -1}
        elif kind == "Clamp":
            operator, attributes = "Clip", {} if limits is None else _limits(limits)
        elif kind == "Square":
            operator, inputs = "Mul", [source, source]
        elif kind == "GlobalAvgPooling2d":
            operator = "GlobalAveragePool"
        elif kind == "StaticTranspose":
            operator, attributes = "Transpose", {"perm": own.integers(1, "u32")}
        elif kind == "StaticReshape":
            operator, attributes = "Reshape", {"shape": own.integers(1, "u32")}
        elif kind == "StaticResizeBilinear2D":
            operator, attributes = "Resize", {"mode": "linear", "sizes": self._shape(output)}
        elif kind == "StaticConstantPad":
            pads = own.integers(0, "u32") + own.integers(1, "u32")
            operator, attributes = "Pad", {"pads": pads, "mode": "constant"}
        elif kind == "StaticSlice":
            starts, sizes = own.integers(1, "u32"), own.integers(2, "u32")
            if len(starts) != len(sizes):
                raise FormatError("a slice of XNNPACK with fewer sizes than starts, or more")
            operator = "Slice"
            attributes = {
                "starts": starts,
                "ends": tuple(at + size for at, size in zip(starts, sizes, strict=True)),
                "axes": tuple(range(len(starts))),
            }
        elif kind in ("ELU", "LeakyReLU"):
            operator = "Elu" if kind == "ELU" else "LeakyRelu"
            attributes = {"alpha": own.real(0)}
        elif kind == "Convert":
            floating = [
                number in self._tensors and self._tensors[number].dtype.is_floating
                for number in (source, output)
            ]
            operator = "Cast" if all(floating) else ""
        return _Mapped(
            operator=operator, inputs=tuple(inputs), attributes=attributes, outputs=(output,)
        )

    def _fully_connected(self, own: Table) -> _Mapped:
        source, weights, bias, output = (own.integer(i, "u32") for i in range(4))
        plain = len(self._shape(source)) == 2 and len(self._shape(output)) == 2
        attributes: dict[str, AttributeValue] = {} if plain else {"keep_num_dims": 1}
        if not own.integer(4, "u32") & _TRANSPOSED:
            attributes["transB"] = 1
        return _Mapped(
            operator="Gemm" if plain else "MatMul",
            inputs=(source, weights, bias),
            attributes=attributes,
            outputs=(output,),
        )

    def _convolution(self, kind: str, own: Table) -> _Mapped:
        top, right, bottom, left, *sizes = (own.integer(i, "u32") for i in range(13))
        kernel, strides, dilations = sizes[:2], sizes[2:4], sizes[4:6]
        channels, outputs, groups = sizes[6:9]
        if min(*kernel, outputs, groups, channels) < 1:
            raise FormatError(f"a convolution of XNNPACK with the sizes {sizes}")
        source, weights, bias, output = (own.integer(i, "u32") for i in range(15, 19))
        if kind == "DepthwiseConv2d":
            groups, outputs = groups * channels, outputs * groups
        else:
            outputs *= groups
        attributes: dict[str, AttributeValue] = {
            "kernel_shape": tuple(kernel),
            "strides": tuple(max(1, n) for n in strides),
            "dilations": tuple(max(1, n) for n in dilations),
            "group": groups,
            "output_channels": outputs,
            "pads": (top, left, bottom, right),
        }
        return _Mapped(
            operator="ConvTranspose" if kind == "ConvTranspose2d" else "Conv",
            inputs=(source, weights, bias),
            attributes=attributes,
            outputs=(output,),
        )


def _pooling(kind: str, own: Table) -> _Mapped:
    top, right, bottom, left, *sizes = (own.integer(i, "u32") for i in range(10))
    if kind == "ArgMaxPooling2d":
        source, value, index = (own.integer(i, "u32") for i in range(6, 9))
        return _Mapped(operator="", inputs=(source,), attributes={}, outputs=(value, index))
    if min(sizes[:2]) < 1:
        raise FormatError(f"a pooling of XNNPACK with the window {sizes[:2]}")
    attributes: dict[str, AttributeValue] = {
        "kernel_shape": tuple(sizes[:2]),
        "strides": tuple(max(1, n) for n in sizes[2:4]),
        "pads": (top, left, bottom, right),
    }
    if kind == "MaxPooling2d":
        attributes["dilations"] = tuple(max(1, n) for n in sizes[4:6])
    return _Mapped(
        operator="MaxPool" if kind == "MaxPooling2d" else "AveragePool",
        inputs=(own.integer(10, "u32"),),
        attributes=attributes,
        outputs=(own.integer(11, "u32"),),
    )


def _limits(table: Table) -> dict[str, AttributeValue]:
    low, high = table.real(0), table.real(1)
    found: dict[str, AttributeValue] = {}
    if math.isfinite(low):
        found["min"] = low
    if math.isfinite(high):
        found["max"] = high
    return found


def _activation(table: Table) -> dict[str, AttributeValue]:
    """Limits of a result as a fused activation; none where they are infinite."""
    low, high = table.real(0), table.real(1)
    if low == 0.0 and high == math.inf:
        return {"fused_activation": "Relu"}
    if not math.isfinite(low) and not math.isfinite(high):
        return {}
    return {"fused_activation": "Clip", "fused_min": low, "fused_max": high}


def _quantization(kind: int, table: Table, sizes: tuple[int, ...]) -> Quantization | None:
    """One scale, or one for each channel; those that lie elsewhere or change with the input are not
    told.
    """
    if kind == _PER_TENSOR:
        return Quantization(scales=(table.real(0),), zero_points=(table.integer(1),))
    scales = table.reals(0) if kind == _PER_CHANNEL else ()
    axis = table.integer(1)
    if scales and 0 <= axis < len(sizes) and len(scales) == sizes[axis]:
        return Quantization(scales=scales, axis=axis if len(scales) > 1 else None)
    return None
