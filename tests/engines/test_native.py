"""Vendors' own programs: what they are told, what is read of their output, how they are started."""

import platform
import shutil
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gaugenn import plugins
from gaugenn.bench.campaign import campaign, host_libraries, host_programs
from gaugenn.bench.launch import LocalFile
from gaugenn.bench.provision import pushed_program
from gaugenn.devices.host import HostDevice
from gaugenn.engines import Engine, _binaries, _environments, load_engine
from gaugenn.engines._native import NativeEngine, cut_lines
from gaugenn.errors import EngineError, FormatError, MissingToolError, UsageError
from gaugenn.records import (
    FileKind,
    InputShape,
    Job,
    JobRecord,
    ModelRecord,
    Precision,
    Processor,
    Run,
    RunStatus,
    Statistic,
    Timings,
)

FILES = Path(__file__).parent / "native"
NAMES = tuple(
    name
    for name, kind in plugins.load_all("gaugenn.engines", Engine).items()  # type: ignore[type-abstract]
    if issubclass(kind, NativeEngine)
)
ABI = f"linux-{platform.machine()}"
END = "\n\ngaugenn-exit 0\n"


def native(name: str) -> NativeEngine:
    engine = load_engine(name)
    assert isinstance(engine, NativeEngine)
    return engine


def transcript(name: str) -> str:
    lines = (FILES / f"{name}.txt").read_text().splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("# "))


def job(name: str, **changes: object) -> Job:
    fields = {
        "model_sha256": "a" * 64,
        "format": "any",
        "engine": name,
        "engine_version": "supplied",
        "device": "host",
        "threads": 2,
        "input_shapes": (InputShape(name="x", shape=(1, 3, 224, 192), dtype="float32"),),
        **changes,
    }
    return Job(**fields)  # type: ignore[arg-type]


def arguments(name: str, *paths: str, **changes: object) -> list[str]:
    return native(name).command(job(name, **changes), (), paths or ("/w/m.x",))


def model(name: str, *notes: str) -> ModelRecord:
    return ModelRecord(
        model_sha256="a" * 64,
        kind=FileKind.MODEL,
        format=native(name).formats[0],
        size_bytes=1,
        notes=notes,
    )


def test_there_are_eleven_programs_none_of_which_is_used_unasked() -> None:
    assert len(NAMES) == 11
    assert not any(native(name).by_default for name in NAMES)


@pytest.mark.parametrize("path", sorted(FILES.glob("*.txt")), ids=lambda p: p.stem)
def test_every_transcript_says_where_it_comes_from(path: Path) -> None:
    first = path.read_text().splitlines()[0]
    assert first.startswith(("# typed: https://", "# own run: "))


@pytest.mark.parametrize("name", NAMES)
def test_a_launch_has_its_samples_or_one_marked_aggregate_as_its_semantics_say(name: str) -> None:
    engine = native(name)
    found = engine.parse(transcript(name) + END, "")
    assert found.latency_s is not None
    assert 0 < found.latency_s < 1
    assert bool(found.steady_s) == engine.timing_semantics.raw_samples
    assert (found.aggregate is None) == bool(found.steady_s)
    assert (found.load_s is None) == (engine.phases == "none")
    assert found.outputs == ()
    assert found.timer_resolution_s is None


@pytest.mark.parametrize("name", NAMES)
def test_what_a_program_refuses_is_an_engine_error_that_says_why(name: str) -> None:
    engine, text = native(name), transcript(f"{name}-refused")
    with pytest.raises(EngineError, match=r".{10,}"):
        engine.parse(text + END, "")
    with pytest.raises(EngineError, match="exit code 3"):
        engine.parse(f"{text}\ngaugenn-exit 3\n", "")


@pytest.mark.parametrize("name", NAMES)
def test_output_without_its_end_is_never_read_as_a_result(name: str) -> None:
    whole = transcript(name) + END
    for cut in range(0, len(whole.rstrip()) - 1, 11):
        with pytest.raises(FormatError):
            native(name).parse(whole[:cut], "")
    with pytest.raises(FormatError, match="signal 11"):
        native(name).parse(f"{transcript(name)}\ngaugenn-exit 139\n", "")


