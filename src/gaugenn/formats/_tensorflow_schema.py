"""TensorFlow's graph messages: fields, element types, and values.

**Source:** https://github.com/tensorflow/tensorflow/tree/master/tensorflow/core/framework (graph,
node_def, attr_value, tensor, tensor_shape, types, function, op_def) and `core/protobuf` (meta_graph,
saved_model).
"""

import math
from collections.abc import Mapping

import numpy as np

from gaugenn.formats._protobuf import Message, Schema
from gaugenn.graph import DataType, LazyBytes, Shape, Tensor, TensorData, TensorKind

SAVED_MODEL = Schema("SavedModel", schema_version=1, meta_graphs=2)
META_GRAPH = Schema("MetaGraphDef", meta_info=1, graph=2, signature=5, objects=7)
META_INFO = Schema("MetaInfoDef", tags=4, version=5)
SIGNATURE = Schema("SignatureDef", inputs=1, outputs=2, method=3)
INFO = Schema("TensorInfo", name=1, dtype=2, shape=3)
GRAPH = Schema("GraphDef", node=1, library=2, version=3, versions=4)
VERSIONS = Schema("VersionDef", producer=1)
LIBRARY = Schema("FunctionDefLibrary", function=1)
FUNCTION = Schema("FunctionDef", signature=1, node=3, ret=4)
OP_DEF = Schema("OpDef", name=1, input_arg=2, output_arg=3)
ARG = Schema("ArgDef", name=1)
NODE = Schema("NodeDef", name=1, op=2, input=3, device=4, attr=5)
ENTRY = Schema("MapEntry", key=1, value=2)
VALUE = Schema(
    "AttrValue", list=1, s=2, i=3, f=4, b=5, type=6, shape=7, tensor=8, placeholder=9, func=10
)
LIST = Schema("ListValue", s=2, i=3, f=4, b=5, type=6, shape=7, tensor=8, func=9)
CALLED = Schema("NameAttrList", name=1)
SHAPE = Schema("TensorShapeProto", dim=2, unknown_rank=3)
DIM = Schema("Dim", size=1)
TENSOR = Schema(
    "TensorProto",
    dtype=1,
    shape=2,
    content=4,
    float_val=5,
    double_val=6,
    int_val=7,
    string_val=8,
    int64_val=10,
    bool_val=11,
    half_val=13,
    uint32_val=16,
    uint64_val=17,
)

TYPES: Mapping[int, DataType] = {
    1: DataType.FLOAT32,
    2: DataType.FLOAT64,
    3: DataType.INT32,
    4: DataType.UINT8,
    5: DataType.INT16,
    6: DataType.INT8,
    7: DataType.STRING,
    8: DataType.COMPLEX64,
    9: DataType.INT64,
    10: DataType.BOOL,
    11: DataType.INT8,
    12: DataType.UINT8,
    13: DataType.INT32,
    14: DataType.BFLOAT16,
    15: DataType.INT16,
    16: DataType.UINT16,
    17: DataType.UINT16,
    18: DataType.COMPLEX128,
    19: DataType.FLOAT16,
    20: DataType.RESOURCE,
    21: DataType.VARIANT,
    22: DataType.UINT32,
    23: DataType.UINT64,
    24: DataType.FLOAT8_E5M2,
    25: DataType.FLOAT8_E4M3FN,
    29: DataType.INT4,
    30: DataType.UINT4,
}
"""Element types by number; quantised ones as the integers that they are stored in."""

_REFERENCE = 100
"""Added to the number of a type for a reference to a variable of it."""

_VALUES: Mapping[DataType, tuple[str, int]] = {
    DataType.FLOAT32: ("float_val", 4),
    DataType.FLOAT64: ("double_val", 8),
    **dict.fromkeys(
        (DataType.INT32, DataType.INT16, DataType.INT8, DataType.UINT8, DataType.UINT16),
        ("int_val", 0),
    ),
    DataType.INT64: ("int64_val", 0),
    DataType.BOOL: ("bool_val", 0),
    DataType.FLOAT16: ("half_val", 0),
    DataType.BFLOAT16: ("half_val", 0),
    DataType.UINT32: ("uint32_val", 0),
    DataType.UINT64: ("uint64_val", 0),
}
"""The field that spells a type's values out, and their width; 0 for numbers of varying length."""

_STORED: Mapping[DataType, str] = {DataType.FLOAT16: "uint16", DataType.BFLOAT16: "uint16"}

_LARGEST = 1 << 40

SPLAT_BYTES = 1 << 25
"""A value that fills a whole tensor is spread out up to this size; a larger one has no data."""


def data_type(number: int) -> DataType:
    """The element type of that number; UNKNOWN for newer ones."""
    return TYPES.get(number % _REFERENCE if number > _REFERENCE else number, DataType.UNKNOWN)


def shape_of(message: Message | None) -> Shape | None:
    """A shape; None where there is none, or its rank is unknown.

    Raises:
        FormatError: an absurd size.
    """
    if message is None or message.integer("unknown_rank"):
        return None
    sizes = [dim.integer("size") for dim in message.messages("dim", DIM)]
    if any(size >= _LARGEST or size < -1 for size in sizes) or len(sizes) > 254:
        raise message.error(f"a tensor of shape {sizes[:8]}")
    return tuple("?" if size < 0 else size for size in sizes)


def read_tensor(message: Message, name: str) -> Tensor:
    """A constant.

    Raises:
        FormatError: values that do not fit the shape.
    """
    dtype = data_type(message.integer("dtype"))
    shape = shape_of(message.message("shape", SHAPE))
    if shape is None or any(isinstance(size, str) for size in shape):
        raise message.error(f"the constant {name!r} has no definite shape")
    elements = math.prod(size for size in shape if isinstance(size, int))
    return Tensor(
        name=name,
        dtype=dtype,
        shape=shape,
        data=_data(message, dtype, elements),
        kind=TensorKind.CONSTANT,
    )


def _data(message: Message, dtype: DataType, elements: int) -> TensorData | None:
    """Packed elements; fewer values than elements mean that the last one is repeated."""
    content = message.view("content")
    if dtype.size_bytes(elements) is None:
        return None
    if content is not None and content.nbytes:
        return content
    if dtype not in _VALUES:
        return None if elements else memoryview(b"")
    field, width = _VALUES[dtype]
    if width:
        values = message.fixed(field, width)
        count = values.nbytes // width
    else:
        count = message.varints(field).count
    if count > elements:
        raise message.error(f"{count} values for a tensor of {elements} elements")
    size = dtype.size_bytes(elements) or 0
    if width and count == elements:
        return values
    if count < elements and size > SPLAT_BYTES:
        return None

    def load() -> memoryview:
        kind = np.dtype(_STORED.get(dtype, dtype.value)).newbyteorder("<")
        if width:
            given = np.frombuffer(message.fixed(field, width), dtype=kind)
        else:
            given = message.varints(field).array().astype(np.uint64).astype(kind)
        last = given[-1:] if given.size else np.zeros(1, dtype=kind)
        whole = np.concatenate((given, np.repeat(last, elements - given.size)))
        return memoryview(whole.tobytes())

    return LazyBytes(size_bytes=size, load=load)
