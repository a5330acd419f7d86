"""Our steady latency against each library's own way of timing, on the same model, in pairs.

LiteRT: the benchmark module of its wheel. ONNX Runtime and ncnn: a plain Python loop around the call
that its documentation shows. A pair is one launch of each, in turns first; the ratio is the geometric
mean over pairs of our launch median over theirs, with its 95 % interval. The bar is that the whole
interval lies within 2 % either way.

Models come from `samples/`, which are tiny, or are a reference model's builds (`--zoo mobilenet_v2`,
after `gaugenn zoo build mobilenet_v2`), or are given: `--tflite FILE --onnx FILE --ncnn PARAM BIN
CxHxW NAME`.

Usage: `python -m benchmarks.overhead [--quick] [--json] [--pairs N] [--runs N] [--zoo NAME]`
"""

import argparse
import json
import statistics
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from gaugenn import api
from gaugenn.analysis.statistics import estimate
from gaugenn.devices.host import HostDevice
from gaugenn.engines import Engine, _environments, load_engine
from gaugenn.records import BuildStatus, InputShape, Job, Precision

BAR = 0.02
SAMPLES = Path(__file__).parents[1] / "samples"
WARMUPS = 20

ORT_LOOP = """
import json, sys, time
import numpy as np, onnxruntime
path, runs, warmups = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
kinds = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(int32)": np.int32}
feed = {}
for item in session.get_inputs():
    shape = [size if isinstance(size, int) else 1 for size in item.shape]
    feed[item.name] = np.ones(shape, kinds[item.type])
for _ in range(warmups):
    session.run(None, feed)
times = []
for _ in range(runs):
    begin = time.perf_counter()
    session.run(None, feed)
    times.append(time.perf_counter() - begin)
print(json.dumps(times))
"""
NCNN_LOOP = """
import json, sys, time
import numpy as np, ncnn
param, weights, runs, warmups, sizes = *sys.argv[1:3], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
net = ncnn.Net()
net.opt.num_threads = 1
net.load_param(param)
net.load_model(weights)
shape = [int(size) for size in sizes.split("x")]
array = np.ones(shape, np.float32)
value = ncnn.Mat(array).clone()
source, target = net.input_names()[0], net.output_names()[0]
times = []
for number in range(runs + warmups):
    begin = time.perf_counter()
    extractor = net.create_extractor()
    extractor.input(source, value)
    extractor.extract(target)
    times.append(time.perf_counter() - begin)
print(json.dumps(times[warmups:]))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A model on a library. `shape` holds channels, height and width where the library needs them."""

    engine: str
    files: tuple[Path, ...]
    theirs: str
    shape: tuple[int, ...] = ()
    input_name: str = ""


def ours(engine: Engine, program: tuple[str, ...], case: Case, runs: int) -> float:
    """Median of one of our launches, in seconds."""
    shapes: tuple[InputShape, ...] = ()
    if case.shape:
        shapes = (InputShape(name=case.input_name, shape=(1, *case.shape), dtype="float32"),)
    job = Job(
        model_sha256="0" * 64,
        format="",
        engine=engine.name,
        engine_version=engine.default_version,
        device="host",
        precision=Precision.AS_STORED,
        input_shapes=shapes,
        warmup_minimum_count=WARMUPS,
        warmup_minimum_s=0.0,
        steady_minimum_count=runs,
        steady_minimum_s=0.0,
    )
    with HostDevice() as device:
        paths = [device.push(path, path.name) for path in case.files]
        output = device.run(engine.command(job, program, paths))
    return statistics.median(engine.parse(output.stdout, output.stderr).steady_s)


def theirs(python: str, case: Case, runs: int) -> float:
    """Median that the library's own way gives, in seconds."""
    with HostDevice() as device:
        paths = [device.push(path, path.name) for path in case.files]
        if case.engine == "litert":
            module = ["-I", "-m", "ai_edge_litert.tools.benchmark_litert_model"]
            counts = ["--num_runs", str(runs), "--warmup_runs", str(WARMUPS), "--num_threads", "1"]
            result = str(Path(paths[0]).with_name("result.json"))
            argv = [python, *module, "--model", paths[0], *counts, "--result_json", result]
            output = device.run(argv)
            if output.exit_code != 0:
                raise SystemExit(output.stderr[-2000:])
            return float(json.loads(Path(result).read_text())["latency"]["median_ms"]) / 1e3
        sizes = ["x".join(map(str, case.shape))] if case.shape else []
        loop = ORT_LOOP if case.engine == "onnxruntime" else NCNN_LOOP
        output = device.run([python, "-I", "-c", loop, *paths, str(runs), str(WARMUPS), *sizes])
        if output.exit_code != 0:
            raise SystemExit(output.stderr[-2000:])
        return float(statistics.median(json.loads(output.stdout.splitlines()[-1])))


