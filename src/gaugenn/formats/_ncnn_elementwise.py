"""ncnn layers that treat every element alike, as ONNX operators.

See `gaugenn.formats._ncnn_layers` for the source.
"""

import math
from collections.abc import Callable, Mapping, Sequence

from gaugenn.formats._ncnn_site import Mapped, Site, Sizes
from gaugenn.formats._ncnn_spatial import product_is_one
from gaugenn.graph import AttributeValue

_BINARY: Mapping[int, tuple[str, bool]] = {
    0: ("Add", False),
    1: ("Sub", False),
    2: ("Mul", False),
    3: ("Div", False),
    4: ("Max", False),
    5: ("Min", False),
    6: ("Pow", False),
    7: ("Sub", True),
    8: ("Div", True),
    9: ("Pow", True),
    12: ("Mod", False),
    13: ("Mod", True),
}
"""By `op_type`: the operator, and whether its operands stand the other way round. The other codes
(arc tangent of two arguments, logarithm of a sum of exponentials, floored division and remainder)
have no ONNX operator."""

_UNARY: Mapping[int, str] = {
    0: "Abs",
    1: "Neg",
    2: "Floor",
    3: "Ceil",
    5: "Sqrt",
    7: "Exp",
    8: "Log",
    9: "Sin",
    10: "Cos",
    11: "Tan",
    12: "Asin",
    13: "Acos",
    14: "Atan",
    15: "Reciprocal",
    16: "Tanh",
    18: "Round",
    20: "Sign",
    22: "Sinh",
    23: "Asinh",
    24: "Cosh",
    25: "Acosh",
    26: "Atanh",
}
"""By `op_type`; 4 is a square, 6 an inverse square root, and 17, 19, 21 and 27 (decimal logarithm,
truncation, exp(x) - 1, log(x + 1)) have no ONNX operator."""


def _same(operator: str) -> Callable[[Site], Mapped]:
    def mapped(site: Site) -> Mapped:
        site.require(1)
        return site.mapped(operator)

    return mapped


def _valued(operator: str, **parameters: tuple[int, float]) -> Callable[[Site], Mapped]:
    """An element-wise operator with real attributes: ONNX name, ncnn's id, default."""

    def mapped(site: Site) -> Mapped:
        site.require(1)
        named = {name: site.layer.real(*given) for name, given in parameters.items()}
        return site.mapped(operator, named)

    return mapped


def _binary(site: Site) -> Mapped:
    layer = site.layer
    name, swapped = _BINARY.get(layer.integer(0, 0), ("", False))
    if layer.integer(1, 0):
        site.require(1)
        operands = [layer.inputs[0], site.scalar("b", layer.real(2, 0.0))]
        sizes: list[Sizes] = [site.first, ()]
    else:
        site.require(2)
        operands, sizes = list(layer.inputs[:2]), list(site.sizes[:2])
    result = _broadcast(sizes)
    if not name:
        return site.unmapped(sizes=(result,))
    if swapped:
        operands.reverse()
        sizes.reverse()
    first, second = sizes
    attributes: dict[str, AttributeValue] = {"fmod": 1} if name == "Mod" else {}
    if first is not None and second is not None and not product_is_one(second):
        if len(first) < len(second) and name in ("Add", "Mul") and not product_is_one(first):
            operands.reverse()
            first, second = second, first
        if len(second) < len(first):  # aligned at the outermost dimension, as in ONNX before 7
            attributes |= {"broadcast": 1, "axis": 0}
    return site.mapped(name, attributes, inputs=operands, sizes=(result,))


def _broadcast(sizes: Sequence[Sizes]) -> Sizes:
    if any(s is None for s in sizes):
        return None
    known = sorted((s for s in sizes if s is not None), key=len)
    largest = list(known[-1])
    for other in known[:-1]:
        if len(other) == len(largest):
            largest = [
                a if b == 1 else b if a in (1, None) else a
                for a, b in zip(largest, other, strict=True)
            ]
    return tuple(largest)


def _unary(site: Site) -> Mapped:
    site.require(1)
    code = site.layer.integer(0, 0)
    data = site.layer.inputs[0]
    if code == 4:
        return site.mapped("Mul", inputs=(data, data))
    if code == 6:
        return site.mapped("Pow", inputs=(data, site.scalar("exponent", -0.5)))
    if code not in _UNARY:
        return site.unmapped(sizes=(site.first,))
    return site.mapped(_UNARY[code])


def _eltwise(site: Site) -> Mapped:
    site.require(1)
    code, count = site.layer.integer(0, 0), len(site.layer.inputs)
    coefficients = site.layer.reals(1)
    if code == 1 and not coefficients:
        return site.mapped("Add" if count == 2 else "Sum")
    if code == 1 and coefficients == (1.0, -1.0) and count == 2:
        return site.mapped("Sub")
    if code == 0 and count == 2:
        return site.mapped("Mul")
    if code == 2:
        return site.mapped("Max")
    return site.unmapped(sizes=(site.first,))


def _relu(site: Site) -> Mapped:
    slope = site.layer.real(0, 0.0)
    return site.mapped("LeakyRelu", {"alpha": slope}) if slope else site.mapped("Relu")


