"""The reader of Arm NN."""

import pytest

from gaugenn.analysis.summary import summarise
from gaugenn.content import from_bytes
from gaugenn.errors import FormatError, UnsupportedFormatError
from gaugenn.formats import read_model
from gaugenn.formats.armnn import ArmNnReader
from gaugenn.graph import DataType, Layout, Model, Node, Quantization
from tests.formats import samples_armnn as given
from tests.formats._flatbuffer_builder import Fields

READER = ArmNnReader()


def macs(model: Model) -> int | None:
    return summarise(model, model_sha256="0" * 64, size_bytes=1)[0].macs


def read(*layers: Fields, **more: int) -> Model:
    return READER.read(from_bytes("net.armnn", given.network(layers, **more)))


def node(kind: str, taken: Fields, made: Fields, descriptor: Fields, count: int = 1) -> Node:
    """One layer on as many inputs."""
    inputs = [given.layer(at, "Input", (), [taken]) for at in range(count)]
    sources = [(at, 0) for at in range(count)]
    last = given.layer(count, kind, sources, [made], {1: descriptor})
    return read(*inputs, last).graphs[0].nodes[0]


def test_a_network_has_onnx_operators_its_weights_and_costs() -> None:
    model = read_model(from_bytes("net.armnn", given.classifier()))
    graph = model.graphs[0]
    assert [each.operator for each in graph.nodes] == [
        *("Conv", "Clip", "Conv", "Add", "AveragePool", "Split", "Concat", "Reshape", "Gemm"),
        "Softmax",
    ]
    assert graph.layout is Layout.CHANNELS_LAST
    assert (graph.inputs, graph.outputs) == (("0",), ("14",))
    first, depthwise = graph.nodes[0], graph.nodes[2]
    assert first.attributes["pads"] == (1, 1, 0, 0)
    assert depthwise.attributes["group"] == depthwise.attributes["output_channels"] == 4
    assert graph.nodes[5].attributes == {"axis": 3, "split": (3, 1)}
    assert graph.nodes[6].inputs == ("9:1", "9")
    assert graph.tensors["1"].array().tolist() == given.weights(4, 3, 3, 3).tolist()
    assert macs(model) == 4 * 4 * 4 * 27 + 4 * 4 * 4 * 9 + 4 * 5


def test_an_older_file_has_its_weights_in_the_layer_and_no_identifier() -> None:
    data = given.quantised()
    assert READER.sniff("old.armnn", data)
    assert not READER.sniff("old.bin", data)
    model = READER.read(from_bytes("old.armnn", data))
    graph = model.graphs[0]
    first = graph.nodes[0]
    assert graph.layout is Layout.CHANNELS_FIRST
    assert first.inputs == ("0", "1/2", "1/3")
    assert (first.attributes["kernel_shape"], first.attributes["group"]) == ((3, 3), 3)
    weight = graph.tensors["1/2"]
    assert weight.dtype is DataType.INT8
    assert weight.array().reshape(-1).tolist() == list(range(-13, 14))
    assert graph.tensors["0"].quantization == Quantization(scales=(0.5,), zero_points=(3,))
    assert graph.tensors["1/3"].array().tolist() == [0, 1, 2]
    assert macs(model) == 4 * 4 * 3 * 9


def test_layers_have_onnx_attributes() -> None:
    data, made = given.info(1, 8, 8, 4), given.info(1, 16, 24, 4)
    sized = node("Resize", data, made, {0: ("u32", 16), 1: ("u32", 24), 2: ("i8", 1)})
    assert (sized.attributes["mode"], sized.attributes["sizes"]) == ("linear", (16, 24))
    assert sized.attributes["axes"] == (1, 2)
    order: Fields = {0: ("[u32]", (0, 3, 1, 2))}
    assert node("Transpose", data, made, order).attributes == {"perm": (0, 3, 1, 2)}
    assert node("Permute", data, made, order).attributes == {"perm": (0, 2, 3, 1)}
    assert node("ElementwiseBinary", data, made, {0: ("i8", 2)}, 2).operator == "Max"
    assert node("ElementwiseUnary", data, made, {0: ("i8", 3)}).operator == "Exp"
    assert node("Activation", data, made, {0: ("i8", 6), 1: ("f32", 0.5)}).attributes == {
        "alpha": 0.5
    }
    reduced = node("Reduce", data, made, {0: ("bool", 1), 1: ("[u32]", (1, 2)), 2: ("i8", 1)})
    assert (reduced.operator, reduced.attributes) == ("ReduceMax", {"axes": (1, 2), "keepdims": 1})
    cut = node("Slice", data, made, {0: ("[u32]", (0, 1)), 1: ("[u32]", (1, 3))})
    assert cut.attributes == {"starts": (0, 1), "ends": (1, 4)}
    padded = node("Pad", data, made, {0: ("[u32]", (0, 0, 1, 2))})
    assert padded.attributes == {"pads": (0, 1, 0, 2), "mode": "constant"}
    assert node("L2Normalization", data, made, {}).operator == ""


def test_a_network_that_contradicts_itself_is_refused() -> None:
    taken = given.layer(0, "Input", (), [given.info(1, 4)])
    with pytest.raises(FormatError, match="takes layer 7, which is not there"):
        read(taken, given.layer(1, "Floor", ((7, 0),), [given.info(1, 4)]))
    with pytest.raises(FormatError, match="layer 0 has no result 3"):
        read(taken, given.layer(1, "Floor", ((0, 3),), [given.info(1, 4)]))
    with pytest.raises(FormatError, match="each other's results"):
        read(
            given.layer(0, "Floor", ((1, 0),), [given.info(1)]),
            given.layer(1, "Floor", ((0, 0),), [given.info(1)]),
        )
    with pytest.raises(FormatError, match="two of one number"):
        read(taken, taken)
    unknown: Fields = {0: ("u8", 200), 1: {}}
    with pytest.raises(UnsupportedFormatError, match="unknown kind 200"):
        read(taken, unknown)
