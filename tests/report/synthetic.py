"""A study with planted facts, written through `Study.write` like a real one.

What is planted is named here, so that tests compare the report with the plant and not with itself.
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path

from gaugenn.graph import DataType
from gaugenn.records import (
    Agreement,
    App,
    AppFile,
    AppRef,
    BuildStatus,
    BuiltFile,
    Crawl,
    Download,
    ElementShare,
    Environment,
    Evidence,
    EvidenceCategory,
    EvidenceSource,
    Failure,
    FileKind,
    Job,
    JobRecord,
    LayerClass,
    LayerRecord,
    Modality,
    ModelFile,
    ModelRecord,
    OperatorTiming,
    OutputStatistics,
    PackageKind,
    Precision,
    Processor,
    ProfileMethod,
    QuantizationScheme,
    Run,
    RunStatus,
    Task,
    TensorInfo,
    Timings,
    ZooBuild,
    digest,
)
from gaugenn.store import Record, Study

MIB = 2**20


def sha(name: str) -> str:
    """A digest for a name."""
    return digest(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantedModel:
    """A model, and the apps and members it lies in."""

    name: str
    format: str
    parameters: int | None
    macs: int | None
    places: tuple[tuple[str, str], ...]
    operators: tuple[tuple[str, str, int], ...] = ()
    weights_dtype: str = "float32"
    architecture: str = ""
    uncounted: int = 0
    weights: tuple[str, ...] = ()
    """Names of each node's weights, for lineage; equal names are equal weights."""
    values: tuple[str, ...] = ()
    """The same for their values, which another format may hold, too."""
    scheme: QuantizationScheme | None = None
    """The quantisation scheme where it does not follow from the weights' element type."""

    @property
    def sha256(self) -> str:
        """Its digest."""
        return sha(f"model {self.name}")

    @property
    def purpose(self) -> tuple[Modality, Task, str, float | None]:
        """What it is for."""
        return PURPOSES.get(self.operators, (Modality.UNKNOWN, Task.UNKNOWN, "unknown", None))

    @property
    def architecture_sha256(self) -> str:
        """Of its graph; models share it by giving the same name."""
        return sha(f"architecture {self.architecture or self.name}")


LAYER_CLASSES = {
    "Conv": LayerClass.CONVOLUTION,
    "Gemm": LayerClass.DENSE,
    "MatMul": LayerClass.DENSE,
    "Add": LayerClass.ELEMENTWISE,
    "LayerNormalization": LayerClass.NORMALISATION,
    "Concat": LayerClass.DATA_MOVEMENT,
    "Gather": LayerClass.EMBEDDING,
    "Softmax": LayerClass.ACTIVATION,
    "Relu": LayerClass.ACTIVATION,
}

_CLASSIFIER = (
    ("Conv", "CONV_2D", 15),
    ("Conv", "DEPTHWISE_CONV_2D", 13),
    ("Gemm", "FULLY_CONNECTED", 1),
    ("Softmax", "SOFTMAX", 1),
)
_DETECTOR = (
    ("Conv", "Convolution", 40),
    ("Relu", "ReLU", 38),
    ("Concat", "Concat", 6),
    ("", "YoloDetectionOutput", 1),
)
_TEXT = (
    ("MatMul", "MatMul", 48),
    ("Add", "Add", 60),
    ("LayerNormalization", "LayerNormalization", 12),
    ("Gather", "Gather", 3),
    ("Softmax", "Softmax", 6),
)

PURPOSES = {
    _CLASSIFIER: (Modality.VISION, Task.CLASSIFICATION, "mobilenet-v2", 0.9),
    _DETECTOR: (Modality.VISION, Task.DETECTION, "yolo", 0.8),
    _TEXT: (Modality.TEXT, Task.UNKNOWN, "bert", None),
}
"""Modality, task, family and confidence by a model's operators."""

