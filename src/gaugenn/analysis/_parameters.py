"""Which constants are a node's weights.

A weight is a constant that a node computes with. Sizes, axes, limits, quantisation scales and zero
points are none, nor are single numbers in arithmetic (an epsilon, an exponent). Constants that reach a
node through fixed expressions (a dequantised weight, a densified one) are that node's weights.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from gaugenn.analysis._node_view import kind_of, source_kind
from gaugenn.analysis._shapes_matrix import BLOCKWISE
from gaugenn.analysis.shapes import Frame
from gaugenn.graph import DataType, Graph, Model, Node, Tensor, TensorKind

_ONLY: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(
        (
            *(
                "Clip",
                "Pad",
                "Resize",
                "Upsample",
                "OneHot",
                "Dropout",
                "TopK",
                "Reshape",
                "Expand",
            ),
            *("Tile", "QuantizeLinear", "DequantizeLinear", "NonMaxSuppression", "CenterCropPad"),
            *("RoiAlign", "MaxRoiPool", "CropAndResize", "DynamicQuantizeLinear", "Trilu"),
        ),
        (0,),
    ),
    **dict.fromkeys(("Range", "ConstantOfShape", "RandomUniform", "RandomNormal"), ()),
    **dict.fromkeys(("QLinearConv", "QLinearConvTranspose"), (0, 3, 8)),
    **dict.fromkeys(("QLinearMatMul", "QLinearAdd", "QLinearMul"), (0, 3)),
    "QGemm": (0, 3, 6),
    **dict.fromkeys(("ConvInteger", "MatMulInteger"), (0, 1)),
    "DynamicQuantizeMatMul": (0, 1, 4),
    "MatMulIntegerToFloat": (0, 1, 6),
    "MatMulNBits": (0, 1, 5),
    "MatMulBnb4": (0, 1),
    "QAttention": (0, 1, 2),
    "DynamicQuantizeLSTM": (0, 1, 2, 3, 7),
    "QLinearWhere": (0, 1, 4),
}
"""Inputs that may be weights, for operators where not all may; the rest steers the operator."""

_ARITHMETIC = frozenset(
    """
    Add Sub Mul Div Pow Mod Min Max Sum Mean Where Equal Greater GreaterOrEqual Less LessOrEqual
    SQUARED_DIFFERENCE FLOOR_DIV FLOOR_MOD NOT_EQUAL SELECT ATAN2 BinaryOp Eltwise
    """.split()  # noqa: SIM905
)
"""Operators for which a single number is not a weight."""

_STATISTICS: dict[str, tuple[int, ...]] = {"BatchNormalization": (3, 4)}
"""Inputs that training measured rather than learned: weights, but not parameters."""

_GENERATED = frozenset({"ConstantOfShape"})
"""Operators that stand for weights whose values were thrown away."""

_WIDE_INTEGERS = frozenset({DataType.INT64, DataType.UINT64, DataType.INT32, DataType.UINT32})

_NEVER = frozenset({DataType.BOOL, DataType.STRING, DataType.RESOURCE, DataType.VARIANT})

_INTEGER_BIAS: dict[str, int] = {"QLinearConv": 8, "QLinearConvTranspose": 8, "QGemm": 6}


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """A constant that a node computes with.

    Attributes:
        graph: index of the graph that holds it.
        tensor: the constant.
        learned: False for running statistics.
        count: how many numbers it holds; None where unknown.
    """

    graph: int
    tensor: Tensor
    learned: bool
    count: int | None

    @property
    def key(self) -> tuple[int | str, ...]:
        """Equal for tensors that share their bytes."""
        data = self.tensor.data
        if isinstance(data, memoryview) and data.nbytes:
            address: int = np.frombuffer(data, dtype=np.uint8).__array_interface__["data"][0]
            return "bytes", address, data.nbytes
        return "tensor", self.graph, self.tensor.name


@dataclass(slots=True)
class WeightFinder:
    """Finds the weights of a model's nodes."""

    model: Model
    _producers: dict[int, dict[str, Node]] = field(default_factory=dict)

    def weights_of(self, frame: Frame, node: Node) -> tuple[Weight, ...]:
        """A node's weights in the order of its inputs, each once; none for fixed expressions."""
        if node.outputs and all(frame.is_fixed(name) for name in node.outputs if name):
            return ()
        found: dict[tuple[int | str, ...], Weight] = {}
        kind = kind_of(node)
        for position, name in enumerate(node.inputs):
            if not name or position not in _ONLY.get(kind, (position,)):
                continue
            learned = position not in _STATISTICS.get(kind, ())
            for graph, tensor in self._roots(frame, name):
                if _is_weight(node, kind, position, tensor):
                    packed = _packed_count(node, kind, position)
                    weight = Weight(
                        graph=graph,
                        tensor=tensor,
                        learned=learned,
                        count=tensor.elements if packed is None else packed,
                    )
                    found.setdefault(weight.key, weight)
        return tuple(found.values())

    def _roots(self, frame: Frame, name: str) -> Iterator[tuple[int, Tensor]]:
        """The constants behind a tensor that does not depend on the model's inputs."""
        pending, seen = [(frame, name)], {name}
        while pending:
            frame, name = pending.pop()
            scope: Frame | None = frame
            while scope is not None and name not in self.model.graphs[scope.graph].tensors:
                scope = scope.parent
            if scope is None or not scope.is_fixed(name):
                continue
            graph = self.model.graphs[scope.graph]
            tensor = graph.tensors[name]
            if tensor.kind is TensorKind.CONSTANT:
                yield scope.graph, tensor
                continue
            producer = self._producer(scope.graph, graph, name)
            if producer is None:
                continue
            if kind_of(producer) in _GENERATED:
                shape = scope.shapes.get(name)
                yield scope.graph, replace(tensor, shape=shape, dtype=scope.dtype(name))
                continue
            kept = _ONLY.get(kind_of(producer))
            for position, source in enumerate(producer.inputs):
                if source and source not in seen and (kept is None or position in kept):
                    seen.add(source)
                    pending.append((scope, source))

    def _producer(self, index: int, graph: Graph, name: str) -> Node | None:
        if index not in self._producers:
            self._producers[index] = {out: node for node in graph.nodes for out in node.outputs}
        return self._producers[index].get(name)


