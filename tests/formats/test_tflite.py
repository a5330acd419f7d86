"""The TensorFlow Lite reader: what it finds in each kind of file."""

import struct
from collections.abc import Callable

import numpy as np
import pytest

from gaugenn.content import from_bytes
from gaugenn.errors import FormatError, UnsupportedFormatError
from gaugenn.formats.tflite import TfliteReader
from gaugenn.graph import (
    DataType,
    GraphReference,
    Layout,
    LazyBytes,
    Model,
    Tensor,
    TensorKind,
)
from tests.formats._flatbuffer_builder import Fields
from tests.formats.samples import Sample, all_samples
from tests.formats.samples_tflite import (
    BOOL,
    FLOAT16,
    INT8,
    INT32,
    File,
    blockwise_file,
    control_flow_file,
    convolution,
    external_file,
    float_file,
    floats,
    integers,
    quantized_file,
    sparse_file,
    stripped,
)

READER = TfliteReader()
SAMPLES = {sample.name: sample for sample in all_samples() if sample.format == "tflite"}


def sample(name: str) -> tuple[Sample, Model]:
    found = SAMPLES[name]
    return found, READER.read(found.content())


def read(file: File | bytes) -> Model:
    data = file if isinstance(file, bytes) else file.data()
    return READER.read(from_bytes("model.tflite", data))


def constant(model: Model, name: str, graph: int = 0) -> Tensor:
    return model.graphs[graph].tensors[name]


def test_a_float_network_is_read_in_onnx_terms() -> None:
    _, model = sample("float")
    graph = model.graphs[0]
    assert (model.format, model.format_version, model.producer) == ("tflite", "3", "MLIR")
    assert graph.layout is Layout.CHANNELS_LAST
    assert (graph.inputs, graph.outputs) == (("image",), ("scores",))
    assert [node.source_operator for node in graph.nodes] == [
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "RESHAPE",
        "FULLY_CONNECTED",
    ]
    conv, depthwise, reshape, dense = graph.nodes
    assert conv.operator == "Conv"
    assert conv.inputs == ("image", "kernel", "bias")
    assert conv.attributes == {
        "kernel_shape": (3, 3),
        "output_channels": 4,
        "strides": (2, 2),
        "dilations": (1, 1),
        "group": 1,
        "auto_pad": "SAME_UPPER",
        "fused_activation": "Clip",
        "fused_min": 0.0,
        "fused_max": 6.0,
    }
    assert depthwise.operator == "Conv"
    assert depthwise.inputs == ("first", "deep", "")
    assert depthwise.attributes["group"] == 4
    assert depthwise.attributes["output_channels"] == 8
    assert depthwise.attributes["auto_pad"] == "VALID"
    assert depthwise.attributes["fused_activation"] == "Relu"
    assert (reshape.operator, reshape.inputs) == ("Reshape", ("second", "shape"))
    assert (dense.operator, dense.attributes["transB"]) == ("Gemm", 1)


def test_weights_are_views_of_the_file() -> None:
    found, _ = sample("float")
    content = found.content()
    model = READER.read(content)
    kernel = constant(model, "kernel")
    assert kernel.kind is TensorKind.CONSTANT
    assert isinstance(kernel.data, memoryview)
    assert kernel.data.obj is content.data.obj
    assert kernel.array().shape == (4, 3, 3, 3)
    assert float(kernel.array().reshape(-1)[5]) == 2.5
    assert constant(model, "image").kind is TensorKind.ACTIVATION


def test_repeated_and_empty_tensor_names_become_unique() -> None:
    _, model = sample("int8_per_channel")
    assert list(model.graphs[0].tensors) == ["image", "#1", "image#2", "result"]
    assert model.graphs[0].nodes[0].inputs == ("image", "#1", "image#2")


