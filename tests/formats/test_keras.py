"""The Keras reader on networks that Keras wrote, in the test's folder and real ones."""

from collections import Counter

import pytest

from gaugenn.analysis.summary import summarise
from gaugenn.content import from_bytes
from gaugenn.errors import FormatError, UnsupportedFormatError
from gaugenn.formats import read_model
from gaugenn.formats.keras import KerasReader
from gaugenn.graph import Layout, Model
from tests.formats import _corpus
from tests.formats._corpus import needs_corpus
from tests.formats.samples import FOLDER

READER = KerasReader()
STEM = 8 * 8 * 8 * 27
DEPTHWISE = 8 * 8 * 8 * 9


def data(name: str) -> bytes:
    return (FOLDER / "keras" / name).read_bytes()


def read(name: str) -> Model:
    return READER.read(from_bytes(name, data(name)))


@pytest.mark.parametrize("name", ["net.keras", "net.h5"])
def test_layers_become_onnx_operators_with_their_weights(name: str) -> None:
    model = read(name)
    graph = model.graphs[0]
    assert model.notes == ()
    assert graph.layout is Layout.CHANNELS_LAST
    assert graph.inputs == ("image",)
    assert graph.outputs == ("classes",)
    assert graph.tensors["image"].shape == ("?", 16, 16, 3)
    nodes = {node.name: node for node in graph.nodes}
    assert nodes["stem"].operator == "Conv"
    assert nodes["stem"].inputs == ("image", "stem/kernel")
    assert nodes["norm"].inputs[1:] == tuple(
        f"norm/{weight}" for weight in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    assert nodes["relu6"].attributes == {"min": 0.0, "max": 6.0}
    assert nodes["depthwise"].attributes["group"] == 8
    assert nodes["depthwise"].attributes["fused_activation"] == "Relu"
    assert nodes["separable"].operator == ""
    assert nodes["sum"].inputs == ("relu6", "separable")
    assert nodes["classes"].attributes["fused_activation"] == "Softmax"
    assert graph.tensors["classes/kernel"].array().shape == (16, 5)


def test_both_containers_hold_the_same_network() -> None:
    zipped, plain = read("net.keras").graphs[0], read("net.h5").graphs[0]
    assert zipped.nodes == plain.nodes
    for name, tensor in zipped.tensors.items():
        if tensor.data is not None:
            assert bytes(tensor.read()) == bytes(plain.tensors[name].read())


def test_a_separable_convolution_keeps_its_weights_and_what_follows_has_its_cost() -> None:
    model = read("net.h5")
    layers = {
        layer.name: layer for layer in summarise(model, model_sha256="0" * 64, size_bytes=1)[1]
    }
    assert layers["stem"].macs == STEM
    assert layers["depthwise"].macs == DEPTHWISE
    separable = next(node for node in model.graphs[0].nodes if node.name == "separable")
    assert [name.rpartition("/")[2] for name in separable.inputs[1:]] == [
        "depthwise_kernel",
        "pointwise_kernel",
        "bias",
    ]


def test_a_chain_takes_each_result_of_the_layer_before() -> None:
    graph = read("chain.h5").graphs[0]
    assert Counter(n.source_operator for n in graph.nodes) == Counter(
        {"Embedding": 1, "LSTM": 1, "Dense": 1}
    )
    assert graph.tensors["lstm/recurrent_kernel"].shape == (4, 16)
    assert graph.outputs == ("dense",)


def test_weights_without_layers_say_so() -> None:
    model = read("net.weights.h5")
    assert model.notes == ("weights-only",)
    assert len(model.graphs[0].tensors) == len(
        [t for t in read("net.h5").graphs[0].tensors.values() if t.data is not None]
    )


def test_hdf5_of_another_program_is_refused() -> None:
    renamed = data("net.weights.h5").replace(b"keras_version", b"other_version")
    renamed = renamed.replace(b"layers\0", b"sheets\0")
    with pytest.raises(UnsupportedFormatError, match="another program"):
        READER.read(from_bytes("data.h5", renamed))


def test_a_layer_that_takes_what_no_layer_makes_is_a_format_error() -> None:
    broken = data("net.h5").replace(b'["relu6", 0, 0]', b'["relu9", 0, 0]')
    assert broken != data("net.h5")
    with pytest.raises(FormatError, match="no layer makes"):
        READER.read(from_bytes("net.h5", broken))


@needs_corpus
def test_a_real_network_has_netrons_operators_and_the_cost_of_its_twin() -> None:
    path = "keras/clothes-model.h5"
    model = READER.read(_corpus.content(path))
    assert _corpus.operators(model) == _corpus.oracle(path)
    twin = read_model(_corpus.content("tflite/converted_model.tflite"))
    found, expected = (
        summarise(each, model_sha256="0" * 64, size_bytes=1)[0] for each in (model, twin)
    )
    assert (found.macs, found.parameters) == (expected.macs, expected.parameters)


@needs_corpus
def test_no_other_file_is_claimed() -> None:
    assert _corpus.claimed_by("keras") == ["keras/clothes-model.h5"]
