"""Core ML programs in their binary form, a Protocol Buffers message inside an `.mlmodel`.

**Source:** https://github.com/apple/coremltools/blob/main/mlmodel/format/MIL.proto
"""

from collections.abc import Iterator

import numpy as np

from gaugenn.errors import FormatError
from gaugenn.formats._coreml_program import Argument, Block, Function, Operation
from gaugenn.formats._coreml_values import Blob, Literal, ValueType, checked
from gaugenn.formats._protobuf import Message, Schema, Varints
from gaugenn.graph import DataType, Dimension, LazyBytes, Shape, TensorData

PROGRAM = Schema("Program", functions=2)
_ENTRY = Schema("MapEntry", key=1, value=2)
_FUNCTION = Schema("Function", inputs=1, opset=2, blocks=3)
_BLOCK = Schema("Block", inputs=1, outputs=2, operations=3)
_OPERATION = Schema("Operation", type=1, inputs=2, outputs=3, blocks=4, attributes=5)
_ARGUMENT = Schema("Argument", arguments=1)
_BINDING = Schema("Binding", name=1, value=2)
_NAMED = Schema("NamedValueType", name=1, type=2)
_TYPE = Schema("ValueType", tensor=1, state=5)
_STATE = Schema("StateType", wrapped=1)
_TENSOR_TYPE = Schema("TensorType", dtype=1, rank=2, dimensions=3)
_DIMENSION = Schema("Dimension", constant=1, unknown=2)
_SIZE = Schema("ConstantDimension", size=1)
_VALUE = Schema("Value", type=2, immediate=3, blob=5)
_IMMEDIATE = Schema("ImmediateValue", tensor=1)
_BLOB = Schema("BlobFileValue", file_name=1, offset=2)
_TENSOR = Schema(
    "TensorValue", floats=1, ints=2, bools=3, strings=4, long_ints=5, doubles=6, bytes=7
)
_VALUES = Schema("RepeatedValues", values=1)

_ELEMENT_TYPES = {
    1: DataType.BOOL,
    2: DataType.STRING,
    10: DataType.FLOAT16,
    11: DataType.FLOAT32,
    12: DataType.FLOAT64,
    13: DataType.BFLOAT16,
    21: DataType.INT8,
    22: DataType.INT16,
    23: DataType.INT32,
    24: DataType.INT64,
    25: DataType.INT4,
    31: DataType.UINT8,
    32: DataType.UINT16,
    33: DataType.UINT32,
    34: DataType.UINT64,
    35: DataType.UINT4,
    36: DataType.UINT2,
    40: DataType.FLOAT8_E4M3FN,
    41: DataType.FLOAT8_E5M2,
}
_HIGHEST_RANK = 64


def functions(program: Message) -> tuple[Function, ...]:
    """The functions of a program.

    Raises:
        FormatError: a function without a block, or values that contradict their types.
    """
    found: list[Function] = []
    for entry in program.messages("functions", _ENTRY):
        function = entry.message("value", _FUNCTION)
        if function is None:
            raise entry.error("a function without contents")
        opset = function.text("opset")
        blocks = {
            each.text("key"): each.message("value", _BLOCK)
            for each in function.messages("blocks", _ENTRY)
        }
        block = blocks.get(opset) or next(iter(blocks.values()), None)
        if block is None:
            raise function.error("a function without a block")
        inputs = tuple(_named(each) for each in function.messages("inputs", _NAMED))
        inner = _block(block)
        found.append(
            Function(
                name=entry.text("key"),
                opset=opset,
                block=Block(
                    inputs=(*inputs, *inner.inputs),
                    operations=inner.operations,
                    outputs=inner.outputs,
                ),
            )
        )
    return tuple(found)


def _block(block: Message) -> Block:
    return Block(
        inputs=tuple(_named(each) for each in block.messages("inputs", _NAMED)),
        operations=tuple(_operation(each) for each in block.messages("operations", _OPERATION)),
        outputs=block.texts("outputs"),
    )


