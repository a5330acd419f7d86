"""google-benchmark's JSON: a repetition a launch, of which it keeps the mean over its iterations."""

from gaugenn.engines._native import LoggedRun, timings
from gaugenn.errors import FormatError
from gaugenn.imports import ImportForm, LogFile, _values

_UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}
_STATED = ("num_cpus", "mhz_per_cpu", "cpu_scaling_enabled", "library_build_type", "executable")


class GoogleBenchmarkReport(ImportForm):
    """What `--benchmark_out_format=json` writes."""

    title = "google-benchmark"
    spec = "https://google.github.io/benchmark/user_guide.html#output-formats"

    def recognises(self, file: LogFile) -> bool:
        """By its names."""
        names = ('"benchmarks"', '"real_time"', '"context"')
        return _values.starts_json(file.text) and all(name in file.text for name in names)

    def read(self, file: LogFile) -> tuple[LoggedRun, ...]:
        """One run a repetition; aggregates over repetitions and what failed are passed over."""
        whole = _values.child(_values.load_json(file.text))
        context = _values.child(whole, "context")
        return tuple(
            _run(context, row)
            for row in map(_values.child, _values.items(whole.get("benchmarks")))
            if row.get("run_type", "iteration") == "iteration" and not row.get("error_occurred")
        )


def _run(context: _values.Object, row: _values.Object) -> LoggedRun:
    unit = _values.text(row.get("time_unit")) or "ns"
    if unit not in _UNITS:
        raise FormatError(f"a time in the unknown unit {unit!r}")
    aggregate = _values.aggregate(
        mean_s=_values.number(row.get("real_time"), _UNITS[unit]),
        count=_values.count(row.get("iterations")),
    )
    if aggregate is None:
        raise FormatError("a repetition without a time")
    return LoggedRun(
        engine="unknown",
        tool="google-benchmark",
        model=_values.text(row.get("run_name") or row.get("name")),
        device=_values.text(context.get("host_name")),
        started_at=_values.text(context.get("date")),
        stated=tuple((n, _values.text(context[n])) for n in _STATED if n in context),
        timings=timings(phases="none", aggregate=aggregate),
    )
