"""The one in-memory form of every model format.

A `Model` holds graphs, a graph holds tensors and nodes. Names follow ONNX; dtypes follow numpy.

**What a reader must deliver** (the contract between `formats/` and `analysis/`):

1. `Node.source_operator` is what the file says. `Node.operator` is the ONNX operator of the same
   meaning, or "" where ONNX has none; it is never guessed.
2. Where `operator` is set, `inputs` stand in ONNX order (inputs that ONNX does not know may follow),
   and attributes that ONNX knows carry ONNX names, values and units. What newer opsets take as an
   input may be an attribute of the same name, as in older opsets (`axes`, `shape`, `pads`, `starts`,
   `ends`, `steps`, `split`, `scales`, `sizes`, `min`, `max`, `repeats`, `k`). Axes count the
   dimensions that this graph's tensors really have, in their order.
3. Attributes without an ONNX counterpart keep the source's name.
4. `Graph.layout` says where the channels of spatial operators (convolution, pooling, resize, batch
   normalisation, depth-to-space) are. Formats that hide the batch (ncnn) present it as a leading 1.
5. Convolutions always carry `kernel_shape` and, in formats other than ONNX, `output_channels`; the
   weight tensor keeps the element order of its file. Padding is `pads` (begin..., end...) or
   `auto_pad` (`SAME_UPPER`, `SAME_LOWER`, `VALID`).
6. An activation fused into a node is the attribute `fused_activation`, an ONNX operator name
   (`Relu`, `Clip`, `Tanh`, ...; with `fused_min` and `fused_max` for `Clip`).
7. A sub-graph is an attribute of type `GraphReference`, under the ONNX name where there is one
   (`then_branch`, `else_branch`, `body`). An inner graph sees the tensors of its `parent`.
8. Weights are tensors of kind CONSTANT with their true shape, also when the bytes are absent
   (`data` is None): costs do not need the bytes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from gaugenn.errors import FormatError

Dimension = int | str
"""A size, or the symbol of a dynamic size ("?" where the file gives it no name)."""

Shape = tuple[Dimension, ...]


class DataType(StrEnum):
    """Element types, by numpy name where numpy (or ml_dtypes) has one."""

    FLOAT64 = "float64"
    FLOAT32 = "float32"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"
    FLOAT8_E4M3FN = "float8_e4m3fn"
    FLOAT8_E4M3FNUZ = "float8_e4m3fnuz"
    FLOAT8_E5M2 = "float8_e5m2"
    FLOAT8_E5M2FNUZ = "float8_e5m2fnuz"
    FLOAT8_E8M0FNU = "float8_e8m0fnu"
    FLOAT4_E2M1FN = "float4_e2m1fn"
    INT64 = "int64"
    INT32 = "int32"
    INT16 = "int16"
    INT8 = "int8"
    INT4 = "int4"
    INT2 = "int2"
    UINT64 = "uint64"
    UINT32 = "uint32"
    UINT16 = "uint16"
    UINT8 = "uint8"
    UINT4 = "uint4"
    UINT2 = "uint2"
    BOOL = "bool"
    COMPLEX64 = "complex64"
    COMPLEX128 = "complex128"
    STRING = "string"
    RESOURCE = "resource"
    VARIANT = "variant"
    UNKNOWN = "unknown"

    @property
    def bits(self) -> int | None:
        """Bits an element takes when packed; None where elements have no fixed size."""
        return _BITS.get(self)

    def size_bytes(self, elements: int) -> int | None:
        """Bytes of `elements` packed elements: ceil(elements * bits / 8)."""
        bits = self.bits
        return None if bits is None else (elements * bits + 7) // 8

    @property
    def is_floating(self) -> bool:
        """Whether the type is a real floating-point type."""
        return "float" in self.value


_BITS: dict[DataType, int] = {
    **dict.fromkeys((DataType.FLOAT64, DataType.INT64, DataType.UINT64, DataType.COMPLEX64), 64),
    **dict.fromkeys((DataType.FLOAT32, DataType.INT32, DataType.UINT32), 32),
    **dict.fromkeys((DataType.FLOAT16, DataType.BFLOAT16, DataType.INT16, DataType.UINT16), 16),
    **dict.fromkeys((DataType.INT8, DataType.UINT8, DataType.BOOL, DataType.FLOAT8_E4M3FN), 8),
    **dict.fromkeys((DataType.FLOAT8_E4M3FNUZ, DataType.FLOAT8_E5M2, DataType.FLOAT8_E5M2FNUZ), 8),
    **dict.fromkeys((DataType.INT4, DataType.UINT4, DataType.FLOAT4_E2M1FN), 4),
    **dict.fromkeys((DataType.INT2, DataType.UINT2), 2),
    DataType.FLOAT8_E8M0FNU: 8,
    DataType.COMPLEX128: 128,
}


ONNX_ELEMENT_TYPES: dict[int, DataType] = {
    1: DataType.FLOAT32,
    2: DataType.UINT8,
    3: DataType.INT8,
    4: DataType.UINT16,
    5: DataType.INT16,
    6: DataType.INT32,
    7: DataType.INT64,
    8: DataType.STRING,
    9: DataType.BOOL,
    10: DataType.FLOAT16,
    11: DataType.FLOAT64,
    12: DataType.UINT32,
    13: DataType.UINT64,
    14: DataType.COMPLEX64,
    15: DataType.COMPLEX128,
    16: DataType.BFLOAT16,
    17: DataType.FLOAT8_E4M3FN,
    18: DataType.FLOAT8_E4M3FNUZ,
    19: DataType.FLOAT8_E5M2,
    20: DataType.FLOAT8_E5M2FNUZ,
    21: DataType.UINT4,
    22: DataType.INT4,
    23: DataType.FLOAT4_E2M1FN,
    24: DataType.FLOAT8_E8M0FNU,
    25: DataType.UINT2,
    26: DataType.INT2,
}
"""Element types by ONNX's numbers in files and attributes; 6-bit floats (27, 28) have no counterpart.

