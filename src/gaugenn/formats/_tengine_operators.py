"""Tengine's operators: names and parameters by number, and what they are in ONNX."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gaugenn.graph import AttributeValue

CONST, INPUT = "Const", "InputOp"

NAMES: tuple[str, ...] = tuple(
    """
    Accuracy BatchNormalization BilinearResize Concat Const Convolution Deconvolution
    DetectionOutput Dropout Eltwise Flatten FullyConnected InputOp LRN Normalize Permute Pooling
    PReLU PriorBox Region ReLU ReLU6 Reorg Reshape ROIPooling RPN Scale Slice Softmax Split
    DetectionPostProcess Gemm Generic Logistic LSTM RNN Tanh Sigmoid Squeeze FusedBNScaleReLU Pad
    StridedSlice ArgMax ArgMin TopKV2 Reduction Maximum Minimum GRU Addn SwapAxis Upsample
    SpaceToBatchND BatchToSpaceND Resize ShuffleChannel Crop ROIAlign PSROIPooling Unary ExpandDims
    Bias Noop Threshold HardSigmoid Embedding InstanceNorm MVN Absval Cast HardSwish Interp SELU
    ELU BroadMul Logical Gather Transpose Comparison SpaceToDepth DepthToSpace Reverse
    SparseToDense Ceil SquaredDifference Round ZerosLike Clip Unsqueeze ReduceL2 Mean MatMul Expand
    Scatter Shape Where Tile Mish L2Pool LogSoftmax ReLU1 L2Normalization Softplus Reciprocal
    """.split()  # noqa: SIM905
)
"""Operators in the order of their numbers.

**Source:** https://github.com/OAID/Tengine/blob/tengine-lite/source/serializer/tmfile/tm2_format.h
"""

PARAMETERS: Mapping[str, str] = {
    "BatchNormalization": "rescale_factor:f epsilon:f caffe_flavor",
    "BilinearResize": "scale_x:f scale_y:f type",
    "Concat": "axis",
    "Convolution": "kernel_h kernel_w stride_h stride_w dilation_h dilation_w input_channel"
    " output_channel group activation pad_h0 pad_w0 pad_h1 pad_w1",
    "Deconvolution": "num_output kernel_h kernel_w stride_h stride_w pad_w0 pad_h0 pad_w1 pad_h1"
    " dilation_h dilation_w group activation",
    "DetectionOutput": "num_classes keep_top_k nms_top_k confidence_threshold:f nms_threshold:f",
    "Eltwise": "type caffe_flavor",
    "Flatten": "axis end_axis",
    "FullyConnected": "num_output",
    "LRN": "local_size alpha:f beta:f norm_region k:f",
    "Normalize": "across_spatial channel_shared",
    "Permute": "flag order0 order1 order2 order3",
    "Pooling": "alg kernel_h kernel_w stride_h stride_w global caffe_flavor pad_h0 pad_w0 pad_h1"
    " pad_w1",
    "Region": "num_classes side num_box coords confidence_threshold:f nms_threshold:f",
    "ReLU": "negative_slope:f",
    "Reorg": "stride",
    "Reshape": "is_mxnet reverse shape:v",
    "ROIPooling": "pooled_h pooled_w spatial_scale:f",
    "Scale": "axis num_axes bias_term",
    "Softmax": "axis",
    "Gemm": "alpha:f beta:f transA transB",
    "Squeeze": "dim_0 dim_1 dim_2 dim_3",
    "Pad": "n0 n1 c0 c1 h0 h1 w0 w1 mode value:f",
    "ArgMax": "axis keepdims",
    "ArgMin": "axis keepdims",
    "TopKV2": "k sorted",
    "Reduction": "dim_0 dim_1 dim_2 dim_3 type keepdim",
    "SwapAxis": "dim_0 dim_1",
    "Upsample": "scale:f",
    "ShuffleChannel": "group",
    "ROIAlign": "pooled_width pooled_height spatial_scale:f",
    "Unary": "type",
    "ExpandDims": "axis",
    "Threshold": "threshold:f",
    "HardSigmoid": "alpha:f beta:f",
    "HardSwish": "alpha:f beta:f",
    "InstanceNorm": "epsilon:f",
    "MVN": "across_channels normalize_variance epsilon:f",
    "Cast": "type_from type_to",
    "Interp": "resize_type width_scale:f height_scale:f output_width output_height",
    "SELU": "alpha:f gamma:f",
    "ELU": "alpha:f",
    "Logical": "type",
    "Transpose": "perm:v",
    "Comparison": "type",
    "SpaceToDepth": "blocksize",
    "DepthToSpace": "blocksize",
    "Clip": "max:f min:f",
    "Unsqueeze": "axes:v",
    "ReduceL2": "axis keepdims",
    "LogSoftmax": "axis",
}
"""Names of parameters in order, 32-bit integers unless marked: `f` a float, `v` the offset of a list.

