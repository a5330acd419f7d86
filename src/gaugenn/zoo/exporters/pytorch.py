"""TorchScript by tracing."""

import importlib
from pathlib import Path

from gaugenn.zoo._order import Variant
from gaugenn.zoo.exporters import Export, Exporter, halved


class TorchScriptExporter(Exporter):
    """A traced module. fp16 computes in float16 between float32 inputs and outputs."""

    title = "torch.jit.trace"
    spec = "https://docs.pytorch.org/docs/stable/generated/torch.jit.trace.html"
    packages = ("torch",)
    refusals = {  # noqa: RUF012
        Variant.INT8: "PyTorch quantises for ExecuTorch and other back ends; "
        "eager TorchScript quantisation is no longer developed"
    }

    def export(self, order: Export) -> list[Path]:
        """See `Exporter.export`."""
        torch = importlib.import_module("torch")
        module = order.module
        if order.variant is Variant.FLOAT16:
            module = halved(torch, module)
        sample = tuple(torch.from_numpy(array) for array in order.sample)
        path = order.folder / f"{order.stem}.pt"
        torch.jit.trace(module, sample, check_trace=False).save(str(path))
        return [path]
