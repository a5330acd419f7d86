"""`gaugenn scenarios`."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from gaugenn import api
from gaugenn.analysis.energy import Quantity
from gaugenn.bench.settings import parse_duration_s
from gaugenn.cli._options import parsed
from gaugenn.cli._output import print_table


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    *("--battery", "capacity_mah"),
    type=click.FloatRange(min=0, min_open=True),
    default=api.DEFAULT_BATTERY.capacity_mah,
    show_default=True,
    metavar="MAH",
    help="Capacity of the battery.",
)
@click.option(
    *("--voltage", "volts"),
    type=click.FloatRange(min=0, min_open=True),
    default=api.DEFAULT_BATTERY.volts,
    show_default=True,
    metavar="V",
    help="Nominal voltage of the battery.",
)
@click.option(
    *("--scenario", "files"),
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A scenario of your own in TOML; can be repeated. See docs/energy.md.",
)
@click.option(
    *("--input-length", "input_length_s"),
    type=parsed(parse_duration_s),
    metavar="TIME",
    help="How much sound one input covers, where its shape does not say, as 975ms.",
)
@click.option("--every", is_flag=True, help="Also scenarios that are not for a model's task.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    folder: Path,
    capacity_mah: float,
    volts: float,
    files: tuple[Path, ...],
    input_length_s: float | None,
    every: bool,
    as_json: bool,
) -> None:
    """What the measured models of the study in DIR take out of a battery in everyday use."""
    battery = api.Battery(capacity_mah=capacity_mah, volts=volts)
    rows = api.scenarios(
        folder, battery=battery, files=files, every=every, input_length_s=input_length_s
    )
    if as_json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
        return
    print_table(
        ("scenario", "model", "engine", "meter", "inferences", "mAh", "of battery", "keeps up"),
        [
            (
                row.scenario.name,
                row.model,
                row.engine,
                row.rail or "not measured",
                "input length unknown" if row.found is None else f"{row.found.inferences:,}",
                "" if row.found is None else _shown(row.found.charge_mah, 1, ""),
                "" if row.found is None else _shown(row.found.share, 100, " %"),
                "" if row.found is None else _KEEPS_UP[row.found.real_time],
            )
            for row in rows
        ],
        numbers=("inferences", "mAh", "of battery"),
    )
    if not rows:
        print("No measured model has a task that a scenario is for; --every shows all.")
    print(f"Battery: {capacity_mah:g} mAh at {volts:g} V. Intervals: 95 % over launches.")


_KEEPS_UP = {True: "yes", False: "no", None: ""}


def _shown(quantity: Quantity | None, scale: float, unit: str) -> str:
    if quantity is None:
        return ""
    text = f"{scale * quantity.value:.3g}{unit}"
    if quantity.low is None or quantity.high is None:
        return text
    return f"{text} [{scale * quantity.low:.3g}, {scale * quantity.high:.3g}]"
