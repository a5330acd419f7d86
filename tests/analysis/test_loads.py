"""Who is compared with whom when two models run side by side."""

from dataclasses import replace

import pytest
from tests.analysis.test_verdict import JOB, RUN, TIMINGS

from gaugenn.analysis.comparison import Design
from gaugenn.analysis.loads import side_by_side
from gaugenn.records import Job, JobRecord, Run, RunStatus

OTHER = replace(JOB, model_sha256="b" * 64, engine="y")
BESIDE = replace(JOB, companion=f"{OTHER.model_sha256}@y==1")
COMPANION = replace(OTHER, companion_of=BESIDE.job_sha256, launch_maximum_s=180.0)
NAMES = {JOB.model_sha256: "face", OTHER.model_sha256: "voice"}


def record(job: Job, control: bool = False) -> JobRecord:
    return JobRecord(job_sha256=job.job_sha256, job=job, launches=4, control=control)


def launches(job: Job, level_s: float, first_second: int, step_s: int = 10) -> list[Run]:
    """Four launches of different levels, one each `step_s`."""
    return [
        replace(
            RUN,
            job_sha256=job.job_sha256,
            launch=n,
            started_at=f"2026-01-01T00:00:{first_second + step_s * n:02d}+00:00",
            timings=replace(TIMINGS, steady_s=(level_s * (1 + 0.1 * n),) * 5),
        )
        for n in range(4)
    ]


def test_the_slow_down_is_that_of_pairs_in_turns_and_both_models_have_one() -> None:
    runs = [
        *launches(JOB, 0.010, 0),
        *launches(BESIDE, 0.013, 2),
        *launches(COMPANION, 0.04, 2),
        *launches(OTHER, 0.02, 4),
    ]
    records = [record(job) for job in (JOB, BESIDE, COMPANION, OTHER)]
    face, voice = side_by_side(records, runs, NAMES)
    assert (face.model, face.beside, face.beside_engine) == ("face", "voice", "y==1")
    assert face.alone_sha256 == JOB.job_sha256
    assert face.slowdown is not None
    assert face.slowdown.design is Design.PAIRED
    assert face.slowdown.ratio == pytest.approx(1.3)
    # Levels differ between launches, ratios do not: pairs have no uncertainty here.
    assert face.slowdown.low == pytest.approx(1.3)
    assert (voice.model, voice.beside, voice.beside_engine) == ("voice", "face", "x==1")
    assert voice.slowdown is not None
    assert voice.slowdown.ratio == pytest.approx(2.0)


def test_launches_of_two_campaigns_are_not_paired() -> None:
    runs = [*launches(JOB, 0.010, 0, 1), *launches(BESIDE, 0.013, 30, 1)]
    (face,) = side_by_side([record(JOB), record(BESIDE)], runs, NAMES)
    assert face.slowdown is not None
    assert face.slowdown.design is Design.RANKS
    assert face.slowdown.ratio == pytest.approx(1.3)


def test_alone_is_the_equal_experiment_rather_than_a_longer_one() -> None:
    longer = replace(JOB, steady_minimum_s=10.0)
    other_threads = replace(JOB, threads=2)
    runs = [
        *launches(longer, 0.02, 0),
        *launches(JOB, 0.010, 0)[:3],
        *launches(other_threads, 0.03, 0),
        *launches(BESIDE, 0.013, 2),
    ]
    records = [record(job) for job in (longer, JOB, other_threads, BESIDE)]
    (found,) = side_by_side(records, runs, NAMES)
    assert found.alone_sha256 == JOB.job_sha256
    (found,) = side_by_side(records, [r for r in runs if r.job_sha256 != JOB.job_sha256], NAMES)
    assert found.alone_sha256 == longer.job_sha256


def test_without_a_good_launch_alone_there_is_no_slow_down() -> None:
    failed = [
        replace(run, status=RunStatus.CRASHED, timings=None) for run in launches(JOB, 0.01, 0)
    ]
    (face,) = side_by_side(
        [record(JOB), record(BESIDE)], [*failed, *launches(BESIDE, 0.013, 2)], {}
    )
    assert face.model == JOB.model_sha256[:12]
    assert (face.alone_sha256, face.slowdown, face.launches) == (None, None, 4)


def test_a_control_is_neither() -> None:
    runs = launches(BESIDE, 0.013, 2)
    assert side_by_side([record(BESIDE, control=True)], runs, NAMES) == []
