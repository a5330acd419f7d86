"""What counts once, what counts often, what cannot be counted, and what memory it takes."""

from dataclasses import replace

import pytest
from tests.analysis.networks import Builder

from gaugenn.analysis.cost import ModelCost, costs
from gaugenn.analysis.shapes import infer_shapes
from gaugenn.analysis.summary import summarise
from gaugenn.graph import DataType, Graph, GraphReference, Model, Quantization, TensorKind


def count(model: Model, dimensions: dict[str, int] | None = None) -> ModelCost:
    return costs(model, infer_shapes(model, dimensions))


def dense_graph(outputs: int, *, prefix: str, parent: int | None = None) -> Graph:
    b = Builder(prefix=prefix)
    return b.graph(b.dense(b.input(1, 8), 8, outputs, bias=False), parent=parent)


def test_shared_weights_are_parameters_once() -> None:
    b = Builder()
    x, weights = b.input(4, 8), b.constant(8, 8)
    y = b.node("MatMul", [b.node("MatMul", [x, weights]), weights])
    cost = count(b.model(y))
    assert (cost.macs, cost.parameters, cost.weights_bytes) == (512, 64, 256)
    assert [node.parameters for node in cost.nodes[0]] == [64, 64]


def test_tensors_that_share_their_bytes_are_parameters_once() -> None:
    b = Builder(seed=1)
    x, weights = b.input(4, 8), b.constant(8, 8)
    b.tensors["twin"] = replace(b.tensors[weights], name="twin")
    y = b.node("MatMul", [b.node("MatMul", [x, weights]), "twin"])
    assert count(b.model(y)).parameters == 64


def test_sizes_scales_and_single_numbers_are_no_parameters() -> None:
    b = Builder()
    x = b.input(2, 8)
    x = b.node("Add", [x, b.constant(values=[1e-6])])
    x = b.node("Reshape", [x, b.sizes(4, 4)])
    x = b.node("Clip", [x, b.constant(values=[0.0]), b.constant(values=[6.0])])
    x = b.node("QuantizeLinear", [x, b.constant(values=[0.1]), b.constant(values=[0])])
    assert count(b.model(x)).parameters == 0
    y = b.node("PRelu", [x, b.constant(1)])
    assert count(b.model(y)).parameters == 1


def test_a_weight_that_a_fixed_expression_shapes_or_casts_is_a_parameter() -> None:
    b = Builder()
    shaped = b.node("Reshape", [b.constant(2, 2, 8), b.sizes(4, 8)])
    halves = b.node("Cast", [b.constant(8, dtype=DataType.FLOAT16)], to=1)
    y = b.node("Add", [b.node("MatMul", [b.input(1, 4), shaped]), halves])
    assert count(b.model(y)).parameters == 32 + 8


def test_a_file_of_weights_alone_has_the_parameters_that_it_holds() -> None:
    b = Builder(seed=1)
    first = b.constant(4, 8)
    b.constant(values=[7], dtype=DataType.INT64)
    b.tensors["twin"] = replace(b.tensors[first], name="twin")
    cost = count(b.model())
    assert (cost.parameters, cost.weights_bytes, cost.macs) == (32, 128, 0)


def test_a_dequantised_weight_belongs_to_the_layer_that_uses_it() -> None:
    b = Builder()
    stored = b.constant(4, 8, dtype=DataType.INT8)
    scale, zero = b.constant(4), b.constant(4, dtype=DataType.INT8)
    weights = b.node("DequantizeLinear", [stored, scale, zero], axis=0)
    y = b.node("Gemm", [b.input(1, 8), weights], transB=1)
    cost = count(b.model(y))
    first, second = cost.nodes[0]
    assert (first.parameters, first.macs, first.elementwise_operations) == (0, 0, 0)
    assert (second.parameters, second.weights_bytes, second.macs) == (32, 32, 32)


def test_integer_biases_are_parameters_where_they_have_a_scale() -> None:
    b = Builder(channels_last=True)
    bias = b.constant(4, dtype=DataType.INT32)
    scaled = Quantization(scales=(0.5,), zero_points=(0,))
    b.tensors[bias] = replace(b.tensors[bias], quantization=scaled)
    weights = b.constant(4, 8, dtype=DataType.INT8)
    y = b.node("Gemm", [b.input(1, 8), weights, bias], transB=1)
    assert count(b.model(y)).parameters == 36


def test_an_unknown_operator_is_unknown_and_never_nothing() -> None:
    b = Builder()
    cost = count(b.model(b.node("", [b.input(2, 3)], source="edgetpu-custom-op", declared=(2, 3))))
    assert (cost.macs, cost.flops, cost.elementwise_operations) == (None, None, None)
    assert cost.uncounted_nodes == 1


