"""MACE: a net of operators (`.pb`), and its constants in a file beside it (`.data`)."""

from collections.abc import Iterator, Mapping

import numpy as np

from gaugenn.content import Content
from gaugenn.errors import FormatError
from gaugenn.formats import _mace_operators as operators
from gaugenn.formats._attributes import LARGEST, Attributes
from gaugenn.formats._contract import FormatReader
from gaugenn.formats._draft import Draft, Mapped
from gaugenn.formats._protobuf import (
    LENGTH,
    VARINT,
    HeadField,
    Message,
    Schema,
    head_fields,
    read_message,
)
from gaugenn.graph import (
    AttributeValue,
    DataType,
    Graph,
    Layout,
    LazyBytes,
    Model,
    Quantization,
    Shape,
    Tensor,
    TensorData,
    TensorKind,
    check_nodes,
)

_NETS = Schema("MultiNetDef", version=1, name=2, net=3)
_NET = Schema("NetDef", op=1, arg=2, tensors=3, name=5, data_offset=6, input=100, output=101)
_OPERATOR = Schema("OperatorDef", input=1, output=2, name=3, type=4, arg=6, shape=7, dtype=8)
_ARGUMENT = Schema("Argument", name=1, f=2, i=3, s=4, floats=5, ints=6)
_SHAPE = Schema("OutputShape", dims=1)
_CONSTANT = Schema(
    "ConstTensor",
    dims=1,
    dtype=2,
    floats=3,
    ints=4,
    name=5,
    offset=6,
    size=7,
    scale=8,
    zero_point=9,
    quantized=12,
)
_INFO = Schema("InputOutputInfo", name=1, dims=3, dtype=5, format=6)

_TYPES: Mapping[int, DataType] = {
    1: DataType.FLOAT32,
    2: DataType.UINT8,
    3: DataType.FLOAT16,
    4: DataType.INT32,
    5: DataType.FLOAT16,
    6: DataType.BFLOAT16,
    7: DataType.INT16,
    8: DataType.INT8,
    9: DataType.UINT16,
    10: DataType.UINT32,
    11: DataType.BOOL,
}
_CHANNELS_FIRST = 2
_OIHW = 101
_INPUT = "mace_input_node_"
_DENSE = "FullyConnected"
_HIGHEST_RANK = 16


class MaceReader(FormatReader):
    """Reads a net, or several in one file, with or without the constants beside it."""

    title = "MACE"
    spec = "https://github.com/XiaoMi/mace/blob/master/mace/proto/mace.proto"
    suffixes = (".pb",)
    weights_suffixes = (".data",)

    def sniff(self, name: str, head: bytes) -> bool:
        """By the type of the first operator."""
        del name
        try:
            return _begins_nets(head) or _begins_net(head)
        except FormatError:
            return False

    def read(self, content: Content) -> Model:
        """Reads every net.

        Raises:
            FormatError: a net that is cut off or contradicts itself, or constants of another.
        """
        companions = self.companions(content)
        weights = companions[0].data if companions else None
        try:
            if _begins_nets(content.head(4096)):
                outer = read_message(content.data, _NETS)
                nets = list(outer.messages("net", _NET))
            else:
                nets = [read_message(content.data, _NET)]
            builders = [_Builder(net, weights) for net in nets]
            graphs = tuple(builder.graph() for builder in builders)
        except FormatError as error:
            raise type(error)(f"{content.name}: {error}") from error
        lacking = any(builder.lacking for builder in builders)
        return Model(
            format="mace",
            format_version="",
            producer="",
            graphs=graphs,
            companions=tuple(each.file_name for each in companions),
            notes=("weights-absent",) if lacking else (),
        )


def _begins_net(head: bytes) -> bool:
    first = next(head_fields(head), None)
    return first is not None and first.number == 1 and _is_operator(first)


def _begins_nets(head: bytes) -> bool:
    """A version and a name before the first net."""
    for field in head_fields(head):
        if field.number == 1 and field.wire == VARINT:
            continue
        if field.number == 2 and field.wire == LENGTH:
            continue
        return field.number == 3 and field.wire == LENGTH and _begins_net(field.data)
    return False


def _is_operator(field: HeadField) -> bool:
    if field.wire != LENGTH:
        return False
    for inner in head_fields(field.data, whole=field.whole):
        if inner.number not in (1, 2, 3, 4) or inner.wire != LENGTH:
            return False
        if inner.number == 4:
            return inner.whole and inner.data.decode("ascii", "replace") in operators.KNOWN
    return False


def _arguments(message: Message) -> Iterator[tuple[str, AttributeValue]]:
    for argument in message.messages("arg", _ARGUMENT):
        name = argument.text("name")
        if argument.has("ints"):
            yield name, argument.integers("ints")
        elif argument.has("floats"):
            yield name, argument.float32s("floats")
        elif argument.has("i"):
            yield name, argument.integer("i")
        elif argument.has("f"):
            yield name, argument.float32("f")
        elif argument.has("s"):
            yield name, argument.text("s")


