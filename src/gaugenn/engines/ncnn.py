"""ncnn through its Python wheel, on the CPU or with Vulkan.

ncnn does not know the sizes of a net's inputs before it is fed, and it does not check them: a wrong
size can end the process. So a job gives them all. Sizes carry a batch of 1, which ncnn has not and
which is dropped: (1, channels, height, width).
"""

import importlib
import os
import time
from typing import ClassVar

import numpy as np

from gaugenn.engines._wheel import WheelEngine
from gaugenn.engines._worker import Adapter, Array, InputSpec, Offer, OperatorTime, Refusal
from gaugenn.records import Precision, Processor, ProfileMethod, TimingSemantics


class NcnnAdapter(Adapter):
    """`load_param` loads, `load_model` prepares; a fresh extractor is filled before each inference.

    Inference happens in `extract`, which also unpacks each output to plain float32: that copy lies
    in the timed region. A net read from a binary .param knows its blobs by number only; its inputs
    take the order of the job's sizes.
    """

    distribution = "ncnn"
    binary_magic = b"\xdd\x85\x76\x00"
    """7767517, little endian, the first bytes of a binary .param.

    Source: https://github.com/Tencent/ncnn/wiki/param-and-model-file-structure
    """

    def start(self) -> None:
        """Imports the library."""
        self.library = importlib.import_module("ncnn")

    def load(self) -> None:
        """Reads the graph."""
        self.net = self.library.Net()
        options = self.net.opt
        options.num_threads = self.order.threads
        options.use_vulkan_compute = self.order.processor == "gpu"
        if self.order.processor == "gpu" and self.library.get_gpu_count() < 1:
            raise Refusal("ncnn finds no Vulkan device")
        if self.order.precision == "float32":
            options.use_fp16_packed = options.use_fp16_storage = False
            options.use_fp16_arithmetic = options.use_bf16_storage = False
        if self.profiling:
            options.lightmode = False
        path = self.order.model_paths[0]
        with open(path, "rb") as file:  # noqa: PTH123
            self.binary = file.read(4) == self.binary_magic
        code = (self.net.load_param_bin if self.binary else self.net.load_param)(path)
        if code != 0:
            raise Refusal(f"ncnn cannot read the graph (code {code})")

    def inputs(self) -> list[InputSpec]:
        """The net's inputs with the order's sizes."""
        given = self.order.input_shapes
        self.input_keys = list(self.net.input_indexes())
        names = [n for n, _ in given] if self.binary else list(self.net.input_names())
        if len(names) != len(self.input_keys) or set(names) != {n for n, _ in given}:
            raise Refusal(
                f"the net has {len(self.input_keys)} inputs {names}, the job gives sizes for "
                f"{[n for n, _ in given]}; ncnn needs all of them"
            )
        return [InputSpec(name=n, dtype="float32", shape=dict(given)[n]) for n in names]

    def prepare(self, shapes: list[tuple[int, ...]]) -> None:
        """Reads and packs the weights; a net without weights reads an empty file."""
        if any(not 2 <= len(shape) <= 5 or shape[0] != 1 for shape in shapes):
            raise Refusal(f"ncnn takes a batch of 1 and one to four more sizes, not {shapes}")
        paths = self.order.model_paths
        code = self.net.load_model(paths[1] if len(paths) > 1 else os.devnull)
        if code != 0:
            raise Refusal(f"ncnn cannot read the weights (code {code})")

    def feed(self, arrays: list[Array]) -> None:
        """Copies the input into memory that ncnn owns; layers that work in place need that."""
        self.mats = [self.library.Mat(np.ascontiguousarray(a[0])).clone() for a in arrays]
        self.output_keys = list(self.net.output_indexes())

    def stage(self) -> None:
        """A fresh extractor, for one holds the results of an inference."""
        self.results: list[object] = []
        self.extractor = self.net.create_extractor()
        for key, mat in zip(self.input_keys, self.mats, strict=True):
            if self.extractor.input(key, mat) != 0:
                raise Refusal(f"ncnn does not take input {key}")

    def invoke(self) -> None:
        """Extracts every output."""
        for key in self.output_keys:
            code, mat = self.extractor.extract(key)
            if code != 0:
                raise Refusal(f"ncnn cannot compute output {key} (code {code})")
            self.results.append(mat)

    def outputs(self) -> list[tuple[str, Array]]:
        """Copies of the outputs, without a batch."""
        names = [str(key) for key in self.output_keys]
        if not self.binary:
            names = list(self.net.output_names())
        return [(n, np.array(m)) for n, m in zip(names, self.results, strict=True)]

    def offers(self) -> list[Offer]:
        """The CPU, and the first Vulkan device, which may be one in software."""
        able = ("as-stored", "float32", "float16")
        found = [Offer(processor="cpu", name="CPU", precisions=able)]
        if self.library.get_gpu_count() > 0:
            found.append(Offer(processor="gpu", name=self.gpu_name(), precisions=able))
        return found

    def gpu_name(self) -> str:
        """The first Vulkan device."""
        return str(self.library.get_gpu_info(0).device_name())

    def profile(self, repeats: int) -> list[list[OperatorTime]]:
        """Extracts each layer's output in their order, and again, which only copies it out."""
        layers = [layer for layer in self.net.layers() if layer.bottoms]
        whole = np.zeros((repeats, len(layers)), np.int64)
        copied = np.zeros_like(whole)
        for repeat in range(repeats):
            self.stage()
            for position, layer in enumerate(layers):
                for blob in layer.tops:
                    whole[repeat, position] += self.extraction_ns(blob)
                    copied[repeat, position] += self.extraction_ns(blob)
        spent = whole - np.median(copied, axis=0)
        return [
            [
                OperatorTime(
                    name=layer.name,
                    operator=layer.type or f"layer {layer.typeindex}",
                    duration_s=float(ns) / 1e9,
                    kernel="vulkan" if self.on_gpu(layer) else "",
                )
                for layer, ns in zip(layers, row, strict=True)
            ]
            for row in spent
        ]

    def extraction_ns(self, blob: int) -> int:
        """How long the extractor takes to compute a blob, if it is not there yet, and to copy it."""
        begin = time.perf_counter_ns()
        code, _ = self.extractor.extract(blob)
        if code != 0:
            raise Refusal(f"ncnn cannot extract blob {blob}")
        return time.perf_counter_ns() - begin

    def on_gpu(self, layer: object) -> bool:
        """Whether a layer runs on the GPU."""
        enabled = bool(self.net.opt.use_vulkan_compute)
        return enabled and bool(layer.support_vulkan)  # type: ignore[attr-defined]

    def observed_processor(self) -> str:
        """The GPU where a device was found and some layer can run on it; a note tells the others."""
        layers = [n for n in self.net.layers() if n.bottoms and n.type != "Split"]
        accelerated = [layer for layer in layers if self.on_gpu(layer)]
        if not accelerated:
            return "cpu"
        self.notes.append(f"gpu-name: {self.gpu_name()}")
        if len(accelerated) < len(layers):
            others = len(layers) - len(accelerated)
            self.notes.append(f"layers-on-cpu: {others} of {len(layers)}")
        return "gpu"

    def observed_precision(self) -> str:
        """How weights and activations are kept where a layer allows it."""
        options = self.net.opt
        if options.use_bf16_storage:
            return "bfloat16 storage"
        return "float16 storage" if options.use_fp16_storage else "float32"

    def observed_threads(self) -> int:
        """What the net was told."""
        return int(self.net.opt.num_threads)


class Ncnn(WheelEngine):
    """ncnn on the CPU, or with Vulkan."""

    title = "ncnn"
    spec = "https://github.com/Tencent/ncnn/wiki"
    formats = ("ncnn",)
    processors = (Processor.CPU, Processor.GPU)
    precisions = (Precision.AS_STORED, Precision.FLOAT32, Precision.FLOAT16)
    distribution = "ncnn"
    module = "ncnn"
    default_version = "1.0.20261020"
    needs_input_shapes = True
    profile_method = ProfileMethod.BLOB_BY_BLOB
    adapter: ClassVar[type[Adapter]] = NcnnAdapter
    timing_semantics = TimingSemantics(
        real_weights=True,
        input_preparation_timed=False,
        output_copy_timed=True,
        raw_samples=True,
    )

    def explanation(self, stderr: str) -> str:
        """The last line on standard error: ncnn returns a code and prints what is wrong."""
        lines = [line.strip() for line in stderr.splitlines() if line.strip()]
        return f": {lines[-1][:500]}" if lines and "Traceback" not in stderr else ""
