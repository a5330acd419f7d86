"""SQL over the study, read only and with limits; and the tables with their columns."""

import re

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gaugenn.errors import GaugennError
from gaugenn.explorer._assets import Assets
from gaugenn.explorer._contract import Pages
from gaugenn.explorer._database import Database, Reader
from gaugenn.explorer._rendering import Templates
from gaugenn.explorer._sandbox import MEMORY_BYTES, ROWS, SECONDS, Answer, Sandbox
from gaugenn.report import _text
from gaugenn.report._table import Cell, Column, Table

_EXAMPLE = """SELECT format, count(*) AS models, median(parameters) AS parameters
FROM models WHERE kind = 'model'
GROUP BY format ORDER BY models DESC"""
_NUMBER = re.compile(r"U?(?:TINY|SMALL|BIG|HUGE)?INT|U?INTEGER|DOUBLE|FLOAT|DECIMAL\(\d+,\d+\)")


class Sql(Pages):
    """`/sql?q=STATEMENT`."""

    menu = "SQL"
    order = 6
    path = "/sql"

    def __init__(self, database: Database, templates: Templates, assets: Assets) -> None:
        super().__init__(database, templates, assets)
        self._sandbox = Sandbox(database.study.path.resolve())

    def routes(self) -> list[Route]:
        """One page."""
        return [Route("/sql", self._show)]

    def close(self) -> None:
        """Ends the process that answers."""
        self._sandbox.close()

    def _show(self, request: Request) -> Response:
        asked = request.query_params.get("q", "").strip()
        answer: Answer | None = None
        problem = ""
        if asked:
            try:
                answer = self._sandbox.ask(asked)
            except GaugennError as error:
                problem = "\n".join(
                    _text.visible(line, 500) for line in str(error).splitlines()[:20]
                )
        with self.database.read() as reader:
            known = reader.once("tables", lambda: _tables(reader))
        return self.page(
            "sql.html.j2",
            "SQL",
            asked=asked[:20_000] or _EXAMPLE,
            answer=answer,
            table=None if answer is None else _table(answer),
            problem=problem,
            known=known,
            limits=f"{ROWS:,} rows, {SECONDS:g} seconds, {MEMORY_BYTES >> 20:,} MiB of memory",
            status=400 if problem else 200,
        )


def _table(answer: Answer) -> Table | None:
    if not answer.rows:
        return None
    return Table(
        columns=tuple(
            Column(
                title=f"{name} ({kind.lower()})" if len(kind) < 20 else name,
                style="number" if _NUMBER.fullmatch(kind) else "name",
                cells=tuple(_cell(row[place], kind) for row in answer.rows),
            )
            for place, (name, kind) in enumerate(zip(answer.columns, answer.types, strict=True))
        )
    )


def _cell(value: str | None, kind: str) -> Cell:
    if value is None:
        return Cell(text=_text.NOTHING, missing=True)
    if _NUMBER.fullmatch(kind):
        return Cell(text=value, sort=float(value))
    short = _text.clip(value, 120)
    return Cell(text=short, more=() if short == value else (value,))


def _tables(reader: Reader) -> list[tuple[str, list[tuple[str, str]]]]:
    """Every table and view with its columns and their types."""
    rows = reader.connection.execute(
        """SELECT table_name, column_name, data_type FROM information_schema.columns
           WHERE NOT starts_with(table_name, 'page_') AND NOT ends_with(table_name, '_columns')
             AND NOT ends_with(table_name, '_rows') AND NOT starts_with(table_name, 'all_')
           ORDER BY table_name, ordinal_position"""
    ).fetchall()
    found: dict[str, list[tuple[str, str]]] = {}
    for table, column, kind in rows:
        found.setdefault(str(table), []).append((str(column), str(kind)))
    return sorted(found.items())
