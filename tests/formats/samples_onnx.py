"""ONNX samples, made with the `onnx` package."""

from collections.abc import Callable, Iterable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.formats.samples import Sample

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
MICROSOFT = "com.microsoft"

ELEMENT_TYPES = {
    number: name
    for name, number in TensorProto.DataType.items()
    if name not in ("UNDEFINED", "FLOAT6E2M3", "FLOAT6E3M2")
}


def value(
    name: str, shape: list[int | str | None] | None, kind: int = FLOAT
) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def array(name: str, *shape: int, dtype: str = "float32") -> onnx.TensorProto:
    count = int(np.prod(shape))
    return numpy_helper.from_array((np.arange(count) % 17 - 8).astype(dtype).reshape(shape), name)


def constant(name: str, values: object, dtype: str) -> onnx.TensorProto:
    return numpy_helper.from_array(np.array(values, dtype=dtype), name)


def model(
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    initializers: list[onnx.TensorProto] | None = None,
    *,
    domains: Iterable[str] = (),
    ir_version: int = 10,
    **fields: object,
) -> onnx.ModelProto:
    graph = helper.make_graph(nodes, "main", inputs, outputs, initializers or [])
    opsets = [helper.make_opsetid("", 21), *(helper.make_opsetid(d, 1) for d in domains)]
    made = helper.make_model(
        graph,
        opset_imports=opsets,
        producer_name="samples",
        producer_version="1.0",
        **fields,
    )
    made.ir_version = ir_version
    return made


def serialize(made: onnx.ModelProto) -> bytes:
    """The file, with the parts ahead of the graph that a cut after it could otherwise lose unseen.

    The order of fields is free in protocol buffers, and a message has no end mark.
    """
    ahead = onnx.ModelProto(functions=made.functions, training_info=made.training_info)
    rest = onnx.ModelProto()
    rest.CopyFrom(made)
    rest.ClearField("functions")
    rest.ClearField("training_info")
    return bytes(ahead.SerializeToString() + rest.SerializeToString())


def convolutions() -> onnx.ModelProto:
    """A small image classifier; its second convolution leaves its kernel size to the weights."""
    nodes = [
        helper.make_node(
            "Conv",
            ["image", "w0", "b0"],
            ["c0"],
            "first",
            kernel_shape=[3, 3],
            strides=[2, 2],
            pads=[1, 1, 1, 1],
        ),
        helper.make_node("BatchNormalization", ["c0", "scale", "bias", "mean", "var"], ["n0"]),
        helper.make_node("Relu", ["n0"], ["r0"]),
        helper.make_node("Conv", ["r0", "w1"], ["c1"], "second", group=4),
        helper.make_node("GlobalAveragePool", ["c1"], ["p1"]),
        helper.make_node("Flatten", ["p1"], ["f1"]),
        helper.make_node("Gemm", ["f1", "w2", "b2"], ["scores"], "last", transB=1),
    ]
    weights = [
        array("w0", 4, 3, 3, 3),
        array("b0", 4),
        array("scale", 4),
        array("bias", 4),
        array("mean", 4),
        array("var", 4),
        array("w1", 8, 1, 5, 5),
        array("w2", 10, 8),
        array("b2", 10),
    ]
    made = model(
        nodes,
        [value("image", ["batch", 3, None, 32])],
        [value("scores", ["batch", 10])],
        weights,
        doc_string="A classifier.",
    )
    made.graph.value_info.append(value("c0", ["batch", 4, 16, 16]))
    made.graph.value_info.append(value("n0", None))
    helper.set_model_props(made, {"labels": "labels.txt"})
    return made


def old_inputs() -> onnx.ModelProto:
    """As files up to version 3 of the format: weights are listed among the inputs, too."""
    weight = array("w", 4, 3, 1, 1)
    return model(
        [helper.make_node("Conv", ["x", "w"], ["y"], kernel_shape=[1, 1])],
        [value("x", [1, 3, 8, 8]), value("w", [4, 3, 1, 1])],
        [value("y", [1, 4, 8, 8])],
        [weight],
        ir_version=3,
    )


