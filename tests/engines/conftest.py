"""Tiny models, made here byte by byte or by their format's own builder, with what they compute."""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gaugenn.records import InputShape, Job, Precision

Arrays = list[np.ndarray[Any, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TinyModel:
    """A model of one or two operators.

    Attributes:
        engine: the engine that reads it.
        format: its format.
        files: name and bytes, the graph file first.
        inputs: name, dtype and shape as the library gives them to the worker.
        compute: the same in numpy.
        exact: whether the library must agree in every bit.
    """

    engine: str
    format: str
    files: tuple[tuple[str, bytes], ...]
    inputs: tuple[tuple[str, str, tuple[int, ...]], ...]
    compute: Callable[[Arrays], Arrays]
    input_shapes: tuple[InputShape, ...] = ()
    exact: bool = True

    def write(self, folder: Path) -> tuple[Path, ...]:
        """Writes the files into a folder."""
        for name, data in self.files:
            (folder / name).write_bytes(data)
        return tuple(folder / name for name, _ in self.files)

    def job(self, version: str, precision: Precision = Precision.AS_STORED) -> Job:
        """A short job."""
        return Job(
            model_sha256="0" * 64,
            format=self.format,
            engine=self.engine,
            engine_version=version,
            device="host",
            precision=precision,
            input_shapes=self.input_shapes,
            warmup_minimum_count=2,
            warmup_minimum_s=0.0,
            steady_minimum_count=5,
            steady_minimum_s=0.0,
            seed=7,
        )


WEIGHTS = np.array([[1, -2, 3], [0.5, 4, -1]], np.float32)
BIAS = np.array([0.25, -8], np.float32)


def onnx_product() -> TinyModel:
    """Relu(x @ w) with a dynamic batch."""
    from onnx import TensorProto, helper, numpy_helper

    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["p"]),
        helper.make_node("Relu", ["p"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 2])],
        [numpy_helper.from_array(np.ascontiguousarray(WEIGHTS.T), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return TinyModel(
        engine="onnxruntime",
        format="onnx",
        files=(("product.onnx", model.SerializeToString()),),
        inputs=(("x", "float32", (1, 3)),),
        compute=lambda arrays: [np.maximum(arrays[0] @ WEIGHTS.T, 0)],
        exact=False,
    )


def onnx_text() -> TinyModel:
    """Takes text, which nothing here can make."""
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.STRING, [1])],
        [helper.make_tensor_value_info("y", TensorProto.STRING, [1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return TinyModel(
        engine="onnxruntime",
        format="onnx",
        files=(("text.onnx", model.SerializeToString()),),
        inputs=(),
        compute=lambda arrays: arrays,
    )


def tflite_sum(operator: int = 0, custom: str | None = None, times: int = 1) -> TinyModel:
    """x + constant, once or twice, or one operator that does not exist."""
    import flatbuffers
    import tflite

    builder = flatbuffers.Builder(1024)
    constant = np.array([1, -2, 3, 0.5], np.float32)

    def vector(offsets: Sequence[int]) -> int:
        builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            builder.PrependUOffsetTRelative(offset)
        return int(builder.EndVector())

    def integers(values: Sequence[int]) -> int:
        return int(builder.CreateNumpyVector(np.array(values, np.int32)))

    def tensor(name: str, buffer: int) -> int:
        text, shape = builder.CreateString(name), integers([1, 4])
        signature = integers([-1, 4]) if not buffer else None
        tflite.TensorStart(builder)
        tflite.TensorAddShape(builder, shape)
        tflite.TensorAddType(builder, tflite.TensorType.FLOAT32)
        tflite.TensorAddBuffer(builder, buffer)
        tflite.TensorAddName(builder, text)
        if signature is not None:
            tflite.TensorAddShapeSignature(builder, signature)
        return int(tflite.TensorEnd(builder))

    data = builder.CreateNumpyVector(np.frombuffer(constant.tobytes(), np.uint8))
    buffers = []
    for held in (None, data):
        tflite.BufferStart(builder)
        if held is not None:
            tflite.BufferAddData(builder, held)
        buffers.append(tflite.BufferEnd(builder))
    made = [tensor(name, 0) for name in "yz"[:times]]
    tensors = vector([tensor("x", 0), tensor("c", 1), *made])
    graph_ins, graph_outs = integers([0]), integers([1 + times])
    nodes = []
    for step in range(times):
        ins, outs = integers([step + 1 if step else 0, 1]), integers([step + 2])
        tflite.AddOptionsStart(builder)
        options = tflite.AddOptionsEnd(builder)
        tflite.OperatorStart(builder)
        if custom is None:
            tflite.OperatorAddBuiltinOptionsType(builder, tflite.BuiltinOptions.AddOptions)
            tflite.OperatorAddBuiltinOptions(builder, options)
        tflite.OperatorAddOpcodeIndex(builder, 0)
        tflite.OperatorAddInputs(builder, ins)
        tflite.OperatorAddOutputs(builder, outs)
        nodes.append(tflite.OperatorEnd(builder))
    operators = vector(nodes)
    tflite.SubGraphStart(builder)
    tflite.SubGraphAddTensors(builder, tensors)
    tflite.SubGraphAddInputs(builder, graph_ins)
    tflite.SubGraphAddOutputs(builder, graph_outs)
    tflite.SubGraphAddOperators(builder, operators)
    graphs = vector([tflite.SubGraphEnd(builder)])
    name = None if custom is None else builder.CreateString(custom)
    tflite.OperatorCodeStart(builder)
    tflite.OperatorCodeAddDeprecatedBuiltinCode(builder, operator)
    tflite.OperatorCodeAddBuiltinCode(builder, operator)
    tflite.OperatorCodeAddVersion(builder, 1)
    if name is not None:
        tflite.OperatorCodeAddCustomCode(builder, name)
    codes = vector([tflite.OperatorCodeEnd(builder)])
    held_buffers = vector(buffers)
    tflite.ModelStart(builder)
    tflite.ModelAddVersion(builder, 3)
    tflite.ModelAddOperatorCodes(builder, codes)
    tflite.ModelAddSubgraphs(builder, graphs)
    tflite.ModelAddBuffers(builder, held_buffers)
    builder.Finish(tflite.ModelEnd(builder), file_identifier=b"TFL3")
    return TinyModel(
        engine="litert",
        format="tflite",
        files=(("sum.tflite", bytes(builder.Output())),),
        inputs=(("x", "float32", (1, 4)),),
        compute=lambda arrays: [arrays[0] + times * constant],
    )


def tflite_custom() -> TinyModel:
    """One custom operator that no library has."""
    return tflite_sum(operator=32, custom="nobody-has-this")


def tflite_chain() -> TinyModel:
    """x + constant + constant."""
    return tflite_sum(times=2)


def ncnn_product() -> TinyModel:
    """A fully connected layer with bias; the weights file holds a zero tag, weights, bias."""
    graph = "7767517\n2 2\nInput in 0 1 x 0=3\nInnerProduct fc 1 1 x y 0=2 1=1 2=6\n"
    return TinyModel(
        engine="ncnn",
        format="ncnn",
        files=(
            ("product.param", graph.encode()),
            ("product.bin", struct.pack("<I", 0) + WEIGHTS.tobytes() + BIAS.tobytes()),
        ),
        inputs=(("x", "float32", (1, 3)),),
        compute=lambda arrays: [arrays[0][0] @ WEIGHTS.T + BIAS],
        input_shapes=(InputShape(name="x", shape=(1, 3)),),
        exact=False,
    )


def ncnn_binary() -> TinyModel:
    """Input (layer 16) and ReLU (layer 26) as a binary .param, without weights."""
    end = -233
    input_layer = (16, 0, 1, 0, 0, 4, end)
    relu_layer = (26, 1, 1, 0, 1, end)
    words = (7767517, 2, 2, *input_layer, *relu_layer)
    return TinyModel(
        engine="ncnn",
        format="ncnn",
        files=(("relu.param.bin", struct.pack(f"<{len(words)}i", *words)),),
        inputs=(("0", "float32", (1, 4)),),
        compute=lambda arrays: [np.maximum(arrays[0][0], 0)],
        input_shapes=(InputShape(name="0", shape=(1, 4)),),
    )


def ncnn_unknown_layer() -> TinyModel:
    """A layer that no library has."""
    return TinyModel(
        engine="ncnn",
        format="ncnn",
        files=(("x.param", b"7767517\n2 2\nInput in 0 1 x 0=4\nNobodyHasThis z 1 1 x y\n"),),
        inputs=(),
        compute=lambda arrays: arrays,
        input_shapes=(InputShape(name="x", shape=(1, 4)),),
    )


def product_file(engine: str, model_format: str, suffix: str, output_bias: bool) -> TinyModel:
    """A file that only the library itself can write; `make_files.py` makes it."""
    name = f"product.{suffix}"
    bias = BIAS if output_bias else np.zeros(2, np.float32)
    return TinyModel(
        engine=engine,
        format=model_format,
        files=((name, (Path(__file__).parent / "files" / name).read_bytes()),),
        inputs=(("x", "float32", (1, 3)),),
        compute=lambda arrays: [np.maximum(arrays[0] @ WEIGHTS.T + bias, 0)],
        exact=False,
    )


def mnn_product() -> TinyModel:
    """Relu(x @ w)."""
    return product_file("mnn", "mnn", "mnn", output_bias=False)


def pytorch_product() -> TinyModel:
    """TorchScript, whose inputs have no sizes."""
    made = product_file("pytorch", "pytorch", "pt", output_bias=True)
    return replace(made, input_shapes=(InputShape(name="x", shape=(1, 3)),))


def pytorch_lite() -> TinyModel:
    """The same for the lite interpreter."""
    made = product_file("pytorch", "pytorch", "ptl", output_bias=True)
    return replace(made, input_shapes=(InputShape(name="x", shape=(1, 3)),))


def executorch_product() -> TinyModel:
    """The same, lowered to XNNPACK; a program does not name its inputs."""
    made = product_file("executorch", "executorch", "pte", output_bias=True)
    return replace(made, inputs=(("input 0", "float32", (1, 3)),))


def openvino_product() -> TinyModel:
    """The ONNX product."""
    return replace(onnx_product(), engine="openvino")


def openvino_sum() -> TinyModel:
    """The TFLite sum under a name that does not tell its format."""
    made = replace(tflite_sum(), engine="openvino")
    return replace(made, files=(("sum.tfl", made.files[0][1]),))


def opencv_product() -> TinyModel:
    """The ONNX product, whose inputs OpenCV cannot tell."""
    shapes = (InputShape(name="x", shape=(1, 3), dtype="float32"),)
    return replace(onnx_product(), engine="opencv", input_shapes=shapes)


def tflite_runtime_sum() -> TinyModel:
    """The sum on the older generation."""
    return replace(tflite_sum(), engine="tflite_runtime")


def cut_short(make: Callable[[], TinyModel], keep: int = 40) -> TinyModel:
    """A model's first bytes only."""
    made = make()
    return replace(made, files=tuple((name, data[:keep]) for name, data in made.files))


def null(word: str = "") -> TinyModel:
    """A file that tells the null engine what to do."""
    return TinyModel(
        engine="null",
        format="onnx",
        files=(("m.null", f"gaugenn-null {word}\n".encode()),),
        inputs=(("input", "float32", (1, 64)),),
        compute=lambda arrays: arrays,
    )


def simulated() -> TinyModel:
    """Any file: the engine looks at its folder's name only."""
    return TinyModel(
        engine="simulated",
        format="onnx",
        files=(("m.any", b"\n"),),
        inputs=(),
        compute=lambda arrays: arrays,
    )


RUNNING = (
    null,
    simulated,
    onnx_product,
    tflite_sum,
    ncnn_product,
    mnn_product,
    openvino_product,
    opencv_product,
    tflite_runtime_sum,
    pytorch_product,
    executorch_product,
)
REFUSED = (
    lambda: null("refuse"),
    simulated,
    onnx_text,
    tflite_custom,
    ncnn_unknown_layer,
    lambda: cut_short(mnn_product),
    lambda: replace(onnx_text(), engine="openvino"),
    lambda: cut_short(opencv_product),
    lambda: replace(tflite_custom(), engine="tflite_runtime"),
    lambda: cut_short(pytorch_product),
    lambda: cut_short(executorch_product),
)


@pytest.fixture
def tiny() -> Callable[[str], TinyModel]:
    """Makes a tiny model by the name of its function in this file."""
    return lambda name: globals()[name]()
