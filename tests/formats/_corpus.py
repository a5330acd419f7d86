"""Real files, and what an independent reader says about them.

Set `GAUGENN_CORPUS` to a folder with a `MANIFEST.csv` (path, expected, ...), the files it names, and
`NETRON_ORACLE.jsonl` (for each file the operator histogram that Netron reports).
"""

import csv
import json
import os
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from gaugenn.content import Content, open_file
from gaugenn.formats import HEAD_BYTES, readers
from gaugenn.graph import Model

CORPUS = os.environ.get("GAUGENN_CORPUS", "")
needs_corpus = pytest.mark.skipif(
    not CORPUS, reason="GAUGENN_CORPUS names no folder of real models"
)


@cache
def rows() -> tuple[tuple[str, str], ...]:
    """Path and expected format of every file; nothing where there is no corpus."""
    if not CORPUS:
        return ()
    with (Path(CORPUS) / "MANIFEST.csv").open(newline="") as file:
        return tuple((row["path"], row["expected"]) for row in csv.DictReader(file))


def paths(*expected: str) -> list[str]:
    """The files of these formats."""
    return [path for path, kind in rows() if kind in expected]


def content(path: str) -> Content:
    """A file of the corpus."""
    return open_file(Path(CORPUS) / path)


def claimed_by(name: str) -> list[str]:
    """Every file that a reader claims by its head."""
    found = []
    for path, _ in rows():
        if (Path(CORPUS) / path).is_file():
            file = content(path)
            if readers()[name].sniff(file.name, file.head(HEAD_BYTES)):
                found.append(path)
    return found


@cache
def _oracle() -> dict[str, dict[str, int]]:
    with (Path(CORPUS) / "NETRON_ORACLE.jsonl").open() as file:
        lines = [json.loads(line) for line in file]
    return {line["file"]: line["ops"] for line in lines if "ops" in line}


def oracle(path: str) -> Counter[str]:
    """How often each operator occurs, as Netron sees it."""
    return Counter(_oracle()[path])


def key(path: str) -> Counter[str] | None:
    """The same, or None where Netron does not read the file."""
    found = _oracle().get(path)
    return None if found is None else Counter(found)


def operators(model: Model) -> Counter[str]:
    """How often each operator occurs."""
    return Counter(node.source_operator for graph in model.graphs for node in graph.nodes)
