"""Two states of the world compared: `diff`."""

from pathlib import Path

from gaugenn.analysis.snapshots import Snapshot, SnapshotDiff, compare
from gaugenn.api._study import PathLike
from gaugenn.store import Study

# The report's libraries take half a second to import, so only the verbs that need them do.


def diff(old: PathLike, new: PathLike) -> SnapshotDiff:
    """What was added, removed, updated and moved between two studies or crawl snapshots.

    Args:
        old: a study's folder, or `FOLDER@SNAPSHOT` for one crawl snapshot in it.
        new: the same.

    Raises:
        StoreError: a folder is no study.
        UsageError: no such snapshot.
    """
    return compare(_state(old), _state(new))


def _state(named: PathLike) -> Snapshot:
    from gaugenn import report as reporting

    whole = Path(named)
    folder, _, name = str(named).rpartition("@")
    if whole.exists() or not folder:
        return reporting.snapshot(Study(whole))
    return reporting.snapshot(Study(Path(folder)), name)
