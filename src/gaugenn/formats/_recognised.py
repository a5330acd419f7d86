"""Formats that are recognised and not read: machine code, or operators that are not known here."""

from typing import ClassVar, NoReturn

from gaugenn.content import Content
from gaugenn.errors import UnsupportedFormatError
from gaugenn.formats._contract import FormatReader


class Recogniser(FormatReader):
    """Claims files that begin with one of its `magics`, and says why they stay closed."""

    reason: ClassVar[str]
    """What the file is and what would be needed, to follow the file's name."""

    def sniff(self, name: str, head: bytes) -> bool:
        """A signature at its offset."""
        del name
        return any(head.startswith(magic, offset) for offset, magic in self.magics)

    def read(self, content: Content) -> NoReturn:
        """Refuses every file.

        Raises:
            UnsupportedFormatError: always.
        """
        raise UnsupportedFormatError(f"{content.name}: {self.reason}")
