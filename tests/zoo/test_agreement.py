"""When an exported file's outputs are accepted."""

import numpy as np
import pytest

from gaugenn.zoo._agreement import Closeness, compare, refusal
from gaugenn.zoo._order import Variant

REFERENCE = np.random.default_rng(0).standard_normal((1, 4, 5)).astype(np.float32)


def test_equal_outputs_have_a_cosine_of_one_and_no_error() -> None:
    found = compare([REFERENCE], [REFERENCE.copy()])
    assert found.cosine == pytest.approx(1.0)
    assert found.maximum_relative_error == 0.0
    assert all(refusal(found, variant) is None for variant in Variant)


def test_a_missing_batch_is_no_difference_and_another_order_is() -> None:
    assert compare([REFERENCE], [REFERENCE[0]]).maximum_relative_error == 0.0
    turned = compare([REFERENCE], [REFERENCE.transpose(0, 2, 1)])
    assert turned.problem is not None
    assert "(1, 5, 4)" in turned.problem
    assert refusal(turned, Variant.INT8) == turned.problem


def test_the_worst_output_counts() -> None:
    found = compare([REFERENCE, REFERENCE], [REFERENCE, -REFERENCE])
    assert found.cosine == pytest.approx(-1.0)
    assert found.maximum_relative_error == pytest.approx(2.0)


def test_the_error_is_relative_to_the_largest_reference_value() -> None:
    reference = np.array([1.0, -8.0, 2.0], np.float32)
    found = compare([reference], [reference + np.array([0.0, 0.0, 0.08], np.float32)])
    assert found.maximum_relative_error == pytest.approx(0.01, rel=1e-5)


@pytest.mark.parametrize(
    ("reference", "found", "words"),
    [
        ([REFERENCE], [], "0 outputs"),
        ([], [], "no output"),
        ([REFERENCE], [np.full_like(REFERENCE, np.nan)], "not finite"),
        ([np.full_like(REFERENCE, np.inf)], [REFERENCE], "definition is not finite"),
        ([np.ones(4)], [np.ones(4)], "constant"),
    ],
)
def test_what_cannot_be_compared_is_refused_with_the_reason(
    reference: list[np.ndarray], found: list[np.ndarray], words: str
) -> None:
    closeness = compare(reference, found)
    assert words in (refusal(closeness, Variant.FLOAT32) or "")


def test_limits_are_those_of_the_variant() -> None:
    coarse = Closeness(cosine=0.99, maximum_relative_error=0.2, problem=None)
    assert "cosine" in (refusal(coarse, Variant.FLOAT32) or "")
    assert "cosine" in (refusal(coarse, Variant.FLOAT16) or "")
    assert refusal(coarse, Variant.INT8) is None
    far = Closeness(cosine=0.999999, maximum_relative_error=0.01, problem=None)
    assert "relative error" in (refusal(far, Variant.FLOAT32) or "")
    assert refusal(far, Variant.FLOAT16) is None
    wrong = Closeness(cosine=0.5, maximum_relative_error=1.0, problem=None)
    assert refusal(wrong, Variant.INT8) is not None


def test_a_file_that_computes_nothing_is_not_accepted() -> None:
    zeros = compare([REFERENCE], [np.zeros_like(REFERENCE)])
    assert all(refusal(zeros, variant) is not None for variant in Variant)
