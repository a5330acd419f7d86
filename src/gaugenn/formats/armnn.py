"""Arm NN's serialised networks: layers, their connections and constants in one FlatBuffer."""

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter

from gaugenn.content import Content
from gaugenn.errors import FormatError, UnsupportedFormatError
from gaugenn.formats import _armnn_layers as layers
from gaugenn.formats._attributes import LARGEST
from gaugenn.formats._contract import FormatReader
from gaugenn.formats._draft import Draft, Mapped
from gaugenn.formats._flatbuffers import FlatBuffer, Table
from gaugenn.graph import DataType, Graph, Layout, Model, Quantization, Tensor, TensorKind

_IDENTIFIER = b"ARMN"
_HIGHEST_RANK = 8
_WIDTHS = {2: "i16", 3: "i32", 4: "i64"}

_TYPES: Mapping[int, DataType] = {
    0: DataType.FLOAT16,
    1: DataType.FLOAT32,
    2: DataType.UINT8,
    3: DataType.INT32,
    4: DataType.BOOL,
    5: DataType.INT16,
    6: DataType.UINT8,
    7: DataType.INT16,
    8: DataType.INT8,
    9: DataType.INT8,
    10: DataType.INT64,
}
_QUANTISED = frozenset({2, 5, 6, 7, 8, 9})


class ArmNnReader(FormatReader):
    """Reads `.armnn`. A file without the identifier counts only under that suffix."""

    title = "Arm NN"
    spec = "https://github.com/ARM-software/armnn/blob/main/src/armnnSerializer/ArmnnSchema.fbs"
    suffixes = (".armnn",)
    magics = ((4, _IDENTIFIER),)

    def sniff(self, name: str, head: bytes) -> bool:
        """By the identifier; without it by the suffix and a root table with layers and bindings."""
        if head[4:8] == _IDENTIFIER:
            return True
        if not name.lower().endswith(".armnn"):
            return False
        try:
            root = FlatBuffer(memoryview(head), name).root()
            return root.has(0) and root.has(1) and root.has(2) and not root.has(4)
        except FormatError:
            return False

    def read(self, content: Content) -> Model:
        """Reads the layers; constants stay in the mapped file.

        Raises:
            FormatError: not a whole, consistent network.
        """
        try:
            root = FlatBuffer(content.data, content.name).root()
            reading = _Reading(root)
            graph = reading.graph()
        except FormatError as error:
            if str(error).startswith(content.name):
                raise
            raise type(error)(f"{content.name}: {error}") from error
        return Model(format="armnn", format_version="", producer="", graphs=(graph,))


class _Layer:
    """A layer: its base, which all kinds share, and its own table."""

    def __init__(self, any_layer: Table) -> None:
        code, table = any_layer.union(0)
        if table is None or code < 1:
            raise FormatError("an Arm NN layer without contents")
        if code >= len(layers.LAYERS):
            raise UnsupportedFormatError(f"an Arm NN layer of the unknown kind {code}")
        self.kind = layers.LAYERS[code]
        self.table = table
        base = table.table(0)
        if base is not None and self.kind in ("Input", "Output"):
            base = base.table(0)
        if base is None:
            raise FormatError(f"an Arm NN layer of kind {self.kind} without its base")
        self.index = base.integer(0, "u32")
        self.name = base.string(1)
        self.inputs: list[tuple[int, int]] = []
        for slot in base.tables(3):
            source = slot.numbers(1, 2)
            if source is None:
                raise FormatError(f"Arm NN layer {self.index} has an input that nothing feeds")
            self.inputs.append((source[0], source[1]))
        self.outputs = {slot.integer(0, "u32"): slot.table(1) for slot in base.tables(4)}


