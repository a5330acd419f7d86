"""LiteRT's interpreter with XNNPACK."""

import importlib
from collections.abc import Sequence

import numpy as np

from gaugenn.zoo._order import ModelInput
from gaugenn.zoo.runtimes import Array, Runtime


class LiteRt(Runtime):
    """Integer inputs and outputs of a quantised file are scaled as the file says."""

    title = "LiteRT"
    spec = "https://ai.google.dev/edge/litert/inference"
    format = "tflite"
    distribution = "ai-edge-litert"

    def run(
        self, files: Sequence[str], inputs: Sequence[ModelInput], values: Sequence[Array]
    ) -> list[Array]:
        """See `Runtime.run`."""
        del inputs
        library = importlib.import_module("ai_edge_litert.interpreter")
        interpreter = library.Interpreter(model_path=files[0])
        runner = interpreter.get_signature_runner()
        details = runner.get_input_details()
        feed = {}
        for position, value in enumerate(values):
            name = f"args_{position}"
            scale, zero = details[name]["quantization"]
            kind = details[name]["dtype"]
            if scale:
                limits = np.iinfo(kind)
                value = np.clip(np.round(value / scale) + zero, limits.min, limits.max)
            feed[name] = value.astype(kind)
        found = runner(**feed)
        answers = []
        for name in sorted(found, key=lambda text: int(text.rpartition("_")[2])):
            scale, zero = runner.get_output_details()[name]["quantization"]
            value = found[name].astype(np.float32)
            answers.append((value - zero) * scale if scale else value)
        return answers
