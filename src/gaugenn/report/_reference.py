"""What the papers reported, beside the study's own numbers; shown only where it is asked for."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

import duckdb

from gaugenn.analysis.statistics import proportion
from gaugenn.report import _text

MARKS = ("seen", "seen, secondary")
"""How a statement is known: read in the authors' own words, or in a third party's summary."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """A statement of a paper.

    Attributes:
        figure: where it is shown.
        paper: short name.
        citation: title, venue and year.
        mark: one of `MARKS`.
        statement: what the paper reports.
        own: SQL for the study's own number; None where there is none to compare.
    """

    figure: str
    paper: str
    citation: str
    mark: str
    statement: str
    own: str | None


@cache
def reported() -> tuple[Reported, ...]:
    """Every statement of the data file."""
    file = resources.files("gaugenn.report").joinpath("_reference.toml")
    found = tomllib.loads(file.read_text(encoding="utf-8"))
    papers = found["papers"]
    return tuple(
        Reported(
            figure=entry["figure"],
            paper=papers[entry["paper"]]["name"],
            citation=papers[entry["paper"]]["citation"],
            mark=entry["mark"],
            statement=entry["statement"],
            own=entry.get("own"),
        )
        for entry in found["reported"]
    )


def beside(connection: duckdb.DuckDBPyConnection) -> Mapping[str, tuple[str, ...]]:
    """A sentence a statement, by figure, each with the study's own number."""
    found: dict[str, list[str]] = {}
    for entry in reported():
        own = "" if entry.own is None else f" This study: {_own(connection, entry.own)}."
        found.setdefault(entry.figure, []).append(
            f"{entry.paper} reported: {entry.statement} ({entry.mark}; {entry.citation}).{own}"
        )
    return {figure: tuple(sentences) for figure, sentences in found.items()}


def _own(connection: duckdb.DuckDBPyConnection, query: str) -> str:
    (row,) = connection.execute(query).fetchall()
    if len(row) == 2:
        part, whole = (int(value or 0) for value in row)
        if not whole:
            return "nothing to compare"
        share = proportion(part, whole)
        return (
            f"{100 * share.value:.1f}\N{NO-BREAK SPACE}% "
            f"[{100 * share.low:.1f}, {100 * share.high:.1f}], {part:,} of {whole:,}"
        )
    (value,) = row
    if isinstance(value, int):
        return f"{value:,}"
    return _text.visible(value) if isinstance(value, str) and value else "nothing to compare"
