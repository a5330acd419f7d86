"""What ONNX files say only indirectly: quantisation of tensors and kernel sizes.

Shared by the readers of formats that hold ONNX graphs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from gaugenn.formats._onnx_operators import MICROSOFT_DOMAIN
from gaugenn.graph import DataType, Graph, Node, Quantization, Tensor, TensorKind

SCALES_OF_A_TENSOR = 1 << 16
SCALES_OF_A_FILE = 1 << 20
"""Up to these many scales are copied into `Quantization`; beyond, it names the tensor they are in."""


_NUMERIC = frozenset({DataType.FLOAT16, DataType.BFLOAT16, DataType.FLOAT32, DataType.FLOAT64})
"""Scales that numpy can turn into numbers; 8-bit ones are named instead."""


@dataclass(slots=True, kw_only=True)
class GraphDraft:
    """A graph while it is put together; see `Graph` for the fields.

    Attributes:
        annotations: tensor, scale and zero point by name, where the graph says so itself.
    """

    name: str
    parent: int | None
    tensors: dict[str, Tensor] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    annotations: list[tuple[str, str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Operand:
    """Positions of a quantised operand and its parameters among a node's inputs.

    Attributes:
        tensor: position of the quantised tensor.
        scale: position of its scale.
        zero_point: position of its zero point.
        axis: the axis of one-dimensional scales; None to take the node's attribute `axis`.
    """

    tensor: int
    scale: int
    zero_point: int
    axis: int | None = 0


_WHOLE = 0
"""Axis of operands that always have a single scale."""

OPERANDS: Mapping[str, tuple[_Operand, ...]] = {
    "DequantizeLinear": (_Operand(0, 1, 2, None),),
    "QLinearConv": (_Operand(0, 1, 2, _WHOLE), _Operand(3, 4, 5, 0)),
    "QLinearMatMul": (_Operand(0, 1, 2, -2), _Operand(3, 4, 5, -1)),
    "QLinearAdd": (_Operand(0, 1, 2, _WHOLE), _Operand(3, 4, 5, _WHOLE)),
    "QLinearMul": (_Operand(0, 1, 2, _WHOLE), _Operand(3, 4, 5, _WHOLE)),
    "QGemm": (_Operand(0, 1, 2, _WHOLE), _Operand(3, 4, 5, -1)),
    "QAttention": (_Operand(0, 3, 6, _WHOLE), _Operand(1, 4, 7, -1)),
    "DynamicQuantizeMatMul": (_Operand(1, 2, 3, -1),),
    "MatMulIntegerToFloat": (_Operand(0, 2, 4, -1), _Operand(1, 3, 5, -1)),
}
"""Inputs with quantisation parameters.

**Source:** https://onnx.ai/onnx/operators/ and
https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

RESULTS: Mapping[str, tuple[int, int]] = {
    "QuantizeLinear": (1, 2),
    "QLinearConv": (6, 7),
    "QLinearMatMul": (6, 7),
    "QLinearAdd": (6, 7),
    "QLinearMul": (6, 7),
}
"""Positions of the scale and zero point of the first output; same sources."""

_WEIGHT_POSITIONS: Mapping[str, int] = {
    "Conv": 1,
    "ConvInteger": 1,
    "ConvTranspose": 1,
    "DeformConv": 1,
    "QLinearConv": 3,
}

_SHAPE_KEEPING = frozenset({"Cast", "DequantizeLinear", "Identity", "QuantizeLinear"})


