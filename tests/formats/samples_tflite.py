"""TensorFlow Lite samples, assembled field by field."""

import io
import struct
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from gaugenn.formats._tflite_schema import OPERATORS
from tests.formats._flatbuffer_builder import Fields, Value, build
from tests.formats.samples import Sample

FLOAT32, FLOAT16, INT32, UINT8, INT64, BOOL, INT8, INT4 = 0, 1, 2, 3, 4, 6, 9, 17

NONE, RELU, RELU6 = 0, 1, 3


@dataclass(kw_only=True)
class File:
    """A model in the making. Buffer 0 is the empty one."""

    codes: list[Fields] = field(default_factory=list)
    buffers: list[dict[int, Value]] = field(default_factory=lambda: [{}])
    graphs: list["GraphOf"] = field(default_factory=list)
    more: dict[int, Value] = field(default_factory=dict)
    version: int = 3
    identifier: bytes = b"TFL3"

    def graph(self, name: str = "main") -> "GraphOf":
        """A new, empty sub-graph."""
        self.graphs.append(GraphOf(file=self, name=name))
        return self.graphs[-1]

    def buffer(self, data: bytes) -> int:
        """A new buffer inside the file."""
        self.buffers.append({0: data})
        return len(self.buffers) - 1

    def code(self, operator: str) -> int:
        """The index of an operator code; unknown names are custom operators."""
        number = OPERATORS.index(operator) if operator in OPERATORS else 32
        wanted: dict[int, Value] = {0: ("i8", min(number, 127)), 3: ("i32", number)}
        if number == 32:
            wanted[1] = operator
        if wanted not in self.codes:
            self.codes.append(wanted)
        return self.codes.index(wanted)

    def data(self) -> bytes:
        """The file."""
        root: dict[int, Value] = {
            0: ("u32", self.version),
            1: [*self.codes],
            2: [graph.fields() for graph in self.graphs],
            3: "MLIR Converted.",
            4: [*self.buffers],
            **self.more,
        }
        return build(root, self.identifier)


@dataclass(kw_only=True)
class GraphOf:
    """A sub-graph in the making."""

    file: File
    name: str
    tensors: list[Fields] = field(default_factory=list)
    operators: list[Fields] = field(default_factory=list)
    inputs: Sequence[int] = ()
    outputs: Sequence[int] = ()

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        dtype: int = FLOAT32,
        *,
        data: bytes | None = None,
        scales: Sequence[float] = (),
        axis: int = 0,
        more: Fields | None = None,
    ) -> int:
        """A new tensor; `more` adds fields."""
        fields: dict[int, Value] = {
            0: ("[i32]", tuple(shape)),
            1: ("i8", dtype),
            2: ("u32", 0 if data is None else self.file.buffer(data)),
            3: name,
            8: ("bool", True),
        }
        if scales:
            fields[4] = {
                2: ("[f32]", tuple(scales)),
                3: ("[i64]", (0,) * len(scales)),
                6: ("i32", axis),
            }
        self.tensors.append({**fields, **(more or {})})
        return len(self.tensors) - 1

    def operator(
        self,
        name: str,
        inputs: Sequence[int],
        outputs: Sequence[int],
        options: tuple[int, Fields] | None = None,
        more: Fields | None = None,
    ) -> None:
        """A new operator; `options` are the union's member number and table."""
        fields: dict[int, Value] = {
            0: ("u32", self.file.code(name)),
            1: ("[i32]", tuple(inputs)),
            2: ("[i32]", tuple(outputs)),
        }
        if options is not None:
            fields |= {3: ("u8", options[0]), 4: options[1]}
        self.operators.append({**fields, **(more or {})})

    def fields(self) -> Fields:
        """The sub-graph's table."""
        return {
            0: [*self.tensors],
            1: ("[i32]", tuple(self.inputs)),
            2: ("[i32]", tuple(self.outputs)),
            3: [*self.operators],
            4: self.name,
        }


def floats(count: int) -> bytes:
    """Float32 bytes."""
    return struct.pack(f"<{count}f", *(0.5 * i for i in range(count)))


def integers(*values: int) -> bytes:
    """Int32 bytes."""
    return struct.pack(f"<{len(values)}i", *values)


