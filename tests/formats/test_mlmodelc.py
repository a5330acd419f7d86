"""Compiled Core ML models: networks as JSON, programs as text, and both inside an app."""

import io
import json
import zipfile

import pytest

from gaugenn.analysis.summary import summarise
from gaugenn.content import Content, from_bytes
from gaugenn.errors import FormatError, UnsupportedFormatError
from gaugenn.formats import identify, read_model, readers
from gaugenn.graph import DataType, Model
from gaugenn.records import FileKind
from tests.formats.samples import all_samples
from tests.formats.samples_mlmodelc import classifier, net, net_weights, program

READER = readers()["mlmodelc"]
SAMPLES = {sample.name: sample for sample in all_samples() if sample.format == "mlmodelc"}


def read(data: bytes, name: str = "model.mil") -> Model:
    return READER.read(from_bytes(name, data))


def test_a_program_is_read_with_its_weights_and_costs_what_they_say() -> None:
    model = READER.read(SAMPLES["program"].content())
    assert (model.notes, model.companions) == ((), ("weights/weight.bin",))
    nodes = model.graphs[0].nodes
    assert [node.operator for node in nodes] == [
        *("Conv", "Split", "Concat", "ReduceMean", "Gemm", "Softmax")
    ]
    assert nodes[0].attributes["pads"] == (1, 1, 0, 0)
    assert nodes[1].outputs == ("a", "b")
    assert nodes[2].inputs == ("a", "b")
    tensors = model.graphs[0].tensors
    assert tensors["fw"].array().tolist() == [
        [0.5, 1, 1, 1, 1, 1, 1, 1],
        [pytest.approx(-0.1, rel=1e-3), 1, 1, 1, 1, 1, 1, -2],
    ]
    record, _ = summarise(model, model_sha256="0" * 64, size_bytes=1)
    assert record.macs == 8 * 8 * 8 * 27 + 16
    assert record.parameters == 8 * 27 + 16


def test_a_network_is_read_with_shapes_and_weights_from_beside() -> None:
    model = READER.read(SAMPLES["network"].content())
    assert model.companions == ("model.espresso.shape", "model.espresso.weights")
    graph = model.graphs[0]
    assert [node.operator for node in graph.nodes] == [
        *("Conv", "Conv", "MaxPool", "Identity", "Add", "Sigmoid", "Resize", "", "Gemm", "Softmax")
    ]
    assert graph.nodes[0].attributes["fused_activation"] == "Relu"
    assert graph.nodes[7].attributes == {"beta": 0.5}
    assert (graph.inputs, graph.outputs) == (("in",), ("prob",))
    weights = graph.tensors["d/weights"]
    assert (weights.dtype, weights.shape) == (DataType.UINT8, (8, 1, 3, 3))
    assert weights.quantization is not None
    assert weights.quantization.scales == (0.5,) * 8
    assert weights.quantization.zero_points == (128,) * 8
    record, _ = summarise(model, model_sha256="0" * 64, size_bytes=1)
    assert record.macs == 8 * 8 * 8 * 27 + 8 * 8 * 8 * 9 + 2 * 512


def test_a_network_alone_keeps_what_it_says_of_itself() -> None:
    model = read(net(), "model.espresso.net")
    assert model.notes == ("weights-absent",)
    assert model.graphs[0].tensors["c/weights"].shape == (8, 3, 3, 3)


def test_a_compressed_network_is_named_and_refused() -> None:
    content = from_bytes("m.espresso.net", b"pbze" + bytes(40))
    assert identify(content).formats == ("mlmodelc",)
    with pytest.raises(UnsupportedFormatError, match="LZFSE"):
        READER.read(content)


def test_the_other_files_of_the_folder_are_named() -> None:
    files = {
        "model.espresso.net": net(),
        "model.espresso.weights": net_weights(),
        "coremldata.bin": bytes(28) + b"\x07" + bytes(7) + b"generic" + bytes(90),
    }

    def file(name: str) -> Content | None:
        return from_bytes(name, files[name], file) if name in files else None

    weights, described = file("model.espresso.weights"), file("coremldata.bin")
    assert weights is not None
    assert described is not None
    assert identify(weights).kind is FileKind.WEIGHTS
    assert "the description of a compiled Core ML model" in (identify(described).reason or "")


def test_a_compiled_model_in_an_app_for_iphones_is_found_with_its_weights() -> None:
    from gaugenn.apps.walk import open_package
    from gaugenn.pipeline.scan import candidates

    sample, out = SAMPLES["program"], io.BytesIO()
    folder = "Payload/App.app/Net.mlmodelc/"
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("Payload/App.app/Info.plist", b"bplist00")
        archive.writestr(folder + "model.mil", sample.data())
        archive.writestr(folder + "coremldata.bin", bytes(90))
        for name, data in sample.neighbours.items():
            archive.writestr(folder + name, data)
    found = [
        each
        for each in candidates(open_package(from_bytes("app.ipa", out.getvalue())))
        if each.kind is FileKind.MODEL
    ]
    assert [each.path for each in found] == [folder + "model.mil"]
    assert found[0].content is not None
    assert [each.name for each in found[0].companions] == [folder + "weights/weight.bin"]
    assert read_model(found[0].content).notes == ()


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("tensor<fp16, [1]> y = relu(x = nowhere)[];", "'nowhere' is used and nothing gives it"),
        ("tensor<fp16, [1]> y = relu(x = x)[]", "expected"),
        ("tensor<fp16, [-1]> y = relu(x = x)[];", "expected a size"),
        ("tensor<fp16, [1]> y = relu(x = x; x)[];", "expected ','"),
        ("tensor<fp16, [1]> y = const()[];", "the constant 'y' has no value"),
        ("tensor<fp16, [2]> y = const()[val = tensor<fp16, [2]>([1])];", "needs 4 bytes"),
        ("tensor<int8, [1]> y = const()[val = tensor<int8, [1]>([300])];", "no int8"),
        ("tensor<fp16, [1]> x = relu(x = x)[];", "the value 'x' of a relu is nameless or repeated"),
        ("$", "begins nothing that belongs into a program"),
        ("[" * 200, "expected a name"),
        (f"tensor<int32, [1]> y = const()[val = tensor<int32, [1]>({'[' * 99}", "nest more than"),
    ],
)
def test_a_broken_program_is_a_format_error(body: str, told: str) -> None:
    with pytest.raises(FormatError, match=told):
        read(program(body, "x"))


def test_a_network_with_impossible_sizes_is_a_format_error() -> None:
    found = json.loads(net())
    found["layers"][0]["C"] = -8
    with pytest.raises(FormatError, match="C is -8, expected a size"):
        read(json.dumps(found).encode(), "model.espresso.net")


def test_text_about_programs_is_no_program() -> None:
    assert not READER.sniff("notes.txt", b"program (draft) for the evening")
    assert READER.sniff("anything", classifier()[:200])
