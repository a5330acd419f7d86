"""Tensors as PyTorch pickles them: a storage by its key, and a view of it by offset, sizes and strides.

**Source:** https://github.com/pytorch/pytorch/blob/main/torch/_utils.py, `_rebuild_*`;
https://github.com/pytorch/pytorch/blob/main/torch/serialization.py, `persistent_id`.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from gaugenn.errors import FormatError
from gaugenn.formats._pickle import Call, Global, Pairs, Persistent, Value
from gaugenn.graph import DataType, LazyBytes, Quantization, Tensor, TensorData, TensorKind

_TYPES: Mapping[str, DataType] = {
    "Double": DataType.FLOAT64,
    "Float": DataType.FLOAT32,
    "Half": DataType.FLOAT16,
    "BFloat16": DataType.BFLOAT16,
    "Long": DataType.INT64,
    "Int": DataType.INT32,
    "Short": DataType.INT16,
    "Char": DataType.INT8,
    "Byte": DataType.UINT8,
    "Bool": DataType.BOOL,
    "ComplexDouble": DataType.COMPLEX128,
    "ComplexFloat": DataType.COMPLEX64,
    "QInt8": DataType.INT8,
    "QUInt8": DataType.UINT8,
    "QInt32": DataType.INT32,
    "Untyped": DataType.UINT8,
}
"""By the storage class without its ending."""

_DTYPES: Mapping[str, DataType] = {
    "float64": DataType.FLOAT64,
    "float32": DataType.FLOAT32,
    "float16": DataType.FLOAT16,
    "bfloat16": DataType.BFLOAT16,
    "int64": DataType.INT64,
    "int32": DataType.INT32,
    "int16": DataType.INT16,
    "int8": DataType.INT8,
    "uint8": DataType.UINT8,
    "uint16": DataType.UINT16,
    "uint32": DataType.UINT32,
    "uint64": DataType.UINT64,
    "bool": DataType.BOOL,
    "complex64": DataType.COMPLEX64,
    "complex128": DataType.COMPLEX128,
    "float8_e4m3fn": DataType.FLOAT8_E4M3FN,
    "float8_e4m3fnuz": DataType.FLOAT8_E4M3FNUZ,
    "float8_e5m2": DataType.FLOAT8_E5M2,
    "float8_e5m2fnuz": DataType.FLOAT8_E5M2FNUZ,
}
_PLAIN = ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3")
_WRAPPERS = (
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_parameter_with_state",
    "torch._tensor._rebuild_from_type_v2",
    "torch.nn.parameter.Parameter",
)
_RANK_LIMIT = 64
_DEEPEST = 100
_VALUE_LIMIT = 4_000_000
_MODULE_PARTS = ("_parameters", "_buffers", "_modules")
"""Dictionaries of a pickled module whose names are no part of its tensors' names."""

Storages = Callable[[str], TensorData | None]
"""Maps a storage's key to its bytes, None where the file has none (meta tensors)."""


