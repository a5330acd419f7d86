"""Caffe's layers over images as ONNX operators.

**Source:** https://github.com/BVLC/caffe/tree/master/src/caffe/layers; the SSD layers from
https://github.com/weiliu89/caffe/tree/ssd/src/caffe/layers
"""

from collections.abc import Callable, Mapping, Sequence

from gaugenn.formats._caffe_layers import Layer, Sizes
from gaugenn.formats._caffe_site import Mapped, Site, product, trimmed
from gaugenn.graph import AttributeValue


def _pair(layer: Layer, name: str, rank: int, default: int, lowest: int) -> tuple[int, ...]:
    """A size per spatial dimension: given once, once each, or as `_h` and `_w`.

    Raises:
        FormatError: a number that is too small, or numbers for other dimensions than there are.
    """
    given = layer.integers(name) or ((layer.integer(name, 0),) if name in layer.parameters else ())
    stem = name.removesuffix("_size")
    if f"{stem}_h" in layer.parameters or f"{stem}_w" in layer.parameters:
        fallback = given[0] if given else default
        given = tuple(layer.integer(f"{stem}_{side}", fallback) for side in "hw")
    if len(given) < 2:
        given = (given or (default,)) * rank
    if len(given) != rank:
        raise layer.error(f"has {len(given)} numbers as {name} for {rank} dimensions")
    if min(given) < lowest or max(given) >= 1 << 31:
        raise layer.error(f"has {name} {given}, expected {lowest} or more")
    return given


def _rank(site: Site) -> int:
    """Number of spatial dimensions: of the input, else of the kernel, else two."""
    if site.first is not None and len(site.first) > 2:
        return len(site.first) - 2
    return max(2, len(site.layer.integers("kernel_size")))


def _spatial(site: Site, rank: int) -> tuple[int | None, ...]:
    if site.first is None or len(site.first) != rank + 2:
        return (None,) * rank
    return site.first[2:]


def _channels(site: Site) -> int | None:
    return site.first[1] if site.first is not None and len(site.first) > 1 else None


def _batch(site: Site) -> int | None:
    return site.first[0] if site.first else None


def _window(site: Site, rank: int) -> dict[str, tuple[int, ...]]:
    layer = site.layer
    return {
        "kernel": _pair(layer, "kernel_size", rank, 0, 1),
        "strides": _pair(layer, "stride", rank, 1, 1),
        "dilations": _pair(layer, "dilation", rank, 1, 1),
        "pads": _pair(layer, "pad", rank, 0, 0),
    }


