"""Element types of activations that the file does not type."""

from collections.abc import Sequence

from gaugenn.analysis._node_view import NodeView
from gaugenn.graph import ONNX_ELEMENT_TYPES, DataType, Tensor

_BOOLEAN = frozenset(
    """
    And Equal Greater GreaterOrEqual IsInf IsNaN Less LessOrEqual Not Or Xor OptionalHasElement
    RegexFullMatch
    """.split()  # noqa: SIM905
)

_INDICES = frozenset(
    "ArgMax ArgMin NonMaxSuppression NonZero SequenceLength Shape Size".split()  # noqa: SIM905
)

_LIKE_INPUT: dict[str, int] = {
    **dict.fromkeys(("Where", "QLinearWhere", "CastLike", "DequantizeLinear", "OneHot"), 1),
    **dict.fromkeys(("QLinearMatMul", "QLinearConv", "QLinearAdd", "QLinearMul", "QGemm"), 7),
    **dict.fromkeys(("QLinearAveragePool", "QLinearGlobalAveragePool", "QLinearSigmoid"), 0),
    **dict.fromkeys(("DynamicQuantizeMatMul", "MatMulIntegerToFloat"), 2),
    **dict.fromkeys(("QAttention", "LabelEncoder"), 3),
    "QLinearConcat": 2,
    "QuantizeLinear": 2,
    "EmbedLayerNormalization": 2,
    "OneHot": 2,
}
"""Position of the input whose type the first output has, where it is not the first."""

_WITH_INDICES = frozenset({"MaxPool", "TopK", "Unique", "Dropout"})
"""Operators whose further outputs are indices (or, for Dropout, booleans)."""


def dtypes_of(view: NodeView) -> Sequence[DataType]:
    """Element types of a node's outputs, by the operator's definition; UNKNOWN where it has none.

    **Source:** https://onnx.ai/onnx/operators/
    """
    first = _first(view)
    kind = view.kind
    rest = first
    if kind == "Dropout":
        rest = DataType.BOOL
    elif kind in _WITH_INDICES:
        rest = DataType.INT64
    return [first, *[rest] * (view.outputs - 1)]


def _first(view: NodeView) -> DataType:
    kind = view.kind
    if kind in _BOOLEAN:
        return DataType.BOOL
    if kind in _INDICES:
        return DataType.INT64
    if kind in ("ConvInteger", "MatMulInteger"):
        return DataType.INT32
    if kind == "DynamicQuantizeLinear":
        return DataType.UINT8
    if kind == "ImageDecoder":
        return DataType.UINT8
    if kind in ("Cast", "BitCast"):
        return _named(view, "to", DataType.UNKNOWN)
    if kind in ("EyeLike", "RandomNormal", "RandomUniform", "RandomNormalLike", "Multinomial"):
        return _named(view, "dtype", DataType.FLOAT32)
    if kind == "QuantizeLinear" and not view.has(2):
        return _named(view, "output_dtype", DataType.UINT8)
    if kind in ("Constant", "ConstantOfShape"):
        value = view.node.attributes.get("value")
        return value.dtype if isinstance(value, Tensor) else DataType.FLOAT32
    index = _LIKE_INPUT.get(kind, 0)
    return view.dtypes[index] if index < len(view.dtypes) else DataType.UNKNOWN


def _named(view: NodeView, name: str, default: DataType) -> DataType:
    given = view.node.attributes.get(name)
    return ONNX_ELEMENT_TYPES.get(given, default) if isinstance(given, int) else default
