"""A census of a store's size on this machine: rate, memory, disk, and how fast questions are answered.

The store is synthetic. It has as many apps as the study of 2021 looked at; what is in them is assumed
and stands in `MIX`: a few per cent ship models, most of these models are other apps' models again, and
an app is small (here about 2.5 MB, so that the disk bears it; see the MB/s for larger ones). Packages
are made in batches in memory, from templates, right before they are scanned; making them is not timed.

Prints the rate of the scan, its memory, the store's size, and the time of queries over it; then, with
rows alone, the time of the same queries over 100,000 apps. With `--ray` it also scans the first apps on
Ray clusters of 1 to N workers on this machine and prints how the rate grows, and what a package costs
beyond the local pool.

Usage: `python -m benchmarks.census [--apps N] [--ray N] [--quick] [--json]`
"""

import argparse
import json
import random
import resource
import shutil
import statistics
import struct
import sys
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gaugenn.execute import Executor
from gaugenn.execute.local import LocalPool
from gaugenn.pipeline import Silent
from gaugenn.pipeline.analyse import analyse
from gaugenn.pipeline.scan import scan
from gaugenn.records import (
    App,
    AppFile,
    Evidence,
    EvidenceCategory,
    EvidenceSource,
    FileKind,
    ModelFile,
    PackageKind,
)
from gaugenn.store import SharedStore, Study

APPS = 16_653
ROWS_APPS = 100_000
BATCH = 512

MIX = {
    "share of apps with models": 0.021,
    "models an app of these": 4.9,
    "share of models that are distinct": 0.19,
    "share of apps with native libraries": 0.35,
    "share of apps with a second dex": 0.4,
}

QUERIES = {
    "models by format": "SELECT format, count(*) FROM instances GROUP BY format",
    "models in several apps": (
        "SELECT model_sha256, count(DISTINCT app_sha256) AS apps FROM instances"
        " GROUP BY model_sha256 HAVING apps > 1 ORDER BY apps DESC LIMIT 50"
    ),
    "apps by finding": (
        "SELECT category, name, count(DISTINCT app_sha256) FROM findings WHERE confirmed GROUP BY ALL"
    ),
    "one app's files": "SELECT * FROM files WHERE app_sha256 = (SELECT max(app_sha256) FROM apps)",
    "apps by target": "SELECT target_sdk, count(*), median(size_bytes) FROM apps GROUP BY ALL",
}

