"""`timeProfile.out` of MNN: the time of each operator, by callbacks, on the CPU.

Its total is the sum of the operators' mean times, with the cost of the callbacks: it is larger than an
inference and stands beside nothing else. Input and output are copied outside of it.
"""

import re
from collections.abc import Sequence

from gaugenn.engines import _mnn_tools as tools
from gaugenn.engines._native import LoggedRun, NativeEngine, file_stem, line_with, real, timings
from gaugenn.errors import EngineError, FormatError
from gaugenn.records import (
    Aggregate,
    Job,
    ModelRecord,
    Precision,
    Processor,
    Statistic,
    TimingSemantics,
)

_TOTAL = re.compile(r"total time : ([\d.]+) ms, total mflops : ([\d.]+)")
_MODEL = re.compile(r"(?m)^Open Model (.+?)\s*$")
_FORWARD = re.compile(r"Use extra forward type: (\d+)")
_THREADS = re.compile(r"Set ThreadNumber = (\d+)")
_REFUSALS = ("Output not available", "Invalide input", "Can't open file")
_MILLI = 1e-3


class MnnTimeProfile(NativeEngine):
    """On the CPU."""

    title = "MNN timeProfile.out"
    spec = "https://mnn-docs.readthedocs.io/en/latest/tools/test.html"
    formats = ("mnn",)
    processors = (Processor.CPU,)
    precisions = (Precision.AS_STORED,)
    programs = ("timeProfile.out",)
    needs_input_shapes = True
    phases = "none"
    timing_semantics = TimingSemantics(
        real_weights=True,
        input_preparation_timed=False,
        output_copy_timed=False,
        raw_samples=False,
    )

    def refuses(self, model: ModelRecord) -> str | None:
        """See `Engine.refuses`."""
        return super().refuses(model) or tools.refuses(model)

    def cannot(self, job: Job) -> str | None:
        """It resizes its first input only, and takes no other size of the others."""
        if len(job.input_shapes) > 1:
            return "timeProfile.out takes the size of one input only"
        return super().cannot(job)

    def arguments(self, job: Job, model_paths: Sequence[str]) -> list[str]:
        """The model, runs, processor, the input's sizes, threads."""
        sizes = "x".join(str(size) for shape in job.input_shapes[:1] for size in shape.shape)
        leading = [*model_paths[:1], str(job.steady_minimum_count), tools.forward(job)]
        return [*leading, sizes, str(job.threads)]

    def recognises(self, text: str) -> bool:
        """Its last line."""
        return _TOTAL.search(text) is not None

    def read_log(self, text: str) -> tuple[LoggedRun, ...]:
        """One run; see `NativeEngine.read_log`."""
        refusal = line_with(text, *_REFUSALS)
        if refusal is not None:
            raise EngineError(refusal)
        total = _TOTAL.search(text)
        if total is None:
            raise FormatError("timeProfile.out printed no total")
        model, code, threads = (p.search(text) for p in (_MODEL, _FORWARD, _THREADS))
        asked = tools.CODES.get(int(code[1])) if code else Processor.CPU
        processor = tools.observed_processor(text, asked)
        total_s = real(total[1]) * _MILLI
        return (
            LoggedRun(
                engine=self.name,
                tool=self.binary,
                model="" if model is None else file_stem(model[1]),
                processor=asked or Processor.UNKNOWN,
                threads=0 if threads is None else int(threads[1]),
                timings=timings(
                    phases=self.phases,
                    aggregate=Aggregate(statistic=Statistic.MEAN, value_s=total_s, mean_s=total_s),
                    observed_processor=processor,
                    observed_threads=None if threads is None else int(threads[1]),
                    notes=("sum-of-operators",),
                ),
            ),
        )
