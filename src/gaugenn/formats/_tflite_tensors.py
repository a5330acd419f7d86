"""Tensors of TensorFlow Lite files: types, buffers near and far, quantisation, sparsity."""

from dataclasses import dataclass, replace

from gaugenn.content import Content
from gaugenn.errors import FormatError
from gaugenn.formats import _tflite_schema as schema
from gaugenn.formats._assembly import unique
from gaugenn.formats._flatbuffers import Table, Tables
from gaugenn.formats._tflite_schema import ModelField, QuantizationField, TensorField
from gaugenn.formats._tflite_sparsity import sparse_bytes
from gaugenn.graph import DataType, Quantization, Shape, Tensor, TensorData, TensorKind

_HIGHEST_RANK = 64
_SCALES_IN_TENSORS = (QuantizationField.BLOCKWISE, QuantizationField.MULTI_AXIS)


@dataclass(frozen=True, slots=True, kw_only=True)
class _External:
    """Where a slice of another file is; `file` is None when that file is not there."""

    file: Content | None
    offset: int
    length: int
    packing: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scope:
    """The tensors of one sub-graph, which may refer to each other by index."""

    tables: list[Table]
    names: list[str]


class TensorSource:
    """Makes the tensors of one file.

    Attributes:
        companions: names of the other files that hold weights and are there.
        notes: what was unusual: `weights-absent`, `newer-types`.
    """

    def __init__(self, content: Content, root: Table) -> None:
        self._content = content
        self._buffers: Tables = root.tables(ModelField.BUFFERS)
        self.companions: tuple[str, ...] = ()
        self.notes: set[str] = set()
        self._external = self._external_slices(root)

    def buffer(self, index: int) -> memoryview | None:
        """Bytes of a buffer, inside the FlatBuffer or elsewhere in the file; None when empty.

        Raises:
            FormatError: no such buffer, or it leaves the file.
        """
        if index == 0 and not self._buffers:
            return None
        if not 0 <= index < len(self._buffers):
            raise self._error(f"buffer {index} of {len(self._buffers)} is asked for")
        table = self._buffers[index]
        inside = table.blob(0)
        if inside is not None and inside.nbytes:
            return inside
        place = table.read(schema.BUFFER)
        offset, size = place["offset"], place["size"]
        if not isinstance(offset, int) or not isinstance(size, int) or offset <= 1 or not size:
            return None
        return _slice(self._content, offset, size, f"buffer {index}")

    def tensors(self, tables: Tables) -> list[Tensor]:
        """The tensors of a sub-graph, in order, under unique names."""
        opened = list(tables)
        scope = _Scope(
            tables=opened, names=unique(table.string(TensorField.NAME) for table in opened)
        )
        pairs = zip(scope.tables, scope.names, strict=True)
        return [self._tensor(table, name, scope) for table, name in pairs]

    def _tensor(self, table: Table, name: str, scope: "_Scope") -> Tensor:
        dtype = self._dtype(table, name)
        sizes = table.integers(TensorField.SHAPE)
        if len(sizes) > _HIGHEST_RANK:
            raise self._error(f"tensor {name!r} has {len(sizes)} dimensions")
        data, is_constant = self._data(table, name)
        kind = TensorKind.CONSTANT if is_constant else TensorKind.ACTIVATION
        if table.boolean(TensorField.IS_VARIABLE):
            kind = TensorKind.VARIABLE
        shape = _shape(table, sizes, is_constant=is_constant)
        sparsity = table.table(TensorField.SPARSITY)
        held: TensorData | None = data
        if sparsity is not None and data is not None:
            held = sparse_bytes(sparsity, data, dtype, sizes, f"{self._content.name}: {name!r}")
        return Tensor(
            name=name,
            dtype=dtype,
            shape=shape,
            data=held,
            kind=kind,
            quantization=self._quantization(table, name, shape, scope),
            sparse=sparsity is not None,
        )

    def _dtype(self, table: Table, name: str) -> DataType:
        code = table.integer(TensorField.TYPE, "i8")
        if code < 0:
            raise self._error(f"tensor {name!r} has element type {code}")
        if code < len(schema.TENSOR_TYPES):
            return schema.TENSOR_TYPES[code]
        self.notes.add("newer-types")
        return DataType.UNKNOWN

    def _data(self, table: Table, name: str) -> tuple[memoryview | None, bool]:
        """A tensor's bytes, and whether it is a constant even so when they are absent."""
        external = table.integer(TensorField.EXTERNAL_BUFFER, "u32")
        if external == 0:
            data = self.buffer(table.integer(TensorField.BUFFER, "u32"))
            return data, data is not None
        place = self._external.get(external)
        if place is None:
            raise self._error(f"tensor {name!r} names external buffer {external}, not listed")
        if place.file is None or place.packing:
            self.notes.add("weights-absent" if place.file is None else "weights-packed")
            return None, True
        return _slice(place.file, place.offset, place.length, f"tensor {name!r}"), True

    def _external_slices(self, root: Table) -> dict[int, _External]:
        names = [group.string(0) for group in root.tables(ModelField.EXTERNAL_GROUPS)]
        files = {name: self._content.beside(name) for name in set(names)}
        self.companions = tuple(sorted(name for name, file in files.items() if file is not None))
        found: dict[int, _External] = {}
        for table in root.tables(ModelField.EXTERNAL_BUFFERS):
            group = table.integer(1, "u32")
            if group >= len(names):
                raise self._error(f"an external buffer names file {group} of {len(names)}")
            found[table.integer(0, "u32")] = _External(
                file=files[names[group]],
                offset=table.integer(2, "u64"),
                length=table.integer(3, "u64"),
                packing=table.string(4),
            )
        return found

    def _quantization(
        self, table: Table, name: str, shape: Shape | None, scope: "_Scope"
    ) -> Quantization | None:
        source = table.table(TensorField.QUANTIZATION)
        if source is None:
            return None
        member, details = source.union(QuantizationField.DETAILS)
        if details is not None and member in _SCALES_IN_TENSORS:
            return self._in_tensors(source, details, name, shape, scope)
        axis = source.integer(QuantizationField.DIMENSION)
        scales = source.reals(QuantizationField.SCALE)
        if not scales:
            return None
        if len(scales) > 1 and shape is not None:
            axis = self._quantized_axis(axis, name, shape, len(scales))
        zero_points = source.integers(QuantizationField.ZERO_POINT, "i64")
        if len(zero_points) not in (0, 1, len(scales)):
            raise self._error(
                f"tensor {name!r} has {len(scales)} scales but {len(zero_points)} zero points"
            )
        return Quantization(
            scales=scales, zero_points=zero_points, axis=axis if len(scales) > 1 else None
        )

    def _quantized_axis(self, axis: int, name: str, shape: Shape, count: int) -> int:
        """The dimension that has as many entries as there are scales.

        Some converters give a bias the dimension of its weights; where only one dimension can be
        meant it is that one.
        """
        if 0 <= axis < len(shape) and shape[axis] in (count, "?"):
            return axis
        fitting = [i for i, size in enumerate(shape) if size == count]
        if len(fitting) != 1:
            raise self._error(f"tensor {name!r} {shape} has {count} scales along dimension {axis}")
        return fitting[0]

    def _in_tensors(
        self, source: Table, details: Table, name: str, shape: Shape | None, scope: "_Scope"
    ) -> Quantization:
        """Scales held by other tensors: by block, or by one or more dimensions."""
        values = details.read(schema.BLOCKWISE)
        scales, zero_points, block = (
            value if isinstance(value := values[key], int) else 0
            for key in ("scales", "zero_points", "block_size")
        )
        dimensions = values["dimensions"]
        axis: int | None = source.integer(QuantizationField.DIMENSION)
        if isinstance(dimensions, tuple) and dimensions:
            axis = int(dimensions[0]) if len(dimensions) == 1 else None
        is_inside = axis is None or shape is None or 0 <= axis < len(shape)
        if not is_inside or block < 0:
            raise self._error(
                f"tensor {name!r} {shape} is quantised in blocks of {block} along dimension {axis}"
            )
        count = len(scope.names)
        if not 0 <= scales < count or not -1 <= zero_points < count:
            raise self._error(
                f"tensor {name!r} takes its scales from tensor {scales} and its zero points from "
                f"tensor {zero_points} of {count}"
            )
        if block and shape is not None:
            axis = _blocked(shape, scope.tables[scales].integers(TensorField.SHAPE), block, axis)
        has_zero_points = details.has(1) and zero_points >= 0
        return Quantization(
            scales=(),
            axis=axis,
            block_size=block or None,
            scales_tensor=scope.names[scales],
            zero_points_tensor=scope.names[zero_points] if has_zero_points else "",
        )

    def _error(self, problem: str) -> FormatError:
        return FormatError(f"{self._content.name}: {problem}")