class _Builder:
    """One net."""

    def __init__(self, net: Message, weights: memoryview | None) -> None:
        self._net = net
        self._weights = weights
        self._start = net.integer("data_offset")
        self.lacking = False
        self._given = Attributes(dict(_arguments(net)))
        check_nodes(net.count("op"))
        self._messages = list(net.messages("op", _OPERATOR))
        if not self._messages:
            raise net.error("a net without operators")
        writes = [name for message in self._messages for name in message.texts("output")]
        infos = list(net.messages("input", _INFO))
        formats = {info.integer("format", 1) for info in infos if info.varints("dims").count == 4}
        first = self._given.whole("data_format", 0) or next(iter(formats), 1)
        self._last = first != _CHANNELS_FIRST
        self._draft = Draft(writes)
        dense = (m.texts("input")[1:2] for m in self._messages if m.text("type") == _DENSE)
        self._matrices = {name for names in dense for name in names}
        for message in net.messages("tensors", _CONSTANT):
            self._draft.constant(self._constant(message))
        for info in infos:
            name = info.text("name")
            for known in (name, _INPUT + name):
                if self._is_taken(known) and known not in self._draft and known not in writes:
                    self._draft.feed(known, self._dtype(info), self._sizes(info, "dims"))

    def _is_taken(self, name: str) -> bool:
        return any(name in message.texts("input") for message in self._messages)

    def _dtype(self, message: Message) -> DataType:
        return _TYPES.get(message.integer("dtype", 1), DataType.UNKNOWN)

    def _sizes(self, message: Message, name: str) -> tuple[int, ...]:
        sizes = message.integers(name)
        if len(sizes) > _HIGHEST_RANK or any(not 0 <= size < LARGEST for size in sizes):
            raise message.error(f"a tensor of the sizes {sizes[:8]}")
        return sizes

    def _constant(self, message: Message) -> Tensor:
        dtype, shape = self._dtype(message), self._sizes(message, "dims")
        if dtype.bits is None:
            raise message.error("a constant of an unknown type")
        elements = int(np.prod(shape, dtype=object)) if shape else 1
        name = message.text("name")
        if name in self._matrices and len(shape) > 2:  # (outputs, inputs, 1, 1)
            shape = (shape[0], elements // shape[0] if shape[0] else 0)
        quantization = None
        if message.integer("quantized") and message.float32("scale") > 0:
            quantization = Quantization(
                scales=(message.float32("scale"),), zero_points=(message.integer("zero_point"),)
            )
        return Tensor(
            name=name,
            dtype=dtype,
            shape=shape,
            data=self._data(message, dtype, elements),
            kind=TensorKind.CONSTANT,
            quantization=quantization,
        )

    def _data(self, message: Message, dtype: DataType, elements: int) -> TensorData | None:
        """In the file beside the net, or in the message itself."""
        size = dtype.size_bytes(elements) or 0
        if message.has("floats") and dtype is DataType.FLOAT32:
            return message.fixed("floats", 4)
        if message.has("ints") and dtype not in (DataType.FLOAT16, DataType.BFLOAT16):
            values = message.varints("ints")
            if values.count != elements:
                raise message.error(f"{values.count} values for {elements} elements")
            kind = np.dtype(dtype.value).newbyteorder("<")
            return LazyBytes(
                size_bytes=size,
                load=lambda: memoryview(values.array().view(np.int64).astype(kind).tobytes()),
            )
        if self._weights is None or not message.has("size"):
            self.lacking = True
            return None
        begin = self._start + message.integer("offset")
        if message.integer("size") != elements or not 0 <= begin <= self._weights.nbytes - size:
            raise message.error(
                f"{elements} elements at byte {begin} of {self._weights.nbytes}; "
                "these are the constants of another net"
            )
        return self._weights[begin : begin + size]

    def graph(self) -> Graph:
        """The finished graph."""
        for message in self._messages:
            self._add(message)
        outputs = [
            name
            for info in self._net.messages("output", _INFO)
            for name in (info.text("name"),)
            if name in self._draft
        ]
        return self._draft.graph(
            self._net.text("name"),
            outputs=outputs or None,
            layout=Layout.CHANNELS_LAST if self._last else Layout.CHANNELS_FIRST,
        )

    def _add(self, message: Message) -> None:
        kind = message.text("type")
        if not kind:
            raise message.error("an operator without a type")
        arguments = dict(_arguments(message))
        inputs = message.texts("input")
        for name in inputs:
            if name and name not in self._draft:
                self._draft.feed(name, DataType.UNKNOWN, None)
        call = operators.Call(
            type=kind,
            given=Attributes(arguments),
            inputs=inputs,
            shapes=tuple(self._held(name) for name in inputs),
            last=self._last,
            filters=self._given.whole("filter_format", _OIHW),
        )
        found = operators.translate(call)
        mapped = found or Mapped(attributes=arguments, inputs=call.inputs)
        declared: list[Shape | None] = [
            self._sizes(each, "dims") for each in message.messages("shape", _SHAPE)
        ]
        if mapped.operator or len(declared) != len(message.texts("output")):
            declared = []  # shapes are counted anew, since old files have them in the source's layout
        self._draft.node(
            source_operator=kind,
            inputs=mapped.inputs or (),
            outputs=[
                Tensor(
                    name=name,
                    dtype=DataType.FLOAT32,
                    shape=declared[at] if declared else None,
                )
                for at, name in enumerate(message.texts("output"))
            ],
            mapped=mapped,
            name=message.text("name"),
        )

    def _held(self, name: str) -> tuple[int, ...] | None:
        tensor = self._draft.tensor(name) if name else None
        if tensor is None or tensor.kind is not TensorKind.CONSTANT or tensor.shape is None:
            return None
        return tuple(size for size in tensor.shape if isinstance(size, int))
