"""Kaldi's acoustic models of the third kind (nnet3), as the Vosk recogniser carries them."""

import re
from collections.abc import Mapping
from typing import ClassVar

from gaugenn.content import Content
from gaugenn.errors import FormatError, UnsupportedFormatError
from gaugenn.formats._attributes import LARGEST
from gaugenn.formats._contract import FormatReader, Magic
from gaugenn.formats._draft import Draft, Mapped
from gaugenn.formats._kaldi_components import Component, read_components
from gaugenn.formats._kaldi_text import Descriptor, Line, read_descriptor, read_line
from gaugenn.graph import AttributeValue, DataType, Graph, Model, Shape, Tensor

_HEADS = (b"\0B<Nnet3> ", b"\0B<TransitionModel> ", b"\0B<Nnet> ")
_NET, _END, _COUNT = (
    re.compile(text) for text in (rb"<Nnet3> ", rb"</Nnet3>", rb"<NumComponents> ")
)
_LONGEST_TEXT = 1 << 24
_MOST_NODES = 1 << 17

_WEIGHTS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    **dict.fromkeys(
        (
            *("Affine", "NaturalGradientAffine", "FixedAffine", "Tdnn", "BlockAffine"),
            *("TimeHeightConvolution", "RepeatedAffine", "NaturalGradientRepeatedAffine"),
        ),
        ("", ("LinearParams", "BiasParams")),
    ),
    "BatchNorm": ("BatchNormalization", ("StatsMean", "StatsVar")),
    "FixedBias": ("", ("Bias",)),
    "FixedScale": ("", ("Scales",)),
    "Linear": ("Gemm", ("Params",)),
    "NaturalGradientPerElementScale": ("", ("Params",)),
    "PerElementOffset": ("", ("Offsets",)),
    "PerElementScale": ("", ("Params",)),
    "ScaleAndOffset": ("", ("Scales", "Offsets")),
}
"""The ONNX operator, and the tokens before the weights, in order."""

_DENSE = frozenset({"Affine", "NaturalGradientAffine", "FixedAffine", "Tdnn"})
_SAME_SIZE: Mapping[str, tuple[str, dict[str, AttributeValue]]] = {
    "Dropout": ("Dropout", {}),
    "GeneralDropout": ("Dropout", {}),
    "LogSoftmax": ("LogSoftmax", {"axis": -1}),
    "NoOp": ("Identity", {}),
    "RectifiedLinear": ("Relu", {}),
    "Sigmoid": ("Sigmoid", {}),
    "Softmax": ("Softmax", {"axis": -1}),
    "SpecAugmentTimeMask": ("Identity", {}),
    "Tanh": ("Tanh", {}),
}
_PASSING = frozenset({"IfDefined", "Failover", "Offset", "ReplaceIndex", "Round", "Switch"})
"""Functions that give another frame of their first argument, or the same."""


class KaldiReader(FormatReader):
    """Reads the network of a binary `final.mdl` or `.raw`, for one frame.

    A tensor is a frame, (1, dimension). Other frames of a value (`Offset`) are taken for this one, so
    that costs are those of a frame of the output. Networks of the older kinds are recognised and not
    read, and texts are not claimed.
    """

    title: ClassVar[str] = "Kaldi"
    spec: ClassVar[str] = "https://kaldi-asr.org/doc/dnn3.html"
    suffixes: ClassVar[tuple[str, ...]] = (".nnet",)
    magics: ClassVar[tuple[Magic, ...]] = tuple((0, head) for head in _HEADS)

    def sniff(self, name: str, head: bytes) -> bool:
        """By the binary mark and the first token."""
        del name
        return head.startswith(_HEADS)

    def read(self, content: Content) -> Model:
        """Reads nodes and components; weights stay in the mapped file.

        Raises:
            FormatError: a network that is cut off or contradicts itself.
            UnsupportedFormatError: no network of the third kind, or compressed weights.
        """
        try:
            graph = _graph(content.data)
        except FormatError as error:
            raise type(error)(f"{content.name}: {error}") from error
        return Model(format="kaldi", format_version="nnet3", producer="", graphs=(graph,))


