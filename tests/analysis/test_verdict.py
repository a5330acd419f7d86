"""Each reason is given where it must be and nowhere else."""

import dataclasses
from collections.abc import Sequence

import pytest

from gaugenn.analysis.verdict import (
    RULES,
    SEMIVALID_RULES,
    Case,
    Validity,
    Verdict,
    verdict,
    verdicts,
)
from gaugenn.records import (
    Aggregate,
    Environment,
    FileKind,
    Imported,
    InputShape,
    Job,
    JobRecord,
    ModelRecord,
    OutputStatistics,
    Precision,
    Processor,
    Reading,
    Run,
    RunStatus,
    Statistic,
    TensorInfo,
    Timings,
    TimingSemantics,
)

OUTPUT = OutputStatistics(
    name="y",
    dtype="float32",
    shape=(1, 10),
    sha256="1" * 64,
    minimum=-1.0,
    maximum=1.0,
    mean=0.1,
    standard_deviation=0.5,
    not_finite=0,
)
TIMINGS = Timings(
    load_s=0.01,
    prepare_s=0.01,
    first_s=0.02,
    warmup_s=(0.01,) * 3,
    steady_s=(0.010, 0.0101, 0.0099) * 10,
    phases="load, prepare",
    peak_memory_bytes=1 << 26,
    load_memory_bytes=1 << 25,
    process_cpu_s=0.3,
    timer_resolution_s=1e-7,
    outputs=(OUTPUT,),
    input_sha256="2" * 64,
    engine_version="1",
    observed_processor=Processor.CPU,
    observed_precision=None,
    observed_threads=1,
)
RUN = Run(
    job_sha256="3" * 64,
    launch=0,
    status=RunStatus.OK,
    reason=None,
    timings=TIMINGS,
    started_at="2026-01-01T00:00:00+00:00",
    wall_s=1.0,
    load_average=0.5,
    environment_sha256="4" * 64,
    argv=(),
    log_tail="",
)
ENVIRONMENT = Environment(
    environment_sha256="4" * 64,
    device="host",
    device_kind="host",
    operating_system="",
    kernel="",
    architecture="",
    processor_model="",
    logical_cores=2,
    memory_bytes=None,
    maximum_frequency_hz=2_000_000_000,
    governor=None,
    gaugenn_version="0",
)
JOB = Job(model_sha256="5" * 64, format="onnx", engine="x", engine_version="1", device="host")
SEMANTICS = TimingSemantics(
    real_weights=True, input_preparation_timed=False, output_copy_timed=False, raw_samples=True
)


def run(**changes: object) -> Run:
    """A good launch with other timings."""
    return dataclasses.replace(RUN, timings=dataclasses.replace(TIMINGS, **changes))  # type: ignore[arg-type]


def judged(
    runs: Sequence[Run] = (RUN,) * 5,
    job: Job = JOB,
    semantics: TimingSemantics = SEMANTICS,
    macs: int | None = None,
) -> Verdict:
    case = Case(job=job, runs=runs, semantics=semantics, environment=ENVIRONMENT, macs=macs)
    return verdict(case)


def with_one(odd: Run) -> list[Run]:
    return [RUN, RUN, odd, RUN, RUN]


def output(**changes: object) -> tuple[OutputStatistics, ...]:
    return (dataclasses.replace(OUTPUT, **changes),)  # type: ignore[arg-type]


def test_good_launches_are_valid() -> None:
    assert judged(macs=300_000_000) == Verdict(validity=Validity.VALID, reasons=())


def test_no_launch_that_ended_well_is_no_result() -> None:
    failed = dataclasses.replace(RUN, status=RunStatus.CRASHED, timings=None)
    for runs in ([], [failed], [run(steady_s=())]):
        assert judged(runs) == Verdict(validity=Validity.INVALID, reasons=("no_result",))


SEMIVALID_CASES: list[tuple[str, Run]] = [
    ("launches_failed", dataclasses.replace(RUN, status=RunStatus.TIMEOUT, timings=None)),
    ("few_samples", run(steady_s=(0.01,) * 19, process_cpu_s=0.19)),
    ("repeats_differ", run(steady_s=(0.012,) * 30, process_cpu_s=0.36)),
    ("not_flat", run(steady_s=(0.01,) * 15 + (0.0107,) * 15, process_cpu_s=0.31)),
    ("background_load", run(process_cpu_s=0.2)),
    ("background_load", dataclasses.replace(RUN, load_average=2.5)),
    ("not_flat", run(notes=("not_flat",))),
    ("bimodal", run(steady_s=(0.0099, 0.0101, 0.012, 0.01) * 15, process_cpu_s=0.7)),
    ("clock_coarse", run(timer_resolution_s=2e-4)),
    ("output_not_finite", run(outputs=output(not_finite=1))),
    ("output_zero", run(notes=("outputs-all-zero",))),
    ("output_changes", run(notes=("outputs-change",))),
]


