"""The study's tables and views, with what only Python can derive from them beside."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

import duckdb
import pyarrow as pa

from gaugenn.analysis.energy import Quantity
from gaugenn.analysis.launch_energy import PhaseEnergy, phase_energies
from gaugenn.analysis.loads import rate_launches, side_by_side, sustained_launches
from gaugenn.analysis.verdict import verdicts
from gaugenn.records import Environment, JobRecord, ModelRecord, Run, TraceRecord
from gaugenn.store import Study, read_rows, read_trace

Schema = Mapping[str, pa.DataType]

_VERDICTS: Schema = {
    "job_sha256": pa.string(),
    "validity": pa.string(),
    "reasons": pa.list_(pa.string()),
}
_SUSTAINED: Schema = {
    "job_sha256": pa.string(),
    "launch": pa.int64(),
    "duration_s": pa.float64(),
    "first_minute_s": pa.float64(),
    "steady_s": pa.float64(),
    "degradation": pa.float64(),
    "throttled_after_s": pa.float64(),
    "rank_first_minute": pa.int64(),
    "rank_end": pa.int64(),
    "windows_begin_s": pa.list_(pa.float64()),
    "windows_level_s": pa.list_(pa.float64()),
}
_RATES: Schema = {
    "job_sha256": pa.string(),
    "launch": pa.int64(),
    "rate_per_s": pa.float64(),
    "due": pa.int64(),
    "served": pa.int64(),
    "missed": pa.int64(),
    "service_s": pa.float64(),
    "response_s": pa.float64(),
    "response_p95_s": pa.float64(),
    "response_p99_s": pa.float64(),
    "lateness_s": pa.float64(),
    "keeps_up": pa.bool_(),
}
_BESIDE: Schema = {
    "job_sha256": pa.string(),
    "alone_sha256": pa.string(),
    "beside": pa.string(),
    "beside_engine": pa.string(),
    "launches": pa.int64(),
    "slowdown": pa.float64(),
    "slowdown_low": pa.float64(),
    "slowdown_high": pa.float64(),
    "pairs": pa.int64(),
    "launches_alone": pa.int64(),
}


Rows = list[dict[str, object]]

_ENERGIES: Schema = {
    **dict.fromkeys(("job_sha256", "source", "rail", "phase", "reason", "net_reason"), pa.string()),
    **dict.fromkeys(("launch", "inferences", "gaps"), pa.int64()),
    **dict.fromkeys(("duration_s", "gap_s", "power_w", "baseline_w"), pa.float64()),
    **dict.fromkeys(("gross_j", "gross_low_j", "gross_high_j"), pa.float64()),
    **dict.fromkeys(("net_j", "net_low_j", "net_high_j"), pa.float64()),
}


RELATIONS: Mapping[str, Schema] = {
    "verdicts": _VERDICTS,
    "sustained_launches": _SUSTAINED,
    "rate_launches": _RATES,
    "side_by_side": _BESIDE,
    "energies": _ENERGIES,
}
"""The relations that `connect` adds, with their columns."""


@contextmanager
def connect(
    study: Study,
    derived: Collection[str] = tuple(RELATIONS),
    settings: Mapping[str, str] | None = None,
) -> Iterator[duckdb.DuckDBPyConnection]:
    """`Study.connect` with more relations, all keyed by `job_sha256`.

    `verdicts`, what special loads show (`sustained_launches`, `rate_launches`, `side_by_side`), and
    `energies`: a phase of a launch on a rail.

    Args:
        study: to read.
        derived: which of them; the others are not there. Only what is asked for is computed, and
            energies are dear: they read every trace.
        settings: see `Study.connect`.
    """
    with study.connect(settings) as connection:
        records = read_rows(connection, JobRecord) if derived else []
        runs = read_rows(connection, Run) if derived else []
        names: dict[str, str] = dict(
            connection.execute("SELECT model_sha256, name FROM model_names").fetchall()
        )
        ways: dict[str, Callable[[], Rows]] = {
            "verdicts": lambda: _judged(connection, records, runs),
            "sustained_launches": lambda: _sustained(records, runs, names),
            "rate_launches": lambda: _rates(records, runs, names),
            "side_by_side": lambda: _beside(records, runs, names),
            "energies": lambda: _energies(study, connection, runs),
        }
        for name in RELATIONS:
            if name in derived:
                schema = pa.schema(RELATIONS[name])
                connection.register(name, pa.Table.from_pylist(ways[name](), schema=schema))
        yield connection


def _judged(
    connection: duckdb.DuckDBPyConnection, records: Sequence[JobRecord], runs: Sequence[Run]
) -> Rows:
    environments = read_rows(connection, Environment)
    found = verdicts(records, runs, environments, read_rows(connection, ModelRecord))
    return [
        {"job_sha256": job, "validity": v.validity.value, "reasons": list(v.reasons)}
        for job, v in found.items()
    ]


def _energies(study: Study, connection: duckdb.DuckDBPyConnection, runs: Sequence[Run]) -> Rows:
    traces = read_rows(connection, TraceRecord)
    return [
        _energy(found) for found in phase_energies(runs, traces, partial(read_trace, study.blobs))
    ]


def _sustained(records: Sequence[JobRecord], runs: Sequence[Run], names: Mapping[str, str]) -> Rows:
    return [
        {
            "job_sha256": row.job_sha256,
            "launch": row.launch,
            "duration_s": row.found.duration_s,
            "first_minute_s": row.found.first_minute_s,
            "steady_s": row.found.steady_s,
            "degradation": row.found.degradation,
            "throttled_after_s": row.found.throttled_after_s,
            "rank_first_minute": row.rank.first_minute,
            "rank_end": row.rank.end,
            "windows_begin_s": [window.begin_s for window in row.found.windows],
            "windows_level_s": [window.level_s for window in row.found.windows],
        }
        for row in sustained_launches(records, runs, names)
    ]


def _rates(records: Sequence[JobRecord], runs: Sequence[Run], names: Mapping[str, str]) -> Rows:
    return [
        {
            "job_sha256": row.job_sha256,
            "launch": row.launch,
            "rate_per_s": row.rate_per_s,
            "due": row.found.due,
            "served": row.found.served,
            "missed": row.found.missed,
            "service_s": row.found.service_s,
            "response_s": row.found.response_s,
            "response_p95_s": row.found.response_p95_s,
            "response_p99_s": row.found.response_p99_s,
            "lateness_s": row.found.lateness_s,
            "keeps_up": row.found.keeps_up,
        }
        for row in rate_launches(records, runs, names)
    ]


def _beside(records: Sequence[JobRecord], runs: Sequence[Run], names: Mapping[str, str]) -> Rows:
    return [
        {
            "job_sha256": row.job_sha256,
            "alone_sha256": row.alone_sha256,
            "beside": row.beside,
            "beside_engine": row.beside_engine,
            "launches": row.launches,
            "slowdown": None if row.slowdown is None else row.slowdown.ratio,
            "slowdown_low": None if row.slowdown is None else row.slowdown.low,
            "slowdown_high": None if row.slowdown is None else row.slowdown.high,
            "pairs": None if row.slowdown is None else row.slowdown.pairs,
            "launches_alone": None if row.slowdown is None else row.slowdown.first,
        }
        for row in side_by_side(records, runs, names)
    ]


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
