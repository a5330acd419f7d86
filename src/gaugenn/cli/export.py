"""`gaugenn export`."""

from pathlib import Path

import click

from gaugenn import api

_CARD, _CITATION, _STUDY = "dataset-card", "citation", "study"


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    *("--format", "form"),
    type=click.Choice([*api.exports(), _CARD, _CITATION, _STUDY]),
    required=True,
    help="Another tool's form, or what it takes to publish the study.",
)
@click.option("--to", type=click.Path(path_type=Path), metavar="FILE", help="Where to write.")
@click.option("--title", metavar="TEXT", help="Of the dataset; the study's folder by default.")
@click.option("--author", "authors", multiple=True, metavar="NAME", help="Once for each.")
@click.option("--licence", metavar="SPDX", help="That you give the dataset.")
@click.option(
    "--without-models", is_flag=True, help="Publish tables and power traces, not the models' files."
)
def command(
    folder: Path,
    form: str,
    to: Path | None,
    title: str | None,
    authors: tuple[str, ...],
    licence: str | None,
    without_models: bool,
) -> None:
    """Write the measurements of the study in DIR in another tool's form, or what is published of it.

    Goes to standard output unless a file is named. Invalid measurements are left out.

    dataset-card is a Markdown page with provenance, counts, what is known of licences and what is left
    out; citation is a CITATION.cff; study is a copy in the new folder that --to names, with both of
    them and the report, in which folders, users, devices and credentials are replaced by labels.
    """
    if form not in (_CARD, _CITATION, _STUDY) and (title or authors or licence or without_models):
        raise click.UsageError(
            f"what is published is said of {_CARD}, {_CITATION} and {_STUDY} only"
        )
    if form == _STUDY:
        if to is None:
            raise click.UsageError("a copy of the study needs a new folder: --to FOLDER")
        published = api.publish(
            folder,
            to,
            title=title,
            authors=authors,
            licence=licence,
            with_models=not without_models,
        )
        print(published)
        return
    if form == _CARD:
        text = api.dataset_card(
            folder,
            to,
            title=title,
            authors=authors,
            licence=licence,
            with_models=not without_models,
        )
    elif form == _CITATION:
        text = api.citation(folder, to, authors=authors, title=title, licence=licence)
    else:
        text = api.export(folder, form, to)
    print(to if to is not None else text.removesuffix("\n"))
