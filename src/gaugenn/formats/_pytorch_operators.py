"""ATen operators as ONNX operators.

`aten::linear` takes any rank and becomes `Gemm`; where its input has more than two dimensions, the
leading ones are kept.

**Source:** https://github.com/pytorch/pytorch/blob/main/aten/src/ATen/native/native_functions.yaml for
names, order and defaults of arguments; https://onnx.ai/onnx/operators for what ONNX calls them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from gaugenn.graph import AttributeValue


@dataclass(slots=True, eq=False)
class Ref:
    """A tensor of the graph, or anything else that only running the model would tell.

    Attributes:
        name: of the graph's tensor; an operator that works in place gives it a new one.
        shape: where it is a weight.
    """

    name: str
    shape: tuple[int, ...] | None = None


Plain: TypeAlias = bool | int | float | str | None
Operand: TypeAlias = Plain | Ref | list["Operand"] | tuple["Operand", ...] | object


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A call of an operator.

    Attributes:
        name: without namespace, overload and the underscore of the in-place form.
        arguments: by position.
        named: by name.
    """

    name: str
    arguments: tuple[Operand, ...]
    named: Mapping[str, Operand] = field(default_factory=dict)

    def get(self, index: int, name: str, default: Operand = None) -> Operand:
        """An argument by position or name."""
        if index < len(self.arguments):
            return self.arguments[index]
        return self.named.get(name, default)

    def integer(self, index: int, name: str, default: int) -> int | None:
        """A whole number; None where it is not known."""
        value = self.get(index, name, default)
        return int(value) if isinstance(value, bool | int) and abs(value) < 1 << 63 else None

    def real(self, index: int, name: str, default: float) -> float | None:
        """A number; None where it is not known."""
        value = self.get(index, name, default)
        return float(value) if isinstance(value, bool | int | float) else None

    def integers(
        self, index: int, name: str, default: tuple[int, ...] = ()
    ) -> tuple[int, ...] | None:
        """A list of whole numbers, or one of one; None where a part is not known."""
        value = self.get(index, name, default)
        found = value if isinstance(value, list | tuple) else (value,)
        whole = [v for v in found if isinstance(v, int) and not isinstance(v, bool)]
        return tuple(whole) if len(whole) == len(found) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """What a call becomes: operator, inputs (constants are numbers), attributes."""

    operator: str
    inputs: tuple[Operand, ...]
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)


_UNARY: Mapping[str, str] = {
    "relu": "Relu",
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "hardswish": "HardSwish",
    "silu": "Swish",
    "mish": "Mish",
    "selu": "Selu",
    "abs": "Abs",
    "neg": "Neg",
    "exp": "Exp",
    "log": "Log",
    "sqrt": "Sqrt",
    "sin": "Sin",
    "cos": "Cos",
    "tan": "Tan",
    "asin": "Asin",
    "acos": "Acos",
    "atan": "Atan",
    "sinh": "Sinh",
    "cosh": "Cosh",
    "floor": "Floor",
    "ceil": "Ceil",
    "round": "Round",
    "sign": "Sign",
    "erf": "Erf",
    "reciprocal": "Reciprocal",
    "logical_not": "Not",
    "isnan": "IsNaN",
    "contiguous": "Identity",
    "clone": "Identity",
    "detach": "Identity",
    "alias": "Identity",
}
_BINARY: Mapping[str, str] = {
    "add": "Add",
    "sub": "Sub",
    "mul": "Mul",
    "div": "Div",
    "pow": "Pow",
    "maximum": "Max",
    "minimum": "Min",
    "eq": "Equal",
    "gt": "Greater",
    "lt": "Less",
    "ge": "GreaterOrEqual",
    "le": "LessOrEqual",
    "logical_and": "And",
    "logical_or": "Or",
    "logical_xor": "Xor",
    "matmul": "MatMul",
    "mm": "MatMul",
    "bmm": "MatMul",
}


def _unary(site: Site) -> Mapped | None:
    if site.name == "round" and "decimals" in site.named:
        return None
    return Mapped(operator=_UNARY[site.name], inputs=site.arguments[:1])


