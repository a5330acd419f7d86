"""Pickles as inert data: the opcodes are walked, nothing they name is ever imported or called.

A pickle is a program for a stack machine that may call any function. Here a global is its two names, a
call is a record of what would have been called with what, and a class instance is a record of its
state. Readers take from that what they know, by name.

**Source:** https://docs.python.org/3/library/pickletools.html and the descriptions of each opcode in
CPython's `Lib/pickletools.py`.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from gaugenn.errors import FormatError, UnsupportedFormatError

_STEP_LIMIT = 800_000
"""Opcodes; a checkpoint takes some 40 for each tensor."""
_LONGEST_LINE = 4096
_LONGEST_INTEGER_BYTES = 512
_NEWEST_PROTOCOL = 5


@dataclass(frozen=True, slots=True)
class Global:
    """A class or function by name."""

    module: str
    name: str

    @property
    def full(self) -> str:
        """`module.name`."""
        return f"{self.module}.{self.name}"


@dataclass(slots=True, eq=False)
class Pairs:
    """A dictionary, as the pairs put into it in order; keys are not hashed."""

    items: list[tuple["Value", "Value"]] = field(default_factory=list, repr=False)

    def get(self, key: str) -> "Value":
        """The last value under a text key, or None."""
        for name, value in reversed(self.items):
            if isinstance(name, str) and name == key:
                return value
        return None


@dataclass(slots=True, eq=False)
class Call:
    """The result of a call or of making an instance, as a record.

    Attributes:
        function: what would have been called; a `Global` in honest files.
        arguments: the arguments.
        state: what would have been set on the result, or None.
        pairs: dictionary entries that would have been set on the result.
        elements: elements that would have been appended.
    """

    function: "Value"
    arguments: "Value" = field(repr=False)
    state: "Value" = field(default=None, repr=False)
    pairs: Pairs = field(default_factory=Pairs, repr=False)
    elements: list["Value"] = field(default_factory=list, repr=False)

    @property
    def called(self) -> str:
        """Full name of the function or class, "" where it is not a global."""
        return self.function.full if isinstance(self.function, Global) else ""


@dataclass(slots=True, eq=False)
class Persistent:
    """A reference to something outside of the pickle."""

    key: "Value" = field(repr=False)


Value: TypeAlias = (
    bool
    | int
    | float
    | str
    | bytes
    | memoryview
    | tuple["Value", ...]
    | list["Value"]
    | Pairs
    | Global
    | Call
    | Persistent
    | None
)


def children(value: Value) -> Iterator[Value]:
    """The values that a value is made of."""
    if isinstance(value, list | tuple):
        yield from value
    elif isinstance(value, Pairs):
        for pair in value.items:
            yield from pair
    elif isinstance(value, Call):
        yield from (value.function, value.arguments, value.state, value.pairs, value.elements)
    elif isinstance(value, Persistent):
        yield value.key


class _Mark:
    """Where an opcode of several operands starts."""


_MARK = _Mark()
_Slot: TypeAlias = Value | _Mark


@dataclass(frozen=True, slots=True, kw_only=True)
class Pickled:
    """A pickle's value and where it ended."""

    value: Value
    end: int


def looks_like_pickle(head: bytes) -> bool:
    """Whether bytes begin with the protocol opcode of a pickle, version 2 or newer."""
    return len(head) > 2 and head[0] == 0x80 and 2 <= head[1] <= _NEWEST_PROTOCOL


Built = Callable[[Call, memoryview, int], int]
"""Sees an instance that has just got its state, the data and the place behind; returns where to go on.
For streams that are more than a pickle."""


def walk(data: memoryview, where: str, start: int = 0, built: Built | None = None) -> Pickled:
    """Walks one pickle.

    Args:
        data: bytes that hold the pickle; more may follow it.
        where: for messages.
        start: where it begins.
        built: is told of each instance that has got its state.

    Raises:
        FormatError: cut off, an unknown opcode, or operands that are not there.
    """
    walker = _Walker(data, where, start, built)
    try:
        return walker.run()
    except (struct.error, IndexError, ValueError, UnicodeDecodeError) as error:
        raise FormatError(
            f"{where}: the pickle breaks at byte {walker.at} of {data.nbytes}: {error}"
        ) from None