def test_quantisation_by_tensor_and_by_axis_is_read() -> None:
    _, model = sample("int8_per_channel")
    image = constant(model, "image").quantization
    kernel = constant(model, "#1").quantization
    assert image is not None
    assert kernel is not None
    assert (image.scales, image.zero_points, image.axis) == ((0.5,), (0,), None)
    assert kernel.scales == (0.25, 0.5, 1.0)
    assert (kernel.axis, kernel.granularity) == (0, "per_axis")


def test_a_bias_quantised_along_its_weights_axis_is_quantised_along_its_own() -> None:
    _, model = sample("int8_per_channel")
    bias = constant(model, "image#2").quantization
    assert bias is not None
    assert bias.axis == 0


def test_scales_that_fit_no_axis_are_a_format_error() -> None:
    file = File()
    file.graph().tensor("kernel", (2, 2), INT8, data=bytes(4), scales=(0.5, 0.5, 0.5), axis=1)
    with pytest.raises(FormatError, match=r"\(2, 2\) has 3 scales along dimension 1"):
        read(file)


def test_block_scales_are_named_not_copied() -> None:
    _, model = sample("int4_blockwise")
    weights = constant(model, "weights")
    assert weights.dtype is DataType.INT4
    assert weights.array().shape == (4, 64)
    quantization = weights.quantization
    assert quantization is not None
    assert quantization.granularity == "per_block"
    assert (quantization.axis, quantization.block_size) == (1, 32)
    assert (quantization.scales, quantization.scales_tensor) == ((), "scales")
    assert quantization.zero_points_tensor == ""


def test_multi_axis_quantisation_names_its_tensors() -> None:
    file = File()
    graph = file.graph()
    scales = graph.tensor("scales", (3,), data=floats(3))
    zeros = graph.tensor("zeros", (3,), INT32, data=integers(0, 0, 0))
    details: Fields = {
        0: ("i32", scales),
        1: ("i32", zeros),
        2: ("i32", 0),
        3: ("[i32]", (1,)),
    }
    more: Fields = {4: {4: ("u8", 3), 5: details}}
    graph.tensor("weights", (2, 3), INT8, data=bytes(6), more=more)
    quantization = constant(read(file), "weights").quantization
    assert quantization is not None
    assert (quantization.granularity, quantization.axis) == ("per_axis", 1)
    assert (quantization.scales_tensor, quantization.zero_points_tensor) == ("scales", "zeros")


@pytest.mark.parametrize(("scales", "zeros"), [(7, -1), (-1, -1), (0, 7), (0, -2)])
def test_scales_in_a_tensor_that_is_not_there_are_a_format_error(scales: int, zeros: int) -> None:
    file = File()
    graph = file.graph()
    graph.tensor("scales", (3,), data=floats(3))
    details: Fields = {0: ("i32", scales), 1: ("i32", zeros), 2: ("i32", 32)}
    graph.tensor("weights", (2, 64), INT8, more={4: {4: ("u8", 2), 5: details}})
    with pytest.raises(FormatError, match="takes its scales from tensor"):
        read(file)


def test_branches_and_loops_refer_to_their_graphs() -> None:
    _, model = sample("control_flow")
    once, branch, loop = model.graphs[0].nodes
    assert [graph.name for graph in model.graphs] == [
        "main",
        "then",
        "else",
        "cond",
        "body",
        "init",
    ]
    assert (once.operator, once.attributes) == ("", {"init": GraphReference(5)})
    assert branch.operator == "If"
    assert branch.inputs == ("flag", "start")
    assert branch.attributes == {
        "then_branch": GraphReference(1),
        "else_branch": GraphReference(2),
    }
    assert loop.operator == "Loop"
    assert loop.inputs == ("", "", "chosen")
    assert loop.attributes == {"cond": GraphReference(3), "body": GraphReference(4)}
    assert all(graph.parent is None for graph in model.graphs)
    handle = constant(model, "handle", 5)
    assert (handle.dtype, handle.kind) == (DataType.RESOURCE, TensorKind.ACTIVATION)