def _binary(site: Site) -> Mapped | None:
    if len(site.arguments) < 2 or site.named.get("rounding_mode") is not None:
        return None
    if site.name in ("add", "sub") and site.get(2, "alpha", 1) != 1:
        return None
    return Mapped(operator=_BINARY[site.name], inputs=site.arguments[:2])


def _shape_of(value: Operand) -> tuple[int, ...] | None:
    return value.shape if isinstance(value, Ref) else None


def _spread(values: tuple[int, ...] | None, rank: int, default: int) -> tuple[int, ...] | None:
    """One value for all axes, or one for each."""
    if values is None:
        return None
    if len(values) == rank:
        return values
    return (values or (default,)) * rank if len(values) <= 1 else None


def _convolution(site: Site) -> Mapped | None:
    """`convNd`, `conv_transposeNd`, `convolution` and `_convolution`."""
    weight = site.get(1, "weight")
    shape = _shape_of(weight)
    if shape is None or len(shape) < 3:
        return None
    rank = len(shape) - 2
    general = site.name in ("convolution", "_convolution")
    transposed = "transpose" in site.name or (general and site.get(6, "transposed", False) is True)
    padding = site.get(4, "padding", 0)
    if general:
        dilation, more, group = (
            site.integers(5, "dilation", (1,)),
            site.integers(7, "output_padding", (0,)),
            site.integer(8, "groups", 1),
        )
    elif transposed:
        dilation, more, group = (
            site.integers(7, "dilation", (1,)),
            site.integers(5, "output_padding", (0,)),
            site.integer(6, "groups", 1),
        )
    else:
        dilation, more, group = site.integers(5, "dilation", (1,)), (), site.integer(6, "groups", 1)
    strides = _spread(site.integers(3, "stride", (1,)), rank, 1)
    dilations = _spread(dilation, rank, 1)
    if strides is None or dilations is None or not group or group < 0:
        return None
    attributes: dict[str, AttributeValue] = {
        "kernel_shape": shape[2:],
        "strides": strides,
        "dilations": dilations,
        "group": group,
        "output_channels": shape[1] * group if transposed else shape[0],
    }
    if isinstance(padding, str):
        attributes["auto_pad"] = "SAME_UPPER" if padding == "same" else "VALID"
    else:
        pads = _spread(site.integers(4, "padding", (0,)), rank, 0)
        if pads is None:
            return None
        attributes["pads"] = pads * 2
    if transposed and more:
        attributes["output_padding"] = _spread(more, rank, 0) or (0,) * rank
    return Mapped(
        operator="ConvTranspose" if transposed else "Conv",
        inputs=(site.get(0, "input"), weight, site.get(2, "bias")),
        attributes=attributes,
    )


def _batch_norm(site: Site) -> Mapped | None:
    if site.get(5, "training", False) is True or site.get(3, "running_mean") is None:
        return None
    channels = _shape_of(site.get(3, "running_mean"))
    scale, bias = site.get(1, "weight"), site.get(2, "bias")
    if channels is None or not isinstance(scale, Ref) or not isinstance(bias, Ref):
        return None  # ONNX has no form without scale and offset
    names = (site.get(0, "input"), scale, bias, site.get(3, "mean"), site.get(4, "var"))
    return Mapped(
        operator="BatchNormalization",
        inputs=names,
        attributes={"epsilon": site.real(7, "eps", 1e-5) or 0.0},
    )


def _linear(site: Site) -> Mapped | None:
    if len(_shape_of(site.get(1, "weight")) or ()) != 2:
        return None
    inputs = (site.get(0, "input"), site.get(1, "weight"), site.get(2, "bias"))
    return Mapped(operator="Gemm", inputs=inputs, attributes={"transB": 1})


def _addmm(site: Site) -> Mapped | None:
    alpha, beta = site.real(4, "alpha", 1.0), site.real(3, "beta", 1.0)
    if len(site.arguments) < 3 or alpha is None or beta is None:
        return None
    bias, left, right = site.arguments[:3]
    return Mapped(
        operator="Gemm", inputs=(left, right, bias), attributes={"alpha": alpha, "beta": beta}
    )


