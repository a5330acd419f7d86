"""Sparse tensors of TensorFlow Lite files, decoded to their dense form when asked for.

A sparse tensor lists its dimensions in traversal order, inner blocks last. A dense dimension has a
size; a sparse one has compressed rows: where each row starts, and the coordinate of each entry.

**Source:** https://github.com/google-ai-edge/LiteRT/blob/main/tflite/converter/schema/schema.fbs
(`SparsityParameters`), "The Tensor Algebra Compiler", https://doi.org/10.1145/3133901
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gaugenn.errors import FormatError, UnsupportedFormatError
from gaugenn.formats._flatbuffers import Table
from gaugenn.formats._tflite_schema import SPARSE_INDEX_KINDS, SparsityField
from gaugenn.graph import DataType, LazyBytes

_HIGHEST_RATIO = 1024
"""Dense bytes for a stored byte. Pruning beyond 99.9 % is not done; beyond this it is a bomb."""
_FREE_BYTES = 1 << 20
"""Dense sizes up to this need no ratio."""

_Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Level:
    """One dimension in traversal order; `segments` is None for a dense one."""

    size: int
    segments: npt.NDArray[np.generic] | None
    indices: npt.NDArray[np.generic] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sparse:
    """A sparse tensor: its index, its stored elements, and its dense shape."""

    where: str
    order: tuple[int, ...]
    block_map: tuple[int, ...]
    levels: tuple[_Level, ...]
    stored: memoryview
    element_bytes: int
    shape: tuple[int, ...]

    def dense(self) -> memoryview:
        """The elements of the dense tensor in row-major order, those not stored as zero.

        Raises:
            FormatError: an index that contradicts the shape or the number of stored elements.
        """
        parents = 1
        elements = math.prod(self.shape)
        coordinates: list[_Integers] = []
        for number, level in enumerate(self.levels):
            entries = parents * level.size if level.indices is None else level.indices.size
            if entries > elements:
                raise FormatError(
                    f"{self.where}: the sparse index has more than {elements} entries"
                )
            if level.segments is None or level.indices is None:
                repeats: int | _Integers = level.size
                own = np.tile(np.arange(level.size, dtype=np.int64), parents)
            else:
                own = level.indices.astype(np.int64)
                repeats = self._row_lengths(level.segments.astype(np.int64), own, parents, number)
                if own.size and not 0 <= int(own.min()) <= int(own.max()) < level.size:
                    raise FormatError(
                        f"{self.where}: sparse dimension {number} leaves {level.size}"
                    )
            coordinates = [np.repeat(outer, repeats) for outer in coordinates]
            coordinates.append(own)
            parents = own.size
        stored = np.frombuffer(self.stored, f"V{self.element_bytes}")
        if stored.size != parents:
            raise FormatError(
                f"{self.where}: {stored.size} elements are stored, the sparse index has {parents}"
            )
        dense = np.zeros(math.prod(self.shape), stored.dtype)
        dense[self._flat(coordinates)] = stored
        return dense.view(np.uint8).data.toreadonly()

    def _row_lengths(
        self, segments: _Integers, indices: _Integers, parents: int, number: int
    ) -> _Integers:
        lengths: _Integers = np.diff(segments)
        is_whole = segments.size == parents + 1 and int(segments[0]) == 0
        if not is_whole or int(segments[-1]) != indices.size or bool((lengths < 0).any()):
            raise FormatError(f"{self.where}: the rows of sparse dimension {number} do not fit")
        return lengths

    def _flat(self, coordinates: list[_Integers]) -> _Integers:
        """Row-major positions in the dense tensor."""
        rank = len(self.shape)
        by_dimension: list[_Integers] = [np.zeros(0, np.int64)] * len(coordinates)
        for level, dimension in enumerate(self.order):
            by_dimension[dimension] = coordinates[level]
        position: _Integers = np.zeros(coordinates[-1].size, np.int64)
        for dimension, size in enumerate(self.shape):
            coordinate = by_dimension[dimension]
            for block, mapped in enumerate(self.block_map):
                if mapped == dimension:
                    inner = self.levels[self.order.index(rank + block)].size
                    coordinate = coordinate * inner + by_dimension[rank + block]
            position = position * size + coordinate
        return position


def sparse_bytes(
    table: Table, stored: memoryview, dtype: DataType, shape: tuple[int, ...], where: str
) -> LazyBytes:
    """The dense bytes of a sparse tensor, decoded when loaded.

    Args:
        table: the tensor's sparsity table.
        stored: the stored elements.
        dtype: their type.
        shape: the dense shape.
        where: file and tensor, for messages.

    Raises:
        FormatError: an index that does not belong to this shape. What only decoding can tell is
            raised by `load`.
    """
    order = table.integers(SparsityField.TRAVERSAL_ORDER)
    block_map = table.integers(SparsityField.BLOCK_MAP)
    dimensions = table.tables(SparsityField.DIMENSIONS)
    rank, count = len(shape), len(shape) + len(block_map)
    is_order = len(order) == len(dimensions) == count and sorted(order) == list(range(count))
    if not is_order or not rank or any(not 0 <= d < rank for d in block_map) or min(shape) < 0:
        raise FormatError(f"{where}: the sparse index {order} {block_map} is not one of {shape}")
    dense_bytes = dtype.size_bytes(math.prod(shape))
    if dense_bytes is None or dense_bytes > _FREE_BYTES + _HIGHEST_RATIO * stored.nbytes:
        raise FormatError(
            f"{where}: {stored.nbytes} stored bytes claim to be a tensor of {dtype} {shape}"
        )
    blocks = {
        rank + i: dimensions[order.index(rank + i)].integer(SparsityField.DENSE_SIZE)
        for i in range(len(block_map))
    }
    expected = list(shape) + [blocks[rank + i] for i in range(len(block_map))]
    for i, mapped in enumerate(block_map):
        inner = blocks[rank + i]
        if inner < 1 or expected[mapped] % inner:
            raise FormatError(f"{where}: blocks of {inner} do not divide {shape}")
        expected[mapped] //= inner
    levels = tuple(
        _level(dimensions[i], expected[dimension], where) for i, dimension in enumerate(order)
    )

    def load() -> memoryview:
        bits = dtype.bits
        if bits is None or bits % 8:
            raise UnsupportedFormatError(f"{where}: sparse {dtype} elements cannot be decoded")
        if stored.nbytes % (bits // 8):
            raise FormatError(f"{where}: {stored.nbytes} bytes are no whole {dtype} elements")
        return _Sparse(
            where=where,
            order=order,
            block_map=block_map,
            levels=levels,
            stored=stored,
            element_bytes=bits // 8,
            shape=shape,
        ).dense()

    return LazyBytes(size_bytes=dense_bytes, load=load)


def _level(table: Table, expected: int, where: str) -> _Level:
    code = table.integer(SparsityField.FORMAT, "i8")
    if code not in (0, 1):
        raise FormatError(f"{where}: dimension format {code}; expected 0 (dense) or 1 (sparse)")
    if code == 0:
        size = table.integer(SparsityField.DENSE_SIZE)
        if size != expected:
            raise FormatError(f"{where}: a dense dimension of {size}; expected {expected}")
        return _Level(size=size, segments=None, indices=None)
    segments = _index(table, SparsityField.SEGMENTS, where)
    indices = _index(table, SparsityField.INDICES, where)
    return _Level(size=expected, segments=segments, indices=indices)


def _index(table: Table, number: int, where: str) -> npt.NDArray[np.generic]:
    member, values = table.union(number)
    kind = SPARSE_INDEX_KINDS.get(member)
    if values is None or kind is None:
        raise FormatError(f"{where}: a sparse dimension without index (kind {member})")
    return values.array(0, kind)
