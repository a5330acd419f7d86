"""Layers with the sizes that ncnn itself gives their outputs.

Each line: type | parameters | sizes of the inputs | sizes of the outputs, outermost dimension first, as
the Python package ncnn 1.0.20261020 computed them on random data and weights.
"""

from dataclasses import dataclass

_TABLE = """
AbsVal |  | 3x8x9 | 3x8x9
BatchNorm | 0=3 | 3x8x9 | 3x8x9
Bias | 0=3 | 3x8x9 | 3x8x9
Convolution | 0=8 1=3 2=1 3=2 4=1 5=1 6=216 9=2 -23310=1,0.1 | 3x12x10 | 8x6x5
Convolution | 0=8 1=3 11=5 2=2 3=2 13=1 4=1 14=2 15=0 16=3 5=0 6=360 | 3x12x10 | 8x9x4
Convolution | 0=8 1=3 3=2 4=-233 5=1 6=216 | 3x13x10 | 8x7x5
Convolution | 0=8 1=3 3=2 4=-234 5=1 6=216 | 3x13x10 | 8x7x5
ConvolutionDepthWise | 0=8 1=3 4=1 5=1 6=72 7=4 | 4x12x10 | 8x12x10
ConvolutionDepthWise | 0=8 1=3 4=1 5=1 6=144 7=2 | 4x12x10 | 8x12x10
Convolution1D | 0=5 1=3 4=1 5=1 6=45 | 3x20 | 5x20
ConvolutionDepthWise1D | 0=4 1=3 4=1 5=1 6=12 7=4 | 4x20 | 4x20
Convolution3D | 0=5 1=3 11=2 21=1 4=1 5=1 6=90 | 3x6x7x8 | 5x8x8x8
ConvolutionDepthWise3D | 0=4 1=3 4=1 5=1 6=108 7=4 | 4x6x7x8 | 4x6x7x8
Deconvolution | 0=8 1=4 3=2 4=1 5=1 6=384 | 3x6x5 | 8x12x10
Deconvolution | 0=8 1=3 3=2 4=1 18=1 5=1 6=216 | 3x6x5 | 8x12x10
Deconvolution | 0=8 1=4 3=2 4=-233 20=10 21=12 5=1 6=384 | 3x6x5 | 8x12x10
DeconvolutionDepthWise | 0=4 1=4 3=2 4=1 5=1 6=64 7=4 | 4x6x5 | 4x12x10
Deconvolution1D | 0=8 1=4 3=2 4=1 5=1 6=96 | 3x6 | 8x12
DeconvolutionDepthWise1D | 0=4 1=4 3=2 4=1 5=1 6=16 7=4 | 4x6 | 4x12
Deconvolution3D | 0=2 1=2 3=2 5=1 6=48 | 3x4x5x6 | 2x8x10x12
DeconvolutionDepthWise3D | 0=4 1=2 3=2 5=1 6=32 7=4 | 4x4x5x6 | 4x8x10x12
DeformableConv2D | 0=8 1=3 4=1 5=1 6=216 | 3x6x6, 18x6x6, 9x6x6 | 8x6x6
InnerProduct | 0=7 1=1 2=420 | 3x4x5 | 7
InnerProduct | 0=7 1=1 2=35 | 6x5 | 6x7
InnerProduct | 0=7 1=0 2=210 | 6x5 | 7
Scale | 0=3 1=1 | 3x4x5 | 3x4x5
Scale | 0=3 1=0 | 3x4x5 | 3x4x5
PReLU | 0=3 | 3x4x5 | 3x4x5
Normalize | 0=0 1=0 3=3 4=1 | 3x4x5 | 3x4x5
GroupNorm | 0=2 1=4 3=1 | 4x4x5 | 4x4x5
InstanceNorm | 0=4 | 4x4x5 | 4x4x5
LayerNorm | 0=5 | 6x5 | 6x5
LayerNorm | 0=30 | 3x6x5 | 3x6x5
RMSNorm | 0=5 | 6x5 | 6x5
RNN | 0=7 1=35 | 6x5 | 6x7
LSTM | 0=7 1=140 | 6x5 | 6x7
LSTM | 0=7 1=280 2=2 | 6x5 | 6x14
LSTM | 0=4 1=140 3=7 | 6x5 | 6x4
GRU | 0=7 1=210 2=2 | 6x5 | 6x14
Embed | 0=5 1=10 2=1 3=50 | 6 | 6x5
MultiHeadAttention | 0=8 1=2 2=64 | 6x8 | 6x8
MultiHeadAttention | 0=8 1=2 2=96 3=10 4=14 | 6x12, 7x10, 7x14 | 6x12
Gemm | 3=1 5=1 6=1 8=7 9=5 10=4 | 6x5 | 6x7
Gemm | 3=0 5=1 6=0 8=7 9=5 | 6x5 | 6x7
Gemm | 2=0 3=1 4=0 5=1 6=1 7=0 8=7 9=5 10=-1 | 6x5 | 6x7
Gemm | 3=1 | 6x5, 7x5 | 6x7
Gemm | 4=1 7=6 9=5 | 5x7 | 6x7
Padding | 0=1 1=2 2=3 3=4 6=3 | 3x4x5 | 3x7x12
Padding | 0=1 1=2 2=3 3=4 7=1 8=2 | 3x4x5 | 6x7x12
Padding | 0=1 1=2 2=3 3=4 | 4x5 | 7x12
Padding | 2=3 3=4 | 5 | 12
Quantize | 0=3 | 3x4x5 | 3x4x5
Pooling | 0=0 1=3 2=2 | 3x13x10 | 3x6x5
Pooling | 0=1 1=3 2=2 5=1 | 3x13x10 | 3x6x4
Pooling | 0=0 1=3 2=2 5=2 | 3x13x10 | 3x7x5
Pooling | 0=0 1=3 2=2 5=3 | 3x13x10 | 3x7x5
Pooling | 0=1 4=1 | 3x13x10 | 3
Pooling | 0=1 7=1 8=3 18=4 | 3x13x10 | 3x4x3
Pooling | 0=0 1=2 2=2 3=1 | 3x13x10 | 3x8x6
Pooling1D | 0=0 1=3 2=2 | 3x13 | 3x6
Pooling3D | 0=0 1=2 2=2 | 3x6x7x8 | 3x3x4x4
Interp | 0=2 1=2.0 2=3.0 | 3x4x5 | 3x8x15
Interp | 0=1 3=9 4=7 | 3x4x5 | 3x9x7
Interp | 0=2 2=2.0 | 4x5 | 4x10
PixelShuffle | 0=2 | 12x4x5 | 3x8x10
Reorg | 0=2 | 3x4x6 | 12x2x3
ShuffleChannel | 0=2 | 4x4x5 | 4x4x5
Reshape | 0=10 1=-1 | 3x4x5 | 6x10
Reshape | 0=0 1=-1 | 3x4x5 | 12x5
Reshape | 0=-1 | 3x4x5 | 60
Reshape | 0=5 1=4 11=3 2=-1 | 3x4x5 | 1x3x4x5
Reshape | 0=-1 1=2 2=0 | 3x4x5 | 3x2x10
Reshape | 0=5 1=4 2=-1 | 60 | 3x4x5
Permute | 0=0 | 4x5 | 4x5
Permute | 0=1 | 4x5 | 5x4
Permute | 0=0 | 3x4x5 | 3x4x5
Permute | 0=1 | 3x4x5 | 3x5x4
Permute | 0=2 | 3x4x5 | 4x3x5
Permute | 0=3 | 3x4x5 | 4x5x3
Permute | 0=4 | 3x4x5 | 5x3x4
Permute | 0=5 | 3x4x5 | 5x4x3
Permute | 0=0 | 3x4x5x6 | 3x4x5x6
Permute | 0=1 | 3x4x5x6 | 3x4x6x5
Permute | 0=2 | 3x4x5x6 | 3x5x4x6
Permute | 0=3 | 3x4x5x6 | 3x5x6x4
Permute | 0=4 | 3x4x5x6 | 3x6x4x5
Permute | 0=5 | 3x4x5x6 | 3x6x5x4
Permute | 0=6 | 3x4x5x6 | 4x3x5x6
Permute | 0=7 | 3x4x5x6 | 4x3x6x5
Permute | 0=8 | 3x4x5x6 | 4x5x3x6
Permute | 0=9 | 3x4x5x6 | 4x5x6x3
Permute | 0=10 | 3x4x5x6 | 4x6x3x5
Permute | 0=11 | 3x4x5x6 | 4x6x5x3
Permute | 0=12 | 3x4x5x6 | 5x3x4x6
Permute | 0=13 | 3x4x5x6 | 5x3x6x4
Permute | 0=14 | 3x4x5x6 | 5x4x3x6
Permute | 0=15 | 3x4x5x6 | 5x4x6x3
Permute | 0=16 | 3x4x5x6 | 5x6x3x4
Permute | 0=17 | 3x4x5x6 | 5x6x4x3
Permute | 0=18 | 3x4x5x6 | 6x3x4x5
Permute | 0=19 | 3x4x5x6 | 6x3x5x4
Permute | 0=20 | 3x4x5x6 | 6x4x3x5
Permute | 0=21 | 3x4x5x6 | 6x4x5x3
Permute | 0=22 | 3x4x5x6 | 6x5x3x4
Permute | 0=23 | 3x4x5x6 | 6x5x4x3
Flatten |  | 3x4x5 | 60
Squeeze | -23303=1,1 | 3x1x5 | 3x5
Squeeze | 0=1 1=1 | 3x1x1 | 3
Squeeze | -23303=1,0 | 1x4x5 | 4x5
ExpandDims | -23303=1,0 | 4x5 | 1x4x5
ExpandDims | -23303=1,-1 | 4x5 | 4x5x1
ExpandDims | -23303=2,0,2 | 5 | 1x5x1
Crop | 0=1 1=2 2=1 3=-233 4=3 5=-233 | 6x7x8 | 5x3x7
Crop | -23309=2,1,-233 -23310=2,4,-2 -23311=2,0,2 | 6x7x8 | 3x7x6
Crop | 0=0 1=0 2=0 3=-233 4=-233 5=-233 6=1 7=2 8=1 | 6x7x8 | 5x5x7
Crop | -23309=1,-3 -23310=1,-233 -23311=1,1 | 6x7x8 | 6x3x8
Concat | 0=0 | 3x4x5, 2x4x5 | 5x4x5
Concat | 0=-1 | 3x4x5, 3x4x2 | 3x4x7
Softmax | 0=0 1=1 | 3x4x5 | 3x4x5
Reduction | 0=3 1=0 -23303=2,1,2 4=1 5=1 | 3x4x5 | 3x1x1
Reduction | 0=3 1=0 -23303=2,1,2 4=0 5=1 | 3x4x5 | 3
Reduction | 0=0 1=1 4=0 | 3x4x5 | 1
Reduction | 0=0 1=1 4=1 | 3x4x5 | 1x1x1
Reduction | 0=4 1=0 -23303=1,-1 5=1 | 3x4x5 | 3x4
BinaryOp | 0=0 | 3x4x5, 3x4x5 | 3x4x5
BinaryOp | 0=2 1=1 2=2.0 | 3x4x5 | 3x4x5
BinaryOp | 0=2 | 3x4x5, 3 | 3x4x5
BinaryOp | 0=2 | 3, 3x4x5 | 3x4x5
BinaryOp | 0=2 | 3x4x5, 3x4 | 3x4x5
BinaryOp | 0=1 | 3x4x5, 3x1x1 | 3x4x5
Eltwise | 0=1 | 3x4x5, 3x4x5 | 3x4x5
Tile | 0=1 1=2 | 3x4x5 | 3x8x5
Tile | -23302=3,2,1,3 | 4x5 | 2x4x15
MatMul |  | 4x5, 5x6 | 4x6
MatMul | 0=1 | 2x4x5, 2x6x5 | 2x4x6
SDPA |  | 2x4x8, 2x6x8, 2x6x8 | 2x4x8
RotaryEmbed | 0=0 | 2x4x8, 4x4, 4x4 | 2x4x8
MemoryData | 0=5 1=4 2=3 |  | 3x4x5
MemoryData | 0=5 |  | 5
MemoryData | 0=5 1=4 21=0 |  | 4x5
StatisticsPooling | 0=1 | 3x4x5 | 6
HardSwish | 0=0.16666667 1=0.5 | 3x4x5 | 3x4x5
Dequantize | 0=3 1=3 | 3x4x5 | 3x4x5
Slice | -23300=3,2,-233,-233 | 6x4x5 | 2x4x5, 2x4x5, 2x4x5
Slice | -23300=2,-233,-233 1=1 | 6x4x5 | 6x2x5, 6x2x5
Slice | 1=2 -23302=2,1,4 | 6x4x6 | 6x4x1, 6x4x3, 6x4x2
Split |  | 6x4x5 | 6x4x5, 6x4x5, 6x4x5
LSTM | 0=7 1=140 | 6x5, 1x7, 1x7 | 6x7, 1x7, 1x7
"""

