"""The list of reference models, its definitions and the border to PyTorch."""

import ast
from dataclasses import replace
from pathlib import Path

import pytest

from gaugenn.errors import UsageError
from gaugenn.formats import readers
from gaugenn.zoo import _catalogue
from gaugenn.zoo._build import exporters, runtimes
from gaugenn.zoo._catalogue import models, select
from gaugenn.zoo._order import Variant

SOURCE = Path(_catalogue.__file__).parent
MODELS = pytest.mark.parametrize("name", models())


def _functions(path: Path) -> set[str]:
    return {n.name for n in ast.parse(path.read_text()).body if isinstance(n, ast.FunctionDef)}


@MODELS
def test_a_model_has_a_definition_of_its_name(name: str) -> None:
    module = SOURCE / "definitions" / f"{models()[name].definition}.py"
    assert name in _functions(module)


@MODELS
def test_a_model_has_one_definite_input_size_and_a_range_to_draw_from(name: str) -> None:
    for given in models()[name].inputs:
        assert given.shape[0] == 1
        assert min(given.shape) >= 1
        assert given.low < given.high
        assert given.dtype in ("float32", "int32")


@MODELS
def test_a_published_figure_has_a_source_and_a_limit(name: str) -> None:
    published = models()[name].published
    if published is not None:
        assert published.source.startswith("https://")
        assert 0 < published.within <= 0.1
        assert published.parameters or published.macs


def test_the_papers_models_and_todays_are_there() -> None:
    assert len(select(["paper"])) >= 15
    assert len(select(["today"])) >= 5
    assert {m.name for m in select(["all"])} == set(models())
    assert select([]) == select(["all"])


def test_models_are_chosen_by_name_and_set_each_once() -> None:
    chosen = [m.name for m in select(["mobilenet_v2", "today", "mobilenet_v2"])]
    assert chosen[0] == "mobilenet_v2"
    assert len(chosen) == len(set(chosen)) == 1 + len(select(["today"]))


def test_an_unknown_model_is_a_usage_error_that_lists_the_known() -> None:
    with pytest.raises(UsageError, match="ds_cnn"):
        select(["lenet"])


def test_a_definitions_digest_covers_its_input_and_the_blocks_that_it_is_built_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = models()["mobilenet_v2"]
    before = model.definition_sha256
    other = replace(model, inputs=(replace(model.inputs[0], shape=(1, 3, 192, 192)),))
    assert other.definition_sha256 != before
    assert replace(model, title="another title").definition_sha256 == before
    for name in ("_seeding.py", "definitions/mobilenet.py", "definitions/_blocks.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((SOURCE / name).read_bytes())
    monkeypatch.setattr(_catalogue, "_HERE", tmp_path)
    assert model.definition_sha256 == before
    with (tmp_path / "definitions/_blocks.py").open("a") as file:
        file.write("\n# another line\n")
    assert model.definition_sha256 != before


def test_pytorch_is_imported_by_definitions_only() -> None:
    for path in SOURCE.parent.rglob("*.py"):
        if path.parent == SOURCE / "definitions":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [a.name for a in node.names] if isinstance(node, ast.Import) else []
            heavy = ("torch", "gaugenn.zoo.definitions", "onnx", "litert_torch", "executorch")
            assert not any(n == h or n.startswith(h + ".") for n in names for h in heavy), path


def test_every_exporter_writes_a_format_that_gaugenn_reads_and_a_library_runs() -> None:
    read_back = {runtime.format for runtime in runtimes().values()}
    for name, exporter in exporters().items():
        assert name in readers()
        assert name in read_back
        assert exporter.spec.startswith("https://")
        assert exporter.source is None or exporter.source in exporters()
        assert Variant.FLOAT32 not in exporter.refusals
    assert read_back <= set(exporters())
