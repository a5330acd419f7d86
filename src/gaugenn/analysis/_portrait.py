"""A network as the rules of `task` see it: its interface, and its layers without what joins them.

Blocks are the nodes that shape a network: convolutions, dense and recurrent layers, pools, sums,
products and concatenations. Everything between them is passed through: activations, normalisation,
(de)quantisation, copies, padding, and arithmetic with constants or of two forms of one result.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace

from gaugenn.analysis._node_view import Shape, kind_of
from gaugenn.analysis._order import execution_order
from gaugenn.analysis.shapes import Frame, InferredShapes, infer_shapes
from gaugenn.graph import DataType, Graph, Layout, Model, Node
from gaugenn.records import LayerClass

INPUT = -1
"""Stands for the graph's inputs among the sources of a block."""

IMAGE_SIZE = 256
"""What the height and width of an image are taken for where the file leaves them open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """An input or output of a model.

    Attributes:
        name: as in the file.
        dtype: element type, where it is known.
        shape: sizes, 1 for a dynamic one; None where the rank is unknown.
        dynamic: axes whose size the file leaves open.
        maker: operator of the last node that changes an output's values; "" for inputs.
    """

    name: str
    dtype: DataType
    shape: Shape | None
    dynamic: frozenset[int] = frozenset()
    maker: str = ""

    @property
    def sizes(self) -> tuple[int, ...]:
        """Sizes other than 1, in order."""
        return tuple(size for size in self.shape or () if size != 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A node that shapes the network.

    Attributes:
        kind: `conv`, `depthwise`, `dense`, `pool`, `global-pool`, `recurrent`, `attention`, `resize`,
            `concat`, `Add`, `Mul`, or the operator's name.
        sources: positions of the blocks that feed it, in order, each once; `INPUT` for an input.
        kernel: sizes of a convolution's window.
        stride: the largest.
        dilation: the largest.
        channels_in: of a convolution; 0 where unknown.
        channels_out: likewise.
    """

    kind: str
    sources: tuple[int, ...]
    kernel: tuple[int, ...] = ()
    stride: int = 1
    dilation: int = 1
    channels_in: int = 0
    channels_out: int = 0

    @property
    def is_pointwise(self) -> bool:
        """Whether it is a 1x1 convolution, or the dense layer that is the same."""
        return self.kind == "conv" and set(self.kernel) == {1}

    def is_conv(self, size: int) -> bool:
        """Whether it is a convolution of all channels with a square window of this size."""
        return self.kind == "conv" and len(self.kernel) == 2 and set(self.kernel) == {size}


@dataclass(frozen=True, slots=True, kw_only=True)
class Portrait:
    """What rules look at.

    Attributes:
        model: as read.
        inputs: of the main graph.
        outputs: of the main graph.
        layout: of the main graph.
        blocks: of all graphs that are run, in execution order; sources stay inside a graph.
        users: the blocks that each block feeds.
        kinds: how often each operator occurs, by ONNX name or its own.
        classes: how often each class of layer occurs.
        tables: rows of each embedding table.
        names: lower-case names of tensors and nodes, and text of the file's metadata.
        file_names: lower-case names under which the model was seen.
    """

    model: Model
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    layout: Layout
    blocks: tuple[Block, ...]
    users: tuple[tuple[int, ...], ...]
    kinds: Counter[str]
    classes: Counter[LayerClass]
    tables: tuple[int, ...]
    names: str
    file_names: str

    def count(self, kind: str) -> int:
        """How many blocks are of a kind."""
        return sum(block.kind == kind for block in self.blocks)

    @property
    def convolutions(self) -> list[Block]:
        """All convolutions, depthwise ones, too."""
        return [block for block in self.blocks if block.kind in ("conv", "depthwise")]

    def channels(self, port: Port) -> int:
        """The size of the axis that holds a port's channels; 0 where it has none."""
        if not port.shape:
            return 0
        spatial = len(port.shape) == 4 and self.layout is Layout.CHANNELS_FIRST
        return port.shape[1 if spatial else -1]

    def image(self, port: Port) -> tuple[int, int, int] | None:
        """(height, width, channels) where a port has the shape of an image: a batch of 1 to 3 dims.

        The channels are where the graph's layout has them, or at the other end where only that end
        has 1, 3 or 4.
        """
        if port.shape is None or len(port.shape) != 4:
            return None
        _, *rest = port.shape
        first = self.layout is Layout.CHANNELS_FIRST
        if first and rest[0] not in (1, 3, 4) and rest[2] in (1, 3, 4):
            first = False
        elif not first and rest[2] not in (1, 3, 4) and rest[0] in (1, 3, 4):
            first = True
        return (rest[1], rest[2], rest[0]) if first else (rest[0], rest[1], rest[2])


