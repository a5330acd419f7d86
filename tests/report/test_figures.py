"""Every figure obeys the contract, and its numbers are those that were planted."""

import csv
import json
import math
import statistics
from dataclasses import replace
from functools import cache
from pathlib import Path

import duckdb
import pytest
import synthetic

from gaugenn import report
from gaugenn.errors import UsageError
from gaugenn.records import (
    AppFile,
    FileKind,
    JobRecord,
    LayerClass,
    LayerRecord,
    ModelFile,
    ModelRecord,
    Processor,
    QuantizationScheme,
    RunStatus,
)
from gaugenn.report import ExportFormat, Figure
from gaugenn.report._frame import Frame, load
from gaugenn.report._table import Table
from gaugenn.store import Study

FIGURES = report.figures()
EACH = pytest.mark.parametrize("name", FIGURES)

T_95_FOUR_DEGREES = 2.7764451
"""Student's t for a two-sided 95 % interval of five values; any statistics textbook's table."""


def frame_of(study: Study, name: str) -> Frame:
    return _frames(study.path)[name]


@cache
def _frames(path: Path) -> dict[str, Frame]:
    with report.connect(Study(path)) as connection:
        return {
            name: figure.derive(load(connection, figure.query, figure.limit))
            for name, figure in FIGURES.items()
        }


def rows_of(study: Study, name: str, *columns: str) -> list[tuple[object, ...]]:
    rows = frame_of(study, name).rows.select(columns).to_pylist()
    return [tuple(row[column] for column in columns) for row in rows]


def table_of(study: Study, name: str) -> Table:
    table = FIGURES[name].table(frame_of(study, name))
    assert table is not None
    return table


def texts_of(study: Study, name: str) -> list[dict[str, str]]:
    table = table_of(study, name)
    titles = [column.title for column in table.columns]
    return [dict(zip(titles, [cell.text for cell in row], strict=True)) for row in table.rows]


@EACH
def test_a_figure_says_what_it_answers_and_what_to_do_when_it_is_empty(name: str) -> None:
    figure = FIGURES[name]
    assert figure.question.endswith("?")
    assert figure.title
    assert figure.empty.strip()
    assert ";" not in figure.query
    assert "ORDER BY" in figure.query


def test_places_on_the_page_are_unique_and_follow_the_sections() -> None:
    orders = [figure.order for figure in FIGURES.values()]
    assert len(set(orders)) == len(orders)
    sections = [list(report.Section).index(figure.section) for figure in FIGURES.values()]
    assert sections == sorted(sections)


@EACH
def test_a_planted_study_gives_rows_and_a_caption_with_n(
    study: Study, bench_study: Study, census: Study, name: str
) -> None:
    figure = FIGURES[name]
    planted = next(p for p in (study, bench_study, census) if frame_of(p, name).total)
    frame, headline = frame_of(planted, name), report.summary(planted)
    assert frame.total > 0
    assert len(frame) == frame.total
    caption = figure.caption(frame, headline)
    assert caption.startswith("n = ")
    assert figure.chart(frame) is not None or figure.table(frame) is not None


@EACH
def test_no_column_is_of_a_type_that_json_does_not_have(study: Study, name: str) -> None:
    frame = frame_of(study, name)
    for row in frame.rows.to_pylist():
        json.dumps(row, allow_nan=False)


@EACH
def test_the_query_runs_on_an_empty_study(empty: Study, name: str) -> None:
    assert frame_of(empty, name).total == 0


def test_the_headline_is_what_was_planted(study: Study) -> None:
    found = report.summary(study)
    places = sum(len(model.places) for model in synthetic.MODELS)
    launches = sum(len(medians) for medians in synthetic.LATENCIES_MS.values())
    assert (found.apps, found.app_names, found.not_packages) == (6, 6, 2)
    assert found.apps_with_models == 5
    assert found.candidates == places + len(synthetic.REFUSED_FILES)
    assert (found.instances, found.models, found.formats) == (places, len(synthetic.MODELS), 3)
    assert found.refused_files == len(synthetic.REFUSED_FILES)
    assert (found.encrypted, found.invalid, found.unknown, found.unread) == (2, 1, 2, 0)
    assert found.models_counted == 7
    assert (found.jobs, found.jobs_measured) == (14, len(synthetic.LATENCIES_MS))
    assert found.launches_ok == launches
    assert found.launches == launches + len(synthetic.FAILED_JOBS)
    assert found.failures == len(synthetic.FAILURES)
    text = "\n".join(found.lines())
    assert "6 app packages, 5 with models; 2 not a package" in text
    assert "9 distinct models in 3 formats; 7 with complete costs" in text


