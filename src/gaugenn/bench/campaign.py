"""The launches of many jobs: randomised complete blocks, each launch a fresh process.

A block launches every job once, in an order of its own drawn from the seed, so that what drifts
during a campaign (temperature, other load) falls on all jobs alike. A campaign is resumed by running
it again with what is already there: a launch that ended is never repeated, and the order of the rest
stays the same.
"""

import random
import re
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from gaugenn.devices import Device, Output, working_name
from gaugenn.engines import Engine, _environments, load_engine
from gaugenn.errors import DeviceError, EngineError, FormatError, StoreError, UsageError
from gaugenn.records import Environment, Job, JobRecord, Run, RunStatus, Timings

ATTEMPTS = {
    RunStatus.REFUSED: 1,
    RunStatus.CRASHED: 2,
    RunStatus.GARBLED: 2,
    RunStatus.TIMEOUT: 2,
}
"""How many launches may end so before the job's remaining launches are left out."""

LOG_CHARACTERS = 2000
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,99}")
_SUFFIX = re.compile(r"\.[A-Za-z0-9_]{1,16}$")


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalFile:
    """A file of a model.

    Attributes:
        name: its name beside the graph file, as the graph or the engine looks for it.
        path: where its bytes are on this machine.
    """

    name: str
    path: Path


Programs = Mapping[tuple[str, str], Sequence[str]]
"""How each (engine, version) is started on the device."""

Done = Mapping[tuple[str, int], RunStatus]
"""How each (job_sha256, launch) that is already stored ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a campaign is.

    Attributes:
        finished: launches that ended or need not be made any more, those of earlier times included.
        total: launches that were asked for.
        job: the job that is launched next.
        launch: its launch.
    """

    finished: int
    total: int
    job: Job
    launch: int


def host_programs(jobs: Sequence[JobRecord]) -> dict[tuple[str, str], tuple[str, ...]]:
    """How the engines of jobs are started on this machine.

    Raises:
        MissingToolError: an engine's version is not installed; the message says how to.
    """
    pairs = sorted({(record.job.engine, record.job.engine_version) for record in jobs})
    return {
        (name, version): _environments.program(load_engine(name), version)
        for name, version in pairs
    }


def campaign(
    jobs: Sequence[JobRecord],
    *,
    device: Device,
    environment: Environment,
    programs: Programs,
    files: Callable[[str], Sequence[LocalFile]],
    done: Done | None = None,
    seed: int = 0,
    progress: Callable[[Progress], None] | None = None,
) -> Iterator[Run]:
    """Launches jobs and yields each run as it ends; store it before asking for the next.

    A model with a missing or changed file, or with one that cannot have its name on the device, is
    refused like one that its engine refuses. After a refusal, or the second crash, time-out or
    garbled answer, a job is not launched again: the runs that were yielded say why. Stopping the
    iteration, also by an interrupt, leaves no process.

    Args:
        jobs: what to launch, and how often.
        device: where; opened by the caller.
        environment: what `device.info()` said; its digest goes into each run.
        programs: see `host_programs`.
        files: the files of a model by its digest, the graph file first.
        done: runs of earlier times. Those that were lost with their device are made again.
        seed: of the order.
        progress: called before each launch.

    Raises:
        DeviceError: the device was lost; the run that it interrupted was yielded before.
        StorageFullError: the device has no room for a model.
    """
    ended = {key for key, status in (done or {}).items() if status is not RunStatus.LOST}
    failed: Counter[tuple[str, RunStatus]] = Counter(
        (job, status) for (job, _), status in (done or {}).items()
    )
    total = sum(record.launches for record in jobs)
    finished = 0
    for block in range(max((record.launches for record in jobs), default=0)):
        for record in _block(jobs, block, seed):
            name = record.job_sha256
            given_up = any(failed[name, status] >= n for status, n in ATTEMPTS.items())
            if (name, block) not in ended and not given_up:
                if progress is not None:
                    progress(Progress(finished=finished, total=total, job=record.job, launch=block))
                run = _launch(record, block, device, environment, programs, files)
                failed[name, run.status] += 1
                yield run
                if run.status is RunStatus.LOST:
                    raise DeviceError(f"{record.job.device}: {run.reason}")
            finished += 1


