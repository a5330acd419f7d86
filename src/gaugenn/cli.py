"""The command line: a command parses options, calls one function of `gaugenn.api`, prints."""

import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import click
from rich.console import Console, JustifyMethod
from rich.markup import escape
from rich.table import Table

from gaugenn import __version__, api
from gaugenn._progress import LiveProgress
from gaugenn._terminal import printable
from gaugenn.errors import GaugennError, StorageFullError, UsageError, is_storage_full
from gaugenn.pipeline import Silent, Watcher

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_STORAGE_FULL = 3
EXIT_INTERRUPTED = 130

_NUMBER = re.compile(r"[0-9]{1,18}")

F = TypeVar("F", bound=Callable[..., object])


@dataclass(frozen=True, slots=True)
class Output:
    """Where a command's result and remarks go: results to stdout, all else to stderr."""

    quiet: bool
    as_json: bool

    @contextmanager
    def watcher(self) -> Iterator[Watcher]:
        """Live progress, unless the user wants quiet."""
        if self.quiet or self.as_json:
            yield Silent()
        else:
            with LiveProgress(_stderr()) as progress:
                yield progress

    def remark(self, text: str) -> None:
        """A line for a person."""
        if not self.quiet and not self.as_json:
            _stderr().print(escape(printable(text)), highlight=False, soft_wrap=True)


def _stderr() -> Console:
    return Console(stderr=True)


def _table(
    columns: Sequence[str], rows: Sequence[Sequence[object]], numbers: Sequence[str] = ()
) -> None:
    """Prints rows as a table, or where that is too wide for the terminal, one below the other."""
    console = Console(width=None if _is_terminal() else 10_000)
    texts = [[_cell(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *texts, strict=True)]
    if sum(widths) + 2 * len(widths) <= console.width or len(columns) == 1:
        table = Table(box=None, header_style="bold", pad_edge=False)
        for name in columns:
            justify: JustifyMethod = "right" if name in numbers else "left"
            table.add_column(escape(_cell(name)), justify=justify, no_wrap=len(columns) > 1)
        for row in texts:
            table.add_row(*map(escape, row))
        console.print(table)
        return
    for row in texts:
        for name, text in zip(columns, row, strict=True):
            if text:
                line = f"[bold]{escape(_cell(name))}[/bold]  {escape(text)}"
                console.print(line, soft_wrap=True, highlight=False)
        console.print()


def _is_terminal() -> bool:
    return sys.stdout is not None and sys.stdout.isatty()


def _cell(value: object) -> str:
    return "" if value is None else printable(str(value))


def _printing(command: F) -> F:
    command = click.option("--quiet", "-q", is_flag=True, help="Print only the result.")(command)
    return click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")(
        command
    )


def _out(command: F) -> F:
    return click.option(
        *("--out", "-o"),
        required=True,
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="The study's folder; an existing study goes on where it stopped.",
    )(command)


def _workers(command: F) -> F:
    return click.option(
        "--workers",
        type=click.IntRange(1, 1024),
        metavar="N",
        help="Processes that scan and read; all cores by default.",
    )(command)


def _benching(command: F) -> F:
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


_OVERVIEW = """Which neural networks do app packages ship, what do they cost, how fast do they run?

\b
gaugenn study apps/ --out study     packages to report, in one go
gaugenn inspect FILE...             what is in these files?
gaugenn doctor                      what is installed, what is missing?
"""


@click.group(
    help=_OVERVIEW,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="gaugenn")
def cli() -> None:
    """The group of all commands."""


