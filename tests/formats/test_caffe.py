"""The Caffe reader: both versions, text and binary, and real nets."""

import csv
import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from gaugenn.analysis.shapes import infer_shapes
from gaugenn.analysis.summary import summarise
from gaugenn.content import Content, from_bytes, open_file
from gaugenn.errors import FormatError, UnsupportedFormatError
from gaugenn.formats import HEAD_BYTES, identify, readers
from gaugenn.graph import Model, Node, TensorKind
from gaugenn.records import FileKind
from tests.formats import samples_caffe
from tests.formats.samples import all_samples

READER = readers()["caffe"]
SAMPLES = {sample.name: sample for sample in all_samples() if sample.format == "caffe"}
CORPUS = os.environ.get("GAUGENN_CORPUS", "")
needs_corpus = pytest.mark.skipif(
    not CORPUS, reason="set GAUGENN_CORPUS to a folder of real model files"
)

EXPLAINED: dict[str, dict[str, int]] = {
    "caffe/RFB-320.caffemodel": {},
    "caffe/RFB-320.prototxt": {},
    "caffe/det1.caffemodel": {"PReLU": 3, "HDF5Data": -1},
    "caffe/det1.prototxt": {"PReLU": 3},
    "caffe/det2.caffemodel": {"PReLU": 4, "HDF5Data": -1},
    "caffe/det2.prototxt": {"PReLU": 4},
    "caffe/squeezenet_v1.1.prototxt": {"ReLU": 26, "Dropout": 1},
}
"""Operators that are counted here and not by Netron, which draws a layer that overwrites its input as
part of the layer before; and data layers, which are inputs here and nodes there."""


def sample(name: str) -> Model:
    return READER.read(SAMPLES[name].content())


def text(content: str, **neighbours: bytes) -> Model:
    files = {name.replace("_", "."): data for name, data in neighbours.items()}

    def beside(name: str) -> Content | None:
        return from_bytes(name, files[name]) if name in files else None

    return READER.read(from_bytes("net.prototxt", content.encode(), beside))


def layer(body: str, shape: str = "dim: 1 dim: 3 dim: 16 dim: 16") -> Model:
    """A net of one layer that takes `x`."""
    start = f'input: "x" input_shape {{ {shape} }}'
    return text(f'{start} layer {{ name: "l" bottom: "x" top: "y" {body} }}')


def made(body: str, shape: str = "dim: 1 dim: 3 dim: 16 dim: 16") -> tuple[Node, object]:
    model = layer(body, shape)
    return model.graphs[0].nodes[0], model.graphs[0].tensors["y"].shape


def named(model: Model) -> dict[str, Node]:
    return {node.name: node for node in model.graphs[0].nodes}


def test_a_text_net_has_onnx_operators_and_attributes() -> None:
    nodes = named(sample("text"))
    assert {name: node.operator for name, node in nodes.items()} == {
        "conv1": "Conv",
        "bn1": "BatchNormalization",
        "scale1": "BatchNormalization",
        "relu1": "LeakyRelu",
        "dw": "Conv",
        "sum": "Add",
        "pool": "AveragePool",
        "fc": "Gemm",
        "prob": "Softmax",
    }
    assert nodes["conv1"].attributes == {
        "kernel_shape": (3, 3),
        "strides": (2, 2),
        "dilations": (1, 1),
        "pads": (1, 1, 1, 1),
        "group": 1,
        "output_channels": 8,
    }
    assert nodes["dw"].attributes["pads"] == (1, 0, 1, 0)
    assert nodes["relu1"].attributes == {"alpha": pytest.approx(0.1)}


def test_weights_that_are_not_there_have_the_shapes_that_the_net_demands() -> None:
    model = sample("text")
    shapes = {t.name: t.shape for t in model.graphs[0].tensors.values() if t.kind == "constant"}
    assert shapes == {
        "conv1.weight": (8, 3, 3, 3),
        "conv1.bias": (8,),
        "bn1.mean": (8,),
        "bn1.variance": (8,),
        "bn1.divisor": (1,),
        "scale1.scale": (8,),
        "scale1.bias": (8,),
        "dw.weight": (8, 1, 3, 1),
        "fc.weight": (10, 8 * 4 * 4),
        "fc.bias": (10,),
    }
    assert model.notes == ("training-layers", "weights-absent")


