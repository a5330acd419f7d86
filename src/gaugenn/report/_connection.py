"""The study's tables and views, with what only Python can derive from them beside."""

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
import pyarrow as pa

from gaugenn.analysis.verdict import verdicts
from gaugenn.records import Environment, JobRecord, ModelRecord, Run
from gaugenn.store import Study

_VERDICTS = pa.schema(
    [("job_sha256", pa.string()), ("validity", pa.string()), ("reasons", pa.list_(pa.string()))]
)


@contextmanager
def connect(study: Study) -> Iterator[duckdb.DuckDBPyConnection]:
    """`Study.connect` with one more relation: `verdicts` (job_sha256, validity, reasons)."""
    judged = verdicts(
        study.rows(JobRecord), study.rows(Run), study.rows(Environment), study.rows(ModelRecord)
    )
    rows = [
        {"job_sha256": job, "validity": verdict.validity.value, "reasons": list(verdict.reasons)}
        for job, verdict in judged.items()
    ]
    with study.connect() as connection:
        connection.register("verdicts", pa.Table.from_pylist(rows, schema=_VERDICTS))
        yield connection
