"""The JSON of LiteRT's benchmark for Python, `ai_edge_litert.tools.benchmark_litert_model`."""

from gaugenn.engines._native import LoggedRun, file_stem, timings
from gaugenn.errors import FormatError
from gaugenn.imports import ImportForm, LogFile, _values
from gaugenn.records import Processor

_MILLI = 1e-3
_PROCESSORS = {"CPU": Processor.CPU, "GPU": Processor.GPU, "NPU": Processor.NPU}


class LiteRtBenchmark(ImportForm):
    """One run a file."""

    title = "LiteRT benchmark JSON"
    spec = "https://ai.google.dev/edge/litert/performance/measurement"

    def recognises(self, file: LogFile) -> bool:
        """By two of its names."""
        return _values.starts_json(file.text) and all(
            name in file.head for name in ('"accelerators"', '"warmup_first_ms"')
        )

    def read(self, file: LogFile) -> tuple[LoggedRun, ...]:
        """Its figures are rounded to hundredths of a millisecond."""
        whole = _values.child(_values.load_json(file.text))
        latency = _values.child(whole, "latency")

        def seconds(name: str) -> float | None:
            return _values.number(latency.get(name), _MILLI)

        aggregate = _values.aggregate(
            mean_s=seconds("avg_ms"),
            count=_values.count(latency.get("num_runs")),
            minimum_s=seconds("min_ms"),
            maximum_s=seconds("max_ms"),
            standard_deviation_s=seconds("std_ms"),
            quantiles={0.05: seconds("p5_ms"), 0.5: seconds("median_ms"), 0.95: seconds("p95_ms")},
        )
        if aggregate is None:
            raise FormatError("it states neither a median nor a mean")
        asked = [_values.text(name).upper() for name in _values.items(whole.get("accelerators"))]
        processor = _PROCESSORS.get(asked[0], Processor.UNKNOWN) if asked else Processor.UNKNOWN
        wholly = whole.get("fully_accelerated") is True or processor is Processor.CPU
        observed = processor if wholly else Processor.CPU
        threads = _values.count(whole.get("num_threads"))
        return (
            LoggedRun(
                engine="litert",
                tool="benchmark_litert_model",
                model=file_stem(_values.text(whole.get("model"))),
                processor=processor,
                threads=threads,
                timings=timings(
                    phases="load+prepare",
                    load_s=seconds("init_ms"),
                    first_s=seconds("warmup_first_ms"),
                    aggregate=aggregate,
                    observed_processor=None if processor is Processor.UNKNOWN else observed,
                    observed_threads=threads or None,
                ),
            ),
        )
