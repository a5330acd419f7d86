"""Attributes of ONNX nodes.

**Source:** https://github.com/onnx/onnx/blob/main/docs/IR.md
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache, partial

import numpy as np

from gaugenn.errors import FormatError
from gaugenn.formats._onnx_tensors import (
    CACHED,
    CACHED_BYTES,
    SPARSE_TENSOR,
    TENSOR,
    TYPE,
    join_strings,
)
from gaugenn.formats._protobuf import Message, Schema, Varints, read_message
from gaugenn.graph import AttributeValue, DataType, LazyBytes, Tensor, TensorKind

GRAPH = Schema(
    "GraphProto",
    node=1,
    name=2,
    initializer=5,
    doc_string=10,
    input=11,
    output=12,
    value_info=13,
    quantization_annotation=14,
    sparse_initializer=15,
    metadata_props=16,
)
ATTRIBUTE = Schema(
    "AttributeProto",
    name=1,
    f=2,
    i=3,
    s=4,
    t=5,
    g=6,
    floats=7,
    ints=8,
    strings=9,
    tensors=10,
    graphs=11,
    tp=14,
    type_protos=15,
    type=20,
    ref_attr_name=21,
    sparse_tensor=22,
    sparse_tensors=23,
)
ATTRIBUTE_KINDS: dict[int, str] = {
    1: "f",
    2: "i",
    3: "s",
    4: "t",
    5: "g",
    6: "floats",
    7: "ints",
    8: "strings",
    9: "tensors",
    10: "graphs",
    11: "sparse_tensor",
    12: "sparse_tensors",
    13: "tp",
    14: "type_protos",
}
"""The field that holds an attribute's value, by the attribute's `type`."""


PART_SCHEMAS: dict[str, Schema] = {
    "t": TENSOR,
    "tensors": TENSOR,
    "g": GRAPH,
    "graphs": GRAPH,
    "sparse_tensor": SPARSE_TENSOR,
    "sparse_tensors": SPARSE_TENSOR,
    "tp": TYPE,
    "type_protos": TYPE,
}
"""Types of the fields that hold messages."""

ATTRIBUTE_LIMIT = 1 << 20
"""The longest list or string that becomes a Python value; larger ones become tensors."""


def plain_attribute(data: bytes) -> tuple[str, AttributeValue] | None:
    """Name and value of an attribute that is made of numbers and texts, whatever node has it.

    Most nodes repeat what others say, in other files as well, so short ones are decoded once.

    Args:
        data: the message `AttributeProto`.

    Returns:
        None for a tensor (see `attribute_tensor`), a graph, a type, a reference to a function's
        attribute, and a damaged one.
    """
    return _cached_attribute(data) if len(data) <= CACHED_BYTES else _plain_attribute(data)


def _plain_attribute(data: bytes) -> tuple[str, AttributeValue] | None:
    try:
        message = read_message(memoryview(data), ATTRIBUTE)
        kind = ATTRIBUTE_KINDS.get(message.integer("type"))
        if kind is None or message.has("ref_attr_name"):
            return None
        name = message.text("name")
        value = scalar_value(message, kind, name)
    except FormatError:
        return None
    return None if value is None or isinstance(value, Tensor) else (name, value)


_cached_attribute = lru_cache(CACHED)(_plain_attribute)


def scalar_value(message: Message, kind: str, name: str) -> AttributeValue | None:
    """The value of an attribute that is a number, a string or a list of these; else None."""
    if kind == "f":
        return message.float32("f")
    if kind == "i":
        return message.integer("i")
    if kind == "s":
        return _text_or_bytes(message.view("s") or memoryview(b""), name)
    if kind == "floats":
        view = message.fixed("floats", 4)
        if view.nbytes <= 4 * ATTRIBUTE_LIMIT:
            return message.float32s("floats")
        return _vector(name, DataType.FLOAT32, view)
    if kind == "ints":
        run = message.varints("ints")
        if run.count <= ATTRIBUTE_LIMIT:
            return run.integers()
        data = LazyBytes(size_bytes=8 * run.count, load=partial(_int64_bytes, run))
        return _vector(name, DataType.INT64, data)
    if kind == "strings":
        return message.texts("strings")
    return None


def _vector(name: str, dtype: DataType, data: memoryview | LazyBytes) -> Tensor:
    size = data.nbytes if isinstance(data, memoryview) else data.size_bytes
    shape = (8 * size // (dtype.bits or 8),)
    return Tensor(name=name, dtype=dtype, shape=shape, data=data, kind=TensorKind.CONSTANT)


def _int64_bytes(run: Varints) -> memoryview:
    return memoryview(run.array().astype("<u8").tobytes())


def _text_or_bytes(view: memoryview, name: str) -> AttributeValue:
    if view.nbytes > ATTRIBUTE_LIMIT:
        return _vector(name, DataType.UINT8, view)
    try:
        return str(view, "utf-8")
    except UnicodeDecodeError:
        return bytes(view)


def constant_output(name: str, attributes: Mapping[str, AttributeValue]) -> Tensor | None:
    """The output of a `Constant` node."""
    for kind in ("value", "sparse_value"):
        value = attributes.get(kind)
        if isinstance(value, Tensor):
            return replace(value, name=name)
    for kind, dtype, code in (
        ("value_float", DataType.FLOAT32, "<f4"),
        ("value_floats", DataType.FLOAT32, "<f4"),
        ("value_int", DataType.INT64, "<i8"),
        ("value_ints", DataType.INT64, "<i8"),
    ):
        numbers = attributes.get(kind)
        if isinstance(numbers, Tensor):
            return replace(numbers, name=name)
        if isinstance(numbers, int | float | tuple):
            array = np.array(numbers, dtype=code)
            return Tensor(
                name=name,
                dtype=dtype,
                shape=array.shape,
                data=memoryview(array.tobytes()),
                kind=TensorKind.CONSTANT,
            )
    for kind in ("value_string", "value_strings"):
        texts = attributes.get(kind)
        if isinstance(texts, str | bytes | tuple):
            return _text_tensor(name, texts)
    return None


def _text_tensor(name: str, texts: str | bytes | tuple[AttributeValue, ...]) -> Tensor:
    shape = (len(texts),) if isinstance(texts, tuple) else ()
    each = texts if isinstance(texts, tuple) else (texts,)
    data = join_strings([text if isinstance(text, bytes) else str(text).encode() for text in each])
    return Tensor(
        name=name, dtype=DataType.STRING, shape=shape, data=data, kind=TensorKind.CONSTANT
    )
