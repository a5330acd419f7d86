"""XML documents from untrusted bytes: no document types, hence no entities; bounded in size and depth.

**Source:** https://www.w3.org/TR/xml/
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

from gaugenn.errors import FormatError

ELEMENT_LIMIT = 1 << 21
"""Elements of one document. A network of 10,000 layers has about 300,000."""

DEPTH_LIMIT = 64

_CHUNK = 1 << 20


@dataclass(slots=True)
class Element:
    """An element: its text is what stands directly in it, without the elements in it."""

    name: str
    attributes: Mapping[str, str]
    children: list["Element"] = field(default_factory=list)
    text: str = ""

    def all(self, name: str) -> Iterator["Element"]:
        """Elements of that name directly in this one."""
        return (child for child in self.children if child.name == name)

    def first(self, name: str) -> "Element | None":
        """The first of them, or None."""
        return next(self.all(name), None)


class _Builder:
    """Collects elements as they come."""

    def __init__(self, where: str) -> None:
        self.root: Element | None = None
        self._where = where
        self._open: list[Element] = []
        self._left = ELEMENT_LIMIT

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._left -= 1
        if self._left < 0 or len(self._open) >= DEPTH_LIMIT:
            raise FormatError(
                f"{self._where}: more than {ELEMENT_LIMIT} elements, or deeper than {DEPTH_LIMIT}"
            )
        element = Element(name, attributes)
        if self._open:
            self._open[-1].children.append(element)
        elif self.root is None:
            self.root = element
        self._open.append(element)

    def end(self, _name: str) -> None:
        self._open.pop()

    def text(self, text: str) -> None:
        if self._open and not text.isspace():
            self._open[-1].text += text

    def refuse(self, *_what: object) -> None:
        raise FormatError(
            f"{self._where}: an XML document with a document type, which no model has"
        )


def read_xml(data: memoryview, where: str) -> Element:
    """The document's outermost element.

    Args:
        data: the file, in UTF-8.
        where: its name, for messages.

    Raises:
        FormatError: no well-formed document, or one beyond the limits.
    """
    builder = _Builder(where)
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.text
    parser.StartDoctypeDeclHandler = builder.refuse
    try:
        for start in range(0, data.nbytes, _CHUNK):
            parser.Parse(bytes(data[start : start + _CHUNK]), False)
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise FormatError(f"{where}: no well-formed XML: {error}") from None
    if builder.root is None:
        raise FormatError(f"{where}: XML without an element")
    return builder.root
