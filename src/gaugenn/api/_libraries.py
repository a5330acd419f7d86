"""Models on libraries: operators timed, the best choice of libraries, a library's releases."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gaugenn.api._study import PathLike, Paths, StudyResult, scan
from gaugenn.bench.settings import BenchSettings
from gaugenn.pipeline import Silent, Watcher
from gaugenn.pipeline.history import install_releases, remove_releases
from gaugenn.pipeline.measure import measure
from gaugenn.pipeline.oracle import ModelOracle, oracles
from gaugenn.pipeline.profile import profile as profile_jobs
from gaugenn.store import Study

# The report's libraries take half a second to import, so only the verbs that need them do.


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
    scan(paths, out, watcher=watcher)
    opened = Study(Path(out))
    with opened.exclusive():
        labels, new = install_releases(opened, engine, watcher, since, newest)
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
