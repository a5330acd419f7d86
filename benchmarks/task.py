"""How well `gaugenn.analysis.task` says what models are for, against labels made by hand.

Labels are `tests/analysis/labels.csv`: those of the samples are always measured, those of a folder of
real models where GAUGENN_CORPUS names one. A model is counted in `labelled` where a person could say
what it is, in `answered` where the answer is not `unknown`; precision is right answers by answers, on
all models; coverage is answers by labels, on the labelled models. The rules were written by people who
had seen most of these files, so that the numbers say what to expect of networks of these kinds, not of
others. `without names` hides the files' own names.

Usage: `GAUGENN_CORPUS=folder python -m benchmarks.task [--json] [--quick] [--misses]`
"""

import argparse
import csv
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gaugenn.analysis.summary import summarise
from gaugenn.apps.walk import open_package
from gaugenn.content import open_file
from gaugenn.errors import FormatError
from gaugenn.formats import read_model
from gaugenn.graph import Model
from gaugenn.pipeline.scan import candidates, is_package
from gaugenn.records import FileKind, ModelRecord

ROOT = Path(__file__).parents[1]
LABELS = ROOT / "tests" / "analysis" / "labels.csv"
COLUMNS = ("modality", "task", "family")
BARS = {
    ("modality", "precision"): 0.9,
    ("modality", "coverage"): 0.9,
    ("task", "precision"): 0.8,
    ("task", "coverage"): 0.8,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A labelled model and what was concluded, with and without its file's name."""

    path: str
    labels: dict[str, str]
    named: ModelRecord
    nameless: ModelRecord


def labels() -> dict[str, dict[str, str]]:
    """Path -> column -> label."""
    with LABELS.open(encoding="utf-8", newline="") as file:
        return {row["path"]: row for row in csv.DictReader(file)}


def models(path: str, corpus: Path | None) -> Iterator[tuple[str, Model]]:
    """The models that are read out of a labelled file: (labelled path, model)."""
    outer = path.split("!/", maxsplit=1)[0]
    root = ROOT if outer.startswith("samples/") else corpus
    if root is None or not (root / outer).is_file():
        return
    content = open_file(root / outer)
    if not is_package(content):
        try:
            yield outer, read_model(content)
        except FormatError:
            return
        return
    for candidate in candidates(open_package(content)):
        if candidate.kind is FileKind.MODEL and candidate.content is not None:
            yield f"{outer}!/{candidate.path}", read_model(candidate.content)


def cases(corpus: Path | None) -> list[Case]:
    """Every labelled model whose format has a reader."""
    known = labels()
    found: dict[str, Case] = {}
    for outer in dict.fromkeys(path.split("!/")[0] for path in known):
        for path, model in models(outer, corpus):
            if path in known and path not in found:
                name = path.replace("!/", "/").rpartition("/")[2]
                found[path] = Case(
                    path=path,
                    labels=known[path],
                    named=summarise(model, model_sha256="", size_bytes=0, names=(name,))[0],
                    nameless=summarise(model, model_sha256="", size_bytes=0)[0],
                )
    return list(found.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Counts of one column."""

    labelled: int
    answered: int
    right: int
    answered_labelled: int

    @property
    def precision(self) -> float:
        """Right answers by answers."""
        return self.right / self.answered if self.answered else 0.0

    @property
    def coverage(self) -> float:
        """Answers by labels."""
        return self.answered_labelled / self.labelled if self.labelled else 0.0


def score(found: list[Case], column: str, *, named: bool = True) -> Score:
    """Counts the answers of one column."""
    pairs = [
        (case.labels[column], str(getattr(case.named if named else case.nameless, column)))
        for case in found
    ]
    return Score(
        labelled=sum(label != "unknown" for label, _ in pairs),
        answered=sum(answer != "unknown" for _, answer in pairs),
        right=sum(label == answer != "unknown" for label, answer in pairs),
        answered_labelled=sum(label != "unknown" != answer for label, answer in pairs),
    )


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the same; it takes seconds")
    parser.add_argument("--json", action="store_true", help="print a JSON list")
    parser.add_argument("--misses", action="store_true", help="list the models that are not right")
    options = parser.parse_args()
    folder = os.environ.get("GAUGENN_CORPUS")
    found = cases(Path(folder) if folder else None)
    rows: list[dict[str, object]] = []
    for column in COLUMNS:
        for named in (True, False):
            counts = score(found, column, named=named)
            for measure in ("precision", "coverage"):
                value = getattr(counts, measure)
                bar = BARS.get((column, measure)) if named else None
                where = "" if named else ", without names"
                rows.append(
                    {
                        "name": f"{column} {measure}{where}",
                        "value": round(value, 4),
                        "unit": "",
                        "bar": bar,
                        "ok": None if bar is None else value >= bar,
                        "n": counts.answered if measure == "precision" else counts.labelled,
                    }
                )
    if options.json:
        keys = ("name", "value", "unit", "bar", "ok")
        print(json.dumps([{key: row[key] for key in keys} for row in rows]))
        return
    print(f"{len(found)} labelled models read of {len(labels())}")
    for row in rows:
        bar = "" if row["bar"] is None else f"bar {row['bar']}"
        print(f"{row['name']!s:34}{row['value']:8.3f}  n = {row['n']!s:5}{bar}")
    if options.misses:
        for case in found:
            for column in COLUMNS:
                answer = str(getattr(case.named, column))
                if answer != case.labels[column]:
                    print(f"{case.path}: {column} {answer}, labelled {case.labels[column]}")


if __name__ == "__main__":
    main()
