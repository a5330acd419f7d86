"""Operator families one at a time, in every format's way of writing them down."""

from collections.abc import Callable

import pytest
from tests.analysis.networks import Builder

from gaugenn.analysis.cost import NodeCost, costs
from gaugenn.analysis.shapes import infer_shapes
from gaugenn.graph import DataType

MS = "com.microsoft"


def last(b: Builder, output: str, dimensions: dict[str, int] | None = None) -> NodeCost:
    model = b.model(output)
    return costs(model, infer_shapes(model, dimensions)).nodes[0][-1]


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize(
    ("padding", "stride", "size"),
    [("SAME_UPPER", 2, 4), ("SAME_LOWER", 1, 7), ("VALID", 2, 3), (1, 2, 4), (0, 1, 5)],
)
def test_convolutions_have_output_positions_times_weights_macs(
    channels_last: bool, padding: int | str, stride: int, size: int
) -> None:
    b = Builder(channels_last=channels_last)
    cost = last(b, b.conv(b.image(6, 7, 7, batch=2), 4, 3, stride, padding, group=2, bias=True))
    shape = (2, size, size, 4) if channels_last else (2, 4, size, size)
    assert cost.output_shape == shape
    assert cost.macs == 2 * size * size * 4 * 3 * 9
    assert cost.elementwise_operations == 2 * size * size * 4
    assert cost.parameters == 4 * 3 * 9 + 4


@pytest.mark.parametrize("channels_last", [False, True])
def test_depthwise_convolutions_with_a_multiplier_count_each_filter_once(
    channels_last: bool,
) -> None:
    b = Builder(channels_last=channels_last)
    cost = last(b, b.conv(b.image(8, 10, 10), 16, 5, 1, "SAME_UPPER", group=8))
    assert cost.macs == 10 * 10 * 16 * 25


def test_a_convolution_of_contradictory_weights_is_not_counted() -> None:
    b = Builder()
    x, weights = b.image(3, 8, 8), b.constant(4, 2, 3, 3)
    cost = last(b, b.node("Conv", [x, weights], kernel_shape=(3, 3), output_channels=4))
    assert cost.macs is None
    assert not cost.is_counted


@pytest.mark.parametrize("channels_last", [False, True])
def test_transposed_convolutions_have_input_positions_times_weights_macs(
    channels_last: bool,
) -> None:
    b = Builder(channels_last=channels_last)
    x = b.image(8, 5, 5)
    weights = b.constant(4, 3, 3, 8) if channels_last else b.constant(8, 4, 3, 3)
    y = b.node(
        "ConvTranspose",
        [x, weights],
        kernel_shape=(3, 3),
        strides=(2, 2),
        output_channels=4,
        auto_pad="SAME_UPPER",
    )
    cost = last(b, y)
    assert cost.macs == 5 * 5 * 8 * 4 * 9
    assert cost.output_shape == ((1, 10, 10, 4) if channels_last else (1, 4, 10, 10))


def test_pooling_in_ceil_mode_drops_windows_that_begin_in_the_padding() -> None:
    b = Builder()
    cost = last(b, b.pool("MaxPool", b.image(2, 6, 6), 1, 3, ceil=True))
    assert cost.output_shape == (1, 2, 2, 2)
    cost = last(b, b.pool("AveragePool", b.image(2, 6, 6), 3, 2, ceil=True))
    assert cost.output_shape == (1, 2, 3, 3)
    assert cost.elementwise_operations == 2 * 9 * 9


@pytest.mark.parametrize(
    ("attributes", "left", "right", "shape", "macs"),
    [
        ({}, (2, 3, 4), (4, 5), (2, 3, 5), 120),
        ({"transB": 1}, (2, 3, 4), (5, 4), (2, 3, 5), 120),
        ({"transA": 1}, (7, 4, 3), (7, 4, 5), (7, 3, 5), 420),
        ({}, (4,), (4,), (), 4),
        ({}, (3, 1, 2, 4), (6, 4, 5), (3, 6, 2, 5), 720),
    ],
)
def test_matrix_products(
    attributes: dict[str, int],
    left: tuple[int, ...],
    right: tuple[int, ...],
    shape: tuple[int, ...],
    macs: int,
) -> None:
    b = Builder()
    cost = last(b, b.node("MatMul", [b.input(*left), b.input(*right)], **attributes))
    assert (cost.output_shape, cost.macs) == (shape, macs)


@pytest.mark.parametrize(("keep", "shape"), [(1, (2, 3, 5)), (0, (6, 5))])
def test_fully_connected_layers_over_more_dimensions(keep: int, shape: tuple[int, ...]) -> None:
    b = Builder()
    inputs = [b.input(2, 3, 4), b.constant(5, 4), b.constant(5)]
    cost = last(b, b.node("MatMul", inputs, source="FULLY_CONNECTED", transB=1, keep_num_dims=keep))
    assert (cost.output_shape, cost.macs, cost.elementwise_operations) == (shape, 120, 30)
    assert cost.parameters == 25


