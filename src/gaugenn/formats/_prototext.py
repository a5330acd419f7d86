"""Protocol Buffers messages in their text form, read from untrusted bytes without a schema.

Every field keeps its values as they are spelled, in order; a reader gives them types. What the text
form allows beyond `key: value` and `key { ... }` is understood: `<...>` for braces, lists in brackets,
adjacent strings, separators, comments.

**Source:** https://protobuf.dev/reference/protobuf/textformat-spec/
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NoReturn

from gaugenn.errors import FormatError

DEPTH_LIMIT = 100
"""Messages inside messages, as in the official libraries."""

VALUE_LIMIT = 500_000
"""Values of one file, a message counting for five of them; a graph of 1,000 layers has 50,000."""

_MESSAGE_WEIGHT = 5

_TOKEN = re.compile(
    r"""(?P<space>[\s\x00]+|\#[^\n]*)
    |(?P<name>[A-Za-z_][\w./-]*)
    |(?P<number>[-+]?(?:\d|\.\d)[\w.]*(?:(?<=[eE])[-+]\d+f?)?|-\s*[A-Za-z]+)
    |(?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    |(?P<mark>[{}<>\[\]:,;])""",
    re.VERBOSE | re.ASCII,
)
_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{1,2}|[0-7]{1,3}|.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


class Quoted(str):
    """A value that stood in quotes, unescaped."""

    __slots__ = ()


@dataclass(slots=True, eq=False)
class TextMessage:
    """The fields of a message by name, each with its values in order.

    Attributes:
        line: where the message begins, from 1.
        fields: scalars as they are spelled, text unescaped.
    """

    line: int
    fields: "dict[str, list[str | TextMessage]]" = field(default_factory=dict)

    def messages(self, name: str) -> "tuple[TextMessage, ...]":
        """The values of a field that are messages."""
        return tuple(v for v in self.fields.get(name, ()) if isinstance(v, TextMessage))

    def texts(self, name: str) -> tuple[str, ...]:
        """The values of a field that are scalars, as spelled."""
        return tuple(v for v in self.fields.get(name, ()) if isinstance(v, str))

    def text(self, name: str, default: str = "") -> str:
        """The last scalar value of a field, as spelled."""
        found = self.texts(name)
        return found[-1] if found else default

    def error(self, text: str) -> FormatError:
        """An error about this message, to be raised."""
        return FormatError(f"line {self.line}: {text}")


def parse(data: memoryview) -> TextMessage:
    """The message that fills the given bytes.

    Raises:
        FormatError: the bytes are no message in text form.
    """
    text = str(data, "utf-8", "backslashreplace").removeprefix("\ufeff")
    return _Parser(text).parse()


@dataclass(frozen=True, slots=True)
class Outline:
    """An outermost field as far as the start of a file shows it.

    Attributes:
        name: the field's name.
        is_message: whether its value is a message.
        inner: names of the fields directly inside that message.
        whole: whether the end of the message was seen.
    """

    name: str
    is_message: bool
    inner: tuple[str, ...]
    whole: bool


def outline(head: bytes) -> tuple[Outline, ...]:
    """The outermost fields of a message in text form of which only the start is known.

    Raises:
        FormatError: the start belongs to no such message.
    """
    parser = _Parser(head.decode("utf-8", "replace").removeprefix("\ufeff"))
    found: list[Outline] = []
    try:
        root = parser.parse()
    except _EndReachedError as cut:
        root = cut.root
    for name, values in root.fields.items():
        for value in values:
            if isinstance(value, TextMessage):
                whole = value not in parser.open_messages
                found.append(Outline(name, True, tuple(value.fields), whole))
            else:
                found.append(Outline(name, False, (), True))
    return tuple(found)


class _EndReachedError(FormatError):
    """The text ends inside a message."""

    def __init__(self, text: str, root: TextMessage) -> None:
        super().__init__(text)
        self.root = root


class _Parser:
    """Reads tokens into messages, without recursion."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = self._scan()
        self._line = 1
        self._left = VALUE_LIMIT
        self._root = TextMessage(1)
        self.open_messages: list[TextMessage] = [self._root]

    def parse(self) -> TextMessage:
        """All of the text as one message."""
        closers = [""]
        stack = self.open_messages
        for kind, word in self._tokens:
            if kind == "mark" and word in ",;":
                continue
            if kind == "mark" and word == closers[-1]:
                closers.pop()
                stack.pop()
                continue
            name = self._field_name(kind, word)
            kind, word = self._next()
            colon = word == ":" and kind == "mark"
            if colon:
                kind, word = self._next()
            if kind == "mark" and word in "{<":
                self._open(name, closers, word)
            elif kind == "mark" and word == "[" and colon:
                self._list(name, closers)
            elif colon:
                self._value(name, kind, word)
            else:
                self._fail(f"the field {name!r} is followed by {word!r}, expected ':' or '{{'")
        if len(stack) > 1:
            self._ended()
        return self._root

    def _field_name(self, kind: str, word: str) -> str:
        if kind == "name":
            return word
        if kind != "mark" or word != "[":
            self._fail(f"{word!r} stands where a field begins")
        parts: list[str] = []
        while True:
            kind, word = self._next()
            if kind == "mark" and word == "]":
                return "".join(parts)
            if kind != "name":
                self._fail(f"{word!r} stands in the name of an extension")
            parts.append(word)

    def _open(self, name: str, closers: list[str], word: str) -> None:
        if len(closers) > DEPTH_LIMIT:
            self._fail(f"messages nest deeper than {DEPTH_LIMIT}")
        self._count(_MESSAGE_WEIGHT)
        message = TextMessage(self._line)
        self.open_messages[-1].fields.setdefault(name, []).append(message)
        self.open_messages.append(message)
        closers.append("}" if word == "{" else ">")

    def _list(self, name: str, closers: list[str]) -> None:
        """Scalars in brackets; messages in brackets are used by none of the formats read here."""
        del closers
        while True:
            kind, word = self._next()
            if kind == "mark" and word == "]":
                return
            if kind == "mark" and word == ",":
                continue
            self._value(name, kind, word)

    def _value(self, name: str, kind: str, word: str) -> None:
        if kind == "mark":
            self._fail(f"the field {name!r} has no value, but {word!r}")
        self._count(1)
        values = self.open_messages[-1].fields.setdefault(name, [])
        values.append(Quoted(word) if kind == "text" else word)

    def _count(self, weight: int) -> None:
        self._left -= weight
        if self._left < 0:
            self._fail(f"more than {VALUE_LIMIT} values in one file")

    def _next(self) -> tuple[str, str]:
        found = next(self._tokens, None)
        if found is None:
            self._ended()
        return found

    def _ended(self) -> NoReturn:
        inside = self.open_messages[-1].line
        raise _EndReachedError(
            f"line {self._line}: the text ends inside the message that begins in line {inside}",
            self._root,
        )

    def _fail(self, text: str) -> NoReturn:
        raise FormatError(f"line {self._line}: {text}")

    def _scan(self) -> Iterator[tuple[str, str]]:
        """Tokens with their kinds; strings that follow each other are one."""
        text = self._text
        position = 0
        pending: list[str] = []
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                if "\n" not in text[position : position + 4096] and text[position] in "\"'":
                    self._ended()
                self._fail(f"{text[position]!r} has no meaning in a message in text form")
            position = match.end()
            kind, word = match.lastgroup or "", match.group()
            if kind == "text":
                pending.append(_unquoted(word))
                continue
            if kind != "space":
                if pending:
                    yield "text", "".join(pending)
                    pending.clear()
                yield kind, word
            self._line += word.count("\n")
        if pending:
            yield "text", "".join(pending)


def _unquoted(word: str) -> str:
    return _ESCAPE.sub(_unescaped, word[1:-1]) if "\\" in word else word[1:-1]


def _unescaped(match: re.Match[str]) -> str:
    code = match[1]
    if code[0] == "x" and len(code) > 1:
        return chr(int(code[1:], 16))
    if code[0] in "01234567":
        return chr(int(code, 8) & 255)
    return _ESCAPES.get(code, code)
