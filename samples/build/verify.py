"""Runs every model out of the finished packages and compares with what PyTorch answered.

    python verify.py MODELS SAMPLES

Also has Android's tools look at the packages. Ends with an error at the first thing that is not as
`expected.json` says.
"""

import io
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import models
import ncnn
import numpy as np
import onnxruntime
import packages
from ai_edge_litert.interpreter import Interpreter

Array = np.ndarray
MINIMUM_COSINE = {"float32": 0.999999, "float16": 0.9999, "int8": 0.95}


def read_member(package: Path, member: str) -> bytes:
    """A member's bytes, through nested zips."""
    data = package.read_bytes()
    for name in member.split("!/"):
        data = zipfile.ZipFile(io.BytesIO(data)).read(name)
    return data


def decrypt(data: bytes) -> bytes:
    """Undoes `packages.encrypt`."""
    command = ["openssl", "enc", "-d", "-aes-128-cbc", "-K", packages.AES_KEY]
    command += ["-iv", packages.AES_IV]
    return subprocess.run(command, check=True, input=data, capture_output=True).stdout


def run_tflite(data: bytes, image: Array) -> Array:
    """One inference by LiteRT; integers are scaled from and to real numbers."""
    interpreter = Interpreter(model_content=data, num_threads=1)
    interpreter.allocate_tensors()
    into, out = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    value = image.transpose(0, 2, 3, 1)
    if into["dtype"] == np.int8:
        scale, zero = into["quantization"]
        value = np.clip(np.round(value / scale) + zero, -128, 127)
    interpreter.set_tensor(into["index"], value.astype(into["dtype"]))
    interpreter.invoke()
    result = interpreter.get_tensor(out["index"])
    if out["dtype"] == np.int8:
        scale, zero = out["quantization"]
        return (result.astype(np.float32) - zero) * scale
    return result


def run_onnx(data: bytes, value: Array) -> Array:
    """One inference by ONNX Runtime."""
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: value})[0]


def run_ncnn(graph: bytes, weights: bytes, value: Array, *, binary: bool) -> Array:
    """One inference by ncnn in float32, which drops the batch dimension."""
    with tempfile.TemporaryDirectory() as folder:
        net = ncnn.Net()
        param, model = Path(folder) / "net.param", Path(folder) / "net.bin"
        param.write_bytes(graph)
        model.write_bytes(weights)
        for option in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"):
            setattr(net.opt, f"use_{option}", False)
        load = net.load_param_bin if binary else net.load_param
        if load(str(param)) != 0 or net.load_model(str(model)) != 0:
            sys.exit("ncnn cannot load the model")
        extractor = net.create_extractor()
        ends = (net.input_indexes()[0], net.output_indexes()[0])
        extractor.input(ends[0], ncnn.Mat(np.ascontiguousarray(value[0])).clone())
        code, result = extractor.extract(ends[1])
        if code != 0:
            sys.exit("ncnn cannot run the model")
        answer = np.array(result)[None]
        del extractor, result  # they hold memory of the net and must go first
        return answer


def check_models(samples: Path, expected: dict, references: dict[str, Array]) -> None:
    """Runs each model of each package once."""
    print(f"{'package':11} {'member':54} {'engine':11} {'cosine':>9} {'max error':>9}")
    for package, facts in expected["packages"].items():
        path = samples / package
        for file in facts["files"]:
            if file["kind"] == "weights":
                continue
            data = read_member(path, file["member"])
            data = decrypt(data) if file["kind"] == "encrypted" else data
            value = references[f"{file['network']}.input"]
            precision = "float32"
            if file["framework"] == "tflite":
                result = run_tflite(data, value)
            elif file["framework"] == "onnx":
                result = run_onnx(data, value)
            else:
                member = file["member"]
                binary = member.endswith(".bin")
                stem = member.removesuffix(".bin").removesuffix(".param")
                result = run_ncnn(data, read_member(path, f"{stem}.bin"), value, binary=binary)
                precision = "float32" if binary else "float16"
            place = {"package": package, "member": file["member"]}
            precision = "int8" if place in expected["quantized"] else precision
            compare(
                place, file["framework"], result, references[f"{file['network']}.output"], precision
            )


def compare(place: dict, engine: str, result: Array, wanted: Array, precision: str) -> None:
    """Prints how close an output is to PyTorch's, and ends where it is not."""
    if result.shape != wanted.shape:
        sys.exit(f"{place}: output of shape {result.shape}, expected {wanted.shape}")
    a, b = result.ravel().astype(np.float64), wanted.ravel().astype(np.float64)
    # One number has no direction: then the cosine is that of (value, 1).
    a, b = (np.append(v, 1.0) if v.size == 1 else v for v in (a, b))
    cosine = float(a @ b / np.sqrt((a @ a) * (b @ b)))
    error = float(np.abs(a - b).max())
    print(f"{place['package']:11} {place['member']:54} {engine:11} {cosine:9.6f} {error:9.1e}")
    if cosine < MINIMUM_COSINE[precision]:
        sys.exit(f"{place}: too far from PyTorch for {precision}")


def check_relations(samples: Path, expected: dict) -> None:
    """Duplicates are equal; the fine-tuned sibling shares what it should, byte for byte."""

    def data(place: dict) -> bytes:
        return read_member(samples / place["package"], place["member"])

    for places in expected["duplicates"]:
        if len({data(place) for place in places}) != 1:
            sys.exit(f"not equal: {places}")
    for pair in expected["siblings"]:
        with tempfile.TemporaryDirectory() as folder:
            files = []
            for role in ("base", "fine_tuned"):
                files.append(Path(folder) / role)
                files[-1].write_bytes(data(pair[role]))
            counts = models.compare_tensors(files[0], files[1])
        if counts != (pair["shared_tensors"], pair["different_tensors"]):
            sys.exit(f"siblings share {counts}: {pair}")
        print(f"siblings: {counts[0]} weight tensors equal in every byte, {counts[1]} different")


def check_packages(samples: Path, expected: dict) -> None:
    """Signatures, alignment and manifests, by Android's own tools."""
    for package, facts in expected["packages"].items():
        if facts["kind"] != "apk":
            continue
        path = str(samples / package)
        packages.run("apksigner", "verify", path)
        packages.run("zipalign", "-c", "-p", "4", path)
        badging = subprocess.run(
            ["aapt", "dump", "badging", path], check=True, capture_output=True, text=True
        ).stdout
        wanted = [
            f"package: name='{facts['package']}' versionCode='{facts['version_code']}' "
            f"versionName='{facts['version_name']}'",
            f"application-label:'{facts['label']}'",
            f"sdkVersion:'{facts['minimum_sdk']}'",
            f"targetSdkVersion:'{facts['target_sdk']}'",
            *(f"uses-permission: name='{name}'" for name in facts["permissions"]),
            *(f"native-code: '{abi}'" for abi in facts["abis"]),
        ]
        for line in wanted:
            if line not in badging:
                sys.exit(f"{package}: aapt does not say {line!r}, but:\n{badging}")
        print(f"{package:11} signature, alignment and manifest are right")


def main(folder: Path, samples: Path) -> None:
    """All checks."""
    expected = json.loads((samples / "expected.json").read_text("utf-8"))
    with np.load(folder / "references.npz") as references:
        check_models(samples, expected, dict(references))
    check_relations(samples, expected)
    check_packages(samples, expected)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python verify.py MODELS SAMPLES")
    main(Path(sys.argv[1]), Path(sys.argv[2]))
