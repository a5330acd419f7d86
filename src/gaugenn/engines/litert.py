"""LiteRT (TensorFlow Lite) through its Python interpreter, with the default XNNPACK delegate."""

import importlib
from typing import ClassVar

import numpy as np

from gaugenn.engines._wheel import WheelEngine
from gaugenn.engines._worker import Adapter, Array, InputSpec
from gaugenn.records import Precision, Processor, TimingSemantics


class LiteRtAdapter(Adapter):
    """`Interpreter` loads, `allocate_tensors` prepares; tensors are set and fetched outside invoke."""

    distribution = "ai-edge-litert"

    def start(self) -> None:
        """Imports the interpreter."""
        self.library = importlib.import_module("ai_edge_litert.interpreter")

    def load(self) -> None:
        """Maps the file and applies the default delegates."""
        self.interpreter = self.library.Interpreter(
            model_path=self.order.model_paths[0], num_threads=self.order.threads
        )

    def inputs(self) -> list[InputSpec]:
        """Inputs of the main graph in its order."""
        specs = []
        self.details = self.interpreter.get_input_details()
        for detail in self.details:
            shape = tuple(int(size) for size in detail["shape"])
            signature = tuple(int(size) for size in detail["shape_signature"])
            kind = np.dtype(detail["dtype"])
            specs.append(
                InputSpec(
                    name=str(detail["name"]),
                    dtype="string" if kind.kind in "SUO" else kind.name,
                    shape=signature if len(signature) == len(shape) else shape,
                )
            )
        return specs

    def prepare(self, shapes: list[tuple[int, ...]]) -> None:
        """Resizes what differs from the file, then allocates."""
        for detail, shape in zip(self.details, shapes, strict=True):
            if tuple(detail["shape"]) != shape:
                self.interpreter.resize_tensor_input(detail["index"], shape)
        self.interpreter.allocate_tensors()

    def feed(self, arrays: list[Array]) -> None:
        """Copies the input into the interpreter's own buffers."""
        for detail, array in zip(self.details, arrays, strict=True):
            self.interpreter.set_tensor(detail["index"], array)

    def invoke(self) -> None:
        """One inference."""
        self.interpreter.invoke()

    def outputs(self) -> list[tuple[str, Array]]:
        """Copies of the output buffers."""
        details = self.interpreter.get_output_details()
        return [(str(d["name"]), self.interpreter.get_tensor(d["index"])) for d in details]

    def observed_processor(self) -> str:
        """No delegate but XNNPACK is loaded."""
        return "cpu"


class LiteRt(WheelEngine):
    """LiteRT on the CPU."""

    title = "LiteRT"
    spec = "https://ai.google.dev/edge/api/tflite/python/tf/lite/Interpreter"
    formats = ("tflite",)
    processors = (Processor.CPU,)
    precisions = (Precision.AS_STORED,)
    distribution = "ai-edge-litert"
    module = "ai_edge_litert.interpreter"
    default_version = "2.3.0"
    adapter: ClassVar[type[Adapter]] = LiteRtAdapter
    timing_semantics = TimingSemantics(
        real_weights=True,
        input_preparation_timed=False,
        output_copy_timed=False,
        raw_samples=True,
    )

    def requirements(self, version: str) -> tuple[str, ...]:
        """The wheel and numpy; 1.0 was built before numpy 2 and cannot open a model beside it."""
        numpy = "numpy<2" if version.startswith("1.0.") else "numpy"
        return (f"{self.distribution}=={version}", numpy)