**Source:** TensorProto.DataType of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""


class Layout(StrEnum):
    """Where the channels of spatial operators are."""

    CHANNELS_FIRST = "channels_first"
    """(batch, channels, spatial...): ONNX, Caffe, ncnn."""
    CHANNELS_LAST = "channels_last"
    """(batch, spatial..., channels): TFLite, TensorFlow."""


class TensorKind(StrEnum):
    """What a tensor is to its graph."""

    ACTIVATION = "activation"
    """Computed by a node, or fed as a graph input."""
    CONSTANT = "constant"
    """Held by the file: a weight, a table, a shape."""
    VARIABLE = "variable"
    """State that survives an inference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantization:
    """Affine quantisation: real = scale * (stored - zero_point).

    Attributes:
        scales: one value per tensor, per slice along `axis`, or per block (row-major order of blocks).
        zero_points: as many as scales, or empty for symmetric quantisation.
        axis: the quantised dimension for per-axis and per-block schemes, else None.
        block_size: elements that share a scale along `axis`, or None.
        scales_tensor: name of the graph's tensor that holds the scales, where the file keeps them in
            one (there may be millions); `scales` is then empty. "" otherwise.
        zero_points_tensor: the same for zero points.
    """

    scales: tuple[float, ...]
    zero_points: tuple[int, ...] = ()
    axis: int | None = None
    block_size: int | None = None
    scales_tensor: str = ""
    zero_points_tensor: str = ""

    def __post_init__(self) -> None:
        """Refuses contradictory parameters."""
        if len(self.zero_points) not in (0, 1, len(self.scales)):
            raise FormatError(
                f"quantisation has {len(self.scales)} scales but {len(self.zero_points)} zero points"
            )

    @property
    def granularity(self) -> str:
        """`per_tensor`, `per_axis` or `per_block`."""
        if self.block_size is not None:
            return "per_block"
        by_axis = len(self.scales) > 1 or (self.scales_tensor != "" and self.axis is not None)
        return "per_axis" if by_axis else "per_tensor"


@dataclass(frozen=True, slots=True, kw_only=True)
class LazyBytes:
    """Tensor bytes that must be decoded before use (compressed, sparse, or spelled out in a list).

    Attributes:
        size_bytes: what `load` will return, known without decoding.
        load: decodes; costs time and memory at every call.
    """

    size_bytes: int
    load: Callable[[], memoryview] = field(repr=False, compare=False)


TensorData = memoryview | LazyBytes

LARGEST_SIZE = (1 << 63) - 1
"""The most that a dimension can be: no format and no framework counts in more than 64 bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """A typed array, or the promise of one.

    Attributes:
        name: unique in its graph.
        dtype: element type as stored.
        shape: sizes, symbols where dynamic; None when the rank is unknown.
        data: packed little-endian elements in row-major order. A memoryview shares the mapped file
            and costs nothing. None for activations and for weights that are not there.
        kind: activation, constant or variable.
        quantization: how stored integers map to real numbers, if they do.
        sparse: the file stores only the non-zero elements; `data` is the dense form.
    """

    name: str
    dtype: DataType
    shape: Shape | None
    data: TensorData | None = field(default=None, repr=False, compare=False)
    kind: TensorKind = TensorKind.ACTIVATION
    quantization: Quantization | None = None
    sparse: bool = False

    def __post_init__(self) -> None:
        """Refuses negative and impossible sizes and data that cannot fill the shape."""
        for size in self.shape or ():
            if isinstance(size, int) and not 0 <= size <= LARGEST_SIZE:
                if abs(size) > LARGEST_SIZE:
                    raise FormatError(
                        f"tensor {self.name!r} has a size of 2 to the power of 63 or more"
                    )
                raise FormatError(f"tensor {self.name!r} has a negative size in {self.shape}")
        if self.data is None:
            return
        expected = self.size_bytes
        if expected is not None:
            held = self.data.nbytes if isinstance(self.data, memoryview) else self.data.size_bytes
            if held != expected:
                raise FormatError(
                    f"tensor {self.name!r} of {self.dtype} {self.shape} needs {expected} bytes, "
                    f"the file holds {held}"
                )

    @property
    def elements(self) -> int | None:
        """Number of elements, or None while a size is unknown. A scalar has one."""
        if self.shape is None:
            return None
        elements = 1
        for size in self.shape:
            if isinstance(size, str):
                return None
            elements *= size
        return elements

    @property
    def size_bytes(self) -> int | None:
        """Bytes of the packed elements, or None while a size is unknown."""
        elements = self.elements
        return None if elements is None else self.dtype.size_bytes(elements)

    def read(self) -> memoryview:
        """The packed bytes; free for mapped data, a decode for `LazyBytes`.

        Raises:
            FormatError: the tensor has no data.
        """
        if self.data is None:
            raise FormatError(f"tensor {self.name!r} has no data in this file")
        return self.data if isinstance(self.data, memoryview) else self.data.load()

    def array(self) -> npt.NDArray[np.generic]:
        """The elements as stored integers or floats, shaped; no dequantisation.

        Byte-sized types share the file's memory. bfloat16 becomes float32; 4- and 2-bit integers
        become int8 or uint8.

        Raises:
            FormatError: no data, dynamic shape, or a type without a numpy counterpart.
        """
        if self.elements is None or self.shape is None:
            raise FormatError(f"tensor {self.name!r} has a dynamic shape")
        raw = np.frombuffer(self.read(), dtype=np.uint8)
        return _decode(raw, self.dtype, self.elements, self.name).reshape(
            tuple(size for size in self.shape if isinstance(size, int))
        )


