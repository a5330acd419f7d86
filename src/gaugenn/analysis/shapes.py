"""A concrete shape for every tensor whose shape can be known, in any format and layout.

Shapes that the file states are trusted; the rest follows from the operators' definitions. A dynamic
dimension is 1 unless the caller says otherwise, and so is a size that only the data decides (how many
boxes survive); both are reported as assumed. Small integer tensors are followed by value, because
exporters compute shapes inside the graph. Sub-graphs are entered from where they are called.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from gaugenn.analysis._calls import Invocation, Result, Role, invocations
from gaugenn.analysis._dtypes import dtypes_of
from gaugenn.analysis._node_view import (
    MAXIMUM_RANK,
    NodeView,
    Shape,
    UnknownShapeError,
    Value,
    elements,
)
from gaugenn.analysis._order import execution_order
from gaugenn.analysis._rules import rule_of
from gaugenn.analysis._shapes_spatial import layout_of
from gaugenn.analysis._values import constant_value, fold
from gaugenn.errors import FormatError
from gaugenn.graph import LARGEST_SIZE, DataType, Graph, Model, Node, Tensor, TensorKind
from gaugenn.graph import Shape as FileShape

MAXIMUM_FRAMES = 10_000
"""Distinct calls of sub-graphs that are followed in one model."""

MAXIMUM_DEPTH = 64
"""Sub-graphs inside sub-graphs that are followed."""

MAXIMUM_RUNS = 300_000
"""Nodes that are run in further calls of sub-graphs, all calls together."""

MAXIMUM_VALUES = 1 << 22
"""Elements of small tensors that are kept by value, all tensors together."""

_MAXIMUM_REMARKS = 20

_RANDOM = frozenset(
    """
    RandomNormal RandomUniform RandomNormalLike RandomUniformLike Bernoulli Multinomial
    RANDOM_STANDARD_NORMAL RANDOM_UNIFORM MULTINOMIAL VAR_HANDLE READ_VARIABLE HASHTABLE
    STABLEHLO_RNG_BIT_GENERATOR
    """.split()  # noqa: SIM905
)
"""Operators whose result does not follow from their inputs."""


class Note(StrEnum):
    """What was unusual about a model's shapes."""

    CONTRADICTION = "shape-contradiction"
    """The file states a shape that its operators cannot give."""
    RECURSION = "recursive-graph"
    """A sub-graph calls itself."""
    LIMIT = "limit-calls"
    """More sub-graph calls than are followed."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Call:
    """One sub-graph that a node runs.

    Attributes:
        frame: the sub-graph with the shapes it has there.
        role: see `Role`.
        times: how often it runs per run of the node.
        known: whether `times` is certain; where not, it is 1.
    """

    frame: "Frame"
    role: Role
    times: int
    known: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Frame:
    """A graph as it is run from one place, with what is known about its tensors.

    Attributes:
        graph: index in `Model.graphs`.
        shapes: concrete shapes by tensor name.
        dtypes: element types by tensor name; UNKNOWN ones are left out.
        values: elements of small tensors that do not depend on the model's inputs.
        fixed: tensors that do not depend on the model's inputs.
        calls: the sub-graphs that a node runs, by its position.
        parent: the frame whose tensors this one also sees.
    """

    graph: int
    shapes: dict[str, Shape] = field(default_factory=dict)
    dtypes: dict[str, DataType] = field(default_factory=dict)
    values: dict[str, Value] = field(default_factory=dict)
    fixed: set[str] = field(default_factory=set)
    calls: dict[int, tuple[Call, ...]] = field(default_factory=dict)
    parent: "Frame | None" = None

    def shape(self, name: str) -> Shape | None:
        """The shape of a tensor that this graph sees."""
        frame: Frame | None = self
        while frame is not None:
            if name in frame.shapes:
                return frame.shapes[name]
            frame = frame.parent
        return None

    def dtype(self, name: str) -> DataType:
        """The element type of a tensor that this graph sees."""
        frame: Frame | None = self
        while frame is not None:
            if name in frame.dtypes:
                return frame.dtypes[name]
            frame = frame.parent
        return DataType.UNKNOWN

    def value(self, name: str) -> Value | None:
        """The elements of a small tensor that this graph sees."""
        frame: Frame | None = self
        while frame is not None:
            if name in frame.values:
                return frame.values[name]
            frame = frame.parent
        return None

    def is_fixed(self, name: str) -> bool:
        """Whether a tensor that this graph sees does not depend on the model's inputs."""
        frame: Frame | None = self
        while frame is not None:
            if name in frame.fixed:
                return True
            if name in frame.shapes:
                return False
            frame = frame.parent
        return False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InferredShapes:
    """What is known about a model's tensors.

    Attributes:
        frames: one per graph of the model: the first call of a graph that is called from the main
            graph, else the graph on its own.
        assumed: what was taken as 1 in the main graph and what it calls: symbols of dynamic
            dimensions ("?" where nameless) and data-dependent sizes.
        contradictions: shapes that the file states and its operators deny; the first twenty.
        notes: sorted.
    """

    frames: tuple[Frame, ...]
    assumed: tuple[str, ...]
    contradictions: tuple[str, ...]
    notes: tuple[Note, ...]

    @property
    def main(self) -> Frame:
        """The main graph."""
        return self.frames[0]

    def shape(self, name: str, graph: int = 0) -> Shape | None:
        """The shape of a tensor, None where it is unknown."""
        return self.frames[graph].shape(name)


