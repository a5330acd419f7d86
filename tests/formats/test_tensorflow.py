"""The TensorFlow reader: graphs, functions, variables, and real files."""

import csv
import json
import os
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gaugenn import api
from gaugenn.analysis.shapes import infer_shapes
from gaugenn.analysis.summary import summarise
from gaugenn.content import Content, from_bytes, open_file
from gaugenn.errors import FormatError, UnsupportedFormatError
from gaugenn.formats import HEAD_BYTES, identify, readers
from gaugenn.graph import GraphReference, Layout, Model, Node, TensorKind
from gaugenn.records import FileKind
from gaugenn.store import Study
from tests.formats._protobuf_builder import block, number
from tests.formats.samples import all_samples
from tests.formats.samples_tensorflow import (
    FLOAT,
    HEADER,
    WEIGHTS,
    checkpoint,
    classifier,
    constant,
    entry,
    frozen,
    ints,
    node,
    shape,
    splat,
    table,
    tensor,
    text,
)

READER = readers()["tensorflow"]
SAMPLES = {sample.name: sample for sample in all_samples() if sample.format == "tensorflow"}
CORPUS = os.environ.get("GAUGENN_CORPUS", "")
needs_corpus = pytest.mark.skipif(
    not CORPUS, reason="set GAUGENN_CORPUS to a folder of real model files"
)

EXPLAINED: dict[str, dict[str, int]] = {
    "tensorflow/saved_model.pb": {"Const": 15},
    "tensorflow/tf_graph_def.pb": {"Const": 11, "Placeholder": -1},
}
"""Operators that are counted here and not by Netron, which draws constants as weights of the nodes
that take them; and placeholders, which are inputs here and nodes there where nothing takes them."""


def sample(name: str) -> Model:
    return READER.read(SAMPLES[name].content())


def graph(*nodes: bytes) -> Model:
    return READER.read(from_bytes("g.pb", b"".join(block(1, each) for each in nodes)))


def named(model: Model, index: int = 0) -> dict[str, Node]:
    return {node.name: node for node in model.graphs[index].nodes}


X = node("x", "Placeholder", dtype=number(6, FLOAT), shape=block(7, shape(1, 4, 6, 3)))


def test_a_frozen_graph_has_onnx_operators_in_the_order_of_execution() -> None:
    model = sample("frozen")
    nodes = named(model)
    names = list(nodes)
    assert names.index("w1/read") < names.index("c1")
    assert nodes["c1"].attributes["kernel_shape"] == (3, 3)
    assert nodes["c1"].attributes["output_channels"] == 8
    assert nodes["c1"].attributes["auto_pad"] == "SAME_UPPER"
    assert nodes["dw"].attributes["group"] == 8
    assert nodes["dw"].attributes["output_channels"] == 16
    assert nodes["bn"].operator == "BatchNormalization"
    assert nodes["bn"].attributes["epsilon"] == pytest.approx(1e-3)
    assert nodes["act"].attributes == {"min": 0.0, "max": 6.0}
    assert nodes["mean"].attributes["axes"] == (1, 2)
    assert model.graphs[0].layout is Layout.CHANNELS_LAST
    assert model.graphs[0].inputs == ("x",)
    assert model.graphs[0].outputs == ("prob",)
    assert model.graphs[0].tensors["x"].shape == ("?", 16, 16, 3)


def test_both_layouts_cost_the_same() -> None:
    for name in ("frozen", "channels-first"):
        record, layers = summarise(sample(name), model_sha256="0" * 64, size_bytes=1)
        assert record.macs == 8 * 8 * 8 * 27 + 6 * 6 * 16 * 9 + 16 * 5
        assert {layer.name for layer in layers if layer.output_shape is None} == {"done"}
    assert sample("channels-first").graphs[0].layout is Layout.CHANNELS_FIRST


