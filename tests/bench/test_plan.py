"""Every pair of a model and an engine becomes jobs or a failure with its reason."""

import pytest

from gaugenn.bench.plan import EngineVersion, Plan, Settings, plan, select_engines
from gaugenn.engines import load_engine
from gaugenn.errors import UsageError
from gaugenn.records import (
    FileKind,
    InputShape,
    ModelRecord,
    Precision,
    Processor,
    TensorInfo,
)


def model(digest: str = "a", **changes: object) -> ModelRecord:
    fields = {
        "model_sha256": digest * 64,
        "kind": FileKind.MODEL,
        "format": "onnx",
        "size_bytes": 1,
        **changes,
    }
    return ModelRecord(**fields)  # type: ignore[arg-type]


def ncnn(*inputs: TensorInfo, **changes: object) -> ModelRecord:
    return model(format="ncnn", inputs=inputs, **changes)


def image(*shape: str) -> TensorInfo:
    return TensorInfo(name="data", dtype="float32", shape=shape)


def test_no_names_select_the_default_engines_in_their_default_versions() -> None:
    labels = {e.label for e in select_engines()}
    assert labels == {
        f"{name}=={load_engine(name).default_version}"
        for name in ("litert", "mnn", "ncnn", "onnxruntime")
    }


def test_engines_are_selected_by_name_and_version() -> None:
    chosen = select_engines(["litert==2.1.0", "null", "litert==2.1.0", "litert==2.3.0"])
    assert [e.label for e in chosen] == ["litert==2.1.0", "null==1", "litert==2.3.0"]


def test_all_selects_every_library_once_and_no_fake() -> None:
    chosen = [e.engine.name for e in select_engines(["all", "litert"])]
    assert sorted(chosen) == sorted(set(chosen))
    assert {"litert", "mnn", "openvino", "pytorch", "tflite_runtime"} <= set(chosen)
    assert not {"null", "simulated"} & set(chosen)


@pytest.mark.parametrize("text", ["nothing", "litert==", "litert== ", ""])
def test_an_engine_that_is_not_there_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError):
        select_engines([text])


def test_a_model_meets_only_the_engines_of_its_format() -> None:
    made = plan([model()], select_engines(), Settings())
    assert [j.job.engine for j in made.jobs] == ["onnxruntime"]
    assert made.failures == ()
    (job,) = made.jobs
    assert job.job_sha256 == job.job.job_sha256
    assert job.launches == 5


def test_settings_are_multiplied_and_every_job_is_its_own() -> None:
    settings = Settings(threads=(1, 2), batches=(1, 4), affinities=("", "0"), launches=3)
    made = plan([model("a"), model("b")], select_engines(["onnxruntime"]), settings)
    assert len(made.jobs) == 16
    assert len({j.job_sha256 for j in made.jobs}) == 16
    assert {(j.job.threads, j.job.batch, j.job.affinity) for j in made.jobs} == {
        (t, b, a) for t in (1, 2) for b in (1, 4) for a in ("", "0")
    }
    assert {j.launches for j in made.jobs} == {3}


def test_a_model_that_comes_twice_is_planned_once() -> None:
    assert len(plan([model(), model()], select_engines(), Settings()).jobs) == 1


def test_a_format_that_no_engine_reads_is_one_failure_for_its_model() -> None:
    made = plan([model(format="keras")], select_engines(), Settings())
    (failure,) = made.failures
    assert made.jobs == ()
    assert failure.stage == "plan"
    assert failure.subject == "a" * 64
    assert "keras" in failure.message
    assert "litert==" in failure.message
    assert not failure.transient


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"notes": ("weights-absent",)}, "weights is missing"),
        ({"notes": ("accelerator-blob",)}, "accelerator"),
        ({"inputs": (TensorInfo(name="t", dtype="string", shape=("1",)),)}, "takes text"),
    ],
)
def test_what_the_file_tells_already_is_a_failure_of_the_pair(
    changes: dict[str, object], reason: str
) -> None:
    made = plan([model(**changes)], select_engines(), Settings())
    (failure,) = made.failures
    assert made.jobs == ()
    assert reason in failure.message
    assert failure.subject == f"{'a' * 64} {select_engines(['onnxruntime'])[0].label}"


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (Settings(processors=(Processor.GPU,)), "runs on cpu only"),
        (Settings(precisions=(Precision.FLOAT16,)), "computes as-stored only"),
    ],
)
def test_what_an_engine_cannot_do_is_a_failure_of_the_pair(settings: Settings, reason: str) -> None:
    made = plan([model()], select_engines(), settings)
    assert made.jobs == ()
    assert reason in made.failures[0].message