MODELS = (
    PlantedModel(
        name="mobilenet_v2.tflite",
        format="tflite",
        parameters=3_500_000,
        macs=300_000_000,
        places=(
            ("camera", "assets/mobilenet_v2.tflite"),
            ("beauty", "assets/ml/mobilenet_v2.tflite"),
            ("shop", "assets/search/model.tflite"),
        ),
        operators=_CLASSIFIER,
        weights=("a", "b", "c", "d", "e", "f", "g", "h"),
    ),
    PlantedModel(
        name="mobilenet_v2_pets.tflite",
        format="tflite",
        parameters=3_500_000,
        macs=300_000_000,
        places=(("beauty", "assets/pets.tflite"),),
        operators=_CLASSIFIER,
        architecture="mobilenet_v2.tflite",
        weights=("a", "b", "c", "d", "e", "f", "g", "pets"),
        scheme=QuantizationScheme.WEIGHT_ONLY,
    ),
    PlantedModel(
        name="mobilenet_v2_int8.tflite",
        format="tflite",
        parameters=3_500_000,
        macs=300_000_000,
        places=(("camera", "assets/mobilenet_v2_int8.tflite"),),
        operators=_CLASSIFIER,
        weights_dtype="int8",
        weights=("qa", "qb", "qc", "qd", "qe", "qf", "qg", "qh"),
    ),
    PlantedModel(
        name="face_detection.tflite",
        format="tflite",
        parameters=120_000,
        macs=31_000_000,
        places=(
            ("camera", "assets/face_detection.tflite"),
            ("beauty", "assets/ml/face_detection.tflite"),
        ),
        operators=_CLASSIFIER,
        weights_dtype="float16",
        weights=("i", "j"),
        values=("i", "j"),
    ),
    PlantedModel(
        name="yolo.param",
        format="ncnn",
        parameters=6_100_000,
        macs=3_400_000_000,
        places=(("camera", "assets/yolo.param"), ("bank", "assets/id/yolo.param")),
        operators=_DETECTOR,
        uncounted=1,
    ),
    PlantedModel(
        name="liveness.param",
        format="ncnn",
        parameters=800_000,
        macs=95_000_000,
        places=(("bank", "assets/id/liveness.param"),),
        operators=_DETECTOR,
        weights=("k", "l"),
        values=("i", "j"),
    ),
    PlantedModel(
        name="encoder.onnx",
        format="onnx",
        parameters=22_000_000,
        macs=1_400_000_000,
        places=(("keyboard", "assets/encoder.onnx"),),
        operators=_TEXT,
    ),
    PlantedModel(
        name="keyword.onnx",
        format="onnx",
        parameters=52_000,
        macs=2_600_000,
        places=(("keyboard", "assets/keyword.onnx"),),
        operators=_TEXT,
    ),
    PlantedModel(
        name="dynamic.onnx",
        format="onnx",
        parameters=11_000,
        macs=None,
        places=(("shop", "assets/dynamic.onnx"),),
        operators=_TEXT,
        uncounted=5,
    ),
)
"""Nine distinct models in 13 places of five apps. Two share an architecture."""

APPS = {
    "camera": ("Clear Camera", "org.example.camera", PackageKind.APK),
    "beauty": ("Beauty Mirror", "org.example.beauty", PackageKind.BUNDLE),
    "bank": ("First Bank", "org.example.bank", PackageKind.APK),
    "keyboard": ("Swift Keys", "org.example.keyboard", PackageKind.AAB),
    "shop": ("Corner Shop", "org.example.shop", PackageKind.APK),
    "notes": ("Plain Notes", "org.example.notes", PackageKind.APK),
}
"""Six apps; `notes` holds no model."""

CLUSTERED = "liveness.param"
"""The one model with clustered weights, and with a clustering tool's names."""

QUANTIZATION = {
    "float32": QuantizationScheme.NONE,
    "float16": QuantizationScheme.FLOAT16,
    "int8": QuantizationScheme.FULL_INTEGER,
}

DTYPES = {dtype.value: dtype for dtype in DataType}

