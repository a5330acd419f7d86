"""What every engine must keep to, and what its recorded output must be read as."""

import ast
import builtins
import symtable
from collections.abc import Iterator
from pathlib import Path

import pytest

from gaugenn import plugins
from gaugenn.engines import Engine, _launch, _wheel, _worker, load_engine
from gaugenn.errors import EngineError, FormatError, UsageError
from gaugenn.records import (
    FileKind,
    InputShape,
    Job,
    ModelRecord,
    Processor,
    TensorInfo,
    Timings,
    TimingSemantics,
)

NAMES = plugins.names("gaugenn.engines")
WITH_WORKER = tuple(name for name in NAMES if load_engine(name).worker() is not None)
"""The others are vendors' own programs; see `test_native`."""
TRANSCRIPTS = Path(__file__).parent / "transcripts"


@pytest.fixture(params=NAMES)
def any_engine(request: pytest.FixtureRequest) -> Engine:
    return load_engine(request.param)


@pytest.fixture(params=WITH_WORKER)
def engine(request: pytest.FixtureRequest) -> Engine:
    return load_engine(request.param)


def transcript(engine: Engine, suffix: str = "") -> str:
    return (TRANSCRIPTS / f"{engine.name}{suffix}.txt").read_text()


def job(engine: Engine, **changes: object) -> Job:
    fields = {
        "model_sha256": "0" * 64,
        "format": "onnx",
        "engine": engine.name,
        "engine_version": engine.default_version,
        "device": "host",
        "input_shapes": (InputShape(name="x", shape=(1, 3)),),
        **changes,
    }
    return Job(**fields)  # type: ignore[arg-type]


def model(engine: Engine, **changes: object) -> ModelRecord:
    fields = {
        "model_sha256": "0" * 64,
        "kind": FileKind.MODEL,
        "format": (engine.formats or ("onnx",))[0],
        "size_bytes": 1,
        **changes,
    }
    return ModelRecord(**fields)  # type: ignore[arg-type]


def test_an_engine_is_called_as_its_file(any_engine: Engine) -> None:
    assert any_engine.name in NAMES


def test_an_engine_cites_the_documentation_it_was_written_from(any_engine: Engine) -> None:
    assert any_engine.spec.startswith("https://")
    assert any_engine.title


def test_an_engine_says_what_it_times_and_what_it_can_do(any_engine: Engine) -> None:
    assert isinstance(any_engine.timing_semantics, TimingSemantics)
    assert Processor.CPU in any_engine.processors
    assert any_engine.precisions
    assert any_engine.formats or not any_engine.by_default


def test_a_wheel_is_pinned_to_the_version_asked_for(any_engine: Engine) -> None:
    wanted = any_engine.requirements("1.2.3")
    assert bool(wanted) == (any_engine.distribution is not None)
    if wanted:
        assert wanted[0] == f"{any_engine.distribution}==1.2.3"


def test_the_oldest_litert_gets_the_numpy_it_was_built_with() -> None:
    assert load_engine("litert").requirements("1.0.1") == ("ai-edge-litert==1.0.1", "numpy<2")
    assert load_engine("litert").requirements("1.1.0") == ("ai-edge-litert==1.1.0", "numpy")


def test_a_command_starts_with_its_program_and_names_every_file(engine: Engine) -> None:
    argv = engine.command(job(engine), ("python", "-I", "worker.py"), ("/a/m.x", "/a/m.y"))
    assert argv[:3] == ["python", "-I", "worker.py"]
    rest = " ".join(argv[3:])
    assert "/a/m.x" in rest
    assert "/a/m.y" in rest


def test_every_command_starts_with_its_program_and_names_the_model(any_engine: Engine) -> None:
    argv = any_engine.command(job(any_engine), ("a", "b"), ("/a/m.x", "/a/m.y"))
    assert argv[:2] == ["a", "b"]
    assert "/a/m.x" in " ".join(argv[2:])
    assert argv == any_engine.command(job(any_engine), ("a", "b"), ("/a/m.x", "/a/m.y"))


