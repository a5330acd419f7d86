"""Files on a disk in the place of a zip's members: an unpacked app, or the splits of one app."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gaugenn.apps.directory import STORED, Entry
from gaugenn.apps.limits import Account, Limits
from gaugenn.content import open_file
from gaugenn.errors import PackageError
from gaugenn.records import digest


class Container(Protocol):
    """What a walk needs of a zip, or of files that stand for one."""

    @property
    def account(self) -> Account:
        """Limits and counters."""

    @property
    def entries(self) -> Sequence[Entry]:
        """The members."""

    def find(self, name: str) -> Entry | None:
        """The first member of that name."""

    def head(self, entry: Entry, count: int) -> bytes:
        """The first bytes of a member."""

    def read(self, entry: Entry) -> memoryview:
        """A member's bytes."""

    def stored(self, entry: Entry) -> memoryview | None:
        """A member's bytes where they cost nothing, unchecked; else None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileOnDisk:
    """One of the files: where it lies, and its size when it was found."""

    path: Path
    size_bytes: int


class Files:
    """Files by the names that they would have in a package.

    Args:
        files: name with `/` separators -> file. Nothing else is ever opened.
        limits: what the files and the containers among them may cost.

    Attributes:
        entries: the files, in the order given, as members that are stored.
    """

    __slots__ = ("_by_name", "_paths", "account", "entries")

    def __init__(self, files: Mapping[str, FileOnDisk], limits: Limits | None = None) -> None:
        self.account = Account(limits=limits or Limits())
        names = list(files)[: self.account.room]
        if len(names) < len(files):
            self.account.note("limit-members")
        self.account.members += len(names)
        self._paths = [files[name].path for name in names]
        self.entries: Sequence[Entry] = [
            Entry(name, 0, STORED, 0, files[name].size_bytes, files[name].size_bytes, number)
            for number, name in enumerate(names)
        ]
        self._by_name = {entry.name: entry for entry in self.entries}

    @property
    def size_bytes(self) -> int:
        """Of all files together."""
        return sum(entry.size_bytes for entry in self.entries)

    def find(self, name: str) -> Entry | None:
        """The file of that name."""
        return self._by_name.get(name)

    def head(self, entry: Entry, count: int) -> bytes:
        """The first `count` bytes of a file.

        Raises:
            PackageError: the file cannot be opened any more.
        """
        return bytes(self.read(entry)[:count])

    def read(self, entry: Entry) -> memoryview:
        """A file, memory-mapped.

        Raises:
            PackageError: the file cannot be opened any more.
        """
        try:
            return open_file(self._paths[entry.offset]).data
        except OSError as error:
            raise PackageError(f"{entry.name}: cannot be opened: {error.strerror}") from error

    def stored(self, entry: Entry) -> memoryview | None:
        """The same as `read`.

        Raises:
            PackageError: as `read`.
        """
        return self.read(entry)

    def digest(self) -> str:
        """SHA-256 over the names and the SHA-256 of every file; a file that is gone counts as empty."""
        return digest([[entry.name, self._sha256(entry)] for entry in sorted(self.entries)])

    def _sha256(self, entry: Entry) -> str:
        try:
            return open_file(self._paths[entry.offset]).sha256()
        except OSError:
            return ""
