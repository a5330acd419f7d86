"""Caffe2 samples, put together by hand from the documented layout."""

from collections.abc import Sequence

import numpy as np

from tests.formats._protobuf_builder import block, boundaries, fixed32, number
from tests.formats.samples import Sample

Value = int | float | str | Sequence[int]


def text(field: int, value: str) -> bytes:
    """A string field."""
    return block(field, value.encode())


def argument(name: str, value: Value) -> bytes:
    """An argument of the kind that its Python type says."""
    if isinstance(value, float):
        body = fixed32(2, value)
    elif isinstance(value, int):
        body = number(3, value)
    elif isinstance(value, str):
        body = text(4, value)
    else:
        body = b"".join(number(6, each) for each in value)
    return block(5, text(1, name) + body)


def operator(kind: str, inputs: str, outputs: str, *more: bytes, **arguments: Value) -> bytes:
    """An operator of a net."""
    parts = [text(1, name) for name in inputs.split()]
    parts += [text(2, name) for name in outputs.split()]
    parts += [text(3, ""), text(4, kind)]
    parts += [argument(name, value) for name, value in arguments.items()]
    return block(2, b"".join((*parts, *more)))


def fill(name: str, *shape: int) -> bytes:
    """A weight, with its numbers one by one."""
    values = np.random.default_rng(len(name)).normal(size=int(np.prod(shape)))
    spelled = block(5, text(1, "values") + b"".join(fixed32(5, each) for each in values))
    return operator("GivenTensorFill", "", name, spelled, shape=shape)


def init() -> bytes:
    """The net that fills the weights, and the input so that its size is known."""
    whole = block(5, text(1, "values") + number(6, -1) + number(6, 32))
    return b"".join(
        (
            text(1, "init"),
            operator("ConstantFill", "", "data", shape=(1, 3, 8, 8)),
            fill("w", 4, 3, 3, 3),
            fill("b", 4),
            fill("dw", 4, 1, 3, 3),
            fill("s", 4),
            fill("fw", 5, 32),
            operator("ConstantFill", "", "fb", shape=(5,), value=0.5),
            operator("GivenTensorInt64Fill", "", "to", whole, shape=(2,)),
        )
    )


def predict() -> bytes:
    """A net that writes over its values, with an operator that ONNX does not have."""
    names = ("data", "w", "b", "dw", "s", "fw", "fb", "to")
    return b"".join(
        (
            text(1, "small"),
            operator("Conv", "data w b", "x", kernel=3, stride=2, pad=1, order="NCHW"),
            operator("Relu", "x", "x"),
            operator("Conv", "x dw", "y", kernels=(3, 3), pads=(1, 1, 1, 1), group=4),
            operator("SpatialBN", "y s s s s", "y", epsilon=1e-3, is_test=1),
            operator("ChannelShuffle", "y", "y", group=2),
            operator("Concat", "x y", "z z_dims"),
            operator("AveragePool", "z", "p", kernel_h=2, kernel_w=2, stride=2),
            operator("Reshape", "p to", "q old_shape"),
            operator("FC", "q fw fb", "fc"),
            operator("Softmax", "fc", "prob"),
            *(text(7, name) for name in names),
            text(8, "prob"),
        )
    )


def samples() -> tuple[Sample, ...]:
    """A net with its weights, without, and the weights alone."""
    return (
        Sample(
            name="pair",
            format="caffe2",
            source=predict,
            file_name="predict_net.pb",
            neighbours={"init_net.pb": init()},
            endings=boundaries,
        ),
        Sample(
            name="alone",
            format="caffe2",
            source=predict,
            file_name="net.pb",
            endings=boundaries,
        ),
        Sample(
            name="weights", format="caffe2", source=init, file_name="init.pb", endings=boundaries
        ),
    )
