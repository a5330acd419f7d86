"""TensorFlow Lite's `BenchmarkResult` as JSON: one message a launch, as its tool makes one a process.

The messages stand in a JSON list, with the field names of the protocol buffer; protobuf's own JSON
parser reads each.
"""

import json
import statistics
from collections.abc import Sequence

from gaugenn.analysis.statistics import summarise_launch
from gaugenn.interchange import Export
from gaugenn.pipeline.experiments import MeasuredExperiment
from gaugenn.records import Timings


class BenchmarkResult(Export):
    """Messages of the package `tflite.tools.benchmark`."""

    title = "BenchmarkResult"
    spec = (
        "https://github.com/tensorflow/tensorflow/blob/master/tensorflow/lite/tools/benchmark/"
        "proto/benchmark_result.proto"
    )

    def render(self, experiments: Sequence[MeasuredExperiment]) -> str:
        """A list of messages."""
        messages = [
            _message(experiment, run.launch, timings)
            for experiment in experiments
            for run, timings in experiment.launches
        ]
        return json.dumps(messages, indent=1)


def _message(experiment: MeasuredExperiment, launch: int, timings: Timings) -> dict[str, object]:
    found = summarise_launch(timings.steady_s)
    latency: dict[str, float] = {
        "avg_ms": 1e3 * found.mean,
        "min_ms": 1e3 * found.minimum,
        "max_ms": 1e3 * found.maximum,
        "stddev_ms": 1e3 * statistics.pstdev(timings.steady_s),
        "median_ms": 1e3 * found.median,
        "p5_ms": 1e3 * found.p5,
        "p95_ms": 1e3 * found.p95,
    }
    phases = [s for s in (timings.load_s, timings.prepare_s) if s is not None]
    if phases:
        latency["init_ms"] = 1e3 * sum(phases)
    if timings.first_s is not None:
        latency["first_inference_ms"] = 1e3 * timings.first_s
    if timings.warmup_s:
        latency["average_warm_up_ms"] = 1e3 * statistics.fmean(timings.warmup_s)
    memory: dict[str, float] = {}
    if timings.peak_memory_bytes is not None:
        memory["peak_mem_mb"] = timings.peak_memory_bytes / 2**20
        if timings.load_memory_bytes is not None:
            grown = timings.peak_memory_bytes - timings.load_memory_bytes
            memory["overall_footprint_kb"] = grown // 1024
    misc: dict[str, float] = {
        "num_runs": len(timings.steady_s),
        "num_warmup_runs": len(timings.warmup_s),
    }
    if experiment.size_bytes is not None:
        misc["model_size_mb"] = experiment.size_bytes / 1e6
        misc["model_throughput_in_mb_per_sec"] = experiment.size_bytes / 1e6 / found.mean
    return {
        "name": f"{experiment.model} {experiment.label} launch {launch}",
        "latency_metrics": latency,
        "memory_metrics": memory,
        "misc_metrics": misc,
    }
