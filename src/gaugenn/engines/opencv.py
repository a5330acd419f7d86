"""OpenCV's dnn module, version 5, with its new graph engine, on the CPU."""

import importlib
from typing import ClassVar

import numpy as np

from gaugenn.engines._wheel import WheelEngine
from gaugenn.engines._worker import Adapter, Array, InputSpec, Offer, OperatorTime, Refusal
from gaugenn.records import Precision, Processor, ProfileMethod, TimingSemantics


class OpenCvAdapter(Adapter):
    """`readNet...` loads and prepares what it can; the rest happens in the first `forward`.

    Setting the input copies it and is kept outside; `forward` returns copies of the outputs, which
    lie in the timed region. A net does not tell its inputs: the job gives their names and sizes.
    """

    distribution = "opencv-python-headless"
    phases = "load+prepare"

    def start(self) -> None:
        """Imports the library."""
        self.library = importlib.import_module("cv2")
        self.library.setNumThreads(self.order.threads)

    def load(self) -> None:
        """Parses the file and makes the net."""
        path = self.order.model_paths[0]
        with open(path, "rb") as file:  # noqa: PTH123
            lite = file.read(8)[4:] == b"TFL3"
        if lite:
            self.net = self.library.dnn.readNetFromTFLite(path)
        else:
            self.net = self.library.dnn.readNetFromONNX(path)
        if self.net.empty():
            raise Refusal("OpenCV made an empty net of it")

    def inputs(self) -> list[InputSpec]:
        """What the job gives."""
        kinds = dict(self.order.input_dtypes)
        return [
            InputSpec(name=name, dtype=kinds.get(name, "float32"), shape=shape)
            for name, shape in self.order.input_shapes
        ]

    def feed(self, arrays: list[Array]) -> None:
        """Keeps the input."""
        names = [name for name, _ in self.order.input_shapes]
        self.arrays = list(zip(names, arrays, strict=True))
        self.names = list(self.net.getUnconnectedOutLayersNames())

    def stage(self) -> None:
        """Copies the input into the net."""
        for name, array in self.arrays:
            self.net.setInput(array, name)

    def invoke(self) -> None:
        """One inference."""
        self.results = self.net.forward(self.names)

    def outputs(self) -> list[tuple[str, Array]]:
        """What `forward` returned."""
        return [(n, np.asarray(r)) for n, r in zip(self.names, self.results, strict=True)]

    def offers(self) -> list[Offer]:
        """The new engine knows no other target."""
        return [Offer(processor="cpu", name="CPU", precisions=("as-stored", "float32"))]

    def profile(self, repeats: int) -> list[list[OperatorTime]]:
        """The net's own times by layer."""
        self.net.setProfilingMode(self.library.dnn.DNN_PROFILE_DETAILED)
        frequency = self.library.getTickFrequency()
        names = self.net.getLayerNames()
        kinds = [str(self.net.getLayer(self.net.getLayerId(name)).type) for name in names]
        runs = []
        for _ in range(repeats):
            self.stage()
            self.invoke()
            ticks = np.asarray(self.net.getPerfProfile()[1]).reshape(-1)
            if ticks.size != len(names):
                raise Refusal(f"{ticks.size} times for {len(names)} layers")
            runs.append(
                [
                    OperatorTime(name=str(name), operator=kind, duration_s=float(tick) / frequency)
                    for name, kind, tick in zip(names, kinds, ticks, strict=True)
                ]
            )
        return runs

    def observed_processor(self) -> str:
        """No other backend or target is set, and the wheel has none."""
        return "cpu"

    def observed_precision(self) -> str:
        """The CPU target computes in single precision."""
        return "float32"

    def observed_threads(self) -> int:
        """What the library was told."""
        return int(self.library.getNumThreads())


class OpenCv(WheelEngine):
    """OpenCV on the CPU."""

    title = "OpenCV"
    spec = "https://docs.opencv.org/5.x/db/d30/classcv_1_1dnn_1_1Net.html"
    formats = ("onnx", "tflite")
    processors = (Processor.CPU,)
    precisions = (Precision.AS_STORED, Precision.FLOAT32)
    distribution = "opencv-python-headless"
    module = "cv2"
    default_version = "5.0.0.93"
    by_default = False
    needs_input_shapes = True
    phases = "load+prepare"
    profile_method = ProfileMethod.PROFILER
    adapter: ClassVar[type[Adapter]] = OpenCvAdapter
    timing_semantics = TimingSemantics(
        real_weights=True,
        input_preparation_timed=False,
        output_copy_timed=True,
        raw_samples=True,
    )
