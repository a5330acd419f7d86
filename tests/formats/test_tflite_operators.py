"""TensorFlow Lite operators in ONNX terms, one application at a time."""

import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import pytest
import tflite

from gaugenn.content import from_bytes
from gaugenn.errors import FormatError
from gaugenn.formats import _tflite_schema as schema
from gaugenn.formats._flatbuffers import Field
from gaugenn.formats._operator_call import ONNX_TYPES
from gaugenn.formats.tflite import _RULES, TfliteReader
from gaugenn.graph import AttributeValue, Node
from tests.formats._flatbuffer_builder import Fields
from tests.formats.samples_tflite import (
    BOOL,
    FLOAT32,
    INT8,
    INT32,
    UINT8,
    File,
    integers,
)

X = (1, 8, 8, 4)
END = (1 << 63) - 1

Operand = tuple[int, ...] | list[int] | tuple[str, tuple[int, ...], int] | None
"""A float activation by its shape, a constant int32 vector, ("", shape, type), or an omitted input."""


def apply(
    operator: str,
    inputs: Sequence[Operand],
    *,
    options: tuple[int, Fields] | None = None,
    output: tuple[int, ...] = X,
    dtype: int = FLOAT32,
    outputs: int = 1,
    more: Fields | None = None,
) -> Node:
    """The node that one operator application becomes; inputs are called i0, i1, ..."""
    file = File()
    graph = file.graph()
    indices: list[int] = []
    for number, operand in enumerate(inputs):
        name = f"i{number}"
        if operand is None:
            indices.append(-1)
        elif isinstance(operand, list):
            data = integers(*operand)
            indices.append(graph.tensor(name, (len(operand),), INT32, data=data))
        elif operand and isinstance(operand[0], str):
            _, shape, kind = operand
            indices.append(graph.tensor(name, shape, kind))
        else:
            indices.append(graph.tensor(name, operand))  # type: ignore[arg-type]
    results = [graph.tensor(f"o{i}", output, dtype) for i in range(outputs)]
    for _ in range(7):
        file.graph("inner")
    graph.operator(operator, indices, results, options, more)
    graph.inputs = [i for i in indices if i >= 0]
    return TfliteReader().read(from_bytes("m.tflite", file.data())).graphs[0].nodes[0]


@dataclass(frozen=True, kw_only=True)
class Case:
    """An application and what becomes of it; `inputs` None means unchanged."""

    source: str
    given: Sequence[Operand]
    operator: str
    attributes: Mapping[str, AttributeValue]
    options: tuple[int, Fields] | None = None
    inputs: tuple[str, ...] | None = None
    output: tuple[int, ...] = X
    dtype: int = FLOAT32
    outputs: int = 1
    note: str = ""


def conv(kernel: tuple[int, ...], channels: int, group: int = 1) -> dict[str, AttributeValue]:
    ones = (1,) * len(kernel)
    return {
        "kernel_shape": kernel,
        "output_channels": channels,
        "strides": ones,
        "dilations": ones,
        "group": group,
        "auto_pad": "SAME_UPPER",
    }


ONES_2D: Fields = {1: ("i32", 1), 2: ("i32", 1)}
ONES_3D: Fields = {**ONES_2D, 3: ("i32", 1)}
NO: dict[str, AttributeValue] = {}

