"""Darknet: a text of layers (`.cfg`), and their numbers one behind the other (`.weights`)."""

import math
import re
import struct
from collections.abc import Callable, Mapping

from gaugenn.content import Content
from gaugenn.errors import FormatError
from gaugenn.formats._contract import FormatReader
from gaugenn.formats._darknet_sections import Section, read_sections
from gaugenn.formats._draft import Draft, Mapped
from gaugenn.formats._windows import convolution, window
from gaugenn.graph import AttributeValue, DataType, Model, Tensor, TensorKind

_BEGINS = re.compile(rb"(?:\s|[#;][^\n]*\n)*\[net(?:work)?\]")
_OPTION = re.compile(rb"^\s*(?:height|width|channels|inputs|batch|subdivisions)\s*=", re.MULTILINE)
_HEAD = struct.Struct("<iii")
_LARGEST = 1 << 31

_ACTIVATIONS: Mapping[str, tuple[str, dict[str, AttributeValue]]] = {
    "relu": ("Relu", {}),
    "leaky": ("LeakyRelu", {"alpha": 0.1}),
    "logistic": ("Sigmoid", {}),
    "tanh": ("Tanh", {}),
    "elu": ("Elu", {}),
    "selu": ("Selu", {}),
    "mish": ("Mish", {}),
    "swish": ("Swish", {}),
    "gelu": ("Gelu", {}),
    "relu6": ("Clip", {"min": 0.0, "max": 6.0}),
    "hardtan": ("Clip", {"min": -1.0, "max": 1.0}),
}
_NONE = ("linear", "none")

_SAME_SIZE = frozenset({"cost", "dropout", "yolo"})

_UNREAD = frozenset(
    """
    batchnorm conv_lstm crnn gru implicit iseg local lstm normalization normalize rnn
    """.split()  # noqa: SIM905
)
"""Layers with weights whose order depends on the fork, or is not read here."""


class DarknetReader(FormatReader):
    """Reads `.cfg` with or without the `.weights` beside it, for a batch of one.

    A layer's batch normalisation and its activation are nodes of their own.
    """

    title = "Darknet"
    spec = "https://github.com/AlexeyAB/darknet/wiki/CFG-Parameters-in-the-different-layers"
    suffixes = (".cfg",)
    weights_suffixes = (".weights",)
    magics = ((0, b"[net]"), (0, b"[network]"))

    def sniff(self, name: str, head: bytes) -> bool:
        """By the first section, and an option in it that says how large the input is."""
        del name
        text = head.removeprefix(b"\xef\xbb\xbf")
        return _BEGINS.match(text) is not None and _OPTION.search(text) is not None

    def read(self, content: Content) -> Model:
        """Reads the layers, and their weights where the file lies beside the text.

        Raises:
            FormatError: a text that contradicts itself, or weights of another net.
        """
        try:
            net, layers = read_sections(content.data)
            companions = self.companions(content)
            weights = _Weights(companions[0]) if companions else None
            builder = _Builder(net, weights)
            for layer in layers:
                builder.add(layer)
            if weights is not None and not builder.unread:
                weights.check_end()
            graph = builder.draft.graph()
        except FormatError as error:
            raise type(error)(f"{content.name}: {error}") from error
        notes = {"weights-absent"} if builder.lacking else set()
        notes |= {"weights-unread"} if builder.unread else set()
        return Model(
            format="darknet",
            format_version="" if weights is None else weights.version,
            producer="",
            graphs=(graph,),
            companions=tuple(each.file_name for each in companions),
            notes=tuple(sorted(notes)),
        )


