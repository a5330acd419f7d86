"""Logs of MLPerf's LoadGen: the summary, or the detail with its `:::MLLOG` lines. Give one of the two.

Only scenarios that measure latency have one: a single stream, and multiple streams, where it is that of
a whole query. What was valid for MLPerf is stated with the run; it is no verdict of ours.
"""

import re

from gaugenn.engines._native import LoggedRun, timings
from gaugenn.errors import FormatError
from gaugenn.imports import ImportForm, LogFile, _values

_MARK = ":::MLLOG "
_TITLE = "MLPerf Results Summary"
_PAIR = re.compile(r"(?m)^([A-Za-z0-9][A-Za-z0-9./ _()-]{0,60}?) *: ([^\n]{1,300})$")
_PERCENTILE = re.compile(r"(?:result_)?(\d{1,2}\.\d{1,2})(?:_| )percentile(?:_| )latency")
_PERCENTILE_OF_TEST = re.compile(r"(\d{1,2}(?:\.\d+)?)th percentile latency \(ns\)")
_NANO = 1e-9
TOOL = "MLPerf LoadGen"
_STATED = (
    *("result_validity", "effective_scenario", "effective_test_mode", "qsl_name"),
    *("loadgen_version", "Scenario", "Mode", "Result is"),
)


class MlperfLog(ImportForm):
    """`mlperf_log_summary.txt` and `mlperf_log_detail.txt`."""

    title = "MLPerf log"
    spec = "https://github.com/mlcommons/inference/blob/master/loadgen/README.md"

    def recognises(self, file: LogFile) -> bool:
        """By the mark of its lines, or the title of the summary."""
        return _MARK in file.head or _TITLE in file.head

    def read(self, file: LogFile) -> tuple[LoggedRun, ...]:
        """One run a log; of a log of several, such as our own export, one each."""
        if _MARK in file.head:
            return tuple(
                _detail(key, values) for key, values in _lines(file).items() if _has_latency(values)
            )
        return (_summary(file),)


def _lines(file: LogFile) -> dict[tuple[str, str], dict[str, object]]:
    """Keys and values of each run's lines; what a line's metadata names tells runs apart."""
    found: dict[tuple[str, str], dict[str, object]] = {}
    for line in file.text.splitlines():
        place = line.find(_MARK)
        if place < 0:
            continue
        record = _values.load_json(line[place + len(_MARK) :])
        about = _values.child(record, "metadata")
        run = (_values.text(about.get("experiment")), _values.text(about.get("launch")))
        values = _values.child(record)
        found.setdefault(run, {})[_values.text(values.get("key"))] = values.get("value")
    return found


def _has_latency(values: dict[str, object]) -> bool:
    if any(key.startswith("result_") and "latency_ns" in key for key in values):
        return True
    scenario = _values.text(values.get("effective_scenario"))
    if scenario in ("Offline", "Server"):
        raise FormatError(f"the scenario {scenario} states no latency of an inference by itself")
    return False


def _detail(key: tuple[str, str], values: dict[str, object]) -> LoggedRun:
    quantiles = {
        round(float(found[1]) / 100, 6): _values.number(value, _NANO)
        for name, value in values.items()
        if (found := _PERCENTILE.match(name)) is not None
    }
    aggregate = _values.aggregate(
        mean_s=_values.number(values.get("result_mean_latency_ns"), _NANO),
        count=_values.count(values.get("result_query_count")),
        minimum_s=_values.number(values.get("result_min_latency_ns"), _NANO),
        maximum_s=_values.number(values.get("result_max_latency_ns"), _NANO),
        quantiles=quantiles,
    )
    if aggregate is None:
        raise FormatError("the log states neither a mean nor a percentile of latencies")
    return LoggedRun(
        engine=_values.text(values.get("sut_name")) or "unknown",
        tool=TOOL,
        model=key[0],
        started_at=_values.text(values.get("test_datetime")),
        stated=tuple((n, _values.text(values[n])) for n in _STATED if n in values),
        timings=timings(phases="none", aggregate=aggregate),
    )


def _summary(file: LogFile) -> LoggedRun:
    values = {name.strip(): value.strip() for name, value in _PAIR.findall(file.text)}
    quantiles: dict[float, float | None] = {}
    for name, value in values.items():
        found = _PERCENTILE.match(name) or _PERCENTILE_OF_TEST.match(name)
        if found is not None:
            quantiles[round(float(found[1]) / 100, 6)] = _values.number(value, _NANO)
    aggregate = _values.aggregate(
        mean_s=_values.number(values.get("Mean latency (ns)"), _NANO),
        minimum_s=_values.number(values.get("Min latency (ns)"), _NANO),
        maximum_s=_values.number(values.get("Max latency (ns)"), _NANO),
        quantiles=quantiles,
    )
    if aggregate is None:
        scenario = values.get("Scenario", "unknown")
        raise FormatError(f"the summary of the scenario {scenario} states no latencies")
    return LoggedRun(
        engine=_values.text(values.get("SUT name")) or "unknown",
        tool=TOOL,
        stated=tuple((n, values[n]) for n in _STATED if n in values),
        timings=timings(phases="none", aggregate=aggregate),
    )