def weights_alone(model: Model) -> tuple[Weight, ...]:
    """All constants of a file that holds weights and no graph, each once; counters are none."""
    found: dict[tuple[int | str, ...], Weight] = {}
    if not any(graph.nodes for graph in model.graphs):
        for index, graph in enumerate(model.graphs):
            for tensor in graph.tensors.values():
                if tensor.kind is not TensorKind.CONSTANT or _is_steering(tensor):
                    continue
                weight = Weight(graph=index, tensor=tensor, learned=True, count=tensor.elements)
                found.setdefault(weight.key, weight)
    return tuple(found.values())


def _packed_count(node: Node, kind: str, position: int) -> int | None:
    """The numbers in a packed matrix, whose tensor holds bytes."""
    rows, columns = node.attributes.get("K"), node.attributes.get("N")
    if kind in BLOCKWISE and position == 1 and isinstance(rows, int) and isinstance(columns, int):
        return max(0, rows) * max(0, columns)
    return None


def _is_weight(node: Node, kind: str, position: int, tensor: Tensor) -> bool:
    if _is_steering(tensor):
        return tensor.dtype in _WIDE_INTEGERS and _INTEGER_BIAS.get(kind) == position
    if tensor.elements == 1:
        return (kind or source_kind(node)) not in _ARITHMETIC
    return True


def _is_steering(tensor: Tensor) -> bool:
    """Whether a constant is of a type that sizes, indices and flags have, and no weights."""
    if tensor.dtype in _WIDE_INTEGERS:
        return tensor.quantization is None or not (
            bool(tensor.quantization.scales) or tensor.quantization.scales_tensor != ""
        )
    return tensor.dtype in _NEVER


_ATTRIBUTE_WEIGHTS = frozenset(
    {"coefficients", "intercepts", "support_vectors", "rho", "prob_a", "prob_b"}
) | frozenset({"nodes_values", "nodes_splits", "target_weights", "class_weights", "leaf_weights"})
"""Attributes of the `ai.onnx.ml` operators that training sets. **Source:** https://onnx.ai/onnx/operators/"""


def attribute_weights(node: Node) -> int:
    """How many learned numbers a node of classical machine learning holds as attributes."""
    total = 0
    for name, value in node.attributes.items():
        if name not in _ATTRIBUTE_WEIGHTS:
            continue
        if isinstance(value, tuple):
            total += len(value)
        elif isinstance(value, Tensor):
            total += value.elements or 0
    return total
