"""`gaugenn diff`."""

import csv
import json
import sys
from dataclasses import asdict

import click

from gaugenn import api
from gaugenn.analysis.snapshots import AppChange, CategoryChange, Change, ModelChange
from gaugenn.cli._output import print_table
from gaugenn.errors import UsageError

_COLUMNS = (
    *("what", "change", "category", "app", "title", "old_version", "new_version"),
    *("old_formats", "new_formats", "old_member", "new_member", "old_model_sha256"),
    *("new_model_sha256", "old_format", "new_format"),
)
_SHOWN = (Change.ADDED, Change.REMOVED, Change.UPDATED, Change.MOVED, Change.KEPT)


@click.command()
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@click.option("--json", "as_json", is_flag=True, help="Print every change as one JSON object.")
@click.option("--csv", "as_csv", is_flag=True, help="Print every change as a row of CSV.")
def command(old: str, new: str, as_json: bool, as_csv: bool) -> None:
    """What was added, removed, updated and moved between two studies, by category.

    OLD and NEW are studies, or crawl snapshots written DIR@SNAPSHOT.
    """
    if as_json and as_csv:
        raise UsageError("--json or --csv: choose one")
    found = api.diff(old, new)
    if as_json:
        print(json.dumps(asdict(found) | {"total": asdict(found.total)}, indent=2))
    elif as_csv:
        if sys.stdout is not None:
            writer = csv.DictWriter(sys.stdout, _COLUMNS, restval="")
            writer.writeheader()
            writer.writerows(_row("app", change) for change in found.apps)
            writer.writerows(_row("model", change) for change in found.models)
    else:
        _print(found)


def _row(what: str, change: AppChange | ModelChange) -> dict[str, object]:
    plain = {key: value for key, value in asdict(change).items() if value is not None}
    joined = {k: " ".join(v) if isinstance(v, tuple) else str(v) for k, v in plain.items()}
    return {"what": what, **{key: _one_line(text) for key, text in joined.items()}}


def _one_line(text: str) -> str:
    """The text, unable to be taken for a formula or to steer a terminal."""
    shown = text if text.isprintable() else repr(text)[1:-1]
    return "'" + shown if shown[:1] in ("=", "+", "-", "@") else shown


def _print(found: api.SnapshotDiff) -> None:
    numbers = [*(f"apps {c}" for c in _SHOWN), "unknown", *(f"models {c}" for c in _SHOWN)]
    rows = [_counts(row.category or "none stated", row) for row in found.categories]
    print_table(("category", *numbers), [*rows, _counts("all", found.total)], numbers)
    changed = [app for app in found.apps if app.change not in (Change.KEPT, Change.UNKNOWN)]
    if changed:
        print()
        print_table(
            ("change", "app", "from", "to", "formats before", "formats after"),
            [
                (
                    app.change,
                    app.app,
                    app.old_version,
                    app.new_version,
                    " ".join(app.old_formats),
                    " ".join(app.new_formats),
                )
                for app in changed
            ],
        )
    moved = [m for m in found.models if m.change in (Change.MOVED, Change.UPDATED)]
    if moved:
        print()
        print_table(
            ("change", "app", "old model", "new model", "from", "to"),
            [
                (m.change, m.app, m.old_member, m.new_member, m.old_format, m.new_format)
                for m in moved
            ],
        )


def _counts(name: str, row: CategoryChange) -> tuple[object, ...]:
    apps = (row.apps[change] for change in _SHOWN)
    return (name, *apps, row.apps[Change.UNKNOWN], *(row.models[change] for change in _SHOWN))
