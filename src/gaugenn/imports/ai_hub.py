"""What Qualcomm AI Hub says of a model: the profile of a job as JSON, or the `perf.yaml` of a model.

A profile has every sample, the load with an empty and a filled cache, and the unit that computed each
layer. A `perf.yaml` has one number for each device and runtime. What was asked for is not stated, so
the processor is the one that computed most layers, and others are noted.
"""

import importlib
from collections import Counter
from collections.abc import Iterator

from gaugenn.engines._native import LoggedRun, timings
from gaugenn.errors import FormatError, MissingToolError
from gaugenn.imports import ImportForm, LogFile, _values
from gaugenn.records import Processor

TOOL = "Qualcomm AI Hub"
_PROCESSORS = {"CPU": Processor.CPU, "GPU": Processor.GPU, "NPU": Processor.NPU}
_MICRO, _MILLI = 1e-6, 1e-3
_RUNTIMES = {"tflite": "litert", "onnx": "onnxruntime", "qnn": "qnn", "dlc": "qnn", "binary": "qnn"}
"""Libraries by the last word of its runtimes' names, such as `torchscript_onnx_tflite`."""
DEPTH = 12
_YAML_BYTES = 8 << 20


class AiHubProfile(ImportForm):
    """Profiles and performance tables."""

    title = "Qualcomm AI Hub"
    spec = "https://workbench.aihub.qualcomm.com/docs/hub/profile_examples.html"

    def recognises(self, file: LogFile) -> bool:
        """By names of their own."""
        if _values.starts_json(file.text):
            return '"execution_summary"' in file.text
        return "performance_metrics:" in file.text and "inference_time" in file.text

    def read(self, file: LogFile) -> tuple[LoggedRun, ...]:
        """One run a profile, or a device and runtime of a table."""
        if _values.starts_json(file.text):
            return (_profile(_values.child(_values.load_json(file.text))),)
        return tuple(_table(_load_yaml(file.text)))


def _profile(whole: _values.Object) -> LoggedRun:
    summary = _values.child(whole, "execution_summary")
    samples = _values.numbers(summary.get("all_inference_times"), _MICRO)
    estimate = _values.number(summary.get("estimated_inference_time"), _MICRO)
    aggregate = None if samples else _values.aggregate(mean_s=estimate)
    if not samples and aggregate is None:
        raise FormatError("the profile has no inference time")
    units = Counter(
        _values.text(_values.child(layer).get("compute_unit"))
        for layer in _values.items(whole.get("execution_detail"))
    )
    peak = summary.get("estimated_inference_peak_memory", summary.get("peak_memory_bytes"))
    processor = _most(units)
    loads = ("first_load_time", "warm_load_time", "compile_time")
    return LoggedRun(
        engine="unknown",
        tool=TOOL,
        processor=processor,
        stated=tuple((n, _values.text(summary[n])) for n in loads if _values.text(summary.get(n))),
        timings=timings(
            phases="load+prepare",
            load_s=_values.number(summary.get("first_load_time"), _MICRO),
            samples_s=samples,
            aggregate=aggregate,
            peak_memory_bytes=_values.count(peak) or None,
            observed_processor=None if processor is Processor.UNKNOWN else processor,
            notes=_placement(units),
        ),
    )


def _table(whole: object) -> Iterator[LoggedRun]:
    """Today's tables are nested: precision, component, device, runtime; older ones are lists."""
    for precision, inside in _values.child(whole, "precisions").items():
        for model, component in _values.child(inside, "components").items():
            metrics = _values.child(component, "performance_metrics")
            for device, runtimes in metrics.items():
                for runtime, row in _values.child(runtimes).items():
                    yield from _row(model, device, runtime, precision, _values.child(row))
    for entry in _values.items(_values.child(whole).get("models")):
        model = _values.text(_values.child(entry).get("name"))
        for metric in _values.items(_values.child(entry).get("performance_metrics")):
            about = _values.child(metric)
            device = _values.text(_values.child(about, "reference_device_info").get("name"))
            for runtime, row in about.items():
                yield from _row(model, device, runtime, "", _values.child(row))


def _row(
    model: str, device: str, runtime: str, precision: str, row: _values.Object
) -> Iterator[LoggedRun]:
    """A row with a time; the older form's is in microseconds."""
    seconds = _values.number(row.get("inference_time_milliseconds"), _MILLI)
    if seconds is None:
        seconds = _values.number(row.get("inference_time"), _MICRO)
    if seconds is None:
        return
    layers = {**_values.child(row, "layer_info"), **_values.child(row, "layer_counts")}
    units = Counter(
        {
            u: _values.count(layers.get(u.lower(), layers.get(f"layers_on_{u.lower()}")))
            for u in _PROCESSORS
        }
    )
    primary = _values.text(row.get("primary_compute_unit")).upper()
    processor = _PROCESSORS.get(primary) or _most(units)
    versions = _values.child(row, "tool_versions")
    engine = _RUNTIMES.get(runtime.rpartition("_")[2], runtime[:100])
    stated = [("runtime", runtime[:100]), ("job_id", _values.text(row.get("job_id")))]
    if precision:
        stated.append(("precision", precision[:100]))
    yield LoggedRun(
        engine=engine or "unknown",
        engine_version=next(
            (v for n in versions if (v := _values.text(versions[n])) and n in runtime), ""
        ),
        tool=TOOL,
        model=model[: _values.TEXT_CHARACTERS],
        device=device[: _values.TEXT_CHARACTERS],
        processor=processor,
        precision=precision[:100],
        stated=tuple(pair for pair in stated if pair[1]),
        timings=timings(
            phases="none",
            aggregate=_values.aggregate(mean_s=seconds),
            observed_processor=None if processor is Processor.UNKNOWN else processor,
            notes=_placement(units),
        ),
    )


def _most(units: Counter[str]) -> Processor:
    """The unit of most layers; of as many, the more special one."""
    known = [unit for unit in reversed(_PROCESSORS) if units[unit] > 0]
    return _PROCESSORS[max(known, key=lambda u: units[u])] if known else Processor.UNKNOWN


def _placement(units: Counter[str]) -> tuple[str, ...]:
    """A note on where the layers ran, where they did not all run at one place."""
    known = [(unit, units[unit]) for unit in _PROCESSORS if units[unit] > 0]
    if len(known) < 2:
        return ()
    return ("layers: " + ", ".join(f"{n} on {unit.lower()}" for unit, n in known),)


def _load_yaml(text: str) -> object:
    """A YAML document of plain values.

    Raises:
        FormatError: it is none, is too large or too deep, or repeats parts by reference, by which a
            small file can become a large one.
        MissingToolError: PyYAML is not installed.
    """
    if len(text) > _YAML_BYTES:
        raise FormatError(f"a table of more than {_YAML_BYTES} bytes")
    if any(line.count("[") + line.count("{") > DEPTH for line in text.splitlines()):
        raise FormatError("nested too deeply")
    try:
        yaml = importlib.import_module("yaml")
    except ImportError:
        raise MissingToolError(
            "reading perf.yaml", "PyYAML", "pip install 'gaugenn[yaml]'"
        ) from None
    try:
        depth = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                raise FormatError("it repeats parts by reference")
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > DEPTH:
                raise FormatError("nested too deeply")
        value: object = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise FormatError(f"no YAML: {str(error)[:200]}") from error
    return value
