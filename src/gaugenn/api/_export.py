"""A study's measurements for other programs: `export`, `exports`, `frame`."""

import importlib
import re
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
    from gaugenn import report as reporting

    text = interchange.render(Study(Path(folder)), form)
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
