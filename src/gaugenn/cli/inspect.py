"""`gaugenn inspect`."""

import json
import sys

import click

from gaugenn import api
from gaugenn.cli._output import EXIT_USAGE, print_table


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a file, one a line.")
def command(files: tuple[str, ...], as_json: bool) -> None:
    """Say what files are: format, operators, parameters, MACs; for packages, each model inside."""
    missing = 0
    rows: list[tuple[object, ...]] = []
    for found in api.inspect(files):
        missing += found.size_bytes is None
        if as_json:
            print(json.dumps(found.as_json()), flush=True)
        rows.append(_inspection_row(found, found.path))
        rows += (_inspection_row(model, f"  {model.path}") for model in found.models or ())
    if not as_json:
        columns = ("path", "kind", "format", "bytes", "nodes", "parameters", "MACs", "remark")
        print_table(columns, rows, numbers=("bytes", "nodes", "parameters", "MACs"))
    if missing:
        sys.exit(EXIT_USAGE)


def _inspection_row(found: api.Inspection, name: str) -> tuple[object, ...]:
    record = found.record
    size = None if found.size_bytes is None else f"{found.size_bytes:,}"
    if record is None:
        return name, found.kind, found.format, size, None, None, None, found.error
    bound = "≥ " if record.uncounted_nodes else ""
    remarks = [*record.notes]
    if record.uncounted_nodes:
        remarks.append(f"{record.uncounted_nodes} nodes not counted")
    if record.assumed_dimensions:
        remarks.append("dynamic sizes taken as 1")
    return (
        name,
        found.kind,
        found.format,
        size,
        f"{record.nodes:,}",
        None if record.parameters is None else f"{bound}{record.parameters:,}",
        None if record.macs is None else f"{bound}{record.macs:,}",
        ", ".join(remarks),
    )