def test_fully_connected_layers_flatten_images() -> None:
    b = Builder()
    cost = last(b, b.node("Gemm", [b.input(1, 8, 2, 2), b.constant(10, 32)], transB=1))
    assert (cost.output_shape, cost.macs) == ((1, 10), 320)


def test_blockwise_quantised_products_count_their_true_matrix() -> None:
    b = Builder()
    packed = b.constant(64, 4, 16, dtype=DataType.UINT8)
    scales = b.constant(256)
    y = b.node("", [b.input(3, 128), packed, scales], source="MatMulNBits", domain=MS, K=128, N=64)
    cost = last(b, y)
    assert (cost.output_shape, cost.macs) == ((3, 64), 3 * 128 * 64)
    assert (cost.parameters, cost.weights_bytes) == (128 * 64, 64 * 4 * 16)


def test_einsum_multiplies_what_it_sums_over() -> None:
    b = Builder()
    y = b.node("Einsum", [b.input(2, 3, 4), b.input(2, 5, 4)], equation="bik,bjk->bij")
    cost = last(b, y)
    assert (cost.output_shape, cost.macs) == ((2, 3, 5), 120)


@pytest.mark.parametrize(("operator", "gates"), [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
@pytest.mark.parametrize("directions", [1, 2])
def test_recurrent_layers_multiply_every_weight_at_every_step(
    operator: str, gates: int, directions: int
) -> None:
    b = Builder()
    steps, batch, features, hidden = 10, 2, 8, 16
    weights = b.constant(directions, gates * hidden, features)
    recurrent = b.constant(directions, gates * hidden, hidden)
    y = b.node(
        operator,
        [b.input(steps, batch, features), weights, recurrent],
        outputs=2,
        hidden_size=hidden,
        direction="bidirectional" if directions == 2 else "forward",
    )
    cost = last(b, y)
    assert cost.output_shape == (steps, directions, batch, hidden)
    assert cost.macs == steps * batch * directions * gates * hidden * (features + hidden)


def test_tflite_lstms_have_a_matrix_a_gate() -> None:
    b = Builder(channels_last=True)
    matrices = [b.constant(16, 8) for _ in range(4)] + [b.constant(16, 16) for _ in range(4)]
    biases = [b.constant(16) for _ in range(4)]
    y = b.node(
        "LSTM",
        [b.input(1, 28, 8), "", "", "", "", "", "", "", *matrices, *biases],
        source="UNIDIRECTIONAL_SEQUENCE_LSTM",
        hidden_size=16,
        layout=1,
        direction="forward",
    )
    cost = last(b, y)
    assert (cost.output_shape, cost.macs) == ((1, 28, 16), 28 * 4 * 16 * (8 + 16))
    assert cost.parameters == 4 * 16 * (8 + 16) + 4 * 16


def test_svdf_filters_features_then_time() -> None:
    b = Builder(channels_last=True)
    inputs = [b.input(1, 40), b.constant(64, 40), b.constant(64, 10)]
    cost = last(b, b.node("", inputs, source="SVDF", rank=2))
    assert (cost.output_shape, cost.macs) == ((1, 32), 64 * 40 + 64 * 10)


def _projected(b: Builder) -> str:
    inputs = [b.input(2, 5, 32), b.constant(32, 96), b.constant(96)]
    return b.node("", inputs, source="Attention", domain=MS, outputs=2, num_heads=4)


def _standard(b: Builder) -> str:
    inputs = [b.input(2, 4, 5, 8), b.input(2, 4, 7, 8), b.input(2, 4, 7, 6)]
    return b.node("Attention", inputs)


def _multi_head(b: Builder) -> str:
    inputs = [b.input(2, 5, 32), b.input(2, 7, 32), b.input(2, 7, 32)]
    return b.node("", inputs, source="MultiHeadAttention", domain=MS, num_heads=4)


def _grouped(b: Builder) -> str:
    inputs = [b.input(1, 5, 32), b.input(1, 5, 16), b.input(1, 5, 16)]
    names = {"num_heads": 4, "kv_num_heads": 2}
    return b.node("", inputs, source="GroupQueryAttention", domain=MS, outputs=3, **names)


def _ncnn(b: Builder) -> str:
    past = [b.input(1, 2, 9, 8), b.input(1, 2, 9, 8)]
    inputs = [b.input(1, 4, 5, 8), b.input(1, 2, 5, 8), b.input(1, 2, 5, 8), "", *past]
    return b.node("Attention", inputs, source="SDPA")


@pytest.mark.parametrize(
    ("build", "shape", "macs"),
    [
        (_projected, (2, 5, 32), 2 * 5 * 32 * 96 + 2 * 5 * 5 * 64),
        (_standard, (2, 4, 5, 6), 2 * 4 * 5 * 7 * 14),
        (_multi_head, (2, 5, 32), 2 * 5 * 7 * 64),
        (_grouped, (1, 5, 32), 5 * 5 * 64),
        (_ncnn, (1, 4, 5, 8), 4 * 5 * 14 * 16),
    ],
)
def test_attention_multiplies_queries_with_keys_and_scores_with_values(
    build: Callable[[Builder], str], shape: tuple[int, ...], macs: int
) -> None:
    b = Builder()
    cost = last(b, build(b))
    assert (cost.output_shape, cost.macs) == (shape, macs)
    assert cost.is_counted


def test_quantised_onnx_operators_count_like_their_float_twins() -> None:
    b = Builder()
    scale, zero = b.constant(values=[0.5]), b.constant(values=[3], dtype=DataType.UINT8)
    weights = b.constant(4, 3, 3, 3, dtype=DataType.INT8)
    bias = b.constant(4, dtype=DataType.INT32)
    x = b.input(1, 3, 8, 8, dtype=DataType.UINT8)
    inputs = [x, scale, zero, weights, scale, zero, scale, zero, bias]
    cost = last(b, b.node("QLinearConv", inputs, kernel_shape=(3, 3)))
    assert (cost.macs, cost.elementwise_operations) == (6 * 6 * 4 * 27, 6 * 6 * 4)
    assert (cost.parameters, cost.weights_bytes) == (4 * 27 + 4, 4 * 27 + 16)
    b = Builder()
    inputs = [b.input(2, 8, dtype=DataType.UINT8), b.constant(8, 4, dtype=DataType.INT8)]
    assert last(b, b.node("MatMulInteger", inputs)).macs == 64
    b = Builder()
    x = b.input(1, 8, 8, 3, dtype=DataType.UINT8)
    nhwc = [x, *[b.constant(values=[1.0])] * 2]
    weights = b.constant(4, 3, 3, 3, dtype=DataType.INT8)
    y = b.node(
        "",
        [*nhwc, weights, *nhwc[1:], *nhwc[1:]],
        source="QLinearConv",
        domain=MS,
        channels_last=1,
        kernel_shape=(3, 3),
    )
    cost = last(b, y)
    assert (cost.output_shape, cost.macs) == ((1, 6, 6, 4), 6 * 6 * 4 * 27)


@pytest.mark.parametrize(
    ("operator", "per_element"), [("Relu", 1), ("Clip", 2), ("Sigmoid", 4), ("Softmax", 5)]
)
def test_activations_cost_what_the_table_says_fused_or_not(operator: str, per_element: int) -> None:
    b = Builder()
    assert last(b, b.node(operator, [b.input(3, 4)])).elementwise_operations == 12 * per_element
    b = Builder()
    fused = b.node("Add", [b.input(3, 4), b.input(3, 4)], fused_activation=operator)
    assert last(b, fused).elementwise_operations == 12 + 12 * per_element


@pytest.mark.parametrize("channels_last", [False, True])
def test_resizing_and_shuffling_follow_the_layout(channels_last: bool) -> None:
    b = Builder(channels_last=channels_last)
    x = b.image(8, 4, 6)
    up = last(b, b.node("Resize", [x], scales=(2.0, 2.0), mode="linear"))
    assert up.output_shape == ((1, 8, 12, 8) if channels_last else (1, 8, 8, 12))
    assert up.elementwise_operations == 7 * 8 * 8 * 12
    b = Builder(channels_last=channels_last)
    shuffled = last(b, b.node("DepthToSpace", [b.image(8, 4, 6)], blocksize=2))
    assert shuffled.output_shape == ((1, 8, 12, 2) if channels_last else (1, 2, 8, 12))


def _strided(b: Builder) -> str:
    bounds = [b.sizes(1, 0, -1), b.sizes(9, 2, 0), b.sizes(2, 1, -1)]
    masks = {"begin_mask": 0, "end_mask": 4, "shrink_axis_mask": 2}
    return b.node("", [b.input(5, 6, 7), *bounds], source="STRIDED_SLICE", **masks)


def _margins(b: Builder) -> str:
    return b.constant(2, 2, values=[0, 1, 0, 1], dtype=DataType.INT32)


SOURCE_ONLY: dict[str, tuple[Callable[[Builder], str], tuple[int, ...]]] = {
    "PACK": (lambda b: b.node("", [b.input(2, 3)] * 4, source="PACK", axis=-1), (2, 3, 4)),
    "UNPACK": (
        lambda b: b.node("", [b.input(2, 3)], source="UNPACK", axis=1, outputs=3),
        (2,),
    ),
    "STRIDED_SLICE": (_strided, (2, 7)),
    "SPACE_TO_BATCH_ND": (
        lambda b: b.node(
            "",
            [
                b.input(1, 5, 5, 2),
                b.sizes(2, 2),
                b.constant(2, 2, values=[0, 1, 0, 1], dtype=DataType.INT32),
            ],
            source="SPACE_TO_BATCH_ND",
        ),
        (4, 3, 3, 2),
    ),
    "BATCH_TO_SPACE_ND": (
        lambda b: b.node(
            "",
            [
                b.input(4, 3, 3, 2),
                b.sizes(2, 2),
                b.constant(2, 2, values=[0, 1, 0, 1], dtype=DataType.INT32),
            ],
            source="BATCH_TO_SPACE_ND",
        ),
        (1, 5, 5, 2),
    ),
    "L2_POOL_2D": (
        lambda b: b.node(
            "",
            [b.input(1, 8, 8, 2)],
            source="L2_POOL_2D",
            padding=1,
            stride_h=2,
            stride_w=2,
            filter_height=2,
            filter_width=2,
        ),
        (1, 4, 4, 2),
    ),
    "SQUARED_DIFFERENCE": (
        lambda b: b.node("", [b.input(2, 3), b.input(3)], source="SQUARED_DIFFERENCE"),
        (2, 3),
    ),
    "ShuffleChannel": (
        lambda b: b.node("", [b.input(1, 8, 4, 4)], source="ShuffleChannel", group=2),
        (1, 8, 4, 4),
    ),
    "SquaredDifference": (
        lambda b: b.node("", [b.input(2, 3), b.input(3)], source="SquaredDifference"),
        (2, 3),
    ),
    **{
        name: (lambda b, name=name: b.node("", [b.input(2, 3)], source=name), (2, 3))
        for name in (
            *("ChannelShuffle", "FakeQuantize", "L2Normalization", "NormalizeL2", "Rsqrt", "Sqr"),
            *("_mul_scalar", "_power_scalar", "_rminus_scalar", "pow", "rsqrt", "scale", "square"),
        )
    },
}


@pytest.mark.parametrize(
    ("name", "operations"),
    [
        ("ChannelShuffle", 0),
        ("_mul_scalar", 1),
        ("scale", 2),
        ("NormalizeL2", 3),
        ("FakeQuantize", 5),
    ],
)
def test_operators_that_onnx_lacks_count_for_each_element(name: str, operations: int) -> None:
    b = Builder()
    cost = last(b, b.node("", [b.input(2, 3)], source=name))
    assert cost.elementwise_operations == 6 * operations


@pytest.mark.parametrize("name", SOURCE_ONLY)
def test_operators_that_onnx_lacks_are_known_by_their_own_name(name: str) -> None:
    build, shape = SOURCE_ONLY[name]
    b = Builder(channels_last=name.isupper())
    cost = last(b, build(b))
    assert cost.output_shape == shape
    assert (cost.macs, cost.is_counted) == (0, True)


def test_a_source_name_that_onnx_uses_otherwise_is_not_mistaken_for_it() -> None:
    b = Builder()
    cost = last(b, b.node("", [b.input(4, 4), b.input(4, 4)], source="MatMul", domain="my.company"))
    assert (cost.macs, cost.output_shape, cost.is_counted) == (None, None, False)


def test_decision_trees_compare_once_a_level() -> None:
    b = Builder()
    y = b.node(
        "TreeEnsembleRegressor",
        [b.input(3, 2)],
        nodes_treeids=(0, 0, 0, 0, 0),
        nodes_nodeids=(0, 1, 2, 3, 4),
        nodes_truenodeids=(1, 0, 3, 0, 0),
        nodes_falsenodeids=(2, 0, 4, 0, 0),
        nodes_modes=("BRANCH_LEQ", "LEAF", "BRANCH_LEQ", "LEAF", "LEAF"),
        n_targets=1,
    )
    cost = last(b, y)
    assert (cost.macs, cost.elementwise_operations) == (0, 3 * (2 + 1))
    assert cost.output_shape == (3, 1)


def test_linear_models_multiply_by_their_coefficients() -> None:
    b = Builder()
    y = b.node(
        "LinearClassifier",
        [b.input(2, 3)],
        outputs=2,
        coefficients=(1.0,) * 12,
        intercepts=(0.0,) * 4,
        classlabels_ints=(0, 1, 2, 3),
    )
    cost = last(b, y)
    assert (cost.macs, cost.parameters, cost.weights_bytes) == (24, 16, 64)
