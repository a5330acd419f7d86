"""Field numbers and codes of ExecuTorch programs (`ET12`).

**Source:** https://github.com/pytorch/executorch/blob/main/schema/program.fbs and scalar_type.fbs
beside it; schema/extended_header.h for what may stand between the identifier and the root table.
"""

import struct
from enum import IntEnum

from gaugenn.graph import DataType

EXTENSION = struct.Struct("<4sIQQ")
"""Identifier `eh00`, own size, size of the program, where segments are counted from; at byte 8."""
EXTENSION_IDENTIFIER = b"eh00"
EXTENSION_AT = 8


class ProgramField(IntEnum):
    """Fields of the root table."""

    VERSION = 0
    PLANS = 1
    BUFFERS = 2
    DELEGATE_DATA = 3
    SEGMENTS = 4
    CONSTANTS = 5
    MUTABLE = 6
    NAMED = 7


class PlanField(IntEnum):
    """Fields of an entry point."""

    NAME = 0
    VALUES = 2
    INPUTS = 3
    OUTPUTS = 4
    CHAINS = 5
    OPERATORS = 6
    DELEGATES = 7


class TensorField(IntEnum):
    """Fields of a tensor."""

    TYPE = 0
    STORAGE_OFFSET = 1
    SIZES = 2
    ORDER = 3
    BUFFER = 5
    ALLOCATION = 6
    DYNAMISM = 8
    EXTRA = 9


class ValueKind(IntEnum):
    """Members of the union of values."""

    NOTHING = 1
    INT = 2
    BOOL = 3
    DOUBLE = 4
    TENSOR = 5
    STRING = 6
    INTS = 7
    DOUBLES = 8
    BOOLS = 9
    TENSORS = 10
    OPTIONAL_TENSORS = 11


class Instruction(IntEnum):
    """Members of the union of instructions."""

    KERNEL = 1
    DELEGATE = 2
    MOVE = 3
    JUMP = 4
    FREE = 5


CHAIN_INSTRUCTIONS = 2
EXTERNAL = 1
"""Location of a tensor whose bytes are in another file."""
BOUNDED, UNBOUNDED = 1, 2
"""Shapes that change up to the sizes given, or without a bound."""

DATA_TYPES: dict[int, DataType] = {
    0: DataType.UINT8,
    1: DataType.INT8,
    2: DataType.INT16,
    3: DataType.INT32,
    4: DataType.INT64,
    5: DataType.FLOAT16,
    6: DataType.FLOAT32,
    7: DataType.FLOAT64,
    11: DataType.BOOL,
    12: DataType.INT8,
    13: DataType.UINT8,
    14: DataType.INT32,
    15: DataType.BFLOAT16,
    22: DataType.UINT16,
    23: DataType.FLOAT8_E5M2,
    24: DataType.FLOAT8_E4M3FN,
    25: DataType.FLOAT8_E5M2FNUZ,
    26: DataType.FLOAT8_E4M3FNUZ,
    27: DataType.UINT16,
    28: DataType.UINT32,
    29: DataType.UINT64,
}
