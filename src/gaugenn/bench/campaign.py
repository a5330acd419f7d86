"""The launches of many jobs: randomised complete blocks, each launch a fresh process.

A block launches every job once, in an order of its own drawn from the seed, so that what drifts
during a campaign (temperature, other load) falls on all jobs alike. Jobs of one model are compared with
each other and so stay in the blocks together: all of them, until the last of them is precise enough.

A campaign is resumed by running it again with what is already there: a launch that ended is never
repeated. Whether there is another block, and who is in it, is decided at its start from the launches of
earlier blocks alone, so an interrupted campaign takes the same course as one that was not.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from gaugenn.analysis.stopping import LaunchRule
from gaugenn.bench.launch import Bench, LocalFile, Programs, launch
from gaugenn.bench.thermal import Gate, Passed
from gaugenn.devices import Device
from gaugenn.devices._around import Around
from gaugenn.engines import _environments, load_engine
from gaugenn.errors import DeviceError, UsageError
from gaugenn.records import DeviceSample, Environment, Job, JobRecord, Run, RunStatus

ATTEMPTS = {
    RunStatus.REFUSED: 1,
    RunStatus.CRASHED: 2,
    RunStatus.GARBLED: 2,
    RunStatus.TIMEOUT: 2,
    RunStatus.OVERHEATED: 2,
}
"""How many launches may end so before the job's remaining launches are left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a launch ended, as far as the course of a campaign depends on it.

    Attributes:
        status: how.
        median_s: median of its steady samples, or its aggregate, if it has some.
        wall_s: what it took.
    """

    status: RunStatus
    median_s: float | None = None
    wall_s: float = 0.0


Done = Mapping[tuple[str, int], Ended]
"""How each (job_sha256, launch) that is already stored ended."""


def ended(run: Run) -> Ended:
    """What a campaign has to know of a run."""
    return Ended(
        status=run.status,
        median_s=None if run.timings is None else run.timings.latency_s,
        wall_s=run.wall_s,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a campaign is.

    Attributes:
        finished: launches that ended or need not be made any more, those of earlier times included.
        total: launches that are known to be needed: those asked for, and the blocks begun since.
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
    return {
        (name, version): _environments.program(load_engine(name), version)
        for name, version in _engines(jobs)
    }


def host_libraries(jobs: Sequence[JobRecord]) -> dict[tuple[str, str], str | None]:
    """Digest of the installed files of each engine of jobs on this machine."""
    return {
        (name, version): _environments.library_digest(load_engine(name), version)
        for name, version in _engines(jobs)
    }


def _engines(jobs: Sequence[JobRecord]) -> list[tuple[str, str]]:
    return sorted({(record.job.engine, record.job.engine_version) for record in jobs})


def campaign(
    jobs: Sequence[JobRecord],
    *,
    device: Device,
    environment: Environment,
    programs: Programs,
    files: Callable[[str], Sequence[LocalFile]],
    libraries: Mapping[tuple[str, str], str | None] | None = None,
    companions: Mapping[str, JobRecord] | None = None,
    done: Done | None = None,
    seed: int = 0,
    budget_s: float | None = None,
    progress: Callable[[Progress], None] | None = None,
    gate: Gate | None = None,
    around: Around | None = None,
    samples: Callable[[list[DeviceSample]], None] | None = None,
) -> Iterator[tuple[Run, ...]]:
    """Launches jobs and yields the runs of each launch as it ends; store them before asking for more.

    A model with a missing or changed file, or with one that cannot have its name on the device, is
    refused like one that its engine refuses. After a refusal, or the second crash, time-out,
    overheating or garbled answer, a job is not launched again: the runs that were yielded say why.
    Stopping the iteration, also by an interrupt, leaves no process.

    Args:
        jobs: what to launch, and how often; companions are not among them.
        device: where; opened by the caller.
        environment: what `device.info()` said; its digest goes into each run.
        programs: see `host_programs`.
        files: the files of a model by its digest, the graph file first.
        libraries: see `host_libraries`.
        companions: what runs beside a job, by the job's digest.
        done: launches of earlier times. Those that were lost with their device are made again.
        seed: of the order.
        budget_s: no block begins that would end after so much time in launches, those of earlier
            times included; the first block is always made.
        progress: called before each launch.
        gate: is waited at before each launch, and marks those that begin hot.
        around: what is done on the device around each launch.
        samples: takes the rows of its sampler, before the launch is yielded.

    Yields:
        A job's run and, where it has one, its companion's: one launch, to be stored at once.

    Raises:
        DeviceError: the device was lost; the run that it interrupted was yielded before. Or it stays
            too hot.
        StorageFullError: the device has no room for a model.
        UsageError: a job has a companion that is not given.
    """
    bench = Bench(
        device=device,
        environment=environment,
        programs=programs,
        files=files,
        libraries=libraries or {},
        around=around or Around(sample_every_s=0),
        samples=samples or (lambda _: None),
    )
    beside = {record.job_sha256: _companion(record, companions or {}) for record in jobs}
    course = _Course(jobs, done or {}, seed, budget_s)
    total = sum(record.launches for record in jobs)
    finished = 0
    for block in course.blocks():
        total = max(total, finished + len(block))
        for position, record in enumerate(block):
            number = course.block
            if course.wants(record):
                passed = None if gate is None else gate.wait(device)
                if progress is not None:
                    progress(
                        Progress(finished=finished, total=total, job=record.job, launch=number)
                    )
                runs = launch(bench, record, number, position, beside[record.job_sha256])
                runs = runs if passed is None else _marked(runs, passed)
                course.add(record, ended(runs[0]))
                yield runs
                if runs[0].status is RunStatus.LOST:
                    raise DeviceError(f"{record.job.device}: {runs[0].reason}")
            finished += 1


def _marked(runs: Sequence[Run], passed: Passed) -> tuple[Run, ...]:
    return tuple(
        replace(
            run,
            thermal_start=passed.start,
            thermal_reason=passed.reason,
            cool_down_s=passed.waited_s,
        )
        for run in runs
    )


def order(
    jobs: Sequence[JobRecord], *, done: Done | None = None, seed: int = 0, launches: int
) -> list[tuple[JobRecord, int]]:
    """The next launches of a campaign, in order, as far as they are known before they are made.

    Args:
        jobs: what is launched.
        done: launches of earlier times.
        seed: of the order.
        launches: blocks to look ahead, for jobs that go on until they are precise.
    """
    ended_before = {k for k, e in (done or {}).items() if e.status is not RunStatus.LOST}
    coming = []
    for block in range(launches):
        members = [r for r in jobs if not r.control and block < (r.launches_maximum or r.launches)]
        members += [r for r in jobs if r.control and members]
        coming += [
            (record, block)
            for record in _shuffled(members, block, seed)
            if (record.job_sha256, block) not in ended_before
        ]
    return coming


def _companion(record: JobRecord, companions: Mapping[str, JobRecord]) -> JobRecord | None:
    found = companions.get(record.job_sha256)
    if found is None and record.job.companion:
        raise UsageError(f"job {record.job_sha256[:12]} lacks its companion")
    return found


class _Course:
    """Which launches there are, block by block."""

    def __init__(
        self, jobs: Sequence[JobRecord], done: Done, seed: int, budget_s: float | None
    ) -> None:
        self._jobs, self._seed, self._budget_s = jobs, seed, budget_s
        self._ended: dict[str, dict[int, Ended]] = defaultdict(dict)
        for (job, number), end in done.items():
            if end.status is not RunStatus.LOST:
                self._ended[job][number] = end
        self.block = 0

    def add(self, record: JobRecord, end: Ended) -> None:
        """Notes how the launch of this block ended."""
        self._ended[record.job_sha256][self.block] = end

    def wants(self, record: JobRecord) -> bool:
        """Whether a member of this block has to be launched in it."""
        ends = self._ended[record.job_sha256]
        return self.block not in ends and not _given_up(ends.values())

    def blocks(self) -> Iterator[list[JobRecord]]:
        """The members of each block in the order of the seed; `block` is its number."""
        while True:
            if self.block and self._spent():
                return
            groups: dict[str, list[JobRecord]] = defaultdict(list)
            for record in self._jobs:
                if not record.control:
                    groups[record.job.model_sha256].append(record)
            members = [r for group in groups.values() for r in self._members(group)]
            if not members:
                return
            members += [r for r in self._jobs if r.control]
            yield _shuffled(members, self.block, self._seed)
            self.block += 1

    def _members(self, group: Sequence[JobRecord]) -> list[JobRecord]:
        """Those of a group that take part in this block."""
        fixed = [r for r in group if r.precision is None and r.launches > self.block]
        adaptive = [r for r in group if r.precision is not None]
        alive = [r for r in adaptive if not _given_up(self._earlier(r).values())]
        return fixed + (adaptive if any(not self._is_enough(r) for r in alive) else [])

    def _is_enough(self, record: JobRecord) -> bool:
        rule = LaunchRule(
            precision=record.precision,
            minimum=record.launches,
            maximum=record.launches_maximum or record.launches,
        )
        medians = [e.median_s for e in self._earlier(record).values() if e.median_s is not None]
        return rule.decide(medians, launches=self.block).stop is not None

    def _earlier(self, record: JobRecord) -> dict[int, Ended]:
        return {n: e for n, e in self._ended[record.job_sha256].items() if n < self.block}

    def _spent(self) -> bool:
        """Whether another block, as long as the last one, would go beyond the budget."""
        if self._budget_s is None:
            return False
        walls: dict[int, float] = defaultdict(float)
        for record in self._jobs:
            for number, end in self._earlier(record).items():
                walls[number] += end.wall_s
        return sum(walls.values()) + walls[self.block - 1] > self._budget_s


def _given_up(ends: Iterable[Ended]) -> bool:
    failed = Counter(end.status for end in ends)
    return any(failed[status] >= n for status, n in ATTEMPTS.items())


def _shuffled(members: Sequence[JobRecord], block: int, seed: int) -> list[JobRecord]:
    """The jobs of a block in the order of the seed; the same whatever was done before."""
    arranged = sorted(members, key=lambda r: r.job_sha256)
    random.Random(f"{seed} {block}").shuffle(arranged)  # noqa: S311 - an order, no secret
    return arranged
