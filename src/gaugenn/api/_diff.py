"""Two states of the world compared: `diff`."""

from pathlib import Path

from gaugenn.analysis.snapshots import SnapshotDiff, compare
from gaugenn.api._study import PathLike
from gaugenn.errors import StoreError
from gaugenn.store import Study

# The report's libraries take half a second to import, so only the verbs that need them do.


def diff(old: PathLike, new: PathLike) -> SnapshotDiff:
    """What was added, removed, updated and moved between two studies or crawl snapshots.

    Args:
        old: a study's folder, or `FOLDER@SNAPSHOT` for one crawl snapshot in it.
        new: the same.

    Raises:
        StoreError: a folder is no study, or one study is of an older version than the other.
        UsageError: no such snapshot.
    """
    from gaugenn import report as reporting

    states = [_named(old), _named(new)]
    older, newer = sorted((study for study, _ in states), key=lambda study: study.schema_version)
    if older.schema_version != newer.schema_version:
        raise StoreError(
            f"{older.path} has digests of schema version {older.schema_version}, {newer.path} of "
            f"{newer.schema_version}; `gaugenn scan PATH... --out {older.path}` makes them anew"
        )
    before, after = (reporting.snapshot(study, name) for study, name in states)
    return compare(before, after)


def _named(given: PathLike) -> tuple[Study, str | None]:
    """The study, and the snapshot in it, that an argument names."""
    whole = Path(given)
    folder, _, name = str(given).rpartition("@")
    return (Study(whole), None) if whole.exists() or not folder else (Study(Path(folder)), name)
