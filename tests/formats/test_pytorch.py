"""The PyTorch reader on files that PyTorch wrote, on hostile ones, and on real ones."""

import io
import os
import struct
import tracemalloc
import zipfile
from collections import Counter
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from gaugenn.content import from_bytes, open_file
from gaugenn.errors import FormatError, UnsupportedFormatError
from gaugenn.formats import HEAD_BYTES
from gaugenn.formats._pickle import Call, Global, walk
from gaugenn.formats._pytorch_script import split_source
from gaugenn.formats._zip import open_zip
from gaugenn.formats.pytorch import PytorchReader
from gaugenn.graph import GraphReference, LazyBytes, Model

FILES = Path(__file__).parent / "files"
CORPUS = os.environ.get("GAUGENN_CORPUS", "")
READER = PytorchReader()


def read(name: str) -> Model:
    return READER.read(open_file(FILES / f"pytorch_{name}"))


def members(name: str) -> dict[str, bytes]:
    with zipfile.ZipFile(FILES / f"pytorch_{name}") as archive:
        return {each: archive.read(each) for each in archive.namelist()}


def zipped(entries: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return stream.getvalue()


def operators(model: Model) -> list[str]:
    return [node.source_operator.removeprefix("aten::") for node in model.graphs[0].nodes]


def test_a_traced_program_has_the_shape_of_its_example_and_onnx_attributes() -> None:
    model = read("traced.pt")
    graph = model.graphs[0]
    assert graph.tensors[graph.inputs[0]].shape == (1, 3, 8, 8)
    assert [node.operator for node in graph.nodes] == ["Conv", "Relu", "Flatten", "Gemm"]
    convolution = graph.nodes[0]
    assert convolution.attributes["kernel_shape"] == (3, 3)
    assert convolution.attributes["pads"] == (1, 1, 1, 1)
    assert convolution.inputs[1:] == ("0.weight", "0.bias")
    assert graph.tensors["3.weight"].shape == (5, 256)
    assert model.notes == ()


def test_methods_are_inlined_and_known_tests_decided() -> None:
    model = read("mobile.ptl")
    counted = Counter(operators(model))
    assert counted["conv2d"] == 2
    assert counted["batch_norm"] == 1
    assert counted["hardtanh_"] == 1
    assert counted["RaiseException"] == 0
    assert model.notes == ("mobile",)
    assert model.metadata["bytecode_version"] == "8"


def test_an_operator_that_works_in_place_is_followed_by_what_comes_after() -> None:
    nodes = {node.source_operator: node for node in read("mobile.ptl").graphs[0].nodes}
    (clipped,) = nodes["aten::hardtanh_"].outputs
    assert nodes["aten::cat"].inputs[0] == clipped
    assert nodes["aten::hardtanh_"].operator == "Clip"
    assert nodes["aten::hardtanh_"].attributes == {"min": 0.0, "max": 6.0}


def test_a_result_that_is_unpacked_has_as_many_outputs() -> None:
    nodes = {node.source_operator: node for node in read("frozen.pt").graphs[0].nodes}
    chunk = nodes["aten::chunk"]
    assert len(chunk.outputs) == 2
    assert (chunk.operator, chunk.attributes) == ("Split", {"axis": 1, "num_outputs": 2})


def test_what_depends_on_the_input_is_a_graph_of_its_own() -> None:
    model = read("mobile.ptl")
    nodes = {node.operator: node for node in model.graphs[0].nodes}
    branch, loop = nodes["If"], nodes["Loop"]
    body = loop.attributes["body"]
    then = branch.attributes["then_branch"]
    assert isinstance(body, GraphReference)
    assert isinstance(then, GraphReference)
    assert [n.operator for n in model.graphs[then.index].nodes] == ["Add"]
    assert [n.operator for n in model.graphs[body.index].nodes] == ["Mul"]
    assert model.graphs[body.index].parent == 0
    assert len(model.graphs[body.index].inputs) == len(loop.inputs)
    assert len(model.graphs[body.index].outputs) == len(loop.outputs) + 1


def test_an_input_without_a_shape_takes_channels_from_its_convolution() -> None:
    graph = read("frozen.pt").graphs[0]
    assert graph.tensors[graph.inputs[0]].shape == ("?", 3, "?", "?")


def test_a_mobile_file_without_source_text_gives_its_operators_in_order() -> None:
    kept = {k: v for k, v in members("mobile.ptl").items() if "/code/" not in k}
    model = READER.read(from_bytes("a.ptl", zipped(kept)))
    assert model.notes == ("edges-absent", "mobile")
    names = Counter(operators(model))
    assert names["conv2d"] == 2
    assert names["softmax"] == 1
    assert model.graphs[0].tensors["conv.weight"].shape == (4, 3, 3, 3)


@pytest.mark.parametrize("name", ["state.pth", "legacy.pth"])
def test_a_checkpoint_is_weights_alone(name: str) -> None:
    model = read(name)
    assert "weights-only" in model.notes
    assert model.graphs[0].nodes == ()
    weight = model.graphs[0].tensors["conv.weight"]
    assert weight.shape == (4, 3, 3, 3)
    other = read("mobile.ptl").graphs[0].tensors["conv.weight"]
    assert bytes(weight.read()) == bytes(other.read())
    assert isinstance(weight.data, memoryview)


def test_a_state_that_python_2_pickled_has_its_weights() -> None:
    data = members("state.pth")
    (name,) = (each for each in data if each.endswith("data.pkl"))
    storage = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x02tQ"
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"K\0K\x02\x85K\x01\x85\x89NtR"
    pickled = b"\x80\x02ccollections\nOrderedDict\n](](U\x06a.bias" + tensor + b"ee\x85R."
    root = name.removesuffix("data.pkl")
    entries = {name: pickled, f"{root}data/0": bytes(8), f"{root}version": b"3\n"}
    model = READER.read(from_bytes("a.pth", zipped(entries)))
    assert [(t.name, t.shape) for t in model.graphs[0].tensors.values()] == [("a.bias", (2,))]


def test_a_transposed_tensor_is_put_in_order_when_it_is_read() -> None:
    tensor = read("state.pth").graphs[0].tensors["turned"]
    assert isinstance(tensor.data, LazyBytes)
    assert np.array_equal(tensor.array(), np.arange(6.0).reshape(2, 3).T)


def test_deflated_members_are_read_too() -> None:
    entries = members("state.pth")
    model = READER.read(from_bytes("a.pth", zipped(entries, zipfile.ZIP_DEFLATED)))
    plain = read("state.pth").graphs[0].tensors
    for name, tensor in model.graphs[0].tensors.items():
        assert bytes(tensor.read()) == bytes(plain[name].read())


def test_a_storage_that_is_missing_or_short_is_a_format_error() -> None:
    entries = members("state.pth")
    first = next(name for name in entries if "/data/0" in name)
    for change in ({}, {first: entries[first][:-1]}):
        left = {k: v for k, v in entries.items() if k != first} | change
        with pytest.raises(FormatError, match=r"storage"):
            READER.read(from_bytes("a.pth", zipped(left)))


def test_the_flatbuffer_form_is_recognised_and_refused() -> None:
    data = struct.pack("<I", 40) + b"PTMF" + bytes(64)
    assert READER.sniff("a.ptl", data)
    with pytest.raises(UnsupportedFormatError, match=r"flatbuffer"):
        READER.read(from_bytes("a.ptl", data))


def test_other_zips_are_not_claimed() -> None:
    for name in ("version", "assets/version", "a/data/0", "AndroidManifest.xml", "x/extra/y"):
        assert not READER.sniff("a.zip", zipped({name: b"1"})[:HEAD_BYTES])


def test_a_pickle_that_would_run_a_command_is_only_a_record() -> None:
    data = b"cos\nsystem\n(S'touch /tmp/never'\ntR."
    value = walk(memoryview(data), "test").value
    assert isinstance(value, Call)
    assert value.function == Global("os", "system")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\x02",
        b"\x80\x09N.",
        b"R.",
        b"(.",
        b"u.",
        b"h\x05.",
        b"X\xff\xff\xff\x7fabc.",
        b"\x8d" + b"\xff" * 8 + b".",
        b"\x8b\xff\xff\xff\xff.",
        b"I" + b"9" * 4000 + b"\n.",
        b"Na.",
        b"\xfe.",
        b"\x95\x00.",
        b"Fx\n.",
    ],
)
def test_a_broken_pickle_is_a_format_error(data: bytes) -> None:
    with pytest.raises(FormatError):
        walk(memoryview(data), "test")


