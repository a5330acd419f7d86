"""`gaugenn inspect`."""

import json
import sys

import click

from gaugenn import api
from gaugenn._terminal import printable
from gaugenn.cli._output import EXIT_USAGE, print_table


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a file, one a line.")
@click.option("--layers", is_flag=True, help="Every node of every model, too.")
def command(files: tuple[str, ...], as_json: bool, layers: bool) -> None:
    """Say what files are: format, operators, parameters, MACs; for packages, each model inside."""
    missing = 0
    rows: list[tuple[object, ...]] = []
    nodes: list[tuple[str, api.Inspection]] = []
    for found in api.inspect(files):
        missing += found.size_bytes is None
        if as_json:
            print(json.dumps(found.as_json(layers=layers)), flush=True)
        rows.append(_inspection_row(found, found.path))
        rows += (_inspection_row(model, f"  {model.path}") for model in found.models or ())
        if layers:
            inside = [(f"{found.path}!/{model.path}", model) for model in found.models or ()]
            nodes += [(path, each) for path, each in ((found.path, found), *inside) if each.layers]
    if not as_json:
        columns = ("path", "kind", "format", "bytes", "nodes", "parameters", "MACs", "remark")
        print_table(columns, rows, numbers=("bytes", "nodes", "parameters", "MACs"))
        for path, each in nodes:
            _print_layers(path, each)
    if missing:
        sys.exit(EXIT_USAGE)


def _print_layers(path: str, found: api.Inspection) -> None:
    print(printable(f"\n{path}"))
    columns = ("node", "operator", "in the file", "class", "output", "parameters", "MACs", "name")
    rows = [
        (
            f"{layer.graph}:{layer.position}",
            layer.operator or None,
            layer.source_operator,
            layer.layer_class,
            None if layer.output_shape is None else "x".join(map(str, layer.output_shape)),
            f"{layer.parameters:,}" if layer.parameters else None,
            None if layer.macs is None else f"{layer.macs:,}",
            layer.name,
        )
        for layer in found.layers
    ]
    print_table(columns, rows, numbers=("parameters", "MACs"))


def _inspection_row(found: api.Inspection, name: str) -> tuple[object, ...]:
    name = name.replace("\n", "\\n")  # a row is a line
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
