"""Distinct models on devices with the engines that load them; each launch is stored as it ends."""

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import cache

from gaugenn.bench.campaign import Ended, Progress, campaign
from gaugenn.bench.devices import campaign_device, device_programs, recover, remote_of
from gaugenn.bench.launch import LocalFile
from gaugenn.bench.plan import CONTROL_MODEL
from gaugenn.bench.settings import BenchSettings
from gaugenn.bench.thermal import Gate
from gaugenn.devices import Device
from gaugenn.devices._keeping import STRIKES
from gaugenn.errors import DeviceError, UsageError
from gaugenn.pipeline import Watcher
from gaugenn.pipeline._failures import as_failure
from gaugenn.pipeline.metering import Metering, around_launches, assigned
from gaugenn.pipeline.request import Request, devices_asked, model_names, requested
from gaugenn.power import PowerMeter, open_meter
from gaugenn.records import DeviceSample, Environment, Failure, JobRecord, PageCache, Run, RunStatus
from gaugenn.store import Study


def measure(
    study: Study,
    settings: BenchSettings,
    watcher: Watcher,
    meters: Sequence[str] = (),
    idle_s: float = 0.0,
) -> None:
    """Plans, launches and stores. Launches that are there already are not repeated.

    Args:
        study: with models that were read.
        settings: what to measure.
        watcher: is told of every launch.
        meters: names of meters that measure each launch; see `metering.assigned`.
        idle_s: of idle power before and after each launch, where there are meters.

    Raises:
        UsageError: an unknown engine, model or device, or a setting out of range.
        DeviceError: the device was lost.
        StorageFullError: the study's disk is full; what was stored stays.
    """
    with ExitStack() as stack:
        # Inside the study, so that models are linked rather than copied, and swept after a crash.
        devices: dict[str, Device] = {}
        unset: list[Failure] = []
        for name in devices_asked(settings):
            asked = campaign_device(
                name, study.path / "journal", settings.prepare, settings.untethered
            )
            devices[name], refused = stack.enter_context(asked)
            unset += [as_failure("prepare", name, DeviceError(f"not set: {r}")) for r in refused]
        opened = {
            name: [
                stack.enter_context(open_meter(meter, remote_of(devices[name]) or devices[name]))
                for meter in texts
            ]
            for name, texts in assigned(meters, devices).items()
        }
        environments = {name: device.info() for name, device in devices.items()}
        request = requested(study, settings, environments)
        for name, device in devices.items():
            if any(
                r.job.page_cache is PageCache.DROPPED and r.job.device == name for r in request.jobs
            ):
                device.drop_page_cache()
        request = replace(request, failures=(*request.failures, *unset))
        _store_plan(study, request)
        known = _environments(study)
        used = {record.job.device for record in request.jobs}
        study.write(
            e
            for name, e in environments.items()
            if name in used and e.environment_sha256 not in known
        )
        done = launches_done(study)
        asked_for = {(r.job_sha256, launch) for r in request.jobs for launch in range(r.launches)}
        watcher.begin("bench", len(asked_for), len(asked_for & done.keys()))
        campaigns = [
            _Campaign(
                study, device, environments[name], request, settings, watcher, opened[name], idle_s
            )
            for name, device in devices.items()
            if name in used
        ]
        _all_at_once(campaigns)
        watcher.end("bench")


def _all_at_once(campaigns: "Sequence[_Campaign]") -> None:
    """Phones and boards side by side; what computes on this machine after them, one by one.

    A device that fails, or runs none of the engines, does not stop the others; its error is raised
    when they are done.
    """
    apart = [c for c in campaigns if c.remote is not None]
    turns = [c for c in campaigns if c.remote is None]
    if len(apart) < 2:
        apart, turns = [], [*apart, *turns]
    guard = threading.Lock()
    errors: list[BaseException] = []
    try:
        with ThreadPoolExecutor(max(1, len(apart))) as pool:
            futures = [pool.submit(campaign.run, guard) for campaign in apart]
            try:
                errors += [error for f in futures if (error := f.exception()) is not None]
            except BaseException:
                for campaign in apart:
                    campaign.stop()
                raise
    finally:
        for campaign in apart:
            if campaign.remote is not None:
                campaign.remote.go_on()  # what was set has to be set back
    for campaign in turns:
        try:
            campaign.run(guard)
        except (DeviceError, UsageError) as error:
            errors.append(error)
    if errors:
        raise errors[0]


