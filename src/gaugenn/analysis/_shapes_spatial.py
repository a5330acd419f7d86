"""Shapes of operators over images and sequences: convolution, pooling, resizing, regions."""

import math
from collections.abc import Sequence

from gaugenn.analysis._node_view import (
    NodeView,
    Rule,
    Shape,
    UnknownShapeError,
    ceil_div,
    check,
    elements,
    floor_div,
    wrap,
)
from gaugenn.graph import Layout, Node

CONVOLUTION_WEIGHTS: dict[str, int] = {
    **dict.fromkeys(("Conv", "FusedConv", "NhwcFusedConv", "ConvInteger", "DeformConv"), 1),
    **dict.fromkeys(("NhwcConv", "ConvTranspose", "FusedConvTranspose"), 1),
    "QLinearConv": 3,
    "QLinearConvTranspose": 3,
    "ConvTransposeWithDynamicPads": 1,
}
"""Operators that convolve, and the position of their weights."""

TRANSPOSED = frozenset(
    {"ConvTranspose", "FusedConvTranspose", "QLinearConvTranspose", "ConvTransposeWithDynamicPads"}
)


def layout_of(node: Node, layout: Layout) -> Layout:
    """The layout of one node: some operators of ONNX Runtime bring their own."""
    channels_last = node.attributes.get("channels_last", 0)
    if channels_last == 1 or node.source_operator.startswith("Nhwc"):
        return Layout.CHANNELS_LAST
    return layout


def kernel_of(view: NodeView) -> tuple[int, ...]:
    """The spatial sizes of a convolution's or pooling's window."""
    kernel = view.ints("kernel_shape")
    if kernel is not None:
        return check(kernel)
    weights = view.shape(CONVOLUTION_WEIGHTS.get(view.kind, 1))
    return weights[2:] if view.channels_first else weights[1:-1]


def output_channels(view: NodeView) -> int:
    """How many channels a convolution makes."""
    given = view.ints("output_channels")
    if given is not None:
        return given[0]
    weights = view.shape(CONVOLUTION_WEIGHTS[view.kind])
    if view.kind in TRANSPOSED and view.channels_first:
        return weights[1] * view.integer("group", 1)
    return weights[0]


def _per_axis(view: NodeView, name: str, count: int, default: int) -> tuple[int, ...]:
    given = view.ints(name)
    if given is None:
        return (default,) * count
    if len(given) == 1:
        return given * count
    if len(given) != count:
        raise UnknownShapeError(f"{name} has {len(given)} values for {count} dimensions")
    return given


def _windows(view: NodeView, sizes: Sequence[int], kernel: Sequence[int]) -> tuple[int, ...]:
    """How often a sliding window fits, per spatial dimension.

    **Source:** https://onnx.ai/onnx/operators/onnx__MaxPool.html for explicit padding and
    `ceil_mode`; https://www.tensorflow.org/api_docs/python/tf/nn#notes_on_padding_2 for SAME, VALID.
    """
    count = len(sizes)
    if len(kernel) != count:
        raise UnknownShapeError(f"a window of {len(kernel)} dimensions over {count}")
    strides = _per_axis(view, "strides", count, 1)
    dilations = _per_axis(view, "dilations", count, 1)
    padding = view.text("auto_pad", "NOTSET")
    pads = (0,) * (2 * count)
    if padding == "NOTSET":
        pads = _per_axis(view, "pads", 2 * count, 0)
    upwards = view.flag("ceil_mode")
    result = []
    for i, size in enumerate(sizes):
        extent = (kernel[i] - 1) * dilations[i] + 1
        if padding.startswith("SAME"):
            result.append(ceil_div(size, strides[i]))
            continue
        room = size + pads[i] + pads[i + count] - extent
        if room < 0:
            raise UnknownShapeError(f"a window of {extent} does not fit a size of {size}")
        windows = (ceil_div if upwards else floor_div)(room, strides[i]) + 1
        if upwards and (windows - 1) * strides[i] >= size + pads[i]:
            windows -= 1
        result.append(windows)
    return tuple(result)


def _spatial_sizes(view: NodeView, shape: Shape) -> tuple[int, ...]:
    if len(shape) < 3:
        raise UnknownShapeError(f"{shape} has no spatial dimension")
    return tuple(shape[i] for i in view.spatial_axes(len(shape)))


