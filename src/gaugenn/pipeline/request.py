"""From what a user asks for to jobs: models by name, engines that are here, cores of the device."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from gaugenn.analysis.stopping import LAUNCHES_BEFORE_STOPPING, MAXIMUM_LAUNCHES
from gaugenn.bench.devices import is_remote
from gaugenn.bench.placement import Placement, affinity, parse_placement
from gaugenn.bench.plan import (
    Beside,
    EngineVersion,
    Plan,
    Settings,
    companions,
    control,
    plan,
    select_engines,
)
from gaugenn.bench.provision import is_provisioned
from gaugenn.bench.settings import BenchSettings, Experiment, selects
from gaugenn.engines import _binaries
from gaugenn.engines._environments import is_installed, runs_on
from gaugenn.engines._native import NativeEngine
from gaugenn.errors import MissingToolError, UsageError
from gaugenn.pipeline._failures import as_failure
from gaugenn.records import (
    Environment,
    Failure,
    FileKind,
    InputShape,
    JobRecord,
    ModelRecord,
    TensorInfo,
)
from gaugenn.store import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is to be launched.

    Attributes:
        jobs: the jobs, the control among them, without companions.
        companions: what runs beside a job, by the job's digest.
        failures: what cannot be run, and why.
    """

    jobs: tuple[JobRecord, ...]
    companions: Mapping[str, JobRecord]
    failures: tuple[Failure, ...]


def require_engines(settings: BenchSettings) -> None:
    """Engines that nobody named, or only with `all`, may be missing; the named ones may not.

    Raises:
        UsageError: there is no engine of that name.
        MissingToolError: a named engine is not installed.
    """
    named = [name for name in settings.engine_names() if name.strip() != "all"]
    everywhere = all(is_remote(name) for name in devices_asked(settings))
    for engine in select_engines(named) if named else ():
        if not is_installed(engine.engine, engine.version) and not (
            everywhere and is_provisioned(engine.engine)
        ):
            raise _missing(engine)
    select_engines(settings.engine_names())


def devices_asked(settings: BenchSettings) -> tuple[str, ...]:
    """Every device that some experiment names, in order."""
    return tuple(dict.fromkeys(name for e in settings.asked() for name in e.devices))


def requested(
    study: Study, settings: BenchSettings, environments: Mapping[str, Environment]
) -> Request:
    """Plans the experiments of a request.

    Args:
        study: where the models are.
        settings: what is asked for.
        environments: what each device is, by its name.

    Raises:
        UsageError: an unknown engine or model, or a setting out of range.
        MissingToolError: the engine of a companion is not installed.
    """
    rows = study.rows(ModelRecord)
    names = model_names(study)
    jobs: dict[str, JobRecord] = {}
    failures: dict[tuple[str, str], Failure] = {}
    controls: dict[str, JobRecord] = {}
    for experiment in settings.asked():
        engines = select_engines(experiment.engines)
        remote = any(is_remote(name) for name in experiment.devices)
        present = [
            engine
            for engine in engines
            if is_installed(engine.engine, engine.version)
            or (remote and is_provisioned(engine.engine))
        ]
        absent = [_absent(engine) for engine in engines if engine not in present]
        failures |= {(f.stage, f.subject): f for f in absent}
        models = [m for m in rows if _is_asked_for(m, present, experiment, names)]
        if experiment.models and not models:
            wanted = ", ".join(experiment.models)
            raise UsageError(f"the study has no model {wanted} that can run; see: gaugenn query")
        if not present:
            continue
        shapes = _input_shapes(models, experiment.input_shapes)
        beside = _beside(experiment.beside, rows, names)
        for made in _all_settings(experiment, settings, environments, beside):
            able = [e for e in present if _starts(e, made.device, environments)]
            absent = [_absent(e, made.device) for e in present if e not in able]
            failures |= {(f.stage, f.subject): f for f in absent}
            planned = plan(models, able, made, shapes) if able else Plan(jobs=(), failures=())
            jobs |= {job.job_sha256: job for job in planned.jobs}
            failures |= {(f.stage, f.subject): f for f in planned.failures}
            if settings.control:
                controls.setdefault(made.device, control(made))
    for device, record in controls.items():
        launches = max((r.launches for r in jobs.values() if r.job.device == device), default=0)
        if launches:
            jobs[record.job_sha256] = replace(record, launches=launches)
    return Request(
        jobs=tuple(jobs.values()),
        companions=companions(jobs.values(), rows),
        failures=tuple(failures.values()),
    )


def model_names(study: Study) -> dict[str, str]:
    """A name for each model of a study that has one."""
    with study.connect() as connection:
        rows = connection.execute("SELECT model_sha256, name FROM model_names").fetchall()
    return dict(rows)


