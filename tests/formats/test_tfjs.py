"""The reader of TensorFlow.js, and JSON from untrusted bytes."""

import json

import numpy as np
import pytest

from gaugenn.analysis.summary import summarise
from gaugenn.content import Content, from_bytes
from gaugenn.errors import FormatError
from gaugenn.formats import _json, identify, read_model
from gaugenn.formats.tfjs import TensorFlowJsReader
from gaugenn.graph import DataType, Model, Quantization
from gaugenn.records import FileKind
from tests.formats import samples_tfjs as given
from tests.formats.samples import Sample, all_samples

READER = TensorFlowJsReader()


def sample(name: str) -> Sample:
    return next(s for s in all_samples() if (s.format, s.name) == ("tfjs", name))


def macs(model: Model) -> int | None:
    return summarise(model, model_sha256="0" * 64, size_bytes=1)[0].macs


def folder(**changed: bytes) -> Content:
    held = {"model.json": given.graph(), **given.files(), **changed}

    def neighbours(name: str) -> Content | None:
        return from_bytes(name, held[name], neighbours) if name in held else None

    return from_bytes("model.json", held["model.json"], neighbours)


def test_layers_that_tensorflow_js_saved_have_their_weights_and_costs() -> None:
    model = read_model(sample("layers").content())
    graph = model.graphs[0]
    assert (model.format, model.format_version) == ("tfjs", "layers-model")
    assert [node.operator for node in graph.nodes] == [
        *("Conv", "BatchNormalization", "Clip", "Conv", "Add", "ReduceMean", "MatMul"),
    ]
    assert model.notes == ()
    kernel = graph.tensors["stem/kernel"].array()
    assert kernel.shape == (3, 3, 3, 8)
    assert kernel.std() > 0.01
    assert graph.tensors["scores/kernel"].array().shape == (8, 5)
    assert macs(model) == 8 * 8 * 8 * 27 + 8 * 8 * 8 * 9 + 8 * 5


def test_a_graph_has_onnx_operators_and_fused_activations() -> None:
    model = read_model(sample("graph").content())
    graph = model.graphs[0]
    first, mean, scores, last = (node for node in graph.nodes if node.operator != "Constant")
    assert (model.format_version, model.producer) == (
        "graph-model",
        "TensorFlow.js Converter v4.22.0",
    )
    assert (first.operator, first.inputs) == ("Conv", ("image", "filter", "bias"))
    assert (first.attributes["fused_activation"], first.attributes["fused_max"]) == ("Clip", 6.0)
    assert (mean.operator, mean.attributes["axes"]) == ("ReduceMean", (1, 2))
    assert (scores.operator, last.operator) == ("Gemm", "Softmax")
    assert graph.tensors["image"].shape == ("?", 8, 8, 3)
    assert macs(model) == 4 * 4 * 4 * 27 + 4 * 5


def test_a_prelu_of_its_own_is_one_of_onnx() -> None:
    text = given.graph().replace(b'"op": "Softmax"', b'"op": "Prelu"')
    text = text.replace(b'"input": ["scores"]', b'"input": ["scores", "scores"]')
    model = READER.read(folder(**{"model.json": text}))
    assert model.graphs[0].nodes[-1].operator == "PRelu"
    assert summarise(model, model_sha256="0" * 64, size_bytes=1)[0].uncounted_nodes == 0


def test_weights_are_found_across_files_and_as_they_are_stored() -> None:
    tensors = read_model(sample("graph").content()).graphs[0].tensors
    found = tensors["filter"].array().reshape(-1)
    np.testing.assert_array_equal(found, np.array(given.FILTER, dtype="<f4"))
    matrix = tensors["matrix"]
    assert matrix.dtype is DataType.UINT8
    assert matrix.quantization == Quantization(scales=(0.5,), zero_points=(4,))
    assert bytes(matrix.read()) == given.MATRIX


def test_without_its_files_a_graph_keeps_its_shapes() -> None:
    model = read_model(sample("alone").content())
    assert model.notes == ("weights-absent",)
    assert model.companions == ()
    assert model.graphs[0].tensors["filter"].shape == (3, 3, 3, 4)
    assert model.graphs[0].nodes[1].source_operator == "Const"


def test_files_are_told_to_be_the_weights_of_the_model_beside_them() -> None:
    shard = folder().beside("group1-shard2of2.bin")
    assert shard is not None
    found = identify(shard)
    assert (found.kind, found.formats) == (FileKind.WEIGHTS, ("tfjs",))
    assert found.reason == "weights of model.json"


def test_weights_beyond_their_files_are_refused() -> None:
    with pytest.raises(FormatError, match="'matrix' needs 3 bytes more"):
        READER.read(folder(**{"group1-shard2of2.bin": given.files()["group1-shard2of2.bin"][:-3]}))


def test_no_file_outside_the_folder_is_looked_for() -> None:
    asked: list[str] = []
    text = given.graph().replace(b'"group1-shard1of2.bin"', b'"../../etc/passwd"')

    def neighbours(name: str) -> Content | None:
        asked.append(name)
        return None

    READER.read(from_bytes("model.json", text, neighbours))
    assert set(asked) == {"group1-shard2of2.bin"}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"dtype": "int32"', '"dtype": "int33"', "unknown type 'int33'"),
        ('"shape": [4]', '"shape": [-4]', "has the sizes"),
        ('"input": ["mean", "matrix"]', '"input": ["mean", "nothing"]', "which no node makes"),
    ],
)
def test_a_model_that_contradicts_itself_is_refused(old: str, new: str, words: str) -> None:
    text = given.graph().decode()
    assert old in text
    with pytest.raises(FormatError, match=words):
        READER.read(folder(**{"model.json": text.replace(old, new).encode()}))


def test_other_json_is_not_claimed() -> None:
    for value in ({"v": "5.5", "layers": []}, {"format": 1, "nodes": []}, {"nodes": []}):
        assert not READER.sniff("model.json", json.dumps(value).encode())


@pytest.mark.parametrize("text", [b"", b"[]", b"{", b"[" * 100_000, b'{"a": ' + b"9" * 5000 + b"}"])
def test_broken_json_is_a_format_error(text: bytes) -> None:
    with pytest.raises(FormatError, match="no JSON"):
        _json.read_object(text, "a.json")


def test_json_is_bounded() -> None:
    with pytest.raises(FormatError, match="10 are the most"):
        _json.read_object(b'{"a": 12345}', "a.json", most_bytes=10)