def mark_absent_weights(tensors: dict[str, Tensor], fed: set[str], used: set[str]) -> bool:
    """Makes constants of tensors that are used but neither computed, fed nor stored.

    Args:
        tensors: of a graph, changed in place.
        fed: names of graph inputs and of results of nodes.
        used: names that nodes read.

    Returns:
        Whether there was one with elements.
    """
    found = False
    for name in used - fed:
        tensor = tensors[name]
        if tensor.kind is not TensorKind.ACTIVATION or tensor.data is not None:
            continue
        if tensor.shape is None or tensor.dtype in (DataType.RESOURCE, DataType.VARIANT):
            continue
        is_empty = tensor.elements == 0
        data: TensorData | None = memoryview(b"") if is_empty else None
        tensors[name] = replace(tensor, kind=TensorKind.CONSTANT, data=data)
        found |= not is_empty
    return found


def _shape(table: Table, sizes: tuple[int, ...], *, is_constant: bool) -> Shape | None:
    """Sizes, with "?" for those that the file leaves open; None for an unknown rank."""
    if is_constant:
        return sizes
    if not sizes:
        return () if table.boolean(TensorField.HAS_RANK) else None
    signature = table.integers(TensorField.SHAPE_SIGNATURE)
    if len(signature) != len(sizes):
        signature = sizes
    pairs = zip(sizes, signature, strict=True)
    return tuple("?" if -1 in (size, mark) else size for size, mark in pairs)


def _slice(content: Content, offset: int, size: int, what: str) -> memoryview:
    if offset + size > content.size_bytes:
        raise FormatError(
            f"{content.name}: {what} lies at {offset} and takes {size} bytes, "
            f"the file has {content.size_bytes}"
        )
    return content.data[offset : offset + size]


def _blocked(shape: Shape, scales: tuple[int, ...], block: int, channels: int | None) -> int | None:
    """The dimension that is cut into blocks, which the shape of the scales tells.

    The file names the dimension of the channels instead. Where the scales have another form than
    sizes with one of them divided, it is the last one that is not the channels'.
    """
    for axis in reversed(range(len(shape))):
        size = shape[axis]
        if isinstance(size, int) and size == block * (scales[axis : axis + 1] or (0,))[0]:
            others = (*scales[:axis], size, *scales[axis + 1 :])
            if others == shape:
                return axis
    rest = [axis for axis in range(len(shape)) if axis != channels]
    return rest[-1] if rest else channels
