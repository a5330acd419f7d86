"""How fast models are read and counted, and in how much memory, against packages that do the same.

In one run, in turns, on the same files (the tests' samples, or with `--corpus` a folder of real ones):

- **tflite**: the `tflite` package, every operator and tensor with its names, shapes and buffer;
- **onnx**: `onnx.load`, and then every node, attribute and initializer as Python values;
- **onnx-tool**: its graph with shapes and MACs, against reading and counting here.

A file that one of two contenders cannot take is left out for both, and counted. Then memory, each file
and contender in a fresh process, and a TensorFlow Lite and an ONNX file of 500 MB, made on the way.

Usage: `python -m benchmarks.formats [--corpus DIR] [--quick] [--json]`
"""

import argparse
import contextlib
import io
import json
import select
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gaugenn.analysis.cost import costs
from gaugenn.analysis.shapes import infer_shapes
from gaugenn.content import open_file
from gaugenn.formats import readers

LARGE_LAYERS = 500
LARGE_SIDE = 512
"""Layers of that many inputs and outputs: a mebibyte of weights each."""

TIME_BAR_S = 0.5
GROWTH_BAR_MB = 150.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A line of the table; `bar` is the most that `value` may be."""

    name: str
    value: float
    unit: str = ""
    bar: float | None = None

    @property
    def ok(self) -> bool | None:
        """Whether the bar is kept."""
        return None if self.bar is None else self.value <= self.bar


@dataclass(frozen=True, slots=True, kw_only=True)
class Alone:
    """What a contender took in a process of its own.

    Attributes:
        seconds: on the clock.
        own_mb: peak growth of the memory that is the process's own, seen once a millisecond.
        whole_mb: peak growth of everything resident: pages of the mapped file count too, although
            they lie in the system's file cache anyway and are given up when memory is short. How many
            of them are mapped at a touch is for the kernel to choose, up to 2 MiB.
    """

    seconds: float
    own_mb: float
    whole_mb: float


def read_ours(path: Path) -> object:
    """The whole graph; weights stay in the file."""
    return readers()["onnx" if path.suffix == ".onnx" else "tflite"].read(open_file(path))


def count_ours(path: Path) -> object:
    """The graph with all shapes and costs."""
    model = readers()["onnx"].read(open_file(path))
    return costs(model, infer_shapes(model))


def read_tflite(path: Path) -> object:
    """What the `tflite` package gives of the same."""
    import tflite

    model = tflite.Model.GetRootAs(path.read_bytes(), 0)
    codes = [
        (code.BuiltinCode(), code.DeprecatedBuiltinCode(), code.CustomCode(), code.Version())
        for code in (model.OperatorCodes(i) for i in range(model.OperatorCodesLength()))
    ]
    found: list[object] = [codes]
    for number in range(model.SubgraphsLength()):
        graph = model.Subgraphs(number)
        found.append((graph.Name(), graph.InputsAsNumpy(), graph.OutputsAsNumpy()))
        for index in range(graph.TensorsLength()):
            tensor = graph.Tensors(index)
            scheme = tensor.Quantization()
            found.append(
                (
                    tensor.Name(),
                    tensor.Type(),
                    tensor.ShapeAsNumpy(),
                    tensor.ShapeSignatureAsNumpy(),
                    model.Buffers(tensor.Buffer()).DataAsNumpy(),
                    scheme and (scheme.ScaleAsNumpy(), scheme.ZeroPointAsNumpy()),
                )
            )
        for index in range(graph.OperatorsLength()):
            operator = graph.Operators(index)
            found.append(
                (
                    operator.OpcodeIndex(),
                    operator.InputsAsNumpy(),
                    operator.OutputsAsNumpy(),
                    operator.BuiltinOptionsType(),
                    operator.CustomOptionsAsNumpy(),
                )
            )
    return found


def load_onnx(path: Path) -> object:
    """The parsed message, as C++ objects."""
    import onnx

    return onnx.load(path, load_external_data=False)


def read_onnx(path: Path) -> object:
    """The same as Python values."""
    import onnx

    graph = onnx.load(path, load_external_data=False).graph
    return (
        [
            (
                node.name,
                node.op_type,
                node.domain,
                tuple(node.input),
                tuple(node.output),
                {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute},
            )
            for node in graph.node
        ],
        [(t.name, t.data_type, tuple(t.dims), len(t.raw_data)) for t in graph.initializer],
        [
            (
                value.name,
                value.type.tensor_type.elem_type,
                [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim],
            )
            for value in (*graph.input, *graph.value_info, *graph.output)
        ],
    )


def count_onnx_tool(path: Path) -> object:
    """Shapes and MACs by onnx-tool."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        import onnx_tool

        graph = onnx_tool.Model(str(path)).graph
        graph.graph_reorder_nodes()
        graph.shape_infer({})
        graph.profile()
    return graph


