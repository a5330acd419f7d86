"""How weights are stored, and digests of what they hold."""

from dataclasses import replace

import numpy as np
import pytest
from tests.analysis.networks import Builder, squeezenet_1_1

from gaugenn.analysis import weight_values
from gaugenn.analysis.cost import costs
from gaugenn.analysis.fingerprint import architecture_digest, tensor_digest, weight_digest
from gaugenn.analysis.shapes import infer_shapes
from gaugenn.analysis.summary import summarise
from gaugenn.analysis.weight_values import ValuesSummary, WeightReader
from gaugenn.analysis.weights import WeightsSummary, summarise_weights
from gaugenn.graph import DataType, LazyBytes, Model, Quantization, Tensor
from gaugenn.records import LayerRecord, ModelRecord, QuantizationScheme


def look(model: Model) -> WeightsSummary:
    shapes = infer_shapes(model)
    return summarise_weights(model, shapes, costs(model, shapes))


def rows(model: Model) -> tuple[ModelRecord, tuple[LayerRecord, ...]]:
    return summarise(model, model_sha256="0" * 64, size_bytes=1)


def dense(weights: DataType, inputs: DataType = DataType.FLOAT32, via: int = 0) -> Model:
    """One fully connected layer, its weights behind a Cast or DequantizeLinear if asked for."""
    b = Builder(channels_last=True)
    stored = b.constant(4, 8, dtype=weights)
    if weights is DataType.INT8:
        scales = Quantization(scales=(0.5,) * 4, zero_points=(0,) * 4, axis=0)
        b.tensors[stored] = replace(b.tensors[stored], quantization=scales)
    x = b.input(1, 8, dtype=inputs)
    if via == 1:
        stored = b.node("DequantizeLinear", [stored])
    if via == 2:
        stored = b.node("DequantizeLinear", [stored])
        x = b.node("DequantizeLinear", [b.node("QuantizeLinear", [x])])
    return b.model(b.node("Gemm", [x, stored], transB=1))


@pytest.mark.parametrize(
    ("model", "scheme"),
    [
        (dense(DataType.FLOAT32), QuantizationScheme.NONE),
        (dense(DataType.FLOAT16), QuantizationScheme.FLOAT16),
        (dense(DataType.INT8), QuantizationScheme.DYNAMIC_RANGE),
        (dense(DataType.INT8, DataType.INT8), QuantizationScheme.FULL_INTEGER),
        (dense(DataType.INT8, via=1), QuantizationScheme.WEIGHT_ONLY),
        (dense(DataType.INT8, via=2), QuantizationScheme.QDQ),
    ],
)
def test_the_scheme_follows_from_what_multiplies_with_what(
    model: Model, scheme: QuantizationScheme
) -> None:
    assert look(model).scheme is scheme


def test_types_are_counted_by_element() -> None:
    found = look(dense(DataType.INT8))
    assert found.weights_dtype is DataType.INT8
    assert found.activations_dtype is None or found.activations_dtype is DataType.FLOAT32
    assert found.granularities == ("per_axis",)
    assert found.quantized_weights == 32


def constant(values: list[float], dtype: str, **fields: object) -> Tensor:
    array = np.array(values, dtype=dtype)
    tensor = Tensor(
        name="w", dtype=DataType(dtype), shape=array.shape, data=memoryview(array.tobytes())
    )
    return replace(tensor, **fields)  # type: ignore[arg-type]


def zeros(tensor: Tensor) -> ValuesSummary:
    b = Builder()
    count = tensor.elements or 0
    name = b.constant(count)
    b.tensors[name] = replace(tensor, name=name, kind=b.tensors[name].kind)
    model = b.model(b.node("PRelu", [b.input(1, count), name]))
    return WeightReader().summary(costs(model, infer_shapes(model)))


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64"])
def test_zeros_and_near_zeros_are_told_apart(dtype: str) -> None:
    found = zeros(constant([0.0, -0.0, 1.0, 1e-9 if dtype != "float16" else 1.0, -2.0], dtype))
    near = 3 if dtype != "float16" else 2
    assert found == ValuesSummary(
        examined=5, zeros=2, near_zeros=near, absent=0, tensors=0, clustered=0
    )


def test_a_quantised_weight_is_zero_at_its_zero_point() -> None:
    points = Quantization(scales=(0.1, 0.2), zero_points=(3, 7), axis=0)
    tensor = constant([3, 0, 7, 3, 7, 7], "uint8", quantization=points, shape=(2, 3))
    b = Builder()
    name = b.constant(2, 3)
    b.tensors[name] = replace(tensor, name=name, kind=b.tensors[name].kind)
    model = b.model(b.node("Gemm", [b.input(1, 3), name], transB=1))
    share = WeightReader().summary(costs(model, infer_shapes(model)))
    assert (share.examined, share.zeros) == (6, 3)


def test_zeros_are_the_same_in_chunks_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(5).integers(-1, 2, 1000).astype(float).tolist()
    for dtype in ("float32", "int8"):
        whole = zeros(constant(values, dtype))
        monkeypatch.setattr(weight_values, "CHUNK_BYTES", 64)
        assert zeros(constant(values, dtype)) == whole
        monkeypatch.undo()