EVIDENCE = {
    ("camera", EvidenceCategory.RUNTIME, "tflite"): ("Google", True, 1),
    ("camera", EvidenceCategory.RUNTIME, "ncnn"): ("Tencent", True, 1),
    ("camera", EvidenceCategory.ACCELERATOR, "nnapi"): ("Google", False, 2),
    ("beauty", EvidenceCategory.RUNTIME, "tflite"): ("Google", True, 1),
    ("beauty", EvidenceCategory.CLOUD, "amazon-rekognition"): ("Amazon", True, 1),
    ("bank", EvidenceCategory.RUNTIME, "ncnn"): ("Tencent", True, 1),
    ("bank", EvidenceCategory.PACKER, "ijiami"): ("Ijiami", False, 1),
    ("keyboard", EvidenceCategory.RUNTIME, "onnxruntime"): ("Microsoft", True, 1),
    ("shop", EvidenceCategory.RUNTIME, "tflite"): ("Google", True, 1),
    ("shop", EvidenceCategory.CLOUD, "google-vision"): ("Google", False, 1),
}
"""(app, category, name) -> vendor, strong, different tokens. One weak token confirms nothing."""

REFUSED_FILES = (
    ("bank", "assets/secret.tflite", FileKind.ENCRYPTED, None, "7.99 bits per byte: like chance"),
    ("bank", "assets/secret2.tflite", FileKind.ENCRYPTED, None, "7.98 bits per byte: like chance"),
    ("shop", "assets/cut.tflite", FileKind.INVALID, "tflite", "offset 4096 lies beyond byte 512"),
    ("notes", "assets/data.bin", FileKind.UNKNOWN, None, "a PNG image"),
    ("notes", "assets/index.json", FileKind.UNKNOWN, None, "JSON text"),
)

LATENCIES_MS = {
    ("mobilenet_v2.tflite", "litert", 1): (24.0, 25.0, 26.0, 24.5, 25.5),
    ("mobilenet_v2.tflite", "litert", 2): (13.9, 14.2, 14.0, 14.4, 14.1),
    ("mobilenet_v2_pets.tflite", "litert", 1): (24.2, 24.8, 25.1, 25.0, 24.9),
    ("mobilenet_v2_int8.tflite", "litert", 1): (9.0, 9.2, 8.9, 9.1, 9.3),
    ("face_detection.tflite", "litert", 1): (2.0, 2.1, 1.9, 2.0, 2.2),
    ("yolo.param", "ncnn", 1): (150.0, 180.0, 120.0, 210.0, 160.0),
    ("liveness.param", "ncnn", 1): (7.0, 7.1, 7.2, 7.0, 7.1),
    ("encoder.onnx", "onnxruntime", 1): (88.0, 91.0, 90.0, 89.0, 87.0),
    ("keyword.onnx", "onnxruntime", 1): (0.31,),
}
"""(model, engine, threads) -> median of each good launch. `yolo` scatters; `keyword` has one launch."""

FAILED_JOBS = {
    ("dynamic.onnx", "onnxruntime"): (RunStatus.REFUSED, "input 'x' has a dynamic size"),
    ("mobilenet_v2.tflite", "ncnn"): (RunStatus.REFUSED, "operator 17 is not known"),
    ("encoder.onnx", "litert"): (RunStatus.CRASHED, "signal 11"),
    ("face_detection.tflite", "tflite-old"): (RunStatus.TIMEOUT, "no result within 60 s"),
}

VERSIONS = {
    "litert": "2.3.0",
    "ncnn": "1.0.20250916",
    "onnxruntime": "1.23.2",
    "tflite-old": "2.4.0",
}
LAUNCHES = 5
LOAD_S, PREPARE_S = 0.004, 0.011
PEAK_BYTES, BASELINE_BYTES = 180 * MIB, 60 * MIB

ENVIRONMENT = Environment(
    environment_sha256=sha("environment"),
    device="host",
    device_kind="host",
    operating_system="Debian GNU/Linux 12",
    kernel="6.1.0",
    architecture="x86_64",
    processor_model="Example Processor 3000",
    logical_cores=8,
    memory_bytes=16 * 2**30,
    maximum_frequency_hz=3_400_000_000,
    governor="performance",
    gaugenn_version="0.1.0",
)

FAILURES = (
    Failure(
        stage="scan",
        subject="apps/unreadable.apk",
        error="PermissionError",
        message="apps/unreadable.apk cannot be read",
        transient=True,
    ),
    Failure(
        stage="plan",
        subject=sha("job"),
        error="EngineError",
        message="no engine reads format 7",
        transient=False,
    ),
)


