"""`gaugenn study`."""

from pathlib import Path

import click

from gaugenn import api
from gaugenn.cli._options import (
    benching,
    out_folder,
    prepare_engines,
    printing,
    workers_option,
)
from gaugenn.cli._output import Output, print_summary


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@out_folder
@click.option("--no-bench", is_flag=True, help="Scan and read only; run nothing.")
@benching
@workers_option
@printing
def command(
    paths: tuple[str, ...],
    out: Path,
    no_bench: bool,
    settings: api.BenchSettings,
    install_engines: bool,
    workers: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Find the models in app packages, read them, run them, and write DIR/report.html.

    PATH is a file, a folder or a pattern. Press Ctrl-C at any time: the same command goes on later.
    """
    output = Output(quiet, as_json)
    if not no_bench:
        prepare_engines(settings, install_engines, output)
    asked = None if no_bench else settings
    with output.watcher() as watcher:
        result = api.study(paths, out, settings=asked, workers=workers, watcher=watcher)
    print_summary(result, output)
