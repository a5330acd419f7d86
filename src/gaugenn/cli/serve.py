"""`gaugenn serve`."""

import webbrowser
from pathlib import Path

import click

from gaugenn import api
from gaugenn.cli._output import Output


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=api.EXPLORER_PORT,
    show_default=True,
    help="To listen on; 0 takes one that is free.",
)
@click.option("--open", "browse", is_flag=True, help="Open it in the browser.")
@click.option(
    "--address",
    default=api.EXPLORER_ADDRESS,
    show_default=True,
    help="Another address to listen on. Whoever reaches it can read the whole study.",
)
@click.option(
    "--name",
    "names",
    multiple=True,
    metavar="NAME",
    help="A name under which others reach that address; may be given again.",
)
def command(folder: Path, port: int, browse: bool, address: str, names: tuple[str, ...]) -> None:
    """Explore the study in DIR in a browser: search, open, compare, ask in SQL.

    Pages come from this machine and only read. Needs the extra explorer.
    """
    output = Output(quiet=False, as_json=False)

    def ready(where: str) -> None:
        print(where, flush=True)
        if address != api.EXPLORER_ADDRESS:
            output.remark(
                f"Whoever reaches {address} can read everything in {folder}: names and paths of "
                "packages, models, measurements; there is no password and no encryption."
            )
        output.remark("Ctrl-C ends it.")
        if browse:
            webbrowser.open(where)

    api.serve(folder, address=address, port=port, names=names, ready=ready)
