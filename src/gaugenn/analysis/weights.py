"""How a model's weights and activations are stored: element types, quantisation, zeros."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from gaugenn.analysis._node_view import elements, kind_of
from gaugenn.analysis._parameters import Weight
from gaugenn.analysis._shapes_matrix import BLOCKWISE
from gaugenn.analysis.cost import ModelCost
from gaugenn.analysis.shapes import Frame, InferredShapes
from gaugenn.errors import FormatError
from gaugenn.graph import DataType, Model, Tensor

NEAR_ZERO = 1e-9
"""Weights of at most this absolute value count as near zero.

**Source:** the 2021 study "Smart at what cost? Characterising mobile deep neural networks in the
wild", https://arxiv.org/abs/2109.13963
"""

CHUNK_BYTES = 1 << 24
"""How much of a weight is looked at in one piece."""


class Scheme(StrEnum):
    """How a model is quantised."""

    NONE = "none"
    """32- or 64-bit floats throughout."""
    FLOAT16 = "float16"
    """Weights of 16-bit floats, nothing in integers."""
    WEIGHT_ONLY = "weight-only"
    """Integer weights that are made floats before use, or block by block inside the operator."""
    DYNAMIC_RANGE = "dynamic-range"
    """Operators that take integer weights and float activations, which the engine scales on the fly."""
    QDQ = "qdq"
    """Float operators between quantise and dequantise nodes."""
    FULL_INTEGER = "full-integer"
    """Operators that work on integer weights and integer activations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DtypeShare:
    """How many elements have a type."""

    dtype: DataType
    elements: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsSummary:
    """How a model's numbers are stored.

    Attributes:
        weights: element types of the weights, most frequent first.
        activations: element types of what nodes compute, most frequent first.
        scheme: see `Scheme`.
        granularities: `per_tensor`, `per_axis`, `per_block`: those that the weights use, sorted.
        quantized_weights: weights elements with a scale.
    """

    weights: tuple[DtypeShare, ...]
    activations: tuple[DtypeShare, ...]
    scheme: Scheme
    granularities: tuple[str, ...]
    quantized_weights: int

    @property
    def weights_dtype(self) -> DataType | None:
        """The type that most weights have."""
        return self.weights[0].dtype if self.weights else None

    @property
    def activations_dtype(self) -> DataType | None:
        """The type that most activations have."""
        return self.activations[0].dtype if self.activations else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ZeroShare:
    """How many weights are zero, of those whose values are there.

    Attributes:
        elements: weights that were looked at.
        zeros: of these, exactly zero (a quantised weight at its zero point).
        near_zeros: of these, at most `NEAR_ZERO` in absolute value.
        absent: weights whose values are not in the file, or of a type that cannot be looked at.
    """

    elements: int
    zeros: int
    near_zeros: int
    absent: int


_DYNAMIC_OPERATORS = frozenset(
    "ConvInteger MatMulInteger DynamicQuantizeMatMul DynamicQuantizeLSTM MatMulIntegerToFloat".split()  # noqa: SIM905
)
"""ONNX operators that multiply integers with activations that were quantised on the fly."""

_INTEGERS = frozenset(
    {
        *(DataType.INT2, DataType.INT4, DataType.INT8, DataType.INT16),
        *(DataType.UINT2, DataType.UINT4, DataType.UINT8, DataType.UINT16),
    }
)

_SIXTEEN = frozenset({DataType.FLOAT16, DataType.BFLOAT16})


def summarise_weights(model: Model, shapes: InferredShapes, cost: ModelCost) -> WeightsSummary:
    """Says how a model's numbers are stored, without reading any weight."""
    weights: Counter[DataType] = Counter()
    granularities: set[str] = set()
    quantized = 0
    for weight in cost.weights:
        count = weight.count or 0
        weights[weight.tensor.dtype] += count
        quantization = weight.tensor.quantization
        if quantization is not None and (quantization.scales or _has_scales_tensor(weight.tensor)):
            granularities.add(quantization.granularity)
            quantized += count
    activations = _activations(model, shapes)
    return WeightsSummary(
        weights=_shares(weights),
        activations=_shares(activations),
        scheme=_scheme(model, shapes, cost),
        granularities=tuple(sorted(granularities)),
        quantized_weights=quantized,
    )


def _has_scales_tensor(tensor: Tensor) -> bool:
    return tensor.quantization is not None and tensor.quantization.scales_tensor != ""


def _shares(counts: Counter[DataType]) -> tuple[DtypeShare, ...]:
    known = [(dtype, n) for dtype, n in counts.items() if n and dtype is not DataType.UNKNOWN]
    known.sort(key=lambda pair: (-pair[1], pair[0].value))
    return tuple(DtypeShare(dtype=dtype, elements=n) for dtype, n in known)


