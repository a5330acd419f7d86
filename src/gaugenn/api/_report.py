"""What is read out of a study: `report`, `figures`, `report_figure`, `query`."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import duckdb
import pyarrow as pa
import pyarrow.csv

from gaugenn.api._study import PathLike
from gaugenn.errors import UsageError
from gaugenn.store import Study

# The report's libraries take half a second to import, so only the verbs that need them do.


def report(folder: PathLike, page: PathLike | None = None, *, reference: bool = False) -> Path:
    """Writes a study's report.

    Args:
        folder: the study.
        page: where to; `report.html` in the study by default.
        reference: show what the papers reported beside the study's own numbers.

    Raises:
        StoreError: the folder is no study.
        StorageFullError: no room for the page.
    """
    from gaugenn import report as reporting

    opened = Study(Path(folder))
    path = Path(page) if page else opened.path / "report.html"
    return reporting.write(opened, path, reference)


def figures() -> dict[str, str]:
    """The report's figures by name, each with the question that it answers."""
    from gaugenn import report as reporting

    return {name: figure.question for name, figure in reporting.figures().items()}


def write_csv(answer: pa.Table, to: IO[bytes]) -> None:
    """Writes a query's answer as CSV; lists and records as JSON text."""
    for position, field in enumerate(answer.schema):
        if pa.types.is_nested(field.type):
            values = answer.column(position).to_pylist()
            texts = [None if value is None else json.dumps(value, default=str) for value in values]
            answer = answer.set_column(position, field.name, pa.array(texts, pa.string()))
    pyarrow.csv.write_csv(answer, to)


def report_figure(
    folder: PathLike, name: str, form: str = "svg", to: PathLike | None = None
) -> Path:
    """Writes one figure of a study's report by itself.

    Args:
        folder: the study.
        name: see `figures`.
        form: `svg`, `png` and `vega` draw; `csv` and `parquet` give the rows, `latex` the table.
        to: where to; `NAME.FORM` in the study by default, `NAME.tex` for LaTeX.

    Raises:
        UsageError: no such figure, or this one has no chart.
        StoreError: the folder is no study.
        StorageFullError: no room for the file.
    """
    from gaugenn import report as reporting

    opened = Study(Path(folder))
    known = reporting.ExportFormat(form)
    drawn = reporting.render_figure(opened, name, known)
    path = Path(to) if to else opened.path / f"{name}.{known.suffix}"
    return reporting.write_whole(path, drawn)


def recommend(
    folder: PathLike, models: Sequence[str] = (), *, device: str | None = None
) -> list[dict[str, object]]:
    """What to run each model with, and what another way gives up; only from valid experiments.

    Args:
        folder: the study.
        models: reference models, names of files or beginnings of digests; all by default.
        device: only there.

    Returns:
        One row a model, device and way to run it, the fastest of each model and device first;
        columns are
        those of the figure `recommendation`, and `speed_given_up` is its text.

    Raises:
        UsageError: no valid experiment on such a model or device.
        StoreError: the folder is no study.
    """
    from gaugenn import report as reporting

    rows = reporting.figure_rows(Study(Path(folder)), "recommendation")
    chosen = [
        row
        for row in rows
        if (device is None or row["device"] == device)
        and (not models or any(_names(text, row) for text in models))
    ]
    absent = [text for text in models if not any(_names(text, row) for row in rows)]
    if absent or not chosen:
        what = ", ".join(absent) or (f"on {device}" if device else "in this study")
        known = ", ".join(dict.fromkeys(str(row["model"]) for row in rows)) or "none"
        raise UsageError(
            f"no valid experiment: {what}; there are those on: {known}; "
            "the report says of each experiment why it is not valid"
        )
    return chosen


def _names(text: str, row: dict[str, object]) -> bool:
    """Whether a user means a row's model."""
    digest, model = str(row["model_sha256"]), str(row["model"])
    return text in {model, row["file"]} or (len(text) >= 4 and digest.startswith(text))


def query(folder: PathLike, sql: str) -> pa.Table:
    """Answers one SQL statement over a study's tables and views, in DuckDB's dialect.

    Raises:
        UsageError: the statement cannot be run; the message is DuckDB's.
        StoreError: the folder is no study.
    """
    from gaugenn import report as reporting

    with reporting.connect(Study(Path(folder))) as connection:
        try:
            relation = connection.sql(sql)
            answer: pa.Table | None = None
            if relation is not None:
                answer = relation.to_arrow_table()
        except duckdb.Error as error:
            raise UsageError(str(error)) from error
    if answer is None:
        raise UsageError("the statement gives no rows")
    return answer