def portrait(
    model: Model,
    shapes: InferredShapes,
    classes: tuple[tuple[LayerClass, ...], ...],
    names: tuple[str, ...] = (),
) -> Portrait:
    """Looks at a model once for all rules.

    Args:
        model: as read.
        shapes: of the same model.
        classes: of its nodes.
        names: file names under which the model was seen.
    """
    shapes = _with_image_sizes(model, shapes)
    main = model.graphs[0]
    blocks: list[Block] = []
    kinds: Counter[str] = Counter()
    counted: Counter[LayerClass] = Counter()
    tables: list[int] = []
    for frame in _reached(shapes.main):
        graph = model.graphs[frame.graph]
        blocks += _Blocks(graph, frame, classes[frame.graph], len(blocks)).found
        for node, layer_class in zip(graph.nodes, classes[frame.graph], strict=True):
            if node.outputs and all(frame.is_fixed(name) for name in node.outputs if name):
                continue
            kinds[
                "ShuffleChannel" if _is_shuffle(node) else kind_of(node) or node.source_operator
            ] += 1
            counted[layer_class] += 1
            if layer_class is LayerClass.EMBEDDING and node.inputs:
                table = frame.shape(node.inputs[0])
                tables += table[:1] if table and kind_of(node) == "Gather" else ()
    users: defaultdict[int, list[int]] = defaultdict(list)
    for position, block in enumerate(blocks):
        for source in block.sources:
            users[source].append(position)
    text = "\n".join(_names(model)).lower()
    inputs = tuple(_input(main, shapes, name) for name in main.inputs)
    outputs = tuple(_output(main, shapes, name) for name in main.outputs)
    inputs, outputs = _one_of_a_batch(inputs, outputs)
    return Portrait(
        model=model,
        inputs=inputs,
        outputs=outputs,
        layout=main.layout,
        blocks=tuple(blocks),
        users=tuple(tuple(users[position]) for position in range(len(blocks))),
        kinds=kinds,
        classes=counted,
        tables=tuple(tables),
        names=text[:_MOST_TEXT],
        file_names="\n".join(names).lower()[:_MOST_TEXT],
    )


def _is_shuffle(node: Node) -> bool:
    """Whether a transpose exchanges the groups and the channels of a group."""
    return node.operator == "Transpose" and _ints(node, "perm") in (
        (0, 2, 1, 3, 4),
        (0, 1, 2, 4, 3),
    )


_MOST_TEXT = 1 << 20
"""Characters of names that are looked at."""

_METADATA = ("name", "description", "packed_files", "author", "labels")
"""Entries of the metadata that say something about a model."""


def _names(model: Model) -> Iterator[str]:
    for key, value in model.metadata.items():
        if key.rpartition(".")[2].lower() in _METADATA:
            yield value
    for graph in model.graphs:
        yield from (*graph.inputs, *graph.outputs)
        yield from (node.name for node in graph.nodes if node.name)
        yield from graph.tensors