class _Campaign:
    """What is launched on one device of a request."""

    def __init__(
        self,
        study: Study,
        device: Device,
        environment: Environment,
        request: Request,
        settings: BenchSettings,
        watcher: Watcher,
        meters: Sequence[PowerMeter],
        idle_s: float,
    ) -> None:
        self._study, self._device, self._environment = study, device, environment
        self._request, self._settings, self._watcher = request, settings, watcher
        here = environment.device_kind == "host"
        self._around = around_launches(settings.around(), meters, idle_s, here=here)
        waits = here and not self._around.marked
        self._metering = Metering(study, meters, idle_s, waits=waits) if meters else None
        self._jobs = [r for r in request.jobs if r.job.device == environment.device]
        self.remote = remote_of(device)
        rule = settings.thermal_rule()
        self._gate = None if rule is None else Gate(rule)
        self._samples: list[DeviceSample] = []
        self._stopped = False
        self._is_simulated = environment.device_kind == "simulated"
        self._losses = 0

    def stop(self) -> None:
        """Ends it from another thread."""
        self._stopped = True
        if self.remote is not None:
            self.remote.stop()

    def run(self, guard: threading.Lock) -> None:
        """Launches all of it; a phone or board that fails is brought back, if it can be.

        Args:
            guard: is held while the study or the watcher is used.
        """
        while True:
            try:
                self._launch_all(guard)
            except DeviceError as error:
                if self._stopped:
                    raise
                if self.remote is None:
                    self._losses += 1
                    if not self._is_simulated or self._losses >= STRIKES:
                        raise
                    continue
                recover(self.remote, self._settings.prepare, error)
            else:
                return

    def _launch_all(self, guard: threading.Lock) -> None:
        study, request = self._study, self._request
        beside = [request.companions.get(r.job_sha256) for r in self._jobs]
        everything = [*self._jobs, *(record for record in beside if record is not None)]
        programs, libraries, refused = device_programs(
            self._device, self._environment.device, everything
        )
        with guard:
            self._note_refused(refused)
            done = launches_done(study)
            files = model_files(study)
            names = model_names(study)
        jobs = [r for r in self._jobs if (r.job.engine, r.job.engine_version) in programs]
        by_digest = {job.job_sha256: job.job for job in jobs}
        told = len({key for key in done if key[0] in by_digest})
        for record in jobs:
            if record.control:
                path = study.blobs.put(memoryview(CONTROL_MODEL), record.job.model_sha256)
                files[record.job.model_sha256] = [LocalFile(name="control.null", path=path)]

        @cache
        def whole(model: str) -> Sequence[LocalFile]:
            """A model's files, each checked once: what is measured is what was read."""
            for file in files[model]:
                study.blobs.verify(file.path.name)
            return files[model]

        def catch_up(progress: Progress) -> None:
            """Before each launch: what was made before or is left out is told, and meters begin."""
            nonlocal told
            with guard:
                for _ in range(progress.finished - told):
                    self._watcher.step("bench", "")
            told = progress.finished
            if self._metering is not None:
                self._metering.begin()

        for runs in campaign(
            jobs,
            device=self._device,
            environment=self._environment,
            programs=programs,
            files=whole,
            libraries=libraries,
            companions=request.companions,
            done=done,
            seed=self._settings.seed,
            budget_s=self._settings.budget_s,
            progress=catch_up,
            gate=self._gate,
            around=self._around,
            samples=self._samples.extend,
        ):
            measured = [] if self._metering is None else self._metering.end(runs[0])
            told += 1
            job = by_digest[runs[0].job_sha256]
            name = names.get(job.model_sha256, job.model_sha256[:12])
            with guard:
                study.write([*measured, *self._samples, *runs])
                self._samples.clear()
                self._watcher.step("bench", f"{job.engine}  {name}", _remark(runs[0]))
            if runs[0].status is RunStatus.LOST:
                continue
            self._losses = 0
            if self.remote is not None and self.remote.keeping is not None:
                self.remote.keeping.well()

    def _note_refused(self, refused: Mapping[tuple[str, str], Exception]) -> None:
        device = self._environment.device
        failures = [
            as_failure("provision", f"{engine}=={version} on {device}", error)
            for (engine, version), error in refused.items()
        ]
        with self._study.connect() as connection:
            rows = connection.execute("SELECT stage, subject FROM all_failures").fetchall()
        known = set(rows)
        self._study.write(f for f in failures if (f.stage, f.subject) not in known)


def _remark(run: Run) -> str:
    return run.status if run.reason is None else f"{run.status}: {run.reason}"


def _store_plan(study: Study, request: Request) -> None:
    with study.connect() as connection:
        jobs = set(
            connection.execute(
                "SELECT job_sha256, launches, launches_maximum, precision FROM all_jobs"
            ).fetchall()
        )
        known = set(connection.execute("SELECT stage, subject FROM all_failures").fetchall())
    planned = (*request.jobs, *request.companions.values())
    study.write(
        [
            *(r for r in planned if _asked(r) not in jobs),
            *(f for f in request.failures if (f.stage, f.subject) not in known),
        ]
    )


def _asked(record: JobRecord) -> tuple[str, int, int | None, float | None]:
    return record.job_sha256, record.launches, record.launches_maximum, record.precision


def launches_done(study: Study) -> dict[tuple[str, int], Ended]:
    """How every launch that a study holds ended, by job and number."""
    with study.connect() as connection:
        rows = connection.execute(
            "SELECT job_sha256, launch, status, wall_s, coalesce("
            "list_aggregate(timings.steady_s, 'median'), timings.aggregate.value_s)"
            " FROM runs WHERE status <> 'lost'"
        ).fetchall()
    return {
        (job, launch): Ended(status=RunStatus(status), median_s=median_s, wall_s=wall_s)
        for job, launch, status, wall_s, median_s in rows
    }


def _environments(study: Study) -> set[str]:
    with study.connect() as connection:
        rows = connection.execute("SELECT environment_sha256 FROM environments").fetchall()
    return {digest for (digest,) in rows}


def model_files(study: Study) -> dict[str, list[LocalFile]]:
    """The files of each model of a study, the graph file first, where their blobs lie."""
    with study.connect() as connection:
        rows = connection.execute(
            "SELECT DISTINCT ON (model_sha256, position) model_sha256, name, sha256"
            " FROM model_files ORDER BY model_sha256, position, name"
        ).fetchall()
    files: dict[str, list[LocalFile]] = {}
    for model, name, sha256 in rows:
        files.setdefault(model, []).append(LocalFile(name=name, path=study.blobs.path(sha256)))
    return files