CONTENDERS: dict[str, Callable[[Path], object]] = {
    "gaugenn": read_ours,
    "gaugenn, counted": count_ours,
    "tflite": read_tflite,
    "onnx, parsed only": load_onnx,
    "onnx": read_onnx,
    "onnx-tool": count_onnx_tool,
}
PAIRS = (
    ("tflite", "gaugenn", ".tflite"),
    ("onnx", "gaugenn", ".onnx"),
    ("onnx, parsed only", "gaugenn", ".onnx"),
    ("onnx-tool", "gaugenn, counted", ".onnx"),
)


def can_take(contender: str, path: Path) -> bool:
    """Whether a contender gets through a file."""
    try:
        CONTENDERS[contender](path)
    except Exception:  # noqa: BLE001  the errors of foreign packages have no common class
        return False
    return True


def race(names: tuple[str, str], paths: list[Path], repeats: int) -> tuple[float, float]:
    """Sums of each file's median seconds of processor time, the contenders taking turns.

    Not time on the clock: beside other work the longer of two is interrupted more often.
    """
    totals = [0.0, 0.0]
    for path in paths:
        taken: tuple[list[float], list[float]] = ([], [])
        for _ in range(repeats):
            for which, name in enumerate(names):
                start = time.process_time()
                CONTENDERS[name](path)
                taken[which].append(time.process_time() - start)
        for which in (0, 1):
            totals[which] += statistics.median(taken[which])
    return totals[0], totals[1]


def alone(contender: str, path: Path) -> Alone:
    """A contender in a fresh process that has all modules loaded, watched from outside."""
    command = [sys.executable, "-m", "benchmarks.formats", "--alone", contender, str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        status = Path(f"/proc/{process.pid}/status")
        process.stdout.readline()
        before = own = _megabytes(status, "RssAnon")
        whole = _megabytes(status, "VmRSS")
        process.stdin.write("go\n")
        process.stdin.flush()
        while not select.select([process.stdout], [], [], 0.001)[0]:
            own = max(own, _megabytes(status, "RssAnon"))
        seconds = float(process.stdout.readline())
        own = max(own, _megabytes(status, "RssAnon"))
        whole = _megabytes(status, "VmHWM") - whole
        process.stdin.write("end\n")
    return Alone(seconds=seconds, own_mb=own - before, whole_mb=max(0.0, whole))


def measure_alone(contender: str, path: Path) -> None:
    """The other side of `alone`. The small file that loads the modules lies beside the file."""
    CONTENDERS[contender](path.with_name("small" + path.suffix))
    Path("/proc/self/clear_refs").write_text("5")  # forgets the highest use so far
    print("ready", flush=True)
    sys.stdin.readline()
    start = time.perf_counter()
    kept = CONTENDERS[contender](path)
    print(time.perf_counter() - start, flush=True)
    sys.stdin.readline()
    del kept


def _megabytes(status: Path, key: str) -> float:
    """A figure of a process. **Source:** https://man7.org/linux/man-pages/man5/proc_pid_status.5.html"""
    line = next(line for line in status.read_text().splitlines() if line.startswith(key + ":"))
    return int(line.split()[1]) * 1024 / 1e6


def make_tflite(path: Path, layers: int, side: int) -> None:
    """A chain of fully connected layers."""
    from tests.formats.samples_tflite import NONE, File

    file = File()
    graph = file.graph()
    weights = np.random.default_rng(0).standard_normal(side * side).astype("<f4")
    last = first = graph.tensor("x", (1, side))
    for layer in range(layers):
        matrix = graph.tensor(f"w{layer}", (side, side), data=np.roll(weights, layer).tobytes())
        out = graph.tensor(f"y{layer}", (1, side))
        graph.operator("FULLY_CONNECTED", (last, matrix, -1), (out,), (8, {0: ("i8", NONE)}))
        last = out
    graph.inputs, graph.outputs = (first,), (last,)
    path.write_bytes(file.data())


def make_onnx(path: Path, layers: int, side: int) -> None:
    """A chain of matrix products."""
    from onnx import TensorProto, helper

    weights = np.random.default_rng(0).standard_normal(side * side).astype("<f4")
    edges = ["x", *(f"y{layer}" for layer in range(layers))]
    model = helper.make_model(
        helper.make_graph(
            [
                helper.make_node("MatMul", [edges[i], f"w{i}"], [edges[i + 1]])
                for i in range(layers)
            ],
            "chain",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, side])],
            [helper.make_tensor_value_info(edges[-1], TensorProto.FLOAT, [1, side])],
            [
                helper.make_tensor(
                    f"w{i}",
                    TensorProto.FLOAT,
                    [side, side],
                    np.roll(weights, i).tobytes(),
                    raw=True,
                )
                for i in range(layers)
            ],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=9,
    )
    path.write_bytes(model.SerializeToString())


def files_of(corpus: Path | None, folder: Path) -> list[Path]:
    """The files to read: real ones, or the samples, written out."""
    if corpus is not None:
        found = sorted(p for s in (".tflite", ".onnx") for p in corpus.rglob(f"*{s}"))
        return [path for path in found if can_take("gaugenn", path)]
    from tests.formats.samples import all_samples

    paths: list[Path] = []
    for sample in all_samples():
        if sample.format in ("tflite", "onnx") and not sample.neighbours:
            path = folder / f"{sample.name}.{sample.format}"
            path.write_bytes(sample.data())
            paths.append(path)
    return paths


