"""The reader of Kaldi."""

import pytest

from gaugenn.analysis.summary import summarise
from gaugenn.content import from_bytes
from gaugenn.errors import FormatError, UnsupportedFormatError
from gaugenn.formats import identify, read_model
from gaugenn.formats._kaldi_text import Descriptor, read_descriptor, read_line
from gaugenn.formats.kaldi import KaldiReader
from gaugenn.graph import Model
from tests.formats import samples_kaldi as given
from tests.formats.samples import all_samples

READER = KaldiReader()


def macs(model: Model) -> int | None:
    return summarise(model, model_sha256="0" * 64, size_bytes=1)[0].macs


def read(text: str = given.TEXT, parts: list[bytes] | None = None) -> Model:
    return READER.read(from_bytes("final.mdl", given.network(text, parts)))


def test_a_network_has_onnx_operators_its_weights_and_costs() -> None:
    model = read_model(from_bytes("am/final.mdl", given.network()))
    graph = model.graphs[0]
    assert [(node.source_operator, node.operator) for node in graph.nodes] == [
        ("Append", "Concat"),
        ("FixedAffine", "Gemm"),
        ("TimeOffsets", "Concat"),
        ("Tdnn", "Gemm"),
        ("RectifiedLinear", "Relu"),
        ("BatchNorm", "BatchNormalization"),
        ("dim-range-node", "Slice"),
        ("Linear", "Gemm"),
        ("Scale", ""),
        ("Sum", "Sum"),
        ("NaturalGradientAffine", "Gemm"),
        ("Pnorm", ""),
        ("output-node", "Identity"),
    ]
    assert (graph.inputs, graph.outputs) == (("ivector", "input"), ("output",))
    assert graph.tensors["output"].shape == (1, 7)
    weight = graph.tensors["tdnn.affine/LinearParams"]
    assert (weight.shape, weight.array().std() > 0.1) == ((8, 12), True)
    assert graph.nodes[2].attributes["offsets"] == (-1, 0)
    assert macs(model) == 6 * 10 + 8 * 12 + 3 * 5 + 7 * 3


def test_a_network_that_takes_its_own_past_gets_it_as_an_input() -> None:
    sample = next(s for s in all_samples() if (s.format, s.name) == ("kaldi", "recurrent"))
    graph = READER.read(sample.content()).graphs[0]
    assert graph.inputs == ("ivector", "input", "back@past")
    joined = next(node for node in graph.nodes if "back@past" in node.inputs)
    assert joined.operator == "Concat"


def test_lines_and_descriptors_are_read_by_their_brackets() -> None:
    line = read_line("component-node name=a component=b input=Append(x, Offset(y, -1)) k=1")
    assert (line.kind, line.settings["input"]) == ("component-node", "Append(x, Offset(y, -1))")
    found = read_descriptor("Sum(Scale(0.66, a.b), c-d)")
    scaled = Descriptor("Scale", (Descriptor("0.66"), Descriptor("a.b")))
    assert found == Descriptor("Sum", (scaled, Descriptor("c-d")))


@pytest.mark.parametrize("text", ["", "Sum(", "Sum(a", "Sum(a,)", "a b", "a)", "Sum(" * 40 + "a"])
def test_a_broken_descriptor_is_a_format_error(text: str) -> None:
    with pytest.raises(FormatError, match="Kaldi descriptor"):
        read_descriptor(text)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("input=tdnn.affine", "input=nothing", "takes 'nothing', which there is not"),
        ("component=small", "component=other", "component that there is not"),
        ("name=small ", "name=back ", "two nodes of one name"),
        ("dim=5", "dim=4", "takes 4 values, not 5"),
        ("output-node name=output", "input-node dim=3 name=output", "without an output"),
        ("Sum(Scale", "Product(Scale", "function 'Product'"),
    ],
)
def test_a_network_that_contradicts_itself_is_refused(old: str, new: str, words: str) -> None:
    assert old in given.TEXT
    with pytest.raises(FormatError, match=words):
        read(given.TEXT.replace(old, new))


def test_weights_that_are_cut_or_compressed_are_refused() -> None:
    parts = given.components()
    cut = [part.replace(given.matrix(3, 5), given.matrix(3, 5)[:20]) for part in parts]
    with pytest.raises(FormatError, match="ends at byte"):
        read(parts=cut)
    packed = [part.replace(b"<Params> FM ", b"<Params> CM ") for part in parts]
    with pytest.raises(UnsupportedFormatError, match="compressed"):
        read(parts=packed)
    with pytest.raises(FormatError, match="6 of 7 Kaldi components"):
        READER.read(from_bytes("a.mdl", given.network().replace(parts[2], b"")))


def test_what_has_no_network_of_the_third_kind_is_recognised_and_refused() -> None:
    for data in (b"\0B<TransitionModel> <Topology> " + bytes(99), b"\0B<Nnet> <AffineTransform> "):
        assert READER.sniff("final.mdl", data)
        with pytest.raises(UnsupportedFormatError, match="nnet3"):
            READER.read(from_bytes("final.mdl", data))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\xd6\xfd\xb2\x7e\6\0\0\0vector\10\0\0\0standard" + bytes(50), "an OpenFst transducer"),
        (b"mmap lm http://kheafield.com/code format version 5\n\0" + bytes(50), "a KenLM language"),
    ],
)
def test_the_files_around_a_speech_network_are_named(data: bytes, words: str) -> None:
    assert words in (identify(from_bytes("model/graph/HCLG.weights", data)).reason or "")