@dataclass(slots=True, kw_only=True)
class PickledTensors:
    """Turns records of rebuilt tensors into tensors.

    Attributes:
        where: for messages.
        storages: where the bytes are.
        notes: remarks that arose.
    """

    where: str
    storages: Storages = field(repr=False)
    notes: set[str] = field(default_factory=set)

    def tensor(self, value: Value, name: str) -> Tensor | None:
        """The tensor that a record stands for, or None where it stands for something else.

        Raises:
            FormatError: a view beyond its storage, or sizes that are none.
        """
        for _ in range(4):
            if not isinstance(value, Call) or value.called not in _WRAPPERS:
                break
            value = _wrapped(value)
        if not isinstance(value, Call) or not isinstance(value.arguments, tuple):
            return None
        module, _, function = value.called.rpartition(".")
        if module != "torch._utils":
            return None
        arguments = value.arguments
        if function in _PLAIN and len(arguments) >= 4:
            found = self._view(arguments, name)
            if function == "_rebuild_tensor_v3" and len(arguments) > 6:
                found = self._view(arguments, name, _dtype(arguments[6]))
            return found
        if function == "_rebuild_qtensor" and len(arguments) >= 5:
            found = self._view(arguments, name)
            return replace(found, quantization=self._quantization(arguments[4], name))
        if function == "_rebuild_meta_tensor_no_storage" and len(arguments) >= 2:
            self.notes.add("weights-absent")
            return Tensor(
                name=name,
                dtype=_dtype(arguments[0]) or DataType.UNKNOWN,
                shape=self._sizes(arguments[1], name),
                kind=TensorKind.CONSTANT,
            )
        return None

    def _view(
        self, arguments: tuple[Value, ...], name: str, dtype: DataType | None = None
    ) -> Tensor:
        storage, offset = arguments[0], arguments[1]
        shape, strides = self._sizes(arguments[2], name), self._sizes(arguments[3], name)
        if not isinstance(storage, Persistent) or type(offset) is not int or offset < 0:
            raise FormatError(f"{self.where}: tensor {name!r} is a view of no storage")
        if len(shape) != len(strides):
            raise FormatError(f"{self.where}: tensor {name!r} has {shape} sizes, {strides} strides")
        kind, key = self._storage(storage, name)
        dtype = dtype or kind
        item = (dtype.bits or 8) // 8
        held = self.storages(key)
        tensor = Tensor(name=name, dtype=dtype, shape=shape, kind=TensorKind.CONSTANT)
        elements = math.prod(shape)
        if held is None:
            self.notes.add("weights-absent")
            return tensor
        size = held.nbytes if isinstance(held, memoryview) else held.size_bytes
        last = sum((s - 1) * t for s, t in zip(shape, strides, strict=True)) if elements else -1
        if elements and (offset + last + 1) * item > size:
            raise FormatError(
                f"{self.where}: tensor {name!r} needs {(offset + last + 1) * item} bytes of a "
                f"storage that has {size}"
            )
        if elements > last + 1:
            self.notes.add("overlapping-weights")
            return tensor
        start, end = offset * item, (offset + elements) * item
        if _is_contiguous(shape, strides):
            if isinstance(held, memoryview):
                return replace(tensor, data=held[start:end])
            lazy = held
            return replace(
                tensor,
                data=LazyBytes(size_bytes=end - start, load=lambda: lazy.load()[start:end]),
            )
        spaced = LazyBytes(
            size_bytes=elements * item,
            load=lambda: _gathered(held, shape, strides, offset, item),
        )
        return replace(tensor, data=spaced)

    def _storage(self, storage: Persistent, name: str) -> tuple[DataType, str]:
        found = storage_type(storage)
        if found is None:
            raise FormatError(f"{self.where}: tensor {name!r} has a storage of no known kind")
        return found

    def _sizes(self, value: Value, name: str) -> tuple[int, ...]:
        if isinstance(value, Call) and value.called == "torch.Size":
            value = value.arguments[0] if isinstance(value.arguments, tuple) else None
        if isinstance(value, tuple | list) and len(value) <= _RANK_LIMIT:
            found = [v for v in value if type(v) is int and 0 <= v < 1 << 62]
            if len(found) == len(value):
                return tuple(found)
        raise FormatError(f"{self.where}: tensor {name!r} has sizes that are none")

    def _quantization(self, value: Value, name: str) -> Quantization | None:
        """From `(scheme, scale, zero point)` or `(scheme, scales, zero points, axis)`."""
        if not isinstance(value, tuple) or len(value) < 3:
            return None
        scale, zero = value[1], value[2]
        if isinstance(scale, float) and isinstance(zero, int):
            return Quantization(scales=(scale,), zero_points=(zero,))
        scales, zeros = self._numbers(scale, name), self._numbers(zero, name)
        axis = value[3] if len(value) > 3 and isinstance(value[3], int) else 0
        if not scales or len(zeros) not in (0, len(scales)):
            return None
        return Quantization(scales=scales, zero_points=tuple(int(z) for z in zeros), axis=axis)

    def _numbers(self, value: Value, name: str) -> tuple[float, ...]:
        if isinstance(value, list | tuple):
            return tuple(float(v) for v in value if isinstance(v, int | float))
        tensor = self.tensor(value, name)
        if tensor is None or tensor.data is None or len(tensor.shape or ()) != 1:
            return ()
        return tuple(tensor.array().astype(np.float64).tolist())


