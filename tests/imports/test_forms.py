"""Files of other programs: what is read of each, and what is no such file."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.formats import _protobuf_builder as protobuf

from gaugenn import imports
from gaugenn.engines._native import LoggedRun
from gaugenn.errors import EngineError, FormatError, LimitError, UsageError
from gaugenn.records import Processor, Statistic

FILES = Path(__file__).parent / "files"
"""Own runs: `mlperf_log_*` by LoadGen 6.0.17 from PyPI (`mlcommons-loadgen`) with a system under test
that sleeps for 2 ms; `litert_benchmark.json` by `ai_edge_litert.tools.benchmark_litert_model` of LiteRT
2.3.0. Everything else in this file is written after the documentation of each form."""
PROGRAMS = Path(__file__).parents[1] / "engines" / "native"
PROFILE = {
    "execution_summary": {
        "all_inference_times": [1600, 1500, 1700],
        "estimated_inference_time": 1500,
        "first_load_time": 250_000,
        "warm_load_time": 90_000,
        "estimated_inference_peak_memory": 38_809_600,
    },
    "execution_detail": [
        {"name": "conv1", "compute_unit": "NPU"},
        {"name": "conv2", "compute_unit": "NPU"},
        {"name": "softmax", "compute_unit": "CPU"},
    ],
}
TABLE = """
precisions:
  float:
    components:
      MobileNet-v2:
        performance_metrics:
          Samsung Galaxy S24:
            tflite:
              inference_time_milliseconds: 0.9
              primary_compute_unit: NPU
              layer_counts: {total: 72, npu: 72, gpu: 0, cpu: 0}
              job_id: jp123
              tool_versions:
                qairt: 2.40
                tflite: 2.17.0
            qnn_dlc:
              inference_time_milliseconds: null
              job_status: Failed
"""
OLD_TABLE = """
models:
- name: MobileNet-v2
  performance_metrics:
  - reference_device_info:
      name: Samsung Galaxy S23
      os: '13'
    torchscript_onnx_tflite:
      inference_time: 948.0
      primary_compute_unit: NPU
      layer_info: {layers_on_npu: 70, layers_on_gpu: 0, layers_on_cpu: 2, total_layers: 72}
