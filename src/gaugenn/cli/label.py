"""`gaugenn label`."""

import json
from pathlib import Path

import click

from gaugenn import api
from gaugenn.cli._output import print_table
from gaugenn.errors import UsageError


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.argument("device", required=False)
@click.argument("labels", nargs=-1, metavar="[NAME=GROUP]...")
@click.option("--json", "as_json", is_flag=True, help="Print the labels as JSON.")
def command(folder: Path, device: str | None, labels: tuple[str, ...], as_json: bool) -> None:
    """Say which groups a DEVICE of the study in DIR belongs to, as tier=low generation=2019.

    The report draws latencies by tier and by generation. An empty group takes a label away. Without a
    DEVICE: the devices of the study, with their labels.
    """
    if device is not None:
        given = {}
        for text in labels:
            name, equals, value = text.partition("=")
            if not equals:
                raise UsageError(f"{text!r}: expected NAME=GROUP, as tier=low")
            given[name] = value
        if not given:
            raise UsageError(f"which label for {device}? As in: tier=low")
        api.label_device(folder, device, given)
    known = api.device_labels(folder)
    if as_json:
        print(json.dumps(known, indent=2))
        return
    rows = [
        (name, ", ".join(f"{label}={group}" for label, group in found.items()))
        for name, found in known.items()
    ]
    print_table(("device", "labels"), rows)
