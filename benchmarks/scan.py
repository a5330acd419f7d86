"""How fast packages are scanned, against androguard, apktool and the cost of inflating alone.

The contenders take turns on the same packages in one run, and medians are compared:

- **scan**: `gaugenn.pipeline.scan.scan_file`, all that `gaugenn scan` does with a package: every
  member's head looked at, evidence, digest, rows, and models put among the blobs (where they are after
  the first time);
- **androguard**: opens the APK, reads its manifest and parses all dex files for their strings;
- **apktool**: `apktool d`, once for each package (with `--quick` for the largest only); each starts
  a Java virtual machine, as its users do;
- **floor**: libdeflate inflates just the members that the scan read whole, in the same order, zlib or
  libdeflate (whichever is faster for the size) the heads that it looked at, and stored bytes are
  touched once (by their CRC). Nothing is parsed, no digest of the package is computed.

Androguard reads neither native libraries nor assets: packages made mostly of these, like the samples,
say little about it. Both bars against other tools are for APKs that the tool reads without an error.
Give a folder of real packages for a comparison that means something. Processor time (of all threads)
stands beside the wall clock where a busy machine would blur it.

Usage: `python -m benchmarks.scan [PATH...] [--smallest BYTES] [--largest BYTES] [--quick] [--json]`
"""

import argparse
import gc
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import deflate

from gaugenn.apps import archive as archives
from gaugenn.apps import evidence, scan, walk
from gaugenn.apps.archive import Archive
from gaugenn.apps.directory import DEFLATED, Directory, Entry
from gaugenn.content import Content, open_file
from gaugenn.pipeline import scan as scanning
from gaugenn.pipeline.discover import FoundFile
from gaugenn.pipeline.scan import ScanTask, scan_file
from gaugenn.records import PackageKind
from gaugenn.store import Study

PACKAGES = (".apk", ".xapk", ".apks", ".aab", ".aar", ".obb", ".ipa")
BARS = {"scan / floor": 1.5, "androguard / scan": 60.0, "apktool / scan": 100.0}


@dataclass(frozen=True, slots=True)
class Package:
    """A package to scan, and where its models go."""

    content: Content
    task: ScanTask

    def scan(self) -> None:
        """What the census does with a package."""
        scan_file(self.task)


def package(path: Path, study: Study) -> Package:
    """A package by its path."""
    found = FoundFile(path=path, size_bytes=path.stat().st_size, modified_ns=0, named=True)
    return Package(open_file(path), ScanTask(found=found, blobs=study.blobs))


def apktool_once(path: Path) -> float | None:
    """Seconds of decoding all of a package as `apktool d` does; None where it gives up."""
    with tempfile.TemporaryDirectory(prefix="gaugenn-apktool-") as folder:
        command = ["apktool", "d", "-f", "-q", "-p", folder, "-o", f"{folder}/out", str(path)]
        start = time.perf_counter()
        done = subprocess.run(command, capture_output=True, check=False)
        return time.perf_counter() - start if done.returncode == 0 else None


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
                with suppress(deflate.DeflateError):
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


def record_work(package: Package) -> Work:
    """Scans once and notes what was decompressed."""
    work = Work()

    def raw_of(archive: Archive, entry: Entry) -> memoryview:
        start = archive._data_start(entry)  # noqa: SLF001
        return archive._data[start : start + entry.compressed_bytes]  # noqa: SLF001

    def wrap_read(original: Callable) -> Callable:
        def read(archive: Archive, entry: Entry) -> memoryview:
            data = original(archive, entry)
            if entry.method == DEFLATED:
                work.whole.append((raw_of(archive, entry), data.nbytes))
            else:
                work.stored.append(data)
            return data

        return read

    def wrap_head(original: Callable) -> Callable:
        def head(archive: Archive, entry: Entry, count: int) -> bytes:
            seen = original(archive, entry, count)
            if entry.method == DEFLATED:
                work.heads.append((raw_of(archive, entry), entry.size_bytes, count))
            else:
                work.stored.append(memoryview(seen))
            return seen

        return head

    with patched(Archive, "read", wrap_read), patched(Archive, "head", wrap_head):
        package.scan()
    return work


