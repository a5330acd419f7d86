"""SQL of a user, answered in a process of its own: read only, and bounded in every way.

The process opens the study as `gaugenn query` does, so statements reach no other file and no network.
Beyond that one statement is taken, and only one that selects; DuckDB's memory is bounded, and all of
the process's; a statement that runs on is interrupted, and where that does not help, the system ends
its process.
"""

import resource
import signal
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import duckdb

from gaugenn import report
from gaugenn.errors import LimitError, UsageError
from gaugenn.execute.local import LocalPool
from gaugenn.report._text import visible
from gaugenn.store import Study

ROWS = 500
SECONDS = 10.0
MEMORY_BYTES = 1 << 30
"""Of DuckDB."""
_SETTINGS = {"memory_limit": f"{MEMORY_BYTES}B", "temp_directory": ""}
"""With nothing moved to disk."""
ADDRESS_SPACE_BYTES = 4 << 30
"""Of the process: DuckDB's memory, the interpreter with its libraries, and what these only reserve."""
LONGEST_STATEMENT = 20_000
CELL_CHARACTERS = 500
COLUMNS = 200
_GRACE_S = 2.0
"""Beyond `SECONDS`, until the process is ended."""
_OPENING_S = 120.0
"""The most that opening a large study may take, with what is derived from it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A statement over a study."""

    study: Path
    sql: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a statement gave.

    Attributes:
        columns: their names, fit to be shown.
        types: of the columns.
        rows: values as text, fit to be shown; None for null.
        cut: there are more than `ROWS` rows, or more than `COLUMNS` columns.
        took_s: seconds it took.
    """

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: tuple[tuple[str | None, ...], ...]
    cut: bool
    took_s: float


class Sandbox:
    """Answers one statement at a time."""

    def __init__(self, study: Path) -> None:
        self._study = study
        self._turn = threading.Lock()
        self._pool = LocalPool(1, item_limit_s=SECONDS + _OPENING_S)

    def ask(self, sql: str) -> Answer:
        """Answers a statement.

        Raises:
            UsageError: it cannot be run; the message is DuckDB's.
            LimitError: it reached a limit.
            StoreError: the study cannot be read.
        """
        if not self._turn.acquire(timeout=SECONDS):
            raise LimitError("another statement is running; ask again when it is done")
        try:
            (outcome,) = self._pool.map(answer, [Question(study=self._study, sql=sql)])
        finally:
            self._turn.release()
        if outcome.error is not None:
            raise outcome.error
        if outcome.value is None:
            raise LimitError("the statement gave no answer")
        return outcome.value

    def close(self) -> None:
        """Ends the process."""
        self._pool.close()


class _Opened:
    """The study that this process has open."""

    def __init__(self) -> None:
        self._key: tuple[Path, tuple[str, ...]] | None = None
        self._stack = ExitStack()
        self._connection: duckdb.DuckDBPyConnection | None = None

    def connection(self, path: Path, text: str) -> duckdb.DuckDBPyConnection:
        """A connection, with what a statement asks for derived already: that is not its fault."""
        study = Study(path)
        key = path, study.part_names()
        if self._connection is None or key != self._key:
            self.close()
            self._connection = self._stack.enter_context(report.connect(study, _SETTINGS))
            self._key = key
        rows = self._connection.execute(
            """SELECT view_name FROM duckdb_views() WHERE temporary AND NOT internal
               AND NOT ends_with(view_name, '_columns') AND contains(lower(?), view_name)""",
            [text],
        ).fetchall()
        for (name,) in rows:
            self._connection.execute(f'SELECT count(*) FROM "{name}"').fetchall()  # noqa: S608
        return self._connection

    def close(self) -> None:
        """Lets go of the study."""
        self._stack.close()
        self._connection = None


_OPENED = _Opened()


def answer(question: Question) -> Answer:
    """Answers a statement, in the sandbox's process.

    Raises:
        UsageError: it is not one statement that selects, or DuckDB cannot run it.
        LimitError: it took too long or too much memory.
        StoreError: the study cannot be read.
    """
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE_BYTES, ADDRESS_SPACE_BYTES))
    text = one_selection(question.sql)
    connection = _OPENED.connection(question.study, text)
    # The line break ends a comment that the statement may end in.
    few = f"SELECT * FROM ({text}\n) LIMIT {ROWS + 1}"  # noqa: S608
    watch = threading.Timer(SECONDS, connection.interrupt)
    began = time.perf_counter()
    watch.start()
    signal.setitimer(signal.ITIMER_REAL, SECONDS + _GRACE_S)
    try:
        described = connection.execute(f"DESCRIBE {few}").fetchall()[: COLUMNS + 1]
        cells = ", ".join(
            f"left(CAST(c{place} AS VARCHAR), {CELL_CHARACTERS + 1})"
            for place in range(len(described))
        )
        columns = ", ".join(f"c{place}" for place in range(len(described)))
        rows = connection.execute(f"SELECT {cells} FROM ({few}) t({columns})").fetchall()  # noqa: S608
    except duckdb.InterruptException:
        raise LimitError(f"it ran longer than {SECONDS:g} s and was ended") from None
    except (duckdb.OutOfMemoryException, MemoryError):
        raise LimitError(f"it needs more than {MEMORY_BYTES >> 20:,} MiB of memory") from None
    except duckdb.Error as error:
        # What follows is the statement that was made of the user's.
        raise UsageError(str(error).partition("\n\nLINE ")[0]) from None
    finally:
        watch.cancel()
        signal.setitimer(signal.ITIMER_REAL, 0)
    return Answer(
        columns=tuple(visible(str(row[0]), 80) for row in described[:COLUMNS]),
        types=tuple(visible(str(row[1]), 80) for row in described[:COLUMNS]),
        rows=tuple(
            tuple(None if v is None else visible(v, CELL_CHARACTERS) for v in row[:COLUMNS])
            for row in rows[:ROWS]
        ),
        cut=len(rows) > ROWS or len(described) > COLUMNS,
        took_s=time.perf_counter() - began,
    )


def one_selection(sql: str) -> str:
    """The statement without what ends it.

    Raises:
        UsageError: it is none, several, too long, or one that does something else than select.
    """
    if len(sql) > LONGEST_STATEMENT:
        raise UsageError(f"a statement has at most {LONGEST_STATEMENT:,} characters")
    try:
        statements = duckdb.extract_statements(sql)
    except duckdb.Error as error:
        raise UsageError(str(error)) from None
    if len(statements) != 1:
        raise UsageError(f"give one statement, not {len(statements)}")
    if statements[0].type != duckdb.StatementType.SELECT:
        raise UsageError("only SELECT, FROM, SHOW, DESCRIBE and SUMMARIZE are answered here")
    return str(statements[0].query).strip().rstrip(";").rstrip()