ACCEPTED_BUILD = ZooBuild(
    build_sha256=sha("build"),
    model="ds_cnn",
    format="onnx",
    variant="fp32",
    status=BuildStatus.ACCEPTED,
    reason=None,
    definition_sha256=sha("definition"),
    weights_sha256=None,
    seed=0,
    exporter="torch.onnx",
    packages=("torch==2",),
    built_at="2026-01-01T00:00:00+00:00",
    wall_s=1.0,
    peak_memory_bytes=None,
    files=(BuiltFile(name="ds_cnn_fp32.onnx", sha256=sha("ds_cnn_fp32.onnx"), size_bytes=1),),
    agreements=(
        Agreement(
            library="onnxruntime",
            version="1",
            cosine=0.999999,
            maximum_relative_error=2e-7,
            reason=None,
        ),
    ),
)
BUILDS = (
    ACCEPTED_BUILD,
    replace(
        ACCEPTED_BUILD,
        build_sha256=sha("refused build"),
        variant="int8",
        status=BuildStatus.REFUSED,
        reason="the converter has no kernel",
        files=(),
        agreements=(),
    ),
)
"""A reference model that agrees and was not run, and a variant of it that could not be made."""


def study(path: Path) -> Study:
    """The planted study."""
    return plant(Study.create(path))


def plant(found: Study) -> Study:
    """Adds what is planted to a study."""
    found.write([*app_rows(), *(row for model in MODELS for row in model_rows(model))])
    profiled = job("mobilenet_v2.tflite", "litert").job_sha256
    timings = operator_rows(profiled, (("CONV_2D", 4.0), ("ADD", 1.0), ("FULLY_CONNECTED", 2.0)))
    found.write([ENVIRONMENT, *job_rows(), *FAILURES, *BUILDS, *timings])
    found.write(snapshot_rows())
    return found


def operator_rows(job_sha256: str, times_ms: tuple[tuple[str, float], ...]) -> list[Record]:
    """A profile of three inferences, whose medians are the given times."""
    return [
        OperatorTiming(
            job_sha256=job_sha256,
            position=position,
            name=f"node {position}",
            operator=operator,
            kernel="",
            durations_s=(time_ms / 1e3, 0.9 * time_ms / 1e3, 9 * time_ms / 1e3),
            method=ProfileMethod.PROFILER,
        )
        for position, (operator, time_ms) in enumerate(times_ms)
    ]


def snapshot_rows() -> list[Record]:
    """Two crawls: the later one lists an app more."""
    rows: list[Record] = []
    keys = list(APPS)[:2]
    for day, listed in ((1, keys[:1]), (2, keys)):
        stamp = f"2024-01-0{day}T00:00:00+00:00"
        rows.append(
            Crawl(
                snapshot=f"day-{day}",
                source="folder",
                address="apps",
                query="",
                started_at=stamp,
                listed_at=stamp,
                finished_at=stamp,
                gaugenn_version="0",
            )
        )
        for key in listed:
            ref = AppRef(
                source="folder",
                address="apps",
                reference=key,
                listed_at=stamp,
                snapshot=f"day-{day}",
            )
            rows.append(ref)
            rows.append(
                Download(
                    snapshot=ref.snapshot,
                    source="folder",
                    address="apps",
                    reference=key,
                    path=f"apps/{key}.apk",
                    sha256=sha(key),
                    size_bytes=1,
                    fetched_at=stamp,
                )
            )
    return rows


