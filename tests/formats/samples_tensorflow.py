"""TensorFlow samples, put together by hand from the documented messages."""

import struct
from collections.abc import Mapping, Sequence
from itertools import takewhile

import numpy as np

from tests.formats._protobuf_builder import block, boundaries, fixed32, number, varint
from tests.formats.samples import Sample

FLOAT, INT32 = 1, 3


def text(field: int, value: str) -> bytes:
    """A string field."""
    return block(field, value.encode())


def shape(*sizes: int) -> bytes:
    """A TensorShapeProto."""
    return b"".join(block(2, number(1, size)) for size in sizes)


def tensor(values: np.ndarray) -> bytes:
    """A TensorProto with its elements in one piece."""
    kind = {"f": FLOAT, "i": INT32}[values.dtype.kind]
    stored = values.astype("<f4" if kind == FLOAT else "<i4").tobytes()
    return number(1, kind) + block(2, shape(*values.shape)) + block(4, stored)


def ints(*values: int) -> bytes:
    """An attribute: a list of integers."""
    return block(1, b"".join(number(3, value) for value in values))


def node(name: str, op: str, inputs: Sequence[str] = (), **attributes: bytes) -> bytes:
    """A NodeDef; attributes are AttrValue messages."""
    parts = [text(1, name), text(2, op), *(text(3, each) for each in inputs)]
    parts += [block(5, text(1, key) + block(2, value)) for key, value in attributes.items()]
    return b"".join(parts)


def constant(name: str, values: np.ndarray) -> bytes:
    """A Const node."""
    return node(name, "Const", dtype=number(6, FLOAT), value=block(8, tensor(values)))


def splat(name: str, value: float, *sizes: int) -> bytes:
    """A Const node whose one value fills the tensor."""
    held = number(1, FLOAT) + block(2, shape(*sizes)) + fixed32(5, value)
    return node(name, "Const", value=block(8, held))


def classifier(layout: str = "NHWC") -> list[bytes]:
    """A small convolutional network, its first node one that others need."""
    normal = np.random.default_rng(1).normal
    window = ints(1, 2, 2, 1) if layout == "NHWC" else ints(1, 1, 2, 2)
    one = ints(1, 1, 1, 1)
    sizes = (-1, 16, 16, 3) if layout == "NHWC" else (-1, 3, 16, 16)
    where = text(2, layout)
    return [
        node("x", "Placeholder", dtype=number(6, FLOAT), shape=block(7, shape(*sizes))),
        constant("w1", normal(size=(3, 3, 3, 8))),
        node(
            *("c1", "Conv2D", ["x", "w1/read"]),
            strides=window,
            padding=text(2, "SAME"),
            data_format=where,
        ),
        node("w1/read", "Identity", ["w1"]),
        splat("gamma", 1.0, 8),
        splat("beta", 0.0, 8),
        node(
            *("bn", "FusedBatchNormV3", ["c1", "gamma", "beta", "beta", "gamma"]),
            epsilon=struct.pack("<Bf", 0x25, 1e-3),
            is_training=number(5, 0),
            data_format=where,
        ),
        node("act", "Relu6", ["bn"]),
        constant("w2", normal(size=(3, 3, 8, 2))),
        node(
            *("dw", "DepthwiseConv2dNative", ["act", "w2"]),
            strides=one,
            padding=text(2, "VALID"),
            data_format=where,
        ),
        node(
            *("pool", "MaxPool", ["dw:0"]),
            ksize=window,
            strides=window,
            padding=text(2, "VALID"),
            data_format=where,
        ),
        constant("axes", np.array([1, 2] if layout == "NHWC" else [2, 3])),
        node("mean", "Mean", ["pool", "axes"], keep_dims=number(5, 0)),
        constant("w3", normal(size=(16, 5))),
        node("fc", "MatMul", ["mean", "w3"]),
        constant("b3", normal(size=5)),
        node("biased", "BiasAdd", ["fc", "b3"]),
        node("halves/axis", "Const", value=block(8, tensor(np.array(1)))),
        node("prob", "Softmax", ["biased"]),
        node("done", "NoOp", ["^prob"]),
    ]


def frozen(layout: str = "NHWC") -> bytes:
    """A frozen graph."""
    return b"".join(block(1, each) for each in classifier(layout)) + block(4, number(1, 1087))


def function(name: str, arguments: Sequence[str], nodes: Sequence[bytes], result: str) -> bytes:
    """A FunctionDef with one result, `out`."""
    signature = text(1, name) + b"".join(block(2, text(1, each)) for each in arguments)
    signature += block(3, text(1, "out"))
    ret = block(4, text(1, "out") + text(2, result))
    return block(1, signature) + b"".join(block(3, each) for each in nodes) + ret


