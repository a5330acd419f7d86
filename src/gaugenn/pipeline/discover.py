"""From the paths a user gives to the files that are worth a scan."""

import glob
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gaugenn.content import open_file, path_text
from gaugenn.errors import UsageError
from gaugenn.records import Failure

_BINARY_XML = b"\x03\x00\x08\x00"
"""**Source:** AOSP ResourceTypes.h, ResXMLTree_header: type 0x0003, header of 8 bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFile:
    """A regular file under the given paths.

    Attributes:
        path: as given, normalised; below a folder, the folder's path and the rest.
        size_bytes: when it was found.
        modified_ns: modification time, nanoseconds since the epoch.
        named: the user gave this very file, so it deserves a row whatever it is.
    """

    path: Path
    size_bytes: int
    modified_ns: int
    named: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundApp:
    """Several files that are one app: a base APK and its splits, or an unpacked app.

    Attributes:
        path: what stands for the app: its base, or its folder.
        files: name inside the app, with `/` separators, and the file.
        unpacked: the files of an unpacked app.
        named: the user gave this very folder.
    """

    path: Path
    files: tuple[tuple[str, FoundFile], ...]
    unpacked: bool
    named: bool

    @property
    def size_bytes(self) -> int:
        """Of all files."""
        return sum(file.size_bytes for _, file in self.files)

    @property
    def modified_ns(self) -> int:
        """Of the newest file."""
        return max((file.modified_ns for _, file in self.files), default=0)


def discover(paths: Iterable[Path | str]) -> Iterator[FoundFile | FoundApp | Failure]:
    """Every regular file under files, folders and glob patterns, once, in a stable order.

    A folder that holds an unpacked app is one `FoundApp`, with all the files below it. Symbolic links
    to files are followed, links to folders below a given folder are not (they may run in circles).
    What cannot be entered is a `Failure`, and the walk goes on.

    Raises:
        UsageError: a path that does not exist and is no pattern that matches.
    """
    seen: set[str] = set()
    for given in paths:
        for path in _expand(str(given)):
            found = _walk(path) if path.is_dir() else (_look(path, named=True),)
            for item in found:
                key = f"failure {item.subject}" if isinstance(item, Failure) else str(item.path)
                if key not in seen:
                    seen.add(key)
                    yield item


def require_paths(paths: Iterable[Path | str]) -> None:
    """Looks whether every path is there, or is a pattern that matches.

    Raises:
        UsageError: one does not, and is not.
    """
    for given in paths:
        _expand(str(given))


def _expand(given: str) -> list[Path]:
    if not given:
        raise UsageError("an empty path was given")
    path = Path(os.path.normpath(given))
    if os.path.lexists(path):
        return [path]
    matches = sorted(glob.glob(given, recursive=True)) if glob.has_magic(given) else []
    if not matches:
        kind = "pattern matches no file" if glob.has_magic(given) else "no such file or folder"
        raise UsageError(f"{given}: {kind}")
    return [Path(os.path.normpath(match)) for match in matches]


def _walk(folder: Path) -> Iterator[FoundFile | FoundApp | Failure]:
    errors: list[OSError] = []
    for parent, folders, files in os.walk(folder, onerror=errors.append):
        folders.sort()
        if _is_unpacked(Path(parent), files, folders):
            yield from _unpacked(Path(parent), named=Path(parent) == folder)
            folders.clear()
            continue
        for error in errors:
            yield _failure(Path(error.filename), error)
        errors.clear()
        for name in sorted(files):
            yield _look(Path(parent) / name, named=False)
    for error in errors:
        yield _failure(Path(error.filename), error)


def _is_unpacked(folder: Path, files: list[str], folders: list[str]) -> bool:
    """Whether a folder holds what a package holds at its top: of an APK, an AAB, an IPA."""
    if "AndroidManifest.xml" in files:
        try:
            return open_file(folder / "AndroidManifest.xml").head(4) == _BINARY_XML
        except OSError:
            return False
    if "base" in folders and (folder / "base/manifest/AndroidManifest.xml").is_file():
        return True
    return "Payload" in folders and any(folder.glob("Payload/*.app/Info.plist"))


def _unpacked(folder: Path, *, named: bool) -> Iterator[FoundApp | Failure]:
    found: list[tuple[str, FoundFile]] = []
    for parent, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            item = _look(Path(parent) / name, named=False)
            if isinstance(item, Failure):
                yield item
            else:
                found.append((item.path.relative_to(folder).as_posix(), item))
    yield FoundApp(path=folder, files=tuple(found), unpacked=True, named=named)


def _look(path: Path, *, named: bool) -> FoundFile | Failure:
    try:
        status = path.stat()
    except OSError as error:
        return _failure(path, error)
    if not stat.S_ISREG(status.st_mode):
        return Failure(
            stage="discover",
            subject=path_text(path),
            error="UsageError",
            message=f"{path} is no regular file",
            transient=False,
        )
    return FoundFile(
        path=path, size_bytes=status.st_size, modified_ns=status.st_mtime_ns, named=named
    )


def _failure(path: Path, error: OSError) -> Failure:
    return Failure(
        stage="discover",
        subject=path_text(path),
        error=type(error).__name__,
        message=f"{path} cannot be read: {error.strerror}",
        transient=isinstance(error, PermissionError | FileNotFoundError),
    )