def test_equal_jobs_give_equal_commands_and_the_command_carries_the_job(engine: Engine) -> None:
    argv = engine.command(job(engine, threads=3, seed=5), ("python",), ("m",))
    assert argv == engine.command(job(engine, threads=3, seed=5), ("python",), ("m",))
    assert argv != engine.command(job(engine, threads=2, seed=5), ("python",), ("m",))
    order = _worker.read_order(argv[-1])
    assert (order.threads, order.seed, order.input_shapes) == (3, 5, (("x", (1, 3)),))


def test_a_model_of_another_format_is_refused_with_a_reason(any_engine: Engine) -> None:
    if any_engine.loads("no-such-format"):
        assert any_engine.refuses(model(any_engine, format="no-such-format")) is None
    else:
        assert "no-such-format" in str(
            any_engine.refuses(model(any_engine, format="no-such-format"))
        )


def test_what_the_file_already_tells_is_refused_with_a_reason(any_engine: Engine) -> None:
    if not any_engine.by_default:
        return
    text = TensorInfo(name="words", dtype="string", shape=("1",))
    assert any_engine.refuses(model(any_engine)) is None
    assert "weights" in str(any_engine.refuses(model(any_engine, notes=("weights-absent",))))
    assert "accelerator" in str(any_engine.refuses(model(any_engine, notes=("accelerator-blob",))))
    assert "'words'" in str(any_engine.refuses(model(any_engine, inputs=(text,))))


def test_the_recorded_output_of_a_run_is_read(engine: Engine) -> None:
    timings = engine.parse(transcript(engine), "")
    assert len(timings.steady_s) == 5
    assert len(timings.warmup_s) == 2
    assert all(0 < s < 60 for s in (*timings.steady_s, *timings.warmup_s, timings.first_s or 0))
    assert timings.engine_version.partition("+")[0] == engine.default_version
    assert timings.observed_processor is Processor.CPU
    assert timings.outputs[0].not_finite == 0
    assert (timings.prepare_s is None) == (timings.phases == "load+prepare")
    assert timings.peak_memory_bytes is not None
    assert timings.load_memory_bytes is not None
    assert timings.peak_memory_bytes >= timings.load_memory_bytes
    assert engine.last_phase(transcript(engine)) == "finish"
    assert timings.phases == engine.phases


def test_the_recorded_profile_has_each_operator_with_ten_times(engine: Engine) -> None:
    if engine.profile_method is None:
        with pytest.raises(UsageError, match="no profile"):
            engine.profile_command(job(engine), ("python",), ("m",))
        return
    found = engine.parse_profile(transcript(engine, "-profile"), "")
    assert found.operators
    assert all(len(o.durations_s) == 10 and o.operator for o in found.operators)
    assert all(abs(s) < 60 for o in found.operators for s in o.durations_s)
    argv = engine.profile_command(job(engine), ("python", "-I", "worker.py"), ("/a/m.x",))
    assert argv[:4] == ["python", "-I", "worker.py", "profile"]


def test_the_recorded_offers_are_part_of_what_the_engine_says_it_can_do(engine: Engine) -> None:
    found = engine.parse_offers(transcript(engine, "-offers"), "")
    assert Processor.CPU in {offer.processor for offer in found.offers}
    for offer in found.offers:
        assert offer.name
        assert offer.processor in engine.processors
        assert set(offer.precisions) <= set(engine.precisions)


def test_the_recorded_refusal_is_an_engine_error_that_says_when_and_why(engine: Engine) -> None:
    with pytest.raises(EngineError, match=r"^(load|prepare|feed): .{10,}"):
        engine.parse(transcript(engine, "-refused"), "")


