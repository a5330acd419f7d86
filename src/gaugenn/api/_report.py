"""What is read out of a study: `report`, `figures`, `report_figure`, `query`."""

import json
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
