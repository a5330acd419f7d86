"""`gaugenn bench`."""

from pathlib import Path

import click

from gaugenn import api
from gaugenn.cli._options import bench_settings, benching, prepare_engines, printing
from gaugenn.cli._output import Output, print_summary
from gaugenn.errors import UsageError


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--zoo",
    metavar="NAME[,NAME]",
    help="First put built reference models into the study: paper, today, all, or by name.",
)
@click.option("--build-zoo", is_flag=True, help="Before that, build those that are missing.")
@benching
@printing
def command(
    folder: Path,
    zoo: str | None,
    build_zoo: bool,
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

    To run model files of your own: gaugenn study FILE... --out DIR. To run reference models with
    every library: gaugenn bench DIR --zoo paper
    """
    if build_zoo and zoo is None:
        raise UsageError("--build-zoo needs --zoo: which models?")
    output = Output(quiet, as_json)
    settings = bench_settings(engines, launches, threads, input_shapes, seed)
    prepare_engines(settings, install_engines, output)
    with output.watcher() as watcher:
        result = api.bench(
            folder,
            settings,
            zoo=() if zoo is None else [name.strip() for name in zoo.split(",")],
            build_zoo=build_zoo,
            watcher=watcher,
        )
    print_summary(result, output)