@pytest.mark.parametrize(("reason", "odd"), SEMIVALID_CASES)
def test_one_odd_launch_of_five_gives_exactly_its_reason(reason: str, odd: Run) -> None:
    found = judged([*with_one(odd), RUN])
    assert found.validity is Validity.SEMIVALID
    assert found.reasons == (reason,)


def reading(key: str, value: float | str, instance: str = "") -> Reading:
    if isinstance(value, str):
        return Reading(key=key, instance=instance, text=value)
    return Reading(key=key, instance=instance, number=value)


def state(before: Sequence[Reading] = (), after: Sequence[Reading] = (), **changes: object) -> Run:
    """A good launch of two seconds with other readings."""
    return dataclasses.replace(
        RUN,
        before=tuple(before),
        after=tuple(after),
        wall_s=2.0,
        cpu_s=1.0,
        **changes,  # type: ignore[arg-type]
    )


LIMIT = "core_frequency_upper_limit_hz"
CONDITION_CASES: list[tuple[str, Run, Run]] = [
    (
        "background_load",
        state([reading("load_average", 1.0)]),
        state([reading("load_average", 2.5)], load_average=None),
    ),
    (
        "background_load",
        state([reading("cpu_busy_s", 10)], [reading("cpu_busy_s", 11.9)]),
        state([reading("cpu_busy_s", 10)], [reading("cpu_busy_s", 12.1)]),
    ),
    (
        "background_load",
        state([reading("cpu_steal_s", 10)], [reading("cpu_steal_s", 10.03)]),
        state([reading("cpu_steal_s", 10)], [reading("cpu_steal_s", 10.05)]),
    ),
    (
        "background_load",
        state([reading("cpu_pressure_s", 10)], [reading("cpu_pressure_s", 10.3)]),
        state([reading("cpu_pressure_s", 10)], [reading("cpu_pressure_s", 10.5)]),
    ),
    (
        "throttled",
        state([], [reading("thermal_status", 0)]),
        state([], [reading("thermal_status", 1)]),
    ),
    (
        "throttled",
        state([reading(LIMIT, 2e9, "cpu0")], [reading(LIMIT, 1.95e9, "cpu0")]),
        state([reading(LIMIT, 2e9, "cpu0")], [reading(LIMIT, 1.8e9, "cpu0")]),
    ),
    (
        "frequency_changed",
        state([], [reading("core_frequency_hz", 2e9, "cpu0")]),
        state([], [reading("core_frequency_hz", 1.7e9, "cpu0")]),
    ),
    (
        "hot_start",
        state([reading("temperature_c", 40, "cpu")]),
        state([reading("temperature_c", 60, "cpu")]),
    ),
    ("battery_low", state([reading("battery_level", 0.9)]), state([reading("battery_level", 0.1)])),
    (
        "charging",
        state([reading("battery_state", "discharging")]),
        state([reading("battery_state", "charging")]),
    ),
]


@pytest.mark.parametrize(("reason", "usual", "odd"), CONDITION_CASES)
def test_a_device_that_was_not_itself_gives_exactly_its_reason(
    reason: str, usual: Run, odd: Run
) -> None:
    assert judged([usual] * 5).validity is Validity.VALID
    found = judged([usual] * 4 + [odd])
    assert found == Verdict(validity=Validity.SEMIVALID, reasons=(reason,))