CASES = (
    Case(
        source="CONV_2D",
        given=(X, (6, 3, 5, 2), (6,)),
        operator="Conv",
        options=(1, {0: ("i8", 1), 1: ("i32", 3), 2: ("i32", 2), 4: ("i32", 5), 5: ("i32", 4)}),
        attributes={
            "kernel_shape": (3, 5),
            "output_channels": 6,
            "strides": (2, 3),
            "dilations": (4, 5),
            "group": 2,
            "auto_pad": "VALID",
        },
        note="grouped, strides and dilations as (height, width)",
    ),
    Case(
        source="CONV_3D",
        given=((1, 4, 8, 8, 2), (3, 4, 5, 2, 6)),
        operator="Conv",
        options=(106, ONES_3D),
        attributes=conv((3, 4, 5), 6),
    ),
    Case(
        source="TRANSPOSE_CONV",
        given=([1, 16, 16, 6], (6, 3, 3, 4), X, (6,)),
        operator="ConvTranspose",
        options=(49, ONES_2D),
        attributes={**conv((3, 3), 6), "output_shape": (16, 16)},
        inputs=("i2", "i1", "i3", "i0"),
    ),
    Case(
        source="TRANSPOSE_CONV",
        given=([1, 16, 16, 6], (6, 3, 3, 4), X),
        operator="ConvTranspose",
        options=(49, ONES_2D),
        attributes={**conv((3, 3), 6), "output_shape": (16, 16)},
        inputs=("i2", "i1", "", "i0"),
        note="without bias",
    ),
    Case(
        source="CONV_3D_TRANSPOSE",
        given=([1, 8, 16, 16, 6], (3, 4, 5, 6, 2), (1, 4, 8, 8, 2)),
        operator="ConvTranspose",
        options=(106, ONES_3D),
        attributes={**conv((3, 4, 5), 6), "output_shape": (8, 16, 16)},
        inputs=("i2", "i1", "", "i0"),
    ),
    Case(
        source="AVERAGE_POOL_2D",
        given=(X,),
        operator="AveragePool",
        options=(5, {**ONES_2D, 3: ("i32", 5), 4: ("i32", 3), 5: ("i8", 4)}),
        attributes={
            "kernel_shape": (3, 5),
            "strides": (1, 1),
            "auto_pad": "SAME_UPPER",
            "fused_activation": "Tanh",
        },
    ),
    Case(
        source="FULLY_CONNECTED",
        given=((1, 3, 8), (5, 8), (5,)),
        operator="MatMul",
        options=(8, {2: ("bool", True), 0: ("i8", 2)}),
        output=(1, 3, 5),
        attributes={
            "transB": 1,
            "keep_num_dims": True,
            "fused_activation": "Clip",
            "fused_min": -1.0,
            "fused_max": 1.0,
        },
    ),
    Case(
        source="FULLY_CONNECTED",
        given=((4, 8), (5, 8)),
        operator="Gemm",
        options=(8, {1: ("i8", 1)}),
        output=(4, 5),
        attributes={"transB": 1, "weights_format": "SHUFFLED4x16INT8"},
    ),
    Case(
        source="BATCH_MATMUL",
        given=((2, 3, 4), (2, 5, 4)),
        operator="MatMul",
        options=(101, {1: ("bool", True)}),
        attributes={"transB": 1},
    ),
    Case(
        source="BATCH_MATMUL",
        given=((2, 4, 3), (2, 4, 5)),
        operator="MatMul",
        options=(101, {0: ("bool", True)}),
        attributes={"transA": 1},
    ),
    Case(
        source="SOFTMAX",
        given=(X,),
        operator="Softmax",
        options=(9, {0: ("f32", 1.0)}),
        attributes={"axis": -1},
    ),
    Case(
        source="SOFTMAX",
        given=(X,),
        operator="Softmax",
        options=(9, {0: ("f32", 0.5)}),
        attributes={"axis": -1, "beta": 0.5},
    ),
    Case(source="LOG_SOFTMAX", given=(X,), operator="LogSoftmax", attributes={"axis": -1}),
    Case(
        source="L2_NORMALIZATION",
        given=(X,),
        operator="LpNormalization",
        options=(12, {}),
        attributes={"axis": -1, "p": 2},
    ),
    Case(
        source="LOCAL_RESPONSE_NORMALIZATION",
        given=(X,),
        operator="LRN",
        options=(13, {0: ("i32", 2), 1: ("f32", 1.0), 2: ("f32", 0.5), 3: ("f32", 0.25)}),
        attributes={"size": 5, "alpha": 2.5, "beta": 0.25, "bias": 1.0},
    ),
    Case(source="RELU6", given=(X,), operator="Clip", attributes={"min": 0.0, "max": 6.0}),
    Case(source="RELU_N1_TO_1", given=(X,), operator="Clip", attributes={"min": -1.0, "max": 1.0}),
    Case(source="RELU_0_TO_1", given=(X,), operator="Clip", attributes={"min": 0.0, "max": 1.0}),
    Case(source="ELU", given=(X,), operator="Elu", attributes={"alpha": 1.0}),
    Case(
        source="LEAKY_RELU",
        given=(X,),
        operator="LeakyRelu",
        options=(75, {0: ("f32", 0.25)}),
        attributes={"alpha": 0.25},
    ),
    Case(
        source="GELU",
        given=(X,),
        operator="Gelu",
        options=(116, {0: ("bool", True)}),
        attributes={"approximate": "tanh"},
    ),
    Case(
        source="ADD",
        given=(X, X),
        operator="Add",
        options=(11, {0: ("i8", 1)}),
        attributes={"fused_activation": "Relu"},
    ),
    Case(
        source="ADD",
        given=(X, X),
        operator="Add",
        options=(11, {0: ("i8", 5)}),
        attributes={"fused_activation_function": "SIGN_BIT"},
        note="an activation that ONNX does not know",
    ),
    Case(
        source="CONCATENATION",
        given=(X, X, X),
        operator="Concat",
        options=(10, {0: ("i32", 3)}),
        attributes={"axis": 3},
    ),
    Case(
        source="RESHAPE",
        given=(X,),
        operator="Reshape",
        options=(17, {0: ("[i32]", (1, -1))}),
        attributes={"shape": (1, -1)},
    ),
    Case(source="RESHAPE", given=(X, [1, -1]), operator="Reshape", attributes=NO),
    Case(
        source="SQUEEZE",
        given=(X,),
        operator="Squeeze",
        options=(30, {0: ("[i32]", (0,))}),
        attributes={"axes": (0,)},
    ),
    Case(source="SQUEEZE", given=(X,), operator="Squeeze", options=(30, {}), attributes=NO),
    Case(source="EXPAND_DIMS", given=(X, [0]), operator="Unsqueeze", attributes=NO),
    Case(
        source="TRANSPOSE",
        given=(X, [0, 3, 1, 2]),
        operator="Transpose",
        attributes={"perm": (0, 3, 1, 2)},
    ),
    Case(
        source="TRANSPOSE",
        given=(X, ("", (4,), INT32)),
        operator="",
        attributes=NO,
        note="an order computed at run time",
    ),
    Case(
        source="PAD",
        given=(X, [0, 0, 1, 2, 3, 4, 0, 0]),
        operator="Pad",
        attributes={"pads": (0, 1, 3, 0, 0, 2, 4, 0), "mode": "constant"},
        inputs=("i0", "", "", "", "i1"),
    ),
    Case(
        source="PADV2",
        given=(X, [0, 0, 1, 2, 3, 4, 0, 0], (1,)),
        operator="Pad",
        attributes={"pads": (0, 1, 3, 0, 0, 2, 4, 0), "mode": "constant"},
        inputs=("i0", "", "i2", "", "i1"),
    ),
    Case(
        source="MIRROR_PAD",
        given=(X, [0, 0, 1, 1, 1, 1, 0, 0]),
        operator="Pad",
        options=(77, {}),
        attributes={"pads": (0, 1, 1, 0, 0, 1, 1, 0), "mode": "reflect"},
        inputs=("i0", "", "", "", "i1"),
    ),
    Case(
        source="MIRROR_PAD",
        given=(X, [0, 0, 1, 1, 1, 1, 0, 0]),
        operator="",
        options=(77, {0: ("i8", 1)}),
        attributes={"mode": "SYMMETRIC"},
    ),
    Case(
        source="MEAN",
        given=(X, [1, 2]),
        operator="ReduceMean",
        options=(27, {0: ("bool", True)}),
        attributes={"keepdims": 1},
    ),
    Case(
        source="SUM",
        given=(X, [1]),
        operator="ReduceSum",
        options=(27, {}),
        attributes={"keepdims": 0},
    ),
    Case(
        source="ARG_MAX",
        given=(X, [3]),
        operator="ArgMax",
        options=(40, {}),
        attributes={"axis": 3, "keepdims": 0},
    ),
    Case(
        source="TOPK_V2",
        given=(X, [5]),
        operator="TopK",
        attributes={"axis": -1, "largest": 1, "sorted": 1},
        outputs=2,
    ),
    Case(
        source="GATHER",
        given=(X, [0]),
        operator="Gather",
        options=(23, {0: ("i32", 2)}),
        attributes={"axis": 2},
    ),
    Case(
        source="GATHER",
        given=(X, [0]),
        operator="",
        options=(23, {0: ("i32", 2), 1: ("i32", 1)}),
        attributes={"axis": 2, "batch_dims": 1},
    ),
    Case(
        source="EMBEDDING_LOOKUP",
        given=([0, 1], (100, 8)),
        operator="Gather",
        attributes={"axis": 0},
        inputs=("i1", "i0"),
    ),
    Case(
        source="SPLIT",
        given=([3], X),
        operator="Split",
        options=(35, {0: ("i32", 2)}),
        attributes={"axis": 3, "num_outputs": 2},
        inputs=("i1", "", "i0"),
        outputs=2,
    ),
    Case(
        source="SPLIT_V",
        given=(X, [1, 3], [3]),
        operator="Split",
        options=(79, {0: ("i32", 2)}),
        attributes={"axis": 3},
        outputs=2,
    ),
    Case(
        source="SPLIT_V",
        given=(X, [1, -1], [3]),
        operator="Split",
        options=(79, {0: ("i32", 2)}),
        attributes={"axis": 3, "split": (1, 3)},
        inputs=("i0", "", "i1", "i2"),
        outputs=2,
    ),
    Case(
        source="SLICE",
        given=(X, [0, 1, 2, 0], [1, 3, -1, 4]),
        operator="Slice",
        attributes={"starts": (0, 1, 2, 0), "ends": (1, 4, END, 4)},
        inputs=("i0", "", "", "", "", "i1", "i2"),
    ),
    Case(
        source="STRIDED_SLICE",
        given=(X, [9, 1, 9, 3], [1, 9, 7, 0], [1, 2, 1, -1]),
        operator="Slice",
        options=(32, {0: ("i32", 0b0101), 1: ("i32", 0b1010)}),
        attributes={"starts": (0, 1, 0, 3), "ends": (1, END, 7, -END), "steps": (1, 2, 1, -1)},
        inputs=("i0", "", "", "", "", "i1", "i2", "i3"),
    ),
    Case(
        source="STRIDED_SLICE",
        given=(X, [0, 0], [1, 1], [1, 1]),
        operator="",
        options=(32, {4: ("i32", 1)}),
        attributes={
            "begin_mask": 0,
            "end_mask": 0,
            "ellipsis_mask": 0,
            "new_axis_mask": 0,
            "shrink_axis_mask": 1,
            "offset": False,
        },
        note="drops a dimension, which needs two ONNX operators",
    ),
    Case(
        source="STRIDED_SLICE",
        given=(X, ("", (4,), INT32), ("", (4,), INT32), [1, 1, 1, 1]),
        operator="Slice",
        options=(32, {}),
        attributes=NO,
        inputs=("i0", "i1", "i2", "", "i3"),
    ),
    Case(
        source="FILL",
        given=([2, 3], (1,)),
        operator="Expand",
        attributes=NO,
        inputs=("i1", "i0"),
    ),
    Case(
        source="RESIZE_BILINEAR",
        given=(X, [16, 16]),
        operator="Resize",
        options=(15, {3: ("bool", True)}),
        attributes={
            "mode": "linear",
            "coordinate_transformation_mode": "half_pixel",
            "axes": (1, 2),
        },
        inputs=("i0", "", "", "i1"),
    ),
    Case(
        source="RESIZE_NEAREST_NEIGHBOR",
        given=(X, [16, 16]),
        operator="Resize",
        options=(74, {}),
        attributes={
            "mode": "nearest",
            "coordinate_transformation_mode": "asymmetric",
            "axes": (1, 2),
            "nearest_mode": "floor",
        },
        inputs=("i0", "", "", "i1"),
    ),
    Case(
        source="CAST",
        given=(X,),
        operator="Cast",
        options=(37, {1: ("i8", INT32)}),
        dtype=INT32,
        attributes={"to": 6},
    ),
    Case(source="QUANTIZE", given=(X,), operator="QuantizeLinear", dtype=INT8, attributes=NO),
    Case(
        source="QUANTIZE",
        given=(("", X, UINT8),),
        operator="",
        dtype=INT8,
        attributes=NO,
        note="from one integer type to another",
    ),
    Case(source="DEQUANTIZE", given=(("", X, INT8),), operator="DequantizeLinear", attributes=NO),
    Case(source="FLOOR_MOD", given=(X, X), operator="", attributes=NO),
    Case(source="FLOOR_MOD", given=([1], [2]), operator="Mod", attributes={"fmod": 0}),
    Case(
        source="RIGHT_SHIFT",
        given=(("", X, UINT8), ("", X, UINT8)),
        operator="BitShift",
        attributes={"direction": "RIGHT"},
    ),
    Case(source="RIGHT_SHIFT", given=([1], [2]), operator="", attributes=NO),
    Case(source="SELECT", given=(("", X, BOOL), X, X), operator="Where", attributes=NO),
    Case(source="SELECT", given=(("", (1,), BOOL), X, X), operator="", attributes=NO),
    Case(source="SELECT_V2", given=(("", (1,), BOOL), X, X), operator="Where", attributes=NO),
    Case(
        source="REVERSE_SEQUENCE",
        given=(X, [8]),
        operator="ReverseSequence",
        options=(87, {0: ("i32", 1)}),
        attributes={"time_axis": 1, "batch_axis": 0},
    ),
    Case(
        source="DEPTH_TO_SPACE",
        given=(X,),
        operator="DepthToSpace",
        options=(94, {0: ("i32", 2)}),
        attributes={"blocksize": 2, "mode": "DCR"},
    ),
    Case(
        source="SPACE_TO_DEPTH",
        given=(X,),
        operator="SpaceToDepth",
        options=(19, {0: ("i32", 2)}),
        attributes={"blocksize": 2},
    ),
    Case(
        source="CUMSUM",
        given=(X, [1]),
        operator="CumSum",
        options=(102, {0: ("bool", True)}),
        attributes={"exclusive": 1, "reverse": 0},
    ),
    Case(
        source="SVDF",
        given=(X,),
        operator="",
        options=(6, {0: ("i32", 2), 1: ("i8", 1)}),
        attributes={"rank": 2, "fused_activation": "Relu"},
    ),
    Case(
        source="PACK",
        given=(X, X),
        operator="",
        options=(59, {0: ("i32", 2), 1: ("i32", 1)}),
        attributes={"values_count": 2, "axis": 1},
    ),
    Case(
        source="ONE_HOT",
        given=([1],),
        operator="",
        options=(61, {0: ("i32", -1)}),
        attributes={"axis": -1},
    ),
    Case(source="SQUARED_DIFFERENCE", given=(X, X), operator="", attributes=NO),
)


