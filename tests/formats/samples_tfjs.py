"""TensorFlow.js samples: layers that TensorFlow.js saved, and a graph written by hand."""

import base64
import json
import struct

from tests.formats.samples import FOLDER, Sample

Json = dict[str, object]


def text(value: str) -> Json:
    """An attribute that is a text."""
    return {"s": base64.b64encode(value.encode()).decode()}


def wholes(*values: int) -> Json:
    """An attribute that is a list of whole numbers, as texts."""
    return {"list": {"i": [str(value) for value in values]}}


def node(name: str, op: str, inputs: str = "", **attributes: Json) -> Json:
    """A node."""
    found: Json = {"name": name, "op": op}
    if inputs:
        found["input"] = inputs.split()
    return {**found, "attr": attributes}


def constant(name: str, dtype: str = "DT_FLOAT") -> Json:
    """A constant without its value, which lies in a file."""
    value: Json = {"tensor": {"dtype": dtype, "tensorShape": {}}}
    return node(name, "Const", dtype={"type": dtype}, value=value)


FILTER = [i / 64 - 1 for i in range(3 * 3 * 3 * 4)]
MATRIX = bytes(range(20))
"""Weights: real numbers, and 8-bit ones that stand for stored * 0.5 - 2."""


def topology() -> Json:
    """A graph as the converter leaves it, with fused operators."""
    shape: Json = {"shape": {"dim": [{"size": "-1"}, {"size": "8"}, {"size": "8"}, {"size": "3"}]}}
    fused: Json = {"list": {"s": [text(step)["s"] for step in ("BiasAdd", "Relu6")]}}
    window: Json = {
        "strides": wholes(1, 2, 2, 1),
        "padding": text("SAME"),
        "data_format": text("NHWC"),
        "num_args": {"i": "1"},
        "epsilon": {"f": 0.0},
        "T": {"type": "DT_FLOAT"},
    }
    return {
        "node": [
            node("image", "Placeholder", dtype={"type": "DT_FLOAT"}, shape=shape),
            constant("filter"),
            constant("bias"),
            constant("axes", "DT_INT32"),
            constant("matrix"),
            node("conv", "_FusedConv2D", "image filter bias", fused_ops=fused, **window),  # type: ignore[arg-type]
            node("mean", "Mean", "conv axes", keep_dims={"b": False}),
            node("scores", "MatMul", "mean matrix", transpose_a={"b": False}),
            node("probabilities", "Softmax", "scores"),
        ],
        "versions": {"producer": 808},
    }


def manifest() -> list[Json]:
    """What lies in the two files."""
    weights: list[Json] = [
        {"name": "filter", "shape": [3, 3, 3, 4], "dtype": "float32"},
        {"name": "bias", "shape": [4], "dtype": "float32"},
        {"name": "axes", "shape": [2], "dtype": "int32"},
        {
            "name": "matrix",
            "shape": [4, 5],
            "dtype": "float32",
            "quantization": {
                "dtype": "uint8",
                "scale": 0.5,
                "min": -2.0,
                "original_dtype": "float32",
            },
        },
    ]
    return [{"paths": ["group1-shard1of2.bin", "group1-shard2of2.bin"], "weights": weights}]


def graph() -> bytes:
    """The model file."""
    return json.dumps(
        {
            "format": "graph-model",
            "generatedBy": "2.15.0",
            "convertedBy": "TensorFlow.js Converter v4.22.0",
            "modelTopology": topology(),
            "weightsManifest": manifest(),
        }
    ).encode()


def files() -> dict[str, bytes]:
    """The weights, cut inside the filter."""
    data = struct.pack("<112f2i", *FILTER, *(0.25,) * 4, 1, 2) + MATRIX
    return {"group1-shard1of2.bin": data[:100], "group1-shard2of2.bin": data[100:]}


def samples() -> tuple[Sample, ...]:
    """Layers, and a graph with and without its weights."""
    names = ("group1-shard1of2.bin", "group1-shard2of2.bin")
    return (
        Sample(
            name="layers",
            format="tfjs",
            source="tfjs/model.json",
            file_name="model.json",
            neighbours={name: (FOLDER / "tfjs" / name).read_bytes() for name in names},
        ),
        Sample(
            name="graph", format="tfjs", source=graph, file_name="model.json", neighbours=files()
        ),
        Sample(name="alone", format="tfjs", source=graph, file_name="model.json"),
    )
