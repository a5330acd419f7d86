"""ONNX Runtime's own format: an ONNX graph in a FlatBuffer, usually after the library's optimisations.

Operators, attributes and tensors are those of ONNX files (see `gaugenn.formats.onnx`); fused operators
of the `com.microsoft` domain are translated as there. Nodes are stored in the order of their creation;
here they stand in an order in which each comes after those that it depends on.

Notes: those of the ONNX reader.
"""

from collections.abc import Iterator, Sequence
from typing import ClassVar

from gaugenn.content import Content
from gaugenn.errors import FormatError
from gaugenn.formats._contract import FormatReader, Magic
from gaugenn.formats._flatbuffers import FlatBuffer, Table
from gaugenn.formats._onnx_attributes import ATTRIBUTE_LIMIT, constant_output
from gaugenn.formats._onnx_graphs import GraphDraft, GraphFinisher
from gaugenn.formats._onnx_operators import CLASSICAL_DOMAIN, MICROSOFT_DOMAIN, resolve
from gaugenn.formats._onnx_tensors import join_strings, unfolded
from gaugenn.graph import (
    ONNX_ELEMENT_TYPES,
    AttributeValue,
    DataType,
    GraphReference,
    Model,
    Node,
    Shape,
    Tensor,
    TensorKind,
)

IDENTIFIER = b"ORTM"
_GRAPH_LIMIT = 10_000
_RANK_LIMIT = 64
_TENSOR_TYPE = 1

TypeOf = dict[str, tuple[DataType, Shape | None]]


class _Session:
    """Field numbers of the root table."""

    VERSION = 0
    MODEL = 1


class _Model:
    """Field numbers of a model."""

    IR_VERSION = 0
    OPSETS = 1
    PRODUCER_NAME = 2
    PRODUCER_VERSION = 3
    DOMAIN = 4
    MODEL_VERSION = 5
    DESCRIPTION = 6
    GRAPH = 7
    ENTRIES = 9


class _Graph:
    """Field numbers of a graph."""

    INITIALIZERS = 0
    VALUES = 1
    NODES = 2
    INPUTS = 5
    OUTPUTS = 6
    SPARSE_INITIALIZERS = 7


class _Node:
    """Field numbers of a node."""

    NAME = 0
    DOMAIN = 2
    KIND = 5
    INPUTS = 8
    OUTPUTS = 9
    ATTRIBUTES = 10
    IMPLICIT_INPUTS = 12


class _Tensor:
    """Field numbers of a tensor; a sparse one has values, indices and dimensions at 0 to 2."""

    NAME = 0
    DIMENSIONS = 2
    TYPE = 3
    DATA = 4
    TEXTS = 5


class OrtReader(FormatReader):
    """Reads ONNX Runtime files."""

    title: ClassVar[str] = "ONNX Runtime"
    spec: ClassVar[str] = (
        "https://github.com/microsoft/onnxruntime/blob/main/onnxruntime/core/flatbuffers/schema/ort.fbs"
    )
    suffixes: ClassVar[tuple[str, ...]] = (".ort",)
    magics: ClassVar[tuple[Magic, ...]] = ((4, IDENTIFIER),)

    def sniff(self, name: str, head: bytes) -> bool:
        """The identifier at byte 4."""
        del name
        return head[4:8] == IDENTIFIER

    def read(self, content: Content) -> Model:
        """Reads the graph and its bodies; weights stay in the mapped file.

        Raises:
            FormatError: not a whole, consistent ONNX Runtime file.
        """
        try:
            return _Reading(content).model()
        except FormatError as error:
            if str(error).startswith(content.name):
                raise
            raise type(error)(f"{content.name}: {error}") from error


