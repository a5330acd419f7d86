"""An engine that needs no wheel: it runs a small fixed matrix product whatever the model is.

It takes the road of every other engine (a fresh process, the worker, the answer), so plans, devices
and campaigns can be tried without installing anything. A model file that starts with
`gaugenn-null WORD` makes it misbehave on purpose; the words are in `NullAdapter.load`.
"""

import os
import time
from typing import ClassVar

import numpy as np

from gaugenn.engines._wheel import WheelEngine
from gaugenn.engines._worker import Adapter, Array, InputSpec, Offer, OperatorTime, Refusal
from gaugenn.records import (
    ModelRecord,
    Precision,
    Processor,
    ProfileMethod,
    TimingSemantics,
)


class NullAdapter(Adapter):
    """Multiplies the input by a seeded 64 x 64 matrix."""

    version = "1"
    size = 64

    def load(self) -> None:
        """Reads the file's first line, and obeys it where it is an instruction."""
        with open(self.order.model_paths[0], "rb") as file:  # noqa: PTH123
            words = file.readline(64).decode("ascii", "replace").split()
        self.word = words[1] if len(words) == 2 and words[0] == "gaugenn-null" else ""
        if self.word == "refuse":
            raise Refusal("the model file says so")
        if self.word == "error":
            raise RuntimeError("the model file says so")
        if self.word == "crash":
            os.kill(os.getpid(), 11)
        if self.word == "killed":
            os.kill(os.getpid(), 9)
        if self.word == "exit":
            os._exit(0)
        if self.word == "spawn" and os.fork():
            os._exit(0)
        if self.word in ("hang", "spawn"):
            time.sleep(1e6)
        if self.word == "chatter":
            for _ in range(256):
                os.write(1, b"chatter on standard output \xff\n" * 1024)
            print("gaugenn-result of a library")
        if self.word == "memory":
            self.hoard = [bytearray(1 << 28) for _ in range(1 << 20)]

    def inputs(self) -> list[InputSpec]:
        """One row."""
        return [InputSpec(name="input", dtype="float32", shape=(-1, self.size))]

    def prepare(self, shapes: list[tuple[int, ...]]) -> None:
        """Makes the matrix."""
        del shapes
        random = np.random.default_rng(self.order.seed)
        self.matrix = random.random((self.size, self.size), dtype=np.float32)
        if self.word == "zeros":
            self.matrix[:] = 0
        if self.word == "nan":
            self.matrix[:] = np.nan

    def feed(self, arrays: list[Array]) -> None:
        """Keeps the input."""
        self.array = np.asarray(arrays[0], dtype=np.float32)

    def invoke(self) -> None:
        """One product."""
        self.result = self.array @ self.matrix
        if self.word == "drift":
            self.matrix += np.float32(1)
        if self.word == "slow":
            time.sleep(0.2)

    def outputs(self) -> list[tuple[str, Array]]:
        """The product."""
        return [("output", self.result)]

    def offers(self) -> list[Offer]:
        """What numpy has."""
        return [Offer(processor="cpu", name="numpy", precisions=("as-stored",))]

    def profile(self, repeats: int) -> list[list[OperatorTime]]:
        """The one operator."""
        runs = []
        for _ in range(repeats):
            begin = time.perf_counter_ns()
            self.invoke()
            duration_s = (time.perf_counter_ns() - begin) / 1e9
            runs.append([OperatorTime(name="output", operator="MatMul", duration_s=duration_s)])
        return runs

    def observed_processor(self) -> str:
        """The product is numpy's, whatever was asked for."""
        return "cpu"

    def observed_precision(self) -> str:
        """So is its type."""
        return self.result.dtype.name


class Null(WheelEngine):
    """No library at all."""

    title = "no engine"
    spec = "https://numpy.org/doc/stable/reference/generated/numpy.matmul.html"
    formats = ()
    processors = (Processor.CPU,)
    precisions = (Precision.AS_STORED,)
    distribution = None
    default_version = "1"
    by_default = False
    profile_method = ProfileMethod.CALLBACK
    adapter: ClassVar[type[Adapter]] = NullAdapter
    timing_semantics = TimingSemantics(
        real_weights=False,
        input_preparation_timed=False,
        output_copy_timed=False,
        raw_samples=True,
    )

    def loads(self, model_format: str | None) -> bool:
        """Every format."""
        return model_format is not None

    def refuses(self, model: ModelRecord) -> str | None:
        """Nothing."""
        del model
        return None
