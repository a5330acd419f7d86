"""`onnxruntime_perf_test` of ONNX Runtime.

It makes its own inputs (`-I`) and writes every sample into a file, which the script prints. It warms up
once, whatever is asked for. Without a number of runs it would go on for ten minutes.
"""

import re
from collections.abc import Sequence

from gaugenn.engines._native import LoggedRun, NativeEngine, line_with, real, timings
from gaugenn.errors import EngineError, FormatError
from gaugenn.records import (
    Aggregate,
    Job,
    Precision,
    Processor,
    Quantile,
    Statistic,
    TimingSemantics,
)

_FIELD = re.compile(
    r"(?m)^(Session creation time cost|First inference time cost"
    r"|Average inference time cost(?: total)?|Peak working set size|Total inference requests"
    r"|Total iterations|Average time cost|Min Latency|Max Latency|P\d+ Latency)(?:: ?| is )"
    r"([\d.eE+-]+)\s*(sec|ms|s|bytes)?"
)
_SAMPLE = re.compile(r"(?m)^([^,\n]*),([\d.eE+-]+),(\d+),(\d+),?(?:(\d+),?)?[ \t]*+$")
"""Of the result file: model, seconds, peak memory, processor use, in newer builds a number."""
_UNITS = {"s": 1.0, "sec": 1.0, "ms": 1e-3, "bytes": 1.0, "": 1.0}
_SHARES = {"P50": 0.5, "P90": 0.9, "P95": 0.95, "P99": 0.99, "P999": 0.999}
_REFUSALS = (
    *("Run failed:", "failed to initialize", "Load model from", "there is no test data"),
    *("is not a valid model", "Failed to load model", "Error creating"),
)


class OnnxRuntimePerfTest(NativeEngine):
    """On the CPU."""

    title = "onnxruntime_perf_test"
    spec = "https://github.com/microsoft/onnxruntime/blob/main/onnxruntime/test/perftest/README.md"
    formats = ("onnx", "ort")
    processors = (Processor.CPU,)
    precisions = (Precision.AS_STORED,)
    programs = ("onnxruntime_perf_test",)
    body = (
        "model=$1\nshift\n"
        "samples=${model%/*}/.gaugenn-samples.csv\n"
        'rm -f "$samples"\n'
        'pinned "$0" "$@" "$model" "$samples"\n'
        "code=$?\n"
        'if [ -f "$samples" ]; then cat "$samples"; fi\n'
        "(exit $code)\n"
    )
    phases = "load+prepare"
    timing_semantics = TimingSemantics(
        real_weights=True,
        input_preparation_timed=False,
        output_copy_timed=False,
        raw_samples=True,
    )

    def cannot(self, job: Job) -> str | None:
        """It names open sizes, not inputs; those that are open become 1."""
        if job.input_shapes:
            return "onnxruntime_perf_test takes no sizes of inputs by the inputs' names"
        return super().cannot(job)

    def arguments(self, job: Job, model_paths: Sequence[str]) -> list[str]:
        """The model for the script; runs, threads inside and between operators, provider."""
        runs = str(job.steady_minimum_count)
        threads = ("-x", str(job.threads), "-y", "1")
        return [model_paths[0], "-I", "-m", "times", "-r", runs, *threads, "-e", "cpu"]

    def recognises(self, text: str) -> bool:
        """Its first and its last figures."""
        names = {name for name, _, _ in _FIELD.findall(text)}
        return "Session creation time cost" in names or "Average time cost" in names

    def read_log(self, text: str) -> tuple[LoggedRun, ...]:
        """One run; see `NativeEngine.read_log`."""
        refusal = line_with(text, *_REFUSALS)
        if refusal is not None:
            raise EngineError(refusal)
        fields = {name: real(value) * _UNITS[unit] for name, value, unit in _FIELD.findall(text)}
        rows = _SAMPLE.findall(text)
        samples = [real(seconds) for _, seconds, _, _, _ in rows]
        mean = fields.get(
            "Average inference time cost total",
            fields.get("Average inference time cost", fields.get("Average time cost")),
        )
        if mean is None and not samples:
            raise FormatError("onnxruntime_perf_test printed no average")
        memory = fields.get("Peak working set size")
        return (
            LoggedRun(
                engine=self.name,
                tool=self.binary,
                model=rows[0][0][:200] if rows else "",
                timings=timings(
                    phases=self.phases,
                    load_s=fields.get("Session creation time cost"),
                    first_s=fields.get("First inference time cost"),
                    samples_s=samples,
                    aggregate=None if samples else _aggregate(fields, mean or 0.0),
                    peak_memory_bytes=None if memory is None else round(memory),
                ),
            ),
        )


def _aggregate(fields: dict[str, float], mean_s: float) -> Aggregate:
    quantiles = tuple(
        Quantile(share=share, value_s=fields[f"{name} Latency"])
        for name, share in _SHARES.items()
        if f"{name} Latency" in fields
    )
    median = next((q.value_s for q in quantiles if q.share == 0.5), None)
    count = fields.get("Total inference requests", fields.get("Total iterations"))
    return Aggregate(
        statistic=Statistic.MEAN if median is None else Statistic.MEDIAN,
        value_s=mean_s if median is None else median,
        count=None if count is None else int(count),
        mean_s=mean_s,
        minimum_s=fields.get("Min Latency"),
        maximum_s=fields.get("Max Latency"),
        quantiles=quantiles,
    )
