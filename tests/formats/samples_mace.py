"""MACE samples, put together by hand from the documented layout."""

from collections.abc import Sequence

import numpy as np

from tests.formats._protobuf_builder import block, boundaries, fixed32, number, varint
from tests.formats.samples import Sample

Value = int | float | str | Sequence[int]


def text(field: int, value: str) -> bytes:
    """A string field."""
    return block(field, value.encode())


def argument(field: int, name: str, value: Value) -> bytes:
    """An argument of the kind that its Python type says."""
    if isinstance(value, float):
        body = fixed32(2, value)
    elif isinstance(value, int):
        body = number(3, value)
    elif isinstance(value, str):
        body = text(4, value)
    else:
        body = b"".join(number(6, each) for each in value)
    return block(field, text(1, name) + body)


def operator(kind: str, inputs: str, outputs: str, *shape: int, **arguments: Value) -> bytes:
    """An operator with the shape of its result."""
    parts = [text(1, name) for name in inputs.split()]
    parts += [text(2, name) for name in outputs.split()]
    parts += [text(3, outputs.split(maxsplit=1)[0]), text(4, kind)]
    parts += [argument(6, name, value) for name, value in arguments.items()]
    parts.append(block(7, b"".join(number(1, size) for size in shape)))
    return block(1, b"".join(parts))


def constant(name: str, offset: int, *dims: int, kind: int = 1) -> bytes:
    """A constant that lies in the other file."""
    head = b"".join(number(1, size) for size in dims) + number(2, kind)
    elements = int(np.prod(dims))
    return block(3, head + text(5, name) + number(6, offset) + number(7, elements))


def info(field: int, name: str, *dims: int, order: int = 1) -> bytes:
    """An input or an output of the net."""
    sizes = b"".join(number(3, size) for size in dims)
    return block(field, text(1, name) + sizes + number(5, 1) + number(6, order))


def net(start: int = 0) -> bytes:
    """A net whose channels come last, converted from TensorFlow."""
    return b"".join(
        (
            operator(
                *("Conv2D", "mace_input_node_image w b", "x", 1, 4, 4, 4),
                strides=(2, 2),
                padding=1,
                dilations=(1, 1),
                activation="RELUX",
                max_limit=6.0,
            ),
            operator(
                *("DepthwiseConv2d", "x dw", "y", 1, 4, 4, 4),
                strides=(1, 1),
                padding_values=(2, 2),
                dilations=(1, 1),
            ),
            operator("Eltwise", "x y", "z", 1, 4, 4, 4, type=0),
            operator("Eltwise", "z", "half", 1, 4, 4, 4, type=2, scalar_input=0.5),
            operator("Concat", "half z", "both", 1, 4, 4, 8, axis=3),
            operator(
                *("Pooling", "both", "p", 1, 2, 2, 8),
                pooling_type=2,
                kernels=(2, 2),
                strides=(2, 2),
                padding=0,
            ),
            operator("FullyConnected", "p fw", "fc", 1, 1, 1, 5),
            operator("Softmax", "fc", "mace_output_node_prob", 1, 1, 1, 5),
            argument(2, "filter_format", 101),
            constant("w", 0, 4, 3, 3, 3),
            constant("b", 432, 4),
            constant("dw", 448, 1, 4, 3, 3),
            constant("fw", 592, 5, 8, 2, 2),
            text(5, "small"),
            number(6, start),
            info(100, "image", 1, 8, 8, 3),
            info(101, "prob", 1, 1, 1, 5),
        )
    )


def data() -> bytes:
    """The constants of the net."""
    return np.arange(308, dtype="<f4").tobytes()


def several() -> bytes:
    """A file of two nets, one of them with channels first and its constants in itself."""
    spelled = b"".join(number(1, size) for size in (2, 3, 1, 1)) + number(2, 1)
    values = block(3, np.arange(6, dtype="<f4").tobytes())
    whole = block(3, number(1, 2) + number(2, 4) + block(4, varint(0) + varint(-1)) + text(5, "to"))
    second = b"".join(
        (
            operator("Conv2D", "in w", "x", 1, 2, 4, 4, strides=(1, 1), padding=0),
            operator("Reshape", "x to", "out", 1, 32),
            block(3, spelled + values + text(5, "w")),
            whole,
            info(100, "in", 1, 3, 4, 4, order=2),
        )
    )
    return number(1, 1) + text(2, "both") + block(3, second) + block(3, net(start=8))


def samples() -> tuple[Sample, ...]:
    """One net with its constants and without, and two in one file."""
    return (
        Sample(
            name="pair",
            format="mace",
            source=net,
            file_name="net.pb",
            neighbours={"net.data": data()},
            endings=boundaries,
        ),
        Sample(name="alone", format="mace", source=net, file_name="net.pb", endings=boundaries),
        Sample(
            name="several",
            format="mace",
            source=several,
            file_name="both.pb",
            neighbours={"both.data": bytes(8) + data()},
            endings=boundaries,
        ),
    )
