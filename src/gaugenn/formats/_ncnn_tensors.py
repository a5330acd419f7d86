"""ncnn layers that reshape, select, reduce, multiply or run over sequences, as ONNX operators.

Every axis of a blob is one higher in ONNX, where the batch stands first; negative axes are the same.
See `gaugenn.formats._ncnn_layers` for the source.
"""

import math
from collections.abc import Callable, Mapping, Sequence

from gaugenn.errors import FormatError
from gaugenn.formats._ncnn_layers import Layer
from gaugenn.formats._ncnn_site import Mapped, Site, Sizes, product
from gaugenn.formats._ncnn_weights import block_quantization, memory_shape
from gaugenn.graph import AttributeValue

_REDUCTIONS = tuple(
    f"Reduce{name}"
    for name in "Sum L1 SumSquare Mean Max Min Prod L1 L2 LogSum LogSumExp".split()  # noqa: SIM905
)
"""By `operation`."""

_ORDERS: Mapping[int, tuple[str, ...]] = {
    2: ("WH", "HW"),
    3: ("WHC", "HWC", "WCH", "CWH", "HCW", "CHW"),
    4: tuple(
        "WHDC HWDC WDHC DWHC HDWC DHWC WHCD HWCD WCHD CWHD HCWD CHWD"  # noqa: SIM905
        " WDCH DWCH WCDH CWDH DCWH CDWH HDCW DHCW HCDW CHDW DCHW CDHW".split()
    ),
}
"""By rank and `order_type`: what becomes width, height, ... of the output, innermost first."""

_DROPPED = -233
_END = (1 << 31) - 1


def outer(axis: int) -> int:
    """An axis of a blob among the axes that include the batch."""
    return axis + 1 if axis >= 0 else axis


def _softmax(site: Site) -> Mapped:
    return site.mapped("Softmax", {"axis": outer(site.layer.integer(0, 0))})


def _cumulative_sum(site: Site) -> Mapped:
    return site.mapped("CumSum", {"axis": outer(site.layer.integer(0, 0))})


def _concat(site: Site) -> Mapped:
    site.require(1)
    axis = site.layer.integer(0, 0)
    sizes: Sizes = None
    if all(s is not None and len(s) == len(site.first or ()) for s in site.sizes) and site.first:
        found = list(site.first)
        if -len(found) <= axis < len(found):
            parts = [s[axis] for s in site.sizes if s is not None]
            known = [p for p in parts if p is not None]
            found[axis] = sum(known) if len(known) == len(parts) else None
            sizes = tuple(found)
    return site.mapped("Concat", {"axis": outer(axis)}, sizes=(sizes,))


def _slice(site: Site) -> Mapped:
    layer = site.layer
    site.require(1)
    axis = layer.integer(1, 0)
    count = len(layer.outputs)
    total: int | None = None
    if site.first is not None and -len(site.first) <= axis < len(site.first):
        total = site.first[axis]
    parts = _parts(layer, count, total)
    sizes: list[Sizes] = []
    for part in parts if parts is not None else (None,) * count:
        if site.first is None or not -len(site.first) <= axis < len(site.first):
            sizes.append(None)
        else:
            changed = list(site.first)
            changed[axis] = part
            sizes.append(tuple(changed))
    if parts is not None:
        return site.mapped("Split", {"axis": outer(axis), "split": tuple(parts)}, sizes=sizes)
    if set(layer.integers(0)) == {_DROPPED}:
        return site.mapped("Split", {"axis": outer(axis), "num_outputs": count}, sizes=sizes)
    return site.unmapped(sizes=sizes)


def _parts(layer: Layer, count: int, total: int | None) -> list[int] | None:
    """Sizes of the outputs along the axis; None where they depend on an unknown size."""
    slices, indices = layer.integers(0), layer.integers(2)
    if len(slices) != count and len(indices) != count - 1:
        raise FormatError(
            f"ncnn layer {layer.name!r} (Slice) has {count} outputs but {len(slices)} sizes"
        )
    parts: list[int] = []
    start = 0
    for i in range(count):
        if len(slices) == count and slices[i] != _DROPPED:
            part: int | None = slices[i]
        elif total is None:
            return None
        elif len(slices) == count:
            part = (total - start) // (count - i)
        else:
            index = indices[i] if i < count - 1 else total
            part = (index + total if index < 0 else index) - start
        if part is None or part < 0:
            raise FormatError(f"ncnn layer {layer.name!r} (Slice) has an output of {part} slices")
        parts.append(part)
        start += part
    return parts