def test_weights_beside_a_text_are_read_by_the_names_of_layers() -> None:
    model = sample("text-with-weights")
    assert model.companions == ("small.caffemodel",)
    assert model.notes == ("training-layers",)
    held = model.graphs[0].tensors["fc.weight"].array()
    expected = np.random.default_rng(1).normal(size=(10, 128)).astype(np.float32)
    assert np.array_equal(held, expected)


def test_layers_for_training_are_left_out_of_a_text() -> None:
    model = sample("text")
    assert "loss" not in named(model)
    assert model.metadata["left_out_layers"] == "SoftmaxWithLoss"
    assert model.graphs[0].outputs == ("prob",)


def test_a_trained_net_keeps_its_losses_and_takes_what_its_data_layer_brings() -> None:
    model = sample("trained")
    assert model.graphs[0].inputs == ("data", "label")
    assert named(model)["loss"].operator == ""
    assert model.notes == ("training-layers",)
    assert model.metadata["data_layers"] == "HDF5Data"


def test_a_layer_that_overwrites_its_input_makes_a_tensor_of_its_own() -> None:
    nodes = named(sample("text"))
    assert nodes["conv1"].outputs == ("conv1#1",)
    assert nodes["bn1"].inputs[0] == "conv1#1"
    assert nodes["relu1"].outputs == ("conv1",)
    assert nodes["dw"].inputs[0] == "conv1"


def test_a_binary_net_is_a_whole_model_with_unknown_layers_kept() -> None:
    model = sample("binary")
    nodes = named(model)
    assert nodes["fan"].operator == "Identity"
    assert nodes["cut"].operator == "Split"
    assert nodes["cut"].attributes == {"axis": 1, "split": (2, 4)}
    assert nodes["conv"].attributes["dilations"] == (2, 2)
    assert nodes["conv"].attributes["group"] == 2
    assert nodes["own"].operator == ""
    assert nodes["own"].inputs == ("a", "own.blobs[0]")
    assert nodes["pool"].operator == "GlobalMaxPool"
    assert nodes["order"].attributes == {"perm": (0, 2, 1, 3)}
    assert model.graphs[0].tensors["order"].shape == (1, 6, 4, 6)


def test_both_forms_of_the_first_version_give_the_types_of_today() -> None:
    for name in ("old-text", "old-binary"):
        model = sample(name)
        assert model.format_version == "1"
        assert model.graphs[0].nodes[0].source_operator == "Convolution"
        assert model.graphs[0].tensors["data"].shape == (1, 3, 12, 12)
    tensors = sample("old-binary").graphs[0].tensors
    assert tensors["conv1.bias"].shape == (4,)
    assert tensors["conv1.bias"].array().tolist() == [0, 0.125, 0.25, 0.375]


def test_pooling_counts_windows_upwards_and_leaves_out_one_that_lies_in_the_padding() -> None:
    body = 'type: "Pooling" pooling_param {{ kernel_size: 2 stride: 2 {} }}'
    assert made(body.format(""), "dim: 1 dim: 3 dim: 5 dim: 5")[1] == (1, 3, 3, 3)
    assert made(body.format("pad: 1"), "dim: 1 dim: 3 dim: 5 dim: 5")[1] == (1, 3, 3, 3)
    assert made(body.format("round_mode: FLOOR"), "dim: 1 dim: 3 dim: 5 dim: 5")[1] == (1, 3, 2, 2)


