"""`gaugenn export`."""

from pathlib import Path

import click

from gaugenn import api


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    *("--format", "form"),
    type=click.Choice(api.exports()),
    required=True,
    help="Whose form.",
)
@click.option("--to", type=click.Path(path_type=Path), metavar="FILE", help="Where to write.")
def command(folder: Path, form: str, to: Path | None) -> None:
    """Write the measurements of the study in DIR in another tool's form.

    Goes to standard output unless a file is named. Invalid measurements are left out.
    """
    text = api.export(folder, form, to)
    print(to if to is not None else text.removesuffix("\n"))
