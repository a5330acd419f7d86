"""`benchmark.out` of MNN: every model file of a folder.

Mapping the input and the output is inside its time. Unless told otherwise it computes in 16-bit floats;
a job that asks for nothing gets normal precision.
"""

import re
from collections.abc import Sequence

from gaugenn.engines import _mnn_tools as tools
from gaugenn.engines._native import LoggedRun, NativeEngine, file_stem, real, timings
from gaugenn.errors import EngineError, FormatError
from gaugenn.records import (
    Aggregate,
    Job,
    ModelRecord,
    Processor,
    Statistic,
    TimingSemantics,
)

_LINE = re.compile(
    r"(?m)^\[ - \] (\S++) ++max = *+([\d.]+) ms ++min = *+([\d.]+) ms ++avg = *+([\d.]+) ms"
)
_HEADER = re.compile(r"Forward type: \**(\S+?)\*\* thread=(\d+)\** precision=(\d+)")
_LOOPS = re.compile(r"Benchmarking\.\.\. loop = (\d+)")
_MILLI = 1e-3


class MnnBenchmark(NativeEngine):
    """On the CPU, or on a GPU with OpenCL."""

    title = "MNN benchmark.out"
    spec = "https://mnn-docs.readthedocs.io/en/latest/tools/benchmark.html"
    formats = ("mnn",)
    processors = (Processor.CPU, Processor.GPU)
    precisions = tools.PRECISIONS
    programs = ("benchmark.out",)
    body = 'model=$1\nshift\npinned "$0" "${model%/*}" "$@"\n'
    phases = "none"
    timing_semantics = TimingSemantics(
        real_weights=True,
        input_preparation_timed=True,
        output_copy_timed=True,
        raw_samples=False,
    )

    def refuses(self, model: ModelRecord) -> str | None:
        """See `Engine.refuses`."""
        return super().refuses(model) or tools.refuses(model)

    def cannot(self, job: Job) -> str | None:
        """It takes the sizes that the file states."""
        if job.input_shapes:
            return "benchmark.out takes no sizes of inputs; --engine mnn_module_basic does"
        return super().cannot(job)

    def arguments(self, job: Job, model_paths: Sequence[str]) -> list[str]:
        """The model, whose folder it measures, loops, warm-up, processor, threads, precision."""
        return [
            *model_paths[:1],
            str(job.steady_minimum_count),
            str(job.warmup_minimum_count),
            tools.forward(job),
            str(job.threads),
            str(tools.PRECISION[job.precision]),
        ]

    def recognises(self, text: str) -> bool:
        """A line of its own with three numbers."""
        return _LINE.search(text) is not None

    def read_log(self, text: str) -> tuple[LoggedRun, ...]:
        """One run a line; see `NativeEngine.read_log`."""
        header = _HEADER.search(text)
        name, threads, precision = header.groups() if header else ("", "0", "-1")
        processor = tools.observed_processor(text, tools.NAMES.get(name))
        loops = _LOOPS.search(text)
        runs = []
        for model, most, least, mean in _LINE.findall(text):
            if real(mean) == 0.0:
                raise EngineError(
                    f"benchmark.out printed 0 ms for {model[:80]}: nothing was computed"
                )
            runs.append(
                LoggedRun(
                    engine=self.name,
                    tool=self.binary,
                    model=file_stem(model),
                    processor=tools.NAMES.get(name, Processor.UNKNOWN),
                    threads=int(threads),
                    timings=timings(
                        phases=self.phases,
                        aggregate=Aggregate(
                            statistic=Statistic.MEAN,
                            value_s=real(mean) * _MILLI,
                            count=None if loops is None else int(loops[1]),
                            mean_s=real(mean) * _MILLI,
                            minimum_s=real(least) * _MILLI,
                            maximum_s=real(most) * _MILLI,
                        ),
                        observed_processor=processor,
                        observed_precision=tools.observed_precision(
                            text, int(precision), processor
                        ),
                        observed_threads=int(threads) or None,
                    ),
                    stated=(("precision", precision),) if header else (),
                )
            )
        if not runs:
            raise FormatError("benchmark.out printed no times")
        return tuple(runs)
