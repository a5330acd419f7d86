"""What a model costs: multiply-accumulates, other operations, weights and activation memory.

One MAC is one multiplication with its addition, 2 FLOPs. Element-wise work (activations, arithmetic,
normalisation, pooling, biases) is counted apart; `_cost_elementwise` says how. Results that do not
depend on the model's inputs (shape arithmetic, dequantised weights) cost nothing per inference. A node
that runs sub-graphs costs what they cost: the costliest branch, the body times the trip count.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gaugenn.analysis._calls import Role
from gaugenn.analysis._cost_elementwise import elementwise_operations, is_known
from gaugenn.analysis._cost_matrix import FORMULAS, SOURCE_FORMULAS
from gaugenn.analysis._memory import activation_peak_bytes, tensor_bytes
from gaugenn.analysis._node_view import NodeView, Shape, UnknownShapeError, source_kind
from gaugenn.analysis._parameters import (
    Weight,
    WeightFinder,
    attribute_weights,
    weights_alone,
)
from gaugenn.analysis.shapes import Frame, InferredShapes, view_of
from gaugenn.errors import FormatError
from gaugenn.graph import DataType, Model, Node

_BYTES_PER_ATTRIBUTE = 4
"""Numbers in attributes of ONNX nodes are 32-bit floats."""

_SHAPELESS = frozenset({DataType.VARIANT, DataType.RESOURCE})
"""Types of sequences, maps and handles, which have no shape to know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeCost:
    """What one node costs per run of its graph.

    Attributes:
        macs: None where unknown; of what is known where the node runs sub-graphs.
        elementwise_operations: likewise.
        parameters: learned numbers the node uses, shared or not.
        weights: the constants that it computes with.
        weights_bytes: their bytes as stored.
        output_shape: of the first output.
        output_bytes: of all outputs; None where one is unknown.
        bytes_moved: see `ModelCost`; None where a size is unknown.
        is_counted: whether cost and output shapes are known.
    """

    macs: int | None
    elementwise_operations: int | None
    parameters: int
    weights: tuple[Weight, ...]
    weights_bytes: int
    output_shape: Shape | None
    output_bytes: int | None
    bytes_moved: int | None
    is_counted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCost:
    """What one inference of a model costs.

    Attributes:
        nodes: per graph of the model, per node. Graphs that nothing calls stand here, too, but not in
            the sums.
        macs: lower bound where `uncounted_nodes`; None where nothing is known.
        elementwise_operations: likewise.
        parameters: learned numbers, shared ones once.
        weights: the distinct constants that the model computes with; of a file that holds weights
            and no graph, those that it holds.
        weights_bytes: their bytes as stored.
        bytes_moved: what all operators together read (inputs and weights, each once an operator) and
            write, as if nothing stayed in a cache and nothing were fused. Operations by these are the
            arithmetic intensity. A lower bound where `uncounted_nodes`. **Source:** the roofline
            model, https://doi.org/10.1145/1498765.1498785
        activation_peak_bytes: see `_memory.activation_peak_bytes`.
        uncounted_nodes: nodes whose cost or shape is unknown, each once.
        has_unknown_trips: a loop of unknown length was counted once.
    """

    nodes: tuple[tuple[NodeCost, ...], ...]
    macs: int | None
    elementwise_operations: int | None
    parameters: int
    weights: tuple[Weight, ...]
    weights_bytes: int
    bytes_moved: int
    activation_peak_bytes: int | None
    uncounted_nodes: int
    has_unknown_trips: bool

    @property
    def flops(self) -> int | None:
        """2 x MACs."""
        return None if self.macs is None else 2 * self.macs


