"""`gaugenn bench`."""

from pathlib import Path

import click

from gaugenn import api
from gaugenn.cli._options import bench_settings, benching, prepare_engines, printing
from gaugenn.cli._output import Output, print_summary


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@benching
@printing
def command(
    folder: Path,
    engines: tuple[str, ...],
    launches: int,
    threads: str,
    input_shapes: tuple[str, ...],
    seed: int,
    install_engines: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Run the models of the study in DIR; launches that are already there are not repeated.

    To run model files of your own: gaugenn study FILE... --out DIR
    """
    output = Output(quiet, as_json)
    settings = bench_settings(engines, launches, threads, input_shapes, seed)
    prepare_engines(settings, install_engines, output)
    with output.watcher() as watcher:
        result = api.bench(folder, settings, watcher=watcher)
    print_summary(result, output)
