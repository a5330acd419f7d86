"""ncnn: today's text and binary, the text of 2017, PNNX, and the weights beside them."""

import csv
import json
import math
import os
import struct
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from gaugenn.analysis.shapes import infer_shapes
from gaugenn.content import Content, from_bytes, open_file
from gaugenn.errors import FormatError
from gaugenn.formats._identify import identify, readers
from gaugenn.formats._ncnn_layers import LAYER_TYPES, Layer, fields
from gaugenn.formats._ncnn_weights import WeightsFile, block_quantization, load_weights, weights_of
from gaugenn.formats.ncnn import NcnnReader
from gaugenn.graph import DataType, LazyBytes, Model, Node, Tensor, TensorKind
from gaugenn.records import FileKind
from tests.formats.ncnn_cases import Case, cases
from tests.formats.samples_ncnn import (
    OLD_TEXT,
    PNNX,
    TEXT,
    binary,
    binary_weights,
    flagged,
    plain,
    pnnx_weights,
    text_weights,
    zipped,
)

READER = NcnnReader()
CORPUS = os.environ.get("GAUGENN_CORPUS")
needs_corpus = pytest.mark.skipif(
    CORPUS is None, reason="GAUGENN_CORPUS names no folder of real files"
)


def folder(name: str, files: Mapping[str, bytes]) -> Content:
    def neighbour(other: str) -> Content | None:
        return folder(other, files) if other in files else None

    return from_bytes(name, files[name], neighbour)


def read(text: str, weights: bytes | None = None) -> Model:
    files = {"a.param": text.encode()}
    if weights is not None:
        files["a.bin"] = weights
    return READER.read(folder("a.param", files))


def graph_of(*lines: str) -> str:
    outputs = sum(int(line.split()[3]) for line in lines)
    return "\n".join(("7767517", f"{len(lines)} {outputs}", *lines)) + "\n"


def one(line: str, *inputs: str, weights: bytes | None = None) -> tuple[Node, Model]:
    """The node of a layer behind inputs, each given as `name sizes`."""
    given = [f"Input {i.split()[0]} 0 1 {i.split()[0]} {' '.join(i.split()[1:])}" for i in inputs]
    model = read(graph_of(*given, line), weights)
    return model.graphs[0].nodes[-1], model


IMAGE = "x 0=8 1=6 2=4"
MATRIX = "x 0=8 1=6"
VECTOR = "x 0=8"


def node_of(layer: str, *inputs: str) -> Node:
    """`Type parameters` on inputs."""
    kind, _, parameters = layer.partition(" ")
    names = " ".join(i.split()[0] for i in inputs)
    return one(f"{kind} the {len(inputs)} 1 {names} y {parameters}", *inputs)[0]


# what ncnn itself says


@pytest.mark.parametrize("case", cases(), ids=lambda c: f"{c.type}-{c.parameters}"[:60])
def test_outputs_are_as_large_as_ncnn_makes_them(case: Case) -> None:
    model = READER.read(from_bytes("a.param", case.param().encode()))
    for number, sizes in enumerate(case.outputs):
        if case.type == "Pooling" and "4=1" in case.parameters.split():
            sizes = (*sizes, 1, 1)  # spatial sizes stay, as ones
        assert model.graphs[0].tensors[f"o{number}"].shape == (1, *sizes)


OTHER_RANK = ("LSTM", "GRU", "RNN", "Reduction")
"""ONNX's result has one dimension more, or one less, than ncnn's; the attributes tell it."""


@pytest.mark.parametrize(
    "case",
    [case for case in cases() if case.type not in OTHER_RANK],
    ids=lambda c: f"{c.type}-{c.parameters}"[:60],
)
def test_the_operator_gives_the_sizes_that_the_layer_gives(case: Case) -> None:
    model = READER.read(from_bytes("a.param", case.param().encode()))
    assert infer_shapes(model).contradictions == ()


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (0, "AbsVal"),
        (6, "Convolution"),
        (16, "Input"),
        (19, "MemoryData"),
        (33, "Split"),
        (42, "ConvolutionDepthWise"),
        (50, "Interp"),
        (68, "Noop"),
        (69, "PixelShuffle"),
        (74, "Gemm"),
        (79, "MultiHeadAttention"),
        (87, "MatMul"),
        (104, "RMSNorm"),
        (108, "SDPA"),
        (109, "RotaryEmbed"),
    ],
)
def test_layer_numbers_are_ncnns(number: int, name: str) -> None:
    """As `ncnn.layer_to_index` of the Python package ncnn 1.0.20261020 gives them."""
    assert LAYER_TYPES[number] == name


def test_no_layer_type_is_listed_twice_and_each_has_readable_parameters() -> None:
    assert len(LAYER_TYPES) == len(set(LAYER_TYPES)) == 110
    for name in LAYER_TYPES:
        known = fields(name)
        assert len({field.name for field in known.values()}) == len(known)
        assert all(0 <= number < 32 for number in known)


# weights


def test_weights_are_taken_in_every_kind_of_storage() -> None:
    graph = READER.read(
        folder("net.param", {"net.param": TEXT.encode(), "net.bin": text_weights()})
    )
    tensors = graph.graphs[0].tensors
    assert graph.companions == ("net.bin",)
    assert graph.notes == ()
    assert tensors["conv1.weight_data"].dtype is DataType.FLOAT32
    assert tensors["conv1.weight_data"].shape == (8, 3, 3, 3)
    assert tensors["dw.weight_data"].dtype is DataType.FLOAT16
    assert tensors["dw.weight_data"].shape == (8, 1, 3, 3)
    table = tensors["fc.weight_data"]
    assert isinstance(table.data, LazyBytes)
    generator = np.random.default_rng(0)
    for count in (216, 8, 72, 8):
        generator.normal(size=count)
    values = generator.normal(size=256).astype("<f4")
    indices = generator.integers(0, 256, 80)
    assert np.array_equal(table.array().ravel(), values[indices])


def test_weights_share_the_mapped_file() -> None:
    weights = binary_weights()
    files = {"a.param.bin": binary(), "a.bin": weights}
    model = READER.read(folder("a.param.bin", files))
    tensor = model.graphs[0].tensors["1.weight_data"]
    assert isinstance(tensor.data, memoryview)
    assert np.allclose(tensor.array().ravel(), np.linspace(-1, 1, 216))


@pytest.mark.parametrize("change", [-1, -4, 1, 4, 400])
def test_weights_that_the_graph_does_not_use_up_exactly_are_refused(change: int) -> None:
    weights = text_weights()
    weights = weights[:change] if change < 0 else weights + bytes(change)
    with pytest.raises(FormatError, match=r"a\.bin"):
        read(TEXT, weights)


