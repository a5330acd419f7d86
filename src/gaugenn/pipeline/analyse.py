"""A distinct model becomes its numbers. One call a model, in a worker process."""

import tempfile
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
from gaugenn.pipeline._spread import Work, spread, take_in
from gaugenn.records import FileKind, LayerRecord, ModelFile, ModelRecord
from gaugenn.store import Blobs, Record, SharedBlobs, SharedStore, Study


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalyseTask:
    """A model to read: its files, its names in packages, and where its blobs are."""

    files: tuple[ModelFile, ...]
    names: tuple[str, ...]
    blobs: Blobs | SharedBlobs

    @property
    def subject(self) -> str:
        """What a failure is about."""
        return self.files[0].model_sha256

    @property
    def identity(self) -> str:
        """The model's digest."""
        return self.files[0].model_sha256


def analyse(
    study: Study, executor: Executor, watcher: Watcher, shared: SharedStore | None = None
) -> None:
    """Reads every distinct model that has no row yet, and stores what it is and costs.

    Those of a study of an older schema are all read again.

    Args:
        study: holds the models and takes the rows.
        executor: where the work runs.
        watcher: is told how it goes.
        shared: see `gaugenn.pipeline.scan.scan`.
    """
    study.renew()
    if shared is not None:
        take_in(study, shared)
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
        known_subjects = connection.execute(
            "SELECT subject FROM all_failures WHERE stage = 'analyse'"
        ).fetchall()
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
    blobs = study.blobs if shared is None else shared.blobs
    tasks = [
        AnalyseTask(
            files=tuple(parts), names=tuple(names.get(model, ())[:NAMES_LIMIT]), blobs=blobs
        )
        for model, parts in groupby(files, key=lambda part: part.model_sha256)
    ]
    known = {subject for (subject,) in known_subjects}
    work = Work(stage="analyse", function=analyse_model, remark=_remark)
    spread(work, tasks, study, executor, watcher, known=known, shared=shared)


NAMES_LIMIT = 8
"""Names of a model, of those it has in packages, that are used to say what it is for."""


def _remark(task: AnalyseTask, rows: tuple[Record, ...]) -> str:
    name = task.names[0] if task.names else task.files[0].name
    record = next(row for row in rows if isinstance(row, ModelRecord))
    return f"{name}  {record.error or f'{record.nodes} nodes'}"


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


def analyse_model(task: AnalyseTask) -> tuple[Record, ...]:
    """A model's rows: its layers, then itself."""
    graph = task.files[0]
    size_bytes = sum(part.size_bytes for part in task.files)
    with tempfile.TemporaryDirectory(prefix="gaugenn-") as folder:
        content = model_content(task.files, task.blobs, Path(folder))
        record, layers = examine(content, graph.model_sha256, size_bytes, graph.format, task.names)
    return (*layers, record)


def model_content(files: Sequence[ModelFile], blobs: Blobs | SharedBlobs, into: Path) -> Content:
    """A stored model as it lay in its package: the graph file, its companions as neighbours.

    Args:
        files: of the model, the graph first.
        blobs: where their bytes are.
        into: a folder that outlives the content, for blobs that come from elsewhere.

    Raises:
        StoreError: a blob is missing or was changed.
    """
    parts = {part.name: part.sha256 for part in files}

    def part(name: str) -> Content | None:
        sha256 = parts.get(name)
        if sha256 is None:
            return None
        return replace(open_file(blobs.fetch(sha256, into), name=name), neighbours=part)

    content = part(files[0].name)
    if content is None:
        raise StoreError(f"model {files[0].model_sha256} has no graph file")
    return content
