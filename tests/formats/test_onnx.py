"""The ONNX reader agrees with the `onnx` package, on samples and on real files."""

import json
import os
import re
import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from gaugenn.content import Content, from_bytes, open_file
from gaugenn.errors import FormatError, UnsupportedFormatError
from gaugenn.formats import HEAD_BYTES, _onnx_graphs, identify
from gaugenn.formats import _onnx_attributes as attributes_module
from gaugenn.formats import onnx as reader_module
from gaugenn.formats._onnx_operators import STANDARD_OPERATORS
from gaugenn.formats._protobuf import Message
from gaugenn.formats.onnx import OnnxReader
from gaugenn.graph import (
    ONNX_ELEMENT_TYPES,
    DataType,
    Graph,
    GraphReference,
    LazyBytes,
    Model,
    Node,
    Quantization,
    Tensor,
    TensorKind,
)
from tests.formats import samples_onnx as samples
from tests.formats._protobuf_builder import block
from tests.formats.samples import all_samples

CORPUS = os.environ.get("GAUGENN_CORPUS")
needs_corpus = pytest.mark.skipif(CORPUS is None, reason="GAUGENN_CORPUS names no folder")


def read(made: onnx.ModelProto, **files: bytes) -> Model:
    return read_bytes(made.SerializeToString(), **files)


def read_bytes(data: bytes, **files: bytes) -> Model:
    def neighbour(name: str) -> Content | None:
        found = files.get(name)
        return None if found is None else from_bytes(name, found, neighbour)

    return OnnxReader().read(from_bytes("model.onnx", data, neighbour))


def sample(name: str) -> Model:
    found = next(each for each in all_samples() if each.format == "onnx" and each.name == name)
    return OnnxReader().read(found.content())


def node(graph: Graph, output: str) -> Node:
    return next(each for each in graph.nodes if output in each.outputs)