class _Walker:
    """The stack machine, with records in place of effects."""

    def __init__(self, data: memoryview, where: str, start: int, built: Built | None) -> None:
        self.at = start
        self._built = built
        self._data = data
        self._where = where
        self._stack: list[_Slot] = []
        self._memo: dict[int, Value] = {}

    def run(self) -> Pickled:
        for _ in range(_STEP_LIMIT):
            code = self._take(1)[0]
            if code == 0x2E:  # STOP
                return Pickled(value=self._pop(), end=self.at)
            step = _STEPS.get(code)
            if step is None:
                raise self._error(f"opcode {code:#04x} is none that a pickle of data has")
            step(self)
        raise self._error(f"more than {_STEP_LIMIT} opcodes")

    def _error(self, what: str) -> FormatError:
        return FormatError(f"{self._where}: pickle, byte {self.at}: {what}")

    def _take(self, count: int) -> memoryview:
        if not 0 <= count <= self._data.nbytes - self.at:
            raise self._error(f"{count} bytes are expected, the file is cut off")
        self.at += count
        return self._data[self.at - count : self.at]

    def _line(self) -> str:
        window = bytes(self._data[self.at : self.at + _LONGEST_LINE])
        end = window.find(b"\n")
        if end < 0:
            raise self._error("a line does not end")
        self.at += end + 1
        return window[:end].decode("utf-8", "backslashreplace")

    def _number(self, code: str) -> int:
        found: int = struct.unpack("<" + code, self._take(struct.calcsize("<" + code)))[0]
        return found

    def _pop(self) -> Value:
        if not self._stack:
            raise self._error("an operand is missing")
        top = self._stack.pop()
        if isinstance(top, _Mark):
            raise self._error("a mark stands where a value is expected")
        return top

    def _popped_to_mark(self) -> list[Value]:
        found: list[Value] = []
        while True:
            if not self._stack:
                raise self._error("a mark is missing")
            top = self._stack.pop()
            if isinstance(top, _Mark):
                found.reverse()
                return found
            found.append(top)

    def _top(self) -> Value:
        value = self._pop()
        self._stack.append(value)
        return value

    def push(self, value: Value) -> None:
        """Puts a value on the stack."""
        self._stack.append(value)

    def mark(self) -> None:
        """Marks the place."""
        self._stack.append(_MARK)

    def pop(self) -> None:
        """Drops a value or mark."""
        if not self._stack:
            raise self._error("nothing to drop")
        self._stack.pop()

    def pop_mark(self) -> None:
        """Drops all to the mark."""
        self._popped_to_mark()

    def duplicate(self) -> None:
        """Repeats the top."""
        self.push(self._top())

    def skip(self, count: int) -> None:
        """Passes over bytes that mean nothing here."""
        self._take(count)

    def protocol(self) -> None:
        """Notes nothing but refuses newer versions."""
        number = self._take(1)[0]
        if number > _NEWEST_PROTOCOL:
            raise UnsupportedFormatError(
                f"{self._where}: a pickle of protocol {number}; up to {_NEWEST_PROTOCOL} is known"
            )

    def number(self, code: str) -> None:
        """An integer of a struct code."""
        self.push(self._number(code))

    def real(self) -> None:
        """A big-endian double."""
        self.push(float(struct.unpack(">d", self._take(8))[0]))

    def real_line(self) -> None:
        """A float in text."""
        self.push(float(self._line()))

    def integer_line(self) -> None:
        """An integer, or a truth value, in text."""
        text = self._line()
        self.push({"00": False, "01": True}[text] if text in ("00", "01") else self._integer(text))

    def long_line(self) -> None:
        """An integer in text with an L behind it."""
        self.push(self._integer(self._line().removesuffix("L")))

    def _integer(self, text: str) -> int:
        if len(text) > _LONGEST_INTEGER_BYTES:
            raise self._error("an integer is too long")
        return int(text)

    def long_bytes(self, code: str) -> None:
        """A two's complement integer with its length before it."""
        size = self._number(code)
        if size > _LONGEST_INTEGER_BYTES:
            raise self._error(f"an integer of {size} bytes is too long")
        self.push(int.from_bytes(self._take(size), "little", signed=True))

    def text(self, code: str) -> None:
        """UTF-8 text with its length before it."""
        self.push(bytes(self._take(self._number(code))).decode("utf-8", "surrogatepass"))

    def text_line(self) -> None:
        """Text on a line of its own."""
        self.push(self._line().strip("'\""))

    def raw(self, code: str) -> None:
        """Bytes with their length before them."""
        self.push(bytes(self._take(self._number(code))))

    def old_text(self, code: str) -> None:
        """A string of Python 2: text where it is ASCII, else bytes."""
        held = bytes(self._take(self._number(code)))
        self.push(held.decode("ascii") if held.isascii() else held)

    def gathered(self, make: Callable[[list[Value]], Value]) -> None:
        """A value made of all operands to the mark."""
        self.push(make(self._popped_to_mark()))

    def tuple_of(self, count: int) -> None:
        """A tuple of the last operands."""
        found = [self._pop() for _ in range(count)]
        self.push(tuple(reversed(found)))

    def append(self) -> None:
        """Appends one value."""
        value = self._pop()
        self._extend([value])

    def appends(self) -> None:
        """Appends all to the mark; adds to a set likewise."""
        self._extend(self._popped_to_mark())

    def _extend(self, values: list[Value]) -> None:
        target = self._top()
        if isinstance(target, list):
            target.extend(values)
        elif isinstance(target, Call):
            target.elements.extend(values)
        else:
            raise self._error("values are appended to what is no list")

    def set_item(self) -> None:
        """Sets one entry."""
        value, key = self._pop(), self._pop()
        self._set([key, value])

    def set_items(self) -> None:
        """Sets the entries to the mark."""
        self._set(self._popped_to_mark())

    def _set(self, flat: list[Value]) -> None:
        target = self._top()
        into = target.pairs if isinstance(target, Call) else target
        if not isinstance(into, Pairs) or len(flat) % 2:
            raise self._error("entries are set on what is no dictionary")
        into.items.extend(_paired(flat))

    def named(self) -> None:
        """A global, by two lines."""
        module = self._line()
        self.push(Global(module, self._line()))

    def stacked_name(self) -> None:
        """A global, by two operands."""
        name, module = self._pop(), self._pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise self._error("a global is named by what is no text")
        self.push(Global(module, name))

    def reduce(self) -> None:
        """Records a call."""
        arguments, function = self._pop(), self._pop()
        self.push(Call(function, arguments))

    def new(self, *, keywords: bool) -> None:
        """Records an instance; keywords stand behind the arguments."""
        named = self._pop() if keywords else None
        arguments, function = self._pop(), self._pop()
        self.push(Call(function, (arguments, named) if keywords else arguments))

    def old_instance(self) -> None:
        """Records an instance whose class stands in two lines."""
        module = self._line()
        function = Global(module, self._line())
        self.push(Call(function, tuple(self._popped_to_mark())))

    def old_object(self) -> None:
        """Records an instance whose class stands behind the mark."""
        found = self._popped_to_mark()
        if not found:
            raise self._error("an instance of nothing")
        self.push(Call(found[0], tuple(found[1:])))

    def build(self) -> None:
        """Records the state of an instance."""
        state = self._pop()
        target = self._top()
        if isinstance(target, Call):
            target.state = state
            if self._built is not None:
                self.at = self._built(target, self._data, self.at)
        elif not isinstance(target, Pairs | Persistent):
            raise self._error("a state is set on what is no instance")

    def persistent(self) -> None:
        """A reference to the outside."""
        self.push(Persistent(self._pop()))

    def persistent_line(self) -> None:
        """A reference to the outside, in text."""
        self.push(Persistent(self._line()))

    def extension(self, code: str) -> None:
        """A class by a number that only the writer's process knows."""
        self.push(Global("copyreg", f"extension {self._number(code)}"))

    def remember(self, code: str) -> None:
        """Keeps the top under a number."""
        self._memo[self._number(code)] = self._top()

    def remember_line(self) -> None:
        """Keeps the top under a number in text."""
        self._memo[self._integer(self._line())] = self._top()

    def memoize(self) -> None:
        """Keeps the top under the next number."""
        self._memo[len(self._memo)] = self._top()

    def recall(self, code: str) -> None:
        """Pushes what was kept."""
        self._recall(self._number(code))

    def recall_line(self) -> None:
        """Pushes what was kept under a number in text."""
        self._recall(self._integer(self._line()))

    def _recall(self, number: int) -> None:
        if number not in self._memo:
            raise self._error(f"nothing was kept under the number {number}")
        self.push(self._memo[number])


