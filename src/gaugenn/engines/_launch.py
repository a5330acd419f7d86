"""The course of a launch on the measured side: its phases, in which order and until when.

The second half of the worker's program; the first, `_worker`, stands before it in the same text.

**How long.** The warm-up lasts until latencies are flat or its time is over, the steady phase until it
has enough samples and enough time. An inference that is too short for the clock is timed in batches.
Under a fixed rate, inferences are due whether or not the one before is over, and each keeps the time at
which it was due, so waiting counts.

**Two at once.** A program that is told a file in `GAUGENN_READY` makes it when its steady phase begins
and goes on until the file in `GAUGENN_STOP` is there; one that is told a file in `GAUGENN_WAIT` loads
its model only when that is there. A text in it says why the other one will never be ready.
"""

import ctypes
import gc
import importlib.metadata
import os
import sys
import time
import traceback
from array import array as packed
from collections.abc import Callable
from dataclasses import dataclass, field

from gaugenn.engines._worker import (
    MAXIMUM_REASON_CHARACTERS,
    Adapter,
    Channel,
    Order,
    Refusal,
    WarmUp,
    definite_shapes,
    describe_output,
    die_with_parent,
    digest_arrays,
    explain,
    make_input,
    memory_bytes,
    pin,
    read_order,
    read_through,
)

CLOCK_STEPS_WANTED = 100
"""A sample shorter than this many steps of the clock holds several inferences."""
MAXIMUM_BATCH = 100_000
"""Inferences in a sample at most."""
POLL_S = 0.01
"""How often a file is looked for that another process makes."""


@dataclass(slots=True, kw_only=True)
class Samples:
    """What a phase measured, in nanoseconds of the clock.

    Attributes:
        latency_ns: of each sample.
        start_ns: when it began.
        due_ns: when it was due, under a fixed rate.
        inferences: in each sample.
        ended: why the phase ended before it had what was asked for, or "".
    """

    latency_ns: "packed[int]" = field(default_factory=lambda: packed("q"))
    start_ns: "packed[int]" = field(default_factory=lambda: packed("q"))
    due_ns: "packed[int]" = field(default_factory=lambda: packed("q"))
    inferences: int = 1
    ended: str = ""


class Limits:
    """When a phase has to end whatever it has: the launch's deadline, its own time, its samples.

    Args:
        order: what was asked for.
        deadline_ns: of the launch.
        maximum_s: of the phase, from now.
    """

    def __init__(self, order: Order, deadline_ns: int, maximum_s: float) -> None:
        own_ns = time.perf_counter_ns() + int(maximum_s * 1e9)
        self.end_ns = min(deadline_ns, own_ns)
        self.samples = order.maximum_samples

    def reached(self, now_ns: int, samples: int) -> str:
        """Which limit is reached, or ""."""
        if now_ns >= self.end_ns:
            return "time-limit"
        return "sample-limit" if samples >= self.samples else ""


def warm_up(adapter: Adapter, order: Order, deadline_ns: int) -> Samples:
    """Infers until latencies are flat, or for the minima only where the order does not wait for that.

    Of very many inferences the first `maximum_samples` are kept.
    """
    clock = time.perf_counter_ns
    rule = WarmUp(order.warmup_minimum_count, order.warmup_minimum_s, order.warmup_maximum_s)
    kept = Samples()
    begin = now = clock()
    count = 0
    while True:
        enough = count >= order.warmup_minimum_count and now - begin >= order.warmup_minimum_s * 1e9
        if enough and order.warmup_maximum_s <= 0:
            break
        if enough and now - begin >= order.warmup_maximum_s * 1e9:
            kept.ended = "not_flat" if rule.judged else "warmup-unjudged"
            break
        if now >= deadline_ns:
            kept.ended = "time-limit"
            break
        adapter.stage()
        start = clock()
        adapter.invoke()
        now = clock()
        count += 1
        if count <= order.maximum_samples:
            kept.latency_ns.append(now - start)
            kept.start_ns.append(start)
        reason = rule.add((now - start) / 1e9)
        if order.warmup_maximum_s > 0 and reason is not None:
            kept.ended = "" if reason == "flat" else reason
            break
    return kept


