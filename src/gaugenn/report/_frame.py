"""The rows that a figure draws, and the one door through which they enter the report."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self, TypeVar

import duckdb
import pyarrow as pa

from gaugenn.report._text import visible

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Rows of a query.

    Attributes:
        rows: the first rows, at most as many as were asked for. Text is visible and bounded, numbers
            are finite or null.
        total: how many rows the query has.
    """

    rows: pa.Table
    total: int

    @classmethod
    def made(
        cls, texts: Mapping[str, Sequence[str]], numbers: Mapping[str, Sequence[float | None]]
    ) -> Self:
        """A frame of rows that were computed from others; all of them."""
        columns = {name: pa.array(values, pa.string()) for name, values in texts.items()}
        figures = {name: pa.array(values, pa.float64()) for name, values in numbers.items()}
        rows = pa.table({**columns, **figures})
        return cls(rows=rows, total=rows.num_rows)

    def texts(self, column: str) -> list[str | None]:
        """A text column."""
        return _checked(self.rows, column, str)

    def labels(self, column: str) -> list[str]:
        """A text column with empty text for null, as charts name their rows."""
        return [value or "" for value in self.texts(column)]

    def integers(self, column: str) -> list[int | None]:
        """A column of integers or truth values."""
        return _checked(self.rows, column, int)

    def reals(self, column: str) -> list[float | None]:
        """A column of numbers."""
        return [None if v is None else float(v) for v in _checked(self.rows, column, (int, float))]

    def text_lists(self, column: str) -> list[list[str]]:
        """A column of lists of text; a null list is empty."""
        return [_items(v, str) for v in _checked(self.rows, column, list)]

    def real_lists(self, column: str) -> list[list[float]]:
        """A column of lists of numbers; a null list is empty."""
        lists = _checked(self.rows, column, list)
        return [[float(item) for item in _items(v, (int, float))] for v in lists]

    def with_columns(
        self, columns: Mapping[str, Sequence[object]], like: type[str] | type[float]
    ) -> "Frame":
        """The same rows with derived columns of text or numbers added."""
        rows = self.rows
        for name, values in columns.items():
            kind = pa.string() if like is str else pa.float64()
            rows = rows.append_column(name, pa.array(list(values), type=kind))
        return Frame(rows=rows, total=self.total)

    def first(self, number: int) -> "Frame":
        """The first rows."""
        return Frame(rows=self.rows.slice(0, number), total=self.total)

    def __len__(self) -> int:
        """Rows at hand."""
        return int(self.rows.num_rows)


def load(
    connection: duckdb.DuckDBPyConnection,
    query: str,
    limit: int | None,
    parameters: Sequence[object] = (),
) -> Frame:
    """Runs a query and takes its first rows in, or all, made fit to be shown."""
    given, some = list(parameters), "" if limit is None else f" LIMIT {limit}"
    rows = connection.sql(f"SELECT * FROM ({query}){some}", params=given).to_arrow_table()  # noqa: S608
    total = rows.num_rows
    if total == limit:
        counted = connection.execute(f"SELECT count(*) FROM ({query})", given).fetchall()  # noqa: S608
        total = int(counted[0][0])
    shown = {}
    for field in rows.schema:
        values: list[object] = rows.column(field.name).to_pylist()
        shown[field.name] = pa.array([_shown(value) for value in values], type=field.type)
    return Frame(rows=pa.table(shown), total=total)


def _shown(value: object) -> object:
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, list):
        return [_shown(item) for item in value]
    if isinstance(value, dict):
        return {key: _shown(item) for key, item in value.items()}
    return value


def _checked(rows: pa.Table, column: str, kind: type[T] | tuple[type[T], ...]) -> list[T | None]:
    values: list[object] = rows.column(column).to_pylist()
    return [_expect(value, column, kind) for value in values]


def _expect(value: object, column: str, kind: type[T] | tuple[type[T], ...]) -> T | None:
    if value is None or isinstance(value, kind):
        return value
    raise TypeError(f"column {column!r} holds {type(value).__name__}, not what the figure expects")


def _items(value: list[object] | None, kind: type[T] | tuple[type[T], ...]) -> list[T]:
    return [item for item in value or () if isinstance(item, kind)]
