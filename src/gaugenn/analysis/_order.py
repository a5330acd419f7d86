"""The order in which a graph's nodes can run."""

from collections.abc import Sequence
from graphlib import CycleError, TopologicalSorter

from gaugenn.graph import Graph


def execution_order(graph: Graph) -> Sequence[int]:
    """Positions of the nodes, each after those that make its inputs.

    The file's order where it is one already; also where there is none, because nodes feed each other.
    """
    makers = {name: i for i, node in enumerate(graph.nodes) for name in node.outputs if name}
    needs = [
        {makers[name] for name in node.inputs if name in makers and makers[name] != i}
        for i, node in enumerate(graph.nodes)
    ]
    if all(need < i for i, wanted in enumerate(needs) for need in wanted):
        return range(len(graph.nodes))
    try:
        return tuple(TopologicalSorter(dict(enumerate(needs))).static_order())
    except CycleError:
        return range(len(graph.nodes))