def test_known_layers_beside_an_unknown_one_are_a_lower_bound() -> None:
    b = Builder()
    y = b.node("", [b.dense(b.input(1, 8), 8, 4)], source="MyOperator")
    record, _ = summarise(b.model(b.relu(y)), model_sha256="0" * 64, size_bytes=1)
    assert record.macs == 32
    assert record.uncounted_nodes == 2  # the custom operator, and the Relu of an unknown shape
    assert record.unmapped_nodes == 1


def conditional(then: int, other: int, condition: str = "input") -> Model:
    b = Builder()
    if condition == "input":
        name = b.input(dtype=DataType.BOOL)
    else:
        name = b.constant(values=[condition == "true"], dtype=DataType.BOOL)
        b.tensors[name] = replace(b.tensors[name], shape=())
    branches = {"then_branch": GraphReference(1), "else_branch": GraphReference(2)}
    y = b.node("If", [name, b.input(1, 8)], **branches)
    graphs = [dense_graph(then, prefix="a"), dense_graph(other, prefix="b")]
    return b.model(y, inner=graphs)


@pytest.mark.parametrize(("condition", "macs"), [("input", 800), ("true", 80), ("false", 800)])
def test_an_if_costs_its_larger_branch_unless_the_branch_is_known(
    condition: str, macs: int
) -> None:
    cost = count(conditional(10, 100, condition))
    assert cost.macs == macs
    assert cost.nodes[0][0].macs == macs
    assert cost.uncounted_nodes == 0


def loop(trips: int | None) -> Model:
    b = Builder()
    bound = "" if trips is None else b.constant(values=[trips], dtype=DataType.INT64)
    if bound:
        b.tensors[bound] = replace(b.tensors[bound], shape=())
    y = b.node("Loop", [bound, "", b.input(1, 8)], outputs=2, body=GraphReference(1))
    body = Builder(prefix="body")
    body.input(dtype=DataType.INT64)
    condition = body.input(dtype=DataType.BOOL)
    state = body.dense(body.input(1, 8), 8, 8, bias=False)
    return b.model(y, b.nodes[0].outputs[1], inner=[body.graph(condition, state, state)])


def test_bytes_moved_are_inputs_weights_and_outputs_of_every_operator() -> None:
    b = Builder()
    record, layers = summarise(
        b.model(b.relu(b.dense(b.input(1, 8), 8, 4, bias=False))),
        model_sha256="0" * 64,
        size_bytes=1,
    )
    assert [layer.bytes_moved for layer in layers] == [4 * (8 + 8 * 4 + 4), 4 * (4 + 4)]
    assert layers[0].arithmetic_intensity == 2 * 32 / (4 * 44)
    assert record.bytes_moved == 4 * 52
    assert record.elementwise_operations is not None
    assert record.arithmetic_intensity == (64 + record.elementwise_operations) / (4 * 52)


@pytest.mark.parametrize("trips", [1, 20])
def test_a_loop_moves_what_its_body_moves_as_often_as_it_runs(trips: int) -> None:
    cost = count(loop(trips))
    assert cost.bytes_moved == trips * 4 * (8 + 8 * 8 + 8)
    assert cost.bytes_moved == cost.nodes[0][0].bytes_moved


def test_an_if_moves_what_its_costlier_branch_moves() -> None:
    small, large = (count(conditional(width, width)).bytes_moved for width in (10, 100))
    assert count(conditional(10, 100)).bytes_moved == large > small


def test_a_loop_costs_its_body_as_often_as_it_runs() -> None:
    model = loop(20)
    cost = count(model)
    assert (cost.macs, cost.has_unknown_trips) == (20 * 64, False)
    scanned = model.graphs[0].nodes[0].outputs[1]
    assert infer_shapes(model).shape(scanned) == (20, 1, 8)


@pytest.mark.parametrize("trips", [None, (1 << 63) - 1])
def test_a_loop_of_unknown_length_counts_once_and_says_so(trips: int | None) -> None:
    record, _ = summarise(loop(trips), model_sha256="0" * 64, size_bytes=1)
    assert record.macs == 64
    assert record.assumed_dimensions
    assert "unbounded-loop" in record.notes


def test_a_while_loop_counts_its_body_and_its_condition() -> None:
    b = Builder()
    graphs = {"body": GraphReference(1), "cond": GraphReference(2)}
    y = b.node("Loop", ["", "", b.input(1, 8)], source="WHILE", **graphs)
    cost = count(b.model(y, inner=[dense_graph(8, prefix="a"), dense_graph(1, prefix="b")]))
    assert (cost.macs, cost.has_unknown_trips) == (72, True)


