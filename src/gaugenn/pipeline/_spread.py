"""Items become rows in worker processes, here or on other machines; the same rows either way.

On one machine workers hand their rows over, and the study is written here. With a `SharedStore` items
go out in groups; a worker runs each item of its group in a child process, so that a hostile file costs
that item only, writes the group's rows as one batch, and answers with the batch's name. The batch is
named by what is in the group, and is taken into the study once: a group that is worked on twice, since
its machine died or was thought dead, changes nothing.
"""

import atexit
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Generic, Protocol, TypeVar

import pyarrow as pa

from gaugenn.errors import StorageFullError, TransientError
from gaugenn.execute import Executor
from gaugenn.execute.local import LocalPool
from gaugenn.pipeline import Watcher
from gaugenn.pipeline._failures import as_failure
from gaugenn.records import ModelFile, TraceRecord, digest
from gaugenn.store import TABLES, Buffer, Record, SharedBlobs, SharedStore, Study

GROUP_ITEMS = 32
"""Items of a group at most: a group costs its worker a batch of some milliseconds."""

Rows = tuple[Record, ...]


class Task(Protocol):
    """An item."""

    @property
    def subject(self) -> str:
        """What a failure of it is about."""

    @property
    def identity(self) -> str:
        """Its name, with what would make it another item: its size, its time of change."""


T = TypeVar("T", bound=Task)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work(Generic[T]):
    """A stage's work on one item.

    Attributes:
        stage: its name, for failures and the watcher.
        function: what a worker does; module-level.
        remark: what to say of an item that went well.
    """

    stage: str
    function: Callable[[T], Rows]
    remark: Callable[[T, Rows], str]


def spread(
    work: Work[T],
    tasks: Sequence[T],
    study: Study,
    executor: Executor,
    watcher: Watcher,
    *,
    known: Set[str],
    shared: SharedStore | None,
) -> None:
    """Works on every task and stores its rows, or a failure in their place.

    Args:
        work: what to do.
        tasks: on what.
        study: takes the rows.
        executor: where the work runs.
        watcher: is told how it goes.
        known: subjects of failures that the study holds already; they are not written again.
        shared: where workers on other machines put their rows.

    Raises:
        StorageFullError: no room; what was written stays.
    """
    watcher.begin(work.stage, len(tasks))
    if shared is None:
        _here(work, tasks, study, executor, watcher, known)
    else:
        _elsewhere(work, tasks, study, executor, watcher, known, shared)
    watcher.end(work.stage)


def take_in(study: Study, shared: SharedStore) -> None:
    """Takes in what an interrupted command left in the shared store.

    Raises:
        StorageFullError: no room.
    """
    for key in shared.keys():  # noqa: SIM118 - no mapping
        rows = shared.get(key)
        if not study.holds(rows):
            adopt(study, shared, rows)
        shared.drop(key)


def _here(
    work: Work[T],
    tasks: Iterable[T],
    study: Study,
    executor: Executor,
    watcher: Watcher,
    known: Set[str],
) -> None:
    with Buffer(study) as buffer:
        for outcome in executor.map(work.function, tasks):
            subject = outcome.item.subject
            if isinstance(outcome.error, StorageFullError):
                raise outcome.error
            if outcome.error is not None or outcome.value is None:
                error = outcome.error or TypeError("a worker answered nothing")
                failure = as_failure(work.stage, subject, error)
                if subject not in known:
                    buffer.add([failure])
                watcher.step(work.stage, subject, failure.message)
                continue
            buffer.add(outcome.value)
            watcher.step(work.stage, subject, work.remark(outcome.item, outcome.value))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group(Generic[T]):
    work: Work[T]
    tasks: tuple[T, ...]
    known: frozenset[str]
    shared: SharedStore

    @property
    def key(self) -> str:
        return digest([self.work.stage, *(task.identity for task in self.tasks)])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    subject: str
    remark: str


def _elsewhere(
    work: Work[T],
    tasks: Sequence[T],
    study: Study,
    executor: Executor,
    watcher: Watcher,
    known: Set[str],
    shared: SharedStore,
) -> None:
    groups = (
        _Group(
            work=work,
            tasks=members,
            known=frozenset(known & {task.subject for task in members}),
            shared=shared,
        )
        for members in _grouped(tasks)
    )
    taken: set[str] = set()
    for outcome in executor.map(_work_on_group, groups):
        group = outcome.item
        if isinstance(outcome.error, StorageFullError):
            raise outcome.error
        if outcome.error is not None or outcome.value is None:
            error = TransientError(f"the worker of its group failed: {outcome.error}")
            lost = [as_failure(work.stage, task.subject, error) for task in group.tasks]
            study.write(row for row in lost if row.subject not in known)
            for row in lost:
                watcher.step(work.stage, row.subject, row.message)
            continue
        adopt(study, shared, shared.get(group.key))
        shared.drop(group.key)
        taken.add(group.key)
        for said in outcome.value:
            watcher.step(work.stage, said.subject, said.remark)
    for key in taken.intersection(shared.keys()):  # written again by one that was thought dead
        shared.drop(key)


def _grouped(tasks: Sequence[T]) -> Iterator[tuple[T, ...]]:
    """Large groups first; towards the end small ones, so that no worker waits long for the last."""
    source = iter(tasks)
    left = len(tasks)
    while left:
        members = tuple(islice(source, max(1, min(GROUP_ITEMS, left // 16))))
        left -= len(members)
        yield members


def _work_on_group(group: _Group[T]) -> tuple[_Said, ...]:
    """In a worker: runs each item in a child process, and writes one batch."""
    rows: list[Record] = []
    said: list[_Said] = []
    for outcome in _child().map(group.work.function, group.tasks):
        subject = outcome.item.subject
        if isinstance(outcome.error, StorageFullError):
            raise outcome.error
        if outcome.error is not None or outcome.value is None:
            error = outcome.error or TypeError("a worker answered nothing")
            failure = as_failure(group.work.stage, subject, error)
            if subject not in group.known:
                rows.append(failure)
            said.append(_Said(subject=subject, remark=failure.message))
            continue
        rows += outcome.value
        said.append(_Said(subject=subject, remark=group.work.remark(outcome.item, outcome.value)))
    group.shared.put(group.key, rows)
    return tuple(said)


@lru_cache(maxsize=1)
def _child() -> LocalPool:
    """One child process for as long as this worker lives."""
    pool = LocalPool(1)
    atexit.register(pool.close)
    return pool


def adopt(study: Study, shared: SharedStore, rows: dict[str, pa.Table]) -> None:
    """Takes a batch into the study, its blobs first."""
    if isinstance(shared.blobs, SharedBlobs):
        for record, column in ((ModelFile, "sha256"), (TraceRecord, "blob_sha256")):
            if TABLES[record] in rows:
                for sha256 in rows[TABLES[record]][column].unique().to_pylist():
                    study.blobs.take(str(sha256), shared.blobs)
    study.adopt(rows)
