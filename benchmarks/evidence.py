"""How well evidence is judged: precision and recall, by category.

**Built packages.** For each line of `apps/signatures/*.toml` a package with it alone, for a weak line
one more with a second line of its name, and several with something that is like the line and is not;
and packages with things that tempted other tools. They are made by the tests' own writers of dex, ELF,
Mach-O and binary XML; `tests/apps/test_built_signatures.py` makes them again with smali, a cross
compiler and aapt. What is found was written by the same people as what is looked for, so this measures
that the search does what the lines say, not that the lines are complete.

**Real libraries.** With `--libraries FOLDER`: wheels and AARs of inference libraries, whatever of
`REAL` lies in the folder, each of which must be taken for what it is and nothing else. Fetch them with
`pip download --no-deps --only-binary :all: --platform manylinux_2_28_aarch64 --platform
manylinux2014_aarch64 --python-version 3.11 -d FOLDER NAME`.

**Ordinary libraries.** With `--ordinary FOLDER`: every ELF file below it, as of a whole system, and
what is confirmed in them. Whether that is right, a person has to say.

Usage: `python -m benchmarks.evidence [--libraries FOLDER] [--ordinary FOLDER] [--misses] [--json]
[--quick] [--table]`
"""

import argparse
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.apps.labelled import with_each_signature, without_each_signature

from gaugenn.apps.evidence import Collector, tokens, verdicts
from gaugenn.apps.scan import describe
from gaugenn.content import Content, from_bytes, open_file
from gaugenn.errors import FormatError
from gaugenn.records import EvidenceCategory

BAR = 1.0

_TFLITE = "runtime:tflite runtime:litert accelerator:xnnpack"
REAL: dict[str, str] = {
    "ai_edge_litert": _TFLITE,
    "ailia": "runtime:ailia",
    "apache_tvm": "runtime:tvm",
    "ctranslate2": "runtime:ctranslate2",
    "dlib_bin": "",
    "executorch": "runtime:executorch accelerator:xnnpack",
    "kaldifst": "",
    "litert_lm_api": f"{_TFLITE} runtime:litert-lm runtime:mediapipe accelerator:nnapi",
    "mediapipe": f"{_TFLITE} runtime:litert-lm runtime:mediapipe",
    "mnn": "runtime:mnn training:mnn-training",
    "mxnet": "runtime:mxnet runtime:tvm",  # carries a part of TVM
    "ncnn": "runtime:ncnn accelerator:ncnn-vulkan",
    "onnxruntime": "runtime:onnxruntime",
    "onnxruntime_qnn": "runtime:qnn runtime:genie accelerator:onnxruntime-qnn accelerator:qnn-htp "
    "accelerator:hexagon",
    "opencv_python_headless": "",  # its neural networks are linked in, used or not
    "openvino": "runtime:openvino runtime:arm-compute",
    "pvporcupine": "sdk:picovoice",
    "pywhispercpp": "runtime:ggml runtime:whisper-cpp",
    "sherpa_ncnn": "runtime:sherpa-ncnn runtime:ncnn",
    "sherpa_onnx_core": "runtime:sherpa-onnx runtime:onnxruntime accelerator:qnn-htp",
    "tensorflow_aarch64": "runtime:tensorflow runtime:tflite runtime:arm-compute accelerator:xnnpack",
    "tflite_runtime": "runtime:tflite accelerator:xnnpack",
    "tract": "runtime:tract",
    "vosk": "sdk:vosk runtime:kaldi",
}
"""Distribution -> what it is, by the makers' own account of what they built in."""


@dataclass(slots=True, kw_only=True)
class Score:
    """Confirmed names of one category, over many packages."""

    right: int = 0
    wrong: int = 0
    missed: int = 0

    def add(self, found: set[str], expected: set[str]) -> None:
        """Counts one package."""
        self.right += len(found & expected)
        self.wrong += len(found - expected)
        self.missed += len(expected - found)

    @property
    def precision(self) -> float:
        """Right ones by found ones."""
        return self.right / (self.right + self.wrong) if self.right + self.wrong else 1.0

    @property
    def recall(self) -> float:
        """Right ones by those that are there."""
        return self.right / (self.right + self.missed) if self.right + self.missed else 1.0


def confirmed(content: Content) -> set[str]:
    """`category:name` of what is confirmed in a package."""
    found = verdicts(describe(content).evidence)
    return {f"{v.category}:{v.name}" for v in found if v.confirmed}


