"""Every form is read by its own tool or parser, and says what the study says."""

import json
import statistics
from pathlib import Path

import numpy as np
import pyperf
import pytest

from gaugenn import api, interchange, plugins
from gaugenn.bench.campaign import campaign
from gaugenn.bench.devices import device_programs, open_device
from gaugenn.bench.launch import LocalFile
from gaugenn.errors import UsageError
from gaugenn.interchange import Export
from gaugenn.pipeline.experiments import experiments
from gaugenn.records import Job, JobRecord
from gaugenn.store import Study


def record(version: str, launches: int = 3) -> JobRecord:
    job = Job(
        model_sha256="a" * 64,
        format="onnx",
        engine="simulated",
        engine_version=version,
        device="simulated",
        threads=2,
        steady_minimum_s=0.0,
    )
    return JobRecord(job_sha256=job.job_sha256, job=job, launches=launches)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("forms")
    (folder / "m.onnx").touch()
    made = Study.create(folder / "study")
    records = [record("1"), record("2"), record("3", 1)]
    with open_device("simulated:outliers=0", seed=3) as device:
        place = device.info()
        runs = campaign(
            records,
            device=device,
            environment=place,
            programs=device_programs(device, "simulated", records)[0],
            files=lambda _: [LocalFile(name="m.onnx", path=folder / "m.onnx")],
        )
        made.write([*records, place, *(run for launch in runs for run in launch)])
    return made


def test_every_form_cites_its_documentation_and_is_offered() -> None:
    for name in plugins.names("gaugenn.interchange"):
        form = plugins.load("gaugenn.interchange", name, Export)()
        assert form.title
        assert form.spec.startswith("https://")
    assert api.exports() == ("benchmark-result", "google-benchmark", "mlperf", "pyperf")


def test_pyperf_itself_reads_its_form(study: Study, tmp_path: Path) -> None:
    path = tmp_path / "suite.json"
    api.export(study.path, "pyperf", path)
    suite = pyperf.BenchmarkSuite.load(str(path))
    benchmarks = suite.get_benchmarks()
    assert len(benchmarks) == 3
    assert len(set(suite.get_benchmark_names())) == 3
    for benchmark, experiment in zip(benchmarks, experiments(study), strict=True):
        assert benchmark.get_nrun() == len(experiment.runs)
        every = [s for _, timings in experiment.launches for s in timings.steady_s]
        assert sorted(benchmark.get_values()) == sorted(every)
        assert benchmark.get_unit() == "second"
        assert benchmark.median() == pytest.approx(statistics.median(every))
        assert benchmark.get_metadata()["cpu_count"] == 8
        assert benchmark.get_runs()[0].warmups


def test_google_benchmarks_repetitions_are_launches(study: Study) -> None:
    found = json.loads(api.export(study.path, "google-benchmark"))
    assert found["context"]["num_cpus"] == 8
    assert found["context"]["json_schema_version"] == 1
    first = experiments(study)[0]
    medians = [1e9 * statistics.median(timings.steady_s) for _, timings in first.launches]
    rows = [row for row in found["benchmarks"] if row["family_index"] == 0]
    launches = [row for row in rows if row["run_type"] == "iteration"]
    assert [row["real_time"] for row in launches] == pytest.approx(medians)
    assert [row["repetition_index"] for row in launches] == [0, 1, 2]
    assert {row["repetitions"] for row in rows} == {3}
    # Two threads compute, so they take twice the time of the processor.
    assert launches[0]["cpu_time"] == pytest.approx(2 * launches[0]["real_time"], rel=0.05)
    aggregates = {row["aggregate_name"]: row for row in rows if row["run_type"] == "aggregate"}
    assert aggregates["median"]["real_time"] == pytest.approx(statistics.median(medians))
    assert aggregates["cv"]["real_time"] == pytest.approx(
        statistics.stdev(medians) / statistics.fmean(medians)
    )
    assert aggregates["geomean"]["real_time"] == pytest.approx(statistics.geometric_mean(medians))
    alone = [row for row in found["benchmarks"] if row["family_index"] == 2]
    assert [row["run_type"] for row in alone] == ["iteration"]


# Field names and types of the messages, as the tool's documentation of its result has them.
MESSAGES = {
    "latency_metrics": {
        *("avg_ms", "min_ms", "max_ms", "stddev_ms", "median_ms", "p5_ms", "p95_ms"),
        *("init_ms", "first_inference_ms", "average_warm_up_ms"),
    },
    "memory_metrics": {"init_footprint_kb", "overall_footprint_kb", "peak_mem_mb"},
    "misc_metrics": {
        *("model_size_mb", "num_runs", "num_warmup_runs", "model_throughput_in_mb_per_sec"),
    },
}


def test_benchmark_results_are_one_message_a_launch(study: Study) -> None:
    messages = json.loads(api.export(study.path, "benchmark-result"))
    assert len(messages) == 7
    _, timings = experiments(study)[0].launches[0]
    latency = messages[0]["latency_metrics"]
    assert latency["median_ms"] == pytest.approx(1e3 * statistics.median(timings.steady_s))
    assert latency["init_ms"] == pytest.approx(
        1e3 * ((timings.load_s or 0) + (timings.prepare_s or 0))
    )
    assert messages[0]["misc_metrics"]["num_runs"] == len(timings.steady_s)
    assert messages[0]["memory_metrics"]["overall_footprint_kb"] == 2**15
    for message in messages:
        assert message.keys() == {"name", *MESSAGES}
        for part, names in MESSAGES.items():
            assert message[part].keys() <= names


def test_mlperf_lines_hold_the_keys_of_a_single_stream(study: Study) -> None:
    lines = api.export(study.path, "mlperf").splitlines()
    assert all(line.startswith(":::MLLOG {") for line in lines)
    records = [json.loads(line.removeprefix(":::MLLOG ")) for line in lines]
    _, timings = experiments(study)[0].launches[0]
    first = {r["key"]: r["value"] for r in records[: len(records) // 7]}
    assert first["effective_scenario"] == "SingleStream"
    assert first["result_query_count"] == len(timings.steady_s)
    assert first["result_90.00_percentile_latency_ns"] == pytest.approx(
        1e9 * float(np.percentile(timings.steady_s, 90)), abs=1
    )
    # Three launches are too few to be valid.
    assert (first["result_validity"], first["gaugenn_verdict"]) == ("INVALID", "semivalid")
    assert {r["metadata"]["launch"] for r in records} == {0, 1, 2}


def test_a_form_that_is_not_there_and_a_study_without_measurements_are_refused(
    study: Study, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="google-benchmark"):
        interchange.render(study, "csv")
    empty = Study.create(tmp_path / "empty")
    with pytest.raises(UsageError, match="no valid measurement"):
        interchange.render(empty, "pyperf")


def test_frames_hold_the_rows_of_a_view(study: Study) -> None:
    import pandas
    import polars

    table = api.frame(study.path, "launches")
    assert table.num_rows == 7
    frame = api.frame(study.path, "launches", "pandas")
    assert isinstance(frame, pandas.DataFrame)
    assert frame["median_s"].tolist() == table["median_s"].to_pylist()
    other = api.frame(study.path, "verdicts", "polars")
    assert isinstance(other, polars.DataFrame)
    assert other["validity"].to_list() == ["semivalid"] * 3
    for odd in ("nothing", "launches; DROP TABLE x", "'/etc/passwd'"):
        with pytest.raises(UsageError):
            api.frame(study.path, odd)
