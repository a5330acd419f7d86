"""Measurements that others made, as rows beside our own: marked, and what is unknown left so."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from gaugenn import imports, plugins
from gaugenn.bench.settings import selects
from gaugenn.content import open_file
from gaugenn.engines import Engine
from gaugenn.engines._native import LoggedRun, NativeEngine
from gaugenn.errors import GaugennError, LimitError, StorageFullError, UsageError
from gaugenn.pipeline import Watcher
from gaugenn.pipeline._failures import as_failure
from gaugenn.pipeline.request import model_names
from gaugenn.records import (
    FileKind,
    Imported,
    ImportedFile,
    Job,
    JobRecord,
    ModelRecord,
    Precision,
    Run,
    RunStatus,
    TimingSemantics,
    Variable,
    digest,
)
from gaugenn.store import Study

STAGE = "import"
NAMED = "name:"
"""Before the name of a model that is known by nothing else; see `records.Job.model_sha256`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedLog:
    """What became of a file.

    Attributes:
        path: of the file.
        form: what it was read as; "" where it was not read.
        launches: stored by this call.
        known: that the study held already.
        reason: why it was not read; None where it was.
    """

    path: Path
    form: str
    launches: int
    known: int
    reason: str | None = None


def import_logs(
    study: Study,
    paths: Sequence[Path],
    watcher: Watcher,
    *,
    form: str | None = None,
    device: str = "",
    model: str = "",
) -> tuple[ImportedLog, ...]:
    """Stores every measurement of some files. What is stored already is passed over.

    A file that cannot be read is a failure of the stage `import`; the others are stored all the same.

    Args:
        study: where to.
        paths: the files.
        watcher: is told how it goes.
        form: of all files; each is recognised by default.
        device: name of the device that they were measured on, where the files do not say.
        model: name or beginning of the digest of the study's model that was measured.

    Raises:
        UsageError: no such form or model.
        StorageFullError: the study's disk is full.
    """
    if form is not None and form not in imports.forms():
        raise UsageError(f"there is no form {form!r}; there are: {', '.join(imports.forms())}")
    chosen = _model(study, model) if model else None
    held = _Held(study)
    watcher.begin(STAGE, len(paths))
    done = []
    for path in paths:
        try:
            log = _store(study, held, path, form, device, chosen)
        except (UsageError, StorageFullError):
            raise
        except (GaugennError, OSError) as error:
            study.write([as_failure(STAGE, path.name, error)])
            log = ImportedLog(path=path, form="", launches=0, known=0, reason=str(error))
        done.append(log)
        watcher.step(STAGE, path.name, log.reason or f"{log.form}: {log.launches} launches")
    watcher.end(STAGE)
    return tuple(done)


class _Held:
    """What the study holds that an import must not repeat."""

    def __init__(self, study: Study) -> None:
        self.records = {record.job_sha256: record for record in study.rows(JobRecord)}
        self.entries: set[tuple[str, int]] = set()
        self.launches: Counter[str] = Counter()
        self.semantics = _semantics()
        for run in study.rows(Run):
            self.launches[run.job_sha256] = max(self.launches[run.job_sha256], run.launch + 1)
            if run.imported_from is not None:
                self.entries.add((run.imported_from.sha256, run.imported_from.entry))


def _store(
    study: Study,
    held: _Held,
    path: Path,
    form: str | None,
    device: str,
    model: ModelRecord | None,
) -> ImportedLog:
    content = open_file(path)
    if content.size_bytes > imports.MAXIMUM_BYTES:
        raise LimitError(f"{path}: more than {imports.MAXIMUM_BYTES} bytes")
    form, found = imports.read(content.file_name, bytes(content.data), form)
    sha256 = content.sha256()
    records: dict[str, JobRecord] = {}
    runs = []
    for entry, logged in enumerate(found):
        origin = ImportedFile(name=path.name, sha256=sha256, entry=entry)
        if (origin.sha256, origin.entry) in held.entries:
            continue
        held.entries.add((origin.sha256, origin.entry))
        record = _record(logged, form, device, model, held.semantics.get(logged.engine))
        number = held.launches[record.job_sha256]
        held.launches[record.job_sha256] += 1
        records[record.job_sha256] = record
        runs.append(_run(record, number, logged, origin))
    # An experiment that has more launches now is asked for anew, with as many.
    counted = [replace(record, launches=held.launches[n]) for n, record in records.items()]
    study.write([*(r for r in counted if r != held.records.get(r.job_sha256)), *runs])
    held.records |= {record.job_sha256: record for record in counted}
    return ImportedLog(path=path, form=form, launches=len(runs), known=len(found) - len(runs))


def _record(
    logged: LoggedRun,
    form: str,
    device: str,
    model: ModelRecord | None,
    semantics: TimingSemantics | None,
) -> JobRecord:
    precision = logged.precision if logged.precision in tuple(Precision) else Precision.AS_STORED
    job = Job(
        model_sha256=model.model_sha256 if model else NAMED + (logged.model or "unknown"),
        format=(model.format or "") if model else "",
        engine=logged.engine,
        engine_version=logged.engine_version,
        device=device or logged.device or "unknown",
        processor=logged.processor,
        precision=Precision(precision),
        threads=logged.threads,
        batch=logged.batch,
        warmup_minimum_count=0,
        warmup_minimum_s=0.0,
        steady_minimum_count=0,
        steady_minimum_s=0.0,
        steady_maximum_s=0.0,
        maximum_samples=0,
        launch_maximum_s=0.0,
    )
    imported = Imported(
        form=form,
        tool=logged.tool,
        model=logged.model,
        stated=tuple(Variable(name=name, value=value) for name, value in logged.stated),
    )
    # Conditions that only the file knows tell experiments apart, too, and none is one of our own.
    name = digest([asdict(job), asdict(imported)])
    return JobRecord(
        job_sha256=name, job=job, launches=1, timing_semantics=semantics, imported=imported
    )


def _run(record: JobRecord, number: int, logged: LoggedRun, origin: ImportedFile) -> Run:
    return Run(
        job_sha256=record.job_sha256,
        launch=number,
        status=RunStatus.OK,
        reason=None,
        timings=logged.timings,
        started_at=logged.started_at,
        wall_s=0.0,
        load_average=None,
        environment_sha256="",
        argv=(),
        log_tail="",
        imported_from=origin,
    )


def _model(study: Study, text: str) -> ModelRecord:
    names = model_names(study)
    found = [
        m
        for m in study.rows(ModelRecord)
        if m.kind is FileKind.MODEL and selects((text,), m, names.get(m.model_sha256, ""))
    ]
    if len(found) != 1:
        many = ", ".join(m.model_sha256[:12] for m in found[:5]) or "there is none"
        raise UsageError(f"{text!r} must name one model of the study: {many}")
    return found[0]


def _semantics() -> dict[str, TimingSemantics]:
    """What lies inside the times of vendors' own programs; of other files it is not known."""
    loaded = plugins.load_all("gaugenn.engines", Engine)  # type: ignore[type-abstract]
    return {n: k.timing_semantics for n, k in loaded.items() if issubclass(k, NativeEngine)}