STAGES: tuple[tuple[str, object, str], ...] = (
    ("directory", Directory, "__init__"),
    ("heads", Archive, "head"),
    ("inflate", Archive, "read"),
    ("digest", Content, "sha256"),
    ("manifest", walk.Package, "_manifest"),
    ("dex", evidence.Collector, "look_at_dex"),
    ("libraries", evidence.Collector, "look_at_library"),
    ("signature", scan, "certificate_sha256"),
    ("candidates", scanning, "_candidate"),
)


def profile(packages: list[Package]) -> dict[str, float]:
    """Processor seconds of each stage of one scan of everything, without the stages inside it."""
    spent = dict.fromkeys((name for name, _, _ in STAGES), 0.0)
    inner: dict[int, float] = {}  # by thread: a large package is digested in one of its own

    def timed(stage: str) -> Callable[[Callable], Callable]:
        def wrap(original: Callable) -> Callable:
            def call(*args: object, **named: object) -> object:
                thread = threading.get_ident()
                before, inner[thread] = inner.get(thread, 0.0), 0.0
                start = time.thread_time()
                try:
                    return original(*args, **named)
                finally:
                    taken = time.thread_time() - start
                    spent[stage] += taken - inner[thread]
                    inner[thread] = before + taken

            return call

        return wrap

    def run(stages: tuple[tuple[str, object, str], ...]) -> float:
        if stages:
            (stage, owner, name), rest = stages[0], stages[1:]
            with patched(owner, name, timed(stage)):
                return run(rest)
        start = time.process_time()
        for each in packages:
            each.scan()
        return time.process_time() - start

    total = run(STAGES)
    spent["the rest"] = total - sum(spent.values())
    return spent


def packages(paths: list[Path], smallest: int, largest: int) -> list[Path]:
    """The packages of these sizes among the paths and in the folders among them."""
    found: list[Path] = []
    for path in paths:
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        found += [p for p in inside if p.is_file() and p.suffix.lower() in PACKAGES]
    return [path for path in found if smallest <= path.stat().st_size <= largest]


