"""The study's tables and views, with what only Python can derive from them beside."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import cached_property, partial

import duckdb
import pyarrow as pa

from gaugenn.analysis.energy import Quantity
from gaugenn.analysis.energy_results import InferenceEnergy, inference_energies, meter_checks
from gaugenn.analysis.launch_energy import PhaseEnergy, phase_energies
from gaugenn.analysis.loads import rate_launches, side_by_side, sustained_launches
from gaugenn.analysis.verdict import verdicts
from gaugenn.records import Environment, JobRecord, ModelRecord, Run, TraceRecord
from gaugenn.report._results import MEASURED_FROM_RUNS
from gaugenn.store import Study, read_trace

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
    **dict.fromkeys(("sync_uncertainty_s", "sync_residual_s"), pa.float64()),
}
_INFERENCES: Schema = {
    **dict.fromkeys(("job_sha256", "source", "rail"), pa.string()),
    "launches": pa.int64(),
    **dict.fromkeys(("gross_j", "gross_low_j", "gross_high_j"), pa.float64()),
    **dict.fromkeys(("net_j", "net_low_j", "net_high_j"), pa.float64()),
    **dict.fromkeys(("power_w", "power_low_w", "power_high_w"), pa.float64()),
    **dict.fromkeys(("mflop_per_j", "mflop_per_j_low", "mflop_per_j_high"), pa.float64()),
}
_CHECKS: Schema = {
    **dict.fromkeys(("job_sha256", "phase", "first", "second", "reason"), pa.string()),
    "launch": pa.int64(),
    "ratio": pa.float64(),
    "agrees": pa.bool_(),
}


class _Source:
    """A study's rows, each kind read once, when something is derived from it."""

    def __init__(self, study: Study) -> None:
        self._study = study

    @cached_property
    def jobs(self) -> list[JobRecord]:
        """Planned jobs."""
        return self._study.rows(JobRecord)

    @cached_property
    def runs(self) -> list[Run]:
        """Launches with all their samples: the bulk of a large study."""
        return self._study.rows(Run)

    @cached_property
    def names(self) -> dict[str, str]:
        """Of models, by digest."""
        with self._study.connect() as connection:
            return dict(connection.execute("SELECT model_sha256, name FROM model_names").fetchall())

    def verdicts(self) -> Rows:
        judged = verdicts(
            self.jobs, self.runs, self._study.rows(Environment), self._study.rows(ModelRecord)
        )
        return [
            {"job_sha256": job, "validity": v.validity.value, "reasons": list(v.reasons)}
            for job, v in judged.items()
        ]

    @cached_property
    def phases(self) -> list[PhaseEnergy]:
        """Energy of every phase that was measured."""
        traces = self._study.rows(TraceRecord)
        if not traces:
            return []
        return phase_energies(self.runs, traces, partial(read_trace, self._study.blobs))

    def energies(self) -> Rows:
        return [_energy(found) for found in self.phases]

    def inference_energies(self) -> Rows:
        if not self.phases:
            return []
        found = inference_energies(self.phases, self.jobs, self._study.rows(ModelRecord))
        return [_inference(row) for row in found]

    def meter_checks(self) -> Rows:
        return [asdict(check) for check in meter_checks(self.phases)]

    def sustained(self) -> Rows:
        return _sustained(self.jobs, self.runs, self.names)

    def rates(self) -> Rows:
        return _rates(self.jobs, self.runs, self.names)

    def beside(self) -> Rows:
        return _beside(self.jobs, self.runs, self.names)


def _from_rows(derive: Callable[[], Rows], schema: pa.Schema) -> Callable[[], pa.Table]:
    return lambda: pa.Table.from_pylist(derive(), schema=schema)