def test_an_empty_weights_file_is_refused() -> None:
    with pytest.raises(FormatError, match="0 left"):
        read(TEXT, b"")


def test_a_graph_without_its_weights_still_has_their_shapes() -> None:
    model = read(TEXT)
    held = [t for t in model.graphs[0].tensors.values() if t.kind is TensorKind.CONSTANT]
    assert model.notes == ("weights-absent",)
    assert model.companions == ()
    assert all(t.data is None for t in held)
    assert sum(t.elements or 0 for t in held) == 216 + 8 + 72 + 8 + 80 + 10


def test_a_graph_that_has_no_weights_misses_none() -> None:
    assert read(graph_of("Input x 0 1 x", "ReLU r 1 1 x y")).notes == ()


def int8_layer(line: str, weights: bytes, *inputs: str) -> Mapping[str, Tensor]:
    return one(line, *(inputs or (IMAGE,)), weights=weights)[1].graphs[0].tensors


def test_int8_convolutions_are_quantised_along_their_channels() -> None:
    stored = np.arange(-36, 36)
    line = "Convolution c 1 1 x y 0=2 1=3 5=1 6=72 8=1"
    weights = flagged(stored, "int8") + plain([1, 2]) + plain([4, 0]) + plain([8])
    tensors = int8_layer(line, weights)
    weight = tensors["c.weight_data"]
    assert weight.dtype is DataType.INT8
    assert weight.quantization is not None
    assert weight.quantization.scales == (0.25, 0.0)
    assert weight.quantization.axis == 0
    assert sorted(n for n in tensors if n.startswith("c.")) == ["c.bias_data", "c.weight_data"]


def test_requantising_convolutions_load_one_scale_more() -> None:
    line = "Convolution c 1 1 x y 0=2 1=3 5=0 6=72 8=101"
    weights = flagged(np.zeros(72), "int8") + plain([4, 2]) + plain([8])
    with pytest.raises(FormatError, match="cut off"):
        int8_layer(line, weights)
    assert int8_layer(line, weights + plain([3]))["c.weight_data"].quantization


@pytest.mark.parametrize(
    ("term", "scales", "granularity", "expected"),
    [
        (1, [1, 2, 4, 8], "per_axis", (1.0, 0.5, 0.25, 0.125)),
        (2, [4], "per_tensor", (0.25,)),
        (102, [4], "per_tensor", (0.25,)),
    ],
)
def test_depthwise_scales_are_per_group_or_one_for_all(
    term: int, scales: list[float], granularity: str, expected: tuple[float, ...]
) -> None:
    weights = flagged(np.zeros(36), "int8") + plain(scales) + plain([1])
    weights += plain([1]) if term > 100 else b""
    tensors = int8_layer(f"ConvolutionDepthWise c 1 1 x y 0=4 1=3 6=36 7=4 8={term}", weights)
    found = tensors["c.weight_data"].quantization
    assert found is not None
    assert (found.granularity, found.scales) == (granularity, expected)


def test_grouped_scales_serve_all_channels_of_a_group() -> None:
    weights = flagged(np.zeros(72), "int8") + plain([1, 2]) + plain([1])
    tensors = int8_layer("ConvolutionDepthWise c 1 1 x y 0=4 1=3 6=72 7=2 8=1", weights)
    found = tensors["c.weight_data"].quantization
    assert found is not None
    assert found.scales == (1.0, 1.0, 0.5, 0.5)


def test_float_weights_of_an_int8_layer_are_not_called_quantised() -> None:
    weights = flagged(np.zeros(72)) + plain([4, 2]) + plain([8])
    tensors = int8_layer("Convolution c 1 1 x y 0=2 1=3 6=72 8=1", weights)
    assert tensors["c.weight_data"].dtype is DataType.FLOAT32
    assert tensors["c.weight_data"].quantization is None


def test_an_int8_layer_without_its_weights_is_taken_for_int8() -> None:
    node, model = one("InnerProduct f 1 1 x y 0=2 1=1 2=16 8=1", VECTOR)
    assert model.graphs[0].tensors[node.inputs[1]].dtype is DataType.INT8


def test_recurrent_int8_weights_have_a_scale_per_row() -> None:
    layer = "LSTM l 1 1 x y 0=2 1=64 8=1"
    weights = flagged(np.zeros(64), "int8") + flagged(np.zeros(8)) + flagged(np.zeros(16), "int8")
    tensors = int8_layer(layer, weights + plain(np.full(8, 2)) + plain(np.full(8, 4)), MATRIX)
    found = tensors["l.weight_xc_data"].quantization
    assert found is not None
    assert (found.axis, found.block_size, len(found.scales)) == (2, 8, 8)
    assert found.scales[0] == 0.5


@pytest.mark.parametrize(
    ("term", "bits", "block", "has_input"),
    [(400, 4, 32, False), (411, 4, 64, True), (602, 6, 128, False), (810, 8, 32, True)],
)
def test_block_quantisation_terms_are_decoded(
    term: int, bits: int, block: int, has_input: bool
) -> None:
    found = block_quantization(term)
    assert found is not None
    assert (found.bits, found.block_size, found.has_input_scale) == (bits, block, has_input)


@pytest.mark.parametrize("term", [0, 1, 101, 300, 420, 403, 500, 900])
def test_other_terms_are_no_block_quantisation(term: int) -> None:
    assert block_quantization(term) is None


def test_four_bit_weights_are_unpacked_lowest_bits_first() -> None:
    packed = bytes([0x21, 0x8F]) + bytes(14)
    weights = struct.pack("<I", 0x000D4B38) + packed + plain([2.0])
    node, model = one(
        "Gemm g 1 1 x y 3=1 5=1 8=1 9=32 6=1 10=-1 18=400", "x 0=32 1=3", weights=weights
    )
    weight = model.graphs[0].tensors[node.inputs[1]]
    assert weight.dtype is DataType.INT4
    assert weight.shape == (1, 32)
    assert weight.array().ravel()[:4].tolist() == [1, 2, -1, -8]
    assert weight.quantization is not None
    assert weight.quantization.scales == (0.5,)


def test_six_bit_weights_keep_their_bytes_without_a_type() -> None:
    weights = struct.pack("<I", 0x000D4B38) + bytes(24) + plain([2.0])
    node, model = one(
        "Gemm g 1 1 x y 3=1 5=1 8=1 9=32 6=1 10=-1 18=600", "x 0=32 1=3", weights=weights
    )
    weight = model.graphs[0].tensors[node.inputs[1]]
    assert weight.dtype is DataType.UNKNOWN
    assert weight.elements == 32


