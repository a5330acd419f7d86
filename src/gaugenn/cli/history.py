"""`gaugenn history`."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from gaugenn import api
from gaugenn.cli._options import out_folder, printing
from gaugenn.cli._output import Output, print_table
from gaugenn.errors import UsageError


@click.command()
@click.argument("engine")
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@out_folder
@click.option(
    "--since",
    metavar="VERSION|DATE",
    help="The oldest release, or the day (2025-06-30) from which releases count.",
)
@click.option("--newest", type=click.IntRange(3, 1000), metavar="N", help="Only the newest N.")
@click.option(
    "--launches",
    type=click.IntRange(1, 1000),
    default=5,
    show_default=True,
    help="Fresh processes for each release.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**63 - 1),
    default=0,
    show_default=True,
    help="Order of launches and inputs.",
)
@click.option("--remove", is_flag=True, help="Afterwards remove the releases installed for this.")
@printing
def command(
    engine: str,
    models: tuple[str, ...],
    out: Path,
    since: str | None,
    newest: int | None,
    launches: int,
    seed: int,
    remove: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Run MODEL on every release of the library ENGINE that the package index offers for this Python.

    Launches of all releases are interleaved; steps between releases are found, and drawn into
    DIR/history.svg. The same command goes on where it stopped.
    """
    if "==" in engine:
        raise UsageError(f"{engine}: give the engine alone; releases are chosen by --since")
    output = Output(quiet, as_json)
    with output.watcher() as watcher:
        found = api.history(
            engine,
            models,
            out,
            since=since,
            newest=newest,
            settings=api.BenchSettings(launches=launches, seed=seed),
            remove=remove,
            watcher=watcher,
        )
    if as_json:
        print(json.dumps({**asdict(found), "chart": str(found.chart)}, indent=2))
        return
    print_table(
        ("experiment", "release", "latency, ms", "95 % interval, ms", "step"),
        [
            (
                row.experiment,
                row.version,
                f"{row.latency_ms:.3f}",
                "" if row.low_ms is None else f"{row.low_ms:.3f} to {row.high_ms:.3f}",
                row.step,
            )
            for row in found.releases
        ],
        numbers=("latency, ms",),
    )
    print(found.chart)
