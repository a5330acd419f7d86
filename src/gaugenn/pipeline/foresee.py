"""What a campaign would do, without doing it: its launches in order, and how long they take."""

import statistics
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass

from gaugenn.bench.campaign import Ended, order
from gaugenn.bench.devices import open_device
from gaugenn.bench.launch import time_limit_s
from gaugenn.bench.settings import BenchSettings
from gaugenn.pipeline.measure import launches_done
from gaugenn.pipeline.request import devices_asked, model_names, requested
from gaugenn.records import Job, RunStatus
from gaugenn.store import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeseenLaunch:
    """A launch that would be made.

    Attributes:
        block: its block, from 0.
        job_sha256: its job.
        device: where.
        model: the model's name.
        engine: engine and version.
        threads: how many.
        affinity: the cores; "" for any.
        batch: inputs in one inference.
        beside: model and engine that would run beside it; "" for nothing.
        low_s: what it takes at least; both are the median of earlier launches where there are some.
        high_s: what it takes at most, before it is ended.
    """

    block: int
    job_sha256: str
    device: str
    model: str
    engine: str
    threads: int
    affinity: str
    batch: int
    beside: str
    low_s: float
    high_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """A campaign that was not made.

    Attributes:
        launches: those that are certain, in order: with a precision, the minimum.
        launches_maximum: how many there can be.
        low_s: what the certain ones take at least.
        high_s: what all of them take at most; not more than the budget, but for the first block.
        failures: what could not be launched, and why.
    """

    launches: tuple[ForeseenLaunch, ...]
    launches_maximum: int
    low_s: float
    high_s: float
    failures: tuple[str, ...]

    @property
    def is_open(self) -> bool:
        """Whether how many launches there are depends on what they measure."""
        return self.launches_maximum > len(self.launches)


def foresee(study: Study, settings: BenchSettings) -> Forecast:
    """Plans a campaign and estimates it from the launches that the study holds, else by its limits.

    Raises:
        UsageError: an unknown engine, model or device, or a setting out of range.
        DeviceError: a device cannot be reached.
    """
    with ExitStack() as stack:
        folder = study.path / "journal"
        devices = {n: stack.enter_context(open_device(n, folder)) for n in devices_asked(settings)}
        request = requested(study, settings, {n: d.info() for n, d in devices.items()})
    done = launches_done(study)
    names = model_names(study)
    walls = _walls(done)
    blocks = max((r.launches_maximum or r.launches for r in request.jobs), default=0)
    coming = [
        (record, block)
        for device in devices
        for record, block in order(
            [r for r in request.jobs if r.job.device == device],
            done=done,
            seed=settings.seed,
            launches=blocks,
        )
    ]
    spans = {r.job_sha256: _span(r.job, walls.get(r.job_sha256, [])) for r in request.jobs}
    certain = [(record, block) for record, block in coming if block < record.launches]
    high_s = sum(spans[record.job_sha256][1] for record, _ in coming)
    if settings.budget_s is not None:
        first_s = sum(spans[record.job_sha256][1] for record, block in coming if block == 0)
        high_s = min(high_s, max(settings.budget_s, first_s))
    low_s = sum(spans[record.job_sha256][0] for record, _ in certain)
    return Forecast(
        launches=tuple(
            ForeseenLaunch(
                block=block,
                job_sha256=record.job_sha256,
                device=record.job.device,
                model="control" if record.control else _model(record.job.model_sha256, names),
                engine=f"{record.job.engine}=={record.job.engine_version}",
                threads=record.job.threads,
                affinity=record.job.affinity,
                batch=record.job.batch,
                beside=_beside(record.job.companion, names),
                low_s=spans[record.job_sha256][0],
                high_s=spans[record.job_sha256][1],
            )
            for record, block in certain
        ),
        launches_maximum=len(coming),
        low_s=min(low_s, high_s),
        high_s=high_s,
        failures=tuple(f"{f.subject}: {f.message}" for f in request.failures),
    )


def _walls(done: dict[tuple[str, int], Ended]) -> dict[str, list[float]]:
    walls: dict[str, list[float]] = defaultdict(list)
    for (job, _), end in done.items():
        if end.status is RunStatus.OK:
            walls[job].append(end.wall_s)
    return walls


def _span(job: Job, walls_s: list[float]) -> tuple[float, float]:
    """What a launch takes at least and at most."""
    if walls_s:
        typical_s = statistics.median(walls_s)
        return typical_s, typical_s
    return job.warmup_minimum_s + job.steady_minimum_s, time_limit_s(job)


def _model(sha256: str, names: dict[str, str]) -> str:
    return names.get(sha256, sha256[:12])


def _beside(companion: str, names: dict[str, str]) -> str:
    model, _, engine = companion.partition("@")
    return f"{_model(model, names)}@{engine}" if companion else ""
