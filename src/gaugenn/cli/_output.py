"""How commands print: results to stdout, all else to stderr; and their exit codes."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from rich.console import Console, JustifyMethod
from rich.markup import escape
from rich.table import Table

from gaugenn import api
from gaugenn._progress import LiveProgress
from gaugenn._terminal import printable
from gaugenn.pipeline import Silent, Watcher

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_STORAGE_FULL = 3
EXIT_INTERRUPTED = 130


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
            with LiveProgress(stderr_console()) as progress:
                yield progress

    def remark(self, text: str) -> None:
        """A line for a person."""
        if not self.quiet and not self.as_json:
            stderr_console().print(escape(printable(text)), highlight=False, soft_wrap=True)

    def failure(self, text: str) -> None:
        """Why there is no result, in one line, however quiet it shall be."""
        stderr_console().print(
            f"[bold]gaugenn:[/bold] {escape(printable(text))}", highlight=False, soft_wrap=True
        )


def stderr_console() -> Console:
    return Console(stderr=True)


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[object]], numbers: Sequence[str] = ()
) -> None:
    """Prints rows as a table, or where that is too wide for the terminal, one below the other."""
    console = Console(width=None if _is_terminal() else 10_000)
    texts = [[_cell(value) for value in row] for row in rows]
    if len(columns) > 1:  # a line is a row
        texts = [[text.replace("\n", "\\n") for text in row] for row in texts]
    widths = [max(map(len, column)) for column in zip(columns, *texts, strict=True)]
    if sum(widths) + 2 * len(widths) <= console.width or len(columns) == 1:
        table = Table(box=None, header_style="bold", pad_edge=False)
        for name in columns:
            justify: JustifyMethod = "right" if name in numbers else "left"
            table.add_column(escape(_cell(name)), justify=justify, no_wrap=len(columns) > 1)
        for row in texts:
            table.add_row(*map(escape, row))
        with console.capture() as captured:
            console.print(table)
        for line in captured.get().splitlines():
            print(line.rstrip())  # the last column is not filled up to its longest text
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


def print_summary(result: api.StudyResult, output: Output) -> None:
    summary = asdict(result.summary)
    if output.as_json:
        page = None if result.report is None else str(result.report)
        print(json.dumps({"study": str(result.study), "report": page, **summary}, indent=2))
        return
    if not output.quiet:
        for line in result.summary.lines():
            output.remark(line)
    print(result.report or result.study)