def test_a_layer_of_an_apps_own_leaves_the_weights_unread_where_it_loads_some() -> None:
    text = graph_of("Input x 0 1 x 0=8 1=6 2=4", "Strange s 1 1 x s 0=7", "PReLU p 1 1 s y 0=4")
    model = read(text, plain([1, 2, 3, 4]))
    assert model.notes == ("custom-layers",)
    assert model.companions == ("a.bin",)
    model = read(text, plain(range(14)))
    assert model.notes == ("custom-layers", "weights-unread")
    assert model.companions == ()
    node = model.graphs[0].nodes[0]
    assert (node.operator, node.source_operator) == ("", "Strange")
    assert node.attributes == {"param_0": 7}


def test_memory_data_is_a_constant_and_its_blob_holds_the_bytes() -> None:
    values = np.arange(12)
    node, model = one("MemoryData m 0 1 y 0=3 1=4", weights=plain(values))
    blob = model.graphs[0].tensors["y"]
    assert (node.operator, node.inputs, node.outputs) == ("Constant", (), ("y",))
    assert (blob.kind, blob.shape) == (TensorKind.CONSTANT, (1, 4, 3))
    assert np.array_equal(blob.array().ravel(), values)


@pytest.mark.parametrize("load", ["Convolution 0=8 1=3 6=217", "InnerProduct 0=3 2=10"])
def test_sizes_that_contradict_each_other_are_refused(load: str) -> None:
    with pytest.raises(FormatError, match="contradict"):
        node_of(load, IMAGE)


def test_a_huge_announced_weight_allocates_nothing() -> None:
    layer = Layer(
        type="Embed", name="e", inputs=("x",), outputs=("y",), values={0: 1, 3: (1 << 31) - 1}
    )
    assert weights_of(layer)[0].shape == ((1 << 31) - 1, 1)
    with pytest.raises(FormatError, match="cut off"):
        load_weights(layer, WeightsFile("a.bin", memoryview(bytes(64))))


# the operators


@pytest.mark.parametrize(
    ("layer", "operator", "attributes"),
    [
        ("ReLU", "Relu", {}),
        ("ReLU 0=0.1", "LeakyRelu", {"alpha": 0.1}),
        ("Clip 0=0.0 1=6.0", "Clip", {"min": 0.0, "max": 6.0}),
        ("ELU", "Elu", {"alpha": 0.1}),
        ("SELU", "Selu", {"alpha": 1.67326324, "gamma": 1.050700987}),
        ("GELU 0=1", "Gelu", {"approximate": "tanh"}),
        ("HardSwish 0=0.1666667 1=0.5", "HardSwish", {}),
        ("HardSwish", "", {}),
        ("HardSigmoid", "HardSigmoid", {"alpha": 0.2, "beta": 0.5}),
        ("Swish", "Swish", {}),
        ("BNLL", "Softplus", {}),
        ("Dropout", "Dropout", {}),
        ("Softmax 0=0 1=1", "Softmax", {"axis": 1}),
        ("Softmax 0=-1 1=1", "Softmax", {"axis": -1}),
        ("Flatten", "Flatten", {"axis": 1}),
        ("UnaryOp 0=7", "Exp", {}),
        ("UnaryOp 0=16", "Tanh", {}),
        ("UnaryOp 0=20", "Sign", {}),
        ("UnaryOp 0=17", "", {"op_type": 17}),
        ("Exp", "Exp", {}),
        ("Exp 0=2.0", "", {"base": 2.0}),
        ("Permute 0=3", "Transpose", {"perm": (0, 2, 3, 1)}),
        ("Permute 0=4", "Transpose", {"perm": (0, 3, 1, 2)}),
        ("PixelShuffle 0=2", "DepthToSpace", {"blocksize": 2, "mode": "CRD"}),
        ("PixelShuffle 0=2 1=1", "DepthToSpace", {"blocksize": 2, "mode": "DCR"}),
        ("Reorg 0=2 1=1", "SpaceToDepth", {"blocksize": 2}),
        ("Reorg 0=2", "", {"stride": 2}),
        ("ShuffleChannel 0=2", "", {"group": 2}),
        ("Reshape 0=4 1=12 2=-1", "Reshape", {"shape": (1, 4, 12, 4)}),
        ("Reshape 0=-1", "Reshape", {"shape": (1, 192)}),
        ("Reshape 0=0 1=-1", "Reshape", {"shape": (1, 24, 8)}),
        ("Interp 0=2 1=2.0 2=2.0", "Resize", {"scales": (2.0, 2.0), "axes": (-2, -1)}),
        ("Interp 0=1 3=9 4=7", "Resize", {"sizes": (9, 7), "mode": "nearest"}),
        ("Interp 0=2 3=9 4=7 6=1", "Resize", {"coordinate_transformation_mode": "align_corners"}),
        ("Crop 0=1 3=4 4=-233 5=-233", "Slice", {"axes": (-1,), "starts": (1,), "ends": (5,)}),
        (
            "Crop -23309=1,-233 -23310=1,3 -23311=1,0",
            "Slice",
            {"axes": (1,), "starts": (0,), "ends": (3,)},
        ),
        ("Padding 0=1 1=2 2=3 3=4", "Pad", {"axes": (-2, -1), "pads": (1, 3, 2, 4)}),
        ("Padding 0=1 1=1 2=1 3=1 4=2", "Pad", {"mode": "reflect"}),
        ("Reduction 0=3 1=0 -23303=2,1,2 4=1", "ReduceMean", {"axes": (2, 3), "keepdims": 1}),
        ("Reduction 0=8 1=1", "ReduceL2", {"axes": (1, 2, 3), "keepdims": 0}),
        ("Reduction 0=0 2=0.5", "", {"coeff": 0.5}),
        ("LRN", "LRN", {"size": 5, "alpha": 1.0, "beta": 0.75, "bias": 1.0}),
        ("LRN 0=1", "", {"region_type": 1}),
        ("MVN 0=1 1=1", "MeanVarianceNormalization", {"axes": (1, 2, 3)}),
        ("ExpandDims -23303=1,0", "Unsqueeze", {"axes": (1,)}),
        ("Squeeze 1=1", "Squeeze", {"axes": ()}),
        ("Tile 0=1 1=2", "Tile", {"repeats": (1, 1, 2, 1)}),
        ("Cast 0=1 1=2", "Cast", {"to": "float16"}),
        ("CumulativeSum 0=1", "CumSum", {"axis": 2}),
        ("Pooling 0=1 4=1", "GlobalAveragePool", {}),
        ("Pooling 0=0 7=1 8=1", "GlobalMaxPool", {}),
        ("Pooling 0=0 7=1 8=2", "", {"adaptive_pooling": 1}),
        (
            "Pooling 1=3 2=2 3=1",
            "MaxPool",
            {"kernel_shape": (3, 3), "strides": (2, 2), "pads": (1, 1, 1, 1), "ceil_mode": 1},
        ),
        ("Pooling 0=1 1=3 11=2 5=2", "AveragePool", {"auto_pad": "SAME_UPPER"}),
        ("Pooling 0=1 1=2 5=1 6=1", "AveragePool", {"count_include_pad": 1}),
        ("GroupNorm 0=2 1=4", "GroupNormalization", {"num_groups": 2, "epsilon": 0.001}),
        ("LayerNorm 0=48", "LayerNormalization", {"axis": -2}),
        ("RMSNorm 0=8 1=1e-6", "RMSNormalization", {"axis": -1, "epsilon": 1e-6}),
        ("Quantize 0=1", "QuantizeLinear", {"inverse_scale": 1}),
        ("Requantize", "", {}),
        ("YoloDetectionOutput", "", {}),
        ("GLU 0=0", "", {"axis": 0}),
    ],
)
def test_layers_become_onnx_operators(
    layer: str, operator: str, attributes: dict[str, object]
) -> None:
    node = node_of(layer, IMAGE)
    assert node.operator == operator
    assert node.source_operator == layer.split(maxsplit=1)[0]
    assert {name: node.attributes[name] for name in attributes} == attributes


