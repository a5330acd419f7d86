"""How fast weights are looked at (digests, zeros, clusters), and how much memory that takes.

First in memory, one after the other and each five times: reading and copying bytes, their SHA-256 and
BLAKE3, and looking at weights (which digests them) of three types, in gigabytes a second of processor
time and as a ratio to copying and to SHA-256. Large weights are digested in a second thread, so on a
machine with a free core the time on the clock is less than the processor's.

Then each case is a weight of the given size in one tensor, memory-mapped from a temporary file: normal
values, values of 256 clusters, and 8-bit integers. The bar is 10 s for 500 MB, and 200 MB of memory
beside the file's own pages.

Usage: `python -m benchmarks.weights [--quick] [--json]`
"""

import argparse
import hashlib
import json
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
from blake3 import blake3

from gaugenn.analysis.weight_values import look_at
from gaugenn.content import open_file
from gaugenn.graph import DataType, Tensor

BAR_S_PER_500_MB = 10.0
BAR_MB = 200.0


def write(path: Path, kind: str, size_mb: int) -> DataType:
    """Writes a weight of one kind, 4 MB at a time."""
    random = np.random.default_rng(0)
    block = random.normal(size=1_000_000).astype(np.float32)
    dtype = DataType.FLOAT32
    if kind == "clustered":
        block = random.choice(block[:256], 1_000_000)
    data = block.tobytes()
    if kind == "int8":
        data = random.integers(-127, 128, 4_000_000).astype(np.int8).tobytes()
        dtype = DataType.INT8
    with path.open("wb") as file:
        for _ in range(size_mb // 4):
            file.write(data)
    return dtype


def measure(kind: str, size_mb: int) -> tuple[float, float]:
    """Seconds, and the most memory allocated at a time in MB."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weight.bin"
        dtype = write(path, kind, size_mb)
        content = open_file(path)
        count = content.size_bytes * 8 // (dtype.bits or 8)
        tensor = Tensor(name="w", dtype=dtype, shape=(count,), data=content.data)
        content.sha256()  # the file's pages are in memory, as after the digest of a scanned file
        start = time.perf_counter()
        look_at(tensor)
        seconds = time.perf_counter() - start
        tracemalloc.start()
        look_at(tensor)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return seconds, peak / 1e6


def rates(size: int) -> list[tuple[str, float, str, None]]:
    """Bytes by time of the processor, the best of five."""
    floats = np.random.default_rng(0).standard_normal(size // 4, dtype=np.float32)
    halves = floats.astype(np.float16)
    integers = np.clip(floats * 40, -127, 127).astype(np.int8)
    words = floats.view(np.uint64)
    target = np.empty_like(words)
    plans: dict[str, tuple[int, Callable[[], object]]] = {
        "memory read": (size, words.max),
        "memory copied": (size, lambda: np.copyto(target, words)),
        "SHA-256": (size, lambda: hashlib.sha256(words).digest()),
        "BLAKE3": (size, lambda: blake3(words.data.cast("B")).digest()),
    }
    for array in (floats, halves, integers):
        tensor = Tensor(
            name="w",
            dtype=DataType(array.dtype.name),
            shape=array.shape,
            data=array.data.cast("B"),
        )
        plans[f"{array.dtype} looked at"] = (array.nbytes, lambda tensor=tensor: look_at(tensor))  # type: ignore[misc]
    found: dict[str, float] = {}
    rows: list[tuple[str, float, str, None]] = []
    for name, (nbytes, action) in plans.items():
        taken, clock = [], []
        for _ in range(5):
            started, start = time.process_time(), time.perf_counter()
            action()
            taken.append(time.process_time() - started)
            clock.append(time.perf_counter() - start)
        found[name] = nbytes / min(taken) / 1e9
        rows.append((name, found[name], "GB/s", None))
        rows.append((f"{name}, on the clock", nbytes / min(clock) / 1e9, "GB/s", None))
        if "looked" in name:
            rows.append((f"{name} / copied", found[name] / found["memory copied"], "x", None))
            rows.append((f"{name} / SHA-256", found[name] / found["SHA-256"], "x", None))
    return rows


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="100 MB instead of 500 MB")
    parser.add_argument("--json", action="store_true", help="print a JSON list")
    options = parser.parse_args()
    size_mb = 100 if options.quick else 500
    rows: list[tuple[str, float, str, float | None]] = [*rates(size_mb * 1_000_000 // 2)]
    for kind in ("normal", "clustered", "int8"):
        seconds, peak_mb = measure(kind, size_mb)
        rows.append((f"{kind}, {size_mb} MB", seconds, "s", BAR_S_PER_500_MB * size_mb / 500))
        rows.append((f"{kind}, memory", peak_mb, "MB", BAR_MB))
    if options.json:
        keys = ("name", "value", "unit", "bar")
        listed = [dict(zip(keys, r, strict=True)) for r in rows]
        for each, (_, value, _, bar) in zip(listed, rows, strict=True):
            each["ok"] = None if bar is None else value <= bar
        print(json.dumps(listed))
        return
    for name, value, unit, bar in rows:
        print(f"{name:32}{value:10.2f} {unit:4} {'' if bar is None else f'bar {bar:g}'}")


if __name__ == "__main__":
    main()