def against_packages(paths: list[Path], repeats: int) -> Iterable[Row]:
    """Times of all pairs."""
    for other, ours, suffix in PAIRS:
        given = [path for path in paths if path.suffix == suffix]
        common = [path for path in given if can_take(other, path) and can_take(ours, path)]
        theirs_s, ours_s = race((other, ours), common, repeats)
        yield Row(name=f"{other}: files that both take, of {len(given)}", value=len(common))
        yield Row(name=f"{other}: time", value=theirs_s * 1e3, unit="ms")
        yield Row(name=f"{ours}: time for the same", value=ours_s * 1e3, unit="ms")
        yield Row(name=f"{other} / {ours}", value=theirs_s / ours_s, unit="x")


def nodes_per_second(paths: list[Path]) -> Iterable[Row]:
    """What a node costs to read, over all files of a format."""
    for suffix in (".tflite", ".onnx"):
        seconds, nodes = 0.0, 0
        for path in paths:
            if path.suffix != suffix:
                continue
            reader, content = readers()[suffix[1:]], open_file(path)
            taken = []
            for _ in range(5):
                start = time.process_time()
                model = reader.read(content)
                taken.append(time.process_time() - start)
            seconds += min(taken)
            nodes += sum(len(graph.nodes) for graph in model.graphs)
        yield Row(name=f"read {suffix[1:]}: time a node", value=seconds / nodes * 1e6, unit="us")


def large_files(folder: Path) -> Iterable[Row]:
    """Time and memory for files of 500 MB, each contender in a process of its own."""
    plans = (
        (".tflite", make_tflite, ("gaugenn", "tflite")),
        (".onnx", make_onnx, ("gaugenn", "gaugenn, counted", "onnx")),
    )
    for suffix, make, contenders in plans:
        path = folder / f"large{suffix}"
        make(folder / f"small{suffix}", 2, 8)
        make(path, LARGE_LAYERS, LARGE_SIDE)
        for contender in contenders:
            ours = contender.startswith("gaugenn")
            found = alone(contender, path)
            name = f"{path.stat().st_size / 1e6:.0f} MB {suffix[1:]}, {contender}"
            yield Row(
                name=f"{name}: time",
                value=found.seconds,
                unit="s",
                bar=TIME_BAR_S if ours else None,
            )
            yield Row(
                name=f"{name}: own memory",
                value=found.own_mb,
                unit="MB",
                bar=GROWTH_BAR_MB if ours else None,
            )
            yield Row(name=f"{name}: and mapped file pages", value=found.whole_mb, unit="MB")
        path.unlink()


def memory(paths: list[Path], folder: Path) -> Iterable[Row]:
    """Growth for the largest file of each format."""
    for suffix, contenders in (
        (".tflite", ("gaugenn", "tflite")),
        (".onnx", ("gaugenn", "gaugenn, counted", "onnx", "onnx-tool")),
    ):
        given = [path for path in paths if path.suffix == suffix]
        common = [path for path in given if all(can_take(each, path) for each in contenders)]
        if not common:
            continue
        {".tflite": make_tflite, ".onnx": make_onnx}[suffix](folder / f"small{suffix}", 2, 8)
        largest = folder / f"largest{suffix}"
        largest.write_bytes(max(common, key=lambda path: path.stat().st_size).read_bytes())
        for contender in contenders:
            name = f"{largest.stat().st_size / 1e6:.1f} MB {suffix[1:]}, {contender}"
            yield Row(name=f"{name}: own memory", value=alone(contender, largest).own_mb, unit="MB")


def measure(options: argparse.Namespace) -> list[Row]:
    """All rows."""
    repeats = 3 if options.quick else 9
    with tempfile.TemporaryDirectory(prefix="gaugenn-formats-") as made:
        folder = Path(made)
        paths = files_of(options.corpus, folder)
        rows = [Row(name="files", value=len(paths))]
        rows += against_packages(paths, repeats)
        rows += nodes_per_second(paths)
        rows += large_files(folder)
        rows += memory(paths, folder)
    return rows


def main() -> None:
    """Runs the comparison and prints it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, help="a folder of real files")
    parser.add_argument("--quick", action="store_true", help="fewer repeats, within a minute")
    parser.add_argument("--json", action="store_true", help="print a JSON list")
    parser.add_argument("--alone", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        measure_alone(options.alone[0], Path(options.alone[1]))
        return
    rows = measure(options)
    if options.json:
        listed = [
            {"name": r.name, "value": r.value, "unit": r.unit, "bar": r.bar, "ok": r.ok}
            for r in rows
        ]
        print(json.dumps(listed))
        return
    for row in rows:
        told = "" if row.ok is None else f"  {'ok' if row.ok else 'MISSED'}: at most {row.bar:g}"
        print(f"{row.name:56}{row.value:11.2f} {row.unit}{told}")


if __name__ == "__main__":
    main()
