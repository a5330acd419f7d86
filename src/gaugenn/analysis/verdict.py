"""How far a job's runs can be trusted: a table of rules, each a machine-readable reason.

Valid runs passed every rule that the data allow; semivalid ones are usable with the caveat named;
invalid ones are kept but never summed up. Thresholds are the method's, not the literature's.
"""

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from gaugenn.records import (
    Environment,
    Job,
    JobRecord,
    ModelRecord,
    Precision,
    Processor,
    Run,
    RunStatus,
    Timings,
    TimingSemantics,
)

LAUNCHES_WANTED = 5
REPEATS_SPREAD = 0.10
"""Largest launch median over smallest, minus 1, that still counts as agreement."""
DRIFT = 0.05
"""Last third's median of a launch over its first third's, minus 1."""
CPU_SHARE_WANTED = 0.9
"""Processor time over wall time that one thread gets on an idle core."""
CLOCK_STEPS_WANTED = 100
"""An inference shorter than this many steps of the clock is coarsely timed."""
OUTPUT_TOLERANCE = 1e-2
"""How far the mean of an output may differ between launches, relative to its range."""
MACS_PER_CYCLE_AND_CORE = 1024
"""The most that a CPU core is known to do: 2048 8-bit operations per cycle, half of them products.

Source: https://en.wikipedia.org/wiki/Advanced_Matrix_Extensions
"""
HIGHEST_FREQUENCY_HZ = 6_500_000_000
"""Taken where a device does not state its own."""


class Validity(StrEnum):
    """What may be done with a job's runs."""

    VALID = "valid"
    SEMIVALID = "semivalid"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A validity and what led to it, invalid reasons first."""

    validity: Validity
    reasons: tuple[str, ...]


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
    """

    job: Job
    runs: Sequence[Run]
    semantics: TimingSemantics | None
    environment: Environment | None
    macs: int | None = None
    launches: int = 0

    @property
    def measured(self) -> list[Timings]:
        """Timings of the launches that ended well and have steady samples."""
        return [
            run.timings
            for run in self.runs
            if run.status is RunStatus.OK and run.timings is not None and run.timings.steady_s
        ]

    @property
    def medians_s(self) -> list[float]:
        """Median steady latency of each launch."""
        return [statistics.median(timings.steady_s) for timings in self.measured]


def verdict(case: Case) -> Verdict:
    """Applies every rule."""
    if not case.measured:
        return Verdict(validity=Validity.INVALID, reasons=("no_result",))
    invalid = [name for name, rule in INVALID_RULES.items() if rule(case)]
    semivalid = [name for name, rule in SEMIVALID_RULES.items() if rule(case)]
    if invalid:
        return Verdict(validity=Validity.INVALID, reasons=(*invalid, *semivalid))
    validity = Validity.SEMIVALID if semivalid else Validity.VALID
    return Verdict(validity=validity, reasons=tuple(semivalid))


def verdicts(
    jobs: Iterable[JobRecord],
    runs: Iterable[Run],
    environments: Iterable[Environment],
    models: Iterable[ModelRecord],
) -> dict[str, Verdict]:
    """The verdict on every job that has a run, by its digest.

    Of a launch that was tried again the last good end counts.
    """
    places = {environment.environment_sha256: environment for environment in environments}
    macs = {m.model_sha256: m.macs for m in models if not m.uncounted_nodes}
    launches: dict[str, dict[int, Run]] = {}
    for run in sorted(runs, key=lambda run: (run.status is RunStatus.OK, run.started_at)):
        launches.setdefault(run.job_sha256, {})[run.launch] = run
    found: dict[str, Verdict] = {}
    for record in jobs:
        made = list(launches.get(record.job_sha256, {}).values())
        if made:
            shaped = record.job.input_shapes
            case = Case(
                job=record.job,
                runs=made,
                semantics=record.timing_semantics,
                environment=places.get(made[-1].environment_sha256),
                macs=None if shaped else macs.get(record.job.model_sha256),
                launches=record.launches,
            )
            found[record.job_sha256] = verdict(case)
    return found


def _noted(note: str) -> Callable[[Case], bool]:
    return lambda case: any(note in timings.notes for timings in case.measured)