def app_rows() -> list[Record]:
    """Packages, their evidence, the files that are no model, and one copy of a package."""
    rows: list[Record] = []
    for number, (key, (label, package, kind)) in enumerate(APPS.items(), start=1):
        rows.append(
            App(
                path=f"apps/{key}.apk",
                app_sha256=sha(key),
                size_bytes=number * 11 * MIB,
                modified_ns=number,
                kind=kind,
                package=package,
                version_code=number,
                version_name=f"{number}.0.1",
                label=label,
                certificate_sha256=sha(f"certificate {key}"),
                members=100 * number,
            )
        )
    rows.append(replace(_first_app(rows), path="apps/copy/camera.apk"))
    rows.extend(
        App(
            path=path,
            app_sha256=sha(path),
            size_bytes=12_345,
            modified_ns=1,
            kind=PackageKind.NONE,
            error="an HTML page, not a zip",
        )
        for path in ("apps/login.apk", "apps/error.xapk")
    )
    rows.extend(
        Evidence(
            app_sha256=sha(app),
            category=category,
            name=name,
            vendor=vendor,
            source=EvidenceSource.LIBRARY if strong else EvidenceSource.STRING,
            token=f"{name} {number}",
            member="classes.dex",
            strong=strong,
        )
        for (app, category, name), (vendor, strong, tokens) in EVIDENCE.items()
        for number in range(tokens)
    )
    rows.extend(
        AppFile(
            app_sha256=sha(app),
            member=member,
            size_bytes=4096,
            sha256=sha(member),
            kind=kind,
            format=claimed,
            error=error,
        )
        for app, member, kind, claimed, error in REFUSED_FILES
    )
    return rows


def _first_app(rows: list[Record]) -> App:
    return next(row for row in rows if isinstance(row, App))


