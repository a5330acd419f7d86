"""Layers of an OpenVINO network, as its XML has them.

**Source:** https://docs.openvino.ai/2026/documentation/openvino-ir-format.html
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from gaugenn.errors import FormatError
from gaugenn.formats._attributes import LARGEST
from gaugenn.formats._xml import Element
from gaugenn.graph import AttributeValue, DataType, Shape

TYPES: Mapping[str, DataType] = {
    "f16": DataType.FLOAT16,
    "f32": DataType.FLOAT32,
    "f64": DataType.FLOAT64,
    "bf16": DataType.BFLOAT16,
    "f8e4m3": DataType.FLOAT8_E4M3FN,
    "f8e5m2": DataType.FLOAT8_E5M2,
    "f8e8m0": DataType.FLOAT8_E8M0FNU,
    "f4e2m1": DataType.FLOAT4_E2M1FN,
    "i4": DataType.INT4,
    "i8": DataType.INT8,
    "i16": DataType.INT16,
    "i32": DataType.INT32,
    "i64": DataType.INT64,
    "u2": DataType.UINT2,
    "u4": DataType.UINT4,
    "u8": DataType.UINT8,
    "u16": DataType.UINT16,
    "u32": DataType.UINT32,
    "u64": DataType.UINT64,
    "bool": DataType.BOOL,
    "boolean": DataType.BOOL,
    "string": DataType.STRING,
    "fp16": DataType.FLOAT16,
    "fp32": DataType.FLOAT32,
    "fp64": DataType.FLOAT64,
}
"""Element types by name: of a `Const` in small letters, of a port in capitals (`FP32`)."""

_INTEGER = re.compile(r"[+-]?\d{1,18}")
_REAL = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,4})?")
_HIGHEST_RANK = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """Where a weight lies in the file beside the XML."""

    role: str
    dtype: DataType
    shape: Shape | None
    offset: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A layer's input or output."""

    id: str
    dtype: DataType
    shape: Shape | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A layer.

    Attributes:
        id: unique among the layers around it.
        name: as in the file.
        type: what it does.
        version: the set of operators that the type belongs to (`opset8`).
        data: its settings, as numbers where they are such.
        inputs: in order.
        outputs: in order.
        blobs: its weights, in old versions; the value of a `Const`.
        bodies: the networks that it runs, by the name of their element.
    """

    id: str
    name: str
    type: str
    version: str
    data: Mapping[str, AttributeValue]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    blobs: tuple[Blob, ...]
    bodies: Mapping[str, "Network"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """Layers in an order in which they can run; `edges` leads from an input port to an output port."""

    layers: tuple[Layer, ...]
    edges: Mapping[tuple[str, str], tuple[str, str]]


def read_network(element: Element) -> Network:
    """A network, or the body of a layer.

    Raises:
        FormatError: no layers, two of one id, or edges in a circle.
    """
    listed = element.first("layers")
    layers = [_layer(each) for each in listed.all("layer")] if listed is not None else []
    by_id = {layer.id: layer for layer in layers}
    if not layers or len(by_id) != len(layers):
        raise FormatError("an OpenVINO network without layers, or with two of one id")
    edges: dict[tuple[str, str], tuple[str, str]] = {}
    after: dict[str, set[str]] = {layer.id: set() for layer in layers}
    wires = element.first("edges")
    for edge in wires.all("edge") if wires is not None else ():
        given = edge.attributes
        source, target = given.get("from-layer", ""), given.get("to-layer", "")
        if source not in by_id or target not in by_id:
            raise FormatError(f"an OpenVINO edge from layer {source[:20]!r} to {target[:20]!r}")
        edges[target, given.get("to-port", "")] = (source, given.get("from-port", ""))
        after[target].add(source)
    try:
        order = tuple(TopologicalSorter(after).static_order())
    except CycleError:
        raise FormatError("OpenVINO layers that take each other's results") from None
    return Network(layers=tuple(by_id[each] for each in order), edges=edges)


def _layer(element: Element) -> Layer:
    given = element.attributes
    kind, identity = given.get("type", ""), given.get("id", "")
    if not kind or not identity:
        raise FormatError("an OpenVINO layer without type or id")
    data = element.first("data")
    settings = {} if data is None else data.attributes
    outputs = _ports(element, "output", given.get("precision", ""))
    blobs = _blobs(element, outputs)
    if kind == "Const" and not blobs and "offset" in settings:
        blobs = (_constant(settings),)
    bodies = {
        each.name: read_network(each)
        for each in element.children
        if each.name in ("body", "then_body", "else_body")
    }
    return Layer(
        id=identity,
        name=given.get("name", ""),
        type=kind,
        version=given.get("version", ""),
        data={name: parsed(value) for name, value in settings.items()},
        inputs=_ports(element, "input", given.get("precision", "")),
        outputs=outputs,
        blobs=blobs,
        bodies=bodies,
    )


def _ports(element: Element, side: str, precision: str) -> tuple[Port, ...]:
    listed = element.first(side)
    found = []
    for port in listed.all("port") if listed is not None else ():
        sizes = [dim.text.strip() for dim in port.all("dim")]
        kind = port.attributes.get("precision", precision)
        found.append(
            Port(
                id=port.attributes.get("id", ""),
                dtype=TYPES.get(kind.lower(), DataType.UNKNOWN),
                shape=shape_of(sizes),
            )
        )
    return tuple(found)


def shape_of(sizes: list[str]) -> Shape | None:
    """A shape from its sizes; "?" and ranges are dynamic, and "..." is any number of them.

    Raises:
        FormatError: an absurd size.
    """
    if "..." in sizes:
        return None
    found: list[int | str] = []
    for size in sizes:
        if not _INTEGER.fullmatch(size):
            found.append("?")
            continue
        number = int(size)
        if not -2 < number < LARGEST:
            raise FormatError(f"OpenVINO sizes {sizes[:8]}")
        found.append("?" if number < 0 else number)
    if len(found) > _HIGHEST_RANK:
        raise FormatError(f"an OpenVINO tensor of {len(found)} dimensions")
    return tuple(found)


def _blobs(element: Element, outputs: tuple[Port, ...]) -> tuple[Blob, ...]:
    """Weights of versions up to 9; of a `Const` they have the shape of its result."""
    listed = element.first("blobs")
    found = []
    for blob in listed.children if listed is not None else ():
        kind = blob.attributes.get("precision", element.attributes.get("precision", ""))
        dtype = TYPES.get(kind.lower(), DataType.UNKNOWN)
        constant = element.attributes.get("type") == "Const" and outputs
        if constant and dtype is DataType.UNKNOWN:
            dtype = outputs[0].dtype
        found.append(
            Blob(
                role=blob.name,
                dtype=dtype,
                shape=outputs[0].shape if constant else None,
                offset=_place(blob.attributes.get("offset", "")),
                size=_place(blob.attributes.get("size", "")),
            )
        )
    return tuple(found)


def _constant(settings: Mapping[str, str]) -> Blob:
    text = settings.get("shape", "").strip()
    return Blob(
        role="value",
        dtype=TYPES.get(settings.get("element_type", "").lower(), DataType.UNKNOWN),
        shape=shape_of([each.strip() for each in text.split(",")]) if text else (),
        offset=_place(settings.get("offset", "")),
        size=_place(settings.get("size", "")),
    )


def _place(text: str) -> int:
    if not _INTEGER.fullmatch(text) or int(text) < 0:
        raise FormatError(f"an OpenVINO weight lies at {text[:20]!r}")
    return int(text)


def parsed(text: str) -> AttributeValue:
    """A setting as what it spells: a flag, a number, a list of numbers, or a text."""
    if text in ("true", "false"):
        return text == "true"
    parts = [part.strip() for part in text.split(",")] if text.strip() else []
    if parts and all(_INTEGER.fullmatch(part) for part in parts):
        numbers = tuple(int(part) for part in parts)
        return numbers if len(numbers) > 1 else numbers[0]
    if parts and all(_REAL.fullmatch(part) for part in parts):
        reals = tuple(float(part) for part in parts)
        return reals if len(reals) > 1 else reals[0]
    return text
