"""Paddle's programs: blocks of variables and operators, from either of their wire formats.

Paddle writes Protocol Buffers, Paddle-Lite FlatBuffers of the same structure.

**Source:** https://github.com/PaddlePaddle/Paddle/blob/develop/paddle/phi/core/framework/framework.proto
and https://github.com/PaddlePaddle/Paddle-Lite/blob/develop/lite/model_parser/flatbuffers/framework.fbs
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from gaugenn.errors import FormatError
from gaugenn.formats._attributes import LARGEST
from gaugenn.formats._flatbuffers import Table
from gaugenn.formats._protobuf import Message, Schema, read_message
from gaugenn.graph import AttributeValue, DataType, GraphReference, Shape, Tensor, TensorKind

_PROGRAM = Schema("ProgramDesc", blocks=1, version=4)
_VERSION = Schema("Version", version=1)
_BLOCK = Schema("BlockDesc", idx=1, parent_idx=2, vars=3, ops=4)
_VARIABLE = Schema("VarDesc", name=1, type=2, persistable=3)
_TYPE = Schema("VarType", type=1, selected_rows=2, dense_tensor=3, tensor_array=4)
_TENSOR = Schema("TensorDesc", data_type=1, dims=2)
_DENSE = Schema("DenseTensorDesc", tensor=1)
_OPERATOR = Schema("OpDesc", inputs=1, outputs=2, type=3, attrs=4)
_ARGUMENTS = Schema("Var", parameter=1, arguments=2)
_ATTRIBUTE = Schema(
    "Attr",
    name=1,
    type=2,
    i=3,
    f=4,
    s=5,
    ints=6,
    floats=7,
    strings=8,
    b=10,
    bools=11,
    block_idx=12,
    l=13,
    longs=15,
    float64s=16,
    float64=19,
)

_BOOL, _BOOLS, _BLOCK_INDEX = 6, 7, 8

TYPES: Mapping[int, DataType] = {
    0: DataType.BOOL,
    1: DataType.INT16,
    2: DataType.INT32,
    3: DataType.INT64,
    4: DataType.FLOAT16,
    5: DataType.FLOAT32,
    6: DataType.FLOAT64,
    20: DataType.UINT8,
    21: DataType.INT8,
    22: DataType.BFLOAT16,
    23: DataType.COMPLEX64,
    24: DataType.COMPLEX128,
    25: DataType.STRING,
    32: DataType.FLOAT8_E4M3FN,
    33: DataType.FLOAT8_E5M2,
}
"""Element types by number (VarType.Type); other numbers are kinds of variables."""

_DENSE_TENSOR = 7
_HIGHEST_RANK = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A variable: `shape` has "?" for dynamic sizes and is None where the file gives none.

    Attributes:
        name: unique in its block.
        dtype: element type.
        shape: sizes.
        held: its value is stored with the model.
    """

    name: str
    dtype: DataType
    shape: Shape | None
    held: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """An operator: its arguments by parameter, each a list of variables."""

    type: str
    inputs: Mapping[str, tuple[str, ...]]
    outputs: Mapping[str, tuple[str, ...]]
    attributes: Mapping[str, AttributeValue]


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Operators in order; `parent` is the block whose variables this one also sees."""

    parent: int | None
    variables: Mapping[str, Variable]
    operators: tuple[Operator, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A whole program; `blocks[0]` is run, others are run by operators. `version` is `2.6.1` or ""."""

    version: str
    blocks: tuple[Block, ...]

    def held(self) -> dict[str, Variable]:
        """Variables whose values are stored with the model, in the order of their names."""
        found = {v.name: v for block in self.blocks for v in block.variables.values() if v.held}
        return {name: found[name] for name in sorted(found)}


def read_program(data: memoryview) -> Program:
    """A program in Protocol Buffers.

    Raises:
        FormatError: cut off, or of another structure.
    """
    message = read_message(data, _PROGRAM)
    version = message.message("version", _VERSION)
    blocks = tuple(_block(each) for each in message.messages("blocks", _BLOCK))
    number = 0 if version is None else version.integer("version")
    return _checked(Program(version=_version(number), blocks=blocks))