def infer_shapes(model: Model, dimensions: Mapping[str, int] | None = None) -> InferredShapes:
    """Gives every tensor a concrete shape where it can be known.

    Args:
        model: as read.
        dimensions: sizes of dynamic dimensions, by symbol or by input and axis (`batch`, `data[2]`);
            those that are left out are 1. An input of unknown rank gets one dimension more than the
            highest axis that is named.
    """
    inference = _Inference(model, dimensions or {})
    frames = [inference.enter(0, (), None)]
    assumed = tuple(sorted(inference.assumed))
    for index in range(1, len(model.graphs)):
        outer = model.graphs[index].parent
        parent = None if outer is None else frames[outer]
        frames.append(inference.first_frame(index) or inference.enter(index, (), parent))
    return InferredShapes(
        frames=tuple(frame or Frame(graph=i) for i, frame in enumerate(frames)),
        assumed=assumed,
        contradictions=tuple(inference.contradictions),
        notes=tuple(sorted(inference.notes)),
    )


def view_of(model: Model, frame: Frame, node: Node, assumed: set[str] | None = None) -> NodeView:
    """A node of a frame as rules see it.

    Args:
        model: the frame's model.
        frame: where the node is run.
        node: the node.
        assumed: collects what a rule assumes.
    """
    graph = model.graphs[frame.graph]
    found = [model.find_tensor(graph, name) if name else None for name in node.inputs]
    constants = tuple(
        tensor if tensor is not None and tensor.kind is TensorKind.CONSTANT else None
        for tensor in found
    )

    def value_at(index: int) -> Value | None:
        return frame.value(node.inputs[index]) if index < len(node.inputs) else None

    def assume(reason: str) -> None:
        if assumed is not None:
            assumed.add(reason)

    return NodeView(
        node=node,
        layout=layout_of(node, graph.layout),
        shapes=tuple(frame.shape(name) if name else None for name in node.inputs),
        dtypes=tuple(frame.dtype(name) if name else DataType.UNKNOWN for name in node.inputs),
        declared=tuple(_declared(graph, name) for name in node.outputs),
        tensors=constants,
        fixed=tuple(name != "" and frame.is_fixed(name) for name in node.inputs),
        value_at=value_at,
        assume=assume,
    )


def _declared(graph: Graph, name: str) -> Shape | None:
    tensor = graph.tensors.get(name)
    if tensor is None or tensor.elements is None or tensor.shape is None:
        return None
    return tuple(size for size in tensor.shape if isinstance(size, int))


_Arguments = tuple[tuple[Shape | None, DataType, Value | None], ...]