@cli.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@_out
@click.option("--no-bench", is_flag=True, help="Scan and read only; run nothing.")
@_benching
@_workers
@_printing
def study(
    paths: tuple[str, ...],
    out: Path,
    no_bench: bool,
    engines: tuple[str, ...],
    launches: int,
    threads: str,
    input_shapes: tuple[str, ...],
    seed: int,
    install_engines: bool,
    workers: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Find the models in app packages, read them, run them, and write DIR/report.html.

    PATH is a file, a folder or a pattern. Press Ctrl-C at any time: the same command goes on later.
    """
    output = Output(quiet, as_json)
    settings = None
    if not no_bench:
        settings = _settings(engines, launches, threads, input_shapes, seed)
        _prepare_engines(settings, install_engines, output)
    with output.watcher() as watcher:
        result = api.study(paths, out, settings=settings, workers=workers, watcher=watcher)
    _print_summary(result, output)


@cli.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@_out
@_workers
@_printing
def scan(
    paths: tuple[str, ...], out: Path, workers: int | None, as_json: bool, quiet: bool
) -> None:
    """Find and read the models in app packages; no benchmark, no report."""
    output = Output(quiet, as_json)
    with output.watcher() as watcher:
        result = api.scan(paths, out, workers=workers, watcher=watcher)
    _print_summary(result, output)


@cli.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a file, one a line.")
def inspect(files: tuple[str, ...], as_json: bool) -> None:
    """Say what files are: format, operators, parameters, MACs; for packages, each model inside."""
    missing = 0
    rows: list[tuple[object, ...]] = []
    for found in api.inspect(files):
        missing += found.size_bytes is None
        if as_json:
            print(json.dumps(found.as_json()), flush=True)
        rows.append(_inspection_row(found, found.path))
        rows += (_inspection_row(model, f"  {model.path}") for model in found.models or ())
    if not as_json:
        columns = ("path", "kind", "format", "bytes", "nodes", "parameters", "MACs", "remark")
        _table(columns, rows, numbers=("bytes", "nodes", "parameters", "MACs"))
    if missing:
        sys.exit(EXIT_USAGE)


def _inspection_row(found: api.Inspection, name: str) -> tuple[object, ...]:
    record = found.record
    size = None if found.size_bytes is None else f"{found.size_bytes:,}"
    if record is None:
        return name, found.kind, found.format, size, None, None, None, found.error
    bound = "≥ " if record.uncounted_nodes else ""
    remarks = [*record.notes]
    if record.uncounted_nodes:
        remarks.append(f"{record.uncounted_nodes} nodes not counted")
    if record.assumed_dimensions:
        remarks.append("dynamic sizes taken as 1")
    return (
        name,
        found.kind,
        found.format,
        size,
        f"{record.nodes:,}",
        None if record.parameters is None else f"{bound}{record.parameters:,}",
        None if record.macs is None else f"{bound}{record.macs:,}",
        ", ".join(remarks),
    )


@cli.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@_benching
@_printing
def bench(
    folder: Path,
    engines: tuple[str, ...],
    launches: int,
    threads: str,
    input_shapes: tuple[str, ...],
    seed: int,
    install_engines: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Run the models of the study in DIR; launches that are already there are not repeated.

    To run model files of your own: gaugenn study FILE... --out DIR
    """
    output = Output(quiet, as_json)
    settings = _settings(engines, launches, threads, input_shapes, seed)
    _prepare_engines(settings, install_engines, output)
    with output.watcher() as watcher:
        result = api.bench(folder, settings, watcher=watcher)
    _print_summary(result, output)


@cli.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--to", type=click.Path(path_type=Path), metavar="FILE", help="Where to write.")
@click.option("--figure", metavar="NAME", help="Write one figure alone; `list` names them.")
@click.option(
    *("--format", "form"),
    type=click.Choice(["svg", "png", "csv", "vega"]),
    default="svg",
    show_default=True,
    help="Of a single figure.",
)
def report(folder: Path, to: Path | None, figure: str | None, form: str) -> None:
    """Write the report of the study in DIR, or one figure of it, and print where it is."""
    if figure is None:
        print(api.report(folder, to))
    elif figure == "list":
        _table(("figure", "question"), list(api.figures().items()))
    else:
        print(api.report_figure(folder, figure, form, to))


@cli.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.argument("sql")
@click.option(
    *("--format", "form"),
    type=click.Choice(["table", "csv", "json"]),
    default="table",
    show_default=True,
    help="How to print the rows; json prints one object a row.",
)
def query(folder: Path, sql: str, form: str) -> None:
    """Answer an SQL statement over the study in DIR (DuckDB's dialect)."""
    answer = api.query(folder, sql)
    if form == "csv":
        if sys.stdout is not None:
            api.write_csv(answer, sys.stdout.buffer)
    elif form == "json":
        for row in answer.to_pylist():
            print(json.dumps(row, default=str))
    else:
        _table(answer.column_names, [list(row.values()) for row in answer.to_pylist()])


@cli.group()
def engines() -> None:
    """Inference libraries, each version in an environment of its own."""


@engines.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def engines_list(as_json: bool) -> None:
    """What engines there are, and which versions are installed."""
    known = api.engines_list()
    if as_json:
        print(json.dumps([asdict(engine) for engine in known], indent=2))
        return
    _table(
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


@engines.command("install")
@click.argument("names", nargs=-1, metavar="[NAME[==VERSION]]...")
def engines_install(names: tuple[str, ...]) -> None:
    """Install engines from PyPI; without a name, the default version of each default engine."""
    output = Output(quiet=False, as_json=False)
    for name in api.engines_named(names):
        output.remark(f"Installing {name} ...")
        print(api.engines_install(name))


@engines.command("remove")
@click.argument("names", nargs=-1, required=True, metavar="NAME[==VERSION]...")
def engines_remove(names: tuple[str, ...]) -> None:
    """Remove installed engines; without a version, all of an engine's versions."""
    for name in names:
        for removed in api.engines_remove(name):
            print(f"removed {removed}")


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def doctor(as_json: bool) -> None:
    """What is here, what is missing, and the one command that installs it."""
    checks = api.doctor()
    if as_json:
        print(json.dumps([asdict(check) for check in checks], indent=2))
        return
    _table(
        ("", "what", "found", "to get it"),
        [("ok" if c.ok else "--", c.name, c.found, c.remedy) for c in checks],
    )


def _settings(
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


def _prepare_engines(settings: api.BenchSettings, install: bool, output: Output) -> None:
    for name in api.engines_missing(settings.engines):
        if install:
            output.remark(f"Installing {name} ...")
            api.engines_install(name)
        else:
            output.remark(
                f"{name} is not installed; install it with: gaugenn engines install {name}"
            )


def _print_summary(result: api.StudyResult, output: Output) -> None:
    summary = asdict(result.summary)
    if output.as_json:
        page = None if result.report is None else str(result.report)
        print(json.dumps({"study": str(result.study), "report": page, **summary}, indent=2))
        return
    if not output.quiet:
        for line in result.summary.lines():
            output.remark(line)
    print(result.report or result.study)


def main(arguments: Sequence[str] | None = None) -> int:
    """The program. Errors become one line on stderr and an exit code.

    Args:
        arguments: as on the command line, without the program's name; `sys.argv` by default.

    Returns:
        0 done, 1 failed, 2 unusable arguments, 3 disk full, 130 interrupted.
    """
    try:
        code = cli.main(args=arguments and list(arguments), standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
    except click.exceptions.Abort:
        return _interrupted()
    except KeyboardInterrupt:
        return _interrupted()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except StorageFullError as error:
        return _failed(str(error), EXIT_STORAGE_FULL)
    except UsageError as error:
        return _failed(str(error), EXIT_USAGE)
    except GaugennError as error:
        return _failed(str(error), EXIT_FAILED)
    except BrokenPipeError:
        # The reader of our output is gone (`| head`): nothing more to say, also at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except OSError as error:
        return _failed(str(error), EXIT_STORAGE_FULL if is_storage_full(error) else EXIT_FAILED)
    return code if isinstance(code, int) else 0


def _failed(message: str, code: int) -> int:
    _stderr().print(
        f"[bold]gaugenn:[/bold] {escape(printable(message))}", highlight=False, soft_wrap=True
    )
    return code


def _interrupted() -> int:
    text = "interrupted; what is done is kept, and the same command goes on from here"
    return _failed(text, EXIT_INTERRUPTED)
