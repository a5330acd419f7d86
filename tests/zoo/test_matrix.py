"""The completeness matrix, from planted builds and from those that are committed."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from gaugenn import api
from gaugenn.errors import FormatError, UsageError
from gaugenn.records import Agreement, BuildStatus, BuiltFile, ZooBuild, from_plain
from gaugenn.zoo._build import exporters, runtimes
from gaugenn.zoo._catalogue import models
from gaugenn.zoo._matrix import cells, deviation, markdown
from gaugenn.zoo._order import Variant

DOCS = Path(__file__).parents[2] / "docs"
COMMITTED = [
    from_plain(ZooBuild, json.loads(line), "docs/zoo-builds.jsonl")
    for line in (DOCS / "zoo-builds.jsonl").read_text().splitlines()
]

BUILD = ZooBuild(
    build_sha256="0" * 64,
    model="ds_cnn",
    format="onnx",
    variant="fp32",
    status=BuildStatus.ACCEPTED,
    reason=None,
    definition_sha256="1" * 64,
    weights_sha256=None,
    seed=0,
    exporter="torch.onnx",
    packages=("torch==1",),
    built_at="2026-01-01T00:00:00+00:00",
    wall_s=1.0,
    peak_memory_bytes=1,
    files=(BuiltFile(name="ds_cnn_fp32.onnx", sha256="2" * 64, size_bytes=10),),
    parameters=23_756,
    file_macs=2_656_768,
    agreements=(
        Agreement(
            library="onnxruntime",
            version="1",
            cosine=1.0,
            maximum_relative_error=2e-7,
            reason=None,
        ),
        Agreement(
            library="opencv",
            version="1",
            cosine=0.5,
            maximum_relative_error=2.0,
            reason="cosine 0.500000 is below 0.99999 for fp32",
        ),
    ),
)


def gap(build: ZooBuild, library: str, variant: Variant = Variant.FLOAT32) -> str | None:
    (found,) = [
        c for c in cells([build]) if (c.model, c.library, c.variant) == ("ds_cnn", library, variant)
    ]
    return found.gap


def test_every_model_library_and_precision_has_a_cell() -> None:
    listed = list(cells([BUILD]))
    assert len(listed) == len(models()) * len(runtimes()) * len(Variant)
    assert sum(c.gap is None for c in listed) == 1


def test_a_cell_without_a_gap_agrees_and_every_other_says_why() -> None:
    assert gap(BUILD, "onnxruntime") is None
    assert gap(BUILD, "opencv") == "opencv: cosine 0.500000 is below 0.99999 for fp32"
    assert "not compared" in (gap(BUILD, "openvino") or "")
    assert "not built yet" in (gap(BUILD, "ncnn") or "")
    assert "not built yet" in (gap(BUILD, "onnxruntime", Variant.INT8) or "")


def test_a_failed_build_gives_its_reason_to_all_libraries_of_the_format() -> None:
    failed = replace(
        BUILD, status=BuildStatus.CRASHED, reason="it ended\nby signal 11 <x|y>", agreements=()
    )
    for library in ("onnxruntime", "opencv", "openvino"):
        assert gap(failed, library) == "onnx: crashed: it ended by signal 11 (x/y)"


def test_builds_with_a_users_weights_are_not_in_the_matrix() -> None:
    assert gap(replace(BUILD, weights_sha256="3" * 64), "onnxruntime") is not None


def test_the_page_lists_every_gap_once_and_refers_to_it() -> None:
    text = markdown([BUILD])
    row = next(line for line in text.splitlines() if line.startswith("| `ds_cnn` |"))
    assert "2e-07 · [1] · [1]" in row
    assert text.count("cosine 0.500000 is below") == 1
    assert "2.7 M (-1.6%)" in text


def test_records_travel_as_json_lines_and_odd_ones_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "builds.jsonl"
    path.write_text(json.dumps(asdict(BUILD)) + "\n")
    assert api.zoo_matrix(path) == markdown([BUILD])
    assert json.loads(api.zoo_matrix(path, as_json=True))["model"] == "ds_cnn"
    path.write_text("[1]\n")
    with pytest.raises(UsageError):
        api.zoo_matrix(path)
    path.write_text('{"model": "ds_cnn"}\n')
    with pytest.raises(FormatError):
        api.zoo_matrix(path)


def test_the_page_is_in_step_with_the_records() -> None:
    # After a change of engines, exporters or records: scripts/zoo --docs
    assert (DOCS / "zoo-matrix.md").read_text() == markdown(COMMITTED)


def test_committed_records_are_of_models_formats_and_libraries_that_exist() -> None:
    assert COMMITTED
    for build in COMMITTED:
        assert build.model in models()
        assert build.format in exporters()
        assert {a.library for a in build.agreements} <= set(runtimes())
        assert build.status is BuildStatus.ACCEPTED or build.reason
        if build.status is BuildStatus.ACCEPTED:
            assert any(a.reason is None for a in build.agreements)
            assert build.files


def test_committed_records_are_of_the_definitions_that_are_there() -> None:
    for build in COMMITTED:
        assert build.definition_sha256 == models()[build.model].definition_sha256, build.model


def test_costs_are_the_published_ones_within_the_stated_limit() -> None:
    counted = {b.model: b for b in COMMITTED if b.format == "onnx" and b.variant == "fp32"}
    assert counted
    for name, build in counted.items():
        published = models()[name].published
        if published is None:
            continue
        for found, stated in (
            (build.parameters, published.parameters),
            (build.file_macs, published.macs),
        ):
            off = deviation(found, stated)
            assert off is None or abs(off) <= published.within, f"{name}: {found} against {stated}"
