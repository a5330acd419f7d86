"""The study's tables and views, with what only Python can derive from them beside."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import duckdb
import pyarrow as pa

from gaugenn.analysis.energy import Quantity
from gaugenn.analysis.launch_energy import PhaseEnergy, phase_energies
from gaugenn.analysis.verdict import verdicts
from gaugenn.records import Environment, JobRecord, ModelRecord, Run, TraceRecord
from gaugenn.store import Study, read_trace

_VERDICTS = pa.schema(
    [("job_sha256", pa.string()), ("validity", pa.string()), ("reasons", pa.list_(pa.string()))]
)

_COLUMNS: tuple[tuple[pa.DataType, tuple[str, ...]], ...] = (
    (pa.string(), ("job_sha256", "source", "rail", "phase", "reason", "net_reason")),
    (pa.int64(), ("launch", "inferences", "gaps")),
    (pa.float64(), ("duration_s", "gap_s", "power_w", "baseline_w")),
    (pa.float64(), ("gross_j", "gross_low_j", "gross_high_j")),
    (pa.float64(), ("net_j", "net_low_j", "net_high_j")),
)
_ENERGIES = pa.schema([(name, kind) for kind, names in _COLUMNS for name in names])


@contextmanager
def connect(study: Study) -> Iterator[duckdb.DuckDBPyConnection]:
    """`Study.connect` with two more relations.

    `verdicts` (job_sha256, validity, reasons), and `energies`: a phase of a launch on a rail.
    """
    judged = verdicts(
        study.rows(JobRecord), study.rows(Run), study.rows(Environment), study.rows(ModelRecord)
    )
    rows = [
        {"job_sha256": job, "validity": verdict.validity.value, "reasons": list(verdict.reasons)}
        for job, verdict in judged.items()
    ]
    measured = study.rows(TraceRecord)
    runs = study.rows(Run) if measured else []
    energies = phase_energies(runs, measured, partial(read_trace, study.blobs))
    with study.connect() as connection:
        connection.register("verdicts", pa.Table.from_pylist(rows, schema=_VERDICTS))
        connection.register(
            "energies", pa.Table.from_pylist([_energy(e) for e in energies], schema=_ENERGIES)
        )
        yield connection


def _energy(phase: PhaseEnergy) -> dict[str, object]:
    row: dict[str, object] = {
        name: getattr(phase, name)
        for name in (
            *("job_sha256", "launch", "source", "rail", "phase"),
            *("duration_s", "inferences", "reason"),
        )
    }
    found = phase.energy
    if found is None:
        return row
    return {
        **row,
        "gaps": found.integral.gaps,
        "gap_s": found.integral.gap_s,
        "power_w": found.integral.power_w,
        "baseline_w": found.baseline_w,
        "net_reason": found.net_reason,
        **_ends("gross", found.gross_j),
        **_ends("net", found.net_j),
    }


def _ends(name: str, quantity: Quantity | None) -> dict[str, float | None]:
    if quantity is None:
        return {}
    return {
        f"{name}_j": quantity.value,
        f"{name}_low_j": quantity.low,
        f"{name}_high_j": quantity.high,
    }
