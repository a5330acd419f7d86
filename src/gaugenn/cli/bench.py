"""`gaugenn bench`."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from gaugenn import api
from gaugenn.bench.settings import parse_duration_s
from gaugenn.cli._loads import print_loads
from gaugenn.cli._options import benching, parsed, prepare_engines, printing
from gaugenn.cli._output import Output, print_summary, print_table
from gaugenn.errors import UsageError


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--plan",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Models, engines, devices and settings in TOML; see docs/bench.md.",
)
@click.option(
    "--zoo",
    metavar="NAME[,NAME]",
    help="First put built reference models into the study: paper, today, all, or by name.",
)
@click.option("--build-zoo", is_flag=True, help="Before that, build those that are missing.")
@click.option("--dry-run", is_flag=True, help="Print the launches in order and how long they take.")
@click.option(
    *("--meter", "meters"),
    multiple=True,
    metavar="NAME[:KEY=VALUE,...][@DEVICE]",
    help="Measure power during each launch with this meter; can be repeated: two meters are compared. "
    "With several devices, say which. See docs/energy.md.",
)
@click.option(
    *("--idle", "idle_s"),
    type=parsed(parse_duration_s),
    default="30s",
    show_default=True,
    metavar="TIME",
    help="With --meter: how long idle power is measured before and after each launch.",
)
@click.option(
    "--ray",
    metavar="ADDRESS",
    help="Measure each device on the machine of a Ray cluster that announces it: auto, HOST:PORT.",
)
@click.option(
    "--shared",
    metavar="ADDRESS",
    help="With --ray: where models and rows pass, a folder or s3://BUCKET/PREFIX; DIR by default.",
)
@benching
@printing
def command(
    folder: Path,
    settings: api.BenchSettings,
    zoo: str | None,
    build_zoo: bool,
    dry_run: bool,
    meters: tuple[str, ...],
    idle_s: float,
    ray: str | None,
    shared: str | None,
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
    if dry_run and zoo is not None:
        raise UsageError("--dry-run looks at a study that is there; put --zoo into it first")
    output = Output(quiet, as_json)
    if dry_run:
        _foresee(api.foresee(folder, settings), output)
        return
    if ray is None:
        prepare_engines(settings, install_engines, output)
    with output.watcher() as watcher:
        result = api.bench(
            folder,
            settings,
            zoo=() if zoo is None else [name.strip() for name in zoo.split(",")],
            build_zoo=build_zoo,
            watcher=watcher,
            meters=meters,
            idle_s=idle_s,
            ray=ray,
            shared=shared,
        )
    print_loads(result.study, settings, output)
    print_summary(result, output)


def _foresee(forecast: api.Forecast, output: Output) -> None:
    if output.as_json:
        print(json.dumps(asdict(forecast), indent=2))
        return
    columns = ("round", "device", "model", "engine", "threads", "cores", "batch", "beside", "time")
    print_table(
        columns,
        [
            (
                launch.block,
                launch.device,
                launch.model,
                launch.engine,
                launch.threads,
                launch.affinity or "any",
                launch.batch,
                launch.beside,
                _span(launch.low_s, launch.high_s),
            )
            for launch in forecast.launches
        ],
        numbers=("round", "threads", "batch"),
    )
    for text in forecast.failures:
        output.remark(text)
    more = f", at most {forecast.launches_maximum}" if forecast.is_open else ""
    count = f"{len(forecast.launches)} launches{more}"
    output.remark(f"{count}; {_span(forecast.low_s, forecast.high_s)}")


def _span(low_s: float, high_s: float) -> str:
    low, high = _time(low_s), _time(high_s)
    return low if low == high else f"{low} to {high}"


def _time(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} min" if seconds < 6000 else f"{seconds / 3600:.3g} h"
