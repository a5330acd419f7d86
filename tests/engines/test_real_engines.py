"""The real libraries on models made here, against numpy. Installs what is missing, once."""

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gaugenn.analysis.verdict import Case, verdict
from gaugenn.devices import Output
from gaugenn.devices.host import HostDevice
from gaugenn.engines import Engine, _environments, _worker, load_engine
from gaugenn.errors import EngineError
from gaugenn.records import Job, Precision, Processor, Run, RunStatus, Timings

pytestmark = pytest.mark.engines

Tiny = Callable[[str], Any]


HEAVY = ("pytorch", "executorch")
"""Engines of a gigabyte and more: they run where they are installed, and their recorded output is
read everywhere (`test_contract.py`)."""


def launch(model: Any, folder: Path, mode: str = "", **changes: Any) -> tuple[Engine, Output]:
    engine = load_engine(model.engine)
    version = engine.default_version
    if engine.name in HEAVY and not _environments.is_installed(engine, version):
        pytest.skip(
            f"{engine.name} is large; install it with: gaugenn engines install {engine.name}"
        )
    if engine.distribution is not None:
        _environments.install(engine)
    program = _environments.program(engine, version)
    job = dataclasses.replace(model.job(version), **changes)
    with HostDevice(folder / "work") as device:
        paths = [device.push(path, path.name) for path in model.write(folder)]
        argv = engine.command(job, program, paths)
        if mode == "profile":
            argv = engine.profile_command(job, program, paths)
        if mode == "offers":
            argv = engine.offers_command(program)
        output = device.run(argv, timeout_s=120)
    assert output.exit_code == 0, output.stderr
    return engine, output


def measure(model: Any, folder: Path, **changes: Any) -> Timings:
    engine, output = launch(model, folder, **changes)
    return engine.parse(output.stdout, output.stderr)


PRODUCTS = [
    *("onnx_product", "tflite_sum", "ncnn_product", "ncnn_binary", "mnn_product"),
    *("openvino_product", "openvino_sum", "opencv_product", "tflite_runtime_sum"),
    *("pytorch_product", "pytorch_lite", "executorch_product"),
]


def inputs(model: Any) -> list[Any]:
    made = enumerate(model.inputs)
    return [_worker.make_input(n, dtype, shape, (7, i)) for i, (n, dtype, shape) in made]


@pytest.mark.parametrize("name", [*PRODUCTS, "null"])
def test_an_engine_gets_the_seeded_input_and_measures(
    tiny: Tiny, name: str, tmp_path: Path
) -> None:
    model = tiny(name)
    timings = measure(model, tmp_path)
    named = [(n, a) for (n, _, _), a in zip(model.inputs, inputs(model), strict=True)]
    assert timings.input_sha256 == _worker.digest_arrays(named)
    assert [(i.name, i.shape) for i in timings.inputs] == [(n, a.shape) for n, a in named]
    assert len(timings.steady_s) == 5
    assert timings.load_s is not None
    found = timings.engine_version.partition("+")[0]
    assert found == load_engine(model.engine).default_version
    assert timings.peak_memory_bytes is not None
    assert timings.load_memory_bytes is not None
    assert timings.peak_memory_bytes > timings.load_memory_bytes > 1 << 20
    assert timings.process_cpu_s is not None
    assert timings.observed_processor == "cpu"
    assert "outputs-change" not in timings.notes


@pytest.mark.parametrize("name", PRODUCTS)
def test_an_engine_computes_what_numpy_computes(tiny: Tiny, name: str, tmp_path: Path) -> None:
    model = tiny(name)
    able = load_engine(model.engine).precisions
    precision = Precision.FLOAT32 if Precision.FLOAT32 in able else Precision.AS_STORED
    found = measure(model, tmp_path, precision=precision).outputs
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
    assert measure(model, tmp_path, precision=Precision.FLOAT32).observed_precision == "float32"


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


def given(job: Job, timings: Timings) -> tuple[str, ...]:
    """The reasons of the verdict on one launch."""
    run = Run(
        job_sha256=job.job_sha256,
        launch=0,
        status=RunStatus.OK,
        reason=None,
        timings=timings,
        started_at="",
        wall_s=1.0,
        load_average=None,
        environment_sha256="",
        argv=(),
        log_tail="",
    )
    return verdict(Case(job=job, runs=[run], semantics=None, environment=None)).reasons


