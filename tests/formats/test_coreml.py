"""The Core ML reader: networks, pipelines, and real files."""

import csv
import json
import os
from collections import Counter
from pathlib import Path

import pytest

from gaugenn.analysis.summary import summarise
from gaugenn.content import from_bytes, open_file
from gaugenn.errors import FormatError, UnsupportedFormatError
from gaugenn.formats import HEAD_BYTES, readers
from gaugenn.graph import DataType, GraphReference, Model, Node, TensorKind
from tests.formats._protobuf_builder import block, number
from tests.formats.samples import all_samples
from tests.formats.samples_coreml import described, feature, layer
from tests.formats.samples_tensorflow import saved

READER = readers()["coreml"]
SAMPLES = {sample.name: sample for sample in all_samples() if sample.format == "coreml"}
CORPUS = os.environ.get("GAUGENN_CORPUS", "")
needs_corpus = pytest.mark.skipif(
    not CORPUS, reason="set GAUGENN_CORPUS to a folder of real model files"
)
REAL = [
    "coreml/keras2coreml_Dense_ImageNet_small.mlmodel",
    "coreml/onehot_simple.mlmodel",
]


def sample(name: str) -> Model:
    return READER.read(SAMPLES[name].content())


def network(*layers: bytes) -> Model:
    head = described([feature("x", 3, 8, 8)], [feature("y", 3)])
    return READER.read(from_bytes("n.mlmodel", head + block(500, b"".join(layers))))


def named(model: Model, index: int = 0) -> dict[str, Node]:
    return {node.name: node for node in model.graphs[index].nodes}


def test_a_network_has_onnx_operators_and_weights() -> None:
    model = sample("network")
    nodes = named(model)
    assert {name: node.operator for name, node in nodes.items()} == {
        "conv": "Conv",
        "bn": "BatchNormalization",
        "act": "LeakyRelu",
        "dw": "Conv",
        "pool": "AveragePool",
        "flat": "Flatten",
        "fc": "Gemm",
        "prob": "Softmax",
    }
    assert nodes["conv"].attributes["pads"] == (1, 1, 1, 1)
    assert nodes["dw"].attributes["auto_pad"] == "SAME_UPPER"
    assert nodes["act"].attributes["alpha"] == pytest.approx(0.1)
    assert nodes["pool"].attributes["ceil_mode"] == 1
    tensors = model.graphs[0].tensors
    assert tensors["photo"].shape == (1, 3, 16, 16)
    assert tensors["fc.weights"].dtype is DataType.FLOAT16
    quantization = tensors["dw.weights"].quantization
    assert quantization is not None
    assert (quantization.scales, quantization.zero_points) == ((0.5,), (2,))


def test_a_network_is_counted_in_full() -> None:
    record, layers = summarise(sample("network"), model_sha256="0" * 64, size_bytes=1)
    assert record.macs == 8 * 8 * 8 * 27 + 8 * 8 * 8 * 9 + 5 * 128
    assert record.uncounted_nodes == 0
    assert all(each.output_shape is not None for each in layers)


def test_a_blob_that_is_made_anew_is_a_tensor_of_its_own() -> None:
    nodes = named(sample("network"))
    assert nodes["bn"].inputs[0] == "a"
    assert nodes["bn"].outputs != ("a",)
    assert nodes["act"].inputs == nodes["bn"].outputs


def test_branches_are_graphs_that_see_the_tensors_outside() -> None:
    model = sample("branch")
    node = named(model)["if"]
    assert node.attributes["then_branch"] == GraphReference(1)
    assert node.attributes["else_branch"] == GraphReference(2)
    assert model.graphs[1].parent == 0
    assert model.graphs[2].nodes[0].inputs == ("doubled",)
    assert model.graphs[0].tensors["k"].kind is TensorKind.CONSTANT
    assert model.graphs[0].tensors["k"].shape == (1, 3, 1, 1)


def test_a_pipeline_has_a_node_for_each_step() -> None:
    model = sample("pipeline")
    first, second = model.graphs[0].nodes
    assert (first.source_operator, second.source_operator) == ("scaler", "neuralNetworkClassifier")
    assert first.outputs == second.inputs == ("photo#2",)
    assert second.attributes["function"] == GraphReference(1)
    assert model.notes == ("classical-ml",)


@pytest.mark.parametrize(
    "broken",
    [
        layer("c", "x", "y", 100, number(1, 4) + number(2, 3)),
        layer("c", "x", "y", 100, number(1, 4) + number(2, 3) + block(90, block(1, bytes(8)))),
        layer("a", "x", "y", 130),
        layer("none", "x", "y", 99),
        layer("r", "nowhere", "y", 130, block(10, b"")),
    ],
)
def test_a_broken_network_is_a_format_error(broken: bytes) -> None:
    with pytest.raises(FormatError):
        network(broken)


def test_a_program_is_named_and_refused() -> None:
    data = described([feature("x", 3)], [feature("y", 3)], 7) + block(502, number(1, 1))
    assert READER.sniff("p.mlmodel", data)
    with pytest.raises(UnsupportedFormatError, match=r"\.mlpackage"):
        READER.read(from_bytes("p.mlmodel", data))


def test_saved_models_of_tensorflow_begin_alike_and_are_not_claimed() -> None:
    assert saved()[:3] == SAMPLES["network"].data()[:1] + b"\x01\x12"
    assert not READER.sniff("x.mlmodel", saved())


def rows() -> list[str]:
    if not CORPUS:
        return []
    with (Path(CORPUS) / "MANIFEST.csv").open(newline="") as file:
        return [row["path"] for row in csv.DictReader(file)]


@needs_corpus
@pytest.mark.parametrize("path", REAL)
def test_a_real_model_has_the_operators_that_netron_sees(path: str) -> None:
    model = READER.read(open_file(Path(CORPUS) / path))
    with (Path(CORPUS) / "NETRON_ORACLE.jsonl").open() as file:
        lines = (json.loads(line) for line in file)
        seen = Counter(next(line for line in lines if line["file"] == path)["ops"])
    assert Counter(node.source_operator for node in model.graphs[0].nodes) == seen


@needs_corpus
def test_a_real_network_is_counted() -> None:
    model = READER.read(open_file(Path(CORPUS) / REAL[0]))
    record, _ = summarise(model, model_sha256="0" * 64, size_bytes=1)
    assert (record.macs, record.parameters) == (27 * 2, 27 * 2 + 2)


@needs_corpus
def test_only_core_ml_files_are_claimed() -> None:
    def claimed(path: str) -> bool:
        return READER.sniff(path, open_file(Path(CORPUS) / path).head(HEAD_BYTES))

    assert [path for path in rows() if claimed(path)] == REAL
