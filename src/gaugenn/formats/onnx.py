"""ONNX models: protocol buffers with graphs, sub-graphs, local functions and external weights.

Beyond the contract of `gaugenn.graph`:

- A `Constant` node stays in the graph, and its output is a CONSTANT tensor with the value, so that
  weights are found whichever way an exporter writes them.
- Attributes that are lists of tensors, graphs or types become `name[0]`, `name[1]`, ...; types are
  text. Strings and lists beyond `ATTRIBUTE_LIMIT` elements become one-dimensional tensors.
- A node that calls a function of the file has the attribute `function`, a `GraphReference`. A
  function with attributes becomes one graph for each set of values that it is called with.
- Sequences, maps and optional values are tensors of type VARIANT without a shape.

**Source:** https://github.com/onnx/onnx/blob/main/docs/IR.md
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import ClassVar, NamedTuple

from gaugenn.content import Content
from gaugenn.errors import FormatError
from gaugenn.formats._contract import HEAD_BYTES, FormatReader, Magic
from gaugenn.formats._onnx_attributes import (
    ATTRIBUTE,
    ATTRIBUTE_KINDS,
    GRAPH,
    PART_SCHEMAS,
    constant_output,
    plain_attribute,
    scalar_value,
)
from gaugenn.formats._onnx_graphs import GraphDraft, GraphFinisher
from gaugenn.formats._onnx_locations import locations
from gaugenn.formats._onnx_operators import CLASSICAL_DOMAIN, MICROSOFT_DOMAIN, resolve
from gaugenn.formats._onnx_tensors import (
    ENTRY,
    SPARSE_TENSOR,
    TENSOR,
    TYPE,
    TensorReader,
    ValueType,
    attribute_tensor,
    plain_type,
    relative_name,
    type_text,
    value_type,
)
from gaugenn.formats._protobuf import (
    LENGTH,
    VARINT,
    HeadField,
    Message,
    Schema,
    head_fields,
    read_message,
)
from gaugenn.graph import (
    AttributeValue,
    DataType,
    GraphReference,
    Model,
    Node,
    Tensor,
    check_nodes,
)

MODEL = Schema(
    "ModelProto",
    ir_version=1,
    producer_name=2,
    producer_version=3,
    domain=4,
    model_version=5,
    doc_string=6,
    graph=7,
    opset_import=8,
    metadata_props=14,
    training_info=20,
    functions=25,
    configuration=26,
)
_OPSET = Schema("OperatorSetIdProto", domain=1, version=2)
_TRAINING = Schema("TrainingInfoProto", initialization=1, algorithm=2)
_FUNCTION = Schema(
    "FunctionProto",
    name=1,
    input=4,
    output=5,
    attribute=6,
    node=7,
    domain=10,
    attribute_proto=11,
    value_info=12,
    overload=13,
)
_VALUE_INFO = Schema("ValueInfoProto", name=1, type=2)
_ANNOTATION = Schema("TensorAnnotation", tensor_name=1, quant_parameter_tensor_names=2)
NODE = Schema("NodeProto", input=1, output=2, name=3, op_type=4, attribute=5, domain=7, overload=8)

GRAPH_LIMIT = 10_000
"""Graphs of one file, instances of functions included."""

ITEM_LIMIT = 1 << 19
"""Nodes, weights and values with a type of one file, a function's once for each of its instances. Real
graphs have some ten thousand nodes."""

NESTING_LIMIT = 40
"""Bodies inside bodies, and functions that call functions."""

_OPSETS_REQUIRED_SINCE = 3
"""The first version of the format whose files name their operator sets."""

_NEWEST_IR_VERSION = 255
"""Far above the newest version (14), and a bound for what a first byte can mean by chance."""

_HEADER_TEXTS = frozenset(MODEL.numbers[name] for name in ("producer_name", "producer_version"))

_INPUT, _OUTPUT, _ATTRIBUTE = (NODE.numbers[name] for name in ("input", "output", "attribute"))
_NAME, _KIND = NODE.numbers["name"], NODE.numbers["op_type"]
_DOMAIN, _OVERLOAD = NODE.numbers["domain"], NODE.numbers["overload"]
_VALUE_NAME, _VALUE_TYPE = _VALUE_INFO.numbers["name"], _VALUE_INFO.numbers["type"]

_NO_ATTRIBUTES: Mapping[str, AttributeValue] = {}
"""Shared by the many nodes that have none."""

_ITEMS = frozenset({"node", "initializer", "sparse_initializer", "value_info", "input", "output"})

Bindings = Mapping[str, AttributeValue]
FunctionKey = tuple[str, str, str]
TypeOf = dict[str, ValueType]


class _NodeParts(NamedTuple):
    """What the file says of a node."""

    name: str
    kind: str
    domain: str
    overload: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, AttributeValue]


class OnnxReader(FormatReader):
    """Reads binary ONNX files; the rare text form is not claimed."""

    title: ClassVar[str] = "ONNX"
    spec: ClassVar[str] = "https://github.com/onnx/onnx/blob/main/docs/IR.md"
    suffixes: ClassVar[tuple[str, ...]] = (".onnx",)
    magics: ClassVar[tuple[Magic, ...]] = ((0, b"\x08"),)  # ir_version, a number, comes first

    def sniff(self, name: str, head: bytes) -> bool:
        """Whether the outermost fields are those of an ONNX model, and its graph begins as one."""
        try:
            return _looks_like_onnx(name, head)
        except FormatError:
            return False

    def read(self, content: Content) -> Model:
        """Reads the whole graph."""
        message = read_message(content.data, MODEL)
        version = message.integer("ir_version")
        if version <= 0:
            raise message.error("an ONNX model must state its ir_version (field 1), this does not")
        graph = message.message("graph", GRAPH)
        if graph is None:
            raise message.error("an ONNX model must have a graph (field 7), this has none")
        if version >= _OPSETS_REQUIRED_SINCE and not message.count("opset_import"):
            raise message.error(
                f"ir_version {version} must import an operator set (field 8), this does not; "
                "the file may be truncated"
            )
        builder = _ModelBuilder(content, message)
        builder.add_all(graph)
        return builder.model(version)

    def companions(self, content: Content) -> tuple[Content, ...]:
        """The files that hold tensor data or compiled graphs, as far as they are there."""
        found: dict[str, Content] = {}
        try:
            for location in locations(content.data):
                other = content.beside(location)
                if other is not None:
                    relative = relative_name(location)
                    found[relative] = replace(other, name=relative)
        except FormatError:
            pass  # `read` says what is wrong; what was found before it still belongs to the file
        return tuple(found[name] for name in sorted(found))


class _ModelBuilder:
    """Collects the graphs of one file."""

    def __init__(self, content: Content, message: Message) -> None:
        self._message = message
        self._tensors = TensorReader(content)
        self._drafts: list[GraphDraft] = []
        self._notes: set[str] = set()
        self._functions: dict[FunctionKey, Message] = {}
        self._instances: dict[tuple[FunctionKey, str], int] = {}
        self._calls: list[FunctionKey] = []
        self._nesting = 0
        self._items_left = ITEM_LIMIT
        for function in message.messages("functions", _FUNCTION):
            self._functions[_function_key(function)] = function

    def add_all(self, graph: Message) -> None:
        """Adds the main graph, all that it uses, then training graphs and unused functions."""
        self._add_graph(graph, None, {})
        for training in self._message.messages("training_info", _TRAINING):
            self._notes.add("training-graph")
            for name in ("initialization", "algorithm"):
                part = training.message(name, GRAPH)
                if part is not None:
                    self._add_graph(part, 0, {})
        called = {key for key, _ in self._instances}
        for key in self._functions:
            if key not in called:
                self._instantiate(key, {})

    def model(self, version: int) -> Model:
        """The model made of the graphs that were added."""
        finisher = GraphFinisher(self._drafts)
        graphs = finisher.graphs()
        message = self._message
        producer = (message.text("producer_name"), message.text("producer_version"))
        return Model(
            format="onnx",
            format_version=str(version),
            producer=" ".join(part for part in producer if part),
            graphs=graphs,
            metadata=_metadata(message),
            companions=tuple(sorted(self._tensors.companions)),
            notes=tuple(sorted(self._notes | self._tensors.notes)),
        )

    def _new_draft(self, message: Message, name: str, parent: int | None) -> int:
        if len(self._drafts) >= GRAPH_LIMIT:
            raise message.error(f"the file has more than {GRAPH_LIMIT} graphs")
        self._items_left -= sum(message.count(field) for field in message.fields & _ITEMS)
        if self._items_left < 0:
            raise message.error(f"the file has more than {ITEM_LIMIT} nodes, weights and values")
        self._drafts.append(GraphDraft(name=name, parent=parent))
        return len(self._drafts) - 1

    def _add_graph(self, message: Message, parent: int | None, bindings: Bindings) -> int:
        """Adds a graph and the bodies inside it; returns its index."""
        index = self._new_draft(message, message.text("name"), parent)
        draft = self._drafts[index]
        for tensor in self._tensors.weights(message, "initializer"):
            draft.tensors[tensor.name] = tensor
        for initializer in message.messages("sparse_initializer", SPARSE_TENSOR):
            values = initializer.message("values", TENSOR)
            name = "" if values is None else values.text("name")
            draft.tensors[name] = self._tensors.sparse(initializer, name)
        if "" in draft.tensors:
            raise message.error("an initializer without a name")
        types: TypeOf = {}
        names = {
            field: tuple(self._read_types(message, field, types))
            for field in ("value_info", "output", "input")
        }
        # Up to version 3 of the format, weights were listed among the inputs as well.
        draft.inputs = tuple(name for name in names["input"] if name not in draft.tensors)
        draft.outputs = names["output"]
        if "" in draft.inputs:
            raise message.error("a graph input without a name")
        for name in draft.inputs:
            _define(draft, name, types)
        for annotation in message.messages("quantization_annotation", _ANNOTATION):
            roles = _entries(annotation, "quant_parameter_tensor_names")
            parameters = (roles.get("SCALE_TENSOR", ""), roles.get("ZERO_POINT_TENSOR", ""))
            draft.annotations.append((annotation.text("tensor_name"), *parameters))
        self._add_nodes(message, index, types, bindings)
        return index

    def _add_nodes(self, message: Message, index: int, types: TypeOf, bindings: Bindings) -> None:
        self._nesting += 1
        if self._nesting > NESTING_LIMIT:
            raise message.error(f"bodies and functions nest deeper than {NESTING_LIMIT}")
        draft = self._drafts[index]
        check_nodes(message.count("node"))
        for position, fields in enumerate(message.short_messages("node")):
            parts = None if fields is None else self._plain_parts(message, fields)
            if parts is None:
                node = message.message_at("node", NODE, position)
                parts = self._parts(node, index, bindings)
            draft.nodes.append(self._node(parts, index, types))
        self._nesting -= 1

    @staticmethod
    def _plain_parts(graph: Message, fields: list[tuple[int, bytes, int]]) -> _NodeParts | None:
        """What a node is made of, if its attributes are numbers, texts and plain tensors; else None."""
        texts = {_NAME: "", _KIND: "", _DOMAIN: "", _OVERLOAD: ""}
        inputs: list[str] = []
        outputs: list[str] = []
        attributes: dict[str, AttributeValue] = {}
        for number, data, start in fields:
            if number == _INPUT:
                inputs.append(str(data, "utf-8", "backslashreplace"))
            elif number == _OUTPUT:
                outputs.append(str(data, "utf-8", "backslashreplace"))
            elif number == _ATTRIBUTE:
                known = plain_attribute(data) or attribute_tensor(graph, start, start + len(data))
                if known is None:
                    return None
                attributes[known[0]] = known[1]
            elif number in texts:
                texts[number] = str(data, "utf-8", "backslashreplace")
        if not texts[_KIND]:
            return None
        names = (texts[_NAME], texts[_KIND], _domain(texts[_DOMAIN]), texts[_OVERLOAD])
        return _NodeParts(*names, tuple(inputs), tuple(outputs), attributes)

    def _parts(self, message: Message, index: int, bindings: Bindings) -> _NodeParts:
        kind = message.text("op_type")
        if not kind:
            raise message.error("a node must have an op_type (field 4), this has none")
        attributes: dict[str, AttributeValue] = {}
        for attribute in message.messages("attribute", ATTRIBUTE):
            attributes.update(self._attribute(attribute, index, bindings))
        return _NodeParts(
            message.text("name"),
            kind,
            _domain(message.text("domain")),
            message.text("overload"),
            message.texts("input"),
            message.texts("output"),
            attributes,
        )

    def _node(self, parts: _NodeParts, index: int, types: TypeOf) -> Node:
        name, kind, domain, overload, inputs, outputs, attributes = parts
        key = (domain, kind, overload)
        draft = self._drafts[index]
        for output in outputs:
            _define(draft, output, types)
        if key in self._functions:
            operator = ""
            resolved: Bindings = {**attributes, "function": self._call(key, attributes)}
        else:
            operator, resolved = resolve(domain, kind, inputs, attributes)
        if operator == "Constant" and outputs and outputs[0]:
            constant = constant_output(outputs[0], attributes)
            if constant is not None:
                draft.tensors[outputs[0]] = constant
        elif domain == CLASSICAL_DOMAIN:
            self._notes.add("classical-ml")
        elif domain == MICROSOFT_DOMAIN and kind == "EPContext":
            self._notes.add("accelerator-blob")
            path = attributes.get("ep_cache_context")
            if attributes.get("embed_mode", 1) == 0 and isinstance(path, str):
                self._tensors.companion(path)
        return Node(
            name=name,
            operator=operator,
            source_operator=kind,
            inputs=inputs,
            outputs=outputs,
            attributes=resolved or _NO_ATTRIBUTES,
            domain=domain,
        )

    def _read_types(self, message: Message, field: str, types: TypeOf) -> list[str]:
        """Notes the types that a list of values gives; returns the values' names."""
        names: list[str] = []
        for position, fields in enumerate(message.short_messages(field)):
            known = None if fields is None else _plain_value(fields)
            if known is None:
                value = message.message_at(field, _VALUE_INFO, position)
                known = value.text("name"), value_type(value.message("type", TYPE))
            name, types[name] = known
            names.append(name)
        return names

    def _call(self, key: FunctionKey, attributes: Bindings) -> GraphReference:
        if key in self._calls:
            raise self._functions[key].error(f"the function {key[1]!r} calls itself")
        return GraphReference(self._instantiate(key, attributes))

    def _instantiate(self, key: FunctionKey, attributes: Bindings) -> int:
        """The graph of a function for given attribute values, made at the first such call."""
        function = self._functions[key]
        bindings: dict[str, AttributeValue] = {}
        for default in function.messages("attribute_proto", ATTRIBUTE):
            bindings.update(self._attribute(default, None, {}))
        for name in (*function.texts("attribute"), *tuple(bindings)):
            if name in attributes:
                bindings[name] = attributes[name]
        # Tensors compare without their data, so calls with tensors get a graph each.
        shareable = not any(isinstance(value, Tensor) for value in bindings.values())
        signature = repr(sorted(bindings.items())) if shareable else f"call {len(self._instances)}"
        if (key, signature) in self._instances:
            return self._instances[key, signature]
        domain, name, overload = key
        full = "::".join(part for part in (domain, name, overload) if part)
        index = self._instances[key, signature] = self._new_draft(function, full, None)
        draft = self._drafts[index]
        draft.inputs, draft.outputs = function.texts("input"), function.texts("output")
        if "" in draft.inputs:
            raise function.error("a function input without a name")
        types: TypeOf = {}
        self._read_types(function, "value_info", types)
        for name in draft.inputs:
            _define(draft, name, types)
        self._calls.append(key)
        self._add_nodes(function, index, types, bindings)
        self._calls.pop()
        return index

    def _attribute(
        self, message: Message, index: int | None, bindings: Bindings
    ) -> Iterator[tuple[str, AttributeValue]]:
        """Name and value of an attribute; several for lists of tensors, graphs or types."""
        name = message.text("name")
        reference = message.text("ref_attr_name")
        if reference:
            # A caller that gives no value leaves the attribute out.
            if reference in bindings:
                yield name, bindings[reference]
            return
        kind = ATTRIBUTE_KINDS.get(message.integer("type"))
        if kind is None:
            # The first version of the format had no `type`: the field that is there decides.
            kind = next((field for field in ATTRIBUTE_KINDS.values() if message.has(field)), "")
        single = scalar_value(message, kind, name)
        if single is not None:
            yield name, single
            return
        if kind not in PART_SCHEMAS:
            raise message.error(f"the attribute {name!r} has no value")
        plural = kind.endswith("s")
        if kind in ("t", "tensors"):
            for position, tensor in enumerate(self._tensors.weights(message, kind)):
                own = tensor if tensor.name else replace(tensor, name=name)
                yield (f"{name}[{position}]" if plural else name), own
            return
        for position, part in enumerate(message.messages(kind, PART_SCHEMAS[kind])):
            value = self._part(part, kind, name, index, bindings)
            yield (f"{name}[{position}]" if plural else name), value

    def _part(
        self, message: Message, kind: str, name: str, index: int | None, bindings: Bindings
    ) -> AttributeValue:
        """The value of an attribute that is a message."""
        if kind in ("g", "graphs"):
            return GraphReference(self._add_graph(message, index, bindings))
        if kind in ("sparse_tensor", "sparse_tensors"):
            return self._tensors.sparse(message, name)
        return type_text(message)


