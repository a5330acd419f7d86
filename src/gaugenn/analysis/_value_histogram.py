"""How often each value occurs in a weight, at the speed of the memory's caches.

Values are counted by patterns of 16 bits: of floats the bits of the nearest 16-bit float, of packed
integers their bytes in pairs. What is counted at once fits a core's second-level cache.

Of many floats a sample is counted: those whose rounded fraction begins with certain seven bits. Which
they are follows from each value alone, so the sample is the same in every order and precision, and it
reaches over all magnitudes. To find them takes a few vectorised steps, to count all takes a table.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BINS = 1 << 16
NEGATIVE_ZERO = 0x8000
BLOCK = 1 << 15
"""Floats that are rounded in one step: 128 KiB of them, and as much for each of three buffers."""

_FEW = 4096
"""Below this number sorting patterns beats a table of all."""

_TRIED = 1024
"""Of values that were not met before so many are looked at together."""

SAMPLED_FROM = 1 << 15
"""Floats of a tensor from which a sample of them stands for all."""

SAMPLE_MINIMUM = 128
"""With fewer in the sample all are counted: half of what equally frequent fractions would give."""

_SAMPLED_LENGTH = 7
_SAMPLED_FRACTION = 0b0101011
"""The first seven of the fraction's ten bits: none that round numbers have."""
_SAMPLED_BITS = 0x03F8
_SAMPLED_PATTERN = _SAMPLED_FRACTION << 3
_MAGNITUDE_16 = 0x7FFF
_SMALLEST_NORMAL_16 = 0x0400
_INFINITY_16 = 0x7C00

Patterns = npt.NDArray[np.uint16]
Counts = npt.NDArray[np.int64]


def _constant(value: int) -> npt.NDArray[np.int32]:
    """An operand that numpy need not convert in each call."""
    return np.array(value, dtype=np.int32)


_MAGNITUDE = _constant(0x7FFF_FFFF)
_ONE = _constant(1)
_DROPPED = _constant(13)
"""Bits of a 32-bit float's fraction (23) beyond those of a 16-bit float (10)."""
_REBIAS_AND_ROUND = _constant((1 << 12) - 1 - ((127 - 15) << 23))
"""Almost half of what is dropped, and the difference between the exponents' biases."""
_INFINITY = _constant(0x7C00)
_SMALLEST_NORMAL = _constant(0x3880_0000)
"""2**-14 as a 32-bit float. Smaller 16-bit floats are multiples of 2**-24."""
_HALF = _constant(0x3F00_0000)
"""0.5 as a 32-bit float. The floats from there to 1 are 2**-24 apart."""
_SIXTEEN = _constant(16)
_SIGN = _constant(-NEGATIVE_ZERO)


@dataclass(frozen=True, slots=True, kw_only=True)
class NearZeros:
    """Values of a run that are zero, and that are at most some limit in absolute value."""

    zeros: int = 0
    near: int = 0


