"""What a variable of TorchScript can be while its text is followed, and what is computed at once."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from gaugenn.formats._pickle import Call
from gaugenn.formats._pytorch_operators import Operand, Ref
from gaugenn.formats._pytorch_script import Apply, Attribute, Name, Statement
from gaugenn.formats._pytorch_tensors import PickledTensors
from gaugenn.graph import AttributeValue

LENGTH_LIMIT = 4096
"""Elements of a list that are looked at."""
DEEPEST_LIST = 8


@dataclass(slots=True, eq=False)
class Instance:
    """An instance of a TorchScript class, with the dotted path that leads to it from the root."""

    call: Call
    path: str
    tensors: PickledTensors = field(repr=False)
    fields: dict[str, Operand] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Dotted:
    """A global name: a function, class or operator."""

    name: str


@dataclass(frozen=True, slots=True)
class Bound:
    """A method of an instance."""

    owner: Instance
    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """What outlives a branch or loop that changes it: a field of an instance, or a tensor in place."""

    owner: Instance | Ref
    name: str

    @property
    def key(self) -> tuple[int, str]:
        """Equal for the same place."""
        return id(self.owner), self.name

    def get(self) -> Operand:
        """What is there now."""
        if isinstance(self.owner, Ref):
            return Ref(self.owner.name, self.owner.shape)
        return self.owner.fields.get(self.name)

    def put(self, value: Operand) -> None:
        """Puts something else there."""
        if not isinstance(self.owner, Ref):
            self.owner.fields[self.name] = value
        elif isinstance(value, Ref):
            self.owner.name, self.owner.shape = value.name, value.shape


Changes: TypeAlias = dict[tuple[int, str], tuple[Place, Operand]]
"""Places by their keys, each with a value."""

SIGNS: Mapping[str, str] = {
    "==": "eq",
    "!=": "ne",
    "<": "lt",
    ">": "gt",
    "<=": "le",
    ">=": "ge",
    "+": "add",
    "-": "sub",
    "*": "mul",
    "/": "div",
    "//": "floordiv",
    "%": "remainder",
    "is": "__is__",
    "is not": "__isnot__",
    "not": "__not__",
    "and": "__and__",
    "or": "__or__",
}

KINDS: Mapping[str, Callable[[float], Operand]] = {"int": int, "float": float, "bool": bool}
FOLDS: Mapping[tuple[str, int], Callable[..., bool | int | float]] = {
    ("eq", 2): lambda a, b: a == b,
    ("ne", 2): lambda a, b: a != b,
    ("lt", 2): lambda a, b: float(a) < float(b),
    ("gt", 2): lambda a, b: float(a) > float(b),
    ("le", 2): lambda a, b: float(a) <= float(b),
    ("ge", 2): lambda a, b: float(a) >= float(b),
    ("add", 2): lambda a, b: a + b,
    ("sub", 2): lambda a, b: a - b,
    ("mul", 2): lambda a, b: a * b,
    ("floordiv", 2): lambda a, b: a // b if b else 0,
    ("neg", 1): lambda a: -a,
    ("__not__", 1): lambda a: not a,
    ("__and__", 2): lambda a, b: bool(a and b),
    ("__or__", 2): lambda a, b: bool(a or b),
}
"""What is computed at once when all operands are known."""


def is_small(value: Operand) -> bool:
    """A known number that arithmetic cannot make large."""
    return isinstance(value, bool | int | float) and abs(value) < 1 << 31


def refs_in(value: Operand) -> Iterator[Ref]:
    """All tensors in a value; a list that occurs several times in it is looked at once."""
    seen: set[int] = set()
    pending: list[Operand] = [value]
    while pending:
        part = pending.pop()
        if isinstance(part, Ref):
            yield part
        elif isinstance(part, list | tuple) and id(part) not in seen:
            seen.add(id(part))
            pending += reversed(part[:LENGTH_LIMIT])


def attribute_of(value: Operand) -> AttributeValue | None:
    """A value as an attribute of a node, where it can be one."""
    if isinstance(value, bool | float | str):
        return value
    if isinstance(value, int):
        return value if abs(value) < 1 << 63 else None
    if isinstance(value, Instance):
        return value.call.called
    if isinstance(value, list | tuple):
        parts = value[:LENGTH_LIMIT]
        if all(type(v) is int and abs(v) < 1 << 63 for v in parts):
            return tuple(v for v in parts if isinstance(v, int))
        if all(isinstance(v, float) for v in parts):
            return tuple(v for v in parts if isinstance(v, float))
        if all(isinstance(v, str) for v in parts):
            return tuple(v for v in parts if isinstance(v, str))
    return None


def refuses(statement: Statement) -> bool:
    value = statement.value
    if statement.kind != "do" or not isinstance(value, Apply):
        return False
    function = value.function
    return isinstance(function, Attribute) and function.name == "RaiseException"


def differ_plainly(pair: tuple[Operand, Operand]) -> bool:
    """Whether two known numbers differ, so that the choice between them is a result."""
    return all(isinstance(v, bool | int | float) for v in pair) and pair[0] != pair[1]


def assigned(body: tuple[Statement, ...]) -> list[str]:
    """Variables that statements assign, in order, without repeats."""
    found: dict[str, None] = {}
    for statement in body:
        for target in statement.targets:
            if isinstance(target, Name):
                found[target.name] = None
        found |= dict.fromkeys(assigned(statement.body) + assigned(statement.other))
    return list(found)


def side_by_side(first: Operand, second: Operand) -> list[tuple[Operand, Operand]] | None:
    """The elements of two lists of one length in pairs."""
    if not isinstance(first, list | tuple) or not isinstance(second, list | tuple):
        return None
    return list(zip(first, second, strict=True)) if len(first) == len(second) else None
