"""Darknet's configuration text: sections of options.

**Source:** https://github.com/AlexeyAB/darknet/wiki/CFG-Parameters-in-the-different-layers
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from gaugenn.errors import FormatError

_INTEGER = re.compile(r"[+-]?\d{1,9}")
_MOST_BYTES = 1 << 24
_MOST_SECTIONS = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A layer, or the first one about the net itself.

    Attributes:
        index: of the layer, from 0; -1 for the net.
        type: what it does.
        options: as they are spelled.
    """

    index: int
    type: str
    options: Mapping[str, str]

    @property
    def name(self) -> str:
        """A name for the layer: its type and its number, by which others refer to it."""
        return f"{self.type}_{self.index}"

    def error(self, text: str) -> FormatError:
        """An error about this section, to be raised."""
        return FormatError(f"Darknet section {self.index} [{self.type}] {text}")

    def integer(self, name: str, default: int) -> int:
        """A whole number.

        Raises:
            FormatError: something else is there.
        """
        text = self.options.get(name)
        if text is None:
            return default
        if not _INTEGER.fullmatch(text):
            raise self.error(f"has {name} {text[:20]!r}, expected a whole number")
        return int(text)

    def size(self, name: str, default: int) -> int:
        """A whole number of one or more."""
        value = self.integer(name, default)
        if value < 1:
            raise self.error(f"has {name} {value}, expected one or more")
        return value

    def references(self, name: str) -> tuple[int, ...]:
        """Numbers of earlier layers, given as such or counted backwards from this one.

        Raises:
            FormatError: no earlier layer.
        """
        found = []
        for part in self.options.get(name, "").split(","):
            text = part.strip()
            if not text:
                continue
            if not _INTEGER.fullmatch(text):
                raise self.error(f"has {name} {text[:20]!r}, expected layers' numbers")
            number = int(text)
            place = self.index + number if number < 0 else number
            if not 0 <= place < self.index:
                raise self.error(f"takes layer {number}, which does not come before it")
            found.append(place)
        return tuple(found)


def read_sections(data: memoryview) -> tuple[Section, tuple[Section, ...]]:
    """The net's own section, and those of its layers.

    Raises:
        FormatError: another text, or one that is too long.
    """
    if data.nbytes > _MOST_BYTES:
        raise FormatError(f"a Darknet text of {data.nbytes} bytes; {_MOST_BYTES} are the most")
    sections: list[tuple[str, dict[str, str]]] = []
    for line in str(data, "utf-8", "replace").splitlines():
        text = line.strip()
        if not text or text[0] in "#;":
            continue
        if text[0] == "[":
            kind, bracket, _ = text[1:].partition("]")
            if not bracket or not kind.strip() or len(sections) > _MOST_SECTIONS:
                raise FormatError(f"a Darknet section {text[:40]!r}, or too many of them")
            sections.append((kind.strip(), {}))
            continue
        name, equals, value = text.partition("=")
        if not equals or not sections:
            raise FormatError(f"a Darknet line {text[:40]!r}; expected option=value in a section")
        sections[-1][1][name.strip()] = value.partition("#")[0].strip()
    if not sections or sections[0][0] not in ("net", "network"):
        raise FormatError("a Darknet text must begin with the section [net] or [network]")
    made = [
        Section(index=number - 1, type=kind, options=options)
        for number, (kind, options) in enumerate(sections)
    ]
    if len(made) < 2:
        raise FormatError("a Darknet net without layers")
    return made[0], tuple(made[1:])
