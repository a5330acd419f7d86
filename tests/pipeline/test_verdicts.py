"""Every verdict rule fires from rows that were written to a study and read again."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tests.analysis import test_verdict as cases

from gaugenn import api
from gaugenn.analysis.verdict import RULES
from gaugenn.records import (
    Aggregate,
    FileKind,
    Imported,
    InputShape,
    JobRecord,
    ModelRecord,
    Precision,
    Processor,
    Run,
    Statistic,
)
from gaugenn.store import Study

JOB, RUN, TIMINGS = cases.JOB, cases.RUN, cases.TIMINGS
RECORD = JobRecord(job_sha256=JOB.job_sha256, job=JOB, launches=5, timing_semantics=cases.SEMANTICS)
GPU = replace(JOB, processor=Processor.GPU)
HALF = replace(JOB, precision=Precision.FLOAT16)
TWO = replace(JOB, threads=2)
SIZED = replace(JOB, input_shapes=(InputShape(name="x", shape=(1, 3, 299, 299)),))
FAKE = replace(cases.SEMANTICS, real_weights=False)
SUMMED = cases.run(
    steady_s=(),
    outputs=(),
    aggregate=Aggregate(statistic=Statistic.MEAN, value_s=0.01, count=50, mean_s=0.01),
)
FAST = replace(RUN, timings=replace(TIMINGS, steady_s=(2e-6,) * 30, process_cpu_s=6e-5))

Rows = tuple[JobRecord, Sequence[Run]]
CASES: dict[str, Rows] = {
    **{reason: (RECORD, [RUN, RUN, odd, RUN, RUN]) for reason, odd in cases.SEMIVALID_CASES},
    **{reason: (RECORD, [usual] * 4 + [odd]) for reason, usual, odd in cases.CONDITION_CASES},
    "launches_missing": (replace(RECORD, launches=6), [RUN] * 5),
    "few_launches": (replace(RECORD, launches=4), [RUN] * 4),
    "environments_differ": (RECORD, [RUN] * 4 + [replace(RUN, environment_sha256="6" * 64)]),
    "drift": (RECORD, cases.levels(*(0.01 * 1.01**n for n in range(8)))),
    "ci_wide": (RECORD, cases.levels(0.01, 0.01, 0.013, 0.009, 0.01)),
    "weights_fake": (replace(RECORD, timing_semantics=FAKE), [RUN] * 5),
    "other_threads": (replace(RECORD, job=TWO), [RUN] * 5),
    "other_precision": (
        replace(RECORD, job=HALF),
        [cases.run(observed_precision="float32")] * 5,
    ),
    "silent_fallback": (replace(RECORD, job=GPU), [RUN] * 5),
    "no_output": (RECORD, [cases.run(notes=("no-output",), outputs=())] * 5),
    "wrong_output": (
        RECORD,
        [RUN, cases.run(outputs=cases.output(sha256="9" * 64, mean=0.2)), RUN, RUN, RUN],
    ),
    "impossible_speed": (RECORD, [FAST] * 5),
    "other_input_size": (
        JobRecord(job_sha256="", job=SIZED, launches=5),
        [cases.run(inputs=(InputShape(name="x", shape=(1, 3, 395, 395)),))] * 5,
    ),
    "aggregate_only": (RECORD, [SUMMED] * 5),
    "libraries_differ": (RECORD, [replace(RUN, library_sha256=d) for d in "aaabb"]),
    "imported": (
        replace(RECORD, imported=Imported(form="mlperf", tool="LoadGen", model="m")),
        [RUN] * 5,
    ),
    "rebooted": (
        RECORD,
        [RUN] * 4 + [cases.state([cases.reading("boot_id", "a")], [cases.reading("boot_id", "b")])],
    ),
}
MODEL = ModelRecord(
    model_sha256=JOB.model_sha256,
    kind=FileKind.MODEL,
    format="onnx",
    size_bytes=1,
    macs=4_100_000_000,
)


def stored(folder: Path, record: JobRecord, runs: Sequence[Run]) -> dict[str, list[str]]:
    """Validity and reasons by `gaugenn query`, after a way through Parquet."""
    name = record.job.job_sha256
    models = [MODEL] if runs[0] is FAST else []
    study = Study.create(folder)
    study.write(
        [
            replace(record, job_sha256=name),
            cases.ENVIRONMENT,
            *models,
            *(replace(run, job_sha256=name, launch=n) for n, run in enumerate(runs)),
        ]
    )
    found = api.query(study.path, "SELECT validity, reasons FROM verdicts")
    return {row["validity"]: row["reasons"] for row in found.to_pylist()}


AMONG_OTHERS = {"outputs_disagree", "input_sizes_differ"}
"""Rules that one job alone cannot break."""


@pytest.mark.parametrize(
    "reason", [rule.reason for rule in RULES if rule.reason not in AMONG_OTHERS]
)
def test_a_rule_fires_from_stored_rows_and_gives_its_validity(reason: str, tmp_path: Path) -> None:
    record, runs = CASES[reason]
    ((validity, reasons),) = stored(tmp_path / "s", record, runs).items()
    rule = next(rule for rule in RULES if rule.reason == reason)
    assert reason in reasons
    assert validity == rule.validity


def test_good_rows_are_valid(tmp_path: Path) -> None:
    assert stored(tmp_path / "s", RECORD, [RUN] * 5) == {"valid": []}
