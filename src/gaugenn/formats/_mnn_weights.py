"""Weights of MNN files: constants, float vectors, and convolution weights in compressed forms.

Compressed weights begin with a header: the number of dimensions (one byte), the dimensions (16 or 32
bits each), the number of distinct values (one byte, 0 for 256) and the values (int8). Indices into the
sorted values follow, packed most significant bit first. Where the values are all the integers of some
bits, the index is the value shifted to start at 0, and 4 and 2 bits become `int4` and `int2` here. The
sparse form stores the distances of the non-zero elements as well.

**Source:** https://github.com/alibaba/MNN/blob/master/source/core/ConvolutionCommon.cpp
"""

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from gaugenn.content import Content
from gaugenn.errors import FormatError
from gaugenn.formats import _mnn_schema as schema
from gaugenn.formats._flatbuffers import Table
from gaugenn.formats._mnn_schema import BlobField, CompressionField
from gaugenn.graph import (
    DataType,
    LazyBytes,
    Quantization,
    Shape,
    Tensor,
    TensorData,
    TensorKind,
)

_KINDS = {
    "f32": DataType.FLOAT32,
    "i32": DataType.INT32,
    "u8": DataType.UINT8,
    "i8": DataType.INT8,
}
_INDEXED, _SPARSE, _HALF, _PLAIN = 1, 2, 3, 4
_PACKED = {2: DataType.INT2, 4: DataType.INT4}
_MOST_DIMENSIONS = 4
_MOST_SCALES = 1 << 16
_HIGHEST_RANK = 64
_DENSE_FREE_BYTES = 32 << 20
_DENSE_RATIO = 1000
"""A sparse weight may unfold to that much, or that many times what is stored of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    """Head of compressed weights.

    Attributes:
        elements: product of the dimensions.
        after: where the rest begins.
    """

    elements: int
    after: int


class WeightSource:
    """Weights of one file and of the weights file beside it.

    Attributes:
        notes: remarks for `Model.notes` that the weights gave rise to.
        companion: the weights file, once it was used.
    """

    def __init__(self, content: Content, weights: Content | None) -> None:
        self.notes: set[str] = set()
        self.companion: Content | None = None
        self._content = content
        self._weights = weights

    def external(self, place: tuple[int, ...], part: int) -> memoryview | None:
        """A part of the weights file; parts lie one after another. None when the file is absent.

        Args:
            place: where the first part starts, then the size of each.
            part: its number, from 0.
        """
        if part + 1 >= len(place) or min(place) < 0:
            return None
        start, size = place[0] + sum(place[1 : part + 1]), place[part + 1]
        if self._weights is None:
            return None
        self.companion = self._weights
        if start + size > self._weights.size_bytes:
            raise self.error(
                f"weights of {size} bytes at {start} leave the weights file of "
                f"{self._weights.size_bytes}"
            )
        return self._weights.data[start : start + size]

    def vector(
        self, table: Table, number: int, kind: str, outside: memoryview | None = None
    ) -> memoryview | None:
        """The bytes of a vector of numbers, or those given in its place where it is empty."""
        array = table.array(number, kind)
        if not array.size:
            return outside if outside is None or outside.nbytes else None
        return array.data.cast("B")

    def constant(self, name: str, dtype: DataType, shape: Shape, data: TensorData | None) -> Tensor:
        """A constant, which may be absent."""
        tensor = Tensor(name=name, dtype=dtype, shape=shape, data=data, kind=TensorKind.CONSTANT)
        if data is None and tensor.elements != 0:
            self.notes.add("weights-absent")
        elif data is None:
            return self.constant(name, dtype, shape, memoryview(b""))
        return tensor

    def typed_vector(self, name: str, kind: str, data: memoryview | None, count: int) -> Tensor:
        """A one-dimensional constant of the elements that are there, or of `count` absent ones."""
        dtype = _KINDS[kind]
        width = (dtype.bits or 8) // 8
        if data is None:
            return self.constant(name, dtype, (max(count, 0),), None)
        if data.nbytes % width:
            raise self.error(f"{name!r}: {data.nbytes} bytes are no vector of {dtype}")
        return self.constant(name, dtype, (data.nbytes // width,), data)

    def blob(self, table: Table, name: str) -> Tensor:
        """The constant that a blob holds."""
        shape = table.integers(BlobField.DIMENSIONS)
        if min(shape, default=0) < 0 or len(shape) > _HIGHEST_RANK:
            raise self.error(f"{name!r}: a constant cannot have the dimensions {shape}")
        code = table.integer(BlobField.TYPE, "i32", 1)
        if not 0 <= code < len(schema.DATA_TYPES):
            raise self.error(f"{name!r}: element type {code} is not known")
        dtype = schema.DATA_TYPES[code]
        if dtype is DataType.STRING:
            return self._texts(table, name, shape)
        elements = math.prod(shape)
        outside = self.external(table.integers(BlobField.EXTERNAL, "i64"), 0)
        # The type may be one that is stored as another: booleans as int32.
        order = [dtype] if dtype in schema.BLOB_VECTORS else []
        for candidate in (*order, *schema.BLOB_VECTORS):
            number, kind = schema.BLOB_VECTORS[candidate]
            data = self.vector(table, number, kind)
            if data is not None and data.nbytes == candidate.size_bytes(elements):
                return self.constant(name, candidate, shape, data)
            if data is not None and candidate is dtype:
                raise self.error(
                    f"{name!r}: {dtype} {shape} needs {dtype.size_bytes(elements)} bytes, "
                    f"{data.nbytes} are there"
                )
        return self.constant(name, dtype, shape, outside)

    def _texts(self, table: Table, name: str, shape: tuple[int, ...]) -> Tensor:
        texts = [text.encode() for text in table.strings(BlobField.STRINGS)]
        if len(texts) != math.prod(shape):
            raise self.error(f"{name!r}: {len(texts)} texts for the dimensions {shape}")
        data = b"".join(struct.pack("<I", len(text)) + text for text in texts)
        return self.constant(name, DataType.STRING, shape, memoryview(data))

    def compressed(
        self, table: Table, name: str, shape: Shape, buffer: memoryview, alpha: memoryview | None
    ) -> tuple[Tensor, ...]:
        """The weight that compressed bytes stand for, and its scales where these are many.

        Args:
            table: the compression's parameters.
            name: of the weight.
            shape: of the weight, with "?" for what the file does not tell.
            buffer: the compressed bytes.
            alpha: the scales, in pairs with minima where the weight is asymmetric.
        """
        values = table.read(schema.COMPRESSION)
        kind = values["type"]
        scales = _alpha(table, alpha)
        if kind == _HALF:
            return (self._filled(name, DataType.FLOAT16, shape, buffer, buffer.nbytes // 2),)
        wide = bool(values["shapeInt32"])
        bits = 8
        data: TensorData
        if kind == _PLAIN:
            data, elements = buffer, buffer.nbytes
        elif kind == _INDEXED:
            header = self._header(buffer, name, wide=wide)
            data, bits = self._indexed(buffer, header, name)
            elements = header.elements
        elif kind == _SPARSE:
            header = self._header(buffer, name, wide=wide)
            elements = header.elements
            if elements > max(_DENSE_FREE_BYTES, _DENSE_RATIO * buffer.nbytes):
                raise self.error(f"{name!r}: {buffer.nbytes} bytes would unfold to {elements}")
            load = partial(_unfold, buffer, header, scales, shape)
            data = LazyBytes(size_bytes=elements, load=load)
        else:
            raise self.error(f"{name!r}: weights are compressed in a way numbered {kind}")
        tensor = self._filled(name, _PACKED.get(bits, DataType.INT8), shape, data, elements)
        pair = _quantization(tensor, values, scales)
        if pair is None:
            return (tensor,)
        quantization, more = pair
        return (
            Tensor(
                name=name,
                dtype=tensor.dtype,
                shape=tensor.shape,
                data=tensor.data,
                kind=TensorKind.CONSTANT,
                quantization=quantization,
                sparse=kind == _SPARSE,
            ),
            *more,
        )

    def sparse_floats(self, table: Table, name: str, shape: Shape, alpha: memoryview) -> Tensor:
        """A float weight of which only the elements at given indices are stored."""
        indices = table.array(CompressionField.INDEX, "u32")
        size = int(table.integer(12, "u32"))
        values = np.frombuffer(alpha, "<f4")
        if indices.size != values.size or (indices.size and int(indices.max()) >= size):
            raise self.error(f"{name!r}: {values.size} values at {indices.size} places of {size}")
        if 4 * size > max(_DENSE_FREE_BYTES, _DENSE_RATIO * alpha.nbytes):
            raise self.error(f"{name!r}: {alpha.nbytes} bytes would unfold to {4 * size}")

        def load() -> memoryview:
            dense = np.zeros(size, "<f4")
            dense[indices] = values
            return memoryview(dense.tobytes())

        data = LazyBytes(size_bytes=4 * size, load=load)
        filled = self._filled(name, DataType.FLOAT32, shape, data, size)
        return Tensor(
            name=name,
            dtype=filled.dtype,
            shape=filled.shape,
            data=data,
            kind=TensorKind.CONSTANT,
            sparse=True,
        )

    def _filled(
        self, name: str, dtype: DataType, shape: Shape, data: TensorData, elements: int
    ) -> Tensor:
        return self.constant(name, dtype, self.completed(name, shape, elements), data)

    def completed(self, name: str, shape: Shape, elements: int) -> Shape:
        """The shape with its one unknown size taken from the number of elements."""
        known = math.prod(size for size in shape if isinstance(size, int))
        unknown = sum(isinstance(size, str) for size in shape)
        if unknown == 1 and known and elements % known == 0:
            return tuple(elements // known if isinstance(size, str) else size for size in shape)
        if unknown or known != elements:
            raise self.error(f"{name!r}: {elements} elements do not fill the shape {shape}")
        return shape

    def _header(self, buffer: memoryview, name: str, *, wide: bool) -> _Header:
        count = buffer[0] if buffer.nbytes else 0
        width = 4 if wide else 2
        if not 0 < count <= _MOST_DIMENSIONS or buffer.nbytes < 2 + count * width:
            raise self.error(f"{name!r}: compressed weights of {count} dimensions")
        sizes = struct.unpack_from(f"<{count}{'I' if wide else 'H'}", buffer, 1)
        return _Header(elements=math.prod(sizes), after=1 + count * width)

    def _indexed(self, buffer: memoryview, header: _Header, name: str) -> tuple[TensorData, int]:
        """The decoded bytes, and the bits of an element: 2, 4 or 8."""
        values, start = _values(buffer, header.after)
        bits = max(1, (len(values) - 1).bit_length())
        size = (bits * header.elements + 7) // 8
        if not len(values) or start + size > buffer.nbytes:
            raise self.error(
                f"{name!r}: {size} bytes of indices at {start} leave the {buffer.nbytes} bytes"
            )
        indices = buffer[start : start + size]
        is_linear = _is_linear(values, bits)
        packed = bits if is_linear and bits in _PACKED else 8
        load = partial(_look_up, indices, header.elements, bits, values, packed)
        return LazyBytes(size_bytes=(packed * header.elements + 7) // 8, load=load), packed

    def error(self, problem: str) -> FormatError:
        """An error that says where."""
        return FormatError(f"{self._content.name}: {problem}")


def _values(buffer: memoryview, at: int) -> tuple[npt.NDArray[np.int8], int]:
    """The distinct values in ascending order, and where the bytes behind them begin."""
    count = (buffer[at] or 256) if at < buffer.nbytes else 0
    held = buffer[at + 1 : at + 1 + count]
    values = np.frombuffer(held, np.int8) if held.nbytes == count else np.empty(0, np.int8)
    return np.sort(values), at + 1 + count


def _is_linear(values: npt.NDArray[np.int8], bits: int) -> bool:
    half = 1 << (bits - 1)
    return len(values) == 2 * half and bool((values == np.arange(-half, half)).all())


def _unpack(data: memoryview, count: int, bits: int) -> npt.NDArray[np.uint8]:
    """Numbers of up to 8 bits, most significant bit first."""
    raw = np.frombuffer(data, np.uint8)
    if bits == 8:
        return raw[:count]
    found = np.empty(count, np.uint8)
    step = 1 << 16  # elements at a time; a multiple of 8, so that each block starts at a byte
    weights = 1 << np.arange(bits - 1, -1, -1, dtype=np.uint16)
    for start in range(0, count, step):
        some = min(step, count - start)
        first = start * bits // 8
        block = np.unpackbits(raw[first : first + (some * bits + 7) // 8])
        found[start : start + some] = block[: some * bits].reshape(some, bits) @ weights
    return found


def _look_up(
    indices: memoryview, count: int, bits: int, values: npt.NDArray[np.int8], packed: int
) -> memoryview:
    found = _unpack(indices, count, bits)
    if count and int(found.max()) >= len(values):
        raise FormatError(f"an index of {int(found.max())} into {len(values)} distinct values")
    decoded = values[found]
    if packed == 8:
        return memoryview(decoded.tobytes())
    lanes = 8 // packed
    wide = np.zeros(-(-count // lanes) * lanes, np.uint8)
    wide[:count] = decoded.view(np.uint8) & ((1 << packed) - 1)
    shifts = np.arange(0, 8, packed, dtype=np.uint8)
    return memoryview(np.bitwise_or.reduce(wide.reshape(-1, lanes) << shifts, axis=1).tobytes())


def _unfold(
    buffer: memoryview, header: _Header, scales: npt.NDArray[np.float32], shape: Shape
) -> memoryview:
    """The dense form of sparse int8 weights."""
    at = header.after
    if at + 5 > buffer.nbytes:
        raise FormatError("sparse weights end before their first element")
    count, bits = struct.unpack_from("<IB", buffer, at)
    at += 5
    size = (bits * count + 7) // 8
    if not 0 < bits <= 8 or at + size > buffer.nbytes:
        raise FormatError(f"{count} steps of {bits} bits leave the {buffer.nbytes} bytes")
    places = np.cumsum(_unpack(buffer[at : at + size], count, bits), dtype=np.int64)
    repeated, at = _values(buffer, at + size)
    values = np.unique(repeated)
    bits = max(1, (len(repeated) - 1).bit_length())
    size = (bits * count + 7) // 8
    if at + size > buffer.nbytes or (count and int(places[-1]) >= header.elements):
        raise FormatError(f"{count} sparse values leave the weights of {header.elements}")
    found = _unpack(buffer[at : at + size], count, bits)
    if count and int(found.max()) >= len(values):
        raise FormatError(f"an index of {int(found.max())} into {len(values)} distinct values")
    dense = np.zeros(header.elements, np.int8)
    rows = shape[0] if shape and isinstance(shape[0], int) else 0
    if rows and scales.size == 2 * rows and header.elements % rows == 0:
        low = -(1 << (bits - 1))
        smallest, steps = scales[0::2].astype(np.float64), scales[1::2].astype(np.float64)
        usable = steps > 1e-6
        zero = np.full(rows, low, np.float64)
        zero[usable] = np.round(-smallest[usable] / steps[usable]) + low
        filled = np.clip(zero, -128, 127).astype(np.int8)
        dense = np.repeat(filled, header.elements // rows)
    dense[places] = values[found]
    return memoryview(dense.tobytes())


def _alpha(table: Table, outside: memoryview | None) -> npt.NDArray[np.float32]:
    """The scales as float32, wherever and however wide they are stored."""
    is_half = table.integer(15, "i8") == 1
    number, kind = (CompressionField.HALF_ALPHA, "u16") if is_half else (1, "f32")
    held = table.array(number, kind)
    if not held.size and outside is not None:
        width = 2 if is_half else 4
        held = np.frombuffer(outside[: outside.nbytes // width * width], np.uint8)
    return held.view("<f2" if is_half else "<f4").astype(np.float32)


def _quantization(
    tensor: Tensor, values: Mapping[str, object], alpha: npt.NDArray[np.float32]
) -> tuple[Quantization, tuple[Tensor, ...]] | None:
    """Scales and zero points of a weight; the scales as a tensor of their own where they are many.

    The file stores the real value of the smallest integer instead of a zero point, which need not be
    a multiple of the scale: zero points here are the nearest integers.
    """
    lowest, factor = values["aMin"], values["quantScale"]
    is_old = values["type"] == _PLAIN and lowest == 0 and abs(_real(factor)) < 1e-6
    is_asymmetric = values["readType"] != 0 or is_old
    scale = np.float32(1 if values["has_scaleInt"] or is_old else _real(factor))
    with np.errstate(all="ignore"):  # what is not finite is no scale, see below
        scales = scale * (alpha[1::2] if is_asymmetric else alpha)
        minima = scale * (alpha[0::2] if is_asymmetric else alpha[:0])
    count = int(scales.size)
    shape = tensor.shape or ()
    if not count or not shape or not (np.isfinite(scales).all() and np.isfinite(minima).all()):
        return None
    axis, block = _blocks(shape, count)
    if axis is None and count > 1:
        return None
    zero_points: tuple[int, ...] = ()
    if is_asymmetric:
        low = -128 if not lowest else int(_real(lowest))
        safe = np.where(scales == 0, 1, scales).astype(np.float64)
        with np.errstate(over="ignore"):
            zeros = np.clip(np.round(low - minima.astype(np.float64) / safe), -(2**31), 2**31)
        zero_points = tuple(int(zero) for zero in zeros[:_MOST_SCALES])
    if count > _MOST_SCALES:
        named = Tensor(
            name=f"{tensor.name}/scales",
            dtype=DataType.FLOAT32,
            shape=(count,),
            data=memoryview(scales.astype("<f4").tobytes()),
            kind=TensorKind.CONSTANT,
        )
        quantization = Quantization(
            scales=(), axis=axis, block_size=block, scales_tensor=named.name
        )
        return quantization, (named,)
    return (
        Quantization(
            scales=tuple(scales.tolist()), zero_points=zero_points, axis=axis, block_size=block
        ),
        (),
    )


def _blocks(shape: Shape, count: int) -> tuple[int | None, int | None]:
    """The dimension that scales belong to, and how many elements share one along it."""
    if count == 1:
        return None, None
    sizes = [size for size in shape if isinstance(size, int)]
    if len(sizes) != len(shape) or not sizes[0]:
        return None, None
    if count == sizes[0]:
        return 0, None
    if sizes[0] % count == 0:  # transposed convolutions: as many as output channels
        return 0, sizes[0] // count
    if count % sizes[0]:
        return None, None
    per_row = count // sizes[0]
    if len(sizes) > 1 and math.prod(sizes[2:]) == 1 and sizes[1] % per_row == 0:
        return 1, sizes[1] // per_row
    return None, None


def _real(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
