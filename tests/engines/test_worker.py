"""The measured side, function by function, inside this process."""

from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from gaugenn.engines import _worker
from gaugenn.engines._worker import InputSpec, Order, Refusal


def order(**changes: object) -> Order:
    fields = {
        "model_paths": (),
        "input_shapes": (),
        "processor": "cpu",
        "precision": "as-stored",
        "threads": 1,
        "affinity": "",
        "batch": 1,
        "warmup_minimum_count": 1,
        "warmup_minimum_s": 0.0,
        "steady_minimum_count": 1,
        "steady_minimum_s": 0.0,
        "launch_maximum_s": 1.0,
        "seed": 0,
        **changes,
    }
    return Order(**fields)  # type: ignore[arg-type]


def spec(shape: tuple[int, ...], name: str = "x") -> InputSpec:
    return InputSpec(name=name, dtype="float32", shape=shape)


@pytest.mark.parametrize(
    "dtype", ["float16", "float32", "float64", "int8", "uint8", "int16", "int32", "int64", "bool"]
)
def test_inputs_depend_on_type_shape_and_seed_alone(dtype: str) -> None:
    first = _worker.make_input("a", dtype, (3, 50), (1, 0))
    again = _worker.make_input("b", dtype, (3, 50), (1, 0))
    other = _worker.make_input("a", dtype, (3, 50), (2, 0))
    assert first.dtype == np.dtype(dtype)
    assert first.shape == (3, 50)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_wide_integers_are_safe_as_indices_and_as_lengths() -> None:
    ids = _worker.make_input("ids", "int64", (1, 200), (0, 0))
    assert set(np.unique(ids)) == {0, 1}
    assert _worker.make_input("length", "int32", (1,), (0, 0)).tolist() == [1]
    assert _worker.make_input("rate", "int64", (), (0, 0)) == 1


def test_narrow_integers_take_their_whole_range() -> None:
    values = _worker.make_input("image", "uint8", (100_000,), (0, 0))
    assert (values.min(), values.max()) == (0, 255)
    signed = _worker.make_input("image", "int8", (100_000,), (0, 0))
    assert (signed.min(), signed.max()) == (-128, 127)


def test_a_mask_is_mixed_and_a_switch_is_off() -> None:
    assert set(np.unique(_worker.make_input("mask", "bool", (64,), (0, 0)))) == {False, True}
    assert not _worker.make_input("training", "bool", (1,), (0, 0)).any()


@pytest.mark.parametrize(
    ("dtype", "shape", "reason"),
    [
        ("string", (1,), "text"),
        ("posit16", (1,), "numpy lacks"),
        ("complex64", (1,), "no values are known"),
        ("float32", (1 << 20, 1 << 20), "bytes"),
        ("float32", (-2,), "negative"),
    ],
)
def test_an_input_that_cannot_be_made_is_refused_with_a_reason(
    dtype: str, shape: tuple[int, ...], reason: str
) -> None:
    with pytest.raises(Refusal, match=reason):
        _worker.make_input("x", dtype, shape, (0, 0))


def test_dynamic_sizes_become_1() -> None:
    assert _worker.definite_shapes([spec((-1, 28, -1))], order()) == [(1, 28, 1)]


def test_a_given_shape_wins_over_the_file() -> None:
    given_shapes = order(input_shapes=(("y", (4, 2)),))
    specs = [spec((-1, 28)), spec((1, 1), "y")]
    assert _worker.definite_shapes(specs, given_shapes) == [(1, 28), (4, 2)]


def test_a_shape_for_an_input_that_is_not_there_is_refused() -> None:
    with pytest.raises(Refusal, match="no input 'z'; it has 'x'"):
        _worker.definite_shapes([spec((1,))], order(input_shapes=(("z", (4, 2)),)))


def test_a_batch_enlarges_a_first_size_of_1_and_nothing_else() -> None:
    assert _worker.definite_shapes([spec((-1, 5))], order(batch=4)) == [(4, 5)]
    with pytest.raises(Refusal, match="no batch"):
        _worker.definite_shapes([spec((20, 5))], order(batch=4))
    with pytest.raises(Refusal, match="no batch"):
        _worker.definite_shapes([spec(())], order(batch=4))


@given(
    npst.arrays(
        dtype=st.sampled_from([np.float32, np.float64, np.int8, np.uint8, np.int64, np.bool_]),
        shape=npst.array_shapes(max_dims=3, max_side=40),
    )
)
def test_output_statistics_are_numpys(
    array: "np.ndarray[tuple[int, ...], np.dtype[np.generic]]",
) -> None:
    with np.errstate(all="ignore"):
        found = _worker.describe_output("y", array)
        values = array.astype(np.float64).ravel()
        finite = values[np.isfinite(values)]
        assert found["not_finite"] == values.size - finite.size
        assert found["shape"] == list(array.shape)
        if not finite.size:
            assert found["minimum"] is None
            return
        assert found["minimum"] == finite.min()
        assert found["maximum"] == finite.max()
        extent = np.abs(finite).max()
        if extent < 1e100:
            assert found["mean"] == pytest.approx(finite.mean(), rel=1e-9, abs=1e-9 * extent)
            spread = pytest.approx(finite.std(), rel=1e-6, abs=1e-6 * extent)
            assert found["standard_deviation"] == spread