def _all_settings(
    experiment: Experiment,
    settings: BenchSettings,
    environments: Mapping[str, Environment],
    beside: Beside | None,
) -> list[Settings]:
    """Settings for each device and placement of an experiment.

    Raises:
        UsageError: a setting out of range, or cores that a device does not have.
    """
    lasts = experiment.durations()
    launches = settings.launches or settings.launches_minimum or lasts.launches
    if settings.precision is not None and settings.launches_minimum is None:
        # Fewer launches can look precise by luck.
        launches = max(launches, LAUNCHES_BEFORE_STOPPING)
        launches = min(launches, settings.launches_maximum or launches)
    made = Settings(
        processors=experiment.processors,
        precisions=experiment.precisions,
        batches=experiment.batches,
        launches=launches,
        warmup_minimum_count=lasts.warmup_minimum_count,
        warmup_minimum_s=lasts.warmup_minimum_s,
        warmup_maximum_s=lasts.warmup_maximum_s,
        steady_minimum_count=lasts.steady_minimum_count,
        steady_minimum_s=lasts.steady_minimum_s,
        steady_maximum_s=lasts.steady_maximum_s,
        maximum_samples=lasts.maximum_samples,
        launch_maximum_s=lasts.launch_maximum_s,
        page_cache=experiment.page_cache,
        rate_per_s=experiment.rate_per_s,
        beside=beside,
        seed=settings.seed,
    )
    if settings.precision is not None:
        most = settings.launches_maximum or max(launches, MAXIMUM_LAUNCHES)
        made = replace(made, precision=settings.precision, launches_maximum=most)
    if experiment.sustain_s is not None:
        longer_s = experiment.sustain_s - lasts.steady_minimum_s
        made = replace(
            made,
            steady_minimum_s=experiment.sustain_s,
            steady_maximum_s=max(lasts.steady_maximum_s + longer_s, experiment.sustain_s),
            launch_maximum_s=max(lasts.launch_maximum_s + longer_s, experiment.sustain_s),
        )
    if experiment.launch_limit_s is not None:
        made = replace(made, launch_maximum_s=experiment.launch_limit_s)
    found = []
    for device in experiment.devices:
        for notation in experiment.threads:
            placement = parse_placement(notation)
            environment = environments[device]
            cpus = affinity(_checked(placement, environment), environment)
            threads = (placement.threads,)
            found.append(replace(made, device=device, threads=threads, affinities=(cpus,)))
    return found


def _checked(placement: Placement, environment: Environment) -> Placement:
    if placement.threads > environment.logical_cores:
        raise UsageError(
            f"{placement.threads} threads: {environment.device} has {environment.logical_cores} cores"
        )
    return placement


def _beside(text: str, rows: Sequence[ModelRecord], names: Mapping[str, str]) -> Beside | None:
    """What `MODEL[@ENGINE[==VERSION]]` names.

    Raises:
        UsageError: none or several models have that name, or there is no such engine.
        MissingToolError: the engine is not installed.
    """
    if not text:
        return None
    name, _, label = text.partition("@")
    whole = [m for m in rows if m.kind is FileKind.MODEL and m.error is None]
    found = [m for m in whole if selects((name,), m, names.get(m.model_sha256, ""))]
    if len(found) != 1:
        digests = ", ".join(m.model_sha256[:12] for m in found[:5])
        many = f"{len(found)} models are called so: {digests}" if found else "there is none"
        raise UsageError(f"{name!r} must name one model of the study; {many}")
    engine = None
    if label:
        (engine,) = select_engines([label])
        if not is_installed(engine.engine, engine.version):
            raise _missing(engine)
    return Beside(model=found[0], engine=engine)


def _starts(engine: EngineVersion, device: str, environments: Mapping[str, Environment]) -> bool:
    """Whether a version can be started on a device, or be installed by it."""
    if is_remote(device) and is_provisioned(engine.engine):
        return True
    return runs_on(engine.engine, engine.version, environments[device])


def _is_asked_for(
    model: ModelRecord,
    engines: Sequence[EngineVersion],
    experiment: Experiment,
    names: Mapping[str, str],
) -> bool:
    """Who names an engine asks for the models of its formats only."""
    if not selects(experiment.models, model, names.get(model.model_sha256, "")):
        return False
    return not experiment.engines or any(e.engine.loads(model.format) for e in engines)


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


def _absent(engine: EngineVersion, device: str = "") -> Failure:
    subject = f"{engine.label} {device}".strip()
    return replace(as_failure("plan", subject, _missing(engine)), engine=engine.label)


def _missing(engine: EngineVersion) -> MissingToolError:
    label = engine.label
    if isinstance(engine.engine, NativeEngine):
        return _binaries.missing(engine.engine, engine.version)
    return MissingToolError(
        "the benchmark", f"the engine {label}", f"gaugenn engines install {label}"
    )