def _crop(site: Site) -> Mapped:
    layer = site.layer
    site.require(1)
    expressions = [layer.text(n) for n in (19, 20, 21)]
    starts, ends, axes = layer.integers(9), layer.integers(10), layer.integers(11)
    if any(expressions) or layer.integer(0, 0) == _DROPPED:
        return site.unmapped()
    if starts and ends:
        axes = axes or tuple(range(len(starts)))
        if not len(starts) == len(ends) == len(axes):
            raise FormatError(f"ncnn layer {layer.name!r} (Crop) has unequal starts, ends and axes")
        cuts = [
            (outer(axis), 0 if start == _DROPPED else start, _END if end in (_DROPPED, 0) else end)
            for axis, start, end in zip(axes, starts, ends, strict=True)
        ]
    else:
        cuts = _offset_cuts(layer)
        if not cuts and len(layer.inputs) > 1:
            return site.unmapped(sizes=(site.sizes[1],))  # as large as the second input
    attributes: dict[str, AttributeValue] = {
        "axes": tuple(axis for axis, _, _ in cuts),
        "starts": tuple(start for _, start, _ in cuts),
        "ends": tuple(end for _, _, end in cuts),
    }
    return site.mapped("Slice", attributes, sizes=(_cut(site.first, cuts),))


def _offset_cuts(layer: Layer) -> list[tuple[int, int, int]]:
    """(axis, start, end) of each dimension that loses something, from offsets and sizes."""
    cuts = []
    for axis, offset, size, behind in (
        (1, 2, 5, 8),
        (-3, 13, 14, 15),
        (-2, 1, 4, 7),
        (-1, 0, 3, 6),
    ):
        start, kept, lost = (layer.integer(n, 0) for n in (offset, size, behind))
        end = (-lost if lost else _END) if kept in (0, _DROPPED) else start + kept
        if start or end != _END:
            cuts.append((axis, start, end))
    return cuts


def _cut(sizes: Sizes, cuts: Sequence[tuple[int, int, int]]) -> Sizes:
    if sizes is None:
        return None
    found = list(sizes)
    for axis, start, end in cuts:
        index = axis - 1 if axis > 0 else axis
        if not -len(found) <= index < len(found):
            return None
        size = found[index]
        if size is not None:
            first = max(0, start + size if start < 0 else start)
            last = min(size, end + size if end < 0 else end)
            found[index] = last - first if last > first else None
    return tuple(found)


def _permute(site: Site) -> Mapped:
    code = site.layer.integer(0, 0)
    rank = site.rank or (4 if code >= len(_ORDERS[3]) else None)
    if rank == 1:
        return site.mapped("Identity")
    orders = _ORDERS.get(rank or 0, ())
    if not 0 <= code < len(orders):
        return site.unmapped()
    letters = orders[0][::-1]
    order = [letters.index(letter) for letter in orders[code][::-1]]
    sizes = None if site.first is None else tuple(site.first[i] for i in order)
    return site.mapped("Transpose", {"perm": (0, *(i + 1 for i in order))}, sizes=(sizes,))


def _reshape(site: Site) -> Mapped:
    layer = site.layer
    expression = layer.text(6)
    if expression or layer.integer(12, 233) != 233 or layer.integer(13, 233) != 233:
        return site.mapped("Reshape", layer.attributes(), sizes=(None,))
    width, height, channels, depth = (layer.integer(n, _DROPPED) for n in (0, 1, 2, 11))
    named = {"w": width, "h": height, "d": depth, "c": channels}
    axes = {1: "w", 2: "hw", 3: "chw", 4: "cdhw"}
    if width == _DROPPED:
        return site.unmapped()
    rank = 1 if height == _DROPPED else 2 if channels == _DROPPED else 3
    rank = 4 if rank == 3 and depth != _DROPPED else rank
    target = [_kept(site.first, axis) if named[axis] == 0 else named[axis] for axis in axes[rank]]
    if any(size is not None and size < -1 for size in target):
        raise FormatError(f"ncnn layer {layer.name!r} (Reshape) has a negative size in {target}")
    total = product(site.first)
    fixed = [size for size in target if size is not None and size >= 0]
    if len(fixed) == rank - 1 and total is not None and math.prod(fixed) > 0:
        rest = total // math.prod(fixed)
        target = [rest if size is None or size < 0 else size for size in target]
    sizes: Sizes = tuple(None if size is None or size < 0 else size for size in target)
    if target.count(None) == 1 and -1 not in target:
        target = [-1 if size is None else size for size in target]
    if None in target:  # a copied size that nothing states
        if site.rank != rank:
            return site.mapped("Reshape", layer.attributes(), sizes=(sizes,))
        target = [0 if size is None else size for size in target]
    shape = (1, *(size for size in target if size is not None))
    return site.mapped("Reshape", {"shape": shape}, sizes=(sizes,))


