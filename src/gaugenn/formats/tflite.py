"""TensorFlow Lite and LiteRT models.

One FlatBuffer; weights lie inside it, behind it in the same file (models above 2 GB), or in files
beside it. Graphs are channels-last. Sub-graph `i` of the file is `Model.graphs[i]`.

Notes: `identifier-stripped` (the four bytes `TFL3` were zeroed, the structure proves the format),
`weights-absent`, `weights-packed` (in a layout that only one library knows), `newer-operators` and
`newer-types` (codes beyond the schema this reader was written from), `accelerator-blob` (part of
the network is machine code for an accelerator), `flex-operators` (needs TensorFlow's own kernels).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from gaugenn.content import Content
from gaugenn.errors import FormatError, UnsupportedFormatError
from gaugenn.formats import (
    _tflite_metadata,
    _tflite_operators,
    _tflite_recurrent,
    _tflite_schema,
    _tflite_stablehlo,
)
from gaugenn.formats._contract import FormatReader, Magic
from gaugenn.formats._flatbuffers import Field, FlatBuffer, Table
from gaugenn.formats._operator_call import OMITTED, Call, Translation
from gaugenn.formats._tflite_schema import ModelField, OperatorField, SubgraphField
from gaugenn.formats._tflite_tensors import TensorSource, mark_absent_weights
from gaugenn.graph import (
    AttributeValue,
    Graph,
    GraphReference,
    Layout,
    Model,
    Node,
    Tensor,
    check_nodes,
)

_RULES = _tflite_operators.RULES | _tflite_recurrent.RULES | _tflite_stablehlo.RULES

_ACCELERATORS = ("edgetpu-custom-op", "ethos-u", "DISPATCH_OP")
"""Custom operators that hold or name machine code: Coral Edge TPU, Arm Ethos-U (Vela), and LiteRT's
precompiled graphs for Qualcomm, MediaTek and Google accelerators."""

_TRANSPOSE_CONV_BIAS = "Convolution2DTransposeBias"

_DEEPEST_CALLS = 32
"""Sub-graphs that call sub-graphs. Converters inline functions; loops nest a few deep."""

_MOST_SIGNATURES = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class _Code:
    """What an entry of the file's operator table means; `note` is what its use is worth saying."""

    name: str
    domain: str = ""
    note: str = ""


class TfliteReader(FormatReader):
    """Reads TensorFlow Lite files."""

    title: ClassVar[str] = "TensorFlow Lite"
    spec: ClassVar[str] = (
        "https://github.com/google-ai-edge/LiteRT/blob/main/tflite/converter/schema/schema.fbs"
    )
    suffixes: ClassVar[tuple[str, ...]] = (".tflite", ".tfl", ".lite")
    magics: ClassVar[tuple[Magic, ...]] = ((4, _tflite_schema.IDENTIFIER),)

    def sniff(self, name: str, head: bytes) -> bool:
        """The identifier at byte 4, or zeros there and a root table with this schema's version."""
        identifier = head[4:8]
        if identifier == _tflite_schema.IDENTIFIER:
            return True
        return identifier == bytes(4) and _looks_stripped(name, head)

    def read(self, content: Content) -> Model:
        """Reads every sub-graph; weights stay in the mapped file.

        Raises:
            FormatError: not a whole, consistent TensorFlow Lite file.
        """
        try:
            return _read(content)
        except FormatError as error:
            if str(error).startswith(content.name):
                raise
            raise type(error)(f"{content.name}: {error}") from error

    def companions(self, content: Content) -> tuple[Content, ...]:
        """The files that hold external weights."""
        try:
            root = FlatBuffer(content.data, content.name).root()
            groups = root.tables(ModelField.EXTERNAL_GROUPS)
            names = sorted({group.string(0) for group in groups})
        except FormatError:
            return ()
        return tuple(file for name in names if (file := content.beside(name)) is not None)


def read_dialect(content: Content, format_name: str, operators: Mapping[int, str]) -> Model:
    """A file of a format that shares this one's structure and adds operators.

    Args:
        content: the file.
        format_name: of its reader.
        operators: names of the added operators by their number, which is negative.

    Raises:
        FormatError: not a whole, consistent file.
    """
    reading = _Reading(content, FlatBuffer(content.data, content.name).root(), operators)
    graphs = reading.graphs()
    return Model(
        format=format_name,
        format_version=str(reading.root.integer(ModelField.VERSION, "u32")),
        producer="",
        graphs=graphs,
        metadata=reading.metadata(graphs),
        companions=reading.source.companions,
        notes=tuple(sorted(reading.source.notes)),
    )