def _one_of_a_batch(
    inputs: tuple[Port, ...], outputs: tuple[Port, ...]
) -> tuple[tuple[Port, ...], tuple[Port, ...]]:
    """The interface for a batch of 1, where the file states a larger one for all ports."""
    ports = (*inputs, *outputs)
    sizes = {port.shape[0] if port.shape and len(port.shape) > 1 else 1 for port in ports}
    if len(sizes) != 1 or sizes == {1}:
        return inputs, outputs

    def single(port: Port) -> Port:
        return replace(port, shape=(1, *(port.shape or ())[1:]))

    return tuple(map(single, inputs)), tuple(map(single, outputs))


def _with_image_sizes(model: Model, shapes: InferredShapes) -> InferredShapes:
    """The same with a size for images that the file leaves open, where there are any."""
    sizes: dict[str, int] = {}
    graph = model.graphs[0]
    for name in graph.inputs:
        shape = graph.tensors[name].shape if name in graph.tensors else None
        if shape is None or len(shape) != 4:
            continue
        spatial, channels = ((2, 3), 1) if shape[1] in (1, 3) else ((1, 2), 3)
        if shape[channels] in (1, 3) and all(isinstance(shape[axis], str) for axis in spatial):
            sizes.update({f"{name}[{axis}]": IMAGE_SIZE for axis in spatial})
    return infer_shapes(model, sizes) if sizes else shapes


def _reached(main: Frame) -> Iterator[Frame]:
    """Each graph that is run, once."""
    seen, pending = {main.graph}, [main]
    while pending:
        frame = pending.pop()
        yield frame
        for calls in frame.calls.values():
            for call in calls:
                if call.frame.graph not in seen:
                    seen.add(call.frame.graph)
                    pending.append(call.frame)


def _input(graph: Graph, shapes: InferredShapes, name: str) -> Port:
    tensor = graph.tensors.get(name)
    stated = tensor.shape if tensor is not None else None
    return Port(
        name=name,
        dtype=tensor.dtype if tensor is not None else DataType.UNKNOWN,
        shape=shapes.main.shape(name),
        dynamic=frozenset(i for i, size in enumerate(stated or ()) if isinstance(size, str)),
    )


def _output(graph: Graph, shapes: InferredShapes, name: str) -> Port:
    tensor = graph.tensors.get(name)
    dtype = shapes.main.dtype(name)
    if dtype is DataType.UNKNOWN and tensor is not None:
        dtype = tensor.dtype
    stated = tensor.shape if tensor is not None else None
    shape = shapes.main.shape(name)
    if shape is None and stated is not None:
        shape = tuple(size if isinstance(size, int) else 1 for size in stated)
    return Port(
        name=name,
        dtype=dtype,
        shape=shape,
        dynamic=frozenset(i for i, size in enumerate(stated or ()) if isinstance(size, str)),
        maker=_maker(graph, name),
    )


_PASSED = frozenset(
    """
    Identity Cast Reshape Squeeze Unsqueeze Flatten Transpose QuantizeLinear DequantizeLinear QUANTIZE
    DEQUANTIZE Dropout Concat ConvertTensor Permute
    """.split()  # noqa: SIM905
)
"""Operators behind which the maker of an output is looked for."""


def _maker(graph: Graph, name: str) -> str:
    producers = {out: node for node in graph.nodes for out in node.outputs}
    for _ in range(16):
        node = producers.get(name)
        if node is None:
            return ""
        kind = kind_of(node) or node.source_operator
        if kind not in _PASSED or not node.inputs:
            fused = node.attributes.get("fused_activation")
            return fused if isinstance(fused, str) and fused else kind
        name = node.inputs[0]
    return ""


_BLOCK_OF_CLASS: dict[LayerClass, str] = {
    LayerClass.CONVOLUTION: "conv",
    LayerClass.DEPTHWISE_CONVOLUTION: "depthwise",
    LayerClass.DENSE: "dense",
    LayerClass.RECURRENT: "recurrent",
    LayerClass.ATTENTION: "attention",
    LayerClass.EMBEDDING: "embedding",
    LayerClass.POOLING: "pool",
    LayerClass.POST_PROCESSING: "post-processing",
}

