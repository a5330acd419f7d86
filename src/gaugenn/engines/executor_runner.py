"""`executor_runner` of ExecuTorch.

It has no warm-up: its first iteration is the first inference, and the next ones are told apart by us.
Newer builds print every iteration; older ones only the time of all, the first included. On Android its
lines go to the system's log, from where the script fetches those of its own process.
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

_LOADED = re.compile(r"Model loaded in ([\d.]+) ms")
_ITERATION = re.compile(r"Iteration (\d+) of (\d+): ([\d.]+) ms")
_TOTAL = re.compile(r"Model executed successfully (\d+) time\(s\) in ([\d.]+) ms")
_THREADS = re.compile(r"Resetting threadpool with num threads = (\d+)")
_WARMUP = re.compile(r"(?m)^gaugenn-warmup (\d+)$")
_REFUSALS = (
    *("FileDataLoader::from() failed", "Failed to parse model file", "Loading of method"),
    *("failed with status", "Extra commandline args", "Could not open file"),
)
_MILLI = 1e-3


class ExecutorRunner(NativeEngine):
    """On the CPU; which delegates a model uses was decided when it was exported."""

    title = "ExecuTorch executor_runner"
    spec = (
        "https://github.com/pytorch/executorch/blob/main/examples/portable/executor_runner/"
        "executor_runner.cpp"
    )
    formats = ("executorch",)
    processors = (Processor.CPU,)
    precisions = (Precision.AS_STORED,)
    programs = ("executor_runner",)
    body = (
        'echo "gaugenn-warmup $1"\nshift\n'
        'if [ "$mask" = - ]; then "$0" "$@" & else taskset "$mask" "$0" "$@" & fi\n'
        "child=$!\n"
        "wait $child\n"
        "code=$?\n"
        'if command -v logcat > /dev/null; then logcat -d --pid="$child"; fi\n'
        "(exit $code)\n"
    )
    phases = "load+prepare"
    timing_semantics = TimingSemantics(
        real_weights=True,
        input_preparation_timed=False,
        output_copy_timed=False,
        raw_samples=True,
    )

    def cannot(self, job: Job) -> str | None:
        """Inputs have the sizes that the model was exported with."""
        if job.input_shapes:
            return "executor_runner runs a model at the sizes that it was exported with"
        return super().cannot(job)

    def arguments(self, job: Job, model_paths: Sequence[str]) -> list[str]:
        """Warm-up iterations for the script; then the program's flags, all iterations in one."""
        first = 1
        return [
            str(job.warmup_minimum_count),
            f"--model_path={model_paths[0]}",
            *(f"--data_path={path}" for path in model_paths[1:2]),
            f"--num_executions={first + job.warmup_minimum_count + job.steady_minimum_count}",
            f"--cpu_threads={job.threads}",
        ]

    def recognises(self, text: str) -> bool:
        """A line of an iteration, or of all."""
        return _ITERATION.search(text) is not None or _TOTAL.search(text) is not None

    def read_log(self, text: str) -> tuple[LoggedRun, ...]:
        """One run; see `NativeEngine.read_log`."""
        total = _TOTAL.search(text)
        if total is None:
            refusal = line_with(text, *_REFUSALS)
            if refusal is not None:
                raise EngineError(refusal)
            raise FormatError("executor_runner did not say that the model was executed")
        loaded, threads, warmup = (p.search(text) for p in (_LOADED, _THREADS, _WARMUP))
        iterations = [(int(n), real(ms) * _MILLI) for n, _, ms in _ITERATION.findall(text)]
        if [n for n, _ in iterations] != list(range(1, len(iterations) + 1)):
            raise FormatError("iterations are missing between those that executor_runner printed")
        if iterations and len(iterations) != int(total[1]):
            raise FormatError(f"{len(iterations)} iterations were printed of {total[1]}")
        samples = [seconds for _, seconds in iterations]
        skipped = 0 if warmup is None else int(warmup[1])
        steady = samples[1 + skipped :]
        notes: list[str] = []
        aggregate = None
        if samples and not steady:
            raise EngineError("one iteration is the first inference; more were not run")
        if not samples:
            mean_s = real(total[2]) * _MILLI / max(int(total[1]), 1)
            aggregate = Aggregate(
                statistic=Statistic.MEAN, value_s=mean_s, count=int(total[1]), mean_s=mean_s
            )
            notes.append("first-inference-included")
        return (
            LoggedRun(
                engine=self.name,
                tool=self.binary,
                threads=0 if threads is None else int(threads[1]),
                timings=timings(
                    phases=self.phases,
                    load_s=optional(None if loaded is None else loaded[1], _MILLI),
                    first_s=samples[0] if samples else None,
                    warmup_s=samples[1 : 1 + skipped],
                    samples_s=steady,
                    aggregate=aggregate,
                    observed_threads=None if threads is None else int(threads[1]),
                    notes=notes,
                ),
            ),
        )
