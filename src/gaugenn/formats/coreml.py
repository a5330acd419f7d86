"""Core ML models (`.mlmodel`, `.mlpackage`): neural networks, programs, pipelines, and classical
learning as single steps.

Beyond the contract of `gaugenn.graph`:

- Blobs are (batch, channels, height, width), images and arrays of one or three sizes likewise.
- A model that is no network is a graph of one node, named by its kind; its numbers are not read.
- A pipeline is a graph with a node per step; a network among them is the attribute `function`.
- `LRN`, `PRelu` and others keep Core ML's own parameters only where ONNX knows them.
- A program (iOS 15 and later) has its weights in a file in the folder `weights` beside it.

Notes: `classical-ml`, `weights-absent`, `weights-packed` (in a layout that is not unpacked here).

**Source:** https://github.com/apple/coremltools/tree/main/mlmodel/format
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gaugenn.content import Content
from gaugenn.errors import FormatError
from gaugenn.formats import _coreml_program_binary as binary
from gaugenn.formats import _coreml_schema as schema
from gaugenn.formats._contract import FormatReader
from gaugenn.formats._coreml_layers import Site, map_layer
from gaugenn.formats._coreml_program import Program
from gaugenn.formats._coreml_weights import weight_files
from gaugenn.formats._names import TensorNames
from gaugenn.formats._protobuf import LENGTH, VARINT, HeadField, Message, head_fields, read_message
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
)

NEWEST_VERSION = 20
"""Far above the newest specification version (10), and a bound for what a first byte can mean."""

_ARRAY_TYPES = {
    65568: DataType.FLOAT32,
    65600: DataType.FLOAT64,
    131104: DataType.INT32,
    131080: DataType.INT8,
    65552: DataType.FLOAT16,
}
_GRAY = (10, 40)
_GRAPH_LIMIT = 10_000
_FLATTEN = 301


class CoreMlReader(FormatReader):
    """Reads `.mlmodel`, alone or in the folder of an `.mlpackage`."""

    title = "Core ML"
    spec = "https://github.com/apple/coremltools/blob/main/mlmodel/format/Model.proto"
    suffixes = (".mlmodel",)
    magics = ((0, b"\x08"),)  # specificationVersion, a number, comes first

    def sniff(self, name: str, head: bytes) -> bool:
        """By a description of inputs and outputs, and the number of a kind of model."""
        try:
            return _looks_like_coreml(name, head)
        except FormatError:
            return False

    def read(self, content: Content) -> Model:
        """Reads every network in the file.

        Raises:
            FormatError: no known kind of model, or a network that contradicts itself.
        """
        message = read_message(content.data, schema.MODEL)
        builder = _Builder(content)
        builder.add_model(message, 0)
        if not any(draft.nodes for draft in builder.drafts):
            raise message.error("a Core ML model without a layer or step")
        return Model(
            format="coreml",
            format_version=str(message.integer("version")),
            producer=builder.producer,
            graphs=tuple(draft.graph() for draft in builder.drafts),
            metadata=builder.metadata,
            companions=tuple(sorted(builder.companions)),
            notes=tuple(sorted(builder.notes)),
        )

    def companions(self, content: Content) -> tuple[Content, ...]:
        """The weights of a program."""
        return weight_files(content)


def _looks_like_coreml(name: str, head: bytes) -> bool:
    """(1: version, 2: description, 10: updatable, 200 and more: the model)."""
    described = False
    for each in head_fields(head):
        if each.number == 1:
            if each.wire != VARINT or not 0 < each.value <= NEWEST_VERSION:
                return False
        elif each.number == 2:
            if each.wire != LENGTH or not _is_description(each):
                return False
            described = True
            if not each.whole:
                return name.lower().endswith(".mlmodel") or len(each.data) > 1000
        elif each.number in schema.KINDS:
            return described and each.wire == LENGTH
        elif each.number != 10:
            return False
    return False


def _is_description(description: HeadField) -> bool:
    """Its parts are features, each with a name and a type."""
    seen = 0
    for part in head_fields(description.data):
        if part.wire != LENGTH or part.number not in (1, 10, 11, 12, 13, 20, 21, 50, 100):
            return False
        if part.number in (1, 10):
            first = next(head_fields(part.data), None)
            if first is None or first.number != 1 or first.wire != LENGTH:
                return False
            if first.data[:1] == b"\n" or not first.data:
                return False
            seen += 1
    return seen > 0


@dataclass(slots=True, kw_only=True)
class _Draft:
    """A graph while it is put together; see `Graph` for the fields."""

    name: str
    parent: int | None = None
    tensors: dict[str, Tensor] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)

    def graph(self) -> Graph:
        """The finished graph."""
        return Graph(
            name=self.name,
            tensors=self.tensors,
            nodes=tuple(self.nodes),
            inputs=tuple(self.inputs),
            outputs=tuple(self.outputs),
            layout=Layout.CHANNELS_FIRST,
            parent=self.parent,
        )


class _Builder:
    """Collects the graphs of one file."""

    def __init__(self, content: Content) -> None:
        self._content = content
        self.companions: set[str] = set()
        self.drafts: list[_Draft] = []
        self.notes: set[str] = set()
        self.metadata: dict[str, str] = {}
        self.producer = ""

    def add_model(self, message: Message, depth: int) -> int:
        """Adds a model and what is inside it; returns the index of its graph."""
        kinds = [schema.KINDS[n] for n in message.numbers() if n in schema.KINDS]
        if len(kinds) != 1:
            raise message.error(f"{len(kinds)} kinds of model, expected one")
        kind = kinds[0]
        description = message.message("description", schema.DESCRIPTION)
        if description is None:
            raise message.error("a Core ML model must have a description (field 2)")
        if depth == 0:
            self._describe(description)
        if kind == "mlProgram":
            return self._add_program(message)
        index = self._new(kind)
        draft = self.drafts[index]
        for each in description.messages("input", schema.FEATURE):
            self._feature(draft, each)
        wanted = [e.text("name") for e in description.messages("output", schema.FEATURE)]
        if kind in schema.NETWORKS:
            network = message.message(kind, schema.NETWORK)
            if network is not None:
                self._add_layers(network, index)
        elif kind in schema.PIPELINES:
            self._add_steps(message, kind, draft, depth)
        else:
            self.notes.add("classical-ml")
            self._add_step(draft, kind, list(draft.inputs), wanted, {})
        draft.outputs = [name for name in wanted if name in draft.tensors]
        return index

    def _add_program(self, message: Message) -> int:
        index = len(self.drafts)
        source = message.message("mlProgram", binary.PROGRAM)
        program = Program(self._content, index)
        made = () if source is None else program.graphs(binary.functions(source))
        if not made:
            raise message.error("a program without a function")
        for graph in made:
            self.drafts[self._new(graph.name, graph.parent)] = _Draft(
                name=graph.name,
                parent=graph.parent,
                tensors=dict(graph.tensors),
                nodes=list(graph.nodes),
                inputs=list(graph.inputs),
                outputs=list(graph.outputs),
            )
        self.notes |= program.notes
        self.companions.update(program.companions)
        return index

    def _new(self, name: str, parent: int | None = None) -> int:
        if len(self.drafts) >= _GRAPH_LIMIT:
            raise FormatError(f"the file has more than {_GRAPH_LIMIT} graphs")
        self.drafts.append(_Draft(name=name, parent=parent))
        return len(self.drafts) - 1

    def _describe(self, description: Message) -> None:
        metadata = description.message("metadata", schema.METADATA)
        if metadata is None:
            return
        for name in ("short_description", "version", "author", "license"):
            if metadata.text(name):
                self.metadata[name] = metadata.text(name)
        for entry in metadata.messages("user_defined", schema.ENTRY):
            self.metadata[entry.text("key")] = entry.text("value")
        version = self.metadata.get("com.github.apple.coremltools.version", "")
        self.producer = f"coremltools {version}" if version else ""

    def _feature(self, draft: _Draft, feature: Message) -> None:
        name = feature.text("name")
        if not name or name in draft.tensors:
            raise feature.error(f"the input {name!r} is empty or named twice")
        dtype, shape = _feature_type(feature.message("type", schema.TYPE))
        draft.tensors[name] = Tensor(name=name, dtype=dtype, shape=shape)
        draft.inputs.append(name)

    def _add_steps(self, message: Message, kind: str, draft: _Draft, depth: int) -> None:
        pipeline = message.message(kind, schema.WRAPPED_PIPELINE)
        if kind == "pipeline":
            pipeline = message.message(kind, schema.PIPELINE)
        elif pipeline is not None:
            pipeline = pipeline.message("pipeline", schema.PIPELINE)
        if pipeline is None:
            raise message.error("a pipeline without steps")
        for step in pipeline.messages("models", schema.MODEL):
            description = step.message("description", schema.DESCRIPTION)
            if description is None:
                raise step.error("a Core ML model must have a description (field 2)")
            takes = [e.text("name") for e in description.messages("input", schema.FEATURE)]
            gives = [e.text("name") for e in description.messages("output", schema.FEATURE)]
            kinds = [schema.KINDS[n] for n in step.numbers() if n in schema.KINDS]
            attributes: dict[str, AttributeValue] = {}
            if kinds and kinds[0] in schema.OTHERS:
                self.notes.add("classical-ml")
            else:
                attributes["function"] = GraphReference(self.add_model(step, depth + 1))
            self._add_step(draft, kinds[0] if kinds else "", takes, gives, attributes)

    def _add_step(
        self,
        draft: _Draft,
        kind: str,
        takes: list[str],
        gives: list[str],
        attributes: Mapping[str, AttributeValue],
    ) -> None:
        """A whole model as one node; a feature that is made anew gets a name of its own."""
        current = {name.partition("#")[0]: name for name in draft.tensors}
        inputs = tuple(current.get(name, name) for name in takes)
        outputs: list[str] = []
        for name in gives:
            made, number = name, 1
            while made in draft.tensors:
                number += 1
                made = f"{name}#{number}"
            draft.tensors[made] = Tensor(name=made, dtype=DataType.UNKNOWN, shape=None)
            outputs.append(made)
        draft.nodes.append(
            Node(
                name="",
                operator="",
                source_operator=kind or "unknown",
                inputs=inputs,
                outputs=tuple(outputs),
                attributes=attributes,
            )
        )

    def _add_layers(self, network: Message, index: int) -> None:
        draft = self.drafts[index]
        names = TensorNames(draft.tensors)
        current: dict[str, str] = {name: name for name in draft.tensors}
        for layer in network.messages("layers", schema.LAYER):
            for name in layer.texts("output"):
                names.take(name)
        for layer in network.messages("layers", schema.LAYER):
            self._add_layer(layer, index, names, current)

    def _add_layer(
        self, layer: Message, index: int, names: TensorNames, current: dict[str, str]
    ) -> None:
        draft = self.drafts[index]
        numbers = [number for number in layer.numbers() if number in schema.LAYERS]
        if len(numbers) != 1:
            raise layer.error(f"{len(numbers)} known kinds of layer, expected one")
        inputs = tuple(current.get(name, name) for name in layer.texts("input"))
        site = Site(
            name=layer.text("name"),
            message=layer,
            number=numbers[0],
            inputs=len(inputs),
            names=names,
            notes=self.notes,
        )
        mapped = map_layer(site)
        draft.tensors.update(site.constants)
        attributes = {**mapped.attributes, **self._inner(site, index)}
        shapes = [_blob_shape(each) for each in layer.messages("output_tensor", schema.TENSOR)]
        outputs: list[str] = []
        for i, name in enumerate(layer.texts("output")):
            made = name if name not in draft.tensors else names.unique(name)
            shape = shapes[i] if i < len(shapes) else None
            if shape is None and site.number == _FLATTEN and not mapped.operator:
                shape = _flattened(draft.tensors.get(inputs[0]) if inputs else None)
            draft.tensors[made] = Tensor(name=made, dtype=DataType.FLOAT32, shape=shape)
            current[name] = made
            outputs.append(made)
        weights = mapped.weights
        if mapped.operator == "Constant" and weights and outputs:
            held = draft.tensors.pop(weights[0])
            draft.tensors[outputs[0]] = Tensor(
                name=outputs[0],
                dtype=held.dtype,
                shape=held.shape,
                data=held.data,
                kind=TensorKind.CONSTANT,
                quantization=held.quantization,
            )
            weights = ()
        draft.nodes.append(
            Node(
                name=site.name,
                operator=mapped.operator,
                source_operator=schema.LAYERS[numbers[0]],
                inputs=(*inputs, *weights),
                outputs=tuple(outputs),
                attributes=attributes,
            )
        )

    def _inner(self, site: Site, index: int) -> dict[str, AttributeValue]:
        """The networks inside a branch or a loop; they see the tensors outside."""
        kind = schema.LAYERS[site.number]
        if kind not in ("branch", "loop"):
            return {}
        fields = {"then": "then_branch", "otherwise": "else_branch"}
        if kind == "loop":
            fields = {"condition": "cond", "body": "body"}
        own = site.parameters(schema.BRANCH if kind == "branch" else schema.LOOP)
        found: dict[str, AttributeValue] = {}
        for name, attribute in fields.items():
            network = own.message(name, schema.NETWORK)
            if network is not None:
                inner = self._new(attribute, parent=index)
                self._add_layers(network, inner)
                found[attribute] = GraphReference(inner)
        return found


def _feature_type(message: Message | None) -> tuple[DataType, Shape | None]:
    """Images and arrays as blobs with a batch of 1."""
    if message is None:
        return DataType.UNKNOWN, None
    image = message.message("image", schema.IMAGE)
    if image is not None:
        channels = 1 if image.integer("color") in _GRAY else 3
        sizes = (1, channels, image.integer("height"), image.integer("width"))
        return DataType.FLOAT32, _sizes(sizes)
    array = message.message("array", schema.ARRAY)
    if array is not None:
        dtype = _ARRAY_TYPES.get(array.integer("dtype"), DataType.UNKNOWN)
        given = array.integers("shape")
        if not given:
            return dtype, None
        return dtype, _sizes((1, *given) if len(given) in (1, 3) else given)
    if message.count("string"):
        return DataType.STRING, ()
    if message.count("int64") or message.count("double"):
        return DataType.INT64 if message.count("int64") else DataType.FLOAT64, ()
    return DataType.UNKNOWN, None


def _sizes(values: tuple[int, ...]) -> Shape:
    return tuple(value if 0 < value < 1 << 31 else "?" for value in values)


def _flattened(tensor: Tensor | None) -> Shape | None:
    """What becomes of a blob whose channels go last before it is flattened: no ONNX operator."""
    elements = None if tensor is None else tensor.elements
    batch = 1 if tensor is None or not tensor.shape else tensor.shape[0]
    if elements is None or not isinstance(batch, int) or not batch:
        return None
    return (batch, elements // batch)


def _blob_shape(message: Message) -> Shape | None:
    sizes = message.integers("sizes")
    return _sizes(sizes) if sizes and len(sizes) == message.integer("rank") else None
