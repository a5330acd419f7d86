"""pyperf's JSON: a benchmark an experiment, a run a launch, its values the steady inferences.

`pyperf stats` and `pyperf hist` read it. `pyperf compare_to` pools the values of all runs: its
significance is that of inferences, not of launches, and too sure of itself.
"""

import json
from collections.abc import Sequence

from gaugenn.interchange import Export
from gaugenn.pipeline.experiments import MeasuredExperiment


class PyperfJson(Export):
    """Version 1.0 of the file format."""

    title = "pyperf"
    spec = "https://pyperf.readthedocs.io/en/latest/api.html"

    def render(self, experiments: Sequence[MeasuredExperiment]) -> str:
        """A suite; its benchmarks' names must differ, so each ends with its experiment's digest."""
        return json.dumps({"version": "1.0", "benchmarks": [_benchmark(e) for e in experiments]})


def _benchmark(experiment: MeasuredExperiment) -> dict[str, object]:
    job = experiment.record.job
    metadata: dict[str, object] = {
        "name": f"{experiment.model} {experiment.label} {experiment.record.job_sha256[:12]}",
        "unit": "second",
        "loops": 1,
        "description": "latency of one inference; a run is a launch",
        "model_sha256": job.model_sha256,
        "verdict": str(experiment.verdict.validity),
        "verdict_reasons": " ".join(experiment.verdict.reasons) or "none",
    }
    for place in experiment.environments[:1]:
        metadata |= {
            "cpu_count": place.logical_cores,
            "cpu_model_name": place.processor_model,
            "platform": f"{place.operating_system} {place.kernel} {place.architecture}",
            "hostname": place.device,
        }
    runs = []
    for run, timings in experiment.launches:
        about: dict[str, object] = {"date": run.started_at, "duration": run.wall_s}
        if timings.peak_memory_bytes:
            about["mem_max_rss"] = timings.peak_memory_bytes
        runs.append(
            {
                "warmups": [[1, latency] for latency in timings.warmup_s],
                "values": list(timings.steady_s),
                "metadata": about,
            }
        )
    return {"metadata": metadata, "runs": runs}
