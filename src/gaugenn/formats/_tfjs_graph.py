"""A TensorFlow graph in protobuf's JSON form, written anew in its binary form.

So that one reader serves both. The weights lie in other files; small whole numbers (shapes, axes) are
put into the graph, since operators are understood by them.

**Source:** https://protobuf.dev/programming-guides/json/ and the messages in `_tensorflow_schema`.
"""

import base64
import binascii
import struct
from collections.abc import Iterator, Mapping

from gaugenn.errors import FormatError
from gaugenn.formats import _json
from gaugenn.formats import _tensorflow_schema as schema
from gaugenn.formats._tfjs_weights import Weight
from gaugenn.graph import DataType, LazyBytes

_SMALL_BYTES = 512

_ELEMENT_NAMES = """
    INVALID FLOAT DOUBLE INT32 UINT8 INT16 INT8 STRING COMPLEX64 INT64 BOOL QINT8 QUINT8 QINT32 BFLOAT16
    QINT16 QUINT16 UINT16 COMPLEX128 HALF RESOURCE VARIANT UINT32 UINT64
""".split()  # noqa: SIM905
_ELEMENTS = {f"DT_{name}": number for number, name in enumerate(_ELEMENT_NAMES)}
"""Numbers of element types, in the order of types.proto."""

_NUMBERS: Mapping[DataType, int] = {
    dtype: number for number, dtype in reversed(list(schema.TYPES.items()))
}


def graph_bytes(topology: _json.Object, weights: Mapping[str, Weight]) -> bytes:
    """The graph as a binary `GraphDef`.

    Raises:
        FormatError: values of another kind than their names say.
    """
    numbers = schema.GRAPH.numbers
    parts = [
        _block(numbers["node"], _node(each, weights)) for each in _json.parts(topology, "node")
    ]
    library = _json.part(topology, "library")
    functions = b"".join(
        _block(schema.LIBRARY.numbers["function"], _function(each, weights))
        for each in _json.parts(library, "function")
    )
    if functions:
        parts.append(_block(numbers["library"], functions))
    versions = _json.part(topology, "versions")
    if versions:
        producer = _json.whole(versions.get("producer"))
        parts.append(_block(numbers["versions"], _number(1, producer)))
    return b"".join(parts)