def built() -> Iterator[tuple[str, set[str], set[str]]]:
    """Name, found and expected of each built package."""
    for cases in (with_each_signature(), without_each_signature()):
        for case in cases:
            yield (case.name, confirmed(from_bytes("a.apk", case.build())), set(case.expected))


def real(folder: Path) -> Iterator[tuple[str, set[str], set[str]]]:
    """Name, found and expected of each library of `REAL` in the folder."""
    for path in sorted(folder.iterdir()):
        name = path.name.partition("-")[0].lower()
        if path.suffix in (".whl", ".aar") and name in REAL:
            yield (path.name, confirmed(open_file(path)), set(REAL[name].split()))


def scores(cases: Iterable[tuple[str, set[str], set[str]]]) -> dict[str, Score]:
    """Scores by category, and of all together."""
    found = {str(category): Score() for category in EvidenceCategory} | {"all": Score()}
    for _, got, expected in cases:
        found["all"].add(got, expected)
        for category in EvidenceCategory:
            mine = f"{category}:"
            found[category].add(
                {name for name in got if name.startswith(mine)},
                {name for name in expected if name.startswith(mine)},
            )
    return found


def ordinary(folder: Path) -> tuple[int, dict[str, set[str]]]:
    """Number of ELF files below a folder, and what is confirmed in those where something is."""
    count = 0
    found: dict[str, set[str]] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.is_file():
            continue
        content = open_file(path)
        if content.head(4) != b"\x7fELF":
            continue
        collector = Collector()
        try:
            collector.look_at_library(path.name, content.data)
        except FormatError:
            continue
        count += 1
        names = {f"{v.category}:{v.name}" for v in verdicts(collector.evidence("")) if v.confirmed}
        if names:
            found[str(path)] = names
    return count, found


def table() -> str:
    """The names of each category, as a table for the documentation."""
    lines = ["| category | names |", "|---|---|"]
    for category in EvidenceCategory:
        names = sorted({t.name for t in tokens() if t.category is category})
        lines.append(f"| {category} ({len(names)}) | {', '.join(f'`{name}`' for name in names)} |")
    return "\n".join(lines)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--libraries", type=Path, help="a folder of wheels and AARs")
    parser.add_argument("--misses", action="store_true", help="list the packages judged wrong")
    parser.add_argument("--json", action="store_true", help="print a JSON list")
    parser.add_argument("--quick", action="store_true", help="without the real libraries")
    parser.add_argument("--ordinary", type=Path, help="a folder of libraries that are none")
    parser.add_argument(
        "--table", action="store_true", help="print the names of each category only"
    )
    options = parser.parse_args()
    if options.table:
        print(table())
        return
    sets = {"built packages": list(built())}
    if options.libraries and not options.quick:
        sets["real libraries"] = list(real(options.libraries))
    rows = [
        {
            "name": f"{title}: {category} {measure}",
            "value": getattr(score, measure),
            "unit": "ratio",
            "bar": BAR,
            "ok": getattr(score, measure) >= BAR,
        }
        for title, cases in sets.items()
        for category, score in scores(cases).items()
        for measure in ("precision", "recall")
    ]
    if options.json:
        print(json.dumps(rows))
        return
    for title, cases in sets.items():
        there = sum(bool(expected) for _, _, expected in cases)
        print(f"{title}: {there} with something to find, {len(cases) - there} without")
        print(
            f"  {'category':12} {'names':>5} {'lines':>5} {'checked':>7} {'right':>5} {'wrong':>5} "
            f"{'missed':>6} {'precision':>9} {'recall':>6}"
        )
        for category, score in scores(cases).items():
            lines = [t for t in tokens() if category in ("all", t.category)]
            names = {(t.category, t.name) for t in lines}
            checked = sum(t.checked is not None for t in lines)
            print(
                f"  {category:12} {len(names):5} {len(lines):5} {checked:7} {score.right:5} "
                f"{score.wrong:5} {score.missed:6} {score.precision:9.3f} {score.recall:6.3f}"
            )
        if options.misses:
            for name, got, expected in cases:
                if got != expected:
                    wrong, missed = sorted(got - expected), sorted(expected - got)
                    print(f"  {name}: wrong {wrong}, missed {missed}")
    if options.ordinary:
        count, found = ordinary(options.ordinary)
        print(f"ordinary libraries: {count} ELF files, something confirmed in {len(found)}")
        for path, names in found.items():
            print(f"  {path}: {', '.join(sorted(names))}")


if __name__ == "__main__":
    main()