def test_nodes_of_another_layout_than_most_say_so() -> None:
    window = {"strides": ints(1, 1, 1, 1), "padding": text(2, "VALID"), "ksize": ints(1, 1, 1, 1)}
    model = graph(
        X,
        node("a", "MaxPool", ["x"], **window),
        node("b", "MaxPool", ["a"], data_format=text(2, "NCHW"), **window),
    )
    assert model.graphs[0].layout is Layout.CHANNELS_FIRST
    assert named(model)["a"].attributes["channels_last"] == 1
    assert "channels_last" not in named(model)["b"].attributes


def test_constants_are_views_of_the_file_or_one_value_for_all() -> None:
    tensors = sample("frozen").graphs[0].tensors
    assert isinstance(tensors["w1"].data, memoryview)
    assert tensors["w1"].kind is TensorKind.CONSTANT
    assert tensors["gamma"].array().tolist() == [1.0] * 8
    assert tensors["beta"].array().tolist() == [0.0] * 8


def test_a_value_that_fills_an_absurd_tensor_has_no_data() -> None:
    model = graph(splat("huge", 1.0, 1 << 20, 1 << 20), node("y", "Identity", ["huge"]))
    assert model.graphs[0].tensors["huge"].data is None
    assert model.graphs[0].tensors["huge"].shape == (1 << 20, 1 << 20)


def test_spelled_out_numbers_repeat_the_last_one() -> None:
    half = number(1, 19) + block(2, shape(3)) + number(13, 0x3C00) + number(13, 0x4000)
    whole = number(1, 9) + block(2, shape(2)) + block(10, b"\x05\x07")
    model = graph(
        node("h", "Const", value=block(8, half)), node("i", "Const", value=block(8, whole))
    )
    assert model.graphs[0].tensors["h"].array().tolist() == [1.0, 2.0, 2.0]
    assert model.graphs[0].tensors["i"].array().tolist() == [5, 7]


def test_functions_branches_and_loops_are_graphs() -> None:
    model = sample("saved")
    nodes = named(model)
    assert [each.name for each in model.graphs] == ["serve", "twice", "keep", "small"]
    assert nodes["call"].attributes["function"] == GraphReference(1)
    assert nodes["if"].operator == "If"
    assert nodes["if"].attributes["else_branch"] == GraphReference(2)
    assert nodes["while"].operator == "Loop"
    assert nodes["while"].inputs == ("", "", "if")
    assert nodes["while"].attributes["cond"] == GraphReference(3)
    assert model.graphs[0].outputs == ("while",)
    assert model.producer == "TensorFlow 2.15.0"
    assert infer_shapes(model).shape("while") == (1, 3)


def test_variables_are_weights_without_data() -> None:
    model = sample("saved")
    weight = model.graphs[0].tensors["w"]
    assert (weight.kind, weight.shape, weight.data) == (TensorKind.CONSTANT, (4, 3), None)
    assert "weights-absent" in model.notes
    record, _ = summarise(model, model_sha256="0" * 64, size_bytes=1)
    assert (record.macs, record.parameters) == (12, 12)


def test_results_beyond_the_first_are_numbered() -> None:
    axis = node("axis", "Const", value=block(8, tensor(np.array(3))))
    model = graph(
        X,
        axis,
        node("s", "Split", ["axis", "x"], num_split=number(3, 3)),
        node("y", "AddV2", ["s", "s:2"]),
    )
    assert named(model)["s"].outputs == ("s", "s:1", "s:2")
    assert named(model)["s"].inputs == ("x",)
    assert infer_shapes(model).shape("s:2") == (1, 4, 6, 1)


def integers(name: str, *values: int) -> bytes:
    return node(name, "Const", value=block(8, tensor(np.array(values, dtype=np.int32))))


