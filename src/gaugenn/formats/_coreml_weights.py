"""Weights of Core ML programs: the file they lie in, and the ways in which they are compressed.

The file has a header of 64 bytes and, each at a multiple of 64, entries that say how many bytes lie
where. Programs refer to entries by their offset.

**Source:** https://github.com/apple/coremltools/blob/main/mlmodel/src/MILBlob/Blob/StorageFormat.hpp,
https://apple.github.io/coremltools/source/coremltools.converters.mil.mil.ops.defs.html (`constexpr_`
operations of iOS 16; those of iOS 18 are recognised, their weights are not unpacked)
"""

import math
import re
import struct
from collections.abc import Mapping
from functools import partial

import numpy as np
import numpy.typing as npt

from gaugenn.content import Content
from gaugenn.errors import FormatError
from gaugenn.formats._coreml_values import Blob, Literal, ValueType, checked
from gaugenn.graph import DataType, LazyBytes, Quantization, Tensor, TensorData, TensorKind

MODEL_PATH = "@model_path/"
_FILE_NAME = re.compile(rb"@model_path/([\w./-]{1,200}?\.bin)")
_MOST_FILES = 64
_ENTRY = struct.Struct("<2I2Q")
_SENTINEL = 0xDEADBEEF
_MOST_SCALES = 1 << 20
_MOST_SPELLED_BYTES = 1 << 25
_FLAT_BITS = (1, 2, 3, 4, 6, 8)


def weight_files(content: Content) -> tuple[Content, ...]:
    """The files that a program names as those of its weights, by a look at its bytes."""
    names = {bytes(found[1]) for found in _FILE_NAME.finditer(content.data)}
    beside = (content.beside(name.decode()) for name in sorted(names)[:_MOST_FILES])
    return tuple(file for file in beside if file is not None)


class WeightFiles:
    """The files beside a program.

    Args:
        content: the file with the program.
        notes: `weights-absent` and `weights-packed` are added to it.
    """

    def __init__(self, content: Content, notes: set[str]) -> None:
        self._content = content
        self._files: dict[str, Content | None] = {}
        self._left = _MOST_SPELLED_BYTES
        self.notes = notes

    def spend(self, size_bytes: int) -> None:
        """Accounts for scales and zero points that are spelled out.

        Raises:
            FormatError: more than a program has that does not repeat them to no end.
        """
        self._left -= size_bytes
        if self._left < 0:
            raise FormatError(f"more than {_MOST_SPELLED_BYTES} bytes of scales")

    @property
    def used(self) -> tuple[str, ...]:
        """Names, relative to the program's folder, of the files that are there."""
        return tuple(sorted(name for name, file in self._files.items() if file is not None))

    def tensor(self, name: str, value: Literal) -> Tensor:
        """A constant as a tensor of the graph.

        Raises:
            FormatError: the weights are not where they should be, or of another size.
        """
        return Tensor(
            name=name,
            dtype=value.type.dtype,
            shape=value.type.shape,
            data=self.data(value, name),
            kind=TensorKind.CONSTANT,
        )

    def data(self, value: Literal, what: str) -> TensorData | None:
        """A constant's bytes, or None for text and for weights that are not there."""
        if value.blob is None:
            return value.data
        held = self._held(value.blob, what)
        if held is None:
            self.notes.add("weights-absent")
            return None
        if value.type.dtype.bits is None:
            return None
        checked(value.type, held.nbytes, what)
        return held

    def _held(self, blob: Blob, what: str) -> memoryview | None:
        name = blob.file_name.removeprefix(MODEL_PATH)
        if name not in self._files:
            self._files[name] = self._content.beside(name)
        file = self._files[name]
        if file is None:
            return None
        if blob.offset + _ENTRY.size > file.size_bytes:
            raise FormatError(
                f"{what}: an entry at {blob.offset} of {name}, which has {file.size_bytes} bytes"
            )
        sentinel, _, size, offset = _ENTRY.unpack_from(file.data, blob.offset)
        if sentinel != _SENTINEL:
            raise FormatError(f"{what}: no entry begins at byte {blob.offset} of {name}")
        if offset + size > file.size_bytes:
            raise FormatError(
                f"{what}: {size} bytes at {offset} of {name}, which has {file.size_bytes}"
            )
        return file.data[offset : offset + size]


def constant_expression(
    kind: str,
    name: str,
    type_: ValueType,
    given: Mapping[str, Literal | Tensor],
    files: WeightFiles,
) -> Tensor:
    """Weights that a program unpacks when it is loaded, as one constant.

    Affine quantisation stays as it is stored. What has a table or a mask is unpacked when it is read.
    Everything else has a shape and no data, with the note `weights-packed`.

    Raises:
        FormatError: the parts do not fit each other.
    """
    parts = {key: each for key, each in given.items() if isinstance(each, Literal)}
    made: Tensor | None = None
    if kind == "constexpr_affine_dequantize":
        made = _affine(name, parts, files)
    elif kind == "constexpr_lut_to_dense":
        made = _looked_up(name, parts, files)
    elif kind == "constexpr_sparse_to_dense":
        made = _scattered(name, parts, files)
    if made is not None:
        return made
    files.notes.add("weights-packed")
    return Tensor(name=name, dtype=type_.dtype, shape=type_.shape, kind=TensorKind.CONSTANT)


