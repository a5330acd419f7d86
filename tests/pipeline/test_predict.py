"""From a study's rows to predictions: kept apart from results, never leaking, refused where too few."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gaugenn import api, cli
from gaugenn.errors import UsageError
from gaugenn.records import (
    App,
    AppFile,
    FileKind,
    Job,
    JobRecord,
    LayerClass,
    LayerRecord,
    ModelRecord,
    OperatorTiming,
    PackageKind,
    PredictedLatency,
    ProfileMethod,
    Run,
    RunStatus,
    Timings,
    digest,
)
from gaugenn.store import Record, Study

CONVOLUTION_S, DEPTHWISE_S = 2e-11, 4e-10
"""A MAC's."""
MEASURED, UNSEEN = 14, 3
LAUNCHES = 5


def sha(number: int) -> str:
    return digest(f"model {number}")


def macs_of(number: int) -> tuple[int, int]:
    """Of ordinary and of depthwise convolutions: the share differs from model to model."""
    total = 1e6 * 2.0 ** (number % 9)
    share = (0.02, 0.5, 0.2, 0.05, 0.35)[number % 5]
    return round(total * (1 - share)), round(total * share)


def latency_s(number: int) -> float:
    ordinary, depthwise = macs_of(number)
    return CONVOLUTION_S * ordinary + DEPTHWISE_S * depthwise


def model_rows(number: int) -> list[Record]:
    app = digest("app")
    macs = macs_of(number)
    kinds = (LayerClass.CONVOLUTION, LayerClass.DEPTHWISE_CONVOLUTION)
    return [
        AppFile(
            app_sha256=app,
            member=f"net{number}.tflite",
            size_bytes=1,
            sha256=sha(number),
            kind=FileKind.MODEL,
            format="tflite",
            model_sha256=sha(number),
        ),
        ModelRecord(
            model_sha256=sha(number),
            kind=FileKind.MODEL,
            format="tflite",
            size_bytes=1,
            macs=sum(macs),
            flops=2 * sum(macs),
            architecture_sha256=digest(f"architecture {number}"),
        ),
        *(
            LayerRecord(
                model_sha256=sha(number),
                graph=0,
                position=position,
                name="",
                operator="Conv",
                source_operator=("CONV_2D", "DEPTHWISE_CONV_2D")[position],
                macs=macs[position],
                flops=2 * macs[position],
                elementwise_operations=0,
                parameters=1,
                weights_bytes=4,
                output_shape=(1,),
                output_bytes=4,
                layer_class=kinds[position],
            )
            for position in range(2)
        ),
    ]


def job(number: int) -> Job:
    return Job(
        model_sha256=sha(number),
        format="tflite",
        engine="litert",
        engine_version="2.3.0",
        device="host",
    )


def bench_rows(number: int) -> list[Record]:
    planned = job(number)
    timings = Timings(
        load_s=0.1,
        prepare_s=0.1,
        first_s=0.1,
        warmup_s=(),
        steady_s=(latency_s(number),) * 25,
        phases="load, prepare",
        peak_memory_bytes=None,
        load_memory_bytes=None,
        process_cpu_s=None,
        timer_resolution_s=None,
        outputs=(),
        input_sha256=None,
        engine_version="2.3.0",
        observed_processor=None,
        observed_precision=None,
        observed_threads=None,
    )
    run = Run(
        job_sha256=planned.job_sha256,
        launch=0,
        status=RunStatus.OK,
        reason=None,
        timings=timings,
        started_at="2026-01-01T00:00:00+00:00",
        wall_s=1.0,
        load_average=None,
        environment_sha256="e",
        argv=(),
        log_tail="",
    )
    return [
        JobRecord(job_sha256=planned.job_sha256, job=planned, launches=LAUNCHES),
        *(replace(run, launch=launch) for launch in range(LAUNCHES)),
    ]


@pytest.fixture
def make(tmp_path: Path) -> Callable[[int], Study]:
    def made(measured: int) -> Study:
        study = Study.create(tmp_path / "s")
        app = App(
            path="a.apk",
            app_sha256=digest("app"),
            size_bytes=1,
            modified_ns=1,
            kind=PackageKind.APK,
        )
        models = range(MEASURED + UNSEEN)
        study.write([app, *(row for number in models for row in model_rows(number))])
        study.write([row for number in range(measured) for row in bench_rows(number)])
        return study

    return made


