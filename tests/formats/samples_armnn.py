"""Arm NN samples, put together by hand from the documented layout."""

from collections.abc import Sequence

import numpy as np

from gaugenn.formats._armnn_layers import LAYERS
from tests.formats import _flatbuffer_builder as builder
from tests.formats._flatbuffer_builder import Fields, Value
from tests.formats.samples import Sample

NHWC, NCHW = 0, 1


def info(*sizes: int, kind: int = 1, scale: float = 1.0, zero: int = 0) -> Fields:
    """A description of a tensor."""
    return {
        0: ("[u32]", sizes),
        1: ("i8", kind),
        2: ("f32", scale),
        3: ("i32", zero),
    }


def constant(values: np.ndarray, kind: int = 1, scale: float = 1.0) -> Fields:
    """A constant; its elements are integers as wide as they are."""
    code, width = {1: (1, "i8"), 2: (2, "i16"), 4: (3, "i32"), 8: (4, "i64")}[values.itemsize]
    numbers = np.frombuffer(values.tobytes(), dtype=f"<i{values.itemsize}").tolist()
    data: Fields = {0: (f"[{width}]", tuple(numbers))}
    return {0: info(*values.shape, kind=kind, scale=scale), 1: ("u8", code), 2: data}


def layer(
    index: int,
    kind: str,
    inputs: Sequence[tuple[int, int]],
    outputs: Sequence[Fields],
    fields: Fields | None = None,
) -> Fields:
    """A layer with its connections."""
    slots: list[Value] = [
        {0: ("u32", at), 1: ("u64", source | slot << 32)}
        for at, (source, slot) in enumerate(inputs)
    ]
    results: list[Value] = [{0: ("u32", at), 1: made} for at, made in enumerate(outputs)]
    base: Fields = {
        0: ("u32", index),
        1: f"{kind}_{index}",
        2: ("u32", 0),
        3: slots,
        4: results,
    }
    if kind in ("Input", "Output"):
        base = {0: base, 1: ("i32", 0)}
    return {0: ("u8", LAYERS.index(kind)), 1: {0: base, **(fields or {})}}


def network(layers: Sequence[Fields], identifier: bytes = b"ARMN", scheme: int = 1) -> bytes:
    """A whole file."""
    root: Fields = {
        0: list(layers),
        1: ("[i32]", (0,)),
        2: ("[i32]", (0,)),
        3: {0: ("u32", 1), 1: ("u32", scheme), 2: ("u32", 1)},
    }
    return builder.build(root, identifier)


def weights(*shape: int) -> np.ndarray:
    """Real weights."""
    return np.random.default_rng(9).normal(size=shape).astype("<f4")


def window(last: int, *values: int) -> Fields:
    """A descriptor of a convolution: paddings, strides, dilations, a bias, the layout."""
    found: dict[int, Value] = {at: ("u32", value) for at, value in enumerate(values)}
    return {**found, len(values): ("bool", 1), len(values) + 1: ("i8", last)}


def classifier() -> bytes:
    """A network whose channels come last, with weights as layers."""
    pool: Fields = {
        0: ("i8", 1),
        5: ("u32", 4),
        6: ("u32", 4),
        7: ("u32", 4),
        8: ("u32", 4),
        10: ("i8", 1),
        11: ("i8", NHWC),
    }
    return network(
        [
            layer(0, "Input", (), [info(1, 8, 8, 3)]),
            layer(1, "Constant", (), [info(4, 3, 3, 3)], {1: constant(weights(4, 3, 3, 3))}),
            layer(2, "Constant", (), [info(4)], {1: constant(weights(4))}),
            layer(
                *(3, "Convolution2d", ((0, 0), (1, 0), (2, 0)), [info(1, 4, 4, 4)]),
                {1: window(NHWC, 1, 0, 1, 0, 2, 2, 1, 1)},
            ),
            layer(
                *(4, "Activation", ((3, 0),), [info(1, 4, 4, 4)]),
                {1: {0: ("i8", 4), 1: ("f32", 6.0), 2: ("f32", 0.0)}},
            ),
            layer(5, "Constant", (), [info(1, 3, 3, 4)], {1: constant(weights(1, 3, 3, 4))}),
            layer(
                *(6, "DepthwiseConvolution2d", ((4, 0), (5, 0)), [info(1, 4, 4, 4)]),
                {1: window(NHWC, 1, 1, 1, 1, 1, 1, 1, 1)},
            ),
            layer(7, "Addition", ((6, 0), (4, 0)), [info(1, 4, 4, 4)]),
            layer(8, "Pooling2d", ((7, 0),), [info(1, 1, 1, 4)], {1: pool}),
            layer(
                *(9, "Splitter", ((8, 0),), [info(1, 1, 1, 3), info(1, 1, 1, 1)]),
                {1: {0: {0: ("u32", 3)}}},
            ),
            layer(*(10, "Concat", ((9, 1), (9, 0)), [info(1, 1, 1, 4)]), {1: {0: ("u32", 3)}}),
            layer(11, "Reshape", ((10, 0),), [info(1, 4)], {1: {0: ("[u32]", (1, 4))}}),
            layer(12, "Constant", (), [info(5, 4)], {1: constant(weights(5, 4))}),
            layer(
                *(13, "FullyConnected", ((11, 0), (12, 0)), [info(1, 5)]),
                {1: {0: ("bool", 0), 1: ("bool", 1)}},
            ),
            layer(14, "Softmax", ((13, 0),), [info(1, 5)], {1: {0: ("f32", 1.0)}}),
            layer(15, "Output", ((14, 0),), []),
        ]
    )


def quantised() -> bytes:
    """An older file: 8 bits, channels first, weights in the layer, no identifier."""
    held = np.arange(-13, 14, dtype="i1").reshape(1, 3, 3, 3)
    return network(
        [
            layer(0, "Input", (), [info(1, 3, 4, 4, kind=8, scale=0.5, zero=3)]),
            layer(
                *(1, "DepthwiseConvolution2d", ((0, 0),), [info(1, 3, 4, 4, kind=8, scale=0.25)]),
                {
                    1: window(NCHW, 1, 1, 1, 1, 1, 1, 1, 1),
                    2: constant(held, kind=9, scale=0.125),
                    3: constant(np.arange(3, dtype="<i4"), kind=3),
                },
            ),
            layer(2, "Floor", ((1, 0),), [info(1, 3, 4, 4)]),
            layer(3, "Output", ((2, 0),), []),
        ],
        identifier=b"",
        scheme=0,
    )


def samples() -> tuple[Sample, ...]:
    """A newer and an older file."""
    return (
        Sample(name="classifier", format="armnn", source=classifier, file_name="net.armnn"),
        Sample(name="quantised", format="armnn", source=quantised, file_name="old.armnn"),
    )
