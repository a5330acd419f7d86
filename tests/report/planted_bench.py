"""A study of measurements with planted facts: laws of latency, ties, orders, energies, special loads.

Every latency is a product of factors that are named here, times a noise that all experiments of a block
share, so ratios of experiments that took turns are exact and tests compare with the factors themselves.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import synthetic

from gaugenn.records import (
    BuiltFile,
    DeviceLabel,
    Environment,
    Job,
    JobRecord,
    Modality,
    ModelRecord,
    PhaseStamp,
    Precision,
    PredictedLatency,
    Processor,
    Run,
    Task,
    Trace,
    ZooBuild,
)
from gaugenn.store import Record, Study, put_trace

NETWORKS = {
    "net_a": 5e6,
    "net_b": 2e7,
    "net_c": 6e7,
    "net_d": 1.5e8,
    "net_e": 3e8,
    "net_f": 6e8,
    "net_g": 1.2e9,
    "net_h": 3e9,
}
"""MACs of each network."""
S_PER_MAC = 20e-12
OFF_THE_LINE = dict(zip(NETWORKS, (1.2, 0.8, 1.0, 1.5, 0.7, 1.1, 0.9, 1.0), strict=True))
"""How far each network is off a latency in proportion to its MACs."""

FORMATS = {"litert": "tflite", "onnxruntime": "onnx", "ncnn": "ncnn"}
SUFFIXES = {"tflite": "tflite", "onnx": "onnx", "ncnn": "param"}
ONNXRUNTIME = 1.001
"""Over litert, with a noise of its own: the launches cannot tell them apart."""
NCNN_FAST, NCNN_SLOW = 0.6, 1.5
"""Over litert: on the first four networks fast, on the others slow; on the slowest device the reverse
for the first four."""
DEVICES = {"host": 1.0, "adb:MID": 2.0, "adb:LOW": 5.0}
LABELS = {
    "host": ("high", "2021"),
    "adb:MID": ("mid", "2020"),
    "adb:LOW": ("low", "2019"),
}
"""Tier and generation."""
INT8 = 0.5
GPU = 1 / 3
THREADS = {1: 1.0, 2: 0.6, 4: 0.4}
PINNED = 0.8
"""Four threads on two cores, over one thread."""
BATCHES = (1, 2, 5, 10, 25)
OLD_RELEASES = {"2.1.0": 1 / 1.3, "2.2.0": 1.0}
"""Over the newest release: a step of 30 % from the first to the second."""

NOISE = (1.0, 1.02, 0.98, 1.01, 0.99)
OWN_NOISE = (0.99, 1.0, 1.01, 0.98, 1.02)
LAUNCHES = len(NOISE)

STEADY_S = 10.0
SAMPLES = 21
"""Of the steady phase; see `synthetic.good_launch`."""
IDLE_W = 1.0
POWER_W = {Processor.CPU: 3.0, Processor.GPU: 4.5}
METERED = ("net_a", "net_c", "net_e", "net_g")
"""Networks with energy: litert on the host, on the CPU and the GPU."""
BATCHED, THREADED, RELEASED, LOADED = "net_b", "net_c", "net_d", "net_f"

UNSEEN = "unseen"
"""A network that was only predicted."""
UNSEEN_S, UNSEEN_REACH = 0.008, 1.4
PREDICTED_OFF = 1.2
"""Predictions of measured networks over what was measured."""
MISJUDGED, MISJUDGED_OFF = "net_a", 10.0
"""This network's latency in ncnn is predicted so much too high that litert looks faster."""

LONG_S, LONG_STEP = 150, 1.25
RATE_PER_S = 50.0
BESIDE = 1.5


def planted(network: str, engine: str, variant: str = "fp32") -> synthetic.PlantedModel:
    """The file of a network for an engine."""
    form = FORMATS[engine]
    return synthetic.PlantedModel(
        name=f"{network}_{variant}.{SUFFIXES[form]}",
        format=form,
        parameters=100_000,
        macs=round(NETWORKS.get(network, 4e8)),
        places=(("camera", f"assets/{network}_{variant}.{SUFFIXES[form]}"),),
        operators=(("Conv", "CONV_2D", 5),),
        weights_dtype="int8" if variant == "int8" else "float32",
        architecture=network,
    )


def job(
    network: str,
    engine: str,
    device: str = "host",
    variant: str = "fp32",
    version: str | None = None,
    **settings: object,
) -> Job:
    """An experiment."""
    model = planted(network, engine, variant)
    return replace(
        Job(
            model_sha256=model.sha256,
            format=model.format,
            engine=engine,
            engine_version=version or synthetic.VERSIONS[engine],
            device=device,
        ),
        **settings,  # type: ignore[arg-type]
    )


