"""ExecuTorch programs (`ET12`): kernel calls over numbered values, with every tensor's shape and type.

Each entry point is a graph. Values have no names unless the exporter kept them: value `i` is `value_i`.
A view costs the program nothing and leaves no call behind: the result only lies where its source does;
such places get a node `memory.view`. Calls of delegates are nodes under the delegate's name; what
XNNPACK runs on the CPU is a graph of its own, the attribute `function`; the insides of all others
belong to the delegate.

Notes: `accelerator-blob` (a part that only a delegate can run), `bounded-shapes` (sizes are upper
bounds), `control-flow` (jumps: nodes stand in the file's order), `newer-types`, `weights-absent`.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np

from gaugenn.content import Content
from gaugenn.errors import FormatError
from gaugenn.formats import _executorch_operators as operators
from gaugenn.formats import _executorch_schema as schema
from gaugenn.formats import _executorch_xnnpack as xnnpack
from gaugenn.formats._assembly import unique
from gaugenn.formats._contract import FormatReader, Magic
from gaugenn.formats._executorch_schema import (
    Instruction,
    PlanField,
    ProgramField,
    TensorField,
    ValueKind,
)
from gaugenn.formats._flatbuffers import FlatBuffer, Table
from gaugenn.formats._pytorch_operators import Operand, Ref
from gaugenn.graph import (
    AttributeValue,
    DataType,
    Graph,
    GraphReference,
    LazyBytes,
    Model,
    Node,
    Quantization,
    Tensor,
    TensorData,
    TensorKind,
)

_IDENTIFIER = b"ET12"
_HIGHEST_RANK = 64
_MOST_ELEMENTS = 1 << 62
_MOST_RESULTS = 64
"""Of one kernel. Those that give a variable number give them as one list."""
_SCALARS = {
    ValueKind.NOTHING: DataType.UNKNOWN,
    ValueKind.INT: DataType.INT64,
    ValueKind.BOOL: DataType.BOOL,
    ValueKind.DOUBLE: DataType.FLOAT64,
}
_LISTS = (ValueKind.TENSORS, ValueKind.OPTIONAL_TENSORS)
_PRIMITIVES = "executorch_prim"


class ExecutorchReader(FormatReader):
    """Reads ExecuTorch programs."""

    title: ClassVar[str] = "ExecuTorch"
    spec: ClassVar[str] = "https://github.com/pytorch/executorch/blob/main/schema/program.fbs"
    suffixes: ClassVar[tuple[str, ...]] = (".pte",)
    magics: ClassVar[tuple[Magic, ...]] = ((4, _IDENTIFIER),)

    def sniff(self, name: str, head: bytes) -> bool:
        """The identifier at byte 4."""
        del name
        return head[4:8] == _IDENTIFIER

    def read(self, content: Content) -> Model:
        """Reads every entry point; weights stay in the mapped file.

        Raises:
            FormatError: not a whole, consistent ExecuTorch program.
        """
        try:
            return _Program(content).model()
        except FormatError as error:
            if str(error).startswith(content.name):
                raise
            raise type(error)(f"{content.name}: {error}") from error


class _Program:
    """One read of one file."""

    def __init__(self, content: Content) -> None:
        data = content.data
        size, self._base = data.nbytes, data.nbytes
        at = schema.EXTENSION_AT
        if content.head(at + 4)[at:] == schema.EXTENSION_IDENTIFIER:
            if data.nbytes < at + schema.EXTENSION.size:
                raise FormatError("an ExecuTorch file that ends inside its header")
            _, _, size, base = schema.EXTENSION.unpack_from(data, at)
            if size > data.nbytes or base > data.nbytes:
                raise FormatError(
                    f"the program takes {size} bytes and segments begin at {base}, "
                    f"the file has {data.nbytes}: cut off"
                )
            self._base = base or data.nbytes
            size = size or data.nbytes
        self._data = data
        self.root = FlatBuffer(data[:size], content.name).root(_IDENTIFIER)
        self.notes: set[str] = set()
        self._segments = [self._segment(t) for t in self.root.tables(ProgramField.SEGMENTS)]
        self._buffers = self.root.tables(ProgramField.BUFFERS)
        constants = self.root.table(ProgramField.CONSTANTS)
        self._constants = None if constants is None else _offsets(constants)
        self._mutable = [_offsets(table) for table in self.root.tables(ProgramField.MUTABLE)]
        self._named = {
            each.string(0): each.integer(1, "u32") for each in self.root.tables(ProgramField.NAMED)
        }
        self._first = 0
        self._inner: dict[tuple[int, int], Graph] = {}

    def model(self) -> Model:
        """The whole model."""
        plans = self.root.tables(ProgramField.PLANS)
        self._first = len(plans)
        graphs = (*(_Plan(self, table).graph() for table in plans), *self._inner.values())
        if not any(graph.nodes for graph in graphs):
            raise FormatError("an ExecuTorch program that calls nothing")
        return Model(
            format="executorch",
            format_version=str(self.root.integer(ProgramField.VERSION, "u32")),
            producer="",
            graphs=graphs,
            notes=tuple(sorted(self.notes)),
        )

    def _segment(self, table: Table) -> memoryview:
        start, size = table.integer(0, "u64"), table.integer(1, "u64")
        start += self._base
        if start + size > self._data.nbytes:
            raise FormatError(
                f"a segment of {size} bytes at {start} ends after the file's "
                f"{self._data.nbytes}: cut off"
            )
        return self._data[start : start + size]

    def inside(self, delegate: Table) -> tuple[int, int] | None:
        """The graph that a delegate runs, by its index in the model, and the number of its inputs;
        None for machine code.
        """
        processed = delegate.table(1)
        if delegate.string(0) != xnnpack.DELEGATE or processed is None:
            return None
        place = (processed.integer(0, "i8"), processed.integer(1, "u32"))
        if place not in self._inner:
            data = self._delegate_data(*place)
            if data is None or not xnnpack.is_graph(data):
                return None
            graph = xnnpack.read_graph(data, self.root.buffer.name, self._named_data, self.notes)
            self._inner[place] = graph
        return self._first + list(self._inner).index(place), len(self._inner[place].inputs)

    def _delegate_data(self, location: int, index: int) -> memoryview | None:
        """In the program, or in a segment of its own."""
        if location:
            return self._segments[index] if index < len(self._segments) else None
        held = self.root.tables(ProgramField.DELEGATE_DATA)
        return held[index].blob(0) if index < len(held) else None

    def _named_data(self, name: str) -> memoryview | None:
        index = self._named.get(name)
        return None if index is None or index >= len(self._segments) else self._segments[index]

    def held(self, index: int, size: int, mutable: int | None) -> memoryview:
        """The bytes of a stored tensor.

        Args:
            index: of the buffer, above 0.
            size: wanted bytes.
            mutable: which table of initial states, None for constants.
        """
        if mutable is None and len(self._buffers):
            if index >= len(self._buffers):
                raise FormatError(f"buffer {index} is used; there are {len(self._buffers)}")
            held = self._buffers[index].blob(0)
            if held is None or held.nbytes < size:
                raise FormatError(f"buffer {index} is too small for {size} bytes")
            return held[:size]
        places = self._constants
        if mutable is not None:
            places = self._mutable[mutable] if mutable < len(self._mutable) else None
        if places is None or index >= len(places[1]) or places[0] >= len(self._segments):
            raise FormatError(f"stored tensor {index} is used, which the program has not")
        segment, start = self._segments[places[0]], places[1][index]
        if start + size > segment.nbytes:
            raise FormatError(
                f"stored tensor {index} takes {size} bytes at {start} of a segment of "
                f"{segment.nbytes}"
            )
        return segment[start : start + size]


def _offsets(table: Table) -> tuple[int, tuple[int, ...]]:
    """Segment, and where in it each stored tensor begins."""
    return table.integer(0, "u32"), table.integers(1, "u64")


class _Plan:
    """One entry point."""

    def __init__(self, program: _Program, table: Table) -> None:
        self._program = program
        self._table = table
        self._buffer = table.buffer
        self._notes = program.notes
        values = [each.union(0) for each in table.tables(PlanField.VALUES)]
        self._values = values
        self._names = unique(
            _label(value, index) if kind == ValueKind.TENSOR else f"value_{index}"
            for index, (kind, value) in enumerate(values)
        )
        self._tensors: dict[str, Tensor] = {}
        self._nodes: list[Node] = []
        self._ready: set[int] = set()
        self._places: dict[tuple[int, int], int] = {}
        self._computed: set[int] = set()
        self._kernels = [
            (each.string(0), each.string(1)) for each in table.tables(PlanField.OPERATORS)
        ]
        self._delegates = [
            (each.string(0) or "delegate", program.inside(each))
            for each in table.tables(PlanField.DELEGATES)
        ]

    def graph(self) -> Graph:
        """The entry point's graph."""
        for index, (kind, value) in enumerate(self._values):
            if kind == ValueKind.TENSOR and value is not None:
                self._tensors[self._names[index]] = self._tensor(index, value)
        inputs = self._table.integers(PlanField.INPUTS)
        for index in inputs:
            self._write(index)
        for chain in self._table.tables(PlanField.CHAINS):
            for instruction in chain.tables(schema.CHAIN_INSTRUCTIONS):
                self._instruction(*instruction.union(0))
        outputs = self._table.integers(PlanField.OUTPUTS)
        for index in outputs:
            self._view(index)
        return Graph(
            name=self._table.string(PlanField.NAME),
            tensors=self._tensors,
            nodes=tuple(self._nodes),
            inputs=tuple(self._name(i) for i in inputs if self._is_data(i)),
            outputs=tuple(self._name(i) for i in outputs if self._is_data(i)),
        )

    # --- values ---------------------------------------------------------------------------------

    def _value(self, index: int) -> tuple[int, Table | None]:
        if not 0 <= index < len(self._values):
            raise FormatError(f"value {index} is used; there are {len(self._values)}")
        return self._values[index]

    def _is_data(self, index: int) -> bool:
        """Whether a value is a tensor, or a scalar that a node or a caller gives."""
        return self._value(index)[0] == ValueKind.TENSOR or index in self._computed

    def _name(self, index: int) -> str:
        """The name of a tensor, or of a scalar that is computed, which gets a tensor."""
        kind, _ = self._value(index)
        name = self._names[index]
        if name not in self._tensors:
            dtype = _SCALARS.get(ValueKind(kind), DataType.UNKNOWN) if kind in _SCALARS else None
            if dtype is None:
                raise FormatError(f"value {index} is used as a tensor and is none")
            self._tensors[name] = Tensor(name=name, dtype=dtype, shape=())
        return name

    def _tensor(self, index: int, table: Table) -> Tensor:
        name = self._names[index]
        code = table.integer(TensorField.TYPE, "i8")
        dtype = schema.DATA_TYPES.get(code, DataType.UNKNOWN)
        if dtype is DataType.UNKNOWN:
            self._notes.add("newer-types")
        sizes = table.integers(TensorField.SIZES)
        if len(sizes) > _HIGHEST_RANK or min(sizes, default=0) < 0:
            raise FormatError(f"tensor {name!r} cannot have the sizes {sizes[:_HIGHEST_RANK]}")
        dynamism = table.integer(TensorField.DYNAMISM, "i8")
        if dynamism == schema.BOUNDED:
            self._notes.add("bounded-shapes")
        buffer, extra = table.integer(TensorField.BUFFER, "u32"), table.table(TensorField.EXTRA)
        is_mutable = table.has(TensorField.ALLOCATION)
        kind = TensorKind.VARIABLE if is_mutable else TensorKind.CONSTANT
        if extra is not None and extra.integer(2, "i8") == schema.EXTERNAL:
            self._notes.add("weights-absent")
            data: TensorData | None = None
        elif buffer == 0:
            is_open = dynamism == schema.UNBOUNDED
            shape = tuple("?" if is_open else size for size in sizes)
            return Tensor(name=name, dtype=dtype, shape=shape)
        elif dtype.bits is None:
            data = None
        else:
            mutable = None
            if is_mutable:
                mutable = 0 if extra is None else extra.integer(0, "u64")
            data = self._stored(table, sizes, dtype, buffer, mutable)
        self._ready.add(index)
        return Tensor(name=name, dtype=dtype, shape=sizes, data=data, kind=kind)

    def _stored(
        self,
        table: Table,
        sizes: tuple[int, ...],
        dtype: DataType,
        buffer: int,
        mutable: int | None,
    ) -> TensorData:
        """The bytes in the order of the sizes; files may store them in another order."""
        if table.integer(TensorField.STORAGE_OFFSET):
            raise FormatError(f"buffer {buffer} is used from its middle, which no runtime can")
        elements = math.prod(sizes)
        size = dtype.size_bytes(elements) if elements < _MOST_ELEMENTS else None
        if size is None:
            raise FormatError(f"no tensor can have the sizes {sizes}")
        held = self._program.held(buffer, size, mutable)
        order = table.integers(TensorField.ORDER, "u8")
        if not order or order == tuple(range(len(sizes))):
            return held
        if sorted(order) != list(range(len(sizes))):
            raise FormatError(f"a tensor of {len(sizes)} dimensions has the order {order}")
        return LazyBytes(size_bytes=size, load=lambda: _reordered(held, sizes, order))

    # --- instructions ---------------------------------------------------------------------------

    def _instruction(self, kind: int, table: Table | None) -> None:
        if table is None:
            raise FormatError("an instruction without contents")
        if kind == Instruction.KERNEL:
            index = table.integer(0)
            if not 0 <= index < len(self._kernels):
                raise FormatError(f"kernel {index} is called; there are {len(self._kernels)}")
            self._kernel(*self._kernels[index], table.integers(1))
        elif kind == Instruction.DELEGATE:
            index = table.integer(0)
            if not 0 <= index < len(self._delegates):
                raise FormatError(f"delegate {index} is called; there are {len(self._delegates)}")
            self._delegate(*self._delegates[index], table.integers(1))
        elif kind == Instruction.MOVE:
            source, target = table.integer(0), table.integer(1)
            self._add("MoveCall", "Identity", [source], [target], {})
        elif kind == Instruction.JUMP:
            self._notes.add("control-flow")
            condition, target = table.integer(0), table.integer(1)
            known = [condition] if self._is_data(condition) else []
            self._add("JumpFalseCall", "", known, [], {"destination_instruction": target})
        elif kind != Instruction.FREE:
            raise FormatError(f"instruction of kind {kind}; known are 1 to {int(Instruction.FREE)}")

    def _kernel(self, kernel: str, overload: str, arguments: tuple[int, ...]) -> None:
        namespace, _, name = kernel.rpartition("::")
        given, results = _split(namespace, name, arguments)
        outputs = [item for index in results for item in self._members(index)]
        operands = [self._operand(index) for index in given]
        tensors = [item for index in given for item in self._members(index)]
        for index in tensors:
            self._view(index)
        call = operators.mapped(namespace, name, tuple(operands))
        labels = operators.ARGUMENTS.get(name, ())
        attributes: dict[str, AttributeValue] = {} if call is None else dict(call.attributes)
        if call is None or namespace != "aten":
            for at, value in enumerate(operands):
                plain = _plain(value)
                if plain is not None:
                    label = labels[at] if at < len(labels) else f"argument_{at}"
                    if call is None or label != "-":
                        attributes.setdefault(label.replace("-", f"argument_{at}"), plain)
        if overload:
            attributes.setdefault("overload", overload)
        inputs = [self._names[index] for index in tensors]
        operator = ""
        if call is not None:
            operator = call.operator
            inputs = self._inputs(call.inputs, inputs)
        self._spend(len(inputs) + len(outputs))
        self._add(kernel, operator, inputs, outputs, attributes)
        self._quantization(name, operands, inputs, outputs)

    def _inputs(self, wanted: Sequence[Operand], all_names: list[str]) -> list[str]:
        """The inputs of a translated call; tensors that ONNX does not know follow."""
        named: list[str] = []
        for value in wanted:
            if isinstance(value, Ref):
                named.append(value.name)
            elif isinstance(value, bool | int | float):
                named.append(self._constant(value))
            else:
                named.append("")
        known = set(named)
        named += [name for name in dict.fromkeys(all_names) if name not in known]
        while named and not named[-1]:
            named.pop()
        return named

    def _constant(self, value: float) -> str:
        kind, dtype = (
            ("<f8", DataType.FLOAT64) if isinstance(value, float) else ("<i8", DataType.INT64)
        )
        name = f"{value!r}:{dtype}"
        data = memoryview(np.asarray(value, kind).tobytes())
        self._tensors[name] = Tensor(
            name=name, dtype=dtype, shape=(), data=data, kind=TensorKind.CONSTANT
        )
        return name

    def _delegate(
        self, name: str, inside: tuple[int, int] | None, arguments: tuple[int, ...]
    ) -> None:
        """Arguments are what the delegate reads, then what it writes."""
        data = [item for index in arguments for item in self._members(index)]
        if inside is None:
            first = next((at for at, i in enumerate(data) if not self._is_ready(i)), len(data))
        else:
            first = inside[1]
        self._spend(len(data))
        attributes: dict[str, AttributeValue] = {}
        if inside is None:
            self._notes.add("accelerator-blob")
        else:
            attributes["function"] = GraphReference(inside[0])
        self._add(name, "", data[:first], data[first:], attributes)

    def _add(
        self,
        source: str,
        operator: str,
        inputs: Sequence[int | str],
        outputs: Iterable[int],
        attributes: dict[str, AttributeValue],
    ) -> None:
        for index in inputs:
            if isinstance(index, int):
                self._view(index)
        written = list(outputs)
        for index in written:
            self._write(index)
        domain, _, short = source.rpartition("::")
        self._nodes.append(
            Node(
                name="",
                operator=operator,
                source_operator=short,
                inputs=tuple(i if isinstance(i, str) else self._name(i) for i in inputs),
                outputs=tuple(self._name(index) for index in written),
                attributes=attributes,
                domain=domain,
            )
        )

    def _members(self, index: int) -> tuple[int, ...]:
        """The tensors of a value: itself, those of a list, or none."""
        kind, table = self._value(index)
        if kind in _LISTS and table is not None:
            return tuple(item for item in table.integers(0) if item >= 0 and self._is_data(item))
        return (index,) if self._is_data(index) else ()

    def _operand(self, index: int) -> Operand:
        kind, table = self._value(index)
        if table is None or kind == ValueKind.NOTHING:
            return None
        if kind == ValueKind.TENSOR or index in self._computed:
            name = self._name(index)
            shape = self._tensors[name].shape or ()
            return Ref(name, tuple(s for s in shape if isinstance(s, int)))
        if kind == ValueKind.INTS:
            return [self._operand(i) for i in table.integers(0, "i64") if self._is_number(i)]
        if kind in _LISTS:
            return [
                None if i < 0 else self._operand(i) for i in table.integers(0) if self._is_item(i)
            ]
        if kind == ValueKind.INT:
            return table.integer(0, "i64")
        if kind == ValueKind.BOOL:
            return table.boolean(0)
        if kind == ValueKind.DOUBLE:
            return table.real(0, "f64")
        if kind == ValueKind.STRING:
            return table.string(0)
        if kind == ValueKind.DOUBLES:
            return list(table.reals(0, "f64"))
        if kind == ValueKind.BOOLS:
            return [bool(value) for value in table.integers(0, "u8")]
        return None

    def _is_number(self, index: int) -> bool:
        """Refuses a list of numbers with anything else in it."""
        if self._value(index)[0] != ValueKind.INT:
            raise FormatError(f"value {index} is in a list of numbers and is none")
        return True

    def _is_item(self, index: int) -> bool:
        """Refuses a list of tensors with anything else in it."""
        if index >= 0 and self._value(index)[0] not in (ValueKind.TENSOR, ValueKind.NOTHING):
            raise FormatError(f"value {index} is in a list of tensors and is none")
        return True

    # --- what is where --------------------------------------------------------------------------

    def _is_ready(self, index: int) -> bool:
        if index in self._ready:
            return True
        place = self._place(index)
        return place is not None and place in self._places

    def _place(self, index: int) -> tuple[int, int] | None:
        kind, table = self._value(index)
        if kind != ValueKind.TENSOR or table is None:
            return None
        at = table.table(TensorField.ALLOCATION)
        if at is None:
            return None
        return at.integer(0, "u32"), at.integer(1, "u32") | at.integer(2, "u32") << 32

    def _write(self, index: int) -> None:
        kind, _ = self._value(index)
        if kind in _SCALARS:
            self._computed.add(index)
        elif kind != ValueKind.TENSOR:
            return
        self._ready.add(index)
        place = self._place(index)
        if place is not None:
            self._places[place] = index

    def _view(self, index: int) -> None:
        """Joins a tensor that nothing has written with the one that lies at the same place."""
        if index in self._ready or self._value(index)[0] != ValueKind.TENSOR:
            return
        place = self._place(index)
        source = None if place is None else self._places.get(place)
        if source is None:
            return
        old, new = self._tensors[self._names[source]], self._tensors[self._names[index]]
        if (old.dtype, old.elements) != (new.dtype, new.elements) or new.shape is None:
            return
        self._ready.add(index)
        sizes = tuple(size for size in new.shape if isinstance(size, int))
        attributes: dict[str, AttributeValue] = {}
        if len(sizes) == len(new.shape) and 0 not in sizes:
            attributes["shape"] = sizes
        self._nodes.append(
            Node(
                name="",
                operator="Reshape" if attributes else "",
                source_operator="memory.view",
                inputs=(old.name,),
                outputs=(new.name,),
                attributes=attributes,
            )
        )

    def _quantization(
        self, name: str, operands: list[Operand], inputs: list[str], outputs: list[int]
    ) -> None:
        """Says of the integers of a quantising kernel what they stand for."""
        if (
            not name.endswith("quantize_per_tensor")
            or len(operands) < 3
            or not inputs
            or not outputs
        ):
            return
        scale, zero = operands[1], operands[2]
        if not isinstance(scale, float) or not isinstance(zero, int):
            return
        integers = inputs[0] if name.startswith("de") else self._names[outputs[0]]
        if integers in self._tensors:
            found = Quantization(scales=(scale,), zero_points=(zero,))
            self._tensors[integers] = replace(self._tensors[integers], quantization=found)

    def _spend(self, items: int) -> None:
        self._buffer.spend(16 * items, self._table.position)


