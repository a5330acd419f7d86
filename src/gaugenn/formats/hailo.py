"""Hailo executables: recognised, not read. They are compiled for one chip."""

from typing import ClassVar

from gaugenn.formats._contract import Magic
from gaugenn.formats._recognised import Recogniser


class HailoReader(Recogniser):
    """Recognises Hailo HEF files."""

    title: ClassVar[str] = "Hailo HEF"
    spec: ClassVar[str] = (
        "https://github.com/hailo-ai/hailort/blob/master/hailort/libhailort/hef.proto"
    )
    suffixes: ClassVar[tuple[str, ...]] = (".hef",)
    magics: ClassVar[tuple[Magic, ...]] = ((0, b"\x01HEF"),)
    reason: ClassVar[str] = (
        "a Hailo executable, compiled for a Hailo chip; its layers are in a private form. Look at "
        "the model that it was converted from"
    )
