"""OpenVINO on the CPU, reading ONNX."""

import importlib
from collections.abc import Sequence

import numpy as np

from gaugenn.zoo._order import ModelInput
from gaugenn.zoo.runtimes import Array, Runtime


class OpenVino(Runtime):
    """With float32 asked for, where the processor could do less."""

    title = "OpenVINO"
    spec = "https://docs.openvino.ai/2026/openvino-workflow/running-inference.html"
    format = "onnx"
    distribution = "openvino"

    def run(
        self, files: Sequence[str], inputs: Sequence[ModelInput], values: Sequence[Array]
    ) -> list[Array]:
        """See `Runtime.run`."""
        library = importlib.import_module("openvino")
        settings = {"INFERENCE_PRECISION_HINT": "f32"}
        compiled = library.Core().compile_model(files[0], "CPU", settings)
        request = compiled.create_infer_request()
        found = request.infer({i.name: v for i, v in zip(inputs, values, strict=True)})
        return [np.array(found[port]) for port in compiled.outputs]