@pytest.mark.parametrize(
    ("body", "operator", "shape"),
    [
        ('type: "Reshape" reshape_param { shape { dim: 0 dim: -1 } }', "Reshape", (1, 768)),
        ('type: "Reshape" reshape_param { shape { dim: 4 dim: -1 } axis: 2 }',
         "Reshape", (1, 3, 4, 64)),
        (
            'type: "Reshape" reshape_param { shape { dim: 3 dim: 1 } axis: 1 num_axes: 1 }',
            "Reshape",
            (1, 3, 1, 16, 16),
        ),
        ('type: "Flatten"', "Flatten", (1, 768)),
        ('type: "Flatten" flatten_param { axis: 2 }', "Reshape", (1, 3, 256)),
        ('type: "Permute" permute_param { order: 0 order: 2 }', "Transpose", (1, 16, 3, 16)),
        ('type: "Deconvolution" convolution_param { num_output: 2 kernel_size: 4 stride: 2 pad: 1 }',
         "ConvTranspose", (1, 2, 32, 32)),
        ('type: "Tile" tile_param { tiles: 2 }', "Tile", (1, 6, 16, 16)),
        ('type: "Reduction" reduction_param { operation: MEAN axis: 1 }', "ReduceMean", (1,)),
        ('type: "ArgMax" argmax_param { axis: 1 }', "ArgMax", (1, 1, 16, 16)),
        ('type: "InnerProduct" inner_product_param { num_output: 5 axis: -1 }', "Gemm", (1, 3, 16, 5)),
        ('type: "Interp" interp_param { zoom_factor: 2 }', "Resize", (1, 3, 31, 31)),
        ('type: "Power" power_param { scale: 2 }', "", (1, 3, 16, 16)),
        ('type: "Eltwise" bottom: "x" eltwise_param { operation: PROD }', "Mul", (1, 3, 16, 16)),
        ('type: "Eltwise" bottom: "x" eltwise_param { coeff: 1 coeff: -1 }', "Sub", (1, 3, 16, 16)),
        ('type: "Eltwise" bottom: "x" eltwise_param { coeff: 2 coeff: 1 }', "", (1, 3, 16, 16)),
        ('type: "Scale" scale_param { num_axes: -1 axis: 2 }', "Mul", (1, 3, 16, 16)),
        ('type: "Convolution" convolution_param { num_output: 2 kernel_size: 3 kernel_size: 5 }',
         "Conv", (1, 2, 14, 12)),
        ('type: "PriorBox" bottom: "x" prior_box_param { min_size: 3 max_size: 9 aspect_ratio: 2 }',
         "", (1, 2, 16 * 16 * 4 * 4)),
    ],
)  # fmt: skip
def test_layers_become_operators_with_known_sizes(
    body: str, operator: str, shape: tuple[int, ...]
) -> None:
    node, sizes = made(body)
    assert (node.operator, sizes) == (operator, shape)
    assert infer_shapes(layer(body)).contradictions == ()


@pytest.mark.parametrize(
    "body",
    [
        'type: "Convolution" convolution_param { kernel_size: 3 }',
        'type: "Convolution" convolution_param { num_output: 4 }',
        'type: "Convolution" convolution_param { num_output: 4 kernel_size: 3 group: 3 }',
        'type: "Convolution" convolution_param { num_output: four kernel_size: 3 }',
        'type: "Reshape" reshape_param { shape { dim: -1 dim: -1 } }',
        'type: "Permute" permute_param { order: 1 order: 1 }',
        'type: "Softmax" softmax_param { axis: 4 }',
        'type: "Slice" slice_param { slice_point: 9 } top: "z"',
        'type: "Eltwise"',
        'bottom: "nowhere" type: "ReLU"',
        'name: "no type"',
        "type: { }",
    ],
)
def test_a_layer_that_contradicts_itself_is_a_format_error(body: str) -> None:
    with pytest.raises(FormatError):
        layer(body)


def test_weights_of_another_net_are_refused() -> None:
    graph = samples_caffe.TEXT
    with pytest.raises(FormatError, match="another net"):
        text(
            graph.replace("num_output: 10", "num_output: 11"),
            net_caffemodel=samples_caffe.weights(),
        )
    with pytest.raises(FormatError, match="another net"):
        text(graph, net_caffemodel=samples_caffe.whole().replace(b"conv", b"vnoc"))


def test_shared_blobs_are_one_tensor() -> None:
    body = 'type: "InnerProduct" param { name: "w" } inner_product_param { num_output: 3 bias_term: 0 }'
    model = text(
        'input: "x" input_shape { dim: 1 dim: 3 }'
        f'layer {{ name: "a" bottom: "x" top: "y" {body} }}'
        f'layer {{ name: "b" bottom: "y" top: "z" {body} }}'
    )
    first, second = model.graphs[0].nodes
    assert first.inputs[1] == second.inputs[1] == "a.weight"


def test_the_oldest_version_is_named() -> None:
    with pytest.raises(UnsupportedFormatError, match="2013"):
        text('layers { layer { name: "conv" type: "conv" } bottom: "x" top: "y" }')


@pytest.mark.parametrize(
    "other",
    [
        b'net: "train.prototxt"\nbase_lr: 0.01\nlr_policy: "step"\n',
        b'node { calculator: "Layer" input_stream: "x" }\nlayer_count: 3',
        b'{"layer": {"type": "dense"}}',
        b"layer: 3\n",
        b"name: x\nlayers:\n  - type: dense\n",
        b'item { id: 1 name: "layer" }',
    ],
)
def test_other_texts_are_no_nets(other: bytes) -> None:
    assert not READER.sniff("net.prototxt", other)


