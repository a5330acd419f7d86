"""Kaldi's configuration lines: nodes, and what they take of each other.

**Source:** https://kaldi-asr.org/doc/dnn3_code_data_types.html
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from gaugenn.errors import FormatError

_KEY = re.compile(r"(?:^|\s)([a-z][a-z-]*)=")
_TOKEN = re.compile(r"\s*([A-Za-z_][\w./-]*|[+-]?\d+(?:\.\d+)?|[(),])")
_DEEPEST = 32
_LONGEST = 1 << 16


@dataclass(frozen=True, slots=True)
class Line:
    """A line: what it declares, and its settings."""

    kind: str
    settings: Mapping[str, str]

    def setting(self, name: str) -> str:
        """A setting that must be there.

        Raises:
            FormatError: it is not.
        """
        found = self.settings.get(name, "")
        if not found:
            raise FormatError(f"a Kaldi line {self.kind!r} without {name!r}")
        return found


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What a node takes: a name or a number alone, or a function of other descriptors."""

    name: str
    arguments: tuple["Descriptor", ...] = ()


def read_line(text: str) -> Line:
    """A line such as `component-node name=a component=b input=Append(x, y)`."""
    kind, _, rest = text.strip().partition(" ")
    found = list(_KEY.finditer(rest))
    settings = {}
    for place, each in enumerate(found):
        end = found[place + 1].start() if place + 1 < len(found) else len(rest)
        settings[each[1]] = rest[each.end() : end].strip()
    return Line(kind, settings)


def read_descriptor(text: str) -> Descriptor:
    """A descriptor such as `Sum(Scale(0.66, a), Offset(b, -1))`.

    Raises:
        FormatError: brackets that do not match, or too many of them.
    """
    if len(text) > _LONGEST:
        raise FormatError(f"a Kaldi descriptor of {len(text)} characters")
    tokens = _TOKEN.findall(text)
    found, rest = _parsed(tokens, 0, 0)
    if rest != len(tokens) or "".join(tokens) != "".join(text.split()):
        raise FormatError(f"a Kaldi descriptor {text[:60]!r} with something behind it")
    return found


def _parsed(tokens: list[str], at: int, depth: int) -> tuple[Descriptor, int]:
    if at >= len(tokens) or tokens[at] in "(),":
        raise FormatError("a Kaldi descriptor that ends too early")
    if depth > _DEEPEST:
        raise FormatError(f"a Kaldi descriptor with more than {_DEEPEST} brackets in each other")
    name = tokens[at]
    at += 1
    if at >= len(tokens) or tokens[at] != "(":
        return Descriptor(name), at
    arguments = []
    while True:
        argument, at = _parsed(tokens, at + 1, depth + 1)
        arguments.append(argument)
        if at >= len(tokens) or tokens[at] not in (",", ")"):
            raise FormatError("a Kaldi descriptor with an open bracket")
        if tokens[at] == ")":
            return Descriptor(name, tuple(arguments)), at + 1
