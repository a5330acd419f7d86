"""The real libraries on models made here, against numpy. Installs what is missing, once."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gaugenn.devices.host import HostDevice
from gaugenn.engines import _environments, _worker, load_engine
from gaugenn.errors import EngineError
from gaugenn.records import Precision, Timings

pytestmark = pytest.mark.engines

Tiny = Callable[[str], Any]


def measure(model: Any, folder: Path, precision: Precision = Precision.AS_STORED) -> Timings:
    engine = load_engine(model.engine)
    version = engine.default_version
    if engine.distribution is not None:
        _environments.install(engine)
    program = _environments.program(engine, version)
    with HostDevice(folder / "work") as device:
        paths = [device.push(path, path.name) for path in model.write(folder)]
        argv = engine.command(model.job(version, precision), program, paths)
        output = device.run(argv, timeout_s=60)
    assert output.exit_code == 0, output.stderr
    return engine.parse(output.stdout, output.stderr)


def inputs(model: Any) -> list[Any]:
    made = enumerate(model.inputs)
    return [_worker.make_input(n, dtype, shape, (7, i)) for i, (n, dtype, shape) in made]


@pytest.mark.parametrize(
    "name", ["onnx_product", "tflite_sum", "ncnn_product", "ncnn_binary", "null"]
)
def test_an_engine_gets_the_seeded_input_and_measures(
    tiny: Tiny, name: str, tmp_path: Path
) -> None:
    model = tiny(name)
    timings = measure(model, tmp_path)
    named = [(n, a) for (n, _, _), a in zip(model.inputs, inputs(model), strict=True)]
    assert timings.input_sha256 == _worker.digest_arrays(named)
    assert len(timings.steady_s) == 5
    assert timings.load_s is not None
    assert timings.engine_version == load_engine(model.engine).default_version
    assert timings.peak_memory_bytes is not None
    assert timings.load_memory_bytes is not None
    assert timings.peak_memory_bytes > timings.load_memory_bytes > 1 << 20
    assert timings.process_cpu_s is not None
    assert timings.observed_processor == "cpu"
    assert "outputs-change" not in timings.notes


@pytest.mark.parametrize("name", ["onnx_product", "tflite_sum", "ncnn_product", "ncnn_binary"])
def test_an_engine_computes_what_numpy_computes(tiny: Tiny, name: str, tmp_path: Path) -> None:
    model = tiny(name)
    precision = Precision.FLOAT32 if model.engine == "ncnn" else Precision.AS_STORED
    found = measure(model, tmp_path, precision).outputs
    expected = model.compute(inputs(model))
    assert len(found) == len(expected)
    for output, array in zip(found, expected, strict=True):
        assert output.shape == array.shape
        assert output.dtype == "float32"
        if model.exact:
            assert output.sha256 == _worker.digest_arrays([("", array)])
        assert output.mean == pytest.approx(float(np.mean(array)), rel=1e-5)
        assert output.minimum == pytest.approx(float(array.min()), rel=1e-5)
        assert output.maximum == pytest.approx(float(array.max()), rel=1e-5)


def test_ncnn_says_which_storage_it_uses_and_float32_switches_half_precision_off(
    tiny: Tiny, tmp_path: Path
) -> None:
    model = tiny("ncnn_product")
    assert measure(model, tmp_path).observed_precision == "float16 storage"
    assert measure(model, tmp_path, Precision.FLOAT32).observed_precision == "float32"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("onnx_text", "feed: input 'x' takes text"),
        ("tflite_custom", "prepare: .*nobody-has-this"),
        ("ncnn_unknown_layer", "load: .*graph.*NobodyHasThis"),
    ],
)
def test_what_a_library_cannot_run_is_refused_with_its_own_words(
    tiny: Tiny, name: str, reason: str, tmp_path: Path
) -> None:
    with pytest.raises(EngineError, match=reason):
        measure(tiny(name), tmp_path)


@pytest.mark.parametrize("name", ["onnx_product", "tflite_sum", "ncnn_product"])
def test_a_truncated_model_is_refused_with_the_phase(tiny: Tiny, name: str, tmp_path: Path) -> None:
    model = tiny(name)
    cut = tuple((n, d[: len(d) * 2 // 3]) for n, d in model.files)
    with pytest.raises(EngineError, match=r"^(load|prepare): "):
        measure(dataclasses.replace(model, files=cut), tmp_path)


def test_ncnn_without_its_weights_file_is_refused(tiny: Tiny, tmp_path: Path) -> None:
    model = tiny("ncnn_product")
    alone = dataclasses.replace(model, files=model.files[:1])
    with pytest.raises(EngineError, match="prepare: ncnn cannot read the weights"):
        measure(alone, tmp_path)


def test_ncnn_without_its_inputs_sizes_is_refused(tiny: Tiny, tmp_path: Path) -> None:
    model = dataclasses.replace(tiny("ncnn_product"), input_shapes=())
    with pytest.raises(EngineError, match="needs all of them"):
        measure(model, tmp_path)
