"""The smallest model through every exporter and library. Needs the exporters' environment (3 GB).

Run by `scripts/zoo --check`; left out otherwise.
"""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from gaugenn import api
from gaugenn.engines._environments import Installation
from gaugenn.errors import UsageError
from gaugenn.pipeline import Silent
from gaugenn.pipeline.zoo import Built, build_models
from gaugenn.records import BuildStatus
from gaugenn.zoo import _environment

pytestmark = pytest.mark.exporters

MODEL = "ds_cnn"


@pytest.fixture(scope="module")
def installation() -> Installation:
    return _environment.install()


@pytest.fixture(scope="module")
def built(
    installation: Installation, tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[str, str], Built]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_environment, "require", lambda: installation)
        patch.setenv("GAUGENN_CACHE", str(tmp_path_factory.mktemp("cache")))
        return {(b.record.format, b.record.variant): b for b in build_models([MODEL], Silent())}


def test_every_format_of_float32_is_accepted_by_every_library(
    built: dict[tuple[str, str], Built],
) -> None:
    whole = [b.record for (_, variant), b in built.items() if variant == "fp32"]
    assert len(whole) == 6
    for record in whole:
        assert record.status is BuildStatus.ACCEPTED, record.reason
        assert all(a.reason is None for a in record.agreements)


def test_float16_and_int8_are_accepted_or_refused_with_a_reason(
    built: dict[tuple[str, str], Built],
) -> None:
    for (_, variant), b in built.items():
        if variant == "fp16":
            assert b.record.status is BuildStatus.ACCEPTED, b.record.reason
        if variant == "int8":
            wanted = b.record.format in ("onnx", "tflite", "executorch")
            assert (b.record.status is BuildStatus.ACCEPTED) == wanted, b.record.reason


def test_the_exported_files_cost_what_the_definition_costs(
    built: dict[tuple[str, str], Built],
) -> None:
    macs = {b.record.file_macs for (_, variant), b in built.items() if variant == "fp32"}
    assert macs == {2_656_768}


def test_weights_of_ones_own_replace_the_seeded_ones_and_wrong_ones_are_refused(
    installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_environment, "require", lambda: installation)
    monkeypatch.setenv("GAUGENN_CACHE", str(tmp_path / "cache"))
    (tmp_path / "state.py").write_text(
        "import sys\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "import numpy, torch\n"
        "from gaugenn.zoo.definitions.keyword import ds_cnn\n"
        "torch.manual_seed(5)\n"
        "state = ds_cnn().state_dict()\n"
        "numpy.savez(sys.argv[2], **{name: value.numpy() for name, value in state.items()})\n"
    )
    source = Path(api.__file__).parents[2]
    program = [str(installation.interpreter), "-I", str(tmp_path / "state.py"), str(source)]
    subprocess.run([*program, str(tmp_path / "own.npz")], check=True)
    (own,) = api.zoo_build(
        [MODEL], formats=["onnx"], variants=["fp32"], weights=tmp_path / "own.npz"
    )
    assert own.record.status is BuildStatus.ACCEPTED
    assert own.record.weights_sha256 is not None
    np.savez(tmp_path / "wrong.npz", x=np.zeros(3, np.float32))
    (wrong,) = api.zoo_build(
        [MODEL], formats=["onnx"], variants=["fp32"], weights=tmp_path / "wrong.npz"
    )
    assert wrong.record.status is BuildStatus.REFUSED
    assert "Missing key" in (wrong.record.reason or "")
    (tmp_path / "pickle.pt").write_bytes(b"\x80\x02.")
    with pytest.raises(UsageError, match="safetensors"):
        api.zoo_build([MODEL], weights=tmp_path / "pickle.pt")
