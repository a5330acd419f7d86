"""Which jobs there are: models x engines x settings, and a reason for every pair that cannot run."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

from gaugenn import plugins
from gaugenn.bench.launch import time_limit_s
from gaugenn.engines import Engine, load_engine
from gaugenn.errors import EngineError, UsageError
from gaugenn.records import (
    Failure,
    FileKind,
    InputShape,
    Job,
    JobRecord,
    ModelRecord,
    PageCache,
    Precision,
    Processor,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineVersion:
    """An engine in one of its versions."""

    engine: Engine
    version: str

    @property
    def label(self) -> str:
        """As a user writes it: `litert==2.3.0`."""
        return f"{self.engine.name}=={self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """A model that runs beside the measured one.

    Attributes:
        model: the model.
        engine: its engine; None for the measured one's, where that reads the model.
    """

    model: ModelRecord
    engine: EngineVersion | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is varied and how long it is measured. The sequences are multiplied with each other.

    Fields as in `records.Job` and `records.JobRecord`.
    """

    device: str = "host"
    processors: tuple[Processor, ...] = (Processor.CPU,)
    precisions: tuple[Precision, ...] = (Precision.AS_STORED,)
    threads: tuple[int, ...] = (1,)
    affinities: tuple[str, ...] = ("",)
    batches: tuple[int, ...] = (1,)
    launches: int = 5
    launches_maximum: int | None = None
    precision: float | None = None
    warmup_minimum_count: int = 3
    warmup_minimum_s: float = 0.1
    warmup_maximum_s: float = 0.0
    steady_minimum_count: int = 20
    steady_minimum_s: float = 0.3
    steady_maximum_s: float = 60.0
    maximum_samples: int = 20_000
    launch_maximum_s: float = 60.0
    page_cache: PageCache = PageCache.WARM
    rate_per_s: float | None = None
    beside: Beside | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuses what cannot be measured.

        Raises:
            UsageError: a count, size or time that is out of range.
        """
        for name, values in (("threads", self.threads), ("batches", self.batches)):
            if not values or min(values) < 1:
                raise UsageError(f"{name} must be at least 1, not {values}")
        if not (self.processors and self.precisions and self.affinities):
            raise UsageError("a plan needs at least one processor, precision and affinity")
        if self.launches < 1 or self.steady_minimum_count < 1:
            raise UsageError("a plan needs at least one launch and one steady inference")
        if min(self.warmup_minimum_count, self.warmup_minimum_s, self.steady_minimum_s) < 0:
            raise UsageError("counts and times cannot be negative")
        if not 0 <= self.seed < 2**63:
            raise UsageError(f"the seed must be from 0 to 2**63 - 1, not {self.seed}")
        if self.launch_maximum_s <= 0:
            raise UsageError("a launch needs some time: launch_maximum_s must be above 0")
        if self.steady_maximum_s < self.steady_minimum_s:
            raise UsageError("the steady phase ends before its minimum: raise steady_maximum_s")
        if self.launches_maximum is not None and self.launches_maximum < self.launches:
            raise UsageError(
                f"at least {self.launches} and at most {self.launches_maximum} launches: the minimum "
                "is above the maximum"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The jobs to run, and what cannot be run with its reason.

    A failure's subject is the model's digest where no engine reads its format, else the digest and
    the engine: `DIGEST litert==2.3.0`.
    """

    jobs: tuple[JobRecord, ...]
    failures: tuple[Failure, ...]


def select_engines(texts: Iterable[str] = ()) -> tuple[EngineVersion, ...]:
    """Engines as a user names them.

    Args:
        texts: `litert` for the default version or `litert==2.3.0`; `all` for every library; none for
            every engine that is used by default.

    Raises:
        UsageError: no such engine, or an empty version.
    """
    chosen: dict[str, EngineVersion] = {}
    every = plugins.load_all("gaugenn.engines", Engine)  # type: ignore[type-abstract]
    libraries = [name for name, kind in every.items() if kind.distribution is not None]
    named = [name for text in texts for name in (libraries if text.strip() == "all" else [text])]
    for text in named:
        name, separator, version = text.partition("==")
        engine = load_engine(name.strip())
        if separator and not version.strip():
            raise UsageError(f"{text!r} lacks a version, as in {name}=={engine.default_version}")
        selected = EngineVersion(engine=engine, version=version.strip() or engine.default_version)
        chosen[selected.label] = selected
    if chosen:
        return tuple(chosen.values())
    engines = (kind() for kind in every.values() if kind.by_default)
    return tuple(EngineVersion(engine=e, version=e.default_version) for e in engines)


