"""A library's releases, from the package index to steps: stand-ins for a library's wheels, with planted
latencies, are installed beside the real numpy and run like the library."""

import base64
import hashlib
import json
import zipfile
from pathlib import Path

import pytest
from tests.pipeline import packages

from gaugenn import api
from gaugenn.cli import main

LATENCIES_MS = {"99.1": 3, "99.2": 3, "99.3": 9}
"""Of each release; the library's own releases are older."""
BROKEN = "99.4"
STAND_IN = """
import time
import numpy as np

def set_default_logger_severity(severity): pass

class SessionOptions:
    intra_op_num_threads = 0

class Value:
    def __init__(self, name): self.name, self.type, self.shape = name, "tensor(float)", [1, 4]

class Binding:
    def bind_cpu_input(self, name, array): self.array = array
    def bind_output(self, name, device): pass
    def copy_outputs_to_cpu(self): return [self.array + 1]

class InferenceSession:
    def __init__(self, path, options, providers): self.options = options
    def get_providers(self): return ["CPUExecutionProvider"]
    def get_session_options(self): return self.options
    def get_inputs(self): return [Value("x")]
    def get_outputs(self): return [Value("y")]
    def io_binding(self): return Binding()
    def run_with_iobinding(self, binding): time.sleep(LATENCY_S)

def get_available_providers(): return ["CPUExecutionProvider"]
"""


def write_release(folder: Path, version: str, source: str) -> None:
    """A wheel of the stand-in."""
    name = f"onnxruntime-{version}"
    with zipfile.ZipFile(folder / f"{name}-py3-none-any.whl", "w") as wheel:
        wheel.writestr("onnxruntime.py", source)
        info = f"{name}.dist-info"
        head = "Metadata-Version: 2.1\nName: onnxruntime\n"
        wheel.writestr(f"{info}/METADATA", f"{head}Version: {version}\n")
        tags = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        wheel.writestr(f"{info}/WHEEL", tags)
        digest = base64.urlsafe_b64encode(hashlib.sha256(source.encode()).digest()).rstrip(b"=")
        record = f"onnxruntime.py,sha256={digest.decode()},{len(source)}\n"
        wheel.writestr(f"{info}/RECORD", record)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Wheels that pip finds beside those of the real index."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for version, milliseconds in LATENCIES_MS.items():
        write_release(wheels, version, f"LATENCY_S = {milliseconds / 1e3}\n{STAND_IN}")
    write_release(wheels, BROKEN, "raise ImportError('needs a newer system')\n")
    monkeypatch.setenv("GAUGENN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    return wheels


@pytest.mark.usefixtures("index")
def test_releases_are_installed_run_in_turns_and_the_step_is_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, study = tmp_path / "m.onnx", tmp_path / "s"
    model.write_bytes(packages.onnx_model())
    command = ["history", "onnxruntime", str(model), "--out", str(study), "--since", "99"]
    assert main([*command, "--launches", "3", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["version"] for row in found["releases"]] == list(LATENCIES_MS)
    for row in found["releases"]:
        assert row["latency_ms"] >= LATENCIES_MS[row["version"]]
    steps = {row["version"]: row["step"] for row in found["releases"] if row["step"]}
    assert list(steps) == ["99.3"]
    assert "svg" in Path(found["chart"]).read_text()[:200]

    ((failure,),) = (api.query(study, "SELECT subject, message FROM failures").to_pylist(),)
    assert failure["subject"] == f"onnxruntime=={BROKEN}"
    assert "needs a newer system" in failure["message"]
    launches = "SELECT engine_version, launch FROM launches ORDER BY ALL"
    made = api.query(study, launches).to_pylist()
    assert len(made) == 3 * len(LATENCIES_MS)

    assert main([*command, "--launches", "3", "--remove", "-q"]) == 0
    assert api.query(study, launches).to_pylist() == made
    kept = sorted(p.name for p in (tmp_path / "cache" / "engines").iterdir() if p.is_dir())
    assert [n for n in kept if n.startswith("onnxruntime")] == [
        f"onnxruntime-{version}" for version in LATENCIES_MS
    ]