def test_a_graph_that_calls_itself_is_a_format_error() -> None:
    file = control_flow_file()
    body = file.graphs[4]
    body.operator("WHILE", (0,), (1,), (93, {0: ("i32", 3), 1: ("i32", 4)}))
    with pytest.raises(FormatError, match="call themselves"):
        read(file)


def test_a_call_of_a_graph_that_is_not_there_is_a_format_error() -> None:
    file = File()
    file.graph().operator("CALL_ONCE", (), (), (103, {0: ("i32", -1)}))
    with pytest.raises(FormatError, match="sub-graph -1 is called; there are 1"):
        read(file)


def test_sparse_weights_are_decoded_when_asked_for() -> None:
    _, model = sample("sparse")
    weights = constant(model, "weights")
    assert weights.sparse
    assert isinstance(weights.data, LazyBytes)
    assert weights.array().tolist() == [
        [0, 0, 1, 2],
        [0, 0, 3, 4],
        [5, 6, 0, 0],
        [7, 8, 0, 0],
    ]
    assert model.graphs[0].nodes[0].source_operator == "DENSIFY"


def sparse_with(change: Callable[[dict[int, object]], None], shape: tuple[int, ...]) -> File:
    file = sparse_file()
    tensor = dict(file.graphs[0].tensors[0])
    sparsity = dict(tensor[6])  # type: ignore[arg-type]
    change(sparsity)
    tensor[6] = sparsity
    tensor[0] = ("[i32]", shape)
    file.graphs[0].tensors[0] = tensor
    return file


