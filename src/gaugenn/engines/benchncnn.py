"""`benchncnn`, the benchmark tool of ncnn.

It never loads weights: they are zeros, so it needs the `.param` file only, and its numbers are for
speed alone. Creating an extractor, setting the input and copying the output are inside its time. Of a
file that is not there it prints a time like any other; that is recognised by what it prints before.
"""

import re
from collections.abc import Sequence

from gaugenn.engines._native import LoggedRun, NativeEngine, file_stem, line_with, real, timings
from gaugenn.errors import EngineError, FormatError
from gaugenn.records import (
    Aggregate,
    InputShape,
    Job,
    ModelRecord,
    Precision,
    Processor,
    Statistic,
    TimingSemantics,
)

_LINE = re.compile(
    r"(?m)^[ \t]*+(\S++)[ \t]++min = *+([\d.]+) ++max = *+([\d.]+) ++avg = *+([\d.]+)[ \t]*+$"
)
_HEADER = re.compile(r"(?m)^(loop_count|num_threads|powersave|gpu_device) = (-?\d+)\s*$")
_REFUSALS = (
    "network graph not ready",
    "layer load_param failed",
    "parse ",
    "not exists or registered",
)
_MISSING = re.compile(r"fopen .* failed")
_MILLI = 1e-3
ALL_CORES, NO_PAUSE = 0, 0


class BenchNcnn(NativeEngine):
    """On the CPU, or on the first Vulkan device."""

    title = "ncnn benchncnn"
    spec = "https://github.com/Tencent/ncnn/blob/master/benchmark/README.md"
    formats = ("ncnn",)
    processors = (Processor.CPU, Processor.GPU)
    precisions = (Precision.AS_STORED, Precision.FLOAT16)
    programs = ("benchncnn",)
    needs_input_shapes = True
    phases = "none"
    timing_semantics = TimingSemantics(
        real_weights=False,
        input_preparation_timed=True,
        output_copy_timed=True,
        raw_samples=False,
    )

    def refuses(self, model: ModelRecord) -> str | None:
        """Missing weights are no obstacle: it makes its own."""
        reason = super().refuses(model)
        return None if reason is not None and "weights-absent" in model.notes else reason

    def cannot(self, job: Job) -> str | None:
        """Ncnn's inputs have no batch axis."""
        batched = [i.name for i in job.input_shapes if len(i.shape) > 1 and i.shape[0] != 1]
        if batched:
            return f"ncnn has no batch: the first size of input {batched[0]!r} must be 1"
        return super().cannot(job)

    def arguments(self, job: Job, model_paths: Sequence[str]) -> list[str]:
        """Loops, threads, all cores, device, no pause, and the model with its inputs' sizes."""
        gpu = 0 if job.processor is Processor.GPU else -1
        shapes = ",".join(_size(shape) for shape in job.input_shapes)
        return [
            str(job.steady_minimum_count),
            str(job.threads),
            str(ALL_CORES),
            str(gpu),
            str(NO_PAUSE),
            f"param={model_paths[0]}",
            f"shape={shapes}",
        ]

    def recognises(self, text: str) -> bool:
        """A line with its three numbers."""
        return _LINE.search(text) is not None

    def read_log(self, text: str) -> tuple[LoggedRun, ...]:
        """One run a line; see `NativeEngine.read_log`."""
        refusal = line_with(text, *_REFUSALS)
        missing = _MISSING.search(text)
        if refusal is not None or missing is not None:
            what = refusal or (missing.group() if missing else "")
            raise EngineError(f"benchncnn prints times, but loaded nothing: {what[:400]}")
        header = {name: int(value) for name, value in _HEADER.findall(text)}
        gpu = header.get("gpu_device")
        processor = None if gpu is None else Processor.CPU if gpu < 0 else Processor.GPU
        runs = []
        for name, least, most, mean in _LINE.findall(text):
            if real(mean) == 0.0:
                raise EngineError(
                    f"benchncnn printed 0.00 ms for {name[:80]}: nothing was computed"
                )
            runs.append(
                LoggedRun(
                    engine=self.name,
                    tool=self.binary,
                    model=file_stem(name) if name.endswith(".param") else name[:200],
                    processor=processor or Processor.UNKNOWN,
                    threads=header.get("num_threads", 0),
                    batch=1,
                    timings=timings(
                        phases=self.phases,
                        aggregate=Aggregate(
                            statistic=Statistic.MEAN,
                            value_s=real(mean) * _MILLI,
                            count=header.get("loop_count"),
                            mean_s=real(mean) * _MILLI,
                            minimum_s=real(least) * _MILLI,
                            maximum_s=real(most) * _MILLI,
                        ),
                        observed_processor=processor,
                        observed_precision="float16 storage",
                        observed_threads=header.get("num_threads"),
                    ),
                )
            )
        if not runs:
            raise FormatError("benchncnn printed no times")
        return tuple(runs)


def _size(shape: InputShape) -> str:
    """Width, height, channels: the sizes from the last to the first, without the batch."""
    inner = shape.shape[1:] if len(shape.shape) > 1 else shape.shape
    return f"[{','.join(str(size) for size in reversed(inner))}]"
