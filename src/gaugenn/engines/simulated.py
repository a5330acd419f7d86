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
from gaugenn.engines._worker import Adapter, Refusal
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


class Process(Protocol):
    """What the program needs of the process that the device gives it."""

    @property
    def cpu_s(self) -> float:
        """Processor time so far."""

    def compute(self, seconds: float, tasks: float = 1.0) -> float:
        """Does work that takes so long on an undisturbed machine; returns what it took."""

    def infer(self, true_s: float, tasks: float = 1.0) -> float:
        """One inference; returns what it took."""


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
        """The version, which says how fast it is, and the order; see `Engine.command`.

        Raises:
            EngineError: the version is no positive number.
        """
        slowness(job.engine_version)
        start = [*program, job.engine_version]
        return super().command(job, start, model_paths)


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
    threads = float(order.threads)
    true_s = true_latency_s(model, version, order.threads, order.batch)
    load_s, prepare_s = process.compute(true_s), process.compute(4 * true_s)
    first_s = process.infer(true_s, threads)
    clock_s = load_s + prepare_s + first_s
    warmup, notes, clock_s = _warm_up(order, process, true_s, clock_s)
    begin_cpu_s, begin_s, end_s = process.cpu_s, clock_s, clock_s + order.steady_maximum_s
    steady: list[float] = []
    while len(steady) < order.steady_minimum_count or clock_s - begin_s < order.steady_minimum_s:
        if clock_s >= min(end_s, order.launch_maximum_s):
            notes.append("time-limit")
            break
        if len(steady) >= order.maximum_samples:
            notes.append("sample-limit")
            break
        steady.append(process.infer(true_s, threads))
        clock_s += steady[-1]
    value = {
        "load_s": load_s,
        "prepare_s": prepare_s,
        "first_s": first_s,
        "warmup_s": warmup,
        "steady_s": steady,
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
    text = json.dumps(value, separators=(",", ":"))
    phases = "".join(
        f"gaugenn-phase {phase}\n"
        for phase in ("load", "prepare", "feed", "first", "warmup", "steady", "finish")
    )
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f"{phases}\ngaugenn-result {digest} {text}\n"


def _warm_up(
    order: _worker.Order, process: Process, true_s: float, clock_s: float
) -> tuple[list[float], list[str], float]:
    """The warm-up by the worker's own rule.

    Returns:
        Latencies, notes, and the launch's clock after it.
    """
    rule = _worker.WarmUp(
        order.warmup_minimum_count, order.warmup_minimum_s, order.warmup_maximum_s
    )
    begin_s, latencies = clock_s, []
    while True:
        enough = len(latencies) >= order.warmup_minimum_count
        enough = enough and clock_s - begin_s >= order.warmup_minimum_s
        if enough and order.warmup_maximum_s <= 0:
            return latencies, [], clock_s
        if clock_s >= order.launch_maximum_s:
            return latencies, ["time-limit"], clock_s
        latencies.append(process.infer(true_s, float(order.threads)))
        clock_s += latencies[-1]
        reason = rule.add(latencies[-1])
        if reason is not None and order.warmup_maximum_s > 0:
            return latencies, [] if reason == "flat" else [reason], clock_s
