"""One launch: a fresh process on a device, the device's state around it, and what came out.

A job may have a companion, which runs in a process of its own from before the model is loaded until
after the last inference. The two meet by files in the device's working folder (see `engines._launch`),
so they need no link between them; each has its own samples and its own row.
"""

import re
import signal
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Self

from gaugenn.devices import ClockOffset, Device, Output, _around, working_name
from gaugenn.devices._around import Around, Surroundings
from gaugenn.engines import Engine, load_engine
from gaugenn.errors import DeviceError, EngineError, FormatError, StoreError, UsageError
from gaugenn.records import (
    DeviceSample,
    Environment,
    Job,
    JobRecord,
    PageCache,
    Reading,
    Run,
    RunStatus,
    Timings,
    Variable,
    digest,
)
from gaugenn.records._environment import number

LOG_CHARACTERS = 2000
GRACE_S = 2.0
"""How long an interrupted launch waits for its companion."""
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,99}")
_NOTHING_AROUND = Around(sample_every_s=0)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What launches share.

    Attributes:
        device: where; opened by the caller.
        environment: what `device.info()` said; its digest goes into each run.
        programs: see `campaign.host_programs`.
        files: the files of a model by its digest, the graph file first.
        libraries: digest of the installed files of each (engine, version), where known.
        around: what is done on the device around each launch.
        samples: takes the rows of the sampler.
    """

    device: Device
    environment: Environment
    programs: Programs
    files: Callable[[str], Sequence[LocalFile]]
    libraries: Mapping[tuple[str, str], str | None]
    around: Around = _NOTHING_AROUND
    samples: Callable[[list[DeviceSample]], None] = lambda _: None


def time_limit_s(job: Job) -> float:
    """When a launch is ended: its own limit, doubled for the inference that runs then, and a minute
    for what is not measured; with a companion, once more for the wait until that is ready.
    """
    return (3 if job.companion else 2) * job.launch_maximum_s + 60


def launch(
    bench: Bench, record: JobRecord, number_of_launch: int, position: int, beside: JobRecord | None
) -> tuple[Run, ...]:
    """Launches a job once, and what runs beside it. Never raises for what a launch can do wrong.

    Args:
        bench: what launches share.
        record: the job.
        number_of_launch: from 0; the number of its block.
        position: place in its block.
        beside: the job's companion.

    Returns:
        The job's run and, where there is a companion that was started, that one's run.

    Raises:
        StorageFullError: the device has no room for a model.
    """
    if beside is None:
        bench.device.expect(f"{record.job_sha256} {number_of_launch}")
        attempt = _attempt(bench, record.job, {}, _key(record, number_of_launch))
        return (_run(bench, record, number_of_launch, position, attempt),)
    main, other = _together(bench, record, beside.job, number_of_launch)
    runs = [_run(bench, record, number_of_launch, position, main)]
    if other is not None:
        runs.append(_run(bench, beside, number_of_launch, position, other))
    return tuple(runs)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    """What was tried, and how it ended."""

    started_at: str
    status: RunStatus
    reason: str | None = None
    timings: Timings | None = None
    argv: tuple[str, ...] = ()
    output: Output | None = None
    page_cache: PageCache | None = None
    clock_offset_s: float | None = None
    before: tuple[Reading, ...] = ()
    after: tuple[Reading, ...] = ()
    boottime: ClockOffset | None = None
    around: Around = _NOTHING_AROUND
    surroundings: Surroundings = Surroundings()  # noqa: RUF009 - frozen


def _run(
    bench: Bench, record: JobRecord, number_of_launch: int, position: int, attempt: _Attempt
) -> Run:
    job, output = record.job, attempt.output
    variables = {} if output is None else output.variables
    around, surroundings, boottime = attempt.around, attempt.surroundings, attempt.boottime
    if attempt.status is not RunStatus.LOST:  # it is made again under the same number
        bench.samples(surroundings.rows(record.job_sha256, number_of_launch))
    return Run(
        job_sha256=record.job_sha256,
        launch=number_of_launch,
        status=attempt.status,
        reason=attempt.reason,
        timings=attempt.timings,
        started_at=attempt.started_at,
        wall_s=0.0 if output is None else output.wall_s,
        load_average=number(attempt.before, "load_average"),
        environment_sha256=bench.environment.environment_sha256,
        argv=attempt.argv,
        log_tail="" if output is None else output.stderr[-LOG_CHARACTERS:],
        position=position,
        cpu_s=None if output is None else output.cpu_s,
        variables=tuple(Variable(name=n, value=v) for n, v in sorted(variables.items())),
        library_sha256=bench.libraries.get((job.engine, job.engine_version)),
        page_cache=attempt.page_cache,
        clock_offset_s=attempt.clock_offset_s,
        before=attempt.before,
        after=attempt.after,
        boottime_offset_s=None if boottime is None else boottime.offset_s,
        boottime_uncertainty_s=None if boottime is None else boottime.uncertainty_s,
        sampled_every_s=around.sample_every_s or None,
        moments=surroundings.moments,
    )


def _key(record: JobRecord, number_of_launch: int) -> str:
    """A word for a launch, the same when it is tried again."""
    return digest([record.job_sha256, number_of_launch])[:16]


def _attempt(bench: Bench, job: Job, signals: Mapping[str, str], key: str = "") -> _Attempt:
    """Tries a launch.

    Args:
        bench: what launches share.
        job: what is launched.
        signals: variables of its process.
        key: see `_key`; "" for a companion, around which nothing is done.
    """
    device, engine = bench.device, load_engine(job.engine)
    around = bench.around if key and device.has_shell else _NOTHING_AROUND
    if job.companion:
        around = replace(around, idle_s=0.0)  # the other one runs already
    attempt = _Attempt(
        started_at=datetime.now(UTC).isoformat(timespec="milliseconds"), status=RunStatus.OK
    )
    try:
        names = working_names(job, bench.files(job.model_sha256))
        paths = [device.push(path, name) for name, path in names.items()]
        argv = engine.command(job, bench.programs[job.engine, job.engine_version], paths)
        attempt = replace(attempt, argv=tuple(argv), clock_offset_s=device.clock_offset_s())
        if job.page_cache is PageCache.DROPPED:
            device.drop_page_cache()
        if around.clocked:
            attempt = replace(attempt, boottime=device.boottime_offset())
        attempt = replace(attempt, page_cache=job.page_cache, before=device.conditions())
        output, surroundings = _started(device, argv, signals, job, around, key)
        attempt = replace(attempt, output=output, surroundings=surroundings, around=around)
        attempt = replace(attempt, after=device.conditions())
    except DeviceError as error:
        return replace(attempt, status=RunStatus.LOST, reason=str(error))
    except (StoreError, UsageError) as error:
        return replace(attempt, status=RunStatus.REFUSED, reason=str(error))
    return _judged(attempt, engine, job, output)


def _started(
    device: Device,
    argv: Sequence[str],
    signals: Mapping[str, str],
    job: Job,
    around: Around,
    key: str,
) -> tuple[Output, Surroundings]:
    """Runs a launch's command with what is done around it."""
    limit_s = time_limit_s(job)
    if around.is_empty:
        return device.run(argv, environment=signals, timeout_s=limit_s), Surroundings()
    script = device.push(_around.SCRIPT, "around.sh")
    output = device.run(
        around.command(script, key, argv),
        environment=signals,
        timeout_s=limit_s + around.extra_s,
    )
    with tempfile.TemporaryDirectory(prefix="gaugenn-") as here:
        local = Path(here) / _around.FILE
        try:
            device.pull(_around.FILE, local)
            found = _around.read(local, key, around.root)
        except (DeviceError, OSError):
            # The launch counts; what was around it is not known.
            found = Surroundings()
    if found.cpu_s is not None:
        output = replace(output, cpu_s=found.cpu_s)
    return output, found