def test_output_cut_anywhere_is_never_read_as_a_result(engine: Engine) -> None:
    whole = transcript(engine).rstrip("\n")
    for end in (*range(0, len(whole), 7), len(whole) - 1):
        with pytest.raises(FormatError):
            engine.parse(whole[:end], "")


def test_a_flipped_digit_is_never_read_as_a_result(engine: Engine) -> None:
    whole = transcript(engine)
    for old, new in (('"not_finite":0', '"not_finite":1'), ("gaugenn-result ", "gaugenn-result 0")):
        assert old in whole
        with pytest.raises(FormatError):
            engine.parse(whole.replace(old, new), "")


def test_chatter_around_the_answer_does_not_matter(engine: Engine) -> None:
    whole = transcript(engine)
    noisy = f"W tensorflow: gaugenn-phase\n{{}}\n{whole}\n\x00bye \ufffd\n"
    assert engine.parse(noisy, "E anything") == engine.parse(whole, "")


@pytest.mark.parametrize("text", ["", "\n", "Segmentation fault", "gaugenn-result", "{}" * 99])
def test_no_answer_is_a_format_error(engine: Engine, text: str) -> None:
    with pytest.raises(FormatError, match=r"without an answer|digest"):
        engine.parse(text, "")
    assert engine.last_phase(text) is None


def test_an_unknown_engine_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="onnxruntime"):
        load_engine("nothing")


def test_a_default_engine_has_a_wheel_and_a_module_to_try() -> None:
    for name in NAMES:
        engine = load_engine(name)
        if engine.by_default:
            assert engine.distribution
            assert engine.module
    assert not load_engine("null").by_default


def test_the_worker_reports_exactly_the_fields_of_timings() -> None:
    tree = ast.parse(Path(_launch.__file__).read_text())
    measure = next(n for n in tree.body if getattr(n, "name", "") == "measure")
    (result,) = [n.value for n in ast.walk(measure) if isinstance(n, ast.Return)]
    assert isinstance(result, ast.Dict)
    keys = {k.value for k in result.keys if isinstance(k, ast.Constant)}
    assert keys == set(Timings.__dataclass_fields__) - {"aggregate"}


def test_a_worker_needs_nothing_of_gaugenn_and_no_name_that_it_lacks(engine: Engine) -> None:
    """The adapter's class is cut out of its file: what it uses must be in the worker's own text."""
    text = engine.worker()
    assert text is not None
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert not any(a.name.startswith("gaugenn") for a in node.names)
        if isinstance(node, ast.ImportFrom):
            assert not str(node.module).startswith("gaugenn")
    table = symtable.symtable(text, "worker", "exec")
    present = {s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported()}
    present |= {s.get_name() for s in table.get_symbols() if s.is_namespace()}
    present |= set(dir(builtins)) | {"__file__", "__name__", "__annotations__"}
    wanted = {s.get_name() for t in _tables(table) for s in t.get_symbols() if s.is_global()}
    assert wanted <= present


def _tables(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    yield table
    for child in table.get_children():
        yield from _tables(child)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"load_s":', '"lode_s":'),
        ('"steady_s":[', '"steady_s":["x",'),
        ('"first_s":', '"first_s":1e999,"old":'),
        ('"observed_processor":"cpu"', '"observed_processor":"abacus"'),
        ('"notes":', '"extra":1,"notes":'),
        ('"not_finite":0', '"not_finite":0.5'),
        ('"warmup_s":[', '"warmup_s":[true,'),
    ],
)
def test_an_answer_of_the_wrong_shape_is_a_format_error(old: str, new: str) -> None:
    import hashlib

    engine = load_engine("null")
    assert isinstance(engine, _wheel.WheelEngine)
    line = transcript(engine).rstrip("\n").splitlines()[-1]
    text = line.split(" ", 2)[2].replace(old, new)
    assert old in line
    digest = hashlib.sha256(text.encode()).hexdigest()
    with pytest.raises(FormatError, match="worker's result"):
        engine.parse(f"gaugenn-result {digest} {text}\n", "")