def model_rows(model: PlantedModel) -> list[Record]:
    """A model's files, places, record and layers."""
    size_bytes = 4 * (model.parameters or 0) + 1000
    rows: list[Record] = [
        ModelFile(
            model_sha256=model.sha256,
            position=0,
            name="model." + model.name.rpartition(".")[2],
            sha256=model.sha256,
            size_bytes=size_bytes,
            format=model.format,
        ),
        ModelRecord(
            model_sha256=model.sha256,
            kind=FileKind.MODEL,
            format=model.format,
            size_bytes=size_bytes,
            producer="planted 1.0",
            graphs=1,
            nodes=sum(number for _, _, number in model.operators),
            inputs=(TensorInfo(name="input", dtype="float32", shape=("1", "224", "224", "3")),),
            outputs=(TensorInfo(name="scores", dtype="float32", shape=("1", "1000")),),
            parameters=model.parameters,
            weights_bytes=size_bytes - 1000,
            macs=model.macs,
            flops=None if model.macs is None else 2 * model.macs,
            activation_peak_bytes=4_816_896,
            weights_dtype=model.weights_dtype,
            activations_dtype="int8" if model.weights_dtype == "int8" else "float32",
            unmapped_nodes=sum(n for operator, _, n in model.operators if not operator),
            uncounted_nodes=model.uncounted,
            architecture_sha256=model.architecture_sha256,
            weights_sha256=sha(f"weights {model.name}"),
            quantization=model.scheme or QUANTIZATION.get(model.weights_dtype),
            quantization_granularities=("per_axis",) if model.weights_dtype == "int8" else (),
            weight_elements=(
                ElementShare(
                    dtype=DTYPES.get(model.weights_dtype, DataType.UNKNOWN),
                    elements=model.parameters or 0,
                ),
            ),
            dequantize_nodes=3 if model.weights_dtype == "float16" else 0,
            weights_examined=model.parameters or 0,
            zero_weights=(model.parameters or 0) // 10,
            near_zero_weights=(model.parameters or 0) // 5,
            tensors_examined=0 if model.weights_dtype == "int8" else 4,
            clustered_tensors=2 if model.name == CLUSTERED else 0,
            compression_traces=("cluster_",) if model.name == CLUSTERED else (),
            modality=model.purpose[0],
            task=model.purpose[1],
            family=model.purpose[2],
            task_confidence=model.purpose[3],
            task_evidence=() if model.purpose[3] is None else (f"task: {model.purpose[1]}",),
        ),
    ]
    rows.extend(
        AppFile(
            app_sha256=sha(app),
            member=member,
            size_bytes=size_bytes,
            sha256=model.sha256,
            kind=FileKind.MODEL,
            format=model.format,
            model_sha256=model.sha256,
        )
        for app, member in model.places
    )
    nodes = [(op, source) for op, source, number in model.operators for _ in range(number)]
    rows.extend(
        LayerRecord(
            model_sha256=model.sha256,
            graph=0,
            position=position,
            name=f"node{position}",
            operator=operator,
            source_operator=source,
            layer_class=LAYER_CLASSES.get(operator, LayerClass.OTHER),
            macs=(model.macs or 0) // len(nodes),
            flops=2 * ((model.macs or 0) // len(nodes)),
            elementwise_operations=0,
            parameters=1000 if position < len(model.weights) else 0,
            weights_bytes=4000 if position < len(model.weights) else 0,
            output_shape=(1, 7, 7, 8),
            output_bytes=1568,
            weights_sha256=sha(f"layer {model.weights[position]}")
            if position < len(model.weights)
            else None,
            weights_values_sha256=sha(f"values {model.values[position]}")
            if position < len(model.values)
            else None,
        )
        for position, (operator, source) in enumerate(nodes)
    )
    return rows


def model(name: str) -> PlantedModel:
    """A planted model by its name."""
    return next(found for found in MODELS if found.name == name)


def job(name: str, engine: str, threads: int = 1) -> Job:
    """A planted job."""
    return Job(
        model_sha256=model(name).sha256,
        format=model(name).format,
        engine=engine,
        engine_version=VERSIONS[engine],
        device="host",
        threads=threads,
    )


def job_rows() -> list[Record]:
    """Jobs and their launches: good, failed, and one job that was never run."""
    rows: list[Record] = []
    for (name, engine, threads), medians in LATENCIES_MS.items():
        planned = job(name, engine, threads)
        rows.append(JobRecord(job_sha256=planned.job_sha256, job=planned, launches=len(medians)))
        rows.extend(
            good_launch(planned, launch, median / 1e3) for launch, median in enumerate(medians)
        )
    for (name, engine), (status, reason) in FAILED_JOBS.items():
        planned = job(name, engine)
        rows.append(JobRecord(job_sha256=planned.job_sha256, job=planned, launches=LAUNCHES))
        rows.append(failed_launch(planned, 0, status, reason))
    never = job("keyword.onnx", "onnxruntime", 2)
    rows.append(JobRecord(job_sha256=never.job_sha256, job=never, launches=LAUNCHES))
    return rows


def good_launch(planned: Job, launch: int, median_s: float) -> Run:
    """A launch whose steady samples have the given median, and a wild one that must not matter."""
    steady = (median_s * 0.99,) * 10 + (median_s,) + (median_s * 1.01,) * 9 + (median_s * 9,)
    assert math.isclose(sorted(steady)[len(steady) // 2], median_s)
    return Run(
        job_sha256=planned.job_sha256,
        launch=launch,
        status=RunStatus.OK,
        reason=None,
        timings=Timings(
            load_s=LOAD_S,
            prepare_s=None if planned.engine == "onnxruntime" else PREPARE_S,
            first_s=3 * median_s,
            warmup_s=(2 * median_s,),
            steady_s=steady,
            phases="load+prepare" if planned.engine == "onnxruntime" else "load, prepare",
            peak_memory_bytes=PEAK_BYTES,
            load_memory_bytes=BASELINE_BYTES,
            process_cpu_s=1.0,
            timer_resolution_s=1e-9,
            outputs=(output(),),
            input_sha256=sha("input"),
            engine_version=planned.engine_version,
            observed_processor=Processor.CPU,
            observed_precision=Precision.FLOAT32.value,
            observed_threads=planned.threads,
        ),
        started_at=f"2026-01-01T00:00:{launch:02d}+00:00",
        wall_s=1.0,
        load_average=0.1,
        environment_sha256=ENVIRONMENT.environment_sha256,
        argv=("python", "worker.py"),
        log_tail="",
    )


def output(not_finite: int = 0) -> OutputStatistics:
    """A launch's output."""
    return OutputStatistics(
        name="scores",
        dtype="float32",
        shape=(1, 1000),
        sha256=sha("output"),
        minimum=0.0,
        maximum=1.0,
        mean=0.5,
        standard_deviation=0.1,
        not_finite=not_finite,
    )


def failed_launch(planned: Job, launch: int, status: RunStatus, reason: str) -> Run:
    """A launch without a result."""
    return Run(
        job_sha256=planned.job_sha256,
        launch=launch,
        status=status,
        reason=reason,
        timings=None,
        started_at="2026-01-01T00:00:00+00:00",
        wall_s=1.0,
        load_average=None,
        environment_sha256=ENVIRONMENT.environment_sha256,
        argv=("python", "worker.py"),
        log_tail="",
    )