@pytest.mark.parametrize(
    "case", CASES, ids=[f"{case.source}-{number}" for number, case in enumerate(CASES)]
)
def test_an_operator_becomes_its_onnx_counterpart(case: Case) -> None:
    node = apply(
        case.source,
        case.given,
        options=case.options,
        output=case.output,
        dtype=case.dtype,
        outputs=case.outputs,
    )
    assert node.source_operator == case.source
    assert (node.operator, dict(node.attributes)) == (case.operator, dict(case.attributes))
    given = tuple("" if g is None else f"i{i}" for i, g in enumerate(case.given))
    assert node.inputs == (given if case.inputs is None else case.inputs)
    assert len(node.outputs) == case.outputs


def test_unique_leaves_the_output_that_it_lacks_empty() -> None:
    node = apply("UNIQUE", (X,), options=(80, {}), outputs=2)
    assert (node.operator, node.outputs) == ("Unique", ("o0", "", "o1"))


LSTM_WEIGHTS: tuple[Operand, ...] = (*[(6, 4)] * 4, *[(6, 6)] * 4, *[None] * 3, *[(6,)] * 4)


def test_a_sequence_lstm_has_its_size_and_layout() -> None:
    given = ((2, 7, 4), *LSTM_WEIGHTS, None, None, (2, 6), (2, 6))
    node = apply("UNIDIRECTIONAL_SEQUENCE_LSTM", given, options=(71, {0: ("i8", 4)}))
    assert node.operator == "LSTM"
    assert node.attributes["hidden_size"] == 6
    assert node.attributes["layout"] == 1
    assert node.attributes["direction"] == "forward"
    assert node.attributes["activations"] == ("Sigmoid", "Tanh", "Tanh")
    assert "fused_activation" not in node.attributes
    assert node.inputs[:8] == ("i0", "", "", "", "", "i18", "i19", "")
    assert [name for name in node.inputs[8:] if name] == [*(f"i{i}" for i in range(1, 9))] + [
        f"i{i}" for i in range(12, 16)
    ]


