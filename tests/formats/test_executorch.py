"""The ExecuTorch reader."""

from collections import Counter

import numpy as np
import pytest

from gaugenn.analysis.summary import summarise
from gaugenn.content import Content, from_bytes
from gaugenn.errors import FormatError
from gaugenn.formats.executorch import ExecutorchReader
from gaugenn.graph import GraphReference, Layout, Model, Quantization, TensorKind
from tests.formats import _corpus
from tests.formats._corpus import needs_corpus
from tests.formats.samples_executorch import (
    Program,
    convolutional,
    cpu_delegate,
    delegated,
    floats,
    quantized,
    xnn_graph,
)

READER = ExecutorchReader()

NOT_IN_NETRON = {"executorch/model.pte"}
"""Netron knows no `cortex_m` kernels and refuses the file."""


def content(data: bytes) -> Content:
    return from_bytes("model.pte", data)


def read(data: bytes) -> Model:
    return READER.read(content(data))


def macs(model: Model) -> int | None:
    return summarise(model, model_sha256="0" * 64, size_bytes=1)[0].macs


def test_kernels_have_onnx_names_and_attributes() -> None:
    model = read(convolutional())
    first, view, dense, joined = model.graphs[0].nodes
    assert (first.operator, first.domain, first.source_operator) == ("Conv", "aten", "convolution")
    assert first.attributes == {
        "kernel_shape": (3, 3),
        "strides": (2, 2),
        "dilations": (1, 1),
        "pads": (1, 1, 1, 1),
        "group": 1,
        "output_channels": 4,
        "overload": "out",
    }
    assert (view.source_operator, view.operator) == ("memory.view", "Reshape")
    assert view.outputs == dense.inputs[:1]
    assert (dense.operator, dense.inputs[1:]) == ("Gemm", ("value_20", "value_19"))
    assert (joined.operator, joined.inputs) == ("Concat", (dense.outputs[0],) * 2)
    assert macs(model) == 4 * 4 * 108 + 320


def test_weights_stored_in_another_order_are_put_in_the_order_of_their_sizes() -> None:
    kernel = read(convolutional()).graphs[0].tensors["value_1"]
    stored = np.frombuffer(floats(108), "<f4").reshape(4, 3, 3, 3)
    assert np.array_equal(kernel.array(), stored.transpose(0, 3, 1, 2))


def test_kernels_for_microcontrollers_are_understood() -> None:
    model = read(quantized())
    graph = model.graphs[0]
    scaling, first = graph.nodes
    assert (scaling.operator, first.operator) == ("QuantizeLinear", "Conv")
    assert first.attributes["group"] == 4
    assert first.attributes["depth_multiplier"] == 1
    assert graph.tensors[scaling.outputs[0]].quantization == Quantization(
        scales=(0.25,), zero_points=(-3,)
    )
    assert macs(model) == 4 * 4 * 4 * 9


@pytest.mark.parametrize("behind", [True, False])
def test_what_xnnpack_runs_is_a_graph_that_is_counted_and_no_machine_code(*, behind: bool) -> None:
    model = read(cpu_delegate(xnn_graph(behind=behind)))
    assert model.notes == ()
    main, inner = model.graphs
    assert main.nodes[0].attributes == {"function": GraphReference(1)}
    assert [node.operator for node in inner.nodes] == ["Conv", "Conv", "", "Reshape", "Gemm"]
    conv, depthwise = inner.nodes[:2]
    assert conv.attributes["pads"] == (0, 0, 1, 1)
    assert conv.attributes["fused_activation"] == "Relu"
    assert (depthwise.attributes["group"], depthwise.attributes["output_channels"]) == (4, 4)
    assert inner.layout is Layout.CHANNELS_LAST
    held = inner.tensors["value_8"].array().tolist()
    assert held == [0.0, 0.5, 1.0, 1.5, 2.0]
    quantization = inner.tensors["value_5"].quantization
    assert quantization is not None
    assert (quantization.scales, quantization.zero_points) == ((0.5,), (3,))
    record, _ = summarise(model, model_sha256="0" * 64, size_bytes=1)
    assert record.macs == 16 * 4 * 27 + 16 * 4 * 9 + 320
    assert record.parameters == 108 + 36 + 320 + 5
    assert record.uncounted_nodes == 0


