"""The dataset card of a study: where it comes from, what it holds, what is known and left out."""

from collections.abc import Sequence

from gaugenn.publication._facts import Facts, Publication, facts
from gaugenn.publication._privacy import Redaction
from gaugenn.report import visible
from gaugenn.store import Study

_MARKDOWN = str.maketrans({c: f"\\{c}" for c in "\\`*_{}[]<>#|!~$&"})


def dataset_card(study: Study, about: Publication, with_models: bool = True) -> str:
    """The text of the card, in Markdown.

    Args:
        study: to read.
        about: what its makers say.
        with_models: whether the files of the models lie beside the tables.
    """
    return render(facts(study, about, Redaction.of(study)), about, with_models=with_models)


def render(found: Facts, about: Publication, *, with_models: bool, cleaned: bool = False) -> str:
    """See `dataset_card`; `cleaned` says that it stands in a copy without private text."""
    counted = found.counted
    when = f"{found.first_at} to {found.released_on}" if found.released_on else "not recorded"
    parts = [
        f"# {_shown(found.title)}",
        "Neural networks found in app packages and files, what they are and cost"
        + (", and how fast they ran" if counted.jobs_measured else "")
        + ". Made with gaugenn"
        + (f" {', '.join(map(_shown, found.versions))}." if found.versions else "."),
        "## In numbers",
        _table(
            ("what", "number"),
            [
                ("distinct app packages", f"{counted.apps:,}"),
                ("of these with a model that was read", f"{counted.apps_with_models:,}"),
                ("application identifiers among them", f"{counted.app_names:,}"),
                ("lone model files", f"{counted.lone_files:,}"),
                ("candidate files", f"{counted.candidates:,}"),
                ("model instances", f"{counted.instances:,}"),
                ("distinct models", f"{counted.models:,}"),
                ("of these with complete costs", f"{counted.models_counted:,}"),
                ("experiments measured", f"{counted.jobs_measured:,}"),
                ("launches that ran to their end", f"{counted.launches_ok:,}"),
            ],
        ),
        "Packages and models are counted by content: two copies of a file are one.",
        "## Models by format",
        _table(("format", "distinct models"), [(f, f"{n:,}") for f, n in found.formats])
        if found.formats
        else "None.",
        "## Where it comes from",
        f"Time of collection and measurement (UTC): {when}.",
        _crawls(found),
        "## Authors and licence",
        f"Authors: {', '.join(map(_shown, about.authors)) or 'not stated'}.",
        f"Licence of the tables: {_shown(about.licence) if about.licence else 'not stated'}.",
        "Licences of apps and models: **not known**. Neither stores nor packages state them in a form "
        "that was read, so none is recorded. Models and packages remain the work of their makers; "
        "digests and facts about them are what the tables hold.",
        "## Tables",
        "Parquet files below `tables/`; gaugenn's documentation of a study explains each column, and "
        "`gaugenn query` and `gaugenn report` read this folder.",
        _table(("table", "rows"), [(name, f"{number:,}") for name, number in found.tables]),
        "## What is left out",
        "\n".join(f"- {line}" for line in _left_out(found, with_models, cleaned)),
    ]
    return "\n\n".join(parts) + "\n"


def _crawls(found: Facts) -> str:
    if not found.crawls:
        return "No crawl is recorded: packages and files were given by hand."
    rows = [
        (
            c.snapshot,
            f"{c.source} {c.address}".strip(),
            c.query or "everything",
            c.started_at,
            c.finished_at or "not finished",
            f"{c.listed:,}",
            f"{c.files:,}",
        )
        for c in found.crawls
    ]
    head = ("snapshot", "source", "asked for", "begun", "finished", "apps listed", "files")
    return _table(head, rows)


def _left_out(found: Facts, with_models: bool, cleaned: bool) -> list[str]:
    counted = found.counted
    lines = [
        "The packages themselves; `apps` has the SHA-256 of each.",
        "The models' files lie below `blobs/`, named by their SHA-256."
        if with_models
        else "The models' files; `models` and `model_files` have their SHA-256.",
        f"Files that could not be read as a model have a row without contents: "
        f"{counted.encrypted:,} encrypted, {counted.invalid:,} invalid, {counted.unread:,} not read "
        f"yet, {counted.unknown:,} that only their names spoke for.",
        f"{counted.not_packages:,} files that were named like a package and are none, "
        f"{counted.damaged_packages:,} damaged packages that were read as far as they go.",
        f"{counted.failures:,} failures have rows with the reason in `failures`.",
    ]
    if cleaned:
        lines.append(
            "Folders, users and the name of the machine that made it, names of devices and credentials "
            "are replaced by labels, alike in all tables."
        )
    return lines


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *([_shown(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _shown(text: str) -> str:
    """Text that Markdown shows as it stands."""
    return visible(text).translate(_MARKDOWN)
