"""Caffe layers as both file forms and both versions of the format give them."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from gaugenn.errors import FormatError, UnsupportedFormatError
from gaugenn.formats import _caffe_schema as schema
from gaugenn.formats._caffe_schema import Kind
from gaugenn.formats._protobuf import Message
from gaugenn.formats._prototext import Quoted, TextMessage
from gaugenn.graph import AttributeValue, DataType, check_nodes

Sizes = tuple[int | None, ...] | None
"""Sizes of a blob; None for what is not known."""

_LARGEST = 1 << 31

_TRUE = frozenset({"true", "True", "t", "1"})
_FALSE = frozenset({"false", "False", "f", "0"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """Numbers that a layer learned.

    Attributes:
        shape: as the file gives it; older files give every blob four sizes.
        dtype: FLOAT32 or FLOAT64.
        data: the elements, or None where the file holds only the shape.
    """

    shape: tuple[int, ...]
    dtype: DataType
    data: memoryview | None

    @property
    def elements(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A layer of a net.

    Attributes:
        name: as in the file.
        type: under the name that it has today.
        bottoms: blobs that it takes.
        tops: blobs that it makes.
        parameters: by name. Sub-messages are left out but for shapes; further ones of a repeated
            shape are `shape[1]`, `shape[2]`, ...
        blobs: what it learned.
        shared: names under which its blobs are shared with other layers, "" where they are not.
    """

    name: str
    type: str
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    parameters: Mapping[str, AttributeValue] = field(default_factory=dict)
    blobs: tuple[Blob, ...] = ()
    shared: tuple[str, ...] = ()

    def integer(self, name: str, default: int) -> int:
        """A whole number."""
        value = self.parameters.get(name, default)
        return value if isinstance(value, int) else default

    def size(self, name: str, default: int, lowest: int = 0) -> int:
        """A whole number that counts something.

        Raises:
            FormatError: it is below the lowest, or absurd.
        """
        value = self.integer(name, default)
        if not lowest <= value < _LARGEST:
            raise self.error(f"has {name} {value}, expected {lowest} or more")
        return value

    def integers(self, name: str) -> tuple[int, ...]:
        """Whole numbers; () where the file gives none."""
        value = self.parameters.get(name, ())
        if not isinstance(value, tuple):
            return ()
        return tuple(v for v in value if isinstance(v, int))

    def real(self, name: str, default: float) -> float:
        """A number."""
        value = self.parameters.get(name, default)
        return float(value) if isinstance(value, int | float) else default

    def reals(self, name: str) -> tuple[float, ...]:
        """Numbers; () where the file gives none."""
        value = self.parameters.get(name, ())
        if not isinstance(value, tuple):
            return ()
        return tuple(float(v) for v in value if isinstance(v, int | float))

    def flag(self, name: str, default: bool) -> bool:
        """Yes or no."""
        return bool(self.parameters.get(name, default))

    def text(self, name: str, default: str) -> str:
        """A text or the name of a choice."""
        value = self.parameters.get(name, default)
        return value if isinstance(value, str) else default

    def error(self, text: str) -> FormatError:
        """An error about this layer, to be raised."""
        return FormatError(f"Caffe layer {self.name!r} ({self.type}) {text}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Net:
    """A net as its file gives it.

    Attributes:
        name: of the net.
        version: 1 or 2, by the kind of its layers.
        inputs: blobs that the net itself declares as inputs, with their sizes.
        layers: in the file's order.
        left_out: types of layers that the test phase has no use for.
    """

    name: str
    version: int
    inputs: tuple[tuple[str, Sizes], ...]
    layers: tuple[Layer, ...]
    left_out: tuple[str, ...] = ()


def binary_net(message: Message) -> Net:
    """The net in a binary message.

    Raises:
        FormatError: the message holds no layer.
    """
    check_nodes(message.count("layer") + message.count("layers"))
    layers = [_binary_layer(m) for m in message.messages("layer", schema.LAYER)]
    old = [_old_binary_layer(m) for m in message.messages("layers", schema.OLD_LAYER)]
    shapes = [_dims(m.integers("dim")) for m in message.messages("input_shape", schema.SHAPE)]
    return _net(
        message.text("name"),
        _inputs(message.texts("input"), shapes, message.integers("input_dim")),
        layers,
        old,
    )


def text_net(message: TextMessage) -> Net:
    """The net that a text describes, in the test phase.

    Raises:
        FormatError: the text holds no layer, or a value of the wrong type.
    """
    left_out: list[str] = []
    made: dict[str, list[Layer]] = {}
    for key, make in (("layer", _text_layer), ("layers", _old_text_layer)):
        kept = [each for each in message.messages(key) if _in_test_phase(each, left_out)]
        made[key] = [make(each) for each in kept or message.messages(key)]
    shapes = [_dims(_integers(m, "dim")) for m in message.messages("input_shape")]
    inputs = _inputs(message.texts("input"), shapes, _integers(message, "input_dim"))
    net = _net(message.text("name"), inputs, made["layer"], made["layers"])
    return Net(
        name=net.name,
        version=net.version,
        inputs=net.inputs,
        layers=net.layers,
        left_out=tuple(left_out),
    )


def _net(
    name: str,
    inputs: tuple[tuple[str, Sizes], ...],
    layers: Sequence[Layer],
    old: Sequence[Layer],
) -> Net:
    if not layers and not old:
        raise FormatError("a Caffe net without a layer (fields 'layer' and 'layers')")
    if layers and old:
        raise FormatError("a Caffe net with layers of both versions, expected one or the other")
    return Net(name=name, version=2 if layers else 1, inputs=inputs, layers=tuple(layers or old))


def _inputs(
    names: Sequence[str], shapes: Sequence[Sizes], dims: Sequence[int]
) -> tuple[tuple[str, Sizes], ...]:
    """Declared inputs; four numbers each in old files, which know no other rank."""
    found: list[tuple[str, Sizes]] = []
    for i, name in enumerate(names):
        old = dims[4 * i : 4 * i + 4]
        sizes = shapes[i] if i < len(shapes) else _dims(old) if len(old) == 4 else None
        found.append((name, sizes))
    return tuple(found)


def _dims(values: Sequence[int]) -> Sizes:
    return tuple(value if 0 < value < _LARGEST else None for value in values)


def _binary_layer(message: Message) -> Layer:
    kind = message.text("type")
    if not kind:
        raise message.error("a Caffe layer must have a type (field 2), this has none")
    return Layer(
        name=message.text("name"),
        type=kind,
        bottoms=message.texts("bottom"),
        tops=message.texts("top"),
        parameters=_binary_parameters(message, kind, old=False),
        blobs=_blobs(message),
        shared=tuple(m.text("name") for m in message.messages("param", schema.SHARED)),
    )


def _old_binary_layer(message: Message) -> Layer:
    if message.has("layer"):
        raise _too_old()
    kind = schema.OLD_TYPES.get(message.integer("type"))
    if not kind or kind == "None":
        raise message.error(f"there is no Caffe layer type {message.integer('type')}")
    return Layer(
        name=message.text("name"),
        type=kind,
        bottoms=message.texts("bottom"),
        tops=message.texts("top"),
        parameters=_binary_parameters(message, kind, old=True),
        blobs=_blobs(message),
        shared=message.texts("param"),
    )


def _too_old() -> UnsupportedFormatError:
    return UnsupportedFormatError(
        "a Caffe net of the oldest version (2013), with layers inside layers; "
        "convert it with Caffe's tools upgrade_net_proto_text and upgrade_net_proto_binary"
    )


def _blobs(message: Message) -> tuple[Blob, ...]:
    return tuple(_blob(each) for each in message.messages("blobs", schema.BLOB))


def _blob(message: Message) -> Blob:
    given = message.message("shape", schema.SHAPE)
    if given is not None:
        shape = given.integers("dim")
    else:
        shape = tuple(message.integer(n) for n in ("num", "channels", "height", "width"))
    if any(not 0 <= size < _LARGEST for size in shape):
        raise message.error(f"a blob of shape {shape}")
    doubles = message.fixed("double_data", 8)
    data = doubles if doubles.nbytes else message.fixed("data", 4)
    dtype = DataType.FLOAT64 if doubles.nbytes else DataType.FLOAT32
    needed = dtype.size_bytes(math.prod(shape))
    if data.nbytes and data.nbytes != needed:
        raise message.error(f"a blob of shape {shape} needs {needed} bytes, it has {data.nbytes}")
    return Blob(shape=shape, dtype=dtype, data=data if data.nbytes or not needed else None)


def _binary_parameters(message: Message, kind: str, *, old: bool) -> dict[str, AttributeValue]:
    found = _crop(message)
    block = schema.BLOCKS.get(kind)
    if block is None or (old and not block.old_number):
        return found
    inner = message.message(block.name, block.schema)
    if inner is None:
        return found
    for name, parameter in block.parameters.items():
        found.update(_binary_value(inner, kind, name, parameter.kind))
    return found


def _crop(message: Message) -> dict[str, AttributeValue]:
    transform = message.message("transform_param", schema.TRANSFORM)
    if transform is None or not transform.has("crop_size"):
        return {}
    return {"crop_size": transform.integer("crop_size")}


def _binary_value(
    message: Message, layer: str, name: str, kind: Kind
) -> Iterator[tuple[str, AttributeValue]]:
    """Name and value of a parameter where the message has it; several for repeated shapes."""
    if not message.has(name):
        return
    match kind:
        case Kind.INTEGER:
            yield name, message.integer(name)
        case Kind.INTEGERS:
            yield name, message.integers(name)
        case Kind.FLAG:
            yield name, bool(message.integer(name))
        case Kind.REAL:
            yield name, message.float32(name)
        case Kind.REALS:
            yield name, message.float32s(name)
        case Kind.TEXT:
            yield name, message.text(name)
        case Kind.CHOICE:
            number = message.integer(name)
            yield name, _choices(layer, name).get(number, str(number))
        case Kind.SHAPE | Kind.SHAPES:
            for i, each in enumerate(message.messages(name, schema.SHAPE)):
                yield (f"{name}[{i}]" if i else name), each.integers("dim")


def _choices(layer: str, name: str) -> Mapping[int, str]:
    return schema.CHOICES["reduction" if layer == "Reduction" else name]


def _text_layer(message: TextMessage) -> Layer:
    kind = message.text("type")
    if not kind:
        raise message.error("a Caffe layer must have a type, this has none")
    shared = tuple(each.text("name") for each in message.messages("param"))
    return _any_text_layer(message, kind, shared)


def _old_text_layer(message: TextMessage) -> Layer:
    if message.messages("layer"):
        raise _too_old()
    given = message.text("type")
    kind = schema.OLD_TYPE_NAMES.get(given, given)
    if not kind:
        raise message.error("a Caffe layer must have a type, this has none")
    return _any_text_layer(message, kind, message.texts("param"))


def _any_text_layer(message: TextMessage, kind: str, shared: tuple[str, ...]) -> Layer:
    found: dict[str, AttributeValue] = {}
    for transform in message.messages("transform_param"):
        found.update(_text_value(transform, "crop_size", Kind.INTEGER, kind))
    block = schema.BLOCKS.get(kind)
    if block is None:
        for name in message.fields:
            if name.endswith("_param") and name not in ("transform_param", "loss_param"):
                for inner in message.messages(name):
                    found.update(_guessed(inner))
    else:
        for inner in message.messages(block.name):
            for name in inner.fields:
                if name in block.parameters:
                    found.update(_text_value(inner, name, block.parameters[name].kind, kind))
                else:
                    found.update(_guessed_field(inner, name))
    return Layer(
        name=message.text("name"),
        type=kind,
        bottoms=message.texts("bottom"),
        tops=message.texts("top"),
        parameters=found,
        shared=shared,
    )


def _text_value(
    message: TextMessage, name: str, kind: Kind, layer: str
) -> Iterator[tuple[str, AttributeValue]]:
    if name not in message.fields:
        return
    match kind:
        case Kind.INTEGER:
            yield name, _integers(message, name)[-1] if message.texts(name) else 0
        case Kind.INTEGERS:
            yield name, _integers(message, name)
        case Kind.FLAG:
            yield name, _flag(message, name)
        case Kind.REAL:
            values = _reals(message, name)
            yield name, values[-1] if values else 0.0
        case Kind.REALS:
            yield name, _reals(message, name)
        case Kind.TEXT:
            yield name, message.text(name)
        case Kind.CHOICE:
            given = message.text(name)
            number = int(given) if given.isascii() and given.isdigit() and len(given) < 9 else -1
            yield name, _choices(layer, name).get(number, given)
        case Kind.SHAPE | Kind.SHAPES:
            for i, each in enumerate(message.messages(name)):
                yield (f"{name}[{i}]" if i else name), _integers(each, "dim")


def _guessed(message: TextMessage) -> Iterator[tuple[str, AttributeValue]]:
    for name in message.fields:
        yield from _guessed_field(message, name)


def _guessed_field(message: TextMessage, name: str) -> Iterator[tuple[str, AttributeValue]]:
    """A parameter that no table knows, typed by its looks; sub-messages (fillers) are left out."""
    values = message.texts(name)
    if len(values) > 1:
        yield name, tuple(str(value) for value in values)
    elif values:
        yield name, _looks(values[0])


def _looks(value: str) -> AttributeValue:
    if isinstance(value, Quoted):
        return str(value)
    if value in ("true", "false"):
        return value == "true"
    try:
        return int(value) if len(value) < 19 else value
    except ValueError:
        pass
    try:
        return float(value.removesuffix("f"))
    except ValueError:
        return value


def _integers(message: TextMessage, name: str) -> tuple[int, ...]:
    found: list[int] = []
    for value in message.texts(name):
        try:
            if len(value) > 20:
                raise ValueError
            found.append(int(value, 0) if not value.lstrip("-+").startswith("0") else int(value))
        except ValueError:
            raise message.error(f"{name} is {value[:40]!r}, expected a whole number") from None
    return tuple(found)


def _reals(message: TextMessage, name: str) -> tuple[float, ...]:
    found: list[float] = []
    for value in message.texts(name):
        try:
            found.append(float(value.lower().removesuffix("f") if "inf" not in value else value))
        except ValueError:
            raise message.error(f"{name} is {value[:40]!r}, expected a number") from None
    return tuple(found)


def _flag(message: TextMessage, name: str) -> bool:
    value = message.text(name)
    if value not in _TRUE and value not in _FALSE:
        raise message.error(f"{name} is {value[:40]!r}, expected true or false")
    return value in _TRUE


def _in_test_phase(message: TextMessage, left_out: list[str]) -> bool:
    """Whether rules keep the layer when the net is tested, at level 0 and in no stage."""
    included, excluded = message.messages("include"), message.messages("exclude")
    kept = any(map(_holds, included)) if included else not any(map(_holds, excluded))
    if not kept:
        left_out.append(message.text("type"))
    return kept


def _holds(rule: TextMessage) -> bool:
    phase = rule.text("phase", "TEST")
    low, high = (_integers(rule, name)[-1:] or (0,) for name in ("min_level", "max_level"))
    return phase in ("TEST", "1") and low[0] <= 0 <= high[0] and not rule.texts("stage")