def test_a_pickle_of_too_many_small_things_is_refused() -> None:
    with pytest.raises(FormatError, match=r"opcodes"):
        walk(memoryview(b"\x80\x02" + b"]" * 1_000_000), "test")


def test_a_pickle_that_inflates_far_beyond_the_file_is_refused() -> None:
    entries = {"a/data.pkl": b"\x80\x02" + bytes(64 << 20), "a/version": b"3"}
    with pytest.raises(FormatError, match=r"more than"):
        READER.read(from_bytes("a.pt", zipped(entries, zipfile.ZIP_DEFLATED)))


def test_tuples_that_double_at_every_step_cost_nothing() -> None:
    data = b"\x80\x02)" + b"2\x86" * 5000 + b"."
    assert walk(memoryview(data), "test").end == len(data)


def program(body: str, parameters: str = "self: __torch__.M,\n    x: Tensor") -> Model:
    """A program of one method whose module has no attributes."""
    text = f"class M(Module):\n  def forward({parameters}) -> Tensor:\n" + body
    pickled = b"\x80\x02c__torch__\nM\n)\x81}b."
    entries = {
        "m/data.pkl": pickled,
        "m/code/__torch__.py": text.encode(),
        "m/constants.pkl": b"\x80\x02).",
        "m/version": b"3\n",
    }
    return READER.read(from_bytes("a.pt", zipped(entries)))


