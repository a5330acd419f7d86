"""MNN samples: some from the library's converter (see `make_mnn`), some assembled field by field."""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gaugenn.formats._mnn_schema import OPERATORS, PARAMETERS
from tests.formats._flatbuffer_builder import Fields, Value, build
from tests.formats.make_mnn import FLAGS
from tests.formats.samples import Sample

NUMBERS = {name: number for number, name in OPERATORS.items()}
MEMBERS = {name: number for number, (name, _) in PARAMETERS.items()}
FOLDER = Path(__file__).parent


@dataclass(kw_only=True)
class Net:
    """A net or sub-graph in the making."""

    names: list[str] = field(default_factory=list)
    operators: list[Fields] = field(default_factory=list)
    more: dict[int, Value] = field(default_factory=dict)

    def index(self, name: str) -> int:
        """The number of a tensor, new or known."""
        if name not in self.names:
            self.names.append(name)
        return self.names.index(name)

    def add(
        self,
        kind: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        parameter: str = "",
        fields: Fields | None = None,
    ) -> None:
        """A new operator."""
        made: dict[int, Value] = {
            0: ("[i32]", tuple(map(self.index, inputs))),
            3: outputs[0],
            4: ("[i32]", tuple(map(self.index, outputs))),
            5: ("i32", NUMBERS[kind]),
        }
        if parameter:
            made |= {1: ("u8", MEMBERS[parameter]), 2: fields or {}}
        self.operators.append(made)

    def image(self, name: str, *shape: int) -> None:
        """A new input."""
        self.add("Input", (), (name,), "Input", {0: ("[i32]", shape), 1: ("i32", 1)})

    def data(self) -> bytes:
        """The file."""
        return build({3: [*self.operators], 6: ("i8", 3), 7: [*self.names], **self.more})

    def inner(self, name: str, inputs: Sequence[str], outputs: Sequence[str]) -> Fields:
        """The net as a sub-graph."""
        return {
            0: name,
            1: ("[i32]", tuple(map(self.index, inputs))),
            2: ("[i32]", tuple(map(self.index, outputs))),
            3: [*self.names],
            4: [*self.operators],
        }


def floats(count: int) -> tuple[str, tuple[float, ...]]:
    """A vector of float32."""
    return "[f32]", tuple(0.5 * i for i in range(count))


def sizes(
    kernel: int, outputs: int, inputs: int, *, group: int = 1, stride: int = 1, pad: int = 0
) -> dict[int, Value]:
    """Sizes of a square convolution."""
    return {
        0: ("i32", pad),
        1: ("i32", pad),
        2: ("i32", kernel),
        3: ("i32", kernel),
        4: ("i32", stride),
        5: ("i32", stride),
        9: ("i32", group),
        10: ("i32", outputs),
        11: ("i32", inputs),
    }


def requantized() -> bytes:
    """The first int8 form: int8 weights, int32 bias, one factor a channel."""
    net = Net()
    net.image("image", 1, 3, 8, 8)
    net.add("FloatToInt8", ("image",), ("q",), "QuantizedFloatParam", {3: ("[f32]", (4.0,))})
    symmetric: Fields = {
        0: bytes(range(108)),
        1: ("[i32]", (1, 2, 3, 4)),
        2: ("[f32]", (0.1, 0.2, 0.3, 0.4)),
    }
    net.add("ConvInt8", ("q",), ("c",), "Convolution2D", {0: sizes(3, 4, 3, pad=1), 4: symmetric})
    net.add("Int8ToFloat", ("c",), ("f",), "QuantizedFloatParam", {3: ("[f32]", (0.5,))})
    net.add("Softmax", ("f",), ("y",), "Axis", {0: ("i32", 1)})
    return net.data()


def layers() -> bytes:
    """Layers with weights of their own, and the operators that move data."""
    net = Net()
    net.image("image", 1, 4, 8, 8)
    vectors: dict[int, Value] = {n: floats(4) for n in (1, 2, 3, 4)}
    net.add("BatchNorm", ("image",), ("bn",), "BatchNorm", {0: ("i32", 4), **vectors})
    net.add("Scale", ("bn",), ("sc",), "Scale", {0: ("i32", 4), 1: floats(4), 2: floats(4)})
    net.add("PReLU", ("sc",), ("pr",), "PRelu", {0: ("i32", 4), 1: floats(4)})
    net.add(
        "Pooling",
        ("pr",),
        ("po",),
        "Pool",
        dict.fromkeys((3, 4, 5, 6), ("i32", 2)) | {7: ("i8", 1)},
    )
    net.add("Permute", ("po",), ("pe",), "Permute", {0: ("[i32]", (0, 2, 3, 1))})
    net.add("ConvertTensor", ("po",), ("nhwc",), "TensorConvertInfo", {0: ("i8", 2), 1: ("i8", 1)})
    net.add("BinaryOp", ("pe", "nhwc"), ("sum",), "BinaryOp", {0: ("i32", 0), 2: ("i32", 1)})
    net.add(
        "Const", (), ("order",), "Blob", {0: ("[i32]", (2,)), 2: ("i32", 3), 5: ("[i32]", (1, -1))}
    )
    net.add("Reshape", ("sum", "order"), ("flat",), "Reshape", {})
    net.add(
        "InnerProduct",
        ("flat",),
        ("fc",),
        "InnerProduct",
        {0: ("i32", 2), 2: ("i32", 128), 3: floats(128), 4: floats(2)},
    )
    net.add(
        "LayerNorm",
        ("fc",),
        ("ln",),
        "LayerNorm",
        {0: ("[i32]", (-1,)), 2: floats(2), 3: floats(2)},
    )
    net.add("UnaryOp", ("ln",), ("y",), "UnaryOp", {0: ("i32", 34)})
    return net.data()


