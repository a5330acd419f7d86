"""The reader of MXNet."""

import struct

import numpy as np
import pytest

from gaugenn.analysis.summary import summarise
from gaugenn.content import Content, from_bytes
from gaugenn.errors import FormatError, UnsupportedFormatError
from gaugenn.formats import identify, read_model
from gaugenn.formats._mxnet_operators import parsed
from gaugenn.formats.mxnet import MxnetReader
from gaugenn.graph import DataType, Model, Node
from gaugenn.records import FileKind
from tests.formats import samples_mxnet as given
from tests.formats.samples import Sample, all_samples

READER = MxnetReader()


def sample(name: str) -> Sample:
    return next(s for s in all_samples() if (s.format, s.name) == ("mxnet", name))


def macs(model: Model) -> int | None:
    return summarise(model, model_sha256="0" * 64, size_bytes=1)[0].macs


def node(op: str, count: int = 1, **attrs: str) -> Node:
    """One operator on as many inputs."""
    nodes = [given.node("null", name) for name in "abcdef"[:count]]
    nodes.append(given.node(op, "z", [(at, 0, 0) for at in range(count)], **attrs))
    model = READER.read(from_bytes("a.json", given.symbol(nodes, ((count, 0, 0),))))
    return model.graphs[0].nodes[-1]


def test_a_graph_has_onnx_operators_its_arrays_and_costs() -> None:
    model = read_model(sample("pair").content())
    graph = model.graphs[0]
    assert [each.operator for each in graph.nodes] == [
        *("Conv", "BatchNormalization", "Relu", "Split", "Concat", "", "GlobalAveragePool"),
        *("Gemm", "Softmax"),
    ]
    assert (model.format_version, model.companions) == ("1.9.1", ("net-0003.params",))
    assert (graph.inputs, graph.outputs) == (("data",), ("softmax",))
    assert graph.nodes[3].outputs == ("halves", "halves:1")
    assert graph.nodes[4].inputs == ("halves:1", "halves")
    assert macs(model) == 4 * 4 * 4 * 27 + 4 * 5
    expected = given.weights()["arg:conv_weight"]
    np.testing.assert_array_equal(graph.tensors["conv_weight"].array(), expected)


def test_a_graph_alone_counts_what_it_can_without_its_arrays() -> None:
    model = read_model(sample("alone").content())
    assert model.notes == ("weights-absent",)
    assert "softmax_label" not in model.graphs[0].tensors
    assert model.graphs[0].inputs == ("data",)
    assert model.graphs[0].nodes[0].attributes["output_channels"] == 4


def test_arrays_are_told_to_be_those_of_the_graph_beside_them() -> None:
    held = {"net-symbol.json": given.network(), "net-0003.params": given.arrays(given.weights())}

    def neighbours(name: str) -> Content | None:
        return from_bytes(name, held[name], neighbours) if name in held else None

    found = identify(from_bytes("net-0003.params", held["net-0003.params"], neighbours))
    assert (found.kind, found.reason) == (FileKind.WEIGHTS, "weights of net-symbol.json")
    alone = read_model(from_bytes("net-0003.params", held["net-0003.params"]))
    assert alone.notes == ("weights-only",)
    assert set(alone.graphs[0].tensors) == {name[4:] for name in given.weights()}


@pytest.mark.parametrize("version", [0, 1, 2, 3])
def test_arrays_of_every_version_are_the_same(version: int) -> None:
    values = {"a": np.arange(6, dtype="<i4").reshape(2, 3), "b": np.ones(3, dtype="<f2")}
    tensors = read_model(from_bytes("x.params", given.arrays(values, version))).graphs[0].tensors
    assert (tensors["a"].dtype, tensors["b"].dtype) == (DataType.INT32, DataType.FLOAT16)
    for name, value in values.items():
        np.testing.assert_array_equal(tensors[name].array(), value)


def test_operators_have_onnx_attributes() -> None:
    pool = node("Pooling", kernel="(3, 3)", stride="(2, 2)", pooling_convention="full")
    assert pool.operator == "MaxPool"
    assert (pool.attributes["ceil_mode"], pool.attributes["strides"]) == (1, (2, 2))
    dense = node("FullyConnected", 2, num_hidden="9", flatten="False")
    assert dense.attributes == {"transB": 1, "keep_num_dims": 1}
    assert node("LeakyReLU", 2, act_type="prelu").operator == "PRelu"
    assert node("LeakyReLU", act_type="elu", slope="1").attributes == {"alpha": 1.0}
    assert node("Reshape", shape="(0, -1)").attributes == {"shape": (0, -1)}
    assert node("Reshape", shape="(-3, 0)").operator == ""
    assert node("mean", axis="(2, 3)", keepdims="True").attributes == {
        "axes": (2, 3),
        "keepdims": 1,
    }
    assert node("slice_axis", axis="1", begin="2", end="None").attributes["ends"] == (2**31 - 1,)
    assert node("Embedding", 2, input_dim="9", output_dim="4").inputs == ("b", "a")
    upward = node(
        "Deconvolution", 2, kernel="(2, 2)", stride="(2, 2)", num_filter="6", adj="(1, 1)"
    )
    assert (upward.operator, upward.attributes["output_padding"]) == ("ConvTranspose", (1, 1))
    padded = node("Pad", mode="edge", pad_width="(0, 0, 0, 0, 1, 2, 3, 4)")
    assert padded.attributes == {"pads": (0, 0, 1, 3, 0, 0, 2, 4), "mode": "edge"}
    unknown = node("_contrib_MultiBoxPrior", sizes="[0.1, 0.2]", clip="True")
    assert (unknown.operator, unknown.attributes["clip"]) == ("", True)


def test_attributes_are_what_their_texts_spell() -> None:
    assert parsed("(3L, 4)") == (3, 4)
    assert parsed("()") == ()
    assert (parsed("1e-05"), parsed("2"), parsed("None")) == (1e-5, 2, "None")


def test_a_graph_of_tvm_is_recognised_and_refused() -> None:
    nodes = [
        given.node("null", "data"),
        given.node("tvm_op", "fused", ((0, 0, 0),), func_name="fused_add"),
    ]
    data = given.symbol(nodes, ((1, 0, 0),))
    assert READER.sniff("graph.json", data)
    with pytest.raises(UnsupportedFormatError, match="TVM"):
        READER.read(from_bytes("graph.json", data))


@pytest.mark.parametrize(
    ("inputs", "words"),
    [(((5, 0, 0),), "takes result 0 of node 5"), (((0, 9999, 0),), "takes result 9999 of node 0")],
)
def test_a_graph_that_contradicts_itself_is_refused(
    inputs: tuple[tuple[int, ...], ...], words: str
) -> None:
    nodes = [given.node("null", "data"), given.node("Flatten", "x", inputs)]
    with pytest.raises(FormatError, match=words):
        READER.read(from_bytes("a.json", given.symbol(nodes, ((1, 0, 0),))))


def test_sparse_and_impossible_arrays_are_refused() -> None:
    data = given.arrays({"a": np.ones(3, dtype="<f4")})
    sparse = data[:28] + struct.pack("<i", 1) + data[32:]
    with pytest.raises(UnsupportedFormatError, match="sparse"):
        READER.read(from_bytes("a.params", sparse))
    huge = data[:16] + struct.pack("<Q", 1 << 60) + data[24:]
    with pytest.raises(FormatError, match="are the most"):
        READER.read(from_bytes("a.params", huge))
