"""`gaugenn query`."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from gaugenn import api
from gaugenn.cli._output import print_table


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.argument("sql")
@click.option(
    *("--format", "form"),
    type=click.Choice(["table", "csv", "json"]),
    default="table",
    show_default=True,
    help="How to print the rows; json prints one object a row.",
)
def command(folder: Path, sql: str, form: str) -> None:
    """Answer an SQL statement over the study in DIR (DuckDB's dialect)."""
    answer = api.query(folder, sql)
    if form == "csv":
        if sys.stdout is not None:
            api.write_csv(answer, sys.stdout.buffer)
    elif form == "json":
        for row in answer.rename_columns(_distinct(answer.column_names)).to_pylist():
            print(json.dumps(row, default=str))
    else:
        columns = [column.to_pylist() for column in answer.columns]
        print_table(answer.column_names, list(zip(*columns, strict=True)))


def _distinct(names: Sequence[str]) -> list[str]:
    """Names of columns, numbered from the second of a name on."""
    found: dict[str, None] = {}
    for name in names:
        candidate, number = name, 1
        while candidate in found:
            number += 1
            candidate = f"{name}_{number}"
        found[candidate] = None
    return list(found)
