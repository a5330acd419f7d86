"""A study made and continued: `study`, `scan`, `bench`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gaugenn.analysis.energy import IDLE_MINIMUM_S
from gaugenn.analysis.loads import RateLaunch, SideBySide, SustainedLaunch
from gaugenn.bench.plan_file import read_plan as read_plan_file
from gaugenn.bench.settings import BenchSettings
from gaugenn.errors import UsageError
from gaugenn.execute import Executor
from gaugenn.execute.local import LocalPool
from gaugenn.pipeline import Silent, Watcher
from gaugenn.pipeline.analyse import analyse
from gaugenn.pipeline.discover import require_paths
from gaugenn.pipeline.foresee import Forecast
from gaugenn.pipeline.foresee import foresee as foresee_campaign
from gaugenn.pipeline.loads import rate_launches as read_rate_launches
from gaugenn.pipeline.loads import side_by_side as read_side_by_side
from gaugenn.pipeline.loads import sustained_launches as read_sustained_launches
from gaugenn.pipeline.measure import measure
from gaugenn.pipeline.request import require_engines
from gaugenn.pipeline.scan import scan as scan_paths
from gaugenn.pipeline.zoo import models_for_study, remember
from gaugenn.store import SharedStore, Study

if TYPE_CHECKING:
    from gaugenn.report import Summary

# The report's libraries take half a second to import, so only the verbs that need them do.

PathLike = Path | str
_SHARED_WITHOUT_RAY = "a shared store is for the workers of a Ray cluster; name it with --ray"
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
        with LocalPool(workers) as pool:
            census(opened, listed, pool, watcher)
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
    ray: str | None = None,
    shared: str | None = None,
    watcher: Watcher | None = None,
) -> StudyResult:
    """Packages to rows: find, read and count every model.

    Args:
        paths: see `study`; with `ray`, under names that every machine of the cluster sees.
        out: see `study`.
        workers: see `study`; with `ray`, tasks at a time.
        ray: address of a Ray cluster whose workers do the work: `auto`, `HOST:PORT`, `local`.
        shared: where these workers put what they find, see `gaugenn.store.SharedStore`; the study's
            own folder by default, which then every machine must see.
        watcher: see `study`.

    Raises:
        UsageError: as for `study`; or `shared` without `ray`.
        MissingToolError: Ray is not installed.
        TransientError: the cluster or the shared store cannot be reached.
    """
    from gaugenn import report as reporting

    if shared is not None and ray is None:
        raise UsageError(_SHARED_WITHOUT_RAY)
    opened, listed = _open(paths, out)
    with opened.exclusive():
        if ray is None:
            with LocalPool(workers) as pool:
                census(opened, listed, pool, watcher or Silent())
        else:
            from gaugenn.execute.ray import RayPool

            store = SharedStore(shared) if shared is not None else SharedStore.inside(opened)
            with RayPool(ray, workers) as pool:
                census(opened, listed, pool, watcher or Silent(), store)
        opened.compact()
    return StudyResult(study=opened.path, summary=reporting.summary(opened), report=None)


def bench(
    folder: PathLike,
    settings: BenchSettings,
    *,
    zoo: Sequence[str] = (),
    build_zoo: bool = False,
    workers: int | None = None,
    watcher: Watcher | None = None,
    meters: Sequence[str] = (),
    idle_s: float = IDLE_MINIMUM_S,
    ray: str | None = None,
    shared: str | None = None,
) -> StudyResult:
    """Runs the study's models with the installed engines; launches that are there are not repeated.

    Args:
        folder: the study; with `zoo`, it is made where it does not exist.
        settings: what to benchmark.
        zoo: reference models or sets of them that are first put into the study, as they are built.
        build_zoo: whether to build them before, where they are not.
        workers: processes for reading; all cores by default.
        watcher: is told how it goes.
        meters: names of meters that measure each launch, as `METER` or `METER@DEVICE`; see
            docs/energy.md.
        idle_s: of idle power before and after each launch, where there are meters.
        ray: address of a Ray cluster whose machines announce the devices, see `scan`; each is measured
            where it hangs.
        shared: see `scan`.

    Raises:
        StoreError: the folder is no study.
        UsageError: no such reference model, or none of them is built; `shared` without `ray`; or a
            device that no machine of the cluster announces.
        MissingToolError: they are to be built, and the exporters are not installed.
    """
    from gaugenn import report as reporting

    watcher = watcher or Silent()
    if ray is None:
        require_engines(settings)
        if shared is not None:
            raise UsageError(_SHARED_WITHOUT_RAY)
    built = models_for_study(zoo, watcher, build=build_zoo) if zoo else ()
    opened = Study.create(Path(folder)) if zoo else Study(Path(folder))
    with opened.exclusive():
        if built:
            graphs = [one.files[0] for one in built if one.accepted]
            with LocalPool(workers) as pool:
                census(opened, graphs, pool, watcher)
            remember(opened, built)
        if ray is None:
            measure(opened, settings, watcher, meters, idle_s)
        else:
            from gaugenn.execute.ray import RayPool
            from gaugenn.pipeline.elsewhere import measure_elsewhere

            store = SharedStore(shared) if shared is not None else SharedStore.inside(opened)
            cluster = RayPool(ray)
            with cluster:
                measure_elsewhere(opened, settings, watcher, cluster, store, meters, idle_s)
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


def sustained_launches(folder: PathLike) -> list[SustainedLaunch]:
    """Every long launch of a study: first minute, throttling, steady level, curve, rank.

    Raises:
        StoreError: the folder is no study.
    """
    return read_sustained_launches(Study(Path(folder)))


def rate_launches(folder: PathLike) -> list[RateLaunch]:
    """Every launch of a study under a fixed rate: deadline misses and response times.

    Raises:
        StoreError: the folder is no study.
    """
    return read_rate_launches(Study(Path(folder)))


def side_by_side(folder: PathLike) -> list[SideBySide]:
    """Every experiment of a study beside another model, against itself alone.

    Raises:
        StoreError: the folder is no study.
    """
    return read_side_by_side(Study(Path(folder)))


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


def census(
    opened: Study,
    paths: Iterable[PathLike],
    executor: Executor,
    watcher: Watcher,
    shared: SharedStore | None = None,
) -> None:
    """Scans and reads what the study does not hold yet; the caller holds the study."""
    scan_paths(paths, opened, executor, watcher, shared)
    analyse(opened, executor, watcher, shared)