def _kept(sizes: Sizes, axis: str) -> int | None:
    """The size that a zero in a reshape copies: that of the same name, not of the same place."""
    if sizes is None or not 1 <= len(sizes) <= 4:
        return None
    names = {1: "w", 2: "hw", 3: "chw", 4: "cdhw"}[len(sizes)]
    return sizes[names.index(axis)] if axis in names else 1


def _flatten(site: Site) -> Mapped:
    return site.mapped("Flatten", {"axis": 1}, sizes=((product(site.first),),))


def _squeeze(site: Site) -> Mapped:
    layer = site.layer
    axes = [outer(axis) for axis in layer.integers(3)]
    if 3 not in layer.values:
        named = ((2, 1), (11, -3), (1, -2), (0, -1))
        axes = [axis for number, axis in named if layer.integer(number, 0)]
    if site.first is None:
        return site.mapped("Squeeze", {"axes": tuple(axes)}, sizes=(None,))
    rank = len(site.first)
    gone = {axis % (rank + 1) for axis in axes if -rank <= axis <= rank}
    gone = {axis for axis in gone if site.first[axis - 1] in (1, None)}  # others stay, in ncnn
    sizes = tuple(s for i, s in enumerate(site.first, 1) if i not in gone)
    return site.mapped("Squeeze", {"axes": tuple(sorted(gone))}, sizes=(sizes or (1,),))


def _expand(site: Site) -> Mapped:
    axes = site.layer.integers(3)
    attributes: dict[str, AttributeValue] = {"axes": tuple(outer(axis) for axis in axes)}
    sizes: Sizes = None
    if site.first is not None:
        rank = len(site.first) + len(axes)
        new = {axis % rank for axis in axes if -rank <= axis < rank}
        old = iter(site.first)
        sizes = tuple(1 if i in new else next(old, None) for i in range(rank))
    return site.mapped("Unsqueeze", attributes, sizes=(sizes,))


def _reduction(site: Site) -> Mapped:
    layer = site.layer
    code, everything, keep = layer.integer(0, 0), layer.integer(1, 1), layer.integer(4, 0)
    axes = layer.integers(3)
    if not 0 <= code < len(_REDUCTIONS) or layer.real(2, 1.0) != 1.0:
        return site.unmapped()
    attributes: dict[str, AttributeValue] = {"keepdims": int(bool(keep))}
    if everything:
        if site.rank is None:
            return site.unmapped(sizes=((1,),))
        axes = tuple(range(site.rank))
    attributes["axes"] = tuple(outer(axis) for axis in axes)
    sizes: Sizes = None
    if site.first is not None:
        rank = len(site.first)
        gone = {axis % rank for axis in axes if -rank <= axis < rank}
        kept = [1 if i in gone else s for i, s in enumerate(site.first)]
        sizes = tuple(kept if keep else (s for i, s in enumerate(kept) if i not in gone)) or (1,)
    return site.mapped(_REDUCTIONS[code], attributes, sizes=(sizes,))


def _tile(site: Site) -> Mapped:
    layer = site.layer
    repeats = layer.integers(2)
    if not repeats:
        axis, count = layer.integer(0, 0), layer.size(1, 1)
        if site.rank is None or not -site.rank <= axis < site.rank:
            return site.unmapped()
        repeats = tuple(count if i == axis % site.rank else 1 for i in range(site.rank))
    if site.first is None or min(repeats) < 0:
        return site.mapped("Tile", {"repeats": (1, *repeats)}, sizes=(None,))
    rank = max(len(repeats), len(site.first))
    padded = (1,) * (rank - len(repeats)) + repeats
    given = (1,) * (rank - len(site.first)) + site.first
    sizes = tuple(None if s is None else s * r for s, r in zip(given, padded, strict=True))
    return site.mapped("Tile", {"repeats": (1, *padded)}, sizes=(sizes,))