def test_models_that_were_not_measured_get_a_prediction_and_the_others_a_check(
    make: Callable[[int], Study],
) -> None:
    study = make(MEASURED)
    found = api.predict(study.path)
    assert {row.model_sha256 for row in found.rows} == {
        sha(number) for number in range(MEASURED, MEASURED + UNSEEN)
    }
    for number in range(MEASURED, MEASURED + UNSEEN):
        (row,) = (row for row in found.rows if row.model_sha256 == sha(number))
        assert row.latency_s == pytest.approx(latency_s(number), rel=0.02)
        assert row.low_s <= row.latency_s <= row.high_s
        assert row.measured_s is None
        assert (row.law, row.examples, row.architectures) == ("parts", MEASURED, MEASURED)
        assert row.error_factor < 1.05 < row.baseline_factor
    assert {row.model_sha256 for row in found.checks} == {sha(n) for n in range(MEASURED)}
    stored = study.rows(PredictedLatency)
    assert len(stored) == MEASURED + UNSEEN
    results = api.query(study.path, "SELECT DISTINCT model_sha256 FROM results").to_pydict()
    assert set(results["model_sha256"]) == {sha(n) for n in range(MEASURED)}


def test_a_second_prediction_takes_the_place_of_the_first(make: Callable[[int], Study]) -> None:
    study = make(MEASURED)
    first, second = api.predict(study.path), api.predict(study.path, ["net15.tflite"])
    assert [row.model_sha256 for row in second.rows] == [sha(15)]
    assert len(study.rows(PredictedLatency)) == MEASURED + UNSEEN
    again = next(row for row in first.rows if row.model_sha256 == sha(15))
    assert second.rows[0].latency_s == again.latency_s, "the seed is fixed"


def test_profiles_whose_operators_are_in_the_graph_are_more_equations(
    make: Callable[[int], Study], monkeypatch: pytest.MonkeyPatch
) -> None:
    study = make(MEASURED)
    ordinary, depthwise = macs_of(3)
    times = (CONVOLUTION_S * ordinary, DEPTHWISE_S * depthwise)
    for number, names in ((3, ("CONV_2D", "DEPTHWISE_CONV_2D")), (4, ("a", "b"))):
        study.write(
            OperatorTiming(
                job_sha256=job(number).job_sha256,
                position=position,
                name="",
                operator=name,
                kernel="",
                durations_s=(seconds, seconds),
                method=ProfileMethod.PROFILER,
            )
            for position, (name, seconds) in enumerate(zip(names, times, strict=True))
        )
    seen = {}

    def noted(examples: list[object]) -> None:
        seen.update({e.model: e.operators for e in examples})  # type: ignore[attr-defined]
        raise UsageError("enough")

    monkeypatch.setattr("gaugenn.pipeline.predict.fit", noted)
    assert list(api.predict(study.path).refused.values()) == ["enough"]
    assert [seconds for _, seconds in seen[sha(3)]] == [pytest.approx(t) for t in times]
    assert [work.total_macs for work, _ in seen[sha(3)]] == [ordinary, depthwise]
    assert seen[sha(4)] == (), "none of its operators has a name of the graph's"


def test_too_few_architectures_are_refused_and_nothing_is_stored(
    make: Callable[[int], Study], capsys: pytest.CaptureFixture[str]
) -> None:
    study = make(6)
    assert cli.main(["predict", str(study.path)]) == 1
    text = capsys.readouterr().err
    assert "6 measured architectures are too few" in text
    assert "10 are needed, so measure 4 more" in text
    assert study.rows(PredictedLatency) == []


def test_the_command_says_that_numbers_are_predicted_and_how_wrong_they_are(
    make: Callable[[int], Study], capsys: pytest.CaptureFixture[str]
) -> None:
    study = make(MEASURED)
    assert cli.main(["predict", str(study.path), "net14.tflite", "--engine", "litert"]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert "predicted, ms" in head
    assert row.startswith("net14.tflite")
    assert f"{1e3 * latency_s(14):.2g}"[:3] in row
    assert cli.main(["predict", str(study.path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["rows"]) == UNSEEN
    assert all(math.isfinite(row["error_factor"]) for row in found["rows"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"models": ["nothing"]}, "no model 'nothing'"),
        ({"device": "adb:X"}, "nothing was measured .* on adb:X"),
        ({"engine": "litert==9"}, "nothing was measured .* with litert==9"),
    ],
)
def test_what_is_not_there_is_named(
    make: Callable[[int], Study], arguments: dict[str, object], message: str
) -> None:
    study = make(1)
    with pytest.raises(UsageError, match=message):
        api.predict(study.path, **arguments)  # type: ignore[arg-type]


def test_planted_latencies_do_not_follow_from_operations_alone() -> None:
    totals = np.log([sum(macs_of(n)) for n in range(MEASURED)])
    levels = np.log([latency_s(n) for n in range(MEASURED)])
    slope, intercept = np.polyfit(totals, levels, 1)
    assert np.abs(levels - slope * totals - intercept).max() > 0.3
