"""`snpe-net-run` of Qualcomm's SNPE, with `snpe-diagview` for what it measured.

Inputs are files of zeros, made on the device; reading them and writing outputs lies outside the
inference time. It is told not to fall back to the CPU, so a runtime that is not there is a refusal.
"""

import re
from collections.abc import Sequence

from gaugenn.engines._native import (
    MAKE_INPUTS,
    LoggedRun,
    NativeEngine,
    line_with,
    optional,
    raw_inputs,
    real,
    timings,
)
from gaugenn.errors import EngineError, FormatError
from gaugenn.records import (
    Aggregate,
    Job,
    Precision,
    Processor,
    Statistic,
    TimingSemantics,
)

_TIME = re.compile(
    r"(?m)^[ \t]*+\"?(Load|Deserialize|Create|Init|Total Inference Time|Forward Propagate"
    r"|Forward Propagate Time)\"?:? *[:,]? *([\d.]+) *us"
)
_CSV = re.compile(
    r"(?m)^[^,\n]*, *\"?(Load|Deserialize|Create|Init|Total Inference Time)\"? *,"
    r"[^,\n]*, *\"?([\d.]+)"
)
_REFUSALS = (
    *("error_code=", "is not available on this platform", "Error: ", "Could not open"),
    "not supported by the selected runtime",
)
_FLAGS = {
    Processor.CPU: (),
    Processor.GPU: ("--use_gpu",),
    Processor.DSP: ("--use_dsp",),
    Processor.NPU: ("--use_aip",),
}
_MICRO = 1e-6


class SnpeNetRun(NativeEngine):
    """On the CPU, the GPU, the DSP, or the AI processor."""

    title = "SNPE snpe-net-run"
    spec = "https://docs.qualcomm.com/bundle/publicresource/topics/80-63442-2/tools.html"
    formats = ("snpe",)
    processors = (Processor.CPU, Processor.GPU, Processor.DSP, Processor.NPU)
    precisions = (Precision.AS_STORED, Precision.FLOAT16)
    programs = ("snpe-net-run", "snpe-diagview")
    needs_input_shapes = True
    body = (
        MAKE_INPUTS
        + "model=$1 count=$2 sizes=$3 line=$4\nshift 4\ninputs\n"
        + 'pinned "$0" --container "$model" --input_list list.txt --output_dir output "$@"\n'
        + "code=$?\n"
        + "for log in output/SNPEDiag*.log; do\n"
        + '  if [ -f "$log" ]; then "$folder/snpe-diagview" --input_log "$log"; fi\n'
        + "done\n(exit $code)\n"
    )
    phases = "load+prepare"
    timing_semantics = TimingSemantics(
        real_weights=True,
        input_preparation_timed=False,
        output_copy_timed=False,
        raw_samples=False,
    )

    def cannot(self, job: Job) -> str | None:
        """It has no setting for threads, and half precision on the GPU only."""
        if job.precision is Precision.FLOAT16 and job.processor is not Processor.GPU:
            return "snpe-net-run takes 16-bit floats on the GPU only"
        return super().cannot(job)

    def arguments(self, job: Job, model_paths: Sequence[str]) -> list[str]:
        """For the script the model, count, sizes and list; then the program's flags."""
        sizes, line = raw_inputs(job)
        flags = _FLAGS[job.processor]
        if job.precision is Precision.FLOAT16:
            flags = ("--use_gpu_fp16",)
        profile = ("--perf_profile", "high_performance", "--profiling_level", "basic")
        count = str(job.steady_minimum_count)
        return [model_paths[0], count, sizes, line, *flags, *profile]

    def recognises(self, text: str) -> bool:
        """What `snpe-diagview` calls the time that counts."""
        return "Total Inference Time" in text and bool(_TIME.search(text) or _CSV.search(text))

    def read_log(self, text: str) -> tuple[LoggedRun, ...]:
        """One run; see `NativeEngine.read_log`."""
        refusal = line_with(text, *_REFUSALS)
        if refusal is not None:
            raise EngineError(refusal)
        found = dict((*_CSV.findall(text), *_TIME.findall(text)))
        if "Total Inference Time" not in found:
            raise FormatError("snpe-diagview printed no inference time")
        mean_s = real(found["Total Inference Time"]) * _MICRO
        return (
            LoggedRun(
                engine=self.name,
                tool=self.binary,
                timings=timings(
                    phases=self.phases,
                    load_s=optional(found.get("Init"), _MICRO),
                    aggregate=Aggregate(statistic=Statistic.MEAN, value_s=mean_s, mean_s=mean_s),
                ),
            ),
        )