class _Inference:
    """One walk over a model."""

    def __init__(self, model: Model, dimensions: Mapping[str, int]) -> None:
        self.model = model
        self.dimensions = dimensions
        self.assumed: set[str] = set()
        self.contradictions: list[str] = []
        self.notes: set[Note] = set()
        self._frames: dict[tuple[object, ...], Frame] = {}
        self._first: dict[int, Frame] = {}
        self._open: list[int] = []
        self._runs_left = MAXIMUM_RUNS
        self._values_left = MAXIMUM_VALUES

    def first_frame(self, index: int) -> Frame | None:
        """The first frame of a graph that was called."""
        return self._first.get(index)

    def enter(self, index: int, arguments: _Arguments, parent: Frame | None) -> Frame | None:
        """Runs a graph with given inputs; None where it cannot be followed."""
        if index in self._open:
            self.notes.add(Note.RECURSION)
            return None
        key = (index, id(parent), _signature(arguments))
        known = self._frames.get(key)
        if known is not None:
            return known
        if index in self._first:
            self._runs_left -= len(self.model.graphs[index].nodes)
        too_many = len(self._frames) >= MAXIMUM_FRAMES or self._runs_left < 0
        if too_many or len(self._open) >= MAXIMUM_DEPTH:
            self.notes.add(Note.LIMIT)
            return None
        frame = Frame(graph=index, parent=parent)
        self._frames[key] = frame
        self._first.setdefault(index, frame)
        self._open.append(index)
        graph = self.model.graphs[index]
        self._define(graph, frame, arguments)
        for position in execution_order(graph):
            self._run(graph, frame, position, graph.nodes[position])
        self._open.pop()
        return frame

    def _define(self, graph: Graph, frame: Frame, arguments: _Arguments) -> None:
        """Puts constants, variables and inputs into a frame."""
        produced = {name for node in graph.nodes for name in node.outputs}
        for name, tensor in graph.tensors.items():
            if tensor.dtype is not DataType.UNKNOWN:
                frame.dtypes[name] = tensor.dtype
            if tensor.kind is TensorKind.CONSTANT:
                self._settle(frame, name, tensor, None)
                frame.fixed.add(name)
                self._keep(frame, name, _value_of(tensor))
            elif name not in produced and name not in graph.inputs:
                self._settle(frame, name, tensor, None)
        for i, name in enumerate(graph.inputs):
            shape, dtype, value = arguments[i] if i < len(arguments) else _NOTHING
            if shape is None:
                shape = self._chosen(name, graph.tensors[name])
            self._settle(frame, name, graph.tensors[name], shape)
            if name not in frame.dtypes and dtype is not DataType.UNKNOWN:
                frame.dtypes[name] = dtype
            self._keep(frame, name, value)

    def _keep(self, frame: Frame, name: str, value: Value | None) -> bool:
        """Follows a tensor by value, if it has one that fits and there is room for it."""
        if value is None or value.shape != frame.shapes.get(name):
            return False
        if value.size > self._values_left:
            return False
        self._values_left -= value.size
        frame.values[name] = value
        return True

    def _settle(
        self, frame: Frame, name: str, tensor: Tensor | None, inferred: Shape | None
    ) -> None:
        """Joins what the file says about a shape with what was inferred."""
        given = None if tensor is None else tensor.shape
        if given is not None and len(given) > MAXIMUM_RANK:
            return
        if given is None:
            if inferred is not None:
                frame.shapes[name] = inferred
            return
        if inferred is not None and len(inferred) != len(given):
            self._contradict(frame, name, given, inferred)
            if any(isinstance(size, str) for size in given):
                frame.shapes[name] = inferred
                return
            inferred = None
        sizes: list[int] = []
        for axis, size in enumerate(given):
            if isinstance(size, int):
                sizes.append(size)
                if inferred is not None and inferred[axis] != size:
                    self._contradict(frame, name, given, inferred)
            elif inferred is not None:
                sizes.append(inferred[axis])
            else:
                sizes.append(self._dimension(size))
        frame.shapes[name] = tuple(sizes)

    def _dimension(self, symbol: str) -> int:
        size = self.dimensions.get(symbol)
        if size is None or size < 0:
            self.assumed.add(symbol)
            return 1
        return size

    def _chosen(self, name: str, tensor: Tensor) -> Shape | None:
        """The shape that the caller gives an input, axis by axis."""
        sizes = {
            axis: self.dimensions[key]
            for axis in range(MAXIMUM_RANK)
            if (key := f"{name}[{axis}]") in self.dimensions and self.dimensions[key] >= 0
        }
        if not sizes:
            return None
        given = tensor.shape if tensor.shape is not None else ("?",) * (max(sizes) + 1)
        return tuple(
            sizes[axis]
            if axis in sizes
            else size
            if isinstance(size, int)
            else self._dimension(size)
            for axis, size in enumerate(given)
        )

    def _contradict(self, frame: Frame, name: str, given: FileShape, inferred: Shape) -> None:
        self.notes.add(Note.CONTRADICTION)
        if len(self.contradictions) < _MAXIMUM_REMARKS:
            place = self.model.graphs[frame.graph].name
            self.contradictions.append(
                f"graph {place!r}: tensor {name!r} is {given} in the file, {inferred} by its operator"
            )

    def _run(self, graph: Graph, frame: Frame, position: int, node: Node) -> None:
        view = view_of(self.model, frame, node, self.assumed)
        calls = _invocations(view)
        shapes: Sequence[Shape | None]
        dtypes: Sequence[DataType]
        values: Sequence[Value | None] = ()
        if calls is not None:
            shapes, dtypes, values = self._call(frame, position, view, calls)
        else:
            shapes, dtypes = _apply(view), dtypes_of(view)
            values = fold(view, tuple(shapes))
        fixed = calls is None and _is_fixed(frame, view)
        for i, name in enumerate(node.outputs):
            if not name or name in frame.fixed:
                continue
            shape = shapes[i] if i < len(shapes) else None
            self._settle(frame, name, graph.tensors.get(name), shape)
            if name not in frame.dtypes and i < len(dtypes) and dtypes[i] is not DataType.UNKNOWN:
                frame.dtypes[name] = dtypes[i]
            value = values[i] if i < len(values) else None
            if self._keep(frame, name, value) or fixed:
                frame.fixed.add(name)

    def _call(
        self, frame: Frame, position: int, view: NodeView, wanted: Sequence[Invocation]
    ) -> tuple[list[Shape | None], list[DataType], list[Value | None]]:
        """Enters the sub-graphs of a node; gives its outputs' shapes, types and values."""
        calls: list[Call] = []
        shapes: list[Shape | None] = [None] * view.outputs
        dtypes = [DataType.UNKNOWN] * view.outputs
        for invocation in wanted:
            parent = self._scope(frame, invocation.graph)
            arguments = tuple(
                (a.shape, DataType.UNKNOWN if a.index is None else view.dtypes[a.index], None)
                if a.index is None or not invocation.keeps_values
                else (a.shape, view.dtypes[a.index], view.value_at(a.index))
                for a in invocation.arguments
            )
            inner = self.enter(invocation.graph, arguments, parent)
            if inner is None:
                continue
            calls.append(
                Call(
                    frame=inner,
                    role=invocation.role,
                    times=invocation.times,
                    known=invocation.known,
                )
            )
            if not invocation.known:
                self.assumed.add(f"one run of a sub-graph of {view.node.source_operator}")
            self._return(view, invocation, inner, shapes, dtypes)
        frame.calls[position] = tuple(calls)
        values: list[Value | None] = [None] * view.outputs
        if len(calls) == 1 and wanted[0].keeps_values:
            inner = calls[0].frame
            names = self.model.graphs[inner.graph].outputs
            values = [inner.value(name) for name in names[: view.outputs]]
        return shapes, dtypes, values

    def _return(
        self,
        view: NodeView,
        invocation: Invocation,
        inner: Frame,
        shapes: list[Shape | None],
        dtypes: list[DataType],
    ) -> None:
        results = self.model.graphs[inner.graph].outputs
        for i, result in enumerate(invocation.results):
            if i >= view.outputs or result.index >= len(results):
                break
            name = results[result.index]
            shape = _outer_shape(result, inner.shape(name))
            before = shapes[i]
            if before is None or (shape is not None and elements(shape) > elements(before)):
                shapes[i] = shape if shape is not None else before
            if before is not None and shape is not None and before != shape:
                self.assumed.add("the larger branch of an If")
            if dtypes[i] is DataType.UNKNOWN:
                dtypes[i] = inner.dtype(name)

    def _scope(self, frame: Frame, index: int) -> Frame | None:
        """The frame whose tensors a sub-graph sees when called from another."""
        wanted = self.model.graphs[index].parent
        scope: Frame | None = frame
        while scope is not None and scope.graph != wanted:
            scope = scope.parent
        return scope