def test_a_package_that_lies_there_twice_is_counted_once(tmp_path: Path, study: Study) -> None:
    other = synthetic.study(tmp_path / "twice")
    other.write(synthetic.app_rows())
    for model in synthetic.MODELS:
        rows = synthetic.model_rows(model)
        other.write(row for row in rows if isinstance(row, AppFile | ModelFile))
    before, after = report.summary(study), report.summary(other)
    for name in ("apps", "candidates", "instances", "models", "refused_files"):
        assert getattr(after, name) == getattr(before, name), name
    for name in ("apps", "formats", "duplicates", "models", "evidence", "refused_files"):
        assert frame_of(other, name).rows.equals(frame_of(study, name).rows), name


def test_apps_are_listed_with_their_models_and_confirmed_evidence(study: Study) -> None:
    rows = {row["App"]: row for row in texts_of(study, "apps")}
    assert next(iter(rows)) == "Clear Camera"
    camera = rows["Clear Camera"]
    assert (camera["Package"], camera["Version"]) == ("org.example.camera", "1.0.1")
    assert (camera["Models"], camera["Distinct"], camera["Size"]) == ("4", "4", "11.0 MiB")
    assert camera["Runtimes"] == "ncnn, tflite"
    assert camera["Accelerators"] == "nnapi"
    assert camera["Certificate"] == synthetic.sha("certificate camera")[:12]
    assert rows["Corner Shop"]["Cloud"] == "\N{EN DASH}", "one weak token confirms nothing"
    assert rows["Plain Notes"]["Models"] == "0"


def test_evidence_counts_packages_and_keeps_hints_apart(study: Study) -> None:
    rows = {row["Name"]: row for row in texts_of(study, "evidence")}
    assert rows["tflite"]["Packages"] == "3"
    assert rows["tflite"]["Of packages, % [95 % interval]"].startswith(
        "50.0\N{NO-BREAK SPACE}% [18.8"
    )
    assert (rows["google-vision"]["Packages"], rows["google-vision"]["Hints only"]) == ("0", "1")


def test_what_is_no_package_is_listed_with_its_reason(study: Study) -> None:
    rows = texts_of(study, "not_packages")
    assert [row["File"] for row in rows] == ["apps/error.xapk", "apps/login.apk"]
    assert rows[0]["Reason"] == "an HTML page, not a zip"


def test_formats_count_places_and_distinct_models(study: Study) -> None:
    rows = rows_of(study, "formats", "format", "models", "instances", "packages")
    assert rows == [("tflite", 4, 7, 3), ("onnx", 3, 3, 2), ("ncnn", 2, 3, 2)]


def test_operators_are_counted_once_a_distinct_model(study: Study) -> None:
    planted: dict[str, int] = {}
    for model in synthetic.MODELS:
        for operator, _, number in model.operators:
            name = operator or "(no ONNX counterpart)"
            planted[name] = planted.get(name, 0) + number
    assert dict(rows_of(study, "operators", "name", "nodes")) == planted
    sources = dict(rows_of(study, "operators", "name", "sources"))
    assert sources["Conv"] == ["CONV_2D", "Convolution", "DEPTHWISE_CONV_2D"]


def test_duplicates_are_the_models_in_several_packages(study: Study) -> None:
    planted = {
        model.sha256: len({app for app, _ in model.places})
        for model in synthetic.MODELS
        if len({app for app, _ in model.places}) > 1
    }
    assert dict(rows_of(study, "duplicates", "model_sha256", "packages")) == planted


def test_models_of_one_architecture_stand_together(study: Study) -> None:
    rows = rows_of(study, "architectures", "architecture_sha256", "models", "weights")
    assert rows == [(synthetic.model("mobilenet_v2.tflite").architecture_sha256, 2, 2)]


def test_fine_tuned_siblings_share_their_trained_layers(study: Study) -> None:
    (row,) = rows_of(
        study, "fine_tuned", "first", "second", "shared_layers", "first_layers", "second_layers"
    )
    pair = sorted(
        synthetic.model(name).sha256 for name in ("mobilenet_v2.tflite", "mobilenet_v2_pets.tflite")
    )
    assert list(row[:2]) == pair
    assert row[2:] == (7, 8, 8)
    text = next(iter(texts_of(study, "fine_tuned")))
    assert text["Shared, %"] == "87.5"


