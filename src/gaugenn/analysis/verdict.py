"""How far a job's runs can be trusted: a table of rules, each a machine-readable reason.

Valid runs passed every rule that the data allow; semivalid ones are usable with the caveat named;
invalid ones are kept but never summed up. Thresholds are the method's, not the literature's.
"""

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations

from gaugenn.analysis import _verdict_conditions as conditions
from gaugenn.analysis._verdict_case import Case, Sizes, input_sizes
from gaugenn.analysis.agreement import outputs_agree
from gaugenn.analysis.statistics import estimate, is_bimodal
from gaugenn.records import (
    Environment,
    Job,
    JobRecord,
    ModelRecord,
    OutputStatistics,
    Precision,
    Processor,
    Run,
    RunStatus,
)

LAUNCHES_WANTED = 5
REPEATS_VARIATION = 0.05
"""Standard deviation of the logarithms of launch medians that still counts as agreement."""
INTERVAL_WANTED = 0.10
"""Half the interval on the logarithms, where no precision was asked for."""
DRIFT = 0.05
"""Last third's median of a launch over its first third's, minus 1; and the trend over all launches."""
DRIFT_SCATTERS = 4.5
"""The same difference in median absolute deviations inside the thirds: three standard deviations."""
TREND_SCORE = 2.576
"""Of Mann and Kendall's test, in standard deviations: a chance of one in a hundred without a trend.

Source: https://doi.org/10.2307/1907187
"""
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


def verdict(case: Case) -> Verdict:
    """Applies every rule."""
    if not case.measured:
        return Verdict(validity=Validity.INVALID, reasons=("no_result",))
    invalid = [rule.reason for rule in INVALID_RULES if rule.fires(case)]
    semivalid = [rule.reason for rule in SEMIVALID_RULES if rule.fires(case)]
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
    """The verdict on every job that has a run, by its digest; see `counted`."""
    places = {environment.environment_sha256: environment for environment in environments}
    counts = {m.model_sha256: m for m in models if not m.uncounted_nodes}
    launches = counted(runs)
    outputs = _first_outputs(launches)
    jobs = list(jobs)
    sizes = _first_sizes(launches)
    of_model: dict[object, dict[str, Sizes]] = {}
    for record in jobs:
        if record.job_sha256 in sizes:
            group = of_model.setdefault(_same_input(record.job), {})
            group[record.job_sha256] = sizes[record.job_sha256]
    alike: dict[tuple[str, str | None], dict[str, Outputs]] = {}
    for record in jobs:
        if record.job_sha256 in outputs:
            fed, made_of_it = outputs[record.job_sha256]
            same = alike.setdefault((record.job.model_sha256, fed), {})
            same[record.job_sha256] = made_of_it
    found: dict[str, Verdict] = {}
    for record in jobs:
        made = launches.get(record.job_sha256)
        if made:
            fed, _ = outputs.get(record.job_sha256, (None, ()))
            same = alike.get((record.job.model_sha256, fed), {})
            group = of_model.get(_same_input(record.job), {})
            case = Case(
                job=record.job,
                runs=made,
                semantics=record.timing_semantics,
                environment=places.get(made[-1].environment_sha256),
                macs=_macs(record.job, counts.get(record.job.model_sha256)),
                launches=record.launches,
                precision=record.precision,
                others=[o for job, o in same.items() if job != record.job_sha256],
                other_sizes=[s for job, s in group.items() if job != record.job_sha256],
                imported=record.imported is not None,
            )
            found[record.job_sha256] = verdict(case)
    return found


Outputs = Sequence[OutputStatistics]


def _first_outputs(
    launches: Mapping[str, Sequence[Run]],
) -> dict[str, tuple[str | None, Outputs]]:
    """What the first good launch of each job was fed, by digest, and what came out."""
    found: dict[str, tuple[str | None, Outputs]] = {}
    for job, runs in launches.items():
        for run in runs:
            timings = run.timings
            if run.status is RunStatus.OK and timings is not None and timings.latency_s is not None:
                found[job] = (timings.input_sha256, timings.outputs)
                break
    return found


def _same_input(job: Job) -> tuple[object, ...]:
    """Jobs that are alike in this have to take inputs of one size."""
    return job.model_sha256, job.batch, job.input_shapes


def _first_sizes(launches: Mapping[str, Sequence[Run]]) -> dict[str, Sizes]:
    """What size of input the first good launch of each job took, where that is known."""
    found: dict[str, Sizes] = {}
    for job, runs in launches.items():
        for run in runs:
            if run.status is RunStatus.OK and run.timings is not None and run.timings.inputs:
                found[job] = input_sizes(run.timings.inputs)
                break
    return found


def _macs(job: Job, model: ModelRecord | None) -> int | None:
    """Those of the file, where the job gives no input another size than the file does."""
    if model is None:
        return None
    stated = {tensor.name: tensor.shape for tensor in model.inputs}
    same = all(stated.get(i.name) == tuple(map(str, i.shape)) for i in job.input_shapes)
    return model.macs if same else None


