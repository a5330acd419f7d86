"""Makes the committed MNN samples with the library's own converter.

    pip install MNN==3.6.1 onnx && python -m tests.formats.make_mnn

The weights are random numbers of a fixed seed; the converter gives each file a random identity.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FOLDER = Path(__file__).parent / "mnn"
FLAGS = {
    "float": [],
    "half": ["--fp16"],
    "int8": ["--weightQuantBits", "8"],
    "int8_symmetric": ["--weightQuantBits", "8", "--weightQuantAsymmetric=0"],
    "int4": ["--weightQuantBits", "4"],
    "int3": ["--weightQuantBits", "3"],
    "external": ["--saveExternalData"],
    "external_int4": ["--saveExternalData", "--weightQuantBits", "4", "--weightQuantBlock", "8"],
}
"""Files by name, and what the converter is told."""


def network() -> onnx.ModelProto:
    """Convolutions of every kind, a resize, a pool and a fully connected layer."""
    generator = np.random.default_rng(0)

    def weights(name: str, *shape: int) -> onnx.TensorProto:
        values = generator.standard_normal(shape).astype(np.float32)
        return numpy_helper.from_array(values, name)

    scales = numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales")
    square = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["conv"], strides=[2, 2], **square),
        helper.make_node("Relu", ["conv"], ["relu"]),
        helper.make_node("Conv", ["relu", "w2", "b2"], ["deep"], group=8, **square),
        helper.make_node("Conv", ["deep", "w3"], ["point"], kernel_shape=[1, 1]),
        helper.make_node("ConvTranspose", ["point", "w4"], ["up"], strides=[2, 2]),
        helper.make_node("Resize", ["up", "", "scales"], ["big"], mode="nearest"),
        helper.make_node("GlobalAveragePool", ["big"], ["pool"]),
        helper.make_node("Flatten", ["pool"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w5", "b5"], ["y"], transB=1),
    ]
    held = [
        weights("w1", 8, 3, 3, 3),
        weights("b1", 8),
        weights("w2", 8, 1, 3, 3),
        weights("b2", 8),
        weights("w3", 16, 8, 1, 1),
        weights("w4", 16, 4, 2, 2),
        weights("w5", 5, 4),
        weights("b5", 5),
        scales,
    ]
    given = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 16, 16])]
    wanted = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 5])]
    graph = helper.make_graph(nodes, "g", given, wanted, held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    return model


def main() -> None:
    """Writes every sample."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "network.onnx"
        onnx.save(network(), source)
        for name, flags in FLAGS.items():
            target = FOLDER / f"{name}.mnn"
            converter = str(Path(sys.executable).parent / "mnnconvert")
            told = ["-f", "ONNX", "--modelFile", str(source), "--MNNModel", str(target)]
            subprocess.run([converter, *told, "--bizCode", "sample", *flags], check=True)


if __name__ == "__main__":
    main()
