"""What the values of weights say: zeros, clusters, and a digest that no layout changes.

Each weight is read once, in chunks: time is a nanosecond or two an element, memory some `CHUNK_BYTES`.
The means is a histogram over the values rounded to 16-bit floats, which has at most 65,536 bins; of
32,768 floats or more it holds a sample only, about every 128th (see `_value_histogram`).

**The digest of values** is that of the histogram and, for a sample, of the number of elements. It is
the same for OIHW, OHWI and HWIO, for a matrix and its transpose, for any container, and for 32-bit
floats and the 16-bit floats they were rounded to. Signs of zero do not matter. Integers are compared by
their distance from the zero point, so that uint8 with zero point 128 equals int8.

What breaks it: batch normalisation folded into the weights by one converter and not by another,
quantisation with other scales, values that a converter recomputed and that differ even in the last bit
(one in some hundred such values rounds to another 16-bit float), and matrices that are joined in one
format and apart in another. What it misses: a few changed values among many, since each of them is in
the sample, before or after, in one of 64 cases. The digest of the bytes, `WeightLook.digest`, misses
nothing.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from gaugenn.analysis._node_view import elements
from gaugenn.analysis._parameters import Weight
from gaugenn.analysis._value_histogram import (
    NEGATIVE_ZERO,
    SAMPLE_MINIMUM,
    SAMPLED_FROM,
    Counts,
    Distinct,
    Histogram,
    NearZeros,
    Patterns,
    Rounding,
    Sampling,
    byte_counts,
    digest,
    is_sampled,
    merged,
)
from gaugenn.analysis.cost import ModelCost
from gaugenn.analysis.fingerprint import combined_digest, tensor_digest
from gaugenn.content import release
from gaugenn.errors import FormatError
from gaugenn.graph import DataType, Tensor

NEAR_ZERO = 1e-9
"""Weights of at most this absolute value count as near zero.

**Source:** the 2021 study "Smart at what cost? Characterising mobile deep neural networks in the
wild", https://arxiv.org/abs/2109.13963
"""

CHUNK_BYTES = 1 << 20
"""How much of a weight is looked at in one piece: little enough to stay in a core's cache."""

THREAD_BYTES = 4 << 20
"""From this size on a weight is worth a thread."""

MAXIMUM_CLUSTERS = 256
"""A tensor of floats with no more distinct values is clustered: an index of one byte would do."""

SMALLEST_CLUSTERED = 4096
"""Tensors with fewer elements are not asked: few distinct values may be chance."""

_LOOKED_AT = 1024
"""Elements that show, as a rule, that there are more than `MAXIMUM_CLUSTERS`."""

_HELD = 1 << 16
"""Picked floats that are rounded and counted together."""

_BYTES = frozenset({DataType.INT8, DataType.INT4, DataType.INT2}) | frozenset(
    {DataType.UINT8, DataType.UINT4, DataType.UINT2}
)
"""Integers whose distance from a zero point fits 16 bits."""

_UNREADABLE = ("float8", "float4", "complex")


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorValues:
    """What the values of one weight are.

    Attributes:
        elements: how many.
        zeros: exactly zero (a quantised weight at its zero point).
        near_zeros: at most `NEAR_ZERO` in absolute value.
        clusters: distinct values of a tensor of floats of at least `SMALLEST_CLUSTERED` elements; 0
            where there are more than `MAXIMUM_CLUSTERS`, and None where it was not asked.
        values_sha256: see the module; None for integers of more than 8 bits.
    """

    elements: int
    zeros: int
    near_zeros: int
    clusters: int | None
    values_sha256: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightLook:
    """What one weight holds.

    Attributes:
        digest: of type, shape and bytes; None without bytes.
        values: None without bytes, and for types that numpy does not have.
    """

    digest: str | None
    values: TensorValues | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ValuesSummary:
    """What the values of a model's weights are.

    Attributes:
        examined: weights that were looked at.
        zeros: of these, exactly zero.
        near_zeros: of these, at most `NEAR_ZERO` in absolute value.
        absent: weights whose values are not in the file, or of a type that cannot be looked at.
        tensors: weight tensors of convolutions and products that were asked for clusters.
        clustered: of these, those with 2 to `MAXIMUM_CLUSTERS` distinct values.
    """

    examined: int
    zeros: int
    near_zeros: int
    absent: int
    tensors: int
    clustered: int