def _clip(site: Site) -> Mapped:
    limits = {0: "min", 1: "max"}
    given = {limits[n]: site.layer.real(n, 0.0) for n in limits if n in site.layer.values}
    return site.mapped("Clip", given)


def _hard_swish(site: Site) -> Mapped:
    """ONNX's has fixed factors: 1/6 and 1/2."""
    alpha, beta = site.layer.real(0, 0.2), site.layer.real(1, 0.5)
    if math.isclose(alpha, 1 / 6, rel_tol=1e-3) and beta == 0.5:
        return site.mapped("HardSwish")
    return site.unmapped(sizes=(site.first,))


def _gelu(site: Site) -> Mapped:
    return site.mapped("Gelu", {"approximate": "tanh" if site.layer.integer(0, 0) else "none"})


def _plain_only(operator: str) -> Callable[[Site], Mapped]:
    """`Exp` and `Log` of ncnn take a base, scale and shift, which ONNX does not."""

    def mapped(site: Site) -> Mapped:
        plain = [site.layer.real(n, d) == d for n, d in ((0, -1.0), (1, 1.0), (2, 0.0))]
        return site.mapped(operator) if all(plain) else site.unmapped(sizes=(site.first,))

    return mapped


def _power(site: Site) -> Mapped:
    """(shift + scale * x) ** power, where two of the three do nothing."""
    site.require(1)
    data = site.layer.inputs[0]
    power, scale, shift = (site.layer.real(n, d) for n, d in ((0, 1.0), (1, 1.0), (2, 0.0)))
    if (scale, shift) == (1.0, 0.0):
        return site.mapped("Pow", inputs=(data, site.scalar("power", power)))
    if (power, shift) == (1.0, 0.0):
        return site.mapped("Mul", inputs=(data, site.scalar("scale", scale)))
    if (power, scale) == (1.0, 1.0):
        return site.mapped("Add", inputs=(data, site.scalar("shift", shift)))
    return site.unmapped(sizes=(site.first,))


def _dropout(site: Site) -> Mapped:
    site.require(1)
    scale = site.layer.real(0, 1.0)
    if scale == 1.0:
        return site.mapped("Dropout")
    return site.mapped("Mul", inputs=(site.layer.inputs[0], site.scalar("scale", scale)))


def _copies(site: Site) -> Mapped:
    """`Split` hands its input to several layers; each output is the input itself: no work."""
    site.require(1)
    return site.mapped("Identity")


def _noop(site: Site) -> Mapped:
    return site.mapped("Identity", sizes=site.sizes)


def _quantize(site: Site) -> Mapped:
    """Ncnn's factor is the inverse of ONNX's scale: attribute `inverse_scale`."""
    site.require(1)
    return site.mapped("QuantizeLinear", {"inverse_scale": 1})


def _dequantize(site: Site) -> Mapped:
    """ONNX knows no bias here; it stands after the zero point, which ncnn does not know."""
    site.require(1)
    bias = site.weight("bias_data")
    inputs = (site.layer.inputs[0], site.weight("scale_data"), *(("", bias) if bias else ()))
    return site.mapped("DequantizeLinear", inputs=inputs)


def _cast(site: Site) -> Mapped:
    names = {1: "float32", 2: "float16", 3: "int8", 4: "bfloat16"}
    wanted = names.get(site.layer.integer(1, 0))
    return site.mapped("Cast", {"to": wanted}) if wanted else site.unmapped(sizes=(site.first,))


def _shape_kept(site: Site) -> Mapped:
    return site.unmapped(sizes=(site.first,))


ELEMENTWISE: Mapping[str, Callable[[Site], Mapped]] = {
    "AbsVal": _same("Abs"),
    "BNLL": _same("Softplus"),
    "BinaryOp": _binary,
    "CELU": _valued("Celu", alpha=(0, 1.0)),
    "Cast": _cast,
    "Clip": _clip,
    "CopyTo": _shape_kept,
    "DeepCopy": _same("Identity"),
    "Dequantize": _dequantize,
    "Dropout": _dropout,
    "ELU": _valued("Elu", alpha=(0, 0.1)),
    "Eltwise": _eltwise,
    "Erf": _same("Erf"),
    "Exp": _plain_only("Exp"),
    "Flip": _shape_kept,
    "GELU": _gelu,
    "HardSigmoid": _valued("HardSigmoid", alpha=(0, 0.2), beta=(1, 0.5)),
    "HardSwish": _hard_swish,
    "Log": _plain_only("Log"),
    "Mish": _same("Mish"),
    "Noop": _noop,
    "Packing": _same("Identity"),
    "Power": _power,
    "Quantize": _quantize,
    "ReLU": _relu,
    "Requantize": _shape_kept,
    "SELU": _valued("Selu", alpha=(0, 1.67326324), gamma=(1, 1.050700987)),
    "Shrink": _valued("Shrink", bias=(0, 0.0), lambd=(1, 0.5)),
    "Sigmoid": _same("Sigmoid"),
    "Softplus": _same("Softplus"),
    "Split": _copies,
    "Swish": _same("Swish"),
    "TanH": _same("Tanh"),
    "Threshold": _shape_kept,
    "UnaryOp": _unary,
}