class _Reading:
    """One read of one file."""

    def __init__(self, root: Table) -> None:
        found = [_Layer(each) for each in root.tables(0)]
        self._layers = {layer.index: layer for layer in found}
        if not found or len(self._layers) != len(found):
            raise FormatError("an Arm NN network without layers, or with two of one number")
        versions = root.table(3)
        self._depthwise_last = versions is not None and versions.integer(1, "u32") > 0
        self._draft = Draft()
        self._results: list[str] = []

    def _order(self) -> list[_Layer]:
        after = {
            layer.index: [source for source, _ in layer.inputs] for layer in self._layers.values()
        }
        for index, sources in after.items():
            missing = [source for source in sources if source not in self._layers]
            if missing:
                raise FormatError(
                    f"Arm NN layer {index} takes layer {missing[0]}, which is not there"
                )
        try:
            return [self._layers[index] for index in TopologicalSorter(after).static_order()]
        except CycleError:
            raise FormatError("Arm NN layers that take each other's results") from None

    def _result(self, index: int, slot: int) -> str:
        layer = self._layers[index]
        if slot not in layer.outputs:
            raise FormatError(f"Arm NN layer {index} has no result {slot}")
        return f"{index}:{slot}" if slot else str(index)

    def graph(self) -> Graph:
        """The finished graph."""
        for layer in self._order():
            taken = [self._result(*source) for source in layer.inputs]
            if layer.kind == "Input":
                for slot, info in layer.outputs.items():
                    tensor = _tensor(self._result(layer.index, slot), info)
                    self._draft.feed(tensor.name, tensor.dtype, tensor.shape, tensor.quantization)
            elif layer.kind == "Output":
                self._results += taken
            elif layer.kind == "Constant":
                self._constant(layer)
            else:
                self._node(layer, taken)
        marks = [node.attributes.get("channels_last") for node in self._draft.nodes]
        all_last = set(marks) - {None} == {1}
        layout = Layout.CHANNELS_LAST if all_last else Layout.CHANNELS_FIRST
        return self._draft.graph(outputs=self._results or None, layout=layout)

    def _constant(self, layer: _Layer) -> None:
        if set(layer.outputs) != {0}:
            raise FormatError(f"Arm NN constant {layer.index} has {len(layer.outputs)} results")
        self._draft.constant(_held(layer.table.table(1), str(layer.index)))

    def _node(self, layer: _Layer, taken: list[str]) -> None:
        for number in layers.WEIGHTS.get(layer.kind, ()):
            table = layer.table.table(number)
            if table is not None:
                held = _held(table, f"{layer.index}/{number}")
                taken.append(self._draft.own(held))
        made = [_tensor(self._result(layer.index, s), info) for s, info in layer.outputs.items()]
        tensors = [self._draft.tensor(name) for name in taken]
        call = layers.Call(
            kind=layer.kind,
            descriptor=layer.table.table(1),
            inputs=tuple(tensor for tensor in tensors if tensor is not None),
            outputs=tuple(made),
            depthwise_last=self._depthwise_last,
        )
        mapped = layers.translate(call) or Mapped()
        self._draft.node(
            source_operator=layer.kind,
            inputs=taken if mapped.inputs is None else mapped.inputs,
            outputs=made,
            mapped=mapped,
            name=layer.name,
        )


def _tensor(name: str, info: Table | None) -> Tensor:
    """A tensor by its description; a dimension without a size is dynamic."""
    if info is None:
        return Tensor(name=name, dtype=DataType.UNKNOWN, shape=None)
    sizes = info.integers(0, "u32")
    code = info.integer(1, "i8")
    if len(sizes) > _HIGHEST_RANK or any(size >= LARGEST for size in sizes):
        raise FormatError(f"an Arm NN tensor of the sizes {sizes[:8]}")
    return Tensor(
        name=name,
        dtype=_TYPES.get(code, DataType.UNKNOWN),
        shape=sizes,
        quantization=_quantization(info, len(sizes)) if code in _QUANTISED else None,
    )


def _quantization(info: Table, rank: int) -> Quantization | None:
    scales = info.reals(4)
    axis = info.integer(5, "u32")
    if len(scales) > 1:
        return Quantization(scales=scales, axis=axis) if axis < rank else None
    scale = scales[0] if scales else info.real(2, default=1.0)
    return Quantization(scales=(scale,), zero_points=(info.integer(3),)) if scale > 0 else None


def _held(table: Table | None, name: str) -> Tensor:
    """A constant; its elements are written as integers of their width."""
    if table is None:
        raise FormatError(f"the Arm NN constant {name} has no value")
    described = _tensor(name, table.table(0))
    code, data = table.union(1)
    if described.shape is None or data is None:
        raise FormatError(f"the Arm NN constant {name} has no shape or no elements")
    if code in _WIDTHS:
        values = data.array(0, _WIDTHS[code])
        held = values.data.cast("B") if values.size else memoryview(b"")
    else:
        held = data.blob(0) or memoryview(b"")
    return Tensor(
        name=name,
        dtype=described.dtype,
        shape=described.shape,
        data=held if described.dtype.bits is not None else None,
        kind=TensorKind.CONSTANT,
        quantization=described.quantization,
    )
