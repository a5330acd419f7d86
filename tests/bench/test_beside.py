"""Two models side by side: each in a process of its own, each with its own samples."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tests.bench.test_campaign import record

from gaugenn.bench import launch as launch_module
from gaugenn.bench.campaign import campaign, host_programs
from gaugenn.bench.launch import LocalFile
from gaugenn.bench.plan import companions
from gaugenn.devices.host import HostDevice
from gaugenn.records import FileKind, JobRecord, ModelRecord, Run, RunStatus


@pytest.fixture
def files(tmp_path: Path) -> Callable[[str], Sequence[LocalFile]]:
    def find(model_sha256: str) -> Sequence[LocalFile]:
        path = tmp_path / model_sha256
        path.write_text(f"gaugenn-null {model_sha256.lstrip('b-')}\n")
        return (LocalFile(name="model.null", path=path),)

    return find


def pair(word: str, beside: str, **changes: object) -> tuple[JobRecord, JobRecord]:
    """A job and its companion; the words tell the null engine what to do."""
    other = ModelRecord(
        model_sha256=f"{'b' * 16}{beside:->48}", kind=FileKind.MODEL, format="onnx", size_bytes=1
    )
    main = record(word, 1, companion=f"{other.model_sha256}@null==1", **changes)
    (found,) = companions([main], [other]).values()
    return main, found


def launch_pair(
    main: JobRecord,
    beside: JobRecord,
    host: HostDevice,
    files: Callable[[str], Sequence[LocalFile]],
) -> tuple[Run, ...]:
    (runs,) = campaign(
        [main],
        device=host,
        environment=host.info(),
        programs=host_programs([main, beside]),
        files=files,
        companions={main.job_sha256: beside},
    )
    return runs


def test_a_companion_is_a_job_of_its_own_that_knows_what_it_runs_beside() -> None:
    main, beside = pair("a", "b", threads=2, affinity="0-1")
    assert beside.job.companion_of == main.job_sha256
    assert beside.job.companion == ""
    assert (beside.job.threads, beside.job.affinity) == (2, "0-1")
    assert beside.job_sha256 != main.job_sha256
    plain = replace(main.job, companion="")
    assert plain.job_sha256 != main.job_sha256


def test_a_companion_infers_before_the_model_is_loaded_and_until_after_its_last_inference(
    host: HostDevice, files: Callable[[str], Sequence[LocalFile]]
) -> None:
    main, beside = pair("slow", "", launch_maximum_s=30.0, maximum_samples=2_000_000)
    first, second = launch_pair(main, beside, host, files)
    assert [run.status for run in (first, second)] == [RunStatus.OK, RunStatus.OK]
    assert (first.job_sha256, second.job_sha256) == (main.job_sha256, beside.job_sha256)
    assert first.timings is not None
    assert second.timings is not None
    assert len(first.timings.steady_s) == 6
    phases = {stamp.name: stamp for stamp in first.timings.stamps}
    begin = (first.timings.clock_monotonic_s or 0) + phases["load"].begin_s
    end = (first.timings.clock_monotonic_s or 0) + phases["steady"].end_s
    zero = second.timings.clock_monotonic_s or 0
    assert zero + second.timings.steady_start_s[0] < begin
    assert zero + second.timings.steady_start_s[-1] > end


@pytest.mark.parametrize(
    ("word", "status", "reason"),
    [
        ("crash", RunStatus.CRASHED, "what ran beside it: killed by SIGSEGV during load"),
        ("refuse", RunStatus.REFUSED, "what ran beside it: load: the model file says so"),
    ],
)
def test_a_companion_that_does_not_run_spoils_the_launch_and_says_why(
    word: str,
    status: RunStatus,
    reason: str,
    host: HostDevice,
    files: Callable[[str], Sequence[LocalFile]],
) -> None:
    main, beside = pair("", word, launch_maximum_s=600.0)
    first, second = launch_pair(main, beside, host, files)
    assert (first.status, first.reason, first.timings) == (status, reason, None)
    assert second.status is status


def test_a_companion_ends_when_the_model_beside_it_dies(
    host: HostDevice, files: Callable[[str], Sequence[LocalFile]]
) -> None:
    main, beside = pair("crash", "", launch_maximum_s=600.0)
    first, second = launch_pair(main, beside, host, files)
    assert (first.status, first.reason) == (RunStatus.CRASHED, "killed by SIGSEGV during load")
    assert second.status is RunStatus.OK


def test_the_time_limit_leaves_room_for_the_wait() -> None:
    main, beside = pair("a", "b", launch_maximum_s=10.0)
    assert launch_module.time_limit_s(main.job) == 90.0
    assert beside.job.launch_maximum_s == 90.0
