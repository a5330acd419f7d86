"""Outputs of engines side by side, and what a verdict makes of them."""

import dataclasses
import math
from collections.abc import Sequence

import pytest
from tests.analysis.test_verdict import ENVIRONMENT, JOB, RUN, run

from gaugenn.analysis.agreement import agreement, outputs_agree
from gaugenn.analysis.verdict import Validity, verdicts
from gaugenn.errors import UsageError
from gaugenn.records import JobRecord, OutputStatistics, Run

RAMP = tuple(float(i) for i in range(1, 9))
OTHER = tuple(reversed(RAMP))


def output(
    values: Sequence[float], name: str = "y", shape: tuple[int, ...] = (1, 8)
) -> OutputStatistics:
    return OutputStatistics(
        name=name,
        dtype="float32",
        shape=shape,
        sha256=str(values),
        minimum=min(values, default=0.0),
        maximum=max(values, default=0.0),
        mean=4.5,
        standard_deviation=1.0,
        not_finite=0,
        sample=tuple(values),
    )


def test_equal_values_agree_and_a_rounding_is_measured() -> None:
    same = agreement(RAMP, RAMP)
    assert (same.cosine, same.maximum_relative_error, same.elements) == (pytest.approx(1), 0, 8)
    rounded = agreement([v + 0.008 for v in RAMP], RAMP)
    assert rounded.agrees
    assert rounded.maximum_relative_error == pytest.approx(0.001)


def test_other_values_do_not_agree() -> None:
    assert not agreement(OTHER, RAMP).agrees
    assert agreement([-v for v in RAMP], RAMP).cosine == pytest.approx(-1)
    assert not agreement([0.0] * 8, RAMP).agrees
    assert agreement([1.0] * 8, [0.0] * 8).maximum_relative_error == math.inf


def test_zeros_agree_with_zeros_and_tiny_values_do_not_vanish() -> None:
    assert agreement([0.0, 0.0], [0.0, 0.0]).agrees
    assert agreement([1e-300, 2e-300], [1e-300, 2e-300]).agrees


def test_what_cannot_be_compared_is_a_usage_error() -> None:
    for values, reference in (([], []), ([1.0], [1.0, 2.0]), ([math.nan], [1.0])):
        with pytest.raises(UsageError):
            agreement(values, reference)


def test_outputs_are_paired_by_name_or_else_by_position_and_a_dropped_batch_does_not_count() -> (
    None
):
    first, second = output(RAMP, "a"), output(OTHER, "b")
    assert outputs_agree([first, second], [second, first])
    renamed = [output(RAMP, "0", (8,)), output(OTHER, "1", (8,))]
    assert outputs_agree([first, second], renamed)
    assert outputs_agree([first], renamed) is False
    assert outputs_agree([first], [output(RAMP, "a", (2, 4))]) is False
    assert outputs_agree([first], [dataclasses.replace(first, sample=())]) is None


def judge(*samples: Sequence[float], fed: str = "f") -> list[tuple[Validity, tuple[str, ...]]]:
    """Verdicts on jobs of several engines whose outputs are given."""
    records, runs = [], list[Run]()
    for number, values in enumerate(samples):
        job = dataclasses.replace(JOB, engine=f"engine{number}")
        records.append(JobRecord(job_sha256=job.job_sha256, job=job, launches=5))
        made = run(outputs=(output(values),), input_sha256=fed if number else "f").timings
        runs += [
            dataclasses.replace(RUN, job_sha256=job.job_sha256, launch=n, timings=made)
            for n in range(5)
        ]
    found = verdicts(records, runs, [ENVIRONMENT], [])
    return [(found[r.job_sha256].validity, found[r.job_sha256].reasons) for r in records]


def test_an_engine_that_all_others_contradict_is_wrong() -> None:
    wrong, right, also = judge(OTHER, RAMP, RAMP)
    assert wrong == (Validity.INVALID, ("wrong_output",))
    assert right[1] == also[1] == ("outputs_disagree",)


def test_of_two_that_disagree_neither_is_known_to_be_right() -> None:
    assert [reasons for _, reasons in judge(OTHER, RAMP)] == [("outputs_disagree",)] * 2


def test_engines_that_agree_are_valid_and_another_input_is_not_compared() -> None:
    assert {validity for validity, _ in judge(RAMP, RAMP)} == {Validity.VALID}
    assert {validity for validity, _ in judge(OTHER, RAMP, fed="g")} == {Validity.VALID}