**Source:** https://github.com/OAID/Tengine/blob/tengine-lite/source/serializer/tmfile/tm2_format.h
"""

_ELEMENTWISE: Mapping[int, str] = {
    0: "Mul",
    1: "Mul",
    2: "Add",
    3: "Add",
    4: "Sub",
    5: "Sub",
    6: "Max",
    8: "Min",
    10: "Div",
    11: "Log",
    12: "Exp",
    13: "Sqrt",
    14: "Floor",
    16: "Pow",
}
"""**Source:** https://github.com/OAID/Tengine/blob/tengine-lite/source/operator/prototype/eltwise_param.h"""

_UNARY_ELEMENTWISE = frozenset({"Log", "Exp", "Sqrt", "Floor"})
_ACTIVATIONS: Mapping[int, tuple[str, float, float]] = {
    0: ("Relu", 0.0, 0.0),
    1: ("Clip", -1.0, 1.0),
    6: ("Clip", 0.0, 6.0),
}
_COUNT_PADDING = 0x10

Parameter = int | float | tuple[int, ...]
Parameters = Mapping[str, Parameter]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """An operator in ONNX terms."""

    operator: str
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)


def number(parameters: Parameters, name: str, default: int = 0) -> int:
    """A whole parameter."""
    found = parameters.get(name, default)
    return found if isinstance(found, int) else default


def _real(parameters: Parameters, name: str, default: float = 0.0) -> float:
    found = parameters.get(name, default)
    return float(found) if isinstance(found, int | float) else default


def _listed(parameters: Parameters, name: str) -> tuple[int, ...]:
    found = parameters.get(name, ())
    return found if isinstance(found, tuple) else ()


def _pair(parameters: Parameters, name: str) -> tuple[int, int]:
    return number(parameters, f"{name}_h"), number(parameters, f"{name}_w")


def _pads(parameters: Parameters) -> dict[str, AttributeValue]:
    found = tuple(number(parameters, f"pad_{side}") for side in ("h0", "w0", "h1", "w1"))
    if min(found) < 0:  # what TensorFlow calls SAME is written as -1
        return {"auto_pad": "SAME_UPPER"}
    return {"pads": found}


def _window(parameters: Parameters) -> dict[str, AttributeValue] | None:
    kernel, strides = _pair(parameters, "kernel"), _pair(parameters, "stride")
    if min(*kernel, *strides) < 1:
        return None
    return {"kernel_shape": kernel, "strides": strides, **_pads(parameters)}