def convolution(stride: int = 1, activation: int = NONE, padding: int = 0) -> tuple[int, Fields]:
    """Options of `CONV_2D`."""
    return 1, {
        0: ("i8", padding),
        1: ("i32", stride),
        2: ("i32", stride),
        3: ("i8", activation),
    }


def float_file() -> File:
    """Convolution, depthwise convolution, reshape and fully connected."""
    file = File()
    graph = file.graph()
    image = graph.tensor("image", (1, 8, 8, 3))
    kernel = graph.tensor("kernel", (4, 3, 3, 3), data=floats(108))
    bias = graph.tensor("bias", (4,), data=floats(4))
    first = graph.tensor("first", (1, 4, 4, 4))
    graph.operator("CONV_2D", (image, kernel, bias), (first,), convolution(2, RELU6))
    deep = graph.tensor("deep", (1, 3, 3, 8), data=floats(72))
    second = graph.tensor("second", (1, 2, 2, 8))
    options: Fields = {0: ("i8", 1), 1: ("i32", 1), 2: ("i32", 1), 3: ("i32", 2), 4: ("i8", RELU)}
    graph.operator("DEPTHWISE_CONV_2D", (first, deep, -1), (second,), (2, options))
    shape = graph.tensor("shape", (2,), INT32, data=integers(1, 32))
    flat = graph.tensor("flat", (1, 32))
    graph.operator("RESHAPE", (second, shape), (flat,), (17, {0: ("[i32]", (1, 32))}))
    dense = graph.tensor("dense", (5, 32), data=floats(160))
    scores = graph.tensor("scores", (1, 5))
    graph.operator("FULLY_CONNECTED", (flat, dense), (scores,), (8, {0: ("i8", NONE)}))
    graph.inputs, graph.outputs = (image,), (scores,)
    return file


def quantized_file() -> File:
    """Int8 with one scale a channel, an unnamed and a repeated tensor name, signatures."""
    file = File()
    graph = file.graph()
    image = graph.tensor("image", (1, 4, 4, 2), INT8, scales=(0.5,))
    scales = (0.25, 0.5, 1.0)
    kernel = graph.tensor("", (3, 1, 1, 2), INT8, data=bytes(range(6)), scales=scales)
    bias = graph.tensor("image", (3,), INT32, data=integers(1, 2, 3), scales=scales, axis=3)
    result = graph.tensor("result", (1, 4, 4, 3), INT8, scales=(1.0,))
    graph.operator("CONV_2D", (image, kernel, bias), (result,), convolution())
    graph.inputs, graph.outputs = (image,), (result,)
    file.more[7] = [
        {
            0: [{0: "in", 1: ("u32", image)}],
            1: [{0: "out", 1: ("u32", result)}],
            2: "serving_default",
        }
    ]
    file.more[6] = [{0: "min_runtime_version", 1: ("u32", file.buffer(b"2.3.0".ljust(16, b"\0")))}]
    return file


def control_flow_file() -> File:
    """`IF` and `WHILE` with their bodies, and `CALL_ONCE` with a variable."""
    file = File()
    main = file.graph()
    flag = main.tensor("flag", (), BOOL)
    start = main.tensor("start", (1,))
    chosen = main.tensor("chosen", (1,))
    last = main.tensor("last", (1,))
    main.operator("CALL_ONCE", (), (), (103, {0: ("i32", 5)}))
    main.operator("IF", (flag, start), (chosen,), (92, {0: ("i32", 1), 1: ("i32", 2)}))
    main.operator("WHILE", (chosen,), (last,), (93, {0: ("i32", 3), 1: ("i32", 4)}))
    main.inputs, main.outputs = (flag, start), (last,)
    for name, operator in (("then", "ABS"), ("else", "NEG"), ("cond", ""), ("body", "RELU")):
        graph = file.graph(name)
        value = graph.tensor("value", (1,))
        if operator:
            result = graph.tensor("result", (1,))
            graph.operator(operator, (value,), (result,))
        else:
            limit = graph.tensor("limit", (1,), data=floats(1))
            result = graph.tensor("result", (1,), BOOL)
            graph.operator("LESS", (value, limit), (result,))
        graph.inputs, graph.outputs = (value,), (result,)
    init = file.graph("init")
    handle = init.tensor("handle", (), 13)
    init.operator("VAR_HANDLE", (), (handle,), (111, {0: "", 1: "state"}))
    value = init.tensor("zero", (1,), data=floats(1))
    init.operator("ASSIGN_VARIABLE", (handle, value), (), (113, {}))
    return file