def _varint(value: int) -> bytes:
    value &= 2**64 - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _block(field: int, data: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _text(field: int, value: str) -> bytes:
    return _block(field, value.encode("utf-8", "replace"))


def _float(field: int, value: float) -> bytes:
    try:
        return _varint(field << 3 | 5) + struct.pack("<f", value)
    except OverflowError:
        raise FormatError(f"the number {value} is too large for 32 bits") from None


def _node(node: _json.Object, weights: Mapping[str, Weight]) -> bytes:
    numbers = schema.NODE.numbers
    name, op = _json.text(node, "name"), _json.text(node, "op")
    parts = [_text(numbers["name"], name), _text(numbers["op"], op)]
    parts += (_text(numbers["input"], each) for each in _json.texts(node, "input"))
    held = weights.get(name) if op == "Const" else None
    attributes = _json.part(node, "attr")
    for key in attributes:
        value = _json.part(attributes, key)
        body = _constant(value, held) if key == "value" and op == "Const" else _value(value)
        parts.append(_block(numbers["attr"], _entry(key, body)))
    if op == "Const" and "value" not in attributes:
        parts.append(_block(numbers["attr"], _entry("value", _constant({}, held))))
    return b"".join(parts)


def _entry(key: str, value: bytes) -> bytes:
    return _text(schema.ENTRY.numbers["key"], key) + _block(schema.ENTRY.numbers["value"], value)


def _constant(value: _json.Object, held: Weight | None) -> bytes:
    """A constant of the weight's type and shape, with its elements where these are few numbers."""
    tensor = _json.part(value, "tensor")
    numbers = schema.TENSOR.numbers
    if held is None:
        shape = _json.part(tensor, "tensorShape")
        body = _number(numbers["dtype"], _element(tensor.get("dtype")))
        body += _block(numbers["shape"], _shape(shape)) + _spelled(tensor)
        return _block(schema.VALUE.numbers["tensor"], body)
    sizes = b"".join(
        _block(schema.SHAPE.numbers["dim"], _number(schema.DIM.numbers["size"], size))
        for size in held.shape
    )
    body = _number(numbers["dtype"], _NUMBERS.get(held.dtype, 0)) + _block(numbers["shape"], sizes)
    few = held.quantization is None and (held.dtype.size_bytes(1) or 0) > 0
    if few and isinstance(held.data, memoryview) and held.data.nbytes <= _SMALL_BYTES:
        body += _block(numbers["content"], bytes(held.data))
    elif few and isinstance(held.data, LazyBytes) and held.data.size_bytes <= _SMALL_BYTES:
        body += _block(numbers["content"], bytes(held.data.load()))
    return _block(schema.VALUE.numbers["tensor"], body)


def _spelled(tensor: _json.Object) -> bytes:
    """The elements of a constant that the graph itself spells out."""
    content = _json.text(tensor, "tensorContent")
    if content:
        return _block(schema.TENSOR.numbers["content"], _decoded(content))
    found = b""
    for name, field in (("intVal", "int_val"), ("int64Val", "int64_val"), ("boolVal", "bool_val")):
        values = tensor.get(name)
        for each in values if isinstance(values, list) else ():
            found += _number(schema.TENSOR.numbers[field], _json.whole(each))
    values = tensor.get("floatVal")
    for each in values if isinstance(values, list) else ():
        found += _float(schema.TENSOR.numbers["float_val"], each if _is_real(each) else 0.0)
    return found


def _is_real(value: object) -> bool:
    return isinstance(value, int | float)


def _element(value: object) -> int:
    return _ELEMENTS.get(value, 0) if isinstance(value, str) else _json.whole(value)


def _decoded(value: str) -> bytes:
    """Bytes are in base64; what is none is taken as it stands."""
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return value.encode("utf-8", "replace")


def _shape(shape: _json.Object) -> bytes:
    numbers = schema.SHAPE.numbers
    if shape.get("unknownRank") is True:
        return _number(numbers["unknown_rank"], 1)
    return b"".join(
        _block(numbers["dim"], _number(schema.DIM.numbers["size"], _json.whole(dim.get("size"))))
        for dim in _json.parts(shape, "dim")
    )


def _value(value: _json.Object) -> bytes:
    """An attribute."""
    numbers = schema.VALUE.numbers
    listed = value.get("list")
    if isinstance(listed, dict):
        return _block(numbers["list"], b"".join(_listed(listed)))
    return b"".join(_plain(value, numbers))


def _plain(value: _json.Object, numbers: Mapping[str, int]) -> Iterator[bytes]:
    for key, given in value.items():
        if key == "s" and isinstance(given, str):
            yield _block(numbers["s"], _decoded(given))
        elif key == "i":
            yield _number(numbers["i"], _json.whole(given))
        elif key == "f" and isinstance(given, int | float):
            yield _float(numbers["f"], given)
        elif key == "b" and isinstance(given, bool):
            yield _number(numbers["b"], int(given))
        elif key == "type":
            yield _number(numbers["type"], _element(given))
        elif key == "shape" and isinstance(given, dict):
            yield _block(numbers["shape"], _shape(given))
        elif key == "func" and isinstance(given, dict):
            yield _block(numbers["func"], _text(1, _json.text(given, "name")))


def _listed(value: _json.Object) -> Iterator[bytes]:
    numbers = schema.LIST.numbers
    for key, given in value.items():
        for each in given if isinstance(given, list) else ():
            yield from _plain({key: each}, numbers)


def _function(function: _json.Object, weights: Mapping[str, Weight]) -> bytes:
    numbers = schema.FUNCTION.numbers
    signature = _json.part(function, "signature")
    described = _text(schema.OP_DEF.numbers["name"], _json.text(signature, "name"))
    for key, field in (("inputArg", "input_arg"), ("outputArg", "output_arg")):
        for each in _json.parts(signature, key):
            named = _text(schema.ARG.numbers["name"], _json.text(each, "name"))
            described += _block(schema.OP_DEF.numbers[field], named)
    parts = [_block(numbers["signature"], described)]
    parts += (
        _block(numbers["node"], _node(each, weights)) for each in _json.parts(function, "nodeDef")
    )
    returned = _json.part(function, "ret")
    for key in returned:
        pair = _text(schema.ENTRY.numbers["key"], key)
        pair += _text(schema.ENTRY.numbers["value"], _json.text(returned, key))
        parts.append(_block(numbers["ret"], pair))
    return b"".join(parts)
