"""Paddle samples: one saved by Paddle, one put together by hand from the documented layout."""

import struct
from collections.abc import Sequence

import numpy as np

from tests.formats._protobuf_builder import block, fixed32, number, varint
from tests.formats.samples import FOLDER, Sample

Value = int | float | str | bool | Sequence[int] | Sequence[float]


def text(field: int, value: str) -> bytes:
    """A string field."""
    return block(field, value.encode())


def tensor_type(dims: Sequence[int], element: int = 5) -> bytes:
    """A description of a tensor, `TensorDesc`."""
    return number(1, element) + b"".join(number(2, size) for size in dims)


def variable(name: str, dims: Sequence[int], *, held: bool = False, element: int = 5) -> bytes:
    """A dense variable."""
    kind = number(1, 7) + block(3, block(1, tensor_type(dims, element)))
    return block(3, text(1, name) + block(2, kind) + (number(3, 1) if held else b""))


def special(name: str, kind: int) -> bytes:
    """A list that feeds or fetches."""
    return block(3, text(1, name) + block(2, number(1, kind)) + number(3, 1))


def attribute(name: str, value: Value) -> bytes:
    """An attribute of the kind that its Python type says."""
    if isinstance(value, bool):
        body = number(2, 6) + number(10, int(value))
    elif isinstance(value, int):
        body = number(2, 0) + number(3, value)
    elif isinstance(value, float):
        body = number(2, 1) + fixed32(4, value)
    elif isinstance(value, str):
        body = number(2, 2) + text(5, value)
    elif all(isinstance(each, int) for each in value):
        body = number(2, 3) + b"".join(number(6, int(each)) for each in value)
    else:
        body = number(2, 4) + b"".join(fixed32(7, each) for each in value)
    return block(4, text(1, name) + body)


def operator(kind: str, inputs: str, outputs: str, **attributes: Value) -> bytes:
    """An operator; arguments are `Parameter=name,name` with spaces between."""
    parts = []
    for field, spelled in ((1, inputs), (2, outputs)):
        for each in spelled.split():
            parameter, _, names = each.partition("=")
            inner = b"".join(text(2, name) for name in names.split(","))
            parts.append(block(field, text(1, parameter) + inner))
    parts.append(text(3, kind))
    parts += [attribute(name, value) for name, value in attributes.items()]
    return block(4, b"".join(parts))


def program(*parts: bytes, more: bytes = b"") -> bytes:
    """A program with one block."""
    return block(1, number(1, 0) + number(2, -1) + b"".join(parts)) + more


def stream(values: np.ndarray) -> bytes:
    """A value as it is stored."""
    element = {"f": 5, "i": 2, "b": 21}[values.dtype.char]
    description = tensor_type(values.shape, element)
    head = struct.pack("<IQIi", 0, 0, 0, len(description))
    return head + description + values.tobytes()


def random(*shape: int) -> np.ndarray:
    """Weights."""
    return np.random.default_rng(5).normal(size=shape).astype("<f4")


def by_hand() -> bytes:
    """A net of the first generation's operators, with an operator of its own and a variable reused."""
    return program(
        special("feed", 9),
        special("fetch", 10),
        variable("data", (-1, 3, 8, 8)),
        variable("filter", (4, 3, 3, 3), held=True),
        variable("slopes", (4,), held=True),
        variable("matrix", (64, 5), held=True),
        variable("x", (-1, 4, 4, 4)),
        variable("y", (-1, 5)),
        operator("feed", "X=feed", "Out=data", col=0),
        operator(
            "conv2d",
            "Input=data Filter=filter",
            "Output=x",
            strides=(2, 2),
            paddings=(1, 1),
            dilations=(1, 1),
            groups=1,
        ),
        operator("prelu", "X=x Alpha=slopes", "Out=x", mode="channel"),
        operator("own_thing", "X=x", "Out=x", factor=0.5),
        operator("mul", "X=x Y=matrix", "Out=y", x_num_col_dims=1, y_num_col_dims=1),
        operator("fetch", "X=y", "Out=fetch", col=0),
    )


VALUES = {"filter": random(4, 3, 3, 3), "slopes": random(4), "matrix": random(64, 5)}
"""What the variables of `by_hand` hold."""


def together() -> bytes:
    """All values in the order of the variables' names."""
    return b"".join(stream(VALUES[name]) for name in sorted(VALUES))


def value_ends(data: bytes) -> set[int]:
    """Lengths after which a file of values ends with a whole one."""
    ends = {0}
    for name in sorted(VALUES):
        ends.add(max(ends) + len(stream(VALUES[name])))
    assert max(ends) == len(data)
    return ends


def samples() -> tuple[Sample, ...]:
    """Saved by Paddle; by hand with one file of values, with a file each, and with none."""
    return (
        Sample(
            name="saved",
            format="paddle",
            source="paddle/net.pdmodel",
            file_name="net.pdmodel",
            neighbours={"net.pdiparams": (FOLDER / "paddle/net.pdiparams").read_bytes()},
        ),
        Sample(
            name="together",
            format="paddle",
            source=by_hand,
            file_name="__model__",
            neighbours={"__params__": together()},
        ),
        Sample(
            name="each-its-own",
            format="paddle",
            source=by_hand,
            file_name="__model__",
            neighbours={name: stream(value) for name, value in VALUES.items()},
        ),
        Sample(
            name="values",
            format="paddle",
            source=together,
            file_name="net.pdiparams",
            endings=value_ends,
        ),
    )


VERSION = block(4, varint(8) + varint(2006001))
"""The version 2.6.1, to stand behind a program."""