def protos(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """A graph and the bodies inside it, in the order in which they are met."""
    yield graph
    for each in graph.node:
        for attribute in each.attribute:
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from protos(inner)


def assert_same_array(tensor: Tensor, proto: onnx.TensorProto) -> None:
    assert ONNX_ELEMENT_TYPES[proto.data_type] is tensor.dtype
    assert tensor.shape == tuple(proto.dims)
    expected = numpy_helper.to_array(proto)
    if tensor.dtype is DataType.STRING:
        assert strings(tensor) == [each.encode() for each in expected.reshape(-1)]
    elif tensor.dtype is DataType.FLOAT4_E2M1FN:
        assert bytes(tensor.read()) == packed(expected.view(np.uint8))
    else:
        found = tensor.array()
        assert found.shape == expected.shape
        np.testing.assert_array_equal(found.astype(np.complex128), expected.astype(np.complex128))


def packed(codes: np.ndarray) -> bytes:
    even = np.append(codes.reshape(-1), [0] * (codes.size % 2)).astype(np.uint8)
    return (even[::2] | even[1::2] << 4).tobytes()


def strings(tensor: Tensor) -> list[bytes]:
    data, found = bytes(tensor.read()), []
    while data:
        (size,) = struct.unpack_from("<I", data)
        found.append(data[4 : 4 + size])
        data = data[4 + size :]
    return found


def assert_agrees(model: Model, made: onnx.ModelProto) -> None:
    """Names, order, shapes and weights are those that the `onnx` package sees."""
    assert model.format_version == str(made.ir_version)
    bodies = [graph for graph in model.graphs if graph.name in {p.name for p in protos(made.graph)}]
    for graph, proto in zip(bodies, protos(made.graph), strict=False):
        assert graph.name == proto.name
        held = {t.name for t in proto.initializer} | {
            s.values.name for s in proto.sparse_initializer
        }
        assert graph.inputs == tuple(v.name for v in proto.input if v.name not in held)
        assert graph.outputs == tuple(v.name for v in proto.output)
        assert [each.source_operator for each in graph.nodes] == [n.op_type for n in proto.node]
        for mine, theirs in zip(graph.nodes, proto.node, strict=True):
            assert mine.name == theirs.name
            assert mine.inputs == tuple(theirs.input)
            assert mine.outputs == tuple(theirs.output)
        for initializer in proto.initializer:
            if initializer.data_location != TensorProto.EXTERNAL:
                assert_same_array(graph.tensors[initializer.name], initializer)
        for value in (*proto.input, *proto.output, *proto.value_info):
            tensor = graph.tensors.get(value.name)
            if tensor is not None and tensor.kind is TensorKind.ACTIVATION:
                assert tensor.shape == shape_of(value)


def shape_of(value: onnx.ValueInfoProto) -> tuple[int | str, ...] | None:
    kind = value.type.WhichOneof("value")
    if kind not in ("tensor_type", "sparse_tensor_type"):
        return None
    tensor = getattr(value.type, kind)
    if not tensor.HasField("shape"):
        return None
    return tuple(
        dim.dim_value if dim.HasField("dim_value") and dim.dim_value >= 0 else dim.dim_param or "?"
        for dim in tensor.shape.dim
    )


@pytest.mark.parametrize("name", sorted(samples.MODELS))
def test_samples_agree_with_the_onnx_package(name: str) -> None:
    assert_agrees(sample(name), samples.MODELS[name]())


def test_every_operator_that_the_onnx_package_knows_is_a_standard_operator() -> None:
    known: dict[str, set[str]] = {}
    for schema in onnx.defs.get_all_schemas_with_history():
        known.setdefault(schema.domain, set()).add(schema.name)
    for domain, names in known.items():
        assert names <= STANDARD_OPERATORS[domain], domain


def test_every_element_type_of_the_onnx_package_is_known_but_for_6_bit_floats() -> None:
    numbers = set(TensorProto.DataType.values())
    assert numbers - set(ONNX_ELEMENT_TYPES) == {0, 27, 28}


def test_a_model_carries_its_header() -> None:
    model = sample("convolutions")
    assert model.producer == "samples 1.0"
    assert model.format_version == "10"
    assert model.metadata == {
        "labels": "labels.txt",
        "doc_string": "A classifier.",
        "opset_import.ai.onnx": "21",
    }
    assert model.notes == ()


def test_convolutions_that_leave_their_kernel_to_the_weights_get_it() -> None:
    graph = sample("convolutions").graphs[0]
    assert node(graph, "c1").attributes["kernel_shape"] == (5, 5)
    quantized = sample("quantize_dequantize").graphs[0]
    assert node(quantized, "y").attributes["kernel_shape"] == (3, 3)
    assert node(sample("contributed").graphs[0], "c1").attributes["kernel_shape"] == (3, 3)


def test_weights_are_views_of_the_file_and_results_without_a_shape_have_none() -> None:
    data = samples.convolutions().SerializeToString()
    content = from_bytes("m.onnx", data)
    graph = OnnxReader().read(content).graphs[0]
    weight = graph.tensors["w0"].data
    assert isinstance(weight, memoryview)
    assert weight.obj is content.data.obj
    assert graph.tensors["r0"] == Tensor(name="r0", dtype=DataType.UNKNOWN, shape=None)
    assert graph.tensors["n0"].shape is None
    assert graph.tensors["n0"].dtype is DataType.FLOAT32
    assert graph.tensors["image"].shape == ("batch", 3, "?", 32)


def test_inputs_that_are_weights_as_well_are_no_inputs() -> None:
    graph = sample("old_inputs").graphs[0]
    assert graph.inputs == ("x",)
    assert graph.tensors["w"].kind is TensorKind.CONSTANT


def test_quantize_and_dequantize_nodes_give_their_tensors_scales() -> None:
    tensors = sample("quantize_dequantize").graphs[0].tensors
    scales = (0.5, 0.25, 0.125, 1.0)
    assert tensors["w"].quantization == Quantization(
        scales=scales, zero_points=(0, 1, -2, 3), axis=0
    )
    assert tensors["b"].quantization == Quantization(scales=scales, axis=0)
    assert tensors["xq"].quantization == Quantization(
        scales=(float(np.float32(0.02)),), zero_points=(128,)
    )
    assert tensors["v"].quantization == Quantization(
        scales=(1.0, 2.0, 3.0, 4.0), axis=0, block_size=4
    )
    assert tensors["v"].quantization.granularity == "per_block"
    assert tensors["wd"].quantization is None


def test_quantized_operators_give_their_weights_scales() -> None:
    graph = sample("quantized_operators").graphs[0]
    assert [each.operator for each in graph.nodes] == [
        "QLinearConv", "QLinearAdd", "", "DequantizeLinear", "", "",
    ]  # fmt: skip
    tensors = graph.tensors
    single = Quantization(scales=(0.5,), zero_points=(3,))
    assert tensors["w"].quantization == Quantization(scales=(0.5, 2.0), zero_points=(0, 0), axis=0)
    assert tensors["k"].quantization == single
    assert tensors["y"].quantization == single
    assert tensors["a"].quantization == single
    assert tensors["m"].quantization == Quantization(scales=(1.0, 2.0, 3.0), axis=1)
    assert tensors["n"].quantization is not None
    assert tensors["n"].quantization.axis == 0


def test_scales_that_are_many_are_named_instead_of_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_onnx_graphs, "SCALES_OF_A_TENSOR", 3)
    tensors = sample("quantize_dequantize").graphs[0].tensors
    assert tensors["w"].quantization == Quantization(
        scales=(), axis=0, scales_tensor="ws", zero_points_tensor="wz"
    )
    assert tensors["w"].quantization.granularity == "per_axis"
    assert tensors["xq"].quantization is not None
    assert tensors["xq"].quantization.zero_points == (128,)


