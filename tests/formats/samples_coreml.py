"""Core ML samples, put together by hand from the documented messages."""

import numpy as np

from tests.formats._protobuf_builder import block, boundaries, number, varint
from tests.formats.samples import Sample


def text(field: int, value: str) -> bytes:
    """A string field."""
    return block(field, value.encode())


def packed(field: int, *values: int) -> bytes:
    """A repeated integer field."""
    return block(field, b"".join(varint(value) for value in values))


def weights(*shape: int) -> bytes:
    """WeightParams in float32."""
    values = np.random.default_rng(2).normal(size=shape)
    return block(1, values.astype("<f4").tobytes())


def halves(*shape: int) -> bytes:
    """WeightParams in float16."""
    return block(2, np.ones(shape, "<f2").tobytes())


def quantized(*shape: int) -> bytes:
    """WeightParams of eight bits: real = 0.5 * stored - 1."""
    scale = block(1, np.array([0.5], "<f4").tobytes()) + block(2, np.array([-1.0], "<f4").tobytes())
    how = number(1, 8) + block(101, scale)
    return block(30, bytes(int(np.prod(shape)))) + block(40, how)


def feature(name: str, *sizes: int) -> bytes:
    """A FeatureDescription of an array of float32."""
    array = packed(1, *sizes) + number(2, 65568)
    return text(1, name) + block(3, block(5, array))


def image(name: str, width: int, height: int) -> bytes:
    """A FeatureDescription of a colour image."""
    return text(1, name) + block(3, block(4, number(1, width) + number(2, height) + number(3, 20)))


def layer(name: str, inputs: str, outputs: str, kind: int, parameters: bytes = b"") -> bytes:
    """A layer of a network."""
    parts = [text(1, name)]
    parts += [text(2, each) for each in inputs.split()]
    parts += [text(3, each) for each in outputs.split()]
    return block(1, b"".join(parts) + block(kind, parameters))


def described(inputs: list[bytes], outputs: list[bytes], version: int = 4) -> bytes:
    """A model without its kind."""
    parts = [block(1, each) for each in inputs] + [block(10, each) for each in outputs]
    author = block(100, text(3, "someone"))
    return number(1, version) + block(2, b"".join(parts) + author)


def layers() -> bytes:
    """The layers of a small classifier."""
    borders = block(10, number(1, 1) + number(2, 1)) * 2
    convolution = (
        number(1, 8)
        + number(2, 3)
        + number(10, 1)
        + packed(20, 3, 3)
        + packed(30, 2, 2)
        + block(50, block(1, borders))
        + number(70, 1)
        + block(90, weights(8, 3, 3, 3))
        + block(91, weights(8))
    )
    depthwise = (
        number(1, 8)
        + number(2, 1)
        + number(10, 8)
        + block(51, b"")
        + block(90, quantized(8, 1, 3, 3))
    )
    norm = number(1, 8) + b"".join(block(15 + i, weights(8)) for i in range(4))
    pooling = number(1, 1) + packed(10, 3, 3) + packed(20, 2, 2) + block(32, packed(10, 0, 0))
    product = number(1, 128) + number(2, 5) + block(20, halves(5, 128))
    return b"".join(
        (
            layer("conv", "photo", "a", 100, convolution),
            layer("bn", "a", "a", 160, norm),
            layer("act", "a", "b", 130, block(15, b"\x0d\xcd\xcc\xcc\x3d")),
            layer("dw", "b", "c", 100, depthwise),
            layer("pool", "c", "d", 120, pooling),
            layer("flat", "d", "e", 301),
            layer("fc", "e", "f", 140, product),
            layer("prob", "f", "scores", 175),
        )
    )


def network() -> bytes:
    """A small classifier of images."""
    return described([image("photo", 16, 16)], [feature("scores", 5)]) + block(403, layers())


def branching() -> bytes:
    """A network with a branch, a constant and arithmetic."""
    inner = [layer(f"copy{i}", name, "y", 600) for i, name in enumerate(("x", "doubled"))]
    constant = packed(1, 3, 1, 1) + block(2, weights(3, 1, 1))
    made = b"".join(
        (
            layer("two", "", "k", 290, constant),
            layer("double", "x k", "doubled", 231),
            layer("if", "flag", "y", 605, block(1, inner[0]) + block(2, inner[1])),
        )
    )
    return described([feature("x", 3, 4, 4), feature("flag", 1)], [feature("y", 3)]) + block(
        500, made
    )


def pipeline() -> bytes:
    """A network after a step of classical learning."""
    scaled = described([feature("photo", 3, 16, 16)], [feature("photo", 3, 16, 16)]) + block(
        604, b""
    )
    steps = block(1, scaled) + block(1, network())
    return described([feature("photo", 3, 16, 16)], [feature("scores", 5)]) + block(202, steps)


def samples() -> tuple[Sample, ...]:
    """A network, one with a branch, a pipeline and a step alone."""
    return tuple(
        Sample(
            name=name, format="coreml", source=make, file_name=f"{name}.mlmodel", endings=boundaries
        )
        for name, make in (("network", network), ("branch", branching), ("pipeline", pipeline))
    )
