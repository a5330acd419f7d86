"""MindSpore Lite models (`MSL2`): one FlatBuffer, channels-last, with every tensor's shape and type.

Sub-graph `i` of the file is `Model.graphs[i]`; files without sub-graphs are one graph. Files of the
versions before 2 have another table of operators under the same structure, which later schemas misread:
they are refused.

Notes: `weights-absent`, `weights-packed` (compressed in a way that is not decoded here),
`newer-operators`, `newer-types`, `training-graph`.
"""

import math
from collections.abc import Sequence
from typing import ClassVar

from gaugenn.content import Content
from gaugenn.errors import FormatError, UnsupportedFormatError
from gaugenn.formats import _mindspore_operators
from gaugenn.formats import _mindspore_schema as schema
from gaugenn.formats._assembly import check_calls, ordered, unique
from gaugenn.formats._contract import FormatReader, Magic
from gaugenn.formats._flatbuffers import FlatBuffer, Table
from gaugenn.formats._mindspore_schema import GraphField, NodeField, SubgraphField, TensorField
from gaugenn.formats._operator_call import Call, Translation
from gaugenn.formats._tflite_tensors import mark_absent_weights
from gaugenn.graph import (
    AttributeValue,
    DataType,
    Graph,
    GraphReference,
    Layout,
    Model,
    Node,
    Quantization,
    Tensor,
    TensorKind,
)

_IDENTIFIER = b"MSL2"
_OLDER = (b"MSL1", b"MSL0")
_HIGHEST_RANK = 64
_OPTIMISERS = frozenset({"Adam", "ApplyMomentum", "SGD", "AdamWeightDecay"})


class MindsporeReader(FormatReader):
    """Reads MindSpore Lite files."""

    title: ClassVar[str] = "MindSpore Lite"
    spec: ClassVar[str] = (
        "https://github.com/mindspore-ai/mindspore-lite/blob/master/mindspore-lite/schema/model.fbs"
    )
    suffixes: ClassVar[tuple[str, ...]] = (".ms",)
    magics: ClassVar[tuple[Magic, ...]] = ((4, _IDENTIFIER),)

    def sniff(self, name: str, head: bytes) -> bool:
        """The identifier at byte 4, of this or an older version."""
        del name
        return head[4:8] in (_IDENTIFIER, *_OLDER)

    def read(self, content: Content) -> Model:
        """Reads every sub-graph; weights stay in the mapped file.

        Raises:
            FormatError: not a whole, consistent MindSpore Lite file.
            UnsupportedFormatError: a version before 2, or an obfuscated model.
        """
        if content.head(8)[4:] in _OLDER:
            raise UnsupportedFormatError(
                f"{content.name}: MindSpore Lite of version {content.head(8)[7:].decode()}, whose "
                "operators are numbered differently; convert the model anew with release 1.2 or later"
            )
        try:
            return _Reading(content).model()
        except FormatError as error:
            if str(error).startswith(content.name):
                raise
            raise type(error)(f"{content.name}: {error}") from error

    def companions(self, content: Content) -> tuple[Content, ...]:
        """The files that hold external weights."""
        try:
            root = FlatBuffer(content.data, content.name).root()
            names = sorted(
                {
                    each.string(1)
                    for tensor in root.tables(GraphField.TENSORS)
                    for each in tensor.tables(TensorField.EXTERNAL)
                }
            )
        except FormatError:
            return ()
        return tuple(file for name in names if (file := content.beside(name)) is not None)


