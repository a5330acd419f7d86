"""An engine whose latency is known, for the simulated device: what a method finds can be checked.

Its versions are numbers and its latency is proportional to them: `simulated==1.05` is 5 % slower than
`simulated==1`, so that a regression can be planted. On a real device it refuses every model.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import ClassVar, Protocol

from gaugenn.engines import _worker
from gaugenn.engines._wheel import WheelEngine
from gaugenn.engines._worker import Adapter, Offer, Refusal
from gaugenn.errors import EngineError
from gaugenn.records import Job, ModelRecord, Precision, Processor, TimingSemantics

FASTEST_S = 0.002
SLOWEST_S = 0.05
"""True latencies of models lie between, spread evenly over the logarithm by the models' digests."""
THREADS_EXPONENT = 0.8
"""N threads make it N to this power times as fast."""


class SimulatedAdapter(Adapter):
    """What the worker finds on a real device."""

    version = "1"

    def load(self) -> None:
        """Refuses."""
        raise Refusal("this engine runs on the simulated device only: --device simulated")

    def offers(self) -> list[Offer]:
        """What it pretends to be."""
        return [Offer(processor="cpu", name="simulated", precisions=("as-stored",))]


class Process(Protocol):
    """What the program needs of the process that the device gives it."""

    @property
    def cpu_s(self) -> float:
        """Processor time so far."""

    def compute(self, seconds: float, tasks: float = 1.0) -> float:
        """Does work that takes so long on an undisturbed machine; returns what it took."""

    def infer(self, true_s: float, tasks: float = 1.0) -> float:
        """One inference; returns what it took."""

    def wait(self, duration_s: float) -> None:
        """Does nothing for a while."""


class Simulated(WheelEngine):
    """No library; see the module."""

    title = "simulated engine"
    spec = "https://doi.org/10.1145/1297027.1297033"
    formats = ()
    processors = (Processor.CPU,)
    precisions = (Precision.AS_STORED,)
    distribution = None
    default_version = "1"
    by_default = False
    adapter: ClassVar[type[Adapter]] = SimulatedAdapter
    timing_semantics = TimingSemantics(
        real_weights=True,
        input_preparation_timed=False,
        output_copy_timed=False,
        raw_samples=True,
    )

    def loads(self, model_format: str | None) -> bool:
        """Every format."""
        return model_format is not None

    def refuses(self, model: ModelRecord) -> str | None:
        """Nothing."""
        del model
        return None

    def command(self, job: Job, program: Sequence[str], model_paths: Sequence[str]) -> list[str]:
        """The version, which says how fast it is, and the order; see `Engine.command`."""
        return super().command(job, [*program, job.engine_version], model_paths)


def slowness(version: str) -> float:
    """The number that a version is.

    Raises:
        EngineError: it is no positive number.
    """
    try:
        factor = float(version)
    except ValueError:
        factor = 0.0
    if not 0 < factor < 1e6:
        raise EngineError(f"simulated=={version}: its versions are numbers, such as 1 or 1.05")
    return factor


def true_latency_s(model: str, version: str = "1", threads: int = 1, batch: int = 1) -> float:
    """Latency on an undisturbed machine, which estimates should find.

    Args:
        model: the first 16 digits of the model's digest.
        version: of the engine.
        threads: that compute.
        batch: samples in an inference.

    Raises:
        EngineError: the version is no positive number.
    """
    place = int.from_bytes(hashlib.sha256(model.encode()).digest()[:4], "big") / 2**32
    base_s: float = FASTEST_S * (SLOWEST_S / FASTEST_S) ** place
    return float(base_s * batch * slowness(version) / threads**THREADS_EXPONENT)


