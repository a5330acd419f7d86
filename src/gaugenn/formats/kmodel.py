"""Kendryte models: recognised, not read. They are compiled for the K210 and its like."""

from typing import ClassVar

from gaugenn.formats._contract import Magic
from gaugenn.formats._recognised import Recogniser


class KmodelReader(Recogniser):
    """Recognises Kendryte kmodel files of version 5."""

    title: ClassVar[str] = "Kendryte kmodel"
    spec: ClassVar[str] = "https://github.com/kendryte/nncase"
    suffixes: ClassVar[tuple[str, ...]] = (".kmodel",)
    magics: ClassVar[tuple[Magic, ...]] = ((0, b"LDMK"),)
    reason: ClassVar[str] = (
        "a kmodel, compiled for a Kendryte chip; its layers are machine code. Look at the model "
        "that it was converted from"
    )