_NOTHING: tuple[Shape | None, DataType, Value | None] = (None, DataType.UNKNOWN, None)


def _apply(view: NodeView) -> Sequence[Shape | None]:
    """The shapes of a node's outputs by its rule; () where no rule knows or one cannot apply."""
    rule = rule_of(view.node)
    if rule is None:
        return ()
    try:
        found = rule(view)
    except _CONTRADICTIONS:
        return ()
    return [
        shape if shape is None or max(shape, default=0) <= LARGEST_SIZE else None for shape in found
    ]


_CONTRADICTIONS = (UnknownShapeError, FormatError, ArithmeticError, IndexError, ValueError)
"""What rules raise on inputs that are unknown, and on attributes that contradict each other."""


def _invocations(view: NodeView) -> tuple[Invocation, ...] | None:
    try:
        return invocations(view)
    except _CONTRADICTIONS:
        return ()


def _outer_shape(result: Result, inner: Shape | None) -> Shape | None:
    try:
        return None if inner is None else result.shape(inner)
    except UnknownShapeError:
        return None


def _value_of(tensor: Tensor) -> Value | None:
    try:
        return constant_value(tensor)
    except FormatError:
        return None


def _is_fixed(frame: Frame, view: NodeView) -> bool:
    node = view.node
    if view.kind in _RANDOM or node.source_operator in _RANDOM:
        return False
    present = [name for name in node.inputs if name]
    return all(frame.is_fixed(name) for name in present) and (
        bool(present) or view.kind == "Constant"
    )


def _signature(arguments: _Arguments) -> tuple[object, ...]:
    return tuple(
        (shape, dtype, None if value is None else (value.dtype.str, value.shape, value.tobytes()))
        for shape, dtype, value in arguments
    )