def plan(
    models: Iterable[ModelRecord],
    engines: Sequence[EngineVersion],
    settings: Settings,
    input_shapes: Mapping[str, Sequence[InputShape]] | None = None,
) -> Plan:
    """Joins models to the engines of their formats.

    Args:
        models: rows of any kind; only models that were read whole are planned.
        engines: what to run them with.
        settings: what to vary.
        input_shapes: sizes of inputs by model digest, where the file's own are not wanted.

    Raises:
        UsageError: a shape is given for an input that its model does not have.
    """
    jobs: dict[str, JobRecord] = {}
    failures: list[Failure] = []
    for model in models:
        if model.kind is not FileKind.MODEL or model.error is not None:
            continue
        shapes = tuple((input_shapes or {}).get(model.model_sha256, ()))
        _check_shapes(model, shapes)
        able = [e for e in engines if e.engine.loads(model.format)]
        if not able:
            reason = f"none of the engines reads {model.format} files: {_labels(engines)}"
            failures.append(_failure(model, None, reason))
        for chosen in able:
            try:
                made = list(_jobs(model, chosen, settings, shapes))
            except EngineError as error:
                failures.append(_failure(model, chosen, str(error)))
                continue
            for job in made:
                name = job.job_sha256
                jobs[name] = JobRecord(
                    job_sha256=name,
                    job=job,
                    launches=settings.launches,
                    timing_semantics=chosen.engine.timing_semantics,
                    launches_maximum=settings.launches_maximum,
                    precision=settings.precision,
                )
    return Plan(jobs=tuple(jobs.values()), failures=tuple(failures))


def _jobs(
    model: ModelRecord, chosen: EngineVersion, settings: Settings, shapes: tuple[InputShape, ...]
) -> Iterable[Job]:
    """The jobs of a pair.

    Raises:
        EngineError: the pair cannot run, and why.
    """
    engine = chosen.engine
    reason = engine.refuses(model)
    if reason is not None:
        raise EngineError(reason)
    if engine.needs_input_shapes:
        shapes = _all_shapes(model, engine, shapes)
    processors = [p for p in settings.processors if p in engine.processors]
    precisions = [p for p in settings.precisions if p in engine.precisions]
    if not processors:
        raise EngineError(f"{engine.title} runs on {_values(engine.processors)} only")
    if not precisions:
        raise EngineError(f"{engine.title} computes {_values(engine.precisions)} only")
    companion = _companion_label(settings.beside, chosen)
    varied = product(
        processors, precisions, settings.threads, settings.affinities, settings.batches
    )
    for processor, precision, threads, affinity, batch in varied:
        job = Job(
            model_sha256=model.model_sha256,
            format=model.format or "",
            engine=engine.name,
            engine_version=chosen.version,
            device=settings.device,
            processor=processor,
            precision=precision,
            threads=threads,
            affinity=affinity,
            batch=batch,
            input_shapes=shapes,
            warmup_minimum_count=settings.warmup_minimum_count,
            warmup_minimum_s=settings.warmup_minimum_s,
            warmup_maximum_s=settings.warmup_maximum_s,
            steady_minimum_count=settings.steady_minimum_count,
            steady_minimum_s=settings.steady_minimum_s,
            steady_maximum_s=settings.steady_maximum_s,
            maximum_samples=settings.maximum_samples,
            launch_maximum_s=settings.launch_maximum_s,
            page_cache=settings.page_cache,
            rate_per_s=settings.rate_per_s,
            companion=companion,
            seed=settings.seed,
        )
        reason = engine.cannot(job)
        if reason is not None:
            raise EngineError(reason)
        yield job


def _companion_label(beside: Beside | None, chosen: EngineVersion) -> str:
    """What `Job.companion` says.

    Raises:
        EngineError: no engine runs the companion.
    """
    if beside is None:
        return ""
    with_engine = beside.engine or chosen
    reason = with_engine.engine.refuses(beside.model)
    if reason is not None:
        raise EngineError(
            f"model {beside.model.model_sha256[:12]} cannot run beside it with "
            f"{with_engine.label}: {reason}; name its engine, as in --with MODEL@ENGINE"
        )
    return f"{beside.model.model_sha256}@{with_engine.label}"


