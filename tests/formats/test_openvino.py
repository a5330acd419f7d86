"""The reader of OpenVINO's intermediate representation, and XML from untrusted bytes."""

import pytest

from gaugenn.analysis.summary import summarise
from gaugenn.content import Content, from_bytes
from gaugenn.errors import FormatError
from gaugenn.formats import _xml, identify, read_model
from gaugenn.formats._openvino_layers import parsed, shape_of
from gaugenn.formats._xml import read_xml
from gaugenn.formats.openvino import OpenVinoReader
from gaugenn.graph import DataType, GraphReference, Model
from gaugenn.records import FileKind
from tests.formats import samples_openvino as given
from tests.formats.samples import FOLDER, Sample, all_samples

READER = OpenVinoReader()
MACS = 16 * 16 * 8 * 27 + 16 * 16 * 8 * 9 + 16 * 16 * 8 * 4 * 4 + 10 * 256


def sample(name: str) -> Sample:
    return next(s for s in all_samples() if (s.format, s.name) == ("openvino", name))


def macs(model: Model) -> int | None:
    return summarise(model, model_sha256="0" * 64, size_bytes=1)[0].macs


def read(text: str) -> Model:
    return READER.read(from_bytes("net.xml", text.encode()))


def test_a_network_that_openvino_saved_has_onnx_operators_and_costs() -> None:
    model = read_model(sample("net").content())
    graph = model.graphs[0]
    assert [node.operator for node in graph.nodes] == [
        *("Conv", "Add", "Clip", "Conv", "HardSwish", "MaxPool", "ReduceMean", "Sigmoid", "Mul"),
        *("Resize", "ConvTranspose", "Concat", "Split", "AveragePool", "Transpose", "Reshape"),
        *("MatMul", "Softmax"),
    ]
    assert (graph.inputs, model.format_version) == (("image",), "11")
    assert graph.nodes[3].attributes["group"] == 8
    assert graph.nodes[3].attributes["auto_pad"] == "SAME_UPPER"
    assert graph.nodes[12].attributes == {"axis": 1, "split": (4, 4)}
    assert graph.tensors[graph.nodes[0].inputs[1]].array().shape == (8, 3, 3, 3)
    assert macs(model) == MACS


def test_weights_of_16_bits_are_taken_as_they_are_stored() -> None:
    model = read_model(sample("half").content())
    first = model.graphs[0].nodes[0]
    weight = model.graphs[0].tensors[first.inputs[1]]
    assert (first.operator, weight.dtype) == ("Conv", DataType.FLOAT16)
    whole = read_model(sample("net").content()).graphs[0]
    assert abs(weight.array() - whole.tensors[whole.nodes[0].inputs[1]].array()).max() < 2e-3
    record = summarise(model, model_sha256="0" * 64, size_bytes=1)[0]
    assert (record.macs, record.parameters) == (MACS, 216 + 8 + 72 + 128 + 2560)


def test_a_layer_of_an_old_version_holds_its_weights() -> None:
    graph = read_model(sample("old").content()).graphs[0]
    first, second = graph.nodes
    assert first.inputs == ("data", "conv/weights", "conv/biases")
    assert graph.tensors["conv/weights"].elements == 108
    assert first.attributes["output_channels"] == 4
    assert (second.operator, second.attributes) == ("LeakyRelu", {"alpha": 0.1})
    assert macs(read_model(sample("old").content())) == 4 * 4 * 4 * 27


def test_what_a_loop_runs_is_a_graph() -> None:
    model = read(given.LOOP)
    node = model.graphs[0].nodes[0]
    assert (node.source_operator, node.operator) == ("TensorIterator", "")
    assert node.attributes["body"] == GraphReference(1)
    assert [inner.operator for inner in model.graphs[1].nodes] == ["Tanh"]


def test_weights_belong_to_the_network_beside_them_and_must_fit() -> None:
    held = {
        "net.xml": (FOLDER / "openvino/net.xml").read_bytes(),
        "net.bin": (FOLDER / "openvino/net.bin").read_bytes(),
    }

    def neighbours(name: str) -> Content | None:
        return from_bytes(name, held[name], neighbours) if name in held else None

    found = identify(from_bytes("net.bin", held["net.bin"], neighbours))
    assert (found.kind, found.formats) == (FileKind.WEIGHTS, ("openvino",))
    held["net.bin"] = held["net.bin"][:-1]
    with pytest.raises(FormatError, match=r"end at byte 12040 of 12039 in net\.bin"):
        READER.read(from_bytes("net.xml", held["net.xml"], neighbours))
    del held["net.bin"]
    alone = READER.read(from_bytes("net.xml", held["net.xml"], neighbours))
    assert alone.notes == ("weights-absent",)
    assert macs(alone) == MACS


def test_other_xml_is_not_claimed() -> None:
    for text in (
        '<?xml version="1.0"?><net xmlns="urn:x"><layers/></net>',
        '<network version="1"><layers/></network>',
        '<net version="1"><places/></net>',
    ):
        assert not READER.sniff("a.xml", text.encode())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (given.LOOP.replace('to-layer="1"', 'to-layer="9"'), "from layer"),
        (given.LOOP.replace('id="1" name="steps"', 'id="0" name="steps"'), "two of one id"),
        (given.OLD.replace('from-layer="0"', 'from-layer="2"'), "results that layer 2 lacks|take"),
        (given.OLD.replace('offset="0"', 'offset="-1"'), "lies at '-1'"),
        ('<net version="11"><layers></layers></net>', "without layers"),
    ],
)
def test_a_network_that_contradicts_itself_is_refused(text: str, words: str) -> None:
    with pytest.raises(FormatError, match=words):
        read(text)


def test_settings_are_numbers_where_they_spell_them() -> None:
    assert parsed("2, 3") == (2, 3)
    assert parsed("-1") == -1
    assert parsed("0.5,1") == (0.5, 1.0)
    assert (parsed("true"), parsed("explicit"), parsed("")) == (True, "explicit", "")
    assert parsed("9" * 40) == 1e40
    assert shape_of(["1", "?", "2..5", "-1"]) == (1, "?", "?", "?")
    assert shape_of(["..."]) is None


def test_entities_are_refused_before_they_grow() -> None:
    bomb = '<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;">]><a>&c;</a>'
    with pytest.raises(FormatError, match="document type"):
        read_xml(memoryview(bomb.encode()), "a.xml")


def test_xml_is_bounded_in_depth_and_number(monkeypatch: pytest.MonkeyPatch) -> None:
    deep = "<a>" * 65 + "</a>" * 65
    with pytest.raises(FormatError, match="deeper than 64"):
        read_xml(memoryview(deep.encode()), "a.xml")
    monkeypatch.setattr(_xml, "ELEMENT_LIMIT", 10)
    with pytest.raises(FormatError, match="more than 10 elements"):
        read_xml(memoryview(b"<a>" + b"<b/>" * 10 + b"</a>"), "a.xml")


@pytest.mark.parametrize("text", ["", "<a>", "<a></b>", "<a/><b/>", "\0", '<?xml encoding="x"?>'])
def test_broken_xml_is_a_format_error(text: str) -> None:
    with pytest.raises(FormatError, match=r"a\.xml: "):
        read_xml(memoryview(text.encode()), "a.xml")
