"""Exports the networks by the exporters that apps use: torch, litert-torch, pnnx, both quantisers.

    python models.py FOLDER

Writes the model files into FOLDER; `models.json`, what is known of them; and for `verify.py`
`references.npz`, one seeded input per network and what PyTorch answers to it.
"""

import json
import logging
import struct
import subprocess
import sys
import sysconfig
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import litert_torch
import ncnn
import networks
import numpy as np
import torch
from ai_edge_litert import schema_py_generated as schema
from ai_edge_quantizer import quantizer, recipe
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import Tensor, nn

CALIBRATION = 32
"""How many seeded inputs batch normalisation, the last layers and the quantisers see."""
OPSET = 17


def export_tflite(network: nn.Module, image: Tensor, path: Path) -> None:
    """Converts a network of one image input (batch, channels, height, width)."""
    sample = image.permute(0, 2, 3, 1).contiguous()
    litert_torch.convert(networks.ChannelsLast(network).eval(), (sample,)).export(str(path))


def quantize_tflite(source: Path, images: Tensor, path: Path) -> None:
    """Full-integer quantisation, 8-bit weights and activations, calibrated on `images`."""
    tool = quantizer.Quantizer(str(source))
    tool.load_quantization_recipe(recipe.static_wi8_ai8())
    batches = [{"args_0": image[None].permute(0, 2, 3, 1).numpy()} for image in images]
    result = tool.quantize(tool.calibrate({"serving_default": batches}))
    result.export_model(str(path), overwrite=True)
    path.chmod(0o644)


def export_onnx(network: nn.Module, sample: Tensor, path: Path, names: tuple[str, ...]) -> None:
    """The exporter by tracing: the one whose files are in most apps."""
    torch.onnx.export(
        network, (sample,), str(path), dynamo=False, opset_version=OPSET,
        input_names=[names[0]], output_names=[names[1]],
    )  # fmt: skip