def companions(jobs: Iterable[JobRecord], models: Iterable[ModelRecord]) -> dict[str, JobRecord]:
    """The jobs that run beside others, by the digest of the other.

    A companion has the threads, cores and seed of the job that it runs beside, and goes on for as long
    as that job takes.

    Args:
        jobs: planned jobs; those without a companion are passed over.
        models: among which the companions are.
    """
    rows = {model.model_sha256: model for model in models}
    found = {}
    for record in jobs:
        if not record.job.companion:
            continue
        model_sha256, _, label = record.job.companion.partition("@")
        (chosen,) = select_engines([label])
        model = rows[model_sha256]
        needs_shapes = chosen.engine.needs_input_shapes
        job = replace(
            record.job,
            model_sha256=model_sha256,
            format=model.format or "",
            engine=chosen.engine.name,
            engine_version=chosen.version,
            processor=Processor.CPU,
            precision=Precision.AS_STORED,
            batch=1,
            input_shapes=_all_shapes(model, chosen.engine, ()) if needs_shapes else (),
            rate_per_s=None,
            launch_maximum_s=time_limit_s(record.job),
            companion="",
            companion_of=record.job_sha256,
        )
        found[record.job_sha256] = JobRecord(
            job_sha256=job.job_sha256,
            job=job,
            launches=record.launches,
            timing_semantics=chosen.engine.timing_semantics,
            launches_maximum=record.launches_maximum,
            precision=record.precision,
        )
    return found


CONTROL_MODEL = b"gaugenn-null control\n"
"""The file of the control job: the engine `null` computes the same whatever it is given."""
CONTROL_BATCH = 4096
"""Rows of its 64 x 64 product: 17 million multiply-accumulates, about a millisecond of a core."""


def control(settings: Settings) -> JobRecord:
    """A job that shows how the device drifts: a fixed computation that no library has a part in."""
    (chosen,) = select_engines(["null"])
    job = Job(
        model_sha256=hashlib.sha256(CONTROL_MODEL).hexdigest(),
        format="null",
        engine=chosen.engine.name,
        engine_version=chosen.version,
        device=settings.device,
        batch=CONTROL_BATCH,
        warmup_minimum_count=settings.warmup_minimum_count,
        warmup_minimum_s=settings.warmup_minimum_s,
        warmup_maximum_s=min(settings.warmup_maximum_s, 1.0),
        steady_minimum_count=20,
        steady_minimum_s=min(settings.steady_minimum_s, 1.0),
        seed=settings.seed,
    )
    return JobRecord(
        job_sha256=job.job_sha256,
        job=job,
        launches=settings.launches,
        timing_semantics=chosen.engine.timing_semantics,
        control=True,
    )


def _check_shapes(model: ModelRecord, shapes: tuple[InputShape, ...]) -> None:
    known = [tensor.name for tensor in model.inputs]
    for given in shapes:
        if known and given.name not in known:
            raise UsageError(
                f"model {model.model_sha256[:12]} has no input {given.name!r}; it has {known}"
            )
        if min(given.shape, default=1) < 1:
            raise UsageError(
                f"input {given.name!r}: every size of {given.shape} must be at least 1"
            )


def _all_shapes(
    model: ModelRecord, engine: Engine, shapes: tuple[InputShape, ...]
) -> tuple[InputShape, ...]:
    given = {shape.name: shape for shape in shapes}
    whole = []
    for tensor in model.inputs:
        shape = given.get(tensor.name)
        if shape is None:
            sizes = tensor.shape
            if sizes is None or not all(size.isdecimal() and int(size) > 0 for size in sizes):
                stated = "of unknown rank" if sizes is None else f"({', '.join(sizes)})"
                raise EngineError(
                    f"{engine.title} needs every size of input {tensor.name!r}, the file says "
                    f"{stated}; give it, batch first: --input-shape {tensor.name}=1,..."
                )
            shape = InputShape(name=tensor.name, shape=tuple(int(size) for size in sizes))
        whole.append(replace(shape, dtype=tensor.dtype or ""))
    if not whole:
        raise EngineError(f"{engine.title} needs the inputs' sizes, but the file names no inputs")
    return tuple(whole)


def _failure(model: ModelRecord, chosen: EngineVersion | None, message: str) -> Failure:
    engine = None if chosen is None else chosen.label
    return Failure(
        stage="plan",
        subject=model.model_sha256 if engine is None else f"{model.model_sha256} {engine}",
        model_sha256=model.model_sha256,
        engine=engine,
        error=EngineError.__name__,
        message=message,
        transient=False,
    )


def _labels(engines: Sequence[EngineVersion]) -> str:
    return ", ".join(e.label for e in engines) or "there are none"


def _values(items: Sequence[Processor | Precision]) -> str:
    return ", ".join(items)
