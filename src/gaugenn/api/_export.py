"""A study for other programs and people: `export`, `exports`, `frame`, and what is published."""

import importlib
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

import pyarrow as pa

from gaugenn.api._report import query
from gaugenn.api._study import PathLike
from gaugenn.errors import MissingToolError, UsageError
from gaugenn.pipeline.request import model_names
from gaugenn.records import DeviceSample, JobRecord, Run, RunStatus, TraceRecord
from gaugenn.store import Study, read_trace

if TYPE_CHECKING:
    import pandas
    import polars

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


def exports() -> tuple[str, ...]:
    """The forms that `export` writes."""
    from gaugenn import interchange

    return interchange.forms()


def export(folder: PathLike, form: str, to: PathLike | None = None) -> str:
    """A study's measurements in another tool's form; invalid ones are left out.

    Args:
        folder: the study.
        form: see `exports`.
        to: a file that is written too.

    Returns:
        The text.

    Raises:
        UsageError: no such form, or nothing was measured.
        StoreError: the folder is no study.
        StorageFullError: no room for the file.
    """
    from gaugenn import interchange

    return _written(interchange.render(Study(Path(folder)), form), to)


def _written(text: str, to: PathLike | None) -> str:
    from gaugenn import report as reporting

    if to is not None:
        reporting.write_whole(Path(to), text.encode())
    return text


def perfetto(folder: PathLike, to: PathLike, *, job: str = "", launch: int | None = None) -> int:
    """Launches as a Perfetto trace: phases, inferences, what the sampler read, and power.

    Args:
        folder: the study.
        to: the file that is written.
        job: start of the digest of the only job that is wanted.
        launch: the only number of launches that is wanted.

    Returns:
        How many launches are in it.

    Raises:
        UsageError: there is no such launch, or none that tells when it ran.
        StoreError: the folder is no study.
        StorageFullError: no room for the file.
    """
    from gaugenn import report as reporting
    from gaugenn.interchange._perfetto import perfetto_trace

    study = Study(Path(folder))
    runs = [
        run
        for run in study.rows(Run)
        if run.job_sha256.startswith(job)
        and launch in (None, run.launch)
        and run.status is RunStatus.OK
        and run.timings is not None
        and run.timings.clock_boottime_s is not None
    ]
    if not runs:
        raise UsageError(f"{study.path} holds no such launch that ended well and tells when it ran")
    packets = perfetto_trace(
        study.rows(JobRecord),
        runs,
        model_names(study),
        study.rows(DeviceSample),
        study.rows(TraceRecord),
        partial(read_trace, study.blobs),
    )
    reporting.write_whole(Path(to), b"".join(packets))
    return len(runs)


def dataset_card(
    folder: PathLike,
    to: PathLike | None = None,
    *,
    title: str | None = None,
    authors: Sequence[str] = (),
    licence: str | None = None,
    with_models: bool = True,
) -> str:
    """The dataset card of a study, in Markdown: provenance, counts, licences known, what is left out.

    Args:
        folder: the study.
        to: a file that is written too.
        title: of the dataset; the name of the study's folder by default.
        authors: names as they are written.
        licence: SPDX identifier of the licence that the makers give.
        with_models: whether the models' files are published with it.

    Raises:
        StoreError: the folder is no study.
    """
    from gaugenn import publication

    about = publication.Publication(title=title, authors=tuple(authors), licence=licence)
    return _written(publication.dataset_card(Study(Path(folder)), about, with_models), to)


def citation(
    folder: PathLike,
    to: PathLike | None = None,
    *,
    authors: Sequence[str],
    title: str | None = None,
    licence: str | None = None,
) -> str:
    """How a study is to be cited, as the text of a `CITATION.cff`.

    Args:
        folder: the study.
        to: a file that is written too.
        authors: names as they are written; at least one.
        title: of the dataset; the name of the study's folder by default.
        licence: SPDX identifier of the licence that the makers give.

    Raises:
        UsageError: no author is given.
        StoreError: the folder is no study.
    """
    from gaugenn import publication

    about = publication.Publication(title=title, authors=tuple(authors), licence=licence)
    return _written(publication.citation(Study(Path(folder)), about), to)


def publish(
    folder: PathLike,
    to: PathLike,
    *,
    title: str | None = None,
    authors: Sequence[str] = (),
    licence: str | None = None,
    with_models: bool = True,
) -> Path:
    """A copy of a study that names no folder, user or device of this machine and no credential.

    It has the report, a dataset card and, where there are authors, a citation.

    Args:
        folder: the study.
        to: a new or empty folder.
        title: of the dataset; the name of the study's folder by default.
        authors: names as they are written.
        licence: SPDX identifier of the licence that the makers give.
        with_models: copy the models' files, too; else the tables and power traces only.

    Returns:
        The folder.

    Raises:
        UsageError: the folder holds other files.
        StoreError: the folder is no study, or something private could not be removed.
        StorageFullError: no room.
    """
    from gaugenn import publication

    about = publication.Publication(title=title, authors=tuple(authors), licence=licence)
    return publication.publish(Study(Path(folder)), Path(to), about, with_models=with_models)


@overload
def frame(folder: PathLike, name: str) -> pa.Table: ...
@overload
def frame(folder: PathLike, name: str, library: Literal["pyarrow"]) -> pa.Table: ...
@overload
def frame(folder: PathLike, name: str, library: Literal["pandas"]) -> "pandas.DataFrame": ...
@overload
def frame(folder: PathLike, name: str, library: Literal["polars"]) -> "polars.DataFrame": ...


def frame(
    folder: PathLike, name: str, library: Literal["pyarrow", "pandas", "polars"] = "pyarrow"
) -> "pa.Table | pandas.DataFrame | polars.DataFrame":
    """A study's table or view as a data frame: `launches`, `samples`, `results`, `verdicts`, ...

    Args:
        folder: the study.
        name: of the table or view; docs/study.md lists them.
        library: whose frame; pandas and Polars have to be installed.

    Raises:
        UsageError: no such table or view.
        StoreError: the folder is no study.
        MissingToolError: the library is not installed.
    """
    if _NAME.fullmatch(name) is None:
        raise UsageError(f"{name!r} is no table or view; docs/study.md lists them")
    table = query(folder, f"SELECT * FROM {name}")  # noqa: S608 - a checked name
    if library == "pyarrow":
        return table
    try:
        importlib.import_module(library)
    except ImportError as error:
        raise MissingToolError(
            f"a frame of {library}", library, f"pip install {library}"
        ) from error
    if library == "pandas":
        return table.to_pandas()
    import polars

    return polars.DataFrame(polars.from_arrow(table))