def test_an_lstm_without_input_gate_couples_it_to_the_forget_gate() -> None:
    given = ((2, 7, 4), None, *LSTM_WEIGHTS[1:], None, None, (2, 6), (2, 6))
    node = apply(
        "UNIDIRECTIONAL_SEQUENCE_LSTM", given, options=(71, {0: ("i8", 4), 3: ("bool", True)})
    )
    assert (node.attributes["input_forget"], node.attributes["layout"]) == (1, 0)


def test_an_lstm_with_projection_has_no_onnx_counterpart_but_its_sizes() -> None:
    given = ((2, 7, 4), *LSTM_WEIGHTS, (3, 6), None, (2, 3), (2, 6))
    node = apply("UNIDIRECTIONAL_SEQUENCE_LSTM", given, options=(71, {0: ("i8", 4)}))
    assert node.operator == ""
    assert (node.attributes["hidden_size"], node.attributes["projection_size"]) == (6, 3)
    assert node.attributes["cell_activation"] == "Tanh"
    assert node.inputs[:2] == ("i0", "i1")


def test_a_single_lstm_step_has_no_onnx_counterpart_but_its_size() -> None:
    given = ((2, 4), (2, 6), (24, 10), (24,), (2, 6))
    node = apply("LSTM", given, options=(14, {0: ("i8", 4), 3: ("i8", 1)}))
    assert (node.operator, node.attributes["hidden_size"]) == ("", 6)


