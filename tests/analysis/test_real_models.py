"""Real model files, where there are any: one network in several formats, and nothing left uncounted."""

import os
from pathlib import Path

import pytest
from tests.analysis.networks import Builder, squeezenet_1_1
from tests.analysis.test_onnx_definitions import products, products_of_onnx_tool

from gaugenn.analysis.cost import ModelCost, costs
from gaugenn.analysis.lineage import trace
from gaugenn.analysis.shapes import infer_shapes
from gaugenn.analysis.summary import summarise
from gaugenn.content import open_file
from gaugenn.formats import read_model
from gaugenn.graph import Model

CORPUS = os.environ.get("GAUGENN_CORPUS")
pytestmark = pytest.mark.skipif(not CORPUS, reason="GAUGENN_CORPUS names no folder of real models")
ROOT = Path(CORPUS or ".")


def read(name: str) -> Model:
    return read_model(open_file(ROOT / name))


def count(name: str, dimensions: dict[str, int] | None = None) -> ModelCost:
    model = read(name)
    return costs(model, infer_shapes(model, dimensions))


FILES = sorted(
    path
    for folder in ("tflite", "onnx", "ncnn")
    for path in (ROOT / folder).glob("*")
    if CORPUS and path.name not in ("RFB-320.bin", "model_1.bin")
)


UNKNOWABLE: dict[str, str] = {
    "audio_preprocessor_int8.tflite": "Signal",
    "model_invoking_error.tflite": "fake-op-double",
    "sentencepiece_tokenizer_flex_op.tflite": "Flex",
    "test_model_nl_classifier_bool_output.tflite": "CUSTOM_OP_STRING_TO_BOOLS",
    "precompiled_mediatek_model.tflite": "DISPATCH_OP",
    "simple_model_qualcomm_sm8650_precompiled.tflite": "DISPATCH_OP",
    "face-detector-quantized_edgetpu.tflite": "edgetpu-custom-op",
    "keras_lstm_mnist_ptq_edgetpu.tflite": "edgetpu-custom-op",
    "mobilenet_v1_0.25_128_quant_edgetpu.tflite": "edgetpu-custom-op",
    "split_concat_edgetpu.tflite": "edgetpu-custom-op",
}
"""Custom operators and accelerator blobs, by the start of their names."""

GIVEN: dict[str, dict[str, int]] = {
    "silero_vad.onnx": {"batch": 1, "sequence": 512},
    "RFB-320.param": {"input[0]": 1, "input[1]": 3, "input[2]": 240, "input[3]": 320},
}
"""Inputs whose sizes the file leaves open and a single element would not do for."""

WITHOUT_SIZES = {
    "model_1.param",  # the stated input is smaller than the last window
    "pytorch_superresolution_with_pre_post_processing_op18.onnx",  # begins with a decoded image
}


@pytest.mark.parametrize(
    "path", [p for p in FILES if p.name not in WITHOUT_SIZES], ids=lambda p: p.name
)
def test_every_node_that_is_not_custom_has_a_shape_and_a_cost(path: Path) -> None:
    model = read_model(open_file(path))
    cost = costs(model, infer_shapes(model, GIVEN.get(path.name)))
    custom = UNKNOWABLE.get(path.name)
    for graph, counted in zip(model.graphs, cost.nodes, strict=True):
        for node, result in zip(graph.nodes, counted, strict=True):
            assert result.is_counted or (
                custom is not None and node.source_operator.startswith(custom)
            ), node


@pytest.mark.parametrize(
    "path", [p for p in FILES if p.name in WITHOUT_SIZES], ids=lambda p: p.name
)
def test_a_file_that_leaves_its_input_open_says_what_could_not_be_counted(path: Path) -> None:
    record, layers = summarise(
        read_model(open_file(path)), model_sha256="0" * 64, size_bytes=path.stat().st_size
    )
    assert 0 < record.uncounted_nodes <= len(layers)
    assert record.macs != 0
    assert record.parameters


