"""`gaugenn oracle`."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from gaugenn import api
from gaugenn.cli._output import print_table


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--conversion",
    "conversion_gb_per_s",
    type=click.FloatRange(min=0, min_open=True),
    metavar="GB/S",
    help="A change of library reads and writes the tensor between at this rate. Free by default.",
)
@click.option(
    "--together",
    multiple=True,
    metavar="NAME,NAME...",
    help="Models of the study, by name or digest, that are one model in several formats.",
)
@click.option("--parts", is_flag=True, help="Also print every part with its time in each library.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    folder: Path,
    conversion_gb_per_s: float | None,
    together: tuple[str, ...],
    parts: bool,
    as_json: bool,
) -> None:
    """What the best library for every part of a model would give, from the profiles in DIR."""
    groups = [tuple(name.strip() for name in text.split(",")) for text in together]
    found = api.oracle(folder, conversion_gb_per_s=conversion_gb_per_s, together=groups)
    if as_json:
        print(json.dumps([asdict(item) for item in found], indent=2, default=dict))
        return
    print_table(
        ("model", "threads", "parts", "best library", "ms", "best of each, ms", "times as fast"),
        [
            (
                item.model,
                item.threads,
                len(item.stretches),
                item.oracle.single,
                f"{1e3 * item.oracle.single_s:.3f}",
                f"{1e3 * item.oracle.total_s:.3f}",
                f"{item.oracle.gain:.2f}",
            )
            for item in found
        ],
        numbers=("threads", "parts", "ms", "best of each, ms", "times as fast"),
    )
    for item in found:
        for library, reason in item.left_out.items():
            print(f"{item.model}: {library} is left out: {reason}")
        if parts:
            libraries = list(item.stretches[0].durations_s)
            print_table(
                ("part", "operator", "chosen", *(f"{name}, ms" for name in libraries)),
                [
                    (
                        s.name,
                        s.operator,
                        chosen,
                        *(f"{1e3 * s.durations_s[n]:.4f}" for n in libraries),
                    )
                    for s, chosen in zip(item.stretches, item.oracle.choices, strict=True)
                ],
                numbers=tuple(f"{name}, ms" for name in libraries),
            )
