"""The figures about apps and models show what was planted, each share of the whole that it names."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import planted_census
import pytest

from gaugenn import report
from gaugenn.analysis.statistics import proportion
from gaugenn.records import (
    App,
    AppFile,
    FileKind,
    ModelRecord,
    PackageKind,
)
from gaugenn.report._charts import specification
from gaugenn.report._frame import Frame, load
from gaugenn.report._stacked import BARS, stacked_bars
from gaugenn.store import Study

FIGURES = report.figures()

CENSUS = (
    "dataset",
    "formats_by_category",
    "accelerators",
    "clouds",
    "encrypted_models",
    "runtimes_without_models",
    "training",
    "tasks",
    "snapshots",
    "reuse",
    "lineage",
    "fine_tuned",
    "copies",
    "twins",
    "compression",
    "missed_optimisations",
    "macs_by_task",
    "parameters_by_task",
)


@cache
def _frames(path: Path) -> Mapping[str, Frame]:
    with report.connect(Study(path)) as connection:
        loaded = {
            name: load(connection, FIGURES[name].query, FIGURES[name].limit) for name in CENSUS
        }
    return {name: FIGURES[name].derive(f) if f.total else f for name, f in loaded.items()}


def rows_of(study: Study, name: str, *columns: str) -> list[tuple[object, ...]]:
    rows = _frames(study.path)[name].rows.select(columns).to_pylist()
    return [tuple(row[column] for column in columns) for row in rows]


@pytest.mark.parametrize("name", CENSUS)
def test_each_has_a_caption_with_n_a_chart_or_a_table_and_finite_numbers(
    census: Study, name: str
) -> None:
    frame, figure = _frames(census.path)[name], FIGURES[name]
    assert figure.caption(frame, report.summary(census)).startswith("n = ")
    assert figure.chart(frame) is not None or figure.table(frame) is not None
    json.dumps(frame.rows.to_pylist(), allow_nan=False)


def test_the_dataset_counts_each_snapshot_and_a_package_of_both_once(census: Study) -> None:
    columns = ("apps", "with_library", "with_models", "instances", "models", "encrypted")
    rows = rows_of(census, "dataset", "snapshot", "listed", *columns, "unreadable", "failures")
    assert rows == [
        ("spring", 6, 6, 5, 4, 8, 5, 1, 1, 0),
        ("autumn", 7, 6, 5, 3, 5, 4, 3, 1, 1),
        ("whole study", None, 8, 7, 5, 11, 7, 3, 1, 1),
    ]
    (share,) = {r[1:] for r in rows_of(
        census, "dataset", "snapshot", "models_percent", "models_percent_low", "models_percent_high"
    ) if r[0] == "autumn"}  # fmt: skip
    expected = proportion(3, 6)
    assert share == pytest.approx((50.0, 100 * expected.low, 100 * expected.high))


def test_a_split_set_is_an_app(census: Study) -> None:
    assert report.summary(census).apps == len(planted_census.APPS)


def test_formats_are_counted_in_the_category_of_their_app(census: Study) -> None:
    rows = rows_of(
        census, "formats_by_category", "category", "format", "instances", "models", "apps"
    )
    assert rows == [
        ("Photography", "tflite", 6, 3, 3),
        ("Tools", "tflite", 3, 3, 1),
        ("Tools", "onnx", 1, 1, 1),
        ("Finance", "ncnn", 1, 1, 1),
    ]


def test_an_accelerator_that_is_there_is_not_one_that_is_asked_for(census: Study) -> None:
    columns = ("capable", "asking", "by_method", "by_class", "by_manifest", "apps")
    assert rows_of(census, "accelerators", "name", *columns) == [
        ("gpu", 2, 1, 0, 1, 0, 8),
        ("nnapi", 2, 1, 1, 0, 0, 8),
    ]


def test_cloud_services_are_shares_of_their_categorys_apps(census: Study) -> None:
    columns = ("category", "vendor", "apps", "category_apps", "services")
    assert rows_of(census, "clouds", *columns) == [
        ("Tools", "Amazon", 1, 3, ["amazon-lex"]),
        ("Tools", "Google", 1, 3, ["google-speech"]),
        ("Finance", "Google", 1, 2, ["google-vision"]),
    ]
    frame = _frames(census.path)["clouds"]
    assert (
        FIGURES["clouds"]
        .caption(frame, report.summary(census))
        .startswith("n = 2 of 8 distinct app packages (25.0")
    )


def test_encrypted_files_have_two_denominators(census: Study) -> None:
    columns = ("category", "apps_encrypted", "apps", "apps_both", "encrypted", "files")
    assert rows_of(census, "encrypted_models", *columns) == [
        ("all apps", 2, 8, 1, 3, 14),
        ("Finance", 2, 2, 1, 3, 4),
    ]


def test_a_library_without_a_model_has_its_likeliest_reason(census: Study) -> None:
    columns = ("name", "apps", "without_models", "encrypted", "packed", "unexplained")
    assert rows_of(census, "runtimes_without_models", *columns) == [
        ("any library", 7, 2, 1, 1, 0),
        ("tflite", 5, 1, 0, 1, 0),
        ("ncnn", 2, 1, 1, 0, 0),
        ("onnxruntime", 1, 0, 0, 0, 0),
    ]


def test_training_names_the_apps(census: Study, study: Study) -> None:
    columns = ("name", "confirmed", "hints", "apps", "used_by")
    assert rows_of(census, "training", *columns) == [
        ("mnn-training", 1, 0, 8, ["org.example.keyboard"])
    ]
    assert rows_of(study, "training", "name") == []


def test_changes_between_the_crawls_are_drawn_by_category(census: Study) -> None:
    columns = ("category", "models_added", "models_removed", "models_updated", "models_kept")
    assert rows_of(census, "snapshots", *columns) == [
        ("Finance", 0, 0, 0, 1),
        ("Photography", 1, 0, 1, 2),
        ("Tools", 0, 4, 0, 0),
    ]
    chart = FIGURES["snapshots"].chart(_frames(census.path)["snapshots"])
    assert chart is not None
    drawn = chart.data.to_pylist()
    assert {(row["name"], row["series"]): row["number"] for row in drawn} == {
        ("Photography", "added"): 1,
        ("Photography", "updated"): 1,
        ("Tools", "removed"): -4,
    }


def test_each_kind_of_reuse_is_a_share_of_what_could_be_reused(census: Study) -> None:
    rows = rows_of(census, "reuse", "statement", "part", "whole", "denominator")
    assert {row[0]: row[1:] for row in rows} == {
        "exact: a further place of a model": (4, 11, "model instances in apps"),
        "exact: a model that another app has, too": (5, 11, "model instances in apps"),
        "exact: in more than one app": (1, 7, "distinct models in apps"),
        "same network and weights in another file": (2, 7, "distinct models with known weights"),
        "same architecture as another model": (4, 7, "distinct models with a known graph"),
        "fine-tuned: trained layers in common": (3, 7, "distinct models with trained layers"),
        "cross-framework: same values in another format": (
            *(4, 7),
            "distinct models with known values",
        ),
        "same architecture, quantised otherwise": (
            *(4, 7),
            "distinct models with a known graph and weights",
        ),
    }


def test_the_lineage_joins_each_pair_by_its_strongest_relation(census: Study) -> None:
    names = {planted_census.model_sha256(name): name for name in planted_census.MODELS}
    rows = rows_of(census, "lineage", "first", "second", "relation", "family")
    found = {
        frozenset((names[str(first)], names[str(second)])): relation
        for first, second, relation, _ in rows
    }
    first = min("face.tflite", "face_again.tflite", key=planted_census.model_sha256)
    assert found == {
        frozenset(("face.tflite", "face_again.tflite")): "same network and weights",
        frozenset((first, "face_tuned.tflite")): "fine-tuned",
        frozenset((first, "face.onnx")): "same values, other format or precision",
        frozenset(("face_tuned.tflite", "face.onnx")): "same values, other format or precision",
        frozenset((first, "face_int8.tflite")): "same architecture, quantised otherwise",
    }
    assert {row[3] for row in rows} == {0}


def test_the_graph_draws_every_model_and_relation_once(census: Study) -> None:
    chart = FIGURES["lineage"].chart(_frames(census.path)["lineage"])
    assert chart is not None
    lines, points, labels = (layer.data.to_pylist() for layer in chart.layer)
    assert (len(lines), len(points), len(labels)) == (5, 5, 1)
    ends = {(row["x"], row["y"]) for row in points}
    assert len(ends) == 5, "no two models stand on each other"
    assert {(row["x"], row["y"]) for row in lines} | {
        (row["x2"], row["y2"]) for row in lines
    } <= ends


def test_what_could_be_better_names_what_it_is_of_and_the_bytes(census: Study) -> None:
    rows = rows_of(
        census, "missed_optimisations", "statement", "part", "whole", "denominator", "saved_bytes"
    )
    models = planted_census.MODELS
    floats = [m for m in models.values() if m.dtype.value == "float32"]
    assert {row[0]: row[1:] for row in rows} == {
        "float weights that could be int8": (
            *(len(floats) + 1, 7, "distinct models with weights"),
            3 * sum(m.parameters for m in floats) + models["words.tflite"].parameters,
        ),
        "the same model more than once in an app": (1, 5, "apps with models", 4_000),
        "the same network and weights in several files of an app": (
            *(1, 5, "apps with models and known weights"),
            4_000,
        ),
        "model files stored without compression": (10, 11, "model files in zips", None),
        "native libraries not stripped": (1, 3, "apps with native libraries", 500),
        "float32 run where the processor has 16-bit floats": (
            *(1, 1, "measured experiments on a CPU with known instructions"),
            None,
        ),
        "float32 run where the processor has int8 dot products": (
            *(1, 1, "measured experiments on a CPU with known instructions"),
            None,
        ),
    }
    caption = FIGURES["missed_optimisations"].caption(
        _frames(census.path)["missed_optimisations"], report.summary(census)
    )
    assert "Nothing was measured" not in caption


def test_without_known_instructions_nothing_is_said_of_them(study: Study) -> None:
    frame = _frames(study.path)["missed_optimisations"]
    assert not [s for s in frame.labels("statement") if s.startswith("float32 run")]
    caption = FIGURES["missed_optimisations"].caption(frame, report.summary(study))
    assert "nothing is said of float32" in caption


def test_costs_spread_within_a_task_from_the_least_to_the_largest(census: Study) -> None:
    ends = ("least", "lower", "middle", "upper", "largest")
    rows = rows_of(census, "macs_by_task", "task", "modality", "models", *ends, "label")
    faces = (10_000, 1_000_000, 1_000_000, 1_000_000, 1_000_000)
    assert rows == [
        ("text-recognition", "vision", 1, *(5 * [100_000_000]), "text-recognition (1)"),
        ("face-detection", "vision", 6, *faces, "face-detection (6)"),
    ]
    rows = rows_of(census, "parameters_by_task", "task", *ends)
    assert rows == [
        ("text-recognition", *(5 * [2_000])),
        ("face-detection", *(5 * [1_000])),
    ]


def test_tasks_stand_by_modality_with_the_interval_of_their_share(study: Study) -> None:
    rows = rows_of(study, "tasks", "modality", "models", "all_models", "share_percent_low")
    modalities = [row[0] for row in rows]
    assert modalities == sorted(modalities, key=modalities.index), "a modality stands together"
    for _, models, whole, low in rows:
        assert low == pytest.approx(100 * proportion(int(str(models)), int(str(whole))).low)


def _many(number: int) -> list[tuple[str, str, float]]:
    return [(f"category {n}", f"series {n % 20}", float(1 + n)) for n in range(number)]


def test_a_chart_of_many_names_and_series_draws_those_with_most() -> None:
    drawn = stacked_bars(_many(1_000), "apps", "series").data.to_pylist()
    assert len({row["name"] for row in drawn}) == BARS
    assert "category 999" in {row["name"] for row in drawn}
    series = {row["series"] for row in drawn}
    assert len(series) == 7
    assert "others" in series


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Three thousand models in families of three, and as many apps."""
    made = Study.create(tmp_path_factory.mktemp("crowd") / "s")
    digests = [f"{n:064x}" for n in range(3_000)]
    made.write(
        ModelRecord(
            model_sha256=digest,
            kind=FileKind.MODEL,
            format="tflite",
            size_bytes=1,
            parameters=n + 1,
            macs=n + 1,
            architecture_sha256=f"graph {n // 3}",
            weights_sha256=f"weights {n}",
        )
        for n, digest in enumerate(digests)
    )
    made.write(
        App(
            path=f"{n}.apk",
            app_sha256=f"a{n:063x}",
            size_bytes=1,
            modified_ns=0,
            kind=PackageKind.APK,
        )
        for n in range(3_000)
    )
    made.write(
        AppFile(
            app_sha256=f"a{n:063x}",
            member=f"{n}.tflite",
            size_bytes=1,
            sha256=digest,
            kind=FileKind.MODEL,
            format="tflite",
            model_sha256=digest,
        )
        for n, digest in enumerate(digests)
    )
    return made


def test_no_chart_of_a_large_study_draws_more_than_two_thousand_marks(crowd: Study) -> None:
    for name, frame in _frames(crowd.path).items():
        chart = FIGURES[name].chart(frame) if frame.total else None
        if chart is None:
            continue
        datasets = specification(chart, "")["datasets"]
        assert isinstance(datasets, dict)
        rows = sum(len(data) for data in datasets.values())
        assert 0 < rows <= 2_000, name
    frame = _frames(crowd.path)["lineage"]
    assert frame.total == 2_000
    assert "Drawn are the 300 largest families" in FIGURES["lineage"].caption(
        frame, report.summary(crowd)
    )