class _Beside:
    """A companion in a thread of its own, and the files by which the two processes meet."""

    def __init__(self, bench: Bench, job: Job, folder: str, here: Path) -> None:
        self._bench, self._job, self._folder = bench, job, folder
        self._nothing, self._reason = here / "nothing", here / "reason"
        self._nothing.write_bytes(b"")
        marker = PurePosixPath(bench.device.push(self._nothing, f"{folder}/here"))
        self.ready, self.stop = str(marker.parent / "ready"), str(marker.parent / "stop")
        self.attempt: _Attempt | None = None
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._go, name="companion", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._bench.device.push(self._nothing, f"{self._folder}/stop")
        finally:
            # Who interrupts us does not wait: what still runs then dies with this process.
            interrupted = kind is not None and not issubclass(kind, Exception)
            self._thread.join(GRACE_S if interrupted else None)

    def _go(self) -> None:
        try:
            signals = {"GAUGENN_READY": self.ready, "GAUGENN_STOP": self.stop}
            self.attempt = _attempt(self._bench, self._job, signals)
            if self.attempt.status is not RunStatus.OK:
                # Whoever waits for it learns that it will never be ready.
                self._reason.write_text(self.attempt.reason or self.attempt.status)
                self._bench.device.push(self._reason, f"{self._folder}/ready")
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits for it
            self.error = error


def _together(
    bench: Bench, record: JobRecord, companion: Job, number_of_launch: int
) -> tuple[_Attempt, _Attempt | None]:
    """A job with its companion: the companion first, the job when that one is steady."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    folder = f"beside-{record.job_sha256[:16]}-{number_of_launch}"
    with tempfile.TemporaryDirectory(prefix="gaugenn-") as here:
        try:
            beside = _Beside(bench, companion, folder, Path(here))
            with beside:
                key = _key(record, number_of_launch)
                main = _attempt(bench, record.job, {"GAUGENN_WAIT": beside.ready}, key)
        except DeviceError as error:
            return _Attempt(started_at=now, status=RunStatus.LOST, reason=str(error)), None
    if beside.error is not None:
        raise beside.error
    other = beside.attempt
    if other is not None and other.status is not RunStatus.OK:
        reason = f"what ran beside it: {other.reason or other.status}"
        main = replace(main, status=other.status, reason=reason, timings=None)
    return main, other


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


def _judged(attempt: _Attempt, engine: Engine, job: Job, output: Output) -> _Attempt:
    phase = engine.last_phase(output.stdout)
    during = "" if phase is None else f" during {phase}"
    hot = attempt.surroundings.hot
    if hot is not None:
        return replace(attempt, status=RunStatus.OVERHEATED, reason=f"ended by us: {hot}{during}")
    if output.timed_out:
        limit_s = time_limit_s(job) + attempt.around.extra_s
        reason = f"ended by us after {limit_s:.0f} s{during}"
        return replace(attempt, status=RunStatus.TIMEOUT, reason=reason)
    code = output.exit_code
    try:
        timings = engine.parse(output.stdout, output.stderr)
    except EngineError as error:
        return replace(attempt, status=RunStatus.REFUSED, reason=str(error))
    except FormatError as error:
        if code == 0:
            return replace(attempt, status=RunStatus.GARBLED, reason=f"{error}{during}")
        return replace(attempt, status=RunStatus.CRASHED, reason=f"{_death(code)}{during}")
    return replace(attempt, timings=timings)


def _death(code: int | None) -> str:
    if code is None or code <= 128:
        return f"ended with exit code {code}"
    try:
        return f"killed by {signal.Signals(code - 128).name}"
    except ValueError:
        return f"ended with exit code {code}"