def quantize_dequantize() -> onnx.ModelProto:
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "xs", "xz"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "xs", "xz"], ["xd"]),
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wd"], axis=0),
        helper.make_node("DequantizeLinear", ["b", "bs"], ["bd"], axis=0),
        helper.make_node("Conv", ["xd", "wd", "bd"], ["y"]),
        helper.make_node("DequantizeLinear", ["v", "vs"], ["vd"], axis=0, block_size=4),
        helper.make_node("MatMul", ["y", "vd"], ["z"]),
    ]
    scales = [0.5, 0.25, 0.125, 1.0]
    weights = [
        constant("xs", 0.02, "float32"),
        constant("xz", 128, "uint8"),
        array("w", 4, 3, 3, 3, dtype="int8"),
        constant("ws", scales, "float32"),
        constant("wz", [0, 1, -2, 3], "int8"),
        array("b", 4, dtype="int32"),
        constant("bs", scales, "float32"),
        array("v", 8, 2, dtype="int8"),
        constant("vs", [[1.0, 2.0], [3.0, 4.0]], "float32"),
    ]
    return model(nodes, [value("x", [1, 3, 8, 10])], [value("z", [1, 4, 6, 2])], weights)


def quantized_operators() -> onnx.ModelProto:
    nodes = [
        helper.make_node("QLinearConv", ["x", "s", "z", "w", "ws", "wz", "s", "z", "b"], ["y"]),
        helper.make_node(
            "QLinearAdd", ["y", "s", "z", "k", "s", "z", "s", "z"], ["a"], domain=MICROSOFT
        ),
        helper.make_node(
            "QLinearAveragePool",
            ["a", "s", "z", "s", "z"],
            ["p"],
            domain=MICROSOFT,
            kernel_shape=[2, 2],
            channels_last=1,
        ),
        helper.make_node("DequantizeLinear", ["p", "s", "z"], ["f"]),
        helper.make_node("DynamicQuantizeMatMul", ["f", "m", "ms"], ["o"], domain=MICROSOFT),
        helper.make_node(
            "QGemm", ["g", "s", "z", "n", "ns", "nz"], ["h"], domain=MICROSOFT, transB=1
        ),
    ]
    weights = [
        constant("s", 0.5, "float32"),
        constant("z", 3, "uint8"),
        array("w", 2, 3, 1, 1, dtype="int8"),
        constant("ws", [0.5, 2.0], "float32"),
        constant("wz", [0, 0], "int8"),
        array("b", 2, dtype="int32"),
        array("k", 1, 2, 4, 4, dtype="uint8"),
        array("m", 2, 3, dtype="int8"),
        constant("ms", [1.0, 2.0, 3.0], "float32"),
        array("n", 2, 2, dtype="int8"),
        constant("ns", [0.1, 0.2], "float32"),
        constant("nz", [0, 0], "int8"),
    ]
    return model(
        nodes,
        [value("x", [1, 3, 4, 4], TensorProto.UINT8), value("g", [1, 2], TensorProto.UINT8)],
        [value("o", None), value("h", None)],
        weights,
        domains=[MICROSOFT],
    )


def control_flow() -> onnx.ModelProto:
    """A loop inside a branch, both using tensors from outside, and a scan."""
    loop_body = helper.make_graph(
        [
            helper.make_node("Add", ["sum", "outer_weight"], ["longer"]),
            helper.make_node("Mul", ["longer", "branch_weight"], ["next"]),
            helper.make_node("Identity", ["going"], ["still_going"]),
        ],
        "loop_body",
        [value("turn", [], INT64), value("going", [], BOOL), value("sum", [4])],
        [value("still_going", [], BOOL), value("next", [4])],
    )
    then_branch = helper.make_graph(
        [helper.make_node("Loop", ["turns", "", "x"], ["looped"], body=loop_body)],
        "then_branch",
        [],
        [value("looped", [4])],
        [array("branch_weight", 4)],
    )
    else_branch = helper.make_graph(
        [helper.make_node("Sub", ["x", "outer_weight"], ["less"])],
        "else_branch",
        [],
        [value("less", [4])],
    )
    scan_body = helper.make_graph(
        [
            helper.make_node("Add", ["state", "step"], ["state_out"]),
            helper.make_node("Identity", ["state_out"], ["step_out"]),
        ],
        "scan_body",
        [value("state", [4]), value("step", [4])],
        [value("state_out", [4]), value("step_out", [4])],
    )
    nodes = [
        helper.make_node("If", ["flag"], ["y"], then_branch=then_branch, else_branch=else_branch),
        helper.make_node("Scan", ["y", "steps"], ["z", "all"], body=scan_body, num_scan_inputs=1),
    ]
    return model(
        nodes,
        [value("x", [4]), value("flag", [], BOOL), value("steps", ["n", 4])],
        [value("z", [4]), value("all", ["n", 4])],
        [array("outer_weight", 4), constant("turns", 3, "int64")],
    )