def rare() -> bytes:
    """Layers that few files have: volumes, old quantised ones, recurrent and fused ones."""
    net = Net()
    net.image("video", 1, 2, 4, 4, 4)
    volume: Fields = {
        **dict.fromkeys((0, 1), ("[i32]", (1, 1, 1))),
        2: ("[i32]", (3, 3, 3)),
        3: ("[i32]", (1, 1, 1)),
        5: ("i32", 2),
        6: ("i32", 4),
    }
    fields: Fields = {0: volume, 1: floats(216), 2: floats(4)}
    net.add("Convolution3D", ("video",), ("v",), "Convolution3D", fields)
    net.image("image", 1, 4, 4, 4)
    old: Fields = {
        0: ("[i32]", (1, 2)),
        2: sizes(1, 2, 4),
        3: bytes(8),
        11: {0: ("i32", 128), 1: ("f32", 0.25)},
    }
    net.add("TfQuantizedConv2D", ("image",), ("t",), "TfQuantizedConv2D", old)
    group: Fields = {1: ("f32", 1e-5), 2: floats(4), 3: floats(4), 4: ("i32", 2)}
    net.add("GroupNorm", ("image",), ("n",), "GroupNorm", group)
    part: Fields = {0: sizes(1, 3, 4), 1: floats(12), 2: floats(3)}
    net.add("FusedLinear", ("image",), ("f", "g"), "FusedLinearParam", {0: [part, part]})
    net.image("steps", 5, 1, 4)
    gates: dict[int, Value] = {0: ("i32", 3)}
    for number, shape in ((4, (6, 7)), (5, (6, 1)), (6, (3, 7)), (7, (3, 1))):
        count = shape[0] * shape[1]
        gates[number] = {0: ("[i32]", shape), 7: floats(count)}
    net.add("RNNSequenceGRU", ("steps",), ("r",), "RNNParam", gates)
    return net.data()


def sparse_int8() -> bytes:
    """4 x 2 weights of which the third and the fourth are not zero: 5 and -3."""
    return (
        bytes([2])
        + struct.pack("<HH", 4, 2)
        + struct.pack("<IB", 2, 4)
        + bytes([0x21])  # steps of 2 and 1
        + bytes([2, 5, 0xFD])
        + bytes([0x80])  # the second of the sorted values, then the first
    )


def sparse() -> bytes:
    """Weights that are mostly zero, in both sparse forms."""
    net = Net()
    net.image("image", 1, 2, 4, 4)
    packed: Fields = {
        0: sparse_int8(),
        1: ("[f32]", (0.5, 0.5, 0.5, 0.5)),
        2: ("i32", 2),
        4: ("f32", 1.0),
        10: ("bool", True),
    }
    net.add("Convolution", ("image",), ("a",), "Convolution2D", {0: sizes(1, 4, 2), 3: packed})
    listed: Fields = {
        1: ("[f32]", (1.5, 2.5)),
        12: ("u32", 8),
        13: ("[u32]", (1, 6)),
    }
    net.add("Convolution", ("image",), ("b",), "Convolution2D", {0: sizes(1, 4, 2), 3: listed})
    net.add("Concat", ("a", "b"), ("y",), "Axis", {0: ("i32", 1)})
    return net.data()


def control_flow() -> bytes:
    """A loop and a branch over sub-graphs."""
    condition, body, plus, minus = Net(), Net(), Net(), Net()
    condition.add("UnaryOp", ("i",), ("go",), "UnaryOp", {0: ("i32", 1)})
    body.add("BinaryOp", ("i", "i"), ("j",), "BinaryOp", {0: ("i32", 0)})
    plus.add("UnaryOp", ("v",), ("w",), "UnaryOp", {0: ("i32", 7)})
    minus.add("UnaryOp", ("v",), ("w",), "UnaryOp", {0: ("i32", 8)})
    net = Net()
    net.image("image", 4)
    net.add("While", ("image",), ("last",), "WhileParam", {0: "condition", 1: "body"})
    net.add("If", ("last",), ("y",), "IfParam", {0: "plus", 1: "minus"})
    net.more[10] = [
        condition.inner("condition", ("i",), ("go",)),
        body.inner("body", ("i",), ("j",)),
        plus.inner("plus", ("v",), ("w",)),
        minus.inner("minus", ("v",), ("w",)),
    ]
    return net.data()


def stripped() -> bytes:
    """A net whose weights were removed."""
    net = Net()
    net.image("image", 1, 3, 8, 8)
    net.add("Convolution", ("image",), ("a",), "Convolution2D", {0: sizes(3, 8, 3, stride=2)})
    deep = sizes(3, 8, 8, group=8)
    net.add("ConvolutionDepthwise", ("a",), ("b",), "Convolution2D", {0: deep})
    net.add("Deconvolution", ("b",), ("y",), "Convolution2D", {0: sizes(2, 4, 8, stride=2)})
    return net.data()


def samples() -> Iterable[Sample]:
    """Every form of weights."""
    made = {
        "requantized": requantized,
        "layers": layers,
        "rare": rare,
        "sparse": sparse,
        "control_flow": control_flow,
        "stripped": stripped,
    }
    for name, source in made.items():
        yield Sample(name=name, format="mnn", source=source, file_name=f"{name}.mnn")
    for name in FLAGS:
        weights = FOLDER / "mnn" / f"{name}.mnn.weight"
        yield Sample(
            name=f"converted_{name}",
            format="mnn",
            source=f"mnn/{name}.mnn",
            file_name=f"{name}.mnn",
            neighbours={weights.name: weights.read_bytes()} if weights.exists() else {},
        )