def _read(content: Content) -> Model:
    buffer = FlatBuffer(content.data, content.name)
    root = buffer.root()
    is_stripped = bytes(content.data[4:8]) != _tflite_schema.IDENTIFIER
    if is_stripped:
        _prove(root, content)
    version = root.integer(ModelField.VERSION, "u32")
    if version != _tflite_schema.VERSION:
        raise UnsupportedFormatError(
            f"{content.name}: schema version {version}; expected {_tflite_schema.VERSION}"
        )
    reading = _Reading(content, root)
    graphs = reading.graphs()
    if is_stripped:
        reading.source.notes.add("identifier-stripped")
    metadata = reading.metadata(graphs)
    description = root.string(ModelField.DESCRIPTION)
    producer, converted, _ = description.partition(" Converted.")
    return Model(
        format="tflite",
        format_version=str(version),
        producer=producer if converted else "",
        graphs=graphs,
        metadata=metadata,
        companions=reading.source.companions,
        notes=tuple(sorted(reading.source.notes)),
    )


def _looks_stripped(name: str, head: bytes) -> bool:
    """Whether the head has a root table with this schema's version, operator codes and sub-graphs."""
    try:
        root = FlatBuffer(memoryview(head), name).root()
        return root.integer(ModelField.VERSION, "u32") == _tflite_schema.VERSION and all(
            root.has(field)
            for field in (ModelField.OPERATOR_CODES, ModelField.SUBGRAPHS, ModelField.BUFFERS)
        )
    except FormatError:
        return False


def _prove(root: Table, content: Content) -> None:
    """Accepts a file without identifier only when its structure leaves no doubt.

    Raises:
        FormatError: another identifier, or something the structure of the format does not allow.
    """
    found = bytes(content.data[4:8])
    if found != bytes(4):
        raise FormatError(f"{content.name}: identifier {found!r}; expected b'TFL3'")
    codes = len(root.tables(ModelField.OPERATOR_CODES))
    subgraphs = root.tables(ModelField.SUBGRAPHS)
    buffers = root.tables(ModelField.BUFFERS)
    first = buffers[0].blob(0) if buffers else None
    is_plausible = (
        root.integer(ModelField.VERSION, "u32") == _tflite_schema.VERSION
        and codes > 0
        and len(subgraphs) > 0
        and len(buffers) > 0
        and not first
        and all(
            operator.integer(OperatorField.CODE_INDEX, "u32") < codes
            for graph in subgraphs
            for operator in graph.tables(SubgraphField.OPERATORS)
        )
    )
    if not is_plausible:
        raise FormatError(
            f"{content.name}: no identifier, and not the structure of a TensorFlow Lite model"
        )