def test_a_result_of_xnnpack_may_lie_where_another_value_was() -> None:
    made = Program()
    image, scores = made.tensor((1, 8, 8, 3), place=64), made.tensor((1, 5), place=64)
    found = read(cpu_delegate(plan=(made, image, scores)))
    node = found.graphs[0].nodes[0]
    assert (node.inputs, node.outputs) == (("value_0",), ("value_1",))


def test_weights_of_xnnpack_that_the_program_keeps_by_name_may_be_absent() -> None:
    model = read(cpu_delegate(xnn_graph(named=True)))
    assert model.notes == ("weights-absent",)
    assert model.graphs[1].tensors["value_1"].shape == (4, 3, 3, 3)


def test_a_graph_of_xnnpack_of_an_unknown_version_stays_closed() -> None:
    data = bytearray(xnn_graph(behind=False))
    data[4:8] = b"XN99"
    assert read(cpu_delegate(bytes(data))).notes == ("accelerator-blob",)


def test_a_graph_of_xnnpack_that_is_cut_off_is_a_format_error() -> None:
    with pytest.raises(FormatError, match="leave their"):
        read(cpu_delegate(xnn_graph()[:-8]))


def test_a_delegate_is_a_node_and_noted() -> None:
    model = read(delegated())
    delegate, custom, size, jump = model.graphs[0].nodes
    assert model.notes == ("accelerator-blob", "control-flow")
    assert (delegate.source_operator, delegate.inputs, delegate.outputs) == (
        "QnnBackend",
        ("value_0",),
        ("value_1",),
    )
    assert (custom.operator, custom.domain, custom.attributes["argument_1"]) == ("", "custom", 3)
    assert jump.inputs == size.outputs


def test_weights_in_another_file_are_absent_and_keep_their_shape() -> None:
    made = Program()
    x, y = made.tensor((4,)), made.tensor((4,))
    extra = {9: {1: "net.weight", 2: ("i8", 1)}}
    weight = made.tensor((4,), data=b"", more=extra)
    made.call("aten::mul", (x, weight), (y,))
    model = read(made.data((x,), (y,)))
    tensor = model.graphs[0].tensors["net.weight"]
    assert model.notes == ("weights-absent",)
    assert (tensor.kind, tensor.shape, tensor.data) == (TensorKind.CONSTANT, (4,), None)


@pytest.mark.parametrize("argument", [9, -1])
def test_a_value_that_is_not_there_is_a_format_error(argument: int) -> None:
    made = Program()
    x = made.tensor((4,))
    made.call("aten::relu", (argument,), (x,))
    with pytest.raises(FormatError, match="there are 1"):
        read(made.data((x,), (x,)))


def test_a_segment_that_is_cut_off_is_a_format_error() -> None:
    with pytest.raises(FormatError, match="cut off"):
        read(convolutional()[:-1])


@pytest.mark.parametrize("path", _corpus.paths("executorch"))
def test_a_real_program_is_read_with_the_operators_that_netron_sees(path: str) -> None:
    model = READER.read(_corpus.content(path))
    if path not in NOT_IN_NETRON:
        assert _corpus.operators(model) == _corpus.oracle(path)


@needs_corpus
def test_a_real_keyword_spotter_costs_what_its_layers_say() -> None:
    model = READER.read(_corpus.content("executorch/model.pte"))
    positions, channels = 25 * 5, 64
    layers = positions * channels * (40 + 4 * 9 + 4 * channels) + channels * 12
    assert macs(model) == layers
    assert Counter(node.operator for node in model.graphs[0].nodes)["Conv"] == 9


@needs_corpus
def test_no_other_real_file_is_taken_for_this_format() -> None:
    assert sorted(_corpus.claimed_by("executorch")) == sorted(_corpus.paths("executorch"))