def counted(runs: Iterable[Run]) -> dict[str, list[Run]]:
    """The runs that count, by the digest of their job and in the order of launches.

    Of a launch that was tried again the last good end counts.
    """
    found: dict[str, dict[int, Run]] = {}
    for run in sorted(runs, key=lambda run: (run.status is RunStatus.OK, run.started_at)):
        found.setdefault(run.job_sha256, {})[run.launch] = run
    return {job: [made[n] for n in sorted(made)] for job, made in found.items()}


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


def _disagreements(case: Case) -> list[Outputs]:
    """Outputs of other jobs that this one's do not agree with."""
    mine = case.measured[0].outputs
    return [other for other in case.others if outputs_agree(mine, other) is False]


def _contradicted(case: Case) -> bool:
    """No other job agrees, and at least two of them agree with each other."""
    against = _disagreements(case)
    if len(against) < len(case.others):
        return False
    return any(outputs_agree(one, two) for one, two in combinations(against, 2))


def _disputed(case: Case) -> bool:
    return bool(_disagreements(case)) and not _contradicted(case)


def _fed(case: Case) -> set[Sizes]:
    return {input_sizes(timings.inputs) for timings in case.measured if timings.inputs}


def _other_input_size(case: Case) -> bool:
    """It took another size than was asked for, or than at least two others that agree."""
    fed = _fed(case)
    asked = input_sizes(case.job.input_shapes)
    if case.job.batch == 1 and any(not _holds(sizes, asked) for sizes in fed):
        return True
    if not fed or any(sizes in fed for sizes in case.other_sizes):
        return False
    return any(one == two for one, two in combinations(case.other_sizes, 2))


def _holds(sizes: Sizes, asked: Sizes) -> bool:
    left = list(sizes)
    for size in asked:
        if size not in left:
            return False
        left.remove(size)
    return True


def _input_sizes_differ(case: Case) -> bool:
    fed = _fed(case)
    differ = bool(fed) and any(sizes not in fed for sizes in case.other_sizes)
    return differ and not _other_input_size(case)


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


def _not_flat(case: Case) -> bool:
    """The warm-up gave up, or the steady inferences go on becoming slower or faster.

    A difference inside what inferences that resemble their neighbours show by chance does not count.
    """
    for timings in case.measured:
        if "not_flat" in timings.notes:
            return True
        third = len(timings.steady_s) // 3
        if third < 5:
            continue
        ends = (timings.steady_s[:third], timings.steady_s[-third:])
        early, late = (statistics.median(end) for end in ends)
        scatter = statistics.median(
            abs(sample - level)
            for end, level in zip(ends, (early, late), strict=True)
            for sample in end
        )
        if abs(late - early) > max(DRIFT * early, DRIFT_SCATTERS * scatter):
            return True
    return False


def _repeats_differ(case: Case) -> bool:
    variation = estimate(case.medians_s).variation
    return variation is not None and variation > REPEATS_VARIATION


def _ci_wide(case: Case) -> bool:
    half_width = estimate(case.medians_s).half_width
    wanted = INTERVAL_WANTED if case.precision is None else case.precision
    return half_width is not None and half_width > wanted


def _drift(case: Case) -> bool:
    """Launches become slower or faster one after the other, by more than chance lets them."""
    logs = [math.log(median) for median in case.medians_s]
    pairs = list(combinations(range(len(logs)), 2))
    score = sum((logs[b] > logs[a]) - (logs[b] < logs[a]) for a, b in pairs)
    n = len(logs)
    deviation = math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    if abs(score) - 1 <= TREND_SCORE * deviation:
        return False
    slope = statistics.median((logs[b] - logs[a]) / (b - a) for a, b in pairs)
    return abs(slope) * (n - 1) > DRIFT


def _bimodal(case: Case) -> bool:
    return any(t.steady_s and is_bimodal(t.steady_s) for t in case.measured)


def _clock_coarse(case: Case) -> bool:
    return any(
        timings.timer_resolution_s is not None
        and latency_s < CLOCK_STEPS_WANTED * timings.timer_resolution_s
        for timings, latency_s in zip(case.measured, case.medians_s, strict=True)
    )


def _not_finite(case: Case) -> bool:
    return any(o.not_finite for timings in case.measured for o in timings.outputs)


def _few_samples(case: Case) -> bool:
    counts = (timings.inferences for timings in case.measured)
    return any(n is not None and n < case.job.steady_minimum_count for n in counts)


def _other_threads(case: Case) -> bool:
    return any(t.observed_threads not in (None, case.job.threads) for t in case.measured)


