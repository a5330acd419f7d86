"""numpy arrays: `.npy`, and `.npz`, which is a zip of them."""

import math
import re
from collections.abc import Iterator, Mapping

import numpy as np

from gaugenn.content import Content
from gaugenn.errors import FormatError, UnsupportedFormatError
from gaugenn.formats._contract import FormatReader
from gaugenn.formats._weights_only import weights_model
from gaugenn.formats._zip import ZipMembers, first_name, open_zip
from gaugenn.graph import DataType, LazyBytes, Model, Shape, Tensor, TensorData, TensorKind

_MAGIC = b"\x93NUMPY"
_LONGEST_HEADER_BYTES = 1 << 20
_RANK_LIMIT = 64
_MEMBER_LIMIT = 1 << 31
_TYPES: Mapping[str, DataType] = {
    "f8": DataType.FLOAT64,
    "f4": DataType.FLOAT32,
    "f2": DataType.FLOAT16,
    "i8": DataType.INT64,
    "i4": DataType.INT32,
    "i2": DataType.INT16,
    "i1": DataType.INT8,
    "u8": DataType.UINT64,
    "u4": DataType.UINT32,
    "u2": DataType.UINT16,
    "u1": DataType.UINT8,
    "b1": DataType.BOOL,
    "c8": DataType.COMPLEX64,
    "c16": DataType.COMPLEX128,
}
_HEADER = re.compile(
    r"\{\s*'descr':\s*'([<>|=])([a-zA-Z]\d*)',\s*'fortran_order':\s*(True|False),"
    r"\s*'shape':\s*\(([\d,\sL]*)\),?\s*\}\s*"
)


class NumpyReader(FormatReader):
    """Reads the arrays. There is no graph: the remark is `weights-only`.

    An array in a `.npy` has no name; here it is called `array`.
    """

    title = "NumPy"
    spec = "https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html"
    suffixes = (".npy", ".npz")
    magics = ((0, _MAGIC),)

    def sniff(self, name: str, head: bytes) -> bool:
        """By the magic text, or by a zip whose first member is an array."""
        del name
        if head.startswith(_MAGIC):
            return len(head) > 8 and 1 <= head[6] <= 3
        member = first_name(head)
        return member is not None and member.endswith(".npy")

    def read(self, content: Content) -> Model:
        """Reads one array, or all of a zip.

        Raises:
            FormatError: cut off, or a header that is not numpy's.
            UnsupportedFormatError: records, objects or texts in place of numbers.
        """
        if content.head(len(_MAGIC)) == _MAGIC:
            version = content.data[6:8].tobytes()
            tensor = _array(content.data, "array", content.name, content.data.nbytes)
            number = ".".join(str(part) for part in version)
            return weights_model("numpy", number, (tensor,))
        members = open_zip(content.data, content.name)
        return weights_model("numpy", "npz", _arrays(members))


def _arrays(members: ZipMembers) -> Iterator[Tensor]:
    for name, entry in members.entries.items():
        if not name.endswith(".npy"):
            raise FormatError(f"{members.where}: {name!r} is no array: no file of numpy's")
        if entry.size_bytes > _MEMBER_LIMIT:
            raise UnsupportedFormatError(f"{members.where}: {name!r} is larger than 2 GiB")
        data = members.tensor_data(name)
        where = f"{members.where}, {name}"
        if isinstance(data, memoryview):
            yield _array(data, name[: -len(".npy")], where, data.nbytes)
        else:
            yield _array(_head(members, name), name[: -len(".npy")], where, data.size_bytes, data)


def _head(members: ZipMembers, name: str) -> memoryview:
    """The beginning of a deflated member."""
    return members.head(name, _LONGEST_HEADER_BYTES)


def _array(
    data: memoryview, name: str, where: str, size: int, lazy: LazyBytes | None = None
) -> Tensor:
    """The tensor of an array.

    Args:
        data: the array's file, or its beginning where `lazy` gives all of it.
        name: of the tensor.
        where: for messages.
        size: of the whole file.
        lazy: what inflates the whole file.
    """
    if data.nbytes < 10 or data[:6] != _MAGIC:
        raise FormatError(f"{where}: numpy's magic text is expected")
    wide = data[6] > 1
    length = int.from_bytes(data[8 : 12 if wide else 10], "little")
    start = (12 if wide else 10) + length
    if length > _LONGEST_HEADER_BYTES or start > data.nbytes:
        raise FormatError(f"{where}: a header of {length} bytes is cut off or too long")
    text = bytes(data[12 if wide else 10 : start]).decode("latin-1")
    found = _HEADER.fullmatch(text)
    if found is None:
        raise UnsupportedFormatError(
            f"{where}: only arrays of numbers are read, this is {text.strip()[:80]!r}"
        )
    order, kind, turned, sizes = found.groups()
    shape = _shape(sizes, where)
    if kind not in _TYPES or (order == ">" and kind[1:] != "1"):
        raise UnsupportedFormatError(f"{where}: elements of type {order + kind!r} are not read")
    dtype = _TYPES[kind]
    needed = math.prod(shape) * ((dtype.bits or 8) // 8)
    if size - start != needed:
        raise FormatError(f"{where}: {dtype} {shape} needs {needed} bytes, {size - start} are left")
    held: TensorData
    if lazy is not None:
        whole = lazy
        held = LazyBytes(size_bytes=needed, load=lambda: whole.load()[start:])
    else:
        held = data[start:]
    if turned == "True" and len(shape) > 1:
        plain = held
        held = LazyBytes(size_bytes=needed, load=lambda: _in_rows(plain, shape))
    return Tensor(name=name, dtype=dtype, shape=shape, data=held, kind=TensorKind.CONSTANT)


def _shape(text: str, where: str) -> tuple[int, ...]:
    parts = [p.strip(" L") for p in text.split(",") if p.strip()]
    if len(parts) > _RANK_LIMIT or any(not p.isdecimal() or len(p) > 18 for p in parts):
        raise FormatError(f"{where}: ({text[:60]}) is no shape")
    return tuple(int(p) for p in parts)


def _in_rows(data: TensorData, shape: Shape) -> memoryview:
    """Elements in row-major order of an array that was stored column by column."""
    raw = np.frombuffer(data if isinstance(data, memoryview) else data.load(), dtype=np.uint8)
    sizes = [int(size) for size in shape]
    elements = math.prod(sizes)
    item = raw.nbytes // elements if elements else 1
    turned = raw.reshape(*reversed(sizes), item)
    axes = (*reversed(range(len(sizes))), len(sizes))
    return memoryview(np.ascontiguousarray(turned.transpose(axes)).reshape(-1).data).cast("B")
