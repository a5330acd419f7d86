"""`gaugenn recommend`."""

import json
from pathlib import Path

import click

from gaugenn import api
from gaugenn.cli._output import print_table


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@click.option("--device", metavar="NAME", help="Only on this device.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(folder: Path, models: tuple[str, ...], device: str | None, as_json: bool) -> None:
    """Say what to run a MODEL of the study in DIR with, and what staying with another way gives up.

    A MODEL is a reference model, a file's name or the beginning of its digest; without one: all. Only
    valid experiments count. Ways that the launches do not tell apart are said to tie.
    """
    found = api.recommend(folder, models, device=device)
    if as_json:
        print(json.dumps(found, indent=2))
        return
    print_table(
        ("model", "device", "library, threads, precision", "outcome", "ms", "speed given up"),
        [
            (
                row["model"],
                row["device"],
                row["way"],
                row["outcome"],
                f"{row['latency_ms']:.4g}",
                row["speed_given_up"],
            )
            for row in found
        ],
        numbers=("ms",),
    )
    print("Speed given up: 95 % intervals over launches. Accuracy is not judged.")
