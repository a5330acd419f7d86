"""From TorchScript's source text to graphs: the text is followed with names in place of tensors.

Modules are known (they are in the file), so methods are inlined, attributes looked up and tests of
known values decided. What only running the model would tell stays in the graph: an `If` or `Loop` with
bodies, or an operator that gives a number. A branch that only refuses the input is left out.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TypeAlias

from gaugenn.errors import FormatError, UnsupportedFormatError
from gaugenn.formats._pickle import Pairs, Value
from gaugenn.formats._pytorch_builder import GraphBuilder
from gaugenn.formats._pytorch_operators import Operand, Ref
from gaugenn.formats._pytorch_scopes import Draft, Scope, finished
from gaugenn.formats._pytorch_script import (
    Apply,
    Attribute,
    Expression,
    Function,
    Item,
    Literal,
    Name,
    Operation,
    Sequence,
    Source,
    Statement,
)
from gaugenn.formats._pytorch_tensors import PickledTensors
from gaugenn.formats._pytorch_values import (
    DEEPEST_LIST,
    FOLDS,
    KINDS,
    LENGTH_LIMIT,
    SIGNS,
    Bound,
    Changes,
    Dotted,
    Instance,
    Place,
    assigned,
    differ_plainly,
    is_small,
    refs_in,
    refuses,
    side_by_side,
)
from gaugenn.graph import (
    Graph,
    Shape,
)

_DEEPEST_CALL = 64
_UNROLLED = 64


_Environment: TypeAlias = dict[str, Operand]


@dataclass(slots=True, eq=False)
class _Returned:
    """What a function gave back."""

    value: Operand


class ScriptGraphs(GraphBuilder):
    """Follows a method of a module.

    Args:
        sources: source files by dotted module name (`__torch__.torch.nn.functional`).
        tensors: makes tensors of the records in the pickled model.
        constants: what `CONSTANTS.cN` stands for.
        constant_tensors: makes tensors of the records among the constants.
        where: for messages.
    """

    def __init__(
        self,
        sources: Mapping[str, Source],
        tensors: PickledTensors,
        constants: Value,
        constant_tensors: PickledTensors,
        where: str,
    ) -> None:
        super().__init__(where)
        self._sources = sources
        self._pickled = tensors
        self._constant_tensors = constant_tensors
        self._constants = constants if isinstance(constants, tuple | list) else ()
        self._calls = 0

    def graphs(
        self, root: Value, method: str, input_shapes: Mapping[int, Shape]
    ) -> tuple[Graph, ...]:
        """The graph of a method and the bodies inside it.

        Raises:
            FormatError: the text contradicts itself, or asks for what is not in the file.
        """
        try:
            owner = self._value(root, "", self._pickled)
            if not isinstance(owner, Instance):
                raise self._error("the pickled model is no module")
            function = self._method(owner, method)
            environment: _Environment = {}
            for index, (name, _) in enumerate(function.parameters):
                if index == 0:
                    environment[name] = owner
                    continue
                ref = environment[name] = self._new(name)
                self._root.inputs.append(ref.name)
                shape = input_shapes.get(index - 1)
                self._root.tensors[ref.name] = replace(self._root.tensors[ref.name], shape=shape)
            result = self._run(function.body, environment)
            value = result.value if result is not None else None
            self._root.outputs = [ref.name for ref in refs_in(value)]
            return finished(self._root)
        except RecursionError:
            raise self._error("expressions and calls nest too deep") from None

    # --- values of the pickle -------------------------------------------------------------------

    def _field(self, owner: Instance, name: str) -> Operand:
        if name in owner.fields:
            return owner.fields[name]
        state = owner.call.state
        path = f"{owner.path}.{name}" if owner.path else name
        for key, value in reversed(state.items if isinstance(state, Pairs) else []):
            if isinstance(key, str) and key == name:
                found = owner.fields[name] = self._value(value, path, owner.tensors)
                return found
        if self._find(f"{owner.call.called}.{name}") is not None:
            return Bound(owner, name)
        raise self._error(f"{owner.call.called or 'an instance'} has no attribute {name!r}")

    # --- statements -----------------------------------------------------------------------------

    def _run(self, body: tuple[Statement, ...], at: _Environment) -> _Returned | None:
        for statement in body:
            self._spend(1)
            result = self._statement(statement, at)
            if result is not None:
                return result
        return None

    def _statement(self, statement: Statement, at: _Environment) -> _Returned | None:
        value = statement.value
        if value is None:
            return None
        if statement.kind == "return":
            return _Returned(self._evaluate(value, at))
        if statement.kind == "assign":
            self._assign(statement.targets, self._evaluate(value, at), at)
        elif statement.kind == "if":
            return self._if(statement, at)
        elif statement.kind == "for":
            return self._for(statement, value, at)
        elif statement.kind == "while":
            condition = self._evaluate(value, at)
            if isinstance(condition, Ref) or condition is True:
                self._loop(statement, at, None, condition)
        else:
            self._evaluate(value, at)
        return None

    def _assign(self, targets: tuple[Expression, ...], value: Operand, at: _Environment) -> None:
        if len(targets) == 1:
            self._assign_one(targets[0], value, at)
            return
        wanted = [t for t in targets if not (isinstance(t, Literal) and t.value is None)]
        parts = value if isinstance(value, list | tuple) else None
        if isinstance(value, Ref):
            parts = self._unpacked(value, len(wanted))
        if parts is None or len(parts) != len(wanted):
            raise self._error(f"a value is unpacked into {len(wanted)} variables that it has not")
        for target, part in zip(wanted, parts, strict=True):
            self._assign_one(target, part, at)

    def _unpacked(self, value: Ref, count: int) -> list[Operand]:
        """The parts of a result: outputs of the node itself where it was the last."""
        refs = [self._new(f"{value.name}.{i}") for i in range(count)]
        last = self._scope.nodes[-1] if self._scope.nodes else None
        if last is not None and last.outputs == [value.name]:
            del self._scope.tensors[value.name]
            last.outputs = [ref.name for ref in refs]
            last.operator = ""
            axis = last.attributes.pop("argument_2", 0) if last.namespace == "aten::chunk" else None
            if isinstance(axis, int):
                last.operator = "Split"
                last.attributes = {"axis": axis, "num_outputs": count}
        else:
            draft = Draft("prim::ListUnpack", "", [value.name], [r.name for r in refs], {})
            self._scope.nodes.append(draft)
        return list(refs)

    def _assign_one(self, target: Expression, value: Operand, at: _Environment) -> None:
        if isinstance(target, Name):
            at[target.name] = value
        elif isinstance(target, Attribute):
            owner = self._evaluate(target.value, at)
            if isinstance(owner, Instance):
                with suppress(FormatError):
                    self._field(owner, target.name)
                self._change(Place(owner, target.name), value)

    def _if(self, statement: Statement, at: _Environment) -> _Returned | None:
        if statement.value is None:
            return None
        condition = self._evaluate(statement.value, at)
        if not isinstance(condition, Ref):
            return self._run(statement.body if condition else statement.other, at)
        for branch, rest in (
            (statement.body, statement.other),
            (statement.other, statement.body),
        ):
            if any(map(refuses, branch)):
                return self._run(rest, at)
        then, other = dict(at), dict(at)
        scopes = [Scope(self._scope, "then_branch"), Scope(self._scope, "else_branch")]
        results, changes = zip(
            *(
                self._body(scope, lambda b=body, e=env: self._run(b, e))  # type: ignore[misc]
                for scope, body, env in zip(
                    scopes, (statement.body, statement.other), (then, other), strict=True
                )
            ),
            strict=True,
        )
        if any(result is not None for result in results):
            raise UnsupportedFormatError(f"{self._where}: a branch that returns cannot be followed")
        outputs: list[str] = []
        for name, value in then.items():
            if name in other and not (name in at and value is other[name] is at[name]):
                pair = (value, other[name])
                at[name] = self._merged(name, pair, scopes, outputs, 0)
        for key, (place, _) in (changes[0] | changes[1]).items():
            first, second = (changed.get(key, (place, place.get()))[1] for changed in changes)
            self._change(place, self._merged(place.name, (first, second), scopes, outputs, 0))
        self._scope.nodes.append(
            Draft(
                "prim::If",
                "If",
                [condition.name],
                outputs,
                {"then_branch": scopes[0], "else_branch": scopes[1]},
            )
        )
        return None

    def _merged(
        self,
        name: str,
        pair: tuple[Operand, Operand],
        scopes: list[Scope],
        outputs: list[str],
        depth: int,
    ) -> Operand:
        """What a variable is after two branches gave it two values; adds outputs to the branches."""
        self._spend(1)
        first, second = pair
        if first is second:
            return first
        parts = side_by_side(first, second)
        if parts is not None and depth < DEEPEST_LIST:
            return [
                self._merged(f"{name}.{i}", each, scopes, outputs, depth + 1)
                for i, each in enumerate(parts)
            ]
        if not any(refs_in(first)) and not any(refs_in(second)) and not differ_plainly(pair):
            return first
        ref = self._new(name)
        outputs.append(ref.name)
        for scope, value in zip(scopes, pair, strict=True):
            scope.outputs.append(self._exported(scope, value))
        return ref

    def _exported(self, scope: Scope, value: Operand) -> str:
        """The name of a value as an output of a body: a tensor, whatever it is."""
        for ref in refs_in(value):
            return ref.name
        plain = value if isinstance(value, bool | int | float) else False
        return str(self._inside(scope, lambda: self._constant(plain).name))

    def _inside(self, scope: Scope, work: Callable[[], Operand | _Returned]) -> object:
        outer, self._scope = self._scope, scope
        try:
            return work()
        finally:
            self._scope = outer

    def _body(
        self, scope: Scope, work: Callable[[], Operand | _Returned]
    ) -> tuple[object, Changes]:
        """What a body gives, and what it leaves in places outside of it, where it is undone."""
        self._changes.append({})
        result = self._inside(scope, work)
        left: Changes = {}
        for key, (place, before) in self._changes.pop().items():
            if isinstance(place.owner, Ref) and isinstance(before, Ref):
                outside: Scope | None = self._scope
                while outside is not None and before.name not in outside.tensors:
                    outside = outside.parent
                if outside is None:
                    continue
            left[key] = (place, place.get())
            place.put(before)
        return result, left

    def _for(self, statement: Statement, value: Expression, at: _Environment) -> _Returned | None:
        given = self._evaluate(value, at)
        if isinstance(given, range) and len(given) <= _UNROLLED:
            given = list(given)
        if isinstance(given, list | tuple):
            for item in given[:LENGTH_LIMIT]:
                self._assign(statement.targets, item, at)
                result = self._run(statement.body, at)
                if result is not None:
                    return result
            return None
        trips: Operand = len(given) if isinstance(given, range) else given
        self._loop(statement, at, trips, None)
        return None

    def _loop(
        self, statement: Statement, at: _Environment, trips: Operand, condition: Operand
    ) -> None:
        """A loop whose number of trips only running it would tell."""
        scope = Scope(self._scope, "body")
        changed = [name for name in assigned(statement.body) if name in at]
        carried = [n for n in changed if isinstance(at[n], Ref | bool | int | float)]
        inputs = [self._named(trips), self._named(condition)]
        inputs += [self._named(at[name]) for name in carried]
        inner = dict(at)

        def follow() -> Operand:
            counter, goes = self._new("iteration"), self._new("condition")
            scope.inputs = [counter.name, goes.name]
            for target in statement.targets:
                self._assign_one(target, counter, inner)
            for name in carried:
                ref = inner[name] = self._new(name)
                scope.inputs.append(ref.name)
            self._run(statement.body, inner)
            again: Operand = True
            if condition is not None and statement.value is not None:
                again = self._evaluate(statement.value, inner)
            scope.outputs = [self._named(again if isinstance(again, Ref) else bool(again))]
            scope.outputs += [self._exported(scope, inner[name]) for name in carried]
            return None

        _, changes = self._body(scope, follow)
        outputs: list[str] = []
        for name in carried:
            ref = at[name] = self._new(name)
            outputs.append(ref.name)
        for place, value in changes.values():
            inputs.append(self._exported(self._scope, place.get()))
            scope.inputs.append(self._new(place.name, at=scope).name)
            scope.outputs.append(self._exported(scope, value))
            ref = self._new(place.name)
            outputs.append(ref.name)
            self._change(place, ref)
        self._scope.nodes.append(Draft("prim::Loop", "Loop", inputs, outputs, {"body": scope}))

    # --- expressions ----------------------------------------------------------------------------

    def _evaluate(self, expression: Expression, at: _Environment) -> Operand:
        self._spend(1)
        if isinstance(expression, Literal):
            return expression.value
        if isinstance(expression, Name):
            if expression.name in at:
                return at[expression.name]
            return Dotted(expression.name)
        if isinstance(expression, Attribute):
            return self._attribute(expression, at)
        if isinstance(expression, Sequence):
            found = [self._evaluate(e, at) for e in expression.elements]
            return tuple(found) if expression.kind == "tuple" else found
        if isinstance(expression, Item):
            return self._item(expression, at)
        if isinstance(expression, Operation):
            return self._operation(expression, at)
        return self._apply(expression, at)

    def _attribute(self, expression: Attribute, at: _Environment) -> Operand:
        owner = self._evaluate(expression.value, at)
        name = expression.name
        if isinstance(owner, Dotted):
            if owner.name == "CONSTANTS" and name[:1] == "c" and name[1:].isdecimal():
                index = int(name[1:6])
                if index >= len(self._constants):
                    raise self._error(f"there is no constant {name}")
                value = self._constants[index]
                return self._value(value, f"CONSTANTS.{name}", self._constant_tensors)
            return Dotted(f"{owner.name}.{name}")
        if isinstance(owner, Instance):
            return self._field(owner, name)
        if isinstance(owner, Ref):
            return self._node("prim", name, (owner,), {})
        return None

    def _item(self, expression: Item, at: _Environment) -> Operand:
        owner, index = self._evaluate(expression.value, at), self._evaluate(expression.index, at)
        if isinstance(owner, Dotted):
            return owner  # a type such as List[int]
        if isinstance(owner, list | tuple) and type(index) is int:
            if not -len(owner) <= index < len(owner):
                raise self._error(f"element {index} of a list of {len(owner)} is taken")
            element: Operand = owner[index]
            return element
        return self._node("aten", "__getitem__", (owner, index), {})

    def _operation(self, expression: Operation, at: _Environment) -> Operand:
        if expression.sign == "if":
            condition = self._evaluate(expression.operands[1], at)
            chosen = expression.operands[0 if not isinstance(condition, Ref) and condition else 2]
            return self._evaluate(chosen, at)
        operands = tuple(self._evaluate(e, at) for e in expression.operands)
        return self._folded(SIGNS.get(expression.sign, expression.sign), operands, {})

    def _folded(
        self, name: str, arguments: tuple[Operand, ...], named: Mapping[str, Operand]
    ) -> Operand:
        """An ATen call, computed where all operands are known numbers."""
        if name in ("__is__", "__isnot__") and len(arguments) == 2:
            same = arguments[0] is None and arguments[1] is None
            return same if name == "__is__" else not same
        if name == "len" and isinstance(arguments[0], list | tuple):
            return len(arguments[0])
        fold = FOLDS.get((name, len(arguments)))
        if fold is not None and not named and all(map(is_small, arguments)):
            folded: bool | int | float = fold(*arguments)
            return folded
        if name == "append" and len(arguments) == 2 and isinstance(arguments[0], list):
            if len(arguments[0]) < LENGTH_LIMIT:
                arguments[0].append(arguments[1])
            return arguments[0]
        if name in ("list", "tensor_list") and isinstance(arguments[0], list | tuple):
            return list(arguments[0])
        return self._node("aten", name, arguments, named)

    def _apply(self, expression: Apply, at: _Environment) -> Operand:
        function = self._evaluate(expression.function, at)
        arguments = tuple(self._evaluate(e, at) for e in expression.arguments)
        named = {name: self._evaluate(e, at) for name, e in expression.named}
        if isinstance(function, Bound):
            method = self._method(function.owner, function.name)
            return self._called(method, (function.owner, *arguments), named)
        if not isinstance(function, Dotted):
            return self._node("prim", "CallFunction", (function, *arguments), named)
        return self._global(function.name, arguments, named)

    def _global(
        self, name: str, arguments: tuple[Operand, ...], named: Mapping[str, Operand]
    ) -> Operand:
        if name in ("annotate", "unchecked_cast") and len(arguments) == 2:
            return arguments[1]
        if name == "uninitialized":
            return None
        if name == "getattr" and len(arguments) == 2 and isinstance(arguments[1], str):
            owner = arguments[0]
            return self._field(owner, arguments[1]) if isinstance(owner, Instance) else None
        if name == "range":
            whole = [v for v in arguments if type(v) is int and abs(v) < 1 << 31]
            if len(whole) == len(arguments) in (1, 2, 3) and 0 not in whole[2:]:
                return range(*whole)
            return arguments[-1] if len(arguments) == 1 else arguments[1]
        if name in ("int", "float", "bool") and len(arguments) == 1:
            if is_small(arguments[0]):
                return self._converted(KINDS[name], arguments[0])
            return self._node("aten", name.capitalize(), arguments, {})
        if name.startswith("torch."):
            return self._folded(name.removeprefix("torch."), arguments, named)
        if name.startswith("ops."):
            namespace, _, operator = name.removeprefix("ops.").partition(".")
            return self._node(namespace, operator, arguments, named)
        function = self._find(name)
        if function is not None:
            return self._called(function, arguments, named)
        if name.startswith("__torch__."):
            return [*arguments, *named.values()]  # a named tuple, or an instance made on the way
        return self._node("prim", name, arguments, named)

    def _converted(self, kind: Callable[[float], Operand], value: Operand) -> Operand:
        if isinstance(value, str):
            if value in ("inf", "-inf", "nan"):
                return float(value)
            return self._node("aten", "Float", (), {"value": value})
        try:
            return kind(value)  # type: ignore[arg-type]
        except (ValueError, OverflowError):
            raise self._error(f"{value} is converted to a number that it is not") from None

    def _called(
        self, function: Function, arguments: tuple[Operand, ...], named: Mapping[str, Operand]
    ) -> Operand:
        self._calls += 1
        if self._calls > _DEEPEST_CALL:
            raise self._error(f"calls nest deeper than {_DEEPEST_CALL}")
        environment: _Environment = {}
        for index, (name, default) in enumerate(function.parameters):
            if index < len(arguments):
                environment[name] = arguments[index]
            elif name in named:
                environment[name] = named[name]
            else:
                environment[name] = None if default is None else self._evaluate(default, {})
        result = self._run(function.body, environment)
        self._calls -= 1
        return result.value if result is not None else None

    def _method(self, owner: Instance, name: str) -> Function:
        found = self._find(f"{owner.call.called}.{name}")
        if found is None:
            raise self._error(f"{owner.call.called or 'the root'} has no method {name!r}")
        return found

    def _find(self, name: str) -> Function | None:
        """A function `module.name` or method `module.Class.name`."""
        module, _, last = name.rpartition(".")
        source = self._sources.get(module)
        if source is not None and last in source.starts:
            return source.function(last)
        module, _, owner = module.rpartition(".")
        source = self._sources.get(module)
        wanted = f"{owner}.{last}"
        if source is not None and wanted in source.starts:
            return source.function(wanted)
        return None
