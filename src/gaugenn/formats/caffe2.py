"""Caffe2: a net of operators (`predict_net.pb`), and a net that fills its weights (`init_net.pb`)."""

from collections.abc import Iterator, Mapping
from functools import partial

import numpy as np

from gaugenn.content import Content
from gaugenn.errors import FormatError
from gaugenn.formats import _caffe2_operators as operators
from gaugenn.formats._attributes import LARGEST, Attributes
from gaugenn.formats._contract import HEAD_BYTES, FormatReader
from gaugenn.formats._draft import Draft, Mapped
from gaugenn.formats._protobuf import (
    LENGTH,
    HeadField,
    Message,
    Schema,
    Varints,
    head_fields,
    read_message,
)
from gaugenn.formats._weights_only import weights_model
from gaugenn.graph import (
    AttributeValue,
    DataType,
    LazyBytes,
    Model,
    Shape,
    Tensor,
    TensorData,
    TensorKind,
    check_nodes,
)

_NET = Schema("NetDef", name=1, op=2, type=3, arg=6, external_input=7, external_output=8)
_OPERATOR = Schema("OperatorDef", input=1, output=2, name=3, type=4, arg=5, engine=7)
_ARGUMENT = Schema("Argument", name=1, f=2, i=3, s=4, floats=5, ints=6, strings=7)

_FILLS: Mapping[str, DataType] = {
    "GivenTensorFill": DataType.FLOAT32,
    "GivenTensorDoubleFill": DataType.FLOAT64,
    "GivenTensorIntFill": DataType.INT32,
    "GivenTensorInt64Fill": DataType.INT64,
    "GivenTensorBoolFill": DataType.BOOL,
    "GivenTensorByteStringToUInt8Fill": DataType.UINT8,
    "Int8GivenTensorFill": DataType.UINT8,
    "Int8GivenIntTensorFill": DataType.INT32,
    "ConstantFill": DataType.FLOAT32,
    **dict.fromkeys(
        ("XavierFill", "MSRAFill", "GaussianFill", "UniformFill", "HalfToFloat"), DataType.FLOAT32
    ),
}
"""Operators that fill a tensor, with its type unless `dtype` says another."""

_TYPES = {1: DataType.FLOAT32, 2: DataType.INT32, 5: DataType.BOOL, 10: DataType.INT64}
_FLOAT_TAG = 5 << 3 | 5
_NAME = frozenset(map(chr, range(32)))
_HIGHEST_RANK = 16
_SPLAT_BYTES = 1 << 25


class Caffe2Reader(FormatReader):
    """Reads a net with or without the one that fills its weights; the latter alone is its tensors."""

    title = "Caffe2"
    spec = "https://github.com/pytorch/pytorch/blob/v1.13.1/caffe2/proto/caffe2.proto"
    suffixes = (".pb",)

    def sniff(self, name: str, head: bytes) -> bool:
        """By the net's name and its first operator, whose type is a word."""
        del name
        try:
            return _begins_net(head)
        except FormatError:
            return False

    def graph_names(self, name: str) -> tuple[str, ...]:
        """`x_predict_net.pb` of `x_init_net.pb`."""
        return (name.replace("init", "predict"),) if "init" in name and name.endswith(".pb") else ()

    def companions(self, content: Content) -> tuple[Content, ...]:
        """The net that fills the weights."""
        name = content.file_name
        other = content.beside(name.replace("predict", "init")) if "predict" in name else None
        found = other is not None and self.sniff(other.name, other.head(HEAD_BYTES))
        return (other,) if other is not None and found else ()

    def read(self, content: Content) -> Model:
        """Reads the net, and its weights where the net that fills them lies beside it.

        Raises:
            FormatError: a net that is cut off or contradicts itself.
        """
        try:
            net = read_message(content.data, _NET)
            filled = _fills(net)
            if filled is not None:
                return weights_model("caffe2", "", filled.values())
            companions = self.companions(content)
            weights: dict[str, Tensor] = {}
            for each in companions:
                weights |= _fills(read_message(each.data, _NET)) or {}
            return _model(net, weights, companions)
        except FormatError as error:
            if str(error).startswith(content.name):
                raise
            raise type(error)(f"{content.name}: {error}") from error


