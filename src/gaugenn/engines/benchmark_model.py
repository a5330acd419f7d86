"""`benchmark_model`, the benchmark tool of LiteRT (TensorFlow Lite).

It prints no samples: minimum, maximum, mean and, in newer builds, percentiles of its steady phase. The
number of runs is a minimum, as is the time; both are given, so both are met. Its clock starts after the
inputs are set and stops before outputs are read.
"""

import re
from collections.abc import Sequence

from gaugenn.engines._native import (
    LoggedRun,
    NativeEngine,
    file_stem,
    line_with,
    optional,
    real,
    timings,
)
from gaugenn.errors import EngineError, FormatError
from gaugenn.records import (
    Aggregate,
    Job,
    Precision,
    Processor,
    Quantile,
    Statistic,
    TimingSemantics,
)

_STATISTICS = re.compile(
    r"count=(\d+)(?: first=(\S+))? curr=(\d+)(\(all same\))?"
    r"(?: min=(\S+) max=(\S+) avg=(\S+) std=(\S+))?(?: p5=(\S+) median=(\S+) p95=(\S+))?"
)
_END = re.compile(
    r"nference timings in us: (?:Warmup: (\S+), )?Init: ([\d.]+)"
    r"(?:, First inference: ([\d.]+), Warmup \(avg\): (\S+))?, Inference(?: \(avg\))?: (\S+)"
)
_MEMORY = re.compile(r"Overall peak memory footprint \(MB\) via periodic monitoring: ([\d.]+)")
_GRAPH = re.compile(r"(?:Graph: \[([^\]\n]+)\]|Loaded model (\S+))")
_THREADS = re.compile(r"(?:Num threads|#threads used for CPU inference): \[(\d+)\]")
_DELEGATE = re.compile(
    r"Explicitly applied (\S+) delegate, and the model graph will be (completely|partially) executed"
)
_PROCESSOR = {"GPU": Processor.GPU, "XNNPACK": Processor.CPU, "HEXAGON": Processor.DSP}
"""Delegates that run on one kind of processor; NNAPI and others choose one and do not say which."""
_REFUSALS = (
    *("Failed to load model", "Failed to build", "Failed to allocate tensors", "no stats:"),
    *("Failed to apply", "Disallowed CPU fallback detected", "Benchmarking failed"),
)
_MICRO = 1e-6