def test_a_bidirectional_lstm_is_one_operator() -> None:
    backward = LSTM_WEIGHTS
    given = ((7, 2, 4), *LSTM_WEIGHTS, None, None, *backward, None, None, *[(2, 6)] * 4)
    node = apply("BIDIRECTIONAL_SEQUENCE_LSTM", given, options=(69, {0: ("i8", 4)}), outputs=2)
    assert (node.operator, node.attributes["direction"]) == ("LSTM", "bidirectional")
    assert (node.attributes["hidden_size"], node.attributes["layout"]) == (6, 0)


def test_recurrent_networks_keep_size_direction_and_activation() -> None:
    given = ((7, 2, 4), (6, 4), (6, 6), (6,), (2, 6))
    node = apply(
        "UNIDIRECTIONAL_SEQUENCE_RNN", given, options=(31, {0: ("bool", True), 1: ("i8", 1)})
    )
    assert node.operator == "RNN"
    assert node.attributes["activations"] == ("Relu",)
    assert node.inputs == ("i0", "", "", "", "", "i4", "i1", "i2", "i3")
    assert apply("RNN", given, options=(7, {0: ("i8", 1)})).operator == ""
    both = (*given, (6, 4), (6, 6), (6,), (2, 6))
    node = apply("BIDIRECTIONAL_SEQUENCE_RNN", both, options=(70, {1: ("i8", 4)}))
    assert node.attributes["direction"] == "bidirectional"


