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
@click.option(
    "--ray",
    metavar="ADDRESS",
    help="Work on a Ray cluster: auto, HOST:PORT, or local for one on this machine.",
)
@click.option(
    "--shared",
    metavar="ADDRESS",
    help="With --ray: where its workers put what they find, a folder or s3://BUCKET/PREFIX; DIR"
    " itself by default.",
)
@printing
def command(
    paths: tuple[str, ...],
    out: Path,
    workers: int | None,
    ray: str | None,
    shared: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Find and read the models in app packages; no benchmark, no report.

    With --ray every machine of the cluster must see PATH under the same name.
    """
    output = Output(quiet, as_json)
    with output.watcher() as watcher:
        result = api.scan(paths, out, workers=workers, ray=ray, shared=shared, watcher=watcher)
    print_summary(result, output)