def ncnn_over_litert(network: str, device: str) -> float:
    """How much slower ncnn is."""
    first_half = list(NETWORKS).index(network) < len(NETWORKS) // 2
    return NCNN_FAST if first_half != (device == "adb:LOW" and first_half) else NCNN_SLOW


def base_s(network: str, engine: str = "litert", device: str = "host") -> float:
    """Latency of one thread on one sample in floats."""
    library = {
        "litert": 1.0,
        "onnxruntime": ONNXRUNTIME,
        "ncnn": ncnn_over_litert(network, device),
    }[engine]
    return NETWORKS[network] * S_PER_MAC * OFF_THE_LINE[network] * library * DEVICES[device]


def batch_factor(batch: int) -> float:
    """Latency of a batch over that of one sample: half of it is there once."""
    return 0.5 + 0.5 * batch


def experiments() -> dict[Job, float]:
    """Every experiment by itself with its latency before noise, in seconds."""
    found = {
        job(network, engine, device): base_s(network, engine, device)
        for network in NETWORKS
        for engine in FORMATS
        for device in DEVICES
    }
    for network in NETWORKS:
        found[job(network, "litert", variant="int8")] = INT8 * base_s(network)
    for threads, factor in THREADS.items():
        found[job(THREADED, "litert", threads=threads)] = factor * base_s(THREADED)
    pinned = job(THREADED, "litert", threads=4, affinity="2-3")
    found[pinned] = PINNED * base_s(THREADED)
    for batch in BATCHES:
        level_s = batch_factor(batch) * base_s(BATCHED, "onnxruntime")
        found[job(BATCHED, "onnxruntime", batch=batch)] = level_s
    for network in METERED:
        found[job(network, "litert", processor=Processor.GPU)] = GPU * base_s(network)
    for version, factor in OLD_RELEASES.items():
        found[job(RELEASED, "litert", version=version)] = factor * base_s(RELEASED)
    return found


def study(path: Path) -> Study:
    """The planted study."""
    made = Study.create(path)
    files = [
        planted(network, engine, variant)
        for network in NETWORKS
        for engine in FORMATS
        for variant in (("fp32", "int8") if engine == "litert" else ("fp32",))
    ]
    files.append(planted(UNSEEN, "litert"))
    made.write([*synthetic.app_rows(), *(row for file in files for row in _file_rows(file))])
    rows: list[Record] = [*_environments(), *_labels()]
    for place, (planned, level_s) in enumerate(experiments().items()):
        rows.append(JobRecord(job_sha256=planned.job_sha256, job=planned, launches=LAUNCHES))
        noise = OWN_NOISE if planned.engine == "onnxruntime" else NOISE
        for launch, factor in enumerate(noise):
            run = _run(planned, launch, level_s * factor, place)
            if any(planned == job(n, "litert", processor=p) for n in METERED for p in POWER_W):
                run = _stamped(run)
                trace = _trace(planned.processor)
                record = put_trace(made.blobs, trace, job_sha256=planned.job_sha256, launch=launch)
                rows.append(_with_idle(record))
            rows.append(run)
    rows += [*_loads(), *_predictions()]
    profiled = job("net_a", "litert").job_sha256
    rows += synthetic.operator_rows(profiled, (("CONV_2D", 4.0), ("ADD", 1.0)))
    made.write(rows)
    return made


def _file_rows(file: synthetic.PlantedModel) -> list[Record]:
    network, _, rest = file.name.rpartition("_")
    variant = rest.partition(".")[0]
    rows = [
        replace(row, task=Task.SEGMENTATION, modality=Modality.VISION)
        if isinstance(row, ModelRecord)
        else row
        for row in synthetic.model_rows(file)
    ]
    build: ZooBuild = replace(
        synthetic.ACCEPTED_BUILD,
        build_sha256=synthetic.sha(f"build of {file.name}"),
        model=network,
        format=file.format,
        variant=variant,
        files=(BuiltFile(name=file.name, sha256=file.sha256, size_bytes=1),),
        agreements=(),
    )
    return [*rows, build]


def _environments() -> list[Environment]:
    return [
        replace(
            synthetic.ENVIRONMENT, environment_sha256=synthetic.sha(f"on {device}"), device=device
        )
        for device in DEVICES
    ]


def _labels() -> list[DeviceLabel]:
    return [
        DeviceLabel(device=device, name=name, value=value, given_at=given_at)
        for device, values in LABELS.items()
        for name, value in zip(("tier", "generation"), values, strict=True)
        for given_at, value in (("2026-01-01", "a slip"), ("2026-01-02", value))
    ]


