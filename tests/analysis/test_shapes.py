"""Inference as a whole: dynamic sizes, shape arithmetic, contradictions, hostile graphs."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.analysis.networks import Builder

from gaugenn.analysis import shapes as shapes_module
from gaugenn.analysis._rules import OPERATOR_RULES
from gaugenn.analysis._shapes_source import RULES as SOURCE_RULES
from gaugenn.analysis.cost import costs
from gaugenn.analysis.shapes import MAXIMUM_DEPTH, Note, infer_shapes
from gaugenn.analysis.summary import summarise
from gaugenn.errors import FormatError
from gaugenn.graph import DataType, Graph, GraphReference, Model, Node, Tensor


def test_dynamic_dimensions_are_one_and_reported() -> None:
    b = Builder()
    y = b.relu(b.input("batch", 3, "?", 5))
    shapes = infer_shapes(b.model(y))
    assert shapes.shape(y) == (1, 3, 1, 5)
    assert shapes.assumed == ("?", "batch")


def test_dynamic_dimensions_take_the_sizes_that_are_given() -> None:
    b = Builder()
    x = b.input("batch", 3, "?", 5)
    y = b.relu(x)
    shapes = infer_shapes(b.model(y), {"batch": 4, f"{x}[2]": 7})
    assert shapes.shape(y) == (4, 3, 7, 5)
    assert shapes.assumed == ()


def test_an_input_of_unknown_rank_gets_the_axes_that_are_named() -> None:
    b = Builder()
    y = b.relu(b.input())
    b.tensors[b.inputs[0]] = Tensor(name=b.inputs[0], dtype=DataType.FLOAT32, shape=None)
    model = b.model(y)
    assert infer_shapes(model).shape(y) is None
    given_sizes = {f"{b.inputs[0]}[{axis}]": size for axis, size in enumerate((1, 3, 240, 320))}
    assert infer_shapes(model, given_sizes).shape(y) == (1, 3, 240, 320)


def test_shapes_are_followed_through_the_arithmetic_of_exporters() -> None:
    b = Builder()
    x = b.input("batch", 6, 4)
    sizes = b.node("Shape", [x])
    batch = b.node("Gather", [sizes, b.constant(values=[0], dtype=DataType.INT64)], axis=0)
    batch = b.node("Unsqueeze", [batch, b.sizes(0)])
    rest = b.node("Slice", [sizes, b.sizes(1), b.sizes(3)])
    rest = b.node("ReduceProd", [rest], keepdims=1)
    half = b.node("Div", [rest, b.sizes(2)])
    target = b.node("Concat", [batch, b.sizes(2), b.node("Cast", [half], to=7)], axis=0)
    y = b.node("Reshape", [x, target])
    model = b.model(y)
    shapes = infer_shapes(model, {"batch": 3})
    assert shapes.shape(y) == (3, 2, 12)
    cost = costs(model, shapes)
    assert cost.elementwise_operations == 0
    assert cost.parameters == 0
    assert cost.uncounted_nodes == 0


def test_shapes_in_the_file_are_trusted_and_contradictions_noted() -> None:
    b = Builder()
    y = b.node("Relu", [b.input(2, 3)], declared=(2, 4))
    shapes = infer_shapes(b.model(y))
    assert shapes.shape(y) == (2, 4)
    assert shapes.notes == (Note.CONTRADICTION,)
    assert "(2, 4) in the file, (2, 3) by its operator" in shapes.contradictions[0]


def test_symbols_in_the_file_are_filled_from_the_operators() -> None:
    b = Builder()
    y = b.node("Relu", [b.input("n", 3)], declared=("unk__1", 3))
    shapes = infer_shapes(b.model(y), {"n": 8})
    assert shapes.shape(y) == (8, 3)
    assert shapes.assumed == ()


def test_axes_and_sizes_may_be_attributes_or_inputs() -> None:
    for axes in ("attribute", "input"):
        b = Builder()
        x = b.input(2, 1, 3)
        if axes == "attribute":
            y = b.node("Squeeze", [x], axes=(1,))
        else:
            y = b.node("Squeeze", [x, b.sizes(1)])
        assert infer_shapes(b.model(y)).shape(y) == (2, 3)


def test_nodes_out_of_order_are_put_in_order() -> None:
    b = Builder()
    y = b.relu(b.relu(b.input(2, 3)))
    b.nodes.reverse()
    assert infer_shapes(b.model(y)).shape(y) == (2, 3)


def test_element_types_follow_the_operators() -> None:
    b = Builder()
    x = b.input(2, 3)
    names = {
        b.node("Cast", [x], to=10): DataType.FLOAT16,
        b.node("ArgMax", [x], axis=1): DataType.INT64,
        b.node("Greater", [x, x]): DataType.BOOL,
        b.node("Relu", [x]): DataType.FLOAT32,
    }
    frame = infer_shapes(b.model(*names)).main
    assert {name: frame.dtype(name) for name in names} == names


def _called(graphs: list[Graph]) -> Model:
    return Model(format="test", format_version="", producer="", graphs=tuple(graphs))


def _caller(index: int, target: int) -> Graph:
    names = (f"x{index}", f"y{index}")
    tensors = {n: Tensor(name=n, dtype=DataType.FLOAT32, shape=(2,)) for n in names}
    node = Node(
        name="",
        operator="",
        source_operator="CALL",
        inputs=names[:1],
        outputs=names[1:],
        attributes={"subgraph": GraphReference(target)},
    )
    return Graph(
        name=str(index), tensors=tensors, nodes=(node,), inputs=names[:1], outputs=names[1:]
    )


def test_a_graph_that_calls_itself_ends() -> None:
    model = _called([_caller(0, 1), _caller(1, 0)])
    shapes = infer_shapes(model)
    assert Note.RECURSION in shapes.notes
    cost = costs(model, shapes)
    assert cost.macs is None
    assert cost.uncounted_nodes == 1


def test_calls_that_nest_too_deep_end() -> None:
    depth = MAXIMUM_DEPTH + 10
    graphs = [_caller(i, i + 1) for i in range(depth)]
    model = _called([*graphs, Graph(name="", tensors={}, nodes=(), inputs=(), outputs=())])
    assert Note.LIMIT in infer_shapes(model).notes


def test_calls_that_double_at_every_level_are_followed_once() -> None:
    graphs = []
    for index in range(40):
        graph = _caller(index, index + 1)
        other = Node(
            name="",
            operator="",
            source_operator="CALL",
            inputs=graph.inputs,
            outputs=(),
            attributes={"subgraph": GraphReference(index + 1)},
        )
        graphs.append(
            Graph(
                name="",
                tensors=graph.tensors,
                nodes=(*graph.nodes, other),
                inputs=graph.inputs,
                outputs=graph.outputs,
            )
        )
    b = Builder()
    leaf = b.dense(b.input(2), 2, 2)
    model = _called([*graphs, b.graph(leaf)])
    cost = costs(model, infer_shapes(model))
    assert cost.macs == 4 * 2**40


def test_values_are_followed_only_as_far_as_there_is_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shapes_module, "MAXIMUM_VALUES", 100)
    b = Builder()
    value = b.constant(60, dtype=DataType.INT64, values=range(60))
    first = b.node("Neg", [value])
    second = b.node("Neg", [first])
    frame = infer_shapes(b.model(second)).main
    assert frame.value(value) is not None
    assert frame.value(first) is None
    assert frame.is_fixed(second)
    assert frame.shape(second) == (60,)


def test_a_graph_called_with_ever_new_shapes_is_run_only_so_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shapes_module, "MAXIMUM_RUNS", 10)
    b = Builder()
    calls = [b.node("", [b.input(n)], source="f", function=GraphReference(1)) for n in range(1, 30)]
    inner = Builder(prefix="inner")
    model = b.model(*calls, inner=[inner.graph(inner.relu(inner.input("n")))])
    inferred = infer_shapes(model)
    assert inferred.notes == (Note.LIMIT,)
    assert inferred.shape(calls[0]) == (1,)
    assert costs(model, inferred).uncounted_nodes > 0


def test_sizes_that_grow_with_every_layer_become_unknown() -> None:
    b = Builder()
    x = b.input(1, 8)
    for _ in range(1500):
        x = b.node("Concat", [x] * 1000, axis=1)
    model = b.model(x)
    assert infer_shapes(model).shape(x) is None
    assert summarise(model, model_sha256="0" * 64, size_bytes=1)[0].uncounted_nodes > 1400


def test_a_size_beyond_64_bits_is_no_tensor() -> None:
    with pytest.raises(FormatError, match="2 to the power of 63"):
        Tensor(name="x", dtype=DataType.FLOAT32, shape=(1, 10**5000))


def test_costs_beyond_any_column_are_unknown_in_the_rows() -> None:
    b = Builder()
    huge = 1 << 40
    y = b.node("MatMul", [b.input(huge, huge), b.input(huge, huge)])
    record, layers = summarise(b.model(y), model_sha256="0" * 64, size_bytes=1)
    assert record.macs is None
    assert layers[0].macs is None
    assert layers[0].output_bytes is None


SIZES = st.one_of(st.integers(-3, 9), st.sampled_from([1 << 31, 1 << 62, -(1 << 63)]))
ATTRIBUTES = st.one_of(
    SIZES,
    st.floats(),
    st.text(max_size=3),
    st.tuples(),
    st.lists(SIZES, max_size=5).map(tuple),
    st.lists(st.floats(), max_size=4).map(tuple),
    st.sampled_from(["SAME_UPPER", "VALID", "NOTSET", "bij,bjk->bik", "...a->a", "bidirectional"]),
)
NAMES = st.sampled_from(
    """
    axis axes shape pads starts ends steps split scales sizes repeats k kernel_shape strides dilations
    group auto_pad output_channels output_shape output_padding ceil_mode perm keepdims blocksize
    equation hidden_size direction layout num_heads kv_num_heads q_num_heads transA transB to size K N
    begin_mask end_mask shrink_axis_mask rank batch_dims num_outputs depth mode value dft_length
    onesided frame_step n_targets nodes_treeids fused_activation keep_num_dims merge_outputs
    num_scan_inputs allowzero
    """.split()  # noqa: SIM905
)
SHAPES = st.one_of(st.none(), st.lists(st.integers(0, 5), max_size=5).map(tuple))


@st.composite
def hostile_models(draw: st.DrawFn) -> Model:
    b = Builder()
    names: list[str] = [""]
    for _ in range(draw(st.integers(1, 4))):
        shape = draw(SHAPES)
        if draw(st.booleans()) and shape is not None and len(shape) <= 2:
            count = 1
            for size in shape:
                count *= size
            values = draw(st.lists(st.integers(-9, 9), min_size=count, max_size=count))
            names.append(b.constant(*shape, values=values, dtype=DataType.INT64))
        else:
            names.append(b.input(*(shape or ())))
            if shape is None:
                last = names[-1]
                b.tensors[last] = Tensor(name=last, dtype=DataType.FLOAT32, shape=None)
    made = []
    for _ in range(draw(st.integers(1, 3))):
        operator = draw(st.sampled_from(sorted(OPERATOR_RULES)))
        source = draw(st.sampled_from(sorted(SOURCE_RULES))) if draw(st.booleans()) else ""
        made.append(
            b.node(
                "" if source else operator,
                draw(st.lists(st.sampled_from(names), max_size=6)),
                source=source,
                outputs=draw(st.integers(1, 3)),
                domain=draw(st.sampled_from(["", "com.microsoft"])),
                **draw(st.dictionaries(NAMES, ATTRIBUTES, max_size=5)),
            )
        )
        names.append(made[-1])
    return b.model(*made)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(hostile_models())
def test_no_graph_breaks_the_analysis(model: Model) -> None:
    record, layers = summarise(model, model_sha256="0" * 64, size_bytes=1)
    assert len(layers) == record.nodes
    for layer in layers:
        assert layer.macs is None or layer.macs >= 0
        assert layer.elementwise_operations is None or layer.elementwise_operations >= 0


@pytest.mark.parametrize("operator", ["Conv", "MaxPool", "ConvTranspose"])
def test_a_stride_of_zero_is_an_unknown_shape(operator: str) -> None:
    b = Builder()
    inputs = [b.image(3, 8, 8), b.constant(3, 3, 3, 3)][: 1 if operator == "MaxPool" else 2]
    y = b.node(operator, inputs, kernel_shape=(3, 3), strides=(0, 0), output_channels=3)
    model = b.model(y)
    cost = costs(model, infer_shapes(model))
    assert operator == "ConvTranspose" or cost.nodes[0][0].output_shape is None
