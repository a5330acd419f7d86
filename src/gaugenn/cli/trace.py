"""`gaugenn trace`."""

from pathlib import Path

import click

from gaugenn import api


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--to",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE",
    help="Where to write, as run.perfetto-trace.",
)
@click.option("--job", default="", metavar="DIGEST", help="Only the job whose digest begins so.")
@click.option("--launch", type=click.IntRange(0), metavar="N", help="Only launches of this number.")
def command(folder: Path, to: Path, job: str, launch: int | None) -> None:
    """Write launches of the study in DIR as a Perfetto trace: phases, inferences, samples, power.

    Open the file in https://ui.perfetto.dev or with Perfetto's trace processor.
    """
    count = api.perfetto(folder, to, job=job, launch=launch)
    print(f"{to}: {count} launch{'' if count == 1 else 'es'}")