"""


def only(name: str, data: bytes | str, form: str | None = None) -> tuple[str, LoggedRun]:
    raw = data if isinstance(data, bytes) else data.encode()
    found, (run,) = imports.read(name, raw, form)
    return found, run


def test_every_form_cites_its_documentation() -> None:
    forms = imports.forms()
    assert {"mlperf", "ai-hub", "benchmark-result", "benchncnn", "mace-run"} <= forms.keys()
    for name in ("mlperf", "ai-hub", "benchmark-result", "pyperf", "google-benchmark"):
        assert forms[name].spec.startswith("https://")
        assert forms[name].title


def test_mlperfs_detail_and_summary_say_the_same() -> None:
    form, detail = only("d", (FILES / "mlperf_log_detail.txt").read_bytes())
    assert form == "mlperf"
    _, summary = only("s", (FILES / "mlperf_log_summary.txt").read_bytes())
    for run in (detail, summary):
        assert run.engine == "PySUT"
        aggregate = run.timings.aggregate
        assert aggregate is not None
        assert (aggregate.statistic, aggregate.value_s) == (Statistic.MEDIAN, 2_186_772e-9)
        assert aggregate.mean_s == pytest.approx(2_542_297e-9)
        assert (aggregate.minimum_s, aggregate.maximum_s) == (2_153_111e-9, 6_856_634e-9)
        assert [q.share for q in aggregate.quantiles] == [0.5, 0.9, 0.95, 0.97, 0.99, 0.999]
        assert run.timings.observed_processor is None
    assert detail.timings.inferences == 64
    assert summary.timings.inferences is None
    assert detail.started_at == "2026-11-25T21:24:58Z"
    assert ("result_validity", "INVALID") in detail.stated
    assert ("Result is", "INVALID") in summary.stated


def test_a_scenario_without_latency_is_refused() -> None:
    text = (FILES / "mlperf_log_detail.txt").read_text().replace("SingleStream", "Offline")
    kept = "".join(li for li in text.splitlines(keepends=True) if "_latency_ns" not in li)
    with pytest.raises(FormatError, match="Offline states no latency"):
        imports.read("d", kept.encode())


def test_litert_benchmarks_json() -> None:
    form, run = only("x", (FILES / "litert_benchmark.json").read_bytes())
    assert (form, run.engine, run.model) == ("litert-benchmark", "litert", "automl_labeler_model")
    assert (run.processor, run.threads) == (Processor.CPU, 1)
    aggregate = run.timings.aggregate
    assert aggregate is not None
    assert (aggregate.statistic, aggregate.count) == (Statistic.MEDIAN, 20)
    assert aggregate.value_s == pytest.approx(0.00291)
    assert run.timings.load_s == pytest.approx(0.01005)
    gpu = (FILES / "litert_benchmark.json").read_text().replace('"CPU"', '"GPU"')
    _, half = only("x", gpu)
    assert (half.processor, half.timings.observed_processor) == (Processor.GPU, Processor.CPU)


def message() -> bytes:
    values = (12.5, 11.0, 20.0, 1.5, 12.0, 11.5, 14.0, 40.0, 30.0)
    latency = b"".join(protobuf.fixed32(n, value) for n, value in enumerate(values, 1))
    return (
        protobuf.block(1, b"mobilenet")
        + protobuf.block(2, latency)
        + protobuf.block(3, protobuf.fixed32(3, 42.5))
        + protobuf.block(4, protobuf.number(2, 50))
    )


def test_a_benchmark_result_is_read_as_message_and_as_json() -> None:
    snake = {
        "name": "mobilenet",
        "latency_metrics": {
            "avg_ms": 12.5,
            "min_ms": 11.0,
            "max_ms": 20.0,
            "stddev_ms": 1.5,
            "median_ms": 12.0,
            "p5_ms": 11.5,
            "p95_ms": 14.0,
            "init_ms": 40.0,
            "first_inference_ms": 30.0,
        },
        "memory_metrics": {"peak_mem_mb": 42.5},
        "misc_metrics": {"num_runs": 50},
    }
    camel = json.dumps(snake)
    for word in (*snake, *snake["latency_metrics"], "peak_mem_mb", "num_runs"):  # type: ignore[misc]
        first, *rest = str(word).split("_")
        camel = camel.replace(f'"{word}"', f'"{first}{"".join(p.capitalize() for p in rest)}"')
    for data in (message(), json.dumps(snake), json.dumps([snake]), camel):
        form, run = only("r.pb", data)
        assert (form, run.model) == ("benchmark-result", "mobilenet")
        aggregate = run.timings.aggregate
        assert aggregate is not None
        assert aggregate.value_s == pytest.approx(0.012)
        assert aggregate.mean_s == pytest.approx(0.0125)
        assert aggregate.count == 50
        assert run.timings.load_s == pytest.approx(0.04)
        assert run.timings.peak_memory_bytes == round(42.5 * 2**20)


def test_a_profile_of_ai_hub_keeps_every_sample_and_where_the_layers_ran() -> None:
    form, run = only("p.json", json.dumps(PROFILE))
    assert form == "ai-hub"
    assert run.timings.steady_s == pytest.approx((0.0016, 0.0015, 0.0017))
    assert run.timings.aggregate is None
    assert run.timings.load_s == pytest.approx(0.25)
    assert run.timings.peak_memory_bytes == 38_809_600
    assert run.processor is Processor.NPU
    assert run.timings.notes == ("layers: 1 on cpu, 2 on npu",)
    summary = {"estimated_inference_time": 1500}
    _, short = only("p.json", json.dumps({"execution_summary": summary}))
    assert short.timings.latency_s == pytest.approx(0.0015)
    assert short.processor is Processor.UNKNOWN


def test_performance_tables_of_ai_hub_are_a_run_a_device_and_runtime() -> None:
    form, run = only("perf.yaml", TABLE)
    assert (form, run.engine, run.engine_version) == ("ai-hub", "litert", "2.17.0")
    assert (run.model, run.device) == ("MobileNet-v2", "Samsung Galaxy S24")
    assert (run.processor, run.timings.notes) == (Processor.NPU, ())
    assert run.timings.latency_s == pytest.approx(0.0009)
    assert ("job_id", "jp123") in run.stated
    _, old = only("perf.yaml", OLD_TABLE)
    assert (old.engine, old.device) == ("litert", "Samsung Galaxy S23")
    assert old.timings.latency_s == pytest.approx(0.000948)
    assert old.timings.notes == ("layers: 2 on cpu, 70 on npu",)


def test_google_benchmarks_repetitions_in_their_own_unit() -> None:
    rows = [
        {
            "name": "m",
            "run_type": "iteration",
            "iterations": 9,
            "real_time": 2.5,
            "time_unit": "ms",
        },
        {"name": "m_mean", "run_type": "aggregate", "real_time": 2.5, "time_unit": "ms"},
        {"name": "bad", "run_type": "iteration", "error_occurred": True},
    ]
    context = {"date": "2026-01-01T00:00:00+00:00", "host_name": "pc", "num_cpus": 2}
    _, run = only("g.json", json.dumps({"context": context, "benchmarks": rows}))
    assert (run.model, run.device, run.timings.inferences) == ("m", "pc", 9)
    assert run.timings.latency_s == pytest.approx(0.0025)
    assert ("num_cpus", "2") in run.stated


def test_pyperfs_runs_are_launches_with_samples() -> None:
    suite = {
        "version": "1.0",
        "metadata": {"cpu_count": 2},
        "benchmarks": [
            {
                "metadata": {"name": "m", "unit": "second"},
                "runs": [{"warmups": [[1, 0.5]]}, {"values": [0.25, 0.5]}, {"values": [0.125]}],
            }
        ],
    }
    _, runs = imports.read("p.json", json.dumps(suite).encode())
    assert [run.timings.steady_s for run in runs] == [(0.25, 0.5), (0.125,)]
    memory = json.dumps(suite).replace('"second"', '"byte"')
    with pytest.raises(FormatError, match="'byte'"):
        imports.read("p.json", memory.encode())


HOSTILE = {
    "nothing": b"",
    "zeros": bytes(1000),
    "no form": b"hello\n",
    "deep": b"[" * 100_000,
    "deep after a name": b'{"execution_summary": ' + b"[" * 100_000,
    "not a number": b'{"execution_summary": {"estimated_inference_time": NaN}}',
    "infinite": b'{"execution_summary": {"estimated_inference_time": 1e999}}',
    "huge": b'{"execution_summary": {"estimated_inference_time": ' + b"9" * 5000 + b"}}",
    "negative": b'{"execution_summary": {"estimated_inference_time": -5}}',
    "zero": b'{"execution_summary": {"estimated_inference_time": 0}}',
    "texts for samples": b'{"execution_summary": {"all_inference_times": [1, "x"]}}',
    "other types": b'{"execution_summary": [], "execution_detail": {"a": 1}}',
    "cut line": b':::MLLOG {"key": "result_mean_latency_ns", "val',
    "list for a line": b":::MLLOG [1, 2]\n",
    "aliases": b"performance_metrics:\n  a: &a [1]\n  inference_time: *a\n",
    "deep yaml": b"performance_metrics: inference_time\n" + b"- " * 5000 + b"\n",
    "flow yaml": b"performance_metrics:\n inference_time: " + b"{a: " * 500 + b"\n",
    "code in yaml": b"performance_metrics: !!python/object/apply:os.system [inference_time]\n",
    "zero time": b"  x  min =    0.00  max =    0.00  avg =    0.00\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_have_a_reason_and_no_run(name: str) -> None:
    with pytest.raises((FormatError, EngineError)) as caught:
        imports.read(name, HOSTILE[name])
    assert len(str(caught.value)) < 2000


def test_sizes_are_bounded() -> None:
    with pytest.raises(LimitError, match="at most"):
        imports.read("large", bytes(imports.MAXIMUM_BYTES + 1))
    line = "  m  min =    1.00  max =    1.00  avg =    1.00\n"
    with pytest.raises(LimitError, match="10001 runs"):
        imports.read("many", (line * 10_001).encode())


def test_a_form_can_be_named_and_must_exist() -> None:
    with pytest.raises(UsageError, match="there are: ai-hub"):
        imports.read("x", b"", "nothing")
    with pytest.raises(FormatError):
        imports.read("x", b"hello", "mlperf")
    both = (PROGRAMS / "benchncnn.txt").read_text() + (PROGRAMS / "mace_run.txt").read_text()
    with pytest.raises(FormatError, match="--as: benchncnn, mace-run"):
        imports.read("x", both.encode())
    assert imports.read("x", both.encode(), "mace-run")[0] == "mace-run"


SAMPLES = [
    message(),
    json.dumps(PROFILE).encode(),
    TABLE.encode(),
    (FILES / "litert_benchmark.json").read_bytes(),
    (FILES / "mlperf_log_summary.txt").read_bytes(),
]


@settings(max_examples=200, deadline=None)
@given(
    sample=st.sampled_from(SAMPLES),
    place=st.floats(0, 1),
    junk=st.binary(max_size=8),
    dropped=st.integers(0, 30),
)
def test_damaged_files_are_read_or_refused_but_never_break(
    sample: bytes, place: float, junk: bytes, dropped: int
) -> None:
    at = int(place * len(sample))
    try:
        _, runs = imports.read("x", sample[:at] + junk + sample[at + dropped :])
    except (FormatError, EngineError, LimitError):
        return
    assert all((run.timings.latency_s or 0) > 0 for run in runs)