def _other_precision(case: Case) -> bool:
    """It computed in another precision than was asked for; `float16 storage` is half precision."""
    if case.job.precision is Precision.AS_STORED:
        return False
    seen = (timings.observed_precision for timings in case.measured)
    return any(p is not None and p.split()[0] != case.job.precision for p in seen)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A row of the table.

    Attributes:
        reason: machine-readable name.
        validity: of a job that it fires on.
        meaning: one sentence for people.
        fires: whether it does; it does not where the rows lack what it needs.
    """

    reason: str
    validity: Validity
    meaning: str
    fires: Callable[[Case], bool]


def _rules(
    validity: Validity, rules: Mapping[str, tuple[str, Callable[[Case], bool]]]
) -> tuple[Rule, ...]:
    return tuple(
        Rule(reason=reason, validity=validity, meaning=meaning, fires=fires)
        for reason, (meaning, fires) in rules.items()
    )


INVALID_RULES = _rules(
    Validity.INVALID,
    {
        "no_output": ("The model gives no output.", _noted("no-output")),
        "wrong_output": (
            "Launches disagree on an output beyond rounding, or other engines agree on another one.",
            lambda case: _outputs_differ(case) or _contradicted(case),
        ),
        "other_input_size": (
            "It took an input of another size than was asked for, or than other engines took for the "
            "same model.",
            _other_input_size,
        ),
        "impossible_speed": (
            "Faster than any processor of these cores and frequency could be.",
            _impossible_speed,
        ),
        "silent_fallback": ("Another processor computed than was asked for.", _silent_fallback),
        "other_precision": ("It computed in another precision than asked for.", _other_precision),
        "rebooted": ("The device was started anew during a launch.", conditions.rebooted),
    },
)
SEMIVALID_RULES = _rules(
    Validity.SEMIVALID,
    {
        "launches_missing": (
            "Fewer launches were made than asked for.",
            lambda case: len(case.runs) < case.launches,
        ),
        "environments_differ": (
            "Launches ran on different devices, systems or settings.",
            lambda case: len({run.environment_sha256 for run in case.runs}) > 1,
        ),
        "outputs_disagree": (
            "Another engine gives another output for the same model and input; which one is right is "
            "not known.",
            _disputed,
        ),
        "input_sizes_differ": (
            "Another engine took another size of input for the same model; their times are not those "
            "of the same work.",
            _input_sizes_differ,
        ),
        "other_threads": ("Another number of threads computed than asked for.", _other_threads),
        "few_launches": (
            f"Fewer than {LAUNCHES_WANTED} launches ended well.",
            lambda case: len(case.measured) < LAUNCHES_WANTED,
        ),
        "launches_failed": (
            "Some launches did not end well.",
            lambda case: any(run.status is not RunStatus.OK for run in case.runs),
        ),
        "few_samples": ("A launch has fewer samples than asked for.", _few_samples),
        "ci_wide": (
            "The interval is wider than asked for, or than "
            f"{INTERVAL_WANTED:.0%} on each side where nothing was asked.",
            _ci_wide,
        ),
        "repeats_differ": (
            f"Launch medians vary by more than {REPEATS_VARIATION:.0%}.",
            _repeats_differ,
        ),
        "drift": (
            f"Launches became slower or faster in time, by more than {DRIFT:.0%} in all.",
            _drift,
        ),
        "not_flat": (
            "A warm-up ended at its limit, or a launch's last third differs from its first by more "
            f"than {DRIFT:.0%}.",
            _not_flat,
        ),
        "bimodal": ("The inferences of a launch form two groups with a gap.", _bimodal),
        "background_load": (
            "Other programs had the processor: load average, processor time of others, stolen time, "
            "tasks waiting, or a thread that did not get its core.",
            conditions.background_load,
        ),
        "throttled": (
            "The device reported heat, or took away some of its clock.",
            conditions.throttled,
        ),
        "frequency_changed": (
            "The fastest core's frequency differs between launches.",
            conditions.frequency_changed,
        ),
        "hot_start": (
            "A launch began much hotter than the coolest one.",
            conditions.hot_start,
        ),
        "battery_low": ("The battery was low.", conditions.battery_low),
        "charging": ("The battery was charging, which heats.", conditions.charging),
        "clock_coarse": ("A sample is few steps of the clock.", _clock_coarse),
        "aggregate_only": (
            "The tool keeps its samples to itself; each launch counts with what it sums up.",
            lambda case: any(not timings.steady_s for timings in case.measured),
        ),
        "libraries_differ": (
            "Launches ran different files of the library under the same version.",
            lambda case: len({run.library_sha256 for run in case.runs} - {None}) > 1,
        ),
        "imported": (
            "Somebody else measured it; what the file does not state is not known.",
            lambda case: case.imported,
        ),
        "weights_fake": (
            "The engine runs with weights of its own making.",
            lambda case: case.semantics is not None and not case.semantics.real_weights,
        ),
        "output_not_finite": ("An output has elements that are no numbers.", _not_finite),
        "output_zero": ("All outputs are zero.", _noted("outputs-all-zero")),
        "output_changes": (
            "Equal inputs gave different outputs in one launch.",
            _noted("outputs-change"),
        ),
    },
)
RULES = (*INVALID_RULES, *SEMIVALID_RULES)
"""The table. A rule over a value that no row has does not fire."""
