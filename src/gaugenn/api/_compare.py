"""Two sets of experiments against each other: `compare`."""

from collections.abc import Sequence
from pathlib import Path

from gaugenn.analysis.comparison import THRESHOLD
from gaugenn.pipeline import Silent, Watcher
from gaugenn.pipeline._selection import Selection, read_selection
from gaugenn.pipeline.compare import Comparison
from gaugenn.pipeline.compare import compare as compare_selections
from gaugenn.records import JobRecord
from gaugenn.store import Study


def compare(
    first: str | Path,
    second: str | Path,
    *,
    threshold: float = THRESHOLD,
    fail_above: float | None = None,
    force: bool = False,
    rerun: bool = True,
    watcher: Watcher | None = None,
) -> Comparison:
    """Says whether the second is faster or slower than the first, model by model.

    Args:
        first: a study, or some of its experiments as `STUDY:TERM,TERM`: an engine (`litert`), an
            engine and version (`litert==2.3.0`) or a setting (`threads=2`).
        second: the same; without a study before the colon the first's is meant.
        threshold: relative differences up to this do not matter.
        fail_above: relative slow-down from which it is a regression; None to look for none.
        force: compare under unlike conditions too.
        rerun: launch suspected regressions anew, both sides in turns, before they count. Only where
            the device is still what it was and the engines are installed.
        watcher: is told how the new launches go.

    Raises:
        UsageError: a text that is no selection, nothing in common, several experiments for one.
        StoreError: a folder is no study.
        StorageFullError: no room for the new launches.
    """
    one = read_selection(str(first))
    two = read_selection(str(second), one.study)
    told = watcher or Silent()

    def repeat(wanted: Sequence[tuple[Selection, JobRecord]]) -> bool:
        from gaugenn.pipeline.again import launch_again

        return launch_again([(Study(s.study), record) for s, record in wanted], told)

    return compare_selections(
        one,
        two,
        threshold=threshold,
        fail_above=fail_above,
        force=force,
        repeat=repeat if rerun else None,
    )
