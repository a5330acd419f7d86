"""How fast packages are scanned, against androguard and against the cost of inflating alone.

Three contenders take turns on the same packages in one run, and medians are compared:

- **scan**: `gaugenn.apps.scan.describe`, with every member that is named like a model read whole;
- **androguard**: opens the APK, reads its manifest and parses all dex files for their strings;
- **floor**: libdeflate inflates just the members that the scan read whole, in the same order, zlib or
  libdeflate (whichever is faster for the size) the heads that it looked at, and stored bytes are
  touched once (by their CRC). Nothing is parsed.

Androguard reads neither native libraries nor assets: packages made mostly of these, like the samples,
say little about it. Give a folder of real packages for a comparison that means something.

Usage: `python -m benchmarks.scan [PATH...] [--quick] [--json]`
"""

import argparse
import json
import statistics
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import deflate

from gaugenn.apps import archive as archives
from gaugenn.apps import evidence, scan, walk
from gaugenn.apps.archive import Archive
from gaugenn.apps.directory import Entry
from gaugenn.apps.walk import Member
from gaugenn.content import Content, open_file
from gaugenn.records import PackageKind

CANDIDATES = (
    *(".tflite", ".lite", ".onnx", ".ort", ".pb", ".pt", ".ptl", ".pth", ".pte", ".param", ".bin"),
    *(".mnn", ".tnnproto", ".tnnmodel", ".caffemodel", ".prototxt", ".dlc", ".tmfile", ".ms"),
    *(".nb", ".gguf", ".mlmodel", ".h5", ".task", ".model", ".dat"),
)
PACKAGES = (".apk", ".xapk", ".apks", ".aab", ".obb", ".ipa")


def scan_once(content: Content) -> None:
    """What the census does with a package before any model is parsed."""

    def read_candidate(member: Member) -> None:
        if member.path.lower().endswith(CANDIDATES) and member.error is None:
            member.content()

    scan.describe(content, each=read_candidate)


def androguard_once(path: Path) -> bool:
    """Androguard's APK, manifest and dex strings; False where it gives up."""
    from androguard.core.apk import APK
    from androguard.core.dex import DEX

    try:
        apk = APK(str(path))
        apk.get_permissions()
        for data in apk.get_all_dex():
            DEX(data).get_strings()
    except Exception:  # noqa: BLE001  its errors have no common class
        return False
    return True


@dataclass(slots=True)
class Work:
    """What a scan made the decompressors do: members read whole, heads, stored ranges."""

    whole: list[tuple[memoryview, int]] = field(default_factory=list)
    heads: list[tuple[memoryview, int, int]] = field(default_factory=list)
    stored: list[memoryview] = field(default_factory=list)

    def replay(self) -> None:
        """Does the same again, and nothing else."""
        for raw, size in self.whole:
            deflate.deflate_decompress(raw, size)
        for raw, size, count in self.heads:
            if size <= archives._SMALL_BYTES:  # noqa: SLF001
                deflate.deflate_decompress(raw, size)
            else:
                zlib.decompressobj(-15).decompress(raw[: count + 512], count)
        for raw in self.stored:
            deflate.crc32(raw)


@contextmanager
def patched(owner: object, name: str, wrap: Callable[[Callable], Callable]) -> Iterator[None]:
    """Replaces a function for a while."""
    original = getattr(owner, name)
    setattr(owner, name, wrap(original))
    try:
        yield
    finally:
        setattr(owner, name, original)


def record_work(content: Content) -> Work:
    """Scans once and notes what was decompressed."""
    work = Work()

    def raw_of(archive: Archive, entry: Entry) -> memoryview:
        start = archive._data_start(entry)  # noqa: SLF001
        return archive._data[start : start + entry.compressed_bytes]  # noqa: SLF001

    def wrap_read(original: Callable) -> Callable:
        def read(archive: Archive, entry: Entry) -> memoryview:
            if entry.method:
                work.whole.append((raw_of(archive, entry), entry.size_bytes))
            else:
                work.stored.append(raw_of(archive, entry))
            return original(archive, entry)

        return read

    def wrap_head(original: Callable) -> Callable:
        def head(archive: Archive, entry: Entry, count: int) -> bytes:
            raw = raw_of(archive, entry)
            if entry.method:
                work.heads.append((raw, entry.size_bytes, count))
            else:
                work.stored.append(raw[:count])
            return original(archive, entry, count)

        return head

    with patched(Archive, "read", wrap_read), patched(Archive, "head", wrap_head):
        scan_once(content)
    return work


STAGES: tuple[tuple[str, object, str], ...] = (
    ("directory", Archive, "_list"),
    ("heads", Archive, "head"),
    ("inflate", Archive, "read"),
    ("digest", Content, "sha256"),
    ("manifest", walk.Package, "_manifest"),
    ("dex", evidence.Collector, "look_at_dex"),
    ("libraries", evidence.Collector, "look_at_library"),
    ("signature", scan, "certificate_sha256"),
)


