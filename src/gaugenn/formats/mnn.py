"""MNN models: one FlatBuffer without identifier, and the weights inside it or in a file beside it.

`Input` and `Const` operators of the file are tensors here. Compressed weights decode when they are
read. Sub-graphs follow the main graph; a loop or branch names the ones it runs, and an outer tensor
that they use is an input of theirs.

Notes: `weights-absent` (the benchmark files of the library hold none), `newer-operators` (numbers
beyond the schema this reader was written from), `training-graph`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from gaugenn.content import Content
from gaugenn.errors import FormatError
from gaugenn.formats import _mnn_operators
from gaugenn.formats import _mnn_schema as schema
from gaugenn.formats._assembly import check_calls, ordered, unique
from gaugenn.formats._contract import FormatReader, Magic
from gaugenn.formats._flatbuffers import Field, FlatBuffer, Table, Tables
from gaugenn.formats._mnn_layers import Layer, Site, float_scales, layer
from gaugenn.formats._mnn_schema import DescriptionField, NetField, OperatorField, SubgraphField
from gaugenn.formats._mnn_weights import WeightSource
from gaugenn.formats._operator_call import Call, Translation
from gaugenn.graph import (
    AttributeValue,
    DataType,
    Graph,
    GraphReference,
    Model,
    Node,
    Quantization,
    Shape,
    Tensor,
    TensorKind,
)

_WEIGHTS_SUFFIX = ".mnn.weight"
_BENCHMARK_CODE = "benchmark"
"""With this code MNN's own programs put made-up weights in the place of the file's.

Source: https://mnn-docs.readthedocs.io/en/latest/tools/benchmark.html
"""
_OFFSET_FIELDS = (0, 1, 2, 3, 4, 7, 10, 11)
_BYTE_FIELDS = {NetField.FORWARD_TYPE: 16, NetField.SOURCE: 8, NetField.USAGE: 4}
"""Bounds of the root's enumerations, with room for newer values."""

_MOST_ROOT_FIELDS = 16
_FARTHEST_ROOT = 64
_CONSTANTS = frozenset({"Const", "TrainableParam"})
_INT8_RESULTS = frozenset({"ConvInt8", "DepthwiseConvInt8", "EltwiseInt8", "FloatToInt8"})
_IMAGES = frozenset(
    {
        *("Convolution", "ConvolutionDepthwise", "ConvInt8", "DepthwiseConvInt8", "Deconvolution"),
        *("DeconvolutionDepthwise", "Pooling", "Interp", "DepthToSpace", "SpaceToDepth"),
    }
)
"""Operators whose results always have four dimensions."""

_RANK_KEEPING = frozenset(
    {
        *("BatchNorm", "BinaryOp", "Cast", "Concat", "ConvertTensor", "Eltwise", "EltwiseInt8"),
        *("FloatToInt8", "Int8ToFloat", "PReLU", "Padding", "Permute", "ReLU", "ReLU6", "Scale"),
        *("Sigmoid", "Softmax", "TanH", "UnaryOp"),
    }
)
_REFERENCES = {
    "cond_graph": "cond",
    "body_graph": "body",
    "then_graph": "then_branch",
    "else_graph": "else_branch",
}
_LARGEST_ZERO_POINT = 1 << 31


class MnnReader(FormatReader):
    """Reads MNN files."""

    title: ClassVar[str] = "MNN"
    spec: ClassVar[str] = "https://github.com/alibaba/MNN/tree/master/schema/default"
    suffixes: ClassVar[tuple[str, ...]] = (".mnn",)
    weights_suffixes: ClassVar[tuple[str, ...]] = (_WEIGHTS_SUFFIX,)
    magics: ClassVar[tuple[Magic, ...]] = ((1, bytes(3)),)  # the root table is near the beginning

    def sniff(self, name: str, head: bytes) -> bool:
        """The root table has the fields of a net, and nothing where other formats identify.

        Under the format's own name the offset of a root that is no table is enough, too: that is a
        broken net, for `read` to refuse.
        """
        named = name.lower().endswith(self.suffixes)
        return _looks_like_a_net(head) or (named and _has_a_root(head) and not _has_a_table(head))

    def read(self, content: Content) -> Model:
        """Reads every sub-graph; weights stay in the mapped files.

        Raises:
            FormatError: not a whole, consistent MNN file.
        """
        try:
            return _Reading(content).model()
        except FormatError as error:
            if str(error).startswith(content.name):
                raise
            raise type(error)(f"{content.name}: {error}") from error