EXTERNAL_DATA = bytes(range(64)) + np.arange(12, dtype="<f4").tobytes()


def external_data() -> onnx.ModelProto:
    """One tensor with offset and length, one with a location alone, in a folder of their own."""
    first = TensorProto(name="w", data_type=FLOAT, dims=[3, 4], data_location=TensorProto.EXTERNAL)
    for key, text in (("location", "data/w.bin"), ("offset", "64"), ("length", "48")):
        first.external_data.add(key=key, value=text)
    second = TensorProto(
        name="k", data_type=TensorProto.UINT8, dims=[64], data_location=TensorProto.EXTERNAL
    )
    second.external_data.add(key="location", value="data/w.bin")
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["y"]),
        helper.make_node("Gather", ["k", "i"], ["o"]),
    ]
    return model(
        nodes,
        [value("x", [1, 3]), value("i", [1], INT64)],
        [value("y", [1, 4]), value("o", [1], TensorProto.UINT8)],
        [first, second],
    )


def functions() -> onnx.ModelProto:
    """Functions with attributes, with a default, and one that calls another."""
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("local", 1)]
    leaky = onnx.helper.make_node("LeakyRelu", ["a"], ["b"])
    leaky.attribute.append(
        onnx.AttributeProto(name="alpha", ref_attr_name="slope", type=onnx.AttributeProto.FLOAT)
    )
    activation = helper.make_function(
        "local",
        "Activation",
        ["a"],
        ["b"],
        [leaky],
        opsets,
        ["slope"],
    )
    inner = helper.make_node("Activation", ["p"], ["q"], domain="local", slope=0.5)
    outer = helper.make_function(
        "local",
        "Twice",
        ["p"],
        ["r"],
        [
            inner,
            helper.make_node("Add", ["q", "two"], ["r"]),
            helper.make_node("Constant", [], ["two"], value_float=2.0),
        ],
        opsets,
        [],
        [helper.make_attribute("unused", 1)],
    )
    unused = helper.make_function(
        "local",
        "Unused",
        ["a"],
        ["b"],
        [helper.make_node("Neg", ["a"], ["b"])],
        opsets,
    )
    nodes = [
        helper.make_node("Activation", ["x"], ["h0"], domain="local", slope=0.1),
        helper.make_node("Activation", ["h0"], ["h1"], domain="local", slope=0.1),
        helper.make_node("Activation", ["h1"], ["h2"], domain="local", slope=0.3),
        helper.make_node("Activation", ["h2"], ["h3"], domain="local"),
        helper.make_node("Twice", ["h3"], ["y"], domain="local"),
    ]
    return model(
        nodes,
        [value("x", [4])],
        [value("y", [4])],
        domains=["local"],
        functions=[activation, outer, unused],
    )


def element_types() -> onnx.ModelProto:
    """Every element type, as raw bytes and in the typed fields."""
    tensors = []
    for number, name in ELEMENT_TYPES.items():
        values: list[object] = [0, 1, 1, 0, 1]
        if name == "STRING":
            values = [b"", b"a", b"\xc3\xa9t\xc3\xa9", b"long " * 9, b"z"]
        elif name.startswith("COMPLEX"):
            values = [1 + 2j, 0, 3j, -1, 1]
        elif not name.startswith(("UINT", "BOOL", "FLOAT8E8M0")):
            values = [0, 1, -1, -2 if name == "INT2" else 1.5 if "FLOAT" in name else -2, 1]
        tensors.append(helper.make_tensor(f"typed_{name}", number, [5], values))
        if name != "STRING":
            raw = helper.make_tensor(f"again_{name}", number, [5], values)
            same = numpy_helper.from_array(numpy_helper.to_array(raw), f"raw_{name}")
            tensors.append(same)
    long = TensorProto(name="long", data_type=INT64, dims=[600])
    long.int64_data.extend((-1) ** i * 3**i % 2**40 for i in range(600))
    tensors += [
        long,
        helper.make_tensor("scalar", FLOAT, [], [2.5]),
        helper.make_tensor("empty", FLOAT, [0, 4], []),
    ]
    nodes = [helper.make_node("Identity", [t.name], [f"{t.name}_out"]) for t in tensors]
    return model(nodes, [], [value(f"{tensors[0].name}_out", None)], tensors)


