"""Options that several commands have, and what they stand for."""

import dataclasses
import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click
from click.core import ParameterSource

from gaugenn import api
from gaugenn.analysis.stopping import LAUNCHES_BEFORE_STOPPING, MAXIMUM_LAUNCHES
from gaugenn.analysis.thermal_gate import MARGIN_C, ThermalRule
from gaugenn.bench.placement import parse_placement
from gaugenn.bench.presets import DEFAULT_PRESET, PRESETS
from gaugenn.bench.settings import (
    SAMPLE_EVERY_S,
    parse_duration_s,
    parse_rate_per_s,
    parse_share,
)
from gaugenn.cli._output import Output
from gaugenn.devices._settings import State
from gaugenn.errors import UsageError
from gaugenn.records import PageCache

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


def parsed(parse: Callable[[str], object]) -> Callable[[str], object]:
    """A click type out of one of the package's own functions that read texts."""

    @functools.wraps(parse)
    def convert(text: str) -> object:
        try:
            return parse(text)
        except UsageError as error:
            raise click.BadParameter(str(error)) from error

    return convert


def _numbers(text: str, wrong: str) -> tuple[int, ...]:
    parts = text.split(",")
    if not all(_NUMBER.fullmatch(part.strip()) and int(part) > 0 for part in parts):
        raise UsageError(wrong)
    return tuple(int(part) for part in parts)


def _threads(text: str) -> tuple[str, ...]:
    notations = tuple(part.strip() for part in text.split(","))
    for notation in notations:
        parse_placement(notation)
    return notations


def _batches(text: str) -> tuple[int, ...]:
    return _numbers(text, f"{text!r}: give numbers, like 1,8")


def _shape(text: str) -> api.InputShape:
    name, _, sizes = text.rpartition("=")
    wrong = f"{text!r}: give a name and sizes, like input=1,3,224,224"
    if not name:
        raise UsageError(wrong)
    return api.InputShape(name=name, shape=_numbers(sizes, wrong))


