"""`gaugenn scan`."""

from pathlib import Path

import click

from gaugenn import api
from gaugenn.cli._options import out_folder, printing, workers_option
from gaugenn.cli._output import Output, print_summary


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@out_folder
@workers_option
@printing
def command(
    paths: tuple[str, ...], out: Path, workers: int | None, as_json: bool, quiet: bool
) -> None:
    """Find and read the models in app packages; no benchmark, no report."""
    output = Output(quiet, as_json)
    with output.watcher() as watcher:
        result = api.scan(paths, out, workers=workers, watcher=watcher)
    print_summary(result, output)