def planted_model(number: int, form: str, scheme: QuantizationScheme, build: str) -> ModelRecord:
    return ModelRecord(
        model_sha256=f"{number:064x}",
        kind=FileKind.MODEL,
        format=form,
        size_bytes=9,
        architecture_sha256=synthetic.sha(build),
        weights_sha256=synthetic.sha(f"{number} {build}"),
        quantization=scheme,
    )


def planted_layer(number: int, position: int, values: str, parameters: int = 99) -> LayerRecord:
    return LayerRecord(
        model_sha256=f"{number:064x}",
        graph=0,
        position=position,
        name="",
        operator="Conv",
        source_operator="Conv",
        macs=1,
        flops=2,
        elementwise_operations=0,
        parameters=parameters,
        weights_bytes=4 * parameters,
        output_shape=(1,),
        output_bytes=4,
        weights_sha256=synthetic.sha(f"{number} {position}"),
        weights_values_sha256=synthetic.sha(values),
    )


@pytest.fixture
def converted(tmp_path: Path) -> Study:
    """A network in two formats, quantised in a third file; and one that shares only a tiny layer."""
    made = Study.create(tmp_path / "s")
    floats, integers = QuantizationScheme.NONE, QuantizationScheme.QDQ
    made.write(
        [
            planted_model(1, "tflite", floats, "a"),
            planted_model(2, "onnx", floats, "b"),
            planted_model(3, "tflite", integers, "a"),
            planted_model(4, "ncnn", floats, "c"),
            *(planted_layer(number, at, f"v{at}") for number in (1, 2) for at in range(4)),
            planted_layer(2, 4, "only here"),
            planted_layer(1, 5, "a mean", parameters=15),
            planted_layer(4, 0, "a mean", parameters=15),
            *(planted_layer(3, at, f"q{at}") for at in range(4)),
        ]
    )
    return made


def test_copies_hold_the_same_values_in_another_format(converted: Study) -> None:
    rows = rows_of(
        converted, "copies", "first", "second", "shared_layers", "first_layers", "second_layers"
    )
    assert rows == [(f"{1:064x}", f"{2:064x}", 4, 4, 5)]
    (text,) = texts_of(converted, "copies")
    assert (text["Format"], text["Copy's format"], text["Shared, %"]) == ("tflite", "onnx", "80.0")
    assert rows_of(converted, "fine_tuned", "first") == []


def test_twins_are_one_architecture_under_two_schemes(converted: Study) -> None:
    assert rows_of(converted, "twins", "architecture_sha256", "models", "schemes") == [
        (synthetic.sha("a"), 2, ["none", "qdq"])
    ]


def test_the_cost_scatter_holds_each_model_of_known_cost(study: Study) -> None:
    planted = {(m.parameters, m.macs) for m in synthetic.MODELS if m.macs}
    assert set(rows_of(study, "costs", "parameters", "macs")) == planted
    bounds = [
        label for label, cost in rows_of(study, "costs", "label", "cost") if cost != "complete"
    ]
    assert len(bounds) == 1
    assert str(bounds[0]).startswith("yolo.param")


def test_tasks_are_counted_with_places_and_reasons(study: Study) -> None:
    planted: dict[tuple[object, ...], list[int]] = {}
    for model in synthetic.MODELS:
        counts = planted.setdefault(model.purpose[:2], [0, 0])
        counts[0] += 1
        counts[1] += len(model.places)
    rows = rows_of(study, "tasks", "modality", "task", "models", "places")
    assert {row[:2]: list(row[2:]) for row in rows} == planted
    by_task = {row["Task"]: row for row in texts_of(study, "tasks")}
    assert by_task["classification"]["Because of"] == "task: classification"
    assert by_task["classification"]["Families"] == "mobilenet-v2"
    assert by_task["classification"]["Median confidence"] == "0.90"
    assert by_task["unknown"]["Median confidence"] == "\N{EN DASH}"


def test_kinds_of_layers_are_shares_of_their_modality(study: Study) -> None:
    planted: dict[tuple[object, object], int] = {}
    for model in synthetic.MODELS:
        for operator, _, number in model.operators:
            kind = synthetic.LAYER_CLASSES.get(operator, LayerClass.OTHER)
            key = (model.purpose[0], kind)
            planted[key] = planted.get(key, 0) + number
    rows = rows_of(study, "layer_classes", "modality", "layer_class", "nodes", "nodes_percent")
    assert {(row[0], row[1]): row[2] for row in rows} == planted
    for modality in {row[0] for row in rows}:
        shares = [row[3] for row in rows if row[0] == modality]
        assert math.isclose(sum(s for s in shares if isinstance(s, float)), 100)


