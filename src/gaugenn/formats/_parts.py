"""Files that were cut into numbered parts: `model.tflite.part1`, `model.tflite.part2`, `net.onnx.001`.

Stores and repositories limit the size of a file, and apps join the parts when they start.
"""

import re
from dataclasses import dataclass

from gaugenn.content import Content, from_bytes

MOST_PARTS = 1000
MOST_BYTES = 1 << 30

_NAME = re.compile(r"(?P<stem>.+[^.])(?P<mark>[._-]part[._-]?|\.)(?P<digits>\d{1,4})")
_SHORTEST_BARE = 3
"""Digits of a part without the word: a lone `.1` is a version more often than a part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A file by its name.

    Attributes:
        stem: the name of the whole.
        mark: what stands between the name and the number.
        digits: the number as written.
    """

    stem: str
    mark: str
    digits: str

    @property
    def is_first(self) -> bool:
        """Whether counting may begin here."""
        return int(self.digits) in (0, 1)

    def named(self, number: int) -> str:
        """The name of another part, written alike."""
        return f"{self.stem}{self.mark}{number:0{len(self.digits)}d}"


def part_of(file_name: str) -> Part | None:
    """What the name says, or None for a name that is no part's."""
    found = _NAME.fullmatch(file_name)
    if found is None or (found["mark"] == "." and len(found["digits"]) < _SHORTEST_BARE):
        return None
    return Part(stem=found["stem"], mark=found["mark"], digits=found["digits"])


def first_of(content: Content) -> Content | None:
    """The first part of a file that is a later one, or None."""
    part = part_of(content.file_name)
    if part is None or int(part.digits) == 0:
        return None
    for number in (0, 1):
        if number < int(part.digits):
            found = content.beside(part.named(number))
            if found is not None:
                return found
    return None


def joined(content: Content) -> tuple[Content, int] | None:
    """The whole that begins with a file, and the number of its parts; None where no part follows."""
    part = part_of(content.file_name)
    if part is None or not part.is_first:
        return None
    pieces = [content.data]
    number = int(part.digits)
    while len(pieces) < MOST_PARTS:
        following = content.beside(part.named(number + len(pieces)))
        if following is None:
            break
        pieces.append(following.data)
    if len(pieces) == 1 or sum(piece.nbytes for piece in pieces) > MOST_BYTES:
        return None
    name = content.name[: -len(content.file_name)] + part.stem
    return from_bytes(name, b"".join(pieces), content.neighbours), len(pieces)
