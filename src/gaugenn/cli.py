"""The command line: a command parses options, calls one function of `gaugenn.api`, prints."""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gaugenn import __version__, api
from gaugenn._progress import LiveProgress
from gaugenn.errors import GaugennError, StorageFullError, UsageError
from gaugenn.pipeline import Silent, Watcher

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_STORAGE_FULL = 3
EXIT_INTERRUPTED = 130

F = TypeVar("F", bound=Callable[..., object])


@dataclass(frozen=True, slots=True)
class _Output:
    """Where results and remarks go."""

    quiet: bool
    as_json: bool

    def watcher(self) -> "Watcher | LiveProgress":
        return Silent() if self.quiet or self.as_json else LiveProgress(_remarks())

    def result(self, value: object, text: str) -> None:
        print(json.dumps(value, indent=2) if self.as_json else text)

    def remark(self, text: str) -> None:
        if not self.quiet and not self.as_json:
            _remarks().print(text, highlight=False)


def _remarks() -> Console:
    return Console(stderr=True)


def _output_options(command: F) -> F:
    command = click.option("--quiet", "-q", is_flag=True, help="Print only the result.")(command)
    return click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")(command)