def read_lite_program(root: Table) -> Program:
    """A program in FlatBuffers.

    Raises:
        FormatError: cut off, or of another structure.
    """
    version = root.table(1)
    number = 0 if version is None else version.integer(0, "i64")
    blocks = tuple(_lite_block(each) for each in root.tables(0))
    return _checked(Program(version=_version(number), blocks=blocks))


def _checked(program: Program) -> Program:
    if not program.blocks or not any(block.operators for block in program.blocks):
        raise FormatError("a Paddle program without operators")
    for index, block in enumerate(program.blocks):
        if block.parent is not None and block.parent >= index:
            raise FormatError(f"Paddle's block {index} names block {block.parent} as its parent")
    return program


def _version(number: int) -> str:
    """2006001 is 2.6.1; programs of development builds say 0."""
    if not 0 < number < LARGEST:
        return ""
    return f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"


def _unique(variables: Iterator[Variable]) -> dict[str, Variable]:
    found: dict[str, Variable] = {}
    for each in variables:
        if not each.name or each.name in found:
            raise FormatError(
                f"the Paddle variable {each.name[:80]!r} is declared twice or unnamed"
            )
        found[each.name] = each
    return found


def _variable(name: str, kind: int, held: bool, element: int, sizes: tuple[int, ...]) -> Variable:
    is_tensor = kind == _DENSE_TENSOR
    if len(sizes) > _HIGHEST_RANK or any(not -2 < size < LARGEST for size in sizes):
        raise FormatError(f"the Paddle variable {name[:80]!r} has the sizes {sizes[:8]}")
    return Variable(
        name=name,
        dtype=TYPES.get(element, DataType.UNKNOWN) if is_tensor else DataType.UNKNOWN,
        shape=tuple("?" if size < 0 else size for size in sizes) if is_tensor else None,
        held=held and is_tensor,
    )


def _block(message: Message) -> Block:
    parent = message.integer("parent_idx", -1)
    return Block(
        parent=None if parent < 0 else parent,
        variables=_unique(_variable_of(each) for each in message.messages("vars", _VARIABLE)),
        operators=tuple(_operator(each) for each in message.messages("ops", _OPERATOR)),
    )


def _variable_of(message: Message) -> Variable:
    kind = message.message("type", _TYPE)
    dense = None if kind is None else kind.message("dense_tensor", _DENSE)
    tensor = None if dense is None else dense.message("tensor", _TENSOR)
    return _variable(
        message.text("name"),
        0 if kind is None or tensor is None else kind.integer("type"),
        bool(message.integer("persistable")),
        0 if tensor is None else tensor.integer("data_type"),
        () if tensor is None else tensor.integers("dims"),
    )


def _operator(message: Message) -> Operator:
    kind = message.text("type")
    if not kind:
        raise message.error("an operator without a type")
    attributes: dict[str, AttributeValue] = {}
    for each in message.messages("attrs", _ATTRIBUTE):
        value = _attribute(each)
        if value is not None:
            attributes[each.text("name")] = value
    return Operator(
        type=kind,
        inputs=_arguments(message, "inputs"),
        outputs=_arguments(message, "outputs"),
        attributes=attributes,
    )


def _arguments(message: Message, name: str) -> dict[str, tuple[str, ...]]:
    return {
        each.text("parameter"): each.texts("arguments")
        for each in message.messages(name, _ARGUMENTS)
    }


def _attribute(message: Message) -> AttributeValue | None:
    """A value by its kind (AttrType); None for kinds that say nothing about an inference."""
    kind = message.integer("type")
    match kind:
        case 0:
            return message.integer("i")
        case 1:
            return message.float32("f")
        case 2:
            return message.text("s")
        case 3:
            return message.integers("ints")
        case 4:
            return message.float32s("floats")
        case 5:
            return message.texts("strings")
        case 6:
            return bool(message.integer("b"))
        case 7:
            return message.integers("bools")
        case 8:
            return GraphReference(_block_index(message.integer("block_idx")))
        case 9:
            return message.integer("l")
        case 11:
            return message.integers("longs")
        case 12:
            values = np.frombuffer(message.fixed("float64s", 8), dtype="<f8")
            return tuple(values.tolist())
        case 15:
            return message.float64("float64")
    return None