class _Reading:
    """One read of one file."""

    def __init__(self, content: Content) -> None:
        self._root = FlatBuffer(content.data, content.name).root(IDENTIFIER)
        self._drafts: list[GraphDraft] = []
        self._notes: set[str] = set()

    def model(self) -> Model:
        """The whole model."""
        version = self._root.string(_Session.VERSION)
        model = self._root.table(_Session.MODEL)
        graph = None if model is None else model.table(_Model.GRAPH)
        if model is None or graph is None or not version:
            raise FormatError("an ONNX Runtime file without a version, a model or a graph")
        self._add_graph(graph, "", None)
        graphs = GraphFinisher(self._drafts).graphs()
        producer = (model.string(_Model.PRODUCER_NAME), model.string(_Model.PRODUCER_VERSION))
        return Model(
            format="ort",
            format_version=version,
            producer=" ".join(part for part in producer if part),
            graphs=graphs,
            metadata=_metadata(model),
            notes=tuple(sorted(self._notes)),
        )

    def _add_graph(self, table: Table, name: str, parent: int | None) -> int:
        """Adds a graph and the bodies inside it; returns its index."""
        if len(self._drafts) >= _GRAPH_LIMIT:
            raise FormatError(f"the file has more than {_GRAPH_LIMIT} graphs")
        index = len(self._drafts)
        draft = GraphDraft(name=name, parent=parent)
        self._drafts.append(draft)
        for initializer in table.tables(_Graph.INITIALIZERS):
            tensor = self._dense(initializer, initializer.string(_Tensor.NAME))
            draft.tensors[tensor.name] = tensor
        for initializer in table.tables(_Graph.SPARSE_INITIALIZERS):
            tensor = self._sparse(initializer)
            draft.tensors[tensor.name] = tensor
        if "" in draft.tensors:
            raise FormatError("an initializer without a name")
        types = {value.string(0): _value_type(value.table(2)) for value in table.tables(1)}
        inputs = table.strings(_Graph.INPUTS)
        draft.inputs = tuple(each for each in inputs if each not in draft.tensors)
        draft.outputs = table.strings(_Graph.OUTPUTS)
        for each in draft.inputs:
            _define(draft, each, types)
        tables = list(table.tables(_Graph.NODES))
        nodes = [self._node(node, index, types) for node in tables]
        draft.nodes = _sorted(nodes, [node.strings(_Node.IMPLICIT_INPUTS) for node in tables])
        return index

    def _node(self, table: Table, index: int, types: TypeOf) -> Node:
        kind = table.string(_Node.KIND)
        if not kind:
            raise FormatError("a node without an operator")
        domain = table.string(_Node.DOMAIN)
        domain = "" if domain == "ai.onnx" else domain
        attributes: dict[str, AttributeValue] = {}
        for attribute in table.tables(_Node.ATTRIBUTES):
            attributes.update(self._attribute(attribute, index))
        inputs, outputs = table.strings(_Node.INPUTS), table.strings(_Node.OUTPUTS)
        draft = self._drafts[index]
        for name in outputs:
            _define(draft, name, types)
        operator, resolved = resolve(domain, kind, inputs, attributes)
        if operator == "Constant" and outputs and outputs[0]:
            constant = constant_output(outputs[0], attributes)
            if constant is not None:
                draft.tensors[outputs[0]] = constant
        elif domain == CLASSICAL_DOMAIN:
            self._notes.add("classical-ml")
        elif domain == MICROSOFT_DOMAIN and kind == "EPContext":
            self._notes.add("accelerator-blob")
        return Node(
            name=table.string(_Node.NAME),
            operator=operator,
            source_operator=kind,
            inputs=inputs,
            outputs=outputs,
            attributes=resolved,
            domain=domain,
        )

    def _attribute(self, table: Table, index: int) -> Iterator[tuple[str, AttributeValue]]:
        """Name and value of an attribute; several for lists of tensors or graphs."""
        name, kind = table.string(0), table.integer(2)
        if kind == 1:
            yield name, table.real(3)
        elif kind == 2:
            yield name, table.integer(4, "i64")
        elif kind == 3:
            yield name, table.string(5)
        elif kind == 6:
            yield name, _numbers(table, name, 8, "f32")
        elif kind == 7:
            yield name, _numbers(table, name, 9, "i64")
        elif kind == 8:
            yield name, table.strings(10)
        elif kind in (4, 5):
            part = table.table(kind + 2)
            if part is None:
                raise FormatError(f"the attribute {name!r} has no value")
            yield name, self._part(part, kind, name, index)
        elif kind in (9, 10):
            for position, part in enumerate(table.tables(kind + 2)):
                each = f"{name}[{position}]"
                yield each, self._part(part, kind - 5, each, index)
        else:
            raise FormatError(f"the attribute {name!r} has type {kind}; expected 1 to 10")

    def _part(self, table: Table, kind: int, name: str, index: int) -> AttributeValue:
        if kind == 4:
            return self._dense(table, table.string(_Tensor.NAME) or name)
        return GraphReference(self._add_graph(table, name, index))

    def _dense(self, table: Table, name: str) -> Tensor:
        shape = _dimensions(table, name)
        code = table.integer(_Tensor.TYPE)
        dtype = ONNX_ELEMENT_TYPES.get(code, DataType.UNKNOWN)
        if dtype is DataType.UNKNOWN:
            self._notes.add("unknown-element-type")
        data = table.blob(_Tensor.DATA)
        if dtype is DataType.STRING:
            texts = [text.encode() for text in table.strings(_Tensor.TEXTS)]
            data = join_strings(texts)
        tensor = Tensor(name=name, dtype=dtype, shape=shape, kind=TensorKind.CONSTANT)
        held = None if data is None or not data.nbytes else data
        if tensor.elements == 0:
            held = memoryview(b"")
        if held is None:
            self._notes.add("weights-absent")
        return Tensor(name=name, dtype=dtype, shape=shape, data=held, kind=TensorKind.CONSTANT)

    def _sparse(self, table: Table) -> Tensor:
        values, indices = table.table(0), table.table(1)
        if values is None or indices is None:
            raise FormatError("a sparse tensor without values or indices")
        name = values.string(_Tensor.NAME)
        shape = _dimensions(table, name)
        return unfolded(name, self._dense(values, name), self._dense(indices, name), shape)


