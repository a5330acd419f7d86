"""The verbs as functions, under the names they have on the command line.

::

    from gaugenn import api

    result = api.study("samples", "study", settings=api.BenchSettings(launches=5))
    print(result.report)
    api.query("study", "SELECT format, count(*) FROM models GROUP BY format").to_pandas()
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import duckdb
import pyarrow as pa
import pyarrow.csv

from gaugenn import plugins
from gaugenn.bench.plan import select_engines
from gaugenn.doctor import Check, doctor
from gaugenn.engines import Engine, _environments
from gaugenn.errors import UsageError
from gaugenn.execute.local import LocalPool
from gaugenn.pipeline import Silent, Watcher
from gaugenn.pipeline.analyse import analyse
from gaugenn.pipeline.discover import require_paths
from gaugenn.pipeline.inspect import Inspection, inspect
from gaugenn.pipeline.measure import BenchSettings, measure, require_engines
from gaugenn.pipeline.scan import scan as scan_paths
from gaugenn.records import InputShape
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


def report(folder: PathLike, page: PathLike | None = None) -> Path:
    """Writes a study's report.

    Args:
        folder: the study.
        page: where to; `report.html` in the study by default.

    Raises:
        StoreError: the folder is no study.
        StorageFullError: no room for the page.
    """
    from gaugenn import report as reporting

    opened = Study(Path(folder))
    return reporting.write(opened, Path(page) if page else opened.path / "report.html")


def figures() -> dict[str, str]:
    """The report's figures by name, each with the question that it answers."""
    from gaugenn import report as reporting

    return {name: figure.question for name, figure in reporting.figures().items()}


def write_csv(answer: pa.Table, to: IO[bytes]) -> None:
    """Writes a query's answer as CSV; lists and records as JSON text."""
    for position, field in enumerate(answer.schema):
        if pa.types.is_nested(field.type):
            values = answer.column(position).to_pylist()
            texts = [None if value is None else json.dumps(value, default=str) for value in values]
            answer = answer.set_column(position, field.name, pa.array(texts, pa.string()))
    pyarrow.csv.write_csv(answer, to)


def report_figure(
    folder: PathLike, name: str, form: str = "svg", to: PathLike | None = None
) -> Path:
    """Writes one figure of a study's report by itself.

    Args:
        folder: the study.
        name: see `figures`.
        form: `svg`, `png` and `vega` draw; `csv` gives the rows.
        to: where to; `NAME.FORM` in the study by default.

    Raises:
        UsageError: no such figure, or this one has no chart.
        StoreError: the folder is no study.
        StorageFullError: no room for the file.
    """
    from gaugenn import report as reporting

    opened = Study(Path(folder))
    drawn = reporting.render_figure(opened, name, reporting.ExportFormat(form))
    path = Path(to) if to else opened.path / f"{name}.{form}"
    return reporting.write_whole(path, drawn)


def query(folder: PathLike, sql: str) -> pa.Table:
    """Answers one SQL statement over a study's tables and views, in DuckDB's dialect.

    Raises:
        UsageError: the statement cannot be run; the message is DuckDB's.
        StoreError: the folder is no study.
    """
    from gaugenn import report as reporting

    with reporting.connect(Study(Path(folder))) as connection:
        try:
            relation = connection.sql(sql)
            answer: pa.Table | None = None
            if relation is not None:
                answer = relation.to_arrow_table()
        except duckdb.Error as error:
            raise UsageError(str(error)) from error
    if answer is None:
        raise UsageError("the statement gives no rows")
    return answer


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineInfo:
    """An engine and its installed versions."""

    name: str
    title: str
    formats: tuple[str, ...]
    processors: tuple[str, ...]
    default_version: str
    installed: tuple[str, ...]


def engines_list() -> tuple[EngineInfo, ...]:
    """Every engine, with the versions that are installed."""
    found = _environments.installed()
    loaded = plugins.load_all("gaugenn.engines", Engine)  # type: ignore[type-abstract]
    return tuple(
        EngineInfo(
            name=name,
            title=engine.title,
            formats=engine.formats,
            processors=engine.processors,
            default_version=engine.default_version,
            installed=tuple(i.version for i in found if i.engine == name),
        )
        for name, engine in loaded.items()
    )


def engines_named(names: Iterable[str] = ()) -> tuple[str, ...]:
    """Engines as `name==version`: the named ones, or those that are used when nobody names one.

    Raises:
        UsageError: no such engine.
    """
    return tuple(engine.label for engine in select_engines(names))


def engines_missing(names: Iterable[str] = ()) -> tuple[str, ...]:
    """Those of the named (or default) engines that are not installed, as `name==version`.

    Raises:
        UsageError: no such engine.
    """
    return tuple(
        chosen.label
        for chosen in select_engines(names)
        if not _environments.is_installed(chosen.engine, chosen.version)
    )


def engines_install(name: str) -> Path:
    """Installs `litert` or `litert==2.3.0` from PyPI and returns its environment's folder.

    Raises:
        UsageError: no such engine or version.
        EngineError: it was installed but cannot be imported.
        StorageFullError: no room.
        TransientError: the package index cannot be reached.
    """
    (chosen,) = select_engines([name])
    return _environments.install(chosen.engine, chosen.version).folder


def engines_remove(name: str) -> tuple[str, ...]:
    """Removes `litert==2.3.0`, or every installed version of `litert`.

    Returns:
        What was removed, as `name==version`.

    Raises:
        UsageError: no such engine, or it is not installed.
    """
    (chosen,) = select_engines([name])
    there = [i.version for i in _environments.installed() if i.engine == chosen.engine.name]
    wanted = [chosen.version] if "==" in name else there
    removed = tuple(
        f"{chosen.engine.name}=={version}"
        for version in wanted
        if _environments.remove(chosen.engine, version)
    )
    if not removed:
        raise UsageError(f"{name} is not installed")
    return removed


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


__all__ = [
    "BenchSettings",
    "Check",
    "EngineInfo",
    "InputShape",
    "Inspection",
    "StudyResult",
    "bench",
    "doctor",
    "engines_install",
    "engines_list",
    "engines_missing",
    "engines_named",
    "engines_remove",
    "figures",
    "inspect",
    "query",
    "report",
    "report_figure",
    "scan",
    "study",
    "write_csv",
]