_BENCH_OPTIONS = (
    click.option(
        *("--engine", "engines"),
        multiple=True,
        metavar="NAME[==VERSION]",
        help="Run with this engine only, or all; can be repeated. The usual ones by default.",
    ),
    click.option(
        *("--model", "models"),
        multiple=True,
        metavar="NAME",
        help="Run this model only, by name (* and ? work) or start of its digest; can be repeated.",
    ),
    click.option(
        *("--device", "devices"),
        multiple=True,
        default=("host",),
        show_default=True,
        metavar="NAME",
        help="Run here; can be repeated.",
    ),
    click.option(
        "--preset",
        type=click.Choice(tuple(PRESETS)),
        default=DEFAULT_PRESET,
        show_default=True,
        help="How long and how often: "
        + ", ".join(f"{name} ({p.purpose})" for name, p in PRESETS.items()),
    ),
    click.option(
        "--launches",
        type=click.IntRange(1, 1000),
        metavar="N",
        help="Fresh processes for each model and engine, a fixed count; the preset's by default.",
    ),
    click.option(
        "--precision",
        type=parsed(parse_share),
        metavar="PERCENT",
        help="Launch until half the interval of the median is this narrow, as 2%.",
    ),
    click.option(
        *("--minimum-launches", "launches_minimum"),
        type=click.IntRange(1, 1000),
        metavar="N",
        help=f"With --precision: at least so many; {LAUNCHES_BEFORE_STOPPING} by default.",
    ),
    click.option(
        *("--maximum-launches", "launches_maximum"),
        type=click.IntRange(1, 1000),
        metavar="N",
        help=f"With --precision: at most so many; {MAXIMUM_LAUNCHES} by default.",
    ),
    click.option(
        *("--budget", "budget_s"),
        type=parsed(parse_duration_s),
        metavar="TIME",
        help="Begin no further round of launches after this time in launches, as 10m.",
    ),
    click.option(
        "--control",
        is_flag=True,
        help="Run a fixed computation in every round, to show how the device drifts.",
    ),
    click.option(
        "--threads",
        type=parsed(_threads),
        default="1",
        show_default=True,
        metavar="N[aM],...",
        help="Threads to run with; 4a2 is four threads on the two biggest cores.",
    ),
    click.option(
        *("--batch", "batches"),
        type=parsed(_batches),
        default="1",
        show_default=True,
        metavar="N[,N...]",
        help="Inputs in one inference.",
    ),
    click.option(
        *("--input-shape", "input_shapes"),
        type=parsed(_shape),
        multiple=True,
        metavar="NAME=N,N,...",
        help="Size, batch first, for inputs of this name that a model leaves open.",
    ),
    click.option(
        *("--cold", "page_cache"),
        flag_value=PageCache.DROPPED,
        type=click.UNPROCESSED,
        default=PageCache.WARM,
        help="Drop the page cache before each launch; needs root.",
    ),
    click.option(
        *("--sustain", "sustain_s"),
        type=parsed(parse_duration_s),
        metavar="TIME",
        help="Infer for this long in each launch, as 20m, and keep the curve.",
    ),
    click.option(
        *("--rate", "rate_per_s"),
        type=parsed(parse_rate_per_s),
        metavar="N/s",
        help="Inferences are due at this rate, as 15/s, instead of back to back.",
    ),
    click.option(
        *("--with", "beside"),
        default="",
        metavar="MODEL[@ENGINE]",
        help="Run this model beside each measured one, in a process of its own.",
    ),
    click.option(
        *("--launch-limit", "launch_limit_s"),
        type=parsed(parse_duration_s),
        metavar="TIME",
        help="When a launch is cut off; the preset's by default.",
    ),
    click.option(
        "--prepare",
        type=click.Choice([state.value for state in State]),
        default=State.QUIET.value,
        show_default=True,
        callback=lambda _context, _option, value: State(value),
        help="What is set on phones and boards for the campaign, and set back after it.",
    ),
    click.option(
        "--untethered",
        default="",
        metavar="SWITCH",
        help="Cut the power of the phone's USB port while it measures: uhubctl:HUB:PORT, "
        "ykush:SERIAL:PORT, command:FILE or none.",
    ),
    click.option(
        *("--sample-every", "sample_every_s"),
        type=parsed(parse_duration_s),
        default=f"{SAMPLE_EVERY_S:g}s",
        show_default=True,
        metavar="TIME",
        help="How often the device's temperatures, frequencies, memory and processor time are read "
        "during a launch; 0s for never.",
    ),
    click.option(
        *("--thermal-gate", "thermal_gate_s"),
        type=parsed(parse_duration_s),
        metavar="TIME",
        help="Before each launch wait until the device is as cool as at the start, at most for "
        "this long, as 10m; launches that begin hot are marked.",
    ),
    click.option(
        *("--thermal-margin", "thermal_margin_c"),
        type=float,
        default=MARGIN_C,
        show_default=True,
        metavar="DEGREES",
        help="With --thermal-gate: how far above the start still counts as cool.",
    ),
    click.option(
        *("--thermal-limit", "thermal_limit_c"),
        type=float,
        metavar="DEGREES",
        help="With --thermal-gate: nothing is launched above it, and what runs is ended; "
        f"{ThermalRule().kill_c:g} by default.",
    ),
    click.option(
        "--seed",
        type=click.IntRange(0, 2**63 - 1),
        default=0,
        show_default=True,
        help="Order of launches and inputs.",
    ),
)


_SETTINGS = tuple(field.name for field in dataclasses.fields(api.BenchSettings))


def benching(command: Callable[..., object]) -> Callable[..., object]:
    """Gives a command the options of a campaign, and the campaign as one argument, `settings`."""

    @functools.wraps(command)
    def with_settings(**values: object) -> object:
        asked = {name: values.pop(name) for name in _SETTINGS if name in values}
        plan = values.pop("plan", None)
        if isinstance(plan, Path):
            _require_none_beside_a_plan()
            return command(settings=api.read_plan(plan), **values)
        return command(settings=api.BenchSettings(**asked), **values)  # type: ignore[arg-type]

    wrapped: Callable[..., object] = with_settings
    for option in reversed(_BENCH_OPTIONS):
        wrapped = option(wrapped)
    return click.option(
        "--install-engines",
        is_flag=True,
        help="First install the default engines that are missing, from PyPI.",
    )(wrapped)


def _require_none_beside_a_plan() -> None:
    context = click.get_current_context()
    given = [
        param.opts[0]
        for param in context.command.params
        if param.name in _SETTINGS
        and context.get_parameter_source(param.name or "") is ParameterSource.COMMANDLINE
    ]
    if given:
        raise UsageError(f"{', '.join(given)}: with --plan, what is measured stands in the plan")


def prepare_engines(settings: api.BenchSettings, install: bool, output: Output) -> None:
    for name in api.engines_missing(settings.engine_names()):
        if install:
            output.remark(f"Installing {name} ...")
            api.engines_install(name)
        else:
            output.remark(
                f"{name} is not installed; install it with: gaugenn engines install {name}"
            )
