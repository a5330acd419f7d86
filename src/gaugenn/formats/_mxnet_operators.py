"""MXNet's operators as ONNX operators.

**Source:** https://mxnet.apache.org/versions/1.9.1/api/python/docs/api/symbol/symbol.html
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gaugenn.formats._attributes import Attributes
from gaugenn.formats._draft import Mapped
from gaugenn.formats._windows import convolution, window
from gaugenn.graph import AttributeValue

_INTEGER = re.compile(r"[+-]?\d{1,18}L?")
_REAL = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,4})?")


def parsed(text: str) -> AttributeValue:
    """An attribute as what it spells: `(3, 3)`, `[1L]`, `0.5`, `True`, or a text."""
    if text in ("True", "False"):
        return text == "True"
    if text[:1] in ("(", "[") and text[-1:] in (")", "]"):
        parts = [part.strip() for part in text[1:-1].split(",") if part.strip()]
        if all(_INTEGER.fullmatch(part) for part in parts):
            return tuple(int(part.rstrip("L")) for part in parts)
        return text
    if _INTEGER.fullmatch(text):
        return int(text.rstrip("L"))
    return float(text) if _REAL.fullmatch(text) else text


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A node: the names of what it takes, and how many results are used."""

    op: str
    given: Attributes
    inputs: tuple[str, ...]
    outputs: int

    def mapped(
        self,
        operator: str,
        attributes: Mapping[str, AttributeValue] | None = None,
        inputs: Sequence[str] | None = None,
    ) -> Mapped:
        """A node that takes these inputs, all of them by default."""
        taken = self.inputs if inputs is None else tuple(inputs)
        return Mapped(operator=operator, attributes=attributes or {}, inputs=taken)


Rule = Callable[[Call], Mapped | None]


def _window(call: Call) -> dict[str, AttributeValue] | None:
    given = call.given
    kernel = given.wholes("kernel")
    pads = given.wholes("pad")
    return window(
        kernel=kernel,
        strides=given.wholes("stride"),
        dilations=given.wholes("dilate"),
        pads=pads or (0,) * len(kernel),
    )


def _convolution(call: Call) -> Mapped | None:
    given = call.given
    attributes = convolution(
        _window(call),
        output_channels=given.whole("num_filter"),
        group=given.whole("num_group", 1),
    )
    if attributes is None or given.text("layout", "NCHW") not in ("NCHW", "NCW", "NCDHW", "None"):
        return None
    if call.op != "Deconvolution":
        return call.mapped("Conv", attributes)
    if given.wholes("adj"):
        attributes["output_padding"] = given.wholes("adj")
    return call.mapped("ConvTranspose", attributes)


def _pool(call: Call) -> Mapped | None:
    given = call.given
    kind = {"max": "Max", "avg": "Average"}.get(given.text("pool_type", "max"))
    if kind is None:
        return None
    if given.flag("global_pool"):
        return call.mapped(f"Global{kind}Pool")
    attributes = _window(call)
    convention = given.text("pooling_convention", "valid")
    if attributes is None or convention not in ("valid", "full"):
        return None
    attributes["ceil_mode"] = int(convention == "full")
    if kind == "Average":
        attributes["count_include_pad"] = int(given.flag("count_include_pad", default=True))
    return call.mapped(f"{kind}Pool", attributes)


def _fully_connected(call: Call) -> Mapped:
    keep = not call.given.flag("flatten", default=True)
    return call.mapped("Gemm", {"transB": 1, "keep_num_dims": int(keep)})


def _activation(call: Call) -> Mapped | None:
    kinds = {
        "relu": "Relu",
        "sigmoid": "Sigmoid",
        "tanh": "Tanh",
        "softrelu": "Softplus",
        "softsign": "Softsign",
    }
    operator = kinds.get(call.given.text("act_type"))
    return None if operator is None else call.mapped(operator)


def _leaky(call: Call) -> Mapped | None:
    given = call.given
    kind, slope = given.text("act_type", "leaky"), given.real("slope", 0.25)
    if kind in ("leaky", "elu"):
        return call.mapped("LeakyRelu" if kind == "leaky" else "Elu", {"alpha": slope})
    operator = {"prelu": "PRelu", "selu": "Selu", "gelu": "Gelu"}.get(kind)
    return None if operator is None else call.mapped(operator)


def _batch_norm(call: Call) -> Mapped | None:
    if call.given.whole("axis", 1) != 1:
        return None
    return call.mapped("BatchNormalization", {"epsilon": call.given.real("eps", 1e-3)})