class _Reading:
    """One read of one file."""

    def __init__(
        self, content: Content, root: Table, added: Mapping[int, str] | None = None
    ) -> None:
        self._added = added or {}
        self.content = content
        self.root = root
        self.source = TensorSource(content, root)
        self._codes = [self._code(table) for table in root.tables(ModelField.OPERATOR_CODES)]
        self._subgraphs = root.tables(ModelField.SUBGRAPHS)

    def graphs(self) -> tuple[Graph, ...]:
        """Every sub-graph.

        Raises:
            FormatError: also when sub-graphs call themselves.
        """
        if not self._subgraphs:
            raise FormatError(f"{self.content.name}: a TensorFlow Lite file without a graph")
        graphs = tuple(self._graph(table) for table in self._subgraphs)
        _check_calls(graphs, self.content.name)
        return graphs

    def _code(self, table: Table) -> _Code:
        values = table.read(_tflite_schema.OPERATOR_CODE)
        old, new = values["deprecated"], values["builtin"]
        code = max(old, new) if isinstance(old, int) and isinstance(new, int) else 0
        if code == _tflite_schema.CUSTOM:
            name = str(values["custom"]) or "CUSTOM"
            note = "accelerator-blob" if name in _ACCELERATORS else ""
            note = "flex-operators" if name.startswith("Flex") else note
            return _Code(name=name, domain="custom", note=note)
        if code < 0 and code in self._added:
            return _Code(name=self._added[code], domain="circle")
        if code < 0:
            raise FormatError(f"{self.content.name}: operator code {code} is negative")
        if code < len(_tflite_schema.OPERATORS):
            return _Code(name=_tflite_schema.OPERATORS[code])
        return _Code(name=f"BUILTIN_{code}", note="newer-operators")

    def _graph(self, table: Table) -> Graph:
        check_nodes(len(table.tables(SubgraphField.OPERATORS)))
        tensors = self.source.tensors(table.tables(SubgraphField.TENSORS))
        nodes = tuple(
            self._node(operator, tensors) for operator in table.tables(SubgraphField.OPERATORS)
        )
        inputs = self._names(table.integers(SubgraphField.INPUTS), tensors)
        outputs = self._names(table.integers(SubgraphField.OUTPUTS), tensors)
        by_name = {tensor.name: tensor for tensor in tensors}
        fed = {"", *inputs}.union(*(node.outputs for node in nodes))
        used = set(outputs).union(*(node.inputs for node in nodes))
        if mark_absent_weights(by_name, fed, used):
            self.source.notes.add("weights-absent")
        return Graph(
            name=table.string(SubgraphField.NAME),
            tensors=by_name,
            nodes=nodes,
            inputs=inputs,
            outputs=outputs,
            layout=Layout.CHANNELS_LAST,
        )

    def _tensor(self, index: int, tensors: list[Tensor]) -> Tensor | None:
        if index == OMITTED:
            return None
        if not 0 <= index < len(tensors):
            raise FormatError(
                f"{self.content.name}: tensor {index} is used; the graph has {len(tensors)}"
            )
        return tensors[index]

    def _names(self, indices: Iterable[int], tensors: list[Tensor]) -> tuple[str, ...]:
        found = (self._tensor(index, tensors) for index in indices)
        return tuple("" if tensor is None else tensor.name for tensor in found)

    def _node(self, table: Table, tensors: list[Tensor]) -> Node:
        index = table.integer(OperatorField.CODE_INDEX, "u32")
        if index >= len(self._codes):
            raise FormatError(
                f"{self.content.name}: operator code {index} is used; there are {len(self._codes)}"
            )
        code = self._codes[index]
        if code.note:
            self.source.notes.add(code.note)
        options, fused = self._options(table, code.name)
        call = Call(
            source=code.name,
            options=options,
            inputs=tuple(self._tensor(i, tensors) for i in table.integers(OperatorField.INPUTS)),
            outputs=tuple(self._tensor(i, tensors) for i in table.integers(OperatorField.OUTPUTS)),
        )
        translated = self._custom(table, call) if code.domain else _translate(call)
        return Node(
            name="",
            operator=translated.operator,
            source_operator=code.name,
            inputs=_ordered(call.inputs, translated.inputs),
            outputs=_ordered(call.outputs, translated.outputs),
            attributes={**translated.attributes, **fused},
            domain=code.domain,
        )

    def _options(
        self, table: Table, name: str
    ) -> tuple[dict[str, AttributeValue], dict[str, AttributeValue]]:
        """An operator's options by the schema's names, and its fused activation's attributes."""
        options: dict[str, AttributeValue] = {}
        for number, layouts in (
            (OperatorField.OPTIONS, _tflite_schema.OPTIONS),
            (OperatorField.OPTIONS_2, _tflite_schema.OPTIONS_2),
        ):
            member, values = table.union(number)
            if values is not None:
                options.update(self._spelled_out(values, layouts.get(member, ())))
        if name in _tflite_recurrent.RULES:
            return options, {}
        code = options.pop("fused_activation_function", 0)
        return options, _tflite_operators.activation(code if isinstance(code, int) else 0)

    def _spelled_out(self, table: Table, layout: tuple[Field, ...]) -> Mapping[str, AttributeValue]:
        """Options with enumerations by name and sub-graphs as references."""
        found: dict[str, AttributeValue] = {}
        for name, value in table.read(layout).items():
            target = _tflite_schema.SUBGRAPH_OPTIONS.get(name)
            names = _tflite_schema.ENUMERATIONS.get(name)
            if target is not None and isinstance(value, int):
                found[target] = self._reference(value)
            elif target is not None and isinstance(value, tuple):
                for number, index in enumerate(value):
                    found[f"{target}_{number}"] = self._reference(
                        index if isinstance(index, int) else OMITTED
                    )
            elif names is not None and isinstance(value, int) and 0 <= value < len(names):
                found[name] = str(names[value])
            else:
                found[name] = value
        return found

    def _reference(self, index: int) -> GraphReference:
        if not 0 <= index < len(self._subgraphs):
            raise FormatError(
                f"{self.content.name}: sub-graph {index} is called; there are "
                f"{len(self._subgraphs)}"
            )
        return GraphReference(index)

    def _custom(self, table: Table, call: Call) -> Translation:
        options = self._custom_options(table)
        if call.source == _TRANSPOSE_CONV_BIAS:
            translated = _tflite_operators.transpose_conv_bias(call, options)
            if translated is not None:
                return translated
        size: dict[str, AttributeValue] = (
            {"custom_options_size_bytes": options.nbytes} if options.nbytes else {}
        )
        return Translation(operator="", attributes=size)

    def _custom_options(self, table: Table) -> memoryview:
        """Bytes of a custom operator's options, in the FlatBuffer or behind it."""
        inside = table.blob(OperatorField.CUSTOM_OPTIONS)
        if inside is not None:
            return inside
        offset = table.integer(OperatorField.LARGE_OPTIONS_OFFSET, "u64")
        size = table.integer(OperatorField.LARGE_OPTIONS_SIZE, "u64")
        if offset <= 1:
            return memoryview(b"")
        if offset + size > self.content.size_bytes:
            raise FormatError(
                f"{self.content.name}: options of {size} bytes at {offset} leave the file of "
                f"{self.content.size_bytes}"
            )
        return self.content.data[offset : offset + size]

    def metadata(self, graphs: tuple[Graph, ...]) -> dict[str, str]:
        """What the file says about itself, as text."""
        found: dict[str, str] = {}
        description = self.root.string(ModelField.DESCRIPTION)
        if description:
            found["file_description"] = description
        names: list[str] = []
        for entry in self.root.tables(ModelField.METADATA):
            names.append(entry.string(0))
            data = self.source.buffer(entry.integer(1, "u32"))
            if data is not None:
                found.update(_tflite_metadata.entries(names[-1], data))
        if names:
            found["metadata_entries"] = "\n".join(names)
        found.update(self._signatures(graphs))
        packed = _tflite_metadata.packed_files(self.content.data)
        if packed:
            found["packed_files"] = "\n".join(packed)
        return found

    def _signatures(self, graphs: tuple[Graph, ...]) -> dict[str, str]:
        """Named entry points: the graph, and the caller's names for its inputs and outputs."""
        found: dict[str, str] = {}
        tensors = [list(graph.tensors) for graph in graphs]
        for table in self.root.tables(ModelField.SIGNATURES)[:_MOST_SIGNATURES]:
            index = table.integer(4, "u32")
            if index >= len(graphs):
                raise FormatError(f"{self.content.name}: a signature names sub-graph {index}")
            sides: list[str] = []
            for field in (0, 1):
                pairs: list[str] = []
                for alias in table.tables(field):
                    number = alias.integer(1, "u32")
                    if number >= len(tensors[index]):
                        raise FormatError(f"{self.content.name}: a signature names tensor {number}")
                    pairs.append(f"{alias.string(0)}={tensors[index][number]}")
                sides.append(", ".join(pairs))
            key = table.string(2)
            found[f"signature:{key}"] = f"graph {index}: {sides[0]} -> {sides[1]}"
        return found