def test_convolutions_give_kernel_and_padding_height_first() -> None:
    node = node_of("Convolution 0=2 1=3 11=1 2=2 12=1 3=2 13=1 4=1 14=2 15=3 16=4 6=24", IMAGE)
    assert node.operator == "Conv"
    assert dict(node.attributes) == {
        "kernel_shape": (1, 3),
        "strides": (1, 2),
        "dilations": (1, 2),
        "group": 1,
        "output_channels": 2,
        "pads": (2, 1, 4, 3),
    }


def test_padding_defaults_to_what_came_before() -> None:
    node = node_of("Convolution 0=2 1=3 4=1 14=2 6=72", IMAGE)
    assert node.attributes["pads"] == (2, 1, 2, 1)


@pytest.mark.parametrize(("pad", "name"), [(-233, "SAME_UPPER"), (-234, "SAME_LOWER")])
def test_automatic_padding_has_onnx_names(pad: int, name: str) -> None:
    node = node_of(f"Convolution 0=2 1=3 4={pad} 6=72", IMAGE)
    assert node.attributes["auto_pad"] == name
    assert "pads" not in node.attributes


def test_other_negative_padding_is_refused() -> None:
    with pytest.raises(FormatError, match="negative padding"):
        node_of("Convolution 0=2 1=3 4=-1 6=72", IMAGE)


@pytest.mark.parametrize(
    ("parameters", "attributes"),
    [
        ("9=1", {"fused_activation": "Relu"}),
        ("9=2 -23310=1,0.25", {"fused_activation": "LeakyRelu", "fused_alpha": 0.25}),
        ("9=3 10=0.0,6.0", {"fused_activation": "Clip", "fused_min": 0.0, "fused_max": 6.0}),
        ("9=4", {"fused_activation": "Sigmoid"}),
        ("9=5", {"fused_activation": "Mish"}),
        ("9=6 -23310=2,0.2,0.5", {"fused_activation": "HardSwish", "fused_alpha": 0.2}),
    ],
)
def test_fused_activations_have_onnx_names(parameters: str, attributes: dict[str, object]) -> None:
    node = node_of(f"Convolution 0=2 1=3 6=72 {parameters}", IMAGE)
    assert {name: node.attributes[name] for name in attributes} == attributes


def test_a_convolution_may_take_its_weight_from_a_blob() -> None:
    node = node_of("Convolution 0=2 1=3 19=1", IMAGE, "w 0=72")
    assert node.inputs == ("x", "w")


def test_depthwise_convolutions_have_groups_and_deconvolutions_more_padding() -> None:
    node = node_of("ConvolutionDepthWise 0=4 1=3 6=36 7=4", IMAGE)
    assert node.attributes["group"] == 4
    node = node_of("Deconvolution 0=2 1=4 3=2 4=1 18=1 6=128", IMAGE)
    assert node.operator == "ConvTranspose"
    assert node.attributes["output_padding"] == (1, 1)
    node = node_of("Deconvolution 0=2 1=4 3=2 4=-233 20=16 21=12 6=128", IMAGE)
    assert node.attributes["output_shape"] == (12, 16)


def test_deformable_convolutions_have_onnx_order() -> None:
    node = node_of("DeformableConv2D 0=2 1=3 5=1 6=72", IMAGE, "o 0=6 1=4 2=18", "m 0=6 1=4 2=9")
    assert node.operator == "DeformConv"
    assert node.inputs == ("x", "the.weight_data", "o", "the.bias_data", "m")


def test_batch_normalisation_has_onnx_order() -> None:
    node = node_of("BatchNorm 0=4", IMAGE)
    assert node.inputs == ("x", "the.slope_data", "the.bias_data", "the.mean_data", "the.var_data")


def test_a_scale_is_a_product_or_with_bias_a_batch_normalisation() -> None:
    assert node_of("Scale 0=4", IMAGE).operator == "Mul"
    node = node_of("Scale 0=4 1=1", IMAGE)
    assert (node.operator, node.inputs) == (
        "BatchNormalization",
        ("x", "the.scale_data", "the.bias_data"),
    )
    assert node_of("Scale 0=-233", IMAGE, "s 0=4").inputs == ("x", "s")


def test_inner_product_rows_and_flattened() -> None:
    node, model = one("InnerProduct f 1 1 x y 0=3 1=1 2=24", MATRIX)
    assert (node.operator, node.attributes["transB"]) == ("Gemm", 1)
    assert model.graphs[0].tensors["y"].shape == (1, 6, 3)
    _, model = one("InnerProduct f 1 1 x y 0=3 1=1 2=144", MATRIX)
    assert model.graphs[0].tensors["y"].shape == (1, 3)


@pytest.mark.parametrize(
    ("code", "operator", "inputs"),
    [
        (0, "Add", ("x", "z")),
        (1, "Sub", ("x", "z")),
        (3, "Div", ("x", "z")),
        (6, "Pow", ("x", "z")),
        (7, "Sub", ("z", "x")),
        (8, "Div", ("z", "x")),
        (9, "Pow", ("z", "x")),
        (10, "", ("x", "z")),
        (12, "Mod", ("x", "z")),
    ],
)
def test_binary_operators_stand_in_onnx_order(
    code: int, operator: str, inputs: tuple[str, ...]
) -> None:
    node = node_of(f"BinaryOp 0={code}", IMAGE, IMAGE.replace("x", "z"))
    assert (node.operator, node.inputs) == (operator, inputs)