def _begins_net(head: bytes) -> bool:
    for field in head_fields(head):
        if field.number == 1 and _is_text(field):
            continue
        if field.number == 2 and field.wire == LENGTH:
            return _is_operator(field)
        return False
    return False


def _is_operator(field: HeadField) -> bool:
    """Inputs and outputs before a type, which is a word with a capital letter."""
    for inner in head_fields(field.data, whole=field.whole):
        if inner.number not in (1, 2, 3, 4) or not _is_text(inner):
            return False
        if inner.number == 4:
            word = inner.data.decode("ascii", "replace")
            return inner.whole and word.isidentifier() and word[0].isupper()
    return False


def _is_text(field: HeadField) -> bool:
    text = field.data.decode("utf-8", "replace")
    return field.wire == LENGTH and not _NAME.intersection(text) and "\ufffd" not in text[:-1]


def _fills(net: Message) -> dict[str, Tensor] | None:
    """What a net of nothing but fills makes; None for any other net."""
    found: dict[str, Tensor] = {}
    for message in net.messages("op", _OPERATOR):
        kind, outputs = message.text("type"), message.texts("output")
        if kind not in _FILLS or len(outputs) != 1:
            return None
        found[outputs[0]] = _fill(message, kind, outputs[0])  # the last one counts
    return found or None


def _fill(message: Message, kind: str, name: str) -> Tensor:
    arguments = dict(_arguments(message, values=False))
    given = Attributes(arguments)
    shape = given.wholes("shape")
    if len(shape) > _HIGHEST_RANK or any(not 0 <= size < LARGEST for size in shape):
        raise message.error(f"a tensor of the sizes {shape[:8]}")
    dtype = (
        _TYPES.get(given.whole("dtype"), _FILLS[kind]) if kind == "ConstantFill" else _FILLS[kind]
    )
    elements = int(np.prod(shape, dtype=object)) if shape else 1
    if kind == "ConstantFill":
        data = _splat(given, dtype, elements)
    else:
        data = _values(message, dtype, elements)
    return Tensor(name=name, dtype=dtype, shape=shape, data=data, kind=TensorKind.CONSTANT)


def _splat(given: Attributes, dtype: DataType, elements: int) -> TensorData | None:
    size = dtype.size_bytes(elements) or 0
    if size > _SPLAT_BYTES:
        return None
    value = given.real("value", 0.0)

    def load() -> memoryview:
        with np.errstate(all="ignore"):
            return memoryview(np.full(elements, value).astype(np.dtype(dtype.value)).tobytes())

    return LazyBytes(size_bytes=size, load=load)


def _values(message: Message, dtype: DataType, elements: int) -> TensorData | None:
    """The elements that a fill spells out; real ones are mostly written one by one."""
    for view in message.views("arg"):
        fast = _floats(view) if dtype is DataType.FLOAT32 else None
        if fast is not None:
            return fast
    for argument in message.messages("arg", _ARGUMENT):
        if argument.text("name") != "values":
            continue
        if dtype is DataType.UINT8:
            found = argument.view("s")
            if found is None:
                return argument.view("strings")
            return found
        if dtype is DataType.FLOAT32:
            return argument.fixed("floats", 4)
        kind = np.dtype(dtype.value)
        whole = argument.varints("ints")
        if whole.count != elements:
            raise argument.error(f"{whole.count} values for a tensor of {elements} elements")
        return LazyBytes(size_bytes=elements * kind.itemsize, load=partial(_narrowed, whole, kind))
    return None


def _narrowed(values: Varints, kind: "np.dtype[np.generic]") -> memoryview:
    return memoryview(values.array().view(np.int64).astype(kind).tobytes())