class WeightReader:
    """Looks at weights, at each once, however many layers share it."""

    def __init__(self) -> None:
        self._looks: dict[tuple[int | str, ...], WeightLook] = {}

    def look(self, weight: Weight) -> WeightLook:
        """What a weight holds."""
        key = weight.key
        if key not in self._looks:
            self._looks[key] = look_at(weight.tensor)
        return self._looks[key]

    def digest(self, weights: Sequence[Weight]) -> str | None:
        """The digest of a set of weights, see `fingerprint`."""
        return combined_digest([self.look(weight).digest for weight in weights])

    def values_digest(self, weights: Sequence[Weight]) -> str | None:
        """The digest of a layer's values: of its matrices and kernels if it has any, else of all.

        Biases are left out because formats disagree on whether a layer without one has zeros.
        """
        kernels = [weight for weight in weights if _is_kernel(weight.tensor)] or list(weights)
        looks = [self.look(weight).values for weight in kernels]
        return combined_digest([None if look is None else look.values_sha256 for look in looks])

    def summary(self, cost: ModelCost) -> ValuesSummary:
        """The values of a model's weights together; only those of products can be clustered."""
        multiplied = {
            weight.key
            for nodes in cost.nodes
            for node in nodes
            if node.macs
            for weight in node.weights
        }
        examined = zeros = near_zeros = absent = tensors = clustered = 0
        for weight in cost.weights:
            found = self.look(weight).values
            if found is None:
                absent += weight.count or 0
                continue
            examined += found.elements
            zeros += found.zeros
            near_zeros += found.near_zeros
            if found.clusters is not None and weight.key in multiplied:
                tensors += 1
                clustered += found.clusters > 1
        return ValuesSummary(
            examined=examined,
            zeros=zeros,
            near_zeros=near_zeros,
            absent=absent,
            tensors=tensors,
            clustered=clustered,
        )


def look_at(tensor: Tensor) -> WeightLook:
    """Reads a weight once.

    A large one is digested in a second thread meanwhile; both give the interpreter free.
    """
    if tensor.data is None:
        return WeightLook(digest=None, values=None)
    held = replace(tensor, data=tensor.read())
    if held.size_bytes is None or held.size_bytes < THREAD_BYTES:
        return WeightLook(digest=tensor_digest(held), values=_values(held))
    with ThreadPoolExecutor(max_workers=1) as beside:
        found = beside.submit(tensor_digest, held)
        return WeightLook(values=_values(held), digest=found.result())


def _is_kernel(tensor: Tensor) -> bool:
    return sum(size != 1 for size in tensor.shape or ()) > 1


def _values(tensor: Tensor) -> TensorValues | None:
    readable = tensor.dtype.bits is not None and not tensor.dtype.value.startswith(_UNREADABLE)
    if not readable or not tensor.elements:
        return None
    try:
        return _of_floats(tensor) if tensor.dtype.is_floating else _of_integers(tensor)
    except FormatError:
        return None