def measure(files: list[Path], study: Study, *, quick: bool) -> dict[str, float]:
    """Median seconds for all files of each contender, taking turns."""
    from loguru import logger

    logger.disable("androguard")
    repeats = 5 if quick else 25
    every = [package(file, study) for file in files]
    for each in every:
        each.scan()  # the models are among the blobs from now on
    works = [record_work(each) for each in every]
    gc.collect()
    gc.freeze()  # as a worker of the pool does after its first package
    apks = [
        index
        for index, each in enumerate(every)
        if files[index].suffix.lower() == ".apk"
        and walk.open_package(each.content).kind in (PackageKind.APK, PackageKind.SPLIT_APK)
    ]
    known = {"androguard": [index for index in apks if androguard_once(files[index])]}
    tried = sorted(apks, key=lambda index: every[index].content.size_bytes)
    decoded: dict[int, float] = {}
    if shutil.which("apktool"):
        for index in tried[-1:] if quick else tried:
            seconds = apktool_once(files[index])
            if seconds is not None:
                decoded[index] = seconds
    known["apktool"] = list(decoded)
    runs: dict[str, list[float]] = {}

    def clock(name: str, action: Callable[[], object]) -> None:
        gc.collect()
        start, processor = time.perf_counter(), time.process_time()
        action()
        runs.setdefault(f"{name}, processor", []).append(time.process_time() - processor)
        runs.setdefault(name, []).append(time.perf_counter() - start)

    def scan_all(indices: Iterable[int]) -> None:
        for index in indices:
            every[index].scan()

    for turn in range(repeats):
        clock("scan", lambda: scan_all(range(len(every))))
        clock("floor", lambda: [work.replay() for work in works])
        for tool, indices in known.items():
            clock(f"scan of {tool}'s", lambda indices=indices: scan_all(indices))
        if known["androguard"] and turn < max(3, repeats // 5):
            clock("androguard", lambda: [androguard_once(files[i]) for i in known["androguard"]])
    result = {name: statistics.median(values) for name, values in runs.items()}
    result["apktool"] = sum(decoded.values())
    result["files"] = len(files)
    result |= {f"{tool}'s files": len(indices) for tool, indices in known.items()}
    result["bytes"] = sum(each.content.size_bytes for each in every)
    result["inflated"] = sum(size for work in works for _, size in work.whole)
    result["heads"] = sum(min(s, c) for work in works for _, s, c in work.heads)
    result["stored"] = sum(raw.nbytes for work in works for raw in work.stored)
    return result


def main() -> None:
    """Runs the comparison and prints it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="*", type=Path, default=[Path("samples")])
    parser.add_argument("--smallest", type=int, default=0, help="bytes of a package, at least")
    parser.add_argument("--largest", type=int, default=sys.maxsize, help="bytes, at most")
    parser.add_argument("--quick", action="store_true", help="fewer repeats, within a minute")
    parser.add_argument("--json", action="store_true", help="print a JSON list")
    options = parser.parse_args()
    files = packages(options.paths, options.smallest, options.largest)
    if not files:
        sys.exit(f"no packages ({', '.join(PACKAGES)}) in {', '.join(map(str, options.paths))}")
    with tempfile.TemporaryDirectory(prefix="gaugenn-scan-") as work:
        study = Study.create(Path(work) / "study")
        result = measure(files, study, quick=options.quick)
        stages = profile([package(file, study) for file in files])
    mib = 1 << 20
    rows: list[tuple[str, float, str]] = [
        ("packages", result["files"], ""),
        ("package size", result["bytes"] / mib, "MiB"),
        ("inflated whole", result["inflated"] / mib, "MiB"),
        ("inflated heads", result["heads"] / mib, "MiB"),
        ("stored bytes touched", result["stored"] / mib, "MiB"),
        ("scan", result["scan"] * 1e3, "ms"),
        ("scan, processor", result["scan, processor"] * 1e3, "ms"),
        ("floor", result["floor"] * 1e3, "ms"),
        ("scan / floor", result["scan"] / result["floor"], "x"),
        (
            "scan / floor, processor",
            result["scan, processor"] / result["floor, processor"],
            "x",
        ),
    ]
    for tool in ("androguard", "apktool"):
        rows.append((f"packages that {tool} reads", result[f"{tool}'s files"], ""))
        if result[f"{tool}'s files"]:
            rows.append((tool, result[tool] * 1e3, "ms"))
            rows.append((f"scan of these, {tool}'s", result[f"scan of {tool}'s"] * 1e3, "ms"))
            rows.append((f"{tool} / scan", result[tool] / result[f"scan of {tool}'s"], "x"))
        if f"{tool}, processor" in result:
            ratio = result[f"{tool}, processor"] / result[f"scan of {tool}'s, processor"]
            rows.append((f"{tool} / scan, processor", ratio, "x"))
    rows += [(f"processor in {name}", seconds * 1e3, "ms") for name, seconds in stages.items()]
    if options.json:
        print(json.dumps([_measured(*row) for row in rows]))
        return
    for name, value, unit in rows:
        measured = _measured(name, value, unit)
        verdict = ""
        if measured["bar"] is not None:
            verdict = f"  bar {measured['bar']:g}: {'met' if measured['ok'] else 'MISSED'}"
        print(f"{name:34}{value:12.2f} {unit}{verdict}")


def _measured(name: str, value: float, unit: str) -> dict[str, str | float | bool | None]:
    bar = BARS.get(name)
    ok = None if bar is None else value <= bar if name == "scan / floor" else value >= bar
    return {"name": name, "value": value, "unit": unit, "bar": bar, "ok": ok}


if __name__ == "__main__":
    main()
