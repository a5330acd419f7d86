"""OpenCV's dnn module on the CPU, reading ONNX."""

import importlib
from collections.abc import Sequence

import numpy as np

from gaugenn.zoo._order import ModelInput
from gaugenn.zoo.runtimes import Array, Runtime


class OpenCv(Runtime):
    """The engine that the library chooses."""

    title = "OpenCV dnn"
    spec = "https://docs.opencv.org/5.x/d2/d58/tutorial_table_of_content_dnn.html"
    format = "onnx"
    distribution = "opencv-python-headless"

    def run(
        self, files: Sequence[str], inputs: Sequence[ModelInput], values: Sequence[Array]
    ) -> list[Array]:
        """See `Runtime.run`."""
        library = importlib.import_module("cv2")
        net = library.dnn.readNetFromONNX(files[0])
        for given, value in zip(inputs, values, strict=True):
            net.setInput(value, given.name)
        found = dict(
            zip(
                net.getUnconnectedOutLayersNames(),
                net.forward(net.getUnconnectedOutLayersNames()),
                strict=True,
            )
        )
        return [np.array(found[name]) for name in sorted(found)]
