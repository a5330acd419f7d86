"""MindSpore Lite samples, assembled field by field: its converter is not on PyPI."""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from gaugenn.formats._mindspore_schema import OPERATORS
from tests.formats._flatbuffer_builder import Fields, Value, build
from tests.formats.samples import Sample

INT8, INT32, FLOAT32 = 32, 34, 43


@dataclass(kw_only=True)
class File:
    """A model in the making."""

    tensors: list[Fields] = field(default_factory=list)
    nodes: list[Fields] = field(default_factory=list)
    more: dict[int, Value] = field(default_factory=dict)

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        dtype: int = FLOAT32,
        data: bytes | None = None,
        more: Fields | None = None,
    ) -> int:
        """A new tensor."""
        made: dict[int, Value] = {
            0: ("i32", 2 if data is None else 0),
            1: ("i32", dtype),
            2: ("[i32]", tuple(shape)),
            3: ("i32", 1),
            9: name,
        }
        if data is not None:
            made[6] = data
        self.tensors.append({**made, **(more or {})})
        return len(self.tensors) - 1

    def node(
        self,
        kind: str,
        inputs: Sequence[int],
        outputs: Sequence[int],
        options: Fields | None = None,
    ) -> int:
        """A new node."""
        number = OPERATORS.index(kind) + 1
        self.nodes.append(
            {
                0: kind.lower(),
                2: {0: ("u8", number), 1: options or {}},
                3: ("[u32]", tuple(inputs)),
                4: ("[u32]", tuple(outputs)),
            }
        )
        return len(self.nodes) - 1

    def data(
        self, inputs: Sequence[int], outputs: Sequence[int], identifier: bytes = b"MSL2"
    ) -> bytes:
        """The file."""
        root: dict[int, Value] = {
            0: "net",
            1: "MindSpore Lite 2.3.0",
            2: ("i32", 2),
            3: ("[u32]", tuple(inputs)),
            4: ("[u32]", tuple(outputs)),
            6: [*self.nodes],
            7: [*self.tensors],
            **self.more,
        }
        return build(root, identifier)


def floats(count: int) -> bytes:
    """Float32 bytes."""
    return struct.pack(f"<{count}f", *(0.5 * i for i in range(count)))


def convolution(stride: int, activation: int = 0) -> Fields:
    """Options of a 3x3 convolution of 3 to 4 channels."""
    return {
        0: ("i32", 1),
        1: ("[i64]", (3, 3)),
        2: ("[i64]", (stride, stride)),
        3: ("[i64]", (1, 1)),
        4: ("i8", 0),
        5: ("[i64]", (1, 1, 1, 1)),
        7: ("i64", 1),
        8: ("i64", 3),
        9: ("i64", 4),
        10: ("i8", activation),
    }


def convolutional() -> bytes:
    """Convolution, pooling, transposition, and a fully connected layer."""
    file = File()
    image = file.tensor("image", (1, 8, 8, 3))
    kernel = file.tensor("kernel", (4, 3, 3, 3), data=floats(108))
    bias = file.tensor("bias", (4,), data=floats(4))
    first = file.tensor("", (1, 4, 4, 4))
    file.node("Conv2DFusion", (image, kernel, bias), (first,), convolution(2, 3))
    pooled = file.tensor("", (1, 2, 2, 4))
    window: Fields = {0: ("[i64]", (2, 2)), 1: ("[i64]", (2, 2)), 3: ("i8", 2)}
    file.node("MaxPoolFusion", (first,), (pooled,), window)
    order = file.tensor("order", (4,), INT32, struct.pack("<4i", 0, 3, 1, 2))
    turned = file.tensor("", (1, 4, 2, 2))
    file.node("Transpose", (pooled, order), (turned,))
    shape = file.tensor("shape", (2,), INT32, struct.pack("<2i", 1, 16))
    flat = file.tensor("", (1, 16))
    file.node("Reshape", (turned, shape), (flat,))
    dense = file.tensor("dense", (5, 16), data=floats(80))
    scores = file.tensor("scores", (1, 5))
    file.node("FullConnection", (flat, dense), (scores,), {3: ("i8", 1)})
    return file.data((image,), (scores,))


def quantized() -> bytes:
    """Int8 with one scale a channel, an entry that was never set, and a packed weight."""
    file = File()
    scales: list[Value] = [
        {0: ("f64", 0.5 * (i + 1)), 1: ("i32", i), 6: ("bool", True)} for i in range(4)
    ]
    image = file.tensor("image", (-1, 8, 8, 3), INT8, more={7: scales[:1]})
    kernel = file.tensor("kernel", (4, 3, 3, 3), INT8, bytes(108), more={7: scales})
    first = file.tensor("first", (-1, 8, 8, 4), INT8, more={7: [{0: ("f64", 1.0)}]})
    file.node("Conv2DFusion", (image, kernel), (first,), convolution(1))
    packed = file.tensor("packed", (4,), INT8, bytes(2), more={11: ("i32", 4)})
    last = file.tensor("last", (-1, 8, 8, 4), INT8)
    file.node("AddFusion", (first, packed), (last,))
    return file.data((image,), (last,))


def sub_graphs() -> bytes:
    """Two sub-graphs, one of which runs the other, and weights in another file."""
    file = File()
    image = file.tensor("image", (4,))
    place: Fields = {1: "weights.bin", 2: ("i64", 4), 3: ("i64", 16)}
    weight = file.tensor("weight", (4,), more={12: [place]})
    result = file.tensor("result", (4,))
    run = file.node("PartialFusion", (image,), (result,), {0: ("i64", 1)})
    inner = file.node("MulFusion", (image, weight), (result,))
    for name, nodes in (("main", (run,)), ("inner", (inner,))):
        graph: Fields = {
            0: name,
            1: ("[u32]", (image,)),
            2: ("[u32]", (result,)),
            3: ("[u32]", nodes),
        }
        known = file.more.setdefault(8, [])
        assert isinstance(known, list)
        known.append(graph)
    return file.data((image,), (result,))


def samples() -> Iterable[Sample]:
    """Plain, quantised, and with sub-graphs."""
    for source in (convolutional, quantized):
        name = source.__name__
        yield Sample(name=name, format="mindspore", source=source, file_name=f"{name}.ms")
    yield Sample(
        name="sub_graphs",
        format="mindspore",
        source=sub_graphs,
        file_name="sub_graphs.ms",
        neighbours={"weights.bin": bytes(4) + floats(4)},
    )