def main(arguments: Sequence[str], process: Process) -> str:
    """The program on the simulated device.

    Args:
        arguments: version and order, as `Simulated.command` has them.
        process: what computes.

    Returns:
        The worker's lines: phases and the answer.
    """
    version, order = arguments[0], _worker.read_order(arguments[-1])
    model = order.model_paths[0].split("/")[-2]
    try:
        true_s = true_latency_s(model, version, order.threads, order.batch)
    except EngineError as error:
        return _answer("refused", ("load",), {"phase": "load", "reason": str(error)})
    launch = _Launch(process, true_s, order)
    load_s, prepare_s = launch.compute(1.0), launch.compute(4.0)
    (_, first_s) = launch.infer()
    notes: list[str] = []
    warmup = launch.warm_up(notes)
    begin_cpu_s = process.cpu_s
    due: list[float] = []
    steady = launch.steady(notes, due)
    value = {
        "load_s": load_s,
        "prepare_s": prepare_s,
        "first_s": first_s,
        "warmup_s": [latency for _, latency in warmup],
        "warmup_start_s": [start for start, _ in warmup],
        "steady_s": [latency for _, latency in steady],
        "steady_start_s": [start for start, _ in steady],
        "steady_due_s": due,
        "phases": "load, prepare",
        "peak_memory_bytes": 1 << 26,
        "load_memory_bytes": 1 << 25,
        "process_cpu_s": process.cpu_s - begin_cpu_s,
        "timer_resolution_s": 1e-7,
        "outputs": [
            {
                "name": "output",
                "dtype": "float32",
                "shape": [order.batch, 1],
                "sha256": hashlib.sha256(model.encode()).hexdigest(),
                "minimum": 1.0,
                "maximum": 1.0,
                "mean": 1.0,
                "standard_deviation": 0.0,
                "not_finite": 0,
            }
        ],
        "input_sha256": hashlib.sha256(str(order.seed).encode()).hexdigest(),
        "engine_version": version,
        "observed_processor": "cpu",
        "observed_precision": None,
        "observed_threads": order.threads,
        "notes": sorted(set(notes)),
    }
    phases = ("load", "prepare", "feed", "first", "warmup", "steady", "finish")
    return _answer("result", phases, value)


def _answer(word: str, phases: Sequence[str], value: dict[str, object]) -> str:
    """The worker's lines."""
    text = json.dumps(value, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).hexdigest()
    entered = "".join(f"gaugenn-phase {phase}\n" for phase in phases)
    return f"{entered}\ngaugenn-{word} {digest} {text}\n"


class _Launch:
    """The phases of one launch, on a clock that starts at 0."""

    def __init__(self, process: Process, true_s: float, order: _worker.Order) -> None:
        self.clock_s = 0.0
        self._process = process
        self._true_s = true_s
        self._order = order

    def compute(self, inferences: float) -> float:
        """Work that takes as long as so many inferences should."""
        took_s = self._process.compute(inferences * self._true_s)
        self.clock_s += took_s
        return took_s

    def infer(self) -> tuple[float, float]:
        """One inference: its start and its latency."""
        start_s = self.clock_s
        latency_s = self._process.infer(self._true_s, float(self._order.threads))
        self.clock_s += latency_s
        return start_s, latency_s

    def warm_up(self, notes: list[str]) -> list[tuple[float, float]]:
        """The warm-up, by the worker's own rule."""
        order, begin_s = self._order, self.clock_s
        rule = _worker.WarmUp(
            order.warmup_minimum_count, order.warmup_minimum_s, order.warmup_maximum_s
        )
        kept: list[tuple[float, float]] = []
        while True:
            enough = len(kept) >= order.warmup_minimum_count
            enough = enough and self.clock_s - begin_s >= order.warmup_minimum_s
            if enough and order.warmup_maximum_s <= 0:
                return kept
            if self.clock_s >= order.launch_maximum_s:
                notes.append("time-limit")
                return kept
            kept.append(self.infer())
            reason = rule.add(kept[-1][1])
            if reason is not None and order.warmup_maximum_s > 0:
                notes += [reason] if reason != "flat" else []
                return kept

    def steady(self, notes: list[str], due: list[float]) -> list[tuple[float, float]]:
        """The steady phase, back to back or at the order's rate."""
        order, begin_s = self._order, self.clock_s
        end_s = min(begin_s + order.steady_maximum_s, order.launch_maximum_s)
        kept: list[tuple[float, float]] = []
        while True:
            enough = len(kept) >= order.steady_minimum_count
            if enough and self.clock_s - begin_s >= order.steady_minimum_s:
                return kept
            if self.clock_s >= end_s or len(kept) >= order.maximum_samples:
                notes.append("time-limit" if self.clock_s >= end_s else "sample-limit")
                return kept
            if order.rate_per_s is not None:
                due.append(begin_s + len(kept) / order.rate_per_s)
                self._wait(due[-1] - self.clock_s)
            kept.append(self.infer())

    def _wait(self, duration_s: float) -> None:
        if duration_s > 0:
            self._process.wait(duration_s)
            self.clock_s += duration_s