@pytest.mark.parametrize(
    ("made", "operator", "sizes"),
    [
        ([integers("i", 0, 3, 1, 2), node("y", "Transpose", ["x", "i"])], "Transpose", (1, 3, 4, 6)),
        ([integers("i", 1, -1), node("y", "Reshape", ["x", "i"])], "Reshape", (1, 72)),
        ([integers("i", 8, 12), node("y", "ResizeBilinear", ["x", "i"])], "Resize", (1, 8, 12, 3)),
        (
            [
                node("i", "Const", value=block(8, tensor(np.array([[0, 0], [1, 2], [0, 1], [0, 0]])))),
                node("y", "Pad", ["x", "i"]),
            ],
            "Pad",
            (1, 7, 7, 3),
        ),
        (
            [
                integers("b", 0, 1, 0, 0),
                integers("n", 1, 2, -1, 3),
                node("y", "Slice", ["x", "b", "n"]),
            ],
            "Slice",
            (1, 2, 6, 3),
        ),
        (
            [
                integers("b", 0, 1),
                integers("e", 0, 4),
                integers("t", 1, 2),
                node(
                    *("y", "StridedSlice", ["x", "b", "e", "t"]),
                    begin_mask=number(3, 1),
                    end_mask=number(3, 1),
                ),
            ],
            "Slice",
            (1, 2, 6, 3),
        ),
        (
            [
                node("i", "Const", value=block(8, tensor(np.array(3)))),
                node("y", "ConcatV2", ["x", "x", "i"]),
            ],
            "Concat",
            (1, 4, 6, 6),
        ),
        (
            [
                integers("o", 1, 8, 12, 5),
                constant("w", np.ones((3, 3, 5, 3))),
                node(
                    *("y", "Conv2DBackpropInput", ["o", "w", "x"]),
                    strides=ints(1, 2, 2, 1),
                    padding=text(2, "SAME"),
                ),
            ],
            "ConvTranspose",
            (1, 8, 12, 5),
        ),
        ([node("y", "DepthToSpace", ["x"], block_size=number(3, 2))], "DepthToSpace", None),
        ([node("y", "Rsqrt", ["x"])], "", None),
    ],
)  # fmt: skip
def test_operators_become_onnx_where_their_sizes_are_constant(
    made: list[bytes], operator: str, sizes: tuple[int, ...] | None
) -> None:
    model = graph(X, *made)
    assert named(model)["y"].operator == operator
    if sizes is not None:
        assert infer_shapes(model).shape("y") == sizes


@pytest.mark.parametrize(
    "nodes",
    [
        [node("y", "Relu", ["nowhere"])],
        [X, X],
        [node("", "Relu", [])],
        [node("c", "Const")],
        [X, node("y", "Relu", ["x"]), node("z", "", ["y"])],
        [X, node("y", "Relu", ["x:99999999"])],
    ],
)
def test_a_broken_graph_is_a_format_error(nodes: list[bytes]) -> None:
    with pytest.raises(FormatError):
        graph(*nodes, node("other", "Relu", []))


def test_a_loop_of_the_old_kind_is_cut_where_it_closes() -> None:
    model = graph(
        X,
        node("enter", "Enter", ["x"]),
        node("merge", "Merge", ["enter", "next"]),
        node("next", "NextIteration", ["merge"]),
    )
    assert model.notes == ("old-loops",)
    assert list(named(model)) == ["enter", "next", "merge"]


@pytest.mark.parametrize(
    "head",
    [
        block(1, text(1, "x") + text(2, "FlowLimiterCalculator")),
        block(1, text(1, "conv") + text(2, "out") + text(4, "Conv2D")),
        block(1, text(1, "a") + text(2, "NoSuchOperator")),
        number(1, 1) + block(2, block(1, text(1, "image"))),
        text(1, "net") + block(100, text(1, "a") + text(2, "Relu")),
    ],
)
def test_messages_of_other_formats_are_not_claimed(head: bytes) -> None:
    assert not READER.sniff("graph.pb", head)


def test_a_first_node_larger_than_the_head_is_recognised() -> None:
    data = block(1, constant("w", np.zeros((64, 64)))) + frozen()
    assert READER.sniff("g.pb", data[:HEAD_BYTES])
    assert len(classifier()) < len(READER.read(from_bytes("g.pb", data)).graphs[0].tensors)


