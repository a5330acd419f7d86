"""ONNX Runtime on the CPU."""

import importlib
from collections.abc import Sequence

from gaugenn.zoo._order import ModelInput
from gaugenn.zoo.runtimes import Array, Runtime


class OnnxRuntime(Runtime):
    """The default CPU provider."""

    title = "ONNX Runtime"
    spec = "https://onnxruntime.ai/docs/api/python/api_summary.html"
    format = "onnx"
    distribution = "onnxruntime"

    def run(
        self, files: Sequence[str], inputs: Sequence[ModelInput], values: Sequence[Array]
    ) -> list[Array]:
        """See `Runtime.run`."""
        library = importlib.import_module("onnxruntime")
        session = library.InferenceSession(files[0], providers=["CPUExecutionProvider"])
        feed = {i.name: value for i, value in zip(inputs, values, strict=True)}
        return list(session.run(None, feed))