SAMPLES = Path(__file__).parents[1] / "samples"
_PACKAGE = "org.gaugenn.sample.camera"  # replaced, letter for letter, in the sample's manifest


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a zip, compressed already."""

    name: bytes
    method: int
    raw: bytes
    size: int
    crc: int


def member(name: str, data: bytes, *, deflated: bool = True) -> Member:
    """Compresses a member once, for many packages."""
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    raw = packer.compress(data) + packer.flush() if deflated else data
    return Member(name.encode(), 8 * deflated, raw, len(data), zlib.crc32(data))


def write_zip(path: Path, members: Sequence[Member]) -> None:
    """A zip of members that are compressed already.

    Source: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT (4.3.7, 4.3.12, 4.3.16)
    """
    body, directory, offset = [], [], 0
    for m in members:
        common = struct.pack(
            "<HHHHIIIHH", 0, m.method, 0, 33, m.crc, len(m.raw), m.size, len(m.name), 0
        )
        local = b"PK\x03\x04" + struct.pack("<H", 20) + common + m.name
        body += (local, m.raw)
        directory.append(
            b"PK\x01\x02"
            + struct.pack("<HH", 20, 20)
            + common
            + struct.pack("<HHHII", 0, 0, 0, 0, offset)
            + m.name
        )
        offset += len(local) + len(m.raw)
    size = sum(map(len, directory))
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, len(members), len(members), size, offset, 0)
    path.write_bytes(b"".join((*body, *directory, end)))


def synthetic_dex(generator: random.Random, types: int) -> bytes:
    """A dex file whose tables name classes: header, strings, types, class definitions, code-like bytes.

    Source: https://source.android.com/docs/core/runtime/dex-format
    """
    names = sorted(
        {
            f"Lcom/p{generator.randrange(3_200)}/{generator.randrange(1 << 30):x};"
            for _ in range(types)
        }
    )
    header = 0x70
    ids = header + 4 * len(names) + 4 * len(names)
    classes = ids
    data_at = classes + 32 * len(names)
    data, offsets = bytearray(), []
    for name in names:
        offsets.append(data_at + len(data))
        data += bytes([len(name)]) + name.encode() + b"\0"
    code = generator.randbytes(40 * len(names))
    # Half of real code's bytes repeat: every second byte is one of four.
    code = bytes(b if i % 2 else b & 3 for i, b in enumerate(code))
    total = data_at + len(data) + len(code)
    head = bytearray(header)
    head[:8] = b"dex\n035\0"
    struct.pack_into("<III", head, 0x20, total, header, 0x12345678)
    struct.pack_into("<II", head, 0x38, len(names), header)
    struct.pack_into("<II", head, 0x40, len(names), header + 4 * len(names))
    struct.pack_into("<II", head, 0x60, len(names), classes)
    tables = struct.pack(f"<{len(names)}I", *offsets) + struct.pack(
        f"<{len(names)}I", *range(len(names))
    )
    rows = b"".join(
        struct.pack("<8I", i, 1, 0xFFFFFFFF, 0, 0xFFFFFFFF, 0, 0, 0) for i in range(len(names))
    )
    return bytes(head) + tables + rows + bytes(data) + code


def network(seed: int) -> bytes:
    """A small convolutional ONNX model with weights of its own, about 300 kB."""
    from onnx import TensorProto, helper, numpy_helper

    values = np.random.default_rng(seed)
    channels, nodes, weights = 3, [], []
    for layer in range(6):
        wide = 16 << (layer // 2)
        kernel = values.standard_normal((wide, channels, 3, 3)).astype(np.float32)
        weights.append(numpy_helper.from_array(kernel, f"w{layer}"))
        source = "x" if not layer else f"r{layer - 1}"
        nodes += (
            helper.make_node("Conv", [source, f"w{layer}"], [f"c{layer}"], pads=[1, 1, 1, 1]),
            helper.make_node("Relu", [f"c{layer}"], [f"r{layer}"]),
        )
        channels = wide
    nodes.append(helper.make_node("GlobalAveragePool", [f"r{layer}"], ["y"]))
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 64, 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, channels, 1, 1])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())


class Store:
    """Makes the packages of a synthetic store, the same for the same seed."""

    def __init__(self, apps: int, seed: int = 0) -> None:
        self.apps = apps
        generator = random.Random(seed)
        self._seed = seed
        with zipfile.ZipFile(SAMPLES / "camera.apk") as archive:
            self._manifest = archive.read("AndroidManifest.xml")
            library = archive.read("lib/arm64-v8a/libcamera_native.so")
            runtime = archive.read("lib/arm64-v8a/libtensorflowlite_jni.so")
            dex = archive.read("classes.dex")
        self._dex = [
            member("classes.dex", synthetic_dex(generator, generator.randint(2_000, 14_000)))
            for _ in range(24)
        ]
        self._second = [
            member("classes2.dex", synthetic_dex(generator, generator.randint(2_000, 10_000)))
            for _ in range(12)
        ]
        self._ml_dex = member("classes3.dex", dex)
        padding = generator.randbytes(1 << 21)
        self._libraries = [
            member(
                f"lib/arm64-v8a/lib{name}.so",
                library + padding[: generator.randint(200_000, 2_000_000)],
                deflated=False,
            )
            for name in ("engine", "codec", "crypto_core", "render", "media")
        ]
        self._runtime = member("lib/arm64-v8a/libtensorflowlite_jni.so", runtime)
        self._resources = [
            [
                member(
                    f"res/{i % 40:02x}/{generator.randrange(1 << 30):x}.png",
                    b"\x89PNG\r\n\x1a\n" + padding[: generator.randint(1_000, 9_000)],
                    deflated=False,
                )
                for i in range(130)
            ]
            for _ in range(8)
        ]
        with_models = MIX["share of apps with models"] * apps
        total = max(1, round(with_models * MIX["models an app of these"]))
        self.distinct = max(1, round(total * MIX["share of models that are distinct"]))
        self._models = [
            member(f"assets/models/{number}.onnx", network(number), deflated=False)
            for number in range(self.distinct)
        ]

    def members(self, number: int) -> list[Member]:
        """What is in an app."""
        generator = random.Random(f"{self._seed} {number}")
        name = f"org.synthetic.app{number:08d}"[: len(_PACKAGE)]
        manifest = self._manifest.replace(_PACKAGE.encode("utf-16-le"), name.encode("utf-16-le"))
        manifest = manifest.replace(_PACKAGE.encode(), name.encode())
        found = [member("AndroidManifest.xml", manifest), generator.choice(self._dex)]
        if generator.random() < MIX["share of apps with a second dex"]:
            found.append(generator.choice(self._second))
        found += generator.choice(self._resources)
        if generator.random() < MIX["share of apps with native libraries"]:
            found += generator.sample(self._libraries, 2)
        if generator.random() < MIX["share of apps with models"]:
            count = min(
                self.distinct,
                max(1, round(generator.expovariate(1 / MIX["models an app of these"]))),
            )
            found += (self._ml_dex, self._runtime)
            # Some models are far more popular than others.
            picks = {
                min(self.distinct - 1, int(self.distinct * generator.random() ** 2))
                for _ in range(count)
            }
            found += (self._models[pick] for pick in sorted(picks))
        return found

    def batches(self, folder: Path) -> Iterator[int]:
        """Writes the packages batch by batch, each in place of the last, and yields its bytes."""
        for start in range(0, self.apps, BATCH):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            for number in range(start, min(self.apps, start + BATCH)):
                write_zip(folder / f"{number:08d}.apk", self.members(number))
            yield sum(path.stat().st_size for path in folder.iterdir())
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Census:
    """What a census took."""

    apps: int
    size_bytes: int
    scan_s: float
    analyse_s: float


def take_census(
    store: Store, folder: Path, study: Study, executor: Executor, shared: SharedStore | None = None
) -> Census:
    """Scans the store batch by batch and reads its models; only that is timed."""
    size, spent = 0, 0.0
    for batch_bytes in store.batches(folder):
        size += batch_bytes
        start = time.perf_counter()
        scan([folder], study, executor, Silent(), shared)
        spent += time.perf_counter() - start
    start = time.perf_counter()
    analyse(study, executor, Silent(), shared)
    study.compact()
    return Census(store.apps, size, spent, time.perf_counter() - start)


def peak_memory_bytes() -> tuple[int, int]:
    """The largest resident size of this process, and of the largest worker that ended."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    workers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return own * 1024, workers * 1024


