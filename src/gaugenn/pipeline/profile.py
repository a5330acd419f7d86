"""Takes the inferences of measured jobs apart, in launches of their own that are no measurement."""

from collections.abc import Sequence

from gaugenn.bench.launch import LocalFile, time_limit_s, working_names
from gaugenn.devices import Device
from gaugenn.devices.host import HostDevice
from gaugenn.engines import Engine, _environments, load_engine
from gaugenn.errors import (
    DeviceError,
    EngineError,
    FormatError,
    GaugennError,
    StoreError,
    UsageError,
)
from gaugenn.pipeline import Watcher
from gaugenn.pipeline._failures import as_failure
from gaugenn.pipeline.measure import model_files
from gaugenn.records import Failure, Job, JobRecord, OperatorTiming, Profile
from gaugenn.store import Study

STAGE = "profile"


def profile(study: Study, watcher: Watcher) -> None:
    """Stores an `OperatorTiming` row for each operator of each job that ran and has none yet.

    What cannot be profiled is a failure of the stage `profile`, whose subject is the job. Jobs on
    other devices than this host are left alone.

    Raises:
        StorageFullError: the study's disk is full; what was stored stays.
    """
    wanted = _wanted(study)
    files = model_files(study)
    watcher.begin(STAGE, len(wanted))
    with HostDevice(folder=study.path / "journal") as device:
        for record in wanted:
            job = record.job
            try:
                found = _launch(study, device, job, files[job.model_sha256])
            except (EngineError, FormatError, DeviceError, StoreError, UsageError) as error:
                study.write([_failure(record, error)])
                remark = str(error)
            else:
                study.write(_rows(record, load_engine(job.engine), found))
                remark = f"{len(found.operators)} operators"
            watcher.step(STAGE, f"{job.engine}  {job.model_sha256[:12]}", remark)
    watcher.end(STAGE)


def _wanted(study: Study) -> list[JobRecord]:
    """Jobs of this host with a good launch, without a profile, of engines that can give one."""
    with study.connect() as connection:
        rows = connection.execute(
            "SELECT DISTINCT job_sha256 FROM runs WHERE status = 'ok'"
            " AND job_sha256 NOT IN (SELECT job_sha256 FROM operator_timings)"
            " AND job_sha256 NOT IN (SELECT subject FROM failures"
            "                        WHERE stage = 'profile' AND NOT transient)"
        ).fetchall()
    able = {digest for (digest,) in rows}
    chosen = {
        record.job_sha256: record
        for record in study.rows(JobRecord)
        if record.job_sha256 in able
        and record.job.device == "host"
        and record.imported is None
        and _can(record.job)
    }
    return list(chosen.values())


def _can(job: Job) -> bool:
    engine = load_engine(job.engine)
    installed = _environments.is_installed(engine, job.engine_version)
    return engine.profile_method is not None and installed


def _launch(study: Study, device: Device, job: Job, files: Sequence[LocalFile]) -> Profile:
    engine = load_engine(job.engine)
    for file in files:
        study.blobs.verify(file.path.name)
    paths = [device.push(path, name) for name, path in working_names(job, files).items()]
    program = _environments.program(engine, job.engine_version)
    output = device.run(
        engine.profile_command(job, program, paths), timeout_s=10 * time_limit_s(job)
    )
    if output.timed_out:
        raise EngineError(f"the profile did not end within {10 * time_limit_s(job):.0f} s")
    return engine.parse_profile(output.stdout, output.stderr)


def _rows(record: JobRecord, engine: Engine, found: Profile) -> list[OperatorTiming]:
    if engine.profile_method is None:
        raise TypeError(f"{engine.name} has no profile")
    return [
        OperatorTiming(
            job_sha256=record.job_sha256,
            position=position,
            name=item.name,
            operator=item.operator,
            kernel=item.kernel,
            durations_s=item.durations_s,
            method=engine.profile_method,
        )
        for position, item in enumerate(found.operators)
    ]


def _failure(record: JobRecord, error: GaugennError) -> Failure:
    return as_failure(STAGE, record.job_sha256, error)
