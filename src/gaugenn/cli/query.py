"""`gaugenn query`."""

import json
import sys
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
        for row in answer.to_pylist():
            print(json.dumps(row, default=str))
    else:
        print_table(answer.column_names, [list(row.values()) for row in answer.to_pylist()])