def _numbers(table: Table, name: str, number: int, kind: str) -> AttributeValue:
    """A list of numbers; a very long one as a tensor."""
    array = table.array(number, kind)
    if array.size > ATTRIBUTE_LIMIT:
        return Tensor(
            name=name,
            dtype=DataType.INT64 if kind == "i64" else DataType.FLOAT32,
            shape=(int(array.size),),
            data=array.data.cast("B"),
            kind=TensorKind.CONSTANT,
        )
    return table.reals(number) if kind == "f32" else table.integers(number, kind)


def _dimensions(table: Table, name: str) -> tuple[int, ...]:
    shape = table.integers(_Tensor.DIMENSIONS, "i64")
    if len(shape) > _RANK_LIMIT or min(shape, default=0) < 0:
        raise FormatError(f"tensor {name!r} has the impossible dimensions {shape[:_RANK_LIMIT]}")
    return shape


def _value_type(table: Table | None) -> tuple[DataType, Shape | None]:
    """Element type and shape; VARIANT without a shape for sequences and maps."""
    if table is None:
        return DataType.UNKNOWN, None
    member, value = table.union(1)
    if value is None or member != _TENSOR_TYPE:
        return (DataType.UNKNOWN if value is None else DataType.VARIANT), None
    dtype = ONNX_ELEMENT_TYPES.get(value.integer(0), DataType.UNKNOWN)
    shape = value.table(1)
    if shape is None:
        return dtype, None
    return dtype, tuple(_dimension(each.table(0)) for each in shape.tables(0))


def _dimension(table: Table | None) -> int | str:
    if table is None:
        return "?"
    if table.integer(0, "i8") == 1:
        size = table.integer(1, "i64")
        return size if size >= 0 else "?"
    return table.string(2) or "?"


def _define(draft: GraphDraft, name: str, types: TypeOf) -> None:
    """Adds the tensor that a node computes or a caller feeds."""
    if name and name not in draft.tensors:
        dtype, shape = types.get(name, (DataType.UNKNOWN, None))
        draft.tensors[name] = Tensor(name=name, dtype=dtype, shape=shape)


def _sorted(nodes: list[Node], implicit: Sequence[tuple[str, ...]]) -> list[Node]:
    """The nodes in an order in which results exist before they are used, near the file's order.

    Args:
        nodes: as stored.
        implicit: for each node, what its bodies use from outside.

    Raises:
        FormatError: nodes that depend on each other in a circle.
    """
    makers = {name: at for at, node in enumerate(nodes) for name in node.outputs if name}
    waits = [
        {makers[name] for name in (*node.inputs, *implicit[at]) if makers.get(name, at) != at}
        for at, node in enumerate(nodes)
    ]
    found: list[Node] = []
    state = [0] * len(nodes)  # 1 while what it waits for is placed, 2 once placed
    for first in range(len(nodes)):
        stack = [first]
        while stack:
            at = stack[-1]
            open_ = [] if state[at] else sorted(waits[at], reverse=True)
            if any(state[each] == 1 for each in open_):
                raise FormatError("nodes depend on each other in a circle")
            missing = [each for each in open_ if state[each] == 0]
            if state[at] == 0 and missing:
                state[at] = 1
                stack += missing
                continue
            stack.pop()
            if state[at] != 2:
                state[at] = 2
                found.append(nodes[at])
    return found


def _metadata(model: Table) -> dict[str, str]:
    """The file's own entries, its description, and `opset_import.DOMAIN` for each operator set."""
    metadata = {entry.string(0): entry.string(1) for entry in model.tables(_Model.ENTRIES)}
    for name, number in (("domain", _Model.DOMAIN), ("doc_string", _Model.DESCRIPTION)):
        if model.string(number):
            metadata[name] = model.string(number)
    if model.has(_Model.MODEL_VERSION):
        metadata["model_version"] = str(model.integer(_Model.MODEL_VERSION, "i64"))
    for opset in model.tables(_Model.OPSETS):
        domain = opset.string(0) or "ai.onnx"
        metadata[f"opset_import.{domain}"] = str(opset.integer(1, "i64"))
    return metadata