def _define(draft: GraphDraft, name: str, types: TypeOf) -> None:
    """Adds the tensor that a node computes or a caller feeds."""
    if name and name not in draft.tensors:
        dtype, shape = types.get(name, (DataType.UNKNOWN, None))
        draft.tensors[name] = Tensor(name=name, dtype=dtype, shape=shape)


def _plain_value(fields: list[tuple[int, bytes, int]]) -> tuple[str, ValueType] | None:
    """Name and type of a value; None for a type in several parts or a damaged one."""
    name = kind = b""
    for number, data, _ in fields:
        if number == _VALUE_NAME:
            name = data
        elif number == _VALUE_TYPE:
            if kind:
                return None
            kind = data
    found = plain_type(kind)
    return None if found is None else (str(name, "utf-8", "backslashreplace"), found)


def _function_key(message: Message) -> FunctionKey:
    return _domain(message.text("domain")), message.text("name"), message.text("overload")


def _domain(name: str) -> str:
    """A domain by its short name: the standard one has two."""
    return "" if name == "ai.onnx" else name


def _entries(message: Message, field: str) -> dict[str, str]:
    return {each.text("key"): each.text("value") for each in message.messages(field, ENTRY)}


def _metadata(message: Message) -> dict[str, str]:
    """The file's own entries, its description, and `opset_import.DOMAIN` for each operator set."""
    metadata = _entries(message, "metadata_props")
    for field in ("domain", "doc_string"):
        if message.text(field):
            metadata[field] = message.text(field)
    if message.has("model_version"):
        metadata["model_version"] = str(message.integer("model_version"))
    for opset in message.messages("opset_import", _OPSET):
        domain = _domain(opset.text("domain")) or "ai.onnx"
        metadata[f"opset_import.{domain}"] = str(opset.integer("version"))
    return metadata