def profile(contents: list[Content]) -> dict[str, float]:
    """Seconds spent in each stage of one scan of everything; inner stages are taken out of outer."""
    spent = dict.fromkeys((name for name, _, _ in STAGES), 0.0)
    inner = [0.0]

    def timed(stage: str) -> Callable[[Callable], Callable]:
        def wrap(original: Callable) -> Callable:
            def call(*args: object, **named: object) -> object:
                before, inner[0] = inner[0], 0.0
                start = time.perf_counter()
                try:
                    return original(*args, **named)
                finally:
                    wall = time.perf_counter() - start
                    spent[stage] += wall - inner[0]
                    inner[0] = before + wall

            return call

        return wrap

    def run(stages: tuple[tuple[str, object, str], ...]) -> float:
        if stages:
            (stage, owner, name), rest = stages[0], stages[1:]
            with patched(owner, name, timed(stage)):
                return run(rest)
        start = time.perf_counter()
        for content in contents:
            scan_once(content)
        return time.perf_counter() - start

    total = run(STAGES)
    spent["the rest"] = total - sum(spent.values())
    return spent


def packages(paths: list[Path]) -> list[Path]:
    """The packages among the paths and in the folders among them."""
    found: list[Path] = []
    for path in paths:
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        found += [p for p in inside if p.is_file() and p.suffix.lower() in PACKAGES]
    return found


def measure(files: list[Path], repeats: int) -> dict[str, float]:
    """Median seconds for all files of each contender, taking turns."""
    import gc

    from loguru import logger

    logger.disable("androguard")
    contents = [open_file(file) for file in files]
    works = [record_work(content) for content in contents]
    comparable = [
        index
        for index, content in enumerate(contents)
        if walk.open_package(content).kind in (PackageKind.APK, PackageKind.SPLIT_APK)
        and androguard_once(files[index])
    ]
    runs: dict[str, list[float]] = {k: [] for k in ("scan", "floor", "scan-apk", "androguard")}

    def clock(name: str, action: Callable[[], object]) -> None:
        gc.collect()
        start = time.perf_counter()
        action()
        runs[name].append(time.perf_counter() - start)

    for _ in range(repeats):
        clock("scan", lambda: [scan_once(content) for content in contents])
        clock("floor", lambda: [work.replay() for work in works])
        clock("scan-apk", lambda: [scan_once(contents[i]) for i in comparable])
        if len(runs["androguard"]) < max(3, repeats // 5):
            clock("androguard", lambda: [androguard_once(files[i]) for i in comparable])
    result = {name: statistics.median(values) for name, values in runs.items()}
    result["files"] = len(files)
    result["comparable"] = len(comparable)
    result["bytes"] = sum(content.size_bytes for content in contents)
    result["inflated"] = sum(size for work in works for _, size in work.whole)
    result["heads"] = sum(min(s, c) for work in works for _, s, c in work.heads)
    result["stored"] = sum(raw.nbytes for work in works for raw in work.stored)
    return result


def main() -> None:
    """Runs the comparison and prints it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="*", type=Path, default=[Path("samples")])
    parser.add_argument("--quick", action="store_true", help="fewer repeats, within a minute")
    parser.add_argument("--json", action="store_true", help="print a JSON list")
    options = parser.parse_args()
    files = packages(options.paths)
    if not files:
        sys.exit(f"no packages ({', '.join(PACKAGES)}) in {', '.join(map(str, options.paths))}")
    result = measure(files, 5 if options.quick else 25)
    stages = profile([open_file(file) for file in files])
    mib = 1 << 20
    rows: list[tuple[str, float, str]] = [
        ("packages", result["files"], ""),
        ("packages that androguard reads", result["comparable"], ""),
        ("package size", result["bytes"] / mib, "MiB"),
        ("inflated whole", result["inflated"] / mib, "MiB"),
        ("inflated heads", result["heads"] / mib, "MiB"),
        ("stored bytes touched", result["stored"] / mib, "MiB"),
        ("scan", result["scan"] * 1e3, "ms"),
        ("floor", result["floor"] * 1e3, "ms"),
        ("androguard", result["androguard"] * 1e3, "ms"),
        ("scan / floor", result["scan"] / result["floor"], "x"),
    ]
    if result["comparable"]:
        rows.append(("androguard / scan", result["androguard"] / result["scan-apk"], "x"))
    rows += [(f"stage: {name}", seconds * 1e3, "ms") for name, seconds in stages.items()]
    if options.json:
        keys = ("name", "value", "unit")
        print(
            json.dumps([dict(zip(keys, r, strict=True)) | {"bar": None, "ok": None} for r in rows])
        )
        return
    for name, value, unit in rows:
        print(f"{name:34}{value:12.2f} {unit}")


if __name__ == "__main__":
    main()
