"""PNNX: PyTorch operators in the outer form of an ncnn text."""

from collections.abc import Sequence

from gaugenn.content import Content
from gaugenn.errors import FormatError
from gaugenn.formats._ncnn_params import Line
from gaugenn.graph import Model


def is_pnnx(lines: Sequence[Line]) -> bool:
    """Whether a graph's operators are PNNX's."""
    return any(line.type.startswith("pnnx.") for line in lines)


def read(lines: Sequence[Line], weights: Content | None) -> Model:
    raise FormatError("PNNX")