class Rounding:
    """Rounds runs of 32-bit floats to 16-bit ones, to nearest, ties to even.

    The same as numpy's conversion, except that not-a-number becomes infinity; but on the way zeros are
    counted, and every step is one of numpy's vectorised loops over integers in the cache.

    Args:
        near_zero: what counts as near zero.

    **Source:** IEEE 754-2019, sections 3.4 (binary16 and binary32) and 4.3.1 (ties to even).
    """

    def __init__(self, near_zero: float) -> None:
        self._near = _constant(int(np.float32(near_zero).view(np.int32)))
        self._buffers = np.empty((3, BLOCK), np.int32)
        self._is_near = np.empty(BLOCK, np.bool_)

    def round(self, values: npt.NDArray[np.float32], out: Patterns) -> NearZeros:
        """Writes the bits of the nearest 16-bit floats, and counts zeros on the way.

        Args:
            values: of any length.
            out: as many patterns.
        """
        zeros = near = 0
        bits = values.view(np.int32)
        with np.errstate(invalid="ignore"):
            for start in range(0, bits.size, BLOCK):
                found = self._block(bits[start : start + BLOCK], out[start : start + BLOCK])
                zeros += found.zeros
                near += found.near
        return NearZeros(zeros=zeros, near=near)

    def _block(self, bits: npt.NDArray[np.int32], out: Patterns) -> NearZeros:
        magnitudes, normal, small = self._buffers[:, : bits.size]
        np.bitwise_and(bits, _MAGNITUDE, out=magnitudes)
        np.right_shift(magnitudes, _DROPPED, out=normal)
        np.bitwise_and(normal, _ONE, out=normal)
        np.add(normal, magnitudes, out=normal)
        np.add(normal, _REBIAS_AND_ROUND, out=normal)
        np.right_shift(normal, _DROPPED, out=normal)
        np.minimum(normal, _INFINITY, out=normal)
        # Added to 0.5, a number's last bit is worth 2**-24: small ones are rounded as they should be.
        # What this gives for a small number is the larger of the two, for all others it is 2**-14.
        np.minimum(magnitudes, _SMALLEST_NORMAL, out=small)
        np.add(small.view(np.float32), np.float32(0.5), out=small.view(np.float32))
        np.subtract(small, _HALF, out=small)
        np.maximum(normal, small, out=normal)
        is_near = np.less_equal(magnitudes, self._near, out=self._is_near[: bits.size])
        near = int(np.count_nonzero(is_near))
        zeros = bits.size - int(np.count_nonzero(magnitudes)) if near else 0
        np.right_shift(bits, _SIXTEEN, out=small)
        np.bitwise_and(small, _SIGN, out=small)
        np.bitwise_or(normal, small, out=normal)
        np.copyto(out, normal, casting="unsafe")
        return NearZeros(zeros=zeros, near=near)


def is_sampled(patterns: Patterns) -> npt.NDArray[np.bool_]:
    """Which patterns belong to the sample: normal 16-bit floats with a certain fraction."""
    magnitudes = patterns & np.uint16(_MAGNITUDE_16)
    chosen = (magnitudes & np.uint16(_SAMPLED_BITS)) == np.uint16(_SAMPLED_PATTERN)
    found: npt.NDArray[np.bool_] = (
        chosen & (magnitudes >= _SMALLEST_NORMAL_16) & (magnitudes < _INFINITY_16)
    )
    return found


