"""LiteRT-LM bundles: the models inside, their weights, and what is refused."""

import pytest

from gaugenn.content import from_bytes
from gaugenn.errors import FormatError, UnsupportedFormatError
from gaugenn.formats import identify, readers
from gaugenn.formats.tflite import TfliteReader
from gaugenn.graph import GraphReference, Model
from tests.formats.samples_litertlm import MODEL, WEIGHTS, bundle, language_model
from tests.formats.samples_tflite import control_flow_file, external_file, float_file, floats

READER = readers()["litertlm"]


def read(data: bytes) -> Model:
    return READER.read(from_bytes("m.litertlm", data))


def test_every_model_of_a_bundle_is_read_with_its_own_graphs() -> None:
    model = read(language_model())
    alone = [
        TfliteReader().read(from_bytes("m.tflite", file.data()))
        for file in (float_file(), control_flow_file())
    ]
    first, second = (len(each.graphs) for each in alone)
    assert model.graphs[:first] == alone[0].graphs
    moved = model.graphs[first : first + second]
    assert [graph.name for graph in moved] == [graph.name for graph in alone[1].graphs]
    references = [
        value.index
        for graph in moved
        for node in graph.nodes
        for value in node.attributes.values()
        if isinstance(value, GraphReference)
    ]
    assert references
    assert all(first <= index < first + second for index in references)
    assert model.format_version == "1.4.0"
    assert model.metadata["Authors"] == "gaugenn"
    assert model.metadata["layers"] == "3"
    assert model.metadata["section 1"] == "SentencePiece tokenizer"
    assert (
        model.metadata["section 2"]
        == f"model: model_type=tf_lite_prefill_decode, graphs from {first}"
    )


def test_weights_of_the_same_role_belong_to_the_model() -> None:
    model = read(language_model())
    assert model.notes == ()
    weights = model.graphs[-1].tensors["weights"]
    assert weights.array().reshape(-1).tolist() == [0.5 * i for i in range(8)]


def test_weights_of_another_role_do_not() -> None:
    parts = [
        (MODEL, {"model_type": "a"}, external_file().data()),
        (WEIGHTS, {"model_type": "b"}, bytes(4) + floats(8)),
    ]
    assert read(bundle(parts)).notes == ("weights-absent",)


def test_another_version_is_unsupported() -> None:
    data = bundle([(MODEL, {}, float_file().data())], version=(2, 0, 1))
    assert identify(from_bytes("m.bin", data)).formats == ("litertlm",)
    with pytest.raises(UnsupportedFormatError, match=r"version 2\.0\.1; version 1 is read"):
        read(data)


def test_a_bundle_without_a_model_is_a_format_error() -> None:
    with pytest.raises(FormatError, match="none of 1 sections is a model"):
        read(bundle([(WEIGHTS, {}, b"abc")]))


def test_sections_that_overlap_are_a_format_error() -> None:
    data = bytearray(bundle([(MODEL, {}, float_file().data()), (WEIGHTS, {}, b"abc")]))
    second = data.index((2048 + len(float_file().data()) + 255 & ~255).to_bytes(8, "little"))
    data[second : second + 8] = (2048).to_bytes(8, "little")
    with pytest.raises(FormatError, match="a section takes the bytes 2048 to"):
        read(bytes(data))


@pytest.mark.parametrize("end", [0, 31, 1 << 40])
def test_a_section_table_that_cannot_be_is_a_format_error(end: int) -> None:
    data = bytearray(language_model())
    data[24:32] = end.to_bytes(8, "little")
    with pytest.raises(FormatError, match="the section table ends at"):
        read(bytes(data))
