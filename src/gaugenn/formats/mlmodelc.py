"""Compiled Core ML models (`.mlmodelc`), as they lie in app packages: a folder for each model.

Networks are `model.espresso.net` with `.shape` and `.weights` beside it, programs are `model.mil` with
the folder `weights`. The other files of the folder (`coremldata.bin`, `metadata.json`) repeat or
describe what stands there; models of classical learning have nothing else and are not read.

Notes: `weights-absent`, `weights-packed` (in a layout that is not unpacked here).
"""

import re
from typing import ClassVar

from gaugenn.content import Content
from gaugenn.errors import FormatError, UnsupportedFormatError
from gaugenn.formats._contract import FormatReader, Magic
from gaugenn.formats._coreml_espresso import Network
from gaugenn.formats._coreml_program import Program
from gaugenn.formats._coreml_program_text import read_program
from gaugenn.formats._coreml_weights import weight_files
from gaugenn.graph import Model

_NET, _SHAPES, _WEIGHTS = ".espresso.net", ".espresso.shape", ".espresso.weights"
_PROGRAM = re.compile(rb"\s*program\s*\(\s*\d+(?:\.\d+)?\s*\)\s*[\[{]")
_COMPRESSED = b"pbze"
_MOST_TEXT_BYTES = 256 << 20


class MlmodelcReader(FormatReader):
    """Reads the graphs of compiled Core ML models."""

    title: ClassVar[str] = "Core ML, compiled"
    spec: ClassVar[str] = (
        "https://apple.github.io/coremltools/docs-guides/source/model-exporting.html"
    )
    suffixes: ClassVar[tuple[str, ...]] = (_NET, ".mil")
    weights_suffixes: ClassVar[tuple[str, ...]] = (_WEIGHTS, _SHAPES)
    magics: ClassVar[tuple[Magic, ...]] = ((0, b"program("),)

    def sniff(self, name: str, head: bytes) -> bool:
        """The first words of a program, or under the name of a network JSON with its keys."""
        if _PROGRAM.match(head):
            return True
        if head.startswith(_COMPRESSED):
            return name.lower().endswith(_NET)
        if not head.lstrip().startswith(b"{"):
            return False
        named = name.lower().endswith(_NET)
        keys = (b'"layers"', b'"storage"', b'"format_version"', b'"metadata_in_weights"')
        found = sum(key in head for key in keys)
        return found >= (1 if named else 3)

    def read(self, content: Content) -> Model:
        """Reads the network or every function of the program.

        Raises:
            FormatError: not a whole, consistent graph, or weights that do not fit it.
            UnsupportedFormatError: a network that is compressed.
        """
        try:
            if _PROGRAM.match(content.head(4096)):
                return _program(content)
            return _network(content)
        except FormatError as error:
            if str(error).startswith(content.name):
                raise
            raise type(error)(f"{content.name}: {error}") from error

    def companions(self, content: Content) -> tuple[Content, ...]:
        """Shapes and weights of a network, weights of a program."""
        if _PROGRAM.match(content.head(4096)):
            return weight_files(content)
        found = (content.sibling(suffix, replacing=_NET) for suffix in (_WEIGHTS, _SHAPES))
        return tuple(each for each in found if each is not None)


def _network(content: Content) -> Model:
    if content.head(4) == _COMPRESSED:
        raise UnsupportedFormatError("a network that is compressed with LZFSE, which is not read")
    shapes = content.sibling(_SHAPES, replacing=_NET)
    weights = content.sibling(_WEIGHTS, replacing=_NET)
    network = Network(content, shapes, weights)
    graph = network.graph()
    return Model(
        format="mlmodelc",
        format_version=network.version,
        producer="",
        graphs=(graph,),
        companions=tuple(sorted(each.file_name for each in (shapes, weights) if each is not None)),
        notes=tuple(sorted(network.notes)),
    )


def _program(content: Content) -> Model:
    if content.size_bytes > _MOST_TEXT_BYTES:
        raise FormatError(f"a program of {content.size_bytes} bytes, at most {_MOST_TEXT_BYTES}")
    version, functions = read_program(str(content.data, "utf-8", "backslashreplace"))
    program = Program(content)
    graphs = program.graphs(functions)
    if not any(graph.nodes for graph in graphs):
        raise FormatError("a program without an operation")
    return Model(
        format="mlmodelc",
        format_version=version,
        producer="",
        graphs=graphs,
        companions=program.companions,
        notes=tuple(sorted(program.notes)),
    )
