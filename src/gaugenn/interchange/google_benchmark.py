"""google-benchmark's JSON: a benchmark an experiment, a repetition a launch.

A repetition's `real_time` is the launch's median (theirs is a mean), so that their comparison of
repetitions by a U test is one of launches. The aggregates are over launches.
"""

import json
import math
import statistics
from collections.abc import Sequence

from gaugenn import __version__
from gaugenn.analysis.statistics import estimate, summarise_launch
from gaugenn.interchange import Export
from gaugenn.pipeline.experiments import MeasuredExperiment
from gaugenn.records import Timings


class GoogleBenchmark(Export):
    """Schema version 1."""

    title = "google-benchmark"
    spec = "https://google.github.io/benchmark/user_guide.html#output-formats"

    def render(self, experiments: Sequence[MeasuredExperiment]) -> str:
        """Context of the first experiment, then repetitions and aggregates of each."""
        first = experiments[0]
        context: dict[str, object] = {
            "date": first.runs[0].started_at,
            "executable": f"gaugenn {__version__}",
            "caches": [],
            "library_build_type": "release",
            "json_schema_version": 1,
        }
        for place in first.environments[:1]:
            context |= {
                "host_name": place.device,
                "num_cpus": place.logical_cores,
                "mhz_per_cpu": round((place.maximum_frequency_hz or 0) / 1e6),
            }
        loads = [run.load_average for run in first.runs if run.load_average is not None]
        context["load_avg"] = loads[:1]
        rows: list[dict[str, object]] = []
        for index, experiment in enumerate(experiments):
            rows += _rows(experiment, index)
        return json.dumps({"context": context, "benchmarks": rows}, indent=1)


def _rows(experiment: MeasuredExperiment, index: int) -> list[dict[str, object]]:
    name = "/".join(
        (experiment.model, experiment.label.replace(" ", "/"), experiment.record.job_sha256[:12])
    )
    launches = experiment.launches
    shared = {
        "run_name": name,
        "family_index": index,
        "per_family_instance_index": 0,
        "repetitions": len(launches),
        "threads": 1,
        "time_unit": "ns",
    }
    rows: list[dict[str, object]] = []
    times: list[float] = []
    processor: list[float] = []
    for number, (_, timings) in enumerate(launches):
        median = summarise_launch(timings.steady_s).median
        times.append(1e9 * median)
        processor.append(1e9 * (_cpu_s(timings) or median))
        rows.append(
            {
                "name": name,
                "run_type": "iteration",
                **shared,
                "repetition_index": number,
                "iterations": len(timings.steady_s),
                "real_time": times[-1],
                "cpu_time": processor[-1],
            }
        )
    if len(launches) < 2:
        return rows
    rows += [
        {
            "name": f"{name}_{aggregate}",
            "run_type": "aggregate",
            **shared,
            "aggregate_name": aggregate,
            "aggregate_unit": "percentage" if aggregate == "cv" else "time",
            "iterations": len(launches),
            "real_time": _aggregate(aggregate, times),
            "cpu_time": _aggregate(aggregate, processor),
        }
        for aggregate in ("mean", "median", "stddev", "cv", "geomean")
    ]
    return rows


def _cpu_s(timings: Timings) -> float | None:
    """Processor time of one inference."""
    inferences = len(timings.steady_s) * timings.inferences_per_sample
    return None if timings.process_cpu_s is None else timings.process_cpu_s / inferences


def _aggregate(name: str, values: Sequence[float]) -> float:
    if name == "mean":
        return statistics.fmean(values)
    if name == "median":
        return statistics.median(values)
    if name == "geomean":
        return estimate(values).value if min(values) > 0 else math.nan
    deviation = statistics.stdev(values)
    return deviation if name == "stddev" else deviation / statistics.fmean(values)
