"""Commands on this machine, whoever needs them: whole groups end, and output is bounded."""

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

STDOUT_LIMIT_BYTES = 64 << 20
"""A million samples with their start and due times are some 45 MB of text."""
STDERR_LIMIT_BYTES = 1 << 20
POLL_S = 0.02
"""How often the end of a process is looked for while it prints nothing."""
GRACE_S = 1.0
"""How long output is still read after the process has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """How a command ended.

    Attributes:
        exit_code: 128 + n for signal n; None when it was ended at its time limit.
        stdout: of a long one only the end.
        stderr: the same.
        wall_s: from start to end.
        cpu_s: processor time of the command and of its children that it waited for.
    """

    exit_code: int | None
    stdout: bytes
    stderr: bytes
    wall_s: float
    cpu_s: float

    @property
    def timed_out(self) -> bool:
        """Whether it was ended at its time limit."""
        return self.exit_code is None


def run(
    argv: Sequence[str],
    *,
    timeout_s: float,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    stdin: "IO[bytes] | None" = None,
    stdout: "IO[bytes] | None" = None,
    started: "Callable[[subprocess.Popen[bytes]], None] | None" = None,
) -> Finished:
    """Runs a command in a process group of its own, which dies at the time limit.

    Args:
        argv: what to run.
        timeout_s: when the group is ended.
        environment: all of its variables; those of this process if None.
        folder: where it runs.
        stdin: what it reads; nothing if None.
        stdout: where its output goes instead of into the result.
        started: is called with the process that just started.

    Raises:
        OSError: it cannot be started.
        ValueError: an argument holds a null character.
    """
    start = time.monotonic()
    process = subprocess.Popen(
        list(argv),
        stdin=subprocess.DEVNULL if stdin is None else stdin,
        stdout=subprocess.PIPE if stdout is None else stdout,
        stderr=subprocess.PIPE,
        cwd=folder,
        env=environment,
        start_new_session=True,
    )
    try:
        if started is not None:
            started(process)
        tails, timed_out = drain(process, start + timeout_s)
    finally:
        cpu_s = _end_group(process)
    code = process.returncode
    return Finished(
        exit_code=None if timed_out else 128 - code if code < 0 else code,
        stdout=bytes(tails[0]),
        stderr=bytes(tails[1]),
        wall_s=time.monotonic() - start,
        cpu_s=cpu_s,
    )


def drain(
    process: "subprocess.Popen[bytes]", deadline: float
) -> tuple[tuple[bytearray, bytearray], bool]:
    """Reads both pipes until the process has ended or the deadline is over.

    Returns:
        The ends of standard output and standard error, and whether the deadline was reached.
    """
    tails = (bytearray(), bytearray())
    limits = (STDOUT_LIMIT_BYTES, STDERR_LIMIT_BYTES)
    ended: float | None = None
    with selectors.DefaultSelector() as selector:
        for index, pipe in enumerate((process.stdout, process.stderr)):
            if pipe is not None:
                selector.register(pipe, selectors.EVENT_READ, index)
        while True:
            now = time.monotonic()
            if ended is None and _has_ended(process):
                ended = now
                _kill_group(process)
            if ended is None and now >= deadline:
                return tails, True
            if ended is not None and (not selector.get_map() or now >= ended + GRACE_S):
                return tails, False
            for key, _ in _readable(selector, POLL_S if ended is None else GRACE_S):
                block = os.read(key.fd, 1 << 16)
                if not block:
                    selector.unregister(key.fileobj)
                tail, limit = tails[key.data], limits[key.data]
                tail += block
                if len(tail) > 2 * limit:
                    del tail[:-limit]


def _readable(
    selector: selectors.BaseSelector, limit_s: float
) -> list[tuple[selectors.SelectorKey, int]]:
    if selector.get_map():
        return selector.select(limit_s)
    time.sleep(limit_s)
    return []


def _has_ended(process: "subprocess.Popen[bytes]") -> bool:
    """Whether the process has ended. It is not reaped yet, so its number stays its group's."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _kill_group(process: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _end_group(process: "subprocess.Popen[bytes]") -> float:
    """Kills whatever of the process group still lives, and reaps the process.

    Returns:
        Processor time that it took.
    """
    _kill_group(process)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
    return usage.ru_utime + usage.ru_stime
