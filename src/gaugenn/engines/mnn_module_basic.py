"""`ModuleBasic.out` of MNN: one model, with inputs of given sizes.

It reads sizes and a value for each input from `input.json`, runs once to check, and then times: what
is inside is the inference and waiting for its outputs, not their copy.
"""

import json
import re
from collections.abc import Sequence

from gaugenn.engines import _mnn_tools as tools
from gaugenn.engines._native import LoggedRun, NativeEngine, file_stem, line_with, real, timings
from gaugenn.errors import EngineError, FormatError
from gaugenn.records import (
    Aggregate,
    Job,
    ModelRecord,
    Processor,
    Statistic,
    TimingSemantics,
)

_TIMES = re.compile(r"Avg= ([\d.]+) ms,(?: OpSum = [\d.]+ ms)? min= ([\d.]+) ms, max= ([\d.]+) ms")
_MODEL = re.compile(r"Test (\S+) from input info")
_FORWARD = re.compile(r"Use extra forward type: (\d+)")
_PRECISION = re.compile(r"precision=(\d+)")
_MEMORY = re.compile(r"memoryInMB=f ([\d.]+)")
_REFUSALS = (
    "can't load module",
    "Error in forward",
    "Invalid json",
    "TESTERROR",
    "Error for output",
)
_MILLI = 1e-3
NO_MASK = 0


class MnnModuleBasic(NativeEngine):
    """On the CPU, or on a GPU with OpenCL."""

    title = "MNN ModuleBasic.out"
    spec = "https://mnn-docs.readthedocs.io/en/latest/tools/test.html"
    formats = ("mnn",)
    processors = (Processor.CPU, Processor.GPU)
    precisions = tools.PRECISIONS
    programs = ("ModuleBasic.out",)
    needs_input_shapes = True
    body = (
        "model=$1\ninputs=$2\nshift 2\n"
        "made=${model%/*}/.gaugenn-input\n"
        'mkdir -p "$made/output" && cd "$made" || exit 1\n'
        'printf "%s" "$inputs" > input.json\n'
        'pinned "$0" "$model" "$made" "$@"\n'
    )
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

    def arguments(self, job: Job, model_paths: Sequence[str]) -> list[str]:
        """The model, its inputs as JSON, mask, processor, loops, threads, precision."""
        inputs = [{"name": i.name, "value": 1.0, "shape": list(i.shape)} for i in job.input_shapes]
        return [
            *model_paths[:1],
            json.dumps({"inputs": inputs}),
            str(NO_MASK),
            tools.forward(job),
            str(job.steady_minimum_count),
            str(job.threads),
            str(tools.PRECISION[job.precision]),
        ]

    def recognises(self, text: str) -> bool:
        """Its opening line and its times."""
        return _MODEL.search(text) is not None

    def read_log(self, text: str) -> tuple[LoggedRun, ...]:
        """One run; see `NativeEngine.read_log`."""
        refusal = line_with(text, *_REFUSALS)
        if refusal is not None:
            raise EngineError(refusal)
        found = _TIMES.search(text)
        if found is None:
            raise FormatError("ModuleBasic.out printed no times")
        mean, least, most = (real(value) * _MILLI for value in found.groups())
        model, code, memory = (p.search(text) for p in (_MODEL, _FORWARD, _MEMORY))
        precision = _PRECISION.search(text)
        asked = tools.CODES.get(int(code[1])) if code else Processor.CPU
        processor = tools.observed_processor(text, asked)
        return (
            LoggedRun(
                engine=self.name,
                tool=self.binary,
                model="" if model is None else file_stem(model[1]),
                processor=asked or Processor.UNKNOWN,
                timings=timings(
                    phases=self.phases,
                    aggregate=Aggregate(
                        statistic=Statistic.MEAN,
                        value_s=mean,
                        mean_s=mean,
                        minimum_s=least,
                        maximum_s=most,
                    ),
                    observed_processor=processor,
                    observed_precision=tools.observed_precision(
                        text, None if precision is None else int(precision[1]), processor
                    ),
                    notes=() if memory is None else (f"memory-in-mb: {memory[1]}",),
                ),
            ),
        )