class _Reading:
    """One read of one file."""

    def __init__(self, content: Content) -> None:
        self._content = content
        self._root = FlatBuffer(content.data, content.name).root(_IDENTIFIER)
        self._notes: set[str] = set()
        self._companions: set[str] = set()
        tables = list(self._root.tables(GraphField.TENSORS))
        names = unique(table.string(TensorField.NAME) for table in tables)
        self._tensors = [self._tensor(*pair) for pair in zip(tables, names, strict=True)]
        self._nodes = self._root.tables(GraphField.NODES)
        self._subgraphs = list(self._root.tables(GraphField.SUBGRAPHS))

    def model(self) -> Model:
        """The whole model."""
        root = self._root
        if root.boolean(GraphField.OBFUSCATED):
            raise UnsupportedFormatError(
                "an obfuscated MindSpore Lite model: its operators are hidden; the key is needed"
            )
        if not len(self._nodes):
            raise FormatError("a MindSpore Lite file without nodes")
        graphs = [self._graph(table) for table in self._subgraphs]
        if not graphs:
            graphs = [self._whole()]
        check_calls(graphs)
        metadata = {}
        source = root.integer(GraphField.SOURCE)
        if 0 <= source < len(schema.SOURCES):
            metadata["source_framework"] = schema.SOURCES[source]
        if root.string(GraphField.NAME):
            metadata["name"] = root.string(GraphField.NAME)
        return Model(
            format="mindspore",
            format_version=root.string(GraphField.VERSION).removeprefix("MindSpore Lite "),
            producer=root.string(GraphField.VERSION),
            graphs=tuple(graphs),
            metadata=metadata,
            companions=tuple(sorted(self._companions)),
            notes=tuple(sorted(self._notes)),
        )

    def _tensor(self, table: Table, name: str) -> Tensor:
        code = table.integer(TensorField.TYPE)
        dtype = schema.DATA_TYPES.get(code, DataType.UNKNOWN)
        if dtype is DataType.UNKNOWN and code > max(schema.DATA_TYPES):
            self._notes.add("newer-types")
        sizes = table.integers(TensorField.DIMENSIONS)
        if len(sizes) > _HIGHEST_RANK or min(sizes, default=0) < -1:
            raise FormatError(f"tensor {name!r} cannot have the dimensions {sizes[:_HIGHEST_RANK]}")
        data, is_constant = self._data(table, name)
        shape = tuple("?" if size == -1 else size for size in sizes)
        if is_constant and "?" in shape:
            raise FormatError(f"the constant {name!r} has an open size in {shape}")
        is_packed = table.boolean(TensorField.HUFFMAN) or table.integer(TensorField.COMPRESSION)
        if data is not None:
            wanted = dtype.size_bytes(math.prod(max(size, 0) for size in sizes))
            if is_packed or (wanted is not None and wanted != data.nbytes):
                self._notes.add("weights-packed")
                data = None
        return Tensor(
            name=name,
            dtype=dtype,
            shape=shape,
            data=data,
            kind=TensorKind.CONSTANT if is_constant else TensorKind.ACTIVATION,
            quantization=_quantization(table, sizes),
        )

    def _data(self, table: Table, name: str) -> tuple[memoryview | None, bool]:
        """A tensor's bytes, and whether it is a constant even so when they are absent."""
        for place in table.tables(TensorField.EXTERNAL):
            values = place.read(schema.EXTERNAL)
            location, offset, length = (values[key] for key in ("location", "offset", "length"))
            file = self._content.beside(str(location))
            if file is None:
                self._notes.add("weights-absent")
                return None, True
            self._companions.add(str(location))
            if not isinstance(offset, int) or not isinstance(length, int):
                break
            end = file.size_bytes if length < 0 else offset + length
            if not 0 <= offset <= end <= file.size_bytes:
                raise FormatError(
                    f"tensor {name!r} lies at {offset} to {end} of {location!r}, which has "
                    f"{file.size_bytes} bytes"
                )
            return file.data[offset:end], True
        data = table.blob(TensorField.DATA)
        return (data, True) if data is not None and data.nbytes else (None, False)

    def _whole(self) -> Graph:
        root = self._root
        return self._assembled(
            "",
            range(len(self._nodes)),
            root.integers(GraphField.INPUTS, "u32"),
            root.integers(GraphField.OUTPUTS, "u32"),
        )

    def _graph(self, table: Table) -> Graph:
        return self._assembled(
            table.string(SubgraphField.NAME),
            table.integers(SubgraphField.NODES, "u32"),
            table.integers(SubgraphField.INPUTS, "u32"),
            table.integers(SubgraphField.OUTPUTS, "u32"),
        )

    def _assembled(
        self, name: str, nodes: Sequence[int], inputs: Sequence[int], outputs: Sequence[int]
    ) -> Graph:
        tensors: dict[str, Tensor] = {}

        def named(indices: Sequence[int]) -> tuple[str, ...]:
            found = [self._indexed(index) for index in indices]
            tensors.update((tensor.name, tensor) for tensor in found)
            return tuple(tensor.name for tensor in found)

        made: list[Node] = []
        for index in nodes:
            if not 0 <= index < len(self._nodes):
                raise FormatError(f"node {index} is used; there are {len(self._nodes)}")
            table = self._nodes[index]
            call, operator = self._call(table)
            named(table.integers(NodeField.INPUTS, "u32"))
            named(table.integers(NodeField.OUTPUTS, "u32"))
            translated = _translate(call)
            made.append(
                Node(
                    name=table.string(NodeField.NAME),
                    operator=translated.operator,
                    source_operator=operator,
                    inputs=ordered(call.inputs, translated.inputs),
                    outputs=tuple(tensor.name for tensor in call.outputs if tensor is not None),
                    attributes=translated.attributes,
                )
            )
        graph_inputs, graph_outputs = named(inputs), named(outputs)
        fed = {"", *graph_inputs}.union(*(node.outputs for node in made))
        if mark_absent_weights(tensors, fed, set().union(*(node.inputs for node in made))):
            self._notes.add("weights-absent")
        return Graph(
            name=name,
            tensors=tensors,
            nodes=tuple(made),
            inputs=graph_inputs,
            outputs=graph_outputs,
            layout=Layout.CHANNELS_LAST,
        )

    def _indexed(self, index: int) -> Tensor:
        if index >= len(self._tensors):
            raise FormatError(f"tensor {index} is used; there are {len(self._tensors)}")
        return self._tensors[index]

    def _call(self, table: Table) -> tuple[Call, str]:
        primitive = table.table(NodeField.PRIMITIVE)
        member, values = (0, None) if primitive is None else primitive.union(0)
        if not member:
            raise FormatError(f"node {table.string(NodeField.NAME)!r} has no operator")
        if member > len(schema.OPERATORS):
            self._notes.add("newer-operators")
            operator = f"PrimitiveType_{member}"
        else:
            operator = schema.OPERATORS[member - 1]
        if operator.endswith("Grad") or operator in _OPTIMISERS:
            self._notes.add("training-graph")
        options: dict[str, AttributeValue] = {}
        if values is not None:
            options.update(values.read(schema.OPTIONS.get(operator, ())))
        reference = options.pop("sub_graph_index", None)
        if isinstance(reference, int):
            if not 0 <= reference < len(self._subgraphs):
                raise FormatError(f"sub-graph {reference} is run; there are {len(self._subgraphs)}")
            options["subgraph"] = GraphReference(reference)
        inputs, outputs = (
            tuple(self._indexed(index) for index in table.integers(number, "u32"))
            for number in (NodeField.INPUTS, NodeField.OUTPUTS)
        )
        return Call(source=operator, options=options, inputs=inputs, outputs=outputs), operator


def _translate(call: Call) -> Translation:
    rule = _mindspore_operators.RULES.get(call.source)
    translated = None if rule is None else rule(call)
    if translated is None:
        return Translation(operator="", attributes=dict(call.options))
    return translated


def _quantization(table: Table, sizes: tuple[int, ...]) -> Quantization | None:
    """Scales and zero points; entries that were never set say nothing."""
    entries = [each.read(schema.QUANTIZATION) for each in table.tables(TensorField.QUANTIZATION)]
    scales, zeros = [], []
    for entry in entries:
        scale, zero = entry["scale"], entry["zeroPoint"]
        if not entry["inited"] and scale in (0.0, 1.0):
            return None
        if not isinstance(scale, float) or not isinstance(zero, int):
            return None
        scales.append(scale)
        zeros.append(zero)
    if not scales:
        return None
    axis = None
    if len(scales) > 1:
        if len(scales) not in sizes:
            return None
        axis = sizes.index(len(scales))
    return Quantization(scales=tuple(scales), zero_points=tuple(zeros), axis=axis)
