"""The study folder: atomic batches in, DuckDB out."""

import contextlib
import fcntl
import json
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Self, TypeVar

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from gaugenn import __version__
from gaugenn.errors import (
    FormatError,
    StorageFullError,
    StoreError,
    UsageError,
    is_storage_full,
)
from gaugenn.records import App, ModelRecord, Run, from_plain
from gaugenn.store._blobs import Blobs
from gaugenn.store._schema import (
    DERIVED,
    SCHEMA_VERSION,
    TABLES,
    Record,
    arrow_schema,
    arrow_table,
    table_name,
)
from gaugenn.store._views import VIEWS

R = TypeVar("R", bound=Record)

_COMMIT = "COMMIT.json"

_BATCH_KEYS: Mapping[type[Record], tuple[str, ...]] = {
    App: ("path", "size_bytes", "modified_ns"),
    ModelRecord: ("model_sha256",),
    Run: ("job_sha256", "launch", "started_at"),
}

_ROWS_AT_ONCE = 4096

PART_BYTES = 64 << 20
"""Parts of at least this size are left alone by `compact`, and merged ones get about this large."""


_MARKER = "study.json"
_FOLDERS = frozenset({"tables", "blobs", "journal"})


def is_own_file(path: Path) -> bool:
    """Whether a path is where a study keeps what it holds, not what is made of it."""
    whole = path.resolve()
    if whole.name == _MARKER:
        return whole.is_file()
    return any(
        folder.name in _FOLDERS and (folder.parent / _MARKER).is_file() for folder in whole.parents
    )