def test_a_binary_net_beside_its_text_counts_as_its_weights() -> None:
    files = {"a.prototxt": samples_caffe.TEXT.encode(), "a.caffemodel": samples_caffe.weights()}

    def beside(name: str) -> Content | None:
        return from_bytes(name, files[name], beside) if name in files else None

    found = {name: identify(from_bytes(name, data, beside)) for name, data in files.items()}
    assert found["a.prototxt"].kind is FileKind.MODEL
    assert found["a.caffemodel"].kind is FileKind.WEIGHTS
    assert identify(from_bytes("a.caffemodel", files["a.caffemodel"])).kind is FileKind.MODEL


def test_large_texts_are_read_fast_and_too_large_ones_refused() -> None:
    one = 'layer { name: "l" type: "ReLU" bottom: "x" top: "x" }\n'
    start = 'input: "x" input_shape { dim: 1 dim: 3 }\n'
    assert len(text(start + one * 5_000).graphs[0].nodes) == 5_000
    with pytest.raises(FormatError, match="more than"):
        text(start + one * 100_000)


def rows() -> list[str]:
    if not CORPUS:
        return []
    with (Path(CORPUS) / "MANIFEST.csv").open(newline="") as file:
        return [row["path"] for row in csv.DictReader(file)]


@needs_corpus
@pytest.mark.parametrize("path", sorted(EXPLAINED))
def test_a_real_net_has_the_layers_that_netron_sees(path: str) -> None:
    model = READER.read(open_file(Path(CORPUS) / path))
    with (Path(CORPUS) / "NETRON_ORACLE.jsonl").open() as file:
        lines = (json.loads(line) for line in file)
        seen = Counter(next(line for line in lines if line["file"] == path)["ops"])
    ours = Counter(node.source_operator for node in model.graphs[0].nodes)
    ours.subtract(seen)
    assert {name: count for name, count in ours.items() if count} == EXPLAINED[path]


@needs_corpus
def test_only_caffe_files_are_claimed() -> None:
    def claimed(path: str) -> bool:
        head = open_file(Path(CORPUS) / path).head(HEAD_BYTES)
        return READER.sniff(path, head)

    assert [path for path in rows() if claimed(path)] == sorted(EXPLAINED)


@needs_corpus
@pytest.mark.parametrize(
    ("path", "macs", "parameters"),
    [
        ("caffe/RFB-320.prototxt", 100_418_560, 273_888),
        ("caffe/RFB-320.caffemodel", 100_418_560, 273_888),
        ("caffe/det1.prototxt", 44_760, 6_632),
        ("caffe/det2.prototxt", 1_530_768, 100_178),
        ("caffe/squeezenet_v1.1.prototxt", 418_467_520, 1_235_496),
    ],
)
def test_real_nets_cost_what_they_cost_in_other_formats(
    path: str, macs: int, parameters: int
) -> None:
    model = READER.read(open_file(Path(CORPUS) / path))
    record, layers = summarise(model, model_sha256="0" * 64, size_bytes=1)
    assert (record.macs, record.parameters) == (macs, parameters)
    assert record.uncounted_nodes == 0
    assert "shape-contradiction" not in record.notes
    assert all(layer.output_shape is not None for layer in layers)
    constants = [t for t in model.graphs[0].tensors.values() if t.kind is TensorKind.CONSTANT]
    assert all(t.data is not None for t in constants) == ("weights-absent" not in model.notes)


@needs_corpus
def test_squeezenet_has_its_published_cost_at_its_published_size() -> None:
    """This copy pads its last convolution, which then has 15 x 15 places in place of 13 x 13."""
    path = Path(CORPUS) / "caffe/squeezenet_v1.1.prototxt"
    model = text(path.read_text().replace("dim: 227 dim: 227", "dim: 224 dim: 224"))
    macs = summarise(model, model_sha256="0" * 64, size_bytes=1)[0].macs
    assert macs == 349_151_936 + (15 * 15 - 13 * 13) * 512 * 1000


def test_random_bytes_whose_fields_reach_beyond_their_layer_are_no_net() -> None:
    begun = bytes.fromhex("12180a5bc1899bfc3bd9963e82ad99395a294300ffbbfcb0")
    assert not READER.sniff("a.bin", begun + bytes(200))
