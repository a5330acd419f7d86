"""Core ML samples, put together by hand from the documented messages."""

import numpy as np

from tests.formats._protobuf_builder import block, boundaries, number, varint
from tests.formats.samples import Sample
from tests.formats.samples_mlmodelc import blob_file


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


FLOAT16, INT32, UINT8, TEXT, UINT32 = 10, 23, 31, 2, 33
"""Element types of programs."""


def tensor_type(dtype: int, *sizes: int) -> bytes:
    """A ValueType; a size of -1 is open."""
    dimensions = (
        block(3, block(2, b"") if size < 0 else block(1, number(1, size))) for size in sizes
    )
    return block(1, number(1, dtype) + number(2, len(sizes)) + b"".join(dimensions))


def entry(field: int, key: str, value: bytes) -> bytes:
    """An entry of a map."""
    return block(field, text(1, key) + block(2, value))


def immediate(dtype: int, sizes: tuple[int, ...], field: int, data: bytes) -> bytes:
    """A Value that is spelled out."""
    return block(2, tensor_type(dtype, *sizes)) + block(3, block(1, block(field, data)))


def whole(*values: int, dtype: int = INT32) -> bytes:
    """A Value of integers; one alone is a scalar."""
    sizes = () if len(values) == 1 else (len(values),)
    return immediate(dtype, sizes, 2, packed(1, *values))


def word(value: str) -> bytes:
    """A Value of text."""
    return immediate(TEXT, (), 4, text(1, value))


def raw(dtype: int, sizes: tuple[int, ...], data: bytes) -> bytes:
    """A Value as bytes."""
    return immediate(dtype, sizes, 7, block(1, data))


def stored(dtype: int, sizes: tuple[int, ...], offset: int) -> bytes:
    """A Value in the weights file."""
    where = text(1, "@model_path/weights/weight.bin") + number(2, offset)
    return block(2, tensor_type(dtype, *sizes)) + block(5, where)


def operation(
    kind: str,
    result: tuple[str, bytes],
    *,
    blocks: tuple[bytes, ...] = (),
    attributes: dict[str, bytes] | None = None,
    **arguments: str | bytes,
) -> bytes:
    """An operation; arguments are names of values (several with blanks between) or Values."""
    made = [text(1, kind)]
    for key, given in arguments.items():
        bindings = (
            (block(1, block(2, given)),)
            if isinstance(given, bytes)
            else (block(1, text(1, each)) for each in given.split())
        )
        made.append(entry(2, key, b"".join(bindings)))
    made.append(block(3, text(1, result[0]) + block(2, result[1])))
    made += [block(4, each) for each in blocks]
    made += [entry(5, key, value) for key, value in (attributes or {}).items()]
    return block(3, b"".join(made))


def function(inputs: list[tuple[str, bytes]], operations: list[bytes], outputs: str) -> bytes:
    """A function with a block for one set of operations."""
    given = b"".join(block(1, text(1, name) + block(2, type_)) for name, type_ in inputs)
    body = b"".join(text(2, name) for name in outputs.split()) + b"".join(operations)
    return given + text(2, "CoreML6") + entry(3, "CoreML6", body)


def program(**functions: bytes) -> bytes:
    """A model that is a program."""
    made = number(1, 1) + b"".join(entry(2, name, body) for name, body in functions.items())
    return described([feature("x", 1, 3, 16, 16)], [feature("prob", 1, 2)], 7) + block(502, made)


WEIGHT = 64
"""Where the entry of the convolution's weights begins in its file."""


def classifier() -> bytes:
    """A convolution with weights beside, one with packed weights, a branch and a product."""
    image_type, maps = tensor_type(FLOAT16, 1, 3, 16, 16), tensor_type(FLOAT16, 1, 8, 8, 8)
    conv = {"strides": whole(2, 2), "dilations": whole(1, 1), "pad_type": word("same")}
    depth = {"strides": whole(1, 1), "dilations": whole(1, 1), "pad_type": word("custom")}
    then, otherwise = (
        block_of([operation(kind, (kind, maps), x="d")], kind) for kind in ("relu", "tanh")
    )
    operations = [
        operation(
            *("const", ("w", tensor_type(FLOAT16, 8, 3, 3, 3))),
            attributes={"name": word("w"), "val": stored(FLOAT16, (8, 3, 3, 3), WEIGHT)},
        ),
        operation(
            *("conv", ("c", maps)),
            attributes={"name": word("first")},
            **{"x": "x", "weight": "w", "groups": whole(1), **conv},
        ),
        operation(
            *("constexpr_lut_to_dense", ("dw", tensor_type(FLOAT16, 8, 1, 3, 3))),
            attributes={
                "indices": raw(UINT8, (18,), bytes(range(0, 180, 10))),
                "lut": raw(FLOAT16, (4,), np.arange(4, dtype="<f2").tobytes()),
                "shape": whole(8, 1, 3, 3, dtype=UINT32),
            },
        ),
        operation(
            *("conv", ("d", maps)),
            **{"x": "c", "weight": "dw", "groups": whole(8), "pad": whole(1, 1, 1, 1), **depth},
        ),
        operation("cond", ("y", maps), blocks=(then, otherwise), pred="flag"),
        operation(
            *("reduce_mean", ("m", tensor_type(FLOAT16, 1, 8))),
            x="y",
            axes=whole(2, 3),
            keep_dims=whole(0),
        ),
        operation(
            *("constexpr_affine_dequantize", ("fw", tensor_type(FLOAT16, 2, 8))),
            attributes={
                "quantized_data": raw(UINT8, (2, 8), bytes(range(16))),
                "scale": raw(FLOAT16, (2,), np.array([0.5, 0.25], "<f2").tobytes()),
                "zero_point": raw(UINT8, (2,), bytes([128, 127])),
                "axis": whole(0),
            },
        ),
        operation("linear", ("f", tensor_type(FLOAT16, 1, 2)), x="m", weight="fw"),
        operation("softmax", ("prob", tensor_type(FLOAT16, 1, 2)), x="f", axis=whole(-1)),
    ]
    flag = ("flag", tensor_type(1))
    return program(main=function([("x", image_type), flag], operations, "prob"))


def block_of(operations: list[bytes], outputs: str) -> bytes:
    """A block without inputs."""
    return b"".join(text(2, name) for name in outputs.split()) + b"".join(operations)


def samples() -> tuple[Sample, ...]:
    """A network, one with a branch, a pipeline, a step alone, and a program."""
    package = Sample(
        name="program",
        format="coreml",
        source=classifier,
        file_name="model.mlmodel",
        neighbours={
            "weights/weight.bin": blob_file(np.ones((8, 3, 3, 3), "<f2").tobytes()),
        },
        endings=boundaries,
    )
    return (package, *_alone())


def _alone() -> tuple[Sample, ...]:
    return tuple(
        Sample(
            name=name, format="coreml", source=make, file_name=f"{name}.mlmodel", endings=boundaries
        )
        for name, make in (("network", network), ("branch", branching), ("pipeline", pipeline))
    )