def sample(folder: Path, package: str, *members: str) -> tuple[Path, ...]:
    """Members of a sample package as files."""
    found = []
    with zipfile.ZipFile(SAMPLES / package) as archive:
        for member in members:
            path = folder / Path(member).name
            path.write_bytes(archive.read(member))
            found.append(path)
    return tuple(found)


def built(name: str, kind: str) -> tuple[Path, ...]:
    """The files of an accepted fp32 build of a reference model."""
    for build in api.zoo_builds([name]):
        found = build.record
        if (found.format, found.variant, found.status) == (kind, "fp32", BuildStatus.ACCEPTED):
            return build.files
    raise SystemExit(f"{name} has no {kind} build; make it with: gaugenn zoo build {name}")


def cases(arguments: argparse.Namespace, folder: Path) -> list[Case]:
    """What is measured."""
    if arguments.zoo:
        return [
            Case(
                engine="litert",
                files=built(arguments.zoo, "tflite"),
                theirs="benchmark_litert_model",
            ),
            Case(engine="onnxruntime", files=built(arguments.zoo, "onnx"), theirs="plain loop"),
            ncnn_case(built(arguments.zoo, "ncnn"), zoo_shape(arguments.zoo)),
        ]
    tflite = (arguments.tflite,) if arguments.tflite else None
    onnx = (arguments.onnx,) if arguments.onnx else None
    lite = tflite or sample(folder, "camera.apk", "assets/models/scene_classifier.tflite")
    graph = onnx or sample(folder, "notes.apk", "assets/ocr/characters.onnx")
    made = [
        Case(engine="litert", files=lite, theirs="benchmark_litert_model"),
        Case(engine="onnxruntime", files=graph, theirs="plain loop"),
    ]
    if arguments.ncnn:
        param, weights, sizes, name = arguments.ncnn
        given = (Path(param), Path(weights))
        shape = tuple(int(size) for size in sizes.split("x"))
        made.append(
            Case(engine="ncnn", files=given, theirs="plain loop", shape=shape, input_name=name)
        )
    else:
        names = ("assets/face/landmarks.param", "assets/face/landmarks.bin")
        files = sample(folder, "camera.apk", *names)
        sizes = dict(item.split("=") for item in ncnn_input(files[0])[5:])
        shape = (int(sizes["2"]), int(sizes["1"]), int(sizes["0"]))
        made.append(ncnn_case(files, shape))
    return made


def ncnn_input(param: Path) -> list[str]:
    """The words of a .param file's line for its first input: type, name, counts, blob, sizes."""
    lines = param.read_text().splitlines()
    return next(line.split() for line in lines if line.startswith("Input"))


def ncnn_case(files: tuple[Path, ...], shape: tuple[int, ...]) -> Case:
    """A .param and its .bin."""
    name = ncnn_input(files[0])[4]
    return Case(engine="ncnn", files=files, theirs="plain loop", shape=shape, input_name=name)


def zoo_shape(name: str) -> tuple[int, ...]:
    """Channels, height and width of a reference model's input."""
    return next(model.inputs[0].shape[1:] for model in api.zoo_list() if model.name == name)


def main() -> None:
    """Prints a row a library."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--pairs", type=int)
    parser.add_argument("--runs", type=int, help="Inferences a launch.")
    parser.add_argument("--zoo", metavar="NAME")
    parser.add_argument("--tflite", type=Path)
    parser.add_argument("--onnx", type=Path)
    parser.add_argument("--ncnn", nargs=4, metavar=("PARAM", "BIN", "CxHxW", "INPUT"))
    arguments = parser.parse_args()
    pairs = arguments.pairs or (3 if arguments.quick else 15)
    runs = arguments.runs or (100 if arguments.quick else 300)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for case in cases(arguments, Path(folder)):
            engine = load_engine(case.engine)
            installed = _environments.install(engine)
            program = _environments.program(engine, engine.default_version)
            ratios, medians = [], []
            for number in range(pairs):
                if number % 2:
                    other = theirs(str(installed.interpreter), case, runs)
                    mine = ours(engine, program, case, runs)
                else:
                    mine = ours(engine, program, case, runs)
                    other = theirs(str(installed.interpreter), case, runs)
                ratios.append(mine / other)
                medians.append(mine)
            found = estimate(ratios)
            row = {
                "name": f"{case.engine} {case.files[0].name} / {case.theirs}",
                "value": round(found.value, 4),
                "unit": "ratio",
                "bar": BAR,
                "ok": found.low is not None
                and found.high is not None
                and 1 - BAR <= found.low <= found.high <= 1 + BAR,
            }
            rows.append(row)
            if not arguments.json:
                ends = "" if found.low is None else f" [{found.low:.3f}, {found.high:.3f}]"
                spent = 1e3 * statistics.median(medians)
                print(f"{row['name']:60} {spent:8.3f} ms  ratio {found.value:.3f}{ends}")
    if arguments.json:
        print(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
