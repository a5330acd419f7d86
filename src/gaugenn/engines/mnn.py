"""MNN through its Python wheel and its session interface.

The wheel computes on the CPU only. Asked for another processor it prints a line, computes on the CPU
all the same and gives identical results, so what ran is asked of the session afterwards.
"""

import importlib
import time
from typing import ClassVar

import numpy as np

from gaugenn.engines._wheel import WheelEngine
from gaugenn.engines._worker import Adapter, Array, Foreign, InputSpec, Offer, OperatorTime, Refusal
from gaugenn.records import Precision, Processor, ProfileMethod, TimingSemantics


class MnnAdapter(Adapter):
    """`Interpreter` loads and `createSession` prepares; only a session knows the model's inputs, so
    one call stands for both.

    Inputs are copied into the session's tensors and outputs out of them outside the inference.
    """

    distribution = "MNN"
    phases = "load+prepare"
    precisions: ClassVar[dict[str, str]] = {
        "as-stored": "normal",
        "float32": "high",
        "float16": "low",
    }
    backend_processors: ClassVar[dict[int, str]] = {
        0: "cpu",
        1: "gpu",
        2: "gpu",
        3: "gpu",
        5: "npu",
        6: "gpu",
        7: "gpu",
        13: "cpu",
    }
    """What computes by the session's backend code; 13 is the CPU with the extensions that it has.

    Source: https://github.com/alibaba/MNN/blob/master/include/MNN/MNNForwardType.h
    """

    def start(self) -> None:
        """Imports the library."""
        self.library = importlib.import_module("MNN")

    def load(self) -> None:
        """Reads the model and makes a session of it."""
        path = self.order.model_paths[0]
        self.interpreter = self.library.Interpreter(path)
        if len(self.order.model_paths) > 1:
            self.interpreter.setExternalFile(self.order.model_paths[1])
        precision = self.precisions.get(self.order.precision)
        if precision is None:
            raise Refusal(f"MNN cannot be told to compute in {self.order.precision}")
        self.session = self.interpreter.createSession(
            {
                "backend": "VULKAN" if self.order.processor == "gpu" else "CPU",
                "numThread": self.order.threads,
                "precision": precision,
            }
        )
        if self.session is None:
            raise Refusal("MNN cannot make a session of this model")

    def inputs(self) -> list[InputSpec]:
        """The session's inputs."""
        self.tensors = dict(self.interpreter.getSessionInputAll(self.session))
        return [
            InputSpec(
                name=name,
                dtype=tensor.getNumpyData().dtype.name,
                shape=tuple(int(size) for size in tensor.getShape()),
            )
            for name, tensor in self.tensors.items()
        ]

    def prepare(self, shapes: list[tuple[int, ...]]) -> None:
        """Resizes what differs from the file."""
        resized = False
        for tensor, shape in zip(self.tensors.values(), shapes, strict=True):
            if tuple(tensor.getShape()) != shape:
                self.interpreter.resizeTensor(tensor, shape)
                resized = True
        if resized:
            self.interpreter.resizeSession(self.session)

    def feed(self, arrays: list[Array]) -> None:
        """Keeps the input in tensors of the layout that the session's have."""
        self.hosts = []
        for tensor, array in zip(self.tensors.values(), arrays, strict=True):
            whole = np.ascontiguousarray(array)
            kind, layout = tensor.getDataType(), tensor.getDimensionType()
            self.hosts.append(self.library.Tensor(array.shape, kind, whole, layout))

    def stage(self) -> None:
        """Copies the input into the session, whose memory an inference uses again."""
        for tensor, host in zip(self.tensors.values(), self.hosts, strict=True):
            if not tensor.copyFrom(host):
                raise Refusal(f"MNN does not take an input of shape {host.getShape()}")

    def invoke(self) -> None:
        """One inference."""
        if self.interpreter.runSession(self.session) != 0:
            raise Refusal("MNN cannot run this session")

    def outputs(self) -> list[tuple[str, Array]]:
        """Copies of the session's outputs."""
        found = []
        for name, tensor in self.interpreter.getSessionOutputAll(self.session).items():
            shape, kind = tensor.getShape(), tensor.getDataType()
            empty = np.zeros(shape, tensor.getNumpyData().dtype)
            host = self.library.Tensor(shape, kind, empty, tensor.getDimensionType())
            tensor.copyToHostTensor(host)
            found.append((str(name), np.array(host.getNumpyData()).reshape(shape)))
        return found

    def offers(self) -> list[Offer]:
        """The wheel is built without any other backend."""
        half = ("float16",) if self.has_half() else ()
        return [Offer(processor="cpu", name="CPU", precisions=("as-stored", "float32", *half))]

    def profile(self, repeats: int) -> list[list[OperatorTime]]:
        """The library calls back before and after each operator."""
        return [self.profile_once() for _ in range(repeats)]

    def profile_once(self) -> list[OperatorTime]:
        """One inference in which the library calls back."""
        clock, begin = time.perf_counter_ns, 0
        rows: list[OperatorTime] = []

        def before(*_: object) -> bool:
            nonlocal begin
            begin = clock()
            return True

        def after(_: object, info: Foreign) -> bool:
            spent = clock() - begin
            row = OperatorTime(
                name=str(info.getName()), operator=str(info.getType()), duration_s=spent / 1e9
            )
            rows.append(row)
            return True

        self.stage()
        self.interpreter.runSessionWithCallBackInfo(self.session, before, after)
        return rows

    def has_half(self) -> bool:
        """Whether the CPU computes in half precision, which MNN uses on ARM only."""
        import platform

        if platform.machine() not in ("aarch64", "arm64"):
            return False
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:  # noqa: PTH123
            return "asimdhp" in file.read()

    def backend(self) -> int:
        """The session's backend code."""
        return int(self.interpreter.getSessionInfo(self.session, 2))

    def observed_processor(self) -> str | None:
        """What the session's backend is, whatever was asked for."""
        return self.backend_processors.get(self.backend())

    def observed_precision(self) -> str | None:
        """Half precision needs the CPU's extension; without it everything is computed in float32."""
        if self.observed_processor() != "cpu":
            return None
        lowered = self.order.precision == "float16" and self.has_half() and self.backend() != 0
        return "float16" if lowered else "float32"


class Mnn(WheelEngine):
    """MNN on the CPU."""

    title = "MNN"
    spec = "https://mnn-docs.readthedocs.io/en/latest/pymnn/Interpreter.html"
    formats = ("mnn",)
    processors = (Processor.CPU,)
    precisions = (Precision.AS_STORED, Precision.FLOAT32, Precision.FLOAT16)
    distribution = "MNN"
    module = "MNN"
    default_version = "3.6.1"
    phases = "load+prepare"
    profile_method = ProfileMethod.CALLBACK
    adapter: ClassVar[type[Adapter]] = MnnAdapter
    timing_semantics = TimingSemantics(
        real_weights=True,
        input_preparation_timed=False,
        output_copy_timed=False,
        raw_samples=True,
    )