class Study:
    """A folder of results that grows by whole batches.

    A batch may hold rows of several tables. It is written into the journal, declared complete by one
    rename, and then moved into the tables; what a killed process left is finished or dropped by
    `recover`. So a table never holds half a batch, however a process ends.
    """

    def __init__(self, path: Path) -> None:
        """Opens an existing study.

        Raises:
            StoreError: not a study, or one of a newer version.
        """
        self.path = path
        self.blobs = Blobs(path / "blobs")
        try:
            text = (path / "study.json").read_text()
            version = json.loads(text)["schema_version"]
        except FileNotFoundError:
            raise StoreError(f"{path} is no study: it has no study.json") from None
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            problem = f"{type(error).__name__}: {error}"[:200]
            raise StoreError(f"{path}/study.json cannot be read: {problem}") from error
        if not isinstance(version, int) or version > SCHEMA_VERSION:
            raise StoreError(
                f"{path} was written with schema version {version}, this gaugenn knows "
                f"{SCHEMA_VERSION}; upgrade gaugenn to read it"
            )
        self.schema_version = version

    @classmethod
    def create(cls, path: Path) -> Self:
        """Opens a study, making it where there is none.

        Raises:
            UsageError: the path is a file, or a folder with other things in it.
            StorageFullError: no room.
            StoreError: see `Study`.
        """
        try:
            path.mkdir(parents=True, exist_ok=True)
            marker = path / "study.json"
            if not marker.exists():
                # A process that was killed right here leaves `.study.json.PID`.
                if any(not p.name.startswith((".lock", ".study.json.")) for p in path.iterdir()):
                    raise UsageError(f"{path} holds other files; give an empty or a new folder")
                created = {
                    "schema_version": SCHEMA_VERSION,
                    "gaugenn_version": __version__,
                    "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
                }
                _write_whole(marker, json.dumps(created, indent=2) + "\n")
            for name in ("tables", "blobs", "journal"):
                (path / name).mkdir(exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise UsageError(f"{path} is a file; a study is a folder") from None
        except PermissionError as error:
            raise UsageError(f"{path} cannot be written: {error.strerror}") from error
        except OSError as error:
            raise _storage(error, path) from error
        return cls(path)

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Holds the study for one command and finishes what an interrupted one left.

        Raises:
            UsageError: another process of this machine holds it, or it may not be written.
            StoreError: it cannot be written.
        """
        try:
            held = (self.path / ".lock").open("a")
        except PermissionError as error:
            raise UsageError(f"{self.path} cannot be written: {error.strerror}") from error
        except OSError as error:
            raise _storage(error, self.path) from error
        with held as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UsageError(f"another gaugenn is writing to {self.path}") from None
            self.recover()
            yield

    def renew(self) -> None:
        """Drops what an older gaugenn concluded from the models, so that it is made anew.

        The models themselves, and all that was measured, stay. Only while nobody else writes, and
        before the models are read: until they are, the study has none. Stopped in between, it goes on
        at the next call.

        Raises:
            StorageFullError: no room.
        """
        if self.schema_version == SCHEMA_VERSION:
            return
        try:
            for table in (TABLES[record] for record in TABLES if record in DERIVED):
                for part in self._parts(table):
                    part.unlink()
            marker = self.path / "study.json"
            told = json.loads(marker.read_text()) | {"schema_version": SCHEMA_VERSION}
            _write_whole(marker, json.dumps(told, indent=2) + "\n")
        except OSError as error:
            raise _storage(error, self.path) from error
        self.schema_version = SCHEMA_VERSION

    def recover(self) -> None:
        """Finishes complete batches and drops incomplete ones. Only while nobody else writes."""
        journal = self.path / "journal"
        for batch in sorted(journal.iterdir()) if journal.is_dir() else ():
            if (batch / _COMMIT).exists():
                self._apply(batch)
            else:
                shutil.rmtree(batch, ignore_errors=True)
        self.blobs.sweep()

    def write(self, rows: Iterable[Record]) -> None:
        """Adds rows as one batch: all of them become visible, or none.

        Raises:
            StorageFullError: no room; the study is as before.
            StoreError: a value does not fit its column.
        """
        kinds: dict[type[Record], list[Record]] = {}
        for row in rows:
            kinds.setdefault(type(row), []).append(row)
        self.adopt({TABLES[kind]: arrow_table(kind, members) for kind, members in kinds.items()})

    def adopt(self, tables: Mapping[str, pa.Table]) -> None:
        """Adds rows that are Arrow tables already, as one batch.

        Args:
            tables: rows by the table that they belong to.

        Raises:
            StorageFullError: no room; the study is as before.
        """
        if not tables:
            return
        batch = self._stage()
        try:
            for name, rows in tables.items():
                pq.write_table(rows, batch / f"{name}.parquet", compression="zstd")
            self._declare(batch, {})
        except OSError as error:
            shutil.rmtree(batch, ignore_errors=True)
            raise _storage(error, self.path) from error
        self._apply(batch)

    def holds(self, tables: Mapping[str, pa.Table]) -> bool:
        """Whether a package, a model or a launch of a batch is here already, and so the batch."""
        with self.connect() as connection:
            for record, keys in _BATCH_KEYS.items():
                rows = tables.get(TABLES[record])
                if rows is None:
                    continue
                connection.register("batch", rows.select(list(keys)))
                listed = ", ".join(keys)
                found = connection.execute(
                    f"SELECT count(*) FROM batch JOIN {TABLES[record]} USING ({listed})"
                ).fetchone()
                if found and found[0]:
                    return True
        return False

    def compact(self) -> None:
        """Merges neighbouring small parts of every table. Memory: one merged part of one table."""
        for record, table in TABLES.items():
            for old in _small_neighbours(self._parts(table)):
                merged = self._merged(record, old)
                batch = self._stage(after=old[-1].stem)
                try:
                    pq.write_table(merged, batch / f"{table}.parquet", compression="zstd")
                    self._declare(batch, {table: [p.name for p in old]})
                except OSError as error:
                    shutil.rmtree(batch, ignore_errors=True)
                    raise _storage(error, self.path) from error
                self._apply(batch)

    def _merged(self, record: type[Record], parts: list[Path]) -> pa.Table:
        try:
            return pq.ParquetDataset([str(p) for p in parts], schema=arrow_schema(record)).read()
        except (OSError, pa.ArrowException) as error:
            raise StoreError(f"{self.path} cannot be read: {error}") from error

    @contextlib.contextmanager
    def connect(
        self, settings: Mapping[str, str] | None = None
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        """An in-memory DuckDB connection with a view for every table and derived view.

        The views read the parts that exist now. Statements reach no file outside the tables.

        Args:
            settings: of DuckDB, such as its `memory_limit` and `threads`; its own where None.

        Raises:
            StoreError: a part that was damaged, or anything else that DuckDB cannot do.
        """
        try:
            with duckdb.connect(config=dict(settings or {})) as connection:
                self._add_views(connection)
                self._shut_in(connection)
                yield connection
        except duckdb.Error as error:
            raise StoreError(self._problem(error)) from error

    def _problem(self, error: duckdb.Error) -> str:
        """What DuckDB could not do, in one line without its statement, and what helps."""
        text, _, _ = str(error).partition("\n\nLINE ")
        problem = f"{self.path} cannot be read: {' '.join(text.split())}"
        for table in TABLES.values():
            for part in self._parts(table):
                if str(part.resolve()) in text:
                    return (
                        f"{problem}. Move that file away and repeat the commands that filled the "
                        "study: what it held is made again, the rest stays"
                    )
        return problem

    def _shut_in(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Lets statements reach the study's own files only: no other file, no network, no extension."""
        folder = str(self.path.resolve()).replace("'", "''")
        connection.execute(f"SET allowed_directories = ['{folder}/tables/']")
        connection.execute("SET enable_external_access = false")
        with contextlib.suppress(duckdb.InvalidInputException):  # in a notebook without widgets
            connection.execute(
                "SET enable_progress_bar = false"
            )  # else it is in a command's output
        connection.execute("SET lock_configuration = true")

    def _add_views(self, connection: duckdb.DuckDBPyConnection) -> None:
        for record, table in TABLES.items():
            connection.register(f"{table}_columns", arrow_schema(record).empty_table())
            select = f'SELECT * FROM "{table}_columns"'
            parts = [str(part.resolve()) for part in self._parts(table)]
            if any(special in str(self.path.resolve()) for special in "[*?"):
                # DuckDB takes such a name for a pattern, so Arrow reads the parts.
                if parts:
                    connection.register(f"{table}_rows", pq.ParquetDataset(parts).read())
                    select += f' UNION ALL BY NAME SELECT * FROM "{table}_rows"'
            elif parts:
                listed = ", ".join("'" + part.replace("'", "''") + "'" for part in parts)
                select += (
                    f" UNION ALL BY NAME SELECT * FROM read_parquet([{listed}], union_by_name=true)"
                )
            name = f"all_{table}" if table in VIEWS else table
            connection.execute(f'CREATE VIEW "{name}" AS {select}')
        for name, query in VIEWS.items():
            connection.execute(f'CREATE VIEW "{name}" AS {query}')

    def rows(self, record: type[R]) -> list[R]:
        """All rows of a table (or of the view of its name) as records.

        Raises:
            StoreError: rows that do not fit the record, as from a study that was tampered with.
        """
        with self.connect() as connection:
            return read_rows(connection, record)

    def each(self, record: type[R], condition: str, parameters: Sequence[object]) -> Iterator[R]:
        """Rows of a table as records, in the order in which they were written, a part at a time.

        Args:
            record: the kind of row.
            condition: as for `read_rows`.
            parameters: the same.

        Raises:
            StoreError: see `rows`.
        """
        table = table_name(record)
        with self.connect() as connection:
            query = f'SELECT * FROM "{table}" WHERE {condition}'
            found = connection.sql(query, params=list(parameters))
            for batch in found.to_arrow_reader(_ROWS_AT_ONCE):
                try:
                    rows = [from_plain(record, row, table) for row in batch.to_pylist()]
                except FormatError as error:
                    raise StoreError(f"{self.path}: {error}") from error
                yield from rows

    def part_names(self) -> tuple[str, ...]:
        """Names of all parts: what `connect` reads now. Another answer means other rows."""
        return tuple(
            f"{table}/{part.name}" for table in TABLES.values() for part in self._parts(table)
        )

    def written(self, record: type[Record]) -> Iterator[pa.Table]:
        """All rows of a table that were ever written, one part file at a time, in their order.

        Raises:
            StoreError: a part that was damaged.
        """
        for part in self._parts(table_name(record)):
            yield self._merged(record, [part])

    def _parts(self, table: str) -> list[Path]:
        return sorted((self.path / "tables" / table).glob("*.parquet"))

    def _stage(self, after: str | None = None) -> Path:
        # Names sort by time, so that parts keep the order in which batches were written; a merged
        # part takes the place of the last that is in it.
        stamp = after or datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
        batch = self.path / "journal" / f"{stamp[:22]}-{uuid.uuid4().hex[:12]}"
        try:
            batch.mkdir(parents=True)
        except OSError as error:
            raise _storage(error, self.path) from error
        return batch

    def _declare(self, batch: Path, replaced: dict[str, list[str]]) -> None:
        for part in batch.iterdir():
            _sync(part)
        _write_whole(batch / _COMMIT, json.dumps({"replaced": replaced}))

    def _apply(self, batch: Path) -> None:
        """Moves a complete batch into the tables; can be repeated from any point."""
        try:
            replaced = json.loads((batch / _COMMIT).read_text())["replaced"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"{batch / _COMMIT} cannot be read: {error!r}; without {batch} the study can be used"
            ) from error
        try:
            for table in TABLES.values():
                part = batch / f"{table}.parquet"
                if part.exists():
                    folder = self.path / "tables" / table
                    folder.mkdir(parents=True, exist_ok=True)
                    part.replace(folder / f"{batch.name}.parquet")
                for name in replaced.get(table, ()):
                    (self.path / "tables" / table / Path(name).name).unlink(missing_ok=True)
        except OSError as error:
            raise _storage(error, self.path) from error
        shutil.rmtree(batch, ignore_errors=True)


def read_rows(
    connection: duckdb.DuckDBPyConnection,
    record: type[R],
    condition: str = "true",
    parameters: Sequence[object] = (),
) -> list[R]:
    """Rows of a table (or of the view of its name) as records.

    Args:
        connection: that `Study.connect` gave.
        record: the kind of row.
        condition: SQL over the table's columns; never text of a user.
        parameters: values for its question marks.

    Raises:
        StoreError: rows that do not fit the record, as from a study that was tampered with.
    """
    table = table_name(record)
    cursor = connection.execute(f'SELECT * FROM "{table}" WHERE {condition}', list(parameters))
    names = [column[0] for column in cursor.description or ()]
    try:
        return [
            from_plain(record, dict(zip(names, row, strict=True)), table)
            for row in cursor.fetchall()
        ]
    except FormatError as error:
        raise StoreError(f"table {table} cannot be read: {error}") from error


def _small_neighbours(parts: list[Path]) -> Iterator[list[Path]]:
    """Runs of two parts or more, next to each other, that make one part of at most `PART_BYTES`."""
    run: list[Path] = []
    size = 0
    for part in parts:
        part_bytes = part.stat().st_size
        if run and size + part_bytes > PART_BYTES:
            if len(run) > 1:
                yield run
            run, size = [], 0
        run.append(part)
        size += part_bytes
    if len(run) > 1:
        yield run


def _write_whole(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text)
        _sync(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _storage(error: OSError, path: Path) -> StorageFullError | StoreError:
    if is_storage_full(error):
        return StorageFullError(
            f"no room left in {path}: free some space and run the same command again"
        )
    return StoreError(f"{path} cannot be written: {error.strerror or error}")