def test_what_a_branch_changes_outside_of_itself_is_a_result_of_the_branch() -> None:
    model = program(
        "    y = torch.relu(x)\n"
        "    if torch.lt(x, 1):\n      self.state = torch.sigmoid(x)\n      _0 = torch.tanh_(y)\n"
        "    else:\n      pass\n"
        "    return torch.add(self.state, y)\n"
    )
    choice, total = model.graphs[0].nodes[-2:]
    assert (choice.operator, len(choice.outputs)) == ("If", 2)
    assert total.inputs[:2] == choice.outputs
    then, other = model.graphs[1:]
    assert [node.source_operator for node in then.nodes] == ["aten::sigmoid", "aten::tanh_"]
    assert [graph.outputs[1] for graph in (then, other)] == [
        then.nodes[1].outputs[0],
        model.graphs[0].nodes[0].outputs[0],
    ]


def test_what_a_loop_changes_outside_of_itself_is_a_result_of_the_loop() -> None:
    model = program(
        "    for i in range(torch.size(x, 0)):\n      self.state = torch.sigmoid(x)\n"
        "    return torch.relu(self.state)\n"
    )
    loop, last = model.graphs[0].nodes[-2:]
    assert (loop.operator, last.inputs[0]) == ("Loop", loop.outputs[0])
    assert model.graphs[1].outputs[-1] == model.graphs[1].nodes[0].outputs[0]
    assert len(loop.inputs) == len(model.graphs[1].inputs)


def test_numbers_texts_and_lists_become_attributes() -> None:
    model = program('    return ops.mine.f(x, [1, 2], -1.5e-3, "a\\"b\\012", k=True)\n')
    (node,) = model.graphs[0].nodes
    assert (node.source_operator, node.operator) == ("mine::f", "")
    assert node.attributes == {
        "argument_1": (1, 2),
        "argument_2": -1.5e-3,
        "argument_3": 'a"b\n',
        "k": True,
    }


def test_a_loop_of_a_known_length_is_unrolled() -> None:
    model = program("    y = x\n    for i in range(3):\n      y = torch.relu(y)\n    return y\n")
    assert operators(model) == ["relu"] * 3


