"""The Core ML reader: networks, pipelines, and real files."""

import csv
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gaugenn.analysis.summary import summarise
from gaugenn.content import from_bytes, open_file
from gaugenn.errors import FormatError
from gaugenn.formats import HEAD_BYTES, readers
from gaugenn.graph import DataType, GraphReference, Model, Node, TensorKind
from tests.formats._protobuf_builder import block, number
from tests.formats.samples import all_samples
from tests.formats.samples_coreml import (
    FLOAT16,
    UINT8,
    UINT32,
    described,
    feature,
    function,
    layer,
    operation,
    program,
    raw,
    tensor_type,
    whole,
)
from tests.formats.samples_tensorflow import saved

READER = readers()["coreml"]
SAMPLES = {sample.name: sample for sample in all_samples() if sample.format == "coreml"}
CORPUS = os.environ.get("GAUGENN_CORPUS", "")
needs_corpus = pytest.mark.skipif(
    not CORPUS, reason="set GAUGENN_CORPUS to a folder of real model files"
)
REAL = [
    "coreml/keras2coreml_Dense_ImageNet_small.mlmodel",
    "coreml/onehot_simple.mlmodel",
]


def sample(name: str) -> Model:
    return READER.read(SAMPLES[name].content())


def network(*layers: bytes) -> Model:
    head = described([feature("x", 3, 8, 8)], [feature("y", 3)])
    return READER.read(from_bytes("n.mlmodel", head + block(500, b"".join(layers))))


def named(model: Model, index: int = 0) -> dict[str, Node]:
    return {node.name: node for node in model.graphs[index].nodes}


def test_a_network_has_onnx_operators_and_weights() -> None:
    model = sample("network")
    nodes = named(model)
    assert {name: node.operator for name, node in nodes.items()} == {
        "conv": "Conv",
        "bn": "BatchNormalization",
        "act": "LeakyRelu",
        "dw": "Conv",
        "pool": "AveragePool",
        "flat": "Flatten",
        "fc": "Gemm",
        "prob": "Softmax",
    }
    assert nodes["conv"].attributes["pads"] == (1, 1, 1, 1)
    assert nodes["dw"].attributes["auto_pad"] == "SAME_UPPER"
    assert nodes["act"].attributes["alpha"] == pytest.approx(0.1)
    assert nodes["pool"].attributes["ceil_mode"] == 1
    tensors = model.graphs[0].tensors
    assert tensors["photo"].shape == (1, 3, 16, 16)
    assert tensors["fc.weights"].dtype is DataType.FLOAT16
    quantization = tensors["dw.weights"].quantization
    assert quantization is not None
    assert (quantization.scales, quantization.zero_points) == ((0.5,), (2,))


def test_a_network_is_counted_in_full() -> None:
    record, layers = summarise(sample("network"), model_sha256="0" * 64, size_bytes=1)
    assert record.macs == 8 * 8 * 8 * 27 + 8 * 8 * 8 * 9 + 5 * 128
    assert record.uncounted_nodes == 0
    assert all(each.output_shape is not None for each in layers)


def test_a_blob_that_is_made_anew_is_a_tensor_of_its_own() -> None:
    nodes = named(sample("network"))
    assert nodes["bn"].inputs[0] == "a"
    assert nodes["bn"].outputs != ("a",)
    assert nodes["act"].inputs == nodes["bn"].outputs


def test_branches_are_graphs_that_see_the_tensors_outside() -> None:
    model = sample("branch")
    node = named(model)["if"]
    assert node.attributes["then_branch"] == GraphReference(1)
    assert node.attributes["else_branch"] == GraphReference(2)
    assert model.graphs[1].parent == 0
    assert model.graphs[2].nodes[0].inputs == ("doubled",)
    assert model.graphs[0].tensors["k"].kind is TensorKind.CONSTANT
    assert model.graphs[0].tensors["k"].shape == (1, 3, 1, 1)


def test_a_pipeline_has_a_node_for_each_step() -> None:
    model = sample("pipeline")
    first, second = model.graphs[0].nodes
    assert (first.source_operator, second.source_operator) == ("scaler", "neuralNetworkClassifier")
    assert first.outputs == second.inputs == ("photo#2",)
    assert second.attributes["function"] == GraphReference(1)
    assert model.notes == ("classical-ml",)


@pytest.mark.parametrize(
    "broken",
    [
        layer("c", "x", "y", 100, number(1, 4) + number(2, 3)),
        layer("c", "x", "y", 100, number(1, 4) + number(2, 3) + block(90, block(1, bytes(8)))),
        layer("a", "x", "y", 130),
        layer("none", "x", "y", 99),
        layer("r", "nowhere", "y", 130, block(10, b"")),
    ],
)
def test_a_broken_network_is_a_format_error(broken: bytes) -> None:
    with pytest.raises(FormatError):
        network(broken)


def test_a_program_is_read_with_its_weights_and_costs_what_they_say() -> None:
    sample = SAMPLES["program"]
    model = READER.read(sample.content())
    assert (model.notes, model.companions) == ((), ("weights/weight.bin",))
    assert [c.name for c in READER.companions(sample.content())] == ["weights/weight.bin"]
    main, then, otherwise = model.graphs
    assert [node.operator for node in main.nodes] == [
        *("Conv", "Conv", "If", "ReduceMean", "Gemm", "Softmax")
    ]
    assert main.nodes[2].attributes == {
        "then_branch": GraphReference(1),
        "else_branch": GraphReference(2),
    }
    assert [then.nodes[0].operator, otherwise.nodes[0].operator] == ["Relu", "Tanh"]
    assert {then.parent, otherwise.parent} == {0}
    record, _ = summarise(model, model_sha256="0" * 64, size_bytes=1)
    assert record.macs == 8 * 8 * 8 * 27 + 8 * 8 * 8 * 9 + 16
    assert record.parameters == 8 * 27 + 8 * 9 + 16