def _plain(operator: str, **attributes: AttributeValue) -> Rule:
    return lambda call: call.mapped(operator, attributes)


def _first(operator: str, **attributes: AttributeValue) -> Rule:
    """Of an operator that also takes a label, which an inference has not."""
    return lambda call: call.mapped(operator, attributes, call.inputs[:1])


def _axis(operator: str, name: str, default: int) -> Rule:
    return lambda call: call.mapped(operator, {"axis": call.given.whole(name, default)})


def _reduce(operator: str) -> Rule:
    def rule(call: Call) -> Mapped | None:
        given = call.given
        if given.flag("exclude"):
            return None
        axes = given.wholes("axis") or ((given.whole("axis"),) if "axis" in given.values else ())
        if given.text("axis") not in ("", "None"):
            return None
        if given.text("axis") == "None":
            axes = ()
        attributes: dict[str, AttributeValue] = {"keepdims": int(given.flag("keepdims"))}
        return call.mapped(operator, attributes | ({"axes": axes} if axes else {}))

    return rule


def _reshape(call: Call) -> Mapped | None:
    shape = call.given.wholes("shape")
    if not shape or min(shape) < -1 or call.given.flag("reverse"):
        return None
    return call.mapped("Reshape", {"shape": shape})


def _transpose(call: Call) -> Mapped:
    axes = call.given.wholes("axes")
    return call.mapped("Transpose", {"perm": axes} if axes else {})


def _split(call: Call) -> Mapped | None:
    given = call.given
    if given.flag("squeeze_axis"):
        return None
    count = given.whole("num_outputs", call.outputs)
    return call.mapped("Split", {"axis": given.whole("axis", 1), "num_outputs": count})


def _slice_axis(call: Call) -> Mapped:
    given = call.given
    end = 2**31 - 1 if given.text("end") == "None" else given.whole("end")
    attributes: dict[str, AttributeValue] = {
        "axes": (given.whole("axis"),),
        "starts": (given.whole("begin"),),
        "ends": (end,),
    }
    return call.mapped("Slice", attributes)


def _upsample(call: Call) -> Mapped | None:
    given = call.given
    scale = given.whole("scale")
    if given.text("sample_type") != "nearest" or not 0 < scale < 1 << 16 or len(call.inputs) != 1:
        return None
    attributes: dict[str, AttributeValue] = {
        "mode": "nearest",
        "coordinate_transformation_mode": "asymmetric",
        "axes": (2, 3),
        "scales": (float(scale), float(scale)),
    }
    return call.mapped("Resize", attributes)


def _resize(call: Call) -> Mapped | None:
    given = call.given
    sizes = (given.whole("height"), given.whole("width"))
    if min(sizes) < 1 or len(call.inputs) != 1:
        return None
    corners = given.flag("align_corners", default=True)
    attributes: dict[str, AttributeValue] = {
        "mode": "linear",
        "coordinate_transformation_mode": "align_corners" if corners else "half_pixel",
        "axes": (2, 3),
        "sizes": sizes,
    }
    return call.mapped("Resize", attributes)


def _adaptive(call: Call) -> Mapped | None:
    size = call.given.wholes("output_size") or (call.given.whole("output_size", 1),)
    return call.mapped("GlobalAveragePool") if set(size) == {1} else None


def _pad(call: Call) -> Mapped | None:
    amounts = call.given.wholes("pad_width")
    modes = {"constant": "constant", "edge": "edge", "reflect": "reflect"}
    mode = modes.get(call.given.text("mode"))
    if mode is None or not amounts or len(amounts) % 2:
        return None
    return call.mapped("Pad", {"pads": amounts[0::2] + amounts[1::2], "mode": mode})


def _dot(call: Call) -> Mapped:
    given = call.given
    pairs = (("transA", "transpose_a"), ("transB", "transpose_b"))
    return call.mapped("MatMul", {onnx: 1 for onnx, name in pairs if given.flag(name)})


def _embedding(call: Call) -> Mapped | None:
    if len(call.inputs) < 2:
        return None
    return call.mapped("Gather", {"axis": 0}, (call.inputs[1], call.inputs[0]))


def _local_response(call: Call) -> Mapped:
    given = call.given
    attributes: dict[str, AttributeValue] = {
        "size": given.whole("nsize", 5),
        "alpha": given.real("alpha", 1e-4),
        "beta": given.real("beta", 0.75),
        "bias": given.real("knorm", 2.0),
    }
    return call.mapped("LRN", attributes)