@pytest.mark.parametrize(
    ("name", "macs", "parameters"),
    [
        ("onnx/light_resnet50.onnx", 4_089_184_256, 25_557_032),
        ("onnx/light_squeezenet.onnx", 349_151_936, 1_235_496),
        ("ncnn/resnet50.param", 3_857_973_248, None),
        ("tflite/mobilenet_v2_1.0_224_quant.tflite", 300_774_272 + 1_280, None),
    ],
)
def test_published_networks_have_their_published_cost(
    name: str, macs: int, parameters: int | None
) -> None:
    cost = count(name)
    assert cost.macs == macs
    assert parameters in (None, cost.parameters)


@pytest.mark.parametrize("name", ["squeezenet_v1.1.param", "squeezenet_v1.1.param.bin"])
def test_ncnn_files_agree_with_the_network_they_were_made_from(name: str) -> None:
    built = squeezenet_1_1(Builder(), 227, ceil=True, last_padding=1)
    expected = costs(built, infer_shapes(built))
    found = count(f"ncnn/{name}")
    assert (found.macs, found.parameters) == (expected.macs, expected.parameters)


def test_one_face_detector_costs_the_same_in_onnx_and_ncnn() -> None:
    onnx = count("onnx/version-RFB-320.onnx")
    ncnn = count("ncnn/RFB-320.param", GIVEN["RFB-320.param"])
    assert onnx.macs == ncnn.macs == 100_418_560
    assert onnx.uncounted_nodes == ncnn.uncounted_nodes == 0


def test_a_quantised_twin_costs_what_the_float_network_does() -> None:
    pairs = [
        ("ncnn/squeezenet_int8.param", "ncnn/squeezenet_v1.1.param"),
        ("tflite/trained_lstm_int8.tflite", "tflite/trained_lstm.tflite"),
    ]
    for quantised, plain in pairs:
        assert count(quantised).macs == count(plain).macs


COUNTED_BY_ONNX_TOOL = (
    *("cnn_mnist_pytorch", "mnist", "model", "qdq_with_multi_consumer_dq_nodes"),
    *("version-RFB-320", "light_bvlc_alexnet"),
)


@pytest.mark.parametrize("name", COUNTED_BY_ONNX_TOOL)
def test_macs_of_real_files_agree_with_onnx_tool(name: str) -> None:
    path = ROOT / "onnx" / f"{name}.onnx"
    model = read_model(open_file(path))
    assert products(model, infer_shapes(model)) == products_of_onnx_tool(path)


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_every_model_becomes_rows(path: Path) -> None:
    model = read_model(open_file(path))
    record, layers = summarise(model, model_sha256="0" * 64, size_bytes=path.stat().st_size)
    assert record.nodes == len(layers) == sum(len(graph.nodes) for graph in model.graphs)
    assert record.architecture_sha256 is not None
    in_main = sum(layer.macs or 0 for layer in layers if layer.graph == 0)
    assert record.macs in (in_main, None)


def test_one_network_in_two_frameworks_is_found_by_its_values() -> None:
    rows = [
        summarise(read(name), model_sha256=name, size_bytes=1)
        for name in (
            *("caffe/det1.prototxt", "tflite/pnet.tflite", "caffe/det2.prototxt"),
            *("tflite/rnet.tflite", "mnn/RFB-320.mnn", "ncnn/RFB-320.param"),
        )
    ]
    found = trace([record for record, _ in rows], [layer for _, layers in rows for layer in layers])
    assert {(pair.first, pair.second) for pair in found.copies} == {
        ("caffe/det1.prototxt", "tflite/pnet.tflite"),
        ("caffe/det2.prototxt", "tflite/rnet.tflite"),
        ("mnn/RFB-320.mnn", "ncnn/RFB-320.param"),
    }
    assert all(pair.share == 1 for pair in found.copies)
