"""Core ML programs as text (`model.mil` of compiled models).

The language has no public grammar; this one is what files that Apple's compiler wrote show. What a type
other than a tensor holds is passed over.

**Source:** https://github.com/apple/coremltools/blob/main/mlmodel/format/MIL.proto (meaning)
"""

import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gaugenn.errors import FormatError
from gaugenn.formats._coreml_operators import element_type
from gaugenn.formats._coreml_program import Argument, Block, Function, Operation
from gaugenn.formats._coreml_values import Blob, Literal, ValueType, checked
from gaugenn.graph import DataType, Dimension

_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\]|\\.)*")|(?P<number>[+-]?(?:0x[0-9a-fA-F.]+(?:p[+-]?\d+)?"""
    r"""|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|inf\b|nan\b|infinity\b))"""
    r"""|(?P<name>[A-Za-z_@][\w@.:$]*)|(?P<sign>->|[()\[\]{}<>,;=?])|(?P<end>\Z))"""
)
_DEEPEST = 64
_HIGHEST_RANK = 64
_ESCAPE = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


def read_program(text: str) -> tuple[str, tuple[Function, ...]]:
    """The version and the functions of a program.

    Raises:
        FormatError: text that is no program, or is cut off.
    """
    return _Parser(text).program()


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = self._scan(text)
        self._next = next(self._tokens)
        self._depth = 0

    def _scan(self, text: str) -> Iterator[_Token]:
        at = 0
        while True:
            found = _TOKEN.match(text, at)
            if found is None or found.lastgroup is None:
                raise FormatError(f"character {at} begins nothing that belongs into a program")
            kind = found.lastgroup
            yield _Token(kind, found[kind], found.start(kind))
            if kind == "end":
                return
            at = found.end()

    # --- tokens ---------------------------------------------------------------------------------

    def _take(self) -> _Token:
        token = self._next
        if token.kind == "end":
            raise FormatError("the program is cut off")
        self._next = next(self._tokens)
        return token

    def _is(self, text: str) -> bool:
        return self._next.text == text and self._next.kind != "text"

    def _maybe(self, text: str) -> bool:
        if self._is(text):
            self._take()
            return True
        return False

    def _need(self, text: str) -> None:
        token = self._take()
        if token.text != text or token.kind == "text":
            raise FormatError(f"character {token.at} is {token.text[:40]!r}; expected {text!r}")

    def _name(self) -> str:
        token = self._take()
        if token.kind != "name":
            raise FormatError(f"character {token.at} is {token.text[:40]!r}; expected a name")
        return token.text

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise FormatError(f"brackets nest more than {_DEEPEST} deep")

    def _skip(self, close: str) -> None:
        """Passes over everything up to the bracket that closes."""
        pairs = {"(": ")", "[": "]", "{": "}", "<": ">"}
        open_ = [close]
        while open_:
            token = self._take()
            if token.kind == "sign" and token.text in pairs:
                open_.append(pairs[token.text])
            elif token.kind == "sign" and token.text == open_[-1]:
                open_.pop()
            if len(open_) > _DEEPEST:
                raise FormatError(f"brackets nest more than {_DEEPEST} deep")

    # --- the program ----------------------------------------------------------------------------

    def program(self) -> tuple[str, tuple[Function, ...]]:
        self._need("program")
        self._need("(")
        version = self._take().text
        self._need(")")
        if self._maybe("["):
            self._skip("]")
        self._need("{")
        functions: list[Function] = []
        while not self._maybe("}"):
            functions.append(self._function())
        if self._next.kind != "end":
            raise FormatError(f"character {self._next.at} stands behind the program's end")
        return version, tuple(functions)

    def _function(self) -> Function:
        self._need("func")
        name = self._name()
        opset = ""
        if self._maybe("<"):
            opset = self._take().text
            self._need(">")
        inputs = self._parameters()
        if self._maybe("["):
            self._skip("]")
        block = self._block(inputs)
        self._maybe(";")
        return Function(name=name, opset=opset, block=block)

    def _parameters(self) -> tuple[tuple[str, ValueType], ...]:
        self._need("(")
        found: list[tuple[str, ValueType]] = []
        while not self._maybe(")"):
            type_ = self._type()
            found.append((self._name(), type_))
            if not self._is(")"):
                self._need(",")
        return tuple(found)

    def _block(self, inputs: tuple[tuple[str, ValueType], ...]) -> Block:
        self._deeper()
        self._need("{")
        operations: list[Operation] = []
        while not self._maybe("}"):
            operations.append(self._operation())
        self._need("->")
        self._need("(")
        outputs: list[str] = []
        while not self._maybe(")"):
            outputs.append(self._name())
            if not self._is(")"):
                self._need(",")
        self._depth -= 1
        return Block(inputs=inputs, operations=tuple(operations), outputs=tuple(outputs))

    def _operation(self) -> Operation:
        outputs: list[tuple[str, ValueType]] = []
        while True:
            type_ = self._type()
            outputs.append((self._name(), type_))
            if not self._maybe(","):
                break
        self._need("=")
        kind = self._name()
        self._need("(")
        arguments: dict[str, tuple[Argument, ...]] = {}
        while not self._maybe(")"):
            parameter = self._name()
            self._need("=")
            arguments[parameter] = self._arguments()
            if not self._is(")"):
                self._need(",")
        attributes: dict[str, Literal] = {}
        if self._maybe("["):
            while not self._maybe("]"):
                name = self._name()
                self._need("=")
                attributes[name] = self._value()
                if not self._is("]"):
                    self._need(",")
        blocks: list[Block] = []
        while not self._maybe(";"):
            blocks.append(self._block(self._parameters() if self._is("(") else ()))
            self._maybe(",")
        return Operation(
            kind=kind,
            arguments=arguments,
            outputs=tuple(outputs),
            attributes=attributes,
            blocks=tuple(blocks),
        )

    def _arguments(self) -> tuple[Argument, ...]:
        if not self._maybe("("):
            return (self._argument(),)
        found: list[Argument] = []
        while not self._maybe(")"):
            found.append(self._argument())
            if not self._is(")"):
                self._need(",")
        return tuple(found)

    def _argument(self) -> Argument:
        """A name, or a type and what is in it."""
        name = self._name()
        if self._is("<") or self._is("("):
            return self._value(name)
        return name

    # --- types and values -----------------------------------------------------------------------

    def _type(self, name: str | None = None) -> ValueType:
        name = name or self._name()
        if name == "state":
            self._need("<")
            held = self._type()
            self._need(">")
            return held
        if name != "tensor":
            if self._maybe("<"):
                self._skip(">")
                return ValueType(dtype=DataType.UNKNOWN, shape=None)
            return ValueType(dtype=element_type(name), shape=())
        self._need("<")
        dtype = element_type(self._name())
        self._need(",")
        self._need("[")
        sizes: list[Dimension] = []
        while not self._maybe("]"):
            token = self._take()
            whole = token.kind == "number" and token.text.isdecimal() and len(token.text) < 19
            if not whole and token.text != "?":
                raise FormatError(f"character {token.at} is {token.text[:40]!r}; expected a size")
            sizes.append(int(token.text) if whole else "?")
            if len(sizes) > _HIGHEST_RANK:
                raise FormatError(f"a tensor of more than {_HIGHEST_RANK} dimensions")
            if not self._is("]"):
                self._need(",")
        self._need(">")
        return ValueType(dtype=dtype, shape=tuple(sizes))

    def _value(self, name: str | None = None) -> Literal:
        type_ = self._type(name)
        self._need("(")
        if type_.dtype is DataType.UNKNOWN and type_.shape is None:
            self._skip(")")
            return Literal(type=type_)
        if self._is("BLOBFILE"):
            blob = self._blob()
            self._need(")")
            return Literal(type=type_, blob=blob)
        numbers, texts = array("d"), list[str]()
        wide: list[int] = []
        self._elements(numbers, texts, wide)
        self._need(")")
        if type_.dtype is DataType.STRING:
            return Literal(type=type_, texts=tuple(texts))
        return Literal(type=type_, data=_packed(type_, numbers, wide))

    def _blob(self) -> Blob:
        self._need("BLOBFILE")
        self._need("(")
        parts: dict[str, Literal] = {}
        while not self._maybe(")"):
            name = self._name()
            self._need("=")
            parts[name] = self._value()
            if not self._is(")"):
                self._need(",")
        offset = parts["offset"].integers() if "offset" in parts else None
        path = parts["path"].text() if "path" in parts else ""
        if not path or offset is None or len(offset) != 1:
            raise FormatError("a weight file without a path or an offset")
        return Blob(file_name=path, offset=offset[0])

    def _elements(self, numbers: "array[float]", texts: list[str], wide: list[int]) -> None:
        """A number, a truth value, a text, or a list of them; nested lists row by row."""
        if self._maybe("["):
            self._deeper()
            while not self._maybe("]"):
                self._elements(numbers, texts, wide)
                if not self._is("]"):
                    self._need(",")
            self._depth -= 1
            return
        token = self._take()
        if token.kind == "text":
            texts.append(_ESCAPE.sub(r"\1", token.text[1:-1]))
        elif token.kind == "number":
            number = _number(token)
            numbers.append(number)
            if abs(number) >= 1 << 53 and token.text.lstrip("+-").isdecimal():
                wide.append(int(token.text) if len(token.text) < 21 else 0)
        elif token.text in ("true", "false"):
            numbers.append(float(token.text == "true"))
        else:
            raise FormatError(f"character {token.at} is {token.text[:40]!r}; expected a value")