def _operation(operation: Message) -> Operation:
    return Operation(
        kind=operation.text("type"),
        arguments={
            entry.text("key"): tuple(_arguments(entry.message("value", _ARGUMENT)))
            for entry in operation.messages("inputs", _ENTRY)
        },
        outputs=tuple(_named(each) for each in operation.messages("outputs", _NAMED)),
        attributes={
            entry.text("key"): _literal(value)
            for entry in operation.messages("attributes", _ENTRY)
            if (value := entry.message("value", _VALUE)) is not None
        },
        blocks=tuple(_block(each) for each in operation.messages("blocks", _BLOCK)),
    )


def _arguments(argument: Message | None) -> Iterator[Argument]:
    if argument is None:
        return
    for binding in argument.messages("arguments", _BINDING):
        value = binding.message("value", _VALUE)
        yield binding.text("name") if value is None else _literal(value)


def _named(message: Message) -> tuple[str, ValueType]:
    return message.text("name"), _type(message.message("type", _TYPE))


def _type(message: Message | None) -> ValueType:
    """A tensor's type, or that of the tensor in a state."""
    if message is not None:
        state = message.message("state", _STATE)
        if state is not None:
            message = state.message("wrapped", _TYPE)
    tensor = None if message is None else message.message("tensor", _TENSOR_TYPE)
    if tensor is None:
        return ValueType(dtype=DataType.UNKNOWN, shape=None)
    dtype = _ELEMENT_TYPES.get(tensor.integer("dtype"), DataType.UNKNOWN)
    rank = tensor.integer("rank")
    if rank < 0:
        return ValueType(dtype=dtype, shape=None)
    sizes: list[Dimension] = []
    for dimension in tensor.messages("dimensions", _DIMENSION):
        constant = dimension.message("constant", _SIZE)
        size = -1 if constant is None else constant.integer("size")
        sizes.append(size if size >= 0 else "?")
        if len(sizes) > _HIGHEST_RANK:
            raise tensor.error(f"a tensor of more than {_HIGHEST_RANK} dimensions")
    shape: Shape = tuple(sizes)
    if len(shape) != rank:
        raise tensor.error(f"{len(shape)} sizes of a tensor of rank {rank}")
    return ValueType(dtype=dtype, shape=shape)


def _literal(value: Message) -> Literal:
    type_ = _type(value.message("type", _TYPE))
    blob = value.message("blob", _BLOB)
    if blob is not None:
        offset = blob.integer("offset")
        if offset < 0:
            raise blob.error(f"an entry at byte {offset}")
        return Literal(type=type_, blob=Blob(file_name=blob.text("file_name"), offset=offset))
    immediate = value.message("immediate", _IMMEDIATE)
    tensor = None if immediate is None else immediate.message("tensor", _TENSOR)
    if tensor is None:
        return Literal(type=type_)
    texts = tensor.message("strings", _VALUES)
    if texts is not None:
        return Literal(type=type_, texts=texts.texts("values"))
    data = _data(tensor, type_)
    if data is not None:
        size = data.nbytes if isinstance(data, memoryview) else data.size_bytes
        try:
            checked(type_, size, "a value")
        except FormatError as error:
            raise tensor.error(str(error)) from None
    return Literal(type=type_, data=data)


def _data(tensor: Message, type_: ValueType) -> TensorData | None:
    raw = tensor.message("bytes", _VALUES)
    if raw is not None:
        return raw.view("values") or memoryview(b"")
    for name, width in (("floats", 4), ("doubles", 8)):
        held = tensor.message(name, _VALUES)
        if held is not None:
            return held.fixed("values", width)
    for name in ("ints", "long_ints", "bools"):
        held = tensor.message(name, _VALUES)
        if held is not None:
            return _integers(held.varints("values"), type_)
    return None


def _integers(values: Varints, type_: ValueType) -> TensorData | None:
    """Numbers of 7 bits a byte as elements of their type, spelled out when they are asked for."""
    bits = type_.dtype.bits
    if not bits or bits % 8 or type_.dtype.is_floating:
        return None
    dtype = np.dtype(type_.dtype.value).newbyteorder("<")

    def load() -> memoryview:
        return memoryview(values.array().astype(dtype).tobytes())

    return LazyBytes(size_bytes=values.count * bits // 8, load=load)
