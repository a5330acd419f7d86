"""The reader of Darknet."""

import numpy as np
import pytest

from gaugenn.analysis.summary import summarise
from gaugenn.content import Content, from_bytes
from gaugenn.errors import FormatError
from gaugenn.formats import identify, read_model
from gaugenn.formats.darknet import DarknetReader
from gaugenn.graph import Graph, Model
from gaugenn.records import FileKind
from tests.formats import samples_darknet as given
from tests.formats.samples import Sample, all_samples

READER = DarknetReader()


def sample(name: str) -> Sample:
    return next(s for s in all_samples() if (s.format, s.name) == ("darknet", name))


def macs(model: Model) -> int | None:
    return summarise(model, model_sha256="0" * 64, size_bytes=1)[0].macs


def read(text: str, weights: bytes | None = None) -> Model:
    def neighbours(name: str) -> Content | None:
        return None if weights is None else from_bytes(name, weights)

    return READER.read(from_bytes("net.cfg", text.encode(), neighbours))


def shapes(graph: Graph) -> list[tuple[int | str, ...] | None]:
    return [graph.tensors[node.outputs[0]].shape for node in graph.nodes]


def test_a_detector_has_onnx_operators_sizes_and_costs() -> None:
    model = read_model(sample("detector").content())
    graph = model.graphs[0]
    assert [(node.source_operator, node.operator) for node in graph.nodes] == [
        ("convolutional", "Conv"),
        ("batchnorm", "BatchNormalization"),
        ("leaky", "LeakyRelu"),
        ("convolutional", "Conv"),
        ("batchnorm", "BatchNormalization"),
        ("mish", "Mish"),
        ("shortcut", "Add"),
        ("route", "Slice"),
        ("maxpool", "MaxPool"),
        ("upsample", "Resize"),
        ("route", "Concat"),
        ("convolutional", "Conv"),
        ("yolo", ""),
    ]
    assert shapes(graph)[6:] == [
        *((1, 8, 8, 8), (1, 4, 8, 8), (1, 4, 4, 4), (1, 4, 8, 8), (1, 12, 8, 8), (1, 5, 8, 8)),
        (1, 5, 8, 8),
    ]
    assert (graph.inputs, graph.tensors["input"].shape) == (("input",), (1, 3, 16, 16))
    assert graph.nodes[3].attributes["group"] == 8
    assert graph.nodes[8].attributes["pads"] == (0, 0, 1, 1)
    assert macs(model) == 64 * (8 * 27 + 8 * 9 + 5 * 12)


def test_weights_lie_in_the_order_of_the_layers() -> None:
    model = read_model(sample("detector").content())
    tensors = model.graphs[0].tensors
    assert (model.format_version, model.companions) == ("0.2.5", ("tiny.weights",))
    assert tensors["convolutional_0/biases"].array().tolist() == list(range(8))
    assert tensors["convolutional_0/variance"].array().tolist() == list(range(24, 32))
    kernel = tensors["convolutional_0/weights"]
    assert (kernel.shape, kernel.array()[0, 0, 0, 0]) == ((8, 3, 3, 3), 32)
    assert tensors["convolutional_7/weights"].array()[-1, -1] == given.COUNT - 1


def test_an_older_head_is_shorter() -> None:
    model = read(given.TEXT, given.weights(minor=1))
    biases = model.graphs[0].tensors["convolutional_0/biases"].array()
    np.testing.assert_array_equal(biases, np.arange(8))


@pytest.mark.parametrize("count", [given.COUNT - 1, given.COUNT + 1])
def test_weights_of_another_net_are_refused(count: int) -> None:
    with pytest.raises(FormatError, match="weights of another net"):
        read(given.TEXT, given.weights(count))


def test_weights_are_told_to_be_those_of_the_text_beside_them() -> None:
    held = {"a.cfg": given.TEXT.encode(), "a.weights": given.weights()}

    def neighbours(name: str) -> Content | None:
        return from_bytes(name, held[name], neighbours) if name in held else None

    found = identify(from_bytes("a.weights", held["a.weights"], neighbours))
    assert (found.kind, found.formats) == (FileKind.WEIGHTS, ("darknet",))


def test_a_connected_layer_is_normalised_after_its_weights() -> None:
    count = (4 + 48 + 12) + (2 + 8)
    model = read(given.CLASSIFIER, given.weights(count))
    graph = model.graphs[0]
    assert [node.operator for node in graph.nodes] == [
        *("Gemm", "BatchNormalization", "Relu", "Dropout", "Gemm", "Softmax"),
    ]
    assert graph.tensors["connected_0/weights"].array()[0, 0] == 4
    assert graph.tensors["connected_0/scales"].array()[0] == 52
    assert macs(model) == 48 + 8


def test_a_layer_whose_weights_are_not_read_ends_the_reading_of_weights() -> None:
    text = given.CLASSIFIER.replace("[dropout]", "[gru]\noutput=4\n[dropout]")
    model = read(text, given.weights(200))
    assert model.notes == ("weights-unread",)
    assert [node.source_operator for node in model.graphs[0].nodes][3] == "gru"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("from=-2", "from=-9", "takes layer -9, which does not come before it"),
        ("layers=-1, 2", "layers=7", "does not come before it"),
        ("filters=5", "filters=0", "expected one or more"),
        ("filters=5", "filters=many", "expected a whole number"),
        ("groups=8", "groups=3", "3 groups for 8 channels"),
        ("size=1", "size=99999", "makes a picture|too large"),
        ("[yolo]", "[yolo", "section '.yolo'"),
        ("stride=2\n", "stride\n", "expected option=value"),
    ],
)
def test_a_text_that_contradicts_itself_is_refused(old: str, new: str, words: str) -> None:
    assert old in given.TEXT
    with pytest.raises(FormatError, match=words):
        read(given.TEXT.replace(old, new))


def test_other_texts_with_sections_are_not_claimed() -> None:
    for text in ("[core]\nbatch=1\n", "[net]\nproxy=none\n", "[network]\n\nheights=2\n", "net\n"):
        assert not READER.sniff("a.cfg", text.encode())
