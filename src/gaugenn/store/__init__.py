"""A study on disk: Parquet parts, DuckDB views over them, and blobs under their digests.

::

    STUDY/study.json                 schema version and creation
    STUDY/tables/<table>/<part>.parquet   immutable; open them with any tool
    STUDY/blobs/<aa>/<sha256>        model files and traces
    STUDY/journal/<batch>/           a batch on its way into the tables; empty at rest

`SharedStore` is where workers of several machines put what belongs into a study.
"""

from gaugenn.store._blobs import Blobs
from gaugenn.store._buffer import Buffer
from gaugenn.store._schema import SCHEMA_VERSION, TABLES, Record, table_name
from gaugenn.store._shared import SharedBlobs, SharedStore
from gaugenn.store._study import Study, is_own_file, read_rows
from gaugenn.store._traces import put_trace, read_trace

__all__ = [
    "SCHEMA_VERSION",
    "TABLES",
    "Blobs",
    "Buffer",
    "Record",
    "SharedBlobs",
    "SharedStore",
    "Study",
    "is_own_file",
    "put_trace",
    "read_rows",
    "read_trace",
    "table_name",
]
