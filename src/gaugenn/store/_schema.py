"""The Arrow schema of each record, derived from its annotations."""

import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from enum import StrEnum

import pyarrow as pa

from gaugenn.content import path_text
from gaugenn.errors import StoreError
from gaugenn.records import (
    App,
    AppFile,
    AppRef,
    Crawl,
    DeviceLabel,
    DeviceSample,
    Download,
    Environment,
    Evidence,
    Failure,
    JobRecord,
    LayerRecord,
    ModelFile,
    ModelRecord,
    OperatorTiming,
    PredictedLatency,
    Run,
    TraceRecord,
    ZooBuild,
)

SCHEMA_VERSION = 2
"""Raised when a column changes its meaning, is renamed or removed; new columns need no new version.

1: until November 2026. 2: `weights_sha256` is made of BLAKE3 digests of the weights, and
`weights_values_sha256` of a sample of large ones.
"""

DERIVED: frozenset[type[object]] = frozenset({ModelRecord, LayerRecord})
"""Tables that are made out of the stored models alone, and can be made anew."""

Record = (
    App
    | AppFile
    | Evidence
    | ModelFile
    | ModelRecord
    | LayerRecord
    | JobRecord
    | Run
    | TraceRecord
    | DeviceSample
    | Environment
    | Failure
    | ZooBuild
    | OperatorTiming
    | Crawl
    | AppRef
    | Download
    | DeviceLabel
    | PredictedLatency
)

TABLES: Mapping[type[Record], str] = {
    Evidence: "evidence",
    AppFile: "files",
    ModelFile: "model_files",
    App: "apps",
    LayerRecord: "layers",
    ModelRecord: "models",
    Environment: "environments",
    JobRecord: "jobs",
    TraceRecord: "traces",
    DeviceSample: "device_samples",
    Run: "runs",
    OperatorTiming: "operator_timings",
    Failure: "failures",
    ZooBuild: "zoo_builds",
    AppRef: "listings",
    Download: "downloads",
    Crawl: "crawls",
    DeviceLabel: "device_labels",
    PredictedLatency: "predictions",
}
"""Table of each record. A batch is made visible in this order: what is counted comes last."""

_SCALARS: dict[object, pa.DataType] = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
}


def table_name(record: type[object]) -> str:
    """Name of the table that holds a kind of record."""
    return next(name for kind, name in TABLES.items() if kind is record)


def arrow_schema(record: type[Record]) -> pa.Schema:
    """The columns of a record's table, with the schema version in the file's metadata."""
    schema = pa.schema(list(_arrow_fields(record)))
    return schema.with_metadata({"gaugenn.schema_version": str(SCHEMA_VERSION)})


def arrow_table(record: type[Record], rows: Sequence[Record]) -> pa.Table:
    """Rows of one kind as an Arrow table.

    Text that is not valid Unicode (lone surrogates out of hostile names) is written with escapes.

    Raises:
        StoreError: a value does not fit its column, such as an integer beyond 64 bits.
    """
    plain = [_columns(row) for row in rows]
    try:
        return pa.Table.from_pylist(plain, schema=arrow_schema(record))
    except (pa.ArrowInvalid, OverflowError, pa.ArrowTypeError) as error:
        raise StoreError(f"a row of {TABLES[record]} does not fit its columns: {error}") from error


def _arrow_fields(record: type) -> "Iterator[pa.Field[pa.DataType]]":
    hints = typing.get_type_hints(record)
    for f in fields(record):
        # What has a default may be a later column, which older rows lack.
        later = f.default is not MISSING
        yield _arrow_field(f.name, hints[f.name], nullable=later)


def _arrow_field(name: str, hint: object, *, nullable: bool = False) -> "pa.Field[pa.DataType]":
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    inner = [option for option in options if option is not types.NoneType]
    if len(inner) != 1:
        raise TypeError(f"column {name!r}: {hint} is no column type")
    nullable = nullable or len(options) > 1
    return pa.field(name, _arrow_type(name, inner[0], nullable=nullable), nullable=nullable)


def _arrow_type(name: str, hint: object, *, nullable: bool = False) -> pa.DataType:
    if hint in _SCALARS:
        return _SCALARS[hint]
    if typing.get_origin(hint) is tuple:
        return pa.list_(_arrow_field("item", typing.get_args(hint)[0]))
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return pa.string()
    if isinstance(hint, type) and is_dataclass(hint):
        # Where there is no record, none of its fields has a value.
        return pa.struct([f.with_nullable(nullable or f.nullable) for f in _arrow_fields(hint)])
    raise TypeError(f"column {name!r}: {hint} is no column type")


def _columns(row: Record) -> dict[str, object]:
    return {f.name: _plain(getattr(row, f.name)) for f in fields(row)}


def _plain(value: object) -> object:
    if isinstance(value, str):
        return value if value.isascii() else path_text(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    return value