def test_a_number_becomes_a_constant_operand() -> None:
    node, model = one("BinaryOp b 1 1 x y 0=8 1=1 2=2.5", IMAGE)
    assert node.operator == "Div"
    assert node.inputs[1] == "x"
    assert model.graphs[0].tensors[node.inputs[0]].array() == 2.5


def test_an_operand_of_lower_rank_is_aligned_outside() -> None:
    node = node_of("BinaryOp 0=2", "z 0=4", IMAGE)
    assert node.inputs == ("x", "z")
    assert (node.attributes["broadcast"], node.attributes["axis"]) == (1, 0)


@pytest.mark.parametrize(
    ("parameters", "operator"),
    [
        ("0=0", "Mul"),
        ("0=1", "Add"),
        ("0=2", "Max"),
        ("0=1 -23301=2,1.0,-1.0", "Sub"),
        ("0=1 -23301=2,1.0,2.0", ""),
    ],
)
def test_elementwise_layers_depend_on_their_coefficients(parameters: str, operator: str) -> None:
    assert node_of(f"Eltwise {parameters}", IMAGE, IMAGE.replace("x", "z")).operator == operator


@pytest.mark.parametrize(
    ("parameters", "operator", "value"),
    [
        ("0=2.0", "Pow", 2.0),
        ("1=3.0", "Mul", 3.0),
        ("2=4.0", "Add", 4.0),
        ("0=2.0 1=3.0", "", None),
    ],
)
def test_a_power_is_what_its_parameters_leave_of_it(
    parameters: str, operator: str, value: float | None
) -> None:
    node, model = one(f"Power p 1 1 x y {parameters}", IMAGE)
    assert node.operator == operator
    if value is not None:
        assert model.graphs[0].tensors[node.inputs[1]].array() == value


def test_a_slice_knows_its_parts_where_the_sizes_are_known() -> None:
    line = "Slice s 1 3 x a b c -23300=3,1,-233,-233"
    assert one(line, IMAGE)[0].attributes == {"axis": 1, "split": (1, 1, 2)}
    assert one(line, "x")[0].operator == ""
    equal = "Slice s 1 2 x a b -23300=2,-233,-233"
    assert one(equal, "x")[0].attributes == {"axis": 1, "num_outputs": 2}
    with pytest.raises(FormatError, match="3 outputs but 2 sizes"):
        one("Slice s 1 3 x a b c -23300=2,1,1", IMAGE)


def test_a_split_is_an_identity_with_several_outputs() -> None:
    node = one("Split s 1 2 x a b", IMAGE)[0]
    assert (node.operator, node.outputs) == ("Identity", ("a", "b"))


def test_a_permutation_of_unknown_rank_is_not_guessed() -> None:
    assert node_of("Permute 0=3", "x").operator == ""
    assert node_of("Permute 0=22", "x").attributes["perm"] == (0, 4, 3, 1, 2)


def test_embedding_gathers_from_its_weight() -> None:
    node = node_of("Embed 0=4 1=10 3=40", VECTOR)
    assert (node.operator, node.inputs) == ("Gather", ("the.weight_data", "x"))


def test_products_take_constants_and_blobs_in_onnx_order() -> None:
    node = node_of("Gemm 4=1 7=6 9=5 0=2.0", "x 0=7 1=5")
    assert (node.operator, node.inputs) == ("Gemm", ("the.A_data", "x"))
    assert node.attributes["alpha"] == 2.0
    node = node_of("Gemm 5=1 6=1 8=7 9=8 10=4 3=1", MATRIX)
    assert node.inputs == ("x", "the.B_data", "the.C_data")
    with pytest.raises(FormatError, match="too few inputs"):
        node_of("Gemm", MATRIX)


def test_recurrent_layers_have_onnx_order_and_ncnns_projection_behind() -> None:
    node = node_of("LSTM 0=4 1=224 3=7", MATRIX)
    weights = ("the.weight_xc_data", "the.weight_hc_data", "the.bias_c_data")
    assert node.inputs == ("x", *weights, "", "", "", "", "the.weight_hr_data")
    assert node.attributes["hidden_size"] == 7
    node = one("GRU g 2 2 x h y s 0=4 1=192 2=2", MATRIX, "h 0=4 1=2")[0]
    assert node.attributes["direction"] == "bidirectional"
    assert node.inputs[4:] == ("", "h")


def test_attention_has_onnx_order() -> None:
    heads = ("q 0=8 1=4 2=2", "k 0=8 1=6 2=2", "v 0=8 1=6 2=2")
    past = ("pk 0=8 1=1 2=2", "pv 0=8 1=1 2=2")
    node = one("SDPA s 5 3 q k v pk pv y nk nv 7=1", *heads, *past)[0]
    assert (node.operator, node.inputs) == ("Attention", ("q", "k", "v", "", "pk", "pv"))
    node = one("SDPA s 4 1 q k v m y 5=1", *heads, "m 0=6 1=4")[0]
    assert node.inputs == ("q", "k", "v", "m")


def test_an_equation_gets_a_batch() -> None:
    codes = ",".join(str(ord(c)) for c in "ij,jk->ik")
    node = node_of(f"Einsum -23300=9,{codes}", MATRIX, "z 0=3 1=8")
    assert node.attributes["equation"] == "...ij,...jk->...ik"


# inputs


@pytest.mark.parametrize(
    ("sizes", "shape"),
    [
        ("0=8", (1, 8)),
        ("0=8 1=6", (1, 6, 8)),
        ("0=8 1=6 2=4", (1, 4, 6, 8)),
        ("0=8 1=6 11=5 2=4", (1, 4, 5, 6, 8)),
        ("0=0 1=0 2=3", (1, 3, "?", "?")),
        ("0=8 1=-233 2=-233", (1, 8)),
        ("", None),
    ],
)
def test_inputs_have_a_batch_and_unknown_sizes(sizes: str, shape: tuple[object, ...]) -> None:
    model = read(graph_of(f"Input x 0 1 x {sizes}", "ReLU r 1 1 x y"))
    assert model.graphs[0].inputs == ("x",)
    assert model.graphs[0].outputs == ("y",)
    assert model.graphs[0].tensors["x"].shape == shape


