"""The weights of a TensorFlow.js model: groups of files that are read as one, and what lies in them.

**Source:** `WeightsManifestConfig` in
https://github.com/tensorflow/tfjs/blob/master/tfjs-core/src/io/types.ts
"""

import math
import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gaugenn.content import Content
from gaugenn.errors import FormatError
from gaugenn.formats import _json
from gaugenn.formats._attributes import LARGEST
from gaugenn.graph import DataType, LazyBytes, Quantization, TensorData

_FILE_LIMIT = 100_000
_HIGHEST_RANK = 16
_TYPES = {
    each.value: each
    for each in (
        *(DataType.FLOAT16, DataType.FLOAT32, DataType.INT8, DataType.INT16, DataType.INT32),
        *(DataType.INT64, DataType.UINT8, DataType.UINT16, DataType.UINT32, DataType.BOOL),
        *(DataType.COMPLEX64, DataType.STRING, DataType.FLOAT64),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """A weight: its element type as stored, and how that maps to real numbers."""

    name: str
    dtype: DataType
    shape: tuple[int, ...]
    quantization: Quantization | None
    data: TensorData | None


def paths(model: _json.Object) -> list[str]:
    """The files of all groups, relative to the model's folder, each once."""
    found: dict[str, None] = {}
    for group in _json.parts(model, "weightsManifest"):
        found.update(dict.fromkeys(map(posixpath.normpath, _json.texts(group, "paths"))))
    return list(found)[:_FILE_LIMIT]


def read_weights(model: _json.Object, content: Content) -> Iterator[Weight]:
    """Every weight that the model lists, with its bytes where all files of its group are there.

    Args:
        model: the whole model file.
        content: the same, to reach the files beside it.

    Raises:
        FormatError: a weight that its files cannot hold, or of an unknown type.
    """
    for group in _json.parts(model, "weightsManifest"):
        names = _json.texts(group, "paths")
        files = [content.beside(name) for name in names[:_FILE_LIMIT]]
        held = [each.data for each in files if each is not None]
        shards = held if len(held) == len(names) and held else None
        offset = 0
        for entry in _json.parts(group, "weights"):
            weight, size = _weight(entry, shards, offset)
            yield weight
            if size is None:
                shards = None  # where texts end cannot be known without reading them
            else:
                offset += size


def _weight(
    entry: _json.Object, shards: Sequence[memoryview] | None, offset: int
) -> tuple[Weight, int | None]:
    name = _json.text(entry, "name")
    shape = tuple(_json.wholes(entry, "shape"))
    scheme = _json.part(entry, "quantization")
    kind = _json.text(scheme, "dtype") or _json.text(entry, "dtype")
    dtype = _TYPES.get(kind)
    if not name or dtype is None:
        raise FormatError(
            f"the weight {name[:80]!r} has elements of the unknown type {kind[:20]!r}"
        )
    if len(shape) > _HIGHEST_RANK or any(not 0 <= size < LARGEST for size in shape):
        raise FormatError(f"the weight {name[:80]!r} has the sizes {shape[:8]}")
    size = dtype.size_bytes(math.prod(shape))
    data = None if shards is None or size is None else _joined(shards, offset, size, name)
    weight = Weight(
        name=name,
        dtype=dtype,
        shape=shape,
        quantization=_quantization(scheme) if dtype.value.startswith("uint") else None,
        data=data,
    )
    return weight, size


def _quantization(scheme: _json.Object) -> Quantization | None:
    """A stored number times `scale`, plus `min`, is the real one."""
    scale, low = scheme.get("scale"), scheme.get("min")
    if not isinstance(scale, int | float) or not isinstance(low, int | float):
        return None
    if not (math.isfinite(scale) and math.isfinite(low) and scale > 0):
        return None
    zero = -low / scale
    if abs(zero) >= 1 << 31:
        return None
    return Quantization(scales=(float(scale),), zero_points=(round(zero),))


def _joined(shards: Sequence[memoryview], offset: int, size: int, name: str) -> TensorData:
    """The bytes: a view where one file holds them, else joined when they are asked for."""
    pieces: list[memoryview] = []
    left, at = size, offset
    for shard in shards:
        if at >= shard.nbytes:
            at -= shard.nbytes
            continue
        pieces.append(shard[at : at + left])
        left -= pieces[-1].nbytes
        at = 0
        if not left:
            break
    if left:
        raise FormatError(f"the weight {name[:80]!r} needs {left} bytes more than its files hold")
    if len(pieces) < 2:
        return pieces[0] if pieces else memoryview(b"")
    return LazyBytes(size_bytes=size, load=lambda: memoryview(b"".join(pieces)))