def _convolution(view: NodeView) -> list[Shape | None]:
    data = view.shape(0)
    sizes = _windows(view, _spatial_sizes(view, data), kernel_of(view))
    return [view.spatial(data[0], output_channels(view), sizes)]


def _transposed_convolution(view: NodeView) -> list[Shape | None]:
    """**Source:** https://onnx.ai/onnx/operators/onnx__ConvTranspose.html."""
    data = view.shape(0)
    sizes = _spatial_sizes(view, data)
    count = len(sizes)
    given = view.ints("output_shape")
    if given is not None and len(given) == count + 2:
        return [check(given)]
    if given is not None and len(given) == count:
        return [view.spatial(data[0], output_channels(view), given)]
    kernel = kernel_of(view)
    if len(kernel) != count:
        raise UnknownShapeError(f"a window of {len(kernel)} dimensions over {count}")
    strides = _per_axis(view, "strides", count, 1)
    dilations = _per_axis(view, "dilations", count, 1)
    extra = _per_axis(view, "output_padding", count, 0)
    padding = view.text("auto_pad", "NOTSET")
    pads = (0,) * (2 * count)
    if padding == "NOTSET":
        pads = _per_axis(view, "pads", 2 * count, 0)
    result = []
    for i, size in enumerate(sizes):
        extent = (kernel[i] - 1) * dilations[i] + 1
        if padding.startswith("SAME"):
            result.append(size * strides[i])
        else:
            full = (size - 1) * strides[i] + extent + extra[i]
            result.append(full - pads[i] - pads[i + count])
    return [check(view.spatial(data[0], output_channels(view), result))]


def _pool(view: NodeView) -> list[Shape | None]:
    data = view.shape(0)
    sizes = _windows(view, _spatial_sizes(view, data), kernel_of(view))
    channels = data[view.channel_axis(len(data))]
    return [view.spatial(data[0], channels, sizes)] * 2


def _global_pool(view: NodeView) -> list[Shape | None]:
    data = view.shape(0)
    sizes = [1] * (len(data) - 2)
    return [view.spatial(data[0], data[view.channel_axis(len(data))], sizes)]


def _unpool(view: NodeView) -> list[Shape | None]:
    data = view.shape(0)
    given = view.ints("output_shape", 2)
    if given is not None:
        return [check(given)]
    sizes = _spatial_sizes(view, data)
    count = len(sizes)
    kernel = _per_axis(view, "kernel_shape", count, 1)
    strides = _per_axis(view, "strides", count, 1)
    pads = _per_axis(view, "pads", 2 * count, 0)
    grown = [
        (size - 1) * strides[i] + kernel[i] - pads[i] - pads[i + count]
        for i, size in enumerate(sizes)
    ]
    return [check(view.spatial(data[0], data[view.channel_axis(len(data))], grown))]


def _resize(view: NodeView) -> list[Shape | None]:
    """**Source:** https://onnx.ai/onnx/operators/onnx__Resize.html."""
    data = view.shape(0)
    rank = len(data)
    old = view.kind == "Upsample" or len(view.node.inputs) == 2
    sizes = view.ints("sizes", 3)
    if sizes:
        axes = _resized_axes(view, rank, len(sizes))
        policy = view.text("keep_aspect_ratio_policy", "stretch")
        if policy != "stretch":
            sizes = _kept_ratio(data, axes, sizes, policy)
        result = list(data)
        for axis, size in zip(axes, sizes, strict=True):
            result[axis] = size
        return [check(result)]
    scales = view.numbers("scales", 1 if old else 2)
    if scales is None and view.has(1) and not old:
        scales = view.numbers("scales", 1)
    if not scales:
        raise UnknownShapeError("neither sizes nor scales")
    axes = _resized_axes(view, rank, len(scales))
    result = list(data)
    for axis, scale in zip(axes, scales, strict=True):
        if not 0 < scale < 2**31:
            raise UnknownShapeError(f"a scale of {scale}")
        result[axis] = math.floor(data[axis] * scale)
    return [check(result)]


def _resized_axes(view: NodeView, rank: int, count: int) -> tuple[int, ...]:
    named = view.ints("axes")
    if named is not None and len(named) == count:
        return tuple(wrap(axis, rank) for axis in named)
    if count == rank:
        return tuple(range(rank))
    spatial = tuple(view.spatial_axes(rank))
    if count == len(spatial):
        return spatial
    raise UnknownShapeError(f"{count} sizes for a tensor of rank {rank}")


