"""TensorRT engines: recognised, not read. They are compiled for one GPU."""

from typing import ClassVar

from gaugenn.formats._contract import Magic
from gaugenn.formats._recognised import Recogniser


class TensorRtReader(Recogniser):
    """Recognises TensorRT engines."""

    title: ClassVar[str] = "TensorRT"
    spec: ClassVar[str] = "https://github.com/lutzroeder/netron/blob/main/source/tensorrt.js"
    suffixes: ClassVar[tuple[str, ...]] = (
        ".engine",
        ".trt",
    )
    magics: ClassVar[tuple[Magic, ...]] = (
        (0, b"ptrt"),
        (0, b"ftrt"),
    )
    reason: ClassVar[str] = (
        "a TensorRT engine, compiled for an NVIDIA GPU; its layers are in a private form. Look at "
        "the model that it was built from"
    )