def test_inferences_that_resemble_their_neighbours_do_not_drift() -> None:
    waves = [0.01 * (1 + 0.03 * (-1) ** (n // 5)) for n in range(15)]
    slow = [1.06 * value for value in waves]
    assert judged([run(steady_s=(*waves, *slow), process_cpu_s=0.4)] * 6).validity is Validity.VALID


def test_different_cores_may_have_different_limits() -> None:
    both = [reading(LIMIT, 2e9, "cpu0"), reading(LIMIT, 1e9, "cpu4")]
    assert judged([state(both, both)] * 5).validity is Validity.VALID


def test_a_counter_that_began_anew_says_nothing() -> None:
    odd = state([reading("cpu_steal_s", 10)], [reading("cpu_steal_s", 1)])
    assert judged([odd] * 5).validity is Validity.VALID


def test_a_launch_during_which_the_device_was_started_anew_is_invalid() -> None:
    odd = state([reading("boot_id", "a")], [reading("boot_id", "b")])
    assert judged([*with_one(odd)]).reasons == ("rebooted",)
    earlier = state([reading("boot_id", "a")], [reading("boot_id", "a")])
    later = state([reading("boot_id", "b")], [reading("boot_id", "b")])
    assert judged([earlier] * 3 + [later] * 3).validity is Validity.VALID


def levels(*values: float) -> list[Run]:
    return [run(steady_s=(v,) * 30, process_cpu_s=30 * v) for v in values]


def test_launches_that_become_slower_one_after_the_other_drift() -> None:
    rising = [0.01 * 1.01**n for n in range(8)]
    assert judged(levels(*rising)).reasons == ("drift",)
    assert judged(levels(*rising[::-1])).reasons == ("drift",)
    assert judged(levels(*(0.01 * 1.001**n for n in range(8)))).validity is Validity.VALID
    mixed = [rising[n] for n in (3, 0, 6, 1, 7, 2, 5, 4)]
    assert judged(levels(*mixed)).validity is Validity.VALID


def test_an_interval_is_wide_by_what_was_asked_for() -> None:
    runs = levels(0.0098, 0.01, 0.0102, 0.0099, 0.0101, 0.01)
    assert judged(runs).validity is Validity.VALID
    case = Case(job=JOB, runs=runs, semantics=SEMANTICS, environment=ENVIRONMENT, precision=0.01)
    assert verdict(case).reasons == ("ci_wide",)
    record = JobRecord(
        job_sha256=RUN.job_sha256,
        job=JOB,
        launches=5,
        timing_semantics=SEMANTICS,
        precision=0.01,
    )
    numbered = [dataclasses.replace(run, launch=n) for n, run in enumerate(runs)]
    found = verdicts([record], numbered, [ENVIRONMENT], [])
    assert found[RUN.job_sha256].reasons == ("ci_wide",)
    assert "ci_wide" in judged(levels(0.01, 0.01, 0.013)).reasons


def test_many_launches_may_lie_further_apart_than_few() -> None:
    spread = [0.01 * (1.015 if n % 2 else 1 / 1.015) for n in range(28)]
    assert judged(levels(*spread, 0.0106, 0.0094)).validity is Validity.VALID


def test_few_launches_are_semivalid() -> None:
    assert judged([RUN] * 4) == Verdict(validity=Validity.SEMIVALID, reasons=("few_launches",))


def test_weights_that_are_not_real_are_semivalid() -> None:
    fake = dataclasses.replace(SEMANTICS, real_weights=False)
    assert judged(semantics=fake).reasons == ("weights_fake",)


def test_shared_processor_time_is_judged_for_one_thread_only() -> None:
    job = dataclasses.replace(JOB, threads=2)
    found = judged([run(process_cpu_s=0.2, observed_threads=2)] * 5, job)
    assert found.validity is Validity.VALID


def test_other_threads_than_asked_for_are_semivalid() -> None:
    threads = dataclasses.replace(JOB, threads=2)
    assert judged([run(observed_threads=1)] * 5, threads).reasons == ("other_threads",)


def test_another_precision_than_asked_for_is_invalid() -> None:
    half = dataclasses.replace(JOB, precision=Precision.FLOAT16)
    found = judged([run(observed_precision="float32")] * 5, half)
    assert found == Verdict(validity=Validity.INVALID, reasons=("other_precision",))
    assert judged([run(observed_precision="float16 storage")] * 5, half).validity is Validity.VALID
    assert judged([run(observed_precision="float32")] * 5).validity is Validity.VALID


def test_jobs_are_judged_by_their_stored_rows() -> None:
    record = JobRecord(job_sha256=RUN.job_sha256, job=JOB, launches=6, timing_semantics=SEMANTICS)
    runs = [dataclasses.replace(RUN, launch=n) for n in range(5)]
    found = verdicts([record], runs, [ENVIRONMENT], [])
    assert found[RUN.job_sha256].reasons == ("launches_missing",)
    elsewhere = dataclasses.replace(RUN, launch=5, environment_sha256="6" * 64)
    found = verdicts([record], [*runs, elsewhere], [ENVIRONMENT], [])
    assert found[RUN.job_sha256].reasons == ("environments_differ",)
    lost = dataclasses.replace(RUN, launch=5, status=RunStatus.LOST, timings=None)
    again = dataclasses.replace(RUN, launch=5)
    found = verdicts([record], [*runs, again, lost], [ENVIRONMENT], [])
    assert found[RUN.job_sha256].validity is Validity.VALID


@pytest.mark.parametrize(
    "other",
    [
        output(sha256="9" * 64, mean=0.2),
        output(sha256="9" * 64, mean=None),
        output(shape=(1, 11)),
        output(dtype="int8"),
        output(name="z"),
        (OUTPUT, OUTPUT),
        (),
    ],
)
def test_launches_that_disagree_on_their_output_are_invalid(
    other: tuple[OutputStatistics, ...],
) -> None:
    found = judged(with_one(run(outputs=other)))
    assert found.validity is Validity.INVALID
    assert found.reasons[0] == "wrong_output"


def test_outputs_that_differ_by_rounding_alone_agree() -> None:
    rounded = run(outputs=output(sha256="9" * 64, mean=0.1 + 1e-6))
    assert judged(with_one(rounded)).validity is Validity.VALID


def test_a_speed_that_no_processor_has_is_invalid() -> None:
    quick = [run(steady_s=(2e-6,) * 30, process_cpu_s=6e-5, timer_resolution_s=1e-9)] * 5
    assert judged(quick, macs=4_100_000_000).reasons == ("impossible_speed",)
    assert judged(quick, macs=4_000_000).validity is Validity.VALID
    assert judged(quick).validity is Validity.VALID
    larger = dataclasses.replace(JOB, batch=1000)
    assert judged(quick, larger, macs=4_100_000).reasons == ("impossible_speed",)


def test_a_processor_that_was_not_asked_for_is_invalid() -> None:
    job = dataclasses.replace(JOB, processor=Processor.GPU)
    assert judged(job=job).reasons == ("silent_fallback",)
    assert judged([run(observed_processor=None)] * 5, job).validity is Validity.VALID


def test_no_output_is_invalid_and_caveats_are_named_with_it() -> None:
    found = judged([run(notes=("no-output",), outputs=())])
    assert found == Verdict(validity=Validity.INVALID, reasons=("no_output", "few_launches"))


def test_an_aggregate_counts_with_its_value_and_a_caveat() -> None:
    def summed(value_s: float, **changes: object) -> Run:
        aggregate = Aggregate(statistic=Statistic.MEAN, value_s=value_s, count=50, mean_s=value_s)
        return run(steady_s=(), outputs=(), aggregate=aggregate, **changes)

    assert judged([summed(0.01)] * 5).reasons == ("aggregate_only",)
    spread = judged([summed(v) for v in (0.01, 0.013, 0.01, 0.014, 0.01)])
    assert "repeats_differ" in spread.reasons
    job = dataclasses.replace(JOB, steady_minimum_count=60)
    assert judged([summed(0.01)] * 5, job).reasons == ("few_samples", "aggregate_only")
    coarse = judged([summed(0.01, timer_resolution_s=0.001)] * 5)
    assert coarse.reasons == ("clock_coarse", "aggregate_only")
    macs = judged([summed(1e-6)] * 5, macs=4_100_000_000)
    assert macs.reasons[0] == "impossible_speed"


def test_other_files_of_a_library_under_one_version_are_seen() -> None:
    runs = [
        dataclasses.replace(run(), launch=n, library_sha256=digest)
        for n, digest in enumerate(("a", "a", None, "b", "b"))
    ]
    assert judged(runs).reasons == ("libraries_differ",)
    same = [dataclasses.replace(one, library_sha256="a") for one in runs]
    assert judged(same).validity is Validity.VALID


def test_what_others_measured_is_marked() -> None:
    record = JobRecord(job_sha256=RUN.job_sha256, job=JOB, launches=5)
    runs = [dataclasses.replace(run(), launch=n) for n in range(5)]
    origin = Imported(form="mlperf", tool="LoadGen", model="m")
    for imported, reasons in ((None, ()), (origin, ("imported",))):
        asked = dataclasses.replace(record, imported=imported)
        assert verdicts([asked], runs, [], [])[RUN.job_sha256].reasons == reasons


def sizes_judged(*sizes: Sequence[int], asked: Sequence[int] = ()) -> list[tuple[str, ...]]:
    """Reasons for jobs of several engines that took one input of these sizes."""
    given = (InputShape(name="image", shape=tuple(asked)),) if asked else ()
    records, runs = [], list[Run]()
    for number, size in enumerate(sizes):
        job = dataclasses.replace(JOB, engine=f"engine{number}", input_shapes=given)
        records.append(JobRecord(job_sha256=job.job_sha256, job=job, launches=5))
        taken = run(inputs=(InputShape(name=f"in{number}", shape=tuple(size)),))
        runs += [dataclasses.replace(taken, job_sha256=job.job_sha256, launch=n) for n in range(5)]
    found = verdicts(records, runs, [ENVIRONMENT], [])
    return [found[r.job_sha256].reasons for r in records]


def test_an_engine_that_took_another_size_than_all_others_is_wrong() -> None:
    """One library at 395 x 395 where the others had 299 x 299, as published logs have it."""
    odd, right, also = sizes_judged((1, 3, 395, 395), (1, 3, 299, 299), (1, 3, 299, 299))
    assert odd == ("other_input_size",)
    assert right == also == ("input_sizes_differ",)
    slip, right, also = sizes_judged((1, 3, 229, 227), (1, 227, 227, 3), (3, 227, 227))
    assert slip == ("other_input_size",)
    assert right == also == ("input_sizes_differ",)


def test_of_two_sizes_neither_is_known_to_be_right_unless_one_was_asked_for() -> None:
    assert sizes_judged((1, 3, 395, 395), (1, 3, 299, 299)) == [("input_sizes_differ",)] * 2
    odd, right = sizes_judged((1, 3, 395, 395), (1, 3, 299, 299), asked=(1, 3, 299, 299))
    assert odd == ("other_input_size",)
    assert right == ("input_sizes_differ",)


def test_layouts_and_dropped_batches_are_no_other_size() -> None:
    same = sizes_judged((1, 3, 224, 192), (1, 224, 192, 3), (3, 224, 192), asked=(1, 3, 224, 192))
    assert same == [()] * 3


def test_every_reason_has_a_name_of_its_own_and_a_test() -> None:
    names = [rule.reason for rule in RULES]
    assert len(names) == len(set(names))
    tested = {reason for reason, _ in SEMIVALID_CASES} | {
        *(reason for reason, _, _ in CONDITION_CASES),
        *("few_launches", "weights_fake", "launches_missing", "drift", "ci_wide"),
        *("environments_differ", "other_threads", "outputs_disagree"),
        *("aggregate_only", "libraries_differ", "imported", "input_sizes_differ"),
    }
    assert tested == {rule.reason for rule in SEMIVALID_RULES}
    assert all(rule.meaning.endswith(".") for rule in RULES)


def test_what_runs_beside_a_job_on_purpose_is_no_background_load() -> None:
    busy = state([reading("cpu_busy_s", 0.0)], [reading("cpu_busy_s", 100.0)])
    assert "background_load" in judged([busy] * 5).reasons
    beside = dataclasses.replace(JOB, companion=f"{'b' * 64}@null==1")
    assert judged([busy] * 5, job=beside).reasons == ()


def test_a_speed_is_judged_where_a_job_states_the_sizes_that_the_file_has() -> None:
    """A conversion that computes nothing: 4 GMACs in 2 microseconds, as published logs have it."""
    tensor = TensorInfo(name="x", dtype="float32", shape=("1", "3", "224", "224"))
    model = ModelRecord(
        model_sha256=JOB.model_sha256,
        kind=FileKind.MODEL,
        format="ncnn",
        size_bytes=1,
        inputs=(tensor,),
        macs=4_000_000_000,
    )
    fast = run(steady_s=(0.000_002,) * 20, process_cpu_s=0.000_04)
    for sizes, reasons in (((1, 3, 224, 224), True), ((1, 3, 8, 8), False)):
        job = dataclasses.replace(JOB, input_shapes=(InputShape(name="x", shape=sizes),))
        record = JobRecord(job_sha256=job.job_sha256, job=job, launches=5)
        runs = [dataclasses.replace(fast, job_sha256=job.job_sha256, launch=n) for n in range(5)]
        found = verdicts([record], runs, [ENVIRONMENT], [model])[job.job_sha256]
        assert ("impossible_speed" in found.reasons) is reasons