@pytest.mark.parametrize(
    ("shape", "message"),
    [((4, 5), "do not divide"), ((4, 8192, 8192), "is not one of"), ((2, 4), "expected 1")],
)
def test_a_sparse_index_of_another_shape_is_a_format_error(
    shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(FormatError, match=message):
        read(sparse_with(lambda _: None, shape))


def test_a_sparse_bomb_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(FormatError, match="32 stored bytes claim to be"):
        read(sparse_with(lambda _: None, (1 << 14, 1 << 14)))


@pytest.mark.parametrize("segments", [(0, 1, 3), (0, 2, 1), (1, 1, 2), (0, 2)])
def test_a_sparse_index_whose_rows_do_not_fit_is_a_format_error(segments: tuple[int, ...]) -> None:
    def change(sparsity: dict[int, object]) -> None:
        first, second, *rest = sparsity[2]  # type: ignore[misc]
        sparsity[2] = [first, {**second, 3: {0: bytes(segments)}}, *rest]

    weights = constant(read(sparse_with(change, (4, 4))), "weights")
    with pytest.raises(FormatError, match="rows of sparse dimension 1 do not fit"):
        weights.read()


def test_sparse_indices_outside_their_dimension_are_a_format_error() -> None:
    def change(sparsity: dict[int, object]) -> None:
        first, second, *rest = sparsity[2]  # type: ignore[misc]
        sparsity[2] = [first, {**second, 5: {0: ("[u16]", (2, 0))}}, *rest]

    weights = constant(read(sparse_with(change, (4, 4))), "weights")
    with pytest.raises(FormatError, match="sparse dimension 1 leaves 2"):
        weights.read()


def test_weights_of_another_file_are_found_beside_the_model() -> None:
    found, model = sample("external_weights")
    assert model.companions == ("weights.bin",)
    assert constant(model, "weights").array().reshape(-1).tolist() == [0.5 * i for i in range(8)]
    assert [c.name for c in READER.companions(found.content())] == ["weights.bin"]
    assert model.notes == ()


def test_external_weights_that_are_not_there_leave_the_graph_readable() -> None:
    model = read(external_file())
    weights = constant(model, "weights")
    assert (weights.kind, weights.data, weights.shape) == (TensorKind.CONSTANT, None, (2, 4))
    assert model.notes == ("weights-absent",)
    assert model.companions == ()


def test_external_weights_in_a_packing_of_their_own_are_not_taken_for_plain_ones() -> None:
    file = external_file("xnnpack")
    content = from_bytes(
        "m.tflite", file.data(), lambda _: from_bytes("weights.bin", bytes(4) + floats(8))
    )
    model = READER.read(content)
    assert constant(model, "weights").data is None
    assert model.notes == ("weights-packed",)


def test_external_weights_that_leave_their_file_are_a_format_error() -> None:
    content = from_bytes(
        "m.tflite", external_file().data(), lambda _: from_bytes("weights.bin", bytes(20))
    )
    with pytest.raises(FormatError, match=r"weights.bin: tensor 'weights' lies at 4 and takes 32"):
        READER.read(content)


def test_a_name_that_climbs_out_of_the_folder_is_no_companion() -> None:
    file = external_file()
    file.more[8] = [{0: "../weights.bin"}]
    content = from_bytes("m.tflite", file.data(), lambda name: from_bytes(name, bytes(100)))
    assert READER.read(content).notes == ("weights-absent",)


def test_weights_behind_the_flatbuffer_are_found_by_their_offset() -> None:
    found, model = sample("weights_appended")
    weights = constant(model, "weights")
    assert weights.array().reshape(-1).tolist() == [0.5 * i for i in range(8)]
    with pytest.raises(FormatError, match="buffer 1 lies at"):
        read(found.data()[:-1])


def test_weights_that_were_stripped_from_the_file_stay_constants() -> None:
    file = float_file()
    file.buffers[1] = {}
    model = read(file)
    kernel = constant(model, "kernel")
    assert (kernel.kind, kernel.data) == (TensorKind.CONSTANT, None)
    assert model.notes == ("weights-absent",)
    assert model.graphs[0].nodes[0].attributes["kernel_shape"] == (3, 3)


def test_a_variable_is_state() -> None:
    file = File()
    graph = file.graph()
    state = graph.tensor("state", (1, 4), more={5: ("bool", True)})
    result = graph.tensor("result", (1, 4))
    graph.operator("RELU", (state,), (result,))
    model = read(file)
    assert constant(model, "state").kind is TensorKind.VARIABLE
    assert model.notes == ()


def test_metadata_and_packed_files_are_named() -> None:
    _, model = sample("metadata_zip")
    assert model.metadata == {
        "file_description": "MLIR Converted.",
        "metadata_entries": "TFLITE_METADATA",
        "name": "Digits",
        "description": "Reads digits",
        "version": "v1",
        "author": "Nobody",
        "license": "CC0",
        "packed_files": "labels.txt",
    }


def test_signatures_and_the_runtime_version_are_metadata() -> None:
    _, model = sample("int8_per_channel")
    assert model.metadata["signature:serving_default"] == "graph 0: in=image -> out=result"
    assert model.metadata["min_runtime_version"] == "2.3.0"


def test_the_converters_versions_are_metadata() -> None:
    from tests.formats._flatbuffer_builder import build

    file = float_file()
    environment: Fields = {0: "2.15.0", 1: ("u32", 2), 2: ("i32", 2)}
    buffer = file.buffer(build({0: environment}))
    file.more[6] = [{0: "CONVERSION_METADATA", 1: ("u32", buffer)}]
    metadata = read(file).metadata
    assert metadata["tensorflow_version"] == "2.15.0"
    assert metadata["converted_from"] == "Keras"


def test_the_chip_that_a_model_was_compiled_for_is_metadata() -> None:
    file = float_file()
    stamp = b"Qualcomm".ljust(125, b"\0") + b"SM8650".ljust(125, b"\0")
    file.more[6] = [{0: "LiteRtStamp", 1: ("u32", file.buffer(stamp))}]
    assert read(file).metadata["compiled_for"] == "Qualcomm SM8650"


def test_unreadable_metadata_does_not_spoil_the_model() -> None:
    file = float_file()
    file.more[6] = [{0: "TFLITE_METADATA", 1: ("u32", file.buffer(b"M001" * 4))}]
    assert read(file).metadata["unreadable TFLITE_METADATA"] == "16 bytes"


def test_a_zeroed_identifier_is_accepted_on_proof() -> None:
    _, model = sample("identifier_stripped")
    assert model.notes == ("identifier-stripped",)
    plain = read(quantized_file())
    assert model.graphs == plain.graphs


@pytest.mark.parametrize(
    "change",
    [
        lambda file: file.codes.clear(),
        lambda file: file.buffers.__setitem__(0, {0: b"data"}),
        lambda file: file.buffers.clear(),
        lambda file: file.graphs.clear(),
    ],
)
def test_a_zeroed_identifier_without_proof_is_a_format_error(
    change: Callable[[File], None],
) -> None:
    file = File(identifier=bytes(4))
    graph = file.graph()
    value = graph.tensor("value", (1,))
    graph.operator("RELU", (value,), (value,))
    assert read(file).notes == ("identifier-stripped",)
    change(file)
    with pytest.raises(FormatError, match="not the structure of a TensorFlow Lite model"):
        read(file)


def test_another_identifier_is_not_recognised_and_a_format_error() -> None:
    data = bytearray(stripped())
    data[4:8] = b"TFL9"
    assert not READER.sniff("model.tflite", bytes(data))
    with pytest.raises(FormatError, match="identifier b'TFL9'"):
        read(bytes(data))


def test_another_schema_version_is_unsupported() -> None:
    file = float_file()
    file.version = 4
    with pytest.raises(UnsupportedFormatError, match="schema version 4; expected 3"):
        read(file)


def test_a_file_without_graphs_is_a_format_error() -> None:
    with pytest.raises(FormatError, match="without a graph"):
        read(File())


def test_custom_operators_keep_their_names_and_are_remarked() -> None:
    _, model = sample("custom_operators")
    edge, flex, transposed = model.graphs[0].nodes
    assert (edge.source_operator, edge.domain, edge.operator) == ("edgetpu-custom-op", "custom", "")
    assert edge.attributes == {"custom_options_size_bytes": 40}
    assert flex.source_operator == "FlexErf"
    assert transposed.operator == "ConvTranspose"
    assert transposed.attributes["strides"] == (2, 2)
    assert transposed.attributes["output_channels"] == 3
    assert model.notes == ("accelerator-blob", "flex-operators")


def test_large_custom_options_lie_behind_the_flatbuffer() -> None:
    file = File()
    file.graph().operator("ethos-u", (), (), more={9: ("u64", 8), 10: ("u64", 16)})
    model = read(file)
    assert model.graphs[0].nodes[0].attributes == {"custom_options_size_bytes": 16}
    file = File()
    file.graph().operator("ethos-u", (), (), more={9: ("u64", 8), 10: ("u64", 1 << 60)})
    with pytest.raises(FormatError, match="leave the file"):
        read(file)


def test_dynamic_sizes_and_unknown_ranks_are_not_invented() -> None:
    _, model = sample("dynamic")
    assert constant(model, "value").shape == ("?", 4)
    assert constant(model, "result").shape is None


def test_a_code_newer_than_the_schema_is_reported_by_number() -> None:
    _, model = sample("dynamic")
    assert [node.source_operator for node in model.graphs[0].nodes] == ["SOFTMAX", "BUILTIN_4321"]
    assert model.notes == ("newer-operators",)


def test_an_element_type_newer_than_the_schema_is_unknown() -> None:
    file = File()
    file.graph().tensor("value", (3,), 99, data=b"abc")
    model = read(file)
    assert constant(model, "value").dtype is DataType.UNKNOWN
    assert model.notes == ("newer-types",)


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [(3, 0, "CONV_2D"), (3, 3, "CONV_2D"), (127, 150, "GELU"), (0, 92, "SQUARE"), (0, 0, "ADD")],
)
def test_the_larger_of_both_operator_codes_counts(old: int, new: int, name: str) -> None:
    file = File()
    graph = file.graph()
    value = graph.tensor("value", (1, 1, 1, 1), data=floats(1))
    file.codes.append({0: ("i8", old), 3: ("i32", new)})
    graph.operators.append({1: ("[i32]", (value, value)), 3: ("u8", 1), 4: convolution()[1]})
    assert read(file).graphs[0].nodes[0].source_operator == name


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda g: g.operator("RELU", (5,), ()), "tensor 5 is used; the graph has 0"),
        (lambda g: g.operator("RELU", (-2,), ()), "tensor -2 is used"),
        (lambda g: g.operators.append({0: ("u32", 3)}), "operator code 3 is used; there are 0"),
        (lambda g: g.tensor("t", (2,), data=floats(3)), "needs 8 bytes"),
        (lambda g: g.tensor("t", (-2,)), "negative size"),
        (lambda g: g.tensor("t", (1,) * 65), "65 dimensions"),
        (lambda g: g.tensor("t", (1,), -1), "element type -1"),
        (lambda g: g.tensor("t", (1,), more={2: ("u32", 9)}), "buffer 9 of 1"),
        (lambda g: g.tensor("t", (1,), more={10: ("u32", 9)}), "external buffer 9"),
    ],
)
def test_a_reference_or_size_that_cannot_be_is_a_format_error(
    build: Callable[..., object], message: str
) -> None:
    file = File()
    build(file.graph())
    with pytest.raises(FormatError, match=message):
        read(file)