def _padding(site: Site) -> Mapped:
    layer = site.layer
    top, bottom, left, right, front, behind = (layer.integer(n, 0) for n in (0, 1, 2, 3, 7, 8))
    mode = {0: "constant", 1: "edge", 2: "reflect"}.get(layer.integer(4, 0))
    if mode is None or min(top, bottom, left, right, front, behind) < 0:
        return site.unmapped()  # sizes that a second input gives, at run time
    sides = {-1: (left, right), -2: (top, bottom)}
    if site.rank == 1:
        del sides[-2]
    if front or behind:
        sides[-3] = (front, behind)
    axes = tuple(sorted(sides))
    pads = (*(sides[a][0] for a in axes), *(sides[a][1] for a in axes))
    attributes: dict[str, AttributeValue] = {"mode": mode, "axes": axes, "pads": pads}
    if mode == "constant":
        attributes["value"] = layer.real(5, 0.0)
    sizes: Sizes = None
    if site.first is not None and len(site.first) >= len(axes):
        found = list(site.first)
        for axis in axes:
            size = found[axis]
            found[axis] = None if size is None else size + sum(sides[axis])
        sizes = tuple(found)
    return site.mapped("Pad", attributes, sizes=(sizes,))


def _memory(site: Site) -> Mapped:
    """The blob itself is the constant; see the reader."""
    return site.mapped("Constant", inputs=(), sizes=(memory_shape(site.layer) or (1,),))


def _embed(site: Site) -> Mapped:
    site.require(1)
    count = product(site.first)
    weight, bias = site.weight("weight_data"), site.weight("bias_data")
    inputs = (weight, site.layer.inputs[0], *((bias,) if bias else ()))
    return site.mapped(
        "Gather", {"axis": 0}, inputs=inputs, sizes=((count, site.shapes["weight_data"][1]),)
    )


def _gemm(site: Site) -> Mapped:
    layer = site.layer
    blobs = iter(layer.inputs)
    constant = [layer.integer(n, 0) == 1 for n in (4, 5, 6)]
    names = [
        site.weight(name) if fixed else next(blobs, "")
        for name, fixed in zip(("A_data", "B_data", "C_data"), constant, strict=True)
    ]
    if not names[0] or not names[1]:
        raise FormatError(f"ncnn layer {layer.name!r} (Gemm) has too few inputs")
    extra = site.weight("B_data_input_scales")
    inputs = [*names, extra]
    while inputs and not inputs[-1]:
        inputs.pop()
    transposed_a, transposed_b = (int(bool(layer.integer(n, 0))) for n in (2, 3))
    if block_quantization(layer.integer(18, 0)):
        transposed_b = 1
    attributes: dict[str, AttributeValue] = {
        "alpha": layer.real(0, 1.0),
        "beta": layer.real(1, 1.0),
        "transA": transposed_a,
        "transB": transposed_b,
    }
    transposed = bool(transposed_a), bool(transposed_b)
    rows, columns = _gemm_sizes(site, constant, transposed)
    if layer.integer(14, 0):
        return site.unmapped(sizes=((columns, rows),))
    sizes: Sizes = (rows, 1, columns) if layer.integer(11, 0) else (rows, columns)
    return site.mapped("Gemm", attributes, inputs=inputs, sizes=(sizes,))


def _gemm_sizes(
    site: Site, constant: Sequence[bool], transposed: tuple[bool, bool]
) -> tuple[int | None, int | None]:
    """Rows and columns of the product, from the parameters or from the blobs that are factors."""
    blobs = iter(site.sizes)
    first, second = (None if fixed else next(blobs, None) for fixed in constant[:2])
    rows: int | None = site.layer.size(7, 0) or None
    columns: int | None = site.layer.size(8, 0) or None
    if rows is None and first is not None and len(first) == 2:
        rows = first[1 if transposed[0] else 0]
    if columns is None and second is not None and len(second) == 2:
        columns = second[0 if transposed[1] else 1]
    return rows, columns


def _matmul(site: Site) -> Mapped:
    """The second factor may be transposed: `transB`, which ONNX's operator does not know."""
    site.require(2)
    transposed = bool(site.layer.integer(0, 0))
    first, second = site.sizes[:2]
    sizes: Sizes = None
    if first is not None and second is not None and min(len(first), len(second)) >= 2:
        columns = second[-2] if transposed else second[-1]
        longest = first if len(first) >= len(second) else second
        sizes = (*longest[:-2], first[-2], columns)
    return site.mapped("MatMul", {"transB": 1} if transposed else {}, sizes=(sizes,))


def _einsum(site: Site) -> Mapped:
    """The equation knows no batch; an ellipsis stands for it."""
    codes = site.layer.integers(0)
    if not codes or not all(32 < code < 127 for code in codes):
        return site.unmapped()
    left, arrow, right = "".join(map(chr, codes)).partition("->")
    terms = ",".join(f"...{term}" for term in left.split(","))
    return site.mapped("Einsum", {"equation": f"{terms}->...{right}" if arrow else terms}, sizes=())


