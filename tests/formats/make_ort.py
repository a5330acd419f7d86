"""Makes the committed ONNX Runtime samples with the library itself.

    pip install onnxruntime==1.31.1 onnx && python -m tests.formats.make_ort

The weights are random numbers of a fixed seed.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FOLDER = Path(__file__).parent / "ort"


def network() -> onnx.ModelProto:
    """A convolution that gets fused, a branch with its own weights, and a quantised product."""
    generator = np.random.default_rng(0)

    def weights(name: str, *shape: int) -> onnx.TensorProto:
        values = generator.standard_normal(shape).astype(np.float32)
        return numpy_helper.from_array(values, name)

    def branch(name: str, operator: str) -> onnx.GraphProto:
        node = helper.make_node(operator, ["flat", f"{name}_w"], [f"{name}_out"])
        result = helper.make_tensor_value_info(f"{name}_out", TensorProto.FLOAT, ["n", 36])
        return helper.make_graph([node], name, [], [result], [weights(f"{name}_w", 36)])

    held = [
        weights("w1", 4, 3, 3, 3),
        weights("b1", 4),
        numpy_helper.from_array(generator.integers(-9, 9, (36, 5)).astype(np.int8), "w2"),
        numpy_helper.from_array(np.float32(0.5), "s2"),
        numpy_helper.from_array(np.int8(0), "z2"),
    ]
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["conv"], kernel_shape=[3, 3]),
        helper.make_node("Relu", ["conv"], ["relu"]),
        helper.make_node("MaxPool", ["relu"], ["pool"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["pool"], ["flat"]),
        helper.make_node(
            "If",
            ["choice"],
            ["chosen"],
            then_branch=branch("yes", "Add"),
            else_branch=branch("no", "Mul"),
        ),
        helper.make_node("DequantizeLinear", ["w2", "s2", "z2"], ["w2_real"]),
        helper.make_node("MatMul", ["chosen", "w2_real"], ["y"]),
    ]
    given = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 8, 8]),
        helper.make_tensor_value_info("choice", TensorProto.BOOL, []),
    ]
    wanted = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 5])]
    graph = helper.make_graph(nodes, "g", given, wanted, held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    return model


def main() -> None:
    """Writes the network as it is and with every optimisation for the CPU."""
    import onnxruntime

    FOLDER.mkdir(exist_ok=True)
    levels = onnxruntime.GraphOptimizationLevel
    for name, level in (
        ("plain", levels.ORT_DISABLE_ALL),
        ("optimised", levels.ORT_ENABLE_EXTENDED),
    ):
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = level
        options.optimized_model_filepath = str(FOLDER / f"{name}.ort")
        options.add_session_config_entry("session.save_model_format", "ORT")
        onnxruntime.InferenceSession(
            network().SerializeToString(), options, providers=["CPUExecutionProvider"]
        )


if __name__ == "__main__":
    main()