def blockwise_file() -> File:
    """Int4 weights with a scale for each block of 32, which a tensor holds."""
    file = File()
    graph = file.graph()
    scales = graph.tensor("scales", (4, 2), FLOAT16, data=bytes(16))
    details: Fields = {0: ("i32", scales), 1: ("i32", -1), 2: ("i32", 32)}
    quantization: Fields = {4: {4: ("u8", 2), 5: details, 6: ("i32", 0)}}
    weights = graph.tensor("weights", (4, 64), INT4, data=bytes(128), more=quantization)
    value = graph.tensor("value", (1, 3, 64))
    result = graph.tensor("result", (1, 3, 4))
    graph.operator("FULLY_CONNECTED", (value, weights, -1), (result,), (8, {2: ("bool", True)}))
    graph.inputs, graph.outputs = (value,), (result,)
    return file


def sparse_file() -> File:
    """A 4 x 4 matrix in blocks of 2 x 2 of which two are stored, made dense by `DENSIFY`."""
    file = File()
    graph = file.graph()
    dense: Fields = {0: ("i8", 0), 1: ("i32", 2)}
    compressed: Fields = {
        0: ("i8", 1),
        2: ("u8", 3),
        3: {0: bytes((0, 1, 2))},
        4: ("u8", 2),
        5: {0: ("[u16]", (1, 0))},
    }
    sparsity: Fields = {
        0: ("[i32]", (0, 1, 2, 3)),
        1: ("[i32]", (0, 1)),
        2: [dense, compressed, dense, dense],
    }
    stored = struct.pack("<8f", *range(1, 9))
    weights = graph.tensor("weights", (4, 4), data=stored, more={6: sparsity})
    plain = graph.tensor("plain", (4, 4))
    graph.operator("DENSIFY", (weights,), (plain,), (99, {}))
    value = graph.tensor("value", (1, 4))
    result = graph.tensor("result", (1, 4))
    graph.operator("FULLY_CONNECTED", (value, plain, -1), (result,), (8, {}))
    graph.inputs, graph.outputs = (value,), (result,)
    return file


def external_file(packing: str = "") -> File:
    """Weights in another file; the bias inside."""
    file = File()
    graph = file.graph()
    value = graph.tensor("value", (1, 4))
    weights = graph.tensor("weights", (2, 4), more={10: ("u32", 1 << 31)})
    bias = graph.tensor("bias", (2,), data=floats(2))
    result = graph.tensor("result", (1, 2))
    graph.operator("FULLY_CONNECTED", (value, weights, bias), (result,), (8, {}))
    graph.inputs, graph.outputs = (value,), (result,)
    file.more[8] = [{0: "weights.bin"}]
    slice_of: dict[int, Value] = {
        0: ("u32", 1 << 31),
        1: ("u32", 0),
        2: ("u64", 4),
        3: ("u64", 32),
    }
    file.more[9] = [{**slice_of, 4: packing} if packing else slice_of]
    return file


def appended() -> bytes:
    """Weights behind the FlatBuffer in the same file, by offset and size."""

    def made(offset: int) -> bytes:
        file = File()
        graph = file.graph()
        value = graph.tensor("value", (1, 4))
        file.buffers.append({1: ("u64", offset), 2: ("u64", 32)})
        weights = graph.tensor("weights", (2, 4), more={2: ("u32", 1)})
        result = graph.tensor("result", (1, 2))
        graph.operator("FULLY_CONNECTED", (value, weights), (result,), (8, {}))
        graph.inputs, graph.outputs = (value,), (result,)
        return file.data()

    size = len(made(2))
    offset = size + -size % 16
    return made(offset).ljust(offset, b"\0") + floats(8)


def with_metadata() -> bytes:
    """Described by `TFLITE_METADATA`, with a label file in a zip behind the model."""
    file = float_file()
    description: Fields = {0: "Digits", 1: "Reads digits", 2: "v1", 4: "Nobody", 5: "CC0"}
    buffer = file.buffer(build(description, b"M001"))
    file.more[6] = [{0: "TFLITE_METADATA", 1: ("u32", buffer)}]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(zipfile.ZipInfo("labels.txt"), "zero\none\n")
    return file.data() + packed.getvalue()