def _block_index(index: int) -> int:
    if index < 0:
        raise FormatError(f"a Paddle operator runs the block {index}")
    return index


def _lite_block(table: Table) -> Block:
    parent = table.integer(1)
    index = table.integer(0)
    return Block(
        parent=None if parent < 0 or not index else parent,
        variables=_unique(_lite_variable(each) for each in table.tables(2)),
        operators=tuple(_lite_operator(each) for each in table.tables(3)),
    )


def _lite_variable(table: Table) -> Variable:
    kind = table.table(1)
    dense = None if kind is None else kind.table(2)
    tensor = None if dense is None else dense.table(0)
    return _variable(
        table.string(0),
        0 if kind is None or tensor is None else kind.integer(0),
        table.boolean(2),
        0 if tensor is None else tensor.integer(0),
        () if tensor is None else tensor.integers(1, "i64"),
    )


def _lite_operator(table: Table) -> Operator:
    kind = table.string(0)
    if not kind:
        raise FormatError("a Paddle-Lite operator without a type")
    attributes: dict[str, AttributeValue] = {}
    for each in table.tables(3):
        value = _lite_attribute(each)
        if value is not None:
            attributes[each.string(0)] = value
    return Operator(
        type=kind,
        inputs={each.string(0): each.strings(1) for each in table.tables(1)},
        outputs={each.string(0): each.strings(1) for each in table.tables(2)},
        attributes=attributes,
    )


def _lite_attribute(table: Table) -> AttributeValue | None:
    match table.integer(1):
        case 0:
            return table.integer(2)
        case 1:
            return table.real(3)
        case 2:
            return table.string(4)
        case 3:
            return table.integers(5)
        case 4:
            return table.reals(6)
        case 5:
            return table.strings(7)
        case 6:
            return table.boolean(8)
        case 7:
            return table.integers(9, "u8")
        case 8:
            return GraphReference(_block_index(table.integer(10)))
        case 9:
            return table.integer(11, "i64")
        case 11:
            return table.integers(13, "i64")
    return None


def read_values(data: memoryview, limit: int = 1 << 20) -> list[Tensor]:
    """Tensors written one behind the other, without names (`.pdiparams`, `__params__`).

    Each is: version 0 (u32), levels of detail (u64, each a u64 size and as many bytes), version 0
    (u32), size of the description (i32), the description, the elements.

    Args:
        data: the file.
        limit: of tensors.

    Returns:
        Tensors named by their number.

    Raises:
        FormatError: cut off, or something else.
    """
    position = 0
    found: list[Tensor] = []

    def take(size: int) -> memoryview:
        nonlocal position
        part = data[position : position + size]
        if size < 0 or part.nbytes < size:
            raise FormatError(
                f"Paddle's weight {len(found)} needs {size} bytes at byte {position} of {data.nbytes}"
            )
        position += size
        return part

    while position < data.nbytes:
        if len(found) >= limit:
            raise FormatError(f"more than {limit} weights")
        if int.from_bytes(take(4), "little"):
            raise FormatError(f"Paddle's weight {len(found)} is of a version that is not known")
        for _ in range(int.from_bytes(take(8), "little")):
            take(int.from_bytes(take(8), "little"))
        if int.from_bytes(take(4), "little"):
            raise FormatError(f"Paddle's weight {len(found)} is of a version that is not known")
        description = read_message(take(int.from_bytes(take(4), "little")), _TENSOR)
        element = description.integer("data_type")
        dtype = TYPES.get(element, DataType.UNKNOWN)
        sizes = description.integers("dims")
        bits = dtype.bits
        if bits is None or len(sizes) > _HIGHEST_RANK:
            raise FormatError(
                f"Paddle's weight {len(found)} is of type {element}, shape {sizes[:8]}"
            )
        elements = 1
        for size in sizes:
            if not 0 <= size < LARGEST:
                raise FormatError(f"Paddle's weight {len(found)} has the sizes {sizes}")
            elements *= size
        found.append(
            Tensor(
                name=str(len(found)),
                dtype=dtype,
                shape=sizes,
                data=take(elements * bits // 8),
                kind=TensorKind.CONSTANT,
            )
        )
    return found