def rows() -> list[str]:
    if not CORPUS:
        return []
    with (Path(CORPUS) / "MANIFEST.csv").open(newline="") as file:
        return [row["path"] for row in csv.DictReader(file)]


@needs_corpus
@pytest.mark.parametrize("path", sorted(EXPLAINED))
def test_a_real_graph_has_the_operators_that_netron_sees(path: str) -> None:
    model = READER.read(open_file(Path(CORPUS) / path))
    with (Path(CORPUS) / "NETRON_ORACLE.jsonl").open() as file:
        lines = (json.loads(line) for line in file)
        seen = Counter(next(line for line in lines if line["file"] == path)["ops"])
    ours = Counter(node.source_operator for node in model.graphs[0].nodes)
    ours.subtract(seen)
    assert {name: count for name, count in ours.items() if count} == EXPLAINED[path]


@needs_corpus
def test_only_tensorflow_files_are_claimed() -> None:
    def claimed(path: str) -> bool:
        return READER.sniff(path, open_file(Path(CORPUS) / path).head(HEAD_BYTES))

    assert [path for path in rows() if claimed(path)] == sorted(EXPLAINED)


@pytest.mark.parametrize("name", ["saved-with-values", "meta-with-values"])
def test_variables_have_the_values_of_the_checkpoint_beside(name: str) -> None:
    found = SAMPLES[name]
    model = READER.read(found.content())
    weight = model.graphs[0].tensors["w"]
    assert weight.array().tolist() == WEIGHTS.reshape(4, 3).tolist()
    assert "weights-absent" not in model.notes
    assert model.companions == tuple(sorted(found.neighbours))
    assert {each.name for each in READER.companions(found.content())} == set(found.neighbours)


def test_a_checkpoint_alone_is_its_values() -> None:
    sample_ = next(each for each in all_samples() if each.format == "tensorflow_checkpoint")
    model = readers()["tensorflow_checkpoint"].read(sample_.content())
    assert model.notes == ("weights-only",)
    assert model.companions == ("model.ckpt.data-00000-of-00001",)
    tensors = model.graphs[0].tensors
    assert tensors["w"].array().tolist() == WEIGHTS.reshape(4, 3).tolist()
    assert tensors["step"].array() == 700


def test_a_checkpoint_beside_its_graph_belongs_to_it() -> None:
    names = {".meta": SAMPLES["meta"].data(), **checkpoint()}
    files = {f"m.ckpt{suffix}": data for suffix, data in names.items()}

    def file(name: str) -> Content | None:
        return from_bytes(name, files[name], file) if name in files else None

    for suffix in checkpoint():
        content = file(f"m.ckpt{suffix}")
        assert content is not None
        found = identify(content)
        assert (found.kind, found.formats[0]) == (FileKind.WEIGHTS, "tensorflow")


def test_the_checkpoint_of_a_saved_model_is_no_model_of_its_own(tmp_path: Path) -> None:
    found = SAMPLES["saved-with-values"]
    app = tmp_path / "app.apk"
    with zipfile.ZipFile(app, "w") as archive:
        for name, data in found.neighbours.items():
            archive.writestr(f"assets/m/{name}", data)
        archive.writestr("assets/m/saved_model.pb", found.data())
    api.scan([app], tmp_path / "s")
    with Study(tmp_path / "s").connect() as connection:
        rows = connection.execute("SELECT member, kind, model_sha256 FROM files").fetchall()
        models = connection.execute("SELECT DISTINCT model_sha256 FROM model_files").fetchall()
    kinds = {member.rpartition("/")[2]: kind for member, kind, _ in rows}
    assert kinds == {
        "saved_model.pb": FileKind.MODEL,
        "variables.index": FileKind.WEIGHTS,
        "variables.data-00000-of-00001": FileKind.WEIGHTS,
    }
    assert len(models) == 1
    assert {owner for _, _, owner in rows} == {models[0][0]}


