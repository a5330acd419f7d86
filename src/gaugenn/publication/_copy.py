"""A copy of a study that can be given away: cleaned tables, and the models only where wanted."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from gaugenn.content import open_file
from gaugenn.errors import StorageFullError, StoreError, UsageError, is_storage_full
from gaugenn.publication import _card, _citation
from gaugenn.publication._facts import Publication, facts
from gaugenn.publication._privacy import Redaction
from gaugenn.records import ModelFile, TraceRecord
from gaugenn.report import write, write_whole
from gaugenn.store import TABLES, Record, Study

_OF_PACKAGES = frozenset({"evidence", "files", "layers", "models", "model_files"})
"""Tables whose text is what packages and models say; only known folders are replaced there."""


def publish(study: Study, to: Path, about: Publication, *, with_models: bool) -> Path:
    """Copies a study into a new folder, with a dataset card, a citation where there are authors, and
    the report.

    Args:
        study: to copy.
        to: a new or empty folder.
        about: what the makers say.
        with_models: copy the models' files, too; traces of power are always copied.

    Returns:
        The folder.

    Raises:
        UsageError: the folder holds other files, or lies in the study.
        StoreError: something private is left in the copy, which is removed then.
        StorageFullError: no room.
    """
    if to.exists() and any(to.iterdir()):
        raise UsageError(f"{to} holds other files; give an empty or a new folder")
    if to.resolve().is_relative_to(study.path.resolve()):
        raise UsageError(f"{to} lies in the study; give a folder elsewhere")
    redaction = Redaction.of(study)
    # Made beside it under its own name, so that what is there under that name is whole.
    unfinished = to.resolve().parent / f".{to.resolve().name}.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        made = _made(study, unfinished / to.resolve().name, about, redaction, with_models)
        made.rename(to)
    except OSError as error:
        if is_storage_full(error):
            raise StorageFullError(f"no room for {to}") from error
        raise StoreError(f"{to} cannot be made: {error.strerror}") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return to


def _made(
    study: Study, to: Path, about: Publication, redaction: Redaction, with_models: bool
) -> Path:
    copy = Study.create(to)
    for record, table in TABLES.items():
        _copy_table(study, copy, record, table, redaction)
    _copy_blobs(study, copy, with_models)
    _require_clean(copy, redaction)
    found = facts(copy, about, redaction)
    card = _card.render(found, about, with_models=with_models, cleaned=True)
    write_whole(to / "README.md", card.encode())
    if about.authors:
        write_whole(to / "CITATION.cff", _citation.render(found, about).encode())
    write(copy, to / "report.html")
    return to


def _copy_table(
    study: Study, copy: Study, record: type[Record], table: str, redaction: Redaction
) -> None:
    clean = redaction.folders if table in _OF_PACKAGES else redaction.text
    for part in study.written(record):
        for place, field in enumerate(part.schema):
            if _holds_text(field.type):
                values: list[object] = part.column(place).to_pylist()
                cleaned = pa.array([_walked(value, clean) for value in values], field.type)
                part = part.set_column(place, field, cleaned)
        copy.adopt({table: part})


def _holds_text(kind: pa.DataType) -> bool:
    if isinstance(kind, pa.ListType):
        return _holds_text(kind.value_type)
    if isinstance(kind, pa.StructType):
        return any(_holds_text(kind.field(place).type) for place in range(kind.num_fields))
    return pa.types.is_string(kind)


def _walked(value: object, clean: Callable[[str], str]) -> object:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [_walked(item, clean) for item in value]
    if isinstance(value, dict):
        return {key: _walked(item, clean) for key, item in value.items()}
    return value


def _copy_blobs(study: Study, copy: Study, with_models: bool) -> None:
    """Blobs that are here; a study that was itself published without models lacks them."""
    digests = {trace.blob_sha256 for trace in study.rows(TraceRecord)}
    if with_models:
        digests |= {file.sha256 for file in study.rows(ModelFile)}
    for digest in sorted(digests):
        path = study.blobs.path(digest)
        if path.is_file():
            copy.blobs.put(open_file(path).data, digest)


def _require_clean(copy: Study, redaction: Redaction) -> None:
    """Reads the copy again and looks for what must not be in it.

    Raises:
        StoreError: something private is left; the message says in which table and column.
    """
    for record, table in TABLES.items():
        of_packages = table in _OF_PACKAGES

        def look(text: str, known_only: bool = of_packages) -> str:
            if redaction.folders(text) != text or (not known_only and redaction.leaks(text)):
                raise ValueError
            return text

        for part in copy.written(record):
            for field in part.schema:
                if not _holds_text(field.type):
                    continue
                try:
                    for value in part.column(field.name).to_pylist():
                        _walked(value, look)
                except ValueError:
                    raise StoreError(
                        f"something private is left in {table}.{field.name}; nothing was published"
                    ) from None