_BLOCK_OF_KIND: dict[str, str] = {
    "Concat": "concat",
    "QLinearConcat": "concat",
    "Resize": "resize",
    "Upsample": "resize",
    "DepthToSpace": "resize",
    "GlobalAveragePool": "global-pool",
    "GlobalMaxPool": "global-pool",
    "QLinearGlobalAveragePool": "global-pool",
    "ReduceMean": "global-pool",
    "ConvTranspose": "resize",
}

_ARITHMETIC = {"Sum": "Add", "QLinearAdd": "Add", "QLinearMul": "Mul"}


class _Blocks:
    """The blocks of one graph."""

    def __init__(
        self, graph: Graph, frame: Frame, classes: tuple[LayerClass, ...], offset: int
    ) -> None:
        self._graph = graph
        self._frame = frame
        self._offset = offset
        self.found: list[Block] = []
        self._origins: dict[str, tuple[int, ...]] = dict.fromkeys(graph.inputs, (INPUT,))
        for position in execution_order(graph):
            self._visit(graph.nodes[position], classes[position])

    def _visit(self, node: Node, layer_class: LayerClass) -> None:
        fed = [name for name in node.inputs if name and not self._frame.is_fixed(name)]
        sources = tuple(dict.fromkeys(s for name in fed for s in self._origins.get(name, ())))
        kind = self._kind(node, layer_class, len(sources))
        if kind:
            self.found.append(self._block(node, kind, sources))
            sources = (self._offset + len(self.found) - 1,)
        for name in node.outputs:
            self._origins[name] = sources

    def _kind(self, node: Node, layer_class: LayerClass, sources: int) -> str:
        kind = kind_of(node) or node.source_operator
        if node.outputs and all(self._frame.is_fixed(name) for name in node.outputs if name):
            return ""
        if kind in _BLOCK_OF_KIND:
            return _BLOCK_OF_KIND[kind]
        if layer_class is LayerClass.POOLING and self._shrinks_to_a_point(node):
            return "global-pool"
        if layer_class in _BLOCK_OF_CLASS:
            return _BLOCK_OF_CLASS[layer_class]
        if layer_class is LayerClass.ELEMENTWISE and sources > 1:
            element = node.attributes.get("op_type", kind)
            kind = element if isinstance(element, str) else kind
            return _ARITHMETIC.get(kind, kind)
        return ""

    def _shrinks_to_a_point(self, node: Node) -> bool:
        before = self._frame.shape(node.inputs[0]) if node.inputs else None
        after = self._frame.shape(node.outputs[0]) if node.outputs else None
        if not before or not after or len(before) != 4 or len(after) != 4:
            return False
        axes = (2, 3) if self._graph.layout is Layout.CHANNELS_FIRST else (1, 2)
        return all(after[axis] == 1 for axis in axes)

    def _block(self, node: Node, kind: str, sources: tuple[int, ...]) -> Block:
        if kind not in ("conv", "depthwise"):
            return Block(kind=kind, sources=sources)
        return Block(
            kind=kind,
            sources=sources,
            kernel=_ints(node, "kernel_shape"),
            stride=max(_ints(node, "strides"), default=1),
            dilation=max(_ints(node, "dilations"), default=1),
            channels_in=self._channels(node.inputs[0] if node.inputs else ""),
            channels_out=self._channels(node.outputs[0] if node.outputs else ""),
        )

    def _channels(self, name: str) -> int:
        shape = self._frame.shape(name)
        if not shape or len(shape) < 3:
            return 0
        return shape[1 if self._graph.layout is Layout.CHANNELS_FIRST else -1]


def _ints(node: Node, name: str) -> tuple[int, ...]:
    value = node.attributes.get(name)
    return tuple(n for n in value if isinstance(n, int)) if isinstance(value, tuple) else ()
