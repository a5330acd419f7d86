"""pyperf's JSON: a benchmark an experiment, a run a launch, its values the samples."""

from gaugenn.engines._native import LoggedRun, timings
from gaugenn.errors import FormatError
from gaugenn.imports import ImportForm, LogFile, _values

_STATED = ("cpu_model_name", "platform", "python_version", "cpu_count", "unit", "loops")


class PyperfSuite(ImportForm):
    """Version 1.0 of the file format."""

    title = "pyperf"
    spec = "https://pyperf.readthedocs.io/en/latest/api.html"

    def recognises(self, file: LogFile) -> bool:
        """By its names."""
        names = ('"benchmarks"', '"runs"', '"version"')
        return _values.starts_json(file.text) and all(name in file.text for name in names)

    def read(self, file: LogFile) -> tuple[LoggedRun, ...]:
        """One run of each benchmark a launch; runs that only calibrate have no values."""
        whole = _values.child(_values.load_json(file.text))
        shared = _values.child(whole, "metadata")
        runs = []
        for benchmark in _values.items(whole.get("benchmarks")):
            about = {**shared, **_values.child(benchmark, "metadata")}
            unit = _values.text(about.get("unit")) or "second"
            if unit != "second":
                raise FormatError(f"its values are in the unit {unit!r}, not times")
            for run in _values.items(_values.child(benchmark).get("runs")):
                inside = _values.child(run)
                samples = _values.numbers(inside.get("values"))
                if samples:
                    runs.append(_run({**about, **_values.child(inside, "metadata")}, samples))
        return tuple(runs)


def _run(about: _values.Object, samples: list[float]) -> LoggedRun:
    return LoggedRun(
        engine="unknown",
        tool="pyperf",
        model=_values.text(about.get("name")),
        device=_values.text(about.get("hostname")),
        started_at=_values.text(about.get("date")),
        stated=tuple((n, _values.text(about[n])) for n in _STATED if n in about),
        timings=timings(
            phases="none",
            samples_s=samples,
            peak_memory_bytes=_values.count(about.get("mem_max_rss")) or None,
        ),
    )
