"""A study made and continued: `study`, `scan`, `bench`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gaugenn.bench.plan_file import read_plan as read_plan_file
from gaugenn.bench.settings import BenchSettings
from gaugenn.execute.local import LocalPool
from gaugenn.pipeline import Silent, Watcher
from gaugenn.pipeline.analyse import analyse
from gaugenn.pipeline.discover import require_paths
from gaugenn.pipeline.foresee import Forecast
from gaugenn.pipeline.foresee import foresee as foresee_campaign
from gaugenn.pipeline.measure import measure
from gaugenn.pipeline.request import require_engines
from gaugenn.pipeline.scan import scan as scan_paths
from gaugenn.store import Study

if TYPE_CHECKING:
    from gaugenn.report import Summary

# The report's libraries take half a second to import, so only the verbs that need them do.

PathLike = Path | str
Paths = Sequence[PathLike] | PathLike


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyResult:
    """What a study holds after a command.

    Attributes:
        study: its folder.
        summary: headline numbers.
        report: the page, where one was written.
    """

    study: Path
    summary: "Summary"
    report: Path | None


def study(
    paths: Paths,
    out: PathLike,
    *,
    settings: BenchSettings | None = None,
    workers: int | None = None,
    watcher: Watcher | None = None,
) -> StudyResult:
    """Packages to report: scan, analyse, benchmark, report. Finishes what an earlier call left.

    Args:
        paths: files, folders or glob patterns.
        out: the study's folder; made where it does not exist.
        settings: what to benchmark; None to skip the benchmark.
        workers: processes for scanning and reading; all cores by default.
        watcher: is told how it goes.

    Raises:
        UsageError: a path or the folder cannot be used.
        StorageFullError: the disk is full; the same call goes on later.
    """
    from gaugenn import report as reporting

    watcher = watcher or Silent()
    if settings is not None:
        require_engines(settings)
    opened, listed = _open(paths, out)
    with opened.exclusive():
        _census(opened, listed, workers, watcher)
        if settings is not None:
            measure(opened, settings, watcher)
        opened.compact()
        page = reporting.write(opened, opened.path / "report.html")
    return StudyResult(study=opened.path, summary=reporting.summary(opened), report=page)


def scan(
    paths: Paths,
    out: PathLike,
    *,
    workers: int | None = None,
    watcher: Watcher | None = None,
) -> StudyResult:
    """Packages to rows: find, read and count every model. See `study` for arguments and errors."""
    from gaugenn import report as reporting

    opened, listed = _open(paths, out)
    with opened.exclusive():
        _census(opened, listed, workers, watcher or Silent())
        opened.compact()
    return StudyResult(study=opened.path, summary=reporting.summary(opened), report=None)


def bench(
    folder: PathLike, settings: BenchSettings, *, watcher: Watcher | None = None
) -> StudyResult:
    """Runs the study's models with the installed engines; launches that are there are not repeated.

    Raises:
        StoreError: the folder is no study.
    """
    from gaugenn import report as reporting

    require_engines(settings)
    opened = Study(Path(folder))
    with opened.exclusive():
        measure(opened, settings, watcher or Silent())
        opened.compact()
    return StudyResult(study=opened.path, summary=reporting.summary(opened), report=None)


def foresee(folder: PathLike, settings: BenchSettings) -> Forecast:
    """What `bench` would launch, in order, and how long that takes; nothing is launched.

    Raises:
        StoreError: the folder is no study.
        UsageError: an unknown engine, model or device, or a setting out of range.
    """
    opened = Study(Path(folder))
    with opened.exclusive():
        return foresee_campaign(opened, settings)


def read_plan(path: PathLike) -> BenchSettings:
    """A campaign from a plan file.

    Raises:
        UsageError: it cannot be read, or says something that is not known; where, and what is.
    """
    return read_plan_file(Path(path))


def _open(paths: Paths, out: PathLike) -> tuple[Study, list[PathLike]]:
    """The study to write to, made only when the paths can be used."""
    listed = [paths] if isinstance(paths, str | Path) else list(paths)
    require_paths(listed)
    return Study.create(Path(out)), listed


def _census(
    opened: Study, paths: Iterable[PathLike], workers: int | None, watcher: Watcher
) -> None:
    with LocalPool(workers) as pool:
        scan_paths(paths, opened, pool, watcher)
        analyse(opened, pool, watcher)
