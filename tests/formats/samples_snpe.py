"""SNPE samples, assembled field by field: its converter is not on PyPI."""

import io
import struct
import zipfile
from collections.abc import Iterable, Mapping, Sequence

from tests.formats._flatbuffer_builder import Fields, Value, build
from tests.formats.samples import Sample

Attribute = bool | int | float | str | tuple[int, ...] | Mapping[str, "Attribute"]

PLAIN = {"stride": 1, "stride_y": 1, "dilation_x": 1, "dilation_y": 1, "groups": 1}


def attribute(name: str, value: Attribute) -> Fields:
    """An attribute of the kind that the value has."""
    if isinstance(value, bool):
        return {0: name, 1: ("u8", 1), 2: ("bool", value)}
    if isinstance(value, int):
        return {0: name, 1: ("u8", 2), 3: ("i32", value)}
    if isinstance(value, float):
        return {0: name, 1: ("u8", 4), 5: ("f32", value)}
    if isinstance(value, str):
        return {0: name, 1: ("u8", 5), 6: value}
    if isinstance(value, tuple):
        return {0: name, 1: ("u8", 8), 9: ("[i32]", value)}
    return {0: name, 1: ("u8", 11), 12: attributes(value)}


def attributes(values: Mapping[str, Attribute]) -> list[Value]:
    """Attributes."""
    return [attribute(name, value) for name, value in values.items()]


def encoding(delta: float, offset: float) -> Attribute:
    """How 8-bit integers map to real numbers."""
    element: Attribute = {"0": {"delta": delta, "offset": offset, "precision": 520}}
    return {"0": {"DataEncodingElement": element, "axis": -1}}


def layer(
    kind: str,
    inputs: Sequence[str],
    output: str,
    shape: tuple[int, ...],
    values: Mapping[str, Attribute] | None = None,
) -> Fields:
    """A layer, named after its result."""
    more: dict[str, Attribute] = {"OutputDims": {"0": shape}, **(values or {})}
    return {1: output, 2: kind, 3: [*inputs], 4: [output], 5: attributes(more)}


def weights(layer_name: str, **tensors: tuple[tuple[int, ...], Fields]) -> Fields:
    """A layer's weights."""
    held: list[Value] = [
        {
            0: name,
            1: ("[i32]", shape),
            2: data,
            3: attributes({"DataEncoding": encoding(0.5, -3.0)}),
        }
        for name, (shape, data) in tensors.items()
    ]
    return {0: layer_name, 1: held}


def reals(count: int) -> Fields:
    """Float32 contents."""
    return {0: ("u8", 9), 2: ("[f32]", [0.5 * i for i in range(count)])}


def integers(count: int) -> Fields:
    """8-bit contents."""
    return {0: ("u8", 6), 1: bytes(i % 256 for i in range(count))}


def container(
    layers: Sequence[Fields],
    parts: Sequence[Fields],
    version: int = 3,
    method: int = zipfile.ZIP_STORED,
) -> bytes:
    """The file."""
    prefix = struct.pack("<2sHHH", b"\xd5\x0a", version, 0, 0)
    out = io.BytesIO()
    members = {
        "dlc.metadata": b"converter-command=snpe-onnx-to-dlc x=1\nconverter-version=1.61.0\n",
        "model": prefix + build({1: [*layers]}, b"NETD"),
        "model.params": prefix + build({0: [*parts]}, b"NETP"),
    }
    with zipfile.ZipFile(out, "w", method) as file:
        for name, data in members.items():
            file.writestr(zipfile.ZipInfo(name), data, method)
    return out.getvalue()


def network() -> tuple[list[Fields], list[Fields]]:
    """Convolution, activation, sum, permutation, dense layer, constant, concatenation, and another."""
    window = {**PLAIN, "stride": 2, "stride_y": 2, "padding": 1, "padding_y": 1}
    layers = [
        layer("Input", ("image",), "image", (1, 8, 8, 3)),
        layer("Convolutional", ("image",), "first", (1, 4, 4, 4), window),
        layer("Neuron", ("first",), "active", (1, 4, 4, 4), {"type": 1}),
        layer("ElementwiseBinaryOp", ("active", "first"), "sum", (1, 4, 4, 4), {"op": 0}),
        layer("Permute", ("sum",), "turned", (1, 4, 4, 4), {"order": (0, 3, 1, 2)}),
        layer("FullyConnected", ("turned",), "dense", (1, 5)),
        layer("Const", (), "fixed", (1, 2)),
        layer("Concat", ("dense", "fixed"), "scores", (1, 7), {"axis": 1}),
        layer("Softmax", ("scores",), "last", (1, 7), {"beta": 1.0}),
    ]
    parts = [
        weights("first", bias=((4,), reals(4)), weights_0=((3, 3, 3, 4), reals(108))),
        weights("dense", weights_0=((5, 64), reals(320))),
        weights("fixed", value=((1, 2), reals(2))),
    ]
    return layers, parts


def plain() -> bytes:
    """Float weights, stored."""
    return container(*network())


def deflated() -> bytes:
    """The same, deflated."""
    return container(*network(), method=zipfile.ZIP_DEFLATED)


def quantized() -> bytes:
    """8-bit weights and results."""
    code: dict[str, Attribute] = {"DataEncoding": encoding(0.25, -7.0)}
    layers = [
        layer("Input", ("image",), "image", (1, 4, 4, 3)),
        layer("Convolutional", ("image",), "first", (1, 2, 2, 4), {**PLAIN, **code}),
    ]
    return container(layers, [weights("first", weights_0=((3, 3, 3, 4), integers(108)))])


def samples() -> Iterable[Sample]:
    """Float, deflated and quantised."""
    for source in (plain, deflated, quantized):
        name = source.__name__
        yield Sample(name=name, format="snpe", source=source, file_name=f"{name}.dlc")
