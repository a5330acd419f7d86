"""The measured side: a program of its own that runs one job in one fresh process.

The program is this module's source, that of `_launch`, an engine's `Adapter` class and a last line that
calls `main` (`_wheel.WheelEngine.worker` joins them). It needs the standard library, numpy and the
engine's wheel, nothing of gaugenn: the same text runs in the engine's own environment here and on a
board. The adapter stands in the engine's file, so an engine stays one file; it may use the names of
this module and import the rest inside its methods.

    python -I worker.py '{"model_paths": ["m.tflite"], "threads": 1, ...}'

**What is timed.** Each call of `load`, `prepare` and `invoke`, by the monotonic clock in nanoseconds.
Imports, the making of inputs, `stage` and the fetching of outputs lie outside. The model's files are
read once before `load`, so every launch finds them in the page cache, unless the order says that it
was dropped. Python's garbage collector is off while inferences run.

**What it prints.** Standard output carries only this program's lines; whatever a library prints there
goes to standard error. A line `gaugenn-phase NAME` opens each phase, so that a crash or a hang can be
placed. The last line is `gaugenn-result DIGEST JSON` (the fields of `records.Timings`) or
`gaugenn-refused DIGEST JSON` (phase and reason), with the SHA-256 of the JSON text.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import sys
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.generic]
Foreign = Any
"""An object of a library, whose types are not known here."""

OUTPUT_SAMPLES = 256
"""Values of each output that are reported, so that engines can be compared."""
MAXIMUM_INPUT_BYTES = 1 << 31
"""Inputs larger than this are refused before they are made."""
MAXIMUM_REASON_CHARACTERS = 1000
BLOCK_ELEMENTS = 1 << 16
"""Outputs are summed up in blocks, so that the statistics do not raise the peak of memory."""


class Refusal(Exception):  # noqa: N818 - an answer, not a fault
    """The model cannot be loaded or run, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to do, as it stands in JSON on the command line. Fields as in `records.Job`."""

    model_paths: tuple[str, ...]
    input_shapes: tuple[tuple[str, tuple[int, ...]], ...]
    processor: str
    precision: str
    threads: int
    affinity: str
    batch: int
    warmup_minimum_count: int
    warmup_minimum_s: float
    steady_minimum_count: int
    steady_minimum_s: float
    launch_maximum_s: float
    seed: int
    warmup_maximum_s: float = 0.0
    steady_maximum_s: float = 60.0
    maximum_samples: int = 20_000
    page_cache: str = "warm"
    rate_per_s: float | None = None
    input_dtypes: tuple[tuple[str, str], ...] = ()
    """numpy name of an input's elements, for libraries that do not know it before they are fed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSpec:
    """An input as the library describes it; -1 in the shape is a dynamic size."""

    name: str
    dtype: str
    """numpy name, or `string`."""
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorTime:
    """What an inference spent in one operator."""

    name: str
    """The node as the library names it."""
    operator: str
    """Its type as the library says it."""
    duration_s: float
    kernel: str = ""
    """The implementation that was chosen, where the library tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a library can use on this machine."""

    processor: str
    name: str
    """As the library calls it."""
    precisions: tuple[str, ...]
    """Values of `records.Precision`."""


