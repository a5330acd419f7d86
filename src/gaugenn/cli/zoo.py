"""`gaugenn zoo`."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from gaugenn import api
from gaugenn.cli._options import printing
from gaugenn.cli._output import Output, print_table


@click.group()
def command() -> None:
    """Reference models: defined once, exported into every library's format, compared with it."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def zoo_list(as_json: bool) -> None:
    """What models there are, and what is built of each."""
    listed = api.zoo_list()
    if as_json:
        print(json.dumps([asdict(model) for model in listed], indent=2))
        return
    print_table(
        ("model", "set", "title", "input", "built"),
        [
            (
                model.name,
                model.set,
                model.title,
                ", ".join("x".join(map(str, given.shape)) for given in model.inputs),
                ", ".join(model.built) or "no",
            )
            for model in listed
        ],
    )


@command.command("install")
def zoo_install() -> None:
    """Install the exporters' environment from PyPI: PyTorch and the converters."""
    output = Output(quiet=False, as_json=False)
    output.remark(f"Installing PyTorch and the converters, about {api.ZOO_SIZE_GB:.1f} GB ...")
    print(api.zoo_install())


@command.command("build")
@click.argument("names", nargs=-1, metavar="[NAME|paper|today|all]...")
@click.option(
    "--format", "formats", multiple=True, metavar="FORMAT", help="Only this format; repeatable."
)
@click.option(
    "--variant",
    "variants",
    multiple=True,
    type=click.Choice(["fp32", "fp16", "int8"]),
    help="Only this variant; repeatable.",
)
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, help="Of weights and inputs.")
@click.option(
    "--weights",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A state dict of your own, .safetensors or .npz, for one model.",
)
@click.option("--again", is_flag=True, help="Try again what was not accepted.")
@printing
def zoo_build(
    names: tuple[str, ...],
    formats: tuple[str, ...],
    variants: tuple[str, ...],
    seed: int,
    weights: Path | None,
    again: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Export models into formats; every file is compared with its definition before it counts.

    What is built already is taken as it is. Without a name, all models.
    """
    output = Output(quiet, as_json)
    with output.watcher() as watcher:
        built = api.zoo_build(
            names,
            formats=formats,
            variants=variants,
            seed=seed,
            weights=weights,
            again=again,
            watcher=watcher,
        )
    _print_builds(built, as_json)


@command.command("info")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def zoo_info(name: str, as_json: bool) -> None:
    """What is built of a model: files, provenance, and how far each library agrees."""
    _print_builds(api.zoo_builds([name]), as_json)


@command.command("add")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", metavar="NAME", help="What to call it; the file's stem by default.")
def zoo_add(file: Path, name: str | None) -> None:
    """Take a model FILE of your own into the zoo, so that `gaugenn bench --zoo NAME` runs it."""
    built = api.zoo_add(file, name)
    print(built.folder)


@command.command("matrix")
@click.option(
    "--records",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Read builds from this file (one JSON object a line) instead of the cache.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the builds, one JSON object a line.")
def zoo_matrix(records: Path | None, as_json: bool) -> None:
    """Model x library x precision x processor: what there is, and the reason for every gap."""
    print(api.zoo_matrix(records, as_json=as_json), end="")


def _print_builds(built: tuple[api.Built, ...], as_json: bool) -> None:
    if as_json:
        print(json.dumps([asdict(b.record) for b in built], indent=2))
        return
    print_table(
        ("model", "format", "variant", "status", "cosine", "relative error", "MB", "why not"),
        [
            (
                b.record.model,
                b.record.format,
                b.record.variant,
                b.record.status,
                ", ".join(f"{a.library} {a.cosine:.6f}" for a in b.record.agreements if a.cosine),
                ", ".join(
                    f"{a.maximum_relative_error:.1e}"
                    for a in b.record.agreements
                    if a.maximum_relative_error is not None
                ),
                f"{sum(f.size_bytes for f in b.record.files) / 1e6:.1f}",
                b.record.reason
                or "; ".join(f"{a.library}: {a.reason}" for a in b.record.agreements if a.reason),
            )
            for b in built
        ],
    )
