"""MNN by its converter, from ONNX."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np

from gaugenn.zoo._order import Variant
from gaugenn.zoo.exporters import Export, Exporter, run_program


class MnnExporter(Exporter):
    """fp16 keeps weights in float16; int8 is calibrated by MNN's offline quantiser."""

    title = "mnnconvert"
    spec = "https://mnn-docs.readthedocs.io/en/latest/tools/convert.html"
    packages = ("MNN",)
    source = "onnx"

    def export(self, order: Export) -> list[Path]:
        """See `Exporter.export`."""
        path = order.folder / f"{order.stem}.mnn"
        first = path if order.variant is not Variant.INT8 else path.with_name("exported.mnn")
        # The word "benchmark" as --bizCode would make MNN's own tools replace the weights by zeros.
        arguments = [
            *("-f", "ONNX", "--modelFile", str(order.sources[0])),
            *("--MNNModel", str(first), "--bizCode", "gaugenn"),
        ]
        if order.variant is Variant.FLOAT16:
            arguments.append("--fp16")
        _run("mnnconvert", *arguments)
        if order.variant is Variant.INT8:
            _quantise(order, first, path)
        return [path]


def _run(tool: str, *arguments: str, plain: bool = False) -> None:
    """Calls a tool of the wheel, past its wrapper, which reports its use to the vendor.

    Args:
        tool: `mnnconvert` or `mnnquant`.
        arguments: as on its command line.
        plain: whether it takes arguments one by one rather than as a command line.
    """
    passed = "*sys.argv[1:]" if plain else "sys.argv"
    program = f"import sys, MNN, _tools; _tools.{tool}({passed})"
    run_program([sys.executable, "-I", "-c", program, *arguments])


def _quantise(order: Export, first: Path, path: Path) -> None:
    """Calibrates on samples that are written as text, one file an input.

    Source: https://mnn-docs.readthedocs.io/en/latest/tools/quant.html
    """
    samples = order.folder / "samples"
    for number, sample in enumerate(order.calibration):
        folder = samples / f"{number:02d}"
        folder.mkdir(parents=True)
        for given, array in zip(order.inputs, sample, strict=True):
            np.savetxt(folder / f"{given.name}.txt", array.reshape(-1), fmt="%.8g")
    settings = order.folder / "settings.json"
    settings.write_text(
        json.dumps(
            {
                "path": str(samples) + "/",
                "used_sample_num": len(order.calibration),
                "feature_quantize_method": "KL",
                "weight_quantize_method": "MAX_ABS",
                "input_type": "sequence",
                "batch_size": 1,
                "inputs": [{"name": i.name, "shape": list(i.shape)} for i in order.inputs],
            }
        )
    )
    _run("mnnquant", str(first), str(path), str(settings), plain=True)
    shutil.rmtree(samples)