def test_statistics_do_not_depend_on_the_size_of_the_blocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    array = np.random.default_rng(0).random((7, 11, 13), dtype=np.float32)
    whole = _worker.describe_output("y", array)
    monkeypatch.setattr(_worker, "BLOCK_ELEMENTS", 10)
    parts = _worker.describe_output("y", array)
    assert parts["sha256"] == whole["sha256"]
    assert parts["standard_deviation"] == pytest.approx(whole["standard_deviation"])


def test_text_and_empty_outputs_have_a_digest_and_no_statistics() -> None:
    for array in (np.array(["a", "b"]), np.array(["a", None], object), np.zeros((0, 3), "f4")):
        found = _worker.describe_output("y", array)
        assert (found["mean"], found["not_finite"]) == (None, 0)
        assert len(str(found["sha256"])) == 64


def test_digests_tell_arrays_apart_by_value_type_shape_and_name() -> None:
    base = np.arange(6, dtype=np.int32)
    digests = [
        _worker.digest_arrays([("a", base)]),
        _worker.digest_arrays([("b", base)]),
        _worker.digest_arrays([("a", base.reshape(2, 3))]),
        _worker.digest_arrays([("a", base.view(np.uint32))]),
        _worker.digest_arrays([("a", base[::-1])]),
    ]
    assert len(set(digests)) == len(digests)
    assert _worker.digest_arrays([("a", base.copy())]) == digests[0]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Refusal("so it is"), "so it is"),
        (MemoryError(), "memory"),
        (RuntimeError("cannot open\n /tmp/folder/m.x:  bad"), "RuntimeError: cannot open m.x: bad"),
    ],
)
def test_a_refusal_is_one_line_without_the_folder(error: Exception, reason: str) -> None:
    text = _worker.explain(error, order(model_paths=("/tmp/folder/m.x",)))
    assert reason in text
    assert "\n" not in text
    assert "/tmp" not in text


def test_cpus_that_are_not_there_are_a_refusal() -> None:
    for affinity in ("9999", "a"):
        with pytest.raises(Refusal, match="cannot run on CPUs"):
            _worker.pin(affinity)


@pytest.mark.parametrize("make", [lambda: "VmRSS", lambda: "VmHWM"])
def test_memory_is_that_of_this_process(make: Callable[[], str]) -> None:
    found = _worker.memory_bytes(make())
    assert found is not None
    assert found > 1 << 20
    assert _worker.memory_bytes("VmNothing") is None


def warmed(latencies: Sequence[float], minimum: int = 3, maximum_s: float = 10.0) -> object:
    """Why and after how many latencies a warm-up ended; None if it did not."""
    rule = _worker.WarmUp(minimum, 0.0, maximum_s)
    for count, latency in enumerate(latencies, 1):
        reason = rule.add(latency)
        if reason is not None:
            return reason, count
    return None


def test_a_warm_up_ends_when_three_windows_agree() -> None:
    assert warmed([0.05] * 100) == ("flat", 15)
    assert warmed([0.2] * 5 + [0.05] * 100) == ("flat", 20)
    assert warmed([0.0625, 0.0625, 0.0625, 0.0625, 9.0] * 3) == ("flat", 15)


def test_a_window_has_a_count_and_a_time() -> None:
    assert warmed([1.0] * 100) == ("flat", 15)
    assert warmed([2**-9] * 1000) == ("flat", 156)


def test_a_warm_up_reaches_its_minimum_first() -> None:
    assert warmed([0.05] * 100, minimum=33) == ("flat", 35)


def test_a_slow_drift_is_not_flat_although_neighbours_agree() -> None:
    drifting = [0.05 * 1.015 ** (n // 5) for n in range(1000)]
    reason, count = cast("tuple[str, int]", warmed(drifting, maximum_s=5.0))
    assert reason == "not_flat"
    assert sum(drifting[:count]) >= 5.0
    assert sum(drifting[: count - 5]) < 5.0


def test_a_slow_model_is_judged_before_its_time_is_over() -> None:
    assert warmed([3.0] * 15) == ("flat", 15)
    assert warmed([3.0] * 10 + [4.0] * 5) == ("not_flat", 15)


def test_an_output_is_reported_at_evenly_spread_places_or_whole_where_it_is_small() -> None:
    long = _worker.describe_output("y", np.arange(1000, dtype=np.float32))["sample"]
    assert isinstance(long, list)
    assert (len(long), long[0], long[-1]) == (256, 0.0, 999.0)
    assert long == sorted(long)
    assert _worker.describe_output("y", np.array([[3, 1]], np.int8))["sample"] == [3.0, 1.0]
    assert _worker.describe_output("y", np.zeros((0, 3), np.float32))["sample"] == []
    assert _worker.describe_output("y", np.array([1.0, np.nan]))["sample"] == []
    assert _worker.describe_output("y", np.array(["a"]))["sample"] == []
