"""What the values of weights say: zeros, clusters, and a digest that no layout changes.

Each weight is read once, in chunks: time is a few nanoseconds an element, memory some `CHUNK_BYTES`.
The means is a histogram over the values rounded to 16-bit floats, which has at most 65,536 bins.

**The digest of values** is that of the histogram. It is the same for OIHW, OHWI and HWIO, for a matrix
and its transpose, for any container, and for 32-bit floats and the 16-bit floats they were rounded to.
Signs of zero do not matter. Integers are compared by their distance from the zero point, so that uint8
with zero point 128 equals int8. What breaks it: batch normalisation folded into the weights by one
converter and not by another, quantisation with other scales, values that a converter recomputed and
that differ even in the last bit (one in some hundred such values rounds to another 16-bit float), and
matrices that are joined in one format and apart in another.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from gaugenn.analysis._node_view import elements
from gaugenn.analysis._parameters import Weight
from gaugenn.analysis.cost import ModelCost
from gaugenn.analysis.fingerprint import combined_digest, tensor_digest
from gaugenn.errors import FormatError
from gaugenn.graph import DataType, Tensor

NEAR_ZERO = 1e-9
"""Weights of at most this absolute value count as near zero.

**Source:** the 2021 study "Smart at what cost? Characterising mobile deep neural networks in the
wild", https://arxiv.org/abs/2109.13963
"""

CHUNK_BYTES = 1 << 22
"""How much of a weight is looked at in one piece."""

MAXIMUM_CLUSTERS = 256
"""A tensor of floats with no more distinct values is clustered: an index of one byte would do."""

SMALLEST_CLUSTERED = 4096
"""Tensors with fewer elements are not asked: few distinct values may be chance."""

_BINS = 1 << 16
_NEGATIVE_ZERO = 0x8000

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
    """Reads a weight once."""
    if tensor.data is None:
        return WeightLook(digest=None, values=None)
    held = replace(tensor, data=tensor.read())
    return WeightLook(digest=tensor_digest(held), values=_values(held))


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


def _half_bits(piece: npt.NDArray[np.generic]) -> npt.NDArray[np.uint16]:
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        return piece.astype(np.float16, copy=False).view(np.uint16)


class _Histogram:
    """Counts of 16-bit patterns. Small tensors are counted without 65,536 bins."""

    def __init__(self) -> None:
        self._counts: npt.NDArray[np.int64] | None = None
        self._first: npt.NDArray[np.uint16] | None = None

    def add(self, patterns: npt.NDArray[np.uint16]) -> None:
        if self._counts is None and self._first is None and patterns.size < _BINS:
            self._first = patterns
            return
        if self._counts is None:
            self._counts = np.zeros(_BINS, dtype=np.int64)
            if self._first is not None:
                self._counts += np.bincount(self._first, minlength=_BINS)
        self._counts += np.bincount(patterns, minlength=_BINS)

    def counted(self) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.int64]]:
        """The patterns that occur, ascending, and how often; negative zero counts as zero."""
        if self._counts is None:
            first = np.empty(0, dtype=np.uint16) if self._first is None else self._first
            signless = np.where(first == _NEGATIVE_ZERO, np.uint16(0), first)
            patterns, counts = np.unique(signless, return_counts=True)
            return patterns, counts.astype(np.int64)
        merged = self._counts.copy()
        merged[0] += merged[_NEGATIVE_ZERO]
        merged[_NEGATIVE_ZERO] = 0
        found = np.flatnonzero(merged)
        return found.astype(np.uint16), merged[found]

    def digest(self, kind: str) -> str:
        patterns, counts = self.counted()
        state = hashlib.sha256(kind.encode())
        state.update(patterns.astype("<u2").tobytes())
        state.update(counts.astype("<i8").tobytes())
        return state.hexdigest()


def _of_floats(tensor: Tensor) -> TensorValues:
    histogram = _Histogram()
    zeros = near = 0
    for _, piece in _pieces(tensor):
        patterns = _half_bits(piece)
        histogram.add(patterns)
        if not (patterns & 0x7FFF).all():  # what is near zero rounds to a 16-bit zero
            zeros += piece.size - int(np.count_nonzero(piece))
            near += int(np.count_nonzero(np.abs(piece) <= NEAR_ZERO))
    return TensorValues(
        elements=tensor.elements or 0,
        zeros=zeros,
        near_zeros=near,
        clusters=_clusters(tensor, histogram),
        values_sha256=histogram.digest("half"),
    )


def _clusters(tensor: Tensor, histogram: _Histogram) -> int | None:
    """Distinct values of a tensor that is large enough; 0 for too many."""
    if (tensor.elements or 0) < SMALLEST_CLUSTERED:
        return None
    patterns, _ = histogram.counted()
    if patterns.size > MAXIMUM_CLUSTERS:
        return 0
    return patterns.size if _is_one_value_a_bin(tensor) else _distinct(tensor)


def _is_one_value_a_bin(tensor: Tensor) -> bool:
    """Whether no two different values round to one 16-bit float; much faster than sorting."""
    table: npt.NDArray[np.generic] | None = None
    filled = np.zeros(_BINS, dtype=np.bool_)
    for _, piece in _pieces(tensor):
        patterns = _half_bits(piece)
        new = np.zeros(_BINS, dtype=piece.dtype)
        new[patterns] = piece
        table = new if table is None else np.where(filled, table, new)
        filled[patterns] = True
        if not np.array_equal(table[patterns], piece):
            return False
    return True


def _distinct(tensor: Tensor) -> int:
    """Distinct values by sorting; 0 for too many."""
    found: npt.NDArray[np.generic] | None = None
    for _, piece in _pieces(tensor):
        new = np.unique(piece)
        found = new if found is None else np.union1d(found, new)
        if found.size > MAXIMUM_CLUSTERS:
            return 0
    return 0 if found is None else int(found.size)


def _of_integers(tensor: Tensor) -> TensorValues:
    histogram = _Histogram()
    points = _zero_points(tensor)
    zeros = 0
    comparable = tensor.dtype in _BYTES and bool((np.abs(points) < 1 << 14).all())
    for start, piece in _pieces(tensor):
        point = _at(points, tensor, start, piece.size)
        zeros += int(np.count_nonzero(piece == point))
        if comparable:
            distance = piece.astype(np.int16) - point.astype(np.int16)
            histogram.add(distance.view(np.uint16))
    return TensorValues(
        elements=tensor.elements or 0,
        zeros=zeros,
        near_zeros=zeros,
        clusters=None,
        values_sha256=histogram.digest("integer") if comparable else None,
    )


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