@pytest.mark.parametrize(
    ("source", "options"),
    [
        ("CONV_2D", (1, {0: ("i8", 0)})),
        ("CONV_2D", None),
        ("CONV_2D", (1, {**ONES_2D, 0: ("i8", 2)})),
        ("CONV_2D", (1, {**ONES_2D, 4: ("i32", 0)})),
        ("MAX_POOL_2D", (5, {**ONES_2D, 3: ("i32", -1), 4: ("i32", 1)})),
    ],
)
def test_a_window_that_cannot_be_is_a_format_error(
    source: str, options: tuple[int, Fields] | None
) -> None:
    with pytest.raises(FormatError, match=f"^m.tflite: {source} has"):
        apply(source, (X, (6, 3, 3, 4)), options=options)


def test_a_composite_without_decomposition_has_no_sub_graph() -> None:
    bare = apply("STABLEHLO_COMPOSITE", (X,), more={11: ("u8", 21), 12: {0: "odml.rms_norm"}})
    assert bare.attributes == {"name": "odml.rms_norm", "version": 0}
    full = apply(
        "STABLEHLO_COMPOSITE", (X,), more={11: ("u8", 21), 12: {0: "odml.x", 1: ("i32", 3)}}
    )
    assert getattr(full.attributes["decomposition"], "index", None) == 3


def test_every_branch_of_a_case_is_a_sub_graph() -> None:
    node = apply("STABLEHLO_CASE", ([0],), more={11: ("u8", 23), 12: {0: ("[i32]", (1, 2, 3))}})
    assert [getattr(v, "index", None) for v in node.attributes.values()] == [1, 2, 3]
    assert list(node.attributes) == ["branch_0", "branch_1", "branch_2"]


