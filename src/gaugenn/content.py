"""Bytes with a name: the one form in which file contents travel.

A reader gets a `Content` and never opens a file itself. Other files of the same folder (the weights
beside a graph, ONNX external data) are reached only through the content, so no path taken from a
hostile file can leave the folder or package it came from.
"""

import errno
import hashlib
import mmap
import os
import posixpath
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

Neighbours = Callable[[str], "Content | None"]
"""Maps a file name, relative to the content's folder and free of `..`, to that file's content."""


RELEASED_BYTES = 1 << 20
"""Runs of at least so many bytes are given back to the file cache once they were passed."""

_BLOCK_BYTES = 4 << 20
_PAGES = 2 << 20
"""The largest piece of a file that Linux maps at one touch (a huge page on x86-64 and AArch64).

**Source:** https://docs.kernel.org/admin-guide/mm/transhuge.html
"""


_NO_UTF8 = re.compile(r"\\u(dc[89a-f][0-9a-f])")
"""A byte that is no UTF-8 as Python escapes it. **Source:** https://peps.python.org/pep-0383/"""


def _no_neighbours(_name: str) -> "Content | None":
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A file's bytes, memory-mapped where they come from a disk.

    Attributes:
        name: where the bytes were found: a path, or a member path inside a package (`/` separators).
            For messages and suffixes only; nothing opens it.
        data: the whole file, read-only bytes ("B" format, contiguous).
        neighbours: looks up other files of the same folder; see `sibling` and `beside`.
    """

    name: str
    data: memoryview
    neighbours: Neighbours = field(default=_no_neighbours, repr=False, compare=False)

    @property
    def size_bytes(self) -> int:
        """Size of the file."""
        return self.data.nbytes

    @property
    def file_name(self) -> str:
        """Last part of the name."""
        return posixpath.basename(self.name.replace(os.sep, "/"))

    def head(self, count: int) -> bytes:
        """A copy of the first `count` bytes (fewer when the file is shorter)."""
        return bytes(self.data[:count])

    def has_suffix(self, *suffixes: str) -> bool:
        """Whether the file name ends with one of the suffixes, ignoring case."""
        return self.file_name.lower().endswith(tuple(s.lower() for s in suffixes))

    def sha256(self) -> str:
        """Digest of the whole file, lower-case hex. Reads every byte; uses the CPU's SHA unit."""
        state = hashlib.sha256()
        for block in blocks(self.data):
            state.update(block)
        return state.hexdigest()

    def sibling(self, suffix: str, replacing: str | None = None) -> "Content | None":
        """The file of the same folder whose name is this one's with another suffix.

        Args:
            suffix: the other file's suffix, with its dot: `.bin`.
            replacing: the part of this file's name to replace; by default the text after the last
                dot. For `x.param.bin` give `.param.bin`.
        """
        if replacing is None:
            stem = self.file_name.rpartition(".")[0] or self.file_name
        elif self.has_suffix(replacing):
            stem = self.file_name[: -len(replacing)]
        else:
            return None
        return self.beside(stem + suffix)

    def beside(self, name: str) -> "Content | None":
        """A file by its name relative to this file's folder, or None.

        Absolute names, drive letters, NULs and names that climb out of the folder give None.
        """
        name = name.replace("\\", "/")
        clean = posixpath.normpath(name)
        if not name or "\0" in name or ":" in name or clean.startswith(("/", "..")) or clean == ".":
            return None
        return self.neighbours(clean)


def path_text(path: Path | str) -> str:
    r"""A path as the store keeps it: bytes of a name that are no UTF-8 as `\udcff`, for 0xFF."""
    return os.fspath(path).encode("utf-8", "backslashreplace").decode()


def path_of(text: str) -> Path:
    """The path that `path_text` gave, where it is there; else the text as it stands."""
    path = Path(text)
    if "\\udc" in text and not os.path.lexists(path):
        escaped = Path(_NO_UTF8.sub(lambda found: chr(int(found[1], 16)), text))
        if os.path.lexists(escaped):
            return escaped
    return path


def blocks(data: memoryview) -> Iterator[memoryview]:
    """The data in turn, in pieces of a few megabytes that are released once the next is asked for."""
    for start in range(0, data.nbytes, _BLOCK_BYTES):
        block = data[start : start + _BLOCK_BYTES]
        yield block
        release(block)


def release(data: memoryview) -> None:
    """Unmaps the pages of a file around a large piece of it; they are mapped again when touched.

    A page that is touched brings its neighbours along, up to two megabytes of them, so without this a
    model whose weights are only stepped over would count as resident memory. The bytes stay in the
    system's file cache. Does nothing for small pieces and for bytes that are not mapped from a file.

    Args:
        data: format "B", contiguous.
    """
    mapped = data.obj
    advice: int | None = getattr(mmap, "MADV_DONTNEED", None)
    if data.nbytes < RELEASED_BYTES or advice is None or not isinstance(mapped, mmap.mmap):
        return
    offset = _address(data) - _address(mapped)
    start = offset // _PAGES * _PAGES
    end = min(-(-(offset + data.nbytes) // _PAGES) * _PAGES, len(mapped))
    mapped.madvise(advice, start, end - start)


def _address(data: memoryview | mmap.mmap) -> int:
    address: int = np.frombuffer(data, dtype=np.uint8).__array_interface__["data"][0]
    return address


def from_bytes(
    name: str, data: bytes | memoryview, neighbours: Neighbours = _no_neighbours
) -> Content:
    """A content held in memory."""
    return Content(name=name, data=memoryview(data).toreadonly().cast("B"), neighbours=neighbours)


def open_file(path: Path, name: str | None = None) -> Content:
    """Memory-maps a file. Its neighbours are the regular files of its own folder and below.

    Args:
        path: the file to map. Symbolic links to it are followed, those of neighbours are not.
        name: the name to carry; the path as given by default.

    Raises:
        OSError: the file cannot be opened.
    """
    folder = path.parent

    def neighbours(relative: str) -> Content | None:
        other = folder / relative
        try:
            inside = other.resolve().is_relative_to(folder.resolve())
            return open_file(other) if inside and other.is_file() else None
        except OSError:
            return None

    return Content(name=name or path.as_posix(), data=_map(path), neighbours=neighbours)


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def _map(path: Path) -> memoryview:
    # A pipe without a writer would block the opening; a device has no size and no end.
    with open(path, "rb", opener=_open_at_once) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        size = status.st_size
        if size == 0:
            return memoryview(b"")
        return memoryview(mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ))
