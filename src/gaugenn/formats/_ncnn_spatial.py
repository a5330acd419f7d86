"""ncnn layers that slide a window or look at channels, as ONNX operators.

Parameters count width first and know no batch; ONNX counts outermost first, and every axis of a blob
is one higher there. See `gaugenn.formats._ncnn_layers` for the source.
"""

import math
from collections.abc import Callable, Mapping, Sequence

from gaugenn.errors import FormatError
from gaugenn.formats._ncnn_layers import Layer
from gaugenn.formats._ncnn_site import Mapped, Site, Sizes
from gaugenn.formats._ncnn_weights import group, has_dynamic_weight, kernel, per_axis, spatial_rank
from gaugenn.graph import AttributeValue

_AUTO_PAD = {-233: "SAME_UPPER", -234: "SAME_LOWER"}
_ACTIVATIONS: Mapping[int, tuple[str, tuple[str, ...]]] = {
    1: ("Relu", ()),
    2: ("LeakyRelu", ("fused_alpha",)),
    3: ("Clip", ("fused_min", "fused_max")),
    4: ("Sigmoid", ()),
    5: ("Mish", ()),
    6: ("HardSwish", ("fused_alpha", "fused_beta")),
}
"""**Source:** https://github.com/Tencent/ncnn/blob/master/src/layer/fused_activation.h"""


def activation(layer: Layer, kind: int = 9, parameters: int = 10) -> dict[str, AttributeValue]:
    """The activation that a layer applies to its result."""
    number = layer.integer(kind, 0)
    if number == 0:
        return {}
    name, names = _ACTIVATIONS.get(number, (f"ncnn_activation_{number}", ()))
    given = layer.reals(parameters)
    return {"fused_activation": name, **dict(zip(names, given, strict=False))}


def _convolution(site: Site) -> Mapped:
    layer = site.layer
    site.require(2 if has_dynamic_weight(layer) else 1)
    channels = layer.size(0, 0, 1)
    window = kernel(layer)
    strides = per_axis(layer, (3, 13, 23), 1, lowest=1)
    dilations = per_axis(layer, (2, 12, 22), 1, lowest=1)
    pads = _pads(layer, left=4, right=15, top=14, bottom=16, front=24, behind=17)
    attributes: dict[str, AttributeValue] = {
        "kernel_shape": window,
        "strides": strides,
        "dilations": dilations,
        "group": group(layer),
        "output_channels": channels,
        **pads,
        **activation(layer),
    }
    value = layer.real(18, 0.0)
    if value:
        attributes["pad_value"] = value
    sizes = _slid(_spatial(site), window, strides, dilations, pads, up=False)
    return site.mapped(
        "Conv" if layer.type != "DeformableConv2D" else "DeformConv",
        attributes,
        inputs=_convolution_inputs(site),
        sizes=((channels, *sizes),),
    )


def _convolution_inputs(site: Site) -> tuple[str, ...]:
    """Blobs and weights as X, W, B; `DeformConv` has X, W, offset, B, mask."""
    layer = site.layer
    if has_dynamic_weight(layer):
        return layer.inputs
    weight, bias = site.weight("weight_data"), site.weight("bias_data")
    data, *others = layer.inputs
    if layer.type == "DeformableConv2D":
        site.require(2)
        return tuple(_trimmed((data, weight, others[0], bias, *others[1:])))
    return tuple(_trimmed((data, weight, bias, *others)))


def _trimmed(names: Sequence[str]) -> Sequence[str]:
    """Without the omitted inputs at the end."""
    end = len(names)
    while end and not names[end - 1]:
        end -= 1
    return names[:end]


