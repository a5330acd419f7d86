"""A census with planted facts: two crawls of seven apps in three store categories, seven models.

Every number that a figure about apps and models must show can be counted by hand here.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from synthetic import ENVIRONMENT, good_launch, sha

from gaugenn.graph import DataType
from gaugenn.records import (
    App,
    AppFile,
    AppRef,
    Crawl,
    Download,
    ElementShare,
    Evidence,
    EvidenceCategory,
    EvidenceSource,
    Failure,
    FileKind,
    Job,
    JobRecord,
    LayerRecord,
    Modality,
    ModelFile,
    ModelRecord,
    PackageKind,
    QuantizationScheme,
    Reading,
    Task,
)
from gaugenn.store import Record, Study

ADDRESS = "https://store.example/repo"
CRAWLS = {"spring": "2024-03-01T00:00:00+00:00", "autumn": "2024-09-01T00:00:00+00:00"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantedModel:
    """A model; equal names of layers are equal weights, equal names of values equal values."""

    format: str
    size_bytes: int
    parameters: int
    macs: int
    task: Task
    modality: Modality
    graph: str
    layers: tuple[str, ...]
    values: tuple[str, ...]
    weights: str = ""
    dtype: DataType = DataType.FLOAT32
    scheme: QuantizationScheme = QuantizationScheme.NONE


_FACE = PlantedModel(
    format="tflite",
    size_bytes=4_000,
    parameters=1_000,
    macs=1_000_000,
    task=Task.FACE_DETECTION,
    modality=Modality.VISION,
    graph="face",
    layers=("a", "b", "c", "d", "e"),
    values=("a", "b", "c", "d", "e"),
    weights="face",
)
MODELS = {
    "face.tflite": _FACE,
    "face_tuned.tflite": replace(
        _FACE, layers=("a", "b", "c", "d", "t"), values=("a", "b", "c", "d", "t"), weights="tuned"
    ),
    "face.onnx": replace(
        _FACE,
        format="onnx",
        graph="face in onnx",
        size_bytes=4_100,
        layers=("oa", "ob", "oc", "od", "oe"),
        weights="onnx",
    ),
    "face_int8.tflite": replace(
        _FACE,
        size_bytes=1_000,
        layers=("qa", "qb", "qc", "qd", "qe"),
        values=("qa", "qb", "qc", "qd", "qe"),
        weights="int8",
        dtype=DataType.INT8,
        scheme=QuantizationScheme.FULL_INTEGER,
    ),
    "face_again.tflite": replace(_FACE, size_bytes=4_004),
    "ocr.param": PlantedModel(
        format="ncnn",
        size_bytes=8_000,
        parameters=2_000,
        macs=100_000_000,
        task=Task.TEXT_RECOGNITION,
        modality=Modality.VISION,
        graph="ocr",
        layers=("r", "s"),
        values=("r", "s"),
        weights="ocr",
    ),
    "words.tflite": PlantedModel(
        format="tflite",
        size_bytes=2_000,
        parameters=1_000,
        macs=10_000,
        task=Task.FACE_DETECTION,
        modality=Modality.VISION,
        graph="words",
        layers=("w",),
        values=("w",),
        weights="words",
        dtype=DataType.FLOAT16,
        scheme=QuantizationScheme.FLOAT16,
    ),
}

FOUND = EvidenceCategory


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantedApp:
    """A version of an app, the crawls that have it, its models and what else it holds."""

    name: str
    category: str
    crawls: tuple[str, ...]
    version: int = 1
    places: tuple[tuple[str, str], ...] = ()
    runtimes: tuple[str, ...] = ()
    evidence: tuple[tuple[EvidenceCategory, str, str, EvidenceSource, bool | None], ...] = ()
    encrypted: int = 0
    invalid: int = 0
    debug_bytes: int | None = None
    kind: PackageKind = PackageKind.APK

    @property
    def sha256(self) -> str:
        """Its digest."""
        return sha(f"{self.name} {self.version}")


BOTH = ("spring", "autumn")
APPS = (
    PlantedApp(
        name="camera",
        category="Photography",
        crawls=("spring",),
        places=(("assets/face.tflite", "face.tflite"), ("assets/copy.tflite", "face.tflite")),
        runtimes=("tflite",),
        debug_bytes=0,
    ),
    PlantedApp(
        name="camera",
        category="Photography",
        crawls=("autumn",),
        version=2,
        places=(
            ("assets/face.tflite", "face.tflite"),
            ("assets/tuned.tflite", "face_tuned.tflite"),
            ("assets/words.tflite", "words.tflite"),
        ),
        runtimes=("tflite",),
        evidence=(
            (FOUND.ACCELERATOR, "nnapi", "Google", EvidenceSource.METHOD, None),
            (FOUND.ACCELERATOR, "gpu", "Google", EvidenceSource.CLASS, True),
        ),
        debug_bytes=500,
    ),
    PlantedApp(
        name="beauty",
        category="Photography",
        crawls=BOTH,
        places=(("assets/face.tflite", "face.tflite"),),
        runtimes=("tflite",),
        evidence=(
            (FOUND.ACCELERATOR, "gpu", "Google", EvidenceSource.CLASS, False),
            (FOUND.ACCELERATOR, "nnapi", "Google", EvidenceSource.SYMBOL, None),
        ),
        kind=PackageKind.SPLIT_SET,
    ),
    PlantedApp(
        name="bank",
        category="Finance",
        crawls=BOTH,
        places=(("assets/ocr.param", "ocr.param"),),
        runtimes=("ncnn",),
        evidence=((FOUND.CLOUD, "google-vision", "Google", EvidenceSource.CLASS, True),),
        encrypted=1,
    ),
    PlantedApp(
        name="wallet",
        category="Finance",
        crawls=("autumn",),
        runtimes=("ncnn",),
        encrypted=2,
        debug_bytes=0,
    ),
    PlantedApp(
        name="notes",
        category="Tools",
        crawls=BOTH,
        evidence=(
            (FOUND.CLOUD, "amazon-lex", "Amazon", EvidenceSource.CLASS, True),
            (FOUND.CLOUD, "google-speech", "Google", EvidenceSource.CLASS, True),
        ),
        invalid=1,
    ),
    PlantedApp(
        name="keyboard",
        category="Tools",
        crawls=("spring",),
        places=(
            ("assets/face.onnx", "face.onnx"),
            ("assets/int8.tflite", "face_int8.tflite"),
            ("assets/again.tflite", "face_again.tflite"),
            ("assets/face.tflite", "face.tflite"),
        ),
        runtimes=("tflite", "onnxruntime"),
        evidence=((FOUND.TRAINING, "mnn-training", "Alibaba", EvidenceSource.SYMBOL, None),),
    ),
    PlantedApp(
        name="shell",
        category="Tools",
        crawls=BOTH,
        runtimes=("tflite",),
        evidence=((FOUND.PACKER, "legu", "Tencent", EvidenceSource.LIBRARY, None),),
    ),
)
"""Eight packages of seven apps."""

LISTED_ONLY = ("ghost", "Tools")
"""Listed in autumn; its download failed."""

JOB = Job(
    model_sha256=sha("census face.tflite"),
    format="tflite",
    engine="litert",
    engine_version="2.3.0",
    device="phone",
    threads=1,
)
PHONE = replace(
    ENVIRONMENT,
    environment_sha256=sha("phone"),
    device="phone",
    readings=(Reading(key="instruction_sets", text="asimddp asimdhp i8mm"),),
)
"""The one experiment: a float32 model on a processor with 16-bit floats and dot products."""


def study(path: Path) -> Study:
    """The planted census."""
    made = Study.create(path)
    made.write(rows())
    return made


def rows() -> list[Record]:
    """All of it."""
    found: list[Record] = [*_crawls(), *(row for app in APPS for row in _app(app))]
    found += [row for name, model in MODELS.items() for row in _model(name, model)]
    ghost, category = LISTED_ONLY
    found.append(_listing("autumn", ghost, category))
    found.append(
        Failure(
            stage="crawl",
            subject=f"fdroid {ADDRESS} {ghost}",
            error="SourceError",
            message="404",
            transient=False,
        )
    )
    launches = [
        replace(good_launch(JOB, n, 0.002), environment_sha256=sha("phone")) for n in (0, 1)
    ]
    return [*found, PHONE, JobRecord(job_sha256=JOB.job_sha256, job=JOB, launches=2), *launches]


def model_sha256(name: str) -> str:
    """The digest of a planted model."""
    return sha(f"census {name}")


def _crawls() -> list[Record]:
    return [
        Crawl(
            snapshot=name,
            source="fdroid",
            address=ADDRESS,
            query="",
            started_at=stamp,
            listed_at=stamp,
            finished_at=stamp,
            gaugenn_version="0",
        )
        for name, stamp in CRAWLS.items()
    ]


def _listing(crawl: str, reference: str, category: str) -> AppRef:
    return AppRef(
        source="fdroid",
        address=ADDRESS,
        reference=reference,
        listed_at=CRAWLS[crawl],
        snapshot=crawl,
        package=f"org.example.{reference.partition('-')[0]}",
        categories=(category, "Another"),
    )


def _app(app: PlantedApp) -> list[Record]:
    path = f"{app.name}-{app.version}.apk"
    found: list[Record] = []
    for crawl in app.crawls:
        found.append(_listing(crawl, f"{app.name}-{app.version}", app.category))
        found.append(
            Download(
                snapshot=crawl,
                source="fdroid",
                address=ADDRESS,
                reference=f"{app.name}-{app.version}",
                path=path,
                sha256=app.sha256,
                size_bytes=1,
                fetched_at=CRAWLS[crawl],
            )
        )
    found.append(
        App(
            path=path,
            app_sha256=app.sha256,
            size_bytes=1,
            modified_ns=app.version,
            kind=app.kind,
            package=f"org.example.{app.name}",
            version_code=app.version,
            debug_bytes=app.debug_bytes,
        )
    )
    tokens = [(FOUND.RUNTIME, name, "Someone", EvidenceSource.CLASS, True) for name in app.runtimes]
    found += [
        Evidence(
            app_sha256=app.sha256,
            category=category,
            name=name,
            vendor=vendor,
            source=source,
            token=f"{name} token",
            member="classes.dex",
            strong=True,
            defined=defined,
        )
        for category, name, vendor, source, defined in (*tokens, *app.evidence)
    ]
    found += [
        AppFile(
            app_sha256=app.sha256,
            member=member,
            size_bytes=MODELS[name].size_bytes,
            sha256=model_sha256(name),
            kind=FileKind.MODEL,
            format=MODELS[name].format,
            model_sha256=model_sha256(name),
            packed_bytes=MODELS[name].size_bytes // (2 if member.endswith(".param") else 1),
        )
        for member, name in app.places
    ]
    refused = [FileKind.ENCRYPTED] * app.encrypted + [FileKind.INVALID] * app.invalid
    found += [
        AppFile(
            app_sha256=app.sha256,
            member=f"assets/{number}.tflite",
            size_bytes=9,
            sha256=sha(f"{path} {number}"),
            kind=kind,
            error="cannot be read",
        )
        for number, kind in enumerate(refused)
    ]
    return found


def _model(name: str, model: PlantedModel) -> list[Record]:
    digest = model_sha256(name)
    return [
        ModelFile(
            model_sha256=digest,
            position=0,
            name="model",
            sha256=digest,
            size_bytes=model.size_bytes,
            format=model.format,
        ),
        ModelRecord(
            model_sha256=digest,
            kind=FileKind.MODEL,
            format=model.format,
            size_bytes=model.size_bytes,
            parameters=model.parameters,
            macs=model.macs,
            flops=2 * model.macs,
            weights_dtype=model.dtype.value,
            architecture_sha256=sha(f"graph {model.graph}"),
            weights_sha256=sha(f"weights {model.weights}"),
            quantization=model.scheme,
            weight_elements=(ElementShare(dtype=model.dtype, elements=model.parameters),),
            modality=model.modality,
            task=model.task,
        ),
        *(
            LayerRecord(
                model_sha256=digest,
                graph=0,
                position=position,
                name="",
                operator="Conv",
                source_operator="Conv",
                macs=1,
                flops=2,
                elementwise_operations=0,
                parameters=99,
                weights_bytes=396,
                output_shape=(1,),
                output_bytes=4,
                weights_sha256=sha(f"layer {weights}"),
                weights_values_sha256=sha(f"values {values}"),
            )
            for position, (weights, values) in enumerate(
                zip(model.layers, model.values, strict=True)
            )
        ),
    ]
