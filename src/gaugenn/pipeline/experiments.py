"""What a study measured, an experiment each: the job, the launches that count, where, and how good."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import duckdb

from gaugenn.analysis.verdict import Verdict, counted, verdicts
from gaugenn.pipeline._selection import SETTINGS
from gaugenn.records import Environment, Job, JobRecord, ModelRecord, Run, RunStatus, Timings
from gaugenn.store import Study, read_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredExperiment:
    """A job with its launches.

    Attributes:
        record: the job as it was asked for last.
        model: the model's name, or the beginning of its digest.
        size_bytes: of the model's files, if it was read.
        runs: launches that ended well and have a latency, in order.
        environments: those that they ran on.
        verdict: on all launches.
    """

    record: JobRecord
    model: str
    size_bytes: int | None
    runs: tuple[Run, ...]
    environments: tuple[Environment, ...]
    verdict: Verdict

    @property
    def label(self) -> str:
        """Engine, version, and each setting that is not the usual one."""
        job = self.record.job
        usual = Job(
            model_sha256=job.model_sha256,
            format=job.format,
            engine=job.engine,
            engine_version=job.engine_version,
            device="host",
        )
        others = [
            f"{name}={read(job)}" for name, read in SETTINGS.items() if read(job) != read(usual)
        ]
        return " ".join([f"{job.engine}=={job.engine_version}", *others])

    @property
    def launches(self) -> list[tuple[Run, Timings]]:
        """Each good launch with its timings."""
        return [(run, run.timings) for run in self.runs if run.timings is not None]


def experiments(study: Study) -> list[MeasuredExperiment]:
    """Every experiment with a launch, in the order of model, label and digest.

    Companions and controls are no experiments.

    Raises:
        StoreError: a part of the study cannot be read.
    """
    with study.connect() as connection:
        return experiments_of(connection)


def experiments_of(
    connection: duckdb.DuckDBPyConnection,
    models: Collection[str] | None = None,
    names: Mapping[str, str] | None = None,
) -> list[MeasuredExperiment]:
    """The same over a study's open connection.

    Args:
        connection: that `Study.connect` gave.
        models: digests of the models whose experiments are wanted, and read; all where None. A
            verdict looks at other experiments of the same model only.
        names: of models by digest, where the caller knows them; looked up where None.

    Raises:
        StoreError: rows that do not fit their record.
    """
    chosen = "true" if models is None else "list_contains(?, job.model_sha256)"
    given: list[object] = [] if models is None else [list(models)]
    records: dict[str, JobRecord] = {}
    for record in read_rows(connection, JobRecord, chosen, given):
        known = records.get(record.job_sha256)
        if known is None or _asked(known) < _asked(record):
            records[record.job_sha256] = record
    places = {place.environment_sha256: place for place in read_rows(connection, Environment)}
    described = read_rows(
        connection,
        ModelRecord,
        "true" if models is None else "list_contains(?, model_sha256)",
        given,
    )
    sizes = {model.model_sha256: model.size_bytes for model in described}
    runs = counted(
        read_rows(connection, Run, "list_contains(?, job_sha256)", [list(records)])
        if models is not None
        else read_rows(connection, Run)
    )
    every = [run for made in runs.values() for run in made]
    judged = verdicts(records.values(), every, places.values(), described)
    names = _names(connection) if names is None else names
    found = []
    for name, record in records.items():
        job = record.job
        if name not in judged or record.control or job.companion_of:
            continue
        good = tuple(run for run in runs[name] if _is_good(run))
        used = dict.fromkeys(run.environment_sha256 for run in good)
        found.append(
            MeasuredExperiment(
                record=record,
                model=names.get(job.model_sha256, job.model_sha256[:12]),
                size_bytes=sizes.get(job.model_sha256),
                runs=good,
                environments=tuple(places[u] for u in used if u in places),
                verdict=judged[name],
            )
        )
    return sorted(found, key=lambda e: (e.model, e.label, e.record.job_sha256))


def _asked(record: JobRecord) -> tuple[int, int]:
    return record.launches, record.launches_maximum or 0


def _is_good(run: Run) -> bool:
    timings = run.timings
    return run.status is RunStatus.OK and timings is not None and timings.latency_s is not None


def _names(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    rows: Sequence[tuple[str, str]] = connection.execute(
        "SELECT model_sha256, name FROM model_names"
    ).fetchall()
    return dict(rows)