def _has_a_root(head: bytes) -> bool:
    """Whether an offset of a root table comes first, and no identifier of another format second."""
    at = int.from_bytes(head[:4], "little")
    if len(head) < 32 or at % 4 or not 4 <= at <= _FARTHEST_ROOT:
        return False
    return not all(0x20 < byte < 0x7F for byte in head[4:8])


def _has_a_table(head: bytes) -> bool:
    """Whether the root offset leads to something that has the form of a table."""
    at = int.from_bytes(head[:4], "little")
    vtable = at - int.from_bytes(head[at : at + 4], "little", signed=True)
    if not 4 <= vtable <= len(head) - 4:
        return False
    size = int.from_bytes(head[vtable : vtable + 2], "little")
    return size >= 4 and size % 2 == 0


def _looks_like_a_net(head: bytes) -> bool:
    """Checks the root as far as the head shows it: its vectors may lie anywhere behind."""
    if not _has_a_root(head):
        return False
    at = int.from_bytes(head[:4], "little")
    vtable = at - int.from_bytes(head[at : at + 4], "little", signed=True)
    if not 4 <= vtable <= len(head) - 4:
        return False
    size = int.from_bytes(head[vtable : vtable + 2], "little")
    room = int.from_bytes(head[vtable + 2 : vtable + 4], "little")
    count = (size - 4) // 2
    if size % 2 or not NetField.TENSOR_NAMES < count <= _MOST_ROOT_FIELDS or room > 4 * count + 8:
        return False
    if max(at + room, vtable + size) > len(head):
        return False
    entries = [
        int.from_bytes(head[vtable + 4 + 2 * i : vtable + 6 + 2 * i], "little")
        for i in range(count)
    ]
    taken: set[int] = set(range(4))
    for number, entry in enumerate(entries):
        if not entry:
            continue
        width = 1 if number in _BYTE_FIELDS else 4
        if entry % width or entry + width > room or taken & set(range(entry, entry + width)):
            return False
        taken.update(range(entry, entry + width))
    if len(taken) + 3 < room:
        return False  # more bytes than the fields account for: those of other tables
    return _holds_a_net(head, at, entries)


def _holds_a_net(head: bytes, at: int, entries: Sequence[int]) -> bool:
    """Whether the fields' values are possible, given where each lies."""
    if not entries[NetField.OPERATORS] or not entries[NetField.TENSOR_NAMES]:
        return False
    for number, entry in enumerate(entries):
        if not entry:
            continue
        place = at + entry
        value = int.from_bytes(head[place : place + 4], "little")
        if number in _BYTE_FIELDS and head[place] >= _BYTE_FIELDS[number]:
            return False
        if number == NetField.TENSOR_COUNT and value > 1 << 24:
            return False
        if number in _OFFSET_FIELDS:
            target = place + value
            if value < 4 or target % 4 or value > 1 << 31:
                return False
            is_vector = number in (NetField.OPERATORS, NetField.TENSOR_NAMES)
            if is_vector and target + 4 <= len(head):
                items = int.from_bytes(head[target : target + 4], "little")
                if not 0 < items < 1 << 24:
                    return False
    return True


@dataclass(kw_only=True)
class _Scope:
    """A graph while it is read."""

    names: list[str]
    tensors: dict[str, Tensor] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    ranks: dict[str, int] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)

    def new_name(self, wanted: str) -> str:
        """A name for a tensor that has none in the file."""
        name = wanted
        number = 0
        while name in self.taken:
            number += 1
            name = f"{wanted}#{number}"
        self.taken.add(name)
        return name


