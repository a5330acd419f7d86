"""A model in a wrapping is the model that it is without."""

import gzip
import hashlib
from pathlib import Path

import pytest
from tests.pipeline import packages

from gaugenn import api
from gaugenn.pipeline.inspect import inspect_file
from gaugenn.records import FileKind
from gaugenn.store import Study

MODEL = packages.onnx_model()
SHA256 = hashlib.sha256(MODEL).hexdigest()
MASKED = MODEL.translate(bytes(value ^ 0x5A for value in range(256)))
ZIPPED = gzip.compress(MODEL, mtime=0)
PAIR = {
    "assets/net.param": packages.PARAM.encode(),
    "assets/net.bin": packages.ncnn_weights(),
    "assets/packed.param": gzip.compress(packages.PARAM.encode(), mtime=0),
    "assets/packed.bin": packages.ncnn_weights(),
}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("wrapped")
    members = {
        "assets/net.onnx": MODEL,
        "assets/net.onnx.gz": ZIPPED,
        "assets/masked.onnx": MASKED,
        "assets/notes.gz": gzip.compress(b"words " * 500, mtime=0),
        "assets/cut.onnx.gz": ZIPPED[:-9],
    }
    packages.package(members | PAIR, folder / "apps" / "a.apk")
    (folder / "apps" / "lone.bin").write_bytes(ZIPPED)
    api.scan([folder / "apps"], folder / "s")
    return Study(folder / "s")


def _files(study: Study) -> dict[str, tuple[object, ...]]:
    with study.connect() as connection:
        rows = connection.execute(
            "SELECT member, kind, wrapping, sha256, size_bytes, model_sha256 FROM files"
        ).fetchall()
    return {str(member): tuple(rest) for member, *rest in rows}


def test_every_copy_is_the_same_model_and_keeps_its_own_digest(study: Study) -> None:
    files = _files(study)
    shipped = {
        "assets/net.onnx": (None, MODEL),
        "assets/net.onnx.gz": ("gzip", ZIPPED),
        "assets/masked.onnx": ("xor-0x5a", MASKED),
        "lone.bin": ("gzip", ZIPPED),
    }
    for member, (wrapping, data) in shipped.items():
        digest = hashlib.sha256(data).hexdigest()
        assert files[member] == ("model", wrapping, digest, len(data), SHA256)


def test_a_wrapped_model_is_counted_once_where_it_lies(study: Study) -> None:
    assert not [member for member in _files(study) if "!/" in member]


def test_a_graph_under_gzip_and_its_plain_weights_are_the_same_pair(study: Study) -> None:
    files = _files(study)
    assert files["assets/packed.param"][1] == "gzip"
    assert files["assets/packed.bin"][0] == "weights"
    owners = {files[member][-1] for member in PAIR}
    assert len(owners) == 1
    assert None not in owners


def test_a_wrapped_model_that_is_cut_off_has_a_row_that_says_so(study: Study) -> None:
    kind, wrapping, *_ = _files(study)["assets/cut.onnx.gz"]
    assert (kind, wrapping) == ("invalid", "gzip")


def test_distinct_models_are_read_from_what_is_inside(study: Study) -> None:
    with study.connect() as connection:
        rows = connection.execute(
            "SELECT format, kind, count(*) FROM models GROUP BY ALL ORDER BY 1"
        ).fetchall()
    assert rows == [("ncnn", "model", 1), ("onnx", "model", 1)]


def test_inspecting_says_what_the_file_and_what_the_model_is(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(MASKED)
    found = inspect_file(path)
    assert (found.kind, found.format, found.wrapping) == (FileKind.MODEL, "onnx", "xor-0x5a")
    assert found.sha256 == hashlib.sha256(MASKED).hexdigest()
    assert found.record is not None
    assert found.record.model_sha256 == SHA256
    assert found.as_json()["wrapping"] == "xor-0x5a"


def test_a_mediapipe_bundle_has_its_models_counted_and_its_graph_told(tmp_path: Path) -> None:
    graph = b'node {\n  calculator: "InferenceCalculator"\n  model_path: "face.onnx"\n}\n'
    packages.package({"face.onnx": MODEL, "g.pbtxt": graph}, tmp_path / "b.zip")
    bundle = tmp_path / "face.task"  # real ones begin with padding
    bundle.write_bytes(bytes(2) + (tmp_path / "b.zip").read_bytes())
    (tmp_path / "b.zip").unlink()
    api.scan([bundle], tmp_path / "s")
    with Study(tmp_path / "s").connect() as connection:
        rows = connection.execute(
            "SELECT member, kind, error FROM files ORDER BY member"
        ).fetchall()
    assert rows[0] == ("face.onnx", FileKind.MODEL, None)
    assert rows[1][:2] == ("g.pbtxt", FileKind.UNKNOWN)
    assert rows[1][2].endswith(
        "a MediaPipe graph of 1 calculators: InferenceCalculator; it names face.onnx"
    )
