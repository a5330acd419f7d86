"""Files under their SHA-256: written once, never changed, safe for any number of writers."""

import hashlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from gaugenn.errors import StorageFullError, StoreError, is_storage_full

if TYPE_CHECKING:
    from gaugenn.store._shared import SharedBlobs


class Blobs:
    """A folder of content-addressed files: `<first two hex digits>/<sha256>`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, sha256: str) -> Path:
        """Where a blob lies, or would lie.

        Raises:
            StoreError: not a SHA-256 in lower-case hex.
        """
        return self._folder / require_digest(sha256)[:2] / sha256

    def put(self, data: memoryview, sha256: str) -> Path:
        """Stores bytes under their digest; does nothing when they are there already.

        Raises:
            StorageFullError: no room; nothing partial is left behind.
        """
        path = self.path(sha256)
        if path.is_file() and path.stat().st_size == data.nbytes:
            return path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._write(path, data)
        except OSError as error:
            if is_storage_full(error):
                raise StorageFullError(
                    f"no room for {data.nbytes} bytes in {path.parent}"
                ) from error
            raise
        return path

    def take(self, sha256: str, other: "SharedBlobs") -> None:
        """Copies a blob from another store; does nothing when it is here already.

        Raises:
            StoreError: it is missing there or was changed.
            StorageFullError: no room.
        """
        path = self.path(sha256)
        if path.is_file():
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            other.fetch(sha256, path.parent)
        except OSError as error:
            if is_storage_full(error):
                raise StorageFullError(f"no room for a blob in {path.parent}") from error
            raise

    def _write(self, path: Path, data: memoryview) -> None:
        handle, name = tempfile.mkstemp(prefix=".", suffix=".part", dir=path.parent)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    def verify(self, sha256: str) -> None:
        """Reads a blob and checks its digest.

        Raises:
            StoreError: it is missing or was changed.
        """
        path = self.path(sha256)
        try:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            raise StoreError(f"blob {sha256} is missing from {self._folder}") from None
        if found != sha256:
            raise StoreError(f"blob {sha256} was changed: its bytes have digest {found}")

    def fetch(self, sha256: str, into: Path) -> Path:
        """Where a blob lies on this machine, with its digest checked; `into` is not needed.

        Raises:
            StoreError: it is missing or was changed.
        """
        del into
        self.verify(sha256)
        return self.path(sha256)

    def sweep(self) -> None:
        """Removes what an interrupted `put` left. Only while nobody else writes."""
        for leftover in self._folder.glob("??/.*.part"):
            leftover.unlink(missing_ok=True)


def require_digest(sha256: str) -> str:
    """The digest as it was given.

    Raises:
        StoreError: not a SHA-256 in lower-case hex.
    """
    if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
        raise StoreError(f"{sha256!r} is no SHA-256 digest in lower-case hex")
    return sha256
