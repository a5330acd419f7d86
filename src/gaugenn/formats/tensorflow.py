"""TensorFlow graphs: frozen (`GraphDef`), or with variables (`SavedModel`, `MetaGraphDef`).

Beyond the contract of `gaugenn.graph`:

- Tensors are named as in TensorFlow: the first result of a node by the node, others `node:1`, ...
- Placeholders are the graph's inputs and no nodes. Constants stay nodes whose result is a CONSTANT.
- Variables are CONSTANT tensors; their values lie in a checkpoint, beside a meta graph or in the folder
  `variables` of a SavedModel. Those that it does not have, or that are there in parts, have no data.
- Functions are graphs. `Loop` has no trip count and no condition inputs, its attribute `cond` is the
  graph that computes the condition. Control inputs are left out.
- Where a graph mixes layouts it is CHANNELS_FIRST, and nodes that differ have `channels_last`.

**Source:** https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/framework/graph.proto
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gaugenn.content import Content
from gaugenn.errors import FormatError
from gaugenn.formats import _tensorflow_operators as operators
from gaugenn.formats import _tensorflow_schema as schema
from gaugenn.formats._contract import FormatReader
from gaugenn.formats._protobuf import LENGTH, VARINT, HeadField, Message, head_fields, read_message
from gaugenn.formats._tensorflow_bundle import Bundle
from gaugenn.formats._tensorflow_values import Values, index_of, values_of
from gaugenn.graph import (
    AttributeValue,
    DataType,
    Graph,
    GraphReference,
    Layout,
    Model,
    Node,
    Shape,
    Tensor,
    TensorKind,
    check_nodes,
)

GRAPH_LIMIT = 10_000
"""Graphs and functions of one file."""

RESULT_LIMIT = 1 << 18
"""Results of nodes beyond the first, in one graph."""

_FOLLOWED = 8
"""How many nodes a weight may pass unchanged."""

_PASSING = frozenset(
    """
    Identity ReadVariableOp StopGradient Cast Dequantize FakeQuantWithMinMaxVars
    FakeQuantWithMinMaxArgs FakeQuantWithMinMaxVarsPerChannel EnsureShape
    """.split()  # noqa: SIM905
)
_INPUTS = frozenset({"Placeholder", "PlaceholderV2"})
_RENAMED_GRAPHS = {"f": "function"}


def graph_model(message: Message) -> Model:
    """The model of a `GraphDef`.

    Raises:
        FormatError: a graph that refers to nothing, or has no nodes.
    """
    return _Builder(None).model("GraphDef", [(message, None)])


class TensorFlowReader(FormatReader):
    """Reads binary graphs; the text form is not claimed."""

    title = "TensorFlow"
    spec = (
        "https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/framework/graph.proto"
    )
    suffixes = (".pb", ".graphdef", ".meta")
    weights_suffixes = (".index", ".data-00000-of-00001")
    magics = ((0, b"\n"), (0, b"\x08\x01\x12"))  # the first node; a saved model's version

    def sniff(self, name: str, head: bytes) -> bool:
        """By the fields of the outermost messages and a known operator in the first node."""
        del name
        try:
            return any(looks(head) for looks in (_is_graph, _is_saved_model, _is_meta_graph))
        except FormatError:
            return False

    def read(self, content: Content) -> Model:
        """Reads every graph and function.

        Raises:
            FormatError: a graph that is cut off, refers to nothing, or has no nodes.
        """
        head = content.head(4096)
        if _is_graph(head):
            return graph_model(read_message(content.data, schema.GRAPH))
        if _is_saved_model(head):
            message = read_message(content.data, schema.SAVED_MODEL)
            metas = list(message.messages("meta_graphs", schema.META_GRAPH))
            kind = "SavedModel"
        else:
            metas = [read_message(content.data, schema.META_GRAPH)]
            kind = "MetaGraphDef"
        graphs: list[tuple[Message, Message | None]] = []
        for meta in metas:
            graph = meta.message("graph", schema.GRAPH)
            if graph is not None:
                graphs.append((graph, meta))
        if not graphs:
            raise FormatError(f"{content.name}: a {kind} without a graph (field 2)")
        return _Builder(values_of(content, kind)).model(kind, graphs)

    def companions(self, content: Content) -> tuple[Content, ...]:
        """The table and the files of a checkpoint."""
        head = content.head(4096)
        try:
            if _is_graph(head):
                return ()
            index = index_of(content, "SavedModel" if _is_saved_model(head) else "MetaGraphDef")
            return () if index is None else (index, *Bundle(index).files())
        except FormatError:
            return ()


def _is_graph(head: bytes) -> bool:
    """The first field is a node, with a name and a known operator."""
    for field in head_fields(head):
        if field.number in (schema.GRAPH.numbers["versions"], schema.GRAPH.numbers["library"]):
            continue
        return field.number == 1 and field.wire == LENGTH and _is_node(field.data)
    return False


def _is_node(data: bytes) -> bool:
    fields = head_fields(data)
    name, op = next(fields, None), next(fields, None)
    return (
        name is not None
        and op is not None
        and (name.number, op.number) == (1, 2)
        and _is_text(name)
        and op.whole
        and op.data.decode("utf-8", "replace") in operators.KNOWN
    )


def _is_text(field: HeadField) -> bool:
    return field.wire == LENGTH and field.data.isascii() and not set(field.data) & set(range(32))


def _is_saved_model(head: bytes) -> bool:
    version: int | None = None
    for field in head_fields(head):
        if field.number == 1 and field.wire == VARINT:
            version = field.value
        elif field.number == 2 and field.wire == LENGTH:
            return version == 1 and _is_meta_graph(field.data)
        else:
            return False
    return False


def _is_meta_graph(head: bytes) -> bool:
    """Its parts as far as they were seen; a list of operators or the graph tells."""
    for field in head_fields(head):
        if field.wire != LENGTH or field.number not in range(1, 8):
            return False
        if field.number == 1:
            if _has_operators(field.data):
                return True
        elif field.number == 2:
            return _is_graph(field.data)
    return False


def _has_operators(info: bytes) -> bool:
    """Whether a description lists the operators that the graph uses (field 2 in field 2)."""
    for field in head_fields(info):
        if field.number == 2 and field.wire == LENGTH:
            first = next(head_fields(field.data), None)
            if first is None or first.number != 1 or first.wire != LENGTH:
                return False
            name = next(head_fields(first.data), None)
            known = operators.KNOWN
            return name is not None and name.data.decode("utf-8", "replace") in known
    return False


@dataclass(slots=True, kw_only=True)
class _Draft:
    """A graph while it is put together."""

    name: str
    nodes: list[Message]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...] | None


class _Builder:
    """Collects the graphs and functions of one file."""

    def __init__(self, values: Values | None) -> None:
        self._values = values
        self._drafts: list[_Draft] = []
        self._functions: dict[str, int] = {}
        self._notes: set[str] = set()

    def model(self, kind: str, graphs: list[tuple[Message, Message | None]]) -> Model:
        """The model made of graphs, each with the message that describes it."""
        for graph, meta in graphs:
            check_nodes(graph.count("node"))
            nodes = list(graph.messages("node", schema.NODE))
            signature = None if meta is None else _signature(meta)
            outputs = None if signature is None else _interface(signature, "outputs")
            self._drafts.append(_Draft(name=_tags(meta), nodes=nodes, inputs=(), outputs=outputs))
        for graph, _ in graphs:
            for library in graph.messages("library", schema.LIBRARY):
                for function in library.messages("function", schema.FUNCTION):
                    self._declare(function)
        if not self._drafts[0].nodes:
            raise graphs[0][0].error("a TensorFlow graph without a node (field 1)")
        made = tuple(self._graph(draft) for draft in self._drafts)
        first, meta = graphs[0]
        versions = first.message("versions", schema.VERSIONS)
        info = None if meta is None else meta.message("meta_info", schema.META_INFO)
        version = "" if info is None else info.text("version")
        metadata = {"graph_format": kind}
        if versions is not None:
            metadata["graph_version"] = str(versions.integer("producer"))
        return Model(
            format="tensorflow",
            format_version="1" if kind == "SavedModel" else "",
            producer=f"TensorFlow {version}" if version else "",
            graphs=made,
            metadata=metadata,
            companions=() if self._values is None else self._values.companions,
            notes=tuple(sorted(self._notes)),
        )

    def _declare(self, function: Message) -> None:
        signature = function.message("signature", schema.OP_DEF)
        name = "" if signature is None else signature.text("name")
        if signature is None or not name:
            raise function.error("a function without a name")
        if len(self._drafts) >= GRAPH_LIMIT:
            raise function.error(f"the file has more than {GRAPH_LIMIT} functions")
        returned = {e.text("key"): e.text("value") for e in function.messages("ret", schema.ENTRY)}
        results = [arg.text("name") for arg in signature.messages("output_arg", schema.ARG)]
        check_nodes(function.count("node"))
        self._functions[name] = len(self._drafts)
        self._drafts.append(
            _Draft(
                name=name,
                nodes=list(function.messages("node", schema.NODE)),
                inputs=tuple(a.text("name") for a in signature.messages("input_arg", schema.ARG)),
                outputs=tuple(returned.get(each, each) for each in results),
            )
        )

    def _graph(self, draft: _Draft) -> Graph:
        return _GraphBuilder(draft, self._functions, self._notes, self._values).graph()


def _tags(meta: Message | None) -> str:
    info = None if meta is None else meta.message("meta_info", schema.META_INFO)
    return "" if info is None else " ".join(info.texts("tags"))


def _signature(meta: Message) -> Message | None:
    """The signature that serves, else the first that is not of initialisation."""
    found: dict[str, Message] = {}
    for entry in meta.messages("signature", schema.ENTRY):
        value = entry.message("value", schema.SIGNATURE)
        if value is not None:
            found[entry.text("key")] = value
    if "serving_default" in found:
        return found["serving_default"]
    return next((v for k, v in found.items() if not k.startswith("__")), None)


def _interface(signature: Message, side: str) -> tuple[str, ...]:
    names: list[str] = []
    for entry in signature.messages(side, schema.ENTRY):
        info = entry.message("value", schema.INFO)
        name = "" if info is None else info.text("name").removesuffix(":0")
        if name and name not in names:
            names.append(name)
    return tuple(names)


class _GraphBuilder:
    """One graph: names first, then order, then operators."""

    def __init__(
        self,
        draft: _Draft,
        functions: Mapping[str, int],
        notes: set[str],
        values: Values | None,
    ) -> None:
        self._draft = draft
        self._values = values
        self._functions = functions
        self._notes = notes
        self._tensors: dict[str, Tensor] = {}
        self._messages: dict[str, Message] = {}
        self._made: dict[str, list[str]] = {}
        for message in draft.nodes:
            name = message.text("name")
            if not name or name in self._messages:
                raise message.error(f"the node name {name!r} is empty or used twice")
            self._messages[name] = message
        self._inputs = {
            name: tuple(_source(each) for each in message.texts("input") if each[:1] != "^")
            for name, message in self._messages.items()
        }

    def graph(self) -> Graph:
        """The finished graph."""
        self._name_results()
        inputs = list(self._draft.inputs)
        for name in inputs:
            self._tensors[name] = Tensor(name=name, dtype=DataType.UNKNOWN, shape=None)
        nodes: list[Node] = []
        formats: set[bool] = set()
        for name in self._ordered():
            message = self._messages[name]
            op = message.text("op")
            if not op:
                raise message.error("a node must have an operator (field 2), this has none")
            given = self._attributes(message)
            if op in _INPUTS:
                self._add_placeholder(name, given)
                inputs.append(name)
                continue
            nodes.append(self._node(message, name, op, given, formats))
        layout = Layout.CHANNELS_FIRST if False in formats else Layout.CHANNELS_LAST
        if len(formats) > 1:
            nodes = [_marked(node) for node in nodes]
        outputs = self._draft.outputs
        return Graph(
            name=self._draft.name,
            tensors=self._tensors,
            nodes=tuple(nodes),
            inputs=tuple(inputs),
            outputs=self._sinks(nodes) if outputs is None else tuple(map(_source, outputs)),
            layout=layout,
        )

    def _name_results(self) -> None:
        """Which results each node has: those that are used, and always the first."""
        wanted = [each for inputs in self._inputs.values() for each in inputs]
        wanted += map(_source, self._draft.outputs or ())
        used: dict[str, set[str]] = {}
        for each in wanted:
            used.setdefault(_owner(each), set()).add(each)
        left = RESULT_LIMIT
        for name in self._messages:
            found = used.get(name, set())
            if any(each.count(":") > 1 for each in found):  # in functions: node:result:index
                self._made[name] = sorted(found, key=_place)
                continue
            last = max((_place(each)[1] for each in found), default=0)
            left -= last
            if left < 0:
                raise FormatError(f"TensorFlow node {name!r} has {last + 1} results, too many")
            self._made[name] = [f"{name}:{i}" if i else name for i in range(last + 1)]

    def _ordered(self) -> Iterator[str]:
        """Nodes after what they take; loops of the old kind are cut where they close."""
        state: dict[str, bool] = {}
        for root in self._messages:
            stack = [(root, False)]
            while stack:
                name, done = stack.pop()
                if done:
                    state[name] = True
                    yield name
                    continue
                if name in state:
                    continue
                state[name] = False
                stack.append((name, True))
                if self._messages[name].text("op") == "NextIteration":
                    self._notes.add("old-loops")
                for each in reversed(self._inputs[name]):
                    owner = _owner(each)
                    if owner in self._messages:
                        if owner not in state:
                            stack.append((owner, False))
                    elif each not in self._draft.inputs:
                        raise FormatError(
                            f"TensorFlow node {name!r} takes {each!r}, which no node makes"
                        )

    def _add_placeholder(self, name: str, given: Mapping[str, AttributeValue]) -> None:
        shape = given.get("shape")
        sizes: Shape | None = None
        if isinstance(shape, tuple):
            sizes = tuple("?" if not isinstance(s, int) or s < 0 else s for s in shape)
        dtype = given.get("dtype", "")
        self._tensors[name] = Tensor(name=name, dtype=_dtype(dtype), shape=sizes)

    def _node(
        self,
        message: Message,
        name: str,
        op: str,
        given: dict[str, AttributeValue],
        formats: set[bool],
    ) -> Node:
        results = tuple(self._made[name])
        inputs = self._inputs[name]
        if op == "Const":
            return self._constant(message, name, results)
        for result in results:
            self._tensors[result] = Tensor(name=result, dtype=DataType.UNKNOWN, shape=None)
        if op in operators.VARIABLES:
            self._add_variable(results, given)
        values = tuple(self._value(each, through=False) for each in inputs)
        call = operators.Call(
            op=op,
            given=given,
            constants=tuple(self._value(each, through=True) for each in inputs),
            values=values,
            outputs=len(results),
        )
        if op in operators.SPATIAL and op != "BiasAdd":
            formats.add(call.channels_last)
        if op in self._functions and "function" not in given:
            given["function"] = GraphReference(self._functions[op])
        found = operators.translate(call)
        attributes: dict[str, AttributeValue] = dict(given)
        ordered = inputs
        operator = ""
        if found is not None:
            operator = found.operator
            attributes |= found.attributes
            if found.inputs is not None:
                ordered = tuple(inputs[i] if 0 <= i < len(inputs) else "" for i in found.inputs)
        return Node(
            name=name,
            operator=operator,
            source_operator=op,
            inputs=ordered,
            outputs=results,
            attributes=attributes,
        )

    def _constant(self, message: Message, name: str, results: tuple[str, ...]) -> Node:
        for entry in message.messages("attr", schema.ENTRY):
            if entry.text("key") == "value":
                value = entry.message("value", schema.VALUE)
                held = None if value is None else value.message("tensor", schema.TENSOR)
                if held is not None:
                    for result in results:
                        self._tensors[result] = schema.read_tensor(held, result)
                    return Node(
                        name=name,
                        operator="Constant",
                        source_operator="Const",
                        inputs=(),
                        outputs=results,
                    )
        raise message.error(f"the constant {name!r} has no value")

    def _add_variable(self, results: tuple[str, ...], given: Mapping[str, AttributeValue]) -> None:
        shape = given.get("shape")
        sizes = shape if isinstance(shape, tuple) else ()
        known = tuple(s for s in sizes if isinstance(s, int) and s >= 0)
        if isinstance(shape, tuple) and len(known) == len(shape):
            dtype, data = _dtype(given.get("dtype", "")), None
            if self._values is not None:
                shared = given.get("shared_name")
                names = (shared if isinstance(shared, str) else "", results[0])
                data = self._values.data(names, dtype, known)
            if data is None:
                self._notes.add("weights-absent")
            self._tensors[results[0]] = Tensor(
                name=results[0], dtype=dtype, shape=known, data=data, kind=TensorKind.CONSTANT
            )
        else:
            self._tensors[results[0]] = Tensor(
                name=results[0], dtype=DataType.RESOURCE, shape=None, kind=TensorKind.VARIABLE
            )

    def _value(self, name: str, *, through: bool) -> Tensor | None:
        """The constant behind a tensor; `through` nodes that leave its shape alone."""
        for _ in range(_FOLLOWED):
            tensor = self._tensors.get(name)
            if tensor is not None and tensor.kind is TensorKind.CONSTANT:
                return tensor
            owner = self._messages.get(_owner(name))
            kinds = _PASSING if through else frozenset({"Identity"})
            if through and owner is not None and owner.text("op") == "Fill":
                return self._filled(_owner(name))
            if owner is None or owner.text("op") not in kinds or not self._inputs[_owner(name)]:
                return None
            name = self._inputs[_owner(name)][0]
        return None

    def _filled(self, name: str) -> Tensor | None:
        """The shape of a tensor that is filled with one value."""
        dims = self._value(self._inputs[name][0], through=False) if self._inputs[name] else None
        if dims is None or dims.data is None or (dims.elements or 99) > 8:
            return None
        shape = tuple(int(x) for x in dims.array().reshape(-1).tolist())
        return Tensor(name=name, dtype=DataType.UNKNOWN, shape=shape, kind=TensorKind.CONSTANT)

    def _sinks(self, nodes: list[Node]) -> tuple[str, ...]:
        """Results that no node takes, of nodes that are not there for their effect alone."""
        taken = {name for node in nodes for name in node.inputs}
        return tuple(
            name
            for node in nodes
            if node.source_operator not in _EFFECTS
            for name in node.outputs
            if name not in taken and self._tensors[name].kind is TensorKind.ACTIVATION
        )

    def _attributes(self, message: Message) -> dict[str, AttributeValue]:
        found: dict[str, AttributeValue] = {}
        for entry in message.messages("attr", schema.ENTRY):
            key = entry.text("key")
            value = entry.message("value", schema.VALUE)
            if value is None or key == "_output_shapes":
                continue
            called = value.message("func", schema.CALLED)
            if called is not None:
                index = self._functions.get(called.text("name"))
                if index is not None:
                    found[_RENAMED_GRAPHS.get(key, key)] = GraphReference(index)
                else:
                    found[key] = called.text("name")
                continue
            if value.has("tensor"):
                continue
            read = _attribute(value)
            if read is not None:
                found[key] = read
        return found


_EFFECTS = frozenset(
    """
    NoOp Assert Assign AssignAdd AssignSub AssignVariableOp AssignAddVariableOp Save SaveV2 SaveSlices
    RestoreV2 Restore MergeV2Checkpoints Print Const InitializeTableV2 VarIsInitializedOp
    """.split()  # noqa: SIM905
)


def _marked(node: Node) -> Node:
    """A node of a graph of both layouts, with its own."""
    text = node.attributes.get("data_format", "NHWC")
    if node.source_operator not in operators.SPATIAL or str(text).startswith("NC"):
        return node
    return Node(
        name=node.name,
        operator=node.operator,
        source_operator=node.source_operator,
        inputs=node.inputs,
        outputs=node.outputs,
        attributes={**node.attributes, "channels_last": 1},
    )


def _attribute(value: Message) -> AttributeValue | None:
    """A plain value or a list of them."""
    if value.has("list"):
        listed = value.message("list", schema.LIST)
        if listed is None:
            return None
        if listed.has("s"):
            return listed.texts("s")
        if listed.has("f"):
            return listed.float32s("f")
        if listed.has("type"):
            return tuple(schema.data_type(n).value for n in listed.integers("type"))
        if listed.has("b"):
            return listed.integers("b")
        return listed.integers("i") if listed.has("i") else ()
    if value.has("s"):
        return value.text("s")
    if value.has("f"):
        return value.float32("f")
    if value.has("b"):
        return bool(value.integer("b"))
    if value.has("type"):
        return schema.data_type(value.integer("type")).value
    if value.has("shape"):
        shape = schema.shape_of(value.message("shape", schema.SHAPE))
        return None if shape is None else tuple(s if isinstance(s, int) else -1 for s in shape)
    if value.has("placeholder"):
        return value.text("placeholder")
    return value.integer("i") if value.has("i") else None


def _dtype(name: AttributeValue) -> DataType:
    try:
        return DataType(name) if isinstance(name, str) else DataType.UNKNOWN
    except ValueError:
        return DataType.UNKNOWN


def _source(name: str) -> str:
    """A tensor's name without the number of a first result."""
    return name.removesuffix(":0") if name.count(":") == 1 else name


def _owner(name: str) -> str:
    return name.partition(":")[0]


def _place(name: str) -> tuple[str, int]:
    """The result's name in a function and its number."""
    _, _, rest = name.partition(":")
    label, _, number = rest.rpartition(":")
    digits = number if number.isascii() and number.isdigit() and len(number) < 9 else "0"
    return label, int(digits)
