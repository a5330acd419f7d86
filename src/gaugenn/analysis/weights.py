"""How a model's weights and activations are stored: element types and quantisation."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from gaugenn.analysis._node_view import elements, kind_of
from gaugenn.analysis._shapes_matrix import BLOCKWISE
from gaugenn.analysis.cost import ModelCost
from gaugenn.analysis.shapes import Frame, InferredShapes
from gaugenn.graph import DataType, Model, Tensor
from gaugenn.records import ElementShare, QuantizationScheme


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsSummary:
    """How a model's numbers are stored.

    Attributes:
        weights: element types of the weights, most frequent first.
        activations: element types of what nodes compute, most frequent first.
        scheme: see `QuantizationScheme`.
        granularities: `per_tensor`, `per_axis`, `per_block`: those that the weights use, sorted.
        quantized_weights: weights elements with a scale.
    """

    weights: tuple[ElementShare, ...]
    activations: tuple[ElementShare, ...]
    scheme: QuantizationScheme
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


def _shares(counts: Counter[DataType]) -> tuple[ElementShare, ...]:
    known = [(dtype, n) for dtype, n in counts.items() if n and dtype is not DataType.UNKNOWN]
    known.sort(key=lambda pair: (-pair[1], pair[0].value))
    return tuple(ElementShare(dtype=dtype, elements=n) for dtype, n in known)


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


def _scheme(model: Model, shapes: InferredShapes, cost: ModelCost) -> QuantizationScheme:
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
        return QuantizationScheme.FULL_INTEGER
    if on_the_fly:
        return QuantizationScheme.DYNAMIC_RANGE
    if dequantized:
        return QuantizationScheme.QDQ if quantize_nodes else QuantizationScheme.WEIGHT_ONLY
    sixteen = sum(w.count or 0 for w in cost.weights if w.tensor.dtype in _SIXTEEN)
    floats = sum(w.count or 0 for w in cost.weights if w.tensor.dtype.is_floating)
    return QuantizationScheme.FLOAT16 if 2 * sixteen > floats else QuantizationScheme.NONE