def test_an_input_without_sizes_takes_them_from_the_convolution_behind() -> None:
    text = graph_of(
        "Input x 0 1 x", "Split s 1 2 x a b", "BinaryOp o 1 1 a c 0=2 1=1 2=0.5",
        "Convolution v 1 1 c y 0=2 1=3 6=54",
    )  # fmt: skip
    assert read(text).graphs[0].tensors["x"].shape == (1, 3, "?", "?")


@pytest.mark.parametrize(
    ("lines", "shape"),
    [
        (["Convolution1D c 1 1 x y 0=2 1=3 6=18"], (1, 3, "?")),
        (["Convolution3D c 1 1 x y 0=2 1=1 6=6"], (1, 3, "?", "?", "?")),
        (["ConvolutionDepthWise c 1 1 x y 0=4 1=3 6=36 7=4"], (1, 4, "?", "?")),
        (["Deconvolution c 1 1 x y 0=2 1=2 6=24"], (1, 3, "?", "?")),
        (["LSTM l 1 1 x y 0=7 1=140"], (1, "?", 5)),
        (["RMSNorm r 1 1 x n 0=9", "Gemm g 1 1 n y 3=1 5=1 6=1 8=7 9=9 10=-1"], (1, "?", 9)),
        (["Gemm g 1 1 x y 2=1 5=1 6=1 8=7 9=9 10=-1"], (1, 9, "?")),
        (["Softmax s 1 1 x n", "Convolution c 1 1 n y 0=2 1=3 6=54"], None),
        (["InnerProduct f 1 1 x y 0=2 2=8"], None),
    ],
)
def test_what_a_layer_demands_of_an_input_is_known_of_it(
    lines: list[str], shape: tuple[object, ...] | None
) -> None:
    assert read(graph_of("Input x 0 1 x", *lines)).graphs[0].tensors["x"].shape == shape


def test_sizes_of_2017_that_stand_channels_first_are_turned_round() -> None:
    text = graph_of("Input x 0 1 x 0=3 1=20 2=10", "Convolution v 1 1 x y 0=2 1=3 6=54")
    model = read(text)
    assert model.graphs[0].tensors["x"].shape == (1, 3, 20, 10)
    assert model.notes == ("input-sizes-reversed", "weights-absent")


def test_stated_sizes_fill_in_for_what_does_not_follow() -> None:
    text = graph_of("Input x 0 1 x", "Spectrogram s 1 1 x y 0=8 -23330=4,2,5,9,1")
    assert read(text).graphs[0].tensors["y"].shape == (1, 9, 5)
    text = graph_of("Input x 0 1 x", "Spectrogram s 1 1 x y 0=8 -23330=5,4,5,9,2,3")
    assert read(text).graphs[0].tensors["y"].shape == (1, 3, 2, 9, 5)


# the forms


def test_text_and_binary_give_the_same_graph() -> None:
    text = read(
        graph_of(
            "Input 0 0 1 0 0=16 1=16 2=3",
            "Convolution 1 1 1 0 1 0=8 1=3 3=2 4=1 5=1 6=216",
            "ReLU 2 1 1 1 2 0=0.25",
            "PReLU 3 1 1 2 3 0=8",
        ),
        binary_weights(),
    )
    files = {"a.param.bin": binary(), "a.bin": binary_weights()}
    assert READER.read(folder("a.param.bin", files)).graphs == text.graphs


def test_binary_graphs_hold_texts_and_custom_layers() -> None:
    words = [7767517, 2, 2, 16, 0, 1, 0, -233, 256 + 5, 1, 1, 0, 1, 0, 7, -23301, 1, 9, -233]
    model = READER.read(from_bytes("a.bin", struct.pack(f"<{len(words)}i", *words)))
    node = model.graphs[0].nodes[0]
    assert node.source_operator == "custom 5"
    assert node.attributes == {"param_0": 7, "param_1": (9,)}
    model = READER.read(from_bytes("a.bin", binary(weightless=True)))
    assert model.graphs[0].nodes[-1].attributes["shape_expr"] == "5,-1"


def test_a_number_that_no_version_has_yet_is_told_as_it_is() -> None:
    words = [7767517, 2, 2, 16, 0, 1, 0, -233, 200, 1, 1, 0, 1, -233]
    model = READER.read(from_bytes("a.bin", struct.pack(f"<{len(words)}i", *words)))
    assert model.graphs[0].nodes[0].source_operator == "type 200"
    assert model.notes == ("custom-layers",)


@pytest.mark.parametrize(
    "words",
    [
        [7767517, 0, 1],
        [7767517, 1, 0],
        [7767517, 1 << 30, 1],
        [7767517, 1, 1, 16, 0, 1 << 30],
        [7767517, 1, 1, 16, -1, 1],
        [7767517, 1, 1, 16, 0, 1, 5, -233],
        [7767517, 1, 1, 16, 0, 1, -1, -233],
        [7767517, 1, 1, 9999, 0, 1, 0, -233],
        [7767517, 1, 1, 16, 0, 1, 0, 32, 0, -233],
        [7767517, 1, 1, 16, 0, 1, 0, -23300, 1 << 29, -233],
        [7767517, 1, 1, 16, 0, 1, 0, -23400, 256, -233],
        [7767517, 1, 1, 16, 0, 1, 0, -23400, -5, -233],
    ],
)
def test_impossible_binary_graphs_are_refused(words: list[int]) -> None:
    with pytest.raises(FormatError):
        READER.read(from_bytes("a.bin", struct.pack(f"<{len(words)}i", *words)))


def test_the_old_text_has_values_without_keys() -> None:
    model = read(OLD_TEXT)
    graph = model.graphs[0]
    assert model.format_version == "headerless"
    assert graph.tensors["data"].shape == (1, 3, 16, 16)
    assert [n.operator for n in graph.nodes] == ["Conv", "LeakyRelu", "Sub", "MaxPool", "Gemm"]
    assert graph.tensors["p1"].shape == (1, 8, 4, 4)
    with pytest.raises(FormatError, match="cannot be understood"):
        read(OLD_TEXT.replace("1 2 1.000000 -1.000000", "1 3 1.000000 -1.000000"))
    with pytest.raises(FormatError, match="cannot be understood"):
        read(OLD_TEXT.replace("0.100000", "0.100000 7"))


