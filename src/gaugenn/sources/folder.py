"""Packages that lie in a folder already, with an optional file of what a store says of them."""

import os
from collections.abc import Iterator
from pathlib import Path

from gaugenn.content import path_of, path_text
from gaugenn.errors import SourceError, UsageError
from gaugenn.records import AppRef
from gaugenn.sources import _metadata
from gaugenn.sources._contract import AppQuery, AppSource, SourceOptions
from gaugenn.sources._names import PACKAGE_SUFFIXES

_ZIP = b"PK\x03\x04"


class FolderSource(AppSource):
    """Lists every package below a folder: by its name, or because it is a zip. Copies nothing.

    A row of the metadata is for the file that its `file` names, relative to the folder, else for the
    file that is called like its `package`.
    """

    title = "Folder"
    spec = "https://developer.android.com/guide/app-bundle/app-bundle-format"

    def __init__(self, address: str, options: SourceOptions) -> None:
        """See `AppSource`."""
        super().__init__(os.path.normpath(address) if address else "", options)
        if not Path(self.address).is_dir() or not address:
            raise UsageError(f"{address!r} is no folder")

    def search(self, query: AppQuery) -> Iterator[AppRef]:
        """The packages, in the order of their paths."""
        stated: dict[str, _metadata.Fields] = {}
        if self.options.metadata is not None:
            for file, fields in _metadata.rows(self.options.metadata):
                stated[file or str(fields.get("package", ""))] = fields
        folder = Path(self.address)
        for parent, folders, files in os.walk(folder):
            folders.sort()
            for name in sorted(files):
                path = Path(parent) / name
                if not _is_package(path):
                    continue
                relative = path.relative_to(folder).as_posix()
                fields = next(
                    (stated[key] for key in (relative, name, path.stem) if key in stated), {}
                )
                text = path_text(relative)
                ref = self._listed(
                    reference=text,
                    location=text,
                    size_bytes=path.stat().st_size,
                    **fields,
                )
                if query.wants(ref) or (
                    query.text and query.text.casefold() in relative.casefold()
                ):
                    yield ref

    def fetch(self, ref: AppRef, into: Path) -> Path:  # noqa: ARG002
        """Where the file lies."""
        path = path_of(str(Path(self.address) / ref.location))
        if not path.is_file():
            raise SourceError(f"{path} is not there any more")
        return path


def _is_package(path: Path) -> bool:
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return path.suffix.lower() in PACKAGE_SUFFIXES or file.read(len(_ZIP)) == _ZIP
    except OSError:
        return False