def _clip(call: Call) -> Mapped:
    given = call.given
    return call.mapped("Clip", {"min": given.real("a_min", 0.0), "max": given.real("a_max", 0.0)})


def _squeeze(call: Call) -> Mapped:
    given = call.given
    axes = given.wholes("axis") or ((given.whole("axis"),) if "axis" in given.values else ())
    return call.mapped("Squeeze", {"axes": axes} if axes else {})


_UNARY = """
    abs:Abs ceil:Ceil cos:Cos erf:Erf exp:Exp floor:Floor log:Log negative:Neg reciprocal:Reciprocal
    relu:Relu round:Round sigmoid:Sigmoid sign:Sign sin:Sin sqrt:Sqrt tanh:Tanh
    _copy:Identity identity:Identity BlockGrad:Identity stop_gradient:Identity make_loss:Identity
    shape_array:Shape where:Where Dropout:Dropout
    elemwise_add:Add elemwise_sub:Sub elemwise_mul:Mul elemwise_div:Div _add:Add _sub:Sub _mul:Mul
    _plus:Add _Plus:Add _minus:Sub _Minus:Sub _Mul:Mul _div:Div _Div:Div _maximum:Max _minimum:Min
    broadcast_add:Add broadcast_plus:Add broadcast_sub:Sub broadcast_minus:Sub broadcast_mul:Mul
    broadcast_div:Div broadcast_maximum:Max broadcast_minimum:Min broadcast_power:Pow
    broadcast_equal:Equal broadcast_greater:Greater broadcast_lesser:Less
    ElementWiseSum:Sum add_n:Sum _power:Pow
"""

_RULES: Mapping[str, Rule] = {
    **{name: _plain(operator) for name, _, operator in (p.partition(":") for p in _UNARY.split())},
    **dict.fromkeys(("Convolution", "Convolution_v1", "Deconvolution"), _convolution),
    **dict.fromkeys(("Pooling", "Pooling_v1"), _pool),
    **dict.fromkeys(("BatchNorm", "BatchNorm_v1", "_contrib_SyncBatchNorm"), _batch_norm),
    **dict.fromkeys(("Concat", "concat"), _axis("Concat", "dim", 1)),
    **dict.fromkeys(("Reshape", "reshape"), _reshape),
    **dict.fromkeys(("Flatten", "flatten"), _plain("Flatten", axis=1)),
    **dict.fromkeys(("SliceChannel", "split"), _split),
    **dict.fromkeys(("Pad", "pad"), _pad),
    **dict.fromkeys(("dot", "batch_dot"), _dot),
    **dict.fromkeys(("SoftmaxOutput", "Softmax"), _first("Softmax", axis=1)),
    **{name: _reduce(f"Reduce{kind}") for name, kind in (("mean", "Mean"), ("max", "Max"))},
    **{name: _reduce(f"Reduce{kind}") for name, kind in (("sum", "Sum"), ("min", "Min"))},
    "Activation": _activation,
    "Cast": lambda call: call.mapped("Cast", {"to": call.given.text("dtype")}),
    "Embedding": _embedding,
    "FullyConnected": _fully_connected,
    "InstanceNorm": lambda call: call.mapped(
        "InstanceNormalization", {"epsilon": call.given.real("eps", 1e-3)}
    ),
    "LRN": _local_response,
    "LayerNorm": lambda call: call.mapped(
        "LayerNormalization",
        {"axis": call.given.whole("axis", -1), "epsilon": call.given.real("eps", 1e-5)},
    ),
    "LeakyReLU": _leaky,
    "LinearRegressionOutput": _first("Identity"),
    "LogisticRegressionOutput": _first("Sigmoid"),
    "SoftmaxActivation": _first("Softmax", axis=1),
    "UpSampling": _upsample,
    "_contrib_AdaptiveAvgPooling2D": _adaptive,
    "_contrib_BilinearResize2D": _resize,
    "clip": _clip,
    "expand_dims": lambda call: call.mapped("Unsqueeze", {"axes": (call.given.whole("axis"),)}),
    "log_softmax": _axis("LogSoftmax", "axis", -1),
    "slice_axis": _slice_axis,
    "softmax": _axis("Softmax", "axis", -1),
    "squeeze": _squeeze,
    "transpose": _transpose,
}


def translate(call: Call) -> Mapped | None:
    """The ONNX operator, or None where there is none."""
    rule = _RULES.get(call.op)
    return None if rule is None else rule(call)