class _Weights:
    """Numbers behind a head: major and minor version, revision, and how many images were seen."""

    def __init__(self, content: Content) -> None:
        self._data = content.data
        self._name = content.file_name
        if content.size_bytes < _HEAD.size + 4:
            raise FormatError(f"{self._name} has only {content.size_bytes} bytes")
        major, minor, revision = _HEAD.unpack_from(content.data)
        if not (0 <= major < 1000 and 0 <= minor < 1000):
            raise FormatError(f"{self._name} is of version {major}.{minor}, which there is not")
        self.version = f"{major}.{minor}.{revision}"
        self._at = _HEAD.size + (8 if major * 10 + minor >= 2 else 4)

    def take(self, elements: int) -> memoryview:
        """The next 32-bit numbers."""
        end = self._at + 4 * elements
        if end > self._data.nbytes:
            raise FormatError(
                f"{self._name} has {self._data.nbytes} bytes, the layers need {end} and more; these "
                "are the weights of another net"
            )
        found = self._data[self._at : end]
        self._at = end
        return found

    def check_end(self) -> None:
        """Refuses weights that no layer takes."""
        if self._at != self._data.nbytes:
            raise FormatError(
                f"{self._name} has {self._data.nbytes} bytes, the layers need {self._at}; these are "
                "the weights of another net"
            )