def _clip(site: Site) -> Mapped | None:
    defaults: Mapping[str, tuple[float | None, float | None]] = {
        "relu6": (0.0, 6.0),
        "hardtanh": (-1.0, 1.0),
    }
    low, high = defaults.get(site.name, (None, None))
    attributes: dict[str, AttributeValue] = {}
    for index, name, default in ((1, "min", low), (2, "max", high)):
        value = site.get(index, f"{name}_val", site.named.get(name, default))
        if isinstance(value, int | float):
            attributes[name] = float(value)
        elif value is not None:
            return None
    return Mapped(operator="Clip", inputs=site.arguments[:1], attributes=attributes)


def _valued(operator: str, *given: tuple[int, str, float, str]) -> Callable[[Site], Mapped | None]:
    """Real attributes: position, PyTorch's name, default, ONNX's name."""

    def mapped(site: Site) -> Mapped | None:
        attributes: dict[str, AttributeValue] = {}
        for index, name, default, onnx_name in given:
            value = site.real(index, name, default)
            if value is None:
                return None
            attributes[onnx_name] = value
        return Mapped(operator=operator, inputs=site.arguments[:1], attributes=attributes)

    return mapped


def _hard_sigmoid(site: Site) -> Mapped | None:
    attributes: dict[str, AttributeValue] = {"alpha": 1 / 6, "beta": 0.5}
    return Mapped(operator="HardSigmoid", inputs=site.arguments[:1], attributes=attributes)


def _gelu(site: Site) -> Mapped | None:
    kind = site.get(1, "approximate", "none")
    attributes: dict[str, AttributeValue] = {"approximate": str(kind)}
    return Mapped(operator="Gelu", inputs=site.arguments[:1], attributes=attributes)


def _softmax(site: Site) -> Mapped | None:
    axis = site.integer(1, "dim", -1)
    if axis is None:
        return None
    operator = "LogSoftmax" if "log" in site.name else "Softmax"
    return Mapped(operator=operator, inputs=site.arguments[:1], attributes={"axis": axis})


def _pool(site: Site) -> Mapped | None:
    average = site.name.startswith("avg")
    rank = int(site.name[-2])
    window = _spread(site.integers(1, "kernel_size"), rank, 1)
    strides = _spread(site.integers(2, "stride") or window, rank, 1)
    pads = _spread(site.integers(3, "padding", (0,)), rank, 0)
    if window is None or strides is None or pads is None:
        return None
    ceil = site.get(4 if average else 5, "ceil_mode", False)
    attributes: dict[str, AttributeValue] = {
        "kernel_shape": window,
        "strides": strides,
        "pads": pads * 2,
        "ceil_mode": int(ceil is True),
    }
    if average:
        if site.get(6, "divisor_override") is not None:
            return None
        attributes["count_include_pad"] = int(site.get(5, "count_include_pad", True) is True)
    else:
        dilations = _spread(site.integers(4, "dilation", (1,)), rank, 1)
        if dilations is None:
            return None
        attributes["dilations"] = dilations
    operator = "AveragePool" if average else "MaxPool"
    return Mapped(operator=operator, inputs=site.arguments[:1], attributes=attributes)


def _adaptive_pool(site: Site) -> Mapped | None:
    wanted = site.integers(1, "output_size")
    if not wanted or set(wanted) != {1}:
        return None
    operator = "GlobalAveragePool" if "avg" in site.name else "GlobalMaxPool"
    return Mapped(operator=operator, inputs=site.arguments[:1])


def _concat(site: Site) -> Mapped | None:
    parts, axis = site.get(0, "tensors"), site.integer(1, "dim", 0)
    if not isinstance(parts, list | tuple) or axis is None:
        return None
    return Mapped(operator="Concat", inputs=tuple(parts), attributes={"axis": axis})


def _flatten(site: Site) -> Mapped | None:
    if site.integer(1, "start_dim", 0) != 1 or site.integer(2, "end_dim", -1) != -1:
        return None
    return Mapped(operator="Flatten", inputs=site.arguments[:1], attributes={"axis": 1})


def _reshape(site: Site) -> Mapped | None:
    shape = site.integers(1, "size")
    if shape is None or 0 in shape:
        return None
    return Mapped(operator="Reshape", inputs=site.arguments[:1], attributes={"shape": shape})


