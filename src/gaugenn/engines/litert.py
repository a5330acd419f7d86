"""LiteRT (TensorFlow Lite): on the CPU its interpreter with the default XNNPACK delegate, on a GPU or
an NPU its compiled model.
"""

import importlib
import time
from typing import ClassVar

import numpy as np

from gaugenn.engines._wheel import WheelEngine
from gaugenn.engines._worker import Adapter, Array, Foreign, InputSpec, Offer, OperatorTime, Refusal
from gaugenn.records import Precision, Processor, ProfileMethod, TimingSemantics


class LiteRtAdapter(Adapter):
    """`Interpreter` loads, `allocate_tensors` prepares; tensors are set and fetched outside invoke."""

    distribution = "ai-edge-litert"
    compiled: Foreign = None
    """The compiled model that stands in for the interpreter on an accelerator."""

    def start(self) -> None:
        """Imports the interpreter."""
        self.library = importlib.import_module("ai_edge_litert.interpreter")

    def load(self) -> None:
        """Maps the file and applies the default delegates; an accelerator compiles it here, too."""
        if self.order.processor != "cpu":
            self.load_compiled()
            return
        self.interpreter = self.library.Interpreter(
            model_path=self.order.model_paths[0], num_threads=self.order.threads
        )

    def load_compiled(self) -> None:
        """Compiles the model for an accelerator, with the CPU for what that cannot do."""
        kinds = importlib.import_module("ai_edge_litert.hardware_accelerator").HardwareAccelerator
        library = importlib.import_module("ai_edge_litert.compiled_model")
        wanted = {"gpu": kinds.GPU, "npu": kinds.NPU}.get(self.order.processor)
        if wanted is None:
            raise Refusal(f"LiteRT has no accelerator {self.order.processor!r}")
        self.phases = "load+prepare"
        self.compiled = library.CompiledModel.from_file(self.order.model_paths[0], wanted)
        self.signature = self.compiled.get_signature_by_index(0)["key"]

    def inputs(self) -> list[InputSpec]:
        """Inputs of the main graph in its order."""
        if self.compiled is not None:
            return [
                InputSpec(name=name, dtype=np.dtype(d["dtype"]).name, shape=tuple(d["shape"]))
                for name, d in self.compiled.get_input_tensor_details(self.signature).items()
            ]
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
        if self.compiled is not None:
            details = self.compiled.get_input_tensor_details(self.signature).values()
            for position, (detail, shape) in enumerate(zip(details, shapes, strict=True)):
                if tuple(detail["shape"]) != shape:
                    self.compiled.resize_input_tensor(position, shape)
            self.taken = self.compiled.create_input_buffers(0)
            self.given = self.compiled.create_output_buffers(0)
            return
        for detail, shape in zip(self.details, shapes, strict=True):
            if tuple(detail["shape"]) != shape:
                self.interpreter.resize_tensor_input(detail["index"], shape)
        self.interpreter.allocate_tensors()

    def feed(self, arrays: list[Array]) -> None:
        """Copies the input into the interpreter's own buffers."""
        self.arrays = arrays
        if self.compiled is not None:
            for buffer, array in zip(self.taken, arrays, strict=True):
                buffer.write(array)
            return
        for detail, array in zip(self.details, arrays, strict=True):
            self.interpreter.set_tensor(detail["index"], array)

    def invoke(self) -> None:
        """One inference."""
        if self.compiled is not None:
            self.compiled.run_by_index(0, self.taken, self.given)
        else:
            self.interpreter.invoke()

    def outputs(self) -> list[tuple[str, Array]]:
        """Copies of the output buffers."""
        if self.compiled is not None:
            found = self.compiled.get_output_tensor_details(self.signature).items()
            return [
                (name, buffer.read(int(np.prod(d["shape"])), d["dtype"]).reshape(d["shape"]))
                for (name, d), buffer in zip(found, self.given, strict=True)
            ]
        details = self.interpreter.get_output_details()
        return [(str(d["name"]), self.interpreter.get_tensor(d["index"])) for d in details]

    def offers(self) -> list[Offer]:
        """The CPU; whether there is an accelerator shows only with a model."""
        return [Offer(processor="cpu", name="CPU, XNNPACK", precisions=("as-stored",))]

    def profile(self, repeats: int) -> list[list[OperatorTime]]:
        """Times the model cut after each operator; an operator is the step between two cuts.

        The interpreter has no profiler. A cut's outputs are all that its operators made and none of
        them used, so that nothing in it can be left out.
        """
        if self.compiled is not None:
            raise Refusal("operators of an accelerated model cannot be timed")
        plain = self.library.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        with open(self.order.model_paths[0], "rb") as file:  # noqa: PTH123
            content = file.read()
        whole = self.library.Interpreter(model_content=content, experimental_op_resolver_type=plain)
        operators = whole._get_ops_details()  # noqa: SLF001 - the library has no other way
        names = {d["index"]: str(d["name"]) for d in whole.get_tensor_details()}
        previous, columns = np.zeros(repeats), []
        for count, operator in enumerate(operators, 1):
            made = [t for op in operators[:count] for t in op["outputs"] if t >= 0]
            used = {int(t) for op in operators[:count] for t in op["inputs"]}
            cut = self.cut(content, count, [int(t) for t in made if int(t) not in used])
            spent = np.array(self.cut_times_s(cut, repeats))
            columns.append(
                [
                    OperatorTime(
                        name=names.get(int(operator["outputs"][0]), ""),
                        operator=str(operator["op_name"]),
                        duration_s=float(duration),
                    )
                    for duration in spent - np.median(previous)
                ]
            )
            previous = spent
        return [list(row) for row in zip(*columns, strict=True)]

    def cut(self, content: bytes, count: int, outputs: list[int]) -> bytes:
        """A model whose main graph ends after `count` operators, with other outputs.

        The number of operators is overwritten where it stands, and the list of outputs replaced by
        one behind the file's end.

        Source: https://flatbuffers.dev/internals/
        """
        import struct

        data = bytearray(content) + bytes(-len(content) % 4)

        def number(at: int) -> int:
            return int(struct.unpack_from("<I", data, at)[0])

        def field(table: int, index: int) -> int:
            vtable = table - int(struct.unpack_from("<i", data, table)[0])
            return table + int(struct.unpack_from("<H", data, vtable + 4 + 2 * index)[0])

        subgraphs_field, operators_field, outputs_field = 2, 3, 2
        at = field(number(0), subgraphs_field)
        subgraphs = at + number(at)
        graph = subgraphs + 4 + number(subgraphs + 4)
        at = field(graph, operators_field)
        struct.pack_into("<I", data, at + number(at), count)
        at = field(graph, outputs_field)
        struct.pack_into("<I", data, at, len(data) - at)
        return bytes(data + struct.pack(f"<{len(outputs) + 1}i", len(outputs), *outputs))

    def cut_times_s(self, content: bytes, repeats: int) -> list[float]:
        """Inferences of a cut, after two that are not counted."""
        interpreter = self.library.Interpreter(
            model_content=content, num_threads=self.order.threads
        )
        for detail, array in zip(interpreter.get_input_details(), self.arrays, strict=True):
            if tuple(detail["shape"]) != array.shape:
                interpreter.resize_tensor_input(detail["index"], array.shape)
        interpreter.allocate_tensors()
        for detail, array in zip(interpreter.get_input_details(), self.arrays, strict=True):
            interpreter.set_tensor(detail["index"], array)
        times = []
        for _ in range(repeats + 2):
            begin = time.perf_counter_ns()
            interpreter.invoke()
            times.append((time.perf_counter_ns() - begin) / 1e9)
        return times[2:]

    def observed_processor(self) -> str:
        """Without a compiled model the CPU; with one its accelerator, if that took every operator."""
        if self.compiled is None:
            return "cpu"
        if self.compiled.is_fully_accelerated():
            return self.order.processor
        self.notes.append("partly-accelerated")
        return "cpu"


class LiteRt(WheelEngine):
    """LiteRT on the CPU, and on what accelerators it finds."""

    title = "LiteRT"
    spec = "https://ai.google.dev/edge/api/tflite/python/tf/lite/Interpreter"
    formats = ("tflite",)
    processors = (Processor.CPU, Processor.GPU, Processor.NPU)
    precisions = (Precision.AS_STORED,)
    distribution = "ai-edge-litert"
    module = "ai_edge_litert.interpreter"
    default_version = "2.3.0"
    profile_method = ProfileMethod.PREFIXES
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

    def explanation(self, stderr: str) -> str:
        """What an accelerator printed, for the library's exception names no cause."""
        told = [line.strip() for line in stderr.splitlines() if line.startswith("ERROR: [delegate")]
        return f": {told[-1][:500]}" if told else ""