@pytest.mark.parametrize(
    "body",
    [
        "    return " + "(" * 5000 + "x" + ")" * 5000 + "\n",
        "    return " + "torch.relu(" * 500 + "x" + ")" * 500 + "\n",
        "    return (self).forward(x, )\n",
        "    return x $ x\n",
        "    return torch.relu(x\n",
        "    return self.absent\n",
        "    return CONSTANTS.c7\n",
        "    a, b, = [x]\n    return a\n",
        "    return [x][3]\n",
        "    return " + "9" * 5000 + "\n",
        "    y = x\n" + "    for i in range(60):\n" * 1 + "      for j in range(60):\n"
        "        for k in range(60):\n          y = torch.relu(y)\n    return y\n",
    ],
)  # fmt: skip
def test_text_that_cannot_be_followed_is_a_format_error(body: str) -> None:
    with pytest.raises(FormatError):
        program(body)


@pytest.mark.parametrize(
    "body",
    [
        "    y = [x, x]\n    for i in range(60):\n      y = [y, y]\n    return ops.a.b(y)\n",
        "    y = [" + "1, " * 4000 + "]\n    for i in range(60):\n      for j in range(60):\n"
        "        z = ops.a.b(x, y)\n    return x\n",
    ],
)  # fmt: skip
def test_lists_that_grow_with_every_step_stay_small(body: str) -> None:
    tracemalloc.start()
    try:
        with suppress(FormatError):
            program(body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 64 << 20


def test_pickled_tuples_that_double_at_every_step_are_refused_soon() -> None:
    doubling = b"\x80\x02N" + b"2\x86" * 100 + b"."
    entries = members("traced.pt")
    (name,) = (each for each in entries if each.endswith("constants.pkl"))
    code = next(
        each for each in entries if each.endswith(".py") and b"torch.flatten" in entries[each]
    )
    text = entries[code].replace(b"torch.flatten(", b"torch.flatten(CONSTANTS.c0, ")
    with pytest.raises(FormatError, match=r"steps"):
        READER.read(from_bytes("a.pt", zipped({**entries, name: doubling, code: text})))


def test_functions_are_found_by_class_and_name() -> None:
    text = (
        "def f(a: int=3) -> int:\n  return a\nclass C(Module):\n  x : int\n  def g(self) -> int:\n"
    )
    source = split_source(text + "    return 1\n", "test")
    assert sorted(source.starts) == ["C.g", "f"]
    assert source.function("f").parameters[0][0] == "a"


def test_a_zip_whose_directory_lies_is_a_format_error() -> None:
    data = zipped({"a/data.pkl": b"N."})
    for at, value in ((-12, b"\xff\xff\xff\x7f"), (-6, b"\xff\xff\xff\x7f"), (-10, b"\xff\x7f")):
        broken = bytearray(data)
        broken[len(data) + at : len(data) + at + len(value)] = value
        with pytest.raises(FormatError):
            open_zip(memoryview(bytes(broken)), "test")


def test_a_member_that_inflates_to_more_than_it_says_is_a_format_error() -> None:
    data = bytearray(zipped({"a/data.pkl": bytes(1 << 20)}, zipfile.ZIP_DEFLATED))
    central = bytes(data).rfind(b"PK\x01\x02")
    struct.pack_into("<I", data, central + 24, 16)
    archive = open_zip(memoryview(bytes(data)), "test")
    with pytest.raises(FormatError, match=r"does not inflate to the 16 bytes"):
        archive.read("a/data.pkl", 1 << 20)


@pytest.mark.skipif(not CORPUS, reason="GAUGENN_CORPUS names no folder of real models")
def test_a_real_checkpoint_has_all_its_weights() -> None:
    model = READER.read(open_file(Path(CORPUS) / "pytorch" / "model.pth"))
    tensors = model.graphs[0].tensors
    assert model.notes == ("weights-only",)
    assert tensors["feature_extractor.0.weight"].shape == (64, 1, 10, 4)
    assert len({name.rpartition(".")[0] for name in tensors}) == 19  # Netron's "Weights" nodes
