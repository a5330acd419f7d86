"""`gaugenn doctor`."""

import json
from dataclasses import asdict

import click

from gaugenn import api
from gaugenn.cli._output import print_table


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(as_json: bool) -> None:
    """What is here, what is missing, and the one command that installs it."""
    checks = api.doctor()
    if as_json:
        print(json.dumps([asdict(check) for check in checks], indent=2))
        return
    print_table(
        ("", "what", "found", "to get it"),
        [("ok" if c.ok else "--", c.name, c.found, c.remedy) for c in checks],
    )