def _deconvolution(site: Site) -> Mapped:
    layer = site.layer
    site.require(2 if has_dynamic_weight(layer) else 1)
    rank = spatial_rank(layer)
    channels = layer.size(0, 0, 1)
    window = kernel(layer)
    strides = per_axis(layer, (3, 13, 23), 1, lowest=1)
    dilations = per_axis(layer, (2, 12, 22), 1, lowest=1)
    pads = _pads(layer, left=4, right=15, top=14, bottom=16, front=24, behind=17)
    more = per_axis(layer, (18, 19, 20), 0)
    attributes: dict[str, AttributeValue] = {
        "kernel_shape": window,
        "strides": strides,
        "dilations": dilations,
        "group": group(layer),
        "output_channels": channels,
        **pads,
        **activation(layer),
    }
    if any(more):
        attributes["output_padding"] = more
    wanted = per_axis(layer, (25, 26, 27) if rank == 3 else (20, 21, 21), 0)
    sizes: Sequence[int | None] = wanted
    if all(wanted):
        attributes["output_shape"] = wanted
    else:
        grown = _slid(_spatial(site), window, strides, dilations, pads, up=True)
        sizes = [None if s is None else s + m for s, m in zip(grown, more, strict=True)]
    return site.mapped(
        "ConvTranspose",
        attributes,
        inputs=_convolution_inputs(site),
        sizes=((channels, *sizes),),
    )


def _pads(
    layer: Layer, *, left: int, right: int, top: int, bottom: int, front: int, behind: int
) -> dict[str, AttributeValue]:
    rank = spatial_rank(layer)
    before = [layer.integer(left, 0)]
    after = [layer.integer(right, before[0])]
    for start, end in ((top, bottom), (front, behind))[: rank - 1]:
        begin = layer.integer(start, before[0])
        before.append(begin)
        after.append(layer.integer(end, begin))
    values = (*reversed(before), *reversed(after))
    if len(set(values)) == 1 and values[0] in _AUTO_PAD:
        return {"auto_pad": _AUTO_PAD[values[0]]}
    if min(values) < 0:
        raise FormatError(f"ncnn layer {layer.name!r} ({layer.type}) has negative padding {values}")
    return {"pads": values}


def _spatial(site: Site) -> tuple[int | None, ...]:
    """Spatial sizes of the first input, as many as the layer's type has."""
    rank = spatial_rank(site.layer)
    if site.first is None or len(site.first) != rank + 1:
        return (None,) * rank
    return site.first[1:]