def test_a_scan_runs_once_for_every_slice() -> None:
    b = Builder()
    y = b.node(
        "Scan",
        [b.input(1, 8), b.input(5, 1, 8)],
        outputs=2,
        body=GraphReference(1),
        num_scan_inputs=1,
    )
    body = Builder(prefix="body")
    state, piece = body.input(1, 8), body.input(1, 8)
    total = body.node("Add", [body.dense(state, 8, 8, bias=False), piece])
    model = b.model(y, b.nodes[0].outputs[1], inner=[body.graph(total, total)])
    assert count(model).macs == 5 * 64
    assert infer_shapes(model).shape(b.nodes[0].outputs[1]) == (5, 1, 8)


def test_a_function_counts_at_every_call_with_the_shapes_it_has_there() -> None:
    b = Builder()
    first = b.node("", [b.input(1, 8)], source="block", function=GraphReference(1))
    second = b.node("", [b.input(3, 8)], source="block", function=GraphReference(1))
    inner = Builder(prefix="f")
    x = inner.input("n", 8)
    model = b.model(first, second, inner=[inner.graph(inner.dense(x, 8, 4, bias=False))])
    cost = count(model)
    assert [node.macs for node in cost.nodes[0]] == [32, 96]
    assert (cost.macs, cost.parameters) == (128, 32)
    assert infer_shapes(model).assumed == ()


def test_a_branch_sees_the_tensors_around_it() -> None:
    b = Builder()
    x, weights = b.input(1, 8), b.constant(8, 4)
    graphs = {"then_branch": GraphReference(1), "else_branch": GraphReference(2)}
    y = b.node("If", [b.input(dtype=DataType.BOOL)], **graphs)
    inner = []
    for prefix in "ab":
        branch = Builder(prefix=prefix)
        inner.append(branch.graph(branch.node("MatMul", [x, weights]), parent=0))
    cost = count(b.model(y, inner=inner))
    assert (cost.macs, cost.parameters, cost.uncounted_nodes) == (32, 32, 0)


def test_graphs_that_nothing_calls_are_counted_apart() -> None:
    b = Builder()
    model = b.model(b.dense(b.input(1, 8), 8, 4), inner=[dense_graph(100, prefix="other")])
    cost = count(model)
    assert cost.macs == 32
    assert cost.nodes[1][0].macs == 800


def test_what_runs_once_when_the_model_is_prepared_costs_no_inference() -> None:
    b = Builder()
    b.node("", [], source="CALL_ONCE", outputs=0, init=GraphReference(1))
    y = b.relu(b.input(4))
    cost = count(b.model(y, inner=[dense_graph(100, prefix="once")]))
    assert (cost.macs, cost.elementwise_operations) == (0, 4)


def test_the_peak_is_the_largest_set_of_live_activations() -> None:
    b = Builder()
    x = b.input(1, 100)
    wide = b.dense(x, 100, 1000)
    narrow = b.dense(wide, 1000, 10)
    y = b.dense(narrow, 10, 50)
    assert count(b.model(y)).activation_peak_bytes == 4 * (100 + 1000)


def test_a_shortcut_keeps_its_start_alive() -> None:
    b = Builder()
    x = b.input(1, 100)
    start = b.dense(x, 100, 100)
    y = b.node("Add", [b.dense(b.dense(start, 100, 200), 200, 100), start])
    assert count(b.model(y)).activation_peak_bytes == 4 * (100 + 200 + 100)


def test_operators_that_work_in_place_take_no_memory_of_their_own() -> None:
    b = Builder()
    x = b.dense(b.input(1, 8), 8, 100)
    x = b.node("Reshape", [b.relu(x), b.sizes(10, 10)])
    assert count(b.model(b.relu(x))).activation_peak_bytes == 4 * (8 + 100)


def test_weights_and_shape_arithmetic_are_not_activations() -> None:
    b = Builder()
    stored = b.constant(100, 8, dtype=DataType.INT8)
    weights = b.node("DequantizeLinear", [stored, b.constant(values=[0.5])])
    x = b.input(1, 8)
    b.node("Shape", [x])
    y = b.node("Gemm", [x, weights], transB=1)
    assert count(b.model(y)).activation_peak_bytes == 4 * (8 + 100)


def test_a_branch_needs_its_memory_on_top() -> None:
    assert count(conditional(10, 100)).activation_peak_bytes == 1 + 4 * (8 + 100) + 4 * (8 + 100)


def test_variables_are_neither_parameters_nor_known_values() -> None:
    b = Builder(channels_last=True)
    state = b.constant(1, 8)
    b.tensors[state] = replace(b.tensors[state], kind=TensorKind.VARIABLE)
    cost = count(b.model(b.node("Add", [b.input(1, 8), state])))
    assert (cost.parameters, cost.elementwise_operations) == (0, 8)
