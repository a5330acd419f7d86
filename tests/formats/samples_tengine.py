"""A Tengine sample, put together by hand from the documented layout."""

import struct

from tests.formats.samples import Sample


class _Writer:
    """Appends records and gives their offsets."""

    def __init__(self) -> None:
        self.data = bytearray(struct.pack("<3H2xI", 2, 0, 0, 0))

    def put(self, code: str, *values: float) -> int:
        self.data += bytes(-len(self.data) % 4)
        at = len(self.data)
        self.data += struct.pack("<" + code, *values)
        return at

    def raw(self, held: bytes) -> int:
        at = self.put("")
        self.data += held
        return at

    def text(self, text: str) -> int:
        held = text.encode() + b"\0"
        return self.put("2I", len(held), self.raw(held))

    def vector(self, *values: int) -> int:
        return self.put(f"I{len(values)}i", len(values), *values)


def build(*, with_data: bool = True, layout: int = 0) -> bytes:
    """Convolution with Relu6, max pooling, a fully connected layer; the second weight has scales."""
    out = _Writer()
    model = out.text("net")
    data: list[tuple[str, tuple[int, ...], int, int]] = [
        ("data", (1, 3, 8, 8), 3, 0),
        ("conv.w", (4, 3, 3, 3), 2, 0),
        ("conv.b", (4,), 2, 0),
        ("conv", (), 1, 0),
        ("pool", (), 1, 0),
        ("fc.w", (10, 64), 2, 2),
        ("fc", (), 1, 0),
    ]
    tensors, buffers = [], []
    for index, (name, sizes, kind, dtype) in enumerate(data):
        count = 1
        for size in sizes:
            count *= size
        held = count * (1 if dtype else 4)
        buffer = len(buffers)
        if kind == 2:
            body = bytes(i % 251 for i in range(held))
            at = out.raw(body) if with_data else 0
            buffers.append(out.put("2I", held, at))
        scales = out.vector(out.put("ifi", 0, 0.5, 8)) if dtype else 0
        dims = out.vector(*sizes) if sizes else 0
        tensors.append(
            out.put("5I3i", index, buffer, dims, out.text(name), scales, layout, kind, dtype)
        )
    convolution = out.put("14i", 3, 3, 1, 1, 1, 1, 3, 4, 1, 6, 1, 1, 1, 1)
    pooling = out.put("11i", 0, 2, 2, 2, 2, 0, 0, 0, 0, 0, 0)
    connected = out.put("i", 10)
    nodes = []
    for index, (number, parameters, taken, made) in enumerate(
        [
            (12, 0, (), 0),
            (4, 0, (), 1),
            (4, 0, (), 2),
            (5, convolution, (0, 1, 2), 3),
            (16, pooling, (3,), 4),
            (4, 0, (), 5),
            (11, connected, (4, 5), 6),
        ]
    ):
        operator = out.put("3I", 1, number, parameters)
        inputs = out.vector(*taken) if taken else 0
        outputs = out.vector(made)
        name = out.text(data[made][0])
        nodes.append(out.put("6I", index, inputs, outputs, operator, name, 0))
    graph = out.put(
        "I2i7I",
        0,
        layout,
        layout,
        out.vector(0),
        out.vector(6),
        out.vector(*nodes),
        out.vector(*tensors),
        out.vector(*buffers),
        0,
        0,
    )
    root = out.put("2i2I", 2, 0, out.vector(graph), model)
    struct.pack_into("<I", out.data, 8, root)
    return bytes(out.data)


def samples() -> tuple[Sample, ...]:
    """With weights, and without, as benchmark files are."""
    return (
        Sample(name="net", format="tengine", source=build, file_name="net.tmfile"),
        Sample(
            name="benchmark",
            format="tengine",
            source=lambda: build(with_data=False),
            file_name="net.tmfile",
        ),
    )
