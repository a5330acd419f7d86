"""ExecuTorch through the runtime of its Python package, with what a program was lowered to: XNNPACK.

Which operators go to XNNPACK is decided when a program is made, and nothing can be moved afterwards.
"""

import importlib
from typing import ClassVar

import numpy as np

from gaugenn.engines._wheel import WheelEngine
from gaugenn.engines._worker import Adapter, Array, InputSpec, Offer, OperatorTime, Refusal
from gaugenn.records import Precision, Processor, ProfileMethod, TimingSemantics


class ExecuTorchAdapter(Adapter):
    """`load_program` loads, `load_method` prepares; in a profile one call does both."""

    distribution = "executorch"
    scalar_types: ClassVar[dict[int, str]] = {
        0: "uint8",
        1: "int8",
        2: "int16",
        3: "int32",
        4: "int64",
        5: "float16",
        6: "float32",
        7: "float64",
        11: "bool",
        15: "bfloat16",
    }
    """numpy names of element types.

    Source: https://github.com/pytorch/pytorch/blob/main/torch/headeronly/core/ScalarType.h
    """

    def start(self) -> None:
        """Imports the runtime, and torch, whose tensors it takes."""
        self.library = importlib.import_module("executorch.runtime")
        self.bindings = importlib.import_module("executorch.extension.pybindings.portable_lib")
        self.torch = importlib.import_module("torch")
        self.torch.set_num_threads(self.order.threads)
        self.bindings._unsafe_reset_threadpool(self.order.threads)  # noqa: SLF001 - the library has no other way

    def load(self) -> None:
        """Maps the program."""
        path = self.order.model_paths[0]
        if self.profiling:
            self.traced = self.bindings._load_for_executorch(path, enable_etdump=True)  # noqa: SLF001 - the library has no other way
        self.program = self.library.Runtime.get().load_program(path)
        if "forward" not in self.program.method_names:
            raise Refusal(f"no method forward, only {sorted(self.program.method_names)}")

    def inputs(self) -> list[InputSpec]:
        """The tensors that `forward` takes."""
        meta = self.program.metadata("forward")
        specs = []
        for position in range(meta.num_inputs()):
            info = meta.input_tensor_meta(position)
            kind = self.scalar_types.get(int(info.dtype()))
            if kind is None:
                raise Refusal(f"input {position} has elements of type {info.dtype()}")
            shape = tuple(int(size) for size in info.sizes())
            specs.append(InputSpec(name=f"input {position}", dtype=kind, shape=shape))
        return specs

    def prepare(self, shapes: list[tuple[int, ...]]) -> None:
        """Plans memory, and packs the weights of what is delegated."""
        del shapes
        self.method = self.program.load_method("forward")

    def feed(self, arrays: list[Array]) -> None:
        """Shares the input's memory."""
        self.tensors = [self.torch.from_numpy(np.ascontiguousarray(a)) for a in arrays]

    def invoke(self) -> None:
        """One inference."""
        self.results = self.method.execute(self.tensors)

    def outputs(self) -> list[tuple[str, Array]]:
        """Copies of the tensors among the results."""
        return [
            (f"output {position}", np.array(value.detach().numpy()))
            for position, value in enumerate(self.results)
            if isinstance(value, self.torch.Tensor)
        ]

    def offers(self) -> list[Offer]:
        """XNNPACK and the portable kernels."""
        names = self.library.Runtime.get().backend_registry.registered_backend_names
        return [Offer(processor="cpu", name=", ".join(sorted(names)), precisions=("as-stored",))]

    def profile(self, repeats: int) -> list[list[OperatorTime]]:
        """The events that the runtime and its delegates write into an ETDump.

        Kernels and the operators inside delegates count; a delegate that tells nothing of its inside
        is one operator.

        Source: https://docs.pytorch.org/executorch/stable/model-inspector.html
        """
        devtools = importlib.import_module("executorch.devtools")
        for _ in range(repeats):
            self.traced.forward(self.tensors)
        self.traced.write_etdump_result_to_file("trace.etdp")
        inspector = devtools.Inspector(etdump_path="trace.etdp")
        blocks = [block for block in inspector.event_blocks if block.name == "Execute"]
        rows, told = [], False
        for event in (event for block in blocks for event in block.events):
            inside = bool(event.is_delegated_op)
            opaque = event.name == "DELEGATE_CALL" and not told
            told = inside or (told and event.name != "DELEGATE_CALL")
            if event.perf_data is not None and (
                inside or opaque or event.name.startswith("native_call_")
            ):
                rows.append((event.name.removeprefix("native_call_"), event.perf_data.raw))
        if any(len(raw) != repeats for _, raw in rows):
            raise Refusal("some operators did not run in every inference")
        return [
            [
                OperatorTime(name=str(number), operator=name, duration_s=float(raw[repeat]) / 1e3)
                for number, (name, raw) in enumerate(rows)
            ]
            for repeat in range(repeats)
        ]

    def observed_processor(self) -> str:
        """Backends that use other hardware are not in the wheel."""
        return "cpu"

    def observed_threads(self) -> int:
        """Threads of the runtime's pool."""
        return int(self.bindings._threadpool_get_thread_count())  # noqa: SLF001 - the library has no other way


class ExecuTorch(WheelEngine):
    """ExecuTorch on the CPU."""

    title = "ExecuTorch"
    spec = "https://docs.pytorch.org/executorch/stable/runtime-python-api-reference.html"
    formats = ("executorch",)
    processors = (Processor.CPU,)
    precisions = (Precision.AS_STORED,)
    distribution = "executorch"
    module = "executorch.runtime"
    default_version = "1.5.1"
    by_default = False
    source_packages = ("antlr4-python3-runtime",)
    profile_method = ProfileMethod.PROFILER
    adapter: ClassVar[type[Adapter]] = ExecuTorchAdapter
    timing_semantics = TimingSemantics(
        real_weights=True,
        input_preparation_timed=False,
        output_copy_timed=True,
        raw_samples=True,
    )

    def requirements(self, version: str) -> tuple[str, ...]:
        """The wheel and the PyTorch that it is used with."""
        return (f"executorch=={version}", "torch==2.13.0", "numpy")
