"""Caffe's layers as ONNX operators, with the sizes of what they make.

**Source:** https://github.com/BVLC/caffe/tree/master/src/caffe/layers
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from gaugenn.errors import FormatError
from gaugenn.formats._caffe_layers import Layer, Sizes
from gaugenn.formats._caffe_site import Mapped, Site, product, trimmed
from gaugenn.formats._caffe_spatial import SPATIAL
from gaugenn.graph import AttributeValue


def axis_of(layer: Layer, name: str, default: int, rank: int | None) -> int:
    """An axis, counted from the front where the rank is known.

    Raises:
        FormatError: there is no such axis.
    """
    axis = layer.integer(name, default)
    if rank is None:
        return axis
    if not -rank <= axis < rank:
        raise layer.error(f"has {name} {axis} for a blob with {rank} dimensions")
    return axis % rank


def _same(operator: str, *, inputs: int = 1) -> Callable[[Site], Mapped]:
    def mapped(site: Site) -> Mapped:
        site.require(inputs)
        return site.mapped(operator)

    return mapped


def _same_size(site: Site) -> Mapped:
    """No ONNX operator, but the size of its input."""
    site.require(1)
    return site.unmapped((site.first,) * len(site.layer.tops))


def _relu(site: Site) -> Mapped:
    site.require(1)
    slope = site.layer.real("negative_slope", 0.0)
    return site.mapped("LeakyRelu", {"alpha": slope}) if slope else site.mapped("Relu")


def _relu6(site: Site) -> Mapped:
    site.require(1)
    return site.mapped("Clip", {"min": 0.0, "max": 6.0})


def _elu(site: Site) -> Mapped:
    site.require(1)
    return site.mapped("Elu", {"alpha": site.layer.real("alpha", 1.0)})


def _prelu(site: Site) -> Mapped:
    """The slopes lie along the channels, as in ONNX before opset 7."""
    site.require(1)
    channels = site.first[1] if site.first is not None and len(site.first) > 1 else None
    shared = site.layer.flag("channel_shared", False)
    slope = site.weight(0, "slope", (1,) if shared else (channels,))
    return site.mapped("PRelu", inputs=trimmed((site.bottoms[0], slope)))


def _power(site: Site) -> Mapped:
    """(shift + scale * x) ** power; what it is for the usual parameters."""
    site.require(1)
    layer = site.layer
    plain = layer.real("scale", 1.0) == 1.0 and layer.real("shift", 0.0) == 0.0
    if plain and layer.real("power", 1.0) == 1.0:
        return site.mapped("Identity")
    return _same_size(site)


def _exponential(operator: str) -> Callable[[Site], Mapped]:
    def mapped(site: Site) -> Mapped:
        site.require(1)
        layer = site.layer
        plain = (layer.real("base", -1.0), layer.real("scale", 1.0), layer.real("shift", 0.0))
        return site.mapped(operator) if plain == (-1.0, 1.0, 0.0) else _same_size(site)

    return mapped


def _softmax(site: Site) -> Mapped:
    site.require(1)
    return site.mapped("Softmax", {"axis": _axis(site, 1)})


def _axis(site: Site, default: int, name: str = "axis") -> int:
    rank = None if site.first is None else len(site.first)
    return axis_of(site.layer, name, default, rank)


def _named_axis(site: Site, old: str) -> int:
    """The axis of layers that have an older name for it."""
    name = old if old in site.layer.parameters and "axis" not in site.layer.parameters else "axis"
    return _axis(site, 1, name)


def _concat(site: Site) -> Mapped:
    site.require(1)
    axis = _named_axis(site, "concat_dim")
    joined: Sizes = None
    if all(sizes is not None and len(sizes) > axis >= 0 for sizes in site.sizes):
        along = [sizes[axis] for sizes in site.sizes if sizes is not None]
        known = [size for size in along if size is not None]
        total = sum(known) if len(known) == len(along) else None
        first = site.first or ()
        joined = (*first[:axis], total, *first[axis + 1 :])
    return site.mapped("Concat", {"axis": axis}, sizes=(joined,))


def _slice(site: Site) -> Mapped:
    site.require(1)
    axis = _named_axis(site, "slice_dim")
    points = site.layer.integers("slice_point")
    count = len(site.layer.tops)
    sizes = site.first
    along = sizes[axis] if sizes is not None and 0 <= axis < len(sizes) else None
    attributes: dict[str, AttributeValue] = {"axis": axis}
    parts: list[int | None] = [None] * count
    if points:
        if len(points) != count - 1:
            raise site.layer.error(f"has {len(points)} slice points for {count} outputs")
        if along is not None:
            bounds = (0, *points, along)
            widths = [b - a for a, b in pairwise(bounds)]
            if min(widths) <= 0:
                raise site.layer.error(f"is cut at {points}, its input has a size of {along}")
            attributes["split"] = tuple(widths)
            parts = list(widths)
    elif along is not None and count:
        parts = [along // count] * count
    if sizes is None:
        return site.mapped("Split", attributes, sizes=())
    made = tuple((*sizes[:axis], part, *sizes[axis + 1 :]) for part in parts)
    return site.mapped("Split", attributes, sizes=made)


def _eltwise(site: Site) -> Mapped:
    site.require(2)
    layer = site.layer
    count = len(site.bottoms)
    weights = layer.reals("coeff")
    match layer.text("operation", "SUM"):
        case "PROD" if count == 2:
            operator = "Mul"
        case "MAX":
            operator = "Max"
        case "SUM" if not weights or set(weights) == {1.0}:
            operator = "Add" if count == 2 else "Sum"
        case "SUM" if weights == (1.0, -1.0) and count == 2:
            operator = "Sub"
        case _:
            return _same_size(site)
    return site.mapped(operator)


def _scale(site: Site) -> Mapped:
    """A product; with a bias, too, a batch normalisation whose mean is 0 and variance 1.

    The second factor lies along some of the axes, as in ONNX before opset 7.
    """
    site.require(1)
    layer = site.layer
    axis = _axis(site, 1)
    if len(site.bottoms) > 1:
        bias = site.weight(0, "bias", site.sizes[1]) if layer.flag("bias_term", False) else ""
        if not bias:
            return site.mapped("Mul", _aligned(site, axis, site.sizes[1]))
        return site.mapped("", layer.parameters, inputs=(*site.bottoms, bias))
    shape = _covered(site, axis)
    scale = site.weight(0, "scale", shape)
    if layer.flag("bias_term", False):
        bias = site.weight(1, "bias", shape)
        inputs = trimmed((site.bottoms[0], scale, bias))
        if axis == 1 and layer.integer("num_axes", 1) == 1:
            return site.mapped("BatchNormalization", inputs=inputs)
        return site.mapped("", layer.parameters, inputs=inputs)
    inputs = trimmed((site.bottoms[0], scale))
    return site.mapped("Mul", {"broadcast": 1, "axis": axis}, inputs=inputs)


def _bias(site: Site) -> Mapped:
    site.require(1)
    axis = _axis(site, 1)
    if len(site.bottoms) > 1:
        return site.mapped("Add", _aligned(site, axis, site.sizes[1]))
    bias = site.weight(0, "bias", _covered(site, axis))
    inputs = trimmed((site.bottoms[0], bias))
    return site.mapped("Add", {"broadcast": 1, "axis": axis}, inputs=inputs)


def _covered(site: Site, axis: int) -> Sizes:
    """The sizes of a learned factor or addend."""
    count = site.layer.integer("num_axes", 1)
    if count == 0:
        return ()
    if site.first is None or not -1 <= count <= len(site.first):
        return None
    return site.first[axis:] if count == -1 else site.first[axis : axis + count]


def _aligned(site: Site, axis: int, second: Sizes) -> dict[str, AttributeValue]:
    equal = second is not None and site.first is not None and len(second) == len(site.first)
    return {} if equal else {"broadcast": 1, "axis": axis}


def _inner_product(site: Site) -> Mapped:
    """ONNX's Gemm; the input's dimensions from `axis` on are one there."""
    site.require(1)
    layer = site.layer
    outputs = layer.size("num_output", 0, 1)
    transposed = layer.flag("transpose", False)
    sizes = site.first
    axis = _axis(site, 1)
    depth = None if sizes is None else product(sizes[axis:])
    weight = site.weight(0, "weight", (depth, outputs) if transposed else (outputs, depth))
    bias = site.weight(1, "bias", (outputs,)) if layer.flag("bias_term", True) else ""
    made: Sizes = None if sizes is None else (*sizes[:axis], outputs)
    attributes: dict[str, AttributeValue] = {"transB": int(not transposed)}
    inputs = trimmed((site.bottoms[0], weight, bias))
    if axis != 1 and (sizes is None or axis != len(sizes) - 1):
        return site.mapped("", layer.parameters, inputs=inputs, sizes=(made,))
    attributes["keep_num_dims"] = int(axis != 1)
    return site.mapped("Gemm", attributes, inputs=inputs, sizes=(made,))


def _flatten(site: Site) -> Mapped:
    site.require(1)
    sizes = site.first
    if sizes is None:
        plain = site.layer.integer("axis", 1) == 1 and site.layer.integer("end_axis", -1) == -1
        attributes: dict[str, AttributeValue] = {"axis": 1}
        return site.mapped("Flatten", attributes, sizes=()) if plain else site.unmapped()
    start, end = _axis(site, 1), _axis(site, -1, "end_axis")
    if end < start:
        raise site.layer.error(f"flattens from axis {start} to {end}")
    made = (*sizes[:start], product(sizes[start : end + 1]), *sizes[end + 1 :])
    if start == 1 and end == len(sizes) - 1:
        return site.mapped("Flatten", {"axis": 1}, sizes=(made,))
    return site.mapped("Reshape", {"shape": _wanted(made)}, sizes=(made,))


def _wanted(sizes: Sequence[int | None]) -> tuple[int, ...]:
    """A shape for Reshape: what is unknown is what is left."""
    return tuple(-1 if size is None else size for size in sizes)


def _reshape(site: Site) -> Mapped:
    """Caffe's 0 copies a size and its -1 takes what is left, as ONNX's."""
    site.require(1)
    layer = site.layer
    dims = layer.integers("shape")
    if any(size < -1 for size in dims) or dims.count(-1) > 1:
        raise layer.error(f"asks for the shape {dims}")
    sizes = site.first
    start, count = layer.integer("axis", 0), layer.integer("num_axes", -1)
    if sizes is None:
        whole = start == 0 and count == -1
        return site.mapped("Reshape", {"shape": dims}, sizes=()) if whole else site.unmapped()
    rank = len(sizes)
    start = start + rank + 1 if start < 0 else start
    end = rank if count == -1 else start + count
    if not 0 <= start <= end <= rank:
        raise layer.error(f"reshapes axes {start} to {end} of a blob with {rank} dimensions")
    if any(size == 0 and start + i >= rank for i, size in enumerate(dims)):
        raise layer.error(f"copies a size that its input of {sizes} does not have")
    middle = [sizes[start + i] if size == 0 else size for i, size in enumerate(dims)]
    made: list[int | None] = [*sizes[:start], *middle, *sizes[end:]]
    if -1 in made:
        place = made.index(-1)
        rest = product(tuple(made[:place] + made[place + 1 :]))
        total = product(sizes)
        made[place] = total // rest if total is not None and rest else None
    return site.mapped("Reshape", {"shape": _wanted(made)}, sizes=(tuple(made),))


def _permute(site: Site) -> Mapped:
    """Axes that are not named follow in their order."""
    site.require(1)
    order = site.layer.integers("order")
    if len(set(order)) != len(order):
        raise site.layer.error(f"names an axis twice: {order}")
    sizes = site.first
    if sizes is None:
        return site.mapped("Transpose", {"perm": order}, sizes=())
    if any(not 0 <= axis < len(sizes) for axis in order):
        raise site.layer.error(f"permutes {order} of a blob with {len(sizes)} dimensions")
    perm = (*order, *(i for i in range(len(sizes)) if i not in order))
    return site.mapped("Transpose", {"perm": perm}, sizes=(tuple(sizes[i] for i in perm),))


def _tile(site: Site) -> Mapped:
    site.require(1)
    axis, tiles = _axis(site, 1), site.layer.size("tiles", 1, 1)
    sizes = site.first
    if sizes is None:
        return site.unmapped()
    along = sizes[axis]
    made = (*sizes[:axis], None if along is None else along * tiles, *sizes[axis + 1 :])
    repeats = tuple(tiles if i == axis else 1 for i in range(len(sizes)))
    return site.mapped("Tile", {"repeats": repeats}, sizes=(made,))


_REDUCTIONS = {"SUM": "ReduceSum", "ASUM": "ReduceL1", "SUMSQ": "ReduceSumSquare"}


def _reduction(site: Site) -> Mapped:
    """All dimensions from `axis` on become one number."""
    site.require(1)
    layer = site.layer
    sizes = site.first
    operator = {**_REDUCTIONS, "MEAN": "ReduceMean"}.get(layer.text("operation", "SUM"), "")
    if sizes is None:
        return site.unmapped()
    axis = _axis(site, 0)
    made = sizes[:axis]
    if layer.real("coeff", 1.0) != 1.0 or not operator:
        return site.unmapped((made,))
    axes = tuple(range(axis, len(sizes)))
    return site.mapped(operator, {"axes": axes, "keepdims": 0}, sizes=(made,))


def _arg_max(site: Site) -> Mapped:
    """Without an axis, over all of an item; the result is then (batch, 1 or 2, top_k)."""
    site.require(1)
    layer = site.layer
    top, pairs = layer.size("top_k", 1, 1), layer.flag("out_max_val", False)
    sizes = site.first
    if sizes is None:
        return site.unmapped()
    if "axis" not in layer.parameters:
        return site.unmapped(((*sizes[:1], 2 if pairs else 1, top),))
    axis = _axis(site, 0)
    made = (*sizes[:axis], top, *sizes[axis + 1 :])
    if top == 1 and not pairs:
        return site.mapped("ArgMax", {"axis": axis, "keepdims": 1}, sizes=(made,))
    return site.unmapped((made,))


def _embed(site: Site) -> Mapped:
    """A table look-up; a bias follows the indices."""
    site.require(1)
    layer = site.layer
    width, rows = layer.size("num_output", 0, 1), layer.size("input_dim", 0, 1)
    table = site.weight(0, "weight", (rows, width))
    bias = site.weight(1, "bias", (width,)) if layer.flag("bias_term", True) else ""
    made: Sizes = None if site.first is None else (*site.first, width)
    if not table:
        return site.unmapped((made,))
    inputs = trimmed((table, site.bottoms[0], bias))
    return site.mapped("Gather", {"axis": 0}, inputs=inputs, sizes=(made,))


def _split(site: Site) -> Mapped:
    """One blob for several takers."""
    site.require(1)
    return site.mapped("Identity")


def _silence(site: Site) -> Mapped:
    return site.unmapped()


def _dropout(site: Site) -> Mapped:
    site.require(1)
    return site.mapped("Dropout", {"ratio": site.layer.real("dropout_ratio", 0.5)})


def _parameter(site: Site) -> Mapped:
    shape = tuple(site.layer.integers("shape"))
    value = site.weight(0, "value", shape or None)
    if not value:
        return site.unmapped()
    held = site.constants[value].shape or ()
    sizes = tuple(size if isinstance(size, int) else None for size in held)
    return site.mapped("Identity", inputs=(value,), sizes=(sizes,))


_MAPPINGS: Mapping[str, Callable[[Site], Mapped]] = {
    **SPATIAL,
    "AbsVal": _same("Abs"),
    "ArgMax": _arg_max,
    "BNLL": _same_size,
    "Bias": _bias,
    "Concat": _concat,
    "Dropout": _dropout,
    "ELU": _elu,
    "Eltwise": _eltwise,
    "Embed": _embed,
    "Exp": _exponential("Exp"),
    "Flatten": _flatten,
    "InnerProduct": _inner_product,
    "Log": _exponential("Log"),
    "MVN": _same_size,
    "Normalize": _same_size,
    "PReLU": _prelu,
    "Parameter": _parameter,
    "Permute": _permute,
    "Power": _power,
    "ReLU": _relu,
    "ReLU6": _relu6,
    "Reduction": _reduction,
    "Reshape": _reshape,
    "Scale": _scale,
    "ShuffleChannel": _same_size,
    "Sigmoid": _same("Sigmoid"),
    "Silence": _silence,
    "Slice": _slice,
    "Softmax": _softmax,
    "Split": _split,
    "TanH": _same("Tanh"),
    "Threshold": _same_size,
    "Tile": _tile,
}


def map_layer(site: Site) -> Mapped:
    """What a layer becomes; layers that no table knows keep their blobs and parameters.

    Raises:
        FormatError: the layer contradicts itself, its inputs or its weights.
    """
    make = _MAPPINGS.get(site.layer.type)
    mapped = site.unmapped() if make is None else make(site)
    for sizes in mapped.sizes:
        total = product(sizes)
        if total is not None and total > _LARGEST:
            raise FormatError(
                f"Caffe layer {site.layer.name!r} makes a blob of {sizes}, which no memory holds"
            )
    return mapped


_LARGEST = 1 << 48