def test_scales_that_do_not_fit_their_tensor_are_left_out() -> None:
    made = samples.quantize_dequantize()
    made.graph.node[2].attribute[0].i = 1
    assert read(made).graphs[0].tensors["w"].quantization is None
    made.graph.node[2].attribute[0].i = 9
    assert read(made).graphs[0].tensors["w"].quantization is None


def test_scales_of_8_bit_floats_are_named_whatever_is_installed() -> None:
    nodes = [helper.make_node("DequantizeLinear", ["w", "s"], ["y"], axis=0, block_size=2)]
    scale = numpy_helper.from_array(np.ones((2, 1), dtype=ml_dtypes.float8_e8m0fnu), "s")
    made = samples.model(nodes, [], [samples.value("y", None)],
                         [samples.array("w", 4, 1, dtype="int8"), scale])  # fmt: skip
    assert read(made).graphs[0].tensors["w"].quantization == Quantization(
        scales=(), axis=0, block_size=2, scales_tensor="s"
    )


def test_quantization_annotations_are_read() -> None:
    made = samples.old_inputs()
    made.graph.initializer.append(samples.constant("ws", 0.5, "float32"))
    note = made.graph.quantization_annotation.add(tensor_name="w")
    note.quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="ws")
    assert read(made).graphs[0].tensors["w"].quantization == Quantization(scales=(0.5,))


def test_bodies_are_graphs_that_see_their_parents() -> None:
    model = sample("control_flow")
    names = ["main", "else_branch", "then_branch", "loop_body", "scan_body"]
    assert [graph.name for graph in model.graphs] == names
    assert [graph.parent for graph in model.graphs] == [None, 0, 0, 2, 0]
    branch = node(model.graphs[0], "y").attributes
    assert branch["else_branch"] == GraphReference(1)
    assert branch["then_branch"] == GraphReference(2)
    assert node(model.graphs[2], "looped").attributes["body"] == GraphReference(3)
    assert node(model.graphs[2], "looped").inputs == ("turns", "", "x")
    body = model.graphs[3]
    assert "outer_weight" not in body.tensors
    assert model.find_tensor(body, "outer_weight") is model.graphs[0].tensors["outer_weight"]
    assert model.find_tensor(body, "branch_weight") is model.graphs[2].tensors["branch_weight"]


def test_quantization_is_found_across_bodies() -> None:
    body = helper.make_graph(
        [helper.make_node("DequantizeLinear", ["w", "s"], ["d"])],
        "b",
        [],
        [samples.value("d", None)],
    )
    made = samples.model(
        [helper.make_node("If", ["c"], ["y"], then_branch=body, else_branch=body)],
        [samples.value("c", [], samples.BOOL)],
        [samples.value("y", None)],
        [samples.array("w", 4, dtype="int8"), samples.constant("s", 0.5, "float32")],
    )
    assert read(made).graphs[0].tensors["w"].quantization == Quantization(scales=(0.5,))


def test_external_data_is_a_view_of_the_other_file() -> None:
    model = sample("external_data")
    assert model.companions == ("data/w.bin",)
    assert model.notes == ()
    weight = model.graphs[0].tensors["w"].array()
    np.testing.assert_array_equal(weight, np.arange(12, dtype=np.float32).reshape(3, 4))
    assert bytes(model.graphs[0].tensors["k"].read()) == bytes(range(64))


def test_missing_external_data_leaves_weights_without_bytes() -> None:
    model = read(samples.external_data())
    assert model.companions == ()
    assert model.notes == ("weights-absent",)
    assert model.graphs[0].tensors["w"].data is None
    assert model.graphs[0].tensors["w"].shape == (3, 4)


@pytest.mark.parametrize(
    "location", ["../secret", "/etc/passwd", "C:\\secret", "a/../../secret", "", "a\0b"]
)
def test_external_data_outside_the_folder_counts_as_missing(tmp_path: Path, location: str) -> None:
    (tmp_path / "secret").write_bytes(bytes(1000))
    folder = tmp_path / "folder"
    folder.mkdir()
    made = samples.external_data()
    for tensor in made.graph.initializer:
        tensor.external_data[0].value = location
    (folder / "m.onnx").write_bytes(made.SerializeToString())
    content = open_file(folder / "m.onnx")
    assert OnnxReader().read(content).notes == ("weights-absent",)
    assert OnnxReader().companions(content) == ()


