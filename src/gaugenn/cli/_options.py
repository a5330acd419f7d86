"""Options that several commands have, and what they stand for."""

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import click

from gaugenn import api
from gaugenn.cli._output import Output
from gaugenn.errors import UsageError

_NUMBER = re.compile(r"[0-9]{1,18}")

F = TypeVar("F", bound=Callable[..., object])


def printing(command: F) -> F:
    command = click.option("--quiet", "-q", is_flag=True, help="Print only the result.")(command)
    return click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")(
        command
    )


def out_folder(command: F) -> F:
    return click.option(
        *("--out", "-o"),
        required=True,
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="The study's folder; an existing study goes on where it stopped.",
    )(command)


def workers_option(command: F) -> F:
    return click.option(
        "--workers",
        type=click.IntRange(1, 1024),
        metavar="N",
        help="Processes that scan and read; all cores by default.",
    )(command)


def benching(command: F) -> F:
    for option in reversed(
        (
            click.option(
                *("--engine", "engines"),
                multiple=True,
                metavar="NAME[==VERSION]",
                help="Run with this engine only; can be repeated. All installed ones by default.",
            ),
            click.option(
                "--launches",
                type=click.IntRange(1, 1000),
                default=5,
                show_default=True,
                help="Fresh processes for each model and engine.",
            ),
            click.option(
                "--threads",
                default="1",
                show_default=True,
                metavar="N[,N...]",
                help="Thread counts to run with.",
            ),
            click.option(
                "--input-shape",
                "input_shapes",
                multiple=True,
                metavar="NAME=N,N,...",
                help="Size, batch first, for inputs of this name that a model leaves open.",
            ),
            click.option(
                "--seed",
                type=click.IntRange(0, 2**63 - 1),
                default=0,
                show_default=True,
                help="Order of launches and inputs.",
            ),
            click.option(
                "--install-engines",
                is_flag=True,
                help="First install the default engines that are missing, from PyPI.",
            ),
        )
    ):
        command = option(command)
    return command


def bench_settings(
    engines: Sequence[str], launches: int, threads: str, input_shapes: Sequence[str], seed: int
) -> api.BenchSettings:
    cores = os.cpu_count() or 1
    counts = _numbers(threads, f"--threads {threads}: give numbers, like 1,2")
    if max(counts) > cores:
        raise UsageError(f"--threads {threads}: this host has {cores} cores")
    shapes = []
    for text in input_shapes:
        name, _, sizes = text.rpartition("=")
        wrong = f"--input-shape {text}: give a name and sizes, like input=1,3,224,224"
        if not name:
            raise UsageError(wrong)
        shapes.append(api.InputShape(name=name, shape=_numbers(sizes, wrong)))
    return api.BenchSettings(
        engines=tuple(engines),
        launches=launches,
        threads=counts,
        seed=seed,
        input_shapes=tuple(shapes),
    )


def _numbers(text: str, wrong: str) -> tuple[int, ...]:
    parts = text.split(",")
    if not all(_NUMBER.fullmatch(part.strip()) and int(part) > 0 for part in parts):
        raise UsageError(wrong)
    return tuple(int(part) for part in parts)


def prepare_engines(settings: api.BenchSettings, install: bool, output: Output) -> None:
    for name in api.engines_missing(settings.engines):
        if install:
            output.remark(f"Installing {name} ...")
            api.engines_install(name)
        else:
            output.remark(
                f"{name} is not installed; install it with: gaugenn engines install {name}"
            )
