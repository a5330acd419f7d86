"""ONNX by PyTorch's tracing exporter; halved and quantised by ONNX Runtime's tools."""

import importlib
from pathlib import Path

from gaugenn.zoo._order import Variant
from gaugenn.zoo.exporters import Export, Exporter, Sample


class _Samples:
    """Calibration samples as ONNX Runtime reads them: one dictionary after the other, then None."""

    def __init__(self, names: list[str], samples: list[Sample]) -> None:
        self._left = [dict(zip(names, sample, strict=True)) for sample in samples]

    def get_next(self) -> object:
        """The next sample, or None."""
        return self._left.pop(0) if self._left else None


class OnnxExporter(Exporter):
    """Opset 17; int8 as QDQ, weights per channel."""

    title = "torch.onnx"
    spec = "https://docs.pytorch.org/docs/stable/onnx.html"
    packages = ("torch", "onnx", "onnxruntime")

    def export(self, order: Export) -> list[Path]:
        """See `Exporter.export`."""
        torch = importlib.import_module("torch")
        path = order.folder / f"{order.stem}.onnx"
        first = path.with_name("exported.onnx")
        names = [i.name for i in order.inputs]
        sample = tuple(torch.from_numpy(array) for array in order.sample)
        outputs = order.module(*sample)
        count = len(outputs) if isinstance(outputs, tuple) else 1
        torch.onnx.export(
            order.module,
            sample,
            str(first),
            dynamo=False,
            opset_version=17,
            input_names=names,
            output_names=[f"output{i}" for i in range(count)],
        )
        if order.variant is Variant.FLOAT32:
            first.rename(path)
            return [path]
        if order.variant is Variant.FLOAT16:
            _halve(first, path)
        else:
            _quantise(first, path, names, list(order.calibration))
        return [path]


def _halve(source: Path, path: Path) -> None:
    """Weights and activations in float16 between float32 inputs and outputs."""
    onnx = importlib.import_module("onnx")
    float16 = importlib.import_module("onnxruntime.transformers.float16")
    halved = float16.convert_float_to_float16(onnx.load(str(source)), keep_io_types=True)
    onnx.save(halved, str(path))


def _quantise(source: Path, path: Path, names: list[str], samples: list[Sample]) -> None:
    quantization = importlib.import_module("onnxruntime.quantization")
    shapes = importlib.import_module("onnxruntime.quantization.shape_inference")
    prepared = source.with_name("prepared.onnx")
    shapes.quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
    quantization.quantize_static(
        str(prepared),
        str(path),
        _Samples(names, samples),
        quant_format=quantization.QuantFormat.QDQ,
        per_channel=True,
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
    )
