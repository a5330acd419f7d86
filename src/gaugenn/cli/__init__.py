"""The command line: a command parses options, calls one function of `gaugenn.api`, prints.

One file a command: its name is the command's name, `command` in it is what runs. Modules whose name
starts with `_` are no commands: what they print with and the options that they share.
"""

import importlib
import io
import os
import sys
from collections.abc import Sequence

import click
from rich.markup import escape

from gaugenn import __version__, plugins
from gaugenn._terminal import printable
from gaugenn.cli._output import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_STORAGE_FULL,
    EXIT_USAGE,
    stderr_console,
)
from gaugenn.errors import GaugennError, StorageFullError, UsageError, is_storage_full

_OVERVIEW = """Which neural networks do app packages ship, what do they cost, how fast do they run?

\b
gaugenn study apps/ --out study     packages to report, in one go
gaugenn compare A B                 is B faster or slower than A?
gaugenn inspect FILE...             what is in these files?
gaugenn doctor                      what is installed, what is missing?
"""


class _Commands(click.Group):
    """The folder is the list of commands; only the one that is asked for is imported."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(plugins.names(__name__))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in plugins.names(__name__):
            return None
        command = importlib.import_module(f"{__name__}.{cmd_name}").command
        if not isinstance(command, click.Command):
            raise TypeError(f"{__name__}.{cmd_name}.command must be a click command")
        command.name = cmd_name
        return command


@click.command(
    cls=_Commands,
    help=_OVERVIEW,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="gaugenn")
def cli() -> None:
    """The group of all commands."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The program. Errors become one line on stderr and an exit code.

    Args:
        arguments: as on the command line, without the program's name; `sys.argv` by default.

    Returns:
        0 done, 1 failed, 2 unusable arguments, 3 disk full, 130 interrupted.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # signs that the terminal does not have
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
    stderr_console().print(
        f"[bold]gaugenn:[/bold] {escape(printable(message))}", highlight=False, soft_wrap=True
    )
    return code


def _interrupted() -> int:
    text = "interrupted; what is done is kept, and the same command goes on from here"
    return _failed(text, EXIT_INTERRUPTED)