def test_packed_weights_of_a_program_are_unpacked_as_their_format_says() -> None:
    tensors = READER.read(SAMPLES["program"].content()).graphs[0].tensors
    bits = "".join(f"{byte:08b}"[::-1] for byte in range(0, 180, 10))
    expected = [int(bits[at : at + 2][::-1], 2) for at in range(0, 144, 2)]
    assert tensors["dw"].array().reshape(-1).tolist() == expected
    quantization = tensors["fw"].quantization
    assert tensors["fw"].dtype is DataType.UINT8
    assert quantization is not None
    assert (quantization.scales, quantization.axis) == ((0.5, 0.25), 0)
    assert quantization.zero_points == (128, 127)


def test_masked_weights_of_a_program_are_dense_and_called_sparse() -> None:
    mask = np.packbits([1, 0, 0, 1, 0, 1, 0, 0], bitorder="little").tobytes()
    made = read_program(
        operation(
            *("constexpr_sparse_to_dense", ("w", tensor_type(FLOAT16, 2, 4))),
            attributes={
                "nonzero_data": raw(FLOAT16, (3,), np.array([1, 2, 3], "<f2").tobytes()),
                "mask": raw(UINT8, (1,), mask),
                "shape": whole(2, 4, dtype=UINT32),
            },
        ),
        operation("linear", ("y", tensor_type(FLOAT16, 1, 2)), x="x", weight="w"),
    )
    weight = made.graphs[0].tensors["w"]
    assert weight.sparse
    assert weight.array().tolist() == [[1, 0, 0, 2], [0, 3, 0, 0]]


def test_weights_that_are_not_unpacked_have_a_shape_and_a_remark() -> None:
    made = read_program(
        operation(
            *("constexpr_blockwise_shift_scale", ("w", tensor_type(FLOAT16, 2, 4))),
            data=raw(UINT8, (2, 4), bytes(8)),
            scale=raw(FLOAT16, (2, 1), bytes(4)),
        ),
        operation("linear", ("y", tensor_type(FLOAT16, 1, 2)), x="x", weight="w"),
    )
    assert made.notes == ("weights-packed",)
    assert made.graphs[0].tensors["w"].shape == (2, 4)


def test_a_program_without_its_weights_file_keeps_their_shapes() -> None:
    sample = SAMPLES["program"]
    model = READER.read(from_bytes("model.mlmodel", sample.data()))
    assert model.notes == ("weights-absent",)
    assert model.graphs[0].tensors["w"].shape == (8, 3, 3, 3)
    assert model.graphs[0].tensors["w"].data is None


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda data: data[:80], "an entry at 64 of weights/weight.bin, which has 80 bytes"),
        (lambda data: data[:64] + b"\0" + data[65:], "no entry begins at byte 64"),
        (lambda data: data[:-300], "432 bytes at 128 of weights/weight.bin, which has"),
        (lambda data: data[:72] + b"\x10" + data[73:], "needs 432 bytes, there are"),
    ],
)
def test_a_weights_file_that_does_not_fit_is_a_format_error(
    change: Callable[[bytes], bytes], told: str
) -> None:
    sample = SAMPLES["program"]
    broken = change(sample.neighbours["weights/weight.bin"])
    content = from_bytes("m.mlmodel", sample.data(), lambda name: from_bytes(name, broken))
    with pytest.raises(FormatError, match=told):
        READER.read(content)


def test_a_value_that_nothing_gives_is_a_format_error() -> None:
    with pytest.raises(FormatError, match="the value 'nowhere' is used and nothing gives it"):
        read_program(operation("relu", ("y", tensor_type(FLOAT16, 1, 4)), x="nowhere"))


def test_a_program_without_a_function_is_a_format_error() -> None:
    data = described([feature("x", 3)], [feature("y", 3)], 7) + block(502, number(1, 1))
    with pytest.raises(FormatError, match="a program without a function"):
        READER.read(from_bytes("p.mlmodel", data))


def read_program(*operations: bytes) -> Model:
    """A program with one function from `x` of four halves to `y`."""
    made = function([("x", tensor_type(FLOAT16, 1, 4))], list(operations), "y")
    return READER.read(from_bytes("p.mlmodel", program(main=made)))


def test_saved_models_of_tensorflow_begin_alike_and_are_not_claimed() -> None:
    assert saved()[:3] == SAMPLES["network"].data()[:1] + b"\x01\x12"
    assert not READER.sniff("x.mlmodel", saved())


def rows() -> list[str]:
    if not CORPUS:
        return []
    with (Path(CORPUS) / "MANIFEST.csv").open(newline="") as file:
        return [row["path"] for row in csv.DictReader(file)]


@needs_corpus
def test_a_real_network_is_counted() -> None:
    model = READER.read(open_file(Path(CORPUS) / REAL[0]))
    record, _ = summarise(model, model_sha256="0" * 64, size_bytes=1)
    assert (record.macs, record.parameters) == (27 * 2, 27 * 2 + 2)


@needs_corpus
def test_only_core_ml_files_are_claimed() -> None:
    def claimed(path: str) -> bool:
        return READER.sniff(path, open_file(Path(CORPUS) / path).head(HEAD_BYTES))

    assert [path for path in rows() if claimed(path)] == REAL
