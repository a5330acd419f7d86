"""How much memory a graph's activations need at once."""

from collections.abc import Mapping

from gaugenn.analysis._node_view import elements, kind_of, source_kind
from gaugenn.analysis._order import execution_order
from gaugenn.analysis.shapes import Frame
from gaugenn.graph import Graph, Model, Node

_VIEWS = frozenset(
    """
    Reshape Squeeze Unsqueeze Flatten Identity Dropout ExpandDims Noop
    RESHAPE SQUEEZE EXPAND_DIMS
    """.split()  # noqa: SIM905
)
"""Operators whose output is their input under another shape."""

_IN_PLACE = frozenset(
    """
    Abs Add BatchNormalization Ceil Celu Clip Cos Div Elu Erf Exp FastGelu Floor Gelu HardSigmoid
    HardSwish LeakyRelu Log LogSoftmax Mish Mul Neg PRelu Pow QuickGelu Reciprocal Relu Round Selu
    Sigmoid Sign Sin Softmax Softplus Softsign Sqrt Sub Sum Swish Tanh ThresholdedRelu
    RSQRT SQUARE SQUARED_DIFFERENCE BinaryOp Eltwise BNLL Power
    """.split()  # noqa: SIM905
)
"""Operators that may overwrite an input of the output's size that nothing needs any more."""


def tensor_bytes(frame: Frame, name: str) -> int | None:
    """Bytes of a tensor's packed elements, or None where its shape or type is unknown."""
    shape = frame.shape(name)
    return None if shape is None else frame.dtype(name).size_bytes(elements(shape))


def activation_peak_bytes(model: Model, frame: Frame, inner_peaks: Mapping[int, int]) -> int | None:
    """The most bytes that live activations take at any node, in order of execution.

    A tensor lives from the node that makes it to the last that reads it; graph inputs from the start,
    graph outputs to the end. Weights and results that do not depend on the inputs are left out.

    Args:
        model: the frame's model.
        frame: the graph, as it is run.
        inner_peaks: what sub-graphs need while a node runs, by the node's position.

    Returns:
        None where no activation's size is known; a lower bound where some are unknown.
    """
    graph = model.graphs[frame.graph]
    buffers = _Buffers(graph, frame)
    return buffers.peak(inner_peaks)


class _Buffers:
    """Pieces of memory, each held by one or more tensors in turn."""

    def __init__(self, graph: Graph, frame: Frame) -> None:
        self._graph = graph
        self._frame = frame
        self._order = execution_order(graph)
        self._last_use = self._last_uses()
        self._of: dict[str, int] = {}
        self._sizes: list[int] = []
        self._ends: list[int] = []

    def peak(self, inner_peaks: Mapping[int, int]) -> int | None:
        for name in self._graph.inputs:
            self._allocate(name, 0)
        live = sum(self._sizes)
        highest = live
        expiring: dict[int, list[int]] = {}
        for buffer in range(len(self._sizes)):
            expiring.setdefault(self._ends[buffer], []).append(buffer)
        for position, index in enumerate(self._order):
            node = self._graph.nodes[index]
            for name in node.outputs:
                if not name or self._frame.is_fixed(name) or name in self._of:
                    continue
                shared = self._shared(node, position, name)
                if shared is not None:
                    self._of[name] = shared
                    self._ends[shared] = max(self._ends[shared], self._end(name, position))
                    expiring.setdefault(self._ends[shared], []).append(shared)
                    continue
                created = self._allocate(name, position)
                if created is not None:
                    live += self._sizes[created]
                    expiring.setdefault(self._ends[created], []).append(created)
            highest = max(highest, live + inner_peaks.get(index, 0))
            for buffer in set(expiring.pop(position, ())):
                if self._ends[buffer] == position:
                    live -= self._sizes[buffer]
        return highest if self._sizes or highest else None

    def _last_uses(self) -> dict[str, int]:
        uses: dict[str, int] = {}
        for position, index in enumerate(self._order):
            for name in self._graph.nodes[index].inputs:
                uses[name] = position
        for name in self._graph.outputs:
            uses[name] = len(self._graph.nodes)
        return uses

    def _end(self, name: str, position: int) -> int:
        return self._last_use.get(name, position)

    def _allocate(self, name: str, position: int) -> int | None:
        size = tensor_bytes(self._frame, name)
        if size is None:
            return None
        self._of[name] = len(self._sizes)
        self._sizes.append(size)
        self._ends.append(self._end(name, position))
        return self._of[name]

    def _shared(self, node: Node, position: int, name: str) -> int | None:
        """The input's piece of memory that an output can take over."""
        operator = kind_of(node) or source_kind(node)
        if name != node.outputs[0] and operator != "Identity":
            return None
        if operator in _VIEWS:
            return self._of.get(node.inputs[0]) if node.inputs else None
        if operator not in _IN_PLACE:
            return None
        size = tensor_bytes(self._frame, name)
        for source in node.inputs:
            buffer = self._of.get(source)
            if buffer is None or self._sizes[buffer] != size:
                continue
            if self._ends[buffer] == position and source not in self._graph.inputs:
                return buffer
        return None