def calls() -> bytes:
    """The graph of a saved model: variables, a call, a branch and a loop."""
    library = [
        function("twice", ["a"], [node("sum", "AddV2", ["a", "a"])], "sum:z:0"),
        function("keep", ["b"], [node("same", "Identity", ["b"])], "same:output:0"),
        function(
            *("small", ["c"]),
            [
                node("ten", "Const", value=block(8, tensor(np.array(10.0)))),
                node("less", "Less", ["c", "ten:output:0"]),
            ],
            "less:z:0",
        ),
    ]

    def func(name: str) -> bytes:
        return block(10, text(1, name))

    nodes = [
        node("x", "Placeholder", dtype=number(6, FLOAT), shape=block(7, shape(1, 4))),
        node("w", "VarHandleOp", dtype=number(6, FLOAT), shape=block(7, shape(4, 3))),
        node("w/read", "ReadVariableOp", ["w"], dtype=number(6, FLOAT)),
        node("fc", "MatMul", ["x", "w/read"]),
        node("call", "StatefulPartitionedCall", ["fc"], f=func("twice")),
        node("flag", "Placeholder", dtype=number(6, 10), shape=block(7, b"")),
        node(
            "if",
            "StatelessIf",
            ["flag", "call"],
            then_branch=func("twice"),
            else_branch=func("keep"),
        ),
        node("while", "StatelessWhile", ["if"], cond=func("small"), body=func("twice")),
    ]
    graph = b"".join(block(1, each) for each in nodes)
    return graph + block(2, b"".join(block(1, each) for each in library))


def meta() -> bytes:
    """A meta graph with its operators, tags and signature."""
    listed = block(1, text(1, "MatMul"))
    info = block(2, listed) + text(4, "serve") + text(5, "2.15.0")

    def side(field: int, key: str, name: str) -> bytes:
        return block(field, text(1, key) + block(2, text(1, name)))

    signature = side(1, "x", "x:0") + side(2, "y", "while:0")
    served = block(5, text(1, "serving_default") + block(2, signature))
    return block(1, info) + block(2, calls()) + served


def saved() -> bytes:
    """A saved model."""
    return number(1, 1) + block(2, meta())


def table(entries: Mapping[str, bytes]) -> bytes:
    """A sorted table with one block of data; every second key shares its beginning with the last."""

    def framed(rows: Sequence[tuple[bytes, bytes]]) -> bytes:
        out, last = b"", b""
        for number_, (key, value) in enumerate(rows):
            same = (a == b for a, b in zip(key, last, strict=False))
            shared = sum(takewhile(bool, same)) if number_ % 2 else 0
            out += varint(shared) + varint(len(key) - shared) + varint(len(value))
            out += key[shared:] + value
            last = key
        return out + struct.pack("<2I", 0, 1)

    def handle(start: int, block_: bytes) -> bytes:
        return varint(start) + varint(len(block_))

    trailer = bytes(5)
    data = framed([(key.encode(), value) for key, value in sorted(entries.items())])
    empty = framed([])
    listed = framed([(b"~", handle(0, data))])
    body = data + trailer + empty + trailer
    footer = handle(len(data) + 5, empty) + handle(len(body), listed)
    return body + listed + trailer + footer.ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)


HEADER = number(1, 1) + block(3, number(1, 1))
"""A checkpoint's header: one file of values."""


def entry(offset: int, *sizes: int, dtype: int = FLOAT, width: int = 4) -> bytes:
    """A value of a checkpoint."""
    where = number(4, offset) + number(5, width * int(np.prod(sizes)))
    return number(1, dtype) + block(2, shape(*sizes)) + where


WEIGHTS = np.arange(12, dtype="<f4")
OBJECTS = "_CHECKPOINTABLE_OBJECT_GRAPH"
KEY = "layer/kernel/.ATTRIBUTES/VARIABLE_VALUE"


def objects() -> bytes:
    """What says that the entry `KEY` is the variable `w`: a tensor of one text."""
    attribute = text(1, "VARIABLE_VALUE") + text(2, "w") + text(3, KEY)
    graph = block(1, block(2, attribute))
    return varint(len(graph)) + bytes(4) + graph


def checkpoint(key: str = "w") -> dict[str, bytes]:
    """A table and its values; under another key than the variable's with what tells them apart."""
    found = {"": HEADER, key: entry(4, 4, 3), "step": entry(52, dtype=9, width=8)}
    data = bytes(4) + WEIGHTS.tobytes() + (700).to_bytes(8, "little")
    if key != "w":
        held = objects()
        where = number(4, len(data)) + number(5, len(held))
        found[OBJECTS] = number(1, 7) + block(2, b"") + where
        data += held
    return {".index": table(found), ".data-00000-of-00001": data}


def samples() -> tuple[Sample, ...]:
    """Frozen graphs in both layouts, saved models and meta graphs, with and without values."""
    values = checkpoint(KEY)
    return (
        Sample(
            name="saved-with-values",
            format="tensorflow",
            source=saved,
            file_name="saved_model.pb",
            neighbours={f"variables/variables{name}": data for name, data in values.items()},
        ),
        Sample(
            name="meta-with-values",
            format="tensorflow",
            source=meta,
            file_name="model.ckpt.meta",
            neighbours={f"model.ckpt{name}": data for name, data in checkpoint().items()},
            endings=boundaries,
        ),
        Sample(
            name="checkpoint",
            format="tensorflow_checkpoint",
            source=lambda: checkpoint()[".index"],
            file_name="model.ckpt.index",
            neighbours={
                "model.ckpt.data-00000-of-00001": checkpoint()[".data-00000-of-00001"],
            },
        ),
        Sample(
            name="frozen",
            format="tensorflow",
            source=frozen,
            file_name="frozen.pb",
            endings=boundaries,
        ),
        Sample(
            name="channels-first",
            format="tensorflow",
            source=lambda: frozen("NCHW"),
            file_name="frozen.bin",
            endings=boundaries,
        ),
        Sample(name="saved", format="tensorflow", source=saved, file_name="saved_model.pb"),
        Sample(
            name="meta",
            format="tensorflow",
            source=meta,
            file_name="model.ckpt.meta",
            endings=boundaries,
        ),
    )
