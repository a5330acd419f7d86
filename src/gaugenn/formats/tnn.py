"""TNN: a graph of layers in quoted lines of text; the weights lie in a `.tnnmodel` beside it.

Weights that the text does not speak of (slopes, scales, a constant operand) are inputs of their layer
where the `.tnnmodel` is there. So are the scales and zero points of 8-bit weights.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gaugenn.content import Content
from gaugenn.errors import FormatError, UnsupportedFormatError
from gaugenn.formats._contract import FormatReader
from gaugenn.formats._tnn_weights import ELEMENT_TYPES, Buffer, read_weights
from gaugenn.graph import (
    AttributeValue,
    DataType,
    Graph,
    Model,
    Node,
    Shape,
    Tensor,
    TensorKind,
)

_VERSIONS: Mapping[int, str] = {0xFABC0002: "1", 0xFABC0004: "2"}
"""The fourth word of the first line.

**Source:** https://github.com/Tencent/TNN/blob/master/source/tnn/interpreter/tnn/model_interpreter.cc
"""
_FIRST_LINE = re.compile(rb'\s*"\s*\d+ +\d+ +\d+ +(\d{10}) *,')
_NUMBER = re.compile(r"-?\d{1,18}")
_LARGEST = 1 << 40
_ACTIVATIONS: Mapping[int, str] = {1: "Relu", 2: "Clip", 256: "Swish"}
_SIMPLE: Mapping[str, str] = {
    "ReLU": "Relu",
    "Sigmoid": "Sigmoid",
    "TanH": "Tanh",
    "Tanh": "Tanh",
    "Abs": "Abs",
    "Neg": "Neg",
    "Exp": "Exp",
    "Log": "Log",
    "Sqrt": "Sqrt",
    "Floor": "Floor",
    "Ceil": "Ceil",
    "Sin": "Sin",
    "Cos": "Cos",
    "Reciprocal": "Reciprocal",
    "Softplus": "Softplus",
    "Erf": "Erf",
}
_JOINING: Mapping[str, str] = {
    "Add": "Add",
    "Sub": "Sub",
    "Mul": "Mul",
    "Div": "Div",
    "Maximum": "Max",
    "Minimum": "Min",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layer:
    """A line of the text. `type` is without the prefix `Quantized`."""

    type: str
    source_type: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    words: tuple[str, ...]

    def integer(self, index: int, default: int) -> int:
        """A parameter; the default where the line ends before it.

        Raises:
            FormatError: no whole number, or an enormous one.
        """
        if index >= len(self.words):
            return default
        if not _NUMBER.fullmatch(self.words[index]) or abs(int(self.words[index])) > _LARGEST:
            raise FormatError(
                f"TNN layer {self.name!r} ({self.source_type}): parameter {index} should be a whole "
                f"number, it is {self.words[index][:40]!r}"
            )
        return int(self.words[index])

    def pair(self, index: int, default: int, least: int) -> tuple[int, int]:
        """Height and width."""
        found = (self.integer(index, default), self.integer(index + 1, default))
        if min(found) < least:
            raise FormatError(
                f"TNN layer {self.name!r} ({self.source_type}): {found} is less than {least}"
            )
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mapped:
    """What a layer becomes; weights by their last name with their shapes."""

    operator: str
    attributes: Mapping[str, AttributeValue]
    weights: Mapping[str, Shape]


_Sizes = tuple[int, ...] | None


class TnnReader(FormatReader):
    """Reads the graph, and its weights or their shapes, as far as these follow from the layers.

    Where there are no weights the remark is `weights-absent`, and `weights-unread` where a layer's are
    in an unknown form.
    """

    title = "TNN"
    spec = "https://github.com/Tencent/TNN/blob/master/doc/en/user/convert_en.md"
    suffixes = (".tnnproto",)
    weights_suffixes = (".tnnmodel",)
    magics = ((0, b'"1 '),)

    def sniff(self, name: str, head: bytes) -> bool:
        """By the fourth number of the first quoted line."""
        del name
        found = _FIRST_LINE.match(head)
        return found is not None and int(found[1]) in _VERSIONS

    def read(self, content: Content) -> Model:
        """Reads the layers.

        Raises:
            FormatError: fewer layers than announced, one that takes what no layer makes, or weights
                that are damaged or of another network.
        """
        lines = _lines(content)
        version = lines[0].split()[3]
        tensors = {t.name: t for t in _inputs(lines[1], version)}
        inputs = tuple(tensors)
        count = _NUMBER.fullmatch(lines[4].strip())
        layers = [_layer(line) for line in lines[5:]]
        if count is None or int(count[0]) != len(layers):
            raise FormatError(
                f"{content.name}: {lines[4].strip()[:20]!r} layers are announced, {len(layers)} "
                "follow: the file is cut off"
            )
        found = self.companions(content)
        notes: tuple[str, ...] = ()
        buffers: Mapping[str, Mapping[str, Buffer]] = {}
        try:
            buffers = read_weights(found[0].data) if found else {}
        except UnsupportedFormatError:
            notes = ("weights-unread",)
        except FormatError as error:
            raise FormatError(f"{content.name}: {found[0].file_name}: {error}") from error
        builder = _Builder(tensors, buffers)
        for layer in layers:
            builder.add(layer)
        outputs = tuple(dict.fromkeys(lines[3].split()))
        missing = [name for name in outputs if name not in builder.tensors]
        if missing:
            raise FormatError(f"{content.name}: no layer makes the output {missing[0]!r}")
        if builder.lacking and not notes:
            notes = ("weights-absent",)
        return Model(
            format="tnn",
            format_version=_VERSIONS[int(version)],
            producer="",
            graphs=(
                Graph(
                    name="",
                    tensors=builder.tensors,
                    nodes=tuple(builder.nodes),
                    inputs=inputs,
                    outputs=outputs,
                ),
            ),
            companions=tuple(each.file_name for each in found),
            notes=notes,
        )


def _lines(content: Content) -> list[str]:
    """What stands between the quotes and before the comma of each line."""
    try:
        text = bytes(content.data).decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(f"{content.name}: TNN's graph is text, this is not: {error}") from None
    plain = text.replace('"', "").replace("\r", "").replace("\n", "")
    *lines, rest = plain.split(",")
    if rest.strip("\0 ") or len(lines) < 6:
        raise FormatError(f"{content.name}: the text ends inside a line: the file is cut off")
    first = lines[0].split()
    if len(first) < 4 or not first[3].isdecimal() or int(first[3][:20]) not in _VERSIONS:
        raise UnsupportedFormatError(
            f"{content.name}: the first line should end in {' or '.join(map(str, _VERSIONS))}"
        )
    return lines


def _inputs(line: str, version: str) -> list[Tensor]:
    """`name n c h w : ...`, in version 2 with the rank before the sizes and a type behind."""
    found: list[Tensor] = []
    newer = _VERSIONS[int(version)] == "2"
    for part in line.split(":"):
        name, *words = part.split() or [""]
        numbers = [int(w) for w in words if _NUMBER.fullmatch(w)]
        dtype = DataType.FLOAT32
        if newer and numbers:
            rank, *numbers = numbers
            dtype = (
                ELEMENT_TYPES.get(numbers[rank], DataType.UNKNOWN) if len(numbers) > rank else dtype
            )
            numbers = numbers[: max(rank, 0)] if len(numbers) >= rank else []
        if not name or not numbers or len(numbers) > 8 or len(words) < len(numbers):
            raise FormatError(f"TNN input {part.strip()[:60]!r} has no name or sizes")
        shape: Shape = tuple(size if 0 < size < _LARGEST else "?" for size in numbers)
        found.append(Tensor(name=name, dtype=dtype, shape=shape))
    return found


def _layer(line: str) -> _Layer:
    words = line.split()
    counts = [int(w) for w in words[2:4] if w.isdecimal() and len(w) < 7]
    if len(words) < 4 or len(counts) != 2 or sum(counts) > len(words) - 4:
        raise FormatError(f"TNN layer {line.strip()[:60]!r} lacks its counts or names")
    middle, end = 4 + counts[0], 4 + sum(counts)
    return _Layer(
        type=words[0].removeprefix("Quantized"),
        source_type=words[0],
        name=words[1],
        inputs=tuple(words[4:middle]),
        outputs=tuple(words[middle:end]),
        words=tuple(words[end:]),
    )


class _Builder:
    """Collects tensors and nodes layer by layer, and sizes as far as they follow."""

    def __init__(
        self, tensors: dict[str, Tensor], buffers: Mapping[str, Mapping[str, Buffer]]
    ) -> None:
        self.tensors = tensors
        self.nodes: list[Node] = []
        self.lacking = False
        self._buffers = buffers
        self._sizes: dict[str, _Sizes] = {t.name: _known(t.shape) for t in tensors.values()}

    def add(self, layer: _Layer) -> None:
        for name in layer.inputs:
            if name not in self.tensors:
                raise FormatError(f"TNN layer {layer.name!r} takes {name!r}, which nothing makes")
        sizes = self._sizes.get(layer.inputs[0]) if layer.inputs else None
        make = _MAPPINGS.get(layer.type)
        mapped = make(layer, sizes) if make is not None and layer.inputs else _unmapped(layer)
        inputs = list(layer.inputs)
        quantized = layer.source_type != layer.type
        held = self._buffers.get(layer.name, {})
        for label, shape in mapped.weights.items():
            small = DataType.INT32 if label == "bias" else DataType.INT8
            dtype = small if quantized else DataType.FLOAT32
            inputs.append(self._weight(layer, label, shape, held.get(label), dtype))
        operator = mapped.operator
        others = [label for label in held if label not in mapped.weights]
        names = [self._weight(layer, each, held[each].shape, held[each]) for each in others]
        if not operator and others == ["slope"]:
            operator = "PRelu"
        elif not operator and others == ["weight"] and layer.type in _JOINING:
            operator = _JOINING[layer.type]
            if layer.integer(0, 1) == 0:
                inputs, names = names, inputs
        inputs += names
        for name in layer.outputs:
            if name in self.tensors:
                raise FormatError(f"TNN layer {layer.name!r} makes {name!r} a second time")
            dtype = DataType.INT8 if quantized else DataType.FLOAT32
            self.tensors[name] = Tensor(name=name, dtype=dtype, shape=None)
            self._sizes[name] = _result(layer, mapped, [self._sizes.get(i) for i in layer.inputs])
        self.nodes.append(
            Node(
                name=layer.name,
                operator=operator,
                source_operator=layer.source_type,
                inputs=tuple(inputs),
                outputs=layer.outputs,
                attributes=mapped.attributes,
            )
        )

    def _weight(
        self,
        layer: _Layer,
        label: str,
        shape: Shape,
        buffer: Buffer | None,
        dtype: DataType = DataType.FLOAT32,
    ) -> str:
        """Adds a weight, with its bytes where they are there; returns its name."""
        name = f"{layer.name}.{label}"
        while name in self.tensors:
            name += "+"
        self.lacking |= buffer is None
        if buffer is not None:
            sizes = _fitting(shape, buffer)
            if sizes is None:
                raise FormatError(
                    f"TNN layer {layer.name!r}: its {label} should have the shape {shape}, the file "
                    f"with the weights holds {math.prod(buffer.shape)} numbers"
                )
            shape, dtype = sizes, buffer.dtype
        if label == "slope" and len(shape) == 1:
            shape = (*shape, 1, 1)
        elif label == "weight" and layer.type in _JOINING and len(shape) == 1 and shape != (1,):
            shape = (1, *shape, 1, 1)
        self.tensors[name] = Tensor(
            name=name,
            dtype=dtype,
            shape=shape,
            data=None if buffer is None else buffer.data,
            kind=TensorKind.CONSTANT,
        )
        return name


def _fitting(shape: Shape, buffer: Buffer) -> tuple[int, ...] | None:
    """A weight's sizes that agree with its numbers; None where they do not."""
    count = math.prod(buffer.shape)
    known = [size for size in shape if isinstance(size, int)]
    if len(known) == len(shape):
        return tuple(known) if math.prod(known) == count else None
    rest = math.prod(known)
    if len(known) < len(shape) - 1 or not rest or count % rest:
        return None
    return tuple(size if isinstance(size, int) else count // rest for size in shape)


def _known(shape: Shape | None) -> _Sizes:
    found = tuple(size for size in shape or () if isinstance(size, int))
    return found if shape is not None and len(found) == len(shape) else None


def _result(layer: _Layer, mapped: _Mapped, inputs: Sequence[_Sizes]) -> _Sizes:
    """Sizes behind a layer, for the fully connected layers after it; None where not needed."""
    first = inputs[0] if inputs else None
    if first is None or len(first) != 4:
        return None
    if mapped.operator in ("Conv", "AveragePool", "MaxPool"):
        window = [_whole(mapped.attributes.get(n)) for n in ("kernel_shape", "strides", "pads")]
        spread = _whole(mapped.attributes.get("dilations")) or (1, 1)
        if not all(window):
            return None
        ceil = mapped.attributes.get("ceil_mode") == 1
        spatial: list[int] = []
        for i, (size, reach, step, pad) in enumerate(zip(first[2:], *window, strict=False)):
            room = size + 2 * pad - spread[i] * (reach - 1) - 1
            spatial.append((-(-room // step) if ceil else room // step) + 1)
        channels = mapped.attributes.get("output_channels", first[1])
        return (first[0], channels, *spatial) if isinstance(channels, int) else None
    if mapped.operator.startswith("Global"):
        return (*first[:2], 1, 1)
    if mapped.operator == "Concat" and mapped.attributes.get("axis") == 1:
        parts = [sizes for sizes in inputs if sizes is not None]
        total = sum(sizes[1] for sizes in parts if len(sizes) == 4)
        return (first[0], total, *first[2:]) if len(parts) == len(inputs) else None
    if mapped.operator == "Reshape":
        shape = _whole(mapped.attributes.get("shape"))
        sizes = [first[i] if s == 0 and i < 4 else s for i, s in enumerate(shape)]
        if sizes.count(-1) == 1:
            rest = math.prod(s for s in sizes if s != -1)
            sizes[sizes.index(-1)] = math.prod(first) // rest if rest > 0 else 0
        return tuple(sizes) if math.prod(sizes) == math.prod(first) else None
    same = mapped.operator in {*_SIMPLE.values(), *_JOINING.values(), "Clip", "BatchNormalization"}
    return first if same or layer.type in ("HardSwish", "PReLU", "Scale") else None


def _whole(value: AttributeValue | None) -> tuple[int, ...]:
    found = value if isinstance(value, tuple) else ()
    return tuple(v for v in found if isinstance(v, int))


def _unmapped(layer: _Layer) -> _Mapped:
    return _Mapped(operator="", attributes={"parameters": layer.words}, weights={})


def _activation(number: int) -> dict[str, AttributeValue]:
    if number == 0:
        return {}
    name = _ACTIVATIONS.get(number, f"tnn_activation_{number}")
    found: dict[str, AttributeValue] = {"fused_activation": name}
    return {**found, "fused_min": 0.0, "fused_max": 6.0} if number == 2 else found


def _pads(layer: _Layer, at: int, kind: int) -> dict[str, AttributeValue]:
    """Padding by the number of its kind: explicit (-1, 3), 0 same, 1 none."""
    if kind in (0, 1):
        return {"auto_pad": ("SAME_UPPER", "VALID")[kind]}
    return {"pads": layer.pair(at, 0, 0) * 2}


def _convolution(layer: _Layer, sizes: _Sizes) -> _Mapped:
    group, channels = layer.integer(0, 1), layer.integer(2, 0)
    kernel, strides = layer.pair(3, 1, 1), layer.pair(5, 1, 1)
    each = layer.integer(1, 0)
    if group < 1 or channels < 1 or channels % group:
        raise FormatError(f"TNN layer {layer.name!r}: {channels} channels in {group} groups")
    if sizes is not None and len(sizes) == 4:
        each = sizes[1] // group  # the line holds it, too, but not all converters fill it in
    attributes: dict[str, AttributeValue] = {
        "kernel_shape": kernel,
        "strides": strides,
        "dilations": layer.pair(11, 1, 1),
        "group": group,
        "output_channels": channels,
        **_pads(layer, 7, layer.integer(10, -1)),
        **_activation(layer.integer(13, 0)),
    }
    upward = layer.type == "Deconvolution"
    shape = (each * group, channels // group) if upward else (channels, each)
    weights: dict[str, Shape] = {"weight": (*(max(size, 0) for size in shape), *kernel)}
    if layer.integer(9, 0):
        weights["bias"] = (channels,)
    operator = "ConvTranspose" if upward else "Conv"
    return _Mapped(operator=operator, attributes=attributes, weights=weights)


def _pooling(layer: _Layer, _sizes: _Sizes) -> _Mapped:
    kind, kernel = layer.integer(0, 0), layer.pair(1, 0, 0)
    name = {0: "Max", 1: "Average"}.get(kind)
    if name is None or layer.integer(11, 0):
        return _unmapped(layer)
    if kernel == (0, 0):
        return _Mapped(operator=f"Global{name}Pool", attributes={}, weights={})
    attributes: dict[str, AttributeValue] = {
        "kernel_shape": layer.pair(1, 1, 1),
        "strides": layer.pair(3, 1, 1),
        "ceil_mode": int(layer.integer(10, 0) == 1),
        **_pads(layer, 5, layer.integer(9, -1)),
    }
    return _Mapped(operator=f"{name}Pool", attributes=attributes, weights={})


def _inner_product(layer: _Layer, sizes: _Sizes) -> _Mapped:
    """Its input counts as two dimensions, cut before `axis`."""
    width, axis = layer.integer(0, 0), layer.integer(3, 1)
    if width < 1 or axis != 1:
        return _unmapped(layer)
    depth = "?" if sizes is None else math.prod(sizes[1:])
    weights: dict[str, Shape] = {"weight": (width, depth)}
    if layer.integer(1, 0):
        weights["bias"] = (width,)
    attributes: dict[str, AttributeValue] = {"transB": 1, "keep_num_dims": 0}
    return _Mapped(operator="Gemm", attributes=attributes, weights=weights)


def _simple(layer: _Layer, _sizes: _Sizes) -> _Mapped:
    return _Mapped(operator=_SIMPLE[layer.type], attributes={}, weights={})


def _joining(layer: _Layer, _sizes: _Sizes) -> _Mapped:
    if len(layer.inputs) < 2:
        return _unmapped(layer)  # the other operand is a weight whose shape the text does not tell
    return _Mapped(operator=_JOINING[layer.type], attributes={}, weights={})


def _axis(operator: str) -> Callable[[_Layer, _Sizes], _Mapped]:
    def mapped(layer: _Layer, _sizes: _Sizes) -> _Mapped:
        attributes: dict[str, AttributeValue] = {"axis": layer.integer(0, 1)}
        return _Mapped(operator=operator, attributes=attributes, weights={})

    return mapped


def _relu6(_layer: _Layer, _sizes: _Sizes) -> _Mapped:
    return _Mapped(operator="Clip", attributes={"min": 0.0, "max": 6.0}, weights={})


def _reshape(layer: _Layer, _sizes: _Sizes) -> _Mapped:
    """Axis, number of axes, rank, the sizes, and the order: 0 as in Caffe and ONNX."""
    rank = layer.integer(2, 0)
    if not 0 < rank <= 8 or layer.integer(3 + rank, 0) != 0 or layer.integer(0, 0) != 0:
        return _unmapped(layer)
    shape = tuple(layer.integer(3 + i, 1) for i in range(rank))
    return _Mapped(operator="Reshape", attributes={"shape": shape}, weights={})


_MAPPINGS: Mapping[str, Callable[[_Layer, _Sizes], _Mapped]] = {
    **dict.fromkeys(_SIMPLE, _simple),
    **dict.fromkeys(_JOINING, _joining),
    **dict.fromkeys(("Convolution", "Deconvolution"), _convolution),
    "Pooling": _pooling,
    "InnerProduct": _inner_product,
    "ReLU6": _relu6,
    "Concat": _axis("Concat"),
    **dict.fromkeys(("Softmax", "SoftmaxCaffe"), _axis("Softmax")),
    "Reshape": _reshape,
}
"""**Source:** https://github.com/Tencent/TNN/tree/master/source/tnn/interpreter/tnn/layer_interpreter"""