def _decode(
    raw: npt.NDArray[np.uint8], dtype: DataType, elements: int, name: str
) -> npt.NDArray[np.generic]:
    bits = dtype.bits
    if dtype is DataType.BFLOAT16:
        return (raw.view("<u2").astype(np.uint32) << 16).view(np.float32)
    if dtype in (DataType.INT4, DataType.UINT4, DataType.INT2, DataType.UINT2) and bits is not None:
        lanes = np.arange(0, 8, bits, dtype=np.uint8)
        parts = ((raw[:, None] >> lanes) & ((1 << bits) - 1)).reshape(-1)[:elements]
        if dtype in (DataType.UINT4, DataType.UINT2):
            return parts
        sign = 1 << (bits - 1)
        return (parts.astype(np.int8) ^ sign) - np.int8(sign)
    try:
        if bits is None or bits < 8:  # packed floats, which ml_dtypes would spread over whole bytes
            raise TypeError
        return raw.view(np.dtype(dtype.value).newbyteorder("<"))
    except TypeError:
        raise FormatError(f"tensor {name!r}: numpy has no {dtype} elements") from None


@dataclass(frozen=True, slots=True)
class GraphReference:
    """A sub-graph, as its index in `Model.graphs`."""

    index: int


AttributeValue = (
    bool
    | int
    | float
    | str
    | bytes
    | tuple[int, ...]
    | tuple[float, ...]
    | tuple[str, ...]
    | GraphReference
    | Tensor
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One operator application.

    Attributes:
        name: as in the file; may be empty or repeated.
        operator: the ONNX operator of the same meaning, or "".
        source_operator: what the file says (`CONV_2D`, `ConvolutionDepthWise`, `FusedConv`).
        inputs: tensor names, "" for an omitted optional input.
        outputs: tensor names.
        attributes: see the module's contract.
        domain: operator set of `source_operator` where the format has several (`com.microsoft`).
    """

    name: str
    operator: str
    source_operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    domain: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """Nodes in the file's execution order over named tensors.

    Attributes:
        name: as in the file.
        tensors: every tensor of the graph by name: inputs, weights and results.
        nodes: in execution order.
        inputs: names of the tensors that a caller feeds.
        outputs: names of the tensors that a caller gets.
        layout: where spatial operators keep their channels.
        parent: index of the graph whose tensors this one also sees (ONNX bodies), or None.
    """

    name: str
    tensors: Mapping[str, Tensor]
    nodes: tuple[Node, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    layout: Layout = Layout.CHANNELS_FIRST
    parent: int | None = None


NODE_LIMIT = 1 << 17
"""Nodes of one model, in all its graphs. The largest networks of phones have some ten thousand; a small
file may hold a million that do nothing, and each costs a reader, the analysis and the tables."""


def check_nodes(count: int) -> None:
    """Refuses more nodes than a model can have, for readers that know the number beforehand.

    Raises:
        FormatError: more than `NODE_LIMIT`.
    """
    if count > NODE_LIMIT:
        raise FormatError(f"the model has {count} nodes or more, at most {NODE_LIMIT} are read")


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A parsed model file (or a graph file with its companions).

    Attributes:
        format: the reader's name.
        format_version: of the file format, as the file spells it; "" when unknown.
        producer: the exporter the file names, or "".
        graphs: `graphs[0]` is the main graph; the rest are sub-graphs and further entry points.
        metadata: text entries of the file (author, licence, labels file names, ...).
        companions: names, relative to the graph file's folder, of the other files that were used.
        notes: sorted machine-readable remarks: `identifier-stripped`, `weights-absent`,
            `accelerator-blob`, `newer-operators`, ...
    """

    format: str
    format_version: str
    producer: str
    graphs: tuple[Graph, ...]
    metadata: Mapping[str, str] = field(default_factory=dict)
    companions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Checks every edge: a reader cannot deliver a graph that refers to nothing.

        Raises:
            FormatError: an edge, output or sub-graph that is not defined, or too many nodes.
        """
        if not self.graphs:
            raise FormatError(f"a {self.format} file without a graph")
        check_nodes(sum(len(graph.nodes) for graph in self.graphs))
        for index, graph in enumerate(self.graphs):
            if graph.parent is not None and not 0 <= graph.parent < index:
                raise FormatError(
                    f"graph {graph.name!r} names a parent that does not come before it"
                )
            for node in graph.nodes:
                for name in (*node.inputs, *node.outputs):
                    if name not in graph.tensors:
                        self._require(graph, name, node.name or node.source_operator)
                for value in node.attributes.values():
                    if isinstance(value, GraphReference) and value.index >= len(self.graphs):
                        raise FormatError(f"node {node.name!r} refers to a graph that is not there")
            for name in (*graph.inputs, *graph.outputs):
                self._require(graph, name, "the graph's interface")

    def _require(self, graph: Graph, name: str, user: str) -> None:
        if name and self.find_tensor(graph, name) is None:
            raise FormatError(f"{user!r} refers to tensor {name!r}, which is not defined")

    def find_tensor(self, graph: Graph, name: str) -> Tensor | None:
        """The tensor a name means inside a graph, looking outwards through its parents."""
        scope: Graph | None = graph
        while scope is not None:
            tensor = scope.tensors.get(name)
            if tensor is not None:
                return tensor
            scope = None if scope.parent is None else self.graphs[scope.parent]
        return None
