"""MNN by its converter, from ONNX."""

import sys
from pathlib import Path

from gaugenn.zoo._order import Variant
from gaugenn.zoo.exporters import Export, Exporter, run_program

_PROGRAM = "import sys, MNN, _tools; _tools.mnnconvert(sys.argv)"
"""The converter of the wheel, past its command-line wrapper: that one installs a package of its own
with pip and reports each use to the vendor."""


class MnnExporter(Exporter):
    """fp16 keeps weights in float16."""

    title = "mnnconvert"
    spec = "https://mnn-docs.readthedocs.io/en/latest/tools/convert.html"
    packages = ("MNN",)
    source = "onnx"
    refusals = {  # noqa: RUF012
        Variant.INT8: "the offline quantiser of MNN's wheel 3.6.1 ends with std::length_error before "
        "it reads a sample; the converter alone quantises weights only"
    }

    def export(self, order: Export) -> list[Path]:
        """See `Exporter.export`."""
        path = order.folder / f"{order.stem}.mnn"
        # The word "benchmark" as --bizCode would make MNN's own tools replace the weights by zeros.
        arguments = [
            *("-f", "ONNX", "--modelFile", str(order.sources[0])),
            *("--MNNModel", str(path), "--bizCode", "gaugenn"),
        ]
        if order.variant is Variant.FLOAT16:
            arguments.append("--fp16")
        run_program([sys.executable, "-I", "-c", _PROGRAM, *arguments])
        return [path]