def test_mnn_that_falls_back_to_the_cpu_without_a_word_is_found_out(
    tiny: Tiny, tmp_path: Path
) -> None:
    model = tiny("mnn_product")
    timings = measure(model, tmp_path, processor=Processor.GPU)
    assert timings.observed_processor is Processor.CPU
    job = dataclasses.replace(model.job("3.6.1"), processor=Processor.GPU)
    assert "silent_fallback" in given(job, timings)
    on_the_cpu = measure(model, tmp_path)
    assert "silent_fallback" not in given(model.job("3.6.1"), on_the_cpu)


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="ARM may compute in float16")
def test_mnn_that_computes_in_another_precision_than_asked_is_found_out(
    tiny: Tiny, tmp_path: Path
) -> None:
    model = tiny("mnn_product")
    timings = measure(model, tmp_path, precision=Precision.FLOAT16)
    assert timings.observed_precision == "float32"
    job = dataclasses.replace(model.job("3.6.1"), precision=Precision.FLOAT16)
    assert "other_precision" in given(job, timings)


def test_ncnn_computes_with_vulkan_and_says_on_what(tiny: Tiny, tmp_path: Path) -> None:
    model = tiny("ncnn_product")
    engine, output = launch(model, tmp_path, mode="offers")
    offers = engine.parse_offers(output.stdout, output.stderr).offers
    if Processor.GPU not in {offer.processor for offer in offers}:
        pytest.skip("no Vulkan device; install: apt-get install mesa-vulkan-drivers libvulkan1")
    timings = measure(model, tmp_path, processor=Processor.GPU, precision=Precision.FLOAT32)
    assert timings.observed_processor is Processor.GPU
    assert timings.observed_precision == "float32"
    assert any(note.startswith("gpu-name: ") for note in timings.notes)
    (expected,) = model.compute(inputs(model))
    assert timings.outputs[0].mean == pytest.approx(float(np.mean(expected)), rel=1e-4)


def test_openvino_without_the_device_asked_for_is_refused(tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"prepare: OpenVINO has no npu here"):
        measure(tiny("openvino_product"), tmp_path, processor=Processor.NPU)


def test_openvino_says_in_what_it_computes_and_can_be_told(tiny: Tiny, tmp_path: Path) -> None:
    model = tiny("openvino_product")
    asked = measure(model, tmp_path, precision=Precision.FLOAT32)
    assert asked.observed_precision == "float32"
    assert measure(model, tmp_path).observed_precision in ("float32", "bfloat16", "float16")


@pytest.mark.parametrize("name", PRODUCTS)
def test_an_engine_times_its_operators_apart(tiny: Tiny, name: str, tmp_path: Path) -> None:
    engine, output = launch(tiny(name), tmp_path, mode="profile")
    found = engine.parse_profile(output.stdout, output.stderr)
    assert found.operators
    assert all(o.operator for o in found.operators)
    assert all(len(o.durations_s) == 10 for o in found.operators)


def test_two_operators_of_a_tflite_model_are_timed_by_cutting_it(
    tiny: Tiny, tmp_path: Path
) -> None:
    model = tiny("tflite_chain")
    engine, output = launch(model, tmp_path, mode="profile")
    found = engine.parse_profile(output.stdout, output.stderr)
    assert [o.operator for o in found.operators] == ["ADD", "ADD"]
    assert [o.name for o in found.operators] == ["y", "z"]


@pytest.mark.parametrize("name", ["onnx_product", "tflite_sum", "ncnn_product", "mnn_product"])
def test_a_model_that_is_not_there_gives_a_refusal_and_no_time(
    tiny: Tiny, name: str, tmp_path: Path
) -> None:
    engine = load_engine(tiny(name).engine)
    _environments.install(engine)
    program = _environments.program(engine, engine.default_version)
    with HostDevice(tmp_path / "work") as device:
        argv = engine.command(tiny(name).job(engine.default_version), program, ["missing.x"])
        output = device.run(argv, timeout_s=60)
    with pytest.raises(EngineError, match=r"missing\.x"):
        engine.parse(output.stdout, output.stderr)