@pytest.mark.parametrize("name", NAMES)
def test_a_program_recognises_its_own_output_and_no_other_program_does(name: str) -> None:
    able = [other for other in NAMES if native(other).recognises(transcript(name))]
    assert able == [name]


@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from(NAMES),
    place=st.floats(0, 1),
    junk=st.text(max_size=12),
    dropped=st.integers(0, 40),
)
def test_damaged_output_is_read_or_refused_but_never_breaks(
    name: str, place: float, junk: str, dropped: int
) -> None:
    text = transcript(name)
    at = int(place * len(text))
    try:
        runs = native(name).read_log(cut_lines(text[:at] + junk + text[at + dropped :]))
    except (EngineError, FormatError):
        return
    assert all((run.timings.latency_s or 0) > 0 for run in runs)


@pytest.mark.parametrize(
    "unit", ["\n", " ", "count=1 ", "a min = 1 ", "[ - ] ", "0,0,", "Graph: ["]
)
def test_a_long_hostile_log_is_read_in_time_that_grows_with_its_length(unit: str) -> None:
    text = cut_lines(unit * (400_000 // len(unit)))
    for name in NAMES:
        try:
            native(name).read_log(text)
        except (EngineError, FormatError):
            continue
        raise AssertionError(name)


def test_benchmark_models_percentiles_processor_and_memory() -> None:
    found = native("benchmark_model").parse(transcript("benchmark_model") + END, "")
    aggregate = found.aggregate
    assert aggregate is not None
    assert (aggregate.statistic, aggregate.value_s, aggregate.count) == (
        Statistic.MEDIAN,
        pytest.approx(0.0153),
        21,
    )
    assert aggregate.mean_s == pytest.approx(0.0154002)
    assert [q.share for q in aggregate.quantiles] == [0.05, 0.5, 0.95]
    assert (found.load_s, found.first_s) == (pytest.approx(0.038467), pytest.approx(0.021))
    assert found.observed_processor is Processor.CPU
    assert found.observed_threads == 2
    assert found.peak_memory_bytes == round(42.5 * 2**20)
    assert found.inferences == 21


def test_benchmark_model_counts_as_the_cpu_unless_the_delegate_took_the_whole_graph() -> None:
    engine = native("benchmark_model")
    whole = engine.parse(transcript("benchmark_model-gpu") + END, "")
    assert whole.observed_processor is Processor.GPU
    assert whole.aggregate is not None
    assert whole.aggregate.statistic is Statistic.MEAN
    part = engine.parse(transcript("benchmark_model-partial") + END, "")
    assert part.observed_processor is Processor.CPU
    assert part.notes == ("delegate: GPU partially",)
    assert part.latency_s == pytest.approx(0.035)
    npu = transcript("benchmark_model-gpu").replace("applied GPU", "applied NNAPI")
    assert engine.parse(npu + END, "").observed_processor is None


def test_benchmark_models_oldest_closing_line_is_read() -> None:
    (run,) = native("benchmark_model").read_log(transcript("benchmark_model-old"))
    assert (run.model, run.threads) == ("m", 4)
    assert run.timings.first_s is None
    assert run.timings.latency_s == pytest.approx(0.119)


def test_benchncnn_reads_each_model_and_says_what_ran() -> None:
    runs = native("benchncnn").read_log(transcript("benchncnn-many"))
    assert [run.model for run in runs] == ["squeezenet", "mobilenet_v2"]
    assert runs[0].timings.observed_processor is Processor.GPU
    assert runs[0].timings.observed_precision == "float16 storage"
    assert runs[0].timings.aggregate is not None
    assert runs[0].timings.aggregate.count == 8
    (own,) = native("benchncnn").read_log(transcript("benchncnn"))
    assert (own.model, own.threads, own.processor) == ("squeezenet", 2, Processor.CPU)


def test_the_time_that_benchncnn_prints_for_a_missing_file_is_no_result() -> None:
    assert "avg =    0.04" in transcript("benchncnn-refused")
    with pytest.raises(EngineError, match=r"loaded nothing: (network graph not ready|fopen)"):
        native("benchncnn").parse(END, transcript("benchncnn-refused"))
    zero = transcript("benchncnn").replace("11.74", " 0.00")
    with pytest.raises(EngineError, match="nothing was computed"):
        native("benchncnn").parse(END, zero)


def test_weights_of_zeros_are_declared_and_missing_ones_no_obstacle() -> None:
    assert not native("benchncnn").timing_semantics.real_weights
    assert native("benchncnn").refuses(model("benchncnn", "weights-absent")) is None
    assert native("benchncnn").refuses(model("mnn_benchmark")) is not None


@pytest.mark.parametrize("name", ["mnn_benchmark", "mnn_module_basic", "mnn_time_profile"])
def test_mnns_programs_refuse_a_file_whose_weights_they_would_replace(name: str) -> None:
    assert "bizCode=benchmark" in str(native(name).refuses(model(name, "benchmark-weights")))
    assert native(name).refuses(model(name)) is None


def test_mnns_fallback_to_the_cpu_and_its_precision_are_seen() -> None:
    fast = native("mnn_benchmark").parse(transcript("mnn_benchmark") + END, "")
    assert fast.observed_precision == "float16"
    without = transcript("mnn_benchmark").replace("fp16:1", "fp16:0")
    slow = native("mnn_benchmark").parse(without + END, "")
    assert slow.observed_precision == "float32"
    (fell,) = native("mnn_benchmark").read_log(transcript("mnn_benchmark-fallback"))
    assert fell.processor is Processor.GPU
    assert fell.timings.observed_processor is Processor.CPU
    assert fell.timings.observed_precision == "float32"


def test_samples_are_kept_where_a_program_prints_them() -> None:
    torch = native("speed_benchmark_torch")
    assert torch.parse(transcript("speed_benchmark_torch") + END, "").steady_s == pytest.approx(
        (0.0736, 0.073298, 0.07377)
    )
    mean = torch.parse(transcript("speed_benchmark_torch-mean") + END, "")
    assert mean.steady_s == ()
    assert mean.latency_s == pytest.approx(0.121318, rel=1e-4)
    ort = native("onnxruntime_perf_test").parse(transcript("onnxruntime_perf_test") + END, "")
    assert ort.steady_s == (0.0070, 0.0071, 0.0073, 0.0075, 0.0074)
    assert (ort.load_s, ort.first_s) == (0.169475, pytest.approx(0.109))
    whole = transcript("onnxruntime_perf_test-aggregate")
    aggregate = native("onnxruntime_perf_test").parse(whole + END, "").aggregate
    assert aggregate is not None
    assert (aggregate.statistic, aggregate.count) == (Statistic.MEDIAN, 1000)
    assert aggregate.value_s == pytest.approx(0.00725)
    assert aggregate.mean_s == pytest.approx(0.007270205)
    assert aggregate.quantiles[-1].share == 0.999


def test_the_first_iteration_of_executor_runner_is_the_first_inference() -> None:
    found = native("executor_runner").parse(transcript("executor_runner") + END, "")
    assert found.first_s == pytest.approx(0.0305)
    assert found.warmup_s == pytest.approx((0.0125, 0.01225))
    assert found.steady_s == pytest.approx((0.012, 0.012125))
    assert (found.load_s, found.observed_threads) == (pytest.approx(0.01225), 2)
    old = native("executor_runner").parse(transcript("executor_runner-old") + END, "")
    assert old.latency_s == pytest.approx(0.01234)
    assert old.notes == ("first-inference-included",)
    lost = transcript("executor_runner").replace("Iteration 3 of 5", "Iteration x")
    with pytest.raises(FormatError, match="missing"):
        native("executor_runner").parse(lost + END, "")


def test_qualcomms_phases_and_statistics_are_told_apart() -> None:
    found = native("qnn_net_run").parse(transcript("qnn_net_run") + END, "")
    assert found.load_s == pytest.approx(0.331158)
    assert found.aggregate is not None
    assert found.aggregate.value_s == pytest.approx(0.002952)
    assert found.aggregate.minimum_s == pytest.approx(0.0028)
    assert found.notes == ("accelerator-us: 2492",)
    for name in ("snpe_net_run", "snpe_net_run-csv"):
        snpe = native("snpe_net_run").parse(transcript(name) + END, "")
        assert (snpe.load_s, snpe.latency_s) == (pytest.approx(0.034), pytest.approx(0.012345))


def test_what_each_program_is_told() -> None:
    flags = arguments("benchmark_model", processor=Processor.GPU, precision=Precision.FLOAT32)
    assert flags[:2] == ["-", "--graph=/w/m.x"]
    assert "--num_threads=2" in flags
    assert "--input_layer_shape=1,3,224,192" in flags
    assert {"--require_full_delegation=true", "--gpu_precision_loss_allowed=false"} <= set(flags)
    assert arguments("benchncnn", affinity="4,6-7")[:9] == [
        *("d0", "20", "2", "0", "-1", "0"),
        *("param=/w/m.x", "shape=[192,224,3]"),
    ]
    assert arguments("mnn_benchmark", input_shapes=(), precision=Precision.FLOAT32)[1:] == [
        *("/w/m.x", "20", "3", "0", "2", "1")
    ]
    module = arguments("mnn_module_basic", processor=Processor.GPU)
    assert module[2] == '{"inputs": [{"name": "x", "value": 1.0, "shape": [1, 3, 224, 192]}]}'
    assert module[3:] == ["0", "3", "20", "2", "0"]
    assert arguments("mnn_time_profile")[1:] == ["/w/m.x", "20", "0", "1x3x224x192", "2"]
    torch = arguments("speed_benchmark_torch", affinity="0-1")
    assert "--input_dims=1,3,224,192" in torch
    assert "--report_pep=true" in torch
    runner = arguments("executor_runner", "/w/m.pte", "/w/m.ptd", input_shapes=())
    assert runner[1:4] == ["3", "--model_path=/w/m.pte", "--data_path=/w/m.ptd"]
    assert "--num_executions=24" in runner
    ort = arguments("onnxruntime_perf_test", input_shapes=())
    assert ort[1:] == [
        "/w/m.x",
        *["-I", "-m", "times", "-r", "20", "-x", "2", "-y", "1", "-e", "cpu"],
    ]
    mace = arguments("mace_run", "/w/m.pb", "/w/m.data", "/w/m.flags", processor=Processor.GPU)
    assert {"--model_data_file=/w/m.data", "--flagfile=/w/m.flags", "--device=GPU"} <= set(mace)
    snpe = arguments("snpe_net_run", processor=Processor.DSP)
    assert snpe[1:6] == ["/w/m.x", "20", str(4 * 3 * 224 * 192), "x:=0.raw", "--use_dsp"]
    qnn = arguments("qnn_net_run", processor=Processor.NPU)
    assert qnn[5] == "libQnnHtp.so"


@pytest.mark.parametrize("name", NAMES)
def test_what_a_program_cannot_do_is_a_reason_before_anything_is_launched(name: str) -> None:
    engine = native(name)
    simple = job(name, input_shapes=(), affinity="0-1")
    assert (engine.cannot(simple) is None) == (name != "mace_run")
    assert "rate" in str(engine.cannot(job(name, rate_per_s=5.0, input_shapes=(), affinity="0-1")))
    assert engine.cannot(job(name, batch=4, input_shapes=(), affinity="0-1"))
    odd = (InputShape(name="a b\n$(reboot)", shape=(1,), dtype="float32"),)
    assert engine.cannot(job(name, input_shapes=odd, affinity="0-1"))


def test_special_limits_are_reasons_too() -> None:
    assert "--threads 2a2" in str(native("speed_benchmark_torch").cannot(job("x")))
    batched = (InputShape(name="x", shape=(4, 3, 8, 8)),)
    assert "batch" in str(native("benchncnn").cannot(job("x", input_shapes=batched)))
    half = job("x", precision=Precision.FLOAT16, processor=Processor.DSP)
    assert "GPU only" in str(native("snpe_net_run").cannot(half))


@pytest.fixture
def supplied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "binaries"
    (folder / ABI).mkdir(parents=True)
    monkeypatch.setenv(_binaries.VARIABLE, str(folder))
    return folder / ABI


def program(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}")
    path.chmod(0o755)


def launched(engine: str, tmp_path: Path, **changes: object) -> list[Run]:
    file = tmp_path / "m.param"
    file.write_text("7767517\n")
    asked = job(engine, **changes)
    record = JobRecord(job_sha256=asked.job_sha256, job=asked, launches=2)
    with HostDevice(folder=tmp_path / "work") as device:
        launches = campaign(
            [record],
            device=device,
            environment=device.info(),
            programs=host_programs([record]),
            files=lambda _: [LocalFile(name="m.param", path=file)],
            libraries=host_libraries([record]),
        )
        return [run for launch in launches for run in launch]


def test_a_supplied_program_is_launched_on_its_cores_with_its_libraries(
    supplied: Path, tmp_path: Path
) -> None:
    said = transcript("benchncnn")
    echo = 'echo "$LD_LIBRARY_PATH $*" >&2; taskset -p $$ >&2\n'
    program(supplied / "benchncnn" / "benchncnn", f"{echo}cat >&2 <<'END'\n{said}END\n")
    (supplied / "benchncnn" / "libgomp.so").write_bytes(b"library")
    runs = launched("benchncnn", tmp_path, affinity="0")
    assert [run.status for run in runs] == [RunStatus.OK] * 2
    assert runs[0].timings is not None
    assert runs[0].timings.latency_s == pytest.approx(0.01174)
    assert f"{supplied / 'benchncnn'} 20 2 0 -1 0 param=" in runs[0].log_tail
    assert "mask: 1" in runs[0].log_tail
    assert runs[0].library_sha256 is not None
    (supplied / "benchncnn" / "libgomp.so").write_bytes(b"another library")
    again = launched("benchncnn", tmp_path)
    assert again[0].library_sha256 != runs[0].library_sha256


@pytest.mark.parametrize(
    ("text", "status", "reason"),
    [
        ("exit 7\n", RunStatus.REFUSED, "exit code 7"),
        ("kill -11 $$\n", RunStatus.CRASHED, "killed by SIGSEGV"),
        ("echo hello\n", RunStatus.GARBLED, "no times"),
    ],
)
def test_how_a_supplied_program_fails_is_told_apart(
    supplied: Path, tmp_path: Path, text: str, status: RunStatus, reason: str
) -> None:
    program(supplied / "benchncnn", text)
    (run, *_) = launched("benchncnn", tmp_path)
    assert run.status is status
    assert reason in str(run.reason)


def test_inputs_are_made_on_the_device_and_both_programs_run(
    supplied: Path, tmp_path: Path
) -> None:
    folder = supplied / "snpe-net-run"
    program(
        folder / "snpe-net-run",
        'mkdir output; cp list.txt output/SNPEDiag_0.log; wc -c 0.raw 1.raw >&2; echo "$@" >&2\n',
    )
    said = transcript("snpe_net_run")
    program(folder / "snpe-diagview", f"cat \"$2\" >&2; cat <<'END'\n{said}END\n")
    shapes = (InputShape(name="a", shape=(1, 2)), InputShape(name="b/c:0", shape=(3,)))
    (run, *_) = launched("snpe_net_run", tmp_path, input_shapes=shapes, steady_minimum_count=3)
    assert (run.status, run.reason) == (RunStatus.OK, None)
    assert "8 0.raw" in run.log_tail
    assert "12 1.raw" in run.log_tail
    assert run.log_tail.count("a:=0.raw b/c:0:=1.raw\n") == 3


def test_module_basic_gets_its_inputs_in_a_file(supplied: Path, tmp_path: Path) -> None:
    said = transcript("mnn_module_basic")
    program(supplied / "ModuleBasic.out", f"cat \"$2/input.json\" >&2; cat <<'END'\n{said}END\n")
    (run, *_) = launched("mnn_module_basic", tmp_path)
    assert run.status is RunStatus.OK
    assert '"name": "x"' in run.log_tail


def test_samples_in_a_file_are_printed_and_warm_up_is_told_apart(
    supplied: Path, tmp_path: Path
) -> None:
    rows = "m,0.01,5,1,0,\\nm,0.02,5,1,1,\\n"
    program(
        supplied / "onnxruntime_perf_test",
        f'for last in "$@"; do :; done; printf "{rows}" > "$last"\n',
    )
    (run, *_) = launched("onnxruntime_perf_test", tmp_path, input_shapes=())
    assert run.timings is not None
    assert run.timings.steady_s == (0.01, 0.02)
    said = transcript("executor_runner").replace("gaugenn-warmup 2\n", "")
    program(supplied / "executor_runner", f"cat <<'END'\n{said}END\n")
    (run, *_) = launched(
        "executor_runner", tmp_path, input_shapes=(), warmup_minimum_count=3, affinity="0"
    )
    assert run.timings is not None
    assert (len(run.timings.warmup_s), len(run.timings.steady_s)) == (3, 1)


def test_programs_are_found_by_abi_and_version(supplied: Path) -> None:
    engine = native("benchncnn")
    assert list(_binaries.found(engine)) == []
    program(supplied / "benchncnn==20240820", "exit 0\n")
    program(supplied.parent / "arm64-v8a" / "benchncnn", "exit 0\n")
    program(supplied.parent / "arm64-v8a" / "benchncnn.txt", "exit 0\n")
    assert [(b.abi, b.version) for b in _binaries.found(engine)] == [
        ("arm64-v8a", "supplied"),
        (ABI, "20240820"),
    ]
    assert _environments.is_installed(engine, "20240820")
    with HostDevice() as device:
        place = device.info()
    assert _environments.runs_on(engine, "20240820", place)
    assert not _environments.runs_on(engine, "supplied", place)
    with pytest.raises(MissingToolError, match=f"benchncnn for {ABI}.*docs/native.md"):
        _environments.program(engine, "supplied")
    with pytest.raises(MissingToolError, match="gaugenn does not bring"):
        _environments.install(engine)
    assert _binaries.find(engine, "../x", ABI) is None
    assert _binaries.find(engine, "supplied", "../arm64-v8a") is None
    program(supplied / "snpe-net-run" / "snpe-net-run", "exit 0\n")
    (half,) = _binaries.found(native("snpe_net_run"))
    assert half.missing == ("snpe-diagview",)


def test_without_a_folder_nothing_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(_binaries.VARIABLE, raising=False)
    assert list(_binaries.found(native("benchncnn"))) == []
    assert not _environments.is_installed(native("benchncnn"), "supplied")


@pytest.mark.parametrize(
    ("system", "machine", "abi"),
    [
        ("Android 14", "aarch64", "arm64-v8a"),
        ("Android 9", "armv8l", "armeabi-v7a"),
        ("Debian GNU/Linux 12", "aarch64", "linux-aarch64"),
    ],
)
def test_a_devices_abi_follows_from_its_system_and_machine(
    system: str, machine: str, abi: str
) -> None:
    import dataclasses

    with HostDevice() as device:
        place = device.info()
    told = dataclasses.replace(place, operating_system=system, architecture=machine)
    assert _binaries.abi(told) == abi
    assert abi in _binaries.ABIS


def test_a_program_is_put_on_a_device_and_made_executable(supplied: Path, tmp_path: Path) -> None:
    folder = supplied / "benchncnn"
    program(folder / "benchncnn", 'cat "${0%/*}/data" && echo "ran $1"\n')
    (folder / "benchncnn").chmod(0o644)
    (folder / "data").write_text("beside it\n")
    with HostDevice(folder=tmp_path / "device") as device:
        made = pushed_program(device, device.info(), native("benchncnn"), "supplied")
        assert Path(made[-1]).parent != folder
        assert Path(made[-1]).stat().st_mode & stat.S_IXUSR
        output = device.run([*made, "-", "it"])
    assert "beside it\nran it\n" in output.stdout
    assert output.stdout.endswith("gaugenn-exit 0\n")
    shutil.rmtree(folder)
    with HostDevice(folder=tmp_path / "device") as device, pytest.raises(MissingToolError):
        pushed_program(device, device.info(), native("benchncnn"), "supplied")


def test_a_time_of_zero_is_no_measurement() -> None:
    text = transcript("mace_run").replace("18.434", "0.000")
    with pytest.raises(FormatError, match="no measurement"):
        native("mace_run").parse(text + END, "")


def test_an_aggregate_counts_where_samples_would() -> None:
    found: Timings = native("mace_run").parse(transcript("mace_run") + END, "")
    assert (found.latency_s, found.inferences) == (pytest.approx(0.018434), 20)


def test_there_is_no_profile_of_a_supplied_program() -> None:
    with pytest.raises(UsageError, match="no profile"):
        native("benchncnn").profile_command(job("benchncnn"), ("sh",), ("m",))
