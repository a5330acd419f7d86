"""The reader of MACE."""

import numpy as np
import pytest

from gaugenn.analysis.summary import summarise
from gaugenn.content import Content, from_bytes
from gaugenn.errors import FormatError
from gaugenn.formats import identify, read_model
from gaugenn.formats.mace import MaceReader
from gaugenn.graph import Layout, Model, Node
from gaugenn.records import FileKind
from tests.formats import samples_mace as given
from tests.formats.samples import Sample, all_samples

READER = MaceReader()
MACS = 4 * 4 * 4 * 27 + 4 * 4 * 4 * 9 + 5 * 32


def sample(name: str) -> Sample:
    return next(s for s in all_samples() if (s.format, s.name) == ("mace", name))


def macs(model: Model) -> int | None:
    return summarise(model, model_sha256="0" * 64, size_bytes=1)[0].macs


def node(kind: str, count: int = 1, **arguments: given.Value) -> Node:
    """One operator on as many inputs."""
    names = "abcdef"[:count]
    net = given.operator(kind, " ".join(names), "z", 1, **arguments)
    net += b"".join(given.info(100, name, 1, 8, 8, 4) for name in names)
    return READER.read(from_bytes("net.pb", net)).graphs[0].nodes[0]


def test_a_net_has_onnx_operators_its_constants_and_costs() -> None:
    model = read_model(sample("pair").content())
    graph = model.graphs[0]
    assert [each.operator for each in graph.nodes] == [
        *("Conv", "Conv", "Add", "", "Concat", "MaxPool", "Gemm", "Softmax"),
    ]
    first, depthwise = graph.nodes[:2]
    assert (first.attributes["fused_activation"], first.attributes["fused_max"]) == ("Clip", 6.0)
    assert (depthwise.attributes["group"], depthwise.attributes["pads"]) == (4, (1, 1, 1, 1))
    assert (graph.layout, graph.inputs) == (Layout.CHANNELS_LAST, ("mace_input_node_image",))
    assert graph.tensors["dw"].array()[0, 0, 0, 0] == 112
    assert graph.tensors["fw"].array().shape == (5, 32)
    assert macs(model) == MACS


def test_a_net_without_its_constants_costs_the_same() -> None:
    model = read_model(sample("alone").content())
    assert model.notes == ("weights-absent",)
    assert macs(model) == MACS


def test_several_nets_of_one_file_are_graphs() -> None:
    model = read_model(sample("several").content())
    first, second = model.graphs
    assert (first.layout, second.layout) == (Layout.CHANNELS_FIRST, Layout.CHANNELS_LAST)
    assert first.tensors["to"].array().tolist() == [0, -1]
    assert first.tensors["w"].array().reshape(-1).tolist() == list(range(6))
    assert second.tensors["w"].array()[0, 0, 0, 1] == 1
    assert macs(model) == 4 * 4 * 2 * 3


def test_constants_are_told_to_be_those_of_the_net_beside_them() -> None:
    held = {"net.pb": given.net(), "net.data": given.data()}

    def neighbours(name: str) -> Content | None:
        return from_bytes(name, held[name], neighbours) if name in held else None

    found = identify(from_bytes("net.data", held["net.data"], neighbours))
    assert (found.kind, found.formats) == (FileKind.WEIGHTS, ("mace",))
    held["net.data"] = held["net.data"][:-4]
    with pytest.raises(FormatError, match="constants of another net"):
        READER.read(from_bytes("net.pb", held["net.pb"], neighbours))


def test_operators_have_onnx_attributes() -> None:
    leaky = node("Activation", activation="LEAKYRELU", activation_coefficient=0.5)
    assert (leaky.operator, leaky.attributes) == ("LeakyRelu", {"alpha": 0.5})
    assert node("Activation", activation="RELUX", max_limit=6.0).attributes["max"] == 6.0
    pool = node("Pooling", pooling_type=1, kernels=(3, 3), strides=(2, 2), padding=1, round_mode=1)
    assert pool.operator == "AveragePool"
    assert (pool.attributes["auto_pad"], pool.attributes["ceil_mode"]) == ("SAME_UPPER", 1)
    assert node("Eltwise", 2, type=5).operator == "Max"
    assert node("Eltwise", type=7).operator == "Abs"
    reduced = node("Reduce", reduce_type=0, axis=(1, 2), keepdims=1)
    assert (reduced.operator, reduced.attributes) == ("ReduceMean", {"axes": (1, 2), "keepdims": 1})
    sized = node("ResizeBilinear", size=(16, 24), align_corners=1)
    assert (sized.attributes["sizes"], sized.attributes["axes"]) == ((16, 24), (1, 2))
    assert node("Transpose", dims=(0, 3, 1, 2)).attributes == {"perm": (0, 3, 1, 2)}
    assert node("Split", axis=3, num_split=2).attributes == {"axis": 3, "num_outputs": 2}
    assert node("MatMul", 2, transpose_b=1).attributes == {"transB": 1}
    assert node("Pad", paddings=(0, 0, 1, 2, 1, 2, 0, 0)).attributes["pads"] == (
        *(0, 1, 1, 0),
        *(0, 2, 2, 0),
    )


def test_quantised_constants_have_their_scale() -> None:
    head = given.number(1, 2) + given.number(2, 2) + given.text(5, "w")
    held = given.fixed32(8, 0.5) + given.number(9, 7) + given.number(12, 1)
    values = given.block(4, b"\3\4")
    net = given.operator("BiasAdd", "a w", "z", 2) + given.block(3, head + values + held)
    weight = READER.read(from_bytes("net.pb", net)).graphs[0].tensors["w"]
    np.testing.assert_array_equal(weight.array(), np.array([3, 4], dtype="u1"))
    assert weight.quantization is not None
    assert (weight.quantization.scales, weight.quantization.zero_points) == ((0.5,), (7,))


def test_other_messages_are_not_claimed() -> None:
    other = given.operator("Convolution", "a", "b")
    assert not READER.sniff("net.pb", other)
    assert not READER.sniff("net.pb", given.text(1, "net") + given.block(2, other))
