"""Graphs out of Paddle's programs."""

from collections.abc import Mapping, Sequence

from gaugenn.errors import FormatError
from gaugenn.formats import _paddle_operators as operators
from gaugenn.formats._draft import Draft, Mapped
from gaugenn.formats._paddle_program import Block, Operator, Program
from gaugenn.graph import DataType, Graph, GraphReference, Shape, Tensor, TensorKind

_EMPTY = "@EMPTY@"
_LEFT_OUT = frozenset(
    """
    MeanOut VarianceOut SavedMean SavedVariance ReserveSpace XShape Mask
    """.split()  # noqa: SIM905
)
"""Results that only a training looks at."""


def program_graphs(program: Program, values: Mapping[str, Tensor]) -> tuple[Graph, ...]:
    """A graph for each block.

    Args:
        program: the whole program.
        values: the weights that were found, by the variable's name.

    Raises:
        FormatError: an operator that takes what nothing makes, or runs a block that is not there.
    """
    graphs = tuple(
        _BlockBuilder(program, index, values).graph() for index in range(len(program.blocks))
    )
    _check_calls(program)
    return graphs


def _check_calls(program: Program) -> None:
    """A block runs only blocks that come after it."""
    for index, block in enumerate(program.blocks):
        for operator in block.operators:
            for value in operator.attributes.values():
                if isinstance(value, GraphReference) and not (
                    index < value.index < len(program.blocks)
                ):
                    raise FormatError(
                        f"Paddle's operator {operator.type!r} in block {index} runs block {value.index}"
                    )


class _BlockBuilder:
    """One block."""

    def __init__(self, program: Program, index: int, values: Mapping[str, Tensor]) -> None:
        self._program = program
        self._block = program.blocks[index]
        written = [
            name
            for operator in self._block.operators
            for parameter, names in operator.outputs.items()
            if parameter not in _LEFT_OUT and operator.type != "fetch"
            for name in names
            if name != _EMPTY
        ]
        self._draft = Draft(written)
        self._outputs: list[str] = []
        self._outer = self._outer_variables()
        for variable in self._block.variables.values():
            if variable.held:
                self._add_weight(variable.name, variable.dtype, variable.shape, values)

    def _add_weight(
        self, name: str, dtype: DataType, shape: Shape | None, values: Mapping[str, Tensor]
    ) -> None:
        held = values.get(name)
        if held is not None:
            dtype, shape = held.dtype, held.shape
        known = shape is not None and all(isinstance(size, int) for size in shape)
        self._draft.constant(
            Tensor(
                name=name,
                dtype=dtype,
                shape=shape,
                data=None if held is None else held.data,
                kind=TensorKind.CONSTANT if known else TensorKind.VARIABLE,
            )
        )

    def _outer_variables(self) -> dict[str, Shape | None]:
        """Shapes of what the blocks around this one declare."""
        found: dict[str, Shape | None] = {}
        parent = self._block.parent
        while parent is not None:
            block: Block = self._program.blocks[parent]
            for name, variable in block.variables.items():
                found.setdefault(name, variable.shape)
            parent = block.parent
        return found

    def graph(self) -> Graph:
        """The finished graph."""
        for operator in self._block.operators:
            if operator.type == "feed":
                for name in (n for names in operator.outputs.values() for n in names):
                    self._draft.feed(name, self._dtype(name), self._declared(name))
            elif operator.type == "fetch":
                self._outputs += (n for names in operator.inputs.values() for n in names)
            else:
                self._add(operator)
        return self._draft.graph(
            outputs=self._outputs or None,
            parent=self._block.parent,
        )

    def _declared(self, name: str) -> Shape | None:
        variable = self._block.variables.get(name)
        return self._outer.get(name) if variable is None else variable.shape

    def _dtype(self, name: str) -> DataType:
        variable = self._block.variables.get(name)
        return DataType.UNKNOWN if variable is None else variable.dtype

    def _shape_of(self, name: str) -> Shape | None:
        known = self._draft.shape(name)
        return self._declared(name) if known is None else known

    def _add(self, operator: Operator) -> None:
        call = operators.Call(operator=operator, shape_of=self._shape_of)
        found = operators.translate(call)
        mapped = found or Mapped(attributes=operator.attributes)
        inputs: Sequence[str] | None = mapped.inputs
        if inputs is None:
            inputs = [name for names in operator.inputs.values() for name in names]
        else:
            inputs = [*inputs, *self._further(operator, inputs)]
        outputs: Sequence[str] | None = mapped.outputs
        if outputs is None:
            outputs = [
                name
                for parameter, names in operator.outputs.items()
                if parameter not in _LEFT_OUT
                for name in names
            ]
        taken = ["" if name == _EMPTY else name for name in inputs]
        for name in taken:
            if name and name not in self._draft:
                self._declare(name)
        made = [
            Tensor(
                name="" if name == _EMPTY else name,
                dtype=self._dtype(name),
                shape=self._declared(name),
            )
            for name in outputs
        ]
        self._draft.node(source_operator=operator.type, inputs=taken, outputs=made, mapped=mapped)

    def _further(self, operator: Operator, inputs: Sequence[str]) -> list[str]:
        """Inputs that ONNX does not know, so that no edge is lost."""
        every = [name for names in operator.inputs.values() for name in names]
        return [name for name in every if name not in inputs]

    def _declare(self, name: str) -> None:
        """A variable that no operator of this block fills: of a block outside, or of the caller's."""
        if name in self._outer and name not in self._block.variables:
            self._draft.outer(name)
            return
        variable = self._block.variables.get(name)
        if variable is None:
            raise FormatError(f"a Paddle operator takes {name[:80]!r}, which nothing declares")
        self._draft.feed(name, variable.dtype, variable.shape)
