"""Names of ONNX operators, and what ONNX Runtime's own operators mean in terms of them.

**Source:** https://onnx.ai/onnx/operators/ for the standard names (opset 26, with the names that
earlier opsets had) and
https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md for `com.microsoft`.
"""

from collections.abc import Mapping

from gaugenn.graph import AttributeValue

CLASSICAL_DOMAIN = "ai.onnx.ml"
"""Decision trees, support vector machines and their preprocessing."""

MICROSOFT_DOMAIN = "com.microsoft"

_TENSOR_OPERATORS = """
    Abs Acos Acosh Add AffineGrid And ArgMax ArgMin Asin Asinh Atan Atanh Attention AveragePool
    BatchNormalization Bernoulli BitCast BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor
    BlackmanWindow Cast CastLike CausalConvWithState Ceil Celu CenterCropPad Clip Col2Im Compress
    Concat ConcatFromSequence Constant ConstantOfShape Conv ConvInteger ConvTranspose Cos Cosh
    CumProd CumSum DFT DeformConv DepthToSpace DequantizeLinear Det Div Dropout
    DynamicQuantizeLinear Einsum Elu Equal Erf Exp Expand EyeLike Flatten Floor GRU Gather
    GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalLpPool GlobalMaxPool Greater
    GreaterOrEqual GridSample GroupNormalization HammingWindow HannWindow HardSigmoid HardSwish
    Hardmax Identity If ImageDecoder InstanceNormalization IsInf IsNaN LRN LSTM LayerNormalization
    LeakyRelu Less LessOrEqual LinearAttention Log LogSoftmax Loop LpNormalization LpPool MatMul
    MatMulInteger Max MaxPool MaxRoiPool MaxUnpool Mean MeanVarianceNormalization MelWeightMatrix
    Min Mish Mod Mul Multinomial Neg NegativeLogLikelihoodLoss NonMaxSuppression NonZero Not OneHot
    Optional OptionalGetElement OptionalHasElement Or PRelu Pad Pow QLinearConv QLinearMatMul
    QuantizeLinear RMSNormalization RNN RandomNormal RandomNormalLike RandomUniform
    RandomUniformLike Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax
    ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare RegexFullMatch Relu Reshape Resize
    ReverseSequence RoiAlign RotaryEmbedding Round STFT Scan Scatter ScatterElements ScatterND Selu
    SequenceAt SequenceConstruct SequenceEmpty SequenceErase SequenceInsert SequenceLength
    SequenceMap Shape Shrink Sigmoid Sign Sin Sinh Size Slice Softmax SoftmaxCrossEntropyLoss
    Softplus Softsign SpaceToDepth Split SplitToSequence Sqrt Squeeze StringConcat StringNormalizer
    StringSplit Sub Sum SwiGLU Swish Tan Tanh TensorScatter TfIdfVectorizer ThresholdedRelu Tile
    TopK Transpose Trilu Unique Unsqueeze Upsample Where Xor
"""

_CLASSICAL_OPERATORS = """
    ArrayFeatureExtractor Binarizer CastMap CategoryMapper DictVectorizer FeatureVectorizer Imputer
    LabelEncoder LinearClassifier LinearRegressor Normalizer OneHotEncoder SVMClassifier
    SVMRegressor Scaler TreeEnsemble TreeEnsembleClassifier TreeEnsembleRegressor ZipMap
"""

STANDARD_OPERATORS: Mapping[str, frozenset[str]] = {
    "": frozenset(_TENSOR_OPERATORS.split()),
    CLASSICAL_DOMAIN: frozenset(_CLASSICAL_OPERATORS.split()),
    "ai.onnx.preview": frozenset({"FlexAttention"}),
    "ai.onnx.preview.training": frozenset({"Adagrad", "Adam", "Gradient", "Momentum"}),
}
"""Operators that ONNX defines, by domain; "" is `ai.onnx`."""

_SAME_IN_MICROSOFT = frozenset(
    {
        *("DequantizeLinear", "QuantizeLinear", "GatherND", "Gelu", "GridSample", "Pad", "Range"),
        "Trilu",
    }
)
"""Operators of `com.microsoft` with the inputs and attributes of the ONNX operator of that name."""

_FUSED_ACTIVATIONS = frozenset({"Relu", "Tanh", "Sigmoid", "LeakyRelu", "Clip", "HardSigmoid"})

_BATCH_TRANSPOSITIONS = ("transBatchA", "transBatchB")


def resolve(
    domain: str, name: str, inputs: tuple[str, ...], attributes: Mapping[str, AttributeValue]
) -> tuple[str, Mapping[str, AttributeValue]]:
    """The ONNX operator with the meaning of an operator of any domain.

    Args:
        domain: the operator's domain, "" for `ai.onnx`.
        name: its name there.
        inputs: the node's inputs.
        attributes: the node's attributes as the file has them.

    Returns:
        The ONNX operator, or "" where there is none of the same meaning, and the attributes in
        its terms. `QLinear...` operators of `com.microsoft` extend the two that ONNX has, and keep
        their names. A `MatMul` may keep `transA`, `transB` and `alpha`, with their meaning in `Gemm`.
    """
    standard = STANDARD_OPERATORS.get(domain)
    if standard is not None:
        if name in standard:
            return name, attributes
        # ONNX Runtime registers this one in the standard domain.
        return ("RMSNormalization" if name == "SimplifiedLayerNormalization" else ""), attributes
    if domain != MICROSOFT_DOMAIN or attributes.get("channels_last", 0):
        return "", attributes
    if name in _SAME_IN_MICROSOFT or name.startswith("QLinear"):
        return name, attributes
    if name == "FusedConv":
        return _with_activation("Conv", attributes)
    if name == "FusedGemm":
        return _with_activation("Gemm", attributes)
    if name in ("FusedMatMul", "TransposeMatMul", "FusedMatMulActivation"):
        if any(attributes.get(key, 0) for key in _BATCH_TRANSPOSITIONS):
            return "", attributes
        return _with_activation("MatMul", attributes)
    if name == "FastGelu" and len(inputs) == 1:
        return "Gelu", {**attributes, "approximate": "tanh"}
    return "", attributes


def _with_activation(
    operator: str, attributes: Mapping[str, AttributeValue]
) -> tuple[str, Mapping[str, AttributeValue]]:
    """The operator with its fused activation under the name that all formats use for it."""
    activation = attributes.get("activation", "")
    if not activation:
        return operator, attributes
    if activation not in _FUSED_ACTIVATIONS:
        return "", attributes
    renamed = {key: value for key, value in attributes.items() if key != "activation"}
    renamed["fused_activation"] = activation
    limits = attributes.get("activation_params")
    if activation == "Clip" and isinstance(limits, tuple) and len(limits) == 2:
        renamed["fused_min"], renamed["fused_max"] = limits
    return operator, renamed
