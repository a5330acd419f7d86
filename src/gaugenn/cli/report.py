"""`gaugenn report`."""

from pathlib import Path

import click

from gaugenn import api
from gaugenn.cli._output import print_table


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--to", type=click.Path(path_type=Path), metavar="FILE", help="Where to write.")
@click.option("--figure", metavar="NAME", help="Write one figure alone; `list` names them.")
@click.option(
    *("--format", "form"),
    type=click.Choice(["svg", "png", "csv", "vega", "parquet", "latex"]),
    help="Of a single figure; svg by default.",
)
@click.option(
    "--reference",
    is_flag=True,
    help="Show what the papers reported beside the study's own numbers, marked by how it is known.",
)
def command(
    folder: Path, to: Path | None, figure: str | None, form: str | None, reference: bool
) -> None:
    """Write the report of the study in DIR, or one figure of it, and print where it is."""
    if figure is None and form is not None:
        raise click.UsageError("--format belongs to a single figure; name it with --figure")
    if figure is None:
        print(api.report(folder, to, reference=reference))
    elif reference:
        raise click.UsageError("--reference belongs to the page; leave --figure out")
    elif figure == "list":
        print_table(("figure", "question"), list(api.figures().items()))
    else:
        print(api.report_figure(folder, figure, form or "svg", to))