def _permute(site: Site) -> Mapped | None:
    order = site.integers(1, "dims")
    if order is None or any(not -len(order) <= axis < len(order) for axis in order):
        return None
    positive = tuple(axis % len(order) for axis in order)
    return Mapped(operator="Transpose", inputs=site.arguments[:1], attributes={"perm": positive})


def _squeezed(site: Site) -> Mapped | None:
    operator = "Unsqueeze" if site.name == "unsqueeze" else "Squeeze"
    axes = site.integers(1, "dim")
    if axes is None:
        return None
    attributes: dict[str, AttributeValue] = {"axes": axes} if axes else {}
    return Mapped(operator=operator, inputs=site.arguments[:1], attributes=attributes)


def _reduced(site: Site) -> Mapped | None:
    operator = {"mean": "ReduceMean", "sum": "ReduceSum", "amax": "ReduceMax", "amin": "ReduceMin"}
    first = site.get(1, "dim")
    if isinstance(first, Ref):
        return None
    axes = site.integers(1, "dim") if first is not None else ()
    keep = site.get(2, "keepdim", False)
    if axes is None:
        return None
    attributes: dict[str, AttributeValue] = {"keepdims": int(keep is True)}
    if axes:
        attributes["axes"] = axes
    return Mapped(operator=operator[site.name], inputs=site.arguments[:1], attributes=attributes)


def _slice(site: Site) -> Mapped | None:
    axis, step = site.integer(1, "dim", 0), site.integer(4, "step", 1)
    start, end = site.get(2, "start"), site.get(3, "end")
    start, end = (0 if start is None else start), (2**63 - 1 if end is None else end)
    if axis is None or step is None or not isinstance(start, int) or not isinstance(end, int):
        return None
    attributes: dict[str, AttributeValue] = {
        "axes": (axis,),
        "starts": (int(start),),
        "ends": (int(end),),
        "steps": (step,),
    }
    return Mapped(operator="Slice", inputs=site.arguments[:1], attributes=attributes)


def _upsample(site: Site) -> Mapped | None:
    kind = "nearest" if "nearest" in site.name else "linear" if "linear" in site.name else "cubic"
    rank = int(site.name.partition("d")[0][-1]) if site.name[-1] == "d" else 2
    sizes = site.get(1, "output_size")
    attributes: dict[str, AttributeValue] = {"mode": kind}
    scales = site.arguments[-1]
    axes = tuple(range(2, rank + 2))
    if isinstance(sizes, list | tuple) and all(isinstance(s, int) for s in sizes):
        attributes["sizes"] = site.integers(1, "output_size") or ()
    elif isinstance(scales, list | tuple) and all(isinstance(s, float) for s in scales):
        attributes["scales"] = tuple(s for s in scales if isinstance(s, float))
    else:
        return None
    if len(attributes["sizes" if "sizes" in attributes else "scales"]) != rank:  # type: ignore[arg-type]
        return None
    attributes["axes"] = axes
    aligned = kind != "nearest" and site.get(2, "align_corners", False) is True
    half = "asymmetric" if kind == "nearest" else "half_pixel"
    attributes["coordinate_transformation_mode"] = "align_corners" if aligned else half
    return Mapped(operator="Resize", inputs=site.arguments[:1], attributes=attributes)


def _pixel_shuffle(site: Site) -> Mapped | None:
    factor = site.integer(1, "upscale_factor", 1)
    if not factor or factor < 0:
        return None
    attributes: dict[str, AttributeValue] = {"blocksize": factor, "mode": "CRD"}
    return Mapped(operator="DepthToSpace", inputs=site.arguments[:1], attributes=attributes)


def _embedding(site: Site) -> Mapped | None:
    if len(site.arguments) < 2:
        return None
    return Mapped(operator="Gather", inputs=site.arguments[:2], attributes={"axis": 0})


def _prelu(site: Site) -> Mapped | None:
    slope = _shape_of(site.get(1, "weight"))
    if slope is None or slope not in ((), (1,)):
        return None  # ONNX wants the slope shaped like the input from the right
    return Mapped(operator="PRelu", inputs=site.arguments[:2])


