"""Compiled Core ML samples: a program as text with its weights, and a network in three files."""

import json
import struct

import numpy as np

from tests.formats.samples import Sample


def blob_file(*parts: bytes) -> bytes:
    """A weights file of programs; entries begin at multiples of 64."""
    out = bytearray(struct.pack("<2I", len(parts), 2).ljust(64, b"\0"))
    for part in parts:
        at = len(out)
        out += struct.pack("<2I2Q", 0xDEADBEEF, 1, len(part), at + 64).ljust(64, b"\0")
        out += part + bytes(-len(part) % 64)
    return bytes(out)


def halves(*shape: int) -> bytes:
    """Weights in float16."""
    return np.random.default_rng(3).normal(size=shape).astype("<f2").tobytes()


def const(dtype: str, name: str, shape: str, value: str) -> str:
    """A constant of the program."""
    type_ = f"tensor<{dtype}, [{shape}]>"
    return (
        f'        {type_} {name} = const()[name = tensor<string, []>("{name}"), '
        f"val = {type_}({value})];\n"
    )


def stored(name: str, shape: str, offset: int) -> str:
    """A constant in the weights file."""
    path = 'path = tensor<string, []>("@model_path/weights/weight.bin")'
    return const("fp16", name, shape, f"BLOBFILE({path}, offset = tensor<uint64, []>({offset}))")


def program(body: str, outputs: str = "prob") -> bytes:
    """A program with one function."""
    return (
        "program(1.0)\n"
        "[buildInfo = dict<tensor<string, []>, tensor<string, []>>"
        '({{"coremlc-component-MIL", "3304.5.2"}, {"coremlc-version", "3304.6.2"}})]\n'
        "{\n"
        "    func main<ios16>(tensor<fp16, [1, 3, 16, 16]> x) "
        '[FlexibleShapeInformation = tuple<tensor<string, []>>((("RangeDims", {"x"})))] {\n'
        f"{body}"
        f"    }} -> ({outputs});\n"
        "}"
    ).encode()


WEIGHT, BIAS = 64, 64 + 64 + 448
"""Where the two entries of the sample's weights file begin."""


def classifier() -> bytes:
    """A convolution, a split, a pooling and a product."""
    return program(
        const("string", "pt", "", '"custom"')
        + const("int32", "st", "2", "[2, 2]")
        + const("int32", "dl", "2", "[1, 1]")
        + const("int32", "pd", "4", "[1, 0, 1, 0]")
        + const("int32", "gr", "", "1")
        + stored("w", "8, 3, 3, 3", WEIGHT)
        + "        tensor<fp16, [1, 8, 8, 8]> c = conv(dilations = dl, groups = gr, pad = pd, "
        'pad_type = pt, strides = st, weight = w, x = x)[name = tensor<string, []>("conv_0")];\n'
        + "        tensor<fp16, [1, 4, 8, 8]> a, tensor<fp16, [1, 4, 8, 8]> b = split(axis = gr, "
        'num_splits = tensor<int32, []>(2), x = c)[name = string("halves")];\n'
        + "        tensor<fp16, [1, 8, 8, 8]> j = concat(axis = gr, "
        "interleave = tensor<bool, []>(false), values = (a, b))"
        '[name = string("joined")];\n'
        + const("int32", "ax", "2", "[2, 3]")
        + "        tensor<fp16, [1, 8]> m = reduce_mean(axes = ax, "
        "keep_dims = bool(false), x = j)[];\n"
        + const(
            "fp16", "fw", "2, 8", "[[0x1p-1, 1, 1, 1, 1, 1, 1, 1], [-1e-1, 1, 1, 1, 1, 1, 1, -2]]"
        )
        + "        tensor<fp16, [1, 2]> f = linear(weight = fw, x = m)[];\n"
        + "        tensor<fp16, [1, 2]> prob = softmax(axis = int32(-1), x = f)[];\n"
    )