class _Reading:
    """One read of one file."""

    def __init__(self, content: Content) -> None:
        self._content = content
        self._root = FlatBuffer(content.data, content.name).root()
        self._source = WeightSource(content, content.sibling(_WEIGHTS_SUFFIX))
        self._notes: set[str] = set()
        self._subgraphs = self._root.tables(NetField.SUBGRAPHS)
        self._graph_numbers: dict[str, int] = {}
        for number, table in enumerate(self._subgraphs, 1):
            self._graph_numbers.setdefault(table.string(SubgraphField.NAME), number)

    def model(self) -> Model:
        root = self._root
        if not len(root.tables(NetField.OPERATORS)):
            raise FormatError("an MNN file without operators")
        scope = _Scope(names=unique(root.strings(NetField.TENSOR_NAMES)))
        graphs = [self._main(scope)]
        graphs += [self._inner(table) for table in self._subgraphs]
        check_calls(graphs)
        if root.integer(NetField.USAGE, "i8") == schema.TRAINING:
            self._notes.add("training-graph")
        if root.string(NetField.BUSINESS_CODE) == _BENCHMARK_CODE:
            self._notes.add("benchmark-weights")
        companion = self._source.companion
        extra = root.table(NetField.EXTRA_INFO)
        return Model(
            format="mnn",
            format_version="",
            producer="" if extra is None else _producer(extra),
            graphs=tuple(graphs),
            metadata=self._metadata(),
            companions=() if companion is None else (companion.file_name,),
            notes=tuple(sorted(self._notes | self._source.notes)),
        )

    def _metadata(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for name, number in (("biz_code", NetField.BUSINESS_CODE), ("uuid", NetField.UUID)):
            if self._root.string(number):
                found[name] = self._root.string(number)
        source = self._root.integer(NetField.SOURCE, "i8")
        if 0 <= source < len(schema.SOURCES):
            found["source_framework"] = schema.SOURCES[source]
        return found

    def _main(self, scope: _Scope) -> Graph:
        self._read_operators(scope, self._root.tables(NetField.OPERATORS))
        self._describe(scope, self._root.tables(NetField.DESCRIPTIONS))
        wanted = self._root.strings(NetField.OUTPUT_NAMES)
        outputs = tuple(name for name in wanted if name in scope.tensors)
        if not outputs:
            used = {name for node in scope.nodes for name in node.inputs}
            made = [name for node in scope.nodes for name in node.outputs]
            outputs = tuple(name for name in made if name and name not in used)
        return self._graph(scope, "", tuple(scope.inputs), outputs)

    def _inner(self, table: Table) -> Graph:
        scope = _Scope(names=unique(table.strings(SubgraphField.TENSOR_NAMES)))
        self._read_operators(scope, table.tables(SubgraphField.OPERATORS))
        self._describe(scope, table.tables(SubgraphField.DESCRIPTIONS))
        inputs, outputs = (
            tuple(self._tensor(scope, index).name for index in table.integers(number))
            for number in (SubgraphField.INPUTS, SubgraphField.OUTPUTS)
        )
        return self._graph(scope, table.string(SubgraphField.NAME), inputs, outputs)

    def _graph(
        self, scope: _Scope, name: str, inputs: tuple[str, ...], outputs: tuple[str, ...]
    ) -> Graph:
        return Graph(
            name=name,
            tensors=scope.tensors,
            nodes=tuple(scope.nodes),
            inputs=inputs,
            outputs=outputs,
        )

    def _tensor(self, scope: _Scope, index: int) -> Tensor:
        """The tensor with a number, made when it is first used."""
        if not 0 <= index < len(scope.names):
            raise FormatError(f"tensor {index} is used; the graph names {len(scope.names)}")
        name = scope.names[index]
        if name not in scope.tensors:
            scope.tensors[name] = Tensor(name=name, dtype=DataType.UNKNOWN, shape=None)
        return scope.tensors[name]

    def _read_operators(self, scope: _Scope, tables: Tables) -> None:
        scope.taken.update(scope.names)
        # Constants may be listed behind their users, whose meaning depends on them.
        opened = [(table, self._type(table)) for table in tables]
        for table, kind in opened:
            if kind in _CONSTANTS:
                self._constant(scope, table)
            elif kind == "Input":
                self._input(scope, table)
        for table, kind in opened:
            if kind not in _CONSTANTS and kind != "Input":
                self._operator(scope, table, kind)

    def _type(self, table: Table) -> str:
        number = table.integer(OperatorField.TYPE)
        if number in schema.OPERATORS:
            return schema.OPERATORS[number]
        if not 0 <= number <= schema.LARGEST_OPERATOR:
            raise FormatError(f"operator type {number} is none of MNN's")
        self._notes.add("newer-operators")
        return f"OpType_{number}"

    def _single_output(self, scope: _Scope, table: Table) -> str:
        outputs = table.integers(OperatorField.OUTPUTS)
        if len(outputs) != 1:
            raise FormatError(f"a constant or input with {len(outputs)} outputs")
        return self._tensor(scope, outputs[0]).name

    def _constant(self, scope: _Scope, table: Table) -> None:
        name = self._single_output(scope, table)
        member, blob = table.union(OperatorField.PARAMETER)
        if blob is None or schema.PARAMETERS.get(member, ("",))[0] != "Blob":
            raise FormatError(f"the constant {name!r} has no value")
        tensor = scope.tensors[name] = self._source.blob(blob, name)
        scope.ranks[name] = len(tensor.shape or ())

    def _input(self, scope: _Scope, table: Table) -> None:
        name = self._single_output(scope, table)
        member, found = table.union(OperatorField.PARAMETER)
        shape: Shape | None = None
        dtype = DataType.FLOAT32
        if found is not None and schema.PARAMETERS.get(member, ("",))[0] == "Input":
            sizes = found.integers(0)
            shape = tuple(size if size >= 0 else "?" for size in sizes) if found.has(0) else None
            code = found.integer(1, "i32", 1)
            known = 0 <= code < len(schema.DATA_TYPES)
            dtype = schema.DATA_TYPES[code] if known else DataType.UNKNOWN
        scope.tensors[name] = Tensor(name=name, dtype=dtype, shape=shape)
        scope.inputs.append(name)
        if shape is not None:
            scope.ranks[name] = len(shape)

    def _operator(self, scope: _Scope, table: Table, kind: str) -> None:
        member, found = table.union(OperatorField.PARAMETER)
        parameter, layout = schema.PARAMETERS.get(member, ("", ()))
        options = {} if found is None else self._options(found, parameter, layout)
        inputs = tuple(
            self._tensor(scope, i) if i >= 0 else None for i in table.integers(OperatorField.INPUTS)
        )
        outputs = tuple(self._tensor(scope, i) for i in table.integers(OperatorField.OUTPUTS))
        name = table.string(OperatorField.NAME)
        call = Call(source=kind, options=options, inputs=inputs, outputs=outputs)
        made = self._layer(scope, call, parameter, found, name)
        if made is None:
            translated = self._translate(scope, call, found, parameter)
            arranged = ordered(inputs, translated.inputs)
            operator, attributes = translated.operator, translated.attributes
        else:
            arranged = _with_weights(scope, inputs, made)
            operator, attributes = made.operator, made.attributes
        scope.nodes.append(
            Node(
                name=name,
                operator=operator,
                source_operator=kind,
                inputs=arranged,
                outputs=tuple(tensor.name for tensor in outputs),
                attributes=attributes,
                domain=str(options.get("engine", "")) if kind == "Extra" else "",
            )
        )
        self._note_results(scope, call)

    def _options(
        self, table: Table, parameter: str, layout: Sequence[Field]
    ) -> dict[str, AttributeValue]:
        options: dict[str, AttributeValue] = {}
        for key, value in table.read(layout).items():
            names = schema.ENUMERATIONS.get((parameter, key))
            reference = _REFERENCES.get(key)
            if names is not None and isinstance(value, int):
                options[key] = names.get(value, value)
            elif reference is not None and isinstance(value, str):
                if value not in self._graph_numbers:
                    raise FormatError(f"sub-graph {value!r} is run, but not there")
                options[reference] = GraphReference(self._graph_numbers[value])
            else:
                options[key] = value
        return options

    def _layer(
        self, scope: _Scope, call: Call, parameter: str, table: Table | None, name: str
    ) -> Layer | None:
        if table is None:
            return None
        prefix = name or (call.outputs[0].name if call.outputs and call.outputs[0] else "")
        return layer(
            Site(
                call=call,
                parameter=parameter,
                table=table,
                source=self._source,
                name_of=lambda role: scope.new_name(f"{prefix}/{role}"),
            )
        )

    def _translate(
        self, scope: _Scope, call: Call, table: Table | None, parameter: str
    ) -> Translation:
        options = dict(call.options)
        if call.source == "ConvertTensor" and call.inputs and call.inputs[0] is not None:
            options["rank"] = scope.ranks.get(call.inputs[0].name, 0)
        if call.source in ("Interp", "Resize"):
            source = self._root.integer(NetField.SOURCE, "i8")
            options["from_tensorflow"] = int(source in (1, 2))
        if table is not None and parameter == "QuantizedFloatParam":
            self._note_scales(scope, call, table)
        rule = _mnn_operators.RULES.get(call.source)
        translated = None if rule is None else rule(replace(call, options=options))
        if translated is None:
            return Translation(operator="", attributes=dict(call.options))
        return translated

    def _note_scales(self, scope: _Scope, call: Call, table: Table) -> None:
        """Quantisation of the int8 side: the file has the factor that goes from one side to other."""
        to_int8 = call.source == "FloatToInt8"
        side = call.outputs if to_int8 else call.inputs
        tensor = side[0] if side else None
        factors, zero = float_scales(table)
        if tensor is None or not factors or 0 in factors:
            return
        scales = tuple(1 / f for f in factors) if to_int8 else factors
        is_many = len(scales) > 1
        quantization = Quantization(scales=scales, zero_points=(zero,), axis=1 if is_many else None)
        known = scope.tensors[tensor.name]
        if known.quantization is None:
            scope.tensors[tensor.name] = replace(known, quantization=quantization)

    def _note_results(self, scope: _Scope, call: Call) -> None:
        """Ranks and element types that follow from the operator alone."""
        first = call.inputs[0] if call.inputs else None
        for output in call.outputs:
            if output is None:
                continue
            known = scope.tensors[output.name]
            dtype = DataType.FLOAT32 if call.source == "Int8ToFloat" else known.dtype
            if call.source in _INT8_RESULTS:
                dtype = DataType.INT8
            if known.kind is TensorKind.ACTIVATION and dtype is not known.dtype:
                scope.tensors[output.name] = replace(known, dtype=dtype)
            rank = 0
            if call.source in _IMAGES:
                rank = 4
            elif call.source in _RANK_KEEPING and first is not None:
                rank = scope.ranks.get(first.name, 0)
            elif call.source == "Reshape" and len(call.inputs) == 1:
                rank = len(call.wholes("dims"))
            elif call.source == "InnerProduct":
                rank = 2
            if rank:
                scope.ranks[output.name] = rank

    def _describe(self, scope: _Scope, tables: Tables) -> None:
        """Element types and quantisation that the file notes for single tensors."""
        for table in tables:
            index = table.integer(DescriptionField.INDEX)
            details = table.table(DescriptionField.QUANTIZATION)
            if details is None or not 0 <= index < len(scope.names):
                continue
            known = scope.tensors.get(scope.names[index])
            values = details.read(schema.DESCRIBED_QUANTIZATION)
            scale, zero, code = values["scale"], values["zero"], values["type"]
            if known is None or known.kind is not TensorKind.ACTIVATION:
                continue
            if not isinstance(scale, float) or not isinstance(zero, float) or not scale:
                continue
            dtype = known.dtype
            if isinstance(code, int) and 0 < code < len(schema.DATA_TYPES):
                dtype = schema.DATA_TYPES[code]
            zero_point = int(zero) if abs(zero) < _LARGEST_ZERO_POINT else 0
            scope.tensors[known.name] = replace(
                known,
                dtype=dtype,
                quantization=Quantization(scales=(scale,), zero_points=(zero_point,)),
            )


def _producer(extra: Table) -> str:
    """The converter: the file gives its version, and a name only where someone set one."""
    name, version = extra.string(1), extra.string(2)
    return f"{name or 'MNNConvert'} {version}" if version else name


def _with_weights(scope: _Scope, inputs: Sequence[Tensor | None], made: Layer) -> tuple[str, ...]:
    """Names of a layer's inputs, with its weights among them; adds these to the graph."""
    names = ["" if tensor is None else tensor.name for tensor in inputs]
    for tensor in (*made.weights, *made.further):
        if tensor is not None:
            scope.tensors[tensor.name] = tensor
    weights = ["" if tensor is None else tensor.name for tensor in made.weights]
    return (*names[: made.first], *weights, *names[made.first :])
