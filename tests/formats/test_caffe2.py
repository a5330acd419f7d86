"""The reader of Caffe2."""

import numpy as np
import pytest

from gaugenn.analysis.summary import summarise
from gaugenn.content import Content, from_bytes
from gaugenn.errors import FormatError
from gaugenn.formats import identify, read_model
from gaugenn.formats.caffe2 import Caffe2Reader
from gaugenn.graph import Model, Node
from gaugenn.records import FileKind
from tests.formats import samples_caffe2 as given
from tests.formats._protobuf_builder import block, fixed32, number, varint
from tests.formats.samples import Sample, all_samples

READER = Caffe2Reader()


def sample(name: str) -> Sample:
    return next(s for s in all_samples() if (s.format, s.name) == ("caffe2", name))


def macs(model: Model) -> int | None:
    return summarise(model, model_sha256="0" * 64, size_bytes=1)[0].macs


def node(kind: str, weight: tuple[int, ...], **arguments: given.Value) -> Node:
    """One operator on `data` and, where it has a shape, a weight."""
    names = "data w" if weight else "data"
    net = given.operator(kind, names, "z", **arguments)
    net += b"".join(given.text(7, name) for name in names.split())
    held = {"init_net.pb": given.fill("w", *weight)} if weight else {}

    def neighbours(name: str) -> Content | None:
        return from_bytes(name, held[name]) if name in held else None

    return READER.read(from_bytes("predict_net.pb", net, neighbours)).graphs[0].nodes[0]


def test_a_net_has_onnx_operators_its_weights_and_costs() -> None:
    model = read_model(sample("pair").content())
    graph = model.graphs[0]
    assert [each.operator for each in graph.nodes] == [
        *("Conv", "Relu", "Conv", "BatchNormalization", "", "Concat", "AveragePool"),
        *("Reshape", "Gemm", "Softmax"),
    ]
    assert (graph.inputs, graph.outputs) == (("data",), ("prob",))
    assert graph.tensors["data"].shape == (1, 3, 8, 8)
    assert model.companions == ("init_net.pb",)
    assert [each.outputs[0] for each in graph.nodes[:5]] == ["x#1", "x", "y#1", "y#2", "y"]
    assert macs(model) == 4 * 4 * 4 * 27 + 4 * 4 * 4 * 9 + 32 * 5


def test_weights_are_what_the_other_net_fills() -> None:
    tensors = read_model(sample("pair").content()).graphs[0].tensors
    expected = np.random.default_rng(1).normal(size=108).astype("<f4")
    np.testing.assert_array_equal(tensors["w"].array().reshape(-1), expected)
    assert tensors["fb"].array().tolist() == [0.5] * 5
    assert tensors["to"].array().tolist() == [-1, 32]


def test_numbers_that_are_packed_are_the_same() -> None:
    values = np.arange(4, dtype="<f4")
    packed = block(5, given.text(1, "values") + block(5, values.tobytes()))
    net = given.operator("GivenTensorFill", "", "w", packed, shape=(4,))
    whole = block(5, given.text(1, "values") + block(6, b"".join(varint(i) for i in range(3))))
    net += given.operator("GivenTensorIntFill", "", "i", whole, shape=(3,))
    text = block(5, given.text(1, "values") + block(7, b"\1\2"))
    net += given.operator("GivenTensorByteStringToUInt8Fill", "", "u", text, shape=(2,))
    model = READER.read(from_bytes("init_net.pb", net))
    assert model.notes == ("weights-only",)
    found = {name: tensor.array().tolist() for name, tensor in model.graphs[0].tensors.items()}
    assert found == {"w": [0, 1, 2, 3], "i": [0, 1, 2], "u": [1, 2]}


def test_the_net_that_fills_is_told_to_be_the_weights_of_the_other() -> None:
    held = {"a_predict_net.pb": given.predict(), "a_init_net.pb": given.init()}

    def neighbours(name: str) -> Content | None:
        return from_bytes(name, held[name], neighbours) if name in held else None

    found = identify(from_bytes("a_init_net.pb", held["a_init_net.pb"], neighbours))
    assert (found.kind, found.reason) == (FileKind.WEIGHTS, "weights of a_predict_net.pb")
    alone = identify(from_bytes("a_init_net.pb", held["a_init_net.pb"]))
    assert (alone.kind, alone.formats) == (FileKind.MODEL, ("caffe2",))


def test_without_its_weights_a_net_keeps_its_operators() -> None:
    model = read_model(sample("alone").content())
    assert model.notes == ("weights-absent",)
    assert [each.operator for each in model.graphs[0].nodes][:4] == [
        *("", "Relu", "", "BatchNormalization"),
    ]
    assert model.graphs[0].nodes[0].source_operator == "Conv"


def test_operators_have_onnx_attributes() -> None:
    quantised = node("Int8ConvRelu", (8, 3, 3, 2), kernel=3, order="NHWC", group=2)
    assert quantised.operator == "Conv"
    assert quantised.attributes["fused_activation"] == "Relu"
    assert (quantised.attributes["channels_last"], quantised.attributes["group"]) == (1, 2)
    upward = node("ConvTranspose", (6, 4, 2, 2), kernel=2, stride=2)
    assert (upward.operator, upward.attributes["output_channels"]) == ("ConvTranspose", 4)
    pool = node("MaxPool", (), kernel=3, stride_h=2, stride_w=1, pad_t=1, pad_l=2)
    assert pool.attributes["strides"] == (2, 1)
    assert pool.attributes["pads"] == (1, 2, 0, 0)
    assert node("AveragePool", (), global_pooling=1).operator == "GlobalAveragePool"
    assert node("Transpose", (), axes=(0, 2, 1)).attributes == {"perm": (0, 2, 1)}
    assert node("Split", (), axis=1).attributes == {"axis": 1, "num_outputs": 1}
    sized = node("ResizeNearest", (), width_scale=2.0, height_scale=3.0)
    assert sized.attributes["scales"] == (3.0, 2.0)
    added = node("Add", (3,), broadcast=1, axis=1)
    assert added.attributes == {"broadcast": 1, "axis": 1}


def test_an_impossible_fill_is_refused() -> None:
    with pytest.raises(FormatError, match="sizes"):
        READER.read(from_bytes("a.pb", given.operator("ConstantFill", "", "x", shape=(-1,))))
    short = block(5, given.text(1, "values") + fixed32(5, 1.0))
    net = given.operator("GivenTensorFill", "", "x", short, shape=(2,))
    with pytest.raises(FormatError, match="needs 8 bytes"):
        READER.read(from_bytes("a.pb", net))


def test_other_messages_are_not_claimed() -> None:
    caffe = block(2, given.text(2, "a") + given.text(3, "b") + given.text(4, "c") + number(5, 4))
    assert not READER.sniff("a.caffemodel", given.text(1, "net") + caffe)
    assert not READER.sniff("a.pb", given.operator("lowercase", "a", "b"))
