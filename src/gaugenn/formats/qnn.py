"""Qualcomm QNN context binaries: recognised, not read. They are machine code for the Hexagon NPU."""

from typing import ClassVar

from gaugenn.formats._contract import Magic
from gaugenn.formats._recognised import Recogniser

_HEADS = (
    "00000002 00000001 00000000 04000000",
    "00000002 00000001 00000000 0c000000",
    "00000002 00000002 00000000 00000000",
    "00000002 00000003 00000000 00000001",
)
"""The first 16 bytes of the versions seen. **Source:** the specification below, and real files."""


class QnnReader(Recogniser):
    """Recognises Qualcomm QNN context files."""

    title: ClassVar[str] = "Qualcomm QNN context"
    spec: ClassVar[str] = "https://github.com/lutzroeder/netron/blob/main/source/qnn.js"
    suffixes: ClassVar[tuple[str, ...]] = (".bin",)
    magics: ClassVar[tuple[Magic, ...]] = tuple((0, bytes.fromhex(text)) for text in _HEADS)
    reason: ClassVar[str] = (
        "a QNN context binary, machine code for a Qualcomm NPU; it has no layers any more. Look at the "
        "model that it was compiled from"
    )
