"""A user's file in the zoo, and a study that is made from the zoo."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from gaugenn import api, report
from gaugenn.cli import main
from gaugenn.errors import MissingToolError, UsageError
from gaugenn.pipeline import Silent
from gaugenn.pipeline.zoo import build_models
from gaugenn.records import Agreement, BuildStatus
from gaugenn.store import Study
from gaugenn.zoo import _build


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GAUGENN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    """An ncnn model of two files."""
    path = tmp_path / "mine" / "net.param"
    path.parent.mkdir()
    path.write_text("7767517\n2 2\nInput in 0 1 x 0=3\nInnerProduct fc 1 1 x y 0=2 1=1 2=6\n")
    path.with_suffix(".bin").write_bytes(bytes(4 + 4 * 6 + 4 * 2))
    return path


def test_a_users_file_comes_with_its_companions_and_is_listed(graph: Path) -> None:
    built = api.zoo_add(graph)
    assert built.record.model == "net"
    assert built.record.format == "ncnn"
    assert [path.name for path in built.files] == ["net.param", "net.bin"]
    assert built.files[1].read_bytes() == graph.with_suffix(".bin").read_bytes()
    mine = next(model for model in api.zoo_list() if model.name == "net")
    assert (mine.set, mine.built) == ("file", ("ncnn",))
    assert [b.record for b in api.zoo_builds(["net"])] == [built.record]


@pytest.mark.parametrize("name", ["mobilenet_v2", "all", "paper", "../net", "", "a b"])
def test_a_name_that_is_taken_or_odd_is_refused(graph: Path, name: str) -> None:
    with pytest.raises(UsageError):
        api.zoo_add(graph, name or " ")


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"no model")
    with pytest.raises(UsageError, match="no model"):
        api.zoo_add(tmp_path / "x.onnx")


def test_a_study_is_made_from_the_zoo_and_shows_what_ran(tmp_path: Path, graph: Path) -> None:
    onnx = pytest.importorskip("onnx")
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 64])
    answer = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 64])
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", [value], [answer]))
    (tmp_path / "relu.onnx").write_bytes(model.SerializeToString())
    api.zoo_add(tmp_path / "relu.onnx")
    api.zoo_add(graph)
    settings = api.BenchSettings(engines=("null",), launches=1)
    result = api.bench(tmp_path / "study", settings, zoo=["relu"])
    rows = api.query(result.study, "SELECT model, format, status FROM zoo_builds").to_pylist()
    assert rows == [{"model": "relu", "format": "onnx", "status": "accepted"}]
    assert result.summary.launches_ok == 1
    again = api.bench(tmp_path / "study", settings, zoo=["relu", "net"])
    assert again.summary.launches == 2
    names = api.query(result.study, "SELECT model FROM zoo_builds ORDER BY model").to_pylist()
    assert [row["model"] for row in names] == ["net", "relu"]


def test_what_is_not_built_is_named_with_the_command_that_builds_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="gaugenn zoo build ds_cnn"):
        api.bench(tmp_path / "s", api.BenchSettings(engines=("null",)), zoo=["ds_cnn"])
    assert not (tmp_path / "s").exists()
    with pytest.raises(UsageError, match="no reference model 'lenet'"):
        api.bench(tmp_path / "s", api.BenchSettings(engines=("null",)), zoo=["lenet"])


def test_building_without_the_exporters_says_what_to_install_and_how_large_it_is() -> None:
    with pytest.raises(MissingToolError, match=r"GB.*gaugenn zoo install"):
        api.zoo_build(["ds_cnn"])


def test_weights_fit_one_model() -> None:
    with pytest.raises(UsageError, match="--weights"):
        build_models(["ds_cnn", "vgg16"], Silent(), weights=Path("w.npz"))
    with pytest.raises(UsageError, match="no exporter for 'caffe'"):
        build_models(["ds_cnn"], Silent(), formats=["caffe"])


def test_the_command_line_lists_shows_and_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["zoo", "list"]) == 0
    assert "ds_cnn" in capsys.readouterr().out
    assert main(["zoo", "info", "lenet"]) == 2
    assert main(["zoo", "build", "ds_cnn"]) == 1
    assert "gaugenn zoo install" in capsys.readouterr().err
    assert main(["bench", "s", "--build-zoo"]) == 2
    assert main(["zoo", "matrix"]) == 0
    assert "not built yet" in capsys.readouterr().out


def test_the_worker_answers_an_order_that_it_cannot_follow(tmp_path: Path) -> None:
    order = tmp_path / "order.json"
    order.write_text(
        '{"action": "export", "model": "m", "definition": "d", "inputs": [], "format": "nothing",'
        ' "variant": "fp32", "seed": 0, "weights": "", "sources": [], "files": [], "runtime": "",'
        f' "reference": "{tmp_path}/r.npz", "folder": "{tmp_path}"}}'
    )
    worker = Path(_build.__file__).with_name("_worker.py")
    done = subprocess.run(
        [sys.executable, "-I", str(worker), str(order)], capture_output=True, check=False
    )
    assert done.returncode == 0
    assert "no plugin 'nothing'" in (tmp_path / "answer.json").read_text()


def test_the_report_shows_what_became_of_each_build(tmp_path: Path, graph: Path) -> None:
    added = api.zoo_add(graph)
    settings = api.BenchSettings(engines=("null",), launches=1)
    folder = api.bench(tmp_path / "study", settings, zoo=["net"]).study
    agrees = Agreement(
        library="null", version="1", cosine=1.0, maximum_relative_error=0.0, reason=None
    )
    differs = replace(agrees, library="opencv", cosine=0.1, reason="cosine 0.1 is too small")
    planted = replace(added.record, model="planted", variant="fp32", agreements=(agrees, differs))
    failed = replace(
        planted,
        variant="int8",
        status=BuildStatus.REFUSED,
        reason="no kernel",
        files=(),
        agreements=(),
    )
    Study(folder).write(
        [
            replace(planted, build_sha256="1" * 64),
            replace(failed, build_sha256="2" * 64),
        ]
    )
    figure = report.figures()["reference_models"]
    rows = api.query(folder, figure.query).to_pylist()
    found = [(r["model"], r["library"], r["variant"], r["outcome"], r["reason"]) for r in rows]
    assert found == [
        ("net", "null", "file", "measured", None),
        ("planted", "ncnn", "int8", "no file", "no kernel"),
        ("planted", "null", "fp32", "measured", None),
        ("planted", "opencv", "fp32", "does not agree", "cosine 0.1 is too small"),
    ]
    assert "Reference models in every library" in api.report(folder).read_text()
