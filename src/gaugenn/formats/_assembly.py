"""Putting graphs together, for formats that number their tensors and graphs."""

from collections.abc import Iterable, Sequence

from gaugenn.errors import FormatError
from gaugenn.graph import Graph, GraphReference, Tensor

_DEEPEST_CALLS = 32
"""Sub-graphs that run sub-graphs. Converters inline functions; loops nest a few deep."""


def unique(names: Iterable[str]) -> list[str]:
    """Names in order, with `#<index>` behind those that are empty or were there before."""
    taken: set[str] = set()
    found: list[str] = []
    for index, name in enumerate(names):
        while not name or name in taken:
            name = f"{name}#{index}"
        taken.add(name)
        found.append(name)
    return found


def ordered(tensors: Sequence[Tensor | None], positions: tuple[int, ...] | None) -> tuple[str, ...]:
    """Names of a node's inputs in ONNX order.

    Args:
        tensors: in the source's order, None for omitted ones.
        positions: which of them stands at each ONNX position, negative for none; None keeps the
            source's order. Those that are not mentioned follow.
    """
    names = ["" if tensor is None else tensor.name for tensor in tensors]
    if positions is None:
        return tuple(names)
    front = [names[at] if 0 <= at < len(names) else "" for at in positions]
    rest = [name for at, name in enumerate(names) if at not in positions]
    while front and not front[-1] and not rest:
        front.pop()
    return (*front, *rest)


def check_calls(graphs: Sequence[Graph]) -> None:
    """Refuses sub-graphs that run themselves.

    Raises:
        FormatError: a cycle, calls nested too deep, or a sub-graph that is not there.
    """
    runs = [
        {
            value.index
            for node in graph.nodes
            for value in node.attributes.values()
            if isinstance(value, GraphReference)
        }
        for graph in graphs
    ]
    if any(index >= len(graphs) for each in runs for index in each):
        raise FormatError("a sub-graph is run that is not there")
    depths = [0] * len(graphs)
    for _ in range(_DEEPEST_CALLS):
        deeper = [1 + max((depths[i] for i in each), default=-1) for each in runs]
        if deeper == depths:
            return
        depths = deeper
    raise FormatError(f"sub-graphs run each other, or more than {_DEEPEST_CALLS} deep")