@pytest.mark.parametrize(
    "text",
    [
        "7767517\n",
        "7767517\n1\n",
        "7767517\n0 0\n",
        "7767517\n1 x\n",
        "7767517\n2 2\nInput x 0 1 x\n",
        "7767517\n1 1\nInput x 0\n",
        "7767517\n1 1\nInput x 0 2 x\n",
        "7767517\n1 1\nInput x 0 9999999 x\n",
        "7767517\n1 1\nInput x -1 1 x\n",
        "7767517\n1 1\nInput x 0 1 x 0\n",
        "7767517\n1 1\nInput x 0 1 x 0=\n",
        "7767517\n1 1\nInput x 0 1 x 0=1=2\n",
        "7767517\n1 1\nInput x 0 1 x 32=1\n",
        "7767517\n1 1\nInput x 0 1 x -5=1\n",
        "7767517\n1 1\nInput x 0 1 x 0=4294967296\n",
        "7767517\n1 1\nInput x 0 1 x 0=" + "9" * 5000 + "\n",
        "7767517\n1 1\nInput x 0 1 x 0=1.5\n",
        "7767517\n1 1\nInput x 0 1 x 0=-7\n",
        "7767517\n1 1\nInput x 0 1 x -23300=3,1,2\n",
        "7767517\n1 1\nInput x 0 1 x -23300=1,2,3\n",
        "7767517\n1 1\nInput x 0 2 x y\n",
        "7767517\n2 2\nInput x 0 1 x\nReLU r 1 1 z y\n",
        "7767517\n2 2\nInput x 0 1 x\nReLU r 1 1 x x\n",
        "7767517\n2 2\nInput x 0 1 x\nReLU r 0 1 y 0=a\n",
        "7767517\n2 2\nInput x 0 1 x\nBinaryOp b 1 1 x y\n",
        "7767517\n1 1\nInput x 0 1 x",
    ],
)
def test_broken_texts_are_refused(text: str) -> None:
    with pytest.raises(FormatError):
        read(text)


def test_a_text_that_goes_on_after_its_last_layer_is_read_as_ncnn_does() -> None:
    model = read(graph_of("Input x 0 1 x", "ReLU r 1 1 x y") + "ReLU more 1 1 y z\n")
    assert len(model.graphs[0].nodes) == 1
    assert model.notes == ("trailing-data",)


def test_windows_line_ends_and_blank_lines_do_not_matter() -> None:
    assert read(TEXT.replace("\n", "\r\n")).graphs == read(TEXT).graphs
    assert read(TEXT.replace("\n", "\n\n")).graphs == read(TEXT).graphs


def test_arrays_in_either_notation_mean_the_same() -> None:
    old = node_of("Crop -23309=1,1 -23310=1,2 -23311=1,0", IMAGE)
    new = node_of("Crop 9=1, 10=2, 11=0,", IMAGE)
    assert old.attributes == new.attributes


def test_texts_may_be_quoted_and_hold_spaces() -> None:
    for given in ('"8, 6"', "size(@0,0)"):
        node = node_of(f"Reshape 6={given}", IMAGE)
        assert node.attributes["shape_expr"] == given.strip('"')
        assert "shape" not in node.attributes


def test_weights_never_take_the_name_of_a_blob() -> None:
    model = read(graph_of("Input x 0 1 x", "PReLU p 1 1 x p.slope_data 0=4"))
    assert model.graphs[0].nodes[0].inputs == ("x", "p.slope_data.2")


# which file is what


@pytest.mark.parametrize(
    ("graph", "weights"),
    [
        ("a.param", "a.bin"),
        ("a.ncnn.param", "a.ncnn.bin"),
        ("a.pnnx.param", "a.pnnx.bin"),
        ("A.PARAM", "A.bin"),
        ("a.cfg.ncnn", "a.weights.ncnn"),
    ],
)
def test_weights_lie_beside_their_graph(graph: str, weights: str) -> None:
    files = {graph: graph_of("Input x 0 1 x", "PReLU p 1 1 x y 0=1").encode(), weights: plain([1])}
    assert [c.name for c in READER.companions(folder(graph, files))] == [weights]
    assert identify(folder(graph, files)).formats == ("ncnn",)
    if graph.islower():
        found = identify(folder(weights, files))
        assert (found.kind, found.formats) == (FileKind.WEIGHTS, ("ncnn",))


def test_a_binary_graph_and_its_weights_both_end_in_bin() -> None:
    files = {"a.param.bin": binary(), "a.bin": binary_weights()}
    assert identify(folder("a.param.bin", files)).kind is FileKind.MODEL
    assert identify(folder("a.bin", files)).kind is FileKind.WEIGHTS
    assert READER.companions(folder("a.bin", files)) == ()


@pytest.mark.parametrize(
    "head",
    [
        b"learning_rate=0.1\n",
        b"7767517",
        b"7767517\nabc",
        b"77675170\n1 1\n",
        b"75 83\nhello world 1 1 a b\n",
        b"\xdd\x85\x76\x00" + bytes(20),
        b"\xdd\x85\x76\x00" + b"\xff" * 20,
    ],
)
def test_other_texts_and_bytes_are_not_claimed(head: bytes) -> None:
    assert not READER.sniff("a.param", head)


# PNNX


def test_pnnx_operators_have_onnx_meaning_and_true_shapes() -> None:
    files = {"a.pnnx.param": PNNX.encode(), "a.pnnx.bin": pnnx_weights()}
    model = READER.read(folder("a.pnnx.param", files))
    graph = model.graphs[0]
    assert (model.format_version, model.producer, model.notes) == ("pnnx", "pnnx", ())
    assert (graph.inputs, graph.outputs) == (("0",), ("3",))
    assert [n.operator for n in graph.nodes] == ["Conv", "Relu", "Flatten"]
    conv = graph.nodes[0]
    assert conv.inputs == ("0", "conv.weight", "conv.bias")
    assert conv.attributes["strides"] == (2, 2)
    assert np.array_equal(graph.tensors["conv.weight"].array().ravel(), np.arange(108))
    assert graph.tensors["3"].shape == (1, 64)
    assert infer_shapes(model).contradictions == ()


