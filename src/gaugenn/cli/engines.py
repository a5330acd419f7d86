"""`gaugenn engines`."""

import json
from dataclasses import asdict

import click

from gaugenn import api
from gaugenn.cli._output import Output, print_table


@click.group()
def command() -> None:
    """Inference libraries, each version in an environment of its own."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def engines_list(as_json: bool) -> None:
    """What engines there are, and which versions are installed."""
    known = api.engines_list()
    if as_json:
        print(json.dumps([asdict(engine) for engine in known], indent=2))
        return
    print_table(
        ("engine", "library", "formats", "processors", "default", "installed"),
        [
            (
                engine.name,
                engine.title,
                ", ".join(engine.formats),
                ", ".join(engine.processors),
                engine.default_version,
                ", ".join(engine.installed) or "no",
            )
            for engine in known
        ],
    )


@command.command("install")
@click.argument("names", nargs=-1, metavar="[NAME[==VERSION]]...")
def engines_install(names: tuple[str, ...]) -> None:
    """Install engines from PyPI; without a name, the default version of each default engine."""
    output = Output(quiet=False, as_json=False)
    for name in api.engines_named(names):
        output.remark(f"Installing {name} ...")
        print(api.engines_install(name))


@command.command("remove")
@click.argument("names", nargs=-1, required=True, metavar="NAME[==VERSION]...")
def engines_remove(names: tuple[str, ...]) -> None:
    """Remove installed engines; without a version, all of an engine's versions."""
    for name in names:
        for removed in api.engines_remove(name):
            print(f"removed {removed}")


@command.command("offers")
@click.argument("names", nargs=-1, metavar="[NAME[==VERSION]]...")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def engines_offers(names: tuple[str, ...], as_json: bool) -> None:
    """Ask installed libraries which processors and precisions they offer on this machine."""
    listed = names or tuple(
        f"{engine.name}=={version}"
        for engine in api.engines_list()
        if not engine.is_supplied
        for version in engine.installed
    )
    found = {name: api.engines_offers(name) for name in listed}
    if as_json:
        print(json.dumps({name: asdict(offers) for name, offers in found.items()}, indent=2))
        return
    print_table(
        ("engine", "processor", "as the library calls it", "precisions"),
        [
            (name, offer.processor, offer.name, ", ".join(offer.precisions))
            for name, offers in found.items()
            for offer in offers.offers
        ],
    )
