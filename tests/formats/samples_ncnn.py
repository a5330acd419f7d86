"""ncnn samples, in all its forms."""

import io
import struct
import zipfile
from collections.abc import Sequence

import numpy as np

from tests.formats.samples import Sample

TEXT = """7767517
9 11
Input            data   0 1 data 0=16 1=16 2=3
Convolution      conv1  1 1 data c1 0=8 1=3 3=2 4=1 5=1 6=216 9=1
Split            split  1 2 c1 c1a c1b
ConvolutionDepthWise dw 1 1 c1a c2 0=8 1=3 4=1 5=1 6=72 7=8 9=3 -23310=2,0.000000e+00,6.000000e+00
BinaryOp         add    2 1 c1b c2 sum 0=0
Pooling          pool   1 1 sum pooled 0=1 4=1
InnerProduct     fc     1 1 pooled logits 0=10 1=1 2=80
Reshape          shape  1 1 logits shaped 0=5 1=-1
Softmax          prob   1 1 shaped prob 0=0 1=1
"""

OLD_TEXT = """6 6
Input data 0 1 data 3 16 16
Convolution conv1 1 1 data c1 8 3 1 2 1 1 216
ReLU relu1 1 1 c1 r1 0.100000
Eltwise twice 2 1 r1 r1 e1 1 2 1.000000 -1.000000
Pooling pool 1 1 e1 p1 0 2 2 0 0
InnerProduct fc 1 1 p1 prob 10 1 1280
"""

PNNX = """7767517
5 4
pnnx.Input input 0 1 0 #0=(1,3,8,8)f32
nn.Conv2d conv 1 1 0 1 bias=True dilation=(1,1) groups=1 in_channels=3 kernel_size=(3,3) \
out_channels=4 padding=(1,1) stride=(2,2) @bias=(4)f32 @weight=(4,3,3,3)f32 #0=(1,3,8,8)f32 \
#1=(1,4,4,4)f32
F.relu act 1 1 1 2 $input=1 #1=(1,4,4,4)f32 #2=(1,4,4,4)f32
torch.flatten flat 1 1 2 3 end_dim=-1 start_dim=1 $input=2 #2=(1,4,4,4)f32 #3=(1,64)f32
pnnx.Output output 1 0 3 #3=(1,64)f32
"""


def flagged(values: Sequence[float] | np.ndarray, kind: str = "float32") -> bytes:
    """Weights as ncnn stores them: a flag, the elements, filled up to four bytes."""
    array = np.asarray(values)
    flags = {"float32": 0, "float16": 0x01306B47, "int8": 0x000D4B38, "scaled": 0x0002C056}
    stored = array.astype("<f4" if kind == "scaled" else kind).tobytes()
    return struct.pack("<I", flags[kind]) + stored + bytes(-len(stored) % 4)


def looked_up(table: np.ndarray, indices: np.ndarray) -> bytes:
    """Weights as indices into a table of 256 values."""
    stored = indices.astype(np.uint8).tobytes()
    return b"\x01\x00\x00\x00" + table.astype("<f4").tobytes() + stored + bytes(-len(stored) % 4)


def plain(values: Sequence[float] | np.ndarray) -> bytes:
    """Weights without a flag."""
    return np.asarray(values).astype("<f4").tobytes()


def text_weights() -> bytes:
    """Those of `TEXT`: one layer in each kind of storage."""
    generator = np.random.default_rng(0)
    normal = generator.normal
    return b"".join(
        (
            flagged(normal(size=216)),
            plain(normal(size=8)),
            flagged(normal(size=72), "float16"),
            plain(normal(size=8)),
            looked_up(normal(size=256), generator.integers(0, 256, 80)),
            plain(normal(size=10)),
        )
    )


def binary(weightless: bool = False) -> bytes:
    """A graph like the first layers of `TEXT`, word by word."""
    end = -233
    relu = 26
    words: list[int | float | bytes] = [7767517, 4, 4]
    words += [16, 0, 1, 0, 0, 16, 1, 16, 2, 3, end]
    words += [6, 1, 1, 0, 1, 0, 8, 1, 3, 3, 2, 4, 1, 5, 1, 6, 216, end]
    words += [relu, 1, 1, 1, 2, 0, 0.25, end]
    if weightless:
        words += [27, 1, 1, 2, 3, -23406, 6, b"5,-1\0\0\0\0", end]
    else:
        words += [23, 1, 1, 2, 3, 0, 8, end]
    return b"".join(
        w if isinstance(w, bytes) else struct.pack("<f" if isinstance(w, float) else "<i", w)
        for w in words
    )


def binary_weights() -> bytes:
    """Those of `binary`."""
    return flagged(np.linspace(-1, 1, 216)) + plain(np.arange(8)) + plain(np.ones(8))


def zipped(entries: dict[str, bytes]) -> bytes:
    """PNNX weights."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, data in entries.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return stream.getvalue()


def pnnx_weights() -> bytes:
    """Those of `PNNX`."""
    return zipped({"conv.weight": plain(np.arange(108)), "conv.bias": plain(np.arange(4))})


def samples() -> tuple[Sample, ...]:
    """Text and binary, today's and the old, with weights and without."""
    return (
        Sample(
            name="text",
            format="ncnn",
            source=TEXT.encode,
            file_name="net.param",
            neighbours={"net.bin": text_weights()},
        ),
        Sample(name="graph-only", format="ncnn", source=TEXT.encode, file_name="net.param"),
        Sample(name="old-text", format="ncnn", source=OLD_TEXT.encode, file_name="net.param"),
        Sample(
            name="binary",
            format="ncnn",
            source=binary,
            file_name="net.param.bin",
            neighbours={"net.bin": binary_weights()},
        ),
        Sample(
            name="binary-with-text",
            format="ncnn",
            source=lambda: binary(weightless=True),
            file_name="net.param.bin",
        ),
        Sample(
            name="pnnx",
            format="ncnn",
            source=PNNX.encode,
            file_name="net.pnnx.param",
            neighbours={"net.pnnx.bin": pnnx_weights()},
        ),
    )
