"""What the values of weights say: zeros, clusters, and a digest that no layout changes."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from tests.analysis.networks import Builder, squeezenet_1_1

from gaugenn.analysis import weight_values
from gaugenn.analysis._value_histogram import Rounding
from gaugenn.analysis.summary import summarise
from gaugenn.analysis.weight_values import TensorValues, look_at
from gaugenn.graph import DataType, LazyBytes, Model, Quantization, Tensor
from gaugenn.records import ModelRecord

RANDOM = np.random.default_rng(11)
KERNEL = RANDOM.normal(size=(16, 8, 3, 3)).astype(np.float32)


def tensor(
    array: npt.NDArray[np.generic], dtype: str = "", quantization: Quantization | None = None
) -> Tensor:
    return Tensor(
        name="w",
        dtype=DataType(dtype or array.dtype.name),
        shape=array.shape,
        data=memoryview(array.tobytes()),
        quantization=quantization,
    )


def values(array: npt.NDArray[np.generic]) -> TensorValues:
    found = look_at(tensor(array)).values
    assert found is not None
    return found


@pytest.mark.parametrize(
    "change",
    [
        lambda kernel: kernel.transpose(0, 2, 3, 1),
        lambda kernel: kernel.transpose(2, 3, 1, 0),
        lambda kernel: kernel.reshape(16, -1).T,
        lambda kernel: kernel.astype(np.float64),
        lambda kernel: kernel.astype(np.float16),
    ],
    ids=["OHWI", "HWIO", "matrix", "float64", "float16"],
)
def test_layout_and_width_do_not_change_the_digest_of_values(
    change: Callable[[npt.NDArray[np.float32]], npt.NDArray[np.floating]],
) -> None:
    changed = np.ascontiguousarray(change(KERNEL))
    assert values(changed).values_sha256 == values(KERNEL).values_sha256
    assert look_at(tensor(changed)).digest != look_at(tensor(KERNEL)).digest


@pytest.mark.parametrize(
    "change",
    [
        lambda kernel: kernel.transpose(0, 2, 3, 1),
        lambda kernel: kernel.reshape(96, -1).T,
        lambda kernel: kernel.astype(np.float64),
        lambda kernel: kernel.astype(np.float16),
    ],
    ids=["OHWI", "matrix", "float64", "float16"],
)
@pytest.mark.parametrize("scale", [1.0, 2e-5, 9e3])
def test_the_sample_of_a_large_tensor_is_the_same_in_every_layout_and_width(
    change: Callable[[npt.NDArray[np.float32]], npt.NDArray[np.floating]], scale: float
) -> None:
    large = (RANDOM.normal(size=(96, 64, 5, 5)) * scale).astype(np.float32)
    large[0, :9, 0, 0] = (0.0, -0.0, 6e-8, -6e-8, 0.328125, 1.328, -1.3281, 65504, 70000)
    with np.errstate(over="ignore"):
        changed = np.ascontiguousarray(change(large))
    assert values(changed).values_sha256 == values(large).values_sha256
    assert values(large * np.float32(1.01)).values_sha256 != values(large).values_sha256


def test_the_sample_of_brain_floats_is_that_of_the_floats_they_stand_for() -> None:
    wide = RANDOM.normal(size=(200, 200)).astype(np.float32)
    wide[0, :4] = (0.0, -0.0, 1e-10, -1e-8)
    narrow = (wide.view(np.uint32) >> 16).astype(np.uint16)
    wide = (narrow.astype(np.uint32) << 16).view(np.float32)
    found = look_at(tensor(narrow, "bfloat16")).values
    assert found == values(wide)
    assert (values(wide).zeros, values(wide).near_zeros) == (2, 3)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_the_sample_is_found_among_few_values_as_among_many(dtype: type[np.floating]) -> None:
    many = RANDOM.normal(size=300_000).astype(dtype)
    many[:260_000] = 0.5  # so few are distinct at the beginning that all are looked at
    many[-9:] = 0.0
    assert values(RANDOM.permutation(many)) == values(many)
    assert values(many).zeros == 9
    assert values(many[9:]).values_sha256 != values(many).values_sha256


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_a_weight_may_begin_anywhere_in_its_file(dtype: type[np.floating]) -> None:
    array = RANDOM.normal(size=90_000).astype(dtype)
    odd = replace(tensor(array), data=memoryview(b"?" + array.tobytes())[1:])
    assert look_at(odd) == look_at(tensor(array))


@pytest.mark.parametrize("shape", [(20_000,), (300, 300)])
def test_tensors_with_hardly_a_value_in_the_sample_are_counted_whole(
    shape: tuple[int, ...],
) -> None:
    narrow = RANDOM.uniform(1.0, 1.2, shape).astype(np.float32)
    narrow.flat[:100] = 1.33
    assert values(narrow.astype(np.float16)).values_sha256 == values(narrow).values_sha256
    other = narrow.copy()
    other.flat[-1] += 0.5
    assert values(other).values_sha256 != values(narrow).values_sha256


def test_another_value_changes_the_digest_of_values() -> None:
    other = KERNEL.copy()
    other[3, 2, 1, 0] += 0.01
    assert values(other).values_sha256 != values(KERNEL).values_sha256


def test_bfloat16_is_looked_at_as_the_floats_it_stands_for() -> None:
    wide = RANDOM.integers(-64, 64, (8, 8)).astype(np.float32)
    wide[0, :3] = (-(2.0**-40), 2.0**-40, -0.0)  # zeros as 16-bit floats
    narrow = (wide.view(np.uint32) >> 16).astype(np.uint16)
    found = look_at(tensor(narrow, "bfloat16")).values
    assert found is not None
    assert found.values_sha256 == values(wide).values_sha256


def test_integers_are_compared_by_their_distance_from_the_zero_point() -> None:
    signed = RANDOM.integers(-128, 128, (16, 9)).astype(np.int8)
    unsigned = (signed.astype(np.int16) + 128).astype(np.uint8)
    point = Quantization(scales=(0.1,), zero_points=(128,))
    first = look_at(tensor(signed)).values
    second = look_at(tensor(unsigned, quantization=point)).values
    assert first == second
    assert first is not None
    assert first.values_sha256 != values(signed.astype(np.float32)).values_sha256


def test_large_and_small_tensors_are_counted_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    array = RANDOM.normal(size=70_000).astype(np.float32)
    array[:3] = (0.0, -0.0, 5e-10)
    whole = values(array)
    assert (whole.zeros, whole.near_zeros) == (2, 3)
    monkeypatch.setattr(weight_values, "CHUNK_BYTES", 4096)
    assert values(array) == whole
    small = values(array[:5000])
    monkeypatch.setattr(weight_values, "CHUNK_BYTES", 1 << 22)
    assert values(array[:5000]) == small


@pytest.mark.parametrize("chunk", [4096, 1 << 22])
def test_clusters_are_counted_up_to_256(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(weight_values, "CHUNK_BYTES", chunk)
    centroids = RANDOM.normal(size=257).astype(np.float32)
    for count, clusters in ((2, 2), (16, 16), (256, 256), (257, 0)):
        drawn = np.concatenate([centroids[:count], RANDOM.choice(centroids[:count], 9000)])
        assert values(drawn).clusters == clusters


def test_values_that_round_to_one_16_bit_float_are_different_clusters() -> None:
    base = np.float32(1.0)
    three = np.array([base, base + np.float32(1e-6), base + np.float32(2e-6)], np.float32)
    assert values(np.resize(three, 6000)).clusters == 3
    many = base + np.arange(300, dtype=np.float32) * np.float32(1.2e-7)
    assert len(np.unique(many)) > 256
    assert values(np.resize(many, 6000)).clusters == 0


def test_small_tensors_and_integers_are_not_asked_for_clusters() -> None:
    assert values(np.ones(4095, np.float32)).clusters is None
    assert values(np.ones(5000, np.int8)).clusters is None


def test_not_a_number_and_infinity_are_looked_at_without_complaint() -> None:
    wild = np.array([np.nan, np.inf, -np.inf, 1e38, 0.0] * 1000, np.float32)
    assert values(wild).zeros == 1000


def test_a_compressed_weight_is_decoded_once() -> None:
    times = []
    data = memoryview(KERNEL.tobytes())

    def load() -> memoryview:
        times.append(1)
        return data

    lazy = replace(tensor(KERNEL), data=LazyBytes(size_bytes=data.nbytes, load=load))
    assert look_at(lazy) == look_at(tensor(KERNEL))
    assert len(times) == 1


def test_types_that_numpy_lacks_have_a_digest_and_no_values() -> None:
    packed = Tensor(
        name="w", dtype=DataType.FLOAT4_E2M1FN, shape=(4,), data=memoryview(b"\x12\x34")
    )
    found = look_at(packed)
    assert found.digest is not None
    assert found.values is None


def test_the_digest_of_a_layer_leaves_biases_out() -> None:
    def layer(bias: bool) -> str | None:
        b = Builder(seed=3)
        x = b.input(1, 8)
        b.dense(x, 8, 4, bias=bias)
        _, rows = summarise(b.model(), model_sha256="0" * 64, size_bytes=1)
        return rows[0].weights_values_sha256

    assert layer(bias=True) == layer(bias=False) is not None


def rounded(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    out = np.empty(values.size, np.uint16)
    Rounding(1e-9).round(values, out)
    return out


def test_floats_are_rounded_as_numpy_rounds_them() -> None:
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)
    finite = halves[np.isfinite(halves)]
    ties = (finite.view(np.uint32)[:, None] + np.array([0xFFF, 0x1000, 0x1001])).astype(np.uint32)
    small = np.ldexp(RANDOM.uniform(-1, 1, 100_000), RANDOM.integers(-30, -12, 100_000))
    bits = RANDOM.integers(0, 1 << 32, 100_000, dtype=np.uint64).astype(np.uint32)
    for values in (
        halves,
        ties.reshape(-1).view(np.float32),
        small.astype(np.float32),
        bits.view(np.float32),
    ):
        known = values[~np.isnan(values)]
        with np.errstate(over="ignore", under="ignore"):
            expected = known.astype(np.float16).view(np.uint16)
        np.testing.assert_array_equal(rounded(known), expected)


@pytest.mark.parametrize("count", [1, 7, 4097, 200_001])
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int4", "uint4", "int2", "uint2"])
def test_packed_integers_are_counted_as_one_by_one(dtype: str, count: int) -> None:
    bits = DataType(dtype).bits or 8
    data = RANDOM.integers(0, 256, -(-count * bits // 8), dtype=np.uint8)
    for point in (0, 1):
        whole = Tensor(
            name="w",
            dtype=DataType(dtype),
            shape=(count,),
            data=memoryview(data.tobytes()),
            quantization=Quantization(scales=(1.0,), zero_points=(point,)),
        )
        found = look_at(whole).values
        wide = look_at(
            tensor(whole.array().astype(np.int8 if dtype[0] == "i" else np.uint8))
        ).values
        assert found is not None
        assert wide is not None
        assert found.zeros == int((whole.array() == point).sum())
        assert (found.values_sha256 == wide.values_sha256) is (point == 0)


def test_a_large_weight_is_digested_as_a_small_one_is(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = look_at(tensor(KERNEL))
    monkeypatch.setattr(weight_values, "THREAD_BYTES", 1)
    assert look_at(tensor(KERNEL)) == alone


def test_weights_that_lie_at_an_odd_address_are_looked_at() -> None:
    shifted = memoryview(b"x" + KERNEL.tobytes())[1:]
    assert look_at(replace(tensor(KERNEL), data=shifted)) == look_at(tensor(KERNEL))


def record(model: Model) -> ModelRecord:
    return summarise(model, model_sha256="0" * 64, size_bytes=1)[0]


def test_compression_is_part_of_a_models_row() -> None:
    b = Builder()
    x = b.input(1, 128)
    clustered = RANDOM.choice([0.0, 0.25, -0.5, 1e-10], (64, 128))
    plain = RANDOM.normal(size=(64, 64))
    y = b.node("Gemm", [x, b.constant(64, 128, values=clustered.reshape(-1).tolist())], transB=1)
    y = b.node("Gemm", [y, b.constant(64, 64, values=plain.reshape(-1).tolist())], transB=1)
    found = record(b.model(y))
    assert (found.tensors_examined, found.clustered_tensors) == (2, 1)
    assert found.weights_examined == 64 * 192
    assert found.zero_weights == int((clustered == 0).sum())
    assert found.near_zero_weights == int((np.abs(clustered) <= 1e-9).sum())
    assert found.quantization == "none"
    assert [(s.dtype, s.elements) for s in found.weight_elements] == [("float32", 64 * 192)]


def test_a_table_of_anchors_is_not_taken_for_a_clustered_weight() -> None:
    b = Builder()
    anchors = np.repeat(RANDOM.normal(size=8), 1000)
    y = b.node("Add", [b.input(1, 8000), b.constant(1, 8000, values=anchors.tolist())])
    found = record(b.model(y))
    assert (found.tensors_examined, found.clustered_tensors) == (0, 0)


def test_names_that_compression_tools_leave_are_found() -> None:
    def traces(prefix: str) -> tuple[str, ...]:
        b = Builder(prefix=prefix)
        b.relu(b.input(1, 8))
        return record(b.model()).compression_traces

    assert traces("model/prune_low_magnitude_dense/") == ("prune_",)
    assert traces("a;cluster_conv2d/") == ("cluster_",)
    assert traces("uncluster_/my_prune_/") == ()


def test_dequantise_operators_are_counted_as_files_spell_them() -> None:
    b = Builder()
    x = b.input(1, 8)
    b.node("DequantizeLinear", [x])
    b.node("Cast", [x], source="DEQUANTIZE", to=1)
    b.node("Cast", [x], source="CAST", to=1)
    assert record(b.model()).dequantize_nodes == 2


def test_a_model_without_weights_has_no_scheme() -> None:
    b = Builder()
    b.relu(b.input(1, 8))
    found = record(b.model())
    assert found.quantization is None
    assert found.weight_elements == ()


def test_absent_weights_are_not_taken_for_zeros() -> None:
    found = record(squeezenet_1_1(Builder()))
    assert (found.weights_examined, found.zero_weights, found.tensors_examined) == (0, 0, 0)
