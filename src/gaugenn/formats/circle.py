"""Circle models of Samsung ONE: TensorFlow Lite's structure, with operators of their own."""

from typing import ClassVar

from gaugenn.content import Content
from gaugenn.errors import FormatError
from gaugenn.formats import tflite
from gaugenn.formats._contract import FormatReader, Magic
from gaugenn.graph import Model

_ADDED = {
    -9: "ATTENTION",
    -8: "RUN_MODEL",
    -7: "ROPE",
    -6: "RMS_NORM",
    -5: "GRU",
    -4: "BCQ_GATHER",
    -3: "BCQ_FULLY_CONNECTED",
    -2: "INSTANCE_NORM",
}
"""The operators that Circle adds, by number. **Source:** BuiltinOperator of the specification below."""


class CircleReader(FormatReader):
    """Reads Circle files. The operators that Circle adds keep their names and are not counted."""

    title: ClassVar[str] = "Circle"
    spec: ClassVar[str] = (
        "https://github.com/Samsung/ONE/blob/master/nnpackage/schema/circle_schema.fbs"
    )
    suffixes: ClassVar[tuple[str, ...]] = (".circle",)
    magics: ClassVar[tuple[Magic, ...]] = ((4, b"CIR0"),)

    def sniff(self, name: str, head: bytes) -> bool:
        """The identifier at byte 4."""
        del name
        return head[4:8] == b"CIR0"

    def read(self, content: Content) -> Model:
        """Reads every sub-graph; weights stay in the mapped file.

        Raises:
            FormatError: not a whole, consistent file.
        """
        try:
            return tflite.read_dialect(content, "circle", _ADDED)
        except FormatError as error:
            if str(error).startswith(content.name):
                raise
            raise type(error)(f"{content.name}: {error}") from error
