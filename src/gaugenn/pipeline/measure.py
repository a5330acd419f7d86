"""Distinct models on this host with every engine that loads them; each launch is stored as it ends."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from gaugenn.bench.campaign import LocalFile, Progress, campaign, host_programs
from gaugenn.bench.plan import EngineVersion, Plan, Settings, plan, select_engines
from gaugenn.devices.host import HostDevice
from gaugenn.engines._environments import is_installed
from gaugenn.errors import MissingToolError
from gaugenn.pipeline import Watcher
from gaugenn.pipeline.scan import as_failure
from gaugenn.records import Failure, InputShape, JobRecord, ModelRecord, Run, RunStatus
from gaugenn.store import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchSettings:
    """What to run.

    Attributes:
        engines: `litert` or `litert==2.3.0`; none for every engine that is used by default.
        launches: fresh processes for each job.
        threads: thread counts, each a job of its own.
        seed: of the order of launches and of the inputs.
        input_shapes: sizes for inputs of these names, batch first, in every model that leaves some
            size of such an input open.
    """

    engines: tuple[str, ...] = ()
    launches: int = 5
    threads: tuple[int, ...] = (1,)
    seed: int = 0
    input_shapes: tuple[InputShape, ...] = ()


def measure(study: Study, settings: BenchSettings, watcher: Watcher) -> None:
    """Plans, launches and stores. Launches that are there already are not repeated.

    Raises:
        UsageError: an unknown engine or a setting out of range.
        DeviceError: the device was lost.
        StorageFullError: the study's disk is full; what was stored stays.
    """
    engines = select_engines(settings.engines)
    present = [engine for engine in engines if is_installed(engine.engine, engine.version)]
    models = study.rows(ModelRecord)
    made = plan(
        models,
        present,
        Settings(launches=settings.launches, threads=settings.threads, seed=settings.seed),
        _input_shapes(models, settings.input_shapes),
    )
    absent = [_missing(engine) for engine in engines if engine not in present]
    _store_plan(study, made, absent)
    watcher.begin("bench", sum(job.launches for job in made.jobs))
    _launch_all(study, made.jobs, _done(study), settings.seed, watcher)
    watcher.end("bench")


def _input_shapes(
    models: Sequence[ModelRecord], shapes: Sequence[InputShape]
) -> dict[str, list[InputShape]]:
    chosen: dict[str, list[InputShape]] = {}
    for model in models:
        for tensor in model.inputs:
            is_open = tensor.shape is None or not all(size.isdecimal() for size in tensor.shape)
            given = [shape for shape in shapes if is_open and shape.name == tensor.name]
            chosen.setdefault(model.model_sha256, []).extend(given[-1:])
    return chosen


def _launch_all(
    study: Study,
    jobs: Sequence[JobRecord],
    done: dict[tuple[str, int], RunStatus],
    seed: int,
    watcher: Watcher,
) -> None:
    files = _files(study)
    by_digest = {job.job_sha256: job.job for job in jobs}
    told = 0

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

    # Inside the study, so that models are linked rather than copied, and swept after a crash.
    with HostDevice(folder=study.path / "journal") as device:
        environment = device.info()
        if environment.environment_sha256 not in _environments(study):
            study.write([environment])
        for run in campaign(
            jobs,
            device=device,
            environment=environment,
            programs=host_programs(jobs),
            files=whole,
            done=done,
            seed=seed,
            progress=catch_up,
        ):
            study.write([run])
            told += 1
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
        rows = connection.execute(
            "SELECT job_sha256, launch, status FROM runs WHERE status <> 'lost'"
        ).fetchall()
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
