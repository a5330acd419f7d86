"""`gaugenn devices`."""

import json
from dataclasses import asdict

import click

from gaugenn import api
from gaugenn.cli._output import Output, print_table


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option(
    "--release", metavar="NAME", help="End the quarantine of a device that failed again and again."
)
@click.option(
    "--ray",
    is_flag=True,
    help="Print the devices as resources for: ray start --resources; each NAME, or all but this "
    "machine.",
)
def command(names: tuple[str, ...], as_json: bool, release: str | None, ray: bool) -> None:
    """Phones, boards and this machine: what each is, its state, and which engines run there.

    Without a NAME: this machine, what adb lists, and boards that were used before.
    """
    if release is not None:
        freed = api.device_release(release)
        print(f"{release} {'is out of quarantine' if freed else 'was not in quarantine'}")
        return
    if ray:
        print(json.dumps(dict.fromkeys(api.device_resources(names), 1)))
        return
    found = api.devices_list(names)
    if as_json:
        print(json.dumps([asdict(device) for device in found], indent=2))
        return
    output = Output(quiet=False, as_json=False)
    for device in found:
        if device.restored:
            output.remark(f"{device.name}: set back {', '.join(device.restored)}")
    print_table(
        (
            "name",
            "kind",
            "model",
            "soc",
            "cores",
            "memory",
            "system",
            "battery",
            "heat",
            "engines",
            "state",
        ),
        [
            (
                device.name,
                device.kind,
                device.model,
                device.soc,
                device.clusters,
                _memory(device.memory_bytes),
                device.operating_system,
                _battery(device),
                None if device.temperature_c is None else f"{device.temperature_c:.1f} °C",
                ", ".join(device.engines),
                device.state,
            )
            for device in found
        ],
    )


def _memory(size_bytes: int | None) -> str:
    return "" if size_bytes is None else f"{size_bytes / 2**30:.1f} GiB"


def _battery(device: api.DeviceInfo) -> str:
    level = "" if device.battery_level is None else f"{device.battery_level:.0%}"
    return f"{level} {device.battery_state or ''}".strip()