class _Builder:
    """Adds layers one by one; each takes the one before it."""

    def __init__(self, net: Section, weights: _Weights | None) -> None:
        self.draft = Draft()
        self.lacking = False
        self.unread = False
        self._weights = weights
        self._made: list[str] = []
        self._last = "input"
        sizes = tuple(net.integer(name, 0) for name in ("channels", "height", "width"))
        shape = (1, *sizes) if min(sizes) > 0 else (1, net.size("inputs", 0))
        self.draft.feed("input", DataType.FLOAT32, shape)

    def _shape(self, name: str) -> tuple[int, ...] | None:
        shape = self.draft.shape(name)
        return None if shape is None else tuple(n for n in shape if isinstance(n, int))

    def _weight(self, layer: Section, role: str, *shape: int) -> str:
        elements = math.prod(shape)
        if elements >= _LARGEST:
            raise layer.error(f"needs {role} of shape {shape}, which is too large")
        data = None
        if self._weights is not None and not self.unread:
            data = self._weights.take(elements)
        self.lacking = self.lacking or self._weights is None
        return self.draft.own(
            Tensor(
                name=f"{layer.name}/{role}",
                dtype=DataType.FLOAT32,
                shape=shape,
                data=data,
                kind=TensorKind.CONSTANT,
            )
        )

    def _node(
        self,
        layer: Section,
        operator: str,
        inputs: tuple[str, ...],
        shape: tuple[int, ...] | None,
        attributes: Mapping[str, AttributeValue] | None = None,
        *,
        kind: str = "",
    ) -> str:
        name = layer.name + (f"/{kind}" if kind else "")
        self.draft.node(
            source_operator=kind or layer.type,
            inputs=inputs,
            outputs=[Tensor(name=name, dtype=DataType.FLOAT32, shape=shape)],
            mapped=Mapped(operator=operator, attributes=attributes or {}),
            name=name,
        )
        return name

    def add(self, layer: Section) -> None:
        """Adds a layer."""
        rule = _LAYERS.get(layer.type)
        if rule is not None:
            made = rule(self, layer)
        else:
            self.unread = self.unread or layer.type in _UNREAD
            same = self._shape(self._last) if layer.type in _SAME_SIZE else None
            if layer.type in ("gru", "lstm", "rnn"):
                same = (1, layer.size("output", 1))
            options: dict[str, AttributeValue] = dict(layer.options)
            operator = "Dropout" if layer.type == "dropout" else ""
            made = self._node(layer, operator, (self._last,), same, options)
        self._made.append(made)
        self._last = made

    def _image(self, layer: Section) -> tuple[int, int, int]:
        shape = self._shape(self._last)
        if shape is None or len(shape) != 4:
            raise layer.error(f"takes a picture, but gets {shape}")
        return shape[1], shape[2], shape[3]

    def _activated(self, layer: Section, name: str, default: str = "logistic") -> str:
        kind = layer.options.get("activation", default)
        if kind in _NONE:
            return name
        operator, attributes = _ACTIVATIONS.get(kind, ("", {}))
        return self._node(layer, operator, (name,), self._shape(name), attributes, kind=kind)

    def convolutional(self, layer: Section) -> str:
        channels, height, width = self._image(layer)
        filters, size = layer.size("filters", 1), layer.size("size", 1)
        group, dilation = layer.size("groups", 1), layer.size("dilation", 1)
        stride = layer.size("stride", 1)
        strides = (layer.size("stride_y", stride), layer.size("stride_x", stride))
        pad = size // 2 if layer.integer("pad", 0) else layer.integer("padding", 0)
        normalised = bool(layer.integer("batch_normalize", 0))
        upward = layer.type == "deconvolutional"
        if channels % group:
            raise layer.error(f"has {group} groups for {channels} channels")
        found = window(
            kernel=(size, size), strides=strides, dilations=(dilation,) * 2, pads=(pad,) * 4
        )
        attributes = convolution(found, output_channels=filters, group=group)
        if attributes is None or pad < 0:
            raise layer.error("has impossible numbers")
        reach = dilation * (size - 1) + 1
        if upward:
            sizes = ((height - 1) * strides[0] + size, (width - 1) * strides[1] + size)
            sizes = (sizes[0] - 2 * pad, sizes[1] - 2 * pad)
            shape: tuple[int, ...] = (channels, filters, size, size)
        else:
            sizes = (
                (height + 2 * pad - reach) // strides[0] + 1,
                (width + 2 * pad - reach) // strides[1] + 1,
            )
            shape = (filters, channels // group, size, size)
        if min(sizes) < 1:
            raise layer.error(f"makes a picture of {sizes}")
        bias = self._weight(layer, "biases", filters)
        norm = self._normalisation(layer, filters) if normalised else ()
        weight = self._weight(layer, "weights", *shape)
        made = self._node(
            layer,
            "ConvTranspose" if upward else "Conv",
            (self._last, weight) if normalised else (self._last, weight, bias),
            (1, filters, *sizes),
            attributes,
        )
        if normalised:
            made = self._normalised(layer, made, bias, norm)
        return self._activated(layer, made)

    def _normalisation(self, layer: Section, size: int) -> tuple[str, ...]:
        return tuple(self._weight(layer, role, size) for role in ("scales", "mean", "variance"))

    def _normalised(self, layer: Section, name: str, bias: str, held: tuple[str, ...]) -> str:
        scale, mean, variance = held
        inputs = (name, scale, bias, mean, variance)
        epsilon: dict[str, AttributeValue] = {"epsilon": 1e-5}
        return self._node(
            layer, "BatchNormalization", inputs, self._shape(name), epsilon, kind="batchnorm"
        )

    def connected(self, layer: Section) -> str:
        outputs = layer.size("output", 1)
        shape = self._shape(self._last)
        if shape is None:
            raise layer.error("takes a layer whose size is not known")
        inputs = math.prod(shape[1:])
        bias = self._weight(layer, "biases", outputs)
        weight = self._weight(layer, "weights", outputs, inputs)
        normalised = bool(layer.integer("batch_normalize", 0))
        made = self._node(
            layer,
            "Gemm",
            (self._last, weight) if normalised else (self._last, weight, bias),
            (1, outputs),
            {"transB": 1, "keep_num_dims": 0},
        )
        if normalised:
            made = self._normalised(layer, made, bias, self._normalisation(layer, outputs))
        return self._activated(layer, made)

    def maxpool(self, layer: Section) -> str:
        channels, height, width = self._image(layer)
        stride = layer.size("stride", 1)
        size = layer.size("size", stride)
        strides = (layer.size("stride_y", stride), layer.size("stride_x", stride))
        pad = layer.integer("padding", size - 1)
        sizes = tuple(
            (side + pad - size) // step + 1
            for side, step in zip((height, width), strides, strict=True)
        )
        if layer.integer("antialiasing", 0) or layer.integer("maxpool_depth", 0):
            return self._node(layer, "", (self._last,), None, dict(layer.options))
        attributes = window(
            kernel=(size, size), strides=strides, pads=(pad // 2,) * 2 + (pad - pad // 2,) * 2
        )
        if attributes is None or min(sizes) < 1:
            raise layer.error(f"makes a picture of {sizes}")
        return self._node(layer, "MaxPool", (self._last,), (1, channels, *sizes), attributes)

    def avgpool(self, layer: Section) -> str:
        channels = self._image(layer)[0]
        return self._node(layer, "GlobalAveragePool", (self._last,), (1, channels, 1, 1))

    def route(self, layer: Section) -> str:
        names = tuple(self._made[place] for place in layer.references("layers"))
        if not names:
            raise layer.error("joins no layers")
        shapes = [self._shape(name) or () for name in names]
        joined = all(len(s) == 4 and s[2:] == shapes[0][2:] for s in shapes)
        shape = (1, sum(s[1] for s in shapes), *shapes[0][2:]) if joined else None
        groups, group = layer.size("groups", 1), layer.integer("group_id", 0)
        if groups == 1:
            operator = "Concat" if len(names) > 1 else "Identity"
            attributes: dict[str, AttributeValue] = {"axis": 1} if len(names) > 1 else {}
            return self._node(layer, operator, names, shape, attributes)
        if len(names) > 1 or shape is None or shape[1] % groups or not 0 <= group < groups:
            return self._node(layer, "", names, None, dict(layer.options))
        part = shape[1] // groups
        cut: dict[str, AttributeValue] = {
            "axes": (1,),
            "starts": (group * part,),
            "ends": ((group + 1) * part,),
        }
        return self._node(layer, "Slice", names, (1, part, *shape[2:]), cut)

    def shortcut(self, layer: Section) -> str:
        others = tuple(self._made[place] for place in layer.references("from"))
        names = (self._last, *others)
        shape = self._shape(self._last)
        same = all(self._shape(name) == shape for name in others)
        operator = ("Add" if len(names) == 2 else "Sum") if same and others else ""
        made = self._node(layer, operator, names, shape)
        return self._activated(layer, made, "linear")

    def scaled(self, layer: Section) -> str:
        """`scale_channels` and `sam`: this layer times an earlier one, one of them by channel."""
        others = tuple(self._made[place] for place in layer.references("from"))
        if len(others) != 1:
            raise layer.error("takes one earlier layer")
        shape = self._shape(others[0])
        made = self._node(layer, "Mul", (self._last, others[0]), shape)
        return self._activated(layer, made, "linear")

    def upsample(self, layer: Section) -> str:
        channels, height, width = self._image(layer)
        factor = layer.size("stride", 2)
        shape = (1, channels, height * factor, width * factor)
        attributes: dict[str, AttributeValue] = {
            "mode": "nearest",
            "coordinate_transformation_mode": "asymmetric",
            "axes": (2, 3),
            "scales": (float(factor), float(factor)),
        }
        return self._node(layer, "Resize", (self._last,), shape, attributes)

    def reorg(self, layer: Section) -> str:
        channels, height, width = self._image(layer)
        step = layer.size("stride", 1)
        shape = None
        if height % step == 0 and width % step == 0:
            shape = (1, channels * step * step, height // step, width // step)
        return self._node(layer, "", (self._last,), shape, dict(layer.options))

    def softmax(self, layer: Section) -> str:
        shape = self._shape(self._last)
        return self._node(layer, "Softmax", (self._last,), shape, {"axis": 1})

    def activation(self, layer: Section) -> str:
        return self._activated(layer, self._last, "linear")


_LAYERS: Mapping[str, Callable[[_Builder, Section], str]] = {
    "activation": _Builder.activation,
    "avgpool": _Builder.avgpool,
    "connected": _Builder.connected,
    "conv": _Builder.convolutional,
    "convolutional": _Builder.convolutional,
    "deconvolutional": _Builder.convolutional,
    "max": _Builder.maxpool,
    "maxpool": _Builder.maxpool,
    "reorg": _Builder.reorg,
    "reorg3d": _Builder.reorg,
    "route": _Builder.route,
    "sam": _Builder.scaled,
    "scale_channels": _Builder.scaled,
    "shortcut": _Builder.shortcut,
    "softmax": _Builder.softmax,
    "upsample": _Builder.upsample,
}