def stripped() -> bytes:
    """The identifier zeroed, as some apps do to hide a model."""
    file = quantized_file()
    file.identifier = bytes(4)
    return file.data()


def custom_file() -> File:
    """Custom operators: one for an accelerator, one of TensorFlow, one that ONNX knows."""
    file = File()
    graph = file.graph()
    value = graph.tensor("value", (1, 4, 4, 2))
    halfway = graph.tensor("halfway", (1, 4, 4, 2))
    graph.operator("edgetpu-custom-op", (value,), (halfway,), more={5: bytes(40)})
    erf = graph.tensor("erf", (1, 4, 4, 2))
    graph.operator("FlexErf", (halfway,), (erf,))
    weights = graph.tensor("weights", (3, 2, 2, 2), data=floats(24))
    bias = graph.tensor("bias", (3,), data=floats(3))
    result = graph.tensor("result", (1, 8, 8, 3))
    graph.operator(
        "Convolution2DTransposeBias", (erf, weights, bias), (result,), more={5: integers(1, 2, 2)}
    )
    graph.inputs, graph.outputs = (value,), (result,)
    return file


def dynamic_file() -> File:
    """A batch of any size, a result of unknown rank, and a code that no schema has yet."""
    file = File()
    graph = file.graph()
    value = graph.tensor("value", (1, 4), more={7: ("[i32]", (-1, 4))})
    softmax = graph.tensor("softmax", (1, 4), more={7: ("[i32]", (-1, 4))})
    graph.operator("SOFTMAX", (value,), (softmax,), (9, {0: ("f32", 1.0)}))
    result = graph.tensor("result", (), more={8: ("bool", False)})
    file.codes.append({0: ("i8", 127), 3: ("i32", 4321)})
    graph.operators.append(
        {0: ("u32", 1), 1: ("[i32]", (softmax,)), 2: ("[i32]", (result,))},
    )
    graph.inputs, graph.outputs = (value,), (result,)
    return file


def stablehlo_file() -> File:
    """StableHLO operators, whose options stand in the second union."""
    file = File()
    graph = file.graph()
    value = graph.tensor("value", (1, 6, 6, 2))
    weights = graph.tensor("weights", (3, 3, 2, 4), data=floats(72))
    result = graph.tensor("result", (1, 4, 4, 4))
    options: Fields = {
        0: ("[i64]", (1, 1)),
        5: ("i64", 0),
        6: ("i64", 3),
        7: ("[i64]", (1, 2)),
        8: ("i64", 2),
        9: ("i64", 3),
        10: ("[i64]", (0, 1)),
        11: ("i64", 0),
        12: ("i64", 3),
        13: ("[i64]", (1, 2)),
        14: ("i64", 1),
        15: ("i64", 1),
    }
    second: Fields = {11: ("u8", 4), 12: options}
    graph.operator("STABLEHLO_CONVOLUTION", (value, weights), (result,), more=second)
    turned = graph.tensor("turned", (1, 4, 4, 4))
    order: Fields = {11: ("u8", 17), 12: {0: ("[i64]", (0, 2, 1, 3))}}
    graph.operator("STABLEHLO_TRANSPOSE", (result,), (turned,), more=order)
    graph.inputs, graph.outputs = (value,), (turned,)
    return file


def samples() -> Iterable[Sample]:
    """Every sample of the format."""
    made = {
        "float": float_file().data,
        "int8_per_channel": quantized_file().data,
        "control_flow": control_flow_file().data,
        "int4_blockwise": blockwise_file().data,
        "sparse": sparse_file().data,
        "weights_appended": appended,
        "metadata_zip": with_metadata,
        "identifier_stripped": stripped,
        "custom_operators": custom_file().data,
        "dynamic": dynamic_file().data,
        "stablehlo": stablehlo_file().data,
    }
    for name, source in made.items():
        yield Sample(name=name, format="tflite", source=source, file_name=f"{name}.tflite")
    yield Sample(
        name="external_weights",
        format="tflite",
        source=external_file().data,
        file_name="external_weights.tflite",
        neighbours={"weights.bin": bytes(4) + floats(8)},
    )