def _run(planned: Job, launch: int, median_s: float, place: int) -> Run:
    run = synthetic.good_launch(planned, launch, median_s)
    assert run.timings is not None
    begin = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=launch, seconds=20 * place)
    return replace(
        run,
        started_at=begin.isoformat(),
        environment_sha256=synthetic.sha(f"on {planned.device}"),
        timings=replace(
            run.timings,
            observed_processor=planned.processor,
            process_cpu_s=planned.threads * sum(run.timings.steady_s),
        ),
    )


def _stamped(run: Run) -> Run:
    """With a steady phase from 10 to 20 s of a clock whose zero is the trace's 1,000 s."""
    assert run.timings is not None
    assert len(run.timings.steady_s) == SAMPLES
    steady = PhaseStamp(name="steady", begin_s=10.0, end_s=10.0 + STEADY_S, cpu_s=1.0)
    return replace(
        run,
        clock_offset_s=0.0,
        timings=replace(run.timings, stamps=(steady,), clock_monotonic_s=1000.0),
    )


def _trace(processor: Processor) -> Trace:
    t_s = np.arange(9500, 10701) / 10.0
    busy = (t_s >= 1009.0) & (t_s <= 1021.0)
    return Trace(
        rail="battery",
        t_s=t_s,
        watts=np.where(busy, POWER_W[processor], IDLE_W),
        source="planted meter",
        rate_hz=10.0,
    )


def _with_idle(record: Record) -> Record:
    return replace(  # type: ignore[type-var, return-value]
        record,  # type: ignore[arg-type]
        idle_before_begin_s=960.0,
        idle_before_end_s=1000.0,
        idle_after_begin_s=1025.0,
        idle_after_end_s=1065.0,
    )


def _predictions() -> list[PredictedLatency]:
    """Of measured networks in two libraries on two devices, and of one that was not measured."""
    unseen = _predicted(UNSEEN, "litert", "host", UNSEEN_S, None)
    rows = [replace(unseen, outside=True), replace(unseen, latency_s=1.0, predicted_at="2025")]
    for network in NETWORKS:
        for engine in ("litert", "ncnn"):
            for device in ("host", "adb:LOW"):
                measured_s = base_s(network, engine, device)
                off = MISJUDGED_OFF if (network, engine) == (MISJUDGED, "ncnn") else PREDICTED_OFF
                rows.append(_predicted(network, engine, device, off * measured_s, measured_s))
    return rows


def _predicted(
    network: str, engine: str, device: str, latency_s: float, measured_s: float | None
) -> PredictedLatency:
    return PredictedLatency(
        model_sha256=planted(network, engine).sha256,
        engine=engine,
        engine_version=synthetic.VERSIONS[engine],
        device=device,
        processor=Processor.CPU,
        precision=Precision.AS_STORED,
        threads=1,
        affinity="",
        latency_s=latency_s,
        low_s=latency_s / UNSEEN_REACH,
        high_s=latency_s * UNSEEN_REACH,
        level=0.9,
        measured_s=measured_s,
        outside=False,
        law="parts",
        error_factor=PREDICTED_OFF,
        error_low=1.1,
        error_high=1.3,
        baseline_factor=1.5,
        examples=len(NETWORKS),
        architectures=len(NETWORKS),
        predicted_at="2026-01-01T00:00:00+00:00",
    )


def _loads() -> list[Record]:
    """A long run that slows down after a minute, one at a rate, one beside another model."""
    alone = job(LOADED, "litert")
    other = job("net_a", "onnxruntime")
    long_ = replace(alone, steady_minimum_s=float(LONG_S))
    rated = replace(alone, rate_per_s=RATE_PER_S, steady_minimum_s=0.1, steady_minimum_count=6)
    beside = replace(alone, companion=f"{other.model_sha256}@onnxruntime=={other.engine_version}")
    starts = tuple(0.5 * n for n in range(2 * LONG_S))
    curve = tuple(0.01 * (1.0 if start < 60 else LONG_STEP) for start in starts)
    due = tuple(0.02 * n for n in range(6))
    begun = (0.0, 0.02, 0.04, 0.07, 0.08, 0.10)
    serving = (0.005, 0.005, 0.03, 0.005, 0.005, 0.005)
    timings: dict[Job, dict[str, object]] = {
        long_: {"steady_s": curve, "steady_start_s": starts},
        rated: {"steady_s": serving, "steady_start_s": begun, "steady_due_s": due},
        beside: {},
    }
    rows: list[Record] = []
    for place, (planned, more) in enumerate(timings.items(), start=150):
        rows.append(JobRecord(job_sha256=planned.job_sha256, job=planned, launches=LAUNCHES))
        for launch, noise in enumerate(NOISE):
            run = _run(planned, launch, BESIDE * noise * base_s(LOADED), place)
            assert run.timings is not None
            rows.append(replace(run, timings=replace(run.timings, **more)))  # type: ignore[arg-type]
    return rows
