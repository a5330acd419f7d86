"""Makes the committed tiny models that only a library itself can write.

Run it with the Python of an engine's environment, from this folder:

    python make_files.py pytorch       in that of pytorch==2.13.0
    python make_files.py executorch    in that of executorch==1.5.1
    python make_files.py mnn           in that of mnn==3.6.1, with onnx installed beside it

Each computes Relu(x @ w.T + b) with the weights of `conftest.py`; MNN's computes Relu(x @ w.T).
"""

import importlib
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "files"
WEIGHTS = [[1.0, -2.0, 3.0], [0.5, 4.0, -1.0]]
BIAS = [0.25, -8.0]


def module(torch: Any) -> Any:
    """A linear layer and a ReLU."""
    layer = torch.nn.Linear(3, 2)
    layer.weight.data = torch.tensor(WEIGHTS)
    layer.bias.data = torch.tensor(BIAS)
    return torch.nn.Sequential(layer, torch.nn.ReLU()).eval()


def pytorch() -> None:
    """A TorchScript archive and a mobile-lite one."""
    torch = importlib.import_module("torch")
    traced = torch.jit.trace(module(torch), (torch.ones(1, 3),), check_trace=False)
    traced.save(str(FOLDER / "product.pt"))
    traced._save_for_lite_interpreter(str(FOLDER / "product.ptl"))


def executorch() -> None:
    """A program for XNNPACK."""
    torch = importlib.import_module("torch")
    exir = importlib.import_module("executorch.exir")
    partition = "executorch.backends.xnnpack.partition.xnnpack_partitioner"
    partitioner = importlib.import_module(partition).XnnpackPartitioner()
    with torch.no_grad():
        exported = torch.export.export(module(torch), (torch.ones(1, 3),))
        lowered = exir.to_edge_transform_and_lower(exported, partitioner=[partitioner])
    (FOLDER / "product.pte").write_bytes(lowered.to_executorch().buffer)


def mnn() -> None:
    """What the converter makes of an ONNX graph."""
    onnx = importlib.import_module("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    columns = [value for column in zip(*WEIGHTS, strict=True) for value in column]
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "w"], ["p"], name="product"),
            helper.make_node("Relu", ["p"], ["y"], name="relu"),
        ],
        "g",
        [helper.make_tensor_value_info("x", kind, [1, 3])],
        [helper.make_tensor_value_info("y", kind, [1, 2])],
        [helper.make_tensor("w", kind, [3, 2], columns)],
    )
    whole = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    converter = Path(sys.executable).with_name("mnnconvert")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "m.onnx"
        onnx.save(whole, source)
        paths = ["--modelFile", str(source), "--MNNModel", str(FOLDER / "product.mnn")]
        subprocess.run([converter, "-f", "ONNX", *paths, "--bizCode", "gaugenn"], check=True)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    globals()[sys.argv[1]]()
