"""Small files of every format, for the contract that all readers keep.

A format adds its samples in a module `samples_<format>.py` beside this one, with a function `samples()`
that gives them. Nothing has to be registered.
"""

import importlib
import posixpath
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from gaugenn.content import Content, from_bytes

FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A file that one reader must recognise and read.

    Attributes:
        name: what is special about it, as an identifier.
        format: the reader's name.
        source: makes the bytes, or a committed file relative to this folder.
        file_name: the name the file goes by; its suffix may matter.
        neighbours: other files of its folder by name.
        endings: lengths after which the file is a whole, smaller file of its format: a plain
            sequence of layers does not say how many there are.
        refused: words of the refusal, of a format that is only recognised.
    """

    name: str
    format: str
    source: Callable[[], bytes] | str
    file_name: str
    neighbours: Mapping[str, bytes] = field(default_factory=dict)
    endings: Callable[[bytes], Container[int]] = lambda _data: ()
    refused: str = ""

    def data(self) -> bytes:
        """The file's bytes."""
        return (
            (FOLDER / self.source).read_bytes() if isinstance(self.source, str) else self.source()
        )

    def content(self, data: bytes | None = None) -> Content:
        """The file, or other bytes in its place."""

        def beside(folder: str) -> Callable[[str], Content | None]:
            def neighbour(name: str) -> Content | None:
                path = posixpath.normpath(posixpath.join(folder, name))
                found = self.neighbours.get(path)
                inner = beside(posixpath.dirname(path))
                return None if found is None else from_bytes(path, found, inner)

            return neighbour

        return from_bytes(self.file_name, self.data() if data is None else data, beside(""))


def all_samples() -> tuple[Sample, ...]:
    """The samples of every format that is read, in name order of their modules."""
    return tuple(sample for sample in _samples() if not sample.refused)


def refused_samples() -> tuple[Sample, ...]:
    """The samples of formats that are only recognised."""
    return tuple(sample for sample in _samples() if sample.refused)


@cache
def _samples() -> tuple[Sample, ...]:
    found: list[Sample] = []
    for path in sorted(FOLDER.glob("samples_*.py")):
        module = importlib.import_module(f"tests.formats.{path.stem}")
        given: Iterable[Sample] = module.samples()
        found += given
    names = [(sample.format, sample.name) for sample in found]
    assert len(set(names)) == len(names), "two samples of a format have the same name"
    return tuple(found)
