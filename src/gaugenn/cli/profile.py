"""`gaugenn profile`."""

from pathlib import Path

import click

from gaugenn import api
from gaugenn.cli._options import printing
from gaugenn.cli._output import Output, print_summary


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@printing
def command(folder: Path, as_json: bool, quiet: bool) -> None:
    """Time the operators of the study's measured models, in launches that count as no latency.

    Then see: gaugenn oracle DIR
    """
    output = Output(quiet, as_json)
    with output.watcher() as watcher:
        result = api.profile(folder, watcher=watcher)
    print_summary(result, output)
