"""Core ML programs (MIL) in memory, whichever of their two forms they come from, and their graphs.

A program has functions, a function a block, a block operations; every value has a declared type, so
shapes are known. Constants are operations, too: here they become tensors, and those that only set a
parameter (strides, axes) become attributes.

**Source:** https://github.com/apple/coremltools/blob/main/mlmodel/format/MIL.proto
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gaugenn.content import Content
from gaugenn.errors import FormatError
from gaugenn.formats import _coreml_operators as operators
from gaugenn.formats._coreml_values import Literal, ValueType
from gaugenn.formats._coreml_weights import WeightFiles, constant_expression
from gaugenn.graph import AttributeValue, Graph, GraphReference, Node, Tensor

Argument = str | Literal
"""A value by its name, or spelled out."""

_MOST_GRAPHS = 10_000
_DEEPEST_BLOCKS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation.

    Attributes:
        kind: its name in MIL: `conv`, `const`, `constexpr_lut_to_dense`.
        arguments: by parameter.
        outputs: names and types of the results.
        attributes: what is no argument: `name`, and the value of a `const`.
        blocks: of branches and loops.
    """

    kind: str
    arguments: Mapping[str, tuple[Argument, ...]]
    outputs: tuple[tuple[str, ValueType], ...]
    attributes: Mapping[str, Literal]
    blocks: tuple["Block", ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Operations in their order, with values that are handed in and out."""

    inputs: tuple[tuple[str, ValueType], ...]
    operations: tuple[Operation, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """An entry point; the block's inputs are the function's."""

    name: str
    opset: str
    block: Block


@dataclass(slots=True, kw_only=True)
class _Draft:
    name: str
    parent: int | None
    tensors: dict[str, Tensor] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()

    def graph(self) -> Graph:
        return Graph(
            name=self.name,
            tensors=self.tensors,
            nodes=tuple(self.nodes),
            inputs=self.inputs,
            outputs=self.outputs,
            parent=self.parent,
        )


class Program:
    """Turns functions into graphs.

    Args:
        content: the file with the program, beside which the weights lie.
        first_index: number of the first graph in the model.

    Attributes:
        notes: remarks about the model.
        companions: names of the weight files that were used.
    """

    def __init__(self, content: Content, first_index: int = 0) -> None:
        self.notes: set[str] = set()
        self._files = WeightFiles(content, self.notes)
        self._first = first_index
        self._drafts: list[_Draft] = []

    @property
    def companions(self) -> tuple[str, ...]:
        """Names of the weight files that were used."""
        return self._files.used

    def graphs(self, functions: Sequence[Function]) -> tuple[Graph, ...]:
        """One graph a function, `main` first, and one an inner block.

        Raises:
            FormatError: a value that nothing gives, or weights that are not what they should be.
        """
        for function in sorted(functions, key=lambda each: each.name != "main"):
            self._block(function.block, function.name, None, _Scope())
        return tuple(draft.graph() for draft in self._drafts)

    def _block(self, block: Block, name: str, parent: int | None, outer: "_Scope") -> int:
        if outer.depth > _DEEPEST_BLOCKS or len(self._drafts) >= _MOST_GRAPHS:
            raise FormatError(f"blocks nest more than {_DEEPEST_BLOCKS} deep, or are too many")
        index = len(self._drafts)
        draft = _Draft(name=name, parent=None if parent is None else self._first + parent)
        self._drafts.append(draft)
        scope = _Scope(outer)
        for value, type_ in block.inputs:
            scope.add_value(value, type_)
            draft.tensors[value] = Tensor(name=value, dtype=type_.dtype, shape=type_.shape)
        draft.inputs = tuple(value for value, _ in block.inputs)
        for operation in block.operations:
            self._operation(operation, index, scope)
        for value in block.outputs:
            scope.require(value)
            self._use(value, draft, scope)
        draft.outputs = block.outputs
        return index

    def _operation(self, operation: Operation, index: int, scope: "_Scope") -> None:
        draft = self._drafts[index]
        for name, _ in operation.outputs:
            if not name or name in draft.tensors or name in scope.own:
                raise FormatError(
                    f"the value {name!r} of a {operation.kind} is nameless or repeated"
                )
        if operation.kind == "const" and len(operation.outputs) == 1:
            value = operation.attributes.get("val")
            if value is None:
                raise FormatError(f"the constant {operation.outputs[0][0]!r} has no value")
            scope.add_constant(operation.outputs[0][0], value)
            return
        if operation.kind.startswith("constexpr_") and len(operation.outputs) == 1:
            name, type_ = operation.outputs[0]
            scope.add_tensor(
                constant_expression(
                    operation.kind, name, type_, self._parameters(operation, scope), self._files
                )
            )
            return
        call = operators.Call(
            kind=operation.kind,
            arguments={
                parameter: tuple(scope.resolved(each) for each in given)
                for parameter, given in operation.arguments.items()
            },
            outputs=operation.outputs,
        )
        mapped = operators.mapped(call)
        inputs = tuple(self._input(each, call, draft, scope) for each in mapped.inputs)
        attributes: dict[str, AttributeValue] = dict(mapped.attributes)
        for name, block in zip(
            operators.block_names(operation.kind, len(operation.blocks)),
            operation.blocks,
            strict=True,
        ):
            inner = self._block(block, name, index, scope)
            attributes[name] = GraphReference(self._first + inner)
        for name, type_ in operation.outputs:
            scope.add_value(name, type_)
            draft.tensors[name] = Tensor(name=name, dtype=type_.dtype, shape=type_.shape)
        label = operation.attributes.get("name")
        draft.nodes.append(
            Node(
                name="" if label is None else label.text(),
                operator=mapped.operator,
                source_operator=operation.kind,
                inputs=inputs,
                outputs=tuple(name for name, _ in operation.outputs),
                attributes=attributes,
            )
        )

    def _parameters(self, operation: Operation, scope: "_Scope") -> dict[str, Literal | Tensor]:
        """What a constant expression is made of: arguments in newer programs, attributes in older."""
        found: dict[str, Literal | Tensor] = dict(operation.attributes)
        for parameter, given in operation.arguments.items():
            value = scope.resolved(given[0]).value if given else None
            if value is not None:
                found[parameter] = value
        return found

    def _input(
        self, given: operators.Given | None, call: operators.Call, draft: _Draft, scope: "_Scope"
    ) -> str:
        if given is None:
            return ""
        if given.name:
            self._use(given.name, draft, scope)
            return given.name
        value = given.value
        if not isinstance(value, Literal):
            return ""
        name = f"{call.outputs[0][0] if call.outputs else call.kind}.constant"
        while name in draft.tensors or scope.find(name) is not None:
            name += "_"
        draft.tensors[name] = self._files.tensor(name, value)
        return name

    def _use(self, name: str, draft: _Draft, scope: "_Scope") -> None:
        """Puts a constant into the graph that uses it."""
        value = scope.constant(name)
        if value is None or name in draft.tensors:
            return
        draft.tensors[name] = (
            value if isinstance(value, Tensor) else self._files.tensor(name, value)
        )


class _Scope:
    """The values that a block sees: its own and those of the blocks around it."""

    def __init__(self, outer: "_Scope | None" = None) -> None:
        self.depth: int = 0 if outer is None else outer.depth + 1
        self.own: dict[str, ValueType | Literal | Tensor] = {}
        self._outer = outer

    def add_value(self, name: str, type_: ValueType) -> None:
        self.own[name] = type_

    def add_constant(self, name: str, value: Literal) -> None:
        self.own[name] = value

    def add_tensor(self, tensor: Tensor) -> None:
        self.own[tensor.name] = tensor

    def find(self, name: str) -> ValueType | Literal | Tensor | None:
        """What stands under a name, here or further out."""
        found = self.own.get(name)
        if found is None and self._outer is not None:
            return self._outer.find(name)  # as deep as blocks may nest
        return found

    def require(self, name: str) -> ValueType | Literal | Tensor:
        """The value of a name.

        Raises:
            FormatError: there is none.
        """
        found = self.find(name)
        if found is None:
            raise FormatError(f"the value {name!r} is used and nothing gives it")
        return found

    def constant(self, name: str) -> Literal | Tensor | None:
        """The constant of a name, or None."""
        found = self.find(name)
        return None if found is None or isinstance(found, ValueType) else found

    def resolved(self, argument: Argument) -> operators.Given:
        """An argument with what is known about it."""
        if isinstance(argument, Literal):
            return operators.Given(name="", value=argument, type=argument.type)
        found = self.require(argument)
        if isinstance(found, ValueType):
            return operators.Given(name=argument, value=None, type=found)
        if isinstance(found, Tensor):
            type_ = ValueType(dtype=found.dtype, shape=found.shape)
            return operators.Given(name=argument, value=found, type=type_)
        return operators.Given(name=argument, value=found, type=found.type)