def _label(table: Table | None, index: int) -> str:
    extra = None if table is None else table.table(TensorField.EXTRA)
    return (extra.string(1) if extra is not None else "") or f"value_{index}"


def _split(
    namespace: str, name: str, arguments: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What a kernel reads, and what it writes: its last arguments, which then stand there twice.

    Primitives give one result, which stands there once; `et_copy_index` fills its first argument.
    """
    for count in range(1, min(len(arguments) // 2, _MOST_RESULTS) + 1):
        if arguments[-count:] == arguments[-2 * count : -count]:
            return arguments[: -2 * count], arguments[-count:]
    if namespace == _PRIMITIVES and arguments:
        if name == "et_copy_index":
            return arguments[1:], arguments[:1]
        return arguments[:-1], arguments[-1:]
    return arguments, ()


def _plain(value: Operand) -> AttributeValue | None:
    """An argument as an attribute; None for tensors and for what is absent."""
    if isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        whole = tuple(v for v in value if isinstance(v, int))
        real = tuple(v for v in value if isinstance(v, float))
        if len(whole) == len(value):
            return whole
        return real if len(real) == len(value) else None
    return None


def _reordered(held: memoryview, sizes: tuple[int, ...], order: tuple[int, ...]) -> memoryview:
    """Elements in the order of their dimensions; `order` has the stored one, from outer to inner."""
    elements = math.prod(sizes)
    if not elements:
        return held
    raw = np.frombuffer(held, np.uint8)
    stored = raw.reshape(*(sizes[axis] for axis in order), held.nbytes // elements)
    back = tuple(int(axis) for axis in np.argsort(order))
    return memoryview(stored.transpose(*back, len(sizes)).tobytes())
