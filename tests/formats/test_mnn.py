"""The MNN reader: every form of weights, control flow, and real files."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from gaugenn.analysis.summary import summarise
from gaugenn.content import Content, from_bytes
from gaugenn.errors import FormatError
from gaugenn.formats import HEAD_BYTES
from gaugenn.formats.mnn import MnnReader
from gaugenn.graph import DataType, GraphReference, LazyBytes, Model, Tensor, TensorKind
from gaugenn.records import ModelRecord
from tests.formats import _corpus
from tests.formats._corpus import needs_corpus
from tests.formats.samples import Sample, all_samples
from tests.formats.samples_mnn import Net, floats, sizes

READER = MnnReader()
WEIGHTS = ("conv/weight", "deep/weight", "point/weight", "up/weight", "y__matmul_converted/weight")


def sample(name: str) -> Sample:
    return next(s for s in all_samples() if s.format == "mnn" and s.name == name)


def read(name: str) -> Model:
    return READER.read(sample(name).content())


def content(data: bytes) -> Content:
    return sample("stripped").content(data)


def record(model: Model) -> ModelRecord:
    return summarise(model, model_sha256="0" * 64, size_bytes=1)[0]


def real_values(tensor: Tensor) -> npt.NDArray[np.float64]:
    """The numbers that a quantised tensor stands for."""
    stored = tensor.array().astype(np.float64)
    quantization = tensor.quantization
    if quantization is None:
        return stored
    scales = np.array(quantization.scales)
    zeros = np.array(quantization.zero_points or [0] * len(scales))
    rows = stored.reshape(len(scales), -1)
    return ((rows - zeros[:, None]) * scales[:, None]).reshape(stored.shape)


@pytest.mark.parametrize(
    ("name", "dtype", "steps"),
    [
        ("half", DataType.FLOAT16, 0.0),
        ("int8", DataType.INT8, 1.01),
        ("int8_symmetric", DataType.INT8, 0.51),
        ("int4", DataType.INT4, 1.01),
        ("int3", DataType.INT8, 1.01),
        ("external", DataType.FLOAT32, 0.0),
        ("external_int4", DataType.INT4, 1.01),
    ],
)
def test_compressed_weights_are_the_float_ones_to_within_a_step(
    name: str, dtype: DataType, steps: float
) -> None:
    exact = read("converted_float").graphs[0].tensors
    found = read(f"converted_{name}").graphs[0].tensors
    for weight in WEIGHTS:
        assert found[weight].dtype is dtype
        assert found[weight].shape == exact[weight].shape
        quantization = found[weight].quantization
        step = 0.002 if quantization is None else steps * max(quantization.scales)
        difference = np.abs(real_values(found[weight]) - exact[weight].array())
        assert difference.max() <= step


def test_four_bit_weights_take_half_a_byte() -> None:
    weight = read("converted_int4").graphs[0].tensors["conv/weight"]
    assert isinstance(weight.data, LazyBytes)
    assert weight.data.size_bytes == 8 * 27 // 2
    assert weight.array().min() >= -8


def test_every_form_of_weights_costs_the_same() -> None:
    costs = {
        (record(read(f"converted_{name}")).macs, record(read(f"converted_{name}")).parameters)
        for name in ("float", "half", "int8", "int4", "external")
    }
    assert costs == {(43_028, 733)}


def test_a_missing_weights_file_is_noted_and_the_shapes_stay() -> None:
    alone = replace(sample("converted_external"), neighbours={})
    model = READER.read(alone.content())
    assert "weights-absent" in model.notes
    assert model.companions == ()
    weight = model.graphs[0].tensors["conv/weight"]
    assert (weight.shape, weight.data, weight.kind) == ((8, 3, 3, 3), None, TensorKind.CONSTANT)
    assert record(model).macs == 43_028


def test_the_weights_file_is_a_companion() -> None:
    content = sample("converted_external").content()
    assert READER.read(content).companions == ("external.mnn.weight",)
    assert [file.name for file in READER.companions(content)] == ["external.mnn.weight"]


def test_a_weights_file_that_is_too_short_is_a_format_error() -> None:
    whole = sample("converted_external")
    cut = {name: data[:-8] for name, data in whole.neighbours.items()}
    with pytest.raises(FormatError, match="leave the weights file"):
        READER.read(replace(whole, neighbours=cut).content())


def test_sparse_weights_unfold() -> None:
    tensors = read("sparse").graphs[0].tensors
    first, second = tensors["a/weight"], tensors["b/weight"]
    assert first.sparse
    assert second.sparse
    assert first.array().reshape(-1).tolist() == [0, 0, 5, -3, 0, 0, 0, 0]
    assert second.array().reshape(-1).tolist() == [0, 1.5, 0, 0, 0, 0, 2.5, 0]
    assert first.quantization is not None
    assert first.quantization.scales == (0.5,) * 4


def test_the_requantised_form_keeps_int8_weights_and_the_scales_of_its_borders() -> None:
    graph = read("requantized").graphs[0]
    assert [node.operator for node in graph.nodes] == [
        "QuantizeLinear",
        "Conv",
        "DequantizeLinear",
        "Softmax",
    ]
    assert graph.nodes[1].inputs == ("q", "c/weight", "c/bias", "c/scale")
    assert graph.tensors["c/weight"].dtype is DataType.INT8
    assert graph.tensors["c/bias"].dtype is DataType.INT32
    for name, scale in (("q", 0.25), ("c", 0.5)):
        quantization = graph.tensors[name].quantization
        assert graph.tensors[name].dtype is DataType.INT8
        assert quantization is not None
        assert quantization.scales == (scale,)


def test_layers_have_their_weights_as_inputs() -> None:
    graph = read("layers").graphs[0]
    found = {node.source_operator: (node.operator, node.inputs[1:]) for node in graph.nodes}
    assert found["BatchNorm"] == (
        "BatchNormalization",
        ("bn/slope", "bn/bias", "bn/mean", "bn/variance"),
    )
    assert found["Scale"] == ("BatchNormalization", ("sc/scale", "sc/bias"))
    assert found["PReLU"] == ("PRelu", ("pr/slope",))
    assert found["InnerProduct"] == ("Gemm", ("fc/weight", "fc/bias"))
    assert found["LayerNorm"] == ("LayerNormalization", ("ln/gamma", "ln/beta"))
    assert found["UnaryOp"] == ("Swish", ())
    assert graph.nodes[6].attributes == {"fused_activation": "Relu"}
    assert graph.nodes[5].attributes == {"perm": (0, 2, 3, 1)}
    assert record(read("layers")).uncounted_nodes == 0


def test_rare_layers_have_their_weights_as_inputs() -> None:
    graph = read("rare").graphs[0]
    volume, old, group, fused, recurrent = graph.nodes
    assert (volume.operator, volume.attributes["kernel_shape"]) == ("Conv", (3, 3, 3))
    assert graph.tensors["v/weight"].shape == (4, 2, 3, 3, 3)
    assert old.operator == "Conv"
    quantization = graph.tensors["t/weight"].quantization
    assert quantization is not None
    assert (quantization.scales, quantization.zero_points) == ((0.25,), (128,))
    assert (group.operator, group.attributes["num_groups"]) == ("GroupNormalization", 2)
    assert fused.inputs == ("image", "f/0/weight", "f/0/bias", "f/1/weight", "f/1/bias")
    assert fused.operator == ""
    assert recurrent.operator == "GRU"
    assert recurrent.attributes["hidden_size"] == 3
    assert recurrent.inputs[:7] == ("steps", *[""] * 5, "r/fwGateWeight")
    assert record(read("rare")).uncounted_nodes <= 2


def test_loops_and_branches_refer_to_their_sub_graphs() -> None:
    model = read("control_flow")
    assert [graph.name for graph in model.graphs] == ["", "condition", "body", "plus", "minus"]
    loop, branch = model.graphs[0].nodes
    assert (loop.operator, loop.attributes["cond"]) == ("Loop", GraphReference(1))
    assert loop.attributes["body"] == GraphReference(2)
    assert branch.operator == "If"
    assert branch.attributes["then_branch"] == GraphReference(3)
    assert branch.attributes["else_branch"] == GraphReference(4)


def test_a_sub_graph_that_runs_itself_is_a_format_error() -> None:
    inner = Net()
    inner.add("While", ("v",), ("w",), "WhileParam", {0: "inner", 1: "inner"})
    net = Net()
    net.image("v", 4)
    net.add("While", ("v",), ("w",), "WhileParam", {0: "inner", 1: "inner"})
    net.more[10] = [inner.inner("inner", ("v",), ("w",))]
    with pytest.raises(FormatError, match="run each other"):
        READER.read(content(net.data()))


def test_stripped_weights_have_the_shapes_that_the_channel_counts_give() -> None:
    model = read("stripped")
    tensors = model.graphs[0].tensors
    assert model.notes == ("weights-absent",)
    assert [tensors[f"{name}/weight"].shape for name in "aby"] == [
        (8, 3, 3, 3),
        (8, 1, 3, 3),
        (8, 4, 2, 2),
    ]


def test_an_operator_beyond_the_schema_is_kept_and_noted() -> None:
    net = Net()
    net.image("x", 4)
    net.add("ReLU", ("x",), ("y",))
    net.operators[-1] = {**net.operators[-1], 5: ("i32", 999)}
    model = READER.read(content(net.data()))
    assert model.notes == ("newer-operators",)
    assert model.graphs[0].nodes[0].source_operator == "OpType_999"


def test_a_file_that_is_tagged_for_benchmarks_is_noted_since_mnns_tools_replace_its_weights() -> (
    None
):
    for code, notes in (("benchmark", ("benchmark-weights",)), ("mine", ())):
        net = Net(more={0: code})
        net.image("x", 4)
        net.add("ReLU", ("x",), ("y",))
        model = READER.read(content(net.data()))
        assert model.notes == notes
        assert model.metadata["biz_code"] == code


def test_a_tensor_that_no_name_stands_for_is_a_format_error() -> None:
    net = Net()
    net.image("x", 4)
    net.add("ReLU", ("x",), ("y",))
    net.operators[-1] = {**net.operators[-1], 0: ("[i32]", (7,))}
    with pytest.raises(FormatError, match="tensor 7 is used; the graph names 2"):
        READER.read(content(net.data()))


def test_weights_that_do_not_fill_their_convolution_are_a_format_error() -> None:
    net = Net()
    net.image("x", 1, 3, 8, 8)
    net.add("Convolution", ("x",), ("y",), "Convolution2D", {0: sizes(3, 4, 3), 1: floats(50)})
    with pytest.raises(FormatError, match="do not fill the shape"):
        READER.read(content(net.data()))


def test_other_flatbuffers_are_not_taken_for_nets() -> None:
    for other in all_samples():
        if other.format != "mnn":
            assert not READER.sniff("model.mnn", other.content().head(HEAD_BYTES))


@needs_corpus
def test_no_other_real_file_is_taken_for_a_net() -> None:
    broken = "adversarial/huge_offsets.mnn"  # claimed by its name, and refused
    assert sorted(_corpus.claimed_by("mnn")) == sorted([broken, *_corpus.paths("mnn")])


def test_a_root_that_is_no_table_is_a_broken_net_under_the_formats_name_only() -> None:
    data = (16).to_bytes(4, "little") + bytes(12) + b"\xff" * 4000
    assert READER.sniff("a.mnn", data)
    assert not READER.sniff("a.bin", data)
    with pytest.raises(FormatError):
        READER.read(from_bytes("a.mnn", data))


@pytest.mark.parametrize(
    ("name", "macs"),
    [
        ("mobilenet-v1-1.0", 568_740_352 + 1024),  # 1001 classes
        ("MobileNetV2_224", 300_774_272 + 1280),  # 1001 classes
        ("RFB-320", 100_418_560),
        ("RFB-320-quant-KL-5792", 100_418_560),
    ],
)
@needs_corpus
def test_known_networks_cost_what_their_layers_say(name: str, macs: int) -> None:
    found = record(READER.read(_corpus.content(f"mnn/{name}.mnn")))
    assert found.macs == macs
    assert found.uncounted_nodes == 0