def _recurrent(operator: str) -> Callable[[Site], Mapped]:
    """X, W, R, B, lengths, initial states; then ncnn's projection, after ONNX's own inputs.

    Unlike ONNX, the results of both directions stand in one dimension: `merge_outputs`.
    """

    def mapped(site: Site) -> Mapped:
        layer = site.layer
        site.require(1)
        outputs = layer.size(0, 0, 1)
        hidden = layer.size(3, outputs, 1) if operator == "LSTM" else outputs
        direction = layer.integer(2, 0)
        data, *states = layer.inputs
        weights = [site.weight(n) for n in ("weight_xc_data", "weight_hc_data", "bias_c_data")]
        projection = site.weight("weight_hr_data")
        inputs = [data, *weights, *([""] if states else []), *states]
        if projection:
            inputs += [""] * (8 - len(inputs)) + [projection]
        names = {0: "forward", 1: "reverse", 2: "bidirectional"}
        attributes: dict[str, AttributeValue] = {
            "hidden_size": hidden,
            "direction": names.get(direction, "forward"),
            "layout": 1,
            "merge_outputs": 1,
        }
        steps = site.first[0] if site.first and len(site.first) == 2 else None
        directions = 2 if direction == 2 else 1
        state = ((directions, outputs), (directions, hidden))[: len(layer.outputs) - 1]
        sizes = ((steps, outputs * directions), *state)
        return site.mapped(operator, attributes, inputs=inputs, sizes=sizes)

    return mapped


def _attention(site: Site) -> Mapped:
    """`SDPA`: query, key, value, mask, past key, past value; heads stand outermost."""
    layer = site.layer
    site.require(3)
    query, key, value, *others = layer.inputs
    mask = [others.pop(0)] if layer.integer(5, 0) and others else []
    past = others if layer.integer(7, 0) else []
    inputs = [query, key, value, *(mask or ([""] if past else [])), *past]
    scale = layer.real(6, 0.0)
    first, third = site.sizes[0], site.sizes[2]
    sizes: Sizes = None
    if first is not None and len(first) == 3:
        sizes = (first[0], first[1], third[2] if third is not None and len(third) == 3 else None)
    return site.mapped(
        "Attention", {"scale": scale} if scale else {}, inputs=inputs, sizes=(sizes,)
    )


def _rotary(site: Site) -> Mapped:
    site.require(3)
    attributes: dict[str, AttributeValue] = {"interleaved": int(bool(site.layer.integer(0, 0)))}
    return site.mapped("RotaryEmbedding", attributes)


def _multi_head(site: Site) -> Mapped:
    """No ONNX operator has the four projections inside."""
    outputs = site.shapes["out_weight_data"][0]
    sizes = None if site.first is None else (*site.first[:-1], outputs)
    return site.unmapped(sizes=(sizes,))


def _grid_sample(site: Site) -> Mapped:
    layer = site.layer
    site.require(2)
    if layer.integer(3, 0):
        return site.unmapped()
    attributes: dict[str, AttributeValue] = {
        "mode": {1: "nearest", 2: "linear", 3: "cubic"}.get(layer.integer(0, 1), "linear"),
        "padding_mode": {1: "zeros", 2: "border", 3: "reflection"}.get(
            layer.integer(1, 1), "zeros"
        ),
        "align_corners": int(bool(layer.integer(2, 0))),
    }
    return site.mapped("GridSample", attributes, sizes=(None,))


def _statistics(site: Site) -> Mapped:
    channels = site.first[0] if site.first else None
    doubled = bool(site.layer.integer(0, 0)) and channels is not None
    return site.unmapped(sizes=((channels * 2 if doubled and channels else channels,),))


TENSORS: Mapping[str, Callable[[Site], Mapped]] = {
    "Concat": _concat,
    "Crop": _crop,
    "CumulativeSum": _cumulative_sum,
    "Einsum": _einsum,
    "Embed": _embed,
    "ExpandDims": _expand,
    "Flatten": _flatten,
    "GRU": _recurrent("GRU"),
    "Gemm": _gemm,
    "GridSample": _grid_sample,
    "LSTM": _recurrent("LSTM"),
    "MatMul": _matmul,
    "MemoryData": _memory,
    "MultiHeadAttention": _multi_head,
    "Padding": _padding,
    "Permute": _permute,
    "RNN": _recurrent("RNN"),
    "Reduction": _reduction,
    "Reshape": _reshape,
    "RotaryEmbed": _rotary,
    "SDPA": _attention,
    "Slice": _slice,
    "Softmax": _softmax,
    "Squeeze": _squeeze,
    "StatisticsPooling": _statistics,
    "Tile": _tile,
}