@pytest.mark.parametrize(
    ("left", "right", "batch", "contract", "operator", "attributes"),
    [
        ((2, 3, 4), (2, 4, 5), (0,), (2, 1), "MatMul", {}),
        ((2, 3, 4), (2, 5, 4), (0,), (2, 2), "MatMul", {"transB": 1}),
        ((4, 3), (4, 5), (), (0, 0), "MatMul", {"transA": 1}),
        ((3, 2, 4), (3, 2, 5), (1,), (0, 0), "", None),
    ],
)
def test_a_general_dot_product_is_a_matrix_product_where_it_is_one(
    left: tuple[int, ...],
    right: tuple[int, ...],
    batch: tuple[int, ...],
    contract: tuple[int, int],
    operator: str,
    attributes: dict[str, int] | None,
) -> None:
    options: Fields = {
        0: ("[i64]", batch),
        1: ("[i64]", batch),
        2: ("[i64]", contract[:1]),
        3: ("[i64]", contract[1:]),
    }
    node = apply("STABLEHLO_DOT_GENERAL", (left, right), more={11: ("u8", 12), 12: options})
    assert node.operator == operator
    if attributes is not None:
        assert node.attributes == attributes


@pytest.mark.parametrize(
    ("source", "given", "more", "operator", "attributes", "inputs"),
    [
        ("STABLEHLO_ADD", (X, X), {}, "Add", {}, ("i0", "i1")),
        ("STABLEHLO_CLAMP", ((1,), X, (1,)), {}, "Clip", {}, ("i1", "i0", "i2")),
        ("STABLEHLO_RSQRT", (X,), {}, "", {}, ("i0",)),
        ("STABLEHLO_RESHAPE", ((256,),), {}, "Reshape", {"shape": X}, ("i0",)),
        ("STABLEHLO_CONVERT", ([1],), {}, "Cast", {"to": 1}, ("i0",)),
        ("STABLEHLO_AND", (("", X, BOOL), ("", X, BOOL)), {}, "And", {}, ("i0", "i1")),
        ("STABLEHLO_AND", ([1], [2]), {}, "BitwiseAnd", {}, ("i0", "i1")),
        (
            "STABLEHLO_COMPARE",
            (X, X),
            {11: ("u8", 8), 12: {0: ("u32", 5)}},
            "Less",
            {},
            ("i0", "i1"),
        ),
        (
            "STABLEHLO_COMPARE",
            (X, X),
            {11: ("u8", 8), 12: {0: ("u32", 1)}},
            "",
            {"comparison_direction": "NE", "compare_type": "NOTYPE"},
            ("i0", "i1"),
        ),
        (
            "STABLEHLO_CONCATENATE",
            (X, X),
            {11: ("u8", 1), 12: {0: ("i64", 2)}},
            "Concat",
            {"axis": 2},
            ("i0", "i1"),
        ),
        (
            "STABLEHLO_PAD",
            (X, (1,)),
            {11: ("u8", 10), 12: {0: ("[i64]", (1, 2)), 1: ("[i64]", (3, 4))}},
            "Pad",
            {"pads": (1, 2, 3, 4), "mode": "constant"},
            ("i0", "", "i1"),
        ),
        (
            "STABLEHLO_SLICE",
            (X,),
            {
                11: ("u8", 3),
                12: {0: ("[i64]", (1,)), 1: ("[i64]", (5,)), 2: ("[i64]", (2,))},
            },
            "Slice",
            {"starts": (1,), "ends": (5,), "steps": (2,)},
            ("i0",),
        ),
    ],
)
def test_a_stablehlo_operator_becomes_its_onnx_counterpart(
    source: str,
    given: Sequence[Operand],
    more: Fields,
    operator: str,
    attributes: dict[str, AttributeValue],
    inputs: tuple[str, ...],
) -> None:
    node = apply(source, given, more=more)
    assert (node.operator, dict(node.attributes), node.inputs) == (operator, attributes, inputs)


def test_a_convolution_of_another_layout_is_not_taken_for_one_of_this() -> None:
    options: Fields = {
        6: ("i64", 1),
        7: ("[i64]", (2, 3)),
        8: ("i64", 1),
        9: ("i64", 0),
        10: ("[i64]", (2, 3)),
        12: ("i64", 1),
        13: ("[i64]", (2, 3)),
    }
    node = apply("STABLEHLO_CONVOLUTION", (X, (6, 8, 3, 3)), more={11: ("u8", 4), 12: options})
    assert node.operator == ""
    assert node.attributes["input_feature_dimension"] == 1


def members(union: type) -> dict[int, str]:
    return {v: k for k, v in vars(union).items() if isinstance(v, int) and k != "NONE"}


def eval_constant(text: str) -> str:
    return {"False": "0", "True": "1"}.get(text, text)


