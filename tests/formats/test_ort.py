"""The ONNX Runtime reader, against the ONNX reader and on real files."""

import pytest

from gaugenn.analysis.summary import summarise
from gaugenn.content import Content, from_bytes
from gaugenn.errors import FormatError
from gaugenn.formats import readers
from gaugenn.formats.ort import OrtReader
from gaugenn.graph import DataType, GraphReference, Model, Tensor
from tests.formats import _corpus
from tests.formats._corpus import needs_corpus
from tests.formats.make_ort import network
from tests.formats.samples import all_samples
from tests.formats.samples_ort import node, session, value

READER = OrtReader()


def content(data: bytes) -> Content:
    return from_bytes("model.ort", data)


def read(name: str) -> Model:
    return READER.read(
        next(s for s in all_samples() if s.format == "ort" and s.name == name).content()
    )


def macs(model: Model) -> int | None:
    return summarise(model, model_sha256="0" * 64, size_bytes=1)[0].macs


def test_the_graph_is_the_one_of_the_onnx_file() -> None:
    onnx = readers()["onnx"].read(from_bytes("a.onnx", network().SerializeToString()))
    ort = read("plain")
    assert macs(ort) == macs(onnx) == 4068
    ours, theirs = ort.graphs[0], onnx.graphs[0]
    assert (ours.inputs, ours.outputs) == (theirs.inputs, theirs.outputs)
    for one, other in zip(ours.nodes, theirs.nodes, strict=True):
        assert (one.operator, one.inputs) == (other.operator, other.inputs)
        assert one.outputs == other.outputs
    for name, tensor in theirs.tensors.items():
        if tensor.data is not None:
            assert bytes(ours.tensors[name].read()) == bytes(tensor.read())
    assert ort.graphs[0].tensors["w2"].quantization == onnx.graphs[0].tensors["w2"].quantization


def test_the_library_s_fused_operators_have_their_onnx_meaning() -> None:
    model = read("optimised")
    fused = model.graphs[0].nodes[0]
    assert (fused.operator, fused.source_operator) == ("Conv", "FusedConv")
    assert fused.domain == "com.microsoft"
    assert fused.attributes["fused_activation"] == "Relu"
    assert macs(model) == 4068


def test_branches_see_the_outer_graph() -> None:
    model = read("plain")
    chosen = next(each for each in model.graphs[0].nodes if each.operator == "If")
    assert chosen.attributes["then_branch"] == GraphReference(1)
    assert model.graphs[1].parent == 0
    assert model.graphs[1].nodes[0].inputs == ("flat", "yes_w")


def test_nodes_stand_behind_those_that_they_need() -> None:
    graph = read("unsorted").graphs[0]
    assert [each.source_operator for each in graph.nodes] == ["Add", "Relu", "Special"]


def test_nodes_that_need_each_other_are_a_format_error() -> None:
    nodes = [node("Relu", ("b",), ("a",)), node("Relu", ("a",), ("b",))]
    graph = {1: [value("a", 1), value("b", 1)], 2: nodes, 6: ["a"]}
    with pytest.raises(FormatError, match="circle"):
        READER.read(content(session(graph)))


def test_attributes_and_rare_tensors_are_read() -> None:
    model = read("unsorted")
    graph = model.graphs[0]
    attributes = graph.nodes[2].attributes
    assert attributes["number"] == 0.5
    assert attributes["whole"] == -3
    assert attributes["text"] == "words"
    assert attributes["numbers"] == (0.5, 1.5)
    assert attributes["wholes"] == (1, 2)
    assert attributes["texts"] == ("a", "b")
    first, listed = attributes["tensor"], attributes["tensors[0]"]
    assert isinstance(first, Tensor)
    assert isinstance(listed, Tensor)
    assert first.array().tolist() == [1, 4]
    assert listed.array().tolist() == [1.5, 2.5]
    assert graph.tensors["w"].sparse
    assert graph.tensors["w"].array().tolist() == [0, 1.5, 0, 0, 2.5, 0]
    assert graph.tensors["labels"].dtype is DataType.STRING
    assert bytes(graph.tensors["labels"].read()) == b"\3\0\0\0cat\3\0\0\0dog"
    assert graph.tensors["x"].shape == ("n", 6)
    assert model.metadata == {"author": "nobody", "opset_import.ai.onnx": "17"}
    assert (model.format_version, model.producer) == ("6", "hand 1")


def test_a_file_without_a_graph_is_a_format_error() -> None:
    with pytest.raises(FormatError, match="without a version"):
        READER.read(content(session({2: [node("Relu", ("x",), ("y",))]}, version="")))


@needs_corpus
def test_no_other_real_file_is_taken_for_this_format() -> None:
    assert sorted(_corpus.claimed_by("ort")) == sorted(_corpus.paths("ort"))


@needs_corpus
def test_the_same_network_costs_the_same_in_every_form() -> None:
    names = ("mnist.basic", "mnist.basic.v4", "mnist")
    assert {macs(READER.read(_corpus.content(f"ort/{name}.ort"))) for name in names} == {786_560}