def _layer_norm(site: Site) -> Mapped | None:
    sizes = site.integers(1, "normalized_shape")
    if not sizes or not isinstance(site.get(2, "weight"), Ref):
        return None
    attributes: dict[str, AttributeValue] = {
        "axis": -len(sizes),
        "epsilon": site.real(4, "eps", 1e-5) or 0.0,
    }
    inputs = (site.get(0, "input"), site.get(2, "weight"), site.get(3, "bias"))
    return Mapped(operator="LayerNormalization", inputs=inputs, attributes=attributes)


def _group_norm(site: Site) -> Mapped | None:
    groups = site.integer(1, "num_groups", 0)
    weight, bias = site.get(2, "weight"), site.get(3, "bias")
    if not groups or not isinstance(weight, Ref) or not isinstance(bias, Ref):
        return None
    attributes: dict[str, AttributeValue] = {
        "num_groups": groups,
        "epsilon": site.real(4, "eps", 1e-5) or 0.0,
    }
    inputs = (site.get(0, "input"), weight, bias)
    return Mapped(operator="GroupNormalization", inputs=inputs, attributes=attributes)


def _dropout(site: Site) -> Mapped | None:
    return Mapped(operator="Dropout", inputs=site.arguments[:1])


def _einsum(site: Site) -> Mapped | None:
    equation, parts = site.get(0, "equation"), site.get(1, "tensors")
    if not isinstance(equation, str) or not isinstance(parts, list | tuple):
        return None
    return Mapped(operator="Einsum", inputs=tuple(parts), attributes={"equation": equation})


def _where(site: Site) -> Mapped | None:
    return Mapped(operator="Where", inputs=site.arguments) if len(site.arguments) == 3 else None


_Mapping: TypeAlias = Callable[[Site], Mapped | None]

_MAPPINGS: Mapping[str, _Mapping] = {
    **dict.fromkeys(_UNARY, _unary),
    **dict.fromkeys(_BINARY, _binary),
    **dict.fromkeys(
        ("conv1d", "conv2d", "conv3d", "convolution", "_convolution", "_convolution_mode"),
        _convolution,
    ),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), _convolution),
    "batch_norm": _batch_norm,
    "linear": _linear,
    "addmm": _addmm,
    **dict.fromkeys(("hardtanh", "relu6", "clamp", "clip"), _clip),
    "leaky_relu": _valued("LeakyRelu", (1, "negative_slope", 0.01, "alpha")),
    "elu": _valued("Elu", (1, "alpha", 1.0, "alpha")),
    "celu": _valued("Celu", (1, "alpha", 1.0, "alpha")),
    "hardsigmoid": _hard_sigmoid,
    "gelu": _gelu,
    "prelu": _prelu,
    **dict.fromkeys(("softmax", "log_softmax", "_softmax", "_log_softmax"), _softmax),
    **dict.fromkeys(
        (f"{kind}_pool{rank}d" for kind in ("max", "avg") for rank in (1, 2, 3)), _pool
    ),
    **dict.fromkeys(
        (f"adaptive_{kind}_pool{rank}d" for kind in ("avg",) for rank in (1, 2, 3)), _adaptive_pool
    ),
    **dict.fromkeys(("cat", "concat"), _concat),
    "flatten": _flatten,
    **dict.fromkeys(("reshape", "view"), _reshape),
    "permute": _permute,
    **dict.fromkeys(("squeeze", "unsqueeze"), _squeezed),
    **dict.fromkeys(("mean", "sum", "amax", "amin"), _reduced),
    "slice": _slice,
    **dict.fromkeys(
        (
            *("upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d"),
            *("upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d"),
            "upsample_bicubic2d",
        ),
        _upsample,
    ),
    "pixel_shuffle": _pixel_shuffle,
    "embedding": _embedding,
    "layer_norm": _layer_norm,
    "group_norm": _group_norm,
    **dict.fromkeys(("dropout", "feature_dropout"), _dropout),
    "einsum": _einsum,
    "where": _where,
}


def mapped(namespace: str, site: Site) -> Mapped | None:
    """The ONNX form of a call, or None where there is none or not all is known."""
    if namespace != "aten":
        return None
    make = _MAPPINGS.get(site.name)
    found = make(site) if make is not None and site.arguments else None
    if found is None or not any(isinstance(value, Ref) for value in found.inputs):
        return None
    simple = (Ref, bool, int, float)
    if any(value is not None and not isinstance(value, simple) for value in found.inputs):
        return None
    return found