def _floats(view: memoryview) -> TensorData | None:
    """Of an argument called `values` the real numbers, each with its tag before it."""
    head = bytes(view[:8])
    if head != b"\n\6values" or (view.nbytes - 8) % 5 or view.nbytes == 8:
        return None
    rows = np.frombuffer(view[8:], dtype=np.uint8).reshape(-1, 5)
    if not (rows[:, 0] == _FLOAT_TAG).all():
        return None
    return LazyBytes(size_bytes=4 * rows.shape[0], load=lambda: memoryview(rows[:, 1:].tobytes()))


def _arguments(message: Message, *, values: bool = True) -> Iterator[tuple[str, AttributeValue]]:
    for view in message.views("arg"):
        if not values and bytes(view[:8]) == b"\n\6values":
            continue
        argument = read_message(view, _ARGUMENT)
        name = argument.text("name")
        for key in ("ints", "floats", "strings"):
            if argument.has(key):
                yield name, _list(argument, key)
                break
        else:
            if argument.has("i"):
                yield name, argument.integer("i")
            elif argument.has("f"):
                yield name, argument.float32("f")
            elif argument.has("s"):
                yield name, argument.text("s")


def _list(argument: Message, key: str) -> AttributeValue:
    if key == "ints":
        return argument.integers("ints")
    return argument.float32s("floats") if key == "floats" else argument.texts("strings")


def _model(net: Message, weights: dict[str, Tensor], companions: tuple[Content, ...]) -> Model:
    check_nodes(net.count("op"))
    messages = list(net.messages("op", _OPERATOR))
    if not messages:
        raise FormatError("a Caffe2 net without operators")
    external = net.texts("external_input")
    first = external[0] if external else ""
    later = {name for message in messages for name in message.texts("input")[1:]}
    if first in weights and first in later:
        first = ""  # a weight that happens to be listed first
    writes = [name for message in messages for name in message.texts("output")]
    draft = Draft((*writes, *(name for name in external if name not in weights), first))
    for name, tensor in weights.items():
        if name == first:
            continue  # the net's input, filled so that a size is known
        draft.constant(tensor)
    held = weights.get(first)
    if first:
        draft.feed(first, DataType.FLOAT32, None if held is None else held.shape)
    for name in dict.fromkeys(external):
        if name not in draft:
            draft.feed(name, DataType.UNKNOWN, None)
    for message in messages:
        _add(draft, message)
    outputs = [name for name in net.texts("external_output") if name in draft]
    graph = draft.graph(net.text("name"), outputs=outputs or None)
    lacking = len(external) > 1 and not weights
    return Model(
        format="caffe2",
        format_version="",
        producer="",
        graphs=(graph,),
        companions=tuple(each.file_name for each in companions),
        notes=("weights-absent",) if lacking else (),
    )


def _add(draft: Draft, message: Message) -> None:
    kind = message.text("type")
    if not kind:
        raise message.error("an operator without a type")
    arguments = dict(_arguments(message))
    inputs, outputs = message.texts("input"), message.texts("output")
    for name in inputs:
        if name and name not in draft:
            draft.feed(name, DataType.UNKNOWN, None)
    shapes: list[Shape | None] = [draft.shape(name) if name else None for name in inputs]
    call = operators.Call(
        type=kind,
        given=Attributes(arguments),
        inputs=inputs,
        outputs=outputs,
        shapes=tuple(shapes),
    )
    found = operators.translate(call)
    mapped = found or Mapped(attributes=arguments)
    taken = inputs if mapped.inputs is None else mapped.inputs
    made = outputs if mapped.outputs is None else mapped.outputs
    draft.node(
        source_operator=kind,
        inputs=taken,
        outputs=[Tensor(name=name, dtype=DataType.FLOAT32, shape=None) for name in made],
        mapped=mapped,
        name=message.text("name"),
    )