def _activations(model: Model, shapes: InferredShapes) -> Counter[DataType]:
    counts: Counter[DataType] = Counter()
    for frame in _reached(shapes.main):
        for node in model.graphs[frame.graph].nodes:
            for name in node.outputs:
                shape = frame.shape(name) if name else None
                if shape is not None and not frame.is_fixed(name):
                    counts[frame.dtype(name)] += elements(shape)
    return counts


def _reached(main: Frame) -> Iterable[Frame]:
    seen, pending = {main}, [main]
    while pending:
        frame = pending.pop()
        yield frame
        for calls in frame.calls.values():
            for call in calls:
                if call.frame not in seen:
                    seen.add(call.frame)
                    pending.append(call.frame)


def _scheme(model: Model, shapes: InferredShapes, cost: ModelCost) -> Scheme:
    """Decided by the nodes that multiply: what their weights and their activations are stored as."""
    integer_both = dequantized = on_the_fly = quantize_nodes = False
    for frame in _reached(shapes.main):
        for node, counted in zip(
            model.graphs[frame.graph].nodes, cost.nodes[frame.graph], strict=True
        ):
            kind = kind_of(node)
            quantize_nodes |= kind in ("QuantizeLinear", "DequantizeLinear") and not all(
                frame.is_fixed(name) for name in node.outputs
            )
            if not any(w.tensor.dtype in _INTEGERS for w in counted.weights) or not counted.macs:
                continue
            stored = [frame.dtype(name) for name in node.inputs if name and frame.is_fixed(name)]
            fed = [frame.dtype(name) for name in node.inputs if name and not frame.is_fixed(name)]
            if kind in BLOCKWISE or not any(dtype in _INTEGERS for dtype in stored):
                dequantized = True
            elif kind not in _DYNAMIC_OPERATORS and any(dtype in _INTEGERS for dtype in fed):
                integer_both = True
            else:
                on_the_fly = True
    if integer_both:
        return Scheme.FULL_INTEGER
    if on_the_fly:
        return Scheme.DYNAMIC_RANGE
    if dequantized:
        return Scheme.QDQ if quantize_nodes else Scheme.WEIGHT_ONLY
    sixteen = sum(w.count or 0 for w in cost.weights if w.tensor.dtype in _SIXTEEN)
    floats = sum(w.count or 0 for w in cost.weights if w.tensor.dtype.is_floating)
    return Scheme.FLOAT16 if 2 * sixteen > floats else Scheme.NONE


def zero_share(weights: Iterable[Weight]) -> ZeroShare:
    """Looks at every weight's value; memory stays below a few `CHUNK_BYTES`."""
    total = zeros = near = absent = 0
    for weight in weights:
        count = weight.tensor.elements or 0
        try:
            found = _zeros_of(weight.tensor)
        except FormatError:
            found = None
        if found is None:
            absent += count
            continue
        total += count
        zeros += found[0]
        near += found[1]
    return ZeroShare(elements=total, zeros=zeros, near_zeros=near, absent=absent)


def _zeros_of(tensor: Tensor) -> tuple[int, int] | None:
    if tensor.data is None or tensor.dtype.bits is None or not tensor.elements:
        return None
    if tensor.dtype.value.startswith(("float8", "float4", "complex")):
        return None
    raw = tensor.read()
    shifts = _zero_points(tensor)
    zeros = near = 0
    per_chunk = CHUNK_BYTES * 8 // tensor.dtype.bits // 8 * 8
    for start in range(0, tensor.elements, per_chunk):
        count = min(per_chunk, tensor.elements - start)
        piece = Tensor(
            name=tensor.name,
            dtype=tensor.dtype,
            shape=(count,),
            data=raw[start * tensor.dtype.bits // 8 :][: tensor.dtype.size_bytes(count)],
        ).array()
        if tensor.dtype.is_floating:
            zeros += count - int(np.count_nonzero(piece))
            near += int(np.count_nonzero(np.abs(piece) <= NEAR_ZERO))
        else:
            hits = int(np.count_nonzero(piece == _at(shifts, tensor, start, count)))
            zeros += hits
            near += hits
    return zeros, near


def _zero_points(tensor: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    points = tensor.quantization.zero_points if tensor.quantization is not None else ()
    return np.array(points or (0,), dtype=np.int64)


def _at(
    points: np.ndarray[tuple[int, ...], np.dtype[np.int64]], tensor: Tensor, start: int, count: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """The zero points of a run of elements."""
    axis = tensor.quantization.axis if tensor.quantization is not None else None
    shape = tuple(size for size in tensor.shape or () if isinstance(size, int))
    if points.size == 1 or axis is None or not -len(shape) <= axis < len(shape):
        return points[:1]
    if (points == points[0]).all():
        return points[:1]
    axis %= len(shape)
    if shape[axis] != points.size:
        return points[:1]
    inner = elements(shape[axis + 1 :])
    return points[(np.arange(start, start + count) // inner) % points.size]