def constants() -> onnx.ModelProto:
    """Weights that an exporter put into nodes."""
    dense = array("", 3, 4)
    sparse = helper.make_sparse_tensor(
        constant("", [1.0, 2.0, 3.0], "float32"), constant("", [0, 5, 11], "int64"), [3, 4]
    )
    given: dict[str, object] = {
        "value": dense,
        "sparse_value": sparse,
        "value_float": 0.5,
        "value_floats": [1.0, 2.0],
        "value_int": 7,
        "value_ints": [1, -2, 3],
        "value_string": "text",
        "value_strings": ["a", "bc"],
    }
    nodes = [helper.make_node("Constant", [], [key], **{key: each}) for key, each in given.items()]
    nodes.append(helper.make_node("MatMul", ["x", "value"], ["y"]))
    return model(nodes, [value("x", [1, 3])], [value("y", [1, 4])])


def contributed() -> onnx.ModelProto:
    """Operators of ONNX Runtime and of nobody."""
    nodes = [
        helper.make_node(
            "FusedConv",
            ["x", "w", "b", "z"],
            ["c0"],
            domain=MICROSOFT,
            activation="Clip",
            activation_params=[0.0, 6.0],
            kernel_shape=[1, 1],
        ),
        helper.make_node("FusedConv", ["c0", "w2"], ["c1"], domain=MICROSOFT, activation="Relu"),
        helper.make_node(
            "FusedGemm", ["g", "m"], ["g1"], domain=MICROSOFT, activation="Relu", transB=1
        ),
        helper.make_node("FusedMatMul", ["g1", "m"], ["g2"], domain=MICROSOFT, alpha=0.5),
        helper.make_node("FusedMatMul", ["g2", "m"], ["g3"], domain=MICROSOFT, transB=1),
        helper.make_node("FastGelu", ["g3"], ["g4"], domain=MICROSOFT),
        helper.make_node("FastGelu", ["g4", "b"], ["g5"], domain=MICROSOFT),
        helper.make_node("SkipLayerNormalization", ["g5", "g4", "b"], ["g6"], domain=MICROSOFT),
        helper.make_node("SimplifiedLayerNormalization", ["g6", "b"], ["g7"]),
        helper.make_node("FooBar", ["g7"], ["g8"]),
        helper.make_node(
            "EPContext", ["g8"], ["g9"], domain=MICROSOFT, embed_mode=0, ep_cache_context="blob.bin"
        ),
        helper.make_node("Relu", ["g9"], ["y"], domain="ai.onnx"),
    ]
    weights = [array("w", 2, 3, 1, 1), array("b", 2), array("w2", 2, 2, 3, 3), array("m", 2, 2)]
    return model(
        nodes,
        [value("x", [1, 3, 8, 8]), value("z", [1, 2, 8, 8]), value("g", [1, 2])],
        [value("y", None), value("c1", None)],
        weights,
        domains=[MICROSOFT],
    )


def sparse_weights() -> onnx.ModelProto:
    """Sparse initialisers with linear and with per-dimension indices."""
    made = model(
        [
            helper.make_node("MatMul", ["x", "w"], ["h"]),
            helper.make_node("MatMul", ["h", "v"], ["y"]),
        ],
        [value("x", [1, 3])],
        [value("y", [1, 2])],
    )
    made.graph.sparse_initializer.append(
        helper.make_sparse_tensor(
            constant("w", [1.0, -2.0, 3.0], "float32"), constant("", [0, 5, 11], "int64"), [3, 4]
        )
    )
    made.graph.sparse_initializer.append(
        helper.make_sparse_tensor(
            constant("v", [4.0, 5.0], "float32"), constant("", [[0, 1], [3, 0]], "int64"), [4, 2]
        )
    )
    return made


