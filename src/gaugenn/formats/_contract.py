"""What a model format must provide. What it must deliver is at the head of `gaugenn.graph`."""

from abc import ABC, abstractmethod
from typing import ClassVar

from gaugenn.content import Content
from gaugenn.graph import Model

HEAD_BYTES = 4096
"""How much of a file `sniff` may ask to see."""

Magic = tuple[int, bytes]
"""An offset and the bytes that stand there."""


class FormatReader(ABC):
    """Reads one model file format. Stateless: one instance serves every file, in any thread."""

    title: ClassVar[str]
    """The format's own name, for people: `TensorFlow Lite`."""
    spec: ClassVar[str]
    """Address of the document or schema that the reader was written from."""
    suffixes: ClassVar[tuple[str, ...]]
    """Suffixes that nominate a file for this format, with dots, lower case, most usual first."""
    weights_suffixes: ClassVar[tuple[str, ...]] = ()
    """Suffixes of a weights-only half that belongs to a graph file with the same stem."""
    magics: ClassVar[tuple[Magic, ...]] = ()
    """Bytes that (nearly) every file of the format begins with, at their offsets. They are what a
    model is found by under an XOR or behind a foreign header: four bytes or more are proof enough,
    fewer make it an attempt that only a whole read confirms."""

    @abstractmethod
    def sniff(self, name: str, head: bytes) -> bool:
        """Whether the bytes look like this format. Cheap; content decides, the name breaks ties.

        Args:
            name: file name or member path.
            head: the first `HEAD_BYTES` bytes, or all of a shorter file.
        """

    @abstractmethod
    def read(self, content: Content) -> Model:
        """Reads the whole graph. Weights stay in the mapped file.

        Raises:
            FormatError: anything that is not a whole, consistent model of this format. No other
                exception may leave a reader, whatever the bytes.
        """

    def companions(self, content: Content) -> tuple[Content, ...]:
        """Other files that belong to this model (weights beside a graph), found without a full read.

        Each one's name must be usable with `content.beside`, relative to the graph's folder.
        """
        found = (content.sibling(suffix) for suffix in self.weights_suffixes)
        return tuple(c for c in found if c is not None)

    def graph_names(self, name: str) -> tuple[str, ...]:
        """Graph files of the same folder that a file of this name may be the weights of.

        Only of pairs whose names share no stem (`__model__` and `__params__`); those that do are
        known by `weights_suffixes`.

        Args:
            name: a file name without its folder.
        """
        del name
        return ()
