"""PyTorch: TorchScript archives, and mobile-lite ones (.ptl) by the lite interpreter."""

import importlib
from typing import ClassVar

import numpy as np

from gaugenn.engines._wheel import WheelEngine
from gaugenn.engines._worker import Adapter, Array, InputSpec, Offer, OperatorTime
from gaugenn.records import ModelRecord, Precision, Processor, ProfileMethod, TimingSemantics


class PyTorchAdapter(Adapter):
    """`torch.jit.load` loads, freezing prepares; the first inferences specialise the graph.

    An archive with bytecode goes to the lite interpreter, as on a phone, and needs no preparation.
    Checkpoints hold a pickle that only `torch.load` reads; they are never opened. Inputs go by
    position; a program does not tell their types, so one that is looked up in a table is int64.
    """

    distribution = "torch"

    def start(self) -> None:
        """Imports the library."""
        self.library = importlib.import_module("torch")
        self.library.set_num_threads(self.order.threads)
        self.library.set_num_interop_threads(1)

    def load(self) -> None:
        """Reads the program and its weights."""
        import zipfile

        path = self.order.model_paths[0]
        self.lite = False
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                self.lite = any(n.endswith("/bytecode.pkl") for n in archive.namelist())
        if self.lite:
            mobile = importlib.import_module("torch.jit.mobile")
            self.module = mobile._load_for_lite_interpreter(path)  # noqa: SLF001 - no other way
            self.notes.append("lite-interpreter")
        else:
            self.module = self.library.jit.load(path, map_location="cpu").eval()

    def inputs(self) -> list[InputSpec]:
        """What the job gives, by position."""
        kinds, looked_up = dict(self.order.input_dtypes), self.looked_up()
        specs = []
        for position, (name, shape) in enumerate(self.order.input_shapes):
            kind = kinds.get(name) or ("int64" if position in looked_up else "float32")
            specs.append(InputSpec(name=name, dtype=kind, shape=shape))
        return specs

    def looked_up(self) -> set[int]:
        """Positions of inputs that choose rows of a table; nothing is known of a lite program."""
        if self.lite:
            return set()
        inputs = list(self.module.inlined_graph.inputs())[1:]
        return {
            position
            for position, value in enumerate(inputs)
            for use in value.uses()
            if use.user.kind() == "aten::embedding" and use.offset == 1
        }

    def prepare(self, shapes: list[tuple[int, ...]]) -> None:
        """Makes parameters constants and fuses what follows from that."""
        del shapes
        if not self.lite:
            self.module = self.library.jit.freeze(self.module)

    def feed(self, arrays: list[Array]) -> None:
        """Shares the input's memory."""
        self.tensors = [self.library.from_numpy(np.ascontiguousarray(a)) for a in arrays]
        self.mode = self.library.inference_mode()
        self.mode.__enter__()

    def invoke(self) -> None:
        """One inference."""
        self.result = self.module(*self.tensors)

    def outputs(self) -> list[tuple[str, Array]]:
        """Copies of every tensor of the result."""
        found: list[tuple[str, Array]] = []

        def collect(value: object, name: str) -> None:
            if isinstance(value, self.library.Tensor):
                found.append((name, np.array(value.detach().numpy())))
            elif isinstance(value, dict):
                for key, item in value.items():
                    collect(item, f"{name}.{key}")
            elif isinstance(value, list | tuple):
                for position, item in enumerate(value):
                    collect(item, f"{name}.{position}")

        collect(self.result, "output")
        return found

    def offers(self) -> list[Offer]:
        """The CPU; a wheel with CUDA is no mobile library."""
        return [Offer(processor="cpu", name="CPU", precisions=("as-stored",))]

    def profile(self, repeats: int) -> list[list[OperatorTime]]:
        """The top calls that the library's profiler sees."""
        profiler = importlib.import_module("torch.profiler")
        runs = []
        for _ in range(repeats):
            with profiler.profile(activities=[profiler.ProfilerActivity.CPU]) as seen:
                self.invoke()
            events = sorted(seen.events(), key=lambda event: event.time_range.start)
            wrappers = ("forward", "<forward op>")
            rows: list[OperatorTime] = []
            for event in events:
                parent = event.cpu_parent
                if event.name in wrappers or (parent is not None and parent.name not in wrappers):
                    continue
                if event.name.startswith("profiler::") or event.name.startswith("cuda"):
                    continue
                rows.append(
                    OperatorTime(
                        name=f"{len(rows)}",
                        operator=event.name,
                        duration_s=event.time_range.elapsed_us() / 1e6,
                    )
                )
            runs.append(rows)
        return runs

    def observed_processor(self) -> str:
        """Every tensor is on the CPU."""
        return "cpu"

    def observed_threads(self) -> int:
        """What the library was told."""
        return int(self.library.get_num_threads())


class PyTorch(WheelEngine):
    """PyTorch on the CPU."""

    title = "PyTorch"
    spec = "https://docs.pytorch.org/docs/stable/jit.html"
    formats = ("pytorch",)
    processors = (Processor.CPU,)
    precisions = (Precision.AS_STORED,)
    distribution = "torch"
    module = "torch"
    default_version = "2.13.0"
    by_default = False
    needs_input_shapes = True
    profile_method = ProfileMethod.PROFILER
    adapter: ClassVar[type[Adapter]] = PyTorchAdapter
    timing_semantics = TimingSemantics(
        real_weights=True,
        input_preparation_timed=False,
        output_copy_timed=False,
        raw_samples=True,
    )

    def refuses(self, model: ModelRecord) -> str | None:
        """Weights without a program cannot run."""
        if "weights-only" in model.notes:
            return "it holds weights without a program"
        return super().refuses(model)
