"""The readers of Paddle and Paddle-Lite."""

import numpy as np
import pytest

from gaugenn.analysis.summary import summarise
from gaugenn.content import from_bytes
from gaugenn.errors import FormatError, UnsupportedFormatError
from gaugenn.formats import identify, read_model
from gaugenn.formats.paddle import PaddleReader
from gaugenn.formats.paddle_lite import PaddleLiteReader
from gaugenn.graph import DataType, GraphReference, Model, Node
from gaugenn.records import FileKind
from tests.formats import samples_paddle as paddle
from tests.formats import samples_paddle_lite as lite
from tests.formats._protobuf_builder import block, number
from tests.formats.samples import Sample, all_samples

READER = PaddleReader()


def sample(name: str, format_: str = "paddle") -> Sample:
    return next(s for s in all_samples() if (s.format, s.name) == (format_, name))


def macs(model: Model) -> int | None:
    return summarise(model, model_sha256="0" * 64, size_bytes=1)[0].macs


def node(kind: str, inputs: str, *dims: tuple[int, ...], **attributes: paddle.Value) -> Node:
    """One operator that takes variables `a`, `b`, ... of these sizes and makes `z`."""
    names = "abcdef"[: len(dims)]
    data = paddle.program(
        *(paddle.variable(name, size) for name, size in zip(names, dims, strict=True)),
        paddle.variable("z", (1,)),
        paddle.operator(kind, inputs, "Out=z", **attributes),
    )
    model = READER.read(from_bytes("__model__", data))
    assert model.graphs[0].inputs == tuple(names)
    return model.graphs[0].nodes[-1]


def test_a_program_that_paddle_saved_has_onnx_operators_shapes_and_weights() -> None:
    model = READER.read(sample("saved").content())
    graph = model.graphs[0]
    assert (model.format_version, model.companions) == ("3.3.1", ("net.pdiparams",))
    assert (graph.inputs, graph.tensors["image"].shape) == (("image",), ("?", 3, 32, 32))
    assert [n.operator for n in graph.nodes if n.operator not in ("Add", "Reshape")] == [
        *("Conv", "BatchNormalization", "Clip", "Conv", "HardSwish", "MaxPool"),
        *("GlobalAveragePool", "Conv", "HardSigmoid", "Mul", "Resize", "ConvTranspose"),
        *("Concat", "GlobalAveragePool", "Flatten", "MatMul", "Softmax"),
    ]
    assert graph.tensors["conv2d_0.w_0"].array().std() > 0
    first = 16 * 16 * 8 * 27 + 16 * 16 * 8 * 9  # a convolution and a depthwise one
    assert macs(model) == first + 8 * 8 + 16 * 16 * 8 * 4 * 4 + 8 * 10


def test_a_variable_that_is_written_again_keeps_its_name_for_the_last_value() -> None:
    graph = READER.read(sample("together").content()).graphs[0]
    assert [n.outputs for n in graph.nodes] == [("x#1",), ("x#2",), ("x",), ("y",)]
    assert [n.operator for n in graph.nodes] == ["Conv", "PRelu", "", "Gemm"]
    assert graph.nodes[2].attributes["factor"] == 0.5
    assert graph.outputs == ("y",)


@pytest.mark.parametrize("name", ["together", "each-its-own"])
def test_values_belong_to_their_variables_however_they_are_stored(name: str) -> None:
    model = READER.read(sample(name).content())
    tensors = model.graphs[0].tensors
    for variable, value in paddle.VALUES.items():
        np.testing.assert_array_equal(tensors[variable].array(), value)
    assert macs(model) == 4 * 4 * 4 * 27 + 64 * 5


def test_values_are_told_to_be_the_weights_of_the_program_beside_them() -> None:
    held = {"__model__": paddle.by_hand(), "__params__": paddle.together()}
    held |= {"fc_0.w_0": paddle.stream(paddle.random(3))}

    def neighbours(name: str) -> object:
        return from_bytes(name, held[name], neighbours) if name in held else None  # type: ignore[arg-type]

    beside = from_bytes("__params__", held["__params__"], neighbours)  # type: ignore[arg-type]
    found = identify(beside)
    assert (found.kind, found.reason) == (FileKind.WEIGHTS, "weights of __model__")
    alone = identify(from_bytes("__params__", held["__params__"]))
    assert (alone.kind, alone.formats) == (FileKind.MODEL, ("paddle",))
    stranger = from_bytes("fc_0.w_0", held["fc_0.w_0"], neighbours)  # type: ignore[arg-type]
    assert identify(stranger).kind is FileKind.MODEL


def test_values_of_another_program_are_refused() -> None:
    held = Sample(
        name="x",
        format="paddle",
        source=paddle.by_hand,
        file_name="__model__",
        neighbours={"__params__": paddle.together() + paddle.stream(paddle.random(2))},
    )
    with pytest.raises(FormatError, match="4 values for 3 variables"):
        READER.read(held.content())
    swapped = paddle.stream(paddle.random(4)) * 3
    with pytest.raises(FormatError, match="weights of another program"):
        READER.read(from_bytes("__model__", paddle.by_hand(), lambda n: from_bytes(n, swapped)))


