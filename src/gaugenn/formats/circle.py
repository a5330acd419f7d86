"""Circle models of Samsung ONE: recognised, not read. Operators go beyond TensorFlow Lite's."""

from typing import ClassVar

from gaugenn.formats._contract import Magic
from gaugenn.formats._recognised import Recogniser


class CircleReader(Recogniser):
    """Recognises Circle files."""

    title: ClassVar[str] = "Circle"
    spec: ClassVar[str] = (
        "https://github.com/Samsung/ONE/blob/master/nnpackage/schema/circle_schema.fbs"
    )
    suffixes: ClassVar[tuple[str, ...]] = (".circle",)
    magics: ClassVar[tuple[Magic, ...]] = ((4, b"CIR0"),)
    reason: ClassVar[str] = (
        "a Circle model (Samsung ONE), whose operators are not known here. Look at the TensorFlow Lite "
        "or ONNX model that it was converted from"
    )
