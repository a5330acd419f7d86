"""`gaugenn import`."""  # noqa: N999 - a command is called as its file

import json
from dataclasses import asdict
from pathlib import Path

import click

from gaugenn import api
from gaugenn.cli._options import out_folder, printing
from gaugenn.cli._output import EXIT_FAILED, Output, print_table


@click.command()
@click.argument(
    "logs",
    metavar="LOG...",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@out_folder
@click.option(
    *("--as", "form"),
    type=click.Choice(api.import_forms()),
    help="What the files are; each is recognised by default.",
)
@click.option(
    "--device",
    default="",
    metavar="NAME",
    help="The device that they were measured on, where they do not say.",
)
@click.option(
    "--model",
    default="",
    metavar="NAME",
    help="The study's model that was measured, by name or start of its digest.",
)
@printing
@click.pass_context
def command(
    context: click.Context,
    logs: tuple[Path, ...],
    out: Path,
    form: str | None,
    device: str,
    model: str,
    quiet: bool,
    as_json: bool,
) -> None:
    """Take measurements that others made into the study in DIR.

    Reads the output of vendors' own programs, MLPerf logs, Qualcomm AI Hub profiles and perf.yaml,
    BenchmarkResult, pyperf and google-benchmark JSON. They stand beside your own, marked as imported;
    what a file does not state stays unknown.
    """
    output = Output(quiet, as_json)
    with output.watcher() as watcher:
        done = api.import_logs(logs, out, form=form, device=device, model=model, watcher=watcher)
    if as_json:
        print(json.dumps([{**asdict(log), "path": str(log.path)} for log in done], indent=2))
    else:
        print_table(
            ("file", "read as", "launches", "known before", "reason"),
            [
                (log.path.name, log.form, str(log.launches), str(log.known), log.reason or "")
                for log in done
            ],
        )
    if any(log.reason is not None for log in done):
        context.exit(EXIT_FAILED)
