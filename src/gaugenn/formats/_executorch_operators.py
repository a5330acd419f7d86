"""What the kernels of ExecuTorch programs mean in ONNX.

Kernels are ATen's, in the form that writes its result into a given tensor; names end in `_copy` where
ATen's own would give a view. `cortex_m` kernels are for 8-bit integers: their weights are stored
output, height, width, input, their further operands are how results are scaled back.

**Source:** https://github.com/pytorch/executorch/blob/main/backends/cortex_m/ops/operators.py and
https://github.com/pytorch/executorch/blob/main/exir/passes/dim_order_ops_registry.py for names and
order of arguments; `_pytorch_operators` for ATen's.
"""

from collections.abc import Callable, Mapping

from gaugenn.formats import _pytorch_operators as aten
from gaugenn.formats._pytorch_operators import Mapped, Operand, Ref, Site
from gaugenn.graph import AttributeValue

ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    name: tuple(names.split())
    for name, names in {
        "quantize_per_tensor": "input scale zero_point quant_min quant_max dtype",
        "dequantize_per_tensor": "input scale zero_point quant_min quant_max dtype",
        "quantized_conv2d": (
            "input weight bias - - - input_offset output_offset multipliers shifts "
            "activation_min activation_max scratch"
        ),
        "quantized_depthwise_conv2d": (
            "input weight bias - - - depth_multiplier input_offset output_offset multipliers "
            "shifts activation_min activation_max scratch"
        ),
        "quantized_linear": (
            "input weight bias kernel_sum input_offset filter_offset output_offset multipliers "
            "shifts activation_max activation_min"
        ),
        "quantized_avg_pool2d": "input - - - - zero_point multiplier shift",
        "pad": "input pre_pad post_pad value",
    }.items()
}
"""Names of the arguments of `cortex_m` and quantising kernels, which files do not hold; `-` for those
that become attributes of ONNX. The depthwise kernel's `groups` holds how many results a channel has."""

_Rule = Callable[[Site], Mapped | None]


def _pair(site: Site, index: int) -> tuple[int, int] | None:
    found = site.integers(index, "")
    return (found[0], found[1]) if found is not None and len(found) == 2 else None


def _shape(site: Site, index: int, rank: int) -> tuple[int, ...] | None:
    value = site.get(index, "")
    shape = value.shape if isinstance(value, Ref) else None
    return shape if shape is not None and len(shape) == rank else None


def _convolution(*, depthwise: bool) -> _Rule:
    def rule(site: Site) -> Mapped | None:
        weight, image = _shape(site, 1, 4), _shape(site, 0, 4)
        stride, pad, dilation = (_pair(site, index) for index in (3, 4, 5))
        if weight is None or image is None or None in (stride, pad, dilation):
            return None
        if min(*weight, image[1]) < 1 or stride is None or pad is None or dilation is None:
            return None
        group = image[1] if depthwise else image[1] // weight[3]
        if group < 1:
            return None
        attributes: dict[str, AttributeValue] = {
            "kernel_shape": weight[1:3],
            "output_channels": weight[3] if depthwise else weight[0],
            "strides": stride,
            "dilations": dilation,
            "pads": pad * 2,
            "group": group,
        }
        return Mapped(operator="Conv", inputs=site.arguments[:3], attributes=attributes)

    return rule


def _linear(site: Site) -> Mapped | None:
    if _shape(site, 1, 2) is None or not isinstance(site.get(2, ""), Ref | None):
        return None
    return Mapped(operator="Gemm", inputs=site.arguments[:3], attributes={"transB": 1})


def _pool(site: Site) -> Mapped | None:
    kernel, stride, pad = (_pair(site, index) for index in (1, 2, 3))
    average = "avg" in site.name
    ceil = site.get(4 if average else 5, "", False)
    if kernel is None or stride is None or pad is None or min(*kernel, *stride) < 1:
        return None
    attributes: dict[str, AttributeValue] = {
        "kernel_shape": kernel,
        "strides": stride,
        "pads": pad * 2,
        "ceil_mode": int(ceil is True),
    }
    if not average:
        dilation = _pair(site, 4)
        if dilation is None:
            return None
        attributes["dilations"] = dilation
    operator = "AveragePool" if average else "MaxPool"
    return Mapped(operator=operator, inputs=site.arguments[:1], attributes=attributes)


def _plain(operator: str, *positions: int) -> _Rule:
    def rule(site: Site) -> Mapped | None:
        inputs = tuple(site.get(index, "") for index in positions)
        return Mapped(operator=operator, inputs=inputs)

    return rule


def _transpose(site: Site) -> Mapped | None:
    order = site.integers(1, "perm")
    if not order:
        return None
    return Mapped(operator="Transpose", inputs=site.arguments[:1], attributes={"perm": order})


_KERNELS: Mapping[str, _Rule] = {
    "quantize_per_tensor": _plain("QuantizeLinear", 0),
    "dequantize_per_tensor": _plain("DequantizeLinear", 0),
    "quantized_conv2d": _convolution(depthwise=False),
    "quantized_depthwise_conv2d": _convolution(depthwise=True),
    "quantized_linear": _linear,
    "quantized_avg_pool2d": _pool,
    "quantized_max_pool2d": _pool,
    "quantized_add": _plain("Add", 0, 4),
    "minimum": _plain("Min", 0, 1),
    "maximum": _plain("Max", 0, 1),
    "transpose": _transpose,
}
_QUANTIZING = ("quantize_per_tensor", "dequantize_per_tensor")


def _batch_norm(site: Site) -> Mapped | None:
    eps = site.real(6, "eps", 1e-5)
    if len(site.arguments) < 5 or eps is None:
        return None
    return Mapped(
        operator="BatchNormalization", inputs=site.arguments[:5], attributes={"epsilon": eps}
    )


def _renamed(name: str, *, drop: int = 0) -> _Rule:
    """ATen's rule of another name, without the last arguments."""

    def rule(site: Site) -> Mapped | None:
        kept = site.arguments[: len(site.arguments) - drop]
        return aten.mapped("aten", Site(name=name, arguments=kept))

    return rule


_ATEN: Mapping[str, _Rule] = {
    "_native_batch_norm_legit_no_training": _batch_norm,
    "max_pool2d_with_indices": _renamed("max_pool2d"),
    "native_layer_norm": _renamed("layer_norm"),
    "expand": lambda _site: None,
}


def mapped(namespace: str, name: str, arguments: tuple[Operand, ...]) -> Mapped | None:
    """The ONNX form of a kernel call without its results; None where there is none.

    Args:
        namespace: `aten`, `cortex_m`, ...
        name: without namespace and overload.
        arguments: by position.
    """
    if namespace == "aten":
        name = name.removesuffix("_copy")
        site = Site(name=name, arguments=arguments)
        found = _ATEN[name](site) if name in _ATEN else aten.mapped(namespace, site)
    elif namespace == "cortex_m" or name in _QUANTIZING:
        rule = _KERNELS.get(name)
        found = None if rule is None else rule(Site(name=name, arguments=arguments))
    elif (namespace, name) == ("dim_order_ops", "_clone_dim_order"):
        found = Mapped(operator="Identity", inputs=arguments[:1])
    else:
        return None
    if found is None or not found.inputs or not isinstance(found.inputs[0], Ref | int | float):
        return None
    allowed = (Ref, bool, int, float)
    return found if all(v is None or isinstance(v, allowed) for v in found.inputs) else None