def ask(study: Study) -> dict[str, float]:
    """Seconds of each query, the median of five; each opens the study anew, as the command does."""
    result = {}
    for name, sql in QUERIES.items():
        runs = []
        for _ in range(5):
            start = time.perf_counter()
            with study.connect() as connection:
                connection.execute(sql).fetchall()
            runs.append(time.perf_counter() - start)
        result[name] = statistics.median(runs)
    return result


def rows_only(study: Study, apps: int) -> None:
    """Writes the rows of as many apps without scanning any, in the same mix."""
    generator = random.Random(1)
    rows: list[App | AppFile | Evidence | ModelFile] = []
    models = max(1, round(apps * MIX["share of apps with models"]))
    for number in range(apps):
        identity = f"{number:064x}"
        rows.append(
            App(
                path=f"/store/{number}.apk",
                app_sha256=identity,
                size_bytes=generator.randint(1_000_000, 80_000_000),
                modified_ns=number,
                kind=PackageKind.APK,
                package=f"org.synthetic.app{number}",
                version_code=number,
                target_sdk=generator.randint(21, 36),
                permissions=("android.permission.INTERNET", "android.permission.CAMERA"),
                abis=("arm64-v8a",),
                members=generator.randint(50, 4_000),
            )
        )
        rows += (
            Evidence(
                app_sha256=identity,
                category=EvidenceCategory.RUNTIME,
                name=generator.choice(("tflite", "onnxruntime", "ncnn")),
                vendor=None,
                source=EvidenceSource.LIBRARY,
                token=f"lib{k}.so",
                member=f"lib/arm64-v8a/lib{k}.so",
                strong=True,
            )
            for k in range(2 if generator.random() < 0.05 else 0)
        )
        if generator.random() < MIX["share of apps with models"]:
            for k in range(1 + int(generator.expovariate(1 / MIX["models an app of these"]))):
                sha256 = f"{generator.randrange(models):064x}"
                rows.append(
                    AppFile(
                        app_sha256=identity,
                        member=f"assets/{k}.tflite",
                        size_bytes=1_000_000,
                        sha256=sha256,
                        kind=FileKind.MODEL,
                        format="tflite",
                        model_sha256=sha256,
                    )
                )
        if len(rows) > 50_000:
            study.write(rows)
            rows = []
    study.write(rows)


