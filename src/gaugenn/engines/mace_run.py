"""`mace_run` of MACE.

It prints the mean of its rounds. It must be told the names and sizes of the outputs, which a job does
not carry, so it cannot be launched by a campaign; with a file of flags that names them its command is
whole.
"""

import re
from collections.abc import Sequence

from gaugenn.engines._native import LoggedRun, NativeEngine, line_with, optional, real, timings
from gaugenn.errors import EngineError, FormatError
from gaugenn.records import (
    Aggregate,
    Job,
    Precision,
    Processor,
    Statistic,
    TimingSemantics,
)

_TIME = re.compile(r"(?m)^time ++([\d.-]+) ++([\d.]+) ++([\d.]+) ++([\d.]+)[ \t]*+$")
_HEADER = re.compile(r"capability\(CPU\) +init +warmup +run_avg")
_FLAG = re.compile(r"(?m)^.*?\b(model_file|round|num_threads|omp_num_threads|device): (\S+)\s*$")
_REFUSALS = ("Check failed", "MaceStatus", "Failed to", "not support")
_MILLI = 1e-3


class MaceRun(NativeEngine):
    """On the CPU or a GPU."""

    title = "MACE mace_run"
    spec = "https://mace.readthedocs.io/en/latest/user_guide/benchmark.html"
    formats = ("mace",)
    processors = (Processor.CPU, Processor.GPU)
    precisions = (Precision.AS_STORED,)
    programs = ("mace_run",)
    phases = "load+prepare"
    timing_semantics = TimingSemantics(
        real_weights=True,
        input_preparation_timed=False,
        output_copy_timed=False,
        raw_samples=False,
    )

    def cannot(self, job: Job) -> str | None:
        """See the module."""
        return super().cannot(job) or (
            "mace_run must be told the model's outputs, which a job does not carry; run it and import "
            "its log"
        )

    def arguments(self, job: Job, model_paths: Sequence[str]) -> list[str]:
        """Graph, weights and, where there is a third file, the flags in it."""
        graph, *others = model_paths
        shapes = [",".join(map(str, i.shape)) for i in job.input_shapes]
        return [
            f"--model_file={graph}",
            *(f"--model_data_file={path}" for path in others[:1]),
            *(f"--flagfile={path}" for path in others[1:2]),
            *([f"--input_node={','.join(i.name for i in job.input_shapes)}"] if shapes else []),
            *([f"--input_shape={':'.join(shapes)}"] if shapes else []),
            f"--device={job.processor.upper()}",
            f"--num_threads={job.threads}",
            f"--round={job.steady_minimum_count}",
        ]

    def recognises(self, text: str) -> bool:
        """The head of its table."""
        return _HEADER.search(text) is not None

    def read_log(self, text: str) -> tuple[LoggedRun, ...]:
        """One run; see `NativeEngine.read_log`."""
        found = _TIME.search(text)
        if found is None:
            refusal = line_with(text, *_REFUSALS)
            if refusal is not None:
                raise EngineError(refusal)
            raise FormatError("mace_run printed no times")
        _, init, warmup, mean = found.groups()
        flags: dict[str, str] = dict(_FLAG.findall(text))
        rounds = flags.get("round", "")
        threads = flags.get("num_threads", flags.get("omp_num_threads", ""))
        mean_s = real(mean) * _MILLI
        first_s = optional(warmup, _MILLI)
        return (
            LoggedRun(
                engine=self.name,
                tool=self.binary,
                model=flags.get("model_file", "").rpartition("/")[2][:200],
                processor={"CPU": Processor.CPU, "GPU": Processor.GPU}.get(
                    flags.get("device", ""), Processor.UNKNOWN
                ),
                threads=int(threads) if re.fullmatch(r"\d{1,4}", threads) else 0,
                timings=timings(
                    phases=self.phases,
                    load_s=optional(init, _MILLI),
                    first_s=first_s,
                    aggregate=Aggregate(
                        statistic=Statistic.MEAN,
                        value_s=mean_s,
                        count=int(rounds) if re.fullmatch(r"\d{1,9}", rounds) else None,
                        mean_s=mean_s,
                    ),
                ),
            ),
        )
