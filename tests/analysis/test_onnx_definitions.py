"""Every ONNX operator, held against the test cases and the counters of others."""

import contextlib
import io
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnx.backend.test
import pytest
from onnx import defs, numpy_helper, shape_inference

from gaugenn.analysis._cost_elementwise import is_known
from gaugenn.analysis._cost_matrix import FORMULAS
from gaugenn.analysis._rules import OPERATOR_RULES
from gaugenn.analysis.cost import costs
from gaugenn.analysis.shapes import InferredShapes, infer_shapes
from gaugenn.content import from_bytes, open_file
from gaugenn.formats import read_model
from gaugenn.graph import Model, Node

DATA_DEPENDENT = {
    *("ImageDecoder", "NonMaxSuppression", "StringNormalizer", "StringSplit", "Unique"),
}
"""Operators whose output sizes only the data decides; they are taken as 1 and reported."""

CONTROL_FLOW = {"If", "Loop", "Scan", "SequenceMap"}

TRAINING = {"Adagrad", "Adam", "Gradient", "Momentum"}

WITHOUT_SHAPE = {"SequenceEmpty", "DictVectorizer"}
"""Operators that make something without a shape to know."""

LIGHT = Path(onnx.backend.test.__file__).parent / "data" / "light"
PUBLISHED = sorted(LIGHT.glob("*.onnx"))
"""Well-known networks that the onnx package brings, with generated weights."""


def _small(value: object) -> bool:
    if not isinstance(value, np.ndarray | np.generic) or value.dtype == object:
        return False
    return value.size <= 8 or (value.dtype.kind in "iub" and value.size <= 64)


def _cases() -> Iterator[tuple[str, set[str], Model, dict[str, tuple[int, ...]]]]:
    """Name, operators, model without output shapes, and the shapes that its outputs really have.

    Small inputs become constants, as axes and sizes are in real models.
    """
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = collect_testcases(None)
    for case in cases:
        for inputs, outputs in case.data_sets[:1]:
            proto = onnx.ModelProto()
            proto.CopyFrom(case.model)
            for value, data in zip(list(proto.graph.input), inputs, strict=False):
                if _small(data):
                    constant = numpy_helper.from_array(np.asarray(data), value.name)
                    proto.graph.initializer.append(constant)
            for output in proto.graph.output:
                if output.type.HasField("tensor_type"):
                    output.type.tensor_type.ClearField("shape")
            real = {
                output.name: data.shape
                for output, data in zip(proto.graph.output, outputs, strict=False)
                if isinstance(data, np.ndarray | np.generic)
            }
            model = read_model(from_bytes("case.onnx", proto.SerializeToString()))
            yield case.name, {node.op_type for node in proto.graph.node}, model, real


def test_shapes_agree_with_every_test_case_of_the_onnx_package() -> None:
    agreed = 0
    wrong: list[object] = []
    unknown: Counter[str] = Counter()
    for name, operators, model, real in _cases():
        shapes = infer_shapes(model)
        costs(model, shapes)
        for output, expected in real.items():
            found = shapes.shape(output)
            if found == expected:
                agreed += 1
            elif found is None:
                unknown.update(operators & (TRAINING | CONTROL_FLOW) or {name})
            elif not (operators & DATA_DEPENDENT and shapes.assumed):
                wrong.append((name, found, expected))
    assert wrong == []
    assert set(unknown) <= TRAINING | {"Scan"}  # the first version of Scan, which has batches
    assert agreed > 2000


def test_every_onnx_operator_has_a_shape_rule_and_a_cost() -> None:
    schemas = {s.name for s in defs.get_all_schemas_with_history()} - TRAINING - CONTROL_FLOW
    experimental = {"ATen", "Crop", "DynamicSlice", "GRUUnit", "GivenTensorFill", "ConstantFill"}
    names = schemas - experimental
    assert names - WITHOUT_SHAPE - set(OPERATOR_RULES) == set()
    nodes = [Node(name="", operator=n, source_operator=n, inputs=(), outputs=()) for n in names]
    assert [n.operator for n in nodes if n.operator not in FORMULAS and not is_known(n)] == []


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda p: p.stem)
def test_shapes_agree_with_onnx_shape_inference(path: Path) -> None:
    reference = shape_inference.infer_shapes(onnx.load(path), strict_mode=True, data_prop=True)
    shapes = infer_shapes(read_model(open_file(path)))
    compared = 0
    for value in reference.graph.value_info:
        dims = value.type.tensor_type.shape.dim
        if value.type.tensor_type.HasField("shape") and all(d.HasField("dim_value") for d in dims):
            assert shapes.shape(value.name) == tuple(d.dim_value for d in dims), value.name
            compared += 1
    assert compared > 20
    assert shapes.assumed == shapes.contradictions == ()


def products_of_onnx_tool(path: Path) -> dict[str, int]:
    """MACs of convolutions and matrix products as onnx-tool counts them: biases are MACs there."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        import onnx_tool

        graph = onnx_tool.Model(str(path)).graph
        graph.graph_reorder_nodes()
        graph.shape_infer({})
        graph.profile()
    found: Counter[str] = Counter()
    for node in graph.nodemap.values():
        if node.op_type in ("Conv", "ConvTranspose", "Gemm", "MatMul"):
            found[node.op_type] += int(node.macs[0])
    return dict(found)


def products(model: Model, shapes: InferredShapes) -> dict[str, int]:
    """The same from this package: MACs, and one operation a bias."""
    found: Counter[str] = Counter()
    for node, cost in zip(model.graphs[0].nodes, costs(model, shapes).nodes[0], strict=True):
        if node.operator in ("Conv", "ConvTranspose", "Gemm", "MatMul"):
            assert cost.macs is not None
            assert cost.elementwise_operations is not None
            found[node.operator] += cost.macs + cost.elementwise_operations
    return dict(found)


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda p: p.stem)
def test_macs_agree_with_onnx_tool_whose_biases_are_macs(path: Path) -> None:
    model = read_model(open_file(path))
    assert products(model, infer_shapes(model)) == products_of_onnx_tool(path)


@pytest.mark.parametrize(
    ("name", "macs", "parameters"),
    [("light_resnet50", 4_089_184_256, 25_557_032), ("light_squeezenet", 349_151_936, 1_235_496)],
)
def test_files_without_weights_still_have_their_costs(
    name: str, macs: int, parameters: int
) -> None:
    model = read_model(open_file(LIGHT / f"{name}.onnx"))
    cost = costs(model, infer_shapes(model))
    assert (cost.macs, cost.parameters) == (macs, parameters)
