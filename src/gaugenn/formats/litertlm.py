"""LiteRT-LM bundles (`.litertlm`): the TensorFlow Lite models of a language model in one file.

Behind a header lie sections: models, their weights where these are kept apart, tokenizers, settings.
`Model.graphs` has the sub-graphs of the first model, then those of the next; the main graphs of the
others and what each is for stand in the metadata (`section 3`).

Notes: those of the models, see `gaugenn.formats.tflite`.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from gaugenn.content import Content, from_bytes
from gaugenn.errors import FormatError, UnsupportedFormatError
from gaugenn.formats._contract import FormatReader, Magic
from gaugenn.formats._flatbuffers import FlatBuffer, Table
from gaugenn.formats.tflite import TfliteReader
from gaugenn.graph import Graph, GraphReference, Model, Node

_MAGIC = b"LITERTLM"
_HEADER = struct.Struct("<8s4IQ")
"""Magic, version in three numbers, padding, end of the section table that follows.

**Source:** https://github.com/google-ai-edge/LiteRT-LM/blob/main/schema/core/litertlm_read.cc
"""

_MAJOR = 1
_MOST_SECTIONS = 1024

_KINDS = (
    "none",
    "data",
    "outdated",
    "model",
    "SentencePiece tokenizer",
    "settings of the language model",
    "Hugging Face tokenizer",
    "weights",
    "settings of the executor",
)
_MODEL, _WEIGHTS = 3, 7
"""Kinds of sections, by their numbers in the file. **Source:** the specification of the reader."""

_VALUE_KINDS = (
    *("", "u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "str", "u64", "i64"),
    "f64",
)
"""Types of a section's properties, by their numbers in the union. **Source:** the same."""


class LitertLmReader(FormatReader):
    """Reads LiteRT-LM bundles."""

    title: ClassVar[str] = "LiteRT-LM"
    spec: ClassVar[str] = (
        "https://github.com/google-ai-edge/LiteRT-LM/blob/main/schema/core/litertlm_header_schema.fbs"
    )
    suffixes: ClassVar[tuple[str, ...]] = (".litertlm",)
    magics: ClassVar[tuple[Magic, ...]] = ((0, _MAGIC),)

    def sniff(self, name: str, head: bytes) -> bool:
        """Eight letters at the beginning."""
        del name
        return head.startswith(_MAGIC)

    def read(self, content: Content) -> Model:
        """Reads every model in the bundle; weights stay in the mapped file.

        Raises:
            FormatError: not a whole bundle, no model in it, or one that is broken.
            UnsupportedFormatError: a newer version of the format.
        """
        try:
            return _read(content)
        except FormatError as error:
            if str(error).startswith(content.name):
                raise
            raise type(error)(f"{content.name}: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Section:
    """A part of the file.

    Attributes:
        kind: number of its kind.
        data: its bytes.
        properties: what the file says about it, as text.
    """

    kind: int
    data: memoryview
    properties: Mapping[str, str]

    @property
    def role(self) -> str:
        """What the model is for, or whose weights these are: `tf_lite_prefill_decode`."""
        return self.properties.get("model_type", "")


def _read(content: Content) -> Model:
    if content.size_bytes < _HEADER.size:
        raise FormatError(f"{content.size_bytes} bytes, the header alone has {_HEADER.size}")
    magic, major, minor, patch, _, end = _HEADER.unpack_from(content.data)
    if magic != _MAGIC:
        raise FormatError(f"the file begins with {magic!r}; expected {_MAGIC!r}")
    if major != _MAJOR:
        raise UnsupportedFormatError(f"version {major}.{minor}.{patch}; version {_MAJOR} is read")
    if not _HEADER.size < end <= content.size_bytes:
        raise FormatError(f"the section table ends at {end} of {content.size_bytes} bytes")
    root = FlatBuffer(content.data[_HEADER.size : end], content.name).root()
    sections = _sections(root, content)
    metadata = _properties(root.table(0))
    graphs: list[Graph] = []
    notes: set[str] = set()
    producer = ""
    for number, section in enumerate(sections):
        told = ", ".join(f"{key}={value}" for key, value in sorted(section.properties.items()))
        kind = _KINDS[section.kind] if section.kind < len(_KINDS) else f"kind {section.kind}"
        place = ""
        if section.kind == _MODEL:
            inner = TfliteReader().read(_as_file(section, sections, number))
            place = f", graphs from {len(graphs)}"
            graphs += _moved(inner.graphs, len(graphs))
            notes.update(inner.notes)
            producer = producer or inner.producer
        metadata[f"section {number}"] = f"{kind}{': ' * bool(told)}{told}{place}"
    if not graphs:
        raise FormatError(f"none of {len(sections)} sections is a model")
    return Model(
        format="litertlm",
        format_version=f"{major}.{minor}.{patch}",
        producer=producer,
        graphs=tuple(graphs),
        metadata=metadata,
        notes=tuple(sorted(notes)),
    )


def _sections(root: Table, content: Content) -> list[_Section]:
    held = root.table(1)
    tables = () if held is None else held.tables(0)
    if len(tables) > _MOST_SECTIONS:
        raise FormatError(f"{len(tables)} sections, more than {_MOST_SECTIONS}")
    found: list[_Section] = []
    free = 0
    for table in tables:
        start, stop = table.integer(1, "u64"), table.integer(2, "u64")
        if not free <= start <= stop <= content.size_bytes:
            raise FormatError(
                f"a section takes the bytes {start} to {stop}; {free} to {content.size_bytes} are free"
            )
        free = stop
        found.append(
            _Section(
                kind=table.integer(3, "u8"),
                data=content.data[start:stop],
                properties=_properties(table),
            )
        )
    return found


def _properties(table: Table | None) -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in () if table is None else table.tables(0):
        member, value = entry.union(1)
        kind = _VALUE_KINDS[member] if member < len(_VALUE_KINDS) else ""
        if value is None or not kind:
            continue
        if kind == "str":
            text = value.string(0)
        elif kind == "bool":
            text = str(value.boolean(0)).lower()
        elif kind.startswith("f"):
            text = f"{value.real(0, kind):g}"
        else:
            text = str(value.integer(0, kind))
        found[entry.string(0)] = text
    return found


def _as_file(section: _Section, sections: list[_Section], number: int) -> Content:
    """A model as a file of its own, with the weights of the same role beside it under any name."""
    weights = [each for each in sections if each.kind == _WEIGHTS and each.role == section.role]

    def beside(name: str) -> Content | None:
        return from_bytes(name, weights[0].data) if len(weights) == 1 else None

    return from_bytes(f"section {number}", section.data, beside)


def _moved(graphs: tuple[Graph, ...], by: int) -> list[Graph]:
    """Graphs whose references to each other count from further on."""
    if not by:
        return list(graphs)
    return [
        replace(graph, nodes=tuple(_node(node, by) for node in graph.nodes)) for graph in graphs
    ]


def _node(node: Node, by: int) -> Node:
    if not any(isinstance(value, GraphReference) for value in node.attributes.values()):
        return node
    moved = {
        name: GraphReference(value.index + by) if isinstance(value, GraphReference) else value
        for name, value in node.attributes.items()
    }
    return replace(node, attributes=moved)