def batch_size(adapter: Adapter, latencies_ns: "packed[int]", resolution_s: float) -> int:
    """How many inferences a sample needs so that the clock's step does not matter.

    An adapter that has to stage each inference cannot be batched: staging would be timed.
    """
    if type(adapter).stage is not Adapter.stage or not latencies_ns:
        return 1
    last = sorted(latencies_ns[-CLOCK_STEPS_WANTED:])
    typical = max(1, last[len(last) // 2])
    wanted = -(-CLOCK_STEPS_WANTED * int(resolution_s * 1e9) // typical)
    return max(1, min(MAXIMUM_BATCH, wanted))


def back_to_back(adapter: Adapter, order: Order, limits: Limits, inferences: int = 1) -> Samples:
    """Infers until count and time are both reached, or a limit is."""
    clock = time.perf_counter_ns
    stage, invoke = adapter.stage, adapter.invoke
    kept = Samples(inferences=inferences)
    add_latency, add_start = kept.latency_ns.append, kept.start_ns.append
    others = range(inferences - 1)
    count = 0
    begin = now = clock()
    while count < order.steady_minimum_count or now - begin < order.steady_minimum_s * 1e9:
        kept.ended = limits.reached(now, count)
        if kept.ended:
            break
        stage()
        start = clock()
        invoke()
        for _ in others:
            invoke()
        now = clock()
        add_latency(now - start)
        add_start(start)
        count += 1
    return kept


def at_rate(adapter: Adapter, order: Order, limits: Limits, rate_per_s: float) -> Samples:
    """Infers on a schedule that does not wait: sample k is due k periods after the first.

    One that is due while another runs begins as soon as that ends; what it waited shows in its start
    against its due time. Waiting for the next is sleep, so the system's delay in waking counts too.
    """
    clock = time.perf_counter_ns
    kept = Samples()
    planned = max(
        order.steady_minimum_count, -(-int(order.steady_minimum_s * rate_per_s * 1e6) // 10**6)
    )
    begin = clock()
    for number in range(planned):
        due = begin + int(number * 1e9 / rate_per_s)
        kept.ended = limits.reached(max(due, clock()), number)
        if kept.ended:
            break
        while (left := due - clock()) > 0:
            time.sleep(left / 1e9)
        adapter.stage()
        start = clock()
        adapter.invoke()
        kept.latency_ns.append(clock() - start)
        kept.start_ns.append(start)
        kept.due_ns.append(due)
    return kept


def until_stopped(adapter: Adapter, order: Order, deadline_ns: int, stop: str) -> Samples:
    """Infers until a file is there; keeps the first `maximum_samples`."""
    clock = time.perf_counter_ns
    kept = Samples()
    looked = now = clock()
    while True:
        if now >= deadline_ns:
            kept.ended = "time-limit"
            break
        if now - looked >= POLL_S * 1e9:
            looked = now
            if os.path.exists(stop):  # noqa: PTH110
                break
        adapter.stage()
        start = clock()
        adapter.invoke()
        now = clock()
        if len(kept.latency_ns) < order.maximum_samples:
            kept.latency_ns.append(now - start)
            kept.start_ns.append(start)
        else:
            kept.ended = "sample-limit"
    return kept


def wait_for(path: str, limit_s: float) -> None:
    """Waits until another process has made a file.

    Raises:
        Refusal: it holds a reason why the other one will not run, or it is not there in time.
    """
    end = time.monotonic() + limit_s
    while not os.path.exists(path):  # noqa: PTH110
        if time.monotonic() >= end:
            raise Refusal(f"what should run beside it was not ready within {limit_s:.0f} s")
        time.sleep(POLL_S)
    with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123
        reason = file.read(MAXIMUM_REASON_CHARACTERS)
    if reason:
        raise Refusal(f"what should run beside it does not: {reason}")


def timer_resolution_s() -> float:
    """The smallest step that the clock was seen to make."""
    clock = time.perf_counter_ns
    steps = []
    for _ in range(1000):
        first = second = clock()
        while second == first:
            second = clock()
        steps.append(second - first)
    return min(steps) / 1e9


def timer_cost_s() -> float:
    """Median distance of two readings of the clock in a row."""
    clock = time.perf_counter_ns
    steps = sorted(-(clock() - clock()) for _ in range(1000))
    return steps[500] / 1e9


class Stopwatch:
    """The launch's clock, which starts at 0 here, and the stamps of its phases."""

    def __init__(self) -> None:
        self.zero_ns = time.perf_counter_ns()
        self.monotonic_s = time.monotonic()
        has_boottime = hasattr(time, "CLOCK_BOOTTIME")
        self.boottime_s = time.clock_gettime(time.CLOCK_BOOTTIME) if has_boottime else None
        self.stamps: list[dict[str, object]] = []

    def run(self, phase: str, call: Callable[[], object]) -> int:
        """Calls and stamps.

        Returns:
            Nanoseconds that it took.
        """
        cpu_ns = time.process_time_ns()
        begin = time.perf_counter_ns()
        call()
        end = time.perf_counter_ns()
        cpu_ns = time.process_time_ns() - cpu_ns
        times = {"begin_s": self.since_s(begin), "end_s": self.since_s(end), "cpu_s": cpu_ns / 1e9}
        self.stamps.append({"name": phase, **times})
        return end - begin

    def since_s(self, moment_ns: int) -> float:
        """A reading of the clock on the launch's own."""
        return (moment_ns - self.zero_ns) / 1e9

    def all_since_s(self, moments_ns: "packed[int]") -> list[float]:
        """Readings of the clock on the launch's own."""
        return [(moment - self.zero_ns) / 1e9 for moment in moments_ns]


def start(adapter: Adapter) -> None:
    """What comes before the model is touched: the CPUs, the library, the page cache."""
    pin(adapter.order.affinity)
    adapter.start()
    if adapter.order.page_cache == "warm":
        read_through(adapter.order.model_paths)


def steady(adapter: Adapter, deadline_ns: int, inferences: int) -> Samples:
    """The steady phase in the manner that the order and the surroundings ask for."""
    order = adapter.order
    limits = Limits(order, deadline_ns, order.steady_maximum_s)
    ready, stop = os.environ.get("GAUGENN_READY"), os.environ.get("GAUGENN_STOP")
    if ready and stop:
        with open(ready, "wb"):  # noqa: PTH123
            pass
        return until_stopped(adapter, order, deadline_ns, stop)
    if order.rate_per_s is not None:
        return at_rate(adapter, order, limits, order.rate_per_s)
    return back_to_back(adapter, order, limits, inferences)


def measure(adapter: Adapter, channel: Channel) -> dict[str, object]:
    """Runs the whole job. The result has the fields of `records.Timings`."""
    order, clock, watch = adapter.order, time.perf_counter_ns, Stopwatch()
    resolution_s, cost_s = timer_resolution_s(), timer_cost_s()
    watch.run("start", lambda: start(adapter))
    load_memory = memory_bytes("VmRSS")
    if os.environ.get("GAUGENN_WAIT"):
        channel.enter("wait")
        wait_for(os.environ["GAUGENN_WAIT"], order.launch_maximum_s)

    channel.enter("load")
    deadline = clock() + int(order.launch_maximum_s * 1e9)
    load_ns = watch.run("load", adapter.load)
    specs = adapter.inputs()
    shapes = definite_shapes(specs, order)
    given = {name for name, _ in order.input_shapes}
    if any(size < 0 for spec in specs if spec.name not in given for size in spec.shape):
        adapter.notes.append("dynamic-sizes-as-1")
    channel.enter("prepare")
    prepare_ns = watch.run("prepare", lambda: adapter.prepare(shapes))

    channel.enter("feed")
    arrays = [
        make_input(spec.name, spec.dtype, shape, (order.seed, index))
        for index, (spec, shape) in enumerate(zip(specs, shapes, strict=True))
    ]
    watch.run("feed", lambda: adapter.feed(arrays))
    gc.collect()
    gc.disable()
    channel.enter("first")
    adapter.stage()
    first_ns = watch.run("first", adapter.invoke)
    outputs = adapter.outputs()
    described = [describe_output(name, array) for name, array in outputs]
    first_digest = digest_arrays(outputs)
    del outputs

    channel.enter("warmup")
    phases: list[Samples] = []
    watch.run("warmup", lambda: phases.append(warm_up(adapter, order, deadline)))
    inferences = batch_size(adapter, phases[0].latency_ns, resolution_s)
    channel.enter("steady")
    watch.run("steady", lambda: phases.append(steady(adapter, deadline, inferences)))
    peak_memory = memory_bytes("VmHWM")

    channel.enter("finish")
    warm, kept = phases
    notes = [*adapter.notes, *(samples.ended for samples in phases if samples.ended)]
    if kept.inferences > 1:
        notes.append("batched")
    if kept.latency_ns and digest_arrays(adapter.outputs()) != first_digest:
        notes.append("outputs-change")
    if described and all(o["minimum"] == o["maximum"] == 0 for o in described):
        notes.append("outputs-all-zero")
    if not described:
        notes.append("no-output")
    split = adapter.phases != "load+prepare"
    named = [(spec.name, array) for spec, array in zip(specs, arrays, strict=True)]
    version = adapter.version
    if adapter.distribution is not None:
        version = importlib.metadata.version(adapter.distribution)
    return {
        "load_s": (load_ns if split else load_ns + prepare_ns) / 1e9,
        "prepare_s": prepare_ns / 1e9 if split else None,
        "first_s": first_ns / 1e9,
        "warmup_s": [ns / 1e9 for ns in warm.latency_ns],
        "warmup_start_s": watch.all_since_s(warm.start_ns),
        "steady_s": [ns / kept.inferences / 1e9 for ns in kept.latency_ns],
        "steady_start_s": watch.all_since_s(kept.start_ns),
        "steady_due_s": watch.all_since_s(kept.due_ns),
        "inferences_per_sample": kept.inferences,
        "phases": adapter.phases,
        "stamps": watch.stamps,
        "clock_monotonic_s": watch.monotonic_s,
        "clock_boottime_s": watch.boottime_s,
        "peak_memory_bytes": peak_memory,
        "load_memory_bytes": load_memory,
        "process_cpu_s": watch.stamps[-1]["cpu_s"],
        "timer_resolution_s": resolution_s,
        "timer_cost_s": cost_s,
        "outputs": described,
        "input_sha256": digest_arrays(named),
        "inputs": [
            {"name": name, "shape": list(array.shape), "dtype": array.dtype.name}
            for name, array in named
        ],
        "engine_version": version,
        "observed_processor": adapter.observed_processor(),
        "observed_precision": adapter.observed_precision(),
        "observed_threads": adapter.observed_threads(),
        "notes": sorted({*notes, *adapter.notes}),
    }


Work = Callable[[Adapter, Channel], dict[str, object]]
"""Does what an order asks for and returns the answer."""


def main(adapter_class: type[Adapter], work: Work = measure) -> None:
    """Runs the order in the last argument and leaves without running any library's exit code."""
    die_with_parent()
    channel = Channel()
    order = read_order(sys.argv[-1])
    try:
        channel.finish("result", work(adapter_class(order), channel))
    except Exception as error:  # noqa: BLE001 - this program's door: any library error is an answer
        if not isinstance(error, Refusal | MemoryError):
            traceback.print_exc()
        answer: dict[str, object] = {"phase": channel.phase, "reason": explain(error, order)}
        channel.finish("refused", answer)
    sys.stderr.flush()
    sys.stdout.flush()
    ctypes.CDLL(None).fflush(None)
    os._exit(0)