class Samples(CalibrationDataReader):
    """Feeds ONNX Runtime's quantiser."""

    def __init__(self, name: str, samples: Tensor) -> None:
        self.feeds: Iterator[dict[str, np.ndarray]] = iter({name: x[None].numpy()} for x in samples)

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next sample, None at the end."""
        return next(self.feeds, None)


def quantize_onnx(source: Path, name: str, samples: Tensor, path: Path) -> None:
    """Static quantisation with QuantizeLinear / DequantizeLinear pairs, weights per channel."""
    prepared = source.with_suffix(".prepared.onnx")
    quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
    quantize_static(
        str(prepared), str(path), Samples(name, samples), quant_format=QuantFormat.QDQ,
        per_channel=True, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
    )  # fmt: skip
    prepared.unlink()


def export_ncnn(network: nn.Module, sample: Tensor, param: Path, *, half: bool) -> None:
    """Traces, converts by pnnx; writes `param` and the weights beside it as `.bin`.

    Args:
        network: in evaluation mode.
        sample: one input with its batch dimension, which ncnn drops.
        param: where the graph goes.
        half: store the weights as float16, pnnx's default.
    """
    folder = param.parent / "pnnx"
    folder.mkdir(exist_ok=True)
    traced = folder / "net.pt"
    torch.jit.trace(network, sample, check_trace=False).save(str(traced))
    shape = ",".join(str(size) for size in sample.shape)
    tool = Path(sysconfig.get_path("scripts")) / "pnnx"
    command = [str(tool), "net.pt", f"inputshape=[{shape}]", f"fp16={int(half)}"]
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"pnnx ended with {done.returncode}: {done.stderr[-2000:]}")
    graph = (folder / "net.ncnn.param").read_text("ascii")
    param.write_text(with_input_size(graph, tuple(sample.shape[1:])), "ascii")
    (folder / "net.ncnn.bin").replace(param.with_suffix(".bin"))
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()


def with_input_size(graph: str, sizes: tuple[int, ...]) -> str:
    """The graph with its input's size stated, which pnnx leaves open and apps' files often have.

    Args:
        graph: text of a .param file.
        sizes: without the batch, outermost first; ncnn states width, height, channels as 0, 1, 2.

    Source: https://github.com/Tencent/ncnn/blob/master/docs/developer-guide/operators.md#input
    """
    stated = "".join(f" {key}={size}" for key, size in enumerate(reversed(sizes)))
    lines = [line.rstrip() + stated if line.startswith("Input ") else line
             for line in graph.split("\n")]  # fmt: skip
    return "\n".join(lines)


def write_binary_param(param: Path, path: Path) -> None:
    """The binary form of an ncnn graph: layer types and blobs as numbers, no names.

    Does what ncnn's own tool does, which is in no Python package. `verify.py` has ncnn load the result.

    Source: https://github.com/Tencent/ncnn/wiki/param-and-model-file-structure
    """
    lines = param.read_text("ascii").split("\n")
    layers, blobs = (int(number) for number in lines[1].split())
    out = bytearray(struct.pack("<3i", int(lines[0]), layers, blobs))
    numbers: dict[str, int] = {}
    for line in filter(None, lines[2:]):
        kind, _name, inputs, outputs, *rest = line.split()
        ends = int(inputs) + int(outputs)
        for blob in rest[int(inputs) : ends]:
            numbers[blob] = len(numbers)
        out += struct.pack("<3i", ncnn.layer_to_index(kind), int(inputs), int(outputs))
        out += b"".join(struct.pack("<i", numbers[blob]) for blob in rest[:ends])
        for item in rest[ends:]:
            key, _, value = item.partition("=")
            values = value.split(",")
            out += struct.pack("<i", int(key))
            if int(key) <= -23300:  # an array: its length comes first in the text too
                out += struct.pack("<i", int(values.pop(0)))
            elif len(values) > 1:
                raise ValueError(f"{param}: {item!r} is an array in a notation not known here")
            for text in values:
                number = float(text) if set(text) & set(".e") else int(text)
                out += struct.pack("<f" if isinstance(number, float) else "<i", number)
        out += struct.pack("<i", -233)
    path.write_bytes(out)


@dataclass(frozen=True, slots=True, kw_only=True)
class Net:
    """A network, ready to export, and the inputs that it was fitted to."""

    name: str
    network: nn.Module
    inputs: Tensor

    @property
    def sample(self) -> Tensor:
        """One input with its batch dimension."""
        return self.inputs[:1]


class Exports:
    """The folder that fills, and what is known of each file and network."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.models: dict[str, dict[str, object]] = {}
        self.references: dict[str, np.ndarray] = {}

    def net(self, name: str, network: nn.Module, inputs: Tensor) -> Net:
        """Notes what PyTorch answers to the first input."""
        net = Net(name=name, network=network, inputs=inputs)
        self.references[f"{name}.input"] = net.sample.numpy()
        self.references[f"{name}.output"] = network(net.sample).numpy()
        return net

    def add(self, file: str, framework: str, net: Net, *, channels_last: bool = False) -> Path:
        """Notes a model file of a network and says where to write it.

        `network_parameters` count the network's trained values with batch normalisation folded;
        `network_macs` its multiply-accumulates in convolutions and dense layers.
        """
        shape = list(net.sample.shape)
        if channels_last:
            shape = [shape[0], *shape[2:], shape[1]]
        self.models[file] = {
            "framework": framework,
            "network": net.name,
            "input_shape": shape,
            "output_shape": list(self.references[f"{net.name}.output"].shape),
            "network_parameters": networks.parameters(net.network),
            "network_macs": networks.multiply_accumulates(net.network, net.sample),
        }
        return self.folder / file

    def tflite(self, net: Net) -> Path:
        """Exports to NAME.tflite."""
        path = self.add(f"{net.name}.tflite", "tflite", net, channels_last=True)
        export_tflite(net.network, net.sample, path)
        return path

    def onnx(self, net: Net, *names: str) -> Path:
        """Exports to NAME.onnx; `names` are those of its input and its output."""
        path = self.add(f"{net.name}.onnx", "onnx", net)
        export_onnx(net.network, net.sample, path, names)
        return path

    def ncnn(self, net: Net, *, half: bool) -> Path:
        """Exports to NAME.param and NAME.bin."""
        path = self.add(f"{net.name}.param", "ncnn", net)
        export_ncnn(net.network, net.sample, path, half=half)
        return path

    def finish(self, same: tuple[Path, Path]) -> None:
        """Writes what is known. `same` are two TFLite files of one backbone."""
        shared, different = compare_tensors(*same)
        facts = {
            "models": self.models,
            "sibling_tensors": {"shared": shared, "different": different},
        }
        (self.folder / "models.json").write_text(json.dumps(facts, indent=1) + "\n", "utf-8")
        np.savez(self.folder / "references.npz", **self.references)


