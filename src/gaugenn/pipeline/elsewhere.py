"""A campaign on devices that hang on other machines: each device is a resource of its machine.

A machine announces its phones and boards to Ray as custom resources (`gaugenn devices --ray`), and Ray
runs a device's share of the campaign where that is. There the models go into a study of its own for the
time being, so that everything is as on one machine: locks, settings, recovery. Each batch of rows that
it writes also goes into the shared store at once. A machine that dies takes only the launch with it
that ran: Ray begins its share anew, there or where the device turns up, with what was shared so far.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from gaugenn.bench.discovery import resource
from gaugenn.bench.settings import BenchSettings
from gaugenn.errors import StorageFullError
from gaugenn.execute.ray import RayPool
from gaugenn.pipeline import Silent, Watcher
from gaugenn.pipeline._failures import as_failure
from gaugenn.pipeline._spread import adopt, take_in
from gaugenn.pipeline.measure import measure
from gaugenn.pipeline.metering import assigned
from gaugenn.pipeline.request import devices_asked
from gaugenn.records import App, AppFile, JobRecord, ModelFile, ModelRecord, Run, digest
from gaugenn.store import TABLES, SharedBlobs, SharedStore, Study

_NEEDED = (App, AppFile, ModelFile, ModelRecord, JobRecord, Run)
"""Tables that a campaign reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What is measured on one device.

    Attributes:
        device: its name.
        settings: with this device only.
        meters: of it.
        idle_s: see `measure`.
        shared: where models and launches of earlier times come from, and rows go.
        seed: the batch with what a campaign reads.
        key: start of the names of the batches that it writes.
    """

    device: str
    settings: BenchSettings
    meters: tuple[str, ...]
    idle_s: float
    shared: SharedStore
    seed: str
    key: str

    @property
    def resources(self) -> dict[str, float]:
        """What Ray has to find."""
        return {resource(self.device): 1.0}


def measure_elsewhere(
    study: Study,
    settings: BenchSettings,
    watcher: Watcher,
    pool: RayPool,
    shared: SharedStore,
    meters: Sequence[str] = (),
    idle_s: float = 0.0,
) -> None:
    """`measure` on a Ray cluster, each device where it hangs, all of them side by side.

    Args:
        study: with models that were read.
        settings: what to measure.
        watcher: is told of every device.
        pool: the cluster.
        shared: that the machines of the devices reach.
        meters: see `measure`; each is opened on the machine of its device.
        idle_s: see `measure`.

    Raises:
        UsageError: a meter or setting that cannot be used, or no machine announces a device.
        DeviceError: a device was lost; what the others measured is stored.
        StorageFullError: no room; what was stored stays.
    """
    names = devices_asked(settings)
    of_device = assigned(meters, names)
    pool.require({resource(name): name for name in names})
    take_in(study, shared)
    rows = [row for record in _NEEDED for row in study.rows(record)]
    if isinstance(shared.blobs, SharedBlobs):
        for sha256 in {row.sha256 for row in rows if isinstance(row, ModelFile)}:
            shared.blobs.put(memoryview(study.blobs.path(sha256).read_bytes()), sha256)
    seed = f"seed-{digest([str(study.path), *names, len(rows)])[:24]}"
    shared.put(seed, rows)
    shares = [
        Share(
            device=name,
            settings=_only(settings, name),
            meters=tuple(of_device[name]),
            idle_s=idle_s,
            shared=shared,
            seed=seed,
            key=f"bench-{digest([seed, name])[:24]}",
        )
        for name in names
    ]
    errors: list[Exception] = []
    watcher.begin("bench", len(shares))
    try:
        for outcome in pool.map(work_on_share, shares, resources=lambda share: share.resources):
            share = outcome.item
            launches = _take_share(study, share)
            if isinstance(outcome.error, StorageFullError):
                raise outcome.error
            if outcome.error is not None:
                study.write([as_failure("bench", share.device, outcome.error)])
                errors.append(outcome.error)
            remark = str(outcome.error or f"{launches} launches")
            watcher.step("bench", share.device, remark)
    finally:
        shared.drop(seed)
    watcher.end("bench")
    if errors:
        raise errors[0]


def _only(settings: BenchSettings, device: str) -> BenchSettings:
    """A campaign's part on one device."""
    if not settings.experiments:
        return replace(settings, devices=(device,))
    here = tuple(
        replace(experiment, devices=(device,))
        for experiment in settings.experiments
        if device in experiment.devices
    )
    return replace(settings, experiments=here)


def _take_share(study: Study, share: Share) -> int:
    """Takes what a device's machine wrote into the study, in its order; how many launches that is."""
    launches = 0
    for key in share.shared.keys():  # noqa: SIM118 - no mapping
        if key.startswith(share.key):
            rows = share.shared.get(key)
            launches += rows[TABLES[Run]].num_rows if TABLES[Run] in rows else 0
            adopt(study, share.shared, rows)
            share.shared.drop(key)
    return launches


class _Shipping(Study):
    """A study whose new batches also go into a shared store."""

    share: Share | None = None
    batch = 0

    def adopt(self, tables: Mapping[str, pa.Table]) -> None:
        """See `Study.adopt`."""
        super().adopt(tables)
        if self.share is None or not tables:
            return
        shared = self.share.shared
        for name, column in (("traces", "blob_sha256"), ("model_files", "sha256")):
            if name in tables:
                for sha256 in tables[name][column].unique().to_pylist():
                    data = self.blobs.path(str(sha256)).read_bytes()
                    shared.blobs.put(memoryview(data), str(sha256))
        shared.put_tables(f"{self.share.key}-{self.batch:08d}", tables)
        self.batch += 1


def work_on_share(share: Share) -> None:
    """On the device's machine: measures, and shares every batch as it is written."""
    shared = share.shared
    with tempfile.TemporaryDirectory(prefix="gaugenn-") as here:
        study = _Shipping.create(Path(here) / "study")
        seed = shared.get(share.seed)
        study.adopt(seed)
        for sha256 in seed[TABLES[ModelFile]]["sha256"].unique().to_pylist():
            if isinstance(shared.blobs, SharedBlobs):
                study.blobs.take(str(sha256), shared.blobs)
            else:
                data = shared.blobs.path(str(sha256)).read_bytes()
                study.blobs.put(memoryview(data), str(sha256))
        # What a machine that died had shared already.
        before = [key for key in shared.keys() if key.startswith(share.key)]  # noqa: SIM118
        for key in before:
            study.adopt(shared.get(key))
        study.share, study.batch = share, len(before)
        with study.exclusive():
            measure(study, share.settings, Silent(), share.meters, share.idle_s)
