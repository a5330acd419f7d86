"""Which sub-graphs a node runs, with what, how often, and what comes out of them."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from gaugenn.analysis._node_view import NodeView, Shape, UnknownShapeError, without, wrap
from gaugenn.graph import GraphReference

ENDLESS = 1 << 31
"""Trip counts from here on are "until the condition says stop"."""


class Role(StrEnum):
    """How the cost of a sub-graph enters that of its node."""

    BRANCH = "branch"
    """One of several that exclude each other: the costliest counts."""
    BODY = "body"
    """Runs in every inference, as often as the call says."""
    ONCE = "once"
    """Runs when the model is prepared, not in an inference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """What a sub-graph gets as an input.

    Attributes:
        shape: None where unknown.
        index: position of the node's input that it is or is cut from; None for a loop's own counter.
    """

    shape: Shape | None
    index: int | None


def _as_it_is(shape: Shape) -> Shape:
    return shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Where one output of a node comes from.

    Attributes:
        index: position among the sub-graph's outputs.
        shape: from the sub-graph's output shape to the node's.
    """

    index: int
    shape: Callable[[Shape], Shape] = _as_it_is


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """A sub-graph that a node runs; see `Role`. `times` is 1 where not `known`."""

    graph: int
    role: Role
    arguments: tuple[Argument, ...] = ()
    results: tuple[Result, ...] = ()
    times: int = 1
    known: bool = True
    keeps_values: bool = False


_APPLIED_TO_ELEMENTS = frozenset(
    """
    STABLEHLO_REDUCE STABLEHLO_REDUCE_WINDOW STABLEHLO_SCATTER STABLEHLO_SORT
    STABLEHLO_CUSTOM_CALL FlexAttention
    """.split()  # noqa: SIM905
)
"""Operators whose sub-graphs say how two elements combine; they are no calls."""


def invocations(view: NodeView) -> tuple[Invocation, ...] | None:
    """The sub-graphs that a node runs, or None for a node that runs none.

    **Source:** https://onnx.ai/onnx/operators/ (If, Loop, Scan, SequenceMap),
    https://github.com/google-ai-edge/LiteRT/tree/main/tflite/kernels (if, while, call_once)
    """
    graphs = {
        name: value.index
        for name, value in view.node.attributes.items()
        if isinstance(value, GraphReference)
    }
    source = view.node.source_operator
    if not graphs or source in _APPLIED_TO_ELEMENTS:
        return None
    if view.kind == "If":
        return _branches(view, graphs)
    if view.kind == "Loop" and "body" in graphs:
        return _loop(view, graphs)
    if view.kind == "Scan" and "body" in graphs:
        return _scan(view, graphs["body"])
    if source == "CALL_ONCE":
        return tuple(Invocation(graph=i, role=Role.ONCE) for i in graphs.values())
    if source == "STABLEHLO_CASE":
        return tuple(_plain(view, i, Role.BRANCH, 1) for i in graphs.values())
    for name in ("function", "subgraph", "decomposition"):
        if name in graphs:
            return (_plain(view, graphs[name], Role.BODY, 0),)
    if view.kind == "SequenceMap":
        inner = _plain(view, next(iter(graphs.values())), Role.BODY, 0)
        return (
            Invocation(
                graph=inner.graph,
                role=Role.BODY,
                arguments=inner.arguments,
                results=inner.results,
                known=False,
            ),
        )
    return tuple(Invocation(graph=i, role=Role.BODY, known=False) for i in graphs.values())


def _arguments(view: NodeView, first: int) -> tuple[Argument, ...]:
    return tuple(Argument(shape=view.shapes[i], index=i) for i in range(first, len(view.shapes)))


def _plain(view: NodeView, graph: int, role: Role, first: int) -> Invocation:
    return Invocation(
        graph=graph,
        role=role,
        arguments=_arguments(view, first),
        results=tuple(Result(index=i) for i in range(view.outputs)),
        keeps_values=True,
    )


def _branches(view: NodeView, graphs: dict[str, int]) -> tuple[Invocation, ...]:
    condition = view.value_at(0)
    chosen = list(graphs.values())
    if condition is not None and condition.size == 1:
        taken = "then_branch" if bool(condition.reshape(-1)[0]) else "else_branch"
        chosen = [graphs[taken]] if taken in graphs else chosen
    return tuple(_plain(view, graph, Role.BRANCH, 1) for graph in chosen)


def _loop(view: NodeView, graphs: dict[str, int]) -> tuple[Invocation, ...]:
    """ONNX counts the iterations for the body; other formats give it the carried values only."""
    carried = _arguments(view, 2)
    if "cond" in graphs:
        results = tuple(Result(index=i) for i in range(view.outputs))
        return tuple(
            Invocation(
                graph=graphs[name],
                role=Role.BODY,
                arguments=carried,
                results=results if name == "body" else (),
                known=False,
            )
            for name in ("body", "cond")
        )
    trips = view.value_at(0) if view.has(0) else None
    known = trips is not None and trips.size == 1 and 0 <= int(trips.reshape(-1)[0]) < ENDLESS
    times = int(trips.reshape(-1)[0]) if known and trips is not None else 1
    own = (Argument(shape=(), index=None), Argument(shape=(), index=None))
    return (
        Invocation(
            graph=graphs["body"],
            role=Role.BODY,
            arguments=own + carried,
            results=tuple(
                Result(index=1 + i, shape=_as_it_is if i < len(carried) else _stacked(times, 0))
                for i in range(view.outputs)
            ),
            times=times,
            known=known,
        ),
    )


def _stacked(times: int, axis: int) -> Callable[[Shape], Shape]:
    def shape(inner: Shape) -> Shape:
        place = wrap(axis, len(inner) + 1)
        return (*inner[:place], times, *inner[place:])

    return shape


def _scan(view: NodeView, body: int) -> tuple[Invocation, ...]:
    """**Source:** https://onnx.ai/onnx/operators/onnx__Scan.html, from operator set 9 on."""
    if "directions" in view.node.attributes or not view.has(0):
        raise UnknownShapeError("the first version of Scan, which has batches")
    count = view.integer("num_scan_inputs", 0)
    states = len(view.shapes) - count
    axes = view.ints("scan_input_axes") or (0,) * count
    arguments: list[Argument] = []
    times: int | None = None
    for i, shape in enumerate(view.shapes):
        if i < states or shape is None:
            arguments.append(Argument(shape=shape, index=i))
            continue
        axis = axes[i - states] if i - states < len(axes) else 0
        if times is None and -len(shape) <= axis < len(shape):
            times = shape[axis]
        cut = without(shape, axis) if -len(shape) <= axis < len(shape) else None
        arguments.append(Argument(shape=cut, index=i))
    out_axes = view.ints("scan_output_axes") or ()

    def scanned(output: int) -> Callable[[Shape], Shape]:
        if output < states:
            return _as_it_is
        axis = out_axes[output - states] if output - states < len(out_axes) else 0
        return _stacked(1 if times is None else times, axis)

    return (
        Invocation(
            graph=body,
            role=Role.BODY,
            arguments=tuple(arguments),
            results=tuple(Result(index=i, shape=scanned(i)) for i in range(view.outputs)),
            times=1 if times is None else times,
            known=times is not None,
        ),
    )
