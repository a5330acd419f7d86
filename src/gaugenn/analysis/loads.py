"""What special loads show: long runs, fixed rates, and two models side by side."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from gaugenn.analysis.comparison import Difference, compare_launches
from gaugenn.analysis.rate import UnderRate, planned_inferences, under_rate
from gaugenn.analysis.sustained import MINUTE_S, Rank, Sustained, rank_change, sustained
from gaugenn.analysis.verdict import counted
from gaugenn.records import Job, JobRecord, Run, RunStatus, Timings


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


@dataclass(frozen=True, slots=True, kw_only=True)
class SideBySide:
    """A model that ran beside another one, against itself alone.

    Attributes:
        job_sha256: the job that ran beside another.
        alone_sha256: the same experiment without the other; None where it was not measured.
        model: the model's name.
        engine: engine and version.
        beside: the other model's name.
        beside_engine: its engine and version.
        launches: that ended well.
        slowdown: side by side over alone; above 1 the other one slows it down. None without the
            experiment alone.
    """

    job_sha256: str
    alone_sha256: str | None
    model: str
    engine: str
    beside: str
    beside_engine: str
    launches: int
    slowdown: Difference | None


def sustained_launches(
    records: Iterable[JobRecord], runs: Iterable[Run], names: Mapping[str, str]
) -> list[SustainedLaunch]:
    """Every launch with a steady phase of two minutes or more, back to back.

    Args:
        records: jobs.
        runs: their launches.
        names: of models, by digest.
    """
    found: dict[tuple[int, str], dict[str, Sustained]] = defaultdict(dict)
    jobs: dict[str, Job] = {}
    for job, run, timings in _launches(records, runs):
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
            model=_model(model, names),
            engine=_engine(jobs[name]),
            found=curves[name],
            rank=rank,
        )
        for (launch, model), curves in sorted(found.items())
        for name, rank in rank_change(curves).items()
    ]


def rate_launches(
    records: Iterable[JobRecord], runs: Iterable[Run], names: Mapping[str, str]
) -> list[RateLaunch]:
    """Every launch under a fixed rate; arguments as for `sustained_launches`."""
    return [
        RateLaunch(
            job_sha256=run.job_sha256,
            launch=run.launch,
            model=_model(job.model_sha256, names),
            engine=_engine(job),
            rate_per_s=job.rate_per_s,
            found=under_rate(
                timings.steady_due_s,
                timings.steady_start_s,
                timings.steady_s,
                rate_per_s=job.rate_per_s,
                planned=planned_inferences(job),
            ),
        )
        for job, run, timings in _launches(records, runs)
        if job.rate_per_s is not None and timings.steady_due_s
    ]


def side_by_side(
    records: Iterable[JobRecord], runs: Iterable[Run], names: Mapping[str, str]
) -> list[SideBySide]:
    """Every experiment beside another model, and every companion, against itself alone.

    Alone is the same experiment without a companion; of several with other counts, times or seeds the
    one that is equal in these too, else that with the most launches. Launches are paired where both
    took turns, as in a plan with both experiments.

    Args:
        records: jobs.
        runs: their launches.
        names: of models, by digest.
    """
    jobs: dict[str, Job] = {}
    levels: dict[str, dict[int, tuple[str, float]]] = defaultdict(dict)
    for job, run, timings in _launches(records, runs):
        jobs[run.job_sha256] = job
        if timings.latency_s is not None:
            levels[run.job_sha256][run.launch] = run.started_at, timings.latency_s
    alone: dict[Job, list[str]] = defaultdict(list)
    for name, job in jobs.items():
        if not job.companion and not job.companion_of:
            alone[_kind(job)].append(name)
    found = []
    for name, job in jobs.items():
        other = _other(job, jobs)
        if other is None:
            continue
        same = replace(job, companion="", companion_of="").job_sha256
        candidates = alone[_kind(job)]
        chosen = (
            max(candidates, key=lambda c: (c == same, len(levels[c]), c)) if candidates else None
        )
        found.append(
            SideBySide(
                job_sha256=name,
                alone_sha256=chosen,
                model=_model(job.model_sha256, names),
                engine=_engine(job),
                beside=_model(other[0], names),
                beside_engine=other[1],
                launches=len(levels[name]),
                slowdown=None if chosen is None else compare_launches(levels[chosen], levels[name]),
            )
        )
    return sorted(found, key=lambda row: (row.model, row.engine, row.beside, row.job_sha256))


def _other(job: Job, jobs: Mapping[str, Job]) -> tuple[str, str] | None:
    """Digest of the model and label of the engine that ran beside a job, if there was one."""
    if job.companion:
        model_sha256, _, engine = job.companion.partition("@")
        return model_sha256, engine
    main = jobs.get(job.companion_of)
    return None if main is None else (main.model_sha256, _engine(main))


def _kind(job: Job) -> Job:
    """A job without what may differ between two measurements of the same thing."""
    return Job(
        model_sha256=job.model_sha256,
        format=job.format,
        engine=job.engine,
        engine_version=job.engine_version,
        device=job.device,
        processor=job.processor,
        precision=job.precision,
        threads=job.threads,
        affinity=job.affinity,
        batch=job.batch,
        input_shapes=job.input_shapes,
        page_cache=job.page_cache,
        rate_per_s=job.rate_per_s,
    )


def _launches(
    records: Iterable[JobRecord], runs: Iterable[Run]
) -> Iterator[tuple[Job, Run, Timings]]:
    jobs = {record.job_sha256: record.job for record in records if not record.control}
    good = [run for made in counted(runs).values() for run in made if run.status is RunStatus.OK]
    for run in sorted(good, key=lambda run: (run.launch, run.started_at)):
        if run.timings is not None and run.timings.steady_s and run.job_sha256 in jobs:
            yield jobs[run.job_sha256], run, run.timings


def _model(model_sha256: str, names: Mapping[str, str]) -> str:
    return names.get(model_sha256, model_sha256[:12])


def _engine(job: Job) -> str:
    return f"{job.engine}=={job.engine_version}"