class Adapter:
    """One library, as the worker drives it: start, load, prepare, feed, then stage and invoke."""

    distribution: ClassVar[str | None] = None
    """PyPI name whose installed version is reported; None reports `version`."""
    version: ClassVar[str] = ""
    phases: str = "load, prepare"
    """`load+prepare` where one call does both; `prepare` then does nothing."""
    profiling: bool = False
    """Set before `load` in a launch whose inferences are taken apart and never count as latency."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.notes: list[str] = []

    def start(self) -> None:
        """Imports the library; not timed, but its memory is reported apart."""

    def load(self) -> None:
        """Opens and parses the model."""
        raise NotImplementedError

    def inputs(self) -> list[InputSpec]:
        """What the loaded model wants to be fed."""
        raise NotImplementedError

    def prepare(self, shapes: list[tuple[int, ...]]) -> None:
        """Allocates, packs weights, compiles. The shapes are those of `inputs`, made definite."""

    def feed(self, arrays: list[Array]) -> None:
        """Takes the input; not timed."""
        raise NotImplementedError

    def stage(self) -> None:
        """What must come before each inference and is no part of it; not timed."""

    def invoke(self) -> None:
        """One inference; timed."""
        raise NotImplementedError

    def outputs(self) -> list[tuple[str, Array]]:
        """Name and value of each output of the last inference; not timed."""
        raise NotImplementedError

    def offers(self) -> list[Offer]:
        """What the started library can use here."""
        raise NotImplementedError

    def profile(self, repeats: int) -> list[list[OperatorTime]]:
        """Takes inferences apart; after `stage` and a warm-up, with `profiling` set.

        Returns:
            For each of `repeats` inferences its operators in the order in which they ran.
        """
        raise NotImplementedError

    def observed_processor(self) -> str | None:
        """What computed, where the library tells."""
        return None

    def observed_precision(self) -> str | None:
        """What it computed with, where the library tells."""
        return None

    def observed_threads(self) -> int | None:
        """How many threads computed, where the library tells."""
        return None


class Channel:
    """Our lines on standard output, which libraries cannot reach any more."""

    def __init__(self) -> None:
        self.phase = "start"
        self._descriptor = os.dup(1)
        os.dup2(2, 1)

    def enter(self, phase: str) -> None:
        """Opens a phase."""
        self.phase = phase
        self._write(f"gaugenn-phase {phase}\n")

    def finish(self, word: str, value: dict[str, object]) -> None:
        """Prints the answer."""
        text = json.dumps(value, allow_nan=False, separators=(",", ":"))
        digest = hashlib.sha256(text.encode()).hexdigest()
        self._write(f"\ngaugenn-{word} {digest} {text}\n")

    def _write(self, text: str) -> None:
        left = text.encode()
        while left:
            left = left[os.write(self._descriptor, left) :]


def definite_shapes(specs: list[InputSpec], order: Order) -> list[tuple[int, ...]]:
    """The shape each input gets: the order's, else the file's with 1 for each dynamic size."""
    given = dict(order.input_shapes)
    unknown = given.keys() - {spec.name for spec in specs}
    if unknown:
        known = ", ".join(repr(spec.name) for spec in specs)
        raise Refusal(f"the model has no input {min(unknown)!r}; it has {known}")
    shapes = []
    for spec in specs:
        shape = given.get(spec.name) or tuple(1 if size < 0 else size for size in spec.shape)
        if order.batch != 1:
            if not shape or shape[0] not in (1, order.batch):
                raise Refusal(f"input {spec.name!r} of shape {shape} has no batch of 1 to enlarge")
            shape = (order.batch, *shape[1:])
        shapes.append(shape)
    return shapes


def make_input(name: str, dtype: str, shape: tuple[int, ...], seed: tuple[int, int]) -> Array:
    """A plausible input, the same for equal arguments.

    Floats lie in [0, 1). 8- and 16-bit integers, mostly quantised signals, take their whole range.
    Wider integers, mostly token ids, lengths and masks, are 0 or 1; a single one is 1. Booleans are
    mixed; a single one, mostly a switch, is false.
    """
    if dtype == "string":
        raise Refusal(f"input {name!r} takes text; only numeric inputs can be generated")
    try:
        kind = np.dtype(dtype)
    except TypeError:
        raise Refusal(f"input {name!r} has elements of {dtype}, which numpy lacks") from None
    count = 1
    for size in shape:
        if size < 0:
            raise Refusal(f"input {name!r} has a negative size in {shape}")
        count *= size
    if count * kind.itemsize > MAXIMUM_INPUT_BYTES:
        raise Refusal(f"input {name!r} of shape {shape} takes {count * kind.itemsize} bytes")
    random = np.random.default_rng(seed)
    if kind.kind == "f":
        single = np.float64 if kind.itemsize == 8 else np.float32
        return np.asarray(random.random(shape, dtype=single)).astype(kind, copy=False)
    if kind.kind == "b":
        return np.zeros(shape, bool) if count == 1 else random.integers(0, 2, shape) > 0
    if kind.kind in "iu" and kind.itemsize <= 2:
        limits = np.iinfo(kind)
        return np.asarray(random.integers(limits.min, limits.max + 1, shape)).astype(kind)
    if kind.kind in "iu":
        return np.ones(shape, kind) if count == 1 else random.integers(0, 2, shape).astype(kind)
    raise Refusal(f"input {name!r} has elements of {dtype}, for which no values are known")


def digest_arrays(named: list[tuple[str, Array]]) -> str:
    """SHA-256 over names, types, shapes and elements."""
    whole = hashlib.sha256()
    for name, array in named:
        whole.update(f"{name}\0{array.dtype.name}\0{array.shape}\0".encode())
        whole.update(_element_bytes(array))
    return whole.hexdigest()


def _element_bytes(array: Array) -> bytes | memoryview:
    if array.dtype.hasobject or array.dtype.kind in "SU":
        return "\0".join(str(item) for item in array.ravel()).encode()
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def describe_output(name: str, array: Array) -> dict[str, object]:
    """The fields of `records.OutputStatistics`; statistics cover the finite elements."""
    low, high, total, squares, finite = np.inf, -np.inf, 0.0, 0.0, 0
    numeric = array.dtype.kind in "fiub"
    flat = np.ascontiguousarray(array).reshape(-1)
    center = 0.0
    for start in range(0, flat.size if numeric else 0, BLOCK_ELEMENTS):
        block = flat[start : start + BLOCK_ELEMENTS].astype(np.float64)
        block = block[np.isfinite(block)]
        if not block.size:
            continue
        if not finite:
            center = float(block[0])
        low, high = min(low, float(block.min())), max(high, float(block.max()))
        block -= center
        total += float(block.sum())
        squares += float(np.square(block).sum())
        finite += block.size
    mean = total / finite if finite else 0.0
    spread = max(0.0, squares / finite - mean * mean) ** 0.5 if finite else 0.0
    return {
        "name": name,
        "dtype": array.dtype.name,
        "shape": list(array.shape),
        "sha256": digest_arrays([("", array)]),
        "minimum": _number(low, finite),
        "maximum": _number(high, finite),
        "mean": _number(mean + center, finite),
        "standard_deviation": _number(spread, finite),
        "not_finite": int(flat.size) - finite if numeric else 0,
        "sample": spread_values(flat) if numeric and finite == flat.size else [],
    }


def spread_values(flat: Array) -> list[float]:
    """Values at evenly spread places of an array, or all of a small one."""
    places = np.linspace(0, max(0, flat.size - 1), min(OUTPUT_SAMPLES, flat.size))
    return [float(value) for value in flat[places.astype(np.int64)]]


def _number(value: float, finite: int) -> float | None:
    return float(value) if finite and np.isfinite(value) else None


class WarmUp:
    """Says when latencies have become flat, told one after the other.

    Latencies are grouped into windows, each of a count and a time. The warm-up is flat when the medians
    of the last windows lie within a tolerance of each other: comparing all of them, not neighbours
    only, also sees a slow drift. There is no cap on the count: a count that suits a slow model ends
    the warm-up of a fast one before the processor's frequency has followed.

    Args:
        minimum_count: inferences before it may end.
        minimum_s: time spent in inferences before it may end.
        maximum_s: time after which it ends without being flat, once there were windows to judge.
    """

    window_count = 5
    window_s = 0.1
    windows = 3
    tolerance = 0.02

    def __init__(self, minimum_count: int, minimum_s: float, maximum_s: float) -> None:
        self._minimum = minimum_count, minimum_s
        self._maximum_s = maximum_s
        self._count, self._spent_s = 0, 0.0
        self._window: list[float] = []
        self._window_spent_s = 0.0
        self._medians: list[float] = []

    @property
    def judged(self) -> bool:
        """Whether there were enough windows to judge."""
        return len(self._medians) >= self.windows

    def add(self, latency_s: float) -> str | None:
        """Takes the next latency.

        Returns:
            Why the warm-up ends, `flat` or `not_flat`; None while it goes on.
        """
        self._count += 1
        self._spent_s += latency_s
        self._window.append(latency_s)
        self._window_spent_s += latency_s
        if len(self._window) < self.window_count or self._window_spent_s < self.window_s:
            return None
        ordered, half = sorted(self._window), len(self._window) // 2
        self._medians.append((ordered[half] + ordered[-half - 1]) / 2)
        self._window, self._window_spent_s = [], 0.0
        if not self.judged:
            return None
        last = self._medians[-self.windows :]
        if self._count < self._minimum[0] or self._spent_s < self._minimum[1]:
            return None
        if max(last) <= (1 + self.tolerance) * min(last):
            return "flat"
        return "not_flat" if self._spent_s >= self._maximum_s else None


def memory_bytes(field: str) -> int | None:
    """`VmRSS` or `VmHWM` of this process.

    `ru_maxrss` is not used: Linux lets it start from the parent's size, because it survives `exec`.
    Source: https://man7.org/linux/man-pages/man5/proc_pid_status.5.html
    """
    try:
        with open("/proc/self/status", encoding="ascii") as file:  # noqa: PTH123
            for line in file:
                if line.startswith(field + ":"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


def read_through(paths: tuple[str, ...]) -> None:
    """Brings files into the page cache."""
    buffer = bytearray(1 << 20)
    for path in paths:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123
            while file.readinto(buffer):
                pass


def pin(affinity: str) -> None:
    """Confines the process to CPUs given as `0-3,6`."""
    if not affinity:
        return
    cpus: set[int] = set()
    try:
        for part in affinity.split(","):
            first, _, last = part.partition("-")
            cpus.update(range(int(first), int(last or first) + 1))
        os.sched_setaffinity(0, cpus)
    except (ValueError, OSError, OverflowError) as error:
        raise Refusal(f"cannot run on CPUs {affinity!r}: {error}") from error


def die_with_parent() -> None:
    """Asks Linux to kill this process when the one that started it is gone, however it went.

    Source: https://man7.org/linux/man-pages/man2/pr_set_pdeathsig.2const.html
    """
    set_parent_death_signal, kill = 1, 9
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(set_parent_death_signal, kill, 0, 0, 0)


def explain(error: Exception, order: Order) -> str:
    """A refusal in one line, without the folder that the model's files happen to lie in."""
    if isinstance(error, MemoryError):
        return "it needs more memory than the process may have"
    text = str(error) if isinstance(error, Refusal) else f"{type(error).__name__}: {error}"
    for path in order.model_paths:
        text = text.replace(path, os.path.basename(path))  # noqa: PTH119
    return " ".join(text.split())[:MAXIMUM_REASON_CHARACTERS]


def read_order(text: str) -> Order:
    """The order on the command line."""
    fields = json.loads(text)
    fields["model_paths"] = tuple(fields["model_paths"])
    fields["input_shapes"] = tuple((name, tuple(shape)) for name, shape in fields["input_shapes"])
    fields["input_dtypes"] = tuple((n, d) for n, d in fields.get("input_dtypes", ()))
    return Order(**fields)
