"""Lines in the form of MLPerf's log of an inference run: the keys of a single stream, one run a launch.

The form only: what was measured here follows no rule of MLPerf and is no result of it.
"""

import json
from collections.abc import Sequence
from datetime import datetime

import numpy as np

from gaugenn.analysis.statistics import summarise_launch
from gaugenn.interchange import Export
from gaugenn.pipeline.experiments import MeasuredExperiment
from gaugenn.records import Run, Timings

PERCENTILES = (50.0, 90.0, 95.0, 97.0, 99.0, 99.9)


class MlperfLog(Export):
    """`:::MLLOG` lines."""

    title = "MLPerf log"
    spec = "https://github.com/mlcommons/inference/blob/master/loadgen/README.md"

    def render(self, experiments: Sequence[MeasuredExperiment]) -> str:
        """All lines; `metadata` names experiment and launch."""
        return "".join(
            _line(experiment, run, key, value)
            for experiment in experiments
            for run, timings in experiment.launches
            for key, value in _values(experiment, timings).items()
        )


def _values(experiment: MeasuredExperiment, timings: Timings) -> dict[str, object]:
    found = summarise_launch(timings.steady_s)
    nanoseconds = 1e9 * np.asarray(timings.steady_s)
    values: dict[str, object] = {
        "effective_scenario": "SingleStream",
        "effective_test_mode": "PerformanceOnly",
        "result_validity": "VALID" if experiment.verdict.validity == "valid" else "INVALID",
        "result_query_count": found.n,
        "result_min_latency_ns": round(1e9 * found.minimum),
        "result_max_latency_ns": round(1e9 * found.maximum),
        "result_mean_latency_ns": round(1e9 * found.mean),
    }
    for percentile in PERCENTILES:
        value = round(float(np.percentile(nanoseconds, percentile)))
        values[f"result_{percentile:.2f}_percentile_latency_ns"] = value
    values["gaugenn_verdict"] = str(experiment.verdict.validity)
    values["gaugenn_verdict_reasons"] = list(experiment.verdict.reasons)
    return values


def _line(experiment: MeasuredExperiment, run: Run, key: str, value: object) -> str:
    record = {
        "key": key,
        "value": value,
        "time_ms": round(1e3 * datetime.fromisoformat(run.started_at).timestamp(), 3),
        "namespace": "mlperf::logging",
        "event_type": "POINT_IN_TIME",
        "metadata": {
            "is_error": False,
            "is_warning": False,
            "experiment": f"{experiment.model} {experiment.label}",
            "job_sha256": run.job_sha256,
            "launch": run.launch,
        },
    }
    return f":::MLLOG {json.dumps(record)}\n"
