"""ncnn by PNNX, from TorchScript."""

import importlib.util
import re
from pathlib import Path

from gaugenn.zoo._order import ModelInput, Variant
from gaugenn.zoo.exporters import Export, Exporter, ExportRefusal, run_program

_TYPES = {"float32": "f32", "int32": "i32", "int64": "i64"}
_INPUT = re.compile(r"^Input +(\S+) +0 1 (\S+)\s*$", re.MULTILINE)


class NcnnExporter(Exporter):
    """Input layers state their sizes, which PNNX leaves out. fp16 keeps weights in float16."""

    title = "PNNX"
    spec = "https://github.com/pnnx/pnnx"
    packages = ("pnnx", "torch")
    source = "pytorch"
    refusals = {  # noqa: RUF012
        Variant.INT8: "ncnn calibrates with ncnn2table and ncnn2int8, which are in no wheel"
    }

    def export(self, order: Export) -> list[Path]:
        """See `Exporter.export`."""
        shapes = ",".join(f"[{','.join(map(str, i.shape))}]{_TYPES[i.dtype]}" for i in order.inputs)
        source = order.folder / f"{order.stem}.pt"
        source.symlink_to(order.sources[0])
        half = 1 if order.variant is Variant.FLOAT16 else 0
        package = importlib.util.find_spec("pnnx")
        program = Path((package.origin if package else None) or "pnnx").with_name("pnnx")
        run_program([str(program), str(source), f"inputshape={shapes}", f"fp16={half}"])
        graph = order.folder / f"{order.stem}.ncnn.param"
        weights = order.folder / f"{order.stem}.ncnn.bin"
        if not graph.is_file() or not weights.is_file():
            raise ExportRefusal("PNNX ended without an ncnn file")
        graph.write_text(with_input_sizes(graph.read_text(), order.inputs))
        return [graph, weights]


def with_input_sizes(text: str, inputs: tuple[ModelInput, ...]) -> str:
    """The graph's text with the sizes of each input, which are width, height and channels.

    Source: https://github.com/Tencent/ncnn/wiki/operators (Input)
    """
    sizes = {f"in{position}": tuple(i.shape[1:]) for position, i in enumerate(inputs)}

    def stated(match: re.Match[str]) -> str:
        known = sizes.get(match[2])
        if known is None:
            return match[0]
        parameters = " ".join(f"{k}={size}" for k, size in enumerate(reversed(known)))
        return f"Input {match[1]} 0 1 {match[2]} {parameters}"

    return _INPUT.sub(stated, text)