class _Derived:
    """A relation that is computed when a query first reads it, and then kept.

    DuckDB takes it for an Arrow stream: it asks for the schema to plan a query, and for batches only to
    run one.

    Source: https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html
    """

    def __init__(self, schema: pa.Schema, derive: Callable[[], pa.Table]) -> None:
        self._schema = schema
        self._derive = derive
        self._made: pa.Table | None = None
        self._lock = threading.Lock()

    def __arrow_c_schema__(self) -> object:
        return self._schema.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        reader = pa.RecordBatchReader.from_batches(self._schema, self._batches())
        found: object = reader.__arrow_c_stream__(requested_schema)  # type: ignore[no-untyped-call]
        return found

    def _batches(self) -> Iterator[pa.RecordBatch]:
        with self._lock:
            if self._made is None:
                self._made = self._derive()
        yield from self._made.to_batches()


@contextmanager
def connect(
    study: Study, settings: Mapping[str, str] | None = None
) -> Iterator[duckdb.DuckDBPyConnection]:
    """`Study.connect` with more relations, all keyed by `job_sha256`.

    `verdicts`, what special loads show (`sustained_launches`, `rate_launches`, `side_by_side`),
    `energies`: a phase of a launch on a rail, and `measured`: results with names, settings and
    verdicts. Each is derived once, when a query first asks for it.

    Args:
        study: to read.
        settings: see `Study.connect`.
    """
    source = _Source(study)
    relations: dict[str, tuple[Schema, Callable[[], Rows]]] = {
        "verdicts": (_VERDICTS, source.verdicts),
        "sustained_launches": (_SUSTAINED, source.sustained),
        "rate_launches": (_RATES, source.rates),
        "side_by_side": (_BESIDE, source.beside),
        "energies": (_ENERGIES, source.energies),
        "inference_energies": (_INFERENCES, source.inference_energies),
        "meter_checks": (_CHECKS, source.meter_checks),
    }
    with study.connect(settings) as connection:
        derived = {
            name: _Derived(pa.schema(schema), _from_rows(derive, pa.schema(schema)))
            for name, (schema, derive) in relations.items()
        }
        for name, relation in derived.items():
            connection.register(name, relation)
        derive = partial(_measured, study, settings, derived["verdicts"])
        connection.register("measured", _Derived(_measured_columns(connection), derive))
        yield connection


_MEASURED_COLUMNS: list[pa.Schema] = []
"""The columns of `measured`, once they are known: those of every study are the same."""


def _measured_columns(connection: duckdb.DuckDBPyConnection) -> pa.Schema:
    if not _MEASURED_COLUMNS:
        found = connection.sql(f"SELECT * FROM ({MEASURED_FROM_RUNS}) LIMIT 0")  # noqa: S608
        _MEASURED_COLUMNS.append(found.to_arrow_table().schema)
    return _MEASURED_COLUMNS[0]


def _measured(study: Study, settings: Mapping[str, str] | None, judged: _Derived) -> pa.Table:
    # A connection of its own: that of the query which asks is busy with it.
    with study.connect(settings) as connection:
        connection.register("verdicts", judged)
        found: pa.Table = connection.sql(MEASURED_FROM_RUNS).to_arrow_table()
        return found


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
    if phase.sync is not None:
        row["sync_uncertainty_s"] = phase.sync.uncertainty_s
        row["sync_residual_s"] = phase.sync.residual_s
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


def _inference(row: InferenceEnergy) -> dict[str, object]:
    efficiency = row.mflop_per_j
    return {
        "job_sha256": row.job_sha256,
        "source": row.source,
        "rail": row.rail,
        "launches": row.launches,
        **_ends("gross", row.gross_j),
        **_ends("net", row.net_j),
        "power_w": row.power_w.value,
        "power_low_w": row.power_w.low,
        "power_high_w": row.power_w.high,
        "mflop_per_j": None if efficiency is None else efficiency.value,
        "mflop_per_j_low": None if efficiency is None else efficiency.low,
        "mflop_per_j_high": None if efficiency is None else efficiency.high,
    }


def _ends(name: str, quantity: Quantity | None) -> dict[str, float | None]:
    if quantity is None:
        return {}
    return {
        f"{name}_j": quantity.value,
        f"{name}_low_j": quantity.low,
        f"{name}_high_j": quantity.high,
    }
