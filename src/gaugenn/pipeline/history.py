"""One model on the releases of a library: installed, run interleaved, kept as a study."""

from collections.abc import Sequence

from gaugenn.engines import Engine, _environments, load_engine
from gaugenn.engines._releases import releases
from gaugenn.errors import EngineError, UsageError
from gaugenn.pipeline import Watcher
from gaugenn.pipeline._failures import as_failure
from gaugenn.records import Failure
from gaugenn.store import Study

STAGE = "install"


def install_releases(
    study: Study,
    engine_name: str,
    watcher: Watcher,
    since: str | None = None,
    newest: int | None = None,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Installs the releases of a library that the index offers.

    One that cannot be installed or imported here is a failure of the stage `install` in the study and
    is left out; it is tried again only after that row is gone.

    Args:
        study: takes the failures.
        engine_name: the engine.
        watcher: is told how it goes.
        since: see `engines._releases.releases`.
        newest: see there.

    Returns:
        `name==version` of those that are installed, oldest first, and which of them are new.

    Raises:
        UsageError: no such engine, or no release could be installed.
        StorageFullError: the disk is full.
        TransientError: the package index cannot be reached.
    """
    engine = load_engine(engine_name)
    wanted = releases(engine, since, newest)
    known = {f.subject for f in study.rows(Failure) if f.stage == STAGE and not f.transient}
    watcher.begin(STAGE, len(wanted))
    there: list[str] = []
    new: list[str] = []
    for version in wanted:
        label = f"{engine.name}=={version}"
        if label in known:
            watcher.step(STAGE, label, "left out, it failed before")
            continue
        before = _environments.is_installed(engine, version)
        try:
            _environments.install(engine, version)
        except (EngineError, UsageError) as error:
            study.write([as_failure(STAGE, label, error)])
            watcher.step(STAGE, label, str(error))
            continue
        there.append(label)
        if not before:
            new.append(label)
        watcher.step(STAGE, label, "" if before else "installed")
    watcher.end(STAGE)
    if not there:
        raise UsageError(f"no release of {engine.name} can be used here; see the study's failures")
    return tuple(there), tuple(new)


def remove_releases(labels: Sequence[str]) -> None:
    """Removes environments, given as `name==version`."""
    for label in labels:
        name, _, version = label.partition("==")
        engine: Engine = load_engine(name)
        _environments.remove(engine, version)