Sizes = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One line of the table."""

    type: str
    parameters: str
    inputs: tuple[Sizes, ...]
    outputs: tuple[Sizes, ...]

    def param(self) -> str:
        """The graph: an `Input` for each input, then the layer, called `the`."""
        lines = []
        for number, sizes in enumerate(self.inputs):
            ids = (0, 1, 11, 2) if len(sizes) == 4 else (0, 1, 2)
            given = " ".join(f"{i}={s}" for i, s in zip(ids, reversed(sizes), strict=False))
            lines.append(f"Input i{number} 0 1 i{number} {given}")
        ins = [f"i{n}" for n in range(len(self.inputs))]
        outs = [f"o{n}" for n in range(len(self.outputs))]
        blobs = " ".join((*ins, *outs))
        lines.append(f"{self.type} the {len(ins)} {len(outs)} {blobs} {self.parameters}")
        counts = f"{len(lines)} {len(ins) + len(outs)}"
        return "\n".join(("7767517", counts, *lines)) + "\n"


def _sizes(text: str) -> tuple[Sizes, ...]:
    return tuple(tuple(map(int, t.split("x"))) for t in text.split(", ") if t.strip())


def cases() -> tuple[Case, ...]:
    """The table's lines."""
    found = []
    for line in _TABLE.strip().splitlines():
        kind, parameters, inputs, outputs = (part.strip() for part in line.split("|"))
        found.append(
            Case(
                type=kind,
                parameters=parameters,
                inputs=_sizes(inputs),
                outputs=_sizes(outputs),
            )
        )
    return tuple(found)
