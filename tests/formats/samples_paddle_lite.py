"""A Paddle-Lite sample, put together by hand from the documented layout."""

import struct
from collections.abc import Mapping, Sequence

import numpy as np

from tests.formats._flatbuffer_builder import Fields, Value, build
from tests.formats.samples import Sample


def variable(name: str, dims: Sequence[int], *, held: bool = False, element: int = 5) -> Fields:
    """A dense variable."""
    tensor: Fields = {0: ("i32", element), 1: ("[i64]", tuple(dims))}
    kind: Fields = {0: ("i32", 7), 2: {0: tensor}}
    return {0: name, 1: kind, 2: ("bool", held)}


def attribute(name: str, value: object) -> Fields:
    """An attribute of the kind that its Python type says."""
    if isinstance(value, bool):
        return {0: name, 1: ("i32", 6), 8: ("bool", value)}
    if isinstance(value, int):
        return {0: name, 1: ("i32", 0), 2: ("i32", value)}
    if isinstance(value, float):
        return {0: name, 1: ("i32", 1), 3: ("f32", value)}
    if isinstance(value, str):
        return {0: name, 1: ("i32", 2), 4: value}
    assert isinstance(value, tuple)
    return {0: name, 1: ("i32", 3), 5: ("[i32]", value)}


def arguments(spelled: str) -> list[Value]:
    """`Parameter=name,name` with spaces between."""
    pairs = (each.partition("=") for each in spelled.split())
    return [{0: parameter, 1: list(names.split(","))} for parameter, _, names in pairs]


def operator(kind: str, inputs: str, outputs: str, **attributes: object) -> Fields:
    """An operator."""
    given: list[Value] = [attribute(name, value) for name, value in attributes.items()]
    return {0: kind, 1: arguments(inputs), 2: arguments(outputs), 3: given}


def program() -> bytes:
    """A net as the optimiser leaves it: activations fused, a fully connected layer."""
    block: Fields = {
        0: ("i32", 0),
        1: ("i32", -1),
        2: [
            variable("data", (1, 3, 8, 8)),
            variable("filter", (4, 3, 3, 3), held=True, element=21),
            variable("matrix", (64, 5), held=True),
            variable("x", (1, 4, 4, 4)),
            variable("y", (1, 5)),
        ],
        3: [
            operator("feed", "X=feed", "Out=data", col=0),
            operator(
                "conv2d",
                "Input=data Filter=filter",
                "Output=x",
                strides=(2, 2),
                paddings=(1, 1, 1, 1),
                dilations=(1, 1),
                groups=1,
                with_act=True,
                act_type="relu6",
            ),
            operator("fc", "Input=x W=matrix", "Out=y", in_num_col_dims=1, activation_type="relu"),
            operator("fetch", "X=y", "Out=fetch", col=0),
        ],
    }
    return build({0: [block], 1: {0: ("i64", 2006001)}})


def value(name: str, element: int, values: np.ndarray) -> bytes:
    """A value with its size before it."""
    tensor: Fields = {
        2: ("[i64]", values.shape),
        3: ("i32", element),
        4: values.tobytes(),
    }
    held = build({0: {}, 1: name, 2: ("u8", 1), 3: tensor})
    return struct.pack("<II", len(held) + 4, 4) + held


def values() -> Mapping[str, bytes]:
    """What the variables of the program hold."""
    generator = np.random.default_rng(3)
    return {
        "filter": value("filter", 21, generator.integers(-99, 99, (4, 3, 3, 3)).astype("i1")),
        "matrix": value("matrix", 5, generator.normal(size=(64, 5)).astype("<f4")),
    }


def model(version: int = 2, label: bytes = b"v2.14-rc") -> bytes:
    """A whole file."""
    topology = program()
    parts = values()
    head = struct.pack("<H16sQ", version, label + b"\0\xaa", len(topology))
    described = struct.pack("<HHHHI", 0, 0, 6, len(parts), 4096)
    return head + topology + described + b"".join(parts.values())


def samples() -> tuple[Sample, ...]:
    """A quantised net."""
    return (Sample(name="optimised", format="paddle_lite", source=model, file_name="net.nb"),)
