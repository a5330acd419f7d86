"""The checkpoint that belongs to a TensorFlow graph, and what it has of the graph's variables."""

from collections.abc import Iterable

from gaugenn.content import Content
from gaugenn.formats._tensorflow_bundle import Bundle
from gaugenn.graph import DataType, Shape, Tensor

_SAVED = "variables/variables.index"


def index_of(content: Content, kind: str) -> Content | None:
    """The table of the checkpoint that belongs to a file."""
    if kind == "SavedModel":
        return content.beside(_SAVED)
    return content.sibling(".index", replacing=".meta")


class Values:
    """What a checkpoint has of the variables."""

    def __init__(self, index: Content, folder: str) -> None:
        self._bundle = Bundle(index)
        self._keys = self._bundle.aliases()
        self._names = (index.file_name,)
        self._folder = folder

    @property
    def companions(self) -> tuple[str, ...]:
        """Names of the files, relative to the graph's folder."""
        return tuple(sorted(self._folder + each for each in (*self._names, *self._bundle.used)))

    def data(self, names: Iterable[str], dtype: DataType, shape: Shape) -> memoryview | None:
        """The value under the first name that the checkpoint has, if it is what it should be."""
        for name in names:
            entry = self._bundle.entries.get(self._keys.get(name, name))
            if entry is None or entry.sliced or (entry.dtype, entry.shape) != (dtype, shape):
                continue
            held = self._bundle.bytes_of(entry)
            return held if held is None or held.nbytes == _size_bytes(dtype, shape) else None
        return None


def _size_bytes(dtype: DataType, shape: Shape) -> int | None:
    return Tensor(name="", dtype=dtype, shape=shape).size_bytes


def values_of(content: Content, kind: str) -> Values | None:
    index = index_of(content, kind)
    if index is None:
        return None
    return Values(index, "variables/" if kind == "SavedModel" else "")
