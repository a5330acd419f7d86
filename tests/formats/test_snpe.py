"""The SNPE reader."""

import math

import pytest

from gaugenn.analysis.summary import summarise
from gaugenn.content import Content, from_bytes
from gaugenn.errors import UnsupportedFormatError
from gaugenn.formats.snpe import SnpeReader
from gaugenn.graph import DataType, Model, Quantization, Tensor
from tests.formats import _corpus
from tests.formats._corpus import needs_corpus
from tests.formats.samples_snpe import container, network, plain, quantized, reals, weights

READER = SnpeReader()


def content(data: bytes) -> Content:
    return from_bytes("model.dlc", data)


def macs(model: Model) -> int | None:
    return summarise(model, model_sha256="0" * 64, size_bytes=1)[0].macs


def test_layers_have_onnx_names_and_attributes() -> None:
    model = READER.read(content(plain()))
    graph = model.graphs[0]
    first, active, total, turned, dense, fixed, joined, last = graph.nodes
    assert first.operator == "Conv"
    assert first.attributes == {
        "kernel_shape": (3, 3),
        "output_channels": 4,
        "strides": (2, 2),
        "dilations": (1, 1),
        "group": 1,
        "pads": (1, 1, 1, 1),
    }
    assert first.inputs == ("image", "first/weights_0", "first/bias")
    assert (active.operator, total.operator) == ("Relu", "Add")
    assert (turned.operator, turned.attributes) == ("Transpose", {"perm": (0, 3, 1, 2)})
    assert (dense.operator, joined.operator, last.operator) == ("Gemm", "Concat", "")
    value = fixed.attributes["value"]
    assert isinstance(value, Tensor)
    assert value.array().tolist() == [[0, 0.5]]
    assert (graph.inputs, graph.outputs) == (("image",), ("last",))
    assert model.producer == "snpe-onnx-to-dlc 1.61.0"
    assert macs(model) == 4 * 4 * 108 + 320


def test_encodings_say_what_the_integers_of_weights_and_results_stand_for() -> None:
    tensors = READER.read(content(quantized())).graphs[0].tensors
    result, weight = tensors["first"], tensors["first/weights_0"]
    assert result.dtype is weight.dtype is DataType.UINT8
    assert result.quantization == Quantization(scales=(0.25,), zero_points=(7,))
    assert weight.quantization == Quantization(scales=(0.5,), zero_points=(3,))


@pytest.mark.parametrize("version", [2, 4])
def test_another_version_is_recognised_and_refused(version: int) -> None:
    data = container(*network(), version=version)
    assert READER.sniff("model.dlc", data)
    with pytest.raises(UnsupportedFormatError, match=f"version {version}"):
        READER.read(content(data))


@pytest.mark.parametrize("path", _corpus.paths("snpe_dlc"))
def test_a_real_model_is_read_with_the_operators_that_netron_sees(path: str) -> None:
    model = READER.read(_corpus.content(path))
    assert _corpus.operators(model) == _corpus.oracle(path)
    assert {node.operator for node in model.graphs[0].nodes} == {
        *("Conv", "Relu", "Add", "Transpose", "Gemm", "Constant", "Concat")
    }


@needs_corpus
def test_a_real_model_costs_what_its_weights_and_results_say() -> None:
    model = READER.read(_corpus.content("snpe/navmodel_q.dlc"))
    tensors = model.graphs[0].tensors
    total = 0
    for node in model.graphs[0].nodes:
        if node.operator in ("Conv", "Gemm"):
            positions = math.prod(int(n) for n in (tensors[node.outputs[0]].shape or ())[1:-1])
            total += positions * (tensors[node.inputs[1]].elements or 0)
    assert total
    assert macs(model) == total


def test_empty_weights_do_not_break_the_reader() -> None:
    layers, parts = network()
    parts[2] = weights("fixed", value=((0, 2), reals(0)))
    model = READER.read(content(container(layers, parts)))
    assert model.graphs[0].tensors["fixed/value"].size_bytes == 0


@needs_corpus
def test_no_other_real_file_is_taken_for_this_format() -> None:
    assert sorted(_corpus.claimed_by("snpe")) == sorted(_corpus.paths("snpe_dlc"))
