"""TensorFlow Lite's `BenchmarkResult`: the message itself, or JSON of one or several."""

from collections.abc import Callable

from gaugenn.engines._native import LoggedRun, timings
from gaugenn.errors import FormatError
from gaugenn.formats._protobuf import Message, Schema, read_message
from gaugenn.imports import ImportForm, LogFile, _values

RESULT = Schema("BenchmarkResult", name=1, latency=2, memory=3, misc=4)
LATENCY = Schema(
    "LatencyMetrics",
    avg_ms=1,
    min_ms=2,
    max_ms=3,
    stddev_ms=4,
    median_ms=5,
    p5_ms=6,
    p95_ms=7,
    init_ms=8,
    first_inference_ms=9,
)
MEMORY = Schema("MemoryMetrics", peak_mem_mb=3)
MISC = Schema("MiscMetrics", num_runs=2)
"""Source of the four: see `BenchmarkResultForm.spec`."""
_MILLI = 1e-3
_LARGEST_MESSAGE = 4096
"""A message has a name and 17 numbers."""


class BenchmarkResultForm(ImportForm):
    """Messages of the package `tflite.tools.benchmark`."""

    title = "BenchmarkResult"
    spec = (
        "https://github.com/tensorflow/tensorflow/blob/master/tensorflow/lite/tools/benchmark/"
        "proto/benchmark_result.proto"
    )

    def recognises(self, file: LogFile) -> bool:
        """By a name in JSON; a message by what it holds."""
        if _values.starts_json(file.text):
            return '"latency_metrics"' in file.head or '"latencyMetrics"' in file.head
        try:
            return bool(_binary(file))
        except FormatError:
            return False

    def read(self, file: LogFile) -> tuple[LoggedRun, ...]:
        """One run a message."""
        if not _values.starts_json(file.text):
            return _binary(file)
        whole = _values.load_json(file.text)
        messages = _values.items(whole) or (whole,)
        return tuple(_from_json(message) for message in messages)


def _from_json(message: object) -> LoggedRun:
    """Field names may be as in the schema or, as protobuf's own JSON has them, in camel case."""

    def group(name: str) -> Callable[[str], float | None]:
        inside = _values.child(message, name) or _values.child(message, _camel(name))

        def value(key: str) -> float | None:
            return _values.number(inside.get(key, inside.get(_camel(key))))

        return value

    name = _values.text(_values.child(message).get("name"))
    return _run(name, group("latency_metrics"), group("memory_metrics"), group("misc_metrics"))


def _binary(file: LogFile) -> tuple[LoggedRun, ...]:
    if not 0 < len(file.data) <= _LARGEST_MESSAGE:
        raise FormatError("no BenchmarkResult has this size")
    result = read_message(memoryview(file.data), RESULT)
    if not result.numbers() <= frozenset({1, 2, 3, 4}):
        raise FormatError("a BenchmarkResult has no other fields")
    latency, memory, misc = (
        result.message(name, schema)
        for name, schema in (("latency", LATENCY), ("memory", MEMORY), ("misc", MISC))
    )

    def floats(message: Message | None) -> Callable[[str], float | None]:
        def value(name: str) -> float | None:
            if message is None or not message.has(name):
                return None
            return _values.number(message.float32(name))

        return value

    def runs(name: str) -> float | None:
        return None if misc is None or not misc.has(name) else float(misc.integer(name))

    return (_run(result.text("name"), floats(latency), floats(memory), runs),)


def _run(
    name: str,
    latency: Callable[[str], float | None],
    memory: Callable[[str], float | None],
    misc: Callable[[str], float | None],
) -> LoggedRun:
    def seconds(key: str) -> float | None:
        return _values.number(latency(key), _MILLI)

    aggregate = _values.aggregate(
        mean_s=seconds("avg_ms"),
        count=_values.count(misc("num_runs")),
        minimum_s=seconds("min_ms"),
        maximum_s=seconds("max_ms"),
        standard_deviation_s=seconds("stddev_ms"),
        quantiles={0.05: seconds("p5_ms"), 0.5: seconds("median_ms"), 0.95: seconds("p95_ms")},
    )
    if aggregate is None:
        raise FormatError("a BenchmarkResult without latencies")
    peak = _values.number(memory("peak_mem_mb"), 2**20)
    return LoggedRun(
        engine="benchmark_model",
        tool="BenchmarkResult",
        model=name[: _values.TEXT_CHARACTERS],
        timings=timings(
            phases="load+prepare",
            load_s=seconds("init_ms"),
            first_s=seconds("first_inference_ms"),
            aggregate=aggregate,
            peak_memory_bytes=None if peak is None or peak <= 0 else round(peak),
        ),
    )


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in others)