def test_a_signature_of_a_graph_or_tensor_that_is_not_there_is_a_format_error() -> None:
    file = float_file()
    file.more[7] = [{4: ("u32", 3)}]
    with pytest.raises(FormatError, match="signature names sub-graph 3"):
        read(file)
    file.more[7] = [{0: [{0: "x", 1: ("u32", 99)}]}]
    with pytest.raises(FormatError, match="signature names tensor 99"):
        read(file)


def test_stablehlo_options_are_read_from_the_second_union() -> None:
    _, model = sample("stablehlo")
    conv, transpose = model.graphs[0].nodes
    assert conv.operator == "Conv"
    assert conv.attributes == {
        "kernel_shape": (3, 3),
        "output_channels": 4,
        "strides": (1, 1),
        "dilations": (1, 1),
        "pads": (0, 0, 0, 0),
        "group": 1,
    }
    assert (transpose.operator, transpose.attributes) == ("Transpose", {"perm": (0, 2, 1, 3)})


def test_half_precision_weights_are_cast_not_dequantised() -> None:
    file = File()
    graph = file.graph()
    half = graph.tensor("half", (2,), FLOAT16, data=struct.pack("<2e", 0.5, 1.5))
    single = graph.tensor("single", (2,))
    graph.operator("DEQUANTIZE", (half,), (single,))
    node = read(file).graphs[0].nodes[0]
    assert (node.operator, node.attributes) == ("Cast", {"to": 1})


def test_a_scalar_and_a_flag_are_scalars() -> None:
    file = File()
    graph = file.graph()
    graph.tensor("one", (), data=floats(1))
    graph.tensor("flag", (), BOOL)
    model = read(file)
    assert constant(model, "one").shape == ()
    assert constant(model, "flag").shape == ()
    assert np.isscalar(constant(model, "one").array().item())


def test_block_scales_of_unusual_form_block_the_last_other_dimension() -> None:
    file = blockwise_file()
    tensor = dict(file.graphs[0].tensors[0])
    tensor[0] = ("[i32]", (8,))
    file.graphs[0].tensors[0] = tensor
    quantization = constant(read(file), "weights").quantization
    assert quantization is not None
    assert quantization.axis == 1
