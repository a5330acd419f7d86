"""The source text that TorchScript serialises: a small part of Python, parsed without Python's parser.

**Source:** https://github.com/pytorch/pytorch/blob/main/torch/csrc/jit/docs/serialization.md, the
section on code serialisation, and what `torch.jit.save` writes.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from gaugenn.errors import FormatError

_TOKEN = re.compile(
    r"""(?P<number>(?:\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)j?)
    |(?P<name>[A-Za-z_]\w*)
    |(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    |(?P<mark>->|==|!=|<=|>=|//|\*\*|[-+*/%@<>=.,:()\[\]{}~|&^])
    |(?P<space>\s+|\#[^\n]*)""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\([0-7]{1,3}|x[0-9a-fA-F]{2}|.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_DEEPEST_EXPRESSION = 60
_LONGEST_NUMBER = 40
_COMPARISONS = ("==", "!=", "<", ">", "<=", ">=", "is", "in")
_ARITHMETIC = ("+", "-", "*", "/", "//", "%", "@", "**", "|", "&", "^")


@dataclass(frozen=True, slots=True)
class Name:
    """A variable, or the first part of a dotted name."""

    name: str


@dataclass(frozen=True, slots=True)
class Literal:
    """A number, text, truth value or None."""

    value: int | float | str | bool | None


@dataclass(frozen=True, slots=True)
class Attribute:
    """`value.name`."""

    value: "Expression"
    name: str


@dataclass(frozen=True, slots=True)
class Item:
    """`value[index]`."""

    value: "Expression"
    index: "Expression"


@dataclass(frozen=True, slots=True)
class Apply:
    """`function(arguments, name=value)`."""

    function: "Expression"
    arguments: tuple["Expression", ...]
    named: tuple[tuple[str, "Expression"], ...]


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list or tuple, or the keys and values of a dictionary in turn."""

    kind: str
    elements: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Operation:
    """An operator sign or word with its operands; `if` has then, condition, else."""

    sign: str
    operands: tuple["Expression", ...]


Expression: TypeAlias = Name | Literal | Attribute | Item | Apply | Sequence | Operation


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement.

    Attributes:
        kind: `assign`, `do`, `return`, `if`, `for` or `while`.
        targets: what is assigned or counted.
        value: what is assigned, done, returned, tested or gone through.
        body: statements below, of the branch taken.
        other: statements of `else`.
    """

    kind: str
    targets: tuple[Expression, ...] = ()
    value: Expression | None = None
    body: tuple["Statement", ...] = ()
    other: tuple["Statement", ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function or method.

    Attributes:
        name: without its module.
        parameters: names, and the default where there is one.
        body: its statements.
    """

    name: str
    parameters: tuple[tuple[str, Expression | None], ...]
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    number: int
    indent: int
    text: str


@dataclass(slots=True, kw_only=True)
class Source:
    """One file of source text; functions are parsed when they are asked for.

    Attributes:
        where: for messages.
        starts: by `function` or `Class.method`, the lines of each.
    """

    where: str
    starts: dict[str, list[_Line]] = field(default_factory=dict)
    _parsed: dict[str, Function] = field(default_factory=dict)

    def function(self, name: str) -> Function:
        """A function by its name in this file.

        Raises:
            FormatError: its text is none that TorchScript writes.
        """
        found = self._parsed.get(name)
        if found is None:
            found = self._parsed[name] = _function(self.where, self.starts[name])
        return found


def split_source(text: str, where: str) -> Source:
    """Finds the functions of a source file.

    Raises:
        FormatError: brackets or texts that do not close.
    """
    source = Source(where=where)
    owner = ""
    body: list[_Line] | None = None
    depth = 0
    for line in _lines(text, where):
        if line.indent == 0:
            owner, body = "", None
            words = line.text.split("(")[0].split(":")[0].split()
            if words[:1] == ["class"] and len(words) > 1:
                owner = words[1]
                continue
        starts = line.text.startswith("def ")
        if starts and (line.indent == 0 or owner):
            name = line.text[4:].partition("(")[0].strip()
            body = source.starts.setdefault(f"{owner}.{name}" if owner else name, [])
            body.clear()
            depth = line.indent
        elif body is not None and line.indent <= depth:
            body = None
        if body is not None:
            body.append(line)
    return source


def _lines(text: str, where: str) -> Iterator[_Line]:
    """Logical lines: those inside brackets are joined."""
    pending, indent, start, depth = "", 0, 0, 0
    for number, raw in enumerate(text.split("\n"), 1):
        if not depth:
            if not raw.strip() or raw.lstrip().startswith("#"):
                continue
            indent, start, pending = len(raw) - len(raw.lstrip(" ")), number, raw.strip()
        else:
            pending += " " + raw.strip()
        depth += _opened(raw)
        if depth <= 0:
            depth = 0
            yield _Line(number=start, indent=indent, text=pending)
    if depth:
        raise FormatError(f"{where}, line {start}: a bracket is not closed: the text is cut off")


_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"' + r"|'(?:[^'\\]|\\.)*'|#.*")


def _opened(raw: str) -> int:
    plain = _QUOTED.sub("", raw) if '"' in raw or "'" in raw or "#" in raw else raw
    return sum(plain.count(c) for c in "([{") - sum(plain.count(c) for c in ")]}")


def _function(where: str, lines: list[_Line]) -> Function:
    head = lines[0]
    parser = _Parser(where, head)
    parser.take("def")
    name = parser.name()
    parser.take("(")
    parameters: list[tuple[str, Expression | None]] = []
    while not parser.has(")"):
        named = parser.name()
        if parser.has(":"):
            parser.expression()
        parameters.append((named, parser.expression() if parser.has("=") else None))
        if not parser.has(","):
            parser.take(")")
            break
    body, _ = _block(where, lines, 1, head.indent)
    return Function(name=name, parameters=tuple(parameters), body=body)


def _block(
    where: str, lines: list[_Line], at: int, outer: int, depth: int = 0
) -> tuple[tuple[Statement, ...], int]:
    """Statements that stand deeper than `outer`, and where they end."""
    found: list[Statement] = []
    if depth > _DEEPEST_EXPRESSION:
        raise FormatError(f"{where}, line {lines[at - 1].number}: blocks nest too deep")
    while at < len(lines) and lines[at].indent > outer:
        line = lines[at]
        at += 1
        parser = _Parser(where, line)
        word = parser.peek
        if word in ("if", "while", "for", "with"):
            parser.step()
            targets: tuple[Expression, ...] = ()
            if word == "for":
                targets = parser.targets("in")
            value = parser.expression()
            body, at = _block(where, lines, at, line.indent, depth + 1)
            other: tuple[Statement, ...] = ()
            if at < len(lines) and lines[at].indent == line.indent and lines[at].text == "else:":
                other, at = _block(where, lines, at + 1, line.indent, depth + 1)
            if word == "with":
                found += body
            else:
                found.append(
                    Statement(kind=word, targets=targets, value=value, body=body, other=other)
                )
        else:
            statement = _simple(parser)
            if statement is not None:
                found.append(statement)
    return tuple(found), at


def _simple(parser: "_Parser") -> Statement | None:
    word = parser.peek
    if word in ("pass", "import", "from", "assert", ""):
        return None
    if word == "return":
        parser.step()
        return Statement(kind="return", value=Literal(None) if parser.done else parser.listed())
    first = parser.listed()
    if parser.has(":"):
        parser.expression()
    if not parser.has("="):
        return Statement(kind="do", value=first)
    value = parser.listed()
    targets = first.elements if isinstance(first, Sequence) else (first,)
    if isinstance(first, Sequence) and len(targets) == 1:
        targets = (*targets, Literal(None))  # `a, = x` takes the only element
    return Statement(kind="assign", targets=targets, value=value)


class _Parser:
    """Parses one logical line."""

    def __init__(self, where: str, line: _Line) -> None:
        self._where = f"{where}, line {line.number}"
        self._tokens = list(self._split(line.text))
        self._at = 0
        self._depth = 0

    def _split(self, text: str) -> Iterator[tuple[str, str]]:
        at = 0
        while at < len(text):
            found = _TOKEN.match(text, at)
            if found is None:
                raise FormatError(f"{self._where}: {text[at : at + 20]!r} is no TorchScript")
            at = found.end()
            if found.lastgroup is not None and found.lastgroup != "space":
                yield found.lastgroup, found.group()

    @property
    def peek(self) -> str:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else ""

    @property
    def done(self) -> bool:
        return self._at >= len(self._tokens)

    def step(self) -> tuple[str, str]:
        if self.done:
            raise FormatError(f"{self._where}: the line ends in the middle")
        self._at += 1
        return self._tokens[self._at - 1]

    def has(self, text: str) -> bool:
        if self.peek != text:
            return False
        self._at += 1
        return True

    def take(self, text: str) -> None:
        if not self.has(text):
            raise FormatError(f"{self._where}: {self.peek!r} stands where {text!r} is expected")

    def name(self) -> str:
        kind, text = self.step()
        if kind != "name":
            raise FormatError(f"{self._where}: {text!r} stands where a name is expected")
        return text

    def targets(self, end: str) -> tuple[Expression, ...]:
        found = [self._postfix()]
        while not self.has(end):
            self.take(",")
            if self.has(end):
                break
            found.append(self._postfix())
        return tuple(found)

    def listed(self) -> Expression:
        """An expression, or several with commas."""
        first = self.expression()
        if self.peek != ",":
            return first
        found = [first]
        while self.has(","):
            if self.done or self.peek in ("=", ":"):
                break
            found.append(self.expression())
        return Sequence("tuple", tuple(found))

    def expression(self) -> Expression:
        self._depth += 1
        if self._depth > _DEEPEST_EXPRESSION:
            raise FormatError(f"{self._where}: expressions nest deeper than {_DEEPEST_EXPRESSION}")
        found = self._compared()
        while self.peek in ("and", "or"):
            found = Operation(self.step()[1], (found, self._compared()))
        if self.has("if"):
            condition = self.expression()
            self.take("else")
            found = Operation("if", (found, condition, self.expression()))
        self._depth -= 1
        return found

    def _compared(self) -> Expression:
        if self.has("not"):
            return Operation("not", (self._arithmetic(),))
        found = self._arithmetic()
        while self.peek in _COMPARISONS:
            sign = self.step()[1]
            if sign == "is" and self.has("not"):
                sign = "is not"
            found = Operation(sign, (found, self._arithmetic()))
        return found

    def _arithmetic(self) -> Expression:
        found = self._signed()
        while self.peek in _ARITHMETIC:
            found = Operation(self.step()[1], (found, self._signed()))
        return found

    def _signed(self) -> Expression:
        signs = 0
        while self.peek in ("-", "+", "~"):
            signs += self.step()[1] == "-"
        found = self._postfix()
        if not signs % 2:
            return found
        if isinstance(found, Literal) and isinstance(found.value, int | float):
            return Literal(-found.value)
        return Operation("neg", (found,))

    def _postfix(self) -> Expression:
        found = self._atom()
        while not self.done:
            if self.has("."):
                found = Attribute(found, self.name())
            elif self.has("["):
                found = Item(found, self._subscript())
            elif self.has("("):
                found = self._call(found)
            else:
                break
        return found

    def _subscript(self) -> Expression:
        elements = self._elements("]")
        return elements[0] if len(elements) == 1 else Sequence("tuple", elements)

    def _elements(self, end: str) -> tuple[Expression, ...]:
        found: list[Expression] = []
        while not self.has(end):
            found.append(self.expression())
            if not self.has(","):
                self.take(end)
                break
        return tuple(found)

    def _call(self, function: Expression) -> Expression:
        arguments: list[Expression] = []
        named: list[tuple[str, Expression]] = []
        while not self.has(")"):
            value = self.expression()
            if isinstance(value, Name) and self.has("="):
                named.append((value.name, self.expression()))
            else:
                arguments.append(value)
            if not self.has(","):
                self.take(")")
                break
        return Apply(function, tuple(arguments), tuple(named))

    def _atom(self) -> Expression:
        kind, text = self.step()
        if kind == "number":
            return Literal(self._number(text))
        if kind == "text":
            return Literal(_unquoted(text))
        if kind == "name":
            words: dict[str, bool | None] = {"None": None, "True": True, "False": False}
            if text in words:
                return Literal(words[text])
            if text in ("inf", "nan", "infj"):
                return Literal(float(text.rstrip("j")))
            return Name(text)
        if text == "[":
            return Sequence("list", self._elements("]"))
        if text == "{":
            return self._dictionary()
        if text == "(":
            return self._parenthesis()
        raise FormatError(f"{self._where}: {text!r} stands where a value is expected")

    def _parenthesis(self) -> Expression:
        found: list[Expression] = []
        comma = False
        while not self.has(")"):
            found.append(self.expression())
            if not self.has(","):
                self.take(")")
                break
            comma = True
        if len(found) == 1 and not comma:
            return found[0]
        return Sequence("tuple", tuple(found))

    def _dictionary(self) -> Expression:
        found: list[Expression] = []
        while not self.has("}"):
            found.append(self.expression())
            self.take(":")
            found.append(self.expression())
            if not self.has(","):
                self.take("}")
                break
        return Sequence("dict", tuple(found))

    def _number(self, text: str) -> int | float:
        if len(text) > _LONGEST_NUMBER:
            raise FormatError(f"{self._where}: {text[:20]!r}... is too long for a number")
        return int(text) if text.isdecimal() else float(text.rstrip("j"))


def _unquoted(text: str) -> str:
    def escaped(found: re.Match[str]) -> str:
        body = found[1]
        if body[0] == "x" and len(body) == 3:
            return chr(int(body[1:], 16))
        return chr(int(body, 8)) if body[0] in "01234567" else _ESCAPES.get(body, body)

    inner = text[1:-1]
    return _ESCAPE.sub(escaped, inner) if "\\" in inner else inner
