"""Digests that recognise a network whatever its file: by its architecture, and by its weights.

**Architecture.** A digest over the graph's structure: per node its operator, kernel, strides, dilations
and group, the sizes of its output and of the constants it uses, and the digests of the nodes that feed
it. Names, the order of independent nodes, of commutative inputs and of dimensions, sizes of 1, element
types, padding that leaves the output's sizes alone, biases, and the nodes that only copy, convert or
(de)quantise are left out. A fused activation is the node that it replaces. So the same network in
another layout, precision or file has the same digest as far as its converter kept its operators; two
networks that differ only in what is left out share one.

**Weights.** A digest over the multiset of weights: each with element type, shape and bytes. Container,
names, order and metadata do not matter; layout and precision do.
"""

from collections.abc import Iterable, Sequence

from blake3 import blake3

from gaugenn.analysis._node_view import Shape, kind_of
from gaugenn.analysis._order import execution_order
from gaugenn.analysis._parameters import Weight
from gaugenn.analysis.shapes import Frame, InferredShapes
from gaugenn.content import blocks
from gaugenn.graph import Graph, Model, Node, Tensor, TensorKind
from gaugenn.records import digest

_COPIES = frozenset(
    """
    Identity Dropout Cast CastLike QuantizeLinear DequantizeLinear Reshape Squeeze Unsqueeze Flatten
    ExpandDims QUANTIZE DEQUANTIZE DENSIFY Noop
    """.split()  # noqa: SIM905
)
"""Operators that leave every element's value and order alone."""

_COMMUTATIVE = frozenset(
    "Add Mul Max Min Sum Mean And Or Xor Equal BitwiseAnd BitwiseOr BitwiseXor".split()  # noqa: SIM905
)

_COMPARED = ("kernel_shape", "strides", "dilations", "group")

_DEFAULT_ONES = frozenset({"strides", "dilations", "group"})

_FUSED: dict[str, str] = {
    "FusedConv": "Conv",
    "NhwcConv": "Conv",
    "NhwcFusedConv": "Conv",
    "QLinearConv": "Conv",
    "ConvInteger": "Conv",
    "FusedGemm": "Gemm",
    "MatMul": "Gemm",
    "FusedMatMul": "Gemm",
    "QGemm": "Gemm",
    "QLinearMatMul": "Gemm",
    "MatMulInteger": "Gemm",
    "QLinearAdd": "Add",
    "QLinearMul": "Mul",
    "QLinearConcat": "Concat",
    "QLinearSigmoid": "Sigmoid",
    "QLinearSoftmax": "Softmax",
    "QLinearLeakyRelu": "LeakyRelu",
    "QLinearAveragePool": "AveragePool",
    "QLinearGlobalAveragePool": "GlobalAveragePool",
    "NhwcMaxPool": "MaxPool",
}
"""Operators that are another one in another precision, layout or fusion."""


def architecture_digest(model: Model, shapes: InferredShapes) -> str:
    """SHA-256 of a model's structure, lower-case hex; see the module.

    Args:
        model: as read.
        shapes: of the same model.
    """
    return _Architecture(model).of(shapes.main)


def weight_digest(weights: Iterable[Weight]) -> str | None:
    """Digest of a set of weights, or None without weights or without the bytes of one.

    Reads every byte.
    """
    return combined_digest([tensor_digest(weight.tensor) for weight in weights])


def combined_digest(digests: Sequence[str | None]) -> str | None:
    """The digest of a set of weights whose own digests are known: SHA-256 of the sorted list."""
    known = [each for each in digests if each is not None]
    if not known or len(known) != len(digests):
        return None
    return digest(sorted(known))


def tensor_digest(tensor: Tensor) -> str | None:
    """BLAKE3 of a tensor's element type, shape and bytes, or None where it has no bytes.

    BLAKE3 is more than twice as fast as SHA-256 is with the processor's instructions for it.

    **Source:** https://github.com/BLAKE3-team/BLAKE3-specs
    """
    if tensor.data is None:
        return None
    state = blake3(f"{tensor.dtype.value}{list(tensor.shape or ())}\0".encode())
    for block in blocks(tensor.read()):
        state.update(block)
    return state.hexdigest()


class _Architecture:
    def __init__(self, model: Model) -> None:
        self._model = model
        self._known: dict[Frame, str] = {}

    def of(self, frame: Frame) -> str:
        known = self._known.get(frame)
        if known is not None:
            return known
        graph = self._model.graphs[frame.graph]
        marks: dict[str, str] = {
            name: digest(["input", _sizes(frame.shape(name))]) for name in graph.inputs
        }
        nodes: list[str] = []
        for position in execution_order(graph):
            node = graph.nodes[position]
            if node.outputs and all(frame.is_fixed(name) for name in node.outputs if name):
                continue
            if _is_copy(node):
                marks[node.outputs[0]] = self._mark(graph, frame, marks, node.inputs[0])
                continue
            mark = self._node(graph, frame, marks, position, node)
            activation = node.attributes.get("fused_activation")
            nodes.append(mark)
            if isinstance(activation, str) and activation:
                sizes = _sizes(frame.shape(node.outputs[0])) if node.outputs else None
                mark = digest([activation, {}, [mark], sizes, []])
                nodes.append(mark)
            for i, name in enumerate(node.outputs):
                marks[name] = mark if i == 0 else digest([mark, i])
        ends = [self._mark(graph, frame, marks, name) for name in graph.outputs]
        self._known[frame] = digest([sorted(nodes), sorted(ends)])
        return self._known[frame]

    def _node(
        self, graph: Graph, frame: Frame, marks: dict[str, str], position: int, node: Node
    ) -> str:
        kind = kind_of(node) or node.source_operator
        kind = _FUSED.get(kind, kind)
        inputs = [
            self._mark(graph, frame, marks, name)
            for name in node.inputs
            if name and not _is_ignored(frame, name)
        ]
        if kind in _COMMUTATIVE:
            inputs.sort()
        inner = [self.of(call.frame) for call in frame.calls.get(position, ())]
        sizes = _sizes(frame.shape(node.outputs[0])) if node.outputs else None
        return digest([kind, _attributes(node), inputs, sizes, inner])

    def _mark(self, graph: Graph, frame: Frame, marks: dict[str, str], name: str) -> str:
        if name in marks:
            return marks[name]
        tensor = self._model.find_tensor(graph, name)
        kind = "outer" if tensor is None or tensor.kind is TensorKind.ACTIVATION else "constant"
        if frame.is_fixed(name):
            kind = "constant"
        return digest([kind, _sizes(frame.shape(name))])


def _is_copy(node: Node) -> bool:
    kind = kind_of(node) or node.source_operator
    return kind in _COPIES and bool(node.inputs and node.outputs and node.inputs[0])


def _is_ignored(frame: Frame, name: str) -> bool:
    """Biases, scales, limits and sizes: constants of at most one dimension."""
    shape = frame.shape(name)
    return frame.is_fixed(name) and shape is not None and sum(size != 1 for size in shape) <= 1


def _sizes(shape: Shape | None) -> list[int] | None:
    """Sizes in no order, without those of 1: alike in every layout."""
    return None if shape is None else sorted(size for size in shape if size != 1)


def _attributes(node: Node) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for name in _COMPARED:
        value = node.attributes.get(name)
        numbers = value if isinstance(value, tuple) else (value,)
        sizes = [n for n in numbers if isinstance(n, int)]
        if sizes and not (name in _DEFAULT_ONES and set(sizes) == {1}):
            found[name] = sizes
    return found