@pytest.mark.parametrize(
    ("line", "operator", "attributes"),
    [
        ("nn.Linear a 1 1 0 1 @weight=(4,8)f32 @bias=(4)f32", "Gemm", {"transB": 1}),
        ("nn.MaxPool2d a 1 1 0 1 kernel_size=(2,2) stride=(2,2)", "MaxPool", {"strides": (2, 2)}),
        ("nn.AvgPool2d a 1 1 0 1 kernel_size=2", "AveragePool", {"kernel_shape": (2, 2)}),
        ("nn.AdaptiveAvgPool2d a 1 1 0 1 output_size=(1,1)", "GlobalAveragePool", {}),
        ("nn.AdaptiveAvgPool2d a 1 1 0 1 output_size=(2,1)", "", {"output_size": "(2,1)"}),
        ("nn.BatchNorm2d a 1 1 0 1 eps=1e-3", "BatchNormalization", {"epsilon": 1e-3}),
        ("nn.SiLU a 1 1 0 1", "Swish", {}),
        ("F.softmax a 1 1 0 1 dim=1", "Softmax", {"axis": 1}),
        ("torch.cat a 2 1 0 0 1 dim=1", "Concat", {"axis": 1}),
        ("torch.permute a 1 1 0 1 dims=(0,2,3,1)", "Transpose", {"perm": (0, 2, 3, 1)}),
        ("torch.transpose a 1 1 0 1 dim0=1 dim1=-1", "Transpose", {"perm": (0, 3, 2, 1)}),
        ("torch.mean a 1 1 0 1 dim=(2,3) keepdim=True", "ReduceMean", {"axes": (2, 3)}),
        ("Tensor.reshape a 1 1 0 1 shape=(1,-1)", "Reshape", {"shape": (1, -1)}),
        ("F.interpolate a 1 1 0 1 scale_factor=(2.0,2.0)", "Resize", {"scales": (2.0, 2.0)}),
        ("torch.chunk a 1 2 0 1 2 chunks=2 dim=1", "Split", {"num_outputs": 2}),
        ("pnnx.Expression a 2 1 0 0 1 expr=add(@0,@1)", "Add", {}),
        ("pnnx.Expression a 1 1 0 1 expr=mul(@0,2)", "", {"expr": "mul(@0,2)"}),
        ("nn.MultiheadAttention a 1 1 0 1", "", {}),
    ],
)
def test_pnnx_lines_become_onnx_operators(
    line: str, operator: str, attributes: dict[str, object]
) -> None:
    made = int(line.split()[3])
    text = f"7767517\n2 {1 + made}\npnnx.Input in 0 1 0 #0=(1,8,4,4)f32\n{line}\n"
    node = read(text).graphs[0].nodes[0]
    assert node.operator == operator
    assert {name: node.attributes[name] for name in attributes} == attributes


@pytest.mark.parametrize(
    "weights",
    [
        b"",
        b"PK\x05\x06" + bytes(18),
        pnnx_weights()[:-30],
        zipped({"conv.weight": plain(range(108))}),
        zipped({"conv.weight": plain(range(107)), "conv.bias": plain(range(4))}),
    ],
)
def test_pnnx_weights_of_another_graph_are_refused(weights: bytes) -> None:
    files = {"a.pnnx.param": PNNX.encode(), "a.pnnx.bin": weights}
    with pytest.raises(FormatError):
        READER.read(folder("a.pnnx.param", files))


# real files

DIFFERENCES = {
    "ncnn/nanodet_m.param": (
        {"Noop": 1},
        "announces 179 layers and holds 180; ncnn stops after 179, Netron reads all",
    ),
}
"""What Netron counts and this reader does not, with the reason."""


def corpus(name: str) -> Content:
    assert CORPUS is not None
    return open_file(Path(CORPUS) / name, name)


@needs_corpus
def test_real_graphs_have_the_operators_that_netron_counts() -> None:
    assert CORPUS is not None
    seen = 0
    for line in (Path(CORPUS) / "NETRON_ORACLE.jsonl").read_text().splitlines():
        row = json.loads(line)
        if row.get("format") != "ncnn" or not row["file"].startswith("ncnn/"):
            continue
        content = corpus(row["file"])
        if identify(content).kind is FileKind.WEIGHTS:
            continue
        more, _ = DIFFERENCES.get(row["file"], ({}, ""))
        found = Counter(n.source_operator for n in READER.read(content).graphs[0].nodes)
        assert (row["file"], found + Counter(more)) == (row["file"], Counter(row["ops"]))
        seen += 1
    assert seen == 11


@needs_corpus
def test_real_files_are_recognised_for_what_they_are() -> None:
    assert CORPUS is not None
    with (Path(CORPUS) / "MANIFEST.csv").open(newline="") as file:
        rows = [row["path"] for row in csv.DictReader(file) if row["expected"] == "ncnn"]
    assert len(rows) >= 13
    for path in rows:
        found = identify(corpus(path))
        weights = path in ("ncnn/RFB-320.bin", "ncnn/model_1.bin")
        assert (path, found.kind) == (path, FileKind.WEIGHTS if weights else FileKind.MODEL)
        assert found.formats == ("ncnn",)


@needs_corpus
def test_a_real_text_and_binary_of_one_network_give_the_same_graph() -> None:
    text, coded = (READER.read(corpus(f"ncnn/squeezenet_v1.1.param{end}")) for end in ("", ".bin"))
    assert coded.notes == ("input-sizes-reversed", "weights-absent")  # it was made in 2017
    kinds = ["operator", "source_operator", "attributes"]
    told = [[[getattr(n, k) for k in kinds] for n in m.graphs[0].nodes] for m in (text, coded)]
    assert told[0] == told[1]
    shapes = [[t.shape for t in m.graphs[0].tensors.values()] for m in (text, coded)]
    assert shapes[0] == shapes[1]


@needs_corpus
def test_a_real_pair_holds_the_weights_of_its_onnx_twin() -> None:
    """Batch normalisation is folded there: kernels are as large, a bias stands for four vectors."""
    model = READER.read(corpus("ncnn/RFB-320.param"))
    assert model.companions == ("RFB-320.bin",)
    twin = readers()["onnx"].read(corpus("onnx/version-RFB-320.onnx"))

    def kernels(of: Model) -> list[tuple[int, ...]]:
        graph = of.graphs[0]
        shapes = [
            graph.tensors[node.inputs[1]].shape for node in graph.nodes if node.operator == "Conv"
        ]
        return sorted(tuple(int(s) for s in shape or ()) for shape in shapes)

    assert kernels(model) == kernels(twin)
    held = sum(t.elements or 0 for t in model.graphs[0].tensors.values() if t.data is not None)
    outputs = sum(shape[0] for shape in kernels(twin))
    assert held == sum(math.prod(shape) for shape in kernels(twin)) + outputs


@needs_corpus
def test_resnet_50_is_resnet_50() -> None:
    """Every shape follows, and kernels are those of the original network with folded normalisation."""
    model = READER.read(corpus("ncnn/resnet50.param"))
    shapes = infer_shapes(model)
    assert shapes.contradictions == ()
    graph = model.graphs[0]
    macs = 0
    for node in graph.nodes:
        if node.operator in ("Conv", "Gemm"):
            weight, result = graph.tensors[node.inputs[1]].shape, shapes.shape(node.outputs[0])
            assert weight is not None
            assert result is not None
            macs += math.prod(int(s) for s in weight) * math.prod(result[2:])
    assert macs == 3_857_973_248
