"""`qnn-net-run` of Qualcomm's AI Engine Direct, with `qnn-profile-viewer` for what it measured.

What counts is `NetRun` of its statistics: the whole call, with the transfer to the accelerator and back
where there is one. The accelerator's own share stands in the notes.
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

_HEAD = re.compile(r"([A-Z][\w -]{1,40}) Stats(?: \((\w+)\))?:")
_NET_RUN = re.compile(r"NetRun:\s+(\d+) us")
_ACCELERATOR = re.compile(r"Backend \(Accelerator \(execute\) time\):\s+(\d+) us")
_REFUSALS = ("[ERROR]", "Error in ", "Failed to ", "Could not ")
_BACKENDS = {
    Processor.CPU: "libQnnCpu.so",
    Processor.GPU: "libQnnGpu.so",
    Processor.DSP: "libQnnDsp.so",
    Processor.NPU: "libQnnHtp.so",
}
_MICRO = 1e-6


class QnnNetRun(NativeEngine):
    """On the processor whose backend library runs it."""

    title = "QNN qnn-net-run"
    spec = "https://docs.qualcomm.com/bundle/publicresource/topics/80-63442-50/tools.html"
    formats = ("qnn",)
    processors = (Processor.CPU, Processor.GPU, Processor.DSP, Processor.NPU)
    precisions = (Precision.AS_STORED,)
    programs = ("qnn-net-run", "qnn-profile-viewer")
    needs_input_shapes = True
    body = (
        MAKE_INPUTS
        + "model=$1 count=$2 sizes=$3 line=$4 backend=$5\nshift 5\ninputs\n"
        + "case $model in *.so) kind=--model;; *) kind=--retrieve_context;; esac\n"
        + 'pinned "$0" "$kind" "$model" --backend "$folder/$backend" --input_list list.txt \\\n'
        + '  --output_dir output "$@"\n'
        + "code=$?\n"
        + "for log in output/qnn-profiling-data*.log; do\n"
        + '  if [ -f "$log" ]; then "$folder/qnn-profile-viewer" --input_log "$log"; fi\n'
        + "done\n(exit $code)\n"
    )
    phases = "load+prepare"
    timing_semantics = TimingSemantics(
        real_weights=True,
        input_preparation_timed=False,
        output_copy_timed=True,
        raw_samples=False,
    )

    def arguments(self, job: Job, model_paths: Sequence[str]) -> list[str]:
        """For the script the model, count, sizes, list and backend; then the program's flags."""
        sizes, line = raw_inputs(job)
        profile = ("--perf_profile", "high_performance", "--profiling_level", "basic")
        count = str(job.steady_minimum_count)
        return [model_paths[0], count, sizes, line, _BACKENDS[job.processor], *profile]

    def recognises(self, text: str) -> bool:
        """The statistics of `qnn-profile-viewer`."""
        return "Execute Stats (" in text and _NET_RUN.search(text) is not None

    def read_log(self, text: str) -> tuple[LoggedRun, ...]:
        """One run; see `NativeEngine.read_log`."""
        sections = _sections(text)
        mean = _net_run(sections, "Execute", "Average")
        if mean is None:
            refusal = line_with(text, *_REFUSALS)
            if refusal is not None:
                raise EngineError(refusal)
            raise FormatError("qnn-profile-viewer printed no average of NetRun")
        accelerator = _ACCELERATOR.search(sections["Execute", "Average"])
        mean_s = real(mean) * _MICRO
        return (
            LoggedRun(
                engine=self.name,
                tool=self.binary,
                timings=timings(
                    phases=self.phases,
                    load_s=optional(_net_run(sections, "Init", ""), _MICRO),
                    aggregate=Aggregate(
                        statistic=Statistic.MEAN,
                        value_s=mean_s,
                        mean_s=mean_s,
                        minimum_s=optional(_net_run(sections, "Execute", "Min"), _MICRO),
                        maximum_s=optional(_net_run(sections, "Execute", "Max"), _MICRO),
                    ),
                    notes=() if accelerator is None else (f"accelerator-us: {accelerator[1]}",),
                ),
            ),
        )


def _sections(text: str) -> dict[tuple[str, str], str]:
    """The lines below each head such as `Execute Stats (Average):`, by its two names."""
    found: dict[tuple[str, str], list[str]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        head = _HEAD.fullmatch(line.strip(" -"))
        if head is not None:
            lines = found.setdefault((head[1], head[2] or ""), [])
        else:
            lines.append(line)
    return {name: "\n".join(inside) for name, inside in found.items()}


def _net_run(sections: dict[tuple[str, str], str], name: str, kind: str) -> str | None:
    found = _NET_RUN.search(sections.get((name, kind), ""))
    return None if found is None else found[1]
