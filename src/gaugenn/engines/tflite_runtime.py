"""TensorFlow Lite as it was before LiteRT: the last wheel of `tflite-runtime`, an older generation."""

import importlib
from typing import ClassVar

from gaugenn.engines._wheel import WheelEngine
from gaugenn.engines._worker import Adapter
from gaugenn.engines.litert import LiteRt, LiteRtAdapter
from gaugenn.records import Precision, Processor


class TfLiteRuntimeAdapter(LiteRtAdapter):
    """The same interpreter under its old name."""

    distribution = "tflite-runtime"

    def start(self) -> None:
        """Imports the interpreter."""
        self.library = importlib.import_module("tflite_runtime.interpreter")


class TfLiteRuntime(WheelEngine):
    """TensorFlow Lite on the CPU."""

    title = "TensorFlow Lite runtime"
    spec = "https://www.tensorflow.org/lite/guide/python"
    formats = ("tflite",)
    processors = (Processor.CPU,)
    precisions = (Precision.AS_STORED,)
    distribution = "tflite-runtime"
    module = "tflite_runtime.interpreter"
    default_version = "2.14.0"
    by_default = False
    profile_method = LiteRt.profile_method
    adapter: ClassVar[type[Adapter]] = TfLiteRuntimeAdapter
    timing_semantics = LiteRt.timing_semantics

    def requirements(self, version: str) -> tuple[str, ...]:
        """The wheel, and the numpy it was built with: beside numpy 2 it cannot open a model."""
        return (f"{self.distribution}=={version}", "numpy<2")
