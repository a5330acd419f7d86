"""`gaugenn study`."""

from pathlib import Path

import click

from gaugenn import api
from gaugenn.cli._options import (
    bench_settings,
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
    engines: tuple[str, ...],
    launches: int,
    threads: str,
    input_shapes: tuple[str, ...],
    seed: int,
    install_engines: bool,
    workers: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Find the models in app packages, read them, run them, and write DIR/report.html.

    PATH is a file, a folder or a pattern. Press Ctrl-C at any time: the same command goes on later.
    """
    output = Output(quiet, as_json)
    settings = None
    if not no_bench:
        settings = bench_settings(engines, launches, threads, input_shapes, seed)
        prepare_engines(settings, install_engines, output)
    with output.watcher() as watcher:
        result = api.study(paths, out, settings=settings, workers=workers, watcher=watcher)
    print_summary(result, output)