def scaling(store: Store, folder: Path, work: Path, most: int) -> list[tuple[str, float, str]]:
    """Rates on Ray clusters of 1 to `most` workers beside the local pool's, on the same packages."""
    from gaugenn.execute.ray import RayPool

    rows: list[tuple[str, float, str]] = []
    rates: dict[str, float] = {}
    for workers in range(1, most + 1):
        for kind in ("local", "ray"):
            study = Study.create(work / f"{kind}-{workers}")
            shared = SharedStore.inside(study) if kind == "ray" else None
            pool: Executor = LocalPool(workers) if kind == "local" else RayPool("local", workers)
            with pool:
                take_census(
                    Store(BATCH),
                    folder,
                    Study.create(work / f"warm-{kind}-{workers}"),
                    pool,
                    shared,
                )
                taken = take_census(store, folder, study, pool, shared)
            rates[f"{kind} {workers}"] = taken.apps / taken.scan_s
            rows.append((f"scan, {kind}, {workers} workers", taken.apps / taken.scan_s, "apps/s"))
            shutil.rmtree(study.path)
    for workers in range(2, most + 1):
        efficiency = rates[f"ray {workers}"] / rates["ray 1"] / workers
        rows.append((f"Ray's efficiency, {workers} workers", efficiency, ""))
    overhead = 1 / rates["ray 1"] - 1 / rates["local 1"]
    rows.append(("Ray's overhead a package", overhead * 1e3, "ms"))
    return rows


def main() -> None:
    """Runs the census and prints it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--apps", type=int, default=APPS, help="packages of the store")
    parser.add_argument("--rows", type=int, default=ROWS_APPS, help="apps of the rows-only study")
    parser.add_argument(
        "--ray", type=int, default=0, metavar="N", help="also scan on 1 to N Ray workers"
    )
    parser.add_argument("--quick", action="store_true", help="a smaller store, within a minute")
    parser.add_argument("--json", action="store_true", help="print a JSON list")
    options = parser.parse_args()
    apps = 600 if options.quick else options.apps
    fast = Path("/dev/shm")  # noqa: S108 - memory, so that the disk is not what is measured
    mib = 1 << 20
    rows: list[tuple[str, float, str]]
    with (
        tempfile.TemporaryDirectory(prefix="gaugenn-census-") as work,
        tempfile.TemporaryDirectory(
            prefix="gaugenn-census-", dir=fast if fast.is_dir() else None
        ) as packages,
    ):
        store, folder = Store(apps), Path(packages) / "apps"
        study = Study.create(Path(work) / "study")
        with LocalPool() as pool:
            taken = take_census(store, folder, study, pool)
        own, worker = peak_memory_bytes()
        disk = sum(path.stat().st_size for path in study.path.rglob("*") if path.is_file())
        blobs = sum(p.stat().st_size for p in (study.path / "blobs").rglob("*") if p.is_file())
        with study.connect() as connection:
            (instances,) = connection.execute("SELECT count(*) FROM instances").fetchone() or (0,)
            (models,) = connection.execute("SELECT count(*) FROM models").fetchone() or (0,)
            (scanned,) = connection.execute("SELECT count(*) FROM apps").fetchone() or (0,)
        assert scanned == apps, f"{scanned} of {apps} apps were scanned"
        rows = [
            ("apps", apps, ""),
            ("model files found", instances, ""),
            ("distinct models", models, ""),
            ("size of the packages", taken.size_bytes / mib, "MiB"),
            ("scan", taken.scan_s, "s"),
            ("scan, rate", apps / taken.scan_s, "apps/s"),
            ("scan, rate", taken.size_bytes / mib / taken.scan_s, "MiB/s"),
            ("reading the models", taken.analyse_s, "s"),
            ("peak memory, main process", own / mib, "MiB"),
            ("peak memory, largest worker", worker / mib, "MiB"),
            ("tables on disk", (disk - blobs) / mib, "MiB"),
            ("models on disk", blobs / mib, "MiB"),
        ]
        rows += [(f"query: {name}", s * 1e3, "ms") for name, s in ask(study).items()]
        large = Study.create(Path(work) / "rows")
        count = 20_000 if options.quick else options.rows
        rows_only(large, count)
        large.compact()
        rows += [
            (f"query, {count:,} apps: {name}", s * 1e3, "ms") for name, s in ask(large).items()
        ]
        if options.ray:
            part = Store(min(apps, 4 * BATCH))
            rows += scaling(part, folder, Path(work), options.ray)
    if options.json:
        listed = [{"name": n, "value": v, "unit": u, "bar": None, "ok": None} for n, v, u in rows]
        print(json.dumps(listed))
        return
    for name, value, unit in rows:
        print(f"{name:48}{value:14.2f} {unit}")


if __name__ == "__main__":
    sys.exit(main())
