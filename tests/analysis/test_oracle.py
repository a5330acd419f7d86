"""Profiles of several libraries side by side, and the best choice among them."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaugenn.analysis.oracle import Stretch, TimedOperator, align, is_product, oracle
from gaugenn.errors import UsageError


def rows(*pairs: tuple[str, float]) -> list[TimedOperator]:
    return [
        TimedOperator(name=f"n{i}", operator=kind, duration_s=spent)
        for i, (kind, spent) in enumerate(pairs)
    ]


def stretch(**durations_s: float) -> Stretch:
    return Stretch(name="n", operator="Conv", durations_s=durations_s)


@pytest.mark.parametrize(
    "operator",
    [
        *("Conv", "CONV_2D", "DEPTHWISE_CONV_2D", "ConvolutionDepthWise", "GroupConvolution"),
        *("Conv2", "aten::_convolution", "aten::conv2d", "TRANSPOSE_CONV", "QLinearConv"),
        *("Gemm", "MatMul", "FULLY_CONNECTED", "FullyConnected", "InnerProduct", "aten::linear"),
        *("Fully Connected (NC, F32) GEMM #1", "Convolution (NHWC, F32) IGEMM #1", "LSTM", "GRU"),
    ],
)
def test_products_with_weights_are_known_in_every_librarys_words(operator: str) -> None:
    assert is_product(operator)


@pytest.mark.parametrize(
    "operator",
    [
        *("Relu", "Add", "AveragePool", "Softmax", "Reshape", "Convert", "RESIZE_BILINEAR"),
        *("Concat", "Interp", "Padding", "Reorder", "aten::relu", "BatchNormalization", "Split"),
    ],
)
def test_other_operators_are_no_products(operator: str) -> None:
    assert not is_product(operator)


def test_stretches_stand_for_the_same_part_however_operators_are_fused() -> None:
    found = align(
        {
            "fused": rows(("Reorder", 1), ("Convolution", 5), ("Convolution", 7)),
            "plain": rows(("Conv", 2), ("Relu", 1), ("Conv", 3), ("Add", 1), ("Relu", 1)),
        }
    )
    assert found.left_out == {}
    assert [dict(s.durations_s) for s in found.stretches] == [
        {"fused": 6, "plain": 3},
        {"fused": 7, "plain": 5},
    ]
    assert [s.name for s in found.stretches] == ["n1", "n2"]


def test_a_library_with_other_products_is_left_out_with_the_reason() -> None:
    found = align(
        {
            "a": rows(("Conv", 1), ("Conv", 1)),
            "b": rows(("Conv", 2), ("Conv", 2)),
            "c": rows(("Conv", 1)),
        }
    )
    assert found.left_out == {"c": "it ran 1 products with weights, most others 2"}
    assert list(found.stretches[0].durations_s) == ["a", "b"]


def test_a_model_without_products_is_one_stretch() -> None:
    found = align({"a": rows(("Add", 1), ("Mul", 2)), "b": rows(("Fused", 2))})
    assert [dict(s.durations_s) for s in found.stretches] == [{"a": 3, "b": 2}]


def test_a_negative_difference_counts_as_no_time() -> None:
    found = align({"a": rows(("Conv", -1), ("Conv", 2))})
    assert [s.durations_s["a"] for s in found.stretches] == [0, 2]


def test_the_oracle_takes_the_fastest_for_each_stretch_when_changes_cost_nothing() -> None:
    best = oracle([stretch(a=1, b=3), stretch(a=4, b=2), stretch(a=1, b=5)])
    assert best.choices == ("a", "b", "a")
    assert (best.total_s, best.conversions_s) == (4, 0)
    assert (best.single, best.single_s, best.gain) == ("a", 6, 1.5)


def test_a_conversion_that_costs_more_than_it_saves_is_not_made() -> None:
    stretches = [stretch(a=1, b=3), stretch(a=4, b=2), stretch(a=1, b=5)]
    dear = oracle(stretches, [1.5, 1.5])
    assert dear.choices == ("a", "a", "a")
    assert (dear.total_s, dear.gain) == (6, 1)
    cheap = oracle(stretches, [0.5, 0.5])
    assert cheap.choices == ("a", "b", "a")
    assert (cheap.total_s, cheap.conversions_s) == (5, 1)


@given(
    st.lists(
        st.tuples(*[st.integers(0, 20)] * 3),
        min_size=1,
        max_size=5,
    ),
    st.lists(st.integers(0, 8), min_size=4, max_size=4),
)
def test_no_choice_is_better_than_the_oracles(
    table: list[tuple[int, int, int]], costs: list[int]
) -> None:
    stretches = [stretch(a=float(x), b=float(y), c=float(z)) for x, y, z in table]
    conversions = [float(c) for c in costs[: len(table) - 1]]
    best = oracle(stretches, conversions)

    def price(choices: tuple[str, ...]) -> float:
        spent = sum(s.durations_s[c] for s, c in zip(stretches, choices, strict=True))
        pairs = zip(conversions, choices, choices[1:], strict=False)
        return spent + sum(cost for cost, one, two in pairs if one != two)

    assert price(best.choices) == best.total_s
    assert best.total_s == min(map(price, itertools.product("abc", repeat=len(table))))


def test_what_cannot_be_chosen_from_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no profile"):
        align({})
    with pytest.raises(UsageError, match="no stretch"):
        oracle([])
    with pytest.raises(UsageError, match="2 stretches have 1 places"):
        oracle([stretch(a=1), stretch(a=1)], [1, 2])
    with pytest.raises(UsageError, match="at least 0"):
        oracle([stretch(a=1), stretch(a=1)], [-1])
