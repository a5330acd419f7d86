"""Putting a graph together node by node, for formats whose nodes name what they take and make."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from gaugenn.errors import FormatError
from gaugenn.formats._names import TensorNames
from gaugenn.graph import (
    AttributeValue,
    DataType,
    Graph,
    Layout,
    Node,
    Quantization,
    Shape,
    Tensor,
    TensorKind,
    check_nodes,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """What a node becomes.

    Attributes:
        operator: the ONNX operator, or "".
        attributes: ONNX's, and the source's own under the source's names.
        inputs: tensor names in ONNX order; None for as the source has them.
        outputs: names of the results in ONNX order; None for as the source has them.
    """

    operator: str = ""
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    inputs: tuple[str, ...] | None = None
    outputs: tuple[str, ...] | None = None


class Draft:
    """A graph while it is put together.

    A name that is written several times stands for several tensors: the last one has the name, the
    earlier ones a number after it (`conv1#1`).

    Args:
        writes: every name that a caller or a node fills, as often as it is filled.
    """

    def __init__(self, writes: Iterable[str] = ()) -> None:
        self.tensors: dict[str, Tensor] = {}
        self.nodes: list[Node] = []
        self.inputs: list[str] = []
        self._left: dict[str, int] = {}
        for name in writes:
            self._left[name] = self._left.get(name, 0) + 1
        self._earlier: dict[str, int] = {}
        self._current: dict[str, str] = {}
        self._unused: dict[str, None] = {}
        self._names = TensorNames(self._left)

    def __contains__(self, name: str) -> bool:
        """Whether something has filled the name already."""
        return name in self._current

    def tensor(self, name: str) -> Tensor | None:
        """The value that a name has now."""
        return self.tensors.get(self._current.get(name, ""))

    def shape(self, name: str) -> Shape | None:
        """The shape of the value that a name has now."""
        found = self.tensor(name)
        return None if found is None else found.shape

    def constant(self, tensor: Tensor) -> str:
        """Adds a weight, which no node writes.

        Raises:
            FormatError: there is a tensor of that name.
        """
        if tensor.name in self.tensors:
            raise FormatError(f"two tensors are called {tensor.name[:80]!r}")
        self.tensors[tensor.name] = tensor
        self._names.take(tensor.name)
        self._current[tensor.name] = tensor.name
        return tensor.name

    def own(self, tensor: Tensor) -> str:
        """Adds a weight under its name, or the name with a number where it is taken."""
        name = self._names.unique(tensor.name)
        renamed = replace(tensor, name=name, kind=TensorKind.CONSTANT)
        self.tensors[name] = renamed
        self._current[name] = name
        return name

    def feed(
        self,
        name: str,
        dtype: DataType,
        shape: Shape | None,
        quantization: Quantization | None = None,
    ) -> str:
        """Adds what a caller fills."""
        made = self._write(Tensor(name=name, dtype=dtype, shape=shape, quantization=quantization))
        self.inputs.append(made)
        return made

    def alias(self, name: str, of: str) -> None:
        """Makes another name for the value that a name has now."""
        self._current[name] = self.read(of)

    def outer(self, name: str) -> str:
        """Makes a tensor of the graph around this one known here."""
        self._current[name] = name
        return name

    def read(self, name: str) -> str:
        """The tensor that a name means now; "" for an omitted input.

        Raises:
            FormatError: nothing has filled it.
        """
        if not name:
            return ""
        found = self._current.get(name)
        if found is None:
            raise FormatError(f"a node takes {name[:80]!r}, which nothing makes before it")
        return found

    def node(
        self,
        *,
        source_operator: str,
        inputs: Sequence[str],
        outputs: Sequence[Tensor],
        mapped: Mapped,
        name: str = "",
    ) -> Node:
        """Adds a node.

        Args:
            source_operator: what the file calls it.
            inputs: names as in the source, in ONNX order.
            outputs: the results, under the source's names; "" for an omitted one.
            mapped: its operator and attributes; `inputs` and `outputs` of it are not looked at.
            name: of the node.

        Raises:
            FormatError: an input that nothing has filled, or too many nodes.
        """
        check_nodes(len(self.nodes) + 1)
        taken = tuple(self.read(each) for each in inputs)
        for each in taken:
            self._unused.pop(each, None)
        while taken and not taken[-1]:
            taken = taken[:-1]
        made = tuple(self._write(tensor) if tensor.name else "" for tensor in outputs)
        node = Node(
            name=name,
            operator=mapped.operator,
            source_operator=source_operator,
            inputs=taken,
            outputs=made,
            attributes=mapped.attributes,
        )
        self.nodes.append(node)
        return node

    def graph(
        self,
        name: str = "",
        *,
        outputs: Iterable[str] | None = None,
        layout: Layout = Layout.CHANNELS_FIRST,
        parent: int | None = None,
    ) -> Graph:
        """The finished graph; its outputs are what no node takes unless they are given.

        Raises:
            FormatError: an output that nothing makes.
        """
        given = tuple(self._unused) if outputs is None else tuple(map(self.read, outputs))
        return Graph(
            name=name,
            tensors=self.tensors,
            nodes=tuple(self.nodes),
            inputs=tuple(self.inputs),
            outputs=tuple(dict.fromkeys(given)),
            layout=layout,
            parent=parent,
        )

    def _write(self, tensor: Tensor) -> str:
        source = tensor.name
        left = self._left.get(source, 1) - 1
        self._left[source] = left
        name = source
        while left > 0 and (name == source or name in self._names):
            self._earlier[source] = self._earlier.get(source, 0) + 1
            name = f"{source}#{self._earlier[source]}"
        if name in self.tensors:
            name = self._names.unique(name)
        self._names.take(name)
        self.tensors[name] = replace(tensor, name=name)
        self._current[source] = name
        self._unused[name] = None
        return name