def _affine(name: str, parts: Mapping[str, Literal], files: WeightFiles) -> Tensor | None:
    """Real = scale * (stored - zero point), by tensor or along an axis."""
    stored, scale = parts.get("quantized_data"), parts.get("scale")
    if stored is None or scale is None or stored.type.shape is None:
        return None
    scales = _spelled(scale, name, files)
    zero = parts.get("zero_point")
    points = () if zero is None else _spelled(zero, name, files)
    axes = None if "axis" not in parts else parts["axis"].integers()
    if scales is None or points is None or not scales.size or scales.size > _MOST_SCALES:
        return None
    count = len(stored.type.shape)
    axis = axes[0] % count if axes and count and len(scales) > 1 else None
    return Tensor(
        name=name,
        dtype=stored.type.dtype,
        shape=stored.type.shape,
        data=files.data(stored, name),
        kind=TensorKind.CONSTANT,
        quantization=Quantization(
            scales=tuple(float(each) for each in scales),
            zero_points=tuple(int(each) for each in points),
            axis=axis,
        ),
    )


def _spelled(value: Literal, name: str, files: WeightFiles) -> npt.NDArray[np.generic] | None:
    """The numbers of a constant, wherever they lie; None where they are absent."""
    data = files.data(value, name)
    if data is None or value.type.shape is None:
        return None
    files.spend(data.nbytes if isinstance(data, memoryview) else data.size_bytes)
    tensor = Tensor(name=name, dtype=value.type.dtype, shape=value.type.shape, data=data)
    return tensor.array().reshape(-1)


def _looked_up(name: str, parts: Mapping[str, Literal], files: WeightFiles) -> Tensor | None:
    """Each element is an index of 1 to 8 bits, packed from the lowest bit on, into a table."""
    indices, table = parts.get("indices"), parts.get("lut")
    sizes = None if "shape" not in parts else parts["shape"].integers()
    if (
        indices is None
        or table is None
        or sizes is None
        or indices.type.dtype is not DataType.UINT8
    ):
        return None
    packed, values = files.data(indices, name), files.data(table, name)
    if not isinstance(packed, memoryview) or not isinstance(values, memoryview):
        return None
    entries = math.prod(n for n in table.type.shape or () if isinstance(n, int))
    bits, elements = entries.bit_length() - 1, math.prod(sizes)
    width = table.type.dtype.bits
    if 1 << bits != entries or bits not in _FLAT_BITS or not width or min(sizes, default=1) < 0:
        raise FormatError(f"{name}: a table of {entries} entries")
    if packed.nbytes != (elements * bits + 7) // 8:
        raise FormatError(f"{name}: {packed.nbytes} bytes of indices for {elements} elements")
    size = elements * width // 8
    return Tensor(
        name=name,
        dtype=table.type.dtype,
        shape=sizes,
        data=LazyBytes(size_bytes=size, load=partial(_gathered, packed, values, bits, elements)),
        kind=TensorKind.CONSTANT,
    )


def _gathered(packed: memoryview, table: memoryview, bits: int, elements: int) -> memoryview:
    width = table.nbytes >> bits
    entries = np.frombuffer(table, np.uint8).reshape(-1, width)
    out = np.empty((elements, width), np.uint8)
    step = 1 << 16  # a multiple of 8 elements ends on a whole byte
    for start in range(0, elements, step):
        count = min(step, elements - start)
        first = start * bits // 8
        raw = np.frombuffer(packed, np.uint8)[first : first + (count * bits + 7) // 8]
        places = np.unpackbits(raw, bitorder="little")[: count * bits].reshape(count, bits)
        out[start : start + count] = entries[places @ (1 << np.arange(bits))]
    return out.data.cast("B").toreadonly()


def _scattered(name: str, parts: Mapping[str, Literal], files: WeightFiles) -> Tensor | None:
    """One bit an element says whether it is among those that are stored."""
    held, mask = parts.get("nonzero_data"), parts.get("mask")
    sizes = None if "shape" not in parts else parts["shape"].integers()
    if held is None or mask is None or sizes is None or mask.type.dtype is not DataType.UINT8:
        return None
    values, bits = files.data(held, name), files.data(mask, name)
    width = held.type.dtype.bits
    if not isinstance(values, memoryview) or not isinstance(bits, memoryview) or not width:
        return None
    elements = math.prod(sizes)
    if min(sizes, default=1) < 0 or bits.nbytes != (elements + 7) // 8:
        raise FormatError(f"{name}: a mask of {bits.nbytes} bytes for {elements} elements")
    size = elements * width // 8
    return Tensor(
        name=name,
        dtype=held.type.dtype,
        shape=sizes,
        data=LazyBytes(size_bytes=size, load=partial(_spread, values, bits, elements, width // 8)),
        kind=TensorKind.CONSTANT,
        sparse=True,
    )


def _spread(values: memoryview, mask: memoryview, elements: int, width: int) -> memoryview:
    there = np.unpackbits(np.frombuffer(mask, np.uint8), bitorder="little")[:elements].view(bool)
    count = int(np.count_nonzero(there))
    if values.nbytes != count * width:
        raise FormatError(f"{values.nbytes} bytes for {count} elements that are not zero")
    out = np.zeros((elements, width), np.uint8)
    out[there] = np.frombuffer(values, np.uint8).reshape(count, width)
    return out.data.cast("B").toreadonly()