def _looks_like_onnx(name: str, head: bytes) -> bool:
    """Walks the fields of the outermost message until its graph has begun.

    Core ML models, TensorFlow's saved models and ONNX share their first bytes (`08 01 12`): the
    second field tells them apart, which is a readable name here and a message there.
    """
    version = 0
    for field in head_fields(head):
        if field.number == MODEL.numbers["ir_version"]:
            if field.wire != VARINT or not 0 < field.value <= _NEWEST_IR_VERSION:
                return False
            version = field.value
        elif field.number == MODEL.numbers["model_version"]:
            if field.wire != VARINT:
                return False
        elif field.wire != LENGTH or not _may_hold(field):
            return False
        elif field.number == MODEL.numbers["graph"]:
            return version > 0 and _begins_a_graph(field.data)
    # The graph begins beyond the head, after a long description, or the file is cut off.
    cut = len(head) >= HEAD_BYTES
    return version > 0 and cut and name.lower().endswith(OnnxReader.suffixes)


def _may_hold(field: HeadField) -> bool:
    """Whether a model can have this field, which is not a number."""
    if field.number in _HEADER_TEXTS:
        return _is_name(field)
    return field.number in MODEL.numbers.values()


def _begins_a_graph(data: bytes) -> bool:
    for field in head_fields(data):
        if field.number not in GRAPH.numbers.values() or field.wire != LENGTH:
            return False
        if field.number == GRAPH.numbers["node"] and field.whole:
            kinds = [
                each for each in head_fields(field.data) if each.number == NODE.numbers["op_type"]
            ]
            return len(kinds) == 1 and bool(kinds[0].data) and _is_name(kinds[0])
    return True


def _is_name(field: HeadField) -> bool:
    """Whether a field holds text on one line, as far as it was seen."""
    text = field.data.decode("utf-8", "replace")
    return field.wire == LENGTH and not any(character < " " for character in text)
