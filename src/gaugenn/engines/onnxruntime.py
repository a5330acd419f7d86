"""ONNX Runtime with its CPU execution provider and its default graph optimisations (all of them)."""

import importlib
import json
import os
from typing import ClassVar

import numpy as np

from gaugenn.engines._wheel import WheelEngine
from gaugenn.engines._worker import Adapter, Array, InputSpec, Offer, OperatorTime, Refusal
from gaugenn.records import Precision, Processor, ProfileMethod, TimingSemantics, version_key


class OnnxRuntimeAdapter(Adapter):
    """`InferenceSession` loads and prepares; inputs and outputs are bound outside the inference.

    Where an output is no tensor (a list, a map) it cannot be bound: then `run` is timed with its
    copies, and the note `output-copy-timed` says so.
    """

    distribution = "onnxruntime"
    phases = "load+prepare"

    def start(self) -> None:
        """Imports the library; its warnings about models are not wanted, its errors are raised."""
        self.library = importlib.import_module("onnxruntime")
        self.library.set_default_logger_severity(3)

    def load(self) -> None:
        """Parses, optimises and plans, all in one call."""
        options = self.library.SessionOptions()
        options.intra_op_num_threads = self.order.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        if self.profiling:
            options.enable_profiling = True
            options.profile_file_prefix = os.path.abspath("profile")  # noqa: PTH100
        self.session = self.library.InferenceSession(
            self.order.model_paths[0], options, providers=["CPUExecutionProvider"]
        )
        self.providers = list(self.session.get_providers())

    def inputs(self) -> list[InputSpec]:
        """The graph's inputs without those that have a default."""
        types = {
            "float": "float32",
            "double": "float64",
            **{n: n for n in ("float16", "bfloat16", "bool", "string")},
            **{f"{u}int{bits}": f"{u}int{bits}" for u in ("", "u") for bits in (8, 16, 32, 64)},
        }
        specs = []
        for item in self.session.get_inputs():
            element = item.type.removeprefix("tensor(").removesuffix(")")
            if not item.type.startswith("tensor(") or element not in types:
                raise Refusal(
                    f"input {item.name!r} is a {item.type}, for which no values are known"
                )
            shape = tuple(size if isinstance(size, int) else -1 for size in item.shape)
            specs.append(InputSpec(name=item.name, dtype=types[element], shape=shape))
        return specs

    def feed(self, arrays: list[Array]) -> None:
        """Binds the input where it lies."""
        names = [item.name for item in self.session.get_inputs()]
        self.arrays = dict(zip(names, arrays, strict=True))
        self.names = [item.name for item in self.session.get_outputs()]
        self.binding = None
        if any(not item.type.startswith("tensor(") for item in self.session.get_outputs()):
            self.notes.append("output-copy-timed")
            return
        self.binding = self.session.io_binding()
        for name, array in self.arrays.items():
            self.binding.bind_cpu_input(name, array)
        for name in self.names:
            self.binding.bind_output(name, "cpu")

    def invoke(self) -> None:
        """One inference."""
        if self.binding is None:
            self.values = self.session.run(None, self.arrays)
        else:
            self.session.run_with_iobinding(self.binding)

    def outputs(self) -> list[tuple[str, Array]]:
        """Copies of the outputs; lists and maps are flattened to their numbers."""
        values = self.values if self.binding is None else self.binding.copy_outputs_to_cpu()
        return [(n, self.flat(v)) for n, v in zip(self.names, values, strict=True)]

    def flat(self, value: object) -> Array:
        """An output as an array."""
        if isinstance(value, np.ndarray):
            return value
        items = list(value.values()) if isinstance(value, dict) else value
        if isinstance(items, list):
            parts = [self.flat(item).reshape(-1) for item in items]
            return np.concatenate(parts) if parts else np.zeros(0, np.float32)
        return np.asarray(value)

    def offers(self) -> list[Offer]:
        """The CPU provider; a remote one that the wheel also has runs nothing here."""
        return [
            Offer(processor="cpu", name=name, precisions=("as-stored",))
            for name in self.library.get_available_providers()
            if name == "CPUExecutionProvider"
        ]

    def profile(self, repeats: int) -> list[list[OperatorTime]]:
        """The kernel times in the trace that the session writes, of the last inferences.

        Source: https://onnxruntime.ai/docs/performance/tune-performance/profiling-tools.html
        """
        for _ in range(repeats):
            self.invoke()
        path = self.session.end_profiling()
        with open(path, encoding="utf-8") as file:  # noqa: PTH123
            events = json.load(file)
        os.remove(path)  # noqa: PTH107
        seen: dict[str, list[OperatorTime]] = {}
        for event in events:
            details = event.get("args", {})
            if event.get("cat") != "Node" or not event["name"].endswith("_kernel_time"):
                continue
            row = OperatorTime(
                name=event["name"].removesuffix("_kernel_time"),
                operator=details["op_name"],
                duration_s=event["dur"] / 1e6,
                kernel=details.get("provider", ""),
            )
            seen.setdefault(f"{details.get('node_index')} {row.name}", []).append(row)
        if any(len(rows) < repeats for rows in seen.values()):
            raise Refusal("some operators did not run in every inference")
        return [[rows[-back] for rows in seen.values()] for back in range(repeats, 0, -1)]

    def observed_processor(self) -> str | None:
        """The session's provider."""
        return "cpu" if self.providers == ["CPUExecutionProvider"] else None

    def observed_threads(self) -> int | None:
        """What the session was made with."""
        return int(self.session.get_session_options().intra_op_num_threads) or None


class OnnxRuntime(WheelEngine):
    """ONNX Runtime on the CPU."""

    title = "ONNX Runtime"
    spec = "https://onnxruntime.ai/docs/api/python/api_summary.html"
    formats = ("onnx", "ort")
    processors = (Processor.CPU,)
    precisions = (Precision.AS_STORED,)
    distribution = "onnxruntime"
    module = "onnxruntime"
    default_version = "1.31.1"
    phases = "load+prepare"
    profile_method = ProfileMethod.PROFILER
    adapter: ClassVar[type[Adapter]] = OnnxRuntimeAdapter
    timing_semantics = TimingSemantics(
        real_weights=True,
        input_preparation_timed=False,
        output_copy_timed=False,
        raw_samples=True,
    )

    def requirements(self, version: str) -> tuple[str, ...]:
        """The wheel and numpy; before 1.19 it was built with numpy 1 and cannot be imported beside 2.

        Source: https://github.com/microsoft/onnxruntime/releases/tag/v1.19.0
        """
        numpy = "numpy" if version_key(version) >= (1, 19) else "numpy<2"
        return (f"{self.distribution}=={version}", numpy)
