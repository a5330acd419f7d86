"""OpenVINO's intermediate representation: the network in XML, its weights in a file beside it."""

import re

from gaugenn.content import Content
from gaugenn.errors import FormatError
from gaugenn.formats import _openvino_operators as operators
from gaugenn.formats._assembly import unique
from gaugenn.formats._contract import FormatReader
from gaugenn.formats._draft import Draft, Mapped
from gaugenn.formats._openvino_layers import Blob, Layer, Network, read_network
from gaugenn.formats._xml import read_xml
from gaugenn.graph import (
    AttributeValue,
    DataType,
    Graph,
    GraphReference,
    Model,
    Tensor,
    TensorKind,
)

_ROOT = re.compile(
    rb'\s*<net\s[^<>]*\bversion\s*=\s*["\']\d+["\'][^<>]*>\s*(?:<!--.*?-->\s*)*<layers'
)
_INPUTS = frozenset({"Parameter", "Input"})
_BODIES = {"body": "body", "then_body": "then_branch", "else_body": "else_branch"}
_GRAPH_LIMIT = 1000


class OpenVinoReader(FormatReader):
    """Reads `.xml` with or without the `.bin` beside it.

    Weights that are stored in 16 bits and widened by a `Convert` are taken as they are stored. Loops
    (`TensorIterator`, `Loop`) keep their own name, and what they cost is a lower bound.
    """

    title = "OpenVINO IR"
    spec = "https://docs.openvino.ai/2026/documentation/openvino-ir-format.html"
    suffixes = (".xml",)
    weights_suffixes = (".bin",)
    magics = ((0, b'<?xml version="1.0"'), (0, b"<net name="))

    def sniff(self, name: str, head: bytes) -> bool:
        """By the outermost element, which has a version and begins with its layers."""
        del name
        text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
        if text.startswith(b"<?xml"):
            text = text.partition(b"?>")[2]
        return _ROOT.match(text, 0, 1024) is not None

    def read(self, content: Content) -> Model:
        """Reads the network, and the weights where their file lies beside it.

        Raises:
            FormatError: no whole network, or weights of another one.
        """
        root = read_xml(content.data, content.name)
        if root.name != "net":
            raise FormatError(f"{content.name}: XML with {root.name[:40]!r} around it, not 'net'")
        companions = self.companions(content)
        reading = _Reading(companions[0] if companions else None)
        try:
            reading.network(read_network(root), root.attributes.get("name", ""))
        except FormatError as error:
            raise type(error)(f"{content.name}: {error}") from error
        return Model(
            format="openvino",
            format_version=root.attributes.get("version", ""),
            producer="",
            graphs=tuple(graph for graph in reading.graphs if graph is not None),
            companions=tuple(each.file_name for each in companions),
            notes=("weights-absent",) if reading.lacking else (),
        )


class _Reading:
    """One read of one file: its graphs by number."""

    def __init__(self, weights: Content | None) -> None:
        self.graphs: list[Graph | None] = []
        self.lacking = False
        self._weights = weights

    def network(self, network: Network, name: str) -> int:
        """Adds a network and those that its layers run; gives its number."""
        index = len(self.graphs)
        if index >= _GRAPH_LIMIT:
            raise FormatError(f"more than {_GRAPH_LIMIT} networks in each other")
        self.graphs.append(None)
        builder = _NetworkBuilder(network, self)
        self.graphs[index] = builder.graph(name)
        return index

    def data(self, blob: Blob, name: str) -> memoryview | None:
        """The bytes of a weight.

        Raises:
            FormatError: they lie beyond the file.
        """
        if self._weights is None:
            self.lacking = True
            return None
        if blob.offset + blob.size > self._weights.size_bytes:
            raise FormatError(
                f"the weights of {name[:80]!r} end at byte {blob.offset + blob.size} of "
                f"{self._weights.size_bytes} in {self._weights.file_name}"
            )
        return self._weights.data[blob.offset : blob.offset + blob.size]