@pytest.mark.parametrize(
    ("key", "text", "message"),
    [
        ("offset", "65", "1 are missing"),
        ("offset", str(2**62), "are missing"),
        ("offset", "-1", "no count of bytes"),
        ("offset", "9" * 30, "no count of bytes"),
        ("length", "1e3", "no count of bytes"),
        ("length", "47", "needs 48 bytes, the file holds 47"),
    ],
)
def test_external_data_outside_its_file_is_a_format_error(
    key: str, text: str, message: str
) -> None:
    made = samples.external_data()
    entry = next(each for each in made.graph.initializer[0].external_data if each.key == key)
    entry.value = text
    with pytest.raises(FormatError, match=message):
        read(made, **{"data/w.bin": samples.EXTERNAL_DATA})


def test_companions_are_found_in_bodies_constants_and_compiled_contexts() -> None:
    inner = samples.external_data()
    inner.graph.node.append(
        helper.make_node("Constant", [], ["c"], value=inner.graph.initializer[0])
    )
    inner.graph.node[-1].attribute[0].t.external_data[0].value = "./c.bin"
    context = samples.contributed().graph.node[-2]
    wrapped = samples.model(
        [helper.make_node("Loop", ["n"], ["y"], body=inner.graph), context], [], []
    )
    files = {"data/w.bin": b"", "c.bin": b"", "blob.bin": b""}

    def neighbour(name: str) -> Content | None:
        # Mapped files carry their whole path as their name.
        return from_bytes(f"/folder/{name}", files[name]) if name in files else None

    content = from_bytes("m.onnx", wrapped.SerializeToString(), neighbour)
    found = OnnxReader().companions(content)
    assert [each.name for each in found] == sorted(files)
    assert OnnxReader().companions(from_bytes("m.onnx", b"\x3a\xff", neighbour)) == ()


def test_functions_are_graphs_one_for_each_set_of_attribute_values() -> None:
    model = sample("functions")
    main = model.graphs[0]
    called = {each.outputs[0]: each.attributes["function"] for each in main.nodes}
    assert called["h0"] == called["h1"]
    assert len(set(called.values())) == 4
    assert all(each.operator == "" for each in main.nodes)

    def slope(output: str) -> object:
        reference = called[output]
        assert isinstance(reference, GraphReference)
        return model.graphs[reference.index].nodes[0].attributes.get("alpha")

    assert slope("h0") == pytest.approx(0.1)
    assert slope("h2") == pytest.approx(0.3)
    assert slope("h3") is None
    reference = called["y"]
    assert isinstance(reference, GraphReference)
    twice = model.graphs[reference.index]
    assert (twice.name, twice.parent) == ("local::Twice", None)
    assert (twice.inputs, twice.outputs) == (("p",), ("r",))
    assert twice.tensors["two"].array() == np.float32(2)
    inner = twice.nodes[0].attributes["function"]
    assert isinstance(inner, GraphReference)
    assert model.graphs[inner.index].nodes[0].attributes["alpha"] == 0.5
    assert model.graphs[-1].name == "local::Unused"


def test_the_order_of_fields_does_not_matter() -> None:
    made = samples.functions()
    assert read(made).graphs == sample("functions").graphs


def test_a_function_that_calls_itself_is_a_format_error() -> None:
    made = samples.functions()
    made.functions[0].node.append(helper.make_node("Twice", ["b"], ["c"], domain="local"))
    with pytest.raises(FormatError, match="calls itself"):
        read(made)


