"""A study made and continued: `study`, `scan`, `bench`."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gaugenn.execute.local import LocalPool
from gaugenn.pipeline import Silent, Watcher
from gaugenn.pipeline.analyse import analyse
from gaugenn.pipeline.discover import require_paths
from gaugenn.pipeline.history import install_releases, remove_releases
from gaugenn.pipeline.measure import BenchSettings, measure, require_engines
from gaugenn.pipeline.oracle import ModelOracle, oracles
from gaugenn.pipeline.profile import profile as profile_jobs
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A model's latency on a release of a library.

    Attributes:
        experiment: model, library and settings.
        version: the release.
        latency_ms: geometric mean of the launches' medians.
        low_ms: lower end of its interval.
        high_ms: upper end.
        step: change to the release before, as `+12 %`, where the series has a step there.
    """

    experiment: str
    version: str
    latency_ms: float
    low_ms: float | None
    high_ms: float | None
    step: str


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Models on the releases of a library.

    Attributes:
        chart: an SVG file.
        releases: by experiment, oldest first.
    """

    chart: Path
    releases: tuple[Release, ...]


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


def profile(folder: PathLike, *, watcher: Watcher | None = None) -> StudyResult:
    """Times the operators of the study's measured jobs; those that are there are not timed again.

    Raises:
        StoreError: the folder is no study.
    """
    from gaugenn import report as reporting

    opened = Study(Path(folder))
    with opened.exclusive():
        profile_jobs(opened, watcher or Silent())
        opened.compact()
    return StudyResult(study=opened.path, summary=reporting.summary(opened), report=None)


def history(
    engine: str,
    paths: Paths,
    out: PathLike,
    *,
    since: str | None = None,
    newest: int | None = None,
    settings: BenchSettings | None = None,
    remove: bool = False,
    watcher: Watcher | None = None,
) -> History:
    """Runs models on the releases of a library, interleaved. The same call goes on where it stopped.

    Args:
        engine: a library with a wheel.
        paths: model files, or packages.
        out: the study that keeps it.
        since: the oldest release, as a version or a date (2025-06-30).
        newest: at most so many releases.
        settings: how to run; its engines are replaced by the releases.
        remove: afterwards remove the environments that this call made.
        watcher: is told how it goes.

    Returns:
        Every release with its latency, and the chart.

    Raises:
        UsageError: an engine, path or folder that cannot be used, or no release that runs.
        TransientError: the package index cannot be reached.
        StorageFullError: the disk is full; the same call goes on later.
    """
    from gaugenn import report as reporting

    watcher = watcher or Silent()
    opened, listed = _open(paths, out)
    with opened.exclusive():
        labels, new = install_releases(opened, engine, watcher, since, newest)
        _census(opened, listed, None, watcher)
        measure(opened, replace(settings or BenchSettings(), engines=labels), watcher)
        opened.compact()
    if remove:
        remove_releases(new)
    drawn = reporting.render_figure(opened, "history", reporting.ExportFormat.SVG)
    rows = reporting.render_figure(opened, "history", reporting.ExportFormat.CSV)
    return History(
        chart=reporting.write_whole(opened.path / "history.svg", drawn),
        releases=tuple(_release(row) for row in csv.DictReader(rows.decode().splitlines())),
    )


def _release(row: dict[str, str]) -> Release:
    low, high = row["latency_ms_low"], row["latency_ms_high"]
    return Release(
        experiment=row["line"],
        version=row["engine_version"],
        latency_ms=float(row["latency_ms"]),
        low_ms=float(low) if low else None,
        high_ms=float(high) if high else None,
        step=row["step"],
    )


def oracle(
    folder: PathLike,
    *,
    conversion_gb_per_s: float | None = None,
    together: Sequence[Sequence[str]] = (),
) -> tuple[ModelOracle, ...]:
    """What the best library for every part of a model would give; see `pipeline.oracle.oracles`.

    Raises:
        StoreError: the folder is no study.
        UsageError: no operator was timed, or no such model.
    """
    return oracles(Study(Path(folder)), conversion_gb_per_s, together)


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
