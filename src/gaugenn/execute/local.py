"""Worker processes of this machine.

The standard pools stop altogether when one worker dies and cannot end a worker that hangs; hostile
files make both happen. Here each worker is a plain child process on a pipe of its own: the death or
the overrun of one costs one item. Workers end by themselves when the parent is gone, however it ended.
"""

import contextlib
import gc
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection, Pipe, wait
from typing import TypeVar

from gaugenn.errors import LimitError
from gaugenn.execute import Executor, Outcome

T = TypeVar("T")
R = TypeVar("R")

_SERVE = "from gaugenn.execute.local import serve; import sys; serve(int(sys.argv[1]))"


class LocalPool(Executor):
    """A pool of processes on this machine.

    Args:
        workers: how many; all cores that this process may use by default.
        item_limit_s: a worker that takes longer for one item is ended.
    """

    def __init__(self, workers: int | None = None, item_limit_s: float = 600.0) -> None:
        self._count = workers or len(os.sched_getaffinity(0))
        self._limit_s = item_limit_s
        self._workers: list[_Worker] = []

    def map(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[Outcome[T, R]]:
        """See `Executor.map`."""
        busy: dict[_Worker, T] = {}
        source = iter(items)
        exhausted = False
        try:
            while busy or not exhausted:
                while not exhausted and len(busy) < self._count:
                    try:
                        item = next(source)
                    except StopIteration:
                        exhausted = True
                        break
                    worker = self._idle(busy)
                    worker.begin(function, item)
                    busy[worker] = item
                for worker in self._finished(list(busy)):
                    yield self._outcome(worker, busy.pop(worker))
        finally:
            for worker in busy:
                self._drop(worker)

    def close(self) -> None:
        """Ends the workers."""
        for worker in self._workers:
            worker.end()
        self._workers.clear()

    def _idle(self, busy: "dict[_Worker, T]") -> "_Worker":
        for worker in self._workers:
            if worker not in busy:
                return worker
        self._workers.append(_Worker())
        return self._workers[-1]

    def _drop(self, worker: "_Worker") -> None:
        worker.end()
        self._workers.remove(worker)

    def _finished(self, busy: "list[_Worker]") -> "list[_Worker]":
        """Workers with an answer, a corpse or an overrun; waits for the first of them."""
        if not busy:
            return []
        now = time.monotonic()
        first_limit = min(worker.since for worker in busy) + self._limit_s
        ready = wait([worker.pipe for worker in busy], timeout=max(0.0, first_limit - now))
        answered = [worker for worker in busy if worker.pipe in ready]
        late = time.monotonic() - self._limit_s
        return answered or [worker for worker in busy if worker.since <= late]

    def _outcome(self, worker: "_Worker", item: T) -> "Outcome[T, R]":
        if not worker.pipe.poll():
            self._drop(worker)
            error: Exception = LimitError(f"took longer than {self._limit_s:g} s and was ended")
            return Outcome(item=item, value=None, error=error)
        try:
            succeeded, value = pickle.loads(worker.pipe.recv_bytes())  # noqa: S301 - our own child
        except (EOFError, ConnectionResetError):
            self._drop(worker)
            error = LimitError(f"the process that worked on it died: {worker.cause()}")
            return Outcome(item=item, value=None, error=error)
        if succeeded:
            return Outcome(item=item, value=value, error=None)
        return Outcome(item=item, value=None, error=value)


class _Worker:
    """A child process and the parent's end of its pipe."""

    def __init__(self) -> None:
        self.pipe, theirs = Pipe()
        self.since = 0.0
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _SERVE, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env=environment,
                start_new_session=True,
            )

    def begin(self, function: Callable[[T], R], item: T) -> None:
        self.since = time.monotonic()
        # A worker that died between two items is noticed as the end of its pipe.
        with contextlib.suppress(BrokenPipeError):
            self.pipe.send_bytes(pickle.dumps((function, item)))

    def end(self) -> None:
        self.pipe.close()
        self._process.kill()
        self._process.wait()

    def cause(self) -> str:
        code = self._process.wait()
        if code < 0:
            with contextlib.suppress(ValueError):
                return signal.Signals(-code).name
        return f"exit code {code}"


def serve(handle: int) -> None:
    """The worker's loop: function and item in, value or error out, until the parent hangs up.

    Args:
        handle: file descriptor of the worker's end of the pipe.
    """
    with Connection(handle) as pipe:
        while True:
            try:
                function, item = pickle.loads(pipe.recv_bytes())  # noqa: S301 - our own parent
            except (EOFError, ConnectionResetError):
                return
            answer: tuple[bool, object]
            try:
                answer = True, function(item)
            except Exception as error:  # noqa: BLE001 - the item's door: the parent records it
                answer = False, error
            try:
                pipe.send_bytes(pickle.dumps(answer))
            except BrokenPipeError:
                return
            # What the first item loaded stays, and need not be looked at.
            if not gc.get_freeze_count():
                gc.freeze()