class _NetworkBuilder:
    """One network."""

    def __init__(self, network: Network, reading: _Reading) -> None:
        self._network = network
        self._reading = reading
        self._draft = Draft()
        self._results: list[str] = []
        names = unique(layer.name for layer in network.layers)
        self._names = {layer.id: name for layer, name in zip(network.layers, names, strict=True)}
        self._made: dict[tuple[str, str], str] = {}
        for layer in network.layers:
            for position, port in enumerate(layer.outputs):
                own = self._names[layer.id]
                self._made[layer.id, port.id] = f"{own}:{position}" if position else own

    def graph(self, name: str) -> Graph:
        """The finished graph."""
        for layer in self._network.layers:
            if layer.type in _INPUTS:
                for port in layer.outputs:
                    self._draft.feed(self._made[layer.id, port.id], port.dtype, port.shape)
            elif layer.type == "Const":
                self._constant(layer)
            elif layer.type == "Result":
                self._results += self._taken(layer)
            else:
                self._node(layer)
        return self._draft.graph(name, outputs=self._results or None)

    def _constant(self, layer: Layer) -> None:
        if len(layer.outputs) != 1 or len(layer.blobs) != 1:
            raise FormatError(f"the OpenVINO constant {layer.name[:80]!r} has no value")
        name = self._made[layer.id, layer.outputs[0].id]
        self._draft.constant(self._tensor(layer.blobs[0], name))

    def _tensor(self, blob: Blob, name: str) -> Tensor:
        shape = blob.shape
        bits = blob.dtype.bits
        if shape is None and bits is not None and 8 * blob.size % bits == 0:
            shape = (8 * blob.size // bits,)
        if shape is None or any(not isinstance(size, int) for size in shape):
            raise FormatError(f"the OpenVINO weight {name[:80]!r} has no definite shape")
        data = self._reading.data(blob, name)
        return Tensor(
            name=name,
            dtype=blob.dtype,
            shape=shape,
            data=None if blob.dtype is DataType.UNKNOWN else data,
            kind=TensorKind.CONSTANT,
        )

    def _taken(self, layer: Layer) -> list[str]:
        names = []
        for port in layer.inputs:
            source = self._network.edges.get((layer.id, port.id))
            if source is None:
                names.append("")
                continue
            made = self._made.get(source)
            if made is None:
                raise FormatError(
                    f"{layer.name[:80]!r} takes a result that layer {source[0]} lacks"
                )
            names.append(made)
        return names

    def _node(self, layer: Layer) -> None:
        taken = self._taken(layer)
        own = self._names[layer.id]
        if layer.type == "Convert" and len(taken) == len(layer.outputs) == 1:
            held = self._draft.tensor(taken[0])
            if held is not None and held.kind is TensorKind.CONSTANT:
                self._draft.alias(own, taken[0])  # weights that are stored in fewer bits
                return
        for blob in layer.blobs:
            taken.append(self._draft.own(self._tensor(blob, f"{own}/{blob.role}")))
        call = operators.Call(
            layer=layer,
            names=tuple(taken),
            tensors=tuple(self._draft.tensor(name) for name in taken),
        )
        found = operators.translate(call)
        attributes: dict[str, AttributeValue] = dict(
            layer.data if found is None else found.attributes
        )
        for name, body in layer.bodies.items():
            attributes[_BODIES[name]] = GraphReference(self._reading.network(body, own))
        operator = "If" if "then_body" in layer.bodies else "" if found is None else found.operator
        inputs = taken if found is None or found.inputs is None else [*found.inputs]
        self._draft.node(
            source_operator=layer.type,
            inputs=inputs,
            outputs=[
                Tensor(name=self._made[layer.id, port.id], dtype=port.dtype, shape=port.shape)
                for port in layer.outputs
            ],
            mapped=Mapped(operator=operator, attributes=attributes),
            name=layer.name,
        )
