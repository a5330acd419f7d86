"""A distinct model becomes its numbers. One call a model, in a worker process."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from gaugenn.analysis.summary import summarise
from gaugenn.content import Content, open_file
from gaugenn.errors import FormatError, StoreError
from gaugenn.execute import Executor
from gaugenn.formats import read_model
from gaugenn.pipeline import Watcher
from gaugenn.pipeline.scan import as_failure
from gaugenn.records import FileKind, LayerRecord, ModelFile, ModelRecord
from gaugenn.store import Blobs, Buffer, Study


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    files: tuple[ModelFile, ...]
    names: tuple[str, ...]
    blobs: Path


def analyse(study: Study, executor: Executor, watcher: Watcher) -> None:
    """Reads every distinct model that has no row yet, and stores what it is and costs."""
    with study.connect() as connection:
        listed = connection.execute(
            "SELECT DISTINCT ON (model_sha256, position) model_sha256, position, name, sha256,"
            " size_bytes, format FROM model_files"
            " WHERE model_sha256 NOT IN (SELECT model_sha256 FROM models)"
            " ORDER BY model_sha256, position, name"
        ).fetchall()
        names = dict(
            connection.execute(
                "SELECT model_sha256, list(DISTINCT member ORDER BY member) FROM files"
                " WHERE kind = 'model' GROUP BY ALL"
            ).fetchall()
        )
        known = set(
            connection.execute(
                "SELECT subject FROM all_failures WHERE stage = 'analyse'"
            ).fetchall()
        )
    files = [
        ModelFile(
            model_sha256=model,
            position=position,
            name=name,
            sha256=sha256,
            size_bytes=size,
            format=format_name,
        )
        for model, position, name, sha256, size, format_name in listed
    ]
    tasks = [
        _Task(
            files=tuple(parts),
            names=tuple(names.get(model, ())[:NAMES_LIMIT]),
            blobs=study.path / "blobs",
        )
        for model, parts in groupby(files, key=lambda part: part.model_sha256)
    ]
    watcher.begin("analyse", len(tasks))
    with Buffer(study) as buffer:
        for outcome in executor.map(_analyse_model, tasks):
            first = outcome.item.files[0]
            if outcome.error is not None:
                if (first.model_sha256,) not in known:
                    buffer.add([as_failure("analyse", first.model_sha256, outcome.error)])
                watcher.step("analyse", _shown(outcome.item), str(outcome.error))
                continue
            record, layers = outcome.value  # type: ignore[misc]
            buffer.add([*layers, record])
            watcher.step("analyse", _shown(outcome.item), record.error or f"{record.nodes} nodes")
    watcher.end("analyse")


NAMES_LIMIT = 8
"""Names of a model, of those it has in packages, that are used to say what it is for."""


def _shown(task: _Task) -> str:
    return task.names[0] if task.names else task.files[0].name


def examine(
    content: Content,
    model_sha256: str,
    size_bytes: int,
    claimed: str | None,
    names: tuple[str, ...],
) -> tuple[ModelRecord, tuple[LayerRecord, ...]]:
    """Reads a model and counts it; a refusal is a record of kind INVALID with the reason.

    A file that holds weights without a graph (a checkpoint, an array) is of kind WEIGHTS.

    Args:
        content: the graph file, with its companions as neighbours.
        model_sha256: the identity to record.
        size_bytes: of all files together.
        claimed: the format whose signature the file carries.
        names: under which the model was seen.
    """
    try:
        model = read_model(content)
        record, layers = summarise(
            model, model_sha256=model_sha256, size_bytes=size_bytes, names=names
        )
    except FormatError as error:
        refused = ModelRecord(
            model_sha256=model_sha256,
            kind=FileKind.INVALID,
            format=claimed,
            size_bytes=size_bytes,
            error=str(error),
        )
        return refused, ()
    if "weights-only" in model.notes:
        record = replace(record, kind=FileKind.WEIGHTS)
    return record, layers


def _analyse_model(task: _Task) -> tuple[ModelRecord, tuple[LayerRecord, ...]]:
    graph = task.files[0]
    size_bytes = sum(part.size_bytes for part in task.files)
    content = model_content(task.files, Blobs(task.blobs))
    return examine(content, graph.model_sha256, size_bytes, graph.format, task.names)


def model_content(files: Sequence[ModelFile], blobs: Blobs) -> Content:
    """A stored model as it lay in its package: the graph file, its companions as neighbours.

    Raises:
        StoreError: a blob is missing or was changed.
    """
    parts = {part.name: part.sha256 for part in files}

    def part(name: str) -> Content | None:
        sha256 = parts.get(name)
        if sha256 is None:
            return None
        blobs.verify(sha256)
        return replace(open_file(blobs.path(sha256), name=name), neighbours=part)

    content = part(files[0].name)
    if content is None:
        raise StoreError(f"model {files[0].model_sha256} has no graph file")
    return content