def test_functions_called_again_and_again_do_not_explode(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each function calls the next twice with two values of its own: 2**30 instances."""
    monkeypatch.setattr(reader_module, "GRAPH_LIMIT", 100)
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("local", 1)]
    functions = []
    for level in range(30):
        calls = []
        for turn in range(2):
            call = helper.make_node(f"F{level + 1}", ["a"], [f"b{turn}"], domain="local", turn=turn)
            call.attribute.append(
                onnx.AttributeProto(name="t", ref_attr_name="t", type=onnx.AttributeProto.TENSOR)
            )
            calls.append(call)
        functions.append(
            helper.make_function("local", f"F{level}", ["a"], ["b0"], calls, opsets, ["turn", "t"])
        )
    first = helper.make_node("F0", ["x"], ["y"], domain="local", turn=0, t=samples.array("", 1))
    made = samples.model(
        [first], [samples.value("x", [1])], [samples.value("y", [1])], domains=["local"],
        functions=functions,
    )  # fmt: skip
    with pytest.raises(FormatError, match="more than 100 graphs"):
        read(made)


def test_bodies_may_nest_up_to_a_limit() -> None:
    node_bytes = bytes(helper.make_node("Identity", ["x"], ["y"]).SerializeToString())
    for depth in range(50):
        body = block(1, node_bytes) + block(2, b"body")
        attribute = block(1, b"then_branch") + block(6, body)
        node_bytes = block(2, b"y") + block(4, b"If") + block(5, attribute)
        data = samples.old_inputs().SerializeToString() + block(7, block(1, node_bytes))
        if depth < 30:
            assert len(read_bytes(data).graphs) == depth + 2
    with pytest.raises(FormatError, match="nest deeper than 100"):
        read_bytes(data)


def test_functions_may_call_each_other_up_to_a_depth() -> None:
    def chain(length: int) -> onnx.ModelProto:
        opsets = [helper.make_opsetid("", 21), helper.make_opsetid("local", 1)]
        calls = [helper.make_node(f"F{i}", ["x"], ["y"], domain="local") for i in range(length)]
        calls.append(helper.make_node("Neg", ["x"], ["y"]))
        functions = [
            helper.make_function("local", f"F{i}", ["x"], ["y"], [calls[i + 1]], opsets)
            for i in range(length)
        ]
        x, y = samples.value("x", [1]), samples.value("y", [1])
        return samples.model([calls[0]], [x], [y], domains=["local"], functions=functions)

    assert len(read(chain(30)).graphs) == 31
    with pytest.raises(FormatError, match="nest deeper than 40"):
        read(chain(50))


def test_every_element_type_is_read_from_raw_bytes_and_from_typed_fields() -> None:
    tensors = sample("element_types").graphs[0].tensors
    for name in samples.ELEMENT_TYPES.values():
        assert tensors[f"typed_{name}"].shape == (5,)
        if name != "STRING":
            assert bytes(tensors[f"raw_{name}"].read()) == bytes(tensors[f"typed_{name}"].read())
    assert isinstance(tensors["typed_FLOAT"].data, memoryview)
    assert isinstance(tensors["typed_INT32"].data, LazyBytes)
    assert tensors["scalar"].shape == ()
    assert tensors["empty"].data is not None
    assert sample("element_types").notes == ()


def test_an_unknown_element_type_is_noted_and_keeps_its_bytes() -> None:
    made = samples.old_inputs()
    made.graph.initializer[0].data_type = 28
    model = read(made)
    assert model.notes == ("unknown-element-type",)
    assert model.graphs[0].tensors["w"].dtype is DataType.UNKNOWN
    assert model.graphs[0].tensors["w"].data is not None


def test_a_weight_whose_bytes_were_stripped_is_noted() -> None:
    made = samples.old_inputs()
    made.graph.initializer[0].ClearField("raw_data")
    model = read(made)
    assert model.notes == ("weights-absent",)
    assert model.graphs[0].tensors["w"].shape == (4, 3, 1, 1)


def test_constant_nodes_stay_and_their_results_are_weights() -> None:
    graph = sample("constants").graphs[0]
    assert Counter(each.operator for each in graph.nodes) == {"Constant": 8, "MatMul": 1}
    tensors = graph.tensors
    assert all(
        tensors[each.outputs[0]].kind is TensorKind.CONSTANT
        for each in graph.nodes
        if each.operator == "Constant"
    )
    assert tensors["value"].name == "value"
    assert_same_array(tensors["value"], samples.array("", 3, 4))
    assert tensors["sparse_value"].sparse
    assert tensors["sparse_value"].array().reshape(-1).tolist() == dense({0: 1, 5: 2, 11: 3}, 12)
    assert tensors["value_float"].array() == np.float32(0.5)
    assert tensors["value_floats"].array().tolist() == [1.0, 2.0]
    assert tensors["value_int"].array() == 7
    assert tensors["value_int"].dtype is DataType.INT64
    assert tensors["value_ints"].array().tolist() == [1, -2, 3]
    assert strings(tensors["value_string"]) == [b"text"]
    assert tensors["value_string"].shape == ()
    assert strings(tensors["value_strings"]) == [b"a", b"bc"]


def dense(values: dict[int, float], size: int) -> list[float]:
    return [values.get(index, 0.0) for index in range(size)]


def test_operators_of_other_domains_are_named_only_where_their_meaning_is_the_same() -> None:
    model = sample("contributed")
    graph = model.graphs[0]
    assert [each.operator for each in graph.nodes] == [
        *("Conv", "Conv", "Gemm", "MatMul", "MatMul", "Gelu", "", "", "RMSNormalization", "", ""),
        "Relu",
    ]
    fused = node(graph, "c0").attributes
    assert (fused["fused_activation"], fused["fused_min"], fused["fused_max"]) == ("Clip", 0.0, 6.0)
    assert "activation" not in fused
    assert node(graph, "c0").inputs == ("x", "w", "b", "z")
    assert node(graph, "c1").attributes["fused_activation"] == "Relu"
    assert node(graph, "g2").attributes["alpha"] == 0.5
    assert node(graph, "g3").attributes["transB"] == 1
    assert node(graph, "g4").attributes["approximate"] == "tanh"
    assert node(graph, "y").domain == ""
    assert node(graph, "g6").domain == "com.microsoft"


def test_a_compiled_context_is_noted_with_its_file() -> None:
    model = sample("contributed")
    assert model.notes == ("accelerator-blob",)
    assert model.companions == ("blob.bin",)


def test_a_context_inside_the_file_is_a_tensor_not_a_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attributes_module, "ATTRIBUTE_LIMIT", 100)
    context = helper.make_node("EPContext", ["x"], ["y"], domain="com.microsoft", embed_mode=1,
                               ep_cache_context=bytes(200), floats=[0.5] * 101,
                               ints=[*range(100), -1])  # fmt: skip
    made = samples.model([context], [samples.value("x", [1])], [samples.value("y", [1])])
    found = read(made).graphs[0].nodes[0].attributes
    blob, floats, ints = (found[name] for name in ("ep_cache_context", "floats", "ints"))
    assert isinstance(blob, Tensor)
    assert isinstance(blob.data, memoryview)
    assert blob.shape == (200,)
    assert isinstance(floats, Tensor)
    assert floats.array().tolist() == [0.5] * 101
    assert isinstance(ints, Tensor)
    assert ints.array().tolist() == [*range(100), -1]


def test_sparse_weights_unfold_to_what_they_stand_for() -> None:
    tensors = sample("sparse_weights").graphs[0].tensors
    assert tensors["w"].sparse
    assert tensors["w"].array().reshape(-1).tolist() == dense({0: 1, 5: -2, 11: 3}, 12)
    assert tensors["v"].array().reshape(-1).tolist() == dense({1: 4, 6: 5}, 8)


@pytest.mark.parametrize("index", [12, -1, 2**62])
def test_a_sparse_index_outside_the_tensor_is_a_format_error(index: int) -> None:
    made = samples.sparse_weights()
    made.graph.sparse_initializer[0].indices.CopyFrom(samples.constant("", [0, 5, index], "int64"))
    made.graph.sparse_initializer[1].indices.CopyFrom(
        samples.constant("", [[0, 1], [3, index]], "int64")
    )
    tensors = read(made).graphs[0].tensors
    for name in ("w", "v"):
        with pytest.raises(FormatError, match="index outside"):
            tensors[name].read()


def test_a_sparse_tensor_that_would_unfold_to_too_much_is_a_format_error() -> None:
    made = samples.sparse_weights()
    made.graph.sparse_initializer[0].dims[:] = [2**20, 2**20]
    with pytest.raises(FormatError, match="would unfold to 4398046511104 bytes"):
        read(made)


def test_every_kind_of_attribute_is_read() -> None:
    model = sample("attributes")
    found = dict(model.graphs[0].nodes[0].attributes)
    named = found.pop("a_tensor")
    assert isinstance(named, Tensor)
    assert_same_array(named, samples.array("named", 2))
    assert [found.pop(f"tensors[{i}]") for i in range(2)] == [
        Tensor(name="tensors", dtype=DataType.FLOAT32, shape=(size,), kind=TensorKind.CONSTANT)
        for size in (2, 3)
    ]
    assert found == {
        "a_float": 0.5,
        "an_int": -3,
        "a_text": "text",
        "some_bytes": b"\xff\xfe\x00",
        "a_graph": GraphReference(1),
        "graphs[0]": GraphReference(2),
        "graphs[1]": GraphReference(3),
        "floats": (1.0, -2.5),
        "ints": (1, -2),
        "texts": ("a", "b"),
        "a_type": "sequence(float32[1, n])",
        "types[0]": "sequence(float32[1, n])",
        "types[1]": "int64",
        "no_ints": (),
        "untyped": 4,
    }
    assert model.graphs[0].nodes[0].domain == "custom"


def test_values_that_are_no_tensors_have_no_shape() -> None:
    tensors = sample("other_types").graphs[0].tensors
    for name in ("sequence", "optional", "mapping"):
        assert (tensors[name].dtype, tensors[name].shape) == (DataType.VARIANT, None)
    assert (tensors["sparse"].dtype, tensors["sparse"].shape) == (DataType.FLOAT32, (3,))
    assert tensors["scalar"].shape == ()
    assert tensors["unranked"].shape is None
    assert tensors["dynamic"].shape == ("?", "n", "?", 0)


def test_classical_models_are_noted() -> None:
    model = sample("classical")
    assert model.notes == ("classical-ml",)
    assert model.graphs[0].nodes[0].operator == "Scaler"


def test_training_graphs_follow_the_main_graph_and_see_its_weights() -> None:
    model = sample("training")
    assert model.notes == ("training-graph",)
    assert [(graph.name, graph.parent) for graph in model.graphs] == [("main", None), ("step", 0)]


def test_a_file_without_its_required_fields_is_a_format_error() -> None:
    for field, message in (
        ("ir_version", "must state its ir_version"),
        ("graph", "must have a graph"),
        ("opset_import", "must import an operator set"),
    ):
        made = samples.old_inputs()
        made.ClearField(field)
        with pytest.raises(FormatError, match=message):
            read(made)


def test_a_node_without_an_operator_is_a_format_error() -> None:
    made = samples.old_inputs()
    made.graph.node[0].ClearField("op_type")
    with pytest.raises(FormatError, match=r"ModelProto\.graph\.node\[0\] at byte \d+: .* op_type"):
        read(made)


def test_an_edge_to_nowhere_is_a_format_error() -> None:
    made = samples.old_inputs()
    made.graph.node[0].input[0] = "nowhere"
    with pytest.raises(FormatError, match="'nowhere', which is not defined"):
        read(made)


@pytest.mark.parametrize(
    ("dims", "message"),
    [
        ([4, 3, 1, 2], "needs 96 bytes, the file holds 48"),
        ([-1], "impossible"),
        ([1] * 65, "impossible"),
    ],
)
def test_weights_of_impossible_sizes_are_format_errors(dims: list[int], message: str) -> None:
    made = samples.old_inputs()
    made.graph.initializer[0].dims[:] = dims
    with pytest.raises(FormatError, match=message):
        read(made)


def test_tensors_in_segments_are_not_supported() -> None:
    made = samples.old_inputs()
    made.graph.initializer[0].segment.begin = 1
    with pytest.raises(UnsupportedFormatError, match="segments"):
        read(made)


def test_a_truncated_file_tells_how_much_is_missing() -> None:
    data = samples.convolutions().SerializeToString()
    cut = data[: len(data) // 2]
    with pytest.raises(FormatError, match="past the end of the file") as caught:
        read_bytes(cut)
    found = re.search(r"(\d+) bytes or more", str(caught.value))
    assert found is not None
    assert len(data) - 200 < len(cut) + int(found[1]) <= len(data)


def test_a_long_description_before_the_graph_needs_the_suffix() -> None:
    made = samples.old_inputs()
    made.doc_string = "words " * 1000
    head = made.SerializeToString()[:HEAD_BYTES]
    assert OnnxReader().sniff("model.onnx", head)
    assert not OnnxReader().sniff("model.bin", head)
    made.doc_string = "words"
    assert OnnxReader().sniff("model.bin", made.SerializeToString()[:HEAD_BYTES])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x08\x07",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n",
        b"<!DOCTYPE html><html></html>",
        bytes(HEAD_BYTES),
        # TensorFlow: a saved model, a graph.
        b"\x08\x01" + block(2, block(1, block(5, b"serve")) + block(2, block(1, block(1, b"x")))),
        block(1, block(1, b"x") + block(2, b"Placeholder")) * 3,
        # Core ML: version, description, neural network (field 500).
        b"\x08\x01" + block(2, block(1, block(1, b"image"))) + block(500, block(1, b"x")),
        b"\x08\x04" + block(2, b"") + block(500, block(1, b"x")),
        # Caffe: name, layers.
        block(1, b"net") + block(100, block(1, b"data") + block(2, b"Input")),
        # A tensor on its own, as in the test data beside ONNX models.
        b"\x08\x03\x10\x01" + block(9, bytes(12)),
        # Right outside, wrong inside: a graph whose node has no operator.
        b"\x08\x07" + block(7, block(1, block(1, b"x") + block(2, b"y"))),
        b"\x08\x07" + block(7, b"\x08\x01"),
    ],
)
def test_other_files_are_not_claimed(data: bytes) -> None:
    assert not OnnxReader().sniff("model.onnx", data[:HEAD_BYTES])
    with pytest.raises(FormatError):
        read_bytes(data)


# Real files


CONSTANTS_FOLDED = "it shows constants as weights, not as nodes"
DIFFERENCES_FROM_NETRON: dict[str, tuple[dict[str, int], str]] = {
    "attention_past_state.u8s8.onnx": ({"Constant": 42}, CONSTANTS_FOLDED),
    "cnn_mnist_pytorch.onnx": ({"Constant": 1}, CONSTANTS_FOLDED),
    "pytorch_superresolution_with_pre_post_processing_op18.onnx": (
        {"Constant": 23},
        CONSTANTS_FOLDED,
    ),
    "version-RFB-320.onnx": ({"Constant": 31}, CONSTANTS_FOLDED),
}
"""Nodes of the main graph that the reader has and Netron's list lacks, by file, with the reason."""


def corpus_files() -> list[Path]:
    if CORPUS is None:
        return []
    return [*sorted(Path(CORPUS, "onnx").glob("*.onnx")), Path(CORPUS, "tengine", "mnist.onnx")]


def oracle() -> dict[str, dict[str, int]]:
    lines = Path(str(CORPUS), "NETRON_ORACLE.jsonl").read_text().splitlines()
    return {each["file"]: each["ops"] for each in map(json.loads, lines) if "ops" in each}


@needs_corpus
def test_the_corpus_is_there() -> None:
    assert len(corpus_files()) >= 15


@pytest.mark.parametrize("path", corpus_files(), ids=lambda path: path.name)
def test_real_files_agree_with_the_onnx_package_and_with_netron(path: Path) -> None:
    content = open_file(path)
    assert identify(content).formats == ("onnx",)
    model = OnnxReader().read(content)
    made = onnx.load(path, load_external_data=False)
    assert_agrees(model, made)
    theirs = Counter(n.op_type for graph in protos(made.graph) for n in graph.node)
    assert Counter(n.source_operator for graph in model.graphs for n in graph.nodes) == theirs
    expected = Counter(oracle()[f"{path.parent.name}/{path.name}"])
    more, _ = DIFFERENCES_FROM_NETRON.get(path.name, ({}, ""))
    mine = Counter(each.source_operator for each in model.graphs[0].nodes)
    assert mine == expected + Counter(more)


@needs_corpus
def test_no_other_file_of_the_corpus_is_claimed() -> None:
    claimed = {
        path.relative_to(str(CORPUS)).as_posix()
        for path in sorted(Path(str(CORPUS)).rglob("*"))
        if path.is_file() and OnnxReader().sniff(path.name, open_file(path).head(HEAD_BYTES))
    }
    real = {path.relative_to(str(CORPUS)).as_posix() for path in corpus_files()}
    assert claimed - real == {"adversarial/onnx_truncated.onnx"}


@needs_corpus
def test_the_truncated_file_of_the_corpus_tells_what_is_missing() -> None:
    with pytest.raises(FormatError, match="970723 bytes or more are missing"):
        OnnxReader().read(open_file(Path(str(CORPUS), "adversarial", "onnx_truncated.onnx")))


@pytest.mark.parametrize("kind", ["graph", "function"])
def test_an_input_without_a_name_is_a_format_error(kind: str) -> None:
    made = samples.functions()
    if kind == "graph":
        made.graph.input[0].name = ""
    else:
        made.functions[0].input[0] = ""
    with pytest.raises(FormatError, match=f"a {kind} input without a name"):
        read(made)


def test_more_nodes_than_a_graph_can_have_are_refused_before_they_are_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    many = helper.make_graph(
        [helper.make_node("Relu", ["x"], [f"y{i}"]) for i in range(60)],
        "many",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y59", TensorProto.FLOAT, [1])],
    )
    made = helper.make_model(many)
    monkeypatch.setattr(reader_module, "ITEM_LIMIT", 62)
    assert len(read(made).graphs[0].nodes) == 60
    monkeypatch.setattr(reader_module, "ITEM_LIMIT", 61)
    with pytest.raises(FormatError, match="more than 61 nodes, weights and values"):
        read(made)


def test_plain_parts_say_the_same_as_whole_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    for each in all_samples():
        if each.format != "onnx":
            continue
        fast = OnnxReader().read(each.content())
        with monkeypatch.context() as patched:
            patched.setattr(Message, "outline", lambda *_: None)
            for name in ("short_messages", "outlines"):
                patched.setattr(Message, name, lambda self, field: iter([None] * self.count(field)))
            slow = OnnxReader().read(each.content())
        assert fast == slow
        for fast_graph, slow_graph in zip(fast.graphs, slow.graphs, strict=True):
            for name, tensor in fast_graph.tensors.items():
                other = slow_graph.tensors[name]
                assert (tensor.data is None) == (other.data is None)
                assert tensor.data is None or bytes(tensor.read()) == bytes(other.read())
