"""The report and the explorer of a study as large as that of 2021: size, building time, page times.

The study's rows are written straight to the store, with a seed, in the mix of `benchmarks.census`;
no package is scanned. It has snapshots, categories, evidence, layers and measurements. Pages are
asked of the application itself, in turns. What the first page waits for, opening the study, is a
row of its own.

Usage: `python -m benchmarks.explorer [--apps N] [--quick] [--json]`
"""

import argparse
import hashlib
import json
import random
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.census import APPS, MIX
from gaugenn import report
from gaugenn.graph import DataType
from gaugenn.records import (
    App,
    AppFile,
    AppRef,
    Crawl,
    Download,
    ElementShare,
    Environment,
    Evidence,
    EvidenceCategory,
    EvidenceSource,
    FileKind,
    Job,
    JobRecord,
    LayerClass,
    LayerRecord,
    Modality,
    ModelFile,
    ModelRecord,
    PackageKind,
    QuantizationScheme,
    Run,
    RunStatus,
    Task,
    TensorInfo,
    Timings,
    digest,
)
from gaugenn.store import Record, Study

PAGE_BAR_S = 0.2
REPORT_BAR_BYTES = 15_000_000
ROUNDS = 15
BATCH_ROWS = 50_000
ENGINES = (("litert", "2.3.0"), ("onnxruntime", "1.23.2"), ("ncnn", "1.0.20250916"))
CATEGORIES = tuple(f"category {number:02}" for number in range(33))
FORMATS = ("tflite",) * 86 + ("caffe",) * 10 + ("ncnn",) * 3 + ("onnx",)
TASKS = tuple(task for task in Task if task is not Task.UNKNOWN)
LAYERS = 90
LAUNCHES = 5
SAMPLES = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A number with its bar."""

    name: str
    value: float
    unit: str
    bar: float | None = None

    @property
    def ok(self) -> bool | None:
        """Whether it is below its bar."""
        return None if self.bar is None else self.value < self.bar


def sha(name: str) -> str:
    """A digest for a name."""
    return digest(name)


def models(count: int, generator: random.Random) -> Iterator[Record]:
    """Distinct models with their layers; every fourth is trained from the one before."""
    kinds = (LayerClass.CONVOLUTION, LayerClass.ACTIVATION, LayerClass.DEPTHWISE_CONVOLUTION)
    for number in range(count):
        name = sha(f"model {number}")
        base = number - 1 if number % 4 == 3 else number
        form = FORMATS[generator.randrange(len(FORMATS))]
        quantised = generator.random() < 0.2
        macs = int(10 ** generator.uniform(6, 10))
        parameters = int(10 ** generator.uniform(4, 7.5))
        size = parameters * (1 if quantised else 4)
        yield ModelFile(
            model_sha256=name,
            position=0,
            name=f"model.{form}",
            sha256=name,
            size_bytes=size,
            format=form,
        )
        yield ModelRecord(
            model_sha256=name,
            kind=FileKind.MODEL,
            format=form,
            size_bytes=size,
            graphs=1,
            nodes=LAYERS,
            inputs=(TensorInfo(name="x", dtype="float32", shape=("1", "224", "224", "3")),),
            outputs=(TensorInfo(name="y", dtype="float32", shape=("1", "1000")),),
            parameters=parameters,
            weights_bytes=size,
            macs=macs,
            flops=2 * macs,
            weights_dtype="int8" if quantised else "float32",
            activations_dtype="int8" if quantised else "float32",
            architecture_sha256=sha(f"architecture {base // 2}"),
            weights_sha256=sha(f"weights {number}"),
            quantization=QuantizationScheme.FULL_INTEGER if quantised else QuantizationScheme.NONE,
            weight_elements=(
                ElementShare(
                    dtype=DataType.INT8 if quantised else DataType.FLOAT32, elements=parameters
                ),
            ),
            weights_examined=parameters,
            zero_weights=parameters // 50,
            near_zero_weights=parameters // 40,
            modality=Modality.VISION,
            task=TASKS[generator.randrange(len(TASKS))],
            family=f"family-{generator.randrange(20)}",
            task_confidence=0.8,
        )
        for position in range(LAYERS):
            owner = base if position < LAYERS * 0.9 else number
            weighted = position % 3 != 1
            yield LayerRecord(
                model_sha256=name,
                graph=0,
                position=position,
                name=f"block{position // 3}/node{position}",
                operator=("Conv", "Relu", "Conv")[position % 3],
                source_operator=("CONV_2D", "RELU", "DEPTHWISE_CONV_2D")[position % 3],
                macs=2 * macs // LAYERS if weighted else 0,
                flops=4 * macs // LAYERS if weighted else 0,
                elementwise_operations=0,
                parameters=parameters // LAYERS if weighted else 0,
                weights_bytes=size // LAYERS if weighted else 0,
                output_shape=(1, 56, 56, 64),
                output_bytes=802_816,
                weights_sha256=sha(f"layer {owner} {position}") if weighted else None,
                layer_class=kinds[position % 3],
                weights_values_sha256=sha(f"values {owner} {position}") if weighted else None,
            )


def apps(count: int, distinct: int, generator: random.Random) -> Iterator[Record]:
    """Packages of two snapshots with evidence, models, and files that are none."""
    for number, stamp in enumerate(("2026-01-01T00:00:00+00:00", "2026-06-01T00:00:00+00:00")):
        yield Crawl(
            snapshot=f"snapshot-{number + 1}",
            source="synthetic",
            address="store",
            query="",
            started_at=stamp,
            listed_at=stamp,
            finished_at=stamp,
            gaugenn_version="0",
        )
    for number in range(count):
        app = sha(f"app {number}")
        package = f"org.synthetic.app{number // 2 if number % 8 == 1 else number:06}"
        snapshot = f"snapshot-{2 if number % 8 else 1}"
        fetched = f"2026-0{6 if number % 8 else 1}-02T00:00:{number % 60:02}+00:00"
        yield App(
            path=f"store/{number:06}.apk",
            app_sha256=app,
            size_bytes=generator.randint(1_000_000, 80_000_000),
            modified_ns=number,
            kind=PackageKind.APK,
            package=package,
            label=f"Synthetic app {number}",
            version_code=number,
            version_name=f"1.{number % 97}",
            minimum_sdk=24,
            target_sdk=generator.randint(21, 36),
            permissions=("android.permission.INTERNET", "android.permission.CAMERA"),
            abis=("arm64-v8a",),
            members=generator.randint(50, 4_000),
        )
        yield AppRef(
            source="synthetic",
            address="store",
            reference=str(number),
            listed_at=fetched,
            snapshot=snapshot,
            package=package,
            title=f"Synthetic app {number}",
            categories=(CATEGORIES[generator.randrange(len(CATEGORIES))],),
        )
        yield Download(
            snapshot=snapshot,
            source="synthetic",
            address="store",
            reference=str(number),
            path=f"store/{number:06}.apk",
            sha256=app,
            size_bytes=1,
            fetched_at=fetched,
        )
        if generator.random() < 0.05:
            runtime = generator.choice(("tflite", "onnxruntime", "ncnn"))
            for token in range(3):
                yield Evidence(
                    app_sha256=app,
                    category=EvidenceCategory.RUNTIME,
                    name=runtime,
                    vendor=None,
                    source=EvidenceSource.LIBRARY,
                    token=f"{runtime} {token}",
                    member=f"lib/arm64-v8a/lib{runtime}.so",
                    strong=token == 0,
                )
        if generator.random() < MIX["share of apps with models"]:
            for place in range(1 + int(generator.expovariate(1 / MIX["models an app of these"]))):
                model = sha(f"model {min(distinct - 1, int(distinct * generator.random() ** 2))}")
                yield AppFile(
                    app_sha256=app,
                    member=f"assets/models/{place}/net.tflite",
                    size_bytes=1_000_000,
                    sha256=model,
                    kind=FileKind.MODEL,
                    format="tflite",
                    model_sha256=model,
                )
        if generator.random() < 0.02:
            yield AppFile(
                app_sha256=app,
                member="assets/secret.tflite",
                size_bytes=1_000_000,
                sha256=None,
                kind=FileKind.ENCRYPTED,
                entropy_bits=7.99,
            )


def runs(count: int, generator: random.Random) -> Iterator[Record]:
    """Every model with every library on two devices."""
    places = []
    for device in ("host", "phone"):
        place = Environment(
            environment_sha256=sha(f"environment {device}"),
            device=device,
            device_kind="adb" if device == "phone" else "host",
            operating_system="Synthetic 1",
            kernel="6.1.0",
            architecture="aarch64",
            processor_model="Synthetic processor",
            logical_cores=8,
            memory_bytes=8 << 30,
            maximum_frequency_hz=2_800_000_000,
            governor="performance",
            gaugenn_version="0",
        )
        places.append(place)
        yield place
    timings = Timings(
        load_s=0.004,
        prepare_s=0.011,
        first_s=0.03,
        warmup_s=(0.02,) * 3,
        steady_s=(),
        phases="load, prepare",
        peak_memory_bytes=180 << 20,
        load_memory_bytes=60 << 20,
        process_cpu_s=1.0,
        timer_resolution_s=1e-9,
        outputs=(),
        input_sha256=sha("input"),
        engine_version="",
        observed_processor=None,
        observed_precision="float32",
        observed_threads=1,
    )
    for number in range(count):
        base = 10 ** generator.uniform(-3, -1)
        for engine, version in ENGINES:
            for place in places:
                job = Job(
                    model_sha256=sha(f"model {number}"),
                    format="tflite",
                    engine=engine,
                    engine_version=version,
                    device=place.device,
                )
                name = job.job_sha256
                yield JobRecord(job_sha256=name, job=job, launches=LAUNCHES)
                level = base * generator.uniform(0.7, 2.0)
                for launch in range(LAUNCHES):
                    steady = tuple(
                        level * generator.lognormvariate(0, 0.02) for _ in range(SAMPLES)
                    )
                    yield Run(
                        job_sha256=name,
                        launch=launch,
                        status=RunStatus.OK,
                        reason=None,
                        timings=replace(timings, steady_s=steady, engine_version=version),
                        started_at=f"2026-06-03T00:{launch:02}:00+00:00",
                        wall_s=1.0,
                        load_average=0.1,
                        environment_sha256=place.environment_sha256,
                        argv=("python", "worker.py"),
                        log_tail="",
                    )


def make(folder: Path, count: int, seed: int = 1) -> tuple[Study, int]:
    """A study of so many apps, and how many distinct models it has."""
    generator = random.Random(seed)
    share = MIX["share of apps with models"] * MIX["models an app of these"]
    distinct = max(8, round(count * share * MIX["share of models that are distinct"]))
    study = Study.create(folder)
    rows: list[Record] = []
    for source in (
        models(distinct, generator),
        apps(count, distinct, generator),
        runs(distinct, generator),
    ):
        for row in source:
            rows.append(row)
            if len(rows) >= BATCH_ROWS:
                study.write(rows)
                rows = []
    study.write(rows)
    study.compact()
    return study, distinct


@dataclass(frozen=True, slots=True)
class Spent:
    """What a page took: on the clock, and of the processor in all threads of this process."""

    wall_s: float
    processor_s: float


def timed(action: Callable[[], object]) -> Spent:
    """Times an action."""
    wall_s, processor_s = time.perf_counter(), time.process_time()
    action()
    return Spent(time.perf_counter() - wall_s, time.process_time() - processor_s)


def page_times(study: Study, rounds: int) -> tuple[Spent, dict[str, list[Spent]]]:
    """What opening the study takes, and each page, its first time included."""
    warnings.simplefilter("ignore", DeprecationWarning)
    from starlette.testclient import TestClient

    from gaugenn.explorer import application

    with study.connect() as connection:
        ((app,),) = connection.execute(
            "SELECT app_sha256 FROM instances GROUP BY ALL ORDER BY count(*) DESC, 1 LIMIT 1"
        ).fetchall()
        ((model,),) = connection.execute(
            "SELECT model_sha256 FROM instances GROUP BY ALL ORDER BY count(*) DESC, 1 LIMIT 1"
        ).fetchall()
        jobs = [
            row[0]
            for row in connection.execute(
                "SELECT job_sha256 FROM jobs WHERE job.model_sha256 = ? ORDER BY 1 LIMIT 2", [model]
            ).fetchall()
        ]
    other = sha("model 1")
    device = hashlib.sha256(b"phone").hexdigest()
    pages = {
        "overview": "/",
        "apps": "/apps",
        "apps, searched": "/apps?q=synthetic+app+77",
        "apps, filtered, sorted": "/apps?category=category+07&snapshot=snapshot-2&sort=-size",
        "apps, last page": "/apps?page=999999",
        "an app": f"/apps/{app}",
        "models": "/models",
        "models, searched": "/models?q=family-3&format=tflite&engine=litert",
        "a model": f"/models/{model}",
        "a model's graph page": f"/models/{model}/graph",
        "experiments": "/experiments?engine=ncnn&sort=latency_s",
        "an experiment": f"/experiments/{jobs[0]}",
        "devices": "/devices",
        "a device": f"/devices/{device}",
        "compare models": f"/compare?model={model}&model={other}",
        "compare experiments": f"/compare?experiment={jobs[0]}&experiment={jobs[1]}",
        "SQL, a question": "/sql?q=SELECT+format,+count(*)+FROM+instances+GROUP+BY+ALL",
    }
    spent: dict[str, list[Spent]] = {name: [] for name in pages}
    client = TestClient(application(study), base_url="http://127.0.0.1")
    opening = timed(client.__enter__)
    client.get(pages["SQL, a question"]).raise_for_status()  # its process starts with it
    for _ in range(rounds):
        for name, address in pages.items():
            spent[name].append(timed(lambda: client.get(address).raise_for_status()))  # noqa: B023
    client.__exit__()
    return opening, spent


def page_figures(name: str, times: Sequence[Spent]) -> Iterator[Figure]:
    """A page's time in three numbers. On a machine that does other work, the processor's tells more."""
    walls = [spent.wall_s for spent in times]
    bar = 1e3 * PAGE_BAR_S
    yield Figure(name=f"{name}, median", value=1e3 * statistics.median(walls), unit="ms", bar=bar)
    yield Figure(name=f"{name}, longest", value=1e3 * max(walls), unit="ms", bar=bar)
    processor_s = statistics.median(spent.processor_s for spent in times)
    yield Figure(name=f"{name}, processor, median", value=1e3 * processor_s, unit="ms")


def measure(count: int, rounds: int, work: Path) -> Sequence[Figure]:
    """All figures of a study of so many apps."""
    study, distinct = make(work / "study", count)
    with study.connect() as connection:
        counted = {
            table: (connection.execute(f"SELECT count(*) FROM {table}").fetchall())[0][0]  # noqa: S608
            for table in ("apps", "instances", "layers", "jobs", "runs")
        }
    start = time.perf_counter()
    page = report.write(study, work / "report.html")
    built = time.perf_counter() - start
    opening, spent = page_times(study, rounds)
    return (
        *(Figure(name=name, value=float(number), unit="") for name, number in counted.items()),
        Figure(name="distinct models", value=float(distinct), unit=""),
        Figure(
            name="report.html",
            value=page.stat().st_size / 1e6,
            unit="MB",
            bar=REPORT_BAR_BYTES / 1e6,
        ),
        Figure(name="report.html, built", value=built, unit="s"),
        Figure(name="explorer, opening the study", value=opening.wall_s, unit="s"),
        Figure(name="explorer, opening, processor", value=opening.processor_s, unit="s"),
        *(figure for name, times in spent.items() for figure in page_figures(name, times)),
    )


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--apps", type=int, default=APPS, help="packages of the study")
    parser.add_argument("--quick", action="store_true", help="a smaller study, within a minute")
    parser.add_argument("--json", action="store_true", help="print a JSON list")
    options = parser.parse_args()
    count = 2_000 if options.quick else options.apps
    with tempfile.TemporaryDirectory(prefix="gaugenn-explorer-") as work:
        found = measure(count, 5 if options.quick else ROUNDS, Path(work))
    if options.json:
        print(
            json.dumps(
                [
                    {"name": f.name, "value": f.value, "unit": f.unit, "bar": f.bar, "ok": f.ok}
                    for f in found
                ]
            )
        )
        return
    for f in found:
        bar = "" if f.bar is None else f"   bar {f.bar:g}: {'met' if f.ok else 'MISSED'}"
        print(f"{f.name:40}{f.value:14.2f} {f.unit:4}{bar}")


if __name__ == "__main__":
    sys.exit(main())