def test_a_program_without_values_knows_the_shapes_of_its_weights() -> None:
    model = READER.read(from_bytes("net.pdmodel", paddle.by_hand() + paddle.VERSION))
    assert (model.notes, model.format_version) == (("weights-absent",), "2.6.1")
    assert model.graphs[0].tensors["matrix"].shape == (64, 5)
    assert macs(model) == 4 * 4 * 4 * 27 + 64 * 5


def test_operators_have_onnx_attributes() -> None:
    data = (2, 3, 8, 8)
    pool = node("pool2d", "X=a", data, pooling_type="avg", ksize=(3, 3), strides=(2, 2),
                paddings=(0, 1), exclusive=False)  # fmt: skip
    assert pool.operator == "AveragePool"
    assert (pool.attributes["pads"], pool.attributes["count_include_pad"]) == ((0, 1, 0, 1), 1)
    aligned = node("elementwise_add", "X=a Y=b", data, (3,), axis=1)
    assert aligned.attributes == {"broadcast": 1, "axis": 1}
    assert node("matmul", "X=a Y=b", (2, 3), (4, 3), transpose_Y=True).attributes == {"transB": 1}
    assert node("split", "X=a", data, axis=1, num=3).attributes == {"axis": 1, "num_outputs": 1}
    cut = node("slice", "Input=a", data, axes=(2,), starts=(0,), ends=(4,))
    assert cut.attributes == {"axes": (2,), "starts": (0,), "ends": (4,)}
    padded = node("pad2d", "X=a", data, paddings=(1, 2, 3, 4), mode="reflect")
    assert padded.attributes == {"pads": (0, 0, 1, 3, 0, 0, 2, 4), "mode": "reflect"}
    sized = node("bilinear_interp_v2", "X=a", data, out_h=16, out_w=24, align_corners=False,
                 align_mode=0)  # fmt: skip
    assert sized.attributes["sizes"] == (16, 24)
    assert sized.attributes["coordinate_transformation_mode"] == "half_pixel"
    assert node("reduce_mean", "X=a", data, dim=(2, 3), keep_dim=True).attributes == {
        "axes": (2, 3),
        "keepdims": 1,
    }
    assert node("lookup_table_v2", "Ids=b W=a", (9, 4), (2, 3)).inputs == ("a", "b")
    assert node("cast", "X=a", data, in_dtype=5, out_dtype=3).attributes == {"to": "int64"}
    joined = node("concat", "X=a,b", data, data, axis=1)
    assert (joined.operator, joined.inputs) == ("Concat", ("a", "b"))


def test_what_a_branch_runs_is_a_graph_that_sees_the_one_around_it() -> None:
    branch = paddle.text(1, "sub_block") + number(2, 8) + number(12, 1)
    call = paddle.operator("conditional_block", "Cond=c Input=a", "Out=z")
    call = block(4, _inner(call) + block(4, branch))
    outer = (paddle.variable("a", (2,)), paddle.variable("c", (1,), element=0))
    data = paddle.program(*outer, paddle.variable("z", (2,)), call)
    inner = paddle.operator("relu", "X=a", "Out=z")
    data += block(1, number(1, 1) + number(2, 0) + inner)
    model = READER.read(from_bytes("__model__", data))
    assert model.graphs[1].parent == 0
    assert model.graphs[1].nodes[0].inputs == ("a",)
    assert model.graphs[0].nodes[0].attributes == {"then_branch": GraphReference(1)}
    itself = data.replace(number(12, 1), number(12, 0))
    with pytest.raises(FormatError, match="runs block 0"):
        READER.read(from_bytes("__model__", itself))


def _inner(field: bytes) -> bytes:
    """The message inside a field whose length takes one byte."""
    return field[2:]


def test_the_json_of_paddle_3_is_recognised_and_refused() -> None:
    data = b'{"base_code":{"magic":"pir","trainable":false,"version":1},"program":{"regions":[]}}'
    assert READER.sniff("inference.json", data)
    with pytest.raises(UnsupportedFormatError, match="PIR"):
        read_model(from_bytes("inference.json", data))


def test_an_optimised_model_has_its_fused_activations_and_values() -> None:
    model = read_model(sample("optimised", "paddle_lite").content())
    graph = model.graphs[0]
    first, last = graph.nodes
    assert model.producer == "Paddle-Lite v2.14-rc"
    assert (first.operator, first.attributes["fused_activation"]) == ("Conv", "Clip")
    assert first.attributes["fused_max"] == 6.0
    assert last.operator == "Gemm"
    assert last.attributes == {"fused_activation": "Relu", "keep_num_dims": 0}
    assert graph.tensors["filter"].dtype is DataType.INT8
    assert graph.tensors["matrix"].array().shape == (64, 5)
    assert (graph.inputs, graph.outputs) == (("data",), ("y",))
    assert macs(model) == 4 * 4 * 4 * 27 + 64 * 5


def test_an_older_optimised_model_is_recognised_and_refused() -> None:
    content = from_bytes("net.nb", lite.model(version=1, label=b"v2.3.0"))
    assert PaddleLiteReader().sniff("net.nb", content.head(4096))
    with pytest.raises(UnsupportedFormatError, match="version 1"):
        PaddleLiteReader().read(content)
