"""The MindSpore Lite reader."""

from dataclasses import replace

import pytest

from gaugenn.analysis.summary import summarise
from gaugenn.content import Content, from_bytes
from gaugenn.errors import FormatError, UnsupportedFormatError
from gaugenn.formats.mindspore import MindsporeReader
from gaugenn.graph import GraphReference, Model, TensorKind
from tests.formats import _corpus
from tests.formats._corpus import needs_corpus
from tests.formats.samples import Sample, all_samples
from tests.formats.samples_mindspore import File, convolutional

READER = MindsporeReader()


def content(data: bytes) -> Content:
    return from_bytes("model.ms", data)


def sample(name: str) -> Sample:
    return next(s for s in all_samples() if s.format == "mindspore" and s.name == name)


def read(name: str) -> Model:
    return READER.read(sample(name).content())


def macs(model: Model) -> int | None:
    return summarise(model, model_sha256="0" * 64, size_bytes=1)[0].macs


def test_operators_have_onnx_names_and_attributes() -> None:
    model = read("convolutional")
    first, pool, turn, shape, dense = model.graphs[0].nodes
    assert first.operator == "Conv"
    assert first.attributes == {
        "kernel_shape": (3, 3),
        "output_channels": 4,
        "strides": (2, 2),
        "dilations": (1, 1),
        "group": 1,
        "pads": (1, 1, 1, 1),
        "fused_activation": "Clip",
        "fused_min": 0.0,
        "fused_max": 6.0,
    }
    assert pool.operator == "MaxPool"
    assert pool.attributes["auto_pad"] == "VALID"
    assert turn.attributes == {"perm": (0, 3, 1, 2)}
    assert shape.operator == "Reshape"
    assert (dense.operator, dense.attributes) == ("Gemm", {"fused_activation": "Relu", "transB": 1})
    assert macs(model) == 16 * 108 + 80
    assert model.producer == "MindSpore Lite 2.3.0"


def test_scales_are_per_channel_and_those_never_set_are_none() -> None:
    tensors = read("quantized").graphs[0].tensors
    kernel = tensors["kernel"].quantization
    assert kernel is not None
    assert (kernel.scales, kernel.zero_points, kernel.axis) == ((0.5, 1, 1.5, 2), (0, 1, 2, 3), 0)
    assert tensors["first"].quantization is None
    assert tensors["image"].shape == ("?", 8, 8, 3)


def test_a_packed_weight_keeps_its_shape_and_is_noted() -> None:
    model = read("quantized")
    packed = model.graphs[0].tensors["packed"]
    assert model.notes == ("weights-packed",)
    assert (packed.kind, packed.shape, packed.data) == (TensorKind.CONSTANT, (4,), None)


def test_sub_graphs_are_graphs_and_their_weights_may_lie_in_another_file() -> None:
    model = read("sub_graphs")
    assert [graph.name for graph in model.graphs] == ["main", "inner"]
    assert model.graphs[0].nodes[0].attributes == {"subgraph": GraphReference(1)}
    assert model.companions == ("weights.bin",)
    assert model.graphs[1].tensors["weight"].array().tolist() == [0, 0.5, 1, 1.5]


def test_an_absent_weights_file_is_noted() -> None:
    model = READER.read(replace(sample("sub_graphs"), neighbours={}).content())
    assert model.notes == ("weights-absent",)
    assert model.graphs[1].tensors["weight"].kind is TensorKind.CONSTANT


@pytest.mark.parametrize("identifier", [b"MSL1", b"MSL0"])
def test_older_versions_are_recognised_and_refused(identifier: bytes) -> None:
    data = bytearray(convolutional())
    data[4:8] = identifier
    assert READER.sniff("model.ms", bytes(data))
    with pytest.raises(UnsupportedFormatError, match="numbered differently"):
        READER.read(content(bytes(data)))


def test_an_obfuscated_model_is_refused() -> None:
    file = File()
    x, y = file.tensor("x", (4,)), file.tensor("y", (4,))
    file.node("Abs", (x,), (y,))
    file.more[9] = ("bool", True)
    with pytest.raises(UnsupportedFormatError, match="obfuscated"):
        READER.read(content(file.data((x,), (y,))))


def test_a_tensor_that_is_not_there_is_a_format_error() -> None:
    file = File()
    x = file.tensor("x", (4,))
    file.node("Abs", (x,), (7,))
    with pytest.raises(FormatError, match="tensor 7 is used; there are 1"):
        READER.read(content(file.data((x,), (x,))))


@needs_corpus
def test_no_other_real_file_is_taken_for_this_format() -> None:
    assert sorted(_corpus.claimed_by("mindspore")) == sorted(_corpus.paths("mindspore_lite"))


@needs_corpus
def test_a_known_network_costs_what_its_layers_say() -> None:
    found = READER.read(_corpus.content("mindspore/ml_face_isface.ms"))
    layers = 46 * 46 * 16 * 27, 21 * 21 * 32 * 144, 64 * 64 * 288, 9 * 128 * 256, 256 * 1154
    assert macs(found) == sum(layers)
