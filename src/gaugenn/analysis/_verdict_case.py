"""What a verdict is given on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gaugenn.records import (
    Environment,
    InputShape,
    Job,
    OutputStatistics,
    Run,
    RunStatus,
    Timings,
    TimingSemantics,
)

Sizes = tuple[tuple[int, ...], ...]
"""Of each input, in any order."""


def input_sizes(shapes: Iterable[InputShape]) -> Sizes:
    """Sizes of inputs, whatever the library's layout and its number of dimensions of size 1."""
    return tuple(sorted(tuple(sorted(n for n in shape.shape if n != 1)) for shape in shapes))


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What a verdict is given on.

    Attributes:
        job: the job.
        runs: all its runs.
        semantics: what its samples contain, if known.
        environment: what the runs ran on, if known.
        macs: multiply-accumulates of one inference at the job's shapes, if known and not a bound.
        launches: how many were asked for; as many as there are by default.
        precision: half-width of the interval that was asked for.
        others: outputs of other jobs that ran the same model on the same input.
        imported: whether somebody else measured it.
        other_sizes: input sizes, as `input_sizes` says, of other jobs that ran the same model.
    """

    job: Job
    runs: Sequence[Run]
    semantics: TimingSemantics | None
    environment: Environment | None
    macs: int | None = None
    launches: int = 0
    precision: float | None = None
    others: Sequence[Sequence[OutputStatistics]] = ()
    imported: bool = False
    other_sizes: Sequence[Sizes] = ()

    @property
    def measured(self) -> list[Timings]:
        """Timings of the launches that ended well and have a latency."""
        return [
            run.timings
            for run in self.runs
            if run.status is RunStatus.OK
            and run.timings is not None
            and run.timings.latency_s is not None
        ]

    @property
    def medians_s(self) -> list[float]:
        """Latency of each launch: the median of its samples, or its aggregate."""
        latencies = (timings.latency_s for timings in self.measured)
        return [latency for latency in latencies if latency is not None]
