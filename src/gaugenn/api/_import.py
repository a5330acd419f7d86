"""Measurements of others: `import_logs`, `import_forms`."""

from collections.abc import Iterable
from pathlib import Path

from gaugenn.api._study import PathLike
from gaugenn.pipeline import Silent, Watcher
from gaugenn.pipeline.import_logs import ImportedLog
from gaugenn.store import Study


def import_forms() -> tuple[str, ...]:
    """The forms that `import_logs` reads."""
    from gaugenn import imports

    return tuple(imports.forms())


def import_logs(
    paths: Iterable[PathLike],
    out: PathLike,
    *,
    form: str | None = None,
    device: str = "",
    model: str = "",
    watcher: Watcher | None = None,
) -> tuple[ImportedLog, ...]:
    """Stores the measurements in logs and result files of other programs in a study.

    Args:
        paths: the files.
        out: the study's folder; a new study is made where there is none.
        form: of all files; see `import_forms`. Each is recognised by default.
        device: name of the device, where a file does not say.
        model: name or beginning of the digest of the study's model that was measured; files name
            their models only.
        watcher: is told how it goes.

    Returns:
        What became of each file.

    Raises:
        UsageError: no such form or model, or another process writes to the study.
        StorageFullError: no room.
    """
    from gaugenn.pipeline import import_logs as step

    study = Study.create(Path(out))
    with study.exclusive():
        return step.import_logs(
            study,
            [Path(path) for path in paths],
            watcher or Silent(),
            form=form,
            device=device,
            model=model,
        )