class Sampling:
    """Picks what may belong to the sample out of runs of floats, and counts near zeros on the way.

    Five vectorised steps over integers in the cache, two more where a run holds values near zero.

    Args:
        dtype: unsigned integers as wide as the floats whose bits they are.
        fraction_bits: how many of them are the fraction: 23, 10, or 7.
        near: the bits of the largest magnitude that counts as near zero.
    """

    def __init__(self, dtype: npt.DTypeLike, fraction_bits: int, near: int) -> None:
        kind = np.dtype(dtype)
        self._block = BLOCK * 4 // kind.itemsize
        self._buffer = np.empty(self._block, kind)
        self._chosen = np.empty(self._block, np.bool_)
        # Rounding to 10 bits of fraction moves a value by up to half of the last of these.
        reach = (1 << fraction_bits - 10) // 2 if fraction_bits > 10 else 0
        width = (1 << fraction_bits - _SAMPLED_LENGTH) - (0 if reach else 1)
        self._lowest = np.array(
            (_SAMPLED_FRACTION << fraction_bits - _SAMPLED_LENGTH) - reach, kind
        )
        self._width = np.array(width, kind)
        self._fraction = np.array((1 << fraction_bits) - 1, kind)
        self._magnitude = np.array((1 << 8 * kind.itemsize - 1) - 1, kind)
        self._near = np.array(near, kind)
        self.zeros = self.near_zeros = 0

    def pick(self, values: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        """The bits of those that may be sampled, a superset of those that are.

        Args:
            values: bits of floats, of any number.
        """
        step = self._block
        picked = [self._pick(values[at : at + step]) for at in range(0, values.size, step)]
        return np.concatenate(picked) if picked else values[:0]

    def _pick(self, values: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        buffer, chosen = self._buffer[: values.size], self._chosen[: values.size]
        np.bitwise_and(values, self._magnitude, out=buffer)
        if buffer.min() <= self._near:
            self.zeros += values.size - int(np.count_nonzero(buffer))
            np.less_equal(buffer, self._near, out=chosen)
            self.near_zeros += int(np.count_nonzero(chosen))
        np.subtract(buffer, self._lowest, out=buffer)
        np.bitwise_and(buffer, self._fraction, out=buffer)
        np.less_equal(buffer, self._width, out=chosen)
        return values[chosen]


class Distinct:
    """Counts distinct floats until there are too many.

    As a rule each has a 16-bit pattern of its own: then a table says that it is known, without sorting.

    Args:
        most: above this it stops looking.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: npt.NDArray[np.floating] | None = None
        self._table: npt.NDArray[np.floating] | None = None

    @property
    def count(self) -> int:
        """Distinct values so far; 0 for too many."""
        found = 0 if self._known is None else self._known.size
        return found if found <= self._most else 0

    def add(self, patterns: Patterns, values: npt.NDArray[np.floating]) -> None:
        """Looks at values, given with their patterns."""
        if self._known is None or self._table is None:
            self._known = np.empty(0, values.dtype)
            self._table = np.full(BINS, np.nan, values.dtype)
        while self._known.size <= self._most:
            unknown = self._table.take(patterns) != values
            rest = values[unknown]
            if not rest.size:
                return
            before = self._known.size
            self._table[patterns[unknown][:_TRIED]] = rest[:_TRIED]
            self._known = np.union1d(self._known, rest[:_TRIED])
            if self._known.size == before:  # several share a pattern, or they are not numbers
                self._known = np.union1d(self._known, rest)
                return


class Histogram:
    """Counts of 16-bit patterns. Small tensors are counted without 65,536 bins."""

    def __init__(self) -> None:
        self._counts: Counts | None = None
        self._few: list[Patterns] = []
        self._held = 0

    def add(self, patterns: Patterns) -> None:
        """Counts patterns, which are not kept."""
        if self._counts is None:
            self._held += patterns.size
            if self._held < BINS // 4:
                self._few.append(patterns.copy())
                return
            self._counts = np.zeros(BINS, dtype=np.int64)
            for held in self._few:
                self._counts += np.bincount(held, minlength=BINS)
            self._few.clear()
        self._counts += np.bincount(patterns, minlength=BINS)

    def counted(self) -> tuple[Patterns, Counts]:
        """The patterns that occur, ascending, and how often."""
        if self._counts is not None:
            found = np.flatnonzero(self._counts)
            return found.astype(np.uint16), self._counts[found]
        held = np.concatenate(self._few) if self._few else np.empty(0, dtype=np.uint16)
        patterns, counts = np.unique(held, return_counts=True)
        return patterns, counts.astype(np.int64)


def merged(patterns: Patterns, counts: Counts) -> tuple[Patterns, Counts]:
    """Patterns in ascending order, each once, without those that do not occur."""
    if patterns.size < _FEW:
        few, where = np.unique(patterns, return_inverse=True)
        sums = np.zeros(few.size, dtype=np.int64)
        np.add.at(sums, where, counts)
        return few[sums > 0], sums[sums > 0]
    total = np.zeros(BINS, dtype=np.int64)
    np.add.at(total, patterns, counts)
    found = np.flatnonzero(total)
    return found.astype(np.uint16), total[found]


def byte_counts(data: npt.NDArray[np.uint8]) -> Counts:
    """How often each of the 256 byte values occurs; many bytes are counted as pairs."""
    if data.size < BINS:
        return np.bincount(data, minlength=256).astype(np.int64)
    even = data.size // 2 * 2
    table = np.bincount(data[:even].view(np.uint16), minlength=BINS).reshape(256, 256)
    found: Counts = table.sum(axis=0) + table.sum(axis=1)
    if even < data.size:
        found[data[even]] += 1
    return found


def digest(kind: str, patterns: Patterns, counts: Counts) -> str:
    """SHA-256 of what is counted, for patterns in ascending order."""
    state = hashlib.sha256(kind.encode())
    state.update(patterns.astype("<u2").tobytes())
    state.update(counts.astype("<i8").tobytes())
    return state.hexdigest()
