"""What two experiments must share before their numbers mean the same.

Only what changes the number belongs here: the device and its system, its settings and state, what was
observed to compute, and what lies inside the timed region.
"""

from collections.abc import Iterable, Sequence

from gaugenn.records import Environment, JobRecord, Reading, Run

IMPLIED = {
    "model": ("input_sha256",),
    "batch": ("input_sha256",),
    "input_shapes": ("input_sha256",),
    "threads": ("observed_threads",),
    "precision": ("observed_precision",),
    "processor": ("observed_processor",),
    "device": (
        *("device_kind", "operating_system", "kernel", "architecture", "processor_model"),
        *("logical_cores", "memory_bytes", "maximum_frequency_hz", "governor"),
    ),
}
"""Conditions that differ as a matter of course where a setting is what is compared."""


def conditions(
    record: JobRecord, runs: Sequence[Run], environments: Iterable[Environment]
) -> dict[str, str]:
    """Condition -> value, for everything that is known about one experiment.

    Several values are joined; what was not recorded is left out.

    Args:
        record: the job.
        runs: its launches that ended well.
        environments: those that they ran on.
    """
    found: dict[str, set[str]] = {}

    def note(name: str, value: object) -> None:
        if value is not None:
            found.setdefault(name, set()).add(str(value))

    for place in environments:
        for name in (
            *("device_kind", "operating_system", "kernel", "architecture", "processor_model"),
            *("logical_cores", "memory_bytes", "maximum_frequency_hz", "governor"),
        ):
            note(name, getattr(place, name))
        for reading in place.readings:
            note(_name(reading), _value(reading))
    semantics = record.timing_semantics
    if semantics is not None:
        note("real_weights", semantics.real_weights)
        note("input_preparation_timed", semantics.input_preparation_timed)
        note("output_copy_timed", semantics.output_copy_timed)
    note("measured_by", "gaugenn" if record.imported is None else record.imported.tool)
    if record.imported is not None:
        for variable in record.imported.stated:
            note(f"stated {variable.name}", variable.value)
    for run in runs:
        for reading in run.before:
            if reading.key in ("battery_state", "screen", "thermal_status"):
                note(_name(reading), _value(reading))
        if run.timings is not None:
            note("observed_processor", run.timings.observed_processor)
            note("observed_precision", run.timings.observed_precision)
            note("observed_threads", run.timings.observed_threads)
            note("input_sha256", run.timings.input_sha256)
            aggregate = run.timings.aggregate
            note("statistic", "median" if aggregate is None else aggregate.statistic)
    return {name: " / ".join(sorted(values)) for name, values in found.items()}


def _name(reading: Reading) -> str:
    return f"{reading.key} {reading.instance}".strip()


def _value(reading: Reading) -> str | None:
    return reading.text if reading.number is None else f"{reading.number:g}"
