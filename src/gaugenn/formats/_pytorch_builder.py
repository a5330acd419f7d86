"""The graphs of a TorchScript program under construction: names, weights of the pickle, nodes."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from gaugenn.errors import FormatError
from gaugenn.formats._pickle import Call, Value
from gaugenn.formats._pytorch_operators import Operand, Ref, Site, mapped
from gaugenn.formats._pytorch_scopes import Draft, Scope
from gaugenn.formats._pytorch_tensors import PickledTensors
from gaugenn.formats._pytorch_values import (
    DEEPEST_LIST,
    LENGTH_LIMIT,
    Changes,
    Instance,
    Place,
    attribute_of,
    refs_in,
)
from gaugenn.graph import AttributeValue, DataType, Tensor, TensorKind

_STEP_LIMIT = 500_000
"""Expressions, elements and pickled values that are looked at; a large network takes 20,000."""
_NODE_LIMIT = 100_000


class GraphBuilder:
    """Makes tensors and nodes in the scope that is open.

    Args:
        where: for messages.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._root = Scope(parent=None, name="forward")
        self._scope = self._root
        self._names: set[str] = set()
        self._weights: dict[int, Ref] = {}
        self._instances: dict[int, Instance] = {}
        self._changes: list[Changes] = []
        self._steps = 0
        self._numbers = 0

    def _error(self, what: str) -> FormatError:
        return FormatError(f"{self._where}: {what}")

    def _spend(self, steps: int) -> None:
        self._steps += steps
        if self._steps > _STEP_LIMIT:
            raise self._error(f"following the text takes more than {_STEP_LIMIT} steps")

    def _value(self, value: Value, path: str, pickled: PickledTensors) -> Operand:
        """A pickled value as an operand. Tensors become constants of the main graph."""
        self._spend(1)
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, list | tuple):
            return [self._value(v, f"{path}.{i}", pickled) for i, v in enumerate(value)]
        if not isinstance(value, Call):
            return value
        known = self._weights.get(id(value)) or self._instances.get(id(value))
        if known is not None:
            return known
        if value.called.startswith("torch.jit._pickle."):
            given = value.arguments
            return (
                self._value(given[0], path, pickled) if isinstance(given, tuple) and given else None
            )
        tensor = pickled.tensor(value, path or "constant")
        if tensor is None:
            instance = self._instances[id(value)] = Instance(value, path, pickled)
            return instance
        ref = self._weights[id(value)] = self._new(tensor.name, at=self._root)
        shape = tuple(s for s in tensor.shape or () if isinstance(s, int))
        ref.shape = shape
        self._root.tensors[ref.name] = replace(tensor, name=ref.name)
        return ref

    def _new(self, wanted: str, at: Scope | None = None) -> Ref:
        """A tensor with a name that no graph has."""
        name = wanted
        while not name or name in self._names:
            self._numbers += 1
            name = f"{wanted}.{self._numbers}"
        self._names.add(name)
        scope = at or self._scope
        scope.tensors[name] = Tensor(name=name, dtype=DataType.UNKNOWN, shape=None)
        return Ref(name)

    def _change(self, place: Place, value: Operand) -> None:
        """Changes a place, and notes in a branch or loop what was there before."""
        if self._changes:
            self._changes[-1].setdefault(place.key, (place, place.get()))
        place.put(value)

    def _constant(self, value: bool | int | float) -> Ref:
        kinds = {bool: DataType.BOOL, int: DataType.INT64, float: DataType.FLOAT32}
        dtype = kinds[type(value)]
        ref = self._new("constant")
        held = min(max(value, -(1 << 63)), (1 << 63) - 1) if dtype is DataType.INT64 else value
        with np.errstate(over="ignore"):
            data = np.asarray(held, dtype=np.dtype(dtype.value).newbyteorder("<")).tobytes()
        self._scope.tensors[ref.name] = Tensor(
            name=ref.name,
            dtype=dtype,
            shape=(),
            data=memoryview(data),
            kind=TensorKind.CONSTANT,
        )
        return ref

    def _named(self, value: Operand) -> str:
        """The tensor name of an operand of a node; "" for None."""
        if isinstance(value, Ref):
            return value.name
        return self._constant(value).name if isinstance(value, bool | int | float) else ""

    def _node(
        self,
        namespace: str,
        operator: str,
        arguments: tuple[Operand, ...],
        named: Mapping[str, Operand],
    ) -> Ref:
        """Adds a call of an operator; gives its result."""
        if sum(len(s) for s in (self._scope.nodes, self._names)) > _NODE_LIMIT:
            raise self._error(f"the model has more than {_NODE_LIMIT} operators and tensors")
        self._spend(sum(len(v) for v in arguments if isinstance(v, list | tuple)))
        in_place = operator.endswith("_") and not operator.endswith("__")
        plain = operator.removesuffix("_") if in_place else operator
        found = mapped(namespace, Site(name=plain, arguments=arguments, named=named))
        attributes: dict[str, AttributeValue | Scope] = {}
        if found is not None:
            inputs = [self._named(value) for value in found.inputs]
            attributes.update(found.attributes)
            while inputs and not inputs[-1]:
                inputs.pop()
        else:
            inputs = []
            labelled = [(f"argument_{i}", v) for i, v in enumerate(arguments)] + [*named.items()]
            for label, value in labelled:
                refs = list(refs_in(value))
                inputs += [ref.name for ref in refs]
                plain_value = None if refs else attribute_of(value)
                if plain_value is not None:
                    attributes[label] = plain_value
        if namespace in ("quantized", "prepacked"):
            self._add_packed(arguments, inputs)
        result = self._new(operator)
        self._scope.nodes.append(
            Draft(f"{namespace}::{operator}", found.operator if found else "", inputs,
                   [result.name], attributes)
        )  # fmt: skip
        first = arguments[0] if arguments else None
        if in_place and isinstance(first, Ref):
            self._change(Place(first, ""), result)
            return first
        return result

    def _add_packed(self, arguments: tuple[Operand, ...], inputs: list[str]) -> None:
        """Adds the weights inside of packed parameters."""
        for value in arguments:
            if isinstance(value, Instance):
                held = self._packed(value.call.state, value.path, value.tensors, 0)
                inputs += [ref.name for ref in held]

    def _packed(
        self, value: Value, path: str, pickled: PickledTensors, depth: int
    ) -> Iterable[Ref]:
        self._spend(1)
        if depth > DEEPEST_LIST:
            return
        if isinstance(value, tuple | list):
            for i, part in enumerate(value[:LENGTH_LIMIT]):
                yield from self._packed(part, f"{path}.{i}", pickled, depth + 1)
        elif isinstance(value, Call):
            found = self._value(value, path, pickled)
            if isinstance(found, Ref):
                yield found
            elif isinstance(found, list):
                yield from refs_in(found)
