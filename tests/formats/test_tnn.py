"""The TNN reader on a graph by hand and on real ones."""

import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from gaugenn.content import Content, from_bytes, open_file
from gaugenn.errors import FormatError
from gaugenn.formats.tnn import TnnReader
from gaugenn.graph import Model
from tests.formats import samples_tnn
from tests.formats.samples_tnn import TEXT

CORPUS = os.environ.get("GAUGENN_CORPUS", "")
FILES = ("mobilenet_v1", "quant_mobilenet_v2", "resnet50", "squeezenet_v1.1")
READER = TnnReader()


def read(text: str) -> Model:
    return READER.read(from_bytes("net.tnnproto", text.encode()))


def test_layers_become_onnx_operators_with_weights_of_the_right_shape() -> None:
    graph = read(TEXT).graphs[0]
    assert graph.tensors["data"].shape == (1, 3, 16, 16)
    first, _, depthwise, _, pool, shape, connected, _ = graph.nodes
    assert graph.tensors["conv1.weight"].shape == (8, 3, 3, 3)
    assert first.attributes["pads"] == (1, 1, 1, 1)
    assert graph.tensors["dw.weight"].shape == (8, 1, 3, 3)
    assert depthwise.attributes["fused_activation"] == "Clip"
    assert pool.attributes["ceil_mode"] == 1
    assert shape.attributes["shape"] == (0, -1, 1, 1)
    assert connected.operator == "Gemm"
    assert graph.tensors["fc.weight"].shape == (10, 16 * 4 * 4)


def with_weights(text: str, weights: bytes) -> Model:
    def neighbour(name: str) -> Content | None:
        return from_bytes(name, weights) if name == "net.tnnmodel" else None

    return READER.read(from_bytes("net.tnnproto", text.encode(), neighbour))


@pytest.mark.parametrize("magic", [samples_tnn.PLAIN, samples_tnn.SHAPED])
def test_weights_beside_the_graph_are_read(magic: int) -> None:
    model = with_weights(TEXT, samples_tnn.weights(magic))
    assert (model.companions, model.notes) == (("net.tnnmodel",), ())
    for name, array in samples_tnn.arrays().items():
        np.testing.assert_array_equal(model.graphs[0].tensors[name].array(), array)
    early = with_weights(TEXT, samples_tnn.weights()[4:])  # before files had a magic number
    assert early == with_weights(TEXT, samples_tnn.weights())
    assert read(TEXT).notes == ("weights-absent",)


def test_weights_that_the_text_does_not_speak_of_are_inputs() -> None:
    graph = with_weights(samples_tnn.MORE, samples_tnn.more_weights()).graphs[0]
    norm, slope, convolution, difference = graph.nodes
    assert norm.inputs == ("data", "bn.scale")
    assert (slope.operator, slope.inputs) == ("PRelu", ("b", "act.slope"))
    assert graph.tensors["act.slope"].shape == (3, 1, 1)
    assert convolution.inputs == (
        "p",
        *(f"conv.{x}" for x in ("weight", "bias", "zero_point", "scale")),
    )
    weight = graph.tensors["conv.weight"]
    assert (weight.dtype, weight.shape, bytes(weight.read())[0]) == ("int8", (4, 3, 1, 1), 0xFA)
    assert (difference.operator, difference.inputs) == ("Sub", ("sub.weight", "c"))


def test_weights_of_an_unknown_layer_are_left_alone_and_said_so() -> None:
    strange = samples_tnn.weights().replace(b"InnerProduct", b"OuterProduct")
    model = with_weights(TEXT, strange)
    assert model.notes == ("weights-unread",)
    assert model.graphs[0].tensors["fc.weight"].data is None


def test_weights_of_another_network_or_cut_off_are_a_format_error() -> None:
    whole = samples_tnn.weights()
    with pytest.raises(FormatError, match=r"conv1.*should have the shape"):
        with_weights(TEXT.replace("1 3 8 3 3 2 2", "1 3 8 5 5 2 2"), whole)
    for end in (0, 3, 7, 40, len(whole) // 2, len(whole) - 1):
        with pytest.raises(FormatError, match=r"net\.tnnmodel"):
            with_weights(TEXT, whole[:end])


def test_the_second_version_has_ranks_and_types_in_its_inputs() -> None:
    text = TEXT.replace("4206624770", "4206624772").replace("data 1 3 16 16", "data 4 1 3 16 16 0")
    assert read(text).graphs[0].tensors["data"].shape == (1, 3, 16, 16)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("4206624770", "4206624771"),
        (" 8 ,", " 9 ,"),
        ("1 1 data c1", "1 1 nothing c1"),
        ("c1 r1 ,", "c1 c1 ,"),
        ("1 3 8 3 3 2 2", "3 3 8 3 3 2 2"),
        ("1 3 8 3 3 2 2", "1 3 8 3 3 0 2"),
        ("1 3 8 3 3 2 2", "1 3 8 x 3 2 2"),
        ("ReLU relu1 1 1", "ReLU relu1 1 9"),
        ('"prob ,"', '"absent ,"'),
        ("data 1 3 16 16", ""),
    ],
)
def test_a_text_that_contradicts_itself_is_a_format_error(old: str, new: str) -> None:
    assert old in TEXT
    with pytest.raises(FormatError):
        read(TEXT.replace(old, new))


@pytest.mark.skipif(not CORPUS, reason="GAUGENN_CORPUS names no folder of real models")
@pytest.mark.parametrize("name", FILES)
def test_a_real_graph_has_the_operators_that_netron_sees(name: str) -> None:
    path = f"tnn/{name}.tnnproto"
    with (Path(CORPUS) / "NETRON_ORACLE.jsonl").open() as file:
        found = next(each for each in map(json.loads, file) if each["file"] == path)
    model = READER.read(open_file(Path(CORPUS) / path))
    assert Counter(node.source_operator for node in model.graphs[0].nodes) == found["ops"]