def _convolution(parameters: Parameters, upward: bool) -> Mapped | None:
    window, group = _window(parameters), number(parameters, "group")
    channels = number(parameters, "num_output" if upward else "output_channel")
    dilations = _pair(parameters, "dilation")
    if window is None or group < 1 or channels < 1 or min(dilations) < 1:
        return None
    activation = _ACTIVATIONS.get(number(parameters, "activation", -1))
    fused: dict[str, AttributeValue] = {}
    if activation is not None:
        fused["fused_activation"] = activation[0]
        if activation[0] == "Clip":
            fused |= {"fused_min": activation[1], "fused_max": activation[2]}
    return Mapped(
        operator="ConvTranspose" if upward else "Conv",
        attributes={
            **window,
            "dilations": dilations,
            "group": group,
            "output_channels": channels,
            **fused,
        },
    )


def _pooling(parameters: Parameters) -> Mapped | None:
    name = {0: "Max", 1: "Average"}.get(number(parameters, "alg"))
    if name is None:
        return None
    if number(parameters, "global"):
        return Mapped(operator=f"Global{name}Pool")
    window = _window(parameters)
    if window is None:
        return None
    flavor = number(parameters, "caffe_flavor")
    if name == "Average":
        window["count_include_pad"] = int(bool(flavor & _COUNT_PADDING))
    flavor &= ~_COUNT_PADDING
    if flavor == 2:  # the padding of both sides is one number
        top, left = (max(number(parameters, f"pad_{side}0"), 0) for side in "hw")
        window["pads"] = (top // 2, left // 2, top - top // 2, left - left // 2)
        window.pop("auto_pad", None)
    else:
        window["ceil_mode"] = int(flavor == 1)
    return Mapped(operator=f"{name}Pool", attributes=window)


def _elementwise(parameters: Parameters, inputs: int) -> Mapped | None:
    operator = _ELEMENTWISE.get(number(parameters, "type", -1))
    if operator is None or inputs != (1 if operator in _UNARY_ELEMENTWISE else 2):
        return None
    return Mapped(operator=operator)


def _interp(parameters: Parameters) -> Mapped | None:
    mode = {1: "nearest", 2: "linear", 3: "cubic"}.get(number(parameters, "resize_type"))
    if mode is None:
        return None
    attributes: dict[str, AttributeValue] = {"mode": mode}
    sizes = number(parameters, "output_height"), number(parameters, "output_width")
    scales = _real(parameters, "height_scale"), _real(parameters, "width_scale")
    if min(sizes) > 0:
        attributes |= {"sizes": sizes, "axes": (2, 3)}
    elif min(scales) > 0:
        attributes["scales"] = (1.0, 1.0, *scales)
    else:
        return None
    return Mapped(operator="Resize", attributes=attributes)


def _reshape(parameters: Parameters) -> Mapped | None:
    shape = _listed(parameters, "shape")
    if not shape or number(parameters, "is_mxnet") or number(parameters, "reverse"):
        return None
    return Mapped(operator="Reshape", attributes={"shape": shape})


def _relu(parameters: Parameters) -> Mapped:
    slope = _real(parameters, "negative_slope")
    if slope:
        return Mapped(operator="LeakyRelu", attributes={"alpha": slope})
    return Mapped(operator="Relu")


def _permute(parameters: Parameters) -> Mapped | None:
    order = tuple(number(parameters, f"order{i}") for i in range(4))
    if sorted(order) != [0, 1, 2, 3]:
        return None
    return Mapped(operator="Transpose", attributes={"perm": order})


def _transpose(parameters: Parameters) -> Mapped | None:
    order = _listed(parameters, "perm")
    if not order or sorted(order) != list(range(len(order))):
        return None
    return Mapped(operator="Transpose", attributes={"perm": order})


def _pad(parameters: Parameters) -> Mapped | None:
    mode = {0: "constant", 1: "edge", 2: "reflect"}.get(number(parameters, "mode"))
    pads = tuple(number(parameters, f"{axis}{side}") for side in "01" for axis in "nchw")
    if mode is None or min(pads) < 0:
        return None
    return Mapped(operator="Pad", attributes={"mode": mode, "pads": pads})


def _flatten(parameters: Parameters) -> Mapped | None:
    if number(parameters, "axis") < 0 or number(parameters, "end_axis") not in (-1, 3):
        return None
    return Mapped(operator="Flatten", attributes={"axis": number(parameters, "axis")})


def _renamed(operator: str, *names: str) -> Callable[[Parameters], Mapped]:
    """An operator whose parameters `names` go by these names in ONNX, too."""

    def mapped(parameters: Parameters) -> Mapped:
        kept: dict[str, AttributeValue] = {n: parameters[n] for n in names if n in parameters}
        return Mapped(operator=operator, attributes=kept)

    return mapped


_MAPPINGS: Mapping[str, Callable[[Parameters], Mapped | None]] = {
    "Convolution": lambda p: _convolution(p, upward=False),
    "Deconvolution": lambda p: _convolution(p, upward=True),
    "Pooling": _pooling,
    "Interp": _interp,
    "Reshape": _reshape,
    "ReLU": _relu,
    "Permute": _permute,
    "Transpose": _transpose,
    "Pad": _pad,
    "Flatten": _flatten,
    "FullyConnected": lambda _: Mapped(
        operator="Gemm", attributes={"transB": 1, "keep_num_dims": 0}
    ),
    "ReLU6": lambda _: Mapped(operator="Clip", attributes={"min": 0.0, "max": 6.0}),
    "ReLU1": lambda _: Mapped(operator="Clip", attributes={"min": -1.0, "max": 1.0}),
    "Clip": _renamed("Clip", "min", "max"),
    "Concat": _renamed("Concat", "axis"),
    "Softmax": _renamed("Softmax", "axis"),
    "LogSoftmax": _renamed("LogSoftmax", "axis"),
    "PReLU": _renamed("PRelu"),
    "Sigmoid": _renamed("Sigmoid"),
    "Logistic": _renamed("Sigmoid"),
    "Tanh": _renamed("Tanh"),
    "Dropout": _renamed("Dropout"),
    "Noop": _renamed("Identity"),
    "Maximum": _renamed("Max"),
    "Minimum": _renamed("Min"),
    "BroadMul": _renamed("Mul"),
    "Absval": _renamed("Abs"),
    "Ceil": _renamed("Ceil"),
    "Round": _renamed("Round"),
    "Mish": _renamed("Mish"),
    "Softplus": _renamed("Softplus"),
    "Reciprocal": _renamed("Reciprocal"),
    "HardSwish": _renamed("HardSwish"),
    "HardSigmoid": _renamed("HardSigmoid", "alpha", "beta"),
    "SELU": _renamed("Selu", "alpha", "gamma"),
    "ELU": _renamed("Elu", "alpha"),
    "MatMul": _renamed("MatMul"),
    "Shape": _renamed("Shape"),
    "SpaceToDepth": _renamed("SpaceToDepth", "blocksize"),
    "DepthToSpace": _renamed("DepthToSpace", "blocksize"),
    "Unsqueeze": _renamed("Unsqueeze", "axes"),
    "ArgMax": _renamed("ArgMax", "axis", "keepdims"),
    "ArgMin": _renamed("ArgMin", "axis", "keepdims"),
}
_CHANNELS_FIRST_ONLY = frozenset({"Interp"})


def mapped(name: str, parameters: Parameters, inputs: int, *, channels_first: bool) -> Mapped:
    """What an operator is in ONNX; with its own parameters where it is nothing there.

    Args:
        name: as in `NAMES`.
        parameters: as in `PARAMETERS`.
        inputs: how many tensors it takes.
        channels_first: whether the graph's tensors are.
    """
    if name == "Eltwise":
        found = _elementwise(parameters, inputs)
    elif name in _MAPPINGS and (channels_first or name not in _CHANNELS_FIRST_ONLY):
        found = _MAPPINGS[name](parameters)
    else:
        found = None
    own: dict[str, AttributeValue] = dict(parameters)
    return found or Mapped(operator="", attributes=own)