def test_of_several_processors_an_engine_gets_those_it_knows() -> None:
    settings = Settings(
        processors=(Processor.GPU, Processor.CPU),
        precisions=(Precision.AS_STORED, Precision.FLOAT32),
    )
    made = plan([model(), ncnn(image("1", "3"))], select_engines(), settings)
    found = [(j.job.engine, j.job.processor.value, j.job.precision.value) for j in made.jobs]
    assert found == [
        ("onnxruntime", "cpu", "as-stored"),
        ("ncnn", "gpu", "as-stored"),
        ("ncnn", "gpu", "float32"),
        ("ncnn", "cpu", "as-stored"),
        ("ncnn", "cpu", "float32"),
    ]


@pytest.mark.parametrize(
    "row",
    [
        model(kind=FileKind.INVALID, format="tflite"),
        model(kind=FileKind.WEIGHTS),
        model(error="FormatError: cut"),
    ],
)
def test_what_is_no_whole_model_is_not_planned(row: ModelRecord) -> None:
    assert plan([row], select_engines(), Settings()) == Plan(jobs=(), failures=())


def test_a_library_that_does_not_know_sizes_gets_them_from_the_model() -> None:
    (job,) = plan([ncnn(image("1", "3", "8", "8"))], select_engines(), Settings()).jobs
    assert job.job.input_shapes == (InputShape(name="data", shape=(1, 3, 8, 8), dtype="float32"),)
    (other,) = plan([model(inputs=(image("1", "3"),))], select_engines(), Settings()).jobs
    assert other.job.input_shapes == ()


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ((image("1", "3", "?", "w"),), r"'data'.*\(1, 3, \?, w\); give it, batch first"),
        ((TensorInfo(name="data", dtype="float32", shape=None),), "of unknown rank"),
        ((image("1", "0"),), r"\(1, 0\)"),
        ((), "names no inputs"),
    ],
)
def test_a_library_that_does_not_know_sizes_is_not_asked_without_them(
    inputs: tuple[TensorInfo, ...], reason: str
) -> None:
    made = plan([ncnn(*inputs)], select_engines(), Settings())
    assert made.jobs == ()
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(made.failures[0].message)


def test_given_sizes_win_over_those_of_the_model() -> None:
    row = ncnn(image("1", "3", "?", "?"), TensorInfo(name="scale", dtype="float32", shape=("1",)))
    shapes = {row.model_sha256: (InputShape(name="data", shape=(1, 3, 80, 80)),)}
    (job,) = plan([row], select_engines(), Settings(), shapes).jobs
    assert job.job.input_shapes == (
        InputShape(name="data", shape=(1, 3, 80, 80), dtype="float32"),
        InputShape(name="scale", shape=(1,), dtype="float32"),
    )


def test_other_sizes_are_another_experiment() -> None:
    row = model(inputs=(image("batch", "3"),))
    shapes = {row.model_sha256: (InputShape(name="data", shape=(4, 3)),)}
    (plain,) = plan([row], select_engines(), Settings()).jobs
    (sized,) = plan([row], select_engines(), Settings(), shapes).jobs
    assert sized.job.input_shapes == (InputShape(name="data", shape=(4, 3)),)
    assert plain.job_sha256 != sized.job_sha256


@pytest.mark.parametrize(
    "shape", [InputShape(name="x", shape=(1,)), InputShape(name="data", shape=(0,))]
)
def test_a_size_that_fits_no_input_is_a_usage_error(shape: InputShape) -> None:
    row = model(inputs=(image("batch", "3"),))
    with pytest.raises(UsageError, match=r"no input 'x'|at least 1"):
        plan([row], select_engines(), Settings(), {row.model_sha256: (shape,)})


@pytest.mark.parametrize(
    "changes",
    [
        {"threads": (0,)},
        {"threads": ()},
        {"batches": (1, -1)},
        {"launches": 0},
        {"steady_minimum_count": 0},
        {"steady_minimum_s": -1.0},
        {"launch_maximum_s": 0.0},
        {"precisions": ()},
        {"seed": -1},
        {"seed": 2**63},
    ],
)
def test_settings_that_measure_nothing_are_a_usage_error(changes: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        Settings(**changes)  # type: ignore[arg-type]


def test_versions_of_one_engine_are_planned_beside_each_other() -> None:
    engine = load_engine("onnxruntime")
    chosen = [EngineVersion(engine=engine, version=v) for v in ("1.31.1", "1.30.0")]
    made = plan([model()], chosen, Settings())
    assert [j.job.engine_version for j in made.jobs] == ["1.31.1", "1.30.0"]
    assert len({j.job_sha256 for j in made.jobs}) == 2