def _outputs_differ(case: Case) -> bool:
    """Launches disagree on an output: other name, type or shape, or a mean that is off."""
    first, *others = (timings.outputs for timings in case.measured)
    for other in others:
        if [(o.name, o.dtype, o.shape) for o in first] != [
            (o.name, o.dtype, o.shape) for o in other
        ]:
            return True
        for one, two in zip(first, other, strict=True):
            if one.sha256 == two.sha256:
                continue
            if one.mean is None or two.mean is None:
                return True
            extent = max((one.maximum or 0.0) - (one.minimum or 0.0), abs(one.mean), 1e-30)
            if abs(one.mean - two.mean) > OUTPUT_TOLERANCE * extent:
                return True
    return False


def _impossible_speed(case: Case) -> bool:
    if case.macs is None or case.environment is None or case.job.processor is not Processor.CPU:
        return False
    frequency = case.environment.maximum_frequency_hz or HIGHEST_FREQUENCY_HZ
    limit = case.environment.logical_cores * frequency * MACS_PER_CYCLE_AND_CORE
    return case.macs * case.job.batch > limit * min(case.medians_s)


def _silent_fallback(case: Case) -> bool:
    return any(
        timings.observed_processor not in (None, case.job.processor) for timings in case.measured
    )


def _background_load(case: Case) -> bool:
    """More tasks than cores before a launch, or one thread that did not get its core."""
    cores = math.inf if case.environment is None else case.environment.logical_cores
    if any(run.load_average is not None and run.load_average > cores for run in case.runs):
        return True
    if case.job.threads != 1 or case.job.processor is not Processor.CPU:
        return False
    return any(
        timings.process_cpu_s is not None
        and timings.process_cpu_s < CPU_SHARE_WANTED * sum(timings.steady_s)
        for timings in case.measured
    )


def _not_flat(case: Case) -> bool:
    for timings in case.measured:
        third = len(timings.steady_s) // 3
        if third < 5:
            continue
        early = statistics.median(timings.steady_s[:third])
        late = statistics.median(timings.steady_s[-third:])
        if abs(late - early) > DRIFT * early:
            return True
    return False


def _repeats_differ(case: Case) -> bool:
    return max(case.medians_s) > (1 + REPEATS_SPREAD) * min(case.medians_s)


def _clock_coarse(case: Case) -> bool:
    return any(
        timings.timer_resolution_s is not None
        and statistics.median(timings.steady_s) < CLOCK_STEPS_WANTED * timings.timer_resolution_s
        for timings in case.measured
    )


def _not_finite(case: Case) -> bool:
    return any(o.not_finite for timings in case.measured for o in timings.outputs)


def _few_samples(case: Case) -> bool:
    return any(len(t.steady_s) < case.job.steady_minimum_count for t in case.measured)


def _other_threads(case: Case) -> bool:
    return any(t.observed_threads not in (None, case.job.threads) for t in case.measured)


def _other_precision(case: Case) -> bool:
    """It computed in another precision than was asked for; `float16 storage` is half precision."""
    if case.job.precision is Precision.AS_STORED:
        return False
    seen = (timings.observed_precision for timings in case.measured)
    return any(p is not None and p.split()[0] != case.job.precision for p in seen)


INVALID_RULES: dict[str, Callable[[Case], bool]] = {
    "no_output": _noted("no-output"),
    "wrong_output": _outputs_differ,
    "impossible_speed": _impossible_speed,
    "silent_fallback": _silent_fallback,
    "other_precision": _other_precision,
}
SEMIVALID_RULES: dict[str, Callable[[Case], bool]] = {
    "launches_missing": lambda case: len(case.runs) < case.launches,
    "environments_differ": lambda case: len({run.environment_sha256 for run in case.runs}) > 1,
    "other_threads": _other_threads,
    "few_launches": lambda case: len(case.measured) < LAUNCHES_WANTED,
    "launches_failed": lambda case: any(run.status is not RunStatus.OK for run in case.runs),
    "few_samples": _few_samples,
    "repeats_differ": _repeats_differ,
    "not_flat": _not_flat,
    "background_load": _background_load,
    "clock_coarse": _clock_coarse,
    "weights_fake": lambda case: case.semantics is not None and not case.semantics.real_weights,
    "output_not_finite": _not_finite,
    "output_zero": _noted("outputs-all-zero"),
    "output_changes": _noted("outputs-change"),
}
