"""Distinct models on this host with every engine that loads them; each launch is stored as it ends."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

from gaugenn.bench.campaign import LocalFile, Progress, campaign, host_programs
from gaugenn.bench.plan import EngineVersion, Plan, Settings, plan, select_engines
from gaugenn.devices.host import HostDevice
from gaugenn.engines._environments import is_installed
from gaugenn.errors import MissingToolError, UsageError
from gaugenn.pipeline import Watcher
from gaugenn.pipeline._failures import as_failure
from gaugenn.records import (
    Failure,
    InputShape,
    JobRecord,
    ModelRecord,
    Run,
    RunStatus,
    TensorInfo,
)
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
    engines = require_engines(settings)
    present = [engine for engine in engines if is_installed(engine.engine, engine.version)]
    models = [m for m in study.rows(ModelRecord) if _is_asked_for(m, present, settings)]
    made = plan(
        models,
        present,
        Settings(launches=settings.launches, threads=settings.threads, seed=settings.seed),
        _input_shapes(models, settings.input_shapes),
    )
    if not present:
        made = Plan(jobs=(), failures=())
    absent = [_missing(engine) for engine in engines if engine not in present]
    _store_plan(study, made, absent)
    done = _done(study)
    asked = {(job.job_sha256, launch) for job in made.jobs for launch in range(job.launches)}
    watcher.begin("bench", len(asked), len(asked & done.keys()))
    _launch_all(study, made.jobs, done, settings.seed, watcher)
    watcher.end("bench")


def require_engines(settings: BenchSettings) -> tuple[EngineVersion, ...]:
    """The engines of the settings. Those that nobody named may be missing, the named ones may not.

    Raises:
        UsageError: there is no engine of that name.
        MissingToolError: a named engine is not installed.
    """
    engines = select_engines(settings.engines)
    for engine in engines:
        if settings.engines and not is_installed(engine.engine, engine.version):
            raise _missing_error(engine)
    return engines


def _is_asked_for(
    model: ModelRecord, engines: Sequence[EngineVersion], settings: BenchSettings
) -> bool:
    """Who names an engine asks for the models of its formats only."""
    return not settings.engines or any(e.engine.loads(model.format) for e in engines)


def _input_shapes(
    models: Sequence[ModelRecord], shapes: Sequence[InputShape]
) -> dict[str, list[InputShape]]:
    """The given sizes by model.

    Raises:
        UsageError: a size that fits no open input of any model.
    """
    open_inputs = {
        tensor.name: tensor.shape for model in models for tensor in model.inputs if _is_open(tensor)
    }
    for shape in shapes:
        if shape.name not in open_inputs:
            known = ", ".join(sorted(open_inputs)) or "there is none"
            raise UsageError(f"no model leaves the size of an input {shape.name!r} open: {known}")
        stated = open_inputs[shape.name]
        if stated is not None and len(stated) != len(shape.shape):
            wanted = ", ".join(stated)
            raise UsageError(f"input {shape.name!r} has {len(stated)} sizes: ({wanted})")
    chosen: dict[str, list[InputShape]] = {}
    for model in models:
        for tensor in model.inputs:
            given = [s for s in shapes if _is_open(tensor) and s.name == tensor.name]
            chosen.setdefault(model.model_sha256, []).extend(given[-1:])
    return chosen


def _is_open(tensor: TensorInfo) -> bool:
    return tensor.shape is None or not all(size.isdecimal() for size in tensor.shape)


def _launch_all(
    study: Study,
    jobs: Sequence[JobRecord],
    done: dict[tuple[str, int], RunStatus],
    seed: int,
    watcher: Watcher,
) -> None:
    files = _files(study)
    by_digest = {job.job_sha256: job.job for job in jobs}
    told = len({key for key in done if key[0] in by_digest})
    names = _names(study)

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
            name = names.get(job.model_sha256, job.model_sha256[:12])
            watcher.step("bench", f"{job.engine}  {name}", _remark(run))


def _remark(run: Run) -> str:
    return run.status if run.reason is None else f"{run.status}: {run.reason}"


def _missing(engine: EngineVersion) -> Failure:
    failure = as_failure("plan", engine.label, _missing_error(engine))
    return replace(failure, engine=engine.label)


def _missing_error(engine: EngineVersion) -> MissingToolError:
    label = engine.label
    return MissingToolError(
        "the benchmark", f"the engine {label}", f"gaugenn engines install {label}"
    )


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


def _names(study: Study) -> dict[str, str]:
    with study.connect() as connection:
        rows = connection.execute("SELECT model_sha256, name FROM model_names").fetchall()
    return dict(rows)


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
