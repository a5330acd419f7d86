"""Huawei offline models: recognised, not read. They hold tasks for a DaVinci NPU."""

from typing import ClassVar

from gaugenn.formats._contract import Magic
from gaugenn.formats._recognised import Recogniser


class OmReader(Recogniser):
    """Recognises Huawei DaVinci OM files."""

    title: ClassVar[str] = "Huawei DaVinci OM"
    spec: ClassVar[str] = "https://github.com/lutzroeder/netron/blob/main/source/om.js"
    suffixes: ClassVar[tuple[str, ...]] = (".om",)
    magics: ClassVar[tuple[Magic, ...]] = (
        (0, b"IMOD"),
        (0, b"PICO"),
    )
    reason: ClassVar[str] = (
        "an offline model, compiled for a Huawei DaVinci NPU; its tasks are in a private form. Look at "
        "the model that it was converted from"
    )
