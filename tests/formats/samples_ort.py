"""ONNX Runtime samples: two made by the library (see `make_ort`), one assembled field by field."""

import struct
from collections.abc import Iterable, Sequence

from tests.formats._flatbuffer_builder import Fields, Value, build
from tests.formats.samples import Sample


def value(name: str, code: int, *shape: int | str) -> Fields:
    """The type of a tensor."""
    sizes: list[Value] = [
        {0: {0: ("i8", 2), 2: size}}
        if isinstance(size, str)
        else {0: {0: ("i8", 1), 1: ("i64", size)}}
        for size in shape
    ]
    return {0: name, 2: {1: ("u8", 1), 2: {0: ("i32", code), 1: {0: sizes}}}}


def tensor(name: str, code: int, shape: Sequence[int], data: bytes) -> Fields:
    """A constant."""
    return {0: name, 2: ("[i64]", tuple(shape)), 3: ("i32", code), 4: data}


def node(
    kind: str, inputs: Sequence[str], outputs: Sequence[str], attributes: Sequence[Fields] = ()
) -> Fields:
    """An operator."""
    return {0: kind.lower(), 5: kind, 8: [*inputs], 9: [*outputs], 10: [*attributes]}


def session(graph: Fields, version: str = "6") -> bytes:
    """The file with a graph."""
    model: Fields = {
        0: ("i64", 8),
        1: [{0: "", 1: ("i64", 17)}],
        2: "hand",
        3: "1",
        7: graph,
        9: [{0: "author", 1: "nobody"}],
    }
    return build({0: version, 1: model}, b"ORTM")


def unsorted_graph() -> Fields:
    """Users before makers, a sparse weight, texts, and attributes of every kind."""
    ones = struct.pack("<2f", 1.5, 2.5)
    places = struct.pack("<2q", 1, 4)
    attributes: list[Fields] = [
        {0: "number", 2: ("i32", 1), 3: ("f32", 0.5)},
        {0: "whole", 2: ("i32", 2), 4: ("i64", -3)},
        {0: "text", 2: ("i32", 3), 5: "words"},
        {0: "tensor", 2: ("i32", 4), 6: tensor("", 7, (2,), places)},
        {0: "numbers", 2: ("i32", 6), 8: ("[f32]", (0.5, 1.5))},
        {0: "wholes", 2: ("i32", 7), 9: ("[i64]", (1, 2))},
        {0: "texts", 2: ("i32", 8), 10: ["a", "b"]},
        {0: "tensors", 2: ("i32", 9), 11: [tensor("", 1, (2,), ones)]},
    ]
    return {
        0: [{0: "labels", 2: ("[i64]", (2,)), 3: ("i32", 8), 5: ["cat", "dog"]}],
        1: [value("x", 1, "n", 6), value("y", 1, "n", 6), value("z", 1)],
        2: [
            node("Relu", ("a",), ("y",)),
            node("Add", ("x", "w"), ("a",)),
            node("Special", ("x", "", "labels"), ("z",), attributes),
        ],
        5: ["x"],
        6: ["y", "z"],
        7: [
            {
                0: tensor("w", 1, (2,), ones),
                1: tensor("", 7, (2,), places),
                2: ("[i64]", (6,)),
            }
        ],
    }


def samples() -> Iterable[Sample]:
    """Optimised, plain, and with what the library rarely writes."""
    for name in ("plain", "optimised"):
        yield Sample(name=name, format="ort", source=f"ort/{name}.ort", file_name=f"{name}.ort")
    yield Sample(
        name="unsorted",
        format="ort",
        source=lambda: session(unsorted_graph()),
        file_name="unsorted.ort",
    )
