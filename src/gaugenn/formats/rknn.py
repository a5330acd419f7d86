"""Rockchip RKNN models: recognised, not read. Their layers are compiled for the NPU of one chip."""

from typing import ClassVar

from gaugenn.formats._contract import Magic
from gaugenn.formats._recognised import Recogniser


class RknnReader(Recogniser):
    """Recognises Rockchip RKNN files."""

    title: ClassVar[str] = "Rockchip RKNN"
    spec: ClassVar[str] = "https://github.com/lutzroeder/netron/blob/main/source/rknn.js"
    suffixes: ClassVar[tuple[str, ...]] = (".rknn",)
    magics: ClassVar[tuple[Magic, ...]] = (
        (0, b"RKNN"),
        (4, b"RKNN"),
        (0, b"RKNX"),
        (0, b"CYPTRKNN"),
        (0, b"VPMN"),
    )
    reason: ClassVar[str] = (
        "an RKNN model, compiled for a Rockchip NPU; its layers are in a private form. Look at the "
        "model that it was converted from"
    )
