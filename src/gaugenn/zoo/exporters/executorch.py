"""ExecuTorch programs lowered to XNNPACK."""

import importlib
from pathlib import Path
from typing import Any

from gaugenn.zoo._order import Variant
from gaugenn.zoo.exporters import Export, Exporter, halved


class ExecutorchExporter(Exporter):
    """What XNNPACK does not take stays on the portable kernels. int8 by PT2E, per channel."""

    title = "torch.export and ExecuTorch"
    spec = "https://docs.pytorch.org/executorch/stable/backends-xnnpack.html"
    packages = ("torch", "executorch", "torchao")

    def export(self, order: Export) -> list[Path]:
        """See `Exporter.export`."""
        torch = importlib.import_module("torch")
        exir = importlib.import_module("executorch.exir")
        partitioner = importlib.import_module(
            "executorch.backends.xnnpack.partition.xnnpack_partitioner"
        ).XnnpackPartitioner()
        module = order.module
        sample = _tensors(torch, order.sample)
        if order.variant is Variant.FLOAT16:
            module = halved(torch, module)
        if order.variant is Variant.INT8:
            module = _quantised(torch, order)
        program = exir.to_edge_transform_and_lower(
            torch.export.export(module, sample),
            partitioner=[partitioner],
            compile_config=exir.EdgeCompileConfig(_check_ir_validity=False),
        ).to_executorch()
        path = order.folder / f"{order.stem}.pte"
        path.write_bytes(program.buffer)
        return [path]


def _quantised(torch: Any, order: Export) -> Any:  # noqa: ANN401
    pt2e = importlib.import_module("torchao.quantization.pt2e.quantize_pt2e")
    xnnpack = importlib.import_module("executorch.backends.xnnpack.quantizer.xnnpack_quantizer")
    settings = xnnpack.get_symmetric_quantization_config(is_per_channel=True)
    quantizer = xnnpack.XNNPACKQuantizer().set_global(settings)
    graph = torch.export.export(order.module, _tensors(torch, order.sample)).module()
    prepared = pt2e.prepare_pt2e(graph, quantizer)
    for values in order.calibration:
        prepared(*_tensors(torch, values))
    return pt2e.convert_pt2e(prepared)


def _tensors(torch: Any, values: Any) -> tuple[Any, ...]:  # noqa: ANN401
    return tuple(torch.from_numpy(array) for array in values)
