"""Distinct models on this host with every engine that loads them; each launch is stored as it ends."""

from collections.abc import Sequence
from dataclasses import dataclass

from gaugenn.bench.campaign import LocalFile, Progress, campaign, host_programs
from gaugenn.bench.plan import EngineVersion, Plan, Settings, plan, select_engines
from gaugenn.devices.host import HostDevice
from gaugenn.engines._environments import is_installed
from gaugenn.errors import MissingToolError
from gaugenn.pipeline import Watcher
from gaugenn.pipeline.scan import as_failure
from gaugenn.records import Failure, JobRecord, ModelRecord, Run, RunStatus
from gaugenn.store import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchSettings:
    """What to run.

    Attributes:
        engines: `litert` or `litert==2.3.0`; none for every engine that is used by default.
        launches: fresh processes for each job.
        threads: thread counts, each a job of its own.
        seed: of the order of launches and of the inputs.
    """

    engines: tuple[str, ...] = ()
    launches: int = 5
    threads: tuple[int, ...] = (1,)
    seed: int = 0


def measure(study: Study, settings: BenchSettings, watcher: Watcher) -> None:
    """Plans, launches and stores. Launches that are there already are not repeated.

    Raises:
        UsageError: an unknown engine or a setting out of range.
        DeviceError: the device was lost.
        StorageFullError: the study's disk is full; what was stored stays.
    """
    engines = select_engines(settings.engines)
    present = [engine for engine in engines if is_installed(engine.engine, engine.version)]
    made = plan(
        study.rows(ModelRecord),
        present,
        Settings(launches=settings.launches, threads=settings.threads, seed=settings.seed),
    )
    absent = [_missing(engine) for engine in engines if engine not in present]
    _store_plan(study, made, absent)
    done = _done(study)
    asked = {(job.job_sha256, n) for job in made.jobs for n in range(job.launches)}
    watcher.begin("bench", len(asked))
    for _ in asked & set(done):
        watcher.step("bench", "", "done before")
    _launch_all(study, made.jobs, done, settings.seed, watcher)
    watcher.end("bench")


def _launch_all(
    study: Study,
    jobs: Sequence[JobRecord],
    done: dict[tuple[str, int], RunStatus],
    seed: int,
    watcher: Watcher,
) -> None:
    files = _files(study)
    by_digest = {job.job_sha256: job.job for job in jobs}

    def show(_progress: Progress) -> None:
        """Campaigns report before a launch; the watcher is told after it."""

    with HostDevice() as device:
        environment = device.info()
        if environment.environment_sha256 not in _environments(study):
            study.write([environment])
        for run in campaign(
            jobs,
            device=device,
            environment=environment,
            programs=host_programs(jobs),
            files=lambda model: files[model],
            done=done,
            seed=seed,
            progress=show,
        ):
            study.write([run])
            job = by_digest[run.job_sha256]
            watcher.step("bench", f"{job.engine} {job.model_sha256[:12]}", _remark(run))


def _remark(run: Run) -> str:
    return run.status if run.reason is None else f"{run.status}: {run.reason}"


def _missing(engine: EngineVersion) -> Failure:
    error = MissingToolError(
        "the benchmark", f"the engine {engine.label}", f"gaugenn engines install {engine.label}"
    )
    return as_failure("plan", engine.label, error)


def _store_plan(study: Study, made: Plan, absent: Sequence[Failure]) -> None:
    with study.connect() as connection:
        jobs = set(connection.execute("SELECT job_sha256, launches FROM jobs").fetchall())
        known = set(connection.execute("SELECT stage, subject FROM all_failures").fetchall())
    study.write(
        [
            *(job for job in made.jobs if (job.job_sha256, job.launches) not in jobs),
            *(f for f in (*made.failures, *absent) if (f.stage, f.subject) not in known),
        ]
    )


def _done(study: Study) -> dict[tuple[str, int], RunStatus]:
    with study.connect() as connection:
        rows = connection.execute("SELECT job_sha256, launch, status FROM runs").fetchall()
    return {(job, launch): RunStatus(status) for job, launch, status in rows}


def _environments(study: Study) -> set[str]:
    with study.connect() as connection:
        rows = connection.execute("SELECT environment_sha256 FROM environments").fetchall()
    return {digest for (digest,) in rows}


def _files(study: Study) -> dict[str, list[LocalFile]]:
    with study.connect() as connection:
        rows = connection.execute(
            "SELECT DISTINCT ON (model_sha256, position) model_sha256, name, sha256"
            " FROM model_files ORDER BY model_sha256, position, name"
        ).fetchall()
    files: dict[str, list[LocalFile]] = {}
    for model, name, sha256 in rows:
        files.setdefault(model, []).append(LocalFile(name=name, path=study.blobs.path(sha256)))
    return files