def _kept_ratio(
    data: Shape, axes: Sequence[int], sizes: Sequence[int], policy: str
) -> tuple[int, ...]:
    ratios = [size / data[axis] for axis, size in zip(axes, sizes, strict=True) if data[axis] > 0]
    if not ratios:
        raise UnknownShapeError("an empty image")
    scale = min(ratios) if policy == "not_larger" else max(ratios)
    return tuple(math.floor(data[axis] * scale + 0.5) for axis in axes)


def _depth_to_space(view: NodeView) -> list[Shape | None]:
    data = view.shape(0)
    block = _block(view)
    channels = data[view.channel_axis(len(data))]
    sizes = [size * block for size in _spatial_sizes(view, data)]
    return [view.spatial(data[0], floor_div(channels, block ** len(sizes)), sizes)]


def _space_to_depth(view: NodeView) -> list[Shape | None]:
    data = view.shape(0)
    block = _block(view)
    channels = data[view.channel_axis(len(data))]
    sizes = [floor_div(size, block) for size in _spatial_sizes(view, data)]
    return [view.spatial(data[0], channels * block ** len(sizes), sizes)]


def _block(view: NodeView) -> int:
    return (view.ints("blocksize") or view.required("block_size"))[0]


def _roi_pool(view: NodeView) -> list[Shape | None]:
    data, regions = view.shape(0), view.shape(1)
    sizes = view.required("pooled_shape")
    return [view.spatial(regions[0], data[view.channel_axis(len(data))], sizes)]


def _roi_align(view: NodeView) -> list[Shape | None]:
    data, regions = view.shape(0), view.shape(1)
    sizes = (view.integer("output_height", 1), view.integer("output_width", 1))
    return [view.spatial(regions[0], data[view.channel_axis(len(data))], sizes)]


def _crop_and_resize(view: NodeView) -> list[Shape | None]:
    data, boxes = view.shape(0), view.shape(1)
    sizes = view.required("crop_size", 3)
    return [view.spatial(boxes[0], data[view.channel_axis(len(data))], sizes)]


def _grid_sample(view: NodeView) -> list[Shape | None]:
    data, grid = view.shape(0), view.shape(1)
    return [view.spatial(data[0], data[view.channel_axis(len(data))], grid[1:-1])]


def _affine_grid(view: NodeView) -> list[Shape | None]:
    size = view.required("size", 1)
    return [check((size[0], *size[2:], len(size) - 2))]


def _column_to_image(view: NodeView) -> list[Shape | None]:
    data = view.shape(0)
    image, block = view.required("image_shape", 1), view.required("block_shape", 2)
    return [check((data[0], floor_div(data[1], elements(block)), *image))]


def _center_crop_pad(view: NodeView) -> list[Shape | None]:
    data = view.shape(0)
    sizes = view.required("shape", 1)
    axes = view.ints("axes") or tuple(range(len(data)))
    result = list(data)
    for axis, size in zip(axes, sizes, strict=True):
        result[wrap(axis, len(data))] = size
    return [check(result)]


RULES: dict[str, Rule] = {
    **{
        name: _transposed_convolution if name in TRANSPOSED else _convolution
        for name in CONVOLUTION_WEIGHTS
    },
    **dict.fromkeys(
        ("MaxPool", "AveragePool", "LpPool", "QLinearAveragePool", "NhwcMaxPool"), _pool
    ),
    **dict.fromkeys(
        ("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool", "QLinearGlobalAveragePool"),
        _global_pool,
    ),
    "MaxUnpool": _unpool,
    "Resize": _resize,
    "Upsample": _resize,
    "DepthToSpace": _depth_to_space,
    "SpaceToDepth": _space_to_depth,
    "MaxRoiPool": _roi_pool,
    "RoiAlign": _roi_align,
    "CropAndResize": _crop_and_resize,
    "GridSample": _grid_sample,
    "AffineGrid": _affine_grid,
    "Col2Im": _column_to_image,
    "CenterCropPad": _center_crop_pad,
}
"""Rules by ONNX operator name.

**Source:** https://onnx.ai/onnx/operators/ and
https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""
