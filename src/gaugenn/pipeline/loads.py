"""What the special loads of a study show: long runs and fixed rates."""

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from gaugenn.analysis.rate import UnderRate, under_rate
from gaugenn.analysis.sustained import MINUTE_S, Rank, Sustained, rank_change, sustained
from gaugenn.pipeline.request import model_names
from gaugenn.records import Job, JobRecord, Run, RunStatus, Timings
from gaugenn.store import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class SustainedLaunch:
    """A long launch.

    Attributes:
        job_sha256: its job.
        launch: its number.
        model: the model's name.
        engine: engine and version.
        found: what it shows.
        rank: among the jobs of the same model in this launch's round; 1 is the fastest.
    """

    job_sha256: str
    launch: int
    model: str
    engine: str
    found: Sustained
    rank: Rank


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLaunch:
    """A launch under a fixed rate; fields as in `SustainedLaunch`."""

    job_sha256: str
    launch: int
    model: str
    engine: str
    rate_per_s: float
    found: UnderRate


def sustained_launches(study: Study) -> list[SustainedLaunch]:
    """Every launch with a steady phase of two minutes or more, back to back."""
    names = model_names(study)
    found: dict[tuple[int, str], dict[str, Sustained]] = defaultdict(dict)
    jobs: dict[str, Job] = {}
    for job, run, timings in _launches(study):
        if job.rate_per_s is not None or job.companion_of or not timings.steady_start_s:
            continue
        end_s = timings.steady_start_s[-1] + timings.steady_s[-1]
        if end_s - timings.steady_start_s[0] < 2 * MINUTE_S:
            continue
        jobs[run.job_sha256] = job
        curve = sustained(timings.steady_start_s, timings.steady_s)
        found[run.launch, job.model_sha256][run.job_sha256] = curve
    return [
        SustainedLaunch(
            job_sha256=name,
            launch=launch,
            model=names.get(model, model[:12]),
            engine=_engine(jobs[name]),
            found=curves[name],
            rank=rank,
        )
        for (launch, model), curves in sorted(found.items())
        for name, rank in rank_change(curves).items()
    ]


def rate_launches(study: Study) -> list[RateLaunch]:
    """Every launch under a fixed rate."""
    names = model_names(study)
    return [
        RateLaunch(
            job_sha256=run.job_sha256,
            launch=run.launch,
            model=names.get(job.model_sha256, job.model_sha256[:12]),
            engine=_engine(job),
            rate_per_s=job.rate_per_s,
            found=under_rate(
                timings.steady_due_s,
                timings.steady_start_s,
                timings.steady_s,
                rate_per_s=job.rate_per_s,
                planned=max(
                    job.steady_minimum_count, math.ceil(job.steady_minimum_s * job.rate_per_s)
                ),
            ),
        )
        for job, run, timings in _launches(study)
        if job.rate_per_s is not None and timings.steady_due_s
    ]


def _launches(study: Study) -> Iterator[tuple[Job, Run, Timings]]:
    jobs = {record.job_sha256: record.job for record in study.rows(JobRecord)}
    for run in sorted(study.rows(Run), key=lambda run: (run.launch, run.started_at)):
        if run.status is RunStatus.OK and run.timings is not None and run.job_sha256 in jobs:
            yield jobs[run.job_sha256], run, run.timings


def _engine(job: Job) -> str:
    return f"{job.engine}=={job.engine_version}"
