"""Where workers of several machines put rows and blobs: a folder that all of them see, or a bucket.

::

    ROOT/batches/<key>/<table>.parquet   rows of a batch
    ROOT/batches/<key>/COMMIT.json       written last: the batch is whole
    ROOT/blobs/<aa>/<sha256>             model files

Nothing is locked. A batch has the name of what it was made from, so work that is done twice, because a
machine was thought to be dead, writes the same files twice. The study's owner takes whole batches in
and removes them.
"""

import contextlib
import hashlib
import json
import os
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pyarrow as pa
import pyarrow.fs as arrow_fs
import pyarrow.parquet as pq

from gaugenn.errors import StorageFullError, StoreError, TransientError, UsageError, is_storage_full
from gaugenn.store._blobs import Blobs, require_digest
from gaugenn.store._schema import TABLES, Record, arrow_table
from gaugenn.store._study import Study

_COMMIT = "COMMIT.json"


@dataclass(frozen=True, slots=True)
class SharedBlobs:
    """Blobs behind an Arrow file system, under the interface of `Blobs` that workers use.

    Attributes:
        address: see `SharedStore`.
    """

    address: str

    def put(self, data: memoryview, sha256: str) -> None:
        """Stores bytes under their digest; does nothing when they are there already.

        Raises:
            StorageFullError: no room.
            TransientError: the store cannot be reached.
        """
        system, root = _open(self.address)
        path = f"{root}/blobs/{require_digest(sha256)[:2]}/{sha256}"
        with _translated(path):
            if system.get_file_info(path).size == data.nbytes:
                return
            _write(system, path, data)

    def fetch(self, sha256: str, into: Path) -> Path:
        """Copies a blob to this machine, and checks its digest.

        Args:
            sha256: which.
            into: the folder where it is put under its digest.

        Raises:
            StoreError: it is missing or was changed.
            StorageFullError: no room here.
            TransientError: the store cannot be reached.
        """
        system, root = _open(self.address)
        path = f"{root}/blobs/{require_digest(sha256)[:2]}/{sha256}"
        handle, name = tempfile.mkstemp(prefix=".", suffix=".part", dir=into)
        temporary = Path(name)
        digest = hashlib.sha256()
        try:
            with (
                os.fdopen(handle, "wb") as file,
                _translated(path),
                system.open_input_stream(path) as stream,
            ):
                while piece := stream.read(1 << 20):
                    digest.update(piece)
                    file.write(piece)
            if digest.hexdigest() != sha256:
                raise StoreError(f"blob {sha256} was changed: its digest is {digest.hexdigest()}")
            temporary.replace(into / sha256)
        finally:
            temporary.unlink(missing_ok=True)
        return into / sha256


class SharedStore:
    """Batches and blobs on their way from workers into a study. Small, and can be pickled.

    Args:
        address: an absolute path of a folder that every worker sees under this name, or the address
            of an Arrow file system: `s3://bucket/prefix?endpoint_override=...`. Access keys do not
            stand in it: they come from the environment, as the vendor's tools take them.
        blobs: where blobs go, if not there too.

    Raises:
        UsageError: an address that no file system understands, or one with a password in it.
    """

    def __init__(self, address: str, blobs: Blobs | None = None) -> None:
        if "@" in address.partition("://")[2].partition("/")[0]:
            raise UsageError("leave the access key out of the address; give it in the environment")
        self.address = address
        self.blobs: Blobs | SharedBlobs = blobs or SharedBlobs(address)
        _open(address)

    @classmethod
    def inside(cls, study: Study) -> Self:
        """In the study's own folder, for machines that all see it: blobs are there already."""
        return cls(str(study.path.resolve() / "shared"), study.blobs)

    def put(self, key: str, rows: Iterable[Record]) -> None:
        """Writes a batch; a batch of the same key is replaced.

        Raises:
            StorageFullError: no room.
            TransientError: the store cannot be reached.
        """
        kinds: dict[type[Record], list[Record]] = {}
        for row in rows:
            kinds.setdefault(type(row), []).append(row)
        self.put_tables(
            key, {TABLES[kind]: arrow_table(kind, rows) for kind, rows in kinds.items()}
        )

    def put_tables(self, key: str, tables: Mapping[str, pa.Table]) -> None:
        """`put` of rows that are Arrow tables already, by the table that they belong to.

        Raises: as `put`.
        """
        system, root = _open(self.address)
        folder = f"{root}/batches/{key}"
        with _translated(folder):
            for name, table in tables.items():
                sink = pa.BufferOutputStream()
                pq.write_table(table, sink, compression="zstd")
                _write(system, f"{folder}/{name}.parquet", sink.getvalue())
            _write(system, f"{folder}/{_COMMIT}", json.dumps({"tables": sorted(tables)}).encode())

    def keys(self) -> Sequence[str]:
        """The batches that are whole, sorted.

        Raises:
            TransientError: the store cannot be reached.
        """
        system, root = _open(self.address)
        selector = arrow_fs.FileSelector(f"{root}/batches", recursive=True, allow_not_found=True)
        with _translated(self.address):
            found = system.get_file_info(selector)
        return sorted(
            info.path.split("/")[-2]
            for info in found
            if info.base_name == _COMMIT and info.type == arrow_fs.FileType.File
        )

    def get(self, key: str) -> dict[str, pa.Table]:
        """The rows of a batch, by the table that they belong to.

        Raises:
            StoreError: it cannot be read.
            TransientError: the store cannot be reached.
        """
        system, root = _open(self.address)
        folder = f"{root}/batches/{key}"
        with _translated(folder):
            try:
                with system.open_input_stream(f"{folder}/{_COMMIT}") as stream:
                    listed = json.loads(stream.read())["tables"]
                known = [name for name in TABLES.values() if name in listed]
                return {
                    name: pq.read_table(f"{folder}/{name}.parquet", filesystem=system)
                    for name in known
                }
            except (ValueError, KeyError, TypeError, pa.ArrowException) as error:
                raise StoreError(
                    f"batch {key} of {self.address} cannot be read: {error}"
                ) from error

    def drop(self, key: str) -> None:
        """Removes a batch, its commit first."""
        system, root = _open(self.address)
        folder = f"{root}/batches/{key}"
        with _translated(folder):
            with contextlib.suppress(FileNotFoundError):
                system.delete_file(f"{folder}/{_COMMIT}")
            with contextlib.suppress(FileNotFoundError):
                system.delete_dir(folder)


def _open(address: str) -> tuple[arrow_fs.FileSystem, str]:
    try:
        system, root = arrow_fs.FileSystem.from_uri(address)
    except (pa.ArrowInvalid, OSError) as error:
        raise UsageError(
            f"{address} is neither an absolute path nor the address of a store: {error}"
        ) from error
    return system, root.rstrip("/")


def _write(system: arrow_fs.FileSystem, path: str, data: memoryview | bytes | pa.Buffer) -> None:
    """Writes a file that is seen whole or not at all."""
    if not isinstance(system, arrow_fs.LocalFileSystem):
        with system.open_output_stream(path) as stream:
            stream.write(data)
        return
    folder, _, name = path.rpartition("/")
    system.create_dir(folder, recursive=True)
    temporary = f"{folder}/.{name}.{uuid.uuid4().hex[:12]}.part"
    with open(temporary, "wb") as file:  # noqa: PTH123
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)  # noqa: PTH105


@contextlib.contextmanager
def _translated(path: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise StoreError(f"{path} is missing: {error}") from error
    except OSError as error:
        if is_storage_full(error):
            raise StorageFullError(f"no room for {path}") from error
        raise TransientError(f"{path} cannot be reached: {error}") from error
