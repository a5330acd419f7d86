"""The Tengine reader on a graph by hand and on real ones."""

import struct

import pytest

from gaugenn.analysis.summary import summarise
from gaugenn.content import from_bytes
from gaugenn.errors import FormatError, UnsupportedFormatError
from gaugenn.formats.tengine import TengineReader
from gaugenn.graph import Layout, Model, Quantization
from tests.formats import _corpus
from tests.formats._corpus import needs_corpus
from tests.formats.samples_tengine import build

READER = TengineReader()
MNIST_MACS = 2_064_768
MOBILENET_MACS = 568_740_352


def read(data: bytes) -> Model:
    return READER.read(from_bytes("net.tmfile", data))


def macs(model: Model) -> int | None:
    return summarise(model, model_sha256="0" * 64, size_bytes=1)[0].macs


def test_the_nodes_that_only_hold_weights_become_tensors() -> None:
    model = read(build())
    graph = model.graphs[0]
    assert [node.operator for node in graph.nodes] == ["Conv", "MaxPool", "Gemm"]
    assert graph.inputs == ("data",)
    assert graph.outputs == ("fc",)
    assert graph.tensors["conv.w"].array().shape == (4, 3, 3, 3)
    assert graph.tensors["fc.w"].quantization == Quantization(scales=(0.5,), zero_points=(0,))
    assert model.metadata == {"source_format": "Caffe"}
    assert macs(model) == 4 * 27 * 64 + 640


def test_a_fused_activation_keeps_its_bounds() -> None:
    attributes = read(build()).graphs[0].nodes[0].attributes
    assert attributes["fused_activation"] == "Clip"
    assert (attributes["fused_min"], attributes["fused_max"]) == (0.0, 6.0)


def test_a_benchmark_file_has_shapes_and_no_weights() -> None:
    model = read(build(with_data=False))
    assert model.notes == ("weights-absent",)
    assert model.graphs[0].tensors["conv.w"].shape == (4, 3, 3, 3)
    assert macs(model) == macs(read(build()))


def test_graphs_from_tensorflow_keep_channels_last() -> None:
    assert read(build(layout=1)).graphs[0].layout is Layout.CHANNELS_LAST


def test_another_version_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedFormatError, match=r"2\.0"):
        read(b"\1" + build()[1:])


def test_a_root_beyond_the_end_is_a_format_error() -> None:
    data = bytearray(build())
    struct.pack_into("<I", data, 8, len(data))
    with pytest.raises(FormatError, match="cut off"):
        read(bytes(data))


@needs_corpus
@pytest.mark.parametrize(
    ("name", "expected"), [("mnist", MNIST_MACS), ("mobilenet_benchmark", MOBILENET_MACS)]
)
def test_a_real_graph_has_netrons_operators_and_the_known_cost(name: str, expected: int) -> None:
    path = f"tengine/{name}.tmfile"
    model = READER.read(_corpus.content(path))
    assert _corpus.operators(model) == _corpus.oracle(path)
    assert macs(model) == expected


@needs_corpus
def test_no_other_file_is_claimed() -> None:
    claimed = _corpus.claimed_by("tengine")
    assert sorted(claimed) == ["tengine/mnist.tmfile", "tengine/mobilenet_benchmark.tmfile"]
