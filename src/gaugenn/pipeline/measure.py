"""Distinct models on devices with the engines that load them; each launch is stored as it ends."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import cache

from gaugenn.bench.campaign import Ended, Progress, campaign, host_libraries
from gaugenn.bench.devices import device_programs, open_device
from gaugenn.bench.launch import LocalFile
from gaugenn.bench.plan import CONTROL_MODEL
from gaugenn.bench.settings import BenchSettings
from gaugenn.devices import Device
from gaugenn.pipeline import Watcher
from gaugenn.pipeline.request import Request, devices_asked, model_names, requested
from gaugenn.records import Environment, JobRecord, PageCache, Run, RunStatus
from gaugenn.store import Study


def measure(study: Study, settings: BenchSettings, watcher: Watcher) -> None:
    """Plans, launches and stores. Launches that are there already are not repeated.

    Raises:
        UsageError: an unknown engine, model or device, or a setting out of range.
        DeviceError: the device was lost.
        StorageFullError: the study's disk is full; what was stored stays.
    """
    with ExitStack() as stack:
        # Inside the study, so that models are linked rather than copied, and swept after a crash.
        devices = {
            name: stack.enter_context(open_device(name, study.path / "journal"))
            for name in devices_asked(settings)
        }
        environments = {name: device.info() for name, device in devices.items()}
        request = requested(study, settings, environments)
        for name, device in devices.items():
            if any(
                r.job.page_cache is PageCache.DROPPED and r.job.device == name for r in request.jobs
            ):
                device.drop_page_cache()
        _store_plan(study, request)
        known = _environments(study)
        used = {record.job.device for record in request.jobs}
        study.write(
            e
            for name, e in environments.items()
            if name in used and e.environment_sha256 not in known
        )
        done = launches_done(study)
        asked = {(r.job_sha256, launch) for r in request.jobs for launch in range(r.launches)}
        watcher.begin("bench", len(asked), len(asked & done.keys()))
        for name, device in devices.items():
            jobs = [record for record in request.jobs if record.job.device == name]
            if jobs:
                place = environments[name]
                _launch_all(study, device, place, jobs, request, done, settings, watcher)
        watcher.end("bench")


def _launch_all(
    study: Study,
    device: Device,
    environment: Environment,
    jobs: Sequence[JobRecord],
    request: Request,
    done: Mapping[tuple[str, int], Ended],
    settings: BenchSettings,
    watcher: Watcher,
) -> None:
    files = model_files(study)
    by_digest = {job.job_sha256: job.job for job in jobs}
    everything = [*jobs, *(request.companions[j] for j in by_digest if j in request.companions)]
    told = len({key for key in done if key[0] in by_digest})
    names = model_names(study)
    for record in jobs:
        if record.control:
            path = study.blobs.put(memoryview(CONTROL_MODEL), record.job.model_sha256)
            files[record.job.model_sha256] = [LocalFile(name="control.null", path=path)]

    @cache
    def whole(model: str) -> Sequence[LocalFile]:
        """A model's files, each checked once: what is measured is what was read."""
        for file in files[model]:
            study.blobs.verify(file.path.name)
        return files[model]

    def catch_up(progress: Progress) -> None:
        """Tells the watcher of launches that were made before or are left out."""
        nonlocal told
        for _ in range(progress.finished - told):
            watcher.step("bench", "")
        told = progress.finished

    for runs in campaign(
        jobs,
        device=device,
        environment=environment,
        programs=device_programs(jobs[0].job.device, everything),
        files=whole,
        libraries=host_libraries(everything),
        companions=request.companions,
        done=done,
        seed=settings.seed,
        budget_s=settings.budget_s,
        progress=catch_up,
    ):
        study.write(runs)
        told += 1
        job = by_digest[runs[0].job_sha256]
        name = names.get(job.model_sha256, job.model_sha256[:12])
        watcher.step("bench", f"{job.engine}  {name}", _remark(runs[0]))


def _remark(run: Run) -> str:
    return run.status if run.reason is None else f"{run.status}: {run.reason}"


def _store_plan(study: Study, request: Request) -> None:
    with study.connect() as connection:
        jobs = set(
            connection.execute(
                "SELECT job_sha256, launches, launches_maximum, precision FROM all_jobs"
            ).fetchall()
        )
        known = set(connection.execute("SELECT stage, subject FROM all_failures").fetchall())
    planned = (*request.jobs, *request.companions.values())
    study.write(
        [
            *(r for r in planned if _asked(r) not in jobs),
            *(f for f in request.failures if (f.stage, f.subject) not in known),
        ]
    )


def _asked(record: JobRecord) -> tuple[str, int, int | None, float | None]:
    return record.job_sha256, record.launches, record.launches_maximum, record.precision


def launches_done(study: Study) -> dict[tuple[str, int], Ended]:
    """How every launch that a study holds ended, by job and number."""
    with study.connect() as connection:
        rows = connection.execute(
            "SELECT job_sha256, launch, status, wall_s, coalesce("
            "list_aggregate(timings.steady_s, 'median'), timings.aggregate.value_s)"
            " FROM runs WHERE status <> 'lost'"
        ).fetchall()
    return {
        (job, launch): Ended(status=RunStatus(status), median_s=median_s, wall_s=wall_s)
        for job, launch, status, wall_s, median_s in rows
    }


def _environments(study: Study) -> set[str]:
    with study.connect() as connection:
        rows = connection.execute("SELECT environment_sha256 FROM environments").fetchall()
    return {digest for (digest,) in rows}


def model_files(study: Study) -> dict[str, list[LocalFile]]:
    """The files of each model of a study, the graph file first, where their blobs lie."""
    with study.connect() as connection:
        rows = connection.execute(
            "SELECT DISTINCT ON (model_sha256, position) model_sha256, name, sha256"
            " FROM model_files ORDER BY model_sha256, position, name"
        ).fetchall()
    files: dict[str, list[LocalFile]] = {}
    for model, name, sha256 in rows:
        files.setdefault(model, []).append(LocalFile(name=name, path=study.blobs.path(sha256)))
    return files