def _number(token: _Token) -> float:
    try:
        return float.fromhex(token.text) if "x" in token.text else float(token.text)
    except (ValueError, OverflowError):
        raise FormatError(f"character {token.at}: {token.text[:40]!r} is no number") from None


def _packed(type_: ValueType, numbers: "array[float]", wide: list[int]) -> memoryview | None:
    """Elements of their type; None where the type has no whole bytes.

    Raises:
        FormatError: a number that does not fit, or as many as the shape does not have.
    """
    bits = type_.dtype.bits
    if not bits or bits % 8 or type_.dtype is DataType.BFLOAT16 or "float8" in type_.dtype.value:
        return None
    dtype = np.dtype(type_.dtype.value).newbyteorder("<")
    values = np.frombuffer(numbers, np.float64) if numbers else np.empty(0)
    if wide and not type_.dtype.is_floating:
        # A float cannot hold these; only a lone offset or size is that large.
        if len(wide) != len(values) or len(values) != 1:
            raise FormatError("integers beyond 53 bits in a list")
        try:
            made = np.array(wide, dtype)
        except OverflowError:
            raise FormatError(f"{wide[0]} is no {type_.dtype}") from None
    else:
        with np.errstate(all="ignore"):
            made = values.astype(dtype)
            if not type_.dtype.is_floating and not np.array_equal(made.astype(np.float64), values):
                raise FormatError(f"a number that is no {type_.dtype}")
    checked(type_, made.nbytes, "a value")
    return memoryview(made.tobytes())