def test_compression_names_what_each_share_is_of(study: Study) -> None:
    rows = {row[0]: row[1:] for row in rows_of(
        study, "compression", "statement", "part", "whole", "denominator"
    )}  # fmt: skip
    models = len(synthetic.MODELS)
    dtypes = [model.weights_dtype for model in synthetic.MODELS]
    integers = dtypes.count("int8")
    assert rows["quantised: full-integer"] == (integers, models, "models with weights")
    assert rows["quantised: float16"][0] == dtypes.count("float16")
    assert rows["weights quantised per axis"][0] == integers
    assert rows["weights of 4 bits or fewer"][0] == 0
    assert rows["dequantise operators"] == (dtypes.count("float16"), models, "models")
    large = "models with large float weights"
    assert rows["clustered weights"] == (1, models - integers, large)
    assert rows["names left by clustering"] == (1, models, "models")
    assert rows["names left by pruning"][0] == 0
    counts = [model.parameters or 0 for model in synthetic.MODELS]
    zeros = sum(count // 10 for count in counts)
    assert rows["weights that are exactly zero"] == (zeros, sum(counts), "weights with values")
    assert rows["weights of at most 1e-9"][0] == sum(count // 5 for count in counts)
    assert rows["at least half of the weights zero"][0] == 0


def test_element_types_are_counted(study: Study) -> None:
    rows = rows_of(study, "element_types", "weights", "activations", "models")
    assert rows == [("float32", "float32", 7), ("float16", "float32", 1), ("int8", "int8", 1)]


def test_models_name_their_inputs_outputs_and_doubts(study: Study) -> None:
    rows = {row["Model"]: row for row in texts_of(study, "models")}
    found = rows["mobilenet_v2_int8.tflite"]
    assert found["Inputs"] == "input: float32[1, 224, 224, 3]"
    assert found["Outputs"] == "scores: float32[1, 1000]"
    assert (found["Parameters"], found["MACs"]) == ("3.50 M", "300 M")
    assert found["Remarks"] == "none"
    assert "lower bound (1 node not counted)" in rows["yolo.param"]["Remarks"]
    assert "1 node without ONNX counterpart" in rows["yolo.param"]["Remarks"]


def test_latency_is_the_geometric_mean_of_launch_medians_with_a_t_interval(study: Study) -> None:
    frame = frame_of(study, "latency")
    found = {(row["name"], row["engine"], row["threads"]): row for row in frame.rows.to_pylist()}
    planted = synthetic.LATENCIES_MS[("mobilenet_v2.tflite", "litert", 1)]
    row = found[("mobilenet_v2.tflite", "litert", 1)]
    logs = [math.log(value) for value in planted]
    half = T_95_FOUR_DEGREES * statistics.stdev(logs) / math.sqrt(len(logs))
    assert row["latency_ms"] == pytest.approx(statistics.geometric_mean(planted), rel=1e-9)
    assert row["latency_ms_low"] == pytest.approx(math.exp(statistics.fmean(logs) - half), rel=1e-4)
    assert row["latency_ms_high"] == pytest.approx(
        math.exp(statistics.fmean(logs) + half), rel=1e-4
    )
    assert row["latency_ms_n"] == len(planted)
    assert row["verdict"] == "valid"
    assert len(found) == len(synthetic.LATENCIES_MS)


def test_every_latency_is_shown_with_n_and_interval_or_says_that_there_is_none(
    study: Study,
) -> None:
    for row in texts_of(study, "latency"):
        text = row["Latency [95 % interval]"]
        if row["Model"] == "keyword.onnx":
            assert text == "310 µs [no interval], n = 1"
            assert "few launches" in row["Reasons"]
        else:
            assert text.endswith("], n = 5")
    rows = {row["Model"]: row for row in texts_of(study, "latency")}
    assert "ci wide" in rows["yolo.param"]["Reasons"]
    assert rows["liveness.param"]["Verdict"] == "valid"


def test_cold_start_is_split_as_far_as_the_engine_can(study: Study) -> None:
    rows = {(row["Model"].split()[0], row["Engine"]): row for row in texts_of(study, "cold_start")}
    split = rows[("liveness.param", "ncnn 1.0.20250916, 1 thread")]
    assert split["Load"] == "4.00 ms [4.00, 4.00], n = 5"
    assert split["Prepare"] == "11.0 ms [11.0, 11.0], n = 5"
    joined = rows[("encoder.onnx", "onnxruntime 1.23.2, 1 thread")]
    assert joined["Prepare"] == "\N{EN DASH}"
    assert joined["Phases the engine splits"] == "load+prepare"


def test_peak_memory_has_its_baseline(study: Study) -> None:
    for row in texts_of(study, "peak_memory"):
        assert row["Peak [95 % interval]"].startswith("180 MiB [")
        assert row["Before the model"].startswith("60.0 MiB [")


def test_the_environment_says_what_it_is_and_how_many_launches_it_saw(study: Study) -> None:
    (row,) = texts_of(study, "environments")
    assert row["Processor"] == "Example Processor 3000"
    assert (row["Memory"], row["Top frequency"]) == ("16.0 GiB", "3.40 GHz")
    assert row["Launches"] == str(41 + len(synthetic.FAILED_JOBS))


def test_refused_files_are_grouped_by_reason(study: Study) -> None:
    rows = rows_of(study, "refused_files", "kind", "format", "files", "packages")
    assert rows[0] == ("encrypted", None, 2, 1), "reasons differ in digits only"
    assert sum(int(str(row[2])) for row in rows) == len(synthetic.REFUSED_FILES)
    caption = FIGURES["refused_files"].caption(
        frame_of(study, "refused_files"), report.summary(study)
    )
    assert "n = 5 of 18 candidate files (27.8" in caption


def test_every_planned_experiment_has_an_outcome(study: Study) -> None:
    rows = rows_of(study, "refused_jobs", "outcome", "experiments")
    totals: dict[str, int] = {}
    for outcome, number in rows:
        totals[str(outcome)] = totals.get(str(outcome), 0) + int(str(number))
    assert totals == {"measured": 9, "refused": 2, "crashed": 1, "timeout": 1, "not run": 1}


def test_other_failures_say_whether_to_try_again(study: Study) -> None:
    rows = {row["Stage"]: row for row in texts_of(study, "failures")}
    assert rows["scan"]["Worth trying again"] == "yes"
    assert rows["plan"]["Worth trying again"] == "no"


def test_a_run_that_is_not_clean_is_marked(tmp_path: Path) -> None:
    study = Study.create(tmp_path / "s")
    planned = synthetic.job("liveness.param", "ncnn")
    launches = [synthetic.good_launch(planned, number, 0.007) for number in range(3)]
    timings = launches[1].timings
    assert timings is not None
    launches[1] = replace(
        launches[1],
        timings=replace(
            timings,
            steady_s=timings.steady_s[:5],
            observed_processor=Processor.GPU,
            observed_threads=4,
            timer_resolution_s=0.001,
            outputs=(synthetic.output(not_finite=3),),
            notes=("throttled",),
        ),
    )
    failed = synthetic.failed_launch(planned, 3, RunStatus.CRASHED, "signal 11")
    study.write(
        [
            *synthetic.model_rows(synthetic.model("liveness.param")),
            *synthetic.app_rows(),
            JobRecord(job_sha256=planned.job_sha256, job=planned, launches=5),
            *launches,
            failed,
        ]
    )
    (row,) = texts_of(study, "latency")
    assert row["Verdict"] == "invalid"
    for reason in (
        "silent fallback",
        "launches failed",
        "launches missing",
        "other threads",
        "few samples",
        "clock coarse",
        "output not finite",
        "throttled",
    ):
        assert reason in row["Reasons"]


def test_a_launch_that_was_tried_again_counts_once(tmp_path: Path) -> None:
    study = Study.create(tmp_path / "s")
    planned = synthetic.job("liveness.param", "ncnn")
    study.write([JobRecord(job_sha256=planned.job_sha256, job=planned, launches=1)])
    study.write([synthetic.failed_launch(planned, 0, RunStatus.LOST, "link lost")])
    study.write([synthetic.good_launch(planned, 0, 0.007)])
    found = report.summary(study)
    assert (found.launches, found.launches_ok) == (1, 1)


def test_a_figure_is_a_file() -> None:
    names = set(FIGURES)
    folder = Path(report.__file__).parent
    assert names == {path.stem for path in folder.glob("[a-z]*.py")}
    assert all(isinstance(figure, Figure) for figure in FIGURES.values())


def test_a_figure_is_written_by_itself(study: Study) -> None:
    svg = report.render_figure(study, "costs", ExportFormat.SVG)
    assert svg.startswith(b"<svg")
    assert report.render_figure(study, "latency", ExportFormat.PNG).startswith(b"\x89PNG")
    source = json.loads(report.render_figure(study, "formats", ExportFormat.VEGA))
    assert source["$schema"].endswith("v6.json")
    text = report.render_figure(study, "latency", ExportFormat.CSV).decode()
    header, *lines = csv.reader(text.splitlines(keepends=True))
    assert "latency_ms_low" in header
    assert len(lines) == len(synthetic.LATENCIES_MS)


def test_a_figure_that_cannot_be_written_says_why(study: Study, empty: Study) -> None:
    with pytest.raises(UsageError, match="there is no figure 'x'; there are: dataset"):
        report.render_figure(study, "x", ExportFormat.SVG)
    with pytest.raises(UsageError, match="apps is a table; write it as csv"):
        report.render_figure(study, "apps", ExportFormat.SVG)
    with pytest.raises(UsageError, match=r"nothing to draw.*gaugenn bench"):
        report.render_figure(empty, "latency", ExportFormat.PNG)


@EACH
def test_the_query_is_a_single_select(name: str) -> None:
    statements = duckdb.extract_statements(FIGURES[name].query)
    assert [statement.type.name for statement in statements] == ["SELECT"]


def test_a_reference_model_says_whether_it_ran_and_why_a_variant_is_missing(study: Study) -> None:
    rows = texts_of(study, "reference_models")
    by_precision = {r["Precision"]: r for r in rows}
    outcomes = {precision: row["Outcome"] for precision, row in by_precision.items()}
    assert outcomes == {"fp32": "not measured", "int8": "no file"}
    assert by_precision["int8"]["Why not"] == "the converter has no kernel"
    assert by_precision["fp32"]["Cosine"] == "0.999999"
    assert by_precision["fp32"]["Relative error"] == "2.0e-07"


def test_the_best_library_for_every_part_is_computed_from_the_planted_profiles(
    tmp_path: Path,
) -> None:
    made = synthetic.study(tmp_path / "two")
    other = replace(synthetic.job("mobilenet_v2.tflite", "litert"), engine="tflite_runtime")
    record = JobRecord(job_sha256=other.job_sha256, job=other, launches=1)
    times = (("CONV_2D", 2.0), ("FULLY_CONNECTED", 9.0))
    made.write([record, *synthetic.operator_rows(other.job_sha256, times)])
    (row,) = frame_of(made, "operator_oracle").rows.to_pylist()
    assert row["name"] == "mobilenet_v2.tflite"
    assert row["single"].startswith("litert ")
    assert (row["stretches"], row["threads"]) == (2, 1)
    assert row["single_s"] == pytest.approx(0.007)
    assert row["oracle_s"] == pytest.approx(0.004)
    assert row["gain"] == pytest.approx(7 / 4)
    assert sorted(line.split(" ")[0] for line in row["libraries"].split("\n")) == [
        "litert",
        "tflite_runtime",
    ]


def test_a_step_between_releases_is_found_in_their_order(tmp_path: Path) -> None:
    made = synthetic.study(tmp_path / "releases")
    planted = synthetic.job("encoder.onnx", "onnxruntime")
    for version, level_ms in (
        ("1.9.0", 50.0),
        ("1.10.0", 50.0),
        ("1.11.0", 89.0),
        ("1.12.1", 89.0),
    ):
        other = replace(planted, engine_version=version)
        launches = [synthetic.good_launch(other, n, (level_ms + 0.2 * n) / 1e3) for n in range(5)]
        made.write([JobRecord(job_sha256=other.job_sha256, job=other, launches=5), *launches])
    frame = frame_of(made, "history")
    versions, steps = frame.labels("engine_version"), frame.labels("step")
    planted_latest = planted.engine_version
    assert versions == ["1.9.0", "1.10.0", "1.11.0", "1.12.1", planted_latest]
    assert steps[:4] == ["", "", "+77 %", ""]
    figure = FIGURES["history"]
    assert figure.chart(frame) is not None
    assert figure.table(frame) is not None
    assert figure.caption(frame, report.summary(made)).startswith("n = 5 releases")