def net() -> bytes:
    """A network of every layer whose meaning is known, and of one that nobody described."""
    layers = [
        {
            "type": "convolution",
            "name": "c",
            "bottom": "in",
            "top": "c",
            "K": 3,
            "C": 8,
            "Nx": 3,
            "Ny": 3,
            "n_groups": 1,
            "stride_x": 2,
            "stride_y": 2,
            "has_biases": 1,
            "blob_biases": 1,
            "blob_weights": 3,
            "fused_relu": 1,
            "weights": {},
            "pad_t": 1,
            "pad_b": 0,
            "pad_l": 1,
            "pad_r": 0,
            "pad_mode": 0,
        },
        {
            "type": "convolution",
            "name": "d",
            "bottom": "c",
            "top": "d",
            "K": 8,
            "C": 8,
            "Nx": 3,
            "Ny": 3,
            "n_groups": 8,
            "pad_mode": 1,
            "weights": {"W_U8": 5, "per_ch_qscale": 7, "per_ch_qbias": 9},
        },
        {
            "type": "pool",
            "name": "p",
            "bottom": "d",
            "top": "p",
            "avg_or_max": 1,
            "size_x": 2,
            "size_y": 2,
            "stride_x": 2,
            "stride_y": 2,
            "top_shape_style": 2,
        },
        {"type": "load_constant", "name": "k", "bottom": "", "top": "k", "constant_blob": 11}
        | {"n": 1, "k": 8, "h": 1, "w": 1},
        {"type": "elementwise", "name": "e", "bottom": "p,k", "top": "e", "operation": 0},
        {"type": "activation", "name": "a", "bottom": "e", "top": "e", "mode": 3},
        {"type": "upsample", "name": "u", "bottom": "e", "top": "u", "mode": 1}
        | {"scaling_factor_x": 2, "scaling_factor_y": 2},
        {"type": "mystery", "name": "m", "bottom": "u", "top": "m", "beta": 0.5},
        {
            "type": "inner_product",
            "name": "f",
            "bottom": "m",
            "top": "f",
            "nB": 512,
            "nC": 2,
            "has_biases": 0,
            "blob_weights": 13,
            "weights": {},
        },
        {"type": "softmax", "name": "s", "bottom": "f", "top": "prob"},
    ]
    listed = {"storage": "model.espresso.weights", "format_version": 200, "layers": layers}
    return json.dumps(listed | {"metadata_in_weights": []}, indent=2).encode()


def shapes() -> bytes:
    """The shapes of the network's blobs."""
    sizes = {"in": (3, 16), "c": (8, 8), "d": (8, 8), "p": (8, 4), "k": (8, 1), "e": (8, 4)}
    sizes |= {"u": (8, 8), "m": (8, 8), "f": (2, 1), "prob": (2, 1)}
    listed = {name: {"n": 1, "k": k, "h": n, "w": n} for name, (k, n) in sizes.items()}
    return json.dumps({"layer_shapes": listed}).encode()


def net_weights() -> bytes:
    """The network's weights."""
    generator = np.random.default_rng(4)

    def floats(count: int) -> bytes:
        return generator.normal(size=count).astype("<f4").tobytes()

    blobs = {
        1: floats(8),
        3: floats(8 * 27),
        5: generator.bytes(72),
        7: np.full(8, 0.5, "<f4").tobytes(),
        9: np.full(8, -64, "<f4").tobytes(),
        11: floats(8),
        13: floats(1024),
    }
    table = b"".join(struct.pack("<2Q", number, len(data)) for number, data in blobs.items())
    return struct.pack("<Q", len(blobs)) + table + b"".join(blobs.values())


def samples() -> tuple[Sample, ...]:
    """A program, and a network with and without its other files."""
    return (
        Sample(
            name="program",
            format="mlmodelc",
            source=classifier,
            file_name="model.mil",
            neighbours={"weights/weight.bin": blob_file(halves(8, 3, 3, 3), halves(8))},
        ),
        Sample(
            name="network",
            format="mlmodelc",
            source=net,
            file_name="model.espresso.net",
            neighbours={
                "model.espresso.shape": shapes(),
                "model.espresso.weights": net_weights(),
            },
        ),
    )
