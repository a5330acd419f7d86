"""Traces as blobs: a Parquet file each, which any tool opens."""

import hashlib
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gaugenn.errors import FormatError, StoreError
from gaugenn.records import Trace, TraceRecord
from gaugenn.records._energy import MAXIMUM_SAMPLES
from gaugenn.store._blobs import Blobs


def put_trace(blobs: Blobs, trace: Trace, *, job_sha256: str, launch: int) -> TraceRecord:
    """Stores a trace's samples and gives its row, without idle stretches.

    Raises:
        StorageFullError: no room.
    """
    name = "joules" if trace.is_counter else "watts"
    values = trace.joules if trace.is_counter else trace.watts
    sink = pa.BufferOutputStream()
    table = pa.table({"t_s": pa.array(trace.t_s), name: pa.array(values)})
    pq.write_table(table, sink, compression="zstd")
    data = memoryview(sink.getvalue())
    sha256 = hashlib.sha256(data).hexdigest()
    blobs.put(data, sha256)
    return TraceRecord(
        job_sha256=job_sha256,
        launch=launch,
        source=trace.source,
        rail=trace.rail,
        is_counter=trace.is_counter,
        clock=trace.clock,
        rate_hz=trace.rate_hz,
        samples=trace.t_s.size,
        begin_s=float(trace.t_s[0]) if trace.t_s.size else None,
        end_s=float(trace.t_s[-1]) if trace.t_s.size else None,
        blob_sha256=sha256,
        lost_samples=trace.lost_samples,
        restarts=trace.restarts,
        notes=trace.notes,
    )


def read_trace(blobs: Blobs, record: TraceRecord) -> Trace:
    """The trace of a row.

    Raises:
        StoreError: its blob is missing, was changed, or is no trace.
    """
    blobs.verify(record.blob_sha256)
    name = "joules" if record.is_counter else "watts"
    where = f"trace {record.blob_sha256}"
    if not 0 <= record.samples <= MAXIMUM_SAMPLES:
        raise StoreError(f"{where}: {record.samples} samples; at most {MAXIMUM_SAMPLES}")
    try:
        with pq.ParquetFile(blobs.path(record.blob_sha256)) as file:
            if file.metadata.num_rows != record.samples:
                raise StoreError(f"{where} has {file.metadata.num_rows} rows, not {record.samples}")
            table = file.read(columns=["t_s", name])
        columns = [
            np.asarray(table.column(column).to_numpy(), dtype=np.float64)
            for column in ("t_s", name)
        ]
        bare = Trace(
            rail=record.rail,
            t_s=columns[0],
            watts=columns[1],
            source=record.source,
            rate_hz=record.rate_hz,
            clock=record.clock,
            lost_samples=record.lost_samples,
            restarts=record.restarts,
            notes=record.notes,
        )
        if record.is_counter:
            return replace(bare, watts=np.empty(0, np.float64), joules=columns[1])
    except (pa.ArrowException, KeyError, ValueError, FormatError) as error:
        raise StoreError(f"{where} cannot be read: {error}") from error
    return bare
