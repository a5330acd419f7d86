"""A model in a wrapping is the model that it is without."""

import gzip
import hashlib
import io
import zipfile
import zlib
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


PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40
"""Not whole, but what it is, its first bytes say."""


def zipped(files: dict[str, bytes], comment: bytes = b"") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
        archive.comment = comment
    return out.getvalue()


def counted_from_the_start(picture: bytes, files: dict[str, bytes]) -> bytes:
    """A zip behind a picture whose offsets count the picture in."""
    out = io.BytesIO(picture)
    with zipfile.ZipFile(out, "a") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("wrapped")
    members = {
        "assets/net.onnx": MODEL,
        "assets/net.onnx.gz": ZIPPED,
        "assets/masked.onnx": MASKED,
        "assets/notes.gz": gzip.compress(b"words " * 500, mtime=0),
        "assets/cut.onnx.gz": ZIPPED[:-9],
        "res/photo.png": PICTURE + zipped({"net.onnx": MODEL, "packed.onnx.gz": ZIPPED}, b"note"),
        "res/plain.png": PICTURE,
    }
    packages.package(members | PAIR, folder / "apps" / "a.apk", stored=("res/",))
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


def test_a_row_says_what_its_file_takes_up_in_the_package(study: Study) -> None:
    with study.connect() as connection:
        rows = dict(connection.execute("SELECT member, packed_bytes FROM files").fetchall())
    packed = zlib.compressobj(wbits=-15)
    assert rows["assets/net.onnx"] == len(packed.compress(MODEL) + packed.flush())
    assert rows["lone.bin"] is None, "outside a package"


def test_a_wrapped_model_is_counted_once_where_it_lies(study: Study) -> None:
    inside = [member for member in _files(study) if "!/" in member]
    assert all(member.startswith("res/photo.png!/") for member in inside)


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


@pytest.mark.parametrize("shifted", [False, True])
def test_models_in_a_zip_behind_a_picture_are_found(tmp_path: Path, shifted: bool) -> None:
    path = tmp_path / "photo.png"
    files = {"a/net.onnx": MODEL, "a.zip": zipped({"deep.onnx": MODEL})}
    whole = counted_from_the_start(PICTURE, files) if shifted else PICTURE + zipped(files)
    path.write_bytes(whole)
    found = inspect_file(path)
    assert found.kind is FileKind.PACKAGE
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert found.models is not None
    assert [(each.path, each.kind, each.wrapping, each.sha256) for each in found.models] == [
        ("photo.png!/appended.zip!/a/net.onnx", FileKind.MODEL, "appended-zip", SHA256),
        ("photo.png!/appended.zip!/a.zip!/deep.onnx", FileKind.MODEL, "appended-zip", SHA256),
    ]


def test_a_zip_behind_a_member_of_a_package_is_looked_into(study: Study) -> None:
    files = _files(study)
    place = "res/photo.png!/appended.zip!/"
    assert files[place + "net.onnx"][:2] == (FileKind.MODEL, "appended-zip")
    assert files[place + "packed.onnx.gz"][:2] == (FileKind.MODEL, "appended-zip+gzip")
    assert files[place + "net.onnx"][-1] == files["assets/net.onnx"][-1]
    assert "res/plain.png" not in files


def test_a_model_with_a_zip_of_its_own_stays_one_model(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(MODEL + b"\x72\x90\x4e" + bytes(10_000) + zipped({"labels.txt": b"cat"}))
    assert inspect_file(path).kind is not FileKind.PACKAGE


@pytest.mark.parametrize("cut", [1, 22, 60])
def test_a_zip_that_is_not_whole_is_not_taken_for_an_appended_one(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes((PICTURE + zipped({"net.onnx": MODEL}))[:-cut])
    assert inspect_file(path).kind is FileKind.UNKNOWN


def test_zips_behind_pictures_inside_each_other_have_an_end(tmp_path: Path) -> None:
    data = MODEL
    for _ in range(12):
        data = PICTURE + zipped({"photo.png": data})
    path = tmp_path / "photo.png"
    path.write_bytes(data)
    found = inspect_file(path)
    assert found.models is not None
    assert [each.kind for each in found.models] == [FileKind.UNKNOWN]
    assert "at most 4 are opened" in str(found.models[0].error)