class BenchmarkModel(NativeEngine):
    """On the CPU with the default delegate, on a GPU with that of the GPU, on an NPU through NNAPI."""

    title = "LiteRT benchmark_model"
    spec = "https://github.com/tensorflow/tensorflow/blob/master/tensorflow/lite/tools/benchmark/README.md"
    formats = ("tflite",)
    processors = (Processor.CPU, Processor.GPU, Processor.NPU)
    precisions = (Precision.AS_STORED, Precision.FLOAT32, Precision.FLOAT16)
    programs = ("benchmark_model",)
    phases = "load+prepare"
    timing_semantics = TimingSemantics(
        real_weights=True,
        input_preparation_timed=False,
        output_copy_timed=False,
        raw_samples=False,
    )

    def cannot(self, job: Job) -> str | None:
        """See `Engine.cannot`."""
        if job.processor is Processor.NPU and job.precision is Precision.FLOAT32:
            return "NNAPI cannot be told to keep 32-bit floats"
        return super().cannot(job)

    def arguments(self, job: Job, model_paths: Sequence[str]) -> list[str]:
        """Its flags; on an accelerator it must take the whole graph."""
        flags: dict[str, object] = {
            "graph": model_paths[0],
            "num_threads": job.threads,
            "warmup_runs": job.warmup_minimum_count,
            "warmup_min_secs": job.warmup_minimum_s,
            "num_runs": job.steady_minimum_count,
            "min_secs": job.steady_minimum_s,
            "max_secs": job.steady_maximum_s,
        }
        if job.input_shapes:
            flags["input_layer"] = ",".join(shape.name for shape in job.input_shapes)
            flags["input_layer_shape"] = ":".join(
                ",".join(map(str, shape.shape)) for shape in job.input_shapes
            )
        half = job.precision is Precision.FLOAT16
        if job.processor is Processor.CPU and half:
            flags |= {"use_xnnpack": "true", "xnnpack_force_fp16": "true"}
        if job.processor is Processor.GPU:
            flags |= {"use_gpu": "true", "require_full_delegation": "true"}
            if job.precision is not Precision.AS_STORED:
                flags["gpu_precision_loss_allowed"] = str(half).lower()
        if job.processor is Processor.NPU:
            flags |= {"use_nnapi": "true", "require_full_delegation": "true"}
            flags["nnapi_allow_fp16"] = str(half).lower()
        return [f"--{name}={value}" for name, value in flags.items()]

    def recognises(self, text: str) -> bool:
        """Its closing line, or that of a phase."""
        return _END.search(text) is not None

    def read_log(self, text: str) -> tuple[LoggedRun, ...]:
        """One run a closing line; see `NativeEngine.read_log`."""
        runs = []
        begin = 0
        for end in _END.finditer(text):
            runs.append(self._run(text[begin : end.end()], text[end.end() :][:4000], end))
            begin = end.end()
        if runs:
            return tuple(runs)
        refusal = line_with(text, *_REFUSALS)
        if refusal is not None:
            raise EngineError(refusal)
        raise FormatError("benchmark_model printed no inference timings")

    def _run(self, text: str, after: str, end: re.Match[str]) -> LoggedRun:
        _, init, first, _, mean = end.groups()
        phases = list(_STATISTICS.finditer(text))
        aggregate = (
            _aggregate(phases[-1])
            if phases
            else Aggregate(statistic=Statistic.MEAN, value_s=real(mean) * _MICRO)
        )
        delegate = _DELEGATE.search(text)
        notes: list[str] = []
        processor: Processor | None = Processor.CPU
        if delegate is not None:
            name, extent = delegate.groups()
            notes.append(f"delegate: {name[:40]} {extent}")
            processor = _PROCESSOR.get(name) if extent == "completely" else Processor.CPU
        graph = _GRAPH.search(text)
        threads = _THREADS.search(text)
        memory = _MEMORY.search(after.partition("Inference timings")[0])
        asked = 0 if threads is None else int(threads.group(1))
        return LoggedRun(
            engine=self.name,
            tool=self.binary,
            model="" if graph is None else file_stem(graph.group(1) or graph.group(2)),
            processor=processor or Processor.UNKNOWN,
            threads=max(asked, 0),
            timings=timings(
                phases=self.phases,
                load_s=real(init) * _MICRO,
                first_s=optional(first, _MICRO),
                aggregate=aggregate,
                observed_processor=processor,
                observed_threads=asked or None,
                peak_memory_bytes=None if memory is None else round(real(memory[1]) * 2**20),
                notes=notes,
            ),
        )


def _aggregate(found: re.Match[str]) -> Aggregate:
    """The numbers of a phase; where all inferences took the same, only one is printed."""
    count, _, current, _, least, most, mean, deviation, p5, median, p95 = found.groups()
    mean_s = real(mean or current) * _MICRO
    shares = ((0.05, p5), (0.5, median), (0.95, p95))
    return Aggregate(
        statistic=Statistic.MEAN if median is None else Statistic.MEDIAN,
        value_s=mean_s if median is None else real(median) * _MICRO,
        count=int(count),
        mean_s=mean_s,
        minimum_s=optional(least, _MICRO),
        maximum_s=optional(most, _MICRO),
        standard_deviation_s=optional(deviation, _MICRO),
        quantiles=tuple(
            Quantile(share=share, value_s=real(value) * _MICRO)
            for share, value in shares
            if value is not None
        ),
    )