def test_packed_integers_are_unpacked() -> None:
    packed = memoryview(bytes([0x10, 0x00, 0x0F]))
    tensor = Tensor(name="w", dtype=DataType.INT4, shape=(5,), data=packed)
    assert zeros(tensor) == ValuesSummary(
        examined=5, zeros=3, near_zeros=3, absent=0, tensors=0, clustered=0
    )


def test_absent_weights_have_no_zeros_and_no_digest() -> None:
    model = squeezenet_1_1(Builder())
    cost = costs(model, infer_shapes(model))
    assert WeightReader().summary(cost) == ValuesSummary(
        examined=0, zeros=0, near_zeros=0, absent=1_235_496, tensors=0, clustered=0
    )
    record, layers = rows(model)
    assert record.weights_sha256 is None
    assert all(layer.weights_sha256 is None for layer in layers)
    assert "weights-absent" in record.notes


def test_digests_do_not_depend_on_names_or_order() -> None:
    def twin(prefix: str, *, swapped: bool) -> ModelRecord:
        b = Builder(prefix=prefix)
        x = b.input(1, 8)
        arrays = [np.arange(32.0), np.arange(32.0) + 1]
        sides = [
            b.node("Gemm", [x, b.constant(4, 8, values=array.tolist())], transB=1)
            for array in (reversed(arrays) if swapped else arrays)
        ]
        y = b.node("Add", sides)
        return rows(b.model(y))[0]

    first, second = twin("a", swapped=False), twin("b", swapped=True)
    assert first.weights_sha256 == second.weights_sha256
    assert first.architecture_sha256 == second.architecture_sha256
    assert first.weights_sha256 is not None


def test_other_weights_give_another_digest_and_the_same_architecture() -> None:
    first, second = (rows(squeezenet_1_1(Builder(seed=seed)))[0] for seed in (1, 2))
    assert first.weights_sha256 != second.weights_sha256
    assert first.architecture_sha256 == second.architecture_sha256


def test_layers_have_digests_of_their_own() -> None:
    _, layers = rows(squeezenet_1_1(Builder(seed=1)))
    _, others = rows(squeezenet_1_1(Builder(seed=1, prefix="other")))
    digests = [layer.weights_sha256 for layer in layers if layer.parameters]
    assert len(set(digests)) == len(digests) == 26
    assert digests == [layer.weights_sha256 for layer in others if layer.parameters]


def test_a_digest_covers_type_shape_and_bytes() -> None:
    base = constant([1.0, 2.0, 3.0, 4.0], "float32")
    variants = [
        base,
        constant([1.0, 2.0, 3.0, 5.0], "float32"),
        replace(base, shape=(2, 2)),
        replace(base, dtype=DataType.INT32),
    ]
    assert len({tensor_digest(tensor) for tensor in variants}) == len(variants)
    data = base.read()
    lazy = replace(base, data=LazyBytes(size_bytes=data.nbytes, load=lambda: data))
    assert tensor_digest(lazy) == tensor_digest(base)
    assert weight_digest(()) is None


def _architecture(model: Model) -> str:
    return architecture_digest(model, infer_shapes(model))


def test_a_fused_activation_is_the_node_it_replaces() -> None:
    fused, apart = Builder(), Builder()
    x = fused.dense(fused.input(1, 8), 8, 4)
    node = fused.nodes[-1]
    fused.nodes[-1] = replace(node, attributes={**node.attributes, "fused_activation": "Relu"})
    y = apart.relu(apart.dense(apart.input(1, 8), 8, 4))
    assert _architecture(fused.model(x)) == _architecture(apart.model(y))


def test_quantise_nodes_and_copies_do_not_change_an_architecture() -> None:
    plain, wrapped = Builder(), Builder()
    y = plain.dense(plain.input(1, 8), 8, 4)
    x = wrapped.node("DequantizeLinear", [wrapped.node("QuantizeLinear", [wrapped.input(1, 8)])])
    z = wrapped.node("Identity", [wrapped.dense(x, 8, 4)])
    assert _architecture(plain.model(y)) == _architecture(wrapped.model(z))


@pytest.mark.parametrize("change", ["stride", "kernel", "channels", "wiring"])
def test_a_change_of_structure_changes_the_architecture(change: str) -> None:
    def network(changed: str) -> Model:
        b = Builder()
        x = b.conv(b.image(3, 32, 32), 16 if changed == "channels" else 8, 3, 1, "SAME_UPPER")
        y = b.conv(x, b.channels[x], 5 if changed == "kernel" else 3, 1, "SAME_UPPER")
        y = b.relu(y)
        y = b.node("Add", [y, y if changed == "wiring" else x])
        b.channels[y] = b.channels[x]
        return b.model(b.conv(y, 8, 1, 2 if changed == "stride" else 1))

    assert _architecture(network("")) != _architecture(network(change))
