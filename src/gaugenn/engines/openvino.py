"""OpenVINO on the CPU, tuned for latency."""

import importlib
import os
from typing import ClassVar

from gaugenn.engines._wheel import WheelEngine
from gaugenn.engines._worker import Adapter, Array, InputSpec, Offer, OperatorTime, Refusal
from gaugenn.records import Precision, Processor, ProfileMethod, TimingSemantics


class OpenVinoAdapter(Adapter):
    """`read_model` loads, `compile_model` prepares; tensors are set and fetched outside `infer`."""

    distribution = "openvino"
    hints: ClassVar[dict[str, str]] = {"float32": "f32", "float16": "f16"}
    devices: ClassVar[dict[str, str]] = {"cpu": "CPU", "gpu": "GPU", "npu": "NPU"}

    def start(self) -> None:
        """Imports the library; what tells the format to it is the file's suffix."""
        self.library = importlib.import_module("openvino")
        self.path = self.order.model_paths[0] if self.order.model_paths else ""
        if not self.path:
            return
        with open(self.path, "rb") as file:  # noqa: PTH123
            suffix = ".tflite" if file.read(8)[4:] == b"TFL3" else ".onnx"
        if not self.path.endswith(suffix):
            linked = f"{self.path}{suffix}"
            if not os.path.exists(linked):  # noqa: PTH110
                os.symlink(self.path, linked)  # noqa: PTH211
            self.path = linked

    def load(self) -> None:
        """Parses the file into a graph."""
        self.core = self.library.Core()
        self.model = self.core.read_model(self.path)

    def inputs(self) -> list[InputSpec]:
        """The graph's inputs."""
        specs = []
        for item in self.model.inputs:
            partial = item.get_partial_shape()
            if partial.rank.is_dynamic:
                raise Refusal(f"input {item.any_name!r} has no rank")
            sizes = tuple(-1 if d.is_dynamic else d.get_length() for d in partial)
            kind = item.get_element_type()
            dtype = "string" if kind == self.library.Type.string else kind.to_dtype().name
            specs.append(InputSpec(name=item.any_name, dtype=dtype, shape=sizes))
        return specs

    def prepare(self, shapes: list[tuple[int, ...]]) -> None:
        """Makes the sizes definite and compiles."""
        changed = {
            position: list(shape)
            for position, (item, shape) in enumerate(zip(self.model.inputs, shapes, strict=True))
            if item.get_partial_shape() != self.library.PartialShape(list(shape))
        }
        if changed:
            self.model.reshape(changed)
        settings: dict[str, object] = {"PERFORMANCE_HINT": "LATENCY"}
        if self.order.processor == "cpu":
            settings.update({"NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": self.order.threads})
        if self.order.precision in self.hints:
            settings["INFERENCE_PRECISION_HINT"] = self.hints[self.order.precision]
        if self.profiling:
            settings["PERF_COUNT"] = True
        device = self.devices.get(self.order.processor)
        if device is None or not any(d.startswith(device) for d in self.core.available_devices):
            raise Refusal(
                f"OpenVINO has no {self.order.processor} here, only {self.core.available_devices}"
            )
        self.compiled = self.core.compile_model(self.model, device, settings)
        self.request = self.compiled.create_infer_request()

    def feed(self, arrays: list[Array]) -> None:
        """Hands the input over where it lies."""
        self.tensors = [self.library.Tensor(array) for array in arrays]
        for position, tensor in enumerate(self.tensors):
            self.request.set_input_tensor(position, tensor)

    def invoke(self) -> None:
        """One inference."""
        self.request.infer()

    def outputs(self) -> list[tuple[str, Array]]:
        """Copies of the outputs."""
        return [
            (
                min(item.get_names(), default=f"output {position}"),
                self.request.get_output_tensor(position).data.copy(),
            )
            for position, item in enumerate(self.compiled.outputs)
        ]

    def offers(self) -> list[Offer]:
        """The devices that OpenVINO finds, with the floats that each computes in."""
        core, found = self.library.Core(), []
        words = {v: k for k, v in self.devices.items()}
        for device in core.available_devices:
            processor = words.get(device.partition(".")[0])
            able = set(core.get_property(device, "OPTIMIZATION_CAPABILITIES"))
            precisions = [
                p for p, word in (("float32", "FP32"), ("float16", "FP16")) if word in able
            ]
            if processor is not None:
                name = f"{device}: {core.get_property(device, 'FULL_DEVICE_NAME')}"
                found.append(
                    Offer(processor=processor, name=name, precisions=("as-stored", *precisions))
                )
        return found

    def profile(self, repeats: int) -> list[list[OperatorTime]]:
        """The performance counters of what was executed."""
        runs = []
        for _ in range(repeats):
            self.request.infer()
            runs.append(
                [
                    OperatorTime(
                        name=item.node_name,
                        operator=item.node_type,
                        kernel=item.exec_type,
                        duration_s=item.real_time.total_seconds(),
                    )
                    for item in self.request.profiling_info
                    if str(item.status) == "Status.EXECUTED"
                ]
            )
        return runs

    def observed_processor(self) -> str | None:
        """The devices that execute."""
        found = {
            device.strip("()").partition(".")[0].lower()
            for device in self.compiled.get_property("EXECUTION_DEVICES")
        }
        return found.pop() if len(found) == 1 and found <= self.devices.keys() else None

    def observed_precision(self) -> str | None:
        """The float type that operators of floats compute in, as the compiled model states it."""
        kind = str(self.compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name())
        return {"f32": "float32", "f16": "float16", "bf16": "bfloat16"}.get(kind, kind)

    def observed_threads(self) -> int | None:
        """What the compiled model uses."""
        if self.order.processor != "cpu":
            return None
        return int(self.compiled.get_property("INFERENCE_NUM_THREADS"))


class OpenVino(WheelEngine):
    """OpenVINO on what it finds: the wheel brings plugins for CPUs, and for Intel's GPUs and NPUs."""

    title = "OpenVINO"
    spec = "https://docs.openvino.ai/2026/api/ie_python_api/api.html"
    formats = ("onnx", "tflite")
    processors = (Processor.CPU, Processor.GPU, Processor.NPU)
    precisions = (Precision.AS_STORED, Precision.FLOAT32, Precision.FLOAT16)
    distribution = "openvino"
    module = "openvino"
    default_version = "2026.4.1"
    by_default = False
    profile_method = ProfileMethod.PROFILER
    adapter: ClassVar[type[Adapter]] = OpenVinoAdapter
    timing_semantics = TimingSemantics(
        real_weights=True,
        input_preparation_timed=False,
        output_copy_timed=False,
        raw_samples=True,
    )
