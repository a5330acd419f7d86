"""Shapes of operators that keep or broadcast their inputs' shapes."""

from gaugenn.analysis._node_view import NodeView, Rule, Shape, broadcast, replaced, wrap

UNARY = frozenset(
    """
    Abs Acos Acosh Asin Asinh Atan Atanh Bernoulli BitCast BitwiseNot Cast CastLike Ceil Celu Clip Cos
    Cosh CumProd CumSum Elu Erf Exp FastGelu Floor Gelu HardSigmoid HardSwish Hardmax Identity IsInf
    IsNaN LRN LeakyRelu Log LogSoftmax LpNormalization MeanVarianceNormalization Mish Neg Not PRelu
    QuantizeLinear DequantizeLinear QuickGelu RandomNormalLike RandomUniformLike Reciprocal Relu
    ReverseSequence Round Selu Shrink Sigmoid Sign Sin Sinh Softmax Softplus Softsign Sqrt Swish
    Tan Tanh ThresholdedRelu Trilu InstanceNormalization GroupNormalization
    ScatterElements ScatterND Scatter TensorScatter EyeLike RegexFullMatch Inverse
    DynamicQuantizeLinear Scaler Normalizer Binarizer Imputer LabelEncoder CategoryMapper
    RotaryEmbedding GroupNorm BiasGelu BiasSoftmax BiasDropout QLinearLeakyRelu QLinearSigmoid
    QLinearSoftmax Affine ScaledTanh ParametricSoftplus
    ImageScaler SwiGLU
    """.split()  # noqa: SIM905
)
"""Operators whose first output has the first input's shape."""

VARIADIC = frozenset(
    """
    Add And BitShift BitwiseAnd BitwiseOr BitwiseXor Div Equal Greater GreaterOrEqual Less
    LessOrEqual Max Mean Min Mod Mul Or Pow Sub Sum Where Xor StringConcat BiasAdd
    """.split()  # noqa: SIM905
)
"""Operators whose output is the broadcast of all inputs."""


def _first(view: NodeView) -> list[Shape | None]:
    return [view.shape(0)]


def _copies(view: NodeView) -> list[Shape | None]:
    """Ncnn writes a tensor that several nodes read as one node with many outputs."""
    return [view.shape(0)] * view.outputs


def _broadcast(view: NodeView) -> list[Shape | None]:
    axis = view.node.attributes.get("axis")
    if isinstance(axis, int) and view.flag("broadcast"):
        return [view.shape(0)]  # opset 6 and older: the second input is aligned at an axis
    return [broadcast(view.present_shapes())]


def _quantised_pair(view: NodeView) -> list[Shape | None]:
    """QLinearAdd and its like: (a, a_scale, a_zero_point, b, ...)."""
    return [broadcast([view.shape(0), view.shape(3)])]


def _quantised_where(view: NodeView) -> list[Shape | None]:
    return [broadcast([view.shape(0), view.shape(1), view.shape(4)])]


def _dynamic_quantize(view: NodeView) -> list[Shape | None]:
    return [view.shape(0), (), ()]


def _batch_normalization(view: NodeView) -> list[Shape | None]:
    data = view.shape(0)
    channels = (data[view.channel_axis(len(data))],) if data else ()
    return [data, *[channels] * 4]


def _layer_normalization(view: NodeView) -> list[Shape | None]:
    data = view.shape(0)
    axis = wrap(view.integer("axis", -1), len(data))
    kept = data[:axis] + (1,) * (len(data) - axis)
    return [data, kept, kept]


def _skip_layer_normalization(view: NodeView) -> list[Shape | None]:
    data = view.shape(0)
    kept = (*data[:-1], 1)
    return [data, kept, kept, data]


def _skip_group_norm(view: NodeView) -> list[Shape | None]:
    return [view.shape(0), view.shape(0)]


def _dropout(view: NodeView) -> list[Shape | None]:
    return [view.shape(0), view.shape(0)]


def _embed_layer_normalization(view: NodeView) -> list[Shape | None]:
    """(input_ids, segment_ids, word_embedding, ...) to (hidden, mask_index, embedding_sum)."""
    ids, table = view.shape(0), view.shape(2)
    hidden = (*ids, table[-1])
    return [hidden, (ids[0],), hidden]


def _split_gate(view: NodeView) -> list[Shape | None]:
    """BiasSplitGelu: one half of the last dimension gates the other."""
    data = view.shape(0)
    return [replaced(data, -1, data[-1] // 2)]


RULES: dict[str, Rule] = {
    **dict.fromkeys(UNARY, _first),
    **dict.fromkeys(VARIADIC, _broadcast),
    "Identity": _copies,
    **dict.fromkeys(("QLinearAdd", "QLinearMul"), _quantised_pair),
    "QLinearWhere": _quantised_where,
    "DynamicQuantizeLinear": _dynamic_quantize,
    "BatchNormalization": _batch_normalization,
    "LayerNormalization": _layer_normalization,
    "RMSNormalization": _layer_normalization,
    "SimplifiedLayerNormalization": _layer_normalization,
    "SkipLayerNormalization": _skip_layer_normalization,
    "SkipSimplifiedLayerNormalization": _skip_layer_normalization,
    "SkipGroupNorm": _skip_group_norm,
    "EmbedLayerNormalization": _embed_layer_normalization,
    "Dropout": _dropout,
    "BiasSplitGelu": _split_gate,
}
"""Rules by ONNX operator name, Microsoft's extensions included.

**Source:** https://onnx.ai/onnx/operators/ and
https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""
