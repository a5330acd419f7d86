"""Damage to files, and what a reader may do with a damaged file: refuse it, or read a valid model.

Shared by the tests, which draw the damage with hypothesis, and by `python -m benchmarks.fuzz`, which
draws it at random for as long as one likes.
"""

import signal
import tracemalloc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from types import FrameType

from gaugenn.content import Content
from gaugenn.errors import FormatError
from gaugenn.formats import readers
from gaugenn.graph import LazyBytes, Model
from tests.formats.samples import Sample

SECONDS_PER_MB = 1.0
SLACK_S = 4.0
"""Processor time in user mode, not time on the clock: a busy machine fails nobody."""

MEMORY_PER_BYTE = 4
MEMORY_SLACK_BYTES = 64 << 20

_INTEGERS = (
    *(0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF),
    *(0xFFFFFFF0, 1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1),
)
_NUMBERS = (
    b"0",
    b"-1",
    b"-233",
    b"99999",
    b"2147483647",
    b"4294967296",
    b"1" * 40,
    b"1e38",
    b"nan",
)


class Kind(StrEnum):
    """What is done to the bytes."""

    TRUNCATE = "truncate"
    FLIP = "flip a bit"
    BYTE = "set a byte"
    INTEGER = "set an aligned integer"
    VARINT = "write a long varint"
    NUMBER = "replace a decimal number"
    SPLICE = "copy a span over another"
    DUPLICATE = "insert a span again"
    DELETE = "take a span out"
    FILL = "fill a span with one byte"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One damage. The numbers may be any, they are taken modulo what there is."""

    kind: Kind
    at: int
    other: int
    length: int
    value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Damaged:
    """A sample whose file, or one of its neighbours, was damaged."""

    sample: Sample
    data: bytes
    neighbours: Mapping[str, bytes]

    @property
    def size_bytes(self) -> int:
        """Of all files."""
        return len(self.data) + sum(len(each) for each in self.neighbours.values())

    def content(self) -> Content:
        """As a reader gets it."""
        return replace(self.sample, neighbours=self.neighbours).content(self.data)


class TooSlowError(Exception):
    """A reader took more processor time than its input is worth."""


def damage(sample: Sample, steps: Sequence[Step], *, victim: int = 0) -> Damaged:
    """Damages the graph file (`victim` modulo the number of files is 0) or a neighbour."""
    names = sorted(sample.neighbours)
    which = victim % (1 + len(names))
    data, neighbours = sample.data(), dict(sample.neighbours)
    target = data if which == 0 else neighbours[names[which - 1]]
    for step in steps:
        target = apply(target, step)
    if which == 0:
        data = target
    else:
        neighbours[names[which - 1]] = target
    return Damaged(sample=sample, data=data, neighbours=neighbours)


def apply(data: bytes, step: Step) -> bytes:
    """The bytes after one step; any bytes, any numbers."""
    if not data:
        return data
    out = bytearray(data)
    at, other = step.at % len(data), step.other % len(data)
    length = 1 + step.length % 64 if step.length % 3 else 1 + step.length % len(data)
    match step.kind:
        case Kind.TRUNCATE:
            del out[at:]
        case Kind.FLIP:
            out[at] ^= 1 << step.value % 8
        case Kind.BYTE:
            out[at] = step.value % 256
        case Kind.INTEGER:
            size = (1, 2, 4, 8)[step.length % 4]
            start = at // size * size
            value = _INTEGERS[step.value % len(_INTEGERS)] % (1 << 8 * size)
            out[start : start + size] = value.to_bytes(size, "little")
        case Kind.VARINT:
            many = 1 + step.length % 11
            out[at : at + many] = b"\xff" * (many - 1) + bytes([step.value % 128])
        case Kind.NUMBER:
            start, end = _digits(data, at)
            out[start:end] = _NUMBERS[step.value % len(_NUMBERS)]
        case Kind.SPLICE:
            span = out[other : other + length]
            out[at : at + len(span)] = span
        case Kind.DUPLICATE:
            out[at:at] = out[other : other + length]
        case Kind.DELETE:
            del out[at : at + length]
        case Kind.FILL:
            end = min(len(out), at + length)
            out[at:end] = bytes([step.value % 256]) * (end - at)
    return bytes(out)


def _digits(data: bytes, at: int) -> tuple[int, int]:
    """The first decimal number at or after a place; an empty span where there is none near."""
    start = next((i for i in range(at, min(at + 64, len(data))) if 48 <= data[i] < 58), at)
    end = start
    while end < len(data) and 48 <= data[end] < 58:
        end += 1
    return start, end


def survive(damaged: Damaged, reader: str, *, watched: bool = True) -> str:
    """Reads a damaged file and everything in it.

    Args:
        damaged: the file.
        reader: who reads it.
        watched: also hold the memory to its limit, which costs time.

    Returns:
        `refused` or `read`.

    Raises:
        TooSlowError: over the limit of processor time.
        AssertionError: over the limit of memory, or a model that contradicts itself.
        Exception: whatever else the reader lets out; only a FormatError may leave it.
    """
    limit_s = SLACK_S + SECONDS_PER_MB * damaged.size_bytes / 1e6
    content = damaged.content()
    if not watched:
        with watchdog(limit_s):
            return _read(reader, content)
    tracemalloc.start()
    try:
        with watchdog(4 * limit_s):  # tracing slows every allocation down
            outcome = _read(reader, content)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    most = MEMORY_PER_BYTE * damaged.size_bytes + MEMORY_SLACK_BYTES
    assert peak <= most, f"{peak} bytes of memory for a file of {damaged.size_bytes}"
    return outcome


def _read(reader: str, content: Content) -> str:
    try:
        readers()[reader].companions(content)
        model = readers()[reader].read(content)
        _decode_all(model)
    except FormatError:
        return "refused"
    return "read"


def _decode_all(model: Model) -> None:
    """Decodes what is decoded late; edges and sub-graphs were checked when the model was made."""
    for graph in model.graphs:
        for tensor in graph.tensors.values():
            if isinstance(tensor.data, LazyBytes):
                assert tensor.read().nbytes == tensor.data.size_bytes


@contextmanager
def watchdog(limit_s: float) -> Iterator[None]:
    """Ends what runs longer than this in user mode. Only in the main thread."""

    def bark(_signal: int, _frame: FrameType | None) -> None:
        raise TooSlowError(f"more than {limit_s:.1f} s of processor time")

    before = signal.signal(signal.SIGVTALRM, bark)
    signal.setitimer(signal.ITIMER_VIRTUAL, limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
