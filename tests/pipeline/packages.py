"""Small packages with real models inside, and packages that are out to do harm."""

import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

PARAM = """7767517
3 3
Input            data  0 1 data 0=4 1=4 2=3
Convolution      conv  1 1 data conv 0=8 1=3 4=1 5=1 6=216
Softmax          prob  1 1 conv prob 0=0
"""


def ncnn_weights(seed: int = 0) -> bytes:
    """The .bin of `PARAM`: 216 float32 weights behind a tag, 8 biases."""
    values = np.random.default_rng(seed).standard_normal(216 + 8).astype("<f4")
    return struct.pack("<I", 0) + values[:216].tobytes() + values[216:].tobytes()


def onnx_model(seed: int = 0, channels: int = 8) -> bytes:
    """A convolution, a ReLU and a global pool: (1, 3, 8, 8) -> (1, channels, 1, 1)."""
    weights = np.random.default_rng(seed).standard_normal((channels, 3, 3, 3)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1], kernel_shape=[3, 3]),
            helper.make_node("Relu", ["c"], ["r"]),
            helper.make_node("GlobalAveragePool", ["r"], ["y"]),
        ],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, channels, 1, 1])],
        [numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def package(
    members: dict[str, bytes], path: Path | None = None, stored: tuple[str, ...] = ()
) -> bytes:
    """A zip with these members; also written to `path` where one is given.

    Members whose paths begin with one of `stored` are not compressed.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            entry = zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))
            method = zipfile.ZIP_STORED if name.startswith(stored) else zipfile.ZIP_DEFLATED
            archive.writestr(entry, data, method)
    data = buffer.getvalue()
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return data


def encrypted_flags(data: bytes) -> bytes:
    """The same zip with the encryption flag set on every member, as obfuscators do."""
    out = bytearray(data)
    for magic, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        start = out.find(magic)
        while start >= 0:
            out[start + offset] |= 1
            start = out.find(magic, start + 4)
    return bytes(out)


def hostile_folder(folder: Path) -> None:
    """A folder of good packages among bad ones."""
    good = {
        "AndroidManifest.xml": b"<manifest/>",
        "assets/net.param": PARAM.encode(),
        "assets/net.bin": ncnn_weights(),
        "assets/net.onnx": onnx_model(),
    }
    package(good, folder / "good.apk")
    package({**good, "assets/again.dat": onnx_model()}, folder / "same.apk")
    package({"res/raw/other": onnx_model(1), "a.txt": b"x"}, folder / "inner/other.apk")
    whole = package(good)
    (folder / "truncated.apk").write_bytes(whole[: len(whole) * 2 // 3])
    (folder / "flags.apk").write_bytes(encrypted_flags(whole))
    (folder / "empty.apk").write_bytes(b"")
    (folder / "notes.apk").write_text("not an app")
    (folder / "words.tflite").write_text("not a model at all\n" * 20)
    package({"../../../tmp/evil.onnx": onnx_model(2)}, folder / "traversal.apk")
    package({"assets/bomb.onnx": bytes(64 << 20)}, folder / "bomb.apk")
    (folder / "cut.onnx").write_bytes(onnx_model()[:-40])
    (folder / "lone.onnx").write_bytes(onnx_model(3))