def _slid(
    sizes: Sequence[int | None],
    window: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    pads: Mapping[str, AttributeValue],
    *,
    up: bool,
    ceil: bool = False,
) -> list[int | None]:
    """Output sizes of a sliding window; `up` for its transpose."""
    rank = len(window)
    padding = pads.get("pads")
    given = padding if isinstance(padding, tuple) else None
    found: list[int | None] = []
    for i, size in enumerate(sizes):
        reach = dilations[i] * (window[i] - 1) + 1
        if size is None:
            found.append(None)
            continue
        if given is None:
            found.append(size * strides[i] if up else -(-size // strides[i]))
            continue
        total = int(given[i]) + int(given[rank + i])
        if up:
            result = (size - 1) * strides[i] + reach - total
        else:
            room = size + total - reach
            result = (-(-room // strides[i]) if ceil else room // strides[i]) + 1
        found.append(result if result > 0 else None)
    return found


def _pooling(site: Site) -> Mapped:
    layer = site.layer
    site.require(1)
    rank = spatial_rank(layer)
    kind = "Average" if layer.integer(0, 0) else "Max"
    channels = site.first[0] if site.first else None
    if layer.integer(4, 0):
        # ncnn drops the spatial sizes here; as ones they mean the same to everything that follows
        return site.mapped(f"Global{kind}Pool", sizes=((channels, *(1,) * rank),))
    if layer.integer(7, 0):
        wanted = per_axis(layer, (8, 18, 28), 0)
        sizes = [
            given if size == -233 else size or None
            for size, given in zip(wanted, _spatial(site), strict=True)
        ]
        if set(wanted) == {1}:
            return site.mapped(f"Global{kind}Pool", sizes=((channels, *sizes),))
        return site.unmapped(sizes=((channels, *sizes),))
    window = kernel(layer)
    strides = per_axis(layer, (2, 12, 22), 1, lowest=1)
    mode = layer.integer(5, 0)
    pads = _pads(layer, left=3, right=14, top=13, bottom=15, front=23, behind=16)
    if mode in (2, 3):
        pads = {"auto_pad": _AUTO_PAD[-231 - mode]}
    ones = (1,) * rank
    sizes = _slid(_spatial(site), window, strides, ones, pads, up=False, ceil=mode == 0)
    attributes: dict[str, AttributeValue] = {"kernel_shape": window, "strides": strides}
    if mode == 0:
        filled = _filled_up(pads, _spatial(site), sizes, window, strides)
        attributes["ceil_mode"] = int(filled is None)
        pads = filled or pads
    attributes |= pads
    if kind == "Average":
        attributes["count_include_pad"] = int(bool(layer.integer(6, 0)))
    return site.mapped(f"{kind}Pool", attributes, sizes=((channels, *sizes),))


def _filled_up(
    pads: Mapping[str, AttributeValue],
    sizes: Sequence[int | None],
    results: Sequence[int | None],
    window: Sequence[int],
    strides: Sequence[int],
) -> dict[str, AttributeValue] | None:
    """Padding that makes room for a last window that lies wholly in it.

    ncnn counts such a window and ONNX's `ceil_mode` does not. None where there is none.
    """
    given = pads.get("pads")
    if not isinstance(given, tuple):
        return None
    rank = len(window)
    begins, ends = ([int(pad) for pad in given[i * rank : i * rank + rank]] for i in (0, 1))
    beyond = False
    for i, (size, result) in enumerate(zip(sizes, results, strict=True)):
        if size is None or result is None:
            return None
        start = (result - 1) * strides[i]
        beyond = beyond or start >= size + begins[i]
        ends[i] = max(ends[i], start + window[i] - size - begins[i])
    return {"pads": (*begins, *ends)} if beyond else None


def _inner_product(site: Site) -> Mapped:
    layer = site.layer
    site.require(1)
    outputs = layer.size(0, 0, 1)
    inputs = site.shapes["weight_data"][1]
    sizes: Sizes = (outputs,)
    if site.first is not None and len(site.first) == 2 and site.first[1] in (None, inputs):
        sizes = (site.first[0], outputs)  # a row at a time
    names = _trimmed((layer.inputs[0], site.weight("weight_data"), site.weight("bias_data")))
    attributes = {"transB": 1, **activation(layer)}
    return site.mapped("Gemm", attributes, inputs=names, sizes=(sizes,))


def _batch_norm(site: Site) -> Mapped:
    site.require(1)
    order = ("slope_data", "bias_data", "mean_data", "var_data")
    inputs = (site.layer.inputs[0], *(site.weight(name) for name in order))
    attributes: dict[str, AttributeValue] = {"epsilon": site.layer.real(1, 0.0)}
    return site.mapped("BatchNormalization", attributes, inputs=inputs)


def _scale(site: Site) -> Mapped:
    """A product, or with a bias a batch normalisation whose mean is 0 and variance 1."""
    layer = site.layer
    site.require(1)
    if layer.integer(0, 0) == -233:
        site.require(2)
        return site.mapped("Mul", _outer_broadcast(site))
    scale, bias = site.weight("scale_data"), site.weight("bias_data")
    if not bias:
        return site.mapped("Mul", {"broadcast": 1, "axis": 1}, inputs=(layer.inputs[0], scale))
    return site.mapped("BatchNormalization", inputs=(layer.inputs[0], scale, bias))


def _outer_broadcast(site: Site) -> dict[str, AttributeValue]:
    """A second operand of lower rank is aligned at the outermost dimension, as in ONNX before 7."""
    first, second = (*site.sizes, None, None)[:2]
    if first is None or second is None or len(second) >= len(first) or product_is_one(second):
        return {}
    return {"broadcast": 1, "axis": 0}


def product_is_one(sizes: Sizes) -> bool:
    """Whether a blob is known to hold a single element."""
    return sizes is not None and all(size == 1 for size in sizes)


def _normalisation(operator: str, *, epsilon: int, affine: bool) -> Callable[[Site], Mapped]:
    def mapped(site: Site) -> Mapped:
        layer = site.layer
        site.require(1)
        attributes: dict[str, AttributeValue] = {"epsilon": layer.real(epsilon, 0.001)}
        if operator == "GroupNormalization":
            attributes["num_groups"] = layer.size(0, 1, 1)
        if affine:
            attributes["axis"] = _normalised_axis(site.first, layer.size(0, 0))
        return site.mapped(operator, attributes)

    return mapped


def _normalised_axis(sizes: Sizes, count: int) -> int:
    """First axis that is normalised over: the innermost ones that hold `count` elements."""
    for back in range(1, len(sizes or ()) + 1):
        inner = [size for size in (sizes or ())[-back:] if size is not None]
        if len(inner) == back and math.prod(inner) == count:
            return -back
    return -1


def _mean_variance(site: Site) -> Mapped:
    layer = site.layer
    if not layer.integer(0, 0):
        return site.unmapped(sizes=(site.first,))
    axes = (1, 2, 3) if layer.integer(1, 0) else (2, 3)
    return site.mapped("MeanVarianceNormalization", {"axes": axes, "eps": layer.real(2, 0.0001)})


def _normalize(site: Site) -> Mapped:
    """Length one across channels at each position, times a scale: a third input here."""
    layer = site.layer
    if layer.integer(0, 0) or not layer.integer(4, 0):
        return site.unmapped(sizes=(site.first,))
    return site.mapped("LpNormalization", {"p": 2, "axis": 1, "eps": layer.real(2, 0.0001)})


def _local_response(site: Site) -> Mapped:
    layer = site.layer
    if layer.integer(0, 0):
        return site.unmapped(sizes=(site.first,))
    attributes: dict[str, AttributeValue] = {
        "size": layer.size(1, 5, 1),
        "alpha": layer.real(2, 1.0),
        "beta": layer.real(3, 0.75),
        "bias": layer.real(4, 1.0),
    }
    return site.mapped("LRN", attributes)


def _interp(site: Site) -> Mapped:
    layer = site.layer
    site.require(1)
    mode = {1: "nearest", 2: "linear", 3: "cubic"}.get(layer.integer(0, 0))
    if mode is None:
        return site.unmapped()
    flat = site.rank == 2  # only the width of a matrix is resized
    attributes: dict[str, AttributeValue] = {
        "mode": mode,
        "axes": (-1,) if flat else (-2, -1),
        "coordinate_transformation_mode": _coordinates(mode, aligned=bool(layer.integer(6, 0))),
    }
    data, *others = layer.inputs
    inputs = (data, "", "", "", *others) if others else (data,)
    height, width = layer.size(3, 0), layer.size(4, 0)
    expression = layer.text(9)
    leading: tuple[int | None, ...] = (site.first or (None,) * 3)[: (1 if flat else -2)]
    sizes: Sizes = (*leading, None) if flat else (*leading, None, None)
    if expression or layer.integer(5, 0):
        attributes["size_expr"] = expression
    elif width and height:
        attributes["sizes"] = (width,) if flat else (height, width)
        sizes = (*leading, width) if flat else (*leading, height, width)
    else:
        scales = (layer.real(1, 1.0), layer.real(2, 1.0))[1 if flat else 0 :]
        if not all(0 < s < 1e6 for s in scales):
            raise FormatError(f"ncnn layer {layer.name!r} (Interp) scales by {scales}")
        attributes["scales"] = scales
        known = (site.first or (None,) * 3)[-len(scales) :]
        scaled = [None if s is None else int(s * f) for s, f in zip(known, scales, strict=False)]
        sizes = (*leading, *scaled)
    return site.mapped("Resize", attributes, inputs=inputs, sizes=(sizes,))


def _coordinates(mode: str, *, aligned: bool) -> str:
    if mode == "nearest":
        return "asymmetric"
    return "align_corners" if aligned else "half_pixel"


def _pixel_shuffle(site: Site) -> Mapped:
    layer = site.layer
    factor = layer.size(0, 1, 1)
    mode = "DCR" if layer.integer(1, 0) else "CRD"
    return site.mapped(
        "DepthToSpace", {"blocksize": factor, "mode": mode}, sizes=(_shuffled(site.first, factor),)
    )


def _reorg(site: Site) -> Mapped:
    layer = site.layer
    factor = layer.size(0, 1, 1)
    sizes = _shuffled(site.first, factor, down=True)
    if layer.integer(1, 0):
        return site.mapped("SpaceToDepth", {"blocksize": factor}, sizes=(sizes,))
    return site.unmapped(sizes=(sizes,))  # ONNX knows only the other order of channels


def _shuffled(sizes: Sizes, factor: int, *, down: bool = False) -> Sizes:
    if sizes is None or len(sizes) != 3:
        return (None, None, None)
    area = factor * factor
    channels, height, width = sizes
    if down:
        return (
            None if channels is None else channels * area,
            None if height is None else height // factor,
            None if width is None else width // factor,
        )
    return (
        None if channels is None else channels // area,
        None if height is None else height * factor,
        None if width is None else width * factor,
    )


def _prelu(site: Site) -> Mapped:
    site.require(1)
    return site.mapped("PRelu")


def _bias(site: Site) -> Mapped:
    site.require(1)
    return site.mapped("Add", {"broadcast": 1, "axis": 1})


def _pooled_regions(operator: str) -> Callable[[Site], Mapped]:
    def mapped(site: Site) -> Mapped:
        layer = site.layer
        site.require(2)
        height, width = layer.size(1, 0), layer.size(0, 0)
        channels = site.first[0] if site.first else None
        if operator == "MaxRoiPool":
            named: dict[str, AttributeValue] = {"pooled_shape": (height, width)}
        else:
            named = {
                "output_height": height,
                "output_width": width,
                "sampling_ratio": layer.integer(3, 0),
                "mode": "avg",
            }
        named["spatial_scale"] = layer.real(2, 1.0)
        return site.mapped(operator, named, sizes=((channels, height, width),))

    return mapped


def _deep_same(site: Site) -> Mapped:
    return site.unmapped(sizes=(site.first,))


_KINDS = ("", "1D", "3D")

SPATIAL: Mapping[str, Callable[[Site], Mapped]] = {
    **{f"{t}{k}": _convolution for t in ("Convolution", "ConvolutionDepthWise") for k in _KINDS},
    **{
        f"{t}{k}": _deconvolution
        for t in ("Deconvolution", "DeconvolutionDepthWise")
        for k in _KINDS
    },
    **{f"Pooling{k}": _pooling for k in _KINDS},
    "DeformableConv2D": _convolution,
    "InnerProduct": _inner_product,
    "BatchNorm": _batch_norm,
    "Scale": _scale,
    "Bias": _bias,
    "PReLU": _prelu,
    "GroupNorm": _normalisation("GroupNormalization", epsilon=2, affine=False),
    "InstanceNorm": _normalisation("InstanceNormalization", epsilon=1, affine=False),
    "LayerNorm": _normalisation("LayerNormalization", epsilon=1, affine=True),
    "RMSNorm": _normalisation("RMSNormalization", epsilon=1, affine=True),
    "MVN": _mean_variance,
    "Normalize": _normalize,
    "LRN": _local_response,
    "Interp": _interp,
    "PixelShuffle": _pixel_shuffle,
    "Reorg": _reorg,
    "ROIPooling": _pooled_regions("MaxRoiPool"),
    "ROIAlign": _pooled_regions("RoiAlign"),
    "ShuffleChannel": _deep_same,
}
