"""`speed_benchmark_torch` of PyTorch, for TorchScript and mobile files.

With `--report_pep` it prints every sample, in whole microseconds. It has no setting for threads: they
are as many as the library finds cores for, so a job must pin it to as many cores as it has threads.
"""

import json
import re
from collections.abc import Sequence

from gaugenn.engines._native import LoggedRun, NativeEngine, line_with, real, timings
from gaugenn.errors import EngineError, FormatError
from gaugenn.records import (
    Aggregate,
    Job,
    Precision,
    Processor,
    Statistic,
    TimingSemantics,
)

_END = re.compile(
    r"Main run finished\. (?:Microseconds|Milliseconds) per iter: (\S+?)\. Iters per second: (\S+)"
)
_SAMPLE = re.compile(r"PyTorchObserver (\{[^\n]*\})")
_REFUSALS = ("terminate called", "Could not run", "PyTorchStreamReader failed", "c10::Error")
_TYPES = {"float32": "float", "int64": "int64", "uint8": "uint8_t", "": "float"}
"""numpy names of the types that it can make inputs of."""
_MICRO = 1e-6


class SpeedBenchmarkTorch(NativeEngine):
    """On the CPU."""

    title = "PyTorch speed_benchmark_torch"
    spec = "https://github.com/pytorch/pytorch/blob/main/binaries/speed_benchmark_torch.cc"
    formats = ("pytorch",)
    processors = (Processor.CPU,)
    precisions = (Precision.AS_STORED,)
    programs = ("speed_benchmark_torch",)
    needs_input_shapes = True
    phases = "none"
    timing_semantics = TimingSemantics(
        real_weights=True,
        input_preparation_timed=False,
        output_copy_timed=False,
        raw_samples=True,
    )

    def cannot(self, job: Job) -> str | None:
        """Its threads are not its own to set, and it makes few types of inputs."""
        odd = [i.name for i in job.input_shapes if i.dtype not in _TYPES]
        if odd:
            return f"speed_benchmark_torch makes no input of the type of {odd[0]!r}"
        if len(_cores(job.affinity)) != job.threads:
            return (
                "speed_benchmark_torch has no setting for threads; pin it to as many cores: "
                f"--threads {job.threads}a{job.threads}"
            )
        return super().cannot(job)

    def arguments(self, job: Job, model_paths: Sequence[str]) -> list[str]:
        """Its flags; the samples are asked for."""
        return [
            f"--model={model_paths[0]}",
            "--input_dims=" + ";".join(",".join(map(str, i.shape)) for i in job.input_shapes),
            "--input_type=" + ";".join(_TYPES.get(i.dtype, i.dtype) for i in job.input_shapes),
            f"--warmup={job.warmup_minimum_count}",
            f"--iter={job.steady_minimum_count}",
            "--report_pep=true",
        ]

    def recognises(self, text: str) -> bool:
        """Its last line."""
        return _END.search(text) is not None

    def read_log(self, text: str) -> tuple[LoggedRun, ...]:
        """One run; see `NativeEngine.read_log`."""
        end = _END.search(text)
        if end is None:
            refusal = line_with(text, *_REFUSALS)
            if refusal is not None:
                raise EngineError(refusal)
            raise FormatError("speed_benchmark_torch did not finish its main run")
        samples = [_sample_s(found) for found in _SAMPLE.findall(text)]
        mean_s = 1 / real(end[2]) if real(end[2]) > 0 else 0.0
        # The unit is told by the rate that stands beside it: old builds name another than they print.
        aggregate = Aggregate(statistic=Statistic.MEAN, value_s=mean_s, mean_s=mean_s)
        return (
            LoggedRun(
                engine=self.name,
                tool=self.binary,
                processor=Processor.CPU,
                timings=timings(
                    phases=self.phases,
                    samples_s=samples,
                    aggregate=None if samples else aggregate,
                    observed_processor=Processor.CPU,
                ),
            ),
        )


def _sample_s(text: str) -> float:
    """A sample's line. Its value is a text.

    Raises:
        FormatError: it is none.
    """
    try:
        found = json.loads(text)
        unit, value = found["unit"], found["value"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise FormatError(f"a PyTorchObserver line that cannot be read: {text[:100]}") from error
    if unit != "us" or not isinstance(value, str):
        raise FormatError(f"a PyTorchObserver line in an unknown unit: {text[:100]}")
    return real(value) * _MICRO


def _cores(affinity: str) -> list[int]:
    cores: list[int] = []
    for part in filter(None, affinity.split(",")):
        first, _, last = part.partition("-")
        cores += range(int(first), int(last or first) + 1)
    return cores