def costs(model: Model, shapes: InferredShapes) -> ModelCost:
    """Counts a model.

    Args:
        model: as read.
        shapes: of the same model, from `infer_shapes`.
    """
    counting = _Counting(model)
    main = counting.total(shapes.main)
    reached = counting.frames()
    nodes = tuple(counting.total(frame).nodes for frame in shapes.frames)
    uncounted = {
        (frame.graph, position)
        for frame in reached
        for position, node in enumerate(counting.total(frame).nodes)
        if not node.is_counted
    }
    of_nodes = [cost for frame in reached for cost in counting.total(frame).nodes]
    used = {w.key: w for cost in of_nodes for w in cost.weights}
    weights = tuple(used.values()) or weights_alone(model)
    attributes = sum(
        attribute_weights(node)
        for g in {f.graph for f in reached}
        for node in model.graphs[g].nodes
    )
    return ModelCost(
        nodes=nodes,
        macs=None if uncounted and not main.macs else main.macs,
        elementwise_operations=None if uncounted and not main.elementwise else main.elementwise,
        parameters=_parameters(weights) + attributes,
        weights=weights,
        weights_bytes=_bytes(weights) + _BYTES_PER_ATTRIBUTE * attributes,
        bytes_moved=main.bytes_moved,
        activation_peak_bytes=main.peak_bytes,
        uncounted_nodes=len(uncounted),
        has_unknown_trips=any(
            not call.known for frame in reached for calls in frame.calls.values() for call in calls
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Total:
    nodes: tuple[NodeCost, ...]
    macs: int
    elementwise: int
    bytes_moved: int
    peak_bytes: int | None


class _Counting:
    """Counts each frame once, however often it is called."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._finder = WeightFinder(model)
        self._totals: dict[Frame, _Total] = {}

    def frames(self) -> tuple[Frame, ...]:
        """The frames that were counted so far."""
        return tuple(self._totals)

    def total(self, frame: Frame) -> _Total:
        known = self._totals.get(frame)
        if known is not None:
            return known
        graph = self._model.graphs[frame.graph]
        nodes = tuple(self._node(frame, i, node) for i, node in enumerate(graph.nodes))
        inner = {
            position: max((self.total(call.frame).peak_bytes or 0 for call in calls), default=0)
            for position, calls in frame.calls.items()
        }
        total = _Total(
            nodes=nodes,
            macs=sum(node.macs or 0 for node in nodes),
            elementwise=sum(node.elementwise_operations or 0 for node in nodes),
            bytes_moved=sum(node.bytes_moved or 0 for node in nodes),
            peak_bytes=activation_peak_bytes(self._model, frame, inner),
        )
        self._totals[frame] = total
        return total

    def _node(self, frame: Frame, position: int, node: Node) -> NodeCost:
        view = view_of(self._model, frame, node)
        outputs = [frame.shape(name) if name else None for name in node.outputs]
        weights = self._finder.weights_of(frame, node)
        attributes = attribute_weights(node)
        weights_bytes = _bytes(weights) + _BYTES_PER_ATTRIBUTE * attributes
        sizes = [tensor_bytes(frame, name) for name in node.outputs if name]
        moved: int | None
        if position in frame.calls:
            macs, operations, moved = self._called(frame, position)
        elif node.outputs and all(frame.is_fixed(name) for name in node.outputs if name):
            macs, operations, moved = 0, 0, 0
        else:
            macs, operations = _macs(view, outputs), _operations(view, outputs)
            fed = [n for n in dict.fromkeys(node.inputs) if n and not frame.is_fixed(n)]
            moved = _sum([weights_bytes, *sizes, *(tensor_bytes(frame, name) for name in fed)])
        has_shapes = all(
            shape is not None or not name or frame.dtype(name) in _SHAPELESS
            for name, shape in zip(node.outputs, outputs, strict=True)
        )
        return NodeCost(
            macs=macs,
            elementwise_operations=operations,
            parameters=_parameters(weights) + attributes,
            weights=weights,
            weights_bytes=weights_bytes,
            output_shape=outputs[0] if outputs else None,
            output_bytes=_sum(sizes),
            bytes_moved=moved,
            is_counted=macs is not None and operations is not None and has_shapes,
        )

    def _called(self, frame: Frame, position: int) -> tuple[int | None, int | None, int | None]:
        """The costliest branch and all bodies; unknown where no sub-graph could be entered.

        Returns:
            MACs, element-wise operations, and bytes moved.
        """
        calls = frame.calls[position]
        if not calls:
            return None, None, None
        macs = elementwise = moved = 0
        branches = [self.total(call.frame) for call in calls if call.role is Role.BRANCH]
        if branches:
            costliest = max(branches, key=lambda total: (total.macs, total.elementwise))
            macs, elementwise = costliest.macs, costliest.elementwise
            moved = costliest.bytes_moved
        for call in calls:
            if call.role is Role.BODY:
                macs += call.times * self.total(call.frame).macs
                elementwise += call.times * self.total(call.frame).elementwise
                moved += call.times * self.total(call.frame).bytes_moved
        for call in calls:
            self.total(call.frame)
        return macs, elementwise, moved


def _macs(view: NodeView, outputs: Sequence[Shape | None]) -> int | None:
    kind = view.kind
    formula = FORMULAS.get(kind)
    if not kind and not view.node.domain:
        formula = SOURCE_FORMULAS.get(source_kind(view.node))
    if formula is None:
        return 0 if is_known(view.node) else None
    try:
        return formula(view, outputs)
    except _CONTRADICTIONS:
        return None


def _operations(view: NodeView, outputs: Sequence[Shape | None]) -> int | None:
    try:
        return elementwise_operations(view, outputs)
    except _CONTRADICTIONS:
        return None


_CONTRADICTIONS = (UnknownShapeError, FormatError, ArithmeticError, IndexError, ValueError)


def _parameters(weights: Iterable[Weight]) -> int:
    return sum(weight.count or 0 for weight in weights if weight.learned)


def _bytes(weights: Iterable[Weight]) -> int:
    return sum(weight.tensor.size_bytes or 0 for weight in weights)


def _sum(sizes: Sequence[int | None]) -> int | None:
    known = [size for size in sizes if size is not None]
    return sum(known) if len(known) == len(sizes) else None