def _graph(data: memoryview) -> Graph:
    begin = _NET.search(data)
    if begin is None:
        raise UnsupportedFormatError(
            "a Kaldi model without a network of the third kind (nnet3); mixtures of Gaussians and "
            "older networks are not read"
        )
    count = _COUNT.search(data, begin.end(), min(data.nbytes, begin.end() + _LONGEST_TEXT))
    end = None if count is None else _END.search(data, count.end())
    if count is None or end is None:
        raise FormatError("a Kaldi network without <NumComponents> or </Nnet3>; it is cut off")
    text = str(data[begin.end() : count.start()], "utf-8", "backslashreplace")
    lines = [read_line(line) for line in text.splitlines() if line.strip()]
    components = read_components(data, count.end(), end.start())
    declared = int.from_bytes(data[count.end() + 1 : count.end() + 5], "little")
    if declared != len(components):
        raise FormatError(f"{len(components)} of {declared} Kaldi components are there")
    if len(lines) > _MOST_NODES:
        raise FormatError(f"a Kaldi network of {len(lines)} nodes")
    return _Builder(lines, components).graph()


class _Builder:
    """Adds the nodes that an output needs, each after what it takes."""

    def __init__(self, lines: list[Line], components: Mapping[str, Component]) -> None:
        self._lines = {line.setting("name"): line for line in lines if line.kind != "output-node"}
        self._outputs = [line for line in lines if line.kind == "output-node"]
        self._components = components
        self._draft = Draft()
        self._made = 0
        if not self._outputs or len(self._lines) + len(self._outputs) != len(lines):
            raise FormatError("a Kaldi network without an output, or with two nodes of one name")

    def graph(self) -> Graph:
        """The finished graph."""
        for line in self._lines.values():
            if line.kind == "input-node":
                self._draft.feed(line.setting("name"), DataType.FLOAT32, (1, _size(line, "dim")))
        for name in self._order():
            line = self._lines[name]
            if line.kind == "component-node":
                self._component(line)
            elif line.kind == "dim-range-node":
                self._range(line)
            elif line.kind != "input-node":
                raise FormatError(f"a Kaldi line of the unknown kind {line.kind[:40]!r}")
        results = []
        for line in self._outputs:
            taken = self._described(read_descriptor(line.setting("input")))
            name, shape = line.setting("name"), self._draft.shape(taken)
            results.append(self._add("output-node", (taken,), shape, "Identity", {}, name))
        return self._draft.graph(outputs=results)

    def _order(self) -> list[str]:
        """Nodes after what they take of this frame, else as in the text."""
        state: dict[str, bool] = {}
        order: list[str] = []
        needed = {name: _names(line) for name, line in self._lines.items()}
        for root in self._lines:
            stack = [(root, False)]
            while stack:
                name, done = stack.pop()
                if done:
                    order.append(name)
                elif name not in state:
                    state[name] = True
                    stack.append((name, True))
                    stack += [
                        (n, False) for n in needed[name] if n in self._lines and n not in state
                    ]
        return order

    def _add(
        self,
        source: str,
        inputs: tuple[str, ...],
        shape: Shape | None,
        operator: str,
        attributes: Mapping[str, AttributeValue] | None = None,
        name: str = "",
    ) -> str:
        self._made += 1
        made = name or f"{source}#{self._made}"
        self._draft.node(
            source_operator=source,
            inputs=inputs,
            outputs=[Tensor(name=made, dtype=DataType.FLOAT32, shape=shape)],
            mapped=Mapped(operator=operator, attributes=attributes or {}),
            name=name,
        )
        return made

    def _known(self, name: str) -> str:
        if name not in self._draft:
            if name not in self._lines:
                raise FormatError(f"a Kaldi node takes {name[:80]!r}, which there is not")
            # a value of an earlier frame, which this one comes to only later
            past = f"{name}@past"
            if past not in self._draft:
                self._draft.feed(past, DataType.FLOAT32, None)
            return past
        return name

    def _described(self, descriptor: Descriptor) -> str:
        """The tensor that a descriptor means."""
        function, arguments = descriptor.name, descriptor.arguments
        if not arguments:
            return self._known(function)
        if function in _PASSING:
            return self._described(arguments[0])
        if function == "Append":
            names = tuple(self._described(each) for each in arguments)
            return self._add("Append", names, self._joined(names), "Concat", {"axis": 1})
        if function == "Sum":
            names = tuple(self._described(each) for each in arguments)
            return self._add("Sum", names, self._draft.shape(names[0]), "Sum")
        if function == "Scale" and len(arguments) == 2:
            taken = self._described(arguments[1])
            factor: dict[str, AttributeValue] = {"scale": arguments[0].name}
            return self._add("Scale", (taken,), self._draft.shape(taken), "", factor)
        raise UnsupportedFormatError(f"a Kaldi network with the function {function[:40]!r}")

    def _joined(self, names: tuple[str, ...]) -> Shape | None:
        total = 0
        for name in names:
            shape = self._draft.shape(name)
            if shape is None or len(shape) != 2 or not isinstance(shape[1], int):
                return None
            total += shape[1]
        return (1, total)

    def _range(self, line: Line) -> None:
        source, first, size = (
            line.setting("input-node"),
            _size(line, "dim-offset"),
            _size(line, "dim"),
        )
        cut: dict[str, AttributeValue] = {"axes": (1,), "starts": (first,), "ends": (first + size,)}
        taken = self._known(source)
        self._add("dim-range-node", (taken,), (1, size), "Slice", cut, line.setting("name"))

    def _component(self, line: Line) -> None:
        name = line.setting("name")
        component = self._components.get(line.setting("component"))
        if component is None:
            raise FormatError(f"Kaldi node {name[:80]!r} has a component that there is not")
        taken = self._described(read_descriptor(line.setting("input")))
        kind = component.type
        if kind in _SAME_SIZE:
            operator, attributes = _SAME_SIZE[kind]
            shape = self._draft.shape(taken)
            self._add(kind, (taken,), shape, operator, attributes, name)
            return
        operator, tokens = _WEIGHTS.get(kind, ("", ()))
        held = [self._weight(tensor) for tensor in component.arrays(*tokens)]
        if kind == "Tdnn":
            offsets = component.integers("TimeOffsets")
            names = (taken,) * max(1, len(offsets))
            at: dict[str, AttributeValue] = {"axis": 1, "offsets": offsets}
            if len(names) > 1:
                taken = self._add("TimeOffsets", names, self._joined(names), "Concat", at)
        if kind in _DENSE or kind == "Linear":
            self._dense(kind, taken, held, name)
        elif kind == "BatchNorm":
            inputs = (taken, "", "", *held)
            shape = self._draft.shape(taken)
            self._add(kind, inputs, shape, operator if len(held) == 2 else "", {}, name)
        else:
            size = component.integer("OutputDim") or component.integer("Dim")
            made = (1, size) if size is not None and 0 < size < LARGEST else None
            self._add(kind, (taken, *held), made, "", {}, name)

    def _dense(self, kind: str, taken: str, held: list[str], name: str) -> None:
        """Weights are (outputs, inputs)."""
        shape = self._draft.shape(held[0]) if held else None
        before = self._draft.shape(taken)
        if shape is None or len(shape) != 2:
            raise FormatError(f"Kaldi node {name[:80]!r} has no weights")
        if before is not None and before[1] != shape[1]:
            raise FormatError(f"Kaldi node {name[:80]!r} takes {before[1]} values, not {shape[1]}")
        bias = held[:2] if len(held) > 1 and self._draft.shape(held[1]) != (0,) else held[:1]
        attributes: dict[str, AttributeValue] = {"transB": 1}
        self._add(kind, (taken, *bias), (1, shape[0]), "Gemm", attributes, name)

    def _weight(self, tensor: Tensor) -> str:
        """Components may serve several nodes, which then share their weights."""
        return tensor.name if tensor.name in self._draft else self._draft.constant(tensor)


def _names(line: Line) -> list[str]:
    """The nodes that a line takes of this frame; those of others come before it in the text, or are
    the network's own past.
    """
    if line.kind == "dim-range-node":
        return [line.setting("input-node")]
    if line.kind != "component-node":
        return []
    found: list[str] = []
    stack = [read_descriptor(line.setting("input"))]
    while stack:
        each = stack.pop()
        if each.arguments:
            stack += each.arguments if each.name != "Offset" else ()
        else:
            found.append(each.name)
    return found


def _size(line: Line, name: str) -> int:
    text = line.setting(name)
    if not text.isascii() or not text.isdecimal() or len(text) > 9:
        raise FormatError(f"a Kaldi line {line.kind!r} with {name} {text[:20]!r}")
    return int(text)