def test_a_checkpoint_of_another_shape_gives_no_values() -> None:
    files = {
        "model.ckpt.index": table({"": HEADER, "w": entry(0, 3, 4)}),
        "model.ckpt.data-00000-of-00001": bytes(48),
    }
    content = from_bytes(
        "model.ckpt.meta",
        SAMPLES["meta"].data(),
        lambda name: from_bytes(name, files[name]) if name in files else None,
    )
    assert "weights-absent" in READER.read(content).notes


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda data: data[:-1], "no footer of a table at the end"),
        (lambda data: data[-20:], "a table has 48 at least"),
        (lambda data: data.replace(b"\0\x04", b"\x09\x04", 1), "an entry leaves its block"),
    ],
)
def test_a_broken_table_is_a_format_error(change: Callable[[bytes], bytes], told: str) -> None:
    reader = readers()["tensorflow_checkpoint"]
    with pytest.raises(FormatError, match=told):
        reader.read(from_bytes("m.index", change(checkpoint()[".index"])))


def test_a_table_that_is_compressed_is_named_and_refused() -> None:
    data = bytearray(checkpoint()[".index"])
    end = data.index(b"\0\0\0\0\x01\0\0\0") + 8
    data[end] = 1
    with pytest.raises(UnsupportedFormatError, match="Snappy"):
        readers()["tensorflow_checkpoint"].read(from_bytes("m.index", bytes(data)))


@pytest.mark.parametrize(
    ("made", "sizes"),
    [
        ([node("y", "Rsqrt", ["x"])], (1, 4, 6, 3)),
        ([node("y", "Square", ["x"])], (1, 4, 6, 3)),
        ([node("y", "ZerosLike", ["x"])], (1, 4, 6, 3)),
        ([node("m", "Rsqrt", ["x"]), node("y", "SquaredDifference", ["x", "m"])], (1, 4, 6, 3)),
        ([node("y", "FloorDiv", ["x", "x"])], (1, 4, 6, 3)),
        ([node("y", "NotEqual", ["x", "x"])], (1, 4, 6, 3)),
        ([node("y", "Pack", ["x", "x"], axis=number(3, 1))], (1, 2, 4, 6, 3)),
        ([node("y", "Unpack", ["x"], axis=number(3, 2), num=number(3, 6))], (1, 4, 3)),
        ([node("y", "Rank", ["x"])], ()),
        (
            [integers("a", 1, 2), node("y", "All", ["x", "a"], keep_dims=number(5, 1))],
            (1, 1, 1, 3),
        ),
        ([integers("a", 1, 2), node("y", "Any", ["x", "a"])], (1, 3)),
        ([integers("a", 1), node("y", "ReverseV2", ["x", "a"])], (1, 4, 6, 3)),
        (
            [
                integers("b", 2, 2),
                node("p", "Const", value=block(8, tensor(np.zeros((2, 2), int)))),
                node("y", "SpaceToBatchND", ["x", "b", "p"]),
            ],
            (4, 2, 3, 3),
        ),
        (
            [
                integers("b", 0, 1, 0, 0),
                integers("e", 1, 4, 6, 3),
                integers("t", 1, 1, 1, 1),
                node("y", "StridedSlice", ["x", "b", "e", "t"], shrink_axis_mask=number(3, 1)),
            ],
            (3, 6, 3),
        ),
        (
            [
                node("d", "Const", value=block(8, tensor(np.array(9)))),
                node("y", "OneHot", ["x", "d"], axis=number(3, -1)),
            ],
            (1, 4, 6, 3, 9),
        ),
    ],
)
def test_operators_by_tensorflows_own_names_have_shapes_and_costs(
    made: list[bytes], sizes: tuple[int, ...]
) -> None:
    model = graph(X, *made)
    assert infer_shapes(model).shape("y") == sizes
    record, layers = summarise(model, model_sha256="0" * 64, size_bytes=1)
    assert record.uncounted_nodes == 0
    assert all(layer.output_shape is not None for layer in layers)