def _pieces(tensor: Tensor) -> Iterator[tuple[int, npt.NDArray[np.generic]]]:
    """A tensor's elements in runs of about `CHUNK_BYTES`, each with the position of its first."""
    bits, total, raw = tensor.dtype.bits or 8, tensor.elements or 0, tensor.read()
    step = max(8, CHUNK_BYTES * 8 // bits // 8 * 8)
    for start in range(0, total, step):
        count = min(step, total - start)
        piece = Tensor(
            name=tensor.name,
            dtype=tensor.dtype,
            shape=(count,),
            data=raw[start * bits // 8 :][: tensor.dtype.size_bytes(count)],
        )
        yield start, piece.array()
        release(piece.read())


def _of_floats(tensor: Tensor) -> TensorValues:
    total = tensor.elements or 0
    is_asked = total >= SMALLEST_CLUSTERED
    found = _of_many(tensor) if total >= SAMPLED_FROM else None
    if found is None:
        wide = tensor.dtype.bits != 16
        found = _of_wide(tensor, is_asked=is_asked) if wide else _of_halves(tensor)
    kind, patterns, counts = "half", found.patterns, found.counts
    if total >= SAMPLED_FROM:
        chosen = is_sampled(patterns)
        if counts[chosen].sum() >= SAMPLE_MINIMUM:
            kind, patterns, counts = f"half, sample of {total}", patterns[chosen], counts[chosen]
    return TensorValues(
        elements=total,
        zeros=found.near.zeros,
        near_zeros=found.near.near,
        clusters=found.clusters if is_asked else None,
        values_sha256=digest(kind, patterns, counts),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counted:
    near: NearZeros
    patterns: Patterns
    counts: Counts
    clusters: int


_FRACTION_BITS = {DataType.FLOAT32: 23, DataType.FLOAT16: 10, DataType.BFLOAT16: 7}


def _of_many(tensor: Tensor) -> _Counted | None:
    """Of a large tensor by the sample alone, and without counting distinct values.

    Returns:
        The sample's patterns as the only ones; None where all values must be looked at: few may be
        distinct, few are in the sample, or the type is another one.
    """
    fraction_bits = _FRACTION_BITS.get(tensor.dtype)
    if fraction_bits is None:
        return None
    raw, kind = tensor.read(), np.dtype(f"<u{(tensor.dtype.bits or 8) // 8}")
    data = np.frombuffer(raw, dtype=kind)
    if _may_be_few(data[: CHUNK_BYTES // kind.itemsize]):
        return None
    sampling = Sampling(kind, fraction_bits, _near_bits(tensor.dtype))
    histogram = Histogram()
    held: list[npt.NDArray[np.generic]] = []
    step = CHUNK_BYTES // kind.itemsize
    for start in range(0, data.size, step):
        piece = data[start : start + step]
        held.append(sampling.pick(piece.astype(kind, copy=not piece.flags.aligned)))
        release(raw[start * kind.itemsize : (start + step) * kind.itemsize])
        if sum(each.size for each in held) >= _HELD or start + step >= data.size:
            patterns = _rounded(np.concatenate(held), tensor.dtype)
            histogram.add(patterns[is_sampled(patterns)])
            held.clear()
    patterns, counts = histogram.counted()
    if counts.sum() < SAMPLE_MINIMUM:
        return None
    near = NearZeros(zeros=sampling.zeros, near=sampling.near_zeros)
    return _Counted(near=near, patterns=patterns, counts=counts, clusters=0)


def _may_be_few(bits: npt.NDArray[np.generic]) -> bool:
    """Whether a look at some elements leaves it open that the tensor is clustered."""
    some = bits[:: max(1, bits.size // _LOOKED_AT)]
    # Two zeros, and many bits for not-a-number, are what makes few values out of more patterns.
    if some.dtype.itemsize == 4:
        return np.unique(some.view(np.float32)).size <= MAXIMUM_CLUSTERS
    return np.unique(some.view(np.uint16) & np.uint16(0x7FFF)).size <= MAXIMUM_CLUSTERS


def _near_bits(dtype: DataType) -> int:
    """The bits of the largest magnitude of at most `NEAR_ZERO`."""
    if dtype is DataType.FLOAT16:
        return 0  # the smallest that there is, 2**-24, is larger
    bits = int(np.float32(NEAR_ZERO).view(np.uint32))
    return bits if dtype is DataType.FLOAT32 else bits >> 16


def _rounded(bits: npt.NDArray[np.generic], dtype: DataType) -> Patterns:
    """The nearest 16-bit floats of floats given by their bits."""
    if dtype is DataType.FLOAT16:
        return bits.view(np.uint16)
    if dtype is DataType.BFLOAT16:
        bits = bits.astype(np.uint32) << 16
    wide = bits.view(np.float32)
    patterns = np.empty(wide.size, np.uint16)
    Rounding(NEAR_ZERO).round(wide, patterns)
    return patterns


def _of_wide(tensor: Tensor, *, is_asked: bool) -> _Counted:
    """Of 32 and 64 bits; the latter are rounded to the former first, as their copies would be.

    Args:
        tensor: of floats.
        is_asked: whether to count distinct values, too.
    """
    rounding, histogram, distinct = Rounding(NEAR_ZERO), Histogram(), Distinct(MAXIMUM_CLUSTERS)
    zeros = near = 0
    for _, piece in _pieces(tensor):
        values: npt.NDArray[np.floating] = piece.astype(piece.dtype, copy=not piece.flags.aligned)
        patterns = np.empty(values.size, np.uint16)
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            found = rounding.round(values.astype(np.float32, copy=False), patterns)
        if values.dtype.itemsize > 4:
            found = _near_zeros(values)
        zeros += found.zeros
        near += found.near
        histogram.add(patterns)
        if is_asked:
            distinct.add(patterns, values)
    patterns, counts = _signless(*histogram.counted())
    return _Counted(
        near=NearZeros(zeros=zeros, near=near),
        patterns=patterns,
        counts=counts,
        clusters=distinct.count,
    )


def _near_zeros(values: npt.NDArray[np.floating]) -> NearZeros:
    return NearZeros(
        zeros=values.size - int(np.count_nonzero(values)),
        near=int(np.count_nonzero(np.abs(values) <= NEAR_ZERO)),
    )


def _of_halves(tensor: Tensor) -> _Counted:
    """Counts the bits as they are, and looks at what differs only."""
    histogram = Histogram()
    raw = tensor.read()
    data = np.frombuffer(raw, dtype="<u2")
    step = max(1, CHUNK_BYTES // 2)
    for start in range(0, data.size, step):
        histogram.add(data[start : start + step])
        release(raw[2 * start : 2 * (start + step)])
    bits, counts = _signless(*histogram.counted())
    if tensor.dtype is DataType.BFLOAT16:
        values = (bits.astype(np.uint32) << 16).view(np.float32)
    else:
        values = bits.view(np.float16).astype(np.float32)
    patterns = np.empty(bits.size, np.uint16)
    Rounding(NEAR_ZERO).round(values, patterns)
    near = NearZeros(
        zeros=int(counts[values == 0].sum()),
        near=int(counts[np.abs(values) <= NEAR_ZERO].sum()),
    )
    patterns[patterns == NEGATIVE_ZERO] = 0
    patterns, counts = merged(patterns, counts)
    return _Counted(
        near=near,
        patterns=patterns,
        counts=counts,
        clusters=bits.size if bits.size <= MAXIMUM_CLUSTERS else 0,
    )


def _signless(patterns: Patterns, counts: Counts) -> tuple[Patterns, Counts]:
    """Patterns in ascending order, each once, negative zero counted as zero."""
    if NEGATIVE_ZERO not in patterns:
        return patterns, counts
    return merged(np.where(patterns == NEGATIVE_ZERO, np.uint16(0), patterns), counts)


def _of_integers(tensor: Tensor) -> TensorValues:
    points = _zero_points(tensor)
    if tensor.dtype not in _BYTES or (np.abs(points) >= 1 << 14).any():
        zeros = sum(
            int(np.count_nonzero(piece == _at(points, tensor, start, piece.size)))
            for start, piece in _pieces(tensor)
        )
        return _integers(tensor, zeros, None)
    if _at(points, tensor, 0, tensor.elements or 0).size == 1:
        values, counts = _packed_counts(tensor)
        distances = values.astype(np.int16) - np.int16(points[0])
        patterns, counts = merged(distances.view(np.uint16), counts)
    else:
        histogram = Histogram()
        for start, piece in _pieces(tensor):
            point = _at(points, tensor, start, piece.size).astype(np.int16)
            histogram.add((piece.astype(np.int16) - point).view(np.uint16))
        patterns, counts = histogram.counted()
    zeros = int(counts[patterns == 0].sum())
    return _integers(tensor, zeros, digest("integer", patterns, counts))


def _integers(tensor: Tensor, zeros: int, values_sha256: str | None) -> TensorValues:
    return TensorValues(
        elements=tensor.elements or 0,
        zeros=zeros,
        near_zeros=zeros,
        clusters=None,
        values_sha256=values_sha256,
    )


def _packed_counts(tensor: Tensor) -> tuple[npt.NDArray[np.generic], Counts]:
    """Values of packed integers and how often each occurs, from how often each byte does."""
    total, per_byte = tensor.elements or 0, 8 // (tensor.dtype.bits or 8)
    raw = tensor.read()
    data = np.frombuffer(raw, dtype=np.uint8)
    whole = total // per_byte
    counts = np.zeros(256, dtype=np.int64)
    for start in range(0, whole, CHUNK_BYTES):
        counts += byte_counts(data[start : min(start + CHUNK_BYTES, whole)])
        release(raw[start : start + CHUNK_BYTES])
    values = _unpacked(tensor, np.arange(256, dtype=np.uint8), 256 * per_byte)
    rest = _unpacked(tensor, data[whole:], total - whole * per_byte)
    return np.concatenate([values, rest]), np.concatenate(
        [np.repeat(counts, per_byte), np.ones(rest.size, dtype=np.int64)]
    )


def _unpacked(tensor: Tensor, data: npt.NDArray[np.uint8], count: int) -> npt.NDArray[np.generic]:
    return replace(tensor, shape=(count,), data=memoryview(data.tobytes())).array()


def _zero_points(tensor: Tensor) -> npt.NDArray[np.int64]:
    points = tensor.quantization.zero_points if tensor.quantization is not None else ()
    return np.array(points or (0,), dtype=np.int64)


def _at(
    points: npt.NDArray[np.int64], tensor: Tensor, start: int, count: int
) -> npt.NDArray[np.int64]:
    """The zero points of a run of elements."""
    axis = tensor.quantization.axis if tensor.quantization is not None else None
    shape = tuple(size for size in tensor.shape or () if isinstance(size, int))
    if points.size == 1 or axis is None or not -len(shape) <= axis < len(shape):
        return points[:1]
    if (points == points[0]).all():
        return points[:1]
    axis %= len(shape)
    if shape[axis] != points.size:
        return points[:1]
    inner = elements(shape[axis + 1 :])
    return points[(np.arange(start, start + count) // inner) % points.size]
