"""TNN samples, written by hand in the form that TNN's converters give them."""

import struct
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from tests.formats.samples import Sample

TEXT = """"1 9 1 4206624770 ,"
"data 1 3 16 16 ,"
" c1 c2 cat data fc p1 prob r1 shaped ,"
"prob ,"
" 8 ,"
"Convolution conv1 1 1 data c1 1 3 8 3 3 2 2 1 1 1 -1 1 1 ,"
"ReLU relu1 1 1 c1 r1 ,"
"Convolution dw 1 1 r1 c2 8 1 8 3 3 1 1 1 1 1 -1 1 1 2 ,"
"Concat cat 2 1 r1 c2 cat 1 ,"
"Pooling pool 1 1 cat p1 1 2 2 2 2 0 0 -1 -1 -1 1 ,"
"Reshape shape 1 1 p1 shaped 0 4 4 0 -1 1 1 0 ,"
"InnerProduct fc 1 1 shaped fc 10 1 0 1 ,"
"SoftmaxCaffe prob 1 1 fc prob 1 ,"
"""

MORE = """"1 5 1 4206624770 ,"
"data 1 3 8 8 ,"
" b c data p s ,"
"s ,"
" 4 ,"
"BatchNormCxx bn 1 1 data b ,"
"PReLU act 1 1 b p 0 1 ,"
"QuantizedConvolution conv 1 1 p c 1 3 4 1 1 1 1 0 0 1 -1 1 1 ,"
"Sub sub 1 1 c s 0 ,"
"""

Array = npt.NDArray[np.generic]
_TYPES = {"float32": 0, "float16": 1, "int8": 2, "int32": 3}
PLAIN, SHAPED = 0xFABC0002, 0xFABC0004


def text(value: str) -> bytes:
    """A text behind its length."""
    return struct.pack("<i", len(value)) + value.encode()


def buffer(array: Array | None, magic: int = PLAIN) -> bytes:
    """Numbers of a layer; None for an empty buffer."""
    if array is None:
        return struct.pack("<Iii", magic, 0, 0)
    head = struct.pack("<Iii", magic, _TYPES[array.dtype.name], array.nbytes)
    if magic == SHAPED:
        head += struct.pack(f"<{array.ndim + 1}i", array.ndim, *array.shape)
    return head + array.tobytes()


def layer(
    kind: str,
    name: str,
    arrays: Sequence[Array | None],
    *,
    named: bool = False,
    flag: int | None = None,
    magic: int = PLAIN,
) -> bytes:
    """A layer's weights: its name once more, whether it has a bias, and its buffers."""
    parts = [struct.pack("<i", 0), text(kind), text(name)]
    parts += [text(name)] if named else []
    parts += [] if flag is None else [struct.pack("<i", flag)]
    return b"".join((*parts, *(buffer(array, magic) for array in arrays)))


def arrays() -> Mapping[str, Array]:
    """The weights of `TEXT`."""
    random = np.random.default_rng(5)
    shapes = {
        "conv1.weight": (8, 3, 3, 3),
        "conv1.bias": (8,),
        "dw.weight": (8, 1, 3, 3),
        "dw.bias": (8,),
        "fc.weight": (10, 256),
        "fc.bias": (10,),
    }
    return {name: random.normal(size=s).astype(np.float32) for name, s in shapes.items()}


def weights(magic: int = PLAIN) -> bytes:
    """The other file of `TEXT`."""
    held = arrays()
    layers = [
        layer(
            kind,
            name,
            [held[f"{name}.weight"], held[f"{name}.bias"]],
            named=True,
            flag=flag,
            magic=magic,
        )
        for kind, name, flag in (
            ("Convolution", "conv1", 1),
            ("Convolution", "dw", 1),
            ("InnerProduct", "fc", None),
        )
    ]
    return struct.pack("<Ii", magic, len(layers)) + b"".join(layers)


def more_weights() -> bytes:
    """The other file of `MORE`, with scales and zero points, and what stands between layers."""
    eight_bits = np.arange(-6, 6, dtype=np.int8).reshape(4, 3, 1, 1)
    scales = np.arange(1, 5, dtype=np.float32)
    layers = [
        layer("BatchNormCxx", "bn", [np.ones(3, np.float32), None]),
        layer("PReLU", "act", [np.full(3, 0.25, np.float32)], named=True),
        layer("BlobScale", "p_scale_data_", [scales[:1], scales[:1], np.zeros(1, np.int8)]),
        layer(
            "QuantizedConvolution",
            "conv",
            [eight_bits, np.arange(4, dtype=np.int32), np.zeros(4, np.int8), scales],
            named=True,
            flag=1,
        ),
        layer("Sub", "sub", [np.arange(4, dtype=np.float32)]),
    ]
    return struct.pack("<Ii", PLAIN, len(layers)) + b"".join(layers)


def samples() -> tuple[Sample, ...]:
    """Graphs of the first version, alone and with weights."""
    return (
        Sample(name="text", format="tnn", source=TEXT.encode, file_name="net.tnnproto"),
        Sample(
            name="weights",
            format="tnn",
            source=TEXT.encode,
            file_name="net.tnnproto",
            neighbours={"net.tnnmodel": weights()},
        ),
        Sample(
            name="more",
            format="tnn",
            source=MORE.encode,
            file_name="net.tnnproto",
            neighbours={"net.tnnmodel": more_weights()},
        ),
    )