def _convolution(site: Site) -> Mapped:
    site.require(1)
    layer = site.layer
    rank = _rank(site)
    window = _window(site, rank)
    channels = _channels(site)
    outputs = layer.size("num_output", 0, 1)
    depthwise = layer.type in ("ConvolutionDepthwise", "DepthwiseConvolution")
    group = layer.size("group", (channels or outputs) if depthwise else 1, 1)
    if outputs % group or (channels is not None and channels % group):
        raise layer.error(f"has {group} groups for {channels} to {outputs} channels")
    if layer.integer("axis", 1) != 1:
        return site.unmapped()
    transposed = layer.type == "Deconvolution"
    if transposed:
        shape: Sizes = (channels, outputs // group, *window["kernel"])
    else:
        shape = (outputs, None if channels is None else channels // group, *window["kernel"])
    biased = layer.flag("bias_term", True)
    one = len(site.bottoms) == 1  # a layer may be applied to several blobs in turn
    weight = site.weight(0, "weight", shape)
    bias = site.weight(1, "bias", (outputs,)) if biased else ""
    attributes: dict[str, AttributeValue] = {
        "kernel_shape": window["kernel"],
        "strides": window["strides"],
        "dilations": window["dilations"],
        "pads": window["pads"] * 2,
        "group": group,
        "output_channels": outputs,
    }
    slid = _grown if transposed else _slid
    made = (_batch(site), outputs, *slid(_spatial(site, rank), window))
    operator = ("ConvTranspose" if transposed else "Conv") if one and weight else ""
    return site.mapped(
        operator,
        attributes,
        inputs=trimmed((*site.bottoms, weight, bias)),
        sizes=(made,) * len(layer.tops),
    )


def _slid(sizes: Sequence[int | None], window: Mapping[str, tuple[int, ...]]) -> list[int | None]:
    found: list[int | None] = []
    for i, size in enumerate(sizes):
        if size is None:
            found.append(None)
            continue
        reach = window["dilations"][i] * (window["kernel"][i] - 1) + 1
        made = (size + 2 * window["pads"][i] - reach) // window["strides"][i] + 1
        found.append(made if made > 0 else None)
    return found


def _grown(sizes: Sequence[int | None], window: Mapping[str, tuple[int, ...]]) -> list[int | None]:
    found: list[int | None] = []
    for i, size in enumerate(sizes):
        if size is None:
            found.append(None)
            continue
        reach = window["dilations"][i] * (window["kernel"][i] - 1) + 1
        made = (size - 1) * window["strides"][i] + reach - 2 * window["pads"][i]
        found.append(made if made > 0 else None)
    return found


def _pooling(site: Site) -> Mapped:
    """Windows are counted upwards; one that would begin in the padding behind is left out."""
    site.require(1)
    layer = site.layer
    kind = {"MAX": "Max", "AVE": "Average"}.get(layer.text("pool", "MAX"))
    rank = _rank(site)
    batch, channels = _batch(site), _channels(site)
    if layer.flag("global_pooling", False):
        made: Sizes = (batch, channels, *(1,) * rank)
        return site.mapped(f"Global{kind}Pool", sizes=(made,)) if kind else site.unmapped((made,))
    window = _window(site, rank)
    upwards = layer.text("round_mode", "CEIL") == "CEIL" and layer.flag("ceil_mode", True)
    sizes = _pooled(_spatial(site, rank), window, upwards=upwards)
    made = (batch, channels, *sizes)
    if kind is None:
        return site.unmapped((made,))
    attributes: dict[str, AttributeValue] = {
        "kernel_shape": window["kernel"],
        "strides": window["strides"],
        "pads": window["pads"] * 2,
        "ceil_mode": int(upwards),
    }
    if kind == "Average":
        attributes["count_include_pad"] = 1
    return site.mapped(f"{kind}Pool", attributes, sizes=(made,) * len(layer.tops))


def _pooled(
    sizes: Sequence[int | None], window: Mapping[str, tuple[int, ...]], *, upwards: bool
) -> list[int | None]:
    found: list[int | None] = []
    for i, size in enumerate(sizes):
        if size is None:
            found.append(None)
            continue
        stride, pad = window["strides"][i], window["pads"][i]
        room = size + 2 * pad - window["kernel"][i]
        made = (-(-room // stride) if upwards else room // stride) + 1
        if upwards and (made - 1) * stride >= size + pad:
            made -= 1
        found.append(made if made > 0 else None)
    return found


def _batch_norm(site: Site) -> Mapped:
    """Caffe's has neither scale nor bias; its third blob divides the mean and the variance."""
    site.require(1)
    layer = site.layer
    channels = _channels(site)
    mean = site.weight(0, "mean", (channels,))
    variance = site.weight(1, "variance", (channels,))
    factor = site.weight(2, "divisor", (1,))
    attributes: dict[str, AttributeValue] = {"epsilon": layer.real("eps", 1e-5)}
    inputs = trimmed((site.bottoms[0], "", "", mean, variance, factor))
    return site.mapped("BatchNormalization", attributes, inputs=inputs)


def _local_response(site: Site) -> Mapped:
    site.require(1)
    layer = site.layer
    if layer.text("norm_region", "ACROSS_CHANNELS") != "ACROSS_CHANNELS":
        return site.unmapped((site.first,))
    return site.mapped(
        "LRN",
        {
            "size": layer.size("local_size", 5, 1),
            "alpha": layer.real("alpha", 1.0),
            "beta": layer.real("beta", 0.75),
            "bias": layer.real("k", 1.0),
        },
    )


def _interp(site: Site) -> Mapped:
    """Bilinear with aligned corners; padding may be negative, then it crops."""
    site.require(1)
    layer = site.layer
    begin, end = layer.integer("pad_beg", 0), layer.integer("pad_end", 0)
    zoom, shrink = layer.size("zoom_factor", 1, 1), layer.size("shrink_factor", 1, 1)
    stated = (layer.size("height", 0), layer.size("width", 0))
    wanted: list[int | None] = []
    for size, given in zip(_spatial(site, 2), stated, strict=True):
        if given and "zoom_factor" not in layer.parameters:
            wanted.append(given)
            continue
        inner = None if size is None else size + begin + end
        if inner is not None:
            inner = (inner - 1) // shrink + 1
            inner = inner + (inner - 1) * (zoom - 1)
        wanted.append(inner if inner is None or inner > 0 else None)
    made: Sizes = (_batch(site), _channels(site), *wanted)
    sizes = tuple(size for size in wanted if size is not None)
    if begin or end or len(sizes) != 2 or len(site.bottoms) > 1:
        return site.unmapped((made,) if len(site.bottoms) == 1 else ())
    attributes: dict[str, AttributeValue] = {
        "mode": "linear",
        "coordinate_transformation_mode": "align_corners",
        "sizes": sizes,
    }
    return site.mapped("Resize", attributes, inputs=site.bottoms[:1], sizes=(made,))


def _upsample(site: Site) -> Mapped:
    """Of the forks that have it: nearest neighbour, by a whole factor."""
    site.require(1)
    factor = site.layer.integer("scale", 0)
    if len(site.bottoms) > 1 or not 1 <= factor < 1 << 16:
        return site.unmapped()
    sizes = [None if size is None else size * factor for size in _spatial(site, 2)]
    made = (_batch(site), _channels(site), *sizes)
    attributes: dict[str, AttributeValue] = {
        "mode": "nearest",
        "scales": (1.0, 1.0, float(factor), float(factor)),
    }
    return site.mapped("Resize", attributes, sizes=(made,))


def _crop(site: Site) -> Mapped:
    """The first input cut to the size of the second, from an axis on."""
    site.require(2)
    layer = site.layer
    data, reference = site.sizes[:2]
    offsets = layer.integers("offset")
    if data is None or reference is None or len(data) != len(reference):
        return site.unmapped()
    axis = layer.integer("axis", 2)
    axis = axis + len(data) if axis < 0 else axis
    if not 0 <= axis < len(data) or len(offsets) not in (0, 1, len(data) - axis):
        raise layer.error(f"crops from axis {axis} with {len(offsets)} offsets")
    made = (*data[:axis], *reference[axis:])
    starts = (offsets or (0,)) * (len(data) - axis if len(offsets) < 2 else 1)
    ends = [
        None if size is None else start + size
        for start, size in zip(starts, made[axis:], strict=True)
    ]
    known = tuple(end for end in ends if end is not None)
    if len(known) != len(ends):
        return site.unmapped((made,))
    attributes: dict[str, AttributeValue] = {
        "axes": tuple(range(axis, len(data))),
        "starts": starts,
        "ends": known,
    }
    return site.mapped("Slice", attributes, inputs=site.bottoms[:1], sizes=(made,))


def _roi_pooling(site: Site) -> Mapped:
    site.require(2)
    layer = site.layer
    sizes = (layer.size("pooled_h", 0, 1), layer.size("pooled_w", 0, 1))
    regions = site.sizes[1]
    made = (regions[0] if regions else None, _channels(site), *sizes)
    attributes: dict[str, AttributeValue] = {
        "pooled_shape": sizes,
        "spatial_scale": layer.real("spatial_scale", 1.0),
    }
    return site.mapped("MaxRoiPool", attributes, sizes=(made,))


def _prior_box(site: Site) -> Mapped:
    """Boxes and their variances: (1, 2, 4 * boxes)."""
    site.require(2)
    layer = site.layer
    smallest = layer.reals("min_size") or ((0.0,) if "min_size" in layer.parameters else ())
    ratios = {1.0}
    for ratio in layer.reals("aspect_ratio"):
        ratios |= {ratio, 1 / ratio} if layer.flag("flip", True) and ratio else {ratio}
    per_cell = len(ratios) * len(smallest) + len(layer.reals("max_size"))
    cells = product(_spatial(site, 2))
    return site.unmapped(((1, 2, None if cells is None else 4 * cells * per_cell),))


def _detection_output(site: Site) -> Mapped:
    """A row of seven numbers for each box that is kept."""
    return site.unmapped(((1, 1, None, 7),))


def _pyramid(site: Site) -> Mapped:
    """Pooling into 1, 4, 16, ... cells, laid end to end."""
    site.require(1)
    height = site.layer.size("pyramid_height", 1, 1)
    cells = (4 ** min(height, 15) - 1) // 3
    channels = _channels(site)
    return site.unmapped(((_batch(site), None if channels is None else channels * cells),))


SPATIAL: Mapping[str, Callable[[Site], Mapped]] = {
    "BatchNorm": _batch_norm,
    "Convolution": _convolution,
    "ConvolutionDepthwise": _convolution,
    "Crop": _crop,
    "Deconvolution": _convolution,
    "DepthwiseConvolution": _convolution,
    "DetectionOutput": _detection_output,
    "Interp": _interp,
    "LRN": _local_response,
    "Pooling": _pooling,
    "PriorBox": _prior_box,
    "ROIPooling": _roi_pooling,
    "SPP": _pyramid,
    "Upsample": _upsample,
}