def check_layout(class_name: str, layout: Sequence[Field]) -> None:
    """Compares a field table with the accessors of an independent reader."""
    accessors = getattr(tflite, class_name)
    for field in layout:
        name = "".join(part[:1].upper() + part[1:] for part in field.name.split("_"))
        source = inspect.getsource(getattr(accessors, name))
        offset = re.search(r"Offset\((\d+)\)", source)
        assert offset is not None
        assert int(offset[1]) == 4 + 2 * field.number, f"{class_name}.{field.name}"
        if field.kind == "str" or field.kind.startswith("["):
            continue
        default = float(eval_constant(re.findall(r"return (\S+)", source)[-1]))
        assert field.optional or default == field.default, f"{class_name}.{field.name}"
        if field.kind != "bool":
            flags = re.search(r"Get\(flatbuffers\.number_types\.(\w+)Flags", source)
            assert flags is not None
            kind = {"Uint": "u", "Int": "i", "Float": "f"}[re.sub(r"\d+", "", flags[1])]
            assert field.kind == kind + re.sub(r"\D+", "", flags[1]), f"{class_name}.{field.name}"


def test_option_tables_agree_with_an_independent_reader() -> None:
    first, second = members(tflite.BuiltinOptions), members(tflite.BuiltinOptions2)
    for number, layout in schema.OPTIONS.items():
        check_layout(first[number], layout)
    known = {number: name for number, name in second.items() if hasattr(tflite, name)}
    for number, layout in schema.OPTIONS_2.items():
        if number in known:
            check_layout(known[number], layout)
    assert set(schema.OPTIONS) <= set(first)
    assert len(known) >= 20


def test_every_option_of_the_independent_reader_is_read_or_known_to_be_left_out() -> None:
    left_out = {
        "StablehloCustomCallOptions": {"BackendConfig", "CustomAttributes"},
        "StablehloConvolutionOptions": {"PrecisionConfig"},
        "StablehloDotGeneralOptions": {"PrecisionConfig"},
        "StableHLOCompositeOptions": {"CompositeAttributes", "CompositeAttributesFormat"},
    }
    for union, layouts in (
        (tflite.BuiltinOptions, schema.OPTIONS),
        (tflite.BuiltinOptions2, schema.OPTIONS_2),
    ):
        for number, class_name in members(union).items():
            accessors = getattr(tflite, class_name, None)
            if accessors is None:
                continue
            offsets = {
                name: int(found[1])
                for name, method in inspect.getmembers(accessors, inspect.isfunction)
                if not re.search(r"(AsNumpy|Length|IsNone)$|^(Init|GetRoot.*)$", name)
                and (found := re.search(r"Offset\((\d+)\)", inspect.getsource(method)))
            }
            read = {4 + 2 * field.number for field in layouts.get(number, ())}
            missing = {name for name, offset in offsets.items() if offset not in read}
            assert missing == left_out.get(class_name, set()), class_name


def test_operator_and_type_numbers_agree_with_an_independent_reader() -> None:
    codes = members(tflite.BuiltinOperator)
    assert len(codes) > 200
    for code, name in codes.items():
        assert schema.OPERATORS[code] == name
    for code, name in members(tflite.TensorType).items():
        assert schema.TENSOR_TYPES[code].value.upper() == name


def test_element_types_have_onnxs_numbers() -> None:
    for dtype, number in ONNX_TYPES.items():
        unlike = {"float32": "FLOAT", "float64": "DOUBLE", "float4_e2m1fn": "FLOAT4E2M1"}
        unlike["float8_e8m0fnu"] = "FLOAT8E8M0"
        name = unlike.get(dtype.value, dtype.value.upper())
        name = name.replace("FLOAT8_", "FLOAT8")
        assert getattr(onnx.TensorProto, name) == number


def test_rules_are_for_operators_of_the_schema_and_give_operators_of_onnx() -> None:
    assert set(_RULES) <= set(schema.OPERATORS)
    onnx_names = {found.name for found in onnx.defs.get_all_schemas()}
    assert {case.operator for case in CASES} - {""} <= onnx_names


def test_a_constant_of_another_integer_type_is_understood() -> None:
    file = File()
    graph = file.graph()
    value = graph.tensor("value", X)
    order = graph.tensor("order", (4,), 4, data=np.array([0, 3, 1, 2], "<i8").tobytes())
    result = graph.tensor("result", X)
    graph.operator("TRANSPOSE", (value, order), (result,))
    model = TfliteReader().read(from_bytes("m.tflite", file.data()))
    assert model.graphs[0].nodes[0].attributes == {"perm": (0, 3, 1, 2)}