def compare_tensors(first: Path, second: Path) -> tuple[int, int]:
    """How many weights of two TFLite files, in order, are equal in every byte, and how many not."""
    stored = []
    for path in (first, second):
        model = schema.ModelT.InitFromPackedBuf(path.read_bytes())
        tensors = model.subgraphs[0].tensors
        weights = [t for t in tensors if t.type == schema.TensorType.FLOAT32]
        data = [model.buffers[t.buffer].data for t in weights]
        stored.append([bytes(d) for d in data if d is not None and len(d) > 0])
    equal = [a == b for a, b in zip(*stored, strict=True)]
    return sum(equal), len(equal) - sum(equal)


def export_all(folder: Path) -> None:
    """Every model of the packages, and the references."""
    out = Exports(folder)

    def ready(name: str, network: nn.Module, inputs: Tensor, seed: int) -> Net:
        return out.net(name, networks.prepare(network, inputs, seed), inputs)

    pictures = networks.images(CALIBRATION, 3, 96, seed=1)
    scenes = ready("scene_classifier", networks.ImageClassifier(), pictures, 101)
    base = out.tflite(scenes)
    int8 = out.add("scene_classifier_int8.tflite", "tflite", scenes, channels_last=True)
    quantize_tflite(base, pictures, int8)

    pages = networks.images(CALIBRATION, 3, 96, seed=2)
    sibling = networks.fine_tune(scenes.network, pages, 102)
    fine_tuned = out.tflite(out.net("document_classifier", sibling, pages))

    mfcc = networks.sequences(CALIBRATION, 1, 49, 10, seed=3)
    out.tflite(ready("keyword_spotter", networks.KeywordSpotter(), mfcc, 103))

    grey = networks.images(CALIBRATION, 1, 64, seed=4)
    out.tflite(ready("sharpness", networks.Sharpness(), grey, 104))

    faces = networks.images(CALIBRATION, 3, 64, seed=5)
    landmarks = ready("face_landmarks", networks.FaceLandmarks(), faces, 105)
    out.tflite(landmarks)
    out.ncnn(landmarks, half=True)

    style = ready("style_transfer", networks.StyleTransfer(), faces, 106)
    out.onnx(style, "image", "styled")

    glyphs = networks.images(CALIBRATION, 1, 32, seed=7)
    reader = ready("character_reader", networks.CharacterReader(), glyphs, 107)
    quantize_onnx(
        out.onnx(reader, "glyph", "logits"), "glyph", glyphs,
        out.add("character_reader_int8.onnx", "onnx", reader),
    )  # fmt: skip

    strokes = networks.sequences(CALIBRATION, 64, 3, seed=8)
    pen = ready("stroke_reader", networks.StrokeReader(), strokes, 108)
    text = out.ncnn(pen, half=False)
    write_binary_param(text, out.add("stroke_reader.param.bin", "ncnn", pen))

    words = networks.sentences(CALIBRATION, 16, seed=9)
    out.onnx(ready("next_word", networks.NextWord(), words, 109), "tokens", "logits")

    reviews = networks.sentences(CALIBRATION, networks.SENTENCE_TOKENS, seed=10)
    sentiment = ready("sentiment", networks.Sentiment(), reviews, 110)
    out.onnx(sentiment, "tokens", "probabilities")

    out.finish((base, fine_tuned))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python models.py FOLDER")
    warnings.simplefilter("ignore")  # the exporters' own deprecations
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)  # the same sums in the same order everywhere
    with torch.no_grad():
        export_all(Path(sys.argv[1]))
