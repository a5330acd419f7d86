"""Experiments launched anew, taking turns, to confirm what a comparison suspects."""

import random
from collections.abc import Sequence
from contextlib import ExitStack

from gaugenn.bench.devices import device_programs, open_device
from gaugenn.bench.launch import Bench, launch
from gaugenn.errors import DeviceError, MissingToolError
from gaugenn.pipeline import Watcher
from gaugenn.pipeline.measure import model_files
from gaugenn.records import JobRecord, RunStatus
from gaugenn.store import Study


def launch_again(wanted: Sequence[tuple[Study, JobRecord]], watcher: Watcher) -> bool:
    """Launches each experiment as often as it was asked for, all of them in every block.

    The new launches are stored with the old ones and have numbers of their own, the same in both
    studies, so that launches of a block can be paired.

    Args:
        wanted: experiments and the studies that they stand in and are stored into.
        watcher: is told how it goes, as stage `bench`.

    Returns:
        Whether they were launched: not what was imported or ran on several devices or beside something,
        nor where the device is not what it was, or where an engine is not installed any more.

    Raises:
        UsageError: another process writes to a study.
        DeviceError: the device was lost.
        StorageFullError: no room for the launches.
    """
    records = [record for _, record in wanted]
    devices = {record.job.device for record in records}
    if len(devices) != 1 or any(r.job.companion or r.imported for r in records):
        return False
    (name,) = devices
    studies = list({study.path.resolve(): study for study, _ in wanted}.values())
    with ExitStack() as stack:
        for study in studies:
            stack.enter_context(study.exclusive())
        device = stack.enter_context(open_device(name, studies[0].path / "journal"))
        environment = device.info()
        for study, record in wanted:
            if environment.environment_sha256 not in _environments(study, record):
                return False
        try:
            programs, libraries, refused = device_programs(device, name, records)
        except MissingToolError:
            return False
        if refused:
            return False
        benches = []
        for study, _ in wanted:
            files = model_files(study)
            benches.append(
                Bench(
                    device=device,
                    environment=environment,
                    programs=programs,
                    files=files.__getitem__,
                    libraries=libraries,
                )
            )
        begin = 1 + max(_last_launch(study, record) for study, record in wanted)
        blocks = max(record.launches for record in records)
        watcher.begin("bench", blocks * len(wanted))
        for block in range(begin, begin + blocks):
            turns = list(range(len(wanted)))
            random.Random(f"{records[0].job.seed} {block}").shuffle(turns)  # noqa: S311
            for position, turn in enumerate(turns):
                study, record = wanted[turn]
                runs = launch(benches[turn], record, block, position, None)
                study.write(runs)
                watcher.step("bench", record.job.engine, runs[0].status)
                if runs[0].status is RunStatus.LOST:
                    raise DeviceError(f"{name}: {runs[0].reason}")
        watcher.end("bench")
    return True


def _environments(study: Study, record: JobRecord) -> set[str]:
    with study.connect() as connection:
        rows = connection.execute(
            "SELECT environment_sha256 FROM runs WHERE job_sha256 = ?", [record.job_sha256]
        ).fetchall()
    return {digest for (digest,) in rows}


def _last_launch(study: Study, record: JobRecord) -> int:
    with study.connect() as connection:
        row = connection.execute(
            "SELECT max(launch) FROM runs WHERE job_sha256 = ?", [record.job_sha256]
        ).fetchone()
    return -1 if row is None or row[0] is None else int(row[0])