class GraphFinisher:
    """Completes the drafts of one file and turns them into graphs."""

    def __init__(self, drafts: list[GraphDraft]) -> None:
        self._drafts = drafts
        self._scales_left = SCALES_OF_A_FILE

    def graphs(self) -> tuple[Graph, ...]:
        """The finished graphs, in the order of the drafts."""
        for draft in self._drafts:
            self._quantize(draft)
            self._add_kernel_shapes(draft)
        return tuple(
            Graph(
                name=draft.name,
                tensors=draft.tensors,
                nodes=tuple(draft.nodes),
                inputs=draft.inputs,
                outputs=draft.outputs,
                parent=draft.parent,
            )
            for draft in self._drafts
        )

    def _find(self, draft: GraphDraft, name: str) -> tuple[GraphDraft, Tensor] | None:
        scope: GraphDraft | None = draft
        while scope is not None:
            tensor = scope.tensors.get(name)
            if tensor is not None:
                return scope, tensor
            scope = None if scope.parent is None else self._drafts[scope.parent]
        return None

    def _quantize(self, draft: GraphDraft) -> None:
        for name, scale, zero_point in draft.annotations:
            self._attach(draft, name, (scale, zero_point), 0, None)
        for node in draft.nodes:
            kind = node.source_operator if node.domain in ("", MICROSOFT_DOMAIN) else ""
            for operand in OPERANDS.get(kind, ()):
                names = (_input(node, operand.scale), _input(node, operand.zero_point))
                axis = _integer(node, "axis", 1) if operand.axis is None else operand.axis
                if kind == "QGemm" and _integer(node, "transB", 0):
                    axis = 0
                block = _integer(node, "block_size", 0) or None
                self._attach(draft, _input(node, operand.tensor), names, axis, block)
            if kind in RESULTS and node.outputs:
                scale_at, zero_at = RESULTS[kind]
                names = (_input(node, scale_at), _input(node, zero_at))
                block = _integer(node, "block_size", 0) or None
                self._attach(draft, node.outputs[0], names, _integer(node, "axis", 1), block)

    def _attach(
        self,
        draft: GraphDraft,
        name: str,
        parameters: tuple[str, str],
        axis: int,
        block_size: int | None,
    ) -> None:
        """Notes a tensor's scale and zero point, if these are constants that fit it."""
        found = self._find(draft, name) if name else None
        if found is None or found[1].quantization is not None:
            return
        owner, tensor = found
        scale = self._constant(draft, parameters[0])
        zero_point = self._constant(draft, parameters[1])
        if scale is None or not scale.dtype.is_floating or (parameters[1] and zero_point is None):
            return
        count = scale.elements or 0
        if zero_point is not None and zero_point.elements not in (1, count):
            return
        if not count or (count > 1 and not _fits(tensor, count, axis, block_size)):
            return
        if count > 1 and tensor.shape is not None:
            axis %= len(tensor.shape)
        self._scales_left -= count
        named = count > SCALES_OF_A_TENSOR or self._scales_left < 0 or scale.dtype not in _NUMERIC
        if named and owner is not draft:
            return  # the parameters' names mean nothing in the graph that holds the tensor
        quantization = Quantization(
            scales=() if named else tuple(scale.array().astype(np.float64).reshape(-1).tolist()),
            zero_points=() if named or zero_point is None else _zero_points(zero_point),
            axis=axis if count > 1 else None,
            block_size=block_size if count > 1 else None,
            scales_tensor=scale.name if named else "",
            zero_points_tensor=zero_point.name if named and zero_point is not None else "",
        )
        owner.tensors[name] = replace(tensor, quantization=quantization)

    def _constant(self, draft: GraphDraft, name: str) -> Tensor | None:
        """A parameter that the file holds; None where it is computed or absent."""
        found = self._find(draft, name) if name else None
        if found is None or found[1].kind is not TensorKind.CONSTANT or found[1].data is None:
            return None
        return found[1]

    def _add_kernel_shapes(self, draft: GraphDraft) -> None:
        """Takes the kernel size of convolutions that do not state it from their weights."""
        producers: dict[str, Node] | None = None
        for position, node in enumerate(draft.nodes):
            weight_at = _WEIGHT_POSITIONS.get(node.operator)
            if weight_at is None or "kernel_shape" in node.attributes:
                continue
            if producers is None:
                producers = {name: each for each in draft.nodes for name in each.outputs}
            kernel = self._weight_shape(draft, producers, _input(node, weight_at))[2:]
            if kernel:
                attributes = {**node.attributes, "kernel_shape": kernel}
                draft.nodes[position] = replace(node, attributes=attributes)

    def _weight_shape(
        self, draft: GraphDraft, producers: Mapping[str, Node], name: str
    ) -> tuple[int, ...]:
        """A weight's sizes, found behind nodes that keep the shape; () when they are unknown."""
        for _ in range(len(_SHAPE_KEEPING) + 1):
            found = self._find(draft, name)
            shape = None if found is None else found[1].shape
            if shape is not None:
                sizes = tuple(size for size in shape if isinstance(size, int))
                return sizes if len(sizes) == len(shape) else ()
            producer = producers.get(name)
            if producer is None or producer.operator not in _SHAPE_KEEPING:
                return ()
            name = _input(producer, 0)
        return ()


def _fits(tensor: Tensor, count: int, axis: int, block_size: int | None) -> bool:
    """Whether that many scales can belong to slices of the tensor along the axis."""
    if tensor.shape is None:
        return True
    rank = len(tensor.shape)
    if not -rank <= axis < rank:
        return False
    size = tensor.shape[axis]
    return block_size is not None or isinstance(size, str) or size == count


def _zero_points(tensor: Tensor) -> tuple[int, ...]:
    """The numbers in a zero point; those of 8-bit floats, which must be zero, are left out."""
    if not tensor.dtype.value.startswith(("int", "uint")):
        return ()
    return tuple(tensor.array().astype(np.int64).reshape(-1).tolist())


def _input(node: Node, position: int) -> str:
    return node.inputs[position] if position < len(node.inputs) else ""


def _integer(node: Node, name: str, default: int) -> int:
    value = node.attributes.get(name, default)
    return value if isinstance(value, int) else default
