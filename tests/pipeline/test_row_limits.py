"""A package cannot fill a study with rows."""

from pathlib import Path

from tests.pipeline import packages

from gaugenn import api
from gaugenn.pipeline.scan import UNKNOWN_LIMIT
from gaugenn.store import Study


def test_files_that_are_only_named_like_models_do_not_crowd_out_a_model(tmp_path: Path) -> None:
    members = {f"assets/{i}.tflite": b"%d words, no model" % i for i in range(UNKNOWN_LIMIT + 50)}
    packages.package({**members, "assets/z.onnx": packages.onnx_model()}, tmp_path / "a.apk")
    api.scan([tmp_path / "a.apk"], tmp_path / "s")
    with Study(tmp_path / "s").connect() as connection:
        kinds = dict(connection.execute("SELECT kind, count(*) FROM files GROUP BY 1").fetchall())
        notes = connection.execute("SELECT notes FROM apps").fetchall()
    assert kinds == {"unknown": UNKNOWN_LIMIT, "model": 1}
    assert "limit-candidates" in notes[0][0]