def _translate(call: Call) -> Translation:
    rule = _RULES.get(call.source)
    translated = None if rule is None else rule(call)
    return translated or Translation(operator="", attributes=dict(call.options))


def _ordered(tensors: tuple[Tensor | None, ...], order: tuple[int, ...] | None) -> tuple[str, ...]:
    """Names in ONNX order; those that ONNX does not know follow, trailing gaps are dropped."""
    names = ["" if tensor is None else tensor.name for tensor in tensors]
    if order is None:
        return tuple(names)
    placed = [names[i] if 0 <= i < len(names) else "" for i in order]
    rest = [name for i, name in enumerate(names) if i not in order]
    while placed and not rest and not placed[-1]:
        placed.pop()
    return (*placed, *rest)


def _check_calls(graphs: tuple[Graph, ...], name: str) -> None:
    """Refuses sub-graphs that call themselves, directly or not, or nest too deep."""
    callees = [
        {
            value.index
            for node in graph.nodes
            for value in node.attributes.values()
            if isinstance(value, GraphReference)
        }
        for graph in graphs
    ]
    # Graphs are settled once everything they call is: one more round for each level of calls.
    unsettled = set(range(len(graphs)))
    for _ in range(_DEEPEST_CALLS):
        unsettled = {index for index in unsettled if callees[index] & unsettled}
        if not unsettled:
            return
    raise FormatError(
        f"{name}: sub-graphs {sorted(unsettled)[:8]} call themselves, or calls nest more than "
        f"{_DEEPEST_CALLS} deep"
    )