def _paired(flat: list[Value]) -> Iterator[tuple[Value, Value]]:
    return zip(flat[::2], flat[1::2], strict=False)


def _as_pairs(flat: list[Value]) -> Value:
    return Pairs(list(_paired(flat)))


_Step: TypeAlias = Callable[[_Walker], None]

_STEPS: dict[int, _Step] = {
    ord("("): _Walker.mark,
    ord("0"): _Walker.pop,
    ord("1"): _Walker.pop_mark,
    ord("2"): _Walker.duplicate,
    ord("F"): _Walker.real_line,
    ord("I"): _Walker.integer_line,
    ord("J"): lambda w: w.number("i"),
    ord("K"): lambda w: w.number("B"),
    ord("L"): _Walker.long_line,
    ord("M"): lambda w: w.number("H"),
    ord("N"): lambda w: w.push(None),
    ord("P"): _Walker.persistent_line,
    ord("Q"): _Walker.persistent,
    ord("R"): _Walker.reduce,
    ord("S"): _Walker.text_line,
    ord("T"): lambda w: w.old_text("I"),
    ord("U"): lambda w: w.old_text("B"),
    ord("V"): _Walker.text_line,
    ord("X"): lambda w: w.text("I"),
    ord("a"): _Walker.append,
    ord("b"): _Walker.build,
    ord("c"): _Walker.named,
    ord("d"): lambda w: w.gathered(_as_pairs),
    ord("}"): lambda w: w.push(Pairs()),
    ord("e"): _Walker.appends,
    ord("g"): _Walker.recall_line,
    ord("h"): lambda w: w.recall("B"),
    ord("i"): _Walker.old_instance,
    ord("j"): lambda w: w.recall("I"),
    ord("l"): lambda w: w.gathered(list),
    ord("]"): lambda w: w.push([]),
    ord("o"): _Walker.old_object,
    ord("p"): _Walker.remember_line,
    ord("q"): lambda w: w.remember("B"),
    ord("r"): lambda w: w.remember("I"),
    ord("s"): _Walker.set_item,
    ord("t"): lambda w: w.gathered(tuple),
    ord(")"): lambda w: w.push(()),
    ord("u"): _Walker.set_items,
    ord("G"): _Walker.real,
    ord("B"): lambda w: w.raw("I"),
    ord("C"): lambda w: w.raw("B"),
    0x80: _Walker.protocol,
    0x81: lambda w: w.new(keywords=False),
    0x82: lambda w: w.extension("B"),
    0x83: lambda w: w.extension("H"),
    0x84: lambda w: w.extension("i"),
    0x85: lambda w: w.tuple_of(1),
    0x86: lambda w: w.tuple_of(2),
    0x87: lambda w: w.tuple_of(3),
    0x88: lambda w: w.push(True),
    0x89: lambda w: w.push(False),
    0x8A: lambda w: w.long_bytes("B"),
    0x8B: lambda w: w.long_bytes("I"),
    0x8C: lambda w: w.text("B"),
    0x8D: lambda w: w.text("Q"),
    0x8E: lambda w: w.raw("Q"),
    0x8F: lambda w: w.push([]),
    0x90: _Walker.appends,
    0x91: lambda w: w.gathered(list),
    0x92: lambda w: w.new(keywords=True),
    0x93: _Walker.stacked_name,
    0x94: _Walker.memoize,
    0x95: lambda w: w.skip(8),
    0x96: lambda w: w.raw("Q"),
}
"""What each opcode does. Buffers outside of the pickle (0x97, 0x98) are not for files."""
