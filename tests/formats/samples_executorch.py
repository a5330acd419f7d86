"""ExecuTorch samples, assembled field by field: its exporter needs PyTorch and a compiler."""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tests.formats._flatbuffer_builder import Fields, Value, build
from tests.formats.samples import Sample

INT8, INT32, FLOAT32 = 1, 3, 6
KINDS = {"null": 1, "int": 2, "bool": 3, "double": 4, "tensor": 5, "ints": 7, "tensors": 10}


@dataclass(kw_only=True)
class Program:
    """A program in the making."""

    values: list[Value] = field(default_factory=list)
    stored: list[bytes] = field(default_factory=lambda: [b""])
    operators: list[str] = field(default_factory=list)
    instructions: list[Value] = field(default_factory=list)
    delegates: list[Value] = field(default_factory=list)

    def value(self, kind: str, contents: Fields | None = None) -> int:
        """A new value."""
        self.values.append({0: ("u8", KINDS[kind]), 1: contents or {}})
        return len(self.values) - 1

    def integer(self, number: int) -> int:
        """A whole number."""
        return self.value("int", {0: ("i64", number)})

    def integers(self, *numbers: int) -> int:
        """A list of whole numbers, which are values themselves."""
        return self.value("ints", {0: ("[i64]", [self.integer(n) for n in numbers])})

    def tensor(
        self,
        shape: Sequence[int],
        dtype: int = FLOAT32,
        data: bytes | None = None,
        order: Sequence[int] | None = None,
        place: int | None = None,
        more: Fields | None = None,
    ) -> int:
        """A new tensor; those without data lie somewhere in memory."""
        made: dict[int, Value] = {
            0: ("i8", dtype),
            2: ("[i32]", tuple(shape)),
            3: ("[u8]", tuple(order or range(len(shape)))),
        }
        if data is None:
            made[6] = {0: ("u32", 1), 1: ("u32", 64 * len(self.values) if place is None else place)}
        else:
            made[5] = ("u32", len(self.stored))
            self.stored.append(data)
        return self.value("tensor", {**made, **(more or {})})

    def call(self, kernel: str, arguments: Sequence[int], results: Sequence[int]) -> None:
        """A new call; results stand twice, but once for primitives."""
        if kernel not in self.operators:
            self.operators.append(kernel)
        twice = () if kernel.startswith("executorch_prim") else results
        everything = (*arguments, *results, *twice)
        number = self.operators.index(kernel)
        self.instruction(1, {0: ("i32", number), 1: ("[i32]", everything)})

    def instruction(self, kind: int, contents: Fields) -> None:
        """A new instruction."""
        self.instructions.append({0: ("u8", kind), 1: contents})

    def plan(self, inputs: Sequence[int], outputs: Sequence[int]) -> Fields:
        """The entry point."""
        return {
            0: "forward",
            2: [*self.values],
            3: ("[i32]", tuple(inputs)),
            4: ("[i32]", tuple(outputs)),
            5: [{2: [*self.instructions]}],
            6: [{0: name, 1: "out"} for name in self.operators],
            7: [*self.delegates],
        }

    def data(self, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        """The file, with tensors inside of the program as in older ones."""
        buffers: list[Value] = [{0: data} for data in self.stored]
        return build({0: ("u32", 0), 1: [self.plan(inputs, outputs)], 2: buffers}, b"ET12")

    def segmented(self, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        """The file, with tensors behind the program as in newer ones."""
        starts, segment = [], b""
        for held in self.stored:
            segment += bytes(-len(segment) % 16)
            starts.append(len(segment))
            segment += held
        root: Fields = {
            0: ("u32", 0),
            1: [self.plan(inputs, outputs)],
            4: [{0: ("u64", 0), 1: ("u64", len(segment))}],
            5: {0: ("u32", 0), 1: ("[u64]", starts)},
        }
        program = build(root, b"ET12" + bytes(24))
        base = -(-len(program) // 16) * 16
        header = struct.pack("<4sIQQ", b"eh00", 24, len(program), base)
        return (program[:8] + header + program[32:]).ljust(base, b"\0") + segment


def floats(count: int) -> bytes:
    """Float32 bytes."""
    return struct.pack(f"<{count}f", *(0.5 * i for i in range(count)))


def convolutional() -> bytes:
    """Convolution, a view that leaves no call, a fully connected layer, a list of tensors."""
    made = Program()
    image = made.tensor((1, 3, 8, 8))
    kernel = made.tensor((4, 3, 3, 3), data=floats(108), order=(0, 2, 3, 1))
    absent = made.value("null")
    stride, pad, dilation, extra = (made.integers(n, n) for n in (2, 1, 1, 0))
    no, one = made.value("bool", {0: ("bool", False)}), made.integer(1)
    first = made.tensor((1, 4, 4, 4), place=4096)
    arguments = (image, kernel, absent, stride, pad, dilation, no, extra, one)
    made.call("aten::convolution", arguments, (first,))
    flat = made.tensor((1, 64), place=4096)
    bias, weight = made.tensor((5,), data=floats(5)), made.tensor((64, 5), data=floats(320))
    dense = made.tensor((1, 5))
    made.call("aten::addmm", (bias, flat, weight, one, one), (dense,))
    both = made.value("tensors", {0: ("[i32]", (dense, dense))})
    joined = made.tensor((1, 10))
    made.call("aten::cat", (both, one), (joined,))
    return made.segmented((image,), (joined,))


def quantized() -> bytes:
    """8-bit kernels for microcontrollers, with tensors inside of the program."""
    made = Program()
    image, small = made.tensor((1, 4, 6, 6)), made.tensor((1, 4, 6, 6), INT8, order=(0, 2, 3, 1))
    scale = made.value("double", {0: ("f64", 0.25)})
    numbers = [made.integer(n) for n in (-3, -128, 127, 1)]
    made.call("cortex_m::quantize_per_tensor", (image, scale, *numbers), (small,))
    kernel = made.tensor((1, 3, 3, 4), INT8, bytes(36))
    bias, factors = (made.tensor((4,), INT32, bytes(16)) for _ in range(2))
    one, zero = made.integers(1, 1), made.integers(0, 0)
    last = made.tensor((1, 4, 4, 4), INT8, order=(0, 2, 3, 1))
    rest = (numbers[3], numbers[0], numbers[0], factors, factors, numbers[1], numbers[2])
    made.call(
        "cortex_m::quantized_depthwise_conv2d",
        (small, kernel, bias, one, zero, one, *rest),
        (last,),
    )
    return made.data((image,), (last,))


def delegated() -> bytes:
    """A delegate between a kernel without a counterpart and a primitive, and a jump."""
    made = Program()
    image, other, third = (made.tensor((4,)) for _ in range(3))
    made.delegates.append({0: "QnnBackend"})
    made.instruction(2, {0: ("i32", 0), 1: ("[i32]", (image, other))})
    made.call("custom::op", (other, made.integer(3)), (third,))
    axis, size = made.integer(0), made.integer(0)
    made.call("executorch_prim::sym_size", (third, axis), (size,))
    made.instruction(4, {0: ("i32", size), 1: ("i32", 1)})
    return made.data((image,), (third,))


ADD, FULLY, CLAMP, CONV, DEPTHWISE, CONVERT = 1, 2, 6, 7, 13, 18
NONE = 0xFFFFFFFF


def xnn_value(
    number: int, *sizes: int, dtype: int = 1, constant: int = 0, scale: float = 0.0
) -> Fields:
    """A value of XNNPACK's graph."""
    plain: Fields = {
        0: ("i16", dtype),
        1: ("u32", len(sizes)),
        2: ("[u32]", sizes),
        3: ("u32", constant),
        6: ("u32", number),
    }
    if not scale:
        return {0: ("u8", 1), 1: plain}
    details: Fields = {0: ("f32", scale), 1: ("i32", 3)}
    return {0: ("u8", 2), 1: {0: plain, 1: ("u8", 2), 2: details}}


def xnn_node(kind: int, *numbers: int, limits: tuple[float, float] | None = None) -> Fields:
    """A node whose fields are all whole numbers."""
    own: Fields = {at: ("u32", number) for at, number in enumerate(numbers)}
    node: dict[int, Value] = {0: ("u8", kind), 1: own}
    if limits is not None:
        node[3] = {0: ("f32", limits[0]), 1: ("f32", limits[1])}
    return node


def xnn_graph(*, behind: bool = True, named: bool = False) -> bytes:
    """A convolution, a depthwise one, a conversion and a product, with weights behind the graph."""
    window = (0, 1, 1, 0, 3, 3, 2, 2, 1, 1)
    constants = [floats(4 * 27), floats(4 * 9), floats(64 * 5), floats(5)]
    values: list[Value] = [
        xnn_value(0, 1, 8, 8, 3),
        xnn_value(1, 4, 3, 3, 3, constant=1),
        xnn_value(2, 1, 4, 4, 4),
        xnn_value(3, 1, 3, 3, 4, constant=2),
        xnn_value(4, 1, 4, 4, 4),
        xnn_value(5, 1, 4, 4, 4, dtype=3, scale=0.5),
        xnn_value(6, 1, 64),
        xnn_value(7, 5, 64, constant=3),
        xnn_value(8, 5, constant=4),
        xnn_value(9, 1, 5),
    ]
    reshape: Fields = {1: ("[u32]", (1, 64)), 2: ("u32", 5), 3: ("u32", 6)}
    nodes: list[Value] = [
        xnn_node(CONV, *window, 3, 4, 1, 0, 0, 0, 1, NONE, 2, 0, limits=(0.0, float("inf"))),
        xnn_node(DEPTHWISE, 1, 1, 1, 1, 3, 3, 1, 1, 1, 1, 1, 1, 4, 0, 0, 2, 3, NONE, 4, 0),
        xnn_node(CONVERT, 4, 5, 0),
        {0: ("u8", 20), 1: reshape},
        xnn_node(FULLY, 6, 7, 8, 9, 0),
    ]
    root: dict[int, Value] = {
        1: nodes,
        2: values,
        4: ("[u32]", (0,)),
        5: ("[u32]", (9,)),
    }
    if not behind:
        return build(root | {6: [{}, *({0: each} for each in constants)]}, b"XN00")
    body = b""
    places: list[Value] = [{}]
    for number, each in enumerate(constants):
        if named and not number:
            places.append({0: ("u64", 2**64 - 1), 2: "first"})
            continue
        places.append({0: ("u64", len(body)), 1: ("u64", len(each))})
        body += each
    graph = build(root | {8: places}, b"XN01")
    base = 32 + -(-len(graph) // 16) * 16
    header = struct.pack("<4x4sH3IQ", b"XH00", 30, 32, len(graph), base, len(body))
    return (header.ljust(32, b"\0") + graph).ljust(base, b"\0") + body


def cpu_delegate(data: bytes | None = None, plan: tuple[Program, int, int] | None = None) -> bytes:
    """A program that XNNPACK runs as a whole; `plan` has its input and its output."""
    if plan is None:
        made = Program()
        plan = (made, made.tensor((1, 8, 8, 3)), made.tensor((1, 5)))
    made, image, scores = plan
    made.delegates.append({0: "XnnpackBackend", 1: {0: ("i8", 0), 1: ("u32", 0)}})
    made.instruction(2, {0: ("i32", 0), 1: ("[i32]", (image, scores))})
    root: Fields = {
        0: ("u32", 0),
        1: [made.plan((image,), (scores,))],
        3: [{0: xnn_graph() if data is None else data}],
    }
    return build(root, b"ET12")


def samples() -> Iterable[Sample]:
    """Tensors inside and behind the program, a delegate of an accelerator and one of the CPU."""
    for source in (convolutional, quantized, delegated, cpu_delegate):
        name = source.__name__
        yield Sample(name=name, format="executorch", source=source, file_name=f"{name}.pte")