def storage_type(storage: Persistent) -> tuple[DataType, str] | None:
    """Element type and key of `('storage', class, key, location, elements)`."""
    key = storage.key
    if not isinstance(key, tuple) or len(key) < 5:
        return None
    kind, name = key[1], key[2]
    if not isinstance(kind, Global) or not isinstance(name, str):
        return None
    dtype = _TYPES.get(kind.name.removesuffix("Storage"))
    return None if dtype is None else (dtype, name)


def _wrapped(value: Call) -> Value:
    """What a parameter or subclass is made of."""
    arguments = value.arguments
    if not isinstance(arguments, tuple) or not arguments:
        return None
    if value.called.endswith("_rebuild_from_type_v2") and len(arguments) > 2:
        return Call(arguments[0], arguments[2])
    return arguments[0]


def _dtype(value: Value) -> DataType | None:
    return _DTYPES.get(value.name) if isinstance(value, Global) else None


def _is_contiguous(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    wanted = 1
    for size, stride in zip(reversed(shape), reversed(strides), strict=True):
        if size > 1 and stride != wanted:
            return False
        wanted *= size
    return True


def _gathered(
    held: TensorData, shape: tuple[int, ...], strides: tuple[int, ...], offset: int, item: int
) -> memoryview:
    """The elements of a view that is not in order, in order. The view was checked to lie inside."""
    raw = np.frombuffer(held if isinstance(held, memoryview) else held.load(), dtype=np.uint8)
    spaced = np.lib.stride_tricks.as_strided(
        raw[offset * item :],
        (*shape, item),
        (*(stride * item for stride in strides), 1),
        writeable=False,
    )
    return memoryview(np.ascontiguousarray(spaced).reshape(-1).data).cast("B")


def named_tensors(root: Value, tensors: PickledTensors) -> Iterator[Tensor]:
    """Every tensor in a pickled value, under the dotted path of the keys that lead to it.

    Raises:
        FormatError: values nest too deep, or a tensor that contradicts itself.
    """
    taken: set[str] = set()
    seen: set[int] = set()
    pending: list[tuple[Value, str, int]] = [(root, "", 0)]
    for _ in range(_VALUE_LIMIT):
        if not pending:
            return
        value, path, depth = pending.pop()
        if depth > _DEEPEST:
            raise FormatError(f"{tensors.where}: pickled values nest deeper than {_DEEPEST}")
        if isinstance(value, Call | Pairs | list | tuple):
            if id(value) in seen:
                continue
            seen.add(id(value))
        found = tensors.tensor(value, path or "tensor") if isinstance(value, Call) else None
        if found is not None:
            name, number = found.name, 1
            while name in taken:
                number += 1
                name = f"{found.name}.{number}"
            taken.add(name)
            yield replace(found, name=name)
            continue
        inner = [(part, _joined(path, key), depth + 1) for key, part in _parts(value)]
        pending += reversed(inner)
    raise FormatError(f"{tensors.where}: more than {_VALUE_LIMIT} pickled values")


def _joined(path: str, key: str) -> str:
    return f"{path}.{key}" if path and key else path or key


def _parts(value: Value) -> Iterator[tuple[str, Value]]:
    """What a value is made of, with the names of the parts."""
    if isinstance(value, Pairs):
        for key, part in value.items:
            yield key if isinstance(key, str) else str(key) if isinstance(key, int) else "", part
    elif isinstance(value, list | tuple):
        for index, part in enumerate(value):
            if isinstance(part, Call | Pairs | list | tuple):
                yield str(index), part
    elif isinstance(value, Call):
        if value.called == "collections.OrderedDict":
            yield from _old_items(value.arguments)
        if value.called not in ("collections.OrderedDict", "builtins.set", "__builtin__.set"):
            yield "", value.arguments
        yield "", value.pairs
        yield "", value.elements
        state = value.state
        if not isinstance(state, Pairs):
            yield "", state
            return
        for key, part in state.items:
            name = key if isinstance(key, str) else ""
            yield "" if name in _MODULE_PARTS else name, part


def _old_items(arguments: Value) -> Iterator[tuple[str, Value]]:
    """The items that Python 2 gave an ordered dictionary: a list of lists of a key and a value."""
    given = arguments[0] if isinstance(arguments, list | tuple) and arguments else None
    for item in given if isinstance(given, list | tuple) else ():
        if isinstance(item, list | tuple) and len(item) == 2 and isinstance(item[0], str):
            yield item[0], item[1]