def attributes() -> onnx.ModelProto:
    """A node with every kind of attribute."""
    inner = helper.make_graph(
        [helper.make_node("Neg", ["x"], ["n"])], "inner", [], [value("n", [1])]
    )
    sequence = helper.make_sequence_type_proto(helper.make_tensor_type_proto(FLOAT, [1, "n"]))
    node = helper.make_node("Custom", ["x"], ["y"], "node", domain="custom")
    node.attribute.extend(
        [
            helper.make_attribute("a_float", 0.5),
            helper.make_attribute("an_int", -3),
            helper.make_attribute("a_text", "text"),
            helper.make_attribute("some_bytes", b"\xff\xfe\x00"),
            helper.make_attribute("a_tensor", array("named", 2)),
            helper.make_attribute("a_graph", inner),
            helper.make_attribute("floats", [1.0, -2.5]),
            helper.make_attribute("ints", [1, -2]),
            helper.make_attribute("texts", ["a", "b"]),
            helper.make_attribute("tensors", [array("", 2), array("", 3)]),
            helper.make_attribute("graphs", [inner, inner]),
            helper.make_attribute("a_type", sequence),
            helper.make_attribute("types", [sequence, helper.make_tensor_type_proto(INT64, None)]),
            helper.make_attribute("no_ints", [], attr_type=onnx.AttributeProto.INTS),
            onnx.AttributeProto(name="untyped", i=4),
        ]
    )
    return model([node], [value("x", [1])], [value("y", [1])], domains=["custom"])


def other_types() -> onnx.ModelProto:
    """Values that are no tensors."""
    tensor = helper.make_tensor_type_proto(FLOAT, [2])
    inputs = [
        helper.make_value_info("sequence", helper.make_sequence_type_proto(tensor)),
        helper.make_value_info("optional", helper.make_optional_type_proto(tensor)),
        helper.make_value_info("mapping", helper.make_map_type_proto(INT64, tensor)),
        helper.make_value_info("sparse", helper.make_sparse_tensor_type_proto(FLOAT, [3])),
        value("scalar", []),
        value("unranked", None),
        value("dynamic", [-1, "n", None, 0]),
    ]
    nodes = [helper.make_node("SequenceLength", ["sequence"], ["count"])]
    return model(nodes, inputs, [value("count", [], INT64)])


def classical() -> onnx.ModelProto:
    node = helper.make_node("Scaler", ["x"], ["y"], domain="ai.onnx.ml", offset=[1.0], scale=[2.0])
    return model([node], [value("x", [1, 4])], [value("y", [1, 4])], domains=["ai.onnx.ml"])


def training() -> onnx.ModelProto:
    made = model(
        [helper.make_node("Mul", ["x", "w"], ["y"])],
        [value("x", [2])],
        [value("y", [2])],
        [array("w", 2)],
    )
    algorithm = helper.make_graph(
        [helper.make_node("Sub", ["w", "gradient"], ["w_new"])],
        "step",
        [value("gradient", [2])],
        [value("w_new", [2])],
    )
    made.training_info.add(algorithm=algorithm)
    return made


MODELS: dict[str, Callable[[], onnx.ModelProto]] = {
    made.__name__: made
    for made in (
        convolutions,
        old_inputs,
        quantize_dequantize,
        quantized_operators,
        control_flow,
        external_data,
        functions,
        element_types,
        constants,
        contributed,
        sparse_weights,
        attributes,
        other_types,
        classical,
        training,
    )
}

NEIGHBOURS = {
    "external_data": {"data/w.bin": EXTERNAL_DATA},
    "contributed": {"blob.bin": b"compiled"},
}


def _source(made: Callable[[], onnx.ModelProto]) -> Callable[[], bytes]:
    return lambda: serialize(made())


def samples() -> Iterable[Sample]:
    """Every model above as a file."""
    return [
        Sample(
            name=name,
            format="onnx",
            source=_source(made),
            file_name=f"{name}.onnx",
            neighbours=NEIGHBOURS.get(name, {}),
        )
        for name, made in MODELS.items()
    ]