def _block(jobs: Sequence[JobRecord], block: int, seed: int) -> list[JobRecord]:
    """The jobs of a block in the order of the seed; the same whatever was done before."""
    members = sorted((r for r in jobs if r.launches > block), key=lambda r: r.job_sha256)
    random.Random(f"{seed} {block}").shuffle(members)  # noqa: S311 - an order, no secret
    return members


def _launch(
    record: JobRecord,
    launch: int,
    device: Device,
    environment: Environment,
    programs: Programs,
    files: Callable[[str], Sequence[LocalFile]],
) -> Run:
    job = record.job
    engine = load_engine(job.engine)
    started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
    load_average: float | None = None
    argv: list[str] = []
    output: Output | None = None
    try:
        names = working_names(job, files(job.model_sha256))
        paths = [device.push(path, name) for name, path in names.items()]
        argv = engine.command(job, programs[job.engine, job.engine_version], paths)
        load_average = device.load_average()
        output = device.run(argv, timeout_s=time_limit_s(job))
    except DeviceError as error:
        outcome = _Outcome(status=RunStatus.LOST, reason=str(error))
    except (StoreError, UsageError) as error:
        outcome = _Outcome(status=RunStatus.REFUSED, reason=str(error))
    else:
        outcome = _outcome(engine, job, output)
    return Run(
        job_sha256=record.job_sha256,
        launch=launch,
        status=outcome.status,
        reason=outcome.reason,
        timings=outcome.timings,
        started_at=started_at,
        wall_s=0.0 if output is None else output.wall_s,
        load_average=load_average,
        environment_sha256=environment.environment_sha256,
        argv=tuple(argv),
        log_tail="" if output is None else output.stderr[-LOG_CHARACTERS:],
    )


def working_names(job: Job, files: Sequence[LocalFile]) -> dict[str, Path]:
    """Where in a working folder each file goes.

    Names come from packages. The graph file's own name matters to no engine, so an odd one is
    replaced; its companions are looked for by name and keep theirs.

    Raises:
        UsageError: a companion's name can be no file's name.
    """
    folder = job.model_sha256[:16]
    names: dict[str, Path] = {}
    for position, file in enumerate(files):
        name = file.name
        if position == 0 and not _PLAIN.fullmatch(name):
            found = _SUFFIX.search(name)
            name = "model" + (found.group() if found else "")
        names[f"{folder}/{working_name(name)}"] = file.path
    return names


def time_limit_s(job: Job) -> float:
    """When a launch is ended: its own limit, doubled for the inference that runs then, and a minute
    for what is not measured.
    """
    return 2 * job.launch_maximum_s + 60


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    status: RunStatus
    reason: str | None = None
    timings: Timings | None = None


def _outcome(engine: Engine, job: Job, output: Output) -> _Outcome:
    phase = engine.last_phase(output.stdout)
    during = "" if phase is None else f" during {phase}"
    if output.timed_out:
        reason = f"ended by us after {time_limit_s(job):.0f} s{during}"
        return _Outcome(status=RunStatus.TIMEOUT, reason=reason)
    code = output.exit_code
    try:
        timings = engine.parse(output.stdout, output.stderr)
    except EngineError as error:
        return _Outcome(status=RunStatus.REFUSED, reason=str(error))
    except FormatError as error:
        if code == 0:
            return _Outcome(status=RunStatus.GARBLED, reason=f"{error}{during}")
        return _Outcome(status=RunStatus.CRASHED, reason=f"{_death(code)}{during}")
    return _Outcome(status=RunStatus.OK, timings=timings)


def _death(code: int | None) -> str:
    if code is None or code <= 128:
        return f"ended with exit code {code}"
    try:
        return f"killed by {signal.Signals(code - 128).name}"
    except ValueError:
        return f"ended with exit code {code}"
